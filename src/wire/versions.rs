//! What we serve, in which versions, and how: one table, constant for a release and the same on every replica. Never the
//! intersection of what clusters know, or adding one cluster would take APIs away from all (protocol-rules 1).
//! docs/protocol.md is made of it; `api::each` has the code of each row, and does not compile where the two disagree.

mod hidden;
mod needed;

pub use hidden::{HIDDEN, Hidden};
pub use needed::{Lack, NEEDED, Needed, lacks};

use kafka_protocol::messages::ApiKey;

/// One row: an API, its lowest and highest version, and how it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The API.
    pub api: ApiKey,
    /// The lowest version that clients are shown.
    pub min: i16,
    /// The highest.
    pub max: i16,
    /// Who answers.
    pub by: By,
    /// What a client sees otherwise than at Kafka, for people. Empty where there is nothing but other ids and addresses.
    pub differs: &'static str,
}

/// Who answers an API's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Fishplate itself, from its table and what it knows of clusters.
    Us,
    /// The leader of each partition.
    Leaders,
    /// The cluster that each topic lives on.
    TopicsHome,
    /// The coordinator of each group, on the group's home.
    Coordinator,
    /// The coordinator of each transactional id, on the id's home.
    TransactionCoordinator,
    /// What each resource in the request belongs to: a topic's or group's home, the broker behind a node, every cluster.
    Resources,
    /// Every cluster is asked, and their answers are put together.
    AllClusters,
    /// Every broker of every cluster is asked, and their answers are put together.
    AllBrokers,
}

impl By {
    /// For docs/protocol.md.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Us => "answered by Fishplate",
            Self::Leaders => "each partition by its leader",
            Self::TopicsHome => "each topic where it lives",
            Self::Coordinator => "by the group's coordinator, at the group's home",
            Self::TransactionCoordinator => "by the coordinator of the transactional id, at its home",
            Self::Resources => "each resource where it belongs",
            Self::AllClusters => "every cluster, put together",
            Self::AllBrokers => "every broker, put together",
        }
    }
}

impl Served {
    /// The lowest version that is not refused.
    #[must_use]
    pub fn lowest(self) -> i16 {
        if self.api == ApiKey::Produce { PRODUCE_FROM.max(self.min) } else { self.min }
    }
}

const fn row(api: ApiKey, min: i16, max: i16, by: By) -> Served {
    Served { api, min, max, by, differs: "" }
}

impl Served {
    const fn differs(mut self, what: &'static str) -> Self {
        self.differs = what;
        self
    }
}

const SASL: &str =
    "Clients log in at Fishplate, by what the listener has (docs/security.md); a listener without `sasl` answers 34.";

