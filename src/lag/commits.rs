//! Offsets that groups commit, in transactions too, and that go with them.

use super::Ledger;
use super::clock::Moment;
use super::look::is_ours;
use super::readers::GroupAt;
use crate::telemetry::observed::{Fact, OffsetOf, ProducerOf};
use crate::types::Partition;
use kafka_protocol::protocol::StrBytes;
use std::collections::HashSet;

impl Ledger {
    pub(super) fn committed(&mut self, group: StrBytes, of: Box<[OffsetOf]>, anew: bool, at: Moment) -> Option<Fact> {
        let place = self.heard(&group, at)?;
        if let Some(group) = self.groups.get_mut(place).filter(|_| anew) {
            group.members.committed(at);
        }
        let mut waiting = Vec::new();
        for (partition, offset) in of {
            if !self.topics.knows(partition) {
                waiting.push((partition, offset));
            } else if offset < 0 {
                self.uncommitted(place, partition);
            } else {
                self.committed_one(place, partition, offset, anew, at);
            }
        }
        // What we asked for is told again by the next sweep.
        (anew && !waiting.is_empty()).then(|| Fact::Committed { group, of: waiting.into(), anew })
    }

    pub(super) fn uncommitted(&mut self, group: GroupAt, of: Partition) {
        let Some((topic, partition)) = self.topics.partition(of) else { return };
        let before = partition.pairs.len();
        partition.uncommitted(group);
        self.pairs -= before - partition.pairs.len();
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.settle_committer(group);
        }
    }

    pub(super) fn committed_one(&mut self, group: GroupAt, of: Partition, offset: i64, anew: bool, at: Moment) {
        let room = self.has_room();
        let Some((topic, partition)) = self.topics.partition(of) else { return };
        let new = partition.pair(group).is_none();
        if new && !room {
            self.no_room = self.no_room.saturating_add(1);
            return;
        }
        let interval = if anew { partition.interval(group, offset, at) } else { None };
        let step = partition.committed(group, offset, anew, at);
        self.pairs += usize::from(new);
        let Some(topic_of) = self.topics.get_mut(topic) else { return };
        topic_of.committers.insert(group);
        let Some(known) = self.groups.get_mut(group) else { return };
        let is_new = known.commits_to.insert(topic);
        if anew {
            known.left_behind.remove(&topic);
        } else if is_new && known.is_known_not_to_read(topic) {
            // What its members read was known before what it has committed.
            known.left_behind.insert(topic);
        }
        if let Some(ms) = interval.filter(|_| is_ours(self.owner, topic_of, of.index)) {
            known.intervals.add(&topic_of.place.pipeline, ms);
        }
        if let Some(step) = step.filter(|_| anew) {
            self.level(group, topic, of.index, step, at);
        }
        // Only now: what was committed is counted by when it came.
        if let Some((_, partition)) = self.topics.partition(of) {
            partition.forget();
        }
    }

    pub(super) fn ended(&mut self, producer: ProducerOf, committed: bool, at: Moment) -> Option<Fact> {
        let transaction = self.transactions.ended(producer)?;
        for to in transaction.wrote {
            if let Some((_, partition)) = self.topics.partition(to) {
                partition.ends.ended(producer, committed);
            }
        }
        for (group, of) in transaction.commits.into_iter().filter(|_| committed) {
            self.committed(group, of.into_iter().collect(), true, at);
        }
        None
    }

    pub(super) fn offsets_gone(&mut self, group: &StrBytes, of: &[Partition], at: Moment) {
        self.deleted.add(group, at);
        let Some(place) = self.groups.find(group) else { return };
        for at in of {
            let Some((topic, partition)) = self.topics.partition(*at) else { continue };
            partition.drop_group(place);
            if let Some(topic) = self.topics.get_mut(topic) {
                topic.settle_committer(place);
            }
        }
    }

    pub(super) fn group_gone(&mut self, group: &StrBytes, at: Moment) {
        self.deleted.add(group, at);
        if let Some(place) = self.groups.find(group) {
            self.drop_groups(&HashSet::from([place]));
        }
    }
}
