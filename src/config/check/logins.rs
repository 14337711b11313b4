//! How Fishplate logs in to clusters.

use super::super::findings::Findings;
use super::super::login::Login;
use super::super::raw;
use super::super::read::Text;
use super::super::secret::Secret;
use super::super::suggest::nearest;
use crate::types::Mechanism;

/// How it logs in to one; `None` where that is wrong, `Some(None)` where it does not.
pub(super) fn login(raw: &raw::Cluster, findings: &mut Findings) -> Option<Option<Login>> {
    let Some(sasl) = &raw.sasl else { return Some(None) };
    let mechanism = sasl.mechanism.as_ref().and_then(|text| mechanism(text, "Fishplate logs in with", findings));
    let (username, password) = (sasl.username.as_ref()?, sasl.password.as_ref()?);
    let mechanism = mechanism?;
    if mechanism == Mechanism::Plain && raw.tls.is_none() {
        let what = "with PLAIN and without TLS everybody on the way can read the password";
        findings.warning(password.at, what, "write `tls: {}` beside `sasl`, or use SCRAM-SHA-512");
    }
    Some(Some(Login::Password {
        mechanism,
        username: username.value.as_str().into(),
        password: Secret::new(password.value.clone()),
    }))
}

/// The mechanism that a text names.
pub(super) fn mechanism(text: &Text, who: &str, findings: &mut Findings) -> Option<Mechanism> {
    let known = Mechanism::named(&text.value);
    if known.is_none() {
        let names = Mechanism::ALL.map(Mechanism::as_str);
        let typed = text.value.to_ascii_uppercase().replace('_', "-");
        let near = text.is_literal().then(|| nearest(&typed, names)).flatten();
        let instead =
            near.map_or_else(|| format!("write one of {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
        findings.mistake(text.at, format!("`{text}` is no mechanism that {who}"), instead);
    }
    known
}
