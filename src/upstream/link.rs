//! One connection to one broker, used by one session (or by ourselves). It is opening, ready, or poisoned with a
//! reason that everybody who waits on it is told: a dead link is an error to every waiter, never a hang.

use super::outgoing::{Answer, Doubt, Expect, OnAnswer, Outgoing, Patience, Refused};
use super::versions::Versions;
use crate::error::Fault;
use crate::telemetry::LinkGauge;
use crate::types::Target;
use crate::wire::head::read_response;
use crate::wire::malformed::Malformed;
use crate::wire::outlet::Outlet;
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// One link of all that there ever were: a new link to the same broker is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId(pub u64);

/// A broker that is well answers within this time, beyond what the request itself lets it wait. Our slowest (WarpStream)
/// take 400 ms; a wrong guess costs a look at the cluster's metadata.
pub const LATE: Duration = Duration::from_millis(1_500);

/// What a link's broker owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// For how long.
    pub waited: Duration,
    /// Longer than it should.
    pub late: bool,
}

/// A broker that takes nothing of what is queued for this long is given up.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// See the module's text.
pub struct Link {
    id: LinkId,
    target: Target,
    state: Mutex<State>,
    /// Rings when it is no longer opening, and when it has ended.
    opened: Notify,
    doubt: Doubt,
}

struct State {
    phase: Phase,
    next_correlation: i32,
    /// Requests that were sent, oldest first: a broker answers a connection in order.
    pending: VecDeque<Pending>,
    /// The latest request that was sent and is never answered.
    unanswered: Option<Expect>,
    /// Takes no more requests; ends when what it has is done.
    finishing: bool,
    used: Instant,
    /// When the link was made, the last answer came, or reading went on: the oldest request's turn began no earlier.
    turn: Instant,
    /// Answers are not read now, since the client does not take them: what is missing is not the broker's fault.
    paused: bool,
    /// Counts it from when it is ready until it is poisoned.
    gauge: Option<LinkGauge>,
}

enum Phase {
    Opening(Vec<Outgoing>),
    Ready(Arc<Versions>, Arc<Outlet>),
    Poisoned(Fault),
}

