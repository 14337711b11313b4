//! `check --live`: a config against the clusters as they really are. One part looks, the other is pure and compares.
//! Talks to the clusters itself; needs no running proxy and changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ListGroupsRequest};
use serde::Serialize;
use tokio::task::JoinSet;

use super::guard::{self, Held, Questions, Stray, Verdict};
use crate::config::Config;
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
    /// A broker does not serve an API that Fishplate shows to clients.
    Lacks {
        /// The cluster.
        cluster: String,
        /// The API.
        api: String,
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
            Self::Lacks { cluster, api } => (
                format!("cluster {cluster} does not serve {api}"),
                "clients that use it get an error for what lives there".into(),
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
        looks.spawn(async move { (cluster.slot(), look(&cluster).await) });
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

async fn look(cluster: &Arc<Cluster>) -> Seen {
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
        seen.add(address, answer);
    }
    seen
}

/// What one broker told.
struct Answers {
    versions: Versions,
    /// Kafka's error code where it refused.
    groups: Result<Vec<String>, i16>,
}

async fn ask(cluster: &Arc<Cluster>, broker: BrokerId) -> Result<Answers, String> {
    let why = |fault: crate::error::Fault| fault.reason.to_string();
    let versions = cluster.call(Some(broker), &ApiVersionsRequest::default(), 0).await.map_err(why)?;
    let versions = Versions::of(&versions);
    if versions.nearest(ApiKey::ListGroups, 0).is_none() {
        return Ok(Answers { versions, groups: Ok(Vec::new()) });
    }
    let groups = cluster.call(Some(broker), &ListGroupsRequest::default(), 4).await.map_err(why)?;
    let names = groups.groups.iter().map(|group| group.group_id.to_string()).collect();
    let groups = if groups.error_code == 0 { Ok(names) } else { Err(groups.error_code) };
    Ok(Answers { versions, groups })
}

impl Seen {
    fn of(snapshot: &Snapshot) -> Self {
        let topics = snapshot.topics.values().filter(|topic| !topic.internal).map(|topic| topic.name.to_string());
        let id = snapshot.cluster_id.as_deref().map(ToOwned::to_owned);
        Self { id, brokers: snapshot.brokers.len(), topics: topics.collect(), ..Self::default() }
    }

    fn add(&mut self, address: String, answer: Result<Answers, String>) {
        match answer {
            Err(why) => self.silent.push((address, why)),
            Ok(Answers { versions, groups }) => {
                self.lacks.extend(lacking(&versions));
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
    }
    found.extend(one_cluster_twice(seen, named));
    found.extend(strays.iter().flat_map(|(stray, verdict)| topic(stray, verdict, seen, named)));
    found.extend(groups(config, seen, named));
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
    let lacks = seen.lacks.iter().map(|api| Finding::Lacks { cluster: cluster(), api: api.clone() });
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
pipelines: [{ name: p, topics: [\"b-*\"], groups: [\"gb-*\"], cluster: b }]
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
