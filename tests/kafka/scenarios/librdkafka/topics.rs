//! Scenarios about topics and the cluster as admin sees them.

use super::stage::{Admin, Record, SOON, Stage, error_of, list, name_of, options, patiently, send};
use crate::harness::wait;
use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::topic_partition_list::Offset;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub fn life_cycle(stage: &Stage) {
    for topic in &stage.topics {
        stage.saw(stage.topic_alias(topic), life_cycle_of(stage, topic));
    }
}

fn life_cycle_of(stage: &Stage, topic: &str) -> Value {
    let mut seen = Map::new();
    let mut saw = |what: &str, value: Value| drop(seen.insert(what.into(), value));
    let wanted = Stage::new_topic(topic, 3).set("cleanup.policy", "compact").set("max.message.bytes", "123456");
    saw("validate", create(stage, &wanted, &options().validate_only(true)));
    saw("create", create(stage, &wanted, &options()));
    wait::until("the topic is known", SOON, || count(stage, topic) == 3);
    // Any broker may be asked, and they hear of it one after another.
    let described =
        || Some(describe(stage, topic)).filter(|told| told[0].as_array().is_some_and(|all| !all.is_empty()));
    saw("described", wait::find("any broker describes it", SOON, described));
    let told = || Some(configs(stage, topic)).filter(|told| told[0].as_array().is_some_and(|all| !all.is_empty()));
    saw("configs", wait::find("any broker tells its configs", SOON, told));
    saw("create, existing", create(stage, &Stage::new_topic(topic, 3), &options()));
    let other = format!("{topic}.x");
    let odd = format!("{topic}.x y");
    let refused = [
        ("too many replicas", NewTopic::new(&other, 1, TopicReplication::Fixed(20))),
        ("wrong config", Stage::new_topic(&other, 1).set("no.such.config", "1")),
        ("wrong value", Stage::new_topic(&other, 1).set("retention.ms", "soon")),
        ("unknown broker", NewTopic::new(&other, 1, TopicReplication::Variable(&[&[987_654]]))),
        ("wrong name", Stage::new_topic(&odd, 1)),
    ];
    for (what, wrong) in &refused {
        saw(&format!("create, {what}"), create(stage, wrong, &options()));
    }
    saw("grow", grow(stage, topic, 5));
    wait::until("the topic has grown", SOON, || count(stage, topic) == 5);
    saw("delete", delete(stage, topic));
    wait::until("the topic is gone", SOON, || !is_listed(stage, topic));
    saw("delete again", delete(stage, topic));
    saw("configs after", configs(stage, topic));
    json!(seen)
}

fn grow(stage: &Stage, topic: &str, to: usize) -> Value {
    let larger = rdkafka::admin::NewPartitions::new(topic, to);
    outcomes(stage.wait_for(stage.admin.create_partitions(&[larger], &options())))
}

fn create(stage: &Stage, topic: &NewTopic, options: &AdminOptions) -> Value {
    outcomes(stage.wait_for(stage.admin.create_topics([topic], options)))
}

fn delete(stage: &Stage, topic: &str) -> Value {
    outcomes(stage.wait_for(stage.admin.delete_topics(&[topic], &options())))
}

pub fn outcomes(answer: rdkafka::error::KafkaResult<Vec<rdkafka::admin::TopicResult>>) -> Value {
    match answer {
        Ok(all) => {
            all.into_iter().map(|one| one.err().map_or("none".into(), |(_, code)| format!("{code:?}"))).collect()
        }
        Err(error) => json!([name_of(&error)]),
    }
}

fn metadata(admin: &Admin, topic: Option<&str>) -> Metadata {
    admin.inner().fetch_metadata(topic, SOON).unwrap()
}

/// Asked for all topics, or the client would have it made.
fn is_listed(stage: &Stage, topic: &str) -> bool {
    metadata(&stage.admin, None).topics().iter().any(|one| one.name() == topic)
}

fn count(stage: &Stage, topic: &str) -> usize {
    let all = metadata(&stage.admin, None);
    all.topics().iter().find(|one| one.name() == topic).map_or(0, |one| one.partitions().len())
}

fn describe(stage: &Stage, topic: &str) -> Value {
    let all = patiently(|| stage.lone_reader(&[]).fetch_metadata(Some(topic), SOON));
    let nodes: BTreeSet<_> = all.brokers().iter().map(rdkafka::metadata::MetadataBroker::id).collect();
    let shown = |one: &MetadataTopic| {
        let partitions = one.partitions().iter().map(|partition| {
            format!(
                "{}: leader is a node: {}, replicas are the leader: {}, in sync: {}, {:?}",
                partition.id(),
                nodes.contains(&partition.leader()),
                partition.replicas() == [partition.leader()],
                partition.isr() == partition.replicas(),
                partition.error().map(RDKafkaErrorCode::from),
            )
        });
        partitions.collect::<Vec<_>>()
    };
    all.topics().iter().map(shown).collect()
}

