//! Keeps a repeated warning from filling the log: at most one per key and interval, with a count of the rest.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// More keys than this at a time are not told apart any more: memory stays bounded whatever the keys are made of.
const KEYS: usize = 1024;

/// Says which of many equal warnings to write.
///
/// ```
/// # use fishplate::telemetry::Seldom;
/// # use std::time::Duration;
/// let seldom = Seldom::new(Duration::from_secs(10));
/// if let Some(held_back) = seldom.pass("broker 1") {
///     tracing::warn!(held_back, broker = 1, "cannot connect");
/// }
/// ```
#[derive(Debug)]
pub struct Seldom<K> {
    interval: Duration,
    last: Mutex<HashMap<K, Last>>,
}

#[derive(Debug)]
struct Last {
    at: Instant,
    held_back: u64,
}

impl<K: Eq + Hash> Seldom<K> {
    /// At most one of a key in `interval`.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self { interval, last: Mutex::default() }
    }

    /// `Some` when this one is to be written; the number is how many of its key were held back since the last one.
    pub fn pass(&self, key: K) -> Option<u64> {
        self.pass_at(key, Instant::now())
    }

    fn pass_at(&self, key: K, now: Instant) -> Option<u64> {
        let mut last = self.last.lock();
        if let Some(known) = last.get_mut(&key) {
            if now.saturating_duration_since(known.at) < self.interval {
                known.held_back += 1;
                return None;
            }
            let held_back = std::mem::take(&mut known.held_back);
            known.at = now;
            return Some(held_back);
        }
        if last.len() >= KEYS {
            last.retain(|_, known| now.saturating_duration_since(known.at) < self.interval);
        }
        if last.len() >= KEYS {
            return None;
        }
        last.insert(key, Last { at: now, held_back: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_key_passes_in_an_interval_and_says_how_many_did_not() {
        let seldom = Seldom::new(Duration::from_secs(10));
        let start = Instant::now();
        let at = |key, seconds| seldom.pass_at(key, start + Duration::from_secs(seconds));
        assert_eq!(at("a", 0), Some(0));
        assert_eq!(at("a", 1), None);
        assert_eq!(at("b", 1), Some(0), "keys do not hold each other back");
        assert_eq!(at("a", 9), None);
        assert_eq!(at("a", 10), Some(2));
        assert_eq!(at("a", 19), None);
        assert_eq!(at("a", 20), Some(1));
    }

    #[test]
    fn endless_keys_take_bounded_memory_and_make_room_once_they_are_old() {
        let seldom = Seldom::new(Duration::from_secs(10));
        let start = Instant::now();
        let passed = (0..5000).filter(|key| seldom.pass_at(*key, start).is_some()).count();
        assert_eq!((passed, seldom.last.lock().len()), (KEYS, KEYS));
        assert_eq!(seldom.pass_at(9999, start + Duration::from_secs(11)), Some(0));
        assert_eq!(seldom.last.lock().len(), 1);
    }
}
