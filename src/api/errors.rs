//! The error codes that answers bear, for who counts them: which they are, and what Kafka calls them.

use kafka_protocol::messages as m;

/// The codes of one answer, each once. Without an error it takes no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codes(Vec<i16>);

impl Codes {
    /// Notes a code; 0 is none.
    pub fn note(&mut self, code: i16) {
        if code != 0 && !self.0.contains(&code) {
            self.0.push(code);
        }
    }

    /// Kafka's names of them.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|code| name(*code))
    }
}

/// An answer, or a piece of one.
pub trait ErrorCodes {
    /// Tells every error code in it, all the way down.
    fn tell(&self, codes: &mut Codes);
}

impl ErrorCodes for Codes {
    fn tell(&self, codes: &mut Codes) {
        self.0.iter().for_each(|code| codes.note(*code));
    }
}

impl ErrorCodes for i16 {
    fn tell(&self, codes: &mut Codes) {
        codes.note(*self);
    }
}

impl<T: ErrorCodes> ErrorCodes for Vec<T> {
    fn tell(&self, codes: &mut Codes) {
        self.iter().for_each(|one| one.tell(codes));
    }
}

/// Each answer with its codes and its fields that have some.
macro_rules! error_codes {
    ($($room:ident :: { $($answer:ident { $($field:ident),* })* })*) => {$($(
        impl ErrorCodes for m::$room::$answer {
            fn tell(&self, codes: &mut Codes) {
                $(self.$field.tell(codes);)*
            }
        }
    )*)*};
}

