//! The fields of every answer that we read of brokers, by what they are about; see `requests.rs`.

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
