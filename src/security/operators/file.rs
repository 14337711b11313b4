//! Where operators' tokens come from: a file, or the config.

use super::{Operators, Wrong};
use crate::config::{Config, Mistake, OperatorsFrom, Severity};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Larger than any such file.
const LARGEST: usize = 1 << 20;

/// Why there are no operators.
#[derive(Debug)]
pub enum OperatorsProblem {
    /// The file cannot be read.
    Unread(PathBuf, io::Error),
    /// It can, and has mistakes.
    Wrong(String, Vec<Wrong>),
}

impl OperatorsProblem {
    /// The file is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Unread(_, error) if error.kind() == ErrorKind::NotFound)
    }
}

impl fmt::Display for OperatorsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(file, error) => write!(f, "the admin tokens in {} cannot be read: {error}", file.display()),
            Self::Wrong(place, wrong) => {
                write!(f, "the admin tokens in {place} have mistakes")?;
                wrong.iter().try_for_each(|wrong| write!(f, "; {wrong}"))
            }
        }
    }
}

impl std::error::Error for OperatorsProblem {}

/// The operators that the config means.
///
/// # Errors
/// Where their tokens cannot be read, or have mistakes.
pub fn load(from: &OperatorsFrom) -> Result<Operators, OperatorsProblem> {
    match from {
        OperatorsFrom::File(path) => {
            let text = read(path).map_err(|error| OperatorsProblem::Unread(path.clone(), error))?;
            Operators::read(&text).map_err(|wrong| OperatorsProblem::Wrong(path.display().to_string(), wrong))
        }
        OperatorsFrom::Text(text) => {
            Operators::read(text.reveal()).map_err(|wrong| OperatorsProblem::Wrong("the config".to_owned(), wrong))
        }
    }
}

/// The text of a file of tokens, which is wiped when it is done with.
///
/// # Errors
/// Where it cannot be read.
pub fn read(file: &Path) -> io::Result<Zeroizing<String>> {
    let opened = File::open(file)?;
    // At once as large as it gets: a text that grows leaves copies behind.
    let room = usize::try_from(opened.metadata()?.len()).unwrap_or(LARGEST).min(LARGEST) + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    opened.take(LARGEST as u64 + 1).read_to_string(&mut text)?;
    if text.len() > LARGEST {
        return Err(io::Error::other(format!("it is larger than {} KiB", LARGEST >> 10)));
    }
    Ok(text)
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
    if let OperatorsFrom::File(path) = from
        && fs::metadata(path).is_ok_and(|there| there.mode() & 0o004 != 0)
    {
        say(Severity::Warning, format!("everybody on this machine can read {}", path.display()), "chmod 600 it");
    }
    found
}
