//! The guard before data: what a change of the config may not do to topics that hold records, and which topics are kept
//! from clients since their records are where the config does not look. One part asks clusters, the other is pure.

use crate::config::diff::{Diff, Fixed, moved};
use crate::config::{self, Config, Pipeline};
use crate::session::ends::{Contents, Ends};
use crate::telemetry::Telemetry;
use crate::types::{Name, Slot};
use crate::upstream::connect::Shared;
use crate::upstream::{Cluster, Snapshot, Versions, all_answers, refresh};
use kafka_protocol::messages::{ApiVersionsRequest, ListGroupsRequest};
use kafka_protocol::protocol::StrBytes;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Metadata of this age will do.
const FRESH: Duration = Duration::from_secs(1);
/// How long a cluster may take to tell it.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// Larger than any answer about topics and groups.
const FRAME_LIMIT: usize = 64 << 20;
/// Topics that are asked about at a time.
const BATCH: usize = 1_000;

/// Why a config is not taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Refusal {
    /// Something cannot change while the proxy runs.
    NeedsRestart {
        /// The key.
        key: String,
        /// What it is.
        now: String,
        /// What it would be.
        then: String,
    },
    /// A cluster's new addresses lead to another cluster, or nowhere.
    Elsewhere {
        /// The cluster.
        cluster: String,
        /// What was found.
        why: String,
    },
    /// What TLS needs is not there, or wrong.
    Files {
        /// Which file, and how.
        why: String,
    },
    /// A topic that holds records would get another home.
    Moves {
        /// The topic.
        topic: String,
        /// Where its records are.
        from: String,
        /// What would be its home.
        to: String,
        /// By which pipeline.
        pipeline: String,
        /// How it is known that it holds some.
        how: String,
    },
    /// A pipeline would have a topic whose records are on another cluster, with none on its own.
    Away {
        /// The topic.
        topic: String,
        /// Where its records are.
        on: String,
        /// What would be its home.
        home: String,
        /// By which pipeline.
        pipeline: String,
    },
    /// A cluster with transactional ids lacks what clients would be shown of transactions.
    Transactions {
        /// The cluster.
        cluster: String,
        /// The `transaction_version`.
        version: i16,
        /// What it lacks, or why that is not known.
        why: String,
    },
    /// It is not known what a topic, or any topic, holds on a cluster.
    Unknown {
        /// The topic; `None`: any.
        topic: Option<String>,
        /// The cluster.
        cluster: String,
        /// Why not.
        why: String,
    },
}

impl Refusal {
    /// What is the matter, and what to do about it.
    #[must_use]
    pub fn words(&self) -> (String, String) {
        match self {
            Self::NeedsRestart { key, now, then } => {
                (format!("`{key}` is {now} and would be {then}"), "this needs a restart".into())
            }
            Self::Elsewhere { cluster, why } => (
                format!("the new addresses of cluster {cluster} do not lead to it: {why}"),
                "a cluster is told by its own id; give another one a name and a slot of its own".into(),
            ),
            Self::Files { why } => (format!("TLS cannot be set up: {why}"), "mend the file, then reload".into()),
            Self::Moves { topic, from, to, pipeline, how } => (
                format!(
                    "topic {topic} holds records on {from} and the pipeline {pipeline} would have it on {to}: {how}"
                ),
                format!(
                    "nothing copies them: leave it on {from} (name it in a pipeline there, before {pipeline}), or delete it first"
                ),
            ),
            Self::Away { topic, on, home, pipeline } => (
                format!("the pipeline {pipeline} would have topic {topic} on {home}, and its records are on {on}"),
                format!("give it to a pipeline on {on}, or delete it there if nobody needs them"),
            ),
            Self::Transactions { cluster, version, why } => (
                format!("transactional ids live on {cluster}, which cannot do `transaction_version: {version}`: {why}"),
                "every transaction there would fail; leave it at 1, or finalize the feature on the cluster first"
                    .into(),
            ),
            Self::Unknown { topic: Some(topic), cluster, why } => (
                format!("it is not known what topic {topic} holds on {cluster}: {why}"),
                "unknown is not empty: try again when the cluster answers".into(),
            ),
            Self::Unknown { topic: None, cluster, why } => (
                format!("it is not known which topics are on {cluster}: {why}"),
                "unknown is not empty: try again when the cluster answers".into(),
            ),
        }
    }
}

