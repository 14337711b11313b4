//! Answers as a person reads them. Knows no streams.

use std::fmt::Write;

use fishplate::admin::identities::Comes;
use fishplate::admin::live::Live;
use fishplate::admin::operations::{Check, Client, Explanation, Face, Home};
use fishplate::admin::outlook::Outlook;
use fishplate::admin::rights::Allowed;
use fishplate::types::Guise;
use fishplate::wire::versions::Lack;

/// Mistakes, and a last line that sums up.
pub(super) fn check(check: &Check, colours: bool) -> String {
    let mut out = check.found.render(colours);
    if !out.is_empty() {
        out.push('\n');
    }
    let (mistakes, warnings) = check.found.count();
    let file = &check.file;
    let _ = match &check.size {
        Some(size) => {
            let warned = if warnings > 0 { format!(" with {}", count(warnings, "warning")) } else { String::new() };
            let parts =
                [count(size.listeners, "listener"), count(size.clusters, "cluster"), count(size.pipelines, "pipeline")]
                    .join(", ");
            writeln!(out, "{file}: fine{warned}; {parts}")
        }
        None => writeln!(out, "{file}: {}, {}", count(mistakes, "mistake"), count(warnings, "warning")),
    };
    for Face { bind, advertised, shows, .. } in &check.listeners {
        let told = if advertised == bind { String::new() } else { format!(" (told as {advertised})") };
        let _ = writeln!(out, "listener {bind}{told} shows {shows}");
    }
    if let Some(live) = &check.live {
        seen(&mut out, live);
    }
    out
}

