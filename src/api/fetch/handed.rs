//! What answers to Fetch hand out: facts for who keeps count of lag (`telemetry::observed`).

use crate::telemetry::observed::{Fact, Handed, Reader};
use crate::types::Partition;
use crate::types::log::{Ends, Stretch};
use crate::wire::batch::stretch::stretch;
use crate::wire::fetch::Heard;
use crate::wire::glance::Called;
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// The isolation level of who reads only what is committed (KIP-98).
pub const READ_COMMITTED: i8 = 1;

/// What a client is handed of a partition; nothing where that is nothing.
#[must_use]
pub fn handed(topic: Called<'_>, heard: &Heard<'_>, committed_only: bool) -> Option<Handed> {
    let stretch = heard.stretch(committed_only)?;
    Some(Handed { at: Partition::called(topic, heard.index), stretch, ends: heard.ends })
}

/// The fact that a client was handed all that; none where that is nothing.
#[must_use]
pub fn fetched(of: Vec<Handed>, by: Reader, committed_only: bool) -> Option<Fact> {
    (!of.is_empty()).then(|| Fact::Fetched { by: Some(by), committed_only, of: of.into() })
}

/// What an answer hands out that the codec has read; `name` says what clients call its topics.
pub fn handed_out(
    answer: &FetchResponse,
    by: Reader,
    committed_only: bool,
    name: impl Fn(&FetchableTopicResponse) -> Option<StrBytes>,
) -> Vec<Fact> {
    let of_topic = |topic: &FetchableTopicResponse| {
        let name = name(topic).unwrap_or_default();
        let told = |told| handed_as_read((name.as_bytes(), Uuid::nil()), told, committed_only);
        topic.partitions.iter().filter_map(told).collect::<Vec<_>>()
    };
    let topics = answer.responses.iter().filter(|topic| topic.partitions.iter().any(has_records));
    let fact = fetched(topics.flat_map(of_topic).collect(), by, committed_only);
    fact.into_iter().chain(throttled(by, answer.throttle_time_ms)).collect()
}

fn has_records(told: &PartitionData) -> bool {
    told.error_code == 0 && told.records.as_ref().is_some_and(|records| !records.is_empty())
}

/// The same of one partition.
pub(super) fn handed_as_read(topic: Called<'_>, told: &PartitionData, committed_only: bool) -> Option<Handed> {
    let stretch = has_records(told).then(|| stretch_of(told, committed_only)).flatten()?;
    Some(Handed { at: Partition::called(topic, told.partition_index), stretch, ends: ends_of(told) })
}

/// What the records are that a broker told of a partition; `None` where there are none.
#[must_use]
pub fn stretch_of(told: &PartitionData, committed_only: bool) -> Option<Stretch> {
    let aborted = told.aborted_transactions.iter().flatten().map(|one| (one.producer_id.0, one.first_offset));
    stretch(told.records.as_deref()?, committed_only.then_some(aborted))
}

/// Where it says that the log ends and starts.
#[must_use]
pub fn ends_of(told: &PartitionData) -> Ends {
    Ends { high: told.high_watermark, stable: told.last_stable_offset, start: told.log_start_offset }
}

/// Whether a client is told to wait.
#[must_use]
pub fn throttled(by: Reader, ms: i32) -> Option<Fact> {
    u32::try_from(ms).ok().filter(|ms| *ms > 0).map(|ms| Fact::Throttled { by, ms })
}
