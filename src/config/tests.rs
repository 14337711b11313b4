//! What is found in configs, and what a right one becomes.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;

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
fn a_mistake_is_printed_with_its_line_a_mark_and_what_to_write() {
    insta::assert_snapshot!(
        read(&base("pipelines:\n  - name: events\n    topics: [\"events*\"]\n    cluster: bb\n\tx: 1\n")).found
    );
    insta::assert_snapshot!(
        read(&base("pipelines:\n  - { name: events, topics: [\"events*\"], cluster: bb, acks: 1 }\n")).found
    );
    let coloured = read("a: 1\n").found.render(true);
    assert!(coloured.contains("\x1b[1;31mmistake\x1b[0m"), "{coloured:?}");
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
fn every_mistake_of_a_file_is_found_in_one_run() {
    insta::assert_snapshot!(
        found(
            "\
virtual_cluster: 12
default-cluster: old
listeners:
  - bind: 0.0.0.0:9092
    tls: {}
  - bind: localhost:9092
    advertised: http://a:1
    nodes: single
    node: auto
clusters:
  old: { slot: 0, bootstrap: [\"127.0.0.1:19092\"] }
  new: { slot: 0, bootstrap: [\"127.0.0.1:19092\", \"x\", \"a:1,b:2\"] }
  big: { slot: 31, bootstrap: [] }
  bare:
  old: { slot: 4 }
pipelines:
  - name: events
    topics: [events*, !events_dlq]
    cluster: nwe
  - name: default
    topics: [\"/x[/\"]
    cluster: new
  - topics: *x
    groups: [\"${NOT_SET}\"]
    contract: {}
admin:
"
        )
        .join("\n")
    );
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(found("{}\n").len(), 4);
    insta::assert_snapshot!(found("admin: {}\nclusters: { a: {} }\npipelines: [{}]\nlisteners: [{}]\n").join("\n"));
}

#[test]
fn keys_of_other_versions_are_known_as_such() {
    for (text, key) in [
        (base("control: { cluster: a }\n"), "control"),
        (base("memory: {}\n"), "memory"),
        (base("clients: []\n"), "clients"),
        (base("metrics: {}\n"), "metrics"),
        (base("pipelines: [{ name: p, topics: [t], cluster: a, limits: [] }]\n"), "limits"),
        (base("pipelines: [{ name: p, topics: [t], cluster: a, slo: {} }]\n"), "slo"),
        (BASE.replace("slot: 1,", "slot: 1, sasl: {},"), "sasl"),
        (BASE.replace("9092 }", "9092, hosts: x }"), "hosts"),
    ] {
        let all = found(&text);
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].ends_with(&format!("`{key}` is not in this version -> leave it out")), "{all:?}");
    }
}

/// One wrong thing each, and exactly one finding with these words.
#[test]
fn each_mistake_is_found_once() {
    for (text, words) in [
        (BASE.replace("default_cluster: a", "default_cluster: c"), "2:18 no cluster is called `c` -> "),
        (BASE.replace("default_cluster: a", "default_cluster: [a]"), "2:18 this must be a text, not a list"),
        (BASE.replace("virtual_cluster: v", "virtual_cluster: true"), "1:18 this must be a text, not a boolean"),
        (BASE.replace("virtual_cluster: v", "virtual_cluster: \"\""), "1:18 this text is empty"),
        (BASE.replace("virtual_cluster: v", "virtual_cluster: ~"), "1:1 `virtual_cluster` has no value"),
        (
            BASE.replace("virtual_cluster: v", "virtual_cluster: a b"),
            "1:18 `a b` cannot be the name of virtual_cluster",
        ),
        (BASE.replace("  b: { slot", "  none: { slot"), "6:3 `none` cannot be the name of a cluster: metrics say it"),
        (BASE.replace("  b: { slot", "  several: { slot"), "6:3 `several` cannot be the name of a cluster: metrics"),
        (BASE.replace("slot: 1", "slot: 0"), "6:14 slot 0 is the cluster `a`'s already (c.yaml:5)"),
        (BASE.replace("slot: 1", "slot: 31"), "6:14 31 is no slot: they go from 0 to 30"),
        (BASE.replace("slot: 1", "slot: -1"), "6:14 `-1` is not a whole number from 0 up"),
        (BASE.replace("slot: 1", "slot: 1.0"), "6:14 `1.0` is not a whole number from 0 up"),
        (BASE.replace("slot: 1", "slot: \"1\""), "6:14 this must be a number, not a text -> leave the quotes out: 1"),
        (BASE.replace("slot: 1", "slot: [1]"), "6:14 this must be a number, not a list"),
        (
            BASE.replace("[b.example:1]", "b.example:1"),
            "6:28 this must be a list, not a text -> write a list of one: [\"b.example:1\"]",
        ),
        (BASE.replace("[b.example:1]", "[]"), "6:28 there must be at least one"),
        (BASE.replace("[b.example:1]", "[A.example:1]"), "6:29 `A.example:1` is an address of the cluster `a` already"),
        (BASE.replace("[b.example:1]", "[\"b:1\", \"B:1\"]"), "6:36 warning: `B:1` is listed twice (c.yaml:6)"),
        (
            BASE.replace("[b.example:1]", "[\"0.0.0.0:1\"]"),
            "6:29 `0.0.0.0:1` is no address that somebody can connect to",
        ),
        (BASE.replace("[b.example:1]", "[\"b:0\"]"), "6:29 `b:0` has port 0"),
        (BASE.replace("[b.example:1]", "[\"127.0.0.1:9092\"]"), "6:29 `127.0.0.1:9092` is a listener of this proxy"),
        (BASE.replace("127.0.0.1:9092", "\"[::]:9092\""), "3:21 clients cannot be told `[::]:9092`"),
        (BASE.replace("127.0.0.1:9092", "kafka:9092"), "3:21 `kafka:9092` is not an IP address with a port"),
        (
            BASE.replace(":9092 }]", ":9092 }, { bind: 127.0.0.1:9092 }]"),
            "3:47 `127.0.0.1:9092` is bound already (c.yaml:3)",
        ),
        (
            BASE.replace(":9092 }]", ":9092 }, { bind: 0.0.0.0:9092, advertised: a:1 }]"),
            "3:47 `0.0.0.0:9092` is bound already (c.yaml:3)",
        ),
        (
            BASE.replace("9092 }", "9092, nodes: broker }"),
            "3:44 `broker` is no way to show nodes -> did you mean `brokers`?",
        ),
        (BASE.replace("[{ bind: 127.0.0.1:9092 }]", "[]"), "3:12 there must be at least one"),
        (base("admin: { bind: 127.0.0.1:9092 }\n"), "7:16 `127.0.0.1:9092` is bound already (c.yaml:3)"),
        (base("admin: { bind: 9644 }\n"), "7:16 this must be a text, not a number"),
        (base("admin: 1\n"), "7:8 this must be a map, not a number"),
        (base("? [x]\n: 1\n"), "7:3 a key must be a name"),
        (base("<<: { a: 1 }\n"), "7:1 `<<` (a YAML merge) is not read"),
        (base("---\na: 1\n"), "7:1 a second YAML document starts here"),
        (base("admin: { bind: *a }\n"), "7:16 without quotes, `*a` is a YAML alias"),
    ] {
        let all = found(&text);
        assert_eq!(all.len(), 1, "{words}: {all:#?}");
        assert!(all[0].starts_with(words), "{words}: {all:#?}");
    }
}

#[test]
fn any_free_port_may_be_asked_for_twice() {
    let text = BASE.replace("[{ bind: 127.0.0.1:9092 }]", "[{ bind: 127.0.0.1:0 }, { bind: 127.0.0.1:0 }]");
    assert_eq!(found(&(text + "admin: { bind: 127.0.0.1:0 }\n")), [""; 0]);
}

#[test]
fn each_mistake_of_a_pipeline_is_found_once() {
    let first = "{ name: p, topics: [\"t*\", u], groups: [\"g*\"], cluster: a }";
    for (second, words) in [
        ("{ name: p, topics: [x], cluster: a }", "a pipeline is called `p` already (c.yaml:8)"),
        ("{ name: default, topics: [x], cluster: a }", "`default` is the built-in pipeline"),
        ("{ name: a/b, topics: [x], cluster: a }", "`a/b` cannot be the name of a pipeline"),
        (
            "{ name: none, topics: [x], cluster: a }",
            "`none` cannot be the name of a pipeline: metrics say it of a request that belongs to none -> take another",
        ),
        (
            "{ name: several, topics: [x], cluster: a }",
            "`several` cannot be the name of a pipeline: metrics say it of a request that belongs to more than one",
        ),
        ("{ name: q, topics: [x], cluster: aa }", "no cluster is called `aa` -> did you mean `a`?"),
        ("{ name: q, topics: [], cluster: a }", "there must be at least one"),
        ("{ name: q, topics: [\"!x\"], cluster: a }", "only exclusions: nothing is left to match"),
        ("{ name: q, topics: [\"/(/\"], cluster: a }", "this regular expression is wrong: unclosed group"),
        ("{ name: q, topics: [\"x{1,2}\"], cluster: a }", "`{` means nothing in a glob"),
        ("{ name: q, topics: [x y], cluster: a }", "no topic can have ` ` in its name"),
        (
            "{ name: q, topics: [tt, u], cluster: a }",
            "no topic can belong to the pipeline `q`: `tt` belongs to the pipeline `p` above; `u`",
        ),
        (
            "{ name: q, topics: [\"tt*\"], cluster: a }",
            "no topic can belong to the pipeline `q`: `tt*` belongs to the pipeline `p` above",
        ),
        (
            "{ name: q, topics: [\"x*\", \"!*\"], cluster: a }",
            "no topic can belong to the pipeline `q`: `x*` is excluded by the same list",
        ),
        (
            "{ name: q, topics: [\"tt*\", x], cluster: a }",
            "warning: `tt*` can never match: it belongs to the pipeline `p` above",
        ),
        (
            "{ name: q, topics: [x], groups: [g1], cluster: b }",
            "the groups of `g1` belong to the pipeline `p` above -> a group has one home",
        ),
        (
            "{ name: q, topics: [x], groups: [\"g*\"], cluster: b }",
            "the groups of `g*` belong to the pipeline `p` above -> a group has one home",
        ),
        (
            "{ name: q, topics: [x], groups: [g1], cluster: a }",
            "warning: the groups of `g1` belong to the pipeline `p` above",
        ),
    ] {
        let all = found(&base(&format!("pipelines:\n  - {first}\n  - {second}\n")));
        assert_eq!(all.len(), 1, "{second}: {all:#?}");
        let (_, what) = all[0].split_once(' ').expect("a place");
        assert!(what.starts_with(words), "{second}: {all:#?}");
    }
}

#[test]
fn what_an_earlier_pipeline_has_only_in_part_is_no_mistake() {
    for (first, second) in [
        ("[\"t*\", \"!t2\"]", "[t2]"),
        ("[\"t?\"]", "[\"t*\"]"),
        ("[\"/t.*/\"]", "[\"tt*\"]"),
        ("[\"a*\"]", "[\"*b\"]"),
    ] {
        let more = format!(
            "pipelines:\n  - {{ name: p, topics: {first}, cluster: a }}\n  - {{ name: q, topics: {second}, cluster: b }}\n"
        );
        assert_eq!(found(&base(&more)), [""; 0], "{first} {second}");
    }
}

#[test]
fn values_come_from_outside_and_are_never_printed() {
    let secret = Directory::with(&[
        ("c.yaml", BASE.replace("b.example:1", "\"${file:address}\"").as_bytes()),
        ("address", b"f.example:2\n"),
    ]);
    assert_eq!(secret.found("c.yaml"), [""; 0]);
    let config = read(&BASE.replace("slot: 1", "slot: ${SLOT}").replace("[b.example:1]", "[\"${HOST}\"]")).config;
    assert!(config.is_none(), "braces between braces need quotes");
    let config = read(&BASE.replace("slot: 1", "slot: \"${SLOT}\"").replace("[b.example:1]", "[\"${HOST}\"]")).config;
    let config = config.expect("a config");
    assert_eq!(config.clusters[1].slot.number(), 7);
    assert_eq!(config.clusters[1].bootstrap[0].to_string(), "h.example:1");

    let secret = "${SECRET}";
    let text = format!(
        "\
virtual_cluster: \"{secret} \"
default_cluster: {secret}
listeners:
  - {{ bind: \"{secret}\", advertised: \"{secret}\", nodes: \"{secret}\" }}
clusters:
  a: {{ slot: \"{secret}\", bootstrap: [\"{secret}\", \"x://{secret}\", \"{secret},x\", \"{secret}:0\", \"{secret}:1\", \"{secret}:1\"] }}
  b: {{ slot: 1, bootstrap: [\"{secret}:1\"] }}
pipelines:
  - {{ name: \"{secret}\", topics: [\"/({secret}/\", \"{secret}[\", \"${{BRACE}}\"], groups: [\"{secret}\"], cluster: \"{secret}\" }}
  - {{ name: \"{secret}\", topics: [\"{secret}\"], cluster: a }}
  - {{ name: q, topics: [\"{secret}\"], groups: [\"{secret}\"], cluster: b }}
include: \"{secret}/*/x.yaml\"
admin: {{ bind: \"{secret}\", password: swordfish, 'token': \"swordfish, too\" }}
"
    );
    let reading = read(&text);
    assert!(reading.found.count().0 > 15, "{}", reading.found);
    let json = serde_json::to_string(&reading.found).expect("JSON");
    for printed in [reading.found.to_string(), json, format!("{:?}", reading.found)] {
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(!printed.contains("swordfish"), "{printed}");
    }
    insta::assert_snapshot!(heads(&reading.found).join("\n"));
}

#[test]
fn a_variable_that_is_empty_or_not_set_is_a_mistake() {
    for (value, words) in [
        ("${EMPTY}", "1:18 `${EMPTY}` is empty"),
        ("${NOT_SET}", "1:18 the environment variable `NOT_SET` is not set"),
        ("${file:gone}", "1:18 `gone` cannot be read: it does not exist"),
        ("${", "1:18 `${` is never closed"),
    ] {
        let all = found(&BASE.replace("virtual_cluster: v", &format!("virtual_cluster: {value}")));
        assert!(all.len() == 1 && all[0].starts_with(words), "{all:?}");
    }
}

#[test]
fn mistakes_of_included_files_name_the_file() {
    let pipeline = |name: &str, topic: &str, cluster: &str| {
        format!("pipelines: [{{ name: {name}, topics: [{topic}], cluster: {cluster} }}]\n")
    };
    let directory = Directory::with(&[
        (
            "c.yaml",
            base("include: [\"conf.d/*.yaml\", gone.yaml, \"none.d/*\", \"conf.d/*.yml\", \"*/a.yaml\"]\n").as_bytes(),
        ),
        ("conf.d/2.yaml", pipeline("two", "t", "b").as_bytes()),
        ("conf.d/1.yaml", pipeline("one", "t", "bb").as_bytes()),
        ("conf.d/3.yaml", b"admin: {}\n"),
        ("conf.d/4.yaml", b"# nothing yet\n"),
        ("conf.d/5.yaml", b"\xff"),
        ("conf.d/.6.yaml", b"not: read\n"),
        ("conf.d/7.txt", b"not: read\n"),
    ]);
    insta::assert_snapshot!(directory.found("c.yaml").join("\n"));
}

#[test]
fn included_pipelines_follow_in_the_order_of_their_files() {
    let pipeline = |name: &str| format!("pipelines: [{{ name: {name}, topics: [{name}], cluster: a }}]\n");
    let directory = Directory::with(&[
        ("c.yaml", base(&(pipeline("own") + "include: conf.d/*.yaml\n")).as_bytes()),
        ("conf.d/b.yaml", pipeline("b").as_bytes()),
        ("conf.d/a.yaml", pipeline("a").as_bytes()),
    ]);
    let config = Config::from_file(&directory.0.join("c.yaml")).expect("a config");
    let names: Vec<&str> = config.pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
    assert_eq!(names, ["own", "a", "b", "default"]);
}

#[test]
fn what_is_no_config_file_says_so() {
    let large = format!("#{}\n", "x".repeat(10 << 20));
    let directory = Directory::with(&[
        ("empty", b""),
        ("comment", b"# nothing\n"),
        ("null", b"~\n"),
        ("list", b"- 1\n"),
        ("text", b"hello\n"),
        ("latin", b"virtual_cluster: a\nx: \xe9\n"),
        ("large", large.as_bytes()),
        ("unclosed", b"listeners: [1\nx: 2\n"),
        ("tab", b"listeners:\n\t- bind: x\n"),
        ("nul", b"a: \0\n"),
    ]);
    let names = ["gone", "", "empty", "comment", "null", "list", "text", "latin", "large", "unclosed", "tab", "nul"];
    insta::assert_snapshot!(names.iter().flat_map(|name| directory.found(name)).collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_would_blow_up_is_refused() {
    let bomb = (1..20).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
        let before = n - 1;
        text + &format!(
            "a{n}: &a{n} [*a{before},*a{before},*a{before},*a{before},*a{before},*a{before},*a{before},*a{before}]\n"
        )
    });
    for (text, words) in [
        ("[".repeat(100_000), "nested deeper than 32 levels"),
        ("- ".repeat(30_000), "nested deeper than 32 levels"),
        ("{a: ".repeat(40) + &"}".repeat(40), "nested deeper than 32 levels"),
        (bomb, "more than 200000 values"),
        ("a: &a [*a]\n".to_owned(), "an alias inside of what it repeats"),
    ] {
        let all = found(&text).join("\n");
        assert!(all.contains(words), "{words}: {all:.500}");
    }
    let many: String = (0..5_000).map(|n| format!("k{n}: 1\n")).collect();
    let all = found(&many);
    assert!(all.len() < 1_010 && all.last().is_some_and(|last| last.contains("more are not shown")), "{}", all.len());
}

#[test]
fn of_an_endless_line_only_what_is_marked_is_shown() {
    let many: String = (0..2_000).map(|n| format!("k{n}: 1, ")).collect();
    let printed = read(&format!("{{ {many} }}")).found.to_string();
    assert!(printed.contains("\n1 | k999\n  | ^^^^\n"), "{printed:.2000}");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_read_over() {
    assert_eq!(found(&format!("\u{feff}{}", BASE.replace('\n', "\r\n"))), [""; 0]);
}

#[test]
fn a_terminal_is_not_driven_by_a_config() {
    let shown = read(&base("x: \"\u{1b}[2J\u{7}\"\n\"\\e[2J\": 1\n")).found.to_string();
    assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
}

#[test]
fn aliases_repeat_values() {
    let text =
        BASE.replace("[a.example:1]", "[&x a.example:1]") + "pipelines: [{ name: &n p, topics: [*n], cluster: a }]\n";
    assert_eq!(found(&text), [""; 0]);
}

#[test]
fn the_checked_in_schema_is_the_schema() {
    let checked_in = fs::read_to_string("config/schema.json").expect("config/schema.json");
    let now = schema().expect("a schema");
    assert_eq!(checked_in, now, "it has changed: cargo run -- schema > config/schema.json");
}

/// The keys of a map in the schema.
fn keys(schema: &serde_json::Value, pointer: &str) -> Vec<String> {
    let map = schema.pointer(pointer).and_then(serde_json::Value::as_object).expect(pointer);
    map.keys().cloned().collect()
}

#[test]
fn the_schema_has_the_keys_that_are_read() {
    let schema: serde_json::Value = serde_json::from_str(&schema().expect("a schema")).expect("JSON");
    // Each key with a value of a wrong type: a key that is not read would be unknown.
    for (pointer, before, after) in [
        ("/properties", "", ""),
        ("/$defs/Listener/properties", "listeners: [{ ", " }]"),
        ("/$defs/Cluster/properties", "clusters: { a: { ", " } }"),
        ("/$defs/Pipeline/properties", "pipelines: [{ ", " }]"),
        ("/$defs/Admin/properties", "admin: { ", " }"),
    ] {
        for key in keys(&schema, pointer) {
            let all = found(&format!("{before}{key}: 1.5{after}\n")).join("\n");
            assert!(!all.contains(&format!("has no key `{key}`")), "{key}: {all}");
            assert!(all.contains("this must be") || all.contains("not a whole number"), "{key}: {all}");
        }
    }
}

#[test]
fn full_yaml_has_every_key_of_the_schema() {
    let schema: serde_json::Value = serde_json::from_str(&schema().expect("a schema")).expect("JSON");
    let full = fs::read_to_string("config/full.yaml").expect("config/full.yaml");
    let pointers =
        ["/properties", "/$defs/Listener/properties", "/$defs/Cluster/properties", "/$defs/Pipeline/properties"];
    for key in pointers.iter().flat_map(|pointer| keys(&schema, pointer)) {
        assert!(
            full.lines().any(|line| line.trim_start().trim_start_matches("- ").starts_with(&format!("{key}:"))),
            "{key}"
        );
    }
}

proptest! {
    // Each reads a whole config.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]

    /// Whatever is done to a config, it is either right or it has mistakes; never neither, never a panic.
    #[test]
    fn a_spoilt_config_is_right_or_says_why(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..6_usize, "[\\PC\\n\\t{}:,*!&\"$/-]{0,4}"), 1..6),
    ) {
        let mut text: Vec<char> = include_str!("../../config/full.yaml").chars().collect();
        for (at, remove, insert) in cuts {
            let at = at.index(text.len());
            let end = (at + remove).min(text.len());
            text.splice(at..end, insert.chars());
        }
        let text: String = text.into_iter().collect();
        let reading = load::text("config/full.yaml", &text, &variable);
        prop_assert_eq!(reading.config.is_none(), reading.found.count().0 > 0, "{}", reading.found);
    }
}
