//! What `fishplate provision` makes, in a real Prometheus over real traffic: each rule can be evaluated, and each panel shows something.

use crate::harness::metrics::Metrics;
use crate::harness::process::{Process, command};
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::operator::{run, says};
use crate::world::{World, shared};
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Traffic of one pipeline.
struct Flow {
    topic: &'static str,
    group: &'static str,
}

/// Of each pipeline that has a dashboard: `left`, `right` and `default`.
const FLOWS: [Flow; 3] = [
    Flow { topic: "a-monitored", group: "ga-monitored" },
    Flow { topic: "b-monitored", group: "gb-monitored" },
    Flow { topic: "c-monitored", group: "gc-monitored" },
];
const SOON: Duration = wait::seconds(60);

const OVERFLOW: &str = "a-monitored-overflow";
const POLICY: &str = "\
slo: { committed_within: 1s, objective: 99% }
contract: { headers: { distinct_id: { required: true } }, on_violation: observe }
limits:
  - { name: per-token, key: header(token), unit: records, rate: 50/s, burst: 50, action: overflow, enforced: 100% }
lanes: { overflow: { topic: a-monitored-overflow } }";

pub fn trials() -> Vec<Trial> {
    vec![
        shared("monitoring: what is provisioned shows real traffic in a real Prometheus", provisioned),
        shared("monitoring: a promise is counted, and whose records a group has not dealt with", promise),
    ]
}

fn client(at: &Bootstrap) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &at.servers).set("log_level", "0");
    config
}

/// Sends records of tokens until it is told to end: to each of two partitions.
fn produce(at: &Bootstrap, flow: &Flow, over: &AtomicBool) {
    let producer: ThreadedProducer<DefaultProducerContext> = client(at).create().expect("a producer");
    while !over.load(Ordering::Relaxed) {
        for partition in 0..2 {
            send(&producer, flow.topic, partition, "phc_somebody");
        }
        thread::sleep(Duration::from_millis(20));
    }
    producer.flush(SOON).expect("all are written");
}

fn send(producer: &ThreadedProducer<DefaultProducerContext>, topic: &str, partition: i32, token: &str) {
    let headers = OwnedHeaders::new().insert(Header { key: "token", value: Some(token) });
    let record = BaseRecord::<str, str>::to(topic).partition(partition).payload("something").headers(headers);
    producer.send(record).unwrap_or_else(|(error, _)| panic!("{error}"));
}

/// Reads and commits until it is told to end.
fn consume(at: &Bootstrap, flow: &Flow, over: &AtomicBool) {
    let mut config = client(at);
    config.set("group.id", flow.group).set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    consumer.subscribe(&[flow.topic]).expect("a subscription");
    while !over.load(Ordering::Relaxed) {
        if let Some(Ok(_)) = consumer.poll(Duration::from_millis(50)) {
            // A member that is being moved may not, for a moment.
            let _ = consumer.commit_consumer_state(CommitMode::Async);
        }
    }
}

/// Asks for records that are not there until it is told to end: OFFSET_OUT_OF_RANGE each time.
fn go_astray(at: &Bootstrap, flow: &Flow, over: &AtomicBool) {
    let mut config = client(at);
    config.set("group.id", format!("{}-astray", flow.group)).set("auto.offset.reset", "error");
    let consumer: BaseConsumer = config.set("enable.auto.commit", "false").create().expect("a consumer");
    let mut nowhere = TopicPartitionList::new();
    nowhere.add_partition_offset(flow.topic, 0, Offset::Offset(1 << 40)).expect("an offset");
    while !over.load(Ordering::Relaxed) {
        consumer.assign(&nowhere).expect("assigned");
        let is_refused = || matches!(consumer.poll(Duration::from_millis(50)), Some(Err(_)));
        while !over.load(Ordering::Relaxed) && !is_refused() {}
        thread::sleep(Duration::from_millis(500));
    }
}

