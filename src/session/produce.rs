//! The driver of Produce: routes a request's cells, sends the parts, holds what may not go yet, and answers when all
//! of it is answered. The deciding is `api::produce`'s, the order `orders`'.

use super::generic::PATIENCE;
use super::needs;
use super::orders::{Changing, Partition};
use super::state::Session;
use super::ticket::Ticket;
use crate::api::produce::{Cell, Ledger, Part, fill_in};
use crate::api::{Effects, Need, Refusal};
use crate::error::{Blame, Fault};
use crate::placement::Placement;
use crate::telemetry::Meter;
use crate::types::{Name, Target};
use crate::upstream::link::{LATE, Patience, Write};
use crate::upstream::{Answer, Expect, LinkId, Outgoing, Refused};
use crate::wire::codec::{Malformed, decode, encode_request, forward_request, forward_response};
use crate::wire::glance::{Produce, is_plain_produce};
use crate::wire::head::RequestHead;
use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, ProduceRequest, ProduceResponse};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One client request on its way.
struct Underway {
    session: Arc<Session>,
    version: i16,
    acks: i16,
    client_id: Option<Bytes>,
    /// Counts what becomes of a request with acks=0, which has no ticket any more when it fails. Taken by the first
    /// failure.
    silent: Mutex<Option<Arc<Meter>>>,
    state: Mutex<State>,
}

struct State {
    ledger: Ledger,
    /// Taken when the answer is made; with acks=0, at once.
    ticket: Option<Ticket>,
    refused: Vec<(Need, Refusal)>,
    effects: Effects,
}

/// Cells that wait: for a leader, for metadata, or for earlier batches of their partitions to be answered.
pub struct Held {
    request: Arc<Underway>,
    /// The client's frame: forwarded as it is where one broker gets all of it.
    frame: Bytes,
    cells: Vec<Cell>,
    needs: Vec<Need>,
    until: Instant,
}

/// What is left to do when the order's lock is open again.
#[derive(Default)]
struct Later {
    refused: Vec<Refused>,
    placed: Vec<Arc<Underway>>,
    /// Somebody must begin to tend what is held.
    tend: bool,
    /// Who tends must look for something new.
    ring: bool,
}

/// Serves one Produce.
pub fn submit(mut ticket: Ticket, frame: &Bytes) -> Result<(), Malformed> {
    let version = ticket.head().version;
    let request = ticket.glance(frame)?;
    let session = Arc::clone(ticket.session());
    if request.topics.is_empty() {
        refuse_empty(&session, ticket);
        return Ok(());
    }
    let placement = session.context.current.load();
    count_under_homes(&mut ticket, &request, &placement);
    let (acks, client_id) = (request.acks, ticket.head().client_id.clone());
    let until = Instant::now() + session.context.limits.park;
    let silent = Mutex::new((acks == 0).then(|| ticket.meter()));
    let (ledger, cells) = Ledger::open(request);
    let state = State { ledger, ticket: Some(ticket), refused: Vec::new(), effects: Effects::new() };
    let request =
        Underway { session: Arc::clone(&session), version, acks, client_id, silent, state: Mutex::new(state) };
    let held = Held { request: Arc::new(request), frame: frame.clone(), cells, needs: Vec::new(), until };
    let mut later = Later::default();
    place(&mut session.orders.change(), held, &placement, &mut later);
    later.see_to(&session);
    Ok(())
}

/// A client that takes several nodes for one sends Produce requests without topics and reports success. Only a closed
/// connection keeps it from losing data unseen.
fn refuse_empty(session: &Session, mut ticket: Ticket) {
    let client = session.client();
    if let Some(held_back) = session.context.seldom.pass(format!("empty Produce {} {client}", session.peer.ip())) {
        tracing::warn!(
            session = %session.id, peer = %session.peer, %client, held_back,
            "a Produce without topics: this client mistakes our nodes for one and would lose data; closing its \
             connection. Give it a client library that keeps nodes of one address apart"
        );
    }
    ticket.blame(Blame::Client);
    session.close("refused");
}

