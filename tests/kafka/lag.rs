//! How far groups are behind, held against a truth that the trials keep themselves: what they sent, read and committed on real
//! clusters, and when. Ages are bracketed by what is known to have been before and after, so that no trial depends on how fast it is.

mod amid;
mod compacted;

use crate::harness::metrics::{Metrics, page};
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::operator::says;
use crate::raw::{Raw, text};
use crate::world::{World, alone, full, shared};
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::{GroupId, OffsetDeleteRequest, TopicName};
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::Value;
use std::thread::sleep;
use std::time::{Duration, Instant};

const SOON: Duration = wait::seconds(60);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(200);
/// What is deleted through Fishplate is gone with the answer; on busy brokers that leaves a moment before all have heard of it.
const AT_ONCE: Duration = wait::seconds(5);
/// Clusters are asked once a minute for what does not pass by.
const SWEPT: Duration = wait::seconds(150);

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        shared(
            "lag: is what a group has not committed, on both clusters, and its age that of the first record",
            at_rest,
        ),
        shared("lag: follows resets, and goes with offsets, groups and topics", resets_and_ends),
        shared("lag: control records, open and aborted transactions are nobody's lag", transactions),
        shared("lag: offsets that a transaction commits", offsets_in_transactions),
        shared("lag: what went past Fishplate, and what it knows after a restart", past_fishplate),
        shared("lag: readers that do not commit, and records that nobody acknowledged", without_commits),
        shared("lag: metrics say the same, and a promise is counted", metrics),
        shared("lag: in a compacted topic, before and after", compacted::compacted),
        shared("lag: is true while Fishplate is killed and starts again amid records", amid::restarted),
        alone("lag: of a cluster that is down stays, and its seconds grow", cluster_down),
        alone("measure: how exact lag is under load", amid::exact).with_ignored_flag(true),
    ];
    for protocol in ["classic", "consumer"] {
        let name = |of: &str| format!("lag: of {of}, protocol {protocol}");
        let (moving, dropped) = (name("members that come and go"), name("what members past Fishplate have dropped"));
        trials.push(shared(moving, move |world| members(world, protocol)));
        if protocol == "consumer" && !full() {
            eprintln!("only the full level plays (FISHPLATE_TEST_LEVEL=full): {dropped}");
            continue;
        }
        trials.push(shared(dropped, move |world| dropped_past_fishplate(world, protocol)));
    }
    trials
}

fn client(at: &Bootstrap) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &at.servers).set("log_level", "0");
    config
}

fn producer(config: &ClientConfig) -> ThreadedProducer<DefaultProducerContext> {
    config.create().expect("a producer")
}

/// Records to a partition; when the first was sent, and when all were acknowledged.
#[track_caller]
fn send(at: &Bootstrap, topic: &str, partition: i32, count: usize) -> (Instant, Instant) {
    let producer = producer(client(at).set("linger.ms", "0"));
    let began = Instant::now();
    put(&producer, topic, partition, count);
    producer.flush(SOON).expect("all are written");
    (began, Instant::now())
}

fn put(producer: &ThreadedProducer<DefaultProducerContext>, topic: &str, partition: i32, count: usize) {
    for number in 0..count {
        let value = format!("record {number}");
        let record = BaseRecord::<str, str>::to(topic).partition(partition).payload(&value);
        producer.send(record).unwrap_or_else(|(error, _)| panic!("{error}"));
    }
}

/// A consumer of a group that commits only when it is told.
fn consumer(at: &Bootstrap, group: &str, isolation: &str) -> BaseConsumer {
    let mut config = client(at);
    config.set("group.id", group).set("client.id", format!("{group}-reader")).set("enable.auto.commit", "false");
    config.set("auto.offset.reset", "earliest").set("isolation.level", isolation);
    config.create().expect("a consumer")
}

fn offsets(of: &[(&str, i32, i64)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (topic, partition, offset) in of {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).expect("an offset");
    }
    list
}

/// Commits without being a member, as tools do.
#[track_caller]
fn commit(at: &Bootstrap, group: &str, of: &[(&str, i32, i64)]) {
    let consumer = consumer(at, group, "read_uncommitted");
    // Not while its coordinator takes over.
    wait::until("a commit", SOON, || consumer.commit(&offsets(of), CommitMode::Sync).is_ok());
}

