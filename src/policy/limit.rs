//! A limit: whom it counts, what it counts, and what happens to what is too much.

use super::keys::{Hashed, Key, Secret, Share, Who};
use super::kinds::integer;
use super::limiter::Limiter;
use super::names::{Found, Name};
use super::sums::Sum;
use crate::wire::batch::Record;
use crate::wire::batch::edit::Lane;
use bytes::Bytes;
use std::num::NonZeroU32;
use std::time::Duration;

/// See the module's text.
#[derive(Debug)]
pub struct Limit {
    /// As the config calls it.
    pub name: String,
    /// Whom a record is counted under.
    pub key: Key,
    /// What is counted.
    pub unit: Unit,
    /// How much of it there may be.
    pub limiter: Limiter,
    /// What happens to what is too much.
    pub action: Action,
    /// To whom: the rest is only counted.
    pub enforced: Share,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Each record is one.
    Records,
    /// Each is as many as it has bytes: key, value and headers, not compressed.
    Bytes,
    /// Each is as many as a header says, as where one record holds many rows; one where the header says nothing.
    Weight(Name),
}

impl Unit {
    /// What a record counts.
    #[inline]
    #[must_use]
    pub fn count(self, record: &Record<'_>, found: &Found<'_>) -> NonZeroU32 {
        let count = match self {
            Self::Records => return NonZeroU32::MIN,
            Self::Bytes => u32::try_from(record.size()).unwrap_or(u32::MAX),
            Self::Weight(name) => {
                found.value(name).and_then(integer).map_or(1, |weight| u32::try_from(weight.max(1)).unwrap_or(u32::MAX))
            }
        };
        NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
    }
}

/// What happens to what is too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is counted.
    Observe,
    /// Its client waits.
    Throttle,
    /// It gets this header.
    Stamp(Bytes, Bytes),
    /// It goes to a lane, perhaps without its key, so that it spreads there.
    Overflow {
        /// Which.
        lane: Lane,
        /// Whether the key goes into a header.
        null_key: bool,
    },
    /// It is acknowledged and goes nowhere.
    Drop,
    /// All of its batch is refused.
    Reject,
}

impl Action {
    /// Whether a record leaves its batch by it: not for transactions, whose records are written together or not at all.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        matches!(self, Self::Overflow { .. } | Self::Drop)
    }
}

/// What a limit says to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It may pass.
    Passes,
    /// It is too much, and something may be done about it.
    TooMuch {
        /// Whether this key is among those to whom the limit is enforced.
        enforced: bool,
        /// How long its client would have to wait for it, where the limit throttles.
        wait: Duration,
    },
}

/// With what keys are hashed.
#[derive(Clone, Copy)]
pub struct Secrets {
    /// For buckets: nobody knows it.
    pub buckets: Secret,
    /// For shares of keys: the same everywhere.
    pub shares: Secret,
}

impl Limit {
    /// Asks for one record, which is counted under `key`.
    #[inline]
    #[must_use]
    pub fn ask(&self, secrets: &Secrets, record: &Record<'_>, found: &Found<'_>, who: Who<'_>, key: Hashed) -> Said {
        let count = self.unit.count(record, found);
        if self.action == Action::Throttle && self.is_enforced(secrets, record, found, who) {
            return match self.limiter.charge(key, count) {
                Duration::ZERO => Said::Passes,
                wait => Said::TooMuch { enforced: true, wait },
            };
        }
        if self.limiter.take(key, count) {
            return Said::Passes;
        }
        let enforced = self.action != Action::Throttle && self.is_enforced(secrets, record, found, who);
        Said::TooMuch { enforced, wait: Duration::ZERO }
    }

    /// Takes what several records of a key come to, where all of them pass; else it costs them nothing.
    #[inline]
    #[must_use]
    pub(super) fn take_whole(&self, sum: &Sum) -> bool {
        sum.count(self.unit).is_some_and(|count| self.limiter.take_whole(sum.key, count))
    }

    /// Whether the limit is enforced to a record's key.
    pub(super) fn is_enforced(&self, secrets: &Secrets, record: &Record<'_>, found: &Found<'_>, who: Who<'_>) -> bool {
        match self.enforced {
            _ if self.action == Action::Observe => false,
            Share::ALL => true,
            Share::NONE => false,
            share => share.has(self.key.of(secrets.shares, record, found, who)),
        }
    }
}
