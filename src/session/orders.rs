//! The order of one session's Produce parts (L3): what is on its way over which link, and what is held back until it
//! may go. A batch never goes over another link while an earlier one of its partition is not answered (to another
//! broker, or to the same one after its link died: it might be served before what that link still carries), and never
//! overtakes one that is held, nor, where its producer is idempotent, one that was refused (`refusals`) or may yet be, by
//! a broker that would then take it (`known`). Once the order is
//! over, nothing goes any more. Pure but for its lock.

use super::known::Known;
use super::refusals::{Refusals, Refuser, Way};
use crate::api::records::produce::TopicKey;
use crate::api::records::stamp::Stamp;
use crate::policy::deputy::Before;
use crate::types::{FastMap, Target};
use crate::upstream::LinkId;
use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};
use tokio::sync::Notify;

/// A partition, as the order sees it.
pub type Partition = crate::api::records::produce::Partition;

/// See the module's text. `P` is what is held.
#[derive(Debug)]
pub struct Orders<P> {
    inner: Mutex<Inner<P>>,
    /// Rings when something that is held might go.
    moved: Notify,
    /// Rings when nothing is on its way or held any more, for who waits for that.
    settled: Notify,
}

#[derive(Debug)]
struct Inner<P> {
    flights: FastMap<Partition, Flight>,
    refusals: Refusals,
    known: Known,
    /// With the number of the request that each is of: oldest first.
    held: VecDeque<(u64, P)>,
    /// How many held cells each partition has.
    waiting: FastMap<Partition, usize>,
    /// A task is seeing to what is held.
    tended: bool,
    /// Somebody waits until all is settled.
    awaited: bool,
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    by: LinkId,
    parts: usize,
    /// Its broker has not shown that it knows the producer.
    first: bool,
}

impl<P> Default for Orders<P> {
    fn default() -> Self {
        let inner = Inner {
            flights: FastMap::default(),
            refusals: Refusals::default(),
            known: Known::default(),
            held: VecDeque::new(),
            waiting: FastMap::default(),
            tended: false,
            awaited: false,
            ended: false,
        };
        Self { inner: Mutex::new(inner), moved: Notify::new(), settled: Notify::new() }
    }
}

/// The order while it is being changed: what is decided and sent under it happens at once for all others.
pub struct Changing<'a, P>(parking_lot::MutexGuard<'a, Inner<P>>);

impl<P> Orders<P> {
    /// Takes the order's lock.
    pub fn change(&self) -> Changing<'_, P> {
        Changing(self.inner.lock())
    }

    /// A part was answered: its partitions may go elsewhere from now on, when `note` has noted what was said of them.
    pub fn landed<'p>(&self, partitions: impl Iterator<Item = &'p Partition>, note: impl FnOnce(&mut Changing<'_, P>)) {
        let mut order = self.change();
        note(&mut order);
        order.landed(partitions);
        if !order.0.held.is_empty() {
            self.moved.notify_one();
        } else if order.0.awaited {
            self.settled.notify_waiters();
        }
    }

    /// Waits until nothing is on its way or held any more, or the order is over.
    pub async fn settled(&self) {
        loop {
            let settled = self.settled.notified();
            self.inner.lock().awaited = true;
            if self.is_settled() {
                return;
            }
            settled.await;
        }
    }

    /// Whether nothing is on its way or held any more, or the order is over.
    pub fn is_settled(&self) -> bool {
        let order = self.change();
        order.is_quiet() || order.is_over()
    }

    /// Whether a batch of one of these topics is on its way.
    pub fn carries(&self, topics: &HashSet<TopicKey>) -> bool {
        self.inner.lock().flights.keys().any(|partition| topics.contains(&partition.topic))
    }

    /// The partitions whose batches are on their way over a link.
    pub fn on_their_way(&self, by: LinkId) -> Vec<Partition> {
        let inner = self.inner.lock();
        inner.flights.iter().filter(|(_, flight)| flight.by == by).map(|(partition, _)| *partition).collect()
    }

    /// What is held needs something that nobody has been asked for yet.
    pub fn ring(&self) {
        self.moved.notify_one();
    }

    /// Waits until something that is held might go.
    pub async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Nothing is held any more, and the tending task ends. False where something has come meanwhile.
    pub fn untended(&self) -> bool {
        let mut inner = self.inner.lock();
        if inner.held.is_empty() {
            inner.tended = false;
            self.settled.notify_waiters();
        }
        !inner.tended
    }

    /// The order is over, as its session is, or since a batch was refused that no later one may overtake (L6): nothing may go
    /// or be held any more. Gives what was held, which nobody carries now.
    pub fn end(&self) -> impl Iterator<Item = P> + use<P> {
        let held = {
            let mut inner = self.inner.lock();
            inner.ended = true;
            inner.waiting.clear();
            std::mem::take(&mut inner.held)
        };
        self.moved.notify_one();
        self.settled.notify_waiters();
        held.into_iter().map(|(_, held)| held)
    }
}

