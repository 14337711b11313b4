//! OffsetDelete: a group's offsets are kept by its coordinator, also those for topics of other clusters. A coordinator
//! that has no shadow of such a topic has no offsets for it either: that is success, as on a cluster that has the topic
//! and no offset.

use crate::api::groups::by_group::forget_coordinator;
use crate::api::partitioned::{Place, Places, refused};
use crate::api::{Api, Effect, Effects, Missing, Part, Plan, Seen, codes};
use crate::error::Fault;
use crate::placement::Leader;
use crate::telemetry::observed::Fact;
use crate::types::{Name, Partition, Slot};
use crate::wire::codec::copied;
use kafka_protocol::messages::{ApiKey, OffsetDeleteRequest, OffsetDeleteResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

/// See the module's text.
pub struct OffsetDelete;

/// The group, and what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    cluster: Slot,
    group: StrBytes,
    places: Places,
}

impl Api for OffsetDelete {
    const KEY: ApiKey = ApiKey::OffsetDelete;
    type Request = OffsetDeleteRequest;
    type Response = OffsetDeleteResponse;
    type Origin = Deleted;

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        let group = &request.group_id.0;
        // With a code for the whole there are no topics, as at Kafka.
        let failed = |code| OffsetDeleteResponse::default().with_error_code(code);
        let to = match seen.coordinator_of(group) {
            Ok(to) => to,
            Err(Missing::Need(need)) => return Plan::Wait(vec![need]),
            Err(Missing::Code(code)) => return Plan::Answer(failed(code)),
        };
        let mut places = Places::default();
        for (topic_at, topic) in request.topics.iter().enumerate() {
            for (partition_at, partition) in topic.partitions.iter().enumerate() {
                let place = Place { topic: topic_at, partition: partition_at };
                places.note(&topic.name, partition.partition_index, place);
            }
        }
        let origin = Deleted { cluster: to.cluster, group: group.clone(), places };
        let part = Part { to, request: request.clone(), origin };
        Plan::Send { seed: refused(request, codes::NOT_COORDINATOR), parts: vec![part] }
    }

    fn absorb(
        so_far: &mut Self::Response,
        origin: Deleted,
        answer: Result<Self::Response, Fault>,
        seen: &Seen<'_>,
        effects: &mut Effects,
    ) {
        let whole = answer.as_ref().map_or(codes::NOT_COORDINATOR, |answer| answer.error_code);
        forget_coordinator(whole, origin.cluster, &origin.group, effects);
        let Ok(mut answer) = answer else { return fail(so_far, codes::NOT_COORDINATOR) };
        so_far.throttle_time_ms = answer.throttle_time_ms;
        if whole != codes::NONE {
            return fail(so_far, whole);
        }
        for topic in &mut answer.topics {
            let elsewhere = |index| is_elsewhere(&topic.name, index, origin.cluster, seen);
            for told in &mut topic.partitions {
                if told.error_code == codes::UNKNOWN_TOPIC_OR_PARTITION && elsewhere(told.partition_index) {
                    told.error_code = codes::NONE;
                }
            }
        }
        let mut gone = Vec::new();
        origin.places.fill(so_far, answer, |topic, index, code| {
            gone.extend((code == codes::NONE).then(|| Partition::new(topic, index)));
        });
        if !gone.is_empty() {
            let (group, of) = (copied(&origin.group), gone.into_boxed_slice());
            effects.push(Effect::Saw(Fact::OffsetsGone { group, of }));
        }
    }

    fn pipeline(request: &Self::Request, seen: &Seen<'_>) -> Name {
        seen.pipeline_of_groups(std::iter::once(&request.group_id.0))
    }
}

fn fail(answer: &mut OffsetDeleteResponse, code: i16) {
    answer.topics.clear();
    answer.error_code = code;
}

/// Whether clients see this partition on another cluster.
fn is_elsewhere(topic: &TopicName, partition: i32, than: Slot, seen: &Seen<'_>) -> bool {
    let place = seen.placement.topic(topic).filter(|place| place.cluster != than);
    place.is_some_and(|place| place.leader(partition) != Leader::NoPartition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Refusal;
    use crate::api::partitioned::Told;
    use crate::api::testing::{World, at, round, text};
    use crate::placement::build::tests::{slot, topic};
    use crate::types::CoordinatorType;
    use kafka_protocol::messages::GroupId;
    use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};

    fn delete(topics: &[(&str, &[i32])]) -> OffsetDeleteRequest {
        let partition = |index: &i32| OffsetDeleteRequestPartition::default().with_partition_index(*index);
        let topic = |(name, partitions): &(&str, &[i32])| {
            OffsetDeleteRequestTopic::default()
                .with_name(TopicName(text(name)))
                .with_partitions(partitions.iter().map(partition).collect())
        };
        let topics = topics.iter().map(topic).collect();
        OffsetDeleteRequest::default().with_group_id(GroupId(text("g"))).with_topics(topics)
    }

    fn world() -> World {
        World::with(&[topic("x", &[1])], &[topic("b-1", &[1])]).coordinated(0, "g", 3)
    }

    fn codes_of(answer: &OffsetDeleteResponse) -> Vec<i16> {
        answer.topics.iter().flat_map(|topic| topic.partitions.iter().map(Told::code)).collect()
    }

    #[test]
    fn no_shadow_means_no_offset() {
        let request = delete(&[("x", &[0]), ("b-1", &[0, 5]), ("y", &[0])]);
        let (answer, _) = round::<OffsetDelete>(&request, &world().seen(0), |to, asked| {
            assert_eq!((to, &asked), (at(0, 3), &request));
            let mut told: OffsetDeleteResponse = refused(&asked, 3);
            told.topics[0].partitions[0].error_code = 86;
            Ok(told)
        });
        assert_eq!((answer.error_code, codes_of(&answer)), (0, vec![86, 0, 3, 3]));
    }

    #[test]
    fn a_whole_that_fails_has_no_topics() {
        let request = delete(&[("x", &[0])]);
        for (told, code, effects) in [(Some(69), 69, 0), (Some(16), 16, 1), (None, 16, 1)] {
            let answer = |to, _| match told {
                Some(code) => Ok(OffsetDeleteResponse::default().with_error_code(code)),
                None => Err(Fault::upstream(to, true, "gone")),
            };
            let (answer, seen) = round::<OffsetDelete>(&request, &world().seen(0), answer);
            assert_eq!((answer.error_code, answer.topics.len(), seen.len()), (code, 0, effects));
            assert!(
                seen.iter()
                    .all(|effect| *effect == Effect::ForgetCoordinator(slot(0), CoordinatorType::Group, text("g")))
            );
        }
        let mut unknown = World::default();
        unknown.refuse_needs::<OffsetDelete>(&request, 0, &Refusal::Code(30));
        let (answer, _) = round::<OffsetDelete>(&request, &unknown.seen(0), |_, _| panic!("sent"));
        assert_eq!(answer.error_code, 30);
    }
}
