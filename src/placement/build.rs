//! Builds the placement from the config and what each cluster last said. Pure.

use super::fence::Fence;
use super::topic_ids::shown_id;
use super::{ClusterPlace, Nodes, Placement, Ports, TopicPlace, Written};
use crate::config::Config;
use crate::types::{FastMap, Name, Slot, Target};
use crate::upstream::{Snapshot, Topic};
use kafka_protocol::protocol::StrBytes;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use uuid::Uuid;

/// Kafka's code for a partition that nobody leads now.
const LEADER_NOT_AVAILABLE: i16 = 5;

/// What one cluster contributes.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Its metadata, as last read.
    pub snapshot: Arc<Snapshot>,
    /// It answered when last asked.
    pub up: bool,
}

/// What an operator should hear of, once each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Remark {
    /// A topic exists on its pipeline's cluster, `home`, and on another one too.
    TopicTwice {
        /// The topic's name.
        topic: StrBytes,
        /// Where clients find it.
        home: Name,
        /// Where the other one is.
        other: Name,
    },
    /// Two brokers are shown under one virtual id.
    NodesCollide(Target, Target),
    /// There are more nodes than a listener has ports for, so that some share one.
    PortsSpent(RangeInclusive<u16>),
}

impl Placement {
    /// The picture. `before` lets topics that did not change keep their object.
    #[must_use]
    pub fn build(
        config: &Arc<Config>,
        heard: &HashMap<Slot, Heard>,
        fence: &Arc<Fence>,
        before: Option<&Self>,
    ) -> (Self, Vec<Remark>) {
        let clusters: Vec<_> = config.clusters.iter().map(|cluster| place_cluster(cluster, heard)).collect();
        let brokers = clusters.iter().flat_map(|cluster| {
            cluster.snapshot.brokers.keys().map(|broker| Target { cluster: cluster.slot, broker: *broker })
        });
        let (nodes, collisions) = Nodes::of(brokers);
        let (ports, spent) = place_ports(config, &clusters, &nodes, before);
        // Under another config a topic may belong to another pipeline.
        let same = |before: &&Self| Arc::ptr_eq(&before.config, config) && Arc::ptr_eq(&before.fence, fence);
        let mut topics = place_topics(config, &clusters, before.filter(same));
        keep_off(config, &clusters, fence, &mut topics);
        let ids = topics.values().map(|place| (place.id, Arc::clone(place))).collect();
        let mut remarks: Vec<_> = collisions.into_iter().map(|(one, two)| Remark::NodesCollide(one, two)).collect();
        remarks.extend(spent.into_iter().map(Remark::PortsSpent));
        remarks.extend(topics_twice(config, &clusters, &topics));
        let (config, fence) = (Arc::clone(config), Arc::clone(fence));
        (Self { config, fence, clusters, nodes, ports, topics, ids }, remarks)
    }
}

fn place_cluster(cluster: &crate::config::Cluster, heard: &HashMap<Slot, Heard>) -> ClusterPlace {
    let Heard { snapshot, up } = heard.get(&cluster.slot).cloned().unwrap_or_default();
    let without_ids = snapshot.topics.values().any(|topic| topic.id.is_nil());
    ClusterPlace { slot: cluster.slot, name: cluster.name.clone(), snapshot, up, without_ids }
}

/// The ports of every listener that has a range, and the ranges that are too small. What was at a port stays there, also
/// under another config.
fn place_ports(
    config: &Config,
    clusters: &[ClusterPlace],
    nodes: &Nodes,
    before: Option<&Placement>,
) -> (Vec<Ports>, Vec<RangeInclusive<u16>>) {
    let (mut all, mut spent) = (Vec::new(), Vec::new());
    for range in config.listeners.iter().filter_map(|listener| listener.hosts.as_ref()?.ports()) {
        let targets = clusters.iter().flat_map(|cluster| {
            cluster.snapshot.brokers.keys().map(|broker| Target { cluster: cluster.slot, broker: *broker })
        });
        let shown = targets.map(|target| nodes.virtual_of(target));
        let (ports, shared) = Ports::of(range, shown, before.and_then(|before| before.ports(range)));
        all.push(ports);
        spent.extend(shared.then(|| range.clone()));
    }
    (all, spent)
}

