//! What brokers tell a split share session.

use super::super::ShareAnswer;
use super::super::asked::Partition;
use super::super::kept::{Kept, bears_records, is_elsewhere, waited};
use super::super::moves::{Moves, Sent};
use super::outcome::{Outcome, is_lost, lost, outcome_of, unknown};
use super::{Broker, Now, Poll, SOON, Split};
use crate::api::untag::Untag;
use crate::api::{Effect, Effects, Seen, codes, lead, once};
use crate::error::Fault;
use crate::types::Slot;
use crate::wire::codec::copied;
use bytes::Bytes;
use kafka_protocol::messages::share_fetch_response::PartitionData;
use kafka_protocol::messages::{ShareAcknowledgeResponse, ShareFetchResponse, share_acknowledge_response};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use uuid::Uuid;

impl<W> Split<W> {
    /// A poll has come back, or is lost.
    pub fn told(
        &mut self,
        sent: Sent,
        answer: Result<(ShareFetchResponse, Bytes), Fault>,
        now: &Now<'_, '_>,
        effects: &mut Effects,
    ) -> Moves<W> {
        let mut moves = Moves::new();
        let poll = match self.brokers.get_mut(&sent.to) {
            Some(broker) => broker.poll.take_if(|poll| poll.number == sent.number),
            None => None,
        };
        match answer {
            Err(fault) => {
                self.look_again(sent, now.seen, effects);
                self.refused(sent, outcome_of(&fault), Some(fault), now.at);
            }
            Ok((answer, _)) if answer.error_code != codes::NONE => {
                let mut answer = answer;
                answer.of_nodes(sent.to.cluster, now.seen);
                let outcome = Outcome { code: answer.error_code, message: answer.error_message };
                self.refused(sent, Some(outcome).filter(|outcome| !is_lost(outcome.code)), None, now.at);
            }
            Ok((answer, frame)) => self.keep(sent, poll, (answer, frame), now, &mut moves, effects),
        }
        self.go_on(now, &mut moves);
        moves
    }

    /// A broker says what became of acknowledgements, or is lost.
    pub fn acknowledged(
        &mut self,
        sent: Sent,
        answer: Result<ShareAcknowledgeResponse, Fault>,
        now: &Now<'_, '_>,
        effects: &mut Effects,
    ) -> Moves<W> {
        let mut moves = Moves::new();
        let (told, otherwise) = match answer {
            Err(fault) => {
                self.lose(sent);
                self.serving.iter_mut().for_each(|serving| serving.faults.push(fault.clone()));
                (BTreeMap::new(), outcome_of(&fault).unwrap_or_else(lost))
            }
            Ok(mut answer) if answer.error_code != codes::NONE => {
                answer.of_nodes(sent.to.cluster, now.seen);
                self.lose(sent);
                let told = Outcome { code: answer.error_code, message: answer.error_message };
                (BTreeMap::new(), if is_lost(told.code) { lost() } else { told })
            }
            Ok(answer) => (outcomes_in(answer, sent.to.cluster, now.seen, effects), unknown()),
        };
        if let Some(serving) = &mut self.serving {
            serving.settle(sent.number, told, &otherwise);
        }
        self.go_on(now, &mut moves);
        moves
    }

    /// Others may lead by now what a broker led that is gone.
    fn look_again(&self, sent: Sent, seen: &Seen<'_>, effects: &mut Effects) {
        let had = self.brokers.get(&sent.to).into_iter().flat_map(|broker| &*broker.has);
        let topics: BTreeSet<_> = had.map(|(topic, _)| *topic).collect();
        for place in topics.into_iter().filter_map(|topic| seen.placement.topic_by_id(topic)) {
            once(Effect::Refresh(sent.to.cluster, place.topic.name.clone()), effects);
        }
    }

    /// The session there is lost, if it is still that one: the next request opens another.
    fn lose(&mut self, sent: Sent) {
        let broker = self.brokers.get_mut(&sent.to).filter(|broker| broker.incarnation == sent.incarnation);
        broker.into_iter().for_each(Broker::lose);
    }

    /// A poll was refused, or lost.
    fn refused(&mut self, sent: Sent, why: Option<Outcome>, fault: Option<Fault>, now: Instant) {
        self.lose(sent);
        self.brokers.get_mut(&sent.to).into_iter().for_each(|broker| broker.in_vain = true);
        if let Some(serving) = &mut self.serving {
            serving.faults.extend(fault);
            serving.refusal = why.or_else(|| serving.refusal.take());
            serving.hurry(now + SOON);
        }
    }