/// What clusters were found to hold of topics, where they have them.
#[derive(Debug, Default)]
pub struct Held(HashMap<(Slot, StrBytes), Contents>);

/// Which topics to ask which cluster about.
pub type Questions = BTreeMap<Slot, BTreeSet<StrBytes>>;

impl Held {
    /// What one cluster holds of a topic; `None` where it has none.
    fn of(&self, slot: Slot, topic: &StrBytes) -> Option<&Contents> {
        self.0.get(&(slot, topic.clone()))
    }

    fn is_written(&self, slot: Slot, topic: &StrBytes) -> bool {
        matches!(self.of(slot, topic), Some(Contents::Written(_)))
    }

    /// Asks all clusters at once.
    pub async fn ask(clusters: &[Arc<Cluster>], questions: &Questions) -> Self {
        let mut asked = JoinSet::new();
        for cluster in clusters {
            let Some(names) = questions.get(&cluster.slot()) else { continue };
            let snapshot = Arc::clone(&cluster.news().borrow().snapshot);
            let topics: Vec<_> = names.iter().filter_map(|name| snapshot.topics.get(name)).cloned().collect();
            let cluster = Arc::clone(cluster);
            asked.spawn(async move {
                let mut told = Vec::new();
                for some in topics.chunks(BATCH) {
                    let ends = Ends::of(&cluster, some).await;
                    told.extend(some.iter().map(|topic| ((cluster.slot(), topic.name.clone()), ends.contents(topic))));
                }
                told
            });
        }
        Self(all_answers(asked).await.into_iter().flatten().collect())
    }
}

/// What each cluster that told it has.
pub type Seen = BTreeMap<Slot, Arc<Snapshot>>;

/// What clusters have told so far.
#[must_use]
pub fn seen(clusters: &[Arc<Cluster>]) -> Seen {
    let told = |cluster: &Arc<Cluster>| {
        let news = cluster.news().borrow().clone();
        news.read.then(|| (cluster.slot(), news.snapshot))
    };
    clusters.iter().filter_map(told).collect()
}

fn on(seen: &Seen, topic: &str) -> Vec<Slot> {
    let has = |snapshot: &Snapshot| snapshot.topics.get(topic.as_bytes()).is_some_and(|topic| !topic.internal);
    seen.iter().filter(|(_, snapshot)| has(snapshot)).map(|(slot, _)| *slot).collect()
}

fn names(seen: &Seen) -> BTreeSet<StrBytes> {
    let topics = seen.values().flat_map(|snapshot| snapshot.topics.values());
    topics.filter(|topic| !topic.internal).map(|topic| topic.name.clone()).collect()
}

fn name_of(slot: Slot, configs: &[&Config]) -> String {
    let found = configs.iter().find_map(|config| config.cluster(slot));
    found.map_or_else(|| slot.to_string(), |cluster| cluster.name.to_string())
}

/// A topic that exists where it does not live, and no canary writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Its name.
    pub topic: StrBytes,
    /// Where it lives by the config.
    pub home: Slot,
    /// By which pipeline.
    pub pipeline: Name,
    /// Where it exists beside that, or instead.
    pub on: Vec<Slot>,
}

/// What is to be done about one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is elsewhere: an empty topic, as shadows are.
    Fine,
    /// Its records are on that cluster and none at home.
    Away(Slot),
    /// There are records at home and on that cluster.
    Both(Slot),
    /// Not known yet, of that cluster.
    Unknown(Slot, String),
}

