//! Prometheus' rules file.

use super::MARK;
use super::alerts::{Alert, Book, Recorded};
use super::words::quoted;

/// The file of a book.
pub(super) fn text(book: &Book, runbooks: &str) -> String {
    let mut groups = String::new();
    if !book.recorded.is_empty() {
        let rules: String = book.recorded.iter().map(recorded).collect();
        groups += &group(&format!("{}-levels", book.name), &rules);
    }
    let rules: String = book.alerts.iter().map(|one| alert(one, runbooks)).collect();
    groups += &group(&format!("{}-alerts", book.name), &rules);
    format!("# {MARK}\ngroups:\n{groups}")
}

fn group(name: &str, rules: &str) -> String {
    format!("  - name: {}\n    rules:\n{rules}", quoted(name))
}

/// An expression as a block, so that it is read as it is.
fn expression(expr: &str) -> String {
    let lines = expr.lines().map(|line| format!("          {line}\n"));
    format!("        expr: |-\n{}", lines.collect::<String>())
}

fn recorded(rule: &Recorded) -> String {
    format!("      - record: {}\n{}", rule.name, expression(&rule.expr))
}

fn alert(alert: &Alert, runbooks: &str) -> String {
    let mark = alert.mark.as_ref();
    let mark = mark
        .map(|(label, value)| {
            format!(
                "          {label}: {}
",
                quoted(value)
            )
        })
        .unwrap_or_default();
    format!(
        "      - alert: {}\n{}        for: {}\n        labels:\n          severity: {}\n          pipeline: {}\n{mark}        \
         annotations:\n          summary: {}\n          description: {}\n          runbook_url: {}\n",
        alert.name,
        expression(&alert.expr),
        alert.pending,
        alert.severity,
        quoted(&alert.pipeline),
        quoted(&alert.summary),
        quoted(&alert.description),
        quoted(&format!("{}/{}.md", runbooks.trim_end_matches('/'), alert.name)),
    )
}
