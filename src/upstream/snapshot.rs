//! One cluster's metadata as last heard: its brokers and topics. Pure; an answer is folded into the snapshot before.

use crate::types::{BrokerId, HostPort};
use crate::wire::codec::copied;
use kafka_protocol::messages::MetadataResponse;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
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
    /// The leader's epoch, -1 where the cluster does not say. Where the leader is by a word alone, the last one's.
    pub epoch: i32,
    /// The leader is by a broker's word alone.
    pub by_word: Option<Word>,
    /// Brokers that hold it.
    pub replicas: Vec<i32>,
    /// Those in sync.
    pub isr: Vec<i32>,
    /// Those that are down.
    pub offline: Vec<i32>,
}

/// What a broker said of the leader of a partition whose topic it only called by name: it may mean another topic of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// The epoch that it told.
    pub epoch: i32,
    /// When we heard it.
    pub heard: Instant,
}

/// So long such a word stands against metadata that tells of less: the slowest of a cluster's brokers has heard of a new leader by
/// then. One who meant a topic that is gone has heard of that, too.
const WORD_STANDS: Duration = Duration::from_secs(5);

/// Kafka's "was not asked for".
const NOT_TOLD: i32 = i32::MIN;
/// Kafka's code for a topic that is not there.
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;

impl Snapshot {
    /// The snapshot after `answer`, which tells of all topics (`whole`) or of some.
    #[must_use]
    pub fn after(&self, answer: &MetadataResponse, whole: bool, now: Instant) -> Self {
        let mut topics = if whole { HashMap::with_capacity(answer.topics.len()) } else { self.topics.clone() };
        for told in &answer.topics {
            let Some(name) = told.name.as_ref() else { continue };
            match self.fold_topic(told, now) {
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
    fn fold_topic(&self, told: &MetadataResponseTopic, read: Instant) -> Option<Arc<Topic>> {
        let before = self.topics.get(&told.name.as_ref()?.0);
        match told.error_code {
            UNKNOWN_TOPIC_OR_PARTITION => None,
            0 => {
                let now = topic_of(told)?.no_older_than(before.map(|before| &**before), read);
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
    /// Its id; nil where the broker called it by name.
    pub id: Uuid,
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
    pub fn led(&self, leads: &[Lead], now: Instant) -> Option<Self> {
        let mut after: Option<Self> = None;
        for lead in leads.iter().filter(|lead| self.brokers.contains_key(&lead.leader)) {
            let known = after.as_ref().unwrap_or(self).topics.get(&lead.topic);
            if let Some(topic) = known.and_then(|known| known.led(lead, now)) {
                after.get_or_insert_with(|| self.clone()).topics.insert(topic.name.clone(), Arc::new(topic));
            }
        }
        after
    }
}

impl Topic {
    /// The topic after a word that is news of it. Epochs are of one topic id: those of another topic of the same name say
    /// nothing.
    fn led(&self, lead: &Lead, now: Instant) -> Option<Self> {
        let by_name = lead.id.is_nil();
        if !by_name && lead.id != self.id {
            return None;
        }
        let at = usize::try_from(lead.partition).ok()?;
        let known = self.partitions.get(at)?;
        let word = known.by_word.filter(|_| by_name).map_or(-1, |word| word.epoch);
        if lead.epoch <= known.epoch.max(word) || known.leader == lead.leader.0 {
            return None;
        }
        let mut after = self.clone();
        after.partitions.get_mut(at)?.follow(lead, now);
        Some(after)
    }

    /// Epochs of a topic never fall: where a broker that heard of a new leader last has answered, what was known of
    /// the partition before stands, for clients ignore an epoch that falls (AK Metadata.updateLatestMetadata).
    fn no_older_than(mut self, before: Option<&Self>, read: Instant) -> Self {
        let same = |before: &&Self| !self.id.is_nil() && before.id == self.id;
        let Some(before) = before.filter(same) else { return self };
        for (now, before) in self.partitions.iter_mut().zip(&before.partitions) {
            if (0..before.epoch).contains(&now.epoch) || before.outweighs(now, read) {
                now.clone_from(before);
            }
        }
        self
    }
}

impl Partition {
    /// A word by id is as good as metadata. One by name says where to go, and no more: were its epoch shown and of a topic
    /// that is gone, clients would ignore every lower one for ever.
    fn follow(&mut self, lead: &Lead, now: Instant) {
        (self.leader, self.error) = (lead.leader.0, 0);
        if lead.id.is_nil() {
            self.by_word = Some(Word { epoch: lead.epoch, heard: now });
        } else {
            (self.epoch, self.by_word) = (lead.epoch, None);
        }
    }

    /// Whether a broker's word, for a while, stands against metadata that tells of less.
    fn outweighs(&self, told: &Self, read: Instant) -> bool {
        let stands = |word: Word| read.saturating_duration_since(word.heard) < WORD_STANDS;
        self.by_word.is_some_and(|word| (0..word.epoch).contains(&told.epoch) && stands(word))
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
        by_word: None,
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

    fn after(before: &Snapshot, told: &MetadataResponse, whole: bool) -> Snapshot {
        before.after(told, whole, Instant::now())
    }

    fn answer(topics: Vec<MetadataResponseTopic>) -> MetadataResponse {
        MetadataResponse::default().with_topics(topics)
    }

    #[test]
    fn a_whole_answer_replaces_and_a_partial_one_amends() {
        let one = after(&Snapshot::default(), &answer(vec![told("a", 0, &[1]), told("b", 0, &[1])]), true);
        let two = after(&one, &answer(vec![told("b", 0, &[2])]), false);
        assert_eq!(two.topics.len(), 2);
        assert!(Arc::ptr_eq(&one.topics["a".as_bytes()], &two.topics["a".as_bytes()]), "untouched");
        assert_eq!(two.topics["b".as_bytes()].partitions[0].leader, 2);
        assert_eq!(after(&two, &answer(vec![told("b", 0, &[2])]), true).topics.len(), 1);
    }

    /// Topic `a` of this id, with two partitions that broker 1 leads at this epoch, and topic `b`; brokers 1 and 2 are there.
    fn led_by_1(id: u128, epoch: i32) -> MetadataResponse {
        use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
        let broker = |id: i32| MetadataResponseBroker::default().with_node_id(id.into());
        let mut a = told("a", 0, &[1, 1]).with_topic_id(Uuid::from_u128(id));
        a.partitions.iter_mut().for_each(|partition| partition.leader_epoch = epoch);
        answer(vec![a, told("b", 0, &[1])]).with_brokers([1, 2].map(broker).into())
    }

    /// By its name where the id is 0.
    fn lead(topic: &'static str, id: u128, partition: i32, leader: i32, epoch: i32) -> Lead {
        let (topic, id) = (StrBytes::from_static_str(topic), Uuid::from_u128(id));
        Lead { topic, id, partition, leader: BrokerId(leader), epoch }
    }

    fn led(snapshot: &Snapshot, at: usize) -> (i32, i32) {
        let partition = &snapshot.topics["a".as_bytes()].partitions[at];
        (partition.leader, partition.epoch)
    }

    #[test]
    fn a_brokers_word_on_a_leader_counts_where_it_is_news_and_that_leader_is_known() {
        let now = Instant::now();
        let known = Snapshot::default().after(&led_by_1(7, 5), true, now);
        let words = [lead("a", 7, 1, 2, 6), lead("a", 7, 0, 2, 5), lead("a", 7, 9, 2, 6), lead("c", 7, 0, 2, 6)];
        let heard = known.led(&words, now).unwrap();
        assert_eq!((led(&heard, 0), led(&heard, 1)), ((1, 5), (2, 6)));
        assert!(Arc::ptr_eq(&known.topics["b".as_bytes()], &heard.topics["b".as_bytes()]), "untouched");
        for id in [0, 7] {
            for (at, leader, epoch) in [(0, 3, 9), (0, 2, 4), (0, 2, 5), (-1, 2, 9), (0, -1, 9)] {
                assert_eq!(known.led(&[lead("a", id, at, leader, epoch)], now), None, "{id} {at} {leader} {epoch}");
            }
        }
        // And a broker that lags behind does not undo it, whenever it tells
        let late = heard.after(&led_by_1(7, 5), true, now + 10 * WORD_STANDS);
        assert_eq!(led(&late, 1), (2, 6));
        // A topic without an id is believed as it is told
        assert_eq!(led(&heard.after(&led_by_1(0, 5), false, now), 1), (1, 5));
    }

    #[test]
    fn a_word_by_name_says_where_to_go_and_no_more_until_metadata_says_as_much() {
        let now = Instant::now();
        let known = Snapshot::default().after(&led_by_1(7, 5), true, now);
        let heard = known.led(&[lead("a", 0, 1, 2, 7)], now).unwrap();
        assert_eq!(led(&heard, 1), (2, 5), "its epoch is shown to nobody");
        assert_eq!(heard.led(&[lead("a", 0, 1, 1, 6)], now), None, "an older word");
        // A broker that lags behind does not undo it
        for epoch in [5, 6] {
            assert_eq!(led(&heard.after(&led_by_1(7, epoch), true, now), 1), (2, 5));
        }
        assert_eq!(led(&heard.after(&led_by_1(7, 8), true, now), 1), (1, 8), "metadata that knows more");
    }

    #[test]
    fn a_word_about_a_topic_that_is_gone_lapses() {
        // Given a topic that was made anew, and a broker that has heard of the old one alone, which lived longer
        let now = Instant::now();
        let known = Snapshot::default().after(&led_by_1(7, 0), true, now);
        // When it says the id, then it is not heard
        assert_eq!(known.led(&[lead("a", 6, 0, 2, 9)], now), None);
        // When it says the name alone, then its word stands for a while, and metadata mends it
        let heard = known.led(&[lead("a", 0, 0, 2, 9)], now).unwrap();
        assert_eq!(led(&heard.after(&led_by_1(7, 0), true, now), 0), (2, 0));
        assert_eq!(led(&heard.after(&led_by_1(7, 0), false, now + WORD_STANDS), 0), (1, 0));
        // When the topic's broker says its id, that counts at once
        let mended = heard.led(&[lead("a", 7, 0, 1, 1)], now).unwrap();
        assert_eq!(led(&mended, 0), (1, 1));
    }

    #[test]
    fn the_controller_stays_while_it_lives() {
        use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
        let told = |controller: i32, alive: &[i32]| {
            let broker = |id: &i32| MetadataResponseBroker::default().with_node_id((*id).into());
            let brokers = alive.iter().map(broker).collect();
            MetadataResponse::default().with_controller_id(controller.into()).with_brokers(brokers)
        };
        let one = after(&Snapshot::default(), &told(1, &[1, 2]), true);
        assert_eq!(after(&one, &told(2, &[1, 2]), true).controller, Some(BrokerId(1)));
        assert_eq!(after(&one, &told(2, &[2]), true).controller, Some(BrokerId(2)));
    }

    #[test]
    fn a_passing_error_keeps_the_last_good_answer_and_an_unknown_topic_goes() {
        let one = after(&Snapshot::default(), &answer(vec![told("a", 0, &[1])]), true);
        assert_eq!(after(&one, &answer(vec![told("a", 5, &[])]), true).topics.len(), 1);
        assert_eq!(after(&one, &answer(vec![told("a", 3, &[])]), false).topics.len(), 0);
    }

    #[test]
    fn an_epoch_never_falls_while_the_topic_is_the_same() {
        let at = |leader: i32, epoch, id| {
            let mut told = told("a", 0, &[leader]).with_topic_id(Uuid::from_u128(id));
            told.partitions[0].leader_epoch = epoch;
            answer(vec![told])
        };
        let leader = |snapshot: &Snapshot| snapshot.topics["a".as_bytes()].partitions[0].leader;
        let new = after(&Snapshot::default(), &at(2, 5, 1), true);
        assert_eq!(leader(&after(&new, &at(1, 4, 1), true)), 2, "a broker that lags behind");
        assert_eq!(leader(&after(&new, &at(3, 6, 1), false)), 3);
        assert_eq!(leader(&after(&new, &at(-1, 5, 1), false)), -1, "nobody leads it now");
        assert_eq!(leader(&after(&new, &at(1, 0, 2), true)), 1, "made anew");
    }
}
