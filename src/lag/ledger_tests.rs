//! What the ledger tells in each case that users of other exporters have reported.

mod asking;
mod groups;
mod latencies;
mod levels;
mod nonsense;
mod partitions;
mod transactions;
mod written;

use super::exposition::{Swept, Wanted, write};
use super::levels::Aims;
use super::rows::{Row, Source, Which, Why};
use super::{Ledger, Now, Owner, Place, Unknown, families};
use crate::config::Slo;
use crate::config::policy::Share;
use crate::placement::build::tests::slot;
use crate::telemetry::catalogue::Kind;
use crate::telemetry::observed::{Ends, Fact, Handed, MemberReads, Noted, ProducerOf, Reader, Stretch, Written};
use crate::types::{Name, Partition, topic_key};
use kafka_protocol::protocol::StrBytes;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// In ms since 1970, when each play begins.
const UNIX: i64 = 1_800_000_000_000;
const ALICE: Reader = Reader(1);
const BOB: Reader = Reader(2);
const NOWHERE: Stretch = Stretch { from: -1, given: None, next: -1, written_ms: -1 };

/// A ledger, and a clock that goes on when it is told to.
struct Play {
    ledger: Ledger,
    opened: Instant,
    ms: u64,
}

fn place(topic: &str, id: u128) -> Place {
    let (pipeline, cluster) = (Name::from("orders"), Name::from("east"));
    Place { topic: topic.to_owned().into(), id: Uuid::from_u128(id), pipeline, cluster, partitions: 2 }
}

/// A producer of cluster 0.
fn on_a(producer: i64) -> ProducerOf {
    (slot(0), producer)
}

fn at(topic: &str, index: i32) -> Partition {
    Partition { topic: topic_key(topic, Uuid::nil()), index }
}

fn t0() -> Partition {
    at("t", 0)
}

fn text(name: &str) -> StrBytes {
    name.to_owned().into()
}

fn high(high: i64) -> Ends {
    Ends { high, stable: high, start: 0 }
}

fn written(at: Partition, base: i64, next: i64, transaction: Option<ProducerOf>) -> Fact {
    Fact::Acknowledged { of: [Written { at, base, next, bytes: 100 }].into(), transaction, came: None }
}

fn handed(by: Option<Reader>, stretch: Stretch, ends: Ends) -> Fact {
    Fact::Fetched { by, committed_only: false, of: [Handed { at: t0(), stretch, ends }].into() }
}

impl Play {
    /// With topic `t` of two partitions.
    fn new() -> Self {
        let opened = Instant::now();
        let mut play = Self { ledger: Ledger::new(Now { at: opened, unix_ms: UNIX }), opened, ms: 0 };
        play.places(&[place("t", 1)]);
        play
    }

    fn now(&self) -> Now {
        Now { at: self.opened + Duration::from_millis(self.ms), unix_ms: UNIX + self.ms as i64 }
    }

    fn places(&mut self, places: &[Place]) {
        self.ledger.place(places, self.now());
    }

    fn wait(&mut self, seconds: f64) -> &mut Self {
        self.ms += u64::try_from(Duration::from_secs_f64(seconds).as_millis()).unwrap();
        self
    }

    fn fact(&mut self, fact: Fact) -> &mut Self {
        self.ledger.apply([Noted { at: self.now().at, fact }]);
        self
    }

    fn produce(&mut self, base: i64, next: i64) -> &mut Self {
        self.fact(written(t0(), base, next, None))
    }

    /// By a request that came so long before.
    fn produce_in_ms(&mut self, took: u64, base: i64, next: i64) -> &mut Self {
        let came = self.now().at.checked_sub(Duration::from_millis(took));
        let of = [Written { at: t0(), base, next, bytes: 100 }].into();
        self.fact(Fact::Acknowledged { of, transaction: None, came })
    }

    fn produce_in(&mut self, producer: i64, base: i64, next: i64) -> &mut Self {
        self.fact(written(t0(), base, next, Some(on_a(producer))))
    }

