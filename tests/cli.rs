//! The program as a shell runs it: what goes where, and the exit codes. `check --live` against librdkafka's mock
//! clusters, which are no Kafka: they stand for brokers that answer.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::Value;

fn fishplate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fishplate"));
    command.args(arguments).env_remove("FISHPLATE_CONFIG").current_dir(env!("CARGO_MANIFEST_DIR"));
    command.output().expect("fishplate")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

/// A config file that goes when the test ends.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fishplate-cli-{}-{name}.yaml", std::process::id()));
        fs::write(&path, text).expect("a file");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn exit_codes_tell_what_happened() {
    let wrong = File::new("wrong", "clusters: 1\n");
    for (arguments, expected) in [
        (&["check", "-c", "config/full.yaml"][..], 0),
        (&["check", "-c", wrong.path()], 1),
        (&["check", "-c", "gone.yaml"], 1),
        (&["check"], 2),
        (&["frobnicate"], 2),
        (&[], 2),
        (&["--help"], 0),
        (&["version"], 0),
        (&["schema"], 0),
        (&["completions", "bash"], 0),
        (&["explain", "-c", "config/full.yaml", "--topic", "t"], 0),
        (&["explain", "-c", wrong.path(), "--topic", "t"], 1),
        (&["explain", "-c", "config/full.yaml"], 2),
        (&["run", "-c", wrong.path()], 1),
    ] {
        let output = fishplate(arguments);
        assert_eq!(code(&output), expected, "{arguments:?}: {output:?}");
    }
}

#[test]
fn answers_are_json_where_it_is_asked_for() {
    let json = |arguments: &[&str]| -> Value { serde_json::from_slice(&fishplate(arguments).stdout).expect("JSON") };
    let wrong = File::new("json", "listeners: 1\n");
    let check = json(&["check", "-c", wrong.path(), "--json"]);
    assert_eq!(check["fine"], false);
    let first = &check["found"].as_array().expect("a list")[0];
    assert_eq!((&first["severity"], &first["place"]["line"]), (&"mistake".into(), &1.into()), "{first}");
    let explain = json(&["explain", "-c", "config/full.yaml", "--topic", "events_eu", "--group", "g", "--json"]);
    assert_eq!(explain["topic"]["cluster"], "ingestion");
    assert_eq!(explain["apart"], true);
}

#[test]
fn a_config_may_be_named_by_the_environment() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fishplate"));
    let output = command.args(["check"]).env("FISHPLATE_CONFIG", "config/minimal.yaml").output().expect("fishplate");
    assert_eq!(code(&output), 0);
}

#[test]
fn what_is_piped_has_no_colours() {
    let wrong = File::new("colours", "listeners: 1\n");
    for command in ["check", "run"] {
        let output = fishplate(&[command, "-c", wrong.path()]);
        let said = [output.stdout, output.stderr].concat();
        assert!(!said.is_empty() && !said.contains(&0x1b), "{command}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let config = File::new("taken", &two_clusters("127.0.0.1:1", "127.0.0.1:2").replace("127.0.0.1:0", &address));
    let output = fishplate(&["run", "-c", config.path()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(code(&output), 1, "{said}");
    assert!(said.starts_with(&format!("fishplate: cannot listen on {address}: ")), "{said}");
}

fn mock(topics: &[&str]) -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    for topic in topics {
        cluster.create_topic(topic, 1, 1).expect("a topic");
    }
    cluster
}

fn write(cluster: &MockCluster<'_, DefaultProducerContext>, topic: &str) {
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().expect("a producer");
    producer.send(BaseRecord::<str, str>::to(topic).payload("x")).unwrap_or_else(|(error, _)| panic!("{error}"));
    producer.flush(Duration::from_secs(30)).expect("it is written");
}

fn two_clusters(old: &str, new: &str) -> String {
    format!(
        "\
virtual_cluster: v
default_cluster: old
listeners: [{{ bind: 127.0.0.1:0 }}]
clusters:
  old: {{ slot: 0, bootstrap: [\"{old}\"] }}
  new: {{ slot: 1, bootstrap: [\"{new}\"] }}
pipelines: [{{ name: events, topics: [\"events*\"], cluster: new }}]
"
    )
}

#[test]
fn a_live_check_finds_what_is_not_where_the_config_says() {
    let (old, new) = (
        mock(&["plain", "events_old", "events_empty", "events_both", "events_shadow"]),
        mock(&["events_new", "events_both", "events_shadow"]),
    );
    for (cluster, topic) in
        [(&old, "events_old"), (&old, "events_both"), (&new, "events_both"), (&new, "events_shadow")]
    {
        write(cluster, topic);
    }
    let config = File::new("live", &two_clusters(&old.bootstrap_servers(), &new.bootstrap_servers()));
    let output = fishplate(&["check", "-c", config.path(), "--live", "--json"]);
    assert_eq!(code(&output), 1, "{output:?}");
    let live: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let live = &live["live"];
    assert_eq!((&live["clusters"][0]["topics"], &live["clusters"][1]["topics"]), (&5.into(), &3.into()), "{live}");
    let found = |kind: &str, topic: &str| {
        let all = live["found"].as_array().expect("a list");
        all.iter().any(|one| one["kind"] == kind && one["topic"] == topic)
    };
    assert!(found("topic_twice", "events_both") && found("topic_kept", "events_old"), "{live}");
    assert!(found("topic_away", "events_empty"), "{live}");
    let topics = live["found"].as_array().expect("a list").iter().filter(|one| one.get("topic").is_some());
    assert_eq!(topics.count(), 3, "what is at home is fine, and so is a shadow: {live}");
    let output = fishplate(&["check", "-c", config.path(), "--live"]);
    assert!(out(&output).contains("\ntopic events_both has records on new and on old;"), "{}", out(&output));
}

#[test]
fn a_live_check_says_which_cluster_cannot_be_reached() {
    let old = mock(&[]);
    // Bound and not listened on any more: nobody else has this port in the meantime, most likely.
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let config = File::new("gone", &two_clusters(&old.bootstrap_servers(), &gone.to_string()));
    let output = fishplate(&["check", "-c", config.path(), "--live"]);
    assert_eq!(code(&output), 3, "{output:?}");
    assert!(out(&output).contains("\ncluster new cannot be reached: "), "{}", out(&output));
    assert!(out(&output).contains("\nold: 1 broker, 0 topics"), "{}", out(&output));
}

#[test]
fn a_proxy_that_does_not_run_is_told_apart_from_what_is_no_fishplate() {
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").to_string();
    for table in ["topics", "groups", "clients"] {
        let output = fishplate(&[table, "--admin", &gone]);
        let said = String::from_utf8_lossy(&output.stderr);
        let wanted = format!("fishplate: cannot reach a running proxy at {gone}; is its `admin.bind` there?");
        assert!(code(&output) == 3 && said.starts_with(&wanted) && said.contains("refused"), "{table}: {said}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    let output = fishplate(&["diff", "-c", "config/minimal.yaml", "--admin", &gone]);
    assert_eq!(code(&output), 3, "{output:?}");
    // And somebody else who listens there
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address").to_string();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().expect("a connection");
        let _asked = stream.read(&mut [0; 1_024]).expect("a request");
        stream.write_all(b"HTTP/1.0 404 Not Found\r\n\r\nnothing here\n").expect("an answer");
    });
    let output = fishplate(&["topics", "--admin", &address]);
    answering.join().expect("it answered");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(code(&output) == 3 && said.contains("it answers 404: nothing here"), "{said}");
}
