//! AlterPartitionReassignments and ListPartitionReassignments: each topic where it lives, by any broker there; without a
//! list every cluster tells what it moves. Brokers are virtual nodes, both ways.
//!
//! In `single` a partition is on the one node, and which brokers behind it hold it is its cluster's to say: to assign it
//! to that node is what is already so, to assign it elsewhere is refused, and a reassignment that somebody else began
//! can be seen and cancelled.

use crate::api::by_partition::{
    Asked, PartitionsAnswer, PartitionsRequest, absorb, at_home, by_partition, leader, plan, refuse_newer,
};
use crate::api::everywhere::{Merged, UNHEARD, Word, ask_all, join, merge, of_each_cluster};
use crate::api::needs::Needs;
use crate::api::overview::nodes::{ONE_NODE, not_here};
use crate::api::partitioned::{OfTopic, Partitioned};
use crate::api::scrub::scrubbed_message;
use crate::api::untag::Untag;
use crate::api::{Api, Effects, Part, Plan, Seen, codes, send_or_wait};
use crate::error::Fault;
use crate::placement::nodes::SINGLE;
use crate::types::{Name, Slot, Target, View, VirtualNode};
use kafka_protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use kafka_protocol::messages::alter_partition_reassignments_response::ReassignablePartitionResponse;
use kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use kafka_protocol::messages::list_partition_reassignments_response::OngoingPartitionReassignment;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ApiKey, BrokerId,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use uuid::Uuid;

by_partition! {
    AlterPartitionReassignments, AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse {
        fn held_ms(request: &AlterPartitionReassignmentsRequest) -> i32 {
            request.timeout_ms.max(0)
        }
    }
}

impl PartitionsRequest for AlterPartitionReassignmentsRequest {
    const UNANSWERED: i16 = codes::REQUEST_TIMED_OUT;

    fn bare(&self) -> Self {
        self.clone().with_topics(Vec::new())
    }

    /// In `single` we answer ourselves what a cluster would do nothing for, and must know that there is such a partition.
    fn locate(topic: &TopicName, partition: i32, seen: &Seen<'_>, needs: &mut Needs) -> Result<Target, i16> {
        match leader(topic, partition, seen, needs) {
            Err(codes::UNKNOWN_TOPIC_OR_PARTITION) if seen.view == View::Single => {
                Err(codes::UNKNOWN_TOPIC_OR_PARTITION)
            }
            _ => at_home(topic, seen),
        }
    }

    fn for_cluster(
        asked: &ReassignablePartition,
        cluster: Slot,
        seen: &Seen<'_>,
    ) -> Result<ReassignablePartition, Word> {
        let mut asked = asked.clone();
        let Some(replicas) = asked.replicas.as_mut() else { return Ok(asked) };
        if seen.view == View::Single {
            let same = *replicas == [BrokerId(SINGLE.0)];
            let refused = Word::new(codes::INVALID_REPLICA_ASSIGNMENT, ONE_NODE);
            return Err(if same { Word::from(codes::NONE) } else { refused });
        }
        for id in replicas {
            let real = seen.broker_behind(VirtualNode(id.0)).filter(|real| real.cluster == cluster);
            let refused = || Word { code: codes::INVALID_REPLICA_ASSIGNMENT, why: Some(not_here(*id, seen)) };
            *id = BrokerId(real.ok_or_else(refused)?.broker.0);
        }
        Ok(asked)
    }
}

impl PartitionsAnswer for AlterPartitionReassignmentsResponse {
    const CHANGES: bool = true;

    fn throttle_ms(&mut self) -> &mut i32 {
        &mut self.throttle_time_ms
    }

    fn whole(&mut self) -> (i16, Option<StrBytes>) {
        (self.error_code, self.error_message.take())
    }

    fn scrub(told: &mut ReassignablePartitionResponse, cluster: Slot, seen: &Seen<'_>) {
        told.error_message = match told.error_code {
            // Kafka's text names brokers by their real ids.
            codes::INVALID_REPLICA_ASSIGNMENT => Some(StrBytes::from_static_str(UNFIT)),
            _ => scrubbed_message(told.error_message.take(), cluster, seen.placement),
        };
    }

    fn explain(told: &mut ReassignablePartitionResponse, why: StrBytes) {
        told.error_message = Some(why);
    }
}

const UNFIT: &str =
    "The replica assignment does not fit the topic's cluster: a broker is not there, or is named twice.";

/// See the module's text.
pub struct ListPartitionReassignments;

