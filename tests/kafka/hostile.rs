//! Bad requests: the same bytes to a cluster itself and through Fishplate. What Kafka answers, Fishplate answers; where
//! Kafka closes the connection, so does Fishplate. What differs is listed here with its reason.

use crate::harness::cluster::Cluster;
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::raw::{Raw, batch, batch_in_sequence, encoded, fetch, framed, produce, request, text, topic};
use crate::world::{World, shared};
use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Request};
use libtest_mimic::Trial;
use std::fmt::Debug;

pub fn trials() -> Vec<Trial> {
    vec![
        shared("hostile: bad requests are answered as Kafka answers them", as_kafka_answers),
        shared("hostile: who reads slowly delays nobody else", slow_readers),
    ]
}

/// A bad request.
struct Case {
    what: String,
    bytes: Vec<u8>,
    /// What an answer says, in words.
    read: Box<dyn Fn(&Bytes) -> String>,
}

/// What came back.
#[derive(PartialEq, Eq)]
enum Heard {
    Closed,
    Answer(String),
}

impl Debug for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Answer(answer) => answer,
        })
    }
}

/// A request that kafka-protocol can write.
fn case<R: Request<Response: Debug>>(what: &str, version: i16, asked: &R) -> Case {
    raw_case::<R>(what, version, &encoded(asked, version))
}

/// One that it cannot write, or only in another version.
fn raw_case<R: Request<Response: Debug>>(what: &str, version: i16, body: &[u8]) -> Case {
    let api = ApiKey::try_from(R::KEY).unwrap();
    let read = move |frame: &Bytes| {
        let mut body = frame.slice(4 + usize::from(api.response_header_version(version) >= 1)..);
        R::Response::decode(&mut body, version).map_or_else(|e| format!("no answer: {e}"), |answer| codes(&answer))
    };
    Case { what: format!("{api:?} {version}: {what}"), bytes: request(api, version, body), read: Box::new(read) }
}

/// Frames that are no requests: an answer would be its length.
fn no_request(what: &str, bytes: Vec<u8>) -> Case {
    Case { what: what.to_owned(), bytes, read: Box::new(|frame| format!("{} bytes", frame.len())) }
}

/// The error codes of an answer in their order, and what is said of them.
fn codes(answer: &impl Debug) -> String {
    const WORDS: [&str; 4] = ["error_code: ", "error_message: ", "batch_index: ", "batch_index_error_message: "];
    let shown = format!("{answer:?}");
    let mut found: Vec<(usize, &str)> = Vec::new();
    for word in WORDS {
        for (at, _) in shown.match_indices(word) {
            // A longer name ends like this one.
            let value = &shown[at + word.len()..];
            let end = if value.starts_with("Some(") {
                value.find("\")").map(|end| end + 2)
            } else {
                value.find([',', ' ', '}'])
            };
            if !shown[..at].ends_with('_') {
                found.push((at, &value[..end.unwrap_or(value.len())]));
            }
        }
    }
    found.sort_unstable();
    found.iter().map(|(_, value)| *value).collect::<Vec<_>>().join(" ")
}

/// A message set of magic 0 or 1, of one message: kafka-protocol writes none.
fn old_records(magic: u8) -> Bytes {
    let timestamp = if magic == 0 { Vec::new() } else { 1_700_000_000_000_i64.to_be_bytes().to_vec() };
    let message = [&[magic, 0][..], &timestamp, &[0xff; 4], &[0, 0, 0, 3], b"old"].concat();
    let mut checksum = flate2::Crc::new();
    checksum.update(&message);
    let message = [&checksum.sum().to_be_bytes()[..], &message].concat();
    Bytes::from([&[0; 8][..], &framed(&message)].concat())
}

