//! Kafka Connect in distributed mode: two workers, a source that reads a file into a topic, a sink that writes topics into
//! another file, and the worker that runs the source killed in the middle of it.

use super::{SOON, write};
use crate::committed;
use crate::harness::broker::java;
use crate::harness::config::View;
use crate::harness::process::Process;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::scenarios::programs;
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

const LINES: usize = 400;
/// Written at a time, and between two times, to the file and to the other topic.
const AT_A_TIME: usize = 20;
const BETWEEN: Duration = Duration::from_millis(400);
/// There before the connectors.
const FIRST: usize = 100;

/// A pipeline on `b` that all of Connect lives in: `connect-*` is its workers' group with their internal topics, the sinks'
/// groups, and the transactional ids of workers and sources. The source's topic is there too, since its transactions write
/// offsets beside records; the sink also reads a topic of `a`.
pub fn exactly_once(world: &World) {
    Topics::of(&world.b.bootstrap()).create("connect-brokers-lines", 1, 1);
    let written = carries_lines(world, View::Brokers, "connect-brokers-lines", "enabled");
    // And the topic has each line once and in order, though a worker was killed in the middle
    let wanted: Vec<_> = (0..LINES).map(line).collect();
    assert_eq!(written, wanted);
}

/// Without transactions a source may write to any cluster: here to `a`, while all else is on `b`.
pub fn at_least_once(world: &World) {
    Topics::of(&world.a.bootstrap()).create("a-connect-single-lines", 1, 1);
    let written = carries_lines(world, View::Single, "a-connect-single-lines", "disabled");
    // And the topic has each line, some again from where the killed worker had noted last
    let mut seen = BTreeSet::new();
    let first: Vec<_> = written.into_iter().filter(|line| seen.insert(line.clone())).collect();
    assert_eq!(first, (0..LINES).map(line).collect::<Vec<_>>());
}

fn line(number: usize) -> String {
    format!("line-{number:04}")
}

/// What the source's topic holds in the end.
fn carries_lines(world: &World, view: View, lines: &str, exactly_once: &str) -> Vec<String> {
    programs::set_up().unwrap_or_else(|error| panic!("{error:#}"));
    let config = world.config().pipeline("connect", "connect-*", "connect-*", "b").transactional_ids("connect-*");
    let proxy = world.start_proxy(&config.showing(view, None));
    let files = Files::new(world, view);
    // Given two workers, a file, and a topic of another cluster than theirs
    let more = format!("a-connect-{}-more", view.word());
    Topics::of(&world.a.bootstrap()).create(&more, 1, 1);
    append(&files.from(), 0..FIRST);
    let setting = Setting { at: &proxy.bootstrap(), word: view.word(), exactly_once, folder: &files.folder };
    let mut workers: Vec<_> = (1..=2).map(|number| Worker::start(&setting, number, world.ports.take())).collect();
    workers.iter().for_each(Worker::wait_until_up);
    // When connectors are made, each at one of them, then what is there arrives, once from each topic
    let names = ["source", "sink"].map(|name| format!("{}-{name}", view.word()));
    workers[0].make(&names[0], &files.source(lines));
    workers[1].make(&names[1], &files.sink(&[lines, &more]));
    let texts: Vec<_> = (0..FIRST).map(line).collect();
    write(&proxy.bootstrap(), &more, texts.iter().map(|text| (0, text.as_str())));
    wait::until("the first lines arrive", SOON * 2, || files.arrived().len() >= 2 * FIRST);
    let mut once = files.arrived();
    once.sort_unstable();
    assert_eq!(once, texts.iter().flat_map(|text| [text.clone(), text.clone()]).collect::<Vec<_>>());
    // When the worker that runs the source is killed, in the middle of more
    let writing = append_slowly(files.from());
    wait::until("some more arrives", SOON, || files.arrived().len() >= 2 * FIRST + 3 * AT_A_TIME);
    let at = workers.iter().position(|worker| worker.runs(&names[0])).expect("one of ours");
    workers.remove(at).process.kill();
    // Then the other one goes on with both, and all lines arrive
    for name in &names {
        wait::until(&format!("{name} runs on the other worker"), SOON * 2, || workers[0].runs(name));
    }
    writing.join().expect("the writer");
    let all: BTreeSet<_> = (0..LINES).map(line).collect();
    wait::until("all lines arrive", SOON * 2, || files.arrived().into_iter().collect::<BTreeSet<_>>() == all);
    let written = committed::values(&proxy.bootstrap(), lines, 1).remove(&0).unwrap_or_default();
    drop(workers);
    proxy.finish();
    written
}

/// The source's file and the sink's.
struct Files {
    folder: PathBuf,
}

impl Files {
    fn new(world: &World, view: View) -> Self {
        let folder = world.directory.join(format!("connect-{}", view.word()));
        fs::create_dir_all(&folder).expect("a folder");
        Self { folder }
    }

