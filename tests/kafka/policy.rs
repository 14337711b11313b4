//! What policy does to records on real clusters: every one that was acknowledged is where it belongs, once and unchanged.

use crate::harness::config::{Config, View};
use crate::harness::link::Link;
use crate::harness::metrics::Metrics;
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::raw::{Raw, produce, topic};
use crate::world::{World, full, shared};
use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const TO_DO_IT: Duration = wait::seconds(60);
/// Java 4 and librdkafka speak 8 and more; so may we.
const PRODUCE: i16 = 9;
/// The first that names topics by their ids.
const BY_ID: i16 = 13;
const UNKNOWN_TOPIC_ID: i16 = 100;

pub fn trials() -> Vec<Trial> {
    if !full() {
        eprintln!(
            "SHORT: policy's sums are of {}; FISHPLATE_TEST_LEVEL=full has gzip and snappy too",
            codecs().join(", ")
        );
    }
    vec![
        shared("policy: acknowledged is main and lanes, whatever the codec", sums),
        shared("policy: a batch that breaks the contract says which record broke which rule", refusals),
        shared("policy: what is dropped and stamped", dropped_and_stamped),
        shared("policy: a client that is throttled keeps to its rate", throttled),
        shared("policy: what idempotent producers send is parted, once and in order, whatever is cut", idempotent),
    ]
}

/// A record as it was sent, or as it was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    pub key: Option<Vec<u8>>,
    pub payload: Vec<u8>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Sent {
    fn of(message: &impl Message) -> Self {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        let headers = headers.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)));
        Self {
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().unwrap_or_default().to_vec(),
            headers: headers.collect(),
        }
    }

    pub fn last(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().rev().find(|(key, _)| key == name)?.1.as_deref()
    }
}

/// Counts deliveries.
#[derive(Clone, Default)]
struct Told(Arc<AtomicUsize>, Arc<Mutex<Vec<String>>>);

impl ClientContext for Told {}

impl ProducerContext for Told {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &rdkafka::producer::DeliveryResult<'_>, (): ()) {
        match delivered {
            Ok(_) => drop(self.0.fetch_add(1, Ordering::SeqCst)),
            Err((error, _)) => self.1.lock().expect("a list").push(error.to_string()),
        }
    }
}

/// Writes records, and says which deliveries failed.
pub fn write(at: &Bootstrap, topic: &str, settings: &[(&str, &str)], records: &[Sent]) -> Vec<String> {
    let told = Told::default();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &at.servers).set("log_level", "0").set("linger.ms", "20");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    let producer: ThreadedProducer<Told> = config.create_with_context(told.clone()).expect("a producer");
    for record in records {
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: value.as_ref() }));
        let mut one = BaseRecord::<[u8], [u8]>::to(topic).payload(&record.payload).headers(headers);
        one.key = record.key.as_deref();
        producer.send(one).unwrap_or_else(|(error, _)| panic!("{error}"));
    }
    producer.flush(TO_DO_IT).expect("all is told of");
    let failed = told.1.lock().expect("a list").clone();
    assert_eq!(told.0.load(Ordering::SeqCst) + failed.len(), records.len());
    failed
}

/// All that is in a topic, by its partitions in order.
pub fn read(at: &Bootstrap, topic: &str) -> Vec<Sent> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &at.servers).set("group.id", "ga-policy").set("log_level", "0");
    config.set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let seen = consumer.fetch_metadata(Some(topic), TO_DO_IT).expect("metadata");
    let partitions = seen.topics()[0].partitions().len();
    let mut list = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions).expect("few") {
        list.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&list).expect("an assignment");
    let (mut found, mut ended) = (Vec::new(), 0);
    wait::until("all of it is read", TO_DO_IT, || {
        while let Some(polled) = consumer.poll(Duration::from_millis(100)) {
            match polled {
                Ok(message) => found.push(Sent::of(&message)),
                Err(rdkafka::error::KafkaError::PartitionEOF(_)) => ended += 1,
                Err(error) => panic!("{topic}: {error}"),
            }
        }
        ended == partitions
    });
    found
}

pub fn record(number: usize, token: Option<&str>) -> Sent {
    let headers = [
        ("token", token.map(|token| token.as_bytes().to_vec())),
        ("twice", Some(b"one".to_vec())),
        ("twice", Some(number.to_string().into_bytes())),
        ("null", None),
    ];
    Sent {
        key: (!number.is_multiple_of(3)).then(|| format!("key {}", number % 7).into_bytes()),
        payload: format!("record {number} {}", "x".repeat(number % 200)).into_bytes(),
        headers: headers.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    }
}

pub fn start(world: &World, name: &str, policy: &str) -> Proxy {
    let config = Config::two_clusters(&world.a.bootstrap(), &world.b.bootstrap()).only(&format!("policy-{name}"));
    world.start_proxy(&config.transacting_on_a().showing(View::Brokers, None).policy("left", policy))
}

