//! ClickHouse's Kafka tables, played by the same library with the settings that they give it (its `KafkaConfigLoader` and
//! `KafkaConsumer`, 2025): blocks of rows are inserted, then the offsets behind them are committed; what was polled when a
//! partition is taken away is dropped and read again.

use super::{SOON, write};
use crate::committed;
use crate::harness::config::View;
use crate::harness::metrics::Metrics;
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::world::World;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use rdkafka::{ClientConfig, ClientContext, Message, Statistics};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 3;
/// To each partition, in each round.
const ROWS: usize = 60;
const ROUNDS: usize = 3;
const BLOCK: usize = 25;
/// How long it waits until a block is full.
const POLL: Duration = Duration::from_millis(100);

/// As it names itself.
const SOFTWARE: (&str, &str) = ("ClickHouse", "v25.8.2.29-lts");

pub fn rows_once(world: &World) {
    // Given a listener that knows nothing of ClickHouse, and a config that has measured its own
    let chosen = world.start_proxy(&world.config());
    let rule = format!("clients: [{{ name: {}, from: \"25.1\", view: brokers }}]\n", SOFTWARE.0);
    let ruled = world.start_proxy(&world.config().with(&rule));
    // Then a table of each takes each row once
    thread::scope(|scope| {
        for (proxy, view) in [(&chosen, View::Single), (&ruled, View::Brokers)] {
            scope.spawn(move || takes_each_row_once(world, proxy, view));
        }
    });
    chosen.finish();
    ruled.finish();
}

fn takes_each_row_once(world: &World, proxy: &Proxy, view: View) {
    // Given a table over a topic of each cluster, and a group at home on one
    let topics = ["a", "b"].map(|home| format!("{home}-clickhouse-{}", view.word()));
    Topics::of(&world.a.bootstrap()).create(&topics[0], PARTITIONS, 3);
    Topics::of(&world.b.bootstrap()).create(&topics[1], PARTITIONS, 1);
    let led = Topics::of(&proxy.bootstrap());
    topics.iter().for_each(|topic| led.wait_until_led(topic, PARTITIONS));
    let group = format!("ga-clickhouse-{}", view.word());
    let table = Table { at: proxy.bootstrap(), topics: &topics, group: &group, rows: Mutex::default() };
    let stop = [AtomicBool::new(false), AtomicBool::new(false)];
    let statistics = thread::scope(|scope| {
        let _ended = Ended(&stop);
        // When one of its threads reads, then two, then the other one alone, with rows coming all the time
        let first = scope.spawn(|| table.consume(0, &stop[0]));
        table.fill(0);
        table.wait_for(1);
        let second = scope.spawn(|| table.consume(1, &stop[1]));
        table.fill(1);
        table.wait_for(2);
        stop[0].store(true, Ordering::Relaxed);
        table.fill(2);
        table.wait_for(3);
        stop[1].store(true, Ordering::Relaxed);
        first.join().expect("the first thread") + second.join().expect("the second thread")
    });
    // Then it holds each row once, in order
    let rows = table.rows.lock().expect("the table").clone();
    for topic in &topics {
        for partition in 0..PARTITIONS {
            let all: Vec<_> = (0..ROUNDS).flat_map(|round| rows_of(partition, round)).collect();
            assert_eq!(rows.get(&(topic.clone(), partition)), Some(&all), "{topic} {partition} in {}", view.word());
        }
    }
    // And the library has told of itself what `system.kafka_consumers` shows
    assert!(statistics > 0, "no statistics");
    // And it was shown what such a client is to be shown
    let said = format!(r#""client":"{} {}","view":"{}""#, SOFTWARE.0, SOFTWARE.1, view.word());
    assert!(!proxy.log().lines_with(&said).is_empty(), "no line with {said}");
    let metrics = Metrics::of(&proxy.admin());
    let commits = metrics.sum("fishplate_requests_total", &[("api", "OffsetCommit")]).unwrap_or_default();
    assert!(commits > 1.0, "{commits} commits");
}

/// Stops the table's threads, also where a trial gives up.
struct Ended<'a>(&'a [AtomicBool; 2]);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|stop| stop.store(true, Ordering::Relaxed));
    }
}

fn rows_of(partition: i32, round: usize) -> Vec<String> {
    (0..ROWS).map(|row| format!("{partition}-{round}-{row}")).collect()
}

struct Table<'a> {
    at: Bootstrap,
    topics: &'a [String; 2],
    group: &'a str,
    /// What was inserted, by topic and partition.
    rows: Mutex<BTreeMap<(String, i32), Vec<String>>>,
}

