//! What the files of a config's TLS are found to be, before anybody connects.

use super::expiry::{Expiry, now};
use super::problem::{TlsProblem, Trouble};
use super::{Client, Server};
use crate::config::{ClientTls, Config, Mistake, Severity};

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
    if let Some(tls) = config.admin.as_ref().and_then(|admin| admin.tls.as_ref()) {
        let loaded = Server::load(tls).map(|server| (server.lapsed(), server.expiring(SOON)));
        found.extend(told(loaded, "the admin address", file));
    }
    for cluster in &config.clusters {
        let client = |tls: &ClientTls| Client::load(tls).map(|client| (client.lapsed(), client.expiring(SOON)));
        let whose = format!("cluster {}", cluster.name);
        let own = cluster.tls.as_ref().map(client);
        found.extend(own.iter().flat_map(|loaded| told(loaded.clone(), &whose, file)));
        for one in cluster.identities.all() {
            // What is wrong with the cluster's is wrong with its identities' too, and told.
            let loaded = one.tls.as_ref().map(client).filter(|loaded| own.as_ref() != Some(loaded));
            let whose = format!("identity {} of {whose}", one.guise.name());
            found.extend(loaded.into_iter().flat_map(|loaded| told(loaded, &whose, file)));
        }
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

#[cfg(test)]
mod tests {
    use super::super::testing::{Authority, Signed, Validity};
    use super::*;
    use std::time::Duration;

    const FILE: &str = "
virtual_cluster: v
default_cluster: a
listeners: [{ bind: '127.0.0.1:9093', tls: { certificate: l.crt, key: l.key } }]
clusters: { a: { slot: 0, bootstrap: ['a.example:1'], tls: { ca: ca.crt, certificate: c.crt, key: c.key } } }
";

    #[test]
    fn files_that_are_wrong_or_end_soon_are_told_of() {
        let directory = std::env::temp_dir().join(format!("fishplate-survey-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let file = directory.join("c.yaml").display().to_string();
        let config = Config::from_text(&file, FILE).expect("a config");
        let told = || -> Vec<String> {
            let words = |one: Mistake| {
                format!("{:?} {}", one.severity, one.what.replace(&format!("{}/", directory.display()), ""))
            };
            survey(&config, &file).into_iter().map(words).collect()
        };
        // In a pipeline that has no files, a config may be checked all the same
        assert_eq!(
            told(),
            [
                "Warning tls of listener 127.0.0.1:9093: l.crt does not exist",
                "Warning tls of cluster a: ca.crt does not exist"
            ]
        );
        let authority = Authority::new("Test CA");
        std::fs::write(directory.join("ca.crt"), authority.certificate()).expect("a file");
        let days = |days: u64| Validity::For(Duration::from_secs(days * 86_400 + 3_600));
        let put = |name: &str, signed: &Signed| signed.write(&directory, name);
        put("l", &authority.server(&["k.example"], days(31)));
        put("c", &authority.client("c", days(10)));
        let all = told();
        assert!(
            all.len() == 1
                && all[0].starts_with("Warning tls of cluster a: c.crt holds a certificate that is good until"),
            "{all:?}"
        );
        assert!(all[0].ends_with(": 10 days"), "{all:?}");
        put("l", &authority.server(&["k.example"], Validity::Expired));
        std::fs::write(directory.join("c.key"), "x").expect("a file");
        assert_eq!(
            told(),
            [
                "Mistake tls of listener 127.0.0.1:9093: l.crt holds a certificate that was good until 2001-01-01",
                "Mistake tls of cluster a: c.key has no private key in it",
            ]
        );
        let _ = std::fs::remove_dir_all(&directory);
    }

    #[test]
    fn an_identitys_certificate_is_told_of_and_what_is_the_clusters_once() {
        let directory = std::env::temp_dir().join(format!("fishplate-survey-identity-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let file = directory.join("c.yaml").display().to_string();
        let identity = "identities: { one: { principals: ['User:*'], tls: { certificate: one.crt, key: one.key } } }";
        let text = "
virtual_cluster: v
default_cluster: a
listeners: [{ bind: '127.0.0.1:9093' }]
clusters: { a: { slot: 0, bootstrap: ['a.example:1'], tls: { ca: ca.crt }, IDENTITY } }
";
        let config = Config::from_text(&file, &text.replace("IDENTITY", identity)).expect("a config");
        let told = || -> Vec<String> { survey(&config, &file).into_iter().map(|one| one.what).collect() };
        assert_eq!(told().len(), 1, "what they share is missing for both: {:?}", told());
        let authority = Authority::new("Test CA");
        std::fs::write(directory.join("ca.crt"), authority.certificate()).expect("a file");
        assert!(told()[0].starts_with("tls of identity one of cluster a: "), "{:?}", told());
        let soon = Validity::For(Duration::from_secs(10 * 86_400));
        authority.client("one", soon).write(&directory, "one");
        let all = told();
        assert!(all.len() == 1 && all[0].starts_with("tls of identity one of cluster a: "), "{all:?}");
        assert!(all[0].contains("one.crt holds a certificate that is good until"), "{all:?}");
        let _ = std::fs::remove_dir_all(&directory);
    }
}
