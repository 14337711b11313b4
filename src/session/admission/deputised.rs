//! A batch that a deputy writes for its idempotent producer: judged once, numbered anew, and what is sent again goes the way
//! that it went before.

use super::judging::{Judging, count, told};
use crate::api::codes;
use crate::api::records::produce::{Cell, Piece};
use crate::config::policy::OnDown;
use crate::policy::deputy::{Before, Came, Deputy, Seen, Shared, Trail, Visit};
use crate::policy::parting::{Part, Parting, is_untouched};
use crate::policy::rulings::Ruling;
use crate::policy::verdict::Verdict;
use crate::types::SessionId;
use crate::wire::batch::Batch;
use crate::wire::batch::edit::{Edit, Fate, Lane, Sender, from_sender};
use crate::wire::batch::produced::{Unfit, intact, lay_out, open, plain};
use bytes::Bytes;
use std::sync::Arc;

impl Judging<'_> {
    /// A batch that a deputy writes. Where its pipeline asks nothing of it any more, all of it stays.
    pub(super) fn deputised(
        &mut self,
        mut cell: Cell,
        (deputy, before): (&Shared, Before),
        ruling: Option<&Arc<Ruling>>,
        verdict: &mut Verdict,
    ) {
        let Some(records) = cell.records().cloned() else { return self.admitted.cells.push(cell) };
        let batch = match open(&records) {
            Ok(batch) => batch,
            Err(unfit) => {
                cell.stamp.into_iter().for_each(|stamp| deputy.lock().refuse(stamp.into()));
                return self.refuse_unfit(&cell, ruling, unfit);
            }
        };
        let (client, count) = (Sender::of(&batch.header), batch.header.count);
        let sessions = &self.session.context.sessions;
        let is_open = |session: SessionId| sessions.contains_key(&session);
        let came = Came { client, count, by: self.session.id, now: self.now, before, is_open: &is_open };
        let mut standing = deputy.lock();
        match standing.see(came) {
            Seen::New => match self.part(&cell, &batch, ruling, verdict) {
                Some(parting) => self.begin(&cell, &batch, (deputy, &mut standing), ruling, parting),
                None => standing.refuse(client),
            },
            Seen::Again { visit, parting, parts } => {
                let rest: Vec<_> = parts.iter().filter(|part| !part.written).cloned().collect();
                let senders = rest.iter().map(|part| (part.lane, standing.sender_of(part))).collect();
                match self.made(&batch, &parting, senders) {
                    Ok(made) => {
                        let whole = is_untouched(&parts, count);
                        self.go(&cell, ruling, made, (deputy, &standing), visit, (rest, whole));
                    }
                    Err(unfit) => {
                        standing.comes_to_nothing(visit);
                        self.refuse_unfit(&cell, ruling, unfit);
                    }
                }
            }
            Seen::Written(told) => self.ledger.answer_again(&cell, told),
            Seen::Early => {
                (cell.waits, cell.judged) = (true, false);
                self.admitted.cells.push(cell);
            }
            Seen::Behind => {
                let why = "a batch of this producer before this one was refused, and did not come again yet".to_owned();
                self.ledger.refuse(&cell, codes::REQUEST_TIMED_OUT, why, Vec::new());
            }
            Seen::OutOfOrder => {
                let why = "batches of this producer before this one are missing".to_owned();
                self.ledger.refuse(&cell, codes::OUT_OF_ORDER_SEQUENCE_NUMBER, why, Vec::new());
            }
            Seen::Fenced => {
                let why = "its producer has begun anew with a newer epoch".to_owned();
                self.ledger.refuse(&cell, codes::INVALID_PRODUCER_EPOCH, why, Vec::new());
            }
        }
    }

    /// What becomes of a new batch's records; `None` where it is refused.
    fn part(
        &mut self,
        cell: &Cell,
        batch: &Batch<'_>,
        ruling: Option<&Arc<Ruling>>,
        verdict: &mut Verdict,
    ) -> Option<Parting> {
        let Some(ruling) = ruling else { return Some(Parting::Whole(Fate::KEPT)) };
        if let Err(unfit) = self.judge(ruling, batch, verdict) {
            self.refuse_unfit(cell, Some(ruling), unfit);
            return None;
        }
        count(ruling, verdict);
        if let Some(why) = verdict.refused {
            self.refuse(cell, ruling, why, verdict);
            return None;
        }
        self.wait(ruling, verdict);
        let parting = Parting::of(verdict, |lane| self.is_away(cell, ruling, lane));
        let is_full = matches!(parting, Parting::Each(..)) && self.session.context.rulings.deputies.memory.is_full();
        Some(if is_full { self.stays() } else { parting })
    }

    /// Too much is remembered of batches that are not written: this one stays as it is.
    fn stays(&self) -> Parting {
        if let Some(held_back) = self.session.context.seldom.pass("deputies remember too much".to_owned()) {
            tracing::warn!(
                held_back,
                "batches of idempotent producers are written as they are, whatever policy says of their records: \
                 64 MiB are taken by what it said of others that are not written yet. Is a lane's cluster away?"
            );
        }
        Parting::Whole(Fate::KEPT)
    }

    /// Whether what is meant for a lane stays where it is: the topic is its own lane, or the lane is away and not waited for.
    /// Later it would be too late: it is numbered for where it goes.
    fn is_away(&self, cell: &Cell, ruling: &Ruling, lane: Lane) -> bool {
        let Some(leads) = self.leads(cell, ruling, lane) else { return true };
        let is_itself = self.ledger.topic_of(cell).is_some_and(|topic| topic.as_str() == &*leads.topic);
        let is_led = || self.placement.topic(&leads.topic).is_some_and(|place| place.is_led());
        is_itself || leads.on_down == OnDown::Main && !is_led()
    }

    /// A new batch goes its way for the first time.
    fn begin(
        &mut self,
        cell: &Cell,
        batch: &Batch<'_>,
        (deputy, standing): (&Shared, &mut Deputy),
        ruling: Option<&Arc<Ruling>>,
        parting: Parting,
    ) {
        let (client, count) = (Sender::of(&batch.header), batch.header.count);
        let lanes = parting.lanes(count);
        let leads = |lane| ruling.and_then(|ruling| self.leads(cell, ruling, lane));
        let leads: Vec<_> = lanes.iter().map(|(lane, count)| (*lane, leads(*lane), *count)).collect();
        let senders = standing.senders(&leads);
        let made = match self.made(batch, &parting, senders) {
            Ok(made) => made,
            Err(unfit) => {
                standing.refuse(client);
                return self.refuse_unfit(cell, ruling, unfit);
            }
        };
        if let Some(ruling) = ruling {
            tell(ruling, &parting, &lanes, count);
        }
        let (visit, parts) = standing.take(client, count, parting, |lane| {
            leads.iter().find(|(known, ..)| *known == lane).and_then(|(_, leads, _)| leads.clone())
        });
        let whole = is_untouched(&parts, count);
        self.go(cell, ruling, made, (deputy, standing), visit, (parts, whole));
    }

    /// The batches for such lanes, from such senders; of what is all dropped an empty one.
    fn made(
        &mut self,
        batch: &Batch<'_>,
        parting: &Parting,
        senders: Vec<(Lane, Sender)>,
    ) -> Result<Vec<Bytes>, Unfit> {
        intact(batch)?;
        let counted = |bytes| self.session.requests.counted(bytes);
        let (fates, changes) = match parting {
            _ if parting.lanes(batch.header.count).is_empty() => return Ok(vec![Bytes::new()]),
            Parting::Whole(_) => {
                return Ok(senders.iter().map(|(_, sender)| counted(from_sender(batch, *sender))).collect());
            }
            Parting::Each(fates, changes) => (fates, changes),
        };
        // What was judged just now lies there already.
        if self.desk.plain.filled().is_empty() {
            lay_out(batch, self.desk)?;
        }
        let edit = Edit { batch, plain: plain(batch, &self.desk.plain), fates, changes };
        let mut made = Vec::with_capacity(senders.len());
        for (lane, sender) in senders {
            let edited = edit.to(lane, sender, &mut self.desk.edited, &mut self.desk.press)?;
            made.extend(edited.map(|edited| counted(edited.bytes)));
        }
        Ok(made)
    }

    /// Parts go on in the cell's place, and tell the deputy what becomes of them.
    fn go(
        &mut self,
        cell: &Cell,
        ruling: Option<&Arc<Ruling>>,
        made: Vec<Bytes>,
        (deputy, standing): (&Shared, &Deputy),
        visit: Visit,
        (parts, whole): (Vec<Part>, bool),
    ) {
        let mut piece = |(records, part): (Bytes, Part)| {
            let lane = part.leads.as_ref().map(|leads| self.ledger.lane(&leads.topic, leads.on_down));
            let round = part.leads.as_ref().is_some_and(|leads| leads.null_key).then(|| standing.round());
            let clock = ruling.filter(|_| lane.is_some()).map(|of| of.meter.lane_clock(of.name_of(part.lane)));
            Piece { records, lane, round, trail: Some(Trail::new(deputy, visit, part.lane)), clock }
        };
        let pieces: Vec<_> = made.into_iter().zip(parts).map(&mut piece).collect();
        self.admitted.cells.extend(self.ledger.instead(cell, pieces, whole));
    }
}

fn tell(ruling: &Ruling, parting: &Parting, lanes: &[(Lane, i32)], count: i32) {
    if matches!(parting, Parting::Each(..)) {
        ruling.meter.edited();
    }
    for (lane, count) in lanes {
        match *lane {
            Lane::MAIN => ruling.stay(told(*count)),
            lane => ruling.meter.moved(ruling.name_of(lane), told(*count)),
        }
    }
    let left: i32 = lanes.iter().map(|(_, count)| count).sum();
    if left < count {
        ruling.meter.moved("drop", told(count - left));
    }
}
