//! The admin address, as the config says it.

use super::secret::TextFrom;
use super::tls::Tls;
use std::net::SocketAddr;

/// The address for metrics, health and what operators ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Encryption, and whose certificates are asked for.
    pub tls: Option<Tls>,
    /// Who may see secrets and change what runs; `None`: who is on this machine.
    pub operators: Option<TextFrom>,
}

impl Admin {
    /// Who is on another machine may reach it.
    #[must_use]
    pub fn is_reached_from_elsewhere(&self) -> bool {
        !self.bind.ip().to_canonical().is_loopback()
    }
}
