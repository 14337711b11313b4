//! CreateTopics and DeleteTopics: each topic where its pipeline says it lives. Any broker of a cluster is asked; it
//! passes the request on to its controller.
//!
//! Where a cluster gives no answer, its topics get 7 REQUEST_TIMED_OUT: for all that is known they may be made or
//! gone. Only where nothing at all was sent the code is 41 NOT_CONTROLLER, at which Java and franz-go repeat the
//! **whole** request after a while: with other clusters in it that have done their part, they would be told "exists
//! already" about topics that they have just made.

use crate::api::needs::Needs;
use crate::api::overview::nodes::not_here;
use crate::api::partitioned::put_all;
use crate::api::scrub::scrubbed_message;
use crate::api::settings::config_values;
use crate::api::untag::Untag;
use crate::api::{Api, Effect, Effects, Need, OF_TWIN, Part, Plan, Seen, codes, once, send_or_wait};
use crate::error::Fault;
use crate::placement::nodes::SINGLE;
use crate::placement::topic_ids::shown_id;
use crate::types::{Name, Slot, View, VirtualNode};
use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    ApiKey, BrokerId, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// What a cluster was asked to make or to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnCluster {
    /// Which one.
    pub(in crate::api) cluster: Slot,
    /// Nothing was asked of another cluster.
    alone: bool,
    /// The names of topics that are asked for by id.
    names: HashMap<Uuid, StrBytes>,
}

impl OnCluster {
    /// The code for what got no answer, and why.
    pub(in crate::api) fn lost(&self, fault: &Fault) -> (i16, Option<StrBytes>) {
        let (code, why) = match (fault.sent, self.alone) {
            (true, _) => {
                (codes::REQUEST_TIMED_OUT, "the topic's cluster did not answer; nobody knows what it has done")
            }
            (false, false) => (codes::REQUEST_TIMED_OUT, "the topic's cluster cannot be reached; nothing was done"),
            (false, true) => (codes::NOT_CONTROLLER, "the topic's cluster cannot be reached; nothing was done"),
        };
        (code, message(why))
    }
}

fn message(text: &'static str) -> Option<StrBytes> {
    Some(StrBytes::from_static_str(text))
}

/// From this version on answers have room for a message. (CreateTopics has it in all that are served.)
const DELETE_SAYS_WHY: i16 = 5;

/// One part for each cluster; what none can be made for goes to `lost`.
pub(in crate::api) fn parts<A, T>(
    per_cluster: BTreeMap<Slot, Vec<T>>,
    seen: &Seen<'_>,
    request: impl Fn(&[T]) -> A::Request,
    names: impl Fn(&[T]) -> HashMap<Uuid, StrBytes>,
    mut lost: impl FnMut(Vec<T>, &OnCluster, Fault),
) -> Vec<Part<A>>
where
    A: Api<Origin = OnCluster>,
{
    let alone = per_cluster.len() == 1;
    let mut parts = Vec::new();
    for (cluster, topics) in per_cluster {
        let origin = OnCluster { cluster, alone, names: names(&topics) };
        match seen.placement.any_broker(cluster) {
            Some(to) => parts.push(Part { to, request: request(&topics), origin }),
            None => lost(topics, &origin, Fault::cluster(cluster, "none of its brokers is known")),
        }
    }
    parts
}

fn refresh(cluster: Slot, topic: &StrBytes, effects: &mut Effects) {
    once(Effect::Refresh(cluster, topic.clone()), effects);
}

/// The first that bears each name, in order, and whether it is the only one: as Kafka answers those that are named twice.
pub(in crate::api) fn each_once<'a, T>(
    all: &'a [T],
    name: impl Fn(&'a T) -> &'a TopicName,
) -> impl Iterator<Item = (&'a T, bool)> {
    let mut count: HashMap<&TopicName, usize> = HashMap::new();
    all.iter().for_each(|one| *count.entry(name(one)).or_default() += 1);
    all.iter().filter_map(move |one| count.remove(name(one)).map(|times| (one, times == 1)))
}

/// See the module's text.
pub struct CreateTopics;

