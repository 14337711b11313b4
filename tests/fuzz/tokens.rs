//! Tokens, the messages that bring them, and sets of keys, damaged: nothing that was changed is taken.

use super::issuer::{ALGORITHMS, Signer, jwks};
use super::messages::damage::damage;
use bytes::Bytes;
use fastrand::Rng;
use fishplate::config::Secret;
use fishplate::config::oauth::{JwksAt, Oauthbearer};
use fishplate::security::jwks::Jwks;
use fishplate::security::jwt::verify;
use fishplate::security::oauthbearer::{ClientExchange, ClientFirst, ServerExchange};
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NOW: u64 = 1_800_000_000;

/// An issuer and what it has signed.
pub struct Tokens {
    set: String,
    keys: Jwks,
    rules: Oauthbearer,
    good: Vec<String>,
    signers: Vec<Signer>,
}

impl Tokens {
    pub fn new() -> Self {
        let signers: Vec<_> = ALGORITHMS.iter().map(|name| Signer::new(name, name)).collect();
        let claims = json!({ "iss": "i", "aud": ["k"], "sub": "ann", "iat": NOW - 1, "nbf": NOW - 1, "exp": NOW + 60 });
        let set = jwks(&signers);
        let rules = Oauthbearer {
            jwks: JwksAt::File("keys.json".into()),
            issuer: "i".into(),
            audience: vec!["k".into()],
            clock_skew: Duration::ZERO,
            principal_claim: "sub".into(),
        };
        let keys = Jwks::read(set.as_bytes()).expect("a set of keys");
        let good = signers.iter().map(|signer| signer.token(&claims)).collect();
        Self { keys, set, rules, good, signers }
    }

    /// One case: whether what it made passed.
    pub fn run(&self, rng: &mut Rng) -> bool {
        let token = &self.good[rng.usize(..self.good.len())];
        match rng.u8(..4) {
            0 => self.token(rng, token),
            1 => message(rng, token),
            2 => self.signed(rng),
            _ => self.keys(rng, token),
        }
    }

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn token(&self, rng: &mut Rng, token: &str) -> bool {
        let damaged = damage(rng, &Bytes::copy_from_slice(token.as_bytes()));
        let damaged = String::from_utf8_lossy(&damaged);
        let taken = verify(&damaged, &self.keys, &self.rules, Self::now()).is_ok();
        assert!(!taken || self.good.iter().any(|good| *good == damaged), "taken: {damaged}");
        taken
    }

    /// Claims that are nonsense, of an issuer that signs it all the same: and headers that are.
    fn signed(&self, rng: &mut Rng) -> bool {
        // A signature of RSA takes too long.
        let of = self.signers.len() - 1 - rng.usize(..3);
        let signer = &self.signers[of];
        let algorithm = ALGORITHMS[if rng.u8(..4) == 0 { rng.usize(..ALGORITHMS.len()) } else { of }];
        let mut header = json!({ "alg": algorithm, "kid": algorithm, "typ": "JWT" });
        let odd = [json!("none"), json!(["RS256"]), json!(null), json!({}), json!(-1), json!("\u{0}"), json!("HS256")];
        let names = ["alg", "kid", "typ", "crit", "jku", "jwk", "x5c", "b64", "zip"];
        for _ in 0..rng.usize(..3) {
            header[names[rng.usize(..names.len())]] = odd[rng.usize(..odd.len())].clone();
        }
        let sound = [
            json!({ "iss": "i", "aud": ["k"], "sub": "ann", "iat": NOW - 1, "nbf": NOW - 1, "exp": NOW + 60 })
                .to_string(),
            format!("{{\"iss\":\"i\",\"aud\":\"k\",\"sub\":\"ann\",\"iat\":{NOW}.5,\"exp\":1e10,\"x\":[[[{{}}]]]}}"),
        ];
        let sound = Bytes::from(sound[rng.usize(..2)].clone());
        let claims = damage(rng, &sound);
        let token = signer.sign(&header, &String::from_utf8_lossy(&claims));
        let Ok(taken) = verify(&token, &self.keys, &self.rules, Self::now()) else { return false };
        assert!(
            header["alg"] != "none" && !taken.principal.is_empty() && taken.expires >= Self::now(),
            "taken: {token}"
        );
        true
    }

    /// A set of which something is left checks nothing that it should not.
    fn keys(&self, rng: &mut Rng, token: &str) -> bool {
        let damaged = damage(rng, &Bytes::copy_from_slice(self.set.as_bytes()));
        let Ok(keys) = Jwks::read(&damaged) else { return false };
        let (header, rest) = token.split_once('.').expect("a token");
        assert!(verify(&format!("{header}.x{rest}"), &keys, &self.rules, Self::now()).is_err());
        verify(token, &keys, &self.rules, Self::now()).is_ok()
    }
}

/// What a client says first, what a server answers, what the client says to that.
fn message(rng: &mut Rng, token: &str) -> bool {
    let mut client = ClientExchange::new(Secret::new(token.to_owned()));
    let damaged = damage(rng, &client.first());
    let _ = client.step(&damaged).map(|_| client.step(&damaged));
    let mut server = ServerExchange::default();
    let Ok(first) = ClientFirst::read(&damaged) else { return false };
    let _ = server.answer(&first, rng.bool().then_some("ann"));
    let _ = server.read(&damaged);
    first.token == token
}
