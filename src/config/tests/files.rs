//! Values and pipelines that come from elsewhere: the environment, files, included configs.

use super::*;

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
