//! What reaches which broker, in which order, when something is refused, was never sent, or the client goes: brokers say
//! what the test wants, and note what they were sent.

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

#[tokio::test]
async fn l6_what_follows_a_batch_that_its_broker_refused_does_not_overtake_it() {
    let sent = Sent::default();
    let world = World::within(LONG, sent.answering(first_refuses)).await;
    let mut client = world.client().await;
    // Given a batch that its broker refused, since another leads
    assert_eq!(call(&mut client, &idempotent(0)).await, NOT_LEADER);
    world.led_by(2).await;
    // When the client has sent the next one before it knew
    assert_eq!(call(&mut client, &idempotent(1)).await, NOT_LEADER);
    // Then nobody has seen it before the first came again
    assert_eq!(call(&mut client, &idempotent(0)).await, 0);
    assert_eq!(call(&mut client, &idempotent(1)).await, 0);
    assert_eq!(sent.all(), [(1, 0), (2, 0), (2, 1)]);
    // And who is not idempotent, or has begun anew, was never held back
    world.led_by(1).await;
    assert_eq!(call(&mut client, &idempotent(2)).await, NOT_LEADER);
    world.led_by(2).await;
    assert_eq!(call(&mut client, &batch(-1, "l-2", -1, 0)).await, 0);
    assert_eq!(call(&mut client, &batch(-1, "l-2", PRODUCER + 1, 5)).await, 0);
}

#[tokio::test]
async fn l6_what_was_on_its_way_when_the_first_was_refused_does_not_overtake_it() {
    let sent = Sent::default();
    let world = World::within(LONG, sent.answering(first_refuses)).await;
    let mut client = world.client().await;
    // Given five in flight, of which the first is refused
    for sequence in 0..5 {
        client.send(9, &idempotent(sequence)).await;
    }
    assert_eq!(code(&mut client).await, NOT_LEADER);
    world.led_by(2).await;
    // When the client sends one more, and then all again
    for sequence in [5, 0, 1, 2, 3, 4, 5] {
        client.send(9, &idempotent(sequence)).await;
    }
    // Then the new leader gets them from the first on
    for expected in [NOT_LEADER; 5].into_iter().chain([0; 6]) {
        assert_eq!(code(&mut client).await, expected);
    }
    assert_eq!(sent.at(1), [0], "who does not know the producer gets nothing behind its first batch");
    assert_eq!(sent.at(2), (0..6).collect::<Vec<_>>());
}

#[tokio::test]
async fn l6_a_broker_that_knows_the_producer_refuses_what_follows_itself() {
    let (sent, leads) = (Sent::default(), Arc::new(AtomicI32::new(1)));
    let leader = Arc::clone(&leads);
    let code_of = move |broker| if broker == leader.load(Ordering::Relaxed) { 0 } else { NOT_LEADER };
    let world = World::within(LONG, sent.answering(code_of)).await;
    let mut client = world.client().await;
    // Given a producer that a broker knows
    assert_eq!(call(&mut client, &idempotent(0)).await, 0);
    // When it leads no more, and five are in flight
    leads.store(2, Ordering::Relaxed);
    for sequence in 1..6 {
        client.send(9, &idempotent(sequence)).await;
    }
    // Then they went one behind the other, and all hear of it from there
    for _ in 1..6 {
        assert_eq!(code(&mut client).await, NOT_LEADER);
    }
    world.led_by(2).await;
    assert_eq!(call(&mut client, &idempotent(6)).await, NOT_LEADER);
    assert_eq!(sent.at(1), (0..7).collect::<Vec<_>>());
    assert!(sent.at(2).is_empty());
}

#[tokio::test]
async fn l6_what_waits_for_a_producers_first_batch_waits_as_long_as_that() {
    let (sent, asked) = (Sent::default(), Arc::new(AtomicI32::new(0)));
    let (noting, counted) = (sent.clone(), Arc::clone(&asked));
    let slow_at_first = move |broker, asked: Asked| {
        noting.note(broker, &asked);
        if counted.fetch_add(1, Ordering::Relaxed) == 0 {
            std::thread::sleep(3 * SHORT.park);
        }
        written(&asked, 0)
    };
    let world = World::within(SHORT, slow_at_first).await;
    let mut client = world.client().await;
    // Given a broker that takes longer for the first than anything may be held
    for sequence in 0..5 {
        client.send(9, &idempotent(sequence)).await;
    }
    // Then all are written
    for _ in 0..5 {
        assert_eq!(code(&mut client).await, 0);
    }
    assert_eq!(sent.at(1), (0..5).collect::<Vec<_>>());
}

