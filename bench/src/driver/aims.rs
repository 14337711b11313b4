//! What issue 3 asks of Fishplate, and what came out. Of several rows the worst one counts.

use std::fmt::Write;

use crate::load::Latency;

use super::Results;
use super::measure::Row;
use super::rest::Rest;
use super::stage::Way;
use super::stats::{Rounds, ratio};

/// The size that the aims for processor time and throughput are stated for, in records of 1 KiB.
const STATED: usize = 256;

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
    let Results { flow, latency, metadata, rest, .. } = results;
    let stated = || flow.iter().filter(|row| row.load.records == STATED);
    let cpu = |row: &Row| against_copy(row, Row::cpu_per_gigabyte, ratio);
    let throughput = |row: &Row| against_copy(row, Row::flow, ratio);
    let added = |quantile: fn(&Latency) -> f64| {
        move |row: &Row| against_copy(row, |row, way| row.latency(way, quantile), |one, other| one - other)
    };
    let fishplate = |value: fn(&Rest) -> Option<f64>| rest.get(&Way::Fishplate).and_then(value);
    let reference = |row: &Row| row.cpu_per_gigabyte(Way::Copy).median();
    let ceiling = |name, aim, measured| Aim { name, aim, at_most: true, measured };
    let floor = |name, aim, measured| Aim { name, aim, at_most: false, measured };
    vec![
        ceiling("the copy itself at 256 KiB, CPU-s/GB, or it is no reference", 0.35, most(stated(), reference)),
        ceiling("CPU at 256 KiB ÷ copy", 1.3, most(stated(), cpu)),
        floor("throughput at 256 KiB ÷ copy", 0.9, least(stated(), throughput)),
        floor("throughput at any size ÷ copy", 0.9, least(flow.iter(), throughput)),
        ceiling("added p50 over copy, us", 30.0, most(latency.iter(), added(|latency| latency.p50))),
        ceiling("added p99 over copy, us", 300.0, most(latency.iter(), added(|latency| latency.p99))),
        ceiling(
            "CPU-ms of a Metadata answer of 1,000 topics",
            0.3,
            most(metadata.iter(), |row| row.cpu_per_request(Way::Fishplate).median()),
        ),
        ceiling("KiB per idle connection", 16.0, fishplate(|rest| rest.open)),
        ceiling("RSS at start, MiB", 12.0, fishplate(|rest| rest.start.median())),
        ceiling("ready, ms", 20.0, fishplate(|rest| rest.ready.median())),
    ]
}

/// The median over rounds of what a pair of rounds gives, Fishplate's first.
fn against_copy(row: &Row, value: impl Fn(&Row, Way) -> Rounds, pair: fn(f64, f64) -> f64) -> Option<f64> {
    value(row, Way::Fishplate).with(&value(row, Way::Copy), pair).median()
}

fn most<'r>(rows: impl Iterator<Item = &'r Row>, value: impl Fn(&Row) -> Option<f64>) -> Option<f64> {
    rows.filter_map(value).filter(|value| value.is_finite()).reduce(f64::max)
}

fn least<'r>(rows: impl Iterator<Item = &'r Row>, value: impl Fn(&Row) -> Option<f64>) -> Option<f64> {
    rows.filter_map(value).filter(|value| value.is_finite()).reduce(f64::min)
}
