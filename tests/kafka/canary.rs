//! Canaries on real clusters: which records go over to the same topic on the other cluster, and who finds them there.

use crate::harness::config::{Config, View};
use crate::harness::metrics::Metrics;
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::policy::{Sent, batch, read, record, write};
use crate::raw::{Raw, fetch, produce, topic};
use crate::scenarios::programs::java_at;
use crate::world::{World, shared};
use kafka_protocol::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, TopicName, create_topics_request::CreatableTopic,
    delete_topics_request::DeleteTopicState,
};
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Message};
use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

const TO_DO_IT: Duration = wait::seconds(60);
const INVALID_TOPIC: i16 = 17;

pub fn trials() -> Vec<Trial> {
    vec![
        shared("canary: acknowledged is home and canary, byte for byte", sums),
        shared("canary: groups read the twin and resume, in librdkafka and Java", groups),
        shared("canary: nobody but the canary writes, makes or deletes the twin", refusals),
    ]
}

/// The file of a Fishplate where pipeline `left` has these canaries.
fn config(world: &World, name: &str, canaries: &str) -> Config {
    let config = Config::two_clusters(&world.a.bootstrap(), &world.b.bootstrap()).only(&format!("canary-{name}"));
    config.transacting_on_a().showing(View::Brokers, None).listener(View::Single, None).policy("left", canaries)
}

/// By token, how many.
fn by_token(records: &[Sent]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        let token = record.last("token").map(|token| String::from_utf8_lossy(token).into_owned());
        *counts.entry(token.unwrap_or_default()).or_default() += 1;
    }
    counts
}

/// What records of a key hold, in their order.
fn of_key<'r>(records: &'r [Sent], key: &str) -> Vec<&'r Vec<u8>> {
    let has = |record: &&'r Sent| record.key.as_deref() == Some(key.as_bytes());
    records.iter().filter(has).map(|record| &record.payload).collect()
}

