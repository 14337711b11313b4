//! A Fetch that passes through: one broker answers all of it, its fetch session included.

use super::fetch::{outgoing, version_for};
use super::state::Session;
use super::ticket::Ticket;
use crate::api::fetch::handed::{READ_COMMITTED, fetched, handed, handed_out, throttled};
use crate::api::fetch::{self, NO_SESSION};
use crate::api::{Effects, Refusals, Seen};
use crate::error::Fault;
use crate::placement::Placement;
use crate::types::{Name, Target};
use crate::upstream::{Answer, OnAnswer, Outgoing, Refused};
use crate::wire::codec::{encode_request, forward_fetch, forward_response};
use crate::wire::fetch::{Flat, Heard};
use crate::wire::glance::{Called, PlainFetch, plain_fetch};
use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, FetchRequest, FetchResponse};
use std::sync::Arc;

/// Partitions that one answer hands records of, as a rule, at most.
const USUAL: usize = 16;

/// A Fetch that one broker answers.
pub(super) struct Through {
    pub(super) session: Arc<Session>,
    pub(super) to: Target,
    pub(super) ticket: Ticket,
    pub(super) question: Question,
    pub(super) pipeline: Name,
    pub(super) placement: Arc<Placement>,
}

/// What the broker is asked.
#[derive(Clone)]
pub(super) enum Question {
    /// As the codec has read it.
    Read(Arc<FetchRequest>),
    /// Without a session, as it was read at a glance.
    Flat(Arc<Flat>),
}

impl Through {
    /// The client's frame goes up as it is, unless it was edited.
    pub(super) fn send(self, edited: bool, frame: Bytes) {
        let (session, placement, to) = (Arc::clone(&self.session), Arc::clone(&self.placement), self.to);
        let (question, head) = (self.question.clone(), self.ticket.head());
        let version = version_for(to.cluster, head.version, &placement);
        let as_is = (!edited && version == head.version).then_some(frame);
        let client = (version, placement.client_id(to.cluster, head.client_id.as_ref()));
        let outgoing = question.outgoing(to, client, as_is, Box::new(move |answer| self.answered(answer)));
        let sent = session.links.send(to, outgoing, &placement, &session.context.telemetry);
        sent.unwrap_or_else(Refused::tell);
    }

    fn answered(self, answer: Result<Answer, Fault>) {
        let version = self.ticket.head().version;
        let mut all = Vec::new();
        let (by, committed_only) = (self.session.reader(), self.question.is_committed_only());
        let mut as_is = |answer: &Answer| {
            let same = answer.version == version && answer.has_plain_head();
            let hear = |topic: Called<'_>, heard: Heard<'_>| {
                if let Some(one) = handed(topic, &heard, committed_only) {
                    // Not one by one, and not where nothing is handed out.
                    all.reserve(if all.is_empty() { USUAL } else { 1 });
                    all.push(one);
                }
            };
            same.then(|| plain_fetch(&answer.frame, answer.body_at, version, hear)).flatten()
        };
        if let Ok(answer) = &answer
            && let Some(PlainFetch { session, throttle_ms }) = as_is(answer)
            && self.keep_session(session)
        {
            let fact = fetched(all, by, committed_only);
            self.session.note(fact.into_iter().chain(throttled(by, throttle_ms)));
            let correlation = self.ticket.head().correlation;
            return self.ticket.reply(Some(forward_response(&answer.frame, correlation)));
        }
        let told = answer.and_then(|answer| {
            let told = answer.decode::<FetchResponse>().map_err(|e| Fault::upstream(self.to, true, e))?;
            Ok((answer, told))
        });
        match told {
            Ok((answer, told)) => self.told(&answer, told),
            Err(fault) => self.failed(&fault),
        }
    }

