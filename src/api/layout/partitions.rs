//! CreatePartitions: each topic where it lives. Before a topic grows its shadows on groups' homes do, so that no group
//! finds a partition that it cannot commit for (protocol-rules 7). Where a shadow cannot grow the topic does all the
//! same: a commit asks for it again.

use crate::api::layout::topics::{OnCluster, each_once, parts, places, put};
use crate::api::needs::Needs;
use crate::api::overview::nodes::{ONE_NODE, not_here};
use crate::api::scrub::scrubbed_message;
use crate::api::untag::Untag;
use crate::api::{Api, Effect, Effects, Need, OF_TWIN, Plan, Seen, codes, once, send_or_wait};
use crate::error::Fault;
use crate::placement::nodes::SINGLE;
use crate::types::{Name, Slot, View, VirtualNode};
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{ApiKey, BrokerId, CreatePartitionsRequest, CreatePartitionsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// See the module's text.
pub struct CreatePartitions;

impl Api for CreatePartitions {
    const KEY: ApiKey = ApiKey::CreatePartitions;
    type Request = CreatePartitionsRequest;
    type Response = CreatePartitionsResponse;
    type Origin = OnCluster;

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        let mut seed = CreatePartitionsResponse::default();
        let mut needs = Needs::default();
        let mut per_cluster: BTreeMap<Slot, Vec<CreatePartitionsTopic>> = BTreeMap::new();
        for (topic, alone) in each_once(&request.topics, |topic| &topic.name) {
            let told = match on_real_brokers(topic, seen) {
                _ if !alone => not_grown(&topic.name, codes::INVALID_REQUEST, message("Duplicate topic name.")),
                _ if seen.is_reserved(&topic.name) => {
                    not_grown(&topic.name, codes::INVALID_TOPIC_EXCEPTION, message(OF_TWIN))
                }
                Ok(topic) => {
                    if !request.validate_only {
                        shadows(&topic, seen, &mut needs);
                    }
                    let told = not_grown(&topic.name, codes::REQUEST_TIMED_OUT, message("no answer"));
                    per_cluster.entry(seen.placement.home_of_topic(&topic.name)).or_default().push(topic);
                    told
                }
                Err((code, why)) => not_grown(&topic.name, code, why),
            };
            seed.results.push(told);
        }
        let part = |topics: &[CreatePartitionsTopic]| request.clone().with_topics(topics.to_vec());
        let parts = parts(
            per_cluster,
            seen,
            part,
            |_| HashMap::new(),
            |topics, origin, fault| {
                let (code, why) = origin.lost(&fault);
                let places = places(seed.results.iter().map(|told| &told.name));
                for topic in topics {
                    put(&mut seed.results, &places, &topic.name, not_grown(&topic.name, code, why.clone()));
                }
            },
        );
        send_or_wait(seed, parts, needs.all())
    }

    fn absorb(
        so_far: &mut Self::Response,
        origin: OnCluster,
        answer: Result<Self::Response, Fault>,
        seen: &Seen<'_>,
        effects: &mut Effects,
    ) {
        match answer {
            Ok(answer) => {
                so_far.throttle_time_ms = so_far.throttle_time_ms.max(answer.throttle_time_ms);
                let places = places(so_far.results.iter().map(|told| &told.name));
                for mut told in answer.results {
                    told.untag();
                    told.error_message = match told.error_code {
                        codes::INVALID_REPLICA_ASSIGNMENT => message(UNEVEN),
                        _ => scrubbed_message(told.error_message, origin.cluster, seen.placement),
                    };
                    let known = seen.placement.topic(&told.name).map(|place| place.topic.partitions.len());
                    once(
                        match (told.error_code, known) {
                            (codes::NONE, Some(known)) => Effect::Grown(origin.cluster, told.name.0.clone(), known),
                            _ => Effect::Refresh(origin.cluster, told.name.0.clone()),
                        },
                        effects,
                    );
                    put(&mut so_far.results, &places, &told.name.clone(), told);
                }
            }
            Err(fault) => {
                let (code, why) = origin.lost(&fault);
                let of_cluster = |told: &&mut CreatePartitionsTopicResult| {
                    told.error_code == codes::REQUEST_TIMED_OUT
                        && seen.placement.home_of_topic(&told.name) == origin.cluster
                };
                for told in so_far.results.iter_mut().filter(of_cluster) {
                    *told = not_grown(&told.name, code, why.clone());
                    once(Effect::Refresh(origin.cluster, told.name.0.clone()), effects);
                }
            }
        }
    }

    fn pipeline(request: &Self::Request, seen: &Seen<'_>) -> Name {
        seen.pipeline_of_topics(request.topics.iter().map(|topic| (Some(&topic.name.0), Uuid::nil())))
    }

    fn held_ms(request: &Self::Request) -> i32 {
        request.timeout_ms.max(0)
    }
}

