//! `diff`, `topics`, `groups`, `clients`: what is asked of a running proxy, and how it is shown.

use super::remote::{Mistake, ReachArgs, Refused, Remote};
use super::{FileArgs, Verdict, colours, complain, load, say};
use clap::Args;
use fishplate::admin::operations::{Difference, difference};
use fishplate::config::Config;
use fishplate::telemetry::Telemetry;
use serde_json::Value;
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::thread::sleep;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    /// The admin address of the running proxy: HOST:PORT, or https://HOST:PORT where it has `admin.tls`
    #[arg(long, value_name = "ADDRESS", env = "FISHPLATE_ADMIN", default_value = "127.0.0.1:9644")]
    admin: String,
    #[command(flatten)]
    reach: ReachArgs,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl AdminArgs {
    pub(super) fn remote(&self) -> Remote<'_> {
        Remote::at(&self.admin, &self.reach)
    }
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Show it again every two seconds, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Rows at most
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    limit: usize,
}

/// What a table shows: a heading, and the key of the answer's rows.
pub(super) type Columns = &'static [(&'static str, &'static str)];

const TOPICS: Columns = &[
    ("TOPIC", "topic"),
    ("PIPELINE", "pipeline"),
    ("CLUSTER", "cluster"),
    ("PARTITIONS", "partitions"),
    ("LEADERLESS", "leaderless"),
    ("ALSO ON", "also_on"),
    ("REFUSED", "refused"),
];
const GROUPS: Columns = &[
    ("GROUP", "group"),
    ("HOME", "home"),
    ("ON", "cluster"),
    ("STATE", "state"),
    ("COORDINATOR", "coordinator"),
    ("TOPICS ELSEWHERE", "elsewhere"),
];
const CLIENTS: Columns = &[
    ("ADDRESS", "address"),
    ("NAME", "name"),
    ("VERSION", "version"),
    ("PRINCIPAL", "principal"),
    ("IDENTITY", "identity"),
    ("CLIENT ID", "client_id"),
    ("VIEW", "view"),
    ("LINKS", "links"),
    ("REQUESTS", "requests"),
    ("BYTES", "bytes"),
    ("LAST ERROR", "last_error"),
    ("SECONDS", "seconds"),
];

pub(super) fn topics(args: &TableArgs) -> anyhow::Result<Verdict> {
    table(args, "topics", TOPICS)
}

pub(super) fn groups(args: &TableArgs) -> anyhow::Result<Verdict> {
    table(args, "groups", GROUPS)
}

pub(super) fn clients(args: &TableArgs) -> anyhow::Result<Verdict> {
    table(args, "clients", CLIENTS)
}

fn table(args: &TableArgs, name: &str, columns: Columns) -> anyhow::Result<Verdict> {
    let path = format!("/api/v1/{name}?limit={}", args.limit);
    show(&args.admin, &args.admin.remote(), args.watch, &path, |answer| shown(answer, columns))
}

/// Asks, and shows the answer as `shown` makes it; again and again where it is watched.
pub(super) fn show(
    admin: &AdminArgs,
    remote: &Remote<'_>,
    watch: bool,
    path: &str,
    shown: impl Fn(&Value) -> String,
) -> anyhow::Result<Verdict> {
    loop {
        let answer = match remote.get(path) {
            Ok(answer) => answer,
            Err(error) => return unreachable(&error),
        };
        let text = if admin.json { serde_json::to_string_pretty(&answer)? + "\n" } else { shown(&answer) };
        if watch && !admin.json && io::stdout().is_terminal() {
            say("\x1b[2J\x1b[H")?;
        }
        say(&text)?;
        if !watch {
            return Ok(Verdict::Fine);
        }
        sleep(Duration::from_secs(2));
    }
}

pub(super) fn unreachable(error: &anyhow::Error) -> anyhow::Result<Verdict> {
    complain(&format!("fishplate: {error:#}\n"));
    let is_found = error.is::<Refused>() || error.is::<Mistake>();
    Ok(if is_found { Verdict::Found } else { Verdict::Unreachable })
}

