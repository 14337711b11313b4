//! Why a token is not taken, for the operator. The client is told nothing of it (`oauthbearer`).

use std::time::Duration;

/// See the module's text. Texts out of a token are cut and cleaned before they come in here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing is read of such a long one.
    #[error("the token has {0} bytes; at most {most} are read", most = super::jws::LONGEST)]
    TooLong(usize),
    /// It is no JWT.
    #[error("the token is no JWT: {0}")]
    Malformed(&'static str),
    /// `none`, a shared secret, or one that nobody here can check.
    #[error(
        "the token is signed with {0}, which is not taken: RS, PS and ES with 256 or 384, RS and PS with 512, and EdDSA are"
    )]
    Algorithm(Shown),
    /// There is no key at all.
    #[error("there are no keys to check tokens with yet: look for what was logged about the JWKS")]
    NoKeys,
    /// The issuer may have a new key.
    #[error("no key of the JWKS has the token's key id {0}")]
    UnknownKey(Shown),
    /// It names a key of another kind, or one that is for something else.
    #[error("the key {0} is not for what the token is signed with ({1})")]
    OtherKey(Shown, &'static str),
    /// It was changed, or signed by somebody else.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim is not there, or is of another type.
    #[error("the token has no claim `{0}` that is {1}")]
    Claim(Shown, &'static str),
    /// Its time is over.
    #[error("the token expired {0:?} ago")]
    Expired(Duration),
    /// Its time has not come.
    #[error("the token's time begins in {0:?} (`{1}`): is the issuer's clock ahead, or ours behind?")]
    NotYet(Duration, &'static str),
    /// Somebody else's.
    #[error("the token's issuer is `{0}`; the listener takes those of `{1}`")]
    Issuer(Shown, Shown),
    /// For somebody else.
    #[error("the token is for {0}; the listener takes those for {1}")]
    Audience(Shown, Shown),
}

impl Refused {
    /// The kind of it, without anything of the token: for who counts and audits.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "the token is too long",
            Self::Malformed(_) => "the token is no JWT",
            Self::Algorithm(_) => "the token is signed in a way that is not taken",
            Self::NoKeys => "there are no keys to check tokens with",
            Self::UnknownKey(_) => "no key has the token's key id",
            Self::OtherKey(..) => "the token names a key of another kind",
            Self::Signature => "the token's signature is wrong",
            Self::Claim(..) => "the token lacks a claim",
            Self::Expired(_) => "the token has expired",
            Self::NotYet(..) => "the token's time has not begun",
            Self::Issuer(..) => "the token is of another issuer",
            Self::Audience(..) => "the token is for somebody else",
        }
    }
}

/// Something of a token or a set of keys as it may stand in a log: short, and without control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown(Box<str>);

impl Shown {
    const LONGEST: usize = 100;

    /// Of any text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let clean = |c: char| if c.is_control() { '?' } else { c };
        let mut shown: String = text.chars().take(Self::LONGEST).map(clean).collect();
        if shown.len() < text.len() && text.chars().nth(Self::LONGEST).is_some() {
            shown.push_str("...");
        }
        Self(shown.into())
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_short_and_has_no_control_characters() {
        assert_eq!(Shown::of("a\nb\u{1b}").to_string(), "a?b?");
        assert_eq!(Shown::of(&"\u{e4}".repeat(100)).to_string(), "\u{e4}".repeat(100));
        assert_eq!(Shown::of(&"\u{e4}".repeat(101)).to_string(), "\u{e4}".repeat(100) + "...");
    }
}
