//! Over batches of every codec that nobody would send: what goes where, byte for byte.

use super::*;
use crate::wire::batch::testing::{Written, any_header, any_record, around, batch, plain_header, plain_record, varint};
use crate::wire::batch::{Batches, RecordHeader};
use crate::wire::compression::{Desk, at_desk, unpack};
use proptest::prelude::*;

const LANES: [Lane; 3] = [Lane::MAIN, Lane(1), Lane(2)];
const ME: Sender = Sender { id: 77, epoch: 3, sequence: 1000 };

fn kept(to: Option<Lane>) -> Fate {
    Fate { to, change: None }
}

/// A batch of these records that this codec compressed.
fn compressed(header: Header, codec: i16, records: &[Written]) -> Vec<u8> {
    let header = Header { attributes: header.attributes & !0b111 | codec, ..header };
    let (mut plain, mut section) = (Vec::new(), Vec::new());
    records.iter().for_each(|record| record.write(&mut plain));
    at_desk(|desk| pack(header.codec().unwrap(), &plain, b"", &mut section, &mut desk.press)).unwrap();
    around(header, records.len(), &section)
}

/// What a batch's records are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    attributes: u8,
    timestamp: i64,
    content: Vec<u8>,
    headers: Vec<u8>,
}

/// Reads a batch; its offsets must be without a gap, and its CRC right.
fn read_fresh(bytes: &[u8]) -> (Header, Vec<Seen>) {
    let (header, seen, offsets) = read(bytes);
    let count = i32::try_from(seen.len()).unwrap();
    assert_eq!(offsets, (0..count).collect::<Vec<_>>());
    assert_eq!((header.count, header.last_offset_delta), (count, count - 1));
    (header, seen)
}

fn read(bytes: &[u8]) -> (Header, Vec<Seen>, Vec<i32>) {
    let mut batches = Batches::of(bytes);
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none() && batches.rest().is_empty());
    assert!(batch.is_intact());
    let plain = plain(&batch);
    let records: Vec<_> = Records::of(&plain, batch.header.count).map(Result::unwrap).collect();
    let offsets = records.iter().map(|record| record.offset_delta).collect();
    let see = |record: &Record| Seen {
        attributes: record.attributes,
        timestamp: batch.header.base_timestamp.wrapping_add(record.timestamp_delta),
        content: record.content.to_vec(),
        headers: record.headers.all.to_vec(),
    };
    (batch.header, records.iter().map(see).collect(), offsets)
}

fn plain(batch: &Batch) -> Vec<u8> {
    at_desk(|Desk { plain, press, .. }| {
        unpack(batch.header.codec().unwrap(), batch.section(), plain, press).unwrap();
        plain.filled().to_vec()
    })
}

fn edit(bytes: &[u8], fates: &[Fate], changes: &[Change], lane: Lane) -> Result<Option<Edited>, Uneditable> {
    let batch = Batches::of(bytes).next().unwrap().unwrap();
    let plain = plain(&batch);
    let edit = Edit { batch: &batch, plain: &plain, fates, changes };
    at_desk(|Desk { edited, press, .. }| edit.to(lane, ME, edited, press))
}

#[test]
fn a_mixed_batch_becomes_two() {
    // Given three records of which the second goes to another lane
    let record = |key: &str| Written { key: Some(key.into()), ..plain_record() };
    let records = [
        record("one"),
        Written { timestamp_delta: 900, ..record("two") },
        Written { timestamp_delta: 7, ..record("three") },
    ];
    let bytes = batch(plain_header(), &records);
    let fates = [Fate::KEPT, kept(Some(Lane(1))), Fate::KEPT];
    // When it is edited
    let main = edit(&bytes, &fates, &[], Lane::MAIN).unwrap().unwrap();
    let lane = edit(&bytes, &fates, &[], Lane(1)).unwrap().unwrap();
    // Then each has its own, with times and sender of its own
    let (header, seen) = read_fresh(&main.bytes);
    assert_eq!((main.count, seen.len()), (2, 2));
    assert_eq!((header.base_timestamp, header.max_timestamp), (1_700_000_000_005, 1_700_000_000_007));
    assert_eq!(Sender::of(&header), ME);
    assert_eq!((header.base_offset, header.leader_epoch), (7, 3), "these are the broker's");
    let (header, seen) = read_fresh(&lane.bytes);
    assert_eq!((lane.count, seen.len()), (1, 1));
    assert_eq!((header.base_timestamp, header.max_timestamp), (1_700_000_000_900, 1_700_000_000_900));
}

