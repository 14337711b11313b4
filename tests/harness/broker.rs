//! One node of an Apache Kafka cluster: its files, its process, and what can be done to it. Its ports never change.

use super::link::Link;
use super::process::{Process, command};
use super::secured::{Doors, keys_of};
use super::{cache, repository};
use anyhow::Context;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A broker that can be killed, stopped, frozen and started again.
pub struct Broker {
    /// `broker 2 of a`, for messages.
    pub name: String,
    /// Where clients reach it without anything between.
    pub port: u16,
    /// A way to it that tests can cut; who bootstraps over such a link is told only such links.
    pub link: Link,
    /// Where clients reach it over TLS.
    pub doors: Doors,
    kafka: &'static str,
    directory: PathBuf,
    process: Mutex<Option<Process>>,
}

impl Broker {
    /// Does not start it.
    pub fn new(name: String, port: u16, link: Link, doors: Doors, kafka: &'static str, directory: PathBuf) -> Self {
        Self { name, port, link, doors, kafka, directory, process: Mutex::new(None) }
    }

    /// Starts the process. Whether it is ready is the cluster's to say.
    pub fn start(&self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut java = java(self.kafka)?;
        java.arg(format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={}", keys_of(&self.directory)));
        // Room for what is short-lived: it is collected less often.
        java.args(["-Xms192m", "-Xmn96m", "-Xmx512m", "kafka.Kafka"]).arg(self.directory.join("server.properties"));
        java.stdout(log.try_clone()?).stderr(log);
        *self.process() = Some(Process::start(&self.name, java)?);
        Ok(())
    }

    /// Where its log is written.
    pub fn log_file(&self) -> PathBuf {
        self.directory.join("broker.log")
    }

    /// Whether its port takes connections.
    pub fn listens(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    /// Says why it ended, if it did by itself.
    pub fn check_alive(&self) -> anyhow::Result<()> {
        let ended = self.process().as_mut().and_then(Process::ended);
        match ended {
            Some(status) => {
                anyhow::bail!("{} ended with {status}; its log is {}", self.name, self.log_file().display())
            }
            None => Ok(()),
        }
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.take().kill();
    }

    /// SIGTERM: it hands its partitions over first.
    pub fn stop(&self) {
        self.take().stop_or_kill();
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Starts it again after `kill` or `stop`, on the same ports with the same data.
    #[track_caller]
    pub fn restart(&self) {
        assert!(self.process().is_none(), "{} is running", self.name);
        self.start().unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Undoes what a test that failed may have left: starts it if it does not run, lets it and its link go on.
    #[track_caller]
    pub fn heal(&self) {
        self.link.up();
        self.link.flow();
        if self.process().is_none() {
            self.restart();
        }
        self.thaw();
    }

    /// SIGKILL if it runs: the end of a test run.
    pub fn end(&self) {
        drop(self.process().take());
    }

    fn signal(&self, signal: &str) {
        self.process().as_ref().unwrap_or_else(|| panic!("{} is not running", self.name)).signal(signal);
    }

    fn take(&self) -> Process {
        self.process().take().unwrap_or_else(|| panic!("{} is not running", self.name))
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        // A trial that panicked is no reason to leave a broker running.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a JVM that takes classes out of jars for what they are: verifying them is a good part of a short life.
pub const UNVERIFIED: [&str; 2] = ["-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote"];

/// `java` with the jars of that Kafka and settings that make it start fast on few cores.
pub fn java(kafka: &str) -> anyhow::Result<Command> {
    let jars = jars(kafka)?;
    let logging = repository().join("tests/kafka");
    let mut java = command("java");
    java.args(UNVERIFIED)
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
        .arg(format!("-Dlog4j2.configurationFile={}", logging.join("log4j2.properties").display()))
        .arg(format!("-Dlog4j.configuration=file:{}", logging.join("log4j.properties").display()))
        .arg("-cp")
        .arg(jars.join("*"));
    Ok(java)
}

/// The folder with the jars of that Kafka.
pub fn jars(kafka: &str) -> anyhow::Result<PathBuf> {
    let jars = cache().join(format!("kafka-{kafka}/lib"));
    anyhow::ensure!(jars.is_dir(), "Apache Kafka {kafka} is not in {}: run `scripts/test setup` once", jars.display());
    Ok(jars)
}

/// What a node needs to know before it first starts, as `StorageTool format` writes it for a node that is no controller.
pub fn format(directory: &Path, cluster_id: &str, node: usize) -> anyhow::Result<()> {
    let data = directory.join("data");
    fs::create_dir_all(&data)?;
    let directory_id = kafka_uuid();
    let text = format!("version=1\ncluster.id={cluster_id}\nnode.id={node}\ndirectory.id={directory_id}\n");
    fs::write(data.join("meta.properties"), text).context("meta.properties")
}

/// A random id in the form that Kafka writes: 16 bytes in URL-safe base64, no dash in front.
pub fn kafka_uuid() -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text: String = (0..21).map(|_| char::from(LETTERS[fastrand::usize(0..62)])).collect();
    text.push('A');
    text
}
