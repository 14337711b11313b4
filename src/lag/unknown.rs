//! What would have to be asked of a cluster: when records came that we did not see, and whether what lies at the end is anything
//! to read. A Fetch from such an offset tells both.

use super::look::Seen;
use super::{Ledger, Now};
use crate::types::Partition;
use kafka_protocol::protocol::StrBytes;
use std::collections::HashSet;

/// A Fetch that would tell something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The topic, as clients call it.
    pub topic: StrBytes,
    /// Its partition.
    pub at: Partition,
    /// Where to begin.
    pub offset: i64,
    /// As one that reads only what is committed.
    pub committed_only: bool,
    /// How many records hang on it; 0 where only the time until retention does.
    pub lag: i64,
}

impl Ledger {
    /// What is not known and hangs on an offset, the most important first. What need not be asked for now is left out before the
    /// others are counted, so that it keeps none of them away.
    #[must_use]
    pub fn unknown(&self, most: usize, left_out: impl Fn(&Unknown) -> bool, now: Now) -> Vec<Unknown> {
        let mut all: Vec<_> = self.look(self.then(now)).flat_map(|seen| asked_of(&seen)).flatten().collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.lag));
        let mut met = HashSet::new();
        all.retain(|one| met.insert((one.at, one.offset, one.committed_only)) && !left_out(one));
        all.truncate(most);
        all
    }
}

/// What would have to be asked because of a group at a partition.
fn asked_of(seen: &Seen<'_>) -> [Option<Unknown>; 2] {
    match seen.measure.lag {
        Some(lag) if lag > 0 => [first_record(seen), start(seen)],
        Some(_) => [None, None],
        None => [end(seen), None],
    }
}

/// The first record that is waiting, where nobody knows when it came, or whether it is one.
fn first_record(seen: &Seen<'_>) -> Option<Unknown> {
    let (only, measure) = (seen.committed_only, seen.measure);
    let is_known = measure.age.is_some() && seen.partition.ends.is_given_from(measure.first, only);
    (!is_known).then(|| unknown(seen, measure.first, only, measure.lag.unwrap_or(0)))
}

/// Where a group stands, where it is not known how far the log goes from there.
fn end(seen: &Seen<'_>) -> Option<Unknown> {
    let offset = seen.committed.or(seen.fetched)?;
    Some(unknown(seen, offset, seen.committed_only, 0))
}

/// Where the log starts, where it is not known how old that is.
fn start(seen: &Seen<'_>) -> Option<Unknown> {
    let start = seen.partition.ends.start()?;
    let hangs = seen.measure.age.is_some() && seen.measure.margin.is_none();
    hangs.then(|| unknown(seen, start, false, 0))
}

fn unknown(seen: &Seen<'_>, offset: i64, committed_only: bool, lag: i64) -> Unknown {
    let (topic, at) = (seen.topic.place.topic.clone(), seen.topic.at(seen.index));
    Unknown { topic, at, offset, committed_only, lag }
}
