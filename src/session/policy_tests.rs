//! What sessions do about a pipeline's policy: brokers say what the test wants.

use super::Limits;
use super::testing::{Client, World, text, written};
use crate::policy::sample::Sample;
use crate::upstream::testing::{Asked, Reply};
use crate::wire::batch::Header;
use crate::wire::batch::testing::{around, plain_header};
use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ApiKey, ProduceRequest, TopicName};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(5);
const NOT_LEADER: i16 = 6;
const TIMED_OUT: i16 = 7;

fn limits() -> Limits {
    Limits { park: Duration::from_secs(10), linger: Duration::from_millis(500), ..Limits::default() }
}

/// A Produce of so many records of a token; of an idempotent producer where there is a sequence.
pub(super) fn of_token(token: &str, records: i32, sequence: Option<i32>) -> ProduceRequest {
    let one = Sample { key: Some("k"), value: "v", headers: &[("token", Some(token))] }.section();
    let header = Header {
        base_offset: 0,
        last_offset_delta: records - 1,
        producer_id: sequence.map_or(-1, |_| 7),
        producer_epoch: sequence.map_or(-1, |_| 0),
        base_sequence: sequence.unwrap_or(-1),
        ..plain_header()
    };
    let count = usize::try_from(records).unwrap();
    let batch = around(header, count, &one.repeat(count));
    let data = PartitionProduceData::default().with_records(Some(Bytes::from(batch)));
    let topic = TopicProduceData::default().with_name(TopicName(text("l-2"))).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![topic])
}

async fn code(client: &mut Client) -> i16 {
    client.receive::<ProduceRequest>(9).await.responses[0].partition_responses[0].error_code
}

/// Sends a thousand records through a policy to brokers that never answer, and waits until so much is drawn for each byte that
/// was sent; then the client goes.
async fn draws(policy: &str, sequence: Option<i32>, times: usize) {
    let silent = |_, asked: Asked| {
        assert_eq!(asked.api, ApiKey::Produce);
        Reply::Silence
    };
    let world = World::with(2, limits(), policy, silent).await;
    let requests = Arc::clone(&world.context.shared.memory.requests);
    let mut client = world.client().await;
    client.send(9, &of_token("a", 1000, sequence)).await;
    let came = client.sent;
    let counted = async {
        while requests.standing().drawn < times * came {
            sleep(MOMENT).await;
        }
    };
    timeout(PATIENCE, counted).await.unwrap_or_else(|_| panic!("{:?} of {came}", requests.standing()));
    // And it is given back when nobody waits for it any more
    drop(client);
    let gone = async {
        while requests.standing().drawn > 0 {
            sleep(MOMENT).await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap_or_else(|_| panic!("{:?}", requests.standing()));
}

/// (L4)
#[tokio::test]
async fn l4_what_is_edited_is_counted_until_it_is_written() {
    // Given a batch that grows to three times its size since its records are stamped, all of it is counted
    let stamps = ", limits: [{ name: one, key: client_id, rate: 1/h, burst: 1, action: stamp, \
                  stamp: { header: a-long-name-of-a-header, value: and-a-value-that-is-long-too } }]";
    draws(stamps, None, 3).await;
    // And so is one that a deputy writes, stamped and parted
    let parts = ", limits: [{ name: one, key: client_id, rate: 1/h, burst: 1, action: stamp, \
                  stamp: { header: a-long-name-of-a-header, value: and-a-value-that-is-long-too } }, \
                 { name: two, key: header(token), rate: 10/h, burst: 500, action: overflow }], \
                 lanes: { overflow: { topic: l-1 } }";
    draws(parts, Some(0), 3).await;
}

/// What is dropped must not be a success before what it follows: [L6].
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l6_what_is_dropped_is_answered_in_its_turn_and_fails_behind_what_fails() {
    let drops = ", limits: [{ name: one, key: header(token), rate: 1/h, burst: 1, action: drop, \
                 overrides: { kept: 1000/s } }]";
    let produced = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&produced);
    // Given a broker that thinks long about the first batch, and refuses it
    let first_refused = move |_, asked: Asked| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => {
            std::thread::sleep(Duration::from_millis(300));
            written(&asked, NOT_LEADER)
        }
        _ => written(&asked, 0),
    };
    let world = World::with(2, limits(), drops, first_refused).await;
    let mut client = world.client().await;
    // And a token that has had the one record that it may have
    client.send(9, &of_token("noisy", 1, None)).await;
    assert_eq!(code(&mut client).await, NOT_LEADER);
    produced.store(0, Ordering::SeqCst);
    // When a batch that is all dropped comes behind it
    client.send(9, &of_token("kept", 1, Some(0))).await;
    client.send(9, &of_token("noisy", 1, Some(1))).await;
    // Then both fail
    assert_eq!(code(&mut client).await, NOT_LEADER);
    assert_eq!(code(&mut client).await, TIMED_OUT, "45 would have its producer begin anew");
    assert_eq!(produced.load(Ordering::SeqCst), 1);
    // And when both come again, the first is written, and the other is answered as if it were
    client.send(9, &of_token("kept", 1, Some(0))).await;
    client.send(9, &of_token("noisy", 1, Some(1))).await;
    assert_eq!((code(&mut client).await, code(&mut client).await), (0, 0));
    assert_eq!(produced.load(Ordering::SeqCst), 2);
}
