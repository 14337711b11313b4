//! The part of docs/compatibility.md that tells of the clients' own test suites.

use super::outcomes::Known;
use super::results::{Outcome, kept};
use super::{SUITES, Way, differences};
use std::collections::BTreeMap;
use std::fmt::Write;

pub fn section() -> String {
    let outcomes = kept();
    let mut text = String::from(HEAD);
    for suite in SUITES {
        for way in Way::ALL {
            let came = outcomes.iter().find(|one| one.suite == suite.name && one.way == way);
            // Writing to a String cannot fail.
            let _ =
                writeln!(text, "| {} | {} | {} |", suite.of, way.name(), came.map_or("not run | | | |".into(), row));
        }
    }
    text.push_str("\nWhat differs, and why:\n\n");
    let mut reasons: BTreeMap<&str, Vec<&Known>> = BTreeMap::new();
    for known in differences() {
        reasons.entry(known.why.trim()).or_default().push(known);
    }
    for (why, about) in reasons {
        let of = |one: &Known| {
            let ways = one.ways.as_ref().map_or("every way".into(), |ways| ways.join("; "));
            format!("{} `{}` ({ways})", one.suite, one.tests)
        };
        let about: Vec<_> = about.into_iter().map(of).collect();
        let _ = writeln!(text, "- {}: {why}", about.join(", "));
    }
    flaky(&outcomes, &mut text);
    text
}

fn row(one: &Outcome) -> String {
    let Outcome { rounds, the_same, differ, flaky, not_judged, on, .. } = one;
    format!("{the_same} | {} | {} | {} | {rounds}, {on}", differ.len(), flaky.len(), not_judged.len())
}

fn flaky(outcomes: &[Outcome], text: &mut String) {
    let of = |one: &Outcome| {
        let name = format!("{} ({})", one.suite, one.way.name());
        let rounds = one.rounds;
        let tests =
            one.flaky.iter().map(move |(test, (bare, here))| format!("`{test}` {bare}/{rounds} and {here}/{rounds}"));
        (name, tests.collect::<Vec<_>>())
    };
    let named: Vec<_> = outcomes.iter().map(of).filter(|(_, tests)| !tests.is_empty()).collect();
    if named.is_empty() {
        return;
    }
    text.push_str("\nFlaky, passed on bare Kafka and through Fishplate:\n\n");
    for (name, tests) in named {
        let _ = writeln!(text, "- {name}: {}", tests.join(", "));
    }
}

const HEAD: &str = "
## Clients' own test suites

Run by `scripts/suites` on bare Kafka 4.3 and through Fishplate: all topics on one cluster, or spread over two by their
names, half of them on Kafka 3.9. What passes on bare Kafka must pass here, in most rounds at least, or stands below with its
reason. Not judged is what bare Kafka fails or what skips itself there.

| suite | way | the same | differ | flaky | not judged | rounds, day |
|---|---|---|---|---|---|---|
";
