//! Results as Markdown, ready for the README.

use std::fmt::Write;

use super::measure::Row;
use super::rest::Rest;
use super::stage::Way;
use super::stats::{Rounds, ratio};
use super::{CONSUMERS, IDLE, PRODUCERS, Results, WAYS, aims, performance};

/// Above this share of the machine, what other programs did makes the figures worthless.
const QUIET: f64 = 0.05;

/// README's part.
pub(super) fn markdown(results: &Results) -> String {
    let stated = |row: &&Row| row.load.records == aims::STATED;
    let brief: Vec<&Row> = results.flow.iter().filter(stated).collect();
    let parts = [
        about(results),
        flow("two synthetic clusters", &brief),
        performance::contestants(results),
        performance::connections(&results.connections),
        aims::markdown(results),
        failures(results),
    ];
    parts.concat()
}

pub(super) fn about(results: &Results) -> String {
    let about = &results.about;
    let (others, stolen) = disturbance(results);
    let mut text = format!(
        "Measured on {} cores of {} (Linux {}), everything on the same machine over loopback, plain text: two synthetic \
         clusters of two nodes each, load as `{}`. Medians of {} rounds of {} s (throughput and latency; {} elsewhere), ± \
         half the range; ways in turn within each round. \"copy\" is a tokio proxy that copies bytes through buffers of 256 KiB and looks at none. Other \
         programs used {:.1} % of the machine, the hypervisor kept {:.1} %.\n",
        about.cores,
        about.processor,
        about.kernel,
        about.client,
        about.rounds,
        about.seconds,
        about.other_rounds,
        others * 100.0,
        stolen * 100.0,
    );
    if others > QUIET {
        text.push_str("\n**The machine was not quiet: shapes only, no figure here is worth keeping.**\n");
    }
    if about.quick {
        text.push_str("\n**A quick run: shapes only.**\n");
    }
    text
}

/// Shares of the machine that other programs and the hypervisor took while loads ran.
fn disturbance(results: &Results) -> (f64, f64) {
    let rows = results.rows();
    let reports: Vec<_> = rows.flat_map(|row| row.ways.values().flatten()).collect();
    let room = reports.iter().map(|report| report.seconds).sum::<f64>() * results.about.cores as f64;
    let share = |name: &str| {
        let used: f64 = reports.iter().filter_map(|report| report.cpu.get(name)).sum();
        if room > 0.0 { used / room } else { 0.0 }
    };
    (share("others"), share("stolen"))
}

pub(super) fn flow(against: &str, rows: &[&Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n**As much as goes, {against}**: records of 1 KiB; producers have {} connections with {} requests in flight on \
         each, consumers {} with {} and a fetch session\n\n\
         | | direct GB/s | copy GB/s | Fishplate GB/s | ÷ copy | single GB/s | ÷ copy | copy CPU-s/GB | Fishplate CPU-s/GB | ÷ copy | single CPU-s/GB | ÷ copy |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
        PRODUCERS.0, PRODUCERS.1, CONSUMERS.0, CONSUMERS.1,
    );
    for row in rows {
        let (flow, cpu) = (|way| row.flow(way), |way| row.cpu_per_gigabyte(way));
        let against = |of: &dyn Fn(Way) -> Rounds, way| of(way).with(&of(Way::Copy), ratio).show(2);
        let cells = [
            row.load.name.clone(),
            flow(Way::Direct).show(2),
            flow(Way::Copy).show(2),
            flow(Way::Fishplate).show(2),
            against(&flow, Way::Fishplate),
            flow(Way::Single).show(2),
            against(&flow, Way::Single),
            cpu(Way::Copy).show(3),
            cpu(Way::Fishplate).show(3),
            against(&cpu, Way::Fishplate),
            cpu(Way::Single).show(3),
            against(&cpu, Way::Single),
        ];
        line(&mut text, &cells);
    }
    text
}

