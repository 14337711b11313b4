//! The clients' own test suites, run on bare Kafka and through Fishplate: whatever passes there must pass here, or stand in
//! `tests/suites/differences.yaml` with its reason.
//!
//! `scripts/suites` runs them whole, several rounds; what everybody runs is a part, and only through Fishplate.

mod document;
mod franz;
mod librdkafka;
mod outcomes;
mod results;

pub use document::section;
pub use franz::{OF_SCRAM, scram};

use crate::harness::config::{Config, View};
use crate::harness::proxy::Proxy;
use crate::harness::topics::Topics;
use crate::harness::{Bootstrap, repository};
use crate::world::{World, alone, full, shared};
use libtest_mimic::Trial;
use outcomes::{Counts, Known, Rounds};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A client's own test suite.
pub struct Suite {
    pub name: &'static str,
    /// What it is of, for the document.
    pub of: &'static str,
    /// What everybody runs of it.
    part: &'static [&'static str],
    /// Builds it, if it is not there.
    set_up: fn() -> anyhow::Result<()>,
    /// Runs these tests, or all, and keeps what they print in a file.
    run: fn(Option<&[&str]>, &Bootstrap, &Path) -> anyhow::Result<Round>,
    /// Names of topics, as a regular expression, that go to the second cluster where topics are spread.
    spread: &'static str,
}

/// What came of each test, once.
pub type Round = BTreeMap<String, CameOfIt>;

/// What came of one test, once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CameOfIt {
    Passed,
    Failed,
    Skipped,
}

pub const SUITES: &[Suite] = &[franz::SUITE, franz::CHAOS, librdkafka::SUITE, librdkafka::BY_SCRIPTS];

/// How Fishplate is set up before the suite.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Way {
    /// What the listener shows.
    view: Shown,
    /// Whether topics are on two clusters, by their names, and not all on one.
    two_clusters: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Shown {
    Brokers,
    Single,
}

impl Way {
    pub const ALL: [Self; 4] = [
        Self { view: Shown::Brokers, two_clusters: false },
        Self { view: Shown::Brokers, two_clusters: true },
        Self { view: Shown::Single, two_clusters: false },
        Self { view: Shown::Single, two_clusters: true },
    ];

    pub fn name(self) -> String {
        let clusters = if self.two_clusters { "two clusters" } else { "one cluster" };
        format!("{}, {clusters}", self.view().word())
    }

    fn view(self) -> View {
        match self.view {
            Shown::Brokers => View::Brokers,
            Shown::Single => View::Single,
        }
    }
}

/// All trials: whole suites where `FISHPLATE_SUITES` says how many rounds, and a part of them else.
pub fn trials() -> Vec<Trial> {
    let Some(rounds) = rounds() else {
        if !full() {
            let left_out = SUITES.iter().filter(|suite| !suite.part.is_empty() && !is_in_ci(suite));
            let names: Vec<_> = left_out.map(|suite| suite.name).collect();
            eprintln!("suites of clients of which only the full level plays a part: {}", names.join(", "));
            eprintln!(
                "SHORT: parts of suites move {} records instead of 50000; FISHPLATE_TEST_LEVEL=full is the whole",
                franz::FEW_RECORDS
            );
        }
        let with_parts = SUITES.iter().filter(|suite| !suite.part.is_empty()).filter(|suite| full() || is_in_ci(suite));
        return with_parts.enumerate().flat_map(|(place, suite)| parts(place, suite)).collect();
    };
    let whole = |suite: &'static Suite| {
        let bare: &'static OnceLock<Rounds> = Box::leak(Box::default());
        let one = move |way: Way| {
            alone(format!("suite {}: {}", suite.name, way.name()), move |world| {
                let bare = bare.get_or_init(|| on_bare_kafka(suite, world, rounds));
                judge(suite, way, world, bare, rounds);
            })
        };
        Way::ALL.map(one)
    };
    SUITES.iter().flat_map(whole).collect()
}

/// librdkafka's takes two minutes, one of which compiles it; its client plays our own scenarios besides.
fn is_in_ci(suite: &Suite) -> bool {
    suite.name == franz::SUITE.name
}

fn rounds() -> Option<u32> {
    let rounds = std::env::var("FISHPLATE_SUITES").ok()?;
    Some(rounds.parse().unwrap_or_else(|_| panic!("FISHPLATE_SUITES={rounds} is no number of rounds")))
}

