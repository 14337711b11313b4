//! What an operator is told of the running proxy: the program's tables, over real clusters and with clients at work.

use crate::harness::config::View;
use crate::harness::process::command;
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::raw::{Raw, batch, fetch, produce};
use crate::world::{World, shared};
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::Value;
use std::fs;

pub fn trials() -> Vec<Trial> {
    vec![
        shared("operator: topics and groups tell where each lives", topics_and_groups),
        shared("operator: clients tells who is connected and what each does", clients),
        shared("operator: diff tells what a reload would change", differences),
    ]
}

/// What the program says to these words, and its exit code.
pub fn says(proxy: &Proxy, words: &[&str]) -> (i32, String) {
    run(&[words, &["--admin", &proxy.admin()]].concat())
}

/// The same of words that need no running proxy.
pub fn run(words: &[&str]) -> (i32, String) {
    let output = command(env!("CARGO_BIN_EXE_fishplate")).args(words).output().expect("fishplate");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

/// The row of a table's JSON that has this under a key.
fn row(proxy: &Proxy, table: &str, key: &str, value: &str) -> Option<Value> {
    let (code, said) = says(proxy, &[table, "--json"]);
    assert_eq!(code, 0, "{said}");
    let answer: Value = serde_json::from_str(&said).expect("JSON");
    let rows = answer["rows"].as_array().expect("rows");
    assert_eq!(answer["total"], rows.len(), "all of them");
    rows.iter().find(|row| row[key] == value).cloned()
}

/// The words of the line that begins so, in the table for people, and of its headings.
fn line(proxy: &Proxy, table: &str, begins: &str) -> (Vec<String>, Vec<String>) {
    let (code, said) = says(proxy, &[table]);
    assert_eq!(code, 0, "{said}");
    // Two blanks at least are between columns, and one within them.
    let words =
        |line: &str| line.split("  ").map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let found = said.lines().find(|line| line.starts_with(begins)).unwrap_or_else(|| panic!("no {begins} in\n{said}"));
    (words(said.lines().next().expect("headings")), words(found))
}

/// A member of a group that has committed one record in each topic.
fn member(bootstrap: &Bootstrap, group: &str, topics: &[&str]) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap.servers)
        .set("group.id", group)
        .set("client.id", "a-member")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    consumer.subscribe(topics).expect("a subscription");
    wait::find("a record", wait::seconds(60), || consumer.poll(wait::seconds(1))?.ok().map(|it| it.offset()));
    let mut offsets = TopicPartitionList::new();
    for topic in topics {
        offsets.add_partition_offset(topic, 0, Offset::Offset(1)).expect("an offset");
    }
    consumer.commit(&offsets, CommitMode::Sync).expect("a commit");
    consumer
}

