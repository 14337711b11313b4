//! What a client's program is asked, and what it answers.

use crate::harness::Bootstrap;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

/// A client, what it can play and where. The table of all of them is `clients.rs`.
#[derive(Clone, Copy)]
pub struct Client {
    /// Stands in trials' names and in the list of differences.
    pub name: &'static str,
    /// The library and its version, for people.
    pub library: &'static str,
    /// The name and version that it gives in ApiVersions; empty where it gives none.
    pub says: &'static str,
    /// Those that there are for it; the slow ones first, because several run at once.
    pub scenarios: &'static [&'static str],
    /// Those of them that it cannot play, or what of one, and why.
    pub lacks: &'static [Lack],
    /// The views it can use.
    pub views: &'static [View],
    /// What CI plays of it; the full level plays all scenarios in all its views.
    pub in_ci: InCi,
    /// Plays some of them.
    pub play: fn(&Run) -> anyhow::Result<Vec<Line>>,
}

impl Client {
    /// The scenarios it can play.
    pub fn plays(&self) -> Vec<&'static str> {
        let lacks = |scenario: &&str| self.lacks.iter().any(|lack| lack.scenarios.contains(scenario));
        self.scenarios.iter().copied().filter(|scenario| !lacks(scenario)).collect()
    }
}

/// Scenarios that a client cannot play.
#[derive(Clone, Copy)]
pub struct Lack {
    /// Which; or, as `zstd of codecs`, what it leaves out of one that it plays.
    pub scenarios: &'static [&'static str],
    /// What the library lacks, in a few words; or where else it is played.
    pub why: &'static str,
}

/// How clients see nodes (ARCHITECTURE.md, "Nodes, views and addresses").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum View {
    /// A node for each broker of each cluster, all at one address.
    Brokers,
    /// The same nodes, each at an address of its own.
    Hosts,
    /// One node.
    Single,
}

impl View {
    /// All of them, as the matrix has them from left to right.
    pub const ALL: &'static [Self] = &[Self::Brokers, Self::Hosts, Self::Single];

    /// Its word in a config.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brokers => "brokers",
            Self::Hosts => "hosts",
            Self::Single => "single",
        }
    }
}

/// What CI has time for.
#[derive(Clone, Copy)]
pub enum InCi {
    /// All it can play, in one view.
    All(View),
    /// Some, in one view.
    Some(View, &'static [&'static str]),
    /// Nothing.
    Nothing,
}

/// Some scenarios played at one place.
pub struct Run<'a> {
    /// The client's name.
    pub client: &'static str,
    /// Which.
    pub scenarios: &'a [&'static str],
    /// Where.
    pub bootstrap: &'a Bootstrap,
    /// How topics' names begin: those of the first kind, and those of the second, which may live on another cluster.
    pub topics: [String; 2],
    /// Likewise for groups.
    pub groups: [String; 2],
    /// A file for what it prints.
    pub output: PathBuf,
    /// A file for the client's own debug log.
    pub log: PathBuf,
    /// For the scenario `cut`: it makes this file, and goes on when the file is gone and every connection was cut.
    pub cut: Option<PathBuf>,
}

/// The line that a program prints for a scenario.
#[derive(Deserialize)]
pub struct Line {
    /// Which one.
    pub scenario: String,
    /// What an application saw: nothing that varies from run to run. Absent where the client failed.
    #[serde(default)]
    pub result: Option<Value>,
    /// Why the client could not play it to its end.
    #[serde(default)]
    pub failed: Option<String>,
    /// What it had seen by then.
    #[serde(default)]
    pub until_then: Value,
    /// Addresses and ids, for those tests that want just them.
    #[serde(default)]
    pub raw: Value,
}

impl Line {
    /// Why there is no result.
    pub fn failure(&self) -> String {
        let why = self.failed.as_deref().unwrap_or("it printed no result");
        format!("{} failed: {why}\nuntil then it saw {}", self.scenario, self.until_then)
    }
}

/// All connections are cut once, under a producer and a group: nothing is lost. It is played alone.
pub const CUT: &str = "cut";

/// The scenarios that every library plays, the slow ones first.
pub const ALL: &[&str] = WITH_ADMIN.split_at(1).1;

/// The same, and what an operator does with an admin client.
pub const WITH_ADMIN: &[&str] = WITH_TRANSACTIONS.split_at(3).1;

/// The same, and transactions.
pub const WITH_TRANSACTIONS: &[&str] = WITH_ASSIGNED.split_at(1).1;

/// The same, and groups whose coordinator assigns partitions (KIP-848).
pub const WITH_ASSIGNED: &[&str] = WITH_SHARES.split_at(1).1;

/// The same, and share groups (KIP-932).
pub const WITH_SHARES: &[&str] = JAVA.split_at(1).1;

/// The same, and what only Java's admin client can ask.
pub const JAVA: &[&str] = &[
    "others",
    "shares",
    "assigned",
    "silent",
    "transactions",
    "spanning",
    "operate",
    "unknown",
    "commit",
    "cooperative",
    "rebalance",
    "codecs",
    "offsets",
    "many-partitions",
    "idempotent",
    "acks",
    "static",
    "headers",
    "large",
    "reset",
    "groups",
    "cluster",
    "seek",
    "topics",
    CUT,
];
