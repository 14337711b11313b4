//! SASL of listeners, as a file says it; users that stand in the config itself are left out.

use super::{text, time};
use crate::config::oauth::{JwksAt, Oauthbearer};
use crate::config::sasl::Sasl;
use crate::config::secret::{Secret, TextFrom};
use serde_json::{Value, json};

/// A listener's.
pub(super) fn of_listener(sasl: &Sasl) -> Value {
    let mechanisms: Vec<_> = sasl.mechanisms.iter().map(|one| one.as_str()).collect();
    let mut file = json!({ "mechanisms": mechanisms });
    match &sasl.users {
        Some(TextFrom::File(path)) => file["users_file"] = text(path.to_string_lossy()),
        Some(TextFrom::Text(_)) => file["users"] = Secret::HIDDEN.into(),
        None => {}
    }
    if let Some(lifetime) = sasl.session_lifetime {
        file["session_lifetime"] = time(lifetime).into();
    }
    if let Some(tokens) = &sasl.oauthbearer {
        file["oauthbearer"] = oauthbearer(tokens);
    }
    file
}

fn oauthbearer(tokens: &Oauthbearer) -> Value {
    let Oauthbearer { jwks, issuer, audience, clock_skew, principal_claim } = tokens;
    let mut file = json!({
        "jwks": text(jwks.to_string()),
        "issuer": text(issuer),
        "clock_skew": time(*clock_skew),
        "principal_claim": text(principal_claim),
    });
    if !audience.is_empty() {
        file["audience"] = audience.iter().map(text).collect();
    }
    if let JwksAt::Url { ca: Some(ca), .. } = jwks {
        file["ca"] = text(ca.to_string_lossy());
    }
    file
}
