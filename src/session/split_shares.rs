//! The driver of share sessions that are split, in `single`: sends what `api::groups::shares::split` decides, in that order, and
//! wakes it when a member's time is over.

use super::generic::patience;
use super::needs;
use super::shares::{SESSIONS, Shares};
use super::state::Session;
use super::ticket::Ticket;
use crate::api::fetch::records_within;
use crate::api::groups::shares::split::{Now, Split};
use crate::api::groups::shares::{Answer, Ask, Asked, Leaving, Move, Moves, Sent};
use crate::api::guard::screen;
use crate::api::{Effects, Refusals, codes};
use crate::error::Fault;
use crate::placement::Placement;
use crate::types::Name;
use crate::upstream::{self, Expect, OnAnswer, Outgoing};
use crate::wire::budget::{Budget, Charge};
use crate::wire::codec::encode_request;
use crate::wire::shape::Shaped;
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Encodable;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::sleep_until;

/// In which version members and brokers are spoken to: there is no other.
const VERSION: i16 = 1;

/// What every session may remember before it is counted, in bytes.
const UNCOUNTED: usize = 8 << 10;

/// What was told is kept so long for a member that does not ask, where others wait for the memory.
const KEPT_WHERE_SOUGHT: Duration = Duration::from_secs(2);

/// The split share sessions of one connection, each by a hash of group and member.
pub struct SplitShares {
    state: Mutex<State>,
    /// Rings when the clock must look earlier than it is set.
    earlier: Notify,
}

struct State {
    all: HashMap<u64, Member>,
    /// Tells sessions of one member apart.
    series: u64,
    /// Counts what is remembered.
    charge: Charge,
    /// What the clock is set to; `None` where none runs.
    clock: Option<Instant>,
    /// The client is gone.
    has_ended: bool,
}

struct Member {
    split: Split<Ticket>,
    /// What its client calls itself.
    client_id: Option<Bytes>,
}

impl Default for SplitShares {
    fn default() -> Self {
        let (all, charge) = (HashMap::new(), Charge::none());
        let state = State { all, series: 0, charge, clock: None, has_ended: false };
        Self { state: Mutex::new(state), earlier: Notify::new() }
    }
}

impl SplitShares {
    /// Bytes of answers that no member has come for.
    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        self.state.lock().all.values().map(|member| member.split.kept_bytes()).sum()
    }

    /// The client is gone: nobody waits any more (L5).
    pub(super) fn end(&self) {
        let waited: Vec<_> = {
            let mut state = self.state.lock();
            state.has_ended = true;
            state.all.values_mut().flat_map(|member| member.split.end()).collect()
        };
        self.earlier.notify_one();
        drop(waited);
    }

    /// Counts what is remembered, in the pool of what is parked: it stays as long as the client does (L4). False where the pool
    /// has not so much left, or one client would have more than its share of it.
    fn is_counted(&self, parked: &Arc<Budget>) -> bool {
        let mut state = self.state.lock();
        let kept: usize = state.all.values().map(Member::memory).sum();
        state.charge.follow(parked, kept.saturating_sub(UNCOUNTED))
    }
}

impl Member {
    fn memory(&self) -> usize {
        self.split.memory() + self.client_id.as_ref().map_or(0, Bytes::len)
    }
}

/// Serves a request of a member.
pub(super) fn submit<R: Shares>(mut ticket: Ticket, mut request: R) {
    let session = Arc::clone(ticket.session());
    let placement = session.context.current.load();
    let denied = session.see(VERSION, &placement, Refusals::none(), |seen| screen(&mut request, &mut None, seen));
    if let Some(denied) = denied {
        return ticket.answer(&denied, &[]);
    }
    let (key, home) = (session.share_sessions.key(&request), placement.home_of_group(request.group()));
    ticket.of_pipeline(placement.config.pipeline_of_group(request.group()).name.clone());
    ticket.at_cluster(Name::of_all(placement.cluster(home).map(|cluster| &cluster.name)));
    let share = records_within(session.context.limits().responses);
    let split = Split::new((request.group(), request.member()), home, share);
    let asked: Asked = request.into();
    let need = session.see(VERSION, &placement, Refusals::none(), |seen| asked.need(seen));
    let Some(need) = need else { return take_up(ticket, key, split, asked) };
    tokio::spawn(async move {
        let mut refused = Refusals::default();
        refused.extend(needs::meet(&session.context, vec![need]).await);
        ticket.blame_refusals(&refused);
        take_up(ticket, key, split, asked);
    });
}

