//! The admin address, as the config says it.

use super::secret::Secret;
use super::tls::Tls;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The address for metrics, health and what operators ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Encryption, and whose certificates are asked for.
    pub tls: Option<Tls>,
    /// Who may see secrets and change what runs; `None`: who is on this machine.
    pub operators: Option<OperatorsFrom>,
}

impl Admin {
    /// Who is on another machine may reach it.
    #[must_use]
    pub fn is_reached_from_elsewhere(&self) -> bool {
        !self.bind.ip().to_canonical().is_loopback()
    }
}

/// Where operators' tokens are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorsFrom {
    /// In a file, which is read again when it changes.
    File(PathBuf),
    /// In the config, mostly by way of an environment variable; for as long as the process runs.
    Text(Secret),
}

impl OperatorsFrom {
    /// Where that is, without what is secret.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::File(file) => file.display().to_string(),
            Self::Text(_) => "in the config".to_owned(),
        }
    }
}