fn sums(world: &World) {
    // Given a topic on both clusters, with fewer partitions where the canary is
    let (main, twin) = ("a-canary-sums", "a-canary-sums--at--b");
    Topics::of(&world.a.bootstrap()).create(main, 3, 3);
    Topics::of(&world.b.bootstrap()).create(main, 2, 1);
    let canaries = "canaries:\n  - { key: header(token), values: [listed], share: 20%, to: b }\n";
    let file = world.directory.join("canary-sums.yaml");
    let with = config(world, "sums", canaries);
    fs::write(&file, with.yaml()).expect("a file");
    let proxy = Proxy::of_file(&file, with.views(), &world.directory).expect("Fishplate");
    proxy.wait_ready();
    proxy.log().allow("a canary's topic is not as it should be");
    let said = || fs::read_to_string(proxy.log().file()).unwrap_or_default();
    wait::until("it says that one is smaller", TO_DO_IT, || said().contains("has 2 partitions on b and 3 at home"));
    let token = |number: usize| match number % 10 {
        0 => None,
        1 => Some("listed".to_owned()),
        _ => Some(format!("token {}", number % 97)),
    };
    let sent: Vec<_> = (0..600).map(|number| record(number, token(number).as_deref())).collect();
    // When a client that is not idempotent writes them
    let settings = [("compression.type", "lz4"), ("batch.num.messages", "37")];
    assert_eq!(write(&proxy.bootstrap(), main, &settings, &sent), [""; 0]);
    // Then each is on one of the two clusters, as it was, and the canary's has what clients find in the twin
    let (home, over) = (read(&proxy.bootstrap(), main), read(&proxy.bootstrap(), twin));
    let sorted = |mut records: Vec<Sent>| {
        records.sort();
        records
    };
    assert_eq!(sorted(read(&world.b.bootstrap(), main)), sorted(over.clone()));
    assert_eq!(sorted(read(&proxy.bootstrap_in(View::Single), twin)), sorted(over.clone()));
    assert_eq!(sorted([home.clone(), over.clone()].concat()), sorted(sent.clone()));
    // And each token is on one side: the listed one there, what has none at home, of the others about a fifth there
    let (at_home, there) = (by_token(&home), by_token(&over));
    assert_eq!((at_home.get(""), there.get("listed")), (Some(&60), Some(&60)));
    assert!(there.keys().all(|token| !at_home.contains_key(token)), "{at_home:?} {there:?}");
    assert!((5..40).contains(&there.len()), "{there:?}");
    // And what has one key keeps its order on each side
    for number in 0..7 {
        let key = format!("key {number}");
        for side in [&home, &over] {
            let mut wanted = of_key(&sent, &key);
            wanted.retain(|payload| side.iter().any(|record| record.payload == **payload));
            assert_eq!(of_key(side, &key), wanted);
        }
    }
    // And metrics say how many are on each
    let metrics = Metrics::of(&proxy.admin());
    let lane = |lane| metrics.sum("fishplate_lane_records_total", &[("pipeline", "left"), ("lane", lane)]);
    assert_eq!([lane("main"), lane("canary:b")], [home.len(), over.len()].map(|count| Some(count as f64)));
    // And of several partitions in one request, of which two go to one over there, nothing is lost
    let mut request = produce(&[(main, &batch(&[&[("token", Some("listed"))]]))]);
    let of_first = request.topic_data[0].partition_data[0].clone();
    request.topic_data[0].partition_data.extend([1, 2].map(|index| of_first.clone().with_index(index)));
    let answer = Raw::connect(&proxy.bootstrap().servers).call(9, &request);
    assert!(answer.responses[0].partition_responses.iter().all(|told| told.error_code == 0), "{answer:?}");
    assert_eq!(read(&proxy.bootstrap(), twin).len(), over.len() + 3);
    // And once the canary is gone all go home again, and clients see one topic
    let reloads = || Metrics::of(&proxy.admin()).sum("fishplate_config_reloads_total", &[("result", "applied")]);
    let before = reloads();
    fs::write(&file, config(world, "sums", "").yaml()).expect("a file");
    wait::until("the canary is gone", TO_DO_IT, || reloads() > before);
    assert_eq!(write(&proxy.bootstrap(), main, &settings, &sent), [""; 0]);
    assert_eq!(read(&proxy.bootstrap(), main).len(), home.len() + sent.len());
    assert_eq!(read(&world.b.bootstrap(), main).len(), over.len() + 3);
    let eyes: BaseConsumer = client(&proxy.bootstrap(), "ga-canary-eyes");
    let seen = eyes.fetch_metadata(Some(twin), TO_DO_IT).expect("metadata");
    assert!(seen.topics()[0].error().is_some());
    proxy.finish();
}

fn client(at: &Bootstrap, group: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &at.servers).set("group.id", group).set("log_level", "0");
    config.set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    config.create().expect("a consumer")
}

/// A member of a group that reads so many records of some topics, commits and leaves.
#[track_caller]
fn read_some(at: &Bootstrap, group: &str, topics: &[&str], count: usize) -> Vec<String> {
    let consumer = client(at, group);
    consumer.subscribe(topics).expect("a subscription");
    let mut found = Vec::new();
    wait::until(&format!("{group} reads {count} of {topics:?}"), TO_DO_IT, || {
        if let Some(polled) = consumer.poll(Duration::from_millis(100)) {
            let message = polled.unwrap_or_else(|error| panic!("{group}: {error}"));
            found.push(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned());
        }
        found.len() == count
    });
    consumer.commit_consumer_state(CommitMode::Sync).expect("a commit");
    found.sort();
    found
}

/// The same with Java's console consumer, which commits when it ends.
fn read_in_java(world: &World, at: &Bootstrap, group: &str, topic: &str, count: usize) -> Vec<String> {
    let mut java = java_at("4.3", &world.directory.join(format!("{group}.log"))).expect("Java");
    java.args(["org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", &at.servers]);
    java.args(["--topic", topic, "--group", group, "--from-beginning", "--max-messages", &count.to_string()]);
    java.args(["--timeout-ms", "60000"]);
    let output = java.output().expect("Java runs");
    let mut found: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(found.len(), count, "{}", String::from_utf8_lossy(&output.stderr));
    found.sort();
    found
}

