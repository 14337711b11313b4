//! What `fishplate provision` makes is what Prometheus and Grafana take: promtool reads the rules and runs their tests, and
//! TypeScript holds dashboards against the types that Grafana publishes.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SMALL: &str = "
virtual_cluster: v
default_cluster: a
listeners: [{ bind: '127.0.0.1:9092' }]
clusters: { a: { slot: 0, bootstrap: ['a.example:1'] } }
pipelines:
  - { name: events, topics: ['events*'], groups: ['readers*'], cluster: a, slo: { committed_within: 5s, objective: 99.9% } }
  - { name: low, topics: ['l*'], groups: ['lr*'], cluster: a, slo: { committed_within: 1h, objective: 50% } }
  - { name: high, topics: ['h*'], groups: ['hr*'], cluster: a, slo: { committed_within: 10ms, objective: 99.9999% } }
  - { name: loose, topics: ['x*'], groups: ['xr*'], cluster: a, slo: { committed_within: 1m, objective: 90% } }
";

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fishplate-provision-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.0.join(name), text).expect("a file");
        self.0.join(name)
    }

    /// Of one of its folders.
    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.join(folder)).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn provision(config: &Path, out: &Folder, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fishplate"));
    command.arg("provision").arg("-c").arg(config).arg("--out").arg(&out.0).args(more);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("fishplate")
}

/// All that a program said; it fails the test where it did.
fn succeeds(program: &str, arguments: &[&str], files: &[PathBuf]) -> String {
    let mut command = Command::new(program);
    let output = command.args(arguments).args(files).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; scripts/test setup brings it"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

fn made(name: &str) -> Folder {
    let out = Folder::new(name);
    let config =
        if name.starts_with("full") { PathBuf::from("config/full.yaml") } else { out.write("small.yaml", SMALL) };
    let output = provision(&config, &out, &[]);
    assert!(output.status.success(), "{output:?}");
    out
}

fn full() -> bool {
    std::env::var("FISHPLATE_TEST_LEVEL").is_ok_and(|level| level == "full")
}

#[test]
fn promtool_finds_nothing_wrong_with_rules_and_their_tests_pass() {
    for name in ["full-rules", "small-rules"] {
        let out = made(name);
        let said = succeeds("promtool", &["check", "rules"], &out.files("rules"));
        assert!(!said.contains("FAILED"), "{said}");
        if name == "full-rules" && !full() {
            eprintln!("SHORT: the tests of the rules of config/full.yaml run at FISHPLATE_TEST_LEVEL=full");
            continue;
        }
        let said = succeeds("promtool", &["test", "rules"], &out.files("tests"));
        assert_eq!(said.matches("SUCCESS").count(), out.files("tests").len(), "{said}");
    }
}

/// A rule that lost its point is found by the tests that are made with it.
#[test]
fn the_tests_of_rules_can_fail() {
    let out = made("small-broken");
    let rules = out.0.join("rules/pipeline-events.yml");
    let good = fs::read_to_string(&rules).expect("rules");
    let broken = [
        ("> 0.0144", "> 0.0300"),
        ("> 0.0144", "> 0.0100"),
        ("increase1h{pipeline=\"events\"} >= 10", "increase1h{pipeline=\"events\"} >= 0"),
        ("increase6h{pipeline=\"events\"} >= 129.6", "increase6h{pipeline=\"events\"} >= 0"),
        ("> 0.1", "> -1"),
        ("< 3600", "< 360000"),
        (
            "fishplate_partition_start_offset{pipeline=\"events\"} > 0",
            "fishplate_partition_start_offset{pipeline=\"events\"} >= 0",
        ),
        ("fishplate_group_members{pipeline=\"events\"}) == 0", "fishplate_group_members{pipeline=\"events\"}) >= 0"),
    ];
    let tried = if full() { broken.len() } else { 1 };
    if tried < broken.len() {
        eprintln!("SHORT: {tried} of {} rules are broken; FISHPLATE_TEST_LEVEL=full breaks all", broken.len());
    }
    for (from, to) in broken.into_iter().rev().take(tried) {
        assert!(good.contains(from), "{from}");
        fs::write(&rules, good.replace(from, to)).expect("rules");
        let tests = out.0.join("tests/pipeline-events.yml");
        let output = Command::new("promtool").args(["test", "rules"]).arg(tests).output().expect("promtool");
        assert!(!output.status.success(), "{from} -> {to}");
    }
}

#[test]
fn dashboards_are_of_the_type_that_grafana_publishes() {
    let (full, small) = (made("full-dashboards"), made("small-dashboards"));
    let files: Vec<_> = [full.files("dashboards"), small.files("dashboards")].concat();
    assert!(files.len() > 8);
    succeeds("tests/dashboards/check.sh", &[], &files);
}

/// Grafana fills in what begins with a dollar.
#[test]
fn every_query_of_a_dashboard_is_one() {
    let out = made("full-queries");
    let mut rules = "groups:\n  - name: queries\n    rules:\n".to_owned();
    let mut number = 0;
    for file in out.files("dashboards") {
        let text = fs::read_to_string(file).expect("a dashboard");
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("\"expr\": ")) {
            number += 1;
            let query = line.trim_end_matches(',').replace("$__rate_interval", "5m").replace("$group", ".*");
            rules += &format!("      - record: query:{number}\n        expr: {query}\n");
        }
    }
    assert!(number > 100, "{number}");
    succeeds("promtool", &["check", "rules"], &[out.write("queries.yml", &rules)]);
}

#[test]
fn a_wrong_dashboard_is_told_from_a_right_one() {
    let out = made("small-wrong");
    let good = fs::read_to_string(out.0.join("dashboards/fishplate.json")).expect("a dashboard");
    for (from, to) in [
        ("\"palette-classic\"", "\"rainbow\""),
        ("\"schemaVersion\": 42", "\"schemaVersion\": \"42\""),
        ("\"showLegend\"", "\"legend\""),
    ] {
        assert!(good.contains(from), "{from}");
        let file = out.write("wrong.json", &good.replace(from, to));
        let output =
            Command::new("tests/dashboards/check.sh").arg(file).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let output = output.expect("tests/dashboards/check.sh");
        assert!(String::from_utf8_lossy(&output.stdout).contains("error TS"), "{from}: {output:?}");
    }
}

#[test]
fn a_folder_is_brought_up_to_date_and_what_others_wrote_is_left_alone() {
    let out = made("small-again");
    let config = out.0.join("small.yaml");
    let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(provision(&config, &out, &["--check"]).status.success());

    let (gone, notes) = (out.0.join("rules/pipeline-low.yml"), out.0.join("rules/own.yml"));
    fs::write(&notes, "groups: []\n").expect("a file");
    let without: String =
        SMALL.lines().filter(|line| !line.contains("name: low")).map(|line| format!("{line}\n")).collect();
    fs::write(&config, without).expect("a config");
    let checked = provision(&config, &out, &["--check"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(said(&checked).contains(&format!("not asked for {}", gone.display())), "{}", said(&checked));
    assert!(gone.exists(), "nothing is written for --check");

    assert!(provision(&config, &out, &[]).status.success());
    assert!(!gone.exists() && notes.exists());
    assert!(provision(&config, &out, &["--check"]).status.success());

    let theirs = out.0.join("runbooks/FishplateDown.md");
    fs::write(&theirs, "by hand\n").expect("a file");
    let refused = provision(&config, &out, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not ours"), "{refused:?}");
    assert_eq!(fs::read_to_string(&theirs).expect("a file"), "by hand\n");
}
