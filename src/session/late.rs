//! Brokers that let clients wait. One that is frozen keeps its connections open, so nothing but time tells: what it owes
//! is late, and its cluster's metadata is read again. Where that says that others do its work by now, its links are
//! given up, and clients ask again there. The deciding is pure.

use super::orders::{Orders, Partition};
use crate::api::records::produce::{TopicKey, keys_of};
use crate::placement::{Leader, Placement, TopicPlace};
use crate::types::{FastMap, Slot, Target};
use crate::upstream::Link;
use crate::upstream::owed::{LATE, Owed};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

/// One look at all links.
pub struct Watch {
    placement: Arc<Placement>,
    late: BTreeSet<Slot>,
    /// Topics as orders call them, once somebody is late.
    topics: Option<FastMap<TopicKey, Arc<TopicPlace>>>,
    /// Whether a broker leads anything: it takes a walk over all partitions of its cluster to know.
    leads: HashMap<Target, bool>,
}

/// Why a broker will not answer what it owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hopeless {
    Gone,
    LeadsNothing,
    Moved,
}

impl Watch {
    /// Under this placement.
    #[must_use]
    pub fn new(placement: Arc<Placement>) -> Self {
        Self { placement, late: BTreeSet::new(), topics: None, leads: HashMap::new() }
    }

    /// Looks at one link of a session, whose Produce requests are in this order. Gives it up where others do its
    /// broker's work: everyone who waits is told, and an idempotent batch closes its session, as with any link that
    /// ends (L6).
    pub fn see<P>(&mut self, link: &Link, now: Instant, orders: &Orders<P>) {
        let Some(owed) = link.owed(now) else { return };
        if owed.late {
            self.late.insert(link.target().cluster);
        }
        match self.hopeless(link.target(), owed, || orders.on_their_way(link.id())) {
            Some(Hopeless::Gone) => link.poison("gone", &"it does not answer, and its cluster counts it out"),
            Some(Hopeless::LeadsNothing | Hopeless::Moved) => {
                link.poison("moved", &"it does not answer, and others lead what it led");
            }
            None => {}
        }
    }

    /// The clusters that have a late broker.
    pub fn late(&self) -> impl Iterator<Item = Slot> {
        self.late.iter().copied()
    }

    /// Whether any broker is late.
    #[must_use]
    pub fn is_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// A broker that its cluster counts out is waited for only as long as one that is shutting down may need to answer
    /// what it has, however long a request allows; one that lives, until it is late.
    fn hopeless(
        &mut self,
        broker: Target,
        owed: Owed,
        on_their_way: impl FnOnce() -> Vec<Partition>,
    ) -> Option<Hopeless> {
        let lives = self.placement.cluster(broker.cluster)?.snapshot.brokers.contains_key(&broker.broker);
        if !lives {
            return (owed.waited >= LATE).then_some(Hopeless::Gone);
        }
        if !owed.late {
            return None;
        }
        if on_their_way().iter().any(|partition| self.is_elsewhere(*partition, broker)) {
            return Some(Hopeless::Moved);
        }
        let Self { placement, leads, .. } = self;
        let leads = *leads.entry(broker).or_insert_with(|| leads_anything(broker, placement));
        (!leads).then_some(Hopeless::LeadsNothing)
    }

    /// Whether another broker leads a partition now. One that nobody leads may come back to its old leader.
    fn is_elsewhere(&mut self, partition: Partition, broker: Target) -> bool {
        let called = |place: &Arc<TopicPlace>| keys_of(&place.topic).map(|key| (key, Arc::clone(place)));
        let topics = self.topics.get_or_insert_with(|| self.placement.topics().flat_map(called).collect());
        let leader = topics.get(&partition.topic).map(|place| place.leader(partition.index));
        matches!(leader, Some(Leader::At(leader, _)) if leader != broker)
    }
}

/// Kafka's internal topics count: who leads a partition of the offsets coordinates groups. A cluster of which we know
/// no topic tells nothing.
fn leads_anything(broker: Target, placement: &Placement) -> bool {
    let Some(cluster) = placement.cluster(broker.cluster) else { return true };
    let mut partitions = cluster.snapshot.topics.values().flat_map(|topic| &topic.partitions).peekable();
    partitions.peek().is_none() || partitions.any(|partition| partition.leader == broker.broker.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::at;
    use crate::placement::build::tests::{placement, topic};
    use std::time::Duration;

    /// What is decided of a broker of cluster `a`, where 1 and 2 lead partitions of `x`, that was sent `x`'s partition 0.
    fn decided(broker: i32, waited: Duration, late: bool) -> Option<Hopeless> {
        let mut watch = Watch::new(Arc::new(placement(&[topic("x", &[1, 2, -1])], &[topic("b-1", &[3])]).0));
        let sent = || vec![Partition::new("x", 0)];
        watch.hopeless(at(0, broker), Owed { waited, late }, sent)
    }

    #[test]
    fn a_broker_is_given_up_only_where_others_do_its_work() {
        let minute = Duration::from_secs(60);
        assert_eq!(decided(1, minute, true), None, "it leads what it was sent: nobody else could answer");
        assert_eq!(decided(2, LATE, true), Some(Hopeless::Moved));
        assert_eq!(decided(2, LATE, false), None, "a long poll");
        assert_eq!(decided(9, LATE / 2, true), None, "it may be shutting down in good order");
        assert_eq!(decided(9, LATE, false), Some(Hopeless::Gone), "a long poll too: nobody will answer it");
    }

    #[test]
    fn a_broker_that_leads_nothing_any_more_answers_no_long_poll() {
        let (sent, owed) = (Vec::new, Owed { waited: LATE, late: true });
        let mut watch = Watch::new(Arc::new(placement(&[topic("x", &[1, 2])], &[]).0));
        assert_eq!(watch.hopeless(at(0, 3), owed, sent), Some(Hopeless::LeadsNothing));
        assert_eq!(watch.hopeless(at(0, 1), owed, sent), None);
        assert_eq!(watch.hopeless(at(1, 3), owed, sent), None, "we know no topic there");
    }

    #[test]
    fn a_partition_is_found_by_name_or_id_and_one_without_a_leader_is_nowhere() {
        let x = topic("x", &[1, -1]);
        let mut watch = Watch::new(Arc::new(placement(&[Arc::clone(&x)], &[]).0));
        for topic in keys_of(&x) {
            let mut elsewhere = |index, broker| watch.is_elsewhere(Partition { topic, index }, at(0, broker));
            assert!(elsewhere(0, 2) && !elsewhere(0, 1) && !elsewhere(1, 2));
        }
        assert!(!watch.is_elsewhere(Partition::new("nope", 0), at(0, 2)));
    }
}
