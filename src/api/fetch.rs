//! Fetch, without the waiting. Where all partitions of a request live on one broker it passes through, that broker's
//! fetch session (KIP-227) included. Where several brokers are needed it is a ledger of partitions, answered without
//! a session. The driver in `session` keeps the table of sessions and does the sending.

use super::needs::{Needs, sought_unknown};
use super::untag::Untag;
use super::{Effect, Effects, Need, Refusal, Seen, codes};
use crate::error::Fault;
use crate::placement::Leader;
use crate::types::{Slot, Target};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData};
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
    /// Parts for several brokers, or answers of our own beside those of one.
    Split(Ledger, Vec<Part>),
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
            Self::Split(..) | Self::Answer(_) => true,
            Self::Wait(..) => false,
        }
    }
}

/// What ends a fetch session (KIP-227): a full fetch of nothing, with the last epoch.
#[must_use]
pub fn farewell(session: i32) -> FetchRequest {
    FetchRequest::default().with_session_id(session).with_session_epoch(FINAL_EPOCH)
}

/// A part of a split Fetch.
#[derive(Debug)]
pub struct Part {
    /// Where it goes.
    pub to: Target,
    /// What is asked there.
    pub request: FetchRequest,
}

/// A split Fetch on its way to being answered.
#[derive(Debug)]
pub struct Ledger {
    topics: Vec<(TopicName, Uuid)>,
    entries: Vec<Entry>,
    open: usize,
    throttle_ms: i32,
    endpoints: Vec<NodeEndpoint>,
}

#[derive(Debug)]
struct Entry {
    topic: usize,
    index: i32,
    to: Option<Target>,
    answer: Option<PartitionData>,
}

/// Plans a Fetch. `session_at` tells which broker a session of this client lives on.
#[must_use]
pub fn plan(request: FetchRequest, session_at: impl Fn(i32) -> Option<Target>, seen: &Seen<'_>) -> Plan {
    let needs = needs(&request, seen);
    if !needs.is_empty() {
        return Plan::Wait(Box::new(request), needs);
    }
    if !is_incremental(&request) {
        return full(request, session_at, seen);
    }
    match session_at(request.session_id).filter(|at| fits(&request, *at, seen)) {
        Some(to) => through(request, to, false, seen),
        // The client then makes a full fetch.
        None => Plan::Answer(FetchResponse::default().with_error_code(codes::FETCH_SESSION_ID_NOT_FOUND)),
    }
}

/// Whether a request names only what its fetch session does not know yet.
#[must_use]
pub fn is_incremental(request: &FetchRequest) -> bool {
    request.session_id != NO_SESSION && request.session_epoch > INITIAL_EPOCH
}

/// A fetch session holds the partitions of one broker. One that gets a partition of another no longer fits.
fn fits(request: &FetchRequest, at: Target, seen: &Seen<'_>) -> bool {
    partitions(request).all(|(topic, partition)| match leader(topic, partition.partition, seen) {
        Found::At(to) => to == at,
        Found::Never(_) => true,
    })
}

fn full(request: FetchRequest, session_at: impl Fn(i32) -> Option<Target>, seen: &Seen<'_>) -> Plan {
    let ends = request.session_epoch == FINAL_EPOCH && request.topics.is_empty();
    if let Some(to) = session_at(request.session_id).filter(|_| ends) {
        // Java's consumer says good-bye: the broker's place for the session is free at once.
        return through(request, to, false, seen);
    }
    let (ledger, parts) = Ledger::open(request.clone(), seen);
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next()) {
        (Some(only), None) if ledger.open == ledger.entries.len() => {
            // The session that this request ends must be that broker's: another's may bear the same number.
            let foreign = request.session_id != NO_SESSION && session_at(request.session_id) != Some(only.to);
            let request = if foreign { request.with_session_id(NO_SESSION) } else { request };
            through(request, only.to, foreign, seen)
        }
        (None, _) => Plan::Answer(ledger.response()),
        (first, second) => Plan::Split(ledger, first.into_iter().chain(second).chain(parts).collect()),
    }
}

/// A rack would make the leader name a follower to read from (KIP-392). We route by content, to the leader, which
/// would name it again and again: so the leader is not told the rack.
fn through(mut request: FetchRequest, to: Target, mut edited: bool, seen: &Seen<'_>) -> Plan {
    if !request.rack_id.is_empty() {
        request.rack_id = StrBytes::new();
        edited = true;
    }
    fill_in(&mut request, seen);
    Plan::Through { to, request: Arc::new(request), edited }
}