/// A message about replicas names brokers by their real ids.
const UNEVEN: &str = "The replica assignment does not fit the topic or its cluster: a broker is not there, the replicas are uneven, or there \
                      are not as many as new partitions.";

fn message(text: &'static str) -> Option<StrBytes> {
    Some(StrBytes::from_static_str(text))
}

fn not_grown(name: &TopicName, code: i16, why: Option<StrBytes>) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult::default().with_name(name.clone()).with_error_code(code).with_error_message(why)
}

/// Has the topics of this name on other clusters grow first, where the topic itself will.
fn shadows(topic: &CreatePartitionsTopic, seen: &Seen<'_>, needs: &mut Needs) {
    let has = |cluster: &crate::placement::ClusterPlace| {
        cluster.snapshot.topics.get(&topic.name.0).map_or(i32::MAX, |topic| count(topic.partitions.len()))
    };
    let Some(place) = seen.placement.topic(&topic.name) else { return };
    // Whether who comes as an identity may have it grow, its home says; we would have them grow before that.
    let comes_as_another = (seen.sight)(place.cluster).is_some();
    if topic.count <= count(place.topic.partitions.len()) || comes_as_another {
        return;
    }
    for cluster in seen.placement.clusters.iter().filter(|cluster| cluster.slot != place.cluster) {
        let need = Need::Shadow { cluster: cluster.slot, topic: topic.name.0.clone(), partitions: topic.count };
        if has(cluster) < topic.count && seen.refusal(&need).is_none() {
            needs.push(need);
        }
    }
}

