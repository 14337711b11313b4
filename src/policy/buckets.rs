//! What governor keeps of a limit's keys: when each has paid for all it took, by the key's hash. Keys come from outside, so
//! there is a cap: beyond it new keys share one bucket, and those that are there stay what they are.

use super::keys::Hashed;
use dashmap::DashMap;
use governor::nanos::Nanos;
use governor::state::StateStore;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// So finely they are divided: who tidies up holds one part of so many, for a tenth of a millisecond at a million keys.
const SHARDS: usize = 1024;

/// The buckets of one limit. Times are ticks of the limit's own clock.
#[derive(Clone, Debug)]
pub struct Buckets(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    paid_at: DashMap<Hashed, AtomicU64, BuildHasherDefault<AsItIs>>,
    /// How many there may be.
    cap: usize,
    /// How many there are; a few more than the cap where several come at once.
    live: AtomicUsize,
    /// That of all keys beyond the cap; 0 as long as it is new.
    shared: AtomicU64,
    /// How often it was asked.
    spilled: AtomicU64,
}

/// Keys are hashes already.
#[derive(Clone, Debug, Default)]
pub struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Buckets {
    /// At most so many keys.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self::with_shards(cap, SHARDS)
    }

    /// For so many keys, which are known.
    #[must_use]
    pub fn few(count: usize) -> Self {
        Self::with_shards(count, 16)
    }

    /// As many, and none is there yet.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::new(self.0.cap)
    }

    /// Gives keys over to buckets that are new: what each has paid for then, if it is to be known there.
    pub(super) fn carry(&self, to: &Self, then: impl Fn(Hashed, u64) -> Option<u64>) {
        for place in &self.0.paid_at {
            if let Some(paid_at) = then(*place.key(), place.load(Ordering::Relaxed)) {
                to.replace(*place.key(), |_| ((), paid_at));
            }
        }
    }

    fn with_shards(cap: usize, shards: usize) -> Self {
        Self(Arc::new(Inner {
            paid_at: DashMap::with_hasher_and_shard_amount(BuildHasherDefault::default(), shards),
            cap,
            live: AtomicUsize::new(0),
            shared: AtomicU64::new(0),
            spilled: AtomicU64::new(0),
        }))
    }

    /// How many keys have a bucket of their own.
    #[must_use]
    pub fn live(&self) -> usize {
        self.0.live.load(Ordering::Relaxed)
    }

    /// How often a key had none.
    #[must_use]
    pub fn spilled(&self) -> u64 {
        self.0.spilled.load(Ordering::Relaxed)
    }

    /// Until when a key has paid, without asking for anything.
    #[must_use]
    pub(super) fn paid_at(&self, key: Hashed) -> u64 {
        let inner = &*self.0;
        match inner.paid_at.get(&key) {
            Some(place) => place.load(Ordering::Relaxed),
            None if inner.live.load(Ordering::Relaxed) >= inner.cap => inner.shared.load(Ordering::Relaxed),
            None => 0,
        }
    }

    /// Forgets the keys that have paid for all by `now`: they are as good as new. Part by part, so that nobody who asks
    /// meanwhile waits for more than one of them; off the path all the same.
    pub fn trim(&self, now: u64) {
        let mut gone = 0;
        self.0.paid_at.retain(|_, paid_at| {
            let stays = *paid_at.get_mut() > now;
            gone += usize::from(!stays);
            stays
        });
        self.0.live.fetch_sub(gone, Ordering::Relaxed);
        if gone > self.live() {
            self.0.paid_at.shrink_to_fit();
        }
    }

    /// Forgets all keys.
    pub fn clear(&self) {
        self.trim(u64::MAX);
        self.0.shared.store(0, Ordering::Relaxed);
    }

    /// Changes what stands at a key: without asking, and for both outcomes.
    pub(super) fn replace<T>(&self, key: Hashed, change: impl Fn(u64) -> (T, u64)) -> T {
        let changed = self.measure_and_replace(&key, |paid_at| {
            let (told, next) = change(paid_at.map_or(0, Nanos::as_u64));
            Ok::<_, std::convert::Infallible>((told, Nanos::from(next)))
        });
        let Ok(told) = changed;
        told
    }
}

/// Governor's way to change a place: as long as somebody else was faster, ask again.
fn measure<T, E>(place: &AtomicU64, change: &impl Fn(Option<Nanos>) -> Result<(T, Nanos), E>) -> Result<T, E> {
    let mut before = place.load(Ordering::Relaxed);
    loop {
        let (told, next) = change(NonZeroU64::new(before).map(|before| before.get().into()))?;
        match place.compare_exchange_weak(before, next.into(), Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Ok(told),
            Err(now) => before = now,
        }
    }
}

impl StateStore for Buckets {
    type Key = Hashed;

    #[inline]
    fn measure_and_replace<T, F, E>(&self, key: &Hashed, change: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let inner = &*self.0;
        if let Some(place) = inner.paid_at.get(key) {
            return measure(&place, &change);
        }
        if inner.live.load(Ordering::Relaxed) >= inner.cap {
            inner.spilled.fetch_add(1, Ordering::Relaxed);
            return measure(&inner.shared, &change);
        }
        let place = inner.paid_at.entry(*key).or_insert_with(|| {
            inner.live.fetch_add(1, Ordering::Relaxed);
            AtomicU64::new(0)
        });
        measure(&place, &change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(buckets: &Buckets, key: u64, until: u64) -> u64 {
        buckets.replace(Hashed(key), |before| (before, until))
    }

    #[test]
    fn each_key_has_its_own() {
        let buckets = Buckets::new(10);
        assert_eq!(take(&buckets, 1, 5), 0);
        assert_eq!(take(&buckets, 2, 7), 0);
        assert_eq!(take(&buckets, 1, 6), 5);
        assert_eq!((buckets.live(), buckets.spilled()), (2, 0));
    }

    #[test]
    fn beyond_the_cap_new_keys_share_and_old_ones_do_not() {
        // Given as many keys as there may be
        let buckets = Buckets::new(2);
        take(&buckets, 1, 5);
        take(&buckets, 2, 7);
        // When others come
        assert_eq!(take(&buckets, 3, 11), 0);
        assert_eq!(take(&buckets, 4, 12), 11, "they share");
        // Then the first ones are what they were, and it is counted
        assert_eq!((take(&buckets, 1, 6), take(&buckets, 2, 8)), (5, 7));
        assert_eq!((buckets.live(), buckets.spilled()), (2, 2));
    }

    #[test]
    fn who_has_paid_is_forgotten_and_makes_room() {
        let buckets = Buckets::new(2);
        take(&buckets, 1, 5);
        take(&buckets, 2, 7);
        buckets.trim(5);
        assert_eq!(buckets.live(), 1);
        assert_eq!(take(&buckets, 3, 9), 0);
        assert_eq!((take(&buckets, 2, 8), buckets.spilled()), (7, 0));
        buckets.clear();
        assert_eq!((buckets.live(), take(&buckets, 2, 8)), (0, 0));
    }

    #[test]
    fn keys_that_fall_into_one_shard_are_still_apart() {
        let buckets = Buckets::new(1000);
        assert!((0..1000).all(|key| take(&buckets, key, key + 1) == 0));
        assert!((0..1000).all(|key| take(&buckets, key, 1) == key + 1));
    }
}
