//! Lag where compaction has taken records: what it left out counts as documented, ends and ages are those of what there is.

use super::{GRAIN, SOON, Told, client, commit, consumer, is_age_of, lag_is, offsets, producer};
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, wait};
use crate::world::World;
use rdkafka::Message;
use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseRecord, Producer};
use std::thread::sleep;
use std::time::{Duration, Instant};

const TOPIC: &str = "a-lag-compacted";
/// One that has read nothing of what goes, one that has read all of it, and one that stands where it went and is known only by asking.
const GROUPS: [&str; 3] = ["ga-lag-compacted-first", "ga-lag-compacted-last", "ga-lag-compacted-past"];
const KEYS: i64 = 5;
const ROUNDS: i64 = 4;
/// Behind the rounds there is one record more, so that what was before it may be compacted.
const END: i64 = KEYS * ROUNDS + 1;
/// The first record that stays.
const STAYS: i64 = KEYS * (ROUNDS - 1);

/// A record for each of these keys, in one batch; when they were sent, and acknowledged.
fn write(at: &Bootstrap, keys: &[String]) -> (Instant, Instant) {
    let producer = producer(client(at).set("linger.ms", "50").set("batch.num.messages", keys.len().to_string()));
    let began = Instant::now();
    for key in keys {
        let record = BaseRecord::to(TOPIC).partition(0).key(key).payload("value");
        producer.send(record).unwrap_or_else(|(error, _)| panic!("{error}"));
    }
    producer.flush(SOON).expect("all are written");
    (began, Instant::now())
}

/// The offset of the first record that is there from an offset on.
fn first(at: &Bootstrap, from: i64) -> Option<i64> {
    let reader = consumer(at, "ga-lag-compacted-nobody", "read_uncommitted");
    reader.assign(&offsets(&[(TOPIC, 0, from)])).expect("assigned");
    next(&reader)
}

fn next(reader: &BaseConsumer) -> Option<i64> {
    let next = || reader.poll(Duration::from_millis(100))?.ok().map(|message| message.offset());
    Some(wait::find("a record", SOON, next))
}

pub(super) fn compacted(world: &World) {
    let proxy = world.start_proxy(&world.config());
    let (at, direct) = (proxy.bootstrap(), world.a.bootstrap());
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1))
        .set("cleanup.policy", "compact")
        .set("min.cleanable.dirty.ratio", "0.001")
        .set("segment.ms", "100");
    Topics::of(&direct).create_as(&topic);
    Topics::of(&at).wait_until_led(TOPIC, 1);
    // Given records of a few keys, each written again and again, and groups that are behind
    let keys: Vec<_> = (0..KEYS).map(|key| key.to_string()).collect();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(write(&at, &keys));
        sleep(Duration::from_millis(200));
    }
    let last = write(&at, &["last".to_owned()]);
    let before = |group, offset: i64, time| {
        commit(&at, group, &[(TOPIC, 0, offset)]);
        let told = lag_is(&proxy, group, (TOPIC, 0), END - offset, SOON);
        is_age_of(&told, TOPIC, 0, time);
    };
    before(GROUPS[0], 2, times[0]);
    before(GROUPS[1], STAYS + 1, times[3]);
    // When compaction takes all but the last record of each key
    wait::until("compaction", SOON, || first(&direct, 0) == Some(STAYS));
    // Then lag is still a difference of offsets, and the end is where it was
    for (group, offset, time) in [(GROUPS[0], 2, times[0]), (GROUPS[1], STAYS + 1, times[3])] {
        let told = Told::of_group(&proxy, group);
        let row = told.row(TOPIC, 0).expect("a row");
        assert_eq!((told.lag(TOPIC, 0), &row["end"]), (Some(END - offset), &END.into()), "{row}");
        is_age_of(&told, TOPIC, 0, time);
    }
    // And who goes on gets the first that is left, and is as far behind as that one is old
    let reader = consumer(&at, GROUPS[0], "read_uncommitted");
    reader.assign(&offsets(&[(TOPIC, 0, 2)])).expect("assigned");
    assert_eq!(next(&reader), Some(STAYS));
    reader.commit(&offsets(&[(TOPIC, 0, STAYS + 1)]), CommitMode::Sync).expect("a commit");
    is_age_of(&lag_is(&proxy, GROUPS[0], (TOPIC, 0), KEYS, SOON), TOPIC, 0, times[3]);
    commit(&at, GROUPS[0], &[(TOPIC, 0, END - 1)]);
    is_age_of(&lag_is(&proxy, GROUPS[0], (TOPIC, 0), 1, SOON), TOPIC, 0, last);
    commit(&at, GROUPS[0], &[(TOPIC, 0, END)]);
    lag_is(&proxy, GROUPS[0], (TOPIC, 0), 0, SOON);
    drop(reader);
    proxy.finish();
    asked_anew(world, times[3]);
}

/// A Fishplate that saw none of it asks what lies where a group stands, and finds what comes behind the hole.
fn asked_anew(world: &World, time: (Instant, Instant)) {
    commit(&world.a.bootstrap(), GROUPS[2], &[(TOPIC, 0, 2)]);
    let proxy = world.start_proxy(&world.config());
    lag_is(&proxy, GROUPS[2], (TOPIC, 0), END - 2, SOON);
    let told = wait::find("the time of the first record that is left", SOON, || {
        let told = Told::of_group(&proxy, GROUPS[2]);
        told.row(TOPIC, 0).filter(|row| row["source"] == "record_time").is_some().then_some(told)
    });
    is_age_of(&told, TOPIC, 0, time);
    assert!(told.row(TOPIC, 0).expect("a row")["seconds"].as_f64() > Some(GRAIN));
    proxy.finish();
}
