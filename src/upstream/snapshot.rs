//! One cluster's metadata as last heard: its brokers and topics. Pure; an answer is folded into the snapshot before.

use crate::types::{BrokerId, HostPort};
use crate::wire::codec::copied;
use kafka_protocol::messages::MetadataResponse;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// What a cluster looks like. Topic names are copies: nothing in here pins a network buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The cluster's own id.
    pub cluster_id: Option<Arc<str>>,
    /// The broker that clients are told is the controller; negative where there is none.
    pub controller: Option<BrokerId>,
    /// The live brokers.
    pub brokers: BTreeMap<BrokerId, Broker>,
    /// Every topic, the cluster's internal ones included.
    pub topics: HashMap<StrBytes, Arc<Topic>>,
    /// Bits of what our identity may do to the cluster (KIP-430), if it said so.
    pub operations: Option<i32>,
}

/// A live broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Where it listens.
    pub address: HostPort,
    /// Its rack, as configured there.
    pub rack: Option<Arc<str>>,
}

/// A topic as its cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: StrBytes,
    /// Its id; nil where the cluster has none.
    pub id: Uuid,
    /// Kafka's own (offsets, transaction state).
    pub internal: bool,
    /// By index, from 0 on without a gap.
    pub partitions: Vec<Partition>,
    /// Bits of what our identity may do to it (KIP-430).
    pub operations: i32,
}

/// A partition: who leads it and who holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// Kafka's error for it, 0 if none.
    pub error: i16,
    /// The leader; negative where there is none now.
    pub leader: i32,
    /// The leader's epoch, -1 where the cluster does not say.
    pub epoch: i32,
    /// Brokers that hold it.
    pub replicas: Vec<i32>,
    /// Those in sync.
    pub isr: Vec<i32>,
    /// Those that are down.
    pub offline: Vec<i32>,
}

/// Kafka's "was not asked for".
const NOT_TOLD: i32 = i32::MIN;
/// Kafka's code for a topic that is not there.
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;

impl Snapshot {
    /// The snapshot after `answer`, which tells of all topics (`whole`) or of some.
    #[must_use]
    pub fn after(&self, answer: &MetadataResponse, whole: bool) -> Self {
        let mut topics = if whole { HashMap::with_capacity(answer.topics.len()) } else { self.topics.clone() };
        for told in &answer.topics {
            let Some(name) = told.name.as_ref() else { continue };
            match self.fold_topic(told) {
                Some(topic) => drop(topics.insert(topic.name.clone(), topic)),
                None => drop(topics.remove(&name.0)),
            }
        }
        Self {
            cluster_id: answer.cluster_id.as_deref().map(Arc::from).or_else(|| self.cluster_id.clone()),
            controller: self.controller_after(answer),
            brokers: brokers_of(answer),
            topics,
            operations: Some(answer.cluster_authorized_operations).filter(|told| *told != NOT_TOLD).or(self.operations),
        }
    }

    /// The broker that clients are told is the controller. With KRaft each answer names another live one at random (AK
    /// `KRaftMetadataCache.getRandomAliveBrokerId`): the one that is known stays while it lives.
    fn controller_after(&self, answer: &MetadataResponse) -> Option<BrokerId> {
        let lives = |id: &BrokerId| answer.brokers.iter().any(|told| told.node_id.0 == id.0);
        self.controller.filter(lives).or(Some(BrokerId(answer.controller_id.0)).filter(|id| id.0 >= 0))
    }

    /// The topic after what was told of it: the same object where nothing changed, the last good one through a passing
    /// error, `None` when it is gone.
    fn fold_topic(&self, told: &MetadataResponseTopic) -> Option<Arc<Topic>> {
        let before = self.topics.get(&told.name.as_ref()?.0);
        match told.error_code {
            UNKNOWN_TOPIC_OR_PARTITION => None,
            0 => {
                let now = topic_of(told)?.no_older_than(before.map(|before| &**before));
                Some(before.filter(|before| ***before == now).cloned().unwrap_or_else(|| Arc::new(now)))
            }
            _ => before.cloned(),
        }
    }
}

/// A broker's word on who leads a partition now (KIP-951).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lead {
    /// The topic.
    pub topic: StrBytes,
    /// The partition.
    pub partition: i32,
    /// Who leads it.
    pub leader: BrokerId,
    /// Since which epoch.
    pub epoch: i32,
}

