//! Memory is bounded by construction [L4], and connections that come and go leave nothing behind. The built program
//! before brokers of this test's own, which answer as fast as they can and hold nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, unreachable_pub)]
#![allow(dead_code, reason = "the harness has more than this needs")]

#[path = "bounds/broker.rs"]
mod broker;
mod harness;
#[path = "kafka/raw.rs"]
mod raw;

use broker::Broker;
use harness::config::{Config, View};
use harness::metrics::Metrics;
use harness::proxy::Proxy;
use harness::wait;
use kafka_protocol::messages::{ApiKey, HeartbeatRequest, HeartbeatResponse};
use raw::{Raw, fetch, produce, text};
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// `requests` and `responses` of 6 MiB, and 4 MiB for what is parked.
const BUDGET_KIB: usize = 16 << 10;
/// The pools' defaults in sum.
const POOLS_KIB: usize = 160 << 10;
/// What the process takes beside its pools, as ARCHITECTURE.md has it: at rest, without the pages of its own file, and for each client connection.
const AT_REST_KIB: usize = 8 << 10;
const A_SESSION_KIB: usize = 32;

/// What is measured here is the memory and the descriptors of a process: one at a time.
static TURN: Mutex<()> = Mutex::new(());

struct World {
    proxy: Proxy,
    _brokers: [Broker; 2],
    directory: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    fn start(name: &str, answer: usize, more: &str) -> Self {
        Self::showing(View::Auto, name, answer, more)
    }

    /// Topics `a-1` and `b-1` on a broker each, whose Fetch answers are of this size.
    fn showing(view: View, name: &str, answer: usize, more: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = std::env::temp_dir().join(format!("fishplate-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let brokers = ["a-1", "b-1"].map(|topic| Broker::start(topic, answer));
        let config = Config::two_clusters(&brokers[0].bootstrap(), &brokers[1].bootstrap()).with(more);
        let config = config.showing(view, None);
        let proxy = Proxy::start(&config, &directory).unwrap();
        let told = || Metrics::of(&proxy.admin()).sum("fishplate_memory_drawn_bytes", &[]);
        wait::until("memory is told of", wait::seconds(10), || told().is_some());
        Self { proxy, _brokers: brokers, directory, _turn: turn }
    }

    /// What is drawn of a pool, and what passes beside it.
    fn drawn(&self, pool: &str) -> f64 {
        Metrics::of(&self.proxy.admin()).sum("fishplate_memory_drawn_bytes", &[("pool", pool)]).unwrap()
    }

    fn connect(&self) -> Raw {
        Raw::connect(&self.proxy.bootstrap().servers)
    }

    fn rss_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.proxy.pid())).unwrap();
        let kib = |name: &str| -> usize {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        // Pages of the program's own file come and go as the system likes, and grow with every library.
        kib("VmRSS:") - kib("RssFile:")
    }

