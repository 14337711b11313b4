//! Committed offsets.

use super::{Guard, Guarded, Screened, screened};
use crate::api::groups::offsets::failed;
use crate::api::partitioned::{OfTopic, PartitionOf, Partitioned, Told, refused};
use crate::api::{Seen, codes};
use crate::rights::{Kind, Operation};
use kafka_protocol::messages as m;
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use kafka_protocol::protocol::StrBytes;

const TOPIC: i16 = codes::TOPIC_AUTHORIZATION_FAILED;
const GROUP: i16 = codes::GROUP_AUTHORIZATION_FAILED;

/// From this version on a request asks for several groups.
const SEVERAL_GROUPS: i16 = 8;

/// Takes out of a list of topics with partitions those to which this may not be done.
pub(super) fn screen_topics<Q, R>(request: &mut Q, operation: Operation, guard: &Guard<'_>) -> Screened<R>
where
    Q: Partitioned + Default,
    R: Partitioned + Default,
    PartitionOf<R>: Told,
{
    let denied = guard.part(request.topics_mut(), operation, Kind::Topic, |topic| &topic.name().0);
    let is_empty = request.topics().is_empty();
    let mut apart = Q::default();
    apart.topics_mut().extend(denied);
    screened(apart.topics().is_empty(), is_empty, || refused(&apart, TOPIC))
}

/// Adds the topics of one answer to another.
pub(super) fn join_topics<R: Partitioned>(answer: &mut R, mut told: R) {
    answer.topics_mut().append(told.topics_mut());
}

impl Guarded for m::OffsetCommitRequest {
    type Answer = m::OffsetCommitResponse;

    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        if !guard.may(Operation::Read, Kind::Group, &self.group_id) {
            return Screened::Nothing(refused(self, GROUP));
        }
        screen_topics(self, Operation::Read, guard)
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        join_topics(answer, told);
    }
}

impl Guarded for m::OffsetDeleteRequest {
    type Answer = m::OffsetDeleteResponse;

    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        if !guard.may(Operation::Delete, Kind::Group, &self.group_id) {
            return Screened::Nothing(m::OffsetDeleteResponse::default().with_error_code(GROUP));
        }
        screen_topics(self, Operation::Read, guard)
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        if answer.error_code == codes::NONE {
            join_topics(answer, told);
        }
    }
}

impl Guarded for m::OffsetFetchRequest {
    type Answer = m::OffsetFetchResponse;

    fn screen(&mut self, guard: &Guard<'_>, seen: &Seen<'_>) -> Screened<Self::Answer> {
        if seen.version < SEVERAL_GROUPS { screen_one(self, guard, seen.version) } else { screen_several(self, guard) }
    }

    fn veil(answer: &mut Self::Answer, guard: &Guard<'_>) {
        let may = |name: &StrBytes| guard.sees(Operation::Describe, Kind::Topic, name);
        answer.topics.retain(|topic| may(&topic.name));
        answer.groups.iter_mut().for_each(|group| group.topics.retain(|topic| may(&topic.name)));
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        if answer.error_code == codes::NONE {
            answer.topics.extend(told.topics);
        }
        for group in told.groups {
            let whole = group.error_code != codes::NONE;
            match answer.groups.iter_mut().find(|one| !whole && one.group_id == group.group_id) {
                Some(same) if same.error_code == codes::NONE => same.topics.extend(group.topics),
                Some(_) => {}
                None => answer.groups.push(group),
            }
        }
    }
}

fn screen_one(
    request: &mut m::OffsetFetchRequest,
    guard: &Guard<'_>,
    version: i16,
) -> Screened<m::OffsetFetchResponse> {
    if !guard.may(Operation::Describe, Kind::Group, &request.group_id) {
        return Screened::Nothing(failed(request, GROUP, version));
    }
    let Some(topics) = &mut request.topics else { return Screened::All };
    let denied = guard.part(topics, Operation::Describe, Kind::Topic, |topic| &topic.name);
    screened(denied.is_empty(), topics.is_empty(), || {
        failed(&m::OffsetFetchRequest::default().with_topics(Some(denied)), TOPIC, 0)
    })
}

fn screen_several(request: &mut m::OffsetFetchRequest, guard: &Guard<'_>) -> Screened<m::OffsetFetchResponse> {
    let denied = guard.part(&mut request.groups, Operation::Describe, Kind::Group, |group| &group.group_id);
    let whole = |group: &OffsetFetchRequestGroup| {
        OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone()).with_error_code(GROUP)
    };
    let mut groups: Vec<_> = denied.iter().map(whole).collect();
    for group in &mut request.groups {
        let Some(topics) = &mut group.topics else { continue };
        let denied = guard.part(topics, Operation::Describe, Kind::Topic, |topic| &topic.name);
        if !denied.is_empty() {
            let told = OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone());
            groups.push(told.with_topics(denied.iter().map(no_topic).collect()));
        }
    }
    let is_empty = request.groups.is_empty();
    screened(groups.is_empty(), is_empty, || m::OffsetFetchResponse::default().with_groups(groups))
}

fn no_topic(asked: &OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let partition = |index: &i32| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(*index)
            .with_committed_offset(-1)
            .with_metadata(Some(StrBytes::default()))
            .with_error_code(TOPIC)
    };
    OffsetFetchResponseTopics::default()
        .with_name(asked.name.clone())
        .with_topic_id(asked.topic_id)
        .with_partitions(asked.partition_indexes.iter().map(partition).collect())
}
