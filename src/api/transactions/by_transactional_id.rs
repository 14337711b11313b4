//! InitProducerId of a transactional producer, AddOffsetsToTxn and EndTxn: the whole request goes to the coordinator of its
//! transactional id, and what that says goes to the client as it is: fenced, unknown, aborted, a new epoch (KIP-890).
//!
//! Without an answer the client gets 16 NOT_COORDINATOR, whether the request was sent or not: it looks the coordinator up
//! and asks again, as it does on bare Kafka when the connection breaks in the middle. All three may be asked again: their
//! coordinator knows a request that it has served by the producer's id and epoch.

use crate::api::overview::coordinator;
use crate::api::transactions::span::Span;
use crate::api::untag::Untag;
use crate::api::{Api, Effect, Effects, Missing, Part, Plan, Seen, codes};
use crate::error::Fault;
use crate::telemetry::observed::Fact;
use crate::types::{CoordinatorType, Name, Slot};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, ApiKey, EndTxnRequest, EndTxnResponse, InitProducerIdRequest,
    InitProducerIdResponse,
};
use kafka_protocol::protocol::StrBytes;

/// The transactional id that a request is about, and its home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfTransactions {
    pub(super) cluster: Slot,
    id: StrBytes,
    /// What is so where the coordinator has nothing against it.
    if_so: Option<Fact>,
}

/// What a coordinator of transactions says.
pub(in crate::api) trait TransactionAnswer: Untag + Default {
    fn code(&self) -> i16;
    /// The answer when there is none.
    fn failed(code: i16) -> Self;
}

