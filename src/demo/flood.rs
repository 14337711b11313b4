//! The demo's second half: one token begins to send far more than the limit lets through. Its producer is not idempotent, as
//! PostHog's capture is not, and knows nothing of limits or lanes.

use super::client::Shared;
use super::events::Event;
use super::sample::Flow;
use super::{DemoError, blocking};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

/// Records a second: five times what the limit lets through.
const RATE: u32 = 1000;
/// It rests while this many are not answered.
const MOST_UNDER_WAY: u64 = 20_000;
const BEAT: Duration = Duration::from_millis(5);
const LAST_CALL: Duration = Duration::from_secs(10);

/// What became of the noisy token's records.
#[derive(Debug, Default)]
pub(super) struct Flooded {
    pub(super) sent: AtomicU64,
    pub(super) acknowledged: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// Sends them.
pub(super) struct Flood(JoinHandle<Result<(), DemoError>>);

impl Flood {
    /// Begins after a while, unless all ends before.
    pub(super) fn start(bootstrap: &str, after: Duration, shared: &Arc<Shared>) -> Result<Self, DemoError> {
        let producer: ThreadedProducer<Counting> = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .create_with_context(Counting(Arc::clone(shared)))
            .map_err(DemoError::Client)?;
        let shared = Arc::clone(shared);
        let flooding = move || flood(&producer, after, &shared);
        thread::Builder::new().name("demo flood".to_owned()).spawn(flooding).map(Self).map_err(DemoError::Thread)
    }

    /// Ends with what was sent answered; the source's word to stop is its, too.
    pub(super) async fn finish(self) -> Result<(), DemoError> {
        blocking(move || self.0.join().map_err(|_| DemoError::Panicked("flood"))?).await
    }
}

fn flood(producer: &ThreadedProducer<Counting>, after: Duration, shared: &Shared) -> Result<(), DemoError> {
    let begun = Instant::now();
    let stops = || shared.progress.stop_sending.load(Ordering::Relaxed);
    while begun.elapsed() < after {
        if stops() {
            return Ok(());
        }
        thread::sleep(BEAT);
    }
    shared.tally.flood();
    let (start, told) = (Instant::now(), &shared.flooded);
    let mut done = 0;
    while !stops() {
        thread::sleep(BEAT);
        let due = u128::from(RATE) * start.elapsed().as_millis() / 1000;
        let answered = told.acknowledged.load(Ordering::Relaxed) + told.refused.load(Ordering::Relaxed);
        if told.sent.load(Ordering::Relaxed) - answered < MOST_UNDER_WAY {
            (done..due).try_for_each(|_| send(producer, shared))?;
        }
        done = due;
    }
    producer.flush(LAST_CALL).map_err(DemoError::Client)
}

fn send(producer: &ThreadedProducer<Counting>, shared: &Shared) -> Result<(), DemoError> {
    let number = shared.flooded.sent.load(Ordering::Relaxed);
    let event = Event::noisy(shared.flood_run(), number, SystemTime::now());
    let headers = event
        .headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: value.as_deref() }));
    let record = BaseRecord::to(Flow::Events.topic()).key(&event.key).payload(&event.payload).headers(headers);
    match producer.send(record) {
        Ok(()) => drop(shared.flooded.sent.fetch_add(1, Ordering::Relaxed)),
        Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => thread::sleep(BEAT),
        Err((error, _)) => return Err(DemoError::Client(error)),
    }
    Ok(())
}

/// Counts what is answered.
struct Counting(Arc<Shared>);

impl ClientContext for Counting {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "the demo's flood");
    }
}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let told = &self.0.flooded;
        let counter = if result.is_ok() { &told.acknowledged } else { &told.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
