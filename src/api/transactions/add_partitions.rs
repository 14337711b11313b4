//! AddPartitionsToTxn: tells a transaction's coordinator which partitions it will write to, before it does (up to version 1 of
//! the protocol; with version 2 brokers see to it themselves). Below version 4 one transaction stands in a request, from then
//! on several may, and each goes to its own coordinator: what brokers ask each other (KIP-890), and Kafka serves to clients.
//!
//! As Kafka does, all partitions of a transaction are taken or none: where one may not be, it bears the reason and the others
//! 55 OPERATION_NOT_ATTEMPTED. Without an answer they bear 16 NOT_COORDINATOR, and the client asks again.

use crate::api::needs::Needs;
use crate::api::overview::coordinator;
use crate::api::transactions::span::Span;
use crate::api::{Api, Effects, Missing, Part, Plan, Seen, codes, send_or_wait};
use crate::error::Fault;
use crate::types::{CoordinatorType, Name, Slot};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ApiKey, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::HashMap;

/// From this version on a request may have several transactions.
const SEVERAL: i16 = 4;

/// See the module's text.
pub struct AddPartitionsToTxn;

/// The transaction that a coordinator was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    cluster: Slot,
    id: StrBytes,
    /// Its position in the request; `None` where the client's version has one only.
    at: Option<usize>,
    /// Only asked whether its partitions are in it.
    verify_only: bool,
}

impl Api for AddPartitionsToTxn {
    const KEY: ApiKey = ApiKey::AddPartitionsToTxn;
    type Request = AddPartitionsToTxnRequest;
    type Response = AddPartitionsToTxnResponse;
    type Origin = Added;

    /// One part for each transaction, so that a broker that knows one only can be asked too.
    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        let mut seed = AddPartitionsToTxnResponse::default();
        let (mut parts, mut needs) = (Vec::new(), Needs::default());
        for (at, (id, topics)) in transactions(request, seen.version).enumerate() {
            let mut code = codes::NOT_COORDINATOR;
            let foreign = |topic: &TopicName| Span::of_topic(id, topic, seen).is_some();
            if topics.iter().any(|topic| foreign(&topic.name)) {
                let code = |topic: &TopicName| match foreign(topic) {
                    true => codes::INVALID_TXN_STATE,
                    false => codes::OPERATION_NOT_ATTEMPTED,
                };
                answer(&mut seed, seen.version, id, told(topics, code));
                continue;
            }
            match seen.coordinator_of_transactions(id) {
                Ok(to) => {
                    let at = (seen.version >= SEVERAL).then_some(at);
                    let verify_only = at.and_then(|at| request.transactions.get(at)).is_some_and(|one| one.verify_only);
                    let origin = Added { cluster: to.cluster, id: id.0.clone(), at, verify_only };
                    parts.push(Part { to, request: alone(request, at), origin });
                }
                Err(Missing::Need(need)) => needs.push(need),
                Err(Missing::Code(known)) => code = known,
            }
            answer(&mut seed, seen.version, id, told(topics, |_| code));
        }
        send_or_wait(seed, parts, needs.all())
    }

    fn absorb(
        so_far: &mut Self::Response,
        origin: Added,
        answer: Result<Self::Response, Fault>,
        _: &Seen<'_>,
        effects: &mut Effects,
    ) {
        let several = origin.at.is_some();
        let place = match origin.at {
            None => Some(&mut so_far.results_by_topic_v3_and_below),
            Some(at) => so_far.results_by_transaction.get_mut(at).map(|told| &mut told.topic_results),
        };
        if let (Some(place), Ok(answer)) = (place, answer) {
            so_far.throttle_time_ms = so_far.throttle_time_ms.max(answer.throttle_time_ms);
            let code_of_all = (answer.error_code != codes::NONE).then_some(answer.error_code);
            let said = codes_of(answer, several.then_some(&origin.id));
            for (topic, told) in partitions(place) {
                let code = said.get(&(topic.0.clone(), told.partition_index)).copied();
                told.partition_error_code = code_of_all.or(code).unwrap_or(codes::NOT_COORDINATOR);
            }
        }
        let place = match origin.at {
            None => Some(&so_far.results_by_topic_v3_and_below),
            Some(at) => so_far.results_by_transaction.get(at).map(|told| &told.topic_results),
        };
        for told in place.into_iter().flatten().flat_map(|topic| &topic.results_by_partition) {
            let (code, of) = (told.partition_error_code, CoordinatorType::Transaction);
            coordinator::forget(code, of, origin.cluster, &origin.id, effects);
        }
    }

    fn pipeline(request: &Self::Request, seen: &Seen<'_>) -> Name {
        seen.pipeline_of_transactional_ids(transactions(request, seen.version).map(|(id, _)| &id.0))
    }

    fn span(request: &Self::Request, seen: &Seen<'_>) -> Option<Span> {
        let mut all =
            transactions(request, seen.version).flat_map(|(id, topics)| topics.iter().map(move |of| (id, of)));
        all.find_map(|(id, topic)| Span::of_topic(id, &topic.name, seen))
    }

    /// A broker that takes one transaction only cannot look without adding: it is asked about nobody's transaction, which
    /// it refuses (42) before it does anything, and [`Self::raise`] says why.
    fn lower(request: &mut Self::Request, version: i16) {
        if version < SEVERAL
            && let Some(only) = std::mem::take(&mut request.transactions).into_iter().next()
            && !only.verify_only
        {
            request.v3_and_below_transactional_id = only.transactional_id;
            request.v3_and_below_producer_id = only.producer_id;
            request.v3_and_below_producer_epoch = only.producer_epoch;
            request.v3_and_below_topics = only.topics;
        }
    }

    fn raise(response: &mut Self::Response, origin: &Added, version: i16) {
        if origin.at.is_none() || version >= SEVERAL {
            return;
        }
        let told = std::mem::take(&mut response.results_by_topic_v3_and_below);
        if origin.verify_only {
            response.error_code = codes::UNSUPPORTED_VERSION;
        } else {
            let of_it = AddPartitionsToTxnResult::default().with_transactional_id(TransactionalId(origin.id.clone()));
            response.results_by_transaction = vec![of_it.with_topic_results(told)];
        }
    }
}

