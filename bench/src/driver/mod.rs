//! `run`: everything, interleaved, in one go; prints a Markdown table and keeps all rounds as JSON.

mod aims;
mod kafka;
mod measure;
mod process;
mod rest;
mod stage;
mod stats;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::load::Kind;
use kafka::Kafka;
use measure::{Course, Load, Row};
use rest::Rest;
use stage::{Clusters, Fishplate, Setup, Way};

/// The whole benchmark.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A run of about a minute: fewer sizes, rounds and seconds. Its figures show shapes only.
    #[arg(long)]
    quick: bool,
    /// Rounds; 5, or 2 with --quick.
    #[arg(long)]
    rounds: Option<usize>,
    /// Measured seconds of each load; 1.5, or 0.5 with --quick.
    #[arg(long)]
    seconds: Option<f64>,
    /// Only loads whose name has this in it; then nothing is measured at rest.
    #[arg(long)]
    only: Option<String>,
    /// Topics of three partitions that each cluster has beside those of the loads.
    #[arg(long, default_value_t = 0)]
    extra_topics: usize,
    /// The proxy; by default the one that was built beside this program. Without one, only the others are measured.
    #[arg(long)]
    fishplate: Option<PathBuf>,
    /// Name and version that the load gives in ApiVersions, by which the proxy chooses the view.
    #[arg(long, default_value = "apache-kafka-java/4.3.1")]
    client: String,
    /// A real Kafka broker to run against as well. Without one, a broker is started if `scripts/test setup` has fetched
    /// Kafka, and not with --quick.
    #[arg(long)]
    kafka: Option<String>,
    /// Where results and the proxy's log go.
    #[arg(long, default_value = "bench/results")]
    out: PathBuf,
}

impl Args {
    fn wants(&self, load: &Load) -> bool {
        self.only.as_ref().is_none_or(|only| load.name.contains(only.as_str()))
    }
}

const WAYS: [Way; 3] = [Way::Direct, Way::Copy, Way::Fishplate];
const ONE: &[&str] = &["one-:1"];
const HUNDRED: &[&str] = &["many-a-:50", "many-b-:50"];
const WRITTEN: &[&str] = &["written-:10:2"];
const READ: &[&str] = &["read-:10:2"];
const THOUSAND: &[&str] = &["meta-:1000"];
/// Connections and requests in flight on each, as clients have it: a producer up to five, a consumer one.
const PRODUCERS: (usize, usize) = (4, 5);
const CONSUMERS: (usize, usize) = (8, 1);
/// The part of what goes through the copier at most at which latency is measured.
const FIFTH: f64 = 0.2;
const IDLE: usize = 1000;

/// Everything that was measured.
#[derive(Serialize)]
struct Results {
    about: About,
    flow: Vec<Row>,
    latency: Vec<Row>,
    kafka: Vec<Row>,
    metadata: Vec<Row>,
    rest: BTreeMap<Way, Rest>,
}

impl Results {
    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.flow.iter().chain(&self.latency).chain(&self.kafka).chain(&self.metadata)
    }
}

/// Where and how it was measured.
#[derive(Serialize)]
struct About {
    /// Seconds since 1970.
    at: u64,
    quick: bool,
    client: String,
    rounds: usize,
    seconds: f64,
    processor: String,
    cores: usize,
    kernel: String,
}

/// Runs everything and prints the table.
pub(crate) fn run(args: &Args) -> Result<()> {
    let about = About::new(args);
    fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    let program = program(args)?;
    if program.is_none() {
        eprintln!("no fishplate beside this program: only the other ways are measured");
    }
    let (flow, latency) = loads(args, &about, program.as_deref())?;
    let kafka = real(args, &about, program.as_deref())?;
    let metadata = metadata(args, &about, program.as_deref())?;
    let rest = at_rest(args, &about, program.as_deref())?;
    let results = Results { about, flow, latency, kafka, metadata, rest };
    let table = table::markdown(&results);
    let stem = args.out.join(format!("{}", results.about.at));
    fs::write(stem.with_extension("json"), serde_json::to_string_pretty(&results)?)?;
    fs::write(stem.with_extension("md"), &table)?;
    println!("{table}");
    eprintln!("All rounds: {}.json", stem.display());
    Ok(())
}

