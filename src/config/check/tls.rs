//! TLS: what belongs together, and which words are none. Whether the files are there is not looked at.

use super::super::findings::Findings;
use super::super::raw;
use super::super::read::Text;
use super::super::suggest::nearest;
use super::super::{ClientAuth, ClientCertificates, ClientTls, Identity, PrincipalMapping, Tls, TlsVersion};
use rustls::pki_types::ServerName;
use std::path::PathBuf;
use std::sync::Arc;

/// A listener's; `None` where something is wrong.
pub(super) fn server(raw: &raw::Tls, findings: &mut Findings) -> Option<Tls> {
    let version = version(raw.min_version.as_ref(), findings);
    let auth = auth(raw.client_auth.as_ref(), findings);
    let principals = principals(raw.principal_mapping.as_deref(), findings);
    if raw.client_ca.is_none() {
        let without = [
            raw.client_auth.as_ref().map(|text| (text.at, "client_auth")),
            raw.principal_mapping.as_deref().and_then(<[_]>::first).map(|text| (text.at, "principal_mapping")),
        ];
        for (at, key) in without.into_iter().flatten() {
            let what = format!("`{key}` is of clients' certificates, and they are asked for none");
            findings.mistake(
                at,
                what,
                "add `client_ca: /tls/ca.crt`, the authorities of these certificates, or leave it out",
            );
        }
        if raw.client_auth.is_some() || raw.principal_mapping.is_some() {
            return None;
        }
    }
    let identity = Identity { certificate: file(raw.certificate.as_ref()?), key: file(raw.key.as_ref()?) };
    let (auth, principals) = (auth?, principals?);
    let clients = raw.client_ca.as_ref().map(|ca| ClientCertificates { ca: file(ca), auth, principals });
    Some(Tls { identity, clients, min_version: version? })
}

/// A cluster's; `None` where something is wrong.
pub(super) fn client(raw: &raw::ClientTls, findings: &mut Findings) -> Option<ClientTls> {
    let version = version(raw.min_version.as_ref(), findings);
    let name = raw.server_name.as_ref().map(|text| server_name(text, findings));
    let identity = match (&raw.certificate, &raw.key) {
        (Some(certificate), Some(key)) => Some(Identity { certificate: file(certificate), key: file(key) }),
        (None, None) => None,
        (Some(lonely), None) | (None, Some(lonely)) => {
            let missing = if raw.key.is_none() { "key" } else { "certificate" };
            let what = format!("`{lonely}` is of no use without its `{missing}`");
            findings.mistake(lonely.at, what, format!("add `{missing}:`, or leave both out"));
            return None;
        }
    };
    if let Some(None) = name {
        return None;
    }
    Some(ClientTls { ca: raw.ca.as_ref().map(file), identity, server_name: name.flatten(), min_version: version? })
}

pub(super) fn file(text: &Text) -> PathBuf {
    PathBuf::from(&text.value)
}

fn server_name(text: &Text, findings: &mut Findings) -> Option<Arc<str>> {
    if ServerName::try_from(text.value.as_str()).is_ok() {
        return Some(text.value.as_str().into());
    }
    let what = format!("`{text}` is no host name that a certificate could bear");
    findings.mistake(text.at, what, "write a DNS name or an IP address, without a port");
    None
}

fn version(text: Option<&Text>, findings: &mut Findings) -> Option<TlsVersion> {
    word(text, [TlsVersion::Tls12, TlsVersion::Tls13], TlsVersion::as_str, "version of TLS that is spoken", findings)
}

fn auth(text: Option<&Text>, findings: &mut Findings) -> Option<ClientAuth> {
    let all = [ClientAuth::Required, ClientAuth::Optional];
    word(text, all, ClientAuth::as_str, "way to ask clients for certificates", findings)
}

/// One of two words; the default where there is none.
fn word<T: Copy + Default>(
    text: Option<&Text>,
    all: [T; 2],
    says: fn(T) -> &'static str,
    kind: &str,
    findings: &mut Findings,
) -> Option<T> {
    let Some(text) = text else { return Some(T::default()) };
    if let Some(found) = all.into_iter().find(|one| says(*one) == text.value) {
        return Some(found);
    }
    let [one, other] = all.map(says);
    let near = text.is_literal().then(|| nearest(&text.value, [one, other])).flatten();
    let instead = near.map_or_else(|| format!("write {one} or {other}"), |near| format!("did you mean `{near}`?"));
    findings.mistake(text.at, format!("`{text}` is no {kind}"), instead);
    None
}

fn principals(texts: Option<&[Text]>, findings: &mut Findings) -> Option<PrincipalMapping> {
    let Some(texts) = texts else { return Some(PrincipalMapping::default()) };
    match PrincipalMapping::parse(texts.iter().map(|text| text.value.as_str())) {
        Ok(rules) if rules.is_empty() => {
            if let Some(text) = texts.first() {
                findings.mistake(text.at, "there is no rule here: every client would be turned away", "write DEFAULT");
            }
            None
        }
        Ok(rules) => Some(rules),
        Err((number, bad)) => {
            if let Some(text) = texts.get(number) {
                let what = if text.is_literal() { bad.what } else { format!("`{text}` is no rule") };
                findings.mistake(text.at, what, bad.instead);
            }
            None
        }
    }
}