    fn most_rss_kib_until(&self, done: impl Fn() -> bool) -> usize {
        let mut most = 0;
        while !done() {
            most = most.max(self.rss_kib());
            thread::sleep(Duration::from_millis(10));
        }
        most
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.proxy.pid())).unwrap().count()
    }

    fn end(self) {
        self.proxy.finish();
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

fn is_full() -> bool {
    std::env::var("FISHPLATE_TEST_LEVEL").is_ok_and(|level| level == "full")
}

/// [L4]
#[test]
fn l4_sixteen_mebibytes_serve_200_producers_and_200_consumers_that_do_not_read() {
    let time = if is_full() { Duration::from_secs(60) } else { Duration::from_secs(8) };
    if !is_full() {
        eprintln!("SHORT: {time:?} instead of a minute; FISHPLATE_TEST_LEVEL=full is the whole");
    }
    let world = World::start("l4", 500 << 10, "memory: { requests: 6MiB, responses: 6MiB, parked: 4MiB }\n");
    world.proxy.log().allow("closing a client connection that keeps what others need");
    let (stop, written, most) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let mut beats = Vec::new();
    thread::scope(|scope| {
        // Given consumers that ask and do not read
        let mut stalled: Vec<_> = (0..200).map(|_| world.connect()).collect();
        for consumer in &mut stalled {
            (0..4).for_each(|_| consumer.send(12, &fetch(&["a-1"], 100)));
        }
        // And producers of large batches, five in flight
        let batch = raw::batch(&[&"x".repeat(400 << 10)]);
        for _ in 0..200 {
            let (mut producer, batch, stop, written) = (world.connect(), batch.clone(), &stop, &written);
            scope.spawn(move || {
                let request = produce(&[("a-1", &batch)]);
                (0..5).for_each(|_| producer.send(9, &request));
                while !stop.load(Ordering::Relaxed) {
                    let answer = producer.receive::<kafka_protocol::messages::ProduceRequest>(9);
                    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
                    written.fetch_add(1, Ordering::Relaxed);
                    producer.send(9, &request);
                }
            });
        }
        // When members of groups send heartbeats meanwhile
        let mut member = world.connect();
        let heartbeat = HeartbeatRequest::default().with_group_id(text("ga-1").into()).with_member_id(text("m"));
        let end = Instant::now() + time;
        while Instant::now() < end {
            let began = Instant::now();
            let answer: HeartbeatResponse = member.call(4, &heartbeat);
            assert_eq!(answer.error_code, 0);
            beats.push(began.elapsed());
            most.fetch_max(world.rss_kib(), Ordering::Relaxed);
            thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
        // Then nobody waits for ever: the producers end, each with an answer.
    });
    let (written, most) = (written.into_inner(), most.into_inner());
    beats.sort_unstable();
    let (slowest, most_of_them) = (beats[beats.len() - 1], beats[(beats.len() - 1) * 9 / 10]);
    eprintln!("{written} batches, slowest heartbeat {slowest:?}, nine in ten {most_of_them:?}, RSS {most} KiB");
    assert!(written > 400, "{written} batches");
    // What waits for memory waits for who does not read: half a minute. A busy machine keeps one waiting now and then.
    assert!(most_of_them < Duration::from_secs(1), "one heartbeat in ten took {most_of_them:?}");
    assert!(slowest < Duration::from_secs(10), "a heartbeat took {slowest:?}");
    let constant = AT_REST_KIB + 401 * A_SESSION_KIB;
    assert!(most < BUDGET_KIB + constant, "{most} KiB of {BUDGET_KIB} and {constant}");
    wait::until("all that was drawn has come back", wait::seconds(20), || {
        world.drawn("requests") + world.drawn("responses") == 0.0
    });
    world.end();
}

/// [L4]
#[test]
fn l4_an_answer_of_fifty_megabytes_passes_a_budget_of_sixteen() {
    const SIZE: usize = 50 << 20;
    let world = World::start("l4-large", SIZE, "memory: { requests: 6MiB, responses: 6MiB, parked: 4MiB }\n");
    let mut consumers: Vec<_> = (0..3).map(|_| world.connect()).collect();
    for consumer in &mut consumers {
        consumer.send(12, &fetch(&["a-1"], 100));
    }
    // Each takes its own: which comes first is not said.
    let most = thread::scope(|scope| {
        let take = |mut consumer: Raw| {
            let answer = consumer.receive::<kafka_protocol::messages::FetchRequest>(12);
            assert_eq!(answer.responses[0].partitions[0].records.as_ref().unwrap().len(), SIZE);
        };
        let consumers: Vec<_> = consumers.into_iter().map(|consumer| scope.spawn(move || take(consumer))).collect();
        world.most_rss_kib_until(|| consumers.iter().all(thread::ScopedJoinHandle::is_finished))
    });
    // Then one of them at a time was there, whole
    eprintln!("RSS {most} KiB");
    let constant = AT_REST_KIB + 3 * A_SESSION_KIB + (SIZE >> 10) + 1;
    assert!(most > SIZE >> 10, "{most} KiB: nobody looked while an answer passed");
    assert!(most < BUDGET_KIB + constant, "{most} KiB of {BUDGET_KIB} and {constant}");
    world.end();
}

/// (L4)
#[test]
fn l4_requests_of_twenty_megabytes_pass_a_budget_of_sixteen_one_at_a_time() {
    const SIZE: usize = 20 << 20;
    let pools = "memory: { requests: 6MiB, responses: 6MiB, parked: 4MiB }\nlimits: { stalled: 3s }\n";
    let world = World::start("l4-large-requests", 100, pools);
    world.proxy.log().allow("closing a client connection that keeps what others need");
    // Given a client that begins a large request and goes on with it in drops
    let mut slow = world.connect();
    slow.throw(&u32::try_from(SIZE).unwrap().to_be_bytes());
    slow.throw(&[0, 0, 0, 9]);
    wait::until("it has the way", wait::seconds(10), || world.drawn("requests") >= 2e7);
    let (dropping, large) = (AtomicBool::new(true), raw::batch(&[&"x".repeat(SIZE)]));
    thread::scope(|scope| {
        scope.spawn(|| {
            while dropping.load(Ordering::Relaxed) {
                slow.throw(&[0]);
                thread::sleep(Duration::from_millis(20));
            }
        });
        // Then requests that fit into a share do not wait for it
        let batch = raw::batch(&[&"x".repeat(400 << 10)]);
        let answer = world.connect().call(9, &produce(&[("a-1", &batch)]));
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
        assert!(world.drawn("requests") >= 2e7, "the slow one is there");
        // And large ones do not wait for ever, however many there are
        let producers: Vec<_> = (0..4)
            .map(|_| {
                let (mut producer, large) = (world.connect(), &large);
                scope.spawn(move || {
                    for _ in 0..2 {
                        let answer = producer.call(9, &produce(&[("a-1", large)]));
                        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
                    }
                })
            })
            .collect();
        let most = world.most_rss_kib_until(|| producers.iter().all(thread::ScopedJoinHandle::is_finished));
        dropping.store(false, Ordering::Relaxed);
        eprintln!("RSS {most} KiB");
        let constant = AT_REST_KIB + 6 * A_SESSION_KIB + (SIZE >> 10) + 1;
        assert!(most < BUDGET_KIB + constant, "{most} KiB of {BUDGET_KIB} and {constant}");
    });
    assert!(slow.read_frame().is_none(), "it is closed");
    wait::until("all has come back", wait::seconds(10), || world.drawn("requests") == 0.0);
    // What is no records takes many times its size once it is decoded.
    world.proxy.log().allow("it sent what Fishplate does not take");
    let mut strange = world.connect();
    strange.send(4, &HeartbeatRequest::default().with_group_id(text(&"g".repeat(30 << 10)).into()));
    assert!(strange.read_frame().is_some(), "small ones are answered");
    strange.throw(&raw::request(ApiKey::ListGroups, 0, &vec![0; 1 << 20]));
    assert!(strange.read_frame().is_none(), "and this closes the connection");
    world.end();
}

/// (L4)
#[test]
fn l4_ten_thousand_connections_stay_within_the_written_constant() {
    // Each takes two descriptors, here and in Fishplate.
    l4_crowd(View::Auto, &["a-1"], if is_full() { 9_900 } else { 500 });
}

/// (L4)
#[test]
fn l4_as_many_connections_as_there_are_descriptors_for_stay_within_it_in_single() {
    // Each takes four, here and in Fishplate: its own, a link for what it produces and two for its split Fetches.
    l4_crowd(View::Single, &["a-1", "b-1"], if is_full() { 4_900 } else { 500 });
}

/// So many clients produce to `a-1` and fetch these.
fn l4_crowd(view: View, topics: &[&str], many: usize) {
    let time = Duration::from_secs(if is_full() { 30 } else { 2 });
    if !is_full() {
        eprintln!("SHORT: {many} connections for {time:?}; FISHPLATE_TEST_LEVEL=full is the whole");
    }
    let world = World::showing(view, &format!("l4-many-{}", view.word()), 16 << 10, "");
    let at_first = world.rss_kib();
    let mut clients: Vec<_> = (0..many).map(|_| world.connect()).collect();
    let idle = world.rss_kib();
    // When all of them produce and consume, a sixteenth of them at a time
    let batch = raw::batch(&[&"x".repeat(16 << 10)]);
    // A split Fetch comes back when something is there: within this time there is.
    let (produce, fetch) = (produce(&[("a-1", &batch)]), fetch(topics, 20_000));
    let (stop, rounds, most) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for part in clients.chunks_mut(many / 4) {
            let (produce, fetch, stop, rounds) = (&produce, &fetch, &stop, &rounds);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) || rounds.load(Ordering::Relaxed) < 4 {
                    for few in part.chunks_mut(many / 64) {
                        few.iter_mut().for_each(|client| {
                            client.send(9, produce);
                            client.send(12, fetch);
                        });
                        few.iter_mut().for_each(produced_and_fetched);
                    }
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let end = Instant::now() + time;
        while Instant::now() < end || rounds.load(Ordering::Relaxed) < 4 {
            most.fetch_max(world.rss_kib(), Ordering::Relaxed);
            thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (most, after, rounds) = (most.into_inner(), world.rss_kib(), rounds.into_inner());
    // Then
    eprintln!(
        "{many} connections in {}, {} descriptors, {rounds} rounds of a quarter: RSS {at_first} KiB at first, {idle} KiB idle, \
         {most} KiB at most, {after} KiB after",
        view.word(),
        world.descriptors()
    );
    let constant = AT_REST_KIB + many * A_SESSION_KIB;
    assert!(idle < constant, "{idle} KiB of {constant}");
    assert!(most < POOLS_KIB + constant, "{most} KiB of {POOLS_KIB} and {constant}");
    drop(clients);
    world.end();
}

fn produced_and_fetched(client: &mut Raw) {
    let written = client.receive::<kafka_protocol::messages::ProduceRequest>(9);
    assert_eq!(written.responses[0].partition_responses[0].error_code, 0);
    // Of several brokers the first that answers does.
    let found = client.receive::<kafka_protocol::messages::FetchRequest>(12);
    let records = found.responses.iter().filter_map(|topic| topic.partitions[0].records.as_ref());
    assert_eq!(records.map(bytes::Bytes::len).max(), Some(16 << 10));
}

#[test]
fn connections_that_come_and_go_leave_nothing_behind() {
    let many = if is_full() { 100_000 } else { 3_000 };
    if !is_full() {
        eprintln!("SHORT: {many} connections instead of 100000; FISHPLATE_TEST_LEVEL=full is the whole");
    }
    let world = World::start("come-and-go", 100, "limits: { handshake: 1s, stalled: 1s }\n");
    let address = world.proxy.bootstrap().servers;
    let come_and_go = |times: usize| {
        for at in 0..times {
            match at % 3 {
                0 => drop(TcpStream::connect(&address).unwrap()),
                1 => TcpStream::connect(&address).unwrap().write_all(&[0, 0, 1, 0, 0, 3]).unwrap(),
                _ => drop(world.connect()),
            }
        }
    };
    let settled = |descriptors: usize| {
        wait::until("the connections are closed", wait::seconds(20), || world.descriptors() <= descriptors);
    };
    let at_first = world.descriptors();
    come_and_go(1_000);
    // Watchers of files begin beside the first clients.
    settled(at_first + 8);
    let (descriptors, rss) = (world.descriptors(), world.rss_kib());
    come_and_go(many);
    settled(descriptors + 4);
    let now = world.rss_kib();
    eprintln!("RSS {rss} KiB, then {now} KiB");
    assert!(now < rss + (4 << 10), "{rss} KiB, then {now} KiB");
    // Those that say nothing, or half of it, and stay
    let half_open = TcpStream::connect(&address).unwrap();
    let mut half_sent = world.connect();
    half_sent.throw(&[0, 0, 1, 0, 0, 3]);
    world.proxy.log().allow("closing a client connection that keeps what others need");
    assert!(half_sent.read_frame().is_none(), "closed");
    settled(descriptors + 4);
    drop(half_open);
    world.end();
}

#[test]
fn there_are_no_more_connections_from_one_address_than_may_be() {
    let world = World::start("crowd", 100, "limits: { sessions_per_address: 2 }\n");
    world.proxy.log().allow("closing a client connection at once");
    let (one, _two) = (world.connect(), world.connect());
    let mut third = TcpStream::connect(world.proxy.bootstrap().servers).unwrap();
    assert!(matches!(std::io::Read::read(&mut third, &mut [0; 1]), Ok(0) | Err(_)), "it is closed");
    drop(one);
    wait::find("a place", wait::seconds(10), || {
        let mut again = TcpStream::connect(world.proxy.bootstrap().servers).unwrap();
        again.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let read = std::io::Read::read(&mut again, &mut [0; 1]);
        read.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock).then_some(())
    });
    world.end();
}
