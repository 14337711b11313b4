//! Where a partition ends for who reads it. Behind the last record that consumers are given there may be control records, and for
//! who reads only what is committed those of aborted transactions: nobody will ever commit beyond them, so they are no lag.
//! What is known of that comes from Fetch answers, and from transactions that ended: each puts one control record into every
//! partition that it wrote to.

use super::clock::Moment;
use super::spans::Spans;
use crate::telemetry::observed::{Ends as Told, ProducerOf, Stretch};

/// Open transactions that are kept of a partition.
const OPEN: usize = 64;
/// An end below what we believe is believed when it was told twice, so many ms apart.
const APART: i64 = 1000;

/// A transaction that has not ended, as far as we know.
#[derive(Clone, Debug)]
struct Open {
    producer: ProducerOf,
    first: i64,
    wrote: Spans,
}

/// What came of something that was told of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// It is where it was.
    No,
    /// It is known for the first time.
    Known(i64),
    /// It is further.
    On(i64),
    /// The log was cut.
    Cut(i64),
}

/// See the module's text. Thousands of partitions are written to in turn, so that what each fact touches is kept together, and what
/// few partitions have, apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    end: Option<i64>,
    start: Option<i64>,
    /// When `end` was last seen to be that.
    confirmed: Option<Moment>,
    /// Behind the last record whose acknowledgement we saw.
    written: i64,
    /// Up to there, a record is given: to all, and to who reads only what is committed.
    given: [i64; 2],
    rare: Option<Box<Rare>>,
}

/// What only a partition has that transactions write to, or whose end has been in doubt.
#[derive(Clone, Debug, Default)]
struct Rare {
    /// An end below the end was told: what the end was then, and when.
    doubt: Option<(i64, Moment)>,
    /// Where the first open transaction begins, as a broker told.
    told_open: Option<i64>,
    open: Vec<Open>,
    /// Control records that are written somewhere behind what we saw being written.
    markers: i64,
    /// Records that nobody is given.
    nothing: Spans,
    /// Records that who reads only what is committed is not given: those and aborted ones.
    aborted: Spans,
}

impl Rare {
    /// A batch was written at `base`. Between it and what was written before it lie markers, where they are no more than are owed.
    fn reach(&mut self, written: i64, base: i64) {
        let gap = base.saturating_sub(written);
        if gap > 0 && gap <= self.markers && written > 0 {
            self.control(written, base);
            self.markers -= gap;
        }
    }

    /// A transaction wrote. Whether that is the first of it.
    fn wrote(&mut self, producer: ProducerOf, base: i64, next: i64) -> bool {
        if let Some(open) = self.open.iter_mut().find(|open| open.producer == producer) {
            open.first = open.first.min(base);
            open.wrote.add(base, next);
            return false;
        }
        if self.open.len() >= OPEN {
            self.open.remove(0);
        }
        let mut wrote = Spans::default();
        wrote.add(base, next);
        self.open.push(Open { producer, first: base, wrote });
        true
    }

    fn control(&mut self, from: i64, to: i64) {
        self.nothing.add(from, to);
        self.aborted.add(from, to);
    }

    /// A producer's transaction ended.
    fn ended(&mut self, producer: ProducerOf) -> Option<Open> {
        let place = self.open.iter().position(|open| open.producer == producer)?;
        let open = self.open.swap_remove(place);
        self.markers = self.markers.saturating_add(1);
        if self.told_open == Some(open.first) {
            self.told_open = None;
        }
        Some(open)
    }

    /// Transactions that began before what is stable have ended, unheard.
    fn settle(&mut self, stable: i64) {
        let before = self.open.len();
        self.open.retain(|open| open.first >= stable);
        self.told_open = self.told_open.filter(|first| *first >= stable);
        let ended = before - self.open.len();
        self.markers = self.markers.saturating_add(i64::try_from(ended).unwrap_or(0));
    }

    /// Somebody was shown that no records lie from `given` up to `next`: markers that are among that are looked for no more.
    fn shown(&mut self, given: i64, next: i64, written: i64, is_end: bool, committed_only: bool) {
        if is_end {
            self.markers = 0;
        } else {
            let known = self.nothing.last_end(i64::MAX).unwrap_or(0).max(written).max(given);
            self.markers = self.markers.saturating_sub(next.saturating_sub(known).max(0)).max(0);
        }
        if committed_only {
            self.aborted.add(given, next);
        } else {
            self.control(given, next);
        }
    }

