//! Where canaries send records: whether each topic is there, is as large as at home, and keeps what is written to it.

use super::Finding;
use crate::admin::guard;
use crate::config::{Config, Pipeline};
use crate::session::shadows;
use crate::types::Slot;
use crate::upstream::{Cluster, Topic};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;
use std::sync::Arc;

/// So many topics a cluster is asked about at once.
const BATCH: usize = 1_000;

/// What is the matter with the topics over there.
pub(super) async fn look(config: &Config, clusters: &[Arc<Cluster>]) -> Vec<Finding> {
    let pairs = pairs(config, &guard::seen(clusters));
    let mut kept_shortly = BTreeSet::new();
    for cluster in clusters {
        let there = pairs.iter().filter(|pair| pair.on == cluster.slot()).filter_map(|pair| pair.there.clone());
        let there: Vec<_> = there.collect();
        for some in there.chunks(BATCH) {
            let names = shadows::kept_as_shadows(cluster, some).await;
            kept_shortly.extend(names.into_iter().map(|name| (cluster.slot(), name)));
        }
    }
    pairs.iter().filter_map(|pair| pair.finding(config, &kept_shortly)).collect()
}

/// A topic at home, and what a canary's cluster has of that name.
struct Pair {
    pipeline: String,
    home: Arc<Topic>,
    on: Slot,
    there: Option<Arc<Topic>>,
}

/// All of them; nothing of clusters that told nothing.
fn pairs(config: &Config, seen: &guard::Seen) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for pipeline in &config.pipelines {
        let over: BTreeSet<Slot> = pipeline.policy.canaries.iter().map(|canary| canary.to).collect();
        for (slot, there) in over.iter().filter_map(|slot| Some((*slot, seen.get(slot)?))) {
            let at_home = seen.get(&pipeline.cluster).into_iter().flat_map(|home| home.topics.values());
            let own = at_home.filter(|topic| !topic.internal && is_of(config, pipeline, &topic.name));
            pairs.extend(own.map(|home| Pair {
                pipeline: pipeline.name.to_string(),
                home: Arc::clone(home),
                on: slot,
                there: there.topics.get(&home.name).cloned(),
            }));
        }
    }
    pairs
}

fn is_of(config: &Config, pipeline: &Pipeline, topic: &str) -> bool {
    !config.is_reserved(topic) && config.pipeline_of_topic(topic).name == pipeline.name
}

impl Pair {
    fn finding(&self, config: &Config, kept_shortly: &BTreeSet<(Slot, StrBytes)>) -> Option<Finding> {
        let on = config.cluster(self.on).map_or_else(String::new, |cluster| cluster.name.to_string());
        let (topic, pipeline) = (self.home.name.to_string(), self.pipeline.clone());
        let Some(there) = &self.there else { return Some(Finding::TwinMissing { topic, on, pipeline }) };
        if kept_shortly.contains(&(self.on, there.name.clone())) {
            return Some(Finding::TwinForgets { topic, on });
        }
        let (at_home, there) = (self.home.partitions.len(), there.partitions.len());
        (there < at_home).then_some(Finding::TwinSmaller { topic, on, there, at_home })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::build::tests::{TWO, heard, slot, topic};
    use std::collections::BTreeMap;

    #[test]
    fn what_a_canary_lacks_over_there_is_told() {
        // Given a canary of three topics, of which the other cluster has two
        let canary = "{ name: e, topics: ['e-*'], cluster: a, canaries: [{ key: key, share: 1%, to: b }] }";
        let config = Config::from_text("c.yaml", &format!("{TWO}  - {canary}\n")).unwrap();
        let a = [
            topic("e-1", &[1, 2]),
            topic("e-2", &[1, 2]),
            topic("e-3", &[1]),
            topic("x", &[1]),
            topic("e-1--at--b", &[1]),
        ];
        let b = [topic("e-1", &[1]), topic("e-2", &[1, 1, 1])];
        let seen = BTreeMap::from([(slot(0), heard("a", &a).snapshot), (slot(1), heard("b", &b).snapshot)]);
        // Then it is said which is not there, which is smaller, and which would keep nothing
        let words = |kept: &[&str]| {
            let kept = kept.iter().map(|name| (slot(1), StrBytes::from_string((*name).to_owned()))).collect();
            let mut words: Vec<_> = pairs(&config, &seen)
                .iter()
                .filter_map(|pair| pair.finding(&config, &kept))
                .map(|one| one.words().0)
                .collect();
            words.sort();
            words
        };
        let smaller = "topic e-1 has 1 partition on b and 2 at home: a canary sends records of several to one";
        let missing = "the pipeline e has a canary on b, and topic e-3 is not there";
        assert_eq!(words(&[]), [missing, smaller]);
        let forgets = "topic e-2 on b is a shadow topic: what a canary writes there is gone in a second";
        assert_eq!(words(&["e-2"]), [missing, smaller, forgets]);
    }
}
