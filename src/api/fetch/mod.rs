//! Fetch, without the waiting. Where all partitions of a request live on one broker it passes through, that broker's
//! fetch session (KIP-227) included. Where several brokers are needed it is split (`split`), and answered without a
//! session. The drivers in `session` keep the table of sessions and do the sending.

mod asked;
mod brokers;
pub mod handed;
mod kept;
mod leaving;
mod moves;
mod question;
mod roll;
pub mod split;
mod told;

pub use asked::Asked;
pub use moves::{Ask, Leaving, Move, Moves};
pub use question::records_within;
pub use roll::Settled;
pub use told::{is_plain, note, translate};

use crate::api::needs::{Needs, sought_unknown};
use crate::api::{Effect, Effects, Need, Refusal, Seen, codes};
use crate::placement::{Leader, TopicPlace};
use crate::rights::{Kind, Operation};
use crate::types::Target;
use crate::wire::fetch::Flat;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::FetchableTopicResponse;
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;
use uuid::Uuid;

/// No session.
pub const NO_SESSION: i32 = 0;
/// A request with this epoch opens a session; with -1 it ends one. Both are full fetches, whatever the id.
const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;

/// What is to be done for a Fetch.
#[derive(Debug)]
pub enum Plan {
    /// All of it belongs to one broker. `edited` where the client's frame must not go up as it is.
    Through {
        /// That broker.
        to: Target,
        /// What is asked there.
        request: Arc<FetchRequest>,
        /// Whether it differs from what the client sent.
        edited: bool,
    },
    /// Several brokers are needed, or some of the answer is ours, or a topic is called otherwise there.
    Split(Box<Flat>),
    /// Nothing to send.
    Answer(FetchResponse),
    /// To be met first; then plan the request again.
    Wait(Box<FetchRequest>, Vec<Need>),
}

impl Plan {
    /// Whether the request goes on without the fetch session on this broker that it names, so that nobody ends that.
    #[must_use]
    pub fn leaves_session(&self, at: Target) -> bool {
        match self {
            Self::Through { to, .. } => *to != at,
            Self::Split(_) | Self::Answer(_) => true,
            Self::Wait(..) => false,
        }
    }
}

/// What ends a fetch session (KIP-227): a full fetch of nothing, with the last epoch.
#[must_use]
pub fn farewell(session: i32) -> FetchRequest {
    FetchRequest::default().with_session_id(session).with_session_epoch(FINAL_EPOCH)
}

/// Plans a Fetch. `session_at` tells which broker a session of this client lives on; `split`, whether its Fetches are
/// being split: then one for a single broker goes the same way, for that broker may have been asked already.
#[must_use]
pub fn plan(request: FetchRequest, session_at: impl Fn(i32) -> Option<Target>, split: bool, seen: &Seen<'_>) -> Plan {
    if follows(&request) && !seen.guard.is_none_or(|guard| guard.may_on_cluster(Operation::ClusterAction)) {
        return Plan::Answer(all_refused(&request, codes::TOPIC_AUTHORIZATION_FAILED));
    }
    let needs = needs(&request, seen);
    if !needs.is_empty() {
        return Plan::Wait(Box::new(request), needs);
    }
    if !is_incremental(&request) {
        return full(request, session_at, split, seen);
    }
    match session_at(request.session_id).filter(|at| fits(&request, *at, seen)) {
        Some(to) => through(request, to, false, seen),
        // The client then makes a full fetch.
        None => Plan::Answer(FetchResponse::default().with_error_code(codes::FETCH_SESSION_ID_NOT_FOUND)),
    }
}

/// Whether it says that it comes from a replica, which reads what consumers do not see yet.
fn follows(request: &FetchRequest) -> bool {
    request.replica_id.0 >= 0 || request.replica_state.replica_id.0 >= 0
}

fn all_refused(request: &FetchRequest, code: i16) -> FetchResponse {
    let topic = |topic: &FetchTopic| {
        FetchableTopicResponse::default()
            .with_topic(topic.topic.clone())
            .with_topic_id(topic.topic_id)
            .with_partitions(topic.partitions.iter().map(|asked| told::nothing(asked.partition, code)).collect())
    };
    FetchResponse::default().with_session_id(NO_SESSION).with_responses(request.topics.iter().map(topic).collect())
}

/// Whether a request names only what its fetch session does not know yet.
#[must_use]
pub fn is_incremental(request: &FetchRequest) -> bool {
    request.session_id != NO_SESSION && request.session_epoch > INITIAL_EPOCH
}

/// From this version on a Fetch says topics' ids and no names (KIP-516).
pub const BY_ID: i16 = 13;

