//! Groups: how far they are, who is in them, and what they read.

use super::*;

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
        let topics = Some(topics.iter().map(|topic| topic_key(topic, Uuid::nil())).collect());
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
        let topics = Some(topics.iter().map(|topic| topic_key(topic, Uuid::nil())).collect());
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
    let reads = |member| Fact::Subscribed { group: text("g"), member, topics: Some([of].into()) };
    play.ledger.apply((0..10_000).map(|member| Noted { at: noted_at, fact: reads(member) }));
    assert!(play.ledger.groups.take_dirty().is_empty());
    assert_eq!(play.groups(), ["g"]);
    play.fact(reads(3));
    assert!(play.ledger.groups.iter().all(|(_, group)| !group.is_dirty));
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
fn groups_that_there_is_no_room_for_are_counted() {
    let mut play = Play::new();
    (0..100_002).for_each(|number| {
        play.fact(Fact::Stands { group: text(&number.to_string()), has_members: true });
    });
    assert!(play.text(Wanted::default()).contains("fishplate_lag_unknown{reason=\"no_room\"} 2\n"));
}
