//! Records that are larger than what a connection may hold of Fishplate's memory (an eighth of 64 MiB) pass both ways.

use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::world::{World, shared};
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::thread;
use std::time::Duration;

const SIZE: usize = 20 << 20;
const TO_PASS: Duration = wait::seconds(120);

pub fn trials() -> Vec<Trial> {
    vec![shared("large: records of 20 MB from several producers at once are written and read", several_at_once)]
}

fn several_at_once(world: &World) {
    // Given a topic that takes large records
    let topic = NewTopic::new("b-large", 1, TopicReplication::Fixed(1)).set("max.message.bytes", "30000000");
    Topics::of(&world.b.bootstrap()).create_as(&topic);
    wait::find("a leader", wait::seconds(20), || world.b.leader("b-large", 0));
    // When several producers send one each, and a small one behind it
    let through = world.proxy().bootstrap();
    thread::scope(|scope| {
        for letter in ["a", "b", "c"] {
            let through = &through;
            scope.spawn(move || {
                let producer: BaseProducer = client(through).create().expect("a producer");
                for value in [letter.repeat(SIZE), letter.to_owned()] {
                    producer.send(BaseRecord::<(), _>::to("b-large").payload(&value)).expect("room");
                }
                producer.flush(TO_PASS).expect("acknowledged");
            });
        }
    });
    // Then all are there, each behind its producer's large one
    let consumer: BaseConsumer = client(&through).set("group.id", "nobody").create().expect("a consumer");
    let mut from_start = TopicPartitionList::new();
    from_start.add_partition_offset("b-large", 0, Offset::Beginning).expect("an offset");
    consumer.assign(&from_start).expect("an assignment");
    let mut read: Vec<(u8, usize)> = Vec::new();
    wait::until("all records are read", TO_PASS, || {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            let value = message.payload().expect("a value");
            assert!(value.iter().all(|byte| *byte == value[0]));
            read.push((value[0], value.len()));
        }
        read.len() == 6
    });
    for letter in *b"abc" {
        let of_one: Vec<_> = read.iter().filter(|(first, _)| *first == letter).map(|(_, size)| *size).collect();
        assert_eq!(of_one, [SIZE, 1], "{}", char::from(letter));
    }
}

fn client(bootstrap: &Bootstrap) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &bootstrap.servers).set("log_level", "0");
    config.set("message.max.bytes", "30000000").set("fetch.message.max.bytes", "30000000");
    config
}
