//! OffsetCommit and OffsetFetch: offsets are kept by the group's coordinator, whatever cluster the topics live on.
//!
//! A coordinator takes offsets only for topics that its own cluster has. For a topic that lives elsewhere a commit
//! first needs a topic of that name there, with as many partitions: a shadow (protocol-rules 7). Where none can be
//! made the commit goes on all the same, and the coordinator answers 3 for that topic and takes the others. A twin needs one everywhere, also
//! on its own cluster, which calls it by the name of its topic: what a group commits for that is something else.
//!
//! OffsetFetch for all topics of a group names topics as the coordinator knows them: shadows bear the virtual names.
//!
//! Without an answer the client gets 16 NOT_COORDINATOR, also where the request was sent: a commit may be repeated.

use crate::api::groups::by_group::{OfGroup, forget_coordinator, to_coordinator};
use crate::api::needs::{Needs, sought};
use crate::api::partitioned::{OfPartition, OfTopic, PartitionOf, Partitioned, Place, Places, Told, refused, slot};
use crate::api::untag::Untag;
use crate::api::{Api, Effect, Effects, Missing, Need, Part, Plan, Refusal, Seen, codes, once, send_or_wait};
use crate::error::Fault;
use crate::telemetry::observed::Fact;
use crate::types::{FastMap, Name, Partition, Slot};
use crate::wire::codec::copied;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestTopic, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition;
use kafka_protocol::messages::{
    ApiKey, GroupId, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

/// See the module's text.
pub struct OffsetCommit;

/// The group that commits, and what of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    cluster: Slot,
    group: StrBytes,
    places: Places,
    offsets: FastMap<Partition, i64>,
    /// Its producer, where it is part of a transaction.
    transaction: Option<i64>,
}

/// An offset that a request commits.
pub(in crate::api) trait CommitsTo: OfPartition {
    fn offset(&self) -> i64;
}

impl CommitsTo for OffsetCommitRequestPartition {
    fn offset(&self) -> i64 {
        self.committed_offset
    }
}

impl CommitsTo for TxnOffsetCommitRequestPartition {
    fn offset(&self) -> i64 {
        self.committed_offset
    }
}

impl Api for OffsetCommit {
    const KEY: ApiKey = ApiKey::OffsetCommit;
    type Request = OffsetCommitRequest;
    type Response = OffsetCommitResponse;
    type Origin = Committed;
    /// An older commit that comes later would set the group back.
    const IN_TURN: bool = true;

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        plan_commit(request, (&request.group_id, None), seen)
    }

    fn absorb(
        so_far: &mut Self::Response,
        origin: Committed,
        answer: Result<Self::Response, Fault>,
        seen: &Seen<'_>,
        effects: &mut Effects,
    ) {
        if let Ok(answer) = &answer {
            so_far.throttle_time_ms = answer.throttle_time_ms;
        }
        absorb_commit(so_far, &origin, answer, seen, effects);
    }

    fn pipeline(request: &Self::Request, seen: &Seen<'_>) -> Name {
        seen.pipeline_of_groups(std::iter::once(&request.group_id.0))
    }

    fn lower(request: &mut Self::Request, version: i16) {
        if version < 7 {
            request.group_instance_id = None;
        }
    }
}

