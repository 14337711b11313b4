//! What a broker told in answer to a poll and nobody has claimed yet: its pieces, each at the position that was asked, and
//! which of them fit into a client's answer. `split` decides who is asked and when a client is answered.

use super::asked::{Asked, Entry, Position, Whom};
use super::roll::{Roll, Slot};
use super::told::{endpoints, follow, is_old, leads, nothing, ours};
use crate::api::{Effect, Effects, Seen, codes};
use crate::error::Fault;
use crate::types::{FastMap, Target};
use crate::wire::fetch::{Flat, NotPlain, PlainAnswer, Step, ToldPart};
use bytes::Bytes;
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::{NodeEndpoint, PartitionData};
use kafka_protocol::protocol::StrBytes;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

/// A Fetch that a broker has.
#[derive(Debug)]
pub(super) struct Poll {
    pub(super) number: u64,
    pub(super) question: Arc<Flat>,
    /// Those of its partitions.
    pub(super) slots: Vec<Slot>,
    /// The client's version.
    pub(super) version: i16,
    /// When its broker answers at the latest, where it is well.
    pub(super) due: Instant,
}

/// What a broker told that nobody has claimed yet.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) since: u64,
    /// When it came.
    pub(super) at: Instant,
    pub(super) isolation: i8,
    /// The client's, in which slices are.
    pub(super) version: i16,
    /// None of them twice.
    pub(super) pieces: Vec<Piece>,
    pub(super) frame: Bytes,
    pub(super) endpoints: Vec<NodeEndpoint>,
    pub(super) fault: Option<Fault>,
}

#[derive(Debug)]
pub(super) struct Piece {
    pub(super) slot: Slot,
    pub(super) at: Position,
    pub(super) told: Told,
    /// Bytes of records.
    pub(super) size: usize,
}

#[derive(Debug)]
pub(super) enum Told {
    /// As it stands there in the frame, in the client's version.
    Slice(Range<usize>),
    /// As the codec has read it, in our ids.
    Read(Box<PartitionData>),
}

/// A piece that goes to the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) entry: usize,
    /// Which broker of the Fetch, and which of its pieces.
    pub(super) broker: usize,
    pub(super) piece: usize,
    since: u64,
    size: usize,
}

/// The pieces that stand where the client does, of those of the brokers of a Fetch.
pub(super) fn claims(asked: &Asked, kept: &[Option<Kept>], roll: &Roll) -> Vec<Claim> {
    let mut claims = Vec::new();
    for (broker, kept) in kept.iter().enumerate() {
        for (piece, told) in kept.iter().flat_map(|kept| kept.pieces.iter().enumerate()) {
            if let Some((entry, _)) = told.entry(asked, broker, roll)
                && let Some(kept) = kept
            {
                claims.push(Claim { entry, broker, piece, since: kept.since, size: told.size });
            }
        }
    }
    claims
}

/// Leaves out for the next Fetch what the client does not take, which is no more than `most` bytes: those that came last.
/// As with Kafka the first goes, however large it is.
pub(super) fn leave_out(claims: &mut Vec<Claim>, most: usize) {
    claims.sort_unstable_by_key(|claim| (claim.since, claim.entry));
    let mut taken = 0;
    claims.retain(|claim| {
        let fits = claim.size == 0 || taken == 0 || taken + claim.size <= most;
        taken += if fits { claim.size } else { 0 };
        fits
    });
}

impl Poll {
    /// What a plain answer tells, and how long its broker wants to be left alone. What it was not asked, or is told twice, is
    /// left aside.
    pub(super) fn take_plain(&self, kept: &mut Kept, body_at: usize, roll: &mut Roll) -> Result<i32, NotPlain> {
        let frame = kept.frame.clone();
        let mut answer = PlainAnswer::begin(&frame, body_at, self.version)?;
        let mut found = Finding::of(self);
        loop {
            match answer.step()? {
                Step::Topic(name, id) => found.topic(name, id),
                Step::Part(ToldPart { index, ends, records, place }) => {
                    let Some(at) = found.part(index) else { continue };
                    let (Some(slot), Some(part)) = (self.slots.get(at), self.question.parts.get(at)) else { continue };
                    roll.tell(*slot, ends);
                    if records > 0 {
                        let (told, at) = (Told::Slice(place), Position::of(part));
                        kept.pieces.push(Piece { slot: *slot, at, told, size: records });
                    }
                }
                Step::End => return Ok(answer.throttle_ms),
            }
        }
    }

