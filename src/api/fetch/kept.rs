//! What a broker told in answer to a poll and nobody has claimed yet: its pieces, each at the position that was asked, and
//! which of them fit into a client's answer. `split` decides who is asked and when a client is answered.

use super::super::{Effect, Effects, Seen, codes};
use super::asked::{Asked, Entry, Place, Position, Whom};
use super::told::{endpoints, nothing, ours};
use crate::error::Fault;
use crate::types::{FastMap, Target};
use bytes::Bytes;
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::{NodeEndpoint, PartitionData};
use kafka_protocol::protocol::StrBytes;
use std::time::Instant;
use uuid::Uuid;

/// A Fetch that a broker has.
#[derive(Debug)]
pub(super) struct Poll {
    pub(super) number: u64,
    pub(super) asked: FastMap<Place, Position>,
    pub(super) topics: Vec<(StrBytes, Uuid)>,
    pub(super) isolation: i8,
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
    pub(super) pieces: FastMap<Place, Piece>,
    pub(super) frame: Bytes,
    pub(super) endpoints: Vec<NodeEndpoint>,
    pub(super) fault: Option<Fault>,
}

#[derive(Debug)]
pub(super) struct Piece {
    pub(super) at: Position,
    pub(super) told: PartitionData,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) id: Uuid,
    pub(super) high_watermark: i64,
    pub(super) last_stable: i64,
    pub(super) log_start: i64,
}

/// Which entries stay for the next Fetch, since the client takes no more than `most` bytes: those that came last. As with
/// Kafka the first goes, however large it is.
pub(super) fn left_out(asked: &Asked, kept: &[Option<Kept>], most: usize) -> Vec<bool> {
    let mut pieces: Vec<(u64, usize, usize)> = Vec::new();
    for (at, entry) in asked.entries.iter().enumerate() {
        if let Whom::Broker(broker) = entry.whom
            && let Some(Some(kept)) = kept.get(broker)
            && let Some(piece) = kept.pieces.get(&entry.place)
        {
            pieces.push((kept.since, at, piece.size()));
        }
    }
    pieces.sort_unstable();
    let (mut stays, mut taken) = (vec![false; asked.entries.len()], 0);
    for (_, at, size) in pieces {
        if size > 0 && taken > 0 && taken + size > most {
            stays[at] = true;
        } else {
            taken += size;
        }
    }
    stays
}

impl Poll {
    /// What the answer to this poll tells, in our ids. What it was not asked, or is told twice, is left aside.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn take(
        mut self,
        (since, now): (u64, Instant),
        from: Target,
        answer: FetchResponse,
        frame: Bytes,
        ends: &mut FastMap<Place, Ends>,
        seen: &Seen<'_>,
        effects: &mut Effects,
    ) -> Kept {
        let endpoints = endpoints(from.cluster, &answer.node_endpoints, seen).collect();
        let mut kept = Kept { frame, endpoints, ..Kept::new(&self, since, now) };
        let by_id: FastMap<Uuid, &StrBytes> = match answer.responses.iter().any(|topic| topic.topic.0.is_empty()) {
            true => self.topics.iter().map(|(name, id)| (*id, name)).collect(),
            false => FastMap::default(),
        };
        for topic in answer.responses {
            let name =
                if topic.topic.0.is_empty() { by_id.get(&topic.topic_id).copied() } else { Some(&topic.topic.0) };
            let Some(name) = name else { continue };
            if topic.partitions.iter().any(|told| codes::asks_for_refresh(told.error_code)) {
                effects.push(Effect::Refresh(from.cluster, name.clone()));
            }
            for told in topic.partitions {
                let place = Place::of(name, told.partition_index);
                let Some(at) = self.asked.remove(&place) else { continue };
                if told.error_code == codes::NONE {
                    ends.insert(place, Ends::of(at.id, &told));
                }
                let told = ours(told, from.cluster, seen);
                if is_news(&told) {
                    kept.pieces.insert(place, Piece { at, told });
                }
            }
        }
        if answer.error_code != codes::NONE {
            // The broker has it for all. Clients know what to do about few codes in this place.
            effects.extend(self.topics.iter().map(|(name, _)| Effect::Refresh(from.cluster, name.clone())));
            kept.pieces.extend(
                self.asked.drain().map(|(place, at)| {
                    (place, Piece { at, told: nothing(place.index, codes::NOT_LEADER_OR_FOLLOWER) })
                }),
            );
        }
        kept
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

impl Kept {
    /// Nothing yet, from the broker that had this poll.
    pub(super) fn new(poll: &Poll, since: u64, now: Instant) -> Self {
        let (pieces, frame, endpoints) = (FastMap::default(), Bytes::new(), Vec::new());
        Self { since, at: now, isolation: poll.isolation, pieces, frame, endpoints, fault: None }
    }

    pub(super) fn claim(&mut self, entry: &Entry) -> Option<PartitionData> {
        let here = self.pieces.get(&entry.place).is_some_and(|piece| piece.at == entry.at);
        here.then(|| self.pieces.remove(&entry.place)).flatten().map(|piece| piece.told)
    }
}

impl Piece {
    pub(super) fn size(&self) -> usize {
        self.told.records.as_ref().map_or(0, Bytes::len)
    }
}

impl Ends {
    pub(super) fn of(id: Uuid, told: &PartitionData) -> Self {
        let (high_watermark, last_stable) = (told.high_watermark, told.last_stable_offset);
        Self { id, high_watermark, last_stable, log_start: told.log_start_offset }
    }
}
