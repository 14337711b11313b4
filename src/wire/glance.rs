//! Produce and the answers to Produce and Fetch, read for what routing needs and no more. kafka-protocol builds
//! structs with maps and lists for every topic and partition, which cost more than all else that we do for a request;
//! what is forwarded as it is needs none of them. Everything rarer is left to the codec.

use super::fetch::Heard;
use super::head::Cursor;
use super::malformed::Malformed;
use super::shape::allowance;
use bytes::Bytes;
#[cfg(test)]
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// The first versions of Produce and Fetch with compact fields and tagged fields (KIP-482).
const FLEXIBLE_PRODUCE: i16 = 9;
/// The first version of Produce with record batches of today's format; older ones are not read.
const FIRST_PRODUCE: i16 = 3;
pub(super) const FLEXIBLE_FETCH: i16 = 12;
/// The first version of both that names topics by id (KIP-516).
pub(super) const TOPIC_IDS: i16 = 13;
/// The least bytes that a partition takes in a Produce request.
const LEAST_PARTITION: usize = 5;

/// What a topic or a partition may take in memory until it is answered; a little more than is measured.
const MEMORY_OF_ONE: usize = 512;

/// A request that is larger than this is so for its records: what is beside them may take no more for it.
const LARGEST_BESIDE_RECORDS: usize = 8 << 20;

/// What a request may take for its size, as the shape check allows it to those that are decoded.
struct Budget {
    spent: usize,
    allowed: usize,
}

impl Budget {
    fn spend(&mut self, field: &'static str) -> Result<(), Malformed> {
        self.spent += MEMORY_OF_ONE;
        let Self { spent: memory, allowed } = *self;
        if memory > allowed { Err(Malformed::Swollen { field, memory, allowed }) } else { Ok(()) }
    }
}

/// A Produce request.
#[derive(Debug, Default, PartialEq)]
pub struct Produce {
    /// Of a transaction.
    pub transactional_id: Option<StrBytes>,
    /// How many replicas must have it.
    pub acks: i16,
    /// How long the broker may wait for them.
    pub timeout_ms: i32,
    /// Name or id of each topic, as the version has it.
    pub topics: Vec<(StrBytes, Uuid)>,
    /// All partitions, in order.
    pub partitions: Vec<ProducePartition>,
}

/// A partition of a Produce request.
#[derive(Debug, PartialEq)]
pub struct ProducePartition {
    /// Which of [`Produce::topics`].
    pub topic: usize,
    /// Its number in the topic.
    pub index: i32,
    /// A slice of the frame.
    pub records: Option<Bytes>,
}

impl Produce {
    /// Reads a request's body, which stands in `frame` from `at` on.
    pub fn read(frame: &Bytes, at: usize, version: i16) -> Result<Self, Malformed> {
        if version < FIRST_PRODUCE {
            return Err(Malformed::Field(format!("version {version} of Produce is not read")));
        }
        let mut fields = Fields { cursor: Cursor { frame, at }, flexible: version >= FLEXIBLE_PRODUCE };
        let transactional_id = fields.string()?;
        let acks = fields.cursor.i16()?;
        let timeout_ms = fields.cursor.i32()?;
        let mut read = Self { transactional_id, acks, timeout_ms, ..Self::default() };
        let allowed = allowance(frame.len().saturating_sub(at).min(LARGEST_BESIDE_RECORDS));
        let mut budget = Budget { spent: 0, allowed };
        for topic in 0..fields.count()? {
            budget.spend("topic_data")?;
            let named = match version {
                ..TOPIC_IDS => (fields.string()?.ok_or_else(|| null("topic"))?, Uuid::nil()),
                _ => (StrBytes::new(), Uuid::from_bytes(fields.cursor.take()?)),
            };
            read.topics.push(named);
            let partitions = fields.count()?;
            read.partitions.reserve(partitions.min(fields.cursor.left() / LEAST_PARTITION));
            for _ in 0..partitions {
                budget.spend("partition_data")?;
                let index = fields.cursor.i32()?;
                let records = fields.bytes()?;
                fields.skip_tags()?;
                read.partitions.push(ProducePartition { topic, index, records });
            }
            fields.skip_tags()?;
        }
        fields.skip_tags()?;
        Ok(read)
    }
}

