//! Produce, without the waiting: one client request is a ledger of its partitions. Their records travel as cells,
//! grouped into parts by the broker that leads them; a cell without a leader is held and routed again later; a batch
//! that policy splits is two cells of one partition. The ledger is answered when every cell of it is, each partition
//! once and in the client's order. The driver in `session` does the sending and the waiting.

mod answers;
mod cells;
mod rights;

pub use crate::types::{Partition, TopicKey};
pub use cells::{Cell, Part, Piece};
pub use rights::Permitted;

use crate::api::needs::{Needs, sought_unknown};
use crate::api::{Need, Refusal, Seen, Span, codes};
use crate::config::policy::OnDown;
use crate::error::Blame;
use crate::placement::{Leader, Placement, TopicPlace};
use crate::types::{FastMap, Target, topic_key};
use crate::upstream::Topic;
use crate::wire::glance::{Produce, ProducePartition};
use answers::failed;
use bytes::Bytes;
use cells::Aside;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{NodeEndpoint, PartitionProduceResponse};
use kafka_protocol::messages::{ProduceRequest, TopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use std::time::Instant;
use uuid::Uuid;

/// The first version that names topics by id (KIP-516).
const TOPIC_IDS: i16 = 13;
/// Of so many lanes it is looked whether they are the one that is meant.
const LOOKED_THROUGH: usize = 128;
/// What is said to who writes to a twin.
const TWIN: &str =
    "a canary writes to this topic, and nobody else: write to the topic without --at-- and the cluster's name";

/// A client's Produce request on its way to being answered.
#[derive(Debug)]
pub struct Ledger {
    transactional_id: Option<TransactionalId>,
    /// How many replicas must have it: 0 (nobody answers), 1 or -1 (all in sync).
    pub acks: i16,
    /// How long the broker may wait for them.
    pub timeout_ms: i32,
    topics: Vec<OfTopic>,
    slots: Vec<Entry>,
    /// Topics that policy moves records to.
    lanes: Vec<OfLane>,
    /// Policy has changed what the client's frame says.
    edited: bool,
    throttle_ms: i32,
    endpoints: Vec<NodeEndpoint>,
    /// When the last byte of the request was read, for who keeps count.
    pub came: Option<Instant>,
}

/// One topic of the request.
#[derive(Debug)]
struct OfTopic {
    /// Empty where the client gave an id that nobody knows yet.
    name: TopicName,
    id: Uuid,
    key: TopicKey,
    /// What its cluster calls it, where that is another name.
    there: Option<TopicName>,
}

/// A lane of the request's topics.
#[derive(Debug)]
struct OfLane {
    topic: OfTopic,
    on_down: OnDown,
}

/// One partition of the request.
#[derive(Debug)]
struct Entry {
    topic: usize,
    index: i32,
    /// Cells that are not answered yet.
    open: usize,
    /// Large, and made for few requests: most answers are forwarded as they are.
    answer: Option<Box<PartitionProduceResponse>>,
}

/// What a topic may be called in a request: by its name, or by its id. A refusal of one of two topics of one key (L6) counts for both.
#[must_use]
pub fn keys_of(topic: &Topic) -> [TopicKey; 2] {
    [topic_key(topic.name.as_str(), topic.id), topic_key("", topic.id)]
}

/// What became of cells that were routed. Those that cannot be served are answered in the ledger already.
#[derive(Debug, Default)]
pub struct Routed {
    /// To be sent.
    pub parts: Vec<Part>,
    /// Nobody leads their partition now: to be routed again when the placement changes.
    pub held: Vec<Cell>,
    /// To be met first; their cells are among the held ones.
    pub needs: Vec<Need>,
    /// Answered already: there is no such topic or partition, or it is no part of its transaction.
    pub refused: Vec<Cell>,
    /// Who is to blame for cells that were refused since a need could not be met.
    pub failed: Vec<Blame>,
    /// Cells were refused since nobody could be asked about their topics: later ones may fare better.
    pub in_doubt: bool,
    /// Cells were refused since their transaction lives on another cluster.
    pub span: Option<Span>,
}

impl Ledger {
    /// Opens a request: the ledger, and its records as one cell a partition.
    #[must_use]
    pub fn open(request: impl Into<Produce>) -> (Self, Vec<Cell>) {
        let request = request.into();
        let mut ledger = Self {
            transactional_id: request.transactional_id.map(TransactionalId),
            acks: request.acks,
            timeout_ms: request.timeout_ms,
            topics: request.topics.into_iter().map(OfTopic::new).collect(),
            slots: Vec::with_capacity(request.partitions.len()),
            lanes: Vec::new(),
            edited: false,
            throttle_ms: 0,
            endpoints: Vec::new(),
            came: None,
        };
        let mut cells = Vec::with_capacity(request.partitions.len());
        for ProducePartition { topic, index, records } in request.partitions {
            cells.push(Cell::of(ledger.slots.len(), records));
            ledger.slots.push(Entry { topic, index, open: 1, answer: None });
        }
        (ledger, cells)
    }

    /// Routes cells by their partitions' leaders. Fills in the topics' names and ids, so that any version can be
    /// written.
    pub fn route(&mut self, cells: Vec<Cell>, seen: &Seen<'_>) -> Routed {
        let (mut routed, mut needs) = (Routed::default(), Needs::default());
        let mut cells = cells.into_iter();
        let mut named = FastMap::default();
        while let Some(mut cell) = cells.next() {
            match self.find_or_go_back(&mut cell, seen) {
                Found::At(to) => {
                    let place = self.namesakes(&cell, &mut named);
                    Part::put_at(&mut routed.parts, place, to, cell, cells.len());
                }
                Found::Later => routed.held.push(cell),
                Found::Unknown => {
                    self.topic_of(&cell).into_iter().for_each(|name| needs.unknown(name, seen));
                    routed.held.push(cell);
                }
                Found::Never(code) => {
                    self.settle(&cell, failed(code));
                    routed.refused.push(cell);
                }
                Found::Spanning(span) => {
                    self.settle(&cell, failed(codes::INVALID_TXN_STATE));
                    routed.refused.push(cell);
                    routed.span = Some(span);
                }
                Found::Twin => {
                    let answer = failed(codes::INVALID_TOPIC_EXCEPTION)
                        .with_error_message(Some(StrBytes::from_static_str(TWIN)));
                    self.settle(&cell, answer);
                    routed.refused.push(cell);
                }
                Found::Failed(blame) => {
                    routed.failed.push(blame);
                    routed.in_doubt = true;
                    self.settle(&cell, failed(codes::NOT_LEADER_OR_FOLLOWER));
                }
            }
        }
        routed.needs = needs.all();
        routed
    }

    /// How many cells before this one go to its partition, as lanes may bring several there. A broker takes only the last of two batches of one partition
    /// in a request: the second must go in another.
    fn namesakes(&self, cell: &Cell, named: &mut FastMap<(Uuid, i32), usize>) -> usize {
        let Some((topic, index)) = self.goes_to(cell).filter(|_| !self.lanes.is_empty()) else { return 0 };
        let before = named.entry((topic.id, index)).or_default();
        *before += 1;
        *before - 1
    }

    /// A lane that is away: what is meant for it waits, is refused, or goes where the client meant it to.
    fn find_or_go_back(&mut self, cell: &mut Cell, seen: &Seen<'_>) -> Found {
        let Some(lane) = cell.aside.map(|aside| aside.lane) else { return self.find(cell, seen) };
        let found = match self.find_lane(cell, seen) {
            // Its sender does not come to the lane's cluster, and never will: it is told so.
            Found::Never(codes::TOPIC_AUTHORIZATION_FAILED) => Found::Never(codes::TOPIC_AUTHORIZATION_FAILED),
            // Clients would take this for good, where they are meant to come again.
            Found::Never(_) => Found::Never(codes::NOT_LEADER_OR_FOLLOWER),
            found => found,
        };
        // What is numbered for the lane has no place elsewhere.
        let goes_back = cell.trail.is_none();
        match (self.lanes.get(lane).map(|lane| lane.on_down), &found) {
            (Some(OnDown::Main), Found::Later | Found::Never(_) | Found::Failed(_)) if goes_back => {
                cell.aside = None;
                self.find(cell, seen)
            }
            (Some(OnDown::Reject), Found::Later) => Found::Never(codes::NOT_LEADER_OR_FOLLOWER),
            _ => found,
        }
    }

    fn find_lane(&mut self, cell: &mut Cell, seen: &Seen<'_>) -> Found {
        let lane = cell.aside.as_mut().and_then(|aside| Some((self.lanes.get_mut(aside.lane)?, aside)));
        let Some((OfLane { topic, .. }, aside)) = lane else { return Found::Never(codes::UNKNOWN_TOPIC_OR_PARTITION) };
        let Some(place) = seen.placement.topic_of(&topic.name, topic.id) else { return unknown(topic, seen) };
        topic.fill_in(place);
        let count = u32::try_from(place.topic.partitions.len()).unwrap_or(u32::MAX).max(1);
        aside.index = i32::try_from(aside.wanted % count).unwrap_or(0);
        match place.leader(aside.index) {
            Leader::At(to, _) if seen.guard.is_some_and(|guard| guard.barred.has(to.cluster)) => {
                Found::Never(codes::TOPIC_AUTHORIZATION_FAILED)
            }
            Leader::At(to, _) => Found::At(to),
            Leader::Nobody | Leader::NoPartition => Found::Later,
        }
    }

    fn find(&mut self, cell: &Cell, seen: &Seen<'_>) -> Found {
        let Some((entry, topic)) = self.slots.get(cell.entry).and_then(|e| Some((e, self.topics.get_mut(e.topic)?)))
        else {
            return Found::Never(codes::UNKNOWN_TOPIC_OR_PARTITION);
        };
        let Some(place) = seen.placement.topic_of(&topic.name, topic.id) else { return unknown(topic, seen) };
        topic.fill_in(place);
        if place.is_twin() {
            return Found::Twin;
        }
        if let Some(span) = self.transactional_id.as_ref().and_then(|id| Span::of_topic(id, &topic.name, seen)) {
            return Found::Spanning(span);
        }
        match place.leader(entry.index) {
            Leader::At(to, _) => Found::At(to),
            Leader::Nobody => Found::Later,
            Leader::NoPartition => Found::Never(codes::UNKNOWN_TOPIC_OR_PARTITION),
        }
    }

    /// The partition of a cell, for who keeps order per partition. What is moved aside keeps the order that it has in the
    /// partition that the client named.
    #[must_use]
    pub fn partition_of(&self, cell: &Cell) -> Option<Partition> {
        let (topic, _) = self.goes_to(cell)?;
        Some(Partition { topic: topic.key, index: self.slots.get(cell.entry)?.index })
    }

    /// The topic of a cell; without a name where nobody knows its id.
    #[must_use]
    pub fn topic_of(&self, cell: &Cell) -> Option<&TopicName> {
        Some(&self.goes_to(cell)?.0.name)
    }

    /// Where a cell goes, for who keeps count of what was written.
    pub(super) fn place_of(&self, cell: &Cell) -> Option<Partition> {
        let (topic, index) = self.goes_to(cell)?;
        Some(Partition { topic: topic.key, index })
    }

    /// Where a cell goes: the partition that the client named, or one of a lane.
    fn goes_to(&self, cell: &Cell) -> Option<(&OfTopic, i32)> {
        match cell.aside {
            Some(aside) => Some((&self.lanes.get(aside.lane)?.topic, aside.index)),
            None => {
                let entry = self.slots.get(cell.entry)?;
                Some((self.topics.get(entry.topic)?, entry.index))
            }
        }
    }

    /// The topic that the client named for a cell: by its name, or by its id.
    #[must_use]
    pub fn named(&self, cell: &Cell) -> Option<(&TopicName, Uuid)> {
        let topic = self.topics.get(self.slots.get(cell.entry)?.topic)?;
        Some((&topic.name, topic.id))
    }

    /// Whether one part holds all that the client sent, so that its frame can be forwarded as it is.
    #[must_use]
    pub fn is_whole(&self, part: &Part) -> bool {
        !self.edited && part.cells.len() == self.slots.len()
    }

    /// What of a part is not a slice of the client's frame: policy made it.
    pub fn made<'p>(&self, part: &'p Part) -> impl Iterator<Item = &'p Bytes> {
        let edited = self.edited;
        part.cells.iter().filter_map(move |cell| cell.records.as_ref().filter(|_| edited))
    }

    /// Whether a cell's batch comes from an idempotent producer: a refusal of it must never be overtaken (L6).
    #[must_use]
    pub fn is_idempotent(cells: &[Cell]) -> bool {
        cells.iter().any(|cell| cell.stamp.is_some())
    }

    /// The request for one part.
    #[must_use]
    pub fn request(&self, part: &Part) -> ProduceRequest {
        let mut topics: Vec<(TopicKey, TopicProduceData)> = Vec::new();
        for cell in &part.cells {
            let Some((topic, index)) = self.goes_to(cell) else { continue };
            let (name, id, key) = (topic.name_there(), &topic.id, &topic.key);
            let data = PartitionProduceData::default().with_index(index).with_records(cell.records.clone());
            match topics.last_mut().filter(|(topic, _)| topic == key) {
                Some((_, topic)) => topic.partition_data.push(data),
                None => {
                    let topic = TopicProduceData::default().with_name(name.clone()).with_topic_id(*id);
                    topics.push((*key, topic.with_partition_data(vec![data])));
                }
            }
        }
        ProduceRequest::default()
            .with_transactional_id(self.transactional_id.clone())
            .with_acks(self.acks)
            .with_timeout_ms(self.timeout_ms)
            .with_topic_data(topics.into_iter().map(|(_, topic)| topic).collect())
    }

    /// A topic that policy moves records to, for [`Ledger::instead`].
    pub fn lane(&mut self, topic: &str, on_down: OnDown) -> usize {
        // The last ones: those of a topic stand together, and to look through all would take the square of a large request. One that is
        // here twice does no harm.
        let same = |lane: &OfLane| lane.topic.name.as_str() == topic;
        let known = self.lanes.iter().rev().take(LOOKED_THROUGH).position(same);
        known.map(|back| self.lanes.len() - 1 - back).unwrap_or_else(|| {
            let topic = OfTopic::new((StrBytes::from_string(topic.to_owned()), Uuid::nil()));
            self.lanes.push(OfLane { topic, on_down });
            self.lanes.len() - 1
        })
    }

    /// What policy made of a cell, in its place: the same records or others, for the partition itself or for lanes. Where
    /// they are not `whole`, all that the client sent and nowhere else, it hears of no offset.
    pub fn instead(&mut self, cell: &Cell, pieces: Vec<Piece>, whole: bool) -> Vec<Cell> {
        self.edited = true;
        if pieces.is_empty() {
            // All of it was dropped: nothing was written, and all is well.
            self.settle(cell, failed(codes::NONE));
            return Vec::new();
        }
        let Some(entry) = self.slots.get_mut(cell.entry) else { return Vec::new() };
        entry.open += pieces.len() - 1;
        let index = u32::try_from(entry.index).unwrap_or(0);
        let cells = pieces.into_iter().map(|Piece { records, lane, round, trail, clock }| {
            let aside = lane.map(|lane| Aside { lane, wanted: round.unwrap_or(index), index: -1 });
            let clock = clock.map(Box::new);
            Cell { aside, trail, clock, partial: !whole, judged: true, ..Cell::of(cell.entry, Some(records)) }
        });
        cells.collect()
    }
}

