//! L6 with real clients: a broker refuses the first batch of an idempotent producer, as one that does not lead the
//! partition yet, and would take the second, which is on its way behind it. On bare Kafka librdkafka loses the first
//! record and reports it delivered: that shows that the refusal bites. Through Fishplate nobody loses, doubles or
//! reorders anything.

use crate::harness::config::View;
use crate::harness::process::command;
use crate::harness::refusing::Refusing;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::scenarios::programs::{built, java_at, run_to_end, set_up};
use crate::world::{World, alone, full};
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const RECORDS: usize = 50;
const TO_SEND: Duration = wait::seconds(60);

/// Sends [`RECORDS`] records to a topic, one a batch and five batches in flight where the client can, each with its
/// number for a value; an error where the client was told that one was lost.
type Send = fn(&Bootstrap, topic: &str, files: &Path) -> anyhow::Result<()>;

/// Who sends, in which view, and whether CI has time for it.
struct Case(&'static str, View, InCi, Send);

/// Who sends through a policy, in the first view that it is a case of.
const PARTED: &[&str] = &["librdkafka-2.12", "java-4.3", "franz-go", "librdkafka-2.0"];
/// So many batches are taken before the one that is refused, where that is not the first: more than are on their way at once.
const TAKEN: usize = 7;
/// So many records pass, and the rest goes to a lane.
const PASSING: usize = 20;

enum InCi {
    Yes,
    No,
}

const CASES: &[Case] = &[
    Case("librdkafka-2.12", View::Brokers, InCi::Yes, librdkafka),
    Case("librdkafka-2.16", View::Brokers, InCi::Yes, new_kcat),
    Case("java-4.3", View::Brokers, InCi::Yes, |to, topic, files| java("4.3", to, topic, files)),
    // It takes long to start.
    Case("java-3.9", View::Brokers, InCi::No, |to, topic, files| java("3.9", to, topic, files)),
    Case("franz-go", View::Brokers, InCi::Yes, |to, topic, files| program("franz", to, topic, files)),
    Case("sarama", View::Brokers, InCi::Yes, |to, topic, files| program("sarama", to, topic, files)),
    Case("librdkafka-2.12", View::Single, InCi::No, librdkafka),
    Case("librdkafka-2.0", View::Single, InCi::Yes, debian_kcat),
    Case("franz-go", View::Single, InCi::Yes, |to, topic, files| program("franz", to, topic, files)),
    Case("java-4.3", View::Single, InCi::No, |to, topic, files| java("4.3", to, topic, files)),
    Case("sarama", View::Single, InCi::No, |to, topic, files| program("sarama", to, topic, files)),
];

pub fn trials() -> Vec<Trial> {
    let played = CASES.iter().filter(|Case(_, _, in_ci, _)| full() || matches!(in_ci, InCi::Yes));
    let through = |Case(name, view, _, send): &'static Case| {
        alone(format!("L6: a refused first batch loses nothing, {name} in {}", view.word()), |world| {
            l6_refused_through(world, name, *view, *send);
        })
    };
    let later = |Case(name, view, _, send): &'static Case| {
        alone(format!("L6: a refused later batch loses nothing, {name} in {}", view.word()), |world| {
            l6_refused_later(world, name, *view, *send);
        })
    };
    let mut trials: Vec<_> = played.clone().map(through).collect();
    // What is done about it is the same in each view; CI has the client that is most easily led to lose.
    trials.extend(played.take(if full() { CASES.len() } else { 1 }).map(later));
    let parted = PARTED.iter().filter_map(|name| CASES.iter().find(|case| case.0 == *name));
    trials.extend(parted.map(|Case(name, view, _, send)| {
        alone(format!("L6: refused first batches lose nothing where policy parts them, {name}"), |world| {
            l6_refused_and_parted(world, name, *view, *send);
        })
    }));
    trials.push(alone("L6: on bare Kafka a refused first batch is lost", l6_lost_on_bare));
    trials
}

fn l6_refused_through(world: &World, client: &str, view: View, send: Send) {
    // Given a broker that refuses the first batch that comes for a topic, and takes the second
    let scene = Scene::new(world, &format!("b-l6-{client}-{}", view.word()));
    let proxy = world.start_proxy(&world.config_over_links().showing(view, None));
    // When a client has several on their way
    let sent = send(&proxy.bootstrap(), &scene.topic, &world.directory.join(&scene.topic));
    sent.unwrap_or_else(|error| panic!("{client} was told that it lost a record: {error:#}"));
    // Then all is there, once, in order
    assert!(scene.relay.has_refused(&scene.topic), "no batch was refused");
    assert_eq!(scene.written(), numbers(0), "what {client} has written");
    proxy.finish();
}

