//! What members of groups read, as their coordinator says when it is asked: who has just started has not heard it, and of members that
//! do not pass by nobody else says it. Without it a topic that a group has dropped would be its lag as long as its offset is there.

use crate::api::codes;
use crate::api::groups::joined::{CONSUMER, topics_named};
use crate::telemetry::observed::{Fact, MemberReads};
use crate::types::{TopicKey, fast_hash, topic_key};
use crate::wire::codec::copied;
use kafka_protocol::messages::consumer_group_describe_response::Member;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    ApiKey, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    GroupId,
};
use kafka_protocol::protocol::StrBytes;
use std::time::Instant;
use uuid::Uuid;

/// Of DescribeGroups this version and those below are spoken.
pub const DESCRIBE_GROUPS: i16 = 5;
/// Of ConsumerGroupDescribe.
pub const CONSUMER_GROUP_DESCRIBE: i16 = 1;

/// By which protocol a group's members share out partitions: each is asked about in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its members do, by JoinGroup.
    Classic,
    /// Its coordinator does (KIP-848).
    Consumer,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Classic, Self::Consumer];

    /// Which API describes such groups.
    #[must_use]
    pub const fn api(self) -> ApiKey {
        match self {
            Self::Classic => ApiKey::DescribeGroups,
            Self::Consumer => ApiKey::ConsumerGroupDescribe,
        }
    }
}

/// What kind of consumers a group is of. Who does not tell kinds knows one; one that never had members is of none.
#[must_use]
pub(super) fn kind_of(group: &ListedGroup) -> Option<Kind> {
    let is_new = group.group_type.eq_ignore_ascii_case("consumer");
    let kind = if is_new { Kind::Consumer } else { Kind::Classic };
    (group.protocol_type.as_str() == CONSUMER).then_some(kind)
}

/// Asks for the members of classic groups.
#[must_use]
pub fn ask_classic(groups: &[StrBytes]) -> DescribeGroupsRequest {
    DescribeGroupsRequest::default().with_groups(ids(groups))
}

/// The same of those whose coordinator assigns.
#[must_use]
pub fn ask_consumer(groups: &[StrBytes]) -> ConsumerGroupDescribeRequest {
    ConsumerGroupDescribeRequest::default().with_group_ids(ids(groups))
}

fn ids(groups: &[StrBytes]) -> Vec<GroupId> {
    groups.iter().cloned().map(GroupId).collect()
}

/// What members of classic groups read. While a group rebalances its coordinator does not say, and of one that it does not know, or
/// that we may not describe, there is nothing to say.
#[must_use]
pub fn classic_told(answer: &DescribeGroupsResponse, asked: Instant) -> Vec<Fact> {
    let is_told = |group: &&DescribedGroup| {
        group.error_code == codes::NONE
            && group.group_state.as_str() == "Stable"
            && group.protocol_type.as_str() == CONSUMER
    };
    let told = answer.groups.iter().filter(is_told);
    told.filter_map(|group| fact(&group.group_id, group.members.iter().map(classic), asked)).collect()
}

fn classic(member: &DescribedGroupMember) -> MemberReads {
    (fast_hash(member.member_id.as_str()), topics_named(&member.member_metadata))
}

/// What members of groups read whose coordinator assigns. It knows at any time.
#[must_use]
pub fn consumer_told(answer: &ConsumerGroupDescribeResponse, asked: Instant) -> Vec<Fact> {
    let told = answer.groups.iter().filter(|group| group.error_code == codes::NONE);
    told.filter_map(|group| fact(&group.group_id, group.members.iter().map(consumer), asked)).collect()
}

/// Of one that subscribes by an expression it is not known what it reads.
fn consumer(member: &Member) -> MemberReads {
    let by_names = member.subscribed_topic_regex.as_ref().is_none_or(|regex| regex.is_empty());
    let names = || member.subscribed_topic_names.iter();
    let keys = || names().map(|name| topic_key(name, Uuid::nil())).collect::<Box<[TopicKey]>>();
    (fast_hash(member.member_id.as_str()), by_names.then(keys))
}