/// A good batch with bytes changed, and its checksum made right again where that is wanted.
fn edited(at: usize, with: &[u8], checksum: bool) -> Bytes {
    const CHECKSUM: usize = 17;
    const ATTRIBUTES: usize = 21;
    let mut bytes = batch(&["a value"]).to_vec();
    bytes[at..at + with.len()].copy_from_slice(with);
    if checksum {
        let right = crc32c::crc32c(&bytes[ATTRIBUTES..]);
        bytes[CHECKSUM..ATTRIBUTES].copy_from_slice(&right.to_be_bytes());
    }
    Bytes::from(bytes)
}

fn records(name: &str) -> Vec<Case> {
    let good = batch(&["a value"]);
    let sent = |what: &str, records: Bytes| case(what, 9, &produce(&[(name, &records)]));
    let last = good.len() - 1;
    let mut cases = vec![
        sent("a wrong checksum", edited(last - 2, b"X", false)),
        sent("a message set of version 1", old_records(1)),
        sent("a message set of version 0", old_records(0)),
        sent("no records", Bytes::new()),
        sent("noise", Bytes::from_static(&[0x5a; 100])),
        sent("a batch that is cut", good.slice(..last - 4)),
        sent("half a head", good.slice(..30)),
        sent("two batches", Bytes::from([&good[..], &good].concat())),
        sent("a batch and noise", Bytes::from([&good[..], &[7; 20]].concat())),
        sent("a batch that is longer than it is", edited(8, &1_000_i32.to_be_bytes(), false)),
        sent("a batch of a negative length", edited(8, &(-5_i32).to_be_bytes(), false)),
        sent("a batch of magic 3", edited(16, &[3], false)),
        sent("a batch of magic -1", edited(16, &[0xff], false)),
        sent("records that are fewer than is said", edited(57, &100_i32.to_be_bytes(), true)),
        sent("a negative number of records", edited(57, &(-3_i32).to_be_bytes(), true)),
        sent("a last offset that is wrong", edited(23, &7_i32.to_be_bytes(), true)),
        sent("gzip that is none", edited(21, &[0, 1], true)),
        sent("zstd that is none", edited(21, &[0, 4], true)),
        sent("a codec of nobody", edited(21, &[0, 7], true)),
        sent("a control batch", edited(21, &[0, 0x20], true)),
        sent("a batch of a transaction that is none", edited(21, &[0, 0x10], true)),
        sent("a producer's second batch first, of a wrong epoch", {
            let mut bytes = batch_in_sequence(1 << 60, 5, "x").to_vec();
            bytes[51..53].copy_from_slice(&(-1_i16).to_be_bytes());
            let right = crc32c::crc32c(&bytes[21..]);
            bytes[17..21].copy_from_slice(&right.to_be_bytes());
            Bytes::from(bytes)
        }),
    ];
    // Null for records is not among them: Kafka never answers that.
    cases.extend(
        [3, 7, 11].map(|version| case("a message set of version 1", version, &produce(&[(name, &old_records(1))]))),
    );
    cases
}

fn produces(name: &str) -> Vec<Case> {
    let good = batch(&["a value"]);
    let asked = || produce(&[(name, &good)]);
    let of_partition = |index| {
        let mut asked = asked();
        asked.topic_data[0].partition_data[0].index = index;
        asked
    };
    let twice = {
        let mut asked = asked();
        let again = asked.topic_data[0].partition_data[0].clone();
        asked.topic_data[0].partition_data.push(again);
        asked
    };
    vec![
        case("acks 2", 9, &asked().with_acks(2)),
        case("acks -7", 9, &asked().with_acks(-7)),
        // With acks=all, replicas and this time would race, on bare Kafka as well.
        case("a negative time-out", 9, &asked().with_acks(1).with_timeout_ms(-1)),
        case("partition -1", 9, &of_partition(-1)),
        case("partition 99", 9, &of_partition(99)),
        case("partition 2^31-1", 9, &of_partition(i32::MAX)),
        case("a topic of no name", 9, &produce(&[("", &good)])),
        case("a topic's name that is none", 9, &produce(&[("a-/\u{1}?", &good)])),
        case("a topic's name of 300 letters", 9, &produce(&[(&"a".repeat(300), &good)])),
        case("a partition twice", 9, &twice),
        case("a topic's id of nobody", 13, &asked()),
        raw_case::<ProduceRequest>("version 2", 2, &[0, 1, 0, 0, 0, 9, 0, 0, 0, 0]),
        raw_case::<ProduceRequest>("version 99", 99, &[0; 20]),
    ]
}