/// What `fishplate lag` says of a group.
#[derive(Debug)]
struct Told {
    rows: Vec<Value>,
    asked: Instant,
    answered: Instant,
}

impl Told {
    /// Asked as the program asks, without a process for each question: some are asked for minutes.
    fn of_group(proxy: &Proxy, group: &str) -> Self {
        sleep(PAUSE);
        Self::at_once(proxy, group)
    }

    fn at_once(proxy: &Proxy, group: &str) -> Self {
        let asked = Instant::now();
        let page = page(&proxy.admin(), &format!("/api/v1/lag?limit=10000&group={group}")).expect("an answer");
        let answered = Instant::now();
        let (head, body) = page.split_once("\r\n\r\n").expect("HTTP");
        assert!(head.starts_with("HTTP/1.1 200 "), "{page}");
        let answer: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {page}"));
        let rows = answer["rows"].as_array().expect("rows").clone();
        Self { rows, asked, answered }
    }

    fn row(&self, topic: &str, partition: i32) -> Option<&Value> {
        self.rows.iter().find(|row| row["topic"] == topic && row["partition"] == partition)
    }

    fn lag(&self, topic: &str, partition: i32) -> Option<i64> {
        self.row(topic, partition)?["lag"].as_i64()
    }
}

/// Waits until a group's lag at a partition is so.
#[track_caller]
fn lag_is(proxy: &Proxy, group: &str, (topic, partition): (&str, i32), lag: i64, within: Duration) -> Told {
    let mut last = None;
    wait::find(&format!("{group} is {lag} behind in {topic} {partition}"), within, || {
        let told = Told::of_group(proxy, group);
        if told.lag(topic, partition) == Some(lag) {
            return Some(told);
        }
        // For who reads why it was waited for in vain.
        if last != Some(told.lag(topic, partition)) {
            last = Some(told.lag(topic, partition));
            eprintln!("{group}: {:?}", told.row(topic, partition));
        }
        None
    })
}

/// Times are kept to the millisecond, and records of batches that came within 20 ms share one.
const GRAIN: f64 = 0.025;

/// An age that was told is that of something which happened between two moments.
#[track_caller]
fn is_age_of(told: &Told, topic: &str, partition: i32, (began, over): (Instant, Instant)) {
    let row = told.row(topic, partition).unwrap_or_else(|| panic!("no row of {topic} {partition}: {told:?}"));
    let seconds = row["seconds"].as_f64().unwrap_or_else(|| panic!("no age: {row}"));
    let least = told.asked.duration_since(over).as_secs_f64() - GRAIN;
    let most = told.answered.duration_since(began).as_secs_f64() + GRAIN;
    assert!(seconds >= least && seconds <= most, "{seconds} is not within {least} and {most}: {row}");
}

