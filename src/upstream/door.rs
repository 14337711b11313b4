//! How each cluster is entered: in the open or over TLS, and who we say we are there. A reload changes it for links that are
//! opened from then on; those that are open stay. A broker that did not let somebody in is not asked again as that one for a
//! while, by nobody: a wrong password must not become a storm, and must keep nobody else out.

use crate::config::{self, ClientTls, Login};
use crate::security::client::Credentials;
use crate::security::tls::{Client, TlsProblem};
use crate::types::{Guise, Name, Slot, Target};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// See the module's text.
#[derive(Debug, Default)]
pub struct Doors {
    doors: Mutex<HashMap<(Slot, Guise), Arc<Door>>>,
    shut: Mutex<HashMap<(Target, Guise), Shut>>,
}

/// One cluster's, for one who comes. The default one is open to everybody.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// `None`: nothing is encrypted.
    pub tls: Option<Arc<Client>>,
    /// `None`: nobody asks who we are.
    pub login: Option<Credentials>,
    /// Nobody gets through: this is why.
    pub barred: Option<Arc<str>>,
}

/// A broker that did not let us in.
#[derive(Clone, Debug)]
struct Shut {
    wait: Duration,
    until: Instant,
    why: Arc<str>,
}

impl Door {
    /// For who tries it and is gone again: files are read now, and those that cannot be bar it.
    fn tried(tls: Option<&ClientTls>, login: Option<&Login>, whose: &Name) -> Self {
        let login = login.map(|login| Credentials::of(login, whose, Box::new(|_| {})));
        match tls.map(Client::load).transpose() {
            Ok(tls) => Self { tls: tls.map(Arc::new), login, barred: None },
            Err(wrong) => Self::barred(&wrong),
        }
    }

    fn barred(wrong: &TlsProblem) -> Self {
        Self { tls: None, login: None, barred: Some(wrong.to_string().into()) }
    }
}

impl Doors {
    /// All doors of a cluster, as its config says, for who tries them and is gone again.
    pub fn try_all(&self, cluster: &config::Cluster) {
        self.try_own(cluster);
        for one in cluster.identities.all() {
            let tls = one.tls.as_ref().or(cluster.tls.as_ref());
            let door = Door::tried(tls, one.login.as_ref(), &one.whose(&cluster.name));
            self.set(cluster.slot, &one.guise, door);
        }
    }

    /// The same for who comes as Fishplate itself alone: nobody else's files are read.
    pub fn try_own(&self, cluster: &config::Cluster) {
        let door = Door::tried(cluster.tls.as_ref(), cluster.login.as_ref(), &cluster.name);
        self.set(cluster.slot, Guise::OWN, door);
    }

    /// From now on a cluster is entered so by who comes as this one. Whoever was not let in may try again.
    pub fn set(&self, cluster: Slot, guise: &Guise, door: Door) {
        self.doors.lock().insert((cluster, guise.clone()), Arc::new(door));
        self.shut.lock().retain(|(target, by), _| target.cluster != cluster || by != guise);
    }

    /// From now on nobody else enters a cluster but Fishplate itself and these.
    pub fn keep(&self, cluster: Slot, stays: impl Fn(&Guise) -> bool) {
        let is_kept = |of: Slot, guise: &Guise| of != cluster || guise.is_own() || stays(guise);
        self.doors.lock().retain(|(of, guise), _| is_kept(*of, guise));
        self.shut.lock().retain(|(target, guise), _| is_kept(target.cluster, guise));
    }

    /// How a cluster is entered by who comes as this one; `None` where that is nobody any more. Fishplate itself comes as anybody
    /// may where nothing is said: nobody else does.
    #[must_use]
    pub fn of(&self, cluster: Slot, guise: &Guise) -> Option<Arc<Door>> {
        let door = self.doors.lock().get(&(cluster, guise.clone())).cloned();
        door.or_else(|| guise.is_own().then(Arc::default))
    }

    /// Why a broker is not to be tried now as this one.
    #[must_use]
    pub fn is_shut(&self, at: Target, guise: &Guise, now: Instant) -> Option<Arc<str>> {
        let shut = self.shut.lock();
        shut.get(&(at, guise.clone())).filter(|shut| now < shut.until).map(|shut| Arc::clone(&shut.why))
    }

