//! A service level's rules: shares that are late over several windows, the budget that is left, and alerts on how fast it
//! burns. Records alone do not do: nothing is committed while a consumer is dead, so time is counted too.

use super::alerts::{Alert, Recorded};
use super::burn::{BUDGET, PAIRS, Pair, WINDOWS, budget};
use super::cases::{Case, grows};
use super::words::{decimal, is};
use crate::config::{Pipeline, Slo};

/// What is counted.
struct Indicator {
    /// In names of series.
    of: &'static str,
    alert: &'static str,
    /// What is late of them, in a sentence.
    late: &'static str,
}

const RECORDS: Indicator =
    Indicator { of: "records", alert: "FishplateLateRecords", late: "of the records were committed later" };
const SECONDS: Indicator =
    Indicator { of: "seconds", alert: "FishplateLateTime", late: "of the time a record waited longer" };

/// Fewer late records are no trend.
const FEWEST_RECORDS: u64 = 10;

impl Indicator {
    fn late(&self) -> String {
        format!("fishplate_slo_late_{}_total", self.of)
    }

    fn all(&self) -> String {
        format!("fishplate_slo_{}_total", self.of)
    }

    fn ratio(&self, window: &str) -> String {
        format!("pipeline_group:fishplate_slo_late_{}:ratio_rate{window}", self.of)
    }

    fn increase(&self, window: &str) -> String {
        format!("pipeline_group:fishplate_slo_late_{}:increase{window}", self.of)
    }

    fn left(&self) -> String {
        format!("pipeline_group:fishplate_slo_{}_budget_left:ratio{BUDGET}", self.of)
    }
}

/// The series that dashboards show: of the burnt, the left of records and of time.
pub(super) fn ratio_of_records(window: &str) -> String {
    RECORDS.ratio(window)
}

/// Likewise of time.
pub(super) fn ratio_of_time(window: &str) -> String {
    SECONDS.ratio(window)
}

/// What is left of the budgets: of records, of time.
pub(super) fn budgets_left() -> [String; 2] {
    [RECORDS.left(), SECONDS.left()]
}

fn over(function: &str, family: &str, pipeline: &Pipeline, window: &str) -> String {
    format!("sum by (pipeline, group) ({function}({family}{{{}}}[{window}]))", is("pipeline", pipeline.name.as_str()))
}

/// What is computed ahead for a pipeline.
pub(super) fn recorded(pipeline: &Pipeline, slo: &Slo) -> Vec<Recorded> {
    [RECORDS, SECONDS].iter().flat_map(|indicator| of_indicator(indicator, pipeline, slo)).collect()
}

fn of_indicator(indicator: &Indicator, pipeline: &Pipeline, slo: &Slo) -> Vec<Recorded> {
    let ratio = |window: &&str| {
        let (late, all) = (indicator.late(), indicator.all());
        let (late, all) = (over("rate", &late, pipeline, window), over("rate", &all, pipeline, window));
        // Nothing of nothing is no ratio, and not NaN.
        Recorded { name: indicator.ratio(window), expr: format!("{late}\n  / ({all} > 0)") }
    };
    let increase = |pair: &Pair| {
        let expr = over("increase", &indicator.late(), pipeline, pair.long);
        Recorded { name: indicator.increase(pair.long), expr }
    };
    let left = format!(
        "1 - {}{{{}}} / {}",
        indicator.ratio(BUDGET),
        is("pipeline", pipeline.name.as_str()),
        decimal(budget(slo))
    );
    let left = Recorded { name: indicator.left(), expr: left };
    WINDOWS.iter().map(ratio).chain(PAIRS.iter().map(increase)).chain([left]).collect()
}

/// An alert for each indicator and pair of windows.
pub(super) fn alerts(pipeline: &Pipeline, slo: &Slo) -> Vec<Alert> {
    let both = [RECORDS, SECONDS];
    both.iter().flat_map(|indicator| PAIRS.iter().map(|pair| alert(indicator, pair, pipeline, slo))).collect()
}

