//! Kafka's own command-line tools at Fishplate: each does what it is for.

use super::addresses;
use super::programs::{java_at, run_to_end};
use crate::harness::process::Process;
use crate::harness::wait;
use crate::world::{World, shared};
use anyhow::Context;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

const TO_RUN: Duration = wait::seconds(60);

pub fn trials() -> Vec<Trial> {
    vec![
        shared("tools: topics are made, described, listed and deleted", topics),
        shared("tools: the console producer's records reach the console consumer", console),
        shared("tools: the verifiable producer and consumer agree", verifiable),
        shared("tools: performance tools move their records", performance),
    ]
}

/// A tool by its class, run against Fishplate; what it printed.
#[track_caller]
pub fn tool(world: &World, class: &str, arguments: &[&str]) -> String {
    fed(world, class, arguments, "")
}

#[track_caller]
fn fed(world: &World, class: &str, arguments: &[&str], input: &str) -> String {
    static JAVA: Mutex<Option<Java>> = Mutex::new(None);
    let mut java = JAVA.lock().unwrap_or_else(PoisonError::into_inner);
    // One that failed in the middle of something is not asked again.
    let mut running = java.take().unwrap_or_else(|| Java::start(world).unwrap_or_else(|error| panic!("{error:#}")));
    let servers = world.proxy().bootstrap().servers;
    let arguments = [&["--bootstrap-server", &servers], arguments].concat();
    let answer = running.ask(&json!({ "tool": class, "arguments": arguments, "input": input }));
    let answer = answer.unwrap_or_else(|error| panic!("{class} {arguments:?}: {error:#}"));
    running.judged = addresses::judge_log_from(world, &running.log, running.judged);
    *java = Some(running);
    let printed = answer["printed"].as_str().unwrap_or_default().to_owned();
    let cried = answer["cried"].as_str().unwrap_or_default();
    assert_eq!(answer["code"], 0, "{class} {arguments:?} printed\n{printed}\n{cried}");
    printed
}

/// For a tool that does its last work when its process ends.
#[track_caller]
fn in_a_process(world: &World, class: &str, arguments: &[&str]) -> String {
    let output = world.directory.join(format!("tool-{}.out", fastrand::u64(..)));
    let log = output.with_extension("log");
    let mut tool = java_at("4.3", &log).unwrap();
    tool.arg(class).args(["--bootstrap-server", &world.proxy().bootstrap().servers]).args(arguments);
    let printed = run_to_end(class, tool, TO_RUN, &output).unwrap_or_else(|error| panic!("{error:#}"));
    addresses::judge_log(world, &log);
    printed
}

/// One process for all tools (`tests/clients/java/Tools.java`).
struct Java {
    orders: ChildStdin,
    answers: mpsc::Receiver<String>,
    log: PathBuf,
    /// So many bytes of its log were looked at.
    judged: usize,
    _process: Process,
}

