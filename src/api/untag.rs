//! Takes the tagged fields that we do not know off an upstream answer: a newer broker may put addresses there.

use bytes::Bytes;
use kafka_protocol::messages as m;
use std::collections::BTreeMap;

/// An answer, or a piece of one.
pub trait Untag {
    /// Empties `unknown_tagged_fields`, all the way down.
    fn untag(&mut self);
}

impl<T: Untag> Untag for Vec<T> {
    fn untag(&mut self) {
        self.iter_mut().for_each(Untag::untag);
    }
}

impl<T: Untag> Untag for Option<T> {
    fn untag(&mut self) {
        self.iter_mut().for_each(Untag::untag);
    }
}

impl Untag for BTreeMap<i32, Bytes> {
    fn untag(&mut self) {
        self.clear();
    }
}

/// Each answer with its fields that are structs themselves.
macro_rules! untag {
    ($($room:ident :: $answer:ident { $($field:ident),* })*) => {$(
        impl Untag for m::$room::$answer {
            fn untag(&mut self) {
                self.unknown_tagged_fields.untag();
                $(self.$field.untag();)*
            }
        }
    )*};
}

untag! {
    produce_response::PartitionProduceResponse { record_errors, current_leader }
    produce_response::BatchIndexAndErrorMessage {}
    produce_response::LeaderIdAndEpoch {}
    fetch_response::PartitionData { diverging_epoch, current_leader, snapshot_id, aborted_transactions }
    fetch_response::EpochEndOffset {}
    fetch_response::LeaderIdAndEpoch {}
    fetch_response::SnapshotId {}
    fetch_response::AbortedTransaction {}
    list_offsets_response::ListOffsetsPartitionResponse {}
    offset_for_leader_epoch_response::EpochEndOffset {}
    join_group_response::JoinGroupResponse { members }
    join_group_response::JoinGroupResponseMember {}
    sync_group_response::SyncGroupResponse {}
    heartbeat_response::HeartbeatResponse {}
    leave_group_response::LeaveGroupResponse { members }
    leave_group_response::MemberResponse {}
    offset_commit_response::OffsetCommitResponsePartition {}
    txn_offset_commit_response::TxnOffsetCommitResponsePartition {}
    init_producer_id_response::InitProducerIdResponse {}
    add_offsets_to_txn_response::AddOffsetsToTxnResponse {}
    end_txn_response::EndTxnResponse {}
    describe_transactions_response::TransactionState { topics }
    describe_transactions_response::TopicData {}
    list_transactions_response::TransactionState {}
    offset_fetch_response::OffsetFetchResponse { topics, groups }
    offset_fetch_response::OffsetFetchResponseTopic { partitions }
    offset_fetch_response::OffsetFetchResponsePartition {}
    offset_fetch_response::OffsetFetchResponseGroup { topics }
    offset_fetch_response::OffsetFetchResponseTopics { partitions }
    offset_fetch_response::OffsetFetchResponsePartitions {}
    describe_groups_response::DescribedGroup { members }
    describe_groups_response::DescribedGroupMember {}
    delete_groups_response::DeletableGroupResult {}
    list_groups_response::ListedGroup {}
    consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse { assignment }
    consumer_group_heartbeat_response::Assignment { topic_partitions }
    consumer_group_heartbeat_response::TopicPartitions {}
    consumer_group_describe_response::DescribedGroup { members }
    consumer_group_describe_response::Member { assignment, target_assignment }
    consumer_group_describe_response::Assignment { topic_partitions }
    consumer_group_describe_response::TopicPartitions {}
    share_group_heartbeat_response::ShareGroupHeartbeatResponse { assignment }
    share_group_heartbeat_response::Assignment { topic_partitions }
    share_group_heartbeat_response::TopicPartitions {}
    share_group_describe_response::DescribedGroup { members }
    share_group_describe_response::Member { assignment }
    share_group_describe_response::Assignment { topic_partitions }
    share_group_describe_response::TopicPartitions {}
    share_fetch_response::ShareFetchResponse { responses, node_endpoints }
    share_fetch_response::ShareFetchableTopicResponse { partitions }
    share_fetch_response::PartitionData { current_leader, acquired_records }
    share_fetch_response::LeaderIdAndEpoch {}
    share_fetch_response::AcquiredRecords {}
    share_fetch_response::NodeEndpoint {}
    share_acknowledge_response::ShareAcknowledgeResponse { responses, node_endpoints }
    share_acknowledge_response::ShareAcknowledgeTopicResponse { partitions }
    share_acknowledge_response::PartitionData { current_leader }
    share_acknowledge_response::LeaderIdAndEpoch {}
    share_acknowledge_response::NodeEndpoint {}
    describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseGroup { topics }
    describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseTopic { partitions }
    describe_share_group_offsets_response::DescribeShareGroupOffsetsResponsePartition {}
    alter_share_group_offsets_response::AlterShareGroupOffsetsResponse { responses }
    alter_share_group_offsets_response::AlterShareGroupOffsetsResponseTopic { partitions }
    alter_share_group_offsets_response::AlterShareGroupOffsetsResponsePartition {}
    delete_share_group_offsets_response::DeleteShareGroupOffsetsResponse { responses }
    delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic {}
    create_topics_response::CreatableTopicResult { configs }
    create_topics_response::CreatableTopicConfigs {}
    delete_topics_response::DeletableTopicResult {}
    describe_configs_response::DescribeConfigsResult { configs }
    describe_configs_response::DescribeConfigsResourceResult { synonyms }
    describe_configs_response::DescribeConfigsSynonym {}
    create_partitions_response::CreatePartitionsTopicResult {}
    delete_records_response::DeleteRecordsPartitionResult {}
    describe_producers_response::PartitionResponse { active_producers }
    describe_producers_response::ProducerState {}
    describe_log_dirs_response::DescribeLogDirsResult { topics }
    describe_log_dirs_response::DescribeLogDirsTopic { partitions }
    describe_log_dirs_response::DescribeLogDirsPartition {}
    elect_leaders_response::ReplicaElectionResult { partition_result }
    elect_leaders_response::PartitionResult {}
    alter_configs_response::AlterConfigsResourceResponse {}
    incremental_alter_configs_response::AlterConfigsResourceResponse {}
    alter_partition_reassignments_response::ReassignablePartitionResponse {}
    list_partition_reassignments_response::OngoingTopicReassignment { partitions }
    list_partition_reassignments_response::OngoingPartitionReassignment {}
    describe_client_quotas_response::EntryData { entity, values }
    describe_client_quotas_response::EntityData {}
    describe_client_quotas_response::ValueData {}
    alter_client_quotas_response::EntryData { entity }
    alter_client_quotas_response::EntityData {}
    describe_acls_response::DescribeAclsResource { acls }
    describe_acls_response::AclDescription {}
    create_acls_response::AclCreationResult {}
    delete_acls_response::DeleteAclsFilterResult { matching_acls }
    delete_acls_response::DeleteAclsMatchingAcl {}
    describe_user_scram_credentials_response::DescribeUserScramCredentialsResult { credential_infos }
    describe_user_scram_credentials_response::CredentialInfo {}
    alter_user_scram_credentials_response::AlterUserScramCredentialsResult {}
    list_config_resources_response::ConfigResource {}
}

/// Its only version has no tagged fields.
impl Untag for m::offset_delete_response::OffsetDeleteResponsePartition {
    fn untag(&mut self) {}
}