fn reads(name: &str) -> Vec<Case> {
    let fetched = |change: fn(&mut FetchRequest)| {
        let mut asked = fetch(&[name], 0);
        change(&mut asked);
        asked
    };
    let offsets = |partition: i32, timestamp: i64| {
        let asked = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(timestamp);
        let asked = ListOffsetsTopic::default().with_name(topic(name)).with_partitions(vec![asked]);
        ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![asked])
    };
    vec![
        case("a negative wait", 12, &fetched(|asked| asked.max_wait_ms = -1)),
        case("negative bytes", 12, &fetched(|asked| (asked.min_bytes, asked.max_bytes) = (-1, -1))),
        case("no bytes", 12, &fetched(|asked| asked.max_bytes = 0)),
        case("a negative offset", 12, &fetched(|asked| asked.topics[0].partitions[0].fetch_offset = -5)),
        case("an offset beyond", 12, &fetched(|asked| asked.topics[0].partitions[0].fetch_offset = i64::MAX)),
        case("partition 99", 12, &fetched(|asked| asked.topics[0].partitions[0].partition = 99)),
        case("an epoch to come", 12, &fetched(|asked| asked.topics[0].partitions[0].current_leader_epoch = 1_000)),
        case("a fetch session of nobody", 12, &fetched(|asked| (asked.session_id, asked.session_epoch) = (77, 5))),
        case("a topic's id of nobody", 13, &fetched(|_| {})),
        case("isolation 9", 12, &fetched(|asked| asked.isolation_level = 9)),
        case("a timestamp of nobody", 7, &offsets(0, -99)),
        case("partition 99", 7, &offsets(99, -1)),
    ]
}

fn groups(name: &str) -> Vec<Case> {
    let group = |group: &str| GroupId(text(group));
    let commit = |of: &str, member: &str, generation| {
        let asked = OffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(5);
        let asked = OffsetCommitRequestTopic::default().with_name(topic(name)).with_partitions(vec![asked]);
        OffsetCommitRequest::default()
            .with_group_id(group(of))
            .with_member_id(text(member))
            .with_generation_id_or_member_epoch(generation)
            .with_topics(vec![asked])
    };
    let join = |of: &str, session| {
        JoinGroupRequest::default()
            .with_group_id(group(of))
            .with_session_timeout_ms(session)
            .with_rebalance_timeout_ms(1_000)
            .with_protocol_type(text("consumer"))
    };
    // Homed with the topic, so that the same coordinator answers.
    let own = format!("g{name}");
    vec![
        case("a member of nobody", 8, &commit(&own, "somebody", 3)),
        case("a session of a millisecond", 6, &join(&own, 1)),
        case("a negative session", 6, &join(&own, -1)),
        case("a group of no name", 6, &join("", 10_000)),
        case(
            "a member of nobody",
            4,
            &HeartbeatRequest::default().with_group_id(group(&own)).with_member_id(text("x")),
        ),
        case(
            "a member of nobody",
            4,
            &SyncGroupRequest::default().with_group_id(group(&own)).with_member_id(text("x")),
        ),
        case("a group of no name", 4, &HeartbeatRequest::default()),
        case("a group of nobody", 1, &DeleteGroupsRequest::default().with_groups_names(vec![group(&own)])),
        case("a key of an odd type", 2, &FindCoordinatorRequest::default().with_key(text(&own)).with_key_type(9)),
    ]
}