/// All of them.
#[must_use]
pub fn strays(config: &Config, seen: &Seen) -> Vec<Stray> {
    let mut by_topic: BTreeMap<&StrBytes, Vec<Slot>> = BTreeMap::new();
    for (slot, snapshot) in seen {
        for topic in snapshot.topics.values().filter(|topic| !topic.internal) {
            by_topic.entry(&topic.name).or_default().push(*slot);
        }
    }
    let stray = |(topic, on): (&StrBytes, Vec<Slot>)| {
        if config.is_reserved(topic) {
            // The shadow of a twin.
            return None;
        }
        let Pipeline { name, cluster: home, .. } = config.pipeline_of_topic(topic);
        let on: Vec<_> = on.into_iter().filter(|slot| slot != home && !config.has_twin(topic, *slot)).collect();
        (!on.is_empty()).then(|| Stray { topic: topic.clone(), home: *home, pipeline: name.clone(), on })
    };
    by_topic.into_iter().filter_map(stray).collect()
}

impl Stray {
    /// Whom to ask about it.
    pub fn question(&self, questions: &mut Questions) {
        for slot in self.on.iter().chain([&self.home]) {
            questions.entry(*slot).or_default().insert(self.topic.clone());
        }
    }

    /// By what was found.
    #[must_use]
    pub fn verdict(&self, held: &Held) -> Verdict {
        let unknown = |slot: Slot| match held.of(slot, &self.topic) {
            Some(Contents::Unknown(why)) => Some(Verdict::Unknown(slot, why.clone())),
            _ => None,
        };
        let Some(elsewhere) = self.on.iter().copied().find(|slot| held.is_written(*slot, &self.topic)) else {
            return self.on.iter().find_map(|slot| unknown(*slot)).unwrap_or(Verdict::Fine);
        };
        if held.is_written(self.home, &self.topic) {
            return Verdict::Both(elsewhere);
        }
        unknown(self.home).unwrap_or(Verdict::Away(elsewhere))
    }
}

/// What another config would do to topics: which get another home, and which are first seen where they do not live.
#[derive(Debug, Default)]
pub struct Moving {
    topics: Vec<(StrBytes, Slot, Slot)>,
    found: Vec<Stray>,
}

impl Moving {
    /// By what is on the clusters of both configs.
    #[must_use]
    pub fn between(now: &Config, then: &Config, seen: &Seen) -> Self {
        let all = names(seen);
        let home: fn(&Config, &str) -> Slot = |config, topic| config.home_of_topic(topic);
        let own = |name: &str| all.get(name.as_bytes()).cloned();
        let topics = moved(now, then, all.iter().map(StrBytes::as_str), home).into_iter();
        let topics = topics.filter(|(name, ..)| !then.is_reserved(name));
        let topics: Vec<_> = topics.filter_map(|(name, was, is)| Some((own(name)?, was, is))).collect();
        let is_new = |slot: &Slot| now.cluster(*slot).is_none();
        let claimed = |stray: &Stray| stray.pipeline.as_str() != crate::config::DEFAULT_PIPELINE;
        let found = strays(then, seen).into_iter().filter(|stray| claimed(stray) && stray.on.iter().any(is_new));
        Self { topics, found: found.collect() }
    }

