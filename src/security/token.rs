//! A token to show a cluster, and when to get the next one. Pure.

use super::{jwt, oauthbearer};
use crate::config::Secret;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What a cluster is shown. Not in any Debug output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its text.
    pub secret: Secret,
    /// It is good until then, as far as anybody has said.
    pub expires: Option<SystemTime>,
}

/// No token could be got: what happened, to what, and what to do. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoToken(pub Arc<str>);

impl NoToken {
    pub(super) fn new(what: impl Into<Arc<str>>) -> Self {
        Self(what.into())
    }
}

/// What says nothing of its end is asked for again after this time.
const UNTOLD: Duration = Duration::from_secs(300);
/// A longer life than this is not believed: the next token is asked for then.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// Longer ones do not fit a first message (`oauthbearer`).
const LARGEST: usize = 32 << 10;

impl Token {
    /// Of a text that may be sent.
    ///
    /// # Errors
    ///
    /// It cannot be a token: it is empty, too long, or has characters that end one.
    pub fn new(text: &str, expires: Option<SystemTime>) -> Result<Self, NoToken> {
        if text.len() > LARGEST {
            return Err(NoToken::new(format!("a token of {} bytes; at most {LARGEST} can be sent", text.len())));
        }
        if !oauthbearer::is_token(text) {
            return Err(NoToken::new("what came is empty or has characters that no token has"));
        }
        Ok(Self { secret: Secret::new(text.to_owned()), expires: expires.or_else(|| jwt::expires(text)) })
    }

    /// Whether it can be shown at `now`.
    #[must_use]
    pub fn is_good(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// When the next one is to be asked for, of one that came at `now`: after 75 to 85 % of its life, as Kafka's clients do,
    /// by a `dice` from 0 to 1, so that several Fishplates do not ask at once.
    #[must_use]
    pub fn renewal(&self, now: SystemTime, dice: f64) -> SystemTime {
        let life = self.expires.map_or(UNTOLD, |expires| expires.duration_since(now).unwrap_or_default().min(LONGEST));
        now + life.mul_f64(0.75 + 0.1 * dice.clamp(0.0, 1.0))
    }
}

/// How long to leave a source alone that has failed so many times in a row: half a second to half a minute, by a `dice`.
#[must_use]
pub fn back_off(failures: u32, dice: f64) -> Duration {
    let doubled = Duration::from_millis(500).saturating_mul(1 << failures.saturating_sub(1).min(6));
    doubled.min(Duration::from_secs(30)).mul_f64(0.8 + 0.2 * dice.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn what_is_no_token_is_refused() {
        for wrong in ["", "a b", "a\n", "a\u{1}", "\u{e4}", "=="] {
            assert!(Token::new(wrong, None).is_err(), "{wrong:?}");
        }
        assert!(Token::new(&"a".repeat(LARGEST + 1), None).is_err());
        assert!(!format!("{:?}", Token::new("hunter2", None)).contains("hunter2"));
    }

    #[test]
    fn waits_grow_to_half_a_minute_and_no_further() {
        let waits: Vec<_> = (1..12).map(|failures| back_off(failures, 1.0).as_millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000, 30_000]);
        assert_eq!(back_off(1, 0.0), Duration::from_millis(400));
        assert_eq!(back_off(u32::MAX, 0.0), Duration::from_secs(24));
    }

    proptest! {
        #[test]
        fn the_next_one_is_asked_for_while_this_one_is_good(life in 1..100_000_000_u64, dice in 0.0..1.0_f64) {
            let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            let token = Token::new("t", Some(now + Duration::from_secs(life))).unwrap();
            let renewal = token.renewal(now, dice);
            prop_assert!(renewal > now && token.is_good(renewal) && renewal <= now + LONGEST);
            prop_assert!(!token.is_good(now + Duration::from_secs(life)));
        }

        #[test]
        fn no_end_makes_it_panic(seconds in 0..100_000_000_000_u64, dice in any::<f64>()) {
            let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            let token = Token::new("t", Some(UNIX_EPOCH + Duration::from_secs(seconds))).unwrap();
            prop_assert!(token.renewal(now, dice) >= now);
        }
    }
}
