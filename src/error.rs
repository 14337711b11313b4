//! What went wrong on the way, and whether the request had been sent: an API chooses its error code from that
//! (and a metric its label, a log line its level). Knows nothing of any API.

use crate::types::{Slot, Target};
use std::fmt;
use std::sync::Arc;

/// Who is to blame. Also the `by` label of the error metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The client sent what cannot be served.
    Client,
    /// A cluster did not answer, or answered nonsense.
    Cluster(Slot),
    /// Fishplate itself ran into one of its bounds.
    Proxy,
    /// Nobody failed: the client left before the answer came. Not counted.
    Nobody,
}

/// A request, or a part of one, that got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Who failed.
    pub blame: Blame,
    /// Whether any byte of the request may have reached a broker. Where it may have, nobody knows what was done.
    pub sent: bool,
    /// The broker does not serve what was asked: asking again does not help.
    pub lacking: bool,
    /// What happened, to what: a clause that stands in logs and error messages. Never contains record contents.
    pub reason: Arc<str>,
}

impl Fault {
    /// A broker of `target`'s cluster failed us.
    #[must_use]
    pub fn upstream(target: Target, sent: bool, reason: impl fmt::Display) -> Self {
        let reason = format!("{target}: {reason}").into();
        Self { blame: Blame::Cluster(target.cluster), sent, lacking: false, reason }
    }

    /// A broker does not serve an API, in no version that we could speak.
    #[must_use]
    pub fn lacking(target: Target, api: impl fmt::Debug) -> Self {
        Self { lacking: true, ..Self::upstream(target, false, format_args!("it lacks {api:?}")) }
    }

    /// The client left, and with it the links that its requests go over.
    #[must_use]
    pub fn left(sent: bool) -> Self {
        Self { blame: Blame::Nobody, sent, lacking: false, reason: "the client is gone".into() }
    }

    /// A whole cluster failed us before anything was sent.
    #[must_use]
    pub fn cluster(cluster: Slot, reason: impl fmt::Display) -> Self {
        let reason = format!("cluster {cluster}: {reason}").into();
        Self { blame: Blame::Cluster(cluster), sent: false, lacking: false, reason }
    }

    /// Who asks does not come to a cluster.
    #[must_use]
    pub fn barred(cluster: Slot) -> Self {
        let reason = format!("cluster {cluster}: the client has no identity there, and is refused").into();
        Self { blame: Blame::Client, sent: false, lacking: false, reason }
    }

    /// One of our own bounds was reached before anything was sent.
    #[must_use]
    pub fn proxy(reason: impl fmt::Display) -> Self {
        Self { blame: Blame::Proxy, sent: false, lacking: false, reason: reason.to_string().into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, if self.sent { "after it was sent" } else { "before it was sent" })
    }
}

impl std::error::Error for Fault {}
