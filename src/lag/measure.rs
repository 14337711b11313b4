//! How far a reader at a position is behind: records, seconds, and what is left before retention takes the first of them.
//! Computed when somebody asks, so that it grows while nothing happens.

use super::clock::Moment;
use super::partition::Partition;
use super::rows::Source;

/// Who has not heard for so long, in ms, that nothing has changed does not say so: three sweeps.
pub(super) const STALE: i64 = 180_000;

/// Now, as the ledger counts and by the clock on the wall.
#[derive(Clone, Copy, Debug)]
pub(super) struct Then {
    /// As the ledger counts.
    pub(super) moment: Moment,
    /// In ms since 1970.
    pub(super) unix_ms: i64,
}

/// See the module's text. Times in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    /// Behind the last record that it may be given.
    pub(super) end: Option<i64>,
    /// How many records there are up to that.
    pub(super) lag: Option<i64>,
    /// How old the first one is; 0 where there is none, and not known where the end may have moved long since.
    pub(super) age: Option<i64>,
    /// It is no younger than this: less than `age` where only the end was seen to move.
    pub(super) at_least: Option<i64>,
    /// Where `age` comes from.
    pub(super) source: Source,
    /// How much younger it is than where the log starts.
    pub(super) margin: Option<i64>,
    /// The first record that it may be given.
    pub(super) first: i64,
}

/// How old a record is, and at least, in ms.
struct Age {
    age: i64,
    at_least: i64,
    source: Source,
}

impl Partition {
    /// How far a reader here is behind.
    #[must_use]
    pub(super) fn measure(&self, position: i64, committed_only: bool, then: Then) -> Measure {
        let first = self.ends.first_given(position.max(0), committed_only);
        let nothing =
            Measure { end: None, lag: None, age: None, at_least: None, source: Source::Unknown, margin: None, first };
        let Some(end) = self.ends.consumable(committed_only) else { return nothing };
        let lag = end.saturating_sub(first).max(0);
        let known = Measure { end: Some(end), lag: Some(lag), ..nothing };
        if lag == 0 {
            if self.ends.confirmed().is_none_or(|confirmed| confirmed.until(then.moment) > STALE) {
                return known;
            }
            let source = self.times.last_source().unwrap_or(Source::Noticed);
            return Measure { age: Some(0), at_least: Some(0), source, ..known };
        }
        let Some(Age { age, at_least, source }) = self.age_of(first, then) else { return known };
        let margin = self.margin(first, age, then);
        Measure { age: Some(age), at_least: Some(at_least), source, margin, ..known }
    }

    fn age_of(&self, offset: i64, then: Then) -> Option<Age> {
        if let Some(arrival) = self.times.time_of(offset) {
            let age = arrival.at.until(then.moment);
            let at_least = arrival.noticed.map_or(age, |noticed| noticed.until(then.moment));
            return Some(Age { age, at_least, source: arrival.source });
        }
        let age = then.unix_ms.saturating_sub(self.dated.time_of(offset)?).max(0);
        Some(Age { age, at_least: age, source: Source::RecordTime })
    }

    fn margin(&self, first: i64, age: i64, then: Then) -> Option<i64> {
        let start = self.ends.start()?;
        if first <= start {
            return Some(0);
        }
        let written = self.start.filter(|known| known.0 == start).map(|known| known.1);
        let by_itself = written.map(|written| then.unix_ms.saturating_sub(written));
        let oldest = by_itself.or_else(|| self.age_of(start, then).map(|known| known.age))?;
        Some(oldest.saturating_sub(age).max(0))
    }
}