/// Each cluster in a line, with what it cannot do, then what was found.
fn seen(out: &mut String, live: &Live) {
    /// More of one run than a person reads; `--json` has them all.
    const SHOWN: usize = 50;
    for one in &live.clusters {
        let _ = match &one.id {
            _ if !one.reached => writeln!(out, "{}: not reached", one.cluster),
            id => {
                let parts =
                    [count(one.brokers, "broker"), count(one.topics, "topic"), count(one.groups, "group")].join(", ");
                let entered = match one.identities {
                    0 => String::new(),
                    1 => ", 1 identity let in".to_owned(),
                    more => format!(", {more} identities let in"),
                };
                writeln!(out, "{}: {parts}{entered}; id {}", one.cluster, id.as_deref().unwrap_or("unknown"))
            }
        };
        for Lack { what, whom } in &one.lacks {
            let _ = writeln!(out, "  without {what}: {whom}");
        }
    }
    for finding in live.found.iter().take(SHOWN) {
        let (what, instead) = finding.words();
        let _ = writeln!(out, "\n{what}\n  = {instead}");
    }
    if live.found.len() > SHOWN {
        let _ = writeln!(out, "\n... and {} more: --json has them all", live.found.len() - SHOWN);
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Where the topic and the group live, and what that means together.
pub(super) fn explanation(explanation: &Explanation) -> String {
    let mut out = String::new();
    for (what, home) in [("topic", &explanation.topic), ("group", &explanation.group)] {
        if let Some(home) = home {
            paragraph(&mut out, what, home);
        }
    }
    if explanation.apart {
        out.push_str("The group may read the topic all the same: its coordinator and committed offsets are on its own cluster.\n");
    }
    if let Some(home) = &explanation.transactional_id {
        paragraph(&mut out, "transactional id", home);
    }
    for kind in &explanation.spans {
        let _ = writeln!(out, "Its transactions cannot take in the {kind}: that lives on another cluster.");
    }
    if let Some(client) = &explanation.client {
        views(&mut out, client);
    }
    if let Some(allowed) = &explanation.rights {
        rights(&mut out, allowed);
        identities(&mut out, &explanation.identities);
    }
    if let Some(record) = &explanation.record {
        outlook(&mut out, record);
    }
    out
}

/// What a principal may do, and why.
fn rights(out: &mut String, allowed: &Allowed) {
    let Allowed { principal, host, open, super_user, answers } = allowed;
    let from = host.map_or(String::new(), |host| format!(" from {host}"));
    let _ = match (open, super_user) {
        (true, _) => writeln!(out, "{principal} may do everything: the config has no `authorization`"),
        (_, true) => writeln!(out, "{principal} may do everything: it is a super user"),
        _ => writeln!(out, "{principal}{from}"),
    };
    for answer in answers.iter().filter(|_| !super_user) {
        let may = if answer.allowed { "may" } else { "may not" };
        let of = if answer.resource == "Cluster" { "the cluster" } else { &answer.name };
        let _ = writeln!(out, "  {may:<7} {} {of} ({})", answer.operation, answer.why);
    }
}

/// As whom a principal comes to clusters.
fn identities(out: &mut String, all: &[Comes]) {
    for Comes { cluster, identity, who } in all {
        let _ = match (identity, who) {
            (Some(identity), Some(who)) if identity == Guise::OWN_NAME => {
                writeln!(out, "  comes to cluster {cluster} as {who}")
            }
            (Some(identity), Some(who)) => writeln!(out, "  comes to cluster {cluster} as identity {identity} ({who})"),
            _ => writeln!(
                out,
                "  does not come to cluster {cluster}: it has no identity there, and `unmapped` is refuse"
            ),
        };
    }
}

/// What contract and limits would make of a record.
fn outlook(out: &mut String, record: &Outlook) {
    let when = if record.live { "now" } else { "as the first one" };
    let _ = writeln!(out, "such a record, {when}: {}", record.becomes);
    if let Some(contract) = &record.contract {
        let says = contract.breaks.as_deref().unwrap_or("it keeps to it");
        let _ = writeln!(out, "  contract  {says} (on_violation: {})", contract.on_violation);
    }
    for limit in &record.limits {
        let value = limit.value.as_deref().map_or(" (it has none)".to_owned(), |value| format!(" {value}"));
        let own = if limit.own_rate { " of its own" } else { "" };
        let set = if limit.until_reload { ", set until the next reload: it stands in no file" } else { "" };
        let _ = writeln!(out, "  limit {}: {}", limit.limit, limit.says);
        let _ = writeln!(out, "    by {}{value}; it counts {}", limit.key, limit.counts);
        let _ = writeln!(out, "    rate {}{own}, burst {}{set}", limit.rate, limit.burst);
        let wait = if limit.wait_ms > 0 { format!(", room for it in {} ms", limit.wait_ms) } else { String::new() };
        let _ = writeln!(out, "    {} left{wait}", limit.left);
        let is = if limit.is_enforced { "this key is in it" } else { "this key is not" };
        let share =
            if limit.action == "observe" { String::new() } else { format!(", enforced to {}: {is}", limit.enforced) };
        let _ = writeln!(out, "    action {}{share}", limit.action);
    }
    if record.limits.iter().any(|limit| matches!(limit.action.as_str(), "overflow" | "drop")) {
        let _ = writeln!(out, "  Records of transactions are not moved or dropped: docs/policy.md says whose are.");
    }
}

/// What each listener shows a client.
fn views(out: &mut String, client: &Client) {
    let named = if client.name.is_empty() { "that does not say what it is" } else { &client.name };
    let listed = if client.listed { "on the list" } else { "on no list" };
    let _ =
        writeln!(out, "client {}", format!("{named} {}", client.version).trim_end().to_owned() + " (" + listed + ")");
    for one in &client.views {
        let harm = if one.harmed { "; it takes these nodes for one, and may lose data" } else { "" };
        let _ = writeln!(out, "  {}  {} at {}{harm}", one.bind, one.view, one.at);
    }
}

fn paragraph(out: &mut String, what: &str, home: &Home) {
    let why = match &home.pattern {
        Some(pattern) => format!("matches `{pattern}`"),
        None => format!("no pipeline claims this {what}"),
    };
    let _ = writeln!(out, "{what} {}", home.name);
    let _ = writeln!(out, "  pipeline  {} ({why})", home.pipeline);
    let _ = writeln!(out, "  cluster   {} (slot {}: {})", home.cluster, home.slot, home.bootstrap.join(", "));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use fishplate::admin::operations;
    use fishplate::admin::outlook::{AskedRecord, by_config};
    use fishplate::config::Config;

    use super::*;

    #[test]
    fn an_explanation_names_the_pattern_and_the_cluster() {
        let config = Config::from_file(Path::new("config/full.yaml")).expect("config/full.yaml");
        let explain = |topic, group, client| {
            let asked = operations::Asked { topic, group, client, ..operations::Asked::default() };
            explanation(&operations::explain(&config, asked))
        };
        insta::assert_snapshot!("explain_both", explain(Some("events_eu"), Some("reports"), None));
        insta::assert_snapshot!("explain_topic", explain(Some("elsewhere"), None, None));
        let transactional_id = Some("orders-1");
        let asked = operations::Asked { group: Some("reports"), transactional_id, ..operations::Asked::default() };
        insta::assert_snapshot!("explain_transactions", explanation(&operations::explain(&config, asked)));
        insta::assert_snapshot!("explain_client", explain(None, None, Some("librdkafka/2.3.0")));
        let headers = [("token", "phc_0123456789abcdef"), ("timestamp", "yesterday")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let record = AskedRecord { topic: "events_eu".to_owned(), headers, ..AskedRecord::default() };
        let asked = operations::Asked { topic: Some("events_eu"), ..operations::Asked::default() };
        let record = Some(by_config(&config, &record));
        let explained = operations::Explanation { record, ..operations::explain(&config, asked) };
        insta::assert_snapshot!("explain_record", explanation(&explained));
    }

    #[test]
    fn a_check_sums_up() {
        let sum = |file: &str| check(&operations::check(Path::new(file)).0, false);
        let fine = "config/minimal.yaml: fine; 1 listener, 2 clusters, 1 pipeline\n";
        let shown = "listener 127.0.0.1:9092 shows brokers to clients on the list, single to others\n";
        assert_eq!(sum("config/minimal.yaml"), fine.to_owned() + shown);
        assert!(sum("gone.yaml").ends_with("\ngone.yaml: 1 mistake, 0 warnings\n"), "{}", sum("gone.yaml"));
    }
}
