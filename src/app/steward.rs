//! Who keeps a running proxy what its config says: starts clusters and ends them, takes another config or refuses it whole,
//! and keeps topics from clients whose records are where the config does not look.

use super::doors::Doors;
use crate::admin::Readiness;
use crate::admin::guard::{self, Moving, Refusal};
use crate::api::records::produce::{TopicKey, keys_of};
use crate::config::diff::{Change, Diff, What};
use crate::config::{self, Config};
use crate::placement::fence::{Fence, Why};
use crate::placement::task::{self, Current, Publisher};
use crate::security::tls::TlsProblem;
use crate::session::{Context, Limits};
use crate::telemetry::{Telemetry, log};
use crate::types::{HostPort, Name, Slot};
use crate::upstream::connect::Shared;
use crate::upstream::places::Limit;
use crate::upstream::{Cluster, Clusters, refresh};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

mod canaries;
mod strays;
#[cfg(test)]
mod tests;
mod watched;

use canaries::Canaries;
use strays::Strays;

/// How long a cluster that is new in a config may take to tell its metadata before the config is judged without.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// How long what is on its way to a topic that is about to move may take.
const LANDED_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Between two looks at topics that are where they do not live, unless there is news.
const STRAYS_EVERY: Duration = Duration::from_secs(5);
/// What was counted of clusters and pipelines that are gone is shown so long: their last links end first.
const FORGET_AFTER: Duration = Duration::from_secs(30);

/// Another config, and who is told what became of it.
pub(super) struct Asked {
    pub(super) config: Config,
    pub(super) hash: u32,
    pub(super) done: oneshot::Sender<Outcome>,
}

/// What became of a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is what runs already.
    Unchanged,
    /// It is in force.
    Applied(Vec<Change>),
    /// The one before stays.
    Refused(Vec<Refusal>),
}

/// See the module's text.
pub(super) struct Steward {
    config: Arc<Config>,
    shared: Arc<Shared>,
    doors: Doors,
    telemetry: Arc<Telemetry>,
    readiness: Arc<Readiness>,
    clusters: Clusters,
    current: Current,
    publisher: Publisher,
    /// What keeps each cluster's picture new; ends with it.
    tasks: HashMap<Slot, JoinSet<()>>,
    strays: Strays,
    canaries: Canaries,
    /// How much is logged, where that may change.
    level: Option<log::Level>,
    /// Names whose series go, and when.
    forget: Vec<(Instant, &'static str, Name)>,
}

impl Steward {
    /// Starts the config's clusters.
    pub(super) fn new(
        config: Arc<Config>,
        (shared, doors): (&Arc<Shared>, &Doors),
        telemetry: &Arc<Telemetry>,
        readiness: &Arc<Readiness>,
    ) -> Self {
        let (current, publisher) = task::begin(Arc::clone(&config));
        let mut steward = Self {
            config: Arc::clone(&config),
            shared: Arc::clone(shared),
            doors: doors.clone(),
            telemetry: Arc::clone(telemetry),
            readiness: Arc::clone(readiness),
            clusters: Clusters::default(),
            current,
            publisher,
            tasks: HashMap::new(),
            strays: Strays::default(),
            canaries: Canaries::default(),
            level: None,
            forget: Vec::new(),
        };
        let mut clusters = Vec::new();
        for configured in &config.clusters {
            let (cluster, tasks) = steward.start(configured);
            steward.publisher.listen(&cluster);
            steward.tasks.insert(cluster.slot(), tasks);
            clusters.push(cluster);
        }
        steward.look_at_transactions(&clusters);
        steward.clusters.swap(clusters);
        steward
    }

    /// What lives where.
    pub(super) fn current(&self) -> &Current {
        &self.current
    }

    /// The clusters in use.
    pub(super) fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    /// A reload may change how much is logged.
    pub(super) fn set_level(&mut self, level: Option<log::Level>) {
        self.level = level;
    }