fn at_rest(world: &World) {
    const TOPICS: [&str; 2] = ["a-lag-rest", "b-lag-rest"];
    const GROUP: &str = "ga-lag-rest";
    // Given a group that lives on one cluster and reads topics of both
    let proxy = world.start_proxy(&world.config());
    proxy.log().allow("have not heard of a new shadow topic yet");
    Topics::of(&world.a.bootstrap()).create(TOPICS[0], 2, 3);
    Topics::of(&world.b.bootstrap()).create(TOPICS[1], 2, 1);
    let at = proxy.bootstrap();
    TOPICS.iter().for_each(|topic| Topics::of(&at).wait_until_led(topic, 2));
    // When records are sent at three times, and the group has committed the first of them
    let first = TOPICS.map(|topic| send(&at, topic, 0, 10));
    let second = TOPICS.map(|topic| send(&at, topic, 0, 5));
    let third = TOPICS.map(|topic| send(&at, topic, 1, 3));
    commit(&at, GROUP, &TOPICS.map(|topic| (topic, 0, 4)));
    commit(&at, GROUP, &TOPICS.map(|topic| (topic, 1, 0)));
    // Then what is left is its lag, as old as the first record of that
    for (number, topic) in TOPICS.into_iter().enumerate() {
        let told = Told::of_group(&proxy, GROUP);
        assert_eq!((told.lag(topic, 0), told.lag(topic, 1)), (Some(11), Some(3)), "{told:?}");
        is_age_of(&told, topic, 0, first[number]);
        is_age_of(&told, topic, 1, third[number]);
        let row = told.row(topic, 0).expect("a row");
        assert_eq!(
            (&row["source"], &row["committed"], &row["end"]),
            (&"arrival".into(), &4.into(), &15.into()),
            "{row}"
        );
        assert_eq!(row["cluster"], if number == 0 { "a" } else { "b" });
    }
    // And when it goes on, the age is that of the next
    commit(&at, GROUP, &TOPICS.map(|topic| (topic, 0, 10)));
    for (number, topic) in TOPICS.into_iter().enumerate() {
        let told = Told::of_group(&proxy, GROUP);
        assert_eq!(told.lag(topic, 0), Some(5));
        is_age_of(&told, topic, 0, second[number]);
    }
    // And it grows while nobody produces, and is nothing when all is committed
    commit(&at, GROUP, &[(TOPICS[0], 0, 15), (TOPICS[1], 1, 3)]);
    let told = Told::of_group(&proxy, GROUP);
    for (topic, partition) in [(TOPICS[0], 0), (TOPICS[1], 1)] {
        let row = told.row(topic, partition).expect("a row");
        assert_eq!(
            (row["lag"].as_i64(), row["seconds"].as_f64(), &row["why"]),
            (Some(0), Some(0.0), &"-".into()),
            "{row}"
        );
    }
    is_age_of(&told, TOPICS[1], 0, second[1]);
    let (code, table) = says(&proxy, &["lag", "--group", GROUP]);
    assert!(code == 0 && table.contains("WHY") && table.contains("not fetched"), "{table}");
    proxy.finish();
}

fn resets_and_ends(world: &World) {
    const TOPIC: &str = "a-lag-reset";
    const GROUP: &str = "ga-lag-reset";
    let proxy = world.start_proxy(&world.config());
    let at = proxy.bootstrap();
    Topics::of(&world.a.bootstrap()).create(TOPIC, 3, 3);
    Topics::of(&at).wait_until_led(TOPIC, 3);
    let times: Vec<_> = (0..4).map(|_| send(&at, TOPIC, 0, 5)).collect();
    send(&at, TOPIC, 1, 7);
    // Given a group that is at the end, when it is set back and forth, then so is its lag
    for (offset, first) in [(20, None), (6, Some(1)), (0, Some(0)), (15, Some(3)), (20, None)] {
        commit(&at, GROUP, &[(TOPIC, 0, offset)]);
        let told = Told::of_group(&proxy, GROUP);
        assert_eq!(told.lag(TOPIC, 0), Some(20 - offset), "{told:?}");
        if let Some(first) = first {
            is_age_of(&told, TOPIC, 0, times[first]);
        }
    }
    // And retention that passes what it has committed leaves it no more than there is
    commit(&at, GROUP, &[(TOPIC, 0, 3), (TOPIC, 1, 7), (TOPIC, 2, 0)]);
    for (partition, lag) in [(0, 17), (1, 0), (2, 0)] {
        lag_is(&proxy, GROUP, (TOPIC, partition), lag, SOON);
    }
    Topics::of(&world.a.bootstrap()).delete_records(TOPIC, 0, 12);
    lag_is(&proxy, GROUP, (TOPIC, 0), 8, SWEPT);
    // And offsets that are deleted are no lag, once who deleted them has his answer, nor is a group that is
    delete_offset(&at, GROUP, (TOPIC, 1));
    let told = Told::at_once(&proxy, GROUP);
    assert_eq!((told.lag(TOPIC, 0), told.lag(TOPIC, 1), told.lag(TOPIC, 2)), (Some(8), None, Some(0)), "{told:?}");
    let topics = Topics::of(&at);
    wait::until("the group is deleted", SOON, || topics.delete_group(GROUP));
    assert!(Told::at_once(&proxy, GROUP).rows.is_empty() && !series(&proxy).contains(GROUP));
    // And so it is with a topic: who deletes one has his answer when its brokers have heard of it, or five seconds later
    commit(&at, GROUP, &[(TOPIC, 0, 20)]);
    assert_eq!(Told::of_group(&proxy, GROUP).lag(TOPIC, 0), Some(0));
    topics.delete(TOPIC);
    wait::until("a deleted topic is nobody's lag", AT_ONCE, || Told::at_once(&proxy, GROUP).rows.is_empty());
    assert!(!series(&proxy).contains(TOPIC), "{}", series(&proxy));
    // And one that is made again begins anew: what was committed went with the one before
    Topics::of(&at).create(TOPIC, 1, 3);
    Topics::of(&at).wait_until_led(TOPIC, 1);
    let again = send(&at, TOPIC, 0, 2);
    commit(&at, GROUP, &[(TOPIC, 0, 0)]);
    let told = lag_is(&proxy, GROUP, (TOPIC, 0), 2, SOON);
    is_age_of(&told, TOPIC, 0, again);
    proxy.finish();
}

