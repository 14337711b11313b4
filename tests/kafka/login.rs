//! Clients that log in and write a record or many: a small program for each (`tests/clients`), with what is right and what is
//! wrong.

use crate::harness::process::command;
use crate::harness::repository;
use crate::scenarios::programs::{built, java_at, set_up};
use crate::world::{World, full};
use std::path::Path;
use std::process::Command;
use std::thread;

/// The same client in several versions, and all kinds of clients.
pub const CLIENTS: [&str; 9] = [
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

/// One of each kind: who is played below the full level.
pub const KINDS: [&str; 6] = ["java-4.3", "franz-go", "kafkajs", "confluent-2.16", "kafka-python-3", "aiokafka"];

/// Those that this level plays.
pub fn clients() -> &'static [&'static str] {
    if full() { &CLIENTS } else { &KINDS }
}

/// Names those that only the full level plays.
pub fn say_who_is_left_out(does: &str) {
    let names: Vec<_> = CLIENTS.into_iter().filter(|name| !clients().contains(name)).collect();
    if !names.is_empty() {
        eprintln!("clients that only the full level {does} (FISHPLATE_TEST_LEVEL=full): {}", names.join(", "));
    }
}

/// A client that logs in and writes.
#[derive(Clone, Debug)]
pub struct Client {
    /// One of [`CLIENTS`].
    pub name: &'static str,
    pub servers: String,
    /// `NONE`: it does not log in.
    pub mechanism: &'static str,
    pub user: String,
    /// Of OAUTHBEARER, the file of the token.
    pub password: String,
    /// With commas between them.
    pub topics: String,
    pub seconds: u32,
    /// Of its environment.
    pub settings: Vec<(&'static str, String)>,
}

impl Client {
    /// One that writes a record to this topic.
    pub fn new(name: &'static str, servers: &str, topic: &str) -> Self {
        Self {
            name,
            servers: servers.to_owned(),
            mechanism: "NONE",
            user: String::new(),
            password: String::new(),
            topics: topic.to_owned(),
            seconds: 0,
            settings: Vec::new(),
        }
    }

    /// It logs in so. With OAUTHBEARER the password is the file of the token.
    pub fn by(self, mechanism: &'static str, user: &str, password: &str) -> Self {
        Self { mechanism, user: user.to_owned(), password: password.to_owned(), ..self }
    }

    /// It comes over TLS and trusts this authority.
    pub fn trusting(self, ca: &Path) -> Self {
        self.with("LOGIN_CA", ca.display().to_string())
    }

    /// It shows this certificate; the key is in the same file.
    pub fn showing(self, pem: &Path) -> Self {
        self.with("LOGIN_PEM", pem.display().to_string())
    }

    /// One of the settings that `tests/clients/python/login.py` tells of.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.settings.push((name, value.to_string()));
        self
    }

    /// How many records were acknowledged, or what went wrong.
    pub fn play(&self, world: &World) -> Result<u64, String> {
        set_up().map_err(|error| format!("{error:#}"))?;
        let mut program = self.program(world);
        program.envs(self.settings.iter().map(|(name, value)| (name, value)));
        program.args([&self.servers, self.mechanism, &self.user, &self.password, &self.topics]);
        let output = program.arg(self.seconds.to_string()).output().map_err(|error| error.to_string())?;
        let (said, cried) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        match said.trim().parse() {
            Ok(done @ 1..) if output.status.success() => Ok(done),
            _ => Err(brief(&format!("{said}{cried}"))),
        }
    }

    fn program(&self, world: &World) -> Command {
        let python = |library: &str| {
            let mut program = command("python3");
            program.env("PYTHONPATH", built().join("python").join(self.name)).env("PYTHONDONTWRITEBYTECODE", "1");
            // Cargo adds the folder of the `rdkafka` crate's own library to the path.
            program.env_remove("LD_LIBRARY_PATH").arg(repository().join("tests/clients/python/login.py")).arg(library);
            program
        };
        match self.name.split_once('-') {
            Some(("java", kafka)) => {
                let log = world.directory.join(format!("login-{}.log", fastrand::u64(..)));
                let mut java = java_at(kafka, &log).expect("the jars");
                java.arg("Login");
                java
            }
            Some(("confluent", _)) => python("confluent"),
            Some(("kafka", _)) => python("kafka-python"),
            Some(("franz", _)) => command(built().join("franz-login")),
            _ if self.name == "kafkajs" => {
                let mut node = command("node");
                node.arg(built().join("node/login.cjs"));
                node
            }
            _ => python(self.name),
        }
    }
}

/// What a client says again and again is said once, and no more than a few lines of it.
fn brief(said: &str) -> String {
    const LINES: usize = 12;
    let mut lines: Vec<&str> = Vec::new();
    for line in said.lines().filter(|line| !line.is_empty()) {
        if !lines.contains(&line) && lines.len() < LINES {
            lines.push(line);
        }
    }
    lines.iter().map(|line| line.chars().take(400).collect::<String>() + "\n").collect()
}

/// All of them, some at a time: some clients take seconds to give up. What is not as it was wanted is told.
pub fn play_all(world: &World, what: &str, wanted: bool, clients: impl IntoIterator<Item = Client>) -> Vec<String> {
    const AT_A_TIME: usize = 5;
    let clients: Vec<_> = clients.into_iter().collect();
    let mut complaints = Vec::new();
    for some in clients.chunks(AT_A_TIME) {
        thread::scope(|scope| {
            let playing: Vec<_> = some.iter().map(|client| (client, scope.spawn(|| client.play(world)))).collect();
            for (client, ended) in playing {
                let ended = ended.join().expect("a client");
                if ended.is_ok() != wanted {
                    complaints.push(format!("{what}: {} with {}: {ended:?}", client.name, client.mechanism));
                }
            }
        });
    }
    complaints
}
