//! One connection to one broker, used by one session (or by ourselves). It is opening, ready, or poisoned with a
//! reason that everybody who waits on it is told: a dead link is an error to every waiter, never a hang.

use super::outgoing::{Answer, Doubt, Expect, Outgoing, Refused};
use super::owed::{Debts, LATE, Owed, Pending};
use super::versions::Versions;
use crate::error::Fault;
use crate::telemetry::LinkGauge;
use crate::types::{Guise, Target};
use crate::wire::head::read_response;
use crate::wire::malformed::Malformed;
use crate::wire::outlet::Outlet;
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// One link of all that there ever were: a new link to the same broker is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId(pub u64);

/// A broker that takes nothing of what is queued for this long is given up.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// See the module's text.
pub struct Link {
    id: LinkId,
    target: Target,
    /// As whom it enters.
    guise: Guise,
    state: Mutex<State>,
    /// Rings when it is no longer opening, and when it has ended.
    opened: Notify,
    doubt: Doubt,
}

struct State {
    phase: Phase,
    next_correlation: i32,
    debts: Debts,
    /// The latest request that was sent and is never answered.
    unanswered: Option<Expect>,
    /// What came while we say anew who we are: brokers take nothing else meanwhile. `None`: we do not.
    withheld: Option<Vec<Outgoing>>,
    /// Takes no more requests; ends when what it has is done.
    finishing: bool,
    /// Nobody sends over it any more: ends when what it has is answered.
    left: bool,
    used: Instant,
    /// Counts it from when it is ready until it is poisoned.
    gauge: Option<LinkGauge>,
}

