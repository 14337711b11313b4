//! Whose memory it is (L4): that of clients that are slow is given back where others wait for it.

use super::Limits;
use super::counting_tests::{fetch, serves};
use super::testing::World;
use crate::upstream::testing::{Asked, Reply};
use crate::wire::budget::{Charge, Share};
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::FetchTopic;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{ApiKey, FetchRequest, FetchResponse};
use std::io::IoSliceMut;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(5);

/// Every Fetch finds half a megabyte in each partition.
fn busy(id: i32, asked: Asked) -> Reply {
    if asked.api != ApiKey::Fetch {
        return serves(0)(id, asked);
    }
    let request: FetchRequest = asked.request();
    let told = |topic: FetchTopic| {
        let told = PartitionData::default().with_records(Some(Bytes::from(vec![0; 500_000])));
        FetchableTopicResponse::default().with_topic(topic.topic).with_partitions(vec![told])
    };
    asked.answer(&FetchResponse::default().with_responses(request.topics.into_iter().map(told).collect()))
}

fn found(answer: &FetchResponse) -> usize {
    answer.responses.iter().map(|topic| topic.partitions[0].records.as_ref().map_or(0, Bytes::len)).sum()
}

/// (L4)
#[tokio::test]
async fn l4_what_a_split_fetch_keeps_is_drawn_and_is_dropped_where_others_wait() {
    let world = World::start(busy).await;
    let responses = std::sync::Arc::clone(&world.context.shared.memory.responses);
    let mut client = world.client().await;
    let session = world.session();
    // Given a client that was told of one broker and does not come for what the other has
    let asked = fetch((0, 0), &["l-1", "r-1"]).with_max_wait_ms(600_000).with_min_bytes(1);
    assert_eq!(found(&client.call(12, &asked).await), 500_000);
    let kept = async {
        while session.polls.kept_bytes() == 0 {
            sleep(MOMENT).await;
        }
    };
    timeout(PATIENCE, kept).await.expect("something is kept");
    // Then that is counted
    assert!(responses.standing().drawn >= session.polls.kept_bytes(), "{:?}", responses.standing());
    // And it stays where nobody else needs the memory, and for who may be about to ask
    let now = Instant::now();
    session.look(now + Duration::from_secs(5), false);
    session.look(now, true);
    assert!(session.polls.kept_bytes() > 0);
    // When others do
    session.look(now + Duration::from_secs(5), true);
    // Then they get it, and the client loses nothing
    assert_eq!((session.polls.kept_bytes(), responses.standing().drawn), (0, 0));
    for _ in 0..2 {
        assert!(found(&client.call(12, &asked).await) > 0);
    }
}

/// A split Fetch that names partitions of which most are not there.
fn wide(partitions: i32) -> FetchRequest {
    let mut asked = fetch((0, 0), &["l-1", "r-1"]).with_max_wait_ms(0);
    let one = asked.topics[0].partitions[0].clone();
    asked.topics[0].partitions = (0..partitions).map(|index| one.clone().with_partition(index)).collect();
    asked
}

/// (L4)
#[tokio::test]
async fn l4_what_is_remembered_of_many_partitions_is_drawn_and_a_client_for_whom_there_is_none_is_closed() {
    let world = World::start(busy).await;
    let parked = std::sync::Arc::clone(&world.context.shared.memory.parked);
    // Given clients that name some partitions, and one that names very many
    let mut usual = world.client().await;
    usual.call(12, &wide(10)).await;
    assert_eq!(parked.standing().drawn, 0);
    let mut client = world.client().await;
    client.call(12, &wide(8_000)).await;
    // Then what it takes to remember them is counted, once however often it asks
    let counted = parked.standing().drawn;
    assert!(counted > 8_000 * 50, "{counted} bytes");
    for _ in 0..3 {
        client.call(12, &wide(8_000)).await;
    }
    let at_most = parked.standing().drawn;
    assert!(at_most < 2 * counted, "{counted} bytes, and then {at_most}");
    // When there is no more, then one more such client is closed, and nobody else
    let rest = Charge::of(&parked, parked.free() - 1_000).expect("what is left");
    is_closed_for(&world, &wide(8_000)).await;
    client.call(12, &wide(8_000)).await;
    usual.call(12, &wide(10)).await;
    // And it is given back when its client goes
    drop((rest, client));
    let given_back = async {
        while parked.standing().drawn > 0 {
            sleep(MOMENT).await;
        }
    };
    timeout(PATIENCE, given_back).await.expect("it is given back");
}

/// (L4)
#[tokio::test]
async fn l4_one_client_does_not_take_all_the_memory_for_what_is_remembered() {
    // Given more memory than is asked for, of which nothing is drawn
    let world = World::start(busy).await;
    let parked = std::sync::Arc::clone(&world.context.shared.memory.parked);
    parked.resize(8 * 300_000);
    // When a client names partitions for more than an eighth of it, then it is closed
    is_closed_for(&world, &wide(8_000)).await;
    // And one that names fewer is served
    let mut client = world.client().await;
    client.call(12, &wide(2_000)).await;
    assert!((1..=300_000).contains(&parked.standing().drawn));
}

/// One more client asks this, and is closed.
async fn is_closed_for(world: &World, asked: &FetchRequest) {
    let mut client = world.client().await;
    client.send(12, asked).await;
    let closed = async { while client.hear::<FetchRequest>(12).await.is_some() {} };
    timeout(PATIENCE, closed).await.expect("it is closed");
}

/// (L4)
#[tokio::test]
async fn l4_a_client_that_takes_a_byte_now_and_then_gives_back_what_others_wait_for() {
    let limits = Limits { slow: Duration::from_millis(300), ..Limits::default() };
    let world = World::within(limits, busy).await;
    let responses = std::sync::Arc::clone(&world.context.shared.memory.responses);
    // Given a client that asks for more than its socket holds
    let mut slow = world.client().await;
    let session = world.session();
    for _ in 0..60 {
        slow.send(12, &fetch((0, 0), &["l-1"]).with_max_bytes(600_000)).await;
    }
    let owed = async {
        while session.backlog() == 0 {
            sleep(MOMENT).await;
        }
    };
    timeout(PATIENCE, owed).await.expect("answers that it does not take");
    // And one that waits for the memory
    let rest = Share::of(&responses, 0).force(responses.free());
    let mut other = world.client().await;
    other.send(12, &fetch((0, 0), &["l-1"])).await;
    // When the first takes a byte now and then
    let sips = async {
        loop {
            let _one = slow.socket.read(&mut [IoSliceMut::new(&mut [0; 1])], false);
            world.context.sweep();
            sleep(MOMENT).await;
        }
    };
    // Then the other is served all the same
    let served = tokio::select! {
        answer = other.receive::<FetchRequest>(12) => answer,
        () = sips => unreachable!(),
    };
    assert_eq!(found(&served), 500_000);
    assert_eq!(world.shown("sessions_closed_total", &[("reason", "slow")]), 1.0);
    drop(rest);
}
