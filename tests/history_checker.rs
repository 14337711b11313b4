//! The checker of `tests/history` is itself tested with wrong histories: every kind of damage must be found, and a
//! history in which nothing is wrong must pass.

// The lints are written for the proxy: nothing imports from a test.
#![allow(unreachable_pub)]

mod history;

use history::{Damage, History, Outcome, Partition, Pass, Payload, Promise, Read, judge};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeSet;

/// Two exactly-once producers and an at-least-once one.
const ORDERED: [u32; 2] = [0, 1];
const LOOSE: u32 = 2;

fn partitions() -> [Partition; 3] {
    [Partition::new("x", 0), Partition::new("x", 1), Partition::new("y", 0)]
}

/// What happens to one record in a valid run.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Acknowledged,
    AcknowledgedWithoutOffset,
    UnknownAndThere,
    UnknownAndNotThere,
    Refused,
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Acknowledged),
        1 => Just(Fate::AcknowledgedWithoutOffset),
        1 => Just(Fate::UnknownAndThere),
        1 => Just(Fate::UnknownAndNotThere),
        1 => Just(Fate::Refused),
    ]
}

/// One record: which producer, which partition, what becomes of it, how many offsets are left free before it (control
/// records, compaction), and whether a retry writes it again at once (where its producer may).
type Step = (u32, usize, Fate, i64, bool);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let gap = prop_oneof![9 => Just(0_i64), 1 => 1_i64..3];
    prop::collection::vec((0..3_u32, 0..3_usize, fates(), gap, prop::bool::weighted(0.1)), 4..120)
}

/// A run in which nothing is wrong: a complete pass directly, one through Fishplate, and a reader that left early.
fn valid(steps: &[Step]) -> History {
    let mut history = History::default();
    ORDERED.into_iter().for_each(|producer| history.producer(producer, Promise::ExactlyOnce));
    history.producer(LOOSE, Promise::AtLeastOnce);
    let partitions = partitions();
    let mut next = [0; 3];
    let mut log = Vec::new();
    for (number, &(producer, place, fate, gap, again)) in (0..).zip(steps) {
        let payload = Payload { producer, number };
        let partition = partitions[place].clone();
        history.send(payload, partition.clone());
        let offset = next[place] + gap;
        let there = !matches!(fate, Fate::Refused | Fate::UnknownAndNotThere);
        let times = i64::from(there) * if again && producer == LOOSE { 2 } else { 1 };
        for offset in offset..offset + times {
            log.push(Read { partition: partition.clone(), offset, payload: Some(payload) });
        }
        next[place] = offset + times;
        match fate {
            Fate::Acknowledged => history.answer(payload, Outcome::Acknowledged(Some(offset))),
            Fate::AcknowledgedWithoutOffset => history.answer(payload, Outcome::Acknowledged(None)),
            Fate::Refused => history.answer(payload, Outcome::Refused),
            Fate::UnknownAndThere | Fate::UnknownAndNotThere => {}
        }
    }
    let everything: BTreeSet<_> = partitions.into_iter().map(|partition| partition.topic).collect();
    let early = log[..log.len() / 2].to_vec();
    history.pass(Pass { reader: "directly".into(), covers: everything.clone(), reads: log.clone() });
    history.pass(Pass { reader: "through fishplate".into(), covers: everything, reads: log });
    history.pass(Pass { reader: "for a while".into(), covers: BTreeSet::new(), reads: early });
    history
}

fn promise(history: &History, read: &Read) -> Option<Promise> {
    read.payload.and_then(|payload| history.producers.get(&payload.producer)).copied()
}

fn outcome(history: &History, read: &Read) -> Option<Outcome> {
    read.payload.and_then(|payload| history.sent.get(&payload)).map(|sent| sent.outcome)
}

fn on_every_pass(history: &mut History, mut change: impl FnMut(&mut Vec<Read>)) {
    history.passes.iter_mut().for_each(|pass| change(&mut pass.reads));
}

/// Positions in the first pass that `wanted` likes; one of them is chosen by `pick`.
fn choose(history: &History, pick: Index, wanted: impl Fn(&Read) -> bool) -> Option<usize> {
    let reads = &history.passes[0].reads;
    let found: Vec<_> = (0..reads.len()).filter(|&position| wanted(&reads[position])).collect();
    (!found.is_empty()).then(|| found[pick.index(found.len())])
}

