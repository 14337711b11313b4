//! The driver of Fetch: sends what `api::fetch` planned, keeps the table of fetch sessions, answers.

use super::generic::patience;
use super::polls::Glanced;
use super::rights::Rules;
use super::state::Session;
use super::through::{Question, Through};
use super::ticket::Ticket;
use super::{needs, polls};
use crate::api::Refusals;
use crate::api::fetch::records_within;
use crate::api::fetch::{self, BY_ID, NO_SESSION, Plan};
use crate::error::Fault;
use crate::placement::Placement;
use crate::types::{Name, Slot, Target};
use crate::upstream::{Expect, OnAnswer, Outgoing};
use crate::wire::codec::Frame;
use crate::wire::fetch::Reading;
use crate::wire::malformed::Malformed;
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::FetchTopic;
use kafka_protocol::messages::{ApiKey, FetchRequest};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;
use std::time::Duration;

/// More fetch sessions than this on one connection, and all are forgotten: their clients make full fetches.
const SESSIONS: usize = 1_000;

/// A fetch session as its client's session knows it.
#[derive(Clone, Debug)]
pub struct FetchSession {
    /// The broker that it lives on.
    pub(super) at: Target,
    /// The pipeline of its topics, which later requests do not name. A topic that it gave up again still counts.
    pub(super) pipeline: Name,
    /// What its topics were looked at with, when they were named.
    pub(super) rules: Rules,
}

/// Serves one Fetch.
pub fn submit(mut ticket: Ticket, frame: &Bytes) -> Result<(), Malformed> {
    // What is larger than the session may hold is asked for again by the client [L4].
    let most = i32::try_from(records_within(ticket.session().context.limits().responses)).unwrap_or(i32::MAX);
    if let Some(mut reading) = Reading::begin(frame, ticket.head().body_at, ticket.head().version) {
        reading.terms.max_bytes = reading.terms.max_bytes.min(most);
        ticket.expects(usize::try_from(reading.terms.max_bytes).unwrap_or(0));
        match polls::submit(ticket, reading) {
            Glanced::Taken => return Ok(()),
            Glanced::Through(through, edited) => {
                through.send(edited, frame.clone());
                return Ok(());
            }
            Glanced::Left(other) => ticket = other,
        }
    }
    let mut request: FetchRequest = ticket.read(frame)?;
    request.max_bytes = request.max_bytes.min(most);
    if ticket.session().hides_rack() {
        request.rack_id = StrBytes::new();
    }
    ticket.expects(usize::try_from(request.max_bytes).unwrap_or(0));
    go_on(ticket, request, frame.clone(), Refusals::default());
    Ok(())
}

fn go_on(mut ticket: Ticket, request: FetchRequest, frame: Bytes, mut refused: Refusals) {
    let session = Arc::clone(ticket.session());
    let (generation, placement) = (session.generation(), session.context.current.load());
    let (version, id, goes_on) = (ticket.head().version, request.session_id, fetch::is_incremental(&request));
    let split = session.polls.go_on();
    let plan = session.see(version, &placement, &refused, |seen| {
        // A full fetch names all that it is for, whatever its session was opened under.
        let session_at = |id| session.fetch_session(id, |known| !goes_on || known.rules.hold(&placement));
        fetch::plan(request, session_at, split, seen)
    });
    if let Some(at) = session.fetch_session(id, |known| plan.leaves_session(known.at)) {
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
            polls::count(&session);
            ticket.of_pipeline(pipeline.clone());
            ticket.at_cluster(clusters(std::iter::once(to), &placement));
            ticket.blame_refusals(&refused);
            let question = Question::Read(request);
            let edited = edited || session.hides_rack();
            Through { session, to, ticket, question, pipeline, placement }.send(edited, frame);
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

impl Session {
    /// That of the topics it names, and of those that its fetch session has already.
    fn pipeline_of_fetch(&self, request: &FetchRequest, placement: &Placement) -> Name {
        let sessions = self.fetch_sessions.lock();
        let known = sessions.get(&request.session_id).filter(|_| fetch::is_incremental(request));
        let named = request.topics.iter().filter_map(|topic| pipeline_of(topic, placement));
        Name::of_all(known.map(|known| &known.pipeline).into_iter().chain(named))
    }

    /// The broker that a fetch session lives on, where it is such a one.
    fn fetch_session(&self, id: i32, is_such: impl FnOnce(&FetchSession) -> bool) -> Option<Target> {
        self.fetch_sessions.lock().get(&id).filter(|known| is_such(known)).map(|known| known.at)
    }

    /// Remembers the broker of a fetch session, with the rules of the placement that what it names was looked at with. False where
    /// another broker's session of this client bears the same number: the client is then told that it has none.
    pub(super) fn keep_fetch_session(
        &self,
        (asked, told): (i32, i32),
        at: Target,
        pipeline: &Name,
        placement: &Placement,
    ) -> bool {
        let mut sessions = self.fetch_sessions.lock();
        if asked != told && sessions.get(&asked).is_some_and(|known| known.at == at) {
            sessions.remove(&asked);
        }
        if told == NO_SESSION {
            return true;
        }
        if sessions.len() >= SESSIONS {
            sessions.clear();
        }
        match sessions.get(&told) {
            Some(known) if known.at != at => return false,
            Some(known) if known.pipeline == *pipeline && known.rules.hold(placement) => {}
            _ => {
                let now = FetchSession { at, pipeline: pipeline.clone(), rules: Rules::of(placement) };
                sessions.insert(told, now);
            }
        }
        true
    }

    /// The client will not use this session of a broker: its place there, of few, is free at once. Where that fails, the
    /// broker ends it when it needs the place.
    pub(super) fn end_fetch_session(&self, id: i32, at: Target, version: i16) {
        let farewell = Question::Read(Arc::new(fetch::farewell(id)));
        self.links.send_if_open(at, farewell.outgoing(at, (version, None), None, Box::new(drop)));
    }
}

/// In which version at most a client's Fetch goes to a cluster: ids of ours mean nothing there.
pub(super) fn version_for(cluster: Slot, version: i16, placement: &Placement) -> i16 {
    let without_ids = placement.cluster(cluster).is_some_and(|cluster| cluster.without_ids);
    if without_ids { version.min(BY_ID - 1) } else { version }
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