/// They keep both cores busy: one at a time, so that clients' own time-outs are not what is judged.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The part that everybody runs, topics on two clusters: at the full level in both views, else in one of them, another for each suite.
fn parts(place: usize, suite: &'static Suite) -> Vec<Trial> {
    let of = |way: Way| {
        shared(format!("suite {}, a part: {}", suite.name, way.name()), move |world| {
            let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
            set_up(suite);
            let proxy = before(suite, way, world);
            let outcomes = run(suite, Some(suite.part), &proxy.bootstrap_in(way.view()), world, &way.name());
            stop(&proxy);
            for test in suite.part {
                let came = outcomes.get(*test).copied();
                assert_eq!(
                    came,
                    Some(CameOfIt::Passed),
                    "{test} of {}; its output is in {}",
                    suite.name,
                    folder(world).display()
                );
            }
        })
    };
    let ways = || Way::ALL.into_iter().filter(|way| way.two_clusters);
    let one = place % ways().count();
    ways().enumerate().filter(|(own, _)| full() || *own == one).map(|(_, way)| of(way)).collect()
}

fn on_bare_kafka(suite: &Suite, world: &World, rounds: u32) -> Rounds {
    set_up(suite);
    (1..=rounds).map(|round| run(suite, None, &world.a.bootstrap(), world, &format!("bare-{round}"))).collect()
}

fn judge(suite: &Suite, way: Way, world: &World, bare: &Rounds, rounds: u32) {
    let proxy = before(suite, way, world);
    let here: Rounds = (1..=rounds)
        .map(|round| run(suite, None, &proxy.bootstrap_in(way.view()), world, &format!("{}-{round}", way.name())))
        .collect();
    stop(&proxy);
    let seen = outcomes::compare(bare, &here);
    results::note(suite.name, way, rounds, &seen);
    // At once: the next way may take another half an hour.
    results::keep();
    let complaints = outcomes::complaints(&seen, &known(suite.name, way));
    assert!(complaints.is_empty(), "{} in {}:\n{}", suite.name, way.name(), complaints.join("\n"));
}

fn known(suite: &str, way: Way) -> Vec<&'static Known> {
    differences().iter().filter(|known| known.is_about(suite, &way.name())).collect()
}

/// The list of differences that have a reason.
pub fn differences() -> &'static [Known] {
    static LIST: OnceLock<Vec<Known>> = OnceLock::new();
    LIST.get_or_init(|| {
        let file = repository().join("tests/suites/differences.yaml");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    })
}

/// One at a time: two builds of one suite would be one too many.
fn set_up(suite: &Suite) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    (suite.set_up)().unwrap_or_else(|error| panic!("{}: {error:#}", suite.name));
}

/// A Fishplate of the suite's own, since what suites do on purpose is in its log.
fn before(suite: &Suite, way: Way, world: &World) -> Proxy {
    let config = Config::two_clusters(&world.a.bootstrap(), &world.b.bootstrap()).listener(way.view(), None);
    let config =
        if way.two_clusters { config.pipeline("spread", suite.spread, "no-group-of-a-suite", "b") } else { config };
    world.start_proxy(&config)
}

fn stop(proxy: &Proxy) {
    let status = proxy.stop();
    assert!(status.success(), "Fishplate ended with {status}; its log ends\n{}", proxy.log().tail(20));
}

fn run(suite: &Suite, tests: Option<&[&str]>, at: &Bootstrap, world: &World, name: &str) -> Round {
    let file = folder(world).join(format!("{}-{}.log", suite.name, name.replace(", ", "-")).replace(' ', "-"));
    let outcomes = (suite.run)(tests, at, &file).unwrap_or_else(|error| panic!("{} at {at}: {error:#}", suite.name));
    assert!(!outcomes.is_empty(), "{} ran no test; its output is {}", suite.name, file.display());
    if tests.is_none() {
        // Whole suites leave a thousand topics and gigabytes: the brokers would suffer from those of several rounds.
        [&world.a, &world.b].into_iter().for_each(|cluster| Topics::of(&cluster.bootstrap()).delete_all());
    }
    outcomes
}

fn folder(world: &World) -> PathBuf {
    let folder = world.directory.join("suites");
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    folder
}

/// What was seen of one test over all rounds, for the document.
pub type Seen = BTreeMap<String, (Counts, Counts)>;
