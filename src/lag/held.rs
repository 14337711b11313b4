//! What coordinators have, as they say when they are asked for all of it, offsets, groups and members: what they no longer have goes,
//! and what they said before a group spoke for itself, or was deleted, changes nothing.

use super::Ledger;
use super::clock::Moment;
use super::partition::SETTLED;
use super::readers::GroupAt;
use crate::telemetry::observed::{MemberReads, OffsetOf};
use crate::types::{FastMap, Partition, Slot};
use kafka_protocol::protocol::StrBytes;
use std::collections::HashSet;

/// Deletions that are remembered, and for how long, in ms: an answer that took longer says nothing.
const MOST: usize = 10_000;
const REMEMBERED: i64 = 120_000;

/// When groups, or offsets of them, were last deleted.
#[derive(Clone, Debug, Default)]
pub(super) struct Deleted {
    of: FastMap<StrBytes, Moment>,
    /// When the last one was that there was no room for.
    others: Option<Moment>,
}

impl Deleted {
    /// Something of a group was.
    pub(super) fn add(&mut self, group: &StrBytes, at: Moment) {
        if self.of.len() < MOST || self.of.contains_key(group) {
            self.of.insert(group.clone(), at);
        } else {
            self.others = Some(at);
        }
    }

    /// Whether something of a group was after this moment, or may have been.
    #[must_use]
    fn since(&self, group: &StrBytes, asked: Moment) -> bool {
        self.of.get(group).copied().max(self.others).is_some_and(|deleted| deleted >= asked)
    }

    /// Forgets what is long past.
    pub(super) fn expire(&mut self, now: Moment) {
        self.of.retain(|_, deleted| deleted.until(now) <= REMEMBERED);
    }
}

impl Ledger {
    /// A group's coordinator had exactly these offsets when it was asked, or later.
    pub(super) fn holds(&mut self, group: &StrBytes, of: &[OffsetOf], asked: Moment, at: Moment) {
        if self.is_outdated(group, asked, at) {
            return;
        }
        let known = if of.is_empty() { self.groups.find(group) } else { self.heard(group, at) };
        let Some(place) = known else { return };
        // Offsets of topics that are not known do not wait: the next sweep tells them again.
        for (partition, offset) in of.iter().filter(|(_, offset)| *offset >= 0) {
            if !self.has_said_since(place, *partition, asked) {
                self.committed_one(place, *partition, *offset, false, at);
            }
        }
        for partition in self.not_held(place, of, asked) {
            self.uncommitted(place, partition);
        }
    }

    /// Whether an answer says nothing of a group any more.
    fn is_outdated(&self, group: &StrBytes, asked: Moment, at: Moment) -> bool {
        asked.until(at) > REMEMBERED || self.deleted.since(group, asked)
    }

    /// A group's coordinator had exactly these members when it was asked, or later.
    pub(super) fn described(&mut self, group: &StrBytes, members: Box<[MemberReads]>, asked: Moment, at: Moment) {
        if self.is_outdated(group, asked, at) {
            return;
        }
        let Some(place) = self.heard(group, at) else { return };
        let Some(group) = self.groups.get_mut(place) else { return };
        if group.members.described(members, asked) {
            self.groups.soil(place);
        }
    }

    /// How many offsets a group's coordinator may hold, as far as is known: no more than the topics have partitions of which it has
    /// committed any. `None` where it is not known to have committed anything.
    #[must_use]
    pub(super) fn may_hold(&self, group: &StrBytes) -> Option<usize> {
        let group = self.groups.get(self.groups.find(group)?)?;
        let topics = group.commits_to.iter().filter_map(|topic| self.topics.get(*topic));
        Some(topics.map(|topic| topic.partitions.len()).sum()).filter(|partitions| *partitions > 0)
    }

    fn has_said_since(&mut self, group: GroupAt, of: Partition, asked: Moment) -> bool {
        let partition = self.topics.partition(of).map(|(_, partition)| partition);
        partition.and_then(|partition| partition.pair(group)).is_some_and(|pair| pair.has_said_since(asked))
    }

    /// Where a group has committed as far as we know, and its coordinator knows better.
    fn not_held(&self, place: GroupAt, of: &[OffsetOf], asked: Moment) -> Vec<Partition> {
        let held = of.iter().filter(|(_, offset)| *offset >= 0);
        let held = held.filter_map(|(at, _)| Some((self.topics.find(at.topic)?, at.index)));
        let held: HashSet<_> = held.collect();
        let Some(group) = self.groups.get(place) else { return Vec::new() };
        let topics = group.commits_to.iter().filter_map(|topic| Some((*topic, self.topics.get(*topic)?)));
        let partitions = topics.flat_map(|(at, topic)| {
            (0i32..).zip(&topic.partitions).map(move |(index, partition)| (at, topic, index, partition))
        });
        let lost = partitions.filter(|(at, _, index, partition)| {
            let pair = partition.pair(place).filter(|pair| pair.committed.is_some());
            pair.is_some_and(|pair| !pair.has_said_since(asked)) && !held.contains(&(*at, *index))
        });
        lost.map(|(_, topic, index, _)| topic.at(index)).collect()
    }

    /// All that a cluster had of groups when it was asked, or later: others that live there are no more.
    pub(super) fn listed(&mut self, cluster: Slot, groups: &[StrBytes], asked: Moment) {
        let listed: HashSet<_> = groups.iter().collect();
        let all = self.groups.iter().filter(|(_, group)| group.heard < asked && !listed.contains(&group.name));
        let gone = all.filter(|(_, group)| (self.aims.home_of)(&group.name) == Some(cluster));
        let gone: HashSet<_> = gone.map(|(place, _)| place).collect();
        if !gone.is_empty() {
            self.drop_groups(&gone);
        }
    }
}

impl super::partition::Pair {
    /// Whether the group said how far it is after a coordinator was asked. What a transaction commits reaches the coordinator a
    /// moment after its end.
    #[must_use]
    fn has_said_since(&self, asked: Moment) -> bool {
        self.said.is_some_and(|said| said.plus(SETTLED) >= asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_to_remember_counts_for_all() {
        let mut deleted = Deleted::default();
        let name = |number: usize| StrBytes::from_string(number.to_string());
        (0..=MOST).for_each(|number| deleted.add(&name(number), Moment(5)));
        assert_eq!(deleted.of.len(), MOST);
        assert!(deleted.since(&name(MOST + 7), Moment(5)) && !deleted.since(&name(MOST + 7), Moment(6)));
        deleted.expire(Moment(6 + REMEMBERED));
        assert!(deleted.of.is_empty());
    }
}
