//! Requests and answers that are lists of topics with partitions. The answer is laid out first, in the shape and the
//! order of the request, with a code for every partition; what brokers say is then put into its place. So every
//! partition is answered exactly once, whatever brokers leave out, repeat or add.

use crate::api::untag::Untag;
use kafka_protocol::messages as m;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::alter_partition_reassignments_response::ReassignablePartitionResponse;
use kafka_protocol::messages::delete_records_response::DeleteRecordsPartitionResult;
use kafka_protocol::messages::describe_producers_response::PartitionResponse as Producers;
use kafka_protocol::messages::elect_leaders_response::PartitionResult as Election;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_delete_response::OffsetDeleteResponsePartition;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, DeleteRecordsRequest,
    DeleteRecordsResponse, DescribeProducersRequest, DescribeProducersResponse, ElectLeadersRequest,
    ElectLeadersResponse, ListOffsetsRequest, ListOffsetsResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// A message that lists topics.
pub trait Partitioned {
    /// A topic in it.
    type Topic: OfTopic;
    /// All of them.
    fn topics(&self) -> &[Self::Topic];
    /// The same, to be changed.
    fn topics_mut(&mut self) -> &mut Vec<Self::Topic>;
}

/// A topic with partitions.
pub trait OfTopic: Default {
    /// A partition in it.
    type Partition: OfPartition;
    /// The topic's name.
    fn name(&self) -> &TopicName;
    /// All partitions.
    fn partitions(&self) -> &[Self::Partition];
    /// The same, to be changed.
    fn partitions_mut(&mut self) -> &mut Vec<Self::Partition>;
    /// A topic of this name without partitions.
    fn empty(name: TopicName) -> Self;
}

/// What is asked or told of a partition.
pub trait OfPartition: Clone {
    /// The partition's number.
    fn index(&self) -> i32;
}

/// What is told of a partition.
pub trait Told: OfPartition + Untag {
    /// Its error code.
    fn code(&self) -> i16;
    /// What is told when there is nothing but a code to tell.
    fn refused(index: i32, code: i16) -> Self;
}

/// The partition of a message.
pub type PartitionOf<M> = <<M as Partitioned>::Topic as OfTopic>::Partition;

/// Where in the answer a partition is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The topic's position.
    pub topic: usize,
    /// The partition's position in it.
    pub partition: usize,
}

/// The places of the partitions that one broker was asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(HashMap<(StrBytes, i32), Place>);

impl Places {
    /// Notes a partition. `false` when it is there already, and stays where it was: the request names it twice.
    pub fn note(&mut self, topic: &TopicName, partition: i32, place: Place) -> bool {
        match self.0.entry((topic.0.clone(), partition)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(place);
                true
            }
        }
    }

    /// Puts an answer's partitions into their places and gives `(topic, index, code)` of each to `heard`.
    pub fn fill<R>(&self, so_far: &mut R, mut answer: R, mut heard: impl FnMut(&TopicName, i32, i16))
    where
        R: Partitioned,
        PartitionOf<R>: Told,
    {
        for topic in answer.topics_mut() {
            for mut told in std::mem::take(topic.partitions_mut()) {
                let Some(place) = self.0.get(&(topic.name().0.clone(), told.index())) else { continue };
                let Some(slot) = slot(so_far, *place) else { continue };
                told.untag();
                heard(topic.name(), told.index(), told.code());
                *slot = told;
            }
        }
    }

    /// The place of a partition.
    #[must_use]
    pub fn get(&self, topic: &TopicName, partition: i32) -> Option<Place> {
        self.0.get(&(topic.0.clone(), partition)).copied()
    }

    /// All of them, in no order.
    pub fn all(&self) -> impl Iterator<Item = Place> + '_ {
        self.0.values().copied()
    }

    /// The topics, each as often as it has partitions here.
    pub fn topics(&self) -> impl Iterator<Item = &StrBytes> {
        self.0.keys().map(|(topic, _)| topic)
    }
}

