//! What is written by hand is what kafka-protocol writes, and what is read by hand what it reads.

use super::*;
use crate::wire::codec::{decode, encode_body, encode_request};
use crate::wire::glance::plain_fetch;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchableTopicResponse, NodeEndpoint, PartitionData,
};
use kafka_protocol::messages::{ApiKey, FetchRequest, FetchResponse};
use kafka_protocol::protocol::{Encodable, StrBytes};
use proptest::prelude::*;
use uuid::Uuid;

fn text() -> impl Strategy<Value = StrBytes> {
    "[a-z]{0,200}".prop_map(StrBytes::from_string)
}

fn part(version: i16) -> impl Strategy<Value = FetchPartition> {
    let numbers = (any::<i32>(), any::<i64>(), any::<i32>(), any::<i32>(), any::<i32>(), any::<i64>());
    numbers.prop_map(move |(index, offset, most, epoch, fetched, start)| {
        FetchPartition::default()
            .with_partition(index)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(most)
            .with_current_leader_epoch(if version >= 9 { epoch } else { -1 })
            .with_last_fetched_epoch(if version >= 12 { fetched } else { -1 })
            .with_log_start_offset(if version >= 5 { start } else { -1 })
    })
}

/// A request that consumers send.
fn request(version: i16) -> impl Strategy<Value = FetchRequest> {
    let topic = (text(), any::<u128>(), proptest::collection::vec(part(version), 0..4));
    let topic = topic.prop_map(move |(name, id, partitions)| {
        let topic = FetchTopic::default().with_partitions(partitions);
        if version < 13 { topic.with_topic(name.into()) } else { topic.with_topic_id(Uuid::from_u128(id)) }
    });
    let terms = (any::<i32>(), any::<i32>(), any::<i32>(), any::<i8>());
    (terms, proptest::collection::vec(topic, 0..4)).prop_map(|((wait, least, most, isolation), topics)| {
        let request = FetchRequest::default().with_max_wait_ms(wait).with_min_bytes(least).with_max_bytes(most);
        request.with_isolation_level(isolation).with_session_id(0).with_session_epoch(-1).with_topics(topics)
    })
}

/// What consumers do not send, or only those with a session.
fn odd(version: i16) -> impl Strategy<Value = fn(&mut FetchRequest)> {
    let mut all: Vec<fn(&mut FetchRequest)> = Vec::new();
    if version >= 7 {
        all.push(|request| request.session_id = 5);
        all.push(|request| request.forgotten_topics_data = vec![Default::default()]);
    }
    if version < 15 {
        all.push(|request| request.replica_id = 3.into());
    }
    if version >= 12 {
        all.push(|request| request.cluster_id = Some(StrBytes::from_static_str("c")));
        all.push(|request| _ = request.unknown_tagged_fields.insert(77, Bytes::new()));
        all.push(|request| {
            request.topics.push(FetchTopic::default().with_partitions(vec![FetchPartition::default()]));
            request.topics.iter_mut().for_each(|topic| _ = topic.unknown_tagged_fields.insert(77, Bytes::new()));
        });
        all.push(|request| {
            request.topics.push(FetchTopic::default().with_partitions(vec![FetchPartition::default()]));
            let parts = request.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            parts.for_each(|part| _ = part.unknown_tagged_fields.insert(77, Bytes::new()));
        });
    }
    if all.is_empty() {
        all.push(|request| request.replica_id = 3.into());
    }
    proptest::sample::select(all)
}

fn answer(version: i16) -> impl Strategy<Value = FetchResponse> {
    let records = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..900));
    let ends = (any::<i64>(), any::<i64>(), any::<i64>());
    let part = (any::<i32>(), ends, records, proptest::option::of(0..3_usize));
    let part = part.prop_map(move |(index, (high, stable, start), records, aborted)| {
        PartitionData::default()
            .with_partition_index(index)
            .with_high_watermark(high)
            .with_last_stable_offset(stable)
            .with_log_start_offset(if version >= 5 { start } else { -1 })
            .with_aborted_transactions(aborted.map(|count| vec![AbortedTransaction::default(); count]))
            .with_records(records.map(Bytes::from))
    });
    let topic = (text(), any::<u128>(), proptest::collection::vec(part, 0..4));
    let topic = topic.prop_map(move |(name, id, parts)| {
        let topic = FetchableTopicResponse::default().with_partitions(parts);
        if version < 13 { topic.with_topic(name.into()) } else { topic.with_topic_id(Uuid::from_u128(id)) }
    });
    (any::<i32>(), proptest::collection::vec(topic, 0..4))
        .prop_map(|(throttle, topics)| FetchResponse::default().with_throttle_time_ms(throttle).with_responses(topics))
}

fn versioned<T: std::fmt::Debug, S: Strategy<Value = T>>(
    of: impl Fn(i16) -> S + Clone,
) -> impl Strategy<Value = (i16, T)> {
    (4_i16..=18).prop_flat_map(move |version| (Just(version), of(version)))
}

