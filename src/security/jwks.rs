//! An issuer's public keys (RFC 7517): read once, then asked whether one of them signed something. Pure.

use super::jws::{Algorithm, Compact};
use super::refused::{Refused, Shown};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self as ways, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use serde_json::Value;

/// Longer sets are not read.
pub const LARGEST: usize = 1 << 20;
/// Issuers have two or three keys; some, one for each of a few tenants.
const MOST_KEYS: usize = 256;
/// A token that names no key is tried with so many: checking costs some ten microseconds.
const MOST_TRIED: usize = 8;
/// In bytes. Smaller ones can be broken, larger ones cost much.
const RSA_SIZES: std::ops::RangeInclusive<usize> = 256..=1_024;

/// A set of keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Jwks {
    keys: Vec<Key>,
    /// Keys of the set that nothing can be checked with, and why.
    pub skipped: Vec<Skipped>,
}

/// A key that is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key {id}: {why}")]
pub struct Skipped {
    id: Shown,
    why: &'static str,
}

/// A set that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoJwks {
    /// Nothing is read of it.
    #[error("it has more than {LARGEST} bytes")]
    TooLarge,
    /// It is something else: an issuer's front page, an OpenID configuration.
    #[error("it is no JSON object with a list `keys`")]
    Malformed,
    /// It is somebody's joke.
    #[error("it has more than {MOST_KEYS} keys")]
    TooMany,
    /// Everybody would be refused.
    #[error("it has no key that can be used{}", .0.as_ref().map(|one| format!(" ({one})")).unwrap_or_default())]
    Empty(Option<Skipped>),
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    id: Option<Box<str>>,
    /// What it is for, where it says so.
    only: Option<Algorithm>,
    material: Material,
}

#[derive(Debug, PartialEq, Eq)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Written {
    keys: Vec<Value>,
}

/// One key as it is written.
#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<serde::de::IgnoredAny>,
}

impl Jwks {
    /// Reads a set. Keys that are of another kind or are for something else are passed over, as RFC 7517 has it.
    ///
    /// # Errors
    ///
    /// It is no set, or none that anything could be checked with.
    pub fn read(text: &[u8]) -> Result<Self, NoJwks> {
        if text.len() > LARGEST {
            return Err(NoJwks::TooLarge);
        }
        let written: Written = serde_json::from_slice(text).map_err(|_| NoJwks::Malformed)?;
        if written.keys.len() > MOST_KEYS {
            return Err(NoJwks::TooMany);
        }
        let mut jwks = Self::default();
        for written in written.keys {
            let id = Shown::of(written.get("kid").and_then(Value::as_str).unwrap_or("without an id"));
            match Key::of(written) {
                Ok(key) => jwks.keys.push(key),
                Err(why) => jwks.skipped.push(Skipped { id, why }),
            }
        }
        if jwks.keys.is_empty() { Err(NoJwks::Empty(jwks.skipped.into_iter().next())) } else { Ok(jwks) }
    }

    /// Whether there are no keys: nothing has been read yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether one of the keys signed this.
    ///
    /// # Errors
    ///
    /// None did. [`Refused::UnknownKey`] where a newer set may have the one that it names.
    pub fn verify(&self, compact: &Compact<'_>) -> Result<(), Refused> {
        let shown = || Shown::of(compact.key_id.as_deref().unwrap_or("(none)"));
        let named: Vec<_> = match &compact.key_id {
            Some(id) => self.keys.iter().filter(|key| key.id.as_deref() == Some(id)).collect(),
            None => self.keys.iter().filter(|key| key.is_for(compact.algorithm)).take(MOST_TRIED).collect(),
        };
        if named.is_empty() {
            return Err(if self.is_empty() { Refused::NoKeys } else { Refused::UnknownKey(shown()) });
        }
        let mut fitting = named.into_iter().filter(|key| key.is_for(compact.algorithm)).peekable();
        if fitting.peek().is_none() {
            return Err(Refused::OtherKey(shown(), compact.algorithm.name()));
        }
        if fitting.any(|key| key.signed(compact)) { Ok(()) } else { Err(Refused::Signature) }
    }
}

