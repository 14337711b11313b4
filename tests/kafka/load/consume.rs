//! Reading: while the load runs, and everything from the start once it has ended. Partitions are assigned and not
//! shared out by a group, so that one pass has no rebalance in it and its offsets must grow.

use super::Shared;
use super::produce::{client, partitions_of};
use super::progress::Step;
use crate::harness::{Bootstrap, wait};
use crate::history::{Partition, Pass, Payload, Read};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const TO_READ_ALL: Duration = wait::seconds(180);
const A_POLL: Duration = Duration::from_millis(100);

/// Reads until the load stops. An error says what a client must never be told; that brokers are away is none.
pub(super) fn read_until(bootstrap: &Bootstrap, topics: &[String], shared: &Shared) -> Result<Pass, String> {
    let consumer = from_the_start(bootstrap, topics).0;
    let reader = format!("during the load {}", bootstrap.name);
    let mut pass = Pass { reader, covers: BTreeSet::new(), reads: Vec::new() };
    while !shared.stopped() {
        match consumer.poll(A_POLL) {
            Some(Ok(message)) => {
                let read = read(&message);
                if let Some(payload) = read.payload {
                    shared.progress.came(Step::Read, payload, &read.partition);
                }
                pass.reads.push(read);
            }
            Some(Err(error)) if !passes_by(&error) => return Err(format!("the consumer {}: {error}", pass.reader)),
            Some(Err(_)) | None => {}
        }
    }
    Ok(pass)
}

/// Reads every partition of the topics from its start to what is its end now.
#[track_caller]
pub fn read_to_end(bootstrap: &Bootstrap, topics: &[String]) -> Pass {
    let (consumer, partitions) = from_the_start(bootstrap, topics);
    let ends: Vec<_> = partitions.into_iter().map(|partition| (end(&consumer, &partition), partition)).collect();
    let deadline = Instant::now() + TO_READ_ALL;
    let mut reads = Vec::new();
    while !ends.iter().all(|(end, partition)| position(&consumer, partition) >= *end) {
        assert!(Instant::now() < deadline, "{bootstrap}: could not read {topics:?} to the end within {TO_READ_ALL:?}");
        match consumer.poll(A_POLL) {
            Some(Ok(message)) => reads.push(read(&message)),
            Some(Err(error)) => assert!(passes_by(&error), "{bootstrap}: {error}"),
            None => {}
        }
    }
    let covers = topics.iter().map(|topic| topic.as_str().into()).collect();
    Pass { reader: bootstrap.name.clone(), covers, reads }
}

fn from_the_start(bootstrap: &Bootstrap, topics: &[String]) -> (BaseConsumer, Vec<Partition>) {
    let mut config = client(bootstrap);
    config
        .set("group.id", "nobody")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", "100");
    let partitions = partitions_of(&config, topics);
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        list.add_partition_offset(&partition.topic, partition.index, Offset::Offset(0)).expect("an offset");
    }
    consumer.assign(&list).expect("an assignment");
    (consumer, partitions)
}

fn end(consumer: &BaseConsumer, partition: &Partition) -> i64 {
    let ask = || consumer.fetch_watermarks(&partition.topic, partition.index, wait::seconds(5)).ok();
    wait::find(&format!("the end of {partition}"), wait::seconds(30), ask).1
}

fn position(consumer: &BaseConsumer, partition: &Partition) -> i64 {
    let positions = consumer.position().expect("positions");
    match positions.find_partition(&partition.topic, partition.index).map(|found| found.offset()) {
        Some(Offset::Offset(next)) => next,
        _ => 0,
    }
}

fn read(message: &BorrowedMessage<'_>) -> Read {
    Read {
        partition: Partition::new(message.topic(), message.partition()),
        offset: message.offset(),
        payload: message.payload().and_then(Payload::parse),
    }
}

/// What clients tell while a broker is away, and go on.
fn passes_by(error: &KafkaError) -> bool {
    let KafkaError::MessageConsumption(code) = error else { return false };
    matches!(
        code,
        RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::Resolve
    )
}
