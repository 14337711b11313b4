//! How clusters are entered and listeners kept, as the config says: TLS material out of its files, and who we are.

use crate::config::{self, Config, Login};
use crate::security::client::Credentials;
use crate::security::tls::{Shelf, TlsProblem};
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
        Ok(Door { tls: tls.map(Arc::new), login: credentials(cluster, Box::new(|_| {})) })
    }

    fn door(&self, cluster: &config::Cluster) -> Result<Door, TlsProblem> {
        let tls = cluster.tls.as_ref().map(|tls| self.shelf.client(cluster.name.as_str(), tls)).transpose()?;
        let meter = self.telemetry.cluster(&cluster.name);
        Ok(Door { tls, login: credentials(cluster, Box::new(move |came| meter.token_fetched(came))) })
    }
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
