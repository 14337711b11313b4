//! With batches of our own making: kafka-protocol cannot write duplicate header keys, keys that are not UTF-8 or damage.
//! What it can write is compared in tests/batches.rs.

use super::testing::*;
use super::*;
use proptest::prelude::*;

fn error_in_batches(set: &[u8]) -> Malformed {
    let mut batches = Batches::of(set);
    let error = batches.find_map(Result::err).expect("an error");
    assert!(batches.next().is_none(), "after an error there is nothing");
    error
}

/// The error in reading everything of a section.
fn error_in_records(section: &[u8], count: i32) -> Malformed {
    let mut records = Records::of(section, count);
    loop {
        match records.next().expect("an error") {
            Ok(mut record) => {
                if let Some(error) = record.headers.find_map(Result::err) {
                    assert!(record.headers.next().is_none(), "after an error there is nothing");
                    return error;
                }
            }
            Err(error) => {
                assert!(records.next().is_none(), "after an error there is nothing");
                return error;
            }
        }
    }
}

#[test]
fn a_batch_is_read() {
    let bytes = plain();
    let mut batches = Batches::of(&bytes);
    let read = batches.next().unwrap().unwrap();
    assert!(read.is_intact());
    let header = Header { size: bytes.len(), crc: read.header.crc, count: 1, ..plain_header() };
    assert_eq!(read.header, header);
    let records: Vec<_> = read.records().unwrap().map(|record| Written::read(record.unwrap())).collect();
    assert_eq!(records, [plain_record()]);
    assert!(batches.next().is_none() && batches.rest().is_empty());
}

#[test]
fn a_compressed_section_is_not_walked() {
    for (attributes, codec) in [
        (0, Some(Codec::None)),
        (1, Some(Codec::Gzip)),
        (2, Some(Codec::Snappy)),
        (3, Some(Codec::Lz4)),
        (4, Some(Codec::Zstd)),
        (5, None),
        (0b111_1000, Some(Codec::None)),
    ] {
        let bytes = batch(Header { attributes, ..plain_header() }, &[]);
        let read = Batches::of(&bytes).next().unwrap().unwrap();
        assert_eq!(read.header.codec(), codec);
        assert_eq!(read.records().is_some(), codec == Some(Codec::None));
    }
}

#[test]
fn offset_and_epoch_are_the_brokers_to_change() {
    let mut bytes = plain();
    for at in (0..8).chain(12..16) {
        bytes[at] ^= 0x55;
    }
    assert!(Batches::of(&bytes).next().unwrap().unwrap().is_intact());
}

#[test]
fn a_damaged_batch_says_where() {
    let whole = plain();
    let second = |at: usize, bytes: &[u8]| {
        let mut set = [whole.clone(), whole.clone()].concat();
        set[whole.len() + at..][..bytes.len()].copy_from_slice(bytes);
        set
    };
    let at = whole.len();
    assert_eq!(error_in_batches(&second(8, &48_i32.to_be_bytes())), Malformed { at, flaw: Flaw::Length(48) });
    assert_eq!(error_in_batches(&second(8, &(-1_i32).to_be_bytes())), Malformed { at, flaw: Flaw::Length(-1) });
    assert_eq!(error_in_batches(&second(16, &[1])), Malformed { at, flaw: Flaw::Format(1) });
    assert_eq!(error_in_batches(&second(57, &(-1_i32).to_be_bytes())), Malformed { at, flaw: Flaw::Count(-1) });
    // A length that is cut off is still a length, and a format a format.
    assert_eq!(error_in_batches(&second(8, &[0; 4])[..at + 12]), Malformed { at, flaw: Flaw::Length(0) });
    assert_eq!(error_in_batches(&second(16, &[0])[..at + 17]), Malformed { at, flaw: Flaw::Format(0) });
    let told = Malformed { at, flaw: Flaw::Format(1) }.to_string();
    assert_eq!(told, format!("a batch of format v1 where v2 is needed, at byte {at}"));
}

#[test]
fn damaged_records_say_where() {
    let mut section = Vec::new();
    plain_record().write(&mut section);
    // size, attributes, timestamp, offset, "key", "value", 2 headers: "k" = "1", "k" = null
    assert_eq!(section, b"\x2a\0\x0a\x02\x06key\x0avalue\x04\x02k\x021\x02k\x01");
    let with = |at: usize, byte: u8| {
        let mut section = section.clone();
        section[at] = byte;
        section
    };
    let end = section.len();
    assert_eq!(error_in_records(&section, 0), Malformed { at: 0, flaw: Flaw::Left(end) });
    assert_eq!(error_in_records(&section, -1), Malformed { at: 0, flaw: Flaw::Left(end) });
    assert_eq!(error_in_records(&section, 2), Malformed { at: end, flaw: Flaw::Cut { missing: 1 } });
    assert_eq!(error_in_records(&section[..end - 1], 1), Malformed { at: 1, flaw: Flaw::Cut { missing: 1 } });
    assert_eq!(error_in_records(&with(0, 0x29), 1), Malformed { at: 0, flaw: Flaw::Size(-21) });
    assert_eq!(error_in_records(&with(0, 0x28), 1), Malformed { at: 21, flaw: Flaw::Cut { missing: 1 } });
    assert_eq!(error_in_records(&with(4, 0x7e), 1), Malformed { at: 5, flaw: Flaw::Cut { missing: 46 } });
    assert_eq!(error_in_records(&with(14, 0x05), 1), Malformed { at: 14, flaw: Flaw::Headers(-3) });
    assert_eq!(error_in_records(&with(14, 0x7e), 1), Malformed { at: 14, flaw: Flaw::Headers(63) });
    assert_eq!(error_in_records(&with(14, 0x02), 1), Malformed { at: 19, flaw: Flaw::Left(3) });
    assert_eq!(error_in_records(&with(14, 0x00), 1), Malformed { at: 15, flaw: Flaw::Left(7) });
    assert_eq!(error_in_records(&with(14, 0x06), 1), Malformed { at: end, flaw: Flaw::Cut { missing: 1 } });
    assert_eq!(error_in_records(&with(15, 0x01), 1), Malformed { at: 15, flaw: Flaw::Size(-1) });
}

