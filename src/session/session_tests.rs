//! Sessions on loopback sockets, in one process, before brokers that are frozen or odd and for clients that ask too much.

use super::counting_tests::{fetch, serves};
use super::testing::{World, produce, text};
use crate::api::codes::NOT_LEADER_OR_FOLLOWER;
use crate::types::{BrokerId, Target};
use crate::upstream::places::Limit;
use crate::upstream::testing::{Asked, Reply};
use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    ApiKey, CreateTopicsRequest, CreateTopicsResponse, FetchRequest, FetchResponse, HeartbeatRequest, MetadataRequest,
    ProduceRequest, ProduceResponse, TopicName,
};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

/// Broker 2 takes everything and says nothing.
fn frozen(id: i32, asked: Asked) -> Reply {
    if id == 2 { Reply::Silence } else { serves(0)(id, asked) }
}

/// As the running proxy does.
async fn sweeps(world: &World) {
    loop {
        world.context.sweep();
        sleep(Duration::from_millis(100)).await;
    }
}

fn codes(answer: &ProduceResponse) -> Vec<i16> {
    let told = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
    told.map(|told: &PartitionProduceResponse| told.error_code).collect()
}

const WHOLE: [(&str, &str); 2] = [("cluster", "a"), ("result", "ok")];

#[tokio::test]
async fn what_a_frozen_broker_led_goes_to_its_new_leader_within_two_seconds() {
    let world = World::start(frozen).await;
    let (mut producer, mut consumer) = (world.client().await, world.client().await);
    let mut poll = fetch((0, 0), &["l-1"]).with_max_wait_ms(60_000);
    poll.topics[0].partitions[0].partition = 1;
    let began = Instant::now();
    producer.send(9, &produce(-1, &[("l-1", &[1])])).await;
    consumer.send(12, &poll).await;
    // When its cluster counts it out
    let topics: [(&str, &[i32]); 2] = [("l-1", &[1, 1]), ("l-2", &[1])];
    world.a.as_ref().unwrap().now(&topics, Some(2));
    let answers = async {
        let answers = (producer.receive::<ProduceRequest>(9).await, consumer.receive::<FetchRequest>(12).await);
        // Then clients ask again, and the new leader answers
        let again = producer.call(9, &produce(-1, &[("l-1", &[1])])).await;
        (answers, codes(&again))
    };
    let ((produced, fetched), again) = tokio::select! {
        answers = timeout(Duration::from_secs(10), answers) => answers.expect("answers"),
        () = sweeps(&world) => unreachable!(),
    };
    assert_eq!((codes(&produced), again), (vec![7], vec![0]), "it may have been written");
    assert_eq!(fetched.responses[0].partitions[0].error_code, 6);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(world.shown("links_closed_total", &[("reason", "gone")]), 2.0);
}

#[tokio::test]
async fn a_late_broker_has_metadata_read_again_and_keeps_its_links_while_nobody_else_leads() {
    let world = World::start(frozen).await;
    let mut producer = world.client().await;
    let before = world.shown("metadata_refreshes_total", &WHOLE);
    producer.send(9, &produce(-1, &[("l-1", &[1])])).await;
    let _ = timeout(Duration::from_secs(3), sweeps(&world)).await;
    let reread = world.shown("metadata_refreshes_total", &WHOLE) - before;
    assert!((1.0..4.0).contains(&reread), "{reread}: at once, and then no more than once a second");
    assert_eq!(world.shown("links_closed_total", &[]), 0.0);
    // When another broker leads it, and the frozen one still counts as alive
    let topics: [(&str, &[i32]); 2] = [("l-1", &[1, 1]), ("l-2", &[2])];
    world.a.as_ref().unwrap().now(&topics, None);
    let answer = tokio::select! {
        answer = producer.receive::<ProduceRequest>(9) => answer,
        () = sweeps(&world) => unreachable!(),
    };
    assert_eq!(codes(&answer), [7]);
    assert_eq!(world.shown("links_closed_total", &[("reason", "moved")]), 1.0);
}

