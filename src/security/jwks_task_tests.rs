//! Keys that come, change and cannot be read, over a real connection.

use super::*;
use crate::config::url::Url;
use crate::security::testing::endpoint::{Endpoint, Says};
use crate::security::testing::{Signer, certificate_file, jwks, tls};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};

fn rules(jwks: JwksAt) -> Oauthbearer {
    Oauthbearer {
        jwks,
        issuer: "https://idp.example.com".into(),
        audience: Vec::new(),
        clock_skew: Duration::from_secs(30),
        principal_claim: "sub".into(),
    }
}

fn token(signer: &Signer) -> String {
    let now = SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    signer.token(&json!({ "iss": "https://idp.example.com", "sub": "ann", "iat": now, "exp": now + 600 }))
}

fn nobody() -> Told {
    Box::new(|_| {})
}

/// As fast as it can be, and with patience: no test may depend on how fast it is here.
fn hasty() -> Pace {
    let ms = Duration::from_millis;
    Pace { file: ms(10), url: ms(3_600_000), apart: ms(0), patience: ms(30_000) }
}

async fn until(verifier: &Verifier, token: &str, good: bool) {
    while verifier.verify(token, SystemTime::now()).is_ok() != good {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn keys_come_from_an_address_over_tls() {
    let (config, ca) = tls();
    let (one, two) = (Signer::new("ES256", "1"), Signer::new("EdDSA", "2"));
    let stand = Endpoint::over_tls(Says::This(200, jwks([&one])), config).await;
    let url = Url::parse(&format!("https://localhost:{}/certs", stand.port)).unwrap();
    let verifier = Verifier::at_pace(rules(JwksAt::Url { url, ca: Some(ca.clone()) }), nobody(), hasty());
    assert_eq!(
        &*verifier.judge(&token(&one), SystemTime::now()).await.unwrap().principal,
        "ann",
        "the first waits for keys"
    );
    assert_eq!(stand.asked()[0].what, "GET /certs");
    // The issuer changes its keys: who brings a token with the new one waits until it has been read.
    stand.says(Says::This(200, jwks([&two])));
    assert!(verifier.judge(&token(&two), SystemTime::now()).await.is_ok());
    let old = verifier.judge(&token(&one), SystemTime::now()).await;
    assert!(matches!(old, Err(Refused::UnknownKey(_))), "{old:?}");
    std::fs::remove_file(ca).unwrap();
}

#[tokio::test]
async fn whom_nobody_trusts_gives_no_keys() {
    let (config, ca) = tls();
    let other = certificate_file();
    let signer = Signer::new("ES256", "1");
    let stand = Endpoint::over_tls(Says::This(200, jwks([&signer])), config).await;
    let url = Url::parse(&format!("https://localhost:{}/certs", stand.port)).unwrap();
    let pace = Pace { patience: Duration::ZERO, ..Pace::default() };
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let told: Told = Box::new(move |came| _ = counted.fetch_add(usize::from(came), Ordering::Relaxed));
    let verifier = Verifier::at_pace(rules(JwksAt::Url { url, ca: Some(other.clone()) }), told, pace);
    verifier.keys.clone().wait_for(|picture| picture.tries > 0).await.unwrap();
    assert_eq!(verifier.verify(&token(&signer), SystemTime::now()), Err(Refused::NoKeys));
    assert!(stand.asked().is_empty());
    assert_eq!(read.load(Ordering::Relaxed), 0);
    for file in [ca, other] {
        std::fs::remove_file(file).unwrap();
    }
}

#[tokio::test]
async fn keys_stay_while_their_address_is_away_and_strangers_cannot_make_us_ask_it_often() {
    let signer = Signer::new("ES256", "1");
    let stand = Endpoint::start(Says::This(200, jwks([&signer]))).await;
    let url = Url::parse(&format!("http://127.0.0.1:{}/certs", stand.port)).unwrap();
    let ca = certificate_file();
    let pace = Pace { apart: Duration::from_secs(3_600), ..hasty() };
    let verifier = Verifier::at_pace(rules(JwksAt::Url { url, ca: Some(ca.clone()) }), nobody(), pace);
    verifier.ready().await;
    stand.says(Says::Nothing);
    for unknown in 0..50 {
        let stranger = Signer::new("EdDSA", &format!("unknown {unknown}"));
        let refused = verifier.judge(&token(&stranger), SystemTime::now()).await;
        assert!(matches!(refused, Err(Refused::UnknownKey(_))), "{refused:?}");
    }
    assert_eq!(stand.asked().len(), 1);
    assert!(verifier.verify(&token(&signer), SystemTime::now()).is_ok());
    std::fs::remove_file(ca).unwrap();
}

#[tokio::test]
async fn nonsense_at_the_address_leaves_the_keys_that_are_there() {
    let (one, two) = (Signer::new("ES256", "1"), Signer::new("ES256", "2"));
    let stand = Endpoint::start(Says::This(200, jwks([&one]))).await;
    let url = Url::parse(&format!("http://127.0.0.1:{}/certs", stand.port)).unwrap();
    let ca = certificate_file();
    let verifier = Verifier::at_pace(rules(JwksAt::Url { url, ca: Some(ca.clone()) }), nobody(), hasty());
    verifier.ready().await;
    for (status, body) in
        [(500, jwks([&two])), (200, "<html>".into()), (200, "{\"keys\":[]}".into()), (200, " ".repeat(LARGEST + 1))]
    {
        let asked = stand.asked().len();
        stand.says(Says::This(status, body));
        let refused = verifier.judge(&token(&two), SystemTime::now()).await;
        assert!(matches!(refused, Err(Refused::UnknownKey(_))), "{refused:?}");
        assert!(stand.asked().len() > asked);
        assert!(verifier.verify(&token(&one), SystemTime::now()).is_ok());
    }
    std::fs::remove_file(ca).unwrap();
}

#[tokio::test]
async fn keys_in_a_file_change_when_the_file_does() {
    let file = std::env::temp_dir().join(format!("fishplate-jwks-{}", std::process::id()));
    let (one, two) = (Signer::new("ES384", "1"), Signer::new("ES384", "2"));
    std::fs::write(&file, jwks([&one])).unwrap();
    let verifier = Verifier::at_pace(rules(JwksAt::File(file.clone())), nobody(), hasty());
    until(&verifier, &token(&one), true).await;
    std::fs::write(&file, "{").unwrap();
    let tries = verifier.keys.borrow().tries;
    verifier.keys.clone().wait_for(|picture| picture.tries > tries + 1).await.unwrap();
    assert!(verifier.verify(&token(&one), SystemTime::now()).is_ok(), "a bad file leaves the keys of the good one");
    std::fs::write(&file, jwks([&two])).unwrap();
    until(&verifier, &token(&two), true).await;
    until(&verifier, &token(&one), false).await;
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_client_is_let_in_with_a_token_and_for_as_long_as_it_lasts() {
    use crate::security::oauthbearer::ClientExchange;
    use crate::security::server::{ServerExchange, Step};
    use crate::types::Mechanism;
    let file = std::env::temp_dir().join(format!("fishplate-jwks-in-{}", std::process::id()));
    let signer = Signer::new("PS512", "1");
    std::fs::write(&file, jwks([&signer])).unwrap();
    let verifier = Verifier::at_pace(rules(JwksAt::File(file.clone())), nobody(), hasty());
    let (mut server, now) = (ServerExchange::new(Mechanism::OauthBearer).unwrap(), SystemTime::now());
    let first = ClientExchange::new(crate::config::Secret::new(token(&signer))).first();
    let Ok(Step::Done { user, lifetime, .. }) = server.judge(&first, &verifier, now).await else { panic!("not in") };
    assert_eq!(user, "ann");
    assert!(lifetime.is_some_and(|lifetime| lifetime > Duration::ZERO && lifetime <= Duration::from_secs(600)));
    let stranger = Signer::new("ES256", "1");
    let mut client = ClientExchange::new(crate::config::Secret::new(token(&stranger)));
    let Ok(Step::Refused { answer: told, .. }) = server.judge(&client.first(), &verifier, now).await else {
        panic!("in")
    };
    assert_eq!(&*told, b"{\"status\":\"invalid_token\"}");
    let understood = client.step(&told).unwrap().unwrap();
    let refusal = server.judge(&understood, &verifier, now).await.unwrap_err();
    assert_eq!(refusal.told, Some("{\"status\":\"invalid_token\"}"));
    std::fs::remove_file(file).unwrap();
}
