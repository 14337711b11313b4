//! Topics: what is made, deleted, changed and asked of them and of their partitions; configs of all kinds.

use super::offsets::{join_topics, screen_topics};
use super::{Guard, Guarded, Screened, screened, words};
use crate::api::{Seen, codes};
use crate::rights::{Kind, Operation};
use kafka_protocol::messages as m;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use kafka_protocol::messages::{TopicName, alter_configs_response, incremental_alter_configs_response};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

const CODE: i16 = codes::TOPIC_AUTHORIZATION_FAILED;

/// Requests that are lists of topics with partitions, with what they ask for on each topic.
macro_rules! by_topic {
    ($($request:ident, $response:ident: $operation:ident;)*) => {$(
        impl Guarded for m::$request {
            type Answer = m::$response;

            fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
                screen_topics(self, Operation::$operation, guard)
            }

            fn join(answer: &mut Self::Answer, told: Self::Answer) {
                join_topics(answer, told);
            }
        }
    )*};
}

by_topic! {
    ListOffsetsRequest, ListOffsetsResponse: Describe;
    DeleteRecordsRequest, DeleteRecordsResponse: Delete;
    DescribeProducersRequest, DescribeProducersResponse: Read;
}

impl Guarded for m::OffsetForLeaderEpochRequest {
    type Answer = m::OffsetForLeaderEpochResponse;

    /// Brokers ask it too, of all topics.
    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        if guard.sees(Operation::ClusterAction, Kind::Cluster, Kind::CLUSTER) {
            return Screened::All;
        }
        screen_topics(self, Operation::Describe, guard)
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        join_topics(answer, told);
    }
}

impl Guarded for m::CreateTopicsRequest {
    type Answer = m::CreateTopicsResponse;

    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        if guard.sees(Operation::Create, Kind::Cluster, Kind::CLUSTER) {
            return Screened::All;
        }
        let denied = guard.part(&mut self.topics, Operation::Create, Kind::Topic, |topic| &topic.name);
        screened(denied.is_empty(), self.topics.is_empty(), || {
            let told = denied.iter().map(|topic| {
                CreatableTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_error_code(CODE)
                    .with_error_message(Some(StrBytes::from_static_str("Authorization failed.")))
                    .with_num_partitions(-1)
                    .with_replication_factor(-1)
            });
            m::CreateTopicsResponse::default().with_topics(told.collect())
        })
    }

    /// Its configs are told to who may know them.
    fn veil(answer: &mut Self::Answer, guard: &Guard<'_>) {
        let made = answer.topics.iter_mut().filter(|topic| topic.error_code == codes::NONE);
        for topic in made {
            if !guard.sees(Operation::DescribeConfigs, Kind::Topic, &topic.name) {
                (topic.num_partitions, topic.replication_factor) = (-1, -1);
                topic.topic_config_error_code = CODE;
                topic.configs = Some(Vec::new());
            }
        }
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        answer.topics.extend(told.topics);
    }
}

impl Guarded for m::DeleteTopicsRequest {
    type Answer = m::DeleteTopicsResponse;

    /// Of a topic that it names by id, a client learns the name only where it may.
    fn screen(&mut self, guard: &Guard<'_>, seen: &Seen<'_>) -> Screened<Self::Answer> {
        if guard.sees(Operation::Delete, Kind::Cluster, Kind::CLUSTER) {
            return Screened::All;
        }
        let describes = |name: &str| guard.may(Operation::Describe, Kind::Topic, name);
        let deletes = |name: &str| guard.may(Operation::Delete, Kind::Topic, name);
        let mut told = Vec::new();
        let refused = |name: Option<TopicName>, id: Uuid| {
            DeletableTopicResult::default()
                .with_name(name)
                .with_topic_id(id)
                .with_error_code(CODE)
                .with_error_message(words(CODE))
        };
        let named: Vec<_> = self.topic_names.extract_if(.., |name| !(describes(name) && deletes(name))).collect();
        told.extend(named.into_iter().map(|name| refused(Some(name), Uuid::nil())));
        self.topics.retain(|topic| {
            let (name, is_named) = match &topic.name {
                Some(name) => (Some(name.clone()), true),
                None => {
                    let place = seen.placement.topic_by_id(topic.topic_id);
                    (place.map(|place| TopicName(place.topic.name.clone())), false)
                }
            };
            let Some(name) = name else { return true };
            let may_know = describes(&name);
            let may = may_know && deletes(&name);
            if !may {
                told.push(refused((is_named || may_know).then_some(name), topic.topic_id));
            }
            may
        });
        let is_empty = self.topics.is_empty() && self.topic_names.is_empty();
        screened(told.is_empty(), is_empty, || m::DeleteTopicsResponse::default().with_responses(told))
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        answer.responses.extend(told.responses);
    }
}

impl Guarded for m::CreatePartitionsRequest {
    type Answer = m::CreatePartitionsResponse;

    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        let denied = guard.part(&mut self.topics, Operation::Alter, Kind::Topic, |topic| &topic.name);
        screened(denied.is_empty(), self.topics.is_empty(), || {
            let told = denied.iter().map(|topic| {
                CreatePartitionsTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_error_code(CODE)
                    .with_error_message(words(CODE))
            });
            m::CreatePartitionsResponse::default().with_results(told.collect())
        })
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        answer.results.extend(told.results);
    }
}

/// Whose configs these are (AK `ConfigResource.Type`), and the error where they are nobody's business; `None` for what nobody knows.
fn of_config(kind: i8, name: &StrBytes) -> Option<(Kind, &str, i16)> {
    match kind {
        2 => Some((Kind::Topic, name, CODE)),
        4 | 8 | 16 => Some((Kind::Cluster, Kind::CLUSTER, codes::CLUSTER_AUTHORIZATION_FAILED)),
        32 => Some((Kind::Group, name, codes::GROUP_AUTHORIZATION_FAILED)),
        _ => None,
    }
}

/// Requests about configs, with what they ask for on each resource.
macro_rules! configs {
    ($($request:ident, $response:ident: $operation:ident, $told:ident as $result:ty;)*) => {$(
        impl Guarded for m::$request {
            type Answer = m::$response;

            fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
                let mut told = Vec::new();
                self.resources.retain(|resource| {
                    let Some((kind, name, code)) = of_config(resource.resource_type, &resource.resource_name) else {
                        return true;
                    };
                    let may = guard.may(Operation::$operation, kind, name);
                    if !may {
                        told.push(
                            <$result>::default()
                                .with_resource_type(resource.resource_type)
                                .with_resource_name(resource.resource_name.clone())
                                .with_error_code(code)
                                .with_error_message(words(code)),
                        );
                    }
                    may
                });
                screened(told.is_empty(), self.resources.is_empty(), || {
                    let mut answer = m::$response::default();
                    answer.$told = told;
                    answer
                })
            }

            fn join(answer: &mut Self::Answer, told: Self::Answer) {
                answer.$told.extend(told.$told);
            }
        }
    )*};
}

configs! {
    DescribeConfigsRequest, DescribeConfigsResponse: DescribeConfigs, results as DescribeConfigsResult;
    AlterConfigsRequest, AlterConfigsResponse: AlterConfigs, responses as alter_configs_response::AlterConfigsResourceResponse;
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse: AlterConfigs,
        responses as incremental_alter_configs_response::AlterConfigsResourceResponse;
}
