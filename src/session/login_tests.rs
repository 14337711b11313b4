//! Clients that log in, before two clusters: what is served when, and what who fails is told.

use super::Limits;
use super::gate::Gate;
use super::testing::{Client, World, text};
use crate::config::Sasl;
use crate::config::Secret;
use crate::security::client::{ClientExchange, Credentials};
use crate::security::scram::{Credential, Hash};
use crate::security::users::{Line, Users, with};
use crate::types::Mechanism;
use crate::upstream::testing::Reply;
use bytes::Bytes;
use kafka_protocol::messages::{
    ApiVersionsRequest, MetadataRequest, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
    SaslHandshakeResponse,
};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const BY_PASSWORD: [Mechanism; 3] = [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512];
const PASSWORD: &str = "planted-secret";

fn users(names: &[&str]) -> Users {
    let line = |name: &&'static str| {
        Hash::ALL.map(|hash| {
            let credential = Credential::derive(hash, PASSWORD, b"a salt of 16 byt", NonZeroU32::new(4096).unwrap());
            Line { name, hash, credential }
        })
    };
    let names: Vec<&'static str> = names.iter().map(|name| &*String::from(*name).leak()).collect();
    Users::read(&with("", &names.iter().flat_map(line).collect::<Vec<_>>())).unwrap()
}

async fn world(session_lifetime: Option<Duration>) -> World {
    let limits = Limits { handshake: Duration::from_secs(60), ..Limits::default() };
    let world = World::within(limits, |_, _| Reply::Silence).await;
    let mechanisms = BY_PASSWORD.to_vec();
    world.context.close_gate(Gate::new(
        &Sasl { mechanisms, users: None, session_lifetime, oauthbearer: None },
        users(&["alice", "bob"]),
        Box::new(|_| {}),
    ));
    world
}

async fn credentials(mechanism: Mechanism, user: &str, password: &str) -> ClientExchange {
    Credentials::password(mechanism, user, Secret::new(password.to_owned())).exchange().await.unwrap()
}

async fn handshake(client: &mut Client, mechanism: &str) -> SaslHandshakeResponse {
    client.call(1, &SaslHandshakeRequest::default().with_mechanism(text(mechanism))).await
}

async fn say(client: &mut Client, bytes: Bytes) -> SaslAuthenticateResponse {
    client.call(2, &SaslAuthenticateRequest::default().with_auth_bytes(bytes)).await
}

/// The last answer.
async fn log_in(client: &mut Client, mechanism: Mechanism, user: &str, password: &str) -> SaslAuthenticateResponse {
    assert_eq!(handshake(client, mechanism.as_str()).await.error_code, 0);
    let mut exchange = credentials(mechanism, user, password).await;
    let mut next = exchange.first();
    loop {
        let answer = say(client, next).await;
        if answer.error_code != 0 {
            return answer;
        }
        match exchange.step(&answer.auth_bytes).expect("a server that knows the password") {
            Some(more) => next = more,
            None => return answer,
        }
    }
}

#[tokio::test]
async fn who_knows_the_password_is_let_in_and_known_by_name() {
    let world = world(None).await;
    for mechanism in BY_PASSWORD {
        let mut client = world.client().await;
        assert_eq!(world.session().principal().as_str(), "User:ANONYMOUS");
        let answer = log_in(&mut client, mechanism, "alice", PASSWORD).await;
        assert_eq!((answer.error_code, answer.session_lifetime_ms), (0, 0), "{mechanism}");
        assert_eq!(world.session().principal().as_str(), "User:alice");
        assert!(!client.call(9, &MetadataRequest::default()).await.brokers.is_empty());
        let labels = [("mechanism", mechanism.as_str()), ("result", "succeeded")];
        assert_eq!(world.shown("logins_total", &labels), 1.0);
        drop(client);
        world.until("sessions", &[], 0.0).await;
    }
}

#[tokio::test]
async fn who_does_not_is_told_what_kafka_tells_and_its_connection_ends() {
    let world = world(None).await;
    let scram =
        "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256";
    let plain = "Authentication failed: Invalid username or password";
    for (mechanism, told) in [(Mechanism::ScramSha256, scram), (Mechanism::Plain, plain)] {
        for user in ["alice", "nobody"] {
            let mut client = world.client().await;
            let answer = log_in(&mut client, mechanism, user, "wrong").await;
            assert_eq!((answer.error_code, answer.error_message.as_deref()), (58, Some(told)), "{mechanism} {user}");
            assert!(answer.auth_bytes.is_empty());
            client.is_closed().await;
        }
    }
    assert_eq!(world.shown("logins_total", &[("result", "failed")]), 4.0);
    assert_eq!(world.codes("SASL_AUTHENTICATION_FAILED"), 4.0);
    assert!(world.shown("logins_held_seconds_total", &[]) > 1.4, "100, 200, 400 and 800 ms");
}

