//! `check --live`: a config against the clusters as they really are. One part looks, the other is pure and compares.
//! Talks to the clusters itself; needs no running proxy and changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::messages::{ApiKey, DescribeTransactionsRequest, ListGroupsRequest, ListTransactionsRequest};
use kafka_protocol::protocol::StrBytes;
use serde::Serialize;
use tokio::task::JoinSet;

use super::guard::{self, Held, Questions, Stray, Verdict};
use crate::api::span::{Foreign, Span};
use crate::config::{Config, Pipeline};
use crate::telemetry::Telemetry;
use crate::types::{BrokerId, Name, Slot};
use crate::upstream::{Cluster, Snapshot, Versions};
use crate::wire::versions::SERVED;

/// What was seen and what is wrong with it.
#[derive(Debug, Serialize)]
pub struct Live {
    /// Each cluster of the config, by slot.
    pub clusters: Vec<Summary>,
    /// What an operator should know before clients come.
    pub found: Vec<Finding>,
}

impl Live {
    /// Every cluster, and every broker of it, answered.
    #[must_use]
    pub fn all_reached(&self) -> bool {
        !self.found.iter().any(|one| matches!(one, Finding::Unreachable { .. }))
    }
}

/// One cluster in a line.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its name in the config.
    pub cluster: String,
    /// It told its metadata.
    pub reached: bool,
    /// Its own id.
    pub id: Option<String>,
    /// How many live brokers it names.
    pub brokers: usize,
    /// How many topics it has, its internal ones left out.
    pub topics: usize,
    /// How many consumer groups it has.
    pub groups: usize,
}

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
    /// Two clusters of the config are one.
    OneClusterTwice {
        /// Their names in the config.
        clusters: Vec<String>,
        /// The id that both gave.
        id: String,
    },
    /// A cluster's brokers do not serve what Fishplate shows to clients.
    Lacks {
        /// The cluster.
        cluster: String,
        /// The APIs.
        apis: Vec<String>,
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
            Self::OneClusterTwice { clusters, id } => (
                format!("{} are one cluster: both have the id {id}", clusters.join(" and ")),
                "leave one of them out: its topics would appear twice".into(),
            ),
            Self::Lacks { cluster, apis } => (
                format!("cluster {cluster} does not serve {}", apis.join(", ")),
                "clients that use it get an error for what lives there".into(),
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
            Self::GroupAway { group, home, on, pipeline } => (
                format!(
                    "group {group} exists on {on} only, and the pipeline {pipeline} says {home}; its commits would not be found"
                ),
                format!("add it to the groups of a pipeline on {on}"),
            ),
        }
    }
}

/// What one cluster told.
#[derive(Debug, Default)]
struct Seen {
    /// Why it told nothing.
    down: Option<String>,
    id: Option<String>,
    brokers: usize,
    /// Without the internal ones.
    topics: BTreeSet<String>,
    groups: BTreeSet<String>,
    lacks: BTreeSet<String>,
    /// What it lacks of the `transaction_version` that clients are shown, where transactional ids live on it.
    lacks_transactions: Option<String>,
    /// Each transactional id, with the topics of its open transaction.
    transactions: BTreeMap<String, BTreeSet<String>>,
    /// Brokers that did not answer, and why.
    silent: Vec<(String, String)>,
    /// Kafka's error code to the question for groups.
    groups_refused: Option<i16>,
}

/// Looks at all clusters of a config at once, each for some ten seconds at most, and compares.
pub async fn live(config: &Config, telemetry: &Telemetry) -> Live {
    let (clusters, _tasks) = guard::open(&[config], telemetry);
    let mut looks = JoinSet::new();
    for cluster in &clusters {
        let cluster = Arc::clone(cluster);
        let wanted = config.homes_of_transactions().contains(&cluster.slot()).then_some(config.transaction_version);
        looks.spawn(async move { (cluster.slot(), look(&cluster, wanted).await) });
    }
    let seen = looks.join_all().await.into_iter().collect();
    compare(config, &seen, &judge(config, &clusters).await)
}