/// `split` is the member's session, where it has none yet.
fn take_up(ticket: Ticket, key: u64, split: Split<Ticket>, asked: Asked) {
    let session = Arc::clone(ticket.session());
    {
        let mut state = session.split_shares.state.lock();
        if state.has_ended {
            return;
        }
        if state.all.len() >= SESSIONS && !state.all.contains_key(&key) {
            drop(state);
            let full = Answer::refusal(asked.reads(), codes::SHARE_SESSION_LIMIT_REACHED, None);
            return leave(Leaving { whose: ticket, answer: full, faults: Vec::new() });
        }
        state.series += 1;
        let series = state.series;
        let client_id = ticket.head().client_id.as_deref().map(Bytes::copy_from_slice);
        state.all.entry(key).or_insert_with(|| Member { split: split.numbered(series), client_id });
    }
    session.share(key, |split, now, _| split.submit(asked, ticket, now));
    if !session.split_shares.is_counted(&session.context.shared.memory.parked) {
        close(&session);
    }
}

/// The client comes back, and its members name their partitions again: by then there may be memory for them.
fn close(session: &Session) {
    let (peer, client) = (session.peer, session.client());
    if let Some(held_back) = session.context.seldom.pass(format!("many shared partitions {}", peer.ip())) {
        tracing::warn!(
            session = %session.id, %peer, %client, held_back,
            "closing a client connection: its share group members name more partitions than there is memory for (an eighth of \
             memory.parked for one client); raise memory.parked"
        );
    }
    session.close("memory");
}

fn leave(leaving: Leaving<Ticket>) {
    let mut ticket = leaving.whose;
    leaving.faults.iter().for_each(|fault| ticket.blame(fault.blame));
    match leaving.answer {
        Answer::Fetch(answer, sources) => ticket.answer(&*answer, &sources),
        Answer::Acknowledge(answer) => ticket.answer(&answer, &[]),
    }
}

impl Session {
    /// Does something to a member's session, and all that follows from it. Requests leave under the lock: a broker counts them.
    fn share(
        self: &Arc<Self>,
        key: u64,
        first: impl FnOnce(&mut Split<Ticket>, &Now<'_, '_>, &mut Effects) -> Moves<Ticket>,
    ) {
        // The number first: a placement that is published meanwhile is newer than it says, and looked at again.
        let (generation, placement) = (self.context.current.generation(), self.context.current.load());
        let (mut leaving, mut effects) = (Vec::new(), Effects::new());
        let is_over = {
            let mut state = self.split_shares.state.lock();
            let Some(Member { split, client_id }) = state.all.get_mut(&key) else { return };
            self.see(VERSION, &placement, Refusals::none(), |seen| {
                let now = Now { at: Instant::now(), seen, generation };
                let mut moves = VecDeque::from(first(split, &now, &mut effects));
                while let Some(next) = moves.pop_front() {
                    match next {
                        Move::Answer(answer) => leaving.push(answer),
                        Move::Send(sent, ask) => {
                            // A refusal is worked off here and not called in: that needs the lock.
                            if let Err(failed) = self.ask(key, sent, ask, client_id.as_ref(), &placement) {
                                moves.extend(failed.tell(split, &now, &mut effects));
                            }
                        }
                    }
                }
            });
            let is_over = split.is_over();
            if is_over {
                state.all.remove(&key);
            }
            is_over
        };
        if is_over {
            self.links.end_share(key, self.context.limits().linger);
        }
        leaving.into_iter().for_each(leave);
        self.apply(effects);
        self.split_shares.set_clock(self);
    }

    fn ask(
        self: &Arc<Self>,
        key: u64,
        sent: Sent,
        ask: Ask,
        client_id: Option<&Bytes>,
        placement: &Placement,
    ) -> Result<(), Failed> {
        let session = Arc::clone(self);
        let client_id = placement.client_id(sent.to.cluster, client_id);
        let (outgoing, polls) = match ask {
            Ask::Poll(request) => {
                let held = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
                let came = move |answer| session.share_poll_came_back(key, sent, answer);
                (outgoing(ApiKey::ShareFetch, sent, held, (request, client_id), Box::new(came)), true)
            }
            Ask::Acknowledge(request) => {
                let came = move |answer| session.share_acknowledged(key, sent, answer);
                (outgoing(ApiKey::ShareAcknowledge, sent, Duration::ZERO, (request, client_id), Box::new(came)), false)
            }
        };
        let refused = self.links.share(key, sent.to, outgoing, placement, &self.context.telemetry);
        refused.map_err(|refused| Failed { sent, polls, fault: refused.into_fault() })
    }

