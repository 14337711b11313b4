//! Transactions that have not ended: where they wrote, and which offsets they will commit.

use super::clock::Moment;
use crate::telemetry::observed::{OffsetOf, ProducerOf};
use crate::types::{FastMap, Partition};
use kafka_protocol::protocol::StrBytes;

/// Transactions that are kept; beyond that, those that nobody heard of for long go, and then all.
const MOST: usize = 16_384;
/// Partitions, and groups' offsets, that are kept of one.
const LARGEST: usize = 100_000;
/// Kafka ends a transaction by itself after so many ms, unless told otherwise.
const LONG: i64 = 900_000;

/// One of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Transaction {
    /// Where it wrote.
    pub(super) wrote: Vec<Partition>,
    /// What it will commit.
    pub(super) commits: Vec<(StrBytes, Box<[OffsetOf]>)>,
    heard: Option<Moment>,
}

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Transactions(FastMap<ProducerOf, Transaction>);

impl Transactions {
    fn of(&mut self, producer: ProducerOf, at: Moment) -> &mut Transaction {
        if self.0.len() >= MOST && !self.0.contains_key(&producer) {
            self.expire(at);
            if self.0.len() >= MOST {
                self.0.clear();
            }
        }
        let transaction = self.0.entry(producer).or_default();
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
        let transaction = self.of(producer, at);
        let kept: usize = transaction.commits.iter().map(|commit| commit.1.len()).sum();
        if kept + of.len() <= LARGEST {
            transaction.commits.push((group, of));
        }
    }

    /// It has ended.
    pub(super) fn ended(&mut self, producer: ProducerOf) -> Option<Transaction> {
        self.0.remove(&producer)
    }

    /// Forgets those that nobody heard of for long.
    pub(super) fn expire(&mut self, now: Moment) {
        self.0.retain(|_, transaction| transaction.heard.is_some_and(|heard| heard.until(now) < LONG));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_that_nobody_ends_do_not_stay() {
        let mut transactions = Transactions::default();
        for producer in 0..100_000 {
            transactions.wrote(
                (crate::types::Slot::new(0).unwrap(), producer),
                Partition { topic: 1, index: 0 },
                Moment(0),
            );
        }
        assert!(transactions.0.len() <= MOST);
        transactions.expire(Moment(LONG));
        assert!(transactions.0.is_empty());
    }
}
