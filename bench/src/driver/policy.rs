//! What policy costs through the whole proxy: the same events to a Fishplate that asks nothing of its records and to others
//! that do, and to one that knows a thousand tokens beside one that knows a million.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::codec::Codec;
use crate::events::token;
use crate::load::Kind;
use crate::procfs::resident;

use super::Bench;
use super::contestants::{Proxies, Proxy};
use super::measure::{Course, Events, Load, Row};
use super::sections::load;
use super::stage::{Clusters, Way};
use super::stats::{Rounds, ratio};
use super::table::line;

/// The ways of one row, and those of them that ask something.
pub(super) const WAYS: [Way; 6] =
    [Way::Copy, Way::Fishplate, Way::Observed, Way::Overflowing, Way::Contracted, Way::Edited];
const ASKING: [Way; 4] = [Way::Observed, Way::Overflowing, Way::Contracted, Way::Edited];
/// Those that have a limit that nobody exceeds.
pub(super) const LIMITED: [Way; 2] = [Way::Observed, Way::Overflowing];
/// Different tokens, but where it is about their number.
const TOKENS: usize = 50;
/// So many of them may send nothing, where batches are edited: 4 % of the records.
const EXCESSIVE: usize = 2;
/// Different batches of a load.
const BATCHES: usize = 16;
const FEW: usize = 1_000;
const MANY: usize = 1_000_000;
/// Records in each batch where tokens are counted.
const LARGE: usize = 1_000;
/// After which memory has settled.
const SETTLED: Duration = Duration::from_millis(700);
const TOPICS: &[&str] = &["events-:1:8", "lane-:2:8"];

/// All that was measured of it.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Policy {
    pub(super) rows: Vec<Row>,
    /// The thousand's first.
    pub(super) tokens: Vec<Row>,
    pub(super) memory: BTreeMap<Way, Memory>,
}

/// MiB resident.
#[derive(Serialize, Deserialize)]
pub(super) struct Memory {
    start: f64,
    /// When all tokens had come.
    end: f64,
    /// Keys that its limit knew then.
    keys: f64,
}

/// The pipeline of the events in a Fishplate of this way; none where it asks nothing of them.
pub(super) fn pipeline(way: Way) -> Option<String> {
    let contract = "contract:\n      headers:\n        token: { required: true, type: utf8, max_bytes: 128 }\n        \
         distinct_id: { required: true, max_bytes: 200 }\n        timestamp: { type: epoch_ms }\n      \
         on_violation: dlq\n    ";
    let limit =
        |rest: &str| format!("limits:\n      - {{ name: per-token, key: header(token), unit: records, {rest} }}\n");
    // A token's share of what comes is nothing to this rate, and a burst of a second's worth is more than a thread that
    // was set aside between two records lets pass.
    let ample = |action: &str| limit(&format!("rate: 1000000/s, action: {action}"));
    let excessive: Vec<_> = (0..EXCESSIVE).map(|number| format!("{}: 1/s", token(number))).collect();
    let overrides = excessive.join(", ");
    let lanes = "    lanes: { overflow: { topic: lane-0000 }, dlq: { topic: lane-0001 } }\n";
    let rules = match way {
        Way::Direct | Way::Copy | Way::Fishplate | Way::Single | Way::Shotover => return None,
        Way::Observed | Way::Few => ample("observe"),
        Way::Overflowing => ample("overflow") + lanes,
        Way::Contracted => contract.to_owned() + &ample("overflow") + lanes,
        Way::Edited => {
            limit(&format!("rate: 1000000/s, burst: 1000, action: overflow, overrides: {{ {overrides} }}")) + lanes
        }
        // Whoever has sent a record owes it for a minute, so that all stay remembered from one round to the next.
        Way::Many => limit("rate: 1/m, burst: 10000, action: observe"),
    };
    Some(format!("  - name: events\n    topics: [\"events-*\"]\n    groups: []\n    cluster: a\n    {rules}"))
}

pub(super) fn all(bench: &Bench<'_>) -> Result<Policy> {
    let rows = costs(bench)?;
    let (tokens, memory) = tokens(bench)?;
    Ok(Policy { rows, tokens, memory })
}

fn costs(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let codecs: &[Codec] = if bench.about.quick { &[Codec::Lz4] } else { &[Codec::None, Codec::Lz4, Codec::Zstd] };
    let each = |codec: &Codec| [100, LARGE].map(|records| events(*codec, records, TOKENS, BATCHES));
    let loads: Vec<_> = codecs.iter().flat_map(each).filter(|load| bench.wants(load)).collect();
    if loads.is_empty() {
        return Ok(Vec::new());
    }
    let clusters = Clusters::start([TOPICS, &["other-:1:1"]])?;
    let proxies = bench.programs.start(&WAYS, clusters.direct(), "other-*")?;
    let course = Course { rounds: bench.about.rounds, ..bench.course(&clusters, &proxies) };
    let mut rows = course.run(loads, &WAYS);
    let wrong =
        |way: &Way| unseen(&proxies, &rows, *way).unwrap_or_else(|error| Some(format!("{}: {error:#}", way.name())));
    let unseen: Vec<_> = ASKING.iter().filter_map(wrong).collect();
    if let Some(row) = rows.first_mut() {
        row.failures.extend(unseen);
    }
    Ok(rows)
}

