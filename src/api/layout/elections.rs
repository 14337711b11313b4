//! ElectLeaders: each partition's topic where it lives, by any broker there. Without a list every cluster is asked to
//! elect for all that it has.

use crate::api::by_partition::{Asked, PartitionsAnswer, PartitionsRequest, absorb, at_home, plan};
use crate::api::everywhere::of_each_cluster;
use crate::api::needs::Needs;
use crate::api::partitioned::Partitioned;
use crate::api::scrub::scrubbed_message;
use crate::api::untag::Untag;
use crate::api::{Api, Effects, Part, Plan, Seen, codes, send_or_wait};
use crate::error::Fault;
use crate::types::{Name, Slot, Target};
use kafka_protocol::messages::elect_leaders_response::PartitionResult;
use kafka_protocol::messages::{ApiKey, ElectLeadersRequest, ElectLeadersResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// See the module's text.
pub struct ElectLeaders;

/// From this version on leaders may be elected that are not in sync, and the whole answer has a code.
const UNCLEAN: i16 = 1;

impl Api for ElectLeaders {
    const KEY: ApiKey = ApiKey::ElectLeaders;
    type Request = ElectLeadersRequest;
    type Response = ElectLeadersResponse;
    type Origin = Asked;

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        if request.topic_partitions.is_some() {
            return plan(request, seen);
        }
        let mut seed = ElectLeadersResponse::default();
        let mut parts = Vec::new();
        for to in of_each_cluster(seen) {
            match to {
                Ok(to) => parts.push(Part { to, request: request.clone(), origin: Asked::of_none(to.cluster) }),
                Err(_) => fail(&mut seed, codes::REQUEST_TIMED_OUT, seen),
            }
        }
        send_or_wait(seed, parts, Vec::new())
    }

    fn absorb(
        so_far: &mut Self::Response,
        origin: Asked,
        answer: Result<Self::Response, Fault>,
        seen: &Seen<'_>,
        effects: &mut Effects,
    ) {
        if origin.is_of_some() {
            return absorb(so_far, &origin, answer, seen, effects);
        }
        match answer {
            Ok(answer) => merge(so_far, answer, origin.cluster(), seen),
            Err(_) => fail(so_far, codes::REQUEST_TIMED_OUT, seen),
        }
    }

    fn pipeline(request: &Self::Request, seen: &Seen<'_>) -> Name {
        seen.pipeline_of_topics(request.topics().iter().map(|topic| (Some(&topic.topic.0), Uuid::nil())))
    }

    fn held_ms(request: &Self::Request) -> i32 {
        request.timeout_ms.max(0)
    }
}

/// Takes what a cluster elected, of the topics that live there.
fn merge(so_far: &mut ElectLeadersResponse, answer: ElectLeadersResponse, from: Slot, seen: &Seen<'_>) {
    so_far.throttle_time_ms = so_far.throttle_time_ms.max(answer.throttle_time_ms);
    fail(so_far, answer.error_code, seen);
    let mut told = answer.replica_election_results;
    told.retain(|topic| seen.placement.topic(&topic.topic).is_some_and(|place| place.cluster == from));
    told.untag();
    for partition in told.iter_mut().flat_map(|topic| &mut topic.partition_result) {
        ElectLeadersResponse::scrub(partition, from, seen);
    }
    so_far.replica_election_results.append(&mut told);
}

/// There is no room for a message, and none for the code in the lowest version.
fn fail(so_far: &mut ElectLeadersResponse, code: i16, seen: &Seen<'_>) {
    if seen.version >= UNCLEAN && so_far.error_code == codes::NONE {
        so_far.error_code = code;
    }
}

impl PartitionsRequest for ElectLeadersRequest {
    const UNANSWERED: i16 = codes::REQUEST_TIMED_OUT;

    fn bare(&self) -> Self {
        self.clone().with_topic_partitions(Some(Vec::new()))
    }

    fn locate(topic: &TopicName, _: i32, seen: &Seen<'_>, _: &mut Needs) -> Result<Target, i16> {
        at_home(topic, seen)
    }
}

impl PartitionsAnswer for ElectLeadersResponse {
    const CHANGES: bool = true;

    fn throttle_ms(&mut self) -> &mut i32 {
        &mut self.throttle_time_ms
    }

    fn whole(&mut self) -> (i16, Option<StrBytes>) {
        (self.error_code, None)
    }

