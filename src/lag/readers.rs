//! Which groups a reader belongs to: its client beats for them from the same address under the same client id.

use super::clock::Moment;
use crate::telemetry::observed::Reader;
use crate::types::FastMap;
use std::collections::HashSet;

/// Readers that are kept.
const MOST: usize = 100_000;
/// Groups that are kept of one.
const GROUPS: usize = 64;

/// A group's place among all.
pub(super) type GroupAt = u32;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Readers(FastMap<Reader, Vec<(GroupAt, Moment)>>);

impl Readers {
    /// It speaks for a group, and counts as its reader until then.
    pub(super) fn beat(&mut self, reader: Reader, group: GroupAt, until: Moment) {
        if self.0.len() >= MOST && !self.0.contains_key(&reader) {
            return;
        }
        let groups = self.0.entry(reader).or_default();
        if let Some(known) = groups.iter_mut().find(|known| known.0 == group) {
            known.1 = known.1.max(until);
        } else if groups.len() < GROUPS {
            groups.push((group, until));
        }
    }

    /// The groups that it speaks for.
    pub(super) fn groups(&self, reader: Reader, now: Moment) -> impl Iterator<Item = GroupAt> + Clone {
        let known = self.0.get(&reader).map_or(&[][..], Vec::as_slice);
        known.iter().filter(move |known| known.1 >= now).map(|known| known.0)
    }

    /// The one group that it reads a partition for. Of several it is the one that commits offsets of the topic, then of the
    /// partition; where that leaves several, nobody can tell. Those whose members do not read the topic it is none of.
    #[must_use]
    pub(super) fn group_of(
        &self,
        reader: Reader,
        now: Moment,
        may_read: impl Fn(GroupAt) -> bool + Clone,
        of_topic: impl Fn(GroupAt) -> bool,
        of_partition: impl Fn(GroupAt) -> bool,
    ) -> Option<GroupAt> {
        let all = self.groups(reader, now).filter(move |group| may_read(*group));
        if let Some(one) = only(all.clone()) {
            return Some(one);
        }
        let committing = all.filter(|group| of_topic(*group));
        only(committing.clone()).or_else(|| only(committing.filter(|group| of_partition(*group))))
    }

    /// Groups are no more.
    pub(super) fn drop_groups(&mut self, gone: &HashSet<GroupAt>) {
        self.0.values_mut().for_each(|groups| groups.retain(|known| !gone.contains(&known.0)));
    }

    /// Forgets who speaks no more.
    pub(super) fn expire(&mut self, now: Moment) {
        self.0.retain(|_, groups| {
            groups.retain(|known| known.1 >= now);
            !groups.is_empty()
        });
    }
}

fn only<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next();
    if all.next().is_some() { None } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: Reader = Reader(1);

    fn found(groups: &[u32], topic: &[u32], partition: &[u32]) -> Option<u32> {
        let mut readers = Readers::default();
        groups.iter().for_each(|group| readers.beat(WHO, *group, Moment(10)));
        readers.group_of(WHO, Moment(10), |_| true, |group| topic.contains(&group), |group| partition.contains(&group))
    }

    #[test]
    fn a_reader_is_of_the_one_group_that_it_can_be_of() {
        assert_eq!(found(&[], &[], &[]), None);
        assert_eq!(found(&[1], &[], &[]), Some(1), "it need never commit");
        assert_eq!(found(&[1], &[2], &[2]), Some(1));
        assert_eq!(found(&[1, 2], &[], &[]), None);
        assert_eq!(found(&[1, 2], &[2], &[]), Some(2));
        assert_eq!(found(&[1, 2, 3], &[2, 3], &[3]), Some(3));
        assert_eq!(found(&[1, 2, 3], &[2, 3], &[2, 3]), None);
    }

    #[test]
    fn a_reader_reads_nothing_for_a_group_that_does_not_read_the_topic() {
        let mut readers = Readers::default();
        [1, 2].iter().for_each(|group| readers.beat(WHO, *group, Moment(10)));
        let found =
            |reads: &[u32]| readers.group_of(WHO, Moment(10), |group| reads.contains(&group), |_| false, |_| false);
        assert_eq!([found(&[]), found(&[2]), found(&[1, 2])], [None, Some(2), None]);
    }

    #[test]
    fn who_speaks_no_more_is_nobodys_reader() {
        let mut readers = Readers::default();
        readers.beat(WHO, 1, Moment(10));
        assert_eq!(readers.group_of(WHO, Moment(11), |_| true, |_| true, |_| true), None);
        readers.expire(Moment(11));
        assert!(readers.0.is_empty());
    }
}
