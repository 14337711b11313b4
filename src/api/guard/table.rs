//! Which rights each API asks for: what is told to people (docs/authorization.md is made of it), held against what is asked by a test.

use crate::rights::{Kind, Operation};
use kafka_protocol::messages::ApiKey;

/// What comes of a right that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The whole request is refused, or each that it names for itself.
    Refused,
    /// What may not be seen is left out of the answer.
    LeftOut,
    /// Another right may take its place, and is asked for first.
    Instead,
}

/// A right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsksFor {
    /// To do this.
    pub operation: Operation,
    /// To that.
    pub kind: Kind,
    /// What comes of it where it is missing.
    pub how: How,
}

const fn refused(operation: Operation, kind: Kind) -> AsksFor {
    AsksFor { operation, kind, how: How::Refused }
}

const fn left_out(operation: Operation, kind: Kind) -> AsksFor {
    AsksFor { operation, kind, how: How::LeftOut }
}

const fn instead(operation: Operation, kind: Kind) -> AsksFor {
    AsksFor { operation, kind, how: How::Instead }
}

use Kind::{Cluster, Group, Topic, TransactionalId};
use Operation::{
    Alter, AlterConfigs, ClusterAction, Create, Delete, Describe, DescribeConfigs, IdempotentWrite, Read, Write,
};

