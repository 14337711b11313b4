//! How fast an error budget may burn: pairs of windows (Google's SRE workbook, "Alerting on SLOs"), and what each means for an
//! objective. Numbers are ten-millionths, so that what is written is exact.

use super::alerts::Severity;
use super::words::decimal;
use crate::config::Slo;
use crate::config::policy::Share;

/// Both windows must burn: the long one says that it matters, the short one that it goes on.
pub(super) struct Pair {
    pub(super) long: &'static str,
    pub(super) short: &'static str,
    pub(super) long_seconds: u64,
    /// How many times faster than the budget allows, in tenths.
    tenths: u64,
    pub(super) severity: Severity,
    pub(super) pending: &'static str,
    pub(super) pending_minutes: u64,
}

const fn pair(windows: (&'static str, &'static str), hours: u64, tenths: u64, severity: Severity) -> Pair {
    let (pending, pending_minutes) = match severity {
        Severity::Page => ("1m", 1),
        Severity::Ticket => ("15m", 15),
    };
    let (long, short) = windows;
    Pair { long, short, long_seconds: hours * 3600, tenths, severity, pending, pending_minutes }
}

/// The fastest first.
pub(super) const PAIRS: [Pair; 4] = [
    pair(("1h", "5m"), 1, 144, Severity::Page),
    pair(("6h", "30m"), 6, 60, Severity::Page),
    pair(("1d", "2h"), 24, 30, Severity::Ticket),
    pair(("3d", "6h"), 72, 10, Severity::Ticket),
];

/// All windows, the shortest first, and that of the budget.
pub(super) const WINDOWS: [&str; 8] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d", BUDGET];

/// The budget is of this time.
pub(super) const BUDGET: &str = "30d";

/// The share that may be late, in ten-millionths.
pub(super) fn budget(slo: &Slo) -> u64 {
    u64::from(Share::ALL.0 - slo.objective.0) * 10
}

impl Pair {
    /// The share that is too much. With a low objective the budget times the factor is more than there is: then it is half-way
    /// between the budget and everything.
    pub(super) fn threshold(&self, slo: &Slo) -> u64 {
        const ALL: u64 = 10_000_000;
        let budget = budget(slo);
        (budget * self.tenths / 10).min(budget.midpoint(ALL))
    }

    /// So many seconds of the long window are too much.
    pub(super) fn seconds(&self, slo: &Slo) -> u64 {
        self.threshold(slo) * self.long_seconds
    }

    /// The factor, as it is written.
    pub(super) fn factor(&self) -> String {
        decimal(self.tenths * 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn slo(objective: u32) -> Slo {
        Slo { committed_within: Duration::from_secs(5), objective: Share(objective) }
    }

    #[test]
    fn thresholds_follow_the_objective() {
        let of = |objective| PAIRS.map(|pair| decimal(pair.threshold(&slo(objective))));
        assert_eq!(of(999_000), ["0.0144", "0.006", "0.003", "0.001"]);
        assert_eq!(of(999_999), ["0.0000144", "0.000006", "0.000003", "0.000001"]);
        assert_eq!(of(500_000), ["0.75", "0.75", "0.75", "0.5"]);
    }

    proptest! {
        #[test]
        fn a_threshold_can_be_reached_and_is_no_less_than_the_budget(objective in Slo::LOWEST.0..=Slo::HIGHEST.0) {
            for pair in &PAIRS {
                let threshold = pair.threshold(&slo(objective));
                prop_assert!(threshold >= budget(&slo(objective)) && threshold < 10_000_000);
            }
        }
    }
}
