//! What a split share session asks brokers, as requests.

use super::asked::{Acknowledgements, Partition, Terms};
use kafka_protocol::messages::share_acknowledge_request::{AcknowledgePartition, AcknowledgeTopic};
use kafka_protocol::messages::share_fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::{GroupId, ShareAcknowledgeRequest, ShareFetchRequest};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// The group, the member and the epoch.
pub(super) type Session = (Option<GroupId>, Option<StrBytes>, i32);

/// For records, of a session that gets these partitions and loses those.
pub(super) fn poll(
    (group, member, epoch): Session,
    terms: Terms,
    added: &[Partition],
    forgotten: &[Partition],
) -> ShareFetchRequest {
    let topics = by_topic(added).map(|(topic, indexes)| {
        let partition = |index: i32| FetchPartition::default().with_partition_index(index);
        FetchTopic::default().with_topic_id(topic).with_partitions(indexes.map(partition).collect())
    });
    let forgotten = by_topic(forgotten)
        .map(|(topic, indexes)| ForgottenTopic::default().with_topic_id(topic).with_partitions(indexes.collect()));
    ShareFetchRequest::default()
        .with_group_id(group)
        .with_member_id(member)
        .with_share_session_epoch(epoch)
        .with_max_wait_ms(terms.max_wait_ms)
        .with_min_bytes(terms.min_bytes)
        .with_max_bytes(terms.max_bytes)
        .with_max_records(terms.max_records)
        .with_batch_size(terms.batch_size)
        .with_topics(topics.collect())
        .with_forgotten_topics_data(forgotten.collect())
}

/// To take what became of records.
pub(super) fn acknowledge((group, member, epoch): Session, acknowledged: Acknowledgements) -> ShareAcknowledgeRequest {
    let mut topics: Vec<AcknowledgeTopic> = Vec::new();
    for ((topic, index), batches) in acknowledged {
        let partition =
            AcknowledgePartition::default().with_partition_index(index).with_acknowledgement_batches(batches);
        match topics.last_mut().filter(|last| last.topic_id == topic) {
            Some(last) => last.partitions.push(partition),
            None => topics.push(AcknowledgeTopic::default().with_topic_id(topic).with_partitions(vec![partition])),
        }
    }
    ShareAcknowledgeRequest::default()
        .with_group_id(group)
        .with_member_id(member)
        .with_share_session_epoch(epoch)
        .with_topics(topics)
}

/// Partitions in order, by their topics.
fn by_topic(partitions: &[Partition]) -> impl Iterator<Item = (Uuid, impl Iterator<Item = i32>)> {
    let of_one = partitions.chunk_by(|(one, _), (other, _)| one == other);
    of_one.filter_map(|of_one| Some((of_one.first()?.0, of_one.iter().map(|(_, index)| *index))))
}
