//! Replies leave in the order of the requests, whoever is ready first (L3). Pure: what may be written now is given back.

use std::collections::VecDeque;

/// The promises of one session, oldest first.
#[derive(Debug)]
pub struct Replies<F> {
    first: u64,
    promises: VecDeque<Promise<F>>,
    /// Bytes of the requests that are not answered yet.
    bytes: usize,
    /// The weights of all promises.
    weight: usize,
}

#[derive(Debug)]
struct Promise<F> {
    /// Bytes that its answer takes here, or may take.
    weight: usize,
    state: State<F>,
}

#[derive(Debug)]
enum State<F> {
    /// Not answered; its request took so many bytes.
    Open(usize),
    /// Answered, but an older one is not. `None`: nothing is to be written (acks=0).
    Kept(Option<F>),
}

impl<F> Default for Replies<F> {
    fn default() -> Self {
        Self { first: 0, promises: VecDeque::new(), bytes: 0, weight: 0 }
    }
}

impl<F> Replies<F> {
    /// Promises an answer to a request of `bytes` bytes; gives its number.
    pub fn promise(&mut self, bytes: usize) -> u64 {
        self.promises.push_back(Promise { weight: 0, state: State::Open(bytes) });
        self.bytes += bytes;
        self.first + self.promises.len() as u64 - 1
    }

    /// The answer to an open promise may take up to `weight` bytes.
    pub fn expect(&mut self, number: u64, weight: usize) {
        if let Some(promise) = Self::find(self.first, &mut self.promises, number)
            && let State::Open(_) = promise.state
        {
            self.weight = self.weight.saturating_sub(promise.weight).saturating_add(weight);
            promise.weight = weight;
        }
    }

    /// Keeps a promise, with a reply of `size` bytes. Gives what may leave now, in order. A promise is kept once; a
    /// second time changes nothing.
    pub fn keep(&mut self, number: u64, reply: Option<F>, size: usize) -> impl Iterator<Item = F> + use<F> {
        self.expect(number, size);
        if let Some(promise) = Self::find(self.first, &mut self.promises, number)
            && let State::Open(bytes) = promise.state
        {
            self.bytes = self.bytes.saturating_sub(bytes);
            promise.state = State::Kept(reply);
        }
        let mut ready = Vec::new();
        while let Some(Promise { weight, state: State::Kept(reply) }) = self.promises.front_mut() {
            ready.extend(reply.take());
            self.weight = self.weight.saturating_sub(*weight);
            self.promises.pop_front();
            self.first += 1;
        }
        ready.into_iter()
    }

    fn find(first: u64, promises: &mut VecDeque<Promise<F>>, number: u64) -> Option<&mut Promise<F>> {
        promises.get_mut(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    /// Bytes of the answers that wait for the oldest one, those that are still to come included. The oldest itself does
    /// not count, whatever it takes: it waits for nothing here, so it must always be able to come.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let oldest = self.promises.front().map_or(0, |promise| promise.weight);
        self.weight.saturating_sub(oldest)
    }

    /// Bytes of the requests that are not answered yet.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many were ever promised.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.first + self.promises.len() as u64
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
                written.extend(replies.keep(numbers[*at], (!silent[*at]).then_some(*at), 5));
            }
            let expected: Vec<usize> = (0..order.len()).filter(|at| !silent[*at]).collect();
            prop_assert_eq!(written, expected);
            prop_assert!(replies.is_empty());
            prop_assert_eq!(replies.waiting(), 0);
        }
    }

    #[test]
    fn what_waits_for_the_oldest_answer_is_weighed_and_the_oldest_is_not() {
        let mut replies = Replies::default();
        let numbers: Vec<_> = (0..4).map(|_| replies.promise(1)).collect();
        assert_eq!(replies.waiting(), 0);
        replies.expect(numbers[0], 1_000);
        assert_eq!(replies.waiting(), 0, "it can leave when it comes");
        replies.expect(numbers[1], 200);
        replies.expect(numbers[2], 30);
        assert_eq!(replies.waiting(), 230);
        assert_eq!(replies.keep(numbers[1], Some("small"), 50).count(), 0);
        assert_eq!(replies.keep(numbers[3], Some("unexpected"), 4).count(), 0);
        replies.expect(numbers[1], 9_000);
        assert_eq!(replies.waiting(), 84, "it was kept");
        assert_eq!(replies.keep(numbers[0], Some("oldest"), 1).count(), 2);
        assert_eq!(replies.waiting(), 4, "another is the oldest now");
        assert_eq!(replies.keep(numbers[2], None, 0).count(), 1);
        assert_eq!((replies.waiting(), replies.is_empty()), (0, true));
    }

    #[test]
    fn a_promise_is_kept_once() {
        let mut replies = Replies::default();
        let (one, two) = (replies.promise(1), replies.promise(1));
        assert_eq!(replies.keep(two, Some("two"), 1).count(), 0);
        assert_eq!(replies.keep(two, Some("again"), 1).count(), 0);
        assert_eq!(replies.keep(one, Some("one"), 1).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(replies.keep(one, Some("late"), 1).count(), 0);
    }
}
