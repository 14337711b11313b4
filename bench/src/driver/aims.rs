//! What is asked of Fishplate in both views, and what came out. Of several rows the worst one counts.

use std::fmt::Write;

use crate::codec::Codec;
use crate::load::{Kind, Latency};

use super::Results;
use super::encrypted::Sides;
use super::measure::Row;
use super::policy;
use super::rest::Rest;
use super::scaling;
use super::stage::Way;
use super::stats::{Rounds, ratio};

/// The size that the aims for processor time and throughput are stated for, in records of 1 KiB.
pub(super) const STATED: usize = 256;

struct Aim {
    name: &'static str,
    aim: f64,
    /// Whether it is a ceiling; a floor otherwise.
    at_most: bool,
    measured: Option<f64>,
}

/// A table of all aims that were measured.
pub(super) fn markdown(results: &Results) -> String {
    let mut text = "\n**Aims** (the worst row counts)\n\n| | aim | measured | |\n|---|---|---|---|\n".to_owned();
    for Aim { name, aim, at_most, measured } in all(results) {
        let Some(measured) = measured else { continue };
        let sign = if at_most { "≤" } else { "≥" };
        let met = if at_most { measured <= aim } else { measured >= aim };
        let verdict = if met { "met" } else { "**missed**" };
        let _ = writeln!(text, "| {name} | {sign} {aim} | {measured:.2} | {verdict} |");
    }
    text
}

