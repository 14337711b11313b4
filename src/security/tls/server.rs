//! TLS as a listener speaks it.

use super::certificate::Certificate;
use super::expiry::{Expiry, now};
use super::material::{Seen, authorities, general, identity};
use super::problem::{TlsProblem, Trouble};
use super::survey::expiring;
use super::{Part, Reload, provider, versions};
use crate::config::{ClientAuth, ClientCertificates, PrincipalMapping, Tls};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use std::path::PathBuf;
use std::sync::Arc;

/// What a listener shows and asks for. Shared by all that accept for it; handshakes take what is in force when they begin.
#[derive(Debug)]
pub struct Server {
    now: ArcSwap<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    from: Tls,
    sum: u64,
    config: Arc<ServerConfig>,
    expiries: Vec<Expiry>,
}

impl Server {
    /// What the files say. Certificates whose time is over are taken: [`Server::lapsed`] tells.
    ///
    /// # Errors
    /// Which file is wrong, and how.
    pub fn load(tls: &Tls) -> Result<Self, TlsProblem> {
        Ok(Self { now: ArcSwap::from_pointee(Loaded::read(tls)?) })
    }

    /// For a handshake that begins.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.now.load().config)
    }

    /// What it was loaded by.
    pub(super) fn settings(&self) -> Tls {
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
        expiring(&loaded.expiries, days, |one| Some(file(&loaded.from, one)))
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
    pub fn become_as(&self, tls: &Tls) -> Result<Reload, TlsProblem> {
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

    /// Who a client is by the certificates that it has shown, its own first, and which rustls has verified. `None`: it has
    /// shown none.
    ///
    /// # Errors
    /// Its name, where no rule makes a principal of it: it is to be turned away.
    pub fn principal(&self, shown: &[CertificateDer<'_>]) -> Result<Option<String>, Nobody> {
        let Some(first) = shown.first() else { return Ok(None) };
        let name = Certificate::read(first).ok_or(Nobody { name: None })?.subject;
        let loaded = self.now.load();
        let mapping = loaded.from.clients.as_ref().map(|clients| &clients.principals);
        let principal = mapping.unwrap_or(&PrincipalMapping::default()).principal(name.as_str());
        principal.map(Some).ok_or_else(|| Nobody { name: Some(name.to_string()) })
    }
}

/// A client whose certificate makes no principal of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rule of `principal_mapping` makes a principal of {}", .name.as_deref().unwrap_or("a name that cannot be read"))]
pub struct Nobody {
    /// The name in its certificate, if it can be read.
    pub name: Option<String>,
}

/// What of it does not hold then.
fn lapsed(tls: &Tls, expiries: &[Expiry], now: i64) -> Option<TlsProblem> {
    expiries.iter().find(|one| !one.holds(now)).map(|one| one.lapsed(&file(tls, one), now))
}

/// The file that it stands in.
fn file(tls: &Tls, expiry: &Expiry) -> PathBuf {
    match (expiry.part, &tls.clients) {
        (Part::Ca, Some(clients)) => clients.ca.clone(),
        _ => tls.identity.certificate.clone(),
    }
}

impl Loaded {
    fn read(tls: &Tls) -> Result<Self, TlsProblem> {
        let mut seen = Seen::default();
        let shown = identity(&tls.identity, &mut seen)?;
        let mut expiries: Vec<_> = Expiry::of_chain(&shown.cert).into_iter().collect();
        let asked = tls.clients.as_ref().map(|clients| verifier(clients, &mut seen)).transpose()?;
        let other = |error: rustls::Error| TlsProblem::general(Trouble::Other(general(&error)));
        let begun = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions(tls.min_version))
            .map_err(other)?;
        let resumes = asked.is_none();
        let begun = match asked {
            Some((verifier, expiry)) => {
                expiries.extend(expiry);
                begun.with_client_cert_verifier(verifier)
            }
            None => begun.with_no_client_auth(),
        };
        let mut config = begun.with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        if resumes {
            // What a session needs is with the client, under a key of ours: no memory of ours.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(other)?;
        } else {
            // A certificate is looked at in every handshake: one that was resumed would outlive its CA and its time.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self { from: tls.clone(), sum: seen.sum(), config: Arc::new(config), expiries })
    }
}

/// Who looks at clients' certificates, and until when those who sign them hold.
fn verifier(
    clients: &ClientCertificates,
    seen: &mut Seen,
) -> Result<(Arc<dyn ClientCertVerifier>, Option<Expiry>), TlsProblem> {
    let (roots, all) = authorities(&clients.ca, seen)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = match clients.auth {
        ClientAuth::Required => verifier,
        ClientAuth::Optional => verifier.allow_unauthenticated(),
    };
    let verifier = verifier.build().map_err(|error| TlsProblem::of(&clients.ca, Trouble::Other(error.to_string())))?;
    Ok((verifier, Expiry::of_authorities(&all)))
}
