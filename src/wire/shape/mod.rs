//! The shape check: every message is walked before kafka-protocol decodes it, and what it claims is held against the
//! bytes that are there. Its decoders take memory for whatever an array's length says, and a frame of 14 bytes would
//! end the process. A message type without its table here cannot be decoded: `codec::decode` asks for [`Shaped`].

mod answers;
mod field;
mod requests;
mod walk;

use field::Field;
use kafka_protocol::messages::{self, ApiKey};
use kafka_protocol::protocol::{Decodable, Encodable, Message};
pub use walk::{Walked, allowance, check};

/// The fields of a message.
#[derive(Debug)]
pub struct Shape {
    /// The first version with compact lengths and tagged fields (KIP-482).
    flexible: i16,
    fields: &'static [Field],
}

impl Shape {
    const fn flexible(from: i16, fields: &'static [Field]) -> Self {
        Self { flexible: from, fields }
    }

    const fn plain(fields: &'static [Field]) -> Self {
        Self::flexible(i16::MAX, fields)
    }
}

/// A message whose fields we know, so that it may be decoded.
pub trait Shaped: Message + Decodable {
    /// Its fields.
    const SHAPE: &'static Shape;
}

/// Is shown the types of messages, one after another: tests and fuzz runs do the same with each.
pub trait Visitor {
    /// One of them.
    fn visit<M: Shaped + Encodable + Clone + PartialEq + std::fmt::Debug>(&mut self, api: ApiKey, name: &'static str);
}

macro_rules! shapes {
    ($($api:ident: $request:ident $answer:ident = $table:ident;)*) => {
        $(
            impl Shaped for messages::$request {
                const SHAPE: &'static Shape = &requests::$table;
            }

            impl Shaped for messages::$answer {
                const SHAPE: &'static Shape = &answers::$table;
            }
        )*

        /// Shows every message that we can read.
        pub fn show_all(visitor: &mut impl Visitor) {
            $(
                visitor.visit::<messages::$request>(ApiKey::$api, stringify!($request));
                visitor.visit::<messages::$answer>(ApiKey::$api, stringify!($answer));
            )*
        }
    };
}

shapes! {
    Produce: ProduceRequest ProduceResponse = PRODUCE;
    Fetch: FetchRequest FetchResponse = FETCH;
    ListOffsets: ListOffsetsRequest ListOffsetsResponse = LIST_OFFSETS;
    Metadata: MetadataRequest MetadataResponse = METADATA;
    OffsetCommit: OffsetCommitRequest OffsetCommitResponse = OFFSET_COMMIT;
    OffsetFetch: OffsetFetchRequest OffsetFetchResponse = OFFSET_FETCH;
    FindCoordinator: FindCoordinatorRequest FindCoordinatorResponse = FIND_COORDINATOR;
    JoinGroup: JoinGroupRequest JoinGroupResponse = JOIN_GROUP;
    Heartbeat: HeartbeatRequest HeartbeatResponse = HEARTBEAT;
    LeaveGroup: LeaveGroupRequest LeaveGroupResponse = LEAVE_GROUP;
    SyncGroup: SyncGroupRequest SyncGroupResponse = SYNC_GROUP;
    DescribeGroups: DescribeGroupsRequest DescribeGroupsResponse = DESCRIBE_GROUPS;
    ListGroups: ListGroupsRequest ListGroupsResponse = LIST_GROUPS;
    SaslHandshake: SaslHandshakeRequest SaslHandshakeResponse = SASL_HANDSHAKE;
    ApiVersions: ApiVersionsRequest ApiVersionsResponse = API_VERSIONS;
    CreateTopics: CreateTopicsRequest CreateTopicsResponse = CREATE_TOPICS;
    DeleteTopics: DeleteTopicsRequest DeleteTopicsResponse = DELETE_TOPICS;
    InitProducerId: InitProducerIdRequest InitProducerIdResponse = INIT_PRODUCER_ID;
    AddPartitionsToTxn: AddPartitionsToTxnRequest AddPartitionsToTxnResponse = ADD_PARTITIONS_TO_TXN;
    AddOffsetsToTxn: AddOffsetsToTxnRequest AddOffsetsToTxnResponse = ADD_OFFSETS_TO_TXN;
    EndTxn: EndTxnRequest EndTxnResponse = END_TXN;
    TxnOffsetCommit: TxnOffsetCommitRequest TxnOffsetCommitResponse = TXN_OFFSET_COMMIT;
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse = OFFSET_FOR_LEADER_EPOCH;
    DescribeConfigs: DescribeConfigsRequest DescribeConfigsResponse = DESCRIBE_CONFIGS;
    SaslAuthenticate: SaslAuthenticateRequest SaslAuthenticateResponse = SASL_AUTHENTICATE;
    CreatePartitions: CreatePartitionsRequest CreatePartitionsResponse = CREATE_PARTITIONS;
    DeleteGroups: DeleteGroupsRequest DeleteGroupsResponse = DELETE_GROUPS;
    DescribeCluster: DescribeClusterRequest DescribeClusterResponse = DESCRIBE_CLUSTER;
    DescribeTransactions: DescribeTransactionsRequest DescribeTransactionsResponse = DESCRIBE_TRANSACTIONS;
    ListTransactions: ListTransactionsRequest ListTransactionsResponse = LIST_TRANSACTIONS;
    DescribeTopicPartitions: DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse = DESCRIBE_TOPIC_PARTITIONS;
    DeleteRecords: DeleteRecordsRequest DeleteRecordsResponse = DELETE_RECORDS;
    DescribeAcls: DescribeAclsRequest DescribeAclsResponse = DESCRIBE_ACLS;
    CreateAcls: CreateAclsRequest CreateAclsResponse = CREATE_ACLS;
    DeleteAcls: DeleteAclsRequest DeleteAclsResponse = DELETE_ACLS;
    AlterConfigs: AlterConfigsRequest AlterConfigsResponse = ALTER_CONFIGS;
    DescribeLogDirs: DescribeLogDirsRequest DescribeLogDirsResponse = DESCRIBE_LOG_DIRS;
    ElectLeaders: ElectLeadersRequest ElectLeadersResponse = ELECT_LEADERS;
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse = INCREMENTAL_ALTER_CONFIGS;
    AlterPartitionReassignments: AlterPartitionReassignmentsRequest AlterPartitionReassignmentsResponse = ALTER_PARTITION_REASSIGNMENTS;
    ListPartitionReassignments: ListPartitionReassignmentsRequest ListPartitionReassignmentsResponse = LIST_PARTITION_REASSIGNMENTS;
    OffsetDelete: OffsetDeleteRequest OffsetDeleteResponse = OFFSET_DELETE;
    DescribeClientQuotas: DescribeClientQuotasRequest DescribeClientQuotasResponse = DESCRIBE_CLIENT_QUOTAS;
    AlterClientQuotas: AlterClientQuotasRequest AlterClientQuotasResponse = ALTER_CLIENT_QUOTAS;
    DescribeUserScramCredentials: DescribeUserScramCredentialsRequest DescribeUserScramCredentialsResponse = DESCRIBE_USER_SCRAM_CREDENTIALS;
    AlterUserScramCredentials: AlterUserScramCredentialsRequest AlterUserScramCredentialsResponse = ALTER_USER_SCRAM_CREDENTIALS;
    DescribeProducers: DescribeProducersRequest DescribeProducersResponse = DESCRIBE_PRODUCERS;
    ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse = CONSUMER_GROUP_HEARTBEAT;
    ConsumerGroupDescribe: ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse = CONSUMER_GROUP_DESCRIBE;
    ShareGroupHeartbeat: ShareGroupHeartbeatRequest ShareGroupHeartbeatResponse = SHARE_GROUP_HEARTBEAT;
    ShareGroupDescribe: ShareGroupDescribeRequest ShareGroupDescribeResponse = SHARE_GROUP_DESCRIBE;
    ShareFetch: ShareFetchRequest ShareFetchResponse = SHARE_FETCH;
    ShareAcknowledge: ShareAcknowledgeRequest ShareAcknowledgeResponse = SHARE_ACKNOWLEDGE;
    DescribeShareGroupOffsets: DescribeShareGroupOffsetsRequest DescribeShareGroupOffsetsResponse = DESCRIBE_SHARE_GROUP_OFFSETS;
    AlterShareGroupOffsets: AlterShareGroupOffsetsRequest AlterShareGroupOffsetsResponse = ALTER_SHARE_GROUP_OFFSETS;
    DeleteShareGroupOffsets: DeleteShareGroupOffsetsRequest DeleteShareGroupOffsetsResponse = DELETE_SHARE_GROUP_OFFSETS;
    ListConfigResources: ListConfigResourcesRequest ListConfigResourcesResponse = LIST_CONFIG_RESOURCES;
}

#[cfg(test)]
mod tests;
