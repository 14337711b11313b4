//! What Fishplate counts after real traffic is what clients did.

use crate::harness::metrics::Metrics;
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::world::{World, shared};
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::time::Duration;

pub fn trials() -> Vec<Trial> {
    vec![shared("metrics: what clients did is counted, and what is over is not", what_clients_did)]
}

/// A topic, its group, and what they are counted under.
struct Flow {
    topic: &'static str,
    group: &'static str,
    pipeline: &'static str,
    cluster: &'static str,
}

const FLOWS: [Flow; 2] = [
    Flow { topic: "a-metrics", group: "ga-metrics", pipeline: "left", cluster: "a" },
    Flow { topic: "b-metrics", group: "gb-metrics", pipeline: "right", cluster: "b" },
];
/// Not zstd: librdkafka has it only where its library is. Java and franz-go write and read it through the Fishplate that
/// trials share, which must not have copied a record byte either (`World::judge_shared_proxy`).
const CODECS: [&str; 4] = ["none", "gzip", "snappy", "lz4"];
/// Of each codec and topic.
const RECORDS: usize = 20;
const VALUE: usize = 2_000;

fn what_clients_did(world: &World) {
    // Given a topic on each cluster and a Fishplate that nobody has used
    Topics::of(&world.a.bootstrap()).create(FLOWS[0].topic, 2, 3);
    Topics::of(&world.b.bootstrap()).create(FLOWS[1].topic, 2, 1);
    let proxy = world.start_proxy(&world.config());
    let fresh = Metrics::of(&proxy.admin());
    assert_eq!(fresh.sum("fishplate_requests_total", &[]), None, "{}", fresh.family("fishplate_requests_total"));
    assert_eq!(fresh.sum("fishplate_cluster_up", &[]), Some(2.0));
    // When records in every codec are produced, read back by groups, and something is asked that is not there
    for codec in CODECS {
        FLOWS.iter().for_each(|flow| produce(&proxy.bootstrap(), flow.topic, codec));
    }
    for flow in &FLOWS {
        consume(&proxy.bootstrap(), flow);
        ask_for_what_is_not_there(&proxy.bootstrap(), flow);
    }
    // Then requests are counted where they belong, with at least the bytes of the values that were not compressed
    let shown = Metrics::of(&proxy.admin());
    for flow in &FLOWS {
        were_counted(&shown, flow);
    }
    let payload = (FLOWS.len() * RECORDS * VALUE) as f64;
    let bytes = |family, api| shown.sum(family, &[("api", api)]).unwrap_or_default();
    let (written, read) =
        (bytes("fishplate_request_bytes_total", "Produce"), bytes("fishplate_response_bytes_total", "Fetch"));
    assert!(written > payload && read > payload, "{written} bytes in and {read} out, {payload} of values");
    // And nothing is an error that is none, and no record byte was copied
    assert_eq!(
        shown.sum("fishplate_errors_total", &[]).unwrap_or_default(),
        0.0,
        "{}",
        shown.family("fishplate_errors_total")
    );
    assert_eq!(shown.sum("fishplate_record_bytes_copied_total", &[]), Some(0.0));
    // And when the clients are gone, so are their sessions, links and requests
    for gauge in ["fishplate_sessions", "fishplate_client_sessions", "fishplate_requests_in_flight"] {
        falls_to_0(&proxy, gauge, &[]);
    }
    falls_to_0(&proxy, "fishplate_links", &[("use", "session")]);
    let left = Metrics::of(&proxy.admin());
    assert_eq!(
        left.sum("fishplate_errors_total", &[]).unwrap_or_default(),
        0.0,
        "{}",
        left.family("fishplate_errors_total")
    );
    let count = |family| left.sum(family, &[]).unwrap_or_default();
    assert_eq!(count("fishplate_sessions_opened_total"), count("fishplate_sessions_closed_total"));
    proxy.finish();
}

