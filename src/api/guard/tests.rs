//! What is asked is what the table says, over every API and version; and what is told, and left out.

use super::*;
use crate::api::each::{self, Visitor};
use crate::api::leak_tests::samples;
use crate::api::testing::World;
use crate::api::{Plan, codes};
use crate::placement::build::tests::topic;
use crate::rights::{Definition, EVERYONE, Effect, Operations, Pattern, Rights, Rule};
use crate::wire::codec::decode;
use crate::wire::versions::{SERVED, Served};
use bytes::Bytes;
use kafka_protocol::messages as m;
use kafka_protocol::messages::ApiKey;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;

type Ask = (Operation, Kind);

/// Everybody may do exactly this, to everything.
fn granted(to: impl IntoIterator<Item = Ask>) -> Granted {
    let rule = |(operation, kind): Ask| Rule {
        principals: vec![EVERYONE.into()],
        operations: Operations::of(&[operation]),
        resources: vec![(kind, Pattern::Any)],
        hosts: Vec::new(),
        effect: Effect::Allow,
    };
    of(to.into_iter().map(rule).collect())
}

fn of(rules: Vec<Rule>) -> Granted {
    let rights = Arc::new(Rights::new(Definition { rules, ..Definition::default() }));
    rights.of("User:x", "10.0.0.7".parse().unwrap())
}

fn may(operation: Operation, kind: Kind, names: &[&str]) -> Rule {
    let name = |name: &&str| (kind, Pattern::Literal((*name).into()));
    Rule {
        principals: vec![EVERYONE.into()],
        operations: Operations::of(&[operation]),
        resources: names.iter().map(name).collect(),
        hosts: Vec::new(),
        effect: Effect::Allow,
    }
}

/// All that a request asks for before it is planned: it is granted, one after the other, until nothing more is asked. What takes the
/// place of something else is not granted.
struct Asks<'b> {
    body: &'b Bytes,
    version: i16,
}

impl Visitor for Asks<'_> {
    type Output = BTreeSet<Ask>;

    fn visit<A: Api>(self) -> BTreeSet<Ask> {
        let world = World::with(&[topic("kept", &[1, 1])], &[]);
        let (mut asked, mut may) = (BTreeSet::new(), BTreeSet::new());
        loop {
            let granted = granted(may.iter().copied());
            let new = Mutex::new(BTreeSet::new());
            let told = |denial: &Denial<'_>| new.lock().extend([((denial.operation, denial.kind), denial.aside)]);
            let seen = Seen {
                guard: Some(Guard { granted: Some(&granted), barred: Barred::nowhere(&world.placement), told: &told }),
                ..world.seen(self.version)
            };
            let mut request: A::Request = decode(self.body.clone(), self.version).unwrap();
            let _ = screen(&mut request, &mut None, &seen);
            let new = new.into_inner();
            let before = asked.len();
            asked.extend(new.iter().map(|(ask, _)| *ask));
            may.extend(new.iter().filter(|(_, aside)| !aside).map(|(ask, _)| *ask));
            if asked.len() == before {
                return asked;
            }
        }
    }
}

