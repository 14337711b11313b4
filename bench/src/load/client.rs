//! A client connection and what a client learns before its first real request: versions, nodes, leaders.

use std::collections::{BTreeMap, HashMap};
use std::io::IoSlice;
use std::net::TcpStream;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, MetadataResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes};
use uuid::Uuid;

use crate::frames::{Frames, seal, write_pieces};
use crate::topics;

/// How the load calls itself: name and version of ApiVersions 3+ (KIP-511), by which the proxy chooses what to show.
#[derive(Clone, Debug)]
pub(crate) struct Software {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// The client id that all requests carry.
pub(super) const CLIENT_ID: &str = "fishplate-bench";

/// An open connection that has asked for ApiVersions.
pub(super) struct Connection {
    pub(super) stream: Arc<TcpStream>,
    pub(super) frames: Frames,
    versions: HashMap<i16, i16>,
    asked: i32,
}

impl Connection {
    pub(super) fn open(address: &str, software: &Software) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        let stream = Arc::new(stream);
        let frames = Frames::new(Arc::clone(&stream));
        let mut connection = Self { stream, frames, versions: HashMap::new(), asked: 0 };
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_string(software.name.clone()))
            .with_client_software_version(StrBytes::from_string(software.version.clone()));
        let answer = connection.call(3, &request)?;
        ensure!(answer.error_code == 0, "ApiVersions: error {}", answer.error_code);
        connection.versions = answer.api_keys.iter().map(|api| (api.api_key, api.max_version)).collect();
        Ok(connection)
    }

    /// The highest version that both ends speak.
    pub(super) fn version<R: Request>(&self) -> Result<i16> {
        let theirs = self.versions.get(&R::KEY).with_context(|| format!("API {} is not offered", R::KEY))?;
        Ok(*theirs.min(&R::VERSIONS.max).min(&<R::Response as Message>::VERSIONS.max))
    }

    /// One request and its answer.
    pub(super) fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        self.asked += 1;
        let frame = encode(version, self.asked, request)?;
        write_pieces(&self.stream, &mut [IoSlice::new(&frame)])?;
        let answer = self.frames.next()?.context("the connection was closed")?;
        let mut answer = Bytes::copy_from_slice(answer);
        let head = ResponseHeader::decode(&mut answer, R::Response::header_version(version))?;
        ensure!(head.correlation_id == self.asked, "answer {} to request {}", head.correlation_id, self.asked);
        R::Response::decode(&mut answer, version)
    }

    /// Metadata of the named topics, or of all; never creates one.
    pub(super) fn metadata(&mut self, names: Option<&[String]>) -> Result<MetadataResponse> {
        let version = self.version::<MetadataRequest>()?;
        self.call(version, &metadata_request(names))
    }
}

/// A request frame with its length.
pub(super) fn encode<R: Request>(version: i16, correlation: i32, request: &R) -> Result<Vec<u8>> {
    let head = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
    let mut frame = vec![0; 4];
    head.encode(&mut frame, R::header_version(version))?;
    request.encode(&mut frame, version)?;
    let length = frame.len() - 4;
    seal(&mut frame, length);
    Ok(frame)
}

/// `None` asks for all topics.
pub(super) fn metadata_request(names: Option<&[String]>) -> MetadataRequest {
    let topic =
        |name: &String| MetadataRequestTopic::default().with_name(Some(StrBytes::from_string(name.clone()).into()));
    MetadataRequest::default()
        .with_topics(names.map(|names| names.iter().map(topic).collect()))
        .with_allow_auto_topic_creation(false)
}

/// A partition as a request names it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Partition {
    pub(super) index: i32,
    pub(super) topic: String,
    pub(super) id: Uuid,
}

/// A node and what it leads of the topics asked for, neighbours being of different topics (and clusters) where that can be.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) address: String,
    pub(super) partitions: Vec<Partition>,
}

/// Asks each bootstrap address for the topics and lists the nodes that lead any of them. Several addresses stand for
/// several clusters, each of which has some of the topics.
pub(super) fn discover(bootstraps: &[String], names: &[String], software: &Software) -> Result<Vec<Node>> {
    let mut nodes: BTreeMap<(usize, i32), Node> = BTreeMap::new();
    let mut found = 0;
    for (cluster, bootstrap) in bootstraps.iter().enumerate() {
        let mut metadata = Connection::open(bootstrap, software)?.metadata(Some(names))?;
        metadata.topics.retain(|topic| topic.error_code == 0);
        found += metadata.topics.len();
        add(&mut nodes, cluster, &metadata)?;
    }
    ensure!(found == names.len(), "{} topics were asked for and {found} are there", names.len());
    let mut nodes: Vec<_> = nodes.into_values().filter(|node| !node.partitions.is_empty()).collect();
    for node in &mut nodes {
        // By a hash of the topic, so that a node that stands for several clusters has them mixed.
        node.partitions.sort_by_key(|partition| (partition.index, topics::id(&partition.topic)));
    }
    Ok(nodes)
}

fn add(nodes: &mut BTreeMap<(usize, i32), Node>, cluster: usize, metadata: &MetadataResponse) -> Result<()> {
    for broker in &metadata.brokers {
        let address = format!("{}:{}", broker.host.as_str(), broker.port);
        nodes.insert((cluster, broker.node_id.0), Node { address, partitions: Vec::new() });
    }
    for topic in &metadata.topics {
        let name = topic.name.as_ref().context("a topic without a name")?.as_str();
        for partition in &topic.partitions {
            let leader = (cluster, partition.leader_id.0);
            let Some(node) = nodes.get_mut(&leader) else {
                bail!("{name}-{} is led by node {}, which is not listed", partition.partition_index, leader.1);
            };
            let (index, topic, id) = (partition.partition_index, name.to_owned(), topic.topic_id);
            node.partitions.push(Partition { index, topic, id });
        }
    }
    Ok(())
}

/// All partitions, whoever leads them, as the first node's: for requests that any node answers.
pub(super) fn gather(nodes: Vec<Node>) -> Vec<Node> {
    let address = nodes.first().map(|node| node.address.clone());
    let partitions = nodes.into_iter().flat_map(|node| node.partitions).collect();
    address.map(|address| Node { address, partitions }).into_iter().collect()
}

/// Gives each of `connections` connections a node in turn and a share of what it leads.
pub(super) fn share(nodes: &[Node], connections: usize) -> Vec<Node> {
    let each = |at: usize| {
        let node = nodes.get(at % nodes.len())?;
        let sharers = (connections - at % nodes.len()).div_ceil(nodes.len());
        let own = node.partitions.iter().skip(at / nodes.len()).step_by(sharers).cloned();
        // Idle connections are more than there are partitions; each then names them all.
        let partitions = if node.partitions.len() < sharers { node.partitions.clone() } else { own.collect() };
        Some(Node { address: node.address.clone(), partitions })
    };
    if nodes.is_empty() { Vec::new() } else { (0..connections).filter_map(each).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_one_connection() {
        let partition = |index| Partition { index, topic: "t".into(), id: Uuid::nil() };
        let node =
            |from: i32| Node { address: from.to_string(), partitions: (from..from + 7).map(partition).collect() };
        for connections in 3..9 {
            let shares = share(&[node(0), node(10), node(20)], connections);
            assert_eq!(shares.len(), connections);
            assert!(shares.iter().all(|share| {
                share.partitions.iter().all(|p| p.index / 10 * 10 == share.address.parse::<i32>().unwrap())
            }));
            let mut all: Vec<_> = shares.iter().flat_map(|share| share.partitions.iter().map(|p| p.index)).collect();
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 25, 26]);
        }
    }
}
