//! Metadata, answered from the placement: nodes as the client's view shows them (`nodes`).
//! A cluster that is down keeps its known topics here; what it may have besides is "leader not available".

use crate::api::overview::nodes::Node;
use crate::api::overview::sights::{self, Sights, Tells, Unasked};
use crate::api::{Api, Codes, Effect, Effects, NO_OPERATIONS, Need, Plan, Seen, codes};
use crate::error::Fault;
use crate::placement::TopicPlace;
use crate::types::{Name, Slot};
use crate::upstream::Partition;
use crate::wire::codec::encode_body;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{ApiKey, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// From this version on a client says whether topics may be made; before, they always may.
pub(in crate::api) const SAYS_CREATE: i16 = 4;
/// The longest legal topic name.
const LONGEST_NAME: usize = 249;

/// See the module's text.
pub struct Metadata;

impl Api for Metadata {
    const KEY: ApiKey = ApiKey::Metadata;
    type Request = MetadataRequest;
    type Response = MetadataResponse;
    type Origin = ();

    fn plan(request: &MetadataRequest, seen: &Seen<'_>) -> Plan<Self> {
        let sights = Sights::of(seen);
        let needs = needs(request, &sights, seen);
        if needs.is_empty() { Plan::Answer(answer(request, &sights, seen)) } else { Plan::Wait(needs) }
    }

    fn absorb(_: &mut MetadataResponse, (): (), _: Result<MetadataResponse, Fault>, _: &Seen<'_>, _: &mut Effects) {}

    fn pipeline(request: &MetadataRequest, seen: &Seen<'_>) -> Name {
        let topics = named(request, seen).unwrap_or_default().iter();
        seen.pipeline_of_topics(topics.map(|asked| (name_of(asked).map(|name| &name.0), asked.topic_id)))
    }
}

/// The answer's body, put together from topics that were written before: a client that asks for all of a thousand
/// topics costs a thousand copies and no encoding. With it come the error codes in it. `None` where something must be
/// found out first, or where what we may do to the topics is asked too. What was written once is for who may know all that we do.
pub fn written(request: &MetadataRequest, seen: &Seen<'_>) -> Option<(Bytes, Codes)> {
    let sights = Sights::default();
    let is_for_some = request.include_topic_authorized_operations || sights::any(seen);
    if is_for_some || !needs(request, &sights, seen).is_empty() {
        return None;
    }
    let no_topics = request.clone().with_topics(Some(Vec::new()));
    // In version 0 an empty list would mean all.
    let frame_of = Seen { version: seen.version.max(1), ..*seen };
    let around = encode_body(&answer(&no_topics, &sights, &frame_of), seen.version).ok()?;
    let (before, after) = Gap::of(seen.version).cut(&around)?;
    let mut codes = Codes::default();
    let topics: Vec<Bytes> = match named(request, seen) {
        None => seen.placement.listed().map(|place| write_topic(place, seen, &mut codes)).collect::<Option<_>>()?,
        Some(topics) => {
            let one = |asked| match place_of(asked, seen) {
                Some(place) => write_topic(place, seen, &mut codes),
                None => write_unknown(asked, &sights, seen, &mut codes),
            };
            topics.iter().map(one).collect::<Option<_>>()?
        }
    };
    let mut body = BytesMut::with_capacity(around.len() + 5 + topics.iter().map(Bytes::len).sum::<usize>());
    body.put_slice(before);
    Gap::of(seen.version).put_count(&mut body, topics.len());
    topics.iter().for_each(|topic| body.put_slice(topic));
    body.put_slice(after);
    Some((body.freeze(), codes))
}

/// The topics of an answer that have partitions without a leader: their clusters are asked again, since nothing else
/// tells us when there is one.
pub fn leaderless(request: &MetadataRequest, seen: &Seen<'_>) -> Effects {
    let again =
        |place: &Arc<TopicPlace>| (!place.is_led()).then(|| Effect::Refresh(place.cluster, place.name_there().clone()));
    match named(request, seen) {
        None => seen.placement.listed().filter_map(again).collect(),
        Some(topics) => topics.iter().filter_map(|asked| again(place_of(asked, seen)?)).collect(),
    }
}

fn write_topic(place: &TopicPlace, seen: &Seen<'_>, codes: &mut Codes) -> Option<Bytes> {
    if place.troubled {
        place.topic.partitions.iter().for_each(|partition| codes.note(code_of(partition)));
    }
    place.written.get_or(seen.version, seen.view, || encode_body(&describe(place, None, seen), seen.version)).ok()
}

fn write_unknown(
    asked: &MetadataRequestTopic,
    sights: &Sights<'_>,
    seen: &Seen<'_>,
    codes: &mut Codes,
) -> Option<Bytes> {
    let unknown = unknown(asked, sights, seen);
    codes.note(unknown.error_code);
    encode_body(&unknown, seen.version).ok()
}

/// Where the topics stand in the body of an answer that has none.
struct Gap {
    flexible: bool,
    /// Bytes behind the topics: what may be done to the cluster (8 to 10), an error (13), tagged fields (9 on).
    after: usize,
}

impl Gap {
    fn of(version: i16) -> Self {
        let operations = if (8..=10).contains(&version) { 4 } else { 0 };
        let error = if version >= 13 { 2 } else { 0 };
        let flexible = version >= 9;
        Self { flexible, after: operations + error + usize::from(flexible) }
    }

    /// What stands before the count of topics, and what behind.
    fn cut<'a>(&self, around: &'a Bytes) -> Option<(&'a [u8], &'a [u8])> {
        let (rest, after) = around.split_at_checked(around.len().checked_sub(self.after)?)?;
        let count = if self.flexible { 1 } else { 4 };
        Some((rest.get(..rest.len().checked_sub(count)?)?, after))
    }

    fn put_count(&self, body: &mut BytesMut, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if !self.flexible {
            return body.put_u32(count);
        }
        let mut rest = count.saturating_add(1);
        while rest >= 0x80 {
            body.put_u8(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        body.put_u8(rest.to_le_bytes()[0]);
    }
}

/// The topics a request names; `None` for all. In version 0 an empty list means all.
fn named<'r>(request: &'r MetadataRequest, seen: &Seen<'_>) -> Option<&'r [MetadataRequestTopic]> {
    request.topics.as_deref().filter(|topics| seen.version > 0 || !topics.is_empty())
}

/// The name that a topic is asked by; `None` where it is asked by its id. Java sends an empty name beside the id.
pub(in crate::api) fn name_of(asked: &MetadataRequestTopic) -> Option<&TopicName> {
    asked.name.as_ref().filter(|_| asked.topic_id.is_nil())
}

/// What is not known is asked for once: by name where it would live, by id everywhere. Where who asks comes to that cluster as
/// an identity, it is asked as that one, and so made as that one too.
fn needs(request: &MetadataRequest, sights: &Sights<'_>, seen: &Seen<'_>) -> Vec<Need> {
    let create = seen.version < SAYS_CREATE || request.allow_auto_topic_creation;
    let (mut missing, mut twins): (BTreeMap<Slot, Vec<StrBytes>>, BTreeMap<Slot, Vec<StrBytes>>) = Default::default();
    let (mut needs, mut unasked) = (Vec::new(), Unasked::default());
    for topic in named(request, seen).unwrap_or_default() {
        match (name_of(topic), place_of(topic, seen)) {
            (_, Some(place)) => {
                sights.want(place.cluster, place.name_there(), create && !place.is_twin(), &mut unasked);
            }
            (Some(name), None) if is_legal(name) => {
                let is_twin = seen.is_reserved(name);
                if let Some((home, name_there)) = sights.seek(name, create && !is_twin, &mut unasked, seen) {
                    let sought = if is_twin { &mut twins } else { &mut missing };
                    sought.entry(home).or_default().push(name_there);
                }
            }
            (None, None) => needs.push(Need::AllTopics),
            (Some(_), None) => {}
        }
    }
    if named(request, seen).is_none() {
        sights.want_all(&mut unasked);
    }
    if request.include_cluster_authorized_operations {
        sights.want_operations(seen.placement.config.default_cluster, &mut unasked);
    }
    // As an identity it was asked to be made already.
    let made = |cluster: &Slot| create && !sights.has(*cluster);
    needs.extend(missing.into_iter().map(|(cluster, names)| {
        let create = made(&cluster);
        Need::Topics { cluster, names, create }
    }));
    // Nobody makes one by asking.
    needs.extend(twins.into_iter().map(|(cluster, names)| Need::Topics { cluster, names, create: false }));
    needs.dedup();
    needs.retain(|need| !tried(need, seen));
    needs.extend(sights.needs(unasked));
    needs
}

/// A need is tried once, even where other topics of the request have turned up since.
fn tried(need: &Need, seen: &Seen<'_>) -> bool {
    let how = match need {
        Need::Topics { cluster, .. } => seen.refused.of_topics(*cluster, |_| true),
        _ => seen.refused.of(need),
    };
    how.is_some()
}

fn answer(request: &MetadataRequest, sights: &Sights<'_>, seen: &Seen<'_>) -> MetadataResponse {
    let operations = request.include_topic_authorized_operations;
    let listed = |place: &Arc<TopicPlace>| match sights.tell(place) {
        Tells::All(may) => Some(describe(place, operations.then_some(may), seen)),
        Tells::Refusal | Tells::Nothing => None,
    };
    let topics = match named(request, seen) {
        None => seen.placement.listed().filter_map(listed).collect(),
        Some(topics) => topics.iter().map(|topic| named_topic(topic, operations, sights, seen)).collect(),
    };
    let asked = request.include_cluster_authorized_operations;
    let cluster_operations = if asked { on_default_cluster(sights, seen) } else { NO_OPERATIONS };
    MetadataResponse::default()
        .with_brokers(brokers(seen))
        .with_cluster_id(Some(StrBytes::from_string(seen.placement.config.virtual_cluster.to_string())))
        .with_controller_id(seen.controller())
        .with_topics(topics)
        .with_cluster_authorized_operations(cluster_operations)
}

/// What who asks may do to the default cluster, as that says.
pub(super) fn on_default_cluster(sights: &Sights<'_>, seen: &Seen<'_>) -> i32 {
    let slot = seen.placement.config.default_cluster;
    let ours = || seen.placement.cluster(slot).and_then(|cluster| cluster.snapshot.operations);
    sights.operations(slot).unwrap_or_else(ours).unwrap_or(NO_OPERATIONS)
}

fn brokers(seen: &Seen<'_>) -> Vec<MetadataResponseBroker> {
    let broker = |node: Node| {
        MetadataResponseBroker::default()
            .with_node_id(node.id)
            .with_host(node.host)
            .with_port(node.port)
            .with_rack(node.rack)
    };
    seen.nodes().into_iter().map(broker).collect()
}

fn named_topic(
    asked: &MetadataRequestTopic,
    operations: bool,
    sights: &Sights<'_>,
    seen: &Seen<'_>,
) -> MetadataResponseTopic {
    let told = place_of(asked, seen).map(|place| (place, sights.tell(place)));
    match told {
        Some((place, Tells::All(may))) => describe(place, operations.then_some(may), seen),
        Some((_, Tells::Refusal)) => untold(asked, codes::TOPIC_AUTHORIZATION_FAILED),
        Some((_, Tells::Nothing)) => untold(asked, codes::LEADER_NOT_AVAILABLE),
        None => unknown(asked, sights, seen),
    }
}

fn place_of<'s>(asked: &MetadataRequestTopic, seen: &'s Seen<'_>) -> Option<&'s Arc<TopicPlace>> {
    match name_of(asked) {
        Some(name) => seen.placement.topic(name),
        None => seen.placement.topic_by_id(asked.topic_id),
    }
}

fn unknown(asked: &MetadataRequestTopic, sights: &Sights<'_>, seen: &Seen<'_>) -> MetadataResponseTopic {
    let sought = |home: Slot, _: &StrBytes| seen.refused.of_topics(home, |_| true);
    let code = name_of(asked).map_or(codes::UNKNOWN_TOPIC_ID, |name| sights.code_of_unknown(name, sought, seen));
    untold(asked, code)
}

/// Of a topic that nothing is told of but this.
pub(in crate::api) fn untold(asked: &MetadataRequestTopic, code: i16) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(code)
        .with_name(name_of(asked).cloned())
        .with_topic_id(asked.topic_id)
        .with_topic_authorized_operations(NO_OPERATIONS)
}

/// With what may be done to it, where that is asked.
fn describe(place: &TopicPlace, operations: Option<i32>, seen: &Seen<'_>) -> MetadataResponseTopic {
    let partition = |(partition, index)| describe_partition(partition, index, place.cluster, seen);
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(place.topic.name.clone())))
        .with_topic_id(place.id)
        .with_is_internal(place.topic.internal)
        .with_partitions(place.topic.partitions.iter().zip(0..).map(partition).collect())
        .with_topic_authorized_operations(operations.unwrap_or(NO_OPERATIONS))
}

