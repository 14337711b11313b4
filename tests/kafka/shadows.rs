//! Shadow topics: what becomes of a group's commits for a topic of another cluster when that topic is deleted.

use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::raw::{Raw, fetch};
use crate::world::{World, shared};
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::fs;
use std::time::Duration;

/// For what should take a moment, on a busy machine.
const SOON: Duration = wait::seconds(30);

pub fn trials() -> Vec<Trial> {
    vec![
        shared("shadows: a deleted topic takes its commits along, as on bare Kafka", commits_go_with_their_topic),
        shared("shadows: a topic of the same name that was written is left alone", a_written_topic_is_left),
        shared("shadows: an empty topic that others made is left alone", a_topic_that_others_made_is_left),
        shared("shadows: a topic that grows through Fishplate grows after its shadow", a_shadow_grows_with_its_topic),
    ]
}

fn commits_go_with_their_topic(world: &World) {
    let through = world.proxy().bootstrap();
    // Given bare Kafka, and Fishplate with the group at home on the one cluster and the topic on the other, both ways
    for (at, group, topic) in [
        (&world.b.bootstrap(), "gb-shadows-bare", "b-shadows-bare"),
        (&through, "ga-shadows", "b-shadows"),
        (&through, "gb-shadows", "a-shadows"),
    ] {
        let topics = Topics::of(at);
        // And a group that has read and committed
        topics.create(topic, 2, 1);
        write(at, topic, "old");
        assert_eq!(read_and_commit(at, group, topic), "old");
        wait::until("its commit is there", SOON, || committed(at, group, topic) == Some(Offset::Offset(1)));
        // When the topic is deleted and made again
        topics.delete(topic);
        wait::until("it can be made again", SOON, || is_unknown(at, topic));
        topics.create(topic, 2, 1);
        // Then the commit is gone
        wait::until("its commit is gone", SOON, || committed(at, group, topic) == Some(Offset::Invalid));
        // And the group reads the new topic from its beginning, and can commit again
        write(at, topic, "new");
        assert_eq!(read_and_commit(at, group, topic), "new");
        wait::until("its new commit is there", SOON, || committed(at, group, topic) == Some(Offset::Offset(1)));
    }
}

fn a_shadow_grows_with_its_topic(world: &World) {
    let through = world.proxy().bootstrap();
    let topics = Topics::of(&through);
    // Given a group at home on the one cluster that has committed for a topic of the other
    topics.create("b-shadows-grow", 2, 1);
    write(&through, "b-shadows-grow", "old");
    assert_eq!(read_and_commit(&through, "ga-shadows-grow", "b-shadows-grow"), "old");
    let partitions = |cluster: &crate::harness::cluster::Cluster| {
        cluster.metadata(Some("b-shadows-grow")).map_or(0, |seen| seen.topics()[0].partitions().len())
    };
    wait::until("its shadow is there", SOON, || partitions(&world.a) == 2);
    // When the topic grows
    topics.grow("b-shadows-grow", 5);
    // Then so has its shadow, before any commit asked for it
    wait::until("its shadow has grown", SOON, || partitions(&world.a) == 5);
    wait::until("the topic has grown", SOON, || partitions(&world.b) == 5);
}

fn a_written_topic_is_left(world: &World) {
    let proxy = world.start_proxy(&world.config());
    // Given a topic, and one of the same name on the other cluster that has a record
    Topics::of(&world.b.bootstrap()).create("b-written", 2, 1);
    Topics::of(&world.a.bootstrap()).create("b-written", 2, 1);
    write(&world.a.bootstrap(), "b-written", "mine");
    // When it is deleted through Fishplate
    proxy.log().allow("is left as it is");
    Topics::of(&proxy.bootstrap()).delete("b-written");
    // Then it is gone, and the other is there with its record
    wait::until("it is gone", SOON, || is_unknown(&world.b.bootstrap(), "b-written"));
    let said = || fs::read_to_string(proxy.log().file()).unwrap_or_default();
    wait::until("it says why", SOON, || said().contains("it has been written: partition 0 reaches offset 1"));
    let leader = wait::find("a leader", SOON, || world.a.leader("b-written", 0));
    let mut raw = Raw::connect(&format!("127.0.0.1:{}", world.a.broker(leader).port));
    assert_eq!(raw.call(12, &fetch(&["b-written"], 100)).responses[0].partitions[0].high_watermark, 1);
    proxy.finish();
}

fn a_topic_that_others_made_is_left(world: &World) {
    let proxy = world.start_proxy(&world.config());
    // Given a topic, and one of the same name on the other cluster that holds nothing, but was not made as a shadow
    Topics::of(&world.b.bootstrap()).create("b-theirs", 2, 1);
    Topics::of(&world.a.bootstrap()).create("b-theirs", 2, 1);
    // When it is deleted through Fishplate
    proxy.log().allow("is left as it is");
    Topics::of(&proxy.bootstrap()).delete("b-theirs");
    // Then it is gone, and the other is there
    wait::until("it is gone", SOON, || is_unknown(&world.b.bootstrap(), "b-theirs"));
    let said = || fs::read_to_string(proxy.log().file()).unwrap_or_default();
    wait::until("it says why", SOON, || said().contains("Fishplate did not make it"));
    assert!(!is_unknown(&world.a.bootstrap(), "b-theirs"));
    proxy.finish();
}

fn client(at: &Bootstrap, group: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &at.servers).set("log_level", "0").set("group.id", group);
    config.set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    config.create().expect("a consumer")
}

/// Joins the group, reads one record, commits behind it and leaves.
#[track_caller]
fn read_and_commit(at: &Bootstrap, group: &str, topic: &str) -> String {
    let consumer = client(at, group);
    consumer.subscribe(&[topic]).expect("a subscription");
    let record = wait::find(&format!("a record of {topic} from {at}"), SOON, || {
        consumer.poll(Duration::from_millis(100))?.ok().map(|record| record.detach())
    });
    consumer.store_offset(topic, record.partition(), record.offset()).expect("an offset");
    consumer.commit_consumer_state(CommitMode::Sync).expect("a commit");
    String::from_utf8_lossy(record.payload().unwrap_or_default()).into_owned()
}

/// What the group has committed for partition 0; nothing where its coordinator does not answer yet.
fn committed(at: &Bootstrap, group: &str, topic: &str) -> Option<Offset> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    let found = client(at, group).committed_offsets(list, SOON).ok()?;
    Some(found.elements()[0].offset())
}

fn is_unknown(at: &Bootstrap, topic: &str) -> bool {
    let seen = client(at, "nobody").fetch_metadata(Some(topic), SOON).expect("metadata");
    seen.topics()[0].error().is_some()
}

/// Writes one record to partition 0.
#[track_caller]
fn write(at: &Bootstrap, topic: &str, value: &str) {
    use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &at.servers).set("log_level", "0");
    let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> = config.create().expect("a producer");
    producer.send(BaseRecord::<str, str>::to(topic).partition(0).payload(value)).expect("room for one");
    producer.flush(SOON).expect("an answer");
}
