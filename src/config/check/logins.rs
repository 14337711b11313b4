//! How Fishplate logs in to clusters: which keys go with which mechanism, and what is in them.

use super::super::findings::Findings;
use super::super::login::Login;
use super::super::oauth::{Endpoint, MskIam, TokensFrom};
use super::super::raw;
use super::super::read::Text;
use super::super::secret::Secret;
use super::super::suggest::nearest;
use super::super::url::Url;
use crate::types::Mechanism;
use std::sync::Arc;

/// How it logs in to one; `None` where that is wrong, `Some(None)` where it does not.
pub(super) fn login(raw: &raw::Cluster, findings: &mut Findings) -> Option<Option<Login>> {
    let Some(sasl) = &raw.sasl else { return Some(None) };
    of(sasl, raw.tls.is_some(), findings).map(Some)
}

/// What `sasl` says, over TLS or not; `None` where that is wrong.
pub(super) fn of(sasl: &raw::Login, is_encrypted: bool, findings: &mut Findings) -> Option<Login> {
    let way = way(sasl, findings)?;
    let mut checked = Keys { sasl, way, findings, taken: vec![], missing: vec![] };
    let login = match way {
        Way::Of(Mechanism::OauthBearer) => checked.tokens().map(Login::Tokens),
        Way::Of(mechanism) => checked.password(mechanism),
        Way::MskIam => checked.msk_iam().map(|whom| Login::Tokens(TokensFrom::MskIam(whom))),
    };
    let all_taken = checked.others();
    if !is_encrypted {
        warn_of_listeners(sasl, way, findings);
    }
    login.filter(|_| all_taken)
}

/// What is said as it is can be said again by whoever hears it.
fn warn_of_listeners(sasl: &raw::Login, way: Way, findings: &mut Findings) {
    let (at, what) = match way {
        Way::Of(Mechanism::ScramSha256 | Mechanism::ScramSha512) => return,
        Way::Of(Mechanism::Plain) => (sasl.password.as_ref().map(|text| text.at), "password"),
        Way::Of(Mechanism::OauthBearer) | Way::MskIam => (None, "token"),
    };
    let at = at.or(sasl.mechanism.as_ref().map(|text| text.at)).unwrap_or(sasl.at);
    let what = format!("with {} and without TLS everybody on the way can read the {what}", way.name());
    findings.warning(at, what, "write `tls: {}` beside `sasl`, or use SCRAM-SHA-512");
}

/// A mechanism as the config calls it: AWS's own is OAUTHBEARER with a token that AWS makes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Of(Mechanism),
    MskIam,
}

impl Way {
    fn all() -> impl Iterator<Item = Self> {
        Mechanism::ALL.into_iter().map(Self::Of).chain([Self::MskIam])
    }

    fn name(self) -> &'static str {
        match self {
            Self::Of(mechanism) => mechanism.as_str(),
            Self::MskIam => MskIam::NAME,
        }
    }
}

fn way(sasl: &raw::Login, findings: &mut Findings) -> Option<Way> {
    let names: Vec<_> = Way::all().map(Way::name).collect();
    let name = one_of(sasl.mechanism.as_ref()?, &names, "Fishplate logs in with", findings)?;
    Way::all().find(|way| way.name() == name)
}

/// The mechanism that a text names.
pub(super) fn mechanism(text: &Text, who: &str, findings: &mut Findings) -> Option<Mechanism> {
    let names = Mechanism::ALL.map(Mechanism::as_str);
    one_of(text, &names, who, findings).and_then(Mechanism::named)
}