    /// The same of an answer that the codec has read, in our ids.
    pub(super) fn take_read(
        &self,
        kept: &mut Kept,
        from: Target,
        answer: FetchResponse,
        roll: &mut Roll,
        seen: &Seen<'_>,
        effects: &mut Effects,
    ) {
        kept.endpoints = endpoints(from.cluster, &answer.node_endpoints, seen).collect();
        let mut found = Finding::of(self);
        for topic in answer.responses {
            found.topic(topic.topic.as_bytes(), topic.topic_id);
            let place = found.name().and_then(|name| seen.placement.topic_there(from.cluster, &name, topic.topic_id));
            let place = place.map(|place| &**place);
            if topic.partitions.iter().any(|told| is_old(told, from, seen)) {
                effects.extend(found.name().map(|name| Effect::Refresh(from.cluster, name)));
            }
            for told in topic.partitions {
                let Some(at) = found.part(told.partition_index) else { continue };
                let (Some(slot), Some(part)) = (self.slots.get(at), self.question.parts.get(at)) else { continue };
                if told.error_code == codes::NONE {
                    roll.tell(*slot, [told.high_watermark, told.last_stable_offset, told.log_start_offset]);
                }
                // The client asks again at once, and then we ask the replica.
                let referred = told.preferred_read_replica.0 >= 0;
                effects.extend(follow(&told, place, from, seen));
                effects
                    .extend(place.and_then(|place| leads(&told, (place.name_there(), topic.topic_id), from.cluster)));
                let told = ours(told, place, from, seen);
                if referred || is_news(&told) {
                    kept.pieces.push(Piece::of(*slot, Position::of(part), told));
                }
            }
        }
        if answer.error_code != codes::NONE {
            // The broker has it for all. Clients know what to do about few codes in this place.
            effects.extend(self.refreshes(from));
            let all = self.slots.iter().zip(&self.question.parts).zip(&found.told).filter(|(_, told)| !**told);
            let failed = all.map(|((slot, part), _)| {
                Piece::of(*slot, Position::of(part), nothing(part.index, codes::NOT_LEADER_OR_FOLLOWER))
            });
            kept.pieces.extend(failed);
        }
    }

    /// Its topics are to be looked at again.
    pub(super) fn refreshes(&self, from: Target) -> impl Iterator<Item = Effect> {
        self.question.topics.iter().map(move |topic| Effect::Refresh(from.cluster, topic.name.clone()))
    }
}

/// Whether there is anything in it that the client must hear.
fn is_news(told: &PartitionData) -> bool {
    told.error_code != codes::NONE
        || told.records.as_ref().is_some_and(|records| !records.is_empty())
        || told.diverging_epoch.epoch >= 0
        || told.current_leader.leader_epoch >= 0
        || told.preferred_read_replica.0 >= 0
}

/// Finds the partitions of an answer among those that were asked: mostly each behind the one before.
struct Finding<'a> {
    question: &'a Flat,
    /// The topic that the answer is at, and where in the question its partitions begin.
    topic: Option<usize>,
    from: usize,
    next: usize,
    told: Vec<bool>,
    /// Once the answer has another order.
    any_order: Option<AnyOrder<'a>>,
}

/// What was asked, to be found in any order.
struct AnyOrder<'a> {
    /// Where a topic stands first, by name and by id.
    topics: FastMap<(&'a [u8], Uuid), usize>,
    /// Where a partition stands, by where its topic stands first.
    parts: FastMap<(usize, i32), usize>,
}

