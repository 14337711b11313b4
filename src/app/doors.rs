//! How clusters are entered and listeners kept, as the config says: TLS material out of its files, and who we are.

use crate::config::{self, Config, Login};
use crate::security::client::Credentials;
use crate::security::tls::{Client, Shelf, TlsProblem};
use crate::security::tokens_task::{Tokens, Told};
use crate::telemetry::Telemetry;
use crate::upstream::connect::Shared;
use crate::upstream::door::Door;
use std::sync::Arc;

/// See the module's text.
#[derive(Clone)]
pub(super) struct Doors {
    shelf: Arc<Shelf>,
    shared: Arc<Shared>,
    telemetry: Arc<Telemetry>,
}

impl Doors {
    pub(super) fn new(shared: &Arc<Shared>, telemetry: &Arc<Telemetry>) -> Self {
        Self { shelf: Arc::default(), shared: Arc::clone(shared), telemetry: Arc::clone(telemetry) }
    }

    /// All TLS material.
    pub(super) fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// From now on a cluster is entered as its config says.
    ///
    /// # Errors
    /// Which file is wrong, and how: it is entered as before.
    pub(super) fn open(&self, cluster: &config::Cluster) -> Result<(), TlsProblem> {
        let door = self.door(cluster)?;
        if door.tls.is_none() {
            self.shelf.forget(cluster.name.as_str());
        }
        self.shared.doors.set(cluster.slot, door);
        Ok(())
    }

    /// New clusters are entered from now on as the config says; of those that are there nothing is changed yet, but what would be is
    /// looked at.
    pub(super) fn begin(&self, now: &Config, then: &Config) -> Result<(), TlsProblem> {
        changed(now, then).try_for_each(|one| match now.cluster(one.slot) {
            None => self.open(one),
            Some(_) => one.tls.as_ref().map_or(Ok(()), |tls| Client::load(tls).map(drop)),
        })
    }

    /// What has [begun](Doors::begin) is not to be.
    pub(super) fn withdraw(&self, now: &Config, then: &Config) {
        self.forget(now.clusters.iter(), then);
    }

    /// What has begun is taken whole.
    pub(super) fn change(&self, now: &Config, then: &Config) -> Result<(), TlsProblem> {
        changed(now, then).filter(|one| now.cluster(one.slot).is_some()).try_for_each(|one| self.open(one))?;
        self.forget(then.clusters.iter(), now);
        Ok(())
    }

    /// Keeps no files in sight that only the other config names.
    fn forget<'c>(&self, kept: impl Iterator<Item = &'c config::Cluster> + Clone, other: &Config) {
        let gone = other.clusters.iter().filter(|one| !kept.clone().any(|kept| kept.name == one.name));
        gone.for_each(|one| self.shelf.forget(one.name.as_str()));
    }

    /// How a cluster would be entered, for who tries it before it is taken.
    pub(super) fn tried(cluster: &config::Cluster) -> Result<Door, TlsProblem> {
        let tls = cluster.tls.as_ref().map(Client::load).transpose()?;
        Ok(Door { tls: tls.map(Arc::new), login: credentials(cluster, Box::new(|_| {})) })
    }

    fn door(&self, cluster: &config::Cluster) -> Result<Door, TlsProblem> {
        let tls = cluster.tls.as_ref().map(|tls| self.shelf.client(cluster.name.as_str(), tls)).transpose()?;
        let meter = self.telemetry.cluster(&cluster.name);
        Ok(Door { tls, login: credentials(cluster, Box::new(move |came| meter.token_fetched(came))) })
    }
}

/// The clusters that are to be entered otherwise than before.
fn changed<'c>(now: &'c Config, then: &'c Config) -> impl Iterator<Item = &'c config::Cluster> {
    let is_same = |one: &config::Cluster| {
        now.cluster(one.slot).is_some_and(|before| (&before.tls, &before.login) == (&one.tls, &one.login))
    };
    then.clusters.iter().filter(move |one| !is_same(one))
}

