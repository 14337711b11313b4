//! Transactions through Fishplate where brokers are killed under them, and with version 2 of the protocol. What they are on
//! a good day is played by the clients' scenarios, and what applications make of them in `applications`.

use crate::committed::{self, value};
use crate::harness::config::View;
use crate::harness::metrics::Metrics;
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
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

const SOON: Duration = wait::seconds(60);
const MOMENT: Duration = Duration::from_millis(100);

pub fn trials() -> Vec<Trial> {
    if !full() {
        eprintln!(
            "only the full level kills brokers under transactions of version 2, and a second one under those of version 1 (FISHPLATE_TEST_LEVEL=full)"
        );
    }
    vec![
        alone("transactions: what is passed on is there once, whoever is killed", passed_on_once),
        alone("transactions: of version 2, passed on once, whoever is killed", passed_on_once_in_version_two)
            .with_ignored_flag(!full()),
        shared("transactions: of version 2, with Java and franz-go", version_two),
        shared("transactions: a cluster that lacks version 2 is told of", a_cluster_lacks_version_two),
    ]
}

/// It cannot be spared; any other broker leads some of what is written.
const CONTROLLER: i32 = 1;
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
            let broker = world.a.broker(if coordinator == CONTROLLER { 2 } else { coordinator });
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

/// The same application with a client that knows version 2, where brokers add partitions by themselves.
fn passed_on_once_in_version_two(world: &World) {
    // Given such an application in each view, whose transactions another broker coordinates than the controller
    let config = world.config().transacting_on_a().with("transaction_version: 2\n");
    let proxy = world.start_proxy(&config.listener(View::Single, None));
    proxy.log().allow("broker");
    proxy.log().allow("have not heard of a new shadow topic yet");
    let passing = [View::Auto, View::Single].map(|view| Passing::new(world, view));
    let told = thread::scope(|scope| {
        let told = passing.each_ref().map(|one| {
            let at = proxy.bootstrap_in(one.view);
            scope.spawn(move || one.play(world, &at))
        });
        // When the broker is killed that coordinates the first one's, and then one that leads what it writes
        let one = &passing[0];
        let leads = |partition| world.a.leader(&one.to(), partition).filter(|id| *id != CONTROLLER);
        let victims: [&dyn Fn() -> Option<i32>; 2] =
            [&|| Some(coordinator(world, &one.id())), &|| (0..PARTITIONS).find_map(leads).or(Some(2))];
        for (number, victim) in victims.iter().enumerate() {
            wait::until("something was passed on", SOON, || one.count(world) > number * RECORDS);
            let broker = world.a.broker(wait::find("who is to be killed", SOON, victim));
            broker.kill();
            sleep(wait::seconds(4));
            broker.restart();
            world.a.wait_ready();
        }
        told.map(|told| told.join().expect("the application"))
    });
    // Then all of the input is in its output, once and in order
    let expected: BTreeMap<_, _> = (0..PARTITIONS).map(|at| (at, all_of(at))).collect();
    for (one, told) in passing.iter().zip(told) {
        let result = told.result.as_ref().unwrap_or_else(|| panic!("{}", told.failure()));
        assert_eq!(result["passed on"], 2 * RECORDS);
        for at in [world.a.bootstrap(), proxy.bootstrap_in(one.view)] {
            assert_eq!(committed::values(&at, &one.to(), PARTITIONS), expected, "{} at {at}", one.name);
        }
    }
    // And it was version 2
    assert_eq!(requests(&proxy, "AddPartitionsToTxn"), 0.0);
    assert!(requests(&proxy, "TxnOffsetCommit") > 1.0);
    proxy.finish();
}

/// franz-go's application (`passes` in tests/clients/go): it reads a topic of `b` and writes to one of `a`.
struct Passing {
    name: String,
    view: View,
}

impl Passing {
    /// One whose coordinator can be spared, with its topics.
    fn new(world: &World, view: View) -> Self {
        let named = |number| Self { name: format!("passes-{}-{number}", view.word()), view };
        let spared = |one: &Self| coordinator(world, &one.id()) != CONTROLLER;
        let one = (0..20).map(named).find(spared).expect("one that the controller does not coordinate");
        Topics::of(&world.b.bootstrap()).create(&format!("b-{}.passes", one.name), PARTITIONS, 1);
        Topics::of(&world.a.bootstrap()).create(&one.to(), PARTITIONS, 3);
        one
    }

    fn to(&self) -> String {
        format!("a-{}.passes", self.name)
    }

    fn id(&self) -> String {
        format!("ta-{}.passes", self.name)
    }

    fn count(&self, world: &World) -> usize {
        committed::values(&world.a.bootstrap(), &self.to(), PARTITIONS).values().map(Vec::len).sum()
    }

    fn play(&self, world: &World, at: &Bootstrap) -> Line {
        let run = Run {
            client: "franz-go",
            scenarios: &["passes"],
            bootstrap: at,
            topics: ["a", "b"].map(|home| format!("{home}-{}", self.name)),
            groups: ["ga", "gb"].map(|home| format!("{home}-{}", self.name)),
            output: world.directory.join(format!("{}.out", self.name)),
            log: world.directory.join(format!("{}.log", self.name)),
            cut: None,
        };
        programs::franz(&run).unwrap_or_else(|error| panic!("{error:#}")).remove(0)
    }
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
        committed::values(at, &self.to(), PARTITIONS)
    }
}

/// What is there: partition, offset and value.
fn take(consumer: &BaseConsumer) -> KafkaResult<Vec<(i32, i64, String)>> {
    let mut taken = Vec::new();
    while let Some(record) = consumer.poll(MOMENT) {
        let record = match record {
            Err(error) if committed::is_passing(&error) => continue,
            other => other?,
        };
        taken.push((record.partition(), record.offset(), value(&record)));
        if taken.len() == 50 {
            break;
        }
    }
    Ok(taken)
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
        for scenario in ["transactions", "silent"] {
            if full() || client == "franz-go" {
                let (bare, through) = thread::scope(|scope| {
                    let bare = scope.spawn(|| play(world, client, scenario, &world.a.bootstrap(), "a"));
                    let through = play(world, client, scenario, &proxy.bootstrap(), "a");
                    (bare.join().expect("bare Kafka"), through)
                });
                assert_eq!(bare, through, "{client}: {scenario}");
            }
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
