//! Fetch at a glance. A client without a fetch session names all its partitions each time, and a broker answers for all of
//! them; kafka-protocol's struct for each of thousands would cost more than all else. So both are flat lists here, read
//! and written straight from and to bytes, and what a broker says of a partition stays a slice of its frame. What is rarer
//! (sessions, racks, tagged fields, errors) is left to the codec.

mod asked;
mod heard;
mod told;
mod writing;

pub use asked::{Flat, FlatTopic, Named, Part, Reading, Terms};
pub use heard::Heard;
pub use told::{NotPlain, PlainAnswer, Step, ToldPart};
pub use writing::Writing;

/// Versions from which on Fetch has more fields.
const LOG_START: i16 = 5;
const SESSIONS: i16 = 7;
const LEADER_EPOCHS: i16 = 9;
const READ_REPLICA: i16 = 11;
const WITHOUT_REPLICA: i16 = 15;

#[cfg(test)]
mod tests;
