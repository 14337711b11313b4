//! What a pipeline says of records: what is wrong with it, and what a right one becomes.

use super::super::policy::{Action, Key, OnDown, Rate, Share, Unit};
use super::super::tokens::Token;
use super::*;

/// A pipeline of `b-*` on `b` with more in it.
fn pipeline(more: &str) -> String {
    base(&format!("pipelines: [{{ name: p, topics: ['b-*'], cluster: b, {more} }}]\n"))
}

/// A limit with more in it.
fn limit(more: &str) -> String {
    pipeline(&format!("lanes: {{ overflow: {{ topic: b-over }} }}, limits: [{{ name: l, {more} }}]"))
}

/// Each of these texts has one mistake, with these words.
#[track_caller]
fn each_once(texts: &[(String, &str)]) {
    for (text, words) in texts {
        let all = found(text);
        assert!(all.len() == 1 && all[0].contains(words) && !all[0].contains("warning: "), "{words}: {all:?}");
    }
}

#[test]
fn each_mistake_of_a_contract_is_found_once() {
    each_once(&[
        (pipeline("contract: {}"), "a contract needs `headers` -> add for example"),
        (pipeline("contract: { headers: {} }"), "there must be at least one"),
        (
            pipeline("contract: { headers: { a: { type: uuidd } } }"),
            "`uuidd` is no type of header -> did you mean `uuid`?",
        ),
        (pipeline("contract: { headers: { a: { type: enum } } }"), "an enum needs its values"),
        (pipeline("contract: { headers: { a: { type: regex } } }"), "a regex needs its pattern"),
        (pipeline("contract: { headers: { a: { type: regex, pattern: '[' } } }"), "`[` is no regular expression"),
        (pipeline("contract: { headers: { a: { type: regex, pattern: '\\w{9999}' } } }"), "or one that is too large"),
        (pipeline("contract: { headers: { a: { type: regex, pattern: ')(' } } }"), "`)(` is no regular expression"),
        (pipeline("contract: { headers: { a: { values: [x] } } }"), "`values` is for `type: enum`"),
        (pipeline("contract: { headers: { a: { required: 'true' } } }"), "this must be true or false, not a text"),
        (pipeline("contract: { headers: { a: { max_bytes: 0 } } }"), "no value fits into 0 bytes"),
        (pipeline("contract: { headers: { a: {} }, unknown: reject }"), "`reject` is no value of `unknown`"),
        (
            pipeline("contract: { headers: { a: {} }, on_violation: dlq }"),
            "`dlq` needs the lane `dlq` -> add for example",
        ),
        (
            pipeline("limits: [{ name: l, key: key, rate: 1/s, action: overflow }]"),
            "`overflow` needs the lane `overflow`",
        ),
    ]);
}

#[test]
fn each_mistake_of_a_limit_is_found_once() {
    each_once(&[
        (
            limit("key: token, rate: 1/s, action: overflow"),
            "`token` is nothing that a limit can count by -> write header(NAME)",
        ),
        (limit("key: 'header()', rate: 1/s, action: overflow"), "`header()` is nothing that a limit can count by"),
        (
            limit("key: key, rate: 5, action: overflow"),
            "this must be a rate, not a number -> write how much and in what time",
        ),
        (limit("key: key, rate: 5/d, action: overflow"), "`5/d` is not a rate"),
        (limit("key: key, rate: 0/s, action: overflow"), "0 lets nothing through"),
        (limit("key: key, rate: 5MiB/s, action: overflow"), "records are not counted in bytes -> leave its unit out"),
        (
            limit("key: key, unit: rows, rate: 5/s, action: overflow"),
            "`rows` is nothing to count -> write records, bytes or",
        ),
        (limit("key: key, rate: 5/s, burst: much, action: overflow"), "`much` is not a whole number or a size"),
        (limit("key: key, rate: 5/s, enforced: 101%, action: overflow"), "`101%` is not a share"),
        (limit("key: key, rate: 5/s, enforced: 0.00001%, action: overflow"), "is not a share -> write from 0% to 100%"),
        (limit("key: key, rate: 5/s, enforced: 1, action: overflow"), "this must be a share, not a number"),
        (
            limit("key: key, rate: 5/s, action: overflov"),
            "`overflov` is no value of `action` -> did you mean `overflow`?",
        ),
        (
            limit("key: 'header(a)+header(b)', rate: 5/s, action: overflow, overrides: { x: 1/s }"),
            "`header(a)+header(b)` has 2 values, joined by +",
        ),
        (
            pipeline("limits: [{ name: l, key: key, rate: 1/s, action: stamp }]"),
            "`action: stamp` needs the header that is set",
        ),
        (
            pipeline("limits: [{ name: l, key: key, rate: 1/s, stamp: { header: a, value: b } }]"),
            "`stamp` is for `action: stamp`",
        ),
        (
            pipeline("limits: [{ name: l, key: key, rate: 1/s, action: throttle }]"),
            "a connection carries many keys, and all",
        ),
        (
            pipeline("limits: [{ name: l, key: key, rate: 1/s }, { name: l, key: key, rate: 1/s }]"),
            "is called `l` already (c.yaml:7)",
        ),
        (pipeline("limits: [{ name: none, key: key, rate: 1/s }]"), "`none` cannot be the name of a limit"),
    ]);
}

