//! What the config says of TLS: which files, and what is asked of the other side. That the files are there and fit is not
//! known here: `security::tls` loads them. There is no key that switches verification off.

use std::path::PathBuf;
use std::sync::Arc;

use super::principals::PrincipalMapping;

/// TLS of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// What clients are shown.
    pub identity: Identity,
    /// What clients must show, if anything.
    pub clients: Option<ClientCertificates>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// TLS towards a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Who may have signed the brokers' certificates; `None`: whom the system trusts.
    pub ca: Option<PathBuf>,
    /// What brokers are shown that ask for a certificate.
    pub identity: Option<Identity>,
    /// The name that brokers' certificates must bear; `None`: the one that each is connected to by.
    pub server_name: Option<Arc<str>>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// A certificate with its key, as two files in PEM. They may be the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and behind it those that lead to its CA.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What clients must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Who may have signed their certificates.
    pub ca: PathBuf,
    /// Whether they may come without one.
    pub auth: ClientAuth,
    /// Who a client is by the name in its certificate.
    pub principals: PrincipalMapping,
}

/// Whether a client may come without a certificate. One that it shows must be right in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// It may not.
    #[default]
    Required,
    /// It may; it is nobody then, as far as TLS knows.
    Optional,
}

impl ClientAuth {
    /// As the config says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2, which all clients of the last ten years speak.
    #[default]
    Tls12,
    /// 1.3.
    Tls13,
}

impl TlsVersion {
    /// As the config says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}