/// A commit for a group, inside a producer's transaction or not: to its coordinator, once there are the shadows that it needs.
pub(in crate::api) fn plan_commit<A>(
    request: &A::Request,
    (group, transaction): (&StrBytes, Option<i64>),
    seen: &Seen<'_>,
) -> Plan<A>
where
    A: Api<Origin = Committed>,
    A::Request: Partitioned,
    PartitionOf<A::Request>: CommitsTo,
    A::Response: Partitioned + Default,
    PartitionOf<A::Response>: Told,
{
    let home = seen.placement.home_of_group(group);
    let mut needs = Needs::default();
    let coordinator = match seen.coordinator_of(group) {
        Ok(target) => Ok(target),
        Err(Missing::Code(code)) => return Plan::Answer(refused(request, code)),
        Err(Missing::Need(need)) => {
            needs.push(need);
            Err(())
        }
    };
    let mut seed: A::Response = refused(request, codes::NOT_COORDINATOR);
    let (mut places, mut offsets) = (Places::default(), FastMap::default());
    let mut part = request.clone();
    for (topic_at, topic) in part.topics_mut().iter_mut().enumerate() {
        let held_up = hold_up(topic, home, seen, &mut needs);
        let name = topic.name().clone();
        let mut partition_at = 0;
        topic.partitions_mut().retain(|partition| {
            let place = Place { topic: topic_at, partition: partition_at };
            partition_at += 1;
            let twice = !places.note(&name, partition.index(), place);
            let code = held_up.or(twice.then_some(codes::INVALID_REQUEST));
            if let (Some(code), Some(told)) = (code, slot(&mut seed, place)) {
                *told = Told::refused(partition.index(), code);
            }
            if code.is_none() {
                offsets.insert(Partition::new(&name, partition.index()), partition.offset());
            }
            code.is_none()
        });
    }
    // A commit of nothing goes to the coordinator too, which checks the member.
    part.topics_mut().retain(|topic| !topic.partitions().is_empty());
    let nothing_left = part.topics().is_empty() && !request.topics().is_empty();
    let origin = Committed { cluster: home, group: group.clone(), places, offsets, transaction };
    let part = coordinator.ok().filter(|_| !nothing_left).map(|to| Part { to, request: part, origin });
    send_or_wait(seed, part.into_iter().collect(), needs.all())
}

/// Takes what the coordinator says of a commit.
pub(in crate::api) fn absorb_commit<R>(
    so_far: &mut R,
    origin: &Committed,
    answer: Result<R, Fault>,
    seen: &Seen<'_>,
    effects: &mut Effects,
) where
    R: Partitioned,
    PartitionOf<R>: Told,
{
    match answer {
        Ok(answer) => {
            let mut taken = Vec::new();
            origin.places.fill(so_far, answer, |topic, index, code| {
                forget_coordinator(code, origin.cluster, &origin.group, effects);
                look_for_shadow(code, topic, origin.cluster, seen, effects);
                let at = Partition::new(topic, index);
                taken.extend(origin.offsets.get(&at).filter(|_| code == codes::NONE).map(|offset| (at, *offset)));
            });
            effects.extend(origin.fact(taken).map(Effect::Saw));
        }
        Err(_) => forget_coordinator(codes::NOT_COORDINATOR, origin.cluster, &origin.group, effects),
    }
}

impl Committed {
    /// What is so where the coordinator has taken these offsets.
    fn fact(&self, taken: Vec<(Partition, i64)>) -> Option<Fact> {
        let (group, of) = (copied(&self.group), taken.into_boxed_slice());
        (!of.is_empty()).then(|| match self.transaction {
            Some(producer) => Fact::CommitsWith { group, producer: (self.cluster, producer), of },
            None => Fact::Committed { group, of, anew: true },
        })
    }
}

/// A coordinator that does not know a topic of another cluster has lost its shadow (dropped by another Fishplate,
/// perhaps): the next commit makes one, once we know.
fn look_for_shadow(code: i16, topic: &TopicName, home: Slot, seen: &Seen<'_>, effects: &mut Effects) {
    let effect = Effect::Refresh(home, topic.0.clone());
    if code == codes::UNKNOWN_TOPIC_OR_PARTITION && needs_shadow(topic, home, seen) {
        once(effect, effects);
    }
}

/// Whether commits for a topic need a shadow on a group's home.
fn needs_shadow(topic: &StrBytes, home: Slot, seen: &Seen<'_>) -> bool {
    seen.placement.home_of_topic(topic) != home || seen.placement.config.twin(topic).is_some()
}