const LANES: &str = "\
contract:
  headers: { token: { required: true, type: utf8, max_bytes: 32 }, twice: {}, null: {} }
  on_violation: dlq
limits:
  - { name: per-token, key: header(token), rate: 40/m, burst: 40, action: overflow, overrides: { vip: 100000/s } }
";

/// Of those that the rdkafka crate has: its batches of zstd are `edited.rs`'s.
fn codecs() -> &'static [&'static str] {
    if full() { &["none", "lz4", "gzip", "snappy"] } else { &["none", "lz4"] }
}

fn sums(world: &World) {
    let (a, b) = (Topics::of(&world.a.bootstrap()), Topics::of(&world.b.bootstrap()));
    for &codec in codecs() {
        // Given a noisy token, a quiet one, one that may be noisy, and records without any
        let [main, over, dlq] =
            ["a-policy-sums-main", "b-policy-sums-over", "a-policy-sums-dlq"].map(|name| format!("{name}-{codec}"));
        a.create(&main, 3, 3);
        a.create(&dlq, 2, 3);
        b.create(&over, 2, 1);
        let lanes = format!("lanes: {{ overflow: {{ topic: {over}, null_key: true }}, dlq: {{ topic: {dlq} }} }}\n");
        let proxy = start(world, "sums", &format!("{LANES}{lanes}"));
        let token = |number: usize| match number % 10 {
            0 => Some("quiet"),
            1 => None,
            2 | 3 => Some("vip"),
            _ => Some("noisy"),
        };
        let sent: Vec<_> = (0..300).map(|number| record(number, token(number))).collect();
        // When a client that is not idempotent writes them
        let settings = [("compression.type", codec), ("batch.num.messages", "37")];
        assert_eq!(write(&proxy.bootstrap(), &main, &settings, &sent), [""; 0]);
        // Then each is in one place, where it belongs
        let [kept, moved, dead] = [&main, &over, &dlq].map(|topic| read(&proxy.bootstrap(), topic));
        let by_token = |records: &[Sent]| {
            let mut counts = BTreeMap::<_, usize>::new();
            for record in records {
                let token = record.last("token").map(|token| String::from_utf8_lossy(token).into_owned());
                *counts.entry(token.unwrap_or_default()).or_default() += 1;
            }
            counts.into_iter().collect::<Vec<_>>()
        };
        let counts = |pairs: &[(&str, usize)]| {
            pairs.iter().map(|(token, count)| ((*token).to_owned(), *count)).collect::<Vec<_>>()
        };
        let noisy = by_token(&moved).first().map_or(0, |(_, count)| *count);
        // A bucket that is being emptied fills again by 40 a minute
        assert!((140..=145).contains(&noisy), "{codec}: {noisy} of 180 noisy ones are above 40");
        assert_eq!(by_token(&kept), counts(&[("noisy", 180 - noisy), ("quiet", 30), ("vip", 60)]), "{codec}");
        assert_eq!((by_token(&moved), by_token(&dead)), (counts(&[("noisy", noisy)]), counts(&[("", 30)])), "{codec}");
        // And as it was, but for what says why it is there
        let mut all: Vec<Sent> = kept;
        all.extend(moved.into_iter().map(|record| without(record, &["redirect-original-key"])));
        assert!(dead.iter().all(|record| record.last("dlq_step") == Some(b"contract")), "{codec}");
        assert!(dead.iter().all(|record| record.last("dlq_reason").is_some_and(|why| !why.is_empty())), "{codec}");
        all.extend(dead.into_iter().map(|record| without(record, &["dlq_reason", "dlq_step", "dlq_timestamp"])));
        let mut sent = sent;
        sent.sort();
        all.sort();
        assert_eq!(all, sent, "{codec}");
        // And metrics say the same
        let metrics = Metrics::of(&proxy.admin());
        let lane = |lane| metrics.sum("fishplate_lane_records_total", &[("pipeline", "left"), ("lane", lane)]);
        let enforced = metrics.sum("fishplate_limit_records_total", &[("limit", "per-token"), ("verdict", "enforced")]);
        assert_eq!(
            [lane("overflow"), lane("dlq"), enforced],
            [noisy, 30, noisy].map(|count| Some(count as f64)),
            "{codec}"
        );
        proxy.finish();
    }
}

/// Without these headers; a key that went into one of them is back.
fn without(mut record: Sent, names: &[&str]) -> Sent {
    if let Some(key) = record.last("redirect-original-key").map(<[u8]>::to_vec) {
        assert_eq!(record.key, None);
        record.key = Some(key);
    }
    record.headers.retain(|(name, _)| !names.contains(&name.as_str()));
    record
}