impl Snapshot {
    /// The snapshot after such words; `None` where none of them is news. Only a broker that is known can be gone to, and an
    /// epoch must be higher than what is known: a broker may be the last to hear.
    #[must_use]
    pub fn led(&self, leads: &[Lead]) -> Option<Self> {
        let mut after: Option<Self> = None;
        for Lead { topic, partition, leader, epoch } in
            leads.iter().filter(|lead| self.brokers.contains_key(&lead.leader))
        {
            let known = after.as_ref().unwrap_or(self).topics.get(topic);
            let at = usize::try_from(*partition).ok();
            let Some((known, at)) = known.zip(at) else { continue };
            let is_news = |partition: &Partition| partition.epoch < *epoch && partition.leader != leader.0;
            if !known.partitions.get(at).is_some_and(is_news) {
                continue;
            }
            let mut now = Topic::clone(known);
            if let Some(partition) = now.partitions.get_mut(at) {
                (partition.leader, partition.epoch, partition.error) = (leader.0, *epoch, 0);
            }
            let name = now.name.clone();
            after.get_or_insert_with(|| self.clone()).topics.insert(name, Arc::new(now));
        }
        after
    }
}

impl Topic {
    /// Epochs of a topic never fall: where a broker that heard of a new leader last has answered, what was known of
    /// the partition before stands, for clients ignore an epoch that falls (AK Metadata.updateLatestMetadata).
    fn no_older_than(mut self, before: Option<&Self>) -> Self {
        let same = |before: &&Self| !self.id.is_nil() && before.id == self.id;
        let Some(before) = before.filter(same) else { return self };
        for (now, before) in self.partitions.iter_mut().zip(&before.partitions) {
            if (0..before.epoch).contains(&now.epoch) {
                now.clone_from(before);
            }
        }
        self
    }
}

fn brokers_of(answer: &MetadataResponse) -> BTreeMap<BrokerId, Broker> {
    let broker = |told: &kafka_protocol::messages::metadata_response::MetadataResponseBroker| {
        let address = HostPort::new(&told.host, u16::try_from(told.port).ok()?);
        Some((BrokerId(told.node_id.0), Broker { address, rack: told.rack.as_deref().map(Arc::from) }))
    };
    answer.brokers.iter().filter_map(broker).collect()
}

fn topic_of(told: &MetadataResponseTopic) -> Option<Topic> {
    let name = copied(&told.name.as_ref()?.0);
    let mut partitions = vec![Partition { leader: -1, epoch: -1, ..Partition::default() }; told.partitions.len()];
    for partition in &told.partitions {
        *partitions.get_mut(usize::try_from(partition.partition_index).ok()?)? = partition_of(partition);
    }
    Some(Topic {
        name,
        id: told.topic_id,
        internal: told.is_internal,
        partitions,
        operations: told.topic_authorized_operations,
    })
}