/// Tells them to end when it goes.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A group that has committed the first offset and nothing more.
fn stand_still(at: &Bootstrap, flow: &Flow) {
    let slow = format!("{}-slow", flow.group);
    let consumer: BaseConsumer = client(at).set("group.id", slow).create().expect("a consumer");
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(flow.topic, 0, Offset::Offset(0)).expect("an offset");
    // Not while its coordinator takes over.
    wait::until("a commit", SOON, || consumer.commit(&offsets, CommitMode::Sync).is_ok());
}

/// A Prometheus, stopped when it goes.
struct Prometheus {
    _process: Process,
    address: String,
}

impl Prometheus {
    /// Looks at a Fishplate each second, by these rules.
    fn start(world: &World, folder: &Path, proxy: &Proxy) -> Self {
        let address = format!("127.0.0.1:{}", world.ports.take());
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: ['{}/monitoring/rules/*.yml']\n\
             scrape_configs: [{{ job_name: fishplate, static_configs: [{{ targets: ['{}'] }}] }}]\n",
            folder.display(),
            proxy.admin()
        );
        let file = folder.join("prometheus.yml");
        fs::write(&file, config).expect("written");
        let log = fs::File::create(folder.join("prometheus.log")).expect("a log");
        let mut program = command("prometheus");
        program
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log);
        let process = Process::start("Prometheus (scripts/test installs it)", program).expect("it starts");
        let prometheus = Self { _process: process, address };
        wait::until("Prometheus is ready", SOON, || {
            prometheus.get("/-/ready").is_some_and(|page| page.contains("200 OK"))
        });
        prometheus
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut socket = TcpStream::connect(&self.address).ok()?;
        write!(socket, "GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.address).ok()?;
        let mut page = String::new();
        socket.read_to_string(&mut page).ok()?;
        Some(page)
    }

    fn json(&self, path: &str) -> Value {
        let page = self.get(path).unwrap_or_default();
        let body = page.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}\n{page}"))
    }

    /// The values of a query; none where there is an error, or one that is no number.
    fn values(&self, query: &str) -> Vec<f64> {
        let quoted: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.json(&format!("/api/v1/query?query={quoted}"));
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let results = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let value = |result: &Value| result["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
        results.iter().filter_map(value).filter(|value| !value.is_nan()).collect()
    }
}

/// Each panel's title, and what it asks.
fn panels(folder: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(folder.join("monitoring/dashboards")).expect("dashboards");
    let mut all = Vec::new();
    for file in files.map(|entry| entry.expect("a file").path()) {
        let dashboard: Value = serde_json::from_slice(&fs::read(&file).expect("a dashboard")).expect("JSON");
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        queries(&name, &dashboard["panels"], &mut all);
    }
    assert!(all.len() > 25 * FLOWS.len(), "{}", all.len());
    all
}

fn queries(dashboard: &str, panels: &Value, all: &mut Vec<(String, String)>) {
    for panel in panels.as_array().into_iter().flatten() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query =
                target["expr"].as_str().expect("a query").replace("$group", ".*").replace("$__rate_interval", "15s");
            all.push((format!("{dashboard}: {}", panel["title"].as_str().unwrap_or_default()), query));
        }
        queries(dashboard, &panel["panels"], all);
    }
}