/// The whole request, to the coordinator.
pub(in crate::api) fn plan<A>(request: &A::Request, id: &StrBytes, seen: &Seen<'_>) -> Plan<A>
where
    A: Api<Origin = OfTransactions>,
    A::Response: TransactionAnswer,
{
    match seen.coordinator_of_transactions(id) {
        Ok(to) => {
            let origin = OfTransactions { cluster: to.cluster, id: id.clone(), if_so: None };
            let seed = A::Response::failed(codes::NOT_COORDINATOR);
            Plan::Send { seed, parts: vec![Part { to, request: request.clone(), origin }] }
        }
        Err(Missing::Need(need)) => Plan::Wait(vec![need]),
        Err(Missing::Code(code)) => Plan::Answer(A::Response::failed(code)),
    }
}

/// A fault leaves the seed: NOT_COORDINATOR.
pub(in crate::api) fn absorb<R: TransactionAnswer>(
    so_far: &mut R,
    origin: &OfTransactions,
    answer: Result<R, Fault>,
    effects: &mut Effects,
) {
    if let Ok(mut answer) = answer {
        answer.untag();
        *so_far = answer;
    }
    if so_far.code() == codes::NONE {
        effects.extend(origin.if_so.clone().map(Effect::Saw));
    }
    coordinator::forget(so_far.code(), CoordinatorType::Transaction, origin.cluster, &origin.id, effects);
}

macro_rules! by_transactional_id {
    ($(#[$doc:meta])* $api:ident, $request:ident, $response:ident { $($more:item)* }) => {
        $(#[$doc])*
        pub struct $api;

        impl Api for $api {
            const KEY: ApiKey = ApiKey::$api;
            type Request = $request;
            type Response = $response;
            type Origin = OfTransactions;

            fn absorb(
                so_far: &mut $response,
                origin: OfTransactions,
                answer: Result<$response, Fault>,
                _: &Seen<'_>,
                effects: &mut Effects,
            ) {
                absorb(so_far, &origin, answer, effects);
            }

            fn pipeline(request: &$request, seen: &Seen<'_>) -> Name {
                seen.pipeline_of_transactional_ids(std::iter::once(&request.transactional_id.0))
            }

            $($more)*
        }
    };
}

by_transactional_id! {
    /// See the module's text.
    AddOffsetsToTxn, AddOffsetsToTxnRequest, AddOffsetsToTxnResponse {
        fn plan(request: &AddOffsetsToTxnRequest, seen: &Seen<'_>) -> Plan<Self> {
            if Self::span(request, seen).is_some() {
                return Plan::Answer(AddOffsetsToTxnResponse::failed(codes::INVALID_TXN_STATE));
            }
            plan(request, &request.transactional_id, seen)
        }

        fn span(request: &AddOffsetsToTxnRequest, seen: &Seen<'_>) -> Option<Span> {
            Span::of_group(&request.transactional_id, &request.group_id, seen)
        }
    }
}

by_transactional_id! {
    /// See the module's text.
    EndTxn, EndTxnRequest, EndTxnResponse {
        fn plan(request: &EndTxnRequest, seen: &Seen<'_>) -> Plan<Self> {
            let mut plan = plan(request, &request.transactional_id, seen);
            if let Plan::Send { parts, .. } = &mut plan {
                let ended = |on| Fact::Ended { producer: (on, request.producer_id.0), committed: request.committed };
                parts.iter_mut().for_each(|part: &mut Part<Self>| part.origin.if_so = Some(ended(part.to.cluster)));
            }
            plan
        }
    }
}

impl TransactionAnswer for InitProducerIdResponse {
    fn code(&self) -> i16 {
        self.error_code
    }

    fn failed(code: i16) -> Self {
        Self::default().with_error_code(code).with_producer_id((-1).into()).with_producer_epoch(-1)
    }
}

impl TransactionAnswer for AddOffsetsToTxnResponse {
    fn code(&self) -> i16 {
        self.error_code
    }

    fn failed(code: i16) -> Self {
        Self::default().with_error_code(code)
    }
}

impl TransactionAnswer for EndTxnResponse {
    fn code(&self) -> i16 {
        self.error_code
    }

    fn failed(code: i16) -> Self {
        Self::default().with_error_code(code)
    }
}

/// A version that lacks them has no way to say which producer asks for a newer epoch: it gets one all the same.
pub(in crate::api) fn lower_init(request: &mut InitProducerIdRequest, version: i16) {
    if version < 3 {
        (request.producer_id, request.producer_epoch) = ((-1).into(), -1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, at, facts, round, sent, text};
    use crate::api::{Need, Refusal};
    use crate::placement::build::tests::slot;
    use kafka_protocol::messages::{GroupId, TransactionalId};

    fn end(id: &str) -> EndTxnRequest {
        EndTxnRequest::default().with_transactional_id(TransactionalId(text(id))).with_committed(true)
    }

    fn offsets(id: &str, group: &str) -> AddOffsetsToTxnRequest {
        AddOffsetsToTxnRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_group_id(GroupId(text(group)))
    }

    #[test]
    fn a_transaction_ends_at_its_coordinator_and_the_new_epoch_is_told() {
        let world = World::default().transacting(0, "t", 2).transacting(1, "tb-1", 3);
        for (id, to) in [("t", at(0, 2)), ("tb-1", at(1, 3))] {
            let (_, parts) = sent(EndTxn::plan(&end(id), &world.seen(5)));
            assert_eq!((parts.len(), parts[0].to, &parts[0].request), (1, to, &end(id)));
        }
        let told = EndTxnResponse::default().with_producer_id(7.into()).with_producer_epoch(4);
        let (answer, effects) = round::<EndTxn>(&end("t"), &world.seen(5), |_, _| Ok(told.clone()));
        assert_eq!((answer, effects.len()), (told, 0));
    }

    #[test]
    fn without_an_answer_the_producer_looks_for_its_coordinator_again() {
        let world = World::default().transacting(0, "t", 2);
        let forget = vec![Effect::ForgetCoordinator(slot(0), CoordinatorType::Transaction, text("t"))];
        for sent in [false, true] {
            let (answer, effects) =
                round::<EndTxn>(&end("t"), &world.seen(5), |to, _| Err(Fault::upstream(to, sent, "gone")));
            assert_eq!((answer.error_code, answer.producer_id.0, answer.producer_epoch), (16, -1, -1));
            assert_eq!(effects, forget);
        }
        // Fenced, unknown and the like pass, and the coordinator is still the same
        for (code, expected) in [(16, 1), (15, 1), (14, 0), (49, 0), (51, 0), (90, 0), (48, 0)] {
            let told = EndTxnResponse::default().with_error_code(code);
            let (answer, effects) = round::<EndTxn>(&end("t"), &world.seen(5), |_, _| Ok(told.clone()));
            assert_eq!((answer.error_code, effects.len()), (code, expected));
        }
    }

    #[test]
    fn a_coordinator_that_is_not_known_is_asked_for_once() {
        let mut world = World::default();
        let need = Need::Coordinator { cluster: slot(1), of: CoordinatorType::Transaction, key: text("tb-1") };
        let Plan::Wait(needs) = EndTxn::plan(&end("tb-1"), &world.seen(5)) else { panic!("does not wait") };
        assert_eq!(needs, [need]);
        world.refuse_needs::<EndTxn>(&end("tb-1"), 5, &Refusal::Code(53));
        let (answer, _) = round::<EndTxn>(&end("tb-1"), &world.seen(5), |_, _| panic!("nothing is to be sent"));
        assert_eq!(answer.error_code, 53);
    }

    #[test]
    fn offsets_of_a_group_that_lives_elsewhere_are_refused() {
        let world = World::default().transacting(0, "t", 2).transacting(1, "tb-1", 3);
        for (id, group, code) in [("t", "g", 0), ("tb-1", "gb-1", 0), ("t", "gb-1", 48), ("tb-1", "g", 48)] {
            let told = |_, _| Ok(AddOffsetsToTxnResponse::default());
            let (answer, _) = round::<AddOffsetsToTxn>(&offsets(id, group), &world.seen(4), told);
            assert_eq!(answer.error_code, code, "{id} {group}");
            assert_eq!(AddOffsetsToTxn::span(&offsets(id, group), &world.seen(4)).is_some(), code == 48);
        }
    }

    #[test]
    fn the_end_of_a_transaction_is_told_to_who_keeps_count() {
        let world = World::default().transacting(0, "t", 2);
        for (committed, code) in [(true, 0), (false, 0), (true, 51)] {
            let request = end("t").with_producer_id(7.into()).with_committed(committed);
            let told = facts::<EndTxn>(&request, &world.seen(5), |_, _| Ok(EndTxnResponse::failed(code)));
            let ended = Fact::Ended { producer: (slot(0), 7), committed };
            assert_eq!(told, (code == 0).then_some(ended).into_iter().collect::<Vec<_>>());
        }
    }
}