/// Names and ids of the topics, so that the request can be written in any version.
fn fill_in(request: &mut FetchRequest, seen: &Seen<'_>) {
    let known = |name: &mut TopicName, id: &mut Uuid| {
        if let Some(place) = seen.placement.topic_of(&name.0, *id) {
            (*name, *id) = (TopicName(place.topic.name.clone()), place.topic.id);
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
        if seen.placement.topic_of(topic, *topic_id).is_none() && sought_unknown(seen, topic).is_none() {
            needs.unknown(topic, seen);
        }
    }
    needs.all()
}

enum Found {
    At(Target),
    Never(i16),
}

fn leader(topic: &FetchTopic, partition: i32, seen: &Seen<'_>) -> Found {
    let Some(place) = seen.placement.topic_of(&topic.topic.0, topic.topic_id) else {
        return Found::Never(match sought_unknown(seen, &topic.topic) {
            Some(Refusal::Fault(_)) => codes::NOT_LEADER_OR_FOLLOWER,
            _ if topic.topic.0.is_empty() => codes::UNKNOWN_TOPIC_ID,
            _ => codes::UNKNOWN_TOPIC_OR_PARTITION,
        });
    };
    match place.leader(partition) {
        Leader::At(to, _) => Found::At(to),
        Leader::Nobody => Found::Never(codes::NOT_LEADER_OR_FOLLOWER),
        Leader::NoPartition => Found::Never(codes::UNKNOWN_TOPIC_OR_PARTITION),
    }
}

impl Ledger {
    /// Opens a full fetch: every partition with the broker that is asked for it, or with the answer we give.
    fn open(request: FetchRequest, seen: &Seen<'_>) -> (Self, Vec<Part>) {
        let mut ledger =
            Self { topics: Vec::new(), entries: Vec::new(), open: 0, throttle_ms: 0, endpoints: Vec::new() };
        let mut request = request.with_session_id(NO_SESSION).with_session_epoch(-1).with_rack_id(StrBytes::new());
        request.forgotten_topics_data.clear();
        fill_in(&mut request, seen);
        let topics = std::mem::take(&mut request.topics);
        let mut parts: Vec<Part> = Vec::new();
        for (at, mut topic) in topics.into_iter().enumerate() {
            ledger.topics.push((topic.topic.clone(), topic.topic_id));
            for partition in std::mem::take(&mut topic.partitions) {
                let found = leader(&topic, partition.partition, seen);
                let (to, answer) = match found {
                    Found::At(to) => (Some(to), None),
                    Found::Never(code) => (None, Some(failed(partition.partition, code))),
                };
                ledger.open += usize::from(to.is_some());
                ledger.entries.push(Entry { topic: at, index: partition.partition, to, answer });
                if let Some(to) = to {
                    part_for(&mut parts, to, &request).ask(&topic, partition);
                }
            }
        }
        // Kafka answers at once when a partition has an error.
        if ledger.open < ledger.entries.len() {
            parts.iter_mut().for_each(|part| part.request.max_wait_ms = 0);
        }
        (ledger, parts)
    }

    /// Takes a broker's answer to a part.
    pub fn absorb(&mut self, from: Target, answer: FetchResponse, seen: &Seen<'_>, effects: &mut Effects) {
        self.throttle_ms = self.throttle_ms.max(answer.throttle_time_ms);
        self.endpoints.extend(endpoints(from.cluster, &answer.node_endpoints, seen));
        let code = answer.error_code;
        for topic in answer.responses {
            for told in topic.partitions {
                self.settle(from, (&topic.topic, topic.topic_id), told, seen, effects);
            }
        }
        // What the broker did not speak of: nothing new, or the error that it has for all.
        for entry in self.entries.iter_mut().filter(|entry| entry.to == Some(from) && entry.answer.is_none()) {
            entry.answer = Some(failed(entry.index, code));
            self.open = self.open.saturating_sub(1);
        }
    }

    fn settle(
        &mut self,
        from: Target,
        (name, id): (&TopicName, Uuid),
        told: PartitionData,
        seen: &Seen<'_>,
        effects: &mut Effects,
    ) {
        let topics = &self.topics;
        let same = |entry: &&mut Entry| {
            let topic = topics.get(entry.topic);
            let same = topic.is_some_and(|known| if name.0.is_empty() { known.1 == id } else { known.0 == *name });
            same && entry.index == told.partition_index && entry.to == Some(from) && entry.answer.is_none()
        };
        let Some(entry) = self.entries.iter_mut().find(same) else { return };
        if let Some((name, _)) = topics.get(entry.topic).filter(|_| codes::asks_for_refresh(told.error_code)) {
            effects.push(Effect::Refresh(from.cluster, name.0.clone()));
        }
        entry.answer = Some(ours(told, from.cluster, seen));
        self.open = self.open.saturating_sub(1);
    }

    /// A part got no answer: its partitions are asked for again.
    pub fn fail(&mut self, to: Target, _fault: &Fault, effects: &mut Effects) {
        for entry in self.entries.iter_mut().filter(|entry| entry.to == Some(to) && entry.answer.is_none()) {
            entry.answer = Some(failed(entry.index, codes::NOT_LEADER_OR_FOLLOWER));
            self.open = self.open.saturating_sub(1);
            if let Some((name, _)) = self.topics.get(entry.topic) {
                effects.push(Effect::Refresh(to.cluster, name.0.clone()));
            }
        }
    }

    /// Whether every partition is answered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.open == 0
    }

    /// The answer to the client: every partition once, in the order it asked, and no session.
    #[must_use]
    pub fn response(self) -> FetchResponse {
        let topic =
            |(name, id): (TopicName, Uuid)| FetchableTopicResponse::default().with_topic(name).with_topic_id(id);
        let mut responses: Vec<_> = self.topics.into_iter().map(topic).collect();
        for entry in self.entries {
            let answer = entry.answer.unwrap_or_else(|| failed(entry.index, codes::NOT_LEADER_OR_FOLLOWER));
            if let Some(topic) = responses.get_mut(entry.topic) {
                topic.partitions.push(answer);
            }
        }
        let mut endpoints = self.endpoints;
        endpoints.sort_by_key(|node| node.node_id);
        endpoints.dedup_by_key(|node| node.node_id);
        FetchResponse::default()
            .with_session_id(NO_SESSION)
            .with_responses(responses)
            .with_throttle_time_ms(self.throttle_ms)
            .with_node_endpoints(endpoints)
    }
}

