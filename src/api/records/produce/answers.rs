//! What becomes of a ledger's partitions: what brokers answer, what nobody answers, what we refuse, and the answer that the client gets.

use super::cells::{Cell, Part};
use super::{Entry, Ledger, OfTopic};
use crate::api::scrub::scrubbed_message;
use crate::api::untag::Untag;
use crate::api::{Effect, Effects, Seen, codes};
use crate::error::Fault;
use crate::policy::deputy::{Outcome, Told, When};
use crate::types::{Partition, Slot};
use kafka_protocol::messages::ProduceResponse;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// "No offset": what an answer bears where the batch has none of its own.
pub(super) const NO_OFFSET: i64 = -1;

impl Ledger {
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
            effects.extend(
                written.and_then(|at| cell.written(part.to.cluster, at, told.base_offset, self.came)).map(Effect::Saw),
            );
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

    /// A batch of the same producer that came before this one has failed: where both are to be sent again, this one fails as that
    /// one may have. 45 would have clients take a newer epoch, under which they send the first as a new one, and it may be
    /// written (librdkafka's "skipped sequence numbers", franz-go; sarama gives up). It is right where the first was given up.
    pub fn fail_behind(&mut self, cell: &Cell) {
        let given_up = cell.when() == When::Never;
        let code = if given_up { codes::OUT_OF_ORDER_SEQUENCE_NUMBER } else { codes::REQUEST_TIMED_OUT };
        self.settle(cell, failed(code));
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
    pub(super) fn settle(&mut self, cell: &Cell, answer: PartitionProduceResponse) {
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

pub(super) fn failed(code: i16) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_error_code(code)
        .with_base_offset(NO_OFFSET)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(-1)
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
