//! Groups: their members, and who looks at them or deletes them.

use super::{Guard, Guarded, Screened, screened, words};
use crate::api::by_coordinator::{Asks, Key, Tells};
use crate::api::groups::by_group::GroupRequest;
use crate::api::groups::heartbeats::{ConsumerGroupHeartbeat, ShareGroupHeartbeat, Subscribes};
use crate::api::{NO_OPERATIONS, Seen, codes};
use crate::rights::{Kind, Operation};
use kafka_protocol::messages as m;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;

const CODE: i16 = codes::GROUP_AUTHORIZATION_FAILED;

/// What members of classic groups ask: to be one is to read.
macro_rules! members {
    ($($request:ident, $response:ident;)*) => {$(
        impl Guarded for m::$request {
            type Answer = m::$response;

            fn screen(&mut self, guard: &Guard<'_>, seen: &Seen<'_>) -> Screened<Self::Answer> {
                if guard.may(Operation::Read, Kind::Group, &self.group_id) {
                    return Screened::All;
                }
                Screened::Nothing(self.failed(CODE, seen.version))
            }
        }
    )*};
}

members! {
    JoinGroupRequest, JoinGroupResponse;
    SyncGroupRequest, SyncGroupResponse;
    HeartbeatRequest, HeartbeatResponse;
    LeaveGroupRequest, LeaveGroupResponse;
}

/// Heartbeats of groups whose coordinator assigns. Of topics that it names, a member must be allowed to know. A regular
/// expression is the coordinator's business: what its member may not know it does not mean (`groups::subscription`), and is left
/// out of what is assigned (`groups::heartbeats`); what it may know and not read is refused when it reads.
macro_rules! subscribers {
    ($($request:ident, $response:ident of $api:ident;)*) => {$(
        impl Guarded for m::$request {
            type Answer = m::$response;

            fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
                if !guard.may(Operation::Read, Kind::Group, &self.group_id) {
                    return Screened::Nothing($api::failed(CODE, None));
                }
                let may = |topic: &TopicName| guard.may(Operation::Describe, Kind::Topic, topic);
                match self.subscribed_topic_names.iter().flatten().all(may) {
                    true => Screened::All,
                    false => Screened::Nothing($api::failed(codes::TOPIC_AUTHORIZATION_FAILED, None)),
                }
            }
        }
    )*};
}

subscribers! {
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse of ConsumerGroupHeartbeat;
    ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse of ShareGroupHeartbeat;
}

/// Takes out what may not be done to the groups, or transactional ids, that a request names.
pub(super) fn screen_keys<Q, R>(
    request: &mut Q,
    (operation, kind, code): (Operation, Kind, i16),
    guard: &Guard<'_>,
) -> Screened<R>
where
    Q: Asks<Key: 'static>,
    R: Tells<Key = Q::Key>,
{
    let denied = guard.part(request.asked_mut(), operation, kind, |asked| Q::key(asked).text());
    screened(denied.is_empty(), request.asked().is_empty(), || {
        let mut told = R::default();
        told.told().extend(denied.iter().map(|asked| R::refused(Q::key(asked), code)));
        told
    })
}

impl Guarded for m::DescribeGroupsRequest {
    type Answer = m::DescribeGroupsResponse;

    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        screen_keys(self, (Operation::Describe, Kind::Group, CODE), guard)
    }

    fn veil(answer: &mut Self::Answer, guard: &Guard<'_>) {
        for group in &mut answer.groups {
            group.authorized_operations = guard.both(group.authorized_operations, Kind::Group, &group.group_id);
        }
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        answer.groups.extend(told.groups);
    }
}

impl Guarded for m::DeleteGroupsRequest {
    type Answer = m::DeleteGroupsResponse;

    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        screen_keys(self, (Operation::Delete, Kind::Group, CODE), guard)
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        answer.results.extend(told.results);
    }
}

impl Guarded for m::ListGroupsRequest {
    type Answer = m::ListGroupsResponse;

    /// Nobody is asked for what would be left out.
    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        let some = guard.sees(Operation::Describe, Kind::Cluster, Kind::CLUSTER)
            || guard.may_some(Operation::Describe, Kind::Group);
        if some { Screened::All } else { Screened::Nothing(Self::Answer::default()) }
    }

    /// Who may describe the cluster sees all, as ever.
    fn veil(answer: &mut Self::Answer, guard: &Guard<'_>) {
        if !guard.sees(Operation::Describe, Kind::Cluster, Kind::CLUSTER) {
            answer.groups.retain(|group| guard.sees(Operation::Describe, Kind::Group, &group.group_id));
        }
    }
}