fn code_of(partition: &Partition) -> i16 {
    if partition.leader < 0 { codes::LEADER_NOT_AVAILABLE } else { partition.error }
}

fn describe_partition(partition: &Partition, index: i32, home: Slot, seen: &Seen<'_>) -> MetadataResponsePartition {
    MetadataResponsePartition::default()
        .with_error_code(code_of(partition))
        .with_partition_index(index)
        .with_leader_id(seen.virtual_id(home, partition.leader))
        .with_leader_epoch(partition.epoch)
        .with_replica_nodes(seen.virtual_ids(home, &partition.replicas))
        .with_isr_nodes(seen.virtual_ids(home, &partition.isr))
        .with_offline_replicas(seen.offline_ids(home, &partition.offline))
}

/// Kafka's rule for topic names.
pub(in crate::api) fn is_legal(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !matches!(name, "" | "." | "..") && name.len() <= LONGEST_NAME && name.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::World;
    use crate::api::{ErrorCodes, Refusal};
    use crate::placement::build::tests::{config, heard, slot, topic};
    use crate::placement::fence::Why;
    use crate::placement::{Fence, Placement};
    use std::collections::HashMap;

    fn ask(names: &[&'static str]) -> MetadataRequest {
        let topic = |name: &&'static str| {
            MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_static_str(name))))
        };
        MetadataRequest::default().with_topics(Some(names.iter().map(topic).collect()))
    }

    fn answered(request: &MetadataRequest, seen: &Seen<'_>) -> MetadataResponse {
        match Metadata::plan(request, seen) {
            Plan::Answer(answer) => answer,
            Plan::Wait(needs) => panic!("waits for {needs:?}"),
            Plan::Send { .. } => panic!("sends"),
        }
    }

    #[test]
    fn an_id_counts_more_than_a_name() {
        let world = World::with(&[], &[topic("b-1", &[2])]);
        let known = world.seen(13).placement.topic("b-1").unwrap().topic.id;
        let by_id = |id| {
            let topic = MetadataRequestTopic::default().with_topic_id(id).with_name(Some(TopicName::default()));
            MetadataRequest::default().with_topics(Some(vec![topic]))
        };
        let answer = answered(&by_id(known), &world.seen(13));
        assert_eq!(answer.topics[0].name.as_ref().map(|name| &*name.0), Some("b-1"));
        let needs = needs(&by_id(uuid::Uuid::max()), &Sights::default(), &world.seen(13));
        assert_eq!(needs, [Need::AllTopics]);
    }

    #[test]
    fn a_topic_without_a_leader_is_read_again() {
        let world = World::with(&[topic("x", &[1, -1]), topic("y", &[1])], &[]);
        let again = [Effect::Refresh(slot(0), StrBytes::from_static_str("x"))];
        assert_eq!(leaderless(&ask(&["y", "x", "nope"]), &world.seen(9)), again);
        assert_eq!(leaderless(&MetadataRequest::default().with_topics(None), &world.seen(9)), again);
        assert_eq!(leaderless(&ask(&["y"]), &world.seen(9)), []);
    }

    #[test]
    fn both_clusters_are_one_and_every_id_is_virtual() {
        let world = World::with(&[topic("x", &[1, 3])], &[topic("b-1", &[2])]);
        let answer = answered(&MetadataRequest::default().with_topics(None), &world.seen(12));
        assert_eq!(answer.brokers.len(), 6);
        assert!(answer.brokers.iter().all(|b| &*b.host == "proxy.example" && b.port == 9092));
        assert_eq!(answer.cluster_id.as_deref(), Some("v"));
        assert_eq!(answer.topics.len(), 2);
        let b1 = answer.topics.iter().find(|t| t.name.as_ref().is_some_and(|n| &*n.0 == "b-1")).unwrap();
        assert_eq!(b1.partitions[0].leader_id.0, (1 << 25) | 2);
        assert_eq!(b1.partitions[0].leader_epoch, 7, "[L2] leader epochs are the cluster's own");
    }

    #[test]
    fn an_unknown_topic_is_asked_for_where_it_would_live_and_then_unknown() {
        let mut world = World::with(&[], &[]);
        let request = ask(&["b-new"]).with_allow_auto_topic_creation(false);
        let Plan::Wait(needs) = Metadata::plan(&request, &world.seen(9)) else { panic!("must ask first") };
        let names = vec![StrBytes::from_static_str("b-new")];
        assert_eq!(needs, vec![Need::Topics { cluster: slot(1), names, create: false }]);
        world.refused = [(needs[0].clone(), Refusal::Done)].into();
        assert_eq!(answered(&request, &world.seen(9)).topics[0].error_code, 3);
        world.refused = [(needs[0].clone(), Refusal::Fault(Fault::cluster(slot(1), "down")))].into();
        assert_eq!(answered(&request, &world.seen(9)).topics[0].error_code, 5);
    }

    #[test]
    fn before_version_4_topics_are_made_unasked() {
        let world = World::default();
        let request = ask(&["n"]).with_allow_auto_topic_creation(false);
        let creates = |version| match Metadata::plan(&request, &world.seen(version)) {
            Plan::Wait(needs) => matches!(needs[0], Need::Topics { create: true, .. }),
            _ => panic!("must ask first"),
        };
        assert!(creates(3));
        assert!(!creates(4));
    }

    #[test]
    fn an_illegal_name_is_told_at_once_and_no_list_means_all_or_nothing_by_version() {
        let world = World::with(&[topic("x", &[1])], &[]);
        assert_eq!(answered(&ask(&["a b"]), &world.seen(9)).topics[0].error_code, 17);
        assert_eq!(answered(&ask(&[]), &world.seen(0)).topics.len(), 1);
        assert_eq!(answered(&ask(&[]), &world.seen(1)).topics.len(), 0);
    }

    #[test]
    fn what_was_written_before_is_what_would_be_written_now() {
        let many: Vec<_> = (0..200).map(|n| topic(&format!("t-{n}"), &[1, 2])).collect();
        let mut world = World::with(&many, &[topic("b-1", &[2, -1])]);
        let tried = Need::Topics { cluster: slot(0), names: Vec::new(), create: false };
        world.refused = [(tried, Refusal::Done)].into();
        for version in 0..=13 {
            for request in [ask(&["b-1", "t-7", "nope"]), ask(&[]), MetadataRequest::default().with_topics(None)] {
                let seen = world.seen(version);
                // The same places in the same order: what differs would be the writing alone.
                let answer = answered(&request, &seen);
                let mut codes = Codes::default();
                answer.tell(&mut codes);
                let expected = (encode_body(&answer, version).unwrap(), codes);
                for _ in 0..2 {
                    assert_eq!(written(&request, &seen).unwrap(), expected, "version {version}");
                }
            }
        }
        let operations = ask(&["b-1"]).with_include_topic_authorized_operations(true);
        assert_eq!(written(&operations, &world.seen(9)), None);
        assert_eq!(written(&ask(&["b-new"]), &world.seen(9)), None, "it must be asked for first");
    }

    #[test]
    fn a_topic_that_is_kept_from_clients_is_told_to_who_names_it_alone() {
        let kept = [("b-kept", Why::Elsewhere(slot(0))), ("b-moves", Why::Changing)];
        let fence = Fence::around(kept.map(|(name, why)| (StrBytes::from_static_str(name), why)));
        let topics = [topic("b-kept", &[1]), topic("b-moves", &[1]), topic("b-1", &[1])];
        let heard = HashMap::from([(slot(0), heard("a", &topics[..1])), (slot(1), heard("b", &topics))]);
        let mut world = World::default();
        world.placement = Placement::build(&config(), &heard, &Arc::new(fence), None).0;
        let all = MetadataRequest::default().with_topics(None);
        let told = |request: &MetadataRequest| {
            let topics = answered(request, &world.seen(9)).topics;
            let name = |one: &MetadataResponseTopic| one.name.as_ref().map(|name| name.to_string());
            let mut told: Vec<_> =
                topics.iter().map(|one| (name(one).unwrap_or_default(), one.partitions[0].error_code)).collect();
            told.sort();
            told
        };
        assert_eq!(
            told(&all),
            [("b-1".to_owned(), 0), ("b-moves".to_owned(), 5)],
            "what moves is there again in a moment"
        );
        assert_eq!(told(&ask(&["b-kept"])), [("b-kept".to_owned(), 5)]);
        assert!(written(&all, &world.seen(9)).is_some());
    }

    #[test]
    fn a_partition_without_leader_says_so() {
        let world = World::with(&[topic("x", &[-1])], &[]);
        let partition = &answered(&ask(&["x"]), &world.seen(9)).topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.leader_id.0), (5, -1));
    }
}
