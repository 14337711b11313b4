//! A pipeline's policy, and its verdict on a batch: the contract first, then the limits in their order, and at last the canaries. A record that
//! leaves the batch by one of them is not asked about by the next. Nothing is written, held or refused here.

use super::canary::Canary;
use super::contract::{Breach, Contract};
use super::keys::{Hashed, Share, Who};
use super::limit::{Action, Limit, Said, Secrets};
use super::names::{Found, Names};
use super::talkers::{Counts, LONGEST, Talkers};
use super::verdict::{Leaves, Marks, Refused, TOLD, Verdict};
use crate::types::moment::rfc3339;
use crate::wire::batch::edit::{Change, Lane};
use crate::wire::batch::{Header, Malformed, Record, Records};
use bytes::Bytes;
use std::time::{Duration, Instant, SystemTime};

pub use crate::config::policy::MOST_LIMITS;

/// Where a key goes that its record lost, as PostHog's capture has it.
const OLD_KEY: &[u8] = b"redirect-original-key";
const REASON: &[u8] = b"dlq_reason";
const STEP: &[u8] = b"dlq_step";
const TIMESTAMP: &[u8] = b"dlq_timestamp";

/// See the module's text.
pub struct Policy {
    /// The headers that contract and limits ask for.
    pub names: Names,
    /// What records must have, and what happens where they do not.
    pub contract: Option<(Contract, OnBreach)>,
    /// At most [`MOST_LIMITS`].
    pub limits: Vec<Limit>,
    /// Which of the records that stay go to another cluster.
    pub canaries: Vec<Canary>,
    /// With what keys are hashed. It is the same secret for all limits, so that a key which several have is hashed once.
    pub secrets: Secrets,
    /// Who speaks most, under each key that is listened to.
    pub talkers: Vec<Talkers>,
}

/// What happens to a record that breaks the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBreach {
    /// It is counted.
    Observe,
    /// All of its batch is refused.
    Reject,
    /// It goes to a lane, with the reason in its headers.
    Dlq(Lane),
}

/// A batch, as it is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its header.
    pub header: &'a Header,
    /// Its records, decompressed.
    pub plain: &'a [u8],
    /// Who sends it.
    pub who: Who<'a>,
    /// Whether records may be taken out of it.
    pub may_be_parted: bool,
    /// When: for limits.
    pub now: Instant,
    /// And for those who read about it.
    pub time: SystemTime,
}

/// A batch whose records cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {record} of a batch: {malformed}")]
pub struct Unreadable {
    /// Which, counted from 0.
    pub record: usize,
    /// What is wrong with it.
    pub malformed: Malformed,
}