/// [L6]
#[tokio::test]
async fn l6_an_idempotent_batch_at_a_frozen_broker_closes_the_session() {
    let world = World::start(frozen).await;
    let mut producer = world.client().await;
    let mut request = produce(-1, &[("l-1", &[1])]);
    // The header of a batch of producer 0: its length (less what stands before it) and its format.
    let mut batch = vec![0; 61];
    (batch[11], batch[16]) = (49, 2);
    request.topic_data[0].partition_data[0].records = Some(batch.into());
    producer.send(9, &request).await;
    world.a.as_ref().unwrap().now(&[("l-1", &[1, 1]), ("l-2", &[1])], Some(2));
    tokio::select! {
        () = producer.is_closed() => {}
        () = sweeps(&world) => unreachable!(),
    }
}

#[tokio::test]
async fn answers_that_wait_for_a_late_one_hold_their_client_back() {
    let fetches = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&fetches);
    let world = World::start(move |id, asked| {
        if asked.api != ApiKey::Fetch {
            return frozen(id, asked);
        }
        counted.fetch_add(1, Ordering::Relaxed);
        let told = PartitionData::default().with_records(Some(Bytes::from(vec![0; 500_000])));
        let topic = FetchableTopicResponse::default().with_topic(TopicName(text("l-1"))).with_partitions(vec![told]);
        asked.answer(&FetchResponse::default().with_responses(vec![topic]))
    });
    let world = world.await;
    let mut client = world.client().await;
    // Given a request that is not answered, and behind it Fetches that bring half a megabyte each, of 8 that may wait
    client.send(9, &produce(-1, &[("l-1", &[1])])).await;
    for _ in 0..100 {
        client.send(12, &fetch((0, 0), &["l-1"]).with_max_bytes(500_000)).await;
    }
    sleep(Duration::from_millis(500)).await;
    let served = fetches.load(Ordering::Relaxed);
    assert!((10..20).contains(&served), "{served}");
    // When that one is answered, then so are all
    world.a.as_ref().unwrap().now(&[("l-1", &[1, 1]), ("l-2", &[1])], Some(2));
    let answers = async {
        assert_eq!(codes(&client.receive::<ProduceRequest>(9).await), [7]);
        for _ in 0..100 {
            client.receive::<FetchRequest>(12).await;
        }
    };
    tokio::select! {
        () = answers => {}
        () = sweeps(&world) => unreachable!(),
    }
}

#[tokio::test]
async fn an_id_that_nobody_has_is_looked_for_once_a_second() {
    let world = World::start(serves(0)).await;
    let mut consumer = world.client().await;
    let mut strange = fetch((0, 0), &[""]);
    strange.topics[0].topic_id = uuid::Uuid::from_u128(7);
    let before = world.shown("metadata_refreshes_total", &WHOLE);
    let began = Instant::now();
    for _ in 0..20 {
        let answer = consumer.call(13, &strange).await;
        assert_eq!(answer.responses[0].partitions[0].error_code, 100);
    }
    let reread = world.shown("metadata_refreshes_total", &WHOLE) - before;
    assert!(reread <= 1.0 + began.elapsed().as_secs_f64(), "{reread} in {:?}", began.elapsed());
}

#[tokio::test]
async fn a_fetch_session_that_its_client_leaves_is_ended_where_it_lives() {
    let ended = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&ended);
    let world = World::start(move |id, asked| {
        if asked.api == ApiKey::Fetch {
            let request: FetchRequest = asked.request();
            let ends = (request.session_epoch, request.topics.len()) == (-1, 0);
            noted.lock().extend(ends.then_some((id, request.session_id)));
        }
        serves(0)(id, asked)
    });
    let world = world.await;
    let mut client = world.client().await;
    let of_second = |session| {
        let mut request = fetch(session, &["l-1"]);
        request.topics[0].partitions[0].partition = 1;
        request
    };
    // Brokers answer in order: behind this, they have seen all that came before
    let to_both = produce(-1, &[("l-1", &[0, 1])]);
    // Given a session on broker 1, when its client goes to broker 2 with its number
    assert_eq!(client.call(12, &fetch((0, 0), &["l-1"])).await.session_id, 99);
    assert_eq!(client.call(12, &of_second((99, 0))).await.session_id, 99);
    client.call(9, &to_both).await;
    assert_eq!(*ended.lock(), [(1, 99)]);
    // When broker 1 gives a number that the client has from broker 2
    assert_eq!(client.call(12, &fetch((0, 0), &["l-1"])).await.session_id, 0);
    client.call(9, &to_both).await;
    assert_eq!(*ended.lock(), [(1, 99), (1, 99)]);
    // When a session gets a partition of another broker
    assert_eq!(client.call(12, &fetch((99, 1), &["l-1"])).await.error_code, 70);
    client.call(9, &to_both).await;
    assert_eq!(*ended.lock(), [(1, 99), (1, 99), (2, 99)]);
}

