//! The walker of record batches against kafka-protocol's decoder: on batches that kafka-protocol makes, on damaged ones,
//! and on those of real clients in tests/vectors. `cargo test --test kafka batches` does the same with clients that run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, reason = "a test fails so")]

#[path = "batches/agree.rs"]
mod agree;
#[path = "batches/codecs.rs"]
mod codecs;
#[path = "batches/edited.rs"]
mod edited;

use agree::{Tally, decode, judge};
use bytes::{Bytes, BytesMut};
use codecs::compress;
use edited::judge_edited;
use fishplate::wire::batch::{Batches, Codec, HEADER, Record, Records};
use fishplate::wire::compression::{Desk, at_desk, unpack};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{Compression, Record as Theirs, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// All that batches have in common with their records.
#[derive(Clone, Debug)]
struct Common {
    codec: Codec,
    flags: [bool; 3],
    leader_epoch: i32,
    producer: (i64, i16),
    base_offset: i64,
    base_sequence: i32,
}

fn common() -> impl Strategy<Value = Common> {
    let codec =
        prop::sample::select(vec![Codec::None, Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd]);
    (codec, any::<[bool; 3]>(), any::<i32>(), any::<(i64, i16)>(), 0..1_i64 << 40, any::<i32>()).prop_map(
        |(codec, flags, leader_epoch, producer, base_offset, base_sequence)| Common {
            codec,
            flags,
            leader_epoch,
            producer,
            base_offset,
            base_sequence,
        },
    )
}

fn bytes(most: usize) -> impl Strategy<Value = Option<Bytes>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..most).prop_map(Bytes::from))
}

/// A record, and how many offsets before it there are no more.
fn record() -> impl Strategy<Value = (Theirs, i64)> {
    let headers = prop::collection::vec((".{0,5}", bytes(80)), 0..5);
    let gap = prop_oneof![4 => Just(0), 1 => 1..1000_i64];
    // Far apart, but no further than a sum of two can tell.
    let timestamp = prop_oneof![3 => 1_700_000_000_000..1_700_000_100_000_i64, 1 => -(1_i64 << 61)..1_i64 << 61];
    (timestamp, bytes(40), bytes(400), headers, gap).prop_map(|(timestamp, key, value, headers, gap)| {
        let headers = headers.into_iter().map(|(key, value)| (StrBytes::from_string(key), value)).collect();
        let record = Theirs {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: 0,
            producer_id: 0,
            producer_epoch: 0,
            timestamp_type: TimestampType::Creation,
            offset: 0,
            sequence: 0,
            timestamp,
            key,
            value,
            headers,
        };
        (record, gap)
    })
}

/// A batch as kafka-protocol writes it.
fn batch() -> impl Strategy<Value = Vec<u8>> {
    (common(), prop::collection::vec(record(), 1..8)).prop_map(|(common, records)| {
        let mut offset = common.base_offset - 1;
        let records = records.into_iter().map(|(record, gap)| {
            offset += 1 + gap;
            Theirs {
                transactional: common.flags[0],
                control: common.flags[1],
                delete_horizon: common.flags[2],
                partition_leader_epoch: common.leader_epoch,
                producer_id: common.producer.0,
                producer_epoch: common.producer.1,
                offset,
                sequence: common.base_sequence.wrapping_add(i32::try_from(offset - common.base_offset).unwrap()),
                ..record
            }
        });
        encode(&records.collect::<Vec<_>>(), common.codec)
    })
}

fn encode(records: &[Theirs], codec: Codec) -> Vec<u8> {
    let compression = match codec {
        Codec::None => Compression::None,
        Codec::Gzip => Compression::Gzip,
        Codec::Snappy => Compression::Snappy,
        Codec::Lz4 => Compression::Lz4,
        Codec::Zstd => Compression::Zstd,
    };
    let options = RecordEncodeOptions { version: 2, compression };
    let compress = |plain: &mut BytesMut, out: &mut BytesMut, _: Compression| {
        out.extend_from_slice(&compress(codec, plain));
        Ok(())
    };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode_with_custom_compression(&mut bytes, records, &options, Some(compress)).unwrap();
    bytes.to_vec()
}

/// The batches before this place are whole; the one that it cuts is not there.
fn judge_cut(set: &[u8], cut: usize) {
    let mut whole = Tally::default();
    let mut batches = Batches::of(&set[..cut]);
    let end: usize = batches.by_ref().map(|batch| batch.unwrap().header.size).sum();
    judge(&set[..end], &mut whole);
    assert_eq!(whole.cut_short, 0);
    assert_eq!(batches.rest().len(), cut - end);
    let next = Batches::of(&set[end..]).next();
    assert!(next.is_none_or(|next| next.unwrap().header.size > cut - end), "a whole batch is left out");
}

/// A change at `at`, which lies after the CRC field of a batch at `start`, is found.
fn judge_damage(set: &mut [u8], start: usize, at: usize) {
    set[at] ^= 0x10;
    let found = Batches::of(&set[start..]).next().unwrap();
    assert!(!found.is_ok_and(|batch| batch.is_intact()), "damage at byte {} of a batch", at - start);
    set[at] ^= 0x10;
}