    fn scrub(told: &mut PartitionResult, cluster: Slot, seen: &Seen<'_>) {
        told.error_message = scrubbed_message(told.error_message.take(), cluster, seen.placement);
    }

    fn explain(told: &mut PartitionResult, why: StrBytes) {
        told.error_message = Some(why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, at, round, sent, text};
    use crate::placement::build::tests::topic;
    use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
    use kafka_protocol::messages::elect_leaders_response::ReplicaElectionResult;

    fn world() -> World {
        World::with(&[topic("x", &[1, 2]), topic("b-1", &[1])], &[topic("b-1", &[1, 2])])
    }

    fn elect(topics: &[(&str, &[i32])]) -> ElectLeadersRequest {
        let topic = |(name, partitions): &(&str, &[i32])| {
            TopicPartitions::default().with_topic(TopicName(text(name))).with_partitions(partitions.to_vec())
        };
        ElectLeadersRequest::default().with_topic_partitions(Some(topics.iter().map(topic).collect()))
    }

    fn elected(topics: &[(&str, &[i32])]) -> ElectLeadersResponse {
        let topic = |(name, partitions): &(&str, &[i32])| {
            let told = |index: &i32| PartitionResult::default().with_partition_id(*index).with_error_code(84);
            ReplicaElectionResult::default()
                .with_topic(TopicName(text(name)))
                .with_partition_result(partitions.iter().map(told).collect())
        };
        ElectLeadersResponse::default().with_replica_election_results(topics.iter().map(topic).collect())
    }

    fn codes_of(answer: &ElectLeadersResponse) -> Vec<(&str, i32, i16)> {
        let all = answer.replica_election_results.iter();
        all.flat_map(|topic| topic.partition_result.iter().map(move |told| (topic.topic.as_str(), told)))
            .map(|(topic, told)| (topic, told.partition_id, told.error_code))
            .collect()
    }

    #[test]
    fn each_partition_is_elected_for_where_its_topic_lives() {
        let request = elect(&[("x", &[0, 1]), ("b-1", &[0])]);
        let (answer, _) = round::<ElectLeaders>(&request, &world().seen(2), |to, request| {
            assert_eq!(request.topics()[0].topic.as_str(), if to == at(0, 2) { "x" } else { "b-1" });
            if to == at(0, 2) { Ok(elected(&[("x", &[0, 1])])) } else { Err(Fault::upstream(to, true, "gone")) }
        });
        assert_eq!(codes_of(&answer), [("x", 0, 84), ("x", 1, 84), ("b-1", 0, 7)]);
        let why = answer.replica_election_results[1].partition_result[0].error_message.as_ref();
        assert!(why.is_some_and(|why| why.contains("`b`")), "{why:?}");
    }

    #[test]
    fn a_cluster_that_refuses_all_refuses_its_own() {
        let request = elect(&[("x", &[0]), ("b-1", &[0])]);
        let (answer, _) = round::<ElectLeaders>(&request, &world().seen(2), |to, _| {
            let denied = ElectLeadersResponse::default().with_error_code(31);
            Ok(if to == at(0, 2) { denied } else { elected(&[("b-1", &[0])]) })
        });
        assert_eq!((codes_of(&answer), answer.error_code), (vec![("x", 0, 31), ("b-1", 0, 84)], 0));
    }

    #[test]
    fn all_is_all_of_what_clients_see() {
        let all = ElectLeadersRequest::default().with_topic_partitions(None);
        let (_, parts) = sent(ElectLeaders::plan(&all, &world().seen(2)));
        assert_eq!(parts.iter().map(|part| part.to).collect::<Vec<_>>(), [at(0, 2), at(1, 2)]);
        let tell = |to: Target, _| {
            // The shadow of b-1 on a is nobody's business
            let told: &[(&str, &[i32])] = if to == at(0, 2) { &[("x", &[0]), ("b-1", &[0])] } else { &[("b-1", &[1])] };
            Ok(elected(told))
        };
        let (answer, _) = round::<ElectLeaders>(&all, &world().seen(2), tell);
        assert_eq!(codes_of(&answer), [("x", 0, 84), ("b-1", 1, 84)]);
        let (answer, _) = round::<ElectLeaders>(&all, &world().seen(2), |to, _| Err(Fault::upstream(to, true, "gone")));
        assert_eq!(answer.error_code, 7);
    }
}
