//! What came of tests over several rounds, on bare Kafka and through Fishplate, and what of it is a complaint. Pure.

use super::{CameOfIt, Round, Seen};
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What each round brought.
pub type Rounds = Vec<Round>;

/// How often a test passed and failed; it was skipped in the other rounds.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Counts {
    pub passed: u32,
    pub failed: u32,
}

/// An entry of `tests/suites/differences.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    pub suite: String,
    /// A regular expression of the whole name.
    pub tests: String,
    /// In these ways; absent: in all.
    #[serde(default)]
    pub ways: Option<Vec<String>>,
    /// Why it is right that it does not pass, or who will mend it.
    pub why: String,
}

impl Known {
    pub fn is_about(&self, suite: &str, way: &str) -> bool {
        self.suite == suite && self.ways.as_ref().is_none_or(|ways| ways.iter().any(|one| one == way))
    }

    pub fn is_of(&self, test: &str) -> bool {
        let whole = Regex::new(&format!("^(?:{})$", self.tests));
        whole.unwrap_or_else(|error| panic!("tests/suites/differences.yaml: {error}")).is_match(test)
    }
}

/// Both beside each other, test by test. A test that one side never came to has failed there.
pub fn compare(bare: &Rounds, here: &Rounds) -> Seen {
    let names: BTreeSet<_> = bare.iter().chain(here).flat_map(BTreeMap::keys).collect();
    names.into_iter().map(|test| (test.clone(), (count(bare, test), count(here, test)))).collect()
}

fn count(rounds: &Rounds, test: &str) -> Counts {
    let mut counts = Counts::default();
    for round in rounds {
        match round.get(test) {
            Some(CameOfIt::Passed) => counts.passed += 1,
            Some(CameOfIt::Failed) | None => counts.failed += 1,
            Some(CameOfIt::Skipped) => {}
        }
    }
    counts
}

/// Tests that pass on bare Kafka and not here, and are not in the list; and entries of the list that are no longer true.
pub fn complaints(seen: &Seen, known: &[&Known]) -> Vec<String> {
    let differs = |(_, (bare, here)): &(&String, &(Counts, Counts))| differs(*bare, *here);
    let mut complaints = Vec::new();
    for (test, _) in seen.iter().filter(differs) {
        if !known.iter().any(|one| one.is_of(test)) {
            complaints.push(format!("  {test} passes on bare Kafka, and not here"));
        }
    }
    for one in known {
        if !seen.iter().filter(differs).any(|(test, _)| one.is_of(test)) {
            complaints.push(format!("  `{}` is in the list, and no longer so ({})", one.tests, one.why));
        }
    }
    complaints
}

/// It passes there, and never here, or in fewer rounds than it fails where it never fails there.
pub fn differs(bare: Counts, here: Counts) -> bool {
    bare.passed > 0 && (here.passed == 0 || bare.failed == 0 && here.failed > here.passed)
}

/// It passed sometimes and sometimes not.
pub fn is_flaky(counts: Counts) -> bool {
    counts.passed > 0 && counts.failed > 0
}
