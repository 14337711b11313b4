//! Who is told, under traffic of many kinds.

use super::*;
use crate::policy::keys::{Part, Secret};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn talkers() -> Talkers {
    Talkers::new(config::policy::Key::Record, Key::new(vec![Part::RecordKey]))
}

fn hashed(token: &str) -> Hashed {
    Key::of_text(Secret::of("talkers"), [token])
}

fn records(records: u64) -> Counts {
    Counts { records, bytes: 100 * records, ..Counts::default() }
}

/// A batch, of each token so much.
fn say(talkers: &Talkers, of: &[(&str, Counts)], now: Instant) {
    let mut heard = Heard::default();
    for (token, counts) in of {
        heard.add(hashed(token), *counts, |out| {
            out.extend(token.bytes());
            true
        });
    }
    talkers.take(&mut heard, now);
    assert!(heard.is_empty());
}

fn told(top: &Top) -> Vec<(String, u64)> {
    let text = |spoken: &Spoken| String::from_utf8(spoken.text.clone().unwrap_or_default()).unwrap();
    top.keys.iter().map(|spoken| (text(spoken), spoken.counts.records)).collect()
}

fn pairs(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    of.iter().map(|(token, count)| ((*token).to_owned(), *count)).collect()
}

#[test]
fn the_loudest_come_first_by_whatever_is_asked() {
    let (talkers, now) = (talkers(), Instant::now());
    let large = Counts { records: 1, bytes: 5_000, ..Counts::default() };
    let aside = Counts { diverted: 3, ..records(3) };
    let held = Counts { held: 2, ..records(2) };
    say(&talkers, &[("a", records(7)), ("b", large), ("a", records(1)), ("c", aside), ("d", held)], now);
    let by = |by| told(&talkers.top(Span::Minute, by, 2, now));
    assert_eq!(by(By::Records), pairs(&[("a", 8), ("c", 3)]));
    assert_eq!(by(By::Bytes), pairs(&[("b", 1), ("a", 8)]));
    assert_eq!((by(By::Diverted), by(By::Held)), (pairs(&[("c", 3)]), pairs(&[("d", 2)])));
    let all = talkers.top(Span::TenMinutes, By::Records, 10, now);
    assert_eq!((all.known, all.all), (4, Counts { records: 14, bytes: 6_300, diverted: 3, held: 2 }));
}

#[test]
fn what_has_no_key_is_told_too() {
    let (talkers, now) = (talkers(), Instant::now());
    let mut heard = Heard::default();
    heard.add(hashed("anything"), records(2), |_| false);
    talkers.take(&mut heard, now);
    assert_eq!(talkers.top(Span::Minute, By::Records, 10, now).keys, [Spoken { text: None, counts: records(2) }]);
}

#[test]
fn a_minute_forgets_and_ten_remember() {
    // Given a token that spoke at first, and one that speaks every five seconds
    let (talkers, began) = (talkers(), Instant::now());
    let after = |seconds| began + Duration::from_secs(seconds);
    say(&talkers, &[("early", records(50))], began);
    for seconds in (0..120).step_by(5) {
        say(&talkers, &[("steady", records(1))], after(seconds));
    }
    // Then the minute has 60 to 80 seconds
    let minute = talkers.top(Span::Minute, By::Records, 10, after(119));
    assert_eq!((told(&minute), minute.over), (pairs(&[("steady", 16)]), Duration::from_secs(79)));
    // And the ten minutes all of it, nothing twice
    let ten = talkers.top(Span::TenMinutes, By::Records, 10, after(119));
    assert_eq!((told(&ten), ten.over), (pairs(&[("early", 50), ("steady", 24)]), Duration::from_secs(119)));
    // And when all is silent, both forget, each in its time
    assert_eq!(talkers.top(Span::Minute, By::Records, 10, after(300)).keys, []);
    assert_eq!(told(&talkers.top(Span::TenMinutes, By::Records, 10, after(300))), told(&ten));
    let late = talkers.top(Span::TenMinutes, By::Records, 10, after(1100));
    assert_eq!((late.keys, late.all, late.known), (Vec::new(), Counts::default(), 0));
}

#[test]
fn a_flood_of_tokens_that_come_once_hides_nobody() {
    // Given ten tokens with a fiftieth of the traffic each, in a flood of random ones
    let (talkers, now) = (talkers(), Instant::now());
    let loud: Vec<_> = (0..10).map(|number| format!("loud-{number}")).collect();
    for batch in 0..2_000 {
        let random: Vec<_> = (0..40).map(|number| format!("once-{batch}-{number}")).collect();
        let of = loud.iter().chain(&random).map(|token| (token.as_str(), records(1))).collect::<Vec<_>>();
        say(&talkers, &of, now);
    }
    // Then they are those that are told, with nearly all that they said, and nothing more
    let top = talkers.top(Span::Minute, By::Records, 10, now);
    let mut told = told(&top);
    told.sort();
    let names: Vec<_> = told.iter().map(|(token, _)| token.clone()).collect();
    assert_eq!(names, loud);
    assert!(told.iter().all(|(_, count)| (1_800..=2_000).contains(count)), "{told:?}");
    assert_eq!(top.all, records(100_000));
}

#[test]
fn a_long_token_is_cut_and_a_batch_of_many_keys_is_taken_in_parts() {
    let (talkers, now) = (talkers(), Instant::now());
    let long = "x".repeat(1000);
    say(&talkers, &[(&long, records(1))], now);
    let top = talkers.top(Span::Minute, By::Records, 1, now);
    assert_eq!(top.keys[0].text.as_ref().map(Vec::len), Some(LONGEST));
    let mut heard = Heard::default();
    let mut count: u64 = 0;
    while !heard.is_full() {
        heard.add(hashed(&count.to_string()), records(1), |_| false);
        count += 1;
    }
    assert_eq!(count, 1024, "distinct keys of one part");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is told of a key is never more than it said, and of all exactly what they said.
    #[test]
    fn nothing_is_made_up(said in prop::collection::vec((0_u16..600, 1_u64..50, 0_u64..90), 0..3_000)) {
        let (talkers, began) = (talkers(), Instant::now());
        let (mut truth, mut sum, mut last) = (BTreeMap::<String, u64>::new(), 0, began);
        for (token, count, seconds) in said.chunks(100).flat_map(|batch| batch.iter().map(move |one| (one.0, one.1, batch[0].2))) {
            let token = token.to_string();
            last = last.max(began + Duration::from_secs(seconds));
            say(&talkers, &[(&token, records(count))], last);
            *truth.entry(token).or_default() += count;
            sum += count;
        }
        let top = talkers.top(Span::TenMinutes, By::Records, usize::MAX, last);
        prop_assert_eq!(top.all, records(sum));
        prop_assert!(told(&top).iter().all(|(token, count)| truth.get(token).is_some_and(|true_count| count <= true_count)));
    }
}
