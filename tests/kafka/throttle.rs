//! How precisely clients that flood are throttled, and what others feel of it: a benchmark with real clients, whose figures
//! docs/policy.md has. It wants an idle machine, and a Fishplate that was built for release:
//! `FISHPLATE_PROGRAM=target/release/fishplate cargo test --features demo --test kafka -- --ignored 'clients that flood'`.

use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::policy::start;
use crate::scenarios::contract::{Line, Run};
use crate::scenarios::{librdkafka, programs};
use crate::world::{World, alone};
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::message::Message;
use rdkafka::producer::{
    BaseRecord, DefaultProducerContext, DeliveryResult, Producer, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientConfig, ClientContext};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// Records a second of one client id.
const RATE: usize = 2_000;
/// The client id of all that plays the scenario `flood`.
const FLOODER: &str = "scenario-flood";
/// What is measured of a flood.
const OVER: Duration = Duration::from_secs(10);
/// What a flood has in advance is gone by then, and the first debt is paid.
const SETTLED: Duration = Duration::from_secs(1);
const SOON: Duration = wait::seconds(60);
/// A record of the neighbour is due so often, whatever became of those before it.
const EVERY: Duration = Duration::from_millis(5);
const BESIDE: &str = "a-policy-throttle-beside";
const ROUNDS: usize = 3;

type Play = fn(&Run) -> anyhow::Result<Vec<Line>>;
/// Who floods, topics that are its own, and how. What is beside them all is the same load from one that needs no throttling,
/// to topics that nothing is asked of.
const CLIENTS: [(&str, &str, Play); 4] = [
    ("librdkafka", "a-policy-throttle-librdkafka", librdkafka::play),
    ("java", "a-policy-throttle-java", |run| programs::java("4.3", run)),
    ("franz-go", "a-policy-throttle-franz", programs::franz),
    ("as much, without a limit", "a-paced", paced),
];

pub fn trials() -> Vec<Trial> {
    vec![
        alone("measure: how well clients that flood keep to their limit, and what others feel of it", measure)
            .with_ignored_flag(true),
    ]
}

fn measure(world: &World) {
    programs::set_up().unwrap_or_else(|error| panic!("{error:#}"));
    Topics::of(&world.a.bootstrap()).create(BESIDE, 1, 3);
    let limit = format!("limits: [{{ name: flood, key: client_id, rate: {RATE}/s, action: throttle }}]\n");
    let proxy = start(world, "throttle", &limit);
    let neighbour = Neighbour::default();
    let mut all = CLIENTS.map(|(name, ..)| (name, Seen::default()));
    thread::scope(|scope| {
        let _over = neighbour.live(scope, &proxy);
        wait::until("the neighbour's records are read", SOON, || neighbour.count() > 200);
        for round in 1..=ROUNDS {
            for ((name, topics, play), (_, seen)) in CLIENTS.into_iter().zip(&mut all) {
                let quiet = Instant::now();
                sleep(OVER);
                neighbour.feel(quiet, Instant::now(), &mut seen.quiet);
                let joins = neighbour.joins.load(Ordering::SeqCst);
                let Flood { rate, began, ended } = flood(world, &proxy, name, play, &format!("{topics}-{round}"));
                neighbour.feel(began, ended, &mut seen.flooded);
                seen.joins += neighbour.joins.load(Ordering::SeqCst) - joins;
                seen.rates.push(rate);
            }
        }
    });
    world.note(format!(
        "\n| flooding | records/s, limit {RATE} | off by at most | neighbour p99 ms without | with | ÷ | read p99 ms without | with | rebalances |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|"
    ));
    all.iter().for_each(|(name, seen)| world.note(seen.row(name)));
    proxy.finish();
}

/// Of all floods of one client.
#[derive(Default)]
struct Seen {
    rates: Vec<f64>,
    quiet: Felt,
    flooded: Felt,
    joins: usize,
}

