//! A cluster for unit tests: brokers on loopback ports that say what a test wants said.

use crate::types::HostPort;
use crate::wire::codec::{Frame, decode, encode_response};
use crate::wire::frame::Reader;
use crate::wire::head::RequestHead;
use crate::wire::pool::Pool;
use crate::wire::shape::Shaped;
use crate::wire::transport::Transport;
use crate::wire::versions::{SERVED, Served};
use bytes::Bytes;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, MetadataRequest, MetadataResponse, SaslAuthenticateRequest, TopicName,
};
use kafka_protocol::protocol::{Encodable, StrBytes};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

/// A request, as a broker sees it.
pub(crate) struct Asked {
    pub(crate) api: ApiKey,
    pub(crate) head: RequestHead,
    pub(crate) frame: Bytes,
    /// Who its connection has logged in as, with PLAIN.
    pub(crate) by: Option<String>,
}

/// What the broker does about it.
pub(crate) enum Reply {
    /// Answers.
    Frame(Frame),
    /// Answers when it is allowed to.
    Held(Arc<Notify>, Frame),
    /// Says this, and closes the connection.
    Last(Frame),
    /// Says nothing, now or later.
    Silence,
    /// Reads nothing any more.
    Freeze,
    /// Closes the connection.
    Close,
}

impl Asked {
    pub(crate) fn request<M: Shaped>(&self) -> M {
        decode(self.frame.slice(self.head.body_at..), self.head.version).unwrap()
    }

    pub(crate) fn answer<M: Encodable>(&self, message: &M) -> Reply {
        Reply::Frame(encode_response(self.api, self.head.version, self.head.correlation, message, &[]).unwrap())
    }
}

/// What brokers, from 1 on, do about what is neither ApiVersions nor Metadata.
type Script = dyn Fn(i32, Asked) -> Reply + Send + Sync;

/// Runs as long as it is not dropped.
pub(crate) struct FakeCluster {
    addresses: Vec<HostPort>,
    metadata: Arc<Mutex<MetadataResponse>>,
    silent: Arc<AtomicBool>,
    versions: Arc<Mutex<ApiVersionsResponse>>,
    hidden: Hidden,
    told: Told,
    brokers: Vec<AbortHandle>,
    _running: JoinSet<()>,
}