error_codes! {
    api_versions_response::{ ApiVersionsResponse { error_code } }
    sasl_handshake_response::{ SaslHandshakeResponse { error_code } }
    sasl_authenticate_response::{ SaslAuthenticateResponse { error_code } }
    metadata_response::{
        MetadataResponse { error_code, topics }
        MetadataResponseTopic { error_code, partitions }
        MetadataResponsePartition { error_code }
    }
    produce_response::{
        ProduceResponse { responses }
        TopicProduceResponse { partition_responses }
        PartitionProduceResponse { error_code }
    }
    fetch_response::{
        FetchResponse { error_code, responses }
        FetchableTopicResponse { partitions }
        PartitionData { error_code }
    }
    list_offsets_response::{
        ListOffsetsResponse { topics }
        ListOffsetsTopicResponse { partitions }
        ListOffsetsPartitionResponse { error_code }
    }
    offset_for_leader_epoch_response::{
        OffsetForLeaderEpochResponse { topics }
        OffsetForLeaderTopicResult { partitions }
        EpochEndOffset { error_code }
    }
    init_producer_id_response::{ InitProducerIdResponse { error_code } }
    add_partitions_to_txn_response::{
        AddPartitionsToTxnResponse { error_code, results_by_transaction, results_by_topic_v3_and_below }
        AddPartitionsToTxnResult { topic_results }
        AddPartitionsToTxnTopicResult { results_by_partition }
        AddPartitionsToTxnPartitionResult { partition_error_code }
    }
    add_offsets_to_txn_response::{ AddOffsetsToTxnResponse { error_code } }
    end_txn_response::{ EndTxnResponse { error_code } }
    txn_offset_commit_response::{
        TxnOffsetCommitResponse { topics }
        TxnOffsetCommitResponseTopic { partitions }
        TxnOffsetCommitResponsePartition { error_code }
    }
    describe_transactions_response::{
        DescribeTransactionsResponse { transaction_states }
        TransactionState { error_code }
    }
    list_transactions_response::{ ListTransactionsResponse { error_code } }
    find_coordinator_response::{
        FindCoordinatorResponse { error_code, coordinators }
        Coordinator { error_code }
    }
    join_group_response::{ JoinGroupResponse { error_code } }
    sync_group_response::{ SyncGroupResponse { error_code } }
    heartbeat_response::{ HeartbeatResponse { error_code } }
    leave_group_response::{
        LeaveGroupResponse { error_code, members }
        MemberResponse { error_code }
    }
    offset_commit_response::{
        OffsetCommitResponse { topics }
        OffsetCommitResponseTopic { partitions }
        OffsetCommitResponsePartition { error_code }
    }
    offset_fetch_response::{
        OffsetFetchResponse { error_code, topics, groups }
        OffsetFetchResponseTopic { partitions }
        OffsetFetchResponsePartition { error_code }
        OffsetFetchResponseGroup { error_code, topics }
        OffsetFetchResponseTopics { partitions }
        OffsetFetchResponsePartitions { error_code }
    }
    describe_groups_response::{
        DescribeGroupsResponse { groups }
        DescribedGroup { error_code }
    }
    consumer_group_heartbeat_response::{ ConsumerGroupHeartbeatResponse { error_code } }
    consumer_group_describe_response::{
        ConsumerGroupDescribeResponse { groups }
        DescribedGroup { error_code }
    }
    share_group_heartbeat_response::{ ShareGroupHeartbeatResponse { error_code } }
    share_group_describe_response::{
        ShareGroupDescribeResponse { groups }
        DescribedGroup { error_code }
    }
    share_fetch_response::{
        ShareFetchResponse { error_code, responses }
        ShareFetchableTopicResponse { partitions }
        PartitionData { error_code, acknowledge_error_code }
    }
    share_acknowledge_response::{
        ShareAcknowledgeResponse { error_code, responses }
        ShareAcknowledgeTopicResponse { partitions }
        PartitionData { error_code }
    }
    describe_share_group_offsets_response::{
        DescribeShareGroupOffsetsResponse { groups }
        DescribeShareGroupOffsetsResponseGroup { error_code, topics }
        DescribeShareGroupOffsetsResponseTopic { partitions }
        DescribeShareGroupOffsetsResponsePartition { error_code }
    }
    alter_share_group_offsets_response::{
        AlterShareGroupOffsetsResponse { error_code, responses }
        AlterShareGroupOffsetsResponseTopic { partitions }
        AlterShareGroupOffsetsResponsePartition { error_code }
    }
    delete_share_group_offsets_response::{
        DeleteShareGroupOffsetsResponse { error_code, responses }
        DeleteShareGroupOffsetsResponseTopic { error_code }
    }
    list_groups_response::{ ListGroupsResponse { error_code } }
    delete_groups_response::{
        DeleteGroupsResponse { results }
        DeletableGroupResult { error_code }
    }
    create_topics_response::{
        CreateTopicsResponse { topics }
        CreatableTopicResult { error_code }
    }
    delete_topics_response::{
        DeleteTopicsResponse { responses }
        DeletableTopicResult { error_code }
    }
    describe_configs_response::{
        DescribeConfigsResponse { results }
        DescribeConfigsResult { error_code }
    }
    describe_cluster_response::{ DescribeClusterResponse { error_code } }
    create_partitions_response::{
        CreatePartitionsResponse { results }
        CreatePartitionsTopicResult { error_code }
    }
    delete_records_response::{
        DeleteRecordsResponse { topics }
        DeleteRecordsTopicResult { partitions }
        DeleteRecordsPartitionResult { error_code }
    }
    offset_delete_response::{
        OffsetDeleteResponse { error_code, topics }
        OffsetDeleteResponseTopic { partitions }
        OffsetDeleteResponsePartition { error_code }
    }
    describe_producers_response::{
        DescribeProducersResponse { topics }
        TopicResponse { partitions }
        PartitionResponse { error_code }
    }
    describe_log_dirs_response::{
        DescribeLogDirsResponse { error_code, results }
        DescribeLogDirsResult { error_code }
    }
    elect_leaders_response::{
        ElectLeadersResponse { error_code, replica_election_results }
        ReplicaElectionResult { partition_result }
        PartitionResult { error_code }
    }
    alter_configs_response::{
        AlterConfigsResponse { responses }
        AlterConfigsResourceResponse { error_code }
    }
    incremental_alter_configs_response::{
        IncrementalAlterConfigsResponse { responses }
        AlterConfigsResourceResponse { error_code }
    }
    alter_partition_reassignments_response::{
        AlterPartitionReassignmentsResponse { error_code, responses }
        ReassignableTopicResponse { partitions }
        ReassignablePartitionResponse { error_code }
    }
    list_partition_reassignments_response::{ ListPartitionReassignmentsResponse { error_code } }
    describe_client_quotas_response::{ DescribeClientQuotasResponse { error_code } }
    alter_client_quotas_response::{
        AlterClientQuotasResponse { entries }
        EntryData { error_code }
    }
    describe_acls_response::{ DescribeAclsResponse { error_code } }
    create_acls_response::{
        CreateAclsResponse { results }
        AclCreationResult { error_code }
    }
    delete_acls_response::{
        DeleteAclsResponse { filter_results }
        DeleteAclsFilterResult { error_code, matching_acls }
        DeleteAclsMatchingAcl { error_code }
    }
    describe_user_scram_credentials_response::{
        DescribeUserScramCredentialsResponse { error_code, results }
        DescribeUserScramCredentialsResult { error_code }
    }
    alter_user_scram_credentials_response::{
        AlterUserScramCredentialsResponse { results }
        AlterUserScramCredentialsResult { error_code }
    }
    list_config_resources_response::{ ListConfigResourcesResponse { error_code } }
    describe_topic_partitions_response::{
        DescribeTopicPartitionsResponse { topics }
        DescribeTopicPartitionsResponseTopic { error_code, partitions }
        DescribeTopicPartitionsResponsePartition { error_code }
    }
}

