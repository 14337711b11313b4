//! Clusters that users have and that do not come as Maven artifacts, made of a real broker and a forwarder that narrows or
//! bends what it says: an older Kafka, and one that behaves as WarpStream does.

use super::Bootstrap;
use super::refusing::{carry_frames, forward};
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, DescribeClusterResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    FetchRequest, FindCoordinatorResponse, MetadataRequest, MetadataResponse, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A stand-in before one broker that is a cluster of its own; runs as long as the process.
pub struct StandIn {
    name: &'static str,
    bends: Arc<Bends>,
}

/// What it makes of what the broker says.
struct Bends {
    /// The highest version of these APIs; [`GONE`] where it has none.
    caps: &'static [(ApiKey, i16)],
    /// Those that it shows as nodes, half of them at a time; the one broker serves for each.
    agents: OnceLock<Vec<Agent>>,
    /// Agents come and go so often; never where absent.
    every: Option<Duration>,
    since: Instant,
    /// How long a Produce takes: between the first and the second.
    produce: Option<(u64, u64)>,
    /// Fetch asks the broker for a part of what it was asked for: limits count uncompressed bytes.
    fetch_divided: i32,
    /// It makes no topic for who asks for one.
    makes_no_topics: bool,
    /// What clients called themselves.
    client_ids: Mutex<BTreeSet<String>>,
}

#[derive(Clone, Copy)]
struct Agent {
    id: i32,
    port: u16,
    zone: &'static str,
}

/// Where agents are, in turn. Who says its zone in its client id is told of those there (`ws_az`).
pub const ZONES: [&str; 2] = ["zone-1", "zone-2"];

/// As a cap: the API is not there.
const GONE: i16 = -1;

/// About Kafka 2.3: no topic ids, no flexible Fetch, nothing that came later.
const OLD: &[(ApiKey, i16)] = &[
    (ApiKey::Produce, 7),
    (ApiKey::Fetch, 11),
    (ApiKey::ListOffsets, 5),
    (ApiKey::Metadata, 8),
    (ApiKey::OffsetCommit, 7),
    (ApiKey::OffsetFetch, 5),
    (ApiKey::FindCoordinator, 2),
    (ApiKey::JoinGroup, 5),
    (ApiKey::Heartbeat, 3),
    (ApiKey::LeaveGroup, 2),
    (ApiKey::SyncGroup, 3),
    (ApiKey::DescribeGroups, 3),
    (ApiKey::ListGroups, 2),
    (ApiKey::ApiVersions, 2),
    (ApiKey::CreateTopics, 3),
    (ApiKey::DeleteTopics, 3),
    (ApiKey::InitProducerId, 1),
    (ApiKey::AddPartitionsToTxn, 1),
    (ApiKey::AddOffsetsToTxn, 1),
    (ApiKey::EndTxn, 1),
    (ApiKey::TxnOffsetCommit, 2),
    (ApiKey::DescribeConfigs, 2),
    (ApiKey::DeleteGroups, 1),
    (ApiKey::CreatePartitions, 1),
    (ApiKey::AlterConfigs, 1),
    (ApiKey::DeleteRecords, 1),
    (ApiKey::DescribeLogDirs, 1),
    (ApiKey::OffsetForLeaderEpoch, GONE),
    (ApiKey::IncrementalAlterConfigs, GONE),
    (ApiKey::ElectLeaders, GONE),
    (ApiKey::AlterPartitionReassignments, GONE),
    (ApiKey::ListPartitionReassignments, GONE),
    (ApiKey::OffsetDelete, GONE),
    (ApiKey::DescribeClientQuotas, GONE),
    (ApiKey::AlterClientQuotas, GONE),
    (ApiKey::DescribeUserScramCredentials, GONE),
    (ApiKey::AlterUserScramCredentials, GONE),
    (ApiKey::DescribeCluster, GONE),
    (ApiKey::DescribeProducers, GONE),
    (ApiKey::DescribeTransactions, GONE),
    (ApiKey::ListTransactions, GONE),
    (ApiKey::DescribeTopicPartitions, GONE),
    (ApiKey::ConsumerGroupHeartbeat, GONE),
    (ApiKey::ConsumerGroupDescribe, GONE),
];

