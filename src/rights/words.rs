//! Kafka's words of access: what is done, to what, and by which pattern it is named.

use std::fmt;
use std::net::IpAddr;

/// What somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // The names are Kafka's own.
pub enum Operation {
    Read,
    Write,
    Create,
    Delete,
    Alter,
    Describe,
    ClusterAction,
    DescribeConfigs,
    AlterConfigs,
    IdempotentWrite,
}

impl Operation {
    /// All of them, in the order of Kafka's numbers.
    pub const ALL: [Self; 10] = [
        Self::Read,
        Self::Write,
        Self::Create,
        Self::Delete,
        Self::Alter,
        Self::Describe,
        Self::ClusterAction,
        Self::DescribeConfigs,
        Self::AlterConfigs,
        Self::IdempotentWrite,
    ];

    /// Kafka's number of it (AK `AclOperation`).
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Read => 3,
            Self::Write => 4,
            Self::Create => 5,
            Self::Delete => 6,
            Self::Alter => 7,
            Self::Describe => 8,
            Self::ClusterAction => 9,
            Self::DescribeConfigs => 10,
            Self::AlterConfigs => 11,
            Self::IdempotentWrite => 12,
        }
    }

    /// As Kafka's tools write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Create => "Create",
            Self::Delete => "Delete",
            Self::Alter => "Alter",
            Self::Describe => "Describe",
            Self::ClusterAction => "ClusterAction",
            Self::DescribeConfigs => "DescribeConfigs",
            Self::AlterConfigs => "AlterConfigs",
            Self::IdempotentWrite => "IdempotentWrite",
        }
    }

    /// The one that is written so.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.word() == word)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A set of operations, as bits of Kafka's numbers (KIP-430).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations(u32);

impl Operations {
    /// `All`, in Kafka's words.
    pub const ALL: Self = Self::of(&Operation::ALL);

    /// These.
    #[must_use]
    pub const fn of(operations: &[Operation]) -> Self {
        let (mut bits, mut rest) = (0, operations);
        while let [one, others @ ..] = rest {
            bits |= 1 << one.code();
            rest = others;
        }
        Self(bits)
    }

    /// With another one.
    #[must_use]
    pub const fn and(self, operation: Operation) -> Self {
        Self(self.0 | 1 << operation.code())
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn has(self, operation: Operation) -> bool {
        self.0 & 1 << operation.code() != 0
    }

    /// Stands for all of them.
    pub const EVERY: &str = "All";

    /// As files and tools write them.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        if self == Self::ALL {
            return vec![Self::EVERY];
        }
        Operation::ALL.into_iter().filter(|one| self.has(*one)).map(Operation::word).collect()
    }

    /// As answers bear them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// With what these imply where they are allowed, and not where they are denied (AK `StandardAuthorizerData`).
    #[must_use]
    pub fn with_implied(self) -> Self {
        const DESCRIBES: [Operation; 4] = [Operation::Read, Operation::Write, Operation::Delete, Operation::Alter];
        let describes = DESCRIBES.into_iter().any(|one| self.has(one));
        let with = if describes { self.and(Operation::Describe) } else { self };
        if self.has(Operation::AlterConfigs) { with.and(Operation::DescribeConfigs) } else { with }
    }
}

impl fmt::Display for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(", "))
    }
}

