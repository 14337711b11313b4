//! How fast a partition grows: how many records came in each piece of the last eleven minutes. It tells a surge of producers
//! from a group that fell behind by itself.

use super::clock::Moment;

/// A piece, in ms.
const PIECE: i64 = 20_000;
/// Pieces of a minute.
const MINUTE: i64 = 3;
/// Pieces that are kept: the minute, ten before it, and the one that is going on.
const KEPT: usize = 34;

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    /// The piece that is going on, counted from the ledger's beginning, and what came in it so far.
    now: i64,
    count: u32,
    /// The first piece that anything is known of.
    first: i64,
    /// Those before the one that is going on: seldom looked at, and so not in the way of what is looked at often.
    pieces: Box<[u32; KEPT]>,
}

impl Pulse {
    /// It begins now.
    #[must_use]
    pub(super) fn new(at: Moment) -> Self {
        let now = at.0.div_euclid(PIECE);
        Self { now, count: 0, first: now, pieces: Box::new([0; KEPT]) }
    }

    fn place(piece: i64) -> usize {
        usize::try_from(piece.rem_euclid(KEPT as i64)).unwrap_or(0)
    }

    /// So many more.
    pub(super) fn add(&mut self, records: i64, at: Moment) {
        let piece = at.0.div_euclid(PIECE);
        if piece > self.now {
            self.go_on(piece);
        }
        self.count = self.count.saturating_add(u32::try_from(records).unwrap_or(u32::MAX));
    }

    fn go_on(&mut self, piece: i64) {
        self.keep(self.now, self.count);
        let passed = piece.saturating_sub(self.now).min(KEPT as i64);
        (1..passed).for_each(|empty| self.keep(piece - empty, 0));
        (self.now, self.count) = (piece, 0);
    }

    fn keep(&mut self, piece: i64, records: u32) {
        if let Some(slot) = self.pieces.get_mut(Self::place(piece)) {
            *slot = records;
        }
    }

    fn records(&self, piece: i64) -> i64 {
        if piece == self.now {
            return i64::from(self.count);
        }
        self.pieces.get(Self::place(piece)).copied().map_or(0, i64::from)
    }

    /// Records of `pieces` before `end`, of those that are known.
    fn sum(&self, pieces: std::ops::Range<i64>) -> i64 {
        let known = |piece: &i64| *piece <= self.now && *piece > self.now - KEPT as i64 && *piece >= self.first;
        pieces.filter(known).map(|piece| self.records(piece)).sum()
    }

    /// What came in the last minute, where that is more than twice of what came in a minute of the ten before; of which at least
    /// one must be known.
    #[must_use]
    pub(super) fn surge(&self, at: Moment) -> Option<i64> {
        let now = at.0.div_euclid(PIECE).max(self.now);
        let minute = now - MINUTE + 1;
        let from = (minute - 10 * MINUTE).max(self.first);
        let known = minute - from;
        let (last, before) = (self.sum(minute..now + 1), self.sum(from..minute));
        let surges =
            known >= MINUTE && i128::from(last) * i128::from(known) > i128::from(before) * 2 * i128::from(MINUTE);
        surges.then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surge_is_more_than_twice_of_what_came_before() {
        let mut pulse = Pulse::new(Moment(0));
        (0..600).for_each(|second| pulse.add(10, Moment(second * 1000)));
        assert_eq!(pulse.surge(Moment(599_000)), None);
        (600..660).for_each(|second| pulse.add(19, Moment(second * 1000)));
        assert_eq!(pulse.surge(Moment(659_000)), None);
        (660..720).for_each(|second| pulse.add(50, Moment(second * 1000)));
        assert_eq!(pulse.surge(Moment(719_000)), Some(3000));
    }

    #[test]
    fn who_has_seen_no_minute_before_calls_nothing_a_surge() {
        let mut pulse = Pulse::new(Moment(0));
        pulse.add(1000, Moment(10_000));
        assert_eq!(pulse.surge(Moment(70_000)), None);
        pulse.add(1000, Moment(130_000));
        assert_eq!(pulse.surge(Moment(130_000)), None, "as much as before");
    }

    #[test]
    fn what_came_long_ago_is_forgotten() {
        let mut pulse = Pulse::new(Moment(0));
        pulse.add(1000, Moment(0));
        pulse.add(5, Moment(3_600_000));
        assert_eq!(pulse.surge(Moment(3_600_000)), Some(5));
        pulse.add(5, Moment(i64::MAX));
        assert_eq!(pulse.surge(Moment(i64::MAX)), Some(5));
    }
}