#[tokio::test]
async fn l6_a_partition_that_an_answer_leaves_out_counts_as_refused() {
    let sent = Sent::default();
    let noting = sent.clone();
    let says_nothing = move |broker, asked: Asked| {
        noting.note(broker, &asked);
        if broker == 1 { asked.answer(&ProduceResponse::default()) } else { written(&asked, 0) }
    };
    let world = World::within(LONG, says_nothing).await;
    let mut client = world.client().await;
    assert_eq!(call(&mut client, &idempotent(0)).await, 7);
    world.led_by(2).await;
    assert_eq!(call(&mut client, &idempotent(1)).await, NOT_LEADER, "nobody has seen it");
    assert_eq!(sent.all(), [(1, 0)]);
}

#[tokio::test]
async fn l6_a_refusal_is_over_when_its_broker_writes_what_follows() {
    let (sent, leads) = (Sent::default(), Arc::new(AtomicI32::new(1)));
    let leader = Arc::clone(&leads);
    let code_of = move |broker| if broker == leader.load(Ordering::Relaxed) { 0 } else { NOT_LEADER };
    let world = World::within(LONG, sent.answering(code_of)).await;
    let mut client = world.client().await;
    // Given a batch that a broker refused that knows its producer, and that the client has sent over another connection
    assert_eq!(call(&mut client, &idempotent(0)).await, 0);
    leads.store(2, Ordering::Relaxed);
    assert_eq!(call(&mut client, &idempotent(1)).await, NOT_LEADER);
    world.led_by(2).await;
    assert_eq!(call(&mut world.client().await, &idempotent(1)).await, 0);
    // When its first broker leads again, and writes the next one
    leads.store(1, Ordering::Relaxed);
    world.led_by(1).await;
    assert_eq!(call(&mut client, &idempotent(2)).await, 0);
    // Then later ones go where they are led, without a way round
    leads.store(2, Ordering::Relaxed);
    world.led_by(2).await;
    assert_eq!(call(&mut client, &idempotent(3)).await, 0);
    assert_eq!(sent.all(), [(1, 0), (1, 1), (2, 1), (1, 2), (2, 3)]);
}

#[tokio::test]
async fn l6_the_session_ends_where_who_refused_cannot_be_asked() {
    let (sent, leads) = (Sent::default(), Arc::new(AtomicI32::new(1)));
    let leader = Arc::clone(&leads);
    let code_of = move |broker| if broker == leader.load(Ordering::Relaxed) { 0 } else { NOT_LEADER };
    let world = World::within(LONG, sent.answering(code_of)).await;
    let mut client = world.client().await;
    // Given a batch that was refused by a broker that knows its producer, and whose link has ended since
    assert_eq!(call(&mut client, &idempotent(0)).await, 0);
    leads.store(2, Ordering::Relaxed);
    assert_eq!(call(&mut client, &idempotent(1)).await, NOT_LEADER);
    world.session().links.sweep(Instant::now() + Duration::from_secs(1), |_| Duration::ZERO, |_| {});
    world.led_by(2).await;
    // When the next one comes
    client.send(9, &idempotent(2)).await;
    // Then nobody gets it, and the client must send all again
    client.is_closed().await;
    world.until("sessions_closed_total", &[("reason", "overtaking")], 1.0).await;
    assert_eq!(sent.all(), [(1, 0), (1, 1)]);
    // And may, over a new connection
    assert_eq!(call(&mut world.client().await, &idempotent(1)).await, 0);
}

#[tokio::test]
async fn l6_what_we_refuse_ourselves_is_not_overtaken_either() {
    let sent = Sent::default();
    let world = World::within(LONG, sent.answering(|_| 0)).await;
    let mut client = world.client().await;
    // Given a batch for a topic that is not there
    let one = |sequence| batch(-1, "l-new", PRODUCER, sequence);
    assert_eq!(call(&mut client, &one(0)).await, 3);
    assert_eq!(call(&mut client, &one(1)).await, 3, "as long as it is not, all are refused alike");
    // When it is there, and the next batch comes first
    world.leading("l-new", 1).await;
    client.send(9, &one(2)).await;
    // Then nobody gets it
    client.is_closed().await;
    assert_eq!(sent.all(), []);
    // And in order they are taken
    let mut client = world.client().await;
    assert_eq!((call(&mut client, &one(0)).await, call(&mut client, &one(1)).await), (0, 0));
}