fn count_under_homes(ticket: &mut Ticket, request: &Produce, placement: &Placement) {
    let homes = request.topics.iter().filter_map(|(name, id)| placement.home_of(name, *id));
    let homes: Vec<_> = homes.collect();
    let clusters = homes.iter().filter_map(|(_, home)| placement.cluster(*home));
    ticket.of_pipeline(Name::of_all(homes.iter().map(|(pipeline, _)| *pipeline)));
    ticket.at_cluster(Name::of_all(clusters.map(|cluster| &cluster.name)));
}

/// Routes cells and sends what may go; holds the rest. All under the order's lock, so that nothing slips in between.
fn place(order: &mut Changing<'_, Held>, held: Held, placement: &Arc<Placement>, later: &mut Later) {
    if order.is_over() {
        // Dropped: nobody is answered any more.
        return;
    }
    let Held { request, frame, cells, until, .. } = held;
    let session = &request.session;
    let mut state = request.state.lock();
    let State { ledger, refused, ticket, .. } = &mut *state;
    let fragile = must_not_be_overtaken(request.acks, &cells);
    let routed = session.see(request.version, placement, refused, |seen| ledger.route(cells, seen));
    routed.failed.iter().for_each(|blame| request.blame(ticket.as_mut(), *blame));
    if fragile && routed.in_doubt {
        order.break_off();
        session.close("held");
    }
    if request.acks == 0 && ledger.is_refused() {
        // As Kafka does: only so the client hears of it.
        session.close("refused");
    }
    let mut waiting = routed.held;
    ask_for_leaders(session, ledger, &waiting, placement);
    for Part { to, cells } in routed.parts {
        let Ok(link) = session.links.to(to, placement, &session.context.telemetry) else {
            waiting.extend(cells);
            continue;
        };
        let may_go =
            |cell: &Cell| ledger.partition_of(cell).is_some_and(|partition| order.may_go(&partition, link.id()));
        // Seldom does one of them have to wait.
        let (cells, blocked) =
            if cells.iter().all(may_go) { (cells, Vec::new()) } else { cells.into_iter().partition(may_go) };
        waiting.extend(blocked);
        if !cells.is_empty() {
            let outgoing = outgoing(&request, ledger, order, Part { to, cells }, &frame, placement, link.id());
            later.refused.extend(link.send(outgoing).err());
        }
    }
    if !waiting.is_empty() && Instant::now() < until {
        let partitions: Vec<_> = waiting.iter().filter_map(|cell| ledger.partition_of(cell)).collect();
        let request = Arc::clone(&request);
        later.ring |= !routed.needs.is_empty();
        let held = Held { request, frame, cells: waiting, needs: routed.needs, until };
        later.tend |= order.hold(partitions, held);
    } else if !waiting.is_empty() {
        give_up(&request, ledger, ticket.as_mut(), &waiting, placement, order);
    }
    drop(state);
    later.placed.push(request);
}

/// Has the topics read again whose partitions nobody led when they were last read.
fn ask_for_leaders(session: &Session, ledger: &Ledger, held: &[Cell], placement: &Placement) {
    for topic in held.iter().filter_map(|cell| ledger.topic_of(cell)) {
        if let Some(place) = placement.topic(topic)
            && let Some(cluster) = session.context.cluster(place.cluster)
        {
            cluster.refresh(vec![place.topic.name.clone()]);
        }
    }
}

impl Later {
    fn see_to(self, session: &Arc<Session>) {
        self.refused.into_iter().for_each(Refused::tell);
        self.placed.iter().for_each(|request| request.answer_if_complete());
        if self.tend {
            tokio::spawn(tend(Arc::clone(session)));
        } else if self.ring {
            session.orders.ring();
        }
    }
}

