//! The walker of record batches on what real clients write and real brokers make of it, read through Fishplate: it sees
//! what kafka-protocol's decoder sees, in every byte of every answer.
//!
//! `FISHPLATE_CAPTURE=1 cargo test --test kafka batches` writes tests/vectors anew.

use crate::agree::{Tally, judge};
use crate::harness::repository;
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::raw::{Raw, fetch};
use crate::scenarios::clients::CLIENTS;
use crate::scenarios::contract::{Client, Run};
use crate::world::{World, full, shared};
use fishplate::wire::batch::{Batches, Codec};
use kafka_protocol::messages::FetchRequest;
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::time::Duration;

/// More than is in any partition here.
const LARGE: usize = 1 << 20;
const SOON: Duration = wait::seconds(20);
const TO_COMPACT: Duration = wait::seconds(60);

/// Those whose batches are looked at, and one more at the full level.
const WRITERS: &[&str] = &["java-4.3", "franz-go", "librdkafka", "kcat"];
const OLD_WRITER: &str = "java-3.9";
const SCENARIOS: &[&str] = &["codecs", "headers", "idempotent"];

pub fn trials() -> Vec<Trial> {
    let clients = CLIENTS.iter().filter(|client| WRITERS.contains(&client.name) || full() && client.name == OLD_WRITER);
    let of =
        |client: &'static Client| shared(format!("batches: {}'s", client.name), move |world| of_client(world, client));
    let mut trials: Vec<_> = clients.map(of).collect();
    trials.push(shared("batches: of transactions", of_transactions));
    trials.push(shared("batches: with the broker's time", with_the_brokers_time));
    trials.push(shared("batches: compacted", compacted));
    trials
}

fn of_client(world: &World, client: &Client) {
    // Given what a client wrote to both clusters: every codec, odd headers, one batch after another
    let Client { name, play, .. } = *client;
    let file = |end: &str| world.directory.join(format!("batches-{name}.{end}"));
    let wanted: Vec<_> = SCENARIOS.iter().copied().filter(|scenario| client.plays().contains(scenario)).collect();
    let run = Run {
        client: name,
        scenarios: &wanted,
        bootstrap: &world.proxy().bootstrap(),
        topics: [format!("a-batches-{name}"), format!("b-batches-{name}")],
        groups: [format!("ga-batches-{name}"), format!("gb-batches-{name}")],
        output: file("out"),
        log: file("log"),
        cut: None,
    };
    for line in play(&run).unwrap() {
        assert!(line.result.is_some(), "{}", line.failure());
    }
    for topic in &run.topics {
        // When its partitions are read through Fishplate, then both see the same
        let codecs = Log::read(world, &format!("{topic}.codecs"), 0);
        // The crate builds librdkafka without zstd; kcat's has it.
        let known = if name == "librdkafka" { 4 } else { 5 };
        assert_eq!(codecs.tally.records, 10 * known);
        assert_eq!(codecs.tally.batches.len(), known, "codecs of {name}: {:?}", codecs.tally);
        let headers = Log::read(world, &format!("{topic}.headers"), 0);
        assert!(headers.tally.doubled_keys > 0);
        assert_eq!(headers.tally.odd_keys, usize::from(name == "franz-go"));
        let idempotent = if wanted.contains(&"idempotent") { 0..4 } else { 0..0 };
        for partition in idempotent {
            let many = Log::read(world, &format!("{topic}.idempotent"), partition);
            assert_eq!(many.tally.records, 2000);
            assert!(many.tally.cut_short > 0, "answers of {topic} end with whole batches");
        }
        codecs.capture_by_codec(name);
        headers.capture(&format!("{name}-headers"));
    }
}

fn of_transactions(world: &World) {
    // Given a topic with a transaction that was committed and one that was not
    Topics::of(&world.a.bootstrap()).create("a-batches-transactions", 1, 3);
    let producer = producer(world, &[("transactional.id", "batches")]);
    producer.init_transactions(SOON).unwrap();
    for outcome in ["committed", "aborted"] {
        producer.begin_transaction().unwrap();
        let record = BaseRecord::to("a-batches-transactions").partition(0).key("outcome").payload(outcome);
        producer.send(record).unwrap();
        producer.flush(SOON).unwrap();
        match outcome {
            "committed" => producer.commit_transaction(SOON).unwrap(),
            _ => producer.abort_transaction(SOON).unwrap(),
        }
    }
    // When it is read, then both see the records and the brokers' markers
    let log = Log::read(world, "a-batches-transactions", 0);
    assert_eq!((log.tally.transactional, log.tally.control, log.tally.records), (4, 2, 4), "{:?}", log.tally);
    log.capture("broker-transactions");
}

fn with_the_brokers_time(world: &World) {
    // Given a topic whose batches bear the time of their arrival
    let name = "a-batches-time";
    let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1)).set("message.timestamp.type", "LogAppendTime");
    Topics::of(&world.a.bootstrap()).create_as(&topic);
    write(world, name, &[("old", Some("1")), ("older", Some("2"))]);
    // When it is read, then both see the same
    let log = Log::read(world, name, 0);
    assert_eq!((log.tally.append_time, log.tally.records), (1, 2));
}

