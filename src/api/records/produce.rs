//! Produce, without the waiting: one client request is a ledger of its partitions. Their records travel as cells,
//! grouped into parts by the broker that leads them; a cell without a leader is held and routed again later; a batch
//! that policy splits is two cells of one partition. The ledger is answered when every cell of it is, each partition
//! once and in the client's order. The driver in `session` does the sending and the waiting.

use crate::api::needs::{Needs, sought_unknown};
use crate::api::records::stamp::Stamp;
use crate::api::records::written::Extent;
use crate::api::scrub::scrubbed_message;
use crate::api::untag::Untag;
use crate::api::{Effect, Effects, Need, Refusal, Seen, Span, codes};
use crate::config::policy::OnDown;
use crate::error::{Blame, Fault};
use crate::placement::{Leader, Placement, TopicPlace};
use crate::policy::deputy::{Outcome, Told, Trail, When};
use crate::telemetry::LaneClock;
use crate::types::{FastMap, Slot, Target, topic_key};
pub use crate::types::{Partition, TopicKey};
use crate::upstream::Topic;
use crate::wire::batch::Header;
use crate::wire::glance::{Produce, ProducePartition};
use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, TopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// The first version that names topics by id (KIP-516).
const TOPIC_IDS: i16 = 13;
/// "No offset": what an answer bears where the batch has none of its own.
const NO_OFFSET: i64 = -1;
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

/// A piece of one partition's records.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    entry: usize,
    records: Option<Bytes>,
    /// Where an idempotent producer made it; it stays when the records are let go.
    pub stamp: Option<Stamp>,
    /// What its records come to.
    pub(super) extent: Extent,
    /// Where policy moves it.
    aside: Option<Aside>,
    /// It is a part of what the client sent for the partition, or more: no offset speaks for that.
    partial: bool,
    /// Policy has looked at it.
    pub judged: bool,
    /// Policy looks at it when those before it have come to their end.
    pub waits: bool,
    /// Who writes it for its producer, and is to hear of it.
    trail: Option<Trail>,
    /// Of its lane.
    clock: Option<Box<LaneClock>>,
}

/// A place beside the partition that the client named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Aside {
    /// Which of the ledger's lanes.
    lane: usize,
    /// Its partition is this one, round the number that there are.
    wanted: u32,
    /// That partition, once the lane is known.
    index: i32,
}

/// What a topic may be called in a request: by its name, or by its id. A refusal of one of two topics of one key (L6) counts for both.
#[must_use]
pub fn keys_of(topic: &Topic) -> [TopicKey; 2] {
    [topic_key(topic.name.as_str(), topic.id), topic_key("", topic.id)]
}

/// Some records of a partition, as policy leaves them.
#[derive(Clone, Debug)]
pub struct Piece {
    /// One batch or several; empty where all that a deputy writes is dropped.
    pub records: Bytes,
    /// The lane that they go to; `None`: the partition itself.
    pub lane: Option<usize>,
    /// Which partition of the lane they go to, round the number that there are; else the one that their number says.
    pub round: Option<u32>,
    /// Who writes them for their producer.
    pub trail: Option<Trail>,
    /// Times the lane.
    pub clock: Option<LaneClock>,
}

/// Cells for one broker.
#[derive(Debug)]
pub struct Part {
    /// Where they go.
    pub to: Target,
    /// In the client's order.
    pub cells: Vec<Cell>,
}

impl Cell {
    fn of(entry: usize, records: Option<Bytes>) -> Self {
        let header = records.as_ref().and_then(|records| Header::read(records).ok().flatten());
        Self {
            entry,
            records,
            stamp: header.as_ref().and_then(Stamp::of),
            extent: header.as_ref().map(Extent::from).unwrap_or_default(),
            aside: None,
            partial: false,
            judged: false,
            waits: false,
            trail: None,
            clock: None,
        }
    }

    /// Whether its producer's batches before it let it go.
    #[must_use]
    pub fn when(&self) -> When {
        self.trail.as_ref().map_or(When::Now, Trail::when)
    }

    /// Whether nothing of it is left, and its producer hears so in its turn.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.trail.is_some() && self.records.as_ref().is_some_and(Bytes::is_empty)
    }

    /// Whether somebody waits to hear what becomes of it.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.trail.is_some()
    }

    /// The records, until they are let go.
    #[must_use]
    pub fn records(&self) -> Option<&Bytes> {
        self.records.as_ref()
    }
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

impl Part {
    /// Adds a cell to those for this broker. So many may follow: mostly one broker leads all of them.
    pub fn put(parts: &mut Vec<Self>, to: Target, cell: Cell, following: usize) {
        Self::put_at(parts, 0, to, cell, following);
    }

