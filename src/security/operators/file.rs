//! Where operators' tokens come from: a file, or the config.

use super::Operators;
use crate::config::{Config, Mistake, Severity, TextFrom};
use crate::security::source::{self, Unusable, open_to_all};
use std::io;
use std::path::Path;
use zeroize::Zeroizing;

/// Larger than any such file.
const LARGEST: usize = 1 << 20;

/// The operators that the config means.
///
/// # Errors
/// Where their tokens cannot be read, or have mistakes.
pub fn load(from: &TextFrom) -> Result<Operators, Unusable> {
    source::load("admin tokens", from, LARGEST, Operators::read)
}

/// The text of a file of tokens, which is wiped when it is done with.
///
/// # Errors
/// Where it cannot be read.
pub fn read(file: &Path) -> io::Result<Zeroizing<String>> {
    source::read(file, LARGEST)
}

/// What is wrong with the tokens of a config's admin address: for a config in `file`. A file that is not there is a warning only, since the
/// config may be checked elsewhere than where it runs.
#[must_use]
pub fn survey(config: &Config, file: &str) -> Vec<Mistake> {
    let mut found = Vec::new();
    let Some(from) = config.admin.as_ref().and_then(|admin| admin.operators.as_ref()) else { return found };
    let mut say = |severity, what: String, instead: &str| {
        found.push(Mistake { severity, file: file.to_owned(), place: None, what, instead: instead.to_owned() });
    };
    match load(from) {
        Err(problem) if problem.is_missing() => {
            say(Severity::Warning, problem.to_string(), "make one: openssl rand -hex 32; a start needs it");
        }
        Err(problem) => {
            say(Severity::Mistake, problem.to_string(), "write one token a line, as openssl rand -hex 32 makes them");
        }
        Ok(_) => {}
    }
    if let Some(what) = open_to_all(from) {
        say(Severity::Warning, what, "chmod 600 it");
    }
    found
}
