//! The order of one session's Produce parts (L3): what is on its way over which link, and what is held back until it
//! may go. A batch never goes over another link while an earlier one of its partition is not answered (to another
//! broker, or to the same one after its link died: it might be served before what that link still carries), and never
//! overtakes one that is held. Once the order is over, nothing goes any more. Pure but for its lock.

use crate::types::FastMap;
use crate::upstream::LinkId;
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::Notify;

/// A partition, as the order sees it.
pub type Partition = crate::api::produce::Partition;

/// See the module's text. `P` is what is held.
#[derive(Debug)]
pub struct Orders<P> {
    inner: Mutex<Inner<P>>,
    /// Rings when something that is held might go.
    moved: Notify,
}

#[derive(Debug)]
struct Inner<P> {
    flights: FastMap<Partition, Flight>,
    held: VecDeque<P>,
    /// How many held cells each partition has.
    waiting: FastMap<Partition, usize>,
    /// A task is seeing to what is held.
    tended: bool,
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    by: LinkId,
    parts: usize,
}

impl<P> Default for Orders<P> {
    fn default() -> Self {
        let inner = Inner {
            flights: FastMap::default(),
            held: VecDeque::new(),
            waiting: FastMap::default(),
            tended: false,
            ended: false,
        };
        Self { inner: Mutex::new(inner), moved: Notify::new() }
    }
}

/// The order while it is being changed: what is decided and sent under it happens at once for all others.
pub struct Changing<'a, P>(parking_lot::MutexGuard<'a, Inner<P>>);

impl<P> Orders<P> {
    /// Takes the order's lock.
    pub fn change(&self) -> Changing<'_, P> {
        Changing(self.inner.lock())
    }

    /// A part was answered: its partitions may go elsewhere from now on.
    pub fn landed<'p>(&self, partitions: impl Iterator<Item = &'p Partition>) {
        let mut inner = self.inner.lock();
        for partition in partitions {
            if let Some(flight) = inner.flights.get_mut(partition) {
                flight.parts -= 1;
                if flight.parts == 0 {
                    inner.flights.remove(partition);
                }
            }
        }
        if !inner.held.is_empty() {
            self.moved.notify_one();
        }
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
        }
        !inner.tended
    }

    /// The order is over, as its session is, or since a batch was refused that no later one may overtake (L6): what is
    /// held is dropped, and nothing may go or be held any more.
    pub fn end(&self) {
        let held = {
            let mut inner = self.inner.lock();
            inner.ended = true;
            inner.waiting.clear();
            std::mem::take(&mut inner.held)
        };
        drop(held);
        self.moved.notify_one();
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

    /// Whether a batch of this partition may go over this link now.
    #[must_use]
    pub fn may_go(&self, partition: &Partition, by: LinkId) -> bool {
        !self.0.ended
            && !self.0.waiting.contains_key(partition)
            && self.0.flights.get(partition).is_none_or(|flight| flight.by == by)
    }

    /// A batch of this partition is on its way.
    pub fn goes(&mut self, partition: Partition, by: LinkId) {
        self.0.flights.entry(partition).or_insert(Flight { by, parts: 0 }).parts += 1;
    }

    /// What is held, oldest first.
    pub fn held(&self) -> impl Iterator<Item = &P> {
        self.0.held.iter()
    }

    /// Takes all that is held, oldest first, to be placed again before the lock is given back.
    pub fn take_held(&mut self) -> Vec<P> {
        self.0.waiting.clear();
        self.0.held.drain(..).collect()
    }

    /// Holds a part of a request, with the partitions in it. True where somebody must begin to tend what is held.
    pub fn hold(&mut self, partitions: impl IntoIterator<Item = Partition>, held: P) -> bool {
        for partition in partitions {
            *self.0.waiting.entry(partition).or_default() += 1;
        }
        if self.0.ended {
            return false;
        }
        self.0.held.push_back(held);
        !std::mem::replace(&mut self.0.tended, true)
    }

    /// Whether anything is on its way or held.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.0.flights.is_empty() && self.0.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(index: i32) -> Partition {
        Partition::new("t", index)
    }

    fn link(id: u64) -> LinkId {
        LinkId(id)
    }

    /// (L3)
    #[test]
    fn l3_a_batch_waits_while_an_earlier_one_is_at_another_link() {
        let orders: Orders<&str> = Orders::default();
        let mut order = orders.change();
        order.goes(partition(0), link(1));
        order.goes(partition(0), link(1));
        assert!(order.may_go(&partition(0), link(1)), "the same link keeps the order itself");
        assert!(!order.may_go(&partition(0), link(2)));
        assert!(order.may_go(&partition(1), link(2)), "another partition has an order of its own");
        drop(order);
        orders.landed([partition(0)].iter());
        assert!(!orders.change().may_go(&partition(0), link(2)), "one is still on its way");
        orders.landed([partition(0)].iter());
        assert!(orders.change().may_go(&partition(0), link(2)));
        assert!(orders.change().is_quiet());
    }

    /// (L3)
    #[test]
    fn l3_nothing_overtakes_what_is_held() {
        let orders = Orders::default();
        assert!(orders.change().hold([partition(0)], "first"));
        assert!(!orders.change().may_go(&partition(0), link(1)));
        assert!(!orders.change().hold([partition(0)], "second"), "one task tends them all");
        assert!(!orders.untended());
        assert_eq!(orders.change().take_held(), ["first", "second"]);
        assert!(orders.change().may_go(&partition(0), link(1)));
        assert!(orders.untended());
    }

    /// [L6]
    #[test]
    fn l6_nothing_goes_once_a_batch_was_refused() {
        let orders = Orders::default();
        orders.change().goes(partition(0), link(1));
        assert!(orders.change().hold([partition(1)], "held"));
        orders.change().break_off();
        orders.landed([partition(0)].iter());
        assert!(orders.change().is_over());
        assert!(!orders.change().may_go(&partition(0), link(1)), "not even over the same link");
        assert!(!orders.change().hold([partition(2)], "late"));
        orders.end();
        assert!(orders.untended(), "and what was held is gone");
    }
}
