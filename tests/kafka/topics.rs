//! How topics come, grow, go and come again under clients that are at work (protocol-rules 1): made by Metadata and by producers
//! on the cluster that their pipeline names, on clusters that make topics and on one that does not; and the same name on two.

use crate::harness::cluster::Cluster;
use crate::harness::metrics::Metrics;
use crate::harness::standin::StandIn;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::operator::run;
use crate::raw::{Raw, text};
use crate::scenarios::programs::{java_at, run_to_end};
use crate::world::{World, full, shared};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, TopicName};
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const SOON: Duration = wait::seconds(30);
/// A client's own picture of topics is a second old at most.
const REFRESH_MS: &str = "1000";

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        shared("topics: one is made by Metadata where its pipeline says, and only if asked to", made_by_metadata),
        shared("topics: librdkafka's producer has one made where its pipeline says", made_by_librdkafka),
        shared("topics: no producer has one made on a cluster that makes none", not_made),
        shared("topics: one on two clusters is read at home, and told", on_two_clusters),
        shared("topics: partitions that are added under load are written and read", grows_under_load),
        shared("topics: one that is made again under load is written and read again", made_again_under_load),
    ];
    if full() {
        trials.push(shared("topics: Java's producer has one made where its pipeline says", made_by_java));
    }
    trials
}

/// What Metadata tells of a topic, which may be made for that: its error, and how many partitions it has.
fn metadata(at: &Bootstrap, topic: &str, create: bool) -> (i16, usize) {
    let named = MetadataRequestTopic::default().with_name(Some(TopicName(text(topic))));
    let request = MetadataRequest::default().with_topics(Some(vec![named])).with_allow_auto_topic_creation(create);
    let server = at.servers.split(',').next().unwrap();
    let told = Raw::connect(server).call(9, &request).topics.remove(0);
    (told.error_code, told.partitions.len())
}

fn is_on(cluster: &Bootstrap, topic: &str) -> bool {
    metadata(cluster, topic, false).0 != 3
}

/// It was made on one cluster and not on the other. Who is asked here may hear of it a little later than who made it.
#[track_caller]
fn was_made_on(home: &Cluster, other: &Cluster, topic: &str) {
    wait::until(&format!("{topic} is on its cluster"), SOON, || is_on(&home.bootstrap(), topic));
    assert!(!is_on(&other.bootstrap(), topic), "{topic} is on the other cluster");
}

fn made_by_metadata(world: &World) {
    let through = world.proxy().bootstrap();
    for (topic, home, other) in [("a-auto", &world.a, &world.b), ("b-auto", &world.b, &world.a)] {
        // Given a topic that is nowhere, when it is asked for, then nothing is made
        assert_eq!(metadata(&through, topic, false), (3, 0));
        assert!(!is_on(&home.bootstrap(), topic), "{topic}");
        // When it is asked for by who would have it made, then it is, with the cluster's own number of partitions
        let made = || (metadata(&through, topic, true) == (0, 4)).then_some(());
        wait::find(&format!("{topic} is made"), SOON, made);
        // And where its pipeline says, alone
        was_made_on(home, other, topic);
    }
}

fn made_by_librdkafka(world: &World) {
    let through = world.proxy().bootstrap();
    for (topic, home, other) in [("a-auto-rd", &world.a, &world.b), ("b-auto-rd", &world.b, &world.a)] {
        assert_eq!(written(&through, topic, "first", 60_000), Ok(()));
        was_made_on(home, other, topic);
        assert_eq!(read(&home.bootstrap(), topic, 1), ["first"]);
    }
}

fn made_by_java(world: &World) {
    for (topic, home, other) in [("a-auto-java", &world.a, &world.b), ("b-auto-java", &world.b, &world.a)] {
        let output = world.directory.join(format!("{topic}.out"));
        let mut java = java_at("4.3", &output.with_extension("log")).unwrap();
        java.args(["org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", "3"]);
        java.args(["--record-size", "10", "--throughput", "-1", "--bootstrap-server"]);
        java.arg(&world.proxy().bootstrap().servers);
        run_to_end("ProducerPerformance", java, wait::seconds(60), &output).unwrap();
        was_made_on(home, other, topic);
        assert_eq!(read(&home.bootstrap(), topic, 3).len(), 3);
    }
}

fn not_made(world: &World) {
    // Given a cluster with auto.create.topics.enable=false, bare and behind Fishplate
    let makes_none = StandIn::makes_no_topics(world.b.broker(1).port).unwrap();
    let config = crate::harness::config::Config::two_clusters(&world.a.bootstrap(), &makes_none.bootstrap());
    let proxy = world.start_proxy(&config);
    for (at, topic) in [(makes_none.bootstrap(), "b-none-bare"), (proxy.bootstrap(), "b-none")] {
        // When it is asked for, or written to, then it is unknown
        assert_eq!(metadata(&at, topic, true), (3, 0), "{at}");
        let refused = written(&at, topic, "nothing", 5_000).expect_err("a topic that is not there");
        assert!(refused.contains("UnknownTopic") || refused.contains("MessageTimedOut"), "{at}: {refused}");
        // And is made nowhere
        assert!(!is_on(&world.a.bootstrap(), topic) && !is_on(&world.b.bootstrap(), topic), "{topic}");
    }
    // And one of the other cluster is made there
    assert_eq!(written(&proxy.bootstrap(), "a-none", "first", 60_000), Ok(()));
    was_made_on(&world.a, &world.b, "a-none");
    proxy.finish();
}

