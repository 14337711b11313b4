//! Scenarios about transactions: what was committed is read once, what was aborted is not, offsets go along, who comes later
//! fences who was there.

use super::stage::{MOMENT, Place, Record, SOON, Stage, Writer, error_of, list, send, text};
use crate::harness::wait;
use rdkafka::Message;
use rdkafka::consumer::{Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaResult;
use rdkafka::producer::Producer;
use rdkafka::topic_partition_list::Offset;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Instant;

const RECORDS: usize = 6;

pub fn play(stage: &Stage) {
    stage.create(4, &[]);
    for home in 0..2 {
        outcomes(stage, home);
        fencing(stage, home);
    }
    // One Fetch may ask brokers of both homes.
    for isolation in ["read_committed", "read_uncommitted"] {
        let places: Vec<_> = stage.places(4).into_iter().filter(|at| at.1 < 2).collect();
        let seen = read_together(stage, &places, isolation);
        stage.saw(format!("together, {isolation}"), stage.aliased(&seen, |values| json!(values)));
    }
    // What the other home's transactions read must be there first.
    for home in 0..2 {
        pass_on(stage, home);
    }
}

/// One that would have to span two homes. On one cluster there is nothing to span.
pub fn spanning(stage: &Stage) {
    stage.create(1, &[]);
    let [one, two] = stage.topics.each_ref().map(|topic| (topic.clone(), 0));
    let producer = producer(stage, 0);
    producer.begin_transaction().unwrap();
    let outcome = |at: &Place, value: &str| send(&producer, [Record::new(at, value)]).remove(0).err();
    stage.saw("own topic", json!(outcome(&one, "in vain")));
    stage.saw("other topic", json!(outcome(&two, "too far")));
    stage.saw("commit", error_of(producer.commit_transaction(SOON)));
    drop(producer);
    let producer = self::producer(stage, 0);
    producer.begin_transaction().unwrap();
    let reader = stage.reader(&stage.groups[1], &[]);
    let offsets = list(std::slice::from_ref(&one), |_| Offset::Offset(1));
    let group = reader.group_metadata().unwrap();
    let commit = producer.send_offsets_to_transaction(&offsets, &group, SOON);
    stage.saw("other group", error_of(commit.and_then(|()| producer.commit_transaction(SOON))));
    drop(producer);
    // And it is none the worse for it.
    let producer = self::producer(stage, 0);
    producer.begin_transaction().unwrap();
    send(&producer, [Record::new(&one, "afterwards")]);
    stage.saw("afterwards", error_of(producer.commit_transaction(SOON)));
    stage.saw("read", read(stage, &one, "read_committed").iter().any(|one| one.ends_with("=afterwards")));
}

/// Producers that fall silent in the middle of a transaction: their coordinators abort it, and they are fenced. One a home, at
/// the same time: what takes the time is waiting.
pub fn silent(stage: &Stage) {
    stage.create(1, &[]);
    let committed = stage.lone_reader(&[("isolation.level", "read_committed")]);
    let places = stage.places(1);
    let zombies: Vec<_> =
        (0..2).map(|home| producer_with(stage, home, &[("transaction.timeout.ms", "1000")])).collect();
    for (zombie, at) in zombies.iter().zip(&places) {
        zombie.begin_transaction().unwrap();
        send(zombie, [Record::new(at, "silent")]).remove(0).unwrap();
    }
    for (home, (zombie, at)) in zombies.iter().zip(&places).enumerate() {
        let mut seen = serde_json::Map::new();
        let mut saw = |what: &str, value: serde_json::Value| drop(seen.insert(what.into(), value));
        // Who reads what is committed sees no end beyond an open transaction.
        let told = || committed.fetch_watermarks(&at.0, at.1, SOON).is_ok_and(|(_, end)| end > 0);
        wait::until("its coordinator has aborted it", SOON * 2, told);
        saw("produces again", json!(send(zombie, [Record::new(at, "too late")]).remove(0).is_err()));
        saw("commits", error_of(zombie.commit_transaction(SOON)).into());
        saw("is fenced for good", json!(zombie.client().fatal_error().map(|(code, _)| format!("{code:?}"))));
        let later = producer(stage, home);
        later.begin_transaction().unwrap();
        send(&later, [Record::new(at, "later")]).remove(0).unwrap();
        saw("later one commits", error_of(later.commit_transaction(SOON)).into());
        let read =
            read(stage, at, "read_committed").into_iter().map(|one| one.split('=').next_back().map(str::to_owned));
        saw("committed", json!(read.collect::<Vec<_>>()));
        stage.saw(stage.topic_alias(&at.0), seen);
    }
}

/// A transactional producer that lives where the topic and the group of the same number do.
fn producer(stage: &Stage, home: usize) -> Writer {
    producer_with(stage, home, &[])
}

fn producer_with(stage: &Stage, home: usize, more: &[(&str, &str)]) -> Writer {
    let id = format!("t{}", &stage.groups[home][1..]);
    let producer = stage.writer(&[&[("transactional.id", &*id)], more].concat());
    producer.init_transactions(SOON * 2).unwrap();
    producer
}

fn outcomes(stage: &Stage, home: usize) {
    let producer = producer(stage, home);
    let places = [0, 1].map(|partition| (stage.topics[home].clone(), partition));
    for number in 0..4 {
        let commits = number % 2 == 0;
        let word = if commits { "committed" } else { "aborted" };
        producer.begin_transaction().unwrap();
        for sent in send(&producer, places.iter().map(|at| Record::new(at, format!("{word}-{number}")))) {
            sent.unwrap();
        }
        let end = if commits { producer.commit_transaction(SOON) } else { producer.abort_transaction(SOON) };
        end.unwrap();
    }
    for at in &places {
        for isolation in ["read_committed", "read_uncommitted"] {
            let seen = read(stage, at, isolation);
            stage.saw(format!("{}, {isolation}", stage.alias(&at.0, at.1)), seen);
        }
    }
}

/// Who comes with an id that another has, has it from then on.
fn fencing(stage: &Stage, home: usize) {
    let at = (stage.topics[home].clone(), 0);
    let zombie = producer(stage, home);
    zombie.begin_transaction().unwrap();
    send(&zombie, [Record::new(&at, "zombie")]).remove(0).unwrap();
    let later = producer(stage, home);
    stage.saw(format!("zombie of {}", home + 1), error_of(zombie.commit_transaction(SOON)));
    later.begin_transaction().unwrap();
    send(&later, [Record::new(&at, "later")]).remove(0).unwrap();
    stage.saw(format!("later of {}", home + 1), error_of(later.commit_transaction(SOON)));
    let seen = read(stage, &at, "read_committed");
    stage.saw(format!("{}, after a zombie", stage.alias(&at.0, at.1)), seen);
}

/// Reads from the other home's topic and writes to its own, with the offsets of what it has read: once in vain.
fn pass_on(stage: &Stage, home: usize) {
    let (from, to) = ((stage.topics[1 - home].clone(), 2), (stage.topics[home].clone(), 3));
    let input = (0..RECORDS).map(|i| Record::new(&from, format!("in-{i}")));
    send(&stage.writer(&[]), input).into_iter().for_each(|sent| assert!(sent.is_ok(), "{sent:?}"));
    let group = &stage.groups[home];
    let reader = stage.reader(group, &[("isolation.level", "read_committed")]);
    reader.subscribe(&[&from.0]).unwrap();
    let producer = producer(stage, home);
    let places = [from.clone()];
    for commits in [false, true] {
        let mut seen = Vec::new();
        wait::until("the input is read", SOON, || {
            let record = reader.poll(MOMENT).map(|record| record.unwrap().detach());
            seen.extend(record.filter(|record| record.partition() == from.1).and_then(|one| text(one.payload())));
            seen.len() >= RECORDS
        });
        producer.begin_transaction().unwrap();
        let word = if commits { "out of" } else { "in vain" };
        for sent in send(&producer, seen.iter().map(|value| Record::new(&to, format!("{word} {value}")))) {
            sent.unwrap();
        }
        let member = reader.group_metadata().unwrap();
        passed(&producer, &places, &member).unwrap();
        if commits {
            producer.commit_transaction(SOON).unwrap();
        } else {
            producer.abort_transaction(SOON).unwrap();
            reader.seek(&from.0, from.1, Offset::Beginning, SOON).unwrap();
        }
        // A coordinator may still be taking in what a transaction has committed.
        let committed = stage.reader(group, &[]).committed_offsets(list(&places, |_| Offset::Invalid), SOON).unwrap();
        let what = format!("{}, committed by {}, {commits}", stage.alias(&from.0, from.1), home + 1);
        stage.saw(what, stage.shown(&committed));
    }
    stage.saw(format!("{}, passed on", stage.alias(&to.0, to.1)), read(stage, &to, "read_committed"));
}

fn passed(producer: &Writer, places: &[Place], member: &ConsumerGroupMetadata) -> KafkaResult<()> {
    let end = Offset::Offset(i64::try_from(RECORDS).unwrap());
    producer.send_offsets_to_transaction(&list(places, |_| end), member, SOON)
}

/// Each record up to what may be read now, as `offset=value`. Offsets may be of markers, which no reader sees.
fn read(stage: &Stage, at: &Place, isolation: &str) -> Vec<String> {
    read_together(stage, std::slice::from_ref(at), isolation).remove(at).unwrap_or_default()
}

/// The same of several partitions, by one reader.
fn read_together(stage: &Stage, places: &[Place], isolation: &str) -> BTreeMap<Place, Vec<String>> {
    let more = [("isolation.level", isolation), ("enable.partition.eof", "true")];
    let reader = stage.lone_reader(&more);
    reader.assign(&list(places, |_| Offset::Beginning)).unwrap();
    let (mut seen, end) = (BTreeMap::<_, Vec<_>>::new(), Instant::now() + SOON);
    let mut open = places.len();
    while open > 0 {
        assert!(Instant::now() < end, "no end of {places:?} within {SOON:?}");
        match reader.poll(MOMENT) {
            None => {}
            Some(Ok(record)) => {
                let shown = format!("{}={}", record.offset(), text(record.payload()).unwrap_or_default());
                seen.entry((record.topic().to_owned(), record.partition())).or_default().push(shown);
            }
            // Nothing is written meanwhile: each ends once.
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => panic!("{error}"),
        }
    }
    seen
}