impl Api for CreateTopics {
    const KEY: ApiKey = ApiKey::CreateTopics;
    type Request = CreateTopicsRequest;
    type Response = CreateTopicsResponse;
    type Origin = OnCluster;

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        let mut seed = CreateTopicsResponse::default();
        let mut per_cluster: BTreeMap<Slot, Vec<CreatableTopic>> = BTreeMap::new();
        for (topic, alone) in each_once(&request.topics, |topic| &topic.name) {
            let told = match on_real_brokers(topic, seen) {
                _ if !alone => not_made(&topic.name, codes::INVALID_REQUEST, message("Duplicate topic name.")),
                _ if seen.is_reserved(&topic.name) => {
                    not_made(&topic.name, codes::INVALID_TOPIC_EXCEPTION, message(OF_TWIN))
                }
                Ok(topic) => {
                    let home = seen.placement.home_of_topic(&topic.name);
                    let told = not_made(&topic.name, codes::REQUEST_TIMED_OUT, message("no answer"));
                    per_cluster.entry(home).or_default().push(topic);
                    told
                }
                Err(id) => not_made(&topic.name, codes::INVALID_REPLICA_ASSIGNMENT, Some(not_here(id, seen))),
            };
            seed.topics.push(told);
        }
        let part = |topics: &[CreatableTopic]| request.clone().with_topics(topics.to_vec());
        let parts = parts(
            per_cluster,
            seen,
            part,
            |_| HashMap::new(),
            |topics, origin, fault| {
                let (code, why) = origin.lost(&fault);
                let places = places(seed.topics.iter().map(|told| &told.name));
                for topic in topics {
                    put(&mut seed.topics, &places, &topic.name, not_made(&topic.name, code, why.clone()));
                }
            },
        );
        send_or_wait(seed, parts, Vec::new())
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
                let places = places(so_far.topics.iter().map(|told| &told.name));
                for mut told in answer.topics {
                    told.untag();
                    if told.error_code == codes::NONE {
                        // A broker that lacks version 7 tells none, nor does one that speaks it in the middle of an upgrade.
                        told.topic_id = shown_id(told.topic_id, origin.cluster, &told.name);
                    }
                    told.error_message = why_not_made(&mut told, origin.cluster, seen);
                    for config in told.configs.iter_mut().flatten() {
                        let hidden = config_values::show(&config.name, &mut config.value, origin.cluster, seen);
                        config.is_sensitive |= hidden;
                    }
                    match told.error_code {
                        codes::NONE => once(Effect::Settle(origin.cluster, told.name.0.clone(), true), effects),
                        codes::TOPIC_ALREADY_EXISTS => refresh(origin.cluster, &told.name.0, effects),
                        _ => {}
                    }
                    put(&mut so_far.topics, &places, &told.name.clone(), told);
                }
            }
            Err(fault) => {
                let (code, why) = origin.lost(&fault);
                let of_cluster = |told: &&mut CreatableTopicResult| {
                    told.error_code == codes::REQUEST_TIMED_OUT
                        && seen.placement.home_of_topic(&told.name) == origin.cluster
                };
                for told in so_far.topics.iter_mut().filter(of_cluster) {
                    *told = not_made(&told.name, code, why.clone());
                    refresh(origin.cluster, &told.name.0, effects);
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

fn not_made(name: &TopicName, code: i16, why: Option<StrBytes>) -> CreatableTopicResult {
    CreatableTopicResult::default().with_name(name.clone()).with_error_code(code).with_error_message(why)
}

/// Where in an answer each topic is told of. A request may have hundreds of thousands: to look through all for each would
/// take the square of that.
pub(in crate::api) fn places<'t>(names: impl Iterator<Item = &'t TopicName>) -> HashMap<TopicName, usize> {
    names.cloned().zip(0..).collect()
}

/// Puts what a cluster says of a topic where the answer tells of it.
pub(in crate::api) fn put<T>(answer: &mut [T], places: &HashMap<TopicName, usize>, name: &TopicName, told: T) {
    if let Some(place) = places.get(name).and_then(|at| answer.get_mut(*at)) {
        *place = told;
    }
}

/// A message about replicas names brokers by their real ids.
fn why_not_made(told: &mut CreatableTopicResult, cluster: Slot, seen: &Seen<'_>) -> Option<StrBytes> {
    match told.error_code {
        codes::INVALID_REPLICA_ASSIGNMENT => message(
            "The replica assignment does not fit the topic's cluster: a broker is not there, or the replicas are uneven.",
        ),
        _ => scrubbed_message(told.error_message.take(), cluster, seen.placement),
    }
}

/// Which versions leave the number of replicas to the cluster (KIP-464).
const DEFAULT_REPLICAS: i16 = 4;

/// In the view `single` an assignment can but say how many partitions there are: each is on the one node. How many brokers
/// behind it hold a partition is the cluster's to say.
fn on_one_node(mut topic: CreatableTopic, seen: &Seen<'_>) -> Result<CreatableTopic, BrokerId> {
    let mut partitions: Vec<_> = topic.assignments.iter().map(|partition| partition.partition_index).collect();
    partitions.sort_unstable();
    let in_a_row = partitions.iter().zip(0..).all(|(partition, index)| *partition == index);
    let other = |partition: &CreatableReplicaAssignment| partition.broker_ids != [BrokerId(SINGLE.0)];
    if !in_a_row || topic.assignments.iter().any(other) {
        return Err(BrokerId(SINGLE.0));
    }
    topic.num_partitions = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
    topic.replication_factor = if seen.version >= DEFAULT_REPLICAS { -1 } else { 1 };
    topic.assignments.clear();
    Ok(topic)
}

/// The topic with the real ids of the brokers that are to hold it, or a broker that is not on its cluster.
fn on_real_brokers(topic: &CreatableTopic, seen: &Seen<'_>) -> Result<CreatableTopic, BrokerId> {
    let home = seen.placement.home_of_topic(&topic.name);
    let mut topic = topic.clone();
    if seen.view == View::Single && !topic.assignments.is_empty() {
        topic = on_one_node(topic, seen)?;
    }
    for id in topic.assignments.iter_mut().flat_map(|partition| &mut partition.broker_ids) {
        let real = seen.broker_behind(VirtualNode(id.0)).filter(|real| real.cluster == home);
        let Some(real) = real else { return Err(*id) };
        *id = BrokerId(real.broker.0);
    }
    for config in &mut topic.configs {
        config_values::to_real(&config.name, &mut config.value, home, seen);
    }
    Ok(topic)
}

/// See the module's text.
pub struct DeleteTopics;

/// From this version on topics are in a list of their own, by name or by id.
const DELETE_BY_ID: i16 = 6;

impl Api for DeleteTopics {
    const KEY: ApiKey = ApiKey::DeleteTopics;
    type Request = DeleteTopicsRequest;
    type Response = DeleteTopicsResponse;
    type Origin = OnCluster;

    /// A name goes to its home even when no such topic is known there: the cluster knows best. Ids are looked up.
    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        let mut seed = DeleteTopicsResponse::default();
        let mut needs = Needs::default();
        let mut per_cluster: BTreeMap<Slot, Vec<DeleteTopicState>> = BTreeMap::new();
        for topic in asked(request, seen.version) {
            let code = match home(&topic, seen) {
                Ok(cluster) => {
                    per_cluster.entry(cluster).or_default().push(topic.clone());
                    codes::REQUEST_TIMED_OUT
                }
                Err(None) => {
                    needs.push(Need::AllTopics);
                    codes::UNKNOWN_TOPIC_ID
                }
                Err(Some(code)) => code,
            };
            let why = match code {
                codes::REQUEST_TIMED_OUT => message("no answer"),
                codes::INVALID_TOPIC_EXCEPTION => message(OF_TWIN),
                _ => None,
            };
            seed.responses.push(not_deleted(&topic, code, why, seen));
        }
        let part = |topics: &[DeleteTopicState]| {
            if seen.version >= DELETE_BY_ID {
                return request.clone().with_topics(topics.iter().map(|topic| on_its_cluster(topic, seen)).collect());
            }
            request.clone().with_topic_names(topics.iter().filter_map(|topic| topic.name.clone()).collect())
        };
        let name_of = |id| seen.placement.topic_by_id(id).map(|place| (id, place.topic.name.clone()));
        let names = |topics: &[DeleteTopicState]| topics.iter().filter_map(|topic| name_of(topic.topic_id)).collect();
        let parts = parts(per_cluster, seen, part, names, |topics, origin, fault| {
            let (code, why) = origin.lost(&fault);
            let mut places = DeletedPlaces::of(&seed);
            for topic in topics {
                places.put(&mut seed, &not_deleted(&topic, code, why.clone(), seen));
            }
        });
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
                let mut places = DeletedPlaces::of(so_far);
                let ids: HashMap<_, _> = origin.names.iter().map(|(id, name)| (name, *id)).collect();
                for mut told in answer.responses {
                    told.untag();
                    // Asked for by an id of ours, it was named.
                    let by_id = told.name.as_ref().filter(|_| told.topic_id.is_nil()).and_then(|name| ids.get(&name.0));
                    told.topic_id = by_id.copied().unwrap_or(told.topic_id);
                    told.error_message = scrubbed_message(told.error_message, origin.cluster, seen.placement);
                    let name = told.name.as_ref().map(|name| &name.0).or_else(|| origin.names.get(&told.topic_id));
                    if let Some(name) = name.filter(|_| gone(told.error_code)) {
                        once(Effect::Settle(origin.cluster, name.clone(), false), effects);
                        if told.error_code == codes::NONE {
                            once(Effect::DropShadows(origin.cluster, name.clone()), effects);
                        }
                    }
                    places.put(so_far, &told);
                }
            }
            Err(fault) => lose_deleted(so_far, &origin, &fault, seen, effects),
        }
    }

    fn pipeline(request: &Self::Request, seen: &Seen<'_>) -> Name {
        let topics = asked(request, seen.version);
        seen.pipeline_of_topics(topics.iter().map(|topic| (topic.name.as_ref().map(|name| &name.0), topic.topic_id)))
    }

    /// A broker that lacks version 6 has no topic ids.
    fn lower(request: &mut Self::Request, version: i16) {
        if version < DELETE_BY_ID {
            let named = std::mem::take(&mut request.topics).into_iter().filter_map(|topic| topic.name);
            request.topic_names.extend(named);
        }
    }

    fn held_ms(request: &Self::Request) -> i32 {
        request.timeout_ms.max(0)
    }
}

