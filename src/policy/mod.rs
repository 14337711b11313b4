//! What a pipeline asks of its records: the header contract and the limits. Records in, verdicts out; time and randomness
//! come from the caller. Knows nothing of clusters or sockets; what becomes of a verdict is the session's.

pub mod admission;
pub mod backlog;
pub mod buckets;
pub mod canary;
pub mod contract;
pub mod deputies;
pub mod deputy;
pub mod keys;
pub mod kinds;
pub mod limit;
pub mod limiter;
pub mod names;
pub mod outlook;
pub mod overrule;
pub mod parting;
pub mod rulings;
pub mod sample;
pub mod sums;
pub mod talkers;
pub mod verdict;
pub mod weight;

#[cfg(test)]
mod testing;
