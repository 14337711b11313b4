//! docs/performance.md: everything that was measured, and the figures of others beside it.

use super::crowd::{Cost, Crowd};
use super::measure::Row;
use super::stage::Way;
use super::stats::ratio;
use super::table::{about, failures, flow, latency, line, metadata, rest};
use super::{Results, aims, encrypted, lag, policy, scaling};
use crate::load::Kind;

/// Others, as we measured them once, side by side with a copier on two shared cores (medians of 3 rounds, ±35 %): what it
/// is, the copier of that run, kafka-proxy 0.4.3, Kroxylicious 0.23. They are no part of this run, whose machine is another.
const OTHERS: [(&str, &str, &str, &str); 9] = [
    ("CPU-s per GB produced", "0.32", "2.71", "0.90"),
    ("CPU-s per GB consumed", "0.29", "2.18", "0.78"),
    ("CPU-s per GB produced, 10,000 topics", "0.43", "3.1", "1.03"),
    ("CPU-s per GB consumed, 10,000 topics", "0.38", "2.4", "1.18"),
    ("throughput ÷ direct, produce", "0.36", "0.09", "0.28"),
    ("throughput ÷ direct, consume", "0.28", "0.08", "0.21"),
    ("added p50, 1,000/s of 10 KiB over 100 topics, us", "54", "188", "132"),
    ("CPU-ms of a Metadata of 1,000 topics", "0.1", "6.7", "9.4"),
    ("RSS at start, MiB; KiB an idle connection; ready, ms", "3.4; 114; 3", "23; 31; 30", "167; 37; 3,500"),
];
const CONTESTANTS: [Way; 4] = [Way::Copy, Way::Fishplate, Way::Single, Way::Shotover];

/// The whole report.
pub(super) fn markdown(results: &Results) -> String {
    let all = |rows: &'_ [Row]| -> String { flow_of(rows) };
    let parts = [
        "# Performance\n\nMade by `scripts/bench`, which says at its end where its parts are; README has the short form.\n\n".to_owned(),
        about(results),
        aims::markdown(results),
        "\n## Throughput and processor time\n".to_owned(),
        flow("two synthetic clusters", &results.flow.iter().collect::<Vec<_>>()),
        all(&results.kafka),
        "\n## Latency, metadata, rest\n".to_owned(),
        latency(&results.latency),
        metadata(&results.metadata),
        rest(results),
        "\n## Beside others\n".to_owned(),
        contestants(results),
        "\n## Policy\n".to_owned(),
        policy::markdown(&results.policy),
        "\n## Lag\n".to_owned(),
        lag::markdown(&results.lag),
        "\n## TLS\n".to_owned(),
        encrypted::markdown(&results.encrypted),
        "\n## What grows\n".to_owned(),
        scale("topics of three partitions (one: of 256), 16 batches of 16 KiB in each request", &results.topics),
        scale("partitions of one topic, one batch of 256 KiB in each request", &results.partitions),
        connections(&results.connections),
        failures(results),
    ];
    parts.concat()
}

fn flow_of(kafka: &[Row]) -> String {
    flow("one real Kafka broker", &kafka.iter().collect::<Vec<_>>())
}

/// What this run measured of each contestant, and what we once measured of others.
pub(super) fn contestants(results: &Results) -> String {
    if results.field.is_empty() {
        return String::new();
    }
    let mut text = "\n**Contestants**, one cluster, 100 topics; the last three columns are **not of this run**: measured once, on two \
         other cores, beside the copier in their own column (records of another mix, ±35 %), for the ratio to that copier\n\n\
         | | copy | Fishplate | single | Shotover 0.7.4 | copy, then | kafka-proxy 0.4.3 | Kroxylicious 0.23 |\n\
         |---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for (at, (name, then, kafka_proxy, kroxylicious)) in OTHERS.iter().enumerate() {
        let mut cells = vec![(*name).to_owned()];
        cells.extend(CONTESTANTS.map(|way| measured(results, at, way)));
        cells.extend([then, kafka_proxy, kroxylicious].map(|cell| (*cell).to_owned()));
        line(&mut text, &cells);
    }
    text
}

