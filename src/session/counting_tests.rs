//! What is counted while a client is served.

use super::testing::{World, produce, text, written};
use crate::upstream::testing::{Asked, Reply};
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, FetchRequest, FetchResponse, FindCoordinatorRequest, HeartbeatRequest, MetadataRequest,
    TopicName,
};

pub(super) fn fetch(session: (i32, i32), topics: &[&str]) -> FetchRequest {
    let topic = |name: &&str| {
        FetchTopic::default().with_topic(TopicName(text(name))).with_partitions(vec![FetchPartition::default()])
    };
    FetchRequest::default()
        .with_max_wait_ms(10)
        .with_session_id(session.0)
        .with_session_epoch(session.1)
        .with_topics(topics.iter().map(topic).collect())
}

fn metadata(topics: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
    MetadataRequest::default().with_topics(Some(topics.iter().map(topic).collect()))
}

/// Answers a Produce or a Fetch, the latter in a session of this number, with a code for each partition.
pub(super) fn serves(code: i16) -> impl Fn(i32, Asked) -> Reply + Send + Sync + Clone + 'static {
    move |_, asked| match asked.api {
        ApiKey::Produce => written(&asked, code),
        ApiKey::Fetch => {
            let request: FetchRequest = asked.request();
            let topic = |topic: FetchTopic| {
                let told = PartitionData::default().with_error_code(code).with_records(Some(Bytes::new()));
                FetchableTopicResponse::default().with_topic(topic.topic).with_partitions(vec![told])
            };
            let responses = request.topics.into_iter().map(topic).collect();
            asked.answer(&FetchResponse::default().with_session_id(99).with_responses(responses))
        }
        api => panic!("{api:?}"),
    }
}

#[tokio::test]
async fn requests_and_their_bytes_are_counted_under_pipeline_and_cluster() {
    let world = World::start(serves(0)).await;
    let mut client = world.client().await;
    for _ in 0..3 {
        client.call(9, &produce(-1, &[("l-1", &[0])])).await;
    }
    client.call(9, &produce(-1, &[("l-1", &[0, 1]), ("l-2", &[0])])).await;
    client.call(9, &produce(-1, &[("r-1", &[0]), ("f-1", &[0])])).await;
    client.call(9, &produce(-1, &[("l-1", &[0]), ("r-1", &[0])])).await;
    client.call(9, &MetadataRequest::default().with_topics(None)).await;
    client.call(9, &metadata(&["r-1"])).await;
    assert_eq!(world.requests("Produce", "left", "a"), 4.0);
    assert_eq!(world.requests("Produce", "several", "b"), 1.0);
    assert_eq!(world.requests("Produce", "several", "several"), 1.0);
    assert_eq!(world.requests("Metadata", "none", "none"), 1.0);
    assert_eq!(world.requests("Metadata", "right", "none"), 1.0);
    assert_eq!(world.requests("ApiVersions", "none", "none"), 1.0);
    assert_eq!(world.shown("requests_total", &[]), 9.0);
    assert_eq!(world.shown("request_duration_seconds_count", &[("pipeline", "left")]), 4.0);
    let bytes = (world.shown("request_bytes_total", &[]), world.shown("response_bytes_total", &[]));
    assert_eq!(bytes, (client.sent as f64, client.received as f64));
    assert_eq!((world.shown("errors_total", &[]), world.shown("error_codes_total", &[])), (0.0, 0.0));
    assert_eq!(world.shown("requests_in_flight", &[]), 0.0);
    assert_eq!(world.shown("link_requests_in_flight", &[]), 0.0);
}