/// Rows under headings, each column as wide as it must be.
pub(super) fn shown(answer: &Value, columns: &[(&str, &str)]) -> String {
    let rows = answer["rows"].as_array().cloned().unwrap_or_default();
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|(_, key)| cell(&row[*key])).collect()).collect();
    let width = |at: usize, heading: &str| {
        let widths = cells.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        widths.chain([heading.len()]).max().unwrap_or_default()
    };
    let widths: Vec<_> = columns.iter().enumerate().map(|(at, (heading, _))| width(at, heading)).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut out = line(columns.iter().map(|(heading, _)| *heading).collect()) + "\n";
    for row in &cells {
        let _ = writeln!(out, "{}", line(row.iter().map(String::as_str).collect()));
    }
    let total = answer["total"].as_u64().unwrap_or_default();
    if total > rows.len() as u64 {
        let _ = writeln!(out, "... and {} more (--limit)", total - rows.len() as u64);
    }
    for silent in answer["silent"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "not told: {}", cell(silent));
    }
    out
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => "-".to_owned(),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

pub(super) fn diff(args: &DiffArgs) -> anyhow::Result<Verdict> {
    let Some(then) = load(&args.file) else { return Ok(Verdict::Found) };
    let now = match args.admin.remote().get("/api/v1/config") {
        Ok(now) => now,
        Err(error) => return unreachable(&error),
    };
    let now = Config::from_text("the running proxy's config", &now.to_string())?;
    let uncounted = Telemetry::new()?;
    let difference = crate::runtime()?.block_on(difference(&now, &then, &uncounted));
    if args.admin.json {
        super::say_json(&difference)?;
    } else {
        say(&words(&difference, colours(&io::stdout())))?;
    }
    Ok(if difference.is_empty() { Verdict::Fine } else { Verdict::Found })
}

fn words(difference: &Difference, colours: bool) -> String {
    use fishplate::config::diff::What;
    let mut out = String::new();
    let paint = |code: &str, text: &str| if colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    for change in &difference.changes {
        let sign = match change.what {
            What::Added => paint("32", "+"),
            What::Removed => paint("31", "-"),
            What::Changed => paint("33", "~"),
        };
        let name =
            if change.key == change.name { change.key.to_owned() } else { format!("{} {}", change.key, change.name) };
        let _ = writeln!(out, "{sign} {name}: {}", change.how.join("; "));
    }
    for (kind, moves) in [("topic", &difference.topics), ("group", &difference.groups)] {
        for one in moves {
            let _ = writeln!(out, "{kind} {} would live on {} instead of {}", one.name, one.to, one.from);
        }
    }
    for refusal in &difference.refused {
        let (what, instead) = refusal.words();
        let _ = writeln!(out, "{} {what}\n  = {instead}", paint("1;31", "refused:"));
    }
    let last = match (difference.refused.is_empty(), difference.changes.is_empty()) {
        (false, _) => "a reload would refuse the whole file",
        (true, true) => "nothing would change",
        (true, false) => "a reload would do this and close no connection",
    };
    let _ = writeln!(out, "{last}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_is_as_wide_as_it_must_be() {
        let row = |topic: &str, also_on: &[&str]| json!({ "topic": topic, "pipeline": "p", "cluster": "a", "partitions": 3, "leaderless": 0, "also_on": also_on, "refused": null });
        let answer = json!({ "total": 3, "rows": [row("a-long-name", &["b", "c"]), row("t", &[])] });
        insta::assert_snapshot!(shown(&answer, TOPICS), @r"
        TOPIC        PIPELINE  CLUSTER  PARTITIONS  LEADERLESS  ALSO ON  REFUSED
        a-long-name  p         a        3           0           b,c      -
        t            p         a        3           0           -        -
        ... and 1 more (--limit)
        ");
    }
}