    fn cut(&mut self, end: i64) {
        self.doubt = None;
        self.markers = 0;
        self.open.retain(|open| open.first < end);
        self.nothing.truncate(end);
        self.aborted.truncate(end);
    }

    /// Behind the last record that a reader is given, of those up to `end`.
    fn consumable(&self, end: i64, written: i64, given: [i64; 2], committed_only: bool) -> i64 {
        let (nothing, mut markers) = (if committed_only { &self.aborted } else { &self.nothing }, self.markers);
        let mut last = end;
        loop {
            if let Some(begin) = nothing.begin_of(last) {
                last = begin;
                continue;
            }
            // Behind what we saw being written lie markers that nobody has shown us yet.
            let known = given.iter().copied().filter(|known| *known <= last).chain(nothing.last_end(last));
            let known = known.fold(written, i64::max);
            let behind = last.saturating_sub(known);
            if behind <= 0 || behind > markers || known <= 0 {
                return last;
            }
            (last, markers) = (known, markers - behind);
        }
    }
}

impl Ends {
    /// Where the log ends, control records and all.
    #[must_use]
    pub(super) fn end(&self) -> Option<i64> {
        self.end
    }

    /// Where it starts.
    #[must_use]
    pub(super) fn start(&self) -> Option<i64> {
        self.start
    }

