//! The admin address: where it is reached from, and what may then travel to it.

use super::super::admin::Admin;
use super::super::findings::Findings;
use super::super::raw::{self, File};
use super::super::read::Text;
use super::super::secret::{Secret, TextFrom};
use super::{addresses, tls};
use std::path::PathBuf;

/// `None` where something is wrong, `Some(None)` where there is none.
pub(super) fn admin(raw: &File, findings: &mut Findings) -> Option<Option<Admin>> {
    let Some(raw) = &raw.admin else { return Some(None) };
    let bind = raw.bind.as_ref().and_then(|text| addresses::bind(text, findings));
    let tls = raw.tls.as_ref().map(|raw| tls::server(&raw.as_of_listener(), findings));
    let operators = operators(raw, findings);
    let tls = match tls {
        Some(None) => return None,
        tls => tls.flatten(),
    };
    let admin = Admin { bind: bind?, tls, operators: operators? };
    if admin.is_reached_from_elsewhere() && admin.tls.is_none() {
        in_the_open(raw, findings)?;
    }
    Some(Some(admin))
}

fn operators(raw: &raw::Admin, findings: &mut Findings) -> Option<Option<TextFrom>> {
    match (&raw.token_file, &raw.token) {
        (None, None) => Some(None),
        (Some(file), None) => Some(Some(TextFrom::File(PathBuf::from(&file.value)))),
        (None, Some(lines)) => Some(Some(TextFrom::Text(Secret::new(lines.value.clone())))),
        (Some(_), Some(lines)) => {
            findings.mistake(lines.at, "there are tokens in `token_file` already", "leave one of the two out");
            None
        }
    }
}

/// It is reached from elsewhere, and what is sent to it can be read on the way: a token must not be. What nobody needs a token for may,
/// as probes and scrapes mostly do; but it is more than health.
fn in_the_open(raw: &raw::Admin, findings: &mut Findings) -> Option<()> {
    const TLS: &str = "add `tls: { certificate: /tls/tls.crt, key: /tls/tls.key }` beside it";
    if let Some(Text { at, .. }) = raw.token_file.as_ref().or(raw.token.as_ref()) {
        let what = "this admin address is reached from other machines and speaks no TLS: everybody on the way could read the token";
        findings.mistake(*at, what, format!("{TLS}, or bind it to 127.0.0.1"));
        return None;
    }
    let text = raw.bind.as_ref()?;
    let what = format!(
        "who reaches `{text}` from another machine can ask what clients, topics and groups there are, and it speaks no TLS"
    );
    let instead = format!("{TLS}, bind it to 127.0.0.1, or let only probes and scrapes reach it");
    findings.warning(text.at, what, instead);
    Some(())
}
