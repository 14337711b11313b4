//! What it takes of a cluster that clients and tools can do what they do on Kafka of today, and whom it affects where a cluster
//! has less: for people (`check --live`). APIs that a cluster lacks are told even where nothing is said of them here.

use super::{By, SERVED};
use kafka_protocol::messages::ApiKey;

/// An API, the version from which on something works, and who goes without it below that.
#[derive(Clone, Copy, Debug)]
pub struct Needed {
    /// The API.
    pub api: ApiKey,
    /// Its version, at least.
    pub version: i16,
    /// Who is affected, and how.
    pub whom: &'static str,
}

const fn needed(api: ApiKey, version: i16, whom: &'static str) -> Needed {
    Needed { api, version, whom }
}

const GROUPS: &str = "no consumer group can live there";
const SHARES: &str = "share groups (KIP-932) are refused there";
const TRANSACTIONS: &str = "no transactional id can live there";
const QUOTAS: &str = "quotas cannot be seen or set there: kafka-configs says which cluster refuses";
const USERS: &str = "SCRAM users cannot be seen or set there: kafka-configs says which cluster refuses";
const ACLS: &str = "ACLs cannot be seen or set there";
const MOVES: &str = "partitions there cannot be moved: kafka-reassign-partitions, Cruise Control";
const FINDING: &str =
    "kafka-transactions shows nothing of it: transactions that hang are found on the cluster itself only";

/// All of it, by API, the least first.
pub const NEEDED: &[Needed] = &[
    needed(ApiKey::Produce, 3, "nobody can write there: Fishplate passes on no records of before 0.11"),
    needed(ApiKey::Produce, 12, "`transaction_version` stays at 1 while transactional ids live there"),
    needed(ApiKey::Fetch, 4, "nobody can read there: Fishplate passes on no records of before 0.11"),
    needed(ApiKey::Fetch, 11, "consumers with a `client.rack` read from leaders there, not from followers nearby"),
    needed(ApiKey::ListOffsets, 1, "consumers find neither the start nor the end of a partition there"),
    needed(
        ApiKey::ListOffsets,
        7,
        "the record of the largest timestamp cannot be asked for (kafka-get-offsets --time max-timestamp)",
    ),
    needed(
        ApiKey::Metadata,
        10,
        "topics there have ids of Fishplate's, by their names: one that is made again looks like the one before",
    ),
    needed(ApiKey::OffsetCommit, 2, GROUPS),
    needed(ApiKey::OffsetFetch, 1, GROUPS),
    needed(ApiKey::JoinGroup, 0, GROUPS),
    needed(
        ApiKey::JoinGroup,
        5,
        "`group.instance.id` is not heeded there: each restart of a static member is a rebalance",
    ),
    needed(ApiKey::Heartbeat, 0, GROUPS),
    needed(ApiKey::LeaveGroup, 0, GROUPS),
    needed(
        ApiKey::LeaveGroup,
        3,
        "static members cannot be removed by an admin client: Kafka Streams waits for their session to end",
    ),
    needed(ApiKey::SyncGroup, 0, GROUPS),
    needed(ApiKey::DescribeGroups, 0, "tools (kafka-consumer-groups, consoles) see no members of groups there"),
    needed(
        ApiKey::ListGroups,
        0,
        "tools (kafka-consumer-groups, consoles) and `fishplate groups` list no groups there",
    ),
    needed(ApiKey::CreateTopics, 2, "nobody can make topics there"),
    needed(
        ApiKey::CreateTopics,
        4,
        "topics are made there with numbers of partitions and replicas only, not with the cluster's own (-1)",
    ),
    needed(ApiKey::DeleteTopics, 1, "nobody can delete topics there"),
    needed(
        ApiKey::DeleteRecords,
        0,
        "Kafka Streams does not empty its repartition topics there: they keep what retention keeps",
    ),
    needed(ApiKey::InitProducerId, 0, TRANSACTIONS),
    needed(
        ApiKey::OffsetForLeaderEpoch,
        2,
        "consumers of Java, librdkafka and franz-go do not find out that a log was truncated there",
    ),
    needed(ApiKey::AddPartitionsToTxn, 0, TRANSACTIONS),
    needed(ApiKey::AddOffsetsToTxn, 0, TRANSACTIONS),
    needed(ApiKey::EndTxn, 0, TRANSACTIONS),
    needed(ApiKey::TxnOffsetCommit, 0, TRANSACTIONS),
    needed(ApiKey::TxnOffsetCommit, 3, "Kafka Streams with exactly_once_v2: a zombie is not fenced by its group there"),
    needed(ApiKey::DescribeAcls, 1, ACLS),
    needed(ApiKey::CreateAcls, 1, ACLS),
    needed(ApiKey::DeleteAcls, 1, ACLS),
    needed(
        ApiKey::DescribeConfigs,
        1,
        "tools see no configs of topics and brokers there; Kafka Connect cannot check its topics",
    ),
    needed(ApiKey::AlterConfigs, 0, "configs cannot be changed there by old tools"),
    needed(ApiKey::DescribeLogDirs, 1, "tools (kafka-log-dirs, consoles) see no sizes of its topics"),
    needed(ApiKey::CreatePartitions, 0, "topics there cannot get more partitions"),
    needed(ApiKey::DeleteGroups, 0, "groups there cannot be deleted"),
    needed(ApiKey::ElectLeaders, 0, "leaders cannot be elected there: kafka-leader-election"),
    needed(
        ApiKey::IncrementalAlterConfigs,
        0,
        "kafka-configs and today's admin clients change no configs there; AlterConfigs still does",
    ),
    needed(ApiKey::AlterPartitionReassignments, 0, MOVES),
    needed(ApiKey::ListPartitionReassignments, 0, MOVES),
    needed(ApiKey::OffsetDelete, 0, "kafka-consumer-groups --delete-offsets is refused for groups there"),
    needed(ApiKey::DescribeClientQuotas, 0, QUOTAS),
    needed(ApiKey::AlterClientQuotas, 0, QUOTAS),
    needed(ApiKey::DescribeUserScramCredentials, 0, USERS),
    needed(ApiKey::AlterUserScramCredentials, 0, USERS),
    needed(ApiKey::DescribeProducers, 0, FINDING),
    needed(ApiKey::DescribeTransactions, 0, FINDING),
    needed(ApiKey::ListTransactions, 0, FINDING),
    needed(
        ApiKey::ConsumerGroupHeartbeat,
        0,
        "`group.protocol=consumer` (KIP-848) is refused for groups that live there",
    ),
    needed(ApiKey::ConsumerGroupDescribe, 0, "tools see no members of groups of `group.protocol=consumer` there"),
    needed(ApiKey::ShareGroupHeartbeat, 1, SHARES),
    needed(ApiKey::ShareGroupDescribe, 1, SHARES),
    needed(ApiKey::ShareFetch, 1, SHARES),
    needed(ApiKey::ShareAcknowledge, 1, SHARES),
    needed(ApiKey::DescribeShareGroupOffsets, 0, SHARES),
    needed(ApiKey::AlterShareGroupOffsets, 0, SHARES),
    needed(ApiKey::DeleteShareGroupOffsets, 0, SHARES),
    needed(ApiKey::ListConfigResources, 0, "clients' metrics that are configured there are not listed"),
];

