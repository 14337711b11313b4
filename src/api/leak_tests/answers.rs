//! What a broker answers that tells more than it should: an address or an id of its own in every field that could bear
//! one, and in tagged fields that we do not know. What belongs to clients bears [`KEPT`] instead and must come through.

use super::{IDS, KEPT, address, kept, tags};
use crate::api::testing::text;
use kafka_protocol::messages::add_partitions_to_txn_response as added;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::describe_transactions_response as described;
use kafka_protocol::messages::fetch_response::{self as fetch, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::list_transactions_response as listed;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_fetch_response as offset_fetch;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::produce_response::{self as produce, PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// How an answer is written: in which version, and with which code in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) version: i16,
    pub(super) code: i16,
}

pub(super) fn topic() -> TopicName {
    TopicName(kept())
}

/// A message, where the code is one at which Kafka names brokers by id.
pub(super) fn why(how: How) -> Option<StrBytes> {
    Some(if how.code == 39 { text(&format!("no broker {}", IDS[0])) } else { address() })
}

pub(super) fn topic_id() -> Uuid {
    Uuid::from_bytes(*b"kept-kept-kept-k")
}

fn ids() -> Vec<BrokerId> {
    IDS.map(BrokerId).to_vec()
}

fn port() -> i32 {
    super::PORT.into()
}

fn host() -> StrBytes {
    text(super::HOST)
}

pub(super) fn metadata() -> MetadataResponse {
    let broker = |id| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(id))
            .with_host(host())
            .with_port(port())
            .with_rack(Some(kept()))
            .with_unknown_tagged_fields(tags())
    };
    let partition = |(leader, index)| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(BrokerId(leader))
            .with_replica_nodes(ids())
            .with_isr_nodes(ids())
            .with_offline_replicas(ids())
            .with_unknown_tagged_fields(tags())
    };
    let topic = MetadataResponseTopic::default()
        .with_name(Some(TopicName(kept())))
        .with_topic_id(topic_id())
        .with_partitions(IDS.into_iter().zip(0..).map(partition).collect())
        .with_unknown_tagged_fields(tags());
    MetadataResponse::default()
        .with_brokers(IDS.map(broker).to_vec())
        .with_cluster_id(Some(address()))
        .with_controller_id(BrokerId(IDS[0]))
        .with_topics(vec![topic])
        .with_unknown_tagged_fields(tags())
}

pub(super) fn list_offsets(asked: &ListOffsetsRequest, how: How) -> ListOffsetsResponse {
    let partition = ListOffsetsPartitionResponse::default()
        .with_error_code(how.code)
        .with_leader_epoch(if how.version < 4 { -1 } else { 3 })
        .with_unknown_tagged_fields(tags());
    let topics = asked.topics.iter().map(|topic| {
        let told = topic.partitions.iter().map(|asked| partition.clone().with_partition_index(asked.partition_index));
        ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(told.collect())
            .with_unknown_tagged_fields(tags())
    });
    ListOffsetsResponse::default().with_topics(topics.collect()).with_unknown_tagged_fields(tags())
}

pub(super) fn epochs(asked: &OffsetForLeaderEpochRequest, how: How) -> OffsetForLeaderEpochResponse {
    let partition = EpochEndOffset::default().with_error_code(how.code).with_unknown_tagged_fields(tags());
    let topics = asked.topics.iter().map(|topic| {
        let told = topic.partitions.iter().map(|asked| partition.clone().with_partition(asked.partition));
        OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic.clone())
            .with_partitions(told.collect())
            .with_unknown_tagged_fields(tags())
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect()).with_unknown_tagged_fields(tags())
}

