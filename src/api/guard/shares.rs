//! Share groups' reading. A member names a topic once, when its session begins to read it.

use super::{Guard, Guarded, Screened, words};
use crate::api::groups::shares::ShareAnswer;
use crate::api::{Seen, codes};
use crate::rights::{Kind, Operation};
use crate::types::View;
use kafka_protocol::messages as m;
use kafka_protocol::messages::{share_acknowledge_request, share_acknowledge_response};
use kafka_protocol::messages::{share_fetch_request, share_fetch_response};
use uuid::Uuid;

const TOPIC: i16 = codes::TOPIC_AUTHORIZATION_FAILED;

impl Guarded for m::ShareFetchRequest {
    type Answer = m::ShareFetchResponse;

    fn screen(&mut self, guard: &Guard<'_>, seen: &Seen<'_>) -> Screened<Self::Answer> {
        let denied = match unread(self.group_id.as_ref(), &mut self.topics, |topic| topic.topic_id, guard, seen) {
            Some(denied) => denied,
            None => return Screened::Nothing(of_group()),
        };
        let partition = |asked: &share_fetch_request::FetchPartition| {
            let acknowledges = !asked.acknowledgement_batches.is_empty();
            share_fetch_response::PartitionData::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(TOPIC)
                .with_error_message(words(TOPIC))
                .with_acknowledge_error_code(if acknowledges { TOPIC } else { codes::NONE })
        };
        let told = denied.iter().map(|topic| {
            share_fetch_response::ShareFetchableTopicResponse::default()
                .with_topic_id(topic.topic_id)
                .with_partitions(topic.partitions.iter().map(partition).collect())
        });
        if denied.is_empty() {
            Screened::All
        } else {
            Screened::Some(Self::Answer::default().with_responses(told.collect()))
        }
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        if answer.error_code == codes::NONE {
            answer.responses.extend(told.responses);
        }
    }
}

impl Guarded for m::ShareAcknowledgeRequest {
    type Answer = m::ShareAcknowledgeResponse;

    fn screen(&mut self, guard: &Guard<'_>, seen: &Seen<'_>) -> Screened<Self::Answer> {
        let denied = match unread(self.group_id.as_ref(), &mut self.topics, |topic| topic.topic_id, guard, seen) {
            Some(denied) => denied,
            None => return Screened::Nothing(of_group()),
        };
        let partition = |asked: &share_acknowledge_request::AcknowledgePartition| {
            share_acknowledge_response::PartitionData::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(TOPIC)
                .with_error_message(words(TOPIC))
        };
        let told = denied.iter().map(|topic| {
            share_acknowledge_response::ShareAcknowledgeTopicResponse::default()
                .with_topic_id(topic.topic_id)
                .with_partitions(topic.partitions.iter().map(partition).collect())
        });
        if denied.is_empty() {
            Screened::All
        } else {
            Screened::Some(Self::Answer::default().with_responses(told.collect()))
        }
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        if answer.error_code == codes::NONE {
            answer.responses.extend(told.responses);
        }
    }
}

fn of_group<A: ShareAnswer>() -> A {
    A::failed(codes::GROUP_AUTHORIZATION_FAILED, words(codes::GROUP_AUTHORIZATION_FAILED))
}

/// Takes out the topics that a member may not read; `None` where it may not be one. A session that is split looks at each partition
/// where it places it.
fn unread<T>(
    group: Option<&m::GroupId>,
    topics: &mut Vec<T>,
    id: impl Fn(&T) -> Uuid,
    guard: &Guard<'_>,
    seen: &Seen<'_>,
) -> Option<Vec<T>> {
    if !guard.may(Operation::Read, Kind::Group, group.map_or("", |group| group)) {
        return None;
    }
    let reads = |id: Uuid| {
        let place = seen.placement.topic_by_id(id);
        place.is_none_or(|place| guard.may(Operation::Read, Kind::Topic, &place.topic.name))
    };
    let is_split = seen.view == View::Single;
    Some(topics.extract_if(.., |topic| !is_split && !reads(id(topic))).collect())
}
