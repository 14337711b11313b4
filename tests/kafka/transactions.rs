//! Transactions through Fishplate where brokers are killed under them, and with version 2 of the protocol. What they are on
//! a good day is played by the clients' scenarios.

use crate::harness::config::View;
use crate::harness::metrics::Metrics;
use crate::harness::process::{Process, command};
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::operator::says;
use crate::raw::Raw;
use crate::scenarios::clients::CLIENTS;
use crate::scenarios::contract::{Line, Run};
use crate::scenarios::programs;
use crate::world::{World, alone, full, shared};
use kafka_protocol::messages::FindCoordinatorRequest;
use kafka_protocol::protocol::StrBytes;
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const SOON: Duration = wait::seconds(60);
const MOMENT: Duration = Duration::from_millis(100);

pub fn trials() -> Vec<Trial> {
    vec![
        alone("transactions: what is passed on is there once, whoever is killed", passed_on_once),
        shared("transactions: of version 2, with Java and franz-go", version_two),
        shared("transactions: a cluster that lacks version 2 is told of", a_cluster_lacks_version_two),
        shared("transactions: Kafka Streams counts words once", streams_count_once).with_ignored_flag(!full()),
    ]
}

const PARTITIONS: i32 = 2;
/// To each partition.
const RECORDS: usize = 200;
/// Written at a time, and between two times.
const AT_A_TIME: usize = 10;
const BETWEEN: Duration = Duration::from_millis(500);

/// An application that reads a topic of `b` and writes what it read to one of `a`, in transactions that live on `a`.
struct Application {
    at: Bootstrap,
    name: String,
    stop: AtomicBool,
}

fn passed_on_once(world: &World) {
    // Given an application in each view, and its input
    let proxy = world.start_proxy(&world.config().listener(View::Single, None));
    proxy.log().allow("broker");
    proxy.log().allow("have not heard of a new shadow topic yet");
    let applications = [View::Auto, View::Single].map(|view| Application {
        at: proxy.bootstrap_in(view),
        name: format!("passes-on-{}", view.word()),
        stop: AtomicBool::new(false),
    });
    for one in &applications {
        Topics::of(&world.b.bootstrap()).create(&one.from(), PARTITIONS, 1);
        Topics::of(&world.a.bootstrap()).create(&one.to(), PARTITIONS, 3);
    }
    thread::scope(|scope| {
        for one in &applications {
            scope.spawn(|| one.fill());
            scope.spawn(|| one.run());
        }
        let _ended = Ended(&applications);
        for (number, one) in applications.iter().enumerate().take(if full() { applications.len() } else { 1 }) {
            // When the broker is killed that coordinates its transactions, as soon as it has written some
            let written = || one.read(&world.a.bootstrap()).values().map(Vec::len).sum::<usize>();
            wait::until("something was passed on", SOON, || written() > number * RECORDS);
            let coordinator = coordinator(world, &one.id());
            // The controller cannot be spared; any other broker leads some of what is written.
            let broker = world.a.broker(if coordinator == 1 { 2 } else { coordinator });
            broker.kill();
            sleep(wait::seconds(4));
            broker.restart();
            if full() {
                world.a.wait_ready();
            }
        }
        // Then all of the input is in its output, once and in order
        for one in &applications {
            let expected: BTreeMap<_, _> = (0..PARTITIONS).map(|at| (at, all_of(at))).collect();
            wait::until("all is passed on", SOON * 2, || {
                let read = one.read(&one.at);
                read.len() == expected.len() && read.values().all(|values| values.len() >= RECORDS)
            });
            assert_eq!(one.read(&world.a.bootstrap()), expected, "{} in the log", one.name);
            assert_eq!(one.read(&one.at), expected, "{} through Fishplate", one.name);
        }
    });
    proxy.finish();
}

/// Stops applications, also where a trial gives up.
struct Ended<'a>(&'a [Application]);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|one| one.stop.store(true, Ordering::Relaxed));
    }
}

/// The input of one partition, in order.
fn all_of(partition: i32) -> Vec<String> {
    (0..RECORDS).map(|number| format!("{partition}-{number}")).collect()
}

