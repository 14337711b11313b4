//! Policy on a Produce's way in: each batch of a pipeline that asks something of its records is looked into, judged, and goes
//! on as it is, edited, to a lane, or nowhere. What is decided is `policy`'s; what is done about it stands here.

use super::state::Session;
use crate::api::records::produce::{Cell, Ledger, Partition, Piece};
use crate::api::records::stamp::Stamp;
use crate::config::policy::OnViolation;
use crate::placement::Placement;
use crate::policy::admission::Asked;
use crate::policy::keys::Who;
use crate::policy::rulings::Ruling;
use crate::policy::verdict::{Refused, Verdict};
use crate::types::moment::rfc3339;
use crate::wire::batch::Batch;
use crate::wire::batch::edit::{Edit, Edited, Fate, Lane, Sender};
use crate::wire::batch::produced::{Unfit, intact, lay_out, open, plain};
use crate::wire::compression::{Desk, at_desk};
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A request's cells as policy leaves them.
#[derive(Default)]
pub(super) struct Admitted {
    /// To be routed.
    pub cells: Vec<Cell>,
    /// Batches of idempotent producers that were refused: nothing may overtake them (L6).
    pub refused: Vec<(Partition, Stamp)>,
    /// How long its client is to wait.
    pub wait: Duration,
    /// For how long of that its answer is held, and whose limit wants it.
    held: Option<(Duration, Arc<Ruling>)>,
}

thread_local! {
    /// Used again and again.
    static VERDICT: RefCell<Verdict> = RefCell::default();
}

/// Judges a request's cells, each once. One whose topic is not known yet, by the id that the client gave, is not judged: whoever
/// routes it again asks again.
pub(super) fn admit(
    session: &Session,
    client_id: Option<&[u8]>,
    ledger: &mut Ledger,
    cells: Vec<Cell>,
    placement: &Placement,
) -> Admitted {
    let table = session.context.rulings.under(&placement.config);
    if table.is_empty() {
        return Admitted { cells, ..Admitted::default() };
    }
    let client_id = String::from_utf8_lossy(client_id.unwrap_or_default());
    // Nobody logs in here yet: who a client is, is not known.
    let who = Who { principal: "", client_id: &client_id };
    let (now, time) = (Instant::now(), rfc3339(SystemTime::now()));
    let mut admitted = Admitted::default();
    for mut cell in cells {
        // What clients write to a twin is refused when it is routed.
        cell.judged |= ledger.named(&cell).is_some_and(|(name, id)| {
            placement.config.twin(name).is_some() || placement.topic_by_id(id).is_some_and(|place| place.is_twin())
        });
        let home = ledger.named(&cell).filter(|_| !cell.judged).and_then(|(name, id)| placement.home_of(name, id));
        let Some((pipeline, _)) = home else {
            admitted.cells.push(cell);
            continue;
        };
        cell.judged = true;
        match table.of(pipeline) {
            None => admitted.cells.push(cell),
            Some(ruling) => at_desk(|desk| {
                let mut verdict = VERDICT.take();
                Judging { ruling, ledger, placement, who, now, time: &time, desk }.cell(
                    cell,
                    &mut verdict,
                    &mut admitted,
                );
                VERDICT.set(verdict);
            }),
        }
    }
    if let Some((held, ruling)) = admitted.held.take() {
        ruling.meter.held(held);
    }
    admitted
}

/// A cell that is judged.
struct Judging<'a> {
    ruling: &'a Arc<Ruling>,
    ledger: &'a mut Ledger,
    placement: &'a Placement,
    who: Who<'a>,
    now: Instant,
    time: &'a str,
    desk: &'a mut Desk,
}