/// Whether client and cluster have different names for the topic, and this version says names: then no broker's answer is the client's.
#[must_use]
pub fn is_renamed(place: &TopicPlace, version: i16) -> bool {
    version < BY_ID && place.is_twin()
}

fn renames(request: &FetchRequest, seen: &Seen<'_>) -> bool {
    let place = |topic: &FetchTopic| seen.placement.topic_of(&topic.topic.0, topic.topic_id);
    // Ids are the same on both sides: newer versions are not looked through.
    seen.version < BY_ID && request.topics.iter().filter_map(place).any(|place| is_renamed(place, seen.version))
}

/// A fetch session holds the partitions of one broker. One that gets a partition of another no longer fits; nor does one that
/// gets what nobody is to serve: its broker may have it all the same, as a shadow or a stray of what lives elsewhere, or of what the
/// client may not read. The client then names all in a full fetch, and is told by us why it gets nothing of that.
fn fits(request: &FetchRequest, at: Target, seen: &Seen<'_>) -> bool {
    let is_there = |(topic, asked): (&FetchTopic, &FetchPartition)| matches!(source_of(topic, asked.partition, seen), Found::At(to) if to == at);
    !renames(request, seen) && partitions(request).all(is_there)
}

fn full(request: FetchRequest, session_at: impl Fn(i32) -> Option<Target>, split: bool, seen: &Seen<'_>) -> Plan {
    let ends = request.session_epoch == FINAL_EPOCH && request.topics.is_empty();
    if let Some(to) = session_at(request.session_id).filter(|_| ends) {
        // Java's consumer says good-bye: the broker's place for the session is free at once.
        return through(request, to, false, seen);
    }
    match broker_of_all(&request, seen) {
        OfAll::Nobody => Plan::Answer(FetchResponse::default()),
        OfAll::One(to) if !split && !renames(&request, seen) => {
            // The session that this request ends must be that broker's: another's may bear the same number.
            let foreign = request.session_id != NO_SESSION && session_at(request.session_id) != Some(to);
            let request = if foreign { request.with_session_id(NO_SESSION) } else { request };
            through(request, to, foreign, seen)
        }
        OfAll::One(_) | OfAll::Several => Plan::Split(Box::new(request.into())),
    }
}

/// Who leads what a request names.
enum OfAll {
    /// It names nothing.
    Nobody,
    /// One broker leads all of it.
    One(Target),
    /// Several do, or nobody leads some of it.
    Several,
}

fn broker_of_all(request: &FetchRequest, seen: &Seen<'_>) -> OfAll {
    let mut only = OfAll::Nobody;
    for (topic, partition) in partitions(request) {
        only = match (source_of(topic, partition.partition, seen), only) {
            (Found::At(to), OfAll::Nobody) => OfAll::One(to),
            (Found::At(to), OfAll::One(other)) if to == other => OfAll::One(to),
            _ => return OfAll::Several,
        };
    }
    only
}

/// The leader is told the client's rack in its own words, and may then name a follower to read from (KIP-392).
fn through(mut request: FetchRequest, to: Target, edited: bool, seen: &Seen<'_>) -> Plan {
    let rack = seen.placement.their_rack(to.cluster, request.rack_id.clone());
    let edited = edited || rack != request.rack_id;
    request.rack_id = rack;
    fill_in(&mut request, seen);
    Plan::Through { to, request: Arc::new(request), edited }
}

/// Names and ids of the topics, so that the request can be written in any version.
fn fill_in(request: &mut FetchRequest, seen: &Seen<'_>) {
    let known = |name: &mut TopicName, id: &mut Uuid| {
        if let Some(place) = seen.placement.topic_of(&name.0, *id) {
            (*name, *id) = (TopicName(place.name_there().clone()), place.id);
        }
    };
    request.topics.iter_mut().for_each(|topic| known(&mut topic.topic, &mut topic.topic_id));
    request.forgotten_topics_data.iter_mut().for_each(|topic| known(&mut topic.topic, &mut topic.topic_id));
}

fn partitions(request: &FetchRequest) -> impl Iterator<Item = (&FetchTopic, &FetchPartition)> {
    request.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |partition| (topic, partition)))
}

/// A topic that nobody knows is asked for once.
fn needs(request: &FetchRequest, seen: &Seen<'_>) -> Vec<Need> {
    let mut needs = Needs::default();
    for FetchTopic { topic, topic_id, .. } in &request.topics {
        let unsought = seen.placement.topic_of(topic, *topic_id).is_none() && sought_unknown(seen, topic).is_none();
        if unsought && may_seek(topic, seen) {
            needs.unknown(topic, seen);
        }
    }
    needs.all()
}

