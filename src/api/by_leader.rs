//! ListOffsets and OffsetForLeaderEpoch: each partition is asked of its leader.
//!
//! What is answered where no broker is asked, or none answers, is 6 NOT_LEADER_OR_FOLLOWER: Kafka answers the same for
//! a partition without a leader (AK Partition.localLogWithEpochOrThrow), and Java, librdkafka and franz-go read the
//! metadata again and retry. Both only read, so it does not matter whether the request had been sent. A partition that
//! is not there is 3, once its cluster has said so; while the cluster cannot be asked it is 6, since librdkafka gives
//! up on 3.
//!
//! A cluster that lacks OffsetForLeaderEpoch (WarpStream may) gets no question, and the client is told that its position
//! stands: what clients do themselves where a broker lacks the API (AK OffsetFetcher skips the validation). Any error
//! would make Java and librdkafka ask again for ever and fetch nothing meanwhile, also 35; an epoch of -1 means to them
//! that the log was cut off, and they reset their position.

use super::needs::{Needs, sought};
use super::partitioned::{OfPartition, OfTopic, PartitionOf, Partitioned, Place, Places, Told, ask, refused, slot};
use super::{Api, Effect, Effects, Part, Plan, Refusal, Seen, codes, send_or_wait};
use crate::error::Fault;
use crate::placement::Leader;
use crate::types::{Name, Slot, Target};
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::EpochEndOffset;
use kafka_protocol::messages::{
    ApiKey, ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// What one leader was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    cluster: Slot,
    places: Places,
    /// Partitions whose question only versions from this one on have.
    newer: Vec<(TopicName, i32, i16)>,
    /// Partitions whose leader's epoch was asked about, and that epoch.
    epochs: Vec<(TopicName, i32, i32)>,
}

/// A request of this family.
trait LeaderRequest: Partitioned + Clone {
    /// The same request without any topic.
    fn bare(&self) -> Self;
    /// The lowest version in which this can be asked.
    fn lowest_version(_: &PartitionOf<Self>) -> i16 {
        0
    }
    /// The epoch that is asked about.
    fn epoch(_: &PartitionOf<Self>) -> Option<i32> {
        None
    }
}

/// What leaders say to it.
trait LeaderAnswer: Partitioned + Default {
    fn throttle_ms(&mut self) -> &mut i32;
    /// What is told of a partition and an epoch that nobody can be asked about.
    fn unchecked(_index: i32, _epoch: i32) -> Option<PartitionOf<Self>> {
        None
    }
}

