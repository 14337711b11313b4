//! What one scenario is given: where Kafka is, its own topics and groups, clients, and the place for what it saw.

use crate::harness::wait;
use crate::scenarios::contract::Run;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const SOON: Duration = wait::seconds(40);
pub const MOMENT: Duration = Duration::from_millis(50);

pub type Admin = AdminClient<Ears>;
pub type Reader = BaseConsumer<Ears>;
pub type Writer = ThreadedProducer<Ears>;

/// Topic and partition.
pub type Place = (String, i32);

pub struct Stage {
    bootstrap: String,
    scenario: &'static str,
    /// Through Fishplate they live on two clusters.
    pub topics: [String; 2],
    /// Likewise.
    pub groups: [String; 2],
    /// For the scenario `cut`.
    pub cut: Option<PathBuf>,
    pub admin: Admin,
    runtime: tokio::runtime::Runtime,
    ears: Ears,
    result: Mutex<Map<String, Value>>,
    raw: Mutex<Map<String, Value>>,
}

/// A record's number, and its offset or the error's name.
type Delivery = (usize, Result<i64, String>);

/// Hears what the library says: its log, and what became of records.
#[derive(Clone)]
pub struct Ears {
    log: Arc<Mutex<File>>,
    delivered: Arc<Mutex<Vec<Delivery>>>,
}

impl ClientContext for Ears {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, line: &str) {
        // A log that cannot be written is found empty later.
        let _ = writeln!(self.log.lock().unwrap(), "{facility} {line}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let _ = writeln!(self.log.lock().unwrap(), "ERROR {error}: {reason}");
    }
}

impl ConsumerContext for Ears {}

impl ProducerContext for Ears {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<usize>) {
        let outcome = result.as_ref().map(|message| message.offset()).map_err(|(error, _)| name_of(error));
        self.delivered.lock().unwrap().push((*number, outcome));
    }
}

/// A record to be sent.
#[derive(Clone, Default)]
pub struct Record {
    pub topic: String,
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Option<OwnedHeaders>,
    pub timestamp: Option<i64>,
}

impl Record {
    pub fn new((topic, partition): &Place, value: impl Into<Vec<u8>>) -> Self {
        Self { topic: topic.clone(), partition: *partition, value: Some(value.into()), ..Self::default() }
    }
}

impl Stage {
    pub fn new(run: &Run, scenario: &'static str, log: Arc<Mutex<File>>) -> Self {
        let ears = Ears { log, delivered: Arc::default() };
        let named = |name: &String| format!("{name}.{scenario}");
        // The admin client wakes futures from a thread of its own; the runtime only waits.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let servers = &run.bootstrap.servers;
        Self {
            bootstrap: servers.clone(),
            scenario,
            topics: run.topics.each_ref().map(named),
            groups: run.groups.each_ref().map(named),
            cut: run.cut.clone(),
            admin: config(servers, scenario, &[]).create_with_context(ears.clone()).unwrap(),
            runtime,
            ears,
            result: Mutex::default(),
            raw: Mutex::default(),
        }
    }

    pub fn saw(&self, what: impl Into<String>, value: impl Into<Value>) {
        self.result.lock().unwrap().insert(what.into(), value.into());
    }

    pub fn saw_raw(&self, what: &str, value: impl Into<Value>) {
        self.raw.lock().unwrap().insert(what.into(), value.into());
    }

    /// What was seen so far: for applications, and raw.
    pub fn seen(&self) -> (Value, Value) {
        (self.result.lock().unwrap().clone().into(), self.raw.lock().unwrap().clone().into())
    }

    pub fn wait_for<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    pub fn writer(&self, more: &[(&str, &str)]) -> Writer {
        let ears = Ears { delivered: Arc::default(), ..self.ears.clone() };
        config(&self.bootstrap, self.scenario, more).create_with_context(ears).unwrap()
    }

    pub fn reader(&self, group: &str, more: &[(&str, &str)]) -> Reader {
        let mut config = config(&self.bootstrap, self.scenario, &[]);
        config.set("group.id", group).set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
        config.set("fetch.wait.max.ms", "100").set("heartbeat.interval.ms", "300");
        config.set("session.timeout.ms", "10000");
        for (key, value) in more {
            config.set(*key, *value);
        }
        config.create_with_context(self.ears.clone()).unwrap()
    }

