//! Split Fetches on loopback sockets, in one process, before clusters that are idle, frozen or gone.

use super::counting_tests::{fetch, serves};
use super::testing::{World, produce};
use crate::upstream::testing::{Asked, Reply};
use bytes::Bytes;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{ApiKey, FetchRequest, FetchResponse, ProduceRequest, TopicName};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Topics `l-*` have records at every offset, all others none, ever.
fn busy_and_idle(id: i32, asked: Asked) -> Reply {
    if asked.api != ApiKey::Fetch {
        return serves(0)(id, asked);
    }
    let request: FetchRequest = asked.request();
    if request.topics.iter().all(|topic| !topic.topic.0.starts_with("l-")) {
        return Reply::Silence;
    }
    let told = |topic: &kafka_protocol::messages::fetch_request::FetchTopic| {
        let told = topic.partitions.iter().map(|asked| {
            PartitionData::default()
                .with_partition_index(asked.partition)
                .with_records(Some(Bytes::from(vec![0; 1_000])))
        });
        FetchableTopicResponse::default().with_topic(topic.topic.clone()).with_partitions(told.collect())
    };
    asked.answer(&FetchResponse::default().with_responses(request.topics.iter().map(told).collect()))
}

fn long_poll(topics: &[&str], offset: i64) -> FetchRequest {
    let mut request = fetch((0, 0), topics).with_max_wait_ms(600_000).with_min_bytes(1);
    request.topics.iter_mut().for_each(|topic| topic.partitions[0].fetch_offset = offset);
    request
}

/// Each answer would take ten minutes, were the idle cluster waited for.
#[tokio::test]
async fn an_idle_cluster_delays_nobody_beyond_its_own_data_and_has_one_poll() {
    let polls = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&polls);
    let world = World::start(move |id, asked| {
        if asked.api == ApiKey::Fetch {
            let request: FetchRequest = asked.request();
            noted.lock().push(request.topics[0].topic.0.to_string());
        }
        busy_and_idle(id, asked)
    });
    let world = world.await;
    let mut client = world.client().await;
    for round in 0..50 {
        let mut request = long_poll(&["l-1", "r-1"], round);
        request.topics[1].partitions[0].fetch_offset = 0;
        let answer = client.call(12, &request).await;
        assert_eq!(answer.session_id, 0);
        let sizes: Vec<_> =
            answer.responses.iter().map(|topic| topic.partitions[0].records.as_ref().unwrap().len()).collect();
        assert_eq!(sizes, [1_000, 0]);
    }
    let polls = polls.lock();
    assert_eq!(polls.iter().filter(|name| *name == "r-1").count(), 1);
}

#[tokio::test]
async fn a_long_poll_delays_no_produce_of_its_session() {
    let world = World::start(busy_and_idle).await;
    let mut client = world.client().await;
    // Given polls at both, of which one stays
    client.call(12, &long_poll(&["l-1", "r-1"], 0)).await;
    // When the client produces to the idle cluster, whose poll is still there
    let began = Instant::now();
    client.call::<ProduceRequest>(9, &produce(-1, &[("r-1", &[0])])).await;
    assert!(began.elapsed() < Duration::from_secs(5), "a link of its own");
    assert_eq!(world.shown("links", &[("cluster", "b"), ("use", "session")]), 2.0);
}

/// [L5]
#[tokio::test]
async fn l5_long_polls_end_with_their_client() {
    let limits = super::Limits { linger: Duration::from_secs(3_600), ..super::Limits::default() };
    let world = World::within(limits, |_, _| Reply::Silence).await;
    let (mut split, mut through) = (world.client().await, world.client().await);
    split.send(12, &long_poll(&["l-1", "r-1"], 0)).await;
    through.send(12, &long_poll(&["l-1"], 0)).await;
    world.until("link_requests_in_flight", &[], 3.0).await;
    drop((split, through));
    // Long before the hour that what must be delivered would have
    world.until("links", &[("use", "session")], 0.0).await;
    world.until("requests_in_flight", &[], 0.0).await;
    assert_eq!(world.shown("errors_total", &[]), 0.0);
}