const AFTER_CRC: usize = 21;

proptest! {
    #[test]
    fn the_walker_agrees_on_all_that_kafka_protocol_writes(
        batches in prop::collection::vec(batch(), 0..4),
        cut: prop::sample::Index,
    ) {
        let set = batches.concat();
        let mut tally = Tally::default();
        judge(&set, &mut tally);
        prop_assert_eq!(tally.batches.values().sum::<usize>(), batches.len());
        prop_assert_eq!(tally.cut_short, 0);
        judge_edited(&set);
        judge_cut(&set, cut.index(set.len() + 1));
    }

    #[test]
    fn a_change_after_the_crc_is_found(mut batch in batch(), at: prop::sample::Index) {
        let at = AFTER_CRC + at.index(batch.len() - AFTER_CRC);
        judge_damage(&mut batch, 0, at);
    }

    /// Records that are damaged under a CRC that is right: what the walker reads to its end, kafka-protocol reads alike.
    #[test]
    fn what_the_walker_takes_is_what_is_there(
        records in prop::collection::vec(record(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
    ) {
        let numbered = (0..).zip(records).map(|(number, (record, _))| Theirs {
            offset: number.into(),
            sequence: number,
            timestamp: 1_700_000_000_000,
            ..record
        });
        let mut batch = encode(&numbered.collect::<Vec<_>>(), Codec::None);
        for (at, byte) in damage {
            let at = HEADER + at.index(batch.len() - HEADER);
            batch[at] = byte;
        }
        let crc = crc32c::crc32c(&batch[AFTER_CRC..]);
        batch[AFTER_CRC - 4..AFTER_CRC].copy_from_slice(&crc.to_be_bytes());
        if is_readable(&batch) {
            judge(&batch, &mut Tally::default());
        }
    }
}

/// By the walker to its end, and not one of two things that kafka-protocol does otherwise: times beyond 64 bits, and
/// negative sizes, which are null in Kafka and only -1 is here.
fn is_readable(batch: &[u8]) -> bool {
    let read = Batches::of(batch).next().unwrap().unwrap();
    let in_time = |record: &Record| read.header.base_timestamp.checked_add(record.timestamp_delta).is_some();
    let whole = |record: Record| in_time(&record) && record.headers.clone().all(|header| header.is_ok());
    let readable = Records::of(read.section(), read.header.count).all(|record| record.is_ok_and(whole));
    let negative = || {
        let refused = decode(batch, &Bytes::copy_from_slice(read.section())).err();
        refused.is_some_and(|error| error.to_string().contains("negative"))
    };
    readable && !negative()
}

/// Files of tests/vectors by their names.
fn vectors() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "bin"));
    let named = files.map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path));
    named.map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

#[test]
fn the_walker_agrees_on_what_real_clients_wrote() {
    let mut all = Tally::default();
    for (name, set) in vectors() {
        let mut tally = Tally::default();
        judge(&set, &mut tally);
        let codec = (0..).zip(["none", "gzip", "snappy", "lz4", "zstd"]).find(|(_, codec)| name.ends_with(codec));
        if let Some((codec, _)) = codec {
            assert_eq!(tally.batches.into_iter().collect::<Vec<_>>(), [(codec, 1)], "batches of {name}");
        }
        assert!(tally.records > 0 && tally.cut_short == 0, "{name}");
        judge(&set, &mut all);
    }
    assert!(all.batches.len() == 5, "every codec: {all:?}");
    assert!(all.doubled_keys > 0 && all.odd_keys > 0, "odd headers: {all:?}");
    assert!(all.transactional > 0 && all.control > 0, "transactions: {all:?}");
}

#[test]
fn the_editor_parts_what_real_clients_wrote() {
    let edited: usize = vectors().values().map(|set| judge_edited(set)).sum();
    assert!(edited > 50, "{edited}");
}

#[test]
fn our_codecs_read_what_real_clients_wrote() {
    for (name, set) in vectors() {
        for batch in Batches::of(&set).map(Result::unwrap) {
            let codec = batch.header.codec().unwrap();
            let ours = at_desk(|Desk { plain, press, .. }| {
                unpack(codec, batch.section(), plain, press).unwrap();
                plain.filled().to_vec()
            });
            assert_eq!(ours, codecs::decompress(codec, batch.section()), "{name}");
        }
    }
}

#[test]
fn real_batches_may_be_cut_anywhere() {
    for set in vectors().values() {
        (0..=set.len()).for_each(|cut| judge_cut(set, cut));
    }
}

#[test]
fn damage_to_real_batches_is_found() {
    for mut set in vectors().into_values() {
        let mut start = 0;
        for size in Batches::of(&set.clone()).map(|batch| batch.unwrap().header.size) {
            (start + AFTER_CRC..start + size).for_each(|at| judge_damage(&mut set, start, at));
            start += size;
        }
    }
}
