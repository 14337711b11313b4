//! Attempts to log in from addresses that have failed before: so many are looked at beside each other, and each that fails keeps its
//! place for as long as its answer waits, whether or not somebody waits for it. Who hangs up and comes again gains nothing.
//! A name that has got in from an address, and not failed there since, needs no place: one client with an old password locks out no
//! others behind the same gateway. Pure, but for its lock.

use crate::security::brake::{LONGEST, network};
use crate::types::fast_hash;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Attempts of one address that are looked at beside each other.
const PLACES: usize = 16;
/// Who would wait longer for a place is turned away unheard: clients give up soon after, and `limits.handshake` does.
const PATIENCE: Duration = Duration::from_secs(5);
/// An address that has not failed for so long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// So many addresses are told apart. Where there are more, those that failed longest ago are forgotten.
const ADDRESSES: usize = 4096;
/// So many names that got in are remembered.
const NAMES: usize = 16_384;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    failing: HashMap<IpAddr, Failing>,
    /// Names that got in, by the address and the hash of the name.
    good: HashMap<(IpAddr, u64), Instant>,
}

#[derive(Debug)]
struct Failing {
    last: Instant,
    /// When each place is free again.
    free: [Instant; PLACES],
}

/// An attempt's leave to be looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// No sooner than then.
    pub(super) at: Instant,
    place: Option<usize>,
}

impl Turn {
    /// Whether it was given without a place: nobody of its address has failed lately, or its name is a good one.
    #[must_use]
    pub(super) fn is_free(&self) -> bool {
        self.place.is_none()
    }
}

impl Attempts {
    /// When an attempt may be looked at; `None`: not soon. Of a name that is not said, `name` is none.
    pub(super) fn turn(&self, address: IpAddr, name: Option<&str>, now: Instant) -> Option<Turn> {
        let key = network(address);
        let mut known = self.0.lock();
        let is_good = name.is_some_and(|name| known.good.contains_key(&(key, fast_hash(name))));
        let failing = known.failing.get_mut(&key).filter(|failing| !failing.is_over(now) && !is_good);
        let Some(failing) = failing else { return Some(Turn { at: now, place: None }) };
        let (place, free) = failing.free.iter_mut().enumerate().min_by_key(|(_, free)| **free)?;
        let at = (*free).max(now);
        if at.saturating_duration_since(now) > PATIENCE {
            return None;
        }
        // Until it is known how it ends.
        *free = at + LONGEST;
        Some(Turn { at, place: Some(place) })
    }

    /// It got in.
    pub(super) fn succeeded(&self, address: IpAddr, name: &str, turn: &Turn, now: Instant) {
        let key = network(address);
        let mut known = self.0.lock();
        known.free(key, turn, now);
        if known.good.len() >= NAMES {
            known.forget_half();
        }
        known.good.insert((key, fast_hash(name)), now);
    }

    /// It did not, and its answer waits for so long.
    pub(super) fn failed(&self, address: IpAddr, name: Option<&str>, turn: &Turn, wait: Duration, now: Instant) {
        let key = network(address);
        let mut known = self.0.lock();
        if let Some(name) = name {
            known.good.remove(&(key, fast_hash(name)));
        }
        if known.failing.len() >= ADDRESSES && !known.failing.contains_key(&key) {
            known.forget_one(now);
        }
        known.failing.entry(key).or_insert(Failing { last: now, free: [now; PLACES] }).last = now;
        known.free(key, turn, now + wait);
    }
}

impl Failing {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= FORGET_AFTER
    }
}

impl Known {
    fn free(&mut self, key: IpAddr, turn: &Turn, at: Instant) {
        let place = self.failing.get_mut(&key).zip(turn.place).and_then(|(failing, place)| failing.free.get_mut(place));
        if let Some(free) = place {
            // Others may have been given the same place for later.
            *free = if *free > turn.at + LONGEST { *free } else { at };
        }
    }