#[tokio::test]
async fn l6_a_batch_that_was_never_sent_is_held_in_its_place() {
    let sent = Sent::default();
    let world = World::within(LONG, sent.answering(|_| 0)).await;
    // Given a leader that nobody can connect to
    world.led_by(2).await;
    world.a.as_ref().unwrap().stop(2);
    let mut client = world.client().await;
    for sequence in 0..5 {
        client.send(9, &idempotent(sequence)).await;
    }
    world.until_any("links_failed_total", &[("cluster", "a"), ("reason", "connect")]).await;
    // When another leads
    world.led_by(1).await;
    for sequence in 5..10 {
        client.send(9, &idempotent(sequence)).await;
    }
    // Then it gets all of them, in order, and the client hears of nothing else
    for _ in 0..10 {
        assert_eq!(code(&mut client).await, 0);
    }
    assert_eq!(sent.all(), (0..10).map(|sequence| (1, sequence)).collect::<Vec<_>>());
}

#[tokio::test]
async fn l6_a_batch_that_cannot_be_sent_for_too_long_ends_the_session() {
    let world = World::within(SHORT, |_, asked: Asked| written(&asked, 0)).await;
    world.led_by(2).await;
    world.a.as_ref().unwrap().stop(2);
    let mut client = world.client().await;
    // A plain one is answered: it may be overtaken.
    assert_eq!(call(&mut client, &batch(-1, "l-2", -1, 0)).await, NOT_LEADER);
    client.send(9, &idempotent(0)).await;
    client.is_closed().await;
}

/// A partition that moves from broker to broker, none of which knows any producer at first.
struct Moving {
    leader: i32,
    /// The sequence that the leader takes next; any, where it has taken none.
    next: Option<i32>,
    log: Vec<i32>,
}

impl Moving {
    fn take(&mut self, broker: i32, sequence: i32) -> i16 {
        if broker != self.leader {
            return NOT_LEADER;
        }
        match self.next {
            Some(next) if sequence < next => 0,
            Some(next) if sequence > next => OUT_OF_ORDER,
            _ => {
                self.log.push(sequence);
                self.next = Some(sequence + 1);
                0
            }
        }
    }
}

/// A client that keeps five batches in flight and sends what was refused again, the lowest first.
async fn send_all(world: &World, count: i32) {
    let (mut to_send, mut in_flight) = ((0..count).collect::<BTreeSet<_>>(), VecDeque::new());
    let mut client = world.client().await;
    while !(to_send.is_empty() && in_flight.is_empty()) {
        while in_flight.len() < 5
            && let Some(sequence) = to_send.pop_first()
        {
            client.send(9, &idempotent(sequence)).await;
            in_flight.push_back(sequence);
        }
        match client.hear::<ProduceRequest>(9).await {
            Some(told) => {
                let sequence = in_flight.pop_front().unwrap();
                if told.responses[0].partition_responses[0].error_code != 0 {
                    to_send.insert(sequence);
                }
            }
            None => {
                to_send.extend(in_flight.drain(..));
                client = world.client().await;
            }
        }
    }
}

#[tokio::test]
async fn l6_whatever_moves_meanwhile_nothing_is_overtaken() {
    const BROKERS: i32 = 12;
    let partition = Arc::new(Mutex::new(Moving { leader: 1, next: None, log: Vec::new() }));
    let brokers = Arc::clone(&partition);
    let script = move |broker, asked: Asked| {
        let sequence = sequences(&asked.request()).next().unwrap();
        written(&asked, brokers.lock().take(broker, sequence))
    };
    let world = World::of(BROKERS.unsigned_abs() as usize, LONG, script).await;
    // Given a partition that moves from broker to broker while a client sends
    let moves = async {
        for leader in 2..=BROKERS {
            sleep(Duration::from_millis(fastrand::u64(5..40))).await;
            let before = fastrand::bool();
            if before {
                world.led_by(leader).await;
            }
            (partition.lock().leader, partition.lock().next) = (leader, None);
            if !before {
                sleep(Duration::from_millis(fastrand::u64(0..20))).await;
                world.led_by(leader).await;
            }
        }
    };
    tokio::join!(moves, send_all(&world, 2_000));
    // Then each batch was written behind all that came before it
    let mut next = 0;
    for sequence in &partition.lock().log {
        assert!(*sequence <= next, "{sequence} overtook {next}");
        next = next.max(*sequence + 1);
    }
    assert_eq!(next, 2_000);
}

