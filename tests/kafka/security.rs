//! Clients that log in at Fishplate's listeners: real ones, with every mechanism, with what is right and what is wrong.

use crate::harness::config::View;
use crate::harness::metrics::Metrics;
use crate::harness::process::command;
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::login::{CLIENTS, Client, KINDS, play_all, say_who_is_left_out};
use crate::operator::{run, says};
use crate::suites::{self, CameOfIt};
use crate::turned_away::allow_plain;
use crate::world::{World, full, shared};
use libtest_mimic::Trial;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const USER: &str = "alice";
const PASSWORD: &str = "planted-Secret-2";
const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
/// Those that come by every mechanism at every level.
const THOROUGH: [&str; 3] = ["java-4.3", "franz-go", "confluent-2.16"];

pub fn trials() -> Vec<Trial> {
    say_who_is_left_out("logs in");
    if !full() {
        eprintln!(
            "SHORT: every mechanism is used by {}, and one each by the others; FISHPLATE_TEST_LEVEL=full has all by all",
            THOROUGH.join(", ")
        );
    }
    vec![
        shared("security: every client logs in by every mechanism, and is told of what is wrong", logging_in),
        shared("security: sessions of five seconds cost no client anything", short_sessions),
        shared("security: franz-go's own tests of SCRAM pass", franz_scram),
        shared("security: users change under a running proxy, and no secret is in what it says", other_users),
    ]
}

/// A Fishplate whose listener asks who comes, and its file of users.
struct Guarded {
    proxy: Proxy,
    users: PathBuf,
}

impl Guarded {
    fn start(world: &World, view: View, more: &str) -> Self {
        let name = format!("guarded-{}", fastrand::u32(..));
        let users = world.directory.join(format!("{name}.users"));
        let guarded = |password| add(&users, USER, password);
        guarded(PASSWORD);
        let mechanisms = MECHANISMS.join(", ");
        let sasl = format!("    sasl: {{ mechanisms: [{mechanisms}], users_file: \"{}\"{more} }}\n", users.display());
        let config = world.config().showing(view, None);
        let yaml = config.yaml().replacen("    nodes:", &format!("{sasl}    nodes:"), 1);
        let file = world.directory.join(format!("{name}.yaml"));
        fs::write(&file, yaml).unwrap();
        let proxy = Proxy::of_file(&file, vec![view], &world.directory).unwrap_or_else(|error| panic!("{error:#}"));
        proxy.wait_ready();
        proxy.log().allow("a client was not let in");
        allow_plain(&proxy);
        Self { proxy, users }
    }

    fn client(&self, name: &'static str) -> Client {
        Client::new(name, &self.proxy.bootstrap().servers, "a-guarded").by("SCRAM-SHA-512", USER, PASSWORD)
    }

    /// The end of a trial: nothing unexpected was logged, and no secret at all.
    fn finish(self) {
        let metrics = Metrics::of(&self.proxy.admin());
        let shown = [metrics.text(), &says(&self.proxy, &["clients", "--json"]).1].concat();
        let log = fs::read_to_string(self.proxy.log().file()).unwrap();
        let kept = fs::read_to_string(&self.users).unwrap();
        let keys = kept.lines().filter_map(|line| line.split_once("stored_key=")?.1.split(',').next());
        for secret in keys.chain([PASSWORD]) {
            assert!(!log.contains(secret) && !shown.contains(secret), "{secret} was said");
        }
        self.proxy.finish();
    }
}