fn provisioned(world: &World) {
    // Given a Fishplate with traffic in each pipeline: a group that keeps up, one that stands still, and a reader that is refused. In
    // `left` it breaks a contract and is above a limit
    let config = world.config().transacting_on_a().policy("left", POLICY);
    let proxy = world.start_proxy(&config);
    let at = proxy.bootstrap();
    for (flow, (home, replicas)) in FLOWS.iter().zip([(&world.a, 3), (&world.b, 1), (&world.a, 3)]) {
        Topics::of(&home.bootstrap()).create(flow.topic, 2, replicas);
        Topics::of(&at).wait_until_led(flow.topic, 2);
    }
    Topics::of(&world.a.bootstrap()).create(OVERFLOW, 1, 3);
    let folder = world.directory.join("monitoring");
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("fishplate.yaml");
    fs::write(&file, config.yaml()).expect("written");
    let (file, out) = (file.display().to_string(), folder.join("monitoring").display().to_string());
    let (code, said) = run(&["provision", "-c", &file, "--out", &out]);
    assert_eq!(code, 0, "{said}");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Also where something fails: the scope waits for all.
        let _over = Over(&over);
        for flow in &FLOWS {
            let (at, over) = (&at, &over);
            scope.spawn(move || produce(at, flow, over));
            scope.spawn(move || consume(at, flow, over));
            scope.spawn(move || go_astray(at, flow, over));
        }
        FLOWS.iter().for_each(|flow| stand_still(&at, flow));
        let prometheus = Prometheus::start(world, &folder, &proxy);
        // Then each panel has something to show, a moment later
        for (panel, query) in panels(&folder) {
            wait::until(&format!("{panel} shows something: {query}"), SOON, || !prometheus.values(&query).is_empty());
        }
        // And each rule is evaluated without an error
        let rules = prometheus.json("/api/v1/rules");
        let groups = rules["data"]["groups"].as_array().expect("groups");
        let rules: Vec<_> = groups.iter().flat_map(|group| group["rules"].as_array().expect("rules")).collect();
        assert!(rules.len() > 20, "{}", rules.len());
        for rule in rules {
            assert_eq!(rule["health"], "ok", "{rule}");
        }
    });
    proxy.finish();
}

fn promise(world: &World) {
    const TOPIC: &str = "a-promised";
    const GROUP: &str = "ga-promised";
    let policy = POLICY.replace(OVERFLOW, "a-promised-overflow");
    let proxy = world.start_proxy(&world.config().transacting_on_a().policy("left", &policy));
    let at = proxy.bootstrap();
    Topics::of(&world.a.bootstrap()).create(TOPIC, 1, 3);
    Topics::of(&world.a.bootstrap()).create("a-promised-overflow", 1, 3);
    Topics::of(&at).wait_until_led(TOPIC, 1);
    let producer: ThreadedProducer<DefaultProducerContext> = client(&at).create().expect("a producer");
    for token in ["phc_loud", "phc_loud", "phc_loud", "phc_quiet"] {
        send(&producer, TOPIC, 0, token);
    }
    producer.flush(SOON).expect("all are written");
    // When they are dealt with after more than the promise allows
    thread::sleep(Duration::from_millis(1_500));
    let commit = |offset| {
        let consumer: BaseConsumer = client(&at).set("group.id", GROUP).create().expect("a consumer");
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(TOPIC, 0, Offset::Offset(offset)).expect("an offset");
        wait::until("a commit", SOON, || consumer.commit(&offsets, CommitMode::Sync).is_ok());
    };
    commit(0);
    let of = [("pipeline", "left"), ("group", GROUP)];
    let counted = |family: &str| Metrics::of(&proxy.admin()).sum(family, &of);
    // Then whose they are can be asked, masked
    let (code, said) = says(&proxy, &["backlog", "--group", GROUP, "--topic", TOPIC, "--json"]);
    assert_eq!(code, 0, "{said}");
    let told: Value = serde_json::from_str(&said).expect("JSON");
    let row =
        |at: usize| (told["rows"][at]["records"].as_u64(), told["rows"][at]["token"].as_str().map(|it| it.len() > 4));
    assert_eq!(
        (row(0), row(1), &told["looked_up_to"]),
        ((Some(3), Some(true)), (Some(1), Some(true)), &4.into()),
        "{told}"
    );
    assert!(!said.contains("loud") && !said.contains("quiet"), "{said}");
    // And seconds in which nobody read are late, and so are records that are dealt with then
    wait::until("late seconds are counted", SOON, || counted("fishplate_slo_late_seconds_total") >= Some(1.0));
    commit(4);
    wait::until("late records are counted", SOON, || {
        counted("fishplate_slo_records_total") == Some(4.0) && counted("fishplate_slo_late_records_total") == Some(4.0)
    });
    // And what is committed in time is not late
    send(&producer, TOPIC, 0, "phc_loud");
    producer.flush(SOON).expect("written");
    commit(5);
    assert_eq!(counted("fishplate_slo_records_total"), Some(5.0));
    let late = counted("fishplate_slo_late_records_total");
    assert!(late <= Some(5.0) && late >= Some(4.0), "{late:?}");
    proxy.finish();
}
