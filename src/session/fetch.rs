//! The driver of Fetch: sends what `api::fetch` planned, keeps the table of fetch sessions, answers.

use super::generic::patience;
use super::state::Session;
use super::ticket::Ticket;
use super::{needs, polls};
use crate::api::fetch::split::records_within;
use crate::api::fetch::{self, NO_SESSION, Plan};
use crate::api::{Effects, Need, Refusal};
use crate::error::Fault;
use crate::placement::Placement;
use crate::types::{Name, Target};
use crate::upstream::{Answer, Expect, OnAnswer, Outgoing, Refused};
use crate::wire::codec::{Frame, encode_request, forward_fetch, forward_response};
use crate::wire::fetch::Reading;
use crate::wire::glance::plain_fetch;
use crate::wire::malformed::Malformed;
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::FetchTopic;
use kafka_protocol::messages::{ApiKey, FetchRequest, FetchResponse};
use std::sync::Arc;
use std::time::Duration;

/// More fetch sessions than this on one connection, and all are forgotten: their clients make full fetches.
const SESSIONS: usize = 1_000;

/// A fetch session as its client's session knows it.
#[derive(Clone, Debug)]
pub struct FetchSession {
    /// The broker that it lives on.
    at: Target,
    /// The pipeline of its topics, which later requests do not name. A topic that it gave up again still counts.
    pipeline: Name,
}

/// Serves one Fetch.
pub fn submit(mut ticket: Ticket, frame: &Bytes) -> Result<(), Malformed> {
    // What is larger than the session may hold is asked for again by the client [L4].
    let most = i32::try_from(records_within(ticket.session().context.limits().responses)).unwrap_or(i32::MAX);
    if let Some(mut reading) = Reading::begin(frame, ticket.head().body_at, ticket.head().version) {
        reading.terms.max_bytes = reading.terms.max_bytes.min(most);
        ticket.expects(usize::try_from(reading.terms.max_bytes).unwrap_or(0));
        match polls::submit(ticket, reading) {
            Ok(()) => return Ok(()),
            Err(other) => ticket = other,
        }
    }
    let mut request: FetchRequest = ticket.read(frame)?;
    request.max_bytes = request.max_bytes.min(most);
    ticket.expects(usize::try_from(request.max_bytes).unwrap_or(0));
    go_on(ticket, request, frame.clone(), Vec::new());
    Ok(())
}

fn go_on(mut ticket: Ticket, request: FetchRequest, frame: Bytes, mut refused: Vec<(Need, Refusal)>) {
    let session = Arc::clone(ticket.session());
    let (generation, placement) = (session.context.current.generation(), session.context.current.load());
    let session_at = |id| session.fetch_sessions.lock().get(&id).map(|known| known.at);
    let (version, id) = (ticket.head().version, request.session_id);
    let split = session.polls.go_on();
    let plan = session.see(version, &placement, &refused, |seen| fetch::plan(request, session_at, split, seen));
    if let Some(at) = session_at(id).filter(|at| plan.leaves_session(*at)) {
        session.fetch_sessions.lock().remove(&id);
        session.end_fetch_session(id, at, version);
    }
    match plan {
        Plan::Answer(answer) => {
            ticket.blame_refusals(&refused);
            ticket.answer(&answer, &[]);
        }
        Plan::Wait(request, needs) => {
            tokio::spawn(async move {
                refused.extend(needs::meet(&ticket.session().context, needs).await);
                go_on(ticket, *request, frame, refused);
            });
        }
        Plan::Through { to, request, edited } => {
            let pipeline = session.pipeline_of_fetch(&request, &placement);
            ticket.of_pipeline(pipeline.clone());
            ticket.at_cluster(clusters(std::iter::once(to), &placement));
            ticket.blame_refusals(&refused);
            let through = Through { session, to, ticket, request, pipeline, placement };
            through.send(edited, frame);
        }
        Plan::Split(flat) => {
            ticket.blame_refusals(&refused);
            polls::submit_split(ticket, &flat, (generation, &placement), &refused);
        }
    }
}

fn pipeline_of<'p>(topic: &FetchTopic, placement: &'p Placement) -> Option<&'p Name> {
    placement.home_of(&topic.topic.0, topic.topic_id).map(|(pipeline, _)| pipeline)
}

pub(super) fn clusters(targets: impl Iterator<Item = Target>, placement: &Placement) -> Name {
    let clusters = targets.filter_map(|to| placement.cluster(to.cluster));
    Name::of_all(clusters.map(|cluster| &cluster.name))
}

/// A Fetch that one broker answers.
struct Through {
    session: Arc<Session>,
    to: Target,
    ticket: Ticket,
    request: Arc<FetchRequest>,
    pipeline: Name,
    placement: Arc<Placement>,
}

impl Through {
    fn send(self, edited: bool, frame: Bytes) {
        let (session, placement, to) = (Arc::clone(&self.session), Arc::clone(&self.placement), self.to);
        let as_is = (!edited).then_some(frame);
        let asked = Written::of(&self.ticket, Arc::clone(&self.request));
        let outgoing = asked.outgoing(to, as_is, Box::new(move |answer| self.answered(answer)));
        let sent = session.links.send(to, outgoing, &placement, &session.context.telemetry);
        sent.unwrap_or_else(Refused::tell);
    }

