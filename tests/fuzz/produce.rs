//! Produce from the frame to the answer: the glance, the ledger, its parts, what brokers say of them.

use super::behind::{any_versions, fault, refusal, told};
use super::clusters::World;
use super::messages::damage::damage;
use super::messages::dice::roll;
use super::targets::BATCH;
use bytes::Bytes;
use fastrand::Rng;
use fishplate::api::records::produce::{Ledger, Part};
use fishplate::api::{Effects, Refusals, Seen};
use fishplate::wire::codec::{decode, encode_body, encode_response};
use fishplate::wire::glance::{Produce, plain_produce};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ApiKey, ProduceRequest, ProduceResponse};

/// What brokers say most.
const CODES: [i16; 10] = [0, 0, 0, 2, 3, 6, 7, 45, 87, -1];

/// One request to its answer. Whether a broker's answer was taken.
pub(super) fn round(world: &World, rng: &mut Rng) -> bool {
    let (client, link) = any_versions(rng, ApiKey::Produce as i16);
    let body = request(rng, client);
    let Ok(asked) = Produce::read(&body, 0, client) else { return false };
    let order: Vec<_> = asked.partitions.iter().map(|partition| (partition.topic, partition.index)).collect();
    let (mut ledger, cells) = Ledger::open(asked);
    let (mut refused, mut effects, mut taken) = (Refusals::default(), Effects::new(), false);
    let mut cells = Some(cells);
    // Once for what is known, once for what was asked about; then what nobody leads is given up.
    for last in [false, true] {
        let seen = world.seen(client, &refused);
        let routed = ledger.route(cells.take().unwrap_or_default(), &seen);
        for part in routed.parts {
            taken |= answered(&mut ledger, &part, link, &seen, &mut effects, rng);
        }
        if last {
            ledger.give_up(&routed.held);
        } else {
            let needs = routed.needs;
            cells = Some(routed.held);
            refused.extend(needs.into_iter().map(|need| (need, refusal(rng, world.a()))));
        }
    }
    assert!(ledger.is_complete(), "unanswered: {ledger:?}");
    let response = ledger.response();
    let told: Vec<_> = (0..)
        .zip(&response.responses)
        .flat_map(|(at, topic)| topic.partition_responses.iter().map(move |told| (at, told.index)))
        .collect();
    let mut in_order = order;
    // Stable: partitions of one topic keep their order.
    in_order.sort_by_key(|(topic, _)| *topic);
    assert_eq!(told, in_order, "each partition once, in the client's order");
    let written = encode_response(ApiKey::Produce, client, 1, &response, &[]);
    assert!(written.is_ok(), "version {client}, link {link}: {written:?} of {response:?}");
    taken
}

/// A request with batches of records in it, some of them damaged; sometimes it is damaged itself.
fn request(rng: &mut Rng, version: i16) -> Bytes {
    let Some((mut request, body)) = roll::<ProduceRequest>(rng, version) else { return Bytes::new() };
    if rng.u8(..4) == 0 {
        return damage(rng, &body);
    }
    for data in request.topic_data.iter_mut().flat_map(|topic| &mut topic.partition_data) {
        match rng.u8(..4) {
            0 => data.records = Some(Bytes::from_static(BATCH)),
            1 => data.records = Some(damage(rng, &Bytes::from_static(BATCH))),
            _ => {}
        }
    }
    encode_body(&request, version).unwrap_or(body)
}

/// A part that a broker answered, or did not. Whether it did.
fn answered(
    ledger: &mut Ledger,
    part: &Part,
    link: i16,
    seen: &Seen<'_>,
    effects: &mut Effects,
    rng: &mut Rng,
) -> bool {
    let asked = ledger.request(part);
    let writable = encode_body(&asked, link).is_ok();
    if !writable || rng.u8(..8) == 0 {
        ledger.fail(part, &fault(rng, part.to), effects);
        return false;
    }
    let body = answer(rng, &asked, link);
    let plain = plain_produce(&body, 0, link, |_, _, _| {});
    match decode::<ProduceResponse>(body, link) {
        Ok(told) => {
            let said: usize = told.responses.iter().map(|topic| topic.partition_responses.len()).sum();
            assert!(plain.is_none_or(|count| count == said), "{plain:?} were seen in {told:?}");
            let _kept_behind = ledger.refused(part, &told);
            ledger.absorb(part, told, seen, effects);
            true
        }
        Err(malformed) => {
            // It may look plain, and goes to the client as it is then: a name that is no text, null for an empty list.
            ledger.fail(part, &fishplate::error::Fault::upstream(part.to, true, malformed), effects);
            false
        }
    }
}

/// What a broker says to it: of each partition, of some, of others, or nonsense.
fn answer(rng: &mut Rng, asked: &ProduceRequest, version: i16) -> Bytes {
    if rng.u8(..4) == 0 {
        return told::<ProduceResponse>(rng, version);
    }
    let (mut answer, _) = roll::<ProduceResponse>(rng, version).unwrap_or_default();
    for topic in &asked.topic_data {
        let mut said = TopicProduceResponse::default().with_name(topic.name.clone()).with_topic_id(topic.topic_id);
        for data in &topic.partition_data {
            if rng.u8(..9) == 0 {
                continue;
            }
            let partition = PartitionProduceResponse::default().with_index(data.index).with_base_offset(rng.i64(..));
            said.partition_responses.push(partition.with_error_code(CODES[rng.usize(..CODES.len())]));
        }
        if rng.bool() {
            answer.responses.insert(0, said);
        } else {
            answer.responses.push(said);
        }
    }
    let body = encode_body(&answer, version).unwrap_or_default();
    if rng.bool() { damage(rng, &body) } else { body }
}
