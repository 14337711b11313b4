//! Loads, run in turn over every way, round after round, so that a machine that slows down slows all ways down.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::codec::Codec;
use crate::load::{Kind, Report};

use super::contestants::Proxies;
use super::process::Process;
use super::stage::Way;
use super::stats::Rounds;

/// One kind of load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Load {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) topics: Vec<String>,
    /// Topics, partitions or connections, where rows differ in that.
    pub(super) count: usize,
    /// Batches of a Produce, where the load is not to choose by itself.
    pub(super) batches: Option<usize>,
    /// Fetches name all their partitions each time.
    #[serde(default)]
    pub(super) no_session: bool,
    /// Produces hold events, each another batch of them.
    #[serde(default)]
    pub(super) events: Option<Events>,
    /// Records of 1 KiB a request.
    pub(super) records: usize,
    pub(super) connections: usize,
    pub(super) in_flight: usize,
    /// Requests a second, or as many as go.
    pub(super) rate: Option<f64>,
}

/// What is produced where batches are looked into.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Events {
    /// Different batches.
    pub(super) batches: usize,
    pub(super) codec: Codec,
    /// Different tokens.
    pub(super) tokens: usize,
}

impl Events {
    fn arguments(&self) -> [String; 6] {
        let Self { batches, codec, tokens } = self;
        let (batches, tokens) = (batches.to_string(), tokens.to_string());
        ["--events", &batches, "--codec", codec.name(), "--tokens", &tokens].map(str::to_owned)
    }
}

/// All rounds of one load.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) load: Load,
    pub(super) ways: BTreeMap<Way, Vec<Report>>,
    /// Why a way has fewer rounds than the others.
    pub(super) failures: Vec<String>,
}

impl Row {
    pub(super) fn new(load: Load) -> Self {
        Self { load, ways: BTreeMap::new(), failures: Vec::new() }
    }

    fn of(&self, way: Way, value: impl Fn(&Report) -> f64) -> Rounds {
        self.ways.get(&way).into_iter().flatten().map(value).collect()
    }

    /// Gigabytes a second.
    pub(super) fn flow(&self, way: Way) -> Rounds {
        self.of(way, |report| report.bytes as f64 / 1e9 / report.seconds)
    }

    /// Requests a second.
    pub(super) fn requests(&self, way: Way) -> Rounds {
        self.of(way, |report| report.requests as f64 / report.seconds)
    }

    /// Seconds of the proxy's processor time.
    pub(super) fn cpu(&self, way: Way) -> Rounds {
        self.of(way, |report| report.used(way))
    }

    /// Seconds of the proxy's processor time a gigabyte.
    pub(super) fn cpu_per_gigabyte(&self, way: Way) -> Rounds {
        self.of(way, |report| report.used(way) / (report.bytes as f64 / 1e9))
    }

    /// Milliseconds of the proxy's processor time a request.
    pub(super) fn cpu_per_request(&self, way: Way) -> Rounds {
        self.of(way, |report| report.used(way) * 1e3 / report.requests as f64)
    }

    /// Seconds of the proxy's processor time a million records.
    pub(super) fn cpu_per_million(&self, way: Way) -> Rounds {
        self.of(way, |report| report.used(way) / (report.records as f64 / 1e6))
    }

    /// Million records a second for which the proxy would want one core.
    pub(super) fn millions_of_a_core(&self, way: Way) -> Rounds {
        self.of(way, |report| report.records as f64 / 1e6 / report.used(way))
    }

    /// KiB of a record on the wire, with its part of the request's own bytes.
    pub(super) fn kib_per_record(&self, way: Way) -> Rounds {
        self.of(way, |report| report.bytes as f64 / 1024.0 / report.records as f64)
    }

    /// Seconds of these other processes' processor time a million records.
    pub(super) fn cpu_beside(&self, way: Way, names: &[&str]) -> Rounds {
        let used = |report: &Report| names.iter().filter_map(|name| report.cpu.get(*name)).sum::<f64>();
        self.of(way, |report| used(report) / (report.records as f64 / 1e6))
    }

    /// Microseconds at one of the quantiles.
    pub(super) fn latency(&self, way: Way, quantile: impl Fn(&crate::load::Latency) -> f64) -> Rounds {
        self.of(way, |report| report.latency.as_ref().map_or(f64::NAN, &quantile))
    }
}

impl Report {
    /// Processor time of the process that stands in this way.
    fn used(&self, way: Way) -> f64 {
        self.cpu.get(way.name()).copied().unwrap_or(0.0)
    }
}

