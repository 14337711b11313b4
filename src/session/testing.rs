//! For tests of sessions in one process: a client on a loopback socket, before two clusters whose brokers say what the
//! test wants.

use super::{Context, Limits, Session, listener};
use crate::config::Config;
use crate::placement::{Front, task};
use crate::policy::rulings::Rulings;
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
use crate::wire::transport::Transport;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ProduceRequest, ProduceResponse, RequestHeader, TopicName};
use kafka_protocol::protocol::{Encodable, Request, StrBytes};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Topics `l-*` and groups `l-*` are the pipeline `left` on cluster `a`; those of `b` are `right` and `far`.
pub(super) struct World {
    telemetry: Arc<Telemetry>,
    address: HostPort,
    pub(super) context: Arc<Context>,
    pub(super) publisher: task::Publisher,
    pub(super) a: Option<FakeCluster>,
    pub(super) b: Option<FakeCluster>,
    pub(super) clusters: Vec<Arc<Cluster>>,
    _tasks: JoinSet<()>,
}

impl World {
    pub(super) async fn start(script: impl Fn(i32, Asked) -> Reply + Send + Sync + Clone + 'static) -> Self {
        let limits =
            Limits { park: Duration::from_millis(300), linger: Duration::from_millis(500), ..Limits::default() };
        Self::within(limits, script).await
    }

    /// One whose sessions may take this much.
    pub(super) async fn within(
        limits: Limits,
        script: impl Fn(i32, Asked) -> Reply + Send + Sync + Clone + 'static,
    ) -> Self {
        Self::of(2, limits, script).await
    }

    /// The same, with so many brokers in `a`.
    pub(super) async fn of(
        brokers: usize,
        limits: Limits,
        script: impl Fn(i32, Asked) -> Reply + Send + Sync + Clone + 'static,
    ) -> Self {
        Self::with(brokers, limits, "", script).await
    }

    /// The same, where the pipeline `left` has this policy.
    pub(super) async fn with(
        brokers: usize,
        limits: Limits,
        policy: &str,
        script: impl Fn(i32, Asked) -> Reply + Send + Sync + Clone + 'static,
    ) -> Self {
        Self::saying(brokers, limits, (("", ""), policy, ""), script).await
    }

    /// One whose config says this of who may do what.
    pub(super) async fn guarded(
        authorization: &str,
        script: impl Fn(i32, Asked) -> Reply + Send + Sync + Clone + 'static,
    ) -> Self {
        let limits =
            Limits { park: Duration::from_millis(300), linger: Duration::from_millis(500), ..Limits::default() };
        Self::saying(2, limits, (("", ""), "", &format!("authorization: {authorization}\n")), script).await
    }

    /// One whose clusters have these keys besides.
    pub(super) async fn keyed(
        keys: (&str, &str),
        script: impl Fn(i32, Asked) -> Reply + Send + Sync + Clone + 'static,
    ) -> Self {
        Self::keyed_with(keys, "", script).await
    }

    /// The same, where the pipeline `left` has this policy.
    pub(super) async fn keyed_with(
        keys: (&str, &str),
        policy: &str,
        script: impl Fn(i32, Asked) -> Reply + Send + Sync + Clone + 'static,
    ) -> Self {
        let limits =
            Limits { park: Duration::from_millis(300), linger: Duration::from_millis(500), ..Limits::default() };
        Self::saying(2, limits, (keys, policy, ""), script).await
    }

    async fn saying(
        brokers: usize,
        limits: Limits,
        ((keys, of_b), policy, more): ((&str, &str), &str, &str),
        script: impl Fn(i32, Asked) -> Reply + Send + Sync + Clone + 'static,
    ) -> Self {
        let topics: [&[_]; 2] = [&[("l-1", &[1, 2][..]), ("l-2", &[1])], &[("r-1", &[1][..]), ("f-1", &[1])]];
        let a = FakeCluster::start(brokers, topics[0], script.clone()).await;
        let b = FakeCluster::start(1, topics[1], script).await;
        let config = format!(
            "virtual_cluster: v
default_cluster: a
listeners: [{{ bind: '127.0.0.1:0' }}]
clusters:
  a: {{ slot: 0, bootstrap: ['{}', '{}']{keys} }}
  b: {{ slot: 1, bootstrap: ['{}']{of_b} }}
pipelines:
  - {{ name: left, topics: ['l-*'], groups: ['l-*'], cluster: a{policy} }}
  - {{ name: right, topics: ['r-*'], groups: ['r-*'], cluster: b }}
  - {{ name: far, topics: ['f-*'], cluster: b }}
{more}",
            a.bootstrap()[0],
            a.bootstrap()[1],
            b.bootstrap()[0]
        );
        let config =
            Arc::new(Config::from_text("counting.yaml", &config).unwrap_or_else(|mistakes| panic!("{mistakes}")));
        let (telemetry, shared) = (Arc::new(Telemetry::new().unwrap()), Shared::new(1 << 20, 1 << 20));
        let (mut tasks, mut clusters) = (JoinSet::new(), Vec::new());
        for cluster in config.clusters.clone() {
            shared.doors.try_all(&cluster);
            let meter = telemetry.cluster(&cluster.name);
            let (cluster, asked) =
                Cluster::new(cluster.slot, cluster.name, cluster.bootstrap, Arc::clone(&shared), meter);
            tasks.spawn(refresh::run(Arc::clone(&cluster), asked));
            clusters.push(cluster);
        }
        let (current, mut publisher) = task::begin(config);
        clusters.iter().for_each(|cluster| publisher.listen(cluster));
        for cluster in &clusters {
            cluster.news().wait_for(|news| news.read).await.unwrap();
            current.caught_up(cluster).await;
        }
        let listening = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = HostPort::new("127.0.0.1", listening.local_addr().unwrap().port());
        let context = Context::new(
            current,
            clusters.clone(),
            Arc::clone(&telemetry),
            Rulings::new(&telemetry),
            Front::plain(address.clone()),
            shared,
            limits,
        );
        tasks.spawn(listener::accept_all(listening, Arc::clone(&context)));
        Self { telemetry, address, context, publisher, a: Some(a), b: Some(b), clusters, _tasks: tasks }
    }

