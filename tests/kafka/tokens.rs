//! Clients that come with tokens: JWTs of an issuer with a file of keys, or an address; and what other tokens they may bring.

use crate::harness::config::View;
use crate::harness::endpoint::{Endpoint, Says};
use crate::harness::issuer::{Signer, base64url, jwks};
use crate::harness::metrics::Metrics;
use crate::harness::proxy::Proxy;
use crate::harness::secured::{AUDIENCE, ISSUER};
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::login::{Client, clients, play_all, say_who_is_left_out};
use crate::world::{World, full, shared};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub fn trials() -> Vec<Trial> {
    say_who_is_left_out("lets in by tokens");
    vec![
        shared("tokens: every client is let in by its issuer's token, and by no other", right_and_wrong),
        shared("tokens: an issuer's new key is taken when its first token comes, and the old one is no more", new_key),
        shared("tokens: sessions end with tokens of seconds, keys change, and no client has an error", short_tokens),
    ]
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// What a good token of this principal says, for so many seconds.
pub fn claims_of(principal: &str, seconds: u64) -> Value {
    json!({ "iss": ISSUER, "aud": [AUDIENCE], "sub": principal, "iat": now(), "exp": now() + seconds })
}

fn claims(seconds: u64) -> Value {
    claims_of("alice", seconds)
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = claims(600);
    claims[claim] = value;
    claims
}

/// A file of its own with this text. It is replaced in one step: clients read it at any time.
fn file(world: &World, name: &str, text: &str) -> PathBuf {
    let file = world.directory.join(name);
    let new = file.with_extension("new");
    fs::write(&new, text).expect("a file");
    fs::rename(&new, &file).expect("a file");
    file
}

/// A Fishplate that takes tokens over TLS, with keys from there.
fn takes_tokens(world: &World, keys: &str) -> Proxy {
    let (certificate, key) = world.a.pki().server();
    let tls = format!("tls: {{ certificate: \"{}\", key: \"{}\" }}", certificate.display(), key.display());
    let oauthbearer = format!("{{ jwks: \"{keys}\", issuer: \"{ISSUER}\", audience: {AUDIENCE}, clock_skew: 1s }}");
    let sasl = format!("sasl: {{ mechanisms: [OAUTHBEARER], oauthbearer: {oauthbearer} }}");
    let proxy = world.start_proxy(&world.config().only("tokens").showing(View::Single, None).keeps(&tls).keeps(&sasl));
    // The last of clients that know no messages but bare ones, and take what refuses them for an answer.
    ["a client was not let in", "a client's token is not taken", "Metadata (API 3) where the client must log in"]
        .iter()
        .for_each(|told| proxy.log().allow(told));
    proxy
}

fn comes(world: &World, proxy: &Proxy, name: &'static str, token: &str) -> Client {
    let file = file(world, &format!("{name}-{}.token", fastrand::u64(..)), token);
    let client = Client::new(name, &proxy.bootstrap().servers, "a-tokens").trusting(&world.a.pki().ca());
    client.by("OAUTHBEARER", "", &file.display().to_string())
}

/// The end of a trial: nothing unexpected was logged, and no token at all.
fn finish(proxy: &Proxy, tokens: &[String]) {
    let log = fs::read_to_string(proxy.log().file()).expect("a log");
    let shown = Metrics::of(&proxy.admin()).text().to_owned();
    for token in tokens {
        let parts = token.split('.').filter(|part| part.len() > 8).chain([token.as_str()]);
        parts.for_each(|part| assert!(!log.contains(part) && !shown.contains(part), "{part} was said"));
    }
    proxy.finish();
}

fn right_and_wrong(world: &World) {
    Topics::of(&world.a.bootstrap()).create("a-tokens", 1, 1);
    let (known, stranger) = (Signer::new("ES256", "one"), Signer::new("ES256", "another"));
    let impostor = Signer::new("ES256", "one");
    let proxy = takes_tokens(world, &file(world, "tokens.jwks", &jwks([&known])).display().to_string());
    let right = known.token(&claims(600));
    let mut complaints =
        play_all(world, "right", true, clients().iter().map(|name| comes(world, &proxy, name, &right)));
    // Java's own way to read a token out of a file
    let java = if full() { &["java-4.3", "java-3.9"][..] } else { &["java-4.3"] };
    let java = java.iter().map(|name| {
        let client = comes(world, &proxy, name, &right);
        let url = format!("file://{}", client.password);
        Client { password: url, ..client }
    });
    complaints.extend(play_all(world, "right, by Java's own handler", true, java));
    let none = known.sign(&json!({ "alg": "none" }), &claims(600).to_string());
    let bytes = |token: &str| token.rsplit_once('.').expect("a signature").0.to_owned();
    let wrong = [
        ("expired", known.token(&with("exp", json!(now() - 60)))),
        ("of another audience", known.token(&with("aud", json!(["billing"])))),
        ("of another issuer", known.token(&with("iss", json!("https://idp.other")))),
        ("of an unknown key", stranger.token(&claims(600))),
        ("signed by who says he is the key", impostor.token(&claims(600))),
        ("alg: none", none),
        ("alg: none, and no signature", format!("{}.{}", bytes(&known.sign(&json!({ "alg": "none" }), "{}")), "e30")),
        (
            "changed",
            format!("{}.{}.c2ln", base64url("{\"alg\":\"ES256\",\"kid\":\"one\"}"), base64url(claims(600).to_string())),
        ),
    ];
    for (at, (what, token)) in wrong.iter().enumerate() {
        // All clients bring each at the full level; else each is brought by one of them.
        let some = clients().iter().enumerate().filter(|(place, _)| full() || *place == at % clients().len());
        let bringing = some.map(|(_, name)| comes(world, &proxy, name, token));
        complaints.extend(play_all(world, what, false, bringing));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    // What Java shows people is what Kafka's brokers make it show
    let told = comes(world, &proxy, "java-4.3", &wrong[0].1).play(world).expect_err("it is not let in");
    assert!(told.contains("SaslAuthenticationException: {\"status\":\"invalid_token\"}"), "{told}");
    let audit = proxy.log().lines_with("a client has logged in");
    assert!(audit.iter().any(|line| line.contains("User:alice") && line.contains("OAUTHBEARER")), "{audit:?}");
    let tokens: Vec<_> = wrong.into_iter().map(|(_, token)| token).chain([right]).collect();
    finish(&proxy, &tokens);
}

/// Says that it is over, also where a trial panics.
pub struct Ends<'a>(pub &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// An address that says what it is told to, as long as this lives.
pub struct Site {
    runtime: tokio::runtime::Runtime,
    endpoint: Endpoint,
}

impl Site {
    pub fn saying(text: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let endpoint = runtime.block_on(Endpoint::start(Says::This(200, text.to_owned())));
        Self { runtime, endpoint }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/keys", self.endpoint.port)
    }

    pub fn says(&self, text: &str) {
        let _entered = self.runtime.enter();
        self.endpoint.says(Says::This(200, text.to_owned()));
    }
}

fn new_key(world: &World) {
    Topics::of(&world.a.bootstrap()).create("a-tokens-key", 1, 1);
    let (old, new) = (Signer::new("ES256", "old"), Signer::new("EdDSA", "new"));
    let site = Site::saying(&jwks([&old]));
    let proxy = takes_tokens(world, &site.url());
    let play = |name, signer: &Signer| {
        let client = comes(world, &proxy, name, &signer.token(&claims(600)));
        Client { topics: "a-tokens-key".into(), ..client }.play(world)
    };
    play("confluent-2.16", &old).expect("the old key is good");
    // When the issuer changes its keys
    site.says(&jwks([&new]));
    // Then who comes with a new token is let in, ten seconds after the keys were read last at the latest
    let begin = Instant::now();
    while let Err(wrong) = play("franz-go", &new) {
        assert!(begin.elapsed() < wait::seconds(40), "{wrong}");
    }
    play("java-4.3", &new).expect("the new key is good");
    assert!(play("confluent-2.16", &old).is_err(), "the old key is good no longer");
    assert!(site.endpoint.asked().len() <= 4, "{:?}", site.endpoint.asked());
    finish(&proxy, &[]);
}

/// Sessions last as long as their tokens.
fn short_tokens(world: &World) {
    const LASTS: u64 = 15;
    let seconds = if full() { 120 } else { 30 };
    let all = ["java-4.3", "franz-go", "confluent-2.16", "java-3.9"];
    let clients = if full() { &all[..] } else { &all[..3] };
    let topic = |name: &str| format!("a-tokens-short-{name}");
    let topics = Topics::of(&world.a.bootstrap());
    clients.iter().for_each(|name| topics.create(&topic(name), 1, 1));
    let keys = [Signer::new("ES256", "first"), Signer::new("ES256", "second"), Signer::new("RS256", "third")];
    let site = Site::saying(&jwks([&keys[0], &keys[1]]));
    let proxy = takes_tokens(world, &site.url());
    let (begin, over) = (Instant::now(), AtomicBool::new(false));
    let write = |signer: &Signer| file(world, "tokens-short.token", &signer.token(&claims(LASTS)));
    let token = write(&keys[0]).display().to_string();
    thread::scope(|scope| {
        // Given an issuer whose tokens last for seconds, and which goes over to another key twice: to one that it has told of
        // long before, and to one that nobody has heard of
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let third = begin.elapsed().as_secs() * 3 / u64::from(seconds);
                let signer = &keys[usize::try_from(third.min(2)).expect("a small number")];
                site.says(&jwks(if third < 2 { &keys[..2] } else { &keys[..] }));
                write(signer);
                sleep(Duration::from_secs(1));
            }
        });
        let _ends = Ends(&over);
        // Then clients write all the while, and nobody notices
        let playing: Vec<_> = clients
            .iter()
            .map(|name| {
                let client = Client::new(name, &proxy.bootstrap().servers, &topic(name)).trusting(&world.a.pki().ca());
                let client = Client { seconds, ..client.by("OAUTHBEARER", "", &token) };
                scope.spawn(move || (client.name, client.play(world)))
            })
            .collect();
        let ended: Vec<_> = playing.into_iter().map(|playing| playing.join().expect("a client")).collect();
        let wrong: Vec<_> = ended.iter().filter(|(_, ended)| ended.is_err()).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
    let renewed = Metrics::of(&proxy.admin()).sum("fishplate_logins_total", &[("result", "renewed")]).unwrap_or(0.0);
    world.note(format!("tokens: {seconds} s of tokens of {LASTS} s: {renewed} logins renewed"));
    assert!(renewed >= clients.len() as f64, "{renewed}");
    finish(&proxy, &[]);
}
