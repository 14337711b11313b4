//! How clusters are entered and listeners kept, as the config says: TLS material out of its files, and who we are.

use crate::config::{self, Config, Login};
use crate::security::client::Credentials;
use crate::security::tls::{Shelf, TlsProblem};
use crate::upstream::connect::Shared;
use crate::upstream::door::Door;
use std::sync::Arc;

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct Doors {
    shelf: Arc<Shelf>,
    shared: Arc<Shared>,
}

impl Doors {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { shelf: Arc::default(), shared: Arc::clone(shared) }
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

    /// What changes between two configs.
    pub(super) fn change(&self, now: &Config, then: &Config) -> Result<(), TlsProblem> {
        let same = |one: &&config::Cluster| {
            now.cluster(one.slot).is_some_and(|before| (&before.tls, &before.login) == (&one.tls, &one.login))
        };
        for gone in now.clusters.iter().filter(|one| then.cluster(one.slot).is_none()) {
            self.shelf.forget(gone.name.as_str());
        }
        then.clusters.iter().filter(|one| !same(one)).try_for_each(|one| self.open(one))
    }

    /// How a cluster would be entered, for who tries it before it is taken.
    pub(super) fn tried(cluster: &config::Cluster) -> Result<Door, TlsProblem> {
        let tls = cluster.tls.as_ref().map(crate::security::tls::Client::load).transpose()?;
        Ok(Door { tls: tls.map(Arc::new), login: cluster.login.as_ref().map(credentials) })
    }

    fn door(&self, cluster: &config::Cluster) -> Result<Door, TlsProblem> {
        let tls = cluster.tls.as_ref().map(|tls| self.shelf.client(cluster.name.as_str(), tls)).transpose()?;
        Ok(Door { tls, login: cluster.login.as_ref().map(credentials) })
    }
}

fn credentials(login: &Login) -> Credentials {
    match login {
        Login::Password { mechanism, username, password } => {
            Credentials::password(*mechanism, username, password.clone())
        }
    }
}