    /// A start refuses nothing: what clusters are is not in the config. But somebody should know.
    fn look_at_transactions(&mut self, clusters: &[Arc<Cluster>]) {
        let (version, homes) = (self.config.transaction_version, self.config.homes_of_transactions());
        for cluster in clusters.iter().filter(|one| version > 1 && homes.contains(&one.slot())) {
            let tasks = self.tasks.entry(cluster.slot()).or_default();
            tasks.spawn(warn_of_transactions(Arc::clone(cluster), version));
        }
    }

    fn start(&self, configured: &config::Cluster) -> (Arc<Cluster>, JoinSet<()>) {
        let (cluster, mut tasks) = self.read(configured, &self.shared);
        tasks.spawn(watch_cluster(Arc::clone(&cluster), Arc::clone(&self.readiness), Arc::clone(&self.telemetry)));
        (cluster, tasks)
    }

    /// Reads a cluster without saying anywhere that it is up or down.
    fn read(&self, configured: &config::Cluster, shared: &Arc<Shared>) -> (Arc<Cluster>, JoinSet<()>) {
        let config::Cluster { slot, name, bootstrap, max_links, links_per_second, kind, .. } = configured.clone();
        shared.places.limit(slot, Limit { links: max_links, per_second: links_per_second });
        let meter = self.telemetry.cluster(&name);
        let (cluster, asked) = Cluster::new(slot, name, bootstrap, Arc::clone(shared), meter);
        cluster.in_zone(kind.zone());
        let mut tasks = JoinSet::new();
        let (refreshed, telemetry) = (Arc::clone(&cluster), Arc::clone(&self.telemetry));
        tasks.spawn(async move {
            let asked = Arc::new(Mutex::new(asked));
            let begin = || {
                let (cluster, asked) = (Arc::clone(&refreshed), Arc::clone(&asked));
                async move { refresh::keep(&cluster, &mut *asked.lock().await).await }
            };
            watched::run("metadata", &telemetry, begin).await;
        });
        (cluster, tasks)
    }