/// By API. Those of the table of versions that are not here ask for nothing.
pub const ASKED: &[(ApiKey, &[AsksFor])] = &[
    (ApiKey::Produce, &[refused(Write, Topic), refused(Write, TransactionalId)]),
    (ApiKey::Fetch, &[refused(Read, Topic)]),
    (ApiKey::ListOffsets, &[refused(Describe, Topic)]),
    (
        ApiKey::Metadata,
        &[
            refused(Describe, Topic),
            left_out(Describe, Topic),
            instead(Create, Cluster),
            left_out(Create, Topic),
            refused(Describe, Cluster),
        ],
    ),
    (ApiKey::OffsetCommit, &[refused(Read, Group), refused(Read, Topic)]),
    (ApiKey::OffsetFetch, &[refused(Describe, Group), refused(Describe, Topic), left_out(Describe, Topic)]),
    (ApiKey::FindCoordinator, &[refused(Describe, Group), refused(Describe, TransactionalId)]),
    (ApiKey::JoinGroup, &[refused(Read, Group)]),
    (ApiKey::Heartbeat, &[refused(Read, Group)]),
    (ApiKey::LeaveGroup, &[refused(Read, Group)]),
    (ApiKey::SyncGroup, &[refused(Read, Group)]),
    (ApiKey::DescribeGroups, &[refused(Describe, Group)]),
    (ApiKey::ListGroups, &[instead(Describe, Cluster), left_out(Describe, Group)]),
    (ApiKey::CreateTopics, &[instead(Create, Cluster), refused(Create, Topic), left_out(DescribeConfigs, Topic)]),
    (ApiKey::DeleteTopics, &[instead(Delete, Cluster), refused(Describe, Topic), refused(Delete, Topic)]),
    (ApiKey::DeleteRecords, &[refused(Delete, Topic)]),
    (
        ApiKey::InitProducerId,
        &[refused(Write, TransactionalId), instead(Write, Topic), refused(IdempotentWrite, Cluster)],
    ),
    (ApiKey::OffsetForLeaderEpoch, &[instead(ClusterAction, Cluster), refused(Describe, Topic)]),
    (
        ApiKey::AddPartitionsToTxn,
        &[refused(Write, TransactionalId), refused(Write, Topic), refused(ClusterAction, Cluster)],
    ),
    (ApiKey::AddOffsetsToTxn, &[refused(Write, TransactionalId), refused(Read, Group)]),
    (ApiKey::EndTxn, &[refused(Write, TransactionalId)]),
    (ApiKey::TxnOffsetCommit, &[refused(Write, TransactionalId), refused(Read, Group), refused(Read, Topic)]),
    (ApiKey::DescribeAcls, &[refused(Describe, Cluster)]),
    (ApiKey::CreateAcls, &[refused(Alter, Cluster)]),
    (ApiKey::DeleteAcls, &[refused(Alter, Cluster)]),
    (ApiKey::DescribeConfigs, CONFIGS),
    (ApiKey::AlterConfigs, ALTERED),
    (ApiKey::DescribeLogDirs, &[refused(Describe, Cluster)]),
    (ApiKey::CreatePartitions, &[refused(Alter, Topic)]),
    (ApiKey::DeleteGroups, &[refused(Delete, Group)]),
    (ApiKey::ElectLeaders, &[refused(Alter, Cluster)]),
    (ApiKey::IncrementalAlterConfigs, ALTERED),
    (ApiKey::AlterPartitionReassignments, &[refused(Alter, Cluster)]),
    (ApiKey::ListPartitionReassignments, &[refused(Describe, Cluster)]),
    (ApiKey::OffsetDelete, &[refused(Delete, Group), refused(Read, Topic)]),
    (ApiKey::DescribeClientQuotas, &[refused(DescribeConfigs, Cluster)]),
    (ApiKey::AlterClientQuotas, &[refused(AlterConfigs, Cluster)]),
    (ApiKey::DescribeUserScramCredentials, &[refused(Describe, Cluster)]),
    (ApiKey::AlterUserScramCredentials, &[refused(Alter, Cluster)]),
    (ApiKey::DescribeCluster, &[refused(Describe, Cluster)]),
    (ApiKey::DescribeProducers, &[refused(Read, Topic)]),
    (ApiKey::DescribeTransactions, &[refused(Describe, TransactionalId), left_out(Describe, Topic)]),
    (ApiKey::ListTransactions, &[left_out(Describe, TransactionalId)]),
    (ApiKey::ConsumerGroupHeartbeat, &[refused(Read, Group), refused(Describe, Topic)]),
    (ApiKey::ConsumerGroupDescribe, &[refused(Describe, Group), left_out(Describe, Topic)]),
    (ApiKey::ListConfigResources, &[refused(DescribeConfigs, Cluster)]),
    (ApiKey::DescribeTopicPartitions, &[refused(Describe, Topic), left_out(Describe, Topic)]),
    (ApiKey::ShareGroupHeartbeat, &[refused(Read, Group), refused(Describe, Topic)]),
    (ApiKey::ShareGroupDescribe, &[refused(Describe, Group), left_out(Describe, Topic)]),
    (ApiKey::ShareFetch, &[refused(Read, Group), refused(Read, Topic)]),
    (ApiKey::ShareAcknowledge, &[refused(Read, Group), refused(Read, Topic)]),
    (
        ApiKey::DescribeShareGroupOffsets,
        &[refused(Describe, Group), refused(Describe, Topic), left_out(Describe, Topic)],
    ),
    (ApiKey::AlterShareGroupOffsets, &[refused(Read, Group), refused(Read, Topic)]),
    (ApiKey::DeleteShareGroupOffsets, &[refused(Delete, Group), refused(Read, Topic)]),
];

const CONFIGS: &[AsksFor] =
    &[refused(DescribeConfigs, Topic), refused(DescribeConfigs, Cluster), refused(DescribeConfigs, Group)];
const ALTERED: &[AsksFor] =
    &[refused(AlterConfigs, Topic), refused(AlterConfigs, Cluster), refused(AlterConfigs, Group)];

/// The table as docs/authorization.md has it.
#[cfg(test)]
pub(super) fn document() -> String {
    let right = |right: &AsksFor| {
        let words = format!("{} on {}", right.operation, right.kind);
        match right.how {
            How::Refused => words,
            How::LeftOut => format!("({words})"),
            How::Instead => format!("{words}, or"),
        }
    };
    let row = |(api, rights): &(ApiKey, &[AsksFor])| {
        let rights: Vec<_> = rights.iter().map(right).collect();
        let rights = rights.join("; ").replace(", or;", " or");
        format!("| {} | {rights} |\n", crate::api::each::name(*api).unwrap_or("?"))
    };
    let rows: String = ASKED.iter().map(row).collect();
    format!("| API | asks for |\n|---|---|\n{rows}")
}