impl Api for ListPartitionReassignments {
    const KEY: ApiKey = ApiKey::ListPartitionReassignments;
    type Request = ListPartitionReassignmentsRequest;
    type Response = ListPartitionReassignmentsResponse;
    type Origin = Slot;

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        let Some(topics) = &request.topics else {
            return ask_all(request, of_each_cluster(seen), |to| to.cluster, seen);
        };
        let mut at: BTreeMap<Slot, Vec<ListPartitionReassignmentsTopics>> = BTreeMap::new();
        for topic in topics {
            at.entry(seen.placement.home_of_topic(&topic.name)).or_default().push(topic.clone());
        }
        let mut seed = Self::unheard();
        let mut parts = Vec::new();
        for (cluster, topics) in at {
            match seen.placement.any_broker(cluster) {
                Some(to) => {
                    parts.push(Part { to, request: request.clone().with_topics(Some(topics)), origin: cluster })
                }
                None => Self::fail(&mut seed, Word::lost(&Fault::cluster(cluster, "unknown"), cluster, seen)),
            }
        }
        if topics.is_empty() {
            seed.error_code = codes::NONE;
        }
        send_or_wait(seed, parts, Vec::new())
    }

    fn absorb(
        so_far: &mut Self::Response,
        from: Slot,
        answer: Result<Self::Response, Fault>,
        seen: &Seen<'_>,
        _: &mut Effects,
    ) {
        merge::<Self>(so_far, from, answer, seen);
    }

    fn pipeline(request: &Self::Request, seen: &Seen<'_>) -> Name {
        let topics = request.topics.iter().flatten();
        seen.pipeline_of_topics(topics.map(|topic| (Some(&topic.name.0), Uuid::nil())))
    }

    fn held_ms(request: &Self::Request) -> i32 {
        request.timeout_ms.max(0)
    }
}

impl Merged for ListPartitionReassignments {
    fn unheard() -> Self::Response {
        ListPartitionReassignmentsResponse::default().with_error_code(UNHEARD).with_error_message(None)
    }

    fn merge(so_far: &mut Self::Response, told: Self::Response, from: Slot, seen: &Seen<'_>) {
        so_far.throttle_time_ms = so_far.throttle_time_ms.max(told.throttle_time_ms);
        let why = scrubbed_message(told.error_message, from, seen.placement);
        Self::fail(so_far, Word { code: told.error_code, why });
        let mut topics = told.topics;
        topics.retain(|topic| seen.placement.topic(&topic.name).is_some_and(|place| place.cluster == from));
        topics.untag();
        for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            show(partition, from, seen);
        }
        so_far.topics.append(&mut topics);
    }

    fn fail(so_far: &mut Self::Response, word: Word) {
        join(&mut so_far.error_code, &mut so_far.error_message, word, UNHEARD);
    }
}

