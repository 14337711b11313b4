//! The brokers of a session's split Fetches, each with a number: what it has been asked, and what it told that nobody has
//! claimed yet.

use super::asked::Asked;
use super::kept::{Kept, Poll};
use crate::types::{FastMap, Target};

/// See the module's text. A number stays with its broker: clusters have few.
#[derive(Debug, Default)]
pub(super) struct Brokers {
    all: Vec<Broker>,
    numbers: FastMap<Target, u16>,
}

#[derive(Debug)]
pub(super) struct Broker {
    pub(super) target: Target,
    pub(super) poll: Option<Poll>,
    pub(super) kept: Option<Kept>,
}

impl Brokers {
    /// The number of a broker.
    pub(super) fn number(&mut self, target: Target) -> u16 {
        let all = &mut self.all;
        *self.numbers.entry(target).or_insert_with(|| {
            let number = u16::try_from(all.len()).unwrap_or(u16::MAX);
            all.push(Broker { target, poll: None, kept: None });
            number
        })
    }

    pub(super) fn get(&self, number: u16) -> Option<&Broker> {
        self.all.get(usize::from(number))
    }

    pub(super) fn get_mut(&mut self, number: u16) -> Option<&mut Broker> {
        self.all.get_mut(usize::from(number))
    }

    pub(super) fn find_mut(&mut self, target: Target) -> Option<&mut Broker> {
        let number = *self.numbers.get(&target)?;
        self.get_mut(number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Broker> {
        self.all.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Broker> {
        self.all.iter_mut()
    }

    /// Nobody was asked, and nobody told anything.
    pub(super) fn forget(&mut self) {
        for broker in &mut self.all {
            (broker.poll, broker.kept) = (None, None);
        }
    }

    /// How many share what the session may hold: those of a Fetch, and those that others have left something at.
    pub(super) fn sharing(&self, asked: &Asked) -> usize {
        let busy = |(at, broker): &(usize, &Broker)| {
            let named = u16::try_from(*at).is_ok_and(|at| asked.brokers.contains(&at));
            named || broker.poll.is_some() || broker.kept.is_some()
        };
        self.all.iter().enumerate().filter(busy).count().max(1)
    }

    /// What was kept of each broker of a Fetch.
    pub(super) fn take_kept(&mut self, asked: &Asked) -> Vec<Option<Kept>> {
        let kept = |at: &u16| self.get_mut(*at)?.kept.take().filter(|kept| kept.is_for(asked));
        asked.brokers.iter().map(kept).collect()
    }

    pub(super) fn put_back(&mut self, asked: &Asked, kept: Vec<Option<Kept>>) {
        for (at, kept) in asked.brokers.iter().zip(kept) {
            if let Some(kept) = kept.filter(|kept| !kept.pieces.is_empty())
                && let Some(broker) = self.get_mut(*at)
            {
                broker.kept = Some(kept);
            }
        }
    }
}