#[tokio::test]
async fn another_mechanism_is_refused_with_those_that_there_are() {
    let world = world(None).await;
    let mut client = world.client().await;
    let answer = handshake(&mut client, "GSSAPI").await;
    let mechanisms: Vec<_> = answer.mechanisms.iter().map(|one| one.to_string()).collect();
    assert_eq!((answer.error_code, mechanisms.join(" ")), (33, "PLAIN SCRAM-SHA-256 SCRAM-SHA-512".to_owned()));
    client.is_closed().await;
}

#[tokio::test]
async fn before_a_login_nothing_else_is_served() {
    let world = world(None).await;
    // Anything
    let mut client = world.unnamed().await;
    client.send(9, &MetadataRequest::default()).await;
    client.is_closed().await;
    // ApiVersions again
    let mut client = world.client().await;
    client.send(3, &ApiVersionsRequest::default().with_client_software_name(text("kgo"))).await;
    client.is_closed().await;
    // A proof without a mechanism
    let mut client = world.client().await;
    client.send(2, &SaslAuthenticateRequest::default()).await;
    client.is_closed().await;
    // Something in the midst of an exchange
    let mut client = world.client().await;
    handshake(&mut client, "PLAIN").await;
    client.send(9, &MetadataRequest::default()).await;
    client.is_closed().await;
    // A second handshake
    let mut client = world.client().await;
    handshake(&mut client, "PLAIN").await;
    assert_eq!(handshake(&mut client, "PLAIN").await.error_code, 34);
    client.is_closed().await;
    // More than a token takes
    let mut client = world.client().await;
    handshake(&mut client, "PLAIN").await;
    client.send(2, &SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(vec![0; 70_000]))).await;
    client.is_closed().await;
    assert_eq!(world.shown("sessions_closed_total", &[("reason", "login")]), 5.0);
}

#[tokio::test]
async fn a_version_that_is_not_there_may_be_asked_again_in_one_that_is() {
    let world = world(None).await;
    let mut client = world.unnamed().await;
    client.send(4, &ApiVersionsRequest::default().with_client_software_name(text("kgo"))).await;
    let shown = client.receive::<ApiVersionsRequest>(4).await;
    let of =
        |key: i16| shown.api_keys.iter().find(|row| row.api_key == key).map(|row| (row.min_version, row.max_version));
    assert_eq!((of(17), of(36)), (Some((0, 1)), Some((0, 2))), "what Kafka shows");
    assert_eq!(log_in(&mut client, Mechanism::Plain, "bob", PASSWORD).await.error_code, 0);
    let again = client.call(4, &ApiVersionsRequest::default().with_client_software_name(text("kgo"))).await;
    assert_eq!(again.api_keys, shown.api_keys, "the same before and after");
}

/// (L4)
#[tokio::test]
async fn l4_who_is_outside_makes_us_keep_no_answers() {
    let world = world(None).await;
    let mut client = world.unnamed().await;
    // It asks for ApiVersions in a version that nobody has, again and again, and takes no answer
    for _ in 0..20 {
        client.write(&[0, 0, 0, 10, 0, 18, 0, 99, 0, 0, 0, 7, 255, 255]).await;
    }
    world.until("sessions", &[], 0.0).await;
    assert!(world.shown("requests_total", &[("api", "ApiVersions")]) <= 3.0);
}

#[tokio::test]
async fn who_guesses_and_hangs_up_is_slowed_and_who_is_known_is_not() {
    let world = world(None).await;
    let mechanism = Mechanism::ScramSha256;
    let mut alice = world.client().await;
    assert_eq!(log_in(&mut alice, mechanism, "alice", PASSWORD).await.error_code, 0);
    // Given sixty that guess, where each takes no time, and do not wait for the answer
    for _ in 0..60 {
        let mut guesser = world.client().await;
        handshake(&mut guesser, mechanism.as_str()).await;
        let mut exchange = credentials(mechanism, "bob", "wrong").await;
        let first = say(&mut guesser, exchange.first()).await;
        let proof = exchange.step(&first.auth_bytes).expect("a challenge").expect("a proof");
        guesser.send(2, &SaslAuthenticateRequest::default().with_auth_bytes(proof)).await;
    }
    // Then few are looked at
    let looked = world.shown("logins_total", &[("result", "failed")]);
    assert!(looked <= 45.0, "{looked}");
    // And who got in from there before does at once
    let mut alice = world.client().await;
    let logging_in = log_in(&mut alice, mechanism, "alice", PASSWORD);
    assert_eq!(timeout(Duration::from_secs(2), logging_in).await.expect("in time").error_code, 0);
}

