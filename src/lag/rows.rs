//! How far each group is behind, as the table and the API tell it: one row for each partition, the worst first, and sums.

use crate::types::Name;
use kafka_protocol::protocol::StrBytes;

/// Where the seconds of a lag come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// We saw the record being written.
    Arrival,
    /// We saw the end move: it is at most so old.
    Noticed,
    /// The record's own time stamp.
    RecordTime,
    /// They are not known.
    Unknown,
}

impl Source {
    /// As metrics and the API have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arrival => "arrival",
            Self::Noticed => "noticed",
            Self::RecordTime => "record_time",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a group is behind: the first that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is not.
    Nothing,
    /// Nobody is there to read.
    NoMembers,
    /// Its clients were told to wait within the last minute.
    Throttled,
    /// Most of it was never handed out.
    NotFetched,
    /// Producers write more than twice of what they did.
    Surge,
    /// It was handed out and not committed.
    NotCommitted,
}

impl Why {
    /// As the table and the API have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "-",
            Self::NoMembers => "no members",
            Self::Throttled => "throttled",
            Self::NotFetched => "not fetched",
            Self::Surge => "surge",
            Self::NotCommitted => "not committed",
        }
    }
}

/// A group at a partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The pipeline of the topic.
    pub pipeline: Name,
    /// The home of the topic.
    pub cluster: Name,
    /// The group; `-` for readers that belong to none.
    pub group: StrBytes,
    /// The topic.
    pub topic: StrBytes,
    /// The partition's number.
    pub partition: i32,
    /// Up to where it has committed, where it has.
    pub committed: Option<i64>,
    /// Up to where it was handed records, where that is known.
    pub fetched: Option<i64>,
    /// Behind the last record that it may be given.
    pub end: Option<i64>,
    /// How many records it is behind.
    pub lag: Option<i64>,
    /// How old the first of them is; 0 where there is none.
    pub seconds: Option<f64>,
    /// How long until retention takes that one, if nothing is read.
    pub margin: Option<f64>,
    /// Where `seconds` come from.
    pub source: Source,
    /// Why it is behind.
    pub why: Why,
}

/// Several rows in one.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// The pipeline.
    pub pipeline: Name,
    /// The topic's home; `None` in sums of a whole pipeline.
    pub cluster: Option<Name>,
    /// The group.
    pub group: StrBytes,
    /// The topic; `None` in sums of a whole pipeline.
    pub topic: Option<StrBytes>,
    /// Records of all.
    pub lag: i64,
    /// The most of any, where one is known.
    pub seconds: Option<f64>,
    /// How many partitions are counted.
    pub partitions: u64,
}

/// Which rows are asked for; `None` means all.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Those of one group.
    pub group: Option<String>,
    /// Those of one pipeline's topics.
    pub pipeline: Option<String>,
    /// Those of one topic.
    pub topic: Option<String>,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// One for each group and partition, the worst first.
    pub rows: Vec<Row>,
    /// By topic, the worst first.
    pub topics: Vec<Sum>,
    /// By pipeline, the worst first.
    pub pipelines: Vec<Sum>,
}
