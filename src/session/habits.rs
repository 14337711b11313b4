//! Whether a client still does its part: sends its first request, goes on with what it began, takes its answers, asks
//! now and then. Found out by looking twice a second, so that it costs a request nothing. Pure.

use super::context::Limits;
use std::fmt;
use std::time::Instant;

/// One look at a session.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// Requests so far.
    pub asked: u64,
    /// Of those, not answered.
    pub unanswered: usize,
    /// Its reader has waited for the rest of a request that is not complete.
    pub amid: bool,
    /// Bytes of answers that its socket took so far.
    pub taken: u64,
    /// Bytes of answers that wait for it.
    pub owed: usize,
    /// Others wait for memory that it may hold.
    pub sought: bool,
    /// It must log in, and has not.
    pub outside: bool,
}

/// What a client does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It sent no first request, or did not log in.
    Handshake,
    /// It does not go on with a request.
    Stalled,
    /// It does not take its answers, or too slowly.
    Slow,
    /// It asks nothing.
    Idle,
}

impl Fault {
    /// A word for the metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Stalled => "stalled",
            Self::Slow => "slow",
            Self::Idle => "idle",
        }
    }

    /// Whether it is worth a warning: Kafka closes idle connections too, and every port is knocked at.
    #[must_use]
    pub fn is_news(self) -> bool {
        matches!(self, Self::Stalled | Self::Slow)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "it sent no first request, or did not log in, in time",
            Self::Stalled => "a request that it began was not complete in time",
            Self::Slow => "it does not take its answers, or a few bytes now and then, and others wait for the memory",
            Self::Idle => "it asked nothing for too long",
        })
    }
}

/// Since when nothing of it has moved.
#[derive(Debug)]
pub struct Habits {
    last: Found,
    /// It was accepted.
    since: Instant,
    /// The last request, or its being accepted.
    asked_at: Instant,
    /// The request before this that is still not complete was seen first.
    amid_since: Option<Instant>,
    /// Answers were taken, or there were none to take.
    took_at: Instant,
    /// Others wait, and this is what it has taken meanwhile.
    watched: Option<Watched>,
}

/// A client that others wait for. In each span of [`Limits::slow`] it takes an eighth of what it owed as the span began, or
/// of what any session may hold, if that is more; or all there was. So everything is given back in a bounded time, in
/// whatever drops it takes it.
#[derive(Clone, Copy, Debug)]
struct Watched {
    since: Instant,
    taken: u64,
    owed: usize,
}

/// The part that it must take.
const SPANS: usize = 8;

impl Watched {
    fn from(found: &Found, now: Instant) -> Self {
        Self { since: now, taken: found.taken, owed: found.owed }
    }

    fn took_enough(&self, found: &Found, limits: &Limits) -> bool {
        let least = (self.owed.max(limits.responses) / SPANS).min(self.owed);
        found.taken.saturating_sub(self.taken) >= least as u64
    }
}

