//! Record batches (format v2): uncompressed ones of records that are exactly 1 KiB long, with headers as an event pipeline
//! sends them, and the head before other records. Knows nothing of requests.

use crate::codec::Codec;
use crate::events::{sized, varint};

/// Bytes of one record, its own length prefix included.
pub(crate) const RECORD: usize = 1024;
/// Records in a batch of the size that Java's producer fills by default (`batch.size`, 16 KiB).
pub(crate) const SMALL: usize = 16;
/// Bytes before the first record of a batch.
pub(crate) const HEAD: usize = 61;

/// What the length in a batch counts from.
const LENGTH_FROM: usize = 12;
const CRC_AT: usize = 17;
const CRC_FROM: usize = 21;
const COUNT_AT: usize = 57;
const TIMESTAMP: i64 = 1_760_000_000_000;
const HEADERS: [(&str, &[u8]); 3] = [
    ("token", b"phc_0123456789abcdefghijklmnopqrstuvwxyz"),
    ("distinct_id", b"01890a5d-ac96-774b-bcce-b302099a8057"),
    ("timestamp", b"1760000000000"),
];

/// A batch of `records` records at base offset 0, from a producer without an id.
pub(crate) fn build(records: usize) -> Vec<u8> {
    let mut section = Vec::with_capacity(records * RECORD);
    for delta in 0..records {
        record(&mut section, i64::try_from(delta).unwrap_or_default());
    }
    seal(records, Codec::None, &section)
}

/// Puts a head before records that this codec has compressed.
pub(crate) fn seal(records: usize, codec: Codec, section: &[u8]) -> Vec<u8> {
    let count = i32::try_from(records).unwrap_or(i32::MAX);
    let length = i32::try_from(HEAD - LENGTH_FROM + section.len()).unwrap_or(i32::MAX);
    let mut batch = Vec::with_capacity(HEAD + section.len());
    batch.extend_from_slice(&0i64.to_be_bytes()); // base offset
    batch.extend_from_slice(&length.to_be_bytes());
    batch.extend_from_slice(&0i32.to_be_bytes()); // partition leader epoch
    batch.push(2); // magic
    batch.extend_from_slice(&[0; 4]); // CRC, filled in last
    batch.extend_from_slice(&codec.attributes().to_be_bytes());
    batch.extend_from_slice(&(count - 1).to_be_bytes()); // last offset delta
    batch.extend_from_slice(&TIMESTAMP.to_be_bytes());
    batch.extend_from_slice(&TIMESTAMP.to_be_bytes());
    batch.extend_from_slice(&(-1i64).to_be_bytes()); // producer id
    batch.extend_from_slice(&(-1i16).to_be_bytes()); // producer epoch
    batch.extend_from_slice(&(-1i32).to_be_bytes()); // base sequence
    batch.extend_from_slice(&count.to_be_bytes());
    batch.extend_from_slice(section);
    let crc = crc32c::crc32c(batch.get(CRC_FROM..).unwrap_or_default());
    if let Some(at) = batch.get_mut(CRC_AT..CRC_FROM) {
        at.copy_from_slice(&crc.to_be_bytes());
    }
    batch
}

/// Bytes of a batch of `records` records.
pub(crate) const fn size(records: usize) -> usize {
    HEAD + records * RECORD
}

/// The record count that a batch's header states; `None` where the slice is shorter than a header.
pub(crate) fn count(batch: &[u8]) -> Option<i32> {
    let bytes = batch.get(COUNT_AT..COUNT_AT + 4)?;
    Some(i32::from_be_bytes(bytes.try_into().ok()?))
}

/// Walks the batches, checks each CRC and adds the records up; `None` where a batch is damaged. A last batch that is cut
/// off does not count: Fetch answers of real brokers end with one.
pub(crate) fn verify(mut batches: &[u8]) -> Option<u64> {
    let mut records = 0;
    while let Some(length) = batches.get(8..12) {
        let length = usize::try_from(i32::from_be_bytes(length.try_into().ok()?)).ok()?;
        let Some(batch) = batches.get(..12 + length) else { break };
        let crc = u32::from_be_bytes(batch.get(CRC_AT..CRC_FROM)?.try_into().ok()?);
        if crc != crc32c::crc32c(batch.get(CRC_FROM..)?) {
            return None;
        }
        records += u64::try_from(count(batch)?).ok()?;
        batches = batches.get(batch.len()..)?;
    }
    Some(records)
}

fn record(batch: &mut Vec<u8>, offset_delta: i64) {
    let mut front = vec![0u8]; // attributes
    varint(&mut front, 0); // timestamp delta
    varint(&mut front, offset_delta);
    varint(&mut front, -1); // no key
    let mut back = Vec::new();
    varint(&mut back, 3);
    for (name, value) in HEADERS {
        sized(&mut back, name.as_bytes());
        sized(&mut back, value);
    }
    // Two bytes each for the record's and the value's length: both lie in 64..8192.
    let value = RECORD - 4 - front.len() - back.len();
    varint(batch, i64::try_from(RECORD - 2).unwrap_or_default());
    batch.extend_from_slice(&front);
    varint(batch, i64::try_from(value).unwrap_or_default());
    batch.extend((0..value).map(|at| b"{\"event\":\"$pageview\"} "[at % 22]));
    batch.extend_from_slice(&back);
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use kafka_protocol::records::RecordBatchDecoder;

    #[test]
    fn the_protocol_crate_reads_what_we_build() {
        for records in [1, SMALL, 256, 1024] {
            let batch = build(records);
            assert_eq!(batch.len(), size(records));
            assert_eq!(count(&batch), i32::try_from(records).ok());
            let set = RecordBatchDecoder::decode(&mut Bytes::from(batch)).unwrap();
            assert_eq!(set.records.len(), records);
            assert!(set.records.iter().enumerate().all(|(at, record)| record.offset == at as i64));
            assert_eq!(set.records[0].headers.len(), 3);
        }
    }

    #[test]
    fn verify_counts_whole_batches_and_refuses_damage() {
        let mut two = build(SMALL);
        two.extend(build(3));
        assert_eq!(verify(&two), Some(19));
        assert_eq!(verify(&two[..two.len() - 1]), Some(16));
        two[100] ^= 1;
        assert_eq!(verify(&two), None);
    }

    #[test]
    fn the_base_offset_is_outside_the_checksum() {
        let mut batch = build(SMALL);
        batch[..8].copy_from_slice(&77i64.to_be_bytes());
        assert_eq!(verify(&batch), Some(16));
    }
}
