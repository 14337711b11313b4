//! What is made of configs: names that exist, pages for all alerts, the same every time; some of it as a whole.

use super::*;
use crate::telemetry::catalogue;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const SMALL: &str = "
virtual_cluster: v
default_cluster: a
listeners: [{ bind: '127.0.0.1:9092' }]
clusters: { a: { slot: 0, bootstrap: ['a.example:1'] } }
pipelines:
  - name: events
    topics: ['events*']
    groups: ['readers*']
    cluster: a
    slo: { committed_within: 5s, objective: 99.9% }
";

fn small() -> Config {
    Config::from_text("small.yaml", SMALL).expect("a config")
}

fn full() -> Config {
    Config::from_file(Path::new("config/full.yaml")).expect("full.yaml")
}

fn made(config: &Config) -> BTreeMap<String, String> {
    files(config, "runbooks").into_iter().map(|file| (file.path, file.text)).collect()
}

/// Every word that is the name of a series: of ours, or recorded by a rule.
fn series(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':')));
    words.filter(|word| word.starts_with("fishplate_") || word.contains(":fishplate_")).collect()
}

#[test]
fn a_config_makes_the_same_files_every_time() {
    assert_eq!(files(&full(), "x"), files(&full(), "x"));
    insta::assert_snapshot!(made(&full()).keys().cloned().collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_file_says_that_it_is_ours() {
    for (path, text) in made(&full()) {
        assert!(is_ours(&text), "{path}");
    }
    assert!(!is_ours("groups: []\n"));
}

#[test]
fn every_metric_that_rules_and_dashboards_name_exists() {
    for config in [small(), full()] {
        let all = made(&config);
        let rules = all.iter().filter(|(path, _)| path.starts_with("rules/"));
        let recorded: BTreeSet<_> = rules
            .flat_map(|(_, text)| text.lines().filter_map(|line| line.trim().strip_prefix("- record: ")))
            .collect();
        let mut named = 0;
        for (path, text) in &all {
            for name in series(text) {
                named += 1;
                assert!(recorded.contains(name) || catalogue::family(name).is_some(), "{path}: {name}");
            }
        }
        assert!(named > 100, "{named}: this test can fail");
    }
}

#[test]
fn labels_that_alerts_are_told_by_are_labels_of_the_metric() {
    for (path, text) in made(&full()).iter().filter(|(path, _)| path.starts_with("tests/")) {
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("- series: ")) {
            let text: String = serde_json::from_str(line).expect("a text");
            let (name, labels) = text.split_once('{').expect("labels");
            let Some(family) = catalogue::family(name) else { continue };
            for label in labels.split(", ").filter_map(|pair| Some(pair.split_once('=')?.0)) {
                assert!(label == "instance" || family.labels.contains(&label), "{path}: {label} of {name}");
            }
        }
    }
}

#[test]
fn every_alert_has_a_page_and_every_page_an_alert() {
    let all = made(&full());
    let rules = all.iter().filter(|(path, _)| path.starts_with("rules/"));
    let alerts: BTreeSet<_> =
        rules.flat_map(|(_, text)| text.lines().filter_map(|line| line.trim().strip_prefix("- alert: "))).collect();
    let pages = all.keys().filter_map(|path| path.strip_prefix("runbooks/")?.strip_suffix(".md"));
    assert_eq!(alerts, pages.collect());
    assert_eq!(alerts, runbooks::guided().into_iter().collect());
    for alert in alerts {
        assert!(alert.starts_with("Fishplate") && alert.chars().all(char::is_alphanumeric), "{alert}");
    }
}

#[test]
fn every_alert_is_tried_both_ways() {
    for config in [small(), full()] {
        for book in std::iter::once(process::book(&config)).chain(config.pipelines.iter().map(standing::book)) {
            for alert in &book.alerts {
                let of = |fires| {
                    let mine = |case: &&cases::Case| {
                        case.alert == alert.name
                            && case.fires == fires
                            && (case.mark.is_none() || case.mark == alert.mark)
                    };
                    book.cases.iter().filter(mine).count()
                };
                assert!(of(true) > 0 && of(false) > 0, "{} {}", book.name, alert.name);
            }
        }
    }
}

#[test]
fn dashboards_are_json_whose_panels_do_not_overlap() {
    let all = made(&full());
    for (path, text) in all.iter().filter(|(path, _)| path.starts_with("dashboards/")) {
        let dashboard: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let panels = dashboard["panels"].as_array().expect("panels");
        let mut taken = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for panel in panels {
            let at = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(x < 24 && taken.insert((x, y)), "{path}: {}", panel["title"]);
                }
            }
            assert!(ids.insert(panel["id"].as_u64()), "{path}: {}", panel["title"]);
        }
    }
    let uids: BTreeSet<_> =
        all.values().filter_map(|text| text.lines().find(|line| line.contains("\"uid\": \"fishplate"))).collect();
    assert_eq!(uids.len(), all.keys().filter(|path| path.starts_with("dashboards/")).count());
}

#[test]
fn a_service_levels_rules_look_so() {
    let all = made(&small());
    let rules = &all["rules/pipeline-events.yml"];
    let first: Vec<_> = rules.lines().take(6).collect();
    insta::assert_snapshot!(first.join("\n"));
    let (_, alerts) = rules.split_once("events-alerts").expect("alerts");
    insta::assert_snapshot!(alerts.lines().skip(2).take(15).collect::<Vec<_>>().join("\n"));
}

#[test]
fn thresholds_follow_what_is_promised() {
    let of = |slo: &str| {
        let config = Config::from_text("c.yaml", &SMALL.replace("committed_within: 5s, objective: 99.9%", slo))
            .expect("a config");
        made(&config)["rules/pipeline-events.yml"].clone()
    };
    let slow = of("committed_within: 2m, objective: 99.9%");
    assert!(slow.contains("lag_seconds{pipeline=\"events\"}) > 1200\n"), "ten times what is promised: {slow}");
    let strict = of("committed_within: 5s, objective: 99.99%");
    assert!(strict.contains("ratio_rate1h{pipeline=\"events\"} > 0.00144\n"), "{strict}");
    assert!(strict.contains("lag_seconds{pipeline=\"events\"}) > 60\n"), "a minute at least: {strict}");
}