impl Judging<'_> {
    fn cell(&mut self, cell: Cell, verdict: &mut Verdict, admitted: &mut Admitted) {
        let Some(records) = cell.records().cloned() else {
            admitted.cells.push(cell);
            return;
        };
        let judged = open(&records).and_then(|batch| {
            self.judge(&batch, verdict)?;
            Ok(batch)
        });
        let batch = match judged {
            Ok(batch) => batch,
            Err(unfit) => return self.refuse_unfit(&cell, unfit, admitted),
        };
        self.count(verdict);
        if let Some(why) = verdict.refused {
            return self.refuse(&cell, why, verdict, admitted);
        }
        if verdict.wait > admitted.wait {
            admitted.wait = verdict.wait;
            admitted.held = Some((verdict.wait.min(HELD), Arc::clone(self.ruling)));
        }
        match verdict.whole() {
            Some(Fate::KEPT) => {
                self.ruling.stay(u64::try_from(batch.header.count).unwrap_or(0));
                admitted.cells.push(cell);
            }
            Some(Fate { to, .. }) => match intact(&batch) {
                Ok(()) => {
                    let count = u64::try_from(batch.header.count).unwrap_or(0);
                    let piece = to.map(|lane| self.piece(&cell, lane, records.clone(), count));
                    if piece.is_none() {
                        self.ruling.meter.moved("drop", count);
                    }
                    admitted.cells.extend(self.ledger.instead(&cell, piece.into_iter().collect(), false));
                }
                Err(unfit) => self.refuse_unfit(&cell, unfit, admitted),
            },
            None => match self.edit(&cell, &batch, verdict) {
                Ok((pieces, whole)) => admitted.cells.extend(self.ledger.instead(&cell, pieces, whole)),
                Err(unfit) => self.refuse_unfit(&cell, unfit, admitted),
            },
        }
    }

    fn judge(&mut self, batch: &Batch<'_>, verdict: &mut Verdict) -> Result<(), Unfit> {
        lay_out(batch, self.desk)?;
        let asked = Asked {
            header: &batch.header,
            plain: plain(batch, &self.desk.plain),
            who: self.who,
            now: self.now,
            time: self.time,
        };
        let judged = self.ruling.policy.judge(&asked, verdict);
        judged.map_err(|unreadable| Unfit::Record { record: unreadable.record, malformed: unreadable.malformed })
    }

    fn count(&self, verdict: &Verdict) {
        for (meter, tally) in self.ruling.limits.iter().zip(&verdict.tallies) {
            meter.said(tally.passed, tally.observed, tally.enforced);
        }
        if verdict.broken > 0 {
            let on_violation = self.ruling.written.contract.as_ref().map_or(OnViolation::Observe, |it| it.on_violation);
            self.ruling.meter.broken(on_violation.as_str(), verdict.broken);
        }
    }

    /// What goes on of a batch whose records differ in what becomes of them, and whether that is all that was sent.
    fn edit(&mut self, cell: &Cell, batch: &Batch<'_>, verdict: &Verdict) -> Result<(Vec<Piece>, bool), Unfit> {
        intact(batch)?;
        let Desk { plain: unpacked, edited, press } = &mut *self.desk;
        let edit = Edit { batch, plain: plain(batch, unpacked), fates: &verdict.fates, changes: &verdict.changes };
        let mut made: Vec<(Lane, Edited)> = Vec::new();
        for lane in verdict.lanes() {
            let piece = edit.to(lane, Sender::of(&batch.header), edited, press);
            let piece = piece.map_err(Unfit::from)?;
            made.extend(piece.map(|piece| (lane, piece)));
        }
        self.ruling.meter.edited();
        let left: i32 = made.iter().map(|(_, piece)| piece.count).sum();
        let dropped = u64::try_from(batch.header.count - left).unwrap_or(0);
        if dropped > 0 {
            self.ruling.meter.moved("drop", dropped);
        }
        let whole = matches!(&made[..], [(Lane::MAIN, piece)] if piece.count == batch.header.count);
        let pieces = made.into_iter().map(|(lane, piece)| {
            let count = u64::try_from(piece.count).unwrap_or(0);
            self.piece(cell, lane, piece.bytes, count)
        });
        Ok((pieces.collect(), whole))
    }

    fn piece(&mut self, cell: &Cell, lane: Lane, records: bytes::Bytes, count: u64) -> Piece {
        let (place, spread) = match (self.ruling.lane(lane), self.ruling.canary(lane)) {
            (Some(leads), _) => (self.ledger.lane(&leads.topic, leads.on_down), leads.null_key),
            (None, Some(canary)) => {
                let twin = self.placement.config.name_of_twin(&self.topic(cell), canary.to);
                (self.ledger.lane(&twin, canary.on_down), false)
            }
            (None, None) => {
                self.ruling.stay(count);
                return Piece { records, lane: None, spread: false };
            }
        };
        self.ruling.meter.moved(self.ruling.name_of(lane), count);
        Piece { records, lane: Some(place), spread }
    }

    /// The topic that the client named, also where it did so by its id alone.
    fn topic(&self, cell: &Cell) -> StrBytes {
        let Some((name, id)) = self.ledger.named(cell) else { return StrBytes::new() };
        self.placement.topic_of(name, id).map_or_else(|| name.0.clone(), |place| place.topic.name.clone())
    }

    fn refuse_unfit(&mut self, cell: &Cell, unfit: Unfit, admitted: &mut Admitted) {
        self.ruling.meter.refused("unfit");
        let records = match unfit {
            Unfit::Record { record, .. } => i32::try_from(record).ok(),
            _ => None,
        };
        let why = unfit.to_string();
        self.answer(
            cell,
            unfit.error(),
            why.clone(),
            records.map(|record| (record, why)).into_iter().collect(),
            admitted,
        );
    }

    /// No key and no value is told: the client knows what it sent.
    fn refuse(&mut self, cell: &Cell, why: Refused, verdict: &Verdict, admitted: &mut Admitted) {
        match why {
            Refused::Contract => {
                self.ruling.meter.refused("contract");
                let told = verdict
                    .violations
                    .iter()
                    .map(|one| (i32::try_from(one.record).unwrap_or(i32::MAX), one.to_string()));
                let first = verdict.violations.first().map(|one| format!("record {}: {one}", one.record));
                let message = match verdict.broken {
                    0 | 1 => first.unwrap_or_default(),
                    more => format!("{}; {} records break it", first.unwrap_or_default(), more),
                };
                self.answer(cell, ResponseError::InvalidRecord, message, told.collect(), admitted);
            }
            Refused::Limit(place) => {
                self.ruling.meter.refused("limit");
                let limit = self.ruling.policy.limits.get(place).map_or("", |limit| &limit.name);
                let message = format!("the batch is above the limit {limit} of its pipeline");
                self.answer(cell, ResponseError::PolicyViolation, message, Vec::new(), admitted);
            }
        }
    }

    fn answer(
        &mut self,
        cell: &Cell,
        error: ResponseError,
        message: String,
        records: Vec<(i32, String)>,
        admitted: &mut Admitted,
    ) {
        if let Some(refused) = self.ledger.partition_of(cell).zip(cell.stamp) {
            admitted.refused.push(refused);
        }
        self.ledger.refuse(cell, error.code(), message, records);
    }
}

/// An answer is held so long at most: longer ones look like a broker that is gone.
const HELD: Duration = Duration::from_secs(1);
/// And its session is read no further for so long at most, well below what clients give a request.
const PAUSED: Duration = Duration::from_secs(8);

impl Session {
    /// A limit has its client wait: this answer for a while, and what it sends then until its debt is paid. Nobody waits
    /// longer than clients are patient.
    pub(super) fn throttle(&self, wait: Duration) -> Option<Instant> {
        if wait.is_zero() {
            return None;
        }
        let now = Instant::now();
        *self.pause.lock() = Some(now + wait.min(PAUSED));
        Some(now + wait.min(HELD))
    }
}