/// The transactions of a request, each with the topics it would write to.
fn transactions(
    request: &AddPartitionsToTxnRequest,
    version: i16,
) -> impl Iterator<Item = (&TransactionalId, &[AddPartitionsToTxnTopic])> {
    let only = (&request.v3_and_below_transactional_id, request.v3_and_below_topics.as_slice());
    let only = (version < SEVERAL).then_some(only);
    only.into_iter().chain(request.transactions.iter().map(|one| (&one.transactional_id, one.topics.as_slice())))
}

/// The request with one of its transactions.
fn alone(request: &AddPartitionsToTxnRequest, at: Option<usize>) -> AddPartitionsToTxnRequest {
    match at.and_then(|at| request.transactions.get(at)) {
        // No copy of the others, of which there may be many; beside them a request of these versions has nothing.
        Some(one) => AddPartitionsToTxnRequest::default().with_transactions(vec![one.clone()]),
        None => request.clone(),
    }
}

fn told(topics: &[AddPartitionsToTxnTopic], code: impl Fn(&TopicName) -> i16) -> Vec<AddPartitionsToTxnTopicResult> {
    let topic = |topic: &AddPartitionsToTxnTopic| {
        let code = code(&topic.name);
        let partition = |index: &i32| {
            AddPartitionsToTxnPartitionResult::default().with_partition_index(*index).with_partition_error_code(code)
        };
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(topic.partitions.iter().map(partition).collect())
    };
    topics.iter().map(topic).collect()
}

/// Puts what is told of the next transaction where the version has it.
fn answer(
    seed: &mut AddPartitionsToTxnResponse,
    version: i16,
    id: &TransactionalId,
    told: Vec<AddPartitionsToTxnTopicResult>,
) {
    if version < SEVERAL {
        seed.results_by_topic_v3_and_below = told;
    } else {
        let told = AddPartitionsToTxnResult::default().with_transactional_id(id.clone()).with_topic_results(told);
        seed.results_by_transaction.push(told);
    }
}

fn partitions(
    topics: &mut [AddPartitionsToTxnTopicResult],
) -> impl Iterator<Item = (TopicName, &mut AddPartitionsToTxnPartitionResult)> {
    topics.iter_mut().flat_map(|AddPartitionsToTxnTopicResult { name, results_by_partition, .. }| {
        results_by_partition.iter_mut().map(|told| (name.clone(), told))
    })
}

