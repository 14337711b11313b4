//! Clusters that are older or other than Apache Kafka of today: clients see what they see on bare Kafka, or the difference
//! stands in `tests/clients/differences.yaml`.

use crate::harness::Bootstrap;
use crate::harness::config::{Config, View as Shown};
use crate::harness::standin::StandIn;
use crate::harness::topics::Topics;
use crate::raw::{Raw, batch, fetch, produce, topic};
use crate::scenarios::clients::CLIENTS;
use crate::scenarios::contract::{ALL, CUT, Client, Line, Run, View};
use crate::scenarios::differences;
use crate::world::{World, full, shared};
use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use libtest_mimic::Trial;
use std::thread;

/// By the clients' names, and what else than the full level plays.
const PLAYED: &[(&str, bool)] = &[("librdkafka", true), ("franz-go", false), ("java-4.3", false)];

/// What is played beside the full level.
const IN_CI: &[&str] = &["codecs", "commit", "cooperative", "reset", "idempotent"];

/// What a client plays beside what all play. The others' ask for what these clusters do not tell of transactions and settings.
const MORE: &[(&str, &str)] = &[("librdkafka", "transactions"), ("librdkafka", "operate")];

/// By the stand-in, the client and the scenario. A group is in librdkafka's list once for each node that it knows (as before
/// Apache Kafka), and WarpStream's come and go; Java places a topic on a node that was there a moment ago, and gives up where
/// the old one does not tell what it has made.
const LEFT_OUT: &[(&str, &str, &str)] =
    &[("warpstream", "librdkafka", "groups"), ("warpstream", "java-4.3", "topics"), ("old", "java-4.3", "topics")];

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
    trials.push(shared("stand-in old: a topic is written and read by an id, though its cluster gives none", by_an_id));
    trials
}

/// Java's producer says a topic's id and nothing else, whatever cluster it is on: it goes by the table that it is shown.
fn by_an_id(world: &World) {
    const NAME: &str = "b-old-by-an-id";
    // Given a topic on a cluster that gives no ids
    Topics::of(&world.b.bootstrap()).create(NAME, 1, 1);
    let stand_in = StandIn::old(world.b.broker(1).port).unwrap_or_else(|error| panic!("{error:#}"));
    let proxy = world.start_proxy(&Config::two_clusters(&world.a.bootstrap(), &stand_in.bootstrap()));
    let mut raw = Raw::connect(&proxy.bootstrap().servers);
    let asked = MetadataRequestTopic::default().with_name(Some(topic(NAME)));
    let told = raw.call(13, &MetadataRequest::default().with_topics(Some(vec![asked])));
    // Then clients are shown one
    let id = told.topics[0].topic_id;
    assert!(!id.is_nil(), "{told:?}");
    // And it serves to write, to read and to ask by
    let mut records = produce(&[("", &batch(&["a record"]))]);
    records.topic_data[0].topic_id = id;
    let written = raw.call(13, &records);
    let answer = (&written.responses[0].topic_id, written.responses[0].partition_responses[0].error_code);
    assert_eq!(answer, (&id, 0), "{written:?}");
    let mut poll = fetch(&[""], 5_000);
    poll.topics[0].topic_id = id;
    let read = raw.call(17, &poll);
    let answer = &read.responses[0];
    assert_eq!((answer.topic_id, answer.partitions[0].error_code, answer.partitions[0].high_watermark), (id, 0, 1));
    let asked = MetadataRequestTopic::default().with_name(None).with_topic_id(id);
    let told = raw.call(13, &MetadataRequest::default().with_topics(Some(vec![asked])));
    assert_eq!(told.topics[0].name, Some(topic(NAME)));
    assert!(proxy.stop().success(), "{}", proxy.log().tail(20));
}

type Make = fn(u16) -> anyhow::Result<StandIn>;

/// One client, all that every client plays, the second of its topics and groups on the stand-in.
fn plays(world: &World, client: &'static Client, kind: &str, make: Make) {
    let stand_in = make(world.b.broker(1).port).unwrap_or_else(|error| panic!("{error:#}"));
    let config = Config::two_clusters(&world.a.bootstrap(), &stand_in.bootstrap()).showing(Shown::Brokers, None);
    let proxy = world.start_proxy(&config);
    let is_played = |one: &&str| {
        (ALL.contains(one) || MORE.contains(&(client.name, *one)))
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
