//! TLS but for the moving of bytes: certificates, keys and trust from files, as configurations of rustls that can be replaced
//! while connections live; and who a client is by its certificate. There is no way to switch verification off.

mod certificate;
mod client;
mod der;
mod expiry;
mod kept;
mod material;
mod name;
mod problem;
mod server;
mod shelf;
mod survey;
/// The same as trials use.
#[cfg(test)]
#[path = "../../../tests/harness/certificates.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "trials use more of it")]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use certificate::Certificate;
pub use client::Client;
pub use expiry::{Expiry, Part};
pub use kept::{Kept, Settings};
pub use material::Files;
pub use name::Name;
pub use problem::{TlsProblem, Trouble};
pub use server::{Nobody, Server};
pub use shelf::{Look, Shelf, Side};
pub use survey::{SOON, survey};

use crate::config::TlsVersion;
use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use std::sync::{Arc, LazyLock};

/// Where all cryptography comes from.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    Arc::clone(&PROVIDER)
}

/// What is spoken from a version up.
fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static NEWEST: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
    match min {
        TlsVersion::Tls12 => rustls::ALL_VERSIONS,
        TlsVersion::Tls13 => &NEWEST,
    }
}

/// What became of looking at files again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// They say what they said.
    Unchanged,
    /// New handshakes use what they say now; connections that live stay as they are.
    Changed,
}
