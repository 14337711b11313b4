//! How clients log in at listeners: which words are no mechanisms, and what belongs together. Whether the files are there is not
//! looked at.

use super::super::amounts::Amount;
use super::super::findings::Findings;
use super::super::oauth::Oauthbearer;
use super::super::raw::{self, File};
use super::super::read::Text;
use super::super::sasl::Sasl;
use super::super::secret::{Secret, TextFrom};
use super::logins::mechanism;
use super::oauthbearer::oauthbearer;
use crate::types::Mechanism;
use std::path::PathBuf;
use std::time::Duration;

/// Clients take a login anew a second after the last one at the soonest.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(2);

/// A listener's; `None` where something is wrong.
pub(super) fn sasl(raw: &raw::Listener, findings: &mut Findings) -> Option<Option<Sasl>> {
    let Some(sasl) = &raw.sasl else { return Some(None) };
    let mechanisms = mechanisms(sasl.mechanisms.as_deref(), findings);
    let session_lifetime = sasl.session_lifetime.map(|amount| lifetime(amount, findings));
    let mechanisms = mechanisms?;
    let takes_passwords = mechanisms.iter().any(|one| *one != Mechanism::OauthBearer);
    let users = if takes_passwords { Some(users(sasl, findings)?) } else { no_users(sasl, findings)? };
    let oauthbearer = tokens(sasl, &mechanisms, findings)?;
    let (said, what) = match mechanisms.contains(&Mechanism::Plain) {
        true => (Mechanism::Plain, "passwords"),
        false => (Mechanism::OauthBearer, "tokens"),
    };
    let is_said = mechanisms.contains(&said);
    if let (Some(Text { at, .. }), true, None) = (sasl.mechanisms.as_deref().and_then(<[_]>::first), is_said, &raw.tls)
    {
        let what = format!("with {said} and without TLS everybody on the way can read the clients' {what}");
        findings.warning(*at, what, "write `tls:` beside `sasl`, or take SCRAM-SHA-512");
    }
    Some(Some(Sasl { mechanisms, users, session_lifetime, oauthbearer }))
}

fn mechanisms(written: Option<&[Text]>, findings: &mut Findings) -> Option<Vec<Mechanism>> {
    let mut all = Some(Vec::new());
    for text in written? {
        let Some(known) = mechanism(text, "clients log in with", findings) else {
            all = None;
            continue;
        };
        match &mut all {
            Some(all) if all.contains(&known) => {
                findings.mistake(text.at, format!("`{text}` stands twice"), "leave one out");
            }
            Some(all) => all.push(known),
            None => {}
        }
    }
    all
}

fn users(sasl: &raw::Sasl, findings: &mut Findings) -> Option<TextFrom> {
    match (&sasl.users_file, &sasl.users) {
        (Some(file), None) => Some(TextFrom::File(PathBuf::from(&file.value))),
        (None, Some(lines)) => Some(TextFrom::Text(Secret::new(lines.value.clone()))),
        (Some(_), Some(lines)) => {
            findings.mistake(lines.at, "there are users in `users_file` already", "leave one of the two out");
            None
        }
        (None, None) => {
            let instead = "add `users_file: /etc/fishplate/users`, which `fishplate users add` writes";
            findings.mistake(sasl.at, "nobody could log in: there are no users", instead);
            None
        }
    }
}

fn no_users(sasl: &raw::Sasl, findings: &mut Findings) -> Option<Option<TextFrom>> {
    let Some(Text { at, .. }) = sasl.users_file.as_ref().or(sasl.users.as_ref()) else { return Some(None) };
    findings.mistake(*at, "with OAUTHBEARER alone nobody logs in with a password", "leave the users out");
    None
}

/// Which tokens are taken, where any are.
fn tokens(sasl: &raw::Sasl, mechanisms: &[Mechanism], findings: &mut Findings) -> Option<Option<Oauthbearer>> {
    match (&sasl.oauthbearer, mechanisms.contains(&Mechanism::OauthBearer)) {
        (None, false) => Some(None),
        (Some(raw), true) => oauthbearer(raw, findings).map(Some),
        (None, true) => {
            let instead = "add `oauthbearer: { jwks: https://idp.example.com/jwks.json, issuer: https://idp.example.com, audience: kafka }`";
            findings.mistake(sasl.at, "OAUTHBEARER needs `oauthbearer`: it says which tokens are taken", instead);
            None
        }
        (Some(_), false) => {
            let what = "`oauthbearer` is of no use without OAUTHBEARER among the mechanisms";
            findings.mistake(sasl.at, what, "add it to `mechanisms`, or leave `oauthbearer` out");
            None
        }
    }
}

fn lifetime(amount: Amount, findings: &mut Findings) -> Duration {
    let lifetime = Duration::from_millis(amount.value);
    if lifetime < SHORTEST_LIFETIME {
        let what = format!("in {lifetime:?} no client logs in anew");
        findings.mistake(amount.at, what, "write at least 2s, for example 1h");
    }
    lifetime
}

/// What is counted by principal needs clients that have one.
pub(super) fn principals(raw: &File, findings: &mut Findings) {
    let proves =
        |one: &raw::Listener| one.sasl.is_some() || one.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if raw.listeners.iter().flatten().any(proves) {
        return;
    }
    for pipeline in raw.pipelines.iter().flatten() {
        let limits = pipeline.limits.iter().flatten().map(|limit| (&limit.key, "share the limit"));
        let canaries = pipeline.canaries.iter().flatten().map(|canary| (&canary.key, "are chosen together"));
        for (key, therefore) in limits.chain(canaries) {
            if let Some(text) = key.as_ref().filter(|text| text.value == "principal") {
                let what = format!("no listener asks clients who they are: all have one principal, and {therefore}");
                findings.warning(
                    text.at,
                    what,
                    "add `sasl` to the listeners, or take `client_id`, or what records say",
                );
            }
        }
    }
}