/// Of an API that is shown and that nothing is said of.
const SOMEBODY: &str = "clients that use it get an error for what lives there";

/// Something that a cluster cannot do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Lack {
    /// What it lacks: APIs, or their versions from one on.
    pub what: String,
    /// Who is affected, and how.
    pub whom: &'static str,
}

/// What a cluster cannot do whose highest versions these are (`None`: it has none): of what affects the same people, all at once.
/// What is not shown to clients affects nobody, and neither does what we answer ourselves, unless something is said of it.
#[must_use]
pub fn lacks(highest: impl Fn(ApiKey) -> Option<i16>) -> Vec<Lack> {
    let mut lacks: Vec<(&'static str, Vec<String>)> = Vec::new();
    let mut add = |whom, what| match lacks.iter_mut().find(|(known, _)| *known == whom) {
        Some((_, all)) => all.push(what),
        None => lacks.push((whom, vec![what])),
    };
    for row in SERVED {
        let of_it = || NEEDED.iter().filter(|needed| needed.api == row.api);
        match highest(row.api) {
            None => match of_it().next() {
                Some(first) => add(first.whom, format!("{:?}", row.api)),
                None if row.by == By::Us => {}
                None => add(SOMEBODY, format!("{:?}", row.api)),
            },
            Some(highest) => {
                let missing = of_it().filter(|needed| needed.version > highest);
                missing.for_each(|needed| add(needed.whom, format!("{:?} {}", row.api, needed.version)));
            }
        }
    }
    lacks.into_iter().map(|(whom, what)| Lack { what: what.join(", "), whom }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_has_all_lacks_nothing_and_one_without_anything_is_told_to_be_no_good() {
        assert_eq!(lacks(|_| Some(i16::MAX)), []);
        let nothing = lacks(|_| None);
        let told = |what: &str| nothing.iter().find(|lack| lack.what.split(", ").any(|api| api == what));
        assert_eq!(told("Produce").map(|lack| lack.whom), Some(NEEDED[0].whom));
        assert_eq!(told("JoinGroup").map(|lack| lack.whom), Some(GROUPS));
        assert!(told("ApiVersions").is_none() && told("DescribeCluster").is_none(), "we answer those");
    }

    #[test]
    fn what_is_said_of_an_api_is_said_once_the_least_first_and_can_be_seen() {
        for pair in NEEDED.windows(2) {
            assert!(pair[0].api != pair[1].api || pair[0].version < pair[1].version, "{pair:?}");
        }
        for row in SERVED {
            let of_it = || NEEDED.iter().filter(|needed| needed.api == row.api);
            assert!(of_it().all(|needed| needed.version <= row.max), "{:?}: not even we have it", row.api);
        }
    }

    #[test]
    fn what_affects_the_same_people_is_told_together() {
        let without = [ApiKey::JoinGroup, ApiKey::SyncGroup];
        let told = lacks(|api| (!without.contains(&api)).then_some(if api == ApiKey::Fetch { 10 } else { i16::MAX }));
        let told: Vec<_> = told.iter().map(|lack| (&*lack.what, lack.whom)).collect();
        let follower = "consumers with a `client.rack` read from leaders there, not from followers nearby";
        assert_eq!(told, [("Fetch 11", follower), ("JoinGroup, SyncGroup", GROUPS)]);
    }
}
