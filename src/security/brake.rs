//! A brake on guessing: whoever failed to prove who it is is answered later with every failure, by the address it comes from, and so
//! many attempts of such an address are looked at beside each other. A failure keeps its place for as long as its answer waits, whether
//! or not somebody waits for it: who hangs up and comes again gains nothing. Who succeeds gives its place back at once.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// So many addresses are told apart. Where there are more, an eighth of them is forgotten, whichever they are.
const ADDRESSES: usize = 4096;
/// An address that has not failed for so long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// The first failure waits as with Kafka (`connection.failed.authentication.delay.ms`), each further one twice as long ...
const FIRST: Duration = Duration::from_millis(100);
/// ... and none longer than this: it must be answered before clients give up on the answer.
const LONGEST: Duration = Duration::from_millis(3_200);

/// Leave to have an attempt looked at.
pub type Place = OwnedSemaphorePermit;

/// Failures by address.
#[derive(Debug)]
pub struct Brake {
    failures: Mutex<HashMap<IpAddr, Failures>>,
    places: usize,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    last: Instant,
    places: Arc<Semaphore>,
}

impl Brake {
    /// One by which so many attempts of an address that has failed are looked at beside each other.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self { failures: Mutex::default(), places }
    }

    /// The places of an address; `None` where it has not failed lately, and needs none. Who waits for one is served in turn.
    #[must_use]
    pub fn places(&self, address: IpAddr, now: Instant) -> Option<Arc<Semaphore>> {
        let all = self.failures.lock();
        all.get(&network(address))
            .filter(|failures| !failures.is_over(now))
            .map(|failures| Arc::clone(&failures.places))
    }

    /// Whether all places of an address are taken.
    #[must_use]
    pub fn is_crowded(&self, address: IpAddr, now: Instant) -> bool {
        self.places(address, now).is_some_and(|places| places.available_permits() == 0)
    }

    /// Somebody of this address has failed, in a place if it had one: how long its answer is to wait. Until then the place is taken.
    pub fn failed(&self, address: IpAddr, place: Option<Place>, now: Instant) -> Duration {
        let (wait, places) = self.count(network(address), now);
        // The first that fails had none.
        if let Some(place) = place.or_else(|| places.try_acquire_owned().ok()) {
            tokio::spawn(async move {
                sleep(wait).await;
                drop(place);
            });
        }
        wait
    }

    fn count(&self, address: IpAddr, now: Instant) -> (Duration, Arc<Semaphore>) {
        let mut all = self.failures.lock();
        if all.len() >= ADDRESSES && !all.contains_key(&address) {
            all.retain(|_, failures| !failures.is_over(now));
            let mut beyond = if all.len() >= ADDRESSES { ADDRESSES / 8 } else { 0 };
            all.retain(|_, _| {
                let goes = beyond > 0;
                beyond -= usize::from(goes);
                !goes
            });
        }
        let new = || Failures { count: 0, last: now, places: Arc::new(Semaphore::new(self.places)) };
        let failures = all.entry(address).or_insert_with(new);
        let count = if failures.is_over(now) { 0 } else { failures.count };
        (failures.count, failures.last) = (count.saturating_add(1), now);
        let wait = FIRST.saturating_mul(1_u32.checked_shl(count).unwrap_or(u32::MAX)).min(LONGEST);
        (wait, Arc::clone(&failures.places))
    }
}

impl Failures {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= FORGET_AFTER
    }
}

/// Who has one address of IPv6 mostly has all of its /64.
#[must_use]
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

    const PLACES: usize = 4;

    fn here() -> (Brake, Instant, IpAddr) {
        (Brake::new(PLACES), Instant::now(), IpAddr::from([10, 0, 0, 1]))
    }

    #[tokio::test]
    async fn each_failure_waits_longer_and_after_a_minute_without_one_all_is_forgotten() {
        let (brake, start, address) = here();
        let failed = |address, now| brake.failed(address, None, now);
        let waits: Vec<_> = (0..40).map(|_| failed(address, start).as_millis()).collect();
        assert_eq!(waits[..7], [100, 200, 400, 800, 1_600, 3_200, 3_200]);
        assert!(waits.iter().all(|wait| *wait <= 3_200));
        assert_eq!(failed([10, 0, 0, 2].into(), start), FIRST, "others are not held for it");
        assert_eq!(failed(address, start + Duration::from_secs(59)), LONGEST);
        assert_eq!(failed(address, start + Duration::from_secs(120)), FIRST);
    }

    #[tokio::test]
    async fn addresses_of_one_network_count_together() {
        let (brake, now, _) = here();
        let of = |text: &str| brake.failed(text.parse().unwrap(), None, now).as_millis();
        assert_eq!([of("fd00::1"), of("fd00::ffff:1"), of("fd00:0:0:1::1")], [100, 200, 100]);
        assert_eq!([of("::ffff:10.0.0.1"), of("::ffff:10.0.0.2")], [100, 100]);
    }

    #[tokio::test]
    async fn a_failure_keeps_its_place_and_who_succeeds_does_not() {
        let (brake, now, address) = here();
        assert!(brake.places(address, now).is_none(), "nobody has failed");
        for _ in 0..PLACES {
            assert!(!brake.is_crowded(address, now));
            brake.failed(address, None, now);
        }
        assert!(brake.is_crowded(address, now) && !brake.is_crowded([10, 0, 0, 2].into(), now));
        // The first leaves after 100 ms, and who waits has its place
        let (began, places) = (Instant::now(), brake.places(address, now).unwrap());
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        assert!(began.elapsed() >= FIRST);
        drop(place);
        assert!(!brake.is_crowded(address, now));
        // One that fails in it keeps it, for 1.6 s
        let place = places.try_acquire_owned().unwrap();
        let free = || brake.places(address, now).unwrap().available_permits();
        let before = free();
        brake.failed(address, Some(place), now);
        assert_eq!(free(), before, "its own place");
        assert!(brake.places(address, now + FORGET_AFTER).is_none());
    }

    /// (L4)
    #[tokio::test]
    async fn l4_it_remembers_no_more_than_so_many_addresses() {
        let (brake, start, address) = here();
        for number in 0..20_000_u32 {
            brake.failed(IpAddr::V4(number.into()), None, start);
            assert!(brake.failures.lock().len() <= ADDRESSES);
        }
        assert!(brake.places(IpAddr::V4(19_999.into()), start).is_some(), "the last is known");
        brake.failed(address, None, start + FORGET_AFTER);
        assert!(brake.failures.lock().len() <= ADDRESSES);
    }
}
