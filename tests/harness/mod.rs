//! What tests need to run against the real thing: Apache Kafka clusters, Fishplate itself, and links that can be cut.
//! Everything started here ends with this process, however it ends. Knows nothing of any single test.

pub mod broker;
#[allow(dead_code, reason = "not in every test program")]
pub mod certificates;
pub mod cluster;
pub mod config;
pub mod counting;
#[allow(dead_code, reason = "not in every test program")]
pub mod endpoint;
#[allow(dead_code, reason = "not in every test program")]
pub mod issuer;
pub mod link;
pub mod log;
pub mod metrics;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod refusing;
pub mod secured;
pub mod standin;
pub mod topics;
pub mod wait;

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where `scripts/test` puts what it downloads. Set `FISHPLATE_CACHE` to share one among several checkouts.
pub fn cache() -> PathBuf {
    std::env::var_os("FISHPLATE_CACHE").map_or_else(|| repository().join(".cache"), PathBuf::from)
}

/// Where clients are pointed: a cluster itself, or Fishplate before it. A scenario that runs at both shows the difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// How it is called in test names and messages: `bare a`, `bare b`, `fishplate`.
    pub name: String,
    /// What a client takes as `bootstrap.servers`.
    pub servers: String,
}

impl std::fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.servers)
    }
}
