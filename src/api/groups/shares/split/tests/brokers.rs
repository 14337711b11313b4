//! Brokers that hold records for a share group as Kafka's do, and count the requests of its member's sessions.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "offsets are small here")]

use super::super::super::kept::acknowledged;
use super::super::super::{FINAL, OPENS, asked::Partition};
use super::super::{Outcome, after};
use crate::api::codes;
use crate::api::testing::{World, at};
use crate::placement::Leader;
use crate::placement::build::tests::topic;
use crate::types::Target;
use kafka_protocol::messages::share_acknowledge_request::AcknowledgementBatch;
use kafka_protocol::messages::share_fetch_response::{AcquiredRecords, PartitionData, ShareFetchableTopicResponse};
use kafka_protocol::messages::{
    ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest, ShareFetchResponse,
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const ACCEPT: i8 = 1;
pub(super) const RELEASE: i8 = 2;
const RECORDS: i64 = 12;

/// All partitions.
pub(super) fn places() -> Vec<Partition> {
    let of = |name: &str, indexes: std::ops::Range<i32>| {
        let id = topic(name, &[1]).id;
        indexes.map(move |index| (id, index)).collect::<Vec<_>>()
    };
    let mut all = [of("x", 0..3), of("y", 0..2)].concat();
    all.sort_unstable();
    all
}

/// Who leads what, before and after a move.
pub(super) fn worlds() -> [World; 2] {
    [([1, 2, 1], [2, 3]), ([1, 3, 2], [-1, 3])].map(|(x, y)| World::with(&[topic("x", &x), topic("y", &y)], &[]))
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Taken,
    Accepted,
}

/// A broker's session of the member.
struct Session {
    epoch: i32,
    has: BTreeSet<Partition>,
}

/// See the module's text.
pub(super) struct Brokers {
    worlds: [World; 2],
    /// Which of them is so now.
    pub(super) world: usize,
    sessions: BTreeMap<Target, Option<Session>>,
    records: BTreeMap<Partition, Vec<State>>,
    /// What was acknowledged, and a broker took it.
    pub(super) taken: BTreeSet<Partition>,
}

impl Brokers {
    pub(super) fn new() -> Self {
        Self {
            worlds: worlds(),
            world: 0,
            sessions: (1..=3).map(|id| (at(0, id), None)).collect(),
            records: places().into_iter().map(|at| (at, vec![State::Free; RECORDS as usize])).collect(),
            taken: BTreeSet::new(),
        }
    }

    /// What lives where now.
    pub(super) fn now(&self) -> &World {
        &self.worlds[self.world]
    }

    /// The partitions of which not all records were accepted.
    pub(super) fn left(&self) -> Vec<Partition> {
        let is_left = |log: &Vec<State>| log.iter().any(|state| *state != State::Accepted);
        self.records.iter().filter(|(_, log)| is_left(log)).map(|(at, _)| *at).collect()
    }

    fn leads(&self, to: Target, (topic, index): Partition) -> bool {
        let seen = self.now().seen(1);
        let place = seen.placement.topic_by_id(topic).unwrap();
        matches!(place.leader(index), Leader::At(leader, _) if leader == to)
    }

    fn leader(&self, at: Partition) -> Option<Target> {
        self.sessions.keys().copied().find(|to| self.leads(*to, at))
    }

    /// Others lead what they led: a new leader holds nothing for anybody.
    pub(super) fn moves(&mut self) {
        let before: BTreeMap<_, _> = places().into_iter().map(|at| (at, self.leader(at))).collect();
        self.world = 1 - self.world;
        let moved = before.into_iter().filter(|(at, leader)| self.leader(*at) != *leader).map(|(at, _)| at).collect();
        self.free(&moved);
    }

    /// A broker loses its session, and gives back what that held.
    pub(super) fn forget(&mut self, to: Target) {
        if let Some(session) = self.sessions.get_mut(&to).unwrap().take() {
            let has = session.has.into_iter().filter(|at| self.leads(to, *at)).collect();
            self.free(&has);
        }
    }

    /// What is held of these is free again.
    pub(super) fn free(&mut self, partitions: &BTreeSet<Partition>) {
        for at in partitions {
            let log = self.records.get_mut(at).unwrap().iter_mut();
            log.filter(|state| **state == State::Taken).for_each(|state| *state = State::Free);
        }
    }

    /// As Kafka's broker counts requests: what a request in order finds, or an error.
    fn session(&mut self, to: Target, epoch: i32) -> Result<&mut Session, i16> {
        let session = self.sessions.get_mut(&to).unwrap();
        if epoch == OPENS {
            *session = Some(Session { epoch: OPENS, has: BTreeSet::new() });
        }
        let session = session.as_mut().ok_or(codes::SHARE_SESSION_NOT_FOUND)?;
        if epoch != FINAL {
            assert_eq!(session.epoch, epoch, "{to}: requests out of order");
            session.epoch = after(epoch);
        }
        Ok(session)
    }

    /// A broker is asked for records.
    pub(super) fn polled(&mut self, to: Target, request: &ShareFetchRequest) -> ShareFetchResponse {
        let (added, removed) = (request.topics.iter(), request.forgotten_topics_data.iter());
        let added: Vec<_> =
            added.flat_map(|t| t.partitions.iter().map(move |p| (t.topic_id, p.partition_index))).collect();
        let removed: Vec<_> = removed.flat_map(|t| t.partitions.iter().map(move |p| (t.topic_id, *p))).collect();
        let session = match self.session(to, request.share_session_epoch) {
            Ok(session) => session,
            Err(code) => return ShareFetchResponse::default().with_error_code(code),
        };
        session.has.extend(added);
        removed.iter().for_each(|at| assert!(session.has.remove(at), "it has not {at:?}"));
        let has = session.has.clone();
        let pieces = has.into_iter().map(|at| {
            let piece = PartitionData::default().with_partition_index(at.1);
            let piece = if self.leads(to, at) {
                let log = self.records.get_mut(&at).unwrap();
                let first = log.iter().position(|state| *state == State::Free);
                let range = first.map(|first| {
                    let end = (first + 3).min(log.len());
                    let end = (first..end).find(|i| log[*i] != State::Free).unwrap_or(end);
                    log[first..end].fill(State::Taken);
                    AcquiredRecords::default().with_first_offset(first as i64).with_last_offset(end as i64 - 1)
                });
                piece.with_acquired_records(range.into_iter().collect())
            } else {
                piece.with_error_code(codes::NOT_LEADER_OR_FOLLOWER)
            };
            ShareFetchableTopicResponse::default().with_topic_id(at.0).with_partitions(vec![piece])
        });
        let pieces = pieces.collect();
        ShareFetchResponse::default().with_acquisition_lock_timeout_ms(30_000).with_responses(pieces)
    }

    /// A broker is told what became of records.
    pub(super) fn took(&mut self, to: Target, request: &ShareAcknowledgeRequest) -> ShareAcknowledgeResponse {
        if let Err(code) = self.session(to, request.share_session_epoch).map(|_| ()) {
            return ShareAcknowledgeResponse::default().with_error_code(code);
        }
        let mut outcomes = BTreeMap::new();
        for topic in &request.topics {
            for partition in &topic.partitions {
                let at = (topic.topic_id, partition.partition_index);
                let code = if self.leads(to, at) { self.take(at, &partition.acknowledgement_batches) } else { 6 };
                outcomes.insert(at, Outcome { code, message: None });
            }
        }
        if request.share_session_epoch == FINAL {
            let session = self.sessions.get_mut(&to).unwrap().take().unwrap();
            self.free(&session.has);
        }
        acknowledged(outcomes)
    }

    fn take(&mut self, at: Partition, batches: &[AcknowledgementBatch]) -> i16 {
        let log = self.records.get_mut(&at).unwrap();
        let all = || batches.iter().flat_map(|batch| batch.first_offset..=batch.last_offset);
        if all().any(|offset| log[offset as usize] != State::Taken) {
            return codes::INVALID_RECORD_STATE;
        }
        let state = |batch: &AcknowledgementBatch| match batch.acknowledge_types[0] {
            RELEASE => State::Free,
            _ => State::Accepted,
        };
        for batch in batches {
            let state = state(batch);
            (batch.first_offset..=batch.last_offset).for_each(|offset| log[offset as usize] = state);
        }
        self.taken.insert(at);
        0
    }
}
