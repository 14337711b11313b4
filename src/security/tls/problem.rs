//! Why files are no material for TLS, for the person who put them there: which file, what is wrong in it, what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why something cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsProblem {
    /// The file; `None` where it is about no file.
    pub file: Option<PathBuf>,
    /// What is wrong.
    pub what: Trouble,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It is not there.
    #[error("does not exist")]
    Missing,
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is in another format.
    #[error("is {0} and not PEM")]
    NotPem(&'static str),
    /// What stands in it is no PEM.
    #[error("is damaged: {0}")]
    Damaged(String),
    /// There is none in it.
    #[error("has no certificate in it{}", .0.as_ref().map(|there| format!(", only {there}")).unwrap_or_default())]
    NoCertificate(Option<String>),
    /// There is none in it.
    #[error("has no private key in it{}", .0.as_ref().map(|there| format!(", only {there}")).unwrap_or_default())]
    NoKey(Option<String>),
    /// A password is on it.
    #[error("holds a key that is encrypted with a password")]
    Encrypted,
    /// Nobody can use it.
    #[error("holds a key that cannot be used: {0}")]
    BadKey(String),
    /// It belongs to another certificate.
    #[error("holds a key that does not fit the certificate in {}", .certificate.display())]
    OtherKey {
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// It belongs to another certificate of the same file.
    #[error("does not begin with the certificate of the key, which is its number {0}")]
    Order(usize),
    /// What it holds is no certificate of ours.
    #[error("holds a certificate (number {number} in it) that cannot be used: {why}")]
    BadCertificate {
        /// From 1.
        number: usize,
        /// In words.
        why: String,
    },
    /// Its time is over.
    #[error("holds a certificate that was good until {0}")]
    Expired(String),
    /// Its time is over soon.
    #[error("holds a certificate that is good until {day}: {left} days")]
    Soon {
        /// Until when.
        day: String,
        /// Whole days from now.
        left: i64,
    },
    /// Its time has not come.
    #[error("holds a certificate that is good from {0} on")]
    NotYet(String),
    /// Nobody is trusted.
    #[error("the system has no certificates of authorities{0}")]
    NoRoots(String),
    /// A name that no certificate can bear.
    #[error("`{0}` is no host name that a certificate could bear")]
    BadName(String),
    /// A mistake of ours, or of rustls.
    #[error("TLS cannot be set up: {0}")]
    Other(String),
}

impl TlsProblem {
    pub(crate) fn of(file: &Path, what: Trouble) -> Self {
        Self { file: Some(file.to_owned()), what }
    }

    pub(super) fn general(what: Trouble) -> Self {
        Self { file: None, what }
    }

    /// The file is not there: somewhere else it may be.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.what == Trouble::Missing
    }

    /// What to do.
    #[must_use]
    pub fn instead(&self) -> String {
        let words = match &self.what {
            Trouble::Missing => "put it there, or name another file",
            Trouble::Unreadable(_) => "let the user that Fishplate runs as read it",
            Trouble::NotPem("DER") => "make PEM of it: openssl x509 -inform der (of a key: openssl pkey -inform der)",
            Trouble::NotPem("a Java key store") => {
                "make PEM of it: keytool -importkeystore -deststoretype pkcs12, then openssl pkcs12 -nodes"
            }
            Trouble::NotPem(_) | Trouble::Damaged(_) => {
                "name a file in PEM: text with -----BEGIN CERTIFICATE----- or -----BEGIN PRIVATE KEY----- in it"
            }
            Trouble::NoCertificate(_) => "name the file with -----BEGIN CERTIFICATE----- in it",
            Trouble::NoKey(_) => "name the file with -----BEGIN PRIVATE KEY----- in it",
            Trouble::Encrypted => "take the password off (openssl pkey), and let nobody else read the file",
            Trouble::BadKey(_) => "use RSA of 2048 to 8192 bits, ECDSA P-256 or P-384, or Ed25519",
            Trouble::OtherKey { .. } => "name the key that the certificate was made with",
            Trouble::Order(_) => "put the certificate first, and those of its authorities behind it",
            Trouble::BadCertificate { .. } => "make it anew, as X.509 version 3",
            Trouble::Expired(_) | Trouble::Soon { .. } => "renew it",
            Trouble::NotYet(_) => "wait, or set the clock right",
            Trouble::NoRoots(_) => {
                "install the system's CA certificates (ca-certificates), or name the cluster's own with `ca`"
            }
            Trouble::BadName(_) => "write a DNS name or an IP address, without a port",
            Trouble::Other(_) => "please report it",
        };
        words.to_owned()
    }
}

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{} {}", file.display(), self.what),
            None => self.what.fmt(f),
        }
    }
}

impl std::error::Error for TlsProblem {}
