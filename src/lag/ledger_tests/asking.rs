//! What went past us, and what clusters say when they are asked.

use super::*;

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
    let stretch = Stretch { from: 40, given: Some((40, 45)), next: 45, written_ms: UNIX - 9000 };
    play.fact(handed(None, stretch, high(100)));
    assert_eq!((play.lag("g"), play.row("g").source), ((Some(60), Some(10.0)), Source::RecordTime));
    play.produce(100, 110).commit("g", 100).wait(1.0);
    assert_eq!((play.lag("g"), play.row("g").source), ((Some(10), Some(1.0)), Source::Arrival));
}

#[test]
fn a_producer_that_waits_for_no_answer_is_seen_by_the_end_that_moves() {
    let mut play = Play::new();
    play.beat("g", ALICE).fetch(ALICE, 0, 0, high(0)).commit("g", 0).wait(0.5);
    play.fetch(ALICE, 0, 0, high(0)).wait(0.5).fetch(ALICE, 0, 8, high(8)).wait(1.0);
    assert_eq!(play.lag("g"), (Some(8), Some(1.5)));
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
fn what_need_not_be_asked_for_keeps_nothing_else_from_being_asked() {
    let mut play = Play::new();
    let other = Handed { at: at("t", 1), stretch: NOWHERE, ends: high(10) };
    let fact = Fact::Fetched { by: None, committed_only: false, of: [other].into() };
    play.ask(high(100)).hear("g", 40).fact(fact);
    play.fact(Fact::Committed { group: text("g"), of: [(at("t", 1), 4)].into(), anew: false });
    let first = |left_out: Partition| play.ledger.unknown(1, |one| one.at == left_out, play.now())[0].at;
    assert_eq!([first(at("t", 1)), first(t0())], [t0(), at("t", 1)]);
}

#[test]
fn after_a_restart_a_topic_that_a_group_has_dropped_is_never_its_lag() {
    let both = [(t0(), 5), (at("u", 0), 5)];
    for members_first in [true, false] {
        let mut play = Play::new();
        play.places(&[place("t", 1), place("u", 2)]);
        play.ask(high(10));
        let asked = play.now().at;
        // When its members are told before what it has committed, as a sweep does, or behind it
        if members_first {
            play.described("g", &[(1, &["t"])], asked).holds("g", &both, asked);
        } else {
            play.holds("g", &both, asked).described("g", &[(1, &["t"])], asked);
        }
        // Then what they read is its lag, and nothing else, also when all is told again
        let topics = |play: &Play| play.rows().iter().map(|row| row.topic.to_string()).collect::<Vec<_>>();
        assert_eq!(topics(&play), ["t"], "{members_first}");
        let asked = play.wait(60.0).now().at;
        play.described("g", &[(1, &["t"])], asked).holds("g", &both, asked);
        assert_eq!(topics(&play), ["t"], "{members_first}");
        // And when they read it again, it is
        let asked = play.wait(60.0).now().at;
        play.described("g", &[(1, &["t"]), (2, &["u"])], asked).holds("g", &both, asked);
        assert_eq!(topics(&play).len(), 2, "{members_first}");
        // And when they stop, they have not unsubscribed
        play.wait(60.0).fact(Fact::Stands { group: text("g"), has_members: false });
        assert_eq!(topics(&play).len(), 2, "{members_first}");
    }
}

#[test]
fn members_that_do_not_pass_by_read_what_those_that_do_have_dropped() {
    let mut play = Play::new();
    let reads = |topics: &[&str]| {
        let topics = Some(topics.iter().map(|topic| topic_key(topic, Uuid::nil())).collect());
        Fact::Subscribed { group: text("g"), member: ALICE.0, topics }
    };
    play.places(&[place("t", 1), place("u", 2)]);
    play.produce(0, 10).beat("g", ALICE).fact(reads(&["t", "u"])).commit("g", 5).wait(1.0);
    let asked = play.now().at;
    play.described("g", &[(ALICE.0, &["t", "u"]), (BOB.0, &["t"])], asked).wait(1.0);
    play.fact(reads(&["u"]));
    assert_eq!(play.groups(), ["g"], "the other one still does");
    let asked = play.wait(1.0).now().at;
    play.described("g", &[(ALICE.0, &["u"]), (BOB.0, &["u"])], asked);
    assert!(play.rows().is_empty());
}

#[test]
fn what_is_told_of_members_of_a_group_that_was_deleted_since_says_nothing() {
    let mut play = Play::new();
    let asked = play.now().at;
    play.wait(1.0).fact(Fact::GroupGone { group: text("g") }).described("g", &[(1, &["t"])], asked);
    assert!(play.ledger.groups.find(&text("g")).is_none());
}
