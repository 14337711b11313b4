//! Where share groups begin to read (KIP-932): DescribeShareGroupOffsets, AlterShareGroupOffsets and
//! DeleteShareGroupOffsets, each by the group's coordinator. It knows the topics of its own cluster alone, and a topic that lives
//! elsewhere is refused: with a shadow of it, its cluster would keep a place in what nobody writes.

use super::by_group::{OfGroup, forget_coordinator};
use crate::api::by_coordinator::{self, Asked, Asks, Key, Tells, by_coordinator};
use crate::api::scrub::scrubbed_message;
use crate::api::untag::Untag;
use crate::api::{Api, Effects, Missing, Part, Plan, Seen, codes};
use crate::error::Fault;
use crate::placement::Placement;
use crate::types::{Name, Slot};
use kafka_protocol::messages::alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic;
use kafka_protocol::messages::alter_share_group_offsets_response::{
    AlterShareGroupOffsetsResponsePartition, AlterShareGroupOffsetsResponseTopic,
};
use kafka_protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use kafka_protocol::messages::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
use kafka_protocol::messages::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
use kafka_protocol::messages::describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseGroup;
use kafka_protocol::messages::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, ApiKey, DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse, DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse, GroupId,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;

by_coordinator! {
    DescribeShareGroupOffsets of GroupId:
        DescribeShareGroupOffsetsRequest.groups [DescribeShareGroupOffsetsRequestGroup.group_id], DescribeShareGroupOffsetsResponse {}
}

impl Tells for DescribeShareGroupOffsetsResponse {
    type Key = GroupId;
    type Told = DescribeShareGroupOffsetsResponseGroup;

    fn told(&mut self) -> &mut Vec<Self::Told> {
        &mut self.groups
    }

    fn throttle_ms(&mut self) -> &mut i32 {
        &mut self.throttle_time_ms
    }

    fn key(told: &Self::Told) -> &GroupId {
        &told.group_id
    }

    fn code(told: &Self::Told) -> i16 {
        told.error_code
    }

    fn refused(group: &GroupId, code: i16) -> Self::Told {
        DescribeShareGroupOffsetsResponseGroup::default().with_group_id(group.clone()).with_error_code(code)
    }

    fn scrub(told: &mut Self::Told, cluster: Slot, seen: &Seen<'_>) {
        told.error_message = scrubbed_message(told.error_message.take(), cluster, seen.placement);
        for partition in told.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.error_message = scrubbed_message(partition.error_message.take(), cluster, seen.placement);
        }
    }
}

/// A request that changes where one group begins to read some topics.
trait Change: Clone {
    type Topic;
    fn group(&self) -> &StrBytes;
    fn topics(&mut self) -> &mut Vec<Self::Topic>;
    fn name(topic: &Self::Topic) -> &TopicName;
}

/// What is answered to it.
trait Changed: Untag {
    type Asked;
    type Told;
    fn failed(code: i16, message: Option<StrBytes>) -> Self;
    fn told(&mut self) -> &mut Vec<Self::Told>;
    fn refused(asked: &Self::Asked, message: &StrBytes) -> Self::Told;
    fn outcome(&self) -> i16;
    fn scrub(&mut self, scrub: impl Fn(&mut Option<StrBytes>));
}

/// The group, and the answers to topics that are not its coordinator's.
pub struct Changing<Told> {
    of: OfGroup,
    refused: Vec<Told>,
}

