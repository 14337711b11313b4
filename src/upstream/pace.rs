//! How soon a broker may be connected to again: at once while it answers, later and later while it does not, with
//! jitter and one after another, so that a restart is no storm.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);
/// Those who wait for the same broker go this far apart (MSK takes 100 new IAM connections a second), and share slots
/// beyond a second's worth: nobody waits much longer than `LONGEST`.
const APART: Duration = Duration::from_millis(10);
const SLOTS: u32 = 100;
/// With so many places known, those that were not tried for so long are forgotten.
const PRUNE_FROM: usize = 256;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Back-off per place that is connected to.
#[derive(Debug)]
pub struct Pace<K> {
    failed: Mutex<HashMap<K, Failed>>,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    wait: Duration,
    until: Instant,
    /// How many were told to wait for this try.
    waiting: u32,
}

impl<K: Eq + Hash> Default for Pace<K> {
    fn default() -> Self {
        Self { failed: Mutex::default() }
    }
}

impl<K: Eq + Hash> Pace<K> {
    /// How long to wait before the next try at `now`. Each call takes a slot.
    pub fn wait(&self, place: &K, now: Instant) -> Duration {
        let mut all = self.failed.lock();
        let Some(failed) = all.get_mut(place) else { return Duration::ZERO };
        let slot = failed.waiting % SLOTS;
        failed.waiting = failed.waiting.wrapping_add(1);
        (failed.until + APART * slot).saturating_duration_since(now)
    }

    /// It answered: the next connection may come at once.
    pub fn succeeded(&self, place: &K) {
        self.failed.lock().remove(place);
    }

    /// It did not: the wait doubles, from 50 ms up to 1 s, each with up to a fifth of jitter.
    pub fn failed(&self, place: K, now: Instant) {
        let mut all = self.failed.lock();
        if all.len() >= PRUNE_FROM {
            // Brokers come and go.
            all.retain(|_, failed| now.saturating_duration_since(failed.until) < FORGOTTEN_AFTER);
        }
        let wait = all.get(&place).map_or(FIRST, |before| (before.wait * 2).min(LONGEST));
        let until = now + wait.mul_f64(0.8 + 0.2 * fastrand::f64());
        all.insert(place, Failed { wait, until, waiting: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_the_same_broker_goes_one_after_another() {
        let (pace, now) = (Pace::default(), Instant::now());
        pace.failed(1, now);
        let waits: Vec<_> = (0..250).map(|_| pace.wait(&1, now)).collect();
        assert!(waits[..100].windows(2).all(|pair| pair[1] - pair[0] == APART), "{waits:?}");
        assert_eq!((waits[100], waits[249]), (waits[0], waits[49]), "and nobody for ever");
    }

    #[test]
    fn places_that_nobody_tries_are_forgotten() {
        let (pace, now) = (Pace::default(), Instant::now());
        for place in 0..10_000_u64 {
            pace.failed(place, now + Duration::from_secs(place));
        }
        assert!(pace.failed.lock().len() <= PRUNE_FROM, "{}", pace.failed.lock().len());
    }

    #[test]
    fn waits_grow_to_a_second_and_end_with_success() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.wait(&1, now), Duration::ZERO);
        let waits: Vec<_> = (0..8)
            .map(|_| {
                pace.failed(1, now);
                pace.wait(&1, now)
            })
            .collect();
        assert!(waits.windows(2).take(4).all(|pair| pair[0] < pair[1]), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert_eq!(pace.wait(&2, now), Duration::ZERO, "another broker is not held back");
        pace.succeeded(&1);
        assert_eq!(pace.wait(&1, now), Duration::ZERO);
    }
}