/// A topic is visible on the cluster its pipeline names; a copy elsewhere (a shadow, or a mistake) is not.
fn place_topics(
    config: &Config,
    clusters: &[ClusterPlace],
    before: Option<&Placement>,
) -> FastMap<StrBytes, Arc<TopicPlace>> {
    let mut topics = FastMap::default();
    for cluster in clusters {
        for topic in cluster.snapshot.topics.values() {
            let known = before.and_then(|before| before.topic(&topic.name));
            let same = known.filter(|known| known.cluster == cluster.slot && Arc::ptr_eq(&known.topic, topic));
            if let Some(place) = same.cloned().or_else(|| place_topic(config, cluster.slot, topic)) {
                topics.insert(topic.name.clone(), place);
            }
        }
    }
    place_twins(config, clusters, before, &mut topics);
    topics
}

/// Where a canary sends records, clients see what its cluster has of the topic under a name of its own.
fn place_twins(
    config: &Config,
    clusters: &[ClusterPlace],
    before: Option<&Placement>,
    topics: &mut FastMap<StrBytes, Arc<TopicPlace>>,
) {
    let has_some = |slot| config.pipelines.iter().any(|pipeline| pipeline.has_canary_on(slot));
    for cluster in clusters.iter().filter(|cluster| has_some(cluster.slot)) {
        for topic in cluster.snapshot.topics.values().filter(|topic| !topic.internal) {
            let is_at_home = topics.get(&topic.name).is_some_and(|place| place.cluster == cluster.slot);
            if is_at_home || !config.has_twin(&topic.name, cluster.slot) {
                continue;
            }
            let name = StrBytes::from_string(config.name_of_twin(&topic.name, cluster.slot));
            let known = before.and_then(|before| before.topic(&name));
            let same = |known: &&Arc<TopicPlace>| known.twin_of.as_ref().is_some_and(|known| Arc::ptr_eq(known, topic));
            let place =
                known.filter(same).cloned().unwrap_or_else(|| Arc::new(twin(config, cluster.slot, &name, topic)));
            topics.insert(name, place);
        }
    }
}

fn twin(config: &Config, cluster: Slot, name: &StrBytes, topic: &Arc<Topic>) -> TopicPlace {
    TopicPlace {
        topic: Arc::new(Topic { name: name.clone(), ..Topic::clone(topic) }),
        twin_of: Some(Arc::clone(topic)),
        id: shown_id(topic.id, cluster, name),
        cluster,
        pipeline: config.pipeline_of_topic(name).name.clone(),
        troubled: is_troubled(topic),
        written: Written::default(),
    }
}

fn is_troubled(topic: &Topic) -> bool {
    topic.partitions.iter().any(|partition| partition.leader < 0 || partition.error != 0)
}

fn place_topic(config: &Config, cluster: Slot, topic: &Arc<Topic>) -> Option<Arc<TopicPlace>> {
    if config.is_reserved(&topic.name) {
        // The shadow of a twin, on the home of a group that reads it.
        return None;
    }
    let pipeline = config.pipeline_of_topic(&topic.name);
    let place = || TopicPlace {
        topic: Arc::clone(topic),
        twin_of: None,
        id: shown_id(topic.id, cluster, &topic.name),
        cluster,
        pipeline: pipeline.name.clone(),
        troubled: is_troubled(topic),
        written: Written::default(),
    };
    (pipeline.cluster == cluster).then(|| Arc::new(place()))
}

/// Topics behind the fence are there for everybody to see, and nobody leads them. One that is not on its home is shown with
/// the partitions that it has elsewhere: as an unknown one it might be made there.
fn keep_off(
    config: &Config,
    clusters: &[ClusterPlace],
    fence: &Fence,
    topics: &mut FastMap<StrBytes, Arc<TopicPlace>>,
) {
    for name in fence.names() {
        let home = config.home_of_topic(name);
        let elsewhere = || clusters.iter().find_map(|cluster| cluster.snapshot.topics.get(name));
        let at_home = topics.get(name).map(|place| Topic::clone(&place.topic));
        let shown = at_home.or_else(|| Some(Topic { id: Uuid::nil(), ..Topic::clone(elsewhere()?) }));
        let Some(mut topic) = shown else { continue };
        topic.partitions.iter_mut().for_each(|partition| {
            (partition.leader, partition.error) = (-1, LEADER_NOT_AVAILABLE);
        });
        if let Some(place) = place_topic(config, home, &Arc::new(topic)) {
            topics.insert(name.clone(), place);
        }
    }
}

