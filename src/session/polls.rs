//! The driver of split Fetches: sends what `api::fetch::split` decides, over links that carry nothing else, and wakes it
//! when a client's time is over.

use super::fetch::{clusters, outgoing, version_for};
use super::state::Session;
use super::through::{Question, Through};
use super::ticket::Ticket;
use crate::api::fetch::split::Polls;
use crate::api::fetch::{Ask, Move, Moves, Settled};
use crate::api::{Effects, Refusals, Seen};
use crate::error::Fault;
use crate::placement::Placement;
use crate::types::{Slot, Target};
use crate::upstream::Answer;
use crate::wire::budget::{Budget, Charge};
use crate::wire::fetch::{Flat, NotPlain, Reading};
use bytes::Bytes;
use kafka_protocol::messages::FetchResponse;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::sleep_until;

/// What was told is kept so long for a client that does not ask, where others wait for the memory.
const KEPT_WHERE_SOUGHT: Duration = Duration::from_secs(2);

/// Which poll.
type Poll = (Target, u64);

/// So much of a session is in what is written beside the pools.
const UNCOUNTED: usize = 16 << 10;

/// The split Fetches of one session.
pub struct SplitFetches {
    state: Mutex<State>,
    /// Rings when the clock must look earlier than it is set.
    earlier: Notify,
}

struct State {
    polls: Polls<Ticket>,
    /// Counts what is remembered of what Fetches name.
    charge: Charge,
    /// What the clock is set to; `None` where none runs.
    clock: Option<Instant>,
}

impl SplitFetches {
    /// None yet. No more than `share` bytes of answers are kept.
    #[must_use]
    pub fn new(share: usize) -> Self {
        Self {
            state: Mutex::new(State { polls: Polls::new(share), charge: Charge::none(), clock: None }),
            earlier: Notify::new(),
        }
    }

    /// Whether a Fetch that could pass through must go this way, for its broker may have been asked already.
    pub fn go_on(&self) -> bool {
        self.state.lock().polls.is_split(Instant::now())
    }

    /// Bytes of answers that nobody has claimed.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.state.lock().polls.kept_bytes()
    }

    /// Others need the memory: what the client has not come for lately is dropped, and it asks for that again (L4).
    pub fn shed(&self, now: Instant) {
        self.state.lock().polls.shed(KEPT_WHERE_SOUGHT, now);
    }

    /// Counts what is remembered of what Fetches name, beyond what every session may have, in the pool of what is parked: it
    /// stays as long as the client does (L4). False where the pool has not so much left, or one session would have more than
    /// its share of it.
    fn is_counted(&self, followers: usize, parked: &Arc<Budget>) -> bool {
        let mut state = self.state.lock();
        let kept = (state.polls.memory() + followers).saturating_sub(UNCOUNTED);
        state.charge.follow(parked, kept)
    }

    /// The client is gone: nobody waits any more (L5).
    pub fn end(&self) {
        let waited = self.state.lock().polls.end();
        self.earlier.notify_one();
        drop(waited);
    }
}

/// What became of a Fetch that was read at a glance.
pub(super) enum Glanced {
    /// It is split.
    Taken,
    /// It is to pass through to one broker; whether it must be written anew for that.
    Through(Box<Through>, bool),
    /// It names what nobody knows yet, or nothing, or is to be read by the codec.
    Left(Ticket),
}

/// Serves a Fetch that is read at a glance.
pub(super) fn submit(ticket: Ticket, mut reading: Reading<'_>) -> Glanced {
    let session = Arc::clone(ticket.session());
    let current = &session.context.current;
    // The number first: a placement that is published meanwhile is newer than it says, and looked at again.
    let (generation, placement) = (session.generation(), current.load());
    let mut through = None;
    let back = take(ticket, &placement, Refusals::none(), |polls, now, seen| {
        let mut settled = polls.settle(reading.terms, &mut reading, generation, seen);
        if !session.hides_rack() {
            settled.asked.in_rack(reading.rack());
        }
        if !reading.is_plain() || settled.unsought || settled.asked.is_empty() {
            return None;
        }
        if !settled.renamed && polls.passes_through(&settled.asked, now) {
            through = polls.through(&settled.asked).zip(Some(settled.pipeline));
            return None;
        }
        Some(settled)
    });
    match (back, through) {
        (None, _) => Glanced::Taken,
        (Some(ticket), None) => Glanced::Left(ticket),
        (Some(mut ticket), Some(((to, mut flat), pipeline))) => {
            let rack = placement.their_rack(to.cluster, flat.rack.clone());
            let edited = rack != reading.rack();
            flat.rack = rack;
            ticket.of_pipeline(pipeline.clone());
            ticket.at_cluster(clusters(std::iter::once(to), &placement));
            let question = Question::Flat(Arc::new(flat));
            Glanced::Through(Box::new(Through { session, to, ticket, question, pipeline, placement }), edited)
        }
    }
}

