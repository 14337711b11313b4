//! All that is known of lag as Prometheus reads it, written straight into a text.

use super::Now;
use super::ledger::Ledger;
use crate::types::Name;
use std::time::Duration;

/// What of it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// At most so many groups at partitions, the worst.
    pub max_pairs: usize,
    /// Also under the names that other exporters have made known.
    pub compatibility: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { max_pairs: 50_000, compatibility: false }
    }
}

/// How asking a cluster went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// The cluster.
    pub cluster: Name,
    /// How often it has told all.
    pub told: u64,
    /// How often it has not.
    pub failed: u64,
    /// How long ago it last has.
    pub age: Option<Duration>,
}

/// Writes all of it behind what is in the text already.
pub fn write(_ledger: &Ledger, _wanted: Wanted, _swept: &[Swept], _now: Now, _text: &mut String) {}