/// Where in an answer each thing is told of, in all the places where the request names it: to look through all of them for each
/// would take the square of a request of hundreds of thousands.
pub(super) fn all_places<'k, K: Clone + Eq + Hash + 'k>(named: impl Iterator<Item = &'k K>) -> HashMap<K, Vec<usize>> {
    let mut places: HashMap<K, Vec<usize>> = HashMap::new();
    for (at, key) in named.enumerate() {
        places.entry(key.clone()).or_default().push(at);
    }
    places
}

/// Puts what is told of a thing into its places.
pub(super) fn put_all<T: Clone>(answer: &mut [T], places: &[usize], told: &T) {
    for at in places {
        if let Some(place) = answer.get_mut(*at) {
            *place = told.clone();
        }
    }
}

/// The partition at a place of an answer.
pub fn slot<R: Partitioned>(answer: &mut R, place: Place) -> Option<&mut PartitionOf<R>> {
    answer.topics_mut().get_mut(place.topic)?.partitions_mut().get_mut(place.partition)
}

/// An answer that tells one code of every partition of a request.
pub fn refused<Q, R>(request: &Q, code: i16) -> R
where
    Q: Partitioned,
    R: Partitioned + Default,
    PartitionOf<R>: Told,
{
    let mut answer = R::default();
    answer.topics_mut().extend(request.topics().iter().map(|asked| {
        let mut topic = R::Topic::empty(asked.name().clone());
        let told = asked.partitions().iter().map(|partition| Told::refused(partition.index(), code));
        topic.partitions_mut().extend(told);
        topic
    }));
    answer
}

/// Adds a partition to a request, behind the topic's others when that topic is the last.
pub fn ask<Q: Partitioned>(request: &mut Q, topic: &TopicName, partition: PartitionOf<Q>) {
    let topics = request.topics_mut();
    if topics.last().is_none_or(|last| last.name() != topic) {
        topics.push(Q::Topic::empty(topic.clone()));
    }
    if let Some(last) = topics.last_mut() {
        last.partitions_mut().push(partition);
    }
}

macro_rules! messages {
    ($($message:ident . $topics:ident of $topic:ty;)*) => {$(
        impl Partitioned for $message {
            type Topic = $topic;

            fn topics(&self) -> &[$topic] {
                &self.$topics
            }

            fn topics_mut(&mut self) -> &mut Vec<$topic> {
                &mut self.$topics
            }
        }
    )*};
}

macro_rules! topics {
    ($($topic:ty: $name:ident, $partitions:ident of $partition:ty;)*) => {$(
        impl OfTopic for $topic {
            type Partition = $partition;

            fn name(&self) -> &TopicName {
                &self.$name
            }

            fn partitions(&self) -> &[$partition] {
                &self.$partitions
            }

            fn partitions_mut(&mut self) -> &mut Vec<$partition> {
                &mut self.$partitions
            }

            fn empty(name: TopicName) -> Self {
                let mut topic = Self::default();
                topic.$name = name;
                topic
            }
        }
    )*};
}

macro_rules! partitions {
    ($($partition:ty: $index:ident;)*) => {$(
        impl OfPartition for $partition {
            fn index(&self) -> i32 {
                self.$index
            }
        }
    )*};
}

messages! {
    ListOffsetsRequest.topics of ListOffsetsTopic;
    ListOffsetsResponse.topics of ListOffsetsTopicResponse;
    OffsetForLeaderEpochRequest.topics of OffsetForLeaderTopic;
    OffsetForLeaderEpochResponse.topics of OffsetForLeaderTopicResult;
    OffsetCommitRequest.topics of OffsetCommitRequestTopic;
    OffsetCommitResponse.topics of OffsetCommitResponseTopic;
    TxnOffsetCommitRequest.topics of TxnOffsetCommitRequestTopic;
    TxnOffsetCommitResponse.topics of TxnOffsetCommitResponseTopic;
    OffsetDeleteRequest.topics of m::offset_delete_request::OffsetDeleteRequestTopic;
    OffsetDeleteResponse.topics of m::offset_delete_response::OffsetDeleteResponseTopic;
    DeleteRecordsRequest.topics of m::delete_records_request::DeleteRecordsTopic;
    DeleteRecordsResponse.topics of m::delete_records_response::DeleteRecordsTopicResult;
    DescribeProducersRequest.topics of m::describe_producers_request::TopicRequest;
    DescribeProducersResponse.topics of m::describe_producers_response::TopicResponse;
    ElectLeadersResponse.replica_election_results of m::elect_leaders_response::ReplicaElectionResult;
    AlterPartitionReassignmentsRequest.topics of m::alter_partition_reassignments_request::ReassignableTopic;
    AlterPartitionReassignmentsResponse.responses of m::alter_partition_reassignments_response::ReassignableTopicResponse;
}

