//! ConsumerGroupHeartbeat (KIP-848) and ShareGroupHeartbeat (KIP-932): the whole request goes to the group's coordinator, who
//! assigns partitions. What its member may have subscribed to is judged before (`subscription`, led by
//! `session::subscriptions`).
//!
//! Without an answer the client gets 16 NOT_COORDINATOR, as with the classic protocol: at it every client looks the
//! coordinator up again, and then says all again. A cluster that does not serve such groups is 35 UNSUPPORTED_VERSION:
//! franz-go goes on with the classic protocol then, and Java says how to.

use super::by_group::{OfGroup, beat, forget_coordinator, left, subscribed, to_coordinator};
use super::subscription::{Protocol, Refused, Saying};
use crate::api::scrub::scrubbed_message;
use crate::api::untag::Untag;
use crate::api::{Api, Effect, Effects, Part, Plan, Seen, codes};
use crate::error::Fault;
use crate::placement::Placement;
use crate::telemetry::observed::Fact;
use crate::types::{Name, Slot, topic_key};
use kafka_protocol::messages::{
    ApiKey, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// A heartbeat whose member subscribes.
pub trait Subscribes: Api {
    /// Which kind of group it is of.
    const PROTOCOL: Protocol;
    /// What it says.
    fn saying(request: &Self::Request) -> Saying<'_>;
    /// Where its member is (KIP-881).
    fn rack(request: &mut Self::Request) -> &mut Option<StrBytes>;
    /// An answer that is an error.
    fn failed(code: i16, message: Option<String>) -> Self::Response;
    /// The topics that an answer assigns.
    fn assigned(response: &Self::Response) -> impl Iterator<Item = Uuid>;
    /// Leaves topics out of what an answer assigns.
    fn leave_out(response: &mut Self::Response, is_hidden: impl FnMut(Uuid) -> bool);
    /// An answer's code and message.
    fn outcome(response: &mut Self::Response) -> (i16, &mut Option<StrBytes>);
}

/// The answer to who is refused. 35: see the module's text; for share groups there is no other protocol to fall back to, and
/// Java shows its own words for 35, but ours for 42.
pub fn refused<A: Subscribes>(why: &Refused, placement: &Placement) -> A::Response {
    match why {
        Refused::Reaches(reach) => A::failed(code_of_refusal(A::PROTOCOL), Some(reach.message(placement))),
        Refused::Unreadable(why) => {
            let why = format!("Fishplate cannot tell which topics the regular expression means: {why}");
            A::failed(codes::INVALID_REGULAR_EXPRESSION, Some(why))
        }
    }
}

fn code_of_refusal(protocol: Protocol) -> i16 {
    match protocol {
        Protocol::Consumer => codes::UNSUPPORTED_VERSION,
        Protocol::Share => codes::INVALID_REQUEST,
    }
}

fn plan<A>(request: &A::Request, seen: &Seen<'_>) -> Plan<A>
where
    A: Subscribes<Origin = OfGroup>,
{
    let asked = |cluster| {
        let mut request = request.clone();
        let rack = A::rack(&mut request);
        *rack = rack.take().map(|rack| seen.placement.their_rack(cluster, rack));
        request
    };
    let saying = A::saying(request);
    let mut plan = to_coordinator(saying.group, asked, |code| A::failed(code, None), seen);
    if let (Plan::Send { parts, .. }, Protocol::Consumer) = (&mut plan, A::PROTOCOL) {
        let is_so = facts(&saying, seen);
        parts.iter_mut().for_each(|part: &mut Part<A>| part.origin.if_so.clone_from(&is_so));
    }
    plan
}

/// What is so where the coordinator has nothing against it. Of a member that subscribes by an expression it is not known what it reads.
fn facts(saying: &Saying<'_>, seen: &Seen<'_>) -> Vec<Fact> {
    let Saying { group, member, epoch, names, regex } = saying;
    if member.is_empty() {
        // It is given an id with the answer (version 0), and says so with the next.
        return Vec::new();
    }
    if *epoch < 0 {
        return vec![left(group, member)];
    }
    let key = |name: &TopicName| topic_key(name, Uuid::nil());
    let by_names = regex.is_none_or(|regex| regex.is_empty());
    let reads = match names {
        Some(names) if by_names => Some(subscribed(group, member, Some(names.iter().map(key).collect()))),
        None if by_names => None,
        _ => Some(subscribed(group, member, None)),
    };
    std::iter::once(beat(group, member, seen.reader, 0)).chain(reads).collect()
}

fn absorb<A>(
    so_far: &mut A::Response,
    origin: OfGroup,
    answer: Result<A::Response, Fault>,
    seen: &Seen<'_>,
    effects: &mut Effects,
) where
    A: Subscribes<Origin = OfGroup>,
    A::Response: Untag,
{
    match answer {
        Ok(mut answer) => {
            answer.untag();
            let (code, message) = A::outcome(&mut answer);
            *message = scrubbed_message(message.take(), origin.cluster, seen.placement);
            // One that knows the API and has it switched off says nothing more.
            if code == codes::UNSUPPORTED_VERSION && message.is_none() {
                *message = Some(StrBytes::from_string(lacking(A::PROTOCOL, origin.cluster, seen.placement)));
            }
            if seen.guard.is_some() {
                A::leave_out(&mut answer, |id| is_hidden(id, origin.cluster, seen));
            }
            let kept = A::assigned(&answer).find_map(|id| kept_from_clients(id, origin.cluster, seen.placement));
            *so_far = match kept {
                Some(topic) => A::failed(codes::NOT_COORDINATOR, Some(format!("{topic} is not to be assigned"))),
                None => answer,
            };
        }
        Err(fault) if fault.lacking => {
            *so_far = A::failed(codes::UNSUPPORTED_VERSION, Some(lacking(A::PROTOCOL, origin.cluster, seen.placement)));
        }
        // The seed stands.
        Err(_) => {}
    }
    let code = A::outcome(so_far).0;
    forget_coordinator(code, origin.cluster, &origin.group, effects);
    if code == codes::NONE {
        effects.extend(origin.if_so.into_iter().map(Effect::Saw));
    }
}

/// Whether a topic that a coordinator has assigned is one that the member may not describe: an expression may mean it to the
/// coordinator, which does not know who asks. With Kafka it does not. One that was made this moment has no name yet.
fn is_hidden(id: Uuid, cluster: Slot, seen: &Seen<'_>) -> bool {
    let there = || {
        let topics = &seen.placement.cluster(cluster)?.snapshot.topics;
        topics.iter().find(|(_, topic)| topic.id == id).map(|(name, _)| name)
    };
    let name = seen.placement.topic_by_id(id).map(|place| &place.topic.name).or_else(there);
    name.is_some_and(|name| !seen.shows(name))
}

/// A topic that a coordinator has assigned, and that its cluster only has as a shadow of one elsewhere. It was made or found
/// this moment: the member says all again, and is judged by what is known then.
fn kept_from_clients(id: Uuid, cluster: Slot, placement: &Placement) -> Option<StrBytes> {
    if placement.topic_by_id(id).is_some_and(|place| !place.is_twin()) {
        return None;
    }
    let topics = &placement.cluster(cluster)?.snapshot.topics;
    let is_kept = |name: &StrBytes| placement.home_of_topic(name) != cluster || placement.config.is_reserved(name);
    let (name, _) = topics.iter().find(|(name, topic)| topic.id == id && is_kept(name))?;
    Some(name.clone())
}

fn lacking(protocol: Protocol, cluster: Slot, placement: &Placement) -> String {
    let name = placement.cluster(cluster).map_or("", |cluster| cluster.name.as_str());
    match protocol {
        Protocol::Consumer => format!(
            "the group lives on cluster {name}, which does not serve groups of the consumer protocol, or not with a regular \
             expression: set group.protocol=classic"
        ),
        Protocol::Share => format!("the group lives on cluster {name}, which does not serve share groups"),
    }
}

macro_rules! heartbeats {
    ($($api:ident, $request:ident, $response:ident, $protocol:ident, $regex:expr;)*) => {$(
        /// See the module's text.
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
                seen: &Seen<'_>,
                effects: &mut Effects,
            ) {
                absorb::<Self>(so_far, origin, answer, seen, effects);
            }

            fn pipeline(request: &$request, seen: &Seen<'_>) -> Name {
                seen.pipeline_of_groups(std::iter::once(&request.group_id.0))
            }
        }

        impl Subscribes for $api {
            const PROTOCOL: Protocol = Protocol::$protocol;

            fn saying(request: &$request) -> Saying<'_> {
                let regex: fn(&$request) -> Option<&StrBytes> = $regex;
                Saying {
                    group: &request.group_id.0,
                    member: &request.member_id,
                    epoch: request.member_epoch,
                    names: request.subscribed_topic_names.as_deref(),
                    regex: regex(request),
                }
            }

            fn rack(request: &mut $request) -> &mut Option<StrBytes> {
                &mut request.rack_id
            }

            fn failed(code: i16, message: Option<String>) -> $response {
                $response::default().with_error_code(code).with_error_message(message.map(StrBytes::from_string))
            }

            fn assigned(response: &$response) -> impl Iterator<Item = Uuid> {
                response.assignment.iter().flat_map(|assignment| &assignment.topic_partitions).map(|topic| topic.topic_id)
            }

            fn leave_out(response: &mut $response, mut is_hidden: impl FnMut(Uuid) -> bool) {
                if let Some(assignment) = &mut response.assignment {
                    assignment.topic_partitions.retain(|topic| !is_hidden(topic.topic_id));
                }
            }

            fn outcome(response: &mut $response) -> (i16, &mut Option<StrBytes>) {
                (response.error_code, &mut response.error_message)
            }
        }
    )*};
}

