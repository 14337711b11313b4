//! A producer that writes to every partition in turn and puts each answer into the history.

use super::progress::Step;
use super::{Shared, TO_DRAIN};
use crate::harness::{Bootstrap, wait};
use crate::history::{Outcome, Partition, Payload, Promise};
use crate::world::full;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Message};
use std::sync::Arc;
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

/// Between two tries of a record for which there was no room.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);
/// Records for each partition in a round: a batch, so that several are under way but few requests.
const A_BATCH: usize = 4;
/// Enough that a batch is more than a few bytes.
const PADDING: &str = " and so that it weighs something: ........................................................";

/// Between two rounds over all partitions. Below the full level four times as long: all share two cores, and what a fault needs
/// is records on their way, not many.
fn between_rounds() -> Duration {
    Duration::from_millis(if full() { 50 } else { 200 })
}

pub(super) struct Producing {
    number: u32,
    topics: Vec<String>,
    config: ClientConfig,
    shared: Arc<Shared>,
}

impl Producing {
    pub(super) fn new(
        number: u32,
        promise: Promise,
        bootstrap: &Bootstrap,
        topics: &[String],
        shared: &Arc<Shared>,
    ) -> Self {
        let mut config = client(bootstrap);
        config
            .set("enable.idempotence", (promise == Promise::ExactlyOnce).to_string())
            .set("acks", "all")
            .set("linger.ms", "5")
            // A broker answers one after the other: on a busy machine more would only queue before it, for seconds.
            .set("max.in.flight.requests.per.connection", "5")
            // Longer than any fault: every record gets a true answer in the end.
            .set("message.timeout.ms", "120000");
        Self { number, topics: topics.to_vec(), config, shared: Arc::clone(shared) }
    }

    pub(super) fn start(self) -> JoinHandle<()> {
        thread::spawn(move || self.run())
    }

    fn run(self) {
        let partitions = partitions_of(&self.config, &self.topics);
        let answers = Answers(Arc::clone(&self.shared));
        let producer: ThreadedProducer<Answers> = self.config.create_with_context(answers).expect("a producer");
        let mut number = 0;
        while !self.shared.stopped() {
            for partition in partitions.iter().flat_map(|partition| [partition; A_BATCH]) {
                number += 1;
                self.send(&producer, Payload { producer: self.number, number }, partition);
            }
            sleep(between_rounds());
        }
        let drained = producer.flush(TO_DRAIN);
        assert!(drained.is_ok(), "producer {} still waits for answers after {TO_DRAIN:?}", self.number);
    }

    fn send(&self, producer: &ThreadedProducer<Answers>, payload: Payload, partition: &Partition) {
        self.shared.history().send(payload, partition.clone());
        self.shared.progress.sent(payload, partition);
        let text = format!("{payload}{PADDING}");
        let mut opaque = Box::new((payload, partition.clone()));
        loop {
            let record = BaseRecord::<str, str, _>::with_opaque_to(&partition.topic, opaque);
            match producer.send(record.partition(partition.index).payload(&text)) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), record)) => {
                    opaque = record.delivery_opaque;
                    sleep(BETWEEN_TRIES);
                }
                Err((error, _)) => panic!("cannot send {payload}: {error}"),
            }
        }
    }
}

/// What every client of a load is told: to come back quickly after a fault.
pub fn client(bootstrap: &Bootstrap) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &bootstrap.servers)
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.timeout.ms", "10000")
        .set("log_level", "0");
    config
}

/// Every partition of the topics, as this client sees them.
pub(super) fn partitions_of(config: &ClientConfig, topics: &[String]) -> Vec<Partition> {
    let eyes: BaseConsumer = config.create().expect("a consumer");
    let look = |topic: &String| {
        let seen = eyes.fetch_metadata(Some(topic), wait::seconds(5)).ok()?;
        let partitions = seen.topics().first()?.partitions();
        let found: Vec<_> = partitions.iter().map(|one| Partition::new(topic.as_str(), one.id())).collect();
        (!found.is_empty()).then_some(found)
    };
    let find = |topic| wait::find(&format!("partitions of {topic}"), wait::seconds(30), || look(topic));
    topics.iter().flat_map(find).collect()
}

struct Answers(Arc<Shared>);

impl ClientContext for Answers {}

impl ProducerContext for Answers {
    type DeliveryOpaque = Box<(Payload, Partition)>;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: Self::DeliveryOpaque) {
        let (payload, partition) = *opaque;
        // A failure stays unknown: librdkafka gives up without saying here whether a broker may have written it.
        match result {
            Ok(message) => {
                let offset = Some(message.offset()).filter(|&offset| offset >= 0);
                self.0.history().answer(payload, Outcome::Acknowledged(offset));
                self.0.progress.came(Step::Acknowledged, payload, &partition);
            }
            Err((error, _)) => self.0.failed(error.to_string()),
        }
    }
}