fn on_two_clusters(world: &World) {
    const TOPIC: &str = "b-on-two";
    // Given a topic of b with a record on each cluster
    for (cluster, record) in [(&world.a, "of a"), (&world.b, "of b")] {
        Topics::of(&cluster.bootstrap()).create(TOPIC, 1, 1);
        assert_eq!(written(&cluster.bootstrap(), TOPIC, record, 60_000), Ok(()));
    }
    // When a Fishplate starts
    let config = world.config().only("on-two");
    let proxy = world.start_proxy(&config);
    // Then its clients see what is at home
    assert_eq!(read(&proxy.bootstrap(), TOPIC, 1), ["of b"]);
    assert_eq!(written(&proxy.bootstrap(), TOPIC, "more", 60_000), Ok(()));
    assert_eq!(read(&world.b.bootstrap(), TOPIC, 2), ["of b", "more"]);
    assert_eq!(read(&world.a.bootstrap(), TOPIC, 1), ["of a"]);
    // And the operator hears of it: in the log, a metric, the table and a check
    let words = "topics have records on two clusters; clients see those at home only";
    wait::until("it is in the log", SOON, || proxy.log().lines_with(words).iter().any(|line| line.contains(TOPIC)));
    let counted = Metrics::of(&proxy.admin()).sum("fishplate_misplaced_topics", &[("records", "both")]);
    assert!(counted >= Some(1.0), "{counted:?}");
    let file = world.directory.join("on-two.yaml");
    std::fs::write(&file, config.yaml()).unwrap();
    let (code, said) = run(&["check", "-c", &file.to_string_lossy(), "--live"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("topic {TOPIC} has records on b and on a; clients see only those on b")), "{said}");
    proxy.finish();
}

fn grows_under_load(world: &World) {
    const TOPIC: &str = "b-grows-loaded";
    // Given a topic of one partition, which is written and read by a group
    let through = world.proxy().bootstrap();
    Topics::of(&world.b.bootstrap()).create(TOPIC, 1, 1);
    let load = Load::start(&through, TOPIC, "gb-grows-loaded");
    wait::until("records are read", SOON, || load.read().len() > 10);
    // When it grows on its cluster
    Topics::of(&world.b.bootstrap()).grow(TOPIC, 3);
    // Then all its partitions are written and read
    let all: BTreeSet<_> = (0..3).collect();
    wait::until("records of all partitions are read", SOON, || {
        load.read().into_values().collect::<BTreeSet<_>>() == all
    });
    // And nothing that was acknowledged is missing
    let load = load.stop_writing();
    let missing = || load.acknowledged().difference(&load.read().into_keys().collect()).count();
    wait::until("all that was acknowledged is read", SOON, || missing() == 0);
    assert_eq!(load.refused(), 0, "no record was refused for good");
}

fn made_again_under_load(world: &World) {
    const TOPIC: &str = "b-again-loaded";
    let through = world.proxy().bootstrap();
    let topics = Topics::of(&world.b.bootstrap());
    // Given a topic that is written and read by a group
    topics.create(TOPIC, 1, 1);
    let load = Load::start(&through, TOPIC, "gb-again-loaded");
    wait::until("records are read", SOON, || load.read().len() > 10);
    // When it is deleted on its cluster and another of that name is made (perhaps by the producer)
    topics.delete(TOPIC);
    let again = || {
        let made = metadata(&world.b.bootstrap(), TOPIC, true);
        (made.0 == 0).then_some(())
    };
    thread::sleep(Duration::from_millis(500));
    wait::find("it is there again", SOON, again);
    // Then the producer and the consumer that ran go on with the new one
    let before = load.acknowledged().len();
    wait::until("records are acknowledged", wait::seconds(60), || load.acknowledged().len() > before + 20);
    let last = *load.acknowledged().last().unwrap();
    wait::until("new records are read", wait::seconds(60), || load.read().keys().any(|number| *number >= last));
    // And they are on the cluster
    let load = load.stop_writing();
    let is_late = |record: &String| record.parse().is_ok_and(|number: u64| number >= last);
    read_until(&world.b.bootstrap(), TOPIC, &format!("record {last}"), |read| read.iter().any(is_late));
    drop(load);
}

