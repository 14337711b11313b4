//! Publishes a new placement whenever a cluster has news.

use super::Placement;
use super::build::{Heard, Remark};
use super::fence::Fence;
use crate::config::Config;
use crate::telemetry::log::few;
use crate::types::Slot;
use crate::upstream::Cluster;
use crate::upstream::cluster::News;
use arc_swap::ArcSwap;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

/// The placement in force, and a bell for the next one.
#[derive(Clone, Debug)]
pub struct Current {
    placement: Arc<ArcSwap<Placement>>,
    changed: watch::Receiver<u64>,
}

impl Current {
    /// The placement in force.
    #[must_use]
    pub fn load(&self) -> Arc<Placement> {
        self.placement.load_full()
    }

    /// Its number: a higher one means that another was published since.
    #[must_use]
    pub fn generation(&self) -> u64 {
        *self.changed.borrow()
    }

    /// Waits until what `cluster` last said is in the placement in force.
    pub async fn caught_up(&self, cluster: &Cluster) {
        loop {
            let generation = self.generation();
            let newest = cluster.news().borrow().snapshot.clone();
            let placed = self.load().cluster(cluster.slot()).map(|place| Arc::clone(&place.snapshot));
            if placed.is_none_or(|placed| Arc::ptr_eq(&placed, &newest)) {
                return;
            }
            if !self.later_than(generation).await {
                return;
            }
        }
    }

    /// Waits until a placement later than `generation` is in force. False where none will ever be, for the process is
    /// ending.
    pub async fn later_than(&self, generation: u64) -> bool {
        self.changed.clone().wait_for(|now| *now > generation).await.is_ok()
    }
}

/// What the publisher is told.
enum Told {
    News(Slot, News),
    Config(Arc<Config>, Vec<(Slot, News)>, oneshot::Sender<()>),
    Fence(Arc<Fence>, oneshot::Sender<()>),
}

/// Tells the publisher of clusters that come and go, and of new configs. The publisher lives as long as this does, or
/// any of the clusters it listens to.
#[derive(Debug)]
pub struct Publisher {
    tell: mpsc::Sender<Told>,
    listening: HashMap<Slot, AbortHandle>,
}

impl Publisher {
    /// From now on this cluster's news are placed, where the config has it.
    pub fn listen(&mut self, cluster: &Cluster) {
        let listening = tokio::spawn(listen(cluster.slot(), cluster.news(), self.tell.clone()));
        if let Some(before) = self.listening.insert(cluster.slot(), listening.abort_handle()) {
            before.abort();
        }
    }

    /// Hears no more of a cluster.
    pub fn ignore(&mut self, slot: Slot) {
        if let Some(listening) = self.listening.remove(&slot) {
            listening.abort();
        }
    }

    /// Places everything by another config; returns when that is in force. What was heard of clusters that are in both
    /// stays, and those that are new in it are `added` with what they have told.
    pub async fn configure(&self, config: Arc<Config>, added: &[Arc<Cluster>]) {
        let (done, waiting) = oneshot::channel();
        let news = added.iter().map(|cluster| (cluster.slot(), cluster.news().borrow().clone())).collect();
        if self.tell.send(Told::Config(config, news, done)).await.is_ok() {
            let _ = waiting.await;
        }
    }

    /// Keeps these topics from everybody, and no others; returns when that is in force.
    pub async fn fence(&self, fence: Arc<Fence>) {
        let (done, waiting) = oneshot::channel();
        if self.tell.send(Told::Fence(fence, done)).await.is_ok() {
            let _ = waiting.await;
        }
    }
}

/// Starts the task for clusters that stay. The first placement knows no topic.
#[must_use]
pub fn start(config: Arc<Config>, clusters: &[Arc<Cluster>]) -> Current {
    let (current, mut publisher) = begin(config);
    clusters.iter().for_each(|cluster| publisher.listen(cluster));
    current
}

/// Starts the task. It is yet to be told of any cluster.
#[must_use]
pub fn begin(config: Arc<Config>) -> (Current, Publisher) {
    let (first, _) = Placement::build(&config, &HashMap::new(), &Arc::default(), None);
    let placement = Arc::new(ArcSwap::from_pointee(first));
    let (publish, changed) = watch::channel(0);
    let (tell, told) = mpsc::channel(config.clusters.len().max(1));
    let picture = Picture { config, fence: Arc::default(), heard: HashMap::new(), remarked: HashSet::new() };
    tokio::spawn(publish_all(picture, told, Arc::clone(&placement), publish));
    (Current { placement, changed }, Publisher { tell, listening: HashMap::new() })
}

/// Passes one cluster's news on; news that comes while the last was not taken yet is passed on in its newest form.
async fn listen(slot: Slot, mut news: watch::Receiver<News>, tell: mpsc::Sender<Told>) {
    // What was told before anybody listened is news too.
    news.mark_changed();
    while news.changed().await.is_ok() {
        let newest = news.borrow_and_update().clone();
        if tell.send(Told::News(slot, newest)).await.is_err() {
            return;
        }
    }
}

