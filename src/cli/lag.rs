//! `lag`: how far groups are behind, the worst first.

use super::Verdict;
use super::tables::{AdminArgs, Columns, show, shown};
use super::tokens::quoted;
use clap::Args;
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub(crate) struct LagArgs {
    /// Only this group; `-` for readers that belong to none
    #[arg(long, value_name = "GROUP", allow_hyphen_values = true)]
    group: Option<String>,
    /// Only topics of this pipeline
    #[arg(long, value_name = "PIPELINE")]
    pipeline: Option<String>,
    /// Only this topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Rows at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Show it again every two seconds, until Ctrl-C
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

const COLUMNS: Columns = &[
    ("GROUP", "group"),
    ("TOPIC", "topic"),
    ("PARTITION", "partition"),
    ("LAG", "lag"),
    ("SECONDS", "seconds"),
    ("WHY", "why"),
    ("COMMITTED", "committed"),
    ("FETCHED", "fetched"),
    ("END", "end"),
    ("PIPELINE", "pipeline"),
    ("", "bar"),
];
/// The longest bar, of which the others are parts.
const WIDE: u64 = 24;

pub(super) fn lag(args: &LagArgs) -> anyhow::Result<Verdict> {
    let LagArgs { group, pipeline, topic, limit, watch, admin } = args;
    let only = |name: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!("&{name}={}", quoted(value))).unwrap_or_default()
    };
    let only = [only("group", group), only("pipeline", pipeline), only("topic", topic)].concat();
    show(admin, &admin.remote(), *watch, &format!("/api/v1/lag?limit={limit}{only}"), table)
}

/// Rows with bars, and what each group has in all.
fn table(answer: &Value) -> String {
    let rows = answer["rows"].as_array().cloned().unwrap_or_default();
    let most = rows.iter().filter_map(|row| row["lag"].as_u64()).max().unwrap_or(0).max(1);
    let rows = rows.into_iter().map(|mut row| {
        let lag = row["lag"].as_u64().unwrap_or_default();
        row["bar"] = "█".repeat(usize::try_from((lag * WIDE).div_ceil(most)).unwrap_or_default()).into();
        row["seconds"] = age(&row["seconds"], row["source"].as_str().unwrap_or_default()).into();
        for key in ["lag", "committed", "fetched", "end"] {
            if row[key].is_null() {
                row[key] = "?".into();
            }
        }
        row
    });
    let rows = json!({ "total": answer["total"], "rows": rows.collect::<Vec<_>>() });
    let mut out = shown(&rows, COLUMNS);
    for sum in answer["pipelines"].as_array().into_iter().flatten() {
        let text = |key: &str| sum[key].as_str().unwrap_or_default();
        out.push_str(&format!(
            "{} in {}: {} records behind in {} partitions, {}\n",
            text("group"),
            text("pipeline"),
            sum["lag"],
            sum["partitions"],
            age(&sum["seconds"], "arrival"),
        ));
    }
    out
}

/// Seconds as a person reads them. One of which only the most is known bears `<`, one by the record's own clock `~`.
fn age(seconds: &Value, source: &str) -> String {
    let Some(seconds) = seconds.as_f64() else { return "?".to_owned() };
    let mark = match source {
        "noticed" if seconds > 0.0 => "<",
        "record_time" if seconds > 0.0 => "~",
        _ => "",
    };
    match seconds {
        ..60.0 => format!("{mark}{seconds:.1} s"),
        60.0..3600.0 => format!("{mark}{:.1} min", seconds / 60.0),
        _ => format!("{mark}{:.1} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_stands_first_and_says_why() {
        let row = |group: &str, partition: i32, lag: Value, seconds: Value, source: &str, why: &str| {
            json!({ "group": group, "topic": "events", "partition": partition, "pipeline": "ingestion", "lag": lag,
                "seconds": seconds, "source": source, "why": why, "committed": 100, "fetched": Value::Null, "end": 5100 })
        };
        let sum =
            json!({ "pipeline": "ingestion", "group": "clickhouse", "lag": 5100, "seconds": 7300.0, "partitions": 2 });
        let answer = json!({
            "total": 3,
            "rows": [
                row("clickhouse", 1, 5000.into(), 7300.0.into(), "record_time", "no members"),
                row("clickhouse", 0, 100.into(), 61.0.into(), "noticed", "not fetched"),
                row("-", 0, Value::Null, Value::Null, "unknown", "-"),
            ],
            "pipelines": [sum],
        });
        insta::assert_snapshot!(table(&answer));
    }

    #[test]
    fn an_age_says_how_sure_it_is() {
        let said = |seconds: f64, source| age(&seconds.into(), source);
        assert_eq!([said(0.0, "noticed"), said(2.34, "arrival")], ["0.0 s", "2.3 s"]);
        assert_eq!([said(90.0, "noticed"), said(36_000.0, "record_time")], ["<1.5 min", "~10.0 h"]);
        assert_eq!(age(&Value::Null, "unknown"), "?");
    }
}