fn refusals(world: &World) {
    Topics::of(&world.a.bootstrap()).create("a-policy-refusals", 1, 3);
    let proxy = start(
        world,
        "refusals",
        "contract:\n  headers: { token: { required: true, type: uuid } }\n  unknown: violation\n  on_violation: reject\n",
    );
    // When records 1 and 3 of a batch break the contract, each another rule
    let good = [("token", Some("01890a5d-ac96-774b-bcce-b302099a8057"))];
    let records = [&good[..], &[("token", Some("no-uuid"))], &good, &[good[0], ("what", Some("is this"))]];
    let mut raw = Raw::connect(&proxy.bootstrap().servers);
    let answer = raw.call(PRODUCE, &produce(&[("a-policy-refusals", &batch(&records))]));
    // Then the producer is told which and why, and nothing of the values
    let told = &answer.responses[0].partition_responses[0];
    assert_eq!((told.error_code, told.base_offset), (87, -1));
    let message = told.error_message.as_deref().unwrap_or_default();
    assert!(message.contains("record 1") && message.contains("token") && !message.contains("no-uuid"), "{message}");
    let each: Vec<_> = told.record_errors.iter().map(|one| one.batch_index).collect();
    assert_eq!(each, [1, 3]);
    let why = told.record_errors[1].batch_index_error_message.as_deref().unwrap_or_default();
    assert!(why.contains("what") && !why.contains("is this"), "{why}");
    // And a batch that keeps to it is written
    let answer = raw.call(PRODUCE, &produce(&[("a-policy-refusals", &batch(&[&good, &good]))]));
    let told = &answer.responses[0].partition_responses[0];
    assert_eq!((told.error_code, told.base_offset), (0, 0), "and it is the first that was");
    // And also where Fishplate has not heard of the topic yet, whose id is all that the client says
    Topics::of(&world.a.bootstrap()).create("a-policy-refusals-new", 1, 3);
    let asked = MetadataRequestTopic::default().with_name(Some(topic("a-policy-refusals-new")));
    let seen = Raw::connect(&format!("127.0.0.1:{}", world.a.broker(1).port))
        .call(12, &MetadataRequest::default().with_topics(Some(vec![asked])));
    let mut request = produce(&[("", &batch(&records))]);
    request.topic_data[0].topic_id = seen.topics[0].topic_id;
    let code = wait::find("the topic is looked for by its id, once a second at most", TO_DO_IT, || {
        let code = raw.call(BY_ID, &request).responses[0].partition_responses[0].error_code;
        (code != UNKNOWN_TOPIC_ID).then_some(code)
    });
    assert_eq!(code, 87);
    // And librdkafka hears of it as of a broker's word
    let failed = write(&proxy.bootstrap(), "a-policy-refusals", &[], &[record(1, Some("x"))]);
    assert!(failed.len() == 1 && failed[0].contains("InvalidRecord"), "{failed:?}");
    proxy.finish();
}

/// A batch of records with these headers.
pub fn batch(records: &[&[(&str, Option<&str>)]]) -> bytes::Bytes {
    let record = |(place, headers): (usize, &&[(&str, Option<&str>)])| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: i64::try_from(place).expect("few"),
        sequence: i32::try_from(place).expect("few"),
        timestamp: 1_700_000_000_000,
        key: None,
        value: Some("v".into()),
        headers: headers
            .iter()
            .map(|(name, value)| (crate::raw::text(name), value.map(|value| value.to_owned().into())))
            .collect(),
    };
    let records: Vec<_> = records.iter().enumerate().map(record).collect();
    let mut bytes = bytes::BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, records.iter(), &options).expect("a batch");
    bytes.freeze()
}

fn dropped_and_stamped(world: &World) {
    Topics::of(&world.a.bootstrap()).create("a-policy-marked", 1, 3);
    let limits = "limits:
  - { name: stamps, key: header(token), rate: 1/h, burst: 5, action: stamp, stamp: { header: late, value: 'yes' } }
  - { name: drops, key: header(token), rate: 1/h, burst: 8, action: drop, overrides: { kept: 100000/s } }
";
    let proxy = start(world, "marked", limits);
    // When a token sends 20 records, and another as many that no limit drops
    let of = |token: &'static str| (0..20).map(move |number| record(number, Some(token)));
    let sent: Vec<_> = of("much").chain(of("kept")).collect();
    assert_eq!(write(&proxy.bootstrap(), "a-policy-marked", &[("compression.type", "gzip")], &sent), [""; 0]);
    // Then what is above the second limit is gone, and what is above the first has one more header
    let found = read(&proxy.bootstrap(), "a-policy-marked");
    let count = |token: &str, late: bool| {
        let is =
            |record: &&Sent| record.last("token") == Some(token.as_bytes()) && record.last("late").is_some() == late;
        found.iter().filter(is).count()
    };
    assert_eq!([count("much", false), count("much", true), count("kept", false), count("kept", true)], [5, 3, 5, 15]);
    let metrics = Metrics::of(&proxy.admin());
    assert_eq!(metrics.sum("fishplate_lane_records_total", &[("lane", "drop")]), Some(12.0));
    proxy.finish();
}