fn l6_refused_later(world: &World, client: &str, view: View, send: Send) {
    // Given a broker that takes some batches for a topic, refuses one, and takes those behind it
    let scene = Scene::new(world, &format!("b-l6-later-{client}-{}", view.word()));
    scene.relay.refuse_one_after(&scene.topic, TAKEN);
    let proxy = world.start_proxy(&world.config_over_links().showing(view, None));
    // When a client has several on their way
    let sent = send(&proxy.bootstrap(), &scene.topic, &world.directory.join(&scene.topic));
    sent.unwrap_or_else(|error| panic!("{client} was told that it lost a record: {error:#}"));
    // Then all is there, once, in order
    assert!(scene.relay.has_refused(&scene.topic), "no batch was refused");
    assert_eq!(scene.written(), numbers(0), "what {client} has written");
    proxy.finish();
}

fn l6_refused_and_parted(world: &World, client: &str, view: View, send: Send) {
    // Given a broker that refuses the first batch that comes for a topic, and the first that comes for its lane
    let lane = format!("b-l6-parted-lane-{client}");
    Topics::of(&world.b.bootstrap()).create(&lane, 1, 1);
    let scene = Scene::new(world, &format!("b-l6-parted-{client}"));
    scene.relay.refuse_one_of(&lane);
    let policy = format!(
        "limits: [{{ name: few, key: key, rate: 1/h, burst: {PASSING}, action: overflow }}]
lanes: {{ overflow: {{ topic: {lane} }} }}
"
    );
    let config = world.config_over_links().transacting_on_a().showing(view, None);
    let proxy = world.start_proxy(&config.policy("right", &policy));
    // When a client that is idempotent has several on their way
    let sent = send(&proxy.bootstrap(), &scene.topic, &world.directory.join(&scene.topic));
    sent.unwrap_or_else(|error| panic!("{client} was told that it lost a record: {error:#}"));
    // Then all is there, once, in order
    assert!([&scene.topic, &lane].iter().all(|topic| scene.relay.has_refused(topic)), "no batch was refused");
    let (passed, moved) = (numbers(0)[..PASSING].to_vec(), numbers(PASSING));
    assert_eq!((scene.written(), scene.written_to(&lane)), (passed, moved), "what {client} has written");
    proxy.finish();
}

fn l6_lost_on_bare(world: &World) {
    let scene = Scene::new(world, "b-l6-bare");
    // When a librdkafka has several on their way to bare Kafka, and is told that all were delivered
    let sent = librdkafka(&world.b.over_links(), &scene.topic, &world.directory);
    sent.unwrap_or_else(|error| panic!("this librdkafka notices that a record was lost: {error:#}"));
    // Then the first is not there: the refusal is one that bites
    assert!(scene.relay.has_refused(&scene.topic), "no batch was refused");
    assert_eq!(scene.written(), numbers(1), "what bare Kafka has");
}

fn numbers(from: usize) -> Vec<String> {
    (from..RECORDS).map(|number| number.to_string()).collect()
}

/// A topic on cluster `b`, and what refuses its first batch. Broker 1's link leads over it as long as this lives.
struct Scene<'w> {
    world: &'w World,
    topic: String,
    relay: Refusing,
    straight: u16,
}

impl<'w> Scene<'w> {
    fn new(world: &'w World, topic: &str) -> Self {
        Topics::of(&world.b.bootstrap()).create(topic, 1, 1);
        wait::find("a leader", wait::seconds(10), || world.b.leader(topic, 0));
        let link = &world.b.broker(1).link;
        let straight = link.leads_to();
        let relay = Refusing::before(straight).unwrap();
        link.lead_to(relay.port());
        let scene = Self { world, topic: topic.to_owned(), relay, straight };
        // Only who leads it answers this.
        wait::until("the leader leads", wait::seconds(10), || scene.read(topic).is_some());
        scene.relay.refuse_one_of(topic);
        scene
    }

    /// The values in the topic.
    fn written(&self) -> Vec<String> {
        self.written_to(&self.topic)
    }

    /// And in another one on the cluster.
    fn written_to(&self, topic: &str) -> Vec<String> {
        wait::find("the topic is read", wait::seconds(20), || self.read(topic))
    }

