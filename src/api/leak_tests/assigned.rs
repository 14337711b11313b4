//! The same for groups whose coordinator assigns partitions: their members, what operators ask about them, and share groups.

use super::answers::{How, topic, topic_id};
use super::{CODES, HOST, IDS, KEPT, PORT};
use super::{address, assert_clean, check, encoded, kept, leak, over_the_wire, slot, tags, with, worlds};
use crate::api::groups::shares::split::{Now, Split};
use crate::api::groups::shares::{Answer, Ask, Leaving, Move};
use crate::api::groups::{descriptions, heartbeats, share_offsets, shares};
use crate::api::{Effects, ErrorCodes};
use crate::types::{Target, View};
use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// False for all others.
pub(super) fn check_one(api: ApiKey, all: RangeInclusive<i16>) -> bool {
    match api {
        ApiKey::ConsumerGroupHeartbeat => {
            check::<heartbeats::ConsumerGroupHeartbeat>(all, consumer_heartbeat, consumer_heard, true);
        }
        ApiKey::ShareGroupHeartbeat => {
            check::<heartbeats::ShareGroupHeartbeat>(all, share_heartbeat, share_heard, true);
        }
        ApiKey::ConsumerGroupDescribe => {
            check::<descriptions::ConsumerGroupDescribe>(all, describe_consumers, described_consumers, true);
        }
        ApiKey::ShareGroupDescribe => {
            check::<descriptions::ShareGroupDescribe>(all, describe_shares, described_shares, true);
        }
        ApiKey::DescribeShareGroupOffsets => {
            check::<share_offsets::DescribeShareGroupOffsets>(all, describe_offsets, described_offsets, true);
        }
        ApiKey::AlterShareGroupOffsets => {
            check::<share_offsets::AlterShareGroupOffsets>(all, alter_offsets, altered_offsets, true);
        }
        ApiKey::DeleteShareGroupOffsets => {
            check::<share_offsets::DeleteShareGroupOffsets>(all, delete_offsets, deleted_offsets, true);
        }
        ApiKey::ShareFetch => {
            check_shares(api, share_fetch, share_fetched);
            check_split();
        }
        ApiKey::ShareAcknowledge => check_shares(api, share_acknowledge, share_acknowledged),
        _ => return false,
    }
    true
}

/// With every field that they have, to be looked through.
pub(super) fn answers() -> Vec<Box<dyn Debug>> {
    let how = |version| How { version, code: 0 };
    vec![
        Box::new(consumer_heard(&consumer_heartbeat(1), how(1))),
        Box::new(share_heard(&share_heartbeat(1), how(1))),
        Box::new(described_consumers(&describe_consumers(1), how(1))),
        Box::new(described_shares(&describe_shares(1), how(1))),
        Box::new(described_offsets(&describe_offsets(0), how(0))),
        Box::new(altered_offsets(&alter_offsets(0), how(0))),
        Box::new(deleted_offsets(&delete_offsets(0), how(0))),
        Box::new(share_fetched(how(1))),
        Box::new(share_acknowledged(how(1))),
    ]
}

/// They have a driver of their own.
fn check_shares<R>(api: ApiKey, request: fn() -> R, answer: fn(How) -> R::Answer)
where
    R: shares::ShareRequest<Answer: Debug + Clone + PartialEq + Encodable + Decodable + ErrorCodes>,
    R: Encodable + Decodable,
{
    for (world, code) in worlds().flat_map(|world| with(world, CODES)) {
        let (seen, mut request) = (world.seen(1), over_the_wire(&request(), 1));
        let answer = match shares::plan(&mut request, &mut None, None, &seen) {
            shares::Plan::Send(to) => {
                let told = over_the_wire(&answer(How { version: 1, code }), 1);
                assert!(leak(&encoded(&told, 1)).is_some(), "{api:?}: nothing was planted");
                shares::absorb(Ok(told), to, &seen, &mut Effects::new())
            }
            shares::Plan::Answer(answer, _) => answer,
            shares::Plan::Wait(need) => panic!("{api:?} waits for {need:?}"),
        };
        assert_clean(api, 1, 1, &answer);
        // And where another broker leads what its session was for
        let elsewhere = Target { cluster: slot(1), broker: crate::types::BrokerId(IDS[1] + 1) };
        if let shares::Plan::Answer(answer, _) = shares::plan(&mut request, &mut None, Some(elsewhere), &seen) {
            assert_clean(api, 1, 1, &answer);
        }
    }
}

