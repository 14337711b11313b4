//! What brokers tell in answers to Fetch, as clients may hear it: in our ids, without what we do not know.

use super::NO_SESSION;
use crate::api::untag::Untag;
use crate::api::{Effect, Effects, Seen, codes};
use crate::types::Slot;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData};
use kafka_protocol::messages::{FetchResponse, TopicName};

/// What clients of older versions lack: a fetch session, and a replica to read from. Brokers that no longer speak a client's
/// version tell them all the same.
const WITH_SESSIONS: i16 = 7;
const WITH_READ_REPLICA: i16 = 11;

/// Whether an answer can go to the client as it is: it names no broker, and no field that we do not know.
#[must_use]
pub fn is_plain(answer: &FetchResponse) -> bool {
    let plain = |told: &PartitionData| {
        told.preferred_read_replica.0 < 0
            && told.current_leader == LeaderIdAndEpoch::default()
            && told.diverging_epoch.unknown_tagged_fields.is_empty()
            && told.snapshot_id.unknown_tagged_fields.is_empty()
            && told.aborted_transactions.iter().flatten().all(|one| one.unknown_tagged_fields.is_empty())
            && told.unknown_tagged_fields.is_empty()
    };
    let plain_topic =
        |topic: &FetchableTopicResponse| topic.unknown_tagged_fields.is_empty() && topic.partitions.iter().all(plain);
    answer.node_endpoints.is_empty()
        && answer.unknown_tagged_fields.is_empty()
        && answer.responses.iter().all(plain_topic)
}

/// A passed-through answer in our ids: names and ids filled in for any version, without what we do not know.
#[must_use]
pub fn translate(mut answer: FetchResponse, from: Slot, seen: &Seen<'_>) -> FetchResponse {
    answer.node_endpoints = endpoints(from, &answer.node_endpoints, seen).collect();
    answer.node_endpoints.dedup_by_key(|node| node.node_id);
    answer.unknown_tagged_fields.clear();
    if seen.version < WITH_SESSIONS {
        answer.session_id = NO_SESSION;
    }
    for topic in &mut answer.responses {
        if let Some(place) = seen.placement.topic_of(&topic.topic.0, topic.topic_id) {
            (topic.topic, topic.topic_id) = (TopicName(place.topic.name.clone()), place.id);
        }
        topic.unknown_tagged_fields.clear();
        topic.partitions =
            std::mem::take(&mut topic.partitions).into_iter().map(|told| ours(told, from, seen)).collect();
    }
    answer
}

/// The topics whose metadata an answer says is old.
pub fn note(answer: &FetchResponse, from: Slot, seen: &Seen<'_>, effects: &mut Effects) {
    for topic in &answer.responses {
        if topic.partitions.iter().any(|told| codes::asks_for_refresh(told.error_code)) {
            let known = seen.placement.topic_of(&topic.topic.0, topic.topic_id);
            let name = known.map_or_else(|| topic.topic.0.clone(), |place| place.topic.name.clone());
            effects.push(Effect::Refresh(from, name));
        }
    }
}

/// What is told of a partition of which nobody told anything.
pub(super) fn nothing(index: i32, code: i16) -> PartitionData {
    PartitionData::default()
        .with_partition_index(index)
        .with_error_code(code)
        .with_high_watermark(-1)
        .with_last_stable_offset(-1)
        .with_log_start_offset(-1)
        .with_records(Some(bytes::Bytes::new()))
}

/// What a broker tells of a partition.
pub(super) fn ours(mut told: PartitionData, cluster: Slot, seen: &Seen<'_>) -> PartitionData {
    told.untag();
    told.current_leader.leader_id = seen.virtual_id(cluster, told.current_leader.leader_id.0);
    let replica = if seen.version < WITH_READ_REPLICA { -1 } else { told.preferred_read_replica.0 };
    told.preferred_read_replica = seen.virtual_id(cluster, replica);
    told
}

/// The nodes that a broker names.
pub(super) fn endpoints<'a>(
    cluster: Slot,
    told: &'a [NodeEndpoint],
    seen: &'a Seen<'_>,
) -> impl Iterator<Item = NodeEndpoint> {
    told.iter().map(move |node| {
        let node = seen.node_of(cluster, node.node_id.0, node.rack.clone());
        NodeEndpoint::default().with_node_id(node.id).with_host(node.host).with_port(node.port).with_rack(node.rack)
    })
}
