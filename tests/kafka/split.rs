//! Fetches and Produces over two clusters, in the view `single`, with a real librdkafka: who is idle or frozen delays
//! nobody beyond what the order of answers demands. What tells right from wrong is the order of things, or a wait of a
//! minute for each record: no trial looks at a clock.

use crate::harness::config::View;
use crate::harness::counting::Counting;
use crate::harness::metrics::Metrics;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::world::{World, alone};
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const SOON: Duration = wait::seconds(60);
const A_POLL: Duration = Duration::from_millis(100);
/// How long a consumer lets a broker wait for records: were an idle one waited for, no trial would end.
const LONG_POLL_MS: &str = "50000";

pub fn trials() -> Vec<Trial> {
    vec![
        alone("split: an idle cluster delays nobody and holds one long poll", idle_delays_nobody),
        alone("split: while a cluster is frozen the other's records are read, then its own", frozen_is_read_later),
        alone("split: while a cluster is frozen the other's records are written", frozen_delays_no_writing),
        // A benchmark, whose figures docs/views.md has.
        alone("measure: delay of a busy cluster's records in single", measure).with_ignored_flag(true),
    ]
}

fn idle_delays_nobody(world: &World) {
    // Given a consumer of a cluster that has records now and then, and of one that has none
    let (busy, idle) = ("a-split-busy", "b-split-idle");
    create(world, busy, idle);
    let relay = Relay::before_b(world);
    let proxy = world.start_proxy(&world.config_over_links().showing(View::Single, None));
    let consumer = consumer(&proxy.bootstrap(), &[busy, idle]);
    let producer = producer(&world.a.bootstrap());
    // When records come one after the other, each when the one before it was read
    let mut read = Vec::new();
    for number in 0..100 {
        send(&producer, busy, number);
        read_until(&consumer, &mut read, number + 1);
    }
    // Then all are read, in order
    assert_eq!(read, numbered(busy, 0..100));
    // And the idle cluster's broker holds one Fetch, which is asked anew when its time is over and not before
    let (seen, at_a_time) = relay.0.long_polls();
    assert!(at_a_time == 1 && seen < 20, "{seen} long polls, {at_a_time} at a time");
    // And what comes there in the end is read at once
    send(&self::producer(&world.b.bootstrap()), idle, 7);
    read_until(&consumer, &mut read, 101);
    assert_eq!(read[100..], numbered(idle, 7..8));
    proxy.finish();
}

fn frozen_is_read_later(world: &World) {
    // Given a consumer of both clusters
    let (flowing, frozen) = ("a-split-flowing", "b-split-frozen");
    create(world, flowing, frozen);
    let proxy = world.start_proxy(&world.config().showing(View::Single, None));
    let consumer = consumer(&proxy.bootstrap(), &[flowing, frozen]);
    let (on_a, on_b) = (producer(&world.a.bootstrap()), producer(&world.b.bootstrap()));
    let mut read = Vec::new();
    for (on, topic) in [(&on_a, flowing), (&on_b, frozen)] {
        (0..50).for_each(|number| send_later(on, topic, number));
        on.flush(SOON).expect("acknowledged");
    }
    read_until(&consumer, &mut read, 100);
    // When b is frozen
    world.b.broker(1).freeze();
    // Then a's records are read all the same
    read.clear();
    for hundred in 0..10 {
        let numbers = 50 + 100 * hundred..150 + 100 * hundred;
        numbers.for_each(|number| send_later(&on_a, flowing, number));
        read_until(&consumer, &mut read, 100 * (hundred + 1));
    }
    assert_eq!(read, numbered(flowing, 50..1_050));
    // And b's when it goes on, none is lost
    world.b.broker(1).thaw();
    read.clear();
    (50..1_050).for_each(|number| send_later(&on_b, frozen, number));
    read_until(&consumer, &mut read, 1_000);
    assert_eq!(read, numbered(frozen, 50..1_050));
    // Where it was frozen for long enough to be missed.
    proxy.log().allow("cluster");
    proxy.finish();
}

