//! Clients that are programs of their own, in `tests/clients`.

use super::contract::{Line, Run};
use crate::harness::broker::{UNVERIFIED, jars};
use crate::harness::process::{Process, command};
use crate::harness::{Bootstrap, cache, repository, wait};
use anyhow::Context;
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// The program ends a scenario after 100 s at most, and several run at once.
const TO_PLAY: Duration = wait::seconds(400);
const TO_SET_UP: Duration = wait::seconds(600);

/// The Java client of that Kafka.
pub fn java(kafka: &str, run: &Run) -> anyhow::Result<Vec<Line>> {
    let mut program = java_at(kafka, &run.log)?;
    program.arg("Main");
    play(program, run)
}

/// `java` with the jars of that Kafka and the scenarios' classes; clients log into `log` and nowhere else.
pub fn java_at(kafka: &str, log: &Path) -> anyhow::Result<Command> {
    set_up()?;
    let mut java = command("java");
    java.args(UNVERIFIED)
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-XX:-UsePerfData"])
        .arg(format!("-Dscenario.log={}", log.display()))
        .arg("-cp")
        .arg(class_path(kafka)?);
    Ok(java)
}

/// The scenarios' own classes first: their folder holds the log settings.
fn class_path(kafka: &str) -> anyhow::Result<String> {
    let classes = built().join(format!("java-{kafka}"));
    Ok(format!("{}:{}/*", classes.display(), jars(kafka)?.display()))
}

/// franz-go.
pub fn franz(run: &Run) -> anyhow::Result<Vec<Line>> {
    set_up()?;
    let mut program = command(built().join("franz"));
    program.arg("--log").arg(&run.log);
    play(program, run)
}

/// One of Python's clients, by the library that plays it; its packages are in a folder of the client's name.
pub fn python(library: &str, run: &Run) -> anyhow::Result<Vec<Line>> {
    set_up()?;
    let mut program = command("python3");
    program.env("PYTHONPATH", built().join("python").join(run.client)).env("PYTHONDONTWRITEBYTECODE", "1");
    // Cargo adds the folder of the `rdkafka` crate's own library to the path.
    program.env_remove("LD_LIBRARY_PATH");
    program.arg(repository().join("tests/clients/python/main.py")).arg(library).arg("--log").arg(&run.log);
    play(program, run)
}

/// The Go program that is named after its library.
pub fn go(library: &str, run: &Run) -> anyhow::Result<Vec<Line>> {
    set_up()?;
    let mut program = command(built().join(library));
    program.arg("--log").arg(&run.log);
    play(program, run)
}

/// One of Node's clients, by the file that plays it.
pub fn node(library: &str, run: &Run) -> anyhow::Result<Vec<Line>> {
    set_up()?;
    let mut program = command("node");
    // What node-rdkafka waits for takes a thread each; and it must not find the `rdkafka` crate's library.
    program.env("UV_THREADPOOL_SIZE", "32").env_remove("LD_LIBRARY_PATH");
    program.arg(built().join("node/main.js")).arg(library).arg("--log").arg(&run.log);
    play(program, run)
}

/// The codecs that the batches of two topics are stored with, as franz-go sees them.
pub fn look(bootstrap: &Bootstrap, topics: &[String; 2], output: &Path) -> anyhow::Result<Value> {
    set_up()?;
    let mut program = command(built().join("franz"));
    program.args(["look", "--bootstrap", &bootstrap.servers, "--topics", &topics.join(","), "--groups", "none"]);
    let printed = run_to_end("franz look", program, TO_PLAY, output)?;
    let line: Line = serde_json::from_str(printed.trim())?;
    line.result.context("no result")
}

/// Where `tests/clients/setup.sh` puts what it builds.
pub fn built() -> PathBuf {
    cache().join("clients")
}

/// Builds what is not built or has changed, once.
pub fn set_up() -> anyhow::Result<()> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    let run = || {
        let script = command(repository().join("tests/clients/setup.sh"));
        run_to_end("tests/clients/setup.sh", script, TO_SET_UP, &cache().join("clients-setup"))
    };
    let done = DONE.get_or_init(|| run().map(drop).map_err(|error| format!("{error:#}")));
    done.clone().map_err(anyhow::Error::msg)
}

/// Runs a program that keeps to the contract: scenarios and options in, a line of JSON for each scenario out.
pub fn play(mut program: Command, run: &Run) -> anyhow::Result<Vec<Line>> {
    program.args(run.scenarios);
    program.args(["--bootstrap", &run.bootstrap.servers]);
    program.args(["--topics", &run.topics.join(","), "--groups", &run.groups.join(",")]);
    if let Some(file) = &run.cut {
        program.arg("--cut").arg(file);
    }
    let name = format!("{} at {}", run.client, run.bootstrap);
    // A scenario that failed makes the exit code 1 and has its own line; without any line the program itself failed.
    let ended = run_to_end(&name, program, TO_PLAY, &run.output);
    let printed = fs::read_to_string(&run.output)?;
    let lines: Vec<Line> = printed
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("{name} printed `{line}`")))
        .collect::<anyhow::Result<_>>()?;
    if lines.is_empty() {
        ended?;
        anyhow::bail!("{name} printed nothing");
    }
    Ok(lines)
}

/// Runs a command that must succeed, and returns what it printed; `output` and `output.err` are written, for people too.
pub fn run_to_end(name: &str, mut command: Command, within: Duration, output: &Path) -> anyhow::Result<String> {
    let mut errors = output.as_os_str().to_owned();
    errors.push(".err");
    command.stdout(File::create(output)?).stderr(File::create(&errors)?);
    let mut process = Process::start(name, command)?;
    let status = wait::poll(within, || process.ended());
    let status = status.with_context(|| format!("{name} still ran after {within:?}"))?;
    let cried = fs::read_to_string(&errors)?;
    anyhow::ensure!(status.success(), "{name} ended with {status} and said\n{}", last_lines(&cried, 15));
    Ok(fs::read_to_string(output)?)
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
