//! Starts workers, one a core, and says which case ended one that did not end well.

use super::worker::{Orders, progress};
use std::collections::BTreeMap;
use std::env;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

/// What a worker may take longer than it was told to: a case that takes this long hangs.
const GRACE: Duration = Duration::from_secs(60);

/// And what it may take once that is over.
const LATE: Duration = Duration::from_secs(5);
/// Seconds at the full level.
const FULL: u64 = 600;
const POLL: Duration = Duration::from_millis(50);

struct Worker {
    orders: Orders,
    process: Child,
}

fn from_env<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}

/// How long: as said, or by the level of `scripts/test`.
fn seconds() -> u64 {
    let of_level = match env::var("FISHPLATE_TEST_LEVEL").as_deref() {
        Ok("ci") => 15,
        Ok("full") => FULL,
        _ => 5,
    };
    from_env("FISHPLATE_FUZZ_SECONDS").unwrap_or(of_level)
}

/// Runs until time is over. An error names each case that ended a worker.
pub fn run() -> Result<(), String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let case = from_env("FISHPLATE_FUZZ_CASE");
    let seed = from_env("FISHPLATE_FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let seconds = seconds();
    if seconds < FULL && case.is_none() {
        println!("SHORT: {seconds} s of fuzzing; FISHPLATE_TEST_LEVEL=full is ten minutes");
    }
    let (began, mut workers) = (Instant::now(), Vec::new());
    for (number, seed) in (seed..).take(if case.is_some() { 1 } else { cores }).enumerate() {
        let at = env::temp_dir().join(format!("fishplate-fuzz-{}-{number}", std::process::id()));
        workers.push(Worker::start(Orders { seed, seconds, case, at }));
    }
    let (mut tally, mut faults) = (BTreeMap::new(), Vec::new());
    for worker in workers {
        match worker.end(began + Duration::from_secs(seconds) + GRACE) {
            Ok(told) => add(&mut tally, &told),
            Err(fault) => faults.push(fault),
        }
    }
    println!("seeds {seed} to {}, {} s each:", seed + cores as u64 - 1, began.elapsed().as_secs());
    for (target, [cases, passed]) in tally {
        println!("  {target:8} {cases:>10} cases, {passed:>10} passed");
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// Sums up what workers told: a target, its cases and how many passed, line for line.
fn add(tally: &mut BTreeMap<String, [u64; 2]>, told: &str) {
    for line in told.lines() {
        let mut words = line.split(' ');
        let sums = tally.entry(words.next().unwrap_or_default().to_owned()).or_default();
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum += word.parse::<u64>().unwrap_or(0);
        }
    }
}

impl Worker {
    fn start(orders: Orders) -> Self {
        let mut command = Command::new(env::current_exe().expect("this program"));
        // With backtraces every error would take milliseconds, and memory that is not the decoder's.
        command.env_remove("RUST_BACKTRACE").env("RUST_LIB_BACKTRACE", "0");
        orders.give(&mut command);
        let process = command.stdout(Stdio::piped()).spawn().expect("a worker");
        Self { orders, process }
    }

    fn end(mut self, by: Instant) -> Result<String, String> {
        // Where the whole machine stood still, a worker that is late is looked at again: it hangs when it still does not end.
        let mut late = Duration::ZERO;
        let status = loop {
            match self.process.try_wait().expect("a worker's end") {
                Some(status) => break Some(status),
                None if late > LATE => break None,
                None => thread::sleep(POLL),
            }
            if Instant::now() > by {
                late += POLL;
            }
        };
        let case = progress(&self.orders.at);
        // It may never have been made.
        let _ = std::fs::remove_file(&self.orders.at);
        match status {
            Some(status) if status.success() => {
                let mut told = String::new();
                self.process.stdout.take().map(|mut out| out.read_to_string(&mut told));
                return Ok(told);
            }
            Some(status) => Err(format!("ended with {status}")),
            None => {
                self.process.kill().and_then(|()| self.process.wait()).expect("a worker that can be killed");
                Err("hangs".to_owned())
            }
        }
        .map_err(|how: String| {
            let seed = self.orders.seed;
            format!("case {case} of seed {seed} {how}; again: FISHPLATE_FUZZ_SEED={seed} FISHPLATE_FUZZ_CASE={case}")
        })
    }
}
