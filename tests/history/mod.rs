//! What was sent and what was read back, and whether the two fit: the one judge of all fault tests. Pure: it takes
//! values and returns a verdict, and knows neither Kafka nor Fishplate.

mod judge;
mod verdict;

pub use judge::judge;
pub use verdict::{Damage, Verdict};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// A topic's partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// Kafka's number of it.
    pub index: i32,
}

/// One record's identity: who sent it, and its number in the order in which that producer sent. Stands in its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Payload {
    /// Unique in a history.
    pub producer: u32,
    /// Grows with every record that the producer sends, to whatever partition.
    pub number: u64,
}

/// What a producer's client promises where every answer that it gets is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Idempotent: once, and in the order in which it was sent.
    ExactlyOnce,
    /// Not idempotent: a retry may write again and may overtake.
    AtLeastOnce,
}

/// What became of a record, as far as its producer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Sent, and no answer came, or none that says: it may be there or not.
    Unknown,
    /// Acknowledged, at this offset where the client told one.
    Acknowledged(Option<i64>),
    /// Refused for good, or its transaction was aborted: a reader must not see it.
    Refused,
}

/// A record that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Where to.
    pub partition: Partition,
    /// What became of it.
    pub outcome: Outcome,
}

/// A record that was read. What holds no payload of this history is a record that nobody sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Where.
    pub partition: Partition,
    /// Its offset as the reader was told.
    pub offset: i64,
    /// What it holds.
    pub payload: Option<Payload>,
}

/// What one reader saw, in the order in which it saw it: one pass, without a seek or a rebalance in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// For messages: `directly from a`, `through fishplate`.
    pub reader: String,
    /// Topics of which it read every partition from its start to its end after all producers had finished.
    pub covers: BTreeSet<Arc<str>>,
    /// In the order of reading.
    pub reads: Vec<Read>,
}

/// All that is known of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// What each producer promises.
    pub producers: BTreeMap<u32, Promise>,
    /// Everything that was sent.
    pub sent: BTreeMap<Payload, Sent>,
    /// Everything that was read.
    pub passes: Vec<Pass>,
}

impl History {
    /// A producer begins; its records come by [`History::send`].
    pub fn producer(&mut self, producer: u32, promise: Promise) {
        self.producers.insert(producer, promise);
    }

    /// A record is about to be sent: from here on it may be there.
    pub fn send(&mut self, payload: Payload, partition: Partition) {
        self.sent.insert(payload, Sent { partition, outcome: Outcome::Unknown });
    }

    /// An answer came for a record that was sent.
    pub fn answer(&mut self, payload: Payload, outcome: Outcome) {
        if let Some(sent) = self.sent.get_mut(&payload) {
            sent.outcome = outcome;
        }
    }

    /// A reader finished a pass.
    pub fn pass(&mut self, pass: Pass) {
        self.passes.push(pass);
    }
}

impl Partition {
    /// Of a topic.
    pub fn new(topic: impl Into<Arc<str>>, index: i32) -> Self {
        Self { topic: topic.into(), index }
    }
}

impl Payload {
    /// From the text of [`Payload`]'s `Display`; what else is in a record after a blank does not matter.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (producer, number) = text.split(' ').next()?.split_once('/')?;
        Some(Self { producer: producer.parse().ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.producer, self.number)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}
