//! The tables of a running proxy: its topics, groups and clients, each where it lives. Answers are bounded: who asks says how
//! many rows are wanted, and is told how many there are.

use crate::config::Config;
use crate::lag::committed::{OF_ONE, ask_one};
use crate::lag::sweep::LIST_GROUPS;
use crate::lag::task::Lag;
use crate::placement::Placement;
use crate::placement::fence::Why;
use crate::placement::task::Current;
use crate::policy::rulings;
use crate::session::{Context, Session};
use crate::types::{BrokerId, Slot};
use crate::upstream::{Cluster, Clusters, all_answers};
use arc_swap::Guard;
use kafka_protocol::messages::ListGroupsRequest;
use kafka_protocol::protocol::StrBytes;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Rows that are shown where nobody says how many, and at most.
pub const ROWS: usize = 10_000;
/// Groups whose topics are asked for: each is a question to its coordinator.
const ASKED_GROUPS: usize = 1_000;
const ASKED_AT_A_TIME: usize = 32;

/// What there is to look at in a running proxy.
#[derive(Clone)]
pub struct View {
    /// What lives where.
    pub current: Current,
    /// The clusters in use.
    pub clusters: Clusters,
    /// The listeners, with their clients.
    pub contexts: Vec<Arc<Context>>,
    /// How far groups are behind.
    pub lag: Arc<Lag>,
}

impl View {
    /// What pipelines ask of their records now.
    #[must_use]
    pub fn rulings(&self) -> Option<Guard<Arc<rulings::Table>>> {
        let config = &self.current.load().config;
        self.contexts.first().map(|context| context.rulings.under(config))
    }
}

/// Rows, and how many there are.
#[derive(Debug, Serialize)]
pub struct Table<R> {
    /// All that there are; more than rows where not all were asked for.
    pub total: usize,
    /// In the order of their names.
    pub rows: Vec<R>,
}

/// A topic of the virtual cluster.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TopicRow {
    /// Its name.
    pub topic: String,
    /// The pipeline that has it.
    pub pipeline: String,
    /// Its home.
    pub cluster: String,
    /// How many it has.
    pub partitions: usize,
    /// How many of them nobody leads.
    pub leaderless: usize,
    /// Other clusters that have one of this name: most often a shadow topic.
    pub also_on: Vec<String>,
    /// Why it is kept from clients, if it is.
    pub refused: Option<String>,
}

/// All topics.
#[must_use]
pub fn topics(view: &View, limit: usize) -> Table<TopicRow> {
    let placement = view.current.load();
    let mut rows: Vec<_> = placement
        .topics()
        .filter(|place| !place.topic.internal)
        .map(|place| {
            let name = &place.topic.name;
            let others = placement.clusters.iter().filter(|one| one.slot != place.cluster);
            TopicRow {
                topic: name.to_string(),
                pipeline: place.pipeline.to_string(),
                cluster: cluster_name(&placement.config, place.cluster),
                partitions: place.topic.partitions.len(),
                leaderless: place.topic.partitions.iter().filter(|partition| partition.leader < 0).count(),
                also_on: others
                    .filter(|one| one.snapshot.topics.contains_key(name))
                    .map(|one| one.name.to_string())
                    .collect(),
                refused: placement.fence.why(name).map(|why| match why {
                    Why::Elsewhere(slot) => format!("its records are on {}", cluster_name(&placement.config, slot)),
                    Why::Changing => "its home is about to change".to_owned(),
                }),
            }
        })
        .collect();
    rows.sort();
    let total = rows.len();
    rows.truncate(limit.min(ROWS));
    Table { total, rows }
}

fn cluster_name(config: &Config, slot: Slot) -> String {
    config.cluster(slot).map_or_else(|| slot.to_string(), |cluster| cluster.name.to_string())
}

/// A client's connection.
#[derive(Debug, Serialize)]
pub struct ClientRow {
    /// Where it comes from.
    pub address: String,
    /// What it says it is; empty where it does not say.
    pub name: String,
    /// And of which version.
    pub version: String,
    /// Who it has proven to be.
    pub principal: String,
    /// As whom it comes to each cluster that has identities; `None` where none has any.
    pub identity: Option<String>,
    /// Its own word for itself, of its first request.
    pub client_id: Option<String>,
    /// How it is shown nodes; `None`: it has not asked yet.
    pub view: Option<&'static str>,
    /// Its connections to brokers.
    pub links: usize,
    /// Requests that are not answered yet.
    pub requests: usize,
    /// Their bytes.
    pub bytes: usize,
    /// The last error code in an answer to it, with the API that it asked.
    pub last_error: Option<String>,
    /// For how long it has been connected.
    pub seconds: u64,
}

/// All connections of clients.
#[must_use]
pub fn clients(view: &View, limit: usize) -> Table<ClientRow> {
    let sessions = view
        .contexts
        .iter()
        .flat_map(|context| context.sessions.iter().map(|entry| Arc::clone(entry.value())).collect::<Vec<_>>());
    let mut sessions: Vec<_> = sessions.collect();
    sessions.sort_by_key(|session| (session.peer, session.id));
    let total = sessions.len();
    sessions.truncate(limit.min(ROWS));
    Table { total, rows: sessions.iter().map(|session| client(session)).collect() }
}

fn client(session: &Session) -> ClientRow {
    let software = session.client();
    let (requests, bytes) = session.in_flight();
    ClientRow {
        address: session.peer.to_string(),
        name: software.name.clone(),
        version: software.version.clone(),
        principal: plain(session.principal().as_str().as_bytes()),
        identity: identity(session),
        client_id: session.client_id.get().map(|id| plain(id)),
        view: session.shown().map(|view| view.as_str()),
        links: session.links.count(),
        requests,
        bytes,
        last_error: session.last_error().map(|(api, code)| format!("{api}: {code}")),
        seconds: session.since.elapsed().as_secs(),
    }
}

