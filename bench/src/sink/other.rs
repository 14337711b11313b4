//! What a client or a proxy asks beside Produce and Fetch, by kafka-protocol; answers are kept, as a thousand topics
//! take a millisecond to encode.

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, DescribeClusterRequest, DescribeClusterResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse, RequestHeader,
    TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::cluster::{Address, Cluster, Side, Topic};
use super::{Request, fetch, groups, produce};

/// API key, least and highest version, as ApiVersions lists them.
const SERVED: [(ApiKey, i16, i16); 10] = [
    (ApiKey::Produce, produce::VERSIONS.0, produce::VERSIONS.1),
    (ApiKey::Fetch, fetch::VERSIONS.0, fetch::VERSIONS.1),
    (ApiKey::ListOffsets, 1, 10),
    (ApiKey::Metadata, 0, 13),
    (ApiKey::FindCoordinator, 0, 6),
    (ApiKey::OffsetCommit, groups::COMMIT.0, groups::COMMIT.1),
    (ApiKey::OffsetFetch, groups::FETCH.0, groups::FETCH.1),
    (ApiKey::ListGroups, groups::LIST.0, groups::LIST.1),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::DescribeCluster, 0, 2),
];
const UNSUPPORTED_VERSION: i16 = 35;
pub(super) const UNKNOWN_TOPIC: i16 = 3;
const UNKNOWN_TOPIC_ID: i16 = 100;
/// The node, counted from 0, that coordinates all groups.
pub(super) const COORDINATOR: usize = 0;

/// Length and head of the answer's frame.
pub(super) fn head(request: &Request<'_>, body: usize, out: &mut Vec<u8>) {
    let tagged = ApiKey::try_from(request.key).is_ok_and(|key| key.response_header_version(request.version) > 0);
    out.clear();
    out.extend_from_slice(&i32::try_from(body + 4 + usize::from(tagged)).unwrap_or(i32::MAX).to_be_bytes());
    out.extend_from_slice(&request.correlation.to_be_bytes());
    if tagged {
        out.push(0);
    }
}

/// The answer's body.
pub(super) fn answer(cluster: &Cluster, node: usize, side: Side, request: &Request<'_>) -> Result<Bytes> {
    let key = ApiKey::try_from(request.key).map_err(|()| anyhow::anyhow!("API {} is not known", request.key))?;
    let version = request.version;
    let served = SERVED.iter().find(|(api, _, _)| *api == key);
    let (_, least, most) = served.with_context(|| format!("{key:?} is not served"))?;
    if key == ApiKey::ApiVersions {
        return api_versions(if version > *most { None } else { Some(version) });
    }
    if !(*least..=*most).contains(&version) {
        bail!("{key:?} version {version} is not served");
    }
    // What these say changes, so it is not kept.
    match key {
        ApiKey::ListOffsets => return list_offsets(cluster, version, body(request, key)?),
        ApiKey::OffsetCommit | ApiKey::OffsetFetch | ApiKey::ListGroups => {
            return groups::answer(cluster, node, key, version, body(request, key)?);
        }
        _ => {}
    }
    cluster.remember((request.key, version, side, request.rest.to_vec()), || {
        let body = body(request, key)?;
        match key {
            ApiKey::Metadata => metadata(cluster, side, version, body),
            ApiKey::FindCoordinator => find_coordinator(cluster, side, version, body),
            _ => describe_cluster(cluster, side, version, body),
        }
    })
}

fn body(request: &Request<'_>, key: ApiKey) -> Result<Bytes> {
    let mut frame = Bytes::copy_from_slice(&[&[0; 8], request.rest].concat());
    RequestHeader::decode(&mut frame, key.request_header_version(request.version))?;
    Ok(frame)
}

pub(super) fn encode(response: &impl Encodable, version: i16) -> Result<Bytes> {
    let mut out = BytesMut::new();
    response.encode(&mut out, version)?;
    Ok(out.freeze())
}

fn api_versions(version: Option<i16>) -> Result<Bytes> {
    let keys = SERVED.iter().map(|(key, least, most)| {
        ApiVersion::default().with_api_key(*key as i16).with_min_version(*least).with_max_version(*most)
    });
    let error = if version.is_some() { 0 } else { UNSUPPORTED_VERSION };
    let response = ApiVersionsResponse::default().with_error_code(error).with_api_keys(keys.collect());
    encode(&response, version.unwrap_or(0))
}

fn node_id(at: usize) -> BrokerId {
    BrokerId(i32::try_from(at + 1).unwrap_or(i32::MAX))
}

fn host(address: &Address) -> StrBytes {
    StrBytes::from_string(address.host().to_owned())
}