struct Pending {
    correlation: i32,
    api: ApiKey,
    version: i16,
    on_answer: OnAnswer,
    sent: Instant,
    patience: Patience,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Link {
    /// A link that is being opened; `connect::serve` brings it to life.
    #[must_use]
    pub fn opening(target: Target) -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            phase: Phase::Opening(Vec::new()),
            next_correlation: 0,
            pending: VecDeque::new(),
            unanswered: None,
            finishing: false,
            used: now,
            turn: now,
            paused: false,
            gauge: None,
        };
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = LinkId(NEXT.fetch_add(1, Ordering::Relaxed));
        Arc::new(Self { id, target, state: Mutex::new(state), opened: Notify::new(), doubt: Doubt::default() })
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
        matches!(self.state.lock().phase, Phase::Ready(..))
    }

    /// Whether a new request would be refused at once.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        let state = self.state.lock();
        state.finishing || matches!(state.phase, Phase::Poisoned(_))
    }

    /// Ends the link where nothing is in flight or queued, and nothing was since `since`. Nobody waits for anything, so
    /// nobody is told.
    pub fn end_if_idle(&self, since: Instant) {
        let mut state = self.state.lock();
        let Phase::Ready(_, outlet) = &state.phase else { return };
        if state.pending.is_empty() && outlet.backlog() == 0 && state.used < since {
            outlet.close();
            state.unanswered = None;
            state.phase = Phase::Poisoned(Fault::upstream(self.target, false, "it was idle"));
            if let Some(gauge) = state.gauge.take() {
                gauge.closing("idle");
            }
        }
    }

    /// Gives the link up when the oldest request has waited longer than it may, or when nothing of what is queued has
    /// gone for too long.
    pub fn enforce_deadline(&self, now: Instant) {
        let (late, stuck) = {
            let state = self.state.lock();
            let over = |oldest: &&Pending| state.owed_for(oldest, now) > oldest.patience.over;
            let late = state.oldest().filter(over).map(|oldest| oldest.api);
            (late, state.queued_for(now).is_some_and(|queued| queued > STUCK_AFTER))
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
        let owed = |waited, allowed| Owed { waited, late: waited >= allowed };
        if let Phase::Opening(waiting) = &state.phase {
            let waited = now.saturating_duration_since(state.turn);
            return waiting.first().map(|oldest| owed(waited, oldest.patience.late));
        }
        let answer = state.oldest().map(|oldest| owed(state.owed_for(oldest, now), oldest.patience.late));
        answer.or_else(|| state.queued_for(now).map(|queued| owed(queued, LATE)))
    }

    /// Whether answers are not read for now.
    pub(super) fn pause(&self, paused: bool) {
        let mut state = self.state.lock();
        (state.paused, state.turn) = (paused, Instant::now());
    }

    /// Bytes that wait for the broker to take them and that no answer is expected for: the others are bounded by the
    /// answers that are missing.
    #[must_use]
    pub fn backlog(&self) -> usize {
        match &self.state.lock().phase {
            Phase::Opening(waiting) => waiting.iter().map(|request| request.expect.unanswered_bytes()).sum(),
            Phase::Ready(_, outlet) => outlet.backlog(),
            Phase::Poisoned(_) => 0,
        }
    }

    /// Waits until no more than `limit` bytes wait, or the link has ended.
    pub async fn room(&self, limit: usize) {
        while self.backlog() > limit {
            let opened = self.opened.notified();
            let ready = match &self.state.lock().phase {
                Phase::Opening(_) => None,
                Phase::Ready(_, outlet) => Some(Arc::clone(outlet)),
                Phase::Poisoned(_) => return,
            };
            match ready {
                Some(outlet) => outlet.room(limit).await,
                None => opened.await,
            }
        }
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&self) {
        loop {
            let rings = self.opened.notified();
            if matches!(self.state.lock().phase, Phase::Poisoned(_)) {
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
        if let Phase::Ready(_, outlet) = &state.phase {
            outlet.finish();
        }
    }

    /// Ends a link that is finishing and carries nothing but long polls: nobody waits for them, and nothing is lost. True
    /// where it has ended.
    pub fn end_if_polled(&self) -> bool {
        let polled = {
            let state = self.state.lock();
            let is_poll = |api: ApiKey| api == ApiKey::Fetch;
            let sent = state.unanswered.is_none() && state.pending.iter().all(|sent| is_poll(sent.api));
            sent && match &state.phase {
                Phase::Opening(waiting) => waiting.iter().all(|waiting| is_poll(waiting.api)),
                Phase::Ready(_, outlet) => !state.pending.is_empty() && outlet.backlog() == 0,
                Phase::Poisoned(_) => true,
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
                    Vec::new()
                }
                Phase::Poisoned(first) => {
                    state.phase = Phase::Poisoned(first);
                    Vec::new()
                }
            };
            if let Some(gauge) = state.gauge.take() {
                gauge.closing(if finishing { "session" } else { word });
            }
            (finishing, std::mem::take(&mut state.pending), state.unanswered.take(), waiting)
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
        let mut refused = Vec::new();
        {
            let mut state = self.state.lock();
            let Phase::Opening(waiting) = &mut state.phase else { return outlet.close() };
            let waiting = std::mem::take(waiting);
            state.phase = Phase::Ready(versions, Arc::clone(&outlet));
            state.gauge = Some(count());
            let finishing = std::mem::replace(&mut state.finishing, false);
            refused.extend(waiting.into_iter().filter_map(|request| state.send(request).err()));
            state.finishing = finishing;
            if finishing {
                outlet.finish();
            }
        }
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
            (state.used, state.turn) = (now, now);
            if matches!(state.phase, Phase::Poisoned(_)) {
                // It came while the link was given up, and who asked has been told.
                return Ok(());
            }
            let oldest = state.pending.pop_front().ok_or_else(|| odd("an answer that nobody asked for"))?;
            match read_response(&frame, oldest.api, oldest.version) {
                Ok((correlation, body_at)) if correlation == oldest.correlation => {
                    if let Some(gauge) = &state.gauge {
                        gauge.answered(now.saturating_duration_since(oldest.sent));
                    }
                    drop(state);
                    let doubt = Arc::clone(&self.doubt);
                    let answer = Answer { frame, body_at, api: oldest.api, version: oldest.version, doubt };
                    (oldest.on_answer)(Ok(answer));
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
    /// The request whose answer comes next, where we listen.
    fn oldest(&self) -> Option<&Pending> {
        self.pending.front().filter(|_| !self.paused)
    }

    fn owed_for(&self, oldest: &Pending, now: Instant) -> Duration {
        now.saturating_duration_since(oldest.sent.max(self.turn))
    }

    /// For how long the broker has taken nothing of what is queued, where it owes no answer.
    fn queued_for(&self, now: Instant) -> Option<Duration> {
        let queued = matches!(&self.phase, Phase::Ready(_, outlet) if outlet.backlog() > 0);
        (queued && self.pending.is_empty()).then(|| now.saturating_duration_since(self.used))
    }

    fn send(&mut self, outgoing: Outgoing) -> Result<(), Refused> {
        let fault = match &mut self.phase {
            _ if self.finishing => Fault::left(false),
            Phase::Opening(waiting) => {
                waiting.push(outgoing);
                return Ok(());
            }
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
                        self.pending.push_back(Pending { correlation, api, version, on_answer, sent, patience });
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
mod tests {
    use super::*;
    use crate::telemetry::{Telemetry, Use};
    use crate::types::{BrokerId, Slot};
    use std::sync::atomic::AtomicUsize;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    fn target() -> Target {
        Target { cluster: Slot::new(0).unwrap(), broker: BrokerId(1) }
    }

    fn gauge() -> LinkGauge {
        Telemetry::new().unwrap().cluster(&"a".into()).link_opened(Use::Session)
    }

    async fn outlet() -> (Arc<Outlet>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(there, listener.accept());
        (Outlet::new(Arc::new(near.unwrap())), far.unwrap().0)
    }

    fn unanswered(size: usize, told: &Arc<AtomicUsize>) -> Outgoing {
        let told = Arc::clone(told);
        Outgoing {
            api: ApiKey::Produce,
            write: Box::new(move |_, _| Ok((9, vec![Bytes::from(vec![0; size])]))),
            expect: Expect::Nothing {
                bytes: size,
                on_fault: Box::new(move |_| {
                    told.fetch_add(1, Ordering::Relaxed);
                }),
            },
            patience: Patience { late: LATE, over: Duration::from_secs(1) },
        }
    }

    #[tokio::test]
    async fn what_a_broker_does_not_take_holds_its_senders_back() {
        let (link, told) = (Link::opening(target()), Arc::default());
        assert!(link.send(unanswered(1_000, &told)).is_ok());
        link.room(1_000).await;
        assert!(link.send(unanswered(20 << 20, &told)).is_ok());
        let wait = Duration::from_millis(50);
        assert!(timeout(wait, link.room(1_000)).await.is_err(), "while the link opens");
        let (outlet, _frozen) = outlet().await;
        link.ready(Arc::default(), outlet, gauge);
        assert!(timeout(wait, link.room(1_000)).await.is_err(), "while the broker takes nothing");
        link.enforce_deadline(Instant::now() + STUCK_AFTER / 2);
        assert!(!link.is_dead());
        link.enforce_deadline(Instant::now() + STUCK_AFTER * 2);
        link.room(1_000).await;
        assert!(link.is_dead(), "no hang without a deadline [L5]");
        assert_eq!(told.load(Ordering::Relaxed), 1, "the latest is told, and closes its session");
    }

    fn answered(told: &Arc<AtomicUsize>) -> Outgoing {
        let told = Arc::clone(told);
        let on_answer = move |_| {
            told.fetch_add(1, Ordering::Relaxed);
        };
        Outgoing { expect: Expect::Answer(Box::new(on_answer)), ..unanswered(10, &Arc::default()) }
    }

    #[tokio::test]
    async fn what_a_broker_owes_is_counted_from_when_it_may_answer() {
        let (link, told) = (Link::opening(target()), Arc::default());
        let owed = |after: Duration| link.owed(Instant::now() + after).map(|owed| owed.late);
        assert_eq!(owed(LATE), None, "nothing is asked");
        assert!(link.send(answered(&told)).is_ok());
        assert_eq!((owed(LATE / 2), owed(LATE)), (Some(false), Some(true)), "a link that opens is late too");
        let (outlet, _frozen) = outlet().await;
        link.ready(Arc::default(), outlet, gauge);
        tokio::time::sleep(LATE / 10).await;
        link.pause(true);
        link.enforce_deadline(Instant::now() + LATE * 9);
        assert_eq!((owed(LATE * 9), link.is_dead()), (None, false), "it is we who do not read");
        link.pause(false);
        assert_eq!((owed(LATE * 19 / 20), owed(LATE)), (Some(false), Some(true)), "counted anew");
        link.enforce_deadline(Instant::now() + LATE * 9);
        assert!(link.is_dead());
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn an_answer_that_comes_while_its_link_is_given_up_is_no_nonsense() {
        let (link, told) = (Link::opening(target()), Arc::default());
        let (outlet, _far) = outlet().await;
        link.ready(Arc::default(), outlet, gauge);
        let nonsense = || Bytes::from_static(&[0, 0, 0, 9]);
        assert!(link.answered(nonsense()).is_err(), "nobody asked");
        assert!(link.send(answered(&told)).is_ok());
        link.poison("session", &"the client is gone");
        assert!(link.answered(nonsense()).is_ok());
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn an_idle_link_ends_and_tells_nobody() {
        let (link, told) = (Link::opening(target()), Arc::default());
        let later = || Instant::now() + Duration::from_secs(1);
        link.end_if_idle(later());
        assert!(!link.is_dead(), "it is opening");
        let (outlet, _far) = outlet().await;
        link.ready(Arc::default(), outlet, gauge);
        assert!(link.send(unanswered(10, &told)).is_ok());
        link.end_if_idle(Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
        assert!(!link.is_dead(), "it was used since");
        link.end_if_idle(later());
        assert!(link.is_dead());
        link.poison("closed", &"closed");
        assert_eq!(told.load(Ordering::Relaxed), 0);
    }
}
