//! An ordinary Kafka client (librdkafka): one idempotent producer of both flows, one consumer group that reads both
//! topics back. It is given one bootstrap address and knows of nothing behind it.

use super::events::{self, Event};
use super::flood::Flooded;
use super::sample::{Flow, GROUP};
use super::tally::{Read, Tally};
use super::{DemoError, Progress};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

/// The source rests while this many records are sent and not read: bookkeeping stays bounded.
const MOST_UNDER_WAY: usize = 100_000;
/// Of three records two are events and one holds log rows.
const ROUND: [Flow; 3] = [Flow::Events, Flow::Logs, Flow::Events];
/// How often the source wakes up to send what is due.
const BEAT: Duration = Duration::from_millis(5);
/// How long a call to the cluster may take at the end.
const LAST_CALL: Duration = Duration::from_secs(10);

/// What both halves of the client share with the rest of the demo.
pub(super) struct Shared {
    /// A random number that tells this run's records from others.
    pub(super) run: u64,
    pub(super) tally: Tally,
    pub(super) progress: Progress,
    /// Of the token that floods.
    pub(super) flooded: Flooded,
}

impl Shared {
    /// Tells its records from the others'.
    pub(super) fn flood_run(&self) -> u64 {
        !self.run
    }
}

/// Reads both topics back, as one group.
pub(super) struct Reader(JoinHandle<Result<[u64; 2], DemoError>>);

impl Reader {
    pub(super) fn start(bootstrap: &str, shared: &Arc<Shared>) -> Result<Self, DemoError> {
        let consumer: BaseConsumer<Watching> = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", GROUP)
            .set("auto.offset.reset", "earliest")
            .set("auto.commit.interval.ms", "1000")
            // A mock cluster answers an empty fetch only when this is over, whatever arrives meanwhile.
            .set("fetch.wait.max.ms", "10")
            .create_with_context(Watching(Arc::clone(shared)))
            .map_err(DemoError::Client)?;
        consumer.subscribe(&Flow::ALL.map(Flow::topic)).map_err(DemoError::Client)?;
        let shared = Arc::clone(shared);
        let reading = move || {
            while !shared.progress.stop_reading.load(Ordering::Relaxed) {
                match consumer.poll(Duration::from_millis(50)) {
                    Some(Ok(message)) => note(&shared, &message),
                    Some(Err(error)) => tracing::warn!(%error, "the demo's consumer"),
                    None => {}
                }
            }
            committed(&consumer)
        };
        thread::Builder::new().name("demo reader".to_owned()).spawn(reading).map(Self).map_err(DemoError::Thread)
    }

    /// Ends the group's member and gives, for each flow, the sum of its committed offsets. Blocks.
    pub(super) fn finish(self, shared: &Shared) -> Result<[u64; 2], DemoError> {
        shared.progress.stop_reading.store(true, Ordering::Relaxed);
        self.0.join().map_err(|_| DemoError::Panicked("reader"))?
    }
}

fn note(shared: &Shared, message: &BorrowedMessage<'_>) {
    let Some(flow) = Flow::of_topic(message.topic()) else { return };
    let headers = || message.headers().into_iter().flat_map(Headers::iter).map(|header| (header.key, header.value));
    let fingerprint = events::fingerprint(message.key(), message.payload(), headers());
    let number = events::number(shared.run, headers());
    let noisy = events::number(shared.flood_run(), headers()).is_some();
    let read = Read { partition: message.partition(), offset: message.offset(), number, noisy, fingerprint };
    shared.tally.read(flow, &read);
}

/// Commits what was read, then asks the group's coordinator what it holds.
fn committed(consumer: &BaseConsumer<Watching>) -> Result<[u64; 2], DemoError> {
    match consumer.commit_consumer_state(CommitMode::Sync) {
        // Nothing was read since the last commit.
        Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
        other => other.map_err(DemoError::Client)?,
    }
    let mut asked = TopicPartitionList::new();
    for flow in Flow::ALL {
        asked.add_partition_range(flow.topic(), 0, flow.partitions() - 1);
    }
    let held = consumer.committed_offsets(asked, LAST_CALL).map_err(DemoError::Client)?;
    Ok(Flow::ALL.map(|flow| {
        let offsets = held.elements_for_topic(flow.topic());
        let sum = |offset| if let Offset::Offset(offset) = offset { u64::try_from(offset).unwrap_or(0) } else { 0 };
        offsets.iter().map(|element| sum(element.offset())).sum()
    }))
}

