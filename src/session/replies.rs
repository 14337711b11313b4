//! Replies leave in the order of the requests, whoever is ready first (L3). Pure: what may be written now is given back.

use std::collections::VecDeque;

/// The promises of one session, oldest first.
#[derive(Debug)]
pub struct Replies<F> {
    first: u64,
    promises: VecDeque<Promise<F>>,
    /// Bytes of the requests that are not answered yet.
    bytes: usize,
}

#[derive(Debug)]
enum Promise<F> {
    /// Not answered; its request took so many bytes.
    Open(usize),
    /// Answered, but an older one is not. `None`: nothing is to be written (acks=0).
    Kept(Option<F>),
}

impl<F> Default for Replies<F> {
    fn default() -> Self {
        Self { first: 0, promises: VecDeque::new(), bytes: 0 }
    }
}

impl<F> Replies<F> {
    /// Promises an answer to a request of `bytes` bytes; gives its number.
    pub fn promise(&mut self, bytes: usize) -> u64 {
        self.promises.push_back(Promise::Open(bytes));
        self.bytes += bytes;
        self.first + self.promises.len() as u64 - 1
    }

    /// Keeps a promise. Gives what may leave now, in order. A promise is kept once; a second time changes nothing.
    pub fn keep(&mut self, number: u64, reply: Option<F>) -> impl Iterator<Item = F> + use<F> {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(promise) = at.and_then(|at| self.promises.get_mut(at))
            && let Promise::Open(bytes) = promise
        {
            self.bytes = self.bytes.saturating_sub(*bytes);
            *promise = Promise::Kept(reply);
        }
        let mut ready = Vec::new();
        while let Some(Promise::Kept(reply)) = self.promises.front_mut() {
            ready.extend(reply.take());
            self.promises.pop_front();
            self.first += 1;
        }
        ready.into_iter()
    }

    /// Bytes of the requests that are not answered yet.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many replies have not left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.promises.len()
    }

    /// Whether everything that was asked is answered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.promises.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// (L3)
        #[test]
        fn l3_replies_leave_in_request_order_for_any_order_of_finishing(
            order in (1_usize..40).prop_flat_map(|n| Just((0..n).collect::<Vec<_>>()).prop_shuffle()),
            silent in prop::collection::vec(any::<bool>(), 40),
        ) {
            let mut replies = Replies::default();
            let numbers: Vec<u64> = order.iter().map(|_| replies.promise(10)).collect();
            let mut written = Vec::new();
            for (done, at) in order.iter().enumerate() {
                prop_assert_eq!(replies.bytes(), 10 * (order.len() - done));
                written.extend(replies.keep(numbers[*at], (!silent[*at]).then_some(*at)));
            }
            let expected: Vec<usize> = (0..order.len()).filter(|at| !silent[*at]).collect();
            prop_assert_eq!(written, expected);
            prop_assert!(replies.is_empty());
        }
    }

    #[test]
    fn a_promise_is_kept_once() {
        let mut replies = Replies::default();
        let (one, two) = (replies.promise(1), replies.promise(1));
        assert_eq!(replies.keep(two, Some("two")).count(), 0);
        assert_eq!(replies.keep(two, Some("again")).count(), 0);
        assert_eq!(replies.keep(one, Some("one")).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(replies.keep(one, Some("late")).count(), 0);
    }
}
