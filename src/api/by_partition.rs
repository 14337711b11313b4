//! Requests about partitions, of which each is asked of one broker: its leader, or any broker of its topic's home. The
//! answer is laid out first (`partitioned`), what brokers say is put into its place.

use crate::api::everywhere::{Word, lost};
use crate::api::needs::{Needs, sought};
use crate::api::partitioned::{
    OfPartition, OfTopic, PartitionOf, Partitioned, Place, Places, Told, ask, refused, slot,
};
use crate::api::scrub::scrubbed_message;
use crate::api::{Api, Effect, Effects, Part, Plan, Refusal, Seen, codes, send_or_wait};
use crate::error::Fault;
use crate::placement::Leader;
use crate::types::{Slot, Target};
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, HashSet};

/// What one broker was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    cluster: Slot,
    places: Places,
    /// Partitions whose question only versions from this one on have.
    newer: Vec<(TopicName, i32, i16)>,
    /// Partitions whose leader's epoch was asked about, and that epoch.
    epochs: Vec<(TopicName, i32, i32)>,
}

impl Asked {
    /// Of no partition by its number.
    pub(super) fn of_none(cluster: Slot) -> Self {
        Self { cluster, places: Places::default(), newer: Vec::new(), epochs: Vec::new() }
    }

    /// Whether a partition was asked about by its number.
    pub(super) fn is_of_some(&self) -> bool {
        self.places.all().next().is_some()
    }

    /// Whose broker was asked.
    pub(super) fn cluster(&self) -> Slot {
        self.cluster
    }
}

/// Any broker of the cluster that a topic lives on, or would: the cluster says what it knows of it. Not of a topic that
/// is kept from clients.
pub(super) fn at_home(topic: &TopicName, seen: &Seen<'_>) -> Result<Target, i16> {
    if seen.placement.fence.why(topic).is_some() {
        return Err(codes::UNKNOWN_TOPIC_OR_PARTITION);
    }
    seen.placement.any_broker(seen.placement.home_of_topic(topic)).ok_or(codes::REQUEST_TIMED_OUT)
}

/// A request of this family.
pub(super) trait PartitionsRequest: Partitioned + Clone {
    /// What a partition gets that no broker answers for.
    const UNANSWERED: i16 = codes::NOT_LEADER_OR_FOLLOWER;

    /// The same request without any topic.
    fn bare(&self) -> Self;
    /// Who is asked about a partition, or the code to be answered.
    fn locate(topic: &TopicName, partition: i32, seen: &Seen<'_>, needs: &mut Needs) -> Result<Target, i16> {
        leader(topic, partition, seen, needs)
    }
    /// What is asked there, in that cluster's own words, or what is answered at once.
    fn for_cluster(asked: &PartitionOf<Self>, _: Slot, _: &Seen<'_>) -> Result<PartitionOf<Self>, Word> {
        Ok(asked.clone())
    }
    /// The lowest version in which this can be asked.
    fn lowest_version(_: &PartitionOf<Self>) -> i16 {
        0
    }
    /// The epoch that is asked about.
    fn epoch(_: &PartitionOf<Self>) -> Option<i32> {
        None
    }
}

/// What brokers say to it.
pub(super) trait PartitionsAnswer: Partitioned + Default {
    /// Success means that who leads or holds a partition changes.
    const CHANGES: bool = false;

