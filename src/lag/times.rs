//! When the records of a partition arrived: an index of few entries, exact to 20 ms for what is young, and to some percent of its
//! age for what is old. It begins where we first saw the partition's end and reaches to its end; between entries it interpolates.

use super::clock::Moment;
use super::rows::Source;
use std::collections::VecDeque;

/// What arrived within so many ms is one run.
const FINE: i64 = 20;
/// Runs that a partition keeps at most.
pub(super) const MOST: usize = 512;
/// After thinning there are at most so many, so that it is seldom done.
const THINNED: usize = MOST / 4 * 3;
/// How long a run may be at first, in thousandths of its age, and at last.
const SHARES: [i64; 9] = [10, 13, 16, 20, 25, 32, 40, 64, 100];

/// Records that arrived one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// The offset of its first record.
    from: i64,
    /// When that arrived.
    first: Moment,
    /// How much later its last one did, in ms.
    span: i64,
    /// We only noticed that the end had moved.
    noticed: bool,
}

/// A run in 16 bytes: there may be millions.
#[derive(Clone, Copy, Debug)]
struct Packed {
    from: i64,
    /// From the left: noticed (1 bit), first (39 bits: 17 years), span (24 bits: 4.6 hours).
    when: u64,
}

const LONGEST: i64 = (1 << 24) - 1;
const LAST_MOMENT: i64 = (1 << 39) - 1;

impl Packed {
    #[allow(clippy::cast_sign_loss, reason = "both are clamped to what is not negative")]
    fn of(run: Run) -> Self {
        let first = run.first.0.clamp(0, LAST_MOMENT) as u64;
        let span = run.span.clamp(0, LONGEST) as u64;
        Self { from: run.from, when: u64::from(run.noticed) << 63 | first << 24 | span }
    }

    #[allow(clippy::cast_possible_wrap, reason = "39 and 24 bits")]
    fn run(self) -> Run {
        let first = Moment((self.when >> 24 & LAST_MOMENT as u64) as i64);
        let span = (self.when & LONGEST as u64) as i64;
        Run { from: self.from, first, span, noticed: self.when >> 63 == 1 }
    }
}

impl Run {
    fn last(self) -> Moment {
        self.first.plus(self.span)
    }

    fn source(self) -> Source {
        if self.noticed { Source::Noticed } else { Source::Arrival }
    }

    /// When a record of it arrived, where the next run begins at `next`.
    fn time_of(self, offset: i64, next: i64) -> Moment {
        let steps = next.saturating_sub(self.from).saturating_sub(1).max(1);
        let step = offset.saturating_sub(self.from).clamp(0, steps);
        let part = i128::from(self.span) * i128::from(step) / i128::from(steps);
        self.first.plus(i64::try_from(part).unwrap_or(self.span))
    }

    /// The first record of it that arrived at a moment or later.
    fn offset_at(self, moment: Moment, next: i64) -> i64 {
        if moment <= self.first || self.span == 0 {
            return if moment <= self.last() { self.from } else { next };
        }
        let steps = next.saturating_sub(self.from).saturating_sub(1).max(1);
        let late = i128::from(self.first.until(moment)) * i128::from(steps);
        let step = (late + i128::from(self.span) - 1) / i128::from(self.span);
        i64::try_from(step).map_or(next, |step| self.from.saturating_add(step).min(next))
    }
}

/// When a record arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Then; where we only noticed that the end had moved, no sooner.
    pub(super) at: Moment,
    /// How we know.
    pub(super) source: Source,
    /// By when it had, where we only noticed it.
    pub(super) noticed: Option<Moment>,
}

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    /// The run that is going on: what most facts touch, and so not among the others, which lie elsewhere.
    last: Option<Packed>,
    /// Those before it.
    runs: VecDeque<Packed>,
    /// Behind the last record that is known.
    next: Option<i64>,
    /// What lies before the first run had arrived by then.
    since: Option<Moment>,
    /// Which of the shares sufficed last time.
    share: usize,
}

