//! All that is known of one partition: its ends, when its records came, and how far each group is.

use super::clock::Moment;
use super::dated::Dated;
use super::ends::{Ends, Moved};
use super::pulse::Pulse;
use super::readers::GroupAt;
use super::rows::Source;
use super::times::Times;
use crate::telemetry::observed::{Ends as Told, ProducerOf, Reader, Stretch};

/// From so many entries on, those that everybody has committed are forgotten.
const MANY: usize = 32;
/// Readers of no group that are kept.
const UNTIED: usize = 16;
/// For how long they count, in ms.
pub(super) const RECENT: i64 = 60_000;
/// So long what a group said itself is not undone by an older answer to our asking, in ms.
pub(super) const SETTLED: i64 = 2000;

/// How far a group is.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    /// Which group.
    pub(super) group: GroupAt,
    /// Up to where it has committed.
    pub(super) committed: Option<i64>,
    /// When it last said so itself.
    pub(super) said: Option<Moment>,
    /// Up to where it was handed records, and when.
    pub(super) fetched: Option<(i64, Moment)>,
    /// It reads only what is committed.
    pub(super) committed_only: bool,
}

impl Pair {
    fn new(group: GroupAt) -> Self {
        Self { group, committed: None, said: None, fetched: None, committed_only: false }
    }

    /// Up to where it was handed records: no less than what it has committed, which it must have had.
    #[must_use]
    pub(super) fn handed(&self) -> Option<i64> {
        self.fetched.map(|fetched| fetched.0.max(self.committed.unwrap_or(0)))
    }

    /// From where on it is behind.
    #[must_use]
    pub(super) fn position(&self) -> Option<i64> {
        self.committed.or(self.fetched.map(|fetched| fetched.0))
    }
}

/// A reader that belongs to no group.
#[derive(Clone, Copy, Debug)]
struct Untied {
    by: Reader,
    fetched: i64,
    at: Moment,
    committed_only: bool,
}

/// What a commit changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The first record that had not been committed before.
    pub(super) from: i64,
    /// What is committed now, of records that there are.
    pub(super) to: i64,
}

/// See the module's text. In this order: what each batch touches comes first, and lies together.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Partition {
    /// Where it ends.
    pub(super) ends: Ends,
    /// When its records came.
    pub(super) times: Times,
    /// The last batch that was written through us, and when: `times` has that to 20 ms.
    newest: Option<(i64, i64, Moment)>,
    /// Records that were written through us.
    pub(super) records: u64,
    /// And their bytes.
    pub(super) bytes: u64,
    /// How fast it grows.
    pub(super) pulse: Pulse,
    /// How far groups are, by group.
    pub(super) pairs: Vec<Pair>,
    untied: Vec<Untied>,
    /// The records' own times, where we do not know better.
    pub(super) dated: Dated,
    /// The time of the record where the log starts, in ms since 1970.
    pub(super) start: Option<(i64, i64)>,
}

impl Partition {
    /// One of which nothing is known.
    #[must_use]
    pub(super) fn new(at: Moment) -> Self {
        Self {
            ends: Ends::default(),
            times: Times::default(),
            newest: None,
            records: 0,
            bytes: 0,
            pulse: Pulse::new(at),
            pairs: Vec::new(),
            untied: Vec::new(),
            dated: Dated::default(),
            start: None,
        }
    }

    /// A batch was written. Whether it is the first of its transaction here.
    pub(super) fn acknowledged(
        &mut self,
        (base, next): (i64, i64),
        bytes: u32,
        transaction: Option<ProducerOf>,
        at: Moment,
    ) -> bool {
        if base < 0 || next <= base {
            return false;
        }
        let (before, confirmed) = (self.ends.end(), self.ends.confirmed());
        let first = self.ends.acknowledged(base, next, transaction, at);
        self.times.arrived(base, next, confirmed.unwrap_or(at), at);
        if self.newest.is_none_or(|newest| newest.1 <= base) {
            self.newest = Some((base, next, at));
        }
        self.grow(before.or(Some(base)), at);
        self.records = self.records.wrapping_add(u64::try_from(next - base).unwrap_or(0));
        self.bytes = self.bytes.wrapping_add(u64::from(bytes));
        first
    }

    fn grow(&mut self, before: Option<i64>, at: Moment) {
        if let (Some(before), Some(end)) = (before, self.ends.end()) {
            self.pulse.add(end.saturating_sub(before).max(0), at);
        }
    }

    /// A broker told offsets, and handed somebody a stretch.
    pub(super) fn told(&mut self, told: Told, stretch: Stretch, ours: bool, committed_only: bool, at: Moment) {
        let (before, confirmed) = (self.ends.end(), self.ends.confirmed());
        match self.ends.told(told, ours, at) {
            Moved::No => {}
            Moved::Known(end) => self.times.begin(end, at),
            Moved::On(end) => self.times.noticed(end, confirmed.unwrap_or(at), at),
            Moved::Cut(end) => {
                self.times.truncate(end);
                self.dated.truncate(end);
                self.newest = self.newest.filter(|newest| newest.1 <= end);
            }
        }
        self.grow(before, at);
        self.ends.handed(stretch, committed_only);
        if stretch.next <= stretch.from || stretch.written_ms < 0 {
            return;
        }
        if self.times.is_before(stretch.from) {
            let Self { dated, pairs, untied, .. } = self;
            let places = || pairs.iter().filter_map(Pair::position).chain(untied.iter().map(|known| known.fetched));
            let is_needed = |from, next| places().any(|place| (from..next).contains(&place));
            dated.add(stretch.from, stretch.next, stretch.written_ms, is_needed);
        }
        if self.ends.start() == Some(stretch.from) {
            self.start = Some((stretch.from, stretch.written_ms));
        }
    }

