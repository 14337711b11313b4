//! Clients that come to real clusters as identities of their own: the clusters' authorizer and quotas bind each of them, and what
//! is wrong with one is nothing to the others.

use crate::harness::cluster::Cluster;
use crate::harness::config::{Config, View};
use crate::harness::metrics::Metrics;
use crate::harness::process::command;
use crate::harness::proxy::Proxy;
use crate::harness::secured::{DUKE, LIFETIME_MS, OTHERS, PASSWORD, USER, password_of};
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::operator::{run, says};
use crate::raw::{Raw, batch, fetch, produce, text, topic};
use crate::scenarios::programs::{java_at, run_to_end, set_up};
use crate::world::{World, full, shared};
use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    AlterClientQuotasRequest, CreateAclsRequest, InitProducerIdRequest, JoinGroupRequest, MetadataRequest,
    SaslAuthenticateRequest, SaslHandshakeRequest,
};
use libtest_mimic::Trial;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

const WITHIN: Duration = wait::seconds(30);
/// Who logs in at Fishplate: alice comes to the cluster as `capture`, bob as `replay`, and carol as nobody.
const USERS: [&str; 3] = ["alice", "bob", "carol"];
const CAPTURE: &str = OTHERS[0];
const REPLAY: &str = OTHERS[1];

/// Kafka's numbers for what ACLs are about, and what they allow.
const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const TRANSACTIONAL_ID: i8 = 5;
const READ: i8 = 3;
const WRITE: i8 = 4;
/// How a rule denies.
const DENY: i8 = 2;

pub fn trials() -> Vec<Trial> {
    vec![
        shared("identities: the cluster's own ACLs bind each client, and hide from it what they hide", acls_bind),
        shared("identities: the cluster's own quotas bind each client", quotas_bind),
        shared("identities: a wrong password of one is one clear line, and nothing to the others", wrong_password),
        shared("identities: by their certificates", by_certificate),
        shared("identities: logins of five seconds are renewed, each as who it is", renewed),
        shared("identities: Java's producer is told what the cluster says of its identity", told_to_java),
    ]
}

/// A Fishplate before cluster `a`, whose listener asks who comes.
struct Guarded {
    proxy: Proxy,
    file: PathBuf,
    users: PathBuf,
}

fn password(user: &str) -> String {
    format!("planted-here-{user}")
}

fn identity(name: &str, principals: &str, mechanism: &str, password: &str) -> String {
    format!(
        "{name}: {{ principals: [{principals}], sasl: {{ mechanism: {mechanism}, username: {name}, password: \"{password}\" }} }}"
    )
}

/// Both, with what they are known by.
fn both(mechanism: &str) -> String {
    let one = |name, user| identity(name, &format!("\"User:{user}\""), mechanism, &password_of(name));
    format!("{}, {}", one(CAPTURE, "alice"), one(REPLAY, "bob"))
}

impl Guarded {
    fn start(world: &World, name: &str, identities: &str) -> Self {
        let users = world.directory.join(format!("{name}.users"));
        for user in USERS {
            let mut add = command(env!("CARGO_BIN_EXE_fishplate"));
            add.args(["users", "add", "--file"]).arg(&users).arg(user).env("FISHPLATE_PASSWORD", password(user));
            assert!(add.output().expect("fishplate").status.success());
        }
        let file = world.directory.join(format!("{name}.yaml"));
        let guarded = |file: &Path| {
            fs::write(file, yaml(world, name, &users, identities)).expect("a file");
            Proxy::of_file(file, vec![View::Auto], &world.directory).unwrap_or_else(|error| panic!("{error:#}"))
        };
        let proxy = guarded(&file);
        // What a start says of PLAIN without TLS.
        for part in ["everybody on the way can read the clients' passwords", "|", "sasl: {", "write `tls:` beside"] {
            proxy.log().allow(part);
        }
        proxy.wait_ready();
        Self { proxy, file, users }
    }