    fn answered(self, answer: Result<Answer, Fault>) {
        let version = self.ticket.head().version;
        let as_is = |answer: &Answer| {
            let same = answer.version == version && answer.has_plain_head();
            same.then(|| plain_fetch(&answer.frame, answer.body_at, version)).flatten()
        };
        if let Ok(answer) = &answer
            && let Some(told) = as_is(answer)
            && self.keep_session(told)
        {
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
        let Self { session, to, mut ticket, .. } = self;
        let placement = session.context.current.load();
        let version = ticket.head().version;
        let mut effects = Effects::new();
        session.see(version, &placement, &[], |seen| fetch::note(&told, to.cluster, seen, &mut effects));
        session.apply(effects);
        if kept && answer.version == version && answer.has_plain_head() && fetch::is_plain(&told) {
            ticket.note(&told);
            let correlation = ticket.head().correlation;
            return ticket.reply(Some(forward_response(&answer.frame, correlation)));
        }
        let mut ours = session.see(version, &placement, &[], |seen| fetch::translate(told, to.cluster, seen));
        if !kept {
            ours.session_id = NO_SESSION;
        }
        ticket.answer(&ours, std::slice::from_ref(&answer.frame));
    }

    fn keep_session(&self, told: i32) -> bool {
        let now = FetchSession { at: self.to, pipeline: self.pipeline.clone() };
        self.session.keep_fetch_session(self.request.session_id, told, &now)
    }

    /// The client is not told of this session of the broker's.
    fn end_session(&self, told: i32) {
        self.session.end_fetch_session(told, self.to, self.ticket.head().version);
    }

    fn failed(self, fault: &Fault) {
        let Self { session, mut ticket, request, placement, .. } = self;
        let (peer, client) = (session.peer, session.client());
        tracing::debug!(session = %session.id, %peer, %client, %fault, "a Fetch got no answer");
        ticket.blame(fault.blame);
        session.fetch_sessions.lock().remove(&request.session_id);
        let mut effects = Effects::new();
        let failed = |seen: &crate::api::Seen<'_>| fetch::failed_through(&request, seen, &mut effects);
        let answer = session.see(ticket.head().version, &placement, &[], failed);
        session.apply(effects);
        ticket.answer(&answer, &[]);
    }
}

impl Session {
    /// That of the topics it names, and of those that its fetch session has already.
    fn pipeline_of_fetch(&self, request: &FetchRequest, placement: &Placement) -> Name {
        let sessions = self.fetch_sessions.lock();
        let known = sessions.get(&request.session_id).filter(|_| fetch::is_incremental(request));
        let named = request.topics.iter().filter_map(|topic| pipeline_of(topic, placement));
        Name::of_all(known.map(|known| &known.pipeline).into_iter().chain(named))
    }

    /// Remembers the broker of a fetch session. False where another broker's session of this client bears the same
    /// number: the client is then told that it has none.
    fn keep_fetch_session(&self, asked: i32, told: i32, now: &FetchSession) -> bool {
        let mut sessions = self.fetch_sessions.lock();
        let of_this_broker = |known: &FetchSession| known.at == now.at;
        if asked != told && sessions.get(&asked).is_some_and(of_this_broker) {
            sessions.remove(&asked);
        }
        if told == NO_SESSION {
            return true;
        }
        if sessions.len() >= SESSIONS {
            sessions.clear();
        }
        let known = sessions.entry(told).or_insert_with(|| now.clone());
        if known.at != now.at {
            return false;
        }
        known.pipeline.clone_from(&now.pipeline);
        true
    }

    /// The client will not use this session of a broker: its place there, of few, is free at once. Where that fails, the
    /// broker ends it when it needs the place.
    fn end_fetch_session(&self, id: i32, at: Target, version: i16) {
        let asked = Written { version, client_id: None, request: Arc::new(fetch::farewell(id)) };
        self.links.send_if_open(at, asked.outgoing(at, None, Box::new(drop)));
    }
}

/// A Fetch as the link sends it.
struct Written {
    version: i16,
    client_id: Option<Bytes>,
    request: Arc<FetchRequest>,
}

impl Written {
    fn of(ticket: &Ticket, request: Arc<FetchRequest>) -> Self {
        Self { version: ticket.head().version, client_id: ticket.head().client_id.clone(), request }
    }

    /// The client's frame goes up as it is where it is given and the broker speaks its version.
    fn outgoing(self, to: Target, as_is: Option<Bytes>, on_answer: OnAnswer) -> Outgoing {
        let Self { version, client_id, request } = self;
        let max_wait_ms = request.max_wait_ms;
        outgoing(to, (version, max_wait_ms), on_answer, move |spoken, correlation| {
            if let Some(frame) = as_is.filter(|_| spoken == version) {
                return Ok(forward_fetch(&frame, correlation, version, request.max_bytes));
            }
            let written = encode_request(ApiKey::Fetch, spoken, correlation, client_id.as_ref(), &*request, &[]);
            written.map_err(|e| Fault::upstream(to, false, e))
        })
    }
}

/// A Fetch for a broker, of a client that speaks this version and waits so many milliseconds; `write` gets the version
/// that the broker speaks, and a correlation id.
pub(super) fn outgoing(
    to: Target,
    (version, max_wait_ms): (i16, i32),
    on_answer: OnAnswer,
    write: impl FnOnce(i16, i32) -> Result<Frame, Fault> + Send + 'static,
) -> Outgoing {
    Outgoing {
        api: ApiKey::Fetch,
        write: Box::new(move |versions, correlation| {
            let lacks = || Fault::upstream(to, false, "it lacks Fetch");
            let spoken = versions.nearest(ApiKey::Fetch, version).ok_or_else(lacks)?;
            Ok((spoken, write(spoken, correlation)?))
        }),
        expect: Expect::Answer(on_answer),
        patience: patience(Duration::from_millis(u64::try_from(max_wait_ms).unwrap_or(0))),
    }
}