    /// Works until nobody can ask it for anything any more.
    pub(super) async fn run(mut self, contexts: Vec<Arc<Context>>, mut asked: mpsc::Receiver<Asked>) {
        let mut look = interval(STRAYS_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = 0;
        loop {
            let current = self.current.clone();
            tokio::select! {
                ask = asked.recv() => {
                    let Some(Asked { config, hash, done }) = ask else { return };
                    let outcome = self.reload(config, &contexts).await;
                    self.tell(hash, &outcome);
                    let _ = done.send(outcome);
                }
                true = current.later_than(seen) => {
                    seen = current.generation();
                    self.look_for_strays(false).await;
                }
                _ = look.tick() => {
                    self.look_for_strays(true).await;
                    self.forget_series();
                }
            }
        }
    }

    /// Keeps topics from clients whose records are not at home; `again` where also those that were judged before.
    pub(super) async fn look_for_strays(&mut self, again: bool) {
        let all = self.clusters.all();
        if let Some(fence) = self.strays.look(&self.config, &all, again).await {
            self.publisher.fence(fence).await;
        }
        self.telemetry.misplaced(self.strays.kept(), self.strays.twice());
    }

    /// Looks at where canaries send records.
    pub(super) fn look_at_canaries(&mut self) {
        self.canaries.look(&self.config, &self.clusters.all());
    }

    fn tell(&self, hash: u32, outcome: &Outcome) {
        match outcome {
            Outcome::Unchanged => self.telemetry.config().reloaded("unchanged", hash),
            Outcome::Applied(_) => self.telemetry.config().reloaded("applied", hash),
            Outcome::Refused(_) => self.telemetry.config().refused("refused"),
        }
    }

    /// Takes another config whole, or refuses it whole.
    async fn reload(&mut self, then: Config, contexts: &[Arc<Context>]) -> Outcome {
        let diff = Diff::between(&self.config, &then);
        if diff.is_empty() {
            lapse(contexts, &self.config);
            return Outcome::Unchanged;
        }
        let restart: Vec<_> = diff.needs_restart.iter().cloned().map(Refusal::from).collect();
        if !restart.is_empty() {
            return Outcome::Refused(restart);
        }
        let files = |wrong: TlsProblem| vec![Refusal::Files { why: wrong.to_string() }];
        if let Err(wrong) = self.doors.begin(&self.config, &then) {
            self.doors.withdraw(&self.config, &then);
            return Outcome::Refused(files(wrong));
        }
        let added: Vec<_> = then
            .clusters
            .iter()
            .filter(|one| self.config.cluster(one.slot).is_none())
            .map(|one| self.start(one))
            .collect();
        let refusals = match self.judge(&then, &diff, &added, contexts).await {
            Ok(()) => match self.doors.change(&self.config, &then) {
                Ok(()) => {
                    self.apply(Arc::new(then), added, contexts).await;
                    return Outcome::Applied(diff.changes);
                }
                Err(wrong) => {
                    self.doors.undo(&self.config, &then);
                    self.publisher.fence(self.strays.fence()).await;
                    files(wrong)
                }
            },
            Err(refusals) => refusals,
        };
        self.doors.withdraw(&self.config, &then);
        for (cluster, _) in &added {
            self.forget.push((Instant::now() + FORGET_AFTER, "cluster", cluster.name().clone()));
        }
        Outcome::Refused(refusals)
    }

    /// Whether the config may be taken. Where it may, topics that get another home are fenced off when this returns, and
    /// nothing is on its way to them.
    async fn judge(
        &mut self,
        then: &Config,
        diff: &Diff,
        added: &[(Arc<Cluster>, JoinSet<()>)],
        contexts: &[Arc<Context>],
    ) -> Result<(), Vec<Refusal>> {
        let added = added.iter().map(|(cluster, _)| Arc::clone(cluster));
        let all: Vec<_> = self.clusters.all().iter().cloned().chain(added).collect();
        let told = all.iter().map(|cluster| {
            let mut news = cluster.news();
            async move { drop(news.wait_for(|news| news.read || news.down.is_some()).await) }
        });
        for told in told {
            let _ = timeout(TOLD_WITHIN, told).await;
        }
        let (moving, mut refusals) = guard::judge(&self.config, then, diff, &all).await;
        refusals.extend(self.led_astray(then).await);
        if !refusals.is_empty() {
            return Err(refusals);
        }
        if moving.topics().len() == 0 {
            return Ok(());
        }
        // Empty so far. What clients are sending just now must not be left behind.
        let names = moving.topics().map(|(name, ..)| (name.clone(), Why::Changing));
        self.publisher.fence(Arc::new(self.strays.fence().with(names))).await;
        let landed = landed(contexts, &moving, &self.current).await;
        let (_, refusals) = guard::judge(&self.config, then, diff, &all).await;
        if landed && refusals.is_empty() {
            return Ok(());
        }
        self.publisher.fence(self.strays.fence()).await;
        let late = moving.topics().next().filter(|_| refusals.is_empty()).map(|(topic, was, _)| Refusal::Unknown {
            topic: Some(topic.to_string()),
            cluster: self.config.cluster(*was).map_or_else(String::new, |cluster| cluster.name.to_string()),
            why: "records are on their way to it".to_owned(),
        });
        Err(refusals.into_iter().chain(late).collect())
    }

    /// Clusters whose new addresses lead elsewhere: we would go on with the brokers that we know, and others with those.
    async fn led_astray(&mut self, then: &Config) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for (cluster, bootstrap) in self.moved_bootstraps(then) {
            let known = cluster.news().borrow().snapshot.cluster_id.clone();
            // What it logs and counts is not of the cluster that runs.
            let name = Name::from(&*format!("{} at its new addresses", cluster.name()));
            self.forget.push((Instant::now() + FORGET_AFTER, "cluster", name.clone()));
            let sought = config::Cluster {
                name,
                bootstrap,
                ..then.cluster(cluster.slot()).cloned().unwrap_or_else(|| then.clusters[0].clone())
            };
            // Entered as it would be: who is here enters as before.
            let shared = Shared::new(0, super::UPSTREAM_FRAME);
            shared.doors.try_own(&sought);
            let (there, _tasks) = self.read(&sought, &shared);
            let mut news = there.news();
            let told = timeout(TOLD_WITHIN, news.wait_for(|news| news.read || news.down.is_some())).await;
            let news = match told {
                Ok(Ok(news)) => news.clone(),
                _ => there.news().borrow().clone(),
            };
            let why = match (news.read, news.down) {
                (true, _) if known.is_none() || known == news.snapshot.cluster_id => continue,
                (true, _) => {
                    format!("its id is {} and not {}", id(news.snapshot.cluster_id.as_ref()), id(known.as_ref()))
                }
                (false, Some(down)) => down.to_string(),
                (false, None) => "no answer".to_owned(),
            };
            refusals.push(Refusal::Elsewhere { cluster: cluster.name().to_string(), why });
        }
        refusals
    }