fn groups(world: &World) {
    let (main, twin) = ("a-canary-groups", "a-canary-groups--at--b");
    Topics::of(&world.a.bootstrap()).create(main, 2, 3);
    Topics::of(&world.b.bootstrap()).create(main, 2, 1);
    let proxy =
        world.start_proxy(&config(world, "groups", "canaries: [{ key: header(token), values: [over], to: b }]\n"));
    let at = proxy.bootstrap();
    let round = |number: usize| {
        let of = |token: &'static str| (0..5).map(move |at| record(number * 5 + at, Some(token)));
        let sent: Vec<_> = of("over").chain(of("home")).collect();
        assert_eq!(write(&at, main, &[("batch.num.messages", "7")], &sent), [""; 0]);
        let mut texts: Vec<_> =
            sent[..5].iter().map(|record| String::from_utf8_lossy(&record.payload).into_owned()).collect();
        texts.sort();
        texts
    };
    // Given groups at home on either cluster, of which some read both topics
    let single = proxy.bootstrap_in(View::Single);
    let all_read = |texts: &[String]| {
        let mut both = [texts, texts].concat();
        both.sort();
        thread::scope(|scope| {
            for (group, at) in [("ga-canary-rd", &at), ("gb-canary-rd", &at), ("gb-canary-one", &single)] {
                scope.spawn(move || assert_eq!(read_some(at, group, &[twin], texts.len()), texts));
            }
            scope.spawn(|| assert_eq!(read_some(&at, "gb-canary-both", &[main, twin], both.len()), both));
            scope.spawn(|| assert_eq!(read_in_java(world, &at, "gb-canary-java", twin, texts.len()), texts));
        });
    };
    all_read(&round(0));
    // When more comes, then each goes on where it was
    all_read(&round(1));
    // And who speaks of topics by their names is told of the twin by its own
    let mut raw = Raw::connect(&at.servers);
    let answer = raw.call(12, &fetch(&[twin], 1_000));
    let told = &answer.responses[0];
    assert_eq!((&*told.topic.0, told.partitions[0].error_code), (twin, 0));
    assert!(told.partitions[0].records.as_ref().is_some_and(|records| !records.is_empty()));
    proxy.finish();
}

fn refusals(world: &World) {
    let (main, twin) = ("a-canary-refusals", "a-canary-refusals--at--b");
    for cluster in [&world.a, &world.b] {
        Topics::of(&cluster.bootstrap()).create(main, 1, 1);
    }
    let canaries = "canaries: [{ key: header(token), values: [over], to: b }]\n";
    let proxy = world.start_proxy(&config(world, "refusals", canaries));
    // When somebody writes to the twin, makes or deletes it, then it says why not
    let mut raw = Raw::connect(&proxy.bootstrap().servers);
    let written = raw.call(9, &produce(&[(twin, &batch(&[&[("token", Some("over"))]]))]));
    let told = &written.responses[0].partition_responses[0];
    let why = told.error_message.as_deref().unwrap_or_default();
    assert!(told.error_code == INVALID_TOPIC && why.contains("a canary writes"), "{told:?}");
    let one = CreatableTopic::default().with_name(topic(twin)).with_num_partitions(1).with_replication_factor(1);
    let made = raw.call(5, &CreateTopicsRequest::default().with_topics(vec![one]).with_timeout_ms(5_000));
    assert_eq!(made.topics[0].error_code, INVALID_TOPIC);
    let state = DeleteTopicState::default().with_name(Some(TopicName(topic(twin).0)));
    let gone = raw.call(6, &DeleteTopicsRequest::default().with_topics(vec![state]).with_timeout_ms(5_000));
    assert_eq!(gone.responses[0].error_code, INVALID_TOPIC);
    let why = gone.responses[0].error_message.as_deref().unwrap_or_default();
    assert!(why.contains("delete the topic there"), "{why}");
    // And both topics are there, empty
    assert_eq!((read(&proxy.bootstrap(), main), read(&proxy.bootstrap(), twin)), (vec![], vec![]));
    proxy.finish();
}
