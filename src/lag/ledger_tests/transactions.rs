//! Transactions: what nobody is given, and offsets that they commit.

use super::*;

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
    play.fact(handed(None, stretch, high(11)));
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