/// Deletes what a group has committed of a partition. Not while its coordinator takes over.
fn delete_offset(at: &Bootstrap, group: &str, (topic, partition): (&str, i32)) {
    let partition = OffsetDeleteRequestPartition::default().with_partition_index(partition);
    let topic = OffsetDeleteRequestTopic::default().with_name(TopicName(text(topic))).with_partitions(vec![partition]);
    let request = OffsetDeleteRequest::default().with_group_id(GroupId(text(group))).with_topics(vec![topic]);
    let mut raw = Raw::connect(&at.servers);
    wait::until("an offset is deleted", SOON, || {
        let told = raw.call(0, &request);
        told.error_code == 0 && told.topics[0].partitions[0].error_code == 0
    });
}

/// All series of lag.
fn series(proxy: &Proxy) -> String {
    let shown = Metrics::of(&proxy.admin());
    ["fishplate_group_", "fishplate_topic_", "fishplate_pipeline_", "fishplate_partition_"]
        .map(|family| shown.family(family))
        .join("\n")
}

fn transactional(at: &Bootstrap, id: &str) -> ThreadedProducer<DefaultProducerContext> {
    let producer = producer(client(at).set("transactional.id", id).set("linger.ms", "0"));
    producer.init_transactions(SOON).expect("transactions");
    producer
}

fn transactions(world: &World) {
    const TOPIC: &str = "a-lag-transactions";
    const GROUPS: [(&str, &str); 2] = [("ga-lag-all", "read_uncommitted"), ("ga-lag-committed", "read_committed")];
    let proxy = world.start_proxy(&world.config());
    let at = proxy.bootstrap();
    Topics::of(&world.a.bootstrap()).create(TOPIC, 1, 3);
    Topics::of(&at).wait_until_led(TOPIC, 1);
    let readers = GROUPS.map(|(group, isolation)| {
        let reader = consumer(&at, group, isolation);
        reader.subscribe(&[TOPIC]).expect("a subscription");
        reader
    });
    // Each commits the offset behind the last record that it was given: before the control record that ends a transaction
    let read = |reader: &BaseConsumer, count: usize| {
        let mut last = -1;
        for _ in 0..count {
            let next = || reader.poll(Duration::from_millis(100))?.ok().map(|message| message.offset());
            last = wait::find("a record", SOON, next);
        }
        reader.commit(&offsets(&[(TOPIC, 0, last + 1)]), CommitMode::Sync).expect("a commit");
        last + 1
    };
    let producer = transactional(&at, "ta-lag");
    // Given a transaction that was committed: 3 records and a control record
    producer.begin_transaction().expect("begins");
    put(&producer, TOPIC, 0, 3);
    producer.commit_transaction(SOON).expect("committed");
    for (reader, (group, _)) in readers.iter().zip(GROUPS) {
        assert_eq!(read(reader, 3), 3);
        lag_is(&proxy, group, (TOPIC, 0), 0, SOON);
    }
    // When one is open, then who reads only what is committed is not behind for it
    producer.begin_transaction().expect("begins");
    put(&producer, TOPIC, 0, 2);
    producer.flush(SOON).expect("written");
    lag_is(&proxy, GROUPS[0].0, (TOPIC, 0), 2, SOON);
    lag_is(&proxy, GROUPS[1].0, (TOPIC, 0), 0, SOON);
    // And when it is aborted, then neither is
    producer.abort_transaction(SOON).expect("aborted");
    assert_eq!(read(&readers[0], 2), 6);
    lag_is(&proxy, GROUPS[0].0, (TOPIC, 0), 0, SOON);
    let poll = || drop(readers[1].poll(Duration::from_millis(100)));
    wait::until("what was aborted is nobody's lag", SWEPT, || {
        poll();
        Told::of_group(&proxy, GROUPS[1].0).lag(TOPIC, 0) == Some(0)
    });
    // And what is committed then is
    let began = Instant::now();
    producer.begin_transaction().expect("begins");
    put(&producer, TOPIC, 0, 4);
    producer.commit_transaction(SOON).expect("committed");
    let over = Instant::now();
    let told = wait::find("the last transaction is its lag", SOON, || {
        let told = Told::of_group(&proxy, GROUPS[0].0);
        told.lag(TOPIC, 0).filter(|lag| (4..=5).contains(lag)).map(|_| told)
    });
    is_age_of(&told, TOPIC, 0, (began, over));
    for (reader, (group, _)) in readers.iter().zip(GROUPS) {
        read(reader, 4);
        lag_is(&proxy, group, (TOPIC, 0), 0, SOON);
    }
    proxy.finish();
}