impl Part {
    fn ask(&mut self, topic: &FetchTopic, partition: FetchPartition) {
        let same = |asked: &&mut FetchTopic| asked.topic == topic.topic && asked.topic_id == topic.topic_id;
        match self.request.topics.last_mut().filter(same) {
            Some(asked) => asked.partitions.push(partition),
            None => self.request.topics.push(topic.clone().with_partitions(vec![partition])),
        }
    }
}

fn part_for<'p>(parts: &'p mut Vec<Part>, to: Target, request: &FetchRequest) -> &'p mut Part {
    let at = parts.iter().position(|part| part.to == to).unwrap_or_else(|| {
        parts.push(Part { to, request: request.clone() });
        parts.len() - 1
    });
    &mut parts[at]
}

fn failed(index: i32, code: i16) -> PartitionData {
    PartitionData::default()
        .with_partition_index(index)
        .with_error_code(code)
        .with_high_watermark(-1)
        .with_last_stable_offset(-1)
        .with_log_start_offset(-1)
        .with_records(Some(bytes::Bytes::new()))
}

/// Whether an answer can go to the client as it is: it names no broker, and no field that we do not know.
#[must_use]
pub fn is_plain(answer: &FetchResponse) -> bool {
    let plain = |told: &PartitionData| {
        told.preferred_read_replica.0 < 0
            && told.current_leader == LeaderIdAndEpoch::default()
            && told.diverging_epoch.unknown_tagged_fields.is_empty()
            && told.snapshot_id.unknown_tagged_fields.is_empty()
            && told.aborted_transactions.iter().flatten().all(|one| one.unknown_tagged_fields.is_empty())
            && told.unknown_tagged_fields.is_empty()
    };
    let plain_topic =
        |topic: &FetchableTopicResponse| topic.unknown_tagged_fields.is_empty() && topic.partitions.iter().all(plain);
    answer.node_endpoints.is_empty()
        && answer.unknown_tagged_fields.is_empty()
        && answer.responses.iter().all(plain_topic)
}

/// A passed-through answer in our ids: names and ids filled in for any version, without what we do not know.
#[must_use]
pub fn translate(mut answer: FetchResponse, from: Slot, seen: &Seen<'_>) -> FetchResponse {
    answer.node_endpoints = endpoints(from, &answer.node_endpoints, seen).collect();
    answer.node_endpoints.dedup_by_key(|node| node.node_id);
    answer.unknown_tagged_fields.clear();
    for topic in &mut answer.responses {
        if let Some(place) = seen.placement.topic_of(&topic.topic.0, topic.topic_id) {
            (topic.topic, topic.topic_id) = (TopicName(place.topic.name.clone()), place.topic.id);
        }
        topic.unknown_tagged_fields.clear();
        topic.partitions =
            std::mem::take(&mut topic.partitions).into_iter().map(|told| ours(told, from, seen)).collect();
    }
    answer
}

