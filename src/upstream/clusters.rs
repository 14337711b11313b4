//! The clusters that are in use now. A reload swaps the set whole; who took it before goes on with what it took.

use super::Cluster;
use crate::types::Slot;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// See the module's text. Clones share one set.
#[derive(Clone, Debug, Default)]
pub struct Clusters(Arc<ArcSwap<Vec<Arc<Cluster>>>>);

impl Clusters {
    /// The cluster of a slot.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<Arc<Cluster>> {
        self.0.load().iter().find(|cluster| cluster.slot() == slot).cloned()
    }

    /// All of them, as they are now.
    #[must_use]
    pub fn all(&self) -> Arc<Vec<Arc<Cluster>>> {
        self.0.load_full()
    }

    /// From now on these.
    pub fn swap(&self, clusters: Vec<Arc<Cluster>>) {
        self.0.store(Arc::new(clusters));
    }
}

impl From<Vec<Arc<Cluster>>> for Clusters {
    fn from(clusters: Vec<Arc<Cluster>>) -> Self {
        let set = Self::default();
        set.swap(clusters);
        set
    }
}