#[tokio::test]
async fn a_produce_without_topics_closes_its_connection_and_no_other() {
    let world = World::start(serves(0)).await;
    let (mut lost, mut other) = (world.client().await, world.client().await);
    // Given a client that takes our nodes for one, and finds nothing to send to the one it means
    lost.send(9, &produce(-1, &[])).await;
    // Then it does not hear of a success
    lost.is_closed().await;
    assert_eq!(codes(&other.call(9, &produce(-1, &[("l-1", &[1])])).await), [0]);
    world.until("sessions_closed_total", &[("reason", "refused")], 1.0).await;
    assert_eq!(world.errors("client"), 1.0);
}

#[tokio::test]
async fn a_client_is_shown_what_it_can_use() {
    let world = World::start(serves(0)).await;
    let all = MetadataRequest::default().with_topics(None);
    // A client on the list sees a node for each broker, twice as many as one cluster has
    let listed = world.client().await.call(9, &all).await;
    assert!(listed.brokers.len() > 1, "{listed:#?}");
    // One that does not say what it is sees one, which leads everything: before and after it was written once
    let mut unnamed = world.unnamed().await;
    for _ in 0..2 {
        let told = unnamed.call(9, &all).await;
        let nodes: Vec<_> = told.brokers.iter().map(|node| (node.node_id.0, node.port)).collect();
        assert_eq!(nodes, [(31 << 25, i32::from(world.context.front.load().advertised.port))]);
        let leaders = told.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.leader_id.0);
        assert!(leaders.clone().count() > 0 && leaders.clone().all(|leader| leader == 31 << 25));
        assert_eq!(told.controller_id.0, 31 << 25);
    }
    // And what was written for the one is not told to the other
    assert_eq!(world.client().await.call(9, &all).await.brokers, listed.brokers);
    let sightings = |software, view| world.shown("client_sightings_total", &[("software", software), ("view", view)]);
    assert_eq!((sightings("kgo", "brokers"), sightings("unknown", "single")), (2.0, 1.0));
}

/// Ten of them would take half a minute, were each waited for.
#[tokio::test]
async fn a_cluster_that_is_down_is_not_waited_for() {
    let mut world = World::start(serves(0)).await;
    let mut client = world.client().await;
    // Given a cluster that was lost, and hangs
    let b = world.b.take().unwrap();
    let address = b.bootstrap()[0].clone();
    drop(b);
    let mut news = world.clusters[1].news();
    world.clusters[1].refresh(&[text("r-1")]);
    timeout(Duration::from_secs(30), news.wait_for(|news| news.down.is_some())).await.expect("in time").unwrap();
    let _hangs = loop {
        match TcpListener::bind((&*address.host, address.port)).await {
            Ok(listener) => break listener,
            Err(_) => sleep(Duration::from_millis(5)).await,
        }
    };
    // When a client asks for topics and groups there that nobody has seen
    let asked = async {
        for number in 0..10 {
            let topic = MetadataRequestTopic::default().with_name(Some(TopicName(text(&format!("r-new-{number}")))));
            let answer = client.call(9, &MetadataRequest::default().with_topics(Some(vec![topic]))).await;
            assert_ne!(answer.topics[0].error_code, 0);
            let beat = HeartbeatRequest::default().with_group_id(text(&format!("r-{number}")).into());
            assert_ne!(client.call(4, &beat).await.error_code, 0);
        }
    };
    // Then it is told so at once
    timeout(Duration::from_secs(15), asked).await.expect("answers");
}

