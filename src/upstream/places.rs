//! How many links sessions may have to one broker, and how soon after another they are opened: brokers bound both (MSK
//! with IAM: 3,000, and 100 a second), and what is beyond that would take others' connections too.

use crate::types::{Slot, Target};
use crate::wire::budget::{Budget, Held};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// As many as may be opened in this time are opened at once.
const BURST: Duration = Duration::from_secs(1);
/// A warning comes when of ten places so many are taken.
const WARN_FROM: usize = 8;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Places {
    limits: Mutex<HashMap<Slot, Limit>>,
    brokers: Mutex<HashMap<Target, Broker>>,
}

/// What a cluster's brokers take, each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Links.
    pub links: usize,
    /// New ones a second.
    pub per_second: usize,
}

#[derive(Debug)]
struct Broker {
    places: Arc<Budget>,
    /// When the next link may be opened.
    next: Instant,
}

/// A link's place at its broker, free again when dropped.
#[derive(Debug)]
pub struct Place {
    _held: Option<Held>,
    /// The link is to be opened no earlier.
    pub not_before: Option<Instant>,
    /// Nearly all places are taken.
    pub nearly_full: bool,
}

impl Places {
    /// From now on a cluster's brokers take so many.
    pub fn limit(&self, cluster: Slot, limit: Limit) {
        self.limits.lock().insert(cluster, limit);
        for (_, broker) in self.brokers.lock().iter().filter(|(target, _)| target.cluster == cluster) {
            broker.places.resize(limit.links);
        }
    }

    /// What a cluster's brokers take; nothing where they are not bounded.
    #[must_use]
    pub fn of(&self, cluster: Slot) -> Option<Limit> {
        self.limits.lock().get(&cluster).copied()
    }

    /// Waits for a place at a broker, first come first served.
    pub async fn take(&self, at: Target) -> Place {
        let Some(limit) = self.of(at.cluster) else {
            return Place { _held: None, not_before: None, nearly_full: false };
        };
        let places = self.broker(at, limit, |broker| Arc::clone(&broker.places));
        let held = Held::draw(&places, 1).await;
        let nearly_full = places.standing().drawn * 10 >= limit.links * WARN_FROM;
        let not_before = self.broker(at, limit, |broker| broker.turn(limit.per_second, Instant::now()));
        Place { _held: Some(held), not_before: Some(not_before), nearly_full }
    }

    /// Whether links wait for a place at a broker: those that are idle can make room.
    #[must_use]
    pub fn is_sought(&self, at: Target) -> bool {
        self.brokers.lock().get(&at).is_some_and(|broker| broker.places.is_sought())
    }

    fn broker<R>(&self, at: Target, limit: Limit, look: impl FnOnce(&mut Broker) -> R) -> R {
        let mut brokers = self.brokers.lock();
        if !brokers.contains_key(&at) {
            // Brokers come and go; those that nobody has a link to are forgotten.
            brokers.retain(|_, broker| broker.places.standing().drawn > 0 || Arc::strong_count(&broker.places) > 1);
        }
        look(brokers.entry(at).or_insert_with(|| Broker { places: Budget::new(limit.links), next: Instant::now() }))
    }
}

impl Broker {
    /// When a link may be opened that asks at `now`.
    fn turn(&mut self, per_second: usize, now: Instant) -> Instant {
        let apart = Duration::from_secs(1).div_f64((per_second.max(1)) as f64);
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let turn = self.next.max(earliest);
        self.next = turn + apart;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::BrokerId;
    use tokio::time::timeout;

    fn target() -> Target {
        Target { cluster: Slot::new(0).unwrap(), broker: BrokerId(1) }
    }

    #[tokio::test]
    async fn a_place_is_waited_for_and_given_back() {
        let places = Arc::new(Places::default());
        places.limit(target().cluster, Limit { links: 2, per_second: 1_000 });
        let (one, two) = (places.take(target()).await, places.take(target()).await);
        assert!(!one.nearly_full && two.nearly_full);
        let third = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take(target()).await }
        });
        tokio::task::yield_now().await;
        assert!(!third.is_finished() && places.is_sought(target()));
        drop(one);
        drop(timeout(Duration::from_secs(5), third).await.unwrap().unwrap());
        places.limit(target().cluster, Limit { links: 1, per_second: 1_000 });
        assert!(timeout(Duration::from_millis(20), places.take(target())).await.is_err(), "one is taken");
    }

    #[test]
    fn links_are_opened_no_faster_than_they_may_be_after_a_burst() {
        let now = Instant::now() + BURST * 2;
        let mut broker = Broker { places: Budget::new(9), next: now - BURST * 2 };
        let turns: Vec<_> = (0..30).map(|_| broker.turn(10, now)).collect();
        assert!(turns[..10].iter().all(|turn| *turn <= now), "a second's worth at once");
        assert!(turns[29] > now + Duration::from_millis(1_800), "and ten a second from then on");
    }
}