#[tokio::test]
async fn a_fetch_that_names_no_topic_counts_under_those_of_its_session() {
    let world = World::start(serves(0)).await;
    let mut client = world.client().await;
    client.call(12, &fetch((0, 0), &["r-1"])).await;
    for epoch in 1..4 {
        client.call(12, &fetch((99, epoch), &[])).await;
    }
    assert_eq!(world.requests("Fetch", "right", "b"), 4.0);
    // A topic of another pipeline joins.
    client.call(12, &fetch((99, 4), &["f-1"])).await;
    client.call(12, &fetch((99, 5), &[])).await;
    assert_eq!(world.requests("Fetch", "several", "b"), 2.0);
    // A new session of that broker has topics of its own.
    client.call(12, &fetch((0, 0), &["f-1"])).await;
    assert_eq!(world.requests("Fetch", "far", "b"), 1.0);
    // Several brokers.
    client.call(12, &fetch((0, -1), &["f-1", "l-1"])).await;
    assert_eq!(world.requests("Fetch", "several", "several"), 1.0);
    assert_eq!(world.shown("requests_total", &[("api", "Fetch")]), 8.0);
}

#[tokio::test]
async fn an_answer_counts_once_for_each_code_in_it() {
    let world = World::start(serves(6)).await;
    let mut client = world.client().await;
    client.call(9, &produce(-1, &[("l-1", &[0, 1]), ("l-2", &[0])])).await;
    assert_eq!(world.codes("NOT_LEADER_OR_FOLLOWER"), 1.0);
    // What passes through as it is too.
    client.call(12, &fetch((0, -1), &["l-1", "l-2"])).await;
    // An error of ours is told at once, before a broker can tell its own.
    client.call(12, &fetch((0, -1), &["nope-1", "l-1"])).await;
    assert_eq!(world.codes("NOT_LEADER_OR_FOLLOWER"), 2.0);
    assert_eq!(world.codes("UNKNOWN_TOPIC_OR_PARTITION"), 1.0);
    // A cluster that answers, whatever it says, has not failed.
    assert_eq!(world.shown("errors_total", &[]), 0.0);
    client.call(9, &metadata(&["a b", "c d"])).await;
    assert_eq!(world.codes("INVALID_TOPIC_EXCEPTION"), 1.0);
    // ApiVersions in version 99.
    client.socket.write_all(&[0, 0, 0, 11, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0]).await.unwrap();
    client.receive::<ApiVersionsRequest>(0).await;
    assert_eq!(world.codes("UNSUPPORTED_VERSION"), 1.0);
}

#[tokio::test]
async fn a_request_that_several_brokers_fail_is_one_error() {
    let world = World::start(|_, _| Reply::Close).await;
    let mut client = world.client().await;
    client.call(9, &produce(-1, &[("l-1", &[0, 1]), ("l-2", &[0])])).await;
    assert_eq!((world.errors("cluster"), world.codes("REQUEST_TIMED_OUT")), (1.0, 1.0));
    client.call(12, &fetch((0, -1), &["l-1", "r-1"])).await;
    assert_eq!((world.errors("cluster"), world.codes("NOT_LEADER_OR_FOLLOWER")), (2.0, 1.0));
    client.call(12, &fetch((0, -1), &["l-1"])).await;
    assert_eq!(world.errors("cluster"), 3.0);
    assert_eq!(world.shown("errors_total", &[("api", "Fetch"), ("pipeline", "left"), ("cluster", "a")]), 1.0);
    assert_eq!((world.errors("client"), world.errors("proxy")), (0.0, 0.0));
    assert_eq!(world.shown("requests_total", &[]), 4.0, "all were answered");
}

#[tokio::test]
async fn a_request_without_acks_that_is_lost_is_an_error() {
    let world = World::start(|_, _| Reply::Close).await;
    let mut client = world.client().await;
    client.send(9, &produce(0, &[("r-1", &[0]), ("f-1", &[0])])).await;
    client.is_closed().await;
    let lost = [("by", "cluster"), ("api", "Produce"), ("pipeline", "several"), ("cluster", "b")];
    assert_eq!((world.shown("errors_total", &lost), world.requests("Produce", "several", "b")), (1.0, 1.0));
    world.until("sessions_closed_total", &[("reason", "upstream")], 1.0).await;
}