/// A line of a table.
pub(super) fn line(text: &mut String, cells: &[String]) {
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

pub(super) fn latency(rows: &[Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text =
        "\n**Latency at a fixed rate**, microseconds from when a request was due (open loop): p50 / p99 / p99.9. \
         The rate is a fifth of what goes through the copier, and once 1,000 a second\n\n\
         | | direct | copy | Fishplate | single | added p50 over copy | single | added p99 over copy | single | Fishplate CPU-s/GB ÷ copy | single |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for row in rows {
        let p50 = |way| row.latency(way, |latency| latency.p50);
        let p99 = |way| row.latency(way, |latency| latency.p99);
        let p999 = |way| row.latency(way, |latency| latency.p999);
        let all = |way| format!("{} / {} / {}", p50(way).brief(0), p99(way).brief(0), p999(way).brief(0));
        let added = |of: &dyn Fn(Way) -> Rounds, way| of(way).with(&of(Way::Copy), |one, other| one - other).show(0);
        let cpu = |way| row.cpu_per_gigabyte(way).with(&row.cpu_per_gigabyte(Way::Copy), ratio).show(2);
        let cells = [
            format!("{}, {:.0}/s", row.load.name, row.load.rate.unwrap_or_default()),
            all(Way::Direct),
            all(Way::Copy),
            all(Way::Fishplate),
            all(Way::Single),
            added(&p50, Way::Fishplate),
            added(&p50, Way::Single),
            added(&p99, Way::Fishplate),
            added(&p99, Way::Single),
            cpu(Way::Fishplate),
            cpu(Way::Single),
        ];
        line(&mut text, &cells);
    }
    text
}

pub(super) fn metadata(rows: &[Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = "\n**Metadata**, topics of one to ten partitions, one request at a time: CPU-ms an answer, answers a second\n\n\
         | | copy | Fishplate | single | Shotover | direct/s | copy/s | Fishplate/s | single/s | Shotover/s |\n\
         |---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        let mut cells = vec![row.load.name.clone()];
        let all = [Way::Copy, Way::Fishplate, Way::Single, Way::Shotover];
        cells.extend(all.map(|way| row.cpu_per_request(way).show(3)));
        cells.push(row.requests(Way::Direct).brief(0));
        cells.extend(all.map(|way| row.requests(way).brief(0)));
        line(&mut text, &cells);
    }
    text
}

pub(super) fn rest(results: &Results) -> String {
    if results.rest.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n**At rest**, {IDLE} idle connections\n\n\
         | | ready, ms | RSS at start, MiB | KiB per idle connection | KiB with its links open |\n|---|---|---|---|---|\n"
    );
    let kib = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
    for (way, rest) in &results.rest {
        let Rest { ready, start, open, linked, .. } = rest;
        let (name, open, linked) = (way.name(), kib(*open), kib(*linked));
        let _ = writeln!(text, "| {name} | {} | {} | {open} | {linked} |", ready.show(1), start.show(1));
    }
    text
}

pub(super) fn failures(results: &Results) -> String {
    let rows = results.rows();
    let of_rows = rows.flat_map(|row| row.failures.iter().map(|failure| format!("- {}: {failure}\n", row.load.name)));
    let of_rest = results.rest.values().flat_map(|rest| rest.failures.iter().map(|failure| format!("- {failure}\n")));
    let of_crowds = results.connections.iter().flat_map(|crowd| crowd.failures.iter().map(|why| format!("- {why}\n")));
    let all: String = of_rows.chain(of_rest).chain(of_crowds).collect();
    let lacks = |way: &&Way| results.flow.iter().all(|row| row.ways.get(way).is_none_or(Vec::is_empty));
    let lacking = WAYS.iter().filter(|_| !results.flow.is_empty()).filter(lacks);
    let lacking: String = lacking.map(|way| format!("- {}: not measured\n", way.name())).collect();
    if all.is_empty() && lacking.is_empty() { String::new() } else { format!("\n**Failed**\n\n{lacking}{all}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::measure::Load;
    use crate::load::{Kind, Report};
    use std::collections::BTreeMap;

    fn report(way: Way, bytes: u64, cpu: f64) -> Report {
        let cpu = [(way.name().to_owned(), cpu), ("others".to_owned(), 0.2)].into();
        Report { seconds: 1.0, requests: 10, bytes, records: bytes / 1000, cpu, ..Report::default() }
    }

    #[test]
    fn a_row_compares_within_its_rounds() {
        // Given a copier that slows down between the rounds, and a proxy that slows down with it
        let load = Load {
            name: "produce".into(),
            kind: Kind::Produce,
            topics: Vec::new(),
            count: 1,
            batches: None,
            no_session: false,
            events: None,
            records: 256,
            connections: 1,
            in_flight: 1,
            rate: None,
        };
        let rounds = |way, scale: u64| vec![report(way, 4 * scale, 1.0), report(way, 2 * scale, 1.0)];
        let billion = 1_000_000_000;
        let ways: BTreeMap<_, _> =
            [(Way::Copy, rounds(Way::Copy, billion)), (Way::Fishplate, rounds(Way::Fishplate, billion / 2))].into();
        let row = Row { load, ways, failures: Vec::new() };
        // Then the ratios are steady, and what was not measured is a dash
        let text = flow("nobody", &[&row]);
        let line = text.lines().last().unwrap();
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        assert_eq!(cells[1..6], ["produce", "-", "3.00 ±1.00", "1.50 ±0.50", "0.50 ±0.00"]);
        assert_eq!(cells[10..12], ["2.00 ±0.00", "-"]);
    }
}
