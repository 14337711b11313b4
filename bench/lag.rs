//! What lag costs: processor time and memory of one rendering of 50,000 groups at partitions over 10,000 partitions, and
//! processor time a fact. `cargo bench --bench lag` prints a Markdown table.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a program that prints its results")]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_wrap, reason = "small numbers")]

use fishplate::config::Slo;
use fishplate::config::policy::Share;
use fishplate::lag::exposition::{Wanted, write};
use fishplate::lag::levels::Aims;
use fishplate::lag::rows::Which;
use fishplate::lag::{Ledger, Now, Place};
use fishplate::telemetry::observed::{Ends, Fact, Handed, Noted, Reader, Stretch, Written};
use fishplate::types::{Name, Partition, topic_key};
use kafka_protocol::protocol::StrBytes;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

const TOPICS: usize = 100;
const PARTITIONS: i32 = 100;
const GROUPS: usize = 5;
/// Partitions that one request is about.
const TOGETHER: usize = 16;
/// Renderings, of which the median is shown.
const ROUNDS: usize = 15;
/// Seconds of traffic before anything is measured: each partition is written to ten times a second.
const SECONDS: u64 = 90;

/// A clock that goes on when it is told to.
struct Play {
    ledger: Ledger,
    opened: Instant,
    ms: u64,
    offset: i64,
}

impl Play {
    fn new() -> Self {
        let opened = Instant::now();
        let mut play = Self { ledger: Ledger::new(Now { at: opened, unix_ms: 0 }), opened, ms: 0, offset: 0 };
        let places: Vec<_> = (0..TOPICS).map(place).collect();
        play.ledger.place(&places, play.now());
        let slo = Slo { committed_within: Duration::from_secs(5), objective: Share(999_000) };
        let pipeline_of = Arc::new(|_: &str| Name::from("orders"));
        play.ledger.aim(Aims { slos: vec![("orders".into(), slo)], pipeline_of, ..Aims::default() });
        play
    }

    fn now(&self) -> Now {
        Now { at: self.opened + Duration::from_millis(self.ms), unix_ms: self.ms as i64 }
    }

    /// One batch of ten records in every partition.
    fn produce(&mut self) -> usize {
        let (base, at) = (self.offset, self.now().at);
        let came = at - Duration::from_micros(700);
        self.offset += 10;
        let batch = |at| Written { at, base, next: base + 10, bytes: 1000 };
        let all: Vec<_> = all().map(batch).collect();
        let fact = |of: &[Written]| Fact::Acknowledged { of: of.into(), transaction: None, came: Some(came) };
        self.ledger.apply(all.chunks(TOGETHER).map(|of| Noted { at, fact: fact(of) }).collect::<Vec<_>>());
        all.len()
    }

    fn fetch(&mut self) -> usize {
        let (next, at) = (self.offset, self.now().at);
        let stretch = Stretch { from: next - 10, given: Some((next - 10, next)), next, written_ms: 1 };
        let ends = Ends { high: next, stable: next, start: 0 };
        let all: Vec<_> = all().map(|at| Handed { at, stretch, ends }).collect();
        let fact = |of: &[Handed]| Fact::Fetched { by: Some(Reader(1)), committed_only: false, of: of.into() };
        self.ledger.apply(all.chunks(TOGETHER).map(|of| Noted { at, fact: fact(of) }).collect::<Vec<_>>());
        all.len()
    }

    /// Each group commits all of its partitions, topic by topic, so many records behind the end.
    fn commit(&mut self, behind: i64) -> usize {
        let (at, offset) = (self.now().at, self.offset);
        let mut facts = Vec::new();
        for group in 0..GROUPS {
            let name: StrBytes = format!("the-group-of-service-{group}").into();
            for topic in 0..TOPICS {
                let key = topic_key(&name_of(topic), Uuid::nil());
                let back = behind * (group as i64 + 1);
                let of =
                    (0..PARTITIONS).map(|index| (Partition { topic: key, index }, (offset - back).max(0))).collect();
                facts.push(Noted { at, fact: Fact::Committed { group: name.clone(), of, anew: true } });
            }
        }
        self.ledger.apply(facts);
        GROUPS * TOPICS * usize::try_from(PARTITIONS).unwrap()
    }
}

