//! The program: what was typed is parsed, performed, and turned into an exit code. Only here is one chosen.

mod cli;

use std::io;
use std::process::ExitCode;

use cli::Verdict;
use tokio::runtime::Runtime;

/// Something was found: mistakes, or a failure on the way.
const FOUND: u8 = 1;
/// A cluster could not be reached.
const UNREACHABLE: u8 = 3;
/// The command line itself was wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = match cli::parse() {
        Ok(command) => command,
        Err(error) => {
            // `--help` and `--version` come this way too: they are shown and are no error.
            let _ = error.print();
            return if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    match cli::perform(command) {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::Found) => FOUND.into(),
        Ok(Verdict::Unreachable) => UNREACHABLE.into(),
        #[cfg(not(feature = "demo"))]
        Ok(Verdict::Unusable) => USAGE.into(),
        Err(error) => {
            cli::complain(&format!("fishplate: {error:#}\n"));
            FOUND.into()
        }
    }
}

/// For the commands that talk to clusters.
fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
