//! WarpStream reads options out of client ids: what it reads is Fishplate's own (`wire/client_id.rs`).

use crate::harness::config::Config;
use crate::harness::standin::{StandIn, ZONES};
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::operator::says;
use crate::raw::Raw;
use crate::world::{World, shared};
use kafka_protocol::messages::MetadataRequest;
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::time::Duration;

const TO_DO_IT: Duration = wait::seconds(60);

pub fn trials() -> Vec<Trial> {
    vec![shared("stand-in warpstream: clients' options are Fishplate's own", options)]
}

fn options(world: &World) {
    // Given WarpStream, and a Fishplate that was told in which zone it is
    let stand_in = StandIn::warpstream(world.b.broker(1).port).unwrap_or_else(|error| panic!("{error:#}"));
    let config = Config::two_clusters(&world.a.bootstrap(), &stand_in.bootstrap());
    let zone = ZONES[1];
    let proxy = world.start_proxy(&config.keys("b", &format!("kind: warpstream, zone: {zone}")));
    Topics::of(&world.b.bootstrap()).create("b-options", 2, 1);
    // When clients come that have options of their own, short and very long ones
    let long = format!("{},ws_az=zone-1", "x".repeat(30_000));
    for client_id in ["my-app,ws_az=zone-1,warpstream_host_override=evil", "ws_az=zone-1", &long] {
        let client = Named::of(&proxy.bootstrap(), client_id);
        client.write("b-options");
        client.write("a-options");
        assert_eq!(client.read("b-options"), "a record");
    }
    // Then the cluster is told our zone and no other, beside the clients' names
    let told = stand_in.client_ids();
    let options =
        |id: &String| id.split(',').filter(|piece| piece.contains('=')).map(str::to_owned).collect::<Vec<_>>();
    for id in &told {
        assert!(options(id) == [format!("ws_az={zone}")] || id == "fishplate", "{id}");
    }
    for id in [format!("my-app,ws_az={zone}"), format!("ws_az={zone}"), format!("fishplate,ws_az={zone}")] {
        assert!(told.contains(&id), "{id}: {told:?}");
    }
    assert!(told.iter().any(|id| id.starts_with("xxx") && id.len() > 30_000));
    // And so it has named agents of our zone, and no client's options are in the table of clients
    let of_zone = stand_in.agents_in(zone);
    let seen = Raw::connect(&proxy.bootstrap().servers).call(12, &MetadataRequest::default().with_topics(None));
    let there: Vec<_> = seen.brokers.iter().filter_map(|broker| broker.rack.as_deref()).collect();
    assert!(there.contains(&zone) && !there.contains(&ZONES[0]) && !of_zone.is_empty(), "{there:?}");
    let (_, table) = says(&proxy, &["clients", "--json"]);
    assert!(!table.contains("ws_") && !table.contains("warpstream_"), "{table}");
    assert!(proxy.stop().success(), "{}", proxy.log().tail(20));
}

/// A producer and a consumer that call themselves so.
struct Named(ClientConfig);

impl Named {
    fn of(at: &Bootstrap, client_id: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &at.servers).set("client.id", client_id).set("log_level", "0");
        Self(config)
    }

    #[track_caller]
    fn write(&self, topic: &str) {
        let producer: ThreadedProducer<DefaultProducerContext> = self.0.create().expect("a producer");
        let record = BaseRecord::<str, str>::to(topic).partition(0).payload("a record");
        producer.send(record).unwrap_or_else(|(error, _)| panic!("{error}"));
        producer.flush(TO_DO_IT).expect("an answer");
    }

    #[track_caller]
    fn read(&self, topic: &str) -> String {
        let consumer: BaseConsumer = self.0.clone().set("group.id", "gb-options").create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning).expect("an offset");
        consumer.assign(&list).expect("an assignment");
        wait::find("a record", TO_DO_IT, || {
            let message = consumer.poll(Duration::from_millis(100))?.ok()?;
            Some(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned())
        })
    }
}