    fn told(self, answer: &Answer, told: FetchResponse) {
        let kept = self.keep_session(told.session_id);
        if !kept {
            self.end_session(told.session_id);
        }
        let Self { session, to, mut ticket, question, .. } = self;
        let placement = session.context.current.load();
        let version = ticket.head().version;
        let mut effects = Effects::new();
        session.see(version, &placement, Refusals::none(), |seen| fetch::note(&told, to, seen, &mut effects));
        session.apply(effects);
        session.note(handed_out(&told, session.reader(), question.is_committed_only(), |topic| {
            placement.topic_there(to.cluster, &topic.topic, topic.topic_id).map(|place| place.topic.name.clone())
        }));
        if kept && answer.version == version && answer.has_plain_head() && fetch::is_plain(&told) {
            ticket.note(&told);
            let correlation = ticket.head().correlation;
            return ticket.reply(Some(forward_response(&answer.frame, correlation)));
        }
        let mut ours = session.see(version, &placement, Refusals::none(), |seen| fetch::translate(told, to, seen));
        if !kept {
            ours.session_id = NO_SESSION;
        }
        ticket.answer(&ours, std::slice::from_ref(&answer.frame));
    }

    /// With the rules that what it names was looked at with, whatever rules hold by now.
    fn keep_session(&self, told: i32) -> bool {
        let ids = (self.question.session_id(), told);
        self.session.keep_fetch_session(ids, self.to, &self.pipeline, &self.placement)
    }

    /// The client is not told of this session of the broker's.
    fn end_session(&self, told: i32) {
        self.session.end_fetch_session(told, self.to, self.ticket.head().version);
    }

    fn failed(self, fault: &Fault) {
        let Self { session, to, mut ticket, question, placement, .. } = self;
        let (peer, client) = (session.peer, session.client());
        tracing::debug!(session = %session.id, %peer, %client, %fault, "a Fetch got no answer");
        ticket.blame(fault.blame);
        session.lose(to);
        session.fetch_sessions.lock().remove(&question.session_id());
        let mut effects = Effects::new();
        let request = question.message();
        let failed = |seen: &Seen<'_>| fetch::failed_through(&request, seen, &mut effects);
        let answer = session.see(ticket.head().version, &placement, Refusals::none(), failed);
        session.apply(effects);
        ticket.answer(&answer, &[]);
    }
}

impl Question {
    fn session_id(&self) -> i32 {
        match self {
            Self::Read(request) => request.session_id,
            Self::Flat(_) => NO_SESSION,
        }
    }

    fn is_committed_only(&self) -> bool {
        let isolation = match self {
            Self::Read(request) => request.isolation_level,
            Self::Flat(flat) => flat.terms.isolation,
        };
        isolation == READ_COMMITTED
    }

    fn message(&self) -> Arc<FetchRequest> {
        match self {
            Self::Read(request) => Arc::clone(request),
            Self::Flat(flat) => Arc::new((&**flat).into()),
        }
    }

    /// The request of a client of this version and id. Its frame goes up as it is where it is given and the broker speaks its
    /// version.
    pub(super) fn outgoing(
        self,
        to: Target,
        (version, client_id): (i16, Option<Bytes>),
        as_is: Option<Bytes>,
        on_answer: OnAnswer,
    ) -> Outgoing {
        let (max_wait_ms, max_bytes) = match &self {
            Self::Read(request) => (request.max_wait_ms, request.max_bytes),
            Self::Flat(flat) => (flat.terms.max_wait_ms, flat.terms.max_bytes),
        };
        outgoing(to, (version, max_wait_ms), on_answer, move |spoken, correlation| {
            if let Some(frame) = as_is.filter(|_| spoken == version) {
                return Ok(forward_fetch(&frame, correlation, client_id.as_ref(), version, max_bytes));
            }
            let unwritten = |why: String| Fault::upstream(to, false, why);
            match self {
                Self::Read(request) => {
                    let id = client_id.as_ref();
                    let written = encode_request(ApiKey::Fetch, spoken, correlation, id, &*request, &[]);
                    written.map_err(|e| unwritten(e.to_string()))
                }
                Self::Flat(flat) => {
                    flat.frame(spoken, correlation, client_id.as_ref()).map_err(|e| unwritten(e.to_string()))
                }
            }
        })
    }
}
