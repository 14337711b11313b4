//! A real Apache Kafka broker of one node, with a listener of its own for who comes through the copier.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::process::Process;
use super::stage::{Way, start_copy};

/// A started broker, or one that was there before.
pub(super) struct Kafka {
    pub(super) direct: String,
    /// Through the copier; only a broker that we started has a listener for it.
    pub(super) copied: Option<String>,
    started: Vec<(&'static str, Process)>,
    folder: Option<PathBuf>,
}

impl Kafka {
    /// A broker that somebody else runs.
    pub(super) fn there(address: &str) -> Self {
        Self { direct: address.to_owned(), copied: None, started: Vec::new(), folder: None }
    }

    /// Starts a broker from a folder of jars, in a new folder under `out`.
    pub(super) fn start(jars: &Path, out: &Path) -> Result<Self> {
        let folder = fs::canonicalize(out)?.join(format!("kafka-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let mut copy = start_copy(1)?;
        let copied = copy.line("listening on ")?;
        let [own, behind, controller] = free_ports()?;
        let config = folder.join("server.properties");
        fs::write(&config, properties(own, behind, controller, &copied, &folder.join("data")))?;
        let java = |class: &str| -> Vec<String> {
            let jars = format!("{}/*", jars.display());
            ["-Xmx1g", "-cp", &jars, class].map(str::to_owned).into()
        };
        format(&java("kafka.tools.StorageTool"), &config)?;
        let mut arguments = java("kafka.Kafka");
        arguments.push(config.display().to_string());
        let log = File::create(folder.join("log"))?;
        let broker = Process::start("kafka", Path::new("java"), &arguments, Some(log))?;
        copy.say(&format!("127.0.0.1:{behind}"))?;
        let direct = format!("127.0.0.1:{own}");
        let started = vec![("kafka", broker), (Way::Copy.name(), copy)];
        Ok(Self { direct, copied: Some(copied), started, folder: Some(folder) })
    }

    /// Processes by name.
    pub(super) fn watched(&self) -> Vec<(String, u32)> {
        self.started.iter().map(|(name, process)| ((*name).to_owned(), process.pid())).collect()
    }

    /// Makes topics, as soon as the broker answers.
    pub(super) fn create(&self, topics: &str, settings: &[&str]) -> Result<()> {
        let mut arguments: Vec<String> =
            ["create", "--bootstrap", &self.direct, "--topics", topics].map(str::to_owned).into();
        arguments.extend(settings.iter().flat_map(|setting| ["--setting".to_owned(), (*setting).to_owned()]));
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let made = Command::new(std::env::current_exe()?).args(&arguments).output()?;
            if made.status.success() {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("no topics on {}: {}", self.direct, String::from_utf8_lossy(&made.stderr));
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.started.clear();
        // What stays of a temporary folder harms nobody.
        let _ = self.folder.take().map(fs::remove_dir_all);
    }
}

/// The newest Kafka that the tests' set-up has fetched.
pub(super) fn jars() -> Option<PathBuf> {
    let folders = fs::read_dir(".cache").ok()?.flatten().map(|entry| entry.path().join("lib"));
    let named = |path: &PathBuf| path.to_string_lossy().contains("/kafka-") && path.is_dir();
    folders.filter(named).max().and_then(|jars| fs::canonicalize(jars).ok())
}

/// Ports that are free now; they are taken a moment later.
fn free_ports() -> Result<[u16; 3]> {
    let listeners =
        [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [one, two, three] = listeners.map(|listener| listener.local_addr().map(|address| address.port()));
    Ok([one?, two?, three?])
}

fn format(tool: &[String], config: &Path) -> Result<()> {
    let mut command = Command::new("java");
    command.args(tool).args(["format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c"]).arg(config);
    let output = command.output().context("java")?;
    ensure!(output.status.success(), "StorageTool: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn properties(own: u16, behind: u16, controller: u16, copied: &str, data: &Path) -> String {
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=OWN://127.0.0.1:{own},COPIED://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=OWN://127.0.0.1:{own},COPIED://{copied}
listener.security.protocol.map=OWN:PLAINTEXT,COPIED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=OWN
log.dirs={}
message.max.bytes=8388608
log.segment.bytes=67108864
log.retention.check.interval.ms=2000
log.segment.delete.delay.ms=0
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
",
        data.display()
    )
}