impl<P> Changing<'_, P> {
    /// Whether nothing may go any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.ended
    }

    /// A batch was refused that no later one may overtake: from now on nothing goes. What is held stays until
    /// [`Orders::end`].
    pub fn break_off(&mut self) {
        self.0.ended = true;
    }

    /// Whether a batch of this partition may go to this broker over this link now. Behind another that is on its way it
    /// may where that broker finds gaps: anywhere, unless its producer is idempotent and the broker has not shown that
    /// it knows it (L6).
    #[must_use]
    pub fn may_go(&self, partition: &Partition, stamp: Option<Stamp>, to: Target, by: LinkId) -> bool {
        let finds_gaps = || stamp.is_none_or(|stamp| self.0.known.knows(partition, stamp, to));
        !self.0.ended
            && !self.is_waiting(partition)
            && self.0.flights.get(partition).is_none_or(|flight| flight.by == by && finds_gaps())
    }

    /// Whether a batch of this partition is held: later ones wait behind it.
    #[must_use]
    pub fn is_waiting(&self, partition: &Partition) -> bool {
        self.0.waiting.contains_key(partition)
    }

    /// Whether what is held of this partition waits for no more than its turn: for the answer to a producer's first batch.
    #[must_use]
    pub fn is_behind_a_first(&self, partition: &Partition) -> bool {
        self.0.flights.get(partition).is_some_and(|flight| flight.first)
    }

    /// Whether nothing was refused that something else could overtake, as nearly always.
    #[must_use]
    pub fn is_unrefused(&self) -> bool {
        self.0.refusals.is_empty()
    }

    /// Where a batch may go, for what was refused before it.
    #[must_use]
    pub fn way(&self, partition: &Partition, stamp: Option<Stamp>) -> Way {
        self.0.refusals.way(partition, stamp)
    }

    /// What stands before a batch: what is on its way or held, or was refused so that it could overtake it.
    #[must_use]
    pub fn before(&self, partition: &Partition, stamp: Stamp) -> Before {
        if self.way(partition, Some(stamp)) != Way::Free {
            Before::Refused
        } else if self.0.flights.contains_key(partition) || self.is_waiting(partition) {
            Before::Underway
        } else {
            Before::Nothing
        }
    }

    /// We refused a batch ourselves.
    pub fn refused_by_us(&mut self, partition: Partition, stamp: Stamp) {
        self.0.refusals.note(partition, stamp, Refuser::Ourselves);
    }

    /// Whether so many were refused that the session must end.
    #[must_use]
    pub fn is_full_of_refusals(&self) -> bool {
        self.0.refusals.is_full()
    }

    /// A broker refused a batch, for this reason.
    pub fn refused(&mut self, partition: Partition, stamp: Stamp, by: Target, code: i16) {
        let knew = self.0.known.knows(&partition, stamp, by);
        self.0.known.refused(&partition);
        self.0.refusals.note(partition, stamp, Refuser::broker(by, knew, code));
    }

    /// A broker has written a batch.
    pub fn written(&mut self, partition: &Partition, stamp: Stamp, by: Target) {
        self.0.known.written(partition, stamp, by);
        self.0.refusals.written(partition, stamp);
    }

    /// A batch of this partition is on its way.
    pub fn goes(&mut self, partition: &Partition, stamp: Option<Stamp>, to: Target, by: LinkId) {
        self.0.refusals.went(partition, stamp);
        let first = stamp.is_some_and(|stamp| !self.0.known.knows(partition, stamp, to));
        let flight = self.0.flights.entry(*partition).or_insert(Flight { by, parts: 0, first });
        flight.parts += 1;
        flight.first |= first;
    }

    /// A part has come to its end, or back.
    pub fn landed<'p>(&mut self, partitions: impl Iterator<Item = &'p Partition>) {
        let flights = &mut self.0.flights;
        for partition in partitions {
            if let Some(flight) = flights.get_mut(partition) {
                flight.parts -= 1;
                if flight.parts == 0 {
                    flights.remove(partition);
                }
            }
        }
    }

    /// What is held, oldest first.
    pub fn held(&self) -> impl Iterator<Item = &P> {
        self.0.held.iter().map(|(_, held)| held)
    }

    /// Takes all that is held, oldest first, to be placed again before the lock is given back.
    pub fn take_held(&mut self) -> Vec<P> {
        self.0.waiting.clear();
        self.0.held.drain(..).map(|(_, held)| held).collect()
    }

    /// Holds a part of a request, with the partitions in it, behind what is held of older requests: one that comes back
    /// unsent stands before those that waited for it. True where somebody must begin to tend what is held.
    pub fn hold(&mut self, number: u64, partitions: impl IntoIterator<Item = Partition>, held: P) -> bool {
        for partition in partitions {
            *self.0.waiting.entry(partition).or_default() += 1;
        }
        if self.0.ended {
            return false;
        }
        let at = self.0.held.partition_point(|(older, _)| *older <= number);
        self.0.held.insert(at, (number, held));
        !std::mem::replace(&mut self.0.tended, true)
    }

    /// Whether nothing is on its way or held.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.0.flights.is_empty() && self.0.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BrokerId, Slot};
    use std::sync::Arc;

    fn partition(index: i32) -> Partition {
        Partition::new("t", index)
    }

    fn broker(id: i32) -> Target {
        Target { cluster: Slot::new(0).unwrap(), broker: BrokerId(id) }
    }

    fn link(id: u64) -> LinkId {
        LinkId(id)
    }

    /// (L3)
    #[test]
    fn l3_a_batch_waits_while_an_earlier_one_is_at_another_link() {
        let orders: Orders<&str> = Orders::default();
        let mut order = orders.change();
        order.goes(&partition(0), None, broker(1), link(1));
        order.goes(&partition(0), None, broker(1), link(1));
        assert!(order.may_go(&partition(0), None, broker(1), link(1)), "the same link keeps the order itself");
        assert!(!order.may_go(&partition(0), None, broker(2), link(2)));
        assert!(order.may_go(&partition(1), None, broker(2), link(2)), "another partition has an order of its own");
        drop(order);
        orders.landed([partition(0)].iter(), |_| {});
        assert!(!orders.change().may_go(&partition(0), None, broker(2), link(2)), "one is still on its way");
        orders.landed([partition(0)].iter(), |_| {});
        assert!(orders.change().may_go(&partition(0), None, broker(2), link(2)));
        assert!(orders.change().is_quiet());
    }

    /// (L3)
    #[test]
    fn l3_nothing_overtakes_what_is_held() {
        let orders = Orders::default();
        assert!(orders.change().hold(1, [partition(0)], "first"));
        assert!(!orders.change().may_go(&partition(0), None, broker(1), link(1)));
        assert!(!orders.change().hold(2, [partition(0)], "second"), "one task tends them all");
        assert!(!orders.untended());
        assert_eq!(orders.change().take_held(), ["first", "second"]);
        assert!(orders.change().may_go(&partition(0), None, broker(1), link(1)));
        assert!(orders.untended());
    }

    /// (L3)
    #[test]
    fn l3_what_comes_back_unsent_stands_before_what_waited_for_it() {
        let orders = Orders::default();
        let mut order = orders.change();
        order.goes(&partition(0), None, broker(1), link(1));
        assert!(order.hold(2, [partition(0)], "second"));
        order.landed([partition(0)].iter());
        assert!(!order.hold(1, [partition(0)], "first, back again"));
        assert_eq!(order.take_held(), ["first, back again", "second"]);
    }

    /// [L5]
    #[tokio::test]
    async fn l5_who_waits_for_all_to_be_delivered_is_told() {
        let orders: Arc<Orders<&str>> = Arc::default();
        orders.settled().await;
        orders.change().goes(&partition(0), None, broker(1), link(1));
        assert!(orders.change().hold(2, [partition(0)], "held"));
        let waiting = tokio::spawn({
            let orders = Arc::clone(&orders);
            async move { orders.settled().await }
        });
        tokio::task::yield_now().await;
        orders.landed([partition(0)].iter(), |_| {});
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "one is held");
        assert_eq!(orders.change().take_held().len(), 1);
        assert!(orders.untended());
        waiting.await.unwrap();
    }

    /// [L6]
    #[test]
    fn l6_nothing_goes_once_a_batch_was_refused() {
        let orders = Orders::default();
        orders.change().goes(&partition(0), None, broker(1), link(1));
        assert!(orders.change().hold(1, [partition(1)], "held"));
        orders.change().break_off();
        orders.landed([partition(0)].iter(), |_| {});
        assert!(orders.change().is_over());
        assert!(!orders.change().may_go(&partition(0), None, broker(1), link(1)), "not even over the same link");
        assert!(!orders.change().hold(2, [partition(2)], "late"));
        assert_eq!(orders.end().collect::<Vec<_>>(), ["held"]);
        assert!(orders.untended(), "and what was held is gone");
    }

    /// [L6]
    #[test]
    fn l6_only_a_broker_that_knows_the_producer_gets_batches_one_behind_the_other() {
        let at = |sequence| Some(Stamp { producer: 7, epoch: 0, sequence });
        let orders: Orders<&str> = Orders::default();
        let mut order = orders.change();
        order.goes(&partition(0), at(0), broker(1), link(1));
        assert!(order.is_behind_a_first(&partition(0)));
        assert!(!order.may_go(&partition(0), at(1), broker(1), link(1)), "it would take this one, were the first lost");
        assert!(order.may_go(&partition(0), None, broker(1), link(1)), "a plain one has no place in the sequence");
        assert!(order.may_go(&partition(1), at(0), broker(1), link(1)), "another partition");
        order.landed([partition(0)].iter());
        order.written(&partition(0), at(0).unwrap(), broker(1));
        order.goes(&partition(0), at(1), broker(1), link(1));
        assert!(!order.is_behind_a_first(&partition(0)));
        assert!(order.may_go(&partition(0), at(2), broker(1), link(1)), "it would find the gap");
    }
}