#[test]
fn what_is_asked_is_what_the_table_says() {
    for row in SERVED.iter().copied() {
        let Served { api, max, .. } = row;
        let rows = ASKED.iter().filter(|(of, _)| *of == api).count();
        let is_open = matches!(api, ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate);
        assert_eq!(rows, usize::from(!is_open), "{api:?} has no row, or several");
        let said = ASKED.iter().filter(|(of, _)| *of == api).flat_map(|(_, rights)| *rights);
        let mut asked = BTreeSet::new();
        for version in (row.lowest()..=max).filter(|_| !is_open) {
            for body in [vec![samples::body(api, version)], samples::others(api, version)].concat() {
                let Some(asks) = each::show(api, Asks { body: &body, version }) else { continue };
                asked.extend(asks);
            }
        }
        if matches!(
            api,
            ApiKey::Produce | ApiKey::Fetch | ApiKey::ShareFetch | ApiKey::ShareAcknowledge | ApiKey::ApiVersions
        ) {
            continue; // They have drivers of their own.
        }
        let said: Vec<_> = said.collect();
        for ask in &asked {
            assert!(said.iter().any(|right| (right.operation, right.kind) == *ask), "{api:?} asks for {ask:?}");
        }
        for right in said.iter().filter(|right| right.how == How::Refused) {
            // Of the cluster it is asked when the answer tells what may be done to it.
            let later = matches!(api, ApiKey::Metadata | ApiKey::DescribeCluster) && right.kind == Kind::Cluster;
            let ask = (right.operation, right.kind);
            assert!(asked.contains(&ask) || later, "{api:?} does not ask for {ask:?}");
        }
    }
}

#[test]
fn what_is_written_for_people_is_the_table() {
    let text = include_str!("../../../docs/authorization.md");
    let (begin, end) = ("<!-- rights: made of src/api/guard/table.rs -->\n", "<!-- end of rights -->");
    let (_, rest) = text.split_once(begin).expect("the mark");
    let (there, _) = rest.split_once(end).expect("the other mark");
    let made = table::document();
    assert!(there == made, "docs/authorization.md is old; between its marks belongs:\n{made}");
}

fn closed<A: Api>(
    request: &mut A::Request,
    answer: impl FnOnce(&A::Request) -> A::Response,
    seen: &Seen<'_>,
) -> A::Response {
    let mut told = None;
    if let Some(denied) = screen(request, &mut told, seen) {
        return denied;
    }
    let mut answer = answer(request);
    close::<A>(&mut answer, told, seen);
    answer
}

#[test]
fn topics_that_may_not_be_seen_are_denied_by_name_and_left_out_of_all() {
    use crate::api::overview::metadata::Metadata;
    let mut world = World::with(&[topic("x", &[1]), topic("y", &[1])], &[topic("b-1", &[1])]);
    world.granted = Some(of(vec![may(Operation::Read, Kind::Topic, &["x"])]));
    let seen = world.seen(12);
    let planned = |request: &m::MetadataRequest| match Metadata::plan(request, &seen) {
        Plan::Answer(answer) => answer,
        _ => panic!("it waits"),
    };
    let ask = |names: &[&str]| {
        let topic = |name: &&str| {
            let name = Some(m::TopicName(StrBytes::from_string((*name).to_owned())));
            m::metadata_request::MetadataRequestTopic::default().with_name(name)
        };
        m::MetadataRequest::default().with_topics(Some(names.iter().map(topic).collect()))
    };
    let told = |answer: m::MetadataResponse| -> Vec<(String, i16, usize)> {
        let told = answer.topics.iter();
        told.map(|topic| (topic.name.as_ref().unwrap().to_string(), topic.error_code, topic.partitions.len())).collect()
    };
    let named = closed::<Metadata>(&mut ask(&["y", "x", "no such"]), planned, &seen);
    assert_eq!(told(named), [("x".into(), 0, 1), ("y".into(), 29, 0), ("no such".into(), 29, 0)]);
    let all = closed::<Metadata>(&mut ask(&[]).with_topics(None), planned, &seen);
    assert_eq!(told(all), [("x".into(), 0, 1)]);
}

