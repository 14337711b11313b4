//! Looks at where canaries send records, when Fishplate starts and when its config changes: what is written to a topic that is not as it
//! should be is acknowledged, and may be gone.

use crate::admin::live;
use crate::config::Config;
use crate::upstream::Cluster;
use std::sync::Arc;
use tokio::task::JoinSet;

/// See the module's text.
#[derive(Default)]
pub(super) struct Canaries {
    looking: JoinSet<()>,
}

impl Canaries {
    /// Says what is the matter, off the path of who asks.
    pub(super) fn look(&mut self, config: &Arc<Config>, clusters: &[Arc<Cluster>]) {
        self.looking.abort_all();
        if config.pipelines.iter().any(|pipeline| !pipeline.policy.canaries.is_empty()) {
            let (config, clusters) = (Arc::clone(config), clusters.to_vec());
            self.looking.spawn(async move {
                for found in live::canaries(&config, &clusters).await {
                    let (what, instead) = found.words();
                    tracing::warn!(what, instead, "a canary's topic is not as it should be");
                }
            });
        }
    }
}
