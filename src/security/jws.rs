//! Signed texts in their compact form (RFC 7515): three parts with dots between them. Whose key signed is `jwks`'s, what the
//! text says `jwt`'s.

use super::refused::{Refused, Shown};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Longer tokens are refused unread. Those of issuers that list a person's groups take some KiB.
pub const LONGEST: usize = 32 << 10;

/// How something is signed. There is no `none`, and nothing with a shared secret: who can check such can also sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA, PKCS #1 1.5, SHA-256.
    Rs256,
    /// The same with SHA-384.
    Rs384,
    /// The same with SHA-512.
    Rs512,
    /// RSA, PSS, SHA-256.
    Ps256,
    /// The same with SHA-384.
    Ps384,
    /// The same with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// As they are called (RFC 7518, 3.1; RFC 8037, 3.1; RFC 9864, 2.2).
    const NAMES: [(&str, Self); 10] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
        ("Ed25519", Self::EdDsa),
    ];

    /// By its name, which is written exactly so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, algorithm)| algorithm)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.into_iter().find(|(_, algorithm)| *algorithm == self).map_or("", |(name, _)| name)
    }
}

/// A signed text, taken apart and not checked.
pub struct Compact<'a> {
    /// How it says that it is signed.
    pub algorithm: Algorithm,
    /// With which key, if it says so.
    pub key_id: Option<String>,
    /// What is signed.
    pub signed: &'a str,
    /// What the signature is.
    pub signature: Vec<u8>,
    payload: &'a str,
}

/// What else a header may say (`jku`, `jwk`, `x5u`, `x5c`) would let a token choose who is to be believed: nobody reads it.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

impl<'a> Compact<'a> {
    /// Takes it apart.
    ///
    /// # Errors
    ///
    /// What is no such text, is too long, or says that it is signed in a way that nobody here takes.
    pub fn read(token: &'a str) -> Result<Self, Refused> {
        if token.len() > LONGEST {
            return Err(Refused::TooLong(token.len()));
        }
        let three = Refused::Malformed(
            "it has not three parts with dots between (an opaque or encrypted token cannot be checked)",
        );
        let (signed, signature) = token.rsplit_once('.').ok_or(three.clone())?;
        let (header, payload) = signed.split_once('.').ok_or(three.clone())?;
        if payload.contains('.') {
            return Err(three);
        }
        let header = decoded(header, "its header is not base64url")?;
        let header: Header = serde_json::from_slice(&header)
            .map_err(|_| Refused::Malformed("its header is no JSON object with an `alg`"))?;
        let algorithm = Algorithm::named(&header.alg).ok_or_else(|| Refused::Algorithm(Shown::of(&header.alg)))?;
        if header.crit.is_some() {
            return Err(Refused::Malformed("its header asks for extensions (`crit`)"));
        }
        let signature = decoded(signature, "its signature is not base64url")?;
        Ok(Self { algorithm, key_id: header.kid, signed, signature, payload })
    }

    /// The text itself. Whoever has not checked the signature believes anybody.
    ///
    /// # Errors
    ///
    /// It is not base64url.
    pub fn payload(&self) -> Result<Vec<u8>, Refused> {
        decoded(self.payload, "its text is not base64url")
    }
}

/// Strictly: no padding, no line breaks, and no bits left over, so that nothing is written in two ways.
fn decoded(text: &str, what: &'static str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused::Malformed(what))
}

impl std::fmt::Debug for Compact<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compact")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with_header(json: &str) -> Result<Algorithm, Refused> {
        let token = format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(json));
        Compact::read(&token).map(|compact| compact.algorithm)
    }

    #[test]
    fn none_and_shared_secrets_are_not_taken() {
        for name in
            ["none", "None", "NONE", "", "HS256", "HS384", "HS512", "rs256", "ES512", "ES256K", "RSA-OAEP", "dir"]
        {
            let refused = with_header(&format!("{{\"alg\":\"{name}\"}}"));
            assert!(matches!(refused, Err(Refused::Algorithm(_))), "{name}: {refused:?}");
        }
        assert_eq!(with_header("{\"alg\":\"ES384\",\"typ\":\"at+jwt\"}"), Ok(Algorithm::Es384));
    }

    #[test]
    fn headers_that_ask_for_what_is_not_done_are_refused() {
        for header in [
            "{\"alg\":\"RS256\",\"crit\":[\"b64\"],\"b64\":false}",
            "{\"alg\":\"RS256\",\"crit\":[]}",
            "{}",
            "[]",
            "null",
            "{\"alg\":[\"RS256\"]}",
            "{\"alg\":\"RS256\",\"kid\":7}",
            "{\"alg\":\"RS256\",\"alg\":\"none\"}",
            "{\"alg\":\"RS256\"} x",
        ] {
            assert!(matches!(with_header(header), Err(Refused::Malformed(_))), "{header}");
        }
    }

    #[test]
    fn what_has_not_three_parts_of_base64url_is_none() {
        let header = URL_SAFE_NO_PAD.encode("{\"alg\":\"RS256\"}");
        for token in [
            String::new(),
            ".".into(),
            "..".into(),
            format!("{header}.e30"),
            format!("{header}.e30.AA.AA"),
            format!("{header}=.e30.AA"),
            format!("{header}.e30.AB"),
            format!("{header}.e30.A+A"),
            format!("{header}.e30.AA=="),
            format!("{header}.e30. AA"),
        ] {
            assert!(matches!(Compact::read(&token), Err(Refused::Malformed(_))), "{token}");
        }
        assert_eq!(Compact::read(&"a".repeat(LONGEST + 1)).unwrap_err(), Refused::TooLong(LONGEST + 1));
    }

    #[test]
    fn each_name_is_the_name_of_what_it_names() {
        for (name, algorithm) in Algorithm::NAMES.into_iter().take(9) {
            assert_eq!((Algorithm::named(name), algorithm.name()), (Some(algorithm), name));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,100}|[A-Za-z0-9_.-]{0,100}") {
            let _ = Compact::read(&text).map(|compact| compact.payload());
        }
    }
}
