//! The programs that stand between the load and the records: two synthetic clusters, the copier before them, Fishplate
//! before them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::process::Process;

/// Nodes of each cluster.
const NODES: usize = 2;

/// A way from the load to the clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Way {
    Direct,
    Copy,
    Fishplate,
}

impl Way {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Copy => "copy",
            Self::Fishplate => "Fishplate",
        }
    }
}

/// Two clusters, `a` and `b`, and the copier that both can be reached through.
pub(super) struct Clusters {
    copy: Process,
    sinks: Vec<Process>,
    own: Vec<String>,
    copied: Vec<String>,
}

impl Clusters {
    /// Starts them with the topics given, in the form that `sink` takes.
    pub(super) fn start(topics: [&[&str]; 2]) -> Result<Self> {
        let mut copy = start_copy(NODES * topics.len())?;
        let ports: Vec<String> = copy.line("listening on ")?.split(',').map(str::to_owned).collect();
        let (mut sinks, mut own, mut copied, mut behind) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for ((id, topics), ports) in ["a", "b"].iter().zip(topics).zip(ports.chunks(NODES)) {
            let mut arguments: Vec<String> = ["sink", "--id", id, "--nodes"].map(str::to_owned).to_vec();
            arguments.extend([NODES.to_string(), "--copied".to_owned(), ports.join(",")]);
            arguments.extend(topics.iter().flat_map(|topics| ["--topics".to_owned(), (*topics).to_owned()]));
            let mut sink = Process::own(&arguments)?;
            own.extend(first(&sink.line("listening on ")?));
            behind.push(sink.line("behind the copier ")?);
            copied.extend(ports.first().cloned());
            sinks.push(sink);
        }
        copy.say(&behind.join(","))?;
        Ok(Self { copy, sinks, own, copied })
    }

    pub(super) fn copy(&self) -> u32 {
        self.copy.pid()
    }

    /// All of them by name.
    pub(super) fn watched(&self) -> Vec<(String, u32)> {
        let sinks = self.sinks.iter().enumerate().map(|(at, sink)| (format!("cluster {at}"), sink.pid()));
        std::iter::once((Way::Copy.name().to_owned(), self.copy())).chain(sinks).collect()
    }

    /// Addresses to begin with, one for each cluster.
    pub(super) fn direct(&self) -> &[String] {
        &self.own
    }

    /// The same through the copier.
    pub(super) fn copied(&self) -> &[String] {
        &self.copied
    }
}

/// A copier that has not been told where to lead; it says its ports.
pub(super) fn start_copy(ports: usize) -> Result<Process> {
    Process::own(&["copy".to_owned(), "--ports".to_owned(), ports.to_string()])
}

fn first(addresses: &str) -> Option<String> {
    addresses.split(',').next().map(str::to_owned)
}

/// Which program, and what it is told.
pub(super) struct Setup {
    program: PathBuf,
    config: PathBuf,
    log: PathBuf,
}

impl Setup {
    /// Writes a config for clusters `a` and `b` into `folder`; `topics` are the patterns that live on `b`.
    pub(super) fn write(program: &Path, folder: &Path, bootstraps: &[String], topics_of_b: &str) -> Result<Self> {
        let [a, b] = bootstraps else { anyhow::bail!("two clusters are wanted, not {}", bootstraps.len()) };
        let text = format!(
            "virtual_cluster: bench\n\
             default_cluster: a\n\
             listeners:\n  - bind: 127.0.0.1:0\n\
             clusters:\n  a: {{ slot: 0, bootstrap: [\"{a}\"] }}\n  b: {{ slot: 1, bootstrap: [\"{b}\"] }}\n\
             pipelines:\n  - {{ name: other, topics: [\"{topics_of_b}\"], groups: [], cluster: b }}\n\
             admin: {{ bind: 127.0.0.1:0 }}\n"
        );
        let config = folder.join("fishplate.yaml");
        fs::write(&config, text).with_context(|| format!("writing {}", config.display()))?;
        Ok(Self { program: program.to_owned(), config, log: folder.join("fishplate.log") })
    }

    /// Starts it, and says how long it took to be ready.
    pub(super) fn start(&self) -> Result<(Fishplate, Duration)> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let arguments = ["run".to_owned(), "-c".to_owned(), self.config.display().to_string()];
        let began = Instant::now();
        let mut process = Process::start("fishplate", &self.program, &arguments, Some(log))?;
        let address = process.line("listening on ").with_context(|| format!("see {}", self.log.display()))?;
        Ok((Fishplate { process, address }, began.elapsed()))
    }
}

/// A running Fishplate.
pub(super) struct Fishplate {
    process: Process,
    address: String,
}

impl Fishplate {
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(super) fn bootstrap(&self) -> &str {
        &self.address
    }
}