/// Of a session that is split, whose brokers' answers are put together.
fn check_split() {
    let single = || worlds().filter(|world| world.view == View::Single);
    for (world, code) in single().flat_map(|world| with(world, CODES)) {
        let (seen, how) = (world.seen(1), How { version: 1, code });
        let now = |seconds| Now { at: Instant::now() + Duration::from_secs(seconds), seen: &seen, generation: 0 };
        let mut split = Split::new((&group().0, &kept()), slot(1), 1 << 20);
        let mut moves = split.submit(over_the_wire(&share_fetch(), 1).into(), (), &now(0));
        let acknowledges = share_acknowledge().with_share_session_epoch(1);
        moves.extend(split.submit(over_the_wire(&acknowledges, 1).into(), (), &now(0)));
        let (mut planted, mut answered) = (0, 0);
        while let Some(next) = moves.pop() {
            match next {
                Move::Send(sent, Ask::Poll(_)) => {
                    planted += 1;
                    let told = (over_the_wire(&share_fetched(how), 1), Bytes::new());
                    moves.extend(split.told(sent, Ok(told), &now(0), &mut Effects::new()));
                    moves.extend(split.tick(&now(3_600)));
                }
                Move::Send(sent, Ask::Acknowledge(_)) => {
                    planted += 1;
                    let told = over_the_wire(&share_acknowledged(how), 1);
                    moves.extend(split.acknowledged(sent, Ok(told), &now(0), &mut Effects::new()));
                }
                Move::Answer(Leaving { answer: Answer::Fetch(answer, _), .. }) => {
                    answered += 1;
                    assert_clean(ApiKey::ShareFetch, 1, 1, &*answer);
                }
                Move::Answer(Leaving { answer: Answer::Acknowledge(answer), .. }) => {
                    answered += 1;
                    assert_clean(ApiKey::ShareAcknowledge, 1, 1, &answer);
                }
            }
        }
        assert!(planted > 0 && answered == 2, "{planted} {answered}");
    }
}

pub(super) fn share_fetch() -> ShareFetchRequest {
    let partition = share_fetch_request::FetchPartition::default();
    let topic = share_fetch_request::FetchTopic::default().with_topic_id(topic_id()).with_partitions(vec![partition]);
    ShareFetchRequest::default().with_group_id(Some(group())).with_member_id(Some(kept())).with_topics(vec![topic])
}

fn share_fetched(how: How) -> ShareFetchResponse {
    use share_fetch_response as told;
    let leader = told::LeaderIdAndEpoch::default().with_leader_id(IDS[0]).with_unknown_tagged_fields(tags());
    let acquired = told::AcquiredRecords::default().with_unknown_tagged_fields(tags());
    let partition = told::PartitionData::default()
        .with_error_code(how.code)
        .with_error_message(why(how))
        .with_acknowledge_error_code(how.code)
        .with_acknowledge_error_message(why(how))
        .with_current_leader(leader)
        .with_records(Some(KEPT.into()))
        .with_acquired_records(vec![acquired])
        .with_unknown_tagged_fields(tags());
    let topic = told::ShareFetchableTopicResponse::default()
        .with_topic_id(topic_id())
        .with_partitions(vec![partition])
        .with_unknown_tagged_fields(tags());
    let node = told::NodeEndpoint::default()
        .with_node_id(BrokerId(IDS[0]))
        .with_host(StrBytes::from_static_str(HOST))
        .with_port(PORT.into())
        .with_rack(Some(kept()))
        .with_unknown_tagged_fields(tags());
    ShareFetchResponse::default()
        .with_error_code(how.code)
        .with_error_message(why(how))
        .with_responses(vec![topic])
        .with_node_endpoints(vec![node])
        .with_unknown_tagged_fields(tags())
}

pub(super) fn share_acknowledge() -> ShareAcknowledgeRequest {
    let partition = share_acknowledge_request::AcknowledgePartition::default();
    let topic = share_acknowledge_request::AcknowledgeTopic::default();
    let topic = topic.with_topic_id(topic_id()).with_partitions(vec![partition]);
    ShareAcknowledgeRequest::default()
        .with_group_id(Some(group()))
        .with_member_id(Some(kept()))
        .with_topics(vec![topic])
}

fn share_acknowledged(how: How) -> ShareAcknowledgeResponse {
    use share_acknowledge_response as told;
    let leader = told::LeaderIdAndEpoch::default().with_leader_id(IDS[0]).with_unknown_tagged_fields(tags());
    let partition = told::PartitionData::default()
        .with_error_code(how.code)
        .with_error_message(why(how))
        .with_current_leader(leader)
        .with_unknown_tagged_fields(tags());
    let topic = told::ShareAcknowledgeTopicResponse::default()
        .with_topic_id(topic_id())
        .with_partitions(vec![partition])
        .with_unknown_tagged_fields(tags());
    let node = told::NodeEndpoint::default()
        .with_node_id(BrokerId(IDS[0]))
        .with_host(StrBytes::from_static_str(HOST))
        .with_port(PORT.into())
        .with_rack(Some(kept()))
        .with_unknown_tagged_fields(tags());
    ShareAcknowledgeResponse::default()
        .with_error_code(how.code)
        .with_error_message(why(how))
        .with_responses(vec![topic])
        .with_node_endpoints(vec![node])
        .with_unknown_tagged_fields(tags())
}