/// What this run has for line `at` of [`OTHERS`].
fn measured(results: &Results, at: usize, way: Way) -> String {
    let kind = if at.is_multiple_of(2) { Kind::Produce } else { Kind::Fetch };
    let stated = |row: &&Row| row.load.records == aims::STATED && row.load.kind == kind;
    let field = || results.field.iter().find(stated);
    let none = || "-".to_owned();
    let cell = match at {
        0 | 1 => field().map(|row| row.cpu_per_gigabyte(way).show(2)),
        2 | 3 => scaling::most_topics(results).find(stated).map(|row| row.cpu_per_gigabyte(way).show(2)),
        4 | 5 => field().map(|row| row.flow(way).with(&row.flow(Way::Direct), ratio).show(2)),
        6 => results.field.iter().find(|row| row.load.rate.is_some()).map(|row| {
            let p50 = |way| row.latency(way, |latency| latency.p50);
            p50(way).with(&p50(Way::Direct), |one, other| one - other).show(0)
        }),
        7 => results.metadata.first().map(|row| row.cpu_per_request(way).show(2)),
        _ => results.rest.get(&way).map(|rest| {
            let idle = rest.open.map_or_else(none, |open| format!("{open:.0}"));
            format!("{}; {idle}; {}", rest.start.brief(1), rest.ready.brief(0))
        }),
    };
    cell.unwrap_or_else(none)
}

/// Processor time a byte of rows that differ in how many there are of something.
fn scale(of_what: &str, rows: &[Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n**Against the number of {of_what}**: CPU-s/GB, and GB/s\n\n\
         | | copy | Fishplate | ÷ copy | single | ÷ copy | Shotover | ÷ copy | copy GB/s | Fishplate GB/s | single GB/s | Shotover GB/s |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n"
    );
    for row in rows {
        let mut cells = vec![row.load.name.clone(), row.cpu_per_gigabyte(Way::Copy).show(3)];
        for way in [Way::Fishplate, Way::Single, Way::Shotover] {
            let (cpu, copy) = (row.cpu_per_gigabyte(way), row.cpu_per_gigabyte(Way::Copy));
            cells.extend([cpu.show(3), cpu.with(&copy, ratio).show(2)]);
        }
        cells.extend(CONTESTANTS.map(|way| row.flow(way).brief(2)));
        line(&mut text, &cells);
    }
    text
}

/// Memory and processor time against connections.
pub(super) fn connections(crowds: &[Crowd]) -> String {
    if crowds.is_empty() {
        return String::new();
    }
    let mut text = "\n**Against the number of connections**: MiB resident when all are open / have asked once and have their links / at most \
         while all are busy at once, every second one producing 16 KiB and the others fetching as much; then the processor \
         time, a second when idle and a GB when busy. Each proxy is started anew for each line\n\n\
         | | connections | MiB at start | open | linked | busy | CPU-s/s idle | CPU-s/GB busy | GB/s busy |\n\
         |---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for way in CONTESTANTS {
        for crowd in crowds {
            let Some(cost) = crowd.ways.get(&way) else { continue };
            let Cost { start, open, linked, idle_cpu, busy, report } = cost;
            let gigabytes = report.bytes as f64 / 1e9;
            let cpu = report.cpu.get(way.name()).copied().unwrap_or(0.0) / gigabytes;
            let mut cells = vec![way.name().to_owned(), crowd.connections.to_string()];
            cells.extend([start, open, linked, busy].map(|mebibytes| format!("{mebibytes:.1}")));
            cells.extend([format!("{idle_cpu:.4}"), format!("{cpu:.3}"), format!("{:.2}", gigabytes / report.seconds)]);
            line(&mut text, &cells);
        }
    }
    text
}
