//! What hostile peers may send, until time is over: made-up and damaged frames, heads, requests, answers and records,
//! each read as Fishplate reads it, and led through what is behind the reading, in processes that may have 2 GiB of addresses and no more. What aborts, panics,
//! hangs or takes more memory than was foreseen is told with the case's number.
//!
//! `scripts/fuzz 3600` runs an hour, with optimisation; `cargo test --test fuzz` some seconds. In the environment:
//! `FISHPLATE_FUZZ_SECONDS`, `FISHPLATE_FUZZ_SEED`, and `FISHPLATE_FUZZ_CASE` for one case alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, unreachable_pub)]

mod behind;
mod clusters;
mod fetch;
#[path = "../harness/issuer.rs"]
mod issuer;
#[path = "../messages/mod.rs"]
mod messages;
mod produce;
mod sasl;
mod shares;
mod strangers;
mod supervisor;
mod targets;
mod tokens;
mod worker;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(orders) = worker::Orders::given() {
        worker::run(&orders);
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    let trials = vec![Trial::test("hostile_bytes", || Ok(supervisor::run()?))];
    libtest_mimic::run(&arguments, trials).exit_code()
}