fn gone(code: i16) -> bool {
    matches!(code, codes::NONE | codes::UNKNOWN_TOPIC_OR_PARTITION | codes::UNKNOWN_TOPIC_ID)
}

/// The topics of a request in one shape for all versions.
fn asked(request: &DeleteTopicsRequest, version: i16) -> Vec<DeleteTopicState> {
    if version >= DELETE_BY_ID {
        return request.topics.clone();
    }
    let named = |name: &TopicName| DeleteTopicState::default().with_name(Some(name.clone()));
    request.topic_names.iter().map(named).collect()
}

/// By its name where its cluster knows no ids, and what the client has is one of ours.
fn on_its_cluster(topic: &DeleteTopicState, seen: &Seen<'_>) -> DeleteTopicState {
    let place = seen.placement.topic_by_id(topic.topic_id).filter(|place| place.topic.id.is_nil());
    let named = |name: &StrBytes| DeleteTopicState::default().with_name(Some(TopicName(name.clone())));
    place.map_or_else(|| topic.clone(), |place| named(&place.topic.name))
}

/// Where a topic is to be deleted, or the code for it; none where its id is to be looked for.
fn home(topic: &DeleteTopicState, seen: &Seen<'_>) -> Result<Slot, Option<i16>> {
    match &topic.name {
        Some(_) if !topic.topic_id.is_nil() => Err(Some(codes::INVALID_REQUEST)),
        Some(name) if seen.is_reserved(name) => Err(Some(codes::INVALID_TOPIC_EXCEPTION)),
        Some(name) => Ok(seen.placement.home_of_topic(name)),
        None if topic.topic_id.is_nil() => Err(Some(codes::INVALID_REQUEST)),
        None => match seen.placement.topic_by_id(topic.topic_id) {
            Some(place) if place.is_twin() => Err(Some(codes::INVALID_TOPIC_EXCEPTION)),
            Some(place) => Ok(place.cluster),
            None => Err(seen.refusal(&Need::AllTopics).map(|_| codes::UNKNOWN_TOPIC_ID)),
        },
    }
}

