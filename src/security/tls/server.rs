//! TLS as a listener speaks it.

use super::certificate::Certificate;
use super::expiry::Expiry;
use super::kept::{Kept, Settings};
use super::material::{Files, authorities, general, identity};
use super::problem::{TlsProblem, Trouble};
use super::{Part, provider, versions};
use crate::config::{ClientAuth, ClientCertificates, Identity, PrincipalMapping, Tls};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use std::path::PathBuf;
use std::sync::Arc;

/// What a listener shows and asks for. Shared by all that accept for it; handshakes take what is in force when they begin.
pub type Server = Kept<Tls>;

impl Server {
    /// Who a client is by the certificates that it has shown, its own first, and which rustls has verified. `None`: it has
    /// shown none.
    ///
    /// # Errors
    /// Its name, where no rule makes a principal of it: it is to be turned away.
    pub fn principal(&self, shown: &[CertificateDer<'_>]) -> Result<Option<String>, Nobody> {
        let Some(first) = shown.first() else { return Ok(None) };
        let name = Certificate::read(first).ok_or(Nobody { name: None })?.subject;
        let loaded = self.now();
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

impl Settings for Tls {
    type Config = ServerConfig;

    fn file(&self, part: Part) -> Option<PathBuf> {
        match (part, &self.clients) {
            (Part::Ca, Some(clients)) => Some(clients.ca.clone()),
            _ => Some(self.identity.certificate.clone()),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let Identity { certificate, key } = self.identity.clone();
        [certificate, key].into_iter().chain(self.clients.iter().map(|clients| clients.ca.clone())).collect()
    }

    fn set_up(&self, files: &Files) -> Result<(ServerConfig, Vec<Expiry>), TlsProblem> {
        let tls = self;
        let shown = identity(&tls.identity, files)?;
        let mut expiries: Vec<_> = Expiry::of_chain(&shown.cert).into_iter().collect();
        let asked = tls.clients.as_ref().map(|clients| verifier(clients, files)).transpose()?;
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
        Ok((config, expiries))
    }
}

/// Who looks at clients' certificates, and until when those who sign them hold.
fn verifier(
    clients: &ClientCertificates,
    files: &Files,
) -> Result<(Arc<dyn ClientCertVerifier>, Option<Expiry>), TlsProblem> {
    let (roots, all) = authorities(&clients.ca, files)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = match clients.auth {
        ClientAuth::Required => verifier,
        ClientAuth::Optional => verifier.allow_unauthenticated(),
    };
    let verifier = verifier.build().map_err(|error| TlsProblem::of(&clients.ca, Trouble::Other(error.to_string())))?;
    Ok((verifier, Expiry::of_authorities(&all)))
}