impl Key {
    fn of(written: Value) -> Result<Self, &'static str> {
        let written: WrittenKey = serde_json::from_value(written).map_err(|_| "it is not written as a key is")?;
        if written.d.is_some() {
            return Err("it is a private key, which has no place in a set that others read; take a new one");
        }
        if written.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err("it is not for signatures");
        }
        if written.key_ops.as_ref().is_some_and(|all| !all.iter().any(|one| one == "verify")) {
            return Err("it is not for checking signatures");
        }
        let only = match &written.alg {
            Some(name) => Some(Algorithm::named(name).ok_or("it is for an algorithm that is not taken")?),
            None => None,
        };
        let material = Material::of(&written)?;
        if only.is_some_and(|only| !material.is_for(only)) {
            return Err("it is for an algorithm of another kind of key");
        }
        Ok(Self { id: written.kid.map(Into::into), only, material })
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        self.only.is_none_or(|only| only == algorithm) && self.material.is_for(algorithm)
    }

    fn signed(&self, compact: &Compact<'_>) -> bool {
        let (signed, signature) = (compact.signed.as_bytes(), compact.signature.as_slice());
        let plain = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(signed, signature).is_ok()
        };
        match &self.material {
            Material::Rsa { modulus, exponent } => rsa(compact.algorithm).is_some_and(|algorithm| {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(algorithm, signed, signature).is_ok()
            }),
            Material::P256(point) => plain(&ways::ECDSA_P256_SHA256_FIXED, point),
            Material::P384(point) => plain(&ways::ECDSA_P384_SHA384_FIXED, point),
            Material::Ed25519(point) => plain(&ways::ED25519, point),
        }
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&ways::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&ways::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&ways::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&ways::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&ways::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&ways::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}

impl Material {
    fn of(written: &WrittenKey) -> Result<Self, &'static str> {
        match (written.kty.as_str(), written.crv.as_deref()) {
            ("RSA", _) => {
                let (modulus, exponent) = (number(&written.n)?, number(&written.e)?);
                if !RSA_SIZES.contains(&modulus.len()) {
                    return Err("it is an RSA key of less than 2048 or more than 8192 bits");
                }
                Ok(Self::Rsa { modulus, exponent })
            }
            ("EC", Some("P-256")) => point(written, 32).map(Self::P256),
            ("EC", Some("P-384")) => point(written, 48).map(Self::P384),
            ("OKP", Some("Ed25519")) => coordinate(&written.x, 32).map(Self::Ed25519),
            ("oct", _) => Err("it is a shared secret"),
            _ => Err("it is of a kind or on a curve that is not taken"),
        }
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa { .. } => rsa(algorithm).is_some(),
            Self::P256(_) => algorithm == Algorithm::Es256,
            Self::P384(_) => algorithm == Algorithm::Es384,
            Self::Ed25519(_) => algorithm == Algorithm::EdDsa,
        }
    }
}

fn bytes(text: &Option<String>) -> Result<Vec<u8>, &'static str> {
    let text = text.as_deref().ok_or("it lacks a part of its kind of key")?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "a part of it is not base64url")
}

/// Without zeros before it: some issuers write one.
fn number(text: &Option<String>) -> Result<Vec<u8>, &'static str> {
    let bytes = bytes(text)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Ok(bytes.into_iter().skip(zeros).collect())
}

fn coordinate(text: &Option<String>, size: usize) -> Result<Vec<u8>, &'static str> {
    let bytes = bytes(text)?;
    if bytes.len() == size { Ok(bytes) } else { Err("a coordinate of it has another length than its curve asks for") }
}

/// As SEC 1 writes it, uncompressed.
fn point(written: &WrittenKey, size: usize) -> Result<Vec<u8>, &'static str> {
    let mut point = vec![4];
    point.extend(coordinate(&written.x, size)?);
    point.extend(coordinate(&written.y, size)?);
    Ok(point)
}

#[cfg(test)]
#[path = "jwks_tests.rs"]
mod tests;
