//! What a changed config file binds while Fishplate runs: who comes after it, and the log. Before librdkafka's mock clusters;
//! that nothing which flows is disturbed is tried before real ones (tests/kafka/reload.rs).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, unreachable_pub)]
#![allow(dead_code, reason = "the harness has more than this needs")]

mod harness;
#[path = "kafka/raw.rs"]
mod raw;

use harness::config::Config;
use harness::metrics::Metrics;
use harness::proxy::Proxy;
use harness::{Bootstrap, wait};
use kafka_protocol::messages::MetadataRequest;
use raw::Raw;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use std::fs;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

const WITHIN: Duration = wait::seconds(20);

type Mock = MockCluster<'static, DefaultProducerContext>;

/// Fishplate before two clusters of a broker each, with a file that changes.
struct World {
    clusters: [Mock; 2],
    directory: PathBuf,
    file: PathBuf,
    proxy: Proxy,
}

impl World {
    /// The file ends with these lines.
    fn start(name: &str, more: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("fishplate-reload-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let clusters = [0; 2].map(|_| MockCluster::new(1).expect("a mock cluster"));
        let (config, file) = (config(&clusters, more), directory.join("fishplate.yaml"));
        fs::write(&file, config.yaml()).unwrap();
        let proxy = Proxy::of_file(&file, config.views(), &directory).unwrap();
        proxy.wait_ready();
        Self { clusters, directory, file, proxy }
    }

    /// The file ends with these lines from now on, and that is in force.
    #[track_caller]
    fn becomes(&self, more: &str) {
        let applied = || self.counted("config_reloads_total", &[("result", "applied")]);
        let before = applied();
        fs::write(&self.file, config(&self.clusters, more).yaml()).unwrap();
        wait::until(&format!("`{}` is in force", more.trim()), WITHIN, || applied() > before);
    }

    fn counted(&self, family: &str, labels: &[(&str, &str)]) -> f64 {
        Metrics::of(&self.proxy.admin()).sum(&format!("fishplate_{family}"), labels).unwrap_or(0.0)
    }

    fn connect(&self) -> Raw {
        Raw::connect(&self.proxy.bootstrap().servers)
    }

    /// Whether one that comes now is closed before it says anything.
    fn turns_away(&self) -> bool {
        let mut socket = TcpStream::connect(self.proxy.bootstrap().servers).unwrap();
        socket.set_read_timeout(Some(WITHIN)).unwrap();
        match socket.read(&mut [0; 1]) {
            Ok(0) => true,
            Err(e) => e.kind() == ErrorKind::ConnectionReset,
            Ok(_) => false,
        }
    }

    fn end(self) {
        self.proxy.finish();
        fs::remove_dir_all(&self.directory).unwrap();
    }
}

fn config(clusters: &[Mock; 2], more: &str) -> Config {
    let [a, b] = clusters.each_ref().map(|one| Bootstrap { name: "mock".into(), servers: one.bootstrap_servers() });
    Config::two_clusters(&a, &b).with(more)
}

fn nodes(client: &mut Raw) -> usize {
    client.call(9, &MetadataRequest::default()).brokers.len()
}

#[test]
fn as_much_is_logged_as_the_new_file_says() {
    let world = World::start("log", "");
    let comes = || {
        let before = world.counted("sessions_opened_total", &[]);
        drop(world.connect());
        wait::until("it has come", WITHIN, || world.counted("sessions_opened_total", &[]) > before);
        wait::until("it has gone", WITHIN, || world.counted("sessions", &[]) == 0.0);
        world.proxy.log().lines_with("client gone").len()
    };
    assert_eq!(comes(), 0, "nobody asked to hear of it");
    world.becomes("log: fishplate=debug,warn\n");
    wait::until("it is told of", WITHIN, || comes() > 0);
    world.becomes("log: warn\n");
    // What was logged until then has come when what is logged next has.
    let quiet = || {
        let before = comes();
        comes() == before && comes() == before
    };
    wait::until("it is told of no more", WITHIN, quiet);
    world.end();
}

#[test]
fn a_new_limit_of_connections_binds_who_comes_after_it() {
    let world = World::start("crowd", "limits: { sessions_per_address: 2 }\n");
    world.proxy.log().allow("closing a client connection at once");
    let (mut one, mut two) = (world.connect(), world.connect());
    assert!(world.turns_away());
    // When there may be more, then one more comes
    world.becomes("limits: { sessions_per_address: 3 }\n");
    let mut three = world.connect();
    // And when there may be fewer, nobody goes, and nobody comes
    world.becomes("limits: { sessions_per_address: 1 }\n");
    assert!(world.turns_away());
    assert_eq!([&mut one, &mut two, &mut three].map(nodes), [2; 3]);
    world.end();
}

#[test]
fn a_new_entry_of_clients_binds_who_comes_after_it() {
    let world = World::start("clients", "");
    let mut before = world.connect();
    assert_eq!(nodes(&mut before), 2, "one of the list sees a node for each broker");
    world.becomes("clients: [{ name: apache-kafka-java, view: single }]\n");
    let mut then = world.connect();
    assert_eq!((nodes(&mut before), nodes(&mut then)), (2, 1), "who is here keeps what it began with");
    world.becomes("clients: [{ name: apache-kafka-java, from: '9.0', view: single }]\n");
    assert_eq!(nodes(&mut world.connect()), 2, "this one is older");
    world.end();
}