/// Does one damage to a valid history; `None` where the history offers no place for it.
fn damage(mut history: History, damage: Damage, pick: Index) -> Option<History> {
    let acknowledged = |read: &Read| matches!(outcome(&history, read), Some(Outcome::Acknowledged(_)));
    let exactly_once = |read: &Read| promise(&history, read) == Some(Promise::ExactlyOnce);
    match damage {
        Damage::Lost => {
            let position = choose(&history, pick, acknowledged)?;
            let lost = history.passes[0].reads[position].payload;
            history.passes[1].reads.retain(|read| read.payload != lost);
        }
        Damage::Doubled => {
            let position = choose(&history, pick, exactly_once)?;
            let mut again = history.passes[0].reads[position].clone();
            again.offset = 1_000_000;
            history.passes[0].reads.push(again);
        }
        Damage::Reordered => {
            let (one, other) = neighbours(&history, pick)?;
            let (early, late) = (one.payload, other.payload);
            on_every_pass(&mut history, |reads| {
                for read in reads {
                    read.payload = match read.payload {
                        payload if payload == early => late,
                        payload if payload == late => early,
                        payload => payload,
                    };
                }
            });
        }
        Damage::Disputed => {
            let position = choose(&history, pick, |_| true)?;
            let payload = &mut history.passes[1].reads[position].payload;
            *payload = payload.map(|payload| Payload { number: payload.number + 1, ..payload });
        }
        Damage::Backwards => {
            let position = choose(&history, pick, |_| true)?;
            let reads = &mut history.passes[1].reads;
            reads.insert(position, reads[position].clone());
        }
        Damage::Phantom => {
            let (position, nobody) = (choose(&history, pick, |_| true)?, Payload { producer: 0, number: 1_000_000 });
            let payload = (pick.index(2) == 0).then_some(nobody);
            let partition = history.passes[0].reads[position].partition.clone();
            on_every_pass(&mut history, |reads| {
                reads.push(Read { partition: partition.clone(), offset: 1_000_000, payload });
            });
        }
        Damage::Strayed => {
            let position = choose(&history, pick, |_| true)?;
            let strayed = history.passes[0].reads[position].payload;
            let elsewhere = Partition::new("z", 0);
            on_every_pass(&mut history, |reads| {
                reads
                    .iter_mut()
                    .filter(|read| read.payload == strayed)
                    .for_each(|read| read.partition = elsewhere.clone());
            });
        }
        Damage::Risen => {
            let position = choose(&history, pick, |_| true)?;
            let payload = history.passes[0].reads[position].payload?;
            history.answer(payload, Outcome::Refused);
        }
        Damage::Misplaced => {
            let position = choose(&history, pick, acknowledged)?;
            let payload = history.passes[0].reads[position].payload?;
            history.answer(payload, Outcome::Acknowledged(Some(2_000_000)));
        }
    }
    Some(history)
}

/// Two records of one exactly-once producer that follow each other in one partition.
fn neighbours(history: &History, pick: Index) -> Option<(Read, Read)> {
    let reads = &history.passes[0].reads;
    let follows = |one: &Read, other: &Read| {
        one.partition == other.partition
            && promise(history, one) == Some(Promise::ExactlyOnce)
            && one.payload.map(|payload| payload.producer) == other.payload.map(|payload| payload.producer)
    };
    let later = |position: usize| reads[position + 1..].iter().find(|other| follows(&reads[position], other));
    let pairs: Vec<_> =
        (0..reads.len()).filter_map(|at| later(at).map(|other| (reads[at].clone(), other.clone()))).collect();
    (!pairs.is_empty()).then(|| pairs[pick.index(pairs.len())].clone())
}

proptest! {
    #[test]
    fn a_history_in_which_nothing_is_wrong_passes(steps in steps()) {
        let verdict = judge(&valid(&steps));
        prop_assert!(verdict.is_clean(), "{}", verdict);
    }

    #[test]
    fn any_one_damage_is_found(steps in steps(), kind in prop::sample::select(Damage::ALL.to_vec()), pick: Index) {
        let damaged = damage(valid(&steps), kind, pick);
        prop_assume!(damaged.is_some());
        let verdict = judge(&damaged.unwrap_or_default());
        prop_assert!(verdict.count(kind) > 0, "{} not found: {}", kind, verdict);
    }

    #[test]
    fn a_payload_survives_its_text(producer: u32, number: u64) {
        let payload = Payload { producer, number };
        prop_assert_eq!(Payload::parse(format!("{payload} and more").as_bytes()), Some(payload));
    }
}

#[test]
fn what_is_no_payload_is_none() {
    for value in ["", "1", "1/", "/1", "a/b", "1/2x", "-1/2"] {
        assert_eq!(Payload::parse(value.as_bytes()), None, "{value}");
    }
    assert_eq!(Payload::parse(&[0xff, b'/', b'1']), None);
}

#[test]
fn the_verdict_reads_like_a_sentence() {
    // Given three records, of which one is lost and one is there twice
    let x = Partition::new("x", 0);
    let mut history = History::default();
    history.producer(0, Promise::ExactlyOnce);
    for (number, outcome) in
        [(1, Outcome::Acknowledged(Some(0))), (2, Outcome::Acknowledged(Some(1))), (3, Outcome::Unknown)]
    {
        history.send(Payload { producer: 0, number }, x.clone());
        history.answer(Payload { producer: 0, number }, outcome);
    }
    let reads = [(0, 1), (2, 1)].map(|(offset, number)| {
        let payload = Some(Payload { producer: 0, number });
        Read { partition: x.clone(), offset, payload }
    });
    history.pass(Pass { reader: "directly from a".into(), covers: BTreeSet::from([x.topic]), reads: reads.into() });
    // Then the verdict names them
    insta::assert_snapshot!(judge(&history), @r"
    3 sent, 2 acknowledged, 1 unanswered; 2 read; 1 lost, 1 doubled, 0 reordered
      lost:
        0/2, acknowledged in x-0 at 1, was not read directly from a
      doubled:
        0/1 is in x-0 at 0 and x-0 at 2
    ");
}

#[test]
#[should_panic(expected = "nothing was judged")]
fn an_empty_history_is_no_success() {
    judge(&History::default()).must_be_clean();
}

#[test]
#[should_panic(expected = "nobody read")]
fn a_topic_that_nobody_read_to_the_end_is_no_success() {
    let mut history = History::default();
    history.producer(0, Promise::ExactlyOnce);
    history.send(Payload { producer: 0, number: 1 }, Partition::new("x", 0));
    history.answer(Payload { producer: 0, number: 1 }, Outcome::Acknowledged(None));
    judge(&history).must_be_clean();
}