fn framed(message: &impl Encodable, version: i16) -> Bytes {
    let mut bytes = BytesMut::from(&b"head"[..]);
    message.encode(&mut bytes, version).unwrap();
    bytes.freeze()
}

/// A request behind a head of four bytes, where it is read at a glance.
fn read(frame: &Bytes, version: i16) -> Option<Flat> {
    let mut reading = Reading::begin(frame, 4, version)?;
    let mut flat = Flat { terms: reading.terms, ..Flat::default() };
    for named in &mut reading {
        match named {
            Named::Topic(name, id) => {
                let name = StrBytes::from_string(String::from_utf8(name.to_vec()).unwrap());
                flat.topics.push(FlatTopic { name, id, end: flat.parts.len() });
            }
            Named::Part(part) => {
                flat.parts.push(part);
                flat.topics.last_mut().unwrap().end = flat.parts.len();
            }
        }
    }
    reading.is_plain().then_some(flat)
}

/// All steps of an answer behind a head of four bytes.
fn steps(frame: &Bytes, version: i16) -> Result<Vec<Step<'_>>, NotPlain> {
    let mut answer = PlainAnswer::begin(frame, 4, version)?;
    let mut steps = Vec::new();
    loop {
        match answer.step()? {
            Step::End => return Ok(steps),
            step => steps.push(step),
        }
    }
}

/// All of an answer again, partition by partition.
fn again(frame: &Bytes, version: i16, throttle_ms: i32, counts: &[usize]) -> Bytes {
    let sources = [frame.clone()];
    let mut writing = Writing::begin(version, throttle_ms, (counts.len(), counts.iter().sum()), &sources);
    let (mut topic, mut open) = (0, false);
    for step in steps(frame, version).unwrap() {
        match step {
            Step::End => {}
            Step::Topic(name, id) => {
                if open {
                    writing.end_topic();
                }
                writing.topic(std::str::from_utf8(name).unwrap(), id, counts[topic]);
                (topic, open) = (topic + 1, true);
            }
            Step::Part(told) => writing.slice(&frame[told.place]),
        }
    }
    if open {
        writing.end_topic();
    }
    writing.end(Vec::new()).unwrap().concat().into()
}

/// An answer that is plain, or nearly.
fn nearly(version: i16) -> impl Strategy<Value = FetchResponse> {
    let odd = proptest::option::of(0..7_usize);
    (answer(version), odd).prop_map(move |(mut answer, odd)| {
        let part = answer.responses.iter_mut().flat_map(|topic| &mut topic.partitions).last();
        match (odd, part) {
            (Some(0), Some(part)) => part.error_code = 6,
            (Some(1), Some(part)) if version >= 11 => part.preferred_read_replica = 3.into(),
            (Some(2), Some(part)) if version >= 12 => part.current_leader.leader_id = 3.into(),
            (Some(3), Some(part)) if version >= 12 => _ = part.unknown_tagged_fields.insert(77, Bytes::new()),
            (Some(4), Some(part)) if version >= 12 => {
                let mut aborted = AbortedTransaction::default();
                aborted.unknown_tagged_fields.insert(77, Bytes::new());
                part.aborted_transactions = Some(vec![aborted]);
            }
            (Some(5), _) if version >= 7 => answer.error_code = 70,
            (Some(6), _) if version >= 12 => _ = answer.unknown_tagged_fields.insert(77, Bytes::new()),
            _ => {}
        }
        answer
    })
}

