//! Time as the room keeps it: milliseconds since the ledger was opened, by a clock that never steps. The clock on the wall is
//! asked only where a record bears a time of its own.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Now, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// By the clock that never steps.
    pub at: Instant,
    /// By the clock on the wall, in ms since 1970.
    pub unix_ms: i64,
}

impl Now {
    /// This moment.
    #[must_use]
    pub fn read() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: Instant::now(), unix_ms: i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX) }
    }
}

/// Milliseconds since the ledger was opened; below 0 before that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// How many ms it lies before another; never below 0.
    #[must_use]
    pub fn until(self, later: Self) -> i64 {
        later.0.saturating_sub(self.0).max(0)
    }

    /// So many ms before it.
    #[must_use]
    pub fn less(self, ms: i64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// So many ms behind it.
    #[must_use]
    pub fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// When the ledger was opened.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// One that begins now.
    #[must_use]
    pub fn from(opened: Instant) -> Self {
        Self(opened)
    }

    /// The moment of an instant; of one before the ledger was opened, that.
    #[must_use]
    pub fn moment(self, at: Instant) -> Moment {
        let since = at.saturating_duration_since(self.0);
        // `as_millis` counts in 128 bits.
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        Moment(seconds.saturating_mul(1000).saturating_add(since.subsec_millis().into()))
    }
}
