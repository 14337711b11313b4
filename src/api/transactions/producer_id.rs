//! InitProducerId. A transactional producer's goes to the coordinator of its transactional id. Without transactions we answer
//! ourselves: a random id at or above 2^60, epoch 0. Clusters all hand out ids from 0 on, so ids of two clusters would meet,
//! and a broker that sees a sequence of an id twice drops the second as a repeat (protocol-rules 5). Brokers take any id for a
//! batch outside a transaction; those of transactions are each used on one cluster only, the one that gave them out.

use crate::api::transactions::by_transactional_id::{self as transactional, OfTransactions, TransactionAnswer};
use crate::api::{Api, Effect, Effects, Plan, Seen, codes};
use crate::error::Fault;
use crate::telemetry::observed::Fact;
use crate::types::Name;
use crate::types::producer::own_id;
use kafka_protocol::messages::{ApiKey, InitProducerIdRequest, InitProducerIdResponse};

/// See the module's text.
pub struct InitProducerId;

impl Api for InitProducerId {
    const KEY: ApiKey = ApiKey::InitProducerId;
    type Request = InitProducerIdRequest;
    type Response = InitProducerIdResponse;
    type Origin = OfTransactions;

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        match &request.transactional_id {
            None => {
                let id = own_id().into();
                Plan::Answer(InitProducerIdResponse::default().with_producer_id(id).with_producer_epoch(0))
            }
            // As Kafka answers an empty transactional id.
            Some(id) if id.is_empty() => Plan::Answer(InitProducerIdResponse::failed(codes::INVALID_REQUEST)),
            Some(id) => transactional::plan(request, id, seen),
        }
    }

    fn absorb(
        so_far: &mut Self::Response,
        origin: OfTransactions,
        answer: Result<Self::Response, Fault>,
        _: &Seen<'_>,
        effects: &mut Effects,
    ) {
        transactional::absorb(so_far, &origin, answer, effects);
        if so_far.error_code == codes::NONE {
            // What it had begun and not ended is aborted.
            effects
                .push(Effect::Saw(Fact::Ended { producer: (origin.cluster, so_far.producer_id.0), committed: false }));
        }
    }

    fn lower(request: &mut Self::Request, version: i16) {
        transactional::lower_init(request, version);
    }

    fn pipeline(request: &Self::Request, seen: &Seen<'_>) -> Name {
        seen.pipeline_of_transactional_ids(request.transactional_id.iter().map(|id| &id.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, at, round, sent};
    use crate::types::producer::FIRST;
    use kafka_protocol::messages::TransactionalId;
    use kafka_protocol::protocol::StrBytes;

    fn request(id: Option<&'static str>) -> InitProducerIdRequest {
        let id = id.map(|id| TransactionalId(StrBytes::from_static_str(id)));
        InitProducerIdRequest::default().with_transactional_id(id)
    }

    fn answer(id: Option<&'static str>) -> InitProducerIdResponse {
        match InitProducerId::plan(&request(id), &World::default().seen(4)) {
            Plan::Answer(answer) => answer,
            _ => panic!("nothing is to be sent"),
        }
    }

    #[test]
    fn two_producers_get_two_high_ids() {
        let (one, two) = (answer(None), answer(None));
        assert!(one.producer_id.0 >= FIRST && two.producer_id.0 >= FIRST);
        assert_ne!(one.producer_id, two.producer_id);
        assert_eq!((one.error_code, one.producer_epoch), (0, 0));
    }

    #[test]
    fn an_empty_transactional_id_is_wrong() {
        assert_eq!((answer(Some("")).error_code, answer(Some("")).producer_id.0), (42, -1));
    }

    #[test]
    fn a_transactional_producer_gets_the_id_that_its_own_cluster_gives() {
        let world = World::default().transacting(1, "tb-1", 3);
        let (seed, parts) = sent(InitProducerId::plan(&request(Some("tb-1")), &world.seen(4)));
        assert_eq!((seed.error_code, seed.producer_id.0, parts[0].to), (16, -1, at(1, 3)));
        let told = InitProducerIdResponse::default().with_producer_id(5.into()).with_producer_epoch(2);
        let round = round::<InitProducerId>(&request(Some("tb-1")), &world.seen(4), |_, _| Ok(told.clone()));
        assert_eq!(round, (told, Vec::new()));
    }
}
