//! The config file: text -> tree (`yaml`) -> typed as written (`raw`) -> checked as a whole (`check`) -> [`Config`],
//! which cannot be wrong. Every mistake of all files is found in one run. Knows no tokio and no sockets.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::rights::Rights;
use crate::types::{HostPort, Name, Slot, View, VirtualNode};

pub mod admin;
mod amounts;
mod check;
pub mod clients;
pub mod diff;
mod findings;
pub mod identities;
mod levels;
mod load;
pub mod login;
mod masking;
pub mod oauth;
mod patterns;
mod patterns_of_java;
pub mod policy;
mod principals;
mod racks;
pub mod rates;
mod raw;
mod read;
pub mod sasl;
mod schema;
mod secret;
mod suggest;
mod surroundings;
mod tls;
pub mod tokens;
pub mod twins;
pub mod url;
mod written;
mod yaml;

pub use admin::Admin;
pub use clients::{ClientRule, Clients};
pub use findings::{Mistake, Mistakes, Place, Severity};
pub use identities::{Identities, Mapped, Unmapped};
pub use levels::{Metrics, Slo};
pub use login::Login;
pub use patterns::Patterns;
pub use policy::Policy;
pub use principals::{BadRule, PrincipalMapping};
pub use racks::Racks;
pub use sasl::Sasl;
pub use schema::schema;
pub use secret::{Secret, TextFrom};
pub use tls::{ClientAuth, ClientCertificates, ClientTls, Identity, Tls, TlsVersion};
pub use written::written;

/// The name of the pipeline of all that no other pipeline claims.
pub const DEFAULT_PIPELINE: &str = "default";

/// What a config file says, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The `ClusterId` that clients see.
    pub virtual_cluster: Arc<str>,
    /// Where all lives that no pipeline claims.
    pub default_cluster: Slot,
    /// Where clients connect; at least one.
    pub listeners: Vec<Listener>,
    /// By slot; at least one.
    pub clusters: Vec<Cluster>,
    /// In the order in which they claim topics, groups and transactional ids; the last is [`DEFAULT_PIPELINE`] and matches everything.
    pub pipelines: Vec<Pipeline>,
    /// The `transaction.version` that clients are shown (KIP-890): 1 or 2.
    pub transaction_version: i16,
    /// Which clients are shown what, beside what is built in.
    pub clients: Clients,
    /// Who may do what; `None`: everybody may do everything.
    pub authorization: Option<Arc<Rights>>,
    /// Metrics, health and what operators ask, if wanted.
    pub admin: Option<Admin>,
    /// What metrics show of lag.
    pub metrics: Metrics,
    /// What is logged, if the file says so: a filter that is one.
    pub log: Option<Arc<str>>,
    /// The pools of memory that all sessions share.
    pub memory: Memory,
    /// What one client, and all together, may take.
    pub limits: Limits,
}

/// Pools of memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Of requests that are read and not yet passed on.
    pub requests: usize,
    /// Of answers that are read and that clients have not taken.
    pub responses: usize,
    /// Of requests that wait for a leader, or for their order to be sure.
    pub parked: usize,
}

/// A session may hold this part of a pool. What is larger passes beside the pool, one session of all at a time.
pub const SHARES: usize = 8;

impl Default for Memory {
    fn default() -> Self {
        Self { requests: 64 << 20, responses: 64 << 20, parked: 32 << 20 }
    }
}

/// What one client, and all together, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request, in bytes. Only Produce may be larger than a session's share of the pool.
    pub request: usize,
    /// A connection has sent its first request by then.
    pub handshake: Duration,
    /// A request that has begun is complete by then.
    pub stalled: Duration,
    /// A connection that asks nothing for so long is closed.
    pub idle: Duration,
    /// Client connections in all.
    pub sessions: usize,
    /// And from one address.
    pub sessions_per_address: usize,
}

/// Kafka's default for `socket.request.max.bytes`.
pub const LARGEST_REQUEST: usize = 100 << 20;

impl Limits {
    /// No request may be larger, whatever is said: longer ones are what other protocols begin with (`wire/strangers.rs`).
    pub const LARGEST_OF_ALL: usize = 200 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: LARGEST_REQUEST,
            handshake: Duration::from_secs(10),
            stalled: Duration::from_secs(30),
            idle: Duration::from_secs(600),
            sessions: 20_000,
            sessions_per_address: 20_000,
        }
    }
}

/// An address that clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// What clients are told; `None`: the bound address.
    pub advertised: Option<HostPort>,
    /// How clients are shown nodes.
    pub nodes: Nodes,
    /// An address of its own for each node, for the view `hosts`.
    pub hosts: Option<Hosts>,
    /// Encryption, and who clients are by their certificates.
    pub tls: Option<Tls>,
    /// How clients log in; `None`: nobody asks who they are.
    pub sasl: Option<Sasl>,
    /// A load balancer says who each client is, in a header of the PROXY protocol.
    pub proxy_protocol: bool,
}