#[tokio::test]
async fn l6_whatever_a_leader_refuses_meanwhile_nothing_is_overtaken() {
    for _ in 0..10 {
        // Given a leader that knows no producer at first, and refuses a batch now and then without a look at it
        let partition = Arc::new(Mutex::new(Moving { leader: 1, next: None, log: Vec::new() }));
        let broker = Arc::clone(&partition);
        let script = move |at, asked: Asked| {
            let sequence = sequences(&asked.request()).next().unwrap();
            let refuses = fastrand::u8(..10) < 3;
            written(&asked, if refuses { NOT_LEADER } else { broker.lock().take(at, sequence) })
        };
        let world = World::within(LONG, script).await;
        // When a client keeps five in flight
        send_all(&world, 20).await;
        // Then each is written once, in order
        assert_eq!(partition.lock().log, (0..20).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn l5_what_is_held_when_the_client_hangs_up_is_delivered() {
    let sent = Sent::default();
    let world = World::within(LONG, sent.answering(|_| 0)).await;
    // Given batches that wait for a leader
    world.led_by(-1).await;
    let mut client = world.client().await;
    for (acks, sequence) in [(0, 0), (1, 1), (-1, 2), (0, 3)] {
        client.send(9, &batch(acks, "l-2", -1, sequence)).await;
    }
    client.send(9, &batch(1, "r-1", -1, 9)).await;
    // When the client hangs up, and then there is one
    drop(client);
    world.until("sessions", &[], 0.0).await;
    sleep(Duration::from_millis(50)).await;
    world.led_by(2).await;
    // Then it gets them, in order
    let delivered = [(1, 9), (2, 0), (2, 1), (2, 2), (2, 3)];
    sent.until(&delivered).await;
    // And nothing of the client stays
    world.until("links", &[("use", "session")], 0.0).await;
    world.until("requests_in_flight", &[], 0.0).await;
    assert!(world.context.sessions.is_empty());
    assert_eq!(world.errors("cluster"), 0.0);
}

#[tokio::test]
async fn l5_what_waits_for_a_link_when_the_client_hangs_up_is_delivered() {
    let sent = Sent::default();
    let world = World::within(LONG, sent.answering(|_| 0)).await;
    // Given a leader that nobody can connect to
    world.led_by(2).await;
    world.a.as_ref().unwrap().stop(2);
    let mut client = world.client().await;
    client.send(9, &idempotent(0)).await;
    // When the client hangs up, and then another leads
    drop(client);
    world.until("sessions", &[], 0.0).await;
    world.led_by(1).await;
    // Then that gets it
    sent.until(&[(1, 0)]).await;
}

#[tokio::test]
async fn l5_what_cannot_be_delivered_is_dropped_in_time() {
    let sent = Sent::default();
    let world = World::within(Limits { park: Duration::from_secs(60), ..SHORT }, sent.answering(|_| 0)).await;
    world.led_by(-1).await;
    let mut client = world.client().await;
    client.send(9, &idempotent(0)).await;
    client.send(9, &batch(0, "l-2", -1, 1)).await;
    drop(client);
    world.until("sessions", &[], 0.0).await;
    assert!(!world.context.sessions.is_empty(), "a stop waits for it");
    while !world.context.sessions.is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    world.led_by(1).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(sent.all(), []);
    world.until("requests_in_flight", &[], 0.0).await;
}

#[tokio::test]
async fn a_stop_waits_for_what_is_held_and_for_what_brokers_have_not_taken() {
    // Given a session without anything under way
    let world = World::within(LONG, |_, _| Reply::Freeze).await;
    let mut client = world.client().await;
    assert!(world.session().is_idle());
    // When a request that nobody answers is held
    world.leading("l-1", -1).await;
    client.send(9, &batch(0, "l-1", -1, 0)).await;
    // Then it is not idle
    let busy = async |world: &World| {
        let end = Instant::now() + Duration::from_secs(10);
        while world.session().is_idle() {
            assert!(Instant::now() < end, "it seems idle");
            sleep(Duration::from_millis(5)).await;
        }
    };
    busy(&world).await;
    // And not when a broker does not take what is queued for it
    let mut other = World::within(LONG, |_, _| Reply::Freeze).await;
    let mut client = other.client().await;
    let mut large = batch(0, "l-2", -1, 0);
    large.topic_data[0].partition_data[0].records = Some(Bytes::from(vec![0; 900_000]));
    for _ in 0..25 {
        client.send(9, &large).await;
    }
    busy(&other).await;
    sleep(Duration::from_millis(100)).await;
    assert!(!other.session().is_idle());
    // Until the broker is gone
    drop(other.a.take());
    client.is_closed().await;
}