    /// When a record came, and how we know: to the millisecond where it is of the last batch.
    #[must_use]
    pub(super) fn came(&self, offset: i64) -> Option<(Source, Moment)> {
        let newest = self.newest.filter(|newest| (newest.0..newest.1).contains(&offset));
        let of_newest = newest.map(|newest| (Source::Arrival, newest.2));
        of_newest.or_else(|| self.times.time_of(offset).map(|arrival| (arrival.source, arrival.at)))
    }

    /// Something of it, so that it is near when it is worked with.
    #[must_use]
    pub(super) fn glance(&self) -> Option<i64> {
        self.ends.end()
    }

    fn place(&self, group: GroupAt) -> Result<usize, usize> {
        self.pairs.binary_search_by_key(&group, |pair| pair.group)
    }

    /// A group here.
    #[must_use]
    pub(super) fn pair(&self, group: GroupAt) -> Option<&Pair> {
        self.pairs.get(self.place(group).ok()?)
    }

    fn pair_or_new(&mut self, group: GroupAt) -> Option<&mut Pair> {
        let place = self.place(group).unwrap_or_else(|place| {
            self.pairs.insert(place, Pair::new(group));
            place
        });
        self.pairs.get_mut(place)
    }

    /// A group was handed records up to an offset.
    pub(super) fn fetched(&mut self, group: GroupAt, upto: i64, committed_only: bool, at: Moment) {
        if let Some(pair) = self.pair_or_new(group) {
            pair.fetched = Some((upto.max(0), at));
            pair.committed_only = committed_only;
        }
    }

    /// So was a reader that belongs to none.
    pub(super) fn fetched_untied(&mut self, by: Reader, fetched: i64, committed_only: bool, at: Moment) {
        self.untied.retain(|known| known.by != by && known.at.until(at) <= RECENT);
        if self.untied.len() < UNTIED {
            self.untied.push(Untied { by, fetched: fetched.max(0), at, committed_only });
        }
    }

    /// A reader belongs to a group after all.
    pub(super) fn tie(&mut self, by: Reader) {
        self.untied.retain(|known| known.by != by);
    }

    /// Where the slowest reader stands that belongs to no group, and whether it reads only what is committed.
    #[must_use]
    pub(super) fn slowest_untied(&self, now: Moment) -> Option<(i64, bool)> {
        let recent = self.untied.iter().filter(|known| known.at.until(now) <= RECENT);
        recent.min_by_key(|known| known.fetched).map(|known| (known.fetched, known.committed_only))
    }

    /// A group's offset is this, as it says anew or as we hear by asking.
    pub(super) fn committed(&mut self, group: GroupAt, offset: i64, anew: bool, at: Moment) -> Option<Step> {
        let end = self.ends.end();
        let waits = self.pair(group).and_then(|pair| Some(self.ends.first_given(pair.committed?, pair.committed_only)));
        let pair = self.pair_or_new(group)?;
        let settled = pair.said.is_some_and(|said| said.until(at) < SETTLED);
        if !anew && settled && pair.committed.is_some_and(|committed| offset < committed) {
            return None;
        }
        let before = pair.committed.replace(offset);
        if anew {
            pair.said = Some(at);
        }
        if before.is_some_and(|before| offset < before) {
            // It begins again from there: what it was handed counts no more.
            pair.fetched = None;
        }
        let to = end.map_or(offset, |end| end.min(offset));
        // What nobody is given where it stood has waited for nobody.
        waits.filter(|from| anew && *from < to).map(|from| Step { from, to })
    }

    /// A group has no offset here.
    pub(super) fn uncommitted(&mut self, group: GroupAt) {
        if let Ok(place) = self.place(group)
            && let Some(pair) = self.pairs.get_mut(place)
        {
            pair.committed = None;
            if pair.fetched.is_none() {
                self.pairs.remove(place);
            }
        }
    }

    /// Whether there is a group of this name here that has committed.
    #[must_use]
    pub(super) fn has_committed(&self, group: GroupAt) -> bool {
        self.pair(group).is_some_and(|pair| pair.committed.is_some())
    }

    /// A group is nobody's business here any more.
    pub(super) fn drop_group(&mut self, group: GroupAt) {
        if let Ok(place) = self.place(group) {
            self.pairs.remove(place);
        }
    }

    /// Forgets when records came that nobody will ask for, where that is worth it.
    pub(super) fn forget(&mut self) {
        if self.times.len() < MANY {
            return;
        }
        let start = self.ends.start().unwrap_or(0);
        let untied = self.untied.iter().map(|known| known.fetched);
        let least = self.pairs.iter().filter_map(Pair::position).chain(untied).min().unwrap_or(0).max(start);
        self.times.forget_below(least);
        self.dated.forget_below(least);
    }

    /// Forgets readers that are gone: those of no group at once, those that never committed as the caller says.
    pub(super) fn expire(&mut self, now: Moment, stale: impl Fn(&Pair) -> bool) {
        self.untied.retain(|known| known.at.until(now) <= RECENT);
        self.pairs.retain(|pair| pair.committed.is_some() || !stale(pair));
    }
}
