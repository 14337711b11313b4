//! Each mistake of a config is found, all in one run, and told once.

use super::*;

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
    slo: {}
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
        (base("pipelines: [{ name: p, topics: [t], cluster: a, mirror: {} }]\n"), "mirror"),
    ] {
        let all = found(&text);
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].ends_with(&format!("`{key}` is not in this version -> leave it out")), "{all:?}");
    }
}

/// The first listener with more in it.
fn with(more: &str) -> String {
    BASE.replace("9092 }", &format!("9092, {more} }}"))
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
        (with("nodes: hosts"), "3:44 `nodes: hosts` needs an address for each node -> add `hosts:` to this listener"),
        (with("nodes: single, hosts: \"n{node}.k:1\""), "3:59 warning: no client is shown these"),
        (with("hosts: \"kafka:9092\""), "3:44 `kafka:9092` has no {node} in its name"),
        (with("hosts: \"n{node}.k\""), "3:44 `n{node}.k` is not host:port"),
        (with("hosts: \"n{id}.k:1\""), "3:44 in `n{id}.k:1`, only {node} may stand in braces"),
        (with("hosts: \"k:{port}\""), "3:44 `k:{port}` has {port} and no range of ports -> write for example { name"),
        (with("hosts: { name: k, ports: 100-110 }"), "3:52 `k` does not end in :{port}"),
        (with("hosts: { name: \"k:{port}\", ports: 9 }"), "3:71 this must be a text, not a number"),
        (with("hosts: { name: \"k:{port}\", ports: 9-1 }"), "3:71 `9-1` is no range of ports"),
        (with("hosts: { name: \"k:{port}\", ports: 9-9 }"), "3:71 1 ports are too few for 2 clusters"),
        (with("hosts: { name: \"k:{port}\", ports: 1-9000 }"), "3:71 9000 ports are more than the 2000"),
        (with("hosts: { name: \"k:{port}\", ports: 9090-9095 }"), "3:71 port 9092 of this range is bound already"),
        (base("clients: [{ name: x, view: broker }]\n"), "7:28 `broker` is no view -> did you mean `brokers`?"),
        (base("clients: [{ name: x, from: new, view: single }]\n"), "7:28 `new` is no version"),
        (base("clients: [{ name: x }]\n"), "7:13 a client needs `view`"),
        (
            base("clients: [{ name: x, view: single }, { name: x, view: hosts }]\n"),
            "7:38 this client stands in the list already: x",
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
fn how_a_cluster_is_logged_in_to_is_checked() {
    let sasl = |keys: &str| BASE.replace("slot: 1,", &format!("slot: 1, tls: {{}}, sasl: {{ {keys} }},"));
    let all = found(&sasl("mechanism: scram_sha_512, username: u, password: p"));
    assert!(
        all[0].contains("`scram_sha_512` is no mechanism that Fishplate logs in with -> did you mean `SCRAM-SHA-512`?"),
        "{all:?}"
    );
    let all = found(&sasl("mechanism: GSSAPI, username: u, password: p"));
    assert!(
        all[0].ends_with("-> write one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, AWS_MSK_IAM"),
        "{all:?}"
    );
    assert_eq!(found(&sasl("mechanism: PLAIN")).len(), 1, "what is missing is told together");
    let open = sasl("mechanism: PLAIN, username: u, password: hunter2").replace("tls: {}, ", "");
    let config = Config::from_text("f.yaml", &open).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let printed = written(&config).to_string();
    assert!(printed.contains("(hidden)") && !printed.contains("hunter2"), "{printed}");
}

#[test]
fn what_a_cluster_is_and_calls_racks_is_checked() {
    for (text, words) in [
        (
            BASE.replace("slot: 1,", "slot: 1, kind: warpstrem,"),
            "6:23 `warpstrem` is no kind of cluster -> did you mean `warpstream`?",
        ),
        (BASE.replace("slot: 1,", "slot: 1, zone: z,"), "6:23 only a WarpStream cluster is told the zone"),
        (
            BASE.replace("slot: 1,", "slot: 1, kind: warpstream, zone: \"a,b\","),
            "6:41 `a,b` cannot be a zone -> use at most 64",
        ),
        (
            BASE.replace("slot: 1,", "slot: 1, racks: { x: r1, y: r1 },"),
            "6:36 `r1` is the rack `x` already -> give each rack of the cluster one name",
        ),
        (BASE.replace("slot: 1,", "slot: 1, racks: [x],"), "6:24 this must be a map, not a list"),
    ] {
        let all = found(&text);
        assert_eq!(all.len(), 1, "{words}: {all:#?}");
        assert!(all[0].starts_with(words), "{words}: {all:#?}");
    }
}

#[test]
fn a_service_level_promises_something_that_can_be_kept() {
    let pipeline = |keys: &str| base(&format!("pipelines:\n  - {{ name: p, topics: [t], cluster: a, {keys} }}\n"));
    let slo = |within: &str, objective: &str| {
        pipeline(&format!("groups: [g], slo: {{ committed_within: {within}, objective: {objective} }}"))
    };
    for (within, objective) in [("10ms", "50%"), ("1h", "99.9999%"), ("5s", "99.9%")] {
        assert_eq!(found(&slo(within, objective)), [""; 0]);
    }
    for (text, words) in [
        (slo("9ms", "99%"), "9 ms is shorter than can be told -> write from 10ms to 1h, for example 5s"),
        (slo("3601s", "99%"), "3601000 ms is longer than alerts can wait for -> write from 10ms to 1h"),
        (slo("5s", "49.9999%"), "an objective of 49.9999% promises nothing -> write from 50% to 99.9999%"),
        (slo("5s", "100%"), "an objective of 100% leaves nothing that may ever be late -> write from 50% to 99.9999%"),
        (slo("5s", "0.999"), "this must be a share, not a number -> write from 0% to 100%"),
        (slo("5", "99%"), "this must be a time, not a number"),
        (pipeline("groups: [g], slo: { objective: 99% }"), "a service level needs `committed_within`"),
        (
            pipeline("slo: { committed_within: 5s, objective: 99% }"),
            "a service level without `groups`: nobody's commits would be counted -> name the pipeline's consumers",
        ),
        (
            base("metrics: { max_pairs: 0 }\n"),
            "0 pairs of a group and a partition cannot be shown -> write from 1 to 1000000",
        ),
        (base("metrics: { compatibility: 1 }\n"), "this must be true or false"),
    ] {
        let all = found(&text);
        assert_eq!(all.len(), 1, "{words}: {all:#?}");
        assert!(all[0].split_once(' ').expect("a place").1.starts_with(words), "{words}: {all:#?}");
    }
}

#[test]
fn a_service_level_is_of_the_groups_that_its_pipeline_names() {
    let second = "{ name: q, topics: [x], groups: [g1], cluster: a, slo: { committed_within: 5s, objective: 99% } }";
    let text = base(&format!("pipelines:\n  - {{ name: p, topics: [t], groups: ['g*'], cluster: a }}\n  - {second}\n"));
    assert_eq!(found(&text), [""; 0], "the pattern says something, though the group's home is another pipeline's word");
    let config = Config::from_text("c.yaml", &text).expect("a config");
    let [p, q, _] = config.pipelines.as_slice() else { panic!("three pipelines") };
    assert_eq!(
        q.service_level("g1").map(|slo| (slo.committed_within, slo.objective.0)),
        Some((Duration::from_secs(5), 990_000))
    );
    assert_eq!((q.service_level("g2"), p.service_level("g1")), (None, None));
    assert!((q.slo.expect("a service level").budget() - 0.01).abs() < 1e-12);
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