#[tokio::test]
async fn one_with_an_old_password_keeps_nobody_out_of_the_same_address() {
    let world = Arc::new(world(None).await);
    let mut old = world.client().await;
    assert_eq!(log_in(&mut old, Mechanism::Plain, "bob", "old").await.error_code, 58);
    // Given many whom nobody knows yet, who all come at once and have the right password
    let come = |_| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let mut client = world.client().await;
            log_in(&mut client, Mechanism::Plain, "alice", PASSWORD).await.error_code
        })
    };
    for came in (0..60).map(come).collect::<Vec<_>>() {
        assert_eq!(came.await.unwrap(), 0);
    }
    assert_eq!(world.shown("logins_total", &[("result", "failed")]), 1.0);
}

#[tokio::test]
async fn who_is_in_may_not_guess_at_others_beside_the_queue() {
    let world = world(Some(Duration::from_secs(60))).await;
    let mut alice = world.client().await;
    assert_eq!(log_in(&mut alice, Mechanism::Plain, "alice", PASSWORD).await.error_code, 0);
    // Given an address whose places are all taken for a while
    let brake = &world.context.gate().expect("a gate").brake;
    for _ in 0..40 {
        brake.failed([127, 0, 0, 1].into(), None, std::time::Instant::now());
    }
    let guess = log_in(&mut alice, Mechanism::Plain, "bob", "a guess");
    assert!(timeout(Duration::from_millis(60), guess).await.is_err(), "it waits for a place");
}

#[tokio::test]
async fn messages_that_are_cut_or_replayed_let_nobody_in() {
    let world = world(None).await;
    // What was said in one exchange
    let mut client = world.client().await;
    handshake(&mut client, "SCRAM-SHA-512").await;
    let mut exchange = credentials(Mechanism::ScramSha512, "alice", PASSWORD).await;
    let first = exchange.first();
    let challenge = say(&mut client, first.clone()).await;
    let proof = exchange.step(&challenge.auth_bytes).unwrap().unwrap();
    assert_eq!(say(&mut client, proof.clone()).await.error_code, 0);
    // is nothing in another,
    let mut other = world.client().await;
    handshake(&mut other, "SCRAM-SHA-512").await;
    say(&mut other, first).await;
    assert_eq!(say(&mut other, proof.clone()).await.error_code, 58);
    other.is_closed().await;
    // nor as a first message, nor half of it.
    for message in [proof.clone(), proof.slice(..proof.len() / 2), Bytes::new()] {
        let mut other = world.client().await;
        handshake(&mut other, "SCRAM-SHA-512").await;
        assert_eq!(say(&mut other, message).await.error_code, 58);
        other.is_closed().await;
    }
}

#[tokio::test]
async fn a_login_is_renewed_by_who_it_was_and_ends_without() {
    let world = world(Some(Duration::from_secs(3))).await;
    let mut client = world.client().await;
    let answer = log_in(&mut client, Mechanism::ScramSha256, "alice", PASSWORD).await;
    assert_eq!((answer.error_code, answer.session_lifetime_ms), (0, 3_000));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(log_in(&mut client, Mechanism::ScramSha256, "alice", PASSWORD).await.session_lifetime_ms, 3_000);
    assert_eq!(world.shown("logins_total", &[("result", "renewed")]), 1.0);
    // Sooner than a second after that it is out of order
    assert_eq!(handshake(&mut client, "SCRAM-SHA-256").await.error_code, 34);
    sleep(Duration::from_secs(2)).await;
    assert!(!client.call(9, &MetadataRequest::default()).await.brokers.is_empty(), "it goes on");
    sleep(Duration::from_millis(1_200)).await;
    assert!(!client.call(9, &MetadataRequest::default()).await.brokers.is_empty(), "it may have been sent in time");
    sleep(Duration::from_millis(900)).await;
    client.send(9, &MetadataRequest::default()).await;
    client.is_closed().await;
    assert_eq!(world.shown("sessions_closed_total", &[("reason", "expired")]), 1.0);
}