    /// A client that does not say what it is.
    pub(super) async fn unnamed(&self) -> Client {
        let socket = TcpStream::connect((&*self.address.host, self.address.port)).await.unwrap();
        let socket = Transport::plain(socket);
        Client { socket, reader: Reader::new(Pool::new(0), 1 << 20), sent: 0, received: 0 }
    }

    pub(super) async fn client(&self) -> Client {
        let mut client = self.unnamed().await;
        let hello = ApiVersionsRequest::default()
            .with_client_software_name(text("kgo"))
            .with_client_software_version(text("1.22.2"));
        client.call(3, &hello).await;
        client
    }

    /// The only session.
    pub(super) fn session(&self) -> Arc<Session> {
        self.context.sessions.iter().next().map(|entry| Arc::clone(entry.value())).expect("a session")
    }

    /// The value of a sample; 0 where there is none.
    pub(super) fn shown(&self, family: &str, labels: &[(&str, &str)]) -> f64 {
        self.telemetry.shown(&format!("fishplate_{family}"), labels).unwrap_or(0.0)
    }

    pub(super) fn requests(&self, api: &str, pipeline: &str, cluster: &str) -> f64 {
        self.shown("requests_total", &[("api", api), ("pipeline", pipeline), ("cluster", cluster)])
    }

    pub(super) fn errors(&self, by: &str) -> f64 {
        self.shown("errors_total", &[("by", by)])
    }

    pub(super) fn codes(&self, code: &str) -> f64 {
        self.shown("error_codes_total", &[("code", code)])
    }

    /// Waits until there is any of this.
    pub(super) async fn until_any(&self, family: &str, labels: &[(&str, &str)]) {
        let reached = async {
            while self.shown(family, labels) == 0.0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), reached).await.unwrap_or_else(|_| panic!("no {family} {labels:?}"));
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
    pub(super) socket: Transport,
    reader: Reader,
    /// Bytes of whole frames.
    pub(super) sent: usize,
    pub(super) received: usize,
}

impl Client {
    pub(super) async fn send<R: Request<Response: Shaped>>(&mut self, version: i16, request: &R) {
        let (api, us) = (ApiKey::try_from(R::KEY).unwrap(), Bytes::from_static(b"test"));
        let frame = encode_request(api, version, 7, Some(&us), request, &[]).unwrap().concat();
        self.sent += frame.len();
        self.socket.write_all(&frame).await.unwrap();
    }

    /// Sends what is no request that can be encoded.
    pub(super) async fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
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

    /// Sends a body as it is, and gives that of the answer.
    pub(super) async fn ask(&mut self, api: ApiKey, version: i16, body: &Bytes) -> Bytes {
        let head = RequestHeader::default()
            .with_request_api_key(api as i16)
            .with_request_api_version(version)
            .with_correlation_id(7)
            .with_client_id(Some(text("test")));
        let mut frame = BytesMut::new();
        head.encode(&mut frame, api.request_header_version(version)).unwrap();
        frame.extend_from_slice(body);
        let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
        self.socket.write_all(&[&length[..], &frame].concat()).await.unwrap();
        let answer = timeout(Duration::from_secs(20), self.reader.next(&self.socket)).await;
        let answer = answer.unwrap_or_else(|_| panic!("no answer to {api:?} {version}")).unwrap();
        let answer = answer.unwrap_or_else(|| panic!("closed at {api:?} {version}"));
        let (_, body_at) = read_response(&answer, api, version).unwrap();
        answer.slice(body_at..)
    }

    /// The next answer; `None` where the connection has ended.
    pub(super) async fn hear<R: Request<Response: Shaped>>(&mut self, version: i16) -> Option<R::Response> {
        let frame = timeout(Duration::from_secs(20), self.reader.next(&self.socket)).await.expect("an answer in time");
        let frame = frame.ok().flatten()?;
        let (_, body_at) = read_response(&frame, ApiKey::try_from(R::KEY).unwrap(), version).unwrap();
        Some(decode(frame.slice(body_at..), version).unwrap())
    }

    /// Sends a frame that is no request, and gives the next one; `None` where the connection has ended.
    pub(super) async fn bare(&mut self, bytes: Bytes) -> Option<Bytes> {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        self.socket.write_all(&[&length[..], &bytes].concat()).await.unwrap();
        let frame = timeout(Duration::from_secs(20), self.reader.next(&self.socket)).await.expect("an answer in time");
        frame.ok().flatten()
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