    /// The topics that would get another home, with what it was and would be.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &(StrBytes, Slot, Slot)> {
        self.topics.iter()
    }

    /// Whom to ask.
    #[must_use]
    pub fn questions(&self, seen: &Seen) -> Questions {
        let mut questions = Questions::new();
        for (topic, ..) in &self.topics {
            for slot in on(seen, topic) {
                questions.entry(slot).or_default().insert(topic.clone());
            }
        }
        self.found.iter().for_each(|stray| stray.question(&mut questions));
        questions
    }

    /// What speaks against it.
    #[must_use]
    pub fn refusals(&self, now: &Config, then: &Config, seen: &Seen, held: &Held) -> Vec<Refusal> {
        let named = |slot| name_of(slot, &[then, now]);
        let mut refusals: Vec<_> = self.topics.iter().filter_map(|of| moves(of, now, then, held)).collect();
        let mut away = |stray: &Stray| match stray.verdict(held) {
            Verdict::Away(slot) => refusals.push(Refusal::Away {
                topic: stray.topic.to_string(),
                on: named(slot),
                home: named(stray.home),
                pipeline: stray.pipeline.to_string(),
            }),
            Verdict::Unknown(slot, why) => {
                refusals.push(Refusal::Unknown { topic: Some(stray.topic.to_string()), cluster: named(slot), why });
            }
            Verdict::Fine | Verdict::Both(_) => {}
        };
        self.found.iter().for_each(&mut away);
        for (topic, was, is) in &self.topics {
            let others = on(seen, topic).into_iter().filter(|slot| slot != was && slot != is);
            let others: Vec<_> = others.filter(|slot| !then.has_twin(topic, *slot)).collect();
            let pipeline = then.pipeline_of_topic(topic).name.clone();
            away(&Stray { topic: topic.clone(), home: *is, pipeline, on: others });
        }
        refusals.sort();
        refusals.dedup();
        refusals
    }
}

fn moves((topic, was, is): &(StrBytes, Slot, Slot), now: &Config, then: &Config, held: &Held) -> Option<Refusal> {
    let (from, to) = (name_of(*was, &[now]), name_of(*is, &[then]));
    match held.of(*was, topic)? {
        Contents::NeverWritten => None,
        Contents::Unknown(why) => {
            Some(Refusal::Unknown { topic: Some(topic.to_string()), cluster: from, why: why.clone() })
        }
        Contents::Written(how) => Some(Refusal::Moves {
            topic: topic.to_string(),
            from,
            to,
            pipeline: then.pipeline_of_topic(topic).name.to_string(),
            how: how.clone(),
        }),
    }
}

/// The clusters of these configs, for who has no running proxy's own; their pictures are kept new while the tasks live.
#[must_use]
pub fn open(configs: &[&Config], telemetry: &Telemetry) -> (Vec<Arc<Cluster>>, JoinSet<()>) {
    let (mut clusters, mut tasks) = (Vec::<Arc<Cluster>>::new(), JoinSet::new());
    let shared = Shared::new(0, FRAME_LIMIT);
    for configured in configs.iter().flat_map(|config| &config.clusters) {
        if clusters.iter().any(|known| known.slot() == configured.slot) {
            continue;
        }
        let config::Cluster { slot, name, bootstrap, .. } = configured.clone();
        let meter = telemetry.cluster(&name);
        shared.doors.try_all(configured);
        let (cluster, asked) = Cluster::new(slot, name, bootstrap, Arc::clone(&shared), meter);
        cluster.in_zone(configured.kind.zone());
        tasks.spawn(refresh::run(Arc::clone(&cluster), asked));
        clusters.push(cluster);
    }
    (clusters, tasks)
}

/// The groups that brokers tell of.
pub async fn groups(clusters: &[Arc<Cluster>]) -> BTreeSet<String> {
    let mut asked = JoinSet::new();
    for cluster in clusters {
        let brokers: Vec<_> = cluster.news().borrow().snapshot.brokers.keys().copied().collect();
        for broker in brokers {
            let cluster = Arc::clone(cluster);
            asked.spawn(async move { cluster.call(Some(broker), &ListGroupsRequest::default(), 4).await });
        }
    }
    let answers = all_answers(asked).await.into_iter().flatten();
    answers.flat_map(|answer| answer.groups).map(|group| group.group_id.to_string()).collect()
}

/// What a cluster lacks so that its clients may be shown this `transaction.version`, or why that is not known.
pub async fn lacks_for_transactions(cluster: &Arc<Cluster>, version: i16) -> Option<String> {
    match cluster.call(None, &asking_for_features(), FEATURES).await {
        Ok(told) => Versions::of(&told).lacks_for_transactions(version),
        Err(fault) => Some(fault.reason.to_string()),
    }
}