/// A complaint where a proxy's limit has counted fewer records than were measured, or batches were edited that should not
/// be, or the reverse: its figures are of something else.
fn unseen(proxies: &Proxies, rows: &[Row], way: Way) -> Result<Option<String>> {
    let Some(proxy) = proxies.running.get(&way) else { return Ok(None) };
    let measured: u64 = rows.iter().filter_map(|row| row.ways.get(&way)).flatten().map(|report| report.records).sum();
    let counted = proxy.metric("fishplate_limit_records_total")?;
    let edited = proxy.metric("fishplate_policy_edited_batches_total")? > 0.0;
    let wrong = counted < measured as f64 || edited != (way == Way::Edited);
    Ok(wrong.then(|| format!("{}: {measured} records, of which {counted} were counted; edited: {edited}", way.name())))
}

/// Events of so many tokens over so many different batches, one batch in each request.
fn events(codec: Codec, records: usize, tokens: usize, batches: usize) -> Load {
    let name = format!("{}, {} records a batch", codec.name(), thousands(records));
    let events = Some(Events { batches, codec, tokens });
    let topics = vec!["events-:1".to_owned()];
    Load { name, topics, count: tokens, batches: Some(1), events, ..load(Kind::Produce, records, &[], None) }
}

/// The same records with few tokens and with many, each to a Fishplate that hears of no others.
fn tokens(bench: &Bench<'_>) -> Result<(Vec<Row>, BTreeMap<Way, Memory>)> {
    let named = |tokens| {
        let load = events(Codec::Lz4, LARGE, tokens, MANY / LARGE);
        Load { name: format!("{} tokens, {}", thousands(tokens), load.name), ..load }
    };
    let both = [(Way::Few, named(FEW)), (Way::Many, named(MANY))];
    if !both.iter().all(|(_, load)| bench.wants(load)) {
        return Ok((Vec::new(), BTreeMap::new()));
    }
    let clusters = Clusters::start([TOPICS, &["other-:1:1"]])?;
    let proxies = bench.programs.start(&both.each_ref().map(|(way, _)| *way), clusters.direct(), "other-*")?;
    std::thread::sleep(SETTLED);
    let start = memory(&proxies)?;
    let course = bench.course(&clusters, &proxies);
    let mut rows = both.each_ref().map(|(way, load)| (*way, Row::new(load.clone())));
    let (seconds, first) = (3.0 * course.seconds.max(2.0), rows.each_ref().map(|(_, row)| row.load.clone()));
    for ((way, row), load) in rows.iter_mut().zip(first) {
        eprintln!("all of {}", load.name);
        // Until every token has come.
        let mut come = Row::new(load);
        Course { seconds, ..course.clone() }.round(&mut come, &[*way], 0);
        let records: u64 = come.ways.values().flatten().map(|report| report.records).sum();
        row.failures.append(&mut come.failures);
        if records < row.load.count as u64 {
            row.failures.push(format!("only {records} records came before the first round"));
        }
    }
    for round in 0..course.rounds {
        eprintln!("round {} of {}: tokens", round + 1, course.rounds);
        // Another one first each time.
        rows.rotate_left(1);
        rows.iter_mut().for_each(|(way, row)| course.round(row, &[*way], round));
    }
    rows.sort_by_key(|(way, _)| *way);
    let end = memory(&proxies)?;
    let keys = |way: &Way| proxies.running.get(way).map_or(Ok(0.0), |proxy| proxy.metric("fishplate_limit_keys"));
    let pairs = start.into_iter().zip(end.into_values());
    let memory = pairs.map(|((way, start), end)| Ok((way, Memory { start, end, keys: keys(&way)? })));
    let memory = memory.collect::<Result<_>>()?;
    Ok((rows.map(|(_, row)| row).into(), memory))
}

fn memory(proxies: &Proxies) -> Result<BTreeMap<Way, f64>> {
    let of = |(way, proxy): (&Way, &Proxy)| Ok((*way, resident(proxy.pid())? as f64 / 1_048_576.0));
    proxies.running.iter().map(of).collect()
}

impl Policy {
    /// What a million tokens cost, divided by what a thousand do.
    pub(super) fn slowdown(&self) -> Option<Rounds> {
        let [few, many] = self.tokens.as_slice() else { return None };
        Some(many.cpu_per_million(Way::Many).with(&few.cpu_per_million(Way::Few), ratio))
    }

    /// MiB that a million tokens take beyond what a thousand do.
    pub(super) fn grown(&self) -> Option<f64> {
        Some(self.memory.get(&Way::Many)?.end - self.memory.get(&Way::Few)?.end)
    }
}

/// Both tables.
pub(super) fn markdown(policy: &Policy) -> String {
    costs_table(&policy.rows) + &tokens_table(policy)
}