#[tokio::test]
async fn a_login_is_not_renewed_by_another_nor_otherwise() {
    let world = world(Some(Duration::from_secs(60))).await;
    let mut client = world.client().await;
    log_in(&mut client, Mechanism::ScramSha256, "alice", PASSWORD).await;
    let answer = log_in(&mut client, Mechanism::ScramSha256, "bob", PASSWORD).await;
    let told = "Cannot change principals during re-authentication from User.alice: User.bob";
    assert_eq!((answer.error_code, answer.error_message.as_deref()), (58, Some(told)));
    client.is_closed().await;
    let mut client = world.client().await;
    log_in(&mut client, Mechanism::ScramSha256, "alice", PASSWORD).await;
    let answer = log_in(&mut client, Mechanism::Plain, "alice", PASSWORD).await;
    let told = "SASL mechanism 'PLAIN' requested by client is not supported for re-authentication of mechanism 'SCRAM-SHA-256'";
    assert_eq!((answer.error_code, answer.error_message.as_deref()), (58, Some(told)));
    client.is_closed().await;
    let mut client = world.client().await;
    log_in(&mut client, Mechanism::ScramSha256, "alice", PASSWORD).await;
    let answer = log_in(&mut client, Mechanism::ScramSha256, "alice", "wrong").await;
    assert!(answer.error_message.is_some_and(|told| told.contains("during re-authentication")));
}

#[tokio::test]
async fn a_login_is_renewed_only_where_it_has_an_end() {
    let world = world(None).await;
    let mut client = world.client().await;
    log_in(&mut client, Mechanism::Plain, "alice", PASSWORD).await;
    assert_eq!(handshake(&mut client, "PLAIN").await.error_code, 34);
    let answer = say(&mut client, Bytes::from_static(b"\0alice\0x")).await;
    assert_eq!(answer.error_code, 34);
    assert!(!client.call(9, &MetadataRequest::default()).await.brokers.is_empty(), "it goes on");
}

#[tokio::test]
async fn where_nobody_logs_in_sasl_is_out_of_order_as_with_kafka() {
    let world = World::start(|_, _| Reply::Silence).await;
    let mut client = world.client().await;
    let answer = handshake(&mut client, "PLAIN").await;
    assert_eq!((answer.error_code, answer.mechanisms.len()), (34, 0));
    assert_eq!(world.session().principal().as_str(), "User:ANONYMOUS");
}

#[tokio::test]
async fn other_users_are_let_in_from_when_they_are_known() {
    let world = world(None).await;
    let mut client = world.client().await;
    log_in(&mut client, Mechanism::Plain, "alice", PASSWORD).await;
    world.context.gate().unwrap().admit(users(&["carol"]));
    assert!(!client.call(9, &MetadataRequest::default()).await.brokers.is_empty(), "who is in stays");
    assert_eq!(log_in(&mut world.client().await, Mechanism::Plain, "alice", PASSWORD).await.error_code, 58);
    assert_eq!(log_in(&mut world.client().await, Mechanism::Plain, "carol", PASSWORD).await.error_code, 0);
}

#[tokio::test]
async fn messages_without_requests_are_taken_from_old_clients() {
    for (password, is_let_in) in [(PASSWORD, true), ("wrong", false)] {
        let world = world(None).await;
        let mut client = world.client().await;
        let wanted = SaslHandshakeRequest::default().with_mechanism(text("SCRAM-SHA-256"));
        assert_eq!(client.call(0, &wanted).await.error_code, 0);
        let mut exchange = credentials(Mechanism::ScramSha256, "alice", password).await;
        let challenge = client.bare(exchange.first()).await.expect("a challenge");
        let proof = exchange.step(&challenge).unwrap().unwrap();
        let answer = client.bare(proof).await;
        assert_eq!(answer.is_some(), is_let_in);
        match answer {
            Some(answer) => {
                assert_eq!(exchange.step(&answer), Ok(None));
                assert!(!client.call(9, &MetadataRequest::default()).await.brokers.is_empty());
            }
            None => client.is_closed().await,
        }
    }
}

#[tokio::test]
async fn who_does_not_log_in_in_time_is_closed() {
    let limits = Limits { handshake: Duration::from_millis(200), ..Limits::default() };
    let world = World::within(limits, |_, _| Reply::Silence).await;
    world.context.close_gate(Gate::new(
        &Sasl { mechanisms: vec![Mechanism::Plain], users: None, session_lifetime: None, oauthbearer: None },
        users(&["alice"]),
        Box::new(|_| {}),
    ));
    let mut inside = world.client().await;
    log_in(&mut inside, Mechanism::Plain, "alice", PASSWORD).await;
    let mut outside = world.client().await;
    handshake(&mut outside, "PLAIN").await;
    sleep(Duration::from_millis(300)).await;
    world.context.sweep();
    outside.is_closed().await;
    assert!(!inside.call(9, &MetadataRequest::default()).await.brokers.is_empty());
}
