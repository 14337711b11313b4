//! Requests about what the planted world has, each in the fields that its version has.

use super::answers::topic_id;
use super::{KEPT, kept};
use crate::api::testing::text;
use kafka_protocol::messages::add_partitions_to_txn_request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request as offset_fetch;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

fn topic() -> TopicName {
    TopicName(kept())
}

fn group() -> GroupId {
    GroupId(kept())
}

fn since(version: i16, first: i16) -> Option<StrBytes> {
    (version >= first).then(kept)
}

/// A topic by name, or by its id where the version has no names.
fn named(version: i16, by_id_from: i16) -> (TopicName, Uuid) {
    if version >= by_id_from { (TopicName::default(), topic_id()) } else { (topic(), Uuid::nil()) }
}

pub(super) fn list_offsets(version: i16) -> ListOffsetsRequest {
    let partition = |index| {
        let timestamp = if version >= 7 && index == 1 { -3 } else { -1 };
        ListOffsetsPartition::default().with_partition_index(index).with_timestamp(timestamp)
    };
    let topic = ListOffsetsTopic::default().with_name(topic()).with_partitions((0..2).map(partition).collect());
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level((version >= 2).into())
        .with_timeout_ms(if version >= 10 { 100 } else { 0 })
        .with_topics(vec![topic])
}

pub(super) fn epochs(_: i16) -> OffsetForLeaderEpochRequest {
    let partition = |index| OffsetForLeaderPartition::default().with_partition(index);
    let topic = OffsetForLeaderTopic::default().with_topic(topic()).with_partitions((0..2).map(partition).collect());
    OffsetForLeaderEpochRequest::default().with_topics(vec![topic])
}

pub(super) fn join_group(version: i16) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(kept()).with_metadata(KEPT.into());
    JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(45_000)
        .with_rebalance_timeout_ms(if version >= 1 { 300_000 } else { -1 })
        .with_member_id(kept())
        .with_group_instance_id(since(version, 5))
        .with_reason(since(version, 8))
        .with_protocols(vec![protocol])
}

pub(super) fn sync_group(version: i16) -> SyncGroupRequest {
    let assignment = SyncGroupRequestAssignment::default().with_member_id(kept()).with_assignment(KEPT.into());
    SyncGroupRequest::default()
        .with_group_id(group())
        .with_member_id(kept())
        .with_group_instance_id(since(version, 3))
        .with_protocol_type(since(version, 5))
        .with_protocol_name(since(version, 5))
        .with_assignments(vec![assignment])
}

pub(super) fn heartbeat(version: i16) -> HeartbeatRequest {
    HeartbeatRequest::default().with_group_id(group()).with_member_id(kept()).with_group_instance_id(since(version, 3))
}

pub(super) fn leave_group(version: i16) -> LeaveGroupRequest {
    let request = LeaveGroupRequest::default().with_group_id(group());
    if version < 3 {
        return request.with_member_id(kept());
    }
    let member = MemberIdentity::default().with_member_id(kept()).with_group_instance_id(Some(kept()));
    request.with_members(vec![member.with_reason(since(version, 5))])
}

pub(super) fn offset_commit(version: i16) -> OffsetCommitRequest {
    let partition = |index| OffsetCommitRequestPartition::default().with_partition_index(index);
    let topic = OffsetCommitRequestTopic::default().with_name(topic()).with_partitions((0..2).map(partition).collect());
    OffsetCommitRequest::default()
        .with_group_id(group())
        .with_member_id(kept())
        .with_group_instance_id(since(version, 7))
        .with_retention_time_ms(if version < 5 { 5 } else { -1 })
        .with_topics(vec![topic])
}

pub(super) fn offset_fetch(version: i16) -> OffsetFetchRequest {
    let request = OffsetFetchRequest::default().with_require_stable(version >= 7);
    if version < 8 {
        let topic = offset_fetch::OffsetFetchRequestTopic::default().with_name(topic()).with_partition_indexes(vec![0]);
        return request.with_group_id(group()).with_topics(Some(vec![topic]));
    }
    let topic = offset_fetch::OffsetFetchRequestTopics::default().with_name(topic()).with_partition_indexes(vec![0]);
    let group = offset_fetch::OffsetFetchRequestGroup::default()
        .with_group_id(group())
        .with_topics(Some(vec![topic]))
        .with_member_id(since(version, 9))
        .with_member_epoch(if version >= 9 { 4 } else { -1 });
    request.with_groups(vec![group])
}

pub(super) fn find_coordinator(version: i16) -> FindCoordinatorRequest {
    let request = FindCoordinatorRequest::default();
    if version < 4 { request.with_key(kept()) } else { request.with_coordinator_keys(vec![kept()]) }
}

pub(super) fn describe_groups(version: i16) -> DescribeGroupsRequest {
    DescribeGroupsRequest::default().with_groups(vec![group()]).with_include_authorized_operations(version >= 3)
}

pub(super) fn delete_groups(_: i16) -> DeleteGroupsRequest {
    DeleteGroupsRequest::default().with_groups_names(vec![group()])
}

pub(super) fn list_groups(version: i16) -> ListGroupsRequest {
    let types = if version >= 5 { vec![text("classic")] } else { vec![] };
    ListGroupsRequest::default().with_types_filter(types)
}

pub(super) fn create_topics(_: i16) -> CreateTopicsRequest {
    CreateTopicsRequest::default().with_topics(vec![CreatableTopic::default().with_name(topic())])
}

