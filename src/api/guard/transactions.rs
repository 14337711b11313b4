//! Transactions and producer ids.

use super::groups::screen_keys;
use super::offsets::{join_topics, screen_topics};
use super::{Guard, Guarded, Screened};
use crate::api::partitioned::refused;
use crate::api::transactions::by_transactional_id::TransactionAnswer;
use crate::api::{Seen, codes};
use crate::rights::{Kind, Operation};
use kafka_protocol::messages as m;
use kafka_protocol::messages::TransactionalId;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};

const CODE: i16 = codes::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;

/// From this version on it is spoken between brokers.
const OF_BROKERS: i16 = 4;

fn writes(id: &TransactionalId, guard: &Guard<'_>) -> bool {
    guard.may(Operation::Write, Kind::TransactionalId, id)
}

impl Guarded for m::InitProducerIdRequest {
    type Answer = m::InitProducerIdResponse;

    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        let code = match &self.transactional_id {
            Some(id) if writes(id, guard) => return Screened::All,
            Some(_) => CODE,
            // Who may write to any topic may do so idempotently (KIP-679).
            None if guard.may_any(Operation::Write, Kind::Topic)
                || guard.may_on_cluster(Operation::IdempotentWrite) =>
            {
                return Screened::All;
            }
            None => codes::CLUSTER_AUTHORIZATION_FAILED,
        };
        Screened::Nothing(m::InitProducerIdResponse::failed(code))
    }
}

impl Guarded for m::EndTxnRequest {
    type Answer = m::EndTxnResponse;

    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        if writes(&self.transactional_id, guard) {
            return Screened::All;
        }
        Screened::Nothing(m::EndTxnResponse::failed(CODE))
    }
}

impl Guarded for m::AddOffsetsToTxnRequest {
    type Answer = m::AddOffsetsToTxnResponse;

    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        if !writes(&self.transactional_id, guard) {
            return Screened::Nothing(m::AddOffsetsToTxnResponse::failed(CODE));
        }
        if !guard.may(Operation::Read, Kind::Group, &self.group_id) {
            return Screened::Nothing(m::AddOffsetsToTxnResponse::failed(codes::GROUP_AUTHORIZATION_FAILED));
        }
        Screened::All
    }
}

impl Guarded for m::TxnOffsetCommitRequest {
    type Answer = m::TxnOffsetCommitResponse;

    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        if !writes(&self.transactional_id, guard) {
            return Screened::Nothing(refused(self, CODE));
        }
        if !guard.may(Operation::Read, Kind::Group, &self.group_id) {
            return Screened::Nothing(refused(self, codes::GROUP_AUTHORIZATION_FAILED));
        }
        screen_topics(self, Operation::Read, guard)
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        join_topics(answer, told);
    }
}

impl Guarded for m::AddPartitionsToTxnRequest {
    type Answer = m::AddPartitionsToTxnResponse;

    /// One topic that may not be written to, and none is added: the others are told that nothing was tried.
    fn screen(&mut self, guard: &Guard<'_>, seen: &Seen<'_>) -> Screened<Self::Answer> {
        let answer = m::AddPartitionsToTxnResponse::default();
        if seen.version >= OF_BROKERS {
            if guard.may_on_cluster(Operation::ClusterAction) {
                return Screened::All;
            }
            return Screened::Nothing(answer.with_error_code(codes::CLUSTER_AUTHORIZATION_FAILED));
        }
        let topics = &self.v3_and_below_topics;
        if !writes(&self.v3_and_below_transactional_id, guard) {
            let told = topics.iter().map(|topic| one_code(topic, CODE)).collect();
            return Screened::Nothing(answer.with_results_by_topic_v3_and_below(told));
        }
        let may: Vec<_> = topics.iter().map(|topic| guard.may(Operation::Write, Kind::Topic, &topic.name)).collect();
        if may.iter().all(|may| *may) {
            return Screened::All;
        }
        let told = topics.iter().zip(may).map(|(topic, may)| {
            let code = if may { codes::OPERATION_NOT_ATTEMPTED } else { codes::TOPIC_AUTHORIZATION_FAILED };
            one_code(topic, code)
        });
        Screened::Nothing(answer.with_results_by_topic_v3_and_below(told.collect()))
    }
}

fn one_code(topic: &AddPartitionsToTxnTopic, code: i16) -> AddPartitionsToTxnTopicResult {
    let partition = |index: &i32| {
        AddPartitionsToTxnPartitionResult::default().with_partition_index(*index).with_partition_error_code(code)
    };
    AddPartitionsToTxnTopicResult::default()
        .with_name(topic.name.clone())
        .with_results_by_partition(topic.partitions.iter().map(partition).collect())
}

impl Guarded for m::DescribeTransactionsRequest {
    type Answer = m::DescribeTransactionsResponse;

    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        screen_keys(self, (Operation::Describe, Kind::TransactionalId, CODE), guard)
    }

    fn veil(answer: &mut Self::Answer, guard: &Guard<'_>) {
        for state in &mut answer.transaction_states {
            state.topics.retain(|topic| guard.sees(Operation::Describe, Kind::Topic, &topic.topic));
        }
    }

    fn join(answer: &mut Self::Answer, told: Self::Answer) {
        answer.transaction_states.extend(told.transaction_states);
    }
}

impl Guarded for m::ListTransactionsRequest {
    type Answer = m::ListTransactionsResponse;

    /// Nobody is asked for what would be left out.
    fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
        let some = guard.may_some(Operation::Describe, Kind::TransactionalId);
        if some { Screened::All } else { Screened::Nothing(Self::Answer::default()) }
    }

    fn veil(answer: &mut Self::Answer, guard: &Guard<'_>) {
        let may = |id: &TransactionalId| guard.sees(Operation::Describe, Kind::TransactionalId, id);
        answer.transaction_states.retain(|state| may(&state.transactional_id));
    }
}