    fn from(&self) -> PathBuf {
        self.folder.join("from.txt")
    }

    fn to(&self) -> PathBuf {
        self.folder.join("to.txt")
    }

    /// What the sink has written.
    fn arrived(&self) -> Vec<String> {
        fs::read_to_string(self.to()).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn source(&self, topic: &str) -> Value {
        json!({
            "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "tasks.max": "1",
            "file": self.from().display().to_string(), "topic": topic,
        })
    }

    fn sink(&self, topics: &[&str]) -> Value {
        json!({
            "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "tasks.max": "1",
            "file": self.to().display().to_string(), "topics": topics.join(","),
            "consumer.override.isolation.level": "read_committed",
        })
    }
}

/// The rest of the lines, a few at a time.
fn append_slowly(file: PathBuf) -> JoinHandle<()> {
    thread::spawn(move || {
        for at in (FIRST..LINES).step_by(AT_A_TIME) {
            append(&file, at..at + AT_A_TIME);
            sleep(BETWEEN);
        }
    })
}

fn append(file: &Path, lines: std::ops::Range<usize>) {
    let text: String = lines.map(|number| line(number) + "\n").collect();
    let mut file = File::options().create(true).append(true).open(file).expect("a file");
    file.write_all(text.as_bytes()).expect("lines");
}

/// What workers have in common.
struct Setting<'a> {
    at: &'a Bootstrap,
    word: &'a str,
    exactly_once: &'a str,
    folder: &'a Path,
}

/// A worker, which is told what to do by REST.
struct Worker {
    rest: u16,
    said: PathBuf,
    process: Process,
}

impl Worker {
    fn start(setting: &Setting<'_>, number: usize, rest: u16) -> Self {
        let Setting { at, word, exactly_once, folder } = setting;
        let file = folder.join(format!("worker-{number}.properties"));
        let plugins = programs::built().join("connect");
        // Quick to notice that a worker is gone, and to give its tasks to another.
        let properties = format!(
            "bootstrap.servers={servers}
group.id=connect-{word}-workers
config.storage.topic=connect-{word}-configs
offset.storage.topic=connect-{word}-offsets
status.storage.topic=connect-{word}-status
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=3
status.storage.partitions=2
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
exactly.once.source.support={exactly_once}
plugin.path={plugins}
plugin.discovery=service_load
listeners=http://127.0.0.1:{rest}
rest.advertised.host.name=127.0.0.1
offset.flush.interval.ms=1000
session.timeout.ms=4000
heartbeat.interval.ms=500
scheduled.rebalance.max.delay.ms=0
consumer.session.timeout.ms=4000
consumer.heartbeat.interval.ms=500
",
            servers = at.servers,
            plugins = plugins.display(),
        );
        fs::write(&file, properties).expect("a file");
        let said = folder.join(format!("worker-{number}.out"));
        let out = File::create(&said).expect("a file");
        let mut worker = java("4.3").unwrap_or_else(|error| panic!("{error:#}"));
        worker.args(["-Xmx384m", "org.apache.kafka.connect.cli.ConnectDistributed"]).arg(&file);
        worker.stdout(out.try_clone().expect("it twice")).stderr(out);
        let process =
            Process::start(&format!("Connect worker {number}"), worker).unwrap_or_else(|error| panic!("{error:#}"));
        Self { rest, said, process }
    }

    fn wait_until_up(&self) {
        wait::until(&format!("a worker is up: see {}", self.said.display()), SOON * 2, || {
            self.ask("GET", "/connectors", None).is_some()
        });
    }

    /// Refused while workers agree on who does what, and asked again.
    fn make(&self, name: &str, config: &Value) {
        let wanted = json!({ "name": name, "config": config });
        let made = || self.ask("POST", "/connectors", Some(&wanted));
        wait::find(&format!("a worker that makes {name}: see {}", self.said.display()), SOON * 2, made);
    }

    /// Whether it runs a connector's one task, as it knows itself.
    fn runs(&self, name: &str) -> bool {
        let status = self.ask("GET", &format!("/connectors/{name}/status"), None).unwrap_or_default();
        let task = &status["tasks"][0];
        let at = format!(":{}", self.rest);
        task["state"] == "RUNNING" && task["worker_id"].as_str().is_some_and(|on| on.ends_with(&at))
    }

    /// What it answers where that is good.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut socket = TcpStream::connect(("127.0.0.1", self.rest)).ok()?;
        socket.set_read_timeout(Some(SOON)).ok()?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        socket.write_all(format!("{head}{body}").as_bytes()).ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let is_good = head.split(' ').nth(1).is_some_and(|code| code.starts_with('2'));
        is_good.then(|| serde_json::from_str(body).ok()).flatten()
    }
}