    fn reload(&self, world: &World, name: &str, identities: &str) {
        let reloads =
            || Metrics::of(&self.proxy.admin()).sum("fishplate_config_reloads_total", &[("result", "applied")]);
        let before = reloads().unwrap_or(0.0);
        fs::write(&self.file, yaml(world, name, &self.users, identities)).expect("a file");
        self.proxy.hang_up();
        wait::until("the config is taken", WITHIN, || reloads().unwrap_or(0.0) > before);
    }

    /// A client that has logged in as one of [`USERS`].
    fn client(&self, user: &str) -> Raw {
        let mut raw = Raw::connect(&self.proxy.bootstrap().servers);
        let handshake = SaslHandshakeRequest::default().with_mechanism(text("PLAIN"));
        assert_eq!(raw.call(1, &handshake).error_code, 0);
        let token = format!("\0{user}\0{}", password(user));
        let told = raw.call(2, &SaslAuthenticateRequest::default().with_auth_bytes(token.into_bytes().into()));
        assert_eq!(told.error_code, 0, "{:?}", told.error_message);
        raw
    }

    /// The end of a trial: nothing unexpected was said, and no secret at all.
    fn finish(self) {
        let metrics = Metrics::of(&self.proxy.admin());
        let config = says(&self.proxy, &["clients", "--json"]).1;
        let shown = [metrics.text(), &config].concat();
        let log = fs::read_to_string(self.proxy.log().file()).expect("a log");
        let theirs = OTHERS.map(password_of);
        for secret in theirs.iter().map(String::as_str).chain([PASSWORD]) {
            assert!(!log.contains(secret) && !shown.contains(secret), "{secret} was said");
        }
        self.proxy.finish();
    }
}

fn yaml(world: &World, name: &str, users: &Path, identities: &str) -> String {
    let own = format!("sasl: {{ mechanism: SCRAM-SHA-256, username: {USER}, password: \"{PASSWORD}\" }}");
    let keys = format!("{}, {own}, identities: {{ {identities} }}, unmapped: refuse", world.a.pki().tls());
    let config = Config::two_clusters(&world.a.secured(), &world.b.bootstrap()).only(name).keys("a", &keys);
    config.keeps(&format!("sasl: {{ mechanisms: [PLAIN], users_file: \"{}\" }}", users.display())).yaml()
}

/// From now on this one may do this. Nobody may what is not allowed, but super users.
fn allow(cluster: &Cluster, kind: i8, name: &str, user: &str, operation: i8) {
    rule(cluster, (kind, name), user, operation, 3);
}

/// From now on everybody may read and write a topic.
fn open_to_all(cluster: &Cluster, topic: &str) {
    [READ, WRITE].into_iter().for_each(|operation| allow(cluster, TOPIC, topic, "*", operation));
}

fn rule(cluster: &Cluster, (kind, name): (i8, &str), user: &str, operation: i8, permission: i8) {
    let creation = AclCreation::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_resource_pattern_type(3)
        .with_principal(text(&format!("User:{user}")))
        .with_host(text("*"))
        .with_operation(operation)
        .with_permission_type(permission);
    let mut raw = Raw::connect(first(&cluster.bootstrap()));
    let told = raw.call(2, &CreateAclsRequest::default().with_creations(vec![creation]));
    assert!(told.results.iter().all(|one| one.error_code == 0), "{told:?}");
}

fn first(bootstrap: &Bootstrap) -> &str {
    bootstrap.servers.split(',').next().expect("a broker")
}

/// The code for partition 0, and for how long its client is held.
fn write(raw: &mut Raw, topic: &str, value: &str) -> (i16, i32) {
    let told = raw.call(9, &produce(&[(topic, &batch(&[value]))]));
    (told.responses[0].partition_responses[0].error_code, told.throttle_time_ms)
}

/// Brokers hear of ACLs one after another.
#[track_caller]
fn until_told(what: &str, code: i16, mut told: impl FnMut() -> i16) {
    let mut last = 0;
    let found = wait::poll(WITHIN, || {
        last = told();
        (last == code).then_some(())
    });
    assert!(found.is_some(), "{what}: {last} and not {code}");
}