fn offsets_in_transactions(world: &World) {
    const FROM: &str = "a-lag-from";
    const TO: &str = "a-lag-to";
    const GROUP: &str = "ga-lag-passes-on";
    let proxy = world.start_proxy(&world.config());
    let at = proxy.bootstrap();
    for topic in [FROM, TO] {
        Topics::of(&world.a.bootstrap()).create(topic, 1, 3);
        Topics::of(&at).wait_until_led(topic, 1);
    }
    send(&at, FROM, 0, 10);
    let reader = consumer(&at, GROUP, "read_committed");
    reader.subscribe(&[FROM]).expect("a subscription");
    let next = || reader.poll(Duration::from_millis(100))?.ok().map(|message| message.offset());
    wait::find("a record", SOON, next);
    reader.commit(&offsets(&[(FROM, 0, 1)]), CommitMode::Sync).expect("a commit");
    lag_is(&proxy, GROUP, (FROM, 0), 9, SOON);
    let producer = transactional(&at, "ta-lag-passes-on");
    for (offset, commits, lag) in [(5, true, 5), (8, false, 5), (8, true, 2)] {
        producer.begin_transaction().expect("begins");
        put(&producer, TO, 0, 1);
        let group = reader.group_metadata().expect("a group");
        producer.send_offsets_to_transaction(&offsets(&[(FROM, 0, offset)]), &group, SOON).expect("sent");
        // Not before the transaction is committed
        assert_eq!(Told::of_group(&proxy, GROUP).lag(FROM, 0), Some(if offset == 5 { 9 } else { 5 }));
        if commits {
            producer.commit_transaction(SOON).expect("committed");
        } else {
            producer.abort_transaction(SOON).expect("aborted");
        }
        assert_eq!(Told::of_group(&proxy, GROUP).lag(FROM, 0), Some(lag), "{offset} {commits}");
    }
    proxy.finish();
}

fn past_fishplate(world: &World) {
    const TOPIC: &str = "a-lag-past";
    const GROUP: &str = "ga-lag-past";
    // Given records and a commit that Fishplate has never seen
    let direct = world.a.bootstrap();
    Topics::of(&direct).create(TOPIC, 1, 3);
    let first = send(&direct, TOPIC, 0, 6);
    commit(&direct, GROUP, &[(TOPIC, 0, 2)]);
    // When it starts, then it asks, and goes by the record's own time
    let proxy = world.start_proxy(&world.config());
    lag_is(&proxy, GROUP, (TOPIC, 0), 4, SOON);
    let told = wait::find("the record's own time", SOON, || {
        let told = Told::of_group(&proxy, GROUP);
        told.row(TOPIC, 0).filter(|row| row["source"] == "record_time").is_some().then_some(told)
    });
    is_age_of(&told, TOPIC, 0, first);
    // And what goes past it afterwards it hears of within its minute
    send(&direct, TOPIC, 0, 5);
    if full() {
        lag_is(&proxy, GROUP, (TOPIC, 0), 9, SWEPT);
    }
    commit(&direct, GROUP, &[(TOPIC, 0, 7)]);
    let row = wait::find("the commit and the records are told of", SWEPT, || {
        let row = Told::of_group(&proxy, GROUP).row(TOPIC, 0)?.clone();
        ((&row["committed"], &row["end"]) == (&7.into(), &11.into())).then_some(row)
    });
    assert_eq!(row["lag"], 4, "{row}");
    assert_eq!(row["why"], "no members", "{row}");
    proxy.finish();
}

