//! Sets of keys as they are and as they should not be, and the signatures of the RFCs' appendices.

use super::*;
use crate::security::testing::{ALGORITHMS, Signer, jwks};
use proptest::prelude::*;
use serde_json::json;

/// RFC 7515, A.2 and A.3; RFC 7520, 4.1 and 4.2; RFC 8037, A.4: the key, the signed text.
const VECTORS: [(&str, &str); 5] = [
    (
        r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#,
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    ),
    (
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ),
    (
        RSA_OF_7520,
        "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
    ),
    (
        RSA_OF_7520,
        "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
    ),
    (
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    ),
];
const RSA_OF_7520: &str = r#"{"kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig","e":"AQAB","n":"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"}"#;

fn set(keys: &[&str]) -> Result<Jwks, NoJwks> {
    Jwks::read(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes())
}

fn check(keys: &Jwks, token: &str) -> Result<(), Refused> {
    keys.verify(&Compact::read(token)?)
}

#[test]
fn the_signatures_of_the_rfcs_are_right_and_each_by_its_own_key_only() {
    for (at, (key, token)) in VECTORS.iter().enumerate() {
        let keys = set(&[key]).unwrap();
        assert_eq!(check(&keys, token), Ok(()), "vector {at}");
        for (_, other) in VECTORS.iter().filter(|(other_key, _)| other_key != key) {
            assert!(check(&keys, other).is_err(), "vector {at}");
        }
    }
    let all: Vec<_> = VECTORS.iter().map(|(key, _)| *key).collect();
    let all = set(&all).unwrap();
    assert!(
        VECTORS.iter().all(|(_, token)| check(&all, token).is_ok()),
        "a token without a key id is tried with those that fit"
    );
}

#[test]
fn rfc_7520s_p_521_is_not_taken_and_neither_is_its_key() {
    let key = r#"{"kty":"EC","kid":"bilbo.baggins@hobbiton.example","use":"sig","crv":"P-521","x":"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt","y":"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"}"#;
    assert!(matches!(set(&[key]), Err(NoJwks::Empty(Some(_)))));
    assert_eq!(set(&[key, VECTORS[1].0]).unwrap().skipped.len(), 1);
}

#[test]
fn every_algorithm_is_checked_with_the_key_that_the_token_names() {
    let signers: Vec<_> = ALGORITHMS.iter().map(|algorithm| Signer::new(algorithm, algorithm)).collect();
    let keys = Jwks::read(jwks(&signers).as_bytes()).unwrap();
    assert_eq!((keys.len(), keys.skipped.len()), (ALGORITHMS.len(), 0));
    for signer in &signers {
        assert_eq!(check(&keys, &signer.token(&json!({ "a": 1 }))), Ok(()));
    }
    let stranger = Signer::new("ES256", "ES256").token(&json!({}));
    assert_eq!(check(&keys, &stranger), Err(Refused::Signature));
    let unknown = Signer::new("ES256", "new").token(&json!({}));
    assert_eq!(check(&keys, &unknown), Err(Refused::UnknownKey(Shown::of("new"))));
    let crossed = signers[6].sign(&json!({ "alg": "ES256", "kid": "RS256" }), "{}");
    assert!(matches!(check(&keys, &crossed), Err(Refused::OtherKey(..))));
}

#[test]
fn a_key_is_for_nothing_but_what_it_says() {
    let signer = Signer::new("RS256", "a");
    let mut jwk = signer.jwk();
    jwk["alg"] = json!("PS256");
    let keys = set(&[&jwk.to_string()]).unwrap();
    assert!(matches!(check(&keys, &signer.token(&json!({}))), Err(Refused::OtherKey(..))));
    assert_eq!(check(&keys, &Signer::new("PS256", "a").token(&json!({}))), Ok(()));
}

