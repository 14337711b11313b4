//! Clusters that are older or other than Apache Kafka of today: clients see what they see on bare Kafka, or the difference
//! stands in `tests/clients/differences.yaml`.

use crate::harness::config::{Config, View as Shown};
use crate::harness::standin::{StandIn, ZONES};
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::operator::{run, says};
use crate::raw::Raw;
use crate::scenarios::clients::CLIENTS;
use crate::scenarios::contract::{ALL, CUT, Client, Line, Run, View};
use crate::scenarios::differences;
use crate::world::{World, full, shared};
use kafka_protocol::messages::MetadataRequest;
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::fs;
use std::thread;
use std::time::Duration;

/// By the clients' names, and what else than the full level plays.
const PLAYED: &[(&str, bool)] = &[("librdkafka", true), ("franz-go", false), ("java-4.3", false)];

/// What is played beside the full level.
const IN_CI: &[&str] = &["codecs", "commit", "cooperative", "reset", "idempotent"];

/// A group is in the list once for each node that it knows (as before Apache Kafka), and here they come and go.
const LEFT_OUT: &[(&str, &str, &str)] = &[("warpstream", "librdkafka", "groups")];

pub fn trials() -> Vec<Trial> {
    let kinds: [(&str, Make); 2] = [("old", StandIn::old), ("warpstream", StandIn::warpstream)];
    let clients = PLAYED.iter().filter(|(_, in_ci)| *in_ci || full());
    let clients: Vec<&Client> =
        clients.filter_map(|(name, _)| CLIENTS.iter().find(|client| client.name == *name)).collect();
    let of_kind = |(kind, make): (&'static str, Make)| {
        let one = move |client: &&'static Client| {
            let client = *client;
            shared(format!("stand-in {kind}: {}", client.name), move |world| plays(world, client, kind, make))
        };
        clients.iter().map(one).collect::<Vec<_>>()
    };
    let mut trials: Vec<_> = kinds.into_iter().flat_map(of_kind).collect();
    trials.extend(kinds.map(|(kind, make)| {
        shared(format!("stand-in {kind}: check --live says what it cannot do"), move |world| is_told(world, kind, make))
    }));
    trials.push(shared("stand-in warpstream: clients' options are Fishplate's own", options));
    trials
}

/// What an operator reads of a cluster that cannot do everything, and whom that affects.
fn is_told(world: &World, kind: &str, make: Make) {
    let stand_in = make(world.b.broker(1).port).unwrap_or_else(|error| panic!("{error:#}"));
    let config = Config::two_clusters(&world.a.bootstrap(), &stand_in.bootstrap());
    let file = world.directory.join(format!("{kind}-live.yaml"));
    fs::write(&file, config.yaml()).expect("a file");
    let (_, said) = run(&["check", "-c", &file.to_string_lossy(), "--live"]);
    let of = |cluster: &str| {
        let lines = said.lines().skip_while(|line| !line.starts_with(&format!("{cluster}: "))).skip(1);
        lines.take_while(|line| line.starts_with("  without ")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(of("a"), "", "Kafka of today lacks nothing: {said}");
    insta::assert_snapshot!(format!("lacks_of_{kind}"), of("b"));
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

const TO_DO_IT: Duration = wait::seconds(60);

type Make = fn(u16) -> anyhow::Result<StandIn>;

/// One client, all that every client plays, the second of its topics and groups on the stand-in.
fn plays(world: &World, client: &'static Client, kind: &str, make: Make) {
    let stand_in = make(world.b.broker(1).port).unwrap_or_else(|error| panic!("{error:#}"));
    let config = Config::two_clusters(&world.a.bootstrap(), &stand_in.bootstrap()).showing(Shown::Brokers, None);
    let proxy = world.start_proxy(&config);
    let is_played = |one: &&str| {
        ALL.contains(one)
            && *one != CUT
            && (full() || IN_CI.contains(one))
            && !LEFT_OUT.contains(&(kind, client.name, *one))
    };
    let scenarios: Vec<_> = client.plays().into_iter().filter(is_played).collect();
    let play = |bootstrap: &Bootstrap, way: &str, second: &str| {
        let (topics, groups) = (["a", second].map(|home| format!("{home}-{kind}-{}", client.name)), ["a", second]);
        (client.play)(&Run {
            client: client.name,
            scenarios: &scenarios,
            bootstrap,
            topics: topics.map(|topic| format!("{topic}-{way}")),
            groups: groups.map(|home| format!("g{home}-{kind}-{}-{way}", client.name)),
            output: world.directory.join(format!("{kind}-{}-{way}.out", client.name)),
            log: world.directory.join(format!("{kind}-{}-{way}.log", client.name)),
            cut: None,
        })
    };
    let (bare, through) = thread::scope(|scope| {
        let bare = scope.spawn(|| play(&world.a.bootstrap(), "bare", "c"));
        let through = play(&proxy.bootstrap(), "through", "b").unwrap_or_else(|error| panic!("{error:#}"));
        let bare = bare.join().expect("the client on bare Kafka");
        (bare.unwrap_or_else(|error| panic!("{error:#}")), through)
    });
    let complaints: Vec<_> =
        scenarios.iter().filter_map(|scenario| complaint(kind, client, scenario, &bare, &through)).collect();
    assert!(complaints.is_empty(), "before {kind}:\n{}", complaints.join("\n"));
    assert!(proxy.stop().success(), "{}", proxy.log().tail(20));
}

fn complaint(kind: &str, client: &Client, scenario: &str, bare: &[Line], through: &[Line]) -> Option<String> {
    let find = |lines: &[Line]| {
        let line = lines.iter().find(|line| line.scenario == scenario);
        let line = line.unwrap_or_else(|| panic!("the client left {scenario} out"));
        line.result.clone().ok_or_else(|| line.failure())
    };
    let (bare, through) = match (find(bare), find(through)) {
        (Ok(bare), Ok(through)) => (bare, through),
        (Err(failure), _) => return Some(format!("on bare Kafka, {failure}")),
        (_, Err(failure)) => return Some(failure),
    };
    differences::complaint_before(kind, client.name, View::Brokers, scenario, (&bare, &through))
}
