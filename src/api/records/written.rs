//! What a broker's answer to Produce says was written: facts for who keeps count of lag (`telemetry::observed`).

use super::produce::{Cell, Ledger, Part};
use crate::telemetry::observed::{Fact, ProducerOf, Written};
use crate::types::{FastMap, Partition, Slot};
use crate::wire::batch::Header;
use crate::wire::glance::Called;
use std::time::Instant;

/// What a cell's records come to. It stays when they are let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Offsets that its batch takes; 0 where it is none.
    count: i64,
    /// Its size.
    bytes: u32,
    /// Its producer, where it is part of a transaction.
    transaction: Option<i64>,
}

impl From<&Header> for Extent {
    fn from(header: &Header) -> Self {
        Self {
            count: i64::from(header.last_offset_delta).saturating_add(1),
            bytes: u32::try_from(header.size).unwrap_or(u32::MAX),
            transaction: header.is_transactional().then_some(header.producer_id),
        }
    }
}

/// Where a broker has put the first record of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    at: Partition,
    offset: i64,
}

impl Base {
    /// As an answer tells it.
    #[must_use]
    pub fn told(topic: Called<'_>, index: i32, offset: i64) -> Self {
        Self { at: Partition::called(topic, index), offset }
    }
}

impl Cell {
    /// The fact that it was written there, of a request that came then.
    pub(super) fn written(&self, on: Slot, at: Partition, base: i64, came: Option<Instant>) -> Option<Fact> {
        let written = self.written_at(at, base)?;
        Some(Fact::Acknowledged { of: [written].into(), transaction: self.transaction(on), came })
    }

    fn written_at(&self, at: Partition, base: i64) -> Option<Written> {
        let Extent { count, bytes, .. } = self.extent;
        let next = base.checked_add(count).filter(|_| base >= 0 && count > 0)?;
        Some(Written { at, base, next, bytes })
    }

    fn transaction(&self, on: Slot) -> Option<ProducerOf> {
        self.extent.transaction.map(|producer| (on, producer))
    }
}

impl Ledger {
    /// What was written of a part, by an answer that goes to the client as it is. Brokers tell of partitions in an order of their own.
    pub fn written(&self, part: &Part, bases: &[Base]) -> Vec<Fact> {
        let mut cells = Vec::with_capacity(part.cells.len());
        cells.extend(part.cells.iter().filter_map(|cell| Some((self.place_of(cell)?, cell))));
        let few = cells.len() <= FEW;
        let map: FastMap<_, _> = if few { FastMap::default() } else { cells.iter().copied().collect() };
        // Some tell of them in the order in which they were asked.
        let among = |place: usize, at| {
            let next = cells.get(place).filter(|(of, _)| *of == at);
            next.or_else(|| cells.iter().find(|(of, _)| *of == at)).map(|(_, cell)| *cell)
        };
        let on = part.to.cluster;
        let all = bases.iter().enumerate().filter_map(|(place, base)| {
            let cell: &Cell = if few { among(place, base.at)? } else { map.get(&base.at).copied()? };
            Some((cell.transaction(on), cell.written_at(base.at, base.offset)?))
        });
        by_transaction(all, bases.len(), self.came)
    }
}

/// A fact for each run of batches that are part of one transaction, or of none: of a request there is one, as a rule.
fn by_transaction(
    all: impl Iterator<Item = (Option<ProducerOf>, Written)>,
    most: usize,
    came: Option<Instant>,
) -> Vec<Fact> {
    let mut runs: Vec<(_, Vec<Written>)> = Vec::new();
    for (transaction, written) in all {
        if runs.last().is_none_or(|last| last.0 != transaction) {
            runs.push((transaction, Vec::with_capacity(if runs.is_empty() { most } else { 0 })));
        }
        if let Some((_, of)) = runs.last_mut() {
            of.push(written);
        }
    }
    runs.into_iter().map(|(transaction, of)| Fact::Acknowledged { of: of.into(), transaction, came }).collect()
}

