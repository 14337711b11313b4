//! What clients are told of the one cluster that they see: its nodes, topics, partitions, coordinators, and which APIs it
//! has. Answered by us, from the placement.

pub mod cluster_info;
pub mod coordinator;
pub mod metadata;
pub mod nodes;
mod sights;
pub mod versions;
