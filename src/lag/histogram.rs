//! Times counted by how long they were, as Prometheus does in a histogram: in few buckets, which are there when the first one comes.

/// How many buckets end somewhere; one more has what is longer.
pub const BUCKETS: usize = 13;

/// Where buckets end: in microseconds, and in seconds as that is written.
pub type Bounds = [(u64, &'static str); BUCKETS];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    within: [u64; BUCKETS],
    beyond: u64,
    /// All times together.
    micros: u64,
}

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram(Option<Box<Counts>>);

impl Histogram {
    /// Counts a time.
    pub fn observe(&mut self, bounds: &Bounds, micros: u64) {
        let counts = self.0.get_or_insert_default();
        // Most end in one of the first.
        let bucket = bounds.iter().position(|(bound, _)| micros <= *bound);
        let bucket = bucket.and_then(|place| counts.within.get_mut(place)).unwrap_or(&mut counts.beyond);
        *bucket = bucket.wrapping_add(1);
        counts.micros = counts.micros.wrapping_add(micros);
    }

    /// Whether nothing was counted yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many times there were up to each bound, how many in all, and all of them together in microseconds; `None` where there was
    /// none.
    #[must_use]
    pub fn read(&self) -> Option<([u64; BUCKETS], u64, u64)> {
        let counts = self.0.as_ref()?;
        let (mut up_to, mut sum) = (counts.within, 0u64);
        for count in &mut up_to {
            sum = sum.wrapping_add(*count);
            *count = sum;
        }
        Some((up_to, sum.wrapping_add(counts.beyond), counts.micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::latencies::{DELIVERY, PRODUCE};
    use proptest::prelude::*;

    #[test]
    fn bounds_grow_and_are_written_as_what_they_are() {
        for bounds in [PRODUCE, DELIVERY] {
            assert!(bounds.is_sorted_by(|one, next| one.0 < next.0), "{bounds:?}");
            for (micros, seconds) in bounds {
                let read: f64 = seconds.parse().unwrap();
                assert!((read * 1e6 - micros as f64).abs() < 1e-3, "{micros} {seconds}");
            }
        }
    }

    #[test]
    fn nothing_is_kept_of_nothing() {
        assert_eq!(Histogram::default().read(), None);
        assert!(size_of::<Histogram>() == 8 && size_of::<Counts>() == 120);
    }

    proptest! {
        #[test]
        fn each_bucket_has_what_is_no_longer_than_its_bound(
            times in prop::collection::vec(prop_oneof![0u64..3000, 0u64..2_000_000_000, Just(500), Just(30_000_000)], 1..50)
        ) {
            let mut histogram = Histogram::default();
            times.iter().for_each(|micros| histogram.observe(&PRODUCE, *micros));
            let (up_to, all, micros) = histogram.read().unwrap();
            prop_assert_eq!((all, micros), (times.len() as u64, times.iter().sum::<u64>()));
            for ((bound, _), count) in PRODUCE.iter().zip(up_to) {
                prop_assert_eq!(count, times.iter().filter(|micros| *micros <= bound).count() as u64);
            }
        }
    }
}
