//! DescribeCluster and DescribeTopicPartitions, answered from the placement, as Metadata is.

use crate::api::needs::{Needs, sought};
use crate::api::overview::metadata::{is_legal, on_default_cluster};
use crate::api::overview::nodes::Node;
use crate::api::overview::sights::{Sights, Tells, Unasked};
use crate::api::{Api, Effects, NO_OPERATIONS, Need, Plan, Seen, codes};
use crate::error::Fault;
use crate::placement::TopicPlace;
use crate::types::{Name, Slot};
use crate::upstream::Partition;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::describe_topic_partitions_request::Cursor as Asked;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, DescribeClusterRequest, DescribeClusterResponse, DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;
use uuid::Uuid;

/// See the module's text.
pub struct DescribeCluster;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

impl Api for DescribeCluster {
    const KEY: ApiKey = ApiKey::DescribeCluster;
    type Request = DescribeClusterRequest;
    type Response = DescribeClusterResponse;
    type Origin = ();

    /// Fenced brokers, which a client may ask for, are not told: clusters do not tell them to us.
    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        let (sights, mut unasked) = (Sights::of(seen), Unasked::default());
        if request.include_cluster_authorized_operations {
            sights.want_operations(seen.placement.config.default_cluster, &mut unasked);
        }
        let needs = sights.needs(unasked);
        if !needs.is_empty() {
            return Plan::Wait(needs);
        }
        Plan::Answer(match request.endpoint_type {
            BROKERS => describe(request, &sights, seen),
            // As a broker's port answers who takes it for a controller's (AK AuthHelper).
            CONTROLLERS => refused(
                codes::MISMATCHED_ENDPOINT_TYPE,
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER",
            ),
            _ => refused(codes::UNSUPPORTED_ENDPOINT_TYPE, "Unsupported endpoint type"),
        })
    }

    fn absorb(_: &mut Self::Response, (): (), _: Result<Self::Response, Fault>, _: &Seen<'_>, _: &mut Effects) {}
}

fn refused(code: i16, why: &'static str) -> DescribeClusterResponse {
    DescribeClusterResponse::default()
        .with_error_code(code)
        .with_error_message(Some(StrBytes::from_static_str(why)))
        .with_cluster_authorized_operations(NO_OPERATIONS)
}

fn describe(request: &DescribeClusterRequest, sights: &Sights<'_>, seen: &Seen<'_>) -> DescribeClusterResponse {
    let broker = |node: Node| {
        DescribeClusterBroker::default()
            .with_broker_id(node.id)
            .with_host(node.host)
            .with_port(node.port)
            .with_rack(node.rack)
    };
    let asked = request.include_cluster_authorized_operations;
    let operations = if asked { on_default_cluster(sights, seen) } else { NO_OPERATIONS };
    DescribeClusterResponse::default()
        .with_endpoint_type(BROKERS)
        .with_cluster_id(StrBytes::from_string(seen.placement.config.virtual_cluster.to_string()))
        .with_controller_id(seen.controller())
        .with_brokers(seen.nodes().into_iter().map(broker).collect())
        .with_cluster_authorized_operations(operations)
}

/// See the module's text.
pub struct DescribeTopicPartitions;

/// The most partitions in one answer, whatever the client asks: Kafka's `max.request.partition.size.limit`.
const PARTITIONS_AT_MOST: usize = 2000;

impl Api for DescribeTopicPartitions {
    const KEY: ApiKey = ApiKey::DescribeTopicPartitions;
    type Request = DescribeTopicPartitionsRequest;
    type Response = DescribeTopicPartitionsResponse;
    type Origin = ();

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        let sights = Sights::of(seen);
        let names = names(request, &sights, seen);
        if !cursor_is_good(request, &names) {
            return Plan::Answer(all_refused(request));
        }
        let needs = needs(request, &names, &sights, seen);
        if needs.is_empty() { Plan::Answer(page(request, &names, &sights, seen)) } else { Plan::Wait(needs) }
    }

    fn absorb(_: &mut Self::Response, (): (), _: Result<Self::Response, Fault>, _: &Seen<'_>, _: &mut Effects) {}

    fn pipeline(request: &Self::Request, seen: &Seen<'_>) -> Name {
        seen.pipeline_of_topics(request.topics.iter().map(|topic| (Some(&topic.name.0), Uuid::nil())))
    }
}

