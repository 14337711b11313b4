//! What came of whole suites, kept in `tests/suites/results.jsonl`: a run replaces what it ran anew and leaves the rest.

use super::outcomes::{Counts, differs, is_flaky};
use super::{SUITES, Seen, Way};
use crate::harness::repository;
use crate::scenarios::results::today;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};

static SEEN: Mutex<Vec<Outcome>> = Mutex::new(Vec::new());
const FILE: &str = "tests/suites/results.jsonl";

/// A suite in one way.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    pub suite: String,
    pub way: Way,
    pub rounds: u32,
    /// Tests that passed in every round, on bare Kafka and here.
    pub the_same: usize,
    /// Tests that pass on bare Kafka, and never or seldom here.
    pub differ: Vec<String>,
    /// Others that sometimes pass, here or there: how often of all rounds, on bare Kafka and here.
    pub flaky: BTreeMap<String, (u32, u32)>,
    /// Tests that never pass on bare Kafka: skipped there, or failing.
    pub not_judged: Vec<String>,
    /// The day, as `YYYY-MM-DD`.
    pub on: String,
}

pub fn note(suite: &str, way: Way, rounds: u32, seen: &Seen) {
    let always = |counts: Counts| counts.passed == rounds;
    let names = |which: &dyn Fn(Counts, Counts) -> bool| {
        let of_them = seen.iter().filter(|(_, (bare, here))| which(*bare, *here));
        of_them.map(|(test, _)| test.clone()).collect::<Vec<_>>()
    };
    let is_flaky =
        |bare: Counts, here: Counts| !differs(bare, here) && here.passed > 0 && (is_flaky(bare) || is_flaky(here));
    let flaky = seen.iter().filter(|(_, (bare, here))| is_flaky(*bare, *here));
    let outcome = Outcome {
        suite: suite.into(),
        way,
        rounds,
        the_same: names(&|bare, here| always(bare) && always(here)).len(),
        differ: names(&differs),
        flaky: flaky.map(|(test, (bare, here))| (test.clone(), (bare.passed, here.passed))).collect(),
        not_judged: names(&|bare, _| bare.passed == 0),
        on: today(),
    };
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
}

pub fn kept() -> Vec<Outcome> {
    let text = fs::read_to_string(repository().join(FILE)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{FILE}: {error}"))).collect()
}

pub fn keep() {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut all = BTreeMap::new();
    for one in kept().into_iter().chain(seen) {
        if let Some(suite) = SUITES.iter().position(|suite| suite.name == one.suite) {
            all.insert((suite, one.way), one);
        }
    }
    let lines = all.values().map(|one| serde_json::to_string(one).unwrap_or_default() + "\n");
    fs::write(repository().join(FILE), lines.collect::<String>()).unwrap_or_else(|error| panic!("{FILE}: {error}"));
}
