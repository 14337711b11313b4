//! Lag and service levels: keeps count of what passes by and says how far each group is behind, in records and in time.
//! Facts come from sessions and from our own asking, and look the same. All of it but `task` is pure: time comes from the caller.

pub mod clock;
mod commits;
pub mod committed;
mod dated;
pub mod described;
mod due;
mod ends;
pub mod exposition;
pub mod families;
mod groups;
mod held;
pub mod histogram;
mod intervals;
mod latencies;
pub mod ledger;
#[cfg(test)]
mod ledger_tests;
pub mod levels;
mod look;
mod measure;
mod members;
mod memberships;
mod partition;
pub mod place;
mod promises;
mod pulse;
mod readers;
mod records;
pub mod rows;
mod spans;
mod sums;
pub mod sweep;
pub mod task;
pub mod text;
mod times;
mod topics;
mod transactions;
pub mod unknown;
mod waiting;

pub use clock::Now;
pub use ledger::Ledger;
pub use place::Place;
pub use unknown::Unknown;

use crate::types::Partition;

/// Who keeps count of a partition and tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This process.
    Me,
    /// Another one.
    #[cfg(test)]
    Other,
}

/// Who owns which partition.
pub type OwnerOf = fn(Partition) -> Owner;

/// The owner of a partition: who alone tells of it, counts what was promised for it, and asks its cluster where it ends and what lies
/// there. Today there is one replica; that of several will be found here.
///
/// A group has no partition, and nobody owns one. What a client commits, and who is a member, passes by any replica, which states it as
/// a fact; facts are what replicas will share. Each asks for all groups what they have committed and what their members read: an
/// owner needs that of each group that reads its partitions, and those are all the groups there are.
#[must_use]
pub const fn owner(_partition: Partition) -> Owner {
    Owner::Me
}
