//! Lag while records flow: what is told lies within what was certain before it was asked for and what was possible when it was told,
//! also when Fishplate is killed and starts again. And how exact it is, measured.

use super::{SOON, SWEPT, Told, client, commit, consumer, offsets};
use crate::harness::metrics::Metrics;
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::world::World;
use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Message, Offset, TopicPartitionList};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::{self, Scope, sleep};
use std::time::{Duration, Instant, SystemTime};

/// An offset for each partition that only grows.
type Marks = Arc<[AtomicI64]>;

fn marks(partitions: i32) -> Marks {
    (0..partitions).map(|_| AtomicI64::new(0)).collect()
}

fn raise(marks: &Marks, partition: i32, to: i64) {
    marks[usize::try_from(partition).expect("a partition")].fetch_max(to, Ordering::SeqCst);
}

fn mark(marks: &Marks, partition: i32) -> i64 {
    marks[usize::try_from(partition).expect("a partition")].load(Ordering::SeqCst)
}

/// Records flow into a topic's partitions, and a group reads them and commits, a bit behind: all of it through Fishplate.
struct Flow {
    topic: &'static str,
    partitions: i32,
    /// Records that may be there, and that are.
    sent: Marks,
    written: Marks,
    /// Offsets that the group may have committed, and that it has.
    committing: Marks,
    committed: Marks,
    over: AtomicBool,
}

struct Written(Marks);

impl ClientContext for Written {}

impl ProducerContext for Written {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Ok(record) = result {
            raise(&self.0, record.partition(), record.offset() + 1);
        }
    }
}

impl Flow {
    fn new(topic: &'static str, partitions: i32) -> Self {
        let [sent, written, committing, committed] = [(); 4].map(|()| marks(partitions));
        Self { topic, partitions, sent, written, committing, committed, over: AtomicBool::new(false) }
    }

    /// A record for each partition, and a pause, until it is over. Idempotent, so that each is there once, whatever breaks.
    fn write(&self, at: &Bootstrap, pause: Duration) {
        let mut config = client(at);
        config.set("enable.idempotence", "true").set("linger.ms", "5").set("message.timeout.ms", "120000");
        let producer: ThreadedProducer<_> =
            config.create_with_context(Written(Arc::clone(&self.written))).expect("a producer");
        while !self.over.load(Ordering::SeqCst) {
            for partition in 0..self.partitions {
                raise(&self.sent, partition, mark(&self.sent, partition) + 1);
                let record = || BaseRecord::<str, str>::to(self.topic).partition(partition).payload("value");
                while producer.send(record()).is_err() {
                    // Its queue is full while Fishplate is away.
                    sleep(Duration::from_millis(10));
                }
            }
            sleep(pause);
        }
        producer.flush(SOON).expect("all are written");
    }

    /// Reads all partitions and commits now and then what it has read, but for the last records.
    fn read(&self, at: &Bootstrap, group: &str, keeps: i64) {
        let reader = consumer(at, group, "read_uncommitted");
        reader.subscribe(&[self.topic]).expect("a subscription");
        let (mut met, mut due) = (HashMap::new(), Instant::now());
        while !self.over.load(Ordering::SeqCst) {
            if let Some(Ok(record)) = reader.poll(Duration::from_millis(20)) {
                met.insert(record.partition(), record.offset() + 1 - keeps);
            }
            if Instant::now() >= due {
                due = Instant::now() + Duration::from_millis(100);
                self.commit(&reader, &met);
            }
        }
    }

    fn commit(&self, reader: &BaseConsumer, met: &HashMap<i32, i64>) {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in met.iter().filter(|(_, offset)| **offset > 0) {
            raise(&self.committing, *partition, *offset);
            list.add_partition_offset(self.topic, *partition, Offset::Offset(*offset)).expect("an offset");
        }
        // In vain while Fishplate is away.
        if list.count() > 0 && reader.commit(&list, CommitMode::Sync).is_ok() {
            met.iter().for_each(|(partition, offset)| raise(&self.committed, *partition, *offset));
        }
    }

    fn run<'s>(&'s self, scope: &'s Scope<'s, '_>, at: &Bootstrap, group: &'static str, pause: Duration, keeps: i64) {
        let (write, read) = (at.clone(), at.clone());
        scope.spawn(move || self.write(&write, pause));
        scope.spawn(move || self.read(&read, group, keeps));
        wait::until("records are read", SOON, || {
            (0..self.partitions).all(|partition| mark(&self.committed, partition) > 0)
        });
    }

    /// How far a group may be behind that has committed between these, as `ask` tells it: the answer, and for each partition what is
    /// possible.
    fn bracketed(
        &self,
        committed: &Marks,
        committing: &Marks,
        ask: impl FnOnce() -> Told,
    ) -> (Told, Vec<RangeInclusive<i64>>) {
        let all = |marks: &Marks| (0..self.partitions).map(|at| mark(marks, at)).collect::<Vec<_>>();
        let (written, committed) = (all(&self.written), all(committed));
        let told = ask();
        let (sent, committing) = (all(&self.sent), all(committing));
        let least = written.iter().zip(committing).map(|(written, committing)| (written - committing).max(0));
        let most = sent.iter().zip(committed).map(|(sent, committed)| sent - committed);
        (told, least.zip(most).map(|(least, most)| least..=most).collect())
    }
}