#[test]
fn nobody_makes_a_topic_by_asking_who_may_not_make_it() {
    let mut world = World::with(&[topic("x", &[1])], &[]);
    let screened = |rules: Vec<Rule>, names: &[&str], world: &mut World| {
        let topic = |name: &&str| {
            let name = Some(m::TopicName(StrBytes::from_string((*name).to_owned())));
            m::metadata_request::MetadataRequestTopic::default().with_name(name)
        };
        world.granted = Some(of(rules));
        let topics = names.iter().map(topic).collect();
        let mut request = m::MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(true);
        let seen = world.seen(12);
        let screened = request.screen(&seen.guard.unwrap(), &seen);
        let told = match screened {
            Screened::All => Vec::new(),
            Screened::Some(told) => told.topics.iter().map(|topic| topic.error_code).collect(),
            Screened::Nothing(_) => panic!("there are brokers to tell"),
        };
        (request.topics.unwrap().len(), request.allow_auto_topic_creation, told)
    };
    let reads = || may(Operation::Describe, Kind::Topic, &["x", "new", "newer"]);
    // It is looked whether it is there, and not made
    assert_eq!(screened(vec![reads()], &["x", "new"], &mut world), (2, false, vec![]));
    let creates = may(Operation::Create, Kind::Topic, &["new"]);
    assert_eq!(screened(vec![reads(), creates.clone()], &["x", "new"], &mut world), (2, true, vec![]));
    // Of two the one is made
    assert_eq!(screened(vec![reads(), creates], &["x", "new", "newer"], &mut world), (2, true, vec![3]));
}

#[test]
fn a_list_of_all_topics_goes_by_pages_of_what_may_be_seen() {
    use crate::api::overview::cluster_info::DescribeTopicPartitions;
    let mut world = World::with(&[topic("a", &[1]), topic("b", &[1]), topic("c", &[1])], &[]);
    world.granted = Some(of(vec![may(Operation::Describe, Kind::Topic, &["a", "c"])]));
    let seen = world.seen(0);
    let mut request = m::DescribeTopicPartitionsRequest::default().with_response_partition_limit(1);
    let answer = closed::<DescribeTopicPartitions>(
        &mut request,
        |request| match DescribeTopicPartitions::plan(request, &seen) {
            Plan::Answer(answer) => answer,
            _ => panic!("it waits"),
        },
        &seen,
    );
    assert_eq!(answer.topics.len(), 1);
    assert_eq!(&*answer.next_cursor.unwrap().topic_name.0, "c", "and not the one that may not be seen");
}

#[test]
fn operations_are_those_that_both_the_cluster_and_the_rules_allow() {
    let (world, granted) = (World::default(), of(vec![may(Operation::Write, Kind::Topic, &["x"])]));
    let guard = Guard { granted: Some(&granted), barred: Barred::nowhere(&world.placement), told: &|_| {} };
    let there = Operations::of(&[Operation::Read, Operation::Write, Operation::Describe]).bits().cast_signed();
    let both = Operations::of(&[Operation::Write, Operation::Describe]).bits().cast_signed();
    assert_eq!(guard.both(there, Kind::Topic, "x"), both);
    assert_eq!(guard.both(NO_OPERATIONS, Kind::Topic, "x"), NO_OPERATIONS, "not asked for");
}

#[test]
fn of_a_topic_that_is_named_by_its_id_the_name_is_told_to_who_may_know_it() {
    use crate::api::layout::topics::DeleteTopics;
    let mut world = World::with(&[topic("x", &[1]), topic("y", &[1])], &[]);
    let id = |name: &str| world.placement.topic(name).unwrap().id;
    let ids = [id("x"), id("y")];
    world.granted = Some(of(vec![may(Operation::Read, Kind::Topic, &["x"])]));
    let state = |id| m::delete_topics_request::DeleteTopicState::default().with_name(None).with_topic_id(id);
    let mut request = m::DeleteTopicsRequest::default().with_topics(ids.map(state).to_vec());
    let answer = closed::<DeleteTopics>(&mut request, |_| panic!("nothing is left"), &world.seen(6));
    let told = |told: &m::delete_topics_response::DeletableTopicResult| {
        (told.name.as_ref().map(|name| name.to_string()), told.error_code)
    };
    let told: Vec<_> = answer.responses.iter().map(told).collect();
    assert_eq!(told, [(Some("x".to_owned()), codes::TOPIC_AUTHORIZATION_FAILED), (None, 29)]);
}