/// Who decides how clients of a listener are shown nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nodes {
    /// What a client says it is.
    #[default]
    Auto,
    /// The listener: this for all.
    All(View),
}

/// Where each node has an address of its own; all of them lead to the same listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// A name for each node, at one port.
    Names {
        /// With [`Hosts::NODE`] where the node's id belongs.
        template: Arc<str>,
        /// The port.
        port: u16,
    },
    /// A port for each node, at one name. The listener binds all of them too.
    Ports {
        /// The name.
        host: Arc<str>,
        /// The ports.
        ports: RangeInclusive<u16>,
    },
}

impl Hosts {
    /// Stands for a node's id in a name.
    pub const NODE: &str = "{node}";
    /// Stands for a node's port.
    pub const PORT: &str = "{port}";

    /// The ports that the listener binds beside its own.
    #[must_use]
    pub fn ports(&self) -> Option<&RangeInclusive<u16>> {
        match self {
            Self::Names { .. } => None,
            Self::Ports { ports, .. } => Some(ports),
        }
    }

    /// A node's address, where `port_of` knows which port of a range is its.
    #[must_use]
    pub fn address(
        &self,
        node: VirtualNode,
        port_of: impl FnOnce(&RangeInclusive<u16>, VirtualNode) -> u16,
    ) -> HostPort {
        match self {
            Self::Names { template, port } => HostPort::new(&template.replace(Self::NODE, &node.0.to_string()), *port),
            Self::Ports { host, ports } => HostPort { host: Arc::clone(host), port: port_of(ports, node) },
        }
    }
}

impl std::fmt::Display for Hosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Names { template, port } => write!(f, "{template}:{port}"),
            Self::Ports { host, ports } => write!(f, "{host}:{}-{}", ports.start(), ports.end()),
        }
    }
}

impl Listener {
    /// What its clients are shown, in words.
    #[must_use]
    pub fn shows(&self) -> String {
        let hosts = self.hosts.as_ref().map(|hosts| format!("hosts ({hosts})"));
        let hosts = hosts.unwrap_or_else(|| View::Hosts.to_string());
        let lonely = View::Single.as_str();
        match self.nodes {
            Nodes::All(View::Hosts) => hosts,
            Nodes::All(view) => view.to_string(),
            Nodes::Auto if self.hosts.is_some() => format!("brokers to clients on the list, {hosts} to others"),
            Nodes::Auto => format!("brokers to clients on the list, {lonely} to others"),
        }
    }
}

/// A real cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its number, unique.
    pub slot: Slot,
    /// Its name, unique.
    pub name: Name,
    /// Some of its brokers; at least one.
    pub bootstrap: Vec<HostPort>,
    /// How many connections clients' sessions may have to one broker of it.
    pub max_links: usize,
    /// How many new ones a second.
    pub links_per_second: usize,
    /// What it is.
    pub kind: Kind,
    /// What it calls racks.
    pub racks: Racks,
    /// How we log in to it, if we do.
    pub login: Option<Login>,
    /// Encryption, and that brokers are who they should be.
    pub tls: Option<ClientTls>,
    /// As whom clients' principals come to it.
    pub identities: Identities,
}

/// What a cluster is, where that makes a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Apache Kafka, or what behaves as it does.
    #[default]
    Kafka,
    /// WarpStream, which reads options out of client ids.
    Warpstream {
        /// The zone that it is told we are in, so that it gives us agents there.
        zone: Option<Arc<str>>,
    },
}

impl Kind {
    /// The zone that a WarpStream cluster is told.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        match self {
            Self::Kafka => None,
            Self::Warpstream { zone } => zone.as_deref(),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kafka => f.write_str("kafka"),
            Self::Warpstream { zone: None } => f.write_str("warpstream"),
            Self::Warpstream { zone: Some(zone) } => write!(f, "warpstream in zone {zone}"),
        }
    }
}

impl Cluster {
    /// More connections to a broker than this are not made, nor more than that in a second, unless the config says so.
    const LINKS: Pace = Pace { most: 20_000, a_second: 1_000 };
    /// What a broker of MSK takes of all who come with IAM (Amazon MSK quotas); with several replicas a config says each one's part.
    const LINKS_WITH_IAM: Pace = Pace { most: 3_000, a_second: 100 };

    /// How many connections a broker gets, where the config does not say.
    #[must_use]
    pub fn pace(login: Option<&Login>) -> Pace {
        match login {
            Some(Login::Tokens(oauth::TokensFrom::MskIam(_))) => Self::LINKS_WITH_IAM,
            _ => Self::LINKS,
        }
    }
}