/// Serves a Fetch over several brokers.
pub(super) fn submit_split(
    ticket: Ticket,
    flat: &Flat,
    (generation, placement): (u64, &Placement),
    refused: &Refusals,
) {
    let settle = |polls: &mut Polls<Ticket>, _: Instant, seen: &Seen<'_>| {
        let mut settled = polls.settle(flat.terms, flat.named(), generation, seen);
        settled.asked.in_rack(flat.rack.clone());
        Some(settled)
    };
    let _none = take(ticket, placement, refused, settle);
}

/// Takes a Fetch up where it is settled, or gives its ticket back.
fn take(
    mut ticket: Ticket,
    placement: &Placement,
    refused: &Refusals,
    settle: impl FnOnce(&mut Polls<Ticket>, Instant, &Seen<'_>) -> Option<Settled>,
) -> Option<Ticket> {
    let session = Arc::clone(ticket.session());
    let (version, client_id) = (ticket.head().version, ticket.head().client_id.clone());
    let mut back = None;
    session.act(&Hand { version, client_id }, |polls, now| {
        let settled = session.see(version, placement, refused, |seen| settle(polls, now, seen));
        let Some(Settled { asked, pipeline, .. }) = settled else {
            back = Some(ticket);
            return Moves::new();
        };
        ticket.of_pipeline(pipeline);
        ticket.at_cluster(clusters(polls.brokers_of(&asked), placement));
        polls.submit(asked, ticket, now)
    });
    count(&session);
    back
}

/// Counts what the session remembers of its Fetches; with no room for it the session is closed.
pub(super) fn count(session: &Session) {
    if !session.polls.is_counted(session.followers.memory(), &session.context.shared.memory.parked) {
        close(session);
    }
}

/// The client comes back, and names its partitions again: by then there may be memory for them.
fn close(session: &Session) {
    let (peer, client) = (session.peer, session.client());
    if let Some(held_back) = session.context.seldom.pass(format!("many partitions {}", peer.ip())) {
        tracing::warn!(
            session = %session.id, %peer, %client, held_back,
            "closing a client connection: its Fetches name more partitions than there is memory for (an eighth of memory.parked \
             for one client); raise memory.parked"
        );
    }
    session.close("memory");
}

/// How the client's Fetches are written: as it wrote its latest.
#[derive(Clone)]
struct Hand {
    version: i16,
    client_id: Option<Bytes>,
}

/// What is asked, with the client's rack as that cluster calls it.
fn in_words_of(cluster: Slot, mut question: Arc<Flat>, placement: &Placement) -> Arc<Flat> {
    let rack = placement.their_rack(cluster, question.rack.clone());
    if rack != question.rack {
        Arc::make_mut(&mut question).rack = rack;
    }
    question
}

impl Session {
    /// Numbers what Fetches are placed by: another placement, or another replica to read from, makes it higher.
    pub(super) fn generation(&self) -> u64 {
        self.context.current.generation().wrapping_add(self.followers.changes())
    }

    /// Does something to the state, and all that follows from it.
    fn act(self: &Arc<Self>, hand: &Hand, first: impl FnOnce(&mut Polls<Ticket>, Instant) -> Moves<Ticket>) {
        let mut moves = VecDeque::from(self.polls.change(first));
        while let Some(next) = moves.pop_front() {
            match next {
                Move::Answer(leaving) => {
                    let mut ticket = leaving.whose;
                    self.note(leaving.handed);
                    leaving.faults.iter().for_each(|fault| ticket.blame(fault.blame));
                    ticket.answer_written(&leaving.codes, leaving.body);
                }
                // A refusal is worked off here and not called in: many may follow on it.
                Move::Ask(ask) => {
                    if let Err((of, fault)) = self.poll(*ask, hand) {
                        moves.extend(self.poll_failed(of, &fault));
                    }
                }
            }
        }
        self.polls.set_clock(self, hand);
    }

    fn poll(self: &Arc<Self>, ask: Ask, hand: &Hand) -> Result<(), (Poll, Fault)> {
        let Ask { to, number, version, question } = ask;
        let placement = self.context.current.load();
        // Not the version of whoever moved things on: that may be a Fetch in another one (Java goes back to names where a topic
        // has no id), and what the broker tells is read in the one of the Fetch that it was asked for.
        let (session, hand) = (Arc::clone(self), Hand { version, client_id: hand.client_id.clone() });
        let client_id = placement.client_id(to.cluster, hand.client_id.as_ref());
        let question = in_words_of(to.cluster, question, &placement);
        let on_answer = Box::new(move |answer| session.poll_came_back((to, number), answer, &hand));
        let version = version_for(to.cluster, version, &placement);
        let asked = outgoing(to, (version, question.terms.max_wait_ms), on_answer, move |spoken, correlation| {
            let written = question.frame(spoken, correlation, client_id.as_ref());
            written.map_err(|e| Fault::upstream(to, false, e))
        });
        let sent = self.links.poll(to, asked, &placement, &self.context.telemetry);
        sent.map_err(|refused| ((to, number), refused.into_fault()))
    }

    fn poll_came_back(self: &Arc<Self>, of: Poll, answer: Result<Answer, Fault>, hand: &Hand) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(fault) => return self.poll_lost(of, &fault, hand),
        };
        let frame = (&answer.frame, answer.body_at);
        let mut plain = answer.version == hand.version;
        if plain {
            self.act(hand, |polls, now| {
                polls.told_plainly(of, frame, now).unwrap_or_else(|NotPlain| {
                    plain = false;
                    Moves::new()
                })
            });
        }
        if plain {
            return;
        }
        let told = match answer.decode::<FetchResponse>() {
            Ok(told) => (told, answer.frame),
            Err(malformed) => return self.poll_lost(of, &Fault::upstream(of.0, true, malformed), hand),
        };
        let (mut effects, placement) = (Effects::new(), self.context.current.load());
        self.act(hand, |polls, now| {
            self.see(hand.version, &placement, Refusals::none(), |seen| polls.told(of, told, now, seen, &mut effects))
        });
        self.apply(effects);
    }

    fn poll_lost(self: &Arc<Self>, of: Poll, fault: &Fault, hand: &Hand) {
        self.tell_of(fault);
        self.lose(of.0);
        let mut effects = Effects::new();
        self.act(hand, |polls, now| polls.failed(of, fault, now, &mut effects));
        self.apply(effects);
    }

    fn poll_failed(&self, of: Poll, fault: &Fault) -> Moves<Ticket> {
        self.tell_of(fault);
        self.lose(of.0);
        let mut effects = Effects::new();
        let moves = self.polls.change(|polls, now| polls.failed(of, fault, now, &mut effects));
        self.apply(effects);
        moves
    }

    fn tell_of(&self, fault: &Fault) {
        let (peer, client) = (self.peer, self.client());
        tracing::debug!(session = %self.id, %peer, %client, %fault, "a part of a Fetch got no answer");
    }
}

impl SplitFetches {
    fn change(&self, change: impl FnOnce(&mut Polls<Ticket>, Instant) -> Moves<Ticket>) -> Moves<Ticket> {
        change(&mut self.state.lock().polls, Instant::now())
    }

    /// One clock a session, which runs while somebody waits.
    fn set_clock(&self, session: &Arc<Session>, hand: &Hand) {
        let mut state = self.state.lock();
        let Some(wake) = state.polls.wake(Instant::now()) else { return };
        match state.clock {
            Some(clock) if clock <= wake => {}
            Some(_) => self.earlier.notify_one(),
            None => {
                state.clock = Some(wake);
                tokio::spawn(run_clock(Arc::downgrade(session), hand.clone()));
            }
        }
    }
}

async fn run_clock(session: Weak<Session>, hand: Hand) {
    while let Some(session) = session.upgrade() {
        let wake = {
            let mut state = session.polls.state.lock();
            state.clock = state.polls.wake(Instant::now());
            state.clock
        };
        let Some(wake) = wake else { return };
        tokio::select! {
            () = sleep_until(wake.into()) => session.act(&hand, Polls::tick),
            () = session.polls.earlier.notified() => {}
        }
    }
}
