//! What passes by, as facts: sessions state them, who keeps count of lag and service levels reads them, out of a
//! [`Notebook`](super::Notebook).

pub use crate::types::log::{Ends, Stretch};

use crate::types::{Partition, Slot, TopicKey, fast_hash};
use kafka_protocol::protocol::StrBytes;
use std::time::Instant;

/// Who reads: the hash of a client id and the address that it comes from. A consumer's connections to brokers and to its
/// group's coordinator have it in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reader(pub u64);

impl Reader {
    /// That of a client.
    #[must_use]
    pub fn of(client_id: Option<&[u8]>, from: std::net::IpAddr) -> Self {
        Self(fast_hash(&(client_id, from)))
    }
}

/// A producer of transactions: its id, and the cluster that gave it. All clusters count from 0.
pub type ProducerOf = (Slot, i64);

/// An offset of a partition.
pub type OffsetOf = (Partition, i64);

/// A hash of a member's id, and the topics that it reads; `None` where an expression says which, or nobody knows.
pub type MemberReads = (u64, Option<Box<[TopicKey]>>);

/// A batch that a broker has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub at: Partition,
    /// The offset of its first record.
    pub base: i64,
    /// The offset behind its last one.
    pub next: i64,
    /// Its size.
    pub bytes: u32,
}

/// What somebody was handed of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handed {
    /// Of which.
    pub at: Partition,
    /// The records; where only ends were asked for, `from` is -1.
    pub stretch: Stretch,
    /// Where it was told that the log ends.
    pub ends: Ends,
}

/// One thing that happened, or many of one kind in one answer. Names in it are copies, no slices of frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A broker has written batches.
    Acknowledged {
        /// Which.
        of: Box<[Written]>,
        /// Whose they are, where they are part of a transaction.
        transaction: Option<ProducerOf>,
        /// When the last byte of its request was read, where that is known.
        came: Option<Instant>,
    },
    /// A client was handed records, or told where logs end.
    Fetched {
        /// Who; `None`: we ourselves.
        by: Option<Reader>,
        /// It reads only what is committed.
        committed_only: bool,
        /// What.
        of: Box<[Handed]>,
    },
    /// Kafka's answer said that the client's quota is spent, or ours, so that it waits for so long.
    Throttled {
        /// Who.
        by: Reader,
        /// How long, in ms.
        ms: u32,
    },
    /// A coordinator has a group's offsets: what comes before them was dealt with. -1: it has none.
    Committed {
        /// The group.
        group: StrBytes,
        /// Its offsets.
        of: Box<[OffsetOf]>,
        /// Whether the group has just said so; else we have asked for it, and others may be missing.
        anew: bool,
    },
    /// A group's coordinator, asked for all offsets of the group, had exactly these at that time or later.
    Holds {
        /// The group.
        group: StrBytes,
        /// Its offsets.
        of: Box<[OffsetOf]>,
        /// When it was asked.
        asked: Instant,
    },
    /// All brokers of a cluster, asked for their groups, had these at that time or later, and no others.
    Listed {
        /// The cluster.
        cluster: Slot,
        /// The groups.
        groups: Box<[StrBytes]>,
        /// When they were asked.
        asked: Instant,
    },
    /// A group commits offsets in a transaction: that holds when the transaction is committed.
    CommitsWith {
        /// The group.
        group: StrBytes,
        /// The producer of the transaction.
        producer: ProducerOf,
        /// Its offsets.
        of: Box<[OffsetOf]>,
    },
    /// A transaction ended.
    Ended {
        /// Its producer.
        producer: ProducerOf,
        /// Committed, or aborted.
        committed: bool,
    },
    /// A member of a group joined it, or said that it is still there.
    Beat {
        /// The group.
        group: StrBytes,
        /// A hash of the member's id.
        member: u64,
        /// Who it is.
        by: Reader,
        /// For how long it need not say so again, in ms; 0: that is not known here.
        within_ms: u32,
    },
    /// A member of a group reads these topics and no others, as it said when it joined or since: what the group has committed of
    /// others is nobody's lag.
    Subscribed {
        /// The group.
        group: StrBytes,
        /// A hash of the member's id.
        member: u64,
        /// The topics; `None` where an expression says which.
        topics: Option<Box<[TopicKey]>>,
    },
    /// A group's coordinator, asked for its members, had exactly these at that time or later.
    Described {
        /// The group.
        group: StrBytes,
        /// Its members.
        members: Box<[MemberReads]>,
        /// When it was asked.
        asked: Instant,
    },
    /// A member left its group.
    Left {
        /// The group.
        group: StrBytes,
        /// A hash of its id.
        member: u64,
    },
    /// The cluster says how a group stands, having been asked.
    Stands {
        /// The group.
        group: StrBytes,
        /// It has members, or may be about to.
        has_members: bool,
    },
    /// A group is no more.
    GroupGone {
        /// The group.
        group: StrBytes,
    },
    /// Offsets of a group are no more.
    OffsetsGone {
        /// The group.
        group: StrBytes,
        /// Of which partitions.
        of: Box<[Partition]>,
    },
}

impl Fact {
    /// Bytes that it takes in memory, noted down.
    #[must_use]
    pub fn weight(&self) -> usize {
        let of_topics = |topics: &Option<Box<[TopicKey]>>| topics.as_deref().map_or(0, size_of_val);
        let elsewhere = match self {
            Self::Acknowledged { of, .. } => size_of_val(&**of),
            Self::Fetched { of, .. } => size_of_val(&**of),
            Self::Committed { of, .. } | Self::Holds { of, .. } | Self::CommitsWith { of, .. } => size_of_val(&**of),
            Self::Listed { groups, .. } => size_of_val(&**groups),
            Self::Subscribed { topics, .. } => of_topics(topics),
            Self::Described { members, .. } => {
                size_of_val(&**members) + members.iter().map(|(_, topics)| of_topics(topics)).sum::<usize>()
            }
            Self::OffsetsGone { of, .. } => size_of_val(&**of),
            Self::Throttled { .. }
            | Self::Ended { .. }
            | Self::Beat { .. }
            | Self::Left { .. }
            | Self::Stands { .. }
            | Self::GroupGone { .. } => 0,
        };
        size_of::<Noted>() + elsewhere
    }

    /// How many things it is about.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Acknowledged { of, .. } => of.len(),
            Self::Fetched { of, .. } => of.len(),
            Self::Committed { of, .. } | Self::Holds { of, .. } | Self::CommitsWith { of, .. } => of.len(),
            _ => 1,
        }
    }
}

/// A fact, and when.
#[derive(Clone, Debug)]
pub struct Noted {
    /// When it was noted.
    pub at: Instant,
    /// What.
    pub fact: Fact,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_small() {
        assert!(size_of::<Noted>() <= 96, "{}", size_of::<Noted>());
    }
}
