//! The driver of Produce: routes a request's cells, sends the parts, and holds what may not go yet. The deciding is
//! `api::records::produce`'s, the order `orders`', the answering `underway`'s.

use super::admission::{Admitted, admit};
use super::orders::{Changing, Partition};
use super::refusals::Way;
use super::sending;
use super::state::Session;
use super::ticket::Ticket;
use super::underway::{State, Underway};
use super::{needs, spans};
use crate::api::needs::Needs;
use crate::api::records::produce::{Cell, Ledger, Part, Permitted, Routed};
use crate::api::records::stamp::Stamp;
use crate::api::{Effects, Need, Refusal, Refusals};
use crate::error::{Blame, Fault};
use crate::placement::Placement;
use crate::policy::deputy::When;
use crate::types::{Name, Target};
use crate::upstream::Refused;
use crate::wire::glance::Produce;
use crate::wire::malformed::Malformed;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Cells that wait: for a leader, for metadata, for earlier batches of their partitions to be answered, or for a link
/// that opens.
pub struct Held {
    request: Arc<Underway>,
    /// The client's frame: forwarded as it is where one broker gets all of it.
    frame: Bytes,
    cells: Vec<Cell>,
    needs: Vec<Need>,
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
    let (acks, number, client_id) = (request.acks, ticket.number(), ticket.head().client_id.clone());
    let until = Instant::now() + session.context.limits().park;
    let silent = Mutex::new((acks == 0).then(|| ticket.meter()));
    let (mut ledger, cells) = Ledger::open(request);
    ledger.came = Some(ticket.began());
    let (cells, denied) = permit(&session, &mut ledger, cells, &placement);
    let before = |partition: &Partition, stamp| session.orders.change().before(partition, stamp);
    let admitted = admit(&session, client_id.as_deref(), &mut ledger, cells, &placement, &before);
    let Admitted { cells, refused, wait, .. } = admitted;
    let not_before = session.throttle(wait);
    let tab = ticket.tab();
    let state = State { ledger, ticket: Some(ticket), refused: Refusals::default(), effects: Effects::new() };
    let (session, state) = (Arc::clone(&session), Mutex::new(state));
    let request =
        Arc::new(Underway { session, number, version, acks, client_id, until, not_before, silent, tab, state });
    let held = Held::new(&request, frame.clone(), cells);
    let session = &request.session;
    let mut later = Later::default();
    let mut order = session.orders.change();
    let refused = denied.into_iter().chain(refused);
    refused.for_each(|(partition, stamp)| order.refused_by_us(partition, stamp));
    place(&mut order, held, &placement, &mut later);
    drop(order);
    later.see_to(session);
    Ok(())
}

/// Refuses what the client may not write, before policy sees it. Asked again of cells whose topic was not known, when it is.
fn permit(
    session: &Session,
    ledger: &mut Ledger,
    cells: Vec<Cell>,
    placement: &Placement,
) -> (Vec<Cell>, Vec<(Partition, Stamp)>) {
    if !Session::may_be_guarded(placement) {
        return (cells, Vec::new());
    }
    let Permitted { cells, refused } = session.see(0, placement, Refusals::none(), |seen| ledger.permit(cells, seen));
    (cells, refused)
}