fn frozen_delays_no_writing(world: &World) {
    // Given a producer that has written to both clusters
    let (flowing, frozen) = ("a-split-written", "b-split-stuck");
    create(world, flowing, frozen);
    let proxy = world.start_proxy(&world.config().showing(View::Single, None));
    let writer = writer(&proxy.bootstrap(), &[("batch.num.messages", "1")]);
    for topic in [flowing, frozen] {
        send(&writer, topic, 0);
    }
    // When b is frozen, and the producer sends to b and then to a
    world.b.broker(1).freeze();
    let on_its_way = || Metrics::of(&proxy.admin()).sum("fishplate_requests_in_flight", &[]) == Some(1.0);
    wait::until("nothing is on its way", SOON, || !on_its_way());
    send_later(&writer, frozen, 1);
    wait::until("b's is on its way", SOON, on_its_way);
    for number in 1..11 {
        send_later(&writer, flowing, number);
    }
    // Then a's are written
    let eyes = consumer(&world.a.bootstrap(), &[flowing]);
    let mut read = Vec::new();
    read_until(&eyes, &mut read, 11);
    assert_eq!(read, numbered(flowing, 0..11));
    // And acknowledged behind b's, on the connection that all share
    assert_eq!(delivered(&writer).len(), 2, "b's has no answer yet");
    world.b.broker(1).thaw();
    wait::until("all are acknowledged", SOON, || delivered(&writer).len() == 13);
    let all: Vec<_> =
        [(flowing, 0..1), (frozen, 0..2), (flowing, 1..11)].map(|(topic, of)| numbered(topic, of)).concat();
    assert_eq!(delivered(&writer), all);
    // Once each
    let eyes = consumer(&world.b.bootstrap(), &[frozen]);
    read.clear();
    read_until(&eyes, &mut read, 2);
    assert_eq!(read, numbered(frozen, 0..2));
    proxy.log().allow("cluster");
    proxy.finish();
}

/// How long after it was sent to its cluster a record is read, on bare Kafka and in `single`.
fn measure(world: &World) {
    const RECORDS: usize = 1_000;
    let (busy, other) = ("a-split-measured", "b-split-neighbour");
    create(world, busy, other);
    let proxy = world.start_proxy(&world.config().showing(View::Single, None));
    let (bare, single) = (world.a.bootstrap(), proxy.bootstrap());
    let run = |name: &str, from: &Bootstrap, topics: &[&str]| {
        let end = wait::find("the end", SOON, || consumer(&bare, &[]).fetch_watermarks(busy, 0, SOON).ok()).1;
        let consumer = consumer_waiting(from, &[], "500");
        let mut list = TopicPartitionList::new();
        for topic in topics {
            let at = if *topic == busy { end } else { 0 };
            list.add_partition_offset(topic, 0, Offset::Offset(at)).expect("an offset");
        }
        consumer.assign(&list).expect("an assignment");
        // It has asked, and its links are open.
        while consumer.poll(wait::seconds(2)).is_some() {}
        let sent = Mutex::new(Vec::new());
        let mut delays = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let writer = producer(&bare);
                for number in 0..RECORDS {
                    sent.lock().expect("no panic").push(Instant::now());
                    send_later(&writer, busy, number);
                    std::thread::sleep(Duration::from_millis(10));
                }
                writer.flush(SOON).expect("all are acknowledged");
            });
            while delays.len() < RECORDS {
                if let Some(Ok(_)) = consumer.poll(A_POLL) {
                    delays.push(sent.lock().expect("no panic")[delays.len()].elapsed());
                }
            }
        });
        // Those of the first second warm up.
        delays.drain(..100);
        delays.sort_unstable();
        let part = |of: usize| delays[delays.len() * of / 100].as_secs_f64() * 1e3;
        let most = delays.last().expect("one").as_secs_f64() * 1e3;
        world.note(format!("{name}: p50 {:.1} ms, p99 {:.1} ms, most {most:.1} ms", part(50), part(99)));
    };
    for round in ["first", "second"] {
        run(&format!("{round}, bare"), &bare, &[busy]);
        run(&format!("{round}, single, alone"), &single, &[busy]);
        run(&format!("{round}, single, idle neighbour"), &single, &[busy, other]);
        world.b.broker(1).freeze();
        run(&format!("{round}, single, frozen neighbour"), &single, &[busy, other]);
        world.b.broker(1).thaw();
        world.b.wait_ready();
    }
}

fn create(world: &World, on_a: &str, on_b: &str) {
    for (cluster, topic, replicas) in [(&world.a, on_a, 3), (&world.b, on_b, 1)] {
        Topics::of(&cluster.bootstrap()).create(topic, 1, replicas);
        wait::find("a leader", SOON, || cluster.leader(topic, 0));
    }
}

