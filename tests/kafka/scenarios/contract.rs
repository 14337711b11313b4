//! What a client's program is asked, and what it answers.

use crate::harness::Bootstrap;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

/// A client and how it plays scenarios.
#[derive(Clone, Copy)]
pub struct Client {
    /// Stands in trials' names and in the list of differences.
    pub name: &'static str,
    /// Those it can play; the slow ones first, because several run at once.
    pub scenarios: &'static [&'static str],
    /// Plays some of them.
    pub play: fn(&Run) -> anyhow::Result<Vec<Line>>,
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

/// The scenarios that every library plays, the slow ones first.
pub const ALL: &[&str] = &[
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
];