/// What WarpStream says that it lacks.
const WARPSTREAM: &[(ApiKey, i16)] =
    &[(ApiKey::OffsetForLeaderEpoch, GONE), (ApiKey::DescribeProducers, GONE), (ApiKey::ConsumerGroupHeartbeat, GONE)];

impl StandIn {
    /// One node, of about Kafka 2.3, over the broker on that port of loopback.
    pub fn old(broker: u16) -> anyhow::Result<Self> {
        Self::before(broker, "old", Bends::plain(OLD), &[1])
    }

    /// One node with `auto.create.topics.enable=false`.
    pub fn makes_no_topics(broker: u16) -> anyhow::Result<Self> {
        Self::before(broker, "no auto-creation", Bends { makes_no_topics: true, ..Bends::plain(&[]) }, &[1])
    }

    /// Agents that all serve everything, have large ids that say nothing, come and go, write within 250 to 400 ms, and count
    /// what they read uncompressed.
    pub fn warpstream(broker: u16) -> anyhow::Result<Self> {
        let ids = [1_732_019_911, 88_213_404, 2_011_557_120, 640_011, 1_203_771_533, 977_400_086];
        Self::before(broker, "warpstream", Bends::of(WARPSTREAM), &ids)
    }

    fn before(broker: u16, name: &'static str, bends: Bends, ids: &[i32]) -> anyhow::Result<Self> {
        let bends = Arc::new(bends);
        let agent = |(id, zone): (&i32, &&'static str)| {
            let (id, zone) = (*id, *zone);
            let of_it = Arc::clone(&bends);
            let port = forward(broker, move |client, server| {
                let (asked, bends) = (Arc::new(Asked::default()), Arc::clone(&of_it));
                let (noted, bending) = (Arc::clone(&asked), Arc::clone(&of_it));
                carry_frames(
                    client,
                    server,
                    move |frame| bending.request(frame, &noted),
                    move |frame| bends.answer(frame, &asked, id),
                );
            })?;
            Ok(Agent { id, port, zone })
        };
        let agents: Vec<_> = ids.iter().zip(ZONES.iter().cycle()).map(agent).collect::<anyhow::Result<_>>()?;
        let _ = bends.agents.set(agents);
        Ok(Self { name, bends })
    }

    /// What who asked it has called itself.
    pub fn client_ids(&self) -> BTreeSet<String> {
        self.bends.client_ids.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ids of the agents in a zone.
    pub fn agents_in(&self, zone: &str) -> Vec<i32> {
        self.bends.agents().iter().filter(|agent| agent.zone == zone).map(|agent| agent.id).collect()
    }

    /// Where it is asked first.
    pub fn bootstrap(&self) -> Bootstrap {
        let servers: Vec<_> = self.bends.agents().iter().map(|agent| format!("127.0.0.1:{}", agent.port)).collect();
        Bootstrap { name: self.name.into(), servers: servers.join(",") }
    }
}

/// What was asked on a connection, by correlation id, until it is answered.
type Asked = Mutex<HashMap<i32, Question>>;

/// What was asked, when, and where the client says that it is.
struct Question {
    api: ApiKey,
    version: i16,
    since: Instant,
    zone: Option<String>,
}

impl Bends {
    fn of(caps: &'static [(ApiKey, i16)]) -> Self {
        Self {
            caps,
            agents: OnceLock::new(),
            every: Some(Duration::from_secs(5)),
            since: Instant::now(),
            produce: Some((250, 400)),
            fetch_divided: 4,
            makes_no_topics: false,
            client_ids: Mutex::default(),
        }
    }

    /// Nothing but these caps.
    fn plain(caps: &'static [(ApiKey, i16)]) -> Self {
        Self { every: None, produce: None, fetch_divided: 1, ..Self::of(caps) }
    }

    fn agents(&self) -> &[Agent] {
        self.agents.get().map_or(&[], Vec::as_slice)
    }

