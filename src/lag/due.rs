//! What is due with time: seconds of promises are counted, and what nobody will ask for is forgotten.

use super::clock::Moment;
use super::readers::GroupAt;
use super::{Ledger, Now};
use std::collections::HashSet;

/// A group that nobody spoke of for so long and that has committed nothing is forgotten, in ms.
const SILENT: i64 = 600_000;
/// Forgetting is done so often, in ms.
const TIDY: i64 = 60_000;
/// Of seconds in which nobody looked, no more are counted.
const UNWATCHED: i64 = 60;

impl Ledger {
    /// Does it: to be called about once a second.
    pub fn tick(&mut self, now: Now) {
        let then = self.then(now);
        let seconds = self.ticked.until(then.moment) / 1000;
        if seconds > 0 {
            self.ticked = self.ticked.plus(seconds.saturating_mul(1000));
            self.watch(then, u64::try_from(seconds.min(UNWATCHED)).unwrap_or(0));
        }
        if self.tidied.until(then.moment) >= TIDY {
            self.tidied = then.moment;
            self.tidy(then.moment);
        }
    }

    /// Forgets what nobody will ask for.
    fn tidy(&mut self, now: Moment) {
        self.readers.expire(now);
        self.transactions.expire(now);
        self.deleted.expire(now);
        self.waiting.expire(self.clock, now);
        let all: Vec<_> = self.groups.iter().map(|(place, _)| place).collect();
        for place in all {
            if self.groups.get_mut(place).is_some_and(|group| group.members.expire(now)) {
                self.groups.soil(place);
            }
        }
        self.clean(now);
        let mut used = vec![false; self.groups.places()];
        let groups = &self.groups;
        for (_, topic) in self.topics.iter_mut() {
            for partition in &mut topic.partitions {
                partition.expire(now, |pair| {
                    let quiet = pair.fetched.is_none_or(|fetched| fetched.1.until(now) >= SILENT);
                    quiet && groups.get(pair.group).is_none_or(|group| group.members.any(now) != Some(true))
                });
                for pair in &partition.pairs {
                    if let Some(used) = usize::try_from(pair.group).ok().and_then(|place| used.get_mut(place)) {
                        *used = true;
                    }
                }
            }
        }
        self.tidy_groups(&used, now);
        self.count_pairs();
    }

    fn tidy_groups(&mut self, used: &[bool], now: Moment) {
        let silent = |place: GroupAt, heard: Moment| {
            let used = usize::try_from(place).ok().and_then(|place| used.get(place)).copied().unwrap_or(false);
            !used && heard.until(now) >= SILENT
        };
        let gone: Vec<_> = self.groups.iter().filter(|(place, group)| silent(*place, group.heard)).collect();
        let gone: HashSet<_> = gone.into_iter().map(|(place, _)| place).collect();
        if !gone.is_empty() {
            self.drop_groups(&gone);
        }
    }
}