/// Each topic that is somewhere else than where it lives, and what that means for its records.
async fn judge(config: &Config, clusters: &[Arc<Cluster>]) -> Vec<(Stray, Verdict)> {
    let mut questions = Questions::new();
    let strays = guard::strays(config, &guard::seen(clusters));
    strays.iter().for_each(|stray| stray.question(&mut questions));
    let held = Held::ask(clusters, &questions).await;
    strays.into_iter().map(|stray| (stray.clone(), stray.verdict(&held))).collect()
}

/// `wanted`: the version of transactions that clients are shown, where transactional ids live on it.
async fn look(cluster: &Arc<Cluster>, wanted: Option<i16>) -> Seen {
    cluster.refreshed(Vec::new(), false).await;
    let news = cluster.news().borrow().clone();
    if let Some(why) = news.down.as_deref().or_else(|| (!news.read).then_some("it told no metadata")) {
        return Seen { down: Some(why.to_owned()), ..Seen::default() };
    }
    let mut seen = Seen::of(&news.snapshot);
    let mut asked = JoinSet::new();
    for (id, broker) in &news.snapshot.brokers {
        let (cluster, id, address) = (Arc::clone(cluster), *id, broker.address.to_string());
        asked.spawn(async move { (address, ask(&cluster, id).await) });
    }
    for (address, answer) in asked.join_all().await {
        seen.add(address, answer, wanted);
    }
    seen
}

/// What one broker told.
struct Answers {
    versions: Versions,
    /// Kafka's error code where it refused.
    groups: Result<Vec<String>, i16>,
    transactions: BTreeMap<String, BTreeSet<String>>,
}

async fn ask(cluster: &Arc<Cluster>, broker: BrokerId) -> Result<Answers, String> {
    let why = |fault: crate::error::Fault| fault.reason.to_string();
    let versions = cluster.call(Some(broker), &guard::asking_for_features(), guard::FEATURES).await.map_err(why)?;
    let versions = Versions::of(&versions);
    let transactions = transactions_of(cluster, broker, &versions).await;
    if versions.nearest(ApiKey::ListGroups, 0).is_none() {
        return Ok(Answers { versions, groups: Ok(Vec::new()), transactions });
    }
    let groups = cluster.call(Some(broker), &ListGroupsRequest::default(), 4).await.map_err(why)?;
    let names = groups.groups.iter().map(|group| group.group_id.to_string()).collect();
    let groups = if groups.error_code == 0 { Ok(names) } else { Err(groups.error_code) };
    Ok(Answers { versions, groups, transactions })
}

/// So many transactional ids of a broker are asked about.
const DESCRIBED: usize = 1_000;

/// The transactional ids that a broker coordinates, with the topics of their open transactions; nothing where it does not tell:
/// it is but a help.
async fn transactions_of(
    cluster: &Arc<Cluster>,
    broker: BrokerId,
    versions: &Versions,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut transactions = BTreeMap::new();
    if versions.nearest(ApiKey::ListTransactions, 0).is_none() {
        return transactions;
    }
    let Ok(listed) = cluster.call(Some(broker), &ListTransactionsRequest::default(), 0).await else {
        return transactions;
    };
    let ids: Vec<_> = listed.transaction_states.into_iter().map(|one| one.transactional_id).collect();
    transactions.extend(ids.iter().map(|id| (id.to_string(), BTreeSet::new())));
    let request =
        DescribeTransactionsRequest::default().with_transactional_ids(ids.into_iter().take(DESCRIBED).collect());
    let told = cluster.call(Some(broker), &request, 0).await;
    for one in told.into_iter().flat_map(|told| told.transaction_states) {
        let topics = one.topics.iter().map(|topic| topic.topic.to_string());
        transactions.entry(one.transactional_id.to_string()).or_default().extend(topics);
    }
    transactions
}

impl Seen {
    fn of(snapshot: &Snapshot) -> Self {
        let topics = snapshot.topics.values().filter(|topic| !topic.internal).map(|topic| topic.name.to_string());
        let id = snapshot.cluster_id.as_deref().map(ToOwned::to_owned);
        Self { id, brokers: snapshot.brokers.len(), topics: topics.collect(), ..Self::default() }
    }

