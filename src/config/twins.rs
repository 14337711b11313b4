//! Twins: where a pipeline has a canary, each of its topics has one on the canary's cluster, a topic of the same name. Clients find that under a
//! name of its own, the topic's and the cluster's. Such names are ours: what bears one on a cluster is a shadow, and seen by nobody. By the config alone:
//! whether there is such a topic is not known here.

use super::{Config, Pipeline};
use crate::types::Slot;

/// Between the topic and the cluster. What Kafka takes in names of topics: kafka-python does not subscribe to a name with any other sign.
const AT: &str = "--at--";

/// See the module's text.
#[derive(Clone, Copy, Debug)]
pub struct Twin<'c, 'n> {
    /// What its cluster calls it, as the topic's home calls that.
    pub topic: &'n str,
    /// The cluster that it lives on.
    pub cluster: Slot,
    /// The topic's pipeline, which has the canary.
    pub pipeline: &'c Pipeline,
}

impl Config {
    /// The twin that clients call so.
    #[must_use]
    pub fn twin<'c, 'n>(&'c self, name: &'n str) -> Option<Twin<'c, 'n>> {
        let (topic, cluster) = self.split(name)?;
        if self.is_reserved(topic) {
            return None;
        }
        let pipeline = self.first(|pipeline| pipeline.topics.matches(topic));
        pipeline.has_canary_on(cluster).then_some(Twin { topic, cluster, pipeline })
    }

    /// Whether a name is kept for twins, also where there is no canary: no topic of that name is shown, so that the shadow of a twin is nobody's
    /// topic when its canary is gone.
    #[must_use]
    pub fn is_reserved(&self, name: &str) -> bool {
        self.split(name).is_some()
    }

    fn split<'n>(&self, name: &'n str) -> Option<(&'n str, Slot)> {
        let (topic, cluster) = name.rsplit_once(AT)?;
        let cluster = self.clusters.iter().find(|one| one.name.as_str() == cluster)?;
        (!topic.is_empty()).then_some((topic, cluster.slot))
    }

    /// What clients call a topic's twin on a cluster.
    #[must_use]
    pub fn name_of_twin(&self, topic: &str, cluster: Slot) -> String {
        let cluster = self.cluster(cluster).map_or("", |cluster| cluster.name.as_str());
        format!("{topic}{AT}{cluster}")
    }

    /// Whether a topic's pipeline has a canary on a cluster.
    #[must_use]
    pub fn has_twin(&self, topic: &str, cluster: Slot) -> bool {
        !self.is_reserved(topic) && self.pipeline_of_topic(topic).has_canary_on(cluster)
    }
}

impl Pipeline {
    /// Whether some of its records go to this cluster, which is not its home.
    #[must_use]
    pub fn has_canary_on(&self, cluster: Slot) -> bool {
        self.policy.canaries.iter().any(|canary| canary.to == cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
virtual_cluster: v
default_cluster: a
listeners: [{ bind: '127.0.0.1:0' }]
clusters:
  a: { slot: 0, bootstrap: ['a.example:1'] }
  b: { slot: 1, bootstrap: ['b.example:1'] }
  c: { slot: 2, bootstrap: ['c.example:1'] }
pipelines:
  - { name: events, topics: ['e-*'], cluster: a, canaries: [{ key: header(token), values: [t], to: b }] }
";

    #[test]
    fn a_twin_is_called_by_its_topic_and_its_cluster() {
        let config = Config::from_text("c.yaml", FILE).unwrap();
        let b = Slot::new(1).unwrap();
        let name = config.name_of_twin("e-1", b);
        let twin = config.twin(&name).unwrap();
        assert_eq!((&*name, twin.topic, twin.cluster), ("e-1--at--b", "e-1", b));
        assert_eq!((config.home_of_topic(&name), config.pipeline_of_topic(&name).name.as_str()), (b, "events"));
        assert_eq!(config.home_of_topic("e-1"), Slot::new(0).unwrap());
        assert!(config.has_twin("e-1", b) && !config.has_twin(&name, b), "a twin has none");
    }

    #[test]
    fn what_has_no_canary_is_no_twin() {
        let config = Config::from_text("c.yaml", FILE).unwrap();
        assert!(config.is_reserved("e-1--at--c") && config.is_reserved("x--at--b"), "there may have been a canary");
        assert!(!config.is_reserved("e-1--at--d") && !config.is_reserved("--at--b"));
        for name in ["e-1--at--c", "e-1--at--d", "x--at--b", "e-1--at--b--at--c", "e-1--at--b--at--b", "e-1-at-b"] {
            assert!(config.twin(name).is_none(), "{name}");
        }
    }
}
