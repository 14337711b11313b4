//! What a split share session asks brokers.

use super::super::OPENS;
use super::super::asked::{Acknowledgements, Partition, Terms};
use super::super::moves::{Ask, Move, Moves, Sent};
use super::super::questions::{acknowledge, poll};
use super::outcome::lost;
use super::{FINAL, Now, Place, Poll, Serving, Split, after};
use crate::api::Seen;
use crate::types::Target;
use kafka_protocol::messages::share_acknowledge_request::AcknowledgementBatch;
use std::collections::{BTreeMap, BTreeSet};

impl<W> Split<W> {
    /// Polls every broker that leads something, where the member waits and nothing is there of it.
    pub(super) fn poll_brokers(&mut self, now: &Now<'_, '_>, moves: &mut Moves<W>) {
        let Some(Serving { terms: Some(terms), ends: false, number: request, until, .. }) = &self.serving else {
            return;
        };
        // Who is to be answered now asks again by himself.
        if now.at >= *until && terms.max_wait_ms > 0 {
            return;
        }
        let (mut terms, request) = (*terms, *request);
        let each = self.share / self.wanted.len().max(1);
        terms.max_bytes = terms.max_bytes.min(i32::try_from(each).unwrap_or(i32::MAX));
        let brokers: BTreeSet<_> = self.wanted.keys().chain(self.brokers.keys()).copied().collect();
        for to in brokers {
            let broker = self.brokers.entry(to).or_default();
            if broker.poll.is_some() || !broker.kept.is_empty() || broker.in_vain {
                continue;
            }
            let wanted = self.wanted.get(&to).cloned().unwrap_or_default();
            let (added, forgotten) = broker.differs(&wanted);
            if wanted.is_empty() && (forgotten.is_empty() || broker.epoch == OPENS) {
                continue;
            }
            if broker.epoch == OPENS {
                broker.incarnation = broker.incarnation.wrapping_add(1);
            }
            // Of nothing there is nothing to wait for.
            let terms = if wanted.is_empty() { Terms { max_wait_ms: 0, ..terms } } else { terms };
            self.next += 1;
            let number = self.next;
            broker.poll = Some(Poll { number, request, since: now.at, max_wait: terms.max_wait() });
            let session = (self.group.clone(), self.member.clone(), broker.epoch);
            let ask = Ask::Poll(poll(session, terms, &added, &forgotten));
            (broker.has, broker.epoch) = (wanted, after(broker.epoch));
            let sent = Sent { to, series: self.series, incarnation: broker.incarnation, number };
            moves.push(Move::Send(sent, ask));
        }
    }

    /// Sends a broker what is acknowledged, over its session. `None` where it has none.
    pub(super) fn acknowledge(
        &mut self,
        to: Target,
        acknowledged: Acknowledgements,
        ends: bool,
        moves: &mut Moves<W>,
    ) -> Option<u64> {
        let broker = self.brokers.get_mut(&to).filter(|broker| broker.epoch != OPENS)?;
        self.next += 1;
        let epoch = if ends { FINAL } else { broker.epoch };
        broker.epoch = after(broker.epoch);
        let session = (self.group.clone(), self.member.clone(), epoch);
        let sent = Sent { to, series: self.series, incarnation: broker.incarnation, number: self.next };
        moves.push(Move::Send(sent, Ask::Acknowledge(acknowledge(session, acknowledged))));
        Some(self.next)
    }

    /// Records that the member will not get are others' at once.
    pub(super) fn give_back(
        &mut self,
        to: Target,
        back: Vec<(Partition, Vec<AcknowledgementBatch>)>,
        moves: &mut Moves<W>,
    ) {
        if !back.is_empty() {
            let _or_the_locks_are_gone = self.acknowledge(to, back.into_iter().collect(), false, moves);
        }
    }

    pub(super) fn give_back_what_is_forgotten(&mut self, moves: &mut Moves<W>) {
        for to in self.brokers.keys().copied().collect::<Vec<_>>() {
            let Some(broker) = self.brokers.get_mut(&to) else { continue };
            let (named, mut back) = (&self.named, Vec::new());
            broker.kept.iter_mut().for_each(|kept| back.extend(kept.retain(|at| named.contains_key(at))));
            broker.kept.retain(|kept| !kept.pieces.is_empty());
            self.give_back(to, back, moves);
        }
    }

    /// What is acknowledged, by the broker whose session has it. Where that is gone, so are the locks of its records.
    pub(super) fn by_holder(
        &self,
        acknowledged: Acknowledgements,
        serving: &mut Serving<W>,
        seen: &Seen<'_>,
    ) -> BTreeMap<Target, Acknowledgements> {
        let mut by_holder: BTreeMap<Target, Acknowledgements> = BTreeMap::new();
        for (at, batches) in acknowledged {
            match self.holder(&at, seen) {
                Some(to) => drop(by_holder.entry(to).or_default().insert(at, batches)),
                None => drop(serving.outcomes.insert(at, lost())),
            }
        }
        by_holder
    }

    fn holder(&self, at: &Partition, seen: &Seen<'_>) -> Option<Target> {
        let has = self.brokers.iter().find(|(_, broker)| broker.epoch != OPENS && broker.has.contains(at));
        let is_open = |to: &Target| self.brokers.get(to).is_some_and(|broker| broker.epoch != OPENS);
        has.map(|(to, _)| *to).or_else(|| match self.place_of(*at, seen) {
            Place::At(to) => Some(to).filter(is_open),
            Place::Nobody | Place::Unknown(_) => None,
        })
    }
}