#[test]
fn keys_that_are_for_something_else_are_passed_over() {
    let with = |name: &str, value: Value| {
        let mut jwk = Signer::new("ES256", "a").jwk();
        jwk[name] = value;
        set(&[&jwk.to_string()])
    };
    let passed_over = [
        with("use", json!("enc")),
        with("key_ops", json!(["sign"])),
        with("alg", json!("RSA-OAEP")),
        with("alg", json!("ES384")),
        with("crv", json!("P-384")),
        with("x", json!("AAAA")),
        with("y", Value::Null),
        with("x", json!("=")),
        with("kty", json!("oct")),
        with("d", json!("AAAA")),
        with("kid", json!(7)),
        with("kty", Value::Null),
    ];
    for (at, read) in passed_over.into_iter().enumerate() {
        assert!(matches!(read, Err(NoJwks::Empty(Some(_)))), "{at}: {read:?}");
    }
    assert!(with("key_ops", json!(["verify"])).is_ok());
    assert!(set(&[r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ","alg":"HS256"}"#]).is_err());
}

#[test]
fn small_and_huge_rsa_keys_are_passed_over_and_zeros_before_them_do_not_count() {
    let sized = |size: usize| {
        let n = URL_SAFE_NO_PAD.encode(vec![0xff; size]);
        set(&[&format!("{{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"{n}\"}}")])
    };
    assert!(sized(255).is_err() && sized(1_025).is_err());
    assert!(sized(256).is_ok() && sized(1_024).is_ok());
    let signer = Signer::new("RS256", "a");
    let mut jwk = signer.jwk();
    let mut modulus = vec![0];
    modulus.extend(URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap());
    jwk["n"] = json!(URL_SAFE_NO_PAD.encode(modulus));
    assert_eq!(check(&set(&[&jwk.to_string()]).unwrap(), &signer.token(&json!({}))), Ok(()));
}

#[test]
fn what_is_no_set_of_keys_says_so() {
    for text in [
        "",
        "{}",
        "[]",
        "<html>",
        "{\"keys\":{}}",
        "{\"keys\":[",
        "{\"issuer\":\"https://a\",\"jwks_uri\":\"https://a/b\"}",
    ] {
        assert_eq!(Jwks::read(text.as_bytes()), Err(NoJwks::Malformed), "{text}");
    }
    assert_eq!(set(&[]), Err(NoJwks::Empty(None)));
    assert_eq!(
        set(&["1", "{}"]).unwrap_err().to_string(),
        "it has no key that can be used (key without an id: it is not written as a key is)"
    );
    assert_eq!(Jwks::read(&vec![b' '; LARGEST + 1]), Err(NoJwks::TooLarge));
    assert_eq!(set(&vec!["1"; MOST_KEYS + 1]), Err(NoJwks::TooMany));
    assert_eq!(check(&Jwks::default(), VECTORS[0].1), Err(Refused::NoKeys));
}

proptest! {
    #[test]
    fn no_bit_of_a_signed_text_can_be_changed(vector in 0..VECTORS.len(), at in any::<prop::sample::Index>(), bit in 0..7_u8) {
        let (key, token) = VECTORS[vector];
        let keys = set(&[key]).unwrap();
        let mut damaged = token.as_bytes().to_vec();
        let at = at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        let damaged = String::from_utf8(damaged).unwrap();
        prop_assert!(check(&keys, &damaged).is_err(), "{}", damaged);
    }

    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,80}", key in "[A-Za-z0-9_-]{0,40}", kty in "RSA|EC|OKP|oct|x", crv in "P-256|P-384|Ed25519|x") {
        let _ = Jwks::read(text.as_bytes());
        let jwk = json!({ "kty": kty, "crv": crv, "n": key, "e": key, "x": key, "y": key });
        if let Ok(keys) = set(&[&jwk.to_string()]) {
            prop_assert!(VECTORS.iter().all(|(_, token)| check(&keys, token).is_err()));
        }
    }

    #[test]
    fn a_point_that_is_on_no_curve_checks_nothing(x in prop::array::uniform32(any::<u8>()), y in prop::array::uniform32(any::<u8>())) {
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let keys = set(&[&json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }).to_string()]).unwrap();
        prop_assert_eq!(check(&keys, VECTORS[1].1), Err(Refused::Signature));
    }
}