/// What loads run against, and how long.
#[derive(Clone)]
pub(super) struct Course<'a> {
    /// Addresses to begin with, one for each cluster.
    pub(super) direct: Vec<String>,
    /// The same through the copier; none where it cannot be put between.
    pub(super) copied: Vec<String>,
    pub(super) proxies: &'a Proxies,
    /// Processes by name, the proxies by the names of their ways.
    pub(super) watched: Vec<(String, u32)>,
    pub(super) rounds: usize,
    pub(super) seconds: f64,
    /// Name and version in ApiVersions, by which the proxy chooses the view.
    pub(super) software: (&'a str, &'a str),
}

impl Course<'_> {
    /// Runs all loads over all ways, the rounds outermost.
    pub(super) fn run(&self, loads: Vec<Load>, ways: &[Way]) -> Vec<Row> {
        let mut rows: Vec<_> = loads.into_iter().map(Row::new).collect();
        for round in 0..self.rounds {
            for row in &mut rows {
                eprintln!("round {} of {}: {}", round + 1, self.rounds, row.load.name);
                self.round(row, ways, round);
            }
        }
        rows
    }

    /// Each way once, another one first each time.
    pub(super) fn round(&self, row: &mut Row, ways: &[Way], round: usize) {
        for at in 0..ways.len() {
            let Some(way) = ways.get((at + round) % ways.len()).copied() else { continue };
            let done = row.ways.entry(way).or_default();
            if self.bootstraps(way).is_empty() || done.len() < round {
                continue; // not there, or failed before
            }
            match self.once(&row.load, way) {
                Ok(report) => done.push(report),
                Err(error) => {
                    eprintln!("{}, {}: {error:#}", row.load.name, way.name());
                    row.failures.push(format!("{}: {error:#}", way.name()));
                }
            }
        }
    }

    fn once(&self, load: &Load, way: Way) -> Result<Report> {
        let mut arguments = vec!["load".to_owned(), kind_name(load.kind)];
        arguments.extend(self.target(way, &load.topics));
        for (name, value) in [
            ("--records", load.records.to_string()),
            ("--connections", load.connections.to_string()),
            ("--in-flight", load.in_flight.to_string()),
            ("--seconds", self.seconds.to_string()),
        ] {
            arguments.extend([name.to_owned(), value]);
        }
        let batches = load.batches.into_iter().flat_map(|batches| ["--batches".to_owned(), batches.to_string()]);
        arguments.extend(batches);
        arguments.extend(load.events.as_ref().map(Events::arguments).into_iter().flatten());
        arguments.extend(load.no_session.then(|| "--no-session".to_owned()));
        arguments.extend(load.rate.into_iter().flat_map(|rate| ["--rate".to_owned(), rate.to_string()]));
        let watch = |(name, pid): &(String, u32)| ["--watch".to_owned(), format!("{name}={pid}")];
        arguments.extend(self.watched.iter().flat_map(watch));
        let proxies = self.proxies.running.iter().map(|(way, proxy)| (way.name().to_owned(), proxy.pid()));
        arguments.extend(proxies.flat_map(|proxy| watch(&proxy)));
        let line = Process::own(&arguments)?.result()?;
        serde_json::from_str(&line).with_context(|| format!("a report of another form: {line}"))
    }

    pub(super) fn bootstraps(&self, way: Way) -> Vec<String> {
        match way {
            Way::Direct => self.direct.clone(),
            Way::Copy => self.copied.clone(),
            _ => self.proxies.running.get(&way).map(|proxy| proxy.bootstrap().to_owned()).into_iter().collect(),
        }
    }

    /// The arguments that say where a load goes and as whom.
    pub(super) fn target(&self, way: Way, topics: &[String]) -> Vec<String> {
        let (name, version) = self.software;
        let mut arguments: Vec<String> =
            ["--software-name", name, "--software-version", version].map(str::to_owned).into();
        arguments.extend(self.bootstraps(way).into_iter().flat_map(|bootstrap| ["--bootstrap".to_owned(), bootstrap]));
        arguments.extend(topics.iter().flat_map(|topics| ["--topics".to_owned(), topics.clone()]));
        arguments
    }
}

fn kind_name(kind: Kind) -> String {
    match kind {
        Kind::Produce => "produce",
        Kind::Fetch => "fetch",
        Kind::Metadata => "metadata",
        Kind::Named => "named",
    }
    .to_owned()
}
