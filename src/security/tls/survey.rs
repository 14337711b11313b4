//! What the files of a config's TLS are found to be, before anybody connects.

use super::expiry::{Expiry, now};
use super::problem::{TlsProblem, Trouble};
use super::{Client, Server};
use crate::config::{Config, Mistake, Severity};

/// A certificate that ends so soon is told of, in days.
pub const SOON: i64 = 30;

/// What is wrong with the files, or soon will be: for a config in `file`. One that is not there is a warning only, since the
/// config may be checked elsewhere than where it runs.
#[must_use]
pub fn survey(config: &Config, file: &str) -> Vec<Mistake> {
    let mut found = Vec::new();
    for listener in &config.listeners {
        let whose = format!("listener {}", listener.bind);
        let loaded =
            listener.tls.as_ref().map(|tls| Server::load(tls).map(|server| (server.lapsed(), server.expiring(SOON))));
        found.extend(loaded.into_iter().flat_map(|loaded| told(loaded, &whose, file)));
    }
    for cluster in &config.clusters {
        let whose = format!("cluster {}", cluster.name);
        let loaded =
            cluster.tls.as_ref().map(|tls| Client::load(tls).map(|client| (client.lapsed(), client.expiring(SOON))));
        found.extend(loaded.into_iter().flat_map(|loaded| told(loaded, &whose, file)));
    }
    found
}

type Loaded = Result<(Option<TlsProblem>, Option<TlsProblem>), TlsProblem>;

fn told(loaded: Loaded, whose: &str, file: &str) -> Option<Mistake> {
    let (severity, problem) = match loaded {
        Err(missing) if missing.is_missing() => (Severity::Warning, missing),
        Err(problem) | Ok((Some(problem), _)) => (Severity::Mistake, problem),
        Ok((None, Some(soon))) => (Severity::Warning, soon),
        Ok((None, None)) => return None,
    };
    let what = format!("tls of {whose}: {problem}");
    Some(Mistake { severity, file: file.to_owned(), place: None, what, instead: problem.instead() })
}

/// The first of them that ends within so many days, with its file.
pub(super) fn expiring(
    expiries: &[Expiry],
    days: i64,
    file: impl Fn(&Expiry) -> Option<std::path::PathBuf>,
) -> Option<TlsProblem> {
    let left = |one: &Expiry| (one.until - now()).div_euclid(86_400);
    let soon = expiries.iter().filter(|one| left(one) < days).min_by_key(|one| one.until)?;
    Some(TlsProblem::of(&file(soon)?, Trouble::Soon { day: super::expiry::day(soon.until), left: left(soon) }))
}