fn compacted(world: &World) {
    // Given a topic whose first batch was overwritten in part, and whose second in whole
    let name = "a-batches-compacted";
    let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1))
        .set("cleanup.policy", "compact")
        .set("min.cleanable.dirty.ratio", "0.001")
        .set("segment.ms", "100");
    Topics::of(&world.a.bootstrap()).create_as(&topic);
    write(world, name, &[("one", Some("1")), ("two", Some("1")), ("three", Some("1")), ("four", Some("1"))]);
    write(world, name, &[("two", Some("2")), ("four", Some("2"))]);
    write(world, name, &[("two", Some("3")), ("four", None)]);
    // When a broker has cleaned it, then both see the gaps, and the batch that is left of a producer without its records
    let cleaned = wait::find("the log is cleaned", TO_COMPACT, || {
        // Only what is behind the last segment is cleaned, and only who writes begins a new one.
        write(world, name, &[("last", Some("value"))]);
        // Once: the next answer may already be of another log.
        let log = Log::read_by(world, name, 0, LARGE);
        (log.tally.empty > 0 && log.tally.compacted > log.tally.empty).then_some(log)
    });
    cleaned.capture("broker-compacted");
}

fn producer(world: &World, more: &[(&str, &str)]) -> ThreadedProducer<DefaultProducerContext> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &world.a.bootstrap().servers).set("log_level", "0");
    config.set("enable.idempotence", "true").set("linger.ms", "100");
    for (key, value) in more {
        config.set(*key, *value);
    }
    config.create().unwrap()
}

/// Writes one batch, as a producer of its own.
fn write(world: &World, topic: &str, records: &[(&str, Option<&str>)]) {
    let producer = producer(world, &[]);
    for (key, value) in records {
        let record = BaseRecord::to(topic).partition(0).key(*key);
        let record = if let Some(value) = value { record.payload(*value) } else { record };
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(SOON).unwrap();
}

/// A partition's batches as they come through Fishplate.
struct Log {
    bytes: Vec<u8>,
    tally: Tally,
}

impl Log {
    /// In one large answer, and again in small ones that end within a batch.
    fn read(world: &World, topic: &str, partition: i32) -> Self {
        let mut log = Self::read_by(world, topic, partition, LARGE);
        let again = Self::read_by(world, topic, partition, log.bytes.len() / 5);
        assert!(again.bytes.starts_with(&log.bytes), "{topic} in small answers is another one");
        log.tally.cut_short = again.tally.cut_short;
        log
    }

    fn read_by(world: &World, topic: &str, partition: i32, limit: usize) -> Self {
        let limit = i32::try_from(limit).unwrap();
        let mut client = Raw::connect(&world.proxy().bootstrap().servers);
        let mut log = Self { bytes: Vec::new(), tally: Tally::default() };
        let mut offset = 0;
        loop {
            let answer = client.call(12, &fetch_from(topic, partition, offset, limit));
            let part = answer.responses[0].partitions[0].clone();
            assert_eq!(part.error_code, 0, "{topic}-{partition} at {offset}");
            if offset >= part.high_watermark {
                return log;
            }
            let next = log.append(&part.records.unwrap_or_default());
            offset = next.unwrap_or_else(|| panic!("no whole batch of {topic}-{partition} at {offset}"));
        }
    }

    /// What an answer holds; the offset behind its last whole batch.
    fn append(&mut self, set: &[u8]) -> Option<i64> {
        judge(set, &mut self.tally);
        let mut batches = Batches::of(set);
        let behind = batches.by_ref().map(|batch| {
            let header = batch.unwrap().header;
            header.base_offset + i64::from(header.last_offset_delta) + 1
        });
        let behind = behind.last();
        self.bytes.extend(&set[..set.len() - batches.rest().len()]);
        behind
    }

    /// Keeps it as a test vector where that is wanted.
    fn capture(&self, name: &str) {
        capture(name, &self.bytes);
    }

    /// The first batch of each codec, apart.
    fn capture_by_codec(&self, client: &str) {
        let names = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd]
            .into_iter()
            .zip(["none", "gzip", "snappy", "lz4", "zstd"]);
        for (codec, name) in names {
            let mut at = 0;
            let found = Batches::of(&self.bytes).map(Result::unwrap).find(|batch| {
                at += batch.header.size;
                batch.header.codec() == Some(codec)
            });
            if let Some(batch) = found {
                capture(&format!("{client}-{name}"), &self.bytes[at - batch.header.size..at]);
            }
        }
    }
}

fn capture(name: &str, bytes: &[u8]) {
    if std::env::var_os("FISHPLATE_CAPTURE").is_some() {
        std::fs::write(repository().join("tests/vectors").join(format!("{name}.bin")), bytes).unwrap();
    }
}

fn fetch_from(topic: &str, partition: i32, offset: i64, limit: i32) -> FetchRequest {
    let mut request = fetch(&[topic], 100).with_max_bytes(limit);
    for asked in request.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        asked.partition = partition;
        asked.fetch_offset = offset;
        asked.partition_max_bytes = limit;
    }
    request
}
