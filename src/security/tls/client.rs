//! TLS as links to a cluster's brokers speak it.

use super::expiry::Expiry;
use super::kept::{Kept, Settings};
use super::material::{Files, authorities, general, identity, system};
use super::problem::{TlsProblem, Trouble};
use super::{Part, provider, versions};
use crate::config::{ClientTls, Identity};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use std::path::PathBuf;
use std::sync::Arc;

/// So many brokers' sessions are remembered, to be resumed: each takes a few KiB.
const REMEMBERED: usize = 256;

/// Whom a cluster's brokers must be, and what they are shown. Shared by all links to the cluster; handshakes take what is in
/// force when they begin.
pub type Client = Kept<ClientTls>;

impl Client {
    /// Whose name the certificate of the broker at `host` must bear.
    ///
    /// # Errors
    /// Where it is none that a certificate can.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsProblem> {
        let loaded = self.now();
        name(loaded.from.server_name.as_deref().unwrap_or(host))
    }
}

/// A DNS name or an IP address.
fn name(text: &str) -> Result<ServerName<'static>, TlsProblem> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let bad = || TlsProblem::general(Trouble::BadName(text.to_owned()));
    ServerName::try_from(bare.to_owned()).map_err(|_| bad())
}

impl Settings for ClientTls {
    type Config = ClientConfig;

    fn file(&self, part: Part) -> Option<PathBuf> {
        match part {
            Part::Ca => self.ca.clone(),
            Part::Certificate => self.identity.as_ref().map(|identity| identity.certificate.clone()),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let both = |one: &Identity| [one.certificate.clone(), one.key.clone()];
        self.ca.iter().cloned().chain(self.identity.iter().flat_map(both)).collect()
    }

    fn set_up(&self, files: &Files) -> Result<(ClientConfig, Vec<Expiry>), TlsProblem> {
        let tls = self;
        if let Some(text) = &tls.server_name {
            let _name = name(text)?;
        }
        let mut expiries = Vec::new();
        let roots = match &tls.ca {
            Some(file) => {
                let (roots, all) = authorities(file, files)?;
                expiries.extend(Expiry::of_authorities(&all));
                roots
            }
            None => system()?,
        };
        let other = |error: rustls::Error| TlsProblem::general(Trouble::Other(general(&error)));
        let begun = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions(tls.min_version))
            .map_err(other)?
            .with_root_certificates(roots);
        let mut config = match &tls.identity {
            Some(own) => {
                let shown = identity(own, files)?;
                expiries.extend(Expiry::of_chain(&shown.cert));
                begun.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)))
            }
            None => begun.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(REMEMBERED);
        Ok((config, expiries))
    }
}
