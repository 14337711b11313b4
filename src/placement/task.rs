//! Publishes a new placement whenever a cluster has news.

use super::Placement;
use super::build::{Heard, Remark};
use crate::config::Config;
use crate::types::Slot;
use crate::upstream::Cluster;
use crate::upstream::cluster::News;
use arc_swap::ArcSwap;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

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

/// Starts the task. The first placement knows no topic.
#[must_use]
pub fn start(config: Arc<Config>, clusters: &[Arc<Cluster>]) -> Current {
    let (first, _) = Placement::build(&config, &HashMap::new(), None);
    let placement = Arc::new(ArcSwap::from_pointee(first));
    let (publish, changed) = watch::channel(0);
    let (tell, told) = mpsc::channel(clusters.len().max(1));
    for cluster in clusters {
        tokio::spawn(listen(cluster.slot(), cluster.news(), tell.clone()));
    }
    tokio::spawn(publish_all(config, told, Arc::clone(&placement), publish));
    Current { placement, changed }
}

/// Passes one cluster's news on; news that comes while the last was not taken yet is passed on in its newest form.
async fn listen(slot: Slot, mut news: watch::Receiver<News>, tell: mpsc::Sender<(Slot, News)>) {
    // What was told before anybody listened is news too.
    news.mark_changed();
    while news.changed().await.is_ok() {
        let newest = news.borrow_and_update().clone();
        if tell.send((slot, newest)).await.is_err() {
            return;
        }
    }
}

async fn publish_all(
    config: Arc<Config>,
    mut told: mpsc::Receiver<(Slot, News)>,
    placement: Arc<ArcSwap<Placement>>,
    publish: watch::Sender<u64>,
) {
    let mut heard = HashMap::new();
    let mut remarked = HashSet::new();
    while let Some((slot, news)) = told.recv().await {
        heard.insert(slot, Heard { snapshot: news.snapshot, up: news.read && news.down.is_none() });
        let before = placement.load_full();
        let (next, remarks) = Placement::build(&config, &heard, Some(&before));
        placement.store(Arc::new(next));
        publish.send_modify(|generation| *generation += 1);
        for remark in &remarks {
            if !remarked.contains(remark) {
                log(remark);
            }
        }
        remarked = remarks.into_iter().collect();
    }
}

fn log(remark: &Remark) {
    match remark {
        Remark::TopicTwice { topic, home, other } => tracing::info!(
            topic = %topic, %home, %other,
            "topic exists on two clusters; clients see the one on its home. A group's shadow topic is meant to be there"
        ),
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