#[tokio::test]
async fn who_is_told_that_a_topic_was_made_finds_it_at_once() {
    // Given a broker that answers before it has heard of the topic itself
    let world = World::start(makes_a_topic).await;
    let mut client = world.client().await;
    // When a client has it made
    client.send(5, &one_new_topic()).await;
    let heard = async {
        sleep(Duration::from_millis(200)).await;
        world.a.as_ref().unwrap().lead("l-new", &[1]);
    };
    let (answer, ()) = tokio::join!(client.receive::<CreateTopicsRequest>(5), heard);
    assert_eq!(answer.topics[0].error_code, 0);
    // Then it is there when the client asks for it next
    let asked = MetadataRequestTopic::default().with_name(Some(TopicName(text("l-new"))));
    let seen = client.call(9, &MetadataRequest::default().with_topics(Some(vec![asked]))).await;
    assert_eq!((seen.topics[0].error_code, seen.topics[0].partitions.len()), (0, 1));
}

#[tokio::test]
async fn a_topic_that_its_cluster_tells_of_late_is_there_soon_all_the_same() {
    // Given a client that is told that a topic was made, of which its busy cluster tells nobody for some seconds
    let world = World::start(makes_a_topic).await;
    let mut client = world.client().await;
    assert_eq!(client.call(5, &one_new_topic()).await.topics[0].error_code, 0);
    sleep(Duration::from_secs(1)).await;
    world.a.as_ref().unwrap().lead("l-new", &[1]);
    // Then it is among all topics before everything is read anew, though nobody has named it
    let all = MetadataRequest::default().with_topics(None);
    let found = async {
        while client.call(9, &all).await.topics.iter().all(|topic| topic.name != Some(TopicName(text("l-new")))) {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(12), found).await.expect("the topic");
}

fn makes_a_topic(id: i32, asked: Asked) -> Reply {
    match asked.api {
        ApiKey::CreateTopics => {
            let told = CreatableTopicResult::default().with_name(TopicName(text("l-new")));
            asked.answer(&CreateTopicsResponse::default().with_topics(vec![told]))
        }
        _ => serves(0)(id, asked),
    }
}

fn one_new_topic() -> CreateTopicsRequest {
    let topic = CreatableTopic::default().with_name(TopicName(text("l-new"))).with_num_partitions(1);
    CreateTopicsRequest::default().with_topics(vec![topic])
}

#[tokio::test]
async fn who_is_told_that_a_topic_was_made_does_not_wait_for_a_cluster_that_falls_silent() {
    // Given a cluster that makes a topic
    let world = World::start(makes_a_topic).await;
    let mut client = world.client().await;
    // And tells nobody anything of topics from then on
    world.a.as_ref().unwrap().fall_silent();
    // Then its client hears of it, and other answers stand behind that one no longer
    let answer = timeout(Duration::from_secs(15), client.call(5, &one_new_topic())).await.expect("an answer");
    assert_eq!(answer.topics[0].error_code, 0);
}

#[tokio::test]
async fn a_second_session_waits_where_a_broker_takes_one_link_and_is_told_to_try_again() {
    let world = World::start(serves(0)).await;
    let slot = world.clusters[0].slot();
    world.context.shared.places.limit(slot, Limit { links: 1, per_second: 100 });
    let broker = Target { cluster: slot, broker: BrokerId(1) };
    let sought = async || {
        while !world.context.shared.places.is_sought(broker) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    // Given a session that has the only link there may be
    let (mut first, mut second) = (world.client().await, world.client().await);
    first.call(12, &fetch((0, 0), &["l-1"])).await;
    // When another one wants one, then it waits, and hears that it is to come again
    second.send(12, &fetch((0, 0), &["l-1"])).await;
    timeout(Duration::from_secs(5), sought()).await.expect("it waits");
    let told = second.receive::<FetchRequest>(12).await;
    assert_eq!(told.responses[0].partitions[0].error_code, NOT_LEADER_OR_FOLLOWER);
    assert_eq!(world.shown("links_failed_total", &[("cluster", "a"), ("reason", "full")]), 1.0);
    // And when it does, and the first one leaves, it has its place
    second.send(12, &fetch((0, 0), &["l-1"])).await;
    timeout(Duration::from_secs(5), sought()).await.expect("it waits");
    drop(first);
    let told = second.receive::<FetchRequest>(12).await;
    assert_eq!(told.responses[0].partitions[0].error_code, 0);
}