/// Nobody led these partitions for too long, or an earlier batch of them is still in doubt.
fn give_up(
    request: &Underway,
    ledger: &mut Ledger,
    ticket: Option<&mut Ticket>,
    cells: &[Cell],
    placement: &Placement,
    order: &mut Changing<'_, Held>,
) {
    let Some(topic) = cells.first().and_then(|cell| ledger.topic_of(cell)) else { return };
    let session = &request.session;
    tracing::debug!(
        session = %session.id, peer = %session.peer, client = %session.client(), topic = %topic.0,
        "a Produce waited too long for a leader"
    );
    request.blame(ticket, Blame::Cluster(placement.home_of_topic(&topic.0)));
    if must_not_be_overtaken(request.acks, cells) {
        order.break_off();
        session.close("held");
    }
    ledger.give_up(cells);
}

/// A refusal that later batches could overtake would lose data (L6); the closed connection makes the client send all
/// of them again, in order. Without acks there is no other way to refuse at all.
fn must_not_be_overtaken(acks: i16, cells: &[Cell]) -> bool {
    acks == 0 || Ledger::is_idempotent(cells)
}

/// How long what is held may wait for what it needs before it is looked at again.
const MEET_WITHIN: Duration = Duration::from_secs(5);
/// A partition without a leader is asked about again after this long.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Sees to what a session holds, until nothing is held any more: tries again when something moved.
async fn tend(session: Arc<Session>) {
    while !session.orders.untended() {
        let generation = session.context.current.generation();
        let held: Vec<_> = session.orders.change().held().map(Held::needs).collect();
        meet(&session, held).await;
        let soonest = {
            let placement = session.context.current.load();
            let (mut order, mut later) = (session.orders.change(), Later::default());
            for held in order.take_held() {
                place(&mut order, held, &placement, &mut later);
            }
            let soonest = order.held().map(|held| held.until).min();
            drop(order);
            (later.tend, later.ring) = (false, false);
            later.see_to(&session);
            soonest
        };
        let Some(soonest) = soonest else { continue };
        let look_again = soonest.min(Instant::now() + BETWEEN_LOOKS);
        tokio::select! {
            () = session.orders.moved() => {}
            true = session.context.current.later_than(generation) => {}
            () = tokio::time::sleep_until(look_again.into()) => {}
        }
    }
}

/// Meets what held requests need, each need once for all of them.
async fn meet(session: &Session, held: Vec<(Arc<Underway>, Vec<Need>)>) {
    let mut needs: Vec<Need> = Vec::new();
    for need in held.iter().flat_map(|(_, needs)| needs) {
        if !needs.contains(need) {
            needs.push(need.clone());
        }
    }
    if needs.is_empty() {
        return;
    }
    let asked = needs.clone();
    let met = tokio::time::timeout(MEET_WITHIN, needs::meet(&session.context, needs)).await;
    let late = |need| (need, Refusal::Fault(Fault::proxy("what a Produce needs was not found out in time")));
    let met = met.unwrap_or_else(|_| asked.into_iter().map(late).collect());
    for (request, needs) in held {
        let its = met.iter().filter(|(need, _)| needs.contains(need)).cloned();
        request.state.lock().refused.extend(its);
    }
}

impl Held {
    fn needs(&self) -> (Arc<Underway>, Vec<Need>) {
        (Arc::clone(&self.request), self.needs.clone())
    }
}

/// One part as the link sends it. From here on its partitions are on their way to that broker.
fn outgoing(
    request: &Arc<Underway>,
    ledger: &Ledger,
    order: &mut Changing<'_, Held>,
    mut part: Part,
    frame: &Bytes,
    placement: &Arc<Placement>,
    by: LinkId,
) -> Outgoing {
    let whole = ledger.is_whole(&part);
    let split = (!whole).then(|| ledger.request(&part));
    let fragile = must_not_be_overtaken(request.acks, &part.cells);
    part.release_records();
    let partitions: Vec<Partition> = part.cells.iter().filter_map(|cell| ledger.partition_of(cell)).collect();
    let held = Duration::from_millis(u64::try_from(ledger.timeout_ms).unwrap_or(0));
    let patience = Patience { late: LATE, over: PATIENCE + held };
    let to = part.to;
    let expect = if request.acks == 0 {
        let request = Arc::clone(request);
        request.session.sends_unanswered();
        let on_fault = move |fault: Fault| {
            request.blame(None, fault.blame);
            request.session.close("upstream");
        };
        Expect::Nothing { bytes: frame.len(), on_fault: Box::new(on_fault) }
    } else {
        for partition in &partitions {
            order.goes(*partition, by);
        }
        let request = Arc::clone(request);
        let asked = whole.then_some(request.version);
        Expect::Answer(Box::new(move |answer| {
            let told = understood(to, asked, answer);
            // Before its partitions may go elsewhere: no later batch may overtake this one [L6].
            if fragile && told.is_err() {
                request.session.orders.end();
                request.session.close("upstream");
            }
            request.session.orders.landed(partitions.iter());
            request.answered(&part, told);
        }))
    };
    let write = write(to, request.version, split, frame.clone(), request.client_id.clone(), Arc::clone(placement));
    Outgoing { api: ApiKey::Produce, write, expect, patience }
}