/// Asks for what a commit of this topic needs on the group's home, or gives the code that its partitions get while
/// that cannot be had: 14 COORDINATOR_LOAD_IN_PROGRESS makes clients commit again without looking for a coordinator.
fn hold_up(topic: &impl OfTopic, home: Slot, seen: &Seen<'_>, needs: &mut Needs) -> Option<i16> {
    let name = &topic.name().0;
    if !needs_shadow(name, home, seen) {
        return None;
    }
    let (lives_on, name_there) = (seen.placement.home_of_topic(name), seen.placement.name_at_home(name));
    let count = |len: usize| i32::try_from(len).unwrap_or(i32::MAX);
    let known = seen.placement.topic(name).map(|place| count(place.topic.partitions.len()));
    let highest = topic.partitions().iter().map(OfPartition::index).max().unwrap_or(-1);
    if known.is_none_or(|known| highest >= known) {
        match sought(seen, lives_on, &name_there) {
            Some(Refusal::Fault(_)) => return Some(codes::COORDINATOR_LOAD_IN_PROGRESS),
            Some(Refusal::Code(_) | Refusal::Done | Refusal::Told(_)) => {}
            None => {
                needs.topic(lives_on, &name_there);
                return None;
            }
        }
    }
    let wanted = known?;
    let cluster = seen.placement.cluster(home);
    let shadow = cluster.and_then(|cluster| cluster.snapshot.topics.get(name)).map(|topic| topic.partitions.len());
    if shadow.is_some_and(|partitions| count(partitions) >= wanted) {
        return None;
    }
    if shadow.is_none() && seen.placement.config.has_twin(name, home) {
        // It would be the twin, and what a canary writes there would be gone in a second.
        return None;
    }
    match seen.refused.of_shadow(home, name) {
        None => needs.push(Need::Shadow { cluster: home, topic: name.clone(), partitions: wanted }),
        Some(Refusal::Fault(_)) => return Some(codes::COORDINATOR_LOAD_IN_PROGRESS),
        Some(_) => {}
    }
    None
}

/// See the module's text.
pub struct OffsetFetch;

/// From this version on a request names several groups.
const SEVERAL_GROUPS: i16 = 8;

/// From this version on an answer has a code for the whole group, and a request may ask for all topics.
const CODE_OF_GROUP: i16 = 2;

/// The group whose offsets are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    cluster: Slot,
    group: StrBytes,
    /// The position of its answer among the groups; `None` where the client's version has one group only.
    at: Option<usize>,
}

impl From<OfGroup> for Fetched {
    fn from(only: OfGroup) -> Self {
        Self { cluster: only.cluster, group: only.group, at: None }
    }
}

impl Api for OffsetFetch {
    const KEY: ApiKey = ApiKey::OffsetFetch;
    type Request = OffsetFetchRequest;
    type Response = OffsetFetchResponse;
    type Origin = Fetched;

