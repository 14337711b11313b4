//! One process that reads hostile bytes. It notes the number of each case before it begins it, for it may not end.

use super::targets::Targets;
use fastrand::Rng;
use rlimit::Resource;
use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The addresses that it may have.
const ADDRESSES: u64 = 2 << 30;
const ORDERS: &str = "FISHPLATE_FUZZ_WORKER";

/// What a worker is told to do.
pub struct Orders {
    pub seed: u64,
    pub seconds: u64,
    /// This case alone.
    pub case: Option<u64>,
    /// Where it notes the case that it is at.
    pub at: PathBuf,
}

impl Orders {
    /// As it was given to this process.
    pub fn given() -> Option<Self> {
        let text = env::var(ORDERS).ok()?;
        let mut words = text.splitn(4, ' ');
        let mut number = || words.next()?.parse().ok();
        let (seed, seconds, case) = (number()?, number()?, number());
        Some(Self { seed, seconds, case, at: words.next()?.into() })
    }

    /// To a process that is about to start.
    pub fn give(&self, command: &mut Command) {
        let case = self.case.map_or("-".to_owned(), |case| case.to_string());
        command.env(ORDERS, format!("{} {} {case} {}", self.seed, self.seconds, self.at.display()));
    }
}

/// The case that a worker was at.
pub fn progress(at: &Path) -> u64 {
    std::fs::read(at).ok().and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes)
}

/// Runs case after case; then tells each target's number of cases and how many passed.
pub fn run(orders: &Orders) {
    rlimit::setrlimit(Resource::AS, ADDRESSES, ADDRESSES).expect("a limit for addresses");
    let note = File::create(&orders.at).expect("a note of the case");
    let (began, targets) = (Instant::now(), Targets::new());
    let mut tally = BTreeMap::<_, [u64; 2]>::new();
    let numbers = orders.case.map_or(0..u64::MAX, |case| case..case + 1);
    for case in numbers {
        if began.elapsed() > Duration::from_secs(orders.seconds) {
            break;
        }
        note.write_all_at(&case.to_be_bytes(), 0).expect("a note of the case");
        let mut rng = Rng::with_seed(orders.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(case));
        let (target, passed) = targets.run(&mut rng);
        let [cases, passes] = tally.entry(target).or_default();
        *cases += 1;
        *passes += u64::from(passed);
    }
    for (target, [cases, passed]) in tally {
        println!("{target} {cases} {passed}");
    }
}