    fn share_poll_came_back(self: &Arc<Self>, key: u64, sent: Sent, answer: Result<upstream::Answer, Fault>) {
        let answer = answer.and_then(|answer| {
            let told = answer.decode().map_err(|e| Fault::upstream(sent.to, true, e))?;
            Ok((told, answer.frame))
        });
        self.tell_of_share(answer.as_ref().err());
        self.share_of(key, sent, |split, now, effects| split.told(sent, answer, now, effects));
    }

    fn share_acknowledged(self: &Arc<Self>, key: u64, sent: Sent, answer: Result<upstream::Answer, Fault>) {
        let answer = answer.and_then(|answer| answer.decode().map_err(|e| Fault::upstream(sent.to, true, e)));
        self.tell_of_share(answer.as_ref().err());
        self.share_of(key, sent, |split, now, effects| split.acknowledged(sent, answer, now, effects));
    }

    /// The same as `share`, where it is still the session that this was sent for.
    fn share_of(
        self: &Arc<Self>,
        key: u64,
        sent: Sent,
        change: impl FnOnce(&mut Split<Ticket>, &Now<'_, '_>, &mut Effects) -> Moves<Ticket>,
    ) {
        self.share(
            key,
            |split, now, effects| {
                if split.series() == sent.series { change(split, now, effects) } else { Moves::new() }
            },
        );
    }

    fn tell_of_share(&self, fault: Option<&Fault>) {
        if let Some(fault) = fault {
            let (peer, client) = (self.peer, self.client());
            tracing::debug!(session = %self.id, %peer, %client, %fault, "a part of a share session got no answer");
        }
    }

    /// Others need the memory: what no member has come for lately is given back to its broker (L4).
    pub(super) fn shed_shares(self: &Arc<Self>, now: Instant) {
        let keys: Vec<_> = self.split_shares.state.lock().all.keys().copied().collect();
        for key in keys {
            self.share(key, |split, _, _| split.shed(KEPT_WHERE_SOUGHT, now));
        }
    }
}

/// A request that was not sent.
struct Failed {
    sent: Sent,
    polls: bool,
    fault: Fault,
}

impl Failed {
    fn tell(self, split: &mut Split<Ticket>, now: &Now<'_, '_>, effects: &mut Effects) -> Moves<Ticket> {
        let Self { sent, polls, fault } = self;
        if polls {
            split.told(sent, Err(fault), now, effects)
        } else {
            split.acknowledged(sent, Err(fault), now, effects)
        }
    }
}

/// A request, of a client of this id, that its broker may hold for so long.
fn outgoing<R: Shaped + Encodable + Send + 'static>(
    api: ApiKey,
    sent: Sent,
    held: Duration,
    (request, client_id): (R, Option<Bytes>),
    on_answer: OnAnswer,
) -> Outgoing {
    Outgoing {
        api,
        write: Box::new(move |versions, correlation| {
            let spoken = versions.nearest(api, VERSION).filter(|spoken| *spoken == VERSION);
            let spoken = spoken.ok_or_else(|| Fault::lacking(sent.to, api))?;
            let written = encode_request(api, spoken, correlation, client_id.as_ref(), &request, &[]);
            written.map(|frame| (spoken, frame)).map_err(|e| Fault::upstream(sent.to, false, e))
        }),
        expect: Expect::Answer(on_answer),
        patience: patience(held),
    }
}

impl SplitShares {
    /// One clock a connection, which runs while a member waits.
    fn set_clock(&self, session: &Arc<Session>) {
        let mut state = self.state.lock();
        let Some(wake) = state.wake() else { return };
        match state.clock {
            Some(clock) if clock <= wake => {}
            Some(_) => self.earlier.notify_one(),
            None => {
                state.clock = Some(wake);
                tokio::spawn(run_clock(Arc::downgrade(session)));
            }
        }
    }
}

impl State {
    fn wake(&self) -> Option<Instant> {
        self.all.values().filter_map(|member| member.split.wake()).min()
    }
}

async fn run_clock(session: Weak<Session>) {
    while let Some(session) = session.upgrade() {
        let wake = {
            let mut state = session.split_shares.state.lock();
            state.clock = state.wake();
            state.clock
        };
        let Some(wake) = wake else { return };
        tokio::select! {
            () = sleep_until(wake.into()) => session.tick_shares(Instant::now()),
            () = session.split_shares.earlier.notified() => {}
        }
    }
}

impl Session {
    fn tick_shares(self: &Arc<Self>, now: Instant) {
        let due: Vec<_> = {
            let state = self.split_shares.state.lock();
            let is_due = |member: &Member| member.split.wake().is_some_and(|wake| wake <= now);
            state.all.iter().filter(|(_, member)| is_due(member)).map(|(key, _)| *key).collect()
        };
        for key in due {
            self.share(key, |split, now, _| split.tick(now));
        }
    }
}