#[tokio::test]
async fn a_cluster_that_is_gone_costs_its_own_partitions_and_no_others() {
    let mut world = World::start(busy_and_idle).await;
    drop(world.b.take());
    let mut client = world.client().await;
    let mut codes = Vec::new();
    for round in 0..20 {
        let answer = client.call(12, &long_poll(&["l-1", "r-1"], round)).await;
        let of = |topic: usize| answer.responses[topic].partitions[0].error_code;
        assert_eq!(of(0), 0);
        codes.push(of(1));
    }
    assert!(codes.iter().all(|code| matches!(code, 0 | 6)), "{codes:?}");
}

/// Java names topics by id where it can, and by name in the next Fetch where one of them has none.
#[tokio::test]
async fn a_fetch_is_asked_in_its_own_version_whoever_waited_before_it() {
    // Given a broker that notes in which versions it is asked, and others that are idle
    let versions = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&versions);
    let world = World::start(move |id, asked| {
        if id != 2 {
            return Reply::Silence;
        }
        noted.lock().push(asked.head.version);
        busy_and_idle(id, asked)
    });
    let world = world.await;
    let mut client = world.client().await;
    // When a Fetch waits in vain for those, and behind it one in another version for that broker
    let idle = fetch((0, 0), &["l-1", "r-1"]).with_max_wait_ms(1_000).with_min_bytes(1);
    let mut busy = long_poll(&["l-1"], 0);
    busy.topics[0].partitions[0].partition = 1;
    client.send(12, &idle).await;
    client.send(11, &busy).await;
    client.receive::<FetchRequest>(12).await;
    let answer = client.receive::<FetchRequest>(11).await;
    // Then it was asked in that version, and is answered in it
    assert_eq!(answer.responses[0].partitions[0].records.as_ref().map(Bytes::len), Some(1_000));
    assert_eq!(*versions.lock(), [11]);
}

/// Kafka from 3.1 whose brokers speak among themselves as before 2.8 takes a Fetch by ids, and knows none.
#[tokio::test]
async fn a_cluster_that_gives_no_ids_is_asked_by_name_whatever_versions_it_speaks() {
    // Given clusters whose topics have no ids, and whose brokers speak the newest version
    let asked_in = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked_in);
    let world = World::start(move |id, asked| {
        if asked.api == ApiKey::Fetch {
            let request: FetchRequest = asked.request();
            noted.lock().extend(request.topics.iter().map(|topic| (asked.head.version, topic.topic.0.to_string())));
        }
        busy_and_idle(id, asked)
    });
    let world = world.await;
    let placement = world.context.current.load();
    let by_id = |topics: &[&str], epoch: i32| {
        let mut request = fetch((0, epoch), topics);
        for topic in &mut request.topics {
            topic.topic_id = placement.topic(&topic.topic.0).unwrap().id;
            topic.topic = TopicName::default();
        }
        request
    };
    // When clients name topics by the ids that they were shown: of one broker, in a session, of several
    for (topics, epoch) in [(&["l-1"][..], -1), (&["l-1"], 0), (&["l-1", "r-1"], -1)] {
        let request = by_id(topics, epoch);
        let answer = world.client().await.call(18, &request).await;
        // Then they are answered by id, though their brokers were asked by name
        assert_eq!(answer.responses[0].topic_id, request.topics[0].topic_id);
        assert_eq!(answer.responses[0].partitions[0].records.as_ref().map(Bytes::len), Some(1_000));
        let asked_in = std::mem::take(&mut *asked_in.lock());
        assert!(
            asked_in.contains(&(12, "l-1".into())) && asked_in.iter().all(|(version, _)| *version == 12),
            "{asked_in:?}"
        );
    }
}