enum Phase {
    Opening(Vec<Outgoing>),
    Ready(Arc<Versions>, Arc<Outlet>),
    Poisoned(Fault),
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Link {
    /// A link of Fishplate itself that is being opened; `connect::serve` brings it to life.
    #[must_use]
    pub fn opening(target: Target) -> Arc<Self> {
        Self::opening_as(Guise::Own, target)
    }

    /// The same of who comes as this one.
    #[must_use]
    pub fn opening_as(guise: Guise, target: Target) -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            phase: Phase::Opening(Vec::new()),
            next_correlation: 0,
            debts: Debts::new(now),
            unanswered: None,
            withheld: None,
            finishing: false,
            left: false,
            used: now,
            gauge: None,
        };
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = LinkId(NEXT.fetch_add(1, Ordering::Relaxed));
        Arc::new(Self { id, target, guise, state: Mutex::new(state), opened: Notify::new(), doubt: Doubt::default() })
    }

    /// Which link it is.
    #[must_use]
    pub fn id(&self) -> LinkId {
        self.id
    }

    /// The broker at the other end.
    #[must_use]
    pub fn target(&self) -> Target {
        self.target
    }

    /// As whom it enters its cluster.
    #[must_use]
    pub fn guise(&self) -> &Guise {
        &self.guise
    }

    /// Sends a request, or queues it until the link is ready. Requests reach the broker in the order of these calls.
    ///
    /// # Errors
    /// Where it will not be sent: who must be told, and why. Left to the caller, who may hold a lock that the telling
    /// needs.
    pub fn send(&self, outgoing: Outgoing) -> Result<(), Refused> {
        let mut state = self.state.lock();
        state.used = Instant::now();
        state.send(outgoing)
    }

    /// Whether a new request would be written at once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let state = self.state.lock();
        matches!(state.phase, Phase::Ready(..)) && state.withheld.is_none()
    }

    /// The highest version of an API that its broker speaks; `None` where it lacks it, or is not known yet.
    #[must_use]
    pub fn speaks(&self, api: ApiKey) -> Option<i16> {
        match &self.state.lock().phase {
            Phase::Ready(versions, _) => versions.highest(api),
            Phase::Opening(_) | Phase::Poisoned(_) => None,
        }
    }

    /// Whether a new request would be refused at once.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        let state = self.state.lock();
        state.finishing || matches!(state.phase, Phase::Poisoned(_))
    }

    /// Whether it carries nothing any more, and never will.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Poisoned(_))
    }

    /// Ends the link where nothing is in flight or queued, and nothing was since `since`. Nobody waits for an answer, so
    /// nobody is told one.
    pub fn end_if_idle(&self, since: Instant) {
        {
            let mut state = self.state.lock();
            let Phase::Ready(_, outlet) = &state.phase else { return };
            let is_idle = state.debts.is_empty() && state.withheld.is_none() && outlet.backlog() == 0;
            if !is_idle || state.used >= since {
                return;
            }
            outlet.close();
            state.unanswered = None;
            state.phase = Phase::Poisoned(Fault::upstream(self.target, false, "it was idle"));
            if let Some(gauge) = state.gauge.take() {
                gauge.closing("idle");
            }
        }
        self.opened.notify_waiters();
    }

    /// Nobody sends over it any more: it ends as soon as all that it carries is answered.
    pub fn leave(&self) {
        self.state.lock().left = true;
        self.end_if_idle(Instant::now());
    }

    /// Gives the link up when the oldest request has waited longer than it may, or when nothing of what is queued has
    /// gone for too long.
    pub fn enforce_deadline(&self, now: Instant) {
        let (late, stuck) = {
            let state = self.state.lock();
            let late = state.debts.oldest(now).filter(|(oldest, waited)| *waited > oldest.patience.over);
            (late.map(|(oldest, _)| oldest.api), state.queued_for(now).is_some_and(|queued| queued > STUCK_AFTER))
        };
        if let Some(api) = late {
            self.poison("timeout", &format_args!("no answer to {api:?} in time"));
        } else if stuck {
            self.poison("stuck", &format_args!("it takes nothing for {STUCK_AFTER:?}"));
        }
    }

    /// For how long the broker has owed the oldest answer, or has taken nothing of what is queued. `None` where it owes
    /// nothing, or we do not listen.
    pub fn owed(&self, now: Instant) -> Option<Owed> {
        let state = self.state.lock();
        if let Some(waiting) = state.waiting() {
            return waiting.first().map(|oldest| Owed::after(state.debts.turn(now), oldest.patience.late));
        }
        let answer = state.debts.oldest(now).map(|(oldest, waited)| Owed::after(waited, oldest.patience.late));
        answer.or_else(|| state.queued_for(now).map(|queued| Owed::after(queued, LATE)))
    }

    /// Whether answers are not read for now.
    pub(super) fn pause(&self, paused: bool) {
        self.state.lock().debts.pause(paused, Instant::now());
    }

    /// Bytes that wait for the broker to take them and that no answer is expected for: the others are bounded by the
    /// answers that are missing.
    #[must_use]
    pub fn backlog(&self) -> usize {
        let state = self.state.lock();
        let waiting = state.waiting().unwrap_or_default().iter();
        let queued = if let Phase::Ready(_, outlet) = &state.phase { outlet.backlog() } else { 0 };
        queued + waiting.map(|request| request.expect.unanswered_bytes()).sum::<usize>()
    }

    /// Waits until no more than `limit` bytes wait, or the link has ended.
    pub async fn room(&self, limit: usize) {
        while self.backlog() > limit {
            let opened = self.opened.notified();
            let ready = {
                let state = self.state.lock();
                match &state.phase {
                    Phase::Ready(_, outlet) if state.withheld.is_none() => Some(Arc::clone(outlet)),
                    Phase::Opening(_) | Phase::Ready(..) => None,
                    Phase::Poisoned(_) => return,
                }
            };
            match ready {
                Some(outlet) => outlet.room(limit).await,
                None => opened.await,
            }
        }
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        loop {
            let rings = self.opened.notified();
            if self.has_ended() {
                return;
            }
            rings.await;
        }
    }

    /// Takes no more requests. What was queued or sent is still delivered; the broker is then told that nothing more
    /// comes. Answers are read for as long as the link's task lives.
    pub fn finish(&self) {
        let mut state = self.state.lock();
        state.finishing = true;
        if let Phase::Ready(_, outlet) = &state.phase
            && state.withheld.is_none()
        {
            outlet.finish();
        }
    }

    /// Ends a link that is finishing and carries nothing but long polls: nobody waits for them, and nothing is lost. True
    /// where it has ended.
    pub fn end_if_polled(&self) -> bool {
        let polled = {
            let state = self.state.lock();
            let sent = state.unanswered.is_none() && state.debts.are_all(ApiKey::Fetch);
            let polls = state.waiting().unwrap_or_default().iter().all(|waiting| waiting.api == ApiKey::Fetch);
            sent && polls
                && match &state.phase {
                    Phase::Ready(_, outlet) => !state.debts.is_empty() && outlet.backlog() == 0,
                    Phase::Opening(_) | Phase::Poisoned(_) => true,
                }
        };
        if polled {
            self.poison("session", &"the client is gone");
        }
        polled
    }

    /// Ends the link. Everyone who waits is told `reason`, and whether their request had been sent; `word` is for the
    /// metrics. A link that is finishing ends because the client has left, however that shows: nobody is blamed.
    pub fn poison(&self, word: &'static str, reason: &dyn std::fmt::Display) {
        let fault = |finishing, sent| match finishing {
            true => Fault::left(sent),
            false => Fault::upstream(self.target, sent, reason),
        };
        let (finishing, pending, unanswered, waiting) = {
            let mut state = self.state.lock();
            let finishing = state.finishing;
            let waiting = match std::mem::replace(&mut state.phase, Phase::Poisoned(fault(finishing, false))) {
                Phase::Opening(waiting) => waiting,
                Phase::Ready(_, outlet) => {
                    outlet.close();
                    state.withheld.take().unwrap_or_default()
                }
                Phase::Poisoned(first) => {
                    state.phase = Phase::Poisoned(first);
                    Vec::new()
                }
            };
            if let Some(gauge) = state.gauge.take() {
                gauge.closing(if finishing { "session" } else { word });
            }
            (finishing, state.debts.take(), state.unanswered.take(), waiting)
        };
        let fault = |sent| fault(finishing, sent);
        self.opened.notify_waiters();
        for request in pending {
            (request.on_answer)(Err(fault(true)));
        }
        if let Some(expect) = unanswered {
            expect.fail(fault(true));
        }
        for request in waiting {
            request.expect.fail(fault(false));
        }
    }

    /// The broker is connected and has told what it speaks: what was queued goes out.
    pub(super) fn ready(&self, versions: Arc<Versions>, outlet: Arc<Outlet>, count: impl FnOnce() -> LinkGauge) {
        let refused = {
            let mut state = self.state.lock();
            let Phase::Opening(waiting) = &mut state.phase else { return outlet.close() };
            let waiting = std::mem::take(waiting);
            state.phase = Phase::Ready(versions, outlet);
            state.gauge = Some(count());
            state.send_all(waiting)
        };
        self.opened.notify_waiters();
        refused.into_iter().for_each(Refused::tell);
    }

    /// From now on nothing goes but what [`Link::send_past`] sends.
    pub(super) fn withhold(&self) {
        self.state.lock().withheld.get_or_insert_default();
    }

    /// Sends what does not wait for who is withheld.
    pub(super) fn send_past(&self, outgoing: Outgoing) -> Result<(), Refused> {
        self.state.lock().write(outgoing)
    }

    /// What was withheld goes out, in its order.
    pub(super) fn release(&self) {
        let refused = {
            let mut state = self.state.lock();
            let withheld = state.withheld.take().unwrap_or_default();
            state.send_all(withheld)
        };
        self.opened.notify_waiters();
        refused.into_iter().for_each(Refused::tell);
    }

    /// Hands an answer to who waits for it. An error where nobody does, or where it cannot be read: the broker is then
    /// not to be trusted.
    pub(super) fn answered(&self, frame: Bytes) -> Result<(), Malformed> {
        let odd = |what: &str| Malformed::Field(what.to_owned());
        let (oldest, broken) = {
            let mut state = self.state.lock();
            let now = Instant::now();
            state.used = now;
            if matches!(state.phase, Phase::Poisoned(_)) {
                // It came while the link was given up, and who asked has been told.
                return Ok(());
            }
            let oldest = state.debts.settle(now).ok_or_else(|| odd("an answer that nobody asked for"))?;
            match read_response(&frame, oldest.api, oldest.version) {
                Ok((correlation, body_at)) if correlation == oldest.correlation => {
                    if let Some(gauge) = &state.gauge {
                        gauge.answered(now.saturating_duration_since(oldest.sent));
                    }
                    let left = state.left;
                    drop(state);
                    let doubt = Arc::clone(&self.doubt);
                    let answer = Answer { frame, body_at, api: oldest.api, version: oldest.version, doubt };
                    (oldest.on_answer)(Ok(answer));
                    if left {
                        self.end_if_idle(Instant::now());
                    }
                    return self.doubt.get().map_or(Ok(()), |malformed| Err(malformed.clone()));
                }
                Ok(_) => (oldest, odd("an answer out of order")),
                Err(malformed) => (oldest, malformed),
            }
        };
        (oldest.on_answer)(Err(Fault::upstream(self.target, true, &broken)));
        Err(broken)
    }
}