impl Times {
    /// How many entries there are.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.runs.len() + usize::from(self.last.is_some())
    }

    /// Begins at an offset: what lies before it had arrived by this moment.
    pub(super) fn begin(&mut self, next: i64, at: Moment) {
        *self = Self { next: Some(next), since: Some(at), ..Self::default() };
    }

    /// We saw records being written. What lies between them and the end was written by others, whom we shall hear of or not, some
    /// time after `since`: meanwhile it is noticed.
    pub(super) fn arrived(&mut self, base: i64, next: i64, since: Moment, at: Moment) {
        let Some(end) = self.next else {
            self.begin(base, at);
            return self.push(base, next, at, 0, false);
        };
        if base < end {
            self.recognise(base, next.min(end));
        }
        if base > end {
            self.push(end, base, since, since.until(at), true);
        }
        if next > end {
            self.push(base.max(end), next, at, 0, false);
        }
    }

    /// We saw that the end has moved, some time after `since`.
    pub(super) fn noticed(&mut self, next: i64, since: Moment, at: Moment) {
        let Some(end) = self.next else { return self.begin(next, at) };
        if next > end {
            self.push(end, next, since, since.until(at), true);
        }
    }

    fn push(&mut self, from: i64, next: i64, first: Moment, span: i64, noticed: bool) {
        if next <= from {
            return;
        }
        self.next = Some(next);
        let last = self.last.map(Packed::run);
        let at = last.map_or(first.plus(span), |last| last.last().max(first.plus(span)));
        let first = last.map_or(first, |last| last.last().max(first));
        if let Some(last) = last.filter(|last| last.noticed == noticed && last.first.until(at) <= FINE) {
            self.last = Some(Packed::of(Run { span: last.first.until(at), ..last }));
            return;
        }
        if self.len() >= MOST {
            self.thin(at);
        }
        if let Some(last) = self.last.replace(Packed::of(Run { from, first, span: first.until(at), noticed })) {
            self.runs.push_back(last);
        }
    }

    /// All runs as one row, to change some of them; [`Self::go_on`] follows.
    fn lay_out(&mut self) {
        self.runs.extend(self.last.take());
    }

    /// The last of the row is the run that is going on.
    fn go_on(&mut self) {
        self.last = self.runs.pop_back();
    }

    /// What was noticed turns out to be what we saw being written: it came when its end was told, or a moment later.
    fn recognise(&mut self, base: i64, next: i64) {
        let mut end = self.next.unwrap_or(next);
        // What came in order came before all that is noticed, or behind it.
        if self.last.is_some_and(|last| last.from <= base && !last.run().noticed) {
            return;
        }
        self.lay_out();
        let mut place = self.runs.len();
        while let Some(run) = place.checked_sub(1).and_then(|place| self.runs.get(place)).map(|run| run.run()) {
            place -= 1;
            if end <= base {
                break;
            }
            if run.noticed && run.from < next {
                self.split(place, run, end, base, next);
            }
            end = run.from;
        }
        self.go_on();
    }

    /// Takes `base..next` out of a run that was noticed.
    fn split(&mut self, place: usize, run: Run, end: i64, base: i64, next: i64) {
        let (from, to) = (base.max(run.from), next.min(end));
        if to <= from || self.runs.len() + 2 > MOST {
            return;
        }
        let rest = Run { from: to, first: run.last(), span: 0, noticed: true };
        let seen = Run { from, first: run.last(), span: 0, noticed: false };
        self.runs.remove(place);
        if to < end {
            self.runs.insert(place, Packed::of(rest));
        }
        self.runs.insert(place, Packed::of(seen));
        if run.from < from {
            self.runs.insert(place, Packed::of(run));
        }
    }

    /// Makes runs longer, the older the more, until few enough are left.
    fn thin(&mut self, now: Moment) {
        // What sufficed last time mostly does again. One finer first, so that it need not stay so coarse.
        self.lay_out();
        for place in self.share.saturating_sub(1)..SHARES.len() {
            self.share = place;
            self.join(now, SHARES.get(place).copied().unwrap_or(0));
            if self.runs.len() <= THINNED {
                return self.go_on();
            }
        }
        self.runs.drain(..self.runs.len() - THINNED);
        self.go_on();
    }

    fn join(&mut self, now: Moment, share: i64) {
        let runs = self.runs.make_contiguous();
        let mut kept = 0;
        for place in 1..runs.len() {
            let (Some(last), Some(this)) = (runs.get(kept).copied(), runs.get(place).copied()) else { break };
            let (run, next) = (last.run(), this.run());
            let may = (run.first.until(now).saturating_mul(share) / 1000).clamp(FINE, LONGEST);
            let span = run.first.until(next.last());
            let joined = Packed::of(Run { span, noticed: run.noticed || next.noticed, ..run });
            let fits = span <= may;
            kept += usize::from(!fits);
            if let Some(slot) = runs.get_mut(kept) {
                *slot = if fits { joined } else { this };
            }
        }
        self.runs.truncate(kept + 1);
    }

    /// What lies before an offset is asked for no more.
    pub(super) fn forget_below(&mut self, offset: i64) {
        while self.runs.get(1).or(self.last.as_ref()).is_some_and(|second| second.from <= offset) {
            if self.runs.pop_front().is_none() {
                break;
            }
        }
        self.since = self.first().map(|first| first.run().first).max(self.since);
    }

    fn first(&self) -> Option<Packed> {
        self.at(0)
    }

    /// The run at a place.
    fn at(&self, place: usize) -> Option<Packed> {
        self.runs.get(place).copied().or(self.last.filter(|_| place == self.runs.len()))
    }

    /// The log ends here now.
    pub(super) fn truncate(&mut self, next: i64) {
        while self.last.is_some_and(|last| last.from >= next) {
            self.go_on();
        }
        self.next = self.next.map(|end| end.min(next));
    }

    /// When a record arrived. `None` where we do not know, or where there is none.
    #[must_use]
    pub(super) fn time_of(&self, offset: i64) -> Option<Arrival> {
        let (run, next) = self.run_of(offset)?;
        Some(Arrival { at: run.time_of(offset, next), source: run.source(), noticed: run.noticed.then(|| run.last()) })
    }

    /// The run that a record is of, and where the next one begins. Looked for from both ends at first, for that is where groups stand.
    fn run_of(&self, offset: i64) -> Option<(Run, i64)> {
        let end = self.next.filter(|end| offset < *end)?;
        let last = self.last?;
        if last.from <= offset {
            return Some((last.run(), end));
        }
        self.first().filter(|first| first.from <= offset)?;
        let place = self.runs.partition_point(|run| run.from <= offset);
        let run = self.at(place.checked_sub(1)?)?.run();
        Some((run, self.at(place)?.from))
    }

    /// Whether a record lies before all that is known.
    #[must_use]
    pub(super) fn is_before(&self, offset: i64) -> bool {
        // As a rule it lies in the last run.
        self.last.is_none_or(|last| offset < last.from) && self.first().is_none_or(|first| offset < first.from)
    }

    /// How the last record came.
    #[must_use]
    pub(super) fn last_source(&self) -> Option<Source> {
        self.last.map(|last| last.run().source())
    }

    /// Of the records `from..to`: how many had arrived before a moment, and of how many that is known at all. What was only
    /// noticed counts from when we noticed it.
    #[must_use]
    pub(super) fn before(&self, moment: Moment, from: i64, to: i64) -> (i64, i64) {
        let to = to.min(self.next.unwrap_or(from));
        let start = self.first().map_or(to, |first| first.from).clamp(from, to.max(from));
        let unseen = start.saturating_sub(from);
        let early = self.since.is_some_and(|since| since < moment);
        let seen = to.saturating_sub(start).max(0);
        let late = self.first_at(moment).clamp(start, to.max(start)).saturating_sub(start);
        if early { (late.saturating_add(unseen), seen.saturating_add(unseen)) } else { (late, seen) }
    }

    /// The first record that arrived at a moment or later; the end where none did.
    fn first_at(&self, moment: Moment) -> i64 {
        let end = self.next.unwrap_or(0);
        let place = self.runs.partition_point(|run| run.run().last() < moment);
        let Some(run) = self.at(place).map(Packed::run).filter(|run| run.last() >= moment) else { return end };
        let next = self.at(place + 1).map_or(end, |next| next.from);
        if run.noticed { run.from } else { run.offset_at(moment, next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(times: &Times, offset: i64) -> Option<i64> {
        times.time_of(offset).map(|arrival| arrival.at.0)
    }

    fn known(times: &Times, offset: i64) -> Option<(Moment, Source)> {
        times.time_of(offset).map(|arrival| (arrival.at, arrival.source))
    }

    #[test]
    fn a_record_that_waits_has_its_own_time_however_much_later_the_next_comes() {
        let mut times = Times::default();
        times.arrived(0, 100, Moment(1000), Moment(1000));
        times.arrived(100, 101, Moment(61_000), Moment(61_000));
        assert_eq!((seen(&times, 0), seen(&times, 99), seen(&times, 100)), (Some(1000), Some(1000), Some(61_000)));
        assert_eq!(seen(&times, 101), None);
    }

    #[test]
    fn what_was_there_before_us_has_no_time() {
        let mut times = Times::default();
        times.begin(10, Moment(0));
        times.arrived(10, 11, Moment(5), Moment(5));
        assert_eq!((seen(&times, 9), seen(&times, 10)), (None, Some(5)));
    }

    #[test]
    fn what_is_noticed_is_at_most_as_old_as_the_last_look_and_becomes_exact_when_its_writer_is_told() {
        let mut times = Times::default();
        times.begin(10, Moment(0));
        times.noticed(20, Moment(1000), Moment(4000));
        assert_eq!(known(&times, 10), Some((Moment(1000), Source::Noticed)));
        times.arrived(12, 15, Moment(4001), Moment(4001));
        assert_eq!(known(&times, 10), Some((Moment(1000), Source::Noticed)));
        assert_eq!(known(&times, 12), Some((Moment(4000), Source::Arrival)));
        assert_eq!(known(&times, 14), Some((Moment(4000), Source::Arrival)));
        assert_eq!(known(&times, 15), Some((Moment(4000), Source::Noticed)));
    }

    #[test]
    fn what_others_wrote_between_is_noticed_until_they_are_heard() {
        let mut times = Times::default();
        times.arrived(0, 10, Moment(0), Moment(0));
        times.arrived(20, 30, Moment(100), Moment(100));
        assert_eq!(known(&times, 10), Some((Moment(100), Source::Noticed)));
        times.arrived(10, 20, Moment(101), Moment(101));
        assert_eq!(known(&times, 10), Some((Moment(100), Source::Arrival)));
        assert_eq!(known(&times, 29), Some((Moment(100), Source::Arrival)));
    }

    #[test]
    fn what_others_wrote_before_a_batch_came_since_the_end_was_last_known() {
        let mut times = Times::default();
        times.arrived(0, 10, Moment(0), Moment(0));
        times.arrived(21, 30, Moment(1000), Moment(50_000));
        assert_eq!(known(&times, 10), Some((Moment(1000), Source::Noticed)));
        assert_eq!(known(&times, 20), Some((Moment(50_000), Source::Noticed)));
        assert_eq!(known(&times, 21), Some((Moment(50_000), Source::Arrival)));
    }

    #[test]
    fn a_log_that_was_cut_goes_on_from_where_it_was_cut() {
        let mut times = Times::default();
        times.arrived(0, 10, Moment(0), Moment(0));
        times.arrived(10, 20, Moment(1000), Moment(1000));
        times.truncate(15);
        assert_eq!((seen(&times, 14), seen(&times, 15)), (Some(1000), None));
        times.arrived(15, 16, Moment(2000), Moment(2000));
        assert_eq!(seen(&times, 15), Some(2000));
    }

    #[test]
    fn records_are_parted_by_when_they_arrived() {
        let mut times = Times::default();
        times.begin(10, Moment(100));
        times.arrived(10, 20, Moment(1000), Moment(1000));
        times.arrived(20, 30, Moment(2000), Moment(2000));
        assert_eq!(times.before(Moment(1500), 10, 30), (10, 20));
        assert_eq!(times.before(Moment(2000), 10, 30), (10, 20));
        assert_eq!(times.before(Moment(2001), 15, 25), (10, 10));
        assert_eq!(times.before(Moment(50), 0, 30), (0, 20), "of ten nobody knows whether they are late");
        assert_eq!(times.before(Moment(150), 0, 30), (10, 30), "they were there by 100");
    }

    #[test]
    fn what_everybody_has_committed_is_forgotten() {
        let mut times = Times::default();
        for offset in 0..100 {
            times.arrived(offset, offset + 1, Moment(offset * 50), Moment(offset * 50));
        }
        times.forget_below(97);
        assert_eq!((times.len(), seen(&times, 97), seen(&times, 96)), (3, Some(97 * 50), None));
    }

    proptest! {
        /// Batches at any pace: times are off by 20 ms or a few percent of the age at most, rise with the offset, and take
        /// bounded memory.
        #[test]
        fn times_are_nearly_right_and_few(batches in prop::collection::vec((1i64..50, prop_oneof![0i64..5, 0i64..200, 0i64..20_000]), 1..3000)) {
            let (mut times, mut truth, mut now) = (Times::default(), Vec::new(), 0);
            for (count, pause) in batches {
                now += pause;
                let base = truth.len() as i64;
                truth.extend((0..count).map(|_| now));
                times.arrived(base, base + count, Moment(now), Moment(now));
                prop_assert!(times.len() <= MOST);
            }
            let (mut last, first) = (0, times.first().unwrap().from);
            for (offset, truth) in (first..).zip(&truth[usize::try_from(first).unwrap()..]) {
                let told = seen(&times, offset).unwrap();
                let may = 20.max((now - truth) * 5 / 100);
                prop_assert!((told - truth).abs() <= may, "{offset}: {told}, not {truth}, at {now}");
                prop_assert!(told >= last);
                last = told;
            }
        }

        /// Whatever comes in whatever order, nothing panics and times rise.
        #[test]
        fn nonsense_does_no_harm(calls in prop::collection::vec((0u8..5, any::<i64>(), any::<i64>(), 0i64..10_000), 0..200), small in any::<bool>()) {
            let mut times = Times::default();
            let fit = |offset: i64| if small { offset & 63 } else { offset };
            for (which, one, two, at) in calls {
                match which {
                    0 => times.arrived(fit(one), fit(two), Moment(at), Moment(at)),
                    1 => times.noticed(fit(one), Moment(at), Moment(two)),
                    2 => times.truncate(fit(one)),
                    3 => times.forget_below(fit(one)),
                    _ => { let _ = times.before(Moment(at), fit(one), fit(two)); }
                }
                prop_assert!(times.len() <= MOST);
                let mut last = i64::MIN;
                for offset in 0..64 {
                    if let Some(Arrival { at: moment, .. }) = times.time_of(offset) {
                        prop_assert!(moment.0 >= last);
                        last = moment.0;
                    }
                }
            }
        }
    }
}
