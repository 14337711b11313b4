//! A full Fetch as it is split: every partition with where its client stands and the broker that is asked for it, or
//! the answer that we give.

use super::roll::{Slot, TopicSlot};
use crate::wire::fetch::{Part, Terms};
use kafka_protocol::protocol::StrBytes;
use std::mem;

/// Where a client stands in a partition. An answer for another position is none for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The first offset that is wanted.
    offset: i64,
    /// What the client holds for the leader's epoch.
    epoch: i32,
    /// That of the last record it has.
    fetched_epoch: i32,
}

impl Position {
    pub(super) fn of(part: &Part) -> Self {
        Self { offset: part.offset, epoch: part.leader_epoch, fetched_epoch: part.fetched_epoch }
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct Asked {
    pub(super) terms: Terms,
    /// The client's.
    pub(super) version: i16,
    /// Which Fetch it is.
    pub(super) number: u32,
    /// In the client's order, none without partitions.
    pub(super) topics: Vec<AskedTopic>,
    /// In the client's order, each partition once.
    pub(super) entries: Vec<Entry>,
    /// Those that are asked, each once.
    pub(super) brokers: Vec<u16>,
    /// Some of it is answered by us.
    ours: bool,
    /// Where the client is, or nothing.
    pub(super) rack: StrBytes,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct AskedTopic {
    pub(super) slot: TopicSlot,
    /// Where its entries end; they begin where those of the topic before it end.
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) slot: Slot,
    pub(super) whom: Whom,
    pub(super) part: Part,
}

/// Who answers for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// The broker of this number.
    Broker(u16),
    /// We do, with this error.
    Us(i16),
}

impl Asked {
    /// One that names nothing yet; so many partitions are expected.
    pub(super) fn new(terms: Terms, version: i16, number: u32, expected: usize) -> Self {
        let entries = Vec::with_capacity(expected);
        let (topics, brokers, rack) = (Vec::new(), Vec::new(), StrBytes::new());
        Self { terms, version, number, topics, entries, brokers, ours: false, rack }
    }

    /// Whether one broker answers all of it.
    pub(super) fn is_for_one(&self) -> bool {
        self.brokers.len() == 1 && !self.ours
    }

    /// Its client is in this rack (KIP-392).
    pub fn in_rack(&mut self, rack: StrBytes) {
        self.rack = rack;
    }

    /// Whether it names no partition.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Each topic with its entries.
    pub(super) fn each(&self) -> impl Iterator<Item = (TopicSlot, &[Entry])> {
        let mut from = 0;
        self.topics.iter().map(move |topic| {
            let entries = self.entries.get(from..topic.end).unwrap_or_default();
            from = topic.end;
            (topic.slot, entries)
        })
    }

    /// A partition that was named already, there.
    pub(super) fn name_again(&mut self, at: usize, again: Entry) {
        if let Some(first) = self.entries.get_mut(at).filter(|first| first.slot == again.slot) {
            first.part = again.part;
        }
    }

    pub(super) fn drop_empty_topics(&mut self) {
        let mut from = 0;
        self.topics.retain(|topic| mem::replace(&mut from, topic.end) < topic.end);
    }

    /// A partition of the last topic.
    #[inline]
    pub(super) fn name(&mut self, entry: Entry) {
        match entry.whom {
            Whom::Us(_) => self.ours = true,
            Whom::Broker(at) if self.brokers.contains(&at) => {}
            Whom::Broker(at) => self.brokers.push(at),
        }
        self.entries.push(entry);
    }

    /// The last topic has no further partition.
    pub(super) fn end_topic(&mut self) {
        if let Some(last) = self.topics.last_mut() {
            last.end = self.entries.len();
        }
    }
}
