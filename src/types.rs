//! The ids that everybody speaks of, each a type of its own so that mixing two up does not compile.
//! Knows nothing of anything else here; conversion between real and virtual ids happens in `placement` alone.

mod guise;
pub mod log;
mod mechanism;
pub mod moment;
mod principal;
pub mod producer;

pub use guise::Guise;
pub use mechanism::Mechanism;
pub use principal::Principal;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use uuid::Uuid;

/// A map that is looked into several times for each partition of a request: its hash costs a few nanoseconds, where the
/// standard one took a quarter of all user time. Seeded anew in each process.
pub type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// A set of the same kind.
pub type FastSet<V> = HashSet<V, foldhash::fast::RandomState>;

/// A hash that means the same all over this process and nothing outside it.
pub fn fast_hash(of: &(impl Hash + ?Sized)) -> u64 {
    static SEED: LazyLock<foldhash::fast::RandomState> = LazyLock::new(foldhash::fast::RandomState::default);
    SEED.hash_one(of)
}

/// A topic, by the hash of its name or of its id, as a request has one or the other, by the version that the client speaks. Who must
/// know both asks for both. Two topics of one key are taken for one; of 64 bits, that is not worth a name's memory.
pub type TopicKey = u64;

/// The key of a topic: by its name, or by its id where the name is empty.
#[must_use]
pub fn topic_key(name: &str, id: Uuid) -> TopicKey {
    if name.is_empty() { fast_hash(&id) } else { fast_hash(name) }
}

/// A partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Partition {
    /// Its topic.
    pub topic: TopicKey,
    /// Its number.
    pub index: i32,
}

impl Partition {
    /// A partition of a topic of this name.
    #[must_use]
    pub fn new(topic: &str, index: i32) -> Self {
        Self { topic: fast_hash(topic), index }
    }

    /// One as a message names it: its topic by its name, or by its id where that is empty.
    #[must_use]
    pub fn called((name, id): (&[u8], Uuid), index: i32) -> Self {
        // What is no text is no topic's name.
        Self { topic: topic_key(std::str::from_utf8(name).unwrap_or("\0"), id), index }
    }
}

/// A cluster's fixed number in the config, `0..=30`. It is part of every virtual node id, so it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u8);

impl Slot {
    /// The highest slot: keeps every virtual node id below `31 << 25`, and so Java's coordinator id
    /// (`Integer.MAX_VALUE - id`) from ever being another node's.
    pub const MAX: u8 = 30;

    /// `None` above [`Slot::MAX`].
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (number <= Self::MAX).then_some(Self(number))
    }

    /// The number as the config has it.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A broker's id as its own cluster knows it. Negative values are Kafka's sentinels (no leader, any replica).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerId(pub i32);

/// A broker's id as clients see it. Negative values are Kafka's sentinels and pass unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualNode(pub i32);

/// What a broker coordinates (Kafka's word): each has a coordinator of its own, found by a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CoordinatorType {
    /// A consumer group, by its id.
    Group,
    /// The transactions of a producer, by its transactional id.
    Transaction,
}

impl CoordinatorType {
    /// As FindCoordinator has it.
    #[must_use]
    pub const fn key_type(self) -> i8 {
        match self {
            Self::Group => 0,
            Self::Transaction => 1,
        }
    }

    /// In a sentence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Transaction => "transactional id",
        }
    }
}

/// One real broker: where a part of a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The cluster it belongs to.
    pub cluster: Slot,
    /// Its id there.
    pub broker: BrokerId,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broker {} of cluster {}", self.broker.0, self.cluster)
    }
}

/// A client connection's number, unique in the process; stands in every log line about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A name out of the config (of a cluster, a pipeline), cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// Stands for a name where there is none, in metrics. Nothing in the config may be called so.
    pub const NONE: &str = "none";
    /// Stands for a name where there are several. Nothing in the config may be called so.
    pub const SEVERAL: &str = "several";

    /// [`Name::NONE`].
    #[must_use]
    pub fn none() -> Self {
        static NONE: LazyLock<Name> = LazyLock::new(|| Name::NONE.into());
        NONE.clone()
    }

    /// The one that they all are, or [`Name::NONE`], or [`Name::SEVERAL`].
    #[must_use]
    pub fn of_all<'n>(names: impl IntoIterator<Item = &'n Self>) -> Self {
        static SEVERAL: LazyLock<Name> = LazyLock::new(|| Name::SEVERAL.into());
        let mut names = names.into_iter();
        let Some(first) = names.next() else { return Self::none() };
        if names.all(|name| name.is_same(first) || name == first) { first.clone() } else { SEVERAL.clone() }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the two are one text in memory, and so equal: sure where it is true, and quicker than to compare.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a client is shown the nodes of the virtual cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// A node for each broker of each cluster, all at one address.
    Brokers,
    /// The same nodes, each at an address of its own.
    Hosts,
    /// One node that leads and coordinates everything.
    Single,
}

impl View {
    /// The word for it in the config, the log and the metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Brokers => "brokers",
            Self::Hosts => "hosts",
            Self::Single => "single",
        }
    }

    /// The view of such a word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Brokers, Self::Hosts, Self::Single].into_iter().find(|view| view.as_str() == word)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A host and a port, not resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// A name or an IP address, an IPv6 one without brackets.
    pub host: Arc<str>,
    /// The TCP port.
    pub port: u16,
}

impl HostPort {
    /// From its two parts.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why a text is not a [`HostPort`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not host:port; write for example `kafka-1.example.com:9092` or `[::1]:9092`")]
pub struct NotHostPort(String);

impl FromStr for HostPort {
    type Err = NotHostPort;

    fn from_str(text: &str) -> Result<Self, NotHostPort> {
        let wrong = || NotHostPort(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let bare = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        let odd = |c: char| c.is_whitespace() || matches!(c, '/' | '@' | ',');
        if bare.is_empty() || bare.contains(odd) {
            return Err(wrong());
        }
        Ok(Self::new(bare, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_all_one_are_several() {
        let (a, also_a, b) = (Name::from("a"), Name::from("a"), Name::from("b"));
        assert_eq!(Name::of_all([&a, &also_a]), a);
        assert!(a.is_same(&a.clone()) && !a.is_same(&also_a));
        assert_eq!(Name::of_all([&a, &b, &a]).as_str(), Name::SEVERAL);
        assert_eq!(Name::of_all([]), Name::none());
    }

    #[test]
    fn host_port_round_trips() {
        for text in ["a:1", "b-1.x.example:9092", "[::1]:9092", "127.0.0.1:0"] {
            assert_eq!(text.parse::<HostPort>().map(|h| h.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_is_not_host_port_says_so() {
        for text in ["", "a", ":9092", "a:", "a:70000", "::1:9092", "http://a:1", "a b:1", "[::1:1"] {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_slot_above_thirty_is_none() {
        assert_eq!(Slot::new(30).map(Slot::number), Some(30));
        assert_eq!(Slot::new(31), None);
    }
}
