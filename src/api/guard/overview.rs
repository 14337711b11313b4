//! What we answer ourselves: nodes, topics, coordinators.

use super::{Guard, Guarded, Screened, screened, words};
use crate::api::overview::metadata::{SAYS_CREATE, name_of, untold};
use crate::api::{NO_OPERATIONS, Seen, codes};
use crate::rights::{Kind, Operation};
use kafka_protocol::messages as m;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::protocol::StrBytes;

const CODE: i16 = codes::TOPIC_AUTHORIZATION_FAILED;

/// From this version on a request asks for several coordinators.
const SEVERAL_KEYS: i16 = 4;

impl Guarded for m::MetadataRequest {
    type Answer = m::MetadataResponse;

    fn screen(&mut self, guard: &Guard<'_>, seen: &Seen<'_>) -> Screened<Self::Answer> {
        let Some(topics) = self.topics.as_mut().filter(|topics| seen.version > 0 || !topics.is_empty()) else {
            return Screened::All;
        };
        let name_of = |asked: &MetadataRequestTopic| match &asked.name {
            Some(name) if asked.topic_id.is_nil() => Some(name.0.clone()),
            _ => seen.placement.topic_by_id(asked.topic_id).map(|place| place.topic.name.clone()),
        };
        let describes = |name: &StrBytes| guard.may(Operation::Describe, Kind::Topic, name);
        let hidden = topics.extract_if(.., |asked| name_of(asked).is_some_and(|name| !describes(&name)));
        let mut told: Vec<_> = hidden.map(|asked| untold(&asked, CODE)).collect();
        told.extend(not_to_be_made(self, guard, seen).into_iter().map(|asked| untold(&asked, NOT_THERE)));
        let is_empty = self.topics.as_ref().is_none_or(Vec::is_empty);
        // In version 0 an empty list would mean all. Otherwise there are brokers to tell, also where no topic is left.
        if is_empty && seen.version == 0 {
            let nothing = m::MetadataResponse::default().with_cluster_authorized_operations(NO_OPERATIONS);
            return Screened::Nothing(nothing.with_topics(told));
        }
        let answer = |topics| m::MetadataResponse::default().with_topics(topics);
        screened(told.is_empty(), false, || answer(told))
    }

    fn veil(answer: &mut Self::Answer, guard: &Guard<'_>) {
        let is_seen = |name: &TopicName| guard.sees(Operation::Describe, Kind::Topic, name);
        answer.topics.retain(|topic| topic.name.as_ref().is_none_or(is_seen));
        for topic in &mut answer.topics {
            let name = topic.name.as_ref().map_or("", |name| name);
            topic.topic_authorized_operations = guard.both(topic.topic_authorized_operations, Kind::Topic, name);
        }
        answer.cluster_authorized_operations = on_cluster(answer.cluster_authorized_operations, guard);
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        answer.topics.extend(told.topics);
    }
}

/// What is told of a topic that would be made, for who may not make it. Kafka says so too where no topic is made by asking.
const NOT_THERE: i16 = codes::UNKNOWN_TOPIC_OR_PARTITION;

/// The topics of a request that would be made by asking for them, and that its sender may not make. Where no other would be made, none is
/// made, and it is looked whether they are there.
fn not_to_be_made(request: &mut m::MetadataRequest, guard: &Guard<'_>, seen: &Seen<'_>) -> Vec<MetadataRequestTopic> {
    let makes = seen.version < SAYS_CREATE || request.allow_auto_topic_creation;
    let Some(topics) = request.topics.as_mut().filter(|_| makes) else { return Vec::new() };
    if guard.sees(Operation::Create, Kind::Cluster, Kind::CLUSTER) {
        return Vec::new();
    }
    let creates = |name: &TopicName| guard.sees(Operation::Create, Kind::Topic, name);
    let others = topics.iter().filter_map(|asked| unknown(asked, seen)).any(creates);
    if !others && seen.version >= SAYS_CREATE {
        request.allow_auto_topic_creation = false;
        return Vec::new();
    }
    topics.extract_if(.., |asked| unknown(asked, seen).is_some_and(|name| !creates(name))).collect()
}

fn unknown<'a>(asked: &'a MetadataRequestTopic, seen: &Seen<'_>) -> Option<&'a TopicName> {
    let name = name_of(asked)?;
    seen.placement.topic(name).is_none().then_some(name)
}

/// Who may not describe the cluster is told that it may do nothing to it.
fn on_cluster(there: i32, guard: &Guard<'_>) -> i32 {
    if there != NO_OPERATIONS && !guard.may_on_cluster(Operation::Describe) {
        return 0;
    }
    guard.both(there, Kind::Cluster, Kind::CLUSTER)
}

impl Guarded for m::DescribeClusterRequest {
    type Answer = m::DescribeClusterResponse;

    fn screen(&mut self, _: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        Screened::All
    }

    fn veil(answer: &mut Self::Answer, guard: &Guard<'_>) {
        answer.cluster_authorized_operations = on_cluster(answer.cluster_authorized_operations, guard);
    }
}

impl Guarded for m::DescribeTopicPartitionsRequest {
    type Answer = m::DescribeTopicPartitionsResponse;

    /// A request that names nothing means all: what its sender may not see is left out where they are listed (`overview::cluster_info`), so
    /// that no cursor tells of it.
    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        let denied = guard.part(&mut self.topics, Operation::Describe, Kind::Topic, |topic| &topic.name);
        screened(denied.is_empty(), self.topics.is_empty(), || {
            let told = denied.iter().map(|topic| {
                DescribeTopicPartitionsResponseTopic::default()
                    .with_error_code(CODE)
                    .with_name(Some(topic.name.clone()))
                    .with_topic_authorized_operations(NO_OPERATIONS)
            });
            m::DescribeTopicPartitionsResponse::default().with_topics(told.collect())
        })
    }

    fn veil(answer: &mut Self::Answer, guard: &Guard<'_>) {
        for topic in &mut answer.topics {
            let name = topic.name.as_ref().map_or("", |name| name);
            topic.topic_authorized_operations = guard.both(topic.topic_authorized_operations, Kind::Topic, name);
        }
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        answer.topics.extend(told.topics);
    }
}

impl Guarded for m::FindCoordinatorRequest {
    type Answer = m::FindCoordinatorResponse;

    fn screen(&mut self, guard: &Guard<'_>, seen: &Seen<'_>) -> Screened<Self::Answer> {
        let (kind, code) = match self.key_type {
            0 => (Kind::Group, codes::GROUP_AUTHORIZATION_FAILED),
            1 => (Kind::TransactionalId, codes::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
            // Refused whoever asks.
            _ => return Screened::All,
        };
        if seen.version < SEVERAL_KEYS {
            if guard.may(Operation::Describe, kind, &self.key) {
                return Screened::All;
            }
            let answer = m::FindCoordinatorResponse::default().with_error_code(code).with_error_message(words(code));
            return Screened::Nothing(answer.with_node_id((-1).into()).with_port(-1));
        }
        let denied = guard.part(&mut self.coordinator_keys, Operation::Describe, kind, |key| key);
        screened(denied.is_empty(), self.coordinator_keys.is_empty(), || {
            let told = denied.iter().map(|key| {
                Coordinator::default()
                    .with_key(key.clone())
                    .with_error_code(code)
                    .with_error_message(words(code))
                    .with_node_id((-1).into())
                    .with_port(-1)
            });
            m::FindCoordinatorResponse::default().with_coordinators(told.collect())
        })
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        answer.coordinators.extend(told.coordinators);
    }
}