fn all(results: &Results) -> Vec<Aim> {
    let Results { flow, latency, metadata, rest, connections, .. } = results;
    let stated = || flow.iter().filter(|row| row.load.records == STATED);
    let cpu = |way| move |row: &Row| against_copy(row, way, Row::cpu_per_gigabyte, ratio);
    let throughput = |way| move |row: &Row| against_copy(row, way, Row::flow, ratio);
    let added = |way, quantile: fn(&Latency) -> f64| {
        move |row: &Row| against_copy(row, way, |row, way| row.latency(way, quantile), |one, other| one - other)
    };
    let fishplate = |value: fn(&Rest) -> Option<f64>| rest.get(&Way::Fishplate).and_then(value);
    let reference = |row: &Row| row.cpu_per_gigabyte(Way::Copy).median();
    let crowded = |way, enough| {
        // Some fewer where a process may not have more descriptors; the table says how many.
        let crowds = connections.iter().filter(|crowd| crowd.connections >= enough);
        crowds.filter_map(|crowd| Some(crowd.ways.get(&way)?.busy)).reduce(f64::max)
    };
    // With a session the copy's load names hardly any partition: in `single` nobody has one, and the loads differ.
    let (same, other) = (|row: &&Row| !has_session(row), |row: &&Row| has_session(row));
    let lz4 = || {
        let rows = results.policy.rows.iter();
        rows.filter(|row| row.load.events.as_ref().is_some_and(|events| events.codec == Codec::Lz4))
    };
    let passed = |row: &Row| {
        let all = policy::LIMITED.map(|way| row.millions_of_a_core(way).median());
        all.into_iter().flatten().reduce(f64::min)
    };
    let many = || scaling::most_topics(results);
    let ceiling = |name, aim, measured| Aim { name, aim, at_most: true, measured };
    let floor = |name, aim, measured| Aim { name, aim, at_most: false, measured };
    let (brokers, single) = (Way::Fishplate, Way::Single);
    let tls = |sides| results.encrypted.against_copy(sides, brokers);
    vec![
        ceiling("the copy itself at 256 KiB, CPU-s/GB, or it is no reference", 0.35, most(stated(), reference)),
        ceiling("CPU at 256 KiB ÷ copy, `brokers`", 1.15, most(stated(), cpu(brokers))),
        ceiling("CPU at 256 KiB ÷ copy, `single`", 1.5, most(stated().filter(same), cpu(single))),
        ceiling("the same of a Fetch, where the copy's has a session", 1.5, most(stated().filter(other), cpu(single))),
        ceiling("CPU with 10,000 topics ÷ copy, `brokers`", 1.15, most(many(), cpu(brokers))),
        ceiling("CPU with 10,000 topics ÷ copy, `single`", 1.5, most(many().filter(same), cpu(single))),
        ceiling("the same of a Fetch, where the copy's has a session", 1.5, most(many().filter(other), cpu(single))),
        floor("throughput at 256 KiB ÷ copy, `brokers`", 0.9, least(stated(), throughput(brokers))),
        floor("throughput at 256 KiB ÷ copy, `single`", 0.9, least(stated(), throughput(single))),
        floor("throughput at any size ÷ copy, `brokers`", 0.9, least(flow.iter(), throughput(brokers))),
        ceiling("added p50 over copy, us, `brokers`", 30.0, most(latency.iter(), added(brokers, |took| took.p50))),
        ceiling("added p50 over copy, us, `single`", 30.0, most(latency.iter(), added(single, |took| took.p50))),
        ceiling("added p99 over copy, us, `brokers`", 300.0, most(latency.iter(), added(brokers, |took| took.p99))),
        ceiling("added p99 over copy, us, `single`", 300.0, most(latency.iter(), added(single, |took| took.p99))),
        ceiling(
            "CPU-ms of a Metadata answer of 1,000 topics",
            0.3,
            most(metadata.iter(), |row| row.cpu_per_request(brokers).median()),
        ),
        ceiling("MiB with 10,000 busy connections, `brokers`", 250.0, crowded(brokers, 9_500)),
        ceiling(
            "MiB with 10,000 busy connections, `single` (or 6,600: it takes more descriptors)",
            250.0,
            crowded(single, 6_500),
        ),
        floor("million lz4 records/s that one core passes with a limit", 1.0, least(lz4(), |row| passed(row))),
        ceiling("CPU with a million tokens ÷ a thousand", 1.2, results.policy.slowdown().and_then(|all| all.median())),
        ceiling("MiB more with a million tokens", 200.0, results.policy.grown()),
        ceiling("ms of a scrape of 50,000 groups at partitions, at rest", 100.0, results.lag.rest.ms.median()),
        ceiling("the same while producers write", 100.0, results.lag.loaded.ms.median()),
        ceiling("MiB with them and scrapes, at most", 200.0, results.lag.memory.as_ref().map(|memory| memory.most)),
        ceiling("p99 of a Produce with scrapes ÷ without", 1.1, results.lag.slowdown().and_then(|all| all.median())),
        ceiling("CPU ÷ copy, TLS to clients, `brokers`", 1.15, tls(Sides::Clients)),
        ceiling("CPU ÷ copy, TLS on both sides, `brokers`", 1.15, tls(Sides::Both)),
        ceiling(
            "KiB per idle connection with TLS",
            48.0,
            results.encrypted.rest.get(&brokers).and_then(|rest| rest.open),
        ),
        ceiling("KiB per idle connection", 16.0, fishplate(|rest| rest.open)),
        ceiling("RSS at start, MiB", 12.0, fishplate(|rest| rest.start.median())),
        ceiling("ready, ms", 20.0, fishplate(|rest| rest.ready.median())),
    ]
}

/// Whether the load has a fetch session where it can.
fn has_session(row: &Row) -> bool {
    row.load.kind == Kind::Fetch && !row.load.no_session
}

/// The median over rounds of what a pair of rounds gives, this way's first.
fn against_copy(row: &Row, way: Way, value: impl Fn(&Row, Way) -> Rounds, pair: fn(f64, f64) -> f64) -> Option<f64> {
    value(row, way).with(&value(row, Way::Copy), pair).median()
}

fn most<'r>(rows: impl Iterator<Item = &'r Row>, value: impl Fn(&Row) -> Option<f64>) -> Option<f64> {
    rows.filter_map(value).filter(|value| value.is_finite()).reduce(f64::max)
}

fn least<'r>(rows: impl Iterator<Item = &'r Row>, value: impl Fn(&Row) -> Option<f64>) -> Option<f64> {
    rows.filter_map(value).filter(|value| value.is_finite()).reduce(f64::min)
}
