//! Where the records go: two synthetic clusters, the copier before them, and the ways there. The proxies are
//! `contestants`.

use anyhow::Result;

use super::process::Process;

/// Nodes of each cluster.
pub(super) const NODES: usize = 2;

/// A way from the load to the clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Way {
    Direct,
    Copy,
    /// Every broker is a node of its own.
    Fishplate,
    /// One node leads everything.
    Single,
    /// One cluster only.
    Shotover,
    /// With a limit that counts only.
    Observed,
    /// With a limit that moves records.
    Overflowing,
    /// With a contract and a limit.
    Contracted,
    /// With a limit that does move some of each batch.
    Edited,
    /// With a limit, and few tokens or many.
    Few,
    Many,
}

impl Way {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Copy => "copy",
            Self::Fishplate => "Fishplate",
            Self::Single => "Fishplate, single",
            Self::Shotover => "Shotover",
            Self::Observed => "Fishplate, limit, observe",
            Self::Overflowing => "Fishplate, limit, overflow",
            Self::Contracted => "Fishplate, contract and limit",
            Self::Edited => "Fishplate, edited",
            Self::Few => "Fishplate, few tokens",
            Self::Many => "Fishplate, many tokens",
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
    start_copy_with(ports, &[])
}

/// The same with more arguments.
pub(super) fn start_copy_with(ports: usize, more: &[&str]) -> Result<Process> {
    let mut arguments = vec!["copy".to_owned(), "--ports".to_owned(), ports.to_string()];
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    Process::own(&arguments)
}

pub(super) fn first(addresses: &str) -> Option<String> {
    addresses.split(',').next().map(str::to_owned)
}