pub(super) fn delete_topics(version: i16) -> DeleteTopicsRequest {
    if version < 6 {
        return DeleteTopicsRequest::default().with_topic_names(vec![topic()]);
    }
    let by_name = DeleteTopicState::default().with_name(Some(topic()));
    let by_id = DeleteTopicState::default().with_name(None).with_topic_id(topic_id());
    DeleteTopicsRequest::default().with_topics(vec![by_name, by_id])
}

pub(super) fn describe_configs(version: i16) -> DescribeConfigsRequest {
    let node = super::node().to_string();
    let resource = |(kind, name): (i8, &str)| {
        DescribeConfigsResource::default().with_resource_type(kind).with_resource_name(text(name))
    };
    let resources = [(2, "kept"), (4, &*node), (4, ""), (4, "1040187392"), (8, &*node), (32, "kept"), (16, "kept")];
    DescribeConfigsRequest::default()
        .with_resources(resources.map(resource).to_vec())
        .with_include_synonyms(true)
        .with_include_documentation(version >= 3)
}

pub(super) fn metadata(version: i16) -> MetadataRequest {
    MetadataRequest::default()
        .with_topics(if version > 0 { None } else { Some(vec![]) })
        .with_allow_auto_topic_creation(true)
        .with_include_cluster_authorized_operations((8..=10).contains(&version))
        .with_include_topic_authorized_operations(version >= 8)
}

/// A topic that is there and one that would be made.
pub(super) fn named_metadata(version: i16) -> MetadataRequest {
    let topic = |name: &str| MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
    metadata(version).with_topics(Some(vec![topic("kept"), topic("unknown")]))
}

pub(super) fn describe_cluster(_: i16) -> DescribeClusterRequest {
    DescribeClusterRequest::default().with_endpoint_type(1).with_include_cluster_authorized_operations(true)
}

pub(super) fn describe_topic_partitions(_: i16) -> DescribeTopicPartitionsRequest {
    let topic = TopicRequest::default().with_name(topic());
    DescribeTopicPartitionsRequest::default().with_topics(vec![topic]).with_response_partition_limit(10)
}

pub(super) fn init_producer_id(_: i16) -> InitProducerIdRequest {
    InitProducerIdRequest::default().with_transactional_id(None)
}

pub(super) fn find_coordinator_of_transactions(version: i16) -> FindCoordinatorRequest {
    find_coordinator(version).with_key_type(1)
}

fn transactional_id() -> TransactionalId {
    TransactionalId(kept())
}

pub(super) fn init_transactions(_: i16) -> InitProducerIdRequest {
    InitProducerIdRequest::default().with_transactional_id(Some(transactional_id())).with_transaction_timeout_ms(5)
}

pub(super) fn add_partitions(version: i16) -> AddPartitionsToTxnRequest {
    let topics = vec![AddPartitionsToTxnTopic::default().with_name(topic()).with_partitions(vec![0, 1])];
    let request = AddPartitionsToTxnRequest::default();
    if version < 4 {
        return request.with_v3_and_below_transactional_id(transactional_id()).with_v3_and_below_topics(topics);
    }
    let one = AddPartitionsToTxnTransaction::default().with_transactional_id(transactional_id()).with_topics(topics);
    request.with_transactions(vec![one])
}

pub(super) fn add_offsets(_: i16) -> AddOffsetsToTxnRequest {
    AddOffsetsToTxnRequest::default().with_transactional_id(transactional_id()).with_group_id(group())
}

pub(super) fn end_txn(_: i16) -> EndTxnRequest {
    EndTxnRequest::default().with_transactional_id(transactional_id()).with_committed(true)
}

pub(super) fn txn_offset_commit(version: i16) -> TxnOffsetCommitRequest {
    let partition = |index| TxnOffsetCommitRequestPartition::default().with_partition_index(index);
    let topic =
        TxnOffsetCommitRequestTopic::default().with_name(topic()).with_partitions((0..2).map(partition).collect());
    TxnOffsetCommitRequest::default()
        .with_transactional_id(transactional_id())
        .with_group_id(group())
        .with_member_id(since(version, 3).unwrap_or_default())
        .with_group_instance_id(since(version, 3))
        .with_generation_id(if version < 3 { -1 } else { 3 })
        .with_topics(vec![topic])
}

pub(super) fn describe_transactions(_: i16) -> DescribeTransactionsRequest {
    DescribeTransactionsRequest::default().with_transactional_ids(vec![transactional_id()])
}

pub(super) fn list_transactions(_: i16) -> ListTransactionsRequest {
    ListTransactionsRequest::default().with_state_filters(vec![kept()])
}

pub(super) fn produce(version: i16) -> ProduceRequest {
    let (name, id) = named(version, 13);
    let partition = |index| PartitionProduceData::default().with_index(index).with_records(Some(KEPT.into()));
    let topic = TopicProduceData::default()
        .with_name(name)
        .with_topic_id(id)
        .with_partition_data((0..2).map(partition).collect());
    ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic])
}

/// With both partitions the request is split, with one it passes through.
pub(super) fn fetch(version: i16, partitions: i32) -> FetchRequest {
    let (name, id) = named(version, 13);
    let partition = |index| FetchPartition::default().with_partition(index);
    let topic = FetchTopic::default()
        .with_topic(name)
        .with_topic_id(id)
        .with_partitions((0..partitions).map(partition).collect());
    FetchRequest::default().with_topics(vec![topic])
}
