//! Who is turned away, and with which words: real clients at a cluster's own listeners and at Fishplate's, with the same
//! mistakes; and the same bytes to both from who has not logged in.

use crate::harness::certificates::Validity;
use crate::harness::config::View;
use crate::harness::metrics::Metrics;
use crate::harness::proxy::Proxy;
use crate::harness::secured::{PASSWORD, USER};
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::login::Client;
use crate::raw::{Raw, encoded, framed, request, text};
use crate::security::add;
use crate::world::{World, full, shared};
use bytes::Bytes;
use fishplate::config::Secret;
use fishplate::security::client::{ClientExchange, Credentials};
use fishplate::types::Mechanism;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, MetadataRequest, ProduceRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use kafka_protocol::protocol::{Decodable, Request};
use libtest_mimic::Trial;
use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;
use std::thread;

pub fn trials() -> Vec<Trial> {
    if !full() {
        let by_others: Vec<_> = MISTAKES.iter().filter(|one| !one.java_in_ci).map(|one| one.what).collect();
        eprintln!("SHORT: Java's words are looked at only at FISHPLATE_TEST_LEVEL=full for: {}", by_others.join(", "));
        eprintln!(
            "SHORT: each mistake is made by two clients, and a certificate of tomorrow is shown to two; \
             FISHPLATE_TEST_LEVEL=full has eight and four"
        );
    }
    vec![
        shared("turned away: clients are told of their mistakes as by Kafka", mistakes),
        shared("turned away: who has not logged in is answered, or closed, as by Kafka", outside),
        shared("turned away: a certificate out of its time is shown to nobody who believes it", out_of_time),
        shared("turned away: who is taken out of the users, or whose authority is, comes in no more", revoked),
    ]
}

/// Listeners of Fishplate as the clusters have them, and the file of users.
struct Doors {
    proxy: Proxy,
    users: PathBuf,
}

/// In the order of Fishplate's listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// SASL over TLS.
    Secured,
    /// Certificates.
    Mutual,
    /// SASL without TLS, and not every mechanism.
    Named,
}

impl Doors {
    /// Whose certificates cluster a's authority has signed, but for those of clients, which this one must have.
    fn open(world: &World, name: &str, client_ca: &str, more: &str) -> Self {
        let users = world.directory.join(format!("{name}.users"));
        add(&users, USER, PASSWORD);
        let (certificate, key) = world.a.pki().server();
        let tls = |more: &str| {
            let (certificate, key) = (certificate.display(), key.display());
            format!("tls: {{ certificate: \"{certificate}\", key: \"{key}\"{more} }}")
        };
        let sasl = |mechanisms: &str| {
            format!("sasl: {{ mechanisms: [{mechanisms}], users_file: \"{}\"{more} }}", users.display())
        };
        let config = world.config().only("turned").showing(View::Single, None).keeps(&tls(""));
        let config = config.keeps(&sasl("PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"));
        let config = config.listener(View::Single, None).keeps(&tls(&format!(", client_ca: \"{client_ca}\"")));
        let config = config.listener(View::Single, None).keeps(&sasl("SCRAM-SHA-256, PLAIN"));
        let proxy = world.start_proxy(&config);
        for told in ["a client was not let in", "TLS handshake failed", "it looks like TLS"] {
            proxy.log().allow(told);
        }
        allow_plain(&proxy);
        Self { proxy, users }
    }

    fn at(&self, door: Door) -> Bootstrap {
        self.proxy.bootstrap_of(door as usize)
    }
}

/// What `check` says of PLAIN without TLS, line by line.
pub fn allow_plain(proxy: &Proxy) {
    for part in ["everybody on the way can read the clients' passwords", "|", "sasl: {", "write `tls:` beside"] {
        proxy.log().allow(part);
    }
}

fn bare(world: &World, door: Door) -> Bootstrap {
    match door {
        Door::Secured => world.a.secured(),
        Door::Mutual => world.a.mutual(),
        Door::Named => world.a.named(),
    }
}

