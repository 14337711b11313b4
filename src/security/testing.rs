//! What tests of this room stand on: an issuer with its keys, its addresses, and certificates for them.

#[path = "../../tests/harness/endpoint.rs"]
pub(super) mod endpoint;
#[cfg(feature = "msk-iam")]
#[path = "../../tests/harness/iam.rs"]
pub(super) mod iam;
#[path = "../../tests/harness/issuer.rs"]
mod issuer;

pub(super) use issuer::{ALGORITHMS, Signer, jwks};

use super::tls::testing::{Authority, Validity};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server at `localhost`, and a file with whom to trust: whoever calls removes it.
pub(super) fn tls() -> (ServerConfig, PathBuf) {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let authority = Authority::new("an authority of tests");
    let signed = authority.server(&["localhost", "127.0.0.1"], Validity::Good);
    let chain = vec![CertificateDer::from(signed.der.clone())];
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let file = std::env::temp_dir().join(format!("fishplate-ca-{}-{number}.pem", std::process::id()));
    std::fs::write(&file, authority.certificate()).unwrap();
    (config, file)
}

/// The file alone, of somebody whom nobody knows.
pub(super) fn certificate_file() -> PathBuf {
    tls().1
}
