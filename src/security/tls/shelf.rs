//! All TLS material of a running proxy, so that its files can be looked at again and its certificates be counted: what each
//! listener, the admin address and each cluster has.

use super::expiry::Expiry;
use super::problem::TlsProblem;
use super::{Client, Reload, SOON, Server, Settings};
use crate::config::{ClientTls, Tls};
use crate::types::{Guise, Name};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whose material it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The listener that is bound there.
    Listener(Arc<str>),
    /// The admin address, bound there.
    Admin(Arc<str>),
    /// The cluster of that name.
    Cluster(Arc<str>),
    /// An identity of a cluster's, as CLUSTER/IDENTITY.
    Identity(Arc<str>),
}

impl Side {
    /// As metrics say it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Listener(_) => "listener",
            Self::Admin(_) => "admin",
            Self::Cluster(_) => "cluster",
            Self::Identity(_) => "identity",
        }
    }

    /// What is towards a cluster, of who comes to it as this one.
    #[must_use]
    pub fn towards(cluster: &Name, guise: &Guise) -> Self {
        match guise {
            Guise::Own => Self::Cluster(cluster.as_str().into()),
            Guise::Identity { name, .. } => Self::Identity(format!("{cluster}/{name}").into()),
        }
    }

    /// Which one.
    #[must_use]
    pub fn name(&self) -> &str {
        let (Self::Listener(name) | Self::Admin(name) | Self::Cluster(name) | Self::Identity(name)) = self;
        name
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.as_str(), self.name())
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Shelf(Mutex<BTreeMap<Side, Material>>);

#[derive(Clone, Debug)]
enum Material {
    Server(Arc<Server>),
    Client(Arc<Client>),
}

/// What a look at one side's files found.
#[derive(Debug)]
pub struct Look {
    /// Whose they are.
    pub side: Side,
    /// What became of them.
    pub reload: Result<Reload, TlsProblem>,
    /// Until when what is in force holds.
    pub expiries: Vec<Expiry>,
    /// What of it does not hold, or soon will not.
    pub warning: Option<TlsProblem>,
}

impl Shelf {
    /// The material of a side that clients come to, loaded; the same as before where it is there already.
    ///
    /// # Errors
    /// Which file is wrong, and how; what was there stays in force.
    pub fn server(&self, side: Side, tls: &Tls) -> Result<Arc<Server>, TlsProblem> {
        let there = self.0.lock().get(&side).cloned();
        if let Some(Material::Server(server)) = there {
            return server.become_as(tls).map(|_| server);
        }
        let server = Arc::new(Server::load(tls)?);
        self.0.lock().insert(side, Material::Server(Arc::clone(&server)));
        Ok(server)
    }

    /// What is [towards](Side::towards) a cluster; the same as before where it is there already, so that who holds it has what is new.
    ///
    /// # Errors
    /// Which file is wrong, and how; what was there stays in force.
    pub fn client(&self, side: Side, tls: &ClientTls) -> Result<Arc<Client>, TlsProblem> {
        let there = self.0.lock().get(&side).cloned();
        if let Some(Material::Client(client)) = there {
            return client.become_as(tls).map(|_| client);
        }
        let client = Arc::new(Client::load(tls)?);
        self.0.lock().insert(side, Material::Client(Arc::clone(&client)));
        Ok(client)
    }

    /// Whether that could be, without a change to what is there.
    ///
    /// # Errors
    /// Which file is wrong, and how.
    pub fn may_be_client(&self, side: &Side, tls: &ClientTls) -> Result<(), TlsProblem> {
        let there = self.0.lock().get(side).cloned();
        match there {
            Some(Material::Client(client)) => client.may_become(tls),
            _ => Client::load(tls).map(drop),
        }
    }

    /// Who it is of is gone, or speaks no TLS any more.
    pub fn forget(&self, side: &Side) {
        self.0.lock().remove(side);
    }

    /// Looks at all files again. Reads them; what has not changed is not set up again.
    pub fn look(&self) -> Vec<Look> {
        let all: Vec<_> = self.0.lock().iter().map(|(side, material)| (side.clone(), material.clone())).collect();
        all.into_iter().map(|(side, material)| material.look(side)).collect()
    }

    /// Where the files are, to be watched.
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        let all = self.0.lock();
        let files = all.values().flat_map(Material::files);
        files.filter_map(|file| file.parent().map(Path::to_owned)).collect()
    }
}

impl Material {
    fn look(&self, side: Side) -> Look {
        let (reload, expiries, lapsed, soon) = match self {
            Self::Server(server) => (server.reload(), server.expiries(), server.lapsed(), server.expiring(SOON)),
            Self::Client(client) => (client.reload(), client.expiries(), client.lapsed(), client.expiring(SOON)),
        };
        Look { side, reload, expiries, warning: lapsed.or(soon) }
    }

    fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Server(server) => server.settings().files(),
            Self::Client(client) => client.settings().files(),
        }
    }
}
