//! Records that are written, and that readers are handed: what such facts change at each partition.

use super::Ledger;
use super::clock::Moment;
use super::look::is_ours;
use super::readers::GroupAt;
use super::topics::{TOGETHER, TopicAt};
use crate::telemetry::observed::{Handed, ProducerOf, Reader, Written};
use crate::types::Partition;
use std::time::Duration;

impl Ledger {
    /// Does something at the partition of each of these. Those whose topic or partition is not known come back.
    pub(super) fn each_at<T: Copy>(
        &mut self,
        all: &[T],
        at: impl Fn(&T) -> Partition,
        mut act: impl FnMut(&mut Self, TopicAt, &T) -> bool,
    ) -> Option<Box<[T]>> {
        let mut unknown = Vec::new();
        for some in all.chunks(TOGETHER) {
            let places = self.topics.places(some.iter().map(&at));
            for (one, place) in some.iter().zip(places) {
                if !place.is_some_and(|place| act(self, place, one)) {
                    unknown.push(*one);
                }
            }
        }
        (!unknown.is_empty()).then(|| unknown.into())
    }

    /// A batch was written. False where there is no such partition.
    pub(super) fn wrote(
        &mut self,
        topic: TopicAt,
        batch: &Written,
        (transaction, took): (Option<ProducerOf>, Option<Duration>),
        at: Moment,
    ) -> bool {
        let Written { at: to, base, next, bytes } = *batch;
        let Some(partition) = self.topics.partition_at(topic, to.index) else { return false };
        if partition.acknowledged((base, next), bytes, transaction, at)
            && let Some(producer) = transaction
        {
            self.transactions.wrote(producer, to, at);
        }
        if let Some(topic) = self.topics.get_mut(topic).filter(|topic| is_ours(self.owner, topic, to.index)) {
            topic.produced(to.index, (base, next), took, at);
        }
        true
    }

    /// Somebody, or we, were told of a partition. False where there is none.
    pub(super) fn told(
        &mut self,
        topic: TopicAt,
        told: &Handed,
        (by, only): (Option<Reader>, bool),
        at: Moment,
    ) -> bool {
        let Handed { at: Partition { index, .. }, stretch, ends } = *told;
        let Some(partition) = self.topics.partition_at(topic, index) else { return false };
        partition.told(ends, stretch, by.is_none(), only, at);
        if let Some(by) = by.filter(|_| stretch.from >= 0) {
            let ours = self.topics.get_mut(topic).filter(|topic| is_ours(self.owner, topic, index));
            if let (Some(topic), Some((first, _))) = (ours, stretch.given) {
                topic.delivered(index, first, at);
            }
            self.handed((topic, index), by, stretch.next.max(stretch.from), only, at);
        }
        true
    }

    /// A reader was handed records of a partition, up to an offset.
    fn handed(&mut self, (topic, index): (TopicAt, i32), by: Reader, upto: i64, only: bool, at: Moment) {
        let (group, room) = (self.group_of(by, topic, index, at), self.has_room());
        let Some(partition) = self.topics.partition_at(topic, index) else { return };
        let Some(group) = group else { return partition.fetched_untied(by, upto, only, at) };
        let new = partition.pair(group).is_none();
        if new && !room {
            self.no_room = self.no_room.saturating_add(1);
            return;
        }
        partition.tie(by);
        partition.fetched(group, upto, only, at);
        self.pairs += usize::from(new);
    }

    fn group_of(&self, by: Reader, topic_at: TopicAt, index: i32, at: Moment) -> Option<GroupAt> {
        let topic = self.topics.get(topic_at)?;
        let partition = topic.partitions.get(usize::try_from(index).ok()?)?;
        let of_topic = |group| topic.committers.contains(&group);
        let may_read = |group| self.groups.get(group).is_none_or(|group| !group.is_known_not_to_read(topic_at));
        self.readers.group_of(by, at, may_read, of_topic, |group| partition.has_committed(group))
    }
}
