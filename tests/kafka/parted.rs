//! Faults while policy parts what producers send, judged by the history from the clusters' own logs: every second record lacks
//! what the contract asks for, and belongs to the lane on the other cluster; each is where it belongs, whatever breaks.

use crate::harness::config::{Config, View};
use crate::harness::link::Link;
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::history::{Damage, History, Outcome, Partition, Payload, Promise, Verdict, judge};
use crate::load::{client, read_to_end};
use crate::world::{World, alone, full, shared};
use libtest_mimic::Trial;
use rdkafka::ClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, sleep};
use std::time::Duration;

const PARTITIONS: i32 = 3;
const ONCE: u32 = 1;
const AT_LEAST_ONCE: u32 = 2;
const BETWEEN_ROUNDS: Duration = Duration::from_millis(20);
const TO_DRAIN: Duration = wait::seconds(120);
/// So many records of a partition a producer has in flight at most: five batches of one round's records.
const IN_FLIGHT: usize = 5 * A_ROUND;
const A_ROUND: usize = 4;
/// So many records of a producer wait for their answers at most. A cluster that starts on busy cores may be away for most of a minute:
/// what was sent meanwhile must be written within what is left of a record's two minutes, however slow its brokers are then.
const UNANSWERED: i32 = 600;

pub fn trials() -> Vec<Trial> {
    vec![
        alone(
            "parted: connections, a broker and the lane's cluster break, and each record is where it belongs",
            broken,
        ),
        // These break only what is their own.
        shared("parted: Fishplate is killed, and nothing is lost", killed),
        shared("parted: a client is thrown between two Fishplates every second, and nothing is lost", thrown),
    ]
}

/// A Fishplate with a contract, behind a link.
struct Scene<'w> {
    world: &'w World,
    proxy: Proxy,
    config: Config,
    /// Where it listens, and where another one may.
    ports: [u16; 2],
    door: Link,
    main: String,
    lane: String,
}

impl<'w> Scene<'w> {
    fn new(world: &'w World, name: &str, config: Config) -> Self {
        let [main, lane] = [format!("a-parted-{name}"), format!("b-parted-{name}-dlq")];
        Topics::of(&world.a.bootstrap()).create(&main, PARTITIONS, 3);
        Topics::of(&world.b.bootstrap()).create(&lane, PARTITIONS, 1);
        let policy = format!(
            "contract: {{ headers: {{ token: {{ required: true }} }}, on_violation: dlq }}
lanes: {{ dlq: {{ topic: {lane} }} }}
"
        );
        let ports = [world.ports.take(), world.ports.take()];
        let door = Link::new(world.ports.take(), ports[0]).expect("a link");
        let config = config.transacting_on_a().showing(View::Single, None).policy("left", &policy);
        let config = config.advertised(&format!("127.0.0.1:{}", door.port()));
        let proxy = world.start_proxy(&config.clone().on_port(ports[0]));
        ["broker", "cluster"].iter().for_each(|who| proxy.log().allow(who));
        Self { world, proxy, config, ports, door, main, lane }
    }

    /// Does something to it while producers write, and judges what the clusters have then.
    fn play(&self, breaks: impl FnOnce()) -> Verdict {
        let stop = AtomicBool::new(false);
        let history = Arc::new(Mutex::new(History::default()));
        thread::scope(|scope| {
            let writing =
                [(ONCE, Promise::ExactlyOnce), (AT_LEAST_ONCE, Promise::AtLeastOnce)].map(|(number, promise)| {
                    lock(&history).producer(number, promise);
                    let (answers, stop) = (Answers(Arc::clone(&history)), &stop);
                    scope.spawn(move || self.write(number, promise, answers, stop))
                });
            sleep(Duration::from_millis(500));
            breaks();
            sleep(Duration::from_secs(1));
            stop.store(true, Ordering::Relaxed);
            writing.into_iter().for_each(|one| one.join().expect("a producer"));
        });
        self.world.a.wait_ready();
        self.world.b.wait_ready();
        let mut history = std::mem::take(&mut *lock(&history));
        history.pass(read_to_end(&self.world.a.bootstrap(), std::slice::from_ref(&self.main)));
        history.pass(read_to_end(&self.world.b.bootstrap(), std::slice::from_ref(&self.lane)));
        let verdict = judge(&history);
        self.world.note(format!("{}: {verdict}", self.main));
        assert!(verdict.acknowledged > 500 && verdict.unknown == 0 && verdict.uncovered.is_empty(), "{verdict}");
        verdict
    }

