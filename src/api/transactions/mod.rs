//! Transactions, each on the one cluster that its transactional id is homed on; and producer ids.

pub mod add_partitions;
pub mod by_transactional_id;
pub mod lists;
pub mod offsets;
pub mod producer_id;
pub mod span;
