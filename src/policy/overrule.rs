//! Rates that somebody set while Fishplate runs: they hold until the next reload, and stand in no file.

use crate::config;
use crate::config::policy::Rate;
use crate::config::tokens::Token;
use crate::types::Name;
use std::sync::Arc;

/// So many may be in force at once.
pub const MOST: usize = 1000;

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overrule {
    /// Of which pipeline.
    pub pipeline: Name,
    /// Of which limit of it.
    pub limit: Name,
    /// Of which of its keys; `None`: of all that have no rate of their own.
    pub token: Option<Token>,
    /// The rate.
    pub rate: Rate,
    /// And what may come at once; of one key it is the limit's, or a second's worth.
    pub burst: u64,
}

impl Overrule {
    /// Whether both are of the same.
    #[must_use]
    pub fn is_of_the_same(&self, other: &Self) -> bool {
        self.pipeline == other.pipeline && self.limit == other.limit && self.token == other.token
    }

    /// Puts it in force in what the file says.
    fn apply(&self, limit: &mut config::policy::Limit) {
        match &self.token {
            None => (limit.rate, limit.burst) = (self.rate, self.burst),
            Some(token) => {
                limit.overrides.retain(|(known, _)| known != token);
                limit.overrides.push((token.clone(), self.rate));
            }
        }
    }
}

/// What a pipeline's policy is with them.
#[must_use]
pub fn with(written: &Arc<config::Policy>, overrules: &[Overrule]) -> Arc<config::Policy> {
    if overrules.is_empty() {
        return Arc::clone(written);
    }
    let mut policy = config::Policy::clone(written);
    for overrule in overrules {
        let limits = policy.limits.iter_mut().filter(|limit| limit.name == overrule.limit);
        limits.for_each(|limit| overrule.apply(limit));
    }
    Arc::new(policy)
}