impl Seen {
    fn row(&self, name: &str) -> String {
        let Self { rates, quiet, flooded, joins } = self;
        let off = rates.iter().map(|rate| (rate / RATE as f64 - 1.0).abs() * 100.0).fold(0.0, f64::max);
        let rates = rates.iter().map(|rate| format!("{rate:.1}")).collect::<Vec<_>>().join(", ");
        let written = [quiet, flooded].map(|felt| p99(&felt.written));
        let read = [quiet, flooded].map(|felt| p99(&felt.read));
        format!(
            "| {name} | {rates} | {off:.2} % | {:.1} | {:.1} | {:.2} | {:.1} | {:.1} | {joins} |",
            written[0],
            written[1],
            written[1] / written[0],
            read[0],
            read[1]
        )
    }
}

/// Milliseconds.
fn p99(all: &[Duration]) -> f64 {
    let mut all = all.to_vec();
    all.sort_unstable();
    all.get(all.len() * 99 / 100).map_or(f64::NAN, |delay| delay.as_secs_f64() * 1e3)
}

/// Records a second that a client brought to the cluster between two moments of its flood, told by the partition's end.
struct Flood {
    rate: f64,
    began: Instant,
    ended: Instant,
}

fn flood(world: &World, proxy: &Proxy, name: &'static str, play: Play, topic: &str) -> Flood {
    let written = format!("{topic}.flood");
    Topics::of(&world.a.bootstrap()).create(&written, 1, 3);
    let eyes = eyes(&world.a.bootstrap());
    let end = || eyes.fetch_watermarks(&written, 0, SOON).map(|(_, end)| (end, Instant::now())).expect("an end");
    let file = |kind| world.directory.join(format!("{topic}.{kind}"));
    thread::scope(|scope| {
        let playing = scope.spawn(|| {
            play(&Run {
                client: name,
                scenarios: &["flood"],
                bootstrap: &proxy.bootstrap(),
                topics: [topic.to_owned(), topic.to_owned()],
                groups: ["ga-throttle", "ga-throttle"].map(str::to_owned),
                output: file("out"),
                log: file("log"),
                cut: None,
            })
        });
        let burst = i64::try_from(RATE).expect("small");
        wait::until(&format!("{name} floods"), SOON, || end().0 > burst);
        sleep(SETTLED);
        let (from, began) = end();
        sleep(OVER.saturating_sub(began.elapsed()));
        let (to, ended) = end();
        for line in playing.join().expect("no panic").unwrap_or_else(|error| panic!("{error:#}")) {
            let seen = line.result.as_ref().unwrap_or_else(|| panic!("{name}: {}", line.failure()));
            assert_eq!(seen["failed"], 0, "{name}'s records");
        }
        Flood { rate: (to - from) as f64 / (ended - began).as_secs_f64(), began, ended }
    })
}

/// As many records as the limit lets through, in batches as the others send them.
fn paced(run: &Run) -> anyhow::Result<Vec<Line>> {
    const BATCH: usize = 20;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &run.bootstrap.servers).set("log_level", "0");
    let writer: ThreadedProducer<DefaultProducerContext> = config.set("linger.ms", "1").create()?;
    let (topic, began) = (format!("{}.flood", run.topics[0]), Instant::now());
    let every = Duration::from_secs(1) * u32::try_from(BATCH)? / u32::try_from(RATE)?;
    let mut due = Duration::ZERO;
    // As long as the clients flood.
    while due < Duration::from_secs(15) {
        sleep(due.saturating_sub(began.elapsed()));
        for _ in 0..BATCH {
            let record = BaseRecord::<(), _>::to(&topic).partition(0).payload(&[0; 1024][..]);
            writer.send(record).map_err(|(error, _)| error)?;
        }
        due += every;
    }
    writer.flush(SOON)?;
    Ok(Vec::new())
}

fn eyes(bootstrap: &Bootstrap) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &bootstrap.servers).set("log_level", "0");
    config.create().expect("a consumer")
}

/// Another session, which writes a record now and then, and a consumer in a group **under the flooder's client id**, which
/// reads them: each record bears when it was due.
#[derive(Default)]
struct Neighbour {
    all: Arc<Delays>,
    joins: Arc<AtomicUsize>,
    over: AtomicBool,
}

/// From when a record was due, and how long it took then until its acknowledgement came, or until it was read.
struct Delays {
    began: Instant,
    written: Mutex<Vec<(Duration, Duration)>>,
    read: Mutex<Vec<(Duration, Duration)>>,
}

impl Default for Delays {
    fn default() -> Self {
        Self { began: Instant::now(), written: Mutex::default(), read: Mutex::default() }
    }
}

