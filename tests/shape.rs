//! The shape check against kafka-protocol: all that its encoders write passes, and whatever passes its decoders read
//! without a panic and with no more memory than was foreseen.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails so")]
#![allow(dead_code, unreachable_pub, reason = "shared with tests/fuzz.rs")]

mod messages;

use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use fishplate::wire::codec::decode;
use fishplate::wire::shape::{Shaped, check};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages::{FetchRequest, GroupId, HeartbeatRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::Encodable;
use messages::{Kind, damage, kinds};

/// As the other properties, and each over all versions of all messages.
fn cases() -> u64 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(256) / 16
}

fn each(mut case: impl FnMut(&Kind, i16, &mut Rng)) {
    for kind in kinds() {
        for version in kind.versions.min..=kind.versions.max {
            for seed in 0..cases() {
                case(&kind, version, &mut Rng::with_seed(seed));
            }
        }
    }
}

#[test]
fn what_encoders_write_passes_and_is_read_again() {
    let (mut sound, mut rolls) = (0, 0);
    each(|kind, version, rng| {
        let found = (kind.judge_sound)(rng, version);
        rolls += 1;
        sound += u64::from(found);
    });
    assert!(sound * 10 > rolls * 9, "only {sound} of {rolls} rolls gave a message");
}

#[test]
fn what_is_damaged_is_refused_or_read_within_bounds() {
    let (mut passed, mut tried) = (0, 0);
    each(|kind, version, rng| {
        if let Some(body) = (kind.make)(rng, version) {
            tried += 1;
            passed += u64::from((kind.judge_any)(&damage::damage(rng, &body), version));
        }
    });
    assert!(passed > tried / 20 && passed < tried, "{passed} of {tried} passed: damage too much, or too little");
}

/// What has the most elements for its bytes: the tables know what each takes.
#[test]
fn what_swells_takes_what_was_foreseen() {
    let (mut passed, mut tried) = (0, 0);
    each(|kind, version, rng| {
        if let Some(body) = (kind.make)(rng, version) {
            let size = rng.usize(..4_096);
            tried += 1;
            passed += u64::from((kind.judge_any)(&damage::blow_up(rng, &body, size), version));
        }
    });
    assert!(passed > tried / 20 && passed < tried, "{passed} of {tried} passed");
}

/// `cargo test --profile fuzz --test shape -- --ignored --nocapture`
#[test]
#[ignore = "a measure"]
fn what_the_check_costs() {
    cost("Heartbeat", &HeartbeatRequest::default().with_group_id(GroupId("a-group-of-somebody".to_owned().into())), 4);
    let partition = FetchPartition::default().with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(name("orders")).with_partitions(vec![partition; 10]);
    cost("Fetch of 10 partitions", &FetchRequest::default().with_topics(vec![topic]), 12);
    let nodes = vec![1.into(), 2.into(), 3.into()];
    let partition = MetadataResponsePartition::default().with_replica_nodes(nodes.clone()).with_isr_nodes(nodes);
    let topic = MetadataResponseTopic::default().with_name(Some(name("orders"))).with_partitions(vec![partition; 10]);
    cost("Metadata of 10,000 partitions", &MetadataResponse::default().with_topics(vec![topic; 1_000]), 12);
}

fn name(name: &str) -> TopicName {
    TopicName(name.to_owned().into())
}

fn cost<M: Shaped + Encodable>(what: &str, message: &M, version: i16) {
    let mut body = BytesMut::new();
    message.encode(&mut body, version).unwrap();
    let body = body.freeze();
    let walked = check::<M>(&body, version).unwrap();
    let times = 20_000_000 / body.len();
    let each = |mut work: Box<dyn FnMut(&Bytes) -> bool>| {
        let began = std::time::Instant::now();
        assert!((0..times).all(|_| work(std::hint::black_box(&body))));
        began.elapsed() / u32::try_from(times).unwrap()
    };
    let checked = each(Box::new(move |body| check::<M>(body, version).is_ok()));
    let decoded = each(Box::new(move |body| decode::<M>(body.clone(), version).is_ok()));
    let memory = walked.memory / body.len();
    println!("{what}: {} bytes, check {checked:?}, check and decode {decoded:?}, memory {memory} to 1", body.len());
}