/// What the next placement is made of.
struct Picture {
    config: Arc<Config>,
    fence: Arc<Fence>,
    heard: HashMap<Slot, Heard>,
    remarked: HashSet<Remark>,
}

impl Picture {
    /// Takes what was told in; who waits for it to be in force is given back.
    fn take(&mut self, told: Told) -> Option<oneshot::Sender<()>> {
        match told {
            Told::News(slot, news) => {
                self.hear(slot, news);
                None
            }
            Told::Config(config, added, done) => {
                let same = |slot: &Slot| {
                    let name = |config: &Config| config.cluster(*slot).map(|cluster| cluster.name.clone());
                    name(&config).is_some() && name(&config) == name(&self.config)
                };
                self.heard.retain(|slot, _| same(slot));
                self.config = config;
                added.into_iter().for_each(|(slot, news)| self.hear(slot, news));
                Some(done)
            }
            Told::Fence(fence, done) => {
                self.fence = fence;
                Some(done)
            }
        }
    }

    /// The last word of a cluster that was removed may come behind its removal.
    fn hear(&mut self, slot: Slot, news: News) {
        if self.config.cluster(slot).is_some() {
            let up = news.read && news.down.is_none();
            self.heard.insert(slot, Heard { snapshot: news.snapshot, up });
        }
    }

    fn place(&mut self, before: &Placement) -> Placement {
        let (next, remarks) = Placement::build(&self.config, &self.heard, &self.fence, Some(before));
        log(remarks.iter().filter(|remark| !self.remarked.contains(remark)));
        self.remarked = remarks.into_iter().collect();
        next
    }
}

async fn publish_all(
    mut picture: Picture,
    mut told: mpsc::Receiver<Told>,
    placement: Arc<ArcSwap<Placement>>,
    publish: watch::Sender<u64>,
) {
    while let Some(told) = told.recv().await {
        let waits = picture.take(told);
        let before = placement.load_full();
        placement.store(Arc::new(picture.place(&before)));
        publish.send_modify(|generation| *generation += 1);
        if let Some(done) = waits {
            let _ = done.send(());
        }
    }
}

fn log<'a>(remarks: impl Iterator<Item = &'a Remark>) {
    let mut twice = Vec::new();
    for remark in remarks {
        match remark {
            Remark::TopicTwice { topic, home, other } => twice.push(format!("{topic} ({home} and {other})")),
            Remark::PortsSpent(range) => tracing::warn!(
                ports = ?range,
                "more nodes than ports: some share one, and clients that tell nodes by their address see only one of them; \
                 give this listener's `hosts` a wider range"
            ),
            Remark::NodesCollide(one, two) => {
                tracing::info!(%one, %two, "two brokers are shown under one node id; harmless, requests go by content");
            }
        }
    }
    if let Some((topics, first)) = few(&mut twice) {
        tracing::info!(
            topics,
            first,
            "topics exist on two clusters; clients see those on their home. A group's shadow topic is meant to be there"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::build::tests::{config, slot};
    use crate::telemetry::Telemetry;
    use crate::upstream::connect::Shared;
    use crate::upstream::testing::{FakeCluster, Reply};
    use std::time::Duration;
    use tokio::time::timeout;

    /// A cluster that has told its metadata already.
    async fn told() -> (Arc<Cluster>, FakeCluster) {
        let there = FakeCluster::start(1, &[("x", &[1])], |_, _| Reply::Silence).await;
        let meter = Telemetry::new().unwrap().cluster(&"a".into());
        let (cluster, asked) = Cluster::new(slot(0), "a".into(), there.bootstrap(), Shared::new(0, 1 << 20), meter);
        let refreshing = tokio::spawn(crate::upstream::refresh::run(Arc::clone(&cluster), asked));
        cluster.news().wait_for(|news| news.read).await.unwrap();
        refreshing.abort();
        (cluster, there)
    }

    #[tokio::test]
    async fn what_was_told_before_anybody_listened_is_placed() {
        let (cluster, _there) = told().await;
        let current = start(config(), &[Arc::clone(&cluster)]);
        timeout(Duration::from_secs(10), current.caught_up(&cluster)).await.expect("a placement");
        assert!(current.load().topic("x").is_some());
    }

    #[tokio::test]
    async fn nobody_waits_for_a_placement_that_will_never_come() {
        let (cluster, _there) = told().await;
        // Given a publisher that has ended: it has no clusters to hear of
        let current = start(config(), &[]);
        let waited = timeout(Duration::from_secs(10), async {
            current.caught_up(&cluster).await;
            current.later_than(0).await
        });
        assert_eq!(waited.await, Ok(false));
    }
}
