//! `run`: sections of measurements, interleaved within each; prints Markdown and keeps all rounds as JSON.

mod aims;
mod contestants;
mod crowd;
mod encrypted;
mod kafka;
mod lag;
mod measure;
mod performance;
mod policy;
mod process;
mod rest;
mod scaling;
mod scrape;
mod sections;
mod stage;
mod stats;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use contestants::{Programs, Proxies, program};
use crowd::Crowd;
use encrypted::Encrypted;
use lag::Lag;
use measure::{Course, Load, Row};
use policy::Policy;
use rest::Rest;
use stage::{Clusters, Way};

/// The benchmark, or some sections of it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure; everything, if nothing is named.
    sections: Vec<Section>,
    /// A run of a few minutes: fewer sizes, rounds and seconds. Its figures show shapes only.
    #[arg(long)]
    quick: bool,
    /// Results of an earlier run (its JSON): what this run does not measure is taken from there. May be repeated.
    #[arg(long)]
    join: Vec<PathBuf>,
    /// Measures nothing: only what was joined is shown.
    #[arg(long)]
    show: bool,
    /// Rounds; 5 for throughput and latency, 9 for lag and 3 for all else, or 2 with --quick.
    #[arg(long)]
    rounds: Option<usize>,
    /// Measured seconds of each load; 1.2, or 0.5 with --quick, and of lag 10, or 2.
    #[arg(long)]
    seconds: Option<f64>,
    /// Only loads whose name has this in it.
    #[arg(long)]
    only: Option<String>,
    /// Connections of the section of that name at most.
    #[arg(long, default_value_t = 10_000)]
    most_connections: usize,
    /// Topics of three partitions that each cluster has beside those of the loads.
    #[arg(long, default_value_t = 0)]
    extra_topics: usize,
    /// The proxy; by default the one that was built beside this program. Without one, only the others are measured.
    #[arg(long)]
    fishplate: Option<PathBuf>,
    /// Shotover; by default the one that `scripts/bench` builds.
    #[arg(long)]
    shotover: Option<PathBuf>,
    /// Leaves Shotover out.
    #[arg(long)]
    no_shotover: bool,
    /// Name and version that the load gives in ApiVersions, by which the proxy chooses the view.
    #[arg(long, default_value = "apache-kafka-java/4.3.1")]
    client: String,
    /// A real Kafka broker to run against as well. Without one, a broker is started if `scripts/test setup` has fetched
    /// Kafka, and not with --quick.
    #[arg(long)]
    kafka: Option<String>,
    /// Where results and the proxies' logs go.
    #[arg(long, default_value = "bench/results")]
    out: PathBuf,
}

/// A part of the benchmark that stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Section {
    /// Throughput and processor time, two synthetic clusters.
    Flow,
    /// Latency at a fixed rate.
    Latency,
    /// One real Kafka broker.
    Kafka,
    /// Answers to Metadata.
    Metadata,
    /// Start, and idle connections.
    Rest,
    /// All contestants over one cluster.
    Field,
    /// 1 to 10,000 topics.
    Topics,
    /// 10 to 10,000 partitions of one topic.
    Partitions,
    /// 1 to 10,000 connections, idle and busy.
    Connections,
    /// Contract and limits, and a million tokens.
    Policy,
    /// TLS on one side and on both.
    Encrypted,
    /// 50,000 groups at partitions: a scrape, and what it does to who writes meanwhile.
    Lag,
}

const WAYS: [Way; 4] = [Way::Direct, Way::Copy, Way::Fishplate, Way::Single];
const CONTESTANTS: [Way; 5] = [Way::Direct, Way::Copy, Way::Fishplate, Way::Single, Way::Shotover];
/// Connections and requests in flight on each, as clients have it: a producer up to five, a consumer one.
const PRODUCERS: (usize, usize) = (4, 5);
const CONSUMERS: (usize, usize) = (8, 1);
const IDLE: usize = 1000;

/// Everything that was measured.
#[derive(Serialize, Deserialize)]
struct Results {
    about: About,
    flow: Vec<Row>,
    latency: Vec<Row>,
    kafka: Vec<Row>,
    metadata: Vec<Row>,
    field: Vec<Row>,
    topics: Vec<Row>,
    partitions: Vec<Row>,
    connections: Vec<Crowd>,
    rest: BTreeMap<Way, Rest>,
    /// Runs of before there was any have none.
    #[serde(default)]
    policy: Policy,
    #[serde(default)]
    encrypted: Encrypted,
    #[serde(default)]
    lag: Lag,
}

impl Results {
    fn rows(&self) -> impl Iterator<Item = &Row> {
        let Self { flow, latency, kafka, metadata, field, topics, partitions, policy, encrypted, lag, .. } = self;
        let Policy { rows, tokens, .. } = policy;
        let plain = [flow, latency, kafka, metadata, field, topics, partitions, rows, tokens, &lag.rows];
        plain.into_iter().chain(encrypted.rows.values()).flatten()
    }