fn without_commits(world: &World) {
    const TOPIC: &str = "a-lag-assigned";
    let proxy = world.start_proxy(&world.config());
    let at = proxy.bootstrap();
    Topics::of(&world.a.bootstrap()).create(TOPIC, 1, 3);
    Topics::of(&at).wait_until_led(TOPIC, 1);
    send(&at, TOPIC, 0, 3);
    // Given somebody who is assigned the partition and commits nothing
    let reader = consumer(&at, "ga-lag-assigned", "read_uncommitted");
    reader.assign(&offsets(&[(TOPIC, 0, 0)])).expect("assigned");
    for _ in 0..3 {
        wait::find("a record", SOON, || reader.poll(Duration::from_millis(100))?.ok().map(|message| message.offset()));
    }
    // Then it stands under no group's name, with what it was handed
    let by = |told: &Told| told.row(TOPIC, 0).map(|row| (row["fetched"].as_i64(), row["lag"].as_i64()));
    wait::until("its position is known", SOON, || by(&Told::of_group(&proxy, "-")) == Some((Some(3), Some(0))));
    // And when records come that nobody acknowledges, and it reads no more, it is behind: the end is asked for
    reader.unassign().expect("unassigned");
    let producer = producer(client(&at).set("acks", "0").set("linger.ms", "0"));
    put(&producer, TOPIC, 0, 4);
    producer.flush(SOON).expect("sent");
    commit(&at, "ga-lag-acks", &[(TOPIC, 0, 3)]);
    lag_is(&proxy, "ga-lag-acks", (TOPIC, 0), 4, SWEPT);
    proxy.finish();
}

fn metrics(world: &World) {
    const TOPIC: &str = "a-lag-metrics";
    const GROUP: &str = "ga-lag-metrics";
    let config = world.config();
    let proxy = world.start_proxy(&config);
    let at = proxy.bootstrap();
    Topics::of(&world.a.bootstrap()).create(TOPIC, 2, 3);
    Topics::of(&at).wait_until_led(TOPIC, 2);
    send(&at, TOPIC, 0, 8);
    send(&at, TOPIC, 1, 1);
    commit(&at, GROUP, &[(TOPIC, 0, 3), (TOPIC, 1, 1)]);
    // Then each number that the table has stands in the metrics, and their sums
    let shown = Metrics::of(&proxy.admin());
    let of = |partition| {
        [("group", GROUP), ("topic", TOPIC), ("partition", partition), ("pipeline", "left"), ("cluster", "a")]
    };
    let value = |family: &str, partition| shown.sum(family, &of(partition));
    assert_eq!(
        (value("fishplate_group_lag_records", "0"), value("fishplate_group_lag_records", "1")),
        (Some(5.0), Some(0.0))
    );
    assert!(value("fishplate_group_lag_seconds", "0") > Some(0.0), "{}", shown.family("fishplate_group_lag_seconds"));
    assert_eq!(value("fishplate_group_lag_seconds", "1"), Some(0.0));
    assert_eq!(value("fishplate_group_committed_offset", "0"), Some(3.0));
    let topic = [("group", GROUP), ("topic", TOPIC)];
    assert_eq!(shown.sum("fishplate_topic_lag_records", &topic), Some(5.0));
    assert_eq!(shown.sum("fishplate_topic_lag_partitions", &topic), Some(2.0));
    let partition = [("topic", TOPIC), ("partition", "0")];
    assert_eq!(shown.sum("fishplate_partition_end_offset", &partition), Some(8.0));
    assert_eq!(shown.sum("fishplate_partition_produced_records_total", &partition), Some(8.0));
    assert!(!shown.text().contains("NaN"));
    took_no_longer_than_they_did(&proxy, &at, TOPIC, GROUP);
    proxy.finish();
}

