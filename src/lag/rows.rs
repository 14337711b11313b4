//! How far each group is behind, as the table and the API tell it: one row for each partition, the worst first, and sums.

use super::groups::Group;
use super::look::{Seen, UNTIED};
use super::measure::Then;
use super::sums::{Sums, Total, Who};
use super::topics::TopicAt;
use super::{Ledger, Now};
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
    /// How long ago it last said so itself, where it has.
    pub committed_ago: Option<f64>,
    /// Up to where it was handed records, where that is known.
    pub fetched: Option<i64>,
    /// Behind the last record that it may be given.
    pub end: Option<i64>,
    /// How many records it is behind.
    pub lag: Option<i64>,
    /// How old the first of them is; 0 where there is none, as far as was confirmed lately.
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

impl Which {
    fn has(&self, seen: &Seen<'_>) -> bool {
        let place = &seen.topic.place;
        let is = |asked: &Option<String>, name: &str| asked.as_deref().is_none_or(|asked| asked == name);
        is(&self.group, seen.group_name())
            && is(&self.pipeline, place.pipeline.as_str())
            && is(&self.topic, place.topic.as_str())
    }
}

/// Milliseconds as seconds.
#[allow(clippy::cast_precision_loss, reason = "exact for hundreds of thousands of years")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn row(seen: &Seen<'_>, then: Then) -> Row {
    let place = &seen.topic.place;
    Row {
        pipeline: place.pipeline.clone(),
        cluster: place.cluster.clone(),
        group: group_name(seen.group.map(|(_, group)| group)),
        topic: place.topic.clone(),
        partition: seen.index,
        committed: seen.committed,
        committed_ago: seen.said.map(|said| seconds(said.until(then.moment))),
        fetched: seen.fetched,
        end: seen.measure.end,
        lag: seen.measure.lag,
        seconds: seen.measure.age.map(seconds),
        margin: seen.measure.margin.map(seconds),
        source: seen.measure.source,
        why: seen.why(then),
    }
}

fn group_name(group: Option<&Group>) -> StrBytes {
    group.map_or(StrBytes::from_static_str(UNTIED), |group| group.name.clone())
}

/// The worst first: by records, then by age, then by name.
fn worst_first(one: &Row, other: &Row) -> std::cmp::Ordering {
    let by_lag = other.lag.cmp(&one.lag).then(other.seconds.unwrap_or(0.0).total_cmp(&one.seconds.unwrap_or(0.0)));
    let by_name = || one.group.as_str().cmp(other.group.as_str()).then(one.topic.as_str().cmp(other.topic.as_str()));
    by_lag.then_with(by_name).then(one.partition.cmp(&other.partition))
}

impl Ledger {
    /// How far groups are behind.
    #[must_use]
    pub fn rows(&self, which: &Which, now: Now) -> Rows {
        let then = self.then(now);
        let seen: Vec<_> = self.look(then).filter(|seen| which.has(seen)).collect();
        let sums = Sums::of(&seen);
        let mut rows: Vec<_> = seen.iter().map(|seen| row(seen, then)).collect();
        rows.sort_by(worst_first);
        let topics = sums.topics.iter().filter_map(|(of, total)| self.topic_sum(*of, *total)).collect();
        let pipelines = sums.pipelines.iter().map(|(of, total)| self.pipeline_sum(of, *total)).collect();
        let mut rows = Rows { rows, topics, pipelines };
        for sums in [&mut rows.topics, &mut rows.pipelines] {
            sums.sort_by_key(|sum| std::cmp::Reverse(sum.lag));
        }
        rows
    }

    fn name_of(&self, who: Who) -> StrBytes {
        group_name(who.and_then(|group| self.groups.get(group)))
    }

    fn topic_sum(&self, (topic, who): (TopicAt, Who), total: Total) -> Option<Sum> {
        let place = &self.topics.get(topic)?.place;
        let (pipeline, cluster) = (place.pipeline.clone(), Some(place.cluster.clone()));
        Some(sum(pipeline, cluster, self.name_of(who), Some(place.topic.clone()), total))
    }

    fn pipeline_sum(&self, (pipeline, who): &(Name, Who), total: Total) -> Sum {
        sum(pipeline.clone(), None, self.name_of(*who), None, total)
    }
}

fn sum(pipeline: Name, cluster: Option<Name>, group: StrBytes, topic: Option<StrBytes>, total: Total) -> Sum {
    let Total { lag, age, partitions } = total;
    Sum { pipeline, cluster, group, topic, lag, seconds: age.map(seconds), partitions }
}