/// Who coordinates the transactions of an id on `a`.
fn coordinator(world: &World, id: &str) -> i32 {
    let request = FindCoordinatorRequest::default().with_key(StrBytes::from_string(id.to_owned())).with_key_type(1);
    let servers = world.a.bootstrap().servers;
    let first = servers.split(',').next().expect("a broker").to_owned();
    wait::find("a coordinator", SOON, || {
        let told = Raw::connect(&first).call(3, &request);
        (told.error_code == 0).then_some(told.node_id.0)
    })
}

impl Application {
    fn from(&self) -> String {
        format!("b-{}", self.name)
    }

    fn to(&self) -> String {
        format!("a-{}", self.name)
    }

    fn id(&self) -> String {
        format!("ta-{}", self.name)
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.at.servers).set("log_level", "0").set("reconnect.backoff.max.ms", "1000");
        config
    }

    /// Writes its input, a little at a time.
    fn fill(&self) {
        let producer: ThreadedProducer<DefaultProducerContext> =
            self.client().set("enable.idempotence", "true").create().expect("a producer");
        let (all, topic) = ((0..PARTITIONS).map(all_of).collect::<Vec<_>>(), self.from());
        for some in 0..RECORDS / AT_A_TIME {
            for (partition, values) in (0..).zip(&all) {
                for value in values.iter().skip(some * AT_A_TIME).take(AT_A_TIME) {
                    let record = BaseRecord::<str, str>::to(&topic).partition(partition).payload(value);
                    producer.send(record).unwrap_or_else(|(error, _)| panic!("{error}"));
                }
            }
            sleep(BETWEEN);
        }
        producer.flush(SOON).expect("all is acknowledged");
    }

    /// Works until it is stopped. Whatever goes wrong, it begins anew from what was committed.
    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let _begins_anew = self.work();
        }
    }

    fn work(&self) -> KafkaResult<()> {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", format!("ga-{}", self.name))
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("session.timeout.ms", "6000")
            .create()?;
        let producer: ThreadedProducer<DefaultProducerContext> =
            self.client().set("transactional.id", self.id()).set("transaction.timeout.ms", "10000").create()?;
        producer.init_transactions(SOON)?;
        consumer.subscribe(&[&self.from()])?;
        let to = self.to();
        while !self.stop.load(Ordering::Relaxed) {
            let taken = take(&consumer)?;
            if taken.is_empty() {
                continue;
            }
            producer.begin_transaction()?;
            for (partition, _, value) in &taken {
                let record = BaseRecord::<str, str>::to(&to).partition(*partition).payload(value);
                producer.send(record).map_err(|(error, _)| error)?;
            }
            let member = consumer.group_metadata().ok_or(KafkaError::Canceled)?;
            let mut behind = TopicPartitionList::new();
            for (partition, offset, _) in &taken {
                // The last of each stands.
                let at = behind.find_partition(&self.from(), *partition).is_some();
                let offset = Offset::Offset(offset + 1);
                if at {
                    behind.set_partition_offset(&self.from(), *partition, offset)?;
                } else {
                    behind.add_partition_offset(&self.from(), *partition, offset)?;
                }
            }
            producer.send_offsets_to_transaction(&behind, &member, SOON)?;
            producer.commit_transaction(SOON)?;
        }
        Ok(())
    }

    /// What was committed to each partition of its output, in order, as this bootstrap tells it.
    fn read(&self, at: &Bootstrap) -> BTreeMap<i32, Vec<String>> {
        let mut read = BTreeMap::<_, Vec<_>>::new();
        for record in committed(at, &self.to()) {
            read.entry(record.partition()).or_default().push(value(&record));
        }
        read
    }
}

/// All that was committed to a topic, each partition in order.
fn committed(at: &Bootstrap, topic: &str) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &at.servers)
        .set("log_level", "0")
        .set("group.id", "nobody")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning).expect("a partition");
    }
    consumer.assign(&list).expect("an assignment");
    let (mut read, mut ended) = (Vec::new(), BTreeSet::new());
    let deadline = Instant::now() + SOON;
    while ended.len() < list.count() {
        assert!(Instant::now() < deadline, "{at} does not tell all of {topic}");
        match consumer.poll(MOMENT) {
            Some(Ok(record)) => read.push(record.detach()),
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ended.insert(partition)),
            Some(Err(_)) | None => {}
        }
    }
    read
}

