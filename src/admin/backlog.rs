//! Whose records a group has not dealt with: its partition is read from where it stands on, as far as there is time, and counted
//! by a key of the pipeline's limits. Nothing is kept of it.

use super::tables::{ROWS, View, plain};
use super::tokens::{self, TokenRow, Unknown, row};
use crate::error::Fault;
use crate::lag::rows::Which;
use crate::lag::sweep::{FETCH, ask_records, records_told};
use crate::policy::backlog::Backlog;
use crate::policy::rulings::Ruling;
use crate::policy::talkers::Counts;
use crate::wire::compression::at_desk;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;

/// Rows where nobody says how many.
const FEW: usize = 20;
/// No more is read, bytes as the cluster keeps them.
const MOST: usize = 16 << 20;
/// And for no longer.
const WITHIN: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct AskedBacklog {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// By which key, as a limit has it; the first one of the pipeline's where it is left out.
    pub key: Option<String>,
    /// How many rows.
    pub limit: Option<usize>,
    /// Not masked.
    #[serde(default)]
    pub reveal: bool,
}

/// Who is in a backlog.
#[derive(Debug, Serialize)]
pub struct Told {
    /// The pipeline of the topic.
    pub pipeline: String,
    /// By which key it was counted.
    pub key: String,
    /// By which others it could be.
    pub other_keys: Vec<String>,
    /// The first offset that is not committed.
    pub from: i64,
    /// Behind the last that was looked at.
    pub looked_up_to: i64,
    /// Behind the last that there is.
    pub end: i64,
    /// Batches that could not be read.
    pub unreadable_batches: u64,
    /// Whether tokens are masked.
    pub masked: bool,
    /// What was looked at.
    pub all: Counts,
    /// How many tokens are known.
    pub total: usize,
    /// Those with the most records.
    pub rows: Vec<TokenRow>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// Nothing is known of such a group at such a partition.
    #[error("nothing is known of a group `{group}` at partition {partition} of `{topic}`; see `fishplate lag`")]
    NoSuchRow {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// Its pipeline counts nobody, or not by that.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The partition cannot be read.
    #[error("the partition cannot be read: {0}")]
    Fault(#[from] Fault),
}

/// Reads what a group has not dealt with, and counts. Whoever asks for more than masks must be one who may see them.
pub async fn backlog(view: &View, asked: &AskedBacklog) -> Result<Told, Why> {
    let which = Which { group: Some(asked.group.clone()), topic: Some(asked.topic.clone()), pipeline: None };
    let found =
        view.lag.rows(which).await.unwrap_or_default().rows.into_iter().find(|row| row.partition == asked.partition);
    let stands = found.and_then(|row| Some((row.committed.or(row.fetched)?, row.end?, row)));
    let Some((from, end, lag)) = stands else {
        let named = |text: &str| plain(text.as_bytes());
        return Err(Why::NoSuchRow {
            group: named(&asked.group),
            topic: named(&asked.topic),
            partition: asked.partition,
        });
    };
    let (ruling, place, keys) = tokens::counted_by(view, lag.pipeline.as_str(), asked.key.as_deref())?;
    let Some(talkers) = ruling.policy.talkers.get(place) else { return Err(unknown(&asked.key, keys).into()) };
    let mut counted = Backlog::new(talkers, from);
    let began = Instant::now();
    let mut read = 0;
    while counted.next < end && read < MOST && began.elapsed() < WITHIN {
        let records = records(view, asked, counted.next).await?;
        if records.is_empty() {
            break;
        }
        read += records.len();
        let before = counted.next;
        counted = look(counted, Arc::clone(&ruling), records).await?;
        if counted.next <= before {
            break;
        }
    }
    let top = counted.top(asked.limit.unwrap_or(FEW).min(ROWS), Instant::now());
    let other_keys = keys.iter().enumerate().filter(|(at, _)| *at != place).map(|(_, key)| key.clone()).collect();
    Ok(Told {
        pipeline: lag.pipeline.to_string(),
        key: keys.get(place).cloned().unwrap_or_default(),
        other_keys,
        from,
        looked_up_to: counted.next.min(end),
        end,
        unreadable_batches: counted.unreadable,
        masked: !asked.reveal,
        all: top.all,
        total: top.known,
        rows: top.keys.into_iter().map(|spoken| row(spoken, asked.reveal)).collect(),
    })
}

fn unknown(key: &Option<String>, keys: Vec<String>) -> Unknown {
    Unknown::Key { key: plain(key.as_deref().unwrap_or_default().as_bytes()), keys }
}

async fn records(view: &View, asked: &AskedBacklog, from: i64) -> Result<Bytes, Fault> {
    let placement = view.current.load();
    let Some((slot, broker, request)) = ask_records(&asked.topic, asked.partition, from, &placement) else {
        return Err(Fault::proxy("nobody leads it now"));
    };
    let cluster = view.clusters.get(slot).ok_or_else(|| Fault::cluster(slot, "it is not in the config"))?;
    let answer = cluster.call(Some(broker), &request, FETCH).await?;
    records_told(&answer).map_err(|code| Fault::cluster(slot, crate::api::errors::name(code)))
}

/// On a thread that carries no client: records are decompressed.
async fn look(mut backlog: Backlog, ruling: Arc<Ruling>, records: Bytes) -> Result<Backlog, Fault> {
    let looked = spawn_blocking(move || {
        at_desk(|desk| backlog.look(&ruling.policy, &records, desk, Instant::now()));
        backlog
    });
    looked.await.map_err(|_| Fault::proxy("records could not be looked at"))
}