impl Policy {
    /// Whether anybody must look into a batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contract.is_none() && self.limits.is_empty() && self.canaries.is_empty()
    }

    /// Whether it may take records out of their batches.
    #[must_use]
    pub fn may_part(&self) -> bool {
        let takes_away = |limit: &Limit| limit.action.takes_away() && limit.enforced != Share::NONE;
        matches!(self.contract, Some((_, OnBreach::Dlq(_))))
            || self.limits.iter().any(takes_away)
            || self.canaries.iter().any(Canary::may_have)
    }

    /// Judges a batch; `verdict` is used again and again.
    pub fn judge(&self, asked: &Asked<'_>, verdict: &mut Verdict) -> Result<(), Unreadable> {
        verdict.begin(self.limits.len(), self.talkers.len());
        self.limits.iter().for_each(|limit| limit.limiter.at(asked.now));
        if self.contract.as_ref().is_some_and(|(_, on_breach)| *on_breach == OnBreach::Reject) {
            // No limit is to be charged for a batch that is refused.
            self.each(asked, |index, record, found| {
                if self.breach(index, found, verdict).is_some() {
                    self.hear(asked, record, found, None, Aside { diverted: true, held: false }, verdict);
                }
            })?;
            if verdict.broken > 0 {
                verdict.refused = Some(Refused::Contract);
                self.listen(asked, verdict);
                return Ok(());
            }
        }
        let clients = self.clients(asked.who);
        let aside = Aside::default();
        let mut judging = Judging { policy: self, asked, clients: &clients, verdict, aside };
        let judged = self.each(asked, |index, record, found| judging.record(index, record, found));
        self.listen(asked, verdict);
        judged
    }

    /// Takes in who spoke in a batch.
    fn listen(&self, asked: &Asked<'_>, verdict: &mut Verdict) {
        for (talkers, heard) in self.talkers.iter().zip(&mut verdict.heard) {
            if !heard.is_empty() {
                talkers.take(heard, asked.now);
            }
        }
    }

    /// Notes who speaks. `bucket` is what the last limit counted the record under, if one was asked.
    #[inline]
    fn hear(
        &self,
        asked: &Asked<'_>,
        record: &Record<'_>,
        found: &Found<'_>,
        bucket: Option<Hashed>,
        aside: Aside,
        verdict: &mut Verdict,
    ) {
        let Aside { diverted, held } = aside;
        let bytes = u64::try_from(record.size()).unwrap_or(u64::MAX);
        let counts = Counts { records: 1, bytes, diverted: diverted.into(), held: held.into() };
        for (talkers, heard) in self.talkers.iter().zip(&mut verdict.heard) {
            let known = bucket.filter(|_| talkers.of_all_limits);
            let key = known.unwrap_or_else(|| talkers.key.of(self.secrets.buckets, record, found, asked.who));
            heard.add(key, counts, |out| talkers.key.write(record, found, asked.who, LONGEST, out));
            if heard.is_full() {
                talkers.take(heard, asked.now);
            }
        }
    }

    /// Whether a limit counts by what the one before it counts by, as most do where there are several.
    #[inline]
    fn has_the_key_of_the_last(&self, place: usize) -> bool {
        let last = place.checked_sub(1).and_then(|last| self.limits.get(last));
        last.zip(self.limits.get(place)).is_some_and(|(last, limit)| last.key == limit.key)
    }

    /// Walks the records and finds their headers.
    #[inline]
    fn each<'a>(
        &self,
        asked: &Asked<'a>,
        mut see: impl FnMut(usize, &Record<'a>, &Found<'a>),
    ) -> Result<(), Unreadable> {
        let mut found = Found::default();
        for (index, record) in Records::of(asked.plain, asked.header.count).enumerate() {
            let unreadable = |malformed| Unreadable { record: index, malformed };
            let record = record.map_err(unreadable)?;
            self.names.find(&record, &mut found).map_err(unreadable)?;
            see(index, &record, &found);
        }
        Ok(())
    }

    /// The buckets of keys that all records of a client have, by limit.
    fn clients(&self, who: Who<'_>) -> Vec<Option<Hashed>> {
        let is_the_clients = |limit: &Limit| limit.key.is_the_clients();
        if !self.limits.iter().any(is_the_clients) {
            return Vec::new();
        }
        let key = |limit: &Limit| is_the_clients(limit).then(|| limit.key.of_client(self.secrets.buckets, who));
        self.limits.iter().map(key).collect()
    }

    /// What a record breaks, noted.
    fn breach(&self, index: usize, found: &Found<'_>, verdict: &mut Verdict) -> Option<Breach> {
        let (contract, _) = self.contract.as_ref()?;
        let breach = contract.breach(found)?;
        verdict.broken += 1;
        if verdict.violations.len() < TOLD {
            verdict.violations.push(contract.violation(index, breach, found.unknown, &self.names));
        }
        Some(breach)
    }
}

/// A batch that is being judged.
struct Judging<'a, 'v> {
    policy: &'a Policy,
    asked: &'a Asked<'a>,
    clients: &'a [Option<Hashed>],
    verdict: &'v mut Verdict,
    /// Of the record that is judged now.
    aside: Aside,
}

/// What else than passing happens to a record, for those who ask who speaks most.
#[derive(Clone, Copy, Debug, Default)]
struct Aside {
    /// It goes to a lane or nowhere.
    diverted: bool,
    /// Its client waits for it.
    held: bool,
}

impl Judging<'_, '_> {
    #[inline]
    fn record(&mut self, index: usize, record: &Record<'_>, found: &Found<'_>) {
        let (mut marks, mut bucket) = (Marks::default(), None);
        self.aside = Aside::default();
        if let Some(breach) = self.breach(index, found) {
            marks.leaves = breach;
        }
        for place in 0..self.policy.limits.len() {
            if marks.leaves != Leaves::Stays {
                break;
            }
            self.limit(place, record, found, &mut bucket, &mut marks);
        }
        let (policy, asked) = (self.policy, self.asked);
        if !policy.talkers.is_empty() {
            self.aside.diverted |= marks.leaves != Leaves::Stays;
            policy.hear(asked, record, found, bucket, self.aside, self.verdict);
        }
        if marks.leaves == Leaves::Stays && !policy.canaries.is_empty() && self.asked.may_be_parted {
            let has = |canary: &&Canary| canary.has(policy.secrets.shares, record, found, asked.who);
            if let Some(canary) = policy.canaries.iter().find(has) {
                marks.leaves = Leaves::Canary(canary.lane);
            }
        }
        self.verdict.push(marks, || policy.change(marks, asked.time));
    }