/// With virtual nodes. The one node of `single` is neither added nor removed.
fn show(told: &mut OngoingPartitionReassignment, from: Slot, seen: &Seen<'_>) {
    for list in [&mut told.replicas, &mut told.adding_replicas, &mut told.removing_replicas] {
        let ids: Vec<_> = list.iter().map(|id| id.0).collect();
        *list = seen.virtual_ids(from, &ids);
    }
    if seen.view == View::Single {
        told.adding_replicas.clear();
        told.removing_replicas.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Refusal;
    use crate::api::testing::{World, at, round, sent, text};
    use crate::placement::build::tests::topic;
    use kafka_protocol::messages::alter_partition_reassignments_request::ReassignableTopic;
    use kafka_protocol::messages::list_partition_reassignments_response::OngoingTopicReassignment;

    fn world() -> World {
        World::with(&[topic("x", &[1, 2]), topic("b-1", &[1])], &[topic("b-1", &[1, 2])])
    }

    fn move_to(topics: &[(&str, Option<&[i32]>)]) -> AlterPartitionReassignmentsRequest {
        let topic = |(name, replicas): &(&str, Option<&[i32]>)| {
            let replicas = replicas.map(|ids| ids.iter().map(|id| BrokerId(*id)).collect());
            let partition = ReassignablePartition::default().with_replicas(replicas);
            ReassignableTopic::default().with_name(TopicName(text(name))).with_partitions(vec![partition])
        };
        AlterPartitionReassignmentsRequest::default().with_topics(topics.iter().map(topic).collect())
    }

    fn codes_of(answer: &AlterPartitionReassignmentsResponse) -> Vec<i16> {
        answer.responses.iter().flat_map(|topic| topic.partitions.iter().map(|told| told.error_code)).collect()
    }

    #[test]
    fn replicas_move_among_brokers_of_the_topics_own_cluster() {
        let request = move_to(&[("b-1", Some(&[33_554_435, 33_554_433])), ("x", None)]);
        let (_, parts) = sent(AlterPartitionReassignments::plan(&request, &world().seen(1)));
        let asked: Vec<_> = parts.iter().map(|part| (part.to, part.request.clone())).collect();
        assert_eq!(asked, [(at(0, 2), move_to(&[("x", None)])), (at(1, 2), move_to(&[("b-1", Some(&[3, 1]))]))]);
        let request = move_to(&[("b-1", Some(&[33_554_435, 3])), ("x", Some(&[-1]))]);
        let (answer, _) = round::<AlterPartitionReassignments>(&request, &world().seen(1), |_, _| panic!("sent"));
        assert_eq!(codes_of(&answer), [39, 39]);
    }

    #[test]
    fn in_single_nothing_moves() {
        let world = world().shown(View::Single);
        let request = move_to(&[("b-1", Some(&[SINGLE.0])), ("x", Some(&[1]))]);
        let (answer, _) = round::<AlterPartitionReassignments>(&request, &world.seen(1), |_, _| panic!("sent"));
        assert_eq!(codes_of(&answer), [0, 39]);
        // What somebody else began can be cancelled
        let request = move_to(&[("x", None)]);
        let (answer, _) = round::<AlterPartitionReassignments>(&request, &world.seen(1), |to, asked| {
            assert_eq!((to, &asked), (at(0, 2), &request));
            Err(Fault::upstream(to, true, "gone"))
        });
        assert_eq!(codes_of(&answer), [7]);
        let request = move_to(&[("b-9", Some(&[SINGLE.0]))]);
        let mut world = world;
        world.refuse_needs::<AlterPartitionReassignments>(&request, 1, &Refusal::Done);
        let (answer, _) = round::<AlterPartitionReassignments>(&request, &world.seen(1), |_, _| panic!("sent"));
        assert_eq!(codes_of(&answer), [3], "nobody has it");
    }

    fn ongoing(topics: &[&str]) -> ListPartitionReassignmentsResponse {
        let partition = OngoingPartitionReassignment::default()
            .with_replicas(vec![BrokerId(1), BrokerId(2)])
            .with_adding_replicas(vec![BrokerId(2)]);
        let topic = |name: &&str| {
            OngoingTopicReassignment::default()
                .with_name(TopicName(text(name)))
                .with_partitions(vec![partition.clone()])
        };
        ListPartitionReassignmentsResponse::default().with_topics(topics.iter().map(topic).collect())
    }

    #[test]
    fn what_moves_is_told_of_all_clusters() {
        let all = ListPartitionReassignmentsRequest::default().with_topics(None);
        let tell = |to: Target, _| Ok(ongoing(if to == at(0, 2) { &["x", "b-1"] } else { &["b-1"] }));
        let (answer, _) = round::<ListPartitionReassignments>(&all, &world().seen(0), tell);
        let told: Vec<_> = answer.topics.iter().map(|topic| (topic.name.as_str(), topic.partitions.clone())).collect();
        assert_eq!(answer.error_code, 0);
        assert_eq!(told.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["x", "b-1"]);
        assert_eq!(told[1].1[0].replicas, [BrokerId(33_554_433), BrokerId(33_554_434)]);
        assert_eq!(told[1].1[0].adding_replicas, [BrokerId(33_554_434)]);
        let single = world().shown(View::Single);
        let (answer, _) = round::<ListPartitionReassignments>(&all, &single.seen(0), tell);
        let partition = &answer.topics[0].partitions[0];
        assert_eq!((partition.replicas.len(), partition.adding_replicas.len()), (1, 0));
    }

    #[test]
    fn a_cluster_that_gives_no_answer_is_an_error() {
        let all = ListPartitionReassignmentsRequest::default().with_topics(None);
        let (answer, _) = round::<ListPartitionReassignments>(&all, &world().seen(0), |to, _| {
            if to == at(1, 2) { Err(Fault::upstream(to, true, "gone")) } else { Ok(ongoing(&["x"])) }
        });
        assert_eq!(answer.error_code, 7);
        assert!(answer.error_message.is_some_and(|why| why.contains("`b`")));
        let some = ListPartitionReassignmentsRequest::default().with_topics(Some(vec![]));
        let (answer, _) = round::<ListPartitionReassignments>(&some, &world().seen(0), |_, _| panic!("sent"));
        assert_eq!(answer.error_code, 0);
    }
}
