//! Facts of topics that are not known yet: a topic is read of before the placement has it.

use super::clock::{Clock, Moment};
use crate::telemetry::observed::Noted;
use std::collections::VecDeque;

/// Bytes of facts that wait, and for how long they do, in ms.
const MOST: usize = 1 << 20;
const PATIENCE: i64 = 10_000;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Oldest first.
    facts: VecDeque<Noted>,
    weight: usize,
}

impl Waiting {
    /// Keeps a fact. Where there are too many, those that have waited the longest make room.
    pub(super) fn push(&mut self, noted: Noted) {
        self.weight += noted.fact.weight();
        self.facts.push_back(noted);
        while self.weight > MOST
            && let Some(oldest) = self.facts.pop_front()
        {
            self.weight -= oldest.fact.weight();
        }
    }

    /// Those that are not too old: none waits any more.
    pub(super) fn take(&mut self, clock: Clock, now: Moment) -> Vec<Noted> {
        let waiting = std::mem::take(self);
        waiting.facts.into_iter().filter(|noted| clock.moment(noted.at).until(now) <= PATIENCE).collect()
    }

    /// Forgets those that are too old.
    pub(super) fn expire(&mut self, clock: Clock, now: Moment) {
        self.take(clock, now).into_iter().for_each(|noted| self.push(noted));
    }
}
