use super::*;
use proptest::prelude::*;

fn rule(principals: &[&str], operations: &[Operation], resources: &[(Kind, Pattern)], effect: Effect) -> Rule {
    Rule {
        principals: principals.iter().map(|one| Box::from(*one)).collect(),
        operations: Operations::of(operations),
        resources: resources.to_vec(),
        hosts: Vec::new(),
        effect,
    }
}

fn rights(rules: Vec<Rule>) -> Arc<Rights> {
    let groups = BTreeMap::from([("team".into(), vec!["User:alice".into(), "User:bob".into()])]);
    Arc::new(Rights::new(Definition { super_users: vec!["User:root".into()], groups, rules }))
}

fn here() -> IpAddr {
    "10.0.0.7".parse().unwrap()
}

fn events() -> (Kind, Pattern) {
    (Kind::Topic, Pattern::Prefix("events".into()))
}

const ALLOW: Effect = Effect::Allow;
const DENY: Effect = Effect::Deny;

#[test]
fn what_no_rule_allows_is_denied_and_super_users_may_do_everything() {
    let rights = rights(vec![]);
    assert_eq!(rights.of("User:alice", here()).decide(Operation::Read, Kind::Topic, "x"), Decision::NoRule);
    let root = rights.of("User:root", here());
    assert_eq!(root.decide(Operation::Alter, Kind::Cluster, Kind::CLUSTER), Decision::SuperUser);
    assert!(root.is_super() && root.may_any(Operation::Write, Kind::Topic));
}

#[test]
fn a_rule_that_denies_wins_and_names_itself() {
    let rights = rights(vec![
        rule(&["team"], &[Operation::Read], &[events()], ALLOW),
        rule(&["User:bob"], &[Operation::Read], &[(Kind::Topic, Pattern::Literal("events_a".into()))], DENY),
    ]);
    let (alice, bob) = (rights.of("User:alice", here()), rights.of("User:bob", here()));
    assert_eq!(alice.decide(Operation::Read, Kind::Topic, "events_a"), Decision::Allowed(1));
    assert_eq!(bob.decide(Operation::Read, Kind::Topic, "events_a"), Decision::Denied(2));
    assert_eq!(bob.decide(Operation::Read, Kind::Topic, "events_b"), Decision::Allowed(1));
    assert_eq!(rights.of("User:eve", here()).decide(Operation::Read, Kind::Topic, "events_a"), Decision::NoRule);
    assert_eq!(rights.rule(2).unwrap().to_string(), "deny User:bob Read on topics events_a");
    assert!(rights.rule(0).is_none() && rights.rule(3).is_none());
}

#[test]
fn reading_implies_describing_and_a_ban_on_reading_does_not_ban_it() {
    let any = (Kind::Topic, Pattern::Any);
    let rights = rights(vec![
        rule(&[EVERYONE], &[Operation::Read], std::slice::from_ref(&any), ALLOW),
        rule(&["User:bob"], &[Operation::Read], &[any], DENY),
    ]);
    let bob = rights.of("User:bob", here());
    assert!(bob.may(Operation::Describe, Kind::Topic, "x") && !bob.may(Operation::Read, Kind::Topic, "x"));
    assert_eq!(bob.operations(Kind::Topic, "x"), Operations::of(&[Operation::Describe]));
}

#[test]
fn everyone_is_every_principal_whatever_its_type_also_in_a_group() {
    let mut written = rights(vec![rule(&["all"], &[Operation::Read], &[events()], ALLOW)]).written().clone();
    written.groups.insert("all".into(), vec![EVERYONE.into(), "User:bob".into()]);
    let rights = Arc::new(Rights::new(written));
    for principal in ["User:alice", "User:bob", "Token:x"] {
        assert!(rights.of(principal, here()).may(Operation::Read, Kind::Topic, "events"), "{principal}");
    }
}

