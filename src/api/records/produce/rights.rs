//! What of a Produce its sender may not write.

use super::answers::failed;
use super::{Cell, Ledger, Partition};
use crate::api::records::stamp::Stamp;
use crate::api::{Seen, codes};
use crate::rights::{Kind, Operation};
use crate::wire::batch::Header;
use kafka_protocol::protocol::StrBytes;

/// What became of a request's cells.
#[derive(Debug, Default)]
pub struct Permitted {
    /// To be written, as far as it is known which topics they name: whoever routes one of an unknown id again asks again.
    pub cells: Vec<Cell>,
    /// Batches of idempotent producers that were refused: nothing may overtake them (L6).
    pub refused: Vec<(Partition, Stamp)>,
}

impl Ledger {
    /// Refuses cells that their sender may not write. What counts is the topic that it names, not where policy sends the records.
    pub fn permit(&mut self, cells: Vec<Cell>, seen: &Seen<'_>) -> Permitted {
        let Some(guard) = seen.guard else { return Permitted { cells, refused: Vec::new() } };
        let mut permitted = Permitted::default();
        let of_transaction = cells.iter().any(is_transactional);
        let may_write = |id: &StrBytes| guard.may(Operation::Write, Kind::TransactionalId, id);
        if of_transaction && !self.transactional_id.as_ref().is_some_and(|id| may_write(&id.0)) {
            for cell in cells {
                self.deny(&cell, codes::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, &mut permitted);
            }
            return permitted;
        }
        // Partitions of a topic stand together.
        let mut last: Option<(usize, bool)> = None;
        for cell in cells {
            let topic = self.slots.get(cell.entry).map_or(0, |entry| entry.topic);
            let may = match last {
                Some((same, may)) if same == topic => may,
                _ => self.name_of(topic, seen).is_none_or(|name| guard.may(Operation::Write, Kind::Topic, &name)),
            };
            last = Some((topic, may));
            if may {
                permitted.cells.push(cell);
            } else {
                self.deny(&cell, codes::TOPIC_AUTHORIZATION_FAILED, &mut permitted);
            }
        }
        permitted
    }

    /// The topic that the client means; `None` where nobody knows its id.
    fn name_of(&self, topic: usize, seen: &Seen<'_>) -> Option<StrBytes> {
        let topic = self.topics.get(topic)?;
        match seen.placement.topic_of(&topic.name, topic.id) {
            Some(place) => Some(place.topic.name.clone()),
            None => Some(topic.name.0.clone()).filter(|name| !name.is_empty()),
        }
    }

    fn deny(&mut self, cell: &Cell, code: i16, permitted: &mut Permitted) {
        permitted.refused.extend(self.partition_of(cell).zip(cell.stamp));
        self.settle(cell, failed(code));
    }
}

/// By its first batch, as Kafka looks (AK `RequestUtils.hasTransactionalRecords`); brokers take no others beside it.
fn is_transactional(cell: &Cell) -> bool {
    let header = cell.records().and_then(|records| Header::read(records).ok().flatten());
    header.is_some_and(|header| header.is_transactional())
}