/// How many connections one broker gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// In all.
    pub most: usize,
    /// New ones in a second.
    pub a_second: usize,
}

/// A named set of topics with what holds for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Unique.
    pub name: Name,
    /// The topics, unless an earlier pipeline claims them.
    pub topics: Patterns,
    /// The consumer groups whose home is this pipeline's cluster, unless an earlier pipeline claims them.
    pub groups: Patterns,
    /// The transactional ids whose home it is, unless an earlier pipeline claims them.
    pub transactional_ids: Patterns,
    /// The home of all of them: one of [`Config::clusters`].
    pub cluster: Slot,
    /// What holds for the records themselves.
    pub policy: Arc<Policy>,
    /// How soon its groups are to have dealt with them.
    pub slo: Option<Slo>,
}

impl Pipeline {
    /// The built-in one of all that no other claims.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.name.as_str() == DEFAULT_PIPELINE
    }
}

/// What came out of reading a config.
#[derive(Debug)]
pub struct Reading {
    /// The config, if there is no mistake; there may be warnings.
    pub config: Option<Config>,
    /// Mistakes and warnings.
    pub found: Mistakes,
    /// A sum over the text of all files that were read.
    pub hash: u32,
    /// Where they are, and where others may be put that would be read too.
    pub directories: BTreeSet<PathBuf>,
}

impl Reading {
    /// The file at `path` and all that it includes, with this process's environment.
    #[must_use]
    pub fn of_file(path: &Path) -> Self {
        load::file(path, &|name| std::env::var(name).ok())
    }

    /// `text` as if it stood in a file of that name.
    #[must_use]
    pub fn of_text(name: &str, text: &str) -> Self {
        load::text(name, text, &|name| std::env::var(name).ok())
    }

    fn into_result(self) -> Result<Config, Mistakes> {
        self.config.ok_or(self.found)
    }
}

impl Config {
    /// The config of a file; warnings are lost, [`Reading::of_file`] keeps them.
    ///
    /// # Errors
    ///
    /// All mistakes of the file and of those that it includes.
    pub fn from_file(path: &Path) -> Result<Self, Mistakes> {
        Reading::of_file(path).into_result()
    }

    /// The config of a text, called `name` in mistakes; what it includes is beside a file of that name.
    ///
    /// # Errors
    ///
    /// All mistakes of the text and of the files that it includes.
    pub fn from_text(name: &str, text: &str) -> Result<Self, Mistakes> {
        Reading::of_text(name, text).into_result()
    }

    /// The pipeline that has the topic: the first that matches; of a [twin](twins::Twin), its topic's.
    #[must_use]
    pub fn pipeline_of_topic(&self, topic: &str) -> &Pipeline {
        match self.twin(topic) {
            Some(twin) => twin.pipeline,
            None => self.first(|pipeline| pipeline.topics.matches(topic)),
        }
    }

    /// The cluster that the topic lives on: its pipeline's, or a [twin](twins::Twin)'s own.
    #[must_use]
    pub fn home_of_topic(&self, topic: &str) -> Slot {
        match self.twin(topic) {
            Some(twin) => twin.cluster,
            None => self.pipeline_of_topic(topic).cluster,
        }
    }

    /// The pipeline whose cluster is the group's home: the first that matches.
    #[must_use]
    pub fn pipeline_of_group(&self, group: &str) -> &Pipeline {
        self.first(|pipeline| pipeline.groups.matches(group))
    }

    /// The pipeline whose cluster is the home of the transactional id: the first that matches.
    #[must_use]
    pub fn pipeline_of_transactional_id(&self, id: &str) -> &Pipeline {
        self.first(|pipeline| pipeline.transactional_ids.matches(id))
    }

    /// The clusters that transactional ids live on: there is always the default one.
    #[must_use]
    pub fn homes_of_transactions(&self) -> BTreeSet<Slot> {
        let has_ids = |pipeline: &&Pipeline| !pipeline.transactional_ids.is_empty();
        self.pipelines.iter().filter(has_ids).map(|pipeline| pipeline.cluster).collect()
    }

    /// The last pipeline matches everything, so the search ends there at the latest.
    fn first(&self, matches: impl Fn(&Pipeline) -> bool) -> &Pipeline {
        let last = self.pipelines.len() - 1;
        &self.pipelines[self.pipelines.iter().position(matches).unwrap_or(last)]
    }

    /// The cluster of a slot.
    #[must_use]
    pub fn cluster(&self, slot: Slot) -> Option<&Cluster> {
        self.clusters.iter().find(|cluster| cluster.slot == slot)
    }
}

#[cfg(test)]
mod tests;