/// A mistake that a client makes at one of the doors.
struct Mistake {
    what: &'static str,
    door: Door,
    /// Makes it of a client that makes none.
    make: fn(&World, Client) -> Client,
    /// What Java shows of it, somewhere.
    java: &'static str,
    /// Below the full level Java makes only these, and another client beside it; two others make the rest.
    java_in_ci: bool,
}

const MISTAKES: [Mistake; 9] = [
    Mistake {
        what: "another authority",
        door: Door::Secured,
        make: |world, client| client.by("PLAIN", USER, PASSWORD).trusting(&world.b.pki().ca()),
        java: "SslAuthenticationException: SSL handshake failed",
        java_in_ci: false,
    },
    Mistake {
        what: "another name",
        door: Door::Secured,
        make: |world, client| {
            let servers = client.servers.replace("127.0.0.1", "localhost");
            trusting(world, Client { servers, ..client }.by("PLAIN", USER, PASSWORD))
        },
        java: "SSLHandshakeException: No name matching localhost found",
        java_in_ci: true,
    },
    Mistake {
        what: "a wrong password",
        door: Door::Secured,
        make: |world, client| trusting(world, client.by("PLAIN", USER, "wrong")),
        java: "SaslAuthenticationException: Authentication failed: Invalid username or password",
        java_in_ci: false,
    },
    Mistake {
        what: "a wrong password, by a proof",
        door: Door::Secured,
        make: |world, client| trusting(world, client.by("SCRAM-SHA-512", USER, "wrong")),
        java: "SaslAuthenticationException: Authentication failed during authentication due to invalid credentials with SASL \
               mechanism SCRAM-SHA-512",
        java_in_ci: true,
    },
    Mistake {
        what: "no certificate",
        door: Door::Mutual,
        make: trusting,
        java: "SslAuthenticationException: ",
        java_in_ci: false,
    },
    Mistake {
        what: "a certificate of another authority",
        door: Door::Mutual,
        make: |world, client| trusting(world, client).showing(&world.b.pki().client_in_one()),
        java: "SslAuthenticationException: ",
        java_in_ci: true,
    },
    Mistake {
        what: "a certificate whose time is over",
        door: Door::Mutual,
        make: |world, client| {
            let name = format!("turned-expired-{}", fastrand::u64(..));
            trusting(world, client).showing(&world.a.pki().another_client_in_one(&name, Validity::Expired))
        },
        java: "SslAuthenticationException: ",
        java_in_ci: false,
    },
    Mistake {
        what: "TLS where none is",
        door: Door::Named,
        make: |world, client| trusting(world, client.by("PLAIN", USER, PASSWORD)),
        java: "TimeoutException: Topic a-turned not present in metadata",
        java_in_ci: true,
    },
    Mistake {
        what: "a mechanism that is not there",
        door: Door::Named,
        make: |_, client| client.by("SCRAM-SHA-512", USER, PASSWORD),
        java: "UnsupportedSaslMechanismException: Client SASL mechanism 'SCRAM-SHA-512' not enabled in the server, enabled \
               mechanisms are [",
        java_in_ci: true,
    },
];

/// Who makes a mistake.
fn makers(mistake: &Mistake) -> &'static [&'static str] {
    match (full(), mistake.java_in_ci, mistake.door) {
        (true, ..) => &[
            "java-4.3",
            "java-3.9",
            "confluent-2.16",
            "confluent-2.3",
            "franz-go",
            "kafkajs",
            "kafka-python-3",
            "aiokafka",
        ],
        (false, true, Door::Secured) => &["java-4.3", "franz-go"],
        (false, true, _) => &["java-4.3", "confluent-2.16"],
        (false, false, _) => &["franz-go", "confluent-2.16"],
    }
}

fn trusting(world: &World, client: Client) -> Client {
    client.trusting(&world.a.pki().ca())
}