pub(super) fn join_group(_: &JoinGroupRequest, how: How) -> JoinGroupResponse {
    let member = JoinGroupResponseMember::default()
        .with_member_id(kept())
        .with_group_instance_id(Some(kept()))
        .with_metadata(KEPT.into())
        .with_unknown_tagged_fields(tags());
    JoinGroupResponse::default()
        .with_error_code(how.code)
        .with_protocol_type(Some(kept()))
        .with_protocol_name(Some(kept()))
        .with_leader(kept())
        .with_member_id(kept())
        .with_members(vec![member])
        .with_unknown_tagged_fields(tags())
}

pub(super) fn sync_group(_: &SyncGroupRequest, how: How) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_error_code(how.code)
        .with_protocol_type(Some(kept()))
        .with_protocol_name(Some(kept()))
        .with_assignment(KEPT.into())
        .with_unknown_tagged_fields(tags())
}

pub(super) fn heartbeat(_: &HeartbeatRequest, how: How) -> HeartbeatResponse {
    HeartbeatResponse::default().with_error_code(how.code).with_unknown_tagged_fields(tags())
}

pub(super) fn leave_group(_: &LeaveGroupRequest, how: How) -> LeaveGroupResponse {
    let member = MemberResponse::default()
        .with_member_id(kept())
        .with_group_instance_id(Some(kept()))
        .with_error_code(how.code)
        .with_unknown_tagged_fields(tags());
    let members = if how.version < 3 { vec![] } else { vec![member] };
    LeaveGroupResponse::default().with_error_code(how.code).with_members(members).with_unknown_tagged_fields(tags())
}

pub(super) fn offset_commit(asked: &OffsetCommitRequest, how: How) -> OffsetCommitResponse {
    let partition =
        OffsetCommitResponsePartition::default().with_error_code(how.code).with_unknown_tagged_fields(tags());
    let topics = asked.topics.iter().map(|topic| {
        let told = topic.partitions.iter().map(|asked| partition.clone().with_partition_index(asked.partition_index));
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(told.collect())
            .with_unknown_tagged_fields(tags())
    });
    OffsetCommitResponse::default().with_topics(topics.collect()).with_unknown_tagged_fields(tags())
}

pub(super) fn offset_fetch(_: &OffsetFetchRequest, how: How) -> OffsetFetchResponse {
    let answer = OffsetFetchResponse::default().with_unknown_tagged_fields(tags());
    if how.version < 8 {
        let partition = offset_fetch::OffsetFetchResponsePartition::default()
            .with_metadata(Some(kept()))
            .with_error_code(how.code)
            .with_unknown_tagged_fields(tags());
        let topic = offset_fetch::OffsetFetchResponseTopic::default()
            .with_name(TopicName(kept()))
            .with_partitions(vec![partition])
            .with_unknown_tagged_fields(tags());
        return answer.with_topics(vec![topic]).with_error_code(if how.version < 2 { 0 } else { how.code });
    }
    let partition = offset_fetch::OffsetFetchResponsePartitions::default()
        .with_metadata(Some(kept()))
        .with_error_code(how.code)
        .with_unknown_tagged_fields(tags());
    let topic = offset_fetch::OffsetFetchResponseTopics::default()
        .with_name(TopicName(kept()))
        .with_partitions(vec![partition])
        .with_unknown_tagged_fields(tags());
    let group = offset_fetch::OffsetFetchResponseGroup::default()
        .with_group_id(GroupId(kept()))
        .with_topics(vec![topic])
        .with_error_code(how.code)
        .with_unknown_tagged_fields(tags());
    answer.with_groups(vec![group])
}

pub(super) fn describe_groups(asked: &DescribeGroupsRequest, how: How) -> DescribeGroupsResponse {
    let member = DescribedGroupMember::default()
        .with_member_id(kept())
        .with_group_instance_id(Some(kept()))
        .with_client_id(kept())
        .with_client_host(address())
        .with_member_metadata(KEPT.into())
        .with_member_assignment(KEPT.into())
        .with_unknown_tagged_fields(tags());
    let group = DescribedGroup::default()
        .with_error_code(how.code)
        .with_error_message(Some(address()).filter(|_| how.version >= 6))
        .with_group_state(kept())
        .with_protocol_type(kept())
        .with_protocol_data(kept())
        .with_members(vec![member])
        .with_unknown_tagged_fields(tags());
    let groups = asked.groups.iter().map(|asked| group.clone().with_group_id(asked.clone()));
    DescribeGroupsResponse::default().with_groups(groups.collect()).with_unknown_tagged_fields(tags())
}

