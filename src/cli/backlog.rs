//! `backlog`: whose records a group has not dealt with.

use super::Verdict;
use super::tables::{AdminArgs, show, shown};
use super::tokens::{COLUMNS, quoted, with_bars};
use clap::Args;
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub(crate) struct BacklogArgs {
    /// The group
    #[arg(long, value_name = "GROUP")]
    group: String,
    /// The topic
    #[arg(long, value_name = "TOPIC")]
    topic: String,
    /// Its partition
    #[arg(long, value_name = "N", default_value_t = 0)]
    partition: u32,
    /// By what key, where limits of the pipeline count by several: as it stands there, such as `header(token)`
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Rows at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Show tokens as they are; Fishplate's log says that it was done
    #[arg(long)]
    reveal: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(super) fn backlog(args: &BacklogArgs) -> anyhow::Result<Verdict> {
    let BacklogArgs { group, topic, partition, key, limit, reveal, admin } = args;
    let key = key.as_ref().map(|key| format!("&key={}", quoted(key))).unwrap_or_default();
    let (group, topic) = (quoted(group), quoted(topic));
    let path =
        format!("/api/v1/backlog?group={group}&topic={topic}&partition={partition}&limit={limit}&reveal={reveal}{key}");
    show(admin, &admin.remote().for_operator(*reveal), false, &path, table)
}

/// How far was looked, and rows with bars.
fn table(answer: &Value) -> String {
    let number = |key: &str| answer[key].as_i64().unwrap_or_default();
    let (from, upto, end) = (number("from"), number("looked_up_to"), number("end"));
    let part = if upto < end { format!(" of {}; there was no time for the rest", end - from) } else { String::new() };
    let mut out = format!(
        "{} by {}: the {} offsets from {from} to {upto}{part}\n",
        answer["pipeline"].as_str().unwrap_or_default(),
        answer["key"].as_str().unwrap_or_default(),
        upto - from,
    );
    let columns: Vec<_> = COLUMNS.iter().filter(|(_, key)| !["diverted", "held"].contains(key)).copied().collect();
    let rows = with_bars(&answer["rows"], &answer["all"], "records");
    out.push_str(&shown(&json!({ "total": answer["total"], "rows": rows }), &columns));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_a_backlog_stands_under_how_far_was_looked() {
        let row = |token: Value, records: u64| json!({ "token": token, "records": records, "bytes": records * 2048 });
        let answer = json!({
            "pipeline": "events", "key": "header(token)", "from": 100, "looked_up_to": 1000, "end": 5000, "total": 2,
            "all": { "records": 900, "bytes": 1_843_200 }, "rows": [row("phc_…0a1b2c3d".into(), 800), row(Value::Null, 100)],
        });
        insta::assert_snapshot!(table(&answer));
    }
}
