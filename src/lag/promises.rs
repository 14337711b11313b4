//! Counting what was promised for groups (`levels`): records that were committed in time, and seconds in which none was late.

use super::Ledger;
use super::clock::Moment;
use super::look::is_ours;
use super::measure::Then;
use super::partition::Step;
use super::readers::GroupAt;
use super::topics::{Topic, TopicAt};
use std::cell::Cell;

impl Ledger {
    /// Counts what was committed, where that was promised to be in time.
    pub(super) fn level(&mut self, group: GroupAt, topic: TopicAt, index: i32, step: Step, at: Moment) {
        let Some(topic) = self.topics.get(topic).filter(|topic| is_ours(self.owner, topic, index)) else { return };
        let Some(group) = self.groups.get_mut(group) else { return };
        let Some(bound) = group.bound.as_ref().filter(|bound| bound.pipeline == topic.place.pipeline) else { return };
        let partition = usize::try_from(index).ok().and_then(|index| topic.partitions.get(index));
        let Some(partition) = partition else { return };
        let (late, all) = partition.times.before(at.less(bound.within_ms), step.from, step.to);
        group.level.committed(all, late);
    }

    /// Counts seconds, and those in which a group was late.
    pub(super) fn watch(&mut self, then: Then, seconds: u64) {
        if self.aims.slos.is_empty() {
            return;
        }
        let late = vec![Cell::new(None); self.groups.places()];
        let of = |place: GroupAt| usize::try_from(place).ok().and_then(|place| late.get(place));
        let within = |topic: &Topic, place| {
            let bound = self.groups.get(place)?.bound.as_ref()?;
            (bound.pipeline == topic.place.pipeline).then_some(bound.within_ms)
        };
        // One that is late need not be looked at further.
        let wants = |topic: &Topic, place| {
            of(place).is_some_and(|late| late.get() != Some(true)) && within(topic, place).is_some()
        };
        for seen in self.look_at(then, wants) {
            let Some((place, _)) = seen.group else { continue };
            let (Some(within_ms), Some(age)) = (within(seen.topic, place), seen.measure.at_least) else { continue };
            if let Some(late) = of(place) {
                late.set(Some(age > within_ms));
            }
        }
        for (place, late) in (0..).zip(late) {
            if let (Some(group), Some(late)) = (self.groups.get_mut(place), late.get()) {
                group.level.watched(seconds, late);
            }
        }
    }
}
