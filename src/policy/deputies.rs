//! The deputies of this process, by whom they stand for and where.

use super::deputy::{Deputy, Shared};
use super::weight::Memory;
use dashmap::DashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many there are at most, each of a kilobyte. Who comes then is not parted from its records, only counted.
const DEPUTIES: usize = 1 << 16;
/// Longer than a client has a batch in flight.
const IDLE: Duration = Duration::from_secs(3600);

/// Whom a deputy stands for, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Post {
    /// The id that the client gives as its producer's.
    pub producer: i64,
    /// A topic, by a hash of its name and id.
    pub topic: u64,
    /// Its partition.
    pub index: i32,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Deputies {
    posts: DashMap<Post, Shared>,
    /// What all of them remember.
    pub memory: Memory,
}

impl Deputies {
    /// Whether there are none, as where no pipeline parts an idempotent producer's batches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.posts.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.posts.len()
    }

    /// Who stands there already.
    #[must_use]
    pub fn known(&self, post: &Post) -> Option<Shared> {
        self.posts.get(post).map(|deputy| Arc::clone(&deputy))
    }

    /// Who stands there, or does from now on; `None` where there are too many.
    #[must_use]
    pub fn at(&self, post: Post, now: Instant) -> Option<Shared> {
        self.known(&post).or_else(|| {
            let fits = self.posts.len() < DEPUTIES;
            let new = || Arc::new(Mutex::new(Deputy::new(now).counted_in(&self.memory)));
            fits.then(|| Arc::clone(&self.posts.entry(post).or_insert_with(new)))
        })
    }

    /// Forgets those whose producers sent nothing for an hour.
    pub fn trim(&self, now: Instant) {
        self.posts.retain(|_, deputy| now.saturating_duration_since(deputy.lock().used()) < IDLE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(index: i32) -> Post {
        Post { producer: 7, topic: 1, index }
    }

    #[test]
    fn a_post_is_kept_until_its_producer_is_idle() {
        let (deputies, now) = (Deputies::default(), Instant::now());
        let first = deputies.at(post(0), now).unwrap();
        assert!(Arc::ptr_eq(&first, &deputies.at(post(0), now + IDLE).unwrap()), "the same stands there");
        deputies.trim(now + IDLE - Duration::from_secs(1));
        assert_eq!(deputies.count(), 1);
        deputies.trim(now + IDLE);
        assert!(deputies.is_empty() && deputies.known(&post(0)).is_none());
    }

    #[test]
    fn there_are_not_more_than_fit() {
        let (deputies, now) = (Deputies::default(), Instant::now());
        for index in 0..i32::try_from(DEPUTIES).unwrap() {
            assert!(deputies.at(post(index), now).is_some());
        }
        assert!(deputies.at(post(-1), now).is_none(), "one more");
        assert!(deputies.at(post(0), now).is_some(), "who is there stays");
    }
}
