//! As many records as go into the first topic, which is there already, for as long as all clients flood.

use super::stage::{Stage, counted};
use rdkafka::producer::BaseRecord;
use std::thread::sleep;
use std::time::{Duration, Instant};

const LASTS: Duration = Duration::from_secs(15);
const RECORD: [u8; 1024] = [0; 1024];
/// Of a batch.
const RECORDS: &str = "20";
/// Few, or it would be busy with giving them up in the end.
const BUFFERED: &str = "10000";

pub fn play(stage: &Stage) {
    let writer = stage.writer(&[("batch.num.messages", RECORDS), ("queue.buffering.max.messages", BUFFERED)]);
    let end = Instant::now() + LASTS;
    while Instant::now() < end {
        let record =
            BaseRecord::<(), _, _>::with_opaque_to(&stage.topics[0], Box::new(0)).partition(0).payload(&RECORD[..]);
        if writer.send(record).is_err() {
            // Its buffer is full.
            sleep(Duration::from_millis(1));
        }
    }
    let (acknowledged, failed) = counted(&writer);
    stage.saw("acknowledged", acknowledged);
    stage.saw("failed", failed);
}