/// No code of theirs has Kafka name a broker by its id.
fn why(_: How) -> Option<StrBytes> {
    Some(address())
}

fn group() -> GroupId {
    GroupId(kept())
}

pub(super) fn consumer_heartbeat(_: i16) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group())
        .with_member_id(kept())
        .with_instance_id(Some(kept()))
        .with_subscribed_topic_names(Some(vec![topic()]))
}

fn consumer_heard(_: &ConsumerGroupHeartbeatRequest, how: How) -> ConsumerGroupHeartbeatResponse {
    use consumer_group_heartbeat_response::{Assignment, TopicPartitions};
    let topic = TopicPartitions::default().with_topic_id(topic_id()).with_partitions(vec![0]);
    let topic = topic.with_unknown_tagged_fields(tags());
    let assignment = Assignment::default().with_topic_partitions(vec![topic]).with_unknown_tagged_fields(tags());
    ConsumerGroupHeartbeatResponse::default()
        .with_error_code(how.code)
        .with_error_message(why(how))
        .with_member_id(Some(kept()))
        .with_assignment(Some(assignment))
        .with_unknown_tagged_fields(tags())
}

pub(super) fn share_heartbeat(_: i16) -> ShareGroupHeartbeatRequest {
    ShareGroupHeartbeatRequest::default()
        .with_group_id(group())
        .with_member_id(kept())
        .with_subscribed_topic_names(Some(vec![topic()]))
}

fn share_heard(_: &ShareGroupHeartbeatRequest, how: How) -> ShareGroupHeartbeatResponse {
    use share_group_heartbeat_response::{Assignment, TopicPartitions};
    let topic = TopicPartitions::default().with_topic_id(topic_id()).with_partitions(vec![0]);
    let topic = topic.with_unknown_tagged_fields(tags());
    let assignment = Assignment::default().with_topic_partitions(vec![topic]).with_unknown_tagged_fields(tags());
    ShareGroupHeartbeatResponse::default()
        .with_error_code(how.code)
        .with_error_message(why(how))
        .with_member_id(Some(kept()))
        .with_assignment(Some(assignment))
        .with_unknown_tagged_fields(tags())
}

pub(super) fn describe_consumers(_: i16) -> ConsumerGroupDescribeRequest {
    ConsumerGroupDescribeRequest::default().with_group_ids(vec![group()])
}

fn described_consumers(asked: &ConsumerGroupDescribeRequest, how: How) -> ConsumerGroupDescribeResponse {
    use consumer_group_describe_response::{Assignment, DescribedGroup, Member, TopicPartitions};
    let assigned = TopicPartitions::default().with_topic_id(topic_id()).with_topic_name(topic());
    let assigned = assigned.with_partitions(vec![0]).with_unknown_tagged_fields(tags());
    let assignment = Assignment::default().with_topic_partitions(vec![assigned]).with_unknown_tagged_fields(tags());
    let member = Member::default()
        .with_member_id(kept())
        .with_instance_id(Some(kept()))
        .with_rack_id(Some(kept()))
        .with_client_id(kept())
        .with_client_host(address())
        .with_subscribed_topic_names(vec![topic()])
        .with_subscribed_topic_regex(Some(kept()))
        .with_assignment(assignment.clone())
        .with_target_assignment(assignment)
        .with_unknown_tagged_fields(tags());
    let told = asked.group_ids.iter().map(|group| {
        DescribedGroup::default()
            .with_group_id(group.clone())
            .with_error_code(how.code)
            .with_error_message(why(how))
            .with_group_state(kept())
            .with_assignor_name(kept())
            .with_members(vec![member.clone()])
            .with_unknown_tagged_fields(tags())
    });
    ConsumerGroupDescribeResponse::default().with_groups(told.collect()).with_unknown_tagged_fields(tags())
}

pub(super) fn describe_shares(_: i16) -> ShareGroupDescribeRequest {
    ShareGroupDescribeRequest::default().with_group_ids(vec![group()])
}