    /// The same for a broker that gets several: to this one of its parts.
    fn put_at(parts: &mut Vec<Self>, place: usize, to: Target, cell: Cell, following: usize) {
        if let Some(part) = parts.iter_mut().filter(|part| part.to == to).nth(place) {
            return part.cells.push(cell);
        }
        let mut cells = Vec::with_capacity(1 + following);
        cells.push(cell);
        parts.push(Self { to, cells });
    }

    /// Lets go of the records, once they are on their way: the frame's memory is used again as soon as it is written.
    pub fn release_records(&mut self) {
        self.cells.iter_mut().for_each(|cell| cell.records = None);
    }
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

    /// The partitions of a part of which a broker refuses an idempotent producer's batch, or says nothing, each with the
    /// code that the client hears. All refusals count, also those that are meant for good: that some client sends such a
    /// batch again is not ours to rule out.
    #[must_use]
    pub fn refused(&self, part: &Part, answer: &ProduceResponse) -> Vec<(Partition, i16)> {
        let code = |cell: &Cell| self.told(cell, answer).map_or(codes::REQUEST_TIMED_OUT, |(_, told)| told.error_code);
        let idempotent = part.cells.iter().filter(|cell| cell.stamp.is_some());
        let told = idempotent.filter_map(|cell| Some((self.partition_of(cell)?, code(cell))));
        told.filter(|(_, code)| !codes::is_written(*code)).collect()
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

    /// Takes a broker's answer to a part.
    pub fn absorb(&mut self, part: &Part, answer: ProduceResponse, seen: &Seen<'_>, effects: &mut Effects) {
        self.throttle_ms = self.throttle_ms.max(answer.throttle_time_ms);
        self.endpoints.extend(endpoints(part.to.cluster, &answer.node_endpoints, seen));
        for cell in &part.cells {
            let (id, told) =
                self.told(cell, &answer).map_or((Uuid::nil(), None), |(id, told)| (id, Some(told.clone())));
            // A broker that leaves a partition out has told nothing of it: it may have been written.
            let told = told.unwrap_or_else(|| failed(codes::REQUEST_TIMED_OUT));
            let written = self.place_of(cell).filter(|_| codes::is_written(told.error_code));
            effects.extend(written.and_then(|at| cell.written(part.to.cluster, at, told.base_offset)).map(Effect::Saw));
            self.note(cell, told.error_code, part.to.cluster, effects);
            self.note_lead(cell, id, &told.current_leader, part.to.cluster, effects);
            self.settle(cell, ours(told, part.to.cluster, seen));
        }
    }

    /// A part got no answer: "unknown" where it was sent, "ask again" where it was not.
    pub fn fail(&mut self, part: &Part, fault: &Fault, effects: &mut Effects) {
        let code = if fault.sent { codes::REQUEST_TIMED_OUT } else { codes::NOT_LEADER_OR_FOLLOWER };
        for cell in &part.cells {
            self.note(cell, codes::NOT_LEADER_OR_FOLLOWER, part.to.cluster, effects);
            self.settle(cell, failed(code));
        }
    }

    /// Gives up on cells that nobody led for too long.
    pub fn give_up(&mut self, held: &[Cell]) {
        for cell in held {
            self.settle(cell, failed(codes::NOT_LEADER_OR_FOLLOWER));
        }
    }

    /// What is told of a cell, and the id of its topic where the broker speaks of ids.
    fn told<'a>(&self, cell: &Cell, answer: &'a ProduceResponse) -> Option<(Uuid, &'a PartitionProduceResponse)> {
        let (asked, index) = self.goes_to(cell)?;
        let same = |topic: &&TopicProduceResponse| {
            if topic.name.0.is_empty() { topic.topic_id == asked.id } else { topic.name == *asked.name_there() }
        };
        let mut partitions = answer
            .responses
            .iter()
            .filter(same)
            .flat_map(|topic| topic.partition_responses.iter().map(|told| (topic.topic_id, told)));
        partitions.find(|(_, told)| told.index == index)
    }

    fn note(&self, cell: &Cell, code: i16, cluster: Slot, effects: &mut Effects) {
        if let Some((topic, _)) = self.goes_to(cell).filter(|_| codes::asks_for_refresh(code)) {
            effects.push(Effect::Refresh(cluster, topic.name_there().0.clone()));
        }
    }

    fn note_lead(&self, cell: &Cell, id: Uuid, told: &LeaderIdAndEpoch, cluster: Slot, effects: &mut Effects) {
        if let Some((topic, index)) = self.goes_to(cell) {
            effects.extend(crate::api::lead(
                cluster,
                (&topic.name_there().0, id),
                index,
                (told.leader_id.0, told.leader_epoch),
            ));
        }
    }

