//! The scenarios for librdkafka, through the `rdkafka` crate, which carries a version that Fishplate takes.

mod assigned;
mod cut;
mod flood;
mod groups;
mod offsets;
mod operate;
mod records;
mod stage;
mod topics;
mod transactions;

use super::contract::{Line, Run};
use crate::harness::wait;
use serde_json::Value;
use stage::Stage;
use std::collections::VecDeque;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

const AT_ONCE: usize = 4;
const DEADLINE: Duration = wait::seconds(100);

type Scene = fn(&Stage);

fn scene(name: &str) -> Option<Scene> {
    Some(match name {
        "codecs" => records::codecs,
        "headers" => records::headers,
        "acks" => records::acks,
        "idempotent" => records::idempotent,
        "large" => records::large,
        "many-partitions" => records::many_partitions,
        "offsets" => offsets::by_time,
        "reset" => offsets::reset,
        "seek" => offsets::seek,
        "commit" => offsets::commit,
        "rebalance" => groups::range,
        "cooperative" => groups::cooperative,
        "static" => groups::fixed,
        "groups" => groups::admin,
        "assigned" => assigned::play,
        "cut" => cut::play,
        "flood" => flood::play,
        "transactions" => transactions::play,
        "spanning" => transactions::spanning,
        "silent" => transactions::silent,
        "operate" => operate::play,
        "topics" => topics::life_cycle,
        "unknown" => topics::unknown,
        "cluster" => topics::cluster,
        _ => return None,
    })
}

/// In this process.
pub fn play(run: &Run) -> anyhow::Result<Vec<Line>> {
    let log = Arc::new(Mutex::new(File::create(&run.log)?));
    let waiting = Mutex::new(run.scenarios.iter().copied().collect::<VecDeque<_>>());
    let next = || waiting.lock().unwrap().pop_front();
    let lines = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(name) = next() {
                    let stage = Arc::new(Stage::new(run, name, Arc::clone(&log)));
                    lines.lock().unwrap().push(perform(name, &stage));
                }
            });
        }
    });
    Ok(lines.into_inner()?)
}

/// A scenario gives up by panicking; one that hangs is left behind when its time is over.
fn perform(name: &'static str, stage: &Arc<Stage>) -> Line {
    let (tell, ended) = mpsc::channel();
    let playing = Arc::clone(stage);
    thread::spawn(move || {
        let scene = scene(name).unwrap_or_else(|| panic!("no scenario {name}"));
        let outcome = catch_unwind(AssertUnwindSafe(|| scene(&playing)));
        // Nobody listens where the time was over.
        let _ = tell.send(outcome.map_err(|cause| said(cause.as_ref())));
    });
    let outcome = ended.recv_timeout(DEADLINE).unwrap_or_else(|_| Err(format!("not done within {DEADLINE:?}")));
    let (seen, raw) = stage.seen();
    match outcome {
        Ok(()) => Line { scenario: name.into(), result: Some(seen), failed: None, until_then: Value::Null, raw },
        Err(why) => Line { scenario: name.into(), result: None, failed: Some(why), until_then: seen, raw },
    }
}

fn said(cause: &(dyn std::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}