fn count(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

type Refused = (i16, Option<StrBytes>);

/// The topic with the real ids of the brokers that are to hold its new partitions.
fn on_real_brokers(topic: &CreatePartitionsTopic, seen: &Seen<'_>) -> Result<CreatePartitionsTopic, Refused> {
    if seen.placement.fence.why(&topic.name).is_some() {
        return Err((codes::UNKNOWN_TOPIC_OR_PARTITION, message("This topic is kept from clients; the log says why.")));
    }
    let mut topic = topic.clone();
    let Some(assignments) = topic.assignments.as_mut() else { return Ok(topic) };
    if seen.view == View::Single {
        return on_one_node(topic, seen);
    }
    let home = seen.placement.home_of_topic(&topic.name);
    for id in assignments.iter_mut().flat_map(|partition| &mut partition.broker_ids) {
        let real = seen.broker_behind(VirtualNode(id.0)).filter(|real| real.cluster == home);
        let refused = || (codes::INVALID_REPLICA_ASSIGNMENT, Some(not_here(*id, seen)));
        *id = BrokerId(real.ok_or_else(refused)?.broker.0);
    }
    Ok(topic)
}

/// In the view `single` each new partition is on the one node, and the cluster says how many brokers hold it.
fn on_one_node(mut topic: CreatePartitionsTopic, seen: &Seen<'_>) -> Result<CreatePartitionsTopic, Refused> {
    let known = seen.placement.topic(&topic.name).map_or(0, |place| count(place.topic.partitions.len()));
    let assignments = topic.assignments.take().unwrap_or_default();
    let other = |partition: &CreatePartitionsAssignment| partition.broker_ids != [BrokerId(SINGLE.0)];
    if assignments.iter().any(other) {
        return Err((codes::INVALID_REPLICA_ASSIGNMENT, message(ONE_NODE)));
    }
    if known > 0 && count(assignments.len()) != topic.count.saturating_sub(known) {
        return Err((codes::INVALID_REPLICA_ASSIGNMENT, message(UNEVEN)));
    }
    Ok(topic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Refusal;
    use crate::api::testing::{World, at, round, sent, text};
    use crate::placement::build::tests::{slot, topic};

    fn world() -> World {
        // A shadow of b-1 on a
        World::with(&[topic("x", &[1, 2]), topic("b-1", &[1])], &[topic("b-1", &[1, 2])])
    }

    fn grow(topics: &[(&str, i32)]) -> CreatePartitionsRequest {
        let topic = |(name, count): &(&str, i32)| {
            CreatePartitionsTopic::default().with_name(TopicName(text(name))).with_count(*count).with_assignments(None)
        };
        CreatePartitionsRequest::default().with_timeout_ms(5_000).with_topics(topics.iter().map(topic).collect())
    }

    fn assigned(name: &str, count: i32, ids: &[i32]) -> CreatePartitionsRequest {
        let one = |id: &i32| CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(*id)]);
        let mut request = grow(&[(name, count)]);
        request.topics[0].assignments = Some(ids.iter().map(one).collect());
        request
    }

    fn grown(request: &CreatePartitionsRequest) -> CreatePartitionsResponse {
        let told = |topic: &CreatePartitionsTopic| not_grown(&topic.name, 0, None);
        CreatePartitionsResponse::default().with_results(request.topics.iter().map(told).collect())
    }

    fn codes_of(answer: &CreatePartitionsResponse) -> Vec<(&str, i16)> {
        answer.results.iter().map(|told| (told.name.as_str(), told.error_code)).collect()
    }

    #[test]
    fn shadows_grow_before_their_topic() {
        let mut world = world();
        let need = Need::Shadow { cluster: slot(0), topic: text("b-1"), partitions: 4 };
        let Plan::Wait(needs) = CreatePartitions::plan(&grow(&[("b-1", 4), ("x", 3)]), &world.seen(3)) else {
            panic!("does not wait")
        };
        assert_eq!(needs, [need]);
        // Where that fails the topic grows all the same: a commit asks again
        world.refuse_needs::<CreatePartitions>(&grow(&[("b-1", 4)]), 3, &Refusal::Code(37));
        let (answer, effects) =
            round::<CreatePartitions>(&grow(&[("b-1", 4)]), &world.seen(3), |_, request| Ok(grown(&request)));
        assert_eq!(codes_of(&answer), [("b-1", 0)]);
        assert_eq!(effects, [Effect::Grown(slot(1), text("b-1"), 2)]);
    }

    #[test]
    fn nothing_grows_where_the_topic_will_not() {
        let world = world();
        for request in [grow(&[("b-1", 2)]), grow(&[("b-1", 4)]).with_validate_only(true), grow(&[("b-2", 4)])] {
            let (_, parts) = sent(CreatePartitions::plan(&request, &world.seen(3)));
            assert_eq!((parts[0].to, &parts[0].request), (at(1, 2), &request));
        }
    }

    #[test]
    fn each_topic_is_answered_once_also_where_its_cluster_is_lost() {
        let request = grow(&[("x", 3), ("b-2", 2), ("y", 1), ("y", 1)]);
        let (answer, _) = round::<CreatePartitions>(&request, &world().seen(3), |to, request| {
            if to.cluster == slot(1) { Err(Fault::upstream(to, false, "gone")) } else { Ok(grown(&request)) }
        });
        assert_eq!(codes_of(&answer), [("x", 0), ("b-2", 7), ("y", 42)]);
    }

    #[test]
    fn replicas_are_on_brokers_of_the_topics_own_cluster() {
        let world = World::with(&[], &[topic("b-1", &[1, 2])]);
        let (_, parts) = sent(CreatePartitions::plan(&assigned("b-1", 3, &[33_554_435]), &world.seen(3)));
        assert_eq!(parts[0].request, assigned("b-1", 3, &[3]));
        let answer = |world: &World, request| {
            let (answer, _) = round::<CreatePartitions>(&request, &world.seen(3), |_, _| panic!("sent"));
            codes_of(&answer)[0].1
        };
        assert_eq!(answer(&world, assigned("b-1", 3, &[3])), 39);
        let world = world.shown(View::Single);
        let (_, parts) = sent(CreatePartitions::plan(&assigned("b-1", 3, &[SINGLE.0]), &world.seen(3)));
        assert_eq!(parts[0].request, grow(&[("b-1", 3)]));
        assert_eq!(answer(&world, assigned("b-1", 3, &[33_554_435])), 39);
        assert_eq!(answer(&world, assigned("b-1", 4, &[SINGLE.0])), 39, "two new partitions, one place");
    }
}
