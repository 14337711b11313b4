//! What a token must say to be taken, claim by claim.

use super::*;
use crate::config::oauth::JwksAt;
use crate::security::testing::{Signer, jwks};
use proptest::prelude::*;
use serde_json::json;

const NOW: u64 = 1_800_000_000;

fn rules() -> Oauthbearer {
    Oauthbearer {
        jwks: JwksAt::File("keys.json".into()),
        issuer: "https://idp.example.com".into(),
        audience: vec!["kafka".into(), "other".into()],
        clock_skew: Duration::from_secs(30),
        principal_claim: "sub".into(),
    }
}

fn claims() -> Value {
    json!({ "iss": "https://idp.example.com", "aud": "kafka", "sub": "ann", "iat": NOW - 10, "exp": NOW + 600 })
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Judged by claims alone.
fn judged(claims: &Value, rules: &Oauthbearer) -> Result<Verified, Refused> {
    Claims::read(claims.to_string().as_bytes())?.judge(rules, at(NOW))
}

fn with(claim: &str, value: Value) -> Result<Verified, Refused> {
    let mut claims = claims();
    claims[claim] = value;
    judged(&claims, &rules())
}

fn without(claim: &str) -> Result<Verified, Refused> {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(claim);
    judged(&claims, &rules())
}

#[test]
fn a_good_token_names_its_principal_until_it_expires() {
    let signer = Signer::new("ES256", "1");
    let keys = Jwks::read(jwks([&signer]).as_bytes()).unwrap();
    let verified = verify(&signer.token(&claims()), &keys, &rules(), at(NOW)).unwrap();
    assert_eq!(verified, Verified { principal: "ann".into(), expires: at(NOW + 600) });
    let later = verify(&signer.token(&claims()), &keys, &rules(), at(NOW + 630));
    assert_eq!(later, Err(Refused::Expired(Duration::from_secs(30))));
}

#[test]
fn what_a_token_says_is_told_only_where_its_signature_is_right() {
    let keys = Jwks::read(jwks([&Signer::new("ES256", "1")]).as_bytes()).unwrap();
    let mut claims = claims();
    claims["iss"] = json!("https://evil.example");
    let forged = Signer::new("ES256", "1").token(&claims);
    assert_eq!(verify(&forged, &keys, &rules(), at(NOW)), Err(Refused::Signature));
}

#[test]
fn the_skew_forgives_clocks_and_no_more() {
    let times = |exp: u64, iat: u64, nbf: u64| {
        let mut claims = claims();
        (claims["exp"], claims["iat"], claims["nbf"]) = (json!(exp), json!(iat), json!(nbf));
        judged(&claims, &rules())
    };
    assert_eq!(times(NOW + 1, NOW + 30, NOW + 30).unwrap().expires, at(NOW + 1));
    assert_eq!(times(NOW - 29, NOW, NOW).unwrap().expires, at(NOW + 1), "it lasts as long as it would be taken");
    assert_eq!(times(NOW - 30, NOW, NOW), Err(Refused::Expired(Duration::from_secs(30))));
    assert_eq!(times(NOW + 9, NOW + 31, NOW), Err(Refused::NotYet(Duration::from_secs(31), "iat")));
    assert_eq!(times(NOW + 9, NOW, NOW + 31), Err(Refused::NotYet(Duration::from_secs(31), "nbf")));
}

#[test]
fn times_are_numbers_whole_or_not_and_nothing_else() {
    assert_eq!(with("exp", json!(1_800_000_600.7)).unwrap().expires, at(NOW + 600));
    for wrong in [json!("1800000600"), json!(-1), json!(1e300), json!(null), json!([1]), json!(u64::MAX)] {
        assert!(matches!(with("exp", wrong.clone()), Err(Refused::Claim(..))), "{wrong}");
        assert!(matches!(with("nbf", wrong.clone()), Err(Refused::Claim(..))), "{wrong}");
    }
    assert!(with("exp", json!(END_OF_TIME)).is_ok());
}

#[test]
fn what_kafka_asks_for_must_be_there() {
    for claim in ["iss", "sub", "exp", "iat"] {
        assert!(matches!(without(claim), Err(Refused::Claim(..))), "{claim}");
    }
    assert!(without("nbf").is_ok());
}

#[test]
fn the_issuer_is_compared_letter_by_letter() {
    for other in ["https://idp.example.com/", "https://IDP.example.com", ""] {
        assert!(matches!(with("iss", json!(other)), Err(Refused::Issuer(..))), "{other}");
    }
    assert!(matches!(with("iss", json!(["https://idp.example.com"])), Err(Refused::Claim(..))));
}

#[test]
fn a_token_is_for_us_or_it_is_not_taken() {
    assert!(with("aud", json!(["x", "other"])).is_ok());
    for other in [json!("kafk"), json!([]), json!(["x", "y"])] {
        assert!(matches!(with("aud", other.clone()), Err(Refused::Audience(..))), "{other}");
    }
    assert!(matches!(with("aud", json!([1, "kafka"])), Err(Refused::Claim(..))));
    assert!(matches!(without("aud"), Err(Refused::Audience(..))));
    let anybody = Oauthbearer { audience: Vec::new(), ..rules() };
    assert!(
        matches!(judged(&claims(), &anybody), Err(Refused::Audience(..))),
        "it is for somebody, and that is not us"
    );
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove("aud");
    assert!(judged(&claims, &anybody).is_ok());
}

#[test]
fn a_principal_is_a_name_from_the_claim_that_was_chosen() {
    let rules = Oauthbearer { principal_claim: "https://example.com/client".into(), ..rules() };
    let mut claims = claims();
    assert!(matches!(judged(&claims, &rules), Err(Refused::Claim(..))));
    claims["https://example.com/client"] = json!("svc");
    assert_eq!(&*judged(&claims, &rules).unwrap().principal, "svc");
    for wrong in [json!(""), json!("a\nb"), json!(7), json!("x".repeat(LONGEST_PRINCIPAL + 1)), json!(["ann"])] {
        assert!(matches!(with("sub", wrong.clone()), Err(Refused::Claim(..))), "{wrong}");
    }
}

#[test]
fn what_is_no_object_of_claims_is_no_jwt() {
    let signer = Signer::new("EdDSA", "1");
    let keys = Jwks::read(jwks([&signer]).as_bytes()).unwrap();
    for payload in ["", "[]", "\"a\"", "{", "null"] {
        let token = signer.sign(&json!({ "alg": "EdDSA", "kid": "1" }), payload);
        assert!(matches!(verify(&token, &keys, &rules(), at(NOW)), Err(Refused::Malformed(_))), "{payload}");
    }
}

#[test]
fn when_somebody_elses_token_expires_is_read_without_a_key() {
    assert_eq!(expires(&Signer::new("ES256", "1").token(&claims())), Some(at(NOW + 600)));
    assert_eq!(expires("opaque"), None);
    assert_eq!(expires(&Signer::new("ES256", "1").token(&json!({}))), None);
}

proptest! {
    #[test]
    fn no_bit_of_a_token_can_be_changed(at_byte in any::<prop::sample::Index>(), bit in 0..7_u8, kind in 0..2_usize) {
        let signer = Signer::new(["EdDSA", "PS256"][kind], "1");
        let keys = Jwks::read(jwks([&signer]).as_bytes()).unwrap();
        let mut token = signer.token(&claims()).into_bytes();
        let changed = at_byte.index(token.len());
        token[changed] ^= 1 << bit;
        let token = String::from_utf8(token).unwrap();
        prop_assert!(verify(&token, &keys, &rules(), at(NOW)).is_err());
    }

    #[test]
    fn a_session_ends_after_now_and_no_later_than_the_token_and_the_skew(exp in 0..2 * NOW, now in 1..2 * NOW, skew in 0..600_u64) {
        let rules = Oauthbearer { clock_skew: Duration::from_secs(skew), ..rules() };
        let mut claims = claims();
        (claims["exp"], claims["iat"]) = (json!(exp), json!(0));
        let judged = Claims::read(claims.to_string().as_bytes()).unwrap().judge(&rules, at(now));
        match judged {
            Ok(verified) => prop_assert!(verified.expires > at(now) && verified.expires <= at(exp + skew)),
            Err(refused) => prop_assert!(matches!(refused, Refused::Expired(_)) && exp + skew <= now),
        }
    }

    #[test]
    fn no_claims_make_it_panic(exp in any::<f64>(), iat in any::<i64>(), nbf in any::<u64>(), now in any::<u32>(), sub in "\\PC{0,20}") {
        let claims = json!({ "iss": "https://idp.example.com", "aud": "kafka", "sub": sub, "iat": iat, "exp": exp, "nbf": nbf });
        let _ = Claims::read(claims.to_string().as_bytes()).unwrap().judge(&rules(), at(now.into()));
    }
}