/// The version of ApiVersions with features in its answer, and a question in it: Kafka wants to know who asks.
pub const FEATURES: i16 = 3;

/// See [`FEATURES`].
#[must_use]
pub fn asking_for_features() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("fishplate"))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")))
}

/// Clusters that lack what another config would show of transactions, where that or their homes would change.
async fn transactions(now: &Config, then: &Config, clusters: &[Arc<Cluster>]) -> Vec<Refusal> {
    let (version, homes) = (then.transaction_version, then.homes_of_transactions());
    let is_new = |slot: &Slot| now.transaction_version != version || !now.homes_of_transactions().contains(slot);
    let mut asked = JoinSet::new();
    for cluster in clusters.iter().filter(|one| version > 1 && homes.contains(&one.slot()) && is_new(&one.slot())) {
        let cluster = Arc::clone(cluster);
        asked.spawn(async move { (cluster.name().to_string(), lacks_for_transactions(&cluster, version).await) });
    }
    let told = all_answers(asked).await.into_iter();
    told.filter_map(|(cluster, why)| Some(Refusal::Transactions { cluster, version, why: why? })).collect()
}

/// Whether topics can get other homes at all.
fn is_rerouted(diff: &Diff) -> bool {
    diff.changes.iter().any(|change| matches!(change.key, "pipelines" | "default_cluster"))
}

/// Reads all clusters' metadata again and finds what another config would move, and what speaks against it. `clusters` are
/// those of both configs.
pub async fn judge(now: &Config, then: &Config, diff: &Diff, clusters: &[Arc<Cluster>]) -> (Moving, Vec<Refusal>) {
    let mut reads = JoinSet::new();
    for cluster in clusters {
        let cluster = Arc::clone(cluster);
        reads.spawn(async move { timeout(TOLD_WITHIN, cluster.no_older_than(FRESH)).await.is_ok() });
    }
    all_answers(reads).await;
    let seen = seen(clusters);
    let moving = Moving::between(now, then, &seen);
    let held = Held::ask(clusters, &moving.questions(&seen)).await;
    let mut refusals: Vec<_> = diff.needs_restart.iter().cloned().map(Refusal::from).collect();
    refusals.extend(moving.refusals(now, then, &seen, &held));
    refusals.extend(transactions(now, then, clusters).await);
    if is_rerouted(diff) {
        let unread = clusters.iter().filter(|cluster| !seen.contains_key(&cluster.slot()));
        refusals.extend(unread.map(|cluster| {
            let down = cluster.news().borrow().down.clone();
            let why = down.map_or_else(|| "it has told no metadata yet".to_owned(), |why| why.to_string());
            Refusal::Unknown { topic: None, cluster: cluster.name().to_string(), why }
        }));
    }
    (moving, refusals)
}

