//! `limits`: limits of a running proxy as they are in force, and another rate for one of them.

use super::tables::{AdminArgs, Columns, show, shown, unreachable};
use super::tokens::quoted;
use super::{Verdict, say, say_json};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct LimitsArgs {
    #[command(subcommand)]
    change: Option<Change>,
    /// Those of this pipeline
    #[arg(long, value_name = "PIPELINE")]
    pipeline: Option<String>,
    #[command(flatten)]
    admin: AdminArgs,
    /// Show it again every two seconds, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Put another rate in force, until the next reload or restart
    #[command(after_help = "\
Examples:
  fishplate limits set --pipeline events --limit per-token --rate 500/s
  fishplate limits set --pipeline events --limit per-token --token phc_abc --rate 50/s
It is in force at once, on this Fishplate alone, and stands in no file: write it there, too, if it is to stay. It needs a
token (--admin-token-file) where the config has some, and is answered on Fishplate's own machine alone where it has none.")]
    Set(SetArgs),
}

#[derive(Debug, Args)]
struct SetArgs {
    /// The pipeline
    #[arg(long, value_name = "PIPELINE")]
    pipeline: String,
    /// The limit
    #[arg(long, value_name = "LIMIT")]
    limit: String,
    /// One of its keys, as an override names it; without it: of all that have no rate of their own
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// How much in what time, as in the config: 500/s, 20MiB/m
    #[arg(long, value_name = "RATE")]
    rate: String,
    /// How much at once; as before where it is left out, or a second's worth where it was that
    #[arg(long, value_name = "N")]
    burst: Option<String>,
    #[command(flatten)]
    admin: AdminArgs,
}

const COLUMNS: Columns = &[
    ("PIPELINE", "pipeline"),
    ("LIMIT", "limit"),
    ("KEY", "key"),
    ("UNIT", "unit"),
    ("RATE", "rate"),
    ("BURST", "burst"),
    ("ACTION", "action"),
    ("ENFORCED", "enforced"),
    ("OVERRIDES", "overrides"),
    ("KEYS", "keys"),
    ("UNTIL RELOAD", "until_reload"),
];

pub(super) fn limits(args: &LimitsArgs) -> anyhow::Result<Verdict> {
    if let Some(Change::Set(args)) = &args.change {
        return set(args);
    }
    let of = args.pipeline.as_ref().map(|pipeline| format!("?pipeline={}", quoted(pipeline))).unwrap_or_default();
    show(&args.admin, &args.admin.remote(), args.watch, &format!("/api/v1/limits{of}"), |answer| shown(answer, COLUMNS))
}

fn set(args: &SetArgs) -> anyhow::Result<Verdict> {
    let SetArgs { pipeline, limit, token, rate, burst, admin } = args;
    let asked = json!({ "pipeline": pipeline, "limit": limit, "token": token, "rate": rate, "burst": burst });
    match admin.remote().for_operator(true).post("/api/v1/limits", &asked) {
        Ok(answer) if admin.json => say_json(&answer),
        Ok(answer) => say(&words(&answer)),
        Err(error) => unreachable(&error),
    }
}

fn words(answer: &Value) -> String {
    let text = |key: &str| answer[key].as_str().unwrap_or_default();
    let of = answer["token"].as_str().map(|token| format!(", key {token}")).unwrap_or_default();
    format!(
        "{} of {}{of}: {}, burst {}, until {}; it stands in no file\n",
        text("limit"),
        text("pipeline"),
        text("rate"),
        answer["burst"],
        text("until")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_was_set_says_how_long_it_holds() {
        let answer = json!({ "pipeline": "events", "limit": "per-token", "token": "phc_…01234567", "rate": "50/s", "burst": 20, "until": "the next reload or restart" });
        insta::assert_snapshot!(words(&answer), @"per-token of events, key phc_…01234567: 50/s, burst 20, until the next reload or restart; it stands in no file");
    }
}
