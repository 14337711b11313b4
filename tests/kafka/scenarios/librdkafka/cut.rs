//! A producer and a group at work while all connections are cut, once.

use super::groups::{Member, Reads};
use super::stage::{Record, SOON, Stage, offsets_and_values, send};
use crate::harness::wait;
use serde_json::json;
use std::fs::File;
use std::path::Path;
use std::thread::{self, sleep};
use std::time::Duration;

const PARTITIONS: i32 = 2;
const ALL: usize = 4;
const RECORDS: usize = 20;
const HALF: usize = RECORDS * ALL;
const PACE: Duration = Duration::from_millis(10);
const BEFORE_THE_CUT: Duration = Duration::from_millis(200);

pub fn play(stage: &Stage) {
    stage.create(PARTITIONS, &[]);
    let reads = Reads::default();
    let member = Member::join(stage, &stage.groups[1], &reads, &[("partition.assignment.strategy", "range")]);
    wait::until("the member has all", SOON, || member.poll().len() == ALL);
    let mut sent = produce(stage, 0);
    wait::until("the first half is read", SOON, || !member.poll().is_empty() && reads.borrow().len() == HALF);
    member.commit();
    thread::scope(|scope| {
        scope.spawn(|| {
            sleep(BEFORE_THE_CUT);
            stage.cut.as_deref().into_iter().for_each(have_it_cut);
        });
        let more = scope.spawn(|| produce(stage, 1));
        wait::until("all is read by the group", SOON, || {
            member.poll();
            reads.borrow().len() == 2 * HALF
        });
        sent.extend(more.join().unwrap());
    });
    let errors: Vec<_> = sent.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    stage.saw("not acknowledged", json!(errors));
    stage.saw("assigned", json!(member.assigned()));
    let wanted = (0..2 * RECORDS).map(|i| format!("{i}={}-{}", i / RECORDS, i % RECORDS)).collect::<Vec<_>>();
    let shown = |records: &_| match offsets_and_values(records) {
        found if found == json!(wanted) => json!("all, once, in order"),
        found => found,
    };
    stage.saw("read", stage.aliased(&stage.read_all(&stage.places(PARTITIONS)), shown));
}

fn produce(stage: &Stage, part: usize) -> Vec<Result<i64, String>> {
    let places = stage.places(PARTITIONS);
    let of_round = |i| places.iter().map(move |at| Record::new(at, format!("{part}-{i}")));
    let paced = (0..RECORDS).flat_map(of_round).inspect(|_| sleep(PACE));
    send(&stage.writer(&[("enable.idempotence", "true"), ("linger.ms", "2")]), paced)
}

/// The trial cuts when it sees the file, and takes it away when it has.
fn have_it_cut(file: &Path) {
    File::create(file).unwrap();
    while file.exists() {
        sleep(PACE);
    }
}
