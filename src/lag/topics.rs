//! The topics of the placement and what is known of their partitions. One that is no more, or is made again, is forgotten at once.

use super::clock::Moment;
use super::latencies::Latencies;
use super::partition::Partition;
use super::place::Place;
use super::readers::GroupAt;
use crate::types::{FastMap, Partition as At, TopicKey, topic_key};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeSet, HashSet};
use std::hint::black_box;
use uuid::Uuid;

/// Partitions that are looked up together.
pub(super) const TOGETHER: usize = 16;

/// A topic's place among all.
pub(super) type TopicAt = u32;

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    /// What it is.
    pub(super) place: Place,
    /// Its key by its name.
    key: TopicKey,
    /// Its partitions, by number.
    pub(super) partitions: Vec<Partition>,
    /// Groups that have committed offsets of it.
    pub(super) committers: BTreeSet<GroupAt>,
    /// How long it takes until its records are written, and handed on.
    pub(super) latencies: Latencies,
}

impl Topic {
    fn new(place: &Place, at: Moment) -> Self {
        let partitions = (0..place.partitions).map(|_| Partition::new(at)).collect();
        Self {
            place: place.clone(),
            key: topic_key(&place.topic, Uuid::nil()),
            partitions,
            committers: BTreeSet::new(),
            latencies: Latencies::default(),
        }
    }

    /// Whether a place is still this topic.
    fn is(&self, place: &Place) -> bool {
        self.place.id == place.id && self.place.cluster == place.cluster
    }

    /// Goes along with what may change of a topic.
    fn follow(&mut self, place: &Place, at: Moment) {
        self.partitions.resize_with(place.partitions, || Partition::new(at));
        self.place = place.clone();
    }

    /// A partition of it.
    #[must_use]
    pub(super) fn at(&self, index: i32) -> At {
        At { topic: self.key, index }
    }

    /// Groups are nobody's business here any more.
    pub(super) fn drop_groups(&mut self, groups: &HashSet<GroupAt>) {
        self.committers.retain(|group| !groups.contains(group));
        self.partitions.iter_mut().for_each(|partition| partition.pairs.retain(|pair| !groups.contains(&pair.group)));
    }

    /// A group has no offset in one of its partitions any more, and maybe in none.
    pub(super) fn settle_committer(&mut self, group: GroupAt) {
        if !self.partitions.iter().any(|partition| partition.has_committed(group)) {
            self.committers.remove(&group);
        }
    }
}

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Topics {
    all: Vec<Option<Topic>>,
    keys: FastMap<TopicKey, TopicAt>,
}

impl Topics {
    /// These topics there are now, and no others. Those whose place others may now take.
    pub(super) fn place(&mut self, places: &[Place], at: Moment) -> Vec<TopicAt> {
        let mut named: FastMap<StrBytes, &Place> = places.iter().map(|place| (place.topic.clone(), place)).collect();
        let mut gone = Vec::new();
        for (number, slot) in (0..).zip(&mut self.all) {
            let Some(topic) = slot else { continue };
            match named.remove(&topic.place.topic) {
                Some(place) if topic.is(place) => topic.follow(place, at),
                Some(place) => {
                    *topic = Topic::new(place, at);
                    gone.push(number);
                }
                None => {
                    *slot = None;
                    gone.push(number);
                }
            }
        }
        let mut new = named.into_values().map(|place| Topic::new(place, at));
        for slot in self.all.iter_mut().filter(|slot| slot.is_none()) {
            *slot = new.next();
        }
        self.all.extend(new.map(Some));
        self.find_keys();
        gone
    }

    fn find_keys(&mut self) {
        self.keys.clear();
        for (number, topic) in (0..).zip(&self.all).filter_map(|(number, slot)| Some((number, slot.as_ref()?))) {
            self.keys.insert(topic.key, number);
            self.keys.insert(topic_key("", topic.place.id), number);
        }
    }

    /// The place of a topic.
    #[must_use]
    pub(super) fn find(&self, key: TopicKey) -> Option<TopicAt> {
        self.keys.get(&key).copied()
    }

    /// One of them.
    #[must_use]
    pub(super) fn get(&self, place: TopicAt) -> Option<&Topic> {
        self.all.get(usize::try_from(place).ok()?)?.as_ref()
    }

    /// One of them.
    pub(super) fn get_mut(&mut self, place: TopicAt) -> Option<&mut Topic> {
        self.all.get_mut(usize::try_from(place).ok()?)?.as_mut()
    }

    /// The places of the topics of a few partitions. Each of these is looked at, for what of thousands of them is in no cache any
    /// more is then fetched side by side, before somebody works with one behind the other.
    pub(super) fn places(&self, of: impl Iterator<Item = At>) -> [Option<TopicAt>; TOGETHER] {
        let (mut places, mut at) = ([None; TOGETHER], [0; TOGETHER]);
        for ((slot, index), one) in places.iter_mut().zip(&mut at).zip(of) {
            (*slot, *index) = (self.find(one.topic), one.index);
        }
        for (place, index) in places.iter().zip(at) {
            let topic = place.and_then(|place| self.get(place));
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            black_box(topic.and_then(|topic| topic.partitions.get(index)).and_then(Partition::glance));
            black_box(topic.is_some_and(|topic| topic.latencies.any()));
        }
        places
    }

    /// A topic and one of its partitions.
    pub(super) fn partition(&mut self, at: At) -> Option<(TopicAt, &mut Partition)> {
        let place = self.find(at.topic)?;
        Some((place, self.partition_at(place, at.index)?))
    }

    /// One of the partitions of a topic at this place.
    pub(super) fn partition_at(&mut self, place: TopicAt, index: i32) -> Option<&mut Partition> {
        self.get_mut(place)?.partitions.get_mut(usize::try_from(index).ok()?)
    }

    /// Whether there is such a partition.
    #[must_use]
    pub(super) fn knows(&self, at: At) -> bool {
        let topic = self.find(at.topic).and_then(|place| self.get(place));
        topic.is_some_and(|topic| usize::try_from(at.index).is_ok_and(|index| index < topic.partitions.len()))
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (TopicAt, &Topic)> {
        (0..).zip(&self.all).filter_map(|(place, topic)| Some((place, topic.as_ref()?)))
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (TopicAt, &mut Topic)> {
        (0..).zip(&mut self.all).filter_map(|(place, topic)| Some((place, topic.as_mut()?)))
    }
}