    fn moved_bootstraps(&self, then: &Config) -> Vec<(Arc<Cluster>, Vec<HostPort>)> {
        let differs = |cluster: &Arc<Cluster>| {
            let (now, then) = (self.config.cluster(cluster.slot())?, then.cluster(cluster.slot())?);
            (now.bootstrap != then.bootstrap).then(|| (Arc::clone(cluster), then.bootstrap.clone()))
        };
        self.clusters.all().iter().filter_map(differs).collect()
    }

    async fn apply(&mut self, then: Arc<Config>, added: Vec<(Arc<Cluster>, JoinSet<()>)>, contexts: &[Arc<Context>]) {
        for (cluster, bootstrap) in self.moved_bootstraps(&then) {
            cluster.sought_at(bootstrap);
        }
        let mut all = self.clusters.all().to_vec();
        let (mut new, mut tasks) = (Vec::new(), Vec::new());
        for (cluster, of) in added {
            tasks.push((cluster.slot(), of));
            new.push(cluster);
        }
        all.extend(new.iter().cloned());
        all.sort_by_key(|cluster| cluster.slot());
        // Whoever plans by the new config finds its clusters, and by the old one the old ones.
        self.clusters.swap(all.clone());
        self.publisher.configure(Arc::clone(&then), &new).await;
        new.iter().for_each(|cluster| self.publisher.listen(cluster));
        let (kept, gone): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| then.cluster(one.slot()).is_some());
        self.clusters.swap(kept);
        self.tasks.extend(tasks);
        for cluster in &gone {
            self.publisher.ignore(cluster.slot());
            self.tasks.remove(&cluster.slot());
            self.forget.push((Instant::now() + FORGET_AFTER, "cluster", cluster.name().clone()));
        }
        for pipeline in &self.config.pipelines {
            if !then.pipelines.iter().any(|other| other.name == pipeline.name) {
                self.forget.push((Instant::now() + FORGET_AFTER, "pipeline", pipeline.name.clone()));
            }
        }
        for config::Cluster { slot, max_links, links_per_second, kind, .. } in &then.clusters {
            self.shared.places.limit(*slot, Limit { links: *max_links, per_second: *links_per_second });
            if let Some(cluster) = self.clusters.get(*slot) {
                cluster.in_zone(kind.zone());
            }
        }
        let config::Memory { requests, responses, parked } = then.memory;
        self.shared.memory.resize(requests, responses, parked);
        contexts.iter().for_each(|context| context.limit(Limits::from(&*then)));
        self.readiness.reloaded(then.clusters.iter().map(|cluster| cluster.name.clone()));
        if then.log != self.config.log {
            let filter = then.log.as_deref().unwrap_or(log::DEFAULT);
            if self.level.as_ref().is_some_and(|level| !level.set(filter)) {
                tracing::info!(log = filter, "the config's `log` is overruled by FISHPLATE_LOG or --log");
            }
        }
        lapse(contexts, &then);
        let before = std::mem::replace(&mut self.config, Arc::clone(&then));
        self.strays.reset();
        self.publisher.fence(self.strays.fence()).await;
        self.look_for_strays(true).await;
        self.look_at_canaries();
        // Links to clusters that are gone, and of who is somebody else now, take nothing new.
        for context in contexts {
            let _late = context.sweep();
        }
        self.leave(&before);
    }

