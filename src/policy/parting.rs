//! What becomes of the records of a batch that a deputy writes, and the parts that it is written in.

use super::verdict::Verdict;
use crate::config;
use crate::wire::batch::edit::{Change, Fate, Lane, shared};

/// What becomes of a batch's records.
#[derive(Debug, PartialEq, Eq)]
pub enum Parting {
    /// All have one fate and none is changed.
    Whole(Fate),
    /// One for each, with what they refer to.
    Each(Box<[Fate]>, Box<[Change]>),
}

/// What of a batch goes to a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub lane: Lane,
    /// Where that leads, whatever the config says by now; `None`: the topic itself.
    pub leads: Option<config::policy::Lane>,
    /// Our sequence of its first record there.
    pub sequence: i32,
    /// How many they are.
    pub count: i32,
    /// Its broker has said so.
    pub written: bool,
}

impl Parting {
    /// Of a verdict. What is for a lane that is `away` stays with the rest.
    #[must_use]
    pub fn of(verdict: &Verdict, away: impl Fn(Lane) -> bool) -> Self {
        let home = |fate: &Fate| Fate { to: fate.to.map(|lane| if away(lane) { Lane::MAIN } else { lane }), ..*fate };
        let fates: Box<[Fate]> = verdict.fates.iter().map(home).collect();
        shared(&fates).map_or_else(|| Self::Each(fates, verdict.changes.clone().into()), Self::Whole)
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Whole(_) => 0,
            Self::Each(fates, changes) => size_of_val(&**fates) + size_of_val(&**changes),
        }
    }

    /// The lanes that a batch of so many records is parted into, with how many go there.
    #[must_use]
    pub fn lanes(&self, count: i32) -> Vec<(Lane, i32)> {
        match self {
            Self::Whole(fate) => fate.to.map(|lane| (lane, count)).into_iter().collect(),
            Self::Each(fates, _) => {
                let mut lanes: Vec<(Lane, i32)> = Vec::new();
                for lane in fates.iter().filter_map(|fate| fate.to) {
                    match lanes.iter_mut().find(|(known, _)| *known == lane) {
                        Some((_, count)) => *count += 1,
                        None => lanes.push((lane, 1)),
                    }
                }
                lanes.sort_unstable_by_key(|(lane, _)| lane.0);
                lanes
            }
        }
    }
}

/// Whether all records of a batch went where the client meant them to: then the first one's offset speaks for all.
#[must_use]
pub fn is_untouched(parts: &[Part], records: i32) -> bool {
    matches!(parts, [Part { leads: None, count, .. }] if *count == records)
}
