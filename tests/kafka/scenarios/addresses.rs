//! No address, id or name of a real broker or cluster may reach a client: neither in what it is told nor in its logs.

use super::contract::Line;
use crate::harness::cluster::Cluster;
use crate::world::World;
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const BITS_OF_A_BROKER: u32 = 25;
const VIRTUAL_CLUSTER: &str = "fishplate-test";

/// Looks at the `raw` part of what a client printed, and at its debug log.
#[track_caller]
pub fn judge(world: &World, through: &Line, bare: &Line, log: &Path) {
    judge_nodes(world, &through.raw["nodes"], Nodes::All);
    judge_nodes(world, &through.raw["coordinators"], Nodes::Some);
    judge_nodes(world, &through.raw["controller"], Nodes::Some);
    if let Some(id) = through.raw["cluster_id"].as_str() {
        assert_eq!(id, VIRTUAL_CLUSTER, "the cluster id that clients see");
    }
    for (topic, slot) in [("one", 0), ("two", 1)] {
        for leader in numbers(&through.raw["leaders"][topic]) {
            assert_eq!(leader >> BITS_OF_A_BROKER, slot, "topic {topic} is led by node {leader}");
        }
    }
    let told = through.raw.to_string();
    let real_id = bare.raw["cluster_id"].as_str().map(|id| Regex::new(&regex::escape(id)).unwrap());
    for secret in ports(world).chain(real_id) {
        assert!(!secret.is_match(&told), "a client was told of {secret}: {told}");
    }
    judge_log(world, log);
}

/// No real broker's port may stand in what a client logged.
#[track_caller]
pub fn judge_log(world: &World, log: &Path) {
    let said = std::fs::read_to_string(log).unwrap_or_default();
    assert!(!said.is_empty(), "{} is empty: without the client's log this trial says nothing", log.display());
    for secret in ports(world) {
        let line = said.lines().find(|line| secret.is_match(line));
        assert!(line.is_none(), "a client's log speaks of {secret}: {}", line.unwrap_or_default());
    }
}

enum Nodes {
    /// Every broker of both clusters is there, and nothing else.
    All,
    /// Whatever is there is one of them.
    Some,
}

/// Nodes are `{id, host, port}`, one or a list; absent where the scenario is about something else.
#[track_caller]
fn judge_nodes(world: &World, nodes: &Value, which: Nodes) {
    let list = match nodes {
        Value::Null => return,
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let all: BTreeSet<i64> = [&world.a, &world.b].into_iter().zip(0_i64..).flat_map(virtual_ids).collect();
    let seen: BTreeSet<i64> = list.iter().filter_map(|node| node["id"].as_i64()).collect();
    match which {
        Nodes::All => assert_eq!(seen, all, "the nodes that clients see"),
        Nodes::Some => assert!(seen.is_subset(&all), "{seen:?} are not all among {all:?}"),
    }
    let listener = world.proxy().bootstrap().servers;
    for node in list {
        let address = format!("{}:{}", node["host"].as_str().unwrap_or_default(), node["port"]);
        assert_eq!(address, listener, "the address that clients are told of node {}", node["id"]);
    }
}

/// slot << 25 | broker, and brokers count from 1.
fn virtual_ids((cluster, slot): (&Cluster, i64)) -> impl Iterator<Item = i64> {
    (1_i64..).take(cluster.brokers().len()).map(move |broker| slot << BITS_OF_A_BROKER | broker)
}

fn numbers(list: &Value) -> impl Iterator<Item = i64> {
    list.as_array().into_iter().flatten().filter_map(Value::as_i64)
}

/// Real ports, where they stand as ports.
fn ports(world: &World) -> impl Iterator<Item = Regex> {
    let brokers = world.a.brokers().iter().chain(world.b.brokers());
    let ports = brokers.flat_map(|broker| [broker.port, broker.link.port()]);
    ports.map(|port| Regex::new(&format!(r#"(?::|port["=: ]+){port}(?:[^0-9]|$)"#)).unwrap())
}