    fn forget_one(&mut self, now: Instant) {
        self.failing.retain(|_, failing| !failing.is_over(now));
        let oldest = self.failing.iter().min_by_key(|(_, failing)| failing.last).map(|(key, _)| *key);
        if let Some(oldest) = oldest.filter(|_| self.failing.len() >= ADDRESSES) {
            self.failing.remove(&oldest);
        }
    }

    /// The names that got in longest ago.
    fn forget_half(&mut self) {
        let mut times: Vec<_> = self.good.values().copied().collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        self.good.retain(|_, then| *then > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    /// How many attempts are looked at within a time, where each fails and its client comes again at once.
    fn guesses(attempts: &Attempts, name: Option<&str>, start: Instant, within: Duration) -> usize {
        let (mut now, mut looked) = (start, 0);
        while now < start + within {
            match attempts.turn(HERE, name, now) {
                Some(turn) if turn.at < start + within => {
                    attempts.failed(HERE, name, &turn, LONGEST, turn.at);
                    looked += 1;
                }
                _ => {}
            }
            now += Duration::from_millis(2);
        }
        looked
    }

    #[test]
    fn who_guesses_is_slowed_however_often_it_hangs_up() {
        let looked = guesses(&Attempts::default(), Some("alice"), Instant::now(), Duration::from_secs(32));
        assert!(looked <= 11 * PLACES, "{looked} in ten times the longest wait");
    }

    #[test]
    fn a_name_that_got_in_is_not_slowed_by_others_guesses() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let turn = attempts.turn(HERE, Some("bob"), start).unwrap();
        attempts.succeeded(HERE, "bob", &turn, start);
        guesses(&attempts, Some("alice"), start, Duration::from_secs(10));
        let now = start + Duration::from_secs(10);
        let turn = attempts.turn(HERE, Some("bob"), now).unwrap();
        assert!(turn.is_free() && turn.at == now);
        assert_ne!(attempts.turn(HERE, Some("carol"), now).map(|turn| turn.is_free()), Some(true));
        // Guesses at that very name do slow it.
        attempts.failed(HERE, Some("bob"), &turn, LONGEST, now);
        assert_ne!(attempts.turn(HERE, Some("bob"), now).map(|turn| turn.is_free()), Some(true));
    }

    #[test]
    fn who_succeeds_gives_its_place_back_and_failures_are_forgotten() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let first = attempts.turn(HERE, None, start).unwrap();
        assert!(first.is_free(), "nobody has failed");
        attempts.failed(HERE, None, &first, LONGEST, start);
        for name in 0..100 {
            let turn = attempts.turn(HERE, None, start).unwrap();
            assert_eq!(turn.at, start, "{name}");
            attempts.succeeded(HERE, &name.to_string(), &turn, start);
        }
        assert!(!attempts.turn(HERE, None, start + FORGET_AFTER / 2).unwrap().is_free());
        assert!(attempts.turn(HERE, None, start + FORGET_AFTER).unwrap().is_free());
    }

    #[test]
    fn who_would_wait_too_long_is_turned_away() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let first = attempts.turn(HERE, None, now).unwrap();
        attempts.failed(HERE, None, &first, LONGEST, now);
        let waits: Vec<_> = (0..100).map_while(|_| attempts.turn(HERE, None, now)).collect();
        assert_eq!(waits.len(), 2 * PLACES);
        assert!(waits.iter().all(|turn| turn.at.saturating_duration_since(now) <= PATIENCE));
    }

    /// (L4)
    #[test]
    fn l4_it_remembers_no_more_than_so_many_addresses_and_names() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        for number in 0..20_000_u32 {
            let (address, now) = (IpAddr::V4(number.into()), start + Duration::from_micros(number.into()));
            let turn = attempts.turn(address, None, now).unwrap();
            attempts.failed(address, None, &turn, LONGEST, now);
            attempts.succeeded(address, "name", &turn, now);
        }
        let known = attempts.0.lock();
        assert!(known.failing.len() <= ADDRESSES && known.good.len() <= NAMES);
        assert!(known.failing.contains_key(&IpAddr::V4(19_999.into())), "the last is known");
    }
}
