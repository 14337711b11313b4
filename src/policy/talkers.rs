//! Who speaks most: for each key that a pipeline's limits count by, the keys with the most records, bytes, records moved aside
//! and records held, of the last minute and the last ten. Fed once a batch; tokens are kept of those few only. Time comes
//! from the caller.

mod heard;
mod sketch;
mod window;

pub use heard::Heard;
pub use sketch::{COUNTERS, Counts, LONGEST};

use super::keys::{Hashed, Key};
use crate::config;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sketch::Text;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use window::Windows;

/// So many different keys of one pipeline are listened to: each costs its part of every record.
pub const MOST_KEYS: usize = 4;
/// Threads that judge at once seldom wait for each other.
const SHARDS: usize = 4;

/// Of when it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Span {
    /// The last minute, and up to 20 seconds before it.
    #[default]
    #[serde(rename = "1m")]
    Minute,
    /// The last ten minutes, and up to 200 seconds before them.
    #[serde(rename = "10m")]
    TenMinutes,
}

/// By what keys are put in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// How many records.
    #[default]
    Records,
    /// How many bytes: key, value and headers, not compressed.
    Bytes,
    /// How many were moved aside, dropped or refused.
    Diverted,
    /// How many had their client wait.
    Held,
}

impl By {
    /// That of these.
    #[must_use]
    pub fn of(self, counts: Counts) -> u64 {
        match self {
            Self::Records => counts.records,
            Self::Bytes => counts.bytes,
            Self::Diverted => counts.diverted,
            Self::Held => counts.held,
        }
    }
}

/// Those who speak under one key.
pub struct Talkers {
    /// As it was written.
    pub written: config::policy::Key,
    /// And as it is looked for.
    pub key: Key,
    shards: Arc<[Mutex<Windows>; SHARDS]>,
}

/// The keys with the most of something.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// How long ago the first of what is told here was said.
    pub over: Duration,
    /// What all keys said together.
    pub all: Counts,
    /// How many keys something is known of.
    pub known: usize,
    /// The first of them.
    pub keys: Vec<Spoken>,
}

/// What one key said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// What it is, cut at [`LONGEST`]; none of records without it.
    pub text: Option<Vec<u8>>,
    /// As far as it is known: at least so much.
    pub counts: Counts,
}

impl Talkers {
    /// Nobody has spoken yet.
    #[must_use]
    pub fn new(written: config::policy::Key, key: Key) -> Self {
        Self { written, key, shards: Arc::default() }
    }

    /// What was heard under the key as another config has it: it is heard on.
    #[must_use]
    pub fn under(&self, key: Key) -> Self {
        Self { written: self.written.clone(), key, shards: Arc::clone(&self.shards) }
    }

    /// Notes what records of a batch come to, and takes it in where there is no room for more.
    #[inline]
    pub fn note(
        &self,
        heard: &mut Heard,
        (key, counts): (Hashed, Counts),
        now: Instant,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) {
        heard.add(key, counts, write);
        if heard.is_full() {
            self.take(heard, now);
        }
    }

    /// Takes in what was heard of a batch, or a part of one, and empties it.
    pub fn take(&self, heard: &mut Heard, now: Instant) {
        if let Some(shard) = self.shards.get(mine() % SHARDS) {
            shard.lock().hear(heard, now);
        }
        heard.clear();
    }

    /// The keys that said the most, at most so many.
    #[must_use]
    pub fn top(&self, span: Span, by: By, most: usize, now: Instant) -> Top {
        let mut top = Top::default();
        let mut keys: HashMap<Hashed, (Option<Text>, Counts)> = HashMap::new();
        for shard in &*self.shards {
            let mut windows = shard.lock();
            let (since, all) = windows.each(span, now, |key, text, counts| {
                let (_, known) = keys.entry(key).or_insert_with(|| (text.cloned(), Counts::default()));
                *known += counts;
            });
            top.over = top.over.max(since);
            top.all += all;
        }
        let mut keys: Vec<_> = keys.into_values().filter(|(_, counts)| by.of(*counts) > 0).collect();
        top.known = keys.len();
        keys.sort_by_key(|(text, counts)| {
            (Reverse(by.of(*counts)), Reverse(counts.records), text.as_ref().map(|text| text.as_slice().to_vec()))
        });
        keys.truncate(most);
        top.keys = keys
            .into_iter()
            .map(|(text, counts)| Spoken { text: text.map(|text| text.as_slice().to_vec()), counts })
            .collect();
        top
    }
}

/// The number of the thread that asks.
fn mine() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    MINE.with(|mine| *mine)
}

#[cfg(test)]
mod tests;