/// Whether clusters are asked about a topic that nobody knows: not about one that the client may not read, whether it is there or not.
fn may_seek(called: &StrBytes, seen: &Seen<'_>) -> bool {
    called.is_empty() || seen.guard.is_none_or(|guard| guard.sees(Operation::Read, Kind::Topic, called))
}

enum Found {
    At(Target),
    Never(i16),
}

fn source_of(topic: &FetchTopic, partition: i32, seen: &Seen<'_>) -> Found {
    let place = seen.placement.topic_of(&topic.topic.0, topic.topic_id);
    source(place.map(|place| &**place), &topic.topic.0, partition, seen)
}

/// Whom a client reads a partition of a topic from: its leader, or the replica that it was told of. Or why from nobody; a topic
/// that nobody knows was called so.
fn source(place: Option<&TopicPlace>, called: &StrBytes, partition: i32, seen: &Seen<'_>) -> Found {
    let name = place.map_or(called, |place| &place.topic.name);
    if !name.is_empty() && !seen.reads(name) {
        return Found::Never(codes::TOPIC_AUTHORIZATION_FAILED);
    }
    let Some(place) = place else {
        return Found::Never(match sought_unknown(seen, called) {
            Some(Refusal::Fault(_)) => codes::NOT_LEADER_OR_FOLLOWER,
            _ if called.is_empty() => codes::UNKNOWN_TOPIC_ID,
            _ => codes::UNKNOWN_TOPIC_OR_PARTITION,
        });
    };
    match place.leader(partition) {
        Leader::At(leader, _) => {
            let follower = (seen.follows)(place, partition).map(|broker| Target { broker, ..leader });
            Found::At(follower.filter(|follower| seen.placement.knows(*follower)).unwrap_or(leader))
        }
        Leader::Nobody => Found::Never(codes::NOT_LEADER_OR_FOLLOWER),
        Leader::NoPartition => Found::Never(codes::UNKNOWN_TOPIC_OR_PARTITION),
    }
}