    /// One part for each group, so that a broker that knows one group only can be asked too.
    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        if seen.version < SEVERAL_GROUPS {
            let failed = |code| failed(request, code, seen.version);
            return to_coordinator(&request.group_id.0, |_| request.clone(), failed, seen);
        }
        let mut seed = OffsetFetchResponse::default();
        let (mut parts, mut needs) = (Vec::new(), Needs::default());
        // No copy of the other groups, of which there may be many; beside them a request of these versions has nothing else.
        let bare = OffsetFetchRequest::default().with_require_stable(request.require_stable);
        for (at, asked) in request.groups.iter().enumerate() {
            let group = &asked.group_id.0;
            let mut code = codes::NOT_COORDINATOR;
            match seen.coordinator_of(group) {
                Ok(to) => {
                    let origin = Fetched { cluster: to.cluster, group: group.clone(), at: Some(at) };
                    let request = bare.clone().with_groups(vec![asked.clone()]);
                    parts.push(Part { to, request, origin });
                }
                Err(Missing::Need(need)) => needs.push(need),
                Err(Missing::Code(known)) => code = known,
            }
            let told = OffsetFetchResponseGroup::default().with_group_id(asked.group_id.clone());
            seed.groups.push(told.with_error_code(code));
        }
        send_or_wait(seed, parts, needs.all())
    }

    fn absorb(
        so_far: &mut Self::Response,
        origin: Fetched,
        answer: Result<Self::Response, Fault>,
        _: &Seen<'_>,
        effects: &mut Effects,
    ) {
        let mut forget = |code| forget_coordinator(code, origin.cluster, &origin.group, effects);
        let Ok(mut answer) = answer else { return forget(codes::NOT_COORDINATOR) };
        answer.untag();
        let Some(at) = origin.at else {
            forget(answer.error_code);
            answer.topics.iter().flat_map(|topic| &topic.partitions).for_each(|told| forget(told.error_code));
            *so_far = answer;
            return;
        };
        so_far.throttle_time_ms = so_far.throttle_time_ms.max(answer.throttle_time_ms);
        let told = answer.groups.into_iter().find(|told| told.group_id.0 == origin.group);
        if let (Some(told), Some(place)) = (told, so_far.groups.get_mut(at)) {
            forget(told.error_code);
            *place = told;
        }
    }

    fn pipeline(request: &Self::Request, seen: &Seen<'_>) -> Name {
        if seen.version < SEVERAL_GROUPS {
            return seen.pipeline_of_groups(std::iter::once(&request.group_id.0));
        }
        seen.pipeline_of_groups(request.groups.iter().map(|group| &group.group_id.0))
    }

    fn lower(request: &mut Self::Request, version: i16) {
        if version < SEVERAL_GROUPS
            && let Some(only) = std::mem::take(&mut request.groups).into_iter().next()
        {
            request.group_id = only.group_id;
            request.topics = only.topics.map(|topics| topics.into_iter().map(old_topic).collect());
        }
        for group in &mut request.groups {
            if version < 9 {
                (group.member_id, group.member_epoch) = (None, -1);
            }
        }
        if version < 7 {
            request.require_stable = false;
        }
    }

    fn raise(response: &mut Self::Response, origin: &Fetched, version: i16) {
        if origin.at.is_none() || version >= SEVERAL_GROUPS {
            return;
        }
        let told = OffsetFetchResponseGroup::default()
            .with_group_id(GroupId(origin.group.clone()))
            .with_error_code(std::mem::take(&mut response.error_code))
            .with_topics(std::mem::take(&mut response.topics).into_iter().map(new_topic).collect());
        response.groups = vec![told];
    }
}

/// As Kafka answers: one code for all, or the same for each partition where the version has no other place for it.
pub(in crate::api) fn failed(request: &OffsetFetchRequest, code: i16, version: i16) -> OffsetFetchResponse {
    let answer = OffsetFetchResponse::default();
    if version >= CODE_OF_GROUP {
        return answer.with_error_code(code);
    }
    let partition = |index: &i32| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(*index)
            .with_committed_offset(-1)
            .with_metadata(Some(StrBytes::default()))
            .with_error_code(code)
    };
    let topic = |topic: &OffsetFetchRequestTopic| {
        OffsetFetchResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(topic.partition_indexes.iter().map(partition).collect())
    };
    answer.with_topics(request.topics.iter().flatten().map(topic).collect())
}

fn old_topic(topic: OffsetFetchRequestTopics) -> OffsetFetchRequestTopic {
    OffsetFetchRequestTopic::default().with_name(topic.name).with_partition_indexes(topic.partition_indexes)
}