fn were_counted(shown: &Metrics, flow: &Flow) {
    let labels = |api| [("api", api), ("pipeline", flow.pipeline), ("cluster", flow.cluster)];
    let of = |family: &str, api| shown.sum(family, &labels(api)).unwrap_or_default();
    for api in ["Produce", "Fetch", "ListOffsets", "JoinGroup", "SyncGroup", "Heartbeat", "OffsetFetch", "LeaveGroup"] {
        let requests = of("fishplate_requests_total", api);
        assert!(requests >= 1.0, "no {api} of {}\n{}", flow.pipeline, shown.family("fishplate_requests_total"));
        assert_eq!(of("fishplate_request_duration_seconds_count", api), requests, "{api}");
        assert!(of("fishplate_request_bytes_total", api) > 0.0, "{api}");
    }
    assert!(of("fishplate_requests_total", "Produce") >= CODECS.len() as f64);
    let lost = [("api", "Metadata"), ("pipeline", flow.pipeline), ("code", "UNKNOWN_TOPIC_OR_PARTITION")];
    let codes = shown.family("fishplate_error_codes_total");
    assert!(shown.sum("fishplate_error_codes_total", &lost) >= Some(1.0), "{codes}");
    let took = shown.sum("fishplate_upstream_duration_seconds_count", &[("cluster", flow.cluster)]);
    assert!(took >= Some(of("fishplate_requests_total", "Produce")), "{took:?}");
    assert!(shown.sum("fishplate_metadata_age_seconds", &[("cluster", flow.cluster)]).is_some_and(|age| age < 60.0));
}

#[track_caller]
fn falls_to_0(proxy: &Proxy, gauge: &str, labels: &[(&str, &str)]) {
    wait::until(&format!("{gauge} {labels:?} is 0"), wait::seconds(30), || {
        Metrics::of(&proxy.admin()).sum(gauge, labels) == Some(0.0)
    });
}

fn client(bootstrap: &Bootstrap) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &bootstrap.servers).set("log_level", "0");
    config
}

#[track_caller]
fn produce(bootstrap: &Bootstrap, topic: &str, codec: &str) {
    let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> =
        client(bootstrap).set("compression.codec", codec).set("linger.ms", "50").create().expect("a producer");
    let value = "x".repeat(VALUE);
    for number in 0..RECORDS {
        let partition = i32::try_from(number % 2).expect("0 or 1");
        let record = BaseRecord::<str, str>::to(topic).partition(partition).payload(&value);
        producer.send(record).unwrap_or_else(|(error, _)| panic!("{error}"));
    }
    producer.flush(wait::seconds(30)).expect("all are written");
}

/// As a member of the flow's group, until all was read and it has said that it is alive.
#[track_caller]
fn consume(bootstrap: &Bootstrap, flow: &Flow) {
    let consumer: BaseConsumer = client(bootstrap)
        .set("group.id", flow.group)
        .set("auto.offset.reset", "earliest")
        .set("heartbeat.interval.ms", "500")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[flow.topic]).expect("a subscription");
    let (mut read, all) = (0, CODECS.len() * RECORDS);
    let mut polls_after = 0;
    wait::until(&format!("{all} records of {} are read", flow.topic), wait::seconds(60), || {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            assert_eq!(message.payload_len(), VALUE);
            read += 1;
        }
        polls_after += usize::from(read >= all);
        polls_after > 20
    });
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(flow.topic, 0, Offset::Offset(1)).expect("an offset");
    consumer.commit(&list, rdkafka::consumer::CommitMode::Sync).expect("a commit");
    consumer.unsubscribe();
}

fn ask_for_what_is_not_there(bootstrap: &Bootstrap, flow: &Flow) {
    let eyes: BaseConsumer = client(bootstrap).create().expect("a consumer");
    let seen = eyes.fetch_metadata(Some(&format!("{}-nope", flow.topic)), wait::seconds(10)).expect("an answer");
    assert!(seen.topics()[0].error().is_some());
}