/// Who we are there; `told` is told of each token that is asked for.
fn credentials(of: &config::Cluster, told: Told) -> Option<Credentials> {
    of.login.as_ref().map(|login| match login {
        Login::Password { mechanism, username, password } => {
            Credentials::password(*mechanism, username, password.clone())
        }
        Login::Tokens(from) => Credentials::Tokens(Tokens::new(of.name.clone(), from.clone(), told)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::tls::testing::Authority;
    use std::fs;
    use std::path::{Path, PathBuf};

    struct Stage {
        directory: PathBuf,
        doors: Doors,
    }

    impl Stage {
        fn new(name: &str) -> Self {
            let directory = std::env::temp_dir().join(format!("fishplate-doors-{name}-{}", std::process::id()));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("ca.crt"), Authority::new("Test CA").certificate()).unwrap();
            let telemetry = Arc::new(Telemetry::new().unwrap());
            Self { directory, doors: Doors::new(&Shared::new(0, 1 << 20), &telemetry) }
        }

        /// Clusters a, and those too that enter by such an authority.
        fn config(&self, more: &[(&str, &str)]) -> Config {
            let cluster = |(slot, (name, ca)): (usize, &(&str, &str))| {
                let ca = self.directory.join(ca);
                format!(
                    "  {name}: {{ slot: {}, bootstrap: ['{name}:1'], tls: {{ ca: '{}' }} }}\n",
                    slot + 1,
                    ca.display()
                )
            };
            let more: String = more.iter().enumerate().map(cluster).collect();
            let text = format!(
                "virtual_cluster: v\ndefault_cluster: a\nlisteners: [{{ bind: '127.0.0.1:0' }}]\nclusters:\n  \
                 a: {{ slot: 0, bootstrap: ['a:1'] }}\n{more}"
            );
            Config::from_text("doors.yaml", &text).unwrap()
        }

        fn kept(&self) -> Vec<String> {
            self.doors.shelf().look().iter().map(|look| look.side.name().to_owned()).collect()
        }

        fn is_over_tls(&self, config: &Config, name: &str) -> bool {
            let cluster = config.clusters.iter().find(|one| one.name.as_str() == name).unwrap();
            self.doors.shared.doors.of(cluster.slot).tls.is_some()
        }
    }

    impl Drop for Stage {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(Path::new(&self.directory));
        }
    }

    #[test]
    fn a_new_cluster_is_entered_before_its_config_is_taken_and_nothing_is_kept_of_one_that_is_refused() {
        let stage = Stage::new("refused");
        let (now, then) = (stage.config(&[]), stage.config(&[("b", "ca.crt"), ("c", "missing.crt")]));
        let wrong = stage.doors.begin(&now, &then).unwrap_err();
        assert!(wrong.to_string().contains("missing.crt"), "{wrong}");
        assert_eq!(stage.kept(), ["b"], "it was there before the mistake was found");
        stage.doors.withdraw(&now, &then);
        assert!(stage.kept().is_empty());
    }

    #[test]
    fn what_a_cluster_that_is_there_would_become_is_looked_at_and_not_taken() {
        let stage = Stage::new("looked-at");
        let (now, then) = (stage.config(&[("b", "ca.crt")]), stage.config(&[("b", "missing.crt")]));
        stage.doors.begin(&stage.config(&[]), &now).unwrap();
        assert!(stage.doors.begin(&now, &then).is_err());
        stage.doors.withdraw(&now, &then);
        assert_eq!(stage.kept(), ["b"]);
        assert!(stage.is_over_tls(&now, "b"));
        // What does not change is not looked at: another file's mistake must not stand against a reload
        fs::write(stage.directory.join("ca.crt"), "no certificate").unwrap();
        let with_c = stage.config(&[("b", "ca.crt")]);
        stage.doors.begin(&now, &with_c).unwrap();
        // And who is gone is not kept in sight
        stage.doors.change(&now, &stage.config(&[])).unwrap();
        assert!(stage.kept().is_empty());
    }
}