#[test]
fn varints_are_what_kafka_takes() {
    let timestamp = |varlong: &[u8]| {
        let body = [&[0], varlong, &[0, 1, 1, 0]].concat();
        let mut section = Vec::new();
        sized(&mut section, Some(&body));
        Records::of(&section, 1).next().unwrap().map(|record| record.timestamp_delta)
    };
    let offset = |varint: &[u8]| {
        let body = [&[0, 0], varint, &[1, 1, 0]].concat();
        let mut section = Vec::new();
        sized(&mut section, Some(&body));
        Records::of(&section, 1).next().unwrap().map(|record| record.offset_delta)
    };
    let endless = |at| Err(Malformed { at, flaw: Flaw::Varint });
    assert_eq!(timestamp(&[0x80, 0x80, 0]), Ok(0), "more bytes than it needs");
    let widest = [0xff; 9];
    assert_eq!(timestamp(&[&widest[..], &[1]].concat()), Ok(i64::MIN));
    assert_eq!(timestamp(&[&widest[..], &[0x7f]].concat()), Ok(i64::MIN), "bits beyond the 64th");
    assert_eq!(timestamp(&[0x80; 10]), endless(2).map(i64::from));
    assert_eq!(offset(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(i32::MIN));
    assert_eq!(offset(&[0xff, 0xff, 0xff, 0xff, 0x7f]), Ok(i32::MIN), "bits beyond the 32nd");
    assert_eq!(offset(&[0x80; 5]), endless(3));
}

#[test]
fn any_negative_size_is_null() {
    let section = b"\x0c\0\0\0\x09\x03\0";
    let record = Records::of(section, 1).next().unwrap().unwrap();
    assert_eq!((record.key, record.value), (None, None));
}

fn any_batch() -> impl Strategy<Value = (Header, Vec<Written>)> {
    (any_header(), prop::collection::vec(any_record(), 0..6))
}

/// Reads everything and returns how many records there were.
fn walk_all(set: &[u8]) -> usize {
    let mut records = 0;
    for batch in Batches::of(set).map_while(Result::ok) {
        let _ = batch.is_intact();
        records += walk_section(batch.section(), batch.header.count);
    }
    records
}

fn walk_section(section: &[u8], count: i32) -> usize {
    let records = Records::of(section, count).map_while(Result::ok);
    records.inspect(|record| assert!(record.headers.clone().count() <= section.len())).count()
}

proptest! {
    #[test]
    fn what_is_written_is_read(batches in prop::collection::vec(any_batch(), 0..4)) {
        let set: Vec<u8> = batches.iter().flat_map(|(header, records)| batch(*header, records)).collect();
        let mut read = Vec::new();
        for batch in Batches::of(&set) {
            let batch = batch.unwrap();
            prop_assert!(batch.is_intact());
            prop_assert_eq!(usize::try_from(batch.header.count).unwrap(), batch.records().unwrap().count());
            let records: Vec<_> = batch.records().unwrap().map(|record| Written::read(record.unwrap())).collect();
            read.push((Header { size: 0, crc: 0, count: 0, ..batch.header }, records));
        }
        prop_assert_eq!(read, batches);
    }

    #[test]
    fn a_batch_that_is_cut_short_is_the_end(
        batches in prop::collection::vec(any_batch(), 1..4),
        cut: prop::sample::Index,
    ) {
        let written: Vec<_> = batches.iter().map(|(header, records)| batch(*header, records)).collect();
        let set = written.concat();
        let cut = &set[..cut.index(set.len() + 1)];
        let mut walk = Batches::of(cut);
        let mut left = cut.len();
        let mut whole = 0;
        for batch in walk.by_ref() {
            left -= batch.unwrap().header.size;
            whole += 1;
        }
        prop_assert_eq!(walk.rest(), &cut[cut.len() - left..]);
        prop_assert!(whole == written.len() || left < written[whole].len());
        prop_assert_eq!(cut.len() - left, written.iter().take(whole).map(Vec::len).sum::<usize>());
    }

    #[test]
    fn the_crc_finds_any_changed_byte(
        (header, records) in any_batch(),
        at: prop::sample::Index,
        change in 1..=u8::MAX,
    ) {
        const CRC_AT: usize = 17;
        let mut bytes = batch(header, &records);
        let at = CRC_AT + at.index(bytes.len() - CRC_AT);
        bytes[at] ^= change;
        // A negative count is found before.
        let read = Batches::of(&bytes).next().unwrap();
        prop_assert!(!read.is_ok_and(|batch| batch.is_intact()));
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(set in bytes(400), count: i32) {
        prop_assert!(walk_all(&set) <= set.len());
        prop_assert!(walk_section(&set, count) <= set.len());
    }

    #[test]
    fn damaged_batches_are_a_value_or_an_error(
        batches in prop::collection::vec(any_batch(), 1..3),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut set: Vec<u8> = batches.iter().flat_map(|(header, records)| batch(*header, records)).collect();
        for (at, byte) in damage {
            let at = at.index(set.len());
            set[at] = byte;
        }
        prop_assert!(walk_all(&set) <= set.len());
    }
}