#[test]
fn a_change_is_put_behind_what_is_there() {
    // Given a record with a header of that name, and a key
    let bytes = batch(plain_header(), &[plain_record()]);
    let change = Change {
        headers: vec![(Bytes::from_static(b"k"), Bytes::from_static(b"new")), (Bytes::new(), Bytes::new())],
        key_into: Some(Bytes::from_static(b"redirect-original-key")),
    };
    let fates = [Fate { to: Some(Lane(1)), change: Some(0) }];
    // When it is changed
    let edited = edit(&bytes, &fates, &[change], Lane(1)).unwrap().unwrap();
    // Then all that was there is there, and the new ones behind it
    let batch = Batches::of(&edited.bytes).next().unwrap().unwrap();
    assert!(batch.is_intact());
    let record = batch.records().unwrap().next().unwrap().unwrap();
    assert_eq!((record.key, record.value), (None, Some(&b"value"[..])));
    let headers: Vec<_> = record.headers.map(Result::unwrap).map(|RecordHeader { key, value }| (key, value)).collect();
    let expected: [(&[u8], Option<&[u8]>); 5] = [
        (b"k", Some(b"1")),
        (b"k", None),
        (b"redirect-original-key", Some(b"key")),
        (b"k", Some(b"new")),
        (b"", Some(b"")),
    ];
    assert_eq!(headers, expected);
}

#[test]
fn a_key_that_is_not_there_leaves_no_header() {
    let bytes = batch(plain_header(), &[Written { key: None, value: None, ..plain_record() }]);
    let change = Change { key_into: Some(Bytes::from_static(b"old")), ..Change::default() };
    let fates = [Fate { to: Some(Lane::MAIN), change: Some(0) }];
    let edited = edit(&bytes, &fates, &[change], Lane::MAIN).unwrap().unwrap();
    let batch = Batches::of(&edited.bytes).next().unwrap().unwrap();
    let record = batch.records().unwrap().next().unwrap().unwrap();
    assert_eq!((record.key, record.value, record.headers.left()), (None, None, 2));
}

#[test]
fn a_lane_that_nothing_goes_to_has_no_batch() {
    let bytes = batch(plain_header(), &[plain_record()]);
    assert_eq!(edit(&bytes, &[kept(None)], &[], Lane::MAIN), Ok(None));
    assert_eq!(edit(&bytes, &[Fate::KEPT], &[], Lane(1)), Ok(None));
}

#[test]
fn what_cannot_be_edited_says_why() {
    let bytes = batch(plain_header(), &[plain_record()]);
    assert_eq!(edit(&bytes, &[], &[], Lane::MAIN), Err(Uneditable::Fates { records: 1, fates: 0 }));
    // A second record that is cut short
    let mut section = Vec::new();
    plain_record().write(&mut section);
    varint(&mut section, 5);
    let bytes = around(plain_header(), 2, &section);
    let error = edit(&bytes, &[Fate::KEPT; 2], &[], Lane::MAIN).unwrap_err();
    assert!(error.to_string().starts_with("record 1 of a batch: 5 more bytes are needed"), "{error}");
}

#[test]
fn one_fate_for_all_needs_no_editing() {
    assert_eq!(shared(&[Fate::KEPT; 3]), Some(Fate::KEPT));
    assert_eq!(shared(&[kept(None); 3]), Some(kept(None)));
    assert_eq!(shared(&[Fate::KEPT, kept(None)]), None);
    assert_eq!(shared(&[Fate { to: Some(Lane::MAIN), change: Some(0) }]), None);
    assert_eq!(shared(&[]), None);
}

