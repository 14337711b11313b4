//! Clients that say where they are (`client.rack`) read from the follower in their rack (KIP-392), in every view as on bare
//! Kafka: while the leader's connections carry nothing, what is written there is read all the same.

use crate::harness::config::View;
use crate::harness::process::Process;
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::raw::Raw;
use crate::scenarios::programs::java_at;
use crate::world::{World, alone, full, shared};
use kafka_protocol::messages::{DescribeClusterRequest, MetadataRequest};
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Clients' names of the racks of `a`, whose brokers call them r1 to r3.
const RACKS: &str = "racks: { zone-1: r1, zone-2: r2, zone-3: r3 }";
const PORTS: u16 = 16;

const TO_READ: Duration = wait::seconds(30);
/// What comes over the follower comes within this time. Who waits for the leader waits longer.
const WITHOUT_LEADER: Duration = wait::seconds(5);
/// At first the leader may know of no follower that has caught up.
const TRIES: usize = 5;

pub fn trials() -> Vec<Trial> {
    vec![
        shared("racks: clients are told the brokers' racks by their own names", told),
        alone("racks: librdkafka and Java read from the follower in their rack", follow),
    ]
}

fn told(world: &World) {
    let proxy = world.start_proxy(&world.config().keys("a", RACKS));
    let mut client = Raw::connect(&proxy.bootstrap().servers);
    let expected: BTreeSet<_> = ["zone-1", "zone-2", "zone-3", "r1"].map(|rack| Some(rack.to_owned())).into();
    let racks = |told: Vec<Option<String>>| told.into_iter().collect::<BTreeSet<_>>();
    wait::until("Metadata tells all racks", TO_READ, || {
        let seen = client.call(12, &MetadataRequest::default().with_topics(None)).brokers;
        racks(seen.iter().map(|one| one.rack.as_deref().map(str::to_owned)).collect()) == expected
    });
    let seen = client.call(1, &DescribeClusterRequest::default()).brokers;
    assert_eq!(racks(seen.iter().map(|one| one.rack.as_deref().map(str::to_owned)).collect()), expected);
    proxy.finish();
}

fn follow(world: &World) {
    let config = world.config_over_links().keys("a", RACKS).listener(View::Brokers, None);
    let config = config.listener(View::Single, None).listener(View::Hosts, Some(world.ports.range(PORTS)));
    let proxy = world.start_proxy(&config);
    let near = |word: &str, view: Option<View>| {
        let at = view.map_or_else(|| world.a.over_links(), |view| proxy.bootstrap_in(view));
        let start = |topic: &str, broker| Librdkafka::start(&at, topic, &rack(view, broker));
        reads_nearby(world, &format!("a-racks-{word}"), start);
    };
    let near_java = |word: &str, view: Option<View>| {
        let at = view.map_or_else(|| world.a.over_links(), |view| proxy.bootstrap_in(view));
        let start = |topic: &str, broker| Java::start(world, &at, topic, &rack(view, broker));
        reads_nearby(world, &format!("a-racks-java-{word}"), start);
    };
    near("brokers", Some(View::Brokers));
    near("single", Some(View::Single));
    near_java("brokers", Some(View::Brokers));
    loses_its_follower(world, &proxy, "a-racks-gone-single", View::Single);
    if full() {
        near("bare", None);
        near("hosts", Some(View::Hosts));
        near_java("bare", None);
        near_java("hosts", Some(View::Hosts));
        near_java("single", Some(View::Single));
        loses_its_follower(world, &proxy, "a-racks-gone-brokers", View::Brokers);
    }
    proxy.end();
}

/// What a client in a broker's rack calls it.
fn rack(view: Option<View>, broker: i32) -> String {
    if view.is_some() { format!("zone-{broker}") } else { format!("r{broker}") }
}

/// Reads a topic's partition 0 from its start.
trait Reader {
    fn has(&self, record: &str) -> bool;
}

