//! Scenarios about consumer groups: who reads what when members come and go, and what admin sees of it.

use super::stage::{MOMENT, Place, Reader, SOON, Stage, list, options, text};
use crate::harness::wait;
use bytes::{Buf, Bytes};
use kafka_protocol::messages::ConsumerProtocolAssignment;
use kafka_protocol::protocol::Decodable;
use rdkafka::Message;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::groups::GroupInfo;
use rdkafka::topic_partition_list::Offset;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

const PARTITIONS: i32 = 4;
const HALF: usize = 4;
const ALL: usize = 8;
/// What one round brings to all partitions of both topics.
const RECORDS: usize = 5 * ALL;
const ROUNDS: usize = 3;

/// How often each record was read, by all members of a group.
pub type Reads = RefCell<BTreeMap<String, usize>>;

/// A reader that counts what it reads.
pub struct Member<'a> {
    stage: &'a Stage,
    reader: Reader,
    reads: &'a Reads,
}

impl<'a> Member<'a> {
    pub fn join(stage: &'a Stage, group: &str, reads: &'a Reads, more: &[(&str, &str)]) -> Self {
        let reader = stage.reader(group, more);
        reader.subscribe(&stage.topics.each_ref().map(String::as_str)).unwrap();
        Self { stage, reader, reads }
    }

    /// Polls what is there and tells what is assigned.
    pub fn poll(&self) -> BTreeSet<String> {
        while let Some(message) = self.reader.poll(MOMENT) {
            let message = match message {
                // It tells that it has no connection, and makes new ones.
                Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) => continue,
                other => other.unwrap(),
            };
            let at = self.stage.alias(message.topic(), message.partition());
            let what = format!("{at}@{}={}", message.offset(), text(message.payload()).unwrap_or_default());
            *self.reads.borrow_mut().entry(what).or_default() += 1;
        }
        self.assigned()
    }

    pub fn assigned(&self) -> BTreeSet<String> {
        let assigned = self.reader.assignment().unwrap();
        assigned.elements().iter().map(|one| self.stage.alias(one.topic(), one.partition())).collect()
    }

    pub fn commit(&self) {
        self.reader.commit_consumer_state(CommitMode::Sync).unwrap();
    }
}

pub fn range(stage: &Stage) {
    two_members(stage, "range", |sets| json!(sets.iter().collect::<BTreeSet<_>>()));
}

/// Which member has which partition is not known of a sticky assignment; only that each has its half.
pub fn cooperative(stage: &Stage) {
    two_members(stage, "cooperative-sticky", |sets| json!(sets.iter().flatten().collect::<BTreeSet<_>>()));
}

/// One member, then two, then the other one alone, with records coming all the time; each group in its turn.
fn two_members(stage: &Stage, assignor: &str, shares: fn(&[BTreeSet<String>; 2]) -> Value) {
    stage.create(PARTITIONS, &[]);
    for (before, group) in stage.groups.iter().enumerate() {
        let seen = two_members_of(stage, group, assignor, before * ROUNDS * RECORDS, shares);
        stage.saw(format!("group {}", before + 1), seen);
    }
}

fn two_members_of(
    stage: &Stage,
    group: &str,
    assignor: &str,
    before: usize,
    shares: fn(&[BTreeSet<String>; 2]) -> Value,
) -> Value {
    let mut seen = Map::new();
    let mut saw = |what: &str, value: Value| drop(seen.insert(what.into(), value));
    let reads = Reads::default();
    let config = [("partition.assignment.strategy", assignor)];
    let round = |number: usize, members: &[&Member]| {
        stage.fill(&format!("round-{number}"), PARTITIONS, 5);
        wait::until("all is read", SOON, || {
            members.iter().for_each(|member| drop(member.poll()));
            reads.borrow().len() == before + (number + 1) * RECORDS
        });
        members.iter().for_each(|member| member.commit());
    };
    let first = Member::join(stage, group, &reads, &config);
    wait::until("the first has all", SOON, || first.poll().len() == ALL);
    saw("alone", json!(first.assigned()));
    round(0, &[&first]);

    let second = Member::join(stage, group, &reads, &config);
    wait::until("both have half", SOON, || [first.poll().len(), second.poll().len()] == [HALF, HALF]);
    saw("two", shares(&[first.assigned(), second.assigned()]));
    round(1, &[&first, &second]);

    drop(first);
    wait::until("the second has all", SOON, || second.poll().len() == ALL);
    saw("the other alone", json!(second.assigned()));
    round(2, &[&second]);
    let all = list(&stage.places(PARTITIONS), |_| Offset::Invalid);
    saw("committed", stage.shown(&second.reader.committed_offsets(all, SOON).unwrap()));
    drop(second);
    saw("records read", reads.borrow().len().into());
    saw("read more than once", reads.borrow().values().filter(|times| **times > 1).count().into());
    json!(seen)
}

