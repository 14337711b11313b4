//! Partitions: what there is to read, and topics that come and go.

use super::*;

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
fn holes_of_a_compacted_topic_are_nothing_to_read() {
    let mut play = Play::new();
    play.beat("g", ALICE).ask(high(100)).hear("g", 40);
    // The last record that was left is 59; its batch reaches to 99.
    let stretch = Stretch { from: 40, given: Some((40, 60)), next: 100, written_ms: UNIX - 1000 };
    play.fact(handed(Some(ALICE), stretch, high(100)));
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
    play.fact(written(new, 0, 5, None));
    play.fact(Fact::Committed { group: text("g"), of: [(new, 1), (t0(), 0)].into(), anew: true });
    play.places(&[place("t", 1), place("new", 3)]);
    let row = play.rows().into_iter().find(|row| row.topic.as_str() == "new").unwrap();
    assert_eq!((row.partition, row.lag), (1, Some(4)));
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
fn facts_of_topics_that_nobody_will_know_do_not_keep_those_of_a_new_one_out() {
    let mut play = Play::new();
    for offset in 0..20_000 {
        play.fact(written(at("never", 0), offset, offset + 1, None));
    }
    play.fact(written(at("new", 0), 0, 5, None));
    play.fact(Fact::Committed { group: text("g"), of: [(at("new", 0), 1)].into(), anew: true });
    play.places(&[place("t", 1), place("new", 3)]);
    assert_eq!(play.lag("g").0, Some(4));
}
