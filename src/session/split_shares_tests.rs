//! Share sessions in `single` on loopback sockets, before a cluster of two brokers.

use super::Limits;
use super::counting_tests::serves;
use super::testing::{Client, World};
use crate::upstream::testing::{Asked, Reply};
use crate::wire::codec::copied;
use bytes::Bytes;
use kafka_protocol::messages::share_acknowledge_response::{self, ShareAcknowledgeTopicResponse};
use kafka_protocol::messages::share_fetch_request::{AcknowledgementBatch, FetchPartition, FetchTopic};
use kafka_protocol::messages::share_fetch_response::{AcquiredRecords, PartitionData, ShareFetchableTopicResponse};
use kafka_protocol::messages::{
    ApiKey, GroupId, ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest, ShareFetchResponse,
};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

const MOMENT: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(20);

/// What a broker was asked: which broker, the API, the session's epoch, and the first kind of acknowledgement.
type Notes = Arc<Mutex<Vec<(i32, ApiKey, i32, Option<i8>)>>>;

/// Brokers of which these always have a record in each partition that they lead, and the others never anything.
fn brokers(busy: &'static [i32], notes: &Notes) -> impl Fn(i32, Asked) -> Reply + Send + Sync + Clone + 'static {
    let notes = Arc::clone(notes);
    move |id, asked| match asked.api {
        ApiKey::ShareFetch => {
            let request: ShareFetchRequest = asked.request();
            notes.lock().push((id, asked.api, request.share_session_epoch, None));
            // A client's later requests name nothing: the session has it.
            let topic = TOPIC.lock().filter(|_| busy.contains(&id));
            let Some(topic) = topic else { return Reply::Silence };
            let piece = PartitionData::default()
                .with_partition_index(id - 1)
                .with_records(Some(Bytes::from(vec![0; 1_000])))
                .with_acquired_records(vec![AcquiredRecords::default()]);
            let told = ShareFetchableTopicResponse::default().with_topic_id(topic).with_partitions(vec![piece]);
            let answer = ShareFetchResponse::default().with_acquisition_lock_timeout_ms(30_000);
            asked.answer(&answer.with_responses(vec![told]))
        }
        ApiKey::ShareAcknowledge => {
            let request: ShareAcknowledgeRequest = asked.request();
            let first = request.topics.first().map(|topic| topic.partitions[0].acknowledgement_batches[0].clone());
            let kind = first.map(|batch| batch.acknowledge_types[0]);
            notes.lock().push((id, asked.api, request.share_session_epoch, kind));
            let told = request.topics.iter().map(|topic| {
                let piece = |partition: &kafka_protocol::messages::share_acknowledge_request::AcknowledgePartition| {
                    share_acknowledge_response::PartitionData::default().with_partition_index(partition.partition_index)
                };
                ShareAcknowledgeTopicResponse::default()
                    .with_topic_id(topic.topic_id)
                    .with_partitions(topic.partitions.iter().map(piece).collect())
            });
            asked.answer(&ShareAcknowledgeResponse::default().with_responses(told.collect()))
        }
        _ => serves(0)(id, asked),
    }
}

/// The id of `l-1`: it is made of its name, the same in every test.
static TOPIC: Mutex<Option<uuid::Uuid>> = Mutex::new(None);

async fn start(limits: Limits, busy: &'static [i32], notes: &Notes) -> World {
    let world = World::within(limits, brokers(busy, notes)).await;
    *TOPIC.lock() = Some(world.context.current.load().topic("l-1").unwrap().id);
    world
}

fn fetch(epoch: i32, partitions: &[i32], max_wait_ms: i32) -> ShareFetchRequest {
    let named = partitions.iter().map(|index| FetchPartition::default().with_partition_index(*index));
    let topic = FetchTopic::default().with_topic_id(TOPIC.lock().unwrap()).with_partitions(named.collect());
    let topics = if partitions.is_empty() { Vec::new() } else { vec![topic] };
    let (group, member) = (crate::api::testing::text("l-g"), crate::api::testing::text("m"));
    ShareFetchRequest::default()
        .with_group_id(Some(GroupId(copied(&group))))
        .with_member_id(Some(member))
        .with_share_session_epoch(epoch)
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_max_records(1)
        .with_topics(topics)
}

/// Accepts the first record of a partition.
fn accepting(mut request: ShareFetchRequest) -> ShareFetchRequest {
    let batch = AcknowledgementBatch::default().with_acknowledge_types(vec![1]);
    request.topics[0].partitions[0].acknowledgement_batches = vec![batch];
    request
}

async fn call(client: &mut Client, request: &ShareFetchRequest) -> Vec<(i32, usize, i16)> {
    let answer = client.call(1, request).await;
    assert_eq!(answer.error_code, 0);
    let pieces = answer.responses.into_iter().flat_map(|topic| topic.partitions);
    let told = |piece: PartitionData| {
        (piece.partition_index, piece.records.map_or(0, |records| records.len()), piece.acknowledge_error_code)
    };
    pieces.map(told).collect()
}

/// Each answer would take ten minutes, were the idle broker waited for.
#[tokio::test]
async fn an_idle_broker_delays_nobody_and_each_counts_its_own_requests() {
    let notes = Notes::default();
    let world = start(Limits::default(), &[1], &notes).await;
    let mut client = world.unnamed().await;
    assert_eq!(call(&mut client, &fetch(0, &[0, 1], 600_000)).await, [(0, 1_000, 0)]);
    for epoch in 1..20 {
        assert_eq!(call(&mut client, &accepting(fetch(epoch, &[0], 600_000))).await, [(0, 1_000, 0)]);
    }
    let notes = notes.lock();
    let of = |broker: i32| notes.iter().filter(move |note| note.0 == broker).map(|note| note.2).collect::<Vec<_>>();
    assert_eq!((of(1), of(2)), ((0..39).collect(), vec![0]));
    // Over links of its own
    assert_eq!(world.shown("links", &[("cluster", "a"), ("use", "session")]), 2.0);
    assert_eq!(world.requests("ShareFetch", "left", "a"), 20.0);
}

/// [L5]
#[tokio::test]
async fn l5_share_sessions_end_with_their_client() {
    let limits = Limits { linger: Duration::from_secs(3_600), ..Limits::default() };
    let notes = Notes::default();
    let world = start(limits, &[], &notes).await;
    let mut client = world.unnamed().await;
    client.send(1, &fetch(0, &[0, 1], 600_000)).await;
    world.until("link_requests_in_flight", &[], 2.0).await;
    drop(client);
    // Long before the hour that what must be delivered would have
    world.until("links", &[("use", "session")], 0.0).await;
    world.until("requests_in_flight", &[], 0.0).await;
    assert_eq!(world.shown("errors_total", &[]), 0.0);
}

/// [L4]
#[tokio::test]
async fn l4_what_a_share_session_keeps_is_drawn_and_given_back_where_others_wait() {
    let notes = Notes::default();
    let world = start(Limits::default(), &[1, 2], &notes).await;
    let responses = Arc::clone(&world.context.shared.memory.responses);
    let mut client = world.unnamed().await;
    // Given a member that asked for one record, and was told of one broker's; the other's is kept
    assert_eq!(call(&mut client, &fetch(0, &[0, 1], 600_000)).await.len(), 1);
    let session = world.session();
    let until = async |so: &dyn Fn() -> bool| {
        let so = async {
            while !so() {
                sleep(MOMENT).await;
            }
        };
        timeout(PATIENCE, so).await.expect("in time");
    };
    until(&|| session.split_shares.kept_bytes() > 0).await;
    assert!(responses.standing().drawn >= session.split_shares.kept_bytes(), "{:?}", responses.standing());
    // When others need the memory, then they get it, and the record is others' at once
    let now = Instant::now();
    session.look(now + Duration::from_secs(5), false);
    assert!(session.split_shares.kept_bytes() > 0);
    session.look(now + Duration::from_secs(5), true);
    assert_eq!(session.split_shares.kept_bytes(), 0);
    until(&|| notes.lock().iter().any(|note| note.1 == ApiKey::ShareAcknowledge && note.3 == Some(2))).await;
}

/// [L4]
#[tokio::test]
async fn l4_who_names_more_partitions_than_there_is_memory_for_is_closed() {
    let notes = Notes::default();
    let world = start(Limits::default(), &[], &notes).await;
    let mut client = world.unnamed().await;
    let many: Vec<_> = (0..30_000).collect();
    client.send(1, &fetch(0, &many, 600_000)).await;
    client.is_closed().await;
}

#[tokio::test]
async fn a_member_that_ends_its_session_ends_it_at_every_broker() {
    let notes = Notes::default();
    let world = start(Limits::default(), &[1, 2], &notes).await;
    let mut client = world.unnamed().await;
    assert_eq!(call(&mut client, &fetch(0, &[0, 1], 600_000)).await.len(), 1);
    let request = ShareAcknowledgeRequest::default();
    let request = request.with_group_id(Some(GroupId(crate::api::testing::text("l-g"))));
    let request = request.with_member_id(Some(crate::api::testing::text("m"))).with_share_session_epoch(-1);
    assert_eq!(client.call(1, &request).await.error_code, 0);
    let mut ended: Vec<_> = notes.lock().iter().filter(|note| note.2 == -1).map(|note| note.0).collect();
    ended.sort_unstable();
    assert_eq!(ended, [1, 2]);
    world.until("links", &[("use", "session")], 0.0).await;
    // Nobody knows it any more
    assert_eq!(client.call(1, &fetch(1, &[], 0)).await.error_code, 122);
}