impl Table<'_> {
    fn fill(&self, round: usize) {
        for topic in self.topics {
            let rows: Vec<_> =
                (0..PARTITIONS).flat_map(|at| rows_of(at, round).into_iter().map(move |row| (at, row))).collect();
            write(&self.at, topic, rows.iter().map(|(at, row)| (*at, row.as_str())));
        }
    }

    /// Until it holds the rows of so many rounds.
    fn wait_for(&self, rounds: usize) {
        let all = rounds * ROWS * self.topics.len() * usize::try_from(PARTITIONS).expect("a few");
        let held = || self.rows.lock().expect("the table").values().map(Vec::len).sum::<usize>();
        wait::until(&format!("{all} rows are inserted in {}", self.group), SOON, || held() >= all);
    }

    /// One of its threads (`kafka_num_consumers`); how often the library told its statistics.
    fn consume(&self, number: usize, stop: &AtomicBool) -> u64 {
        let consumer: BaseConsumer<Engine> = ClientConfig::new()
            .set("metadata.broker.list", &self.at.servers)
            .set("group.id", self.group)
            .set("client.id", format!("ClickHouse-host-database-table-{number}"))
            .set("client.software.name", SOFTWARE.0)
            .set("client.software.version", SOFTWARE.1)
            .set("auto.offset.reset", "earliest")
            .set("queued.min.messages", "100000")
            // It has 3000.
            .set("statistics.interval.ms", "300")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "false")
            .set("log_level", "0")
            .create_with_context(Engine::default())
            .expect("a consumer");
        let topics: Vec<_> = self.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).expect("a subscription");
        while !stop.load(Ordering::Relaxed) {
            let block = block(&consumer);
            if !block.is_empty() {
                self.insert(&block);
                commit(&consumer, &block);
            }
        }
        // It lets go of its partitions and waits for that, and does not close.
        consumer.unsubscribe();
        let deadline = Instant::now() + SOON;
        while consumer.assignment().is_ok_and(|assigned| assigned.count() > 0) && Instant::now() < deadline {
            drop(consumer.poll(POLL));
        }
        consumer.context().statistics.load(Ordering::Relaxed)
    }

    fn insert(&self, block: &[OwnedMessage]) {
        let mut rows = self.rows.lock().expect("the table");
        for row in block {
            let text = String::from_utf8_lossy(row.payload().unwrap_or_default()).into_owned();
            rows.entry((row.topic().to_owned(), row.partition())).or_default().push(text);
        }
    }
}

/// Rows until there are enough or none came for a moment. What was polled before a rebalance is dropped: its partitions are
/// read again from what was committed.
fn block(consumer: &BaseConsumer<Engine>) -> Vec<OwnedMessage> {
    let (mut block, until) = (Vec::new(), Instant::now() + POLL);
    while block.len() < BLOCK && Instant::now() < until {
        let polled = consumer.poll(POLL);
        if consumer.context().rebalanced.swap(false, Ordering::Relaxed) {
            block.clear();
            // What came with the rebalance itself is dropped too, and those who have it now return to what is committed.
            if let Some(Ok(_)) = polled {
                back(consumer);
            }
            continue;
        }
        match polled {
            Some(Ok(row)) => block.push(row.detach()),
            // It has no connection, and makes new ones.
            Some(Err(error)) if committed::is_passing(&error) => {}
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    block
}

/// To the last committed position of all that is assigned.
fn back(consumer: &BaseConsumer<Engine>) {
    let committed = consumer.committed(SOON).expect("what is committed");
    consumer.assign(&committed).expect("an assignment");
}

/// Synchronously, five times at most.
fn commit(consumer: &BaseConsumer<Engine>, block: &[OwnedMessage]) {
    for row in block {
        consumer.store_offset(row.topic(), row.partition(), row.offset()).expect("an offset is stored");
    }
    let mut last = None;
    for _ in 0..5 {
        match consumer.commit_consumer_state(CommitMode::Sync) {
            Ok(()) => return,
            Err(error) => last = Some(error),
        }
        sleep(Duration::from_millis(10));
    }
    panic!("not committed: {}", last.map_or_else(String::new, |error: KafkaError| error.to_string()));
}

/// What it hears of the library.
#[derive(Default)]
struct Engine {
    rebalanced: AtomicBool,
    statistics: AtomicU64,
}

impl ClientContext for Engine {
    fn stats(&self, _: Statistics) {
        self.statistics.fetch_add(1, Ordering::Relaxed);
    }
}

impl ConsumerContext for Engine {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Revoke(_)) {
            self.rebalanced.store(true, Ordering::Relaxed);
        }
    }
}
