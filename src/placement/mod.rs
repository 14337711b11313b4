//! The immutable picture of what lives where, built from the config and each cluster's metadata, and swapped whole.
//! The only place where real ids become virtual ones. All of it is pure; `task` publishes it.

pub mod build;
pub mod fence;
pub mod front;
pub mod nodes;
pub mod ports;
pub mod task;
pub mod topic_ids;

pub use fence::Fence;
use fence::Why;
pub use front::Front;
pub use nodes::Nodes;
pub use ports::Ports;

use crate::config::{Config, Racks};
use crate::types::{BrokerId, FastMap, Name, Slot, Target, View, VirtualNode};
use crate::upstream::{Snapshot, Topic};
use crate::wire::client_id;
use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use parking_lot::RwLock;
use std::ops::RangeInclusive;
use std::sync::Arc;
use uuid::Uuid;

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Placement {
    /// What the operator wrote.
    pub config: Arc<Config>,
    /// The topics that are kept from everybody.
    pub fence: Arc<Fence>,
    /// Every configured cluster, by slot.
    pub clusters: Vec<ClusterPlace>,
    /// Virtual ids and back.
    pub nodes: Nodes,
    /// By range of a listener of the config.
    ports: Vec<Ports>,
    topics: FastMap<StrBytes, Arc<TopicPlace>>,
    ids: FastMap<Uuid, Arc<TopicPlace>>,
}

/// A cluster in the picture.
#[derive(Clone, Debug)]
pub struct ClusterPlace {
    /// Its number.
    pub slot: Slot,
    /// Its name.
    pub name: Name,
    /// What was last heard of it.
    pub snapshot: Arc<Snapshot>,
    /// It answered when last asked.
    pub up: bool,
    /// Some of its topics have no ids of its own: it is older than Kafka 2.8, or its brokers still speak among themselves as
    /// if it were. Whatever versions they speak, they know no topic by an id.
    pub without_ids: bool,
}

/// A topic that clients can see: it exists on the cluster its pipeline names.
#[derive(Debug)]
pub struct TopicPlace {
    /// As its cluster describes it, under the name that clients see.
    pub topic: Arc<Topic>,
    /// The topic as its cluster knows it, where that calls it otherwise: a [twin](crate::config::twins::Twin).
    pub twin_of: Option<Arc<Topic>>,
    /// As clients are shown it: never nil, though older clusters give none.
    pub id: Uuid,
    /// Its home.
    pub cluster: Slot,
    /// The pipeline it belongs to.
    pub pipeline: Name,
    /// Some partition has no leader, or another error.
    pub troubled: bool,
    /// Its description in Metadata answers, by version and by whether its brokers are one node, once somebody asked. It
    /// bears no address, so that all listeners share it. It goes with the place: a topic that
    /// changes gets a new one.
    pub written: Written,
}

/// What was written once and serves every client.
#[derive(Debug, Default)]
pub struct Written(RwLock<Vec<(Kind, Bytes)>>);

/// The version, and whether all brokers are one node.
type Kind = (i16, bool);

impl Written {
    /// What was written for a version and a view, or is now.
    pub fn get_or<E>(&self, version: i16, view: View, write: impl FnOnce() -> Result<Bytes, E>) -> Result<Bytes, E> {
        let kind = (version, view == View::Single);
        let same = |entry: &&(Kind, Bytes)| entry.0 == kind;
        if let Some((_, bytes)) = self.0.read().iter().find(same) {
            return Ok(bytes.clone());
        }
        let bytes = write()?;
        let mut all = self.0.write();
        if !all.iter().any(|entry| entry.0 == kind) {
            all.push((kind, bytes.clone()));
        }
        Ok(bytes)
    }
}

/// Where a partition is led, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leader {
    /// This broker leads it, at this epoch.
    At(Target, i32),
    /// It exists and nobody leads it now.
    Nobody,
    /// The topic has no such partition.
    NoPartition,
}

