//! What is counted while a client is served, in one process: a session on a loopback socket before two clusters whose
//! brokers say what the test wants.

use super::{Context, Limits, listener};
use crate::config::Config;
use crate::placement::task;
use crate::telemetry::Telemetry;
use crate::types::HostPort;
use crate::upstream::connect::Shared;
use crate::upstream::testing::{Asked, FakeCluster, Reply};
use crate::upstream::{Cluster, refresh};
use crate::wire::codec::{decode, encode_request};
use crate::wire::frame::Reader;
use crate::wire::head::read_response;
use crate::wire::pool::Pool;
use crate::wire::shape::Shaped;
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, FetchRequest, FetchResponse, FindCoordinatorRequest, HeartbeatRequest, MetadataRequest,
    ProduceRequest, ProduceResponse, TopicName,
};
use kafka_protocol::protocol::{Request, StrBytes};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Topics `l-*` and groups `l-*` are the pipeline `left` on cluster `a`; those of `b` are `right` and `far`.
pub(super) struct World {
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) context: Arc<Context>,
    address: HostPort,
    pub(super) a: Option<FakeCluster>,
    b: Option<FakeCluster>,
    clusters: Vec<Arc<Cluster>>,
    _tasks: JoinSet<()>,
}

impl World {
    pub(super) async fn start(script: impl Fn(i32, Asked) -> Reply + Send + Sync + Clone + 'static) -> Self {
        let topics: [&[_]; 2] = [&[("l-1", &[1, 2][..]), ("l-2", &[1])], &[("r-1", &[1][..]), ("f-1", &[1])]];
        let a = FakeCluster::start(2, topics[0], script.clone()).await;
        let b = FakeCluster::start(1, topics[1], script).await;
        let config = format!(
            "virtual_cluster: v
default_cluster: a
listeners: [{{ bind: '127.0.0.1:0' }}]
clusters:
  a: {{ slot: 0, bootstrap: ['{}', '{}'] }}
  b: {{ slot: 1, bootstrap: ['{}'] }}
pipelines:
  - {{ name: left, topics: ['l-*'], groups: ['l-*'], cluster: a }}
  - {{ name: right, topics: ['r-*'], groups: ['r-*'], cluster: b }}
  - {{ name: far, topics: ['f-*'], cluster: b }}
",
            a.bootstrap()[0],
            a.bootstrap()[1],
            b.bootstrap()[0]
        );
        let config = Arc::new(Config::from_text("counting.yaml", &config).unwrap());
        let (telemetry, shared) = (Arc::new(Telemetry::new().unwrap()), Shared::new(1 << 20, 1 << 20));
        let (mut tasks, mut clusters) = (JoinSet::new(), Vec::new());
        for cluster in config.clusters.clone() {
            let meter = telemetry.cluster(&cluster.name);
            let (cluster, asked) =
                Cluster::new(cluster.slot, cluster.name, cluster.bootstrap, Arc::clone(&shared), meter);
            tasks.spawn(refresh::run(Arc::clone(&cluster), asked));
            clusters.push(cluster);
        }
        let current = task::start(config, &clusters);
        for cluster in &clusters {
            cluster.news().wait_for(|news| news.read).await.unwrap();
            current.caught_up(cluster).await;
        }
        let listening = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = HostPort::new("127.0.0.1", listening.local_addr().unwrap().port());
        let limits = Limits { park: Duration::from_millis(300), ..Limits::default() };
        let context = Context::new(current, clusters.clone(), Arc::clone(&telemetry), address.clone(), shared, limits);
        tasks.spawn(listener::accept_all(listening, Arc::clone(&context)));
        Self { telemetry, context, address, a: Some(a), b: Some(b), clusters, _tasks: tasks }
    }

    pub(super) async fn client(&self) -> Client {
        let socket = TcpStream::connect((&*self.address.host, self.address.port)).await.unwrap();
        let mut client = Client { socket, reader: Reader::new(Pool::new(0), 1 << 20), sent: 0, received: 0 };
        let hello = ApiVersionsRequest::default()
            .with_client_software_name(text("kgo"))
            .with_client_software_version(text("1.22.2"));
        client.call(3, &hello).await;
        client
    }

    /// The value of a sample; 0 where there is none.
    pub(super) fn shown(&self, family: &str, labels: &[(&str, &str)]) -> f64 {
        self.telemetry.shown(&format!("fishplate_{family}"), labels).unwrap_or(0.0)
    }

