//! What token endpoints and files give, and what they are asked.

use super::*;
use crate::config::url::Url;
use crate::security::testing::Signer;
use crate::security::testing::endpoint::{Endpoint as Stand, Says};
use serde_json::json;
use std::time::UNIX_EPOCH;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint {
        url: Url::parse(url).unwrap(),
        client_id: "fish plate".into(),
        client_secret: Secret::new("p+s:s/wörd".to_owned()),
        scope: Some("kafka read".into()),
        audience: Some("https://kafka".into()),
        ca: None,
    }
}

fn read(status: u16, body: &str) -> Result<Token, NoToken> {
    of_answer(&Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap(), now())
}

#[tokio::test]
async fn a_token_endpoint_is_asked_as_the_rfc_has_it() {
    let stand =
        Stand::start(Says::This(200, "{\"access_token\":\"abc\",\"token_type\":\"bearer\",\"expires_in\":60}".into()))
            .await;
    let mut endpoint = endpoint(&format!("http://127.0.0.1:{}/oauth2/token?x=1", stand.port));
    // Nobody is trusted here, since nothing is encrypted.
    let ca = crate::security::testing::certificate_file();
    endpoint.ca = Some(ca.clone());
    let source = Source::new(&TokensFrom::Endpoint(endpoint)).unwrap();
    let token = source.fetch(now()).await.unwrap();
    assert_eq!((token.secret.reveal(), token.expires), ("abc", Some(now() + Duration::from_secs(60))));
    let asked = stand.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].what, "POST /oauth2/token?x=1");
    assert_eq!(asked[0].body, "grant_type=client_credentials&scope=kafka+read&audience=https%3A%2F%2Fkafka");
    let credentials = STANDARD.decode(asked[0].authorization.strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(String::from_utf8(credentials).unwrap(), "fish+plate:p%2Bs%3As%2Fw%C3%B6rd");
    std::fs::remove_file(ca).unwrap();
}

#[test]
fn answers_are_read_as_issuers_write_them() {
    let life = |body: &str| read(200, body).unwrap().expires;
    assert_eq!(
        life("{\"access_token\":\"a\",\"expires_in\":\"90\",\"scope\":\"x\"}"),
        Some(now() + Duration::from_secs(90))
    );
    assert_eq!(life("{\"access_token\":\"a\",\"expires_in\":90.5}"), Some(now() + Duration::from_secs(90)));
    assert_eq!(life("{\"access_token\":\"a\",\"expires_in\":1e300}"), Some(now() + Duration::from_secs(LONGEST_LIFE)));
    for none in ["0", "-1", "null", "\"soon\"", "\"NaN\"", "\"inf\""] {
        let read = life(&format!("{{\"access_token\":\"a\",\"expires_in\":{none}}}"));
        assert!(read.is_none() || none.contains("inf"), "{none}: {read:?}");
    }
    let jwt = Signer::new("EdDSA", "1").token(&json!({ "exp": 1_800_000_077 }));
    assert_eq!(
        life(&json!({ "access_token": jwt }).to_string()),
        Some(now() + Duration::from_secs(77)),
        "a JWT says so itself"
    );
}

#[test]
fn what_an_endpoint_refuses_is_told_in_its_words_and_without_secrets() {
    let told = |status, body: &str| read(status, body).unwrap_err().to_string();
    let denied = "{\"error\":\"invalid_client\",\"error_description\":\"no\\nsuch client\"}";
    assert_eq!(told(401, denied), "it answered 401 Unauthorized: invalid_client (no?such client)");
    assert_eq!(told(502, "<html>"), "it answered 502 Bad Gateway");
    assert!(told(200, "{\"access_token\":\"hunter 2\"}").contains("characters"));
    for body in ["", "[]", "{}", "{\"access_token\":7}", "hunter2"] {
        assert_eq!(told(200, body), "its answer is no JSON object with an `access_token`", "{body}");
    }
    assert!(told(200, "{\"access_token\":\"hunter2\",\"token_type\":\"mac\"}").ends_with("another type than Bearer"));
}

#[tokio::test]
async fn a_file_is_read_each_time_and_says_what_is_wrong_with_it() {
    let file = std::env::temp_dir().join(format!("fishplate-token-{}", std::process::id()));
    let source = Source::new(&TokensFrom::File(file.clone())).unwrap();
    assert!(source.fetch(now()).await.unwrap_err().to_string().contains("token_file"));
    let jwt = |exp: u64| Signer::new("EdDSA", "1").token(&json!({ "exp": exp }));
    std::fs::write(&file, format!("{}\n", jwt(1_800_000_600))).unwrap();
    let token = source.fetch(now()).await.unwrap();
    assert_eq!(token.expires, Some(now() + Duration::from_secs(600)));
    assert!(source.renewal(&token, now(), 1.0) <= now() + FILE_AGE);
    std::fs::write(&file, jwt(1_799_999_999)).unwrap();
    assert!(source.fetch(now()).await.unwrap_err().to_string().contains("has expired"));
    std::fs::write(&file, "").unwrap();
    assert!(source.fetch(now()).await.is_err());
    std::fs::remove_file(file).unwrap();
}

#[test]
fn secrets_are_in_no_debug_output() {
    let shown = format!(
        "{:?} {:?}",
        endpoint("https://idp.example.com/token"),
        request(&endpoint("https://idp.example.com/token"))
    );
    assert!(!shown.contains("p+s") && !shown.contains("p%2Bs") && !shown.contains("Basic"), "{shown}");
}

#[cfg(not(feature = "msk-iam"))]
#[test]
fn without_the_feature_it_is_said_what_to_do() {
    use crate::config::oauth::MskIam;
    let whom = MskIam { region: "eu-central-1".into(), role: None, profile: None };
    let why = Source::new(&TokensFrom::MskIam(whom)).unwrap_err().to_string();
    assert!(why.contains("--features msk-iam"), "{why}");
}