    /// A batch of the same producer that came before this one has failed: both are to be sent again.
    pub fn fail_behind(&mut self, cell: &Cell) {
        self.settle(cell, failed(codes::OUT_OF_ORDER_SEQUENCE_NUMBER));
    }

    /// All of a batch is dropped, and nothing before it may fail any more.
    pub fn pass_dropped(&mut self, cell: &Cell) {
        self.settle(cell, failed(codes::NONE));
    }

    /// What a cell's producer sends again is written already.
    pub fn answer_again(&mut self, cell: &Cell, told: Told) {
        let answer = failed(codes::NONE).with_base_offset(told.offset).with_log_append_time_ms(told.append_time_ms);
        self.settle(cell, answer.with_log_start_offset(told.log_start));
    }

    /// One cell is answered. Where a partition has several, an error wins, and no single offset speaks for them.
    fn settle(&mut self, cell: &Cell, answer: PartitionProduceResponse) {
        let Some(entry) = self.slots.get_mut(cell.entry) else { return };
        if let Some(clock) = &cell.clock {
            clock.stop();
        }
        if let Some(trail) = &cell.trail {
            trail.ends(outcome(&answer));
        }
        entry.open = entry.open.saturating_sub(1);
        let index = entry.index;
        // Of another partition than the client asked about nothing but the code and its reason concerns it.
        let answer = if cell.aside.is_some() { plain(&answer) } else { answer };
        let offset = if cell.partial { NO_OFFSET } else { answer.base_offset };
        let answer = answer.with_index(index).with_base_offset(offset);
        entry.answer = Some(match entry.answer.take() {
            None => Box::new(answer),
            Some(first) if first.error_code != 0 => first,
            Some(_) if answer.error_code != 0 => Box::new(answer),
            Some(first) => Box::new(first.with_base_offset(NO_OFFSET)),
        });
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

    /// Policy refuses a cell, for what these records are: each by its place in the batch, with a reason.
    pub fn refuse(&mut self, cell: &Cell, code: i16, message: String, records: Vec<(i32, String)>) {
        let told = |(place, why)| {
            BatchIndexAndErrorMessage::default()
                .with_batch_index(place)
                .with_batch_index_error_message(Some(StrBytes::from_string(why)))
        };
        let answer = failed(code)
            .with_error_message(Some(StrBytes::from_string(message)))
            .with_record_errors(records.into_iter().map(told).collect());
        self.settle(cell, answer);
    }

    /// Whether a partition is answered with an error.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let refused = |entry: &Entry| entry.answer.as_ref().is_some_and(|answer| answer.error_code != codes::NONE);
        self.slots.iter().any(refused)
    }

    /// Whether every partition is answered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.slots.iter().all(|entry| entry.open == 0)
    }

    /// The answer to the client: every partition once, in the order it asked.
    pub fn response(&mut self) -> ProduceResponse {
        let topic = |of: OfTopic| TopicProduceResponse::default().with_name(of.name).with_topic_id(of.id);
        let mut responses: Vec<_> = std::mem::take(&mut self.topics).into_iter().map(topic).collect();
        for entry in std::mem::take(&mut self.slots) {
            let unknown = || Box::new(failed(codes::REQUEST_TIMED_OUT).with_index(entry.index));
            let answer = entry.answer.unwrap_or_else(unknown);
            if let Some(topic) = responses.get_mut(entry.topic) {
                topic.partition_responses.push(*answer);
            }
        }
        let mut endpoints = std::mem::take(&mut self.endpoints);
        endpoints.sort_by_key(|node| node.node_id);
        endpoints.dedup_by_key(|node| node.node_id);
        ProduceResponse::default()
            .with_responses(responses)
            .with_throttle_time_ms(self.throttle_ms)
            .with_node_endpoints(endpoints)
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

/// What an answer means to who writes for a producer.
fn outcome(answer: &PartitionProduceResponse) -> Outcome {
    match answer.error_code {
        code if codes::is_written(code) => Outcome::Written(Told {
            offset: answer.base_offset,
            append_time_ms: answer.log_append_time_ms,
            log_start: answer.log_start_offset,
        }),
        code if codes::is_for_good(code) => Outcome::Refused,
        _ => Outcome::Open,
    }
}

/// The code and its reason alone.
fn plain(answer: &PartitionProduceResponse) -> PartitionProduceResponse {
    failed(answer.error_code).with_error_message(answer.error_message.clone())
}

fn failed(code: i16) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_error_code(code)
        .with_base_offset(NO_OFFSET)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(-1)
}

/// Fills in the topics' names and ids, so that any version can be written.
pub fn fill_in(request: &mut ProduceRequest, placement: &Placement) {
    for topic in &mut request.topic_data {
        if let Some(place) = placement.topic_of(&topic.name.0, topic.topic_id) {
            (topic.name, topic.topic_id) = (TopicName(place.topic.name.clone()), place.id);
        }
    }
}