/// The table.
pub const SERVED: &[Served] = &[
    // Shown from 0 as Kafka 4 does (KAFKA-18659): old librdkafka stops compressing otherwise. 0-2 are refused.
    row(ApiKey::Produce, 0, 13, By::Leaders).differs(
        "Versions 0 to 2 are shown and refused, as by Kafka 4. In a transaction, a topic that lives elsewhere than its \
         transactional id is refused (48).",
    ),
    row(ApiKey::Fetch, 4, 18, By::Leaders),
    row(ApiKey::ListOffsets, 1, 10, By::Leaders).differs("Version 11 is not served."),
    row(ApiKey::Metadata, 0, 13, By::Us).differs(
        "The cluster's id is the virtual cluster's. In `single` there is one node and one replica of each partition. Topics of a cluster that gives no ids (before Kafka 2.8) have ids of ours.",
    ),
    // 10 has topic ids, which kafka-protocol 0.18 does not read.
    row(ApiKey::OffsetCommit, 2, 9, By::Coordinator).differs("Version 10 (topic ids) is not served."),
    row(ApiKey::OffsetFetch, 1, 9, By::Coordinator).differs("Version 10 (topic ids) is not served."),
    row(ApiKey::FindCoordinator, 0, 6, By::Us).differs("Key type 2 (what brokers keep of share groups) is refused: brokers ask for it among themselves."),
    row(ApiKey::JoinGroup, 0, 9, By::Coordinator),
    row(ApiKey::Heartbeat, 0, 4, By::Coordinator),
    row(ApiKey::LeaveGroup, 0, 5, By::Coordinator),
    row(ApiKey::SyncGroup, 0, 5, By::Coordinator),
    row(ApiKey::DescribeGroups, 0, 6, By::Coordinator),
    row(ApiKey::ListGroups, 0, 5, By::AllBrokers)
        .differs("Each node tells the groups of all nodes, each from its home."),
    row(ApiKey::ApiVersions, 0, 4, By::Us).differs(
        "This table, whatever the clusters speak. Of features `transaction.version` alone is shown, as the config says.",
    ),
    row(ApiKey::SaslHandshake, 0, 1, By::Us).differs(SASL),
    row(ApiKey::SaslAuthenticate, 0, 2, By::Us).differs(SASL),
    row(ApiKey::CreateTopics, 2, 7, By::TopicsHome).differs(
        "Replica assignments name nodes of the topic's own cluster; in `single` they are a number of partitions.",
    ),
    row(ApiKey::DeleteTopics, 1, 6, By::TopicsHome).differs("A topic's shadows on groups' homes go with it."),
    row(ApiKey::InitProducerId, 0, 5, By::TransactionCoordinator)
        .differs("A producer without transactions gets an id of ours, at or above 2^60."),
    row(ApiKey::OffsetForLeaderEpoch, 2, 4, By::Leaders)
        .differs("Where a cluster lacks it the client is told that its position stands."),
    row(ApiKey::AddPartitionsToTxn, 0, 5, By::TransactionCoordinator)
        .differs("Partitions of a topic that lives elsewhere than the transactional id are refused (48). Who only asks is refused where the coordinator lacks version 4 (35)."),
    row(ApiKey::AddOffsetsToTxn, 0, 4, By::TransactionCoordinator)
        .differs("A group that lives elsewhere than the transactional id is refused (48)."),
    row(ApiKey::EndTxn, 0, 5, By::TransactionCoordinator),
    row(ApiKey::TxnOffsetCommit, 0, 5, By::Coordinator)
        .differs("A group that lives elsewhere than the transactional id is refused (48)."),
    row(ApiKey::DescribeConfigs, 1, 4, By::Resources)
        .differs("Values that are addresses are not shown. What is of a whole cluster is told by the default cluster."),
    row(ApiKey::DeleteGroups, 0, 2, By::Coordinator),
    row(ApiKey::DescribeCluster, 0, 2, By::Us).differs("As Metadata."),
    row(ApiKey::DescribeTransactions, 0, 0, By::TransactionCoordinator),
    row(ApiKey::ListTransactions, 0, 2, By::AllBrokers)
        .differs("Each node tells the transactions of all nodes, each from its home. A cluster that is down is an error (15)."),
    row(ApiKey::ConsumerGroupHeartbeat, 0, 1, By::Coordinator).differs(ASSIGNS),
    row(ApiKey::ConsumerGroupDescribe, 0, 1, By::Coordinator),
    row(ApiKey::ShareGroupHeartbeat, 1, 1, By::Coordinator).differs(ASSIGNS_SHARES),
    row(ApiKey::ShareGroupDescribe, 1, 1, By::Coordinator),
    row(ApiKey::ShareFetch, 1, 1, By::Leaders).differs(SHARES),
    row(ApiKey::ShareAcknowledge, 1, 1, By::Leaders).differs(SHARES),
    row(ApiKey::DescribeShareGroupOffsets, 0, 0, By::Coordinator).differs("Version 1 is not served."),
    row(ApiKey::AlterShareGroupOffsets, 0, 0, By::Coordinator)
        .differs("A topic that lives elsewhere than the group is refused (3)."),
    row(ApiKey::DeleteShareGroupOffsets, 0, 0, By::Coordinator)
        .differs("A topic that lives elsewhere than the group is refused (3)."),
    row(ApiKey::DescribeTopicPartitions, 0, 0, By::Us),
    row(ApiKey::CreatePartitions, 0, 3, By::TopicsHome)
        .differs("A topic's shadows on groups' homes grow first. Assignments as at CreateTopics."),
    row(ApiKey::DeleteRecords, 0, 2, By::Leaders),
    row(ApiKey::IncrementalAlterConfigs, 0, 1, By::Resources).differs(ALTERED),
    row(ApiKey::AlterConfigs, 0, 2, By::Resources).differs(ALTERED),
    row(ApiKey::OffsetDelete, 0, 0, By::Coordinator),
    row(ApiKey::DescribeProducers, 0, 0, By::Leaders)
        .differs("The leader is asked, also where a client means another replica."),
    row(ApiKey::DescribeLogDirs, 1, 4, By::AllBrokers).differs(
        "Version 5 is not served. Each node tells the directories of all, each with its node's id before the path.",
    ),
    row(ApiKey::ElectLeaders, 0, 2, By::TopicsHome)
        .differs("For all partitions, every cluster is asked; one that gives no answer is an error of the whole."),
    row(ApiKey::AlterPartitionReassignments, 0, 1, By::TopicsHome)
        .differs("Replicas are nodes of the topic's own cluster. In `single` there is nowhere to move to (39)."),
    row(ApiKey::ListPartitionReassignments, 0, 0, By::TopicsHome)
        .differs("In `single` replicas are the one node."),
    row(ApiKey::DescribeClientQuotas, 0, 1, By::AllClusters)
        .differs("Where clusters have different values the smaller is told. A cluster that gives no answer is an error that names it."),
    row(ApiKey::AlterClientQuotas, 0, 1, By::AllClusters).differs(CHANGED),
    row(ApiKey::DescribeAcls, 1, 3, By::AllClusters).differs(
        "Each ACL once. A cluster without an authorizer has none; 54 where none has one.",
    ),
    row(ApiKey::CreateAcls, 1, 3, By::Resources)
        .differs("Those of one topic, group or transactional id where it lives; all others on every cluster, with an error that names one that fails."),
    row(ApiKey::DeleteAcls, 1, 3, By::AllClusters).differs(CHANGED),
    row(ApiKey::DescribeUserScramCredentials, 0, 0, By::AllClusters)
        .differs("Users of the clusters, at whom Fishplate's clients do not log in."),
    row(ApiKey::AlterUserScramCredentials, 0, 0, By::AllClusters).differs(CHANGED),
    row(ApiKey::ListConfigResources, 0, 1, By::AllClusters)
        .differs("Topics and brokers are told by Fishplate."),
];

