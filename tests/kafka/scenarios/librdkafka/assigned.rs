//! The scenario about groups whose coordinator assigns partitions (KIP-848): one member, then two, then one again; the topic
//! grows; then a second topic, which may live elsewhere.

use super::stage::{MOMENT, Place, Reader, SOON, Stage, list, send, text};
use super::stage::{Record, options};
use crate::harness::wait;
use rdkafka::Message;
use rdkafka::admin::NewPartitions;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::Offset;
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeMap;

const PARTITIONS: i32 = 4;
const GROWN: i32 = 6;
const EACH: usize = 5;

type Reads = RefCell<BTreeMap<String, usize>>;

struct Member<'a> {
    stage: &'a Stage,
    reader: Reader,
    reads: &'a Reads,
}

impl Member<'_> {
    /// Polls what is there, and tells how many partitions it has.
    fn poll(&self) -> usize {
        while let Some(message) = self.reader.poll(MOMENT) {
            let message = match message {
                Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) => continue,
                other => other.unwrap(),
            };
            let at = self.stage.alias(message.topic(), message.partition());
            let what = format!("{at}@{}={}", message.offset(), text(message.payload()).unwrap_or_default());
            *self.reads.borrow_mut().entry(what).or_default() += 1;
        }
        self.reader.assignment().unwrap().count()
    }
}

pub fn play(stage: &Stage) {
    stage.create(PARTITIONS, &[]);
    let (topic, group) = (&stage.topics[0], &stage.groups[0]);
    let reads = Reads::default();
    let join = |topics: &[&str], group: &str| {
        let reader = stage.assigned_reader(group);
        reader.subscribe(topics).unwrap();
        Member { stage, reader, reads: &reads }
    };
    let fill = |partitions: i32, prefix: &str| {
        let places = (0..partitions).map(|partition| -> Place { (topic.clone(), partition) });
        let records = places.flat_map(|at| (0..EACH).map(move |i| Record::new(&at, format!("{prefix}-{i}"))));
        let writer = stage.writer(&[]);
        assert!(send(&writer, records.collect::<Vec<_>>()).iter().all(Result::is_ok));
    };
    let all_read = |members: &[&Member<'_>], expected: usize| {
        wait::until("all is read", SOON, || {
            members.iter().for_each(|member| {
                member.poll();
            });
            reads.borrow().len() == expected * EACH
        });
        members.iter().for_each(|member| member.reader.commit_consumer_state(CommitMode::Sync).unwrap());
    };
    let first = join(&[topic], group);
    wait::until("the first has all", SOON, || first.poll() == 4);
    fill(PARTITIONS, "one");
    all_read(&[&first], 4);
    let second = join(&[topic], group);
    wait::until("both have half", SOON, || [first.poll(), second.poll()] == [2, 2]);
    fill(PARTITIONS, "two");
    all_read(&[&first, &second], 8);
    drop(first);
    wait::until("the second has all", SOON, || second.poll() == 4);
    let places: Vec<Place> = (0..PARTITIONS).map(|partition| (topic.clone(), partition)).collect();
    let committed = second.reader.committed_offsets(list(&places, |_| Offset::Invalid), SOON).unwrap();
    stage.saw("committed", stage.shown(&committed));
    let grows = NewPartitions::new(topic, usize::try_from(GROWN).unwrap());
    stage.wait_for(stage.admin.create_partitions(&[grows], &options())).unwrap();
    wait::until("it has what has grown", SOON, || second.poll() == 6);
    fill(GROWN, "three");
    all_read(&[&second], 14);
    drop(second);
    stage.saw("records read", reads.borrow().len());
    stage.saw("read more than once", reads.borrow().values().filter(|times| **times > 1).count());
    // A refusal is fatal to the client.
    let both = join(&[topic, &stage.topics[1]], &format!("{group}-both"));
    let mut outcome = None;
    wait::until("both topics", SOON, || {
        let polled = both.reader.poll(MOMENT).and_then(Result::err);
        let has_both = both.reader.assignment().unwrap().count() == 10;
        let fatal = both.reader.client().fatal_error();
        outcome = fatal.map(|(code, _)| format!("{code:?}")).or_else(|| has_both.then(|| "none".to_owned()));
        drop(polled);
        outcome.is_some()
    });
    stage.saw("both topics", json!(outcome));
}
