//! The view `hosts` by names: each node is at a name of its own, and all are at one address and port. Java's client, which can
//! be told without a DNS what names mean.

use crate::harness::Bootstrap;
use crate::harness::config::View as Shown;
use crate::scenarios::contract::{Line, Run, View};
use crate::scenarios::differences;
use crate::scenarios::programs::{java_at, play};
use crate::world::{World, full, shared};
use libtest_mimic::Trial;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::thread;

const CLIENT: &str = "java-4.3";
/// All; below the full level not the last.
const SCENARIOS: [&str; 3] = ["codecs", "cluster", "commit"];
const BITS_OF_A_BROKER: u32 = 25;

fn scenarios() -> &'static [&'static str] {
    if full() { &SCENARIOS } else { &SCENARIOS[..2] }
}

pub fn trials() -> Vec<Trial> {
    if !full() {
        eprintln!(
            "SHORT: a client plays {} at nodes of names; FISHPLATE_TEST_LEVEL=full has all of {SCENARIOS:?}",
            scenarios().join(", ")
        );
    }
    vec![shared("names: nodes at names of their own serve a client as Kafka does", named)]
}

fn named(world: &World) {
    // Given a listener whose nodes have names, and a client that knows where these lead
    let port = world.ports.take();
    let template = format!("n{{node}}.kafka.test:{port}");
    let proxy = world.start_proxy(&world.config().on_port(port).showing(Shown::Hosts, None).named(&template));
    let clusters = [(0, &world.a), (1, &world.b)];
    let nodes = clusters.into_iter().flat_map(|(slot, cluster)| {
        (1..)
            .zip(cluster.brokers())
            .map(move |(broker, _)| format!("n{}.kafka.test", slot << BITS_OF_A_BROKER | broker))
    });
    let nodes: BTreeSet<String> = nodes.collect();
    let mut lines = String::from("127.0.0.1 localhost\n");
    nodes.iter().for_each(|node| writeln!(lines, "127.0.0.1 {node}").unwrap());
    let file = world.directory.join("names.hosts");
    fs::write(&file, lines).unwrap();
    // When it plays on bare Kafka and there
    let (bare, through) = thread::scope(|scope| {
        let bare = scope.spawn(|| played(world, "bare", &world.a.bootstrap(), ["a", "a"], &file));
        let through = played(world, "named", &proxy.bootstrap(), ["a", "b"], &file);
        (bare.join().expect("it played on bare Kafka"), through)
    });
    // Then it sees the same
    for (bare, through) in bare.iter().zip(&through) {
        let saw = |line: &Line| line.result.clone().unwrap_or_else(|| panic!("{}", line.failure()));
        assert_eq!(bare.scenario, through.scenario);
        differences::judge(CLIENT, View::Hosts, &bare.scenario, &saw(bare), &saw(through));
    }
    // And it was at all these names, and at no others
    let cluster = through.iter().find(|line| line.scenario == "cluster").expect("the cluster");
    let told = cluster.raw["nodes"].as_array().expect("nodes");
    let names: BTreeSet<_> = told.iter().filter_map(|node| node["host"].as_str().map(str::to_owned)).collect();
    assert_eq!(names, nodes);
    assert!(told.iter().all(|node| node["port"] == port), "{told:?}");
    proxy.finish();
}

/// By the scenarios' names.
fn played(world: &World, way: &str, bootstrap: &Bootstrap, homes: [&str; 2], names: &Path) -> Vec<Line> {
    let file = |end: &str| world.directory.join(format!("names-{way}.{end}"));
    let run = Run {
        client: CLIENT,
        scenarios: scenarios(),
        bootstrap,
        topics: [0, 1].map(|which| format!("{}-names-{way}-{which}", homes[which])),
        groups: [0, 1].map(|which| format!("g{}-names-{way}-{which}", homes[which])),
        output: file("out"),
        log: file("log"),
        cut: None,
    };
    let mut java = java_at("4.3", &run.log).unwrap();
    java.arg(format!("-Djdk.net.hosts.file={}", names.display())).arg("Main");
    let mut lines = play(java, &run).unwrap_or_else(|error| panic!("{error:#}"));
    lines.sort_by(|one, other| one.scenario.cmp(&other.scenario));
    lines
}
