//! What brokers have told of a split share session, until its member takes it, and the answers that are made of it.

use super::asked::Partition;
use super::split::Outcome;
use crate::api::codes;
use bytes::Bytes;
use kafka_protocol::messages::ShareFetchResponse;
use kafka_protocol::messages::share_acknowledge_request::AcknowledgementBatch;
use kafka_protocol::messages::share_acknowledge_response::{self, ShareAcknowledgeTopicResponse};
use kafka_protocol::messages::share_fetch_response::{LeaderIdAndEpoch, PartitionData, ShareFetchableTopicResponse};
use kafka_protocol::messages::{ShareAcknowledgeResponse, share_fetch_response};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The type of an acknowledgement that gives a record back.
const RELEASE: i8 = 2;

/// A broker's answer, with what there is to tell.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) pieces: Vec<(Uuid, PartitionData)>,
    /// The frame that records are slices of.
    pub(super) frame: Bytes,
    pub(super) came: Instant,
    /// For how long its records are this member's, from then on.
    pub(super) lock_ms: i32,
    pub(super) throttle_ms: i32,
}

impl Kept {
    /// Its records.
    pub(super) fn records(&self) -> i64 {
        self.pieces.iter().map(|(_, piece)| records(piece)).fold(0, i64::saturating_add)
    }

    /// Whether it bears records, and not only errors.
    pub(super) fn has_records(&self) -> bool {
        self.pieces.iter().any(|(_, piece)| bears_records(piece))
    }

    /// Whether the broker has given its records to others by now.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.lock_ms > 0 && self.remaining_ms(now) == 0
    }

    fn remaining_ms(&self, now: Instant) -> i32 {
        let age = now.saturating_duration_since(self.came).as_millis();
        self.lock_ms.saturating_sub(i32::try_from(age).unwrap_or(i32::MAX)).max(0)
    }

    /// Takes out what is of other partitions than these, and gives what gives its records back.
    pub(super) fn retain(
        &mut self,
        is_named: impl Fn(&Partition) -> bool,
    ) -> Vec<(Partition, Vec<AcknowledgementBatch>)> {
        let mut back = Vec::new();
        self.pieces.retain(|(topic, piece)| {
            let at = (*topic, piece.partition_index);
            let named = is_named(&at);
            if !named && !piece.acquired_records.is_empty() {
                back.push((at, released(piece)));
            }
            named
        });
        back
    }
}

fn records(piece: &PartitionData) -> i64 {
    let ranges = piece.acquired_records.iter();
    let each = ranges.map(|range| range.last_offset.saturating_sub(range.first_offset).saturating_add(1).max(0));
    each.fold(0, i64::saturating_add)
}

/// Whether a partition was told with records.
pub(super) fn bears_records(piece: &PartitionData) -> bool {
    !piece.acquired_records.is_empty() || piece.records.as_ref().is_some_and(|records| !records.is_empty())
}

fn released(piece: &PartitionData) -> Vec<AcknowledgementBatch> {
    let range = |range: &share_fetch_response::AcquiredRecords| {
        AcknowledgementBatch::default()
            .with_first_offset(range.first_offset)
            .with_last_offset(range.last_offset)
            .with_acknowledge_types(vec![RELEASE])
    };
    piece.acquired_records.iter().map(range).collect()
}

/// An answer that is being put together.
#[derive(Debug)]
pub(super) struct Reply {
    partitions: BTreeMap<Partition, PartitionData>,
    pub(super) sources: Vec<Bytes>,
    records: i64,
    bytes: usize,
    lock_ms: Option<i32>,
    throttle_ms: i32,
}

impl Reply {
    pub(super) fn new() -> Self {
        Self { partitions: BTreeMap::new(), sources: Vec::new(), records: 0, bytes: 0, lock_ms: None, throttle_ms: 0 }
    }

    /// Whether what a broker told fits beside what is there: no more records and bytes than the member asked for, and no
    /// partition twice. The first always does.
    pub(super) fn fits(&self, kept: &Kept, (records, bytes): (i64, usize)) -> bool {
        let twice =
            kept.pieces.iter().any(|(topic, piece)| self.partitions.contains_key(&(*topic, piece.partition_index)));
        let much = self.records.saturating_add(kept.records()) > records || self.bytes + kept.frame.len() > bytes;
        !twice && (self.sources.is_empty() || !much)
    }