/// A twin is meant to be there, and what bears a twin's name is its shadow.
fn topics_twice<'a>(
    config: &'a Config,
    clusters: &'a [ClusterPlace],
    topics: &'a FastMap<StrBytes, Arc<TopicPlace>>,
) -> impl Iterator<Item = Remark> + 'a {
    let name_of = |slot| clusters.iter().find(|cluster| cluster.slot == slot).map(|cluster| cluster.name.clone());
    clusters.iter().flat_map(move |cluster| {
        cluster.snapshot.topics.values().filter(|topic| !topic.internal).filter_map(move |topic| {
            let home = topics.get(&topic.name).filter(|home| home.cluster != cluster.slot && !home.is_twin())?;
            if config.has_twin(&topic.name, cluster.slot) {
                return None;
            }
            let (topic, other) = (topic.name.clone(), cluster.name.clone());
            Some(Remark::TopicTwice { topic, home: name_of(home.cluster)?, other })
        })
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::placement::Leader;
    use crate::types::{BrokerId, HostPort};
    use crate::upstream::{Broker, Partition};

    pub(crate) const TWO: &str = "
virtual_cluster: v
default_cluster: a
listeners: [{ bind: '127.0.0.1:0' }]
clusters:
  a: { slot: 0, bootstrap: ['a.example:1'], racks: { ours: theirs } }
  b: { slot: 1, bootstrap: ['b.example:1'] }
pipelines:
  - { name: right, topics: ['b-*'], groups: ['gb-*'], transactional_ids: ['tb-*'], cluster: b }
";

    pub(crate) fn config() -> Arc<Config> {
        Arc::new(Config::from_text("two.yaml", TWO).unwrap())
    }

    pub(crate) fn slot(number: u8) -> Slot {
        Slot::new(number).unwrap()
    }

    /// A topic whose partitions are led by these brokers, its id made of its name.
    pub(crate) fn topic(name: &str, leaders: &[i32]) -> Arc<Topic> {
        let partition = |leader: &i32| Partition {
            leader: *leader,
            epoch: 7,
            replicas: vec![*leader],
            isr: vec![*leader],
            ..Partition::default()
        };
        let mut id = [0; 16];
        id.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        Arc::new(Topic {
            name: StrBytes::from_string(name.to_owned()),
            id: Uuid::from_bytes(id),
            internal: name.starts_with("__"),
            partitions: leaders.iter().map(partition).collect(),
            operations: i32::MIN,
        })
    }

    /// A cluster with brokers 1, 2 and 3, at hosts that must never reach a client.
    pub(crate) fn heard(cluster: &str, topics: &[Arc<Topic>]) -> Heard {
        let broker = |id: i32| {
            let address = HostPort::new(&format!("secret-{cluster}-{id}.internal"), 9092);
            (BrokerId(id), Broker { address, rack: None })
        };
        let snapshot = Snapshot {
            controller: Some(BrokerId(2)),
            brokers: (1..=3).map(broker).collect(),
            topics: topics.iter().map(|topic| (topic.name.clone(), Arc::clone(topic))).collect(),
            ..Snapshot::default()
        };
        Heard { snapshot: Arc::new(snapshot), up: true }
    }

    /// Two clusters, `a` (slot 0) and `b` (slot 1), with these topics.
    pub(crate) fn placement(a: &[Arc<Topic>], b: &[Arc<Topic>]) -> (Placement, Vec<Remark>) {
        let heard = HashMap::from([(slot(0), heard("a", a)), (slot(1), heard("b", b))]);
        Placement::build(&config(), &heard, &Arc::default(), None)
    }

    #[test]
    fn a_topic_lives_on_its_pipelines_cluster_and_nowhere_else() {
        let (placement, remarks) = placement(&[topic("x", &[1]), topic("b-1", &[1])], &[topic("b-1", &[3])]);
        assert_eq!(placement.home_of_topic("b-1"), slot(1));
        let b1 = placement.topic("b-1").unwrap();
        assert_eq!(b1.leader(0), Leader::At(Target { cluster: slot(1), broker: BrokerId(3) }, 7));
        assert_eq!(b1.leader(1), Leader::NoPartition);
        assert!(placement.topic_by_id(b1.topic.id).is_some_and(|found| Arc::ptr_eq(found, b1)));
        assert_eq!(placement.topics().len(), 2);
        let twice = Remark::TopicTwice { topic: b1.topic.name.clone(), home: "b".into(), other: "a".into() };
        assert_eq!(remarks, vec![twice]);
    }

    #[test]
    fn a_topic_that_is_on_the_wrong_cluster_alone_is_not_seen() {
        let (placement, _) = placement(&[topic("b-1", &[1])], &[]);
        assert!(placement.topic("b-1").is_none());
        assert_eq!(placement.home_of_topic("b-1"), slot(1));
    }

    #[test]
    fn what_did_not_change_keeps_its_object() {
        let (x, y) = (topic("x", &[1]), topic("y", &[1]));
        let (one, _) = placement(&[Arc::clone(&x), y], &[]);
        let later = HashMap::from([(slot(0), heard("a", &[x, topic("y", &[2])]))]);
        let (two, _) = Placement::build(&one.config, &later, &one.fence, Some(&one));
        assert!(Arc::ptr_eq(one.topic("x").unwrap(), two.topic("x").unwrap()));
        assert!(!Arc::ptr_eq(one.topic("y").unwrap(), two.topic("y").unwrap()));
    }

    #[test]
    fn the_controller_is_a_live_node_of_the_default_cluster_or_of_another() {
        let (both, _) = placement(&[], &[]);
        assert_eq!(both.controller().0, 2);
        let only_b = HashMap::from([(slot(1), heard("b", &[]))]);
        assert_eq!(Placement::build(&config(), &only_b, &Arc::default(), None).0.controller().0, (1 << 25) | 2);
        assert_eq!(Placement::build(&config(), &HashMap::new(), &Arc::default(), None).0.controller().0, -1);
    }

    /// With a canary on `b` of the topics `e-*`, which live on `a`.
    pub(crate) fn with_canary(a: &[Arc<Topic>], b: &[Arc<Topic>]) -> Placement {
        let heard = HashMap::from([(slot(0), heard("a", a)), (slot(1), heard("b", b))]);
        Placement::build(&config_with_canary(), &heard, &Arc::default(), None).0
    }

    fn config_with_canary() -> Arc<Config> {
        let pipeline = "{ name: e, topics: ['e-*'], cluster: a, canaries: [{ key: key, share: 1%, to: b }] }";
        Arc::new(Config::from_text("two.yaml", &format!("{TWO}  - {pipeline}\n")).unwrap())
    }

    #[test]
    fn a_twin_is_seen_under_its_own_name_and_is_no_remark() {
        // Given a canary of the topics of `a` on `b`
        let config = config_with_canary();
        // When one of them is on both, and the twin has a shadow at home, where a group has committed for it
        let (one, other) = (topic("e-1", &[1]), topic("e-1", &[3, 2]));
        let other = Arc::new(Topic { id: Uuid::from_u128(7), ..Topic::clone(&other) });
        let shadow = topic("e-1--at--b", &[1, 1]);
        let heard =
            HashMap::from([(slot(0), heard("a", &[one, shadow])), (slot(1), heard("b", &[Arc::clone(&other)]))]);
        let (placement, remarks) = Placement::build(&config, &heard, &Arc::default(), None);
        // Then each is seen under its name and its id
        let home = placement.topic("e-1").unwrap();
        assert!(home.cluster == slot(0) && home.topic.partitions.len() == 1 && !home.is_twin());
        let twin = placement.topic("e-1--at--b").unwrap();
        assert!(twin.cluster == slot(1) && twin.topic.partitions.len() == 2 && twin.is_twin());
        assert_eq!((&**twin.name_there(), &*twin.topic.name), ("e-1", "e-1--at--b"));
        assert!(placement.topic_by_id(Uuid::from_u128(7)).is_some_and(|found| Arc::ptr_eq(found, twin)));
        assert_eq!((placement.home_of_topic("e-1--at--b"), placement.topics().len()), (slot(1), 2));
        // And what a broker calls by the same name is told apart by its cluster
        let meant = |cluster| placement.topic_there(slot(cluster), "e-1", Uuid::nil()).unwrap();
        assert!(Arc::ptr_eq(meant(0), home) && Arc::ptr_eq(meant(1), twin));
        assert_eq!(remarks, vec![]);
        // And a placement that knows nothing new keeps what was written of it
        let (later, _) = Placement::build(&config, &heard, &placement.fence, Some(&placement));
        assert!(Arc::ptr_eq(later.topic("e-1--at--b").unwrap(), twin));
    }

    #[test]
    fn internal_topics_on_every_cluster_are_no_remark() {
        let offsets = topic("__consumer_offsets", &[1]);
        assert_eq!(placement(&[Arc::clone(&offsets)], &[offsets]).1, vec![]);
    }
}