    fn none(about: About) -> Self {
        let rows = Vec::new;
        Self {
            about,
            flow: rows(),
            latency: rows(),
            kafka: rows(),
            metadata: rows(),
            field: rows(),
            topics: rows(),
            partitions: rows(),
            connections: Vec::new(),
            rest: BTreeMap::new(),
            policy: Policy::default(),
            encrypted: Encrypted::default(),
            lag: Lag::default(),
        }
    }

    /// Takes from an earlier run what this one has not measured.
    fn join(&mut self, other: Self) {
        let take = |own: &mut Vec<Row>, theirs| {
            if own.is_empty() {
                *own = theirs;
            }
        };
        take(&mut self.flow, other.flow);
        take(&mut self.latency, other.latency);
        take(&mut self.kafka, other.kafka);
        take(&mut self.metadata, other.metadata);
        take(&mut self.field, other.field);
        take(&mut self.topics, other.topics);
        take(&mut self.partitions, other.partitions);
        if self.connections.is_empty() {
            self.connections = other.connections;
        }
        if self.rest.is_empty() {
            self.rest = other.rest;
        }
        if self.policy.rows.is_empty() && self.policy.tokens.is_empty() {
            self.policy = other.policy;
        }
        if self.encrypted.rows.is_empty() {
            self.encrypted = other.encrypted;
        }
        if self.lag.rows.is_empty() {
            self.lag = other.lag;
        }
        self.about.quick |= other.about.quick;
    }
}

/// Where and how it was measured.
#[derive(Clone, Serialize, Deserialize)]
struct About {
    /// Seconds since 1970.
    at: u64,
    quick: bool,
    client: String,
    /// Of throughput and latency; what they are of the other sections follows.
    rounds: usize,
    other_rounds: usize,
    seconds: f64,
    processor: String,
    cores: usize,
    kernel: String,
}

/// What every section needs.
struct Bench<'a> {
    args: &'a Args,
    about: About,
    programs: Programs,
}

/// Runs everything that is wanted and prints what came out.
pub(crate) fn run(args: &Args) -> Result<()> {
    fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    let beside = std::env::current_exe()?.with_file_name("fishplate");
    let programs = Programs {
        fishplate: program(args.fishplate.as_deref(), &beside)?,
        shotover: match program(args.shotover.as_deref(), sections::SHOTOVER.as_ref())? {
            Some(_) if args.no_shotover => None,
            found => found,
        },
        folder: fs::canonicalize(&args.out)?,
    };
    for (name, program) in [("Fishplate", &programs.fishplate), ("SHOTOVER", &programs.shotover)] {
        if program.is_none() {
            eprintln!("{name} IS NOT MEASURED: it was not built, or is left out");
        }
    }
    let bench = Bench { args, about: About::new(args), programs };
    let mut results = Results::none(bench.about.clone());
    if !args.show {
        bench.measure(&mut results)?;
    }
    for file in &args.join {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        results.join(serde_json::from_str(&text).with_context(|| format!("{} is of another form", file.display()))?);
    }
    let (brief, whole) = (table::markdown(&results), performance::markdown(&results));
    let stem = args.out.join(results.about.at.to_string());
    fs::write(stem.with_extension("json"), serde_json::to_string_pretty(&results)?)?;
    fs::write(stem.with_extension("md"), &brief)?;
    fs::write(stem.with_extension("performance.md"), &whole)?;
    println!("{whole}");
    let stem = stem.display();
    eprintln!("README's part: {stem}.md; docs/performance.md: {stem}.performance.md; all rounds: {stem}.json");
    Ok(())
}

impl About {
    fn new(args: &Args) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let rounds = |usual| args.rounds.unwrap_or(if args.quick { 2 } else { usual });
        Self {
            at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            quick: args.quick,
            client: args.client.clone(),
            rounds: rounds(5),
            other_rounds: rounds(3),
            seconds: args.seconds.unwrap_or(if args.quick { 0.5 } else { 1.2 }),
            processor: model.map_or("", |(_, model)| model).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: kernel.trim().to_owned(),
        }
    }
}

impl Bench<'_> {
    /// A course over these clusters and proxies, with the rounds of most sections.
    fn course<'a>(&'a self, clusters: &'a Clusters, proxies: &'a Proxies) -> Course<'a> {
        let client = &self.about.client;
        Course {
            direct: clusters.direct().to_vec(),
            copied: clusters.copied().to_vec(),
            watched: clusters.watched(),
            proxies,
            rounds: self.about.other_rounds,
            seconds: self.about.seconds,
            software: client.split_once('/').unwrap_or((client, "")),
        }
    }

    fn wants(&self, load: &Load) -> bool {
        self.args.only.as_ref().is_none_or(|only| load.name.contains(only.as_str()))
    }

    fn has(&self, section: Section) -> bool {
        self.args.sections.is_empty() || self.args.sections.contains(&section)
    }
}
