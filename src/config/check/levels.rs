//! Service levels and what metrics show of lag: numbers that make sense.

use super::super::amounts::Amount;
use super::super::findings::Findings;
use super::super::policy::Share;
use super::super::raw::{self, File};
use super::super::{Metrics, Slo};
use std::time::Duration;

/// A pipeline's service level. Inside `None`: something of it is wrong, which is told.
pub(super) fn slo(raw: &raw::Pipeline, findings: &mut Findings) -> Option<Option<Slo>> {
    let Some(slo) = &raw.slo else { return Some(None) };
    if raw.groups.as_ref().is_none_or(Vec::is_empty) {
        let what = "a service level without `groups`: nobody's commits would be counted";
        findings.mistake(slo.at, what, "name the pipeline's consumers, for example `groups: [\"events-*\"]`");
        return None;
    }
    let within = slo.committed_within.and_then(|amount| within(amount, findings));
    let objective = slo.objective.and_then(|share| {
        let objective = Share(share.millionths);
        let sensible = (Slo::LOWEST..=Slo::HIGHEST).contains(&objective);
        if !sensible {
            let (lowest, highest) = (Slo::LOWEST, Slo::HIGHEST);
            let why = if objective > highest { "leaves nothing that may ever be late" } else { "promises nothing" };
            let instead = format!("write from {lowest} to {highest}, for example 99.9%");
            findings.mistake(share.at, format!("an objective of {objective} {why}"), instead);
        }
        sensible.then_some(objective)
    });
    Some(Some(Slo { committed_within: within?, objective: objective? }))
}

fn within(amount: Amount, findings: &mut Findings) -> Option<Duration> {
    let time = Duration::from_millis(amount.value);
    let sensible = (Slo::SHORTEST..=Slo::LONGEST).contains(&time);
    if !sensible {
        let why =
            if time > Slo::LONGEST { "is longer than alerts can wait for" } else { "is shorter than can be told" };
        findings.mistake(amount.at, format!("{} ms {why}", amount.value), "write from 10ms to 1h, for example 5s");
    }
    sensible.then_some(time)
}

/// What metrics show; the default where a value is wrong, which is told.
pub(super) fn metrics(raw: &File, findings: &mut Findings) -> Metrics {
    let default = Metrics::default();
    let Some(raw::Metrics { compatibility, max_pairs }) = &raw.metrics else { return default };
    let max_pairs = max_pairs.map_or(default.max_pairs, |number| {
        let pairs = usize::try_from(number.value).unwrap_or(usize::MAX);
        if !(1..=Metrics::MOST_PAIRS).contains(&pairs) {
            let what = format!("{pairs} pairs of a group and a partition cannot be shown");
            findings.mistake(number.at, what, format!("write from 1 to {}", Metrics::MOST_PAIRS));
        }
        pairs.clamp(1, Metrics::MOST_PAIRS)
    });
    Metrics { compatibility: compatibility.unwrap_or(default.compatibility), max_pairs }
}
