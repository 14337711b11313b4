//! Certificates for tests: an authority, and servers and clients that it vouches for, of any time. Keys are ECDSA P-256, and
//! are made anew in each run.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// When a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// As long as anybody looks.
    Good,
    /// It was over long ago.
    Expired,
    /// It begins in a far future.
    NotYet,
    /// Since an hour ago, and for so long from now.
    For(Duration),
}

/// One who signs certificates.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate that an authority signed, with its key.
pub struct Signed {
    /// The certificate, in PEM.
    pub certificate: String,
    /// Its private key, in PEM (PKCS#8).
    pub key: String,
    /// The certificate, in DER.
    pub der: Vec<u8>,
}

impl Authority {
    /// One that signs itself.
    pub fn new(name: &str) -> Self {
        Self::of(name, Validity::Good)
    }

    /// The same, for a time.
    pub fn of(name: &str, validity: Validity) -> Self {
        let mut params = params(named(name), validity);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Its own certificate, in PEM.
    pub fn certificate(&self) -> String {
        self.certificate.pem()
    }

    /// For a server that is reached by these names and addresses.
    pub fn server(&self, hosts: &[&str], validity: Validity) -> Signed {
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        let common = hosts.first().cloned().unwrap_or_default();
        let mut params = params(named(&common), validity);
        params.subject_alt_names = CertificateParams::new(hosts).expect("hosts").subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    /// For a client with this common name.
    pub fn client(&self, name: &str, validity: Validity) -> Signed {
        self.client_called(named(name), validity)
    }

    /// For a client with this name.
    pub fn client_called(&self, name: DistinguishedName, validity: Validity) -> Signed {
        let mut params = params(name, validity);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Signed {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Signed { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
    }
}

impl Signed {
    /// Puts both into files of a directory: `NAME.crt` and `NAME.key`.
    pub fn write(&self, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let write = |extension: &str, text: &str| {
            let path = directory.join(format!("{name}.{extension}"));
            std::fs::write(&path, text).expect("a file");
            path
        };
        (write("crt", &self.certificate), write("key", &self.key))
    }
}

/// A name with nothing but a common name.
fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn params(name: DistinguishedName, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    let (from, until) = match validity {
        Validity::Good => (date_time_ymd(2020, 1, 1), date_time_ymd(2100, 1, 1)),
        Validity::Expired => (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1)),
        Validity::NotYet => (date_time_ymd(2090, 1, 1), date_time_ymd(2100, 1, 1)),
        Validity::For(time) => {
            let now = SystemTime::now();
            ((now - Duration::from_secs(3_600)).into(), (now + time).into())
        }
    };
    (params.not_before, params.not_after) = (from, until);
    params
}
