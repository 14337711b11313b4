//! One token for many who wait, the next one in time, and rest for a source that fails.

use super::*;
use crate::config::oauth::Endpoint;
use crate::config::{Secret, url::Url};
use crate::security::testing::endpoint::{Endpoint as Stand, Says};
use crate::types::Name;
use std::sync::atomic::{AtomicUsize, Ordering};

fn granted(token: &str, seconds: u64) -> String {
    format!("{{\"access_token\":\"{token}\",\"expires_in\":{seconds}}}")
}

fn of(stand: &Stand) -> (Arc<Tokens>, Arc<[AtomicUsize; 2]>) {
    let ca = crate::security::testing::certificate_file();
    let endpoint = Endpoint {
        url: Url::parse(&format!("http://127.0.0.1:{}/token", stand.port)).unwrap(),
        client_id: "id".into(),
        client_secret: Secret::new("secret".to_owned()),
        scope: None,
        audience: None,
        ca: Some(ca.clone()),
    };
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    let told = Arc::clone(&counts);
    let tokens = Tokens::new(
        Name::from("a"),
        TokensFrom::Endpoint(endpoint),
        Box::new(move |came| _ = told[usize::from(came)].fetch_add(1, Ordering::Relaxed)),
    );
    (tokens, counts)
}

/// Many who ask at the same time get this one.
async fn all_are_given(tokens: &Arc<Tokens>, expected: &str) {
    let ask = |_| {
        let tokens = Arc::clone(tokens);
        tokio::spawn(async move { tokens.token().await })
    };
    for one in (0..50).map(ask).collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap().unwrap().secret.reveal(), expected);
    }
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn who_waits_at_the_same_time_waits_for_one_fetch() {
    let stand = Stand::start(Says::Slowly(Duration::from_millis(50), granted("one", 600))).await;
    let (tokens, counts) = of(&stand);
    all_are_given(&tokens, "one").await;
    tokens.token().await.unwrap();
    assert_eq!((stand.asked().len(), counts[1].load(Ordering::Relaxed)), (1, 1));
}

#[tokio::test]
async fn who_leaves_while_it_is_fetched_takes_it_from_nobody() {
    let stand = Stand::start(Says::Slowly(Duration::from_millis(100), granted("one", 600))).await;
    let (tokens, _) = of(&stand);
    let leaving = tokio::spawn({
        let tokens = Arc::clone(&tokens);
        async move { tokens.token().await }
    });
    until(|| !stand.asked().is_empty()).await;
    leaving.abort();
    assert_eq!(tokens.token().await.unwrap().secret.reveal(), "one");
    assert_eq!(stand.asked().len(), 1);
}

#[tokio::test]
async fn who_comes_when_the_next_token_is_due_gets_it() {
    let stand = Stand::start(Says::This(200, granted("one", 3_600))).await;
    let (tokens, _) = of(&stand);
    tokens.token().await.unwrap();
    tokens.kept.lock().as_mut().unwrap().renewal = SystemTime::now();
    stand.says(Says::This(200, granted("two", 3_600)));
    all_are_given(&tokens, "two").await;
    assert_eq!(stand.asked().len(), 2);
}

#[tokio::test]
async fn who_would_wait_for_the_next_token_for_long_gets_the_last_one() {
    let stand = Stand::start(Says::This(200, granted("one", 3_600))).await;
    let (tokens, _) = of(&stand);
    tokens.token().await.unwrap();
    {
        let mut kept = tokens.kept.lock();
        let kept = kept.as_mut().unwrap();
        (kept.renewal, kept.token.expires) = (SystemTime::now(), Some(SystemTime::now() + Duration::from_secs(2)));
    }
    stand.says(Says::Slowly(Duration::from_millis(1_900), granted("two", 3_600)));
    assert_eq!(tokens.token().await.unwrap().secret.reveal(), "one", "half a second was enough");
    until(|| tokens.kept.lock().as_ref().is_some_and(|kept| kept.token.secret.reveal() == "two")).await;
    assert_eq!(stand.asked().len(), 2, "what was begun goes on without who asked");
}

#[tokio::test]
async fn a_token_that_is_still_good_is_used_while_its_source_is_away() {
    let stand = Stand::start(Says::This(200, granted("one", 3_600))).await;
    let (tokens, counts) = of(&stand);
    tokens.token().await.unwrap();
    tokens.kept.lock().as_mut().unwrap().renewal = SystemTime::now();
    stand.says(Says::Nothing);
    tokens.token().await.unwrap();
    until(|| counts[0].load(Ordering::Relaxed) == 1).await;
    for _ in 0..20 {
        assert_eq!(tokens.token().await.unwrap().secret.reveal(), "one");
        tokio::task::yield_now().await;
    }
    assert_eq!(counts[0].load(Ordering::Relaxed), 1, "it is left alone for a while");
}

#[tokio::test]
async fn a_source_that_fails_is_left_alone_and_asked_again_later() {
    let stand = Stand::start(Says::This(401, "{\"error\":\"invalid_client\"}".into())).await;
    let (tokens, counts) = of(&stand);
    for _ in 0..20 {
        let why = tokens.token().await.unwrap_err().to_string();
        assert!(
            why.contains("invalid_client") && why.contains("token_url http://127.0.0.1") && !why.contains("secret"),
            "{why}"
        );
    }
    assert_eq!((stand.asked().len(), counts[0].load(Ordering::Relaxed)), (1, 1));
    stand.says(Says::This(200, granted("one", 600)));
    tokens.turn.lock().await.rest.as_mut().unwrap().0 = Instant::now();
    assert_eq!(tokens.token().await.unwrap().secret.reveal(), "one");
    assert_eq!(tokens.turn.lock().await.failures, 0);
}

#[tokio::test]
async fn a_token_that_a_cluster_refuses_is_not_shown_again() {
    let stand = Stand::start(Says::This(200, granted("one", 3_600))).await;
    let (tokens, _) = of(&stand);
    let one = tokens.token().await.unwrap();
    stand.says(Says::This(200, granted("two", 3_600)));
    tokens.refused(&one);
    let two = tokens.token().await.unwrap();
    assert_eq!(two.secret.reveal(), "two");
    tokens.refused(&one);
    assert_eq!(tokens.token().await.unwrap(), two, "a word about an older one is late");
}
