//! Replicas that clients were told to read from (KIP-392). A leader names a follower in the client's rack, and from then on
//! the client asks that one. Requests go by content and not by the connection that they came on (L1), so what was told is
//! remembered: in the session, once it reads there; and between sessions until somebody comes for it, since in most views
//! the client asks the follower over another connection.
//!
//! A mistake in here costs a way round or a rack, never a record: whoever holds a partition may be asked for it, and who
//! does not says so.

use super::state::Session;
use crate::placement::TopicPlace;
use crate::types::{BrokerId, FastMap, Target, View};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Who was told comes within this time: it may have to connect first.
const COMES_WITHIN: Duration = Duration::from_secs(30);

/// So many are waited for at once (about 6 MiB). One more, and all are forgotten: their clients are told again.
const MOST_AWAITED: usize = 100_000;

/// A session of one node asks the leader again after this time, as clients do by themselves where they are shown several:
/// another replica may be nearer by now.
const ASK_AGAIN: Duration = Duration::from_secs(300);

/// So long a session that could not reach a follower says no rack: the leader would name the same one again and again.
const NO_RACK_FOR: Duration = Duration::from_secs(60);

/// The partitions that a session reads from followers.
#[derive(Debug, Default)]
pub struct Followers {
    of: Mutex<Of>,
    changes: AtomicU64,
    /// One could not be reached.
    lost: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Of {
    by_partition: FastMap<(StrBytes, i32), Following>,
    /// What the topics' names take.
    names: usize,
}

impl Of {
    fn put(&mut self, key: (StrBytes, i32), following: Following) {
        let name = memory_of(&key);
        if self.by_partition.insert(key, following).is_none() {
            self.names += name;
        }
    }

    fn retain(&mut self, stays: impl Fn(&(StrBytes, i32), &Following) -> bool) {
        let names = &mut self.names;
        self.by_partition.retain(|key, following| {
            let stays = stays(key, following);
            if !stays {
                *names -= memory_of(key);
            }
            stays
        });
    }
}

/// Of the name, which lies beside the map: its bytes, and what an allocation takes besides.
fn memory_of((topic, _): &(StrBytes, i32)) -> usize {
    topic.len() + 2 * size_of::<usize>()
}

#[derive(Clone, Copy, Debug)]
struct Following {
    at: Target,
    since: Instant,
}

impl Followers {
    /// How often what is followed may have changed.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What it takes in memory, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let of = self.of.lock();
        of.by_partition.capacity() * size_of::<((StrBytes, i32), Following)>() + of.names
    }

    fn of(&self, topic: &str, partition: i32) -> Option<BrokerId> {
        let of = self.of.lock();
        if of.by_partition.is_empty() {
            return None;
        }
        of.by_partition.get(&(StrBytes::from_string(topic.to_owned()), partition)).map(|following| following.at.broker)
    }

    fn put(&self, topic: &str, partition: i32, at: Target, now: Instant) {
        // A copy: to count who uses a name that all sessions share would cost them all.
        let key = (StrBytes::from_string(topic.to_owned()), partition);
        self.of.lock().put(key, Following { at, since: now });
        self.changed();
    }

    /// Whether there was any.
    fn forget(&self, gone: impl Fn(&(StrBytes, i32), &Following) -> bool) -> bool {
        let mut of = self.of.lock();
        let before = of.by_partition.len();
        of.retain(|key, following| !gone(key, following));
        let any = of.by_partition.len() < before;
        if any {
            self.changed();
        }
        any
    }

    fn lost(&self, now: Instant) {
        *self.lost.lock() = Some(now);
    }