/// Without a list all partitions are meant: who asks that does not go by partition.
impl Partitioned for ElectLeadersRequest {
    type Topic = m::elect_leaders_request::TopicPartitions;

    fn topics(&self) -> &[Self::Topic] {
        self.topic_partitions.as_deref().unwrap_or_default()
    }

    fn topics_mut(&mut self) -> &mut Vec<Self::Topic> {
        self.topic_partitions.get_or_insert_default()
    }
}

topics! {
    ListOffsetsTopic: name, partitions of ListOffsetsPartition;
    ListOffsetsTopicResponse: name, partitions of ListOffsetsPartitionResponse;
    OffsetForLeaderTopic: topic, partitions of OffsetForLeaderPartition;
    OffsetForLeaderTopicResult: topic, partitions of EpochEndOffset;
    OffsetCommitRequestTopic: name, partitions of OffsetCommitRequestPartition;
    OffsetCommitResponseTopic: name, partitions of OffsetCommitResponsePartition;
    TxnOffsetCommitRequestTopic: name, partitions of TxnOffsetCommitRequestPartition;
    TxnOffsetCommitResponseTopic: name, partitions of TxnOffsetCommitResponsePartition;
    m::offset_delete_request::OffsetDeleteRequestTopic:
        name, partitions of m::offset_delete_request::OffsetDeleteRequestPartition;
    m::offset_delete_response::OffsetDeleteResponseTopic: name, partitions of OffsetDeleteResponsePartition;
    m::delete_records_request::DeleteRecordsTopic: name, partitions of m::delete_records_request::DeleteRecordsPartition;
    m::delete_records_response::DeleteRecordsTopicResult: name, partitions of DeleteRecordsPartitionResult;
    m::describe_producers_request::TopicRequest: name, partition_indexes of i32;
    m::describe_producers_response::TopicResponse: name, partitions of Producers;
    m::elect_leaders_request::TopicPartitions: topic, partitions of i32;
    m::elect_leaders_response::ReplicaElectionResult: topic, partition_result of Election;
    m::alter_partition_reassignments_request::ReassignableTopic:
        name, partitions of m::alter_partition_reassignments_request::ReassignablePartition;
    m::alter_partition_reassignments_response::ReassignableTopicResponse:
        name, partitions of ReassignablePartitionResponse;
}

partitions! {
    ListOffsetsPartition: partition_index;
    ListOffsetsPartitionResponse: partition_index;
    OffsetForLeaderPartition: partition;
    EpochEndOffset: partition;
    OffsetCommitRequestPartition: partition_index;
    OffsetCommitResponsePartition: partition_index;
    TxnOffsetCommitRequestPartition: partition_index;
    TxnOffsetCommitResponsePartition: partition_index;
    m::offset_delete_request::OffsetDeleteRequestPartition: partition_index;
    OffsetDeleteResponsePartition: partition_index;
    m::delete_records_request::DeleteRecordsPartition: partition_index;
    DeleteRecordsPartitionResult: partition_index;
    Producers: partition_index;
    Election: partition_id;
    m::alter_partition_reassignments_request::ReassignablePartition: partition_index;
    ReassignablePartitionResponse: partition_index;
}

/// Where nothing but its number is asked of a partition.
impl OfPartition for i32 {
    fn index(&self) -> i32 {
        *self
    }
}

impl Told for ListOffsetsPartitionResponse {
    fn code(&self) -> i16 {
        self.error_code
    }

    fn refused(index: i32, code: i16) -> Self {
        Self::default().with_partition_index(index).with_error_code(code).with_timestamp(-1).with_offset(-1)
    }
}