/// A broker's word on a partition in our ids, without what we do not know and without its address.
fn ours(mut told: PartitionProduceResponse, cluster: Slot, seen: &Seen<'_>) -> PartitionProduceResponse {
    told.untag();
    told.current_leader.leader_id = seen.virtual_id(cluster, told.current_leader.leader_id.0);
    told.error_message = scrubbed_message(told.error_message, cluster, seen.placement);
    for record in &mut told.record_errors {
        let message = record.batch_index_error_message.take();
        record.batch_index_error_message = scrubbed_message(message, cluster, seen.placement);
    }
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
    use super::*;
    use crate::api::testing::{World, at};
    use crate::placement::build::tests::{slot, topic};
    use crate::policy::deputy::{Before, Came, Deputy, Seen, Shared};
    use crate::policy::parting::Parting;
    use crate::types::BrokerId;
    use crate::types::SessionId;
    use crate::upstream::Lead;
    use crate::wire::batch::edit::{Fate, Lane as EditorLane, Sender};
    use parking_lot::Mutex;
    use proptest::prelude::*;
    use std::sync::Arc;
    use std::time::Instant;

    fn request(topics: &[(&'static str, &[i32])]) -> ProduceRequest {
        let topic = |(name, partitions): &(&'static str, &[i32])| {
            let data = partitions.iter().map(|index| {
                PartitionProduceData::default().with_index(*index).with_records(Some(Bytes::from(vec![1; 3])))
            });
            TopicProduceData::default()
                .with_name(TopicName(StrBytes::from_static_str(name)))
                .with_partition_data(data.collect())
        };
        ProduceRequest::default().with_acks(-1).with_topic_data(topics.iter().map(topic).collect())
    }

    /// A broker that writes everything at offset 100 + partition.
    fn written(request: &ProduceRequest) -> ProduceResponse {
        let topic = |topic: &TopicProduceData| {
            let told = topic.partition_data.iter().map(|data| {
                PartitionProduceResponse::default().with_index(data.index).with_base_offset(100 + i64::from(data.index))
            });
            TopicProduceResponse::default()
                .with_name(topic.name.clone())
                .with_topic_id(topic.topic_id)
                .with_partition_responses(told.collect())
        };
        ProduceResponse::default().with_responses(request.topic_data.iter().map(topic).collect())
    }

    fn answers(response: &ProduceResponse) -> Vec<(String, i32, i16, i64)> {
        let flat = |topic: &TopicProduceResponse| {
            let name = topic.name.0.to_string();
            let one =
                move |told: &PartitionProduceResponse| (name.clone(), told.index, told.error_code, told.base_offset);
            topic.partition_responses.iter().map(one).collect::<Vec<_>>()
        };
        response.responses.iter().flat_map(flat).collect()
    }

    #[test]
    fn a_partition_that_lives_elsewhere_than_its_transaction_is_refused() {
        let world = World::with(&[topic("x", &[1])], &[topic("b-1", &[2, -1])]);
        let of = |id: &str| {
            let id = Some(TransactionalId(StrBytes::from_string(id.to_owned())));
            let (mut ledger, cells) = Ledger::open(request(&[("x", &[0]), ("b-1", &[0, 1])]).with_transactional_id(id));
            let routed = ledger.route(cells, &world.seen(12));
            (routed, ledger)
        };
        // One that is at home there goes on, and what has no leader now waits for one
        let (routed, mut ledger) = of("tb-1");
        assert_eq!(routed.parts.iter().map(|part| part.to).collect::<Vec<_>>(), [at(1, 2)]);
        assert_eq!((routed.held.len(), routed.refused.len(), routed.in_doubt), (1, 1, false));
        let span = routed.span.unwrap();
        assert_eq!((span.home, span.lives_on, span.what.name()), (slot(1), slot(0), "x"));
        assert_eq!(answers(&ledger.response())[0], ("x".to_owned(), 0, codes::INVALID_TXN_STATE, -1));
        // And one that lives on the other cluster has neither
        let (routed, mut ledger) = of("t");
        assert_eq!(routed.parts.iter().map(|part| part.to).collect::<Vec<_>>(), [at(0, 1)]);
        assert_eq!((routed.held.len(), routed.refused.len()), (0, 2));
        let refused: Vec<_> = answers(&ledger.response()).into_iter().skip(1).map(|told| told.2).collect();
        assert_eq!(refused, [codes::INVALID_TXN_STATE; 2]);
    }

    #[test]
    fn a_partition_of_a_topic_by_id_is_the_same_before_and_after_the_topic_is_known() {
        let key = |name: &str, world: &World| {
            let mut request = request(&[("", &[0])]);
            request.topic_data[0].topic_id = topic(name, &[]).id;
            let (mut ledger, cells) = Ledger::open(request);
            ledger.route(cells.clone(), &world.seen(13));
            (ledger.partition_of(&cells[0]).unwrap(), ledger.topic_of(&cells[0]).unwrap().to_string())
        };
        let (early, later) = (World::default(), World::with(&[topic("x", &[1]), topic("y", &[1])], &[]));
        let (x, y) = (key("x", &early), key("y", &early));
        assert_ne!(x.0, y.0, "they hold nothing of each other back");
        assert_eq!((x.0, x.1), (key("x", &later).0, String::new()), "nor does a later batch overtake");
        assert_eq!(key("x", &later).1, "x");
        let (ledger, cells) = Ledger::open(request(&[("x", &[0])]));
        let named = ledger.partition_of(&cells[0]).unwrap();
        assert_eq!(keys_of(&topic("x", &[])), [named.topic, x.0.topic]);
    }

    #[test]
    fn parts_go_to_their_leaders_and_answers_come_back_in_the_clients_order() {
        let world = World::with(&[topic("x", &[1, 2])], &[topic("b-1", &[1])]);
        let (mut ledger, cells) = Ledger::open(request(&[("x", &[1, 0]), ("b-1", &[0]), ("nope", &[0])]));
        let mut seen = world.seen(9);
        let tried = Need::Topics { cluster: slot(0), names: vec![StrBytes::from_static_str("nope")], create: false };
        let refused = [(tried, Refusal::Done)].into();
        seen.refused = &refused;
        let routed = ledger.route(cells, &seen);
        assert_eq!(routed.parts.iter().map(|part| part.to).collect::<Vec<_>>(), [at(0, 2), at(0, 1), at(1, 1)]);
        for part in routed.parts.iter().rev() {
            let answer = written(&ledger.request(part));
            ledger.absorb(part, answer, &seen, &mut Vec::new());
        }
        assert!(ledger.is_complete());
        let told = answers(&ledger.response());
        let name = |name: &str, index, code, offset| (name.to_owned(), index, code, offset);
        let expected = [name("x", 1, 0, 101), name("x", 0, 0, 100), name("b-1", 0, 0, 100), name("nope", 0, 3, -1)];
        assert_eq!(told, expected, "[L2] with the broker's own offsets");
    }

    #[test]
    fn a_parked_produce_is_held_and_planned_again_when_a_leader_is_there() {
        let before = World::with(&[topic("x", &[-1, 1])], &[]);
        let (mut ledger, cells) = Ledger::open(request(&[("x", &[0, 1])]));
        let routed = ledger.route(cells, &before.seen(9));
        assert_eq!((routed.parts.len(), routed.held.len()), (1, 1));
        ledger.absorb(&routed.parts[0], written(&ledger.request(&routed.parts[0])), &before.seen(9), &mut Vec::new());
        assert!(!ledger.is_complete(), "the parked partition keeps the answer back");
        let after = World::with(&[topic("x", &[3, 1])], &[]);
        let again = ledger.route(routed.held, &after.seen(9));
        assert_eq!(again.parts[0].to, at(0, 3));
        ledger.absorb(&again.parts[0], written(&ledger.request(&again.parts[0])), &after.seen(9), &mut Vec::new());
        assert_eq!(answers(&ledger.response()).len(), 2);
    }

    #[test]
    fn a_topic_that_nobody_could_be_asked_about_leaves_its_batches_in_doubt() {
        let world = World::with(&[], &[]);
        let need = Need::Topics { cluster: slot(0), names: vec![StrBytes::from_static_str("x")], create: false };
        for (refusal, in_doubt) in [(Refusal::Fault(Fault::proxy("down")), true), (Refusal::Done, false)] {
            let (mut ledger, cells) = Ledger::open(request(&[("x", &[0])]));
            assert!(!ledger.is_refused());
            let refused = [(need.clone(), refusal)].into();
            let routed = ledger.route(cells, &crate::api::Seen { refused: &refused, ..world.seen(9) });
            assert_eq!((routed.in_doubt, ledger.is_refused()), (in_doubt, true));
        }
    }

    /// One half of it for its own partition, the other for a lane.
    fn halves(ledger: &mut Ledger, cell: &Cell) -> Vec<Cell> {
        let lane = ledger.lane("b-dlq", OnDown::Hold);
        let piece =
            |records, lane| Piece { records: Bytes::from_static(records), lane, round: None, trail: None, clock: None };
        ledger.instead(cell, vec![piece(b"k", None), piece(b"m", Some(lane))], false)
    }

    #[test]
    fn what_is_all_dropped_or_refused_is_answered_at_once() {
        let world = World::with(&[topic("x", &[1])], &[]);
        let (mut ledger, cells) = Ledger::open(request(&[("x", &[0, 1])]));
        assert_eq!(ledger.instead(&cells[0], Vec::new(), false), []);
        ledger.refuse(&cells[1], codes::INVALID_RECORD, "no".to_owned(), vec![(3, "why".to_owned())]);
        assert!(ledger.is_complete());
        let response = ledger.response();
        assert_eq!(answers(&response), [("x".to_owned(), 0, 0, NO_OFFSET), ("x".to_owned(), 1, 87, NO_OFFSET)]);
        assert_eq!(response.responses[0].partition_responses[1].record_errors[0].batch_index, 3);
        drop(world);
    }

    #[test]
    fn a_lane_that_is_away_is_what_its_config_says() {
        // Nobody leads the lane, or there is none
        for (partitions, unknown) in [(&[-1][..], false), (&[], true)] {
            let lanes = if unknown { Vec::new() } else { vec![topic("b-dlq", partitions)] };
            let world = World::with(&[topic("x", &[1])], &lanes);
            for on_down in OnDown::ALL {
                let (mut ledger, mut cells) = Ledger::open(request(&[("x", &[0])]));
                let lane = ledger.lane("b-dlq", *on_down);
                let moved = Piece {
                    records: Bytes::from_static(b"m"),
                    lane: Some(lane),
                    round: None,
                    trail: None,
                    clock: None,
                };
                let cells = ledger.instead(&cells.remove(0), vec![moved], false);
                let mut routed = ledger.route(cells, &world.seen(9));
                if unknown {
                    assert_eq!((routed.held.len(), routed.needs.len()), (1, 1), "it is asked for first");
                    let refused = routed.needs.drain(..).map(|need| (need, Refusal::Done)).collect();
                    let seen = crate::api::Seen { refused: &refused, ..world.seen(9) };
                    routed = ledger.route(std::mem::take(&mut routed.held), &seen);
                }
                let came = (routed.held.len(), routed.parts.first().map(|part| part.to), ledger.is_refused());
                let expected = match on_down {
                    OnDown::Main => (0, Some(at(0, 1)), false),
                    OnDown::Hold if !unknown => (1, None, false),
                    OnDown::Hold | OnDown::Reject => (0, None, true),
                };
                assert_eq!(came, expected, "{on_down}, {unknown}");
                if ledger.is_refused() {
                    assert_eq!(answers(&ledger.response())[0].2, codes::NOT_LEADER_OR_FOLLOWER, "clients come again");
                }
            }
        }
    }

    #[test]
    fn a_request_bears_each_partition_once() {
        // Where a client writes to what is its neighbour's lane
        let world = World::with(&[topic("x", &[1]), topic("a-over", &[1])], &[]);
        let (mut ledger, mut cells) = Ledger::open(request(&[("x", &[0]), ("a-over", &[0])]));
        let own = cells.pop().unwrap();
        let lane = ledger.lane("a-over", OnDown::Hold);
        let moved =
            Piece { records: Bytes::from_static(b"m"), lane: Some(lane), round: None, trail: None, clock: None };
        let mut all = ledger.instead(&cells[0], vec![moved], false);
        all.push(own);
        let routed = ledger.route(all, &world.seen(9));
        let records = |part: &Part| part.cells.iter().map(|cell| cell.records().unwrap().clone()).collect::<Vec<_>>();
        assert_eq!(routed.parts.iter().map(records).collect::<Vec<_>>(), [[&b"m"[..]], [&[1; 3][..]]]);
        assert!(routed.parts.iter().all(|part| part.to == at(0, 1)), "one behind the other");
    }

    #[test]
    fn what_a_deputy_numbered_for_a_lane_waits_for_it_and_tells_what_becomes_of_it() {
        let world = World::with(&[topic("x", &[1])], &[topic("b-dlq", &[-1])]);
        let (mut ledger, mut cells) = Ledger::open(request(&[("x", &[0])]));
        let deputy: Shared = Arc::new(Mutex::new(Deputy::new(Instant::now())));
        let client = Sender { id: 7, epoch: 0, sequence: 0 };
        let came = Came {
            client,
            count: 1,
            by: SessionId(1),
            now: Instant::now(),
            before: Before::Nothing,
            is_open: &|_| true,
        };
        assert_eq!(deputy.lock().see(came), Seen::New);
        let (number, _) = deputy.lock().take(client, 1, Parting::Whole(Fate::KEPT), |_| None);
        let lane = Some(ledger.lane("b-dlq", OnDown::Main));
        let trail = Some(Trail::new(&deputy, number, EditorLane::MAIN));
        let moved = Piece { records: Bytes::from_static(b"m"), lane, round: None, trail, clock: None };
        let cells = ledger.instead(&cells.remove(0), vec![moved], false);
        let routed = ledger.route(cells, &world.seen(9));
        assert_eq!((routed.parts.len(), routed.held.len()), (0, 1), "its number fits nowhere else");
        ledger.give_up(&routed.held);
        assert!(matches!(deputy.lock().see(came), Seen::Again { .. }), "it is sent again");
        ledger.settle(&routed.held[0], failed(codes::NONE).with_base_offset(9));
        let Seen::Written(told) = deputy.lock().see(came) else { panic!() };
        assert_eq!(told.offset, 9);
    }

    #[test]
    fn an_edited_batch_is_answered_when_both_halves_are_and_bears_no_single_offset() {
        let world = World::with(&[topic("x", &[1])], &[topic("b-dlq", &[2])]);
        let (mut ledger, mut cells) = Ledger::open(request(&[("x", &[0])]));
        let cells = halves(&mut ledger, &cells.remove(0));
        let mut routed = ledger.route(cells, &world.seen(9));
        let lane = routed.parts.pop().unwrap();
        assert_eq!((routed.parts[0].to, lane.to), (at(0, 1), at(1, 2)));
        assert!(!ledger.is_whole(&routed.parts[0]), "the client's frame says something else");
        let asked = ledger.request(&lane);
        assert_eq!((asked.topic_data[0].name.as_str(), asked.topic_data[0].partition_data[0].index), ("b-dlq", 0));
        ledger.absorb(&routed.parts[0], written(&ledger.request(&routed.parts[0])), &world.seen(9), &mut Vec::new());
        assert!(!ledger.is_complete(), "a diverted batch is acknowledged when the lane has acknowledged it");
        ledger.absorb(&lane, written(&ledger.request(&lane)), &world.seen(9), &mut Vec::new());
        assert!(ledger.is_complete());
        assert_eq!(answers(&ledger.response()), [("x".to_owned(), 0, 0, NO_OFFSET)]);
    }

    #[test]
    fn what_two_partitions_bring_to_one_of_a_lane_goes_in_two_requests() {
        // Given a lane of one partition, and two batches that go there and stay, each in half
        let world = World::with(&[topic("x", &[1, 1])], &[topic("b-dlq", &[2])]);
        let (mut ledger, cells) = Ledger::open(request(&[("x", &[0, 1])]));
        let cells: Vec<_> = cells.iter().flat_map(|cell| halves(&mut ledger, cell)).collect();
        // Then no request names a partition twice: a broker would take the last and acknowledge both
        let parts = ledger.route(cells, &world.seen(9)).parts;
        let named = |part: &Part| {
            let topics = ledger.request(part).topic_data.into_iter();
            let each = |topic: TopicProduceData| {
                let name = topic.name.to_string();
                topic.partition_data.into_iter().map(move |data| (name.clone(), data.index)).collect::<Vec<_>>()
            };
            (part.to, topics.flat_map(each).collect::<Vec<_>>())
        };
        let (x, lane) = (|index| ("x".to_owned(), index), || vec![("b-dlq".to_owned(), 0)]);
        let expected = [(at(0, 1), vec![x(0), x(1)]), (at(1, 2), lane()), (at(1, 2), lane())];
        assert_eq!(parts.iter().map(named).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_canarys_records_go_to_the_topic_by_its_name_over_there_and_nobody_elses() {
        let world = World::with_canary(&[topic("e-1", &[1, 1])], &[topic("e-1", &[3])]);
        let (mut ledger, cells) = Ledger::open(request(&[("e-1", &[1])]));
        let lane = ledger.lane("e-1--at--b", OnDown::Hold);
        let moved =
            Piece { records: Bytes::from_static(b"m"), lane: Some(lane), round: None, trail: None, clock: None };
        let cells = ledger.instead(&cells[0], vec![moved], false);
        let parts = ledger.route(cells, &world.seen(9)).parts;
        let asked = ledger.request(&parts[0]);
        let to = (&*asked.topic_data[0].name.0, asked.topic_data[0].partition_data[0].index);
        assert_eq!((parts[0].to, to), (at(1, 3), ("e-1", 0)), "partition 1 of two is 0 of one");
        let mut effects = Vec::new();
        let answer = written(&asked);
        ledger.absorb(&parts[0], answer, &world.seen(9), &mut effects);
        assert_eq!((answers(&ledger.response()), effects), (vec![("e-1".to_owned(), 1, 0, NO_OFFSET)], vec![]));
        // What a client writes there is refused, for good
        let (mut ledger, cells) = Ledger::open(request(&[("e-1--at--b", &[0])]));
        assert_eq!(ledger.route(cells, &world.seen(9)).refused.len(), 1);
        assert_eq!(answers(&ledger.response())[0].2, codes::INVALID_TOPIC_EXCEPTION);
    }

    #[test]
    fn half_of_an_edited_batch_that_fails_fails_the_partition() {
        let world = World::with(&[topic("x", &[1])], &[topic("b-dlq", &[2])]);
        for failing_first in [true, false] {
            let (mut ledger, mut cells) = Ledger::open(request(&[("x", &[0])]));
            let cells = halves(&mut ledger, &cells.remove(0));
            let parts = ledger.route(cells, &world.seen(9)).parts;
            let fault = Fault::upstream(at(0, 1), true, "gone");
            let good = written(&ledger.request(&parts[0]));
            if failing_first {
                ledger.fail(&parts[1], &fault, &mut Vec::new());
            }
            ledger.absorb(&parts[0], good, &world.seen(9), &mut Vec::new());
            if !failing_first {
                ledger.fail(&parts[1], &fault, &mut Vec::new());
            }
            assert_eq!(answers(&ledger.response()), [("x".to_owned(), 0, 7, NO_OFFSET)]);
        }
    }

    #[test]
    fn no_broker_reaches_the_client_and_a_leader_error_asks_for_metadata() {
        let world = World::with(&[], &[topic("b-1", &[1])]);
        let (mut ledger, cells) = Ledger::open(request(&[("b-1", &[0])]));
        let routed = ledger.route(cells, &world.seen(10));
        let leader = LeaderIdAndEpoch::default().with_leader_id(3.into()).with_leader_epoch(9);
        let told = PartitionProduceResponse::default().with_error_code(6).with_current_leader(leader);
        let node = NodeEndpoint::default().with_node_id(3.into()).with_host(StrBytes::from_static_str("secret"));
        let name = TopicName(StrBytes::from_static_str("b-1"));
        let topics = vec![TopicProduceResponse::default().with_name(name).with_partition_responses(vec![told])];
        let answer = ProduceResponse::default().with_responses(topics).with_node_endpoints(vec![node]);
        let mut effects = Vec::new();
        ledger.absorb(&routed.parts[0], answer, &world.seen(10), &mut effects);
        let name = StrBytes::from_static_str("b-1");
        let lead = Lead { topic: name.clone(), id: Uuid::nil(), partition: 0, leader: BrokerId(3), epoch: 9 };
        assert_eq!(effects, [Effect::Refresh(slot(1), name), Effect::Leads(slot(1), lead)], "and it is believed");
        let response = ledger.response();
        assert_eq!(&*response.node_endpoints[0].host, "proxy.example");
        let leader = &response.responses[0].partition_responses[0].current_leader;
        assert_eq!((leader.leader_id.0, leader.leader_epoch), ((1 << 25) | 3, 9));
    }

    proptest! {
        #[test]
        fn every_partition_is_answered_exactly_once(
            asked in prop::collection::vec((0_usize..4, prop::collection::btree_set(0_i32..5, 0..4)), 0..5),
            outcomes in prop::collection::vec(0_u8..3, 32),
        ) {
            const NAMES: [&str; 4] = ["x", "y", "b-1", "nope"];
            let world = World::with(&[topic("x", &[1, 2, -1]), topic("y", &[3])], &[topic("b-1", &[1, 2, 3, 1])]);
            let mut names: Vec<usize> = asked.iter().map(|(topic, _)| *topic).collect();
            names.dedup();
            let lists: Vec<(&'static str, Vec<i32>)> =
                asked.iter().map(|(t, p)| (NAMES[*t], p.iter().copied().collect())).collect();
            let slices: Vec<(&'static str, &[i32])> = lists.iter().map(|(t, p)| (*t, p.as_slice())).collect();
            let (mut ledger, cells) = Ledger::open(request(&slices));
            let count = cells.len();
            let routed = ledger.route(cells, &world.seen(9));
            for (part, outcome) in routed.parts.iter().zip(&outcomes) {
                match outcome {
                    0 => ledger.absorb(part, written(&ledger.request(part)), &world.seen(9), &mut Vec::new()),
                    1 => ledger.absorb(part, ProduceResponse::default(), &world.seen(9), &mut Vec::new()),
                    _ => ledger.fail(part, &Fault::upstream(part.to, false, "x"), &mut Vec::new()),
                }
            }
            ledger.give_up(&routed.held);
            prop_assert!(ledger.is_complete());
            let expected: Vec<_> =
                lists.iter().flat_map(|(t, p)| p.iter().map(move |index| ((*t).to_owned(), *index))).collect();
            let told: Vec<_> = answers(&ledger.response()).into_iter().map(|(t, p, ..)| (t, p)).collect();
            prop_assert_eq!(told.len(), count);
            prop_assert_eq!(told, expected);
        }
    }
}