    fn write(&self, producer: u32, promise: Promise, answers: Answers, stop: &AtomicBool) {
        let at = Bootstrap { name: "behind a link".into(), servers: format!("127.0.0.1:{}", self.door.port()) };
        let mut config = client(&at);
        config
            .set("enable.idempotence", (promise == Promise::ExactlyOnce).to_string())
            .set("batch.num.messages", A_ROUND.to_string())
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            .set("reconnect.backoff.max.ms", "100")
            .set("message.timeout.ms", "120000");
        let history = Arc::clone(&answers.0);
        let client: ThreadedProducer<Answers> = config.create_with_context(answers).expect("a producer");
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            for index in (0..PARTITIONS).flat_map(|index| [index; A_ROUND]) {
                number += 1;
                let payload = Payload { producer, number };
                // What breaks the contract belongs to the lane
                let (topic, headers) = match number % 2 {
                    0 => (&self.main, OwnedHeaders::new().insert(Header { key: "token", value: Some("t") })),
                    _ => (&self.lane, OwnedHeaders::new()),
                };
                lock(&history).send(payload, Partition::new(topic.as_str(), index));
                let text = payload.to_string();
                let record = BaseRecord::<str, str, _>::with_opaque_to(&self.main, Box::new(payload)).headers(headers);
                let sent = client.send(record.partition(index).payload(&text));
                sent.unwrap_or_else(|(error, _)| panic!("cannot send {payload}: {error}"));
            }
            sleep(BETWEEN_ROUNDS);
            while client.in_flight_count() > UNANSWERED && !stop.load(Ordering::Relaxed) {
                sleep(BETWEEN_ROUNDS);
            }
        }
        client.flush(TO_DRAIN).unwrap_or_else(|error| panic!("producer {producer} still waits for answers: {error}"));
    }
}

/// The offsets of what was parted speak for nothing.
struct Answers(Arc<Mutex<History>>);

impl ClientContext for Answers {}

impl ProducerContext for Answers {
    type DeliveryOpaque = Box<Payload>;

    fn delivery(&self, result: &DeliveryResult<'_>, payload: Self::DeliveryOpaque) {
        match result {
            Ok(_) => lock(&self.0).answer(*payload, Outcome::Acknowledged(None)),
            Err((error, _)) => eprintln!("{payload} failed: {error}"),
        }
    }
}

fn lock(history: &Mutex<History>) -> MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rounds() -> usize {
    if full() { 5 } else { 1 }
}

fn broken(world: &World) {
    let scene = Scene::new(world, "broken", world.config_over_links());
    let verdict = scene.play(|| {
        for _ in 0..rounds() {
            // When clients' connections break, and Fishplate's
            for _ in 0..3 {
                sleep(Duration::from_millis(300));
                scene.door.cut();
                sleep(Duration::from_millis(300));
                world.a.brokers().iter().chain(world.b.brokers()).for_each(|broker| broker.link.cut());
            }
            // And a broker is killed
            world.a.broker(2).kill();
            sleep(wait::seconds(2));
            world.a.broker(2).restart();
            // And the lane's cluster is away
            world.b.stop();
            sleep(wait::seconds(2));
            world.b.restart();
            world.a.wait_ready();
            world.b.wait_ready();
        }
    });
    // Then each record is where it belongs, those of the idempotent producer once and in order
    verdict.must_be_clean();
    scene.proxy.finish();
}

fn killed(world: &World) {
    let scene = Scene::new(world, "killed", world.config());
    let kills = if full() { 15 } else { 2 };
    let verdict = scene.play(|| {
        for _ in 0..kills {
            sleep(Duration::from_millis(700));
            // When Fishplate is killed, and another takes its place, who knows nothing of what was in flight
            scene.proxy.kill();
            scene.proxy.restart();
        }
    });
    doubled_at_most(&verdict, kills);
    scene.proxy.finish();
}

fn thrown(world: &World) {
    let scene = Scene::new(world, "thrown", world.config());
    let other = world.start_proxy(&scene.config.clone().on_port(scene.ports[1]));
    let throws = if full() { 30 } else { 4 };
    let verdict = scene.play(|| {
        for port in scene.ports.iter().cycle().skip(1).take(throws) {
            sleep(Duration::from_secs(1));
            // When its connections are cut and lead to the other one from then on
            scene.door.lead_to(*port);
            scene.door.cut();
        }
    });
    doubled_at_most(&verdict, throws);
    [scene.proxy, other].iter().for_each(Proxy::finish);
}

/// Nothing is lost, and only what was in flight so often may be there twice or out of order.
fn doubled_at_most(verdict: &Verdict, times: usize) {
    let harmless = [Damage::Doubled, Damage::Reordered];
    for damage in Damage::ALL.into_iter().filter(|damage| !harmless.contains(damage)) {
        assert_eq!(verdict.count(damage), 0, "{verdict}");
    }
    let most = times * IN_FLIGHT * usize::try_from(PARTITIONS).expect("few");
    assert!(verdict.count(Damage::Doubled) <= most, "{verdict}");
}
