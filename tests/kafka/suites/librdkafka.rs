//! librdkafka's own tests, around the librdkafka that the `rdkafka` crate brought; those that are local, on its mock
//! cluster, or want Kafka's own scripts are left out.

use super::{CameOfIt, Round, Suite};
use crate::harness::process::command;
use crate::harness::{Bootstrap, cache, repository, wait};
use crate::scenarios::programs::{java_at, run_to_end};
use anyhow::Context;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, thread};

pub const SUITE: Suite = Suite {
    name: "librdkafka",
    of: "librdkafka 2.12.1, its own tests but the local ones",
    part: PART,
    set_up,
    run,
    spread: SPREAD,
};

/// Those that need more than a bootstrap. What of them is in the suite besides, fails there on bare Kafka too.
pub const BY_SCRIPTS: Suite = Suite {
    name: "librdkafka, by scripts",
    of: "those of them that call Kafka's own scripts",
    part: &[],
    set_up,
    run: run_by_scripts,
    spread: SPREAD,
};

/// Not those of tests that use transactions (0055, 0061, 0098, 0103, 0129, 0137): theirs stay on the default cluster, but for
/// one of 0103's that is named after its function.
const SPREAD: &str =
    "/rdkafkatest_rnd[0-7][0-9a-f]*_(?:[^0]|0(?:[^01]|0(?:[^569]|5[^5]|6[^1]|9[^8])|1(?:[^023]|0[^3]|2[^9]|3[^7]))).*/";

/// Some seconds each.
const PART: &[&str] = &[
    "0001_multiobj",
    "0005_order",
    "0008_reqacks",
    "0012_produce_consume",
    "0013_null_msgs",
    "0015_offsets_seek",
    "0022_consume_batch",
    "0031_get_offsets",
    "0036_partial_fetch",
    "0054_offset_time",
    "0070_null_empty",
    "0073_headers",
    "0085_headers",
    "0086_purge_remote",
    "0090_idempotence",
    "0099_commit_metadata",
    "0130_store_offsets",
    "0140_commit_metadata",
];

const WITH_SCRIPTS: &[&str] = &[
    "0045_resubscribe_with_regex",
    "0045_subscribe_many_updates",
    "0045_subscribe_update",
    "0052_msg_timestamps",
    "0077_compaction",
    "0109_auto_create_topics",
    "0115_producer_auth",
    "0119_consumer_auth",
];
/// Scripts that they call, and what these run.
const SCRIPTS: [(&str, &str); 2] = [
    ("kafka-topics.sh", "org.apache.kafka.tools.TopicCommand"),
    ("kafka-acls.sh", "org.apache.kafka.tools.AclCommand"),
];

/// What a run of all of it takes on two busy cores, with much to spare.
const TO_RUN: Duration = wait::seconds(900);
/// How many of its tests run at once: they mostly wait.
const AT_ONCE: &str = "-p6";

fn set_up() -> anyhow::Result<()> {
    let mut script = command(repository().join("tests/suites/setup.sh"));
    script.arg("librdkafka").arg(built()?);
    run_to_end("tests/suites/setup.sh", script, TO_RUN, &cache().join("suites-librdkafka")).map(drop)
}

/// Where cargo built it, for this very program: `target/debug/build/rdkafka-sys-*/out`, the newest that is whole.
fn built() -> anyhow::Result<PathBuf> {
    let program = env::current_exe()?;
    let builds = program.ancestors().nth(2).context("no folder of builds")?.join("build");
    let of_it = |entry: fs::DirEntry| {
        let out = entry.path().join("out");
        let library = fs::metadata(out.join("src/librdkafka.so")).ok()?;
        entry.file_name().to_string_lossy().starts_with("rdkafka-sys-").then_some((library.modified().ok()?, out))
    };
    let newest = fs::read_dir(&builds)?.flatten().filter_map(of_it).max();
    newest.map(|(_, out)| out).with_context(|| format!("no librdkafka in {}", builds.display()))
}

/// Each is run by itself. A test that takes too long ends the whole program, as 0019 may. And 0076 closes a socket that is
/// librdkafka's, and then reads from its number: another test that runs at the same time and has been given the number
/// finds bytes missing, also on bare Kafka.
const APART: &[&str] = &["0019_list_groups", "0076_produce_retry"];

/// Waits for minutes: run by itself while the others run.
const LONG: &str = "0113_cooperative_rebalance";

/// On its mock cluster, for minutes, and not marked as local.
const LEFT_OUT: &str = "0150_telemetry_mock";

