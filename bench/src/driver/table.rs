//! Results as Markdown, ready for the README.

use std::fmt::Write;

use super::aims;
use super::measure::Row;
use super::rest::Rest;
use super::stage::Way;
use super::stats::{Rounds, ratio};
use super::{CONSUMERS, IDLE, PRODUCERS, Results, WAYS};

/// Above this share of the machine, what other programs did makes the figures worthless.
const QUIET: f64 = 0.05;

/// The whole report.
pub(super) fn markdown(results: &Results) -> String {
    let parts = [
        about(results),
        flow("two synthetic clusters", &results.flow),
        flow("one real Kafka broker", &results.kafka),
        latency(&results.latency),
        metadata(&results.metadata),
        rest(results),
        aims::markdown(results),
        failures(results),
    ];
    parts.concat()
}

fn about(results: &Results) -> String {
    let about = &results.about;
    let (others, stolen) = disturbance(results);
    let mut text = format!(
        "Measured on {} cores of {} (Linux {}), everything on the same machine over loopback, plain text: two synthetic \
         clusters of two nodes each, load as `{}`. Medians of {} rounds of {} s, ± half the range; ways in turn within \
         each round. \"copy\" is a tokio proxy that copies bytes through buffers of 256 KiB and looks at none. Other \
         programs used {:.1} % of the machine, the hypervisor kept {:.1} %.\n",
        about.cores,
        about.processor,
        about.kernel,
        about.client,
        about.rounds,
        about.seconds,
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

fn flow(against: &str, rows: &[Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n**As much as goes, {against}**: records of 1 KiB; producers have {} connections with {} requests in flight on \
         each, consumers {} with {} and a fetch session\n\n\
         | | direct GB/s | copy GB/s | Fishplate GB/s | ÷ copy | copy CPU-s/GB | Fishplate CPU-s/GB | ÷ copy | Fishplate CPU-s per million records |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        PRODUCERS.0, PRODUCERS.1, CONSUMERS.0, CONSUMERS.1,
    );
    for row in rows {
        let flow = |way| row.flow(way);
        let cpu = |way| row.cpu_per_gigabyte(way);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.load.name,
            flow(Way::Direct).show(2),
            flow(Way::Copy).show(2),
            flow(Way::Fishplate).show(2),
            flow(Way::Fishplate).with(&flow(Way::Copy), ratio).show(2),
            cpu(Way::Copy).show(3),
            cpu(Way::Fishplate).show(3),
            cpu(Way::Fishplate).with(&cpu(Way::Copy), ratio).show(2),
            row.cpu_per_million(Way::Fishplate).brief(3),
        );
    }
    text
}

fn latency(rows: &[Row]) -> String {
    let mut text =
        "\n**Latency at a fixed rate**, microseconds from when a request was due (open loop): p50 / p99 / p99.9. \
         The rate is a fifth of what goes through the copier, and once 1,000 a second\n\n\
         | | direct | copy | Fishplate | added p50 over copy | added p99 over copy | Fishplate CPU-s/GB ÷ copy |\n\
         |---|---|---|---|---|---|---|\n"
            .to_owned();
    for row in rows {
        let p50 = |way| row.latency(way, |latency| latency.p50);
        let p99 = |way| row.latency(way, |latency| latency.p99);
        let p999 = |way| row.latency(way, |latency| latency.p999);
        let all = |way| format!("{} / {} / {}", p50(way).brief(0), p99(way).brief(0), p999(way).brief(0));
        let added = |of: &dyn Fn(Way) -> Rounds| of(Way::Fishplate).with(&of(Way::Copy), |one, other| one - other);
        let cpu = row.cpu_per_gigabyte(Way::Fishplate).with(&row.cpu_per_gigabyte(Way::Copy), ratio);
        let _ = writeln!(
            text,
            "| {}, {:.0}/s | {} | {} | {} | {} | {} | {} |",
            row.load.name,
            row.load.rate.unwrap_or_default(),
            all(Way::Direct),
            all(Way::Copy),
            all(Way::Fishplate),
            added(&p50).show(0),
            added(&p99).show(0),
            cpu.show(2),
        );
    }
    text
}

fn metadata(rows: &[Row]) -> String {
    let mut text = "\n**Metadata**, topics of one to ten partitions, one request at a time\n\n\
         | | copy CPU-ms an answer | Fishplate CPU-ms an answer | direct answers/s | copy answers/s | Fishplate answers/s |\n\
         |---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            row.load.name,
            row.cpu_per_request(Way::Copy).show(3),
            row.cpu_per_request(Way::Fishplate).show(3),
            row.requests(Way::Direct).brief(0),
            row.requests(Way::Copy).brief(0),
            row.requests(Way::Fishplate).brief(0),
        );
    }
    text
}

fn rest(results: &Results) -> String {
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

fn failures(results: &Results) -> String {
    let rows = results.rows();
    let of_rows = rows.flat_map(|row| row.failures.iter().map(|failure| format!("- {}: {failure}\n", row.load.name)));
    let of_rest = results.rest.values().flat_map(|rest| rest.failures.iter().map(|failure| format!("- {failure}\n")));
    let all: String = of_rows.chain(of_rest).collect();
    let lacking = WAYS.iter().filter(|way| results.flow.iter().all(|row| row.ways.get(way).is_none_or(Vec::is_empty)));
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
            topics: &[],
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
        let text = flow("nobody", &[row]);
        let line = text.lines().last().unwrap();
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        assert_eq!(cells[1..6], ["produce", "-", "3.00 ±1.00", "1.50 ±0.50", "0.50 ±0.00"]);
        assert_eq!(cells[8], "2.00 ±0.00");
    }
}