/// Where a broker gets all of it and speaks the client's version, the client's frame goes up as it is.
fn write(
    to: Target,
    version: i16,
    split: Option<ProduceRequest>,
    frame: Bytes,
    client_id: Option<Bytes>,
    placement: Arc<Placement>,
) -> Write {
    Box::new(move |versions, correlation| {
        let unwritable = |why: &dyn std::fmt::Display| Fault::upstream(to, false, why);
        let spoken = versions.nearest(ApiKey::Produce, version).ok_or_else(|| unwritable(&"it lacks Produce"))?;
        let request = match split {
            None if spoken == version => return Ok((version, forward_request(&frame, correlation))),
            Some(request) => request,
            None => {
                let body_at = RequestHead::read(&frame).map_err(|e| unwritable(&e))?.body_at;
                let mut request = decode(frame.slice(body_at..), version).map_err(|e| unwritable(&e))?;
                fill_in(&mut request, &placement);
                request
            }
        };
        let sources = std::slice::from_ref(&frame);
        let written = encode_request(ApiKey::Produce, spoken, correlation, client_id.as_ref(), &request, sources);
        written.map(|frame| (spoken, frame)).map_err(|e| unwritable(&e))
    })
}

/// What a broker said of a part.
enum Told {
    /// Nothing that must be looked at: the frame goes to the client as it is.
    Plainly(Bytes),
    Decoded(ProduceResponse),
}

/// An answer can go on as it is where it answers all that the client asked, in the client's version.
fn understood(from: Target, asked: Option<i16>, answer: Result<Answer, Fault>) -> Result<Told, Fault> {
    let answer = answer?;
    let same = asked == Some(answer.version) && answer.has_plain_head();
    if same && is_plain_produce(&answer.frame, answer.body_at, answer.version) {
        return Ok(Told::Plainly(answer.frame));
    }
    answer.decode().map(Told::Decoded).map_err(|e| Fault::upstream(from, true, e))
}

impl Underway {
    /// Somebody failed us on this request's behalf.
    fn blame(&self, ticket: Option<&mut Ticket>, blame: Blame) {
        let silent = self.silent.lock().take();
        match (silent, ticket) {
            (Some(meter), _) => meter.failed(blame),
            (None, Some(ticket)) if self.acks != 0 => ticket.blame(blame),
            (None, _) => {}
        }
    }

    /// A broker answered a part, or never will.
    fn answered(&self, part: &Part, told: Result<Told, Fault>) {
        let mut state = self.state.lock();
        match told {
            Ok(Told::Plainly(frame)) => {
                let Some(ticket) = state.ticket.take() else { return };
                let correlation = ticket.head().correlation;
                return ticket.reply(Some(forward_response(&frame, correlation)));
            }
            Ok(Told::Decoded(told)) => {
                let placement = self.session.context.current.load();
                let State { ledger, refused, effects, .. } = &mut *state;
                self.session.see(self.version, &placement, refused, |seen| ledger.absorb(part, told, seen, effects));
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
    }

    fn answer_if_complete(&self) {
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
        ticket.answer(&response, &[]);
    }
}
