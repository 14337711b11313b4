//! Whether a JWT (RFC 7519) is good for a listener, whom it names and until when. Pure: keys and time come from the caller.

use super::jwks::Jwks;
use super::jws::Compact;
use super::refused::{Refused, Shown};
use crate::config::oauth::Oauthbearer;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whom a token names, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The principal's name, without Kafka's `User:`.
    pub principal: Arc<str>,
    /// The session ends then, unless a newer token comes before (KIP-368). Later than the time of judging.
    pub expires: SystemTime,
}

/// Longer names are no names.
const LONGEST_PRINCIPAL: usize = 1_024;
/// The end of the year 9999: later than any token lasts, and within what a time can be.
const END_OF_TIME: i64 = 253_402_300_799;

/// Judges a token.
///
/// # Errors
///
/// Why it is not taken. What its claims say is told only where its signature is right.
pub fn verify(token: &str, keys: &Jwks, rules: &Oauthbearer, now: SystemTime) -> Result<Verified, Refused> {
    let compact = Compact::read(token)?;
    keys.verify(&compact)?;
    Claims::read(&compact.payload()?)?.judge(rules, now)
}

/// When a token that was given to us expires, if it is a JWT that says so. Nobody's signature is checked: it is the cluster that judges it.
#[must_use]
pub fn expires(token: &str) -> Option<SystemTime> {
    let payload = Compact::read(token).ok()?.payload().ok()?;
    let seconds = Claims::read(&payload).ok()?.time("exp").ok()??;
    Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?))
}

struct Claims(Map<String, Value>);

impl Claims {
    fn read(payload: &[u8]) -> Result<Self, Refused> {
        serde_json::from_slice(payload).map(Self).map_err(|_| Refused::Malformed("its text is no JSON object"))
    }

    fn judge(&self, rules: &Oauthbearer, now: SystemTime) -> Result<Verified, Refused> {
        let issuer = self.text("iss")?;
        if issuer != &*rules.issuer {
            return Err(Refused::Issuer(Shown::of(issuer), Shown::of(&rules.issuer)));
        }
        self.is_for(&rules.audience)?;
        let expires = self.lasts(rules.clock_skew, now)?;
        let principal = self.text(&rules.principal_claim)?;
        let is_name =
            !principal.is_empty() && principal.len() <= LONGEST_PRINCIPAL && !principal.chars().any(char::is_control);
        if !is_name {
            return Err(Refused::Claim(Shown::of(&rules.principal_claim), "a name"));
        }
        Ok(Verified { principal: principal.into(), expires })
    }

    fn text(&self, claim: &str) -> Result<&str, Refused> {
        self.0.get(claim).and_then(Value::as_str).ok_or_else(|| Refused::Claim(Shown::of(claim), "a text"))
    }

    /// Whom it is for must be one of us; without a word about who we are, it must be for nobody in particular.
    fn is_for(&self, audience: &[Arc<str>]) -> Result<(), Refused> {
        let said: Vec<&str> = match self.0.get("aud") {
            None => Vec::new(),
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) if all.iter().all(Value::is_string) => {
                all.iter().filter_map(Value::as_str).collect()
            }
            Some(_) => return Err(Refused::Claim(Shown::of("aud"), "a text or a list of texts")),
        };
        let ours = |said: &&str| audience.iter().any(|ours| **ours == **said);
        let is_for_us = if audience.is_empty() { said.is_empty() } else { said.iter().any(ours) };
        if is_for_us {
            return Ok(());
        }
        let shown = |all: &[&str]| match all {
            [] => Shown::of("nobody in particular"),
            all => Shown::of(&all.join(", ")),
        };
        Err(Refused::Audience(shown(&said), shown(&audience.iter().map(AsRef::as_ref).collect::<Vec<_>>())))
    }

    /// Until when it lasts: `exp` and `iat` must be there, as Kafka has it, and `nbf` may.
    fn lasts(&self, skew: Duration, now: SystemTime) -> Result<SystemTime, Refused> {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(END_OF_TIME);
        let (now, skew) = (seconds(now.duration_since(UNIX_EPOCH).unwrap_or_default()), seconds(skew));
        let needed = |claim| self.time(claim)?.ok_or_else(|| Refused::Claim(Shown::of(claim), TIME));
        let (expires, issued) = (needed("exp")?, needed("iat")?);
        let distance = |from: i64, to: i64| Duration::from_secs(u64::try_from(to - from).unwrap_or_default());
        if now.saturating_sub(skew) >= expires {
            return Err(Refused::Expired(distance(expires, now)));
        }
        for (claim, begins) in [("nbf", self.time("nbf")?), ("iat", Some(issued))] {
            if let Some(begins) = begins.filter(|begins| now.saturating_add(skew) < *begins) {
                return Err(Refused::NotYet(distance(now, begins), claim));
            }
        }
        // One that lives by the skew alone lasts as long as it would be taken.
        let until = if expires > now { expires } else { expires.saturating_add(skew) };
        Ok(UNIX_EPOCH + Duration::from_secs(u64::try_from(until).unwrap_or_default()))
    }

    /// A time in seconds since 1970, whole or not (RFC 7519, 2: NumericDate).
    #[expect(clippy::cast_possible_truncation, reason = "within what the check allows")]
    #[expect(clippy::cast_precision_loss, reason = "the end of time has 38 bits")]
    fn time(&self, claim: &'static str) -> Result<Option<i64>, Refused> {
        let Some(value) = self.0.get(claim) else { return Ok(None) };
        let seconds = value.as_f64().filter(|seconds| (0.0..=END_OF_TIME as f64).contains(seconds));
        seconds.map(|seconds| Some(seconds as i64)).ok_or_else(|| Refused::Claim(Shown::of(claim), TIME))
    }
}

const TIME: &str = "a time in seconds since 1970";

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