proptest! {
    #[test]
    fn a_request_is_read_as_the_codec_reads_it_and_written_as_the_codec_writes_it(
        (version, request) in versioned(request),
    ) {
        let flat = read(&framed(&request, version), version).unwrap();
        prop_assert_eq!(&flat, &Flat::from(request.clone()));
        prop_assert_eq!(FetchRequest::from(&flat), request.clone());
        let again = Flat::from(request.clone());
        prop_assert_eq!(again.named().count(), flat.topics.len() + flat.parts.len());
        let id = Bytes::from_static(b"client");
        let expected = encode_request(ApiKey::Fetch, version, 7, Some(&id), &request, &[]).unwrap();
        prop_assert_eq!(flat.frame(version, 7, Some(&id)).unwrap().concat(), expected.concat());
        prop_assert_eq!(flat.body(version), encode_body(&request, version).unwrap());
    }

    #[test]
    fn a_cut_request_is_left_to_the_codec((version, request) in versioned(request)) {
        let frame = framed(&request, version);
        for end in 4..frame.len() {
            prop_assert!(read(&frame.slice(..end), version).is_none(), "cut at {}", end);
        }
    }

    #[test]
    fn what_consumers_do_not_send_is_left_to_the_codec(
        (version, (mut request, odd)) in versioned(|version| (request(version), odd(version))),
    ) {
        odd(&mut request);
        let mut bytes = BytesMut::from(&b"head"[..]);
        prop_assume!(request.encode(&mut bytes, version).is_ok());
        prop_assert!(read(&bytes.freeze(), version).is_none());
    }

    #[test]
    fn a_request_goes_to_brokers_of_every_version((_, request) in versioned(request), version in 4_i16..=18) {
        let read: FetchRequest = decode(Flat::from(request.clone()).body(version), version).unwrap();
        let of = |request: &FetchRequest| -> Vec<_> {
            let parts = request.topics.iter().flat_map(|topic| &topic.partitions);
            parts.map(|part| (part.partition, part.fetch_offset, part.partition_max_bytes)).collect()
        };
        prop_assert_eq!(of(&read), of(&request));
    }

    #[test]
    fn an_answer_is_read_and_written_again_without_a_change((version, answer) in versioned(answer)) {
        let frame = framed(&answer, version);
        let told: Vec<_> = answer.responses.iter().flat_map(|topic| &topic.partitions).collect();
        let steps = steps(&frame, version).unwrap().into_iter();
        let read: Vec<_> = steps.filter_map(|step| if let Step::Part(part) = step { Some(part) } else { None }).collect();
        prop_assert_eq!(told.len(), read.len());
        for (told, read) in told.into_iter().zip(read) {
            let ends = [told.high_watermark, told.last_stable_offset, told.log_start_offset];
            prop_assert_eq!((told.partition_index, ends), (read.index, read.ends));
            prop_assert_eq!(told.records.as_ref().map_or(0, Bytes::len), read.records);
            prop_assert_eq!(&encode_body(told, version).unwrap(), &frame.slice(read.place));
        }
        let counts: Vec<_> = answer.responses.iter().map(|topic| topic.partitions.len()).collect();
        prop_assert_eq!(again(&frame, version, answer.throttle_time_ms, &counts), frame.slice(4..));
    }

    #[test]
    fn an_answer_is_plain_where_it_could_go_to_the_client_as_it_is((version, answer) in versioned(nearly)) {
        let frame = framed(&answer, version);
        prop_assert_eq!(steps(&frame, version).is_ok(), plain_fetch(&frame, 4, version, |_, _| {}).is_some());
        for end in 4..frame.len() {
            prop_assert!(steps(&frame.slice(..end), version).is_err(), "cut at {}", end);
        }
    }

    #[test]
    fn nothing_new_is_written_as_the_codec_writes_it(
        version in 4_i16..=18, index in any::<i32>(), code in any::<i16>(), ends in any::<[i64; 3]>(),
    ) {
        let told = PartitionData::default()
            .with_partition_index(index)
            .with_error_code(code)
            .with_high_watermark(ends[0])
            .with_last_stable_offset(ends[1])
            .with_log_start_offset(ends[2]);
        let response = FetchResponse::default()
            .with_throttle_time_ms(3)
            .with_responses(vec![FetchableTopicResponse::default().with_partitions(vec![told.clone(), told.clone()])]);
        let node = NodeEndpoint::default().with_host(StrBytes::from_static_str("host"));
        let nodes = if version >= 16 { vec![node] } else { Vec::new() };
        let expected = encode_body(&response.with_node_endpoints(nodes.clone()), version).unwrap();
        let mut writing = Writing::begin(version, 3, (1, 2), &[]);
        writing.topic("", Uuid::nil(), 2);
        writing.nothing(index, code, ends);
        writing.told(&told);
        writing.end_topic();
        prop_assert_eq!(writing.end(nodes).unwrap().concat(), expected);
    }

    #[test]
    fn anything_at_all_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), version in 0_i16..20) {
        let frame = Bytes::from(bytes);
        let _ = Reading::begin(&frame, 0, version).map(Iterator::count);
        if frame.len() > 4 {
            // It is found plain where `plain_fetch` finds it so
            let plain = steps(&frame, version).is_ok();
            prop_assert_eq!(plain, plain_fetch(&frame, 4, version, |_, _| {}).is_some());
        }
    }
}

#[test]
fn a_wish_for_a_session_is_kept_and_a_rack() {
    for version in 11..=18 {
        let racked = FetchRequest::default().with_session_epoch(0).with_rack_id(StrBytes::from_static_str("r"));
        let body = encode_body(&racked, version).unwrap();
        let mut reading = Reading::begin(&body, 0, version).unwrap();
        assert_eq!(reading.by_ref().count(), 0);
        assert!(reading.is_plain() && &*reading.rack() == "r" && reading.terms.epoch == 0);
        let again = Flat { terms: reading.terms, rack: reading.rack(), ..Flat::default() };
        assert_eq!(again.body(version), body);
        assert_eq!(&*Flat::from(racked.clone()).rack, "r");
        assert_eq!(FetchRequest::from(&again), racked);
    }
}

#[test]
fn what_would_swell_is_left_to_the_codec() {
    // A version with names of no length: three bytes a topic
    let swollen = |topics: usize| {
        let topics = vec![FlatTopic { name: StrBytes::new(), id: Uuid::nil(), end: 0 }; topics];
        let body = Flat { topics, ..Flat::default() }.body(12);
        let mut reading = Reading::begin(&body, 0, 12).unwrap();
        reading.by_ref().for_each(drop);
        !reading.is_plain()
    };
    assert!(!swollen(1_000) && swollen(20_000));
}
