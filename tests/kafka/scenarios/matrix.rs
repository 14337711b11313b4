//! docs/compatibility.md, made of the table of clients, of what came of their scenarios and of the list of differences.

use super::clients::CLIENTS;
use super::contract::{Client, View};
use super::differences::{self, Known};
use super::results::{CameOfIt, Outcome, kept};
use crate::harness::repository;
use crate::suites;
use libtest_mimic::{Failed, Trial};
use std::fmt::Write;
use std::fs;

const FILE: &str = "docs/compatibility.md";

/// The document is of the clients and results that are here.
pub fn trial() -> Trial {
    Trial::test("matrix: docs/compatibility.md is up to date", || {
        let there = fs::read_to_string(repository().join(FILE)).unwrap_or_default();
        if there == document(&kept()) {
            return Ok(());
        }
        Err(Failed::from(format!("{FILE} is not what the clients and results make; run:  scripts/compatibility write")))
    })
}

/// Writes it anew, where a run keeps its results.
pub fn write() {
    if std::env::var_os("FISHPLATE_RESULTS").is_some() {
        fs::write(repository().join(FILE), document(&kept())).unwrap_or_else(|error| panic!("{FILE}: {error}"));
    }
}

fn document(outcomes: &[Outcome]) -> String {
    let mut text = String::from(HEAD);
    let days: Vec<_> = outcomes.iter().map(|one| one.on.as_str()).collect();
    let days = match (days.iter().min(), days.iter().max()) {
        (Some(first), Some(last)) if first == last => format!("on {first}"),
        (Some(first), Some(last)) => format!("from {first} to {last}"),
        _ => "never".into(),
    };
    let kafka = [kafka("4.3"), kafka("3.9")];
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "Played {days}, before Apache Kafka {} (cluster `a`, three brokers) and {} (cluster `b`, one).\n\n{LEGEND}\n",
        kafka[0], kafka[1]
    );
    text.push_str("| client | says it is |");
    for view in View::ALL {
        let _ = write!(text, " {} |", view.name());
    }
    text.push_str(" cannot play |\n|---|---|");
    text.push_str(&"---|".repeat(View::ALL.len()));
    text.push_str("---|\n");
    for client in CLIENTS {
        let says = if client.says.is_empty() { "nothing".into() } else { format!("`{}`", client.says) };
        let _ = write!(text, "| {} | {says} |", client.library);
        for view in View::ALL {
            let _ = write!(text, " {} |", cell(client, *view, outcomes));
        }
        let lacks = client.lacks.iter().map(|lack| format!("{}: {}", lack.scenarios.join(", "), lack.why));
        let _ = writeln!(text, " {} |", lacks.collect::<Vec<_>>().join("; "));
    }
    text.push_str("\n## Differences\n\n");
    for (number, known) in (1..).zip(differences::list()) {
        let Known { clients, scenario, at, why, before, .. } = known;
        let before = before.as_ref().map_or_else(String::new, |before| format!(", before the stand-in `{before}`"));
        let at = at.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "{number}. {}, {scenario}{before} ({at}): {}", clients.join(", "), why.trim());
    }
    text.push_str(BY_THEMSELVES);
    text.push_str(&suites::section());
    text
}

/// How many scenarios were the same, and which were not.
fn cell(client: &Client, view: View, outcomes: &[Outcome]) -> String {
    if !client.views.contains(&view) {
        return "not for it".into();
    }
    let is_here = |one: &&Outcome| one.client == client.name && one.view == view.name();
    let here: Vec<_> = outcomes.iter().filter(is_here).filter(|one| client.plays().contains(&&*one.scenario)).collect();
    if here.is_empty() {
        return "not run".into();
    }
    let of = |came: CameOfIt| here.iter().filter(|one| one.came_of_it == came).collect::<Vec<_>>();
    let mut parts = vec![format!("{} the same", of(CameOfIt::Same).len())];
    let notes =
        of(CameOfIt::Listed).into_iter().map(|one| format!("{} {}", one.scenario, notes(client, view, &one.scenario)));
    parts.extend(notes);
    parts.extend(of(CameOfIt::Failed).iter().map(|one| format!("**{} failed**", one.scenario)));
    let played = |scenario: &&&str| here.iter().any(|one| one.scenario == ***scenario);
    let left: Vec<_> = client.plays().into_iter().filter(|one| !played(&one)).collect();
    if !left.is_empty() {
        parts.push(format!("not run: {}", left.join(", ")));
    }
    parts.join("; ")
}

/// The numbers under "Differences".
fn notes(client: &Client, view: View, scenario: &str) -> String {
    let about = (1..).zip(differences::list()).filter(|(_, known)| known.is_about(client.name, view, scenario));
    about.map(|(number, _)| format!("[{number}]")).collect()
}

/// The whole version, out of the POM that the tests fetch it by.
fn kafka(short: &str) -> String {
    let pom = fs::read_to_string(repository().join(format!("tests/kafka/pom-{short}.xml"))).unwrap_or_default();
    let version = pom.split("<version>").filter_map(|rest| rest.split('<').next()).find(|one| one.starts_with(short));
    version.unwrap_or(short).to_owned()
}

const HEAD: &str = "# Which clients were tried, and how it went

Made by `scripts/compatibility` from what real clients saw; not written by hand. Each client plays the same scenarios on
bare Kafka and through Fishplate, and what the application saw must be equal, or the difference is listed below with its
reason. The topics of a scenario live on two clusters when it is played through Fishplate.

";

const LEGEND: &str = "The scenarios: produce and consume with every codec, duplicate header keys, acknowledgements, large records, many
partitions, idempotence, offsets by time, reset, seek, commit and resume, groups of two (range, cooperative, static
members), admin of topics and groups, topics that are not there, and all connections cut once; with some libraries transactions,
`silent` (a producer that falls silent in one is aborted and fenced), `spanning` (one that cannot be) and `operate`, what an operator does with
an admin client; `others` is what only Java's can ask. A cell says in how many of them a client saw the same; [n] is a difference under that number;
\"not for it\" is a view that such a client is not shown, because it takes nodes of one address for one node or does not say
what it is.
";

const BY_THEMSELVES: &str = "
## What clients do by themselves

Seen on bare Kafka and through Fishplate alike; the scenarios go around it.

- kafka-python 3.0.12: a consumer stands still for ever when it comes to know its topics' partitions while it joins as the
  group's leader, and `poll()` returns before it has joined: it never takes the assignment. Ask `partitions_for_topic()` after `subscribe()`.
- kafkajs 2.2.4, before it knows any topic of its own, asks for all of them, and fails when any has an error: no leader, or
  records on another cluster than its pipeline's, for which Fishplate keeps it from clients.
- kafkajs 2.2.4 keeps the order of headers of one key only. @platformatic/kafka 1.35.0 takes a `Map` of headers: two of one
  key must be two objects. `listGroups()` of kafkajs, segmentio/kafka-go and librdkafka puts the answers of all nodes one behind the other.
- kafkajs 2.2.4 has gzip only, and takes other codecs from the application: here snappy of kafkajs-snappy 1.1.0, lz4 of
  @platformatic/wasm-utils 0.2.1, zstd of zstd-codec 0.1.5.
- @platformatic/kafka cannot go back in a stream, nor can sarama in a partition: the scenario opens another.
- node-rdkafka 3.6.1: the end of its admin client may take the process with it (SIGSEGV) while other clients are at work.
";