fn costs_table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n**With policy**: Produce with acks=all of events of about 1 KiB with {TOKENS} tokens, one batch in each request, from a \
         producer that is not idempotent; CPU-s of the proxy alone a million records, and what it is of one that asks nothing. \
         Limits are by `header(token)`, and whoever has a limit is also heard by top talkers. Nobody exceeds one, but where \
         batches are edited: there {} % of all records, some of each batch, go to a lane\n\n\
         | | KiB a record on the wire | copy | no policy | limit, `observe` | ÷ none | limit, `overflow` | ÷ none | contract and limit | ÷ none | edited | ÷ none \
         | no policy, million records/s of a core | limit, `overflow` | load and clusters CPU-s |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        EXCESSIVE * 100 / TOKENS,
    );
    for row in rows {
        let cpu = |way| row.cpu_per_million(way);
        let mut cells =
            vec![row.load.name.clone(), row.kib_per_record(Way::Fishplate).brief(2), cpu(Way::Copy).show(3)];
        cells.push(cpu(Way::Fishplate).show(3));
        for way in ASKING {
            cells.extend([cpu(way).show(3), cpu(way).with(&cpu(Way::Fishplate), ratio).show(2)]);
        }
        cells.extend([Way::Fishplate, Way::Overflowing].map(|way| row.millions_of_a_core(way).show(2)));
        cells.push(row.cpu_beside(Way::Fishplate, &["load", "cluster 0", "cluster 1"]).brief(3));
        line(&mut text, &cells);
    }
    text
}

fn tokens_table(policy: &Policy) -> String {
    let [few, many] = policy.tokens.as_slice() else { return String::new() };
    let mut text = "\n**Against the number of tokens**: a limit that nobody exceeds and, of the million, each owes something; the same batches but for their tokens, each \
         Fishplate knowing its own; CPU-s a million records, and MiB resident\n\n\
         | | CPU-s | ÷ the thousand's | MiB at start | at the end | keys that the limit knows then |\n|---|---|---|---|---|---|\n"
        .to_owned();
    for (way, row) in [(Way::Few, few), (Way::Many, many)] {
        let compared = if way == Way::Many { policy.slowdown() } else { None };
        let of = |digits: usize, value: fn(&Memory) -> f64| {
            policy.memory.get(&way).map_or_else(|| "-".to_owned(), |memory| format!("{:.digits$}", value(memory)))
        };
        let cells = [
            row.load.name.clone(),
            row.cpu_per_million(way).show(3),
            compared.map_or_else(|| "-".to_owned(), |rounds| rounds.show(2)),
            of(1, |memory| memory.start),
            of(1, |memory| memory.end),
            of(0, |memory| memory.keys),
        ];
        line(&mut text, &cells);
    }
    text
}

/// 1,000,000 for a million.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Report;

    fn row(way: Way, cpu: [f64; 2]) -> Row {
        let report = |cpu| Report {
            seconds: 1.0,
            records: 500_000,
            bytes: 256_000_000,
            cpu: [(way.name().to_owned(), cpu), ("load".to_owned(), 0.1)].into(),
            ..Report::default()
        };
        Row { ways: [(way, cpu.map(report).into())].into(), ..Row::new(events(Codec::Lz4, LARGE, FEW, BATCHES)) }
    }

    #[test]
    fn a_million_tokens_are_held_against_a_thousand_round_by_round() {
        // Given rounds on a machine that became slower
        let tokens = vec![row(Way::Few, [1.0, 2.0]), row(Way::Many, [1.5, 3.0])];
        let memory =
            [(Way::Few, 30.0), (Way::Many, 180.0)].map(|(way, end)| (way, Memory { start: 10.0, end, keys: 7.0 }));
        let policy = Policy { rows: Vec::new(), tokens, memory: memory.into() };
        // Then the ratio is steady
        assert_eq!(policy.slowdown(), Some(Rounds(vec![1.5, 1.5])));
        assert_eq!(policy.grown(), Some(150.0));
        let text = tokens_table(&policy);
        let last: Vec<_> = text.lines().last().unwrap().split('|').map(str::trim).collect();
        assert_eq!(last[2..7], ["4.500 ±1.500", "1.50 ±0.00", "10.0", "180.0", "7"]);
    }

    #[test]
    fn what_a_core_would_pass_is_told_in_millions() {
        let row = row(Way::Overflowing, [0.25, 0.5]);
        assert_eq!(row.millions_of_a_core(Way::Overflowing), Rounds(vec![2.0, 1.0]));
        assert_eq!(row.kib_per_record(Way::Overflowing), Rounds(vec![0.5, 0.5]));
        assert_eq!(row.cpu_beside(Way::Overflowing, &["load", "nobody"]), Rounds(vec![0.2, 0.2]));
    }

    #[test]
    fn digits_stand_in_threes() {
        assert_eq!([7, 100, 1_000, 1_000_000].map(thousands), ["7", "100", "1,000", "1,000,000"]);
    }
}
