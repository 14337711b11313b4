//! InitProducerId for producers without transactions: a random id at or above 2^60, epoch 0.
//! Clusters all hand out ids from 0 on, so ids of two clusters would meet, and a broker that sees a sequence of an id
//! twice drops the second as a repeat (protocol-rules 5). Brokers take any id for a batch outside a transaction.

use super::{Api, Effects, Plan, Seen, codes};
use crate::error::Fault;
use kafka_protocol::messages::{ApiKey, InitProducerIdRequest, InitProducerIdResponse};

/// Our ids begin here.
const FIRST: i64 = 1 << 60;

/// See the module's text.
pub struct InitProducerId;

impl Api for InitProducerId {
    const KEY: ApiKey = ApiKey::InitProducerId;
    type Request = InitProducerIdRequest;
    type Response = InitProducerIdResponse;
    type Origin = ();

    fn plan(request: &Self::Request, _seen: &Seen<'_>) -> Plan<Self> {
        let transactional = request.transactional_id.as_ref().is_some_and(|id| !id.0.is_empty());
        let answer = InitProducerIdResponse::default();
        Plan::Answer(match (&request.transactional_id, transactional) {
            // Transactions are not served yet; the log names the producer (session).
            (_, true) => refused(answer, codes::UNSUPPORTED_VERSION),
            // As Kafka answers an empty transactional id.
            (Some(_), false) => refused(answer, codes::INVALID_REQUEST),
            (None, _) => answer.with_producer_id(fastrand::i64(FIRST..).into()).with_producer_epoch(0),
        })
    }

    fn absorb(_: &mut Self::Response, (): (), _: Result<Self::Response, Fault>, _: &Seen<'_>, _: &mut Effects) {}
}

fn refused(answer: InitProducerIdResponse, code: i16) -> InitProducerIdResponse {
    answer.with_error_code(code).with_producer_id((-1).into()).with_producer_epoch(-1)
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;
    use kafka_protocol::messages::TransactionalId;
    use kafka_protocol::protocol::StrBytes;

    fn answer(id: Option<&'static str>) -> InitProducerIdResponse {
        let id = id.map(|id| TransactionalId(StrBytes::from_static_str(id)));
        let request = InitProducerIdRequest::default().with_transactional_id(id);
        match InitProducerId::plan(&request, &World::default().seen(4)) {
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
    fn a_transactional_id_is_refused_and_an_empty_one_is_wrong() {
        assert_eq!((answer(Some("t")).error_code, answer(Some("t")).producer_id.0), (35, -1));
        assert_eq!(answer(Some("")).error_code, 42);
    }
}
