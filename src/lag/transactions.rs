//! Transactions that have not ended: where they wrote, and which offsets they will commit.

use super::clock::Moment;
use crate::telemetry::observed::{OffsetOf, ProducerOf};
use crate::types::{FastMap, Partition};
use kafka_protocol::protocol::StrBytes;

/// Transactions that are kept; beyond that, those that nobody heard of for long go, and then all.
const MOST: usize = 16_384;
/// Partitions that are kept of one.
const LARGEST: usize = 100_000;
/// Groups' offsets that are kept of all.
const OFFSETS: usize = 1_000_000;
/// Kafka ends a transaction by itself after so many ms, unless told otherwise.
const LONG: i64 = 900_000;

/// One of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Transaction {
    /// Where it wrote.
    pub(super) wrote: Vec<Partition>,
    /// What it will commit, by group.
    pub(super) commits: FastMap<StrBytes, FastMap<Partition, i64>>,
    heard: Option<Moment>,
}

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Transactions {
    all: FastMap<ProducerOf, Transaction>,
    /// Groups' offsets of all of them.
    offsets: usize,
}

impl Transaction {
    fn offsets(&self) -> usize {
        self.commits.values().map(FastMap::len).sum()
    }
}

impl Transactions {
    fn of(&mut self, producer: ProducerOf, at: Moment) -> &mut Transaction {
        if self.all.len() >= MOST && !self.all.contains_key(&producer) {
            self.expire(at);
            if self.all.len() >= MOST {
                *self = Self::default();
            }
        }
        let transaction = self.all.entry(producer).or_default();
        transaction.heard = Some(at);
        transaction
    }

    /// It wrote to a partition for the first time.
    pub(super) fn wrote(&mut self, producer: ProducerOf, to: Partition, at: Moment) {
        let transaction = self.of(producer, at);
        if transaction.wrote.len() < LARGEST {
            transaction.wrote.push(to);
        }
    }

    /// It will commit offsets.
    pub(super) fn commits(&mut self, producer: ProducerOf, group: StrBytes, of: Box<[OffsetOf]>, at: Moment) {
        let mut room = OFFSETS.saturating_sub(self.offsets);
        let transaction = self.of(producer, at);
        let commits = transaction.commits.entry(group).or_default();
        let before = commits.len();
        for (at, offset) in of {
            // A transaction that commits often says the same again, further on.
            if let Some(known) = commits.get_mut(&at) {
                *known = offset;
            } else if room > 0 {
                commits.insert(at, offset);
                room -= 1;
            }
        }
        let new = commits.len() - before;
        self.offsets += new;
    }

    /// It has ended.
    pub(super) fn ended(&mut self, producer: ProducerOf) -> Option<Transaction> {
        let ended = self.all.remove(&producer)?;
        self.offsets = self.offsets.saturating_sub(ended.offsets());
        Some(ended)
    }

    /// Forgets those that nobody heard of for long.
    pub(super) fn expire(&mut self, now: Moment) {
        self.all.retain(|_, transaction| transaction.heard.is_some_and(|heard| heard.until(now) < LONG));
        self.offsets = self.all.values().map(Transaction::offsets).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_a(producer: i64) -> ProducerOf {
        (crate::types::Slot::new(0).unwrap(), producer)
    }

    #[test]
    fn transactions_that_nobody_ends_do_not_stay() {
        let mut transactions = Transactions::default();
        for producer in 0..100_000 {
            transactions.wrote(of_a(producer), Partition { topic: 1, index: 0 }, Moment(0));
        }
        assert!(transactions.all.len() <= MOST);
        transactions.expire(Moment(LONG));
        assert!(transactions.all.is_empty());
    }

    #[test]
    fn offsets_of_a_partition_are_kept_once_and_those_of_all_producers_are_bounded() {
        let mut transactions = Transactions::default();
        let group = || StrBytes::from_static_str("g");
        let of = |topic: u64, many: i32| {
            (0..many).map(move |index| (Partition { topic, index }, i64::from(index))).collect()
        };
        for offset in 0..1000 {
            transactions.commits(of_a(7), group(), [(Partition { topic: 0, index: 0 }, offset)].into(), Moment(0));
        }
        assert_eq!(transactions.offsets, 1);
        for producer in 0..12 {
            transactions.commits(of_a(producer), group(), of(1, 100_000), Moment(0));
        }
        assert_eq!(transactions.offsets, OFFSETS);
        let ended = transactions.ended(of_a(7)).unwrap();
        assert_eq!(ended.commits[&group()][&Partition { topic: 0, index: 0 }], 999, "the newest");
        assert_eq!(transactions.offsets, OFFSETS - ended.offsets());
        transactions.expire(Moment(LONG));
        assert_eq!(transactions.offsets, 0);
    }
}