    /// A reader whose group's coordinator assigns partitions (KIP-848), and sets times.
    pub fn assigned_reader(&self, group: &str) -> Reader {
        let mut config = config(&self.bootstrap, self.scenario, &[]);
        config.set("group.id", group).set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
        config.set("group.protocol", "consumer").set("fetch.wait.max.ms", "100");
        config.set("topic.metadata.refresh.interval.ms", "1000");
        config.create_with_context(self.ears.clone()).unwrap()
    }

    /// A reader whose group nobody looks at.
    pub fn lone_reader(&self, more: &[(&str, &str)]) -> Reader {
        self.reader(&format!("{}-lone", self.groups[0]), more)
    }

    pub fn new_topic<'a>(name: &'a str, partitions: i32) -> NewTopic<'a> {
        NewTopic::new(name, partitions, TopicReplication::Fixed(1))
    }

    /// Creates both topics and waits until the leaders lead: sooner, Kafka itself refuses a producer's first batch and
    /// may take the second.
    pub fn create(&self, partitions: i32, configs: &[(&str, &str)]) {
        let new = self.topics.iter().map(|name| {
            configs.iter().fold(Self::new_topic(name, partitions), |topic, (key, value)| topic.set(key, value))
        });
        let made = self.wait_for(self.admin.create_topics(&new.collect::<Vec<_>>(), &options())).unwrap();
        made.into_iter().for_each(|one| drop(one.unwrap()));
        let reader = self.lone_reader(&[]);
        for (topic, partition) in self.places(partitions) {
            let led = || reader.fetch_watermarks(&topic, partition, SOON).is_ok();
            wait::until(&format!("{topic} {partition} has a leader"), SOON, led);
        }
    }

    pub fn places(&self, partitions: i32) -> Vec<Place> {
        let of = |topic: &String| (0..partitions).map(|partition| (topic.clone(), partition)).collect::<Vec<_>>();
        self.topics.iter().flat_map(of).collect()
    }

    /// Sends `count` records to each partition, record i with the value `prefix-i`.
    pub fn fill(&self, prefix: &str, partitions: i32, count: usize) {
        let places = self.places(partitions);
        let of_round = |i| places.iter().map(move |at| Record::new(at, format!("{prefix}-{i}")));
        for sent in send(&self.writer(&[("linger.ms", "5")]), (0..count).flat_map(of_round)) {
            sent.unwrap();
        }
    }

    /// Everything in these partitions from their beginning to their present end.
    pub fn read_all(&self, places: &[Place]) -> BTreeMap<Place, Vec<OwnedMessage>> {
        let reader = self.lone_reader(&[]);
        let end = |(topic, partition): &Place| patiently(|| reader.fetch_watermarks(topic, *partition, SOON)).1;
        let count: i64 = places.iter().map(end).sum();
        reader.assign(&list(places, |_| Offset::Beginning)).unwrap();
        poll(&reader, usize::try_from(count).unwrap())
    }

    /// `one/0` for partition 0 of the first topic: the same name whatever the topic is called in this run.
    pub fn alias(&self, topic: &str, partition: i32) -> String {
        format!("{}/{partition}", self.topic_alias(topic))
    }

    pub fn topic_alias<'a>(&self, topic: &'a str) -> &'a str {
        let at = self.topics.iter().position(|one| one == topic);
        at.map_or(topic, |at| ["one", "two"][at])
    }

    pub fn aliased<V>(&self, all: &BTreeMap<Place, V>, shown: impl Fn(&V) -> Value) -> Value {
        all.iter().map(|((topic, partition), value)| (self.alias(topic, *partition), shown(value))).collect()
    }

    /// Every partition of a list with its offset and error.
    pub fn shown(&self, list: &TopicPartitionList) -> Value {
        let mut all = BTreeMap::new();
        for one in list.elements() {
            let error = one.error().err().map_or_else(|| "none".into(), |error| name_of(&error));
            let text = match one.offset() {
                Offset::Offset(offset) => offset.to_string(),
                other => format!("{other:?}"),
            };
            all.insert(self.alias(one.topic(), one.partition()), format!("{text}, {:?}, {error}", one.metadata()));
        }
        json!(all)
    }
}