/// The answer to a Fetch that passed through and got no answer.
#[must_use]
pub fn failed_through(request: &FetchRequest, seen: &Seen<'_>, effects: &mut Effects) -> FetchResponse {
    if is_incremental(request) {
        // The session went with the broker.
        return FetchResponse::default().with_error_code(codes::FETCH_SESSION_ID_NOT_FOUND);
    }
    let topic = |topic: &FetchTopic| {
        let failed = |asked: &FetchPartition| {
            let code = match source_of(topic, asked.partition, seen) {
                Found::Never(code) => code,
                Found::At(to) => {
                    let place = seen.placement.topic_there(to.cluster, &topic.topic, topic.topic_id);
                    let name = place.map_or(&topic.topic.0, |place| place.name_there());
                    effects.push(Effect::Refresh(to.cluster, name.clone()));
                    codes::NOT_LEADER_OR_FOLLOWER
                }
            };
            told::nothing(asked.partition, code)
        };
        FetchableTopicResponse::default()
            .with_topic(topic.topic.clone())
            .with_topic_id(topic.topic_id)
            .with_partitions(topic.partitions.iter().map(failed).collect())
    };
    FetchResponse::default().with_session_id(NO_SESSION).with_responses(request.topics.iter().map(topic).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, at, text};
    use crate::placement::build::tests::{slot, topic};
    use crate::types::BrokerId;
    use kafka_protocol::messages::fetch_response::{LeaderIdAndEpoch, NodeEndpoint, PartitionData};

    fn request(topics: &[(&'static str, &[i32])]) -> FetchRequest {
        let topic = |(name, partitions): &(&'static str, &[i32])| {
            let asked = partitions.iter().map(|index| FetchPartition::default().with_partition(*index));
            FetchTopic::default()
                .with_topic(TopicName(StrBytes::from_static_str(name)))
                .with_partitions(asked.collect())
        };
        FetchRequest::default().with_max_wait_ms(500).with_topics(topics.iter().map(topic).collect())
    }

    fn world() -> World {
        World::with(&[topic("x", &[1, 2, -1])], &[topic("b-1", &[1])])
    }

    #[test]
    fn what_one_broker_leads_passes_through_with_its_session() {
        let world = world();
        let opening = request(&[("x", &[0])]).with_session_epoch(0);
        let Plan::Through { to, edited, .. } = plan(opening, |_| None, false, &world.seen(12)) else { panic!() };
        assert_eq!((to, edited), (at(0, 1), false));
        let next = FetchRequest::default().with_session_id(7).with_session_epoch(3);
        let session = |id| (id == 7).then(|| at(0, 1));
        let Plan::Through { to, .. } = plan(next.clone(), session, false, &world.seen(12)) else { panic!() };
        assert_eq!(to, at(0, 1), "an incremental fetch that names no topic");
        let Plan::Answer(answer) = plan(next, |_| None, false, &world.seen(12)) else { panic!() };
        assert_eq!(answer.error_code, 70);
    }

    #[test]
    fn a_session_that_gets_a_partition_of_another_broker_ends() {
        let world = world();
        let adding = request(&[("x", &[1])]).with_session_id(7).with_session_epoch(3);
        let Plan::Answer(answer) = plan(adding, |_| Some(at(0, 1)), false, &world.seen(12)) else { panic!() };
        assert_eq!(answer.error_code, 70);
    }

    #[test]
    fn a_session_that_gets_what_nobody_is_to_serve_ends() {
        // Given a session at a broker whose cluster has copies of topics that live elsewhere, one of them only by its name
        let copies = [topic("x", &[1, -1]), topic("b-1", &[1]), topic("b-stray", &[1])];
        let mut world = World::with(&copies, &[topic("b-1", &[-1])]);
        let tried = [
            (Need::AllTopics, Refusal::Done),
            (Need::Topics { cluster: slot(1), names: vec![text("b-stray")], create: false }, Refusal::Done),
        ];
        world.refused.extend(tried);
        let by_name = |name| request(&[(name, &[0])]);
        let by_id = |of: &str| {
            let topic = FetchTopic::default().with_topic_id(topic(of, &[1]).id);
            FetchRequest::default().with_topics(vec![topic.with_partitions(vec![FetchPartition::default()])])
        };
        let unled = request(&[("x", &[1])]);
        let asked = [(by_name("b-stray"), 12), (by_name("b-1"), 12), (by_id("b-stray"), 13), (unled, 12)];
        for (asked, version) in asked {
            // When it gets that, then its broker is not asked
            let adding = asked.clone().with_session_id(7).with_session_epoch(3);
            let seen = world.seen(version);
            let Plan::Answer(answer) = plan(adding, |_| Some(at(0, 1)), false, &seen) else { panic!("{asked:?}") };
            assert_eq!(answer.error_code, 70);
            // And the full fetch that follows is answered by us
            let full = plan(asked, |_| None, false, &seen);
            assert!(matches!(full, Plan::Split(_)), "{full:?}");
        }
    }

    #[test]
    fn epoch_0_is_a_full_fetch_whatever_the_id_and_ends_no_session_of_another_broker() {
        let world = world();
        let reset = request(&[("x", &[0])]).with_session_id(7).with_session_epoch(0);
        let plan = plan(reset, |_| Some(at(1, 1)), false, &world.seen(12));
        assert!(plan.leaves_session(at(1, 1)), "so that it is ended apart");
        let Plan::Through { request, edited, .. } = plan else { panic!() };
        assert_eq!((request.session_id, edited), (NO_SESSION, true));
    }

    #[test]
    fn a_session_is_ended_where_it_lives() {
        let world = world();
        let close = || FetchRequest::default().with_session_id(7).with_session_epoch(-1);
        let Plan::Through { to, edited, .. } = plan(close(), |_| Some(at(1, 1)), false, &world.seen(12)) else {
            panic!()
        };
        assert_eq!((to, edited), (at(1, 1), false));
        let Plan::Answer(answer) = plan(close(), |_| None, false, &world.seen(12)) else { panic!() };
        assert_eq!((answer.error_code, answer.session_id), (0, NO_SESSION));
    }

    #[test]
    fn a_rack_is_told_to_the_leader_as_its_cluster_calls_it() {
        let world = world();
        let told = |rack: &'static str| {
            let racked = request(&[("x", &[0])]).with_rack_id(StrBytes::from_static_str(rack));
            let Plan::Through { request, edited, .. } = plan(racked, |_| None, false, &world.seen(12)) else {
                panic!()
            };
            (request.rack_id.to_string(), edited)
        };
        assert_eq!(told("r"), ("r".into(), false));
        assert_eq!(told("ours"), ("theirs".into(), true));
    }

    #[test]
    fn a_partition_is_read_from_the_replica_that_the_client_was_told_of() {
        let mut world = world();
        world.follows = Box::new(|place, partition| {
            let follows = &*place.topic.name == "x" && partition == 0;
            follows.then_some(BrokerId(3))
        });
        let to = |world: &World| match plan(request(&[("x", &[0])]), |_| None, false, &world.seen(12)) {
            Plan::Through { to, .. } => to,
            other => panic!("{other:?}"),
        };
        assert_eq!(to(&world), at(0, 3));
        let both = plan(request(&[("x", &[0, 1])]), |_| None, false, &world.seen(12));
        assert!(matches!(both, Plan::Split(_)), "the other one by its leader");
        world.follows = Box::new(|_, _| Some(BrokerId(77)));
        assert_eq!(to(&world), at(0, 1), "one that is gone is asked nothing");
    }

    #[test]
    fn a_client_is_told_of_a_follower_that_it_can_reach_and_we_remember_it() {
        let told = |replica: i32, code: i16, from: i32, world: &World| {
            let told = PartitionData::default().with_preferred_read_replica(replica.into()).with_error_code(code);
            let told = FetchableTopicResponse::default()
                .with_topic(TopicName(StrBytes::from_static_str("x")))
                .with_partitions(vec![told]);
            let answer = FetchResponse::default().with_responses(vec![told]);
            let mut effects = Effects::new();
            note(&answer, at(0, from), &world.seen(12), &mut effects);
            let ours = translate(answer, at(0, from), &world.seen(12)).responses[0].partitions[0].clone();
            ((ours.preferred_read_replica.0, ours.error_code), effects)
        };
        let follow = |broker| Effect::Follow(StrBytes::from_static_str("x"), 0, broker);
        let refresh = || Effect::Refresh(at(0, 1).cluster, StrBytes::from_static_str("x"));
        let brokers = world();
        assert_eq!(told(3, 0, 1, &brokers), ((3, 0), vec![follow(Some(at(0, 3)))]));
        assert_eq!(told(77, 0, 1, &brokers), ((-1, 6), vec![refresh()]), "nobody can go there yet");
        let mut single = world().shown(crate::types::View::Single);
        assert_eq!(told(3, 0, 1, &single), ((-1, 0), vec![follow(Some(at(0, 3)))]), "we ask it");
        // An end of a follower's log is not the end of the log.
        single.follows = Box::new(|_, _| Some(BrokerId(3)));
        assert_eq!(told(-1, 1, 3, &single), ((-1, 6), vec![follow(None)]));
        assert_eq!(told(-1, 1, 1, &brokers), ((-1, 1), vec![]), "the leader knows");
    }

    #[test]
    fn a_fetch_for_one_broker_is_split_only_where_others_were() {
        let world = world();
        let split = |split| plan(request(&[("x", &[0])]), |_| None, split, &world.seen(12));
        assert!(matches!(split(false), Plan::Through { .. }) && matches!(split(true), Plan::Split(_)));
        let several = plan(request(&[("b-1", &[0]), ("x", &[0])]), |_| None, false, &world.seen(12));
        let ours = plan(request(&[("x", &[0, 2])]), |_| None, false, &world.seen(12));
        assert!(matches!(several, Plan::Split(_)) && matches!(ours, Plan::Split(_)));
    }

    #[test]
    fn no_broker_reaches_the_client() {
        let world = world();
        let told = PartitionData::default()
            .with_preferred_read_replica(3.into())
            .with_current_leader(LeaderIdAndEpoch::default().with_leader_id(2.into()).with_leader_epoch(4));
        let told = FetchableTopicResponse::default().with_partitions(vec![told]);
        let node = NodeEndpoint::default().with_node_id(2.into()).with_host(StrBytes::from_static_str("secret"));
        let answer = FetchResponse::default().with_responses(vec![told]).with_node_endpoints(vec![node]);
        assert!(!is_plain(&answer));
        let ours = translate(answer, at(1, 1), &world.seen(16));
        let told = &ours.responses[0].partitions[0];
        assert_eq!((told.preferred_read_replica.0, told.current_leader.leader_id.0), ((1 << 25) | 3, (1 << 25) | 2));
        assert_eq!(&*ours.node_endpoints[0].host, "proxy.example");
    }

    #[test]
    fn a_client_of_an_old_version_is_told_what_that_version_has() {
        let world = world();
        let told = PartitionData::default().with_preferred_read_replica(3.into());
        let told = FetchableTopicResponse::default().with_partitions(vec![told]);
        let answer = FetchResponse::default().with_session_id(7).with_responses(vec![told]);
        for version in [4, 6, 7, 10] {
            let ours = translate(answer.clone(), at(1, 1), &world.seen(version));
            assert!(crate::wire::codec::encode_body(&ours, version).is_ok(), "{version}: {ours:?}");
        }
    }
}
