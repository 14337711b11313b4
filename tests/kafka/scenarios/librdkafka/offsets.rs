//! Scenarios about positions: by time, at the ends, by seeking, committed.

use super::stage::{
    MOMENT, Place, Reader, Record, SOON, Stage, error_of, list, name_of, offsets_and_values, patiently, poll, send,
};
use crate::harness::wait;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Map, Value, json};

pub fn by_time(stage: &Stage) {
    // The records are old, and must not be deleted for it.
    stage.create(2, &[("retention.ms", "-1")]);
    let writer = stage.writer(&[]);
    for time in [1000, 3000, 3000, 2000, 9000, 4000] {
        for at in stage.places(1) {
            let record = Record { timestamp: Some(time), ..Record::new(&at, format!("at {time}")) };
            send(&writer, [record]).remove(0).unwrap();
        }
    }
    let reader = stage.lone_reader(&[]);
    for (topic, partition) in stage.places(2) {
        let ends = patiently(|| reader.fetch_watermarks(&topic, partition, SOON));
        stage.saw(format!("ends of {}", stage.alias(&topic, partition)), json!(ends));
    }
    for time in [0, 1000, 1500, 2500, 3000, 3001, 9000, 9001] {
        let found = reader.offsets_for_times(list(&stage.places(2), |_| Offset::Offset(time)), SOON).unwrap();
        stage.saw(format!("at {time}"), stage.shown(&found));
    }
    let missing = reader.fetch_watermarks(&stage.topics[1], 7, wait::seconds(2));
    stage.saw("of a missing partition", error_of(missing));
}

pub fn reset(stage: &Stage) {
    stage.create(1, &[]);
    stage.fill("before", 1, 5);
    let places = stage.places(1);
    let read = |reset: &str, start: Offset, count: usize| {
        let reader = stage.lone_reader(&[("auto.offset.reset", reset)]);
        reader.assign(&list(&places, |_| start)).unwrap();
        stage.aliased(&poll(&reader, count), offsets_and_values)
    };
    stage.saw("earliest", read("earliest", Offset::Stored, 10));
    stage.saw("two before the end", read("earliest", Offset::OffsetTail(2), 4));
    stage.saw("earliest, out of range", read("earliest", Offset::Offset(1000), 10));

    let latest = stage.lone_reader(&[("auto.offset.reset", "latest"), ("enable.partition.eof", "true")]);
    latest.assign(&list(&places, |_| Offset::Stored)).unwrap();
    // Who is told of the end is there.
    await_ends(&latest, places.len());
    stage.fill("after", 1, 3);
    let mut seen = std::collections::BTreeMap::<Place, Vec<_>>::new();
    wait::until("six records", SOON, || {
        if let Some(Ok(message)) = latest.poll(MOMENT) {
            let message = message.detach();
            use rdkafka::Message;
            seen.entry((message.topic().to_owned(), message.partition())).or_default().push(message);
        }
        seen.values().map(Vec::len).sum::<usize>() == 6
    });
    stage.saw("latest", stage.aliased(&seen, offsets_and_values));

    let none = stage.lone_reader(&[("auto.offset.reset", "error")]);
    none.assign(&list(&places, |_| Offset::Offset(1000))).unwrap();
    stage.saw("error, out of range", first_error(&none));
    let nowhere = stage.lone_reader(&[("auto.offset.reset", "error")]);
    nowhere.assign(&list(&places, |_| Offset::Stored)).unwrap();
    stage.saw("error, nothing committed", first_error(&nowhere));
}

fn await_ends(reader: &Reader, count: usize) {
    let mut ends = 0;
    wait::until("the ends are reached", SOON, || {
        if let Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) = reader.poll(MOMENT) {
            ends += 1;
        }
        ends == count
    });
}

fn first_error(reader: &Reader) -> String {
    wait::find("an error", SOON, || reader.poll(MOMENT).and_then(Result::err).map(|error| name_of(&error)))
}

pub fn seek(stage: &Stage) {
    stage.create(1, &[]);
    stage.fill("v", 1, 10);
    let places = stage.places(1);
    let (one, two) = (&places[..1], &places[1..]);
    let reader = stage.lone_reader(&[]);
    let saw = |what: &str, count: usize| stage.saw(what, stage.aliased(&poll(&reader, count), offsets_and_values));
    let anywhere = |places: &[Place]| list(places, |_| Offset::Invalid);
    reader.assign(&list(&places, |_| Offset::Beginning)).unwrap();
    reader.pause(&anywhere(two)).unwrap();
    saw("two paused", 10);
    reader.resume(&anywhere(two)).unwrap();
    saw("two resumed", 10);
    let seek = |at: &Place, to: Offset| reader.seek(&at.0, at.1, to, SOON).unwrap();
    seek(&one[0], Offset::Offset(7));
    saw("one back to 7", 3);
    seek(&one[0], Offset::Offset(3));
    seek(&two[0], Offset::Offset(8));
    saw("both back", 9);
    seek(&one[0], Offset::Beginning);
    saw("one at the beginning", 10);
    stage.saw("positions", stage.shown(&reader.position().unwrap()));
    stage.fill("more", 1, 2);
    saw("after the end", 4);
}

pub fn commit(stage: &Stage) {
    stage.create(3, &[]);
    stage.fill("v", 2, 10);
    for (number, group) in (1..).zip(&stage.groups) {
        stage.saw(format!("group {number}"), commit_as(stage, group));
    }
}

fn commit_as(stage: &Stage, group: &str) -> Value {
    let mut seen = Map::new();
    let mut saw = |what: &str, value: Value| drop(seen.insert(what.into(), value));
    let topics = stage.topics.each_ref().map(String::as_str);
    let all = list(&stage.places(3), |_| Offset::Invalid);
    let committed = |reader: &Reader| stage.shown(&reader.committed_offsets(all.clone(), SOON).unwrap());

    let first = stage.reader(group, &[]);
    first.subscribe(&topics).unwrap();
    saw("first", stage.aliased(&poll(&first, 40), offsets_and_values));
    let mut half = TopicPartitionList::new();
    for (topic, partition) in stage.places(2) {
        half.add_partition_offset(&topic, partition, Offset::Offset(5 + i64::from(partition))).unwrap();
    }
    for mut one in half.elements() {
        one.set_metadata("half");
    }
    saw("commit", error_of(first.commit(&half, CommitMode::Sync)).into());
    saw("committed by the member", committed(&first));
    drop(first);

    let second = stage.reader(group, &[]);
    second.subscribe(&topics).unwrap();
    saw("resumed", stage.aliased(&poll(&second, 18), offsets_and_values));
    saw("commit of all", error_of(second.commit_consumer_state(CommitMode::Sync)).into());
    drop(second);

    // A group without members may be written by anybody.
    let alone = stage.reader(group, &[]);
    alone.assign(&all).unwrap();
    saw("asked without joining", committed(&alone));
    let by_hand = list(&stage.places(1), |_| Offset::Offset(3));
    saw("commit without joining", error_of(alone.commit(&by_hand, CommitMode::Sync)).into());
    saw("committed without joining", committed(&alone));
    let missing = list(&[(stage.topics[1].clone(), 9)], |_| Offset::Offset(1));
    saw("to a missing partition", error_of(alone.commit(&missing, CommitMode::Sync)).into());
    drop(alone);

    let closing = stage.reader(group, &[("enable.auto.commit", "true")]);
    closing.subscribe(&topics).unwrap();
    saw("after a commit without joining", stage.aliased(&poll(&closing, 14), offsets_and_values));
    drop(closing);
    saw("committed on close", committed(&stage.reader(group, &[])));
    json!(seen)
}