fn not_deleted(topic: &DeleteTopicState, code: i16, why: Option<StrBytes>, seen: &Seen<'_>) -> DeletableTopicResult {
    DeletableTopicResult::default()
        .with_name(topic.name.clone())
        .with_topic_id(topic.topic_id)
        .with_error_code(code)
        .with_error_message(why.filter(|_| seen.version >= DELETE_SAYS_WHY))
}

/// Where in an answer topics are told of that were asked for by their names, and by their ids: each as often as it was asked
/// for.
struct DeletedPlaces {
    by_name: HashMap<TopicName, Vec<usize>>,
    by_id: HashMap<Uuid, Vec<usize>>,
}

impl DeletedPlaces {
    fn of(answer: &DeleteTopicsResponse) -> Self {
        let mut places = Self { by_name: HashMap::new(), by_id: HashMap::new() };
        for (at, place) in answer.responses.iter().enumerate() {
            match &place.name {
                Some(name) => places.by_name.entry(name.clone()).or_default().push(at),
                None => places.by_id.entry(place.topic_id).or_default().push(at),
            }
        }
        places
    }

    /// Puts what a cluster says to where the topic was asked for. What it says again of the same one is left aside.
    fn put(&mut self, answer: &mut DeleteTopicsResponse, told: &DeletableTopicResult) {
        let by_name = told.name.as_ref().and_then(|name| self.by_name.remove(name));
        let by_id = (!told.topic_id.is_nil()).then(|| self.by_id.remove(&told.topic_id)).flatten();
        by_name.into_iter().chain(by_id).for_each(|places| put_all(&mut answer.responses, &places, told));
    }
}