/// Adds a user to a file.
pub fn add(users: &Path, name: &str, password: &str) {
    let mut add = command(env!("CARGO_BIN_EXE_fishplate"));
    add.args(["users", "add", "--file"]).arg(users).arg(name).env("FISHPLATE_PASSWORD", password);
    let output = add.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn all_by_all() -> Vec<(&'static str, &'static str)> {
    CLIENTS.into_iter().flat_map(by_each_mechanism).collect()
}

fn by_each_mechanism(client: &'static str) -> [(&'static str, &'static str); 3] {
    MECHANISMS.map(|mechanism| (client, mechanism))
}

/// Clients and their mechanisms. Below the full level each client that is not thorough comes by another one.
fn who_logs_in() -> Vec<(&'static str, &'static str)> {
    if full() {
        return all_by_all();
    }
    let others = KINDS.into_iter().filter(|client| !THOROUGH.contains(client)).zip(MECHANISMS);
    THOROUGH.into_iter().flat_map(by_each_mechanism).chain(others).collect()
}

/// Likewise, each client once and mechanisms in turn; Java by that one for which its words are not looked at.
fn who_is_wrong() -> Vec<(&'static str, &'static str)> {
    if full() { all_by_all() } else { KINDS.into_iter().zip(MECHANISMS.into_iter().cycle().skip(2)).collect() }
}

fn logging_in(world: &World) {
    Topics::of(&world.a.bootstrap()).create("a-guarded", 1, 1);
    let guarded = Guarded::start(world, View::Single, "");
    let client = |(name, mechanism)| Client { mechanism, ..guarded.client(name) };
    let mut failures = play_all(world, "right", true, who_logs_in().into_iter().map(client));
    let wrong = who_is_wrong().into_iter().map(client).map(|client| Client { password: "wrong".into(), ..client });
    failures.extend(play_all(world, "wrong password", false, wrong));
    let strangers: &[&str] = if full() { &CLIENTS } else { &["java-4.3", "franz-go", "kafkajs"] };
    let unknown = strangers.iter().map(|name| Client { user: "nobody".into(), ..guarded.client(name) });
    failures.extend(play_all(world, "unknown user", false, unknown));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // What clients show people
    for (mechanism, told) in [
        ("PLAIN", "Authentication failed: Invalid username or password"),
        (
            "SCRAM-SHA-256",
            "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256",
        ),
    ] {
        let java = Client { mechanism, password: "wrong".into(), ..guarded.client("java-4.3") };
        let shown = java.play(world).unwrap_err();
        assert!(shown.contains(told), "{shown}");
    }
    let metrics = Metrics::of(&guarded.proxy.admin());
    assert!(metrics.sum("fishplate_logins_total", &[("result", "failed")]).unwrap() >= CLIENTS.len() as f64);
    let audit = guarded.proxy.log().lines_with("a client has logged in");
    assert!(audit.iter().any(|line| line.contains("User:alice") && line.contains("SCRAM-SHA-256")), "{audit:?}");
    guarded.finish();
}

fn short_sessions(world: &World) {
    let seconds = if full() { 300 } else { 15 };
    let view = View::Brokers;
    let guarded = Guarded::start(world, view, ", session_lifetime: 5s");
    let clients = if full() { &["java-4.3", "java-3.9", "franz-go", "confluent-2.16"][..] } else { &THOROUGH };
    let name = |client: &str| format!("a-short-{client}");
    let topics = Topics::of(&world.a.bootstrap());
    clients.iter().for_each(|client| topics.create(&name(client), 1, 1));
    thread::scope(|scope| {
        for &client in clients {
            let guarded = &guarded;
            scope.spawn(move || {
                let topic = name(client);
                let playing = Client { topics: topic.clone(), seconds, ..guarded.client(client) };
                let done = playing.play(world).unwrap_or_else(|wrong| panic!("{client}: {wrong}"));
                assert_eq!(written(world, &topic), done, "{client}");
            });
        }
    });
    let metrics = Metrics::of(&guarded.proxy.admin());
    let renewed = metrics.sum("fishplate_logins_total", &[("result", "renewed")]).unwrap_or(0.0);
    assert!(renewed >= f64::from(seconds / 5 - 1) * clients.len() as f64, "{renewed} renewed");
    let expired = metrics.sum("fishplate_sessions_closed_total", &[("reason", "expired")]).unwrap_or(0.0);
    world.note(format!(
        "security: {seconds} s of sessions of five seconds: {renewed} logins renewed, {expired} sessions expired"
    ));
    guarded.finish();
}

fn franz_scram(world: &World) {
    let guarded = Guarded::start(world, View::Brokers, "");
    for bits in [256, 512] {
        let output = world.directory.join(format!("franz-scram-{bits}.log"));
        let who = format!("{USER}:{PASSWORD}");
        let came = suites::scram(&guarded.proxy.bootstrap(), &who, bits, &output).unwrap();
        let all_passed = suites::OF_SCRAM.iter().all(|test| came.get(*test) == Some(&CameOfIt::Passed));
        assert!(all_passed, "{came:?}; see {}", output.display());
    }
    guarded.finish();
}

/// How many records a topic of one partition has.
fn written(world: &World, topic: &str) -> u64 {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let servers = world.a.bootstrap().servers;
    let consumer: BaseConsumer = rdkafka::ClientConfig::new().set("bootstrap.servers", &servers).create().unwrap();
    let (low, high) = consumer.fetch_watermarks(topic, 0, Duration::from_secs(20)).unwrap();
    u64::try_from(high - low).unwrap()
}

fn other_users(world: &World) {
    Topics::of(&world.a.bootstrap()).create("a-users", 1, 1);
    let guarded = Guarded::start(world, View::Single, "");
    let client = |user, password| {
        let client = guarded.client("confluent-2.16").by("SCRAM-SHA-512", user, password);
        Client { topics: "a-users".into(), ..client }
    };
    let users = |result: &str| {
        Metrics::of(&guarded.proxy.admin()).sum("fishplate_users_reloads_total", &[("result", result)]).unwrap_or(0.0)
    };
    assert!(client("bob", PASSWORD).play(world).is_err());
    // A user is added
    add(&guarded.users, "bob", PASSWORD);
    wait::until("the users are read again", Duration::from_secs(20), || users("applied") >= 1.0);
    client("bob", PASSWORD).play(world).unwrap();
    client(USER, PASSWORD).play(world).unwrap();
    // A file with a mistake changes nothing
    let good = fs::read_to_string(&guarded.users).unwrap();
    guarded.proxy.log().allow("users refused; those that were there before stay");
    fs::write(&guarded.users, format!("{good}eve {PASSWORD}\n")).unwrap();
    wait::until("the mistake is seen", Duration::from_secs(20), || users("invalid") >= 1.0);
    client("bob", PASSWORD).play(world).unwrap();
    // And a user is removed
    fs::write(&guarded.users, good).unwrap();
    wait::until("the users are read again", Duration::from_secs(20), || users("applied") >= 2.0);
    let (code, said) = run(&["users", "remove", "--file", &guarded.users.display().to_string(), "bob"]);
    assert_eq!(code, 0, "{said}");
    wait::until("the users are read again", Duration::from_secs(20), || users("applied") >= 3.0);
    assert!(client("bob", PASSWORD).play(world).is_err());
    client(USER, PASSWORD).play(world).unwrap();
    let (_, said) = run(&["users", "list", "--file", &guarded.users.display().to_string()]);
    assert!(said.contains("alice") && said.contains("SCRAM-SHA-512 (4096)") && !said.contains("bob"), "{said}");
    guarded.finish();
}
