//! No address, id or name of a real broker or cluster may reach a client: neither in what it is told nor in its logs.

use super::contract::{Line, View};
use crate::harness::cluster::Cluster;
use crate::world::World;
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const BITS_OF_A_BROKER: u32 = 25;
/// The one node of `single` is above every slot's.
const SLOT_OF_SINGLE: i64 = 31;
const VIRTUAL_CLUSTER: &str = "fishplate-test";

/// Looks at the `raw` part of what a client printed.
#[track_caller]
pub fn judge(world: &World, view: View, through: &Line, bare: &Line) {
    judge_nodes(world, view, &through.raw["nodes"], Nodes::All);
    judge_nodes(world, view, &through.raw["coordinators"], Nodes::Some);
    judge_nodes(world, view, &through.raw["controller"], Nodes::Some);
    if let Some(id) = through.raw["cluster_id"].as_str() {
        assert_eq!(id, VIRTUAL_CLUSTER, "the cluster id that clients see");
    }
    for (topic, slot) in [("one", 0), ("two", 1)] {
        for leader in numbers(&through.raw["leaders"][topic]) {
            let slot = if view == View::Single { SLOT_OF_SINGLE } else { slot };
            assert_eq!(leader >> BITS_OF_A_BROKER, slot, "topic {topic} is led by node {leader}");
        }
    }
    let told = through.raw.to_string();
    let ports = ports(world);
    let found = first_of(&ports, &told);
    assert!(found.is_none(), "a client was told of the real port {}: {told}", found.unwrap_or_default());
    if let Some(id) = bare.raw["cluster_id"].as_str() {
        assert!(!told.contains(id), "a client was told of the real cluster id {id}: {told}");
    }
}

/// No real broker's port may stand in what a client logged.
#[track_caller]
pub fn judge_log(world: &World, log: &Path) {
    judge_log_from(world, log, 0);
}

/// Likewise in what came after so many bytes; how many there are now, to the end of the last whole line.
#[track_caller]
pub fn judge_log_from(world: &World, log: &Path, from: usize) -> usize {
    let said = std::fs::read_to_string(log).unwrap_or_default();
    assert!(!said.is_empty(), "{} is empty: without the client's log this trial says nothing", log.display());
    let end = said.rfind('\n').map_or(from, |at| at + 1).max(from);
    let ports = ports(world);
    // Most lines name none; looking for that costs little.
    for line in said[from..].lines().filter(|line| ports.iter().any(|port| line.contains(port.as_str()))) {
        let found = first_of(&ports, line);
        assert!(found.is_none(), "a client's log names the real port {}: {line}", found.unwrap_or_default());
    }
    end
}

enum Nodes {
    /// Every broker of both clusters is there, and nothing else.
    All,
    /// Whatever is there is one of them.
    Some,
}

/// Nodes are `{id, host, port}`, one or a list; absent where the scenario is about something else.
#[track_caller]
fn judge_nodes(world: &World, view: View, nodes: &Value, which: Nodes) {
    let list = match nodes {
        Value::Null => return,
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let all: BTreeSet<i64> = match view {
        View::Single => [SLOT_OF_SINGLE << BITS_OF_A_BROKER].into(),
        View::Brokers | View::Hosts => [&world.a, &world.b].into_iter().zip(0_i64..).flat_map(virtual_ids).collect(),
    };
    let seen: BTreeSet<i64> = list.iter().filter_map(|node| node["id"].as_i64()).collect();
    match &which {
        Nodes::All => assert_eq!(seen, all, "the nodes that clients see"),
        Nodes::Some => assert!(seen.is_subset(&all), "{seen:?} are not all among {all:?}"),
    }
    let listener = super::listener(world, view).servers;
    let mut ports = BTreeSet::new();
    for node in list {
        let address = format!("{}:{}", node["host"].as_str().unwrap_or_default(), node["port"]);
        match view {
            View::Brokers | View::Single => {
                assert_eq!(address, listener, "the address that clients are told of node {}", node["id"]);
            }
            View::Hosts => {
                assert!(
                    address.starts_with("127.0.0.1:") && address != listener,
                    "node {} is at {address}",
                    node["id"]
                );
                ports.insert(address);
            }
        }
    }
    if matches!((view, which), (View::Hosts, Nodes::All)) {
        assert_eq!(ports.len(), all.len(), "each node has an address of its own: {ports:?}");
    }
}

/// slot << 25 | broker, and brokers count from 1.
fn virtual_ids((cluster, slot): (&Cluster, i64)) -> impl Iterator<Item = i64> {
    (1_i64..).take(cluster.brokers().len()).map(move |broker| slot << BITS_OF_A_BROKER | broker)
}

fn numbers(list: &Value) -> impl Iterator<Item = i64> {
    list.as_array().into_iter().flatten().filter_map(Value::as_i64)
}

/// The ports that brokers really listen on.
fn ports(world: &World) -> Vec<String> {
    let brokers = world.a.brokers().iter().chain(world.b.brokers());
    brokers.flat_map(|broker| [broker.port, broker.link.port()]).map(|port| port.to_string()).collect()
}

/// The first of these ports that a text names as a port.
fn first_of<'p>(ports: &'p [String], text: &str) -> Option<&'p str> {
    let named = |port: &&String| {
        let pattern = format!(r#"(?::|port["=: ]+){port}(?:[^0-9]|$)"#);
        Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(text))
    };
    ports.iter().find(named).map(String::as_str)
}
