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
pub struct Seldom<K> {
    interval: Duration,
    last: Mutex<HashMap<K, Last>>,
}

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
