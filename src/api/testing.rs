//! What unit tests of the APIs stand on: two clusters, `a` (slot 0, the default) and `b` (slot 1, for topics `b-*` and
//! groups `gb-*`), brokers 1 to 3 each, at hosts that must never reach a client.

use super::{Api, Effects, Need, Part, Plan, Refusal, Seen};
use crate::placement::Placement;
use crate::placement::build::tests::{placement, slot};
use crate::types::{BrokerId, HostPort, Slot, Target};
use crate::upstream::Topic;
use std::collections::HashMap;
use std::sync::Arc;

/// A placement with what else a plan looks at.
pub(crate) struct World {
    pub(crate) placement: Placement,
    pub(crate) address: HostPort,
    pub(crate) refused: Vec<(Need, Refusal)>,
    coordinators: HashMap<(Slot, String), BrokerId>,
    lookup: Box<dyn Fn(Slot, &str) -> Option<BrokerId> + Sync>,
}

impl Default for World {
    fn default() -> Self {
        Self::with(&[], &[])
    }
}

impl World {
    /// These topics on the two clusters.
    pub(crate) fn with(a: &[Arc<Topic>], b: &[Arc<Topic>]) -> Self {
        Self {
            placement: placement(a, b).0,
            address: HostPort::new("proxy.example", 9092),
            refused: Vec::new(),
            coordinators: HashMap::new(),
            lookup: Box::new(|_, _| None),
        }
    }

    /// This group is coordinated by this broker of a cluster.
    pub(crate) fn coordinated(mut self, cluster: u8, group: &str, broker: i32) -> Self {
        self.coordinators.insert((slot(cluster), group.to_owned()), BrokerId(broker));
        let known = self.coordinators.clone();
        self.lookup = Box::new(move |cluster, group| known.get(&(cluster, group.to_owned())).copied());
        self
    }

    /// What a request in this version sees.
    pub(crate) fn seen(&self, version: i16) -> Seen<'_> {
        Seen {
            version,
            placement: &self.placement,
            address: &self.address,
            coordinator: &*self.lookup,
            refused: &self.refused,
        }
    }
}

/// A broker of a cluster.
pub(crate) fn at(cluster: u8, broker: i32) -> Target {
    Target { cluster: slot(cluster), broker: BrokerId(broker) }
}

/// The plan's seed and parts.
pub(crate) fn sent<A: Api>(plan: Plan<A>) -> (A::Response, Vec<Part<A>>) {
    match plan {
        Plan::Send { seed, parts } => (seed, parts),
        Plan::Answer(_) => panic!("answered, not sent"),
        Plan::Wait(needs) => panic!("waits for {needs:?}"),
    }
}

/// Plans a request, answers each part with `broker`, and gives the response that the client gets.
pub(crate) fn round<A: Api>(
    request: &A::Request,
    seen: &Seen<'_>,
    mut broker: impl FnMut(Target, A::Request) -> Result<A::Response, crate::error::Fault>,
) -> (A::Response, Effects) {
    let mut effects = Effects::new();
    match A::plan(request, seen) {
        Plan::Answer(answer) => (answer, effects),
        Plan::Wait(needs) => panic!("waits for {needs:?}"),
        Plan::Send { mut seed, parts } => {
            for part in parts {
                let answer = broker(part.to, part.request);
                A::absorb(&mut seed, part.origin, answer, seen, &mut effects);
            }
            (seed, effects)
        }
    }
}