/// Whether there are members is told by the list of groups: none here may be one that is about to be described no more.
fn fact(group: &GroupId, members: impl Iterator<Item = MemberReads>, asked: Instant) -> Option<Fact> {
    let members: Box<[_]> = members.collect();
    (!members.is_empty()).then(|| Fact::Described { group: copied(group), members, asked })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::text;
    use bytes::{BufMut, Bytes, BytesMut};
    use kafka_protocol::messages::consumer_group_describe_response::DescribedGroup as Assigned;
    use kafka_protocol::messages::{ConsumerProtocolSubscription, TopicName};
    use kafka_protocol::protocol::Encodable;

    fn said(topics: &[&str]) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_i16(1);
        let said = ConsumerProtocolSubscription::default().with_topics(topics.iter().map(|name| text(name)).collect());
        said.encode(&mut bytes, 1).unwrap();
        bytes.freeze()
    }

    fn reads(member: &str, topics: &[&str]) -> MemberReads {
        (fast_hash(member), Some(topics.iter().map(|name| topic_key(name, Uuid::nil())).collect()))
    }

    fn described(group: &str, members: &[MemberReads], asked: Instant) -> Fact {
        Fact::Described { group: text(group), members: members.into(), asked }
    }

    #[test]
    fn a_classic_group_is_told_of_where_it_is_stable_and_consumes() {
        let member =
            |id: &str, said: Bytes| DescribedGroupMember::default().with_member_id(text(id)).with_member_metadata(said);
        let group = |name: &str, state: &str, kind: &str| {
            let told = DescribedGroup::default().with_group_id(GroupId(text(name))).with_group_state(text(state));
            told.with_protocol_type(text(kind)).with_members(vec![member("m", said(&["x", "y"]))])
        };
        let mut two = group("g", "Stable", "consumer");
        two.members.push(member("n", Bytes::from_static(b"?")));
        let answer = DescribeGroupsResponse::default().with_groups(vec![
            two,
            group("joining", "PreparingRebalance", "consumer"),
            group("connect", "Stable", "connect"),
            group("refused", "Stable", "consumer").with_error_code(codes::GROUP_AUTHORIZATION_FAILED),
            group("new", "Dead", "").with_members(Vec::new()),
            group("nobody", "Stable", "consumer").with_members(Vec::new()),
        ]);
        let asked = Instant::now();
        let of_g = [reads("m", &["x", "y"]), (fast_hash("n"), None)];
        assert_eq!(classic_told(&answer, asked), [described("g", &of_g, asked)]);
    }

    #[test]
    fn a_group_whose_coordinator_assigns_is_told_of_with_its_names_and_not_with_its_expressions() {
        let member = |id: &str, names: &[&str], regex: Option<&str>| {
            let names = names.iter().map(|name| TopicName(text(name))).collect();
            let member = Member::default().with_member_id(text(id)).with_subscribed_topic_names(names);
            member.with_subscribed_topic_regex(regex.map(text))
        };
        let group = |name: &str, members| Assigned::default().with_group_id(GroupId(text(name))).with_members(members);
        let answer = ConsumerGroupDescribeResponse::default().with_groups(vec![
            group("g", vec![member("m", &["x"], Some("")), member("n", &[], None), member("o", &["x"], Some("y.*"))]),
            group("refused", vec![member("m", &["x"], None)]).with_error_code(codes::TOPIC_AUTHORIZATION_FAILED),
            group("empty", Vec::new()),
        ]);
        let asked = Instant::now();
        let of_g = [reads("m", &["x"]), reads("n", &[]), (fast_hash("o"), None)];
        assert_eq!(consumer_told(&answer, asked), [described("g", &of_g, asked)]);
    }
}
