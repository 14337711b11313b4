//! An issuer of tokens: keys of every kind that are taken, their JWKS, and JWTs that say what a test wants.

#![allow(unreachable_pub, reason = "also a module of the crate's own tests")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding};
use serde_json::{Value, json};

/// A key of tests only, made with openssl.
static RSA: &[u8] = include_bytes!("../vectors/rsa-2048.pk8");

/// One key of an issuer.
pub struct Signer {
    id: String,
    algorithm: &'static str,
    key: Key,
}

enum Key {
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// All that are taken.
pub const ALGORITHMS: [&str; 9] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    /// A new key; of RSA it is always the same.
    pub fn new(algorithm: &'static str, id: &str) -> Self {
        let random = SystemRandom::new();
        let rsa = |encoding| Key::Rsa(Box::new(RsaKeyPair::from_pkcs8(RSA).unwrap()), encoding);
        let ec = |curve| {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
            Key::Ec(EcdsaKeyPair::from_pkcs8(curve, pkcs8.as_ref(), &random).unwrap())
        };
        let key = match algorithm {
            "RS256" => rsa(&signature::RSA_PKCS1_SHA256),
            "RS384" => rsa(&signature::RSA_PKCS1_SHA384),
            "RS512" => rsa(&signature::RSA_PKCS1_SHA512),
            "PS256" => rsa(&signature::RSA_PSS_SHA256),
            "PS384" => rsa(&signature::RSA_PSS_SHA384),
            "PS512" => rsa(&signature::RSA_PSS_SHA512),
            "ES256" => ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            _ => {
                let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                Key::Ed(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
            }
        };
        Self { id: id.to_owned(), algorithm, key }
    }

    /// Its public half.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.key {
            Key::Rsa(pair, _) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "n": base64url(n), "e": base64url(e) })
            }
            Key::Ec(pair) => {
                let (curve, point) = (&self.algorithm[2..], pair.public_key().as_ref());
                let (x, y) = point[1..].split_at(point.len() / 2);
                json!({ "kty": "EC", "crv": format!("P-{curve}"), "x": base64url(x), "y": base64url(y) })
            }
            Key::Ed(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key()) }),
        };
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    /// A JWT with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": self.algorithm, "kid": self.id, "typ": "JWT" }), &claims.to_string())
    }

    /// Any text with any header.
    pub fn sign(&self, header: &Value, payload: &str) -> String {
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(payload));
        let (bytes, random) = (signed.as_bytes(), SystemRandom::new());
        let signature = match &self.key {
            Key::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &random, bytes, &mut signature).unwrap();
                signature
            }
            Key::Ec(pair) => pair.sign(&random, bytes).unwrap().as_ref().to_vec(),
            Key::Ed(pair) => pair.sign(bytes).as_ref().to_vec(),
        };
        format!("{signed}.{}", base64url(signature))
    }
}

/// What the issuer tells everybody.
pub fn jwks<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> String {
    json!({ "keys": signers.into_iter().map(Signer::jwk).collect::<Vec<_>>() }).to_string()
}