impl OfTopic {
    fn new((name, id): (StrBytes, Uuid)) -> Self {
        let key = topic_key(&name, id);
        Self { name: TopicName(name), id, key, there: None }
    }

    fn name_there(&self) -> &TopicName {
        self.there.as_ref().unwrap_or(&self.name)
    }

    /// Fills in what the client left out, so that any version can be written.
    fn fill_in(&mut self, place: &TopicPlace) {
        if self.name.is_empty() {
            self.name = TopicName(place.topic.name.clone());
        }
        self.id = place.id;
        self.there = place.is_twin().then(|| TopicName(place.name_there().clone()));
    }
}

enum Found {
    At(Target),
    Later,
    /// To be asked about first.
    Unknown,
    Never(i16),
    /// Its transaction lives on another cluster. Brokers would say the same, once asked about it by each other; old ones take
    /// the batch, and nobody ever ends its transaction.
    Spanning(Span),
    /// It is where a canary sends records, and nobody else.
    Twin,
    Failed(Blame),
}

/// A topic that nobody knows is asked for once.
fn unknown(OfTopic { name, .. }: &OfTopic, seen: &Seen<'_>) -> Found {
    match sought_unknown(seen, name) {
        None => Found::Unknown,
        Some(Refusal::Fault(fault)) => Found::Failed(fault.blame),
        Some(_) if name.is_empty() && seen.version >= TOPIC_IDS => Found::Never(codes::UNKNOWN_TOPIC_ID),
        Some(_) => Found::Never(codes::UNKNOWN_TOPIC_OR_PARTITION),
    }
}

/// Fills in the topics' names and ids, so that any version can be written.
pub fn fill_in(request: &mut ProduceRequest, placement: &Placement) {
    for topic in &mut request.topic_data {
        if let Some(place) = placement.topic_of(&topic.name.0, topic.topic_id) {
            (topic.name, topic.topic_id) = (TopicName(place.topic.name.clone()), place.id);
        }
    }
}

#[cfg(test)]
mod tests;