/// `msk: capture, own: own`; who does not come is `refused`.
fn identity(session: &Session) -> Option<String> {
    let placement = session.context.current.load();
    let clusters = placement.config.clusters.iter().filter(|one| !one.identities.is_empty());
    let comes = |one: &crate::config::Cluster| {
        let guise = session.links.guise(one.slot, &placement);
        format!("{}: {}", one.name, guise.map_or("refused", |guise| guise.name()))
    };
    let all: Vec<_> = clusters.map(comes).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// What clients say goes to a terminal: no control characters, and not without end.
pub(super) fn plain(bytes: &[u8]) -> String {
    const LONGEST: usize = 100;
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(LONGEST).map(|c| if c.is_control() { '_' } else { c }).collect()
}

/// A consumer group.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct GroupRow {
    /// Its name.
    pub group: String,
    /// The cluster that has it.
    pub cluster: String,
    /// Where it lives by the config, where that is another.
    pub home: String,
    /// In Kafka's words; empty where its cluster is too old to say.
    pub state: String,
    /// The broker that coordinates it, as its cluster knows it.
    pub coordinator: i32,
    /// Topics that it committed offsets for and that live on other clusters; `None`: not asked.
    pub elsewhere: Option<Vec<String>>,
}

/// All groups, as the clusters tell now.
#[derive(Debug, Serialize)]
pub struct Groups {
    /// The groups.
    #[serde(flatten)]
    pub table: Table<GroupRow>,
    /// Brokers that did not tell theirs, and why.
    pub silent: Vec<String>,
}

/// Asks all brokers for their groups, and the coordinators of the first of them for what they committed.
pub async fn groups(view: &View, limit: usize) -> Groups {
    let placement = view.current.load();
    let mut asked = JoinSet::new();
    for cluster in view.clusters.all().iter() {
        let brokers: Vec<_> = cluster.news().borrow().snapshot.brokers.keys().copied().collect();
        for broker in brokers {
            let cluster = Arc::clone(cluster);
            asked.spawn(async move { (Arc::clone(&cluster), broker, list(&cluster, broker).await) });
        }
    }
    let (mut rows, mut silent) = (Vec::<Found>::new(), Vec::new());
    for (cluster, broker, answer) in all_answers(asked).await {
        match answer {
            Ok(groups) => {
                rows.extend(groups.into_iter().map(|(group, state)| (group, state, Arc::clone(&cluster), broker)))
            }
            Err(why) => silent.push(format!("broker {} of {}: {why}", broker.0, cluster.name())),
        }
    }
    rows.sort_by(|one, other| (&one.0, one.2.slot(), one.3).cmp(&(&other.0, other.2.slot(), other.3)));
    let total = rows.len();
    rows.truncate(limit.min(ROWS));
    let elsewhere = committed_by(&rows[..rows.len().min(ASKED_GROUPS)], &placement).await;
    let elsewhere = elsewhere.into_iter().chain(std::iter::repeat(None));
    let told = rows.into_iter().zip(elsewhere).map(|((group, state, cluster, broker), elsewhere)| GroupRow {
        home: cluster_name(&placement.config, placement.home_of_group(&group)),
        group: plain(group.as_bytes()),
        cluster: cluster.name().to_string(),
        state,
        coordinator: broker.0,
        elsewhere,
    });
    let told = told.collect();
    silent.sort();
    Groups { table: Table { total, rows: told }, silent }
}

async fn list(cluster: &Arc<Cluster>, broker: BrokerId) -> Result<Vec<(String, String)>, String> {
    let answer = cluster.call(Some(broker), &ListGroupsRequest::default(), LIST_GROUPS).await;
    let answer = answer.map_err(|fault| fault.reason.to_string())?;
    if answer.error_code != 0 {
        return Err(crate::api::errors::name(answer.error_code).to_owned());
    }
    let state = |state: &StrBytes| state.to_string();
    Ok(answer.groups.iter().map(|group| (group.group_id.to_string(), state(&group.group_state))).collect())
}

/// A group, its state, the cluster that has it and the broker that coordinates it.
type Found = (String, String, Arc<Cluster>, BrokerId);

/// What each of these groups committed for topics elsewhere, in their order; a few are asked for at a time.
async fn committed_by(groups: &[Found], placement: &Arc<Placement>) -> Vec<Option<Vec<String>>> {
    let mut told = Vec::with_capacity(groups.len());
    for some in groups.chunks(ASKED_AT_A_TIME) {
        let asked: Vec<_> = some
            .iter()
            .map(|(group, _, cluster, broker)| {
                let (group, cluster, broker, placement) =
                    (group.clone(), Arc::clone(cluster), *broker, Arc::clone(placement));
                tokio::spawn(async move { committed(&cluster, broker, &group, &placement).await })
            })
            .collect();
        for one in asked {
            told.push(one.await.ok().flatten());
        }
    }
    told
}

/// The topics of a group's commits that live elsewhere.
async fn committed(
    cluster: &Arc<Cluster>,
    broker: BrokerId,
    group: &str,
    placement: &Placement,
) -> Option<Vec<String>> {
    let request = ask_one(&StrBytes::from_string(group.to_owned()));
    let answer = cluster.call(Some(broker), &request, OF_ONE).await.ok()?;
    let away = answer.topics.iter().filter(|topic| placement.home_of_topic(&topic.name) != cluster.slot());
    let names: BTreeSet<_> = away.map(|topic| topic.name.to_string()).collect();
    Some(names.into_iter().collect())
}