#[tokio::test]
async fn a_coordinator_that_cannot_be_asked_for_is_its_clusters_fault() {
    let world = World::start(|_, _| Reply::Close).await;
    let mut client = world.client().await;
    client.call(3, &FindCoordinatorRequest::default().with_key(text("r-group"))).await;
    client.call(3, &HeartbeatRequest::default().with_group_id(text("r-group").into())).await;
    for api in ["FindCoordinator", "Heartbeat"] {
        let labels = [("api", api), ("pipeline", "right"), ("cluster", "b")];
        assert_eq!(world.shown("errors_total", &labels), 1.0, "{api}");
        assert_eq!(world.shown("error_codes_total", &labels), 1.0, "{api}");
        assert_eq!(world.shown("requests_total", &labels), 1.0, "{api}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_nobodys_error_and_leaves_nothing_behind() {
    let world = World::start(|_, _| Reply::Silence).await;
    let mut client = world.client().await;
    client.send(12, &fetch((0, -1), &["l-1", "r-1"]).with_max_wait_ms(60_000)).await;
    client.send(9, &produce(-1, &[("l-1", &[0, 1])])).await;
    world.until("link_requests_in_flight", &[], 4.0).await;
    assert_eq!((world.shown("sessions", &[]), world.shown("links", &[("use", "session")])), (1.0, 4.0));
    assert_eq!(world.shown("requests_in_flight", &[]), 2.0);
    assert_eq!(world.shown("client_sessions", &[("software", "kgo")]), 1.0);
    drop(client);
    for gauge in ["sessions", "client_sessions", "requests_in_flight", "link_requests_in_flight"] {
        world.until(gauge, &[], 0.0).await;
    }
    world.until("links", &[("use", "session")], 0.0).await;
    assert_eq!(world.shown("links_closed_total", &[("reason", "session")]), 4.0);
    assert_eq!(world.shown("sessions_closed_total", &[("reason", "client")]), 1.0);
    assert_eq!(world.shown("errors_total", &[]), 0.0);
}

#[tokio::test]
async fn what_cannot_be_read_is_the_clients_error() {
    let world = World::start(serves(0)).await;
    // Given the body of another request
    let mut client = world.client().await;
    client.socket.write_all(&[0, 0, 0, 16, 0, 0, 0, 9, 0, 0, 0, 7, 0xff, 0xff, 0, 1, 2, 3, 4, 5]).await.unwrap();
    client.is_closed().await;
    world.until("sessions_closed_total", &[("reason", "protocol")], 1.0).await;
    assert_eq!((world.errors("client"), world.shown("requests_total", &[("api", "Produce")])), (1.0, 0.0));
    // And a client that would lose data
    let mut client = world.client().await;
    client.send(9, &produce(-1, &[])).await;
    client.is_closed().await;
    world.until("sessions_closed_total", &[("reason", "refused")], 1.0).await;
    assert_eq!((world.errors("client"), world.shown("requests_total", &[("api", "Produce")])), (2.0, 0.0));
}

#[tokio::test]
async fn a_cluster_that_is_gone_is_down_and_its_metadata_grows_old() {
    let mut world = World::start(serves(0)).await;
    let b = [("cluster", "b")];
    let refreshes = |world: &World, result| world.shown("metadata_refreshes_total", &[b[0], ("result", result)]);
    assert_eq!((refreshes(&world, "ok"), refreshes(&world, "failed")), (1.0, 0.0));
    world.clusters[1].refreshed(vec![text("r-1")], false).await;
    assert_eq!(refreshes(&world, "ok"), 2.0);
    let age = world.shown("metadata_age_seconds", &b);
    assert!(age > 0.0 && age < 20.0, "{age}");
    assert_eq!(world.shown("links", &[b[0], ("use", "own")]), 1.0);
    drop(world.b.take());
    world.clusters[1].refreshed(vec![text("r-1")], false).await;
    assert!(refreshes(&world, "failed") >= 1.0);
    assert!(world.clusters[1].news().borrow().down.is_some());
    assert!(world.shown("links_failed_total", &[b[0], ("reason", "connect")]) >= 1.0);
    assert_eq!(world.shown("links", &b), 0.0);
    assert!(world.shown("metadata_age_seconds", &b) > age);
    drop(world.a.take());
}