    fn read(&self, topic: &str) -> Option<Vec<String>> {
        let servers = self.world.b.bootstrap().servers;
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("group.id", "eyes").set("log_level", "0");
        let eyes: BaseConsumer = config.create().ok()?;
        let (_, end) = eyes.fetch_watermarks(topic, 0, wait::seconds(5)).ok()?;
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(topic, 0, Offset::Beginning).ok()?;
        eyes.assign(&all).ok()?;
        let mut values = Vec::new();
        while values.len() < usize::try_from(end).ok()? {
            let message = eyes.poll(wait::seconds(10))?.ok()?;
            values.push(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned());
        }
        Some(values)
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        let link = &self.world.b.broker(1).link;
        link.lead_to(self.straight);
        link.cut();
    }
}

fn librdkafka(to: &Bootstrap, topic: &str, _: &Path) -> anyhow::Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &to.servers).set("enable.idempotence", "true").set("log_level", "0");
    config.set("batch.num.messages", "1").set("linger.ms", "0").set("max.in.flight", "5");
    let producer: ThreadedProducer<Outcomes> = config.create_with_context(Outcomes::default())?;
    for value in numbers(0) {
        let record = BaseRecord::<(), _>::to(topic).payload(&value);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(TO_SEND)?;
    let failures = producer.context().0.lock().unwrap().clone();
    anyhow::ensure!(failures.is_empty(), "{failures:?}");
    Ok(())
}

/// Of the records that were not delivered, why.
#[derive(Default)]
struct Outcomes(std::sync::Mutex<Vec<String>>);

impl rdkafka::ClientContext for Outcomes {}

impl rdkafka::producer::ProducerContext for Outcomes {
    type DeliveryOpaque = ();

    fn delivery(&self, outcome: &rdkafka::message::DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = outcome {
            self.0.lock().unwrap().push(error.to_string());
        }
    }
}

/// kcat with the librdkafka that `tests/clients/setup.sh` fetched.
fn new_kcat(to: &Bootstrap, topic: &str, files: &Path) -> anyhow::Result<()> {
    set_up()?;
    let mut kcat = command("kcat");
    kcat.env("LD_LIBRARY_PATH", built().join("librdkafka"));
    run_kcat(kcat, to, topic, files)
}

/// kcat as Debian has it.
fn debian_kcat(to: &Bootstrap, topic: &str, files: &Path) -> anyhow::Result<()> {
    let mut kcat = command("kcat");
    // Cargo adds the folder of the `rdkafka` crate's own library to the path.
    kcat.env_remove("LD_LIBRARY_PATH");
    run_kcat(kcat, to, topic, files)
}

fn run_kcat(mut kcat: Command, to: &Bootstrap, topic: &str, files: &Path) -> anyhow::Result<()> {
    let lines = files.with_extension("in");
    fs::write(&lines, numbers(0).join("\n") + "\n")?;
    kcat.args(["-P", "-b", &to.servers, "-t", topic, "-p", "0", "-l"]).arg(&lines);
    kcat.args(["-X", "enable.idempotence=true", "-X", "batch.num.messages=1"]);
    kcat.args(["-X", "linger.ms=0", "-X", "max.in.flight=5"]);
    run_to_end("kcat", kcat, TO_SEND, files).map(drop)
}

fn java(kafka: &str, to: &Bootstrap, topic: &str, files: &Path) -> anyhow::Result<()> {
    let config = files.with_extension("properties");
    // The tool itself wants no retries.
    let one_a_batch = "batch.size=1\nlinger.ms=0\nmax.in.flight.requests.per.connection=5\n";
    fs::write(&config, format!("enable.idempotence=true\nretries=2147483647\n{one_a_batch}"))?;
    let mut java = java_at(kafka, &files.with_extension("log"))?;
    java.arg("org.apache.kafka.tools.VerifiableProducer").args(["--bootstrap-server", &to.servers]);
    java.args(["--topic", topic, "--max-messages", &RECORDS.to_string(), "--throughput", "-1"]);
    java.arg("--producer.config").arg(&config);
    let told = run_to_end("VerifiableProducer", java, TO_SEND, files)?;
    let sent = told.matches("producer_send_success").count();
    anyhow::ensure!(sent == RECORDS, "{sent} records were sent: {told}");
    Ok(())
}

/// A program of `tests/clients`.
fn program(name: &str, to: &Bootstrap, topic: &str, files: &Path) -> anyhow::Result<()> {
    set_up()?;
    let mut program = command(built().join(name));
    program.args(["refused", "--bootstrap", &to.servers, "--topics", topic, "--groups", "none"]);
    run_to_end(name, program, TO_SEND, files).map(drop)
}
