//! Tests of the rules, as `promtool test rules` reads them. What fires is asked for by its series `ALERTS`: an alert's words
//! are not compared.

use super::MARK;
use super::alerts::{Alert, Book};
use super::cases::Case;
use super::words::{is, quoted};

/// The tests of a book.
pub(super) fn text(book: &Book) -> String {
    let cases: String = book.cases.iter().map(|case| trial(case, &book.alerts)).collect();
    let rules = quoted(&format!("../rules/{}.yml", book.name));
    format!("# {MARK}\nrule_files: [{rules}]\nevaluation_interval: 1m\ntests:\n{cases}")
}

fn trial(case: &Case, alerts: &[Alert]) -> String {
    let series = case
        .series
        .iter()
        .map(|(name, values)| format!("      - series: {}\n        values: {}\n", quoted(name), quoted(values)));
    let series: String = series.collect();
    let series =
        if series.is_empty() { "    input_series: []\n".to_owned() } else { format!("    input_series:\n{series}") };
    let samples = if case.fires { expected(case, alerts) } else { "        exp_samples: []\n".to_owned() };
    format!(
        "  - name: {}\n    interval: 1m\n{series}    promql_expr_test:\n      - expr: {}\n        eval_time: {}m\n{samples}",
        quoted(&format!("{}: {}", case.alert, case.says)),
        quoted(&asked(case)),
        case.minute,
    )
}

fn asked(case: &Case) -> String {
    let window = case.window.map(|window| format!(", {}", is("window", window))).unwrap_or_default();
    let of = is("alertname", case.alert);
    format!("group by (alertname, severity, pipeline, window) (ALERTS{{{of}, alertstate=\"firing\"{window}}})")
}

/// Whose alert it is stands in its rule: the one of that name, and of that window where there are several.
fn expected(case: &Case, alerts: &[Alert]) -> String {
    let of = |alert: &&Alert| {
        let pipeline = case.pipeline.as_ref().is_none_or(|pipeline| alert.pipeline == *pipeline);
        alert.name == case.alert && pipeline && (case.window.is_none() || alert.window == case.window)
    };
    let Some(alert) = alerts.iter().find(of) else { return String::new() };
    let window = alert.window.map(|window| format!(", {}", is("window", window))).unwrap_or_default();
    let labels = format!(
        "{{{}, {}, {}{window}}}",
        is("alertname", alert.name),
        is("severity", &alert.severity.to_string()),
        is("pipeline", &alert.pipeline)
    );
    format!("        exp_samples:\n          - labels: {}\n            value: 1\n", quoted(&labels))
}
