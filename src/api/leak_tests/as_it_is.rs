//! Answers that could go to the client as they came.

use super::answers::{self, How};
use super::{encoded, leak, requests};
use crate::api::fetch;
use crate::wire::glance::{plain_fetch, plain_produce};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{FetchResponse, ProduceResponse};

/// Every way in which an answer may go up to the client as it came: with one sentinel, at one place, it must not.
#[test]
fn an_answer_with_one_sentinel_is_not_passed_on_as_it_is() {
    let full: ProduceResponse = answers::produce(&requests::produce(9), How { version: 13, code: 0 });
    let places: [fn(&mut ProduceResponse, &ProduceResponse); 8] = [
        |to, from| to.unknown_tagged_fields.clone_from(&from.unknown_tagged_fields),
        |to, from| to.node_endpoints.clone_from(&from.node_endpoints),
        |to, from| to.responses[0].unknown_tagged_fields.clone_from(&from.unknown_tagged_fields),
        |to, from| of_produce(to).unknown_tagged_fields.clone_from(&from.unknown_tagged_fields),
        |to, from| of_produce(to).error_message.clone_from(&of_produce(&mut from.clone()).error_message),
        |to, from| of_produce(to).record_errors.clone_from(&of_produce(&mut from.clone()).record_errors),
        |to, from| of_produce(to).current_leader.clone_from(&of_produce(&mut from.clone()).current_leader),
        |to, from| of_produce(to).current_leader.unknown_tagged_fields.clone_from(&from.unknown_tagged_fields),
    ];
    let clean = ProduceResponse::default()
        .with_responses(vec![TopicProduceResponse::default().with_partition_responses(vec![Default::default()])]);
    assert!(plain_produce(&encoded(&clean, 13), 0, 13, |_, _, _| {}).is_some());
    for (at, place) in places.iter().enumerate() {
        let mut answer = clean.clone();
        place(&mut answer, &full);
        let bytes = encoded(&answer, 13);
        assert!(leak(&bytes).is_some(), "place {at} bears no sentinel");
        assert!(plain_produce(&bytes, 0, 13, |_, _, _| {}).is_none(), "place {at} would reach the client");
    }

    let full: FetchResponse = answers::fetch(&requests::fetch(12, 1), How { version: 18, code: 0 });
    let places: [fn(&mut FetchResponse, &FetchResponse); 9] = [
        |to, from| to.unknown_tagged_fields.clone_from(&from.unknown_tagged_fields),
        |to, from| to.node_endpoints.clone_from(&from.node_endpoints),
        |to, from| to.responses[0].unknown_tagged_fields.clone_from(&from.unknown_tagged_fields),
        |to, from| of_fetch(to).unknown_tagged_fields.clone_from(&from.unknown_tagged_fields),
        |to, from| of_fetch(to).preferred_read_replica = of_fetch(&mut from.clone()).preferred_read_replica,
        |to, from| of_fetch(to).current_leader.clone_from(&of_fetch(&mut from.clone()).current_leader),
        |to, from| of_fetch(to).diverging_epoch.clone_from(&of_fetch(&mut from.clone()).diverging_epoch),
        |to, from| of_fetch(to).snapshot_id.clone_from(&of_fetch(&mut from.clone()).snapshot_id),
        |to, from| of_fetch(to).aborted_transactions.clone_from(&of_fetch(&mut from.clone()).aborted_transactions),
    ];
    let clean = FetchResponse::default()
        .with_responses(vec![FetchableTopicResponse::default().with_partitions(vec![Default::default()])]);
    assert!(fetch::is_plain(&clean) && plain_fetch(&encoded(&clean, 18), 0, 18, |_, _| {}).is_some());
    for (at, place) in places.iter().enumerate() {
        let mut answer = clean.clone();
        place(&mut answer, &full);
        let bytes = encoded(&answer, 18);
        assert!(leak(&bytes).is_some(), "place {at} bears no sentinel");
        assert!(!fetch::is_plain(&answer), "place {at} would reach the client");
        assert!(plain_fetch(&bytes, 0, 18, |_, _| {}).is_none(), "place {at} would reach the client");
    }
}

fn of_produce(answer: &mut ProduceResponse) -> &mut PartitionProduceResponse {
    &mut answer.responses[0].partition_responses[0]
}

fn of_fetch(answer: &mut FetchResponse) -> &mut PartitionData {
    &mut answer.responses[0].partitions[0]
}
