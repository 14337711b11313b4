//! One connection to one broker, used by one session (or by ourselves). It is opening, ready, or poisoned with a
//! reason that everybody who waits on it is told: a dead link is an error to every waiter, never a hang.

use super::versions::Versions;
use crate::error::Fault;
use crate::telemetry::LinkGauge;
use crate::types::Target;
use crate::wire::codec::{Frame, Malformed, decode};
use crate::wire::head::read_response;
use crate::wire::outlet::Outlet;
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Decodable;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A broker's answer to one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The whole frame, without its length field.
    pub frame: Bytes,
    /// Where the body begins.
    pub body_at: usize,
    /// The API that was asked.
    pub api: ApiKey,
    /// The version that was spoken on the link.
    pub version: i16,
}

impl Answer {
    /// The body, decoded.
    pub fn decode<M: Decodable>(&self) -> Result<M, Malformed> {
        decode(self.frame.slice(self.body_at.min(self.frame.len())..), self.version)
    }
}

/// What is called with the answer or the reason why there is none: exactly once, on the link's own task or, where the
/// link is dead already, at once. It must not block.
pub type OnAnswer = Box<dyn FnOnce(Result<Answer, Fault>) + Send>;

/// Writes a request for a broker's versions: gets the version table and a correlation id, gives the version used.
pub type Write = Box<dyn FnOnce(&Versions, i32) -> Result<(i16, Frame), Fault> + Send>;

/// A request on its way to a broker.
pub struct Outgoing {
    /// The API.
    pub api: ApiKey,
    /// Makes the frame, once the link knows what the broker speaks.
    pub write: Write,
    /// Who waits for what comes back.
    pub expect: Expect,
    /// How long the answer may take before the link is given up.
    pub patience: Duration,
}

/// What a request expects of the broker.
pub enum Expect {
    /// An answer.
    Answer(OnAnswer),
    /// None (Produce with acks=0). Called if the link dies before or after the request was sent.
    Nothing(Box<dyn FnOnce(Fault) + Send>),
}

/// A request that was not sent.
#[must_use = "somebody waits for an answer"]
pub struct Refused(Expect, Fault);

impl Refused {
    /// A request that never reached a link.
    pub fn new(expect: Expect, fault: Fault) -> Self {
        Self(expect, fault)
    }

    /// Tells who waits.
    pub fn tell(self) {
        self.0.fail(self.1);
    }
}

impl Expect {
    fn fail(self, fault: Fault) {
        match self {
            Self::Answer(on_answer) => on_answer(Err(fault)),
            Self::Nothing(on_fault) => on_fault(fault),
        }
    }
}

/// See the module's text.
pub struct Link {
    target: Target,
    state: Mutex<State>,
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
    until: Instant,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Link {
    /// A link that is being opened; `connect::open` brings it to life.
    #[must_use]
    pub fn opening(target: Target) -> Arc<Self> {
        let state = State {
            phase: Phase::Opening(Vec::new()),
            next_correlation: 0,
            pending: VecDeque::new(),
            unanswered: None,
            finishing: false,
            used: Instant::now(),
            gauge: None,
        };
        Arc::new(Self { target, state: Mutex::new(state) })
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
        state.send(outgoing, self.target)
    }

    /// Whether a new request would be refused at once.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        let state = self.state.lock();
        state.finishing || matches!(state.phase, Phase::Poisoned(_))
    }

    /// Nothing is in flight or queued, and nothing was since `since`.
    #[must_use]
    pub fn idle_since(&self, since: Instant) -> bool {
        let state = self.state.lock();
        let queued = matches!(&state.phase, Phase::Opening(waiting) if !waiting.is_empty());
        state.pending.is_empty() && !queued && state.used < since
    }

    /// Gives the link up when the oldest request has waited longer than it may.
    pub fn enforce_deadline(&self, now: Instant) {
        let late = self.state.lock().pending.front().filter(|oldest| oldest.until < now).map(|oldest| oldest.api);
        if let Some(api) = late {
            self.poison("timeout", &format_args!("no answer to {api:?} in time"));
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

    /// Whether anything still has to be sent: a finished link stays until it is, or is given up.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        match &self.state.lock().phase {
            Phase::Opening(waiting) => waiting.is_empty(),
            Phase::Ready(_, outlet) => outlet.backlog() == 0,
            Phase::Poisoned(_) => true,
        }
    }

    /// Ends the link. Everyone who waits is told `reason`, and whether their request had been sent; `word` is for the
    /// metrics. A link that is finishing ends because the client has left, however that shows: nobody is blamed.
    pub fn poison(&self, word: &'static str, reason: &dyn std::fmt::Display) {
        let fault = |finishing, sent| match finishing {
            true => Fault::left(self.target, sent),
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
            refused.extend(waiting.into_iter().filter_map(|request| state.send(request, self.target).err()));
            state.finishing = finishing;
            if finishing {
                outlet.finish();
            }
        }
        refused.into_iter().for_each(Refused::tell);
    }

    /// Hands an answer to who waits for it. An error where nobody does: the broker is then not to be trusted.
    pub(super) fn answered(&self, frame: Bytes) -> Result<(), Malformed> {
        let odd = |what: &str| Malformed::Field(what.to_owned());
        let (oldest, broken) = {
            let mut state = self.state.lock();
            let now = Instant::now();
            state.used = now;
            let oldest = state.pending.pop_front().ok_or_else(|| odd("an answer that nobody asked for"))?;
            match read_response(&frame, oldest.api, oldest.version) {
                Ok((correlation, body_at)) if correlation == oldest.correlation => {
                    if let Some(gauge) = &state.gauge {
                        gauge.answered(now.saturating_duration_since(oldest.sent));
                    }
                    drop(state);
                    let answer = Answer { frame, body_at, api: oldest.api, version: oldest.version };
                    (oldest.on_answer)(Ok(answer));
                    return Ok(());
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
    fn send(&mut self, outgoing: Outgoing, target: Target) -> Result<(), Refused> {
        let fault = match &mut self.phase {
            _ if self.finishing => Fault::left(target, false),
            Phase::Opening(waiting) => {
                waiting.push(outgoing);
                return Ok(());
            }
            Phase::Poisoned(fault) => fault.clone(),
            Phase::Ready(versions, outlet) => {
                let correlation = self.next_correlation;
                let (version, frame) = match (outgoing.write)(versions, correlation) {
                    Ok(written) => written,
                    Err(fault) => return Err(Refused(outgoing.expect, fault)),
                };
                self.next_correlation = correlation.wrapping_add(1);
                let (api, sent) = (outgoing.api, Instant::now());
                let until = sent + outgoing.patience;
                match outgoing.expect {
                    Expect::Answer(on_answer) => {
                        self.pending.push_back(Pending { correlation, api, version, on_answer, sent, until });
                        self.gauge.iter().for_each(LinkGauge::sent);
                    }
                    nothing @ Expect::Nothing(_) => self.unanswered = Some(nothing),
                }
                // Where the outlet has ended, the link's task is about to poison the link, and so tells who waits.
                outlet.send(frame);
                return Ok(());
            }
        };
        Err(Refused(outgoing.expect, fault))
    }
}