impl Habits {
    /// Of a session that begins now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { last: Found::default(), since: now, asked_at: now, amid_since: None, took_at: now, watched: None }
    }

    /// Remembers what was found. Tells what the client has not done for too long.
    pub fn look(&mut self, found: &Found, now: Instant, limits: &Limits) -> Option<Fault> {
        let asks = found.asked != self.last.asked || found.unanswered > 0;
        if asks {
            self.asked_at = now;
        }
        self.amid_since = match self.amid_since {
            Some(since) if found.amid && found.asked == self.last.asked => Some(since),
            _ => found.amid.then_some(now),
        };
        if found.owed == 0 || found.taken != self.last.taken {
            self.took_at = now;
        }
        self.watch(found, now, limits);
        self.last = *found;
        let since = |then: Instant| now.saturating_duration_since(then);
        let is_late = since(self.since) >= limits.handshake && found.outside;
        if is_late || found.asked == 0 && since(self.asked_at) >= limits.handshake {
            return Some(Fault::Handshake);
        }
        if self.amid_since.is_some_and(|then| since(then) >= limits.stalled) {
            return Some(Fault::Stalled);
        }
        let lags = self.watched.is_some_and(|watched| since(watched.since) >= limits.slow);
        if lags || found.sought && since(self.took_at) >= limits.slow {
            return Some(Fault::Slow);
        }
        let moved_at = if found.owed == 0 { self.asked_at } else { self.asked_at.max(self.took_at) };
        (since(moved_at) >= limits.idle).then_some(Fault::Idle)
    }

    fn watch(&mut self, found: &Found, now: Instant, limits: &Limits) {
        let goes_on = self.watched.filter(|watched| !watched.took_enough(found, limits));
        let is_awaited = found.sought && found.owed > 0;
        self.watched = is_awaited.then(|| goes_on.unwrap_or_else(|| Watched::from(found, now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Looks once a second, for so many seconds; the first fault, and when it was told.
    fn watch(seconds: u64, found: impl Fn(u64) -> Found) -> Option<(u64, Fault)> {
        let start = Instant::now();
        let mut habits = Habits::new(start);
        let mut look = |at| habits.look(&found(at), start + Duration::from_secs(at), &Limits::default());
        (1..=seconds).find_map(|at| look(at).map(|fault| (at, fault)))
    }

    #[test]
    fn a_first_request_must_come() {
        assert_eq!(watch(60, |_| Found::default()), Some((10, Fault::Handshake)));
        assert_eq!(watch(60, |_| Found { amid: true, ..Found::default() }), Some((10, Fault::Handshake)));
        assert_eq!(watch(60, |_| Found { asked: 1, ..Found::default() }), None);
    }

    #[test]
    fn who_must_log_in_does_so_in_time() {
        let asks = |at| Found { asked: at, outside: true, ..Found::default() };
        assert_eq!(watch(60, asks), Some((10, Fault::Handshake)), "whatever it asks meanwhile");
        assert_eq!(watch(60, |at| Found { outside: at < 9, ..asks(at) }), None);
    }

    #[test]
    fn a_request_that_has_begun_must_be_completed() {
        let begun = |at| Found { asked: 1, amid: at > 5, ..Found::default() };
        assert_eq!(watch(60, begun), Some((36, Fault::Stalled)));
        let goes_on = |at| Found { asked: at, amid: true, ..Found::default() };
        assert_eq!(watch(60, goes_on), None, "each look finds another one");
    }

    /// [L4]
    #[test]
    fn l4_who_takes_no_answers_is_closed_where_others_wait() {
        let stuck = |sought| move |at: u64| Found { asked: 1, owed: 9, taken: at.min(5), sought, ..Found::default() };
        assert_eq!(watch(60, stuck(true)), Some((31, Fault::Slow)));
        assert_eq!(watch(60, stuck(false)), None);
        assert_eq!(watch(60, |at| Found { asked: 1, owed: 9, taken: at, sought: true, ..Found::default() }), None);
    }

    /// (L4)
    #[test]
    fn l4_who_takes_a_few_bytes_now_and_then_is_closed_where_others_wait() {
        const MIB: usize = 1 << 20;
        let slow = |owed, rate: u64, sought: fn(u64) -> bool| {
            move |at: u64| Found { asked: 1, owed, taken: at * rate, sought: sought(at), ..Found::default() }
        };
        let always = |_| true;
        assert_eq!(watch(200, slow(5 * MIB, 1, always)), Some((31, Fault::Slow)));
        assert_eq!(watch(200, slow(50 * MIB, 100_000, always)), Some((31, Fault::Slow)), "more is owed");
        assert_eq!(watch(200, slow(5 * MIB, 40_000, always)), None, "a slow line");
        assert_eq!(watch(200, slow(5 * MIB, 1, |_| false)), None, "nobody waits");
        assert_eq!(watch(200, slow(5 * MIB, 1, |at| at > 100)), Some((131, Fault::Slow)), "counted since others wait");
        assert_eq!(watch(200, slow(30, 1, always)), None, "all of it in time");
    }

    #[test]
    fn who_asks_nothing_is_closed_after_long() {
        let idle = |at: u64| Found { asked: at.min(4), ..Found::default() };
        assert_eq!(watch(700, idle), Some((604, Fault::Idle)));
        assert_eq!(watch(1_000, |_| Found { asked: 1, unanswered: 1, ..Found::default() }), None, "we owe an answer");
    }
}