#[test]
fn a_batch_from_somebody_else_has_the_same_records() {
    let bytes = compressed(plain_header(), 3, &[plain_record(), plain_record()]);
    let original = Batches::of(&bytes).next().unwrap().unwrap();
    let sent = from_sender(&original, ME);
    let read = Batches::of(&sent).next().unwrap().unwrap();
    assert!(read.is_intact());
    assert_eq!(read.section(), original.section());
    let Sender { id, epoch, sequence } = ME;
    let same = Header {
        crc: read.header.crc,
        producer_id: id,
        producer_epoch: epoch,
        base_sequence: sequence,
        ..original.header
    };
    assert_eq!(read.header, same);
}

fn any_fate() -> impl Strategy<Value = Fate> {
    let to = prop_oneof![1 => Just(None), 6 => (0..3_u8).prop_map(|lane| Some(Lane(lane)))];
    to.prop_map(kept)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn kept_and_diverted_and_dropped_are_all_there_was(
        header in any_header(),
        codec in 0..5_i16,
        records in prop::collection::vec((any_record(), any_fate()), 1..12),
    ) {
        // Given a batch and a fate for each of its records
        let (records, fates): (Vec<_>, Vec<_>) = records.into_iter().unzip();
        let bytes = compressed(header, codec, &records);
        let (original, all, _) = read(&bytes);
        for lane in LANES {
            // When the batch of a lane is made
            let edited = edit(&bytes, &fates, &[], lane).unwrap();
            // Then it has the lane's records, as they stood and in their order, and nothing else
            let expected: Vec<_> =
                all.iter().zip(&fates).filter(|(_, fate)| fate.to == Some(lane)).map(|(seen, _)| seen.clone()).collect();
            let Some(edited) = edited else {
                prop_assert!(expected.is_empty());
                continue;
            };
            let (header, seen) = read_fresh(&edited.bytes);
            prop_assert_eq!(&seen, &expected);
            prop_assert_eq!(header.attributes, original.attributes);
            prop_assert_eq!(Sender::of(&header), ME);
            if header.attributes & APPEND_TIME == 0 {
                prop_assert_eq!(Some(header.max_timestamp), seen.iter().map(|seen| seen.timestamp).max());
            }
            let base = if header.attributes & DELETE_HORIZON == 0 { seen[0].timestamp } else { original.base_timestamp };
            prop_assert_eq!(header.base_timestamp, base);
        }
    }

    #[test]
    fn a_change_adds_and_takes_nothing_else(
        header in any_header(),
        codec in 0..5_i16,
        records in prop::collection::vec(any_record(), 1..6),
        added in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), prop::collection::vec(any::<u8>(), 0..200)), 0..4),
        key_into in prop::option::of(prop::collection::vec(any::<u8>(), 0..9)),
        changed in prop::collection::vec(any::<bool>(), 6),
    ) {
        // Given a batch of which some records are changed
        let bytes = compressed(header, codec, &records);
        let headers = added.iter().map(|(key, value)| (Bytes::from(key.clone()), Bytes::from(value.clone()))).collect();
        let change = Change { headers, key_into: key_into.clone().map(Bytes::from) };
        let fates: Vec<_> = records.iter().zip(&changed)
            .map(|(_, changed)| Fate { to: Some(Lane::MAIN), change: changed.then_some(0) }).collect();
        // When it is edited
        let edited = edit(&bytes, &fates, &[change], Lane::MAIN).unwrap().unwrap();
        // Then they have what they had, and the new headers behind it
        let batch = Batches::of(&edited.bytes).next().unwrap().unwrap();
        let plain = plain(&batch);
        let seen: Vec<_> = Records::of(&plain, batch.header.count).map(|record| Written::read(record.unwrap())).collect();
        prop_assert_eq!(seen.len(), records.len());
        for (((seen, record), fate), offset) in seen.into_iter().zip(&records).zip(&fates).zip(0..) {
            let mut expected = Written { offset_delta: offset, timestamp_delta: seen.timestamp_delta, ..record.clone() };
            if fate.change.is_some() {
                if let Some(name) = &key_into
                    && let Some(key) = expected.key.take()
                {
                    expected.headers.push((name.clone(), Some(key)));
                }
                expected.headers.extend(added.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
