//! franz-go's integration tests (package kgo), run out of Go's module cache; and those that copy topics through groups and
//! transactions once more, with connections that are slow and cut.

use super::{CameOfIt, Round, Suite};
use crate::harness::process::command;
use crate::harness::{Bootstrap, cache, repository, wait};
use crate::scenarios::programs::run_to_end;
use crate::world::full;
use std::path::Path;
use std::time::Duration;

pub const SUITE: Suite =
    Suite { name: "franz-go", of: "franz-go 1.22.2, its integration tests", part: PART, set_up, run, spread: HALF };

pub const CHAOS: Suite = Suite {
    name: "franz-go, chaos",
    of: "the same, topics copied through groups and transactions while connections break",
    part: &[],
    set_up,
    run: run_chaos,
    spread: HALF,
};

/// Its topics are named by random hexadecimal digits.
const HALF: &str = "/[0-7][0-9a-f]{15}.*/";

/// Quick ones, and topics copied through groups.
const PART: &[&str] = &[
    "TestAddRemovePartitions",
    "TestClient_ProduceLargeMessages",
    "TestConsumeMaxDecompressBatchBytes",
    "TestConsumeRegex",
    "TestDirectPartitionPurge",
    "TestGroupETL",
    "TestIssue325",
    "TestIssue810",
    "TestIssue865",
    "TestPauseIssue489",
    "TestPauseIssueOct2023",
];

/// So many records go through the tests that copy topics; and so many below the full level.
const RECORDS: &str = "KGO_TEST_RECORDS";
pub const FEW_RECORDS: &str = "5000";

/// What a run of all of it takes on two busy cores, with much to spare.
const TO_RUN: Duration = wait::seconds(900);

fn set_up() -> anyhow::Result<()> {
    let mut script = command(repository().join("tests/suites/setup.sh"));
    script.arg("franz");
    run_to_end("tests/suites/setup.sh", script, TO_RUN, &cache().join("suites-franz")).map(drop)
}

/// Its tests of logins by a proof, which want a listener that asks for one.
pub const OF_SCRAM: [&str; 2] = ["TestSCRAMAuth", "TestSCRAMAuthBadCredentials"];

/// Runs those: `NAME:PASSWORD`, and which of both mechanisms.
pub fn scram(at: &Bootstrap, who: &str, bits: u32, output: &Path) -> anyhow::Result<Round> {
    set_up()?;
    let settings = [("KGO_TEST_SCRAM_SEEDS", at.servers.clone()), ("KGO_TEST_SCRAM", format!("{who}:{bits}"))];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    play(&["-test.run", &format!("^({})$", OF_SCRAM.join("|"))], &settings, TO_RUN_APART, at, output)
}

/// A test that waits for ever ends the whole program, and with it those that have not run: so what may is run by itself.
const APART: &str = "^TestTxnEtl$";
/// Then it is not waited for as long.
const TO_RUN_APART: Duration = wait::seconds(240);

fn run(tests: Option<&[&str]>, at: &Bootstrap, output: &Path) -> anyhow::Result<Round> {
    if let Some(tests) = tests {
        let settings = if full() { &[][..] } else { &[(RECORDS, FEW_RECORDS)] };
        return play(&["-test.run", &format!("^({})$", tests.join("|"))], settings, TO_RUN, at, output);
    }
    let mut round = play(&["-test.skip", APART], &[], TO_RUN, at, output)?;
    round.extend(play(&["-test.run", APART], &[], TO_RUN_APART, at, &output.with_extension("apart.log"))?);
    Ok(round)
}

fn run_chaos(_: Option<&[&str]>, at: &Bootstrap, output: &Path) -> anyhow::Result<Round> {
    let chaos = [("KGO_TEST_CHAOS", "1")];
    let mut round = play(&["-test.run", "ETL"], &chaos, TO_RUN, at, output)?;
    round.extend(play(&["-test.run", APART], &chaos, TO_RUN_APART, at, &output.with_extension("apart.log"))?);
    Ok(round)
}

fn play(
    which: &[&str],
    settings: &[(&str, &str)],
    within: Duration,
    at: &Bootstrap,
    output: &Path,
) -> anyhow::Result<Round> {
    let folder = cache().join("suites/franz");
    let mut program = command(folder.join("kgo.test"));
    program.current_dir(folder.join("pkg/kgo"));
    program.env("KGO_SEEDS", &at.servers).env("KGO_TEST_RF", "1").env(RECORDS, "50000");
    program.envs(settings.iter().copied());
    program.arg("-test.v").args(which).arg(format!("-test.timeout={}s", within.as_secs() - 30));
    // Where a test fails, so does the program; what was printed says which.
    let _ = run_to_end("franz-go's tests", program, within, output);
    Ok(read(&std::fs::read_to_string(output)?))
}

/// `--- PASS: TestName/part (0.10s)`, indented by depth.
fn read(printed: &str) -> Round {
    let line = |line: &str| {
        let (came, rest) = line.trim_start().strip_prefix("--- ")?.split_once(": ")?;
        let came = match came {
            "PASS" => CameOfIt::Passed,
            "FAIL" => CameOfIt::Failed,
            "SKIP" => CameOfIt::Skipped,
            _ => return None,
        };
        Some((rest.split_whitespace().next()?.to_owned(), came))
    };
    printed.lines().filter_map(line).collect()
}