impl State {
    /// For how long the broker has taken nothing of what is queued, where it owes no answer.
    fn queued_for(&self, now: Instant) -> Option<Duration> {
        let queued = matches!(&self.phase, Phase::Ready(_, outlet) if outlet.backlog() > 0);
        (queued && self.debts.is_empty()).then(|| now.saturating_duration_since(self.used))
    }

    /// What has not been written yet, and waits for that.
    fn waiting(&self) -> Option<&[Outgoing]> {
        match &self.phase {
            Phase::Opening(waiting) => Some(waiting),
            Phase::Ready(..) => self.withheld.as_deref(),
            Phase::Poisoned(_) => None,
        }
    }

    /// Sends what waited, also where nothing else is taken any more. Gives back what is refused.
    fn send_all(&mut self, waiting: Vec<Outgoing>) -> Vec<Refused> {
        let refused = waiting.into_iter().filter_map(|request| self.write(request).err()).collect();
        if let Phase::Ready(_, outlet) = &self.phase
            && self.finishing
        {
            outlet.finish();
        }
        refused
    }

    fn send(&mut self, outgoing: Outgoing) -> Result<(), Refused> {
        match (&mut self.phase, &mut self.withheld) {
            _ if self.finishing => Err(Refused::new(outgoing.expect, Fault::left(false))),
            (Phase::Opening(waiting), _) | (Phase::Ready(..), Some(waiting)) => {
                waiting.push(outgoing);
                Ok(())
            }
            (Phase::Ready(..), None) | (Phase::Poisoned(_), _) => self.write(outgoing),
        }
    }

    fn write(&mut self, outgoing: Outgoing) -> Result<(), Refused> {
        let fault = match &mut self.phase {
            Phase::Opening(_) => Fault::left(false),
            Phase::Poisoned(fault) => fault.clone(),
            Phase::Ready(versions, outlet) => {
                let correlation = self.next_correlation;
                let (version, frame) = match (outgoing.write)(versions, correlation) {
                    Ok(written) => written,
                    Err(fault) => return Err(Refused::new(outgoing.expect, fault)),
                };
                self.next_correlation = correlation.wrapping_add(1);
                let (api, patience, sent) = (outgoing.api, outgoing.patience, Instant::now());
                match outgoing.expect {
                    Expect::Answer(on_answer) => {
                        self.debts.add(Pending { correlation, api, version, on_answer, sent, patience });
                        self.gauge.iter().for_each(LinkGauge::sent);
                    }
                    nothing @ Expect::Nothing { .. } => self.unanswered = Some(nothing),
                }
                // Where the outlet has ended, the link's task is about to poison the link, and so tells who waits.
                outlet.send(frame);
                return Ok(());
            }
        };
        Err(Refused::new(outgoing.expect, fault))
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
