//! Which tokens a listener takes: addresses and times that make sense.

use super::super::findings::Findings;
use super::super::oauth::{JwksAt, Oauthbearer};
use super::super::raw;
use super::super::read::Text;
use super::logins::url;
use std::sync::Arc;
use std::time::Duration;

/// `None` where something is wrong.
pub(super) fn oauthbearer(raw: &raw::Oauthbearer, findings: &mut Findings) -> Option<Oauthbearer> {
    let jwks = raw.jwks.as_ref().and_then(|text| jwks(text, raw.ca.as_ref(), findings));
    let clock_skew = raw.clock_skew.map_or(Oauthbearer::CLOCK_SKEW, |amount| {
        let skew = Duration::from_millis(amount.value);
        if skew > Oauthbearer::MOST_CLOCK_SKEW {
            let what = format!("with a clock skew of {skew:?} tokens would hardly expire");
            findings.mistake(amount.at, what, "write at most 10m, for example 30s");
        }
        skew
    });
    let text = |text: &Text| Arc::from(text.value.as_str());
    Some(Oauthbearer {
        jwks: jwks?,
        issuer: raw.issuer.as_ref().map(text)?,
        audience: raw.audience.iter().flatten().map(text).collect(),
        clock_skew,
        principal_claim: raw.principal_claim.as_ref().map_or_else(|| Oauthbearer::PRINCIPAL_CLAIM.into(), text),
    })
}

fn jwks(text: &Text, ca: Option<&Text>, findings: &mut Findings) -> Option<JwksAt> {
    if text.value.contains("://") {
        let ca = ca.map(|ca| ca.value.as_str().into());
        return url(text, findings).map(|url| JwksAt::Url { url, ca });
    }
    if let Some(ca) = ca {
        findings.mistake(
            ca.at,
            "`ca` is of no use with a file of keys",
            "leave it out, or write an address for `jwks`",
        );
        return None;
    }
    Some(JwksAt::File(text.value.as_str().into()))
}
