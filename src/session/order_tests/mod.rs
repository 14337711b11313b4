//! What reaches which broker, in which order, when something is refused, was never sent, or the client goes: brokers say
//! what the test wants, and note what they were sent.

mod leaving;
mod moving;
mod refused;

use super::Limits;
use super::testing::{Client, World, text, written};
use crate::upstream::testing::{Asked, Reply};
use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ApiKey, ProduceRequest, ProduceResponse, TopicName};
use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};
use tokio::time::sleep;

const NOT_LEADER: i16 = 6;
const OUT_OF_ORDER: i16 = 45;
const PRODUCER: i64 = 7;
/// Long enough for all that a test does while something waits.
const LONG: Limits = Limits { park: Duration::from_secs(10), linger: Duration::from_secs(10), ..SHORT };
const SHORT: Limits = Limits {
    frame: 1 << 20,
    requests: 32 << 20,
    in_flight: 100,
    responses: 1 << 20,
    idle_link: Duration::from_secs(300),
    park: Duration::from_millis(300),
    linger: Duration::from_millis(500),
    handshake: Duration::from_secs(10),
    stalled: Duration::from_secs(30),
    idle: Duration::from_secs(600),
    slow: Duration::from_secs(30),
    sessions: 1_000,
    sessions_per_address: 1_000,
};

/// What brokers were sent: which broker, and the batch's sequence.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<(i32, i32)>>>);

impl Sent {
    /// A script: Produce requests are noted, and answered with the code for this broker.
    fn answering(
        &self,
        code: impl Fn(i32) -> i16 + Clone + Send + Sync + 'static,
    ) -> impl Fn(i32, Asked) -> Reply + Clone + Send + Sync + 'static {
        let sent = self.clone();
        move |broker, asked| match sent.note(broker, &asked) {
            0 => Reply::Silence,
            _ => written(&asked, code(broker)),
        }
    }

    /// Gives the acks that it asks for.
    fn note(&self, broker: i32, asked: &Asked) -> i16 {
        assert_eq!(asked.api, ApiKey::Produce);
        let request: ProduceRequest = asked.request();
        self.0.lock().extend(sequences(&request).map(|sequence| (broker, sequence)));
        request.acks
    }

    fn all(&self) -> Vec<(i32, i32)> {
        self.0.lock().clone()
    }

    /// The sequences that this broker was sent.
    fn at(&self, broker: i32) -> Vec<i32> {
        self.all().into_iter().filter(|(at, _)| *at == broker).map(|(_, sequence)| sequence).collect()
    }

    async fn until(&self, expected: &[(i32, i32)]) {
        let end = Instant::now() + Duration::from_secs(10);
        while self.all() != expected {
            assert!(Instant::now() < end, "{:?} and not {expected:?}", self.all());
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The sequences of the batches in it.
fn sequences(request: &ProduceRequest) -> impl Iterator<Item = i32> {
    let data = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    data.map(|data| i32::from_be_bytes(*data.records.as_ref().unwrap()[53..].first_chunk::<4>().unwrap()))
}

/// A Produce of one batch for a topic's partition 0. Producers with negative ids are not idempotent.
fn batch(acks: i16, topic: &str, producer: i64, sequence: i32) -> ProduceRequest {
    let mut batch = vec![0; 61];
    batch[8..12].copy_from_slice(&49_i32.to_be_bytes());
    batch[16] = 2;
    batch[43..51].copy_from_slice(&producer.to_be_bytes());
    batch[53..57].copy_from_slice(&sequence.to_be_bytes());
    let data = PartitionProduceData::default().with_records(Some(Bytes::from(batch)));
    let topic = TopicProduceData::default().with_name(TopicName(text(topic))).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(1000).with_topic_data(vec![topic])
}

fn idempotent(sequence: i32) -> ProduceRequest {
    batch(-1, "l-2", PRODUCER, sequence)
}

async fn code(client: &mut Client) -> i16 {
    client.receive::<ProduceRequest>(9).await.responses[0].partition_responses[0].error_code
}

async fn call(client: &mut Client, request: &ProduceRequest) -> i16 {
    client.send(9, request).await;
    code(client).await
}

impl World {
    /// `l-2` is led by this broker, and Fishplate knows.
    async fn led_by(&self, broker: i32) {
        self.leading("l-2", broker).await;
    }

    async fn leading(&self, topic: &str, broker: i32) {
        self.a.as_ref().unwrap().lead(topic, &[broker]);
        self.clusters[0].refreshed(vec![text(topic)], false).await;
        self.context.current.caught_up(&self.clusters[0]).await;
    }
}

fn first_refuses(broker: i32) -> i16 {
    if broker == 1 { NOT_LEADER } else { 0 }
}

/// Who leads takes everything, and the others nothing.
fn taken_by(leader: &Arc<AtomicI32>) -> impl Fn(i32) -> i16 + Clone + Send + Sync + use<> {
    let leader = Arc::clone(leader);
    move |broker| if broker == leader.load(Ordering::Relaxed) { 0 } else { NOT_LEADER }
}