/// Static members keep their partitions over a restart that is short enough.
pub fn fixed(stage: &Stage) {
    stage.create(PARTITIONS, &[]);
    for (number, group) in (1..).zip(&stage.groups) {
        let reads = Reads::default();
        let join = |name: &str| {
            let config = [
                ("group.instance.id", name),
                ("session.timeout.ms", "30000"),
                ("partition.assignment.strategy", "range"),
            ];
            Member::join(stage, group, &reads, &config)
        };
        let (one, two) = (join("one"), join("two"));
        wait::until("both have half", SOON, || [one.poll().len(), two.poll().len()] == [HALF, HALF]);
        let before = json!({ "one": one.assigned(), "two": two.assigned() });
        drop(two);
        let again = join("two");
        wait::until("two is back", SOON, || one.poll().len() == HALF && again.poll().len() == HALF);
        let seen = json!({ "before": before, "two, again": again.assigned(), "described": described(stage, group) });
        stage.saw(format!("group {number}"), seen);
    }
}

pub fn admin(stage: &Stage) {
    stage.create(2, &[]);
    stage.fill("v", 2, 2);
    for (number, group) in (1..).zip(&stage.groups) {
        stage.saw(format!("group {number}"), admin_of(stage, group));
    }
    let none = format!("{}-none", stage.groups[0]);
    stage.saw("describe unknown", described(stage, &none));
    stage.saw("delete unknown", delete(stage, &none));
}

fn admin_of(stage: &Stage, group: &str) -> Value {
    let mut seen = Map::new();
    let mut saw = |what: &str, value: Value| drop(seen.insert(what.into(), value));
    let reads = Reads::default();
    let member = Member::join(stage, group, &reads, &[("partition.assignment.strategy", "range")]);
    wait::until("it has read all", SOON, || member.poll().len() == HALF && reads.borrow().len() == 8);
    member.commit();
    saw("listed", listed(stage, group));
    saw("described", described(stage, group));
    saw("delete with a member", delete(stage, group));
    drop(member);
    wait::until("the group is empty", SOON, || described(stage, group)["state"] == "Empty");
    saw("described, empty", described(stage, group));
    saw("delete", delete(stage, group));
    saw("listed, deleted", listed(stage, group));
    saw("described, deleted", described(stage, group));
    saw("delete again", delete(stage, group));
    json!(seen)
}

fn delete(stage: &Stage, group: &str) -> Value {
    let answer = stage.wait_for(stage.admin.delete_groups(&[group], &options())).unwrap();
    answer.into_iter().map(|one| one.err().map_or("none".into(), |(_, code)| format!("{code:?}"))).collect()
}

/// Among all groups, which the client asks every broker for.
fn listed(stage: &Stage, group: &str) -> Value {
    let all = stage.admin.inner().fetch_group_list(None, SOON).unwrap();
    all.groups().iter().filter(|one| one.name() == group).map(GroupInfo::state).collect()
}

fn described(stage: &Stage, group: &str) -> Value {
    let all = stage.admin.inner().fetch_group_list(Some(group), SOON).unwrap();
    let Some(found) = all.groups().iter().find(|one| one.name() == group) else { return Value::Null };
    let member = |one: &rdkafka::groups::GroupMemberInfo| {
        let places = places_of(one.assignment().unwrap_or_default());
        let named: BTreeSet<_> = places.iter().map(|at| stage.alias(&at.0, at.1)).collect();
        format!("{} has {named:?}", one.client_id())
    };
    json!({
        "state": found.state(),
        "protocol": format!("{}/{}", found.protocol_type(), found.protocol()),
        "members": found.members().iter().map(member).collect::<BTreeSet<_>>(),
    })
}

/// A member's assignment as it travels: a version, then the partitions.
fn places_of(bytes: &[u8]) -> Vec<Place> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut bytes = Bytes::copy_from_slice(bytes);
    let version = bytes.get_i16();
    let assignment = ConsumerProtocolAssignment::decode(&mut bytes, version.min(3)).unwrap();
    let of_topic = |topic: kafka_protocol::messages::consumer_protocol_assignment::TopicPartition| {
        topic.partitions.into_iter().map(move |partition| (topic.topic.to_string(), partition)).collect::<Vec<_>>()
    };
    assignment.assigned_partitions.into_iter().flat_map(of_topic).collect()
}
