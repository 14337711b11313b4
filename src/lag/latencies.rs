//! How long it takes at a topic until a batch is acknowledged, and from then until a reader is handed it.

use super::clock::Moment;
use super::histogram::{Bounds, Histogram};
use super::rows::Source;
use super::topics::Topic;
use std::time::Duration;

/// From the last byte of a request until a broker has acknowledged its batch.
#[rustfmt::skip]
pub(super) const PRODUCE: Bounds = [
    (500, "0.0005"), (1000, "0.001"), (2500, "0.0025"), (5000, "0.005"), (10_000, "0.01"), (25_000, "0.025"), (50_000, "0.05"),
    (100_000, "0.1"), (250_000, "0.25"), (500_000, "0.5"), (1_000_000, "1"), (5_000_000, "5"), (30_000_000, "30"),
];

/// From the acknowledgement of a record until a reader is handed it: minutes where that one catches up.
#[rustfmt::skip]
pub(super) const DELIVERY: Bounds = [
    (1000, "0.001"), (5000, "0.005"), (10_000, "0.01"), (25_000, "0.025"), (50_000, "0.05"), (100_000, "0.1"), (250_000, "0.25"),
    (500_000, "0.5"), (1_000_000, "1"), (5_000_000, "5"), (30_000_000, "30"), (120_000_000, "120"), (600_000_000, "600"),
];

/// Readers that were early are kept, of a topic, and for how long, in ms: their records' acknowledgement is on its way.
const EARLY: usize = 64;
const PATIENCE: i64 = 5000;

/// A reader was handed a record before we heard that it was written.
#[derive(Clone, Copy, Debug)]
struct Early {
    index: i32,
    offset: i64,
    at: Moment,
}

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies {
    /// Of batches that were written.
    pub(super) produce: Histogram,
    /// Of answers with records; by the first of them.
    pub(super) delivery: Histogram,
    /// In the order of time, and when the first of them came, or sooner.
    early: Vec<Early>,
    since: Moment,
}

impl Latencies {
    /// Whether there is anything to tell.
    #[must_use]
    pub(super) fn any(&self) -> bool {
        !self.produce.is_empty() || !self.delivery.is_empty()
    }

    /// The acknowledgement of what this one was handed may come.
    fn expect(&mut self, early: Early) {
        self.forget_early(early.at);
        if self.early.len() < EARLY {
            self.since = if self.early.is_empty() { early.at } else { self.since };
            self.early.push(early);
        }
    }

    /// Those whose acknowledgement should have come long ago: somebody wrote their records past us.
    fn forget_early(&mut self, now: Moment) {
        // Most topics have none, or have them all the time.
        if self.since.until(now) <= PATIENCE {
            return;
        }
        let old = self.early.partition_point(|early| early.at.until(now) > PATIENCE);
        self.early.drain(..old);
        self.since = self.early.first().map_or(now, |first| first.at);
    }
}

impl Topic {
    /// A batch of ours was written: where it took so long since its request came.
    pub(super) fn produced(&mut self, index: i32, (base, next): (i64, i64), took: Option<Duration>, at: Moment) {
        if let Some(took) = took {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.latencies.produce.observe(&PRODUCE, micros);
        }
        if !self.latencies.early.is_empty() {
            self.meet_early(index, base, next, at);
        }
    }

    /// A reader was handed records of a partition, of which this one is the first. One that went past us is not counted: nobody knows
    /// to the millisecond when it came.
    pub(super) fn delivered(&mut self, index: i32, offset: i64, at: Moment) {
        match self.arrival(index, offset) {
            Some((Source::Arrival, came)) => self.count_delivery(came, at),
            Some((Source::Noticed, _)) => self.latencies.expect(Early { index, offset, at }),
            _ => {}
        }
    }

    /// The acknowledgement of what readers were handed before: an answer to Fetch may overtake that to Produce.
    fn meet_early(&mut self, index: i32, base: i64, next: i64, at: Moment) {
        self.latencies.forget_early(at);
        let is_met = |early: &Early| early.index == index && (base..next).contains(&early.offset);
        let met: Vec<_> = self.latencies.early.extract_if(.., |early| is_met(early)).collect();
        for early in met {
            if let Some((Source::Arrival, came)) = self.arrival(index, early.offset) {
                self.count_delivery(came, early.at);
            }
        }
    }

    fn count_delivery(&mut self, came: Moment, at: Moment) {
        let micros = u64::try_from(came.until(at)).unwrap_or(0).saturating_mul(1000);
        self.latencies.delivery.observe(&DELIVERY, micros);
    }

    fn arrival(&self, index: i32, offset: i64) -> Option<(Source, Moment)> {
        self.partitions.get(usize::try_from(index).ok()?)?.came(offset)
    }
}
