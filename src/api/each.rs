//! Every API of the table with the type that serves it. A row of the table (`wire/versions.rs`) without its line here,
//! or a line without its row, does not compile: what clients are shown is what is served.

use crate::api::Api;
use crate::api::groups::{
    by_group, descriptions, heartbeats, lists as group_lists, offset_delete, offsets, share_offsets,
};
use crate::api::layout::{elections, log_dirs, partitions, reassignments, topics};
use crate::api::overview::{cluster_info, coordinator, metadata};
use crate::api::records::by_leader;
use crate::api::settings::{acls, alter_configs, config_resources, configs, quotas, scram};
use crate::api::transactions::{
    add_partitions, by_transactional_id, lists as transaction_lists, offsets as txn_offsets, producer_id,
};
use crate::wire::versions::SERVED;
use kafka_protocol::messages::ApiKey;

/// Does something with the type that serves an API.
pub trait Visitor {
    /// What comes of it.
    type Output;
    /// Is shown the type.
    fn visit<A: Api>(self) -> Self::Output;
}

macro_rules! each {
    (common { $($api:ident in $room:ident,)* } own { $($own:ident,)* }) => {
        /// Shows the type of an API that goes the common way (`session/generic.rs`); `None` for those with a driver of
        /// their own, and for what is not served.
        pub fn show<V: Visitor>(api: ApiKey, visitor: V) -> Option<V::Output> {
            match api {
                $(ApiKey::$api => Some(visitor.visit::<$room::$api>()),)*
                _ => None,
            }
        }

        /// Kafka's name of an API that is served.
        #[must_use]
        pub const fn name(api: ApiKey) -> Option<&'static str> {
            match api {
                $(ApiKey::$api => Some(stringify!($api)),)*
                $(ApiKey::$own => Some(stringify!($own)),)*
                _ => None,
            }
        }

        const LED: &[ApiKey] = &[$(ApiKey::$api,)* $(ApiKey::$own,)*];

        // Each type serves the API whose name it bears.
        $(const _: () = assert!(<$room::$api as Api>::KEY as i16 == ApiKey::$api as i16);)*
    };
}

each! {
    common {
        ListOffsets in by_leader,
        OffsetForLeaderEpoch in by_leader,
        OffsetCommit in offsets,
        OffsetFetch in offsets,
        FindCoordinator in coordinator,
        JoinGroup in by_group,
        Heartbeat in by_group,
        LeaveGroup in by_group,
        SyncGroup in by_group,
        DescribeGroups in group_lists,
        ListGroups in group_lists,
        DeleteGroups in group_lists,
        // Once its subscription is judged (`session::subscriptions`).
        ConsumerGroupHeartbeat in heartbeats,
        ShareGroupHeartbeat in heartbeats,
        ConsumerGroupDescribe in descriptions,
        ShareGroupDescribe in descriptions,
        DescribeShareGroupOffsets in share_offsets,
        AlterShareGroupOffsets in share_offsets,
        DeleteShareGroupOffsets in share_offsets,
        CreateTopics in topics,
        DeleteTopics in topics,
        InitProducerId in producer_id,
        AddPartitionsToTxn in add_partitions,
        AddOffsetsToTxn in by_transactional_id,
        EndTxn in by_transactional_id,
        TxnOffsetCommit in txn_offsets,
        DescribeTransactions in transaction_lists,
        ListTransactions in transaction_lists,
        DescribeConfigs in configs,
        DescribeCluster in cluster_info,
        DescribeTopicPartitions in cluster_info,
        CreatePartitions in partitions,
        DeleteRecords in by_leader,
        IncrementalAlterConfigs in alter_configs,
        AlterConfigs in alter_configs,
        OffsetDelete in offset_delete,
        DescribeProducers in by_leader,
        DescribeLogDirs in log_dirs,
        ElectLeaders in elections,
        AlterPartitionReassignments in reassignments,
        ListPartitionReassignments in reassignments,
        DescribeClientQuotas in quotas,
        AlterClientQuotas in quotas,
        DescribeAcls in acls,
        CreateAcls in acls,
        DeleteAcls in acls,
        DescribeUserScramCredentials in scram,
        AlterUserScramCredentials in scram,
        ListConfigResources in config_resources,
        // Answered from what was written before, where that can be.
        Metadata in metadata,
    }
    own {
        Produce,
        Fetch,
        ApiVersions,
        SaslHandshake,
        SaslAuthenticate,
        ShareFetch,
        ShareAcknowledge,
    }
}

const fn is_among(api: ApiKey, all: &[ApiKey]) -> bool {
    let mut rest = all;
    while let [one, others @ ..] = rest {
        if *one as i16 == api as i16 {
            return true;
        }
        rest = others;
    }
    false
}

const _: () = {
    let mut rows = SERVED;
    while let [row, others @ ..] = rows {
        assert!(is_among(row.api, LED), "an API of the table has no line here");
        rows = others;
    }
    assert!(LED.len() == SERVED.len(), "an API here has no row in the table");
};
