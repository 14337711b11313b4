//! Tests of the rules, as `promtool test rules` reads them. What fires is asked for by its series `ALERTS`: an alert's words
//! are not compared.

use super::MARK;
use super::alerts::{Alert, Book, Label};
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
    let of = is("alertname", case.alert);
    let mark = mark(case.mark.as_ref());
    format!(
        "group by (alertname, severity, pipeline, window, lane, cluster) (ALERTS{{{of}, alertstate=\"firing\"{mark}}})"
    )
}

/// Whose alert it is stands in its rule: the one of that name, and with that label where there are several.
fn expected(case: &Case, alerts: &[Alert]) -> String {
    let of = |alert: &&Alert| alert.name == case.alert && (case.mark.is_none() || alert.mark == case.mark);
    let Some(alert) = alerts.iter().find(of) else { return String::new() };
    let labels = format!(
        "{{{}, {}, {}{}}}",
        is("alertname", alert.name),
        is("severity", &alert.severity.to_string()),
        is("pipeline", &alert.pipeline),
        mark(alert.mark.as_ref())
    );
    format!("        exp_samples:\n          - labels: {}\n            value: 1\n", quoted(&labels))
}

fn mark(mark: Option<&Label>) -> String {
    mark.map(|(label, value)| format!(", {}", is(label, value))).unwrap_or_default()
}