fn topics(name: &str) -> Vec<Case> {
    let create = |topic_name: &str, partitions: i32, replicas: i16| {
        let made = CreatableTopic::default().with_num_partitions(partitions).with_replication_factor(replicas);
        let made = made.with_name(topic(topic_name));
        CreateTopicsRequest::default().with_topics(vec![made]).with_timeout_ms(5_000).with_validate_only(true)
    };
    let ask = |asked: &str| {
        let asked = MetadataRequestTopic::default().with_name(Some(topic(asked)));
        MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false)
    };
    let fresh = format!("{name}-new");
    let configs = |kind: i8| {
        let asked = DescribeConfigsResource::default().with_resource_type(kind).with_resource_name(text(name));
        DescribeConfigsRequest::default().with_resources(vec![asked])
    };
    vec![
        case("no partitions", 5, &create(&fresh, 0, 1)),
        case("negative partitions", 5, &create(&fresh, -7, 1)),
        case("more replicas than brokers", 5, &create(&fresh, 1, 100)),
        case("a name that is none", 5, &create("a-/?", 1, 1)),
        case("a topic that is there", 5, &create(name, 1, 1)),
        case("a topic of nobody", 5, &DeleteTopicsRequest::default().with_topic_names(vec![topic(&fresh)])),
        case("a topic of no name", 9, &ask("")),
        case("a topic's name that is none", 9, &ask("a-/?")),
        case("a topic's name of 300 letters", 9, &ask(&"a".repeat(300))),
        case("resources of an odd kind", 2, &configs(77)),
        case(
            "a negative time-out of a transaction",
            3,
            &InitProducerIdRequest::default().with_transaction_timeout_ms(-5),
        ),
    ]
}

/// What no client library writes.
fn frames() -> Vec<Case> {
    let odd = ApiVersionsRequest::default()
        .with_client_software_name(text("a name with blanks!"))
        .with_client_software_version(text("1"));
    // An answer to a Metadata, for example, whose correlation id is taken for an API and a version.
    let answer = framed(&[&[0, 0, 0, 9][..], &encoded(&MetadataResponse::default(), 9)].concat());
    vec![
        raw_case::<ApiVersionsRequest>("a version of nobody", 0, &[]),
        Case { bytes: request(ApiKey::ApiVersions, 99, &[1, 2, 3]), ..raw_case::<ApiVersionsRequest>("99", 0, &[]) },
        Case { bytes: request(ApiKey::ApiVersions, -1, &[]), ..raw_case::<ApiVersionsRequest>("-1", 0, &[]) },
        case("a name that is none", 3, &odd),
        raw_case::<ApiVersionsRequest>("cut", 3, &[9, 9]),
        raw_case::<MetadataRequest>("version 99", 99, &[0; 9]),
        raw_case::<MetadataRequest>("a negative version", -1, &[0; 9]),
        raw_case::<MetadataRequest>("a huge count", 1, &i32::MAX.to_be_bytes()),
        raw_case::<MetadataRequest>("a count of -2", 1, &(-2_i32).to_be_bytes()),
        raw_case::<MetadataRequest>("a compact count of 2^32-1", 9, &[0xff, 0xff, 0xff, 0xff, 0xf]),
        raw_case::<MetadataRequest>("a tag of 2^31", 9, b"\x01\0\0\0\x01\x80\x80\x80\x80\x08\0"),
        raw_case::<MetadataRequest>("a tag twice", 9, b"\x01\0\0\0\x02\x09\0\x09\0"),
        raw_case::<MetadataRequest>("a tag that is longer than the rest", 9, b"\x01\0\0\0\x01\x09\x7f"),
        raw_case::<MetadataRequest>("with bytes after it", 9, b"\x01\0\0\0\0and more"),
        raw_case::<HeartbeatRequest>("text that is no UTF-8", 0, b"\0\x02\xff\xfe\0\0\0\0\0\x01x"),
        raw_case::<HeartbeatRequest>("a negative length", 0, b"\xff\xf0\0\0\0\0\0\x01x"),
        raw_case::<HeartbeatRequest>("null for a group", 0, b"\xff\xff\0\0\0\0\0\x01x"),
        raw_case::<ProduceRequest>("a huge count", 3, &[[0xff; 4], [0x7f; 4], [0x7f; 4]].concat()),
        raw_case::<FetchRequest>("nothing", 12, &[]),
        case("at a listener without", 1, &SaslHandshakeRequest::default().with_mechanism(text("PLAIN"))),
        case(
            "at a listener without",
            2,
            &SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"\0u\0p")),
        ),
        no_request("an API of nobody", framed(&[0x27, 0x0f, 0, 0, 0, 0, 0, 7, 0xff, 0xff])),
        no_request("an API below 0", framed(&[0xff, 0xff, 0, 0, 0, 0, 0, 7, 0xff, 0xff])),
        no_request("an API of brokers among themselves", framed(&[0, 4, 0, 0, 0, 0, 0, 7, 0xff, 0xff])),
        no_request("no frame", framed(&[])),
        no_request("half a head", framed(&[0, 3, 0])),
        no_request("an answer", answer),
        no_request("a negative size", vec![0xff; 8]),
        no_request("a huge size", vec![0x7f, 0xff, 0xff, 0xff, 0, 3]),
        no_request("HTTP", b"GET / HTTP/1.1\r\nHost: kafka\r\n\r\n".to_vec()),
        no_request("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03".to_vec()),
    ]
}