    /// Those that are there now: all of them, or half, in turn.
    fn here(&self, zone: Option<&str>) -> Vec<Agent> {
        let mut here = self.agents().to_vec();
        if let Some(every) = self.every {
            let turn = usize::try_from(self.since.elapsed().as_millis() / every.as_millis()).unwrap_or_default();
            here.rotate_left(turn % self.agents().len());
            here.truncate(self.agents().len() / 2);
        }
        let near: Vec<_> = here.iter().copied().filter(|agent| zone == Some(agent.zone)).collect();
        if near.is_empty() { here } else { near }
    }

    fn request(&self, frame: Bytes, asked: &Asked) -> Bytes {
        let Some((api, version, head, body)) = parts(&frame) else { return frame };
        if self.does_not_know(api, version) {
            eprintln!("{api:?} {version} came to a stand-in that does not know it");
            return unknown(&frame);
        }
        let client = head.client_id.as_deref().unwrap_or_default().to_owned();
        let zone = client.split(',').find_map(|option| option.strip_prefix("ws_az=")).map(str::to_owned);
        self.client_ids.lock().unwrap_or_else(PoisonError::into_inner).insert(client);
        let question = Question { api, version, since: Instant::now(), zone };
        asked.lock().unwrap_or_else(PoisonError::into_inner).insert(head.correlation_id, question);
        let start = frame.slice(..frame.len() - body.len());
        let sent = match api {
            ApiKey::Fetch if self.fetch_divided > 1 => sent(&start, body, version, |fetch| self.divide(fetch)),
            ApiKey::DescribeConfigs => sent(&start, body, version, ask_the_broker),
            ApiKey::Metadata if self.makes_no_topics => {
                sent(&start, body, version, |asked: &mut MetadataRequest| asked.allow_auto_topic_creation = false)
            }
            _ => None,
        };
        sent.unwrap_or(frame)
    }

    /// Who asks which versions there are, does not know yet.
    fn does_not_know(&self, api: ApiKey, version: i16) -> bool {
        api != ApiKey::ApiVersions && self.caps.iter().any(|(of, most)| *of == api && version > *most)
    }

    fn divide(&self, fetch: &mut FetchRequest) {
        fetch.max_bytes = (fetch.max_bytes / self.fetch_divided).max(1);
        for partition in fetch.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.partition_max_bytes = (partition.partition_max_bytes / self.fetch_divided).max(1);
        }
    }

    fn answer(&self, frame: Bytes, asked: &Asked, agent: i32) -> Bytes {
        let correlation = frame.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes)).unwrap_or_default();
        let was_asked = asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&correlation);
        let Some(Question { api, version, since, zone }) = was_asked else { return frame };
        let here = self.here(zone.as_deref());
        match api {
            ApiKey::ApiVersions => bent(&frame, api, version, |answer: &mut ApiVersionsResponse| self.narrow(answer)),
            ApiKey::Metadata => bent(&frame, api, version, |answer: &mut MetadataResponse| place(&here, answer)),
            ApiKey::FindCoordinator => {
                bent(&frame, api, version, |answer: &mut FindCoordinatorResponse| coordinate(here[0], answer))
            }
            ApiKey::DescribeCluster => {
                bent(&frame, api, version, |answer: &mut DescribeClusterResponse| describe(&here, answer))
            }
            ApiKey::DescribeConfigs => bent(&frame, api, version, |answer: &mut DescribeConfigsResponse| {
                for told in answer.results.iter_mut().filter(|told| told.resource_type == BROKER) {
                    told.resource_name = StrBytes::from_string(agent.to_string());
                }
            }),
            ApiKey::Produce => {
                if let Some((from, to)) = self.produce {
                    let takes = Duration::from_millis(fastrand::u64(from..to));
                    thread::sleep(takes.saturating_sub(since.elapsed()));
                }
                frame
            }
            _ => frame,
        }
    }

    fn narrow(&self, answer: &mut ApiVersionsResponse) {
        let cap = |row: ApiVersion| {
            let cap = self.caps.iter().find(|(api, _)| *api as i16 == row.api_key);
            let max = cap.map_or(row.max_version, |(_, cap)| row.max_version.min(*cap));
            (max >= row.min_version).then(|| row.with_max_version(max))
        };
        answer.api_keys = std::mem::take(&mut answer.api_keys).into_iter().filter_map(cap).collect();
    }
}