fn needs(
    request: &DescribeTopicPartitionsRequest,
    names: &BTreeSet<StrBytes>,
    sights: &Sights<'_>,
    seen: &Seen<'_>,
) -> Vec<Need> {
    let (mut needs, mut unasked) = (Needs::default(), Unasked::default());
    if request.topics.is_empty() {
        sights.want_all(&mut unasked);
    }
    for name in names {
        match seen.placement.topic(name) {
            Some(place) => sights.want(place.cluster, place.name_there(), false, &mut unasked),
            None if is_legal(name) => {
                let at = sights.seek(name, false, &mut unasked, seen);
                if let Some((home, name)) = at.filter(|(home, name)| sought(seen, *home, name).is_none()) {
                    needs.topic(home, &name);
                }
            }
            None => {}
        }
    }
    let mut needs = needs.all();
    needs.extend(sights.needs(unasked));
    needs
}

/// The topics from the cursor on, by name: all that may be known, where none is named.
fn names(request: &DescribeTopicPartitionsRequest, sights: &Sights<'_>, seen: &Seen<'_>) -> BTreeSet<StrBytes> {
    let from = request.cursor.as_ref().map(|cursor| &cursor.topic_name.0);
    let on = |name: &StrBytes| from.is_none_or(|from| name >= from);
    if request.topics.is_empty() {
        let shown = seen.placement.listed().filter(|place| matches!(sights.tell(place), Tells::All(_)));
        let names = shown.map(|place| place.topic.name.clone());
        return names.filter(|name| on(name) && seen.shows(name)).collect();
    }
    request.topics.iter().map(|topic| topic.name.0.clone()).filter(on).collect()
}

/// A cursor points into the topics that are named (AK DescribeTopicPartitionsRequestHandler).
fn cursor_is_good(request: &DescribeTopicPartitionsRequest, names: &BTreeSet<StrBytes>) -> bool {
    let good = |cursor: &Asked| {
        cursor.partition_index >= 0 && (request.topics.is_empty() || names.contains(&cursor.topic_name.0))
    };
    request.cursor.as_ref().is_none_or(good)
}

/// The version has no code for the whole: Kafka gives each topic the same.
fn all_refused(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter().map(|topic| no_topic(&topic.name.0, codes::INVALID_REQUEST));
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
}

fn page(
    request: &DescribeTopicPartitionsRequest,
    names: &BTreeSet<StrBytes>,
    sights: &Sights<'_>,
    seen: &Seen<'_>,
) -> DescribeTopicPartitionsResponse {
    let mut answer = DescribeTopicPartitionsResponse::default();
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let mut room = limit.clamp(1, PARTITIONS_AT_MOST);
    for name in names {
        if room == 0 {
            answer.next_cursor = Some(cursor(name, 0));
            break;
        }
        let place = seen.placement.topic(name);
        let (place, may) = match place.map(|place| (place, sights.tell(place))) {
            Some((place, Tells::All(may))) => (place, may),
            Some((_, Tells::Refusal)) => {
                answer.topics.push(no_topic(name, codes::TOPIC_AUTHORIZATION_FAILED));
                continue;
            }
            Some((_, Tells::Nothing)) => {
                answer.topics.push(no_topic(name, codes::LEADER_NOT_AVAILABLE));
                continue;
            }
            None => {
                let sought = |home, name_there: &StrBytes| sought(seen, home, name_there);
                answer.topics.push(no_topic(name, sights.code_of_unknown(name, sought, seen)));
                continue;
            }
        };
        let start = start_in(name, request.cursor.as_ref());
        let told: Vec<_> = place.topic.partitions.iter().zip(0..).skip(start).take(room).collect();
        room -= told.len();
        let next = start + told.len();
        answer.topics.push(describe_topic(place, &told, may, seen));
        if next < place.topic.partitions.len() {
            answer.next_cursor = Some(cursor(name, next));
            break;
        }
    }
    answer
}

