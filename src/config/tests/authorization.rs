//! Who may do what: what is read, and what is a mistake.

use super::*;
use crate::rights::{Decision, Kind, Operation};

fn with(more: &str) -> String {
    base(&format!("authorization:\n{more}"))
}

#[test]
fn rights_are_what_the_config_says() {
    let text = with(
        "  super_users: ['User:root']
  groups: { team: ['User:alice', 'User:bob'] }
  rules:
    - { principals: [team], operations: [Read], topics: ['events*', other], groups: ['*'] }
    - { principals: ['User:bob'], operations: [All], topics: [other], effect: deny, hosts: [10.0.0.0/8] }
    - { principals: ['User:*'], operations: [Describe], cluster: true }
",
    );
    let rights = Config::from_text("c.yaml", &text).expect("a config").authorization.expect("rights");
    let of = |who: &str, from: &str| rights.of(who, from.parse().expect("an address"));
    let (alice, bob) = (of("User:alice", "10.0.0.1"), of("User:bob", "10.0.0.1"));
    assert_eq!(alice.decide(Operation::Read, Kind::Topic, "events_1"), Decision::Allowed(1));
    assert_eq!(alice.decide(Operation::Read, Kind::Topic, "others"), Decision::NoRule);
    assert_eq!(alice.decide(Operation::Read, Kind::Group, "any"), Decision::Allowed(1));
    assert_eq!(bob.decide(Operation::Read, Kind::Topic, "other"), Decision::Denied(2));
    assert_eq!(of("User:bob", "11.0.0.1").decide(Operation::Read, Kind::Topic, "other"), Decision::Allowed(1));
    assert_eq!(of("User:x", "::1").decide(Operation::Describe, Kind::Cluster, Kind::CLUSTER), Decision::Allowed(3));
    assert!(of("User:root", "::1").is_super());
}

#[test]
fn without_the_key_everybody_may_do_everything_and_with_an_empty_one_nothing() {
    let of = |text: &str| Config::from_text("c.yaml", text).expect("a config").authorization;
    assert!(of(BASE).is_none());
    let nothing = of(&base("authorization: {}\n")).expect("rights");
    assert!(!nothing.of("User:a", "::1".parse().expect("an address")).may(Operation::Read, Kind::Topic, "x"));
}

#[test]
fn each_mistake_of_rights_is_found_once() {
    let rule = |keys: &str| with(&format!("  groups: {{ team: ['User:a'] }}\n  rules: [{{ {keys} }}]\n"));
    for (text, mistake) in [
        (rule("principals: [teem], operations: [Read], topics: [x]"), "did you mean `team`?"),
        (rule("principals: [somebody], operations: [Read], topics: [x]"), "write `User:somebody` for a principal"),
        (rule("principals: ['User:'], operations: [Read], topics: [x]"), "`User:` is no principal"),
        (rule("principals: [team], operations: [read], topics: [x]"), "did you mean `Read`?"),
        (rule("principals: [team], operations: [DESCRIBE_CONFIGS], topics: [x]"), "did you mean `DescribeConfigs`?"),
        (rule("principals: [team], operations: [Fly], topics: [x]"), "`Fly` is no operation"),
        (rule("principals: [team], operations: [Write], groups: [x]"), "`Write` cannot be done to groups"),
        (rule("principals: [team], operations: [IdempotentWrite], topics: [x]"), "cannot be done to topics"),
        (rule("principals: [team], operations: [Read]"), "this rule is about nothing"),
        (rule("principals: [team], operations: [Read], cluster: false"), "this rule is about nothing"),
        (rule("principals: [team], operations: [Read], topics: ['a*b']"), "only the end may be open"),
        (rule("principals: [team], operations: [Read], topics: ['/a.c/']"), "no topic can have `/`"),
        (rule("principals: [team], operations: [Read], topics: [x], hosts: [here]"), "`here` is no address"),
        (rule("principals: [team], operations: [Read], topics: [x], effect: forbid"), "write allow or deny"),
        (rule("principals: [team], operations: [Read], topic: [x], topics: [x]"), "did you mean `topics`?"),
        (rule("operations: [Read], topics: [x]"), "a rule needs `principals`"),
        (with("  super_users: [root]\n"), "did you mean `User:root`?"),
        (with("  super_users: ['User:*']\n"), "everyone would be a super user"),
        (with("  groups: { 'a:b': ['User:a'] }\n"), "cannot be the name of a group"),
        (with("  superusers: ['User:root']\n"), "did you mean `super_users`?"),
    ] {
        let all = found(&text);
        assert!(all.len() == 1 && all[0].contains(mistake), "{text}: {all:?}");
    }
}

/// [L4]
#[test]
fn l4_no_more_rules_are_taken_than_there_is_memory_for() {
    let patterns: Vec<_> = (0..400).map(|number| format!("t{number}")).collect();
    let many: Vec<_> = (0..300).map(|number| format!("'User:u{number}'")).collect();
    let (principals, topics) = (many.join(", "), patterns.join(", "));
    let text = with(&format!("  rules: [{{ principals: [{principals}], operations: [Read], topics: [{topics}] }}]\n"));
    let all = found(&text);
    assert!(all.len() == 1 && all[0].contains("120000 pairs"), "{all:?}");
}

#[test]
fn what_a_variable_does_not_bring_is_not_all() {
    let file = std::env::temp_dir().join(format!("fishplate-empty-{}", std::process::id()));
    std::fs::write(&file, "").expect("a file");
    for pattern in [format!("${{file:{}}}*", file.display()), format!("${{file:{}}}", file.display()), String::new()] {
        let rule = format!("  rules: [{{ principals: ['User:a'], operations: [All], topics: ['{pattern}'] }}]\n");
        let all = found(&with(&rule));
        assert!(all.len() == 1 && all[0].contains("is empty"), "{pattern}: {all:?}");
    }
    std::fs::remove_file(&file).expect("the file");
}
