//! The judging itself. A log is what all readers of a partition saw together; each rule looks at it, or at one pass.

use super::{Damage, History, Outcome, Partition, Pass, Payload, Promise, Verdict};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// Offset to payload, per partition: the first that any reader saw there.
type Logs<'a> = BTreeMap<&'a Partition, BTreeMap<i64, Option<Payload>>>;
/// Where each payload was seen.
type Places<'a> = BTreeMap<Payload, BTreeSet<(&'a Partition, i64)>>;

/// Holds what was read against what was sent.
pub fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict {
        sent: history.sent.len(),
        acknowledged: count(history, |outcome| matches!(outcome, Outcome::Acknowledged(_))),
        unknown: count(history, |outcome| outcome == Outcome::Unknown),
        read: history.passes.iter().map(|pass| pass.reads.len()).sum(),
        uncovered: uncovered(history),
        ..Verdict::default()
    };
    for pass in &history.passes {
        offsets_must_grow(pass, &mut verdict);
        nothing_may_be_missing(history, pass, &mut verdict);
    }
    let logs = readers_must_agree(history, &mut verdict);
    let places = places(&logs);
    each_must_have_been_sent(history, &logs, &places, &mut verdict);
    each_must_be_there_once(history, &places, &mut verdict);
    order_must_be_kept(history, &logs, &mut verdict);
    verdict
}

fn count(history: &History, wanted: impl Fn(Outcome) -> bool) -> usize {
    history.sent.values().filter(|sent| wanted(sent.outcome)).count()
}

/// Topics that were sent to and that nobody read to the end.
fn uncovered(history: &History) -> BTreeSet<Arc<str>> {
    let covered: HashSet<_> = history.passes.iter().flat_map(|pass| &pass.covers).collect();
    let topics = history.sent.values().map(|sent| &sent.partition.topic);
    topics.filter(|topic| !covered.contains(topic)).cloned().collect()
}

fn offsets_must_grow(pass: &Pass, verdict: &mut Verdict) {
    let mut last = BTreeMap::new();
    for read in &pass.reads {
        if let Some(before) = last.insert(&read.partition, read.offset)
            && before >= read.offset
        {
            verdict.add(Damage::Backwards, || {
                format!("{} of {} came after {before}, {}", read.offset, read.partition, pass.reader)
            });
        }
    }
}

fn nothing_may_be_missing(history: &History, pass: &Pass, verdict: &mut Verdict) {
    let seen: HashSet<_> = pass.reads.iter().filter_map(|read| read.payload).collect();
    for (payload, sent) in &history.sent {
        if let Outcome::Acknowledged(offset) = sent.outcome
            && pass.covers.contains(&sent.partition.topic)
            && !seen.contains(payload)
        {
            verdict.add(Damage::Lost, || {
                let at = offset.map_or_else(String::new, |offset| format!(" at {offset}"));
                format!("{payload}, acknowledged in {}{at}, was not read {}", sent.partition, pass.reader)
            });
        }
    }
}

fn readers_must_agree<'a>(history: &'a History, verdict: &mut Verdict) -> Logs<'a> {
    let mut logs = Logs::new();
    for pass in &history.passes {
        for read in &pass.reads {
            let first = logs.entry(&read.partition).or_default().entry(read.offset).or_insert(read.payload);
            if *first != read.payload {
                let (first, second) = (name(*first), name(read.payload));
                verdict.add(Damage::Disputed, || {
                    format!("{} of {} is {first}, and {second} {}", read.offset, read.partition, pass.reader)
                });
            }
        }
    }
    logs
}

fn name(payload: Option<Payload>) -> String {
    payload.map_or_else(|| "no record of ours".into(), |payload| payload.to_string())
}

fn places<'a>(logs: &Logs<'a>) -> Places<'a> {
    let mut places = Places::new();
    for (&partition, log) in logs {
        for (&offset, payload) in log {
            if let Some(payload) = payload {
                places.entry(*payload).or_default().insert((partition, offset));
            }
        }
    }
    places
}

fn each_must_have_been_sent(history: &History, logs: &Logs, places: &Places, verdict: &mut Verdict) {
    for (partition, log) in logs {
        for offset in log.iter().filter(|(_, payload)| payload.is_none()).map(|(offset, _)| offset) {
            verdict.add(Damage::Phantom, || format!("{offset} of {partition} holds no record of ours"));
        }
    }
    for (payload, places) in places {
        let Some(sent) = history.sent.get(payload) else {
            verdict.add(Damage::Phantom, || format!("{payload}, which nobody sent, is in {}", list(places)));
            continue;
        };
        if places.iter().any(|(partition, _)| **partition != sent.partition) {
            verdict.add(Damage::Strayed, || {
                format!("{payload} was sent to {} and is in {}", sent.partition, list(places))
            });
        }
        match sent.outcome {
            Outcome::Refused => {
                verdict.add(Damage::Risen, || format!("{payload} was refused and is in {}", list(places)))
            }
            Outcome::Acknowledged(Some(offset)) if places.iter().all(|(_, place)| *place != offset) => {
                verdict
                    .add(Damage::Misplaced, || format!("{payload}, acknowledged at {offset}, is in {}", list(places)));
            }
            Outcome::Acknowledged(_) | Outcome::Unknown => {}
        }
    }
}

fn each_must_be_there_once(history: &History, places: &Places, verdict: &mut Verdict) {
    for (payload, places) in places.iter().filter(|(_, places)| places.len() > 1) {
        match history.producers.get(&payload.producer) {
            Some(Promise::AtLeastOnce) => verdict.repeated += 1,
            Some(Promise::ExactlyOnce) | None => {
                verdict.add(Damage::Doubled, || format!("{payload} is in {}", list(places)));
            }
        }
    }
}

/// Looks at each record's first place, so that a doubled one is not called reordered too.
fn order_must_be_kept(history: &History, logs: &Logs, verdict: &mut Verdict) {
    for (partition, log) in logs {
        let mut latest: BTreeMap<u32, Payload> = BTreeMap::new();
        let mut seen = HashSet::new();
        for (offset, payload) in log.iter().filter_map(|(offset, payload)| payload.map(|payload| (offset, payload))) {
            let ordered = history.producers.get(&payload.producer) == Some(&Promise::ExactlyOnce);
            if !ordered || !seen.insert(payload) {
                continue;
            }
            match latest.get(&payload.producer) {
                Some(&before) if before > payload => verdict
                    .add(Damage::Reordered, || format!("{payload} is at {offset} of {partition}, after {before}")),
                _ => {
                    latest.insert(payload.producer, payload);
                }
            }
        }
    }
}

fn list(places: &BTreeSet<(&Partition, i64)>) -> String {
    places.iter().map(|(partition, offset)| format!("{partition} at {offset}")).collect::<Vec<_>>().join(" and ")
}
