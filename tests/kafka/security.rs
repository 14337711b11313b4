//! Clients that log in at Fishplate's listeners: real ones, with every mechanism, with what is right and what is wrong.

use crate::harness::config::View;
use crate::harness::metrics::Metrics;
use crate::harness::process::command;
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{repository, wait};
use crate::operator::{run, says};
use crate::scenarios::programs::{built, java_at, set_up};
use crate::world::{World, full, shared};
use libtest_mimic::Trial;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

const USER: &str = "alice";
const PASSWORD: &str = "planted-Secret-2";
const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
/// The same client in several versions, and all kinds of clients.
const CLIENTS: [&str; 9] = [
    "java-4.3",
    "java-3.9",
    "franz-go",
    "kafkajs",
    "confluent-2.16",
    "confluent-2.3",
    "kafka-python-3",
    "kafka-python-2",
    "aiokafka",
];

pub fn trials() -> Vec<Trial> {
    vec![
        shared("security: every client logs in by every mechanism, and is told of what is wrong", logging_in),
        shared("security: sessions of five seconds cost no client anything", short_sessions),
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
        // What `check` says of PLAIN without TLS, line by line.
        for part in ["everybody on the way can read the clients' passwords", "|", "sasl: {", "write `tls:` beside"] {
            proxy.log().allow(part);
        }
        Self { proxy, users }
    }

    fn client<'c>(&self, client: &'c str) -> Client<'c> {
        let (servers, mechanism) = (self.proxy.bootstrap().servers, "SCRAM-SHA-512");
        Client { client, servers, mechanism, user: USER, password: PASSWORD, topic: "a-guarded", seconds: 0 }
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

fn add(users: &std::path::Path, name: &str, password: &str) {
    let mut add = command(env!("CARGO_BIN_EXE_fishplate"));
    add.args(["users", "add", "--file"]).arg(users).arg(name).env("FISHPLATE_PASSWORD", password);
    let output = add.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A client that logs in and writes.
#[derive(Clone)]
struct Client<'c> {
    client: &'c str,
    servers: String,
    mechanism: &'c str,
    user: &'c str,
    password: &'c str,
    topic: &'c str,
    seconds: u32,
}

impl Client<'_> {
    /// How many records were acknowledged, or what went wrong.
    fn play(&self, world: &World) -> Result<u64, String> {
        set_up().map_err(|error| format!("{error:#}"))?;
        let Self { client, servers, mechanism, user, password, topic, seconds } = self;
        let python = |library: &str| {
            let mut program = command("python3");
            program.env("PYTHONPATH", built().join("python").join(client)).env_remove("LD_LIBRARY_PATH");
            program
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .arg(repository().join("tests/clients/python/login.py"))
                .arg(library);
            program
        };
        let mut program: Command = match client.split_once('-') {
            Some(("java", kafka)) => {
                let log = world.directory.join(format!("login-{}.log", fastrand::u64(..)));
                let mut java = java_at(kafka, &log).unwrap();
                java.arg("Login");
                java
            }
            Some(("confluent", _)) => python("confluent"),
            Some(("kafka", _)) => python("kafka-python"),
            Some(("franz", _)) => command(built().join("franz-login")),
            _ if *client == "kafkajs" => {
                let mut node = command("node");
                node.arg(built().join("node/login.cjs"));
                node
            }
            _ => python(client),
        };
        let output = program.args([servers, *mechanism, user, password, topic, &seconds.to_string()]).output();
        let output = output.map_err(|error| error.to_string())?;
        let (said, cried) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        match said.trim().parse() {
            Ok(done @ 1..) if output.status.success() => Ok(done),
            _ => Err(format!("{said}{cried}")),
        }
    }
}

fn logging_in(world: &World) {
    Topics::of(&world.a.bootstrap()).create("a-guarded", 1, 1);
    let guarded = Guarded::start(world, View::Single, "");
    let all =
        |failures: &mut Vec<String>, what: &str, wanted: bool, of: &dyn Fn(Client<'static>) -> Client<'static>| {
            // Two at a time: some clients take seconds to give up.
            for some in CLIENTS.chunks(3) {
                thread::scope(|scope| {
                    let ended: Vec<_> = some
                        .iter()
                        .map(|client| {
                            let client = of(guarded.client(client));
                            scope.spawn(move || (client.client, client.mechanism, client.play(world)))
                        })
                        .collect();
                    for ended in ended {
                        let (client, mechanism, ended) = ended.join().unwrap();
                        if ended.is_ok() != wanted {
                            failures.push(format!("{what}: {client} with {mechanism}: {ended:?}"));
                        }
                    }
                });
            }
        };
    let mut failures = Vec::new();
    for mechanism in MECHANISMS {
        all(&mut failures, "right", true, &|client| Client { mechanism, ..client });
    }
    let wrong = if full() { &MECHANISMS[..] } else { &MECHANISMS[..2] };
    for mechanism in wrong {
        all(&mut failures, "wrong password", false, &|client| Client { mechanism, password: "wrong", ..client });
    }
    all(&mut failures, "unknown user", false, &|client| Client { user: "nobody", ..client });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // What clients show people
    for (mechanism, told) in [
        ("PLAIN", "Authentication failed: Invalid username or password"),
        (
            "SCRAM-SHA-256",
            "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256",
        ),
    ] {
        let java = Client { mechanism, password: "wrong", ..guarded.client("java-4.3") };
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
    let seconds = if full() { 300 } else { 20 };
    let view = View::Brokers;
    let guarded = Guarded::start(world, view, ", session_lifetime: 5s");
    let clients = ["java-4.3", "java-3.9", "franz-go", "confluent-2.16"];
    let name = |client: &str| format!("a-short-{client}");
    let topics = Topics::of(&world.a.bootstrap());
    clients.iter().for_each(|client| topics.create(&name(client), 1, 1));
    thread::scope(|scope| {
        for client in clients {
            let guarded = &guarded;
            scope.spawn(move || {
                let topic = name(client);
                let playing = Client { topic: &topic, seconds, ..guarded.client(client) };
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
    let client = |user, password| Client { user, password, topic: "a-users", ..guarded.client("confluent-2.16") };
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
