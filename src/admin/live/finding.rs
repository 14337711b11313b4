//! What `check --live` may find, and how it is told to people. Knows no cluster.

use serde::Serialize;

/// One thing that an operator should know.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// A cluster, or one of its brokers, did not answer.
    Unreachable {
        /// The cluster.
        cluster: String,
        /// The broker as its cluster advertises it; `None`: no broker answered.
        broker: Option<String>,
        /// What happened.
        why: String,
    },
    /// A cluster did not let an identity of its clients in, or told it nothing.
    IdentityRefused {
        /// The cluster.
        cluster: String,
        /// The identity.
        identity: String,
        /// What happened.
        why: String,
    },
    /// Two clusters of the config are one.
    OneClusterTwice {
        /// Their names in the config.
        clusters: Vec<String>,
        /// The id that both gave.
        id: String,
    },
    /// A cluster with transactional ids lacks what clients are shown of transactions.
    LacksTransactions {
        /// The cluster.
        cluster: String,
        /// The `transaction_version` of the config.
        version: i16,
        /// What it lacks.
        why: String,
    },
    /// A transactional id exists, and not where the config says that it lives.
    TransactionAway {
        /// The transactional id.
        transactional_id: String,
        /// Where it lives by the config.
        home: String,
        /// Where it exists.
        on: String,
        /// The pipeline that has it.
        pipeline: String,
    },
    /// A transaction is open on a cluster that could not be made through Fishplate.
    TransactionSpans {
        /// The transactional id.
        transactional_id: String,
        /// Where its transactions live by the config.
        home: String,
        /// A topic that it writes to.
        topic: String,
        /// Where that lives.
        lives_on: String,
        /// What to write.
        advice: String,
    },
    /// A transaction is open that commits a group's offsets, and no group can live where it does.
    TransactionWithoutGroup {
        /// The transactional id.
        transactional_id: String,
        /// The pipeline that has it.
        pipeline: String,
        /// Where its transactions live by the config.
        home: String,
        /// Where groups that no pipeline claims live.
        groups_on: String,
    },
    /// A broker would not tell its groups.
    GroupsRefused {
        /// The cluster.
        cluster: String,
        /// Kafka's error code.
        error: i16,
    },
    /// A topic has records on its own cluster and on another.
    TopicTwice {
        /// The topic.
        topic: String,
        /// Where clients find it.
        home: String,
        /// Where it has some as well.
        also_on: String,
    },
    /// A topic's records are on another cluster, and none on its own: a proxy that starts keeps it from clients.
    TopicKept {
        /// The topic.
        topic: String,
        /// Where it lives by the config.
        home: String,
        /// Where its records are.
        on: String,
        /// The pipeline that has it.
        pipeline: String,
    },
    /// It is not known whether a topic that is on another cluster too has records there, or at home.
    TopicUnknown {
        /// The topic.
        topic: String,
        /// Which cluster does not tell.
        cluster: String,
        /// Why not.
        why: String,
    },
    /// A topic exists, without records, and not where the config says that it lives.
    TopicAway {
        /// The topic.
        topic: String,
        /// Where it lives by the config.
        home: String,
        /// Where it exists.
        on: String,
        /// The pipeline that has it.
        pipeline: String,
    },
    /// A canary's cluster lacks a topic.
    TwinMissing {
        /// The topic.
        topic: String,
        /// The cluster.
        on: String,
        /// The pipeline that has the canary.
        pipeline: String,
    },
    /// A canary's topic has fewer partitions than it has at home.
    TwinSmaller {
        /// The topic.
        topic: String,
        /// The canary's cluster.
        on: String,
        /// How many it has there.
        there: usize,
        /// And at home.
        at_home: usize,
    },
    /// A canary's topic was made for commits, and keeps nothing.
    TwinForgets {
        /// The topic.
        topic: String,
        /// The canary's cluster.
        on: String,
    },
    /// The workers of a Kafka Connect cluster live elsewhere than what they write in transactions.
    ConnectApart {
        /// Their group.
        group: String,
        /// Where it lives.
        home: String,
        /// What lives elsewhere, each with its cluster.
        apart: Vec<String>,
        /// The topics of configs, offsets and states, where they can be told.
        topics: Vec<String>,
        /// Its sources write in transactions that Fishplate would refuse.
        refused: bool,
    },
    /// A consumer group lives where none of the topics does that it has committed offsets for.
    GroupApart {
        /// The group.
        group: String,
        /// Where it lives.
        home: String,
        /// Where all of its topics live.
        topics_on: String,
        /// A pipeline that has one of them.
        pipeline: String,
    },
    /// An application of Kafka Streams lives elsewhere than topics that it has made for itself.
    ApplicationApart {
        /// Its id, which is its group.
        group: String,
        /// Where that lives.
        home: String,
        /// One of these topics.
        topic: String,
        /// Where that lives.
        lives_on: String,
    },
    /// A consumer group exists, and not where the config says that it lives.
    GroupAway {
        /// The group.
        group: String,
        /// Where it lives by the config.
        home: String,
        /// Where it exists.
        on: String,
        /// The pipeline that has it.
        pipeline: String,
    },
}

