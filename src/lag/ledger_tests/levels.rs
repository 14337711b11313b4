//! Promises, and what became of them.

use super::*;

#[test]
fn records_that_are_committed_too_late_are_counted() {
    let mut play = Play::new();
    play.aim().commit("g", 0).produce(0, 10).wait(3.0).produce(10, 15).wait(3.0).commit("g", 12);
    assert_eq!(play.level()[..2], ["12", "10"]);
    play.hear("g", 14);
    assert_eq!(play.level()[..2], ["12", "10"], "what was committed past us came in nobody knows what time");
}

#[test]
fn what_came_in_many_batches_is_counted_by_when_each_came() {
    let mut play = Play::new();
    play.aim().commit("g", 0);
    for offset in 0..300 {
        play.produce(offset, offset + 1).wait(0.04);
    }
    play.commit("g", 300);
    let counted: Vec<i64> = play.level()[..2].iter().map(|count| count.parse().unwrap()).collect();
    // The last five seconds' are in time: 125 batches
    assert_eq!(counted[0], 300);
    assert!((170..=180).contains(&counted[1]), "{counted:?}");
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
fn what_another_replica_owns_it_counts_and_tells_and_asks_about_itself() {
    // Given a replica that owns the second partition alone
    let mut play = Play::new();
    play.ledger.owner = |at| if at.index == 1 { Owner::Me } else { Owner::Other };
    let commit =
        |index, offset| Fact::Committed { group: text("g"), of: [(at("t", index), offset)].into(), anew: true };
    let produce = |index| written(at("t", index), 0, 10, None);
    play.aim();
    for index in [0, 1] {
        play.fact(commit(index, 0)).fact(produce(index));
    }
    play.wait(6.0).fact(commit(1, 10)).wait(4.0);
    // When the other one waits for too long, and is committed too late
    play.ledger.tick(play.now());
    play.fact(commit(0, 4));
    // Then none of that is counted or told here
    assert_eq!(play.level(), ["10", "10", "10", "0"]);
    assert_eq!(play.rows().iter().map(|row| row.partition).collect::<Vec<_>>(), [1]);
    assert_eq!(play.intervals("g").map(|(_, count)| count).as_deref(), Some("1"));
    play.fact(Fact::Fetched {
        by: Some(ALICE),
        committed_only: false,
        of: [0, 1]
            .map(|index| Handed {
                at: at("t", index),
                stretch: Stretch { from: 0, given: Some((0, 10)), next: 10, written_ms: -1 },
                ends: high(10),
            })
            .into(),
    });
    assert_eq!(play.delivered("600").0, 1);
    assert_eq!(play.ledger.unknown(10, |_| false, play.now()), []);
}

#[test]
fn a_control_record_where_a_group_stands_is_no_late_record() {
    let mut play = Play::new();
    play.aim().commit("g", 0).produce_in(7, 0, 10).end_transaction(7, true);
    // Its marker is seen when somebody is shown it
    play.fetch(ALICE, 10, 10, high(11));
    play.fact(handed(Some(ALICE), Stretch { from: 10, given: None, next: 11, written_ms: -1 }, high(11)));
    play.commit("g", 10).wait(3600.0).produce_in(7, 11, 12).wait(1.0).commit("g", 12);
    assert_eq!(play.level()[..2], ["11", "0"]);
    assert_eq!(play.intervals("g").unwrap().0, "1", "nor is the hour that one");
}
