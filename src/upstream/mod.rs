//! The clusters as they really are: links to brokers, each cluster's metadata, its coordinators.
//! Knows nothing of pipelines or of what clients see.

pub mod cluster;
pub mod clusters;
pub mod connect;
pub mod door;
pub mod link;
pub mod login;
pub mod outgoing;
pub mod owed;
pub mod pace;
pub mod places;
pub mod refresh;
pub mod sights;
pub mod snapshot;
#[cfg(test)]
pub(crate) mod testing;
mod together;
pub mod versions;
mod wanted;

pub use cluster::Cluster;
pub use clusters::Clusters;
pub use link::{Link, LinkId};
pub use outgoing::{Answer, Expect, OnAnswer, Outgoing, Patience, Refused, Write};
pub use sights::{Look, Sight, Sighted, Told};
pub use snapshot::{Broker, Lead, Partition, Snapshot, Topic};
pub use together::all_answers;
pub use versions::Versions;