#[cfg(test)]
impl From<ProduceRequest> for Produce {
    fn from(request: ProduceRequest) -> Self {
        let mut read = Self {
            transactional_id: request.transactional_id.map(|id| id.0),
            acks: request.acks,
            timeout_ms: request.timeout_ms,
            ..Self::default()
        };
        for (topic, data) in request.topic_data.into_iter().enumerate() {
            read.topics.push((data.name.0, data.topic_id));
            for partition in data.partition_data {
                read.partitions.push(ProducePartition { topic, index: partition.index, records: partition.records });
            }
        }
        read
    }
}

/// A topic in an answer: by its name, or by its id, as the version has it. The other one is empty.
pub type Called<'a> = (&'a [u8], Uuid);

/// Whether an answer to Produce says that all is well, names no broker and holds no field that we do not know: then it
/// can go to the client as it is. The number of partitions that it tells of, or `None` where it is not plain. `hear` is told of each
/// partition with the offset that its first record got, also of those before what is not plain.
#[must_use]
pub fn plain_produce(answer: &Bytes, at: usize, version: i16, hear: impl FnMut(Called<'_>, i32, i64)) -> Option<usize> {
    let fields = Fields { cursor: Cursor { frame: answer, at }, flexible: version >= FLEXIBLE_PRODUCE };
    plain_produce_partitions(fields, version, hear).ok().flatten()
}

/// A plain answer to Fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainFetch {
    /// The fetch session that it names; 0 for none.
    pub session: i32,
    /// For how long its broker wants to be left alone, in ms.
    pub throttle_ms: i32,
}

/// The same of an answer to Fetch, or `None` where it is not plain.
#[must_use]
pub fn plain_fetch<'a>(
    answer: &'a Bytes,
    at: usize,
    version: i16,
    hear: impl FnMut(Called<'a>, Heard<'a>),
) -> Option<PlainFetch> {
    let fields = Fields { cursor: Cursor { frame: answer, at }, flexible: version >= FLEXIBLE_FETCH };
    plain_fetch_partitions(fields, version, hear).ok().flatten()
}

fn plain_produce_partitions(
    mut fields: Fields<'_>,
    version: i16,
    mut hear: impl FnMut(Called<'_>, i32, i64),
) -> Result<Option<usize>, Malformed> {
    let mut partitions = 0;
    for _ in 0..fields.count()? {
        let topic = fields.topic(version)?;
        for _ in 0..fields.count()? {
            partitions += 1;
            let index = fields.cursor.i32()?;
            if fields.cursor.i16()? != 0 {
                return Ok(None);
            }
            let base = i64::from_be_bytes(fields.cursor.take()?);
            // Append time, and from version 5 on where the log starts.
            fields.cursor.skip(if version >= 5 { 16 } else { 8 })?;
            if version >= 8 && (fields.count()? > 0 || fields.length(false)?.is_some()) {
                return Ok(None); // errors of records, or a message
            }
            if fields.has_tags()? {
                return Ok(None);
            }
            hear(topic, index, base);
        }
        if fields.has_tags()? {
            return Ok(None);
        }
    }
    fields.cursor.i32()?; // throttle time
    Ok((!fields.has_tags()?).then_some(partitions))
}

fn plain_fetch_partitions<'a>(
    mut fields: Fields<'a>,
    version: i16,
    mut hear: impl FnMut(Called<'a>, Heard<'a>),
) -> Result<Option<PlainFetch>, Malformed> {
    let throttle_ms = fields.cursor.i32()?;
    let (error, session) = if version >= 7 { (fields.cursor.i16()?, fields.cursor.i32()?) } else { (0, 0) };
    if error != 0 {
        return Ok(None);
    }
    for _ in 0..fields.count()? {
        let topic = fields.topic(version)?;
        for _ in 0..fields.count()? {
            let Some(heard) = Heard::read(&mut fields, version)? else { return Ok(None) };
            hear(topic, heard);
        }
        if fields.has_tags()? {
            return Ok(None);
        }
    }
    Ok((!fields.has_tags()?).then_some(PlainFetch { session, throttle_ms }))
}

fn null(what: &str) -> Malformed {
    Malformed::Field(format!("a {what} without a name"))
}

/// Fields that are written in one of two ways, by version.
pub(super) struct Fields<'a> {
    pub(super) cursor: Cursor<'a>,
    pub(super) flexible: bool,
}