fn run(tests: Option<&[&str]>, at: &Bootstrap, output: &Path) -> anyhow::Result<Round> {
    let Some(tests) = tests else {
        let alone = |test: &str| play(("TESTS", &[test]), at, &output.with_extension(format!("{test}.log")));
        return thread::scope(|scope| {
            let long = scope.spawn(|| alone(LONG));
            let mut round = play(("TESTS_SKIP", &[APART, &[LONG, LEFT_OUT]].concat()), at, output)?;
            for test in APART {
                round.extend(alone(test)?);
            }
            round.extend(long.join().map_err(|_| anyhow::anyhow!("running {LONG} panicked"))??);
            Ok(round)
        });
    };
    play(("TESTS", tests), at, output)
}

fn run_by_scripts(_: Option<&[&str]>, at: &Bootstrap, output: &Path) -> anyhow::Result<Round> {
    let kafka = output.with_extension("kafka");
    let bin = kafka.join("bin");
    fs::create_dir_all(&bin)?;
    for (name, class) in SCRIPTS {
        let java = java_at("4.3", &output.with_extension("java.log"))?;
        let words = [java.get_program()].into_iter().chain(java.get_args()).map(|word| format!("'{}'", word.display()));
        let script = format!("#!/bin/sh\nexec {} {class} \"$@\"\n", words.collect::<Vec<_>>().join(" "));
        fs::write(bin.join(name), script)?;
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755))?;
    }
    let settings = [("KAFKA_PATH", kafka.as_os_str()), ("BROKERS", OsStr::new(&at.servers))];
    play_with(&settings, ("TESTS", WITH_SCRIPTS), at, output)
}

fn play(which: (&str, &[&str]), at: &Bootstrap, output: &Path) -> anyhow::Result<Round> {
    play_with(&[], which, at, output)
}

/// Its tests go by their numbers, with or without those that are named.
fn play_with(
    variables: &[(&str, &OsStr)],
    (which, tests): (&str, &[&str]),
    at: &Bootstrap,
    output: &Path,
) -> anyhow::Result<Round> {
    let folder = cache().join("suites/librdkafka");
    let settings = output.with_extension("conf");
    // Its time-outs are meant for more than two cores.
    let text = format!("metadata.broker.list={}\ntest.topic.random=true\ntest.timeout.multiplier=2\n", at.servers);
    fs::write(&settings, text)?;
    let mut program = command(folder.join("tests/test-runner"));
    program.current_dir(folder.join("tests")).args(["-L", AT_ONCE]);
    program.env("LD_LIBRARY_PATH", format!("{0}/src:{0}/src-cpp", folder.display()));
    program.env("RDKAFKA_TEST_CONF", settings).env("TEST_KAFKA_VERSION", "4.3.1");
    let numbers: Vec<_> = tests.iter().filter_map(|test| test.split('_').next()).collect();
    program.env(which, numbers.join(",")).envs(variables.iter().copied());
    // Where a test fails, so does the program; what was printed says which.
    let _ = run_to_end("librdkafka's tests", program, TO_RUN, output);
    let mut errors = output.as_os_str().to_owned();
    errors.push(".err");
    let printed = [fs::read(output)?, fs::read(errors)?].concat();
    let mut round = read(&String::from_utf8_lossy(&printed));
    // A number stands for several tests, and what was not asked for is told as skipped.
    match which {
        "TESTS" => {
            round.retain(|test, _| tests.contains(&&**test));
            // One that nothing is told of came to no good end.
            for test in tests {
                round.entry((*test).to_owned()).or_insert(CameOfIt::Failed);
            }
        }
        _ => round.retain(|test, _| !tests.contains(&&**test)),
    }
    Ok(round)
}

/// `===== Test 0001_multiobj PASSED =====` at its end, and in the summary `| 0001_multiobj | PASSED | 3.1s |`; in colours.
fn read(printed: &str) -> Round {
    let line = |line: &str| {
        let at_its_end = line.split_once("= Test ").map(|(_, rest)| rest);
        let words: Vec<_> =
            at_its_end.unwrap_or(line).split([' ', '|', '\u{1b}']).filter(|word| !word.is_empty()).collect();
        let words = if at_its_end.is_some() { &words[..] } else { words.get(1..)? };
        let came = match *words.get(1)? {
            "PASSED" => CameOfIt::Passed,
            "FAILED" => CameOfIt::Failed,
            "SKIPPED" => CameOfIt::Skipped,
            _ => return None,
        };
        Some(((*words.first()?).to_owned(), came))
    };
    printed.lines().filter_map(line).collect()
}