/// How long batches take, until they are written and then until they are handed out, and a group from one commit to the next.
fn took_no_longer_than_they_did(proxy: &Proxy, at: &Bootstrap, topic: &str, group: &str) {
    let topic_labels = [("topic", topic), ("pipeline", "left"), ("cluster", "a")];
    let told = |family: &str, labels: &[(&str, &str)]| {
        let (shown, of) = (Metrics::of(&proxy.admin()), |part| format!("{family}_{part}"));
        (shown.sum(&of("count"), labels).unwrap_or(0.0), shown.sum(&of("sum"), labels).unwrap_or(0.0))
    };
    let produced = || told("fishplate_topic_produce_duration_seconds", &topic_labels);
    let delivered = || told("fishplate_topic_delivery_duration_seconds", &topic_labels);
    let committed = || told("fishplate_group_commit_interval_seconds", &[("group", group), ("pipeline", "left")]);
    // Batches take together no longer than their sender waited
    let before = produced();
    let (began, over) = send(at, topic, 1, 1);
    let after = produced();
    let (count, took) = (after.0 - before.0, after.1 - before.1);
    assert!(count == 1.0 && took > 0.0 && took <= over.duration_since(began).as_secs_f64(), "{count} {took}");
    // What is read two seconds later was there for so long
    assert_eq!(delivered().0, 0.0);
    sleep(Duration::from_secs(2));
    let reader = consumer(at, "ga-lag-metrics-reader", "read_uncommitted");
    reader.assign(&offsets(&[(topic, 1, 1)])).expect("assigned");
    wait::find("a record", SOON, || reader.poll(Duration::from_millis(100))?.ok().map(|message| message.offset()));
    let (count, waited) = delivered();
    let most = began.elapsed().as_secs_f64();
    assert!(count >= 1.0 && waited >= 2.0 - GRAIN && waited <= count * most, "{count} {waited} {most}");
    // And between two commits of a group there is the time that it took for the second
    assert_eq!(committed(), (0.0, 0.0));
    let first = Instant::now();
    commit(at, group, &[(topic, 0, 4)]);
    let before = committed();
    sleep(Duration::from_secs(1));
    commit(at, group, &[(topic, 0, 5)]);
    let after = committed();
    let (count, interval) = (after.0 - before.0, after.1 - before.1);
    assert!(count == 1.0 && interval >= 1.0 - GRAIN && interval <= first.elapsed().as_secs_f64(), "{count} {interval}");
    let row = Told::at_once(proxy, group).row(topic, 0).expect("a row").clone();
    let ago = row["committed_ago_seconds"].as_f64().expect("an age");
    assert!(ago <= first.elapsed().as_secs_f64(), "{row}");
}

/// A member of a group that reads two topics, has got four records of each and has committed one.
#[track_caller]
fn member(at: &Bootstrap, group: &str, protocol: &str, topics: &[String; 2]) -> BaseConsumer {
    let mut config = client(at);
    config.set("group.id", group).set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    let reader: BaseConsumer = config.set("group.protocol", protocol).create().expect("a consumer");
    reader.subscribe(&[&topics[0], &topics[1]]).expect("a subscription");
    let mut got = 0;
    wait::until("all records of both", SOON, || {
        got += i32::from(matches!(reader.poll(Duration::from_millis(100)), Some(Ok(_))));
        got == 8
    });
    reader.commit(&offsets(&[(&topics[0], 0, 1), (&topics[1], 0, 1)]), CommitMode::Sync).expect("a commit");
    reader
}

