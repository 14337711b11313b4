//! How each cluster is entered: in the open or over TLS, and who we say we are there. A reload changes it for links that are
//! opened from then on; those that are open stay. A broker that did not let us in is not asked again for a while, by nobody:
//! a wrong password must not become a storm.

use crate::security::client::Credentials;
use crate::security::tls::Client;
use crate::types::{Slot, Target};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// See the module's text.
#[derive(Debug, Default)]
pub struct Doors {
    doors: Mutex<HashMap<Slot, Arc<Door>>>,
    shut: Mutex<HashMap<Target, Shut>>,
}

/// One cluster's. The default one is open to everybody.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// `None`: nothing is encrypted.
    pub tls: Option<Arc<Client>>,
    /// `None`: nobody asks who we are.
    pub login: Option<Credentials>,
}

/// A broker that did not let us in.
#[derive(Clone, Debug)]
struct Shut {
    wait: Duration,
    until: Instant,
    why: Arc<str>,
}

impl Doors {
    /// From now on a cluster is entered so. Whoever was not let in may try again.
    pub fn set(&self, cluster: Slot, door: Door) {
        self.doors.lock().insert(cluster, Arc::new(door));
        self.shut.lock().retain(|target, _| target.cluster != cluster);
    }

    /// How a cluster is entered.
    #[must_use]
    pub fn of(&self, cluster: Slot) -> Arc<Door> {
        self.doors.lock().get(&cluster).cloned().unwrap_or_default()
    }

    /// Why a broker is not to be tried now.
    #[must_use]
    pub fn is_shut(&self, at: Target, now: Instant) -> Option<Arc<str>> {
        let shut = self.shut.lock();
        shut.get(&at).filter(|shut| now < shut.until).map(|shut| Arc::clone(&shut.why))
    }

    /// A broker did not let us in: the wait doubles, from a second up to 30, each with up to a fifth of jitter.
    pub fn refused(&self, at: Target, why: &str, now: Instant) {
        let mut all = self.shut.lock();
        let wait = all.get(&at).map_or(FIRST, |before| (before.wait * 2).min(LONGEST));
        let until = now + wait.mul_f64(0.8 + 0.2 * fastrand::f64());
        all.insert(at, Shut { wait, until, why: why.into() });
    }

    /// A broker let us in.
    pub fn entered(&self, at: Target) {
        self.shut.lock().remove(&at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::BrokerId;

    fn broker(id: i32) -> Target {
        Target { cluster: Slot::new(3).unwrap(), broker: BrokerId(id) }
    }

    #[test]
    fn a_broker_that_refused_us_is_left_alone_for_longer_and_longer() {
        let (doors, now) = (Doors::default(), Instant::now());
        let mut at = now;
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert!(doors.is_shut(broker(1), at).is_none());
            doors.refused(broker(1), "wrong password", at);
            let since = at;
            while doors.is_shut(broker(1), at).is_some() {
                at += Duration::from_millis(100);
            }
            waits.push(at - since);
        }
        assert!(waits[..5].windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= LONGEST + Duration::from_millis(100)), "{waits:?}");
        assert!(doors.is_shut(broker(2), now).is_none(), "another broker");
    }

    #[test]
    fn another_password_may_be_tried_at_once() {
        let (doors, now) = (Doors::default(), Instant::now());
        doors.refused(broker(1), "wrong password", now);
        assert_eq!(doors.is_shut(broker(1), now).as_deref(), Some("wrong password"));
        doors.set(broker(1).cluster, Door::default());
        assert!(doors.is_shut(broker(1), now).is_none());
        // And who was let in begins anew
        doors.refused(broker(1), "wrong password", now);
        doors.entered(broker(1));
        assert!(doors.is_shut(broker(1), now).is_none());
    }
}