/// What Fishplate answers otherwise, and why that is right.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("Produce 9: a partition twice", "0 None 0 None", "each that was asked is answered"),
    ("Produce 13: a topic's id of nobody", "100 None", "our versions are the same before every cluster"),
    ("Produce 2: version 2", "closed", "so are those that are refused: only 3.9 takes it"),
    ("FindCoordinator 2: a key of an odd type", "", "an error of the API's own"),
    ("ApiVersions 3: a name that is none", "0", "whatever a client calls itself, it is served"),
    ("Metadata 1: a count of -2", "closed", "Kafka takes it for null"),
    ("Metadata 9: a tag of 2^31", "closed", "it cannot be written again"),
    ("Heartbeat 0: text that is no UTF-8", "closed", "Kafka puts other letters in its place"),
    ("SaslHandshake 1: at a listener without", "closed", "the log says what to set"),
    ("SaslAuthenticate 2: at a listener without", "closed", "the log says what to set"),
];

fn hear(to: &str, case: &Case) -> Heard {
    let mut raw = Raw::connect(to);
    raw.throw(&case.bytes);
    raw.read_frame().map_or(Heard::Closed, |frame| Heard::Answer((case.read)(&frame)))
}

fn as_kafka_answers(world: &World) {
    let proxy = world.start_proxy(&world.config());
    proxy.log().allow("it sent what Fishplate does not take");
    let differences: Vec<_> = [(&world.a, "a-hostile", 3), (&world.b, "b-hostile", 1)]
        .into_iter()
        .flat_map(|(cluster, name, replicas)| compare(cluster, &proxy, name, replicas))
        .collect();
    assert!(differences.is_empty(), "answered otherwise than by Kafka:\n{}", differences.join("\n"));
    proxy.finish();
}

