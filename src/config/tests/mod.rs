//! What is found in configs, and what a right one becomes.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

mod admin;
mod authorization;
mod files;
mod identities;
mod logins;
mod mistakes;
mod odd;
mod policy;
mod schema;
mod tls;

const BASE: &str = "\
virtual_cluster: v
default_cluster: a
listeners: [{ bind: 127.0.0.1:9092 }]
clusters:
  a: { slot: 0, bootstrap: [a.example:1] }
  b: { slot: 1, bootstrap: [b.example:1] }
";

/// `BASE` with more below it.
fn base(more: &str) -> String {
    format!("{BASE}{more}")
}

fn variable(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("h.example:1".to_owned()),
        "SECRET" => Some("hunter2".to_owned()),
        "SLOT" => Some("7".to_owned()),
        "BRACE" => Some("hunter2{".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn read(text: &str) -> Reading {
    load::text("c.yaml", text, &variable)
}

/// Each finding as `line:column what -> instead`, a warning with `warning: ` before it.
fn found(text: &str) -> Vec<String> {
    heads(&read(text).found)
}

fn heads(found: &Mistakes) -> Vec<String> {
    let head = |one: &Mistake| {
        let place = one.place.as_ref().map_or("-".to_owned(), |place| format!("{}:{}", place.line, place.column));
        let warning = if one.severity == Severity::Warning { "warning: " } else { "" };
        format!("{place} {warning}{} -> {}", one.what, one.instead)
    };
    found.iter().map(head).collect()
}

/// A directory of files that goes when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn with(files: &[(&str, &[u8])]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("fishplate-config-{}-{next}", std::process::id()));
        for (name, content) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, content).expect("a file");
        }
        Self(root)
    }

    /// What is found in one of its files, with the directory's own name taken out.
    fn found(&self, name: &str) -> Vec<String> {
        let reading = load::file(&self.0.join(name), &variable);
        let prefix = format!("{}/", self.0.display());
        reading
            .found
            .iter()
            .zip(heads(&reading.found))
            .map(|(one, head)| format!("{} {head}", one.file).replace(&prefix, ""))
            .collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_sample_configs_have_nothing_wrong() {
    for file in ["config/minimal.yaml", "config/full.yaml"] {
        let reading = Reading::of_file(Path::new(file));
        assert_eq!(reading.found.to_string(), "", "{file}");
        assert!(reading.config.is_some(), "{file}");
    }
}

#[test]
fn a_right_config_is_what_it_says() {
    let config = Config::from_text(
        "c.yaml",
        &base("pipelines:\n  - { name: p, topics: [\"t*\", \"!t2\"], groups: [g], cluster: b }\n"),
    )
    .expect("a config");
    let (a, b) = (Slot::new(0).expect("0"), Slot::new(1).expect("1"));
    assert_eq!(config.virtual_cluster.as_ref(), "v");
    assert_eq!(config.default_cluster, a);
    assert_eq!(config.clusters.iter().map(|cluster| cluster.slot).collect::<Vec<_>>(), [a, b]);
    assert_eq!(config.cluster(b).map(|cluster| cluster.name.as_str()), Some("b"));
    assert_eq!(config.pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect::<Vec<_>>(), ["p", "default"]);
    for (topic, pipeline, cluster) in [("t1", "p", b), ("t2", "default", a), ("x", "default", a)] {
        let found = config.pipeline_of_topic(topic);
        assert_eq!((found.name.as_str(), found.cluster), (pipeline, cluster), "{topic}");
    }
    assert_eq!(config.pipeline_of_group("g").cluster, b);
    assert_eq!(config.pipeline_of_group("g2").cluster, a);
}

#[test]
fn pools_and_limits_are_what_they_say_and_fit_into_each_other() {
    let of = |more: &str| Config::from_text("c.yaml", &base(more)).expect("a config");
    let config = of("");
    assert_eq!((config.memory, config.limits.request), (Memory::default(), 100 << 20), "as Kafka");
    let limits = "limits: { request: 20MiB, idle: 90s, handshake: 500ms, sessions: 7 }\n";
    let config = of(&format!("memory: {{ requests: 2GiB, parked: 3MiB }}\n{limits}"));
    assert_eq!((config.memory.requests, config.memory.parked), (2 << 30, 3 << 20));
    let Limits { request, handshake, idle, sessions, .. } = config.limits;
    let times = (handshake, idle);
    assert_eq!((request, sessions), (20 << 20, 7));
    assert_eq!(times, (Duration::from_millis(500), Duration::from_secs(90)));
    for (more, mistake) in [
        ("limits: { request: 201MiB }\n", "at most 200MiB"),
        ("limits: { request: 0KiB }\n", "no request fits"),
        ("memory: { requests: 1KiB }\n", "1024 bytes are no pool of memory"),
        ("memory: { requests: 5s }\n", "`5s` is not a size"),
        ("limits: { idle: 5 }\n", "this must be a time, not a number"),
        ("limits: { idle: 0s }\n", "no time at all"),
        ("limits: { sessions: 0 }\n", "0 lets nobody through"),
    ] {
        let all = found(&base(more));
        assert!(all.len() == 1 && all[0].contains(mistake), "{more}: {all:?}");
    }
}
