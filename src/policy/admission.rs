//! A pipeline's policy, and its verdict on a batch: the contract first, then the limits in their order, and at last the canaries. A record that
//! leaves the batch by one of them is not asked about by the next. Nothing is written, held or refused here.

use super::canary::Canary;
use super::contract::{Breach, Contract};
use super::keys::{Share, Who};
use super::limit::{Action, Limit, Said, Secrets};
use super::names::{Found, Names};
use super::sums::{Columns, Sums};
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
    pub(super) limits: Vec<Limit>,
    /// Which of the records that stay go to another cluster.
    pub canaries: Vec<Canary>,
    /// With what keys are hashed. It is the same secret for all limits, so that a key which several have is hashed once.
    pub secrets: Secrets,
    /// Who speaks most, under each key that is listened to.
    pub talkers: Vec<Talkers>,
    /// Made of `limits` and `talkers`.
    columns: Columns,
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
    /// One of these limits and talkers, without contract and canaries.
    #[must_use]
    pub fn new(names: Names, limits: Vec<Limit>, secrets: Secrets, talkers: Vec<Talkers>) -> Self {
        let columns = Columns::of(&limits, &talkers);
        Self { names, contract: None, limits, canaries: Vec::new(), secrets, talkers, columns }
    }

    /// Its limits, in their order.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

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
        let mut sums = std::mem::take(&mut verdict.sums);
        let judged = self.judge_by(&mut sums, self.columns.are_for(asked.header.count), asked, verdict);
        verdict.sums = sums;
        self.listen(asked, verdict);
        judged
    }

    /// Most batches keep to the contract and are above no limit: one walk, and limits are asked for what each key comes to. Else,
    /// and where nothing is to be summed, the records are asked about one by one.
    fn judge_by(
        &self,
        sums: &mut Sums,
        summed: bool,
        asked: &Asked<'_>,
        verdict: &mut Verdict,
    ) -> Result<(), Unreadable> {
        sums.begin(&self.columns);
        let keeps = if summed || self.rejects() { self.sum(sums, summed, asked)? } else { false };
        if !keeps && self.rejects() {
            // No limit is charged for a batch that is refused.
            return self.refuse(sums, asked, verdict);
        }
        let paid = if summed { self.take_whole(sums) } else { 0 };
        let may_leave = !self.canaries.is_empty() && asked.may_be_parted;
        if summed && keeps && paid == self.limits.len() && !may_leave {
            self.keep(sums, asked, verdict);
            return Ok(());
        }
        let mut judging = Judging { policy: self, asked, sums, paid, verdict, aside: Aside::default() };
        self.each(asked, |index, record, found| judging.record(index, record, found))
    }

    /// Walks the records, and sums up those that do not leave for breaking the contract. Says whether all keep to it.
    fn sum(&self, sums: &mut Sums, summed: bool, asked: &Asked<'_>) -> Result<bool, Unreadable> {
        let contract = self.contract.as_ref().map(|(contract, _)| contract);
        let leaves = matches!(self.contract, Some((_, OnBreach::Dlq(_)))) && asked.may_be_parted;
        let mut keeps = true;
        self.each(asked, |_, record, found| {
            let breaks = contract.is_some_and(|contract| contract.breach(found).is_some());
            keeps &= !breaks;
            if breaks && leaves {
                sums.pass_over();
            } else if summed {
                sums.add(&self.columns, self.secrets.buckets, asked.plain, record, found, asked.who);
            }
        })?;
        Ok(keeps)
    }

    /// Asks the limits for what each key comes to, up to the first that does not let all pass. Says how many did.
    fn take_whole(&self, sums: &mut Sums) -> usize {
        let lets_all_pass = |(place, limit): (usize, &Limit)| {
            sums.of_limit(&self.columns, place).fold(true, |all, sum| {
                sum.is_short = !limit.take_whole(sum);
                all && !sum.is_short
            })
        };
        self.limits.iter().enumerate().map(lets_all_pass).take_while(|all| *all).count()
    }

    /// All records stay as they are.
    fn keep(&self, sums: &Sums, asked: &Asked<'_>, verdict: &mut Verdict) {
        verdict.keep(asked.header.count);
        for (place, (talkers, heard)) in self.talkers.iter().zip(&mut verdict.heard).enumerate() {
            for (key, counts, text) in sums.of_talkers(&self.columns, place) {
                talkers.note(heard, (key, counts), asked.now, |out| {
                    out.extend_from_slice(text.unwrap_or_default());
                    text.is_some()
                });
            }
        }
    }

    /// Whether a batch is refused where one of its records breaks the contract.
    fn rejects(&self) -> bool {
        matches!(self.contract, Some((_, OnBreach::Reject)))
    }

    fn refuse(&self, sums: &Sums, asked: &Asked<'_>, verdict: &mut Verdict) -> Result<(), Unreadable> {
        verdict.refused = Some(Refused::Contract);
        self.each(asked, |index, record, found| {
            if self.breach(index, found, verdict).is_some() {
                let aside = Aside { diverted: true, held: false };
                self.hear(asked, sums, index, (record, found), aside, verdict);
            }
        })
    }

    /// Takes in who spoke in a batch.
    fn listen(&self, asked: &Asked<'_>, verdict: &mut Verdict) {
        for (talkers, heard) in self.talkers.iter().zip(&mut verdict.heard) {
            if !heard.is_empty() {
                talkers.take(heard, asked.now);
            }
        }
    }

    /// Notes who speaks.
    #[inline]
    fn hear(
        &self,
        asked: &Asked<'_>,
        sums: &Sums,
        index: usize,
        (record, found): (&Record<'_>, &Found<'_>),
        aside: Aside,
        verdict: &mut Verdict,
    ) {
        let Aside { diverted, held } = aside;
        let bytes = u64::try_from(record.size()).unwrap_or(u64::MAX);
        let counts = Counts { records: 1, bytes, diverted: diverted.into(), held: held.into() };
        for (place, (talkers, heard)) in self.talkers.iter().zip(&mut verdict.heard).enumerate() {
            let known = sums.at_talkers(&self.columns, place, index).map(|sum| sum.key);
            let key = known.unwrap_or_else(|| talkers.key.of(self.secrets.buckets, record, found, asked.who));
            let write = |out: &mut Vec<u8>| talkers.key.write(record, found, asked.who, LONGEST, out);
            talkers.note(heard, (key, counts), asked.now, write);
        }
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

/// A batch that is being judged record by record.
struct Judging<'a, 'v> {
    policy: &'a Policy,
    asked: &'a Asked<'a>,
    sums: &'a Sums,
    /// So many limits have been paid for all sums, and the next one for those that are not short.
    paid: usize,
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
    fn record(&mut self, index: usize, record: &Record<'_>, found: &Found<'_>) {
        let mut marks = Marks::default();
        self.aside = Aside::default();
        if let Some(breach) = self.breach(index, found) {
            marks.leaves = breach;
        }
        for place in 0..self.policy.limits.len() {
            if marks.leaves != Leaves::Stays {
                break;
            }
            self.limit(place, index, record, found, &mut marks);
        }
        let (policy, asked) = (self.policy, self.asked);
        if !policy.talkers.is_empty() {
            self.aside.diverted |= marks.leaves != Leaves::Stays;
            policy.hear(asked, self.sums, index, (record, found), self.aside, self.verdict);
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

    fn limit(&mut self, place: usize, index: usize, record: &Record<'_>, found: &Found<'_>, marks: &mut Marks) {
        let Some(limit) = self.policy.limits.get(place) else { return };
        let said = match self.sums.at_limit(&self.policy.columns, place, index) {
            Some(sum) if place < self.paid || place == self.paid && !sum.is_short => Said::Passes,
            sum => {
                let (secrets, who) = (&self.policy.secrets, self.asked.who);
                let key = sum.map_or_else(|| limit.key.of(secrets.buckets, record, found, who), |sum| sum.key);
                limit.ask(secrets, record, found, who, key)
            }
        };
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
