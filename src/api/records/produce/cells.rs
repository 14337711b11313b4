//! Cells: pieces of one partition's records on their way, and parts: those of them for one broker.

use crate::api::records::stamp::Stamp;
use crate::api::records::written::Extent;
use crate::policy::deputy::{Outcome, Trail, When};
use crate::telemetry::LaneClock;
use crate::types::Target;
use crate::wire::batch::Header;
use bytes::Bytes;

/// A piece of one partition's records.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub(super) entry: usize,
    pub(super) records: Option<Bytes>,
    /// Where an idempotent producer made it; it stays when the records are let go.
    pub stamp: Option<Stamp>,
    /// What its records come to.
    pub(in crate::api::records) extent: Extent,
    /// Where policy moves it.
    pub(super) aside: Option<Aside>,
    /// It is a part of what the client sent for the partition, or more: no offset speaks for that.
    pub(super) partial: bool,
    /// Policy has looked at it.
    pub judged: bool,
    /// Policy looks at it when those before it have come to their end.
    pub waits: bool,
    /// Who writes it for its producer, and is to hear of it.
    pub(super) trail: Option<Trail>,
    /// Of its lane.
    pub(super) clock: Option<Box<LaneClock>>,
}

/// A place beside the partition that the client named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aside {
    /// Which of the ledger's lanes.
    pub(super) lane: usize,
    /// Its partition is this one, round the number that there are.
    pub(super) wanted: u32,
    /// That partition, once the lane is known.
    pub(super) index: i32,
}

/// Some records of a partition, as policy leaves them.
#[derive(Clone, Debug)]
pub struct Piece {
    /// One batch or several; empty where all that a deputy writes is dropped.
    pub records: Bytes,
    /// The lane that they go to; `None`: the partition itself.
    pub lane: Option<usize>,
    /// Which partition of the lane they go to, round the number that there are; else the one that their number says.
    pub round: Option<u32>,
    /// Who writes them for their producer.
    pub trail: Option<Trail>,
    /// Times the lane.
    pub clock: Option<LaneClock>,
}

/// Cells for one broker.
#[derive(Debug)]
pub struct Part {
    /// Where they go.
    pub to: Target,
    /// In the client's order.
    pub cells: Vec<Cell>,
}

impl Cell {
    pub(super) fn of(entry: usize, records: Option<Bytes>) -> Self {
        let header = records.as_ref().and_then(|records| Header::read(records).ok().flatten());
        Self {
            entry,
            records,
            stamp: header.as_ref().and_then(Stamp::of),
            extent: header.as_ref().map(Extent::from).unwrap_or_default(),
            aside: None,
            partial: false,
            judged: false,
            waits: false,
            trail: None,
            clock: None,
        }
    }

    /// Whether its producer's batches before it let it go.
    #[must_use]
    pub fn when(&self) -> When {
        self.trail.as_ref().map_or(When::Now, Trail::when)
    }

    /// Nobody carries it any more: whoever sends it again does. What its producer sent behind it waits for it no longer.
    pub fn lost(&self) {
        if let Some(trail) = &self.trail {
            trail.ends(Outcome::Open);
        }
    }

    /// Whether nothing of it is left, and its producer hears so in its turn.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.trail.is_some() && self.records.as_ref().is_some_and(Bytes::is_empty)
    }

    /// Whether somebody waits to hear what becomes of it.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.trail.is_some()
    }

    /// The records, until they are let go.
    #[must_use]
    pub fn records(&self) -> Option<&Bytes> {
        self.records.as_ref()
    }
}

impl Part {
    /// Adds a cell to those for this broker. So many may follow: mostly one broker leads all of them.
    pub fn put(parts: &mut Vec<Self>, to: Target, cell: Cell, following: usize) {
        Self::put_at(parts, 0, to, cell, following);
    }

    /// The same for a broker that gets several: to this one of its parts.
    pub(super) fn put_at(parts: &mut Vec<Self>, place: usize, to: Target, cell: Cell, following: usize) {
        if let Some(part) = parts.iter_mut().filter(|part| part.to == to).nth(place) {
            return part.cells.push(cell);
        }
        let mut cells = Vec::with_capacity(1 + following);
        cells.push(cell);
        parts.push(Self { to, cells });
    }

    /// Lets go of the records, once they are on their way: the frame's memory is used again as soon as it is written.
    pub fn release_records(&mut self) {
        self.cells.iter_mut().for_each(|cell| cell.records = None);
    }
}
