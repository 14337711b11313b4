//! The fields of every request that we read, in the order in which they stand on the wire. Source: Kafka's message
//! schemas, in the versions that kafka-protocol's decoders take (the line above each says which); their names are its.
//! Fields of later versions stand here where its structs have them already: they take memory.

// Tables, laid out as tables.
#[rustfmt::skip]
mod assigned;
#[rustfmt::skip]
mod connections;
#[rustfmt::skip]
mod groups;
#[rustfmt::skip]
mod operators;
#[rustfmt::skip]
mod records;
#[rustfmt::skip]
mod topics;
#[rustfmt::skip]
mod transactions;

pub(super) use assigned::*;
pub(super) use connections::*;
pub(super) use groups::*;
pub(super) use operators::*;
pub(super) use records::*;
pub(super) use topics::*;
pub(super) use transactions::*;