impl Told for EpochEndOffset {
    fn code(&self) -> i16 {
        self.error_code
    }

    fn refused(index: i32, code: i16) -> Self {
        Self::default().with_partition(index).with_error_code(code).with_leader_epoch(-1).with_end_offset(-1)
    }
}

impl Told for OffsetCommitResponsePartition {
    fn code(&self) -> i16 {
        self.error_code
    }

    fn refused(index: i32, code: i16) -> Self {
        Self::default().with_partition_index(index).with_error_code(code)
    }
}

impl Told for OffsetDeleteResponsePartition {
    fn code(&self) -> i16 {
        self.error_code
    }

    fn refused(index: i32, code: i16) -> Self {
        Self::default().with_partition_index(index).with_error_code(code)
    }
}

impl Told for DeleteRecordsPartitionResult {
    fn code(&self) -> i16 {
        self.error_code
    }

    fn refused(index: i32, code: i16) -> Self {
        Self::default().with_partition_index(index).with_error_code(code).with_low_watermark(-1)
    }
}

impl Told for Producers {
    fn code(&self) -> i16 {
        self.error_code
    }

    fn refused(index: i32, code: i16) -> Self {
        Self::default().with_partition_index(index).with_error_code(code).with_error_message(None)
    }
}

impl Told for Election {
    fn code(&self) -> i16 {
        self.error_code
    }

    fn refused(index: i32, code: i16) -> Self {
        Self::default().with_partition_id(index).with_error_code(code).with_error_message(None)
    }
}

impl Told for ReassignablePartitionResponse {
    fn code(&self) -> i16 {
        self.error_code
    }

    fn refused(index: i32, code: i16) -> Self {
        Self::default().with_partition_index(index).with_error_code(code).with_error_message(None)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::api::Refusal;
    use crate::error::Fault;
    use crate::types::Target;
    use proptest::prelude::*;

    /// A broker, and a world, that do what they should not.
    #[derive(Clone, Debug)]
    pub(crate) struct Chaos {
        /// What becomes of needs.
        pub(crate) refusal: Refusal,
        fails: bool,
        leaves_out: bool,
        repeats: bool,
        adds: bool,
    }

    pub(crate) fn chaos() -> impl Strategy<Value = Chaos> {
        let refusal =
            prop_oneof![Just(Refusal::Done), Just(Refusal::Code(29)), Just(Refusal::Fault(Fault::proxy("no time")))];
        let chaos = |(refusal, fails, leaves_out, repeats, adds)| Chaos { refusal, fails, leaves_out, repeats, adds };
        (refusal, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(chaos)
    }

    impl Chaos {
        /// Makes a good answer a bad one.
        pub(crate) fn answer<R: Partitioned>(&self, to: Target, mut answer: R) -> Result<R, Fault>
        where
            PartitionOf<R>: Told,
        {
            if self.fails {
                return Err(Fault::upstream(to, true, "gone"));
            }
            for topic in answer.topics_mut() {
                let partitions = topic.partitions_mut();
                if self.leaves_out {
                    partitions.pop();
                }
                if self.repeats {
                    partitions.extend_from_within(..);
                }
                if self.adds {
                    partitions.push(Told::refused(77, 0));
                }
            }
            if self.adds {
                let mut strange = R::Topic::empty(TopicName(StrBytes::from_static_str("strange")));
                strange.partitions_mut().push(Told::refused(0, 0));
                answer.topics_mut().push(strange);
            }
            Ok(answer)
        }
    }

    fn names<M: Partitioned>(message: &M) -> Vec<(TopicName, i32)> {
        let of = |topic: &M::Topic| {
            let name = topic.name().clone();
            topic.partitions().iter().map(move |partition| (name.clone(), partition.index())).collect::<Vec<_>>()
        };
        message.topics().iter().flat_map(of).collect()
    }

    /// Every partition of the request stands in the answer once, in the request's order.
    pub(crate) fn named_once(request: &impl Partitioned, answer: &impl Partitioned) -> Result<(), TestCaseError> {
        prop_assert_eq!(names(request), names(answer));
        Ok(())
    }
}
