//! `check --live`: a config against the clusters as they really are. This looks; `compare` is pure and judges what was
//! seen. Talks to the clusters itself; needs no running proxy and changes nothing.

mod canaries;
mod compare;
mod connect;
mod finding;

pub use finding::Finding;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::messages::{
    ApiKey, DescribeTransactionsRequest, GroupId, ListGroupsRequest, ListTransactionsRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::StrBytes;
use serde::Serialize;
use tokio::task::JoinSet;

use compare::compare;

use super::guard::{self, Held, Questions, Stray, Verdict};
use crate::config::Config;
use crate::telemetry::Telemetry;
use crate::types::{BrokerId, Guise};
use crate::upstream::{Cluster, Snapshot, Versions, all_answers};
use crate::wire::versions::{Lack, lacks};

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
    /// How many of its identities it lets in.
    pub identities: usize,
    /// What it cannot do, and whom that affects.
    pub lacks: Vec<Lack>,
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
    /// Those of them that are of Kafka Connect's workers.
    connect: BTreeSet<String>,
    /// The topics that groups have committed offsets for.
    committed: BTreeMap<String, BTreeSet<String>>,
    /// Each identity of the config, with why it was not let in, if it was not.
    identities: BTreeMap<String, Option<String>>,
    /// What its brokers speak.
    versions: Vec<Versions>,
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
        let configured = config.cluster(cluster.slot()).map(|one| one.identities.all().to_vec()).unwrap_or_default();
        let identities: Vec<_> = configured.into_iter().map(|one| one.guise).collect();
        looks.spawn(async move { (cluster.slot(), look(&cluster, wanted, &identities).await) });
    }
    let seen = all_answers(looks).await.into_iter().collect();
    let mut live = compare(config, &seen, &judge(config, &clusters).await);
    live.found.extend(canaries::look(config, &clusters).await);
    live
}

/// What is the matter with the topics that canaries write to, as far as clusters have told.
pub async fn canaries(config: &Config, clusters: &[Arc<Cluster>]) -> Vec<Finding> {
    canaries::look(config, clusters).await
}

/// Each topic that is somewhere else than where it lives, and what that means for its records.
async fn judge(config: &Config, clusters: &[Arc<Cluster>]) -> Vec<(Stray, Verdict)> {
    let mut questions = Questions::new();
    let strays = guard::strays(config, &guard::seen(clusters));
    strays.iter().for_each(|stray| stray.question(&mut questions));
    let held = Held::ask(clusters, &questions).await;
    strays.into_iter().map(|stray| (stray.clone(), stray.verdict(&held))).collect()
}

/// `wanted`: the version of transactions that clients are shown, where transactional ids live on it. Who comes as one of the
/// identities is let in, or not, whatever becomes of us.
async fn look(cluster: &Arc<Cluster>, wanted: Option<i16>, identities: &[Guise]) -> Seen {
    let mut tries = JoinSet::new();
    for guise in identities {
        let (cluster, guise) = (Arc::clone(cluster), guise.clone());
        tries.spawn(async move {
            let tried = cluster.look_as(&guise, Some(&[]), false).await;
            (guise.name().to_owned(), tried.err().map(|fault| fault.reason.to_string()))
        });
    }
    let seen = look_at(cluster, wanted).await;
    Seen { identities: all_answers(tries).await.into_iter().collect(), ..seen }
}

async fn look_at(cluster: &Arc<Cluster>, wanted: Option<i16>) -> Seen {
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
    for (address, answer) in all_answers(asked).await {
        seen.add(address, answer, wanted);
    }
    seen
}

/// What one broker told.
struct Answers {
    versions: Versions,
    /// Kafka's error code where it refused.
    groups: Result<Vec<String>, i16>,
    connect: Vec<String>,
    committed: BTreeMap<String, BTreeSet<String>>,
    transactions: BTreeMap<String, BTreeSet<String>>,
}

