//! `tokens`: who speaks most in a pipeline of a running proxy.

use super::Verdict;
use super::tables::{AdminArgs, Columns, show, shown};
use clap::Args;
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub(crate) struct TokensArgs {
    /// The pipeline
    #[arg(long, value_name = "PIPELINE")]
    pipeline: String,
    /// What they are put in order by
    #[arg(long, default_value = "records", value_parser = ["records", "bytes", "diverted", "held"])]
    by: String,
    /// Of the last minute or the last ten
    #[arg(long, default_value = "1m", value_parser = ["1m", "10m"])]
    window: String,
    /// By what keys, where limits of the pipeline count by several: as it stands there, such as `header(token)`
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Rows at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Show it again every two seconds, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Show tokens as they are; Fishplate's log says that it was done
    #[arg(long)]
    reveal: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(super) const COLUMNS: Columns = &[
    ("TOKEN", "token"),
    ("RECORDS", "records"),
    ("BYTES", "bytes"),
    ("DIVERTED", "diverted"),
    ("HELD", "held"),
    ("SHARE", "share"),
    ("", "bar"),
];
/// The longest bar, of which the others are parts.
const WIDE: u64 = 24;

pub(super) fn tokens(args: &TokensArgs) -> anyhow::Result<Verdict> {
    let TokensArgs { pipeline, by, window, key, limit, watch, reveal, admin } = args;
    let key = key.as_ref().map(|key| format!("&key={}", quoted(key))).unwrap_or_default();
    let pipeline = quoted(pipeline);
    let path = format!("/api/v1/tokens?pipeline={pipeline}&by={by}&window={window}&limit={limit}&reveal={reveal}{key}");
    show(admin, &admin.remote().for_operator(*reveal), *watch, &path, table)
}

/// As it may stand in a query.
pub(super) fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let quote = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(quote).collect()
}

/// What was said in all, and rows with bars.
fn table(answer: &Value) -> String {
    let text = |key: &str| answer[key].as_str().unwrap_or_default();
    let (by, all) = (text("by"), &answer["all"]);
    let mut out = format!(
        "{} by {}, the last {} s: {} records, {}, {} diverted, {} held\n",
        text("pipeline"),
        text("key"),
        answer["seconds"],
        all["records"],
        size(&all["bytes"]),
        all["diverted"],
        all["held"]
    );
    let rows = with_bars(&answer["rows"], all, by);
    out.push_str(&shown(&json!({ "total": answer["total"], "rows": rows }), COLUMNS));
    let others = answer["other_keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let others: Vec<_> = others.map(|key| format!("--key '{key}'")).collect();
    if !others.is_empty() {
        out.push_str(&format!("also: {}\n", others.join(", ")));
    }
    out
}

/// Rows with their share of all, and bars of which the first is the longest.
pub(super) fn with_bars(rows: &Value, all: &Value, by: &str) -> Vec<Value> {
    let count = |row: &Value, key: &str| row[key].as_u64().unwrap_or_default();
    let rows = rows.as_array().cloned().unwrap_or_default();
    let most = rows.first().map_or(0, |row| count(row, by)).max(1);
    let rows = rows.into_iter().map(|mut row| {
        let part = count(&row, by);
        let permille = part * 1000 / count(all, by).max(1);
        row["share"] = format!("{}.{}%", permille / 10, permille % 10).into();
        row["bar"] = "█".repeat(usize::try_from((part * WIDE).div_ceil(most)).unwrap_or_default()).into();
        row["bytes"] = size(&row["bytes"]).into();
        if row["token"].is_null() {
            row["token"] = "(none)".into();
        }
        row
    });
    rows.collect()
}

/// Bytes in a unit that a person reads.
fn size(bytes: &Value) -> String {
    let bytes = bytes.as_u64().unwrap_or_default();
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, word)) => format!("{}.{} {word}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_nothing_of_its_own_meaning() {
        assert_eq!(quoted("header(a)+key&x=ü"), "header%28a%29%2Bkey%26x%3D%C3%BC");
    }

    #[test]
    fn tokens_stand_under_each_other_with_bars() {
        let row = |token: Value, records: u64, diverted: u64| json!({ "token": token, "records": records, "bytes": records * 1024, "diverted": diverted, "held": 0 });
        let answer = json!({
            "pipeline": "events", "key": "header(token)", "other_keys": ["client_id"], "seconds": 71, "by": "records",
            "all": { "records": 1000, "bytes": 1024000, "diverted": 400, "held": 0 }, "total": 57,
            "rows": [row("phc_…0a1b2c3d".into(), 600, 400), row(Value::Null, 100, 0), row("…ffffffff".into(), 1, 0)],
        });
        insta::assert_snapshot!(table(&answer), @r"
        events by header(token), the last 71 s: 1000 records, 1000.0 KiB, 400 diverted, 0 held
        TOKEN          RECORDS  BYTES      DIVERTED  HELD  SHARE
        phc_…0a1b2c3d  600      600.0 KiB  400       0     60.0%  ████████████████████████
        (none)         100      100.0 KiB  0         0     10.0%  ████
        …ffffffff      1        1.0 KiB    0         0     0.1%   █
        ... and 54 more (--limit)
        also: --key 'client_id'
        ");
    }
}