fn new_topic(topic: OffsetFetchResponseTopic) -> OffsetFetchResponseTopics {
    let partition = |told: OffsetFetchResponsePartition| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(told.partition_index)
            .with_committed_offset(told.committed_offset)
            .with_committed_leader_epoch(told.committed_leader_epoch)
            .with_metadata(told.metadata)
            .with_error_code(told.error_code)
    };
    OffsetFetchResponseTopics::default()
        .with_name(topic.name)
        .with_partitions(topic.partitions.into_iter().map(partition).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::partitioned::tests::{chaos, named_once};
    use crate::api::testing::{Effort, World, at, facts, round, sent, text};
    use crate::placement::build::tests::{slot, topic};
    use crate::types::{BrokerId, CoordinatorType};
    use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
    use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
    use kafka_protocol::messages::offset_commit_response::OffsetCommitResponseTopic;
    use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn commit(group: &str, topics: &[(&str, &[i32])]) -> OffsetCommitRequest {
        let partition = |index: &i32| OffsetCommitRequestPartition::default().with_partition_index(*index);
        let topic = |(name, partitions): &(&str, &[i32])| {
            OffsetCommitRequestTopic::default()
                .with_name(TopicName(text(name)))
                .with_partitions(partitions.iter().map(partition).collect())
        };
        OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(topics.iter().map(topic).collect())
    }

    /// A coordinator that takes everything.
    fn taken(request: &OffsetCommitRequest) -> OffsetCommitResponse {
        refused(request, 0)
    }

    fn codes_of(answer: &OffsetCommitResponse) -> Vec<(&str, i32, i16)> {
        let of = |topic: &'_ OffsetCommitResponseTopic| topic.partitions.clone();
        let all = answer.topics.iter().map(|topic| (topic.name.as_str(), of(topic)));
        all.flat_map(|(name, told)| told.into_iter().map(move |p| (name, p.partition_index, p.error_code))).collect()
    }

    fn waits(request: &OffsetCommitRequest, world: &World) -> Vec<Need> {
        match OffsetCommit::plan(request, &world.seen(8)) {
            Plan::Wait(needs) => needs,
            _ => panic!("does not wait"),
        }
    }

    #[test]
    fn a_commit_of_what_lives_with_the_group_goes_as_it_is() {
        let world = World::with(&[topic("x", &[1])], &[]).coordinated(0, "g", 2);
        let request = commit("g", &[("x", &[0]), ("unknown", &[3])]);
        let (_, parts) = sent(OffsetCommit::plan(&request, &world.seen(8)));
        assert_eq!((parts.len(), parts[0].to), (1, at(0, 2)));
        assert_eq!(parts[0].request, request);
    }

    #[test]
    fn a_topic_of_another_cluster_needs_a_shadow_that_is_large_enough() {
        let b1 = [topic("b-1", &[1, 1, 1])];
        let request = commit("g", &[("b-1", &[0])]);
        let shadow = Need::Shadow { cluster: slot(0), topic: text("b-1"), partitions: 3 };
        let world = World::with(&[], &b1).coordinated(0, "g", 2);
        assert_eq!(waits(&request, &world), std::slice::from_ref(&shadow));
        let world = World::with(&[topic("b-1", &[1, 1])], &b1).coordinated(0, "g", 2);
        assert_eq!(waits(&request, &world), [shadow]);
        let world = World::with(&[topic("b-1", &[1, 1, 1])], &b1).coordinated(0, "g", 2);
        assert_eq!(sent(OffsetCommit::plan(&request, &world.seen(8))).1.len(), 1);
    }

    #[test]
    fn all_needs_are_told_at_once() {
        let world = World::with(&[], &[topic("b-1", &[1])]);
        let request = commit("g", &[("b-1", &[0]), ("b-9", &[0]), ("b-8", &[0])]);
        let needs = [
            Need::Coordinator { cluster: slot(0), of: CoordinatorType::Group, key: text("g") },
            Need::Shadow { cluster: slot(0), topic: text("b-1"), partitions: 1 },
            Need::Topics { cluster: slot(1), names: vec![text("b-8"), text("b-9")], create: false },
        ];
        assert_eq!(waits(&request, &world), needs);
    }

    #[test]
    fn a_shadow_that_cannot_be_made_fails_its_own_topic_only() {
        let mut world = World::with(&[topic("x", &[1])], &[topic("b-1", &[1])]).coordinated(0, "g", 2);
        let request = commit("g", &[("b-1", &[0]), ("x", &[0])]);
        world.refuse_needs::<OffsetCommit>(&request, 8, &Refusal::Fault(Fault::proxy("no time")));
        let (answer, _) = round::<OffsetCommit>(&request, &world.seen(8), |_, request| Ok(taken(&request)));
        assert_eq!(codes_of(&answer), [("b-1", 0, 14), ("x", 0, 0)]);

        let mut world = World::with(&[topic("x", &[1])], &[topic("b-1", &[1])]).coordinated(0, "g", 2);
        world.refuse_needs::<OffsetCommit>(&request, 8, &Refusal::Code(44));
        let (_, parts) = sent(OffsetCommit::plan(&request, &world.seen(8)));
        assert_eq!(parts[0].request, request, "the coordinator says 3 itself");
    }

    #[test]
    fn commits_for_a_twin_are_kept_under_its_own_name_also_where_it_lives() {
        let world = || World::with_canary(&[topic("e-1", &[1])], &[topic("e-1", &[1, 2])]).coordinated(1, "gb-1", 2);
        let request = commit("gb-1", &[("e-1", &[0]), ("e-1--at--b", &[0])]);
        let shadow = Need::Shadow { cluster: slot(1), topic: text("e-1--at--b"), partitions: 2 };
        assert_eq!(waits(&request, &world()), [shadow], "over there, the name e-1 is the other topic's");
        // And no shadow of the topic at home is made where the twin is to be
        let world = World::with_canary(&[topic("e-2", &[1])], &[]).coordinated(1, "gb-1", 2);
        let request = commit("gb-1", &[("e-2", &[0])]);
        let (_, parts) = sent(OffsetCommit::plan(&request, &world.seen(8)));
        assert_eq!(parts[0].request, request, "the coordinator says 3 itself");
    }

    #[test]
    fn a_lost_coordinator_is_looked_up_again() {
        let world = World::with(&[topic("x", &[1])], &[]).coordinated(0, "g", 2);
        let request = commit("g", &[("x", &[0])]);
        let forget = vec![Effect::ForgetCoordinator(slot(0), CoordinatorType::Group, text("g"))];
        let lost = |target, _| Err(Fault::upstream(target, true, "gone"));
        assert_eq!(round::<OffsetCommit>(&request, &world.seen(8), lost).1, forget);
        let moved = |_, request: OffsetCommitRequest| Ok(refused(&request, 16));
        let (answer, effects) = round::<OffsetCommit>(&request, &world.seen(8), moved);
        assert_eq!((codes_of(&answer), effects), (vec![("x", 0, 16)], forget));
    }

    #[test]
    fn a_shadow_that_the_coordinator_does_not_have_is_looked_for() {
        let shadow = topic("b-1", &[1]);
        let world = World::with(&[topic("x", &[1]), Arc::clone(&shadow)], &[shadow]).coordinated(0, "g", 2);
        let unknown = |_, request: OffsetCommitRequest| Ok(refused(&request, 3));
        let (_, effects) = round::<OffsetCommit>(&commit("g", &[("x", &[0]), ("b-1", &[0])]), &world.seen(8), unknown);
        assert_eq!(effects, [Effect::Refresh(slot(0), text("b-1"))]);
    }

    proptest! {
        #[test]
        fn every_partition_of_a_commit_is_answered_once(
            asked in prop::collection::vec((0..5_usize, prop::collection::vec(0..4_i32, 0..4)), 0..5),
            chaos in chaos(),
            shadow: bool,
        ) {
            let names = ["x", "y", "b-1", "b-2", "nope"];
            let asked: Vec<_> = asked.iter().map(|(at, indexes)| (names[*at], indexes.as_slice())).collect();
            let request = commit("g", &asked);
            let here = if shadow { vec![topic("x", &[1, 2]), topic("b-1", &[1, 1, 1])] } else { vec![] };
            let mut world = World::with(&here, &[topic("b-1", &[1, 2, 3])]).coordinated(0, "g", 2);
            world.refuse_needs::<OffsetCommit>(&request, 8, &chaos.refusal);
            let broker = |to, request: OffsetCommitRequest| chaos.answer(to, taken(&request));
            let (answer, _) = round::<OffsetCommit>(&request, &world.seen(8), broker);
            named_once(&request, &answer)?;
        }
    }

    fn group(name: &str, topics: Option<&[&str]>) -> OffsetFetchRequestGroup {
        let topic = |name: &&str| {
            OffsetFetchRequestTopics::default().with_name(TopicName(text(name))).with_partition_indexes(vec![0])
        };
        OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(name)))
            .with_topics(topics.map(|topics| topics.iter().map(topic).collect()))
    }

    /// A coordinator of several groups that answers each with as many topics as were asked for.
    fn offsets(request: &OffsetFetchRequest) -> OffsetFetchResponse {
        let told = |asked: &OffsetFetchRequestGroup| {
            let topic = |asked: &OffsetFetchRequestTopics| {
                let partition = OffsetFetchResponsePartitions::default().with_committed_offset(42);
                OffsetFetchResponseTopics::default().with_name(asked.name.clone()).with_partitions(vec![partition])
            };
            OffsetFetchResponseGroup::default()
                .with_group_id(asked.group_id.clone())
                .with_topics(asked.topics.iter().flatten().map(topic).collect())
        };
        OffsetFetchResponse::default().with_throttle_time_ms(3).with_groups(request.groups.iter().map(told).collect())
    }

    #[test]
    fn groups_are_asked_at_their_own_coordinators() {
        let mut world = World::default().coordinated(0, "g", 2).coordinated(1, "gb-1", 3);
        let groups = vec![group("gb-1", Some(&["b-1"])), group("g", None), group("g-lost", None)];
        let request = OffsetFetchRequest::default().with_groups(groups);
        world.refuse_needs::<OffsetFetch>(&request, 9, &Refusal::Code(30));
        let mut asked = Vec::new();
        let (answer, _) = round::<OffsetFetch>(&request, &world.seen(9), |to, request| {
            asked.push((to, request.groups.len()));
            Ok(offsets(&request))
        });
        assert_eq!(asked, [(at(1, 3), 1), (at(0, 2), 1)]);
        let told: Vec<_> = answer.groups.iter().map(|g| (g.group_id.as_str(), g.error_code, g.topics.len())).collect();
        assert_eq!(told, [("gb-1", 0, 1), ("g", 0, 0), ("g-lost", 30, 0)]);
        assert_eq!(answer.throttle_time_ms, 3);
    }

    #[test]
    fn a_broker_of_one_group_a_request_is_asked_and_understood() {
        let mut request = OffsetFetchRequest::default()
            .with_require_stable(true)
            .with_groups(vec![group("g", Some(&["x"])).with_member_epoch(4)]);
        OffsetFetch::lower(&mut request, 6);
        assert_eq!((request.group_id.as_str(), request.groups.len(), request.require_stable), ("g", 0, false));
        let asked = request.topics.clone().unwrap();
        assert_eq!((asked[0].name.as_str(), asked[0].partition_indexes.as_slice()), ("x", [0].as_slice()));

        let partition = OffsetFetchResponsePartition::default().with_committed_offset(7);
        let topic =
            OffsetFetchResponseTopic::default().with_name(TopicName(text("x"))).with_partitions(vec![partition]);
        let mut answer = OffsetFetchResponse::default().with_topics(vec![topic]).with_error_code(16);
        let origin = |at| Fetched { cluster: slot(0), group: text("g"), at };
        let as_it_was = answer.clone();
        OffsetFetch::raise(&mut answer, &origin(None), 6);
        assert_eq!(answer, as_it_was, "the client has one group too");
        OffsetFetch::raise(&mut answer, &origin(Some(0)), 6);
        assert_eq!((answer.error_code, answer.topics.len()), (0, 0));
        let told = &answer.groups[0];
        assert_eq!((told.group_id.as_str(), told.error_code), ("g", 16));
        assert_eq!(told.topics[0].partitions[0].committed_offset, 7);
    }

    #[test]
    fn a_group_that_cannot_be_asked_is_16_in_the_place_that_the_version_has() {
        let world = World::default().coordinated(0, "g", 2);
        let topic = OffsetFetchRequestTopic::default().with_name(TopicName(text("x"))).with_partition_indexes(vec![4]);
        let request = OffsetFetchRequest::default().with_group_id(GroupId(text("g"))).with_topics(Some(vec![topic]));
        let lost = |target, _| Err(Fault::upstream(target, false, "gone"));
        let (new, effects) = round::<OffsetFetch>(&request, &world.seen(7), lost);
        assert_eq!((new.error_code, new.topics.len()), (16, 0));
        assert_eq!(effects, [Effect::ForgetCoordinator(slot(0), CoordinatorType::Group, text("g"))]);
        let (old, _) = round::<OffsetFetch>(&request, &world.seen(1), lost);
        let told = &old.topics[0].partitions[0];
        assert_eq!((told.partition_index, told.error_code, told.committed_offset), (4, 16, -1));
    }

    #[test]
    fn a_partition_that_a_coordinator_leaves_out_is_16() {
        let world = World::with(&[topic("x", &[1, 1])], &[]).coordinated(0, "g", 2);
        let silent = |_, _| Ok(OffsetCommitResponse::default());
        let (answer, _) = round::<OffsetCommit>(&commit("g", &[("x", &[0, 1])]), &world.seen(8), silent);
        assert_eq!(codes_of(&answer), [("x", 0, 16), ("x", 1, 16)]);
    }

    #[test]
    fn very_many_groups_keep_nobody_waiting() {
        // Given a request about more groups than anybody has, and a coordinator that loses all it is asked
        let (world, began) = (World::default(), Effort::begin());
        let coordinator = |_: Slot, _: CoordinatorType, _: &str| Some(BrokerId(1));
        let seen = Seen { coordinator: &coordinator, ..world.seen(9) };
        let group = |number: i32| OffsetFetchRequestGroup::default().with_group_id(GroupId(text(&number.to_string())));
        let request =
            OffsetFetchRequest::default().with_require_stable(true).with_groups((0..60_000).map(group).collect());
        let (answer, _) = round::<OffsetFetch>(&request, &seen, |to, part| {
            assert!(part.require_stable && part.groups.len() == 1);
            Err(Fault::upstream(to, true, "gone"))
        });
        // Then each is answered for, and it does not take the square of that
        assert!(answer.groups.len() == 60_000 && answer.groups.iter().all(|told| told.error_code == 16));
        began.must_be_small();
    }

    #[test]
    fn very_many_topics_without_a_shadow_keep_nobody_waiting() {
        let began = Effort::begin();
        let world = World::default().coordinated(0, "g", 2);
        let names: Vec<_> = (0..60_000).map(|number| format!("b-{number}")).collect();
        let mut effects = Effects::new();
        for name in &names {
            look_for_shadow(3, &TopicName(text(name)), slot(0), &world.seen(8), &mut effects);
        }
        assert_eq!(effects.len(), names.len());
        began.must_be_small();
    }

    #[test]
    fn what_a_coordinator_has_taken_is_told_to_who_keeps_count() {
        let world = World::with(&[topic("x", &[1, 1])], &[]).coordinated(0, "g", 2);
        let mut request = commit("g", &[("x", &[0, 1])]);
        for (partition, offset) in request.topics[0].partitions.iter_mut().zip(7..) {
            partition.committed_offset = offset;
        }
        let one_refused = |_, asked| {
            let mut answer = taken(&asked);
            answer.topics[0].partitions[0].error_code = 28;
            Ok(answer)
        };
        let of: Box<[_]> = [(Partition::new("x", 1), 8)].into();
        let told = facts::<OffsetCommit>(&request, &world.seen(8), one_refused);
        assert_eq!(told, [Fact::Committed { group: text("g"), of, anew: true }]);
        let lost = |to, _| Err(Fault::upstream(to, true, "gone"));
        assert_eq!(facts::<OffsetCommit>(&request, &world.seen(8), lost), []);
    }
}
