//! How far groups are behind: the worst first, with what is the matter, and sums.

use super::tables::{ROWS, View};
use crate::lag::rows::{Row, Rows, Sum, Which};
use serde::{Deserialize, Serialize};

/// What is asked.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct AskedLag {
    /// Of one group.
    pub group: Option<String>,
    /// Of one pipeline's topics.
    pub pipeline: Option<String>,
    /// Of one topic.
    pub topic: Option<String>,
    /// How many rows.
    pub limit: Option<usize>,
}

/// How far groups are behind.
#[derive(Debug, Serialize)]
pub struct LagTable {
    /// Groups at partitions, also those that no row is shown of.
    pub total: usize,
    /// The worst of them, the worst first.
    pub rows: Vec<LagRow>,
    /// The same by topic.
    pub topics: Vec<LagSum>,
    /// The same by pipeline.
    pub pipelines: Vec<LagSum>,
}

/// A group at a partition. What is not known is null.
#[derive(Debug, Serialize)]
pub struct LagRow {
    /// The group; `-` for readers that belong to none.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The pipeline of the topic.
    pub pipeline: String,
    /// Its home.
    pub cluster: String,
    /// Records that are not committed.
    pub lag: Option<i64>,
    /// How long the first of them has been there, in seconds; 0 where there is none.
    pub seconds: Option<f64>,
    /// Where that comes from: `arrival`, `noticed`, `record_time` or `unknown`.
    pub source: &'static str,
    /// Why the group is behind; `-` where it is not.
    pub why: &'static str,
    /// Up to where it has committed.
    pub committed: Option<i64>,
    /// Seconds since the group last said so itself; null where it has not, since we started.
    pub committed_ago_seconds: Option<f64>,
    /// Up to where it was handed records.
    pub fetched: Option<i64>,
    /// Behind the last record that it may be given.
    pub end: Option<i64>,
    /// Seconds until retention takes the first record that is not committed, if nothing is read.
    pub retention_margin_seconds: Option<f64>,
}

/// Several of them in one.
#[derive(Debug, Serialize)]
pub struct LagSum {
    /// The pipeline.
    pub pipeline: String,
    /// The topic; null in sums of a pipeline.
    pub topic: Option<String>,
    /// The group.
    pub group: String,
    /// Records of all partitions.
    pub lag: i64,
    /// The most seconds of any.
    pub seconds: Option<f64>,
    /// How many partitions are counted.
    pub partitions: u64,
}

/// How far groups are behind now. `None` where finding out panicked.
pub async fn lag(view: &View, asked: AskedLag) -> Option<LagTable> {
    let AskedLag { group, pipeline, topic, limit } = asked;
    let most = limit.unwrap_or(ROWS).min(ROWS);
    let Rows { mut rows, mut topics, mut pipelines } = view.lag.rows(Which { group, pipeline, topic }).await?;
    let total = rows.len();
    rows.truncate(most);
    [&mut topics, &mut pipelines].into_iter().for_each(|sums| sums.truncate(most));
    let sums = |sums: Vec<Sum>| sums.into_iter().map(LagSum::from).collect();
    Some(LagTable {
        total,
        rows: rows.into_iter().map(LagRow::from).collect(),
        topics: sums(topics),
        pipelines: sums(pipelines),
    })
}

impl From<Row> for LagRow {
    fn from(row: Row) -> Self {
        Self {
            group: row.group.to_string(),
            topic: row.topic.to_string(),
            partition: row.partition,
            pipeline: row.pipeline.to_string(),
            cluster: row.cluster.to_string(),
            lag: row.lag,
            seconds: row.seconds,
            source: row.source.as_str(),
            why: row.why.as_str(),
            committed: row.committed,
            committed_ago_seconds: row.committed_ago,
            fetched: row.fetched,
            end: row.end,
            retention_margin_seconds: row.margin,
        }
    }
}

impl From<Sum> for LagSum {
    fn from(sum: Sum) -> Self {
        Self {
            pipeline: sum.pipeline.to_string(),
            topic: sum.topic.map(|topic| topic.to_string()),
            group: sum.group.to_string(),
            lag: sum.lag,
            seconds: sum.seconds,
            partitions: sum.partitions,
        }
    }
}
