//! A Produce on its way: what is known of it while its parts are, and its answer when they are back.

use super::state::Session;
use super::ticket::Ticket;
use crate::api::records::produce::{Cell, Ledger, Part, Partition};
use crate::api::records::written::Base;
use crate::api::{Effect, Effects, Refusals};
use crate::error::{Blame, Fault};
use crate::telemetry::Meter;
use crate::types::Target;
use crate::upstream::Answer;
use crate::wire::budget::Charge;
use crate::wire::codec::forward_response;
use crate::wire::glance::{Called, plain_produce};
use bytes::Bytes;
use kafka_protocol::messages::ProduceResponse;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use std::time::Instant;

/// One client request on its way.
pub struct Underway {
    /// Whose it is.
    pub session: Arc<Session>,
    /// Later requests of the session have higher ones.
    pub number: u64,
    /// The version that the client speaks.
    pub version: i16,
    /// 0 where nobody answers.
    pub acks: i16,
    /// As the client gave it.
    pub client_id: Option<Bytes>,
    /// What is held is given up then.
    pub until: Instant,
    /// Its answer goes no sooner: a limit throttles it.
    pub not_before: Option<Instant>,
    /// Counts what becomes of a request with acks=0, which has no ticket any more when it fails. Taken by the first
    /// failure.
    pub silent: Mutex<Option<Arc<Meter>>>,
    /// What its frame has drawn.
    pub tab: Weak<Mutex<Charge>>,
    /// What changes.
    pub state: Mutex<State>,
}

/// Its parts' answers so far.
pub struct State {
    /// Its partitions.
    pub ledger: Ledger,
    /// Taken when the answer is made; with acks=0, at once.
    pub ticket: Option<Ticket>,
    /// Needs that were tried.
    pub refused: Refusals,
    /// What answers told us to do.
    pub effects: Effects,
}

/// What a broker said of a part.
pub enum Told {
    /// Nothing that must be looked at: the frame goes to the client as it is. Where what it is about was written.
    Plainly(Bytes, Vec<Base>),
    /// All else.
    Decoded(ProduceResponse),
}

/// What a broker answered to so many partitions. It can go on as it is where it tells of all that the client asked, in
/// the client's version (`asked`).
pub fn understood(
    from: Target,
    asked: Option<i16>,
    partitions: usize,
    answer: Result<Answer, Fault>,
) -> Result<Told, Fault> {
    let answer = answer?;
    let same = asked == Some(answer.version) && answer.has_plain_head();
    if same {
        let mut bases = Vec::with_capacity(partitions);
        let hear = |topic: Called<'_>, index, offset| bases.push(Base::told(topic, index, offset));
        if plain_produce(&answer.frame, answer.body_at, answer.version, hear) == Some(partitions) {
            return Ok(Told::Plainly(answer.frame, bases));
        }
    }
    answer.decode().map(Told::Decoded).map_err(|e| Fault::upstream(from, true, e))
}

impl Underway {
    /// A refusal that later batches could overtake would lose data (L6); the closed connection makes the client send all
    /// of them again, in order. Without acks there is no other way to refuse at all.
    #[must_use]
    pub fn must_not_be_overtaken(&self, cells: &[Cell]) -> bool {
        self.acks == 0 || Ledger::is_idempotent(cells)
    }

    /// Somebody failed us on this request's behalf.
    pub fn blame(&self, ticket: Option<&mut Ticket>, blame: Blame) {
        let silent = self.silent.lock().take();
        match (silent, ticket) {
            (Some(meter), _) => meter.failed(blame),
            (None, Some(ticket)) if self.acks != 0 => ticket.blame(blame),
            (None, _) => {}
        }
    }

    /// Its frame is counted among those that wait from now on. False where there is no room for it there: so what is
    /// held for one cluster does not keep the requests of others from being read (L4).
    #[must_use]
    pub fn park(&self) -> bool {
        let tab = self.tab.upgrade();
        tab.is_none_or(|tab| tab.lock().move_to(&self.session.context.shared.memory.parked))
    }

    /// Whether it may be held.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        Instant::now() < self.until
    }

    /// The partitions whose batches may not be overtaken from now on, for what a broker said of them (L6), and the codes
    /// that it gave.
    pub fn refused(&self, part: &Part, told: &Told) -> Vec<(Partition, i16)> {
        match told {
            Told::Decoded(answer) => self.state.lock().ledger.refused(part, answer),
            Told::Plainly(..) => Vec::new(),
        }
    }

    /// A broker answered a part, or never will.
    pub fn answered(&self, part: &Part, told: Result<Told, Fault>) {
        let mut state = self.state.lock();
        match told {
            Ok(Told::Plainly(frame, bases)) => {
                self.session.note(state.ledger.written(part, &bases));
                let Some(ticket) = state.ticket.take() else { return };
                let correlation = ticket.head().correlation;
                return self.in_time(move || ticket.reply(Some(forward_response(&frame, correlation))));
            }
            Ok(Told::Decoded(told)) => {
                let placement = self.session.context.current.load();
                let State { ledger, refused, effects, .. } = &mut *state;
                let mut new = Effects::new();
                self.session.see(self.version, &placement, refused, |seen| ledger.absorb(part, told, seen, &mut new));
                // Not when the slowest part is back: what was written is.
                let saw = |effect: &mut Effect| matches!(effect, Effect::Saw(_));
                self.session.note(new.extract_if(.., saw).filter_map(Effect::saw));
                effects.append(&mut new);
            }
            Err(fault) => {
                let session = &self.session;
                let (peer, client) = (session.peer, session.client());
                tracing::debug!(session = %session.id, %peer, %client, %fault, "a Produce got no answer");
                let State { ledger, ticket, effects, .. } = &mut *state;
                self.blame(ticket.as_mut(), fault.blame);
                ledger.fail(part, &fault, effects);
            }
        }
        drop(state);
        self.answer_if_complete();
        if part.cells.iter().any(Cell::is_followed) {
            // What its deputy holds back may go.
            self.session.orders.ring();
        }
    }

    /// Answers when all parts are back; where nobody answers, at once.
    pub fn answer_if_complete(&self) {
        let mut state = self.state.lock();
        let complete = state.ledger.is_complete() || self.acks == 0;
        let Some(ticket) = state.ticket.take_if(|_| complete) else { return };
        let effects = std::mem::take(&mut state.effects);
        if self.acks == 0 {
            return ticket.reply(None);
        }
        let response = state.ledger.response();
        drop(state);
        self.session.apply(effects);
        self.in_time(move || ticket.answer(&response, &[]));
    }

    /// Answers, not before its time.
    fn in_time(&self, answer: impl FnOnce() + Send + 'static) {
        match self.not_before.filter(|until| *until > Instant::now()) {
            None => answer(),
            Some(until) => drop(tokio::spawn(async move {
                tokio::time::sleep_until(until.into()).await;
                answer();
            })),
        }
    }
}
