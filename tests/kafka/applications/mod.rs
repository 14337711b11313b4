//! Applications that users have, unchanged, before a pipeline: what each needs to live together does, what it reads may live
//! anywhere.

mod clickhouse;
mod connect;
mod streams;

use crate::harness::Bootstrap;
use crate::harness::wait;
use crate::world::{full, shared};
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::time::Duration;

const SOON: Duration = wait::seconds(60);

pub fn trials() -> Vec<Trial> {
    if !full() {
        eprintln!(
            "applications that only the full level runs (FISHPLATE_TEST_LEVEL=full): Kafka Streams, Kafka Connect"
        );
    }
    vec![
        shared("applications: ClickHouse's Kafka tables take each row once", clickhouse::rows_once),
        shared("applications: Kafka Streams counts words once", streams::count_once).with_ignored_flag(!full()),
        shared("applications: Kafka Connect carries a file's lines, exactly once in brokers", connect::exactly_once)
            .with_ignored_flag(!full()),
        shared("applications: Kafka Connect carries a file's lines between clusters in single", connect::at_least_once)
            .with_ignored_flag(!full()),
    ]
}

/// Writes these values to partitions of a topic, and returns when all are acknowledged.
fn write<'a>(at: &Bootstrap, topic: &str, values: impl IntoIterator<Item = (i32, &'a str)>) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &at.servers).set("log_level", "0");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    for (partition, value) in values {
        let record = BaseRecord::<str, str>::to(topic).partition(partition).payload(value);
        producer.send(record).unwrap_or_else(|(error, _)| panic!("{error}"));
    }
    producer.flush(SOON).expect("all is acknowledged");
}
