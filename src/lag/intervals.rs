//! How long groups take from one commit to the next, by the pipelines of what they read.

use super::clock::Moment;
use super::partition::Partition;
use super::readers::GroupAt;
use crate::types::Name;

/// Times between commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Between {
    /// All together, in ms.
    pub(super) ms: u64,
    /// How many.
    pub(super) count: u64,
}

/// Those of a group. Few have more than one pipeline.
#[derive(Clone, Debug, Default)]
pub(super) struct Intervals(Vec<(Name, Between)>);

impl Intervals {
    /// It committed so long after the commit before.
    pub(super) fn add(&mut self, pipeline: &Name, ms: i64) {
        let place = self.0.iter().position(|(known, _)| known == pipeline).unwrap_or_else(|| {
            self.0.push((pipeline.clone(), Between::default()));
            self.0.len() - 1
        });
        if let Some((_, between)) = self.0.get_mut(place) {
            between.ms = between.ms.wrapping_add(u64::try_from(ms).unwrap_or(0));
            between.count = between.count.wrapping_add(1);
        }
    }

    /// By pipeline.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Name, Between)> {
        self.0.iter()
    }

    /// Pipelines of which this is not so are no more.
    pub(super) fn keep(&mut self, is_there: impl Fn(&Name) -> bool) {
        self.0.retain(|(pipeline, _)| is_there(pipeline));
    }
}

impl Partition {
    /// How long a group takes for its next commit, which is this one: since the last that it said itself, or, where all was committed
    /// then, since there was something to commit again. `None` where it does not go on, or has not said anything before.
    #[must_use]
    pub(super) fn interval(&self, group: GroupAt, offset: i64, at: Moment) -> Option<i64> {
        let pair = self.pair(group)?;
        let (said, before) = (pair.said?, pair.committed.filter(|before| *before < offset)?);
        let first = self.ends.first_given(before, pair.committed_only);
        // Where only the end was seen to move, it had moved by then.
        let waits_since = self.times.time_of(first).map(|arrival| arrival.noticed.unwrap_or(arrival.at));
        Some(waits_since.map_or(said, |since| since.max(said)).until(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: GroupAt = 0;

    fn between(partition: &mut Partition, offset: i64, at: i64) -> Option<i64> {
        let interval = partition.interval(G, offset, Moment(at));
        partition.committed(G, offset, true, Moment(at));
        interval
    }

    #[test]
    fn it_is_the_time_between_two_commits_that_go_on() {
        let mut partition = Partition::new(Moment(0));
        (0..10).for_each(|number| {
            partition.acknowledged((number * 10, number * 10 + 10), 1, None, Moment(number * 100));
        });
        assert_eq!(between(&mut partition, 10, 1000), None, "the first");
        assert_eq!(between(&mut partition, 20, 6000), Some(5000));
        assert_eq!(between(&mut partition, 20, 11_000), None, "it says the same again");
        assert_eq!(between(&mut partition, 30, 16_000), Some(5000));
        assert_eq!(between(&mut partition, 5, 17_000), None, "it goes back");
        assert_eq!(between(&mut partition, 30, 18_000), Some(1000));
    }

    #[test]
    fn while_there_is_nothing_to_commit_no_time_is_counted() {
        let mut partition = Partition::new(Moment(0));
        partition.acknowledged((0, 10), 1, None, Moment(0));
        between(&mut partition, 10, 1000);
        partition.acknowledged((10, 11), 1, None, Moment(3_600_000));
        assert_eq!(between(&mut partition, 11, 3_605_000), Some(5000));
    }

    #[test]
    fn what_was_asked_for_is_no_commit() {
        let mut partition = Partition::new(Moment(0));
        partition.acknowledged((0, 10), 1, None, Moment(0));
        partition.committed(G, 3, false, Moment(1000));
        assert_eq!(partition.interval(G, 5, Moment(2000)), None);
    }

    #[test]
    fn each_pipeline_has_its_own() {
        let mut intervals = Intervals::default();
        [("x", 3), ("y", 4), ("x", 5)].into_iter().for_each(|(name, ms)| intervals.add(&name.into(), ms));
        let all: Vec<_> = intervals.iter().cloned().collect();
        assert_eq!(all, [("x".into(), Between { ms: 8, count: 2 }), ("y".into(), Between { ms: 4, count: 1 })]);
        intervals.keep(|name| *name != Name::from("x"));
        assert_eq!(intervals.iter().count(), 1);
    }
}
