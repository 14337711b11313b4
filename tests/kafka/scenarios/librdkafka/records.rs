//! Scenarios about records: what is produced is what is read.

use super::stage::{Record, SOON, Stage, offsets_and_values, send, text};
use crate::harness::wait;
use rdkafka::consumer::Consumer;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage, Timestamp};
use serde_json::{Value, json};

pub fn codecs(stage: &Stage) {
    stage.create(1, &[]);
    // The crate builds librdkafka without zstd; kcat's has it.
    for codec in ["none", "gzip", "snappy", "lz4"] {
        let places = stage.places(1);
        let value = |i| format!("{codec}-{i}-{}", "x".repeat(50));
        let records = (0..10).flat_map(|i| places.iter().map(move |at| Record::new(at, value(i))));
        let sent = send(&stage.writer(&[("compression.type", codec), ("linger.ms", "200")]), records);
        stage.saw(codec, json!(sent));
    }
    stage.saw("read", stage.aliased(&stage.read_all(&stage.places(1)), offsets_and_values));
}

pub fn headers(stage: &Stage) {
    stage.create(1, &[]);
    let of = |pairs: &[(&str, Option<&str>)]| {
        let add = |all: OwnedHeaders, &(key, value): &(&str, Option<&str>)| all.insert(Header { key, value });
        Some(pairs.iter().fold(OwnedHeaders::new(), add))
    };
    let long = "v".repeat(300);
    let sets = [
        None,
        of(&[("k", Some("1")), ("other", Some("x")), ("k", Some("2")), ("k", Some("1"))]),
        of(&[("null", None), ("empty", Some("")), ("", Some("empty key")), ("", None)]),
        of(&[("Ключ-鍵-🔑", Some("значение")), ("long", Some(&long))]),
    ];
    let writer = stage.writer(&[]);
    for at in stage.places(1) {
        for headers in sets.clone() {
            let record = Record { key: Some(b"key".to_vec()), headers, ..Record::new(&at, "value") };
            send(&writer, [record]).remove(0).unwrap();
        }
        for key in [None, Some(""), Some("key")] {
            for value in [None, Some(""), Some("value")] {
                let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
                let record = Record { key: bytes(key), value: bytes(value), ..Record::new(&at, "") };
                send(&writer, [record]).remove(0).unwrap();
            }
        }
    }
    let read = stage.read_all(&stage.places(1));
    stage.saw("read", stage.aliased(&read, |records| records.iter().map(whole).collect()));
}

fn whole(record: &OwnedMessage) -> Value {
    let pairs = |all: &OwnedHeaders| all.iter().map(|one| json!([one.key, text(one.value)])).collect::<Vec<_>>();
    let timestamp = match record.timestamp() {
        Timestamp::NotAvailable => "none",
        Timestamp::CreateTime(_) => "create",
        Timestamp::LogAppendTime(_) => "append",
    };
    json!({
        "offset": record.offset(),
        "key": text(record.key()),
        "value": text(record.payload()),
        "headers": record.headers().map(pairs),
        "timestamp type": timestamp,
    })
}

pub fn acks(stage: &Stage) {
    stage.create(1, &[]);
    let reader = stage.lone_reader(&[]);
    for (round, acks) in (1..).zip(["0", "1", "all"]) {
        let writer = stage.writer(&[("acks", acks), ("linger.ms", "0")]);
        let send_one =
            |i: usize| stage.places(1).map_each(|at| send(&writer, [Record::new(at, format!("{acks}-{i}"))]));
        stage.saw(acks, json!((0..20).flat_map(send_one).flatten().collect::<Vec<_>>()));
        // Nobody says when a record without acknowledgement is there.
        for (topic, partition) in stage.places(1) {
            let end = || reader.fetch_watermarks(&topic, partition, SOON).ok().map(|(_, end)| end);
            wait::until("all are there", SOON, || end() == Some(20 * round));
        }
    }
    stage.saw("read", stage.aliased(&stage.read_all(&stage.places(1)), offsets_and_values));
}

trait MapEach<T> {
    fn map_each<R>(&self, each: impl FnMut(&T) -> R) -> Vec<R>;
}

impl<T> MapEach<T> for Vec<T> {
    fn map_each<R>(&self, each: impl FnMut(&T) -> R) -> Vec<R> {
        self.iter().map(each).collect()
    }
}

pub fn idempotent(stage: &Stage) {
    const COUNT: usize = 2000;
    stage.create(4, &[]);
    let config = [
        ("enable.idempotence", "true"),
        ("linger.ms", "1"),
        ("batch.num.messages", "20"),
        ("max.in.flight.requests.per.connection", "5"),
    ];
    let places = stage.places(4);
    let records = (0..COUNT).flat_map(|i| places.iter().map(move |at| Record::new(at, i.to_string())));
    let sent = send(&stage.writer(&config), records);
    let errors: Vec<_> = sent.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    stage.saw("errors", json!(errors));
    stage.saw("read", stage.aliased(&stage.read_all(&places), |records| sequence(records).into()));
}

/// Whether the values are 0, 1, 2, ... at offsets 0, 1, 2, ...; else the first place where they are not.
fn sequence(records: &[OwnedMessage]) -> String {
    let expected = |(number, record): &(i64, &OwnedMessage)| {
        record.offset() == *number && text(record.payload()).is_some_and(|value| value == number.to_string())
    };
    match (0_i64..).zip(records).find(|one| !expected(one)) {
        Some((number, record)) => {
            format!("record {number} is {:?} at offset {}", text(record.payload()), record.offset())
        }
        None => format!("{} in order", records.len()),
    }
}

pub fn large(stage: &Stage) {
    stage.create(1, &[]);
    let mut random = fastrand::Rng::with_seed(1);
    let mut noise = |size| std::iter::repeat_with(|| random.u8(..)).take(size).collect::<Vec<u8>>();
    let writer = stage.writer(&[]);
    for _ in 0..4 {
        for at in stage.places(1) {
            send(&writer, [Record::new(&at, noise(900_000))]).remove(0).unwrap();
        }
    }
    // Above the client's own limit, then above the topic's but not above the client's.
    let first = &stage.places(1)[0];
    stage.saw("too large", json!(send(&writer, [Record::new(first, noise(1_000_001))])));
    let bold = stage.writer(&[("message.max.bytes", "3000000")]);
    for at in stage.places(1) {
        let refused = send(&bold, [Record::new(&at, noise(2_000_000))]);
        stage.saw(format!("refused by {}", stage.topic_alias(&at.0)), json!(refused));
    }
    let shown = |record: &OwnedMessage| {
        let value = record.payload().unwrap_or_default();
        format!("{}: {} {:x}", record.offset(), value.len(), crc32c::crc32c(value))
    };
    let read = stage.read_all(&stage.places(1));
    stage.saw("read", stage.aliased(&read, |records| records.iter().map(shown).collect()));
}

pub fn many_partitions(stage: &Stage) {
    stage.create(50, &[]);
    stage.fill("v", 50, 3);
    stage.saw("read", stage.aliased(&stage.read_all(&stage.places(50)), offsets_and_values));
}