    fn throttle_ms(&mut self) -> &mut i32;
    /// The code of the whole answer, and its message, where it has any.
    fn whole(&mut self) -> (i16, Option<StrBytes>) {
        (codes::NONE, None)
    }
    /// Takes away what only the cluster itself should know.
    fn scrub(_told: &mut PartitionOf<Self>, _: Slot, _: &Seen<'_>) {}
    /// Says why a partition was not served, where there is room for it.
    fn explain(_told: &mut PartitionOf<Self>, _why: StrBytes) {}
    /// What is told of a partition and an epoch that nobody can be asked about.
    fn unchecked(_index: i32, _epoch: i32) -> Option<PartitionOf<Self>> {
        None
    }
}

pub(super) fn plan<A>(request: &A::Request, seen: &Seen<'_>) -> Plan<A>
where
    A: Api<Origin = Asked>,
    A::Request: PartitionsRequest,
    A::Response: PartitionsAnswer,
    PartitionOf<A::Response>: Told,
{
    let mut seed: A::Response = refused(request, A::Request::UNANSWERED);
    let mut needs = Needs::default();
    let mut named = Places::default();
    let mut parts: BTreeMap<Target, Part<A>> = BTreeMap::new();
    for (topic_at, topic) in request.topics().iter().enumerate() {
        for (partition_at, partition) in topic.partitions().iter().enumerate() {
            let place = Place { topic: topic_at, partition: partition_at };
            let index = partition.index();
            let found = if named.note(topic.name(), index, place) {
                A::Request::locate(topic.name(), index, seen, &mut needs).map_err(Word::from)
            } else {
                // Kafka answers so in ListOffsets; in the others nobody asks twice.
                Err(Word::from(codes::INVALID_REQUEST))
            };
            let found = found.and_then(|to| Ok((to, A::Request::for_cluster(partition, to.cluster, seen)?)));
            match found {
                Ok((to, partition)) => {
                    let name = TopicName(seen.placement.name_at_home(topic.name()));
                    add::<A>(parts.entry(to).or_insert_with(|| empty(to, request)), &name, &partition, place)
                }
                Err(Word { code, why }) => {
                    if let Some(told) = slot(&mut seed, place) {
                        *told = Told::refused(index, code);
                        if let Some(why) = why {
                            A::Response::explain(told, why);
                        }
                    }
                }
            }
        }
    }
    send_or_wait(seed, parts.into_values().collect(), needs.all())
}

/// Who is to be asked, or the code to be answered.
pub(super) fn leader(topic: &TopicName, partition: i32, seen: &Seen<'_>, needs: &mut Needs) -> Result<Target, i16> {
    match seen.placement.topic(topic).map(|place| place.leader(partition)) {
        Some(Leader::At(target, _)) => return Ok(target),
        Some(Leader::Nobody) => return Err(codes::NOT_LEADER_OR_FOLLOWER),
        Some(Leader::NoPartition) | None => {}
    }
    let (home, name) = (seen.placement.home_of_topic(topic), seen.placement.name_at_home(topic));
    Err(match sought(seen, home, &name) {
        Some(Refusal::Fault(_)) => codes::NOT_LEADER_OR_FOLLOWER,
        Some(Refusal::Code(_) | Refusal::Done | Refusal::Told(_)) => codes::UNKNOWN_TOPIC_OR_PARTITION,
        None => {
            needs.topic(home, &name);
            codes::UNKNOWN_TOPIC_OR_PARTITION
        }
    })
}

fn empty<A>(to: Target, request: &A::Request) -> Part<A>
where
    A: Api<Origin = Asked>,
    A::Request: PartitionsRequest,
{
    Part { to, request: request.bare(), origin: Asked::of_none(to.cluster) }
}

fn add<A>(part: &mut Part<A>, topic: &TopicName, partition: &PartitionOf<A::Request>, place: Place)
where
    A: Api<Origin = Asked>,
    A::Request: PartitionsRequest,
{
    part.origin.places.note(topic, partition.index(), place);
    let lowest = A::Request::lowest_version(partition);
    if lowest > 0 {
        part.origin.newer.push((topic.clone(), partition.index(), lowest));
    }
    part.origin.epochs.extend(A::Request::epoch(partition).map(|epoch| (topic.clone(), partition.index(), epoch)));
    ask(&mut part.request, topic, partition.clone());
}

pub(super) fn absorb<R>(
    so_far: &mut R,
    origin: &Asked,
    answer: Result<R, Fault>,
    seen: &Seen<'_>,
    effects: &mut Effects,
) where
    R: PartitionsAnswer,
    PartitionOf<R>: Told,
{
    let (mut stale, mut changing): (HashSet<StrBytes>, HashSet<StrBytes>) = Default::default();
    match answer {
        Ok(mut answer) => {
            let throttle = *answer.throttle_ms();
            *so_far.throttle_ms() = throttle.max(*so_far.throttle_ms());
            let (code, why) = answer.whole();
            if code != codes::NONE {
                let why = scrubbed_message(why, origin.cluster, seen.placement);
                tell_all(so_far, origin, code, why.as_ref());
            }
            for told in answer.topics_mut().iter_mut().flat_map(|topic| topic.partitions_mut()) {
                R::scrub(told, origin.cluster, seen);
            }
            origin.places.fill(so_far, answer, |topic, _, code| {
                if codes::asks_for_refresh(code) {
                    stale.insert(topic.0.clone());
                } else if R::CHANGES && code == codes::NONE && changing.len() < LOOKED_AT {
                    changing.insert(topic.0.clone());
                }
            });
        }
        Err(fault) if fault.lacking && !origin.epochs.is_empty() => {
            for (topic, index, epoch) in &origin.epochs {
                let slot = origin.places.get(topic, *index).and_then(|place| slot(so_far, place));
                if let (Some(slot), Some(told)) = (slot, R::unchecked(*index, *epoch)) {
                    *slot = told;
                }
            }
        }
        // Nobody there will ever answer.
        Err(fault) if fault.lacking => {
            let why = lost(&fault, origin.cluster, seen);
            tell_all(so_far, origin, codes::UNSUPPORTED_VERSION, Some(&why));
        }
        // The seed's code stands.
        Err(fault) => {
            let why = lost(&fault, origin.cluster, seen);
            for place in origin.places.all() {
                if let Some(told) = slot(so_far, place) {
                    R::explain(told, why.clone());
                }
            }
            stale.extend(origin.places.topics().cloned());
        }
    }
    effects.extend(stale.into_iter().map(|topic| Effect::Refresh(origin.cluster, topic)));
    effects.extend(changing.into_iter().map(|topic| Effect::Changing(origin.cluster, topic)));
}

/// Of so many topics that one request changes the new picture is looked for at once; of more when all are read again.
const LOOKED_AT: usize = 16;

/// Tells the same of all that a broker was asked about.
fn tell_all<R>(so_far: &mut R, origin: &Asked, code: i16, why: Option<&StrBytes>)
where
    R: PartitionsAnswer,
    PartitionOf<R>: Told,
{
    for place in origin.places.all() {
        let Some(told) = slot(so_far, place) else { continue };
        *told = Told::refused(told.index(), code);
        if let Some(why) = why {
            R::explain(told, why.clone());
        }
    }
}

/// A broker of a lower version has taken a question that it does not know for another one.
pub(super) fn refuse_newer<R>(response: &mut R, origin: &Asked, version: i16)
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

macro_rules! by_partition {
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
                seen: &Seen<'_>,
                effects: &mut Effects,
            ) {
                absorb(so_far, &origin, answer, seen, effects);
            }

            fn pipeline(request: &$request, seen: &Seen<'_>) -> Name {
                seen.pipeline_of_topics(request.topics().iter().map(|topic| (Some(&topic.name().0), Uuid::nil())))
            }

            fn raise(response: &mut $response, origin: &Asked, version: i16) {
                refuse_newer(response, origin, version);
            }

            $($more)*
        }

    };
}

pub(super) use by_partition;
