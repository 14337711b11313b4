//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup: the whole request goes to the group's coordinator.
//!
//! Without an answer the client gets 16 NOT_COORDINATOR, whether the request was sent or not: every client then looks
//! the coordinator up again and joins again, as it does on bare Kafka when the connection breaks in the middle.
//! (15 COORDINATOR_NOT_AVAILABLE would say the same, but sarama gives up on 15 in JoinGroup and SyncGroup.)

use super::joined::topics_read;
use crate::api::overview::coordinator;
use crate::api::untag::Untag;
use crate::api::{Api, Effect, Effects, Missing, Part, Plan, Seen, codes};
use crate::error::Fault;
use crate::telemetry::observed::{Fact, Reader};
use crate::types::{CoordinatorType, Name, Slot, TopicKey, fast_hash};
use crate::wire::codec::copied;
use kafka_protocol::messages::{
    ApiKey, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

/// The group that a request is about, and its home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfGroup {
    pub(super) cluster: Slot,
    pub(super) group: StrBytes,
    /// What is so where the coordinator has nothing against it.
    pub(super) if_so: Vec<Fact>,
}

/// A request of one group's member.
pub(in crate::api) trait GroupRequest: Clone {
    type Answer: GroupAnswer;
    /// The group.
    fn group(&self) -> &StrBytes;
    /// The answer when there is none from the coordinator.
    fn failed(&self, code: i16, version: i16) -> Self::Answer;
    /// What is so where the coordinator has nothing against it.
    fn if_so(&self, by: Reader) -> Vec<Fact>;
}

/// A member is there, and need not say so again for so long (0: as long as is usual).
pub(super) fn beat(group: &StrBytes, member: &StrBytes, by: Reader, within_ms: i32) -> Fact {
    let (member, within_ms) = (fast_hash(member.as_str()), u32::try_from(within_ms).unwrap_or(0));
    Fact::Beat { group: copied(group), member, by, within_ms }
}

/// A member reads these topics and no others; `None`: it is not known which.
pub(super) fn subscribed(group: &StrBytes, member: &StrBytes, topics: Option<Box<[TopicKey]>>) -> Fact {
    Fact::Subscribed { group: copied(group), member: fast_hash(member.as_str()), topics }
}

pub(super) fn left(group: &StrBytes, member: &StrBytes) -> Fact {
    Fact::Left { group: copied(group), member: fast_hash(member.as_str()) }
}

/// What the coordinator says to it.
pub(in crate::api) trait GroupAnswer: Untag {
    fn code(&self) -> i16;
}