fn plan<A, Asked, Told>(request: &A::Request, seen: &Seen<'_>) -> Plan<A>
where
    A: Api<Origin = Changing<Told>>,
    A::Request: Change<Topic = Asked>,
    A::Response: Changed<Asked = Asked, Told = Told>,
{
    let to = match seen.coordinator_of(request.group()) {
        Ok(to) => to,
        Err(Missing::Need(need)) => return Plan::Wait(vec![need]),
        Err(Missing::Code(code)) => return Plan::Answer(A::Response::failed(code, None)),
    };
    let mut asked = request.clone();
    let mut refused = Vec::new();
    asked.topics().retain(|topic| {
        let name = &A::Request::name(topic).0;
        let lives_on = seen.placement.home_of_topic(name);
        if lives_on != to.cluster {
            refused.push(A::Response::refused(topic, &elsewhere(lives_on, to.cluster, seen.placement)));
        }
        lives_on == to.cluster
    });
    let none_left = asked.topics().is_empty() && !refused.is_empty();
    if none_left {
        let mut answer = A::Response::failed(codes::NONE, None);
        *answer.told() = refused;
        return Plan::Answer(answer);
    }
    let of = OfGroup { cluster: to.cluster, group: request.group().clone(), if_so: Vec::new() };
    let seed = A::Response::failed(codes::NOT_COORDINATOR, None);
    Plan::Send { seed, parts: vec![Part { to, request: asked, origin: Changing { of, refused } }] }
}

fn elsewhere(lives_on: Slot, home: Slot, placement: &Placement) -> StrBytes {
    let named = |slot| placement.cluster(slot).map_or("", |cluster| cluster.name.as_str());
    StrBytes::from_string(format!("the topic lives on cluster {}, and the group on {}", named(lives_on), named(home)))
}

fn absorb<R: Changed>(
    so_far: &mut R,
    origin: Changing<R::Told>,
    answer: Result<R, Fault>,
    seen: &Seen<'_>,
    effects: &mut Effects,
) {
    let Changing { of, refused } = origin;
    match answer {
        Ok(mut answer) => {
            answer.untag();
            answer.scrub(|message| *message = scrubbed_message(message.take(), of.cluster, seen.placement));
            if answer.outcome() == codes::NONE {
                answer.told().extend(refused);
            }
            *so_far = answer;
        }
        Err(fault) if fault.lacking => {
            let message = StrBytes::from_static_str("the group's cluster does not serve share groups");
            *so_far = R::failed(codes::UNSUPPORTED_VERSION, Some(message));
        }
        // The seed stands.
        Err(_) => {}
    }
    forget_coordinator(so_far.outcome(), of.cluster, &of.group, effects);
}

macro_rules! changes {
    ($($api:ident, $request:ident: $asked:ident, $response:ident: $told:ident, $refused:expr, $scrubbed:expr;)*) => {$(
        /// See the module's text.
        pub struct $api;

        impl Api for $api {
            const KEY: ApiKey = ApiKey::$api;
            type Request = $request;
            type Response = $response;
            type Origin = Changing<$told>;

            fn plan(request: &$request, seen: &Seen<'_>) -> Plan<Self> {
                plan(request, seen)
            }

            fn absorb(
                so_far: &mut $response,
                origin: Changing<$told>,
                answer: Result<$response, Fault>,
                seen: &Seen<'_>,
                effects: &mut Effects,
            ) {
                absorb(so_far, origin, answer, seen, effects);
            }

            fn pipeline(request: &$request, seen: &Seen<'_>) -> Name {
                seen.pipeline_of_groups(std::iter::once(&request.group_id.0))
            }
        }

        impl Change for $request {
            type Topic = $asked;

            fn group(&self) -> &StrBytes {
                &self.group_id.0
            }

            fn topics(&mut self) -> &mut Vec<$asked> {
                &mut self.topics
            }

            fn name(topic: &$asked) -> &TopicName {
                &topic.topic_name
            }
        }

        impl Changed for $response {
            type Asked = $asked;
            type Told = $told;

            fn failed(code: i16, message: Option<StrBytes>) -> Self {
                $response::default().with_error_code(code).with_error_message(message)
            }

            fn told(&mut self) -> &mut Vec<$told> {
                &mut self.responses
            }

            fn refused(asked: &$asked, message: &StrBytes) -> $told {
                let refused: fn(&$asked, &StrBytes) -> $told = $refused;
                refused(asked, message)
            }

            fn outcome(&self) -> i16 {
                self.error_code
            }

            fn scrub(&mut self, scrub: impl Fn(&mut Option<StrBytes>)) {
                scrub(&mut self.error_message);
                let messages: fn(&mut $told) -> Vec<&mut Option<StrBytes>> = $scrubbed;
                self.responses.iter_mut().flat_map(messages).for_each(scrub);
            }
        }
    )*};
}

changes! {
    AlterShareGroupOffsets, AlterShareGroupOffsetsRequest: AlterShareGroupOffsetsRequestTopic,
        AlterShareGroupOffsetsResponse: AlterShareGroupOffsetsResponseTopic,
        |asked, message| {
            let refused = asked.partitions.iter().map(|partition| {
                AlterShareGroupOffsetsResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(codes::UNKNOWN_TOPIC_OR_PARTITION)
                    .with_error_message(Some(message.clone()))
            });
            AlterShareGroupOffsetsResponseTopic::default()
                .with_topic_name(asked.topic_name.clone())
                .with_partitions(refused.collect())
        },
        |told| told.partitions.iter_mut().map(|partition| &mut partition.error_message).collect();
    DeleteShareGroupOffsets, DeleteShareGroupOffsetsRequest: DeleteShareGroupOffsetsRequestTopic,
        DeleteShareGroupOffsetsResponse: DeleteShareGroupOffsetsResponseTopic,
        |asked, message| {
            DeleteShareGroupOffsetsResponseTopic::default()
                .with_topic_name(asked.topic_name.clone())
                .with_error_code(codes::UNKNOWN_TOPIC_OR_PARTITION)
                .with_error_message(Some(message.clone()))
        },
        |told| vec![&mut told.error_message];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, at, round, text};

    fn delete(group: &str, topics: &[&str]) -> DeleteShareGroupOffsetsRequest {
        let topic = |name: &&str| DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(TopicName(text(name)));
        let request = DeleteShareGroupOffsetsRequest::default().with_group_id(GroupId(text(group)));
        request.with_topics(topics.iter().map(topic).collect())
    }

    #[test]
    fn topics_that_live_elsewhere_are_refused_and_the_others_changed() {
        let world = World::default().coordinated(0, "g", 2);
        let told = |topic: &str| {
            DeleteShareGroupOffsetsResponseTopic::default()
                .with_topic_name(TopicName(text(topic)))
                .with_error_message(Some(text("secret-a-1.internal:1")))
        };
        let (answer, _) = round::<DeleteShareGroupOffsets>(&delete("g", &["b-1", "x"]), &world.seen(0), |to, asked| {
            assert_eq!((to, asked.topics.len()), (at(0, 2), 1));
            Ok(DeleteShareGroupOffsetsResponse::default().with_responses(vec![told("x")]))
        });
        let seen: Vec<_> = answer.responses.iter().map(|told| (told.topic_name.0.as_str(), told.error_code)).collect();
        assert_eq!(seen, [("x", 0), ("b-1", 3)]);
        assert_eq!(answer.responses[0].error_message.as_ref().unwrap().as_str(), "(hidden)");
        let all = round::<DeleteShareGroupOffsets>(&delete("g", &["b-1"]), &world.seen(0), |_, _| panic!("is sent"));
        assert_eq!((all.0.error_code, all.0.responses[0].error_code), (0, 3));
    }

    #[test]
    fn each_group_is_asked_for_at_its_own_coordinator() {
        let world = World::default().coordinated(0, "g", 2).coordinated(1, "gb-1", 3);
        let groups = ["gb-1", "g"]
            .map(|group| DescribeShareGroupOffsetsRequestGroup::default().with_group_id(GroupId(text(group))));
        let request = DescribeShareGroupOffsetsRequest::default().with_groups(groups.to_vec());
        let (answer, _) = round::<DescribeShareGroupOffsets>(&request, &world.seen(0), |to, asked| {
            if to == at(1, 3) {
                return Err(Fault::lacking(to, "it"));
            }
            let told = DescribeShareGroupOffsetsResponse::refused(&asked.groups[0].group_id, 0);
            Ok(DescribeShareGroupOffsetsResponse::default().with_groups(vec![told]))
        });
        let told: Vec<_> = answer.groups.iter().map(|told| (told.group_id.0.as_str(), told.error_code)).collect();
        assert_eq!(told, [("gb-1", 35), ("g", 0)]);
    }
}