impl From<Fixed> for Refusal {
    fn from(Fixed { key, now, then }: Fixed) -> Self {
        Self::NeedsRestart { key, now, then }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::build::tests::{config, heard, slot, topic};

    fn seen_on(a: &[&str], b: &[&str]) -> Seen {
        let topics = |names: &[&str]| names.iter().map(|name| topic(name, &[1])).collect::<Vec<_>>();
        let of = |cluster, names| heard(cluster, &topics(names)).snapshot;
        Seen::from([(slot(0), of("a", a)), (slot(1), of("b", b))])
    }

    fn held(of: &[(u8, &str, Contents)]) -> Held {
        let one = |(at, name, contents): &(u8, &str, Contents)| {
            ((slot(*at), StrBytes::from_string((*name).to_owned())), contents.clone())
        };
        Held(of.iter().map(one).collect())
    }

    fn written() -> Contents {
        Contents::Written("partition 0 reaches offset 7".to_owned())
    }

    fn unknown() -> Contents {
        Contents::Unknown("no answer".to_owned())
    }

    /// What is said of `b-1`, which lives on `b`, with this on `a` and on `b`.
    fn verdict(a: Option<Contents>, b: Option<Contents>) -> Verdict {
        let seen = seen_on(&["b-1", "x"], if b.is_some() { &["b-1"] } else { &[] });
        let strays = strays(&config(), &seen);
        assert_eq!(strays.len(), 1);
        let told = [(0, a), (1, b)].into_iter().filter_map(|(at, of)| Some((at, "b-1", of?))).collect::<Vec<_>>();
        strays[0].verdict(&held(&told))
    }

    #[test]
    fn only_records_elsewhere_and_none_at_home_keep_a_topic_from_clients() {
        use Contents::NeverWritten as Empty;
        assert_eq!(verdict(Some(Empty), None), Verdict::Fine);
        assert_eq!(verdict(Some(Empty), Some(written())), Verdict::Fine, "a shadow");
        assert_eq!(verdict(Some(written()), None), Verdict::Away(slot(0)));
        assert_eq!(verdict(Some(written()), Some(Empty)), Verdict::Away(slot(0)));
        assert_eq!(verdict(Some(written()), Some(written())), Verdict::Both(slot(0)));
        assert_eq!(verdict(Some(unknown()), Some(Empty)), Verdict::Unknown(slot(0), "no answer".into()));
        assert_eq!(verdict(Some(written()), Some(unknown())), Verdict::Unknown(slot(1), "no answer".into()));
    }

    /// What refuses to give `b-*` to `a`, with this of `b-1` on `a` and on `b`.
    fn refused(a: Option<Contents>, b: Option<Contents>) -> Vec<String> {
        let now = config();
        let text = crate::placement::build::tests::TWO
            .replace("groups: ['gb-*'], transactional_ids: ['tb-*'], cluster: b", "cluster: a");
        let then = Config::from_text("then.yaml", &text).unwrap();
        let there = |of: &Option<Contents>| if of.is_some() { &["b-1"][..] } else { &[] };
        let seen = seen_on(there(&a), there(&b));
        let moving = Moving::between(&now, &then, &seen);
        let told = [(0, a), (1, b)].into_iter().filter_map(|(at, of)| Some((at, "b-1", of?))).collect::<Vec<_>>();
        moving.refusals(&now, &then, &seen, &held(&told)).iter().map(|one| one.words().0).collect()
    }

    #[test]
    fn a_topic_with_records_keeps_its_home() {
        use Contents::NeverWritten as Empty;
        assert_eq!(refused(None, Some(Empty)), [""; 0]);
        assert_eq!(refused(Some(written()), Some(Empty)), [""; 0], "its records are where it would live");
        let moves =
            "topic b-1 holds records on b and the pipeline right would have it on a: partition 0 reaches offset 7";
        assert_eq!(refused(None, Some(written())), [moves]);
        assert_eq!(refused(Some(written()), Some(written())), [moves]);
        assert_eq!(refused(None, Some(unknown())), ["it is not known what topic b-1 holds on b: no answer"]);
    }

    #[test]
    fn a_new_cluster_must_not_hold_what_a_pipeline_has_elsewhere() {
        let now = config();
        let text = crate::placement::build::tests::TWO
            .replace("pipelines:", "  c: { slot: 2, bootstrap: ['c:1'] }\npipelines:");
        let then = Config::from_text("then.yaml", &text).unwrap();
        let mut seen = seen_on(&[], &["b-1"]);
        seen.insert(slot(2), heard("c", &[topic("b-1", &[1]), topic("y", &[1])]).snapshot);
        let moving = Moving::between(&now, &then, &seen);
        let told = held(&[(1, "b-1", Contents::NeverWritten), (2, "b-1", written())]);
        let refusals = moving.refusals(&now, &then, &seen, &told);
        let words: Vec<_> = refusals.iter().map(|one| one.words().0).collect();
        assert_eq!(words, ["the pipeline right would have topic b-1 on b, and its records are on c"]);
    }
}