/// Of groups whose coordinator assigns partitions.
const ASSIGNS: &str =
    "A subscription that means topics of another cluster than the group's is refused (35; docs/groups.md).";
const ASSIGNS_SHARES: &str =
    "A subscription that means topics of another cluster than the group's is refused (42; docs/groups.md).";

const SHARES: &str = "Version 2 is not served. In `single` it is split, and who leads what is not told.";

/// Of what is changed on every cluster.
const CHANGED: &str = "The first error stands, and names its cluster; what others did is done.";

/// Of both requests that change configs.
const ALTERED: &str = "What is of a whole cluster (the brokers' default, client metrics) is changed on every cluster. In `single` what is \
                       of one broker is refused (42).";

/// Produce versions below this are shown and refused.
pub const PRODUCE_FROM: i16 = 3;

/// The row of an API, by its key on the wire.
#[must_use]
pub fn served(api_key: i16) -> Option<Served> {
    SERVED.iter().find(|row| row.api as i16 == api_key).copied()
}

/// The API, where we serve it in this version.
#[must_use]
pub fn serves(api_key: i16, version: i16) -> Option<ApiKey> {
    served(api_key).filter(|row| (row.lowest()..=row.max).contains(&version)).map(|row| row.api)
}

#[cfg(test)]
mod tests;