impl TopicPlace {
    /// What its cluster calls it: for all that is sent there.
    #[must_use]
    pub fn name_there(&self) -> &StrBytes {
        self.twin_of.as_ref().map_or(&self.topic.name, |topic| &topic.name)
    }

    /// Whether it is the topic that a canary sends records to: clients read it, and do nothing else.
    #[must_use]
    pub fn is_twin(&self) -> bool {
        self.twin_of.is_some()
    }

    /// Whether somebody leads each of its partitions.
    #[must_use]
    pub fn is_led(&self) -> bool {
        self.topic.partitions.iter().all(|partition| partition.leader >= 0)
    }

    /// Who leads a partition.
    #[must_use]
    pub fn leader(&self, partition: i32) -> Leader {
        let found = usize::try_from(partition).ok().and_then(|index| self.topic.partitions.get(index));
        match found {
            None => Leader::NoPartition,
            Some(partition) if partition.leader < 0 => Leader::Nobody,
            Some(partition) => {
                let target = Target { cluster: self.cluster, broker: BrokerId(partition.leader) };
                Leader::At(target, partition.epoch)
            }
        }
    }
}

impl Placement {
    /// A visible topic by name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicPlace>> {
        self.topics.get(name.as_bytes())
    }

    /// A visible topic by id. The nil id is nobody's.
    #[must_use]
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<TopicPlace>> {
        self.ids.get(&id)
    }

    /// A topic by name, or by id where there is no name: requests bear one or the other, by version.
    #[must_use]
    pub fn topic_of(&self, name: &str, id: Uuid) -> Option<&Arc<TopicPlace>> {
        if name.is_empty() { self.topic_by_id(id) } else { self.topic(name) }
    }

    /// All visible topics, in no order.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<TopicPlace>> {
        self.topics.values()
    }

    /// Those of them that who asks for all is told of: one that is kept from clients is told to who names it, as Kafka does with
    /// topics that one may not describe. For some clients an error in the list of all is an error of all.
    pub fn listed(&self) -> impl Iterator<Item = &Arc<TopicPlace>> {
        let kept = |place: &&Arc<TopicPlace>| matches!(self.fence.why(&place.topic.name), Some(Why::Elsewhere(_)));
        self.topics().filter(move |place| !kept(place))
    }

    /// The cluster where a topic of this name lives or would be made.
    #[must_use]
    pub fn home_of_topic(&self, name: &str) -> Slot {
        self.topic(name).map_or_else(|| self.config.home_of_topic(name), |place| place.cluster)
    }

    /// What the home of a topic calls it, whether it is there or not.
    #[must_use]
    pub fn name_at_home(&self, name: &StrBytes) -> StrBytes {
        match self.config.twin(name) {
            Some(twin) => StrBytes::from_string(twin.topic.to_owned()),
            None => name.clone(),
        }
    }

    /// The topic that a cluster means by a name, or by an id where there is one.
    #[must_use]
    pub fn topic_there(&self, cluster: Slot, name: &str, id: Uuid) -> Option<&Arc<TopicPlace>> {
        let by_id = self.topic_by_id(id).filter(|place| place.cluster == cluster);
        let by_name = || self.topic(name).filter(|place| place.cluster == cluster && !place.is_twin());
        let twin = || {
            let has = self.config.has_twin(name, cluster);
            has.then(|| self.topic(&self.config.name_of_twin(name, cluster))).flatten()
        };
        by_id.or_else(by_name).or_else(twin)
    }

    /// The pipeline and the home of a topic, whether it is there or not; `None` for an id that nobody knows.
    #[must_use]
    pub fn home_of(&self, name: &str, id: Uuid) -> Option<(&Name, Slot)> {
        if let Some(place) = self.topic_of(name, id) {
            return Some((&place.pipeline, place.cluster));
        }
        let pipeline = (!name.is_empty()).then(|| self.config.pipeline_of_topic(name))?;
        Some((&pipeline.name, self.config.home_of_topic(name)))
    }

    /// The cluster that coordinates a group: from the config alone, so that every replica agrees.
    #[must_use]
    pub fn home_of_group(&self, group: &str) -> Slot {
        self.config.pipeline_of_group(group).cluster
    }

    /// The cluster that coordinates the transactions of an id: from the config alone, as for groups.
    #[must_use]
    pub fn home_of_transactional_id(&self, id: &str) -> Slot {
        self.config.pipeline_of_transactional_id(id).cluster
    }

    /// A cluster of the config.
    #[must_use]
    pub fn cluster(&self, slot: Slot) -> Option<&ClusterPlace> {
        self.clusters.iter().find(|cluster| cluster.slot == slot)
    }

    /// What a client calls itself towards a cluster, where it calls itself so towards us.
    #[must_use]
    pub fn client_id(&self, slot: Slot, said: Option<&Bytes>) -> Option<Bytes> {
        match self.config.cluster(slot).and_then(|cluster| cluster.kind.zone()) {
            Some(zone) => Some(client_id::in_zone(said, zone)),
            None => said.cloned(),
        }
    }

    /// What a cluster calls the rack that a client names.
    #[must_use]
    pub fn their_rack(&self, slot: Slot, ours: StrBytes) -> StrBytes {
        self.rack(slot, ours, Racks::theirs)
    }

    /// What clients are told of a rack that a cluster names.
    #[must_use]
    pub fn our_rack(&self, slot: Slot, theirs: StrBytes) -> StrBytes {
        self.rack(slot, theirs, Racks::ours)
    }

    fn rack(&self, slot: Slot, named: StrBytes, turn: impl for<'a> Fn(&'a Racks, &'a str) -> &'a str) -> StrBytes {
        let Some(cluster) = self.config.cluster(slot) else { return named };
        let turned = turn(&cluster.racks, &named);
        if *turned == *named { named } else { StrBytes::from_string(turned.to_owned()) }
    }

    /// Whether a broker is alive, as far as is known.
    #[must_use]
    pub fn knows(&self, broker: Target) -> bool {
        self.cluster(broker.cluster).is_some_and(|cluster| cluster.snapshot.brokers.contains_key(&broker.broker))
    }

    /// Some live broker of a cluster, always the same one while the cluster does not change: for requests that any
    /// broker serves. The controller where it is known.
    #[must_use]
    pub fn any_broker(&self, slot: Slot) -> Option<Target> {
        let snapshot = &self.cluster(slot)?.snapshot;
        let controller = snapshot.controller.filter(|id| snapshot.brokers.contains_key(id));
        let broker = controller.or_else(|| snapshot.brokers.keys().next().copied())?;
        Some(Target { cluster: slot, broker })
    }

    /// All live brokers of all clusters.
    pub fn brokers(&self) -> impl Iterator<Item = (Target, &crate::upstream::Broker)> {
        self.clusters.iter().flat_map(|cluster| {
            let target = move |id| Target { cluster: cluster.slot, broker: id };
            cluster.snapshot.brokers.iter().map(move |(id, broker)| (target(*id), broker))
        })
    }

    /// Those of clusters that answer.
    pub fn brokers_in_reach(&self) -> impl Iterator<Item = Target> {
        let up = |target: &Target| self.cluster(target.cluster).is_some_and(|cluster| cluster.up);
        self.brokers().map(|(target, _)| target).filter(up)
    }

    /// The node that clients are told is the controller: the default cluster's, else any live one. -1 where no
    /// cluster has been heard of.
    #[must_use]
    pub fn controller(&self) -> VirtualNode {
        let preferred = self.any_broker(self.config.default_cluster);
        let any = || self.clusters.iter().find_map(|cluster| self.any_broker(cluster.slot));
        preferred.or_else(any).map_or(VirtualNode(-1), |target| self.nodes.virtual_of(target))
    }

    /// Which node is at which port of a listener's range; `None` for one that the config does not have.
    #[must_use]
    pub fn ports(&self, range: &RangeInclusive<u16>) -> Option<&Ports> {
        self.ports.iter().find(|ports| ports.is_of(range))
    }
}
