//! How many clients a listener takes, in all and from one address. Who comes when there is no room is closed at once, as
//! Kafka does for `max.connections.per.ip`: a client that sees its connection end tries again, later and later, and
//! perhaps at another Fishplate. One that was left in the accept queue would wait for its own time-out, and everyone
//! behind it too.

use super::context::Limits;
use dashmap::DashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The clients of one listener.
#[derive(Debug, Default)]
pub struct Crowd {
    all: AtomicUsize,
    by_address: DashMap<IpAddr, usize>,
}

/// A client's place; free again when dropped.
#[derive(Debug)]
pub struct Admitted {
    crowd: Arc<Crowd>,
    /// `None`: it is not known yet.
    address: Option<IpAddr>,
}

/// Which limit is reached; a word for the metrics.
pub type Full = &'static str;

impl Crowd {
    /// A place for a client of this address.
    ///
    /// # Errors
    /// Where there is none.
    pub fn admit(self: &Arc<Self>, address: IpAddr, limits: &Limits) -> Result<Admitted, Full> {
        self.admit_somebody(limits)?.of(address, limits)
    }

    /// A place for a client whose address will be told.
    ///
    /// # Errors
    /// Where there is none.
    pub fn admit_somebody(self: &Arc<Self>, limits: &Limits) -> Result<Admitted, Full> {
        if self.all.load(Ordering::Relaxed) >= limits.sessions {
            return Err("sessions");
        }
        self.all.fetch_add(1, Ordering::Relaxed);
        Ok(Admitted { crowd: Arc::clone(self), address: None })
    }
}

impl Admitted {
    /// It is a client of this address.
    ///
    /// # Errors
    /// Where there are as many of it as may be: the place is free again.
    pub fn of(mut self, address: IpAddr, limits: &Limits) -> Result<Self, Full> {
        let crowd = Arc::clone(&self.crowd);
        let mut of_address = crowd.by_address.entry(address).or_default();
        if *of_address >= limits.sessions_per_address {
            return Err("sessions_per_address");
        }
        *of_address += 1;
        self.address = Some(address);
        Ok(self)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.crowd.all.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        self.crowd.by_address.remove_if_mut(&address, |_, count| {
            *count = count.saturating_sub(1);
            *count == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_in_all_and_from_one_address() {
        let crowd = Arc::<Crowd>::default();
        let limits = Limits { sessions: 3, sessions_per_address: 2, ..Limits::default() };
        let admit = |last: u8| crowd.admit([127, 0, 0, last].into(), &limits);
        let (one, _two) = (admit(1).unwrap(), admit(1).unwrap());
        assert_eq!(admit(1).err(), Some("sessions_per_address"));
        let _three = admit(2).unwrap();
        assert_eq!(admit(3).err(), Some("sessions"));
        drop(one);
        assert!(admit(1).is_ok());
        assert_eq!(crowd.by_address.len(), 2);
    }

    #[test]
    fn who_comes_through_a_balancer_counts_by_the_address_that_it_names() {
        let crowd = Arc::<Crowd>::default();
        let limits = Limits { sessions: 3, sessions_per_address: 1, ..Limits::default() };
        let somebody = || crowd.admit_somebody(&limits);
        let named = |last: u8| somebody().unwrap().of([192, 0, 2, last].into(), &limits);
        let _one = named(1).unwrap();
        assert_eq!(named(1).err(), Some("sessions_per_address"));
        let (_two, _three) = (named(2).unwrap(), somebody().unwrap());
        assert_eq!(somebody().err(), Some("sessions"), "those who have not said who they are count too");
        assert_eq!(crowd.by_address.len(), 2);
    }
}