/// Whoever leads is one that is there, another for each partition, and another each time that agents come and go.
fn place(here: &[Agent], answer: &mut MetadataResponse) {
    let broker = |agent: &Agent| {
        let host = StrBytes::from_static_str("127.0.0.1");
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(agent.id))
            .with_host(host)
            .with_port(agent.port.into())
            .with_rack(Some(StrBytes::from_static_str(agent.zone)))
    };
    answer.brokers = here.iter().map(broker).collect();
    answer.controller_id = BrokerId(here[0].id);
    for partition in answer.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        let agent = BrokerId(here[usize::try_from(partition.partition_index).unwrap_or_default() % here.len()].id);
        if partition.leader_id.0 >= 0 {
            partition.leader_id = agent;
        }
        partition.replica_nodes = vec![agent];
        partition.isr_nodes = vec![agent];
    }
}

fn coordinate(agent: Agent, answer: &mut FindCoordinatorResponse) {
    let host = StrBytes::from_static_str("127.0.0.1");
    if answer.node_id.0 >= 0 && answer.port > 0 {
        answer.node_id = BrokerId(agent.id);
        answer.host = host.clone();
        answer.port = agent.port.into();
    }
    for found in answer.coordinators.iter_mut().filter(|found| found.error_code == 0) {
        found.node_id = BrokerId(agent.id);
        found.host = host.clone();
        found.port = agent.port.into();
    }
}

fn describe(here: &[Agent], answer: &mut DescribeClusterResponse) {
    let Some(like) = answer.brokers.first().cloned() else { return };
    answer.controller_id = BrokerId(here[0].id);
    let broker = |agent: &Agent| like.clone().with_broker_id(BrokerId(agent.id)).with_port(agent.port.into());
    answer.brokers = here.iter().map(broker).collect();
}

/// As DescribeConfigs numbers what has configs.
const BROKER: i8 = 4;

/// The one broker knows itself by its own id.
fn ask_the_broker(request: &mut DescribeConfigsRequest) {
    for asked in request.resources.iter_mut().filter(|asked| asked.resource_type == BROKER) {
        asked.resource_name = StrBytes::from_static_str("1");
    }
}

/// A request's body written anew, behind the same start.
fn sent<R: Decodable + Encodable>(
    start: &Bytes,
    mut body: Bytes,
    version: i16,
    bend: impl FnOnce(&mut R),
) -> Option<Bytes> {
    let mut request = R::decode(&mut body, version).ok()?;
    bend(&mut request);
    let mut frame = BytesMut::from(&start[..]);
    request.encode(&mut frame, version).ok()?;
    Some(frame.freeze())
}

/// The same request of an API that is nobody's: a broker closes the connection over it, as one does over a version it does not
/// know.
fn unknown(frame: &Bytes) -> Bytes {
    let mut other = BytesMut::from(&frame[..]);
    other[..2].copy_from_slice(&i16::MAX.to_be_bytes());
    other.freeze()
}

/// The API, its version, the head and the body of a request.
fn parts(frame: &Bytes) -> Option<(ApiKey, i16, RequestHeader, Bytes)> {
    let mut start = frame.clone();
    let (key, version) = (start.try_get_i16().ok()?, start.try_get_i16().ok()?);
    let api = ApiKey::try_from(key).ok()?;
    let mut body = frame.clone();
    let head = RequestHeader::decode(&mut body, api.request_header_version(version)).ok()?;
    Some((api, version, head, body))
}

fn bent<R: Decodable + Encodable>(frame: &Bytes, api: ApiKey, version: i16, bend: impl FnOnce(&mut R)) -> Bytes {
    // A version that is not served is answered in version 0.
    let version = if api == ApiKey::ApiVersions && frame.get(4..6) == Some(&[0, 35]) { 0 } else { version };
    let rewritten = || {
        let mut body = frame.clone();
        let head = ResponseHeader::decode(&mut body, api.response_header_version(version)).ok()?;
        let mut answer = R::decode(&mut body, version).ok()?;
        bend(&mut answer);
        let mut frame = BytesMut::new();
        head.encode(&mut frame, api.response_header_version(version)).ok()?;
        answer.encode(&mut frame, version).ok()?;
        Some(frame.freeze())
    };
    rewritten().unwrap_or_else(|| frame.clone())
}