#[track_caller]
fn reads_nearby<R: Reader>(world: &World, topic: &str, start: impl FnOnce(&str, i32) -> R) {
    // Given a topic with a leader, and a reader in the rack of another of its brokers
    Topics::of(&world.a.bootstrap()).create(topic, 1, 3);
    let leader = wait::find("a leader", TO_READ, || world.a.leader(topic, 0));
    let follower = leader % 3 + 1;
    let writer = Writer::of(&world.a.bootstrap(), topic);
    let reader = start(topic, follower);
    let link = &world.a.broker(leader).link;
    for attempt in 0..TRIES {
        let before = format!("{attempt} before");
        writer.write(&before);
        wait::until(&format!("{topic}: a record is read"), TO_READ, || reader.has(&before));
        thread::sleep(Duration::from_millis(500));
        // When nothing comes from the leader any more, and a record is written there
        link.stall();
        let without = format!("{attempt} without the leader");
        writer.write(&without);
        // Then it is read all the same
        let read = wait::poll(WITHOUT_LEADER, || reader.has(&without).then_some(()));
        link.flow();
        if read.is_some() {
            return;
        }
        wait::until(&format!("{topic}: the reader goes on"), TO_READ, || reader.has(&without));
    }
    panic!("{topic}: what the leader (broker {leader}) got was never read from broker {follower}");
}

/// A follower that cannot be reached any more is read from no longer, and nothing is lost or read twice.
fn loses_its_follower(world: &World, proxy: &Proxy, topic: &str, view: View) {
    Topics::of(&world.a.bootstrap()).create(topic, 1, 3);
    let leader = wait::find("a leader", TO_READ, || world.a.leader(topic, 0));
    let follower = leader % 3 + 1;
    let writer = Writer::of(&world.a.bootstrap(), topic);
    let reader = Librdkafka::start(&proxy.bootstrap_in(view), topic, &rack(Some(view), follower));
    writer.write("with it");
    wait::until(&format!("{topic}: a record is read"), TO_READ, || reader.has("with it"));
    thread::sleep(Duration::from_millis(500));
    world.a.broker(follower).link.down();
    writer.write("without it");
    wait::until(&format!("{topic}: it is read without the follower"), TO_READ, || reader.has("without it"));
    assert_eq!(reader.all(), ["with it", "without it"], "{topic}");
    world.a.broker(follower).link.up();
}

struct Writer {
    producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext>,
    topic: String,
}

impl Writer {
    fn of(bootstrap: &Bootstrap, topic: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &bootstrap.servers).set("log_level", "0").set("linger.ms", "0");
        Self { producer: config.create().expect("a producer"), topic: topic.to_owned() }
    }

    #[track_caller]
    fn write(&self, text: &str) {
        self.producer.send(BaseRecord::<str, str>::to(&self.topic).partition(0).payload(text)).expect("room for one");
        self.producer.flush(TO_READ).expect("an answer");
    }
}

/// rdkafka's own, polled on a thread until it is dropped.
struct Librdkafka {
    read: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Librdkafka {
    fn start(at: &Bootstrap, topic: &str, rack: &str) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &at.servers)
            .set("client.rack", rack)
            .set("group.id", "nobody")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("log_level", "0")
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Offset(0)).expect("an offset");
        consumer.assign(&list).expect("an assignment");
        let (read, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (to, ends) = (Arc::clone(&read), Arc::clone(&over));
        let thread = thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                    let text = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
                    to.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                }
            }
        });
        Self { read, over, thread: Some(thread) }
    }

    fn all(&self) -> Vec<String> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Reader for Librdkafka {
    fn has(&self, record: &str) -> bool {
        self.all().iter().any(|read| read == record)
    }
}

impl Drop for Librdkafka {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// Kafka's console consumer; killed when it is dropped.
struct Java {
    output: PathBuf,
    _process: Process,
}

impl Java {
    fn start(world: &World, at: &Bootstrap, topic: &str, rack: &str) -> Self {
        let output = world.directory.join(format!("{topic}.read"));
        let mut java = java_at("4.3", &output.with_extension("log")).unwrap_or_else(|error| panic!("{error:#}"));
        java.args(["org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", &at.servers]);
        java.args(["--topic", topic, "--partition", "0", "--offset", "0"]);
        java.args(["--command-property", &format!("client.rack={rack}")]);
        java.stdout(File::create(&output).expect("a file"));
        java.stderr(File::create(output.with_extension("err")).expect("a file"));
        let process = Process::start("the console consumer", java).unwrap_or_else(|error| panic!("{error:#}"));
        Self { output, _process: process }
    }
}

impl Reader for Java {
    fn has(&self, record: &str) -> bool {
        fs::read_to_string(&self.output).is_ok_and(|read| read.lines().any(|line| line == record))
    }
}