    fn add(&mut self, address: String, answer: Result<Answers, String>, wanted: Option<i16>) {
        match answer {
            Err(why) => self.silent.push((address, why)),
            Ok(Answers { versions, groups, transactions }) => {
                self.lacks.extend(lacking(&versions));
                let lacks = wanted.and_then(|wanted| versions.lacks_for_transactions(wanted));
                self.lacks_transactions = self.lacks_transactions.take().or(lacks);
                self.transactions.extend(transactions);
                match groups {
                    Ok(groups) => self.groups.extend(groups),
                    Err(error) => self.groups_refused = Some(error),
                }
            }
        }
    }
}

/// The APIs that we show to clients and that a broker serves in no version of ours.
fn lacking(versions: &Versions) -> impl Iterator<Item = String> {
    let theirs: BTreeMap<i16, (i16, i16)> = versions.iter().map(|(api, min, max)| (api, (min, max))).collect();
    let lacks =
        move |key: i16, ours: (i16, i16)| theirs.get(&key).is_none_or(|(min, max)| *max < ours.0 || *min > ours.1);
    SERVED.iter().filter(move |row| lacks(row.api as i16, (row.min, row.max))).map(|row| format!("{:?}", row.api))
}

/// What was seen, against what the config says.
fn compare(config: &Config, seen: &BTreeMap<Slot, Seen>, strays: &[(Stray, Verdict)]) -> Live {
    let named = |slot: &Slot| config.cluster(*slot).map_or_else(String::new, |cluster| cluster.name.to_string());
    let mut found = BTreeSet::new();
    for (slot, one) in seen {
        found.extend(of_cluster(&named(slot), one));
        found.extend(one.lacks_transactions.iter().map(|why| {
            let version = config.transaction_version;
            Finding::LacksTransactions { cluster: named(slot), version, why: why.clone() }
        }));
    }
    found.extend(one_cluster_twice(seen, named));
    found.extend(strays.iter().flat_map(|(stray, verdict)| topic(stray, verdict, seen, named)));
    found.extend(groups(config, seen, named));
    found.extend(transactions(config, seen, named));
    let summary = |(slot, one): (&Slot, &Seen)| Summary {
        cluster: named(slot),
        reached: one.down.is_none(),
        id: one.id.clone(),
        brokers: one.brokers,
        topics: one.topics.len(),
        groups: one.groups.len(),
    };
    Live { clusters: seen.iter().map(summary).collect(), found: found.into_iter().collect() }
}

/// What is the matter with one cluster by itself.
fn of_cluster(name: &str, seen: &Seen) -> Vec<Finding> {
    let cluster = || name.to_owned();
    let down = seen.down.iter().map(|why| Finding::Unreachable { cluster: cluster(), broker: None, why: why.clone() });
    let silent = seen.silent.iter().map(|(broker, why)| Finding::Unreachable {
        cluster: cluster(),
        broker: Some(broker.clone()),
        why: why.clone(),
    });
    let apis: Vec<_> = seen.lacks.iter().cloned().collect();
    let lacks = (!apis.is_empty()).then(|| Finding::Lacks { cluster: cluster(), apis });
    let refused = seen.groups_refused.map(|error| Finding::GroupsRefused { cluster: cluster(), error });
    down.chain(silent).chain(lacks).chain(refused).collect()
}

fn one_cluster_twice(seen: &BTreeMap<Slot, Seen>, named: impl Fn(&Slot) -> String) -> Vec<Finding> {
    let mut by_id: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (slot, one) in seen {
        if let Some(id) = &one.id {
            by_id.entry(id).or_default().push(named(slot));
        }
    }
    let twice = by_id.into_iter().filter(|(_, clusters)| clusters.len() > 1);
    twice.map(|(id, clusters)| Finding::OneClusterTwice { clusters, id: id.to_owned() }).collect()
}