fn plan<A>(request: &A::Request, seen: &Seen<'_>) -> Plan<A>
where
    A: Api<Origin = Asked>,
    A::Request: LeaderRequest,
    A::Response: LeaderAnswer,
    PartitionOf<A::Response>: Told,
{
    let mut seed: A::Response = refused(request, codes::NOT_LEADER_OR_FOLLOWER);
    let mut needs = Needs::default();
    let mut named = Places::default();
    let mut parts: BTreeMap<Target, Part<A>> = BTreeMap::new();
    for (topic_at, topic) in request.topics().iter().enumerate() {
        for (partition_at, partition) in topic.partitions().iter().enumerate() {
            let place = Place { topic: topic_at, partition: partition_at };
            let index = partition.index();
            let found = if named.note(topic.name(), index, place) {
                leader(topic.name(), index, seen, &mut needs)
            } else {
                // Kafka answers so in ListOffsets; in the other nobody asks twice.
                Err(codes::INVALID_REQUEST)
            };
            match found {
                Ok(to) => {
                    add::<A>(parts.entry(to).or_insert_with(|| empty(to, request)), topic.name(), partition, place)
                }
                Err(code) => {
                    if let Some(told) = slot(&mut seed, place) {
                        *told = Told::refused(index, code);
                    }
                }
            }
        }
    }
    send_or_wait(seed, parts.into_values().collect(), needs.all())
}

/// Who is to be asked, or the code to be answered.
fn leader(topic: &TopicName, partition: i32, seen: &Seen<'_>, needs: &mut Needs) -> Result<Target, i16> {
    match seen.placement.topic(topic).map(|place| place.leader(partition)) {
        Some(Leader::At(target, _)) => return Ok(target),
        Some(Leader::Nobody) => return Err(codes::NOT_LEADER_OR_FOLLOWER),
        Some(Leader::NoPartition) | None => {}
    }
    let home = seen.placement.home_of_topic(topic);
    Err(match sought(seen, home, topic) {
        Some(Refusal::Fault(_)) => codes::NOT_LEADER_OR_FOLLOWER,
        Some(Refusal::Code(_) | Refusal::Done) => codes::UNKNOWN_TOPIC_OR_PARTITION,
        None => {
            needs.topic(home, topic);
            codes::UNKNOWN_TOPIC_OR_PARTITION
        }
    })
}

fn empty<A>(to: Target, request: &A::Request) -> Part<A>
where
    A: Api<Origin = Asked>,
    A::Request: LeaderRequest,
{
    let origin = Asked { cluster: to.cluster, places: Places::default(), newer: Vec::new(), epochs: Vec::new() };
    Part { to, request: request.bare(), origin }
}

fn add<A>(part: &mut Part<A>, topic: &TopicName, partition: &PartitionOf<A::Request>, place: Place)
where
    A: Api<Origin = Asked>,
    A::Request: LeaderRequest,
{
    part.origin.places.note(topic, partition.index(), place);
    let lowest = A::Request::lowest_version(partition);
    if lowest > 0 {
        part.origin.newer.push((topic.clone(), partition.index(), lowest));
    }
    part.origin.epochs.extend(A::Request::epoch(partition).map(|epoch| (topic.clone(), partition.index(), epoch)));
    ask(&mut part.request, topic, partition.clone());
}

fn absorb<R>(so_far: &mut R, origin: &Asked, answer: Result<R, Fault>, effects: &mut Effects)
where
    R: LeaderAnswer,
    PartitionOf<R>: Told,
{
    let mut stale: HashSet<StrBytes> = HashSet::new();
    match answer {
        Ok(mut answer) => {
            let throttle = *answer.throttle_ms();
            *so_far.throttle_ms() = throttle.max(*so_far.throttle_ms());
            origin.places.fill(so_far, answer, |topic, code| {
                if codes::asks_for_refresh(code) {
                    stale.insert(topic.0.clone());
                }
            });
        }
        Err(fault) if fault.lacking => {
            for (topic, index, epoch) in &origin.epochs {
                let slot = origin.places.get(topic, *index).and_then(|place| slot(so_far, place));
                if let (Some(slot), Some(told)) = (slot, R::unchecked(*index, *epoch)) {
                    *slot = told;
                }
            }
        }
        // The seed's code stands.
        Err(_) => stale.extend(origin.places.topics().cloned()),
    }
    effects.extend(stale.into_iter().map(|topic| Effect::Refresh(origin.cluster, topic)));
}

/// A broker of a lower version has taken a question that it does not know for another one.
fn refuse_newer<R>(response: &mut R, origin: &Asked, version: i16)
where
    R: Partitioned,
    PartitionOf<R>: Told,
{
    for (topic, index, _) in origin.newer.iter().filter(|(_, _, lowest)| version < *lowest) {
        for told in response.topics_mut().iter_mut().filter(|told| told.name() == topic) {
            for told in told.partitions_mut().iter_mut().filter(|told| told.index() == *index) {
                *told = Told::refused(*index, codes::UNSUPPORTED_VERSION);
            }
        }
    }
}

macro_rules! by_leader {
    ($api:ident, $request:ident, $response:ident { $($more:item)* }) => {
        /// See the module's text.
        pub struct $api;

        impl Api for $api {
            const KEY: ApiKey = ApiKey::$api;
            type Request = $request;
            type Response = $response;
            type Origin = Asked;

            fn plan(request: &$request, seen: &Seen<'_>) -> Plan<Self> {
                plan(request, seen)
            }

            fn absorb(
                so_far: &mut $response,
                origin: Asked,
                answer: Result<$response, Fault>,
                _: &Seen<'_>,
                effects: &mut Effects,
            ) {
                absorb(so_far, &origin, answer, effects);
            }

            fn pipeline(request: &$request, seen: &Seen<'_>) -> Name {
                seen.pipeline_of_topics(request.topics.iter().map(|topic| (Some(&topic.name().0), Uuid::nil())))
            }

            fn raise(response: &mut $response, origin: &Asked, version: i16) {
                refuse_newer(response, origin, version);
            }

            $($more)*
        }

    };
}

impl LeaderAnswer for ListOffsetsResponse {
    fn throttle_ms(&mut self) -> &mut i32 {
        &mut self.throttle_time_ms
    }
}

impl LeaderAnswer for OffsetForLeaderEpochResponse {
    fn throttle_ms(&mut self) -> &mut i32 {
        &mut self.throttle_time_ms
    }

    /// The epoch goes on for ever: no position in it was cut off.
    fn unchecked(index: i32, epoch: i32) -> Option<EpochEndOffset> {
        let told = EpochEndOffset::default().with_partition(index);
        Some(told.with_leader_epoch(epoch).with_end_offset(i64::MAX))
    }
}

by_leader! {
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

by_leader! {
    OffsetForLeaderEpoch, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse {}
}

impl LeaderRequest for ListOffsetsRequest {
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

impl LeaderRequest for OffsetForLeaderEpochRequest {
    fn bare(&self) -> Self {
        Self::default().with_replica_id(self.replica_id)
    }

    fn epoch(partition: &OffsetForLeaderPartition) -> Option<i32> {
        Some(partition.leader_epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Need;
    use super::super::partitioned::tests::{chaos, named_once};
    use super::super::testing::{World, at, round, text};
    use super::*;
    use crate::placement::build::tests::{slot, topic};
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
        world.refused = vec![
            (topics(0, &["nope", "x"]), Refusal::Done),
            (topics(1, &["b-9"]), Refusal::Fault(Fault::cluster(slot(1), "down"))),
        ];
        let (answer, _) = round::<ListOffsets>(&request, &world.seen(7), |_, _| panic!("nothing is to be sent"));
        assert_eq!(codes_of(&answer), [("nope", 0, 3), ("b-9", 0, 6), ("x", 9, 3)]);
    }

    #[test]
    fn an_old_broker_is_not_believed_about_a_question_it_does_not_know() {
        let mut request = list(&[("x", &[0, 3])]);
        request.topics[0].partitions[1].timestamp = -3;
        let world = world();
        let (_, parts) = super::super::testing::sent(ListOffsets::plan(&request, &world.seen(8)));
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
