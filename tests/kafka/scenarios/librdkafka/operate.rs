//! What an operator does with librdkafka's admin client, as far as the crate has it: each change, what it answers, and what
//! is there afterwards.

use super::stage::{SOON, Stage, list, name_of, options, patiently};
use super::topics::outcomes;
use crate::harness::wait;
use rdkafka::admin::{AdminOptions, AlterConfig, ConfigResourceResult, ConfigSource, NewPartitions, ResourceSpecifier};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::Offset;
use serde_json::{Map, Value, json};

const NOBODY: i32 = 987_654;

pub fn play(stage: &Stage) {
    stage.create(3, &[]);
    stage.fill("v", 3, 5);
    for topic in &stage.topics {
        let mut seen = Map::new();
        partitions(stage, topic, &mut seen);
        configs(stage, topic, &mut seen);
        records(stage, topic, &mut seen);
        stage.saw(stage.topic_alias(topic), seen);
    }
    brokers(stage);
}

fn partitions(stage: &Stage, topic: &str, seen: &mut Map<String, Value>) {
    let led = |partition: usize| {
        let all = stage.admin.inner().fetch_metadata(Some(topic), SOON).unwrap();
        all.topics().first().and_then(|one| Some(one.partitions().get(partition)?.leader())).filter(|id| *id >= 0)
    };
    let leader = [wait::find("a leader", SOON, || led(0))];
    let grow = |to: usize, on: &[&[i32]], options: &AdminOptions| {
        let wanted = NewPartitions::new(topic, to);
        let wanted = if on.is_empty() { wanted } else { wanted.assign(on) };
        outcomes(stage.wait_for(stage.admin.create_partitions(&[wanted], options)))
    };
    let mut saw = |what: &str, value: Value| drop(seen.insert(format!("grow, {what}"), value));
    saw("as many", grow(3, &[], &options()));
    saw("fewer", grow(1, &[], &options()));
    saw("on an unknown broker", grow(4, &[&[NOBODY]], &options()));
    saw("two places for one", grow(4, &[&leader, &leader], &options()));
    saw("validate", grow(4, &[], &options().validate_only(true)));
    saw("on a node", grow(4, &[&leader], &options()));
    wait::until("the topic has grown", SOON, || led(3).is_some());
    let missing = format!("{topic}.x");
    let of_none = [NewPartitions::new(&missing, 2)];
    saw("no such topic", outcomes(stage.wait_for(stage.admin.create_partitions(&of_none, &options()))));
}

fn configs(stage: &Stage, topic: &str, seen: &mut Map<String, Value>) {
    let missing = format!("{topic}.x");
    let alter = |of: &str, key: &str, value: &str, options: &AdminOptions| {
        let wanted = AlterConfig::new(ResourceSpecifier::Topic(of)).set(key, value);
        of_configs(stage.wait_for(stage.admin.alter_configs([&wanted], options)))
    };
    let mut saw = |what: &str, value: Value| drop(seen.insert(format!("config, {what}"), value));
    saw("set", alter(topic, "max.message.bytes", "123456", &options()));
    saw("told", told(stage, topic, "max.message.bytes=123456"));
    // This call sets all anew.
    saw("set another", alter(topic, "retention.ms", "7000000", &options()));
    saw("told of another", told(stage, topic, "retention.ms=7000000"));
    saw("validate", alter(topic, "retention.ms", "8000000", &options().validate_only(true)));
    saw("wrong value", alter(topic, "retention.ms", "soon", &options()));
    saw("unknown", alter(topic, "no.such.config", "1", &options()));
    saw("no such topic", alter(&missing, "retention.ms", "1", &options()));
    saw("told afterwards", told(stage, topic, "retention.ms=7000000"));
}

/// The topic's own configs, once a broker tells these: they hear of a change one after another.
fn told(stage: &Stage, topic: &str, wanted: &str) -> Value {
    let own = || {
        let asked = [ResourceSpecifier::Topic(topic)];
        let answers = stage.wait_for(stage.admin.describe_configs(&asked, &options())).unwrap();
        let found = answers.into_iter().next()?.ok()?;
        let own = found.entries.iter().filter(|entry| matches!(entry.source, ConfigSource::DynamicTopic));
        let own = own.map(|entry| format!("{}={}", entry.name, entry.value.as_deref().unwrap_or_default()));
        Some(own.collect::<Vec<_>>()).filter(|own| own == &[wanted])
    };
    json!(wait::find(&format!("a broker that tells {wanted}"), SOON, own))
}

fn of_configs(answer: KafkaResult<Vec<Result<rdkafka::admin::OwnedResourceSpecifier, AlterFault>>>) -> Value {
    match answer {
        Ok(all) => {
            all.into_iter().map(|one| one.err().map_or("none".into(), |(_, code)| format!("{code:?}"))).collect()
        }
        Err(error) => json!([name_of(&error)]),
    }
}

type AlterFault = (rdkafka::admin::OwnedResourceSpecifier, rdkafka::error::RDKafkaErrorCode);

fn records(stage: &Stage, topic: &str, seen: &mut Map<String, Value>) {
    let drop_before = |partition: i32, offset: Offset| {
        let before = list(&[(topic.to_owned(), partition)], |_| offset);
        match stage.wait_for(stage.admin.delete_records(&before, &options())) {
            Ok(answered) => stage.shown(&answered),
            Err(error) => json!(name_of(&error)),
        }
    };
    let mut saw = |what: &str, value: Value| drop(seen.insert(format!("records, {what}"), value));
    saw("delete", drop_before(0, Offset::Offset(3)));
    let reader = stage.lone_reader(&[]);
    saw("ends", json!(patiently(|| reader.fetch_watermarks(topic, 0, SOON))));
    saw("delete, beyond the end", drop_before(0, Offset::Offset(99)));
    saw("delete all", drop_before(0, Offset::End));
    saw("delete, no such partition", drop_before(99, Offset::Offset(1)));
}

/// Nothing is changed: the brokers serve other scenarios too.
fn brokers(stage: &Stage) {
    let all = stage.admin.inner().fetch_metadata(None, SOON).unwrap();
    let node = all.brokers().first().expect("a node").id();
    let asked = [ResourceSpecifier::Broker(node)];
    let answers = stage.wait_for(stage.admin.describe_configs(&asked, &options())).unwrap();
    let default = |one: ConfigResourceResult| {
        let found = one.map_err(|code| format!("{code:?}"))?;
        Ok::<_, String>(found.get("log.cleaner.threads").and_then(|entry| entry.value.clone()))
    };
    stage.saw("log.cleaner.threads of a node", answers.into_iter().map(|one| json!(default(one))).collect::<Value>());
    let wanted = AlterConfig::new(ResourceSpecifier::Broker(node)).set("log.cleaner.threads", "1");
    let validated = stage.wait_for(stage.admin.alter_configs([&wanted], &options().validate_only(true)));
    stage.saw("broker config, validate", of_configs(validated));
}
