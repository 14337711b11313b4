//! Topics that fresh metadata is wanted of by nobody who waits for it. Brokers' errors come in swarms, and while a cluster does
//! not answer they would pile up: each name is kept once, and of too many everything is read (L4).

use crate::wire::codec::copied;
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::mem::take;
use tokio::sync::Notify;

/// With more names than this everything is read (about 1 MiB).
const MOST: usize = 10_000;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    names: Mutex<Names>,
    bell: Notify,
}

/// What is wanted.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Everything.
    pub(super) whole: bool,
    /// These topics, by copies of their names.
    pub(super) topics: BTreeSet<StrBytes>,
}

impl Wanted {
    /// Of these topics; of everything where there are none.
    pub(super) fn add(&self, topics: &[StrBytes]) {
        self.names.lock().add(topics);
        self.bell.notify_one();
    }

    /// Waits until something is wanted. What it was may have been taken already.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// What is wanted; from then on it is not any more.
    pub(super) fn take(&self) -> Names {
        take(&mut *self.names.lock())
    }
}

impl Names {
    fn add(&mut self, topics: &[StrBytes]) {
        self.whole |= topics.is_empty();
        for topic in topics {
            if !self.whole && !self.topics.contains(topic) {
                self.topics.insert(copied(topic));
                self.whole |= self.topics.len() > MOST;
            }
        }
        if self.whole {
            self.topics.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: usize) -> StrBytes {
        StrBytes::from_string(number.to_string())
    }

    #[tokio::test]
    async fn what_is_wanted_is_taken_once_and_whoever_waits_hears_of_it() {
        let wanted = Wanted::default();
        for names in [&[text(1)][..], &[text(2), text(1)]] {
            wanted.add(names);
        }
        wanted.rung().await;
        let Names { whole, topics } = wanted.take();
        assert_eq!((whole, topics), (false, BTreeSet::from([text(1), text(2)])));
        wanted.add(&[]);
        wanted.rung().await;
        assert!(wanted.take().whole && !wanted.take().whole);
    }

    /// [L4]
    #[test]
    fn l4_no_more_names_are_kept_than_there_is_memory_for() {
        let wanted = Wanted::default();
        (0..=MOST).for_each(|number| wanted.add(&[text(number)]));
        (0..10).for_each(|number| wanted.add(&[text(number)]));
        let Names { whole, topics } = wanted.take();
        assert_eq!((whole, topics.len()), (true, 0), "everything is read");
    }
}