/// It is over, also where a trial fails: else its threads would be waited for.
struct Over<'f>(&'f Flow);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

/// No number that is none, none below nothing.
fn are_sound(shown: &Metrics) {
    let samples = shown.text().lines().filter(|line| line.starts_with("fishplate_"));
    let bad = samples.filter(|line| {
        let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        !value.is_some_and(|value| value >= 0.0)
    });
    assert_eq!(bad.collect::<Vec<_>>(), Vec::<&str>::new());
}

fn are_positive(told: &Told) {
    for row in &told.rows {
        for key in ["lag", "seconds", "committed", "end", "margin"] {
            assert!(row[key].as_f64().is_none_or(|value| value >= 0.0), "{key}: {row}");
        }
    }
}

pub(super) fn restarted(world: &World) {
    const STUCK: &str = "ga-lag-amid-stuck";
    const READS: &str = "ga-lag-amid-reads";
    const AT: i64 = 10;
    let flow = &Flow::new("a-lag-amid", 4);
    let proxy = world.start_proxy(&world.config().on_port(world.ports.take()));
    Topics::of(&world.a.bootstrap()).create(flow.topic, flow.partitions, 3);
    let at = proxy.bootstrap();
    Topics::of(&at).wait_until_led(flow.topic, flow.partitions);
    thread::scope(|scope| {
        let _over = Over(flow);
        flow.run(scope, &at, READS, Duration::from_millis(5), 0);
        // Given one group that reads on, and one that stands still
        let stands = marks(flow.partitions);
        let offsets: Vec<_> = (0..flow.partitions).map(|partition| (flow.topic, partition, AT)).collect();
        commit(&at, STUCK, &offsets);
        (0..flow.partitions).for_each(|partition| raise(&stands, partition, AT));
        // Each number that is told is a possible one; whether all are
        let stuck = |proxy: &Proxy| {
            let (told, possible) = flow.bracketed(&stands, &stands, || Told::of_group(proxy, STUCK));
            are_positive(&told);
            let lags = (0..).zip(&possible).map(|(partition, possible)| {
                let lag = told.lag(flow.topic, partition)?;
                assert!(possible.contains(&lag), "{lag} is not within {possible:?}: {told:?}");
                told.row(flow.topic, partition)?["seconds"].as_f64()
            });
            lags.collect::<Option<Vec<_>>>()
        };
        let reads = |proxy: &Proxy| {
            let (told, possible) = flow.bracketed(&flow.committed, &flow.committing, || Told::of_group(proxy, READS));
            are_positive(&told);
            let mut all = (0..).zip(&possible);
            all.all(|(partition, possible)| told.lag(flow.topic, partition).is_some_and(|lag| possible.contains(&lag)))
        };
        let mut before = wait::find("the one that stands still is known", SOON, || stuck(&proxy));
        for killed in [true, false] {
            let since = Instant::now();
            // When Fishplate is killed, or asked to end, and starts again
            if killed {
                proxy.kill();
            } else {
                assert!(proxy.stop().success());
            }
            proxy.restart();
            // Then it knows all anew, and what it tells meanwhile is true
            let after = wait::find("all is known again", SWEPT, || {
                are_sound(&Metrics::of(&proxy.admin()));
                stuck(&proxy)
            });
            wait::until("the one that reads on is known", SWEPT, || reads(&proxy));
            // And who stands still has grown older, by no less than it was away
            let grown = |(before, after): (&f64, &f64)| after - before;
            let least = before.iter().zip(&after).map(grown).fold(f64::MAX, f64::min);
            assert!(least > 0.0, "{before:?}, then {after:?}, {:?} later", since.elapsed());
            for _ in 0..10 {
                assert!(stuck(&proxy).is_some() && reads(&proxy));
                are_sound(&Metrics::of(&proxy.admin()));
            }
            before = wait::find("its age", SOON, || stuck(&proxy));
        }
    });
    proxy.finish();
}

/// When each record was written, by its broker's clock, in ms since 1970.
fn written_at(at: &Bootstrap, topic: &str, ends: &[i64]) -> Vec<Vec<i64>> {
    let reader = consumer(at, "ga-lag-exact-nobody", "read_uncommitted");
    let all: Vec<_> = (0..).zip(ends).map(|(partition, _)| (topic, partition, 0)).collect();
    reader.assign(&offsets(&all)).expect("assigned");
    let mut times: Vec<Vec<i64>> = ends.iter().map(|_| Vec::new()).collect();
    while times.iter().zip(ends).any(|(times, end)| (times.len() as i64) < *end) {
        let record = wait::find("a record", SOON, || reader.poll(Duration::from_millis(100))?.ok().map(|r| r.detach()));
        let time = record.timestamp().to_millis().expect("a time");
        times[usize::try_from(record.partition()).expect("a partition")].push(time);
    }
    times
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs_f64() * 1e3
}