/// The topics whose metadata an answer says is old.
pub fn note(answer: &FetchResponse, from: Slot, seen: &Seen<'_>, effects: &mut Effects) {
    for topic in &answer.responses {
        if topic.partitions.iter().any(|told| codes::asks_for_refresh(told.error_code)) {
            let known = seen.placement.topic_of(&topic.topic.0, topic.topic_id);
            let name = known.map_or_else(|| topic.topic.0.clone(), |place| place.topic.name.clone());
            effects.push(Effect::Refresh(from, name));
        }
    }
}

/// The answer to a Fetch that passed through and got no answer.
#[must_use]
pub fn failed_through(request: &FetchRequest, fault: &Fault, seen: &Seen<'_>, effects: &mut Effects) -> FetchResponse {
    if request.session_id != NO_SESSION && request.session_epoch > INITIAL_EPOCH {
        // The session went with the broker.
        return FetchResponse::default().with_error_code(codes::FETCH_SESSION_ID_NOT_FOUND);
    }
    let (mut ledger, parts) = Ledger::open(request.clone(), seen);
    for part in parts {
        ledger.fail(part.to, fault, effects);
    }
    ledger.response()
}

fn ours(mut told: PartitionData, cluster: Slot, seen: &Seen<'_>) -> PartitionData {
    told.untag();
    told.current_leader.leader_id = seen.virtual_id(cluster, told.current_leader.leader_id.0);
    told.preferred_read_replica = seen.virtual_id(cluster, told.preferred_read_replica.0);
    told
}