fn value(record: &impl Message) -> String {
    String::from_utf8_lossy(record.payload().unwrap_or_default()).into_owned()
}

/// What is there: partition, offset and value.
fn take(consumer: &BaseConsumer) -> KafkaResult<Vec<(i32, i64, String)>> {
    let mut taken = Vec::new();
    while let Some(record) = consumer.poll(MOMENT) {
        let record = match record {
            Err(error) if is_passing(&error) => continue,
            other => other?,
        };
        taken.push((record.partition(), record.offset(), value(&record)));
        if taken.len() == 50 {
            break;
        }
    }
    Ok(taken)
}

/// It has no connection, and makes new ones.
fn is_passing(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
    matches!(error.rdkafka_error_code(), Some(AllBrokersDown | BrokerTransportFailure))
}

/// One client plays a scenario; the first topic and group live on `a`, the second where it is said.
fn play(world: &World, client: &str, scenario: &'static str, at: &Bootstrap, second: &str) -> Value {
    let known = CLIENTS.iter().find(|one| one.name == client).expect("a client of the table");
    let way = format!("{scenario}-two-{client}-{}", at.name.replace(' ', "-"));
    let run = Run {
        client: known.name,
        scenarios: &[scenario],
        bootstrap: at,
        topics: [format!("a-{way}"), format!("{second}-{way}-second")],
        groups: [format!("ga-{way}"), format!("g{second}-{way}-second")],
        output: world.directory.join(format!("{way}.out")),
        log: world.directory.join(format!("{way}.log")),
        cut: None,
    };
    let lines = (known.play)(&run).unwrap_or_else(|error| panic!("{error:#}"));
    let line: &Line = lines.first().expect("a line");
    line.result.clone().unwrap_or_else(|| panic!("{client} at {at}: {}", line.failure()))
}

fn requests(proxy: &Proxy, api: &str) -> f64 {
    Metrics::of(&proxy.admin()).sum("fishplate_requests_total", &[("api", api)]).unwrap_or(0.0)
}