/// All cases at the broker that leads the topic and coordinates its group, and through Fishplate.
fn compare(cluster: &Cluster, proxy: &Proxy, name: &str, replicas: i32) -> Vec<String> {
    Topics::of(&cluster.bootstrap()).create(name, 1, replicas);
    let leader = wait::find("a leader", wait::seconds(10), || cluster.leader(name, 0));
    let bare = format!("127.0.0.1:{}", cluster.broker(leader).port);
    let cases = [records(name), produces(name), reads(name), groups(name), topics(name), frames()];
    let coordinator = coordinator(cluster, proxy, &format!("g{name}"));
    let mut differences = Vec::new();
    for case in cases.into_iter().flatten() {
        let of_group = ["Group", "Heartbeat", "OffsetCommit"].iter().any(|word| case.what.contains(word));
        let at = if of_group { &coordinator } else { &bare };
        let (theirs, ours) = (hear(at, &case), hear(&proxy.bootstrap().servers, &case));
        let said = format!("{ours:?}");
        let known = OTHERWISE.iter().any(|(what, how, _)| *what == case.what && said.starts_with(how));
        eprintln!("{}: {}: Kafka {theirs:?}, Fishplate {ours:?}", cluster.name(), case.what);
        if theirs != ours && !known {
            differences.push(format!("{} on {}: Kafka: {theirs:?}; Fishplate: {ours:?}", case.what, cluster.name()));
        }
    }
    differences
}

/// The broker that coordinates a group, once both ways to it are open.
fn coordinator(cluster: &Cluster, proxy: &Proxy, group: &str) -> String {
    let asked = FindCoordinatorRequest::default().with_key(text(group));
    let mut eyes = Raw::connect(&format!("127.0.0.1:{}", cluster.broker(1).port));
    let found = wait::find("a coordinator", wait::seconds(30), || {
        let told = eyes.call(2, &asked);
        (told.error_code == 0).then(|| format!("{}:{}", &*told.host, told.port))
    });
    let beat = HeartbeatRequest::default().with_group_id(GroupId(text(group))).with_member_id(text("nobody"));
    for way in [found.as_str(), proxy.bootstrap().servers.as_str()] {
        wait::until("the coordinator has loaded", wait::seconds(30), || {
            ![14, 15, 16].contains(&Raw::connect(way).call(4, &beat).error_code)
        });
    }
    found
}

/// A kilobyte a second of answers of a megabyte; what others get meanwhile has the raw client's deadline of 30 s. Before a
/// Fishplate of its own, whose memory the slow ones fill.
fn slow_readers(world: &World) {
    // Given four megabytes on each cluster, and readers that have asked for them many times over and take them slowly
    let proxy = world.start_proxy(&world.config());
    let proxy = proxy.bootstrap().servers;
    let large = batch(&["x".repeat(900_000).as_str()]);
    let mut slow = Vec::new();
    for (cluster, name, replicas) in [(&world.a, "a-slow", 3), (&world.b, "b-slow", 1)] {
        Topics::of(&cluster.bootstrap()).create(name, 1, replicas);
        let mut writer = Raw::connect(&proxy);
        for _ in 0..4 {
            // Brokers hear of a new topic one after the other.
            wait::until("it is written", wait::seconds(20), || {
                writer.call(9, &produce(&[(name, &large)])).responses[0].partition_responses[0].error_code == 0
            });
        }
        for _ in 0..5 {
            let mut reader = Raw::connect(&proxy);
            (0..40).for_each(|_| reader.send(12, &fetch(&[name], 500)));
            slow.push(reader);
        }
    }
    let mut other = Raw::connect(&proxy);
    for round in 0..5 {
        // When they take a little, as long as they are let: on a slow machine this takes half a minute (L4)
        slow.retain_mut(|reader| reader.sip(1_024));
        assert!(round > 0 || !slow.is_empty(), "nobody reads slowly");
        // Then another client writes and reads on both clusters
        for name in ["a-slow", "b-slow"] {
            let told = other.call(9, &produce(&[(name, &batch(&["quick"]))]));
            assert_eq!(told.responses[0].partition_responses[0].error_code, 0);
            let told = other.call(12, &fetch(&[name], 500));
            assert_eq!(told.responses[0].partitions[0].error_code, 0);
        }
        std::thread::sleep(wait::seconds(1));
    }
}