pub(super) fn topic_name(topic: &Topic) -> TopicName {
    TopicName(StrBytes::from_string(topic.name.clone()))
}

fn metadata(cluster: &Cluster, side: Side, version: i16, mut body: Bytes) -> Result<Bytes> {
    let request = MetadataRequest::decode(&mut body, version)?;
    let brokers = cluster.addresses(side).iter().enumerate().map(|(at, address)| {
        MetadataResponseBroker::default().with_node_id(node_id(at)).with_host(host(address)).with_port(address.port())
    });
    let topics = match request.topics {
        Some(topics) if version > 0 || !topics.is_empty() => topics
            .into_iter()
            .map(|asked| match &asked.name {
                Some(name) => cluster.by_name(name.as_bytes()).map_or_else(
                    || MetadataResponseTopic::default().with_error_code(UNKNOWN_TOPIC).with_name(Some(name.clone())),
                    |topic| topic_metadata(cluster, topic),
                ),
                None => cluster.by_id(asked.topic_id.as_bytes()).map_or_else(
                    || MetadataResponseTopic::default().with_error_code(UNKNOWN_TOPIC_ID).with_topic_id(asked.topic_id),
                    |topic| topic_metadata(cluster, topic),
                ),
            })
            .collect(),
        _ => cluster.topics.iter().map(|topic| topic_metadata(cluster, topic)).collect(),
    };
    let response = MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(StrBytes::from_string(cluster.id.clone())))
        .with_controller_id(node_id(0))
        .with_topics(topics);
    encode(&response, version)
}

fn topic_metadata(cluster: &Cluster, topic: &Topic) -> MetadataResponseTopic {
    let partitions = (0..topic.partitions()).map(|at| {
        let leader = node_id(cluster.leader(topic, at));
        MetadataResponsePartition::default()
            .with_partition_index(i32::try_from(at).unwrap_or(i32::MAX))
            .with_leader_id(leader)
            .with_leader_epoch(1)
            .with_replica_nodes(vec![leader])
            .with_isr_nodes(vec![leader])
    });
    MetadataResponseTopic::default()
        .with_name(Some(topic_name(topic)))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
}

fn find_coordinator(cluster: &Cluster, side: Side, version: i16, mut body: Bytes) -> Result<Bytes> {
    let request = FindCoordinatorRequest::decode(&mut body, version)?;
    let at = cluster.addresses(side).get(COORDINATOR).context("no nodes")?;
    let mut response = FindCoordinatorResponse::default();
    if version < 4 {
        response = response.with_node_id(node_id(COORDINATOR)).with_host(host(at)).with_port(at.port());
    } else {
        let coordinator = |key| {
            Coordinator::default()
                .with_key(key)
                .with_node_id(node_id(COORDINATOR))
                .with_host(host(at))
                .with_port(at.port())
        };
        response = response.with_coordinators(request.coordinator_keys.into_iter().map(coordinator).collect());
    }
    encode(&response, version)
}

fn describe_cluster(cluster: &Cluster, side: Side, version: i16, mut body: Bytes) -> Result<Bytes> {
    DescribeClusterRequest::decode(&mut body, version)?;
    let brokers = cluster.addresses(side).iter().enumerate().map(|(at, address)| {
        DescribeClusterBroker::default().with_broker_id(node_id(at)).with_host(host(address)).with_port(address.port())
    });
    let response = DescribeClusterResponse::default()
        .with_cluster_id(StrBytes::from_string(cluster.id.clone()))
        .with_controller_id(node_id(0))
        .with_brokers(brokers.collect());
    encode(&response, version)
}

fn list_offsets(cluster: &Cluster, version: i16, mut body: Bytes) -> Result<Bytes> {
    let request = ListOffsetsRequest::decode(&mut body, version)?;
    let topics = request.topics.into_iter().map(|asked| {
        let found = cluster.by_name(asked.name.as_bytes());
        let partitions = asked.partitions.iter().map(|partition| {
            let at = usize::try_from(partition.partition_index).unwrap_or(usize::MAX);
            let answer = ListOffsetsPartitionResponse::default().with_partition_index(partition.partition_index);
            match found.filter(|topic| at < topic.partitions()) {
                None => answer.with_error_code(UNKNOWN_TOPIC),
                Some(_) if partition.timestamp == -2 => answer.with_offset(0).with_leader_epoch(1),
                Some(topic) => answer.with_offset(topic.end(at)).with_leader_epoch(1),
            }
        });
        ListOffsetsTopicResponse::default().with_partitions(partitions.collect()).with_name(asked.name.clone())
    });
    encode(&ListOffsetsResponse::default().with_topics(topics.collect()), version)
}
