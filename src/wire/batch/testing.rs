//! Batches of our own making, for tests.
#![allow(unreachable_pub, reason = "tests see it")]

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub attributes: u8,
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

pub fn varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push((rest & 0x7f) as u8);
}

pub fn sized(out: &mut Vec<u8>, bytes: Option<&Vec<u8>>) {
    varint(out, bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap()));
    out.extend(bytes.into_iter().flatten());
}

impl Written {
    pub fn write(&self, section: &mut Vec<u8>) {
        let mut body = vec![self.attributes];
        varint(&mut body, self.timestamp_delta);
        varint(&mut body, self.offset_delta.into());
        sized(&mut body, self.key.as_ref());
        sized(&mut body, self.value.as_ref());
        varint(&mut body, i64::try_from(self.headers.len()).unwrap());
        for (key, value) in &self.headers {
            sized(&mut body, Some(key));
            sized(&mut body, value.as_ref());
        }
        sized(section, Some(&body));
    }

    pub fn read(record: Record) -> Self {
        let owned = |bytes: &[u8]| bytes.to_vec();
        let header = |header: Result<RecordHeader, Malformed>| {
            let header = header.unwrap();
            (owned(header.key), header.value.map(owned))
        };
        Self {
            attributes: record.attributes,
            timestamp_delta: record.timestamp_delta,
            offset_delta: record.offset_delta,
            key: record.key.map(owned),
            value: record.value.map(owned),
            headers: record.headers.map(header).collect(),
        }
    }
}

/// A batch with this header; size, CRC and count are filled in.
pub fn batch(header: Header, records: &[Written]) -> Vec<u8> {
    let mut section = Vec::new();
    records.iter().for_each(|record| record.write(&mut section));
    around(header, records.len(), &section)
}

/// A batch of so many records that are these bytes, perhaps compressed.
pub fn around(header: Header, count: usize, section: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(header.base_offset.to_be_bytes());
    out.extend([0; 4]);
    out.extend(header.leader_epoch.to_be_bytes());
    out.push(2);
    out.extend([0; 4]);
    out.extend(header.attributes.to_be_bytes());
    out.extend(header.last_offset_delta.to_be_bytes());
    out.extend(header.base_timestamp.to_be_bytes());
    out.extend(header.max_timestamp.to_be_bytes());
    out.extend(header.producer_id.to_be_bytes());
    out.extend(header.producer_epoch.to_be_bytes());
    out.extend(header.base_sequence.to_be_bytes());
    out.extend(i32::try_from(count).unwrap().to_be_bytes());
    assert_eq!(out.len(), HEADER);
    out.extend(section);
    let length = i32::try_from(out.len() - 12).unwrap();
    out[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&out[CRC_COVERS_FROM..]);
    out[17..21].copy_from_slice(&crc.to_be_bytes());
    out
}

pub fn plain_header() -> Header {
    Header {
        base_offset: 7,
        size: 0,
        leader_epoch: 3,
        crc: 0,
        attributes: 0,
        last_offset_delta: 1,
        base_timestamp: 1_700_000_000_000,
        max_timestamp: 1_700_000_000_005,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        count: 0,
    }
}

pub fn plain_record() -> Written {
    let headers = vec![(b"k".to_vec(), Some(b"1".to_vec())), (b"k".to_vec(), None)];
    Written {
        attributes: 0,
        timestamp_delta: 5,
        offset_delta: 1,
        key: Some(b"key".to_vec()),
        value: Some(b"value".to_vec()),
        headers,
    }
}

/// A batch of one record.
pub fn plain() -> Vec<u8> {
    batch(plain_header(), &[plain_record()])
}

pub fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

pub fn any_record() -> impl Strategy<Value = Written> {
    // Few keys, so that some come twice.
    let key = prop_oneof![Just(b"token".to_vec()), Just(Vec::new()), Just(b"\xff\xfe".to_vec()), bytes(4)];
    let header = (key, prop::option::of(bytes(200)));
    let delta = prop_oneof![-100..100_i64, any::<i64>()];
    (
        any::<u8>(),
        delta,
        any::<i32>(),
        prop::option::of(bytes(40)),
        prop::option::of(bytes(300)),
        prop::collection::vec(header, 0..6),
    )
        .prop_map(|(attributes, timestamp_delta, offset_delta, key, value, headers)| Written {
            attributes,
            timestamp_delta,
            offset_delta,
            key,
            value,
            headers,
        })
}

pub fn any_header() -> impl Strategy<Value = Header> {
    let offsets = (any::<i64>(), any::<i32>(), any::<i32>());
    let times = (any::<i64>(), any::<i64>());
    let producer = (any::<i64>(), any::<i16>(), any::<i32>());
    (offsets, 0..16_i16, times, producer).prop_map(|(offsets, flags, times, producer)| Header {
        base_offset: offsets.0,
        size: 0,
        leader_epoch: offsets.1,
        crc: 0,
        attributes: flags << 3,
        last_offset_delta: offsets.2,
        base_timestamp: times.0,
        max_timestamp: times.1,
        producer_id: producer.0,
        producer_epoch: producer.1,
        base_sequence: producer.2,
        count: 0,
    })
}