impl Delays {
    /// From when it was due and not from when it was sent: a stall counts for all that were due in it.
    fn note(&self, of: &Mutex<Vec<(Duration, Duration)>>, due: Duration) {
        of.lock().expect("no panic").push((due, self.began.elapsed().saturating_sub(due)));
    }
}

/// What the neighbour felt in some whiles.
#[derive(Default)]
struct Felt {
    written: Vec<Duration>,
    read: Vec<Duration>,
}

struct Over<'n>(&'n AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Neighbour {
    /// Begins to write and to read, until what it returns is dropped.
    fn live<'scope, 'env>(&'env self, scope: &'scope thread::Scope<'scope, 'env>, proxy: &'env Proxy) -> Over<'env> {
        scope.spawn(move || self.write(&proxy.bootstrap()));
        scope.spawn(move || self.read(&proxy.bootstrap()));
        Over(&self.over)
    }

    fn write(&self, at: &Bootstrap) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &at.servers).set("client.id", "beside").set("log_level", "0");
        let told = Written(Arc::clone(&self.all));
        let writer: ThreadedProducer<Written> =
            config.set("linger.ms", "0").create_with_context(told).expect("a producer");
        let mut due = self.all.began.elapsed();
        while !self.over.load(Ordering::SeqCst) {
            due += EVERY;
            sleep(due.saturating_sub(self.all.began.elapsed()));
            let text = due.as_nanos().to_string();
            let record = BaseRecord::<(), str, _>::with_opaque_to(BESIDE, Box::new(due)).partition(0).payload(&text);
            writer.send(record).map_err(|(error, _)| error).expect("room for one");
        }
    }

    fn read(&self, at: &Bootstrap) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &at.servers).set("client.id", FLOODER).set("log_level", "0");
        config.set("group.id", "ga-throttle-beside").set("auto.offset.reset", "latest");
        config.set("heartbeat.interval.ms", "500").set("session.timeout.ms", "6000");
        let reader: BaseConsumer<Joins> =
            config.create_with_context(Joins(Arc::clone(&self.joins))).expect("a consumer");
        reader.subscribe(&[BESIDE]).expect("a subscription");
        while !self.over.load(Ordering::SeqCst) {
            let Some(polled) = reader.poll(Duration::from_millis(100)) else { continue };
            let message = polled.unwrap_or_else(|error| panic!("the neighbour reads: {error}"));
            let text = std::str::from_utf8(message.payload().expect("a value")).expect("text");
            self.all.note(&self.all.read, Duration::from_nanos(text.parse().expect("a number")));
        }
    }

    fn count(&self) -> usize {
        self.all.read.lock().expect("no panic").len()
    }

    /// Adds what it felt between these.
    fn feel(&self, from: Instant, to: Instant, felt: &mut Felt) {
        let [from, to] = [from, to].map(|at| at.duration_since(self.all.began));
        // What was due at the end comes a little later, or much.
        let is_read = || self.all.read.lock().expect("no panic").last().is_some_and(|(due, _)| *due > to);
        wait::until("what the neighbour wrote is read", SOON, is_read);
        let add = |all: &Mutex<Vec<(Duration, Duration)>>, to_all: &mut Vec<Duration>| {
            let all = all.lock().expect("no panic");
            to_all.extend(all.iter().filter(|(due, _)| (from..to).contains(due)).map(|(_, delay)| *delay));
        };
        add(&self.all.written, &mut felt.written);
        add(&self.all.read, &mut felt.read);
    }
}

/// Hears what becomes of records.
struct Written(Arc<Delays>);

impl ClientContext for Written {}

impl ProducerContext for Written {
    type DeliveryOpaque = Box<Duration>;

    fn delivery(&self, outcome: &DeliveryResult<'_>, due: Box<Duration>) {
        match outcome {
            Ok(_) => self.0.note(&self.0.written, *due),
            // For ever.
            Err(_) => self.0.written.lock().expect("no panic").push((*due, Duration::MAX)),
        }
    }
}

/// Counts how often partitions are assigned.
struct Joins(Arc<AtomicUsize>);

impl ClientContext for Joins {}

impl ConsumerContext for Joins {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, _: &Rebalance<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