fn endpoints<'a>(cluster: Slot, told: &'a [NodeEndpoint], seen: &'a Seen<'_>) -> impl Iterator<Item = NodeEndpoint> {
    told.iter().map(move |node| {
        let node = seen.node_of(cluster, node.node_id.0, node.rack.clone());
        NodeEndpoint::default().with_node_id(node.id).with_host(node.host).with_port(node.port).with_rack(node.rack)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, at};
    use super::*;
    use crate::placement::build::tests::topic;

    fn request(topics: &[(&'static str, &[i32])]) -> FetchRequest {
        let topic = |(name, partitions): &(&'static str, &[i32])| {
            let asked = partitions.iter().map(|index| FetchPartition::default().with_partition(*index));
            FetchTopic::default()
                .with_topic(TopicName(StrBytes::from_static_str(name)))
                .with_partitions(asked.collect())
        };
        FetchRequest::default().with_max_wait_ms(500).with_topics(topics.iter().map(topic).collect())
    }

    fn full_of(request: &FetchRequest) -> FetchResponse {
        let topic = |topic: &FetchTopic| {
            let told = topic
                .partitions
                .iter()
                .map(|asked| PartitionData::default().with_partition_index(asked.partition).with_high_watermark(10));
            FetchableTopicResponse::default()
                .with_topic(topic.topic.clone())
                .with_topic_id(topic.topic_id)
                .with_partitions(told.collect())
        };
        FetchResponse::default().with_session_id(99).with_responses(request.topics.iter().map(topic).collect())
    }

    fn answers(response: &FetchResponse) -> Vec<(String, i32, i16, i64)> {
        let flat = |topic: &FetchableTopicResponse| {
            let name = topic.topic.0.to_string();
            let one =
                move |told: &PartitionData| (name.clone(), told.partition_index, told.error_code, told.high_watermark);
            topic.partitions.iter().map(one).collect::<Vec<_>>()
        };
        response.responses.iter().flat_map(flat).collect()
    }

    fn world() -> World {
        World::with(&[topic("x", &[1, 2, -1])], &[topic("b-1", &[1])])
    }

    #[test]
    fn what_one_broker_leads_passes_through_with_its_session() {
        let world = world();
        let opening = request(&[("x", &[0])]).with_session_epoch(0);
        let Plan::Through { to, edited, .. } = plan(opening, |_| None, &world.seen(12)) else { panic!() };
        assert_eq!((to, edited), (at(0, 1), false));
        let next = FetchRequest::default().with_session_id(7).with_session_epoch(3);
        let session = |id| (id == 7).then(|| at(0, 1));
        let Plan::Through { to, .. } = plan(next.clone(), session, &world.seen(12)) else { panic!() };
        assert_eq!(to, at(0, 1), "an incremental fetch that names no topic");
        let Plan::Answer(answer) = plan(next, |_| None, &world.seen(12)) else { panic!() };
        assert_eq!(answer.error_code, 70);
    }

    #[test]
    fn a_session_that_gets_a_partition_of_another_broker_ends() {
        let world = world();
        let adding = request(&[("x", &[1])]).with_session_id(7).with_session_epoch(3);
        let Plan::Answer(answer) = plan(adding, |_| Some(at(0, 1)), &world.seen(12)) else { panic!() };
        assert_eq!(answer.error_code, 70);
    }

    #[test]
    fn epoch_0_is_a_full_fetch_whatever_the_id_and_ends_no_session_of_another_broker() {
        let world = world();
        let reset = request(&[("x", &[0])]).with_session_id(7).with_session_epoch(0);
        let plan = plan(reset, |_| Some(at(1, 1)), &world.seen(12));
        assert!(plan.leaves_session(at(1, 1)), "so that it is ended apart");
        let Plan::Through { request, edited, .. } = plan else { panic!() };
        assert_eq!((request.session_id, edited), (NO_SESSION, true));
    }

    #[test]
    fn a_session_is_ended_where_it_lives() {
        let world = world();
        let close = || FetchRequest::default().with_session_id(7).with_session_epoch(-1);
        let Plan::Through { to, edited, .. } = plan(close(), |_| Some(at(1, 1)), &world.seen(12)) else { panic!() };
        assert_eq!((to, edited), (at(1, 1), false));
        let Plan::Answer(answer) = plan(close(), |_| None, &world.seen(12)) else { panic!() };
        assert_eq!((answer.error_code, answer.session_id), (0, NO_SESSION));
    }

    #[test]
    fn a_rack_is_not_told_to_the_leader() {
        let world = world();
        let racked = request(&[("x", &[0])]).with_rack_id(StrBytes::from_static_str("r"));
        let Plan::Through { request, edited, .. } = plan(racked, |_| None, &world.seen(12)) else { panic!() };
        assert!(request.rack_id.is_empty() && edited);
    }

    #[test]
    fn a_fetch_over_two_brokers_is_merged_in_the_clients_order_without_a_session() {
        let world = world();
        let asked = request(&[("b-1", &[0]), ("x", &[1, 0])]);
        let Plan::Split(mut ledger, parts) = plan(asked, |_| None, &world.seen(12)) else { panic!() };
        assert_eq!(parts.iter().map(|part| part.to).collect::<Vec<_>>(), [at(1, 1), at(0, 2), at(0, 1)]);
        assert!(parts.iter().all(|part| part.request.session_epoch == -1 && part.request.max_wait_ms == 500));
        let mut effects = Vec::new();
        ledger.absorb(parts[2].to, full_of(&parts[2].request), &world.seen(12), &mut effects);
        ledger.fail(parts[1].to, &Fault::upstream(parts[1].to, true, "gone"), &mut effects);
        assert!(!ledger.is_complete());
        ledger.absorb(parts[0].to, full_of(&parts[0].request), &world.seen(12), &mut effects);
        assert!(ledger.is_complete());
        let response = ledger.response();
        assert_eq!(response.session_id, NO_SESSION);
        let one = |name: &str, index, code, end| (name.to_owned(), index, code, end);
        assert_eq!(answers(&response), [one("b-1", 0, 0, 10), one("x", 1, 6, -1), one("x", 0, 0, 10)]);
        assert_eq!(effects.len(), 1);
    }

    #[test]
    fn a_partition_with_an_error_keeps_nobody_waiting() {
        let world = world();
        let asked = request(&[("x", &[0, 2, 9])]);
        let Plan::Split(ledger, parts) = plan(asked, |_| None, &world.seen(12)) else { panic!() };
        assert_eq!(parts[0].request.max_wait_ms, 0);
        let codes: Vec<_> = answers(&ledger.response()).into_iter().map(|(_, _, code, _)| code).collect();
        assert_eq!(codes, [6, 6, 3]);
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
        let ours = translate(answer, at(1, 1).cluster, &world.seen(16));
        let told = &ours.responses[0].partitions[0];
        assert_eq!((told.preferred_read_replica.0, told.current_leader.leader_id.0), ((1 << 25) | 3, (1 << 25) | 2));
        assert_eq!(&*ours.node_endpoints[0].host, "proxy.example");
    }
}