    fn requests(&self, api: &str, pipeline: &str, cluster: &str) -> f64 {
        self.shown("requests_total", &[("api", api), ("pipeline", pipeline), ("cluster", cluster)])
    }

    fn errors(&self, by: &str) -> f64 {
        self.shown("errors_total", &[("by", by)])
    }

    fn codes(&self, code: &str) -> f64 {
        self.shown("error_codes_total", &[("code", code)])
    }

    pub(super) async fn until(&self, family: &str, labels: &[(&str, &str)], value: f64) {
        let reached = async {
            while self.shown(family, labels) != value {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = timeout(Duration::from_secs(20), reached).await;
        assert!(waited.is_ok(), "{family} {labels:?} is {} and not {value}", self.shown(family, labels));
    }
}

pub(super) struct Client {
    socket: TcpStream,
    reader: Reader,
    /// Bytes of whole frames.
    sent: usize,
    received: usize,
}

impl Client {
    pub(super) async fn send<R: Request<Response: Shaped>>(&mut self, version: i16, request: &R) {
        let (api, us) = (ApiKey::try_from(R::KEY).unwrap(), Bytes::from_static(b"test"));
        let frame = encode_request(api, version, 7, Some(&us), request, &[]).unwrap().concat();
        self.sent += frame.len();
        self.socket.write_all(&frame).await.unwrap();
    }

    pub(super) async fn receive<R: Request<Response: Shaped>>(&mut self, version: i16) -> R::Response {
        let frame = timeout(Duration::from_secs(20), self.reader.next(&self.socket)).await.expect("an answer in time");
        let frame = frame.unwrap().expect("an answer");
        self.received += 4 + frame.len();
        let (_, body_at) = read_response(&frame, ApiKey::try_from(R::KEY).unwrap(), version).unwrap();
        decode(frame.slice(body_at..), version).unwrap()
    }

    pub(super) async fn call<R: Request<Response: Shaped>>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request).await;
        self.receive::<R>(version).await
    }

    pub(super) async fn is_closed(&mut self) {
        let end = timeout(Duration::from_secs(20), self.reader.next(&self.socket)).await.expect("an end in time");
        assert!(matches!(end, Ok(None) | Err(_)), "{end:?}");
    }
}

pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn produce(acks: i16, topics: &[(&str, &[i32])]) -> ProduceRequest {
    let data =
        |index: &i32| PartitionProduceData::default().with_index(*index).with_records(Some(Bytes::from(vec![0; 1000])));
    let topic = |(name, partitions): &(&str, &[i32])| {
        TopicProduceData::default()
            .with_name(TopicName(text(name)))
            .with_partition_data(partitions.iter().map(data).collect())
    };
    ProduceRequest::default().with_acks(acks).with_timeout_ms(1000).with_topic_data(topics.iter().map(topic).collect())
}

pub(super) fn written(asked: &Asked, code: i16) -> Reply {
    let request: ProduceRequest = asked.request();
    let topic = |topic: TopicProduceData| {
        let told = topic
            .partition_data
            .iter()
            .map(|data| PartitionProduceResponse::default().with_index(data.index).with_error_code(code));
        TopicProduceResponse::default().with_name(topic.name).with_partition_responses(told.collect())
    };
    asked.answer(&ProduceResponse::default().with_responses(request.topic_data.into_iter().map(topic).collect()))
}

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
    client.call(12, &fetch((0, -1), &["nope-1", "l-1"])).await;
    assert_eq!(world.codes("NOT_LEADER_OR_FOLLOWER"), 3.0);
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
    client.send(12, &fetch((0, -1), &["l-1", "r-1"])).await;
    client.send(9, &produce(-1, &[("l-1", &[0, 1])])).await;
    world.until("link_requests_in_flight", &[], 4.0).await;
    assert_eq!((world.shown("sessions", &[]), world.shown("links", &[("use", "session")])), (1.0, 3.0));
    assert_eq!(world.shown("requests_in_flight", &[]), 2.0);
    assert_eq!(world.shown("client_sessions", &[("software", "kgo")]), 1.0);
    drop(client);
    for gauge in ["sessions", "client_sessions", "requests_in_flight", "link_requests_in_flight"] {
        world.until(gauge, &[], 0.0).await;
    }
    world.until("links", &[("use", "session")], 0.0).await;
    assert_eq!(world.shown("links_closed_total", &[("reason", "session")]), 3.0);
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