/// Notes what the group does.
struct Watching(Arc<Shared>);

impl ClientContext for Watching {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "the demo's consumer");
    }
}

impl ConsumerContext for Watching {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let partitions = if let Rebalance::Assign(partitions) = rebalance { partitions.count() } else { 0 };
        self.0.progress.assigned.store(partitions, Ordering::Relaxed);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        let progress = &self.0.progress;
        let counter = match result {
            Ok(()) => &progress.commits,
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => return,
            Err(error) => {
                tracing::warn!(%error, "the demo's group could not commit");
                &progress.failed_commits
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends both flows' records at a steady rate.
pub(super) struct Source(JoinHandle<Result<(), DemoError>>);

impl Source {
    /// `rate` is records a second, of both flows together.
    pub(super) fn start(bootstrap: &str, rate: u32, shared: &Arc<Shared>) -> Result<Self, DemoError> {
        let producer: ThreadedProducer<Delivering> = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .create_with_context(Delivering(Arc::clone(shared)))
            .map_err(DemoError::Client)?;
        let shared = Arc::clone(shared);
        let sending = move || send_until_stopped(&producer, rate, &shared);
        thread::Builder::new().name("demo source".to_owned()).spawn(sending).map(Self).map_err(DemoError::Thread)
    }

    /// Whether it gave up by itself.
    pub(super) fn gave_up(&self) -> bool {
        self.0.is_finished()
    }

    /// Sends no more and waits for what was sent to be acknowledged or refused. Blocks.
    pub(super) fn finish(self, shared: &Shared) -> Result<(), DemoError> {
        shared.progress.stop_sending.store(true, Ordering::Relaxed);
        self.0.join().map_err(|_| DemoError::Panicked("source"))?
    }
}

fn send_until_stopped(
    producer: &ThreadedProducer<Delivering>,
    rate: u32,
    shared: &Arc<Shared>,
) -> Result<(), DemoError> {
    let start = Instant::now();
    let mut done = 0;
    let mut round = ROUND.into_iter().cycle();
    while !shared.progress.stop_sending.load(Ordering::Relaxed) {
        thread::sleep(BEAT);
        let due = u128::from(rate) * start.elapsed().as_millis() / 1000;
        if shared.tally.under_way() < MOST_UNDER_WAY {
            for flow in (done..due).filter_map(|_| round.next()) {
                send(producer, flow, shared)?;
            }
        }
        done = due;
    }
    producer.flush(LAST_CALL).map_err(DemoError::Client)
}

fn send(producer: &ThreadedProducer<Delivering>, flow: Flow, shared: &Shared) -> Result<(), DemoError> {
    let number = shared.tally.next_number(flow);
    let event = Event::new(flow, shared.run, number, SystemTime::now());
    let mut headers = OwnedHeaders::new_with_capacity(event.headers.len());
    for (key, value) in &event.headers {
        headers = headers.insert(Header { key, value: value.as_deref() });
    }
    let mut record = BaseRecord::with_opaque_to(flow.topic(), Box::new((flow, number)))
        .key(&event.key)
        .payload(&event.payload)
        .headers(headers);
    shared.tally.sending(flow, event.fingerprint());
    while let Err((error, unsent)) = producer.send(record) {
        if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
            return Err(DemoError::Client(error));
        }
        if shared.progress.stop_sending.load(Ordering::Relaxed) {
            shared.tally.delivered(flow, number, false);
            return Ok(());
        }
        thread::sleep(BEAT);
        record = unsent;
    }
    Ok(())
}

/// Notes what became of each record.
struct Delivering(Arc<Shared>);

impl ClientContext for Delivering {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "the demo's producer");
    }
}

impl ProducerContext for Delivering {
    type DeliveryOpaque = Box<(Flow, u64)>;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: Self::DeliveryOpaque) {
        let (flow, number) = *opaque;
        if let Err((error, _)) = result {
            tracing::warn!(%error, topic = flow.topic(), "the demo's record was refused");
        }
        self.0.tally.delivered(flow, number, result.is_ok());
    }
}