    /// Keeps what a poll has brought.
    fn keep(
        &mut self,
        sent: Sent,
        poll: Option<Poll>,
        (mut answer, frame): (ShareFetchResponse, Bytes),
        now: &Now<'_, '_>,
        moves: &mut Moves<W>,
        effects: &mut Effects,
    ) {
        hints(&answer, sent.to.cluster, now.seen, effects);
        answer.untag();
        answer.of_nodes(sent.to.cluster, now.seen);
        let (lock_ms, throttle_ms) = (answer.acquisition_lock_timeout_ms, answer.throttle_time_ms);
        if lock_ms > 0 {
            self.lock_ms = lock_ms;
        }
        let mut elsewhere = false;
        let pieces = answer.responses.into_iter().flat_map(|topic| {
            let id = topic.topic_id;
            topic.partitions.into_iter().map(move |piece| (id, piece))
        });
        let mut pieces: Vec<(Uuid, PartitionData)> =
            pieces.filter(|(_, piece)| is_news(piece, &mut elsewhere)).collect();
        for (_, piece) in &mut pieces {
            (piece.acknowledge_error_code, piece.acknowledge_error_message) = (codes::NONE, None);
            (piece.current_leader.leader_id, piece.current_leader.leader_epoch) = (-1, -1);
            piece.records.get_or_insert_default();
        }
        let mut kept = Kept { pieces, frame, came: now.at, lock_ms, throttle_ms };
        let named = &self.named;
        let back = kept.retain(|at| named.contains_key(at));
        if !self.is_over {
            self.give_back(sent.to, back, moves);
        }
        let Some(broker) = self.brokers.get_mut(&sent.to) else { return };
        if !kept.pieces.is_empty() {
            let only_errors = !kept.has_records();
            broker.kept.push_back(kept);
            elsewhere |= only_errors;
        } else {
            let early = |poll: Poll| now.at.saturating_duration_since(poll.since) < waited(poll.max_wait);
            broker.in_vain |= elsewhere || poll.is_some_and(early);
        }
        if let Some(serving) = self.serving.as_mut().filter(|_| elsewhere) {
            serving.hurry(now.at + SOON);
        }
    }
}

/// Whether there is something to tell of a partition. Notes where it is led elsewhere.
fn is_news(piece: &PartitionData, elsewhere: &mut bool) -> bool {
    if is_elsewhere(piece.error_code) {
        *elsewhere = true;
        return false;
    }
    piece.error_code != codes::NONE || bears_records(piece)
}

fn outcomes_in(
    mut answer: ShareAcknowledgeResponse,
    from: Slot,
    seen: &Seen<'_>,
    effects: &mut Effects,
) -> BTreeMap<Partition, Outcome> {
    for topic in &answer.responses {
        for piece in &topic.partitions {
            let leader = (piece.current_leader.leader_id, piece.current_leader.leader_epoch);
            hint((topic.topic_id, piece.partition_index), piece.error_code, leader, (from, seen), effects);
        }
    }
    answer.untag();
    answer.of_nodes(from, seen);
    let pieces = answer.responses.into_iter().flat_map(|topic| {
        let id = topic.topic_id;
        topic.partitions.into_iter().map(move |piece| (id, piece))
    });
    let outcome = |(topic, piece): (Uuid, share_acknowledge_response::PartitionData)| {
        let outcome = Outcome { code: piece.error_code, message: piece.error_message.as_ref().map(copied) };
        ((topic, piece.partition_index), outcome)
    };
    pieces.map(outcome).collect()
}

fn hints(answer: &ShareFetchResponse, from: Slot, seen: &Seen<'_>, effects: &mut Effects) {
    for topic in &answer.responses {
        for piece in &topic.partitions {
            let leader = (piece.current_leader.leader_id, piece.current_leader.leader_epoch);
            hint((topic.topic_id, piece.partition_index), piece.error_code, leader, (from, seen), effects);
        }
    }
}

/// A broker says that it does not lead a partition, and mostly who does.
fn hint(
    (topic, index): Partition,
    code: i16,
    leader: (i32, i32),
    (from, seen): (Slot, &Seen<'_>),
    effects: &mut Effects,
) {
    if !codes::asks_for_refresh(code) {
        return;
    }
    let Some(place) = seen.placement.topic_by_id(topic) else { return };
    once(Effect::Refresh(from, place.topic.name.clone()), effects);
    let says_who = matches!(code, codes::NOT_LEADER_OR_FOLLOWER | codes::FENCED_LEADER_EPOCH);
    effects.extend(says_who.then(|| lead(from, (&place.topic.name, topic), index, leader)).flatten());
}
