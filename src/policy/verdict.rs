//! What policy decided about a batch: a fate for each record, and what is to be told and counted. Kept and used again, for
//! a verdict should cost no allocation where nothing is wrong.

use super::contract::Violation;
use super::sums::Sums;
use super::talkers::Heard;
use crate::wire::batch::edit::{Change, Fate, Lane, shared};
use std::time::Duration;

/// So many violations of a batch are put into words; all are counted.
pub const TOLD: usize = 100;

/// The fates of a batch of so many records are kept for the next.
const KEPT: usize = 1 << 16;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Verdict {
    /// One for each record, as the editor takes them.
    pub fates: Vec<Fate>,
    /// What fates refer to.
    pub changes: Vec<Change>,
    /// What each of `changes` was made for.
    pub(super) marks: Vec<Marks>,
    /// The first of those who broke the contract.
    pub violations: Vec<Violation>,
    /// How many there were.
    pub broken: u64,
    /// What each of the limits said, in their order.
    pub tallies: Vec<Tally>,
    /// How long the client is to wait.
    pub wait: Duration,
    /// Nothing of the batch is written, whatever its fates.
    pub refused: Option<Refused>,
    /// Who spoke, under each key that is listened to; empty once that was taken in.
    pub(super) heard: Vec<Heard>,
    /// What its records come to by key.
    pub(super) sums: Sums,
}

/// Why a batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its records break the contract: 87, with [`Verdict::violations`].
    Contract,
    /// This limit does not let one of its records pass: 44.
    Limit(usize),
}

/// What a limit said to a batch's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// They passed.
    pub passed: u64,
    /// They were too much, and nothing was done.
    pub observed: u64,
    /// They were too much, and it was done.
    pub enforced: u64,
}

/// Why a record is changed: which limits stamp it, by their bits, and why it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) stamps: u64,
    pub(super) leaves: Leaves,
}

/// Why, and for where, a record leaves its batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Leaves {
    #[default]
    Stays,
    Breach(super::contract::Breach, Lane),
    Overflow {
        limit: usize,
        lane: Lane,
        null_key: bool,
    },
    Canary(Lane),
    Dropped,
}

impl Verdict {
    /// There are so many limits, and keys that are listened to.
    pub(super) fn begin(&mut self, limits: usize, talkers: usize) {
        self.clear();
        self.tallies.resize(limits, Tally::default());
        self.heard.resize_with(talkers, Heard::default);
    }

    /// Forgets the last batch, and gives back what is more than a worker may keep (L4).
    pub fn clear(&mut self) {
        self.fates.clear();
        self.fates.shrink_to(KEPT);
        self.changes.clear();
        self.marks.clear();
        self.violations.clear();
        self.broken = 0;
        self.tallies.clear();
        self.wait = Duration::ZERO;
        self.refused = None;
        self.heard.iter_mut().for_each(Heard::clear);
        self.sums.clear();
    }

    /// The fate of the whole batch, where its records have one and none is changed: then it needs no editing.
    #[must_use]
    pub fn whole(&self) -> Option<Fate> {
        shared(&self.fates)
    }

    /// The lanes that its records go to, in order.
    #[must_use]
    pub fn lanes(&self) -> Vec<Lane> {
        let mut lanes: Vec<_> = self.fates.iter().filter_map(|fate| fate.to).collect();
        lanes.sort_unstable_by_key(|lane| lane.0);
        lanes.dedup();
        lanes
    }

    /// Notes that all records pass, and that nothing happens to them.
    pub(super) fn keep(&mut self, count: i32) {
        let count = usize::try_from(count).unwrap_or_default();
        self.fates.resize(count, Fate::KEPT);
        self.tallies.iter_mut().for_each(|tally| tally.passed = count as u64);
    }

    /// Notes that nothing happens to a record but what its marks say; `change` makes theirs where it is the first.
    pub(super) fn push(&mut self, marks: Marks, change: impl FnOnce() -> Change) {
        let to = match marks.leaves {
            Leaves::Stays => Some(Lane::MAIN),
            Leaves::Breach(_, lane) | Leaves::Overflow { lane, .. } | Leaves::Canary(lane) => Some(lane),
            Leaves::Dropped => None,
        };
        let is_plain = match marks.leaves {
            Leaves::Stays | Leaves::Canary(_) | Leaves::Overflow { null_key: false, .. } => marks.stamps == 0,
            Leaves::Dropped => true,
            Leaves::Breach(..) | Leaves::Overflow { null_key: true, .. } => false,
        };
        let change = if is_plain { None } else { Some(self.change(marks, change)) };
        self.fates.push(Fate { to, change });
    }

    /// The place of the change for such marks.
    fn change(&mut self, marks: Marks, make: impl FnOnce() -> Change) -> u16 {
        let place = self.marks.iter().position(|known| *known == marks).unwrap_or(self.marks.len());
        if place == self.marks.len() {
            self.marks.push(marks);
            self.changes.push(make());
        }
        u16::try_from(place).unwrap_or(u16::MAX)
    }
}
