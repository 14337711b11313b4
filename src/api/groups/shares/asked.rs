//! What a member asks, of either kind of request, as its split session takes it.

use super::{OPENS, ShareRequest};
use crate::api::{Need, Seen};
use kafka_protocol::messages::share_acknowledge_request::AcknowledgementBatch;
use kafka_protocol::messages::{ShareAcknowledgeRequest, ShareFetchRequest};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// A partition, as share groups call it.
pub type Partition = (Uuid, i32);

/// What became of records, by partition.
pub(super) type Acknowledgements = BTreeMap<Partition, Vec<AcknowledgementBatch>>;

/// See the module's text.
#[derive(Debug)]
pub struct Asked {
    /// Of the member's session: 0 opens it, -1 ends it.
    pub(super) epoch: i32,
    /// To be read from now on.
    pub(super) named: Vec<Partition>,
    /// No longer.
    pub(super) forgotten: Vec<Partition>,
    pub(super) acknowledged: Acknowledgements,
    /// How it wants to read; `None` where it only acknowledges.
    pub(super) terms: Option<Terms>,
}

/// How a member wants to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) max_wait_ms: i32,
    pub(super) min_bytes: i32,
    pub(super) max_bytes: i32,
    /// A wish in version 1: a broker gives whole batches.
    pub(super) max_records: i32,
    pub(super) batch_size: i32,
}

impl Terms {
    pub(super) fn max_wait(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.max_wait_ms).unwrap_or(0))
    }
}

impl Asked {
    /// Whether it opens the member's session.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.epoch == OPENS
    }

    /// Whether it reads, and does not only acknowledge.
    #[must_use]
    pub fn reads(&self) -> bool {
        self.terms.is_some()
    }

    /// What must be known first.
    #[must_use]
    pub fn need(&self, seen: &Seen<'_>) -> Option<Need> {
        let unknown = self.named.iter().any(|(topic, _)| seen.placement.topic_by_id(*topic).is_none());
        (unknown && seen.refusal(&Need::AllTopics).is_none()).then_some(Need::AllTopics)
    }
}

impl From<ShareFetchRequest> for Asked {
    fn from(request: ShareFetchRequest) -> Self {
        let named = request.partitions().collect();
        let forgotten = request.forgotten_topics_data.iter();
        let forgotten = forgotten.flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic_id, *index)));
        let mut acknowledged = Acknowledgements::new();
        for topic in &request.topics {
            for partition in topic.partitions.iter().filter(|partition| !partition.acknowledgement_batches.is_empty()) {
                let batches = partition.acknowledgement_batches.iter().map(|batch| {
                    AcknowledgementBatch::default()
                        .with_first_offset(batch.first_offset)
                        .with_last_offset(batch.last_offset)
                        .with_acknowledge_types(batch.acknowledge_types.clone())
                });
                acknowledged.entry((topic.topic_id, partition.partition_index)).or_default().extend(batches);
            }
        }
        let terms = Terms {
            max_wait_ms: request.max_wait_ms,
            min_bytes: request.min_bytes,
            max_bytes: request.max_bytes,
            max_records: request.max_records,
            batch_size: request.batch_size,
        };
        let forgotten = forgotten.collect();
        Self { epoch: request.share_session_epoch, named, forgotten, acknowledged, terms: Some(terms) }
    }
}

impl From<ShareAcknowledgeRequest> for Asked {
    fn from(request: ShareAcknowledgeRequest) -> Self {
        let mut acknowledged = Acknowledgements::new();
        for topic in request.topics {
            for partition in topic.partitions {
                let at = (topic.topic_id, partition.partition_index);
                acknowledged.entry(at).or_default().extend(partition.acknowledgement_batches);
            }
        }
        let epoch = request.share_session_epoch;
        Self { epoch, named: Vec::new(), forgotten: Vec::new(), acknowledged, terms: None }
    }
}
