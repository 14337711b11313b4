//! TLS as links to a cluster's brokers speak it.

use super::expiry::{Expiry, now};
use super::material::{Seen, authorities, general, identity, system};
use super::problem::{TlsProblem, Trouble};
use super::survey::expiring;
use super::{Part, Reload, provider, versions};
use crate::config::ClientTls;
use arc_swap::ArcSwap;
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
#[derive(Debug)]
pub struct Client {
    now: ArcSwap<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    from: ClientTls,
    sum: u64,
    config: Arc<ClientConfig>,
    expiries: Vec<Expiry>,
}

impl Client {
    /// What the files say, or the system. Certificates whose time is over are taken: [`Client::lapsed`] tells.
    ///
    /// # Errors
    /// Which file is wrong, and how.
    pub fn load(tls: &ClientTls) -> Result<Self, TlsProblem> {
        Ok(Self { now: ArcSwap::from_pointee(Loaded::read(tls)?) })
    }

    /// For a handshake that begins.
    #[must_use]
    pub fn current(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.now.load().config)
    }

    /// Whose name the certificate of the broker at `host` must bear.
    ///
    /// # Errors
    /// Where it is none that a certificate can.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsProblem> {
        let loaded = self.now.load();
        name(loaded.from.server_name.as_deref().unwrap_or(host))
    }

    /// What it was loaded by.
    pub(super) fn settings(&self) -> ClientTls {
        self.now.load().from.clone()
    }

    /// Until when what is in force holds.
    #[must_use]
    pub fn expiries(&self) -> Vec<Expiry> {
        self.now.load().expiries.clone()
    }

    /// What does not hold at this moment, so that handshakes fail.
    #[must_use]
    pub fn lapsed(&self) -> Option<TlsProblem> {
        let loaded = self.now.load();
        lapsed(&loaded.from, &loaded.expiries, now())
    }

    /// What ends within so many days.
    #[must_use]
    pub fn expiring(&self, days: i64) -> Option<TlsProblem> {
        let loaded = self.now.load();
        expiring(&loaded.expiries, days, |one| file(&loaded.from, one))
    }

    /// Looks at the files again.
    ///
    /// # Errors
    /// What is wrong with them; what was in force stays so.
    pub fn reload(&self) -> Result<Reload, TlsProblem> {
        let from = self.now.load().from.clone();
        self.become_as(&from)
    }

    /// Takes other files, or the same ones again.
    ///
    /// # Errors
    /// What is wrong with them; what was in force stays so.
    pub fn become_as(&self, tls: &ClientTls) -> Result<Reload, TlsProblem> {
        let then = Loaded::read(tls)?;
        let is = self.now.load();
        if then.sum == is.sum && then.from == is.from {
            return Ok(Reload::Unchanged);
        }
        match lapsed(tls, &then.expiries, now()) {
            // Not worse than what is there.
            Some(problem) if lapsed(&is.from, &is.expiries, now()).is_none() => return Err(problem),
            _ => self.now.store(Arc::new(then)),
        }
        Ok(Reload::Changed)
    }
}

/// A DNS name or an IP address.
fn name(text: &str) -> Result<ServerName<'static>, TlsProblem> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let bad = || TlsProblem::general(Trouble::BadName(text.to_owned()));
    ServerName::try_from(bare.to_owned()).map_err(|_| bad())
}

/// What of it does not hold then.
fn lapsed(tls: &ClientTls, expiries: &[Expiry], now: i64) -> Option<TlsProblem> {
    let lapsed = expiries.iter().find(|one| !one.holds(now))?;
    Some(lapsed.lapsed(&file(tls, lapsed)?, now))
}

/// The file that it stands in.
fn file(tls: &ClientTls, expiry: &Expiry) -> Option<PathBuf> {
    match expiry.part {
        Part::Ca => tls.ca.clone(),
        Part::Certificate => tls.identity.as_ref().map(|identity| identity.certificate.clone()),
    }
}

impl Loaded {
    fn read(tls: &ClientTls) -> Result<Self, TlsProblem> {
        if let Some(text) = &tls.server_name {
            let _name = name(text)?;
        }
        let (mut seen, mut expiries) = (Seen::default(), Vec::new());
        let roots = match &tls.ca {
            Some(file) => {
                let (roots, all) = authorities(file, &mut seen)?;
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
            Some(files) => {
                let shown = identity(files, &mut seen)?;
                expiries.extend(Expiry::of_chain(&shown.cert));
                begun.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)))
            }
            None => begun.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(REMEMBERED);
        Ok(Self { from: tls.clone(), sum: seen.sum(), config: Arc::new(config), expiries })
    }
}
