//! The batch editor before real brokers: they take what it writes, clients read it back as it was, and what our reading of
//! a producer's batch refuses, brokers refuse with the same code.

use crate::harness::topics::Topics;
use crate::harness::{repository, wait};
use crate::raw::{Raw, batch, produce};
use crate::world::{World, shared};
use bytes::Bytes;
use fishplate::wire::batch::edit::{Edit, Fate, Lane, Sender};
use fishplate::wire::batch::produced::{Unfit, lay_out, open, plain};
use fishplate::wire::batch::{Batch, Batches, Codec, HEADER, Record, Records};
use fishplate::wire::compression::{Desk, Press, at_desk, pack};
use kafka_protocol::ResponseError;
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;

const NOBODY: Sender = Sender { id: -1, epoch: -1, sequence: -1 };
const SOON: Duration = wait::seconds(20);
const LANES: [Lane; 2] = [Lane::MAIN, Lane(1)];

pub fn trials() -> Vec<Trial> {
    vec![
        shared("edited: brokers take what the editor writes, and librdkafka reads it", written),
        shared("edited: what is refused is refused as brokers do", refused),
    ]
}

/// A record, but for its offset: librdkafka gives a null value and an empty one alike.
type Seen = (Option<i64>, Vec<u8>, Vec<u8>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn written(world: &World) {
    // Given what real clients wrote in every codec, parted: every third record goes to another lane
    let (topic, zstd) = ("a-edited", "a-edited-zstd");
    let topics = Topics::of(&world.a.bootstrap());
    topics.create(topic, 1, 1);
    topics.create(zstd, 1, 1);
    let mut client = Raw::connect(&world.proxy().bootstrap().servers);
    let mut expected = Vec::new();
    for set in clients_vectors() {
        for batch in Batches::of(&set).map(Result::unwrap) {
            for lane in LANES {
                let Some((edited, seen)) = part(&batch, lane) else { continue };
                // When a broker is sent the lane's batch, then it takes it
                // (the `rdkafka` crate builds librdkafka without zstd, so that these are the broker's alone to read).
                let is_zstd = batch.header.codec() == Some(Codec::Zstd);
                let answer = client.call(9, &produce(&[(if is_zstd { zstd } else { topic }, &edited)]));
                let told = &answer.responses[0].partition_responses[0];
                assert_eq!(told.error_code, 0, "{:?}", batch.header);
                if !is_zstd {
                    assert_eq!(told.base_offset, i64::try_from(expected.len()).unwrap());
                    expected.extend(seen);
                }
            }
        }
    }
    assert!(expected.len() > 150, "{} records", expected.len());
    // And librdkafka reads all of it as it was
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &world.proxy().bootstrap().servers)
        .set("group.id", "edited")
        .set("check.crcs", "true")
        .create()
        .unwrap();
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&from).unwrap();
    for (at, expected) in expected.iter().enumerate() {
        let message = consumer.poll(SOON).expect("a record").unwrap();
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        let headers = headers.map(|header| (header.key.as_bytes().to_vec(), header.value.map(<[u8]>::to_vec)));
        let seen: Seen = (
            message.timestamp().to_millis(),
            message.key().unwrap_or_default().to_vec(),
            message.payload().unwrap_or_default().to_vec(),
            headers.collect(),
        );
        assert_eq!(&seen, expected, "record {at}");
    }
}

/// Sets that clients wrote: no markers, nothing compacted, and no header key that the `rdkafka` crate cannot hold.
fn clients_vectors() -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(repository().join("tests/vectors")).unwrap().map(|entry| entry.unwrap().path());
    let of_clients = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.ends_with(".bin") && !name.starts_with("broker-") && name != "franz-go-headers.bin"
    };
    let mut files: Vec<_> = files.filter(of_clients).collect();
    files.sort();
    files.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// The lane's part of a batch, as a producer would send it, and its records.
fn part(batch: &Batch, lane: Lane) -> Option<(Bytes, Vec<Seen>)> {
    let count = usize::try_from(batch.header.count).unwrap();
    let fates: Vec<_> = (0..count).map(|at| Fate { to: Some(LANES[usize::from(at % 3 == 1)]), change: None }).collect();
    at_desk(|desk| {
        lay_out(batch, desk).unwrap();
        let Desk { plain: unpacked, edited, press } = desk;
        let plain = if batch.header.codec() == Some(Codec::None) { batch.section() } else { unpacked.filled() };
        let edit = Edit { batch, plain, fates: &fates, changes: &[] };
        let mut bytes = edit.to(lane, NOBODY, edited, press).unwrap()?.bytes.to_vec();
        // As brokers have not seen it: no CRC covers these.
        bytes[..8].fill(0);
        bytes[12..16].fill(0xff);
        let records = Records::of(plain, batch.header.count).map(Result::unwrap).zip(&fates);
        let seen = records.filter(|(_, fate)| fate.to == Some(lane)).map(|(record, _)| see(batch, record));
        Some((bytes.into(), seen.collect()))
    })
}

