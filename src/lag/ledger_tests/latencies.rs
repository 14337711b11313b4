//! How long batches take, and groups between their commits.

use super::*;

impl Play {
    /// How many of a topic's family there were in all, and up to this many seconds.
    fn counted(&self, family: &str, bound: &str) -> (u64, u64) {
        let text = self.text(Wanted::default());
        let value =
            |start: &str| text.lines().find_map(|line| line.strip_prefix(start)?.rsplit(' ').next()?.parse().ok());
        let of = "{pipeline=\"orders\",cluster=\"east\",topic=\"t\"";
        let all = value(&format!("fishplate_topic_{family}_duration_seconds_count{of}")).unwrap_or(0);
        (all, value(&format!("fishplate_topic_{family}_duration_seconds_bucket{of},le=\"{bound}\"")).unwrap_or(0))
    }

    pub(super) fn delivered(&self, bound: &str) -> (u64, u64) {
        self.counted("delivery", bound)
    }

    /// Seconds between a group's commits, and how many.
    pub(super) fn intervals(&self, group: &str) -> Option<(String, String)> {
        let text = self.text(Wanted::default());
        let value = |part| {
            let start =
                format!("fishplate_group_commit_interval_seconds_{part}{{pipeline=\"orders\",group=\"{group}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
        };
        Some((value("sum")?, value("count")?))
    }
}

#[test]
fn each_batch_is_counted_by_how_long_its_request_took() {
    let mut play = Play::new();
    play.wait(10.0).produce_in_ms(0, 0, 10).produce_in_ms(4, 10, 20).produce_in_ms(700, 20, 30).produce(30, 40);
    assert_eq!(play.counted("produce", "0.0005"), (3, 1), "of one it is not known");
    assert_eq!(play.counted("produce", "0.005"), (3, 2));
    assert_eq!(play.counted("produce", "1"), (3, 3));
}

#[test]
fn what_a_reader_is_handed_is_counted_by_how_long_it_was_there() {
    let mut play = Play::new();
    play.produce(0, 10).wait(0.02).fetch(ALICE, 0, 10, high(10)).wait(7.0).fetch(BOB, 0, 10, high(10));
    assert_eq!(play.delivered("0.025"), (2, 1));
    assert_eq!(play.delivered("30"), (2, 2));
    // Neither an answer without records, nor our own asking
    play.fetch(ALICE, 10, 10, high(10)).ask(high(10));
    assert_eq!(play.delivered("30").0, 2);
}

#[test]
fn a_reader_that_was_sooner_than_the_acknowledgement_waited_for_nothing() {
    let mut play = Play::new();
    play.ask(high(0)).wait(1.0).fetch(ALICE, 0, 10, high(10));
    assert_eq!(play.delivered("0.001"), (0, 0));
    play.wait(0.003).produce(0, 10);
    assert_eq!(play.delivered("0.001"), (1, 1));
    // Once, and not where it comes too late to be that one's
    play.produce(10, 20).fetch(ALICE, 20, 30, high(30)).wait(60.0).produce(20, 30);
    assert_eq!(play.delivered("0.001"), (1, 1));
}

#[test]
fn what_went_past_is_not_counted() {
    let mut play = Play::new();
    play.ask(high(10)).fetch(ALICE, 0, 10, high(10)).wait(5.0).ask(high(20)).wait(1.0).fetch(ALICE, 10, 20, high(20));
    assert_eq!(play.delivered("600"), (0, 0));
    assert!(!play.text(Wanted::default()).contains("_duration_seconds"));
}

#[test]
fn latencies_go_with_their_topic() {
    let mut play = Play::new();
    play.produce_in_ms(3, 0, 10).fetch(ALICE, 0, 10, high(10));
    play.places(&[place("t", 2)]);
    assert!(!play.text(Wanted::default()).contains("_duration_seconds"));
}

#[test]
fn the_commit_interval_is_that_of_commits_which_the_group_said_itself() {
    let mut play = Play::new();
    play.produce(0, 100).commit("g", 0).wait(5.0).commit("g", 10).wait(5.0).hear("g", 20).wait(2.0).commit("g", 30);
    assert_eq!(play.intervals("g"), Some(("12".into(), "2".into())));
    play.commit("h", 10);
    assert_eq!(play.intervals("h"), None);
    let ago = |play: &Play, group| play.row(group).committed_ago;
    play.hear("i", 10).wait(3.0);
    assert_eq!([ago(&play, "g"), ago(&play, "h"), ago(&play, "i")], [Some(3.0), Some(3.0), None]);
}

#[test]
fn offsets_that_a_transaction_commits_are_commits() {
    let mut play = Play::new();
    play.produce(0, 100).commit("g", 0).wait(1.0);
    play.fact(Fact::CommitsWith { group: text("g"), producer: on_a(1), of: [(t0(), 10)].into() });
    play.wait(1.0).end_transaction(1, true);
    assert_eq!(play.intervals("g"), Some(("2".into(), "1".into())));
}

#[test]
fn intervals_go_with_what_the_group_reads() {
    let both = || {
        let mut play = Play::new();
        play.produce(0, 100).commit("g", 0).wait(1.0).commit("g", 10);
        assert!(play.intervals("g").is_some());
        play
    };
    let mut play = both();
    play.places(&[place("u", 3)]);
    assert_eq!(play.intervals("g"), None, "its topic is deleted");
    let mut play = both();
    play.fact(Fact::GroupGone { group: text("g") });
    assert_eq!(play.intervals("g"), None);
    let mut play = both();
    play.fact(Fact::OffsetsGone { group: text("g"), of: [t0()].into() });
    assert_eq!(play.intervals("g"), None);
    let mut play = both();
    let topics = Some([at("other", 0).topic].into());
    play.beat("g", ALICE).fact(Fact::Subscribed { group: text("g"), member: ALICE.0, topics });
    assert_eq!(play.intervals("g"), None, "it reads another");
}

#[test]
fn what_came_a_moment_ago_is_dated_to_the_millisecond() {
    let mut play = Play::new();
    // Given two batches of one run of times, 19 ms apart
    play.produce(0, 10).wait(0.019).produce(10, 1010);
    // When a reader is handed the second a millisecond later
    play.wait(0.001).fetch(ALICE, 10, 1010, high(1010));
    // Then that is what it waited
    assert_eq!(play.delivered("0.001"), (1, 1));
}

#[test]
fn a_marker_before_records_that_are_handed_out_is_none_of_them() {
    let mut play = Play::new();
    play.produce_in(7, 0, 10).end_transaction(7, true).wait(60.0).produce(11, 20);
    play.fact(handed(Some(ALICE), Stretch { from: 10, given: Some((11, 20)), next: 20, written_ms: -1 }, high(20)));
    assert_eq!(play.delivered("0.001"), (1, 1));
}

#[test]
fn an_interval_begins_when_the_end_was_seen_to_have_moved_where_nobody_saw_more() {
    let mut play = Play::new();
    play.ask(high(0)).commit("g", 0).wait(3540.0).ask(high(0)).wait(60.0);
    play.fetch(ALICE, 0, 10, high(10)).wait(5.0).commit("g", 10);
    assert_eq!(play.intervals("g"), Some(("5".to_owned(), "1".to_owned())));
}