fn partition_of(told: &MetadataResponsePartition) -> Partition {
    let ids = |of: &[kafka_protocol::messages::BrokerId]| of.iter().map(|id| id.0).collect();
    Partition {
        error: told.error_code,
        leader: told.leader_id.0,
        epoch: told.leader_epoch,
        replicas: ids(&told.replica_nodes),
        isr: ids(&told.isr_nodes),
        offline: ids(&told.offline_replicas),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::TopicName;

    fn told(name: &'static str, error: i16, leaders: &[i32]) -> MetadataResponseTopic {
        let partitions = leaders.iter().zip(0..).map(|(leader, index)| {
            MetadataResponsePartition::default().with_partition_index(index).with_leader_id((*leader).into())
        });
        MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_static_str(name))))
            .with_error_code(error)
            .with_partitions(partitions.collect())
    }

    fn answer(topics: Vec<MetadataResponseTopic>) -> MetadataResponse {
        MetadataResponse::default().with_topics(topics)
    }

    #[test]
    fn a_whole_answer_replaces_and_a_partial_one_amends() {
        let one = Snapshot::default().after(&answer(vec![told("a", 0, &[1]), told("b", 0, &[1])]), true);
        let two = one.after(&answer(vec![told("b", 0, &[2])]), false);
        assert_eq!(two.topics.len(), 2);
        assert!(Arc::ptr_eq(&one.topics["a".as_bytes()], &two.topics["a".as_bytes()]), "untouched");
        assert_eq!(two.topics["b".as_bytes()].partitions[0].leader, 2);
        assert_eq!(two.after(&answer(vec![told("b", 0, &[2])]), true).topics.len(), 1);
    }

    #[test]
    fn a_brokers_word_on_a_leader_counts_where_it_is_news_and_that_leader_is_known() {
        use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
        let broker = |id: i32| MetadataResponseBroker::default().with_node_id(id.into());
        let mut a = told("a", 0, &[1, 1]);
        a.partitions.iter_mut().for_each(|partition| partition.leader_epoch = 5);
        let known = answer(vec![a, told("b", 0, &[1])]).with_brokers([1, 2].map(broker).into());
        let known = Snapshot::default().after(&known, true);
        let lead = |topic: &'static str, partition, leader, epoch| Lead {
            topic: StrBytes::from_static_str(topic),
            partition,
            leader: BrokerId(leader),
            epoch,
        };
        let after =
            known.led(&[lead("a", 1, 2, 6), lead("a", 0, 2, 5), lead("a", 7, 2, 6), lead("c", 0, 2, 6)]).unwrap();
        let led = |at: usize| {
            (after.topics["a".as_bytes()].partitions[at].leader, after.topics["a".as_bytes()].partitions[at].epoch)
        };
        assert_eq!((led(0), led(1)), ((1, 5), (2, 6)));
        assert!(Arc::ptr_eq(&known.topics["b".as_bytes()], &after.topics["b".as_bytes()]), "untouched");
        for nothing in [lead("a", 0, 3, 9), lead("a", 0, 2, 4), lead("a", -1, 2, 9), lead("a", 0, -1, 9)] {
            assert_eq!(known.led(std::slice::from_ref(&nothing)), None, "{nothing:?}");
        }
        // And a broker that lags behind does not undo it
        let mut old = told("a", 0, &[1, 1]).with_topic_id(Uuid::nil());
        old.partitions.iter_mut().for_each(|partition| partition.leader_epoch = 5);
        let one = after.after(&answer(vec![old]), false);
        assert_eq!(
            one.topics["a".as_bytes()].partitions[1].leader,
            1,
            "a topic without an id is believed as it is told"
        );
    }

    #[test]
    fn the_controller_stays_while_it_lives() {
        use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
        let told = |controller: i32, alive: &[i32]| {
            let broker = |id: &i32| MetadataResponseBroker::default().with_node_id((*id).into());
            let brokers = alive.iter().map(broker).collect();
            MetadataResponse::default().with_controller_id(controller.into()).with_brokers(brokers)
        };
        let one = Snapshot::default().after(&told(1, &[1, 2]), true);
        assert_eq!(one.after(&told(2, &[1, 2]), true).controller, Some(BrokerId(1)));
        assert_eq!(one.after(&told(2, &[2]), true).controller, Some(BrokerId(2)));
    }

    #[test]
    fn a_passing_error_keeps_the_last_good_answer_and_an_unknown_topic_goes() {
        let one = Snapshot::default().after(&answer(vec![told("a", 0, &[1])]), true);
        assert_eq!(one.after(&answer(vec![told("a", 5, &[])]), true).topics.len(), 1);
        assert_eq!(one.after(&answer(vec![told("a", 3, &[])]), false).topics.len(), 0);
    }

    #[test]
    fn an_epoch_never_falls_while_the_topic_is_the_same() {
        let at = |leader: i32, epoch, id| {
            let mut told = told("a", 0, &[leader]).with_topic_id(Uuid::from_u128(id));
            told.partitions[0].leader_epoch = epoch;
            answer(vec![told])
        };
        let leader = |snapshot: &Snapshot| snapshot.topics["a".as_bytes()].partitions[0].leader;
        let new = Snapshot::default().after(&at(2, 5, 1), true);
        assert_eq!(leader(&new.after(&at(1, 4, 1), true)), 2, "a broker that lags behind");
        assert_eq!(leader(&new.after(&at(3, 6, 1), false)), 3);
        assert_eq!(leader(&new.after(&at(-1, 5, 1), false)), -1, "nobody leads it now");
        assert_eq!(leader(&new.after(&at(1, 0, 2), true)), 1, "made anew");
    }
}