fn version_two(world: &World) {
    // Given Fishplate that shows version 2, and transactional ids that live on the cluster that has it
    let proxy = world.start_proxy(&world.config().transacting_on_a().with("transaction_version: 2\n"));
    proxy.log().allow("a transaction would span two clusters");
    for client in ["franz-go", "java-4.3"] {
        // When clients use transactions, then they see what they see on bare Kafka
        if full() || client == "franz-go" {
            let (bare, through) = thread::scope(|scope| {
                let bare = scope.spawn(|| play(world, client, "transactions", &world.a.bootstrap(), "a"));
                let through = play(world, client, "transactions", &proxy.bootstrap(), "a");
                (bare.join().expect("bare Kafka"), through)
            });
            assert_eq!(bare, through, "{client}");
        }
        // And one that would span two clusters is refused at its first Produce there
        let spanning = play(world, client, "spanning", &proxy.bootstrap(), "b");
        let told = spanning["other topic"].as_str().unwrap_or_default().to_owned();
        assert!(["InvalidTxnStateException", "INVALID_TXN_STATE"].contains(&&*told), "{client}: {spanning}");
        let own_and_after = (&spanning["own topic"], &spanning["afterwards"]);
        assert_eq!(own_and_after, (&json!("none"), &json!("none")), "{client}: {spanning}");
    }
    // And nobody told a coordinator which partitions it would write to: brokers did
    let counted = |apis: [&str; 2]| apis.map(|api| requests(&proxy, api));
    assert_eq!(counted(["AddPartitionsToTxn", "AddOffsetsToTxn"]), [0.0, 0.0]);
    let ended = counted(["EndTxn", "TxnOffsetCommit"]);
    assert!(
        ended.iter().all(|count| *count > 1.0),
        "{ended:?}: {}",
        Metrics::of(&proxy.admin()).family("fishplate_requests_total")
    );
    // And the log names the transactional id, both clusters and what to write
    let said = proxy.log().lines_with("a transaction would span two clusters");
    let names = |text: &str| said.iter().any(|line| line.contains(text));
    let parts = [r#""home":"a""#, r#""lives_on":"b""#, r#""transactional_id":"ta-spanning-two-"#];
    assert!(parts.iter().all(|part| names(part)), "{said:?}");
    assert!(names("into the pipeline right"), "{said:?}");
    proxy.finish();
}

fn a_cluster_lacks_version_two(world: &World) {
    // Given Fishplate with transactional ids on both clusters, of which one is older
    let proxy = world.start_proxy(&world.config());
    let file = world.directory.join("transactions-two.yaml");
    fs::write(&file, world.config().with("transaction_version: 2\n").yaml()).expect("a file");
    let file = file.to_string_lossy();
    let lacks = "transactional ids live on b, which cannot do `transaction_version: 2`: its transaction.version is";
    // Then a config that shows version 2 is found wrong before it runs, and would be refused while it runs
    let (code, said) = says(&proxy, &["diff", "-c", &file]);
    assert!(code == 1 && said.contains(lacks), "{code}: {said}");
    assert!(said.ends_with("a reload would refuse the whole file\n"), "{said}");
    let (code, said) = crate::operator::run(&["check", "--live", "-c", &file]);
    assert!(code == 1 && said.contains(lacks), "{code}: {said}");
    // And the cluster that has it is not told of
    assert!(!said.contains("transactional ids live on a"), "{said}");
    proxy.finish();
}

const LINES: usize = 300;
const WORDS: [&str; 4] = ["a", "count", "of", "words"];

/// Its input lives on `b`; its group, its transactional ids, its output and the topics that it makes for itself on `a`.
fn streams_count_once(world: &World) {
    programs::set_up().unwrap_or_else(|error| panic!("{error:#}"));
    let proxy = world.start_proxy(&world.config());
    let (from, to) = ("b-streams", "a-streams");
    Topics::of(&world.b.bootstrap()).create(from, 2, 1);
    Topics::of(&world.a.bootstrap()).create(to, 2, 3);
    let start = |number: usize| {
        let built = programs::built().join("streams");
        let mut java = command("java");
        java.arg("-XX:+UseSerialGC").arg(format!("-Dscenario.log={}", world.directory.join("streams.log").display()));
        java.arg("-cp").arg(format!("{0}/classes:{0}/lib/*", built.display()));
        java.args(["WordCount", &proxy.bootstrap().servers, "ga-streams", from, to])
            .arg(world.directory.join("streams"));
        let said = File::create(world.directory.join(format!("streams-{number}.out"))).expect("a file");
        java.stdout(said.try_clone().expect("it twice")).stderr(said);
        Process::start("Kafka Streams", java).unwrap_or_else(|error| panic!("{error:#}"))
    };
    let write = || {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &proxy.bootstrap().servers).set("log_level", "0");
        let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
        for line in 0..LINES {
            let partition = i32::try_from(line % 2).expect("a partition");
            let record = BaseRecord::<str, str>::to(from).partition(partition).payload("a count of words");
            producer.send(record).unwrap_or_else(|(error, _)| panic!("{error}"));
        }
        producer.flush(SOON).expect("all is acknowledged");
    };
    let counts = || counts(&proxy.bootstrap(), to);
    let all = |times: usize| {
        let counted = counts();
        WORDS.iter().all(|word| counted.get(*word).and_then(|all| all.last()) == Some(&(times * LINES)))
    };
    // Given an application that has counted
    let first = start(1);
    write();
    wait::until("all is counted", SOON * 2, || all(1));
    // When it is killed in the middle of more, and comes back
    write();
    sleep(MOMENT);
    drop(first);
    write();
    let _second = start(2);
    // Then it has counted everything, and each count stands once and in order
    wait::until("all is counted", SOON * 2, || all(3));
    for (word, counted) in counts() {
        assert!(counted.is_sorted_by(|one, other| one < other), "{word}: {counted:?}");
    }
    proxy.finish();
}

/// What was committed of each word, in order.
fn counts(at: &Bootstrap, topic: &str) -> BTreeMap<String, Vec<usize>> {
    let mut counts = BTreeMap::<_, Vec<_>>::new();
    for record in committed(at, topic) {
        let word = String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned();
        counts.entry(word).or_default().push(value(&record).parse().expect("a count"));
    }
    counts
}
