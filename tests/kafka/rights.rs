//! Rights before Kafka's own authorizer: both are asked the same about the same rules, and answer alike. The class is run on the
//! JDK with the jars of each Kafka; no cluster takes part.

use crate::harness::broker::java;
use crate::harness::repository;
use fastrand::Rng;
use fishplate::rights::{Definition, EVERYONE, Effect, Kind, Network, Operation, Operations, Pattern, Rights, Rule};
use libtest_mimic::Trial;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;

/// How many sets of rules, and questions about each.
const SETS: usize = 100;
const QUESTIONS: usize = 400;
const ABOUT_ANY: usize = 40;

pub fn trials() -> Vec<Trial> {
    let trial = |kafka: &'static str| {
        Trial::test(format!("rights: decided as Kafka {kafka}'s authorizer decides"), move || {
            compare(kafka);
            Ok(())
        })
    };
    vec![trial("3.9"), trial("4.3")]
}

const PRINCIPALS: [&str; 6] = ["User:a", "User:ab", "User:b:c", "Other:a", "User:root", "User:nobody"];
const HOSTS: [&str; 4] = ["10.0.0.1", "10.0.0.2", "2001:db8::1", "192.0.2.9"];

fn one_of<'l, T>(list: &'l [T], dice: &mut Rng) -> &'l T {
    dice.choice(list).expect("a list that is not empty")
}

/// Short, so that many begin with others; of letters that stand on both sides of each other in different orders.
fn name(dice: &mut Rng) -> Box<str> {
    let letters = ['a', 'a', 'a', 'b', '-', '.', 'Z', '~', 'ß'];
    let length = dice.usize(1..5);
    (0..length).map(|_| *one_of(&letters, dice)).collect::<String>().into()
}

fn pattern(dice: &mut Rng) -> Pattern {
    match dice.usize(0..8) {
        0 => Pattern::Any,
        1..=4 => Pattern::Prefix(name(dice)),
        _ => Pattern::Literal(name(dice)),
    }
}

fn rule(dice: &mut Rng) -> Rule {
    let whom = ["team", EVERYONE, "User:a", "User:ab", "User:b:c", "Other:a"];
    let some = |dice: &mut Rng, most: usize| dice.usize(1..=most);
    let principals = (0..some(dice, 2)).map(|_| Box::from(*one_of(&whom, dice))).collect();
    let operations = if dice.u8(0..8) == 0 {
        Operations::ALL
    } else {
        let count = some(dice, 3);
        Operations::of(&(0..count).map(|_| *one_of(&Operation::ALL, dice)).collect::<Vec<_>>())
    };
    let resources = (0..some(dice, 3)).map(|_| (*one_of(&Kind::ALL, dice), pattern(dice))).collect();
    let hosts = if dice.u8(0..3) > 0 {
        vec![]
    } else {
        vec![Network::parse(one_of::<&str>(&HOSTS, dice)).expect("an address")]
    };
    let effect = if dice.u8(0..4) == 0 { Effect::Deny } else { Effect::Allow };
    Rule { principals, operations, resources, hosts, effect }
}

/// Few topics, of which what one rule allows another mostly denies: there the question about any topic is a close one.
fn narrow_rule(dice: &mut Rng) -> Rule {
    let names = ["a", "aa", "ab", "aab", "b"];
    let name = Box::from(*one_of(&names, dice));
    let pattern = if dice.bool() { Pattern::Prefix(name) } else { Pattern::Literal(name) };
    let effect = if dice.bool() { Effect::Deny } else { Effect::Allow };
    let operations = Operations::of(&[*one_of(&[Operation::Read, Operation::Write], dice)]);
    let whom = [EVERYONE, "User:a"];
    let principals = vec![Box::from(*one_of(&whom, dice))];
    Rule { principals, operations, resources: vec![(Kind::Topic, pattern)], hosts: vec![], effect }
}

fn definition(dice: &mut Rng) -> Definition {
    let groups = BTreeMap::from([("team".into(), vec!["User:a".into(), "Other:a".into()])]);
    let is_narrow = dice.bool();
    let rules = if is_narrow {
        (0..dice.usize(1..7)).map(|_| narrow_rule(dice)).collect()
    } else {
        (0..dice.usize(0..30)).map(|_| rule(dice)).collect()
    };
    Definition { super_users: vec!["User:root".into()], groups, rules }
}

/// As Kafka's enums are called: `TransactionalId` is `TRANSACTIONAL_ID`.
fn in_capitals(word: &str) -> String {
    let mut capitals = String::new();
    for (at, letter) in word.chars().enumerate() {
        if at > 0 && letter.is_uppercase() {
            capitals.push('_');
        }
        capitals.push(letter.to_ascii_uppercase());
    }
    capitals
}