    fn has_lost(&self, now: Instant) -> bool {
        self.lost.lock().is_some_and(|lost| now.saturating_duration_since(lost) < NO_RACK_FOR)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

/// What clients were told and have not come for yet. All sessions share it.
#[derive(Debug, Default)]
pub struct Referrals {
    told: Mutex<Told>,
    count: AtomicUsize,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Told {
    /// By a hash of the client and the topic, and by partition.
    of: FastMap<(u64, i32), (Target, Instant)>,
    /// When the newest was told.
    newest: Option<Instant>,
}

impl Referrals {
    fn put(&self, whose: u64, partition: i32, at: Target, now: Instant) {
        let mut told = self.told.lock();
        if told.of.len() >= MOST_AWAITED {
            told.of.retain(|_, (_, since)| now.saturating_duration_since(*since) < COMES_WITHIN);
        }
        if told.of.len() >= MOST_AWAITED {
            told.of.clear();
        }
        told.of.insert((whose, partition), (at, now));
        told.newest = Some(now);
        self.count.store(told.of.len(), Ordering::Release);
    }

    fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Whoever comes first has it. What nobody has come for is forgotten when no more is told: else every Fetch of all clients
    /// would look here for ever.
    fn take(&self, whose: u64, partition: i32, now: Instant) -> Option<Target> {
        let in_time = |since: Instant| now.saturating_duration_since(since) < COMES_WITHIN;
        let mut told = self.told.lock();
        let found = told.of.remove(&(whose, partition));
        if !told.newest.is_some_and(in_time) {
            told.of.clear();
        }
        self.count.store(told.of.len(), Ordering::Release);
        found.filter(|(_, since)| in_time(*since)).map(|(at, _)| at)
    }
}

impl Session {
    /// The replica that its client was told to read a partition from.
    pub(super) fn follows(&self, place: &TopicPlace, partition: i32) -> Option<BrokerId> {
        let topic = &*place.topic.name;
        let known = self.followers.of(topic, partition);
        if known.is_some() || self.context.referrals.is_empty() {
            return known;
        }
        let now = Instant::now();
        let at = self.context.referrals.take(self.whose(topic), partition, now)?;
        self.followers.put(topic, partition, at, now);
        Some(at.broker)
    }

    /// A leader named this replica to the client, or one that it read from (`None`) is no good any more.
    pub(super) fn follow(&self, topic: &str, partition: i32, at: Option<Target>) {
        let now = Instant::now();
        match at {
            None => {
                self.followers.forget(|key, _| key.1 == partition && *key.0 == *topic);
            }
            // Nobody else comes for it.
            Some(at) if self.shown() == Some(View::Single) => self.followers.put(topic, partition, at, now),
            Some(at) => {
                self.context.referrals.put(self.whose(topic), partition, at, now);
                // Perhaps this is the connection that the client comes over: it looks again.
                self.followers.changed();
            }
        }
    }

    /// Nothing is read from this broker any more: it does not answer.
    pub(super) fn lose(&self, at: Target) {
        if self.followers.forget(|_, following| following.at == at) {
            self.followers.lost(Instant::now());
        }
    }

    /// Whether a client that says its rack would only be sent to a follower that we could not reach.
    pub(super) fn hides_rack(&self) -> bool {
        self.followers.has_lost(Instant::now())
    }

    /// Where all nodes are one, clients do not know that they read from a follower, and never ask the leader by themselves.
    pub(super) fn ask_leaders_again(&self, now: Instant) {
        if self.shown() == Some(View::Single) {
            self.followers.forget(|_, following| now.saturating_duration_since(following.since) >= ASK_AGAIN);
        }
    }

    /// A client is told by its address and by what it calls itself: several connections are one client's.
    fn whose(&self, topic: &str) -> u64 {
        self.context.referrals.hasher.hash_one((self.peer.ip(), self.client_id.get(), topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::at;

    #[test]
    fn what_was_told_is_there_for_the_first_who_comes_in_time() {
        let (referrals, now) = (Referrals::default(), Instant::now());
        assert!(referrals.is_empty());
        referrals.put(7, 1, at(0, 2), now);
        assert!(!referrals.is_empty());
        assert_eq!((referrals.take(7, 0, now), referrals.take(8, 1, now)), (None, None), "another's");
        assert_eq!(referrals.take(7, 1, now), Some(at(0, 2)));
        assert_eq!((referrals.take(7, 1, now), referrals.is_empty()), (None, true), "once");
        referrals.put(7, 1, at(0, 2), now);
        referrals.put(8, 1, at(0, 2), now);
        assert_eq!(referrals.take(7, 1, now + COMES_WITHIN), None, "too late");
        assert!(referrals.is_empty(), "nobody looks for what nobody comes for");
    }

    /// [L4]
    #[test]
    fn l4_no_more_is_awaited_than_there_is_memory_for() {
        let (referrals, now) = (Referrals::default(), Instant::now());
        (0..u64::try_from(MOST_AWAITED).unwrap() + 10).for_each(|whose| referrals.put(whose, 0, at(0, 2), now));
        assert!(referrals.told.lock().of.len() <= MOST_AWAITED);
        assert_eq!(referrals.take(u64::try_from(MOST_AWAITED).unwrap() + 9, 0, now), Some(at(0, 2)), "the newest");
    }

    /// [L4]
    #[test]
    fn l4_a_long_name_counts_as_long_as_it_is_there() {
        let now = Instant::now();
        let memory_of = |name: &str| {
            let followers = Followers::default();
            (0..1_000).for_each(|partition| followers.put(name, partition, at(0, 2), now));
            let known = followers.memory();
            (0..1_000).for_each(|partition| followers.put(name, partition, at(0, 3), now));
            assert_eq!(followers.memory(), known, "the same ones");
            followers.forget(|_, _| true);
            assert_eq!(followers.of.lock().names, 0, "what is gone is not counted");
            known
        };
        assert_eq!(memory_of(&"x".repeat(249)) - memory_of("x"), 248_000);
    }

    #[test]
    fn followers_are_forgotten_by_partition_and_by_broker_and_each_change_is_counted() {
        let (followers, now) = (Followers::default(), Instant::now());
        followers.put("x", 0, at(0, 2), now);
        followers.put("x", 1, at(0, 3), now);
        assert_eq!((followers.of("x", 0), followers.of("y", 0)), (Some(BrokerId(2)), None));
        let before = followers.changes();
        followers.forget(|_, following| following.at == at(1, 2));
        assert_eq!(followers.changes(), before, "nothing is another");
        followers.forget(|_, following| following.at == at(0, 2));
        assert!(followers.changes() > before);
        assert_eq!((followers.of("x", 0), followers.of("x", 1)), (None, Some(BrokerId(3))));
        assert!(!followers.has_lost(now));
        followers.lost(now);
        assert!(followers.has_lost(now) && !followers.has_lost(now + NO_RACK_FOR));
    }
}