/// What it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // The names are Kafka's own.
pub enum Kind {
    Topic,
    Group,
    Cluster,
    TransactionalId,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Topic, Self::Group, Self::Cluster, Self::TransactionalId];

    /// The name of the only resource of kind [`Kind::Cluster`].
    pub const CLUSTER: &str = "kafka-cluster";

    /// As Kafka's tools write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Topic => "Topic",
            Self::Group => "Group",
            Self::Cluster => "Cluster",
            Self::TransactionalId => "TransactionalId",
        }
    }

    /// In a sentence, of several.
    #[must_use]
    pub const fn several(self) -> &'static str {
        match self {
            Self::Topic => "topics",
            Self::Group => "groups",
            Self::Cluster => "the cluster",
            Self::TransactionalId => "transactional ids",
        }
    }

    /// What can be done to it (AK `AclEntry.supportedOperations`).
    #[must_use]
    pub const fn operations(self) -> Operations {
        use Operation::{
            Alter, AlterConfigs, ClusterAction, Create, Delete, Describe, DescribeConfigs, IdempotentWrite, Read, Write,
        };
        Operations::of(match self {
            Self::Topic => &[Read, Write, Create, Delete, Alter, Describe, DescribeConfigs, AlterConfigs],
            Self::Group => &[Read, Delete, Describe, DescribeConfigs, AlterConfigs],
            Self::Cluster => &[Create, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite],
            Self::TransactionalId => &[Write, Describe],
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Which resources of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Every one.
    Any,
    /// The one of this name.
    Literal(Box<str>),
    /// Those whose names begin so.
    Prefix(Box<str>),
}

impl Pattern {
    /// Whether it names this one.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Literal(literal) => **literal == *name,
            Self::Prefix(prefix) => name.starts_with(&**prefix),
        }
    }
}

/// As the config has it.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Literal(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// Allows.
    #[default]
    Allow,
    /// Denies, whatever else allows.
    Deny,
}

impl Effect {
    /// As the config has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// An address, or all that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// `10.0.0.7` or `10.0.0.0/8`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address = address.parse::<IpAddr>().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.parse().ok().filter(|bits| *bits <= all))?;
        Some(Self { address, bits })
    }

    /// Whether it has this address.
    #[must_use]
    pub fn has(&self, host: IpAddr) -> bool {
        let same = |one: u128, other: u128, of: u32| {
            let beyond = of - u32::from(self.bits);
            beyond >= 128 || one >> beyond == other >> beyond
        };
        match (self.address.to_canonical(), host.to_canonical()) {
            (IpAddr::V4(one), IpAddr::V4(other)) if self.address.is_ipv4() => {
                same(u128::from(one.to_bits()), u128::from(other.to_bits()), 32)
            }
            _ => match (wide(self.address), wide(host)) {
                (one, other) if self.address.is_ipv6() => same(one, other, 128),
                _ => false,
            },
        }
    }
}

/// IPv4 as IPv6 writes it.
fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped().to_bits(),
        IpAddr::V6(six) => six.to_bits(),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = if self.address.is_ipv4() { 32 } else { 128 };
        if self.bits == all { self.address.fmt(f) } else { write!(f, "{}/{}", self.address, self.bits) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_with_its_bits() {
        for (network, host, has) in [
            ("10.0.0.0/8", "10.9.8.7", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.8", false),
            ("10.0.0.7", "::ffff:10.0.0.7", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::ffff:10.0.0.7", "10.0.0.7", true),
            ("::/0", "10.0.0.7", true),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert_eq!(parsed.has(host.parse().unwrap()), has, "{network} {host}");
            assert_eq!(parsed.to_string(), network);
        }
        for wrong in ["10.0.0.0/33", "10.0.0", "host.example", "10.0.0.0/x", "10.0.0.0/", "::/129"] {
            assert!(Network::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_is_implied_is_implied_where_it_is_allowed() {
        let implied = |operation| Operations::of(&[operation]).with_implied();
        assert_eq!(implied(Operation::Write), Operations::of(&[Operation::Write, Operation::Describe]));
        assert_eq!(implied(Operation::Create), Operations::of(&[Operation::Create]));
        assert_eq!(
            implied(Operation::AlterConfigs),
            Operations::of(&[Operation::AlterConfigs, Operation::DescribeConfigs])
        );
    }

    #[test]
    fn operations_are_read_as_they_are_written() {
        for operation in Operation::ALL {
            assert_eq!(Operation::named(operation.word()), Some(operation));
        }
        assert_eq!(Operations::ALL.to_string(), "All");
        assert_eq!(Kind::TransactionalId.operations().to_string(), "Write, Describe");
    }
}
