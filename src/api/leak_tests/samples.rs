//! A request of each API that is served, as bytes, for tests that walk through all of them. All that it names is called `kept`.

use super::{admin, assigned, encoded, everywhere, requests};
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;

/// The body of one in this version.
pub(crate) fn body(api: ApiKey, version: i16) -> Bytes {
    macro_rules! samples {
        ($($api:ident: $request:expr,)*) => {
            match api {
                $(ApiKey::$api => encoded(&$request(version), version),)*
                other => panic!("{other:?} has no sample"),
            }
        };
    }
    samples! {
        Produce: requests::produce,
        Fetch: |version| requests::fetch(version, 2),
        ListOffsets: requests::list_offsets,
        Metadata: requests::metadata,
        OffsetCommit: requests::offset_commit,
        OffsetFetch: requests::offset_fetch,
        FindCoordinator: requests::find_coordinator,
        JoinGroup: requests::join_group,
        Heartbeat: requests::heartbeat,
        LeaveGroup: requests::leave_group,
        SyncGroup: requests::sync_group,
        DescribeGroups: requests::describe_groups,
        ListGroups: requests::list_groups,
        CreateTopics: requests::create_topics,
        DeleteTopics: requests::delete_topics,
        DeleteRecords: admin::delete_records,
        InitProducerId: requests::init_producer_id,
        OffsetForLeaderEpoch: requests::epochs,
        AddPartitionsToTxn: requests::add_partitions,
        AddOffsetsToTxn: requests::add_offsets,
        EndTxn: requests::end_txn,
        TxnOffsetCommit: requests::txn_offset_commit,
        DescribeAcls: everywhere::acls,
        CreateAcls: everywhere::create_acls,
        DeleteAcls: everywhere::delete_acls,
        DescribeConfigs: requests::describe_configs,
        AlterConfigs: admin::alter,
        DescribeLogDirs: admin::log_dirs,
        CreatePartitions: admin::grow,
        DeleteGroups: requests::delete_groups,
        ElectLeaders: admin::elect,
        IncrementalAlterConfigs: admin::alter_some,
        AlterPartitionReassignments: everywhere::reassign,
        ListPartitionReassignments: everywhere::moves,
        OffsetDelete: admin::delete_offsets,
        DescribeClientQuotas: everywhere::quotas,
        AlterClientQuotas: everywhere::alter_quotas,
        DescribeUserScramCredentials: everywhere::users,
        AlterUserScramCredentials: everywhere::alter_users,
        DescribeCluster: requests::describe_cluster,
        DescribeProducers: admin::producers,
        DescribeTransactions: requests::describe_transactions,
        ListTransactions: requests::list_transactions,
        ConsumerGroupHeartbeat: assigned::consumer_heartbeat,
        ConsumerGroupDescribe: assigned::describe_consumers,
        ListConfigResources: everywhere::config_resources,
        DescribeTopicPartitions: requests::describe_topic_partitions,
        ShareGroupHeartbeat: assigned::share_heartbeat,
        ShareGroupDescribe: assigned::describe_shares,
        ShareFetch: |_| assigned::share_fetch(),
        ShareAcknowledge: |_| assigned::share_acknowledge(),
        DescribeShareGroupOffsets: assigned::describe_offsets,
        AlterShareGroupOffsets: assigned::alter_offsets,
        DeleteShareGroupOffsets: assigned::delete_offsets,
    }
}

/// Others of the same APIs, which ask for more or for something else.
pub(crate) fn others(api: ApiKey, version: i16) -> Vec<Bytes> {
    match api {
        ApiKey::Metadata => vec![encoded(&requests::named_metadata(version), version)],
        ApiKey::FindCoordinator if version > 0 => {
            vec![encoded(&requests::find_coordinator_of_transactions(version), version)]
        }
        ApiKey::DescribeShareGroupOffsets => vec![encoded(&assigned::describe_some_offsets(), version)],
        ApiKey::InitProducerId => vec![encoded(&requests::init_transactions(version), version)],
        _ => Vec::new(),
    }
}