fn start_in(name: &StrBytes, cursor: Option<&Asked>) -> usize {
    let here = cursor.filter(|cursor| cursor.topic_name.0 == *name);
    here.and_then(|cursor| usize::try_from(cursor.partition_index).ok()).unwrap_or(0)
}

fn cursor(name: &StrBytes, partition: usize) -> Cursor {
    let partition = i32::try_from(partition).unwrap_or(i32::MAX);
    Cursor::default().with_topic_name(TopicName(name.clone())).with_partition_index(partition)
}

fn no_topic(name: &StrBytes, code: i16) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(code)
        .with_name(Some(TopicName(name.clone())))
        .with_topic_authorized_operations(NO_OPERATIONS)
}

fn describe_topic(
    place: &TopicPlace,
    told: &[(&Partition, i32)],
    may: i32,
    seen: &Seen<'_>,
) -> DescribeTopicPartitionsResponseTopic {
    let partition = |(partition, index): &(&Partition, i32)| describe_partition(partition, *index, place.cluster, seen);
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(TopicName(place.topic.name.clone())))
        .with_topic_id(place.id)
        .with_is_internal(place.topic.internal)
        .with_partitions(told.iter().map(partition).collect())
        .with_topic_authorized_operations(may)
}

/// Of eligible leaders (KIP-966) there are none, as on clusters without them: Metadata, which the placement is made
/// of, does not tell them. Not null, which the version allows: Kafka never sends it, and Java's admin client trips
/// over it (DescribeTopicPartitionsResponse.partitionToTopicPartitionInfo).
fn describe_partition(
    partition: &Partition,
    index: i32,
    home: Slot,
    seen: &Seen<'_>,
) -> DescribeTopicPartitionsResponsePartition {
    DescribeTopicPartitionsResponsePartition::default()
        .with_error_code(codes::NONE)
        .with_partition_index(index)
        .with_leader_id(seen.virtual_id(home, partition.leader))
        .with_leader_epoch(partition.epoch)
        .with_replica_nodes(seen.virtual_ids(home, &partition.replicas))
        .with_isr_nodes(seen.virtual_ids(home, &partition.isr))
        .with_offline_replicas(seen.offline_ids(home, &partition.offline))
        .with_eligible_leader_replicas(Some(Vec::new()))
        .with_last_known_elr(Some(Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Refusal;
    use crate::api::testing::{World, text};
    use crate::placement::build::tests::topic;
    use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;

    fn answered<A: Api>(request: &A::Request, seen: &Seen<'_>) -> A::Response {
        match A::plan(request, seen) {
            Plan::Answer(answer) => answer,
            Plan::Wait(needs) => panic!("waits for {needs:?}"),
            Plan::Send { .. } => panic!("sends"),
        }
    }

    #[test]
    fn the_virtual_cluster_is_described() {
        let world = World::default();
        let request = DescribeClusterRequest::default().with_endpoint_type(BROKERS);
        let answer = answered::<DescribeCluster>(&request, &world.seen(2));
        assert_eq!((answer.cluster_id.as_str(), answer.controller_id.0, answer.brokers.len()), ("v", 2, 6));
        assert!(answer.brokers.iter().all(|broker| broker.host.as_str() == "proxy.example" && broker.port == 9092));
        assert_eq!(answer.cluster_authorized_operations, i32::MIN);
        let code = |kind| {
            let request = DescribeClusterRequest::default().with_endpoint_type(kind);
            let answer = answered::<DescribeCluster>(&request, &world.seen(1));
            (answer.error_code, answer.brokers.len())
        };
        assert_eq!((code(CONTROLLERS), code(7)), ((114, 0), (115, 0)));
    }

    fn world() -> World {
        World::with(&[topic("x", &[1, -1, 3]), topic("y", &[2])], &[topic("b-1", &[1, 2])])
    }

    fn ask(names: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> DescribeTopicPartitionsRequest {
        let topic = |name: &&str| TopicRequest::default().with_name(TopicName(text(name)));
        let cursor = cursor.map(|(name, partition)| {
            Asked::default().with_topic_name(TopicName(text(name))).with_partition_index(partition)
        });
        DescribeTopicPartitionsRequest::default()
            .with_topics(names.iter().map(topic).collect())
            .with_response_partition_limit(limit)
            .with_cursor(cursor)
    }

    type Topics = Vec<(String, i16, Vec<i32>)>;

    /// Names, codes and partitions of a page, and where the next begins.
    fn told(answer: &DescribeTopicPartitionsResponse) -> (Topics, Option<(String, i32)>) {
        let topic = |topic: &DescribeTopicPartitionsResponseTopic| {
            let name = topic.name.as_ref().unwrap().to_string();
            (name, topic.error_code, topic.partitions.iter().map(|partition| partition.partition_index).collect())
        };
        let next = answer.next_cursor.as_ref().map(|next| (next.topic_name.to_string(), next.partition_index));
        (answer.topics.iter().map(topic).collect(), next)
    }

    #[test]
    fn pages_cover_every_partition_once_in_the_order_of_names() {
        for limit in 1..8 {
            let (mut all, mut cursor) = (Vec::new(), None);
            loop {
                let at = cursor.as_ref().map(|(name, partition): &(String, i32)| (name.as_str(), *partition));
                let answer = answered::<DescribeTopicPartitions>(&ask(&[], limit, at), &world().seen(0));
                let (topics, next) = told(&answer);
                let page: Vec<_> = topics
                    .into_iter()
                    .flat_map(|(name, _, at)| at.into_iter().map(move |at| (name.clone(), at)))
                    .collect();
                assert!(page.len() <= usize::try_from(limit).unwrap());
                all.extend(page);
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
            let expected = [("b-1", 0), ("b-1", 1), ("x", 0), ("x", 1), ("x", 2), ("y", 0)];
            assert_eq!(all, expected.map(|(name, partition)| (name.to_owned(), partition)));
        }
    }

    #[test]
    fn a_page_that_is_full_points_to_the_next_topic() {
        let answer = answered::<DescribeTopicPartitions>(&ask(&["y", "b-1"], 2, None), &world().seen(0));
        let (topics, next) = told(&answer);
        assert_eq!(topics, [("b-1".to_owned(), 0, vec![0, 1])]);
        assert_eq!(next, Some(("y".to_owned(), 0)));
        assert_eq!(answer.topics[0].partitions[1].leader_id.0, (1 << 25) | 2);
        assert_eq!(answer.topics[0].partitions[0].eligible_leader_replicas, Some(vec![]));
    }

    #[test]
    fn what_is_not_there_is_looked_for_and_told() {
        let mut world = world();
        let request = ask(&["nope", "b-9", "a b"], 10, None);
        world.refuse_needs::<DescribeTopicPartitions>(&request, 0, &Refusal::Done);
        let (topics, _) = told(&answered::<DescribeTopicPartitions>(&request, &world.seen(0)));
        let none = Vec::new;
        let expected = [("a b", 17), ("b-9", 3), ("nope", 3)].map(|(name, code)| (name.to_owned(), code, none()));
        assert_eq!(topics, expected);
    }

    #[test]
    fn a_cursor_that_points_elsewhere_is_refused() {
        for cursor in [("z", 0), ("x", -1)] {
            let answer = answered::<DescribeTopicPartitions>(&ask(&["x"], 10, Some(cursor)), &world().seen(0));
            assert_eq!(told(&answer).0, [("x".to_owned(), 42, vec![])]);
        }
    }
}
