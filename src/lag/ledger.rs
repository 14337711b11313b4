//! The ledger: applies facts in their order and knows how far each group is behind.

use super::Now;
use super::levels::Aims;
use super::place::Place;
use super::rows::{Rows, Which};
use crate::telemetry::observed::Noted;
use crate::types::Partition;

/// What we would have to ask a cluster for: a Fetch from this offset tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Of which partition.
    pub at: Partition,
    /// Where to begin.
    pub offset: i64,
    /// As one that reads only what is committed.
    pub committed_only: bool,
    /// How many records hang on it.
    pub lag: i64,
}

/// See the module's text.
#[derive(Debug)]
pub struct Ledger {
    _opened: Now,
}

impl Ledger {
    /// An empty one.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self { _opened: now }
    }

    /// The topics that there are now: others are gone at once. To be called when the placement has changed, behind `apply` of
    /// what was noted until then.
    pub fn place(&mut self, _places: &[Place], _now: Now) {}

    /// What pipelines promise now.
    pub fn aim(&mut self, _aims: Aims) {}

    /// Takes facts in, in their order.
    pub fn apply(&mut self, _facts: impl IntoIterator<Item = Noted>) {}

    /// What is due with time: to be called about once a second.
    pub fn tick(&mut self, _now: Now) {}

    /// How far groups are behind.
    #[must_use]
    pub fn rows(&self, _which: &Which, _now: Now) -> Rows {
        Rows::default()
    }

    /// What is not known and hangs on an offset, the most important first.
    #[must_use]
    pub fn unknown(&self, _most: usize, _now: Now) -> Vec<Unknown> {
        Vec::new()
    }
}