fn alert(indicator: &Indicator, pair: &Pair, pipeline: &Pipeline, slo: &Slo) -> Alert {
    let own = is("pipeline", pipeline.name.as_str());
    let threshold = decimal(pair.threshold(slo));
    let (fewest, guard) = match indicator.of {
        "records" => (FEWEST_RECORDS.to_string(), format!("at least {FEWEST_RECORDS} records")),
        // Watched for a moment only, a moment's lateness would be much.
        _ => (decimal(pair.seconds(slo)), format!("at least {} seconds", decimal(pair.seconds(slo)))),
    };
    let expr = format!(
        "{}{{{own}}} > {threshold}\n  and {}{{{own}}} > {threshold}\n  and {}{{{own}}} >= {fewest}",
        indicator.ratio(pair.long),
        indicator.ratio(pair.short),
        indicator.increase(pair.long),
    );
    let within = format!("{:?}", slo.committed_within);
    Alert {
        name: indicator.alert,
        expr,
        pending: pair.pending,
        severity: pair.severity,
        pipeline: pipeline.name.to_string(),
        mark: Some(("window", pair.long.to_owned())),
        summary: format!(
            "Group {{{{ $labels.group }}}} of pipeline {} burns its budget of late {}",
            pipeline.name,
            if indicator.of == "records" { "records" } else { "time" }
        ),
        description: format!(
            "Within {}, {{{{ $value | humanizePercentage }}}} {} than {within}. The objective is {}: the budget of {BUDGET} is spent \
             at least {} times too fast.",
            pair.long,
            indicator.late,
            slo.objective,
            decimal(pair.threshold(slo) * 10_000_000 / budget(slo)),
        ),
        bound: format!("{threshold} over {} and {}, {guard}", pair.long, pair.short),
    }
}

/// When they must fire, and when not.
pub(super) fn cases(pipeline: &Pipeline, slo: &Slo) -> Vec<Case> {
    let mut cases: Vec<Case> = PAIRS.iter().flat_map(|pair| of_pair(pair, pipeline, slo)).collect();
    let (records, seconds) = (RECORDS.alert, SECONDS.alert);
    let dead = || watched(pipeline, 60, 60, 90).into_iter().chain(records_of(pipeline, "100+0", "0+0", 90)).collect();
    // As much as the objective lets one hour have, halved.
    let blip = decimal(PAIRS[0].seconds(slo) / 2);
    let restart = series(pipeline, "seconds", &grows(60, 90), &format!("0+0x30 {blip}+0x59"));
    let few = series(pipeline, "records", "0+1x5 5+0x84", "0+1x5 5+0x84");
    cases.extend([
        Case::silent(records, "A dead consumer commits nothing, so that no record is late", 60, dead()),
        Case::silent(seconds, "A deploy keeps records waiting for a moment", 33, restart),
        Case::silent(records, "Five records are late, of five in all", 5, few),
        Case::silent(seconds, "An idle group is watched and never late", 80, watched(pipeline, 60, 0, 90)),
        Case::silent(records, "No record comes", 80, records_of(pipeline, "0+0", "0+0", 90)),
        Case::silent(records, "There are no series of records", 60, Vec::new()),
        Case::silent(seconds, "There are no series of time", 60, Vec::new()),
    ]);
    cases
}

fn of_pair(pair: &Pair, pipeline: &Pipeline, slo: &Slo) -> [Case; 4] {
    let (records, seconds) = (RECORDS.alert, SECONDS.alert);
    // A minute's records, so many that shares of them are whole numbers.
    const MINUTE: u64 = 10_000_000;
    let (above, below) = (pair.threshold(slo) * 11 / 10, pair.threshold(slo) * 9 / 10);
    let soon = 40 + pair.pending_minutes;
    // It has been dead for as long as the long window may have; that this took one minute here saves the test its time.
    let long = pair.seconds(slo).div_ceil(10_000_000);
    let dead = format!("0 {long}+60x{soon}");
    let little = decimal(pair.threshold(slo) * 60 * 9 / 10);
    let of = |late| records_of(pipeline, &format!("0+{MINUTE}"), &format!("0+{late}"), soon);
    [
        Case::fires(records, format!("A little more is late than {} times the budget", pair.factor()), soon, of(above)),
        Case::silent(
            records,
            format!("A little less is late than {} times the budget", pair.factor()),
            soon,
            of(below),
        ),
        Case::fires(seconds, "A consumer is dead", soon, series(pipeline, "seconds", &dead, &dead)),
        Case::silent(
            seconds,
            format!("Records wait a little less often than {} times the budget", pair.factor()),
            soon,
            watched(pipeline, 60, &little, soon),
        ),
    ]
    .map(|case| case.of("window", pair.long))
}

fn series(pipeline: &Pipeline, of: &str, all: &str, late: &str) -> Vec<(String, String)> {
    let labels = format!("{{{}, group=\"readers\"}}", is("pipeline", pipeline.name.as_str()));
    vec![
        (format!("fishplate_slo_{of}_total{labels}"), all.to_owned()),
        (format!("fishplate_slo_late_{of}_total{labels}"), late.to_owned()),
    ]
}

/// So many seconds a minute are watched, and so many of them late.
fn watched(pipeline: &Pipeline, seconds: u64, late: impl std::fmt::Display, minutes: u64) -> Vec<(String, String)> {
    series(pipeline, "seconds", &grows(seconds, minutes), &grows(late, minutes))
}

fn records_of(pipeline: &Pipeline, all: &str, late: &str, minutes: u64) -> Vec<(String, String)> {
    series(pipeline, "records", &format!("{all}x{minutes}"), &format!("{late}x{minutes}"))
}
