//! What a topic holds, as readers of committed records see it; and which of a reader's errors pass.

use crate::harness::{Bootstrap, wait};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const SOON: Duration = wait::seconds(60);
const MOMENT: Duration = Duration::from_millis(100);

/// All of them, each partition in order.
#[track_caller]
pub fn records(at: &Bootstrap, topic: &str, partitions: i32) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &at.servers)
        .set("log_level", "0")
        .set("group.id", "nobody")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning).expect("a partition");
    }
    consumer.assign(&list).expect("an assignment");
    let (mut read, mut ended) = (Vec::new(), BTreeSet::new());
    let deadline = Instant::now() + SOON;
    while ended.len() < list.count() {
        assert!(Instant::now() < deadline, "{at} does not tell all of {topic}");
        match consumer.poll(MOMENT) {
            Some(Ok(record)) => read.push(record.detach()),
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ended.insert(partition)),
            Some(Err(_)) | None => {}
        }
    }
    read
}

/// Their values, by partition.
#[track_caller]
pub fn values(at: &Bootstrap, topic: &str, partitions: i32) -> BTreeMap<i32, Vec<String>> {
    let mut read = BTreeMap::<_, Vec<_>>::new();
    for record in records(at, topic, partitions) {
        read.entry(record.partition()).or_default().push(value(&record));
    }
    read
}

/// A record's value as text.
pub fn value(record: &impl Message) -> String {
    String::from_utf8_lossy(record.payload().unwrap_or_default()).into_owned()
}

/// A client has no connection, and makes new ones.
pub fn is_passing(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
    matches!(error.rdkafka_error_code(), Some(AllBrokersDown | BrokerTransportFailure))
}