/// Kafka's name of a code; `other` for one that Kafka 4.3 does not have, so that names are bounded.
#[must_use]
pub fn name(code: i16) -> &'static str {
    if code == -1 {
        return "UNKNOWN_SERVER_ERROR";
    }
    usize::try_from(code).ok().and_then(|code| NAMES.get(code)).unwrap_or(&"other")
}

/// By their codes, from 0 on (AK 4.3, `Errors`).
#[rustfmt::skip]
const NAMES: [&str; 134] = [
    "NONE", "OFFSET_OUT_OF_RANGE", "CORRUPT_MESSAGE", "UNKNOWN_TOPIC_OR_PARTITION", "INVALID_FETCH_SIZE",
    "LEADER_NOT_AVAILABLE", "NOT_LEADER_OR_FOLLOWER", "REQUEST_TIMED_OUT", "BROKER_NOT_AVAILABLE",
    "REPLICA_NOT_AVAILABLE", "MESSAGE_TOO_LARGE", "STALE_CONTROLLER_EPOCH", "OFFSET_METADATA_TOO_LARGE",
    "NETWORK_EXCEPTION", "COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR",
    "INVALID_TOPIC_EXCEPTION", "RECORD_LIST_TOO_LARGE", "NOT_ENOUGH_REPLICAS", "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    "INVALID_REQUIRED_ACKS", "ILLEGAL_GENERATION", "INCONSISTENT_GROUP_PROTOCOL", "INVALID_GROUP_ID",
    "UNKNOWN_MEMBER_ID", "INVALID_SESSION_TIMEOUT", "REBALANCE_IN_PROGRESS", "INVALID_COMMIT_OFFSET_SIZE",
    "TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED", "INVALID_TIMESTAMP",
    "UNSUPPORTED_SASL_MECHANISM", "ILLEGAL_SASL_STATE", "UNSUPPORTED_VERSION", "TOPIC_ALREADY_EXISTS",
    "INVALID_PARTITIONS", "INVALID_REPLICATION_FACTOR", "INVALID_REPLICA_ASSIGNMENT", "INVALID_CONFIG",
    "NOT_CONTROLLER", "INVALID_REQUEST", "UNSUPPORTED_FOR_MESSAGE_FORMAT", "POLICY_VIOLATION",
    "OUT_OF_ORDER_SEQUENCE_NUMBER", "DUPLICATE_SEQUENCE_NUMBER", "INVALID_PRODUCER_EPOCH", "INVALID_TXN_STATE",
    "INVALID_PRODUCER_ID_MAPPING", "INVALID_TRANSACTION_TIMEOUT", "CONCURRENT_TRANSACTIONS",
    "TRANSACTION_COORDINATOR_FENCED", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "SECURITY_DISABLED",
    "OPERATION_NOT_ATTEMPTED", "KAFKA_STORAGE_ERROR", "LOG_DIR_NOT_FOUND", "SASL_AUTHENTICATION_FAILED",
    "UNKNOWN_PRODUCER_ID", "REASSIGNMENT_IN_PROGRESS", "DELEGATION_TOKEN_AUTH_DISABLED", "DELEGATION_TOKEN_NOT_FOUND",
    "DELEGATION_TOKEN_OWNER_MISMATCH", "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED",
    "DELEGATION_TOKEN_AUTHORIZATION_FAILED", "DELEGATION_TOKEN_EXPIRED", "INVALID_PRINCIPAL_TYPE", "NON_EMPTY_GROUP",
    "GROUP_ID_NOT_FOUND", "FETCH_SESSION_ID_NOT_FOUND", "INVALID_FETCH_SESSION_EPOCH", "LISTENER_NOT_FOUND",
    "TOPIC_DELETION_DISABLED", "FENCED_LEADER_EPOCH", "UNKNOWN_LEADER_EPOCH", "UNSUPPORTED_COMPRESSION_TYPE",
    "STALE_BROKER_EPOCH", "OFFSET_NOT_AVAILABLE", "MEMBER_ID_REQUIRED", "PREFERRED_LEADER_NOT_AVAILABLE",
    "GROUP_MAX_SIZE_REACHED", "FENCED_INSTANCE_ID", "ELIGIBLE_LEADERS_NOT_AVAILABLE", "ELECTION_NOT_NEEDED",
    "NO_REASSIGNMENT_IN_PROGRESS", "GROUP_SUBSCRIBED_TO_TOPIC", "INVALID_RECORD", "UNSTABLE_OFFSET_COMMIT",
    "THROTTLING_QUOTA_EXCEEDED", "PRODUCER_FENCED", "RESOURCE_NOT_FOUND", "DUPLICATE_RESOURCE",
    "UNACCEPTABLE_CREDENTIAL", "INCONSISTENT_VOTER_SET", "INVALID_UPDATE_VERSION", "FEATURE_UPDATE_FAILED",
    "PRINCIPAL_DESERIALIZATION_FAILURE", "SNAPSHOT_NOT_FOUND", "POSITION_OUT_OF_RANGE", "UNKNOWN_TOPIC_ID",
    "DUPLICATE_BROKER_REGISTRATION", "BROKER_ID_NOT_REGISTERED", "INCONSISTENT_TOPIC_ID", "INCONSISTENT_CLUSTER_ID",
    "TRANSACTIONAL_ID_NOT_FOUND", "FETCH_SESSION_TOPIC_ID_ERROR", "INELIGIBLE_REPLICA", "NEW_LEADER_ELECTED",
    "OFFSET_MOVED_TO_TIERED_STORAGE", "FENCED_MEMBER_EPOCH", "UNRELEASED_INSTANCE_ID", "UNSUPPORTED_ASSIGNOR",
    "STALE_MEMBER_EPOCH", "MISMATCHED_ENDPOINT_TYPE", "UNSUPPORTED_ENDPOINT_TYPE", "UNKNOWN_CONTROLLER_ID",
    "UNKNOWN_SUBSCRIPTION_ID", "TELEMETRY_TOO_LARGE", "INVALID_REGISTRATION", "TRANSACTION_ABORTABLE",
    "INVALID_RECORD_STATE", "SHARE_SESSION_NOT_FOUND", "INVALID_SHARE_SESSION_EPOCH", "FENCED_STATE_EPOCH",
    "INVALID_VOTER_KEY", "DUPLICATE_VOTER", "VOTER_NOT_FOUND", "INVALID_REGULAR_EXPRESSION", "REBOOTSTRAP_REQUIRED",
    "STREAMS_INVALID_TOPOLOGY", "STREAMS_INVALID_TOPOLOGY_EPOCH", "STREAMS_TOPOLOGY_FENCED",
    "SHARE_SESSION_LIMIT_REACHED",
];

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::error::ParseResponseErrorCode;

    /// `UnknownTopicOrPartition` to `UNKNOWN_TOPIC_OR_PARTITION`.
    fn in_capitals(name: &str) -> String {
        let mut capitals = String::new();
        for (at, c) in name.chars().enumerate() {
            if at > 0 && c.is_uppercase() {
                capitals.push('_');
            }
            capitals.push(c.to_ascii_uppercase());
        }
        capitals
    }

    #[test]
    fn codes_are_called_what_kafka_calls_them() {
        let known = (-1..200)
            .filter_map(|code: i16| Some((code, code.err()?)))
            .filter(|(_, e)| !format!("{e:?}").starts_with("Unknown("));
        let mut count = 0;
        for (code, error) in known {
            assert_eq!(name(code), in_capitals(&format!("{error:?}")), "{code}");
            count += 1;
        }
        assert!(count > 100, "{count}");
        assert_eq!(
            (name(0), name(133), name(134), name(-2), name(i16::MAX)),
            ("NONE", "SHARE_SESSION_LIMIT_REACHED", "other", "other", "other")
        );
    }

    #[test]
    fn a_code_counts_once_in_an_answer() {
        let told = |code| m::heartbeat_response::HeartbeatResponse::default().with_error_code(code);
        let mut codes = Codes::default();
        vec![told(0), told(27), told(0), told(25), told(27)].tell(&mut codes);
        assert_eq!(codes.names().collect::<Vec<_>>(), ["REBALANCE_IN_PROGRESS", "UNKNOWN_MEMBER_ID"]);
    }
}