fn one_of<'n>(text: &Text, names: &[&'n str], who: &str, findings: &mut Findings) -> Option<&'n str> {
    let known = names.iter().find(|name| **name == text.value);
    if known.is_none() {
        let typed = text.value.to_ascii_uppercase();
        let near = |typed: &str| nearest(typed, names.iter().copied());
        let near = text.is_literal().then(|| near(&typed.replace('_', "-")).or_else(|| near(&typed))).flatten();
        let instead =
            near.map_or_else(|| format!("write one of {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
        findings.mistake(text.at, format!("`{text}` is no mechanism that {who}"), instead);
    }
    known.copied()
}

/// The keys of one `sasl`, of which those that are looked at go with its mechanism.
struct Keys<'a, 'f> {
    sasl: &'a raw::Login,
    way: Way,
    findings: &'f mut Findings,
    taken: Vec<&'static str>,
    /// Keys that are needed and not there, each with an example of its value.
    missing: Vec<(&'static str, &'static str)>,
}

impl<'a> Keys<'a, '_> {
    /// The key's value, if it is there.
    fn optional(&mut self, key: &'static str) -> Option<&'a Text> {
        self.taken.push(key);
        self.sasl.written().find(|(written, _)| *written == key).map(|(_, text)| text)
    }

    /// The key's value; that it is not there is a mistake.
    fn required(&mut self, key: &'static str, example: &'static str) -> Option<&'a Text> {
        let text = self.optional(key);
        if text.is_none() {
            self.missing.push((key, example));
        }
        text
    }

    /// Whether no key is missing, and none is left that goes with another mechanism.
    fn others(self) -> bool {
        let mut all_well = self.missing.is_empty();
        if !all_well {
            let keys: Vec<_> = self.missing.iter().map(|(key, _)| format!("`{key}`")).collect();
            let lines: Vec<_> = self.missing.iter().map(|(key, example)| format!("{key}: {example}")).collect();
            let what = format!("sasl with {} needs {}", self.way.name(), keys.join(" and "));
            self.findings.mistake(self.sasl.at, what, format!("add for example `{}`", lines.join(", ")));
        }
        for (key, text) in self.sasl.written().filter(|(key, _)| !self.taken.contains(key)) {
            let what = format!("`{key}` does not go with {}", self.way.name());
            let with =
                if self.taken.is_empty() { String::new() } else { format!("; with it go {}", self.taken.join(", ")) };
            self.findings.mistake(text.at, what, format!("leave it out{with}"));
            all_well = false;
        }
        all_well
    }

    fn password(&mut self, mechanism: Mechanism) -> Option<Login> {
        let username = self.required("username", "fishplate");
        let password = self.required("password", "\"${KAFKA_PASSWORD}\"");
        let (username, password) = (username?.value.as_str().into(), Secret::new(password?.value.clone()));
        Some(Login::Password { mechanism, username, password })
    }

    fn tokens(&mut self) -> Option<TokensFrom> {
        if self.sasl.token_url.is_none() {
            if let Some(file) = self.optional("token_file") {
                return Some(TokensFrom::File(file.value.as_str().into()));
            }
            let what = "sasl with OAUTHBEARER needs `token_file`, or `token_url` with `client_id` and `client_secret`";
            let example = "token_file: /var/run/secrets/kafka/token";
            self.findings.mistake(self.sasl.at, what, format!("add for example `{example}`"));
            self.taken.extend(["token_url", "client_id", "client_secret", "scope", "audience", "ca"]);
            return None;
        }
        let url = self.optional("token_url").and_then(|text| url(text, self.findings));
        let client_id = self.required("client_id", "fishplate");
        let client_secret = self.required("client_secret", "\"${KAFKA_CLIENT_SECRET}\"");
        let optional = |text: Option<&Text>| text.map(|text| Arc::from(text.value.as_str()));
        let (scope, audience) = (optional(self.optional("scope")), optional(self.optional("audience")));
        let ca = self.optional("ca").map(|text| text.value.as_str().into());
        let (client_id, client_secret) = (client_id?.value.as_str().into(), Secret::new(client_secret?.value.clone()));
        Some(TokensFrom::Endpoint(Endpoint { url: url?, client_id, client_secret, scope, audience, ca }))
    }

    fn msk_iam(&mut self) -> Option<MskIam> {
        let region = self.required("region", "eu-central-1");
        let (role, profile) = (self.optional("role"), self.optional("profile"));
        if !cfg!(feature = "msk-iam") {
            let at = self.sasl.mechanism.as_ref().map_or(self.sasl.at, |text| text.at);
            let what = format!("this Fishplate was built without {}: it cannot log in to this cluster", MskIam::NAME);
            self.findings.warning(at, what, "take a released one, or build with `--features msk-iam`");
        }
        let region = region?;
        let of_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if region.value.is_empty() || !region.value.chars().all(of_region) {
            let instead = "write it as AWS does, for example eu-central-1";
            self.findings.mistake(region.at, format!("`{region}` is no region of AWS"), instead);
            return None;
        }
        if let Some(role) = role.filter(|role| !role.value.starts_with("arn:")) {
            let instead = "write its ARN, for example arn:aws:iam::123456789012:role/fishplate";
            self.findings.mistake(role.at, format!("`{role}` is no role of AWS"), instead);
            return None;
        }
        let optional = |text: Option<&Text>| text.map(|text| Arc::from(text.value.as_str()));
        Some(MskIam { region: region.value.as_str().into(), role: optional(role), profile: optional(profile) })
    }
}

/// An address of HTTP over TLS.
pub(super) fn url(text: &Text, findings: &mut Findings) -> Option<Url> {
    let url = Url::parse(&text.value);
    if let Err((what, instead)) = &url {
        // What stands before an @ may be a password.
        let shown = if text.value.contains('@') { "this address".to_owned() } else { format!("`{text}`") };
        findings.mistake(text.at, format!("{shown} {what}"), *instead);
    }
    url.ok()
}