#[test]
fn each_mistake_of_lanes_is_found_once() {
    each_once(&[
        (
            limit("key: key, rate: 1/s, action: overflow").replace("b-over }", "b over }"),
            "no topic can be called `b over`",
        ),
        (
            limit("key: key, rate: 1/s, action: overflow").replace("b-over }", "b-over, cluster: a }"),
            "consumers will look for `b-over` where the pipeline `p` is, not on `a`",
        ),
        (
            limit("key: key, rate: 1/s, action: overflow").replace("b-over }", "b-over, on_down: drop }"),
            "no value of `on_down`",
        ),
    ]);
}

#[test]
fn each_mistake_of_a_canary_is_found_once() {
    let canary = |more: &str| pipeline(&format!("canaries: [{{ {more} }}]"));
    assert_eq!(found(&canary("key: header(t), share: 0%, to: a")), [""; 0]);
    each_once(&[
        (
            canary("key: header(t), to: a"),
            "a canary needs to know which records -> add for example `values: [phc_test]`",
        ),
        (canary("key: header(t), values: [], to: a"), "a canary needs to know which records"),
        (canary("key: token, share: 1%, to: a"), "`token` is nothing that a canary can tell records by"),
        (canary("key: header(t), share: 1%, to: b"), "`b` is the cluster that the pipeline lives on -> name another"),
        (canary("key: header(t), share: 1%, to: c"), "no cluster is called `c`"),
        (canary("key: header(t), share: 1%"), "a canary needs `to`"),
        (canary("key: header(t), values: [t], share: 1, to: a"), "this must be a share, not a number"),
        (canary("key: header(t), share: 1%, to: a, on_down: wait"), "no value of `on_down`"),
        (
            canary("key: key, share: 1%, to: a }, { key: key, share: 2%, to: a, on_down: main"),
            "canaries on one cluster differ in `on_down`",
        ),
        (canary("key: 'header(a)+header(b)', values: [x], to: a"), "`header(a)+header(b)` has 2 values, joined by +"),
    ]);
}

/// What is refused here, the limiter and the walk over headers have no place for.
#[test]
fn more_than_there_is_place_for_is_refused() {
    let headers = |count: usize| (0..count).map(|n| format!("h{n}: {{}}")).collect::<Vec<_>>().join(", ");
    let many = |count: usize| pipeline(&format!("contract: {{ headers: {{ {} }} }}", headers(count)));
    let one = |n: usize| format!("{{ name: l{n}, key: client_id, rate: 1/s }}");
    let limits = |count: usize| pipeline(&format!("limits: [{}]", (0..count).map(one).collect::<Vec<_>>().join(", ")));
    let of = |more: &str| pipeline(&format!("limits: [{{ name: l, key: client_id, {more} }}]"));
    assert_eq!((found(&many(32)), found(&limits(64))), (vec![], vec![]));
    each_once(&[
        (many(33), "contract, limits and canaries ask for 33 different headers -> at most 32"),
        (limits(65), "65 limits in one pipeline -> write at most 64"),
        (of("unit: bytes, rate: 5GiB/s"), "5368709120 at once, or in one time, are more than a limit counts"),
        (of("rate: 1/s, burst: 5000000000"), "5000000000 at once, or in one time, are more than a limit counts"),
        (of("rate: 1/h, burst: 200"), "a burst of 200 takes 8 days to come back at 1/h -> write a smaller burst"),
    ]);
}

