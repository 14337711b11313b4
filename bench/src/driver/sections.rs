//! The sections that ask for throughput, latency, answers and rest: which clusters, topics and loads each has.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use crate::load::Kind;

use super::kafka::{self, Kafka};
use super::measure::{Course, Load, Row};
use super::rest::{self, Rest};
use super::stage::{Clusters, Way};
use super::{
    Bench, CONSUMERS, CONTESTANTS, IDLE, PRODUCERS, Results, Section, WAYS, crowd, encrypted, lag, policy, scaling,
};

/// Where `scripts/bench` has Shotover built.
pub(super) const SHOTOVER: &str = "bench/shotover/target/release/fishplate-bench-shotover";
const ONE: &[&str] = &["one-:1"];
pub(super) const HUNDRED: &[&str] = &["many-a-:50", "many-b-:50"];
/// A hundred topics of the one cluster that all contestants can be put before.
const SOLO: &[&str] = &["solo-:100"];
const WRITTEN: &[&str] = &["written-:10:2"];
const READ: &[&str] = &["read-:10:2"];
/// The part of what goes through the copier at most at which latency is measured.
const FIFTH: f64 = 0.2;

impl Bench<'_> {
    /// Measures what is wanted.
    pub(super) fn measure(&self, results: &mut Results) -> Result<()> {
        if self.has(Section::Flow) || self.has(Section::Latency) {
            (results.flow, results.latency) = self.loads()?;
        }
        if self.has(Section::Kafka) {
            results.kafka = self.real()?;
        }
        if self.has(Section::Metadata) {
            results.metadata = self.metadata()?;
        }
        if self.has(Section::Rest) {
            results.rest = self.at_rest()?;
        }
        if self.has(Section::Field) {
            results.field = self.field()?;
        }
        if self.has(Section::Topics) {
            results.topics = scaling::topics(self)?;
        }
        if self.has(Section::Partitions) {
            results.partitions = scaling::partitions(self)?;
        }
        if self.has(Section::Policy) {
            results.policy = policy::all(self)?;
        }
        if self.has(Section::Encrypted) {
            results.encrypted = encrypted::all(self)?;
        }
        if self.has(Section::Lag) {
            results.lag = lag::all(self)?;
        }
        if self.has(Section::Connections) {
            results.connections = crowd::all(self)?;
        }
        Ok(())
    }

    /// Throughput first; the rates at which latency is measured follow from it.
    fn loads(&self) -> Result<(Vec<Row>, Vec<Row>)> {
        let extra = ["a", "b"].map(|cluster| format!("extra-{cluster}-:{}:3", self.args.extra_topics));
        let clusters = Clusters::start([&["one-:1:8", "many-a-:50:3", &extra[0]], &["many-b-:50:3", &extra[1]]])?;
        let proxies = self.programs.start(&WAYS, clusters.direct(), "*-b-*")?;
        let course = Course { rounds: self.about.rounds, ..self.course(&clusters, &proxies) };
        let (sizes, counts): (&[usize], &[_]) =
            if self.about.quick { (&[16, 256], &[HUNDRED]) } else { (&[16, 256, 1024], &[ONE, HUNDRED]) };
        let mut all = Vec::new();
        for kind in [Kind::Produce, Kind::Fetch] {
            for records in sizes {
                all.extend(counts.iter().map(|topics| load(kind, *records, topics, None)));
            }
        }
        // As librdkafka sends: one partition's batch in each request, however many there are.
        all.push(lone(load(Kind::Produce, 256, HUNDRED, None)));
        // And as it reads: who is shown `single` knows no fetch sessions.
        let read = load(Kind::Fetch, 256, HUNDRED, None);
        all.push(Load { name: format!("{}{}", read.name, scaling::NO_SESSION), no_session: true, ..read });
        all.retain(|load| self.wants(load));
        let whole = self.has(Section::Flow);
        let flow = if whole {
            course.run(all, &WAYS)
        } else {
            // For the rates alone.
            all.retain(|load| load.count == 100);
            Course { rounds: 1, ..course.clone() }.run(all, &[Way::Copy])
        };
        let latency = if self.has(Section::Latency) { self.latency(&course, &flow) } else { Vec::new() };
        Ok((if whole { flow } else { Vec::new() }, latency))
    }

    fn latency(&self, course: &Course<'_>, flow: &[Row]) -> Vec<Row> {
        let fifth = |row: &Row| -> Option<Load> {
            let rate = (row.requests(Way::Copy).median()? * FIFTH).round();
            Some(load(row.load.kind, row.load.records, HUNDRED, Some(rate)))
        };
        let hundred =
            flow.iter().filter(|row| row.load.count == 100 && row.load.batches.is_none() && !row.load.no_session);
        let mut timed: Vec<Load> = hundred.filter_map(fifth).collect();
        timed.extend([Kind::Produce, Kind::Fetch].map(|kind| load(kind, 16, HUNDRED, Some(1000.0))));
        timed.retain(|load| self.wants(load));
        course.run(timed, &WAYS)
    }

    /// One real broker in the place of cluster `a`.
    fn real(&self) -> Result<Vec<Row>> {
        let loads = [(Kind::Produce, WRITTEN), (Kind::Fetch, READ)];
        let loads =
            loads.into_iter().flat_map(|(kind, topics)| [16, 256].map(|records| load(kind, records, topics, None)));
        let loads: Vec<_> = loads.filter(|load| self.wants(load)).collect();
        if loads.is_empty() {
            return Ok(Vec::new());
        }
        let kafka = match (&self.args.kafka, kafka::jars()) {
            (Some(address), _) => Kafka::there(address),
            (None, Some(jars)) if !self.about.quick => Kafka::start(&jars, &self.args.out)?,
            _ => return Ok(Vec::new()),
        };
        kafka.create(&WRITTEN.concat(), &["retention.bytes=67108864"])?;
        // Its records are older than any broker keeps them.
        kafka.create(&READ.concat(), &["retention.ms=-1"])?;
        let clusters = Clusters::start([&["other-:1:1"], &["other-:1:1"]])?;
        let bootstraps = [kafka.direct.clone(), clusters.direct().last().cloned().unwrap_or_default()];
        let proxies = self.programs.start(&WAYS, &bootstraps, "other-*")?;
        let mut course = self.course(&clusters, &proxies);
        course.direct = vec![kafka.direct.clone()];
        course.copied = kafka.copied.clone().into_iter().collect();
        course.watched = kafka.watched();
        // Something to read, and a broker that has compiled its hot code.
        let warm = std::iter::once(load(Kind::Produce, 16, READ, None)).chain(loads.clone());
        Course { rounds: 1, ..course.clone() }.run(warm.collect(), &[Way::Direct]);
        Ok(course.run(loads, &WAYS))
    }

    /// Metadata of a thousand topics with one to ten partitions each.
    fn metadata(&self) -> Result<Vec<Row>> {
        let clusters = Clusters::start([&["meta-:1000:1-10"], &["other-:1:1"]])?;
        // The other cluster has none of the topics, and the copier in one way leads to both.
        let proxies = self.programs.start(&CONTESTANTS, clusters.direct(), "other-*")?;
        let loads =
            [(Kind::Metadata, "Metadata of all of 1,000 topics"), (Kind::Named, "Metadata of 1,000 topics by name")];
        let ask = |(kind, name): (Kind, &str)| Load {
            name: name.to_owned(),
            connections: 1,
            in_flight: 1,
            ..load(kind, 0, &["meta-:1000"], None)
        };
        let loads = loads.map(ask).into_iter().filter(|load| self.wants(load)).collect();
        Ok(self.course(&clusters, &proxies).run(loads, &CONTESTANTS))
    }

    /// All contestants with the loads that the figures of others were measured with.
    fn field(&self) -> Result<Vec<Row>> {
        let clusters = Clusters::start([&["solo-:100:3"], &["other-:1:1"]])?;
        let proxies = self.programs.start(&CONTESTANTS, clusters.direct(), "other-*")?;
        let mut loads = Vec::new();
        for records in [16, 256] {
            loads.extend([Kind::Produce, Kind::Fetch].map(|kind| load(kind, records, SOLO, None)));
        }
        loads.push(load(Kind::Produce, 10, SOLO, Some(1000.0)));
        loads.retain(|load| self.wants(load));
        Ok(self.course(&clusters, &proxies).run(loads, &CONTESTANTS))
    }

    fn at_rest(&self) -> Result<BTreeMap<Way, Rest>> {
        let clusters = Clusters::start([&["one-:1:8"], &["other-:1:1"]])?;
        // Those that run end here: one that does not choose its port itself could not be started beside itself.
        let setups = self.programs.start(&CONTESTANTS, clusters.direct(), "other-*")?.setups;
        let times = if self.about.quick { 2 } else { 6 };
        let mut rest = rest::starts(&setups, times)?;
        let proxies = self.programs.start(&CONTESTANTS, clusters.direct(), "other-*")?;
        std::thread::sleep(Duration::from_millis(500));
        let course = self.course(&clusters, &proxies);
        let running = proxies.running.iter().map(|(way, proxy)| (*way, proxy.pid()));
        for (way, pid) in std::iter::once((Way::Copy, clusters.copy())).chain(running) {
            let entry = rest.entry(way).or_default();
            if let Err(error) = rest::idle(&course, way, pid, IDLE, "one-:1", entry) {
                entry.failures.push(format!("{}: {error:#}", way.name()));
            }
        }
        Ok(rest)
    }
}

/// A load in the shape that clients give it.
pub(super) fn load(kind: Kind, records: usize, topics: &[&str], rate: Option<f64>) -> Load {
    let verb = if kind == Kind::Produce { "produce" } else { "fetch" };
    let size = if records >= 1024 { format!("{} MiB", records / 1024) } else { format!("{records} KiB") };
    let count = match topics {
        ONE => 1,
        HUNDRED | SOLO => 100,
        _ => 10,
    };
    let (connections, in_flight) = if kind == Kind::Produce { PRODUCERS } else { CONSUMERS };
    Load {
        name: format!("{verb} {size}, {count} topic{}", if count == 1 { "" } else { "s" }),
        kind,
        topics: topics.iter().map(|topics| (*topics).to_owned()).collect(),
        count,
        batches: None,
        no_session: false,
        events: None,
        records,
        connections,
        in_flight,
        rate,
    }
}

/// The same with one partition in each request.
pub(super) fn lone(load: Load) -> Load {
    Load { name: format!("{}, one batch", load.name), batches: Some(1), ..load }
}
