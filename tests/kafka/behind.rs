//! Topics that are made, grown, deleted and made again on a cluster itself, behind Fishplate's back.

use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::world::{World, shared};
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;

/// Two seconds are promised from the first request or error that touches a topic; the rest is for a busy machine.
const TO_FOLLOW: Duration = wait::seconds(10);
/// A list of all topics may be half a minute old.
const TO_LIST: Duration = wait::seconds(45);

pub fn trials() -> Vec<Trial> {
    vec![
        shared("behind our back: a topic appears", a_topic_appears),
        shared("behind our back: a topic grows", a_topic_grows),
        shared("behind our back: a topic is deleted", a_topic_is_deleted),
        shared("behind our back: a topic is made again with another id", a_topic_is_made_again),
    ]
}

fn a_topic_appears(world: &World) {
    let through = world.proxy().bootstrap();
    let eyes = eyes(&through);
    for (cluster, topic) in [(&world.a, "a-appears"), (&world.b, "b-appears")] {
        // Given a topic that Fishplate was asked for when it was not there
        wait::until("it is unknown", TO_FOLLOW, || is_unknown(&eyes, topic));
        // When it is created
        Topics::of(&cluster.bootstrap()).create(topic, 3, 1);
        // Then it is found by name, takes records and gives them back
        wait::until("it has three partitions", TO_FOLLOW, || partitions(&eyes, topic) == 3);
        produce(&through, topic, 2, "hello");
        assert_eq!(read(&through, topic, 2, 1), ["hello"]);
        // And it comes to be listed
        let listed = |seen: Metadata| seen.topics().iter().any(|found| found.name() == topic);
        wait::until("it is listed", TO_LIST, || eyes.fetch_metadata(None, wait::seconds(5)).is_ok_and(listed));
    }
}

fn a_topic_grows(world: &World) {
    let through = world.proxy().bootstrap();
    let eyes = eyes(&through);
    // Given a topic that Fishplate knows
    Topics::of(&world.b.bootstrap()).create("b-grows", 1, 1);
    wait::until("it has one partition", TO_FOLLOW, || partitions(&eyes, "b-grows") == 1);
    // When it grows
    Topics::of(&world.b.bootstrap()).grow("b-grows", 3);
    // Then its new partitions are seen and take records
    wait::until("it has three partitions", TO_LIST, || partitions(&eyes, "b-grows") == 3);
    produce(&through, "b-grows", 2, "hello");
    assert_eq!(read(&through, "b-grows", 2, 1), ["hello"]);
}

fn a_topic_is_deleted(world: &World) {
    let through = world.proxy().bootstrap();
    let eyes = eyes(&through);
    // Given a topic that Fishplate knows
    Topics::of(&world.a.bootstrap()).create("a-deleted", 2, 1);
    wait::until("it has two partitions", TO_FOLLOW, || partitions(&eyes, "a-deleted") == 2);
    // When it is deleted
    Topics::of(&world.a.bootstrap()).delete("a-deleted");
    // Then it comes to be unknown
    wait::until("it is unknown", TO_LIST, || is_unknown(&eyes, "a-deleted"));
}

fn a_topic_is_made_again(world: &World) {
    let through = world.proxy().bootstrap();
    let topics = Topics::of(&world.a.bootstrap());
    // Given a topic with records that went through Fishplate
    topics.create("a-again", 1, 1);
    produce(&through, "a-again", 0, "of the first");
    assert_eq!(read(&through, "a-again", 0, 1), ["of the first"]);
    // When it is deleted and another of that name is created at once
    topics.delete("a-again");
    wait::until("it is gone", TO_FOLLOW, || is_unknown(&self::eyes(&world.a.bootstrap()), "a-again"));
    topics.create("a-again", 1, 1);
    // Then new records go to the new one and only they are read
    produce(&through, "a-again", 0, "of the second");
    assert_eq!(read(&world.a.bootstrap(), "a-again", 0, 1), ["of the second"]);
    assert_eq!(read(&through, "a-again", 0, 1), ["of the second"]);
}

fn client(bootstrap: &Bootstrap) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &bootstrap.servers).set("log_level", "0");
    config
}

/// A client that only looks; it never makes a topic.
fn eyes(bootstrap: &Bootstrap) -> BaseConsumer {
    client(bootstrap).create().expect("a consumer")
}

fn partitions(eyes: &BaseConsumer, topic: &str) -> usize {
    let seen = eyes.fetch_metadata(Some(topic), wait::seconds(5));
    seen.map_or(0, |seen| seen.topics().first().map_or(0, |found| found.partitions().len()))
}

fn is_unknown(eyes: &BaseConsumer, topic: &str) -> bool {
    let Ok(seen) = eyes.fetch_metadata(Some(topic), wait::seconds(5)) else { return false };
    let error = seen.topics().first().and_then(|found| found.error());
    error == Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
}

/// Returns when it is acknowledged; retries what a client retries.
#[track_caller]
fn produce(bootstrap: &Bootstrap, topic: &str, partition: i32, text: &str) {
    let producer: ThreadedProducer<Answers> = client(bootstrap)
        .set("message.timeout.ms", "30000")
        .create_with_context(Answers::default())
        .expect("a producer");
    producer.send(BaseRecord::<str, str>::to(topic).partition(partition).payload(text)).expect("room for one");
    producer.flush(TO_LIST).expect("an answer");
    let answer = producer.context().0.lock().expect("no panic").take();
    assert_eq!(answer, Some(Ok(())), "{text} to {topic}-{partition} of {bootstrap}");
}

#[derive(Default)]
struct Answers(std::sync::Mutex<Option<Result<(), String>>>);

impl rdkafka::ClientContext for Answers {}

impl rdkafka::producer::ProducerContext for Answers {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &rdkafka::producer::DeliveryResult<'_>, (): ()) {
        let answer = result.as_ref().map(|_| ()).map_err(|(error, _)| error.to_string());
        *self.0.lock().expect("no panic") = Some(answer);
    }
}

/// The first records of a partition, from its start.
#[track_caller]
fn read(bootstrap: &Bootstrap, topic: &str, partition: i32, count: usize) -> Vec<String> {
    let consumer: BaseConsumer = client(bootstrap).set("group.id", "nobody").create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
    consumer.assign(&list).expect("an assignment");
    let mut found = Vec::new();
    wait::until(&format!("{count} records of {topic}-{partition} are read from {bootstrap}"), TO_LIST, || {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            found.push(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned());
        }
        found.len() >= count
    });
    found
}