    /// A broker did not let this one in: the wait doubles, from a second up to 30, each with up to a fifth of jitter. Many links
    /// that were under way when it began are one refusal.
    pub fn refused(&self, at: Target, guise: &Guise, why: &str, now: Instant) {
        let mut all = self.shut.lock();
        let place = (at, guise.clone());
        if all.get(&place).is_some_and(|shut| now < shut.until) {
            return;
        }
        let wait = all.get(&place).map_or(FIRST, |before| (before.wait * 2).min(LONGEST));
        let until = now + wait.mul_f64(0.8 + 0.2 * fastrand::f64());
        all.insert(place, Shut { wait, until, why: why.into() });
    }

    /// A broker let this one in.
    pub fn entered(&self, at: Target, guise: &Guise) {
        self.shut.lock().remove(&(at, guise.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::BrokerId;

    fn broker(id: i32) -> Target {
        Target { cluster: Slot::new(3).unwrap(), broker: BrokerId(id) }
    }

    fn alice() -> Guise {
        Guise::Identity { name: "alice".into(), who: "PLAIN as alice".into() }
    }

    #[test]
    fn a_broker_that_refused_us_is_left_alone_for_longer_and_longer() {
        let (doors, now) = (Doors::default(), Instant::now());
        let mut at = now;
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert!(doors.is_shut(broker(1), Guise::OWN, at).is_none());
            doors.refused(broker(1), Guise::OWN, "wrong password", at);
            let since = at;
            while doors.is_shut(broker(1), Guise::OWN, at).is_some() {
                at += Duration::from_millis(100);
            }
            waits.push(at - since);
        }
        assert!(waits[..5].windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= LONGEST + Duration::from_millis(100)), "{waits:?}");
        assert!(doors.is_shut(broker(2), Guise::OWN, now).is_none(), "another broker");
    }

    #[test]
    fn many_links_that_are_refused_at_once_are_refused_once() {
        let (doors, now) = (Doors::default(), Instant::now());
        (0..20).for_each(|_| doors.refused(broker(1), Guise::OWN, "not now", now));
        assert!(doors.is_shut(broker(1), Guise::OWN, now + FIRST).is_none());
    }

    #[test]
    fn another_password_may_be_tried_at_once() {
        let (doors, now) = (Doors::default(), Instant::now());
        doors.refused(broker(1), Guise::OWN, "wrong password", now);
        assert_eq!(doors.is_shut(broker(1), Guise::OWN, now).as_deref(), Some("wrong password"));
        doors.set(broker(1).cluster, Guise::OWN, Door::default());
        assert!(doors.is_shut(broker(1), Guise::OWN, now).is_none());
        // And who was let in begins anew
        doors.refused(broker(1), Guise::OWN, "wrong password", now);
        doors.entered(broker(1), Guise::OWN);
        assert!(doors.is_shut(broker(1), Guise::OWN, now).is_none());
    }

    #[test]
    fn who_is_refused_keeps_nobody_else_out() {
        let (doors, now, cluster) = (Doors::default(), Instant::now(), broker(1).cluster);
        doors.set(cluster, Guise::OWN, Door::default());
        doors.set(cluster, &alice(), Door::default());
        doors.refused(broker(1), &alice(), "wrong password", now);
        assert!(doors.is_shut(broker(1), &alice(), now).is_some());
        assert!(doors.is_shut(broker(1), Guise::OWN, now).is_none());
        // Another password of ours does not make hers right
        doors.set(cluster, Guise::OWN, Door::default());
        assert!(doors.is_shut(broker(1), &alice(), now).is_some());
    }

    #[test]
    fn nobody_enters_as_somebody_who_is_gone() {
        let (doors, cluster) = (Doors::default(), broker(1).cluster);
        let other = Guise::Identity { name: "alice".into(), who: "PLAIN as mallory".into() };
        assert!(doors.of(cluster, Guise::OWN).is_some() && doors.of(cluster, &alice()).is_none());
        doors.set(cluster, &alice(), Door::default());
        assert!(
            doors.of(cluster, &alice()).is_some() && doors.of(cluster, &other).is_none(),
            "the same name, another one"
        );
        doors.keep(cluster, |_| false);
        assert!(doors.of(cluster, Guise::OWN).is_some() && doors.of(cluster, &alice()).is_none());
    }
}