async fn ask(cluster: &Arc<Cluster>, broker: BrokerId) -> Result<Answers, String> {
    let why = |fault: crate::error::Fault| fault.reason.to_string();
    let versions = cluster.call(Some(broker), &guard::asking_for_features(), guard::FEATURES).await.map_err(why)?;
    let versions = Versions::of(&versions);
    let transactions = transactions_of(cluster, broker, &versions).await;
    if versions.nearest(ApiKey::ListGroups, 0).is_none() {
        let (groups, connect, committed) = (Ok(Vec::new()), Vec::new(), BTreeMap::new());
        return Ok(Answers { versions, groups, connect, committed, transactions });
    }
    let groups = cluster.call(Some(broker), &ListGroupsRequest::default(), 4).await.map_err(why)?;
    let names: Vec<_> = groups.groups.iter().map(|group| group.group_id.to_string()).collect();
    let of_connect = groups.groups.iter().filter(|group| *group.protocol_type == *connect::PROTOCOL);
    let connect = of_connect.map(|group| group.group_id.to_string()).collect();
    let committed = committed(cluster, broker, &names).await;
    let groups = if groups.error_code == 0 { Ok(names) } else { Err(groups.error_code) };
    Ok(Answers { versions, groups, connect, committed, transactions })
}

/// So many groups of a broker are asked about.
const ASKED: usize = 200;
/// The last version of OffsetFetch that is of one group.
const OFFSET_FETCH: i16 = 7;

/// The topics that groups have committed offsets for; nothing where the broker does not tell: it is but a help.
async fn committed(cluster: &Arc<Cluster>, broker: BrokerId, groups: &[String]) -> BTreeMap<String, BTreeSet<String>> {
    let mut committed = BTreeMap::new();
    for group in groups.iter().take(ASKED) {
        let name = GroupId(StrBytes::from_string(group.clone()));
        let request = OffsetFetchRequest::default().with_group_id(name).with_topics(None);
        let Ok(told) = cluster.call(Some(broker), &request, OFFSET_FETCH).await else { return committed };
        committed.insert(group.clone(), told.topics.iter().map(|topic| topic.name.to_string()).collect());
    }
    committed
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
            Ok(Answers { versions, groups, connect, committed, transactions }) => {
                self.committed.extend(committed);
                self.connect.extend(connect);
                let lacks = wanted.and_then(|wanted| versions.lacks_for_transactions(wanted));
                self.lacks_transactions = self.lacks_transactions.take().or(lacks);
                self.versions.push(versions);
                self.transactions.extend(transactions);
                match groups {
                    Ok(groups) => self.groups.extend(groups),
                    Err(error) => self.groups_refused = Some(error),
                }
            }
        }
    }
}

/// What some broker cannot do: clients may be led to that one.
fn lacking(brokers: &[Versions]) -> Vec<Lack> {
    let lowest = |api: ApiKey| brokers.iter().map(|versions| versions.highest(api)).min().flatten();
    if brokers.is_empty() { Vec::new() } else { lacks(lowest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::versions::SERVED;
    use kafka_protocol::messages::ApiVersionsResponse;
    use kafka_protocol::messages::api_versions_response::ApiVersion;

    #[test]
    fn what_any_broker_lacks_is_told() {
        // All that we serve, but for what is narrowed.
        let broker = |narrowed: ApiKey, max: Option<i16>| {
            let rows = SERVED.iter().filter_map(|ours| {
                let max = if ours.api == narrowed { max? } else { ours.max + 3 };
                Some(ApiVersion::default().with_api_key(ours.api as i16).with_max_version(max))
            });
            Versions::of(&ApiVersionsResponse::default().with_api_keys(rows.collect()))
        };
        let whole = || broker(ApiKey::ApiVersions, Some(4));
        let what = |brokers: &[Versions]| lacking(brokers).into_iter().map(|lack| lack.what).collect::<Vec<_>>();
        assert_eq!(what(&[whole(), whole()]), [""; 0]);
        assert_eq!(what(&[whole(), broker(ApiKey::Fetch, Some(10))]), ["Fetch 11"]);
        assert_eq!(what(&[broker(ApiKey::DescribeProducers, None), whole()]), ["DescribeProducers"]);
        assert_eq!(what(&[]), [""; 0], "nobody told anything");
    }
}