heartbeats! {
    ConsumerGroupHeartbeat, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, Consumer,
        |request| request.subscribed_topic_regex.as_ref();
    ShareGroupHeartbeat, ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse, Share, |_| None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, at, round, sent, text};
    use crate::placement::build::tests::{slot, topic};
    use crate::rights::Operation;
    use crate::types::CoordinatorType;
    use kafka_protocol::messages::GroupId;
    use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};

    fn heartbeat(group: &str) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest::default().with_group_id(GroupId(text(group))).with_member_id(text("me"))
    }

    fn assigning(id: Uuid) -> ConsumerGroupHeartbeatResponse {
        let topic = TopicPartitions::default().with_topic_id(id).with_partitions(vec![0]);
        let assignment = Assignment::default().with_topic_partitions(vec![topic]);
        ConsumerGroupHeartbeatResponse::default().with_member_epoch(4).with_assignment(Some(assignment))
    }

    #[test]
    fn a_member_is_assigned_what_its_coordinator_says() {
        let world = World::with(&[topic("x", &[1])], &[]).coordinated(0, "g", 2);
        let (_, parts) = sent(ConsumerGroupHeartbeat::plan(&heartbeat("g"), &world.seen(1)));
        assert_eq!((parts.len(), parts[0].to), (1, at(0, 2)));
        for id in [topic("x", &[1]).id, Uuid::from_u128(77)] {
            let (answer, effects) =
                round::<ConsumerGroupHeartbeat>(&heartbeat("g"), &world.seen(1), |_, _| Ok(assigning(id)));
            assert_eq!((answer, effects.len()), (assigning(id), 0), "also one that we have not heard of yet");
        }
    }

    #[test]
    fn a_members_rack_is_told_as_its_cluster_calls_it() {
        let world = World::default().coordinated(0, "g", 2);
        for (said, told) in [(Some("ours"), Some("theirs")), (Some("r"), Some("r")), (None, None)] {
            let (_, parts) =
                sent(ConsumerGroupHeartbeat::plan(&heartbeat("g").with_rack_id(said.map(text)), &world.seen(1)));
            assert_eq!(parts[0].request.rack_id, told.map(text));
        }
    }

    #[test]
    fn a_shadow_is_assigned_to_nobody() {
        // Given a coordinator whose cluster has a shadow of a topic elsewhere
        let shadow = topic("b-1", &[1]);
        let world = World::with(&[std::sync::Arc::clone(&shadow)], &[]).coordinated(0, "g", 2);
        // When it assigns that
        let (answer, effects) =
            round::<ConsumerGroupHeartbeat>(&heartbeat("g"), &world.seen(1), |_, _| Ok(assigning(shadow.id)));
        // Then the member has to say all again
        assert_eq!((answer.error_code, answer.assignment, effects.len()), (16, None, 1));
    }

    #[test]
    fn a_member_is_not_assigned_what_it_may_not_describe() {
        // Given a coordinator that has a topic, and a shadow, of which its member may not know
        let (shadow, here) = (topic("b-1", &[1]), topic("y", &[1]));
        let topics = [topic("x", &[1]), std::sync::Arc::clone(&shadow), std::sync::Arc::clone(&here)];
        let world = World::with(&topics, &[]).coordinated(0, "g", 2).allowing(Operation::Describe, &["x"]);
        for hidden in [shadow, here] {
            let both = || {
                let mut answer = assigning(topic("x", &[1]).id);
                let more = assigning(hidden.id).assignment.unwrap().topic_partitions;
                answer.assignment.as_mut().unwrap().topic_partitions.extend(more);
                answer
            };
            // When it assigns that beside another
            let (answer, effects) = round::<ConsumerGroupHeartbeat>(&heartbeat("g"), &world.seen(1), |_, _| Ok(both()));
            // Then the member has the other
            assert_eq!((answer, effects.len()), (assigning(topic("x", &[1]).id), 0));
        }
        // And of one that nobody knows yet it is told, by its id
        let fresh = assigning(Uuid::from_u128(77));
        let (answer, _) = round::<ConsumerGroupHeartbeat>(&heartbeat("g"), &world.seen(1), |_, _| Ok(fresh.clone()));
        assert_eq!(answer, fresh);
    }

    #[test]
    fn a_cluster_without_such_groups_says_so_and_other_faults_have_the_member_say_all_again() {
        let world = World::default().coordinated(1, "gb-1", 3);
        let (answer, _) = round::<ConsumerGroupHeartbeat>(&heartbeat("gb-1"), &world.seen(1), |to, _| {
            Err(Fault::lacking(to, ApiKey::ConsumerGroupHeartbeat))
        });
        assert_eq!(answer.error_code, 35);
        assert!(answer.error_message.unwrap().contains("cluster b, which does not serve"));
        let (answer, effects) = round::<ConsumerGroupHeartbeat>(&heartbeat("gb-1"), &world.seen(1), |to, _| {
            Err(Fault::upstream(to, true, "gone"))
        });
        assert_eq!(answer.error_code, 16);
        assert_eq!(effects, [Effect::ForgetCoordinator(slot(1), CoordinatorType::Group, text("gb-1"))]);
    }
}