    pub(super) fn take(&mut self, kept: Kept, now: Instant) {
        self.records = self.records.saturating_add(kept.records());
        self.bytes += kept.frame.len();
        self.throttle_ms = self.throttle_ms.max(kept.throttle_ms);
        if kept.has_records() {
            let remaining = kept.remaining_ms(now);
            self.lock_ms = Some(self.lock_ms.map_or(remaining, |least| least.min(remaining)));
        }
        self.sources.push(kept.frame);
        self.partitions.extend(kept.pieces.into_iter().map(|(topic, piece)| ((topic, piece.partition_index), piece)));
    }

    /// A partition that no broker can be asked for.
    pub(super) fn refuse(&mut self, at: Partition, code: i16) {
        self.partitions.entry(at).or_insert_with(|| plain(at.1)).error_code = code;
    }

    pub(super) fn acknowledged(&mut self, at: Partition, outcome: Outcome) {
        let piece = self.partitions.entry(at).or_insert_with(|| plain(at.1));
        (piece.acknowledge_error_code, piece.acknowledge_error_message) = (outcome.code, outcome.message);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The answer, and for how long records are the member's where they are told so; else as it was said last.
    pub(super) fn write(self, lock_ms: i32) -> (ShareFetchResponse, Vec<Bytes>) {
        let mut told: Vec<ShareFetchableTopicResponse> = Vec::new();
        for ((topic, _), piece) in self.partitions {
            match told.last_mut().filter(|last| last.topic_id == topic) {
                Some(last) => last.partitions.push(piece),
                None => {
                    told.push(ShareFetchableTopicResponse::default().with_topic_id(topic).with_partitions(vec![piece]))
                }
            }
        }
        let answer = ShareFetchResponse::default()
            .with_throttle_time_ms(self.throttle_ms)
            .with_acquisition_lock_timeout_ms(self.lock_ms.unwrap_or(lock_ms))
            .with_responses(told);
        (answer, self.sources)
    }
}

/// A partition of which nothing is told yet. Who leads it is nothing to a client that sees one node. No records are an empty list:
/// Java does not read what has none at all.
fn plain(index: i32) -> PartitionData {
    let leader = LeaderIdAndEpoch::default().with_leader_id(-1).with_leader_epoch(-1);
    let records = Some(Bytes::new());
    PartitionData::default().with_partition_index(index).with_current_leader(leader).with_records(records)
}

/// The answer to who only acknowledges.
pub(super) fn acknowledged(outcomes: BTreeMap<Partition, Outcome>) -> ShareAcknowledgeResponse {
    let mut told: Vec<ShareAcknowledgeTopicResponse> = Vec::new();
    for ((topic, index), outcome) in outcomes {
        let leader = share_acknowledge_response::LeaderIdAndEpoch::default().with_leader_id(-1).with_leader_epoch(-1);
        let piece = share_acknowledge_response::PartitionData::default()
            .with_partition_index(index)
            .with_error_code(outcome.code)
            .with_error_message(outcome.message)
            .with_current_leader(leader);
        match told.last_mut().filter(|last| last.topic_id == topic) {
            Some(last) => last.partitions.push(piece),
            None => {
                told.push(ShareAcknowledgeTopicResponse::default().with_topic_id(topic).with_partitions(vec![piece]))
            }
        }
    }
    ShareAcknowledgeResponse::default().with_responses(told)
}

/// Errors that say that another broker leads the partition, or none right now: the session is moved, and the member, who sees
/// one node, can do nothing.
pub(super) fn is_elsewhere(code: i16) -> bool {
    matches!(
        code,
        codes::LEADER_NOT_AVAILABLE
            | codes::NOT_LEADER_OR_FOLLOWER
            | codes::KAFKA_STORAGE_ERROR
            | codes::FENCED_LEADER_EPOCH
            | codes::UNKNOWN_LEADER_EPOCH
    )
}

/// A broker that has nothing to tell should have waited for at least so much of what it was asked to.
pub(super) fn waited(asked: Duration) -> Duration {
    asked / 2
}