/// What an answer says of each partition: of one transaction among several, or of the only one.
fn codes_of(answer: AddPartitionsToTxnResponse, id: Option<&StrBytes>) -> HashMap<(StrBytes, i32), i16> {
    let mut topics = match id {
        None => answer.results_by_topic_v3_and_below,
        Some(id) => {
            let mut all = answer.results_by_transaction.into_iter();
            all.find(|told| told.transactional_id.0 == *id).map(|told| told.topic_results).unwrap_or_default()
        }
    };
    partitions(&mut topics).map(|(topic, told)| ((topic.0, told.partition_index), told.partition_error_code)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Effort, World, at, round, sent, text};
    use crate::api::{Effect, Refusal};
    use crate::placement::build::tests::slot;
    use crate::types::Target;
    use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTransaction;

    fn topic(name: &str, partitions: &[i32]) -> AddPartitionsToTxnTopic {
        AddPartitionsToTxnTopic::default().with_name(TopicName(text(name))).with_partitions(partitions.to_vec())
    }

    fn old(id: &str, topics: Vec<AddPartitionsToTxnTopic>) -> AddPartitionsToTxnRequest {
        AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text(id)))
            .with_v3_and_below_topics(topics)
    }

    fn new(transactions: &[(&str, Vec<AddPartitionsToTxnTopic>)]) -> AddPartitionsToTxnRequest {
        let one = |(id, topics): &(&str, Vec<AddPartitionsToTxnTopic>)| {
            AddPartitionsToTxnTransaction::default()
                .with_transactional_id(TransactionalId(text(id)))
                .with_topics(topics.clone())
        };
        AddPartitionsToTxnRequest::default().with_transactions(transactions.iter().map(one).collect())
    }

    /// Each partition with its code.
    fn shown(topics: &[AddPartitionsToTxnTopicResult]) -> Vec<(String, i32, i16)> {
        let of = |topic: &AddPartitionsToTxnTopicResult| {
            let name = topic.name.to_string();
            let partitions = topic.results_by_partition.clone().into_iter();
            partitions.map(move |told| (name.clone(), told.partition_index, told.partition_error_code))
        };
        topics.iter().flat_map(of).collect()
    }

    /// A broker that takes everything.
    fn all_well(_: Target, asked: AddPartitionsToTxnRequest) -> Result<AddPartitionsToTxnResponse, Fault> {
        let mut answer = AddPartitionsToTxnResponse::default()
            .with_results_by_topic_v3_and_below(told(&asked.v3_and_below_topics, |_| codes::NONE));
        for one in &asked.transactions {
            let told = AddPartitionsToTxnResult::default()
                .with_transactional_id(one.transactional_id.clone())
                .with_topic_results(told(&one.topics, |_| codes::NONE));
            answer.results_by_transaction.push(told);
        }
        Ok(answer)
    }

    #[test]
    fn partitions_are_added_at_the_coordinator_of_the_transaction() {
        let world = World::default().transacting(1, "tb-1", 3);
        let request = old("tb-1", vec![topic("b-1", &[0, 2])]);
        let (_, parts) = sent(AddPartitionsToTxn::plan(&request, &world.seen(3)));
        assert_eq!((parts[0].to, &parts[0].request), (at(1, 3), &request));
        let (answer, effects) = round::<AddPartitionsToTxn>(&request, &world.seen(3), all_well);
        let told = shown(&answer.results_by_topic_v3_and_below);
        assert_eq!((told, effects.len()), (vec![("b-1".into(), 0, 0), ("b-1".into(), 2, 0)], 0));
        assert_eq!(AddPartitionsToTxn::span(&request, &world.seen(3)), None);
    }

    #[test]
    fn a_transaction_that_would_span_clusters_is_refused_whole() {
        let world = World::default().transacting(1, "tb-1", 3);
        let topics = vec![topic("b-1", &[0]), topic("x", &[0, 1])];
        for version in [0, 3, 4, 5] {
            let request = if version < 4 { old("tb-1", topics.clone()) } else { new(&[("tb-1", topics.clone())]) };
            let nobody = |_, _| panic!("nothing is to be sent");
            let (answer, _) = round::<AddPartitionsToTxn>(&request, &world.seen(version), nobody);
            let told = match answer.results_by_transaction.first() {
                None => shown(&answer.results_by_topic_v3_and_below),
                Some(one) => shown(&one.topic_results),
            };
            assert_eq!(told, [("b-1".into(), 0, 55), ("x".into(), 0, 48), ("x".into(), 1, 48)]);
            let span = AddPartitionsToTxn::span(&request, &world.seen(version)).unwrap();
            assert_eq!((span.home, span.lives_on, span.what.name()), (slot(1), slot(0), "x"));
        }
    }

    #[test]
    fn several_transactions_go_each_to_its_own_coordinator() {
        let world = World::default().transacting(0, "t", 2).transacting(1, "tb-1", 3);
        let request = new(&[("t", vec![topic("x", &[0])]), ("tb-1", vec![topic("b-1", &[1])])]);
        let (_, parts) = sent(AddPartitionsToTxn::plan(&request, &world.seen(5)));
        assert_eq!(parts.iter().map(|part| part.to).collect::<Vec<_>>(), [at(0, 2), at(1, 3)]);
        // When the second one's broker does not answer
        let told = |to: Target, asked| {
            if to.cluster == slot(1) { Err(Fault::upstream(to, true, "gone")) } else { all_well(to, asked) }
        };
        let (answer, effects) = round::<AddPartitionsToTxn>(&request, &world.seen(5), told);
        let told: Vec<_> = answer.results_by_transaction.iter().map(|one| shown(&one.topic_results)).collect();
        assert_eq!(told, [vec![("x".into(), 0, 0)], vec![("b-1".into(), 1, 16)]]);
        assert_eq!(effects, [Effect::ForgetCoordinator(slot(1), CoordinatorType::Transaction, text("tb-1"))]);
    }

    #[test]
    fn what_a_broker_leaves_out_or_says_of_all_stands_at_each_partition() {
        let world = World::default().transacting(0, "t", 2);
        let request = old("t", vec![topic("x", &[0, 1])]);
        let nothing = |_, _| Ok(AddPartitionsToTxnResponse::default());
        let (answer, effects) = round::<AddPartitionsToTxn>(&request, &world.seen(3), nothing);
        let told = shown(&answer.results_by_topic_v3_and_below);
        assert_eq!((told, effects.len()), (vec![("x".into(), 0, 16), ("x".into(), 1, 16)], 1));
        let request = new(&[("t", vec![topic("x", &[0])])]);
        let refused = |_, _| Ok(AddPartitionsToTxnResponse::default().with_error_code(31));
        let (answer, _) = round::<AddPartitionsToTxn>(&request, &world.seen(5), refused);
        assert_eq!(shown(&answer.results_by_transaction[0].topic_results), [("x".into(), 0, 31)]);
    }

    #[test]
    fn a_coordinator_that_is_not_known_is_asked_for_once() {
        let mut world = World::default();
        let request = new(&[("t", vec![topic("x", &[0])]), ("tb-1", vec![topic("b-1", &[1])])]);
        world.refuse_needs::<AddPartitionsToTxn>(&request, 5, &Refusal::Code(53));
        let (answer, _) = round::<AddPartitionsToTxn>(&request, &world.seen(5), |_, _| panic!("nothing is to be sent"));
        let codes = answer.results_by_transaction.iter().flat_map(|one| shown(&one.topic_results)).map(|told| told.2);
        assert_eq!(codes.collect::<Vec<_>>(), [53, 53]);
    }

    #[test]
    fn an_older_broker_is_asked_about_one_transaction_in_its_own_words() {
        let mut request = new(&[("t", vec![topic("x", &[0])])]);
        let mut verify = request.clone();
        verify.transactions[0].verify_only = true;
        AddPartitionsToTxn::lower(&mut request, 3);
        assert_eq!(request, old("t", vec![topic("x", &[0])]));
        AddPartitionsToTxn::lower(&mut verify, 3);
        assert_eq!(verify, old("", Vec::new()), "it cannot look without adding");
        let mut answer = all_well(at(0, 1), request).unwrap();
        let origin = Added { cluster: slot(0), id: text("t"), at: Some(0), verify_only: false };
        AddPartitionsToTxn::raise(&mut answer, &origin, 3);
        assert_eq!(shown(&answer.results_by_transaction[0].topic_results), [("x".into(), 0, 0)]);
    }

    #[test]
    fn an_older_broker_that_cannot_look_without_adding_is_told_of() {
        let world = World::default().transacting(0, "t", 2);
        let mut request = new(&[("t", vec![topic("x", &[0, 1])])]);
        request.transactions[0].verify_only = true;
        let (_, parts) = sent(AddPartitionsToTxn::plan(&request, &world.seen(5)));
        let origin = parts[0].origin.clone();
        let (answer, _) = round::<AddPartitionsToTxn>(&request, &world.seen(5), |_, _| {
            let mut answer = AddPartitionsToTxnResponse::default();
            AddPartitionsToTxn::raise(&mut answer, &origin, 3);
            Ok(answer)
        });
        let told = shown(&answer.results_by_transaction[0].topic_results);
        assert_eq!(told, [("x".into(), 0, 35), ("x".into(), 1, 35)]);
    }

    #[test]
    fn very_many_transactions_keep_nobody_waiting() {
        let world = World::default().transacting(0, "t", 2);
        let request = new(&vec![("t", Vec::new()); 30_000]);
        let began = Effort::begin();
        let (_, parts) = sent(AddPartitionsToTxn::plan(&request, &world.seen(5)));
        assert!(parts.len() == 30_000 && parts.iter().all(|part| part.request.transactions.len() == 1));
        began.must_be_small();
    }
}
