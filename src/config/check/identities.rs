//! As whom principals come to a cluster: who has which identity, whether it is enough to be let in, and whether anybody has it.

use super::super::findings::Findings;
use super::super::identities::{Identities, Mapped, Unmapped};
use super::super::login::Login;
use super::super::raw::{self, File};
use super::super::read::Text;
use super::super::suggest::nearest;
use super::super::tls::{ClientTls, Identity};
use super::authorization::whom;
use super::{label, logins, tls};
use crate::rights::EVERYONE;
use crate::types::{Guise, Principal};
use std::collections::BTreeMap;

/// What a file says of principals beside its clusters.
pub(super) struct Principals {
    /// The members of each group; of those that are wrong, none.
    groups: BTreeMap<String, Vec<Box<str>>>,
    /// No listener asks clients who they are.
    all_are_anonymous: bool,
}

impl Principals {
    pub(super) fn of(raw: &File) -> Self {
        let groups = raw.authorization.iter().flat_map(|one| &one.groups).flatten().map(|group| {
            let members = group.members.iter().flatten().map(|text| text.value.as_str().into());
            (group.name.value.clone(), members.collect())
        });
        let asks =
            |one: &raw::Listener| one.sasl.is_some() || one.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        let all_are_anonymous = !raw.listeners.iter().flatten().any(asks);
        Self { groups: groups.collect(), all_are_anonymous }
    }

    fn members(&self, name: &str) -> Option<&[Box<str>]> {
        self.groups.get(name).map(Vec::as_slice)
    }

    /// Whether a client could be one of these.
    fn can_come(&self, named: &[Box<str>]) -> bool {
        let mut all = named.iter().flat_map(|one| self.members(one).unwrap_or(std::slice::from_ref(one)));
        all.any(|one| !self.all_are_anonymous || **one == *EVERYONE || **one == *Principal::anonymous().as_str())
    }
}

/// A cluster's; `None` where something is wrong. `login` and `tls` are its own.
pub(super) fn identities(
    raw: &raw::Cluster,
    (login, tls): (Option<&Login>, Option<&ClientTls>),
    principals: &Principals,
    findings: &mut Findings,
) -> Option<Identities> {
    let unmapped = raw.unmapped.as_ref().map(|text| unmapped(text, findings));
    let Some(list) = &raw.identities else {
        return match &raw.unmapped {
            None => Some(Identities::default()),
            Some(text) => {
                let what =
                    "`unmapped` says what a principal without an identity gets, and this cluster has no identities";
                findings.mistake(text.at, what, "add `identities`, or leave it out");
                None
            }
        };
    };
    if list.is_empty() {
        return None;
    }
    let before = findings.mistakes();
    let all: Vec<_> = list.iter().map(|one| mapped(one, (raw, login, tls), principals, findings)).collect();
    let everyone = list.iter().find_map(|one| one.principals.iter().flatten().find(|text| text.value == EVERYONE));
    match (&raw.unmapped, everyone) {
        (None, None) => {
            let what = format!(
                "the cluster `{}` has identities and does not say what becomes of principals that have none",
                raw.name
            );
            let instead = "add `unmapped: refuse`, or `unmapped: own`, where they may what Fishplate itself may";
            findings.mistake(list.first().map_or(raw.name.at, |one| one.at), what, instead);
        }
        (Some(text), Some(_)) => {
            let what = format!("nobody is without an identity: one has `{EVERYONE}`");
            findings.warning(text.at, what, "leave `unmapped` out");
        }
        _ => {}
    }
    if findings.mistakes() > before {
        return None;
    }
    // With `User:*` it says nothing.
    let unmapped = unmapped.unwrap_or(Some(Unmapped::Own))?;
    let unmapped = if everyone.is_some() { Unmapped::Own } else { unmapped };
    let all = all.into_iter().collect::<Option<Vec<_>>>()?;
    match Identities::new(all, unmapped, |group| principals.members(group)) {
        Ok(identities) => Some(identities),
        Err(twice) => {
            for (principal, first, second) in twice {
                let (Some(first), Some(second)) = (list.get(first), list.get(second)) else { continue };
                let at = second.principals.iter().flatten().find(|text| has(text, &principal, principals));
                let what = format!(
                    "`{principal}` would be both `{}` and `{}` at the cluster `{}`",
                    first.name, second.name, raw.name
                );
                findings.mistake(at.map_or(second.at, |text| text.at), what, "take it out of one of the two");
            }
            None
        }
    }
}

fn has(text: &Text, principal: &str, principals: &Principals) -> bool {
    text.value == principal
        || principals.members(&text.value).is_some_and(|all| all.iter().any(|one| **one == *principal))
}

fn unmapped(text: &Text, findings: &mut Findings) -> Option<Unmapped> {
    let known = Unmapped::ALL.into_iter().find(|one| one.as_str() == text.value);
    if known.is_none() {
        let near = text.is_literal().then(|| nearest(&text.value, Unmapped::ALL.map(Unmapped::as_str))).flatten();
        let instead = near.map_or_else(|| "write own or refuse".to_owned(), |near| format!("did you mean `{near}`?"));
        findings.mistake(text.at, format!("`{text}` says nothing of principals without an identity"), instead);
    }
    known
}

