//! A brake on guessing: whoever failed to log in is answered later with every failure, by the address it comes from. Who gets in
//! waits for nothing, also from an address that somebody guesses from; unless so many guesses of that wait at this moment that their
//! number would make up for the wait. Pure, but for its lock.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// So many addresses are told apart; further ones count together, as long as these are remembered.
const ADDRESSES: usize = 4096;
/// An address that has not failed for so long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// The first failure waits as with Kafka (`connection.failed.authentication.delay.ms`), each further one twice as long ...
const FIRST: Duration = Duration::from_millis(100);
/// ... and none longer than this: it must be answered before clients give up on the answer.
pub const LONGEST: Duration = Duration::from_millis(3_200);

/// So many answers to one address wait at a time; who takes no more of it meanwhile bounds what it can guess.
const WAITING: usize = 4;

/// Failures by address.
#[derive(Debug, Default)]
pub struct Brake {
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
    /// Until when answers to it wait: the last ones.
    waiting: [Instant; WAITING],
}

impl Brake {
    /// Somebody of this address has failed: how long its answer is to wait.
    pub fn failed(&self, address: IpAddr, now: Instant) -> Duration {
        let mut all = self.failures.lock();
        let is_known = |failures: &Failures| now.saturating_duration_since(failures.last) < FORGET_AFTER;
        let mut key = network(address);
        if !all.contains_key(&key) && all.len() >= ADDRESSES {
            all.retain(|_, failures| is_known(failures));
            if all.len() >= ADDRESSES {
                key = TOGETHER;
            }
        }
        let failures = all.entry(key).or_insert(Failures { count: 0, last: now, waiting: [now; WAITING] });
        let count = if is_known(failures) { failures.count } else { 0 };
        let wait = FIRST.saturating_mul(1_u32.checked_shl(count).unwrap_or(u32::MAX)).min(LONGEST);
        (failures.count, failures.last) = (count.saturating_add(1), now);
        if let Some(first) = failures.waiting.iter_mut().min() {
            *first = now + wait;
        }
        wait
    }

    /// Whether as many answers to this address wait as may. Whether who asked is still there to hear them does not matter.
    #[must_use]
    pub fn is_crowded(&self, address: IpAddr, now: Instant) -> bool {
        let all = self.failures.lock();
        let failures = all.get(&network(address)).or_else(|| all.get(&TOGETHER));
        failures.is_some_and(|failures| failures.waiting.iter().all(|until| *until > now))
    }
}

/// Stands for all that are not told apart.
const TOGETHER: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Who has one address of IPv6 mostly has all of its /64.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_none() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_waits_longer_and_after_a_minute_without_one_all_is_forgotten() {
        let (brake, start, address) = (Brake::default(), Instant::now(), IpAddr::from([10, 0, 0, 1]));
        let waits: Vec<_> = (0..40).map(|_| brake.failed(address, start).as_millis()).collect();
        assert_eq!(waits[..7], [100, 200, 400, 800, 1_600, 3_200, 3_200]);
        assert!(waits.iter().all(|wait| *wait <= 3_200));
        assert_eq!(brake.failed([10, 0, 0, 2].into(), start), FIRST, "others are not held for it");
        assert_eq!(brake.failed(address, start + Duration::from_secs(59)), LONGEST);
        assert_eq!(brake.failed(address, start + Duration::from_secs(120)), FIRST);
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let (brake, now) = (Brake::default(), Instant::now());
        let of = |text: &str| brake.failed(text.parse().unwrap(), now).as_millis();
        assert_eq!([of("fd00::1"), of("fd00::ffff:1"), of("fd00:0:0:1::1")], [100, 200, 100]);
        assert_eq!([of("::ffff:10.0.0.1"), of("::ffff:10.0.0.2")], [100, 100]);
    }

    #[test]
    fn so_many_answers_wait_and_no_more_is_looked_at_meanwhile() {
        let (brake, start, address) = (Brake::default(), Instant::now(), IpAddr::from([10, 0, 0, 1]));
        let at = |ms| start + Duration::from_millis(ms);
        for _ in 0..WAITING {
            assert!(!brake.is_crowded(address, start));
            brake.failed(address, start);
        }
        assert!(brake.is_crowded(address, start) && brake.is_crowded(address, at(99)));
        assert!(!brake.is_crowded(address, at(100)), "the first has left");
        assert!(!brake.is_crowded([10, 0, 0, 2].into(), start));
        brake.failed(address, at(100));
        assert!(brake.is_crowded(address, at(199)) && !brake.is_crowded(address, at(200)));
        // One after the other nobody is kept out
        let later = (1..50).map(|n| at(10_000 * n));
        assert!(later.into_iter().all(|now| {
            brake.failed(address, now);
            !brake.is_crowded(address, now)
        }));
    }

    /// (L4)
    #[test]
    fn l4_it_remembers_no_more_than_so_many_addresses() {
        let (brake, start) = (Brake::default(), Instant::now());
        for number in 0..20_000_u32 {
            brake.failed(IpAddr::V4(number.into()), start);
        }
        assert_eq!(brake.failures.lock().len(), ADDRESSES + 1);
        assert_eq!(brake.failed([200, 0, 0, 1].into(), start), LONGEST, "what is beyond counts together");
        let later = start + Duration::from_secs(61);
        assert_eq!(brake.failed([200, 0, 0, 2].into(), later), FIRST);
        assert_eq!(brake.failures.lock().len(), 1);
    }
}