fn config(bootstrap: &str, scenario: &str, more: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("client.id", format!("scenario-{scenario}"));
    config.set("debug", "broker,metadata,cgrp,topic").set_log_level(RDKafkaLogLevel::Debug);
    for (key, value) in more {
        config.set(*key, *value);
    }
    config
}

pub fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(SOON)).request_timeout(Some(SOON))
}

/// Sends all and waits until it is known what became of each: its offset or the error's name.
pub fn send(writer: &Writer, records: impl IntoIterator<Item = Record>) -> Vec<Result<i64, String>> {
    let mut count = 0;
    for (number, record) in records.into_iter().enumerate() {
        let mut to = BaseRecord::<Vec<u8>, Vec<u8>, Box<usize>>::with_opaque_to(&record.topic, Box::new(number));
        to = to.partition(record.partition);
        if let Some(key) = &record.key {
            to = to.key(key);
        }
        if let Some(value) = &record.value {
            to = to.payload(value);
        }
        if let Some(headers) = record.headers.clone() {
            to = to.headers(headers);
        }
        if let Some(timestamp) = record.timestamp {
            to = to.timestamp(timestamp);
        }
        if let Err((error, _)) = writer.send(to) {
            writer.context().delivered.lock().unwrap().push((number, Err(name_of(&error))));
        }
        count += 1;
    }
    writer.flush(SOON * 2).unwrap();
    let mut delivered = std::mem::take(&mut *writer.context().delivered.lock().unwrap());
    assert_eq!(delivered.len(), count, "records whose fate is known");
    delivered.sort_by_key(|(number, _)| *number);
    delivered.into_iter().map(|(_, outcome)| outcome).collect()
}

/// How many of its records were acknowledged by now, and how many never will be.
pub fn counted(writer: &Writer) -> (usize, usize) {
    let delivered = writer.context().delivered.lock().unwrap();
    let failed = delivered.iter().filter(|(_, outcome)| outcome.is_err()).count();
    (delivered.len() - failed, failed)
}

/// Asks again where a client's bootstrap broker, which it leaves when it knows the brokers' names, took the question along.
pub fn patiently<T>(ask: impl Fn() -> KafkaResult<T>) -> T {
    let left = |error: &KafkaError| error.rdkafka_error_code() == Some(RDKafkaErrorCode::DestroyBroker);
    let mut told = ask();
    for _ in 0..3 {
        if told.as_ref().is_err_and(left) {
            told = ask();
        }
    }
    told.unwrap()
}

/// Polls until `count` records came.
pub fn poll(reader: &Reader, count: usize) -> BTreeMap<Place, Vec<OwnedMessage>> {
    let end = Instant::now() + SOON;
    let mut seen = BTreeMap::<Place, Vec<OwnedMessage>>::new();
    let mut got = 0;
    while got < count {
        assert!(Instant::now() < end, "only {got} of {count} records within {SOON:?}");
        if let Some(message) = reader.poll(MOMENT) {
            let message = message.unwrap().detach();
            got += 1;
            seen.entry((message.topic().to_owned(), message.partition())).or_default().push(message);
        }
    }
    seen
}

pub fn list(places: &[Place], offset: impl Fn(&Place) -> Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for at in places {
        list.add_partition_offset(&at.0, at.1, offset(at)).unwrap();
    }
    list
}

/// Each record as `offset=value`.
#[allow(clippy::ptr_arg)] // what a map of records holds
pub fn offsets_and_values(records: &Vec<OwnedMessage>) -> Value {
    records.iter().map(|record| format!("{}={}", record.offset(), text(record.payload()).unwrap_or_default())).collect()
}

pub fn text(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

pub fn name_of(error: &KafkaError) -> String {
    let code: Option<RDKafkaErrorCode> = match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    code.map_or_else(|| error.to_string(), |code| format!("{code:?}"))
}

/// The name of what a call failed with, `none` where it did not.
pub fn error_of<T>(outcome: Result<T, KafkaError>) -> String {
    outcome.err().map_or_else(|| "none".into(), |error| name_of(&error))
}
