//! How long things took, counted in buckets a sixteenth of an octave wide: percentiles to about 6 %, in fixed memory.

use std::time::Duration;

const STEPS: usize = 16;
const OCTAVES: usize = 32;

/// Counts of durations, from 1 us up to an hour.
#[derive(Clone)]
pub(super) struct Spread {
    counts: Box<[u64]>,
    total: u64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { counts: vec![0; STEPS * OCTAVES].into(), total: 0 }
    }
}

impl Spread {
    pub(super) fn add(&mut self, took: Duration) {
        let bucket = bucket(took).min(self.counts.len() - 1);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
            self.total += 1;
        }
    }

    /// What was counted here and not in `part`, which is a part of it.
    pub(super) fn without(&self, part: &Self) -> Self {
        let counts = self.counts.iter().zip(&part.counts).map(|(all, part)| all.saturating_sub(*part)).collect();
        Self { counts, total: self.total.saturating_sub(part.total) }
    }

    /// The upper end of the bucket that the `percent`-th percentile lies in; `None` when nothing was counted.
    pub(super) fn percentile(&self, percent: u64) -> Option<Duration> {
        let wanted = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen >= wanted
        };
        self.counts.iter().position(reached).map(|bucket| Duration::from_micros(upper_end(bucket)))
    }
}

/// Below [`STEPS`] microseconds a bucket is one microsecond wide; above, an octave has [`STEPS`] of them.
fn bucket(took: Duration) -> usize {
    let micros = usize::try_from(took.as_micros()).unwrap_or(usize::MAX);
    let Some(octave) = micros.checked_div(STEPS).and_then(usize::checked_ilog2) else { return micros };
    (octave as usize + 1) * STEPS + (micros >> octave) - STEPS
}

fn upper_end(bucket: usize) -> u64 {
    let (octave, step) = (bucket / STEPS, (bucket % STEPS) as u64);
    let steps = STEPS as u64;
    match octave.checked_sub(1) {
        None => step,
        Some(shift) => ((steps + step + 1) << shift) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_duration_comes_back_within_one_sixteenth(micros in 0_u64..3_600_000_000) {
            let mut spread = Spread::default();
            spread.add(Duration::from_micros(micros));
            let back = u64::try_from(spread.percentile(50).unwrap().as_micros()).unwrap();
            prop_assert!(back >= micros && back - micros <= micros / 16, "{micros} came back as {back}");
        }
    }

    #[test]
    fn percentiles_of_a_hundred() {
        let mut spread = Spread::default();
        assert_eq!(spread.percentile(50), None);
        for millis in 1..=100 {
            spread.add(Duration::from_millis(millis));
        }
        for percent in [1, 50, 99, 100] {
            let found = spread.percentile(percent).unwrap().as_secs_f64() * 1e3;
            assert!((0.0..=0.0625).contains(&(found / percent as f64 - 1.0)), "{percent}: {found}");
        }
        spread.add(Duration::MAX);
        assert!(spread.percentile(100).unwrap() > Duration::from_secs(3600));
    }
}
