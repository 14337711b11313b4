//! The common way of an API: plan, send the parts, absorb the answers, answer. Parts are sent while the reader waits,
//! one request after the other; the answer is made by whoever brings the last part's.

use super::state::Session;
use super::ticket::Ticket;
use super::{needs, shadows, spans};
use crate::api::guard::{close, screen};
use crate::api::{Api, Effect, Effects, Need, Part, Plan, Refusals, Seen};
use crate::error::Fault;
use crate::placement::Placement;
use crate::types::{Name, Slot, Target};
use crate::upstream::owed::LATE;
use crate::upstream::{Answer, Expect, Outgoing, Patience, Refused};
use crate::wire::codec::{copied, encode_request};
use crate::wire::malformed::Malformed;
use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// How long a broker may take to answer, beyond what the request itself lets it wait.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// For a request that its broker may hold for some time.
#[must_use]
pub fn patience(held: Duration) -> Patience {
    Patience { late: LATE + held, over: PATIENCE + held }
}

/// Serves one request. What it asks is a slice of `frame`.
pub fn submit<A: Api>(mut ticket: Ticket, frame: &Bytes) -> Result<(), Malformed> {
    let request: A::Request = ticket.read(frame)?;
    submit_read::<A>(ticket, request, frame)
}

/// The same for one that was read already.
pub fn submit_read<A: Api>(ticket: Ticket, request: A::Request, frame: &Bytes) -> Result<(), Malformed> {
    let session = Arc::clone(ticket.session());
    let (refused, needs) = (Refusals::default(), Vec::new());
    let asked = Asked::<A> { ticket, request, frame: frame.clone(), told: None, refused, needs };
    if A::IN_TURN && session.turns.is_busy() {
        session.turns.queue(asked.wait());
    } else if let Some(waiting) = asked.go_on() {
        if A::IN_TURN { session.turns.queue(waiting.wait()) } else { drop(tokio::spawn(waiting.wait())) }
    }
    Ok(())
}

/// A request that is not sent yet.
struct Asked<A: Api> {
    ticket: Ticket,
    request: A::Request,
    frame: Bytes,
    /// What is told of what was taken out of the request.
    told: Option<A::Response>,
    refused: Refusals,
    /// To be met first.
    needs: Vec<Need>,
}

impl<A: Api> Asked<A> {
    /// Meets what is needed until the request can be answered or sent.
    async fn wait(self) {
        let mut waiting = Some(self);
        while let Some(mut asked) = waiting {
            let needs = std::mem::take(&mut asked.needs);
            asked.refused.extend(needs::meet(&asked.ticket.session().context, needs).await);
            waiting = asked.go_on();
        }
    }

    /// Plans; answers or sends. Gives itself back where something must be met first.
    fn go_on(mut self) -> Option<Self> {
        let session = Arc::clone(self.ticket.session());
        let placement = session.context.current.load();
        let Self { ticket, request, refused, told, .. } = &mut self;
        let (plan, pipeline, span) = session.see(ticket.head().version, &placement, refused, |seen| {
            let pipeline = A::pipeline(request, seen);
            match screen(request, told, seen) {
                Some(answer) => (Err(answer), pipeline, None),
                None => (Ok(A::plan(request, seen)), pipeline, A::span(request, seen)),
            }
        });
        ticket.of_pipeline(pipeline);
        if let Some(span) = span {
            spans::tell(&session, &span, &placement);
        }
        match plan {
            Err(denied) => self.ticket.answer(&denied, &[self.frame]),
            Ok(Plan::Wait(needs)) => return Some(Self { needs, ..self }),
            Ok(Plan::Answer(mut answer)) => {
                self.ticket.blame_refusals(&self.refused);
                closed::<A>(&self.ticket, &mut answer, self.told, &placement);
                self.ticket.answer(&answer, &[self.frame]);
            }
            Ok(Plan::Send { seed, parts }) => {
                self.ticket.at_cluster(clusters::<A>(&parts, &placement));
                self.ticket.blame_refusals(&self.refused);
                let (frame, refused) = (self.frame, self.refused);
                Gather::<A>::start(self.ticket, (seed, self.told), parts, frame, refused, &placement);
            }
        }
        None
    }
}

/// Takes out of an answer what its client may not see, and puts in what is told of what it may not do.
fn closed<A: Api>(ticket: &Ticket, answer: &mut A::Response, told: Option<A::Response>, placement: &Placement) {
    if told.is_some() || Session::may_be_guarded(placement) {
        let see = |seen: &Seen<'_>| close::<A>(answer, told, seen);
        ticket.session().see(ticket.head().version, placement, Refusals::none(), see);
    }
}

fn clusters<A: Api>(parts: &[Part<A>], placement: &Placement) -> Name {
    let clusters = parts.iter().filter_map(|part| placement.cluster(part.to.cluster));
    Name::of_all(clusters.map(|cluster| &cluster.name))
}