impl Java {
    fn start(world: &World) -> anyhow::Result<Self> {
        let log = world.directory.join("tools.log");
        let mut tools = java_at("4.3", &log)?;
        tools.arg("Tools").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start("the tools", tools)?;
        let orders = process.child().stdin.take().context("stdin")?;
        let stdout = process.child().stdout.take().context("stdout")?;
        let (tell, answers) = mpsc::channel();
        thread::spawn(move || {
            // Who asked last waits for the answer; afterwards nobody does.
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        Ok(Self { orders, answers, log, judged: 0, _process: process })
    }

    fn ask(&mut self, order: &Value) -> anyhow::Result<Value> {
        writeln!(self.orders, "{order}")?;
        let answer = self.answers.recv_timeout(TO_RUN).context("no answer")?;
        Ok(serde_json::from_str(&answer)?)
    }
}

pub(super) const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const OFFSETS: &str = "org.apache.kafka.tools.GetOffsetShell";
const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";

pub(super) fn make(world: &World, topic: &str) {
    let how = ["--create", "--topic", topic, "--partitions", "2", "--replication-factor", "1"];
    tool(world, TOPICS, &how);
}

fn topics(world: &World) {
    for topic in ["a-tools-topic", "b-tools-topic"] {
        make(world, topic);
        let described = tool(world, TOPICS, &["--describe", "--topic", topic]);
        assert_eq!(described.matches("Leader: ").count(), 2, "{described}");
        assert!(tool(world, TOPICS, &["--list"]).lines().any(|line| line == topic));
        tool(world, TOPICS, &["--delete", "--topic", topic]);
        wait::until(&format!("{topic} is gone"), wait::seconds(60), || {
            !tool(world, TOPICS, &["--list"]).lines().any(|line| line == topic)
        });
    }
}

fn console(world: &World) {
    for (home, topic) in [("ga", "a-tools-console"), ("gb", "b-tools-console")] {
        make(world, topic);
        let text = "h:1,h:2\tk1:one\nh:\tk2:two\n";
        let parsed = ["--reader-property", "parse.key=true", "--reader-property", "parse.headers=true"];
        let separated = ["--reader-property", "key.separator=:", "--topic", topic];
        fed(world, "org.apache.kafka.tools.ConsoleProducer", &[parsed, separated].concat(), text);
        let group = format!("{home}-tools-console");
        let read = ["--topic", topic, "--from-beginning", "--max-messages", "2", "--group", &group];
        let shown = ["--formatter-property", "print.key=true", "--formatter-property", "print.headers=true"];
        let printed = tool(world, "org.apache.kafka.tools.consumer.ConsoleConsumer", &[&read[..], &shown].concat());
        let mut lines: Vec<_> = printed.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["h:\tk2\ttwo", "h:1,h:2\tk1\tone"]);
        let ends = tool(world, OFFSETS, &["--topic", topic, "--time", "latest"]);
        let ends = ends.lines().filter_map(|line| line.rsplit(':').next()?.parse::<i64>().ok());
        assert_eq!(ends.sum::<i64>(), 2);
        let described = tool(world, GROUPS, &["--describe", "--group", &group]);
        // A partition whose first position was still asked for when the second record came has no commit: two brokers answer.
        let cells: Vec<Vec<_>> = described
            .lines()
            .filter(|line| line.contains(topic))
            .map(|line| line.split_whitespace().collect())
            .collect();
        let committed = cells.iter().filter_map(|row| row.get(3)?.parse::<i64>().ok());
        assert_eq!(committed.sum::<i64>(), 2, "{described}");
        assert!(cells.iter().all(|row| row.get(5) == Some(&"0")), "{described}");
        assert!(tool(world, GROUPS, &["--list"]).lines().any(|line| line == group));
    }
}

fn verifiable(world: &World) {
    for (home, topic) in [("ga", "a-tools-verifiable"), ("gb", "b-tools-verifiable")] {
        make(world, topic);
        let sent = in_a_process(
            world,
            "org.apache.kafka.tools.VerifiableProducer",
            &["--topic", topic, "--max-messages", "500", "--throughput", "-1"],
        );
        assert_eq!(events(&sent, "producer_send_success").count(), 500);
        assert_eq!(events(&sent, "producer_send_error").count(), 0);
        let group = format!("{home}-tools-verifiable");
        let read = ["--topic", topic, "--group-id", &group, "--max-messages", "500", "--reset-policy", "earliest"];
        let read = tool(world, "org.apache.kafka.tools.VerifiableConsumer", &read);
        let counts = events(&read, "records_consumed").filter_map(|event| event["count"].as_u64());
        assert_eq!(counts.sum::<u64>(), 500);
        let commits: Vec<_> = events(&read, "offsets_committed").collect();
        assert!(!commits.is_empty() && commits.iter().all(|event| event["success"] == true), "{commits:?}");
    }
}

/// The verifiable tools print a line of JSON for each event.
fn events<'a>(printed: &'a str, name: &'a str) -> impl Iterator<Item = Value> + 'a {
    let parsed = printed.lines().filter_map(|line| serde_json::from_str(line).ok());
    parsed.filter(move |event: &Value| event["name"] == name)
}

fn performance(world: &World) {
    for topic in ["a-tools-performance", "b-tools-performance"] {
        make(world, topic);
        let load = ["--topic", topic, "--num-records", "5000", "--record-size", "500", "--throughput", "-1"];
        let sent = tool(world, "org.apache.kafka.tools.ProducerPerformance", &load);
        assert!(sent.contains("5000 records sent"), "{sent}");
        let read = ["--topic", topic, "--num-records", "5000", "--timeout", "30000", "--hide-header"];
        let read = tool(world, "org.apache.kafka.tools.ConsumerPerformance", &read);
        let counted = read.lines().last().and_then(|line| line.split(", ").nth(4)?.parse::<u64>().ok());
        assert!(counted.is_some_and(|count| count >= 5000), "{read}");
    }
}