impl About {
    fn new(args: &Args) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            quick: args.quick,
            client: args.client.clone(),
            rounds: args.rounds.unwrap_or(if args.quick { 2 } else { 5 }),
            seconds: args.seconds.unwrap_or(if args.quick { 0.5 } else { 1.5 }),
            processor: model.map_or("", |(_, model)| model).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: kernel.trim().to_owned(),
        }
    }

    fn course<'a>(&'a self, clusters: &'a Clusters, fishplate: Option<&'a Fishplate>) -> Course<'a> {
        let software = self.client.split_once('/').unwrap_or((&self.client, ""));
        Course {
            direct: clusters.direct().to_vec(),
            copied: clusters.copied().to_vec(),
            watched: clusters.watched(),
            fishplate,
            rounds: self.rounds,
            seconds: self.seconds,
            software,
        }
    }
}

fn program(args: &Args) -> Result<Option<PathBuf>> {
    if let Some(program) = &args.fishplate {
        return Ok(Some(fs::canonicalize(program).with_context(|| program.display().to_string())?));
    }
    let beside = std::env::current_exe()?.with_file_name("fishplate");
    Ok(Some(beside).filter(|beside| beside.exists()))
}

/// A Fishplate before these clusters, on which all but the topics of this pattern live on `a`. One that does not start is
/// told of and left out.
fn fishplate(
    args: &Args,
    program: Option<&Path>,
    bootstraps: &[String],
    topics_of_b: &str,
) -> Result<Option<(Setup, Fishplate)>> {
    let Some(program) = program else { return Ok(None) };
    let setup = Setup::write(program, &args.out, bootstraps, topics_of_b)?;
    match setup.start() {
        Ok((fishplate, _)) => Ok(Some((setup, fishplate))),
        Err(error) => {
            eprintln!("fishplate is left out: {error:#}");
            Ok(None)
        }
    }
}

fn load(kind: Kind, records: usize, topics: &'static [&'static str], rate: Option<f64>) -> Load {
    let verb = if kind == Kind::Produce { "produce" } else { "fetch" };
    let size = if records >= 1024 { format!("{} MiB", records / 1024) } else { format!("{records} KiB") };
    let count = match topics {
        ONE => "1 topic",
        HUNDRED => "100 topics",
        _ => "10 topics",
    };
    let name = format!("{verb} {size}, {count}");
    let (connections, in_flight) = if kind == Kind::Produce { PRODUCERS } else { CONSUMERS };
    Load { name, kind, topics, records, connections, in_flight, rate }
}

/// Throughput first; the rates at which latency is measured follow from it.
fn loads(args: &Args, about: &About, program: Option<&Path>) -> Result<(Vec<Row>, Vec<Row>)> {
    let extra = ["a", "b"].map(|cluster| format!("extra-{cluster}-:{}:3", args.extra_topics));
    let clusters = Clusters::start([&["one-:1:8", "many-a-:50:3", &extra[0]], &["many-b-:50:3", &extra[1]]])?;
    let running = fishplate(args, program, clusters.direct(), "*-b-*")?;
    let course = about.course(&clusters, running.as_ref().map(|(_, fishplate)| fishplate));
    let (sizes, counts): (&[usize], &[_]) =
        if args.quick { (&[16, 256], &[HUNDRED]) } else { (&[16, 256, 1024], &[ONE, HUNDRED]) };
    let mut all = Vec::new();
    for kind in [Kind::Produce, Kind::Fetch] {
        for records in sizes {
            all.extend(counts.iter().map(|topics| load(kind, *records, topics, None)));
        }
    }
    all.retain(|load| args.wants(load));
    let flow = course.run(all, &WAYS);
    let fifth = |row: &Row| -> Option<Load> {
        let rate = (row.requests(Way::Copy).median()? * FIFTH).round();
        Some(load(row.load.kind, row.load.records, row.load.topics, Some(rate)))
    };
    let mut timed: Vec<Load> = flow.iter().filter(|row| row.load.topics == HUNDRED).filter_map(fifth).collect();
    timed.extend([Kind::Produce, Kind::Fetch].map(|kind| load(kind, 16, HUNDRED, Some(1000.0))));
    timed.retain(|load| args.wants(load));
    let latency = course.run(timed, &WAYS);
    Ok((flow, latency))
}