fn mapped(
    raw: &raw::Identity,
    (cluster, own_login, own_tls): (&raw::Cluster, Option<&Login>, Option<&ClientTls>),
    principals: &Principals,
    findings: &mut Findings,
) -> Option<Mapped> {
    let name = named(&raw.name, findings);
    let known: Vec<&str> = principals.groups.keys().map(String::as_str).collect();
    let written = raw.principals.iter().flatten().map(|text| whom(text, &known, findings)).collect::<Vec<_>>();
    let written: Option<Vec<_>> = written.into_iter().collect();
    let is_encrypted = cluster.tls.is_some();
    let login = raw.sasl.as_ref().map_or(Some(None), |sasl| logins::of(sasl, is_encrypted, findings).map(Some));
    enters(raw, cluster, findings)?;
    let shown = raw.tls.as_ref().map(|tls| {
        let (certificate, key) = (tls.certificate.as_ref()?, tls.key.as_ref()?);
        Some(Identity { certificate: tls::file(certificate), key: tls::file(key) })
    });
    let (name, login, written) = (name?, login?, written.filter(|_| raw.principals.is_some())?);
    let tls = match shown {
        None => None,
        Some(shown) => Some(ClientTls { identity: Some(shown?), ..own_tls?.clone() }),
    };
    if !principals.can_come(&written) {
        warn_of_nobody(raw, principals, findings);
    }
    // A cluster that is logged in to knows by that alone who comes.
    let is_own = match (&login, &tls) {
        (Some(login), _) => own_login == Some(login),
        (None, Some(tls)) => own_tls.is_some_and(|own| own.identity == tls.identity),
        (None, None) => false,
    };
    if is_own {
        let what = format!("the identity `{name}` is Fishplate itself: who has it may what that may");
        findings.warning(raw.at, what, "give it a user of its own at the cluster");
    }
    let shown = tls.as_ref().and_then(|tls| tls.identity.as_ref());
    let shown = shown.map(|identity| format!("certificate {}", identity.certificate.display()));
    let who: Vec<_> = login.as_ref().map(Login::words).into_iter().chain(shown).collect();
    let guise = Guise::Identity { name: name.value.as_str().into(), who: who.join(", ").into() };
    Some(Mapped { guise, principals: written, login, tls })
}

/// A name for metrics and tables, where one word means Fishplate itself.
fn named<'t>(text: &'t Text, findings: &mut Findings) -> Option<&'t Text> {
    let name = label(text, "an identity", findings)?;
    if name.value != Guise::OWN_NAME {
        return Some(name);
    }
    let what = format!("`{name}` cannot be the name of an identity: metrics say it of Fishplate itself");
    findings.mistake(name.at, what, "take another name");
    None
}

/// All come to one listener of the cluster, since its brokers tell no other addresses: what that asks of Fishplate, it asks of
/// everybody.
fn enters(raw: &raw::Identity, cluster: &raw::Cluster, findings: &mut Findings) -> Option<()> {
    let (at, name) = (raw.at, &raw.name);
    let mut wrong = |at, what: String, instead: &str| {
        findings.mistake(at, what, instead);
        None
    };
    match (&cluster.sasl, &raw.sasl) {
        (Some(_), None) => {
            let what = format!("the identity `{name}` does not say how it logs in, and this cluster asks for that");
            return wrong(
                at,
                what,
                "add its `sasl`, for example `sasl: { mechanism: SCRAM-SHA-512, username: alice, password: \"${ALICE}\" }`",
            );
        }
        (None, Some(sasl)) => {
            let what = format!("the identity `{name}` would log in where Fishplate itself does not");
            return wrong(
                sasl.at,
                what,
                "add the cluster's own `sasl`, or leave this one out: all come to the same listener",
            );
        }
        (None, None) if raw.tls.is_none() => {
            let what = format!("the identity `{name}` has nothing by which the cluster would know it");
            return wrong(at, what, "add its `sasl`, or `tls` with its certificate");
        }
        _ => {}
    }
    match (&cluster.tls, &raw.tls) {
        (None, Some(tls)) => {
            let at = tls.certificate.as_ref().map_or(at, |text| text.at);
            let what = format!("the identity `{name}` has a certificate, and this cluster is entered without TLS");
            wrong(at, what, "add the cluster's own `tls`, or leave this one out")
        }
        _ => Some(()),
    }
}

fn warn_of_nobody(raw: &raw::Identity, principals: &Principals, findings: &mut Findings) {
    let what = format!("nobody has the identity `{}`", raw.name);
    let (why, instead) = match principals.all_are_anonymous {
        true => (
            "no listener asks clients who they are, and all are User:ANONYMOUS",
            "add `sasl`, or `tls` with `client_ca`, to a listener",
        ),
        false => ("its groups have no members", "name a principal, or leave it out"),
    };
    findings.warning(raw.at, format!("{what}: {why}"), instead);
}