fn mistakes(world: &World) {
    Topics::of(&world.a.bootstrap()).create("a-turned", 1, 1);
    let doors = Doors::open(world, "turned", &world.a.pki().ca().display().to_string(), "");
    let mut complaints = Vec::new();
    // Some at a time: most clients try on for seconds.
    for some in MISTAKES.chunks(5) {
        thread::scope(|scope| {
            let pairs = some.iter().flat_map(|mistake| makers(mistake).iter().map(move |client| (mistake, *client)));
            let doors = &doors;
            let judging = |(mistake, client)| scope.spawn(move || judge(world, doors, mistake, client));
            let judging: Vec<_> = pairs.map(judging).collect();
            complaints.extend(judging.into_iter().filter_map(|one| one.join().expect("a client")));
        });
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    let failed = |family, labels: &[(&str, &str)]| Metrics::of(&doors.proxy.admin()).sum(family, labels).unwrap_or(0.0);
    assert!(failed("fishplate_logins_total", &[("result", "failed")]) >= 6.0);
    assert!(failed("fishplate_handshakes_failed_total", &[]) >= 5.0);
    doors.proxy.finish();
}

/// What is not as it should be where a client makes a mistake at Kafka and here.
fn judge(world: &World, doors: &Doors, mistake: &Mistake, client: &'static str) -> Option<String> {
    let play = |at: Bootstrap| (mistake.make)(world, Client::new(client, &at.servers, "a-turned")).play(world);
    // The text is compared where it is the same each time: what others print has times and numbers of tries in it.
    let (here, of_kafka) = thread::scope(|scope| {
        let of_kafka = client.starts_with("java").then(|| scope.spawn(|| play(bare(world, mistake.door))));
        (play(doors.at(mistake.door)), of_kafka.map(|one| one.join().expect("a client")))
    });
    let Err(told) = here else {
        return Some(format!("{}: {client} is served", mistake.what));
    };
    let of_kafka = of_kafka?.expect_err("Kafka turns it away");
    let is_alike = plain(&told) == plain(&of_kafka) && told.contains(mistake.java);
    (!is_alike).then(|| format!("{}: {client}\n  at Kafka: {of_kafka}\n  here: {told}", mistake.what))
}

/// Without what is different each time: addresses and numbers, the order of mechanisms, and which alert of TLS was sent, which
/// is up to its library.
fn plain(told: &str) -> String {
    let told = match told
        .split_once("enabled mechanisms are [")
        .and_then(|(before, list)| Some((before, list.split_once(']')?.0)))
    {
        Some((before, list)) => {
            let mut list: Vec<_> = list.split(", ").filter(|one| *one != "OAUTHBEARER").collect();
            list.sort_unstable();
            format!("{before}{list:?}")
        }
        None => told.to_owned(),
    };
    let lines = told.lines().map(|line| line.split_once("Received fatal alert").map_or(line, |(before, _)| before));
    lines.collect::<Vec<_>>().join("\n").chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// What is sent, piece by piece; what comes of the last piece is what counts.
struct Case {
    what: &'static str,
    pieces: Vec<Piece>,
}

enum Piece {
    /// These bytes; an answer of this API and version is awaited.
    Sent(Vec<u8>, ApiKey, i16),
    /// A proof to the last answer, by this exchange.
    Proof,
    /// The same bytes as that one before.
    Again(usize),
}

fn asks<R: Request>(version: i16, asked: &R) -> Piece {
    let api = ApiKey::try_from(R::KEY).expect("an API");
    Piece::Sent(request(api, version, &encoded(asked, version)), api, version)
}

fn shakes(mechanism: &str) -> Piece {
    asks(1, &SaslHandshakeRequest::default().with_mechanism(text(mechanism)))
}

fn says(message: &[u8]) -> Piece {
    asks(2, &SaslAuthenticateRequest::default().with_auth_bytes(Bytes::copy_from_slice(message)))
}

/// A frame that says it is longer, or shorter, than it is.
fn cut(piece: Piece, by: usize, is_honest: bool) -> Piece {
    let Piece::Sent(mut bytes, api, version) = piece else { return piece };
    bytes.truncate(bytes.len() - by);
    if is_honest {
        bytes = framed(&bytes[4..]);
    }
    Piece::Sent(bytes, api, version)
}

fn cases() -> Vec<Case> {
    let case = |what, pieces| Case { what, pieces };
    let hello = || {
        asks(
            3,
            &ApiVersionsRequest::default().with_client_software_name(text("a")).with_client_software_version(text("1")),
        )
    };
    let right = format!("\0{USER}\0{PASSWORD}");
    let first = format!("n,,n={USER},r=abcdefghijklmnop");
    vec![
        case("a mechanism that is not there", vec![shakes("GSSAPI")]),
        case("the same after ApiVersions", vec![hello(), shakes("SCRAM-SHA-512")]),
        case("no mechanism", vec![shakes("")]),
        case("a mechanism in small letters", vec![shakes("plain")]),
        case("Metadata first", vec![asks(9, &MetadataRequest::default())]),
        case("Metadata after ApiVersions", vec![hello(), asks(9, &MetadataRequest::default())]),
        case("Produce without an answer", vec![asks(9, &ProduceRequest::default().with_acks(0))]),
        case("ApiVersions twice", vec![hello(), hello()]),
        case("ApiVersions amid an exchange", vec![shakes("PLAIN"), hello()]),
        case("Metadata amid an exchange", vec![shakes("PLAIN"), asks(9, &MetadataRequest::default())]),
        case("a proof without a mechanism", vec![says(right.as_bytes())]),
        case("a second handshake", vec![shakes("PLAIN"), shakes("PLAIN")]),
        case(
            "a handshake of a version that is not there",
            vec![Piece::Sent(request(ApiKey::SaslHandshake, 9, b"\0\x05PLAIN"), ApiKey::SaslHandshake, 1)],
        ),
        case("an API that is not there", vec![Piece::Sent(request_of(999), ApiKey::SaslHandshake, 1)]),
        case("a handshake that ends early", vec![cut(shakes("PLAIN"), 3, true)]),
        case("a proof that ends early", vec![shakes("PLAIN"), cut(says(right.as_bytes()), 4, true)]),
        case("an empty proof", vec![shakes("PLAIN"), says(b"")]),
        case("half a password", vec![shakes("PLAIN"), says(&right.as_bytes()[..right.len() - 3])]),
        case("no password", vec![shakes("PLAIN"), says(format!("\0{USER}\0").as_bytes())]),
        case("no name", vec![shakes("PLAIN"), says(format!("\0\0{PASSWORD}").as_bytes())]),
        case("two texts", vec![shakes("PLAIN"), says(format!("{USER}\0{PASSWORD}").as_bytes())]),
        case("four texts", vec![shakes("PLAIN"), says(format!("{right}\0").as_bytes())]),
        case("bytes that are no text", vec![shakes("PLAIN"), says(&[0, 0xff, 0xfe, 0, 0xff])]),
        case(
            "who wants to pass for another",
            vec![shakes("PLAIN"), says(format!("admin\0{USER}\0{PASSWORD}").as_bytes())],
        ),
        case("a wrong password", vec![shakes("PLAIN"), says(format!("\0{USER}\0wrong").as_bytes())]),
        case("PLAIN for SCRAM", vec![shakes("SCRAM-SHA-256"), says(right.as_bytes())]),
        case("an empty first message of SCRAM", vec![shakes("SCRAM-SHA-256"), says(b"")]),
        case("half a first message of SCRAM", vec![shakes("SCRAM-SHA-256"), says(&first.as_bytes()[..10])]),
        case("channel binding", vec![shakes("SCRAM-SHA-256"), says(first.replace("n,,", "p=tls-unique,,").as_bytes())]),
        case("a user that is not there", vec![shakes("SCRAM-SHA-256"), says(first.replace(USER, "nobody").as_bytes())]),
        case("a first message twice", vec![shakes("SCRAM-SHA-256"), says(first.as_bytes()), says(first.as_bytes())]),
        case(
            "a proof that is none",
            vec![shakes("SCRAM-SHA-256"), says(first.as_bytes()), says(b"c=biws,r=abcdefghijklmnop,p=AAAA")],
        ),
        case("a proof", vec![shakes("SCRAM-SHA-256"), Piece::Proof, Piece::Proof]),
        case("a proof of another exchange", vec![shakes("SCRAM-SHA-256"), Piece::Again(1), Piece::Again(2)]),
        case("a handshake of who is in", vec![shakes("PLAIN"), says(right.as_bytes()), shakes("PLAIN")]),
        case("a proof of who is in", vec![shakes("PLAIN"), says(right.as_bytes()), says(right.as_bytes())]),
    ]
}

fn request_of(api: i16) -> Vec<u8> {
    let mut bytes = request(ApiKey::SaslHandshake, 1, b"\0\x05PLAIN");
    bytes[4..6].copy_from_slice(&api.to_be_bytes());
    bytes
}

/// Plays all cases in turn at one place.
struct Player {
    at: String,
    /// Each case comes from an address of its own, as who has failed is held up.
    played: u8,
    runtime: tokio::runtime::Runtime,
    /// What was sent in the exchange that ended well.
    said: Vec<Vec<u8>>,
}

impl Player {
    fn new(at: &Bootstrap) -> Self {
        let at = at.servers.split(',').next().expect("an address").to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Self { at, played: 0, runtime, said: Vec::new() }
    }

    fn play(&mut self, case: &Case) -> String {
        self.played += 1;
        let mut raw = Raw::from([127, 0, 1, self.played], &self.at);
        let credentials = Credentials::password(Mechanism::ScramSha256, USER, Secret::new(PASSWORD.to_owned()));
        let mut exchange: ClientExchange = self.runtime.block_on(credentials.exchange()).expect("randomness");
        let (mut heard, mut last) = (String::new(), None::<Bytes>);
        let mut sent = Vec::new();
        for piece in &case.pieces {
            let (bytes, api, version) = match piece {
                Piece::Sent(bytes, api, version) => (bytes.clone(), *api, *version),
                Piece::Again(at) => (self.said[*at].clone(), ApiKey::SaslAuthenticate, 2),
                Piece::Proof => {
                    let message = match last.take().filter(|_| sent.len() > 1) {
                        None => exchange.first(),
                        Some(challenge) => exchange.step(&challenge).expect("a challenge").expect("a proof"),
                    };
                    let Piece::Sent(bytes, api, version) = says(&message) else { unreachable!() };
                    (bytes, api, version)
                }
            };
            raw.throw(&bytes);
            sent.push(bytes);
            let Some(frame) = raw.read_frame() else {
                heard = "closed".to_owned();
                break;
            };
            (heard, last) = read(&frame, api, version);
        }
        // Who is refused is also closed; who is not may go on. ApiVersions is answered by who takes requests.
        if heard != "closed" {
            let Piece::Sent(ping, ..) = asks(9, &MetadataRequest::default().with_topics(Some(vec![]))) else {
                unreachable!()
            };
            raw.throw(&ping);
            heard.push_str(if raw.read_frame().is_some() { ", and goes on" } else { ", and is closed" });
        }
        if case.pieces.iter().any(|piece| matches!(piece, Piece::Proof)) {
            self.said = sent;
        }
        heard
    }
}

/// What an answer says, and the bytes in it.
fn read(frame: &Bytes, api: ApiKey, version: i16) -> (String, Option<Bytes>) {
    let body = frame.slice(4 + usize::from(api.response_header_version(version) >= 1)..);
    match api {
        ApiKey::SaslHandshake => {
            let answer = kafka_protocol::messages::SaslHandshakeResponse::decode(&mut body.clone(), version);
            let words = answer.map(|answer| {
                // OAUTHBEARER is one of the cluster's here, and not one of ours.
                let mut all: Vec<_> = answer.mechanisms.iter().filter(|one| one.as_str() != "OAUTHBEARER").collect();
                all.sort_unstable();
                format!("SaslHandshake {} {all:?}", answer.error_code)
            });
            (words.unwrap_or_else(|error| shown(&error)), None)
        }
        ApiKey::SaslAuthenticate => {
            let answer = kafka_protocol::messages::SaslAuthenticateResponse::decode(&mut body.clone(), version);
            match answer {
                Ok(answer) => {
                    let words = format!("SaslAuthenticate {} {:?}", answer.error_code, answer.error_message.as_deref());
                    (words, Some(answer.auth_bytes))
                }
                Err(error) => (shown(&error), None),
            }
        }
        _ => (format!("{api:?}"), None),
    }
}

fn shown(error: &impl Debug) -> String {
    format!("no answer: {error:?}")
}

/// What Kafka says otherwise, and why.
const DIFFERENCES: [(&str, &str); 3] = [
    (
        "ApiVersions amid an exchange",
        "Kafka answers with 34 in the form of whatever was asked; nothing else is read here before a login",
    ),
    ("Metadata amid an exchange", "the same"),
    ("a user that is not there", "who asks learns nothing: it is led through an exchange, and is refused at its end"),
];

fn outside(world: &World) {
    let doors = Doors::open(world, "outside", &world.a.pki().ca().display().to_string(), "");
    let (mut kafka, mut here) = (Player::new(&world.a.named()), Player::new(&doors.at(Door::Named)));
    let mut complaints = Vec::new();
    for case in cases() {
        let (of_kafka, of_fishplate) = (kafka.play(&case), here.play(&case));
        let is_known = DIFFERENCES.iter().any(|(what, _)| *what == case.what);
        if (of_kafka != of_fishplate) != is_known {
            complaints.push(format!("{}:\n  Kafka: {of_kafka}\n  here:  {of_fishplate}", case.what));
        }
    }
    assert!(complaints.is_empty(), "{} differ:\n{}", complaints.len(), complaints.join("\n"));
    for told in ["a client sent", "connection", "frame"] {
        doors.proxy.log().allow(told);
    }
    doors.proxy.finish();
}

fn out_of_time(world: &World) {
    Topics::of(&world.a.bootstrap()).create("a-turned-time", 1, 1);
    let mut complaints = Vec::new();
    for (validity, java) in [(Validity::Expired, "NotAfter: "), (Validity::NotYet, "NotBefore: ")] {
        let (certificate, key) = world.a.pki().another_server(&format!("turned-{validity:?}"), validity);
        let tls = format!("tls: {{ certificate: \"{}\", key: \"{}\" }}", certificate.display(), key.display());
        let proxy = world.start_proxy(&world.config().only("turned").showing(View::Single, None).keeps(&tls));
        // It is warned of, line by line
        for part in ["certificate", "|", "tls: {", "TLS handshake failed"] {
            proxy.log().allow(part);
        }
        let clients = [
            ("java-4.3", java),
            ("franz-go", "x509: certificate has expired or is not yet valid"),
            ("confluent-2.16", ""),
            ("kafkajs", ""),
        ];
        let clients = if full() || validity == Validity::Expired { &clients[..] } else { &clients[..2] };
        thread::scope(|scope| {
            let playing = clients.iter().map(|(name, shows)| {
                let client =
                    Client::new(name, &proxy.bootstrap().servers, "a-turned-time").trusting(&world.a.pki().ca());
                (name, shows, scope.spawn(move || client.play(world)))
            });
            for (name, shows, ended) in playing.collect::<Vec<_>>() {
                let told = ended.join().expect("a client");
                if !told.as_ref().is_err_and(|told| told.contains(shows)) {
                    complaints.push(format!("{validity:?}: {name}: {told:?}"));
                }
            }
        });
        proxy.finish();
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn revoked(world: &World) {
    // Given clients that log in anew every five seconds, and one with a certificate
    Topics::of(&world.a.bootstrap()).create("a-turned-revoked", 1, 1);
    let authorities = world.directory.join("turned-revoked.ca");
    let both = [world.a.pki().ca(), world.b.pki().ca()].map(|ca| fs::read_to_string(ca).expect("a file"));
    fs::write(&authorities, both.concat()).expect("a file");
    let doors = Doors::open(world, "revoked", &authorities.display().to_string(), ", session_lifetime: 5s");
    add(&doors.users, "mallory", PASSWORD);
    let users = |result: &str| {
        Metrics::of(&doors.proxy.admin()).sum("fishplate_users_reloads_total", &[("result", result)]).unwrap_or(0.0)
    };
    wait::until("mallory is known", wait::seconds(20), || users("applied") >= 1.0);
    let ca = world.a.pki().ca();
    let client = |name, door| Client::new(name, &doors.at(door).servers, "a-turned-revoked").trusting(&ca);
    let (old, new) = (world.b.pki().client_in_one(), world.a.pki().client_in_one());
    thread::scope(|scope| {
        let names = ["java-4.3", "confluent-2.16", "franz-go"];
        let playing = names.map(|name| {
            let client = client(name, Door::Secured).by("SCRAM-SHA-512", "mallory", PASSWORD);
            scope.spawn(move || (name, Client { seconds: 40, ..client }.play(world)))
        });
        let inside = client("confluent-2.16", Door::Mutual).showing(&old);
        let inside = scope.spawn(move || Client { seconds: if full() { 25 } else { 18 }, ..inside }.play(world));
        let log = doors.proxy.log();
        // Java says what it is when it is in.
        let has_come = |name: &str| {
            let told = log.lines_with("a client has logged in");
            told.iter().any(|line| line.contains("User:mallory") && line.contains(name))
        };
        wait::until("all are in", wait::seconds(60), || {
            ["a client without a name", "confluent", "kgo"].iter().all(|name| has_come(name))
        });
        wait::until("so is the one with a certificate", wait::seconds(30), || {
            !log.lines_with("a client has shown its certificate").is_empty()
        });
        client("franz-go", Door::Mutual).showing(&old).play(world).expect("its authority is one of two");
        // When the user is taken out of the file, and the authority out of its
        let (code, said) =
            crate::operator::run(&["users", "remove", "--file", &doors.users.display().to_string(), "mallory"]);
        assert_eq!(code, 0, "{said}");
        fs::write(&authorities, &both[0]).expect("a file");
        let reloads = || {
            let applied = [("result", "applied")];
            Metrics::of(&doors.proxy.admin()).sum("fishplate_certificate_reloads_total", &applied).unwrap_or(0.0)
        };
        wait::until("other authorities are read", wait::seconds(30), || reloads() >= 1.0);
        // Then each is out when its session ends, and is told why
        for playing in playing {
            let (name, ended) = playing.join().expect("a client");
            let told = ended.expect_err("mallory is out");
            if name == "java-4.3" {
                assert!(told.contains("SaslAuthenticationException: Authentication failed during"), "{told}");
            }
        }
        // Who is in with a certificate stays, as long as its connection does; nobody comes in any more with one of that authority
        assert!(client("franz-go", Door::Mutual).showing(&old).play(world).is_err());
        client("franz-go", Door::Mutual).showing(&new).play(world).expect("the other authority is there");
        inside.join().expect("a client").expect("it stays");
    });
    doors.proxy.finish();
}