/// So many cells are looked through, and of more there is a map.
const FEW: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::World;
    use crate::placement::build::tests::topic;
    use crate::types::topic_key;
    use crate::wire::batch::testing::{batch, plain_header, plain_record};
    use crate::wire::glance::{Produce, ProducePartition};
    use kafka_protocol::protocol::StrBytes;

    /// A batch of so many records.
    fn batch_of(count: i32) -> Vec<u8> {
        let header = Header { last_offset_delta: count - 1, ..plain_header() };
        batch(header, &vec![plain_record(); usize::try_from(count).unwrap()])
    }

    /// A request of one topic that one broker leads, on its way there.
    fn route_all(batches: Vec<Vec<u8>>) -> (Ledger, Part) {
        let world = World::with(&[topic("x", &vec![1; batches.len()])], &[]);
        let partition = |(index, records)| ProducePartition { topic: 0, index, records: Some(Vec::into(records)) };
        let request = Produce {
            acks: -1,
            topics: vec![(StrBytes::from_static_str("x"), Default::default())],
            partitions: (0..).zip(batches).map(partition).collect(),
            ..Produce::default()
        };
        let (mut ledger, cells) = Ledger::open(request);
        let mut part = ledger.route(cells, &world.seen(9)).parts.remove(0);
        part.release_records();
        (ledger, part)
    }

    #[test]
    fn what_was_written_is_told_whatever_the_order_of_an_answer() {
        for partitions in [1, 3, 40] {
            // Given a request over partitions, each with a batch of its own size
            let (mut ledger, part) = route_all((0..partitions).map(|index| batch_of(index + 1)).collect());
            ledger.came = Some(Instant::now());
            // When a broker tells of them from the last to the first, and of one that it was not asked for
            let base = |index| Base::told((b"x", Default::default()), index, i64::from(index) * 100);
            let bases: Vec<_> = (0..=partitions).rev().map(base).collect();
            let facts = ledger.written(&part, &bases);
            // Then each has its offsets, and when the request came
            let wanted = (0..partitions).rev().map(|index| {
                let at = Partition { topic: topic_key("x", Default::default()), index };
                let base = i64::from(index) * 100;
                (at, base, base + i64::from(index) + 1)
            });
            let [Fact::Acknowledged { of, transaction: None, came }] = &facts[..] else { panic!("{facts:?}") };
            assert!(came.is_some() && *came == ledger.came);
            assert!(of.iter().map(|one| (one.at, one.base, one.next)).eq(wanted), "{partitions}: {facts:?}");
        }
    }

    #[test]
    fn nothing_is_told_of_what_has_no_offset() {
        let (ledger, part) = route_all(vec![batch_of(1)]);
        assert_eq!(ledger.written(&part, &[Base::told((b"x", Default::default()), 0, -1)]), []);
        let no_batch = route_all(vec![b"nothing that Kafka reads".to_vec()]);
        assert_eq!(no_batch.0.written(&no_batch.1, &[Base::told((b"x", Default::default()), 0, 5)]), []);
    }

    #[test]
    fn batches_of_one_transaction_are_one_fact() {
        let written = |base| Written { at: Partition::new("x", 0), base, next: base + 1, bytes: 1 };
        let of = |producer| Some((Slot::new(0).unwrap(), producer));
        let all = [(None, 1), (of(7), 2), (of(7), 3), (of(8), 4)].map(|(whose, base)| (whose, written(base)));
        let fact = |transaction, of: &[i64]| Fact::Acknowledged {
            of: of.iter().copied().map(written).collect(),
            transaction,
            came: None,
        };
        let wanted = [fact(None, &[1]), fact(of(7), &[2, 3]), fact(of(8), &[4])];
        assert_eq!(by_transaction(all.into_iter(), 4, None), wanted);
    }
}