fn lose_deleted(
    so_far: &mut DeleteTopicsResponse,
    origin: &OnCluster,
    fault: &Fault,
    seen: &Seen<'_>,
    effects: &mut Effects,
) {
    let (code, why) = origin.lost(fault);
    for told in so_far.responses.iter_mut().filter(|told| told.error_code == codes::REQUEST_TIMED_OUT) {
        let by_id = told.name.is_none().then(|| origin.names.get(&told.topic_id)).flatten();
        let by_name = told.name.as_ref().map(|name| &name.0);
        let by_name = by_name.filter(|name| seen.placement.home_of_topic(name) == origin.cluster);
        let Some(name) = by_id.or(by_name).cloned() else { continue };
        told.error_code = code;
        told.error_message = why.clone().filter(|_| seen.version >= DELETE_SAYS_WHY);
        refresh(origin.cluster, &name, effects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Refusal;
    use crate::api::testing::{Effort, World, at, round, sent, text};
    use crate::placement::build::tests::{slot, topic};
    use crate::upstream::Topic;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn create(names: &[&str]) -> CreateTopicsRequest {
        let topic = |name: &&str| CreatableTopic::default().with_name(TopicName(text(name))).with_num_partitions(1);
        CreateTopicsRequest::default().with_timeout_ms(5_000).with_topics(names.iter().map(topic).collect())
    }

    fn made(request: &CreateTopicsRequest) -> CreateTopicsResponse {
        let told = |topic: &CreatableTopic| not_made(&topic.name, 0, None);
        CreateTopicsResponse::default().with_topics(request.topics.iter().map(told).collect())
    }

    fn created(answer: &CreateTopicsResponse) -> Vec<(&str, i16)> {
        answer.topics.iter().map(|told| (told.name.as_str(), told.error_code)).collect()
    }

    #[test]
    fn topics_are_made_where_their_pipelines_say() {
        let request = create(&["b-1", "x", "b-2", "x"]);
        let mut asked = Vec::new();
        let (answer, effects) = round::<CreateTopics>(&request, &World::default().seen(7), |to, request| {
            asked.push((to, request.topics.len()));
            Ok(made(&request))
        });
        assert_eq!(asked, [(at(1, 2), 2)]);
        assert_eq!(created(&answer), [("b-1", 0), ("x", 42), ("b-2", 0)]);
        assert_eq!(effects, [Effect::Settle(slot(1), text("b-1"), true), Effect::Settle(slot(1), text("b-2"), true)]);
    }

    #[test]
    fn a_cluster_that_fails_fails_its_own_topics() {
        let lost = |names, sent| {
            let (answer, _) = round::<CreateTopics>(&create(names), &World::default().seen(7), |to, request| {
                if to.cluster == slot(1) { Err(Fault::upstream(to, sent, "gone")) } else { Ok(made(&request)) }
            });
            created(&answer).iter().map(|(_, code)| *code).collect::<Vec<_>>()
        };
        assert_eq!(lost(&["x", "b-1"], false), [0, 7]);
        assert_eq!(lost(&["x", "b-1"], true), [0, 7]);
        assert_eq!(lost(&["b-1"], true), [7]);
        assert_eq!(lost(&["b-1", "b-2"], false), [41, 41], "nothing else was done: clients may repeat the whole");
    }

    #[test]
    fn replicas_are_placed_on_real_brokers_of_the_topics_own_cluster() {
        let assigned = |name: &str, ids: &[i32]| {
            let ids = ids.iter().map(|id| BrokerId(*id)).collect();
            let mut request = create(&[name]);
            request.topics[0].assignments = vec![CreatableReplicaAssignment::default().with_broker_ids(ids)];
            request
        };
        let world = World::default();
        let (_, parts) = sent(CreateTopics::plan(&assigned("b-1", &[33_554_433, 33_554_435]), &world.seen(7)));
        assert_eq!(parts[0].request, assigned("b-1", &[1, 3]));
        for (name, ids) in [("b-1", [33_554_433, 3]), ("x", [1, 33_554_433]), ("x", [1, -1])] {
            let (answer, _) = round::<CreateTopics>(&assigned(name, &ids), &world.seen(7), |_, _| panic!("sent"));
            assert_eq!(created(&answer), [(name, 39)]);
            assert!(answer.topics[0].error_message.as_ref().unwrap().contains(&ids[1].to_string()));
        }
        let broker = |_, _: CreateTopicsRequest| {
            let why = Some(text("includes broker 3, but no such broker is registered"));
            Ok(CreateTopicsResponse::default().with_topics(vec![not_made(&TopicName(text("b-1")), 39, why)]))
        };
        let (answer, _) = round::<CreateTopics>(&assigned("b-1", &[33_554_435]), &world.seen(7), broker);
        assert!(!answer.topics[0].error_message.as_ref().unwrap().contains('3'), "a real id");
    }

    #[test]
    fn in_single_an_assignment_is_a_number_of_partitions() {
        let world = World::default().shown(View::Single);
        let partition = |index: i32, node: i32| {
            CreatableReplicaAssignment::default().with_partition_index(index).with_broker_ids(vec![BrokerId(node)])
        };
        let assigned = |assignments: Vec<CreatableReplicaAssignment>| {
            let mut request = create(&["b-1"]);
            request.topics[0].assignments = assignments;
            request
        };
        // All on the one node there is: the cluster says how many brokers hold each
        let request = assigned(vec![partition(1, SINGLE.0), partition(0, SINGLE.0)]);
        let (_, parts) = sent(CreateTopics::plan(&request, &world.seen(7)));
        let asked = &parts[0].request.topics[0];
        assert_eq!((asked.num_partitions, asked.replication_factor, asked.assignments.len()), (2, -1, 0));
        // A node of another view, a partition that is missing
        for wrong in [vec![partition(0, 1)], vec![partition(1, SINGLE.0)]] {
            let (answer, _) = round::<CreateTopics>(&assigned(wrong), &world.seen(7), |_, _| panic!("sent"));
            assert_eq!(created(&answer), [("b-1", 39)]);
        }
    }

    fn by_name(names: &[&str]) -> DeleteTopicsRequest {
        DeleteTopicsRequest::default().with_topic_names(names.iter().map(|name| TopicName(text(name))).collect())
    }

    fn by_id(ids: &[Uuid]) -> DeleteTopicsRequest {
        let topic = |id: &Uuid| DeleteTopicState::default().with_name(None).with_topic_id(*id);
        DeleteTopicsRequest::default().with_topics(ids.iter().map(topic).collect())
    }

    /// A cluster that deletes all it is asked to, and tells names where it can.
    fn deleted(request: &DeleteTopicsRequest) -> DeleteTopicsResponse {
        let named = request.topic_names.iter().map(|name| (Some(name.clone()), Uuid::nil()));
        let told = |(name, id)| DeletableTopicResult::default().with_name(name).with_topic_id(id);
        let of_states = request.topics.iter().map(|topic| (topic.name.clone(), topic.topic_id));
        DeleteTopicsResponse::default().with_responses(named.chain(of_states).map(told).collect())
    }

    fn codes_of(answer: &DeleteTopicsResponse) -> Vec<i16> {
        answer.responses.iter().map(|told| told.error_code).collect()
    }

    #[test]
    fn topics_are_deleted_by_name_at_their_homes() {
        let request = by_name(&["x", "b-1", "b-unknown"]);
        let mut asked = Vec::new();
        let (answer, effects) = round::<DeleteTopics>(&request, &World::default().seen(5), |to, request| {
            asked.push((to, request.topic_names.len()));
            Ok(deleted(&request))
        });
        assert_eq!(asked, [(at(0, 2), 1), (at(1, 2), 2)]);
        let names: Vec<_> = answer.responses.iter().filter_map(|told| told.name.clone()).collect();
        assert_eq!((codes_of(&answer), names), (vec![0, 0, 0], request.topic_names));
        let done = |at, name| [Effect::Settle(slot(at), text(name), false), Effect::DropShadows(slot(at), text(name))];
        assert_eq!(effects, [done(0, "x"), done(1, "b-1"), done(1, "b-unknown")].concat());
    }

    #[test]
    fn shadows_are_dropped_only_with_a_topic_that_its_home_has_deleted() {
        for code in [3, 7, 29, 41] {
            let refuses = |_, request: DeleteTopicsRequest| {
                let mut answer = deleted(&request);
                answer.responses[0].error_code = code;
                Ok(answer)
            };
            let (_, effects) = round::<DeleteTopics>(&by_name(&["b-1"]), &World::default().seen(5), refuses);
            assert!(!effects.contains(&Effect::DropShadows(slot(1), text("b-1"))), "after {code}");
        }
        let lost = |to, _| Err(Fault::upstream(to, true, "gone"));
        let (_, effects) = round::<DeleteTopics>(&by_name(&["b-1"]), &World::default().seen(5), lost);
        assert_eq!(effects, [Effect::Refresh(slot(1), text("b-1"))]);
    }

    #[test]
    fn topics_are_deleted_by_id_once_the_id_is_known() {
        let mut world = World::with(&[topic("x", &[1])], &[topic("b-1", &[1])]);
        let id = |name: &str| world.placement.topic(name).unwrap().topic.id;
        let (known, unknown) = (id("b-1"), Uuid::from_bytes([9; 16]));
        let request = by_id(&[unknown, known, Uuid::nil()]);
        let Plan::Wait(needs) = DeleteTopics::plan(&request, &world.seen(6)) else { panic!("does not wait") };
        assert_eq!(needs, [Need::AllTopics]);
        world.refuse_needs::<DeleteTopics>(&request, 6, &Refusal::Done);
        let (answer, effects) = round::<DeleteTopics>(&request, &world.seen(6), |_, request| Ok(deleted(&request)));
        assert_eq!(codes_of(&answer), [100, 0, 42]);
        assert_eq!(effects, [Effect::Settle(slot(1), text("b-1"), false), Effect::DropShadows(slot(1), text("b-1"))]);
        let lost = |to, _| Err(Fault::upstream(to, false, "gone"));
        assert_eq!(codes_of(&round::<DeleteTopics>(&request, &world.seen(6), lost).0), [100, 41, 42]);
    }

    #[test]
    fn a_topic_whose_cluster_gives_no_ids_is_made_and_deleted_under_ours() {
        let bare = Arc::new(Topic { id: Uuid::nil(), ..Topic::clone(&topic("b-1", &[1])) });
        let world = World::with(&[], &[bare]);
        let ours = world.placement.topic("b-1").unwrap().id;
        // Whatever version of CreateTopics its brokers speak
        let (answer, _) = round::<CreateTopics>(&create(&["b-1"]), &world.seen(7), |_, asked| Ok(made(&asked)));
        assert_eq!((created(&answer), answer.topics[0].topic_id), (vec![("b-1", 0)], ours));
        let (answer, effects) = round::<DeleteTopics>(&by_id(&[ours]), &world.seen(6), |_, asked| {
            let named = DeleteTopicState::default().with_name(Some(TopicName(text("b-1"))));
            assert_eq!(asked.topics, [named]);
            Ok(deleted(&asked))
        });
        assert_eq!((codes_of(&answer), answer.responses[0].topic_id), (vec![0], ours));
        assert!(effects.contains(&Effect::DropShadows(slot(1), text("b-1"))));
    }

    #[test]
    fn an_old_broker_is_asked_by_name() {
        let topic = DeleteTopicState::default().with_name(Some(TopicName(text("x"))));
        let mut request = DeleteTopicsRequest::default().with_topics(vec![topic]);
        DeleteTopics::lower(&mut request, 5);
        assert_eq!(request, by_name(&["x"]));
    }

    proptest! {
        #[test]
        fn every_topic_is_answered_once(
            asked in prop::collection::vec(0..5_usize, 0..8),
            fails: bool,
            sent: bool,
            leaves_out: bool,
        ) {
            let names = ["x", "y", "b-1", "b-2", "z"];
            let names: Vec<_> = asked.iter().map(|at| names[*at]).collect();
            let fault = |to: crate::types::Target| Err(Fault::upstream(to, sent, "gone"));
            let fails = |to: crate::types::Target| fails && to.cluster == slot(1);
            let (answer, _) = round::<CreateTopics>(&create(&names), &World::default().seen(7), |to, request| {
                let mut answer = made(&request);
                if leaves_out {
                    answer.topics.pop();
                }
                if fails(to) { fault(to) } else { Ok(answer) }
            });
            let mut once: Vec<&str> = Vec::new();
            for name in &names {
                if !once.contains(name) {
                    once.push(name);
                }
            }
            prop_assert_eq!(created(&answer).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), once);
            let (answer, _) = round::<DeleteTopics>(&by_name(&names), &World::default().seen(5), |to, request| {
                let mut answer = deleted(&request);
                if leaves_out {
                    answer.responses.pop();
                }
                if fails(to) { Err(Fault::upstream(to, sent, "gone")) } else { Ok(answer) }
            });
            let told = answer.responses.iter().filter_map(|told| told.name.as_ref());
            let told: Vec<_> = told.map(|name| name.as_str()).collect();
            prop_assert_eq!(told, names);
        }
    }

    #[test]
    fn very_many_topics_keep_nobody_waiting() {
        // Given requests for more topics than anybody has, at clusters that answer in an order of their own, or not at all
        let (world, began) = (World::default(), Effort::begin());
        let names: Vec<_> = (0..60_000).map(|number| format!("x-{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let asked = create(&names);
        let (answer, _) = round::<CreateTopics>(&asked, &world.seen(7), |_, part| {
            let mut answer = made(&part);
            answer.topics.reverse();
            Ok(answer)
        });
        assert!(answer.topics.len() == names.len() && answer.topics.iter().all(|told| told.error_code == codes::NONE));
        let asked =
            DeleteTopicsRequest::default().with_topic_names(names.iter().map(|name| TopicName(text(name))).collect());
        for answers in [true, false] {
            let (answer, _) = round::<DeleteTopics>(&asked, &world.seen(5), |to, part| {
                let told = |name: &TopicName| DeletableTopicResult::default().with_name(Some(name.clone()));
                let told = part.topic_names.iter().rev().map(told).collect();
                if answers {
                    Ok(DeleteTopicsResponse::default().with_responses(told))
                } else {
                    Err(Fault::upstream(to, true, "gone"))
                }
            });
            let code = if answers { codes::NONE } else { codes::REQUEST_TIMED_OUT };
            assert!(
                answer.responses.len() == names.len() && answer.responses.iter().all(|told| told.error_code == code)
            );
        }
        // Then each is answered for, and it does not take the square of that
        began.must_be_small();
    }
}