/// An age that was told: of which record, in ms, and when it was asked for and answered.
struct Age {
    partition: usize,
    offset: usize,
    ms: f64,
    asked: f64,
    answered: f64,
}

impl Age {
    /// By how much it is off what the record's time makes it, in ms: nothing, where it was that at any moment of the asking.
    fn off(&self, written: &[Vec<i64>]) -> Option<f64> {
        let written = *written.get(self.partition)?.get(self.offset)? as f64;
        // Times stamps are whole milliseconds.
        let (least, most) = (self.asked - written - 1.0, self.answered - written);
        Some((self.ms - most).max(0.0) + (self.ms - least).min(0.0))
    }
}

/// Of numbers in order, the one that so many of a hundred do not exceed.
fn share(all: &[f64], percent: usize) -> f64 {
    all.get(all.len().saturating_sub(1) * percent / 100).copied().unwrap_or(f64::NAN)
}

pub(super) fn exact(world: &World) {
    const GROUP: &str = "ga-lag-exact";
    const KEEPS: i64 = 300;
    const PARTITIONS: i32 = 8;
    const FOR: Duration = wait::seconds(60);
    let flow = &Flow::new("a-lag-exact", PARTITIONS);
    let topic = NewTopic::new(flow.topic, PARTITIONS, TopicReplication::Fixed(3));
    Topics::of(&world.a.bootstrap()).create_as(&topic.set("message.timestamp.type", "LogAppendTime"));
    let proxy = world.start_proxy(&world.config().only("lag-exact"));
    let at = proxy.bootstrap();
    Topics::of(&at).wait_until_led(flow.topic, PARTITIONS);
    let (mut ages, mut outside, mut unknown, mut rows) = (Vec::new(), Vec::new(), 0, 0);
    thread::scope(|scope| {
        let _over = Over(flow);
        flow.run(scope, &at, GROUP, Duration::from_millis(2), KEEPS);
        let end = Instant::now() + FOR;
        while Instant::now() < end {
            let mut asked = (0.0, 0.0);
            let (told, possible) = flow.bracketed(&flow.committed, &flow.committing, || {
                sleep(Duration::from_millis(50));
                asked.0 = now_ms();
                let told = Told::at_once(&proxy, GROUP);
                asked.1 = now_ms();
                told
            });
            for (partition, possible) in (0..).zip(&possible) {
                rows += 1;
                let Some(lag) = told.lag(flow.topic, partition) else {
                    unknown += 1;
                    continue;
                };
                outside.push((possible.start() - lag).max(lag - possible.end()).max(0) as f64);
                let row = told.row(flow.topic, partition).expect("a row");
                let of = row["committed"].as_u64().and_then(|offset| usize::try_from(offset).ok());
                if let (Some(offset), Some(seconds), true) = (of, row["seconds"].as_f64(), lag > 0) {
                    let partition = usize::try_from(partition).expect("a partition");
                    ages.push(Age { partition, offset, ms: seconds * 1e3, asked: asked.0, answered: asked.1 });
                }
            }
        }
    });
    let ends: Vec<_> = (0..PARTITIONS).map(|partition| mark(&flow.written, partition)).collect();
    let written = written_at(&world.a.bootstrap(), flow.topic, &ends);
    let mut off: Vec<_> = ages.iter().filter_map(|age| age.off(&written)).collect();
    let mut old: Vec<_> = ages.iter().map(|age| age.ms).collect();
    [&mut off, &mut outside, &mut old].into_iter().for_each(|all| all.sort_by(f64::total_cmp));
    let mut far: Vec<_> = off.iter().map(|off| off.abs()).collect();
    far.sort_by(f64::total_cmp);
    let records: i64 = ends.iter().sum();
    world.note(format!(
        "lag under load, {} records/s into {PARTITIONS} partitions, {rows} rows told ({unknown} unknown):\n\
         records outside of what is possible: p99 {}, most {}\n\
         ages (median {:.0} ms, most {:.0}) off LogAppendTime by ms: p50 {:.1}, p99 {:.1}, most {:.1}; signed {:.1} to {:.1}",
        records / i64::try_from(FOR.as_secs()).expect("seconds"),
        share(&outside, 99),
        share(&outside, 100),
        share(&old, 50),
        share(&old, 100),
        share(&far, 50),
        share(&far, 99),
        share(&far, 100),
        share(&off, 0),
        share(&off, 100),
    ));
    proxy.finish();
}
