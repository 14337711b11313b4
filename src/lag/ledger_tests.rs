//! What the ledger tells in each case that users of other exporters have reported.

use super::exposition::{Swept, Wanted, write};
use super::levels::{Aims, Slo};
use super::rows::{Row, Source, Which, Why};
use super::{Ledger, Now, Place, Unknown, families};
use crate::placement::build::tests::slot;
use crate::telemetry::observed::{Ends, Fact, Noted, ProducerOf, Reader, Stretch};
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

const NOWHERE: Stretch = Stretch { from: -1, given: None, next: -1, written_ms: -1 };

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
        self.fact(Fact::Acknowledged { at: t0(), base, next, bytes: 100, transaction: None })
    }

    fn produce_in(&mut self, producer: i64, base: i64, next: i64) -> &mut Self {
        self.fact(Fact::Acknowledged { at: t0(), base, next, bytes: 100, transaction: Some(on_a(producer)) })
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

    /// What asking for the partition's ends told.
    fn ask(&mut self, ends: Ends) -> &mut Self {
        self.fact(Fact::Fetched { at: t0(), by: None, committed_only: false, stretch: NOWHERE, ends })
    }

    fn fetch(&mut self, by: Reader, from: i64, next: i64, ends: Ends) -> &mut Self {
        let stretch = Stretch { from, given: (next > from).then_some(next), next, written_ms: -1 };
        self.fact(Fact::Fetched { at: t0(), by: Some(by), committed_only: false, stretch, ends })
    }

    fn fetch_committed(&mut self, by: Reader, stretch: Stretch, ends: Ends) -> &mut Self {
        self.fact(Fact::Fetched { at: t0(), by: Some(by), committed_only: true, stretch, ends })
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
        let slo = Slo { committed_within: Duration::from_secs(5), objective: 0.999 };
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

#[test]
fn lag_is_exact_at_rest_and_its_age_is_that_of_the_first_record_that_waits() {
    let mut play = Play::new();
    play.produce(0, 10).wait(2.0).produce(10, 20).commit("g", 10).wait(1.0);
    assert_eq!(play.lag("g"), (Some(10), Some(1.0)));
    assert_eq!(play.row("g").source, Source::Arrival);
    play.commit("g", 20);
    assert_eq!(play.lag("g"), (Some(0), Some(0.0)));
    assert_eq!(play.row("g").why, Why::Nothing);
}

#[test]
fn a_stuck_consumer_grows_while_nobody_produces() {
    let mut play = Play::new();
    play.produce(0, 10).commit("g", 5).wait(1.0);
    assert_eq!(play.lag("g"), (Some(5), Some(1.0)));
    play.wait(3600.0);
    assert_eq!(play.lag("g"), (Some(5), Some(3601.0)));
}

#[test]
fn a_stopped_group_is_still_reported_and_says_why() {
    let mut play = Play::new();
    play.beat("g", ALICE).produce(0, 10).fetch(ALICE, 0, 10, high(10)).commit("g", 10);
    play.fact(Fact::Left { group: text("g"), member: ALICE.0 }).produce(10, 15).wait(7200.0);
    play.ledger.tick(play.now());
    assert_eq!((play.lag("g"), play.row("g").why), ((Some(5), Some(7200.0)), Why::NoMembers));
    assert!(play.text(Wanted::default()).contains("fishplate_group_members{pipeline=\"orders\",group=\"g\"} 0\n"));
}

#[test]
fn a_commit_before_the_marker_of_a_transaction_leaves_no_lag() {
    let mut play = Play::new();
    play.produce_in(7, 0, 10).end_transaction(7, true).fetch(ALICE, 10, 10, high(11)).commit("librdkafka", 10);
    play.commit("java", 11);
    assert_eq!((play.lag("librdkafka"), play.lag("java")), ((Some(0), Some(0.0)), (Some(0), Some(0.0))));
    play.wait(3600.0).produce_in(7, 11, 12).wait(1.0);
    assert_eq!(play.lag("librdkafka"), (Some(1), Some(1.0)), "the marker is no record, and so not an hour old");
}

#[test]
fn a_marker_of_a_transaction_that_went_past_us_is_asked_for() {
    let mut play = Play::new();
    play.ask(high(11)).hear("g", 10);
    assert_eq!(play.lag("g"), (Some(1), None));
    let unknown = Unknown { topic: text("t"), at: t0(), offset: 10, committed_only: false, lag: 1 };
    assert_eq!(play.ledger.unknown(10, |_| false, play.now()), [unknown]);
    let stretch = Stretch { from: 10, given: None, next: 11, written_ms: UNIX - 5000 };
    play.fact(Fact::Fetched { at: t0(), by: None, committed_only: false, stretch, ends: high(11) });
    assert_eq!(play.lag("g"), (Some(0), Some(0.0)));
    assert_eq!(play.ledger.unknown(10, |_| false, play.now()), []);
}

#[test]
fn an_open_transaction_is_no_lag_of_who_reads_what_is_committed() {
    let mut play = Play::new();
    let nothing = Stretch { from: 10, given: None, next: 10, written_ms: -1 };
    play.beat("committed", ALICE).beat("all", BOB).produce(0, 10).commit("committed", 10).commit("all", 10);
    play.produce_in(7, 10, 15).fetch_committed(ALICE, nothing, Ends { high: 15, stable: 10, start: 0 });
    play.fetch(BOB, 10, 10, high(-1)).wait(4.0);
    assert_eq!((play.lag("committed"), play.lag("all")), ((Some(0), Some(0.0)), (Some(5), Some(4.0))));
    play.end_transaction(7, true);
    assert_eq!(play.lag("committed"), (Some(5), Some(4.0)));
}

#[test]
fn aborted_records_are_no_lag_of_who_reads_what_is_committed() {
    let mut play = Play::new();
    let nothing = Stretch { from: 10, given: None, next: 10, written_ms: -1 };
    play.beat("g", ALICE).produce(0, 10).commit("g", 10).produce_in(7, 10, 15);
    play.fetch_committed(ALICE, nothing, Ends { high: 15, stable: 10, start: 0 }).end_transaction(7, false);
    play.ask(high(16));
    assert_eq!(play.lag("g"), (Some(0), Some(0.0)));
    play.produce(16, 18);
    assert_eq!(play.lag("g").0, Some(2), "what is aborted is not counted with them");
}

#[test]
fn offsets_that_a_transaction_sends_count_when_it_commits() {
    let mut play = Play::new();
    let sends = |producer, offset| Fact::CommitsWith {
        group: text("g"),
        producer: on_a(producer),
        of: [(t0(), offset)].into(),
    };
    play.produce(0, 10).commit("g", 2).fact(sends(7, 6));
    assert_eq!(play.row("g").committed, Some(2));
    play.end_transaction(7, true);
    assert_eq!(play.row("g").committed, Some(6));
    play.fact(sends(7, 9)).end_transaction(7, false).end_transaction(7, true);
    assert_eq!(play.row("g").committed, Some(6));
}

#[test]
fn holes_of_a_compacted_topic_are_nothing_to_read() {
    let mut play = Play::new();
    play.beat("g", ALICE).ask(high(100)).hear("g", 40);
    // The last record that was left is 59; its batch reaches to 99.
    let stretch = Stretch { from: 40, given: Some(60), next: 100, written_ms: UNIX - 1000 };
    play.fact(Fact::Fetched { at: t0(), by: Some(ALICE), committed_only: false, stretch, ends: high(100) });
    play.commit("g", 60);
    assert_eq!(play.lag("g"), (Some(0), Some(0.0)));
}

#[test]
fn what_retention_took_is_no_lag_and_what_is_left_is() {
    let mut play = Play::new();
    play.produce(0, 100).commit("g", 10).wait(5.0).produce(100, 200).wait(1.0);
    play.ask(Ends { high: 200, stable: 200, start: 50 });
    let row = play.row("g");
    assert_eq!((row.lag, row.seconds, row.margin), (Some(150), Some(6.0), Some(0.0)));
    play.ask(Ends { high: 200, stable: 200, start: 200 });
    assert_eq!(play.lag("g"), (Some(0), Some(0.0)));
}

#[test]
fn the_margin_is_how_much_younger_the_first_record_is_than_the_log() {
    let mut play = Play::new();
    play.produce(0, 10).wait(30.0).produce(10, 20).commit("g", 10).commit("slow", 0).wait(5.0).ask(high(20));
    assert_eq!((play.row("g").margin, play.row("slow").margin), (Some(30.0), Some(0.0)));
}

#[test]
fn an_empty_partition_has_no_lag() {
    let mut play = Play::new();
    play.ask(Ends { high: 0, stable: 0, start: 0 }).commit("g", 0);
    assert_eq!(play.lag("g"), (Some(0), Some(0.0)));
}

#[test]
fn a_topic_that_is_deleted_goes_at_once_and_made_again_starts_anew() {
    let mut play = Play::new();
    play.produce(0, 100).commit("g", 50);
    play.places(&[]);
    assert!(play.rows().is_empty() && !play.text(Wanted::default()).contains("topic=\"t\""));
    play.places(&[place("t", 1)]);
    play.produce(0, 100).commit("g", 50);
    play.places(&[place("t", 2)]);
    assert!(play.rows().is_empty());
    play.produce(0, 3).commit("g", 1);
    assert_eq!(play.lag("g").0, Some(2));
}

#[test]
fn a_fact_of_a_topic_that_is_about_to_be_known_waits_for_it() {
    let mut play = Play::new();
    let new = at("new", 1);
    play.fact(Fact::Acknowledged { at: new, base: 0, next: 5, bytes: 1, transaction: None });
    play.fact(Fact::Committed { group: text("g"), of: [(new, 1), (t0(), 0)].into(), anew: true });
    play.places(&[place("t", 1), place("new", 3)]);
    let row = play.rows().into_iter().find(|row| row.topic.as_str() == "new").unwrap();
    assert_eq!((row.partition, row.lag), (1, Some(4)));
}

#[test]
fn a_group_may_begin_again_further_back_or_ahead() {
    let mut play = Play::new();
    play.beat("g", ALICE).produce(0, 100).wait(10.0).produce(100, 200).fetch(ALICE, 0, 200, high(200));
    play.commit("g", 200).commit("g", 50);
    assert_eq!((play.lag("g"), play.row("g").fetched), ((Some(150), Some(10.0)), None));
    play.commit("g", 180);
    assert_eq!(play.lag("g"), (Some(20), Some(0.0)));
}

#[test]
fn a_group_or_its_offsets_that_are_deleted_go_at_once() {
    let mut play = Play::new();
    play.produce(0, 10).commit("a", 5).commit("b", 5).commit("c", 5);
    play.fact(Fact::GroupGone { group: text("a") });
    play.fact(Fact::OffsetsGone { group: text("b"), of: [t0()].into() });
    assert_eq!(play.groups(), ["c"]);
    play.hear("c", -1);
    assert!(play.rows().is_empty());
    play.commit("a", 7);
    assert_eq!(play.lag("a").0, Some(3), "and may come again");
}

#[test]
fn a_topic_that_a_group_no_longer_reads_is_no_business_of_it() {
    let mut play = Play::new();
    let reads = |topics: &[&str]| {
        let topics = topics.iter().map(|topic| topic_key(topic, Uuid::nil())).collect();
        Fact::Subscribed { group: text("g"), member: 1, topics }
    };
    play.places(&[place("t", 1), place("u", 2)]);
    play.produce(0, 10).fact(reads(&["t", "u"])).commit("g", 5);
    assert_eq!(play.groups(), ["g"]);
    play.fact(reads(&["u"]));
    assert!(play.rows().is_empty());
    play.hear("g", 5);
    assert!(play.rows().is_empty(), "the coordinator still has its offset");
    play.fact(reads(&["t"]));
    assert_eq!(play.groups(), ["g"]);
    play.fact(Fact::Left { group: text("g"), member: 1 });
    assert_eq!(play.groups(), ["g"], "who stopped has not unsubscribed");
}

#[test]
fn who_reads_a_topic_that_its_group_does_not_reads_it_for_itself() {
    let mut play = Play::new();
    let reads = |topics: &[&str]| {
        let topics = topics.iter().map(|topic| topic_key(topic, Uuid::nil())).collect();
        Fact::Subscribed { group: text("g"), member: ALICE.0, topics }
    };
    play.places(&[place("t", 1), place("u", 2)]);
    play.beat("g", ALICE).fact(reads(&["u"])).produce(0, 10).fetch(ALICE, 0, 4, high(10));
    assert_eq!(play.groups(), ["-"], "a tool under the same name");
    play.fact(reads(&["u", "t"])).fetch(ALICE, 0, 5, high(10));
    assert_eq!(play.groups(), ["g"]);
    play.fact(reads(&["u"]));
    assert!(play.rows().is_empty(), "and what it was handed before counts no more");
    play.places(&[place("t", 1), place("u", 2), place("v", 3)]);
    play.fact(reads(&["t"]));
    assert_eq!(play.groups(), ["g"]);
}

#[test]
fn what_a_group_reads_is_found_out_once_for_many_facts() {
    let mut play = Play::new();
    play.produce(0, 10).commit("g", 5);
    let (of, noted_at) = (t0().topic, play.now().at);
    let reads = |member| Fact::Subscribed { group: text("g"), member, topics: [of].into() };
    play.ledger.apply((0..10_000).map(|member| Noted { at: noted_at, fact: reads(member) }));
    assert!(play.ledger.groups.take_dirty().is_empty());
    assert_eq!(play.groups(), ["g"]);
    play.fact(reads(3));
    assert!(play.ledger.groups.iter().all(|(_, group)| !group.is_dirty));
}

#[test]
fn commits_past_us_are_heard_by_asking_and_an_old_answer_undoes_nothing() {
    let mut play = Play::new();
    play.produce(0, 10).commit("g", 8).wait(0.1).hear("g", 5);
    assert_eq!(play.row("g").committed, Some(8), "it was asked before that commit");
    play.wait(60.0).hear("g", 5);
    assert_eq!(play.row("g").committed, Some(5), "somebody has reset it");
    play.hear("g", 9);
    assert_eq!(play.lag("g").0, Some(1));
}

#[test]
fn what_a_coordinator_no_longer_has_goes() {
    let mut play = Play::new();
    play.produce(0, 10).commit("g", 5).commit("h", 5).wait(60.0);
    let asked = play.now().at;
    play.holds("g", &[(at("t", 1), 3)], asked);
    let rows: Vec<_> = play.rows().iter().map(|row| (row.group.to_string(), row.partition)).collect();
    assert_eq!(rows, [("h".to_owned(), 0), ("g".to_owned(), 1)]);
    play.holds("h", &[], asked);
    assert_eq!(play.groups(), ["g"]);
    play.holds("never", &[], asked).holds("g", &[(at("never", 0), 3), (at("t", 1), -1)], asked);
    assert!(play.rows().is_empty(), "-1 is none");
}

#[test]
fn what_a_coordinator_said_before_its_group_spoke_changes_nothing() {
    let mut play = Play::new();
    play.produce(0, 10);
    let asked = play.now().at;
    play.wait(30.0).commit("g", 5).wait(30.0).holds("g", &[(t0(), 8)], asked);
    assert_eq!(play.row("g").committed, Some(5), "it was reset since");
    play.holds("g", &[(t0(), 2)], asked).holds("g", &[], asked);
    assert_eq!(play.row("g").committed, Some(5));
    play.holds("g", &[(t0(), 2)], play.now().at);
    assert_eq!(play.row("g").committed, Some(2), "and this was asked since");
}

#[test]
fn an_answer_from_before_a_deletion_brings_nothing_back() {
    let mut play = Play::new();
    play.produce(0, 10).commit("a", 5).commit("b", 5).wait(10.0);
    let asked = play.now().at;
    play.wait(1.0).fact(Fact::GroupGone { group: text("a") });
    play.fact(Fact::OffsetsGone { group: text("b"), of: [t0()].into() }).wait(1.0);
    play.holds("a", &[(t0(), 5)], asked).holds("b", &[(t0(), 5)], asked);
    assert!(play.rows().is_empty());
    play.holds("a", &[(t0(), 7)], play.now().at);
    assert_eq!(play.lag("a").0, Some(3), "it was made again");
}

#[test]
fn groups_that_their_home_no_longer_lists_go() {
    let mut play = Play::new();
    play.aim().produce(0, 10).commit("a", 5).commit("b", 5).wait(10.0);
    let listed = |play: &mut Play, cluster, ago: f64| {
        let asked = play.now().at.checked_sub(Duration::from_secs_f64(ago)).unwrap();
        play.fact(Fact::Listed { cluster, groups: [text("a")].into(), asked });
        play.groups()
    };
    assert_eq!(listed(&mut play, slot(1), 0.0), ["a", "b"], "another cluster need not know it");
    assert_eq!(listed(&mut play, slot(0), 10.0), ["a", "b"], "it spoke since");
    assert_eq!(listed(&mut play, slot(0), 0.0), ["a"]);
}

#[test]
fn records_written_past_us_are_at_most_as_old_as_the_last_look() {
    let mut play = Play::new();
    play.ask(high(10)).commit("g", 10).wait(60.0).ask(high(20)).wait(2.0);
    assert_eq!((play.lag("g"), play.row("g").source), ((Some(10), Some(62.0)), Source::Noticed));
}

#[test]
fn after_a_restart_records_have_their_own_time_until_we_see_newer_ones() {
    let mut play = Play::new();
    play.ask(high(100)).hear("g", 40).wait(1.0);
    assert_eq!((play.lag("g"), play.row("g").source), ((Some(60), None), Source::Unknown));
    assert_eq!(play.ledger.unknown(1, |_| false, play.now())[0].offset, 40);
    let stretch = Stretch { from: 40, given: Some(45), next: 45, written_ms: UNIX - 9000 };
    play.fact(Fact::Fetched { at: t0(), by: None, committed_only: false, stretch, ends: high(100) });
    assert_eq!((play.lag("g"), play.row("g").source), ((Some(60), Some(10.0)), Source::RecordTime));
    play.produce(100, 110).commit("g", 100).wait(1.0);
    assert_eq!((play.lag("g"), play.row("g").source), ((Some(10), Some(1.0)), Source::Arrival));
}

#[test]
fn a_group_that_never_commits_has_the_lag_of_what_it_was_handed() {
    let mut play = Play::new();
    play.beat("g", ALICE).produce(0, 10).fetch(ALICE, 0, 4, high(10)).fetch(BOB, 0, 7, high(10)).wait(1.0);
    assert_eq!((play.lag("g"), play.lag("-")), ((Some(6), Some(1.0)), (Some(3), Some(1.0))));
    assert_eq!((play.row("g").committed, play.row("g").fetched), (None, Some(4)));
    play.wait(61.0);
    assert_eq!(play.groups(), ["g"], "who belongs to no group is not waited for");
}

#[test]
fn a_producer_that_waits_for_no_answer_is_seen_by_the_end_that_moves() {
    let mut play = Play::new();
    play.beat("g", ALICE).fetch(ALICE, 0, 0, high(0)).commit("g", 0).wait(0.5);
    play.fetch(ALICE, 0, 0, high(0)).wait(0.5).fetch(ALICE, 0, 8, high(8)).wait(1.0);
    assert_eq!(play.lag("g"), (Some(8), Some(1.5)));
}

#[test]
fn why_a_group_is_behind_is_told() {
    let mut play = Play::new();
    play.beat("g", ALICE).produce(0, 10).commit("g", 0);
    assert_eq!(play.row("g").why, Why::NotFetched);
    play.fetch(ALICE, 0, 9, high(10));
    assert_eq!(play.row("g").why, Why::NotCommitted);
    play.fact(Fact::Throttled { by: ALICE, ms: 100 });
    assert_eq!(play.row("g").why, Why::Throttled);
    play.wait(61.0).beat("g", ALICE);
    assert_eq!(play.row("g").why, Why::NotCommitted);
    play.commit("g", 10).wait(120.0).beat("g", ALICE).produce(10, 1000);
    assert_eq!(play.row("g").why, Why::Surge);
}

#[test]
fn records_that_are_committed_too_late_are_counted() {
    let mut play = Play::new();
    play.aim().commit("g", 0).produce(0, 10).wait(3.0).produce(10, 15).wait(3.0).commit("g", 12);
    assert_eq!(play.level()[..2], ["12", "10"]);
    play.hear("g", 14);
    assert_eq!(play.level()[..2], ["12", "10"], "what was committed past us came in nobody knows what time");
}

#[test]
fn seconds_in_which_a_record_waits_too_long_are_counted_while_the_consumer_is_dead() {
    let mut play = Play::new();
    play.aim().commit("g", 0).produce(0, 10);
    for _ in 0..20 {
        play.wait(1.0);
        play.ledger.tick(play.now());
    }
    assert_eq!(play.level(), ["0", "0", "20", "15"]);
}

#[test]
fn nothing_to_read_is_believed_as_long_as_somebody_confirms_it() {
    let mut play = Play::new();
    play.produce(0, 10).commit("g", 10).commit("h", 4).wait(180.0);
    assert_eq!(play.lag("g"), (Some(0), Some(0.0)));
    play.wait(1.0);
    assert_eq!((play.lag("g"), play.row("g").source), ((Some(0), None), Source::Unknown));
    assert_eq!(play.lag("h"), (Some(6), Some(181.0)), "what waits only grows older");
    let text = play.text(Wanted::default());
    assert!(text.contains("fishplate_lag_unknown{reason=\"stale\"} 1\n"), "{text}");
    assert!(text.contains("fishplate_lag_unknown{reason=\"time\"} 0\n"));
    play.ask(high(10));
    assert_eq!(play.lag("g"), (Some(0), Some(0.0)));
}

#[test]
fn seconds_are_late_by_when_the_end_was_noticed_to_move_and_no_sooner() {
    let mut play = Play::new();
    play.aim().ask(high(0)).commit("g", 0).wait(60.0).ask(high(10));
    let watched = |play: &mut Play| {
        play.ledger.tick(play.now());
        play.level()[2..].to_vec()
    };
    assert_eq!(play.lag("g").1, Some(60.0), "it may be so old");
    assert_eq!(watched(&mut play)[1], "0", "but need not be");
    play.wait(5.0);
    assert_eq!(watched(&mut play), ["65", "0"]);
    play.wait(1.0);
    assert_eq!(watched(&mut play), ["66", "1"]);
}

#[test]
fn who_knows_no_end_tells_none() {
    let mut play = Play::new();
    play.hear("g", 10);
    assert_eq!(play.lag("g"), (None, None));
    let text = play.text(Wanted::default());
    assert!(
        text.contains("fishplate_lag_unknown{reason=\"end\"} 1\n") && !text.contains("fishplate_group_lag_records{")
    );
}

#[test]
fn of_too_many_the_worst_are_shown_and_sums_are_of_all_pairs() {
    let mut play = Play::new();
    play.produce(0, 100).commit("a", 90).commit("b", 10).commit("c", 50);
    let text = play.text(Wanted { max_pairs: 2, compatibility: false });
    let shown = |group: &str| {
        text.contains(&format!(
            "lag_records{{pipeline=\"orders\",cluster=\"east\",group=\"{group}\",topic=\"t\",partition"
        ))
    };
    assert_eq!(["a", "b", "c"].map(shown), [false, true, true]);
    assert!(text.contains("fishplate_lag_pairs 3\n") && text.contains("fishplate_lag_pairs_hidden 1\n"));
    let sums = |family: &str| text.lines().filter(|line| line.starts_with(&format!("{family}{{"))).count();
    assert_eq!(["fishplate_topic_lag_records", "fishplate_pipeline_lag_records"].map(sums), [2, 2]);
    let text = play.text(Wanted { max_pairs: 1, compatibility: true });
    assert!(text.contains("fishplate_pipeline_lag_records{pipeline=\"orders\",group=\"b\"} 90\n"));
    assert_eq!(text.matches("\nfishplate_group_members{").count(), 0);
    play.aim().beat("a", ALICE).beat("b", ALICE).beat("c", ALICE);
    let text = play.text(Wanted { max_pairs: 1, compatibility: true });
    for family in ["fishplate_group_members", "fishplate_slo_records_total", "kafka_consumergroup_group_max_lag"] {
        assert_eq!(text.matches(&format!("\n{family}{{")).count(), 1, "{family}");
    }
}

#[test]
fn a_topic_that_nobody_knows_keeps_no_other_waiting_for_long() {
    let mut play = Play::new();
    let lost = |index| Fact::Committed { group: text("g"), of: [(at("never", index), 1)].into(), anew: true };
    (0..5000).for_each(|index| {
        play.fact(lost(index));
    });
    play.wait(11.0).produce(0, 10);
    play.fact(Fact::Committed { group: text("h"), of: [(at("u", 0), 1)].into(), anew: true });
    play.places(&[place("t", 1), place("u", 2)]);
    assert_eq!(play.groups(), ["h"]);
}

#[test]
fn groups_that_there_is_no_room_for_are_counted() {
    let mut play = Play::new();
    (0..100_002).for_each(|number| {
        play.fact(Fact::Stands { group: text(&number.to_string()), has_members: true });
    });
    assert!(play.text(Wanted::default()).contains("fishplate_lag_unknown{reason=\"no_room\"} 2\n"));
}

#[test]
fn what_need_not_be_asked_for_keeps_nothing_else_from_being_asked() {
    let mut play = Play::new();
    play.ask(high(100)).hear("g", 40).fact(Fact::Fetched {
        at: at("t", 1),
        by: None,
        committed_only: false,
        stretch: NOWHERE,
        ends: high(10),
    });
    play.fact(Fact::Committed { group: text("g"), of: [(at("t", 1), 4)].into(), anew: false });
    let first = |left_out: Partition| play.ledger.unknown(1, |one| one.at == left_out, play.now())[0].at;
    assert_eq!([first(at("t", 1)), first(t0())], [t0(), at("t", 1)]);
}

#[test]
fn every_family_is_written_as_the_table_says() {
    let mut play = Play::new();
    play.aim().beat("g", ALICE).produce(0, 10).wait(1.0).fetch(ALICE, 0, 7, high(10)).commit("g", 5).wait(1.0);
    play.ledger.tick(play.now());
    let text = play.text(Wanted { max_pairs: 10, compatibility: true });
    for family in families::ALL {
        let head = format!("# HELP {} {}\n# TYPE {} ", family.name, family.help, family.name);
        assert_eq!(text.matches(&head).count(), 1, "{}:\n{text}", family.name);
        let start = format!("{}{}", family.name, if family.labels.is_empty() { " " } else { "{" });
        let line = text.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{start}\n{text}"));
        let names: Vec<_> = line.split("=\"").map(|part| part.rsplit(['{', ',']).next().unwrap()).collect();
        assert_eq!(&names[..names.len() - 1], family.labels, "{line}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn names_that_need_it_are_escaped() {
    let mut play = Play::new();
    play.produce(0, 10).commit("a\"b\\c\nd", 5);
    assert!(play.text(Wanted::default()).contains("group=\"a\\\"b\\\\c\\nd\""));
}

fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -1i64..60, 1 => any::<i64>()]
}

fn stretch() -> impl Strategy<Value = Stretch> {
    (offset(), prop::option::of(offset()), offset(), offset()).prop_map(|(from, given, next, written_ms)| Stretch {
        from,
        given,
        next,
        written_ms,
    })
}

fn ends() -> impl Strategy<Value = Ends> {
    (offset(), offset(), offset()).prop_map(|(high, stable, start)| Ends { high, stable, start })
}

fn partition() -> impl Strategy<Value = Partition> {
    (prop_oneof![Just("t"), Just("u"), Just("never")], -1i32..3).prop_map(|(topic, index)| at(topic, index))
}

fn group() -> impl Strategy<Value = StrBytes> {
    prop_oneof![Just("a"), Just("b"), Just("-")].prop_map(text)
}

fn fact() -> impl Strategy<Value = Fact> {
    let reader = || (0u64..3).prop_map(Reader);
    let offsets = || prop::collection::vec((partition(), offset()), 0..3).prop_map(Vec::into_boxed_slice);
    prop_oneof![
        (partition(), offset(), offset(), any::<u32>(), prop::option::of(0i64..3)).prop_map(
            |(at, base, next, bytes, producer)| Fact::Acknowledged {
                at,
                base,
                next,
                bytes,
                transaction: producer.map(on_a)
            }
        ),
        (partition(), prop::option::of(reader()), any::<bool>(), stretch(), ends()).prop_map(
            |(at, by, committed_only, stretch, ends)| Fact::Fetched { at, by, committed_only, stretch, ends }
        ),
        (reader(), any::<u32>()).prop_map(|(by, ms)| Fact::Throttled { by, ms }),
        (group(), offsets(), any::<bool>()).prop_map(|(group, of, anew)| Fact::Committed { group, of, anew }),
        (group(), 0i64..3, offsets()).prop_map(|(group, producer, of)| Fact::CommitsWith {
            group,
            producer: on_a(producer),
            of
        }),
        (0i64..3, any::<bool>()).prop_map(|(producer, committed)| Fact::Ended { producer: on_a(producer), committed }),
        (group(), 0u64..3, reader(), any::<u32>()).prop_map(|(group, member, by, within_ms)| Fact::Beat {
            group,
            member,
            by,
            within_ms
        }),
        (group(), 0u64..3).prop_map(|(group, member)| Fact::Left { group, member }),
        (group(), 0u64..3, prop::collection::vec(partition(), 0..2)).prop_map(|(group, member, of)| {
            let topics = of.into_iter().map(|partition| partition.topic).collect();
            Fact::Subscribed { group, member, topics }
        }),
        (group(), offsets()).prop_map(|(group, of)| Fact::Holds { group, of, asked: Instant::now() }),
        prop::collection::vec(group(), 0..2).prop_map(|groups| Fact::Listed {
            cluster: slot(0),
            groups: groups.into(),
            asked: Instant::now() + Duration::from_secs(600)
        }),
        (group(), any::<bool>()).prop_map(|(group, has_members)| Fact::Stands { group, has_members }),
        group().prop_map(|group| Fact::GroupGone { group }),
        (group(), prop::collection::vec(partition(), 0..2))
            .prop_map(|(group, of)| Fact::OffsetsGone { group, of: of.into() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever facts come: no value is negative or NaN, no series stands twice, and nothing panics.
    #[test]
    fn nonsense_is_never_told(steps in prop::collection::vec((fact(), 0u64..90_000, 0u8..20), 0..60)) {
        let mut play = Play::new();
        play.aim();
        for (fact, pause, what) in steps {
            play.ms += pause;
            play.fact(fact);
            match what {
                0 => play.places(&[place("t", 1), place("u", 2)]),
                1 => play.places(&[place("t", 3)]),
                2 => { play.ledger.tick(play.now()); }
                _ => {}
            }
            for row in play.rows() {
                prop_assert!(row.lag.is_none_or(|lag| lag >= 0) && row.seconds.is_none_or(|seconds| seconds >= 0.0));
                prop_assert!(row.committed.is_none_or(|committed| committed >= 0));
                prop_assert!(row.lag != Some(0) || row.seconds.is_none_or(|seconds| seconds == 0.0));
            }
            let _ = play.ledger.unknown(10, |_| false, play.now());
        }
        let text = play.text(Wanted { max_pairs: 3, compatibility: true });
        let mut met = BTreeSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            prop_assert!(met.insert(series), "{}", series);
            prop_assert!(value.parse::<f64>().is_ok_and(|value| value.is_finite() && value >= 0.0), "{}", line);
        }
    }
}

#[test]
fn producers_of_two_clusters_may_have_one_id() {
    // Given an open transaction here, and one on another cluster whose producer has the same id
    let mut play = Play::new();
    play.produce(0, 10).commit("g", 10).produce_in(3, 10, 15);
    let elsewhere = (slot(1), 3);
    // When the other one is aborted
    play.fact(Fact::Ended { producer: elsewhere, committed: false });
    // Then this one is still open, and its records count when it is committed
    assert_eq!(play.lag("g").0, Some(5));
    play.end_transaction(3, true);
    assert_eq!(play.lag("g").0, Some(5));
}