impl FakeCluster {
    /// Brokers from 1 on, and topics with the leaders of their partitions.
    pub(crate) async fn start(
        brokers: usize,
        topics: &[(&str, &[i32])],
        script: impl Fn(i32, Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let mut listeners = Vec::new();
        for _ in 0..brokers {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        Self::on(listeners, topics, script)
    }

    /// The same, with a broker for each of these, which may have kept clients waiting so far.
    pub(crate) fn on(
        listeners: Vec<TcpListener>,
        topics: &[(&str, &[i32])],
        script: impl Fn(i32, Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let addresses: Vec<_> = listeners.iter().map(|listener| HostPort::new("127.0.0.1", port(listener))).collect();
        let metadata = Arc::new(Mutex::new(metadata(&addresses, topics)));
        let script: Arc<Script> = Arc::new(script);
        let silent = Arc::new(AtomicBool::new(false));
        let versions = Arc::new(Mutex::new(versions()));
        let (mut running, mut brokers) = (JoinSet::new(), Vec::new());
        let (hidden, told) = (Hidden::default(), Told::default());
        for (listener, id) in listeners.into_iter().zip(1..) {
            let (metadata, silent, versions) = (Arc::clone(&metadata), Arc::clone(&silent), Arc::clone(&versions));
            let known = Known { metadata, silent, versions, hidden: Arc::clone(&hidden), told: Arc::clone(&told) };
            brokers.push(running.spawn(accept(listener, id, known, Arc::clone(&script))));
        }
        Self { addresses, metadata, silent, versions, hidden, told, brokers, _running: running }
    }

    /// From now on this hears who asks for what metadata.
    pub(crate) fn note_metadata(&self, told: impl Fn(Option<String>, &MetadataRequest) + Send + Sync + 'static) {
        *self.told.lock() = Some(Box::new(told));
    }

    /// From now on who has logged in as this one is not told of these topics, and of others that he may do this to them.
    pub(crate) fn hide(&self, from: &str, topics: &[&str], operations: i32) {
        let topics = topics.iter().map(|name| (*name).to_owned()).collect();
        self.hidden.lock().insert(from.to_owned(), (topics, operations));
    }

    /// From now on nobody who asks for metadata is answered.
    pub(crate) fn fall_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// Who connects from now on is told that they speak no higher version of this API.
    pub(crate) fn speak_at_most(&self, api: ApiKey, version: i16) {
        let mut versions = self.versions.lock();
        let rows = versions.api_keys.iter_mut().filter(|row| row.api_key == api as i16);
        rows.for_each(|row| row.max_version = version);
    }

    /// From now on a topic's partitions are led by these brokers, -1 for nobody; who asks for metadata hears of it.
    pub(crate) fn lead(&self, topic: &str, leaders: &[i32]) {
        let mut metadata = self.metadata.lock();
        metadata.topics.retain(|known| known.name.as_ref().is_none_or(|name| &*name.0 != topic));
        metadata.topics.push(described(topic, leaders));
    }

    /// Nobody can connect to this broker any more, and its connections end.
    pub(crate) fn stop(&self, broker: usize) {
        self.brokers[broker - 1].abort();
    }

    /// Its metadata from now on: these topics, and without a broker that it counts out.
    pub(crate) fn now(&self, topics: &[(&str, &[i32])], without: Option<i32>) {
        let mut metadata = metadata(&self.addresses, topics);
        metadata.brokers.retain(|broker| Some(broker.node_id.0) != without);
        *self.metadata.lock() = metadata;
    }

    pub(crate) fn bootstrap(&self) -> Vec<HostPort> {
        self.addresses.clone()
    }
}

fn metadata(brokers: &[HostPort], topics: &[(&str, &[i32])]) -> MetadataResponse {
    let broker = |(address, id): (&HostPort, i32)| {
        MetadataResponseBroker::default()
            .with_node_id(id.into())
            .with_host(StrBytes::from_string(address.host.to_string()))
            .with_port(address.port.into())
    };
    MetadataResponse::default()
        .with_brokers(brokers.iter().zip(1..).map(broker).collect())
        .with_controller_id(1.into())
        .with_topics(topics.iter().map(|(name, leaders)| described(name, leaders)).collect())
}

fn described(name: &str, leaders: &[i32]) -> MetadataResponseTopic {
    let partition = |(leader, index): (&i32, i32)| {
        MetadataResponsePartition::default().with_partition_index(index).with_leader_id((*leader).into())
    };
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
        .with_partitions(leaders.iter().zip(0..).map(partition).collect())
}

/// By who asks: topics that he may not know of, and what he may do to others.
type Hidden = Arc<Mutex<HashMap<String, (Vec<String>, i32)>>>;

/// Who hears who asks for what metadata.
type Told = Arc<Mutex<Option<Box<dyn Fn(Option<String>, &MetadataRequest) + Send + Sync>>>>;

/// What somebody is told who may not know everything. He who names topics is told of those.
fn veiled(
    whole: &MetadataResponse,
    request: &MetadataRequest,
    (hidden, operations): &(Vec<String>, i32),
) -> MetadataResponse {
    let is_hidden = |name: &TopicName| hidden.iter().any(|one| **one == *name.0);
    let told = |name: &TopicName| {
        let there = whole.topics.iter().find(|topic| topic.name.as_ref() == Some(name)).filter(|_| !is_hidden(name));
        let code = if is_hidden(name) { 29 } else { 3 };
        match there {
            Some(topic) => topic.clone().with_topic_authorized_operations(*operations),
            None => MetadataResponseTopic::default().with_name(Some(name.clone())).with_error_code(code),
        }
    };
    let all = || whole.topics.iter().filter_map(|topic| topic.name.as_ref()).filter(|name| !is_hidden(name));
    let topics = match &request.topics {
        Some(topics) => topics.iter().filter_map(|topic| topic.name.as_ref()).map(told).collect(),
        None => all().map(told).collect(),
    };
    whole.clone().with_topics(topics).with_cluster_authorized_operations(*operations)
}

/// What all brokers of a cluster know.
#[derive(Clone)]
struct Known {
    metadata: Arc<Mutex<MetadataResponse>>,
    silent: Arc<AtomicBool>,
    versions: Arc<Mutex<ApiVersionsResponse>>,
    hidden: Hidden,
    told: Told,
}

async fn accept(listener: TcpListener, id: i32, known: Known, script: Arc<Script>) {
    // Its connections end with it.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(serve(socket, id, known.clone(), Arc::clone(&script)));
    }
}

async fn serve(socket: TcpStream, id: i32, known: Known, script: Arc<Script>) {
    let socket = Transport::plain(socket);
    let mut reader = Reader::new(Pool::new(0), 1 << 20);
    let mut by = None;
    while let Ok(Some(frame)) = reader.next(&socket).await {
        let head = RequestHead::read(&frame).unwrap();
        let mut asked = Asked { api: ApiKey::try_from(head.api_key).unwrap(), head, frame, by: by.clone() };
        if asked.api == ApiKey::SaslAuthenticate {
            let told: SaslAuthenticateRequest = asked.request();
            by = told.auth_bytes.split(|byte| *byte == 0).nth(1).map(|name| String::from_utf8_lossy(name).into_owned());
            asked.by.clone_from(&by);
        }
        if asked.api == ApiKey::Metadata
            && let Some(told) = &*known.told.lock()
        {
            told(asked.by.clone(), &asked.request());
        }
        let veil = asked.by.as_ref().and_then(|by| known.hidden.lock().get(by).cloned());
        let reply = match asked.api {
            ApiKey::ApiVersions => asked.answer(&*known.versions.lock()),
            ApiKey::Metadata if known.silent.load(Ordering::SeqCst) => Reply::Silence,
            ApiKey::Metadata => match veil {
                Some(veil) => asked.answer(&veiled(&known.metadata.lock(), &asked.request(), &veil)),
                None => asked.answer(&*known.metadata.lock()),
            },
            _ => script(id, asked),
        };
        match reply {
            Reply::Frame(frame) => socket.write_all(&frame.concat()).await.unwrap(),
            Reply::Held(allowed, frame) => {
                allowed.notified().await;
                socket.write_all(&frame.concat()).await.unwrap();
            }
            Reply::Last(frame) => return socket.write_all(&frame.concat()).await.unwrap(),
            Reply::Silence => {}
            Reply::Freeze => std::future::pending().await,
            Reply::Close => return,
        }
    }
}

/// It speaks what we speak.
fn versions() -> ApiVersionsResponse {
    let row = |row: &Served| {
        ApiVersion::default().with_api_key(row.api as i16).with_min_version(row.min).with_max_version(row.max)
    };
    let login = [(ApiKey::SaslHandshake, 1), (ApiKey::SaslAuthenticate, 2)]
        .map(|(api, max)| ApiVersion::default().with_api_key(api as i16).with_max_version(max));
    ApiVersionsResponse::default().with_api_keys(SERVED.iter().map(row).chain(login).collect())
}
