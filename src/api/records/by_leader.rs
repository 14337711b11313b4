//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords and DescribeProducers: each partition is asked of its leader.
//!
//! What is answered where no broker is asked, or none answers, is 6 NOT_LEADER_OR_FOLLOWER: Kafka answers the same for
//! a partition without a leader (AK Partition.localLogWithEpochOrThrow), and Java, librdkafka and franz-go read the
//! metadata again and retry. All may be repeated, so it does not matter whether the request had been sent. A partition that
//! is not there is 3, once its cluster has said so; while the cluster cannot be asked it is 6, since librdkafka gives
//! up on 3.
//!
//! A cluster that lacks OffsetForLeaderEpoch (WarpStream may) gets no question, and the client is told that its position
//! stands: what clients do themselves where a broker lacks the API (AK OffsetFetcher skips the validation). Any error
//! would make Java and librdkafka ask again for ever and fetch nothing meanwhile, also 35; an epoch of -1 means to them
//! that the log was cut off, and they reset their position.

use crate::api::by_partition::{Asked, PartitionsAnswer, PartitionsRequest, absorb, by_partition, plan, refuse_newer};
use crate::api::partitioned::{OfTopic, Partitioned};
use crate::api::scrub::scrubbed_message;
use crate::api::{Api, Effects, Plan, Seen};
use crate::error::Fault;
use crate::types::{Name, Slot};
use kafka_protocol::messages::describe_producers_response::PartitionResponse as Producers;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::EpochEndOffset;
use kafka_protocol::messages::{
    ApiKey, DeleteRecordsRequest, DeleteRecordsResponse, DescribeProducersRequest, DescribeProducersResponse,
    ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

impl PartitionsAnswer for ListOffsetsResponse {
    fn throttle_ms(&mut self) -> &mut i32 {
        &mut self.throttle_time_ms
    }
}

impl PartitionsAnswer for OffsetForLeaderEpochResponse {
    fn throttle_ms(&mut self) -> &mut i32 {
        &mut self.throttle_time_ms
    }

    /// The epoch goes on for ever: no position in it was cut off.
    fn unchecked(index: i32, epoch: i32) -> Option<EpochEndOffset> {
        let told = EpochEndOffset::default().with_partition(index);
        Some(told.with_leader_epoch(epoch).with_end_offset(i64::MAX))
    }
}

by_partition! {
    ListOffsets, ListOffsetsRequest, ListOffsetsResponse {
        fn lower(request: &mut ListOffsetsRequest, version: i16) {
            if version < 2 {
                request.isolation_level = 0;
            }
        }

        /// Brokers wait this long for remote storage (KIP-1075).
        fn held_ms(request: &ListOffsetsRequest) -> i32 {
            request.timeout_ms.max(0)
        }
    }
}

by_partition! {
    OffsetForLeaderEpoch, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse {}
}

impl PartitionsRequest for ListOffsetsRequest {
    fn bare(&self) -> Self {
        Self::default()
            .with_replica_id(self.replica_id)
            .with_isolation_level(self.isolation_level)
            .with_timeout_ms(self.timeout_ms)
    }

    /// The negative time stamps stand for offsets, and each came with a version (AK ListOffsetsRequest).
    fn lowest_version(partition: &ListOffsetsPartition) -> i16 {
        match partition.timestamp {
            -3 => 7,
            -4 => 8,
            -5 => 9,
            _ => 0,
        }
    }
}

impl PartitionsRequest for OffsetForLeaderEpochRequest {
    fn bare(&self) -> Self {
        Self::default().with_replica_id(self.replica_id)
    }

    fn epoch(partition: &OffsetForLeaderPartition) -> Option<i32> {
        Some(partition.leader_epoch)
    }
}

by_partition! {
    DeleteRecords, DeleteRecordsRequest, DeleteRecordsResponse {
        /// Until the replicas have deleted them too.
        fn held_ms(request: &DeleteRecordsRequest) -> i32 {
            request.timeout_ms.max(0)
        }
    }
}

impl PartitionsRequest for DeleteRecordsRequest {
    fn bare(&self) -> Self {
        Self::default().with_timeout_ms(self.timeout_ms)
    }
}

impl PartitionsAnswer for DeleteRecordsResponse {
    fn throttle_ms(&mut self) -> &mut i32 {
        &mut self.throttle_time_ms
    }
}

by_partition! {
    DescribeProducers, DescribeProducersRequest, DescribeProducersResponse {}
}

impl PartitionsRequest for DescribeProducersRequest {
    fn bare(&self) -> Self {
        Self::default()
    }
}

impl PartitionsAnswer for DescribeProducersResponse {
    fn throttle_ms(&mut self) -> &mut i32 {
        &mut self.throttle_time_ms
    }

    fn scrub(told: &mut Producers, cluster: Slot, seen: &Seen<'_>) {
        told.error_message = scrubbed_message(told.error_message.take(), cluster, seen.placement);
    }

    fn explain(told: &mut Producers, why: StrBytes) {
        told.error_message = Some(why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::partitioned::refused;
    use crate::api::partitioned::tests::{chaos, named_once};
    use crate::api::testing::{World, at, round, text};
    use crate::api::{Effect, Need, Refusal, codes};
    use crate::placement::build::tests::{slot, topic};
    use crate::types::Target;
    use kafka_protocol::messages::TopicName;
    use kafka_protocol::messages::list_offsets_request::ListOffsetsTopic;
    use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderTopic;
    use proptest::prelude::*;

    fn world() -> World {
        World::with(&[topic("x", &[1, 2, -1, 1]), topic("y", &[3])], &[topic("b-1", &[1, 2])])
    }

    fn list(topics: &[(&str, &[i32])]) -> ListOffsetsRequest {
        let partition = |index: &i32| ListOffsetsPartition::default().with_partition_index(*index).with_timestamp(-1);
        let topic = |(name, partitions): &(&str, &[i32])| {
            ListOffsetsTopic::default()
                .with_name(TopicName(text(name)))
                .with_partitions(partitions.iter().map(partition).collect())
        };
        ListOffsetsRequest::default().with_isolation_level(1).with_topics(topics.iter().map(topic).collect())
    }

    fn epochs(topics: &[(&str, &[i32])]) -> OffsetForLeaderEpochRequest {
        let partition = |index: &i32| OffsetForLeaderPartition::default().with_partition(*index);
        let topic = |(name, partitions): &(&str, &[i32])| {
            OffsetForLeaderTopic::default()
                .with_topic(TopicName(text(name)))
                .with_partitions(partitions.iter().map(partition).collect())
        };
        OffsetForLeaderEpochRequest::default().with_topics(topics.iter().map(topic).collect())
    }

    fn codes_of(answer: &ListOffsetsResponse) -> Vec<(&str, i32, i16)> {
        let all = answer.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |told| (&topic.name, told)));
        all.map(|(name, told)| (name.as_str(), told.partition_index, told.error_code)).collect()
    }

    #[test]
    fn each_leader_is_asked_for_its_own_and_the_answer_is_in_the_order_of_the_request() {
        let request = list(&[("x", &[3, 1, 0, 2]), ("b-1", &[1])]);
        let mut asked = Vec::new();
        let (answer, effects) = round::<ListOffsets>(&request, &world().seen(7), |to, request| {
            asked.push((to, request.clone()));
            let answer: ListOffsetsResponse = refused(&request, 0);
            Ok(answer.with_throttle_time_ms(to.broker.0))
        });
        let expected =
            [(at(0, 1), list(&[("x", &[3, 0])])), (at(0, 2), list(&[("x", &[1])])), (at(1, 2), list(&[("b-1", &[1])]))];
        assert_eq!(asked, expected);
        assert_eq!(codes_of(&answer), [("x", 3, 0), ("x", 1, 0), ("x", 0, 0), ("x", 2, 6), ("b-1", 1, 0)]);
        assert_eq!((answer.throttle_time_ms, effects), (2, vec![]));
    }

    #[test]
    fn a_twin_is_asked_for_by_its_name_over_there_and_told_by_its_own() {
        let world = World::with_canary(&[topic("e-1", &[1])], &[topic("e-1", &[3])]);
        let (mut asked, request) = (Vec::new(), list(&[("e-1--at--b", &[0]), ("e-1", &[0])]));
        let (answer, effects) = round::<ListOffsets>(&request, &world.seen(7), |to, request| {
            asked.push((to, request.clone()));
            Ok(refused(&request, if to == at(1, 3) { codes::FENCED_LEADER_EPOCH } else { 0 }))
        });
        assert_eq!(asked, [(at(0, 1), list(&[("e-1", &[0])])), (at(1, 3), list(&[("e-1", &[0])]))]);
        assert_eq!(codes_of(&answer), [("e-1--at--b", 0, 74), ("e-1", 0, 0)]);
        assert_eq!(effects, [Effect::Refresh(slot(1), text("e-1"))], "as that cluster calls it");
    }

    #[test]
    fn a_leader_that_moved_or_failed_has_the_topic_read_again() {
        let request = list(&[("x", &[0]), ("b-1", &[0])]);
        let broker = |to: Target, request| match to.cluster.number() {
            0 => Ok(refused(&request, codes::FENCED_LEADER_EPOCH)),
            _ => Err(Fault::upstream(to, true, "gone")),
        };
        let (answer, effects) = round::<ListOffsets>(&request, &world().seen(7), broker);
        assert_eq!(codes_of(&answer), [("x", 0, 74), ("b-1", 0, 6)]);
        assert_eq!(effects, [Effect::Refresh(slot(0), text("x")), Effect::Refresh(slot(1), text("b-1"))]);
    }

    #[test]
    fn a_position_stands_where_the_cluster_cannot_check_it() {
        let mut request = epochs(&[("x", &[0, 2]), ("b-1", &[0])]);
        request.topics[0].partitions[0].leader_epoch = 5;
        let broker = |to: Target, request| match to.cluster.number() {
            0 => Err(Fault::lacking(to, ApiKey::OffsetForLeaderEpoch)),
            _ => Ok(refused(&request, 0)),
        };
        let (answer, effects) = round::<OffsetForLeaderEpoch>(&request, &world().seen(4), broker);
        let told = |at: usize| {
            let of = |told: &EpochEndOffset| (told.partition, told.error_code, told.leader_epoch, told.end_offset);
            answer.topics[at].partitions.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!((told(0), told(1)), (vec![(0, 0, 5, i64::MAX), (2, 6, -1, -1)], vec![(0, 0, -1, -1)]));
        assert_eq!(effects, []);
    }

    #[test]
    fn what_is_not_known_is_looked_for_once() {
        let request = list(&[("nope", &[0]), ("b-9", &[0]), ("x", &[9])]);
        let Plan::Wait(needs) = ListOffsets::plan(&request, &world().seen(7)) else { panic!("does not wait") };
        let topics = |cluster, names: &[&str]| Need::Topics {
            cluster: slot(cluster),
            names: names.iter().map(|name| text(name)).collect(),
            create: false,
        };
        assert_eq!(needs, [topics(0, &["nope", "x"]), topics(1, &["b-9"])]);
        let mut world = world();
        world.refused = [
            (topics(0, &["nope", "x"]), Refusal::Done),
            (topics(1, &["b-9"]), Refusal::Fault(Fault::cluster(slot(1), "down"))),
        ]
        .into();
        let (answer, _) = round::<ListOffsets>(&request, &world.seen(7), |_, _| panic!("nothing is to be sent"));
        assert_eq!(codes_of(&answer), [("nope", 0, 3), ("b-9", 0, 6), ("x", 9, 3)]);
    }

    #[test]
    fn an_old_broker_is_not_believed_about_a_question_it_does_not_know() {
        let mut request = list(&[("x", &[0, 3])]);
        request.topics[0].partitions[1].timestamp = -3;
        let world = world();
        let (_, parts) = crate::api::testing::sent(ListOffsets::plan(&request, &world.seen(8)));
        let mut answer: ListOffsetsResponse = refused(&parts[0].request, 0);
        ListOffsets::raise(&mut answer, &parts[0].origin, 6);
        assert_eq!(codes_of(&answer), [("x", 0, 0), ("x", 3, 35)]);
    }

    proptest! {
        #[test]
        fn every_partition_is_answered_once(
            asked in prop::collection::vec((0..5_usize, prop::collection::vec(-1..6_i32, 0..5)), 0..6),
            chaos in chaos(),
        ) {
            let names = ["x", "y", "b-1", "b-2", "nope"];
            let asked: Vec<_> = asked.iter().map(|(at, indexes)| (names[*at], indexes.as_slice())).collect();
            let mut world = world();
            let request = list(&asked);
            world.refuse_needs::<ListOffsets>(&request, 7, &chaos.refusal);
            let (answer, _) = round::<ListOffsets>(&request, &world.seen(7), |to, request| {
                chaos.answer(to, refused(&request, 0))
            });
            named_once(&request, &answer)?;
            let request = epochs(&asked);
            world.refuse_needs::<OffsetForLeaderEpoch>(&request, 4, &chaos.refusal);
            let (answer, _) = round::<OffsetForLeaderEpoch>(&request, &world.seen(4), |to, request| {
                chaos.answer(to, refused(&request, 0))
            });
            named_once(&request, &answer)?;
        }
    }
}
