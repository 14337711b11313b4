//! What brokers tell in answers to Fetch, as clients may hear it: in our ids, without what we do not know.

use super::NO_SESSION;
use crate::api::untag::Untag;
use crate::api::{Effect, Effects, Seen, codes, lead};
use crate::placement::{Leader, TopicPlace};
use crate::types::{BrokerId, Slot, Target, View};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData};
use kafka_protocol::messages::{FetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

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
pub fn translate(mut answer: FetchResponse, from: Target, seen: &Seen<'_>) -> FetchResponse {
    answer.node_endpoints = endpoints(from.cluster, &answer.node_endpoints, seen).collect();
    answer.node_endpoints.dedup_by_key(|node| node.node_id);
    answer.unknown_tagged_fields.clear();
    if seen.version < WITH_SESSIONS {
        answer.session_id = NO_SESSION;
    }
    for topic in &mut answer.responses {
        let place = seen.placement.topic_there(from.cluster, &topic.topic, topic.topic_id);
        if let Some(place) = place {
            (topic.topic, topic.topic_id) = (TopicName(place.topic.name.clone()), place.id);
        }
        topic.unknown_tagged_fields.clear();
        let place = place.map(|place| &**place);
        let told = std::mem::take(&mut topic.partitions).into_iter();
        topic.partitions = told.map(|told| ours(told, place, from, seen)).collect();
    }
    answer
}

/// The topics whose metadata an answer says is old, and the replicas that partitions are to be read from.
pub fn note(answer: &FetchResponse, from: Target, seen: &Seen<'_>, effects: &mut Effects) {
    for topic in &answer.responses {
        let known = seen.placement.topic_there(from.cluster, &topic.topic, topic.topic_id);
        let name = || known.map_or_else(|| topic.topic.0.clone(), |place| place.name_there().clone());
        if topic.partitions.iter().any(|told| is_old(told, from, seen)) {
            effects.push(Effect::Refresh(from.cluster, name()));
        }
        let place = known.map(|place| &**place);
        effects.extend(topic.partitions.iter().filter_map(|told| leads(told, (&name(), topic.topic_id), from.cluster)));
        effects.extend(topic.partitions.iter().filter_map(|told| follow(told, place, from, seen)));
    }
}

/// Who leads a partition now, where a broker says so.
pub(super) fn leads(told: &PartitionData, topic: (&StrBytes, Uuid), cluster: Slot) -> Option<Effect> {
    let LeaderIdAndEpoch { leader_id, leader_epoch, .. } = &told.current_leader;
    lead(cluster, topic, told.partition_index, (leader_id.0, *leader_epoch))
}

/// Whether what a broker tells of a partition says that we know too little.
pub(super) fn is_old(told: &PartitionData, from: Target, seen: &Seen<'_>) -> bool {
    let unknown = |replica: Target| !seen.placement.knows(replica);
    codes::asks_for_refresh(told.error_code) || named(told, from).is_some_and(unknown)
}

/// The replica that a broker names for a partition.
fn named(told: &PartitionData, from: Target) -> Option<Target> {
    let broker = BrokerId(told.preferred_read_replica.0);
    (broker.0 >= 0).then_some(Target { broker, ..from })
}

/// Whether another replica is to be read from now.
pub(super) fn follow(
    told: &PartitionData,
    place: Option<&TopicPlace>,
    from: Target,
    seen: &Seen<'_>,
) -> Option<Effect> {
    let place = place?;
    let follow = |at| Effect::Follow(place.topic.name.clone(), told.partition_index, at);
    match named(told, from) {
        Some(replica) => seen.placement.knows(replica).then(|| follow(Some(replica))),
        // Whatever it is, the leader knows better.
        None if told.error_code == codes::NONE => None,
        None => (seen.follows)(place, told.partition_index).map(|_| follow(None)),
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

/// What a broker tells of a partition. Where all nodes are one, the client is not told of a replica: we ask that one. A
/// replica that we do not know yet nobody can ask. And where a follower's log ends the log does not: a client that does not know that it
/// reads from one would begin somewhere else.
pub(super) fn ours(
    mut told: PartitionData,
    place: Option<&TopicPlace>,
    from: Target,
    seen: &Seen<'_>,
) -> PartitionData {
    told.untag();
    told.current_leader.leader_id = seen.virtual_id(from.cluster, told.current_leader.leader_id.0);
    let leads = place.is_none_or(|place| match place.leader(told.partition_index) {
        Leader::At(leader, _) => leader == from,
        Leader::Nobody | Leader::NoPartition => true,
    });
    let unknown = named(&told, from).is_some_and(|replica| !seen.placement.knows(replica));
    if unknown || told.error_code == codes::OFFSET_OUT_OF_RANGE && !leads {
        told.error_code = codes::NOT_LEADER_OR_FOLLOWER;
    }
    let hears = seen.version >= WITH_READ_REPLICA && seen.view != View::Single && !unknown;
    let replica = if hears { told.preferred_read_replica.0 } else { -1 };
    told.preferred_read_replica = seen.virtual_id(from.cluster, replica);
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