/// One real broker in the place of cluster `a`.
fn real(args: &Args, about: &About, program: Option<&Path>) -> Result<Vec<Row>> {
    let loads = [(Kind::Produce, WRITTEN), (Kind::Fetch, READ)];
    let loads = loads.into_iter().flat_map(|(kind, topics)| [16, 256].map(|records| load(kind, records, topics, None)));
    let loads: Vec<_> = loads.filter(|load| args.wants(load)).collect();
    if loads.is_empty() {
        return Ok(Vec::new());
    }
    let kafka = match (&args.kafka, kafka::jars()) {
        (Some(address), _) => Kafka::there(address),
        (None, Some(jars)) if !args.quick => Kafka::start(&jars, &args.out)?,
        _ => return Ok(Vec::new()),
    };
    kafka.create(&WRITTEN.concat(), &["retention.bytes=67108864"])?;
    // Its records are older than any broker keeps them.
    kafka.create(&READ.concat(), &["retention.ms=-1"])?;
    let clusters = Clusters::start([&["other-:1:1"], &["other-:1:1"]])?;
    let bootstraps = [kafka.direct.clone(), clusters.direct().last().cloned().unwrap_or_default()];
    let running = fishplate(args, program, &bootstraps, "other-*")?;
    let mut course = about.course(&clusters, running.as_ref().map(|(_, fishplate)| fishplate));
    course.direct = vec![kafka.direct.clone()];
    course.copied = kafka.copied.clone().into_iter().collect();
    course.watched = kafka.watched();
    // Something to read, and a broker that has compiled its hot code.
    let warm = std::iter::once(load(Kind::Produce, 16, READ, None)).chain(loads.clone());
    Course { rounds: 1, ..course.clone() }.run(warm.collect(), &[Way::Direct]);
    Ok(course.run(loads, &WAYS))
}

/// Metadata of a thousand topics with one to ten partitions each.
fn metadata(args: &Args, about: &About, program: Option<&Path>) -> Result<Vec<Row>> {
    if args.only.as_ref().is_some_and(|only| !"Metadata".contains(only.as_str())) {
        return Ok(Vec::new());
    }
    let clusters = Clusters::start([&["meta-:1000:1-10"], &["other-:1:1"]])?;
    let running = fishplate(args, program, clusters.direct(), "other-*")?;
    let course = about.course(&clusters, running.as_ref().map(|(_, fishplate)| fishplate));
    let ask = |(kind, name): (Kind, &str)| Load {
        name: name.to_owned(),
        kind,
        topics: THOUSAND,
        records: 0,
        connections: 1,
        in_flight: 1,
        rate: None,
    };
    let loads =
        [(Kind::Metadata, "Metadata of all of 1,000 topics"), (Kind::Named, "Metadata of 1,000 topics by name")];
    // The other cluster has none of the topics, and the copier in one way leads to both.
    Ok(course.run(loads.map(ask).into(), &WAYS))
}

fn at_rest(args: &Args, about: &About, program: Option<&Path>) -> Result<BTreeMap<Way, Rest>> {
    if args.only.is_some() {
        return Ok(BTreeMap::new());
    }
    let clusters = Clusters::start([&["one-:1:8"], &["other-:1:1"]])?;
    let running = fishplate(args, program, clusters.direct(), "other-*")?;
    let times = if about.quick { 3 } else { 10 };
    let mut rest = rest::starts(running.as_ref().map(|(setup, _)| setup), times)?;
    std::thread::sleep(Duration::from_millis(500));
    let course = about.course(&clusters, running.as_ref().map(|(_, fishplate)| fishplate));
    let pids = [(Way::Copy, Some(clusters.copy())), (Way::Fishplate, course.fishplate.map(Fishplate::pid))];
    for (way, pid) in pids {
        let Some(pid) = pid else { continue };
        let entry = rest.entry(way).or_default();
        if let Err(error) = rest::idle(&course, way, pid, IDLE, entry) {
            entry.failures.push(format!("{error:#}"));
        }
    }
    Ok(rest)
}