impl<'a> AnyOrder<'a> {
    fn of(question: &'a Flat) -> Self {
        let (mut topics, mut parts, mut place) = (FastMap::default(), FastMap::default(), 0);
        for (at, (topic, named)) in question.each().enumerate() {
            let first = *topics.entry((topic.name.as_bytes(), Uuid::nil())).or_insert(at);
            topics.entry((&[][..], topic.id)).or_insert(first);
            for part in named {
                parts.insert((first, part.index), place);
                place += 1;
            }
        }
        Self { topics, parts }
    }
}

impl<'a> Finding<'a> {
    fn of(poll: &'a Poll) -> Self {
        let (question, told) = (&*poll.question, vec![false; poll.slots.len()]);
        Self { question, topic: None, from: 0, next: 0, told, any_order: None }
    }

    fn topic(&mut self, name: &[u8], id: Uuid) {
        let question = self.question;
        let is = |at: usize| {
            let named = question.topics.get(at);
            named.is_some_and(|topic| if name.is_empty() { topic.id == id } else { topic.name.as_bytes() == name })
        };
        let next = self.topic.map_or(0, |at| at + 1);
        self.topic = if is(next) { Some(next) } else { self.look(name, id) };
        let before = self.topic.and_then(|at| at.checked_sub(1)).and_then(|before| question.topics.get(before));
        self.from = before.map_or(0, |topic| topic.end);
        self.next = self.from;
    }

    fn look(&mut self, name: &[u8], id: Uuid) -> Option<usize> {
        let id = if name.is_empty() { id } else { Uuid::nil() };
        self.any_order().topics.get(&(name, id)).copied()
    }

    fn any_order(&mut self) -> &AnyOrder<'a> {
        let question = self.question;
        self.any_order.get_or_insert_with(|| AnyOrder::of(question))
    }

    fn part(&mut self, index: i32) -> Option<usize> {
        let topic = self.topic?;
        let end = self.question.topics.get(topic)?.end;
        let is_next = self.next < end && self.question.parts.get(self.next)?.index == index;
        let at = if is_next { self.next } else { self.search(topic, index)? };
        self.next = at + 1;
        (!std::mem::replace(self.told.get_mut(at)?, true)).then_some(at)
    }

    fn search(&mut self, topic: usize, index: i32) -> Option<usize> {
        let topic = self.question.topics.get(topic)?;
        let all = self.any_order();
        let first = *all.topics.get(&(topic.name.as_bytes(), Uuid::nil()))?;
        all.parts.get(&(first, index)).copied()
    }

    /// The name of the topic that the answer is at.
    fn name(&self) -> Option<StrBytes> {
        self.topic.and_then(|at| self.question.topics.get(at)).map(|topic| topic.name.clone())
    }
}

impl Kept {
    /// Nothing yet, from the broker that had this poll.
    pub(super) fn new(poll: &Poll, since: u64, now: Instant, frame: Bytes) -> Self {
        let (isolation, version) = (poll.question.terms.isolation, poll.version);
        Self { since, at: now, isolation, version, pieces: Vec::new(), frame, endpoints: Vec::new(), fault: None }
    }

    /// Whether what is here may go to the client of this Fetch.
    pub(super) fn is_for(&self, asked: &Asked) -> bool {
        self.isolation == asked.terms.isolation && self.version == asked.version
    }
}

impl Piece {
    pub(super) fn of(slot: Slot, at: Position, told: PartitionData) -> Self {
        let size = told.records.as_ref().map_or(0, Bytes::len);
        Self { slot, at, told: Told::Read(Box::new(told)), size }
    }

    /// Where it stands in a Fetch whose turn it is, where that names its partition, and there.
    pub(super) fn entry<'a>(&self, asked: &'a Asked, broker: usize, roll: &Roll) -> Option<(usize, &'a Entry)> {
        let named = self.named(asked, broker, roll);
        named.filter(|(_, entry)| Position::of(&entry.part) == self.at)
    }

    /// The same wherever the client stands.
    pub(super) fn named<'a>(&self, asked: &'a Asked, broker: usize, roll: &Roll) -> Option<(usize, &'a Entry)> {
        let broker = asked.brokers.get(broker)?;
        roll.entry(asked, self.slot).filter(|(_, entry)| entry.whom == Whom::Broker(*broker))
    }
}