/// A topic that is somewhere else than where it lives. Silent about what lives on a cluster that told nothing, and about an
/// empty topic beside the one at home: shadow topics are such.
fn topic(
    stray: &Stray,
    verdict: &Verdict,
    seen: &BTreeMap<Slot, Seen>,
    named: impl Fn(&Slot) -> String,
) -> Vec<Finding> {
    let Some(at_home) = seen.get(&stray.home).filter(|at_home| at_home.down.is_none()) else { return Vec::new() };
    let (topic, home, pipeline) = (stray.topic.to_string(), named(&stray.home), text(&stray.pipeline));
    vec![match verdict {
        Verdict::Both(on) => Finding::TopicTwice { topic, home, also_on: named(on) },
        Verdict::Away(on) => Finding::TopicKept { topic, home, on: named(on), pipeline },
        Verdict::Unknown(on, why) => Finding::TopicUnknown { topic, cluster: named(on), why: why.clone() },
        Verdict::Fine if at_home.topics.contains(&topic) => return Vec::new(),
        Verdict::Fine => {
            let on = stray.on.iter().map(named).collect::<Vec<_>>().join(" and ");
            Finding::TopicAway { topic, home, on, pipeline }
        }
    }]
}

/// Groups that are not where they live. One that is there as well is told nothing of: what is elsewhere is a leftover.
fn groups(config: &Config, seen: &BTreeMap<Slot, Seen>, named: impl Fn(&Slot) -> String) -> Vec<Finding> {
    let mut found = Vec::new();
    for (slot, group) in names(seen, |one| &one.groups) {
        let pipeline = config.pipeline_of_group(group);
        let at_home = away(slot, pipeline.cluster, seen);
        if at_home.is_some_and(|home| !home.groups.contains(group)) {
            let (group, home, on) = (group.clone(), named(&pipeline.cluster), named(slot));
            found.push(Finding::GroupAway { group, home, on, pipeline: text(&pipeline.name) });
        }
    }
    found
}

/// Transactional ids that are not where they live, and open transactions that would not be taken.
fn transactions(config: &Config, seen: &BTreeMap<Slot, Seen>, named: impl Fn(&Slot) -> String) -> Vec<Finding> {
    let mut found = Vec::new();
    for (slot, one) in seen {
        for (id, topics) in &one.transactions {
            let Pipeline { name, cluster: home, .. } = config.pipeline_of_transactional_id(id);
            let at_home = away(slot, *home, seen);
            if at_home.is_some_and(|at_home| !at_home.transactions.contains_key(id)) {
                let (transactional_id, home, on) = (id.clone(), named(home), named(slot));
                found.push(Finding::TransactionAway { transactional_id, home, on, pipeline: text(name) });
            }
            let lives_elsewhere = |topic: &&String| config.pipeline_of_topic(topic).cluster != *home;
            let foreign = topics.iter().filter(|topic| *topic != OFFSETS).find(lives_elsewhere);
            found.extend(foreign.map(|topic| spans(config, id, topic, &named)));
            if topics.contains(OFFSETS) && !has_groups(config, *home) {
                found.push(Finding::TransactionWithoutGroup {
                    transactional_id: id.clone(),
                    pipeline: text(name),
                    home: named(home),
                    groups_on: named(&config.default_cluster),
                });
            }
        }
    }
    found
}

fn spans(config: &Config, id: &str, topic: &str, named: impl Fn(&Slot) -> String) -> Finding {
    let (home, lives_on) = (config.pipeline_of_transactional_id(id).cluster, config.pipeline_of_topic(topic).cluster);
    let own = |name: &str| StrBytes::from_string(name.to_owned());
    let span = Span { id: own(id), home, what: Foreign::Topic(own(topic)), lives_on };
    Finding::TransactionSpans {
        transactional_id: id.to_owned(),
        home: named(&home),
        topic: topic.to_owned(),
        lives_on: named(&lives_on),
        advice: span.advice(config),
    }
}

/// What a transaction that commits offsets writes to: which group's is not told.
const OFFSETS: &str = "__consumer_offsets";

/// Whether groups can live on a cluster.
fn has_groups(config: &Config, cluster: Slot) -> bool {
    config.pipelines.iter().any(|one| one.cluster == cluster && !one.groups.is_empty())
}