fn members(world: &World, protocol: &str) {
    let topics = ["first", "second"].map(|name| format!("a-lag-members-{protocol}-{name}"));
    let group = format!("ga-lag-members-{protocol}");
    let proxy = world.start_proxy(&world.config());
    let at = proxy.bootstrap();
    for topic in &topics {
        Topics::of(&world.a.bootstrap()).create(topic, 1, 3);
        Topics::of(&at).wait_until_led(topic, 1);
        send(&at, topic, 0, 4);
    }
    // Given a member that reads two topics, and has committed one record of each
    let reader = member(&at, &group, protocol, &topics);
    // Then it is known what it was handed and has not committed
    let told = wait::find("it was handed all", SOON, || {
        let told = Told::of_group(&proxy, &group);
        let handed = |topic: &str| told.row(topic, 0).is_some_and(|row| row["fetched"] == 4 && row["lag"] == 3);
        topics.iter().all(|topic| handed(topic)).then_some(told)
    });
    assert_eq!(told.row(&topics[0], 0).expect("a row")["why"], "not committed", "{told:?}");
    // And when it reads one topic less, that one is no lag of the group
    reader.subscribe(&[&topics[0]]).expect("a subscription");
    wait::until("a topic that is read no more is gone", SOON, || {
        drop(reader.poll(Duration::from_millis(100)));
        Told::of_group(&proxy, &group).row(&topics[1], 0).is_none()
    });
    // And when it is gone, its group is still told of
    drop(reader);
    wait::until("it has no members", SWEPT, || {
        Told::of_group(&proxy, &group)
            .row(&topics[0], 0)
            .is_some_and(|row| row["why"] == "no members" && row["lag"] == 3)
    });
    let shown = Metrics::of(&proxy.admin());
    assert_eq!(
        shown.sum("fishplate_group_members", &[("group", &group)]),
        Some(0.0),
        "{}",
        shown.family("fishplate_group_members")
    );
    proxy.finish();
}

fn dropped_past_fishplate(world: &World, protocol: &str) {
    let topics = ["kept", "dropped"].map(|name| format!("a-lag-past-{protocol}-{name}"));
    let [kept, dropped] = &topics;
    let group = format!("ga-lag-past-{protocol}");
    // Given a member that no Fishplate has seen, which reads two topics and has committed one record of each
    let direct = world.a.bootstrap();
    for topic in &topics {
        Topics::of(&direct).create(topic, 1, 3);
        send(&direct, topic, 0, 4);
    }
    let reader = member(&direct, &group, protocol, &topics);
    let proxy = world.start_proxy(&world.config());
    for topic in &topics {
        lag_is(&proxy, &group, (topic, 0), 3, SOON);
    }
    // When it reads one topic less, then that is told with the next sweep
    reader.subscribe(&[kept]).expect("a subscription");
    wait::until("a topic that is read no more is gone", SWEPT, || {
        drop(reader.poll(Duration::from_millis(100)));
        let told = Told::of_group(&proxy, &group);
        assert_eq!(told.lag(kept, 0), Some(3), "{told:?}");
        told.row(dropped, 0).is_none()
    });
    proxy.finish();
    // And when Fishplate starts anew and the member goes on as before, then what it has dropped is never told
    let proxy = world.start_proxy(&world.config());
    wait::until("the first sweep", SOON, || {
        let told = Told::of_group(&proxy, &group);
        assert!(told.row(dropped, 0).is_none(), "{told:?}");
        told.lag(kept, 0) == Some(3)
    });
    let told = Told::of_group(&proxy, &group);
    assert!(told.rows.len() == 1 && told.lag(kept, 0) == Some(3), "{told:?}");
    drop(reader);
    proxy.finish();
}

fn cluster_down(world: &World) {
    const TOPIC: &str = "b-lag-down";
    const GROUP: &str = "gb-lag-down";
    let proxy = world.start_proxy(&world.config());
    proxy.log().allow("cluster");
    proxy.log().allow("broker");
    let at = proxy.bootstrap();
    Topics::of(&world.b.bootstrap()).create(TOPIC, 1, 1);
    Topics::of(&at).wait_until_led(TOPIC, 1);
    let sent = send(&at, TOPIC, 0, 3);
    commit(&at, GROUP, &[(TOPIC, 0, 1)]);
    assert_eq!(Told::of_group(&proxy, GROUP).lag(TOPIC, 0), Some(2));
    // When its cluster is gone
    world.b.broker(1).kill();
    wait::until("the cluster is known to be down", SOON, || {
        Metrics::of(&proxy.admin()).sum("fishplate_cluster_up", &[("cluster", "b")]) == Some(0.0)
    });
    // Then what is known of it is told, no younger than it is
    let told = Told::of_group(&proxy, GROUP);
    assert_eq!(told.lag(TOPIC, 0), Some(2), "{told:?}");
    is_age_of(&told, TOPIC, 0, sent);
    world.b.broker(1).restart();
    proxy.finish();
}