/// A client that takes several nodes for one sends Produce requests without topics and reports success. Only a closed
/// connection keeps it from losing data unseen.
fn refuse_empty(session: &Session, mut ticket: Ticket) {
    let client = session.client();
    if let Some(held_back) = session.context.seldom.pass(format!("empty Produce {} {client}", session.peer.ip())) {
        tracing::warn!(
            session = %session.id, peer = %session.peer, %client, held_back,
            "a Produce without topics: this client takes our nodes for one and would lose data; closing its connection. \
             Give its listener `nodes: auto` with `hosts:`, or name it in `clients:` with `view: single`"
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
        // Nobody is answered any more.
        return held.lost();
    }
    let Held { request, frame, cells, .. } = held;
    let mut state = request.state.lock();
    let mut turn = Turn { request: &request, frame: &frame, state: &mut state, order, placement, later };
    let Routed { parts, held: mut waiting, needs, .. } = turn.route(cells);
    ask_for_leaders(&request.session, &turn.state.ledger, &waiting, placement);
    for part in turn.keep_behind_refused(parts) {
        waiting.extend(turn.send(part));
    }
    turn.wait(waiting, needs);
    drop(state);
    later.placed.push(request);
}

/// A request's turn to be placed, and all that takes part in it.
struct Turn<'t, 'o> {
    request: &'t Arc<Underway>,
    frame: &'t Bytes,
    state: &'t mut State,
    order: &'t mut Changing<'o, Held>,
    placement: &'t Arc<Placement>,
    later: &'t mut Later,
}

impl Turn<'_, '_> {
    /// Routes cells. What is refused here must not be overtaken either [L6].
    fn route(&mut self, cells: Vec<Cell>) -> Routed {
        let (request, session) = (self.request, &self.request.session);
        let fragile = request.must_not_be_overtaken(&cells);
        let State { ledger, refused, ticket, .. } = &mut *self.state;
        let routed = session.see(request.version, self.placement, refused, |seen| ledger.route(cells, seen));
        if let Some(span) = &routed.span {
            spans::tell(session, span, self.placement);
        }
        routed.failed.iter().for_each(|blame| request.blame(ticket.as_mut(), *blame));
        for cell in &routed.refused {
            if let (Some(partition), Some(stamp)) = (ledger.partition_of(cell), cell.stamp) {
                self.order.refused_by_us(partition, stamp);
            }
        }
        let acked_never = request.acks == 0 && ledger.is_refused();
        if fragile && routed.in_doubt {
            self.break_off("held");
        } else if self.order.is_full_of_refusals() {
            self.break_off("refused");
        } else if acked_never {
            // As Kafka does: only so the client hears of it.
            session.close("refused");
        }
        routed
    }

    /// Nothing goes any more, and the client sends all again, in order, over a new connection.
    fn break_off(&mut self, reason: &'static str) {
        self.order.break_off();
        self.request.session.close(reason);
    }

    /// What follows a batch that was refused goes to who refused it, or the session ends: see `refusals` [L6].
    fn keep_behind_refused(&mut self, parts: Vec<Part>) -> Vec<Part> {
        if self.order.is_unrefused() {
            return parts;
        }
        let (mut kept, mut is_barred) = (Vec::with_capacity(parts.len()), false);
        for Part { to, cells } in parts {
            // Cells of two parts may be of one partition: see `Ledger::route`.
            let mut of_this = Vec::new();
            for cell in cells {
                if is_barred {
                    cell.lost();
                    continue;
                }
                match self.way(&cell, to) {
                    Way::Free => Part::put(&mut of_this, to, cell, 0),
                    Way::Only(by) => Part::put(&mut of_this, by, cell, 0),
                    // Nobody has seen it: as if it had been on its way, and refused with the one before it.
                    Way::Refused => self.state.ledger.give_up(&[cell]),
                    Way::Barred => {
                        self.request.blame(self.state.ticket.as_mut(), Blame::Cluster(to.cluster));
                        self.break_off("overtaking");
                        cell.lost();
                        is_barred = true;
                    }
                }
            }
            kept.append(&mut of_this);
        }
        if is_barred {
            kept.drain(..).for_each(|part| part.cells.iter().for_each(Cell::lost));
        }
        kept
    }

    /// The way of a cell that is routed to a broker. No link is opened to who refused an earlier one: it may be gone for
    /// good, and the client would wait for it in vain. What stands behind a held one is looked at in its turn.
    fn way(&self, cell: &Cell, to: Target) -> Way {
        let partition = self.state.ledger.partition_of(cell).filter(|partition| !self.order.is_waiting(partition));
        let Some(partition) = partition else { return Way::Free };
        match self.order.way(&partition, cell.stamp) {
            Way::Only(by) if by != to && !self.request.session.links.has(by) => Way::Barred,
            Way::Refused if self.request.acks == 0 => Way::Barred,
            way => way,
        }
    }

    /// What a deputy writes fails behind what failed: without that its client would take us for broken (L6).
    fn fail_behind(&mut self, cells: Vec<Cell>) -> Vec<Cell> {
        let fails = |cell: &Cell| matches!(cell.when(), When::Failed | When::Never);
        if !cells.iter().any(fails) {
            return cells;
        }
        let (failing, cells): (Vec<_>, Vec<_>) = cells.into_iter().partition(fails);
        failing.iter().for_each(|cell| self.state.ledger.fail_behind(cell));
        cells
    }

    /// What is dropped is answered in its turn: were it before what it follows, and that failed, its client would take us for
    /// broken, or that for written (L6).
    fn pass_dropped(&mut self, cells: Vec<Cell>) -> Vec<Cell> {
        let passes = |cell: &Cell| cell.is_dropped() && cell.when() == When::Now;
        if !cells.iter().any(passes) {
            return cells;
        }
        let (passing, cells): (Vec<_>, Vec<_>) = cells.into_iter().partition(passes);
        passing.iter().for_each(|cell| self.state.ledger.pass_dropped(cell));
        cells
    }

    /// Sends of a part what may go now; gives the rest back.
    fn send(&mut self, part: Part) -> Vec<Cell> {
        let session = &self.request.session;
        let Ok(link) = session.links.to(part.to, self.placement, &session.context.telemetry) else {
            return part.cells;
        };
        let cells = self.fail_behind(part.cells);
        let cells = self.pass_dropped(cells);
        let ledger = &self.state.ledger;
        let may_go = |cell: &Cell| {
            let partition = ledger.partition_of(cell).filter(|_| !cell.waits && cell.when() == When::Now);
            partition.is_some_and(|partition| self.order.may_go(&partition, cell.stamp, part.to, link.id()))
        };
        // Seldom does one of them have to wait.
        let (cells, blocked) =
            if cells.iter().all(may_go) { (cells, Vec::new()) } else { cells.into_iter().partition(may_go) };
        if !cells.is_empty() {
            let part = Part { to: part.to, cells };
            let outgoing = sending::outgoing(self.request, ledger, self.order, part, self.frame, self.placement, &link);
            self.later.refused.extend(link.send(outgoing).err());
        }
        blocked
    }

    /// Holds cells for as long as their request may wait, then gives them up. Those that wait for a producer's first batch
    /// to be answered are in good hands: a broker would keep them waiting as long.
    fn wait(&mut self, mut cells: Vec<Cell>, needs: Vec<Need>) {
        let may_wait = cells.is_empty() || self.request.may_wait() && self.request.park();
        if !may_wait {
            let in_turn = |cell: &Cell| {
                let partition = self.state.ledger.partition_of(cell);
                cell.when() == When::Later
                    || partition.is_some_and(|partition| self.order.is_behind_a_first(&partition))
            };
            let (waiting, given_up): (Vec<_>, Vec<_>) = cells.into_iter().partition(in_turn);
            self.give_up(&given_up);
            cells = waiting;
        }
        if cells.is_empty() || self.order.is_over() {
            return;
        }
        let ledger = &self.state.ledger;
        let partitions: Vec<_> = cells.iter().filter_map(|cell| ledger.partition_of(cell)).collect();
        self.later.ring |= !needs.is_empty();
        let held = Held { needs, ..Held::new(self.request, self.frame.clone(), cells) };
        self.later.tend |= self.order.hold(self.request.number, partitions, held);
    }

    /// Nobody led these partitions for too long, or an earlier batch of them is still in doubt.
    fn give_up(&mut self, cells: &[Cell]) {
        let State { ledger, ticket, .. } = &mut *self.state;
        let Some(topic) = cells.first().and_then(|cell| ledger.topic_of(cell)) else { return };
        let (request, session) = (self.request, &self.request.session);
        tracing::debug!(
            session = %session.id, peer = %session.peer, client = %session.client(), topic = %topic.0,
            "a Produce waited too long for a leader"
        );
        request.blame(ticket.as_mut(), Blame::Cluster(self.placement.home_of_topic(&topic.0)));
        ledger.give_up(cells);
        if request.must_not_be_overtaken(cells) {
            self.break_off("held");
        }
    }
}

/// Has the topics read again whose partitions nobody led when they were last read.
fn ask_for_leaders(session: &Session, ledger: &Ledger, held: &[Cell], placement: &Placement) {
    for topic in held.iter().filter_map(|cell| ledger.topic_of(cell)) {
        if let Some(place) = placement.topic(topic)
            && let Some(cluster) = session.context.cluster(place.cluster)
        {
            cluster.refresh(std::slice::from_ref(place.name_there()));
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

/// A part that no link has sent is held again, before what came after it: nobody has seen it, so nothing is in doubt.
/// False where it has waited for too long, or the order is over.
pub fn take_back(request: &Arc<Underway>, partitions: &[Partition], held: Held) -> bool {
    let session = &request.session;
    let placement = session.context.current.load();
    let mut order = session.orders.change();
    if order.is_over() || !request.may_wait() {
        return false;
    }
    ask_for_leaders(session, &request.state.lock().ledger, &held.cells, &placement);
    order.landed(partitions.iter());
    let tend = order.hold(request.number, partitions.iter().copied(), held);
    drop(order);
    Later { tend, ring: true, ..Later::default() }.see_to(session);
    true
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
                let held = held.judged(&mut order, &placement);
                place(&mut order, held, &placement, &mut later);
            }
            let now = Instant::now();
            let ends = order.held().map(|held| held.request.until);
            // What waits on beyond its time waits for an answer, which rings.
            let soonest = ends.map(|end| if end > now { end } else { now + BETWEEN_LOOKS }).min();
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

/// Meets what held requests need, once for all of them: the topics of a cluster in one request to it.
async fn meet(session: &Session, held: Vec<(Arc<Underway>, Vec<Need>)>) {
    let mut needs = Needs::default();
    held.iter().flat_map(|(_, needs)| needs).for_each(|need| needs.add(need));
    let needs = needs.all();
    if needs.is_empty() {
        return;
    }
    let asked = needs.clone();
    let met = tokio::time::timeout(MEET_WITHIN, needs::meet_patiently(&session.context, needs)).await;
    let late = |need| (need, Refusal::Fault(Fault::proxy("what a Produce needs was not found out in time")));
    let met = met.unwrap_or_else(|_| asked.into_iter().map(late).collect());
    for (request, _) in held.iter().filter(|(_, needs)| !needs.is_empty()) {
        request.state.lock().refused.extend(met.iter().cloned());
    }
}

impl Held {
    /// Cells that need nothing but their turn.
    #[must_use]
    pub fn new(request: &Arc<Underway>, frame: Bytes, cells: Vec<Cell>) -> Self {
        Self { request: Arc::clone(request), frame, cells, needs: Vec::new() }
    }

    /// What policy has not looked at yet, since nobody knew the topic by its id, or it waited for what was before it.
    fn judged(self, order: &mut Changing<'_, Self>, placement: &Placement) -> Self {
        if self.cells.iter().all(|cell| cell.judged) {
            return self;
        }
        let Self { request, frame, mut cells, needs } = self;
        cells.iter_mut().for_each(|cell| cell.waits = false);
        let session = &request.session;
        let mut state = request.state.lock();
        let before = |partition: &Partition, stamp| order.before(partition, stamp);
        let (cells, denied) = permit(session, &mut state.ledger, cells, placement);
        let admitted = admit(session, request.client_id.as_deref(), &mut state.ledger, cells, placement, &before);
        drop(state);
        let Admitted { cells, refused, wait, .. } = admitted;
        // Its own answer is not held for it: that was not known when it came.
        let _ = session.throttle(wait);
        let refused = denied.into_iter().chain(refused);
        refused.for_each(|(partition, stamp)| order.refused_by_us(partition, stamp));
        Self { request, frame, cells, needs }
    }

    /// Its order is over: nobody carries it any more.
    pub fn lost(&self) {
        self.cells.iter().for_each(Cell::lost);
    }

    fn needs(&self) -> (Arc<Underway>, Vec<Need>) {
        (Arc::clone(&self.request), self.needs.clone())
    }
}