fn plan<A>(request: &A::Request, seen: &Seen<'_>) -> Plan<A>
where
    A: Api<Origin = OfGroup>,
    A::Request: GroupRequest<Answer = A::Response>,
{
    let failed = |code| request.failed(code, seen.version);
    let mut plan = to_coordinator(request.group(), |_| request.clone(), failed, seen);
    if let Plan::Send { parts, .. } = &mut plan {
        parts.iter_mut().for_each(|part: &mut Part<A>| part.origin.if_so = request.if_so(seen.reader));
    }
    plan
}

/// The plan of a request that goes whole to a group's coordinator: what is asked on its cluster, and how it is answered
/// with a code alone.
pub(super) fn to_coordinator<A>(
    group: &StrBytes,
    asked: impl FnOnce(Slot) -> A::Request,
    failed: impl Fn(i16) -> A::Response,
    seen: &Seen<'_>,
) -> Plan<A>
where
    A: Api<Origin: From<OfGroup>>,
{
    match seen.coordinator_of(group) {
        Ok(to) => {
            let origin = OfGroup { cluster: to.cluster, group: group.clone(), if_so: Vec::new() };
            let part = Part { to, request: asked(to.cluster), origin: origin.into() };
            Plan::Send { seed: failed(codes::NOT_COORDINATOR), parts: vec![part] }
        }
        Err(Missing::Need(need)) => Plan::Wait(vec![need]),
        Err(Missing::Code(code)) => Plan::Answer(failed(code)),
    }
}

/// A fault leaves the seed: NOT_COORDINATOR.
fn absorb<R: GroupAnswer>(so_far: &mut R, origin: OfGroup, answer: Result<R, Fault>, effects: &mut Effects) {
    if let Ok(mut answer) = answer {
        answer.untag();
        *so_far = answer;
    }
    forget_coordinator(so_far.code(), origin.cluster, &origin.group, effects);
    if so_far.code() == codes::NONE {
        effects.extend(origin.if_so.into_iter().map(Effect::Saw));
    }
}

/// Has the coordinator looked up anew where a code says that the group is coordinated elsewhere.
pub(in crate::api) fn forget_coordinator(code: i16, cluster: Slot, group: &StrBytes, effects: &mut Effects) {
    coordinator::forget(code, CoordinatorType::Group, cluster, group, effects);
}

macro_rules! by_group {
    ($(#[$doc:meta])* $api:ident, $request:ident, $response:ident { $($more:item)* }) => {
        $(#[$doc])*
        pub struct $api;

        impl Api for $api {
            const KEY: ApiKey = ApiKey::$api;
            type Request = $request;
            type Response = $response;
            type Origin = OfGroup;

            fn plan(request: &$request, seen: &Seen<'_>) -> Plan<Self> {
                plan(request, seen)
            }

            fn absorb(
                so_far: &mut $response,
                origin: OfGroup,
                answer: Result<$response, Fault>,
                _: &Seen<'_>,
                effects: &mut Effects,
            ) {
                absorb(so_far, origin, answer, effects);
            }

            fn pipeline(request: &$request, seen: &Seen<'_>) -> Name {
                seen.pipeline_of_groups(std::iter::once(request.group()))
            }

            $($more)*
        }

        impl GroupAnswer for $response {
            fn code(&self) -> i16 {
                self.error_code
            }
        }
    };
}

by_group! {
    /// See the module's text.
    JoinGroup, JoinGroupRequest, JoinGroupResponse {
        fn lower(request: &mut JoinGroupRequest, version: i16) {
            if version < 5 {
                request.group_instance_id = None;
            }
            // A client of version 0 has none, and Kafka takes the session time-out.
            if request.rebalance_timeout_ms < 0 {
                request.rebalance_timeout_ms = request.session_timeout_ms;
            }
        }

        /// Until all members have joined, or the rebalance time-out is over (version 0 has the session's only).
        fn held_ms(request: &JoinGroupRequest) -> i32 {
            request.rebalance_timeout_ms.max(request.session_timeout_ms)
        }
    }
}

/// How long a coordinator may hold SyncGroup, which bears no time-out of its own: until the group's leader has sent
/// the assignment, at most the rebalance time-out, by default five minutes (Java's `max.poll.interval.ms`). Clients
/// themselves wait less: Java its request time-out, librdkafka its session time-out.
const SYNC_HELD_MS: i32 = 300_000;

by_group! {
    /// See the module's text.
    SyncGroup, SyncGroupRequest, SyncGroupResponse {
        fn lower(request: &mut SyncGroupRequest, version: i16) {
            if version < 3 {
                request.group_instance_id = None;
            }
        }

        fn held_ms(_: &SyncGroupRequest) -> i32 {
            SYNC_HELD_MS
        }
    }
}

by_group! {
    /// See the module's text.
    Heartbeat, HeartbeatRequest, HeartbeatResponse {
        fn lower(request: &mut HeartbeatRequest, version: i16) {
            if version < 3 {
                request.group_instance_id = None;
            }
        }
    }
}

by_group! {
    /// See the module's text.
    LeaveGroup, LeaveGroupRequest, LeaveGroupResponse {
        /// Below 3 one member leaves at a time, by its id: enough for a member itself. An operator's list of members
        /// is cut to its first there, and `raise` cannot tell; brokers have had version 3 since 2.4.
        fn lower(request: &mut LeaveGroupRequest, version: i16) {
            if version < 3 {
                let members = std::mem::take(&mut request.members);
                request.member_id = members.into_iter().next().map(|member| member.member_id).unwrap_or_default();
            }
        }
    }
}

impl GroupRequest for JoinGroupRequest {
    type Answer = JoinGroupResponse;

    fn group(&self) -> &StrBytes {
        &self.group_id.0
    }

    /// As Kafka writes it: no generation, the member's own id, a protocol name that is null from 7 on.
    fn failed(&self, code: i16, version: i16) -> JoinGroupResponse {
        JoinGroupResponse::default()
            .with_error_code(code)
            .with_generation_id(-1)
            .with_protocol_name((version < 7).then(StrBytes::default))
            .with_member_id(self.member_id.clone())
    }

    /// Without an id it is not one yet.
    fn if_so(&self, by: Reader) -> Vec<Fact> {
        if self.member_id.is_empty() {
            return Vec::new();
        }
        let reads = topics_read(self).map(|topics| subscribed(&self.group_id, &self.member_id, Some(topics)));
        let beat = beat(&self.group_id, &self.member_id, by, self.session_timeout_ms);
        std::iter::once(beat).chain(reads).collect()
    }
}

impl GroupRequest for SyncGroupRequest {
    type Answer = SyncGroupResponse;

    fn group(&self) -> &StrBytes {
        &self.group_id.0
    }

    fn failed(&self, code: i16, _: i16) -> SyncGroupResponse {
        SyncGroupResponse::default().with_error_code(code)
    }

    fn if_so(&self, by: Reader) -> Vec<Fact> {
        vec![beat(&self.group_id, &self.member_id, by, 0)]
    }
}

impl GroupRequest for HeartbeatRequest {
    type Answer = HeartbeatResponse;

    fn group(&self) -> &StrBytes {
        &self.group_id.0
    }

    fn failed(&self, code: i16, _: i16) -> HeartbeatResponse {
        HeartbeatResponse::default().with_error_code(code)
    }

    fn if_so(&self, by: Reader) -> Vec<Fact> {
        vec![beat(&self.group_id, &self.member_id, by, 0)]
    }
}

impl GroupRequest for LeaveGroupRequest {
    type Answer = LeaveGroupResponse;

    fn group(&self) -> &StrBytes {
        &self.group_id.0
    }

    fn failed(&self, code: i16, _: i16) -> LeaveGroupResponse {
        LeaveGroupResponse::default().with_error_code(code)
    }

    /// Below version 3 one member leaves, who asks; later several may.
    fn if_so(&self, _: Reader) -> Vec<Fact> {
        let one = (!self.member_id.is_empty()).then_some(&self.member_id);
        let several = self.members.iter().map(|member| &member.member_id);
        // A static member that an operator removes is named otherwise: it lapses by itself.
        let named = one.into_iter().chain(several).filter(|member| !member.is_empty());
        named.map(|member| left(&self.group_id, member)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, at, facts, round, sent, text};
    use crate::api::{Need, Refusal};
    use crate::placement::build::tests::slot;
    use kafka_protocol::messages::GroupId;
    use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
    use kafka_protocol::messages::leave_group_request::MemberIdentity;
    use std::collections::BTreeMap;

    fn join(group: &str) -> JoinGroupRequest {
        JoinGroupRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_member_id(text("me"))
            .with_session_timeout_ms(45_000)
            .with_rebalance_timeout_ms(300_000)
    }

    #[test]
    fn a_member_is_served_by_its_groups_coordinator() {
        let world = World::default().coordinated(0, "g", 2).coordinated(1, "gb-1", 3);
        for (group, to) in [("g", at(0, 2)), ("gb-1", at(1, 3))] {
            let (_, parts) = sent(JoinGroup::plan(&join(group), &world.seen(9)));
            assert_eq!((parts.len(), parts[0].to), (1, to));
            assert_eq!(parts[0].request, join(group));
        }
        let tags = BTreeMap::from([(7, bytes::Bytes::from_static(b"secret"))]);
        let member = JoinGroupResponseMember::default().with_unknown_tagged_fields(tags.clone());
        let told = JoinGroupResponse::default()
            .with_generation_id(5)
            .with_throttle_time_ms(6)
            .with_members(vec![member])
            .with_unknown_tagged_fields(tags);
        let (answer, effects) = round::<JoinGroup>(&join("g"), &world.seen(9), |_, _| Ok(told.clone()));
        assert_eq!((answer.generation_id, answer.throttle_time_ms, effects.len()), (5, 6, 0));
        assert!(answer.unknown_tagged_fields.is_empty() && answer.members[0].unknown_tagged_fields.is_empty());
    }

    #[test]
    fn without_an_answer_the_member_looks_for_its_coordinator_again() {
        let world = World::default().coordinated(0, "g", 2);
        let forget = vec![Effect::ForgetCoordinator(slot(0), CoordinatorType::Group, text("g"))];
        for sent in [false, true] {
            let (answer, effects) =
                round::<JoinGroup>(&join("g"), &world.seen(6), |to, _| Err(Fault::upstream(to, sent, "gone")));
            assert_eq!((answer.error_code, answer.generation_id, answer.member_id.as_str()), (16, -1, "me"));
            assert_eq!(answer.protocol_name, Some(StrBytes::default()), "null from version 7 on only");
            assert_eq!(effects, forget);
        }
        let heartbeat = HeartbeatRequest::default().with_group_id(GroupId(text("g")));
        for (code, expected) in [(15, 1), (16, 1), (27, 0), (0, 0)] {
            let told = HeartbeatResponse::default().with_error_code(code);
            let (answer, effects) = round::<Heartbeat>(&heartbeat, &world.seen(4), |_, _| Ok(told.clone()));
            assert_eq!((answer.error_code, effects.len()), (code, expected));
        }
    }

    #[test]
    fn a_coordinator_that_is_not_known_is_asked_for_once() {
        let mut world = World::default();
        let need = Need::Coordinator { cluster: slot(1), of: CoordinatorType::Group, key: text("gb-1") };
        let request = SyncGroupRequest::default().with_group_id(GroupId(text("gb-1")));
        let Plan::Wait(needs) = SyncGroup::plan(&request, &world.seen(5)) else { panic!("does not wait") };
        assert_eq!(needs, [need]);
        world.refuse_needs::<SyncGroup>(&request, 5, &Refusal::Code(30));
        let (answer, _) = round::<SyncGroup>(&request, &world.seen(5), |_, _| panic!("nothing is to be sent"));
        assert_eq!(answer.error_code, 30);
    }

    #[test]
    fn lower_versions_get_what_they_have() {
        let mut request = join("g").with_group_instance_id(Some(text("static")));
        JoinGroup::lower(&mut request, 4);
        assert_eq!(request.group_instance_id, None);
        assert_eq!(JoinGroup::held_ms(&request), 300_000);
        assert_eq!(JoinGroup::held_ms(&request.with_rebalance_timeout_ms(-1)), 45_000);
        let members = vec![MemberIdentity::default().with_member_id(text("me"))];
        let mut request = LeaveGroupRequest::default().with_members(members);
        LeaveGroup::lower(&mut request, 2);
        assert_eq!((request.member_id.as_str(), request.members.len()), ("me", 0));
    }

    #[test]
    fn who_is_there_and_who_left_is_told_to_who_keeps_count() {
        let world = World::default().coordinated(0, "g", 2);
        let (group, member, by) = (text("g"), fast_hash("me"), Reader::default());
        let told = facts::<JoinGroup>(&join("g"), &world.seen(7), |_, _| Ok(JoinGroupResponse::default()));
        assert_eq!(told, [Fact::Beat { group: group.clone(), member, by, within_ms: 45_000 }]);
        let first = join("g").with_member_id(text(""));
        assert_eq!(facts::<JoinGroup>(&first, &world.seen(7), |_, _| Ok(JoinGroupResponse::default())), []);
        let heartbeat = HeartbeatRequest::default().with_group_id(GroupId(text("g"))).with_member_id(text("me"));
        for (code, said) in [(0, true), (25, false)] {
            let answer = |_, _| Ok(HeartbeatResponse::default().with_error_code(code));
            let beat = Fact::Beat { group: group.clone(), member, by, within_ms: 0 };
            let told = facts::<Heartbeat>(&heartbeat, &world.seen(4), answer);
            assert_eq!(told, said.then_some(beat).into_iter().collect::<Vec<_>>());
        }
        let members = vec![MemberIdentity::default().with_member_id(text("me"))];
        let leave = LeaveGroupRequest::default().with_group_id(GroupId(text("g"))).with_members(members);
        let told = facts::<LeaveGroup>(&leave, &world.seen(4), |_, _| Ok(LeaveGroupResponse::default()));
        assert_eq!(told, [Fact::Left { group, member }]);
    }
}
