//! What a broker owes on one link: the requests that were sent and are not answered yet, and since when it could have answered
//! the oldest. Pure: `link` sends, and gives up.

use super::outgoing::{OnAnswer, Patience};
use kafka_protocol::messages::ApiKey;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

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

impl Owed {
    /// Something that should take no longer than `allowed`.
    pub(super) fn after(waited: Duration, allowed: Duration) -> Self {
        Self { waited, late: waited >= allowed }
    }
}

/// A request that was sent.
pub(super) struct Pending {
    pub(super) correlation: i32,
    pub(super) api: ApiKey,
    pub(super) version: i16,
    pub(super) on_answer: OnAnswer,
    pub(super) sent: Instant,
    pub(super) patience: Patience,
}

/// See the module's text.
pub(super) struct Debts {
    /// Oldest first: a broker answers a connection in order.
    pending: VecDeque<Pending>,
    /// When the link was made, the last answer came, or reading went on: the oldest request's turn began no earlier.
    turn: Instant,
    /// Answers are not read now, since the client does not take them: what is missing is not the broker's fault.
    paused: bool,
}

impl Debts {
    /// None, on a link that is made now.
    pub(super) fn new(now: Instant) -> Self {
        Self { pending: VecDeque::new(), turn: now, paused: false }
    }

    pub(super) fn add(&mut self, request: Pending) {
        self.pending.push_back(request);
    }

    /// An answer has come: for whom.
    pub(super) fn settle(&mut self, now: Instant) -> Option<Pending> {
        self.turn = now;
        self.pending.pop_front()
    }

    /// All that will not be answered any more.
    pub(super) fn take(&mut self) -> VecDeque<Pending> {
        std::mem::take(&mut self.pending)
    }

    pub(super) fn pause(&mut self, paused: bool, now: Instant) {
        (self.paused, self.turn) = (paused, now);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether nothing else is owed than answers to this.
    pub(super) fn are_all(&self, api: ApiKey) -> bool {
        self.pending.iter().all(|request| request.api == api)
    }

    /// How long the turn has lasted.
    pub(super) fn turn(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.turn)
    }

    /// The request whose answer comes next, where we listen, and for how long that has been owed.
    pub(super) fn oldest(&self, now: Instant) -> Option<(&Pending, Duration)> {
        let oldest = self.pending.front().filter(|_| !self.paused)?;
        Some((oldest, now.saturating_duration_since(oldest.sent.max(self.turn))))
    }
}