#[test]
fn what_has_consequences_is_told() {
    for (text, words) in [
        (pipeline("limits: [{ name: l, key: key, rate: 1/s, action: reject }]"), "refuses whole batches"),
        (pipeline("lanes: { dlq: { topic: x } }"), "no contract with `on_violation: dlq`"),
        (pipeline("lanes: { overflow: { topic: x } }"), "no limit of this pipeline has `action: overflow`"),
        (
            pipeline("transactional_ids: [t], limits: [{ name: l, key: key, rate: 1/s, action: drop }]"),
            "never moved aside",
        ),
        (pipeline("transactional_ids: [t], canaries: [{ key: key, share: 1%, to: a }]"), "and a canary leaves them"),
        (pipeline("limits: [{ name: l, key: principal, rate: 1/s }]"), "all have one principal, and share the limit"),
        (
            pipeline("canaries: [{ key: principal, share: 1%, to: a }]"),
            "all have one principal, and are chosen together",
        ),
        (
            pipeline("limits: [{ name: l, key: client_id, rate: 1/s, action: throttle, shared_sessions: accept }]"),
            "`shared_sessions` is for `throttle` by what records say",
        ),
    ] {
        let all = found(&text);
        assert!(all.len() == 1 && all[0].contains("warning: ") && all[0].contains(words), "{words}: {all:?}");
    }
}

#[test]
fn a_right_policy_becomes_what_it_says() {
    let config = Config::from_file(Path::new("config/full.yaml")).expect("full.yaml");
    let policy = &config.pipeline_of_topic("events_eu").policy;
    let contract = policy.contract.as_ref().expect("a contract");
    assert_eq!((contract.headers.len(), contract.closed, contract.on_violation.as_str()), (4, false, "dlq"));
    let [token, persons, noisy] = &policy.limits[..] else { panic!("three limits") };
    let per_second = |amount| Rate { amount, per: Duration::from_secs(1) };
    assert_eq!(token.key, Key::Headers(vec!["token".into()]));
    assert_eq!((token.rate, token.burst, token.action), (per_second(5_000), 20_000, Action::Overflow));
    assert_eq!((token.enforced, token.overrides[0].1), (Share(100_000), per_second(50_000)));
    assert_eq!((persons.burst, persons.enforced, &persons.unit), (10, Share::ALL, &Unit::Records));
    assert_eq!((noisy.rate.amount, noisy.burst, &noisy.unit), (20 << 20, 20 << 20, &Unit::Bytes));
    let overflow = policy.overflow.as_ref().expect("a lane");
    assert_eq!((&*overflow.topic, overflow.on_down, overflow.null_key), ("events_overflow", OnDown::Hold, true));
    let [canary] = &policy.canaries[..] else { panic!("a canary") };
    assert_eq!((&canary.key, canary.share, canary.on_down), (&token.key, Share(10_000), OnDown::Main));
    assert_eq!(config.cluster(canary.to).map(|cluster| cluster.name.as_str()), Some("shared"));
    assert_eq!(canary.values.iter().map(Token::as_str).collect::<Vec<_>>(), ["phc_test"]);
    assert!(config.pipeline_of_topic("other").policy.is_empty(), "the default pipeline looks at no record");
}

#[test]
fn tokens_are_not_written_down() {
    let config = Config::from_file(Path::new("config/full.yaml")).expect("full.yaml");
    let (written, debug) = (written(&config).to_string(), format!("{config:?}"));
    for text in [written, debug] {
        assert!(!text.contains("phc_big_customer") && !text.contains("phc_test") && text.contains("phc"), "{text}");
    }
}
