//! What strangers send to the port: each connection is closed with one warning that says why, and everybody else is
//! served on. Before librdkafka's mock clusters: no request of these gets that far.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, unreachable_pub)]
#![allow(dead_code, reason = "the harness has more than this needs")]

mod harness;
#[path = "kafka/raw.rs"]
mod raw;

use bytes::Bytes;
use harness::config::Config;
use harness::proxy::Proxy;
use harness::{Bootstrap, wait};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, JoinGroupRequest, MetadataRequest};
use raw::{Raw, encoded, framed, request, text};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

const PATIENCE: Duration = wait::seconds(10);

/// What is sent, and what the warning must say of it.
struct Case {
    what: &'static str,
    bytes: Vec<u8>,
    warning: &'static str,
}

fn case(what: &'static str, bytes: impl Into<Vec<u8>>, warning: &'static str) -> Case {
    Case { what, bytes: bytes.into(), warning }
}

fn cases() -> Vec<Case> {
    let fourteen = request(ApiKey::Metadata, 1, &[0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(fourteen.len(), 4 + 14);
    let protocol = JoinGroupRequestProtocol::default().with_unknown_tagged_field(9, Bytes::new());
    let swollen = JoinGroupRequest::default().with_protocols(vec![protocol; 100_000]);
    let hello = "\x16\x03\x01\x02\x00\x01\x00\x01\u{7c}\x03\x03 a client's hello";
    let too_large = "is this really Kafka's protocol?";
    vec![
        case("fourteen bytes", fourteen, "its field topics claims 2147483647 where 0 bytes are left"),
        case("a negative count", request(ApiKey::Metadata, 1, &[0xff, 0xff, 0xff, 0xfe]), "topics claims -2 where 0"),
        case("a compact one", request(ApiKey::Metadata, 9, &[0xff, 0xff, 0xff, 0xff, 0xf]), "claims 4294967294 where"),
        case(
            "a Produce",
            request(ApiKey::Produce, 3, &[[0xff; 4], [0x7f; 4], [0x7f; 4]].concat()),
            "it ends too early",
        ),
        case(
            "a tag of 2^31",
            request(ApiKey::Metadata, 9, b"\x01\0\0\0\x01\x80\x80\x80\x80\x08\0"),
            "of 2^31 or above",
        ),
        case("a long number", request(ApiKey::Metadata, 9, &[0xff; 9]), "a number of more than 32 bits"),
        case("what swells", request(ApiKey::JoinGroup, 6, &encoded(&swollen, 6)), "bytes of memory"),
        case("a short request", request(ApiKey::JoinGroup, 6, b"\x05gr"), "group_id claims 4 where 2 bytes are left"),
        case("no head", framed(&[0, 3, 0]), "it ends too early"),
        case("no frame", framed(&[]), "it ends too early"),
        case(
            "an API of nobody",
            framed(&[0x27, 0x0f, 0, 0, 0, 0, 0, 7, 0xff, 0xff]),
            "API 9999 in version 0 is not served",
        ),
        case(
            "a version of nobody",
            request(ApiKey::Metadata, 99, &[]),
            "Metadata (API 3) in version 99 is not served: versions 0 to 13 are",
        ),
        case("an old Produce", request(ApiKey::Produce, 2, &[0; 20]), "not served: versions 3 to 13 are"),
        case("an answer", framed(&[0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0]), "it ends too early"),
        case("a negative size", [0xff; 8], too_large),
        case("a large size", [0x7f, 0xff, 0xff, 0xff, 0, 3], too_large),
        case("HTTP", "GET / HTTP/1.1\r\nHost: kafka\r\n\r\n", "it looks like HTTP"),
        case("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "it looks like HTTP"),
        case("TLS", hello, "it looks like TLS, and this connection is plain text"),
        case("a load balancer", "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", "PROXY header"),
        case("noise", [0xb3, 0x5e, 0x91, 0x04, 0x77, 0xd2, 0x38, 0xee, 0x10, 0x5c, 0xa9, 0x63], too_large),
    ]
}

/// A connection from an address of its own, for of one address few warnings are written.
fn connect(to: SocketAddr, from: Ipv4Addr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddrV4::new(from, 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

/// One that has said that it is a Java client, which may ask for Metadata.
fn greet(to: SocketAddr, from: Ipv4Addr) -> TcpStream {
    let mut socket = connect(to, from);
    socket.write_all(&hello()).unwrap();
    let mut size = [0; 4];
    socket.read_exact(&mut size).unwrap();
    socket.read_exact(&mut vec![0; u32::from_be_bytes(size) as usize]).unwrap();
    socket
}

fn hello() -> Vec<u8> {
    let hello = ApiVersionsRequest::default()
        .with_client_software_name(text("apache-kafka-java"))
        .with_client_software_version(text("4.3.1"));
    request(ApiKey::ApiVersions, 3, &encoded(&hello, 3))
}

/// Sends it and tells how many bytes came back before it was closed.
fn send(to: SocketAddr, from: Ipv4Addr, bytes: &[u8], end: bool) -> usize {
    let mut socket = greet(to, from);
    // It may be closed before all is sent.
    let _ = socket.write_all(bytes);
    if end {
        socket.shutdown(Shutdown::Write).unwrap();
    }
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        Err(e) if e.kind() != ErrorKind::ConnectionReset => panic!("{from} is not closed: {e}"),
        _ => answer.len(),
    }
}

fn mock() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic("a-1", 1, 1).expect("a topic");
    cluster
}

fn bootstrap(of: &MockCluster<'static, DefaultProducerContext>) -> Bootstrap {
    Bootstrap { name: "mock".into(), servers: of.bootstrap_servers() }
}

#[test]
fn strangers_are_shown_out_and_others_served() {
    let (a, b) = (mock(), mock());
    let directory = std::env::temp_dir().join(format!("fishplate-hostile-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let proxy = Proxy::start(&Config::two_clusters(&bootstrap(&a), &bootstrap(&b)), &directory).unwrap();
    proxy.log().allow("it sent what Fishplate does not take");
    let mut other = Raw::connect(&proxy.bootstrap().servers);
    let address = proxy.bootstrap().servers.parse().unwrap();
    let mut serves = |what: &str| {
        let brokers = other.call(9, &MetadataRequest::default()).brokers.len();
        assert_eq!(brokers, 2, "another client, after {what}");
    };

    for (Case { what, bytes, warning }, last) in cases().into_iter().zip(2..) {
        let from = Ipv4Addr::new(127, 0, 0, last);
        assert_eq!(send(address, from, &bytes, false), 0, "an answer to {what}");
        let about = || proxy.log().lines_with(&format!("{from}:"));
        let lines = wait::find(&format!("a warning of {what}"), PATIENCE, || Some(about()).filter(|l| !l.is_empty()));
        assert!(lines.len() == 1 && lines[0].contains(warning), "{what}: {lines:#?}");
        serves(what);
    }
    let cut = request(ApiKey::Metadata, 9, &[1; 90]);
    assert_eq!(send(address, Ipv4Addr::new(127, 0, 1, 1), &cut[..50], true), 0);
    assert_eq!(proxy.log().lines_with("127.0.1.1:"), Vec::<String>::new(), "who hangs up is no news");
    serves("a frame that was cut");
    // A flood from one address is a line for each reason, however long it lasts.
    let flood = Ipv4Addr::new(127, 0, 2, 1);
    let floods = [framed(&[0x27, 0x0f, 0, 0, 0, 0, 0, 7, 0xff, 0xff]).repeat(5_000), vec![0xb3; 70_000]];
    for bytes in floods.iter().cycle().take(200) {
        assert_eq!(send(address, flood, bytes, false), 0, "an answer to a flood");
    }
    serves("a flood");
    assert_eq!(proxy.log().lines_with(&format!("{flood}:")).len(), 2);
    proxy.finish();
    std::fs::remove_dir_all(&directory).unwrap();
}

/// A client that takes several nodes for one sends such requests, and takes an answer for success.
#[test]
fn a_produce_without_topics_is_told_with_its_client_and_the_way_out() {
    let (a, b) = (mock(), mock());
    let directory = std::env::temp_dir().join(format!("fishplate-empty-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let proxy = Proxy::start(&Config::two_clusters(&bootstrap(&a), &bootstrap(&b)), &directory).unwrap();
    let empty = "a Produce without topics: this client takes our nodes for one and would lose data";
    proxy.log().allow(empty);
    let nothing = request(ApiKey::Produce, 9, &encoded(&raw::produce(&[]), 9));
    // Twice from one address: the second is no news
    let from = Ipv4Addr::new(127, 0, 4, 1);
    let address = proxy.bootstrap().servers.parse().unwrap();
    assert_eq!([(); 2].map(|()| send(address, from, &nothing, false)), [0, 0], "an answer");
    let told = || Some(proxy.log().lines_with(empty)).filter(|lines| !lines.is_empty());
    let told = wait::find("a warning", PATIENCE, told);
    assert_eq!(told.len(), 1, "{told:#?}");
    for part in ["apache-kafka-java 4.3.1", &format!("{from}:"), "`nodes: auto` with `hosts:`", "`view: single`"] {
        assert!(told[0].contains(part), "{part} is not in {}", told[0]);
    }
    proxy.finish();
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Sends a byte, and another, until it is closed or a time is over. Panics at an answer.
fn is_closed_while_dripping(mut socket: TcpStream, bytes: impl IntoIterator<Item = u8>) -> bool {
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let end = Instant::now() + PATIENCE;
    let mut bytes = bytes.into_iter();
    while Instant::now() < end {
        // Who was closed hears of it when it reads.
        let _ = bytes.next().map(|byte| socket.write_all(&[byte]));
        match socket.read(&mut [0; 1]) {
            Ok(0) => return true,
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return true,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            other => panic!("{other:?} instead of silence"),
        }
    }
    false
}

#[test]
fn who_never_finishes_is_shown_out_and_who_has_nothing_to_say_stays() {
    // Given little time for a first request and for the rest of one
    let (a, b) = (mock(), mock());
    let directory = std::env::temp_dir().join(format!("fishplate-slow-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let config = Config::two_clusters(&bootstrap(&a), &bootstrap(&b)).with("limits: { handshake: 1s, stalled: 1s }\n");
    let proxy = Proxy::start(&config, &directory).unwrap();
    proxy.log().allow("closing a client connection that keeps what others need");
    let mut other = Raw::connect(&proxy.bootstrap().servers);
    let address = proxy.bootstrap().servers.parse().unwrap();
    let from = |last| Ipv4Addr::new(127, 0, 3, last);
    // When strangers say nothing, or a byte and another
    let frame = framed(&[0; 4_000]);
    let (silent, slow_to_begin) = (connect(address, from(1)), connect(address, from(2)));
    let (slow, amid_the_length) = (greet(address, from(3)), greet(address, from(4)));
    let drips = [
        ("says nothing", silent, vec![]),
        ("never finishes its first request", slow_to_begin, frame.clone()),
        ("never finishes a request", slow, frame),
        ("never finishes a length", amid_the_length, vec![0, 0]),
    ];
    // Then each is closed
    std::thread::scope(|scope| {
        for (what, socket, bytes) in drips {
            scope.spawn(move || assert!(is_closed_while_dripping(socket, bytes), "who {what} is not closed"));
        }
    });
    // And there is a warning of those that kept us waiting amid a request, and none of knocks at the port
    let warnings = |last| proxy.log().lines_with(&format!("{}:", from(last)));
    for last in [3, 4] {
        let told = wait::find("a warning", PATIENCE, || Some(warnings(last)).filter(|lines| !lines.is_empty()));
        assert!(told.len() == 1 && told[0].contains("was not complete in time"), "{told:#?}");
    }
    assert_eq!([warnings(1), warnings(2)], [Vec::<String>::new(), Vec::new()]);
    // And who was silent meanwhile, after a request, is served on
    assert_eq!(other.call(9, &MetadataRequest::default()).brokers.len(), 2);
    proxy.finish();
    std::fs::remove_dir_all(&directory).unwrap();
}