/// A rule as Kafka has it: one for each principal, operation, resource and host. It takes none twice.
fn write_rule(rule: &Rule, definition: &Definition, lines: &mut BTreeSet<String>) {
    let of = |principal: &str| definition.groups.get(principal).cloned().unwrap_or_else(|| vec![principal.into()]);
    let operations: Vec<_> = if rule.operations == Operations::ALL {
        vec!["ALL".to_owned()]
    } else {
        let all = Operation::ALL.into_iter().filter(|one| rule.operations.has(*one));
        all.map(|one| in_capitals(one.word())).collect()
    };
    let hosts: Vec<_> = rule.hosts.iter().map(ToString::to_string).collect();
    let hosts =
        if hosts.is_empty() { vec!["*".to_owned()] } else { hosts.iter().map(|host| as_java_writes(host)).collect() };
    let effect = in_capitals(rule.effect.word());
    for principal in rule.principals.iter().flat_map(|principal| of(principal)) {
        for (kind, pattern) in &rule.resources {
            let kind = in_capitals(kind.word());
            let (pattern, name) = match pattern {
                Pattern::Any => ("LITERAL", "*"),
                Pattern::Literal(name) => ("LITERAL", &**name),
                Pattern::Prefix(prefix) => ("PREFIXED", &**prefix),
            };
            for operation in &operations {
                for host in &hosts {
                    let fields = ["rule", &kind, pattern, name, &principal, host, operation, &effect];
                    lines.insert(fields.join("\t"));
                }
            }
        }
    }
}

/// Kafka compares texts: Java writes all of an IPv6 address.
fn as_java_writes(host: &str) -> String {
    match host.parse().expect("an address") {
        std::net::IpAddr::V4(four) => four.to_string(),
        std::net::IpAddr::V6(six) => six.segments().map(|part| format!("{part:x}")).join(":"),
    }
}

/// What is asked, and what we say.
struct Question {
    words: String,
    allowed: bool,
}

fn ask(rights: &Arc<Rights>, dice: &mut Rng, lines: &mut String) -> Question {
    let (principal, host) = (one_of(&PRINCIPALS, dice), one_of(&HOSTS, dice));
    let (operation, kind) = match dice.bool() {
        true => (*one_of(&Operation::ALL, dice), *one_of(&Kind::ALL, dice)),
        false => (*one_of(&[Operation::Read, Operation::Write], dice), Kind::Topic),
    };
    let granted = rights.of(principal, host.parse().expect("an address"));
    let (operation_word, kind_word) = (in_capitals(operation.word()), in_capitals(kind.word()));
    let (line, allowed) = if dice.usize(0..QUESTIONS + ABOUT_ANY) < ABOUT_ANY {
        (["any", principal, host, &operation_word, &kind_word].join("\t"), granted.may_any(operation, kind))
    } else {
        let name = name(dice);
        let fields = ["ask", principal, host, &operation_word, &kind_word, &name];
        (fields.join("\t"), granted.may(operation, kind, &name))
    };
    writeln!(lines, "{line}").expect("a text");
    Question { words: line, allowed }
}

fn compare(kafka: &str) {
    let mut dice = Rng::with_seed(20_261_128);
    let (mut lines, mut questions) = (String::new(), Vec::new());
    for _ in 0..SETS {
        let definition = definition(&mut dice);
        writeln!(lines, "new\t{}", definition.super_users.join(";")).expect("a text");
        let mut acls = BTreeSet::new();
        definition.rules.iter().for_each(|rule| write_rule(rule, &definition, &mut acls));
        acls.iter().for_each(|acl| writeln!(lines, "{acl}").expect("a text"));
        let rules = definition.rules.iter().map(|rule| format!("\n  {rule}")).collect::<String>();
        let rights = Arc::new(Rights::new(definition));
        for _ in 0..QUESTIONS + ABOUT_ANY {
            let question = ask(&rights, &mut dice, &mut lines);
            questions.push(Question { words: format!("{} under{rules}", question.words), ..question });
        }
    }
    let answers = judge(kafka, lines);
    assert_eq!(answers.len(), questions.len());
    for (question, kafka) in questions.iter().zip(&answers) {
        assert_eq!(question.allowed, *kafka, "we say {}, Kafka {kafka}: {}", question.allowed, question.words);
    }
    let allowed = answers.iter().filter(|allowed| **allowed).count();
    eprintln!("{} questions about {SETS} sets of rules, {allowed} allowed: Kafka {kafka} says the same", answers.len());
    assert!(allowed * 10 > answers.len() && allowed * 10 < 9 * answers.len(), "{allowed} of {}", answers.len());
}

fn judge(kafka: &str, lines: String) -> Vec<bool> {
    let mut java = java(kafka).expect("the jars");
    java.arg(repository().join("tests/kafka/rights/Judge.java"));
    let mut judge = java.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("java");
    let mut input = judge.stdin.take().expect("stdin");
    let writing = thread::spawn(move || input.write_all(lines.as_bytes()).expect("all of it is read"));
    let output = judge.wait_with_output().expect("an end");
    writing.join().expect("all is written");
    assert!(output.status.success(), "{}", output.status);
    // Kafka's own classes log there, too.
    let answer = |line: &str| ["0", "1"].contains(&line).then_some(line == "1");
    String::from_utf8_lossy(&output.stdout).lines().filter_map(answer).collect()
}