    fn breach(&mut self, index: usize, found: &Found<'_>) -> Option<Leaves> {
        let (_, on_breach) = self.policy.contract.as_ref()?;
        let lane = match on_breach {
            // It was seen to before.
            OnBreach::Reject => return None,
            OnBreach::Observe => None,
            OnBreach::Dlq(lane) => Some(*lane).filter(|_| self.asked.may_be_parted),
        };
        let breach = self.policy.breach(index, found, self.verdict)?;
        lane.map(|lane| Leaves::Breach(breach, lane))
    }

    #[inline]
    fn limit(
        &mut self,
        place: usize,
        record: &Record<'_>,
        found: &Found<'_>,
        bucket: &mut Option<Hashed>,
        marks: &mut Marks,
    ) {
        let Some(limit) = self.policy.limits.get(place) else { return };
        if !self.policy.has_the_key_of_the_last(place) {
            *bucket = self.clients.get(place).copied().flatten();
        }
        let (secrets, who) = (&self.policy.secrets, self.asked.who);
        let key = *bucket.get_or_insert_with(|| limit.key.of(secrets.buckets, record, found, who));
        let said = limit.ask(secrets, record, found, who, key);
        let Some(tally) = self.verdict.tallies.get_mut(place) else { return };
        match said {
            Said::Passes => tally.passed += 1,
            Said::TooMuch { enforced, .. } if !enforced || limit.action.takes_away() && !self.asked.may_be_parted => {
                tally.observed += 1;
            }
            Said::TooMuch { wait, .. } => {
                tally.enforced += 1;
                self.enforce(place, &limit.action, wait, marks);
            }
        }
    }

    fn enforce(&mut self, place: usize, action: &Action, wait: Duration, marks: &mut Marks) {
        match action {
            Action::Observe => {}
            Action::Throttle => {
                self.verdict.wait = self.verdict.wait.max(wait);
                self.aside.held = true;
            }
            Action::Stamp(..) => marks.stamps |= 1 << place,
            Action::Overflow { lane, null_key } => {
                marks.leaves = Leaves::Overflow { limit: place, lane: *lane, null_key: *null_key };
            }
            Action::Drop => marks.leaves = Leaves::Dropped,
            Action::Reject => {
                self.aside.diverted = true;
                self.verdict.refused.get_or_insert(Refused::Limit(place));
            }
        }
    }
}

impl Policy {
    /// What is done to records with such marks.
    fn change(&self, marks: Marks, time: SystemTime) -> Change {
        let mut change = Change::default();
        for (place, limit) in self.limits.iter().enumerate() {
            if let Action::Stamp(name, value) = &limit.action
                && marks.stamps >> place & 1 == 1
            {
                change.headers.push((name.clone(), value.clone()));
            }
        }
        match marks.leaves {
            Leaves::Stays | Leaves::Canary(_) | Leaves::Dropped => {}
            Leaves::Overflow { null_key, .. } => change.key_into = null_key.then_some(Bytes::from_static(OLD_KEY)),
            Leaves::Breach(breach, _) => change.headers.extend(self.obituary(breach, time)),
        }
        change
    }

    /// The headers that say why a record is where it is.
    fn obituary(&self, breach: Breach, time: SystemTime) -> [(Bytes, Bytes); 3] {
        // Records that break one rule share the words; an unknown header's name would be one record's alone.
        let reason = match (&self.contract, breach.rule) {
            (Some((contract, _)), Some(_)) => contract.violation(0, breach, None, &self.names).to_string(),
            _ => "a header that the contract does not have".to_owned(),
        };
        [
            (Bytes::from_static(REASON), reason.into()),
            (Bytes::from_static(STEP), Bytes::from_static(b"contract")),
            (Bytes::from_static(TIMESTAMP), rfc3339(time).into()),
        ]
    }
}

#[cfg(test)]
mod tests;