fn name_of(topic: usize) -> String {
    format!("the-topic-of-orders-{topic}")
}

fn place(number: usize) -> Place {
    let (pipeline, cluster) = (Name::from("orders"), Name::from("east"));
    let id = Uuid::from_u128(number as u128 + 1);
    Place { topic: name_of(number).into(), id, pipeline, cluster, partitions: PARTITIONS.unsigned_abs() as usize }
}

fn all() -> impl Iterator<Item = Partition> {
    (0..TOPICS).flat_map(|topic| {
        let key = topic_key(&name_of(topic), Uuid::nil());
        (0..PARTITIONS).map(move |index| Partition { topic: key, index })
    })
}

/// The median of several times, and what the last one gave.
fn median(mut what: impl FnMut() -> usize) -> (Duration, usize) {
    let mut last = 0;
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let from = processor();
            last = black_box(what());
            processor() - from
        })
        .collect();
    times.sort();
    (times[ROUNDS / 2], last)
}

/// What this thread has had of a processor.
fn processor() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A ledger that has seen traffic, with groups that are behind.
fn played() -> Play {
    let mut play = Play::new();
    for group in 0..GROUPS {
        let (name, by) = (format!("the-group-of-service-{group}"), Reader(group as u64 + 1));
        let fact = Fact::Beat { group: name.into(), member: 1, by, within_ms: 1_000_000 };
        play.ledger.apply([Noted { at: play.now().at, fact }]);
    }
    play.commit(0);
    for _ in 0..SECONDS * 10 {
        play.ms += 100;
        play.produce();
    }
    play.commit(1000);
    play
}

fn main() {
    let mut play = None;
    let held = allocation_counter::measure(|| play = Some(played())).bytes_current;
    let mut play = play.unwrap();
    println!("| what | took |\n|---|---|");
    let render = |play: &Play| {
        let mut text = String::new();
        write(&play.ledger, Wanted::default(), &[], play.now(), &mut text);
        text.len()
    };
    let more = allocation_counter::measure(|| _ = black_box(render(&play))).bytes_max;
    let (took, bytes) = median(|| render(&play));
    println!("| one rendering of {} pairs, {:.0} MiB of text | {took:.1?} |", GROUPS * TOPICS * 100, mib(bytes as u64));
    let mut text = String::new();
    let (took, _) = median(|| {
        text.clear();
        write(&play.ledger, Wanted::default(), &[], play.now(), &mut text);
        text.len()
    });
    drop(text);
    println!("| the same into the text of the last one, as scrapes do | {took:.1?} |");
    let held = u64::try_from(held).unwrap_or(0);
    println!("| memory of the ledger, and while rendering | {:.0} and {:.0} MiB |", mib(held), mib(held + more));
    let (took, rows) = median(|| play.ledger.rows(&Which::default(), play.now()).rows.len());
    println!("| all {rows} rows | {took:.1?} |");
    let (took, unknown) = median(|| play.ledger.unknown(1000, |_| false, play.now()).len());
    println!("| what is to be asked ({unknown}) | {took:.1?} |");
    let (took, _) = median(|| {
        play.ms += 1000;
        let now = play.now();
        play.ledger.tick(now);
        0
    });
    println!("| counting a second | {took:.1?} |");
    facts(&mut play);
}

/// Applies facts of one kind, and says how many.
type Apply = fn(&mut Play) -> usize;

/// What each kind of fact takes.
fn facts(play: &mut Play) {
    let kinds: [(&str, Apply); 3] = [
        ("a batch written", Play::produce),
        ("a Fetch answered", Play::fetch),
        ("an offset committed", |play| play.commit(0)),
    ];
    for (name, apply) in kinds {
        let (took, count) = median(|| {
            play.ms += 100;
            apply(play)
        });
        println!("| {name} | {:.0} ns |", took.as_nanos() as f64 / count as f64);
    }
}