pub(super) fn delete_groups(asked: &DeleteGroupsRequest, how: How) -> DeleteGroupsResponse {
    let group = DeletableGroupResult::default().with_error_code(how.code).with_unknown_tagged_fields(tags());
    let groups = asked.groups_names.iter().map(|asked| group.clone().with_group_id(asked.clone()));
    DeleteGroupsResponse::default().with_results(groups.collect()).with_unknown_tagged_fields(tags())
}

pub(super) fn list_groups(_: &ListGroupsRequest, how: How) -> ListGroupsResponse {
    let group = ListedGroup::default()
        .with_group_id(GroupId(kept()))
        .with_protocol_type(kept())
        .with_group_state(kept())
        .with_group_type(kept())
        .with_unknown_tagged_fields(tags());
    ListGroupsResponse::default().with_error_code(how.code).with_groups(vec![group]).with_unknown_tagged_fields(tags())
}

/// Configs that bear addresses and ids under names where Kafka has them, and an address where it has none.
fn configs() -> [(&'static str, StrBytes); 5] {
    let id = IDS[0];
    [
        ("listeners", address()),
        ("node.id", text(&id.to_string())),
        ("controller.quorum.voters", text(&format!("{id}@elsewhere:{}", port()))),
        ("leader.replication.throttled.replicas", text(&format!("0:{id},1:{}", IDS[1]))),
        ("vendor.link", address()),
    ]
}

pub(super) fn create_topics(asked: &CreateTopicsRequest, how: How) -> CreateTopicsResponse {
    let config = |(name, value)| {
        CreatableTopicConfigs::default()
            .with_name(text(name))
            .with_value(Some(value))
            .with_unknown_tagged_fields(tags())
    };
    let topic = CreatableTopicResult::default()
        .with_topic_id(topic_id())
        .with_error_code(how.code)
        .with_error_message(Some(if how.code == 39 { text(&format!("no broker {}", IDS[0])) } else { address() }))
        .with_configs(Some(configs().map(config).to_vec()))
        .with_unknown_tagged_fields(tags());
    let topics = asked.topics.iter().map(|asked| topic.clone().with_name(asked.name.clone()));
    CreateTopicsResponse::default().with_topics(topics.collect()).with_unknown_tagged_fields(tags())
}

pub(super) fn delete_topics(_: &DeleteTopicsRequest, how: How) -> DeleteTopicsResponse {
    let topic = DeletableTopicResult::default()
        .with_name(Some(TopicName(kept())))
        .with_topic_id(topic_id())
        .with_error_code(how.code)
        .with_error_message(Some(address()))
        .with_unknown_tagged_fields(tags());
    DeleteTopicsResponse::default().with_responses(vec![topic]).with_unknown_tagged_fields(tags())
}

pub(super) fn describe_configs(asked: &DescribeConfigsRequest, how: How) -> DescribeConfigsResponse {
    let config = |(name, value): (&str, StrBytes)| {
        let synonym = DescribeConfigsSynonym::default()
            .with_name(text(name))
            .with_value(Some(value.clone()))
            .with_unknown_tagged_fields(tags());
        DescribeConfigsResourceResult::default()
            .with_name(text(name))
            .with_value(Some(value))
            .with_synonyms(vec![synonym])
            .with_documentation(Some(address()))
            .with_unknown_tagged_fields(tags())
    };
    let result = DescribeConfigsResult::default()
        .with_error_code(how.code)
        .with_configs(configs().map(config).to_vec())
        .with_unknown_tagged_fields(tags());
    let results = asked.resources.iter().map(|asked| {
        // Brokers name themselves where they refuse a request about brokers.
        let of_broker = matches!(asked.resource_type, 4 | 8) && how.code == 42;
        let why = if of_broker { text(&format!("Unexpected broker id, expected {}", IDS[0])) } else { address() };
        let result = result.clone().with_error_message(Some(why));
        result.with_resource_type(asked.resource_type).with_resource_name(asked.resource_name.clone())
    });
    DescribeConfigsResponse::default().with_results(results.collect()).with_unknown_tagged_fields(tags())
}

pub(super) fn produce(asked: &ProduceRequest, how: How) -> ProduceResponse {
    let endpoint = produce::NodeEndpoint::default()
        .with_node_id(BrokerId(IDS[1]))
        .with_host(host())
        .with_port(port())
        .with_rack(Some(kept()))
        .with_unknown_tagged_fields(tags());
    let leader = produce::LeaderIdAndEpoch::default()
        .with_leader_id(BrokerId(IDS[1]))
        .with_leader_epoch(9)
        .with_unknown_tagged_fields(tags());
    let record = produce::BatchIndexAndErrorMessage::default()
        .with_batch_index_error_message(Some(address()))
        .with_unknown_tagged_fields(tags());
    let partition = PartitionProduceResponse::default()
        .with_error_code(how.code)
        .with_record_errors(vec![record])
        .with_error_message(Some(address()))
        .with_current_leader(leader)
        .with_unknown_tagged_fields(tags());
    let topics = asked.topic_data.iter().map(|topic| {
        let told = topic.partition_data.iter().map(|asked| partition.clone().with_index(asked.index));
        TopicProduceResponse::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partition_responses(told.collect())
            .with_unknown_tagged_fields(tags())
    });
    ProduceResponse::default()
        .with_responses(topics.collect())
        .with_node_endpoints(vec![endpoint])
        .with_unknown_tagged_fields(tags())
}

pub(super) fn fetch(asked: &FetchRequest, how: How) -> FetchResponse {
    let endpoint = fetch::NodeEndpoint::default()
        .with_node_id(BrokerId(IDS[1]))
        .with_host(host())
        .with_port(port())
        .with_rack(Some(kept()))
        .with_unknown_tagged_fields(tags());
    let leader = fetch::LeaderIdAndEpoch::default()
        .with_leader_id(BrokerId(IDS[1]))
        .with_leader_epoch(9)
        .with_unknown_tagged_fields(tags());
    let diverging =
        fetch::EpochEndOffset::default().with_epoch(1).with_end_offset(2).with_unknown_tagged_fields(tags());
    let snapshot = fetch::SnapshotId::default().with_epoch(1).with_end_offset(2).with_unknown_tagged_fields(tags());
    let aborted = fetch::AbortedTransaction::default().with_unknown_tagged_fields(tags());
    let partition = PartitionData::default()
        .with_error_code(how.code)
        .with_diverging_epoch(diverging)
        .with_current_leader(leader)
        .with_snapshot_id(snapshot)
        .with_aborted_transactions(Some(vec![aborted]))
        .with_preferred_read_replica(BrokerId(if how.version < 11 { -1 } else { IDS[0] }))
        .with_records(Some(KEPT.into()))
        .with_unknown_tagged_fields(tags());
    let topics = asked.topics.iter().map(|topic| {
        let told = topic.partitions.iter().map(|asked| partition.clone().with_partition_index(asked.partition));
        FetchableTopicResponse::default()
            .with_topic(topic.topic.clone())
            .with_topic_id(topic.topic_id)
            .with_partitions(told.collect())
            .with_unknown_tagged_fields(tags())
    });
    FetchResponse::default()
        .with_responses(topics.collect())
        .with_node_endpoints(vec![endpoint])
        .with_unknown_tagged_fields(tags())
}

pub(super) fn init_producer_id(_: &InitProducerIdRequest, how: How) -> InitProducerIdResponse {
    InitProducerIdResponse::default().with_error_code(how.code).with_unknown_tagged_fields(tags())
}

pub(super) fn add_partitions(asked: &AddPartitionsToTxnRequest, how: How) -> AddPartitionsToTxnResponse {
    let partition = |index: &i32| {
        added::AddPartitionsToTxnPartitionResult::default()
            .with_partition_index(*index)
            .with_partition_error_code(how.code)
            .with_unknown_tagged_fields(tags())
    };
    let topic = |topic: &add_partitions_to_txn_request::AddPartitionsToTxnTopic| {
        added::AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(topic.partitions.iter().map(partition).collect())
            .with_unknown_tagged_fields(tags())
    };
    let answer = AddPartitionsToTxnResponse::default().with_unknown_tagged_fields(tags());
    if how.version < 4 {
        let topics = asked.v3_and_below_topics.iter().map(topic);
        return answer.with_results_by_topic_v3_and_below(topics.collect());
    }
    let one = |one: &add_partitions_to_txn_request::AddPartitionsToTxnTransaction| {
        added::AddPartitionsToTxnResult::default()
            .with_transactional_id(one.transactional_id.clone())
            .with_topic_results(one.topics.iter().map(topic).collect())
            .with_unknown_tagged_fields(tags())
    };
    answer.with_error_code(how.code).with_results_by_transaction(asked.transactions.iter().map(one).collect())
}

pub(super) fn add_offsets(_: &AddOffsetsToTxnRequest, how: How) -> AddOffsetsToTxnResponse {
    AddOffsetsToTxnResponse::default().with_error_code(how.code).with_unknown_tagged_fields(tags())
}

pub(super) fn end_txn(_: &EndTxnRequest, how: How) -> EndTxnResponse {
    EndTxnResponse::default().with_error_code(how.code).with_unknown_tagged_fields(tags())
}

pub(super) fn txn_offset_commit(asked: &TxnOffsetCommitRequest, how: How) -> TxnOffsetCommitResponse {
    let partition =
        TxnOffsetCommitResponsePartition::default().with_error_code(how.code).with_unknown_tagged_fields(tags());
    let topics = asked.topics.iter().map(|topic| {
        let told = topic.partitions.iter().map(|asked| partition.clone().with_partition_index(asked.partition_index));
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(told.collect())
            .with_unknown_tagged_fields(tags())
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect()).with_unknown_tagged_fields(tags())
}

pub(super) fn describe_transactions(asked: &DescribeTransactionsRequest, how: How) -> DescribeTransactionsResponse {
    let topic = described::TopicData::default()
        .with_topic(TopicName(kept()))
        .with_partitions(vec![0])
        .with_unknown_tagged_fields(tags());
    let state = |id: &TransactionalId| {
        described::TransactionState::default()
            .with_error_code(how.code)
            .with_transactional_id(id.clone())
            .with_transaction_state(kept())
            .with_topics(vec![topic.clone()])
            .with_unknown_tagged_fields(tags())
    };
    DescribeTransactionsResponse::default()
        .with_transaction_states(asked.transactional_ids.iter().map(state).collect())
        .with_unknown_tagged_fields(tags())
}

pub(super) fn list_transactions(asked: &ListTransactionsRequest, how: How) -> ListTransactionsResponse {
    let state = listed::TransactionState::default()
        .with_transactional_id(TransactionalId(kept()))
        .with_transaction_state(kept())
        .with_unknown_tagged_fields(tags());
    ListTransactionsResponse::default()
        .with_error_code(how.code)
        .with_unknown_state_filters(asked.state_filters.clone())
        .with_transaction_states(vec![state])
        .with_unknown_tagged_fields(tags())
}
