//! What the judge says: a sentence, and the first examples of everything that is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The ways in which a history can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Damage {
    /// Acknowledged, and a reader that covers its topic did not see it.
    Lost,
    /// One record of an exactly-once producer at two offsets.
    Doubled,
    /// A later record of an exactly-once producer before an earlier one of the same partition.
    Reordered,
    /// Two readers saw different records at one offset.
    Disputed,
    /// A reader saw an offset that is not above the one before.
    Backwards,
    /// A record that nobody sent.
    Phantom,
    /// A record in another partition than it was sent to.
    Strayed,
    /// A record that was refused or aborted, and read.
    Risen,
    /// A record that is not at the offset that its acknowledgement named.
    Misplaced,
}

impl Damage {
    /// Every kind, in the order of the verdict.
    pub const ALL: [Self; 9] = [
        Self::Lost,
        Self::Doubled,
        Self::Reordered,
        Self::Disputed,
        Self::Backwards,
        Self::Phantom,
        Self::Strayed,
        Self::Risen,
        Self::Misplaced,
    ];
}

/// How often each kind of damage was found, and what a history held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Records that were sent.
    pub sent: usize,
    /// Records that were acknowledged.
    pub acknowledged: usize,
    /// Records that were sent and of which nobody knows.
    pub unknown: usize,
    /// Records that were read, by all readers together.
    pub read: usize,
    /// Topics that were sent to and that no pass covers: of these nothing can be said to be lost.
    pub uncovered: BTreeSet<Arc<str>>,
    /// Records of at-least-once producers that are there more than once, as they may.
    pub repeated: usize,
    pub(super) damages: BTreeMap<Damage, Cases>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cases {
    count: usize,
    examples: Vec<String>,
}

const EXAMPLES: usize = 5;

impl Verdict {
    /// One more case of a damage; `example` is asked for the first few only.
    pub(super) fn add(&mut self, damage: Damage, example: impl FnOnce() -> String) {
        let cases = self.damages.entry(damage).or_default();
        cases.count += 1;
        if cases.examples.len() < EXAMPLES {
            cases.examples.push(example());
        }
    }

    /// How often it was found.
    pub fn count(&self, damage: Damage) -> usize {
        self.damages.get(&damage).map_or(0, |cases| cases.count)
    }

    /// Nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.damages.is_empty()
    }

    /// Panics with the verdict if anything is wrong, or if there was nothing to judge.
    #[track_caller]
    pub fn must_be_clean(&self) {
        assert!(self.is_clean(), "{self}");
        assert!(self.acknowledged > 0, "nothing was judged: {self}");
        assert!(self.uncovered.is_empty(), "nobody read {:?} to the end: {self}", self.uncovered);
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, acknowledged, unknown, read, repeated, .. } = self;
        write!(f, "{sent} sent, {acknowledged} acknowledged, {unknown} unanswered; ")?;
        write!(f, "{read} read; ")?;
        let [lost, doubled, reordered] =
            [Damage::Lost, Damage::Doubled, Damage::Reordered].map(|kind| self.count(kind));
        write!(f, "{lost} lost, {doubled} doubled, {reordered} reordered")?;
        if *repeated > 0 {
            write!(f, "; {repeated} repeated by retries that may repeat")?;
        }
        for (damage, cases) in &self.damages {
            write!(f, "\n  {damage}:")?;
            cases.examples.iter().try_for_each(|example| write!(f, "\n    {example}"))?;
            if cases.count > cases.examples.len() {
                write!(f, "\n    and {} more", cases.count - cases.examples.len())?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::Reordered => "reordered",
            Self::Disputed => "disputed",
            Self::Backwards => "backwards",
            Self::Phantom => "phantom",
            Self::Strayed => "strayed",
            Self::Risen => "risen",
            Self::Misplaced => "misplaced",
        })
    }
}