    fn end_transaction(&mut self, producer: i64, committed: bool) -> &mut Self {
        self.fact(Fact::Ended { producer: on_a(producer), committed })
    }

    fn commit(&mut self, group: &str, offset: i64) -> &mut Self {
        self.fact(Fact::Committed { group: text(group), of: [(t0(), offset)].into(), anew: true })
    }

    /// What asking for a group's offset told.
    fn hear(&mut self, group: &str, offset: i64) -> &mut Self {
        self.fact(Fact::Committed { group: text(group), of: [(t0(), offset)].into(), anew: false })
    }

    /// What asking for all of a group's offsets told.
    fn holds(&mut self, group: &str, of: &[(Partition, i64)], asked: Instant) -> &mut Self {
        self.fact(Fact::Holds { group: text(group), of: of.into(), asked })
    }

    /// What asking for a group's members told.
    fn described(&mut self, group: &str, members: &[(u64, &[&str])], asked: Instant) -> &mut Self {
        let key = |topic: &&str| topic_key(topic, Uuid::nil());
        let reads = |(member, topics): &(u64, &[&str])| (*member, Some(topics.iter().map(key).collect()));
        let members: Vec<MemberReads> = members.iter().map(reads).collect();
        self.fact(Fact::Described { group: text(group), members: members.into(), asked })
    }

    /// What asking for the partition's ends told.
    fn ask(&mut self, ends: Ends) -> &mut Self {
        self.fact(handed(None, NOWHERE, ends))
    }

    fn fetch(&mut self, by: Reader, from: i64, next: i64, ends: Ends) -> &mut Self {
        let stretch = Stretch { from, given: (next > from).then_some((from, next)), next, written_ms: -1 };
        self.fact(handed(Some(by), stretch, ends))
    }

    fn fetch_committed(&mut self, by: Reader, stretch: Stretch, ends: Ends) -> &mut Self {
        self.fact(Fact::Fetched { by: Some(by), committed_only: true, of: [Handed { at: t0(), stretch, ends }].into() })
    }

    fn beat(&mut self, group: &str, by: Reader) -> &mut Self {
        self.fact(Fact::Beat { group: text(group), member: by.0, by, within_ms: 45_000 })
    }

    fn rows(&self) -> Vec<Row> {
        self.ledger.rows(&Which::default(), self.now()).rows
    }

    fn row(&self, group: &str) -> Row {
        let rows = self.rows();
        rows.iter().find(|row| row.group.as_str() == group).unwrap_or_else(|| panic!("no {group}: {rows:?}")).clone()
    }

    /// Records and seconds of a group.
    fn lag(&self, group: &str) -> (Option<i64>, Option<f64>) {
        let row = self.row(group);
        (row.lag, row.seconds)
    }

    fn groups(&self) -> Vec<String> {
        self.rows().iter().map(|row| row.group.to_string()).collect()
    }

    fn text(&self, wanted: Wanted) -> String {
        let mut text = String::new();
        let swept = [Swept { cluster: "east".into(), told: 3, failed: 1, age: Some(Duration::from_secs(12)) }];
        write(&self.ledger, wanted, &swept, self.now(), &mut text);
        text
    }

    fn aim(&mut self) -> &mut Self {
        let slo = Slo { committed_within: Duration::from_secs(5), objective: Share(999_000) };
        self.ledger.aim(Aims {
            slos: vec![("orders".into(), slo)],
            pipeline_of: Arc::new(|_| "orders".into()),
            home_of: Arc::new(|_| Some(slot(0))),
        });
        self
    }

    /// Values of the four counters of service levels, of group `g`.
    fn level(&self) -> [String; 4] {
        let text = self.text(Wanted::default());
        ["records", "late_records", "seconds", "late_seconds"].map(|kind| {
            let name = format!("fishplate_slo_{kind}_total{{pipeline=\"orders\",group=\"g\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or("").to_owned()
        })
    }
}