impl Finding {
    /// What is the matter, and what to do about it.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table: an arm for each finding")]
    pub fn words(&self) -> (String, String) {
        match self {
            Self::Unreachable { cluster, broker: None, why } => (
                format!("cluster {cluster} cannot be reached: {why}"),
                "look at its bootstrap addresses and the network between".into(),
            ),
            Self::Unreachable { cluster, broker: Some(broker), why } => (
                format!("broker {broker} of cluster {cluster} cannot be reached: {why}"),
                "the cluster advertises this address: it must lead to the broker from here too".into(),
            ),
            Self::IdentityRefused { cluster, identity, why } => (
                format!("cluster {cluster} was not entered as its identity {identity}: {why}"),
                format!(
                    "see whether `clusters.{cluster}.identities.{identity}` says what the cluster knows it by; who has it is served nothing there"
                ),
            ),
            Self::OneClusterTwice { clusters, id } => (
                format!("{} are one cluster: both have the id {id}", clusters.join(" and ")),
                "leave one of them out: its topics would appear twice".into(),
            ),
            Self::LacksTransactions { cluster, version, why } => (
                format!("transactional ids live on {cluster}, which cannot do `transaction_version: {version}`: {why}"),
                "every transaction there would fail; leave it at 1, or finalize the feature on the cluster first"
                    .into(),
            ),
            Self::TransactionAway { transactional_id, home, on, pipeline } => (
                format!(
                    "transactional id {transactional_id} exists on {on} only, and the pipeline {pipeline} says {home}; a producer \
                     that holds it there would not be fenced"
                ),
                format!("add it to the transactional_ids of a pipeline on {on}"),
            ),
            Self::TransactionSpans { transactional_id, home, topic, lives_on, advice } => (
                format!(
                    "a transaction of {transactional_id}, which lives on {home}, writes to topic {topic}, which lives on {lives_on}; \
                     through Fishplate it would be refused"
                ),
                advice.clone(),
            ),
            Self::TransactionWithoutGroup { transactional_id, pipeline, home, groups_on } => (
                format!(
                    "a transaction of {transactional_id}, which lives on {home}, commits offsets of a group, and all groups live on \
                     {groups_on}; through Fishplate it would be refused"
                ),
                format!("name its group in `groups` of the pipeline {pipeline}"),
            ),
            Self::GroupsRefused { cluster, error } => (
                format!("cluster {cluster} does not tell its groups: error {error}"),
                "groups were not checked; allow Describe on the cluster".into(),
            ),
            Self::TopicTwice { topic, home, also_on } => (
                format!("topic {topic} has records on {home} and on {also_on}; clients see only those on {home}"),
                format!("move those on {also_on} elsewhere, or delete the topic there if nobody needs them"),
            ),
            Self::TopicKept { topic, home, on, pipeline } => (
                format!(
                    "topic {topic} has records on {on} and none on {home}, where the pipeline {pipeline} has it; a proxy that \
                     starts keeps it from clients"
                ),
                format!("give it to a pipeline on {on}, or delete it there if nobody needs its records"),
            ),
            Self::TopicUnknown { topic, cluster, why } => (
                format!("it is not known whether topic {topic} has records on {cluster}: {why}"),
                "it is on two clusters: look again when the cluster answers".into(),
            ),
            Self::TopicAway { topic, home, on, pipeline } => (
                format!(
                    "topic {topic} exists on {on} only, and the pipeline {pipeline} says {home}; clients do not see it"
                ),
                format!("give it to a pipeline on {on}, or create it on {home}"),
            ),
            Self::TwinMissing { topic, on, pipeline } => (
                format!("the pipeline {pipeline} has a canary on {on}, and topic {topic} is not there"),
                format!("create it on {on}, with as many partitions as at home: Fishplate makes none"),
            ),
            Self::TwinSmaller { topic, on, there, at_home } => (
                format!(
                    "topic {topic} has {there} partition{} on {on} and {at_home} at home: a canary sends records of several to one",
                    if *there == 1 { "" } else { "s" }
                ),
                "give it as many as at home, before anything is written there".into(),
            ),
            Self::TwinForgets { topic, on } => (
                format!("topic {topic} on {on} is a shadow topic: what a canary writes there is gone in a second"),
                "give it the retention that the topic has at home, before anything is written there".into(),
            ),
            Self::GroupApart { group, home, topics_on, pipeline } => (
                format!(
                    "group {group} lives on {home}, and all topics that it reads live on {topics_on}: each commit needs both \
                     clusters, and shadow topics on {home}"
                ),
                format!(
                    "add it to the groups of the pipeline {pipeline}, which is on {topics_on}; it then begins without its commits"
                ),
            ),
            Self::ApplicationApart { group, home, topic, lives_on } => (
                format!(
                    "Kafka Streams application {group} lives on {home}, and its own topic {topic} on {lives_on}; with exactly_once_v2 \
                     it would be refused"
                ),
                format!("let one pipeline have `{group}-*` in topics and transactional_ids, and {group} in groups"),
            ),
            Self::ConnectApart { group, home, apart, topics, refused } => {
                let matter = match refused {
                    true => "its exactly-once sources would be refused",
                    false => "its workers need all of these clusters",
                };
                let own = "the topics of its configs, offsets and states".to_owned();
                let own = if topics.is_empty() { own } else { topics.join(", ") };
                (
                    format!("Kafka Connect cluster {group} lives on {home}, and {}; {matter}", apart.join(", ")),
                    format!(
                        "let one pipeline have {group} in groups, {own} and what its sources write to in topics, and `{group}-*` and \
                         connect-cluster-{group} in transactional_ids"
                    ),
                )
            }
            Self::GroupAway { group, home, on, pipeline } => (
                format!(
                    "group {group} exists on {on} only, and the pipeline {pipeline} says {home}; its commits would not be found"
                ),
                format!("add it to the groups of a pipeline on {on}"),
            ),
        }
    }
}
