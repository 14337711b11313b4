//! How far each producer's records have come in each partition, and the longest silence in between.

use super::PRODUCERS;
use crate::history::{Partition, Payload};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Grows while a load runs.
#[derive(Default)]
pub(super) struct Progress(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// The number that each producer sent last.
    sent: BTreeMap<u32, u64>,
    tracks: BTreeMap<(Step, u32, Partition), u64>,
    pulses: BTreeMap<(Step, String), Pulse>,
}

/// What happens to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Acknowledged,
    Read,
    ReadByGroup,
}

struct Pulse {
    last: Instant,
    longest_gap: Duration,
}

/// What had been sent at some moment.
pub(super) struct Mark(BTreeMap<u32, u64>);

impl Progress {
    /// A record is about to be sent.
    pub(super) fn sent(&self, payload: Payload, partition: &Partition) {
        let mut inner = self.inner();
        inner.sent.insert(payload.producer, payload.number);
        for step in [Step::Acknowledged, Step::Read, Step::ReadByGroup] {
            inner.tracks.entry((step, payload.producer, partition.clone())).or_default();
        }
    }

    /// A record came so far.
    pub(super) fn came(&self, step: Step, payload: Payload, partition: &Partition) {
        let mut inner = self.inner();
        let track = inner.tracks.entry((step, payload.producer, partition.clone())).or_default();
        *track = payload.number.max(*track);
        let now = Instant::now();
        let topic = partition.topic.to_string();
        let pulse = inner.pulses.entry((step, topic)).or_insert(Pulse { last: now, longest_gap: Duration::ZERO });
        pulse.longest_gap = pulse.longest_gap.max(now - pulse.last);
        pulse.last = now;
    }

    /// This moment.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.inner().sent.clone())
    }

    /// What has not yet come beyond that moment, in words.
    pub(super) fn behind(&self, mark: &Mark, topics: &[&str]) -> Vec<String> {
        let inner = self.inner();
        let mut words = Vec::new();
        for (topic, producer) in topics.iter().flat_map(|topic| PRODUCERS.map(|producer| (topic, producer))) {
            let of_both = |track: &&(Step, u32, Partition)| track.1 == producer && *track.2.topic == **topic;
            let before = mark.0.get(&producer).copied().unwrap_or(0);
            if !inner.tracks.keys().any(|track| of_both(&track)) {
                words.push(format!("producer {producer} has not begun with {topic}"));
            }
            for (track, number) in inner.tracks.iter().filter(|(track, number)| of_both(track) && **number <= before) {
                words.push(format!("{} not {:?} from producer {producer} after {number}", track.2, track.0));
            }
        }
        words
    }

    /// Also counts the silence that lasts now.
    pub(super) fn longest_gap(&self, topic: &str) -> Duration {
        let inner = self.inner();
        let of_topic = inner.pulses.iter().filter(|((_, name), _)| name == topic);
        of_topic.map(|(_, pulse)| pulse.longest_gap.max(pulse.last.elapsed())).max().unwrap_or(Duration::MAX)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
