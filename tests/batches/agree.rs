//! Whether our walker and kafka-protocol read the same in a record set, but for what kafka-protocol cannot hold: it keeps
//! one of several headers with one key, and refuses keys that are not UTF-8, and a batch that is cut short.

use super::codecs::decompress;
use bytes::Bytes;
use fishplate::wire::batch::{Batch, Batches, Codec, Header, Record, RecordHeader, Records};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::{BatchDecodeInfo, Compression, RecordBatchDecoder, RecordSet, TimestampType};
use std::collections::BTreeMap;

/// What there was to compare. Codecs go by their number in the attributes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Batches of each codec.
    pub batches: BTreeMap<i16, usize>,
    /// Records in all of them.
    pub records: usize,
    /// Records with several headers of one key.
    pub doubled_keys: usize,
    /// Records with a header key that is not UTF-8.
    pub odd_keys: usize,
    /// Transactional, control and empty batches, those with gaps in their offsets, those stamped by the broker.
    pub transactional: usize,
    pub control: usize,
    pub empty: usize,
    pub compacted: usize,
    pub append_time: usize,
    /// Bytes of the batch at the end that is cut short.
    pub cut_short: usize,
}

/// Panics where they differ, and where a batch is damaged.
#[track_caller]
pub fn judge(set: &[u8], tally: &mut Tally) {
    let mut batches = Batches::of(set);
    let mut at = 0;
    for batch in batches.by_ref() {
        let batch = batch.unwrap_or_else(|error| panic!("the walker refuses a batch: {error}"));
        let bytes = &set[at..at + batch.header.size];
        at += bytes.len();
        assert!(batch.is_intact(), "the CRC of {:?}", batch.header);
        judge_batch(&batch, bytes, tally);
    }
    assert_eq!(batches.rest(), &set[at..], "batches lie side by side");
    tally.cut_short += batches.rest().len();
}

fn judge_batch(batch: &Batch, bytes: &[u8], tally: &mut Tally) {
    let infos = RecordBatchDecoder::decode_batch_info(&mut Bytes::copy_from_slice(bytes));
    let infos = infos.unwrap_or_else(|error| panic!("kafka-protocol refuses a batch: {error}"));
    assert_eq!(infos, [as_info(&batch.header)]);
    let codec = batch.header.codec().expect("a codec that is known");
    let section = Bytes::from(decompress(codec, batch.section()));
    assert_eq!(batch.records().is_some(), codec == Codec::None, "only what is not compressed is walked in place");
    tally.add(&batch.header);
    let records = Records::of(&section, batch.header.count);
    let records: Vec<_> = records.map(|record| record.unwrap_or_else(|error| panic!("a record: {error}"))).collect();
    let theirs = decode(bytes, &section);
    let headers: Vec<Vec<_>> = records.iter().map(headers).collect();
    let odd = |headers: &&Vec<RecordHeader>| headers.iter().any(|header| std::str::from_utf8(header.key).is_err());
    match headers.iter().filter(odd).count() {
        0 => judge_records(&batch.header, &records, &headers, &theirs.unwrap(), tally),
        count => {
            tally.odd_keys += count;
            assert!(theirs.is_err(), "kafka-protocol has learned to hold keys that are not UTF-8: compare them");
        }
    }
}

/// With a codec of ours: theirs would be crates more.
pub fn decode(batch: &[u8], section: &Bytes) -> anyhow::Result<RecordSet> {
    let decompressed = |_: &mut Bytes, _: Compression| Ok(section.clone());
    RecordBatchDecoder::decode_with_custom_compression(&mut Bytes::copy_from_slice(batch), Some(decompressed))
}

fn headers<'a>(record: &Record<'a>) -> Vec<RecordHeader<'a>> {
    record.headers.clone().map(|header| header.unwrap_or_else(|error| panic!("a header: {error}"))).collect()
}

fn judge_records(
    header: &Header,
    ours: &[Record],
    headers: &[Vec<RecordHeader>],
    theirs: &RecordSet,
    tally: &mut Tally,
) {
    assert_eq!(ours.len(), theirs.records.len(), "records of {header:?}");
    for ((ours, headers), theirs) in ours.iter().zip(headers).zip(&theirs.records) {
        assert_eq!(header.base_offset + i64::from(ours.offset_delta), theirs.offset);
        assert_eq!(header.base_timestamp + ours.timestamp_delta, theirs.timestamp);
        assert_eq!(header.base_sequence.wrapping_add(ours.offset_delta), theirs.sequence);
        assert_eq!(ours.key, theirs.key.as_deref());
        assert_eq!(ours.value, theirs.value.as_deref());
        // What a map makes of them: the first one's place and the last one's value.
        let merged: IndexMap<_, _> = headers.iter().map(|header| (header.key, header.value)).collect();
        tally.doubled_keys += usize::from(merged.len() < headers.len());
        let merged: Vec<_> = merged.into_iter().collect();
        let map: Vec<_> = theirs.headers.iter().map(|(key, value)| (key.as_bytes(), value.as_deref())).collect();
        assert_eq!(merged, map);
    }
}

fn as_info(header: &Header) -> BatchDecodeInfo {
    BatchDecodeInfo {
        record_count: header.count,
        timestamp_type: if is(header, 3) { TimestampType::LogAppend } else { TimestampType::Creation },
        min_offset: header.base_offset,
        min_timestamp: header.base_timestamp,
        base_sequence: header.base_sequence,
        transactional: is(header, 4),
        control: is(header, 5),
        delete_horizon: is(header, 6),
        partition_leader_epoch: header.leader_epoch,
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        compression: match header.codec().expect("a codec that is known") {
            Codec::None => Compression::None,
            Codec::Gzip => Compression::Gzip,
            Codec::Snappy => Compression::Snappy,
            Codec::Lz4 => Compression::Lz4,
            Codec::Zstd => Compression::Zstd,
        },
        version: 2,
    }
}

/// A bit of the attributes.
fn is(header: &Header, bit: u32) -> bool {
    header.attributes >> bit & 1 == 1
}

impl Tally {
    fn add(&mut self, header: &Header) {
        *self.batches.entry(header.attributes & 0b111).or_default() += 1;
        self.records += usize::try_from(header.count).unwrap();
        self.append_time += usize::from(is(header, 3));
        self.transactional += usize::from(is(header, 4));
        self.control += usize::from(is(header, 5));
        self.empty += usize::from(header.count == 0);
        self.compacted += usize::from(header.count <= header.last_offset_delta);
    }
}
