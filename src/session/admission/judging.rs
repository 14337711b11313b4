//! A batch that policy judges, and what is done about the verdict.

use super::{Admitted, HELD};
use crate::api::records::produce::{Cell, Ledger, Piece};
use crate::config;
use crate::config::policy::OnViolation;
use crate::placement::Placement;
use crate::policy::admission::Asked;
use crate::policy::keys::Who;
use crate::policy::rulings::Ruling;
use crate::policy::verdict::{Refused, Verdict};
use crate::session::state::Session;
use crate::wire::batch::Batch;
use crate::wire::batch::edit::{Edit, Edited, Fate, Lane, Sender};
use crate::wire::batch::produced::{Unfit, intact, lay_out, open, plain};
use crate::wire::compression::Desk;
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// A cell's judge, with all that it takes.
pub(super) struct Judging<'a> {
    pub(super) ledger: &'a mut Ledger,
    pub(super) session: &'a Session,
    pub(super) placement: &'a Placement,
    pub(super) who: Who<'a>,
    pub(super) may_be_parted: bool,
    pub(super) now: Instant,
    pub(super) time: SystemTime,
    pub(super) desk: &'a mut Desk,
    pub(super) admitted: &'a mut Admitted,
}

impl Judging<'_> {
    /// A batch that its client writes.
    pub(super) fn cell(&mut self, cell: Cell, ruling: &Arc<Ruling>, verdict: &mut Verdict) {
        let Some(records) = cell.records().cloned() else {
            self.admitted.cells.push(cell);
            return;
        };
        let judged = open(&records).and_then(|batch| {
            self.judge(ruling, &batch, verdict)?;
            Ok(batch)
        });
        let batch = match judged {
            Ok(batch) => batch,
            Err(unfit) => return self.refuse_unfit(&cell, Some(ruling), unfit),
        };
        count(ruling, verdict);
        if let Some(why) = verdict.refused {
            return self.refuse(&cell, ruling, why, verdict);
        }
        self.wait(ruling, verdict);
        match verdict.whole() {
            Some(Fate::KEPT) => {
                ruling.stay(told(batch.header.count));
                self.admitted.cells.push(cell);
            }
            Some(Fate { to, .. }) => match intact(&batch) {
                Ok(()) => {
                    let count = told(batch.header.count);
                    let piece = to.map(|lane| self.piece(&cell, ruling, lane, records.clone(), count));
                    if piece.is_none() {
                        ruling.meter.moved("drop", count);
                    }
                    self.admitted.cells.extend(self.ledger.instead(&cell, piece.into_iter().collect(), false));
                }
                Err(unfit) => self.refuse_unfit(&cell, Some(ruling), unfit),
            },
            None => match self.edit(&cell, ruling, &batch, verdict) {
                Ok((pieces, whole)) => self.admitted.cells.extend(self.ledger.instead(&cell, pieces, whole)),
                Err(unfit) => self.refuse_unfit(&cell, Some(ruling), unfit),
            },
        }
    }

    pub(super) fn wait(&mut self, ruling: &Arc<Ruling>, verdict: &Verdict) {
        if verdict.wait > self.admitted.wait {
            self.admitted.wait = verdict.wait;
            self.admitted.held = Some((verdict.wait.min(HELD), Arc::clone(ruling)));
        }
    }

    pub(super) fn judge(&mut self, ruling: &Ruling, batch: &Batch<'_>, verdict: &mut Verdict) -> Result<(), Unfit> {
        lay_out(batch, self.desk)?;
        let asked = Asked {
            header: &batch.header,
            plain: plain(batch, &self.desk.plain),
            who: self.who,
            may_be_parted: self.may_be_parted,
            now: self.now,
            time: self.time,
        };
        let judged = ruling.policy.judge(&asked, verdict);
        judged.map_err(|unreadable| Unfit::Record { record: unreadable.record, malformed: unreadable.malformed })
    }

    /// What goes on of a batch whose records differ in what becomes of them, and whether that is all that was sent.
    fn edit(
        &mut self,
        cell: &Cell,
        ruling: &Ruling,
        batch: &Batch<'_>,
        verdict: &Verdict,
    ) -> Result<(Vec<Piece>, bool), Unfit> {
        intact(batch)?;
        let Desk { plain: unpacked, edited, press } = &mut *self.desk;
        let edit = Edit { batch, plain: plain(batch, unpacked), fates: &verdict.fates, changes: &verdict.changes };
        let mut made: Vec<(Lane, Edited)> = Vec::new();
        for lane in verdict.lanes() {
            let piece = edit.to(lane, Sender::of(&batch.header), edited, press);
            let piece = piece.map_err(Unfit::from)?;
            made.extend(piece.map(|piece| (lane, piece)));
        }
        ruling.meter.edited();
        let left: i32 = made.iter().map(|(_, piece)| piece.count).sum();
        let dropped = told(batch.header.count - left);
        if dropped > 0 {
            ruling.meter.moved("drop", dropped);
        }
        let whole = matches!(&made[..], [(Lane::MAIN, piece)] if piece.count == batch.header.count);
        let pieces = made.into_iter().map(|(lane, piece)| {
            let count = told(piece.count);
            let bytes = self.session.requests.counted(piece.bytes);
            self.piece(cell, ruling, lane, bytes, count)
        });
        Ok((pieces.collect(), whole))
    }

    fn piece(&mut self, cell: &Cell, ruling: &Ruling, lane: Lane, records: bytes::Bytes, count: u64) -> Piece {
        let Some(leads) = self.leads(cell, ruling, lane) else {
            ruling.stay(count);
            return Piece { records, lane: None, round: None, trail: None, clock: None };
        };
        ruling.meter.moved(ruling.name_of(lane), count);
        let clock = Some(ruling.meter.lane_clock(ruling.name_of(lane)));
        let lane = Some(self.ledger.lane(&leads.topic, leads.on_down));
        Piece { records, lane, round: leads.null_key.then(|| fastrand::u32(..)), trail: None, clock }
    }

    /// Where a lane leads; `None`: nowhere else than the topic itself.
    pub(super) fn leads(&self, cell: &Cell, ruling: &Ruling, lane: Lane) -> Option<config::policy::Lane> {
        let of_canary = |canary: &config::policy::Canary| config::policy::Lane {
            topic: self.placement.config.name_of_twin(&self.topic(cell), canary.to).into(),
            on_down: canary.on_down,
            null_key: false,
        };
        ruling.lane(lane).cloned().or_else(|| ruling.canary(lane).map(of_canary))
    }

    /// The topic that the client named, also where it did so by its id alone.
    fn topic(&self, cell: &Cell) -> StrBytes {
        let Some((name, id)) = self.ledger.named(cell) else { return StrBytes::new() };
        self.placement.topic_of(name, id).map_or_else(|| name.0.clone(), |place| place.topic.name.clone())
    }

    pub(super) fn refuse_unfit(&mut self, cell: &Cell, ruling: Option<&Arc<Ruling>>, unfit: Unfit) {
        ruling.into_iter().for_each(|ruling| ruling.meter.refused("unfit"));
        let records = match unfit {
            Unfit::Record { record, .. } => i32::try_from(record).ok(),
            _ => None,
        };
        let why = unfit.to_string();
        let records = records.map(|record| (record, why.clone())).into_iter().collect();
        self.answer(cell, unfit.error(), why, records);
    }

    /// No key and no value is told: the client knows what it sent.
    pub(super) fn refuse(&mut self, cell: &Cell, ruling: &Ruling, why: Refused, verdict: &Verdict) {
        match why {
            Refused::Contract => {
                ruling.meter.refused("contract");
                let told = verdict
                    .violations
                    .iter()
                    .map(|one| (i32::try_from(one.record).unwrap_or(i32::MAX), one.to_string()));
                let first = verdict.violations.first().map(|one| format!("record {}: {one}", one.record));
                let message = match verdict.broken {
                    0 | 1 => first.unwrap_or_default(),
                    more => format!("{}; {} records break it", first.unwrap_or_default(), more),
                };
                self.answer(cell, ResponseError::InvalidRecord, message, told.collect());
            }
            Refused::Limit(place) => {
                ruling.meter.refused("limit");
                let limit = ruling.policy.limits().get(place).map_or("", |limit| &limit.name);
                let message = format!("the batch is above the limit {limit} of its pipeline");
                self.answer(cell, ResponseError::PolicyViolation, message, Vec::new());
            }
        }
    }

    fn answer(&mut self, cell: &Cell, error: ResponseError, message: String, records: Vec<(i32, String)>) {
        if let Some(refused) = self.ledger.partition_of(cell).zip(cell.stamp) {
            self.admitted.refused.push(refused);
        }
        self.ledger.refuse(cell, error.code(), message, records);
    }
}

pub(super) fn count(ruling: &Ruling, verdict: &Verdict) {
    for (meter, tally) in ruling.limits.iter().zip(&verdict.tallies) {
        meter.said(tally.passed, tally.observed, tally.enforced);
    }
    if verdict.broken > 0 {
        let on_violation = ruling.written.contract.as_ref().map_or(OnViolation::Observe, |it| it.on_violation);
        ruling.meter.broken(on_violation.as_str(), verdict.broken);
    }
}

/// As metrics count.
pub(super) fn told(count: i32) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
