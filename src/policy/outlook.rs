//! What would become of a record now, limit by limit, by the code that judges and without a charge.

use super::admission::{OnBreach, Policy, Unreadable};
use super::canary::Canary;
use super::contract::Violation;
use super::keys::Who;
use super::limit::Action;
use super::limiter::Look;
use super::names::Found;
use super::sample::Sample;
use crate::wire::batch::Records;
use crate::wire::batch::edit::Lane;
use std::num::NonZeroU32;
use std::time::Instant;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Outlook {
    /// What it breaks of the contract.
    pub breach: Option<Violation>,
    /// What each limit would say, in their order.
    pub limits: Vec<Standing>,
    /// What would become of it.
    pub becomes: Becomes,
}

/// What would become of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Becomes {
    /// It goes on where it was meant for.
    #[default]
    Kept,
    /// It goes to this lane.
    Moved(Lane),
    /// It is acknowledged and goes nowhere.
    Dropped,
    /// Its batch is refused.
    Refused,
}

/// How a record stands to a limit.
#[derive(Debug)]
pub struct Standing {
    /// Whether it is asked at all: not where the record has left before.
    pub is_asked: bool,
    /// What it counts the record under; none where the record has no such thing.
    pub key: Option<Vec<u8>>,
    /// What the record counts.
    pub counts: NonZeroU32,
    /// The key's rate, and what is left of it.
    pub look: Look,
    /// Whether the record would pass.
    pub passes: bool,
    /// Whether the key is in the share to which the limit is enforced.
    pub is_enforced: bool,
}

/// More of a key than this is nobody's to read.
const KEY_SHOWN: usize = 1024;

impl Policy {
    /// What would become of a record that is in no transaction.
    pub fn outlook(&self, sample: &Sample<'_>, who: Who<'_>, now: Instant) -> Result<Outlook, Unreadable> {
        let section = sample.section();
        let mut outlook = Outlook::default();
        let unreadable = |malformed| Unreadable { record: 0, malformed };
        for record in Records::of(&section, 1) {
            let record = record.map_err(unreadable)?;
            let mut found = Found::default();
            self.names.find(&record, &mut found).map_err(unreadable)?;
            if let Some((contract, on_breach)) = &self.contract
                && let Some(breach) = contract.breach(&found)
            {
                outlook.breach = Some(contract.violation(0, breach, found.unknown, &self.names));
                outlook.becomes = match on_breach {
                    OnBreach::Observe => Becomes::Kept,
                    OnBreach::Reject => Becomes::Refused,
                    OnBreach::Dlq(lane) => Becomes::Moved(*lane),
                };
            }
            for limit in &self.limits {
                let is_asked = outlook.becomes == Becomes::Kept;
                let counts = limit.unit.count(&record, &found);
                let look = limit.limiter.look(limit.key.of(self.secrets.buckets, &record, &found, who), counts, now);
                let mut key = Vec::new();
                let has_key = limit.key.write(&record, &found, who, KEY_SHOWN, &mut key);
                let standing = Standing {
                    is_asked,
                    key: has_key.then_some(key),
                    counts,
                    passes: look.wait.is_zero(),
                    is_enforced: limit.is_enforced(&self.secrets, &record, &found, who),
                    look,
                };
                if is_asked && !standing.passes && standing.is_enforced {
                    outlook.becomes = becomes(&limit.action);
                }
                outlook.limits.push(standing);
            }
            if outlook.becomes == Becomes::Kept {
                let has = |canary: &&Canary| canary.has(self.secrets.shares, &record, &found, who);
                outlook.becomes = self.canaries.iter().find(has).map_or(Becomes::Kept, |one| Becomes::Moved(one.lane));
            }
        }
        Ok(outlook)
    }
}

/// What a limit makes of what is too much.
fn becomes(action: &Action) -> Becomes {
    match action {
        Action::Observe | Action::Throttle | Action::Stamp(..) => Becomes::Kept,
        Action::Overflow { lane, .. } => Becomes::Moved(*lane),
        Action::Drop => Becomes::Dropped,
        Action::Reject => Becomes::Refused,
    }
}