fn configs(stage: &Stage, topic: &str) -> Value {
    let asked = [ResourceSpecifier::Topic(topic)];
    let answers = stage.wait_for(stage.admin.describe_configs(&asked, &options())).unwrap();
    let wanted = ["cleanup.policy", "max.message.bytes", "retention.ms"];
    let shown = |one: rdkafka::admin::ConfigResourceResult| match one {
        Err(code) => json!(format!("{code:?}")),
        Ok(found) => {
            let known = wanted.iter().filter_map(|name| found.get(name));
            known.map(|entry| format!("{} = {:?} from {:?}", entry.name, entry.value, entry.source)).collect()
        }
    };
    answers.into_iter().map(shown).collect()
}

pub fn unknown(stage: &Stage) {
    for topic in &stage.topics {
        stage.saw(stage.topic_alias(topic), unknown_one(stage, topic));
    }
}

fn unknown_one(stage: &Stage, topic: &str) -> Value {
    let mut seen = Map::new();
    let mut saw = |what: &str, value: Value| drop(seen.insert(what.into(), value));
    // For so long the client believes that a topic is only late.
    let soon = [("topic.metadata.propagation.max.ms", "2000")];
    let reader = stage.lone_reader(&soon);
    let at = [(topic.to_owned(), 0)];
    saw("ends", error_of(reader.fetch_watermarks(topic, 0, wait::seconds(2))).into());
    let asked = reader.offsets_for_times(list(&at, |_| Offset::Offset(0)), wait::seconds(2));
    saw("by time", asked.map_or_else(|error| name_of(&error).into(), |found| stage.shown(&found)));
    reader.subscribe(&[topic]).unwrap();
    let refused = || reader.poll(wait::seconds(1)).and_then(Result::err).map(|error| name_of(&error));
    saw("subscribe", wait::poll(wait::seconds(10), refused).into());
    saw("configs", configs(stage, topic));
    saw("delete", delete(stage, topic));
    // librdkafka's producer asks for topics to be made that are not there; the brokers are set to do so.
    let sent = send(&stage.writer(&[]), [Record::new(&at[0], "v")]);
    saw("produce", json!(sent));
    saw("partitions", count(stage, topic).into());
    let beyond = send(&stage.writer(&soon), [Record::new(&(topic.to_owned(), 9), "v")]);
    saw("produce beyond the partitions", json!(beyond));
    json!(seen)
}

pub fn cluster(stage: &Stage) {
    stage.create(3, &[]);
    let admin = stage.admin.inner();
    let id = admin.fetch_cluster_id(SOON);
    stage.saw("has an id", id.is_some());
    let all = metadata(&stage.admin, None);
    let nodes: BTreeSet<_> = all.brokers().iter().map(rdkafka::metadata::MetadataBroker::id).collect();
    stage.saw("ids differ", nodes.len() == all.brokers().len());
    let mut leaders = Map::new();
    for topic in all.topics().iter().filter(|one| stage.topics.iter().any(|mine| mine == one.name())) {
        let led: Vec<_> = topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::leader).collect();
        stage.saw(
            format!("leaders of {} are nodes", stage.topic_alias(topic.name())),
            led.iter().all(|one| nodes.contains(one)),
        );
        leaders.insert(stage.topic_alias(topic.name()).into(), json!(led));
    }
    stage.saw_raw("cluster_id", id);
    stage.saw_raw("leaders", leaders);
    let shown =
        |one: &rdkafka::metadata::MetadataBroker| json!({ "id": one.id(), "host": one.host(), "port": one.port() });
    stage.saw_raw("nodes", all.brokers().iter().map(shown).collect::<Value>());
    brokers(stage, &nodes);
}

/// Each broker is asked for its own configuration.
fn brokers(stage: &Stage, nodes: &BTreeSet<i32>) {
    let mut told = Vec::new();
    let mut values = BTreeSet::new();
    for &node in nodes {
        let asked = [ResourceSpecifier::Broker(node)];
        let answers = stage.wait_for(stage.admin.describe_configs(&asked, &options())).unwrap();
        for found in answers {
            let found = found.unwrap();
            let value = |name: &str| found.get(name).and_then(|entry| entry.value.clone());
            values.insert(value("max.connections"));
            told.push(json!([value("node.id"), value("advertised.listeners")]));
        }
    }
    stage.saw("brokers' max.connections", json!(values));
    stage.saw_raw("configs", told);
}
