//! TxnOffsetCommit: offsets that a group's coordinator takes in when a transaction commits. The rules of OffsetCommit hold for
//! topics that live elsewhere, shadows included (`groups::offsets`); the group itself must live where the transaction does, for its
//! coordinator's log takes part in it.

use crate::api::groups::offsets::{self, Committed};
use crate::api::partitioned::{self, Told};
use crate::api::transactions::span::Span;
use crate::api::{Api, Effects, Plan, Seen, codes};
use crate::error::Fault;
use crate::types::Name;
use kafka_protocol::messages::txn_offset_commit_response::TxnOffsetCommitResponsePartition;
use kafka_protocol::messages::{ApiKey, TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use kafka_protocol::protocol::StrBytes;

/// See the module's text.
pub struct TxnOffsetCommit;

impl Api for TxnOffsetCommit {
    const KEY: ApiKey = ApiKey::TxnOffsetCommit;
    type Request = TxnOffsetCommitRequest;
    type Response = TxnOffsetCommitResponse;
    type Origin = Committed;
    /// An older commit that comes later would set the group back.
    const IN_TURN: bool = true;

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        match Self::span(request, seen) {
            Some(_) => Plan::Answer(partitioned::refused(request, codes::INVALID_TXN_STATE)),
            None => offsets::plan_commit(request, (&request.group_id, Some(request.producer_id.0)), seen),
        }
    }

    fn absorb(
        so_far: &mut Self::Response,
        origin: Committed,
        answer: Result<Self::Response, Fault>,
        seen: &Seen<'_>,
        effects: &mut Effects,
    ) {
        if let Ok(answer) = &answer {
            so_far.throttle_time_ms = answer.throttle_time_ms;
        }
        offsets::absorb_commit(so_far, &origin, answer, seen, effects);
    }

    fn pipeline(request: &Self::Request, seen: &Seen<'_>) -> Name {
        seen.pipeline_of_groups(std::iter::once(&request.group_id.0))
    }

    fn span(request: &Self::Request, seen: &Seen<'_>) -> Option<Span> {
        Span::of_group(&request.transactional_id, &request.group_id, seen)
    }

    /// Below 3 a coordinator cannot tell a member that was fenced (KIP-447); brokers have had it since 2.5.
    fn lower(request: &mut Self::Request, version: i16) {
        if version < 3 {
            (request.generation_id, request.group_instance_id) = (-1, None);
            request.member_id = StrBytes::default();
        }
    }
}

impl Told for TxnOffsetCommitResponsePartition {
    fn code(&self) -> i16 {
        self.error_code
    }

    fn refused(index: i32, code: i16) -> Self {
        Self::default().with_partition_index(index).with_error_code(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, at, facts, round, sent, text};
    use crate::api::{Effect, Need};
    use crate::placement::build::tests::{slot, topic};
    use crate::telemetry::observed::Fact;
    use crate::types::{CoordinatorType, Partition};
    use kafka_protocol::messages::txn_offset_commit_request::{
        TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
    };
    use kafka_protocol::messages::{GroupId, TopicName, TransactionalId};

    fn commit(id: &str, group: &str, topics: &[&str]) -> TxnOffsetCommitRequest {
        let topic = |name: &&str| {
            let partition = TxnOffsetCommitRequestPartition::default().with_partition_index(0);
            TxnOffsetCommitRequestTopic::default().with_name(TopicName(text(name))).with_partitions(vec![partition])
        };
        TxnOffsetCommitRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_group_id(GroupId(text(group)))
            .with_topics(topics.iter().map(topic).collect())
    }

    fn codes_in(answer: &TxnOffsetCommitResponse) -> Vec<i16> {
        answer.topics.iter().flat_map(|topic| &topic.partitions).map(|told| told.error_code).collect()
    }

    #[test]
    fn offsets_go_to_the_groups_coordinator() {
        let world = World::with(&[topic("x", &[1])], &[]).coordinated(0, "g", 2);
        let request = commit("t", "g", &["x"]);
        let (seed, parts) = sent(TxnOffsetCommit::plan(&request, &world.seen(5)));
        assert_eq!((codes_in(&seed), parts[0].to, &parts[0].request), (vec![16], at(0, 2), &request));
        for (code, forgets) in [(0, 0), (16, 1), (22, 0), (47, 0), (90, 0)] {
            let told = |_, asked| Ok(partitioned::refused(&asked, code));
            let (answer, effects) = round::<TxnOffsetCommit>(&request, &world.seen(5), told);
            assert_eq!((codes_in(&answer), effects.len()), (vec![code], forgets));
        }
        let gone = |to, _| Err(Fault::upstream(to, true, "gone"));
        let (answer, effects) = round::<TxnOffsetCommit>(&request, &world.seen(5), gone);
        assert_eq!(codes_in(&answer), [16]);
        assert_eq!(effects, [Effect::ForgetCoordinator(slot(0), CoordinatorType::Group, text("g"))]);
    }

    #[test]
    fn a_topic_of_another_cluster_gets_its_shadow_first() {
        let world = World::with(&[], &[topic("b-1", &[1, 2])]).coordinated(0, "g", 2);
        let Plan::Wait(needs) = TxnOffsetCommit::plan(&commit("t", "g", &["b-1"]), &world.seen(5)) else {
            panic!("does not wait")
        };
        assert_eq!(needs, [Need::Shadow { cluster: slot(0), topic: text("b-1"), partitions: 2 }]);
        let shadow = [topic("b-1", &[1, 1])];
        let world = World::with(&shadow, &[topic("b-1", &[1, 2])]).coordinated(0, "g", 2);
        assert_eq!(sent(TxnOffsetCommit::plan(&commit("t", "g", &["b-1"]), &world.seen(5))).1.len(), 1);
    }

    #[test]
    fn a_group_that_lives_elsewhere_cannot_take_part() {
        let world = World::with(&[topic("x", &[1])], &[]).coordinated(1, "gb-1", 2);
        let request = commit("t", "gb-1", &["x", "b-1"]);
        let (answer, _) = round::<TxnOffsetCommit>(&request, &world.seen(5), |_, _| panic!("nothing is to be sent"));
        assert_eq!(codes_in(&answer), [48, 48]);
        assert_eq!(TxnOffsetCommit::span(&request, &world.seen(5)).map(|span| span.lives_on), Some(slot(1)));
    }

    #[test]
    fn a_broker_before_kip_447_is_told_of_no_member() {
        let member = commit("t", "g", &["x"]).with_generation_id(5).with_member_id(text("me"));
        let mut request = member.with_group_instance_id(Some(text("static")));
        TxnOffsetCommit::lower(&mut request, 2);
        assert_eq!(request, commit("t", "g", &["x"]).with_generation_id(-1));
    }

    #[test]
    fn offsets_of_a_transaction_hold_when_it_is_committed() {
        let world = World::with(&[topic("x", &[1])], &[]).coordinated(0, "g", 2);
        let mut request = commit("t", "g", &["x"]).with_producer_id(7.into());
        request.topics[0].partitions[0].committed_offset = 5;
        for (code, said) in [(0, true), (47, false)] {
            let told =
                facts::<TxnOffsetCommit>(&request, &world.seen(5), |_, asked| Ok(partitioned::refused(&asked, code)));
            let of: Box<[_]> = [(Partition::new("x", 0), 5)].into();
            let fact = Fact::CommitsWith { group: text("g"), producer: (slot(0), 7), of };
            assert_eq!(told, said.then_some(fact).into_iter().collect::<Vec<_>>());
        }
    }
}