    /// Who comes to no cluster any more has no way in: by now nobody plans by the config that named it.
    fn leave(&self, before: &Config) {
        for (was, is) in self.config.clusters.iter().filter_map(|is| Some((before.cluster(is.slot)?, is))) {
            self.doors.leave(was, is);
            if let Some(cluster) = self.clusters.get(is.slot) {
                cluster.keep(|guise| is.identities.has(guise));
            }
        }
    }

    fn forget_series(&mut self) {
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.forget).into_iter().partition(|(at, ..)| *at <= now);
        self.forget = later;
        for (_, label, name) in due {
            let back = match label {
                "cluster" => self.config.clusters.iter().any(|cluster| cluster.name == name),
                _ => self.config.pipelines.iter().any(|pipeline| pipeline.name == name),
            };
            if !back {
                self.telemetry.forget(label, &name);
            }
        }
    }
}

/// What an operator set until the next reload is over with it.
fn lapse(contexts: &[Arc<Context>], config: &Arc<Config>) {
    if let Some(context) = contexts.first() {
        let _told = context.rulings.lapse(config);
    }
}

fn id(id: Option<&Arc<str>>) -> &str {
    id.map_or("unknown", |id| id)
}

/// Waits until no batch of a topic that moves is on its way; false where that takes too long.
async fn landed(contexts: &[Arc<Context>], moving: &Moving, current: &Current) -> bool {
    let placement = current.load();
    let places = moving.topics().filter_map(|(name, ..)| placement.topic(name));
    let keys: HashSet<TopicKey> = places.flat_map(|place| keys_of(&place.topic)).collect();
    let deadline = Instant::now() + LANDED_WITHIN;
    loop {
        let carried =
            contexts.iter().any(|context| context.sessions.iter().any(|one| one.value().orders.carries(&keys)));
        if !carried {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Passes on whether a cluster is up.
/// Once its metadata was read: says what a cluster lacks of what clients are shown of transactions.
async fn warn_of_transactions(cluster: Arc<Cluster>, version: i16) {
    if cluster.news().wait_for(|news| news.read).await.is_err() {
        return;
    }
    if let Some(why) = guard::lacks_for_transactions(&cluster, version).await {
        tracing::warn!(
            cluster = %cluster.name(), transaction_version = version, why,
            "transactional ids live on a cluster that lacks what clients are shown: their transactions fail there; set \
             `transaction_version: 1`, or finalize the feature on the cluster"
        );
    }
}

async fn watch_cluster(cluster: Arc<Cluster>, readiness: Arc<Readiness>, telemetry: Arc<Telemetry>) {
    let mut news = cluster.news();
    let meter = telemetry.cluster(cluster.name());
    loop {
        let now = news.borrow_and_update().clone();
        if now.read {
            readiness.answered(cluster.name());
        }
        if now.read || now.down.is_some() {
            meter.set_up(now.down.is_none());
        }
        if news.changed().await.is_err() {
            return;
        }
    }
}

/// One event for what became of a config.
pub(super) fn report(outcome: &Outcome, file: &str) {
    match outcome {
        Outcome::Unchanged => tracing::info!(file, "the config says what is in force already"),
        Outcome::Applied(changes) => {
            for Change { what, key, name, how } in changes {
                let how = how.join("; ");
                let what = match what {
                    What::Added => "added",
                    What::Removed => "removed",
                    What::Changed => "changed",
                };
                tracing::info!(what, key, name, how, "config");
            }
            tracing::info!(file, changes = changes.len(), "the config was reloaded; no connection was closed");
        }
        Outcome::Refused(refusals) => {
            for refusal in refusals {
                let (what, instead) = refusal.words();
                tracing::error!(file, reason = what, instead, "config refused");
            }
            tracing::error!(
                file,
                reasons = refusals.len(),
                "the config was refused as a whole; what ran before goes on"
            );
        }
    }
}

/// A fence with these and nothing else.
fn fence_of(topics: impl IntoIterator<Item = (kafka_protocol::protocol::StrBytes, Slot)>) -> Arc<Fence> {
    Arc::new(Fence::around(topics.into_iter().map(|(topic, slot)| (topic, Why::Elsewhere(slot)))))
}