fn described_shares(asked: &ShareGroupDescribeRequest, how: How) -> ShareGroupDescribeResponse {
    use share_group_describe_response::{Assignment, DescribedGroup, Member, TopicPartitions};
    let assigned = TopicPartitions::default().with_topic_id(topic_id()).with_topic_name(topic());
    let assigned = assigned.with_partitions(vec![0]).with_unknown_tagged_fields(tags());
    let assignment = Assignment::default().with_topic_partitions(vec![assigned]).with_unknown_tagged_fields(tags());
    let member = Member::default()
        .with_member_id(kept())
        .with_rack_id(Some(kept()))
        .with_client_id(kept())
        .with_client_host(address())
        .with_subscribed_topic_names(vec![topic()])
        .with_assignment(assignment)
        .with_unknown_tagged_fields(tags());
    let told = asked.group_ids.iter().map(|group| {
        DescribedGroup::default()
            .with_group_id(group.clone())
            .with_error_code(how.code)
            .with_error_message(why(how))
            .with_group_state(kept())
            .with_assignor_name(kept())
            .with_members(vec![member.clone()])
            .with_unknown_tagged_fields(tags())
    });
    ShareGroupDescribeResponse::default().with_groups(told.collect()).with_unknown_tagged_fields(tags())
}

pub(super) fn describe_offsets(_: i16) -> DescribeShareGroupOffsetsRequest {
    let group = describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup::default()
        .with_group_id(group())
        .with_topics(None);
    DescribeShareGroupOffsetsRequest::default().with_groups(vec![group])
}

/// The same of some partitions.
pub(super) fn describe_some_offsets() -> DescribeShareGroupOffsetsRequest {
    let topic = describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestTopic::default()
        .with_topic_name(topic())
        .with_partitions(vec![0]);
    let mut request = describe_offsets(0);
    request.groups.iter_mut().for_each(|group| group.topics = Some(vec![topic.clone()]));
    request
}

fn described_offsets(asked: &DescribeShareGroupOffsetsRequest, how: How) -> DescribeShareGroupOffsetsResponse {
    use describe_share_group_offsets_response as told;
    let partition = told::DescribeShareGroupOffsetsResponsePartition::default()
        .with_error_code(how.code)
        .with_error_message(why(how))
        .with_unknown_tagged_fields(tags());
    let topic = told::DescribeShareGroupOffsetsResponseTopic::default()
        .with_topic_name(topic())
        .with_topic_id(topic_id())
        .with_partitions(vec![partition])
        .with_unknown_tagged_fields(tags());
    let groups = asked.groups.iter().map(|group| {
        told::DescribeShareGroupOffsetsResponseGroup::default()
            .with_group_id(group.group_id.clone())
            .with_error_code(how.code)
            .with_error_message(why(how))
            .with_topics(vec![topic.clone()])
            .with_unknown_tagged_fields(tags())
    });
    DescribeShareGroupOffsetsResponse::default().with_groups(groups.collect()).with_unknown_tagged_fields(tags())
}

pub(super) fn alter_offsets(_: i16) -> AlterShareGroupOffsetsRequest {
    let topic =
        alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic::default().with_topic_name(topic());
    AlterShareGroupOffsetsRequest::default().with_group_id(group()).with_topics(vec![topic])
}

fn altered_offsets(_: &AlterShareGroupOffsetsRequest, how: How) -> AlterShareGroupOffsetsResponse {
    use alter_share_group_offsets_response as told;
    let partition = told::AlterShareGroupOffsetsResponsePartition::default()
        .with_error_code(how.code)
        .with_error_message(why(how))
        .with_unknown_tagged_fields(tags());
    let topic = told::AlterShareGroupOffsetsResponseTopic::default()
        .with_topic_name(topic())
        .with_topic_id(topic_id())
        .with_partitions(vec![partition])
        .with_unknown_tagged_fields(tags());
    AlterShareGroupOffsetsResponse::default()
        .with_error_code(how.code)
        .with_error_message(why(how))
        .with_responses(vec![topic])
        .with_unknown_tagged_fields(tags())
}

pub(super) fn delete_offsets(_: i16) -> DeleteShareGroupOffsetsRequest {
    let topic =
        delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(topic());
    DeleteShareGroupOffsetsRequest::default().with_group_id(group()).with_topics(vec![topic])
}

fn deleted_offsets(_: &DeleteShareGroupOffsetsRequest, how: How) -> DeleteShareGroupOffsetsResponse {
    let topic = delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic::default()
        .with_topic_name(topic())
        .with_topic_id(topic_id())
        .with_error_code(how.code)
        .with_error_message(why(how))
        .with_unknown_tagged_fields(tags());
    DeleteShareGroupOffsetsResponse::default()
        .with_error_code(how.code)
        .with_error_message(why(how))
        .with_responses(vec![topic])
        .with_unknown_tagged_fields(tags())
}