/// Each name with the cluster that has it.
fn names<'a>(
    seen: &'a BTreeMap<Slot, Seen>,
    of: impl Fn(&'a Seen) -> &'a BTreeSet<String>,
) -> impl Iterator<Item = (&'a Slot, &'a String)> {
    seen.iter().flat_map(move |(slot, one)| of(one).iter().map(move |name| (slot, name)))
}

/// What is at home, if that is another cluster than `slot`, and if it told anything.
fn away<'a>(slot: &Slot, home: Slot, seen: &'a BTreeMap<Slot, Seen>) -> Option<&'a Seen> {
    seen.get(&home).filter(|at_home| *slot != home && at_home.down.is_none())
}

fn text(name: &Name) -> String {
    name.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::from_text(
            "c.yaml",
            "\
virtual_cluster: v
default_cluster: a
listeners: [{ bind: 127.0.0.1:0 }]
clusters:
  a: { slot: 0, bootstrap: [a.example:1] }
  b: { slot: 1, bootstrap: [b.example:1] }
pipelines: [{ name: p, topics: [\"b-*\"], groups: [\"gb-*\"], transactional_ids: [\"tb-*\"], cluster: b }]
",
        )
        .expect("a config")
    }

    fn seen(id: &str, topics: &[&str], groups: &[&str]) -> Seen {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Seen { id: Some(id.to_owned()), brokers: 1, topics: set(topics), groups: set(groups), ..Seen::default() }
    }

    fn slot(number: u8) -> Slot {
        Slot::new(number).expect("a slot")
    }

    /// What is found with these on the clusters `a` and `b`, in words.
    fn found(a: Seen, b: Seen) -> Vec<String> {
        found_with(a, b, &[])
    }

    fn found_with(a: Seen, b: Seen, strays: &[(Stray, Verdict)]) -> Vec<String> {
        let live = compare(&config(), &BTreeMap::from([(slot(0), a), (slot(1), b)]), strays);
        live.found.iter().map(|one| one.words().0).collect()
    }

    #[test]
    fn what_is_at_home_is_fine() {
        assert_eq!(found(seen("A", &["x"], &["g"]), seen("B", &["b-1"], &["gb-1"])), [""; 0]);
    }

    #[test]
    fn a_group_elsewhere_is_told() {
        assert_eq!(
            found(seen("A", &[], &["gb-1", "gb-2"]), seen("B", &[], &["gb-1", "g"])),
            [
                "group g exists on b only, and the pipeline default says a; its commits would not be found",
                "group gb-2 exists on a only, and the pipeline p says b; its commits would not be found",
            ]
        );
    }

    #[test]
    fn a_topic_elsewhere_is_told_where_records_are_or_clients_miss_it() {
        let stray = |topic: &str, verdict| {
            let topic = kafka_protocol::protocol::StrBytes::from_string(topic.to_owned());
            (Stray { topic, home: slot(1), pipeline: "p".into(), on: vec![slot(0)] }, verdict)
        };
        let strays = [
            stray("b-shadow", Verdict::Fine),
            stray("b-empty", Verdict::Fine),
            stray("b-kept", Verdict::Away(slot(0))),
            stray("b-twice", Verdict::Both(slot(0))),
            stray("b-unknown", Verdict::Unknown(slot(0), "no answer".to_owned())),
        ];
        assert_eq!(
            found_with(seen("A", &[], &[]), seen("B", &["b-shadow", "b-twice"], &[]), &strays),
            [
                "topic b-twice has records on b and on a; clients see only those on b",
                "topic b-kept has records on a and none on b, where the pipeline p has it; a proxy that starts keeps it from clients",
                "it is not known whether topic b-unknown has records on a: no answer",
                "topic b-empty exists on a only, and the pipeline p says b; clients do not see it",
            ]
        );
        let down = Seen { down: Some("refused".to_owned()), ..Seen::default() };
        assert_eq!(found_with(seen("A", &[], &[]), down, &strays), ["cluster b cannot be reached: refused"]);
    }

    #[test]
    fn transactions_that_would_be_refused_or_not_fenced_are_told() {
        let with = |seen: Seen, all: &[(&str, &[&str])]| {
            let one =
                |(id, topics): &(&str, &[&str])| (id.to_string(), topics.iter().map(ToString::to_string).collect());
            Seen { transactions: all.iter().map(one).collect(), ..seen }
        };
        let a = with(seen("A", &[], &[]), &[("t", &["x", "__consumer_offsets"]), ("tb-away", &[]), ("tb-both", &[])]);
        let b = with(
            seen("B", &[], &[]),
            &[("tb-1", &["b-1", "x"]), ("tb-both", &["b-1"]), ("tb-2", &["__consumer_offsets"])],
        );
        let (a, b) = (Seen { lacks_transactions: Some("its transaction.version is 1".to_owned()), ..a }, b);
        assert_eq!(
            found(a, b),
            [
                "transactional ids live on a, which cannot do `transaction_version: 1`: its transaction.version is 1",
                "transactional id tb-away exists on a only, and the pipeline p says b; a producer that holds it there would not be \
                 fenced",
                "a transaction of tb-1, which lives on b, writes to topic x, which lives on a; through Fishplate it would be refused",
            ]
        );
    }

    #[test]
    fn a_transaction_whose_group_lives_elsewhere_is_told() {
        let text = "{ name: p, topics: [\"b-*\"], transactional_ids: [\"tb-*\"], cluster: b }";
        let lines = "virtual_cluster: v\ndefault_cluster: a\nlisteners: [{ bind: 127.0.0.1:0 }]\nclusters:\n";
        let clusters = "  a: { slot: 0, bootstrap: [a.example:1] }\n  b: { slot: 1, bootstrap: [b.example:1] }\n";
        let config = Config::from_text("c.yaml", &format!("{lines}{clusters}pipelines: [{text}]\n")).expect("a config");
        let transactions = BTreeMap::from([("tb-1".to_owned(), BTreeSet::from(["__consumer_offsets".to_owned()]))]);
        let (a, b) = (seen("A", &[], &[]), Seen { transactions, ..seen("B", &[], &[]) });
        let live = compare(&config, &BTreeMap::from([(slot(0), a), (slot(1), b)]), &[]);
        let (what, instead) = live.found[0].words();
        assert_eq!(
            what,
            "a transaction of tb-1, which lives on b, commits offsets of a group, and all groups live on a; through Fishplate it \
             would be refused"
        );
        assert_eq!((instead.as_str(), live.found.len()), ("name its group in `groups` of the pipeline p", 1));
    }

    #[test]
    fn a_cluster_that_is_down_makes_no_other_finding() {
        let down = Seen { down: Some("refused".to_owned()), ..Seen::default() };
        assert_eq!(found(seen("A", &["b-1"], &["gb-1"]), down), ["cluster b cannot be reached: refused"]);
    }

    #[test]
    fn one_cluster_under_two_names_is_told() {
        assert_eq!(found(seen("A", &[], &[]), seen("A", &[], &[])), ["a and b are one cluster: both have the id A"]);
    }

    #[test]
    fn what_a_broker_lacks_is_told() {
        use kafka_protocol::messages::ApiVersionsResponse;
        use kafka_protocol::messages::api_versions_response::ApiVersion;
        let row =
            |api: i16, min, max| ApiVersion::default().with_api_key(api).with_min_version(min).with_max_version(max);
        // All that we serve but for Fetch, which is older than ours, and DescribeTopicPartitions, which is not there.
        let rows = SERVED.iter().map(|ours| match ours.api {
            ApiKey::Fetch => row(1, 0, ours.min - 1),
            ApiKey::DescribeTopicPartitions => row(9999, 0, 0),
            api => row(api as i16, ours.max, ours.max + 3),
        });
        let versions = Versions::of(&ApiVersionsResponse::default().with_api_keys(rows.collect()));
        assert_eq!(lacking(&versions).collect::<Vec<_>>(), ["Fetch", "DescribeTopicPartitions"]);
    }
}