/// What counts before broker 1 of b, as long as this lives.
struct Relay<'w>(Counting, &'w World, u16);

impl<'w> Relay<'w> {
    fn before_b(world: &'w World) -> Self {
        let link = &world.b.broker(1).link;
        let straight = link.leads_to();
        let counting = Counting::before(straight).expect("a relay");
        link.lead_to(counting.port());
        Self(counting, world, straight)
    }
}

impl Drop for Relay<'_> {
    fn drop(&mut self) {
        let link = &self.1.b.broker(1).link;
        link.lead_to(self.2);
        link.cut();
    }
}

fn client(bootstrap: &Bootstrap) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &bootstrap.servers).set("log_level", "0");
    config
}

/// Of partition 0 of these topics, from its start.
fn consumer(bootstrap: &Bootstrap, topics: &[&str]) -> BaseConsumer {
    consumer_waiting(bootstrap, topics, LONG_POLL_MS)
}

fn consumer_waiting(bootstrap: &Bootstrap, topics: &[&str], wait_ms: &str) -> BaseConsumer {
    let mut config = client(bootstrap);
    config.set("group.id", "nobody").set("enable.auto.commit", "false").set("auto.offset.reset", "error");
    config.set("fetch.wait.max.ms", wait_ms).set("socket.timeout.ms", "120000");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut all = TopicPartitionList::new();
    for topic in topics {
        all.add_partition_offset(topic, 0, Offset::Offset(0)).expect("an offset");
    }
    consumer.assign(&all).expect("an assignment");
    consumer
}

/// Reads on until so many are read.
#[track_caller]
fn read_until(consumer: &BaseConsumer, read: &mut Vec<(String, usize)>, count: usize) {
    wait::until(&format!("{count} records are read"), SOON, || {
        while read.len() < count
            && let Some(message) = consumer.poll(A_POLL)
        {
            let Ok(message) = message else { continue };
            let number = std::str::from_utf8(message.payload().expect("a value")).expect("text");
            read.push((message.topic().to_owned(), number.parse().expect("a number")));
        }
        read.len() >= count
    });
}

fn numbered(topic: &str, numbers: std::ops::Range<usize>) -> Vec<(String, usize)> {
    numbers.map(|number| (topic.to_owned(), number)).collect()
}

/// What was acknowledged, in that order; a failure fails the trial.
#[derive(Default)]
struct Delivered(Mutex<Vec<(String, usize)>>);

type Writer = ThreadedProducer<Delivered>;

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, outcome: &DeliveryResult<'_>, number: Box<usize>) {
        let topic = match outcome {
            Ok(message) => message.topic().to_owned(),
            Err((error, _)) => error.to_string(),
        };
        self.0.lock().expect("no panic").push((topic, *number));
    }
}

fn delivered(writer: &Writer) -> Vec<(String, usize)> {
    writer.context().0.lock().expect("no panic").clone()
}

/// One whose records keep their order, whatever is tried again.
fn producer(bootstrap: &Bootstrap) -> Writer {
    writer(bootstrap, &[("enable.idempotence", "true")])
}

fn writer(bootstrap: &Bootstrap, settings: &[(&str, &str)]) -> Writer {
    let mut config = client(bootstrap);
    config.set("linger.ms", "0");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    // It would give a frozen broker's request up, and the connection with it.
    config.set("request.timeout.ms", "100000").set("socket.timeout.ms", "120000");
    config.create_with_context(Delivered::default()).expect("a producer")
}

fn send_later(writer: &Writer, topic: &str, number: usize) {
    let value = number.to_string();
    let record = BaseRecord::<(), str, _>::with_opaque_to(topic, Box::new(number)).partition(0).payload(&value);
    writer.send(record).map_err(|(error, _)| error).expect("room for one");
}

#[track_caller]
fn send(writer: &Writer, topic: &str, number: usize) {
    send_later(writer, topic, number);
    let deadline = Instant::now() + SOON;
    while delivered(writer).last() != Some(&(topic.to_owned(), number)) {
        assert!(Instant::now() < deadline, "{number} to {topic} is not acknowledged: {:?}", delivered(writer));
        std::thread::sleep(Duration::from_millis(1));
    }
}