/// Whom a group's description would tell of a topic that he may not know, is told nothing of the group.
macro_rules! described {
    ($($request:ident, $response:ident in $room:ident: $($assignment:ident),*;)*) => {$(
        impl Guarded for m::$request {
            type Answer = m::$response;

            fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
                screen_keys(self, (Operation::Describe, Kind::Group, CODE), guard)
            }

            fn veil(answer: &mut Self::Answer, guard: &Guard<'_>) {
                use m::$room::DescribedGroup;
                let may = |topic: &StrBytes| guard.sees(Operation::Describe, Kind::Topic, topic);
                for group in &mut answer.groups {
                    group.authorized_operations = guard.both(group.authorized_operations, Kind::Group, &group.group_id);
                    let assigned = group.members.iter().flat_map(|member| [$(&member.$assignment),*]);
                    if !assigned.flat_map(|one| &one.topic_partitions).all(|topic| may(&topic.topic_name)) {
                        *group = DescribedGroup::default()
                            .with_group_id(group.group_id.clone())
                            .with_error_code(codes::TOPIC_AUTHORIZATION_FAILED)
                            .with_error_message(Some(StrBytes::from_static_str(HIDES)))
                            .with_authorized_operations(NO_OPERATIONS);
                    }
                }
            }

            fn join(answer: &mut Self::Answer, told: Self::Answer) {
                answer.groups.extend(told.groups);
            }
        }
    )*};
}

/// Kafka's words.
const HIDES: &str = "The group has described topic(s) that the client is not authorized to describe.";

described! {
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse in consumer_group_describe_response:
        assignment, target_assignment;
    ShareGroupDescribeRequest, ShareGroupDescribeResponse in share_group_describe_response: assignment;
}

impl Guarded for m::DescribeShareGroupOffsetsRequest {
    type Answer = m::DescribeShareGroupOffsetsResponse;

    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        use m::describe_share_group_offsets_response as told;
        let mut answer = match screen_keys(self, (Operation::Describe, Kind::Group, CODE), guard) {
            Screened::Nothing(answer) => return Screened::Nothing(answer),
            Screened::Some(answer) => answer,
            Screened::All => Self::Answer::default(),
        };
        for group in &mut self.groups {
            let Some(topics) = &mut group.topics else { continue };
            let denied = guard.part(topics, Operation::Describe, Kind::Topic, |topic| &topic.topic_name);
            let partition = |index: &i32| {
                told::DescribeShareGroupOffsetsResponsePartition::default()
                    .with_partition_index(*index)
                    .with_start_offset(-1)
                    .with_error_code(codes::TOPIC_AUTHORIZATION_FAILED)
                    .with_error_message(words(codes::TOPIC_AUTHORIZATION_FAILED))
            };
            let topics = denied.iter().map(|topic| {
                told::DescribeShareGroupOffsetsResponseTopic::default()
                    .with_topic_name(topic.topic_name.clone())
                    .with_partitions(topic.partitions.iter().map(partition).collect())
            });
            if !denied.is_empty() {
                let of_group =
                    told::DescribeShareGroupOffsetsResponseGroup::default().with_group_id(group.group_id.clone());
                answer.groups.push(of_group.with_topics(topics.collect()));
            }
        }
        if answer.groups.is_empty() { Screened::All } else { Screened::Some(answer) }
    }

    fn veil(answer: &mut Self::Answer, guard: &Guard<'_>) {
        for group in &mut answer.groups {
            group.topics.retain(|topic| guard.sees(Operation::Describe, Kind::Topic, &topic.topic_name));
        }
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        for group in told.groups {
            let same =
                answer.groups.iter_mut().find(|one| one.group_id == group.group_id && group.error_code == codes::NONE);
            match same {
                Some(same) if same.error_code == codes::NONE => same.topics.extend(group.topics),
                Some(_) => {}
                None => answer.groups.push(group),
            }
        }
    }
}

/// What changes where a share group begins to read.
macro_rules! changes {
    ($($request:ident, $response:ident: $operation:ident, $told:expr;)*) => {$(
        impl Guarded for m::$request {
            type Answer = m::$response;

            fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
                if !guard.may(Operation::$operation, Kind::Group, &self.group_id) {
                    let answer = m::$response::default().with_error_code(CODE).with_error_message(words(CODE));
                    return Screened::Nothing(answer);
                }
                let denied = guard.part(&mut self.topics, Operation::Read, Kind::Topic, |topic| &topic.topic_name);
                screened(denied.is_empty(), self.topics.is_empty(), || {
                    m::$response::default().with_responses(denied.iter().map($told).collect())
                })
            }

            fn join(answer: &mut Self::Answer, told: Self::Answer) {
                if answer.error_code == codes::NONE {
                    answer.responses.extend(told.responses);
                }
            }
        }
    )*};
}

changes! {
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse: Read, |topic| {
        use m::alter_share_group_offsets_response as told;
        let code = codes::TOPIC_AUTHORIZATION_FAILED;
        let partition = |asked: &m::alter_share_group_offsets_request::AlterShareGroupOffsetsRequestPartition| {
            told::AlterShareGroupOffsetsResponsePartition::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(code)
                .with_error_message(words(code))
        };
        told::AlterShareGroupOffsetsResponseTopic::default()
            .with_topic_name(topic.topic_name.clone())
            .with_partitions(topic.partitions.iter().map(partition).collect())
    };
    DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse: Delete, |topic| {
        m::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic::default()
            .with_topic_name(topic.topic_name.clone())
            .with_error_code(codes::TOPIC_AUTHORIZATION_FAILED)
            .with_error_message(words(codes::TOPIC_AUTHORIZATION_FAILED))
    };
}
