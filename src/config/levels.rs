//! Service levels, and what metrics show of lag, checked.

use super::Pipeline;
use super::policy::Share;
use std::time::Duration;

/// How soon a pipeline's groups have dealt with its records, and for how many of them that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slo {
    /// From a record's arrival until its group has committed it.
    pub committed_within: Duration,
    /// For so many records, and for so much of the time.
    pub objective: Share,
}

impl Slo {
    /// Faster than this nobody commits; clocks and commit intervals are coarser.
    pub const SHORTEST: Duration = Duration::from_millis(10);
    /// Alerts on more would come too late to be any.
    pub const LONGEST: Duration = Duration::from_secs(3600);
    /// Less is no objective.
    pub const LOWEST: Share = Share(500_000);
    /// More leaves no budget that could be spent.
    pub const HIGHEST: Share = Share(999_999);

    /// The share that may be late, between 0 and 1.
    #[must_use]
    pub fn budget(&self) -> f64 {
        f64::from(Share::ALL.0 - self.objective.0) / f64::from(Share::ALL.0)
    }
}

/// What `/metrics` shows of lag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Also under the names that dashboards know of other exporters.
    pub compatibility: bool,
    /// Pairs of a group and a partition; of more the worst are shown.
    pub max_pairs: usize,
}

impl Metrics {
    /// No more pairs can be asked for: each takes memory, and a scrape its time.
    pub const MOST_PAIRS: usize = 1_000_000;
}

impl Default for Metrics {
    fn default() -> Self {
        Self { compatibility: false, max_pairs: 50_000 }
    }
}

impl Pipeline {
    /// What is promised of a group that this pipeline names, if anything is: of this pipeline's topics and no others.
    #[must_use]
    pub fn service_level(&self, group: &str) -> Option<&Slo> {
        self.slo.as_ref().filter(|_| self.groups.matches(group))
    }
}
