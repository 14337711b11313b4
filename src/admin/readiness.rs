//! Whether this replica should be given traffic: the rule behind `/readyz`.

use crate::types::Name;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// A cluster that has not answered for this long does not hold readiness up any more: the others' topics are served.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known so far. Made when the config is loaded; whoever learns something says so.
///
/// Ready is: every cluster's metadata was read once, or could not be for ten seconds. A cluster that is down later
/// does not make a replica unready, for then all replicas would be, and the other clusters' topics gone with them.
pub struct Readiness(Mutex<Known>);

struct Known {
    clusters: BTreeMap<Name, Cluster>,
    shutting_down: bool,
}

struct Cluster {
    since: Instant,
    answered: bool,
}

/// The answer, with the reason in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Give it traffic. These clusters did not answer yet and are not waited for any longer.
    Yes {
        /// In the order of their names.
        without: Vec<Name>,
    },
    /// These clusters have not answered yet.
    Waiting {
        /// In the order of their names.
        on: Vec<Name>,
    },
    /// Give it no new traffic: it is about to end.
    ShuttingDown,
}

impl Readiness {
    /// The config is loaded and these are its clusters.
    #[must_use]
    pub fn new(clusters: impl IntoIterator<Item = Name>) -> Self {
        let fresh = |name| (name, Cluster { since: Instant::now(), answered: false });
        Self(Mutex::new(Known { clusters: clusters.into_iter().map(fresh).collect(), shutting_down: false }))
    }

    /// Another config has these clusters. Nobody waits for those that are new in it: a reload makes no replica unready.
    pub fn reloaded(&self, clusters: impl IntoIterator<Item = Name>) {
        let mut known = self.0.lock();
        let mut before = std::mem::take(&mut known.clusters);
        let long_ago = Instant::now().checked_sub(PATIENCE).unwrap_or_else(Instant::now);
        known.clusters = clusters
            .into_iter()
            .map(|name| {
                let cluster = before.remove(&name).unwrap_or(Cluster { since: long_ago, answered: false });
                (name, cluster)
            })
            .collect();
    }

    /// A cluster's metadata was read. Saying it again changes nothing, a cluster that is not in the config neither.
    pub fn answered(&self, cluster: &Name) {
        if let Some(cluster) = self.0.lock().clusters.get_mut(cluster) {
            cluster.answered = true;
        }
    }

    /// Shutdown has begun.
    pub fn shutting_down(&self) {
        self.0.lock().shutting_down = true;
    }

    /// The rule, now.
    #[must_use]
    pub fn ready(&self) -> Ready {
        self.ready_at(Instant::now())
    }

    fn ready_at(&self, now: Instant) -> Ready {
        let known = self.0.lock();
        if known.shutting_down {
            return Ready::ShuttingDown;
        }
        let silent = || known.clusters.iter().filter(|(_, cluster)| !cluster.answered);
        let waited_for = |since| now.saturating_duration_since(since) < PATIENCE;
        let on: Vec<_> = silent().filter(|(_, c)| waited_for(c.since)).map(|(name, _)| name.clone()).collect();
        if on.is_empty() {
            Ready::Yes { without: silent().map(|(name, _)| name.clone()).collect() }
        } else {
            Ready::Waiting { on }
        }
    }
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[Name]| names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::Yes { without } if without.is_empty() => f.write_str("ready"),
            Self::Yes { without } => write!(f, "ready, without clusters that do not answer: {}", list(without)),
            Self::Waiting { on } => {
                write!(f, "not ready: waiting up to {} s for metadata of: {}", PATIENCE.as_secs(), list(on))
            }
            Self::ShuttingDown => f.write_str("not ready: shutting down"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_each_cluster_answered_once() {
        let readiness = Readiness::new(["a".into(), "b".into()]);
        assert_eq!(readiness.ready(), Ready::Waiting { on: vec!["a".into(), "b".into()] });
        readiness.answered(&"b".into());
        readiness.answered(&"not in the config".into());
        assert_eq!(readiness.ready().to_string(), "not ready: waiting up to 10 s for metadata of: a");
        readiness.answered(&"a".into());
        assert_eq!(readiness.ready(), Ready::Yes { without: vec![] });
    }

    #[test]
    fn a_cluster_that_never_answers_is_waited_for_ten_seconds() {
        let readiness = Readiness::new(["a".into(), "b".into()]);
        readiness.answered(&"a".into());
        let after = |seconds| readiness.ready_at(Instant::now() + Duration::from_secs(seconds));
        assert_eq!(after(9), Ready::Waiting { on: vec!["b".into()] });
        assert_eq!(after(11), Ready::Yes { without: vec!["b".into()] });
        assert_eq!(after(11).to_string(), "ready, without clusters that do not answer: b");
    }

    #[test]
    fn nothing_makes_it_ready_again_once_it_is_shutting_down() {
        let readiness = Readiness::new(["a".into()]);
        readiness.answered(&"a".into());
        readiness.shutting_down();
        readiness.answered(&"a".into());
        assert_eq!(readiness.ready(), Ready::ShuttingDown);
    }
}
