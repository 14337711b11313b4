//! Fishplate before real Apache Kafka clusters. One binary, because starting the clusters is what takes the time:
//! they are started once, and each trial has topics of its own.
//!
//! `cargo test --test kafka -- NAME` runs some; `-- --list` names them all. `FISHPLATE_HOLD=1 cargo test --test kafka`
//! starts clusters and Fishplate, says where they listen and stays until Ctrl-C, to try things by hand.

// The lints are written for the proxy: a trial says what went wrong by panicking, and nothing imports from here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, unreachable_pub)]

#[path = "../harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "its own tests use more of it")]
#[path = "../history/mod.rs"]
mod history;

#[path = "../batches/agree.rs"]
mod agree;
#[path = "../batches/codecs.rs"]
mod codecs;

mod apis;
mod applications;
mod assigned;
mod basics;
mod batches;
mod behind;
mod canary;
mod committed;
mod edited;
mod faults;
mod hints;
mod hostile;
mod identities;
mod lacking;
mod lag;
mod lane;
mod large;
mod laws;
mod life;
mod load;
mod login;
mod metrics;
mod monitoring;
mod names;
mod nodes;
mod operator;
mod parted;
mod patching;
mod policy;
mod racks;
mod rates;
mod raw;
mod refused;
mod reload;
mod rights;
mod scenarios;
mod secrets;
mod secured;
mod security;
mod shadows;
mod shares;
mod split;
mod standins;
mod static_members;
mod suites;
mod throttle;
mod tokens;
mod topics;
mod transactions;
mod turned_away;
mod world;
mod zones;

use libtest_mimic::Arguments;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::var_os("FISHPLATE_HOLD").is_some() {
        world::hold();
    }
    let mut arguments = Arguments::from_args();
    // Most of a trial is waiting: for a sweep, for the end of a session.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(cores.max(3));
    let (playing, looking) = scenarios::trials(&arguments);
    let trials = [
        apis::trials(),
        assigned::trials(),
        static_members::trials(),
        basics::trials(),
        laws::trials(),
        refused::trials(),
        metrics::trials(),
        batches::trials(),
        edited::trials(),
        nodes::trials(),
        names::trials(),
        playing,
        behind::trials(),
        racks::trials(),
        hints::trials(),
        topics::trials(),
        shadows::trials(),
        split::trials(),
        shares::trials(),
        transactions::trials(),
        applications::trials(),
        large::trials(),
        standins::trials(),
        lacking::trials(),
        zones::trials(),
        reload::trials(),
        rights::trials(),
        secured::trials(),
        identities::trials(),
        lag::trials(),
        monitoring::trials(),
        operator::trials(),
        security::trials(),
        tokens::trials(),
        secrets::trials(),
        turned_away::trials(),
        life::trials(),
        patching::trials(),
        policy::trials(),
        parted::trials(),
        rates::trials(),
        throttle::trials(),
        canary::trials(),
        hostile::trials(),
        faults::trials(),
        suites::trials(),
        looking,
    ];
    let mut trials: Vec<_> = trials.into_iter().flatten().collect();
    lane::start(&mut trials, &arguments);
    let conclusion = libtest_mimic::run(&arguments, trials);
    scenarios::results::keep();
    scenarios::matrix::write();
    world::end(!conclusion.has_failed());
    conclusion.exit_code()
}