fn names(raw: &mut Raw, topics: Option<&[&str]>) -> BTreeMap<String, i16> {
    let named = |name: &&str| MetadataRequestTopic::default().with_name(Some(topic(name)));
    let request = MetadataRequest::default()
        .with_topics(topics.map(|topics| topics.iter().map(named).collect()))
        .with_allow_auto_topic_creation(false);
    let told = raw.call(9, &request).topics;
    told.into_iter().map(|one| (one.name.unwrap_or_default().to_string(), one.error_code)).collect()
}

fn join(raw: &mut Raw, group: &str) -> i16 {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    let request = JoinGroupRequest::default()
        .with_group_id(text(group).into())
        .with_session_timeout_ms(6_000)
        .with_rebalance_timeout_ms(6_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    raw.call(5, &request).error_code
}

fn acls_bind(world: &World) {
    let name = "identities";
    let [theirs, hidden, open] = ["a-identities-capture", "a-identities-hidden", "a-identities-open"];
    let topics = Topics::of(&world.a.bootstrap());
    [theirs, hidden, open].iter().for_each(|topic| topics.create(topic, 1, 3));
    Topics::of(&world.b.bootstrap()).create("b-identities", 1, 1);
    open_to_all(&world.a, open);
    // Given a cluster where capture may write one topic, and replay read in one group
    allow(&world.a, TOPIC, theirs, CAPTURE, WRITE);
    allow(&world.a, TOPIC, hidden, "nobody", READ);
    allow(&world.a, GROUP, "ga-identities", REPLAY, READ);
    allow(&world.a, TRANSACTIONAL_ID, "ta-identities", REPLAY, WRITE);
    let guarded = Guarded::start(world, name, &both("SCRAM-SHA-256"));
    let [mut alice, mut bob, mut carol] = USERS.map(|user| guarded.client(user));
    // When each does the same, then each is told what its cluster says
    until_told("alice writes", 0, || write(&mut alice, theirs, "x").0);
    until_told("bob does not", 29, || write(&mut bob, theirs, "x").0);
    until_told("both write what is open", 0, || write(&mut alice, open, "x").0 + write(&mut bob, open, "x").0);
    let read = |raw: &mut Raw, topic: &str| raw.call(11, &fetch(&[topic], 100)).responses[0].partitions[0].error_code;
    assert_eq!((read(&mut alice, theirs), read(&mut bob, theirs), read(&mut bob, open)), (29, 29, 0));
    until_told("alice does not join", 30, || join(&mut alice, "ga-identities"));
    // A member's id comes first (KIP-394)
    until_told("bob joins", 79, || join(&mut bob, "ga-identities"));
    let transactions = InitProducerIdRequest::default()
        .with_transactional_id(Some(text("ta-identities").into()))
        .with_transaction_timeout_ms(5_000);
    let begin = |raw: &mut Raw| raw.call(4, &transactions).error_code;
    until_told("bob begins", 0, || begin(&mut bob));
    assert_eq!(begin(&mut alice), 53);
    // What is hidden is absent from lists, and denied by name, whether it is there or not
    let of = |all: &BTreeMap<String, i16>| {
        [theirs, hidden, open, "b-identities"].map(|topic| all.get(topic).copied()).to_vec()
    };
    let all = [theirs, hidden, open, "b-identities", "a-identities-none"];
    assert_eq!(of(&names(&mut alice, None)), [Some(0), None, Some(0), Some(0)]);
    assert_eq!(of(&names(&mut bob, None)), [None, None, Some(0), Some(0)]);
    assert_eq!(of(&names(&mut bob, Some(&all))), [Some(29), Some(29), Some(0), Some(0)]);
    assert_eq!(names(&mut bob, Some(&all)).get("a-identities-none"), Some(&29));
    // As on the bare cluster, for who has logged in there
    assert_eq!(write(&mut carol, open, "x").0, 29, "who has no identity is refused");
    assert_eq!(of(&names(&mut carol, None)), [None, None, None, Some(0)]);
    assert_eq!(write(&mut carol, "b-identities", "x").0, 0, "but not elsewhere");
    // And an operator sees who is who
    let (_, clients) = says(&guarded.proxy, &["clients"]);
    for (user, comes) in [("alice", "a: capture"), ("bob", "a: replay"), ("carol", "a: refused")] {
        let line = clients.lines().find(|line| line.contains(&format!("User:{user}"))).expect("a line");
        assert!(line.contains(comes), "{clients}");
    }
    let file = guarded.file.display().to_string();
    let (_, explained) = run(&["explain", "-c", &file, "--principal", "User:alice", "--topic", theirs]);
    assert!(explained.contains("comes to cluster a as identity capture (SCRAM-SHA-256 as capture)"), "{explained}");
    let (_, checked) = run(&["check", "-c", &file, "--live"]);
    assert!(checked.contains("2 identities let in"), "{checked}");
    guarded.finish();
}

fn quotas_bind(world: &World) {
    let topic = "a-identities-quota";
    Topics::of(&world.a.bootstrap()).create(topic, 1, 3);
    let guarded = Guarded::start(world, "identities-quota", &both("SCRAM-SHA-256"));
    let [mut alice, mut bob] = ["alice", "bob"].map(|user| guarded.client(user));
    open_to_all(&world.a, topic);
    let value = "x".repeat(25_000);
    until_told("both write", 0, || write(&mut alice, topic, &value).0 + write(&mut bob, topic, &value).0);
    // When capture may write two thousand bytes a second
    let quota = |remove: bool| {
        let entity = EntityData::default().with_entity_type(text("user")).with_entity_name(Some(text(CAPTURE)));
        let op = OpData::default().with_key(text("producer_byte_rate")).with_value(2_000.0).with_remove(remove);
        let entry = EntryData::default().with_entity(vec![entity]).with_ops(vec![op]);
        let told = Raw::connect(first(&world.a.bootstrap()))
            .call(1, &AlterClientQuotasRequest::default().with_entries(vec![entry]));
        assert!(told.entries.iter().all(|one| one.error_code == 0), "{told:?}");
    };
    quota(false);
    // Then alice is held, and bob, who writes as much, is not
    let mut held = 0;
    wait::until("alice is held", WITHIN, || {
        let (code, throttle) = write(&mut alice, topic, &value);
        assert_eq!(code, 0);
        held = throttle;
        throttle > 0
    });
    let began = Instant::now();
    assert_eq!(write(&mut bob, topic, &value), (0, 0));
    assert!(began.elapsed() < Duration::from_millis(u64::try_from(held).unwrap_or(0)).max(wait::seconds(2)));
    quota(true);
    world.note(format!(
        "identities: a quota of 2,000 bytes a second held one identity for {held} ms, and another for 0"
    ));
    guarded.finish();
}

fn wrong_password(world: &World) {
    let (name, topic) = ("identities-wrong", "a-identities-wrong");
    Topics::of(&world.a.bootstrap()).create(topic, 1, 3);
    [CAPTURE, REPLAY].into_iter().for_each(|user| allow(&world.a, TOPIC, topic, user, WRITE));
    let identities = |of_replay: &str| {
        let capture = identity(CAPTURE, "\"User:alice\"", "SCRAM-SHA-256", &password_of(CAPTURE));
        format!("{capture}, {}", identity(REPLAY, "\"User:bob\"", "SCRAM-SHA-256", of_replay))
    };
    let guarded = Guarded::start(world, name, &identities("planted-wrong"));
    guarded.proxy.log().allow("cannot open a link to a broker");
    let [mut alice, mut bob] = ["alice", "bob"].map(|user| guarded.client(user));
    let refused = || {
        let of = [("identity", REPLAY), ("reason", "login")];
        Metrics::of(&guarded.proxy.admin()).sum("fishplate_identity_links_failed_total", &of).unwrap_or(0.0)
    };
    until_told("alice writes", 0, || write(&mut alice, topic, "x").0);
    // Given one whose password is wrong, who tries all the time
    let end = Instant::now() + wait::seconds(if full() { 30 } else { 4 });
    let (mut written, mut codes) = (0, Vec::new());
    while Instant::now() < end {
        assert_eq!(write(&mut alice, topic, "x").0, 0);
        written += 1;
        let told = bob.call(9, &produce(&[(topic, &batch(&["y"]))]));
        codes.push(told.responses[0].partition_responses[0].error_code);
    }
    assert!(codes.iter().all(|code| *code == 6) && refused() > 0.0 && written > 0, "{codes:?}");
    let lines = guarded.proxy.log().lines_with("refused the login");
    assert_eq!(lines.len(), 1, "one broker leads it, and a minute is not over: {lines:#?}");
    assert!(lines[0].contains(REPLAY) && lines[0].contains("58"), "{lines:#?}");
    assert!(guarded.proxy.log().lines_with("planted-wrong").is_empty());
    let (code, checked) = run(&["check", "-c", &guarded.file.display().to_string(), "--live"]);
    assert!(code == 1 && checked.contains("cluster a was not entered as its identity replay"), "{checked}");
    // When the config has the right one, then all goes on over the connections that are there
    guarded.reload(world, name, &identities(&password_of(REPLAY)));
    until_told("bob writes", 0, || write(&mut bob, topic, "y").0);
    assert_eq!(write(&mut alice, topic, "x").0, 0);
    // And who becomes another is that one from then on, over the connection that is there
    rule(&world.a, (TOPIC, topic), REPLAY, WRITE, DENY);
    until_told("bob is kept out", 29, || write(&mut bob, topic, "y").0);
    let swapped = identity(CAPTURE, "\"User:alice\", \"User:bob\"", "SCRAM-SHA-256", &password_of(CAPTURE));
    guarded.reload(world, name, &swapped);
    assert_eq!((write(&mut bob, topic, "y").0, write(&mut alice, topic, "x").0), (0, 0));
    guarded.finish();
}

fn by_certificate(world: &World) {
    let (name, own, open) = ("identities-duke", "b-identities-duke", "b-identities-duke-open");
    let topics = Topics::of(&world.b.bootstrap());
    [own, open].iter().for_each(|topic| topics.create(topic, 1, 1));
    open_to_all(&world.b, open);
    allow(&world.b, TOPIC, own, &format!("CN={DUKE}"), WRITE);
    let users = world.directory.join(format!("{name}.users"));
    for user in USERS {
        let mut add = command(env!("CARGO_BIN_EXE_fishplate"));
        add.args(["users", "add", "--file"]).arg(&users).arg(user).env("FISHPLATE_PASSWORD", password(user));
        assert!(add.output().expect("fishplate").status.success());
    }
    let (certificate, key) = world.b.pki().duke();
    let duke = format!(
        "{DUKE}: {{ principals: [\"User:alice\"], tls: {{ certificate: \"{}\", key: \"{}\" }} }}",
        certificate.display(),
        key.display()
    );
    let keys = format!("{}, identities: {{ {duke} }}, unmapped: own", world.b.pki().mutual_tls());
    let config = Config::two_clusters(&world.a.bootstrap(), &world.b.mutual()).only(name).keys("b", &keys);
    let yaml = config.keeps(&format!("sasl: {{ mechanisms: [PLAIN], users_file: \"{}\" }}", users.display())).yaml();
    let file = world.directory.join(format!("{name}.yaml"));
    fs::write(&file, yaml).expect("a file");
    let proxy = Proxy::of_file(&file, vec![View::Auto], &world.directory).unwrap_or_else(|error| panic!("{error:#}"));
    for part in ["everybody on the way can read the clients' passwords", "|", "sasl: {", "write `tls:` beside"] {
        proxy.log().allow(part);
    }
    proxy.wait_ready();
    let guarded = Guarded { proxy, file, users };
    let [mut alice, mut bob] = ["alice", "bob"].map(|user| guarded.client(user));
    // Who is by its certificate may write there, and we, who are a super user, too; who is read by no rule may not
    until_told("alice writes", 0, || write(&mut alice, own, "x").0);
    assert_eq!((write(&mut bob, own, "x").0, write(&mut alice, open, "x").0), (0, 0));
    let read = alice.call(11, &fetch(&[own], 100)).responses[0].partitions[0].error_code;
    assert_eq!((read, bob.call(11, &fetch(&[own], 100)).responses[0].partitions[0].error_code), (29, 0));
    let links = Metrics::of(&guarded.proxy.admin()).sum("fishplate_identity_links", &[("identity", DUKE)]);
    assert!(links.unwrap_or(0.0) >= 1.0, "{links:?}");
    let expiry = [("side", "identity"), ("part", "certificate")];
    assert!(Metrics::of(&guarded.proxy.admin()).sum("fishplate_certificate_expiry_time_seconds", &expiry).is_some());
    guarded.finish();
}

fn renewed(world: &World) {
    let topic = "a-identities-renewed";
    Topics::of(&world.a.bootstrap()).create(topic, 1, 3);
    // Given logins that brokers believe for five seconds
    let guarded = Guarded::start(world, "identities-renewed", &both("SCRAM-SHA-512"));
    let [mut alice, mut bob] = ["alice", "bob"].map(|user| guarded.client(user));
    open_to_all(&world.a, topic);
    until_told("both write", 0, || write(&mut alice, topic, "x").0 + write(&mut bob, topic, "x").0);
    let ended = || Metrics::of(&guarded.proxy.admin()).sum("fishplate_links_closed_total", &[("cluster", "a")]);
    let before = ended();
    // When they go on for several times as long
    let lifetimes = if full() { 12 } else { 2 };
    let end = Instant::now() + Duration::from_millis(u64::from(LIFETIME_MS)) * lifetimes;
    while Instant::now() < end {
        assert_eq!((write(&mut alice, topic, "x").0, write(&mut bob, topic, "x").0), (0, 0));
        sleep(Duration::from_millis(20));
    }
    // Then no link has ended
    assert_eq!(ended(), before);
    guarded.finish();
}

fn told_to_java(world: &World) {
    let [theirs, others] = ["a-identities-java", "a-identities-java-others"];
    let topics = Topics::of(&world.a.bootstrap());
    [theirs, others].iter().for_each(|topic| topics.create(topic, 1, 3));
    allow(&world.a, TOPIC, theirs, CAPTURE, WRITE);
    allow(&world.a, TOPIC, others, REPLAY, WRITE);
    let guarded = Guarded::start(world, "identities-java", &both("SCRAM-SHA-256"));
    let [mut alice, mut bob] = ["alice", "bob"].map(|user| guarded.client(user));
    until_told("alice writes hers", 0, || write(&mut alice, theirs, "x").0);
    until_told("and bob his", 0, || write(&mut bob, others, "x").0);
    set_up().unwrap_or_else(|error| panic!("{error:#}"));
    let play = |topic: &str| {
        let log = world.directory.join(format!("identities-{}.log", fastrand::u64(..)));
        let mut java = java_at("4.3", &log)?;
        java.arg("Login").args([&guarded.proxy.bootstrap().servers, "PLAIN", "alice", &password("alice"), topic, "0"]);
        run_to_end("Java's producer", java, WITHIN, &log.with_extension("out"))
    };
    let written = play(theirs).expect("she may");
    assert!(written.trim().parse::<u64>().is_ok_and(|count| count > 0), "{written}");
    let refused = format!("{:#}", play(others).expect_err("she may not"));
    assert!(
        refused.contains("TopicAuthorizationException") || refused.contains("Not authorized to access topics"),
        "{refused}"
    );
    guarded.finish();
}