fn see(batch: &Batch, record: Record) -> Seen {
    let headers = record.headers.map(Result::unwrap);
    let headers = headers.map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)));
    let timestamp = Some(batch.header.base_timestamp + record.timestamp_delta);
    let bytes = |bytes: Option<&[u8]>| bytes.unwrap_or_default().to_vec();
    (timestamp, bytes(record.key), bytes(record.value), headers.collect())
}

/// What a broker is asked for, and what is wrong with it.
struct Case {
    what: &'static str,
    records: Vec<u8>,
}

fn refused(world: &World) {
    let topic = "a-edited-refused";
    Topics::of(&world.a.bootstrap()).create(topic, 1, 1);
    let mut client = Raw::connect(&world.proxy().bootstrap().servers);
    let mut wrong = Vec::new();
    for Case { what, records } in cases() {
        // Given a batch that something is wrong with, when a broker is sent it and we read it, then both say the same
        let answer = client.call(9, &produce(&[(topic, &Bytes::from(records.clone()))]));
        let theirs = answer.responses[0].partition_responses[0].error_code;
        let ours = read(&records).err();
        if theirs != ours.map_or(0, |unfit| unfit.error().code()) {
            let theirs = ResponseError::try_from_code(theirs);
            wrong.push(format!("{what}: we say {ours:?}, the broker {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Reads a producer's records as the path would that must know all of them.
fn read(records: &[u8]) -> Result<(), Unfit> {
    let batch = open(records)?;
    fishplate::wire::batch::produced::intact(&batch)?;
    at_desk(|desk| {
        lay_out(&batch, desk)?;
        for (record, read) in Records::of(plain(&batch, &desk.plain), batch.header.count).enumerate() {
            read.map_err(|malformed| Unfit::Record { record, malformed })?;
        }
        Ok(())
    })
}

/// A good batch of three records with something changed, and a CRC that is right again.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = batch(&["one", "two", "three"]).to_vec();
    change(&mut bytes);
    sealed(bytes)
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(bytes.len() - 12).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// A batch of three records in a codec, of which something is changed.
fn packed(codec: Codec, bits: u8, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    changed(|bytes| {
        let plain = bytes.split_off(HEADER);
        let mut section = Vec::new();
        pack(codec, &plain, b"", &mut section, &mut Press::default()).unwrap();
        change(&mut section);
        bytes.extend(section);
        bytes[22] = bits;
    })
}

const CODECS: [(&str, Codec, u8); 4] =
    [("gzip", Codec::Gzip, 1), ("snappy", Codec::Snappy, 2), ("lz4", Codec::Lz4, 3), ("zstd", Codec::Zstd, 4)];

fn cases() -> Vec<Case> {
    let good = changed(|_| ());
    let put = |at: usize, field: &[u8]| changed(|bytes| bytes[at..at + field.len()].copy_from_slice(field));
    let mut damaged = good.clone();
    damaged[70] ^= 1;
    let mut cases = vec![
        ("nothing", good.clone()),
        ("no batch", Vec::new()),
        ("cut short", good[..good.len() - 1].to_vec()),
        ("two batches", [&good[..], &good].concat()),
        ("a CRC that is another", damaged),
        ("a base offset", put(0, &7_i64.to_be_bytes())),
        ("more offsets than records", put(23, &5_i32.to_be_bytes())),
        ("fewer offsets than records", put(23, &1_i32.to_be_bytes())),
        (
            "no records",
            changed(|bytes| {
                bytes.truncate(HEADER);
                bytes[23..27].copy_from_slice(&(-1_i32).to_be_bytes());
                bytes[57..61].fill(0);
            }),
        ),
        ("control records", put(21, &[0, 1 << 5])),
        ("a producer without a sequence", put(43, &7_i64.to_be_bytes())),
        ("a codec that nobody knows", put(22, &[7])),
        ("a record of a negative size", put(61, &[1])),
        ("a record that is longer than the batch", put(61, &[0x7e])),
        ("a record that is shorter than it should be", put(61, &[0x10])),
        ("a varint without an end", put(61, &[0xff; 6])),
        ("a key beyond its record", put(65, &[0x7e])),
        ("bytes behind the last record", changed(|bytes| bytes.extend([0; 3]))),
        (
            "one record less than announced",
            changed(|bytes| {
                bytes[23..27].copy_from_slice(&3_i32.to_be_bytes());
                bytes[57..61].copy_from_slice(&4_i32.to_be_bytes());
            }),
        ),
    ];
    for (name, codec, bits) in CODECS {
        let _ = name;
        cases.push(("nothing, compressed", packed(codec, bits, |_| ())));
        cases.push((
            "a compressed section that is cut",
            packed(codec, bits, |section| {
                section.truncate(section.len() / 2);
            }),
        ));
        cases.push(("a compressed section that is none", packed(codec, bits, |section| section.fill(0x5a))));
        cases.push(("bytes behind a compressed section", packed(codec, bits, |section| section.extend([0x5a; 9]))));
    }
    cases.into_iter().map(|(what, records)| Case { what, records }).collect()
}