    /// When the end was last seen to be where it is.
    #[must_use]
    pub(super) fn confirmed(&self) -> Option<Moment> {
        self.confirmed
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// A batch was written. Whether it is the first of its transaction here.
    pub(super) fn acknowledged(&mut self, base: i64, next: i64, transaction: Option<ProducerOf>, at: Moment) -> bool {
        if let Some(rare) = &mut self.rare {
            rare.reach(self.written, base);
        }
        self.written = self.written.max(next);
        self.give(false, next);
        if self.end.is_none_or(|end| end <= next) {
            (self.end, self.confirmed) = (Some(next), Some(at));
        }
        let Some(producer) = transaction else {
            self.give(true, next);
            return false;
        };
        self.rare().wrote(producer, base, next)
    }

    fn give(&mut self, committed_only: bool, next: i64) {
        if let Some(given) = self.given.get_mut(usize::from(committed_only)) {
            *given = next.max(*given);
        }
    }

    /// A producer's transaction ended.
    pub(super) fn ended(&mut self, producer: ProducerOf, committed: bool) {
        let Some(rare) = &mut self.rare else { return };
        let Some(open) = rare.ended(producer) else { return };
        if committed {
            self.give(true, open.wrote.last_end(i64::MAX).unwrap_or(0));
        } else {
            open.wrote.iter().for_each(|(from, to)| rare.aborted.add(from, to));
        }
    }

    /// A broker told offsets; whether we had asked ourselves.
    pub(super) fn told(&mut self, told: Told, ours: bool, at: Moment) -> Moved {
        if told.start >= 0 {
            self.start =
                Some(if ours { told.start } else { self.start.map_or(told.start, |start| start.max(told.start)) });
        }
        let moved = if told.high < 0 { Moved::No } else { self.told_high(told.high, ours, at) };
        if told.stable >= 0 && told.high >= 0 && self.end.is_some_and(|end| told.high >= end) {
            let open = (told.stable < told.high).then_some(told.stable);
            if open.is_some() || self.rare.is_some() {
                self.rare().told_open = open;
            }
        }
        if let Some(rare) = &mut self.rare {
            rare.settle(told.stable);
        }
        moved
    }

    fn told_high(&mut self, high: i64, ours: bool, at: Moment) -> Moved {
        let before = self.end;
        if let Some(end) = before.filter(|end| high < *end) {
            return if ours { self.told_less(high, end, at) } else { Moved::No };
        }
        if let Some(rare) = &mut self.rare {
            rare.doubt = None;
        }
        (self.end, self.confirmed) = (Some(high), Some(at));
        match before {
            None => Moved::Known(high),
            Some(end) if end < high => Moved::On(high),
            Some(_) => Moved::No,
        }
    }

    fn told_less(&mut self, high: i64, end: i64, at: Moment) -> Moved {
        match self.rare().doubt {
            Some((believed, since)) if high < believed && since.until(at) >= APART => self.cut(high, at),
            Some((believed, _)) if high < believed => Moved::No,
            _ => {
                self.rare().doubt = Some((end, at));
                Moved::No
            }
        }
    }

    fn cut(&mut self, end: i64, at: Moment) -> Moved {
        (self.end, self.confirmed) = (Some(end), Some(at));
        self.written = self.written.min(end);
        self.given.iter_mut().for_each(|given| *given = end.min(*given));
        self.rare().cut(end);
        Moved::Cut(end)
    }

    /// Somebody was handed a stretch of it.
    pub(super) fn handed(&mut self, stretch: Stretch, committed_only: bool) {
        if stretch.from < 0 || stretch.next <= stretch.from {
            return;
        }
        let given = stretch.given.map_or(stretch.from, |given| given.1).clamp(stretch.from, stretch.next);
        if given < stretch.next || self.rare.is_some() {
            let (written, is_end) = (self.written, self.end.is_some_and(|end| stretch.next >= end));
            self.rare().shown(given, stretch.next, written, is_end, committed_only);
        }
        if stretch.given.is_some() {
            self.give(committed_only, given);
            // Who reads only what is committed is given no more than all are.
            self.give(false, given);
        }
    }

    /// Up to where records are stable.
    #[must_use]
    pub(super) fn stable(&self) -> Option<i64> {
        let first = |rare: &Rare| rare.open.iter().map(|open| open.first).chain(rare.told_open).min();
        let first = self.rare.as_deref().and_then(first);
        self.end.map(|end| first.map_or(end, |first| first.min(end)))
    }

    /// Behind the last record that a reader is given.
    #[must_use]
    pub(super) fn consumable(&self, committed_only: bool) -> Option<i64> {
        let end = if committed_only { self.stable() } else { self.end }?;
        let rare = self.rare.as_deref();
        let last = rare.map_or(end, |rare| rare.consumable(end, self.written, self.given, committed_only));
        Some(last.max(self.start.unwrap_or(0).min(end)).max(0))
    }

    /// The first offset from this one on where there may be a record for such a reader.
    #[must_use]
    pub(super) fn first_given(&self, offset: i64, committed_only: bool) -> i64 {
        let offset = offset.max(self.start.unwrap_or(0));
        let of = |rare: &Rare| if committed_only { rare.aborted.end_of(offset) } else { rare.nothing.end_of(offset) };
        self.rare.as_deref().and_then(of).unwrap_or(offset)
    }

    /// Whether we know that a record from this offset on is given to such a reader.
    #[must_use]
    pub(super) fn is_given_from(&self, offset: i64, committed_only: bool) -> bool {
        self.given.get(usize::from(committed_only)).is_some_and(|given| *given > offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Slot;

    fn of(producer: i64) -> ProducerOf {
        (Slot::new(0).unwrap(), producer)
    }
    use proptest::prelude::*;

    const NOW: Moment = Moment(0);

    fn high(high: i64) -> Told {
        Told { high, stable: -1, start: -1 }
    }

    fn stretch(from: i64, given: Option<i64>, next: i64) -> Stretch {
        Stretch { from, given: given.map(|given| (from, given)), next, written_ms: -1 }
    }

    fn both(ends: &Ends) -> (Option<i64>, Option<i64>) {
        (ends.consumable(false), ends.consumable(true))
    }

    #[test]
    fn a_control_record_at_the_end_is_nothing_to_read() {
        let mut ends = Ends::default();
        ends.acknowledged(0, 10, Some(of(7)), NOW);
        assert_eq!(both(&ends), (Some(10), Some(0)), "the transaction is open");
        ends.ended(of(7), true);
        assert_eq!(both(&ends), (Some(10), Some(10)));
        ends.told(high(11), false, NOW);
        assert_eq!(both(&ends), (Some(10), Some(10)), "the one more is its marker");
        ends.told(high(12), false, NOW);
        assert_eq!(both(&ends), (Some(12), Some(12)), "two more are not");
    }

    #[test]
    fn a_fetch_answer_tells_what_lies_behind_the_last_record() {
        let mut ends = Ends::default();
        ends.told(high(11), true, NOW);
        assert!(!ends.is_given_from(10, false));
        ends.handed(stretch(10, None, 11), false);
        assert_eq!(both(&ends), (Some(10), Some(10)));
        ends.acknowledged(11, 12, None, NOW);
        assert_eq!(both(&ends), (Some(12), Some(12)));
        assert_eq!(ends.first_given(10, false), 11, "and what is waiting begins behind it");
    }

    #[test]
    fn a_marker_that_somebody_was_shown_hides_no_other_record() {
        let mut ends = Ends::default();
        ends.acknowledged(0, 10, Some(of(1)), NOW);
        ends.ended(of(1), true);
        ends.told(high(11), false, NOW);
        ends.handed(stretch(10, None, 11), false);
        ends.told(high(12), false, NOW);
        assert_eq!(both(&ends), (Some(12), Some(12)), "somebody else wrote that");
        // Of two markers one was shown, and something lies behind them.
        let mut ends = Ends::default();
        ends.acknowledged(0, 10, Some(of(1)), NOW);
        ends.acknowledged(10, 20, Some(of(2)), NOW);
        ends.ended(of(1), true);
        ends.ended(of(2), true);
        ends.told(high(23), false, NOW);
        ends.handed(stretch(0, Some(20), 21), false);
        assert_eq!(ends.rare().markers, 1);
        ends.handed(stretch(15, Some(20), 21), false);
        assert_eq!((ends.rare().markers, ends.consumable(false)), (1, Some(23)), "shown again, it is the same one");
    }

    #[test]
    fn aborted_records_are_something_only_to_who_reads_all() {
        let mut ends = Ends::default();
        ends.acknowledged(0, 10, None, NOW);
        ends.acknowledged(10, 20, Some(of(1)), NOW);
        ends.ended(of(1), false);
        ends.told(Told { high: 21, stable: 21, start: 0 }, false, NOW);
        assert_eq!(both(&ends), (Some(20), Some(10)));
        ends.acknowledged(21, 31, Some(of(1)), NOW);
        ends.ended(of(1), false);
        ends.told(Told { high: 32, stable: 32, start: 0 }, false, NOW);
        assert_eq!(both(&ends), (Some(31), Some(10)), "two in a row");
    }

    #[test]
    fn markers_of_several_transactions_are_told_apart_from_records() {
        let mut ends = Ends::default();
        ends.acknowledged(0, 10, Some(of(1)), NOW);
        ends.acknowledged(10, 20, Some(of(2)), NOW);
        ends.ended(of(1), true);
        assert_eq!(ends.consumable(true), Some(10), "the other is open");
        ends.ended(of(2), true);
        ends.told(high(22), false, NOW);
        assert_eq!(both(&ends), (Some(20), Some(20)));
        ends.acknowledged(22, 23, None, NOW);
        ends.told(high(24), false, NOW);
        assert_eq!(both(&ends), (Some(24), Some(24)), "no marker is owed any more");
    }

    #[test]
    fn an_open_transaction_of_others_holds_back_who_reads_what_is_committed() {
        let mut ends = Ends::default();
        ends.told(Told { high: 50, stable: 30, start: 0 }, true, NOW);
        ends.acknowledged(50, 60, None, NOW);
        assert_eq!(both(&ends), (Some(60), Some(30)));
        ends.told(Told { high: 61, stable: 61, start: 0 }, false, NOW);
        assert_eq!(ends.stable(), Some(61));
    }

    #[test]
    fn a_transaction_that_timed_out_is_over_when_the_stable_offset_has_passed_it() {
        let mut ends = Ends::default();
        ends.acknowledged(0, 10, Some(of(1)), NOW);
        ends.told(Told { high: 11, stable: 11, start: 0 }, false, NOW);
        assert_eq!(both(&ends), (Some(10), Some(10)), "whether it was aborted is not known here");
    }

    #[test]
    fn an_end_below_is_believed_when_it_was_told_twice() {
        let mut ends = Ends::default();
        ends.acknowledged(0, 100, None, NOW);
        assert_eq!(ends.told(high(90), false, Moment(5000)), Moved::No, "another heard it a moment before");
        assert_eq!(ends.told(high(90), true, Moment(5000)), Moved::No);
        assert_eq!(ends.told(high(90), true, Moment(5100)), Moved::No, "too soon");
        assert_eq!(ends.told(high(95), true, Moment(65_000)), Moved::Cut(95));
        assert_eq!(both(&ends), (Some(95), Some(95)));
    }

    #[test]
    fn replicas_that_are_slow_are_no_cut() {
        let mut ends = Ends::default();
        ends.acknowledged(0, 100, None, NOW);
        ends.told(high(90), true, Moment(5000));
        ends.acknowledged(100, 200, None, NOW);
        assert_eq!(ends.told(high(150), true, Moment(65_000)), Moved::No);
        assert_eq!(ends.end(), Some(200));
    }

    #[test]
    fn where_all_was_taken_by_retention_nothing_is_left() {
        let mut ends = Ends::default();
        ends.told(Told { high: 100, stable: 100, start: 100 }, true, NOW);
        assert_eq!((ends.consumable(false), ends.first_given(50, false)), (Some(100), 100));
    }

    fn told() -> impl Strategy<Value = Told> {
        (-1i64..80, -1i64..80, -1i64..80).prop_map(|(high, stable, start)| Told { high, stable, start })
    }

    proptest! {
        /// A log as brokers keep it: what is consumable never leaves out a record that is given, and at rest, with all told,
        /// is exact.
        #[test]
        fn consumable_ends_are_never_short(steps in prop::collection::vec((0u8..6, 0i64..3, 1i64..4), 1..60)) {
            let (mut ends, mut log) = (Ends::default(), Vec::new());
            let mut open = std::collections::BTreeMap::new();
            for (what, producer, count) in steps {
                let base = log.len() as i64;
                match what {
                    0 | 1 => {
                        log.extend((0..count).map(|_| Some(None)));
                        ends.acknowledged(base, base + count, None, NOW);
                    }
                    2 | 3 => {
                        log.extend((0..count).map(|_| Some(Some(producer))));
                        open.entry(producer).or_insert(base);
                        ends.acknowledged(base, base + count, Some(of(producer)), NOW);
                    }
                    _ => if open.remove(&producer).is_some() {
                        let committed = what == 4;
                        for record in &mut log {
                            if *record == Some(Some(producer)) {
                                *record = Some(if committed { None } else { Some(-1) });
                            }
                        }
                        ends.ended(of(producer), committed);
                        log.push(None);
                    }
                }
                let end = log.len() as i64;
                let stable = open.values().min().copied().unwrap_or(end);
                let after = |only: bool| log.iter().enumerate().filter(|(at, record)| match record {
                    None => false,
                    Some(Some(-1)) => !only,
                    Some(_) => !only || (*at as i64) < stable,
                }).map(|(at, _)| at as i64 + 1).max().unwrap_or(0);
                prop_assert!(ends.consumable(false) >= (end > 0).then_some(after(false)), "{ends:?}");
                ends.told(Told { high: end, stable, start: 0 }, true, NOW);
                prop_assert_eq!(ends.consumable(false), Some(after(false)));
                prop_assert!(ends.consumable(true) >= Some(after(true)), "{:?} {}", ends, after(true));
            }
        }

        /// Whatever is told, ends are no nonsense.
        #[test]
        fn nonsense_does_no_harm(steps in prop::collection::vec((0u8..5, -1i64..80, -1i64..80, told(), 0i64..5000, any::<bool>()), 0..80)) {
            let mut ends = Ends::default();
            for (what, one, two, told, at, flag) in steps {
                match what {
                    0 => { ends.acknowledged(one, two, flag.then_some(of(one & 3)), Moment(at)); }
                    1 => ends.ended(of(one & 3), flag),
                    2 => ends.handed(stretch(one, flag.then_some(two), two + 1), at & 1 == 0),
                    _ => { ends.told(told, flag, Moment(at)); }
                }
                if let (Some(end), Some(stable)) = (ends.end(), ends.stable()) {
                    prop_assert!(stable <= end);
                    for only in [false, true] {
                        let consumable = ends.consumable(only).unwrap();
                        prop_assert!(0 <= consumable && consumable <= end.max(0));
                    }
                }
            }
        }
    }
}