/// A request whose parts are on their way.
struct Gather<A: Api> {
    open: usize,
    so_far: A::Response,
    /// What is told of what was taken out of the request.
    told: Option<A::Response>,
    ticket: Ticket,
    /// The frames that the response's large fields are slices of.
    sources: Vec<Bytes>,
    effects: Effects,
    refused: Refusals,
    placement: Arc<Placement>,
}

impl<A: Api> Gather<A> {
    fn start(
        ticket: Ticket,
        (seed, told): (A::Response, Option<A::Response>),
        parts: Vec<Part<A>>,
        frame: Bytes,
        refused: Refusals,
        placement: &Arc<Placement>,
    ) {
        let session = Arc::clone(ticket.session());
        let client_id = ticket.head().client_id.clone();
        let version = ticket.head().version;
        let gather = Self {
            open: parts.len(),
            so_far: seed,
            told,
            ticket,
            sources: vec![frame.clone()],
            effects: Effects::new(),
            refused,
            placement: Arc::clone(placement),
        };
        let gather = Arc::new(Mutex::new(Some(gather)));
        for part in parts {
            let to = part.to;
            let client_id = placement.client_id(to.cluster, client_id.as_ref());
            let outgoing = outgoing::<A>(to, part.request, version, client_id, frame.clone(), {
                let gather = Arc::clone(&gather);
                Box::new(move |answer| Self::answered(&gather, to, part.origin, version, answer))
            });
            let sent = session.links.send(to, outgoing, placement, &session.context.telemetry);
            sent.unwrap_or_else(Refused::tell);
        }
    }

    fn answered(
        gather: &Mutex<Option<Self>>,
        from: Target,
        origin: A::Origin,
        version: i16,
        answer: Result<Answer, Fault>,
    ) {
        let mut slot = gather.lock();
        let Some(this) = slot.as_mut() else { return };
        let session = Arc::clone(this.ticket.session());
        let answer = answer.and_then(|answer| {
            let mut response: A::Response = answer.decode().map_err(|e| {
                session.close("upstream");
                Fault::upstream(from, true, e)
            })?;
            if answer.version != version {
                A::raise(&mut response, &origin, answer.version);
            }
            this.sources.push(answer.frame);
            Ok(response)
        });
        if let Err(fault) = &answer {
            this.ticket.blame(fault.blame);
            let (peer, client) = (session.peer, session.client());
            tracing::debug!(session = %session.id, %peer, %client, api = ?A::KEY, %fault, "a part got no answer");
        }
        let Self { so_far, effects, refused, placement, .. } = this;
        session.see(version, placement, refused, |seen| A::absorb(so_far, origin, answer, seen, effects));
        this.open = this.open.saturating_sub(1);
        if this.open == 0
            && let Some(done) = slot.take()
        {
            drop(slot);
            done.finish();
        }
    }

    /// Answers; where topics were deleted, once their shadows are gone, and where some were made or grew, once that is known: who
    /// is told "created" asks for them next, and librdkafka asks only once.
    fn finish(self) {
        let session = Arc::clone(self.ticket.session());
        let doomed = shadows::doomed(&self.effects);
        let made: Vec<_> = self.effects.iter().filter_map(made).collect();
        session.apply(self.effects);
        let (ticket, mut answer, sources) = (self.ticket, self.so_far, self.sources);
        closed::<A>(&ticket, &mut answer, self.told, &self.placement);
        if doomed.is_empty() && made.is_empty() {
            return ticket.answer(&answer, &sources);
        }
        tokio::spawn(async move {
            shadows::drop_of(&session.context, doomed).await;
            session.context.known(made).await;
            ticket.answer(&answer, &sources);
        });
    }
}

/// A topic that was made or grew, and how many partitions it had.
fn made(effect: &Effect) -> Option<(Slot, StrBytes, usize)> {
    match effect {
        Effect::Settle(cluster, topic, true) => Some((*cluster, copied(topic), 0)),
        Effect::Grown(cluster, topic, from) => Some((*cluster, copied(topic), *from)),
        _ => None,
    }
}

fn outgoing<A: Api>(
    to: Target,
    mut request: A::Request,
    version: i16,
    client_id: Option<Bytes>,
    frame: Bytes,
    on_answer: crate::upstream::OnAnswer,
) -> Outgoing {
    let held = Duration::from_millis(u64::try_from(A::held_ms(&request)).unwrap_or(0));
    Outgoing {
        api: A::KEY,
        write: Box::new(move |versions, correlation| {
            let lacks = || Fault::lacking(to, A::KEY);
            let spoken = versions.nearest(A::KEY, version).ok_or_else(lacks)?;
            if spoken != version {
                A::lower(&mut request, spoken);
            }
            let sources = std::slice::from_ref(&frame);
            let written = encode_request(A::KEY, spoken, correlation, client_id.as_ref(), &request, sources);
            // What a lower version has no room for, the broker does not serve.
            let lacking = spoken != version;
            written.map(|frame| (spoken, frame)).map_err(|e| Fault { lacking, ..Fault::upstream(to, false, e) })
        }),
        expect: Expect::Answer(on_answer),
        patience: patience(held),
    }
}