/// A topic on each cluster, with a record in each.
fn given_topics(world: &World, proxy: &Proxy, names: [&'static str; 2]) {
    Topics::of(&world.a.bootstrap()).create(names[0], 3, 3);
    Topics::of(&world.b.bootstrap()).create(names[1], 1, 1);
    let topics = Topics::of(&proxy.bootstrap());
    names.iter().zip([3, 1]).for_each(|(name, partitions)| topics.wait_until_led(name, partitions));
    let mut raw = Raw::connect(&proxy.bootstrap().servers);
    let batch = batch(&["a record"]);
    let written = raw.call(9, &produce(&names.map(|name| (name, &batch))));
    assert!(written.responses.iter().all(|topic| topic.partition_responses[0].error_code == 0), "{written:?}");
}

fn topics_and_groups(world: &World) {
    const NAMES: [&str; 2] = ["a-operator", "b-operator"];
    // Given a topic on each cluster and a group that lives on a and reads both
    let proxy = world.start_proxy(&world.config());
    given_topics(world, &proxy, NAMES);
    let _member = member(&proxy.bootstrap(), "ga-operator", &NAMES);
    // Then each topic is where its pipeline says, and the group's home has a shadow of the one that is elsewhere
    let of = |topic: &str| {
        let row = row(&proxy, "topics", "topic", topic).unwrap_or_else(|| panic!("no row of {topic}"));
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        (
            text("pipeline"),
            text("cluster"),
            row["partitions"].as_u64(),
            row["leaderless"].as_u64(),
            row["also_on"].clone(),
        )
    };
    let list = |names: &[&str]| Value::from(names.to_vec());
    assert_eq!(of(NAMES[0]), ("left".into(), "a".into(), Some(3), Some(0), list(&[])));
    assert_eq!(of(NAMES[1]), ("right".into(), "b".into(), Some(1), Some(0), list(&["a"])));
    let (headings, shown) = line(&proxy, "topics", NAMES[1]);
    assert_eq!(headings, ["TOPIC", "PIPELINE", "CLUSTER", "PARTITIONS", "LEADERLESS", "ALSO ON", "REFUSED"]);
    assert_eq!(shown, [NAMES[1], "right", "b", "1", "0", "a", "-"]);
    // And the group is on a, with a topic elsewhere
    let group = row(&proxy, "groups", "group", "ga-operator").expect("the group");
    assert_eq!((&group["cluster"], &group["home"]), (&"a".into(), &"a".into()), "{group}");
    assert_eq!((&group["state"], &group["elsewhere"]), (&"Stable".into(), &list(&[NAMES[1]])), "{group}");
    assert!(group["coordinator"].as_i64().is_some_and(|id| (1..=3).contains(&id)), "{group}");
    let (headings, shown) = line(&proxy, "groups", "ga-operator");
    assert_eq!(headings, ["GROUP", "HOME", "ON", "STATE", "COORDINATOR", "TOPICS ELSEWHERE"]);
    assert_eq!(
        (&shown[..4], &shown[5..]),
        (&["ga-operator", "a", "a", "Stable"].map(str::to_owned)[..], &[NAMES[1].to_owned()][..])
    );
    proxy.finish();
}

fn clients(world: &World) {
    const NAMES: [&str; 2] = ["a-operator-clients", "b-operator-clients"];
    // Given a consumer that may see many nodes, and one that is shown a single one, was told an error and waits for records
    let proxy = world.start_proxy(&world.config().listener(View::Single, None));
    given_topics(world, &proxy, NAMES);
    let _member = member(&proxy.bootstrap(), "ga-operator-clients", &NAMES);
    let mut raw = Raw::connect(&proxy.bootstrap_in(View::Single).servers);
    let refused = raw.call(12, &fetch(&["a-operator-not-there"], 0));
    assert_eq!(refused.responses[0].partitions[0].error_code, 3);
    let mut poll = fetch(&NAMES, 20_000);
    poll.topics.iter_mut().for_each(|topic| topic.partitions[0].fetch_offset = 1);
    raw.send(12, &poll);
    // Then both are told as they named themselves, with what they are shown
    let consumer = row(&proxy, "clients", "client_id", "a-member").expect("the member");
    assert_eq!((&consumer["view"], consumer["name"].as_str()), (&"brokers".into(), Some("librdkafka")), "{consumer}");
    assert!(consumer["version"].as_str().is_some_and(|version| version.starts_with("2.")), "{consumer}");
    // And with the poll that the other waits for, the links it goes over, and the error
    let waits = || row(&proxy, "clients", "client_id", "raw").filter(|row| row["links"].as_u64() >= Some(2));
    let single = wait::find("the poll over links to both clusters", wait::seconds(15), waits);
    assert_eq!((&single["view"], &single["requests"]), (&"single".into(), &1.into()), "{single}");
    assert!(single["bytes"].as_u64() > Some(50), "{single}");
    assert_eq!(single["last_error"], "Fetch: UNKNOWN_TOPIC_OR_PARTITION", "{single}");
    let address = single["address"].as_str().expect("an address").to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{single}");
    let (headings, shown) = line(&proxy, "clients", &address);
    assert_eq!(
        headings,
        [
            "ADDRESS",
            "NAME",
            "VERSION",
            "PRINCIPAL",
            "IDENTITY",
            "CLIENT ID",
            "VIEW",
            "LINKS",
            "REQUESTS",
            "BYTES",
            "LAST ERROR",
            "SECONDS"
        ]
    );
    assert_eq!(shown[1..7], ["apache-kafka-java", "4.3.1", "User:ANONYMOUS", "-", "raw", "single"]);
    assert_eq!((&*shown[8], &*shown[10]), ("1", "Fetch: UNKNOWN_TOPIC_OR_PARTITION"));
    // And who is gone is told no more
    drop(raw);
    wait::until("it is gone", wait::seconds(30), || row(&proxy, "clients", "client_id", "raw").is_none());
    proxy.finish();
}

fn differences(world: &World) {
    // Given a proxy and two files: what it runs with, and one with another pipeline
    let proxy = world.start_proxy(&world.config());
    let file = |name: &str, text: String| {
        let file = world.directory.join(name);
        fs::write(&file, text).expect("a file");
        file.to_string_lossy().into_owned()
    };
    let same = file("operator-same.yaml", world.config().yaml());
    let other = world.config().pipeline("third", "operator-third*", "operator-third*", "b").yaml();
    let other = file("operator-other.yaml", other);
    // Then a diff of the first finds nothing, and of the second what would be done
    let (code, said) = says(&proxy, &["diff", "-c", &same]);
    assert_eq!((code, said.trim()), (0, "nothing would change"));
    let (code, said) = says(&proxy, &["diff", "-c", &other]);
    assert!(code == 1 && said.contains("+ pipelines third: topics: operator-third*"), "{code}: {said}");
    assert!(said.ends_with("a reload would do this and close no connection\n"), "{said}");
    let (code, said) = says(&proxy, &["diff", "-c", &other, "--json"]);
    let told: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((code, &told["changes"][0]["name"], &told["refused"]), (1, &"third".into(), &Value::Array(Vec::new())));
    proxy.finish();
}