impl<'a> Fields<'a> {
    /// A text's bytes; none where it is null.
    pub(super) fn text(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length(false)?.unwrap_or(0);
        let from = self.cursor.at;
        self.cursor.skip(length)?;
        Ok(self.since(from))
    }

    /// `None` for null.
    pub(super) fn length(&mut self, wide: bool) -> Result<Option<usize>, Malformed> {
        match self.cursor.length(self.flexible, wide)? {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| Malformed::Short),
        }
    }

    /// The elements of an array; none where it is null.
    pub(super) fn count(&mut self) -> Result<usize, Malformed> {
        Ok(self.length(true)?.unwrap_or(0))
    }

    pub(super) fn string(&mut self) -> Result<Option<StrBytes>, Malformed> {
        let Some(length) = self.length(false)? else { return Ok(None) };
        let text = StrBytes::from_utf8(self.cursor.slice(length)?);
        text.map(Some).map_err(|e| Malformed::Field(e.to_string()))
    }

    fn bytes(&mut self) -> Result<Option<Bytes>, Malformed> {
        self.length(true)?.map(|length| self.cursor.slice(length)).transpose()
    }

    /// What was read since the cursor stood there.
    pub(super) fn since(&self, from: usize) -> &'a [u8] {
        let frame: &'a Bytes = self.cursor.frame;
        frame.get(from..self.cursor.at).unwrap_or_default()
    }

    pub(super) fn topic(&mut self, version: i16) -> Result<Called<'a>, Malformed> {
        Ok(match version {
            ..TOPIC_IDS => (self.text()?, Uuid::nil()),
            _ => (Default::default(), Uuid::from_bytes(self.cursor.take()?)),
        })
    }

    fn skip_tags(&mut self) -> Result<(), Malformed> {
        if self.flexible { self.cursor.skip_tagged_fields() } else { Ok(()) }
    }

    pub(super) fn has_tags(&mut self) -> Result<bool, Malformed> {
        Ok(self.flexible && self.cursor.unsigned_varint()? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::log::Ends;
    use bytes::BytesMut;
    use kafka_protocol::messages::fetch_response::{AbortedTransaction, FetchableTopicResponse, PartitionData};
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::messages::produce_response::{
        BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse,
    };
    use kafka_protocol::messages::{FetchResponse, ProduceResponse};
    use kafka_protocol::protocol::{Decodable, Encodable};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn encoded(message: &impl Encodable, version: i16) -> Bytes {
        let mut bytes = BytesMut::from(&b"head"[..]);
        message.encode(&mut bytes, version).unwrap();
        bytes.freeze()
    }

    fn text() -> impl Strategy<Value = StrBytes> {
        "[a-z]{1,200}".prop_map(StrBytes::from_string)
    }

    fn tags(version: i16, flexible: i16) -> impl Strategy<Value = BTreeMap<i32, Bytes>> {
        let one = prop_oneof![9 => Just(false), 1 => Just(version >= flexible)];
        one.prop_map(|some| some.then(|| (77, Bytes::from_static(b"tag"))).into_iter().collect())
    }

    fn request(version: i16) -> impl Strategy<Value = ProduceRequest> {
        let records = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300));
        let partition = (any::<i32>(), records, tags(version, 9)).prop_map(|(index, records, tags)| {
            let data = PartitionProduceData::default().with_index(index).with_records(records.map(Bytes::from));
            data.with_unknown_tagged_fields(tags)
        });
        let topic = (text(), any::<u128>(), proptest::collection::vec(partition, 0..4), tags(version, 9));
        let topic = topic.prop_map(move |(name, id, partitions, tags)| {
            let topic = TopicProduceData::default().with_partition_data(partitions).with_unknown_tagged_fields(tags);
            match version {
                ..TOPIC_IDS => topic.with_name(name.into()),
                _ => topic.with_topic_id(Uuid::from_u128(id)),
            }
        });
        let id = proptest::option::of(text());
        let all = (id, any::<i16>(), any::<i32>(), proptest::collection::vec(topic, 0..4), tags(version, 9));
        all.prop_map(|(id, acks, timeout, topics, tags)| {
            let request = ProduceRequest::default().with_acks(acks).with_timeout_ms(timeout).with_topic_data(topics);
            request.with_transactional_id(id.map(Into::into)).with_unknown_tagged_fields(tags)
        })
    }

    fn rarely(code: i16) -> impl Strategy<Value = i16> {
        prop_oneof![9 => Just(0), 1 => Just(code)]
    }

    fn produce_answer(version: i16) -> impl Strategy<Value = ProduceResponse> {
        let partition = (any::<i32>(), rarely(6), tags(version, 9), rarely(1), any::<bool>());
        let partition = partition.prop_map(move |(index, code, tags, odd, message)| {
            let mut told = PartitionProduceResponse::default().with_index(index).with_error_code(code);
            told.unknown_tagged_fields = tags;
            if version >= 8 && odd > 0 {
                match message {
                    true => told.error_message = Some(StrBytes::from_static_str("no")),
                    false => told.record_errors = vec![BatchIndexAndErrorMessage::default()],
                }
            }
            if version >= 10 && odd > 0 && message {
                told.current_leader = LeaderIdAndEpoch::default().with_leader_id(3.into());
            }
            told
        });
        let partitions = proptest::collection::vec(partition, 0..4);
        let topic = (text(), partitions, tags(version, 9)).prop_map(move |(name, partitions, tags)| {
            let mut topic = TopicProduceResponse::default().with_partition_responses(partitions);
            topic.unknown_tagged_fields = tags;
            if version < TOPIC_IDS { topic.with_name(name.into()) } else { topic.with_topic_id(Uuid::from_u128(7)) }
        });
        let all = (proptest::collection::vec(topic, 0..3), tags(version, 9));
        all.prop_map(|(topics, tags)| {
            ProduceResponse::default().with_responses(topics).with_unknown_tagged_fields(tags)
        })
    }

    fn fetch_answer(version: i16) -> impl Strategy<Value = FetchResponse> {
        let records = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300));
        let partition = (rarely(6), records, tags(version, 12), rarely(4), proptest::option::of(0..3usize));
        let partition = partition.prop_map(move |(code, records, tags, replica, aborted)| {
            let mut told = PartitionData::default().with_error_code(code).with_records(records.map(Bytes::from));
            told.unknown_tagged_fields = tags;
            told.aborted_transactions = aborted.map(|count| vec![AbortedTransaction::default(); count]);
            told.preferred_read_replica = if version >= 11 && replica > 0 { 4.into() } else { (-1).into() };
            told
        });
        let partitions = proptest::collection::vec(partition, 0..4);
        let topic = (text(), partitions, tags(version, 12)).prop_map(move |(name, partitions, tags)| {
            let mut topic = FetchableTopicResponse::default().with_partitions(partitions);
            topic.unknown_tagged_fields = tags;
            if version < TOPIC_IDS { topic.with_topic(name.into()) } else { topic.with_topic_id(Uuid::from_u128(7)) }
        });
        let session = if version >= 7 { any::<i32>().boxed() } else { Just(0).boxed() };
        let code = if version >= 7 { rarely(70).boxed() } else { Just(0).boxed() };
        let all = (proptest::collection::vec(topic, 0..3), session, code, tags(version, 12));
        all.prop_map(|(topics, session, code, tags)| {
            let answer = FetchResponse::default().with_responses(topics).with_session_id(session);
            answer.with_error_code(code).with_unknown_tagged_fields(tags)
        })
    }

    /// What kafka-protocol's structs say of an answer.
    fn all_is_well_in_produce(answer: &ProduceResponse) -> bool {
        let partition = |told: &PartitionProduceResponse| {
            let plain = PartitionProduceResponse::default().with_index(told.index).with_base_offset(told.base_offset);
            let times = plain.with_log_append_time_ms(told.log_append_time_ms);
            *told == times.with_log_start_offset(told.log_start_offset)
        };
        let topic = |topic: &TopicProduceResponse| {
            topic.unknown_tagged_fields.is_empty() && topic.partition_responses.iter().all(partition)
        };
        answer.unknown_tagged_fields.is_empty() && answer.responses.iter().all(topic)
    }

    fn all_is_well_in_fetch(answer: &FetchResponse) -> bool {
        let partition = |told: &PartitionData| {
            told.error_code == 0 && told.preferred_read_replica.0 < 0 && told.unknown_tagged_fields.is_empty()
        };
        let topic = |topic: &FetchableTopicResponse| {
            topic.unknown_tagged_fields.is_empty() && topic.partitions.iter().all(partition)
        };
        answer.error_code == 0 && answer.unknown_tagged_fields.is_empty() && answer.responses.iter().all(topic)
    }

    proptest! {
        #[test]
        fn a_produce_is_read_as_the_codec_reads_it(
            (version, request) in (3_i16..=13).prop_flat_map(|version| (Just(version), request(version)))
        ) {
            let frame = encoded(&request, version);
            let decoded = ProduceRequest::decode(&mut frame.slice(4..), version).unwrap();
            prop_assert_eq!(Produce::read(&frame, 4, version).unwrap(), Produce::from(decoded));
            for end in 4..frame.len() {
                prop_assert!(Produce::read(&frame.slice(..end), 4, version).is_err(), "cut at {}", end);
            }
        }

        #[test]
        fn an_answer_to_produce_is_plain_when_the_codec_finds_nothing_odd_in_it(
            (version, answer) in (3_i16..=13).prop_flat_map(|version| (Just(version), produce_answer(version)))
        ) {
            let frame = encoded(&answer, version);
            let partitions = answer.responses.iter().map(|topic| topic.partition_responses.len()).sum();
            let expected = all_is_well_in_produce(&answer).then_some(partitions);
            let mut told = Vec::new();
            let found = plain_produce(&frame, 4, version, |(name, id), index, base| told.push((name.to_vec(), id, index, base)));
            prop_assert_eq!(found, expected);
            if expected.is_some() {
                let of = |topic: &TopicProduceResponse| {
                    let called = (topic.name.as_bytes().to_vec(), topic.topic_id);
                    topic.partition_responses.iter().map(move |one| (called.0.clone(), called.1, one.index, one.base_offset)).collect::<Vec<_>>()
                };
                prop_assert_eq!(told, answer.responses.iter().flat_map(of).collect::<Vec<_>>());
            }
            for end in 4..frame.len() {
                prop_assert_eq!(plain_produce(&frame.slice(..end), 4, version, |_, _, _| {}), None, "cut at {}", end);
            }
        }

        #[test]
        fn an_answer_to_fetch_is_plain_when_the_codec_finds_nothing_odd_in_it(
            (version, answer) in (4_i16..=18).prop_flat_map(|version| (Just(version), fetch_answer(version)))
        ) {
            let frame = encoded(&answer, version);
            let plain = PlainFetch { session: answer.session_id, throttle_ms: answer.throttle_time_ms };
            let expected = all_is_well_in_fetch(&answer).then_some(plain);
            let mut told = Vec::new();
            prop_assert_eq!(plain_fetch(&frame, 4, version, |topic, heard| told.push((topic, heard))), expected);
            if expected.is_some() {
                let all = answer.responses.iter().flat_map(|topic| topic.partitions.iter().map(move |one| (topic, one)));
                prop_assert_eq!(told.len(), all.clone().count());
                for (((name, id), heard), (topic, one)) in told.iter().zip(all) {
                    prop_assert_eq!((*name, *id), (topic.topic.as_bytes(), topic.topic_id));
                    let start = if version >= 5 { one.log_start_offset } else { -1 };
                    let ends = Ends { high: one.high_watermark, stable: one.last_stable_offset, start };
                    prop_assert_eq!((heard.index, heard.ends), (one.partition_index, ends));
                    prop_assert_eq!(heard.records, one.records.as_deref().unwrap_or_default());
                }
            }
            for end in 4..frame.len() {
                prop_assert_eq!(plain_fetch(&frame.slice(..end), 4, version, |_, _| {}), None, "cut at {}", end);
            }
        }

        #[test]
        fn what_swells_is_refused(topics in 0_usize..20_000) {
            // No transactional id, acks, time-out, two million topics; each without name, partitions and tags.
            let head = [0, 0xff, 0xff, 0, 0, 3, 0xe8, 0xff, 0xff, 0x7f];
            let body = [&head[..], &[1, 1, 0].repeat(topics)].concat();
            let wanted = (topics + 1) * MEMORY_OF_ONE > allowance(body.len());
            let read = Produce::read(&body.into(), 0, 9);
            prop_assert_eq!(matches!(read, Err(Malformed::Swollen { .. })), wanted, "{:?}", read.is_ok());
        }

        #[test]
        fn anything_at_all_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), version in 0_i16..20) {
            let frame = Bytes::from(bytes);
            let _ = Produce::read(&frame, 0, version);
            let _ = plain_produce(&frame, 0, version, |_, _, _| {});
            let _ = plain_fetch(&frame, 0, version, |_, heard| { let _ = heard.stretch(version % 2 == 0); });
        }
    }
}