/// Writes one record; the error, where it is given up.
fn written(at: &Bootstrap, topic: &str, record: &str, within_ms: u32) -> Result<(), String> {
    let answers = Answers::default();
    let producer: ThreadedProducer<Answers> = client(at)
        .set("message.timeout.ms", within_ms.to_string())
        .set("linger.ms", "0")
        .create_with_context(answers)
        .expect("a producer");
    producer
        .send(BaseRecord::with_opaque_to(topic, 0).key("k").payload(record))
        .map_err(|(error, _)| error.to_string())?;
    producer.flush(wait::seconds(60)).map_err(|error| error.to_string())?;
    let told = producer.context();
    let refused = lock(&told.refused).first().cloned();
    refused.map_or(Ok(()), Err)
}

/// At least so many records of all partitions, from the start.
#[track_caller]
fn read(at: &Bootstrap, topic: &str, count: usize) -> Vec<String> {
    read_until(at, topic, &format!("{count} records"), |read| read.len() >= count)
}

/// All partitions from the start, until this is among what was read.
#[track_caller]
fn read_until(at: &Bootstrap, topic: &str, what: &str, is_read: impl Fn(&[String]) -> bool) -> Vec<String> {
    let consumer: BaseConsumer = client(at)
        .set("group.id", format!("gb-once-{}", fastrand::u64(..)))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let metadata = wait::find("its partitions", SOON, || {
        let seen = consumer.fetch_metadata(Some(topic), wait::seconds(5)).ok()?;
        let count = seen.topics().first()?.partitions().len();
        (count > 0).then_some(count)
    });
    let mut list = rdkafka::TopicPartitionList::new();
    for partition in 0..metadata {
        let partition = i32::try_from(partition).unwrap();
        list.add_partition_offset(topic, partition, rdkafka::Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut read = Vec::new();
    wait::until(&format!("{what} of {topic} is read from {at}"), SOON, || {
        while let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            read.push(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned());
        }
        is_read(&read)
    });
    read
}

fn client(at: &Bootstrap) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &at.servers).set("log_level", "0");
    config.set("topic.metadata.refresh.interval.ms", REFRESH_MS).set("metadata.max.age.ms", "3000");
    config
}

/// A producer of numbers, and a group that reads them, until it is dropped.
struct Load {
    producer: Arc<ThreadedProducer<Answers>>,
    read: Arc<Mutex<BTreeMap<u64, i32>>>,
    writes: Arc<AtomicBool>,
    reads: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Answers {
    acknowledged: Mutex<BTreeSet<u64>>,
    refused: Mutex<Vec<String>>,
}

impl rdkafka::ClientContext for Answers {}

impl ProducerContext for Answers {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(_) => drop(lock(&self.acknowledged).insert(number as u64)),
            Err((error, _)) => lock(&self.refused).push(error.to_string()),
        }
    }
}

impl Load {
    fn start(at: &Bootstrap, topic: &'static str, group: &str) -> Self {
        let producer: ThreadedProducer<Answers> = client(at)
            .set("message.timeout.ms", "60000")
            .set("linger.ms", "5")
            .set("partitioner", "random")
            .create_with_context(Answers::default())
            .expect("a producer");
        let consumer: BaseConsumer = client(at)
            .set("group.id", group)
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", "6000")
            .create()
            .expect("a consumer");
        consumer.subscribe(&[topic]).expect("a subscription");
        let producer = Arc::new(producer);
        let (read, writes, reads) = (Arc::default(), Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
        let (through, goes_on) = (Arc::clone(&producer), Arc::clone(&writes));
        let writing = thread::spawn(move || {
            let mut number = 0;
            while goes_on.load(Ordering::Relaxed) {
                number += 1;
                let record = number.to_string();
                // A topic that is away is no error here: its record is refused, or not.
                let _ = through.send(BaseRecord::with_opaque_to(topic, number).key(&record).payload(&record));
                thread::sleep(Duration::from_millis(10));
            }
        });
        let (to, goes_on): (Arc<Mutex<BTreeMap<u64, i32>>>, _) = (Arc::clone(&read), Arc::clone(&reads));
        let reading = thread::spawn(move || {
            while goes_on.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                    let number = String::from_utf8_lossy(message.payload().unwrap_or_default()).parse();
                    lock(&to).insert(number.expect("a number"), message.partition());
                }
            }
        });
        Self { producer, read, writes, reads, threads: vec![writing, reading] }
    }

    /// What was read, and the partition of each.
    fn read(&self) -> BTreeMap<u64, i32> {
        lock(&self.read).clone()
    }

    fn acknowledged(&self) -> BTreeSet<u64> {
        lock(&self.producer.context().acknowledged).clone()
    }

    fn refused(&self) -> usize {
        lock(&self.producer.context().refused).len()
    }

    fn stop_writing(self) -> Self {
        self.writes.store(false, Ordering::Relaxed);
        self.producer.flush(wait::seconds(60)).expect("answers");
        self
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.writes.store(false, Ordering::Relaxed);
        self.reads.store(false, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