#[test]
fn a_rule_may_be_for_some_addresses() {
    let mut from_ten = rule(&[EVERYONE], &[Operation::Read], &[events()], ALLOW);
    from_ten.hosts = vec![Network::parse("10.0.0.0/8").unwrap()];
    let rights = rights(vec![from_ten]);
    assert!(rights.of("User:x", here()).may(Operation::Read, Kind::Topic, "events"));
    assert!(!rights.of("User:x", "11.0.0.7".parse().unwrap()).may(Operation::Read, Kind::Topic, "events"));
    assert_eq!(rights.rule(1).unwrap().to_string(), "allow User:* Read on topics events*, from 10.0.0.0/8");
}

#[test]
fn any_topic_is_one_that_no_ban_covers() {
    let literal = |name: &str| (Kind::Topic, Pattern::Literal(name.into()));
    let write = |resource, effect| rule(&["User:a"], &[Operation::Write], &[resource], effect);
    for (rules, may) in [
        (vec![write(literal("x"), ALLOW)], true),
        (vec![write(literal("x"), ALLOW), write(literal("x"), DENY)], false),
        (vec![write(literal("events_1"), ALLOW), write(events(), DENY)], false),
        (vec![write(events(), ALLOW), write(literal("events_1"), DENY)], true),
        (vec![write(events(), ALLOW), write((Kind::Topic, Pattern::Any), DENY)], false),
        (vec![rule(&["User:a"], &[Operation::Read], &[events()], ALLOW)], false),
    ] {
        let rights = rights(rules.clone());
        assert_eq!(rights.of("User:a", here()).may_any(Operation::Write, Kind::Topic), may, "{rules:?}");
    }
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        Just(Pattern::Any),
        "[ab]{1,3}".prop_map(|name| Pattern::Literal(name.into())),
        "[ab]{1,3}".prop_map(|prefix| Pattern::Prefix(prefix.into())),
    ]
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let principal = prop::sample::select(vec!["User:alice", "User:bob", "team", EVERYONE, "Other:alice"]);
    let operation = prop::sample::select(Operation::ALL.to_vec());
    let resource = (prop::sample::select(Kind::ALL.to_vec()), pattern());
    let lists = (
        prop::collection::vec(principal, 1..3),
        prop::collection::vec(operation, 1..4),
        prop::collection::vec(resource, 1..3),
    );
    let host = prop::sample::select(vec!["10.0.0.7", "10.0.0.0/24", "192.0.2.1"]);
    (lists, prop::collection::vec(host, 0..2), prop::bool::weighted(0.3)).prop_map(|(lists, hosts, denies)| {
        let (principals, operations, resources) = lists;
        let rule = rule(&principals, &operations, &resources, if denies { DENY } else { ALLOW });
        Rule { hosts: hosts.into_iter().filter_map(Network::parse).collect(), ..rule }
    })
}

proptest! {
    /// The index against a reading of all rules, one after the other.
    #[test]
    fn what_is_decided_is_what_the_rules_say_one_by_one(
        rules in prop::collection::vec(any_rule(), 0..12),
        principal in prop::sample::select(vec!["User:alice", "User:bob", "User:eve", "Other:alice"]),
        operation in prop::sample::select(Operation::ALL.to_vec()),
        kind in prop::sample::select(Kind::ALL.to_vec()),
        name in "[ab]{0,4}",
    ) {
        let rights = rights(rules.clone());
        let is_of = |rule: &Rule| rule.principals.iter().any(|one| match &**one {
            "team" => matches!(principal, "User:alice" | "User:bob"),
            one => one == EVERYONE || one == principal,
        });
        let says = |effect: Effect| (1..).zip(&rules).find(|(_, rule)| {
            rule.effect == effect && is_of(rule) && rule.is_from(here()) && rule.is_about(operation)
                && rule.resources.iter().any(|(of, pattern)| *of == kind && pattern.names(&name))
        });
        let decided = rights.of(principal, here()).decide(operation, kind, &name);
        match (says(DENY), says(ALLOW)) {
            (Some(_), _) => prop_assert!(matches!(decided, Decision::Denied(by) if rights.rule(by).unwrap().effect == DENY)),
            (None, Some((number, _))) => prop_assert_eq!(decided, Decision::Allowed(number)),
            (None, None) => prop_assert_eq!(decided, Decision::NoRule),
        }
    }
}