fn throttled(world: &World) {
    Topics::of(&world.a.bootstrap()).create("a-policy-throttled", 1, 3);
    let proxy = start(
        world,
        "throttled",
        "limits: [{ name: slow, key: client_id, rate: 200/s, burst: 100, action: throttle }]\n",
    );
    // When a client writes 700 records as fast as it can
    let sent: Vec<_> = (0..700).map(|number| record(number, None)).collect();
    let begin = Instant::now();
    let settings = [("client.id", "fast"), ("batch.num.messages", "50")];
    assert_eq!(write(&proxy.bootstrap(), "a-policy-throttled", &settings, &sent), [""; 0]);
    // Then those beyond the first hundred have taken their time, but for the last batch's own
    assert!(begin.elapsed() >= Duration::from_millis(2_700), "{:?}", begin.elapsed());
    // And all are there, in order
    assert_eq!(read(&proxy.bootstrap(), "a-policy-throttled"), sent);
    let held = Metrics::of(&proxy.admin()).sum("fishplate_policy_held_seconds_total", &[]);
    assert!(held.is_some_and(|seconds| seconds > 0.0), "{held:?}");
    proxy.finish();
}

const NOISY: &str = "\
limits:
  - { name: per-token, key: header(token), rate: 1/h, burst: 100, action: overflow, overrides: { vip: 100000/s } }
  - { name: stamps, key: header(token), rate: 1/h, burst: 50, action: stamp, stamp: { header: late, value: 'yes' } }
lanes: { overflow: { topic: b-policy-cut-over } }
";

/// While its connections are cut again and again.
fn idempotent(world: &World) {
    Topics::of(&world.a.bootstrap()).create("a-policy-cut", 1, 3);
    Topics::of(&world.b.bootstrap()).create("b-policy-cut-over", 1, 1);
    let port = world.ports.take();
    let link = Link::new(0, port).expect("a link");
    let config = Config::two_clusters(&world.a.bootstrap(), &world.b.bootstrap()).only("policy-cut");
    let config = config.transacting_on_a().showing(View::Single, None).policy("left", NOISY).on_port(port);
    let proxy = world.start_proxy(&config.advertised(&format!("127.0.0.1:{}", link.port())));
    let at = Bootstrap { name: "behind a link".to_owned(), servers: format!("127.0.0.1:{}", link.port()) };
    // When an idempotent producer writes what a limit parts
    let token = |number: usize| if number.is_multiple_of(3) { "vip" } else { "noisy" };
    let sent: Vec<_> = (0..3_000).map(|number| record(number, Some(token(number)))).collect();
    let settings = [
        ("enable.idempotence", "true"),
        ("batch.num.messages", "7"),
        ("compression.type", "lz4"),
        ("reconnect.backoff.ms", "10"),
        ("reconnect.backoff.max.ms", "50"),
    ];
    let over = AtomicBool::new(false);
    let cuts = thread::scope(|scope| {
        let cutting = scope.spawn(|| {
            let mut cuts = 0;
            while !over.load(Ordering::SeqCst) && cuts < 20 {
                thread::sleep(Duration::from_millis(250));
                cuts += usize::from(link.connections() > 0);
                link.cut();
            }
            cuts
        });
        let failed = write(&at, "a-policy-cut", &settings, &sent);
        over.store(true, Ordering::SeqCst);
        assert_eq!(failed, [""; 0]);
        cutting.join().expect("cuts")
    });
    assert!(cuts > 3, "{cuts} cuts");
    // Then each record is in one place, once and in order
    let [kept, moved] = ["a-policy-cut", "b-policy-cut-over"].map(|topic| read(&proxy.bootstrap(), topic));
    assert_eq!(moved.len(), 1_900, "of 2,000 noisy ones, 100 pass");
    let (noisy, passing): (Vec<_>, Vec<_>) = sent.iter().cloned().partition(|one| one.last("token") == Some(b"noisy"));
    assert_eq!(moved, noisy[100..]);
    let mut staying = [&noisy[..100], &passing[..]].concat();
    staying.sort_by_key(|one| sent.iter().position(|other| other == one));
    assert_eq!(kept.iter().filter(|one| one.last("late").is_some()).count(), 50 + passing.len() - 50);
    assert_eq!(kept.into_iter().map(|one| without(one, &["late"])).collect::<Vec<_>>(), staying);
    proxy.finish();
}
