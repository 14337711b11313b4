//! Certificates and keys out of files: what they hold, whether it fits, and why not.

use super::problem::{TlsProblem, Trouble};
use super::provider;
use crate::config::Identity;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A bundle of all authorities of the web has about 250 KiB.
const LARGEST: u64 = 4 << 20;

/// What files say, each read once: what is compared with before is what is set up.
#[derive(Debug)]
pub struct Files(BTreeMap<PathBuf, Result<Zeroizing<Vec<u8>>, TlsProblem>>);

impl Files {
    /// Reads them. One that cannot be read is a problem for who asks for it.
    pub(super) fn read(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(paths.into_iter().map(|path| (path.clone(), read(&path))).collect())
    }

    /// A sum over all of it: whether they say what they said.
    pub(super) fn sum(&self) -> u64 {
        let mut sum = DefaultHasher::new();
        for (path, read) in &self.0 {
            path.hash(&mut sum);
            match read {
                Ok(bytes) => bytes.hash(&mut sum),
                Err(problem) => problem.to_string().hash(&mut sum),
            }
        }
        sum.finish()
    }

    pub(super) fn of(&self, file: &Path) -> Result<&[u8], TlsProblem> {
        // All that a side names is read.
        let unread = || Err(TlsProblem::of(file, Trouble::Other("it was not read".to_owned())));
        self.0.get(file).map_or_else(unread, |read| read.as_ref().map(|bytes| &***bytes).map_err(Clone::clone))
    }
}

/// The bytes of a file, which may hold a key: they are wiped when they are done with.
fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, TlsProblem> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => TlsProblem::of(file, Trouble::Missing),
        io::ErrorKind::PermissionDenied => TlsProblem::of(file, Trouble::Unreadable("no permission".to_owned())),
        _ => TlsProblem::of(file, Trouble::Unreadable(error.to_string())),
    };
    let opened = File::open(file).map_err(unreadable)?;
    let about = opened.metadata().map_err(unreadable)?;
    if about.is_dir() {
        return Err(TlsProblem::of(file, Trouble::Unreadable("it is a directory".to_owned())));
    }
    // At once as large as it gets: a vector that grows leaves copies behind.
    let room = usize::try_from(about.len().min(LARGEST)).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    opened.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(TlsProblem::of(file, Trouble::Unreadable(format!("it is larger than {} MiB", LARGEST >> 20))));
    }
    Ok(bytes)
}

/// A section of a file in PEM: what it says it is, and what is in it.
type Section = (SectionKind, Zeroizing<Vec<u8>>);

/// What a file in PEM has in it, section by section.
fn sections(file: &Path, bytes: &[u8]) -> Result<Vec<Section>, TlsProblem> {
    let kind = match bytes {
        [0x30, 0x80..=0x84, ..] => Some("DER"),
        [0xfe, 0xed, 0xfe, 0xed, ..] => Some("a Java key store"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("text in UTF-16"),
        _ => None,
    };
    if let Some(kind) = kind {
        return Err(TlsProblem::of(file, Trouble::NotPem(kind)));
    }
    let damaged = |error: rustls::pki_types::pem::Error| TlsProblem::of(file, Trouble::Damaged(words(&error)));
    let all = <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes);
    all.map(|section| section.map(|(kind, der)| (kind, Zeroizing::new(der))).map_err(damaged)).collect()
}

/// What PEM is wrong for, without what stands in it.
fn words(error: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    match error {
        Error::MissingSectionEnd { .. } => "a section has no -----END line".to_owned(),
        Error::IllegalSectionStart { .. } => "a -----BEGIN line is not complete".to_owned(),
        Error::Base64Decode(_) => "what stands in a section is no base64".to_owned(),
        _ => "it is no PEM".to_owned(),
    }
}

/// In words for people.
fn called(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::Certificate => "certificates",
        SectionKind::PublicKey => "a public key",
        SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey => "a private key",
        SectionKind::Crl => "a list of revoked certificates",
        SectionKind::Csr => "a request for a certificate",
        _ => "something else",
    }
}

fn only(sections: &[(SectionKind, Zeroizing<Vec<u8>>)]) -> Option<String> {
    sections.first().map(|(kind, _)| called(*kind).to_owned())
}

/// All certificates of a file; at least one.
pub(super) fn certificates(file: &Path, files: &Files) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let sections = sections(file, files.of(file)?)?;
    let is_one = |(kind, _): &&(SectionKind, Zeroizing<Vec<u8>>)| *kind == SectionKind::Certificate;
    let found: Vec<_> = sections.iter().filter(is_one).map(|(_, der)| CertificateDer::from(der.to_vec())).collect();
    if found.is_empty() {
        return Err(TlsProblem::of(file, Trouble::NoCertificate(only(&sections))));
    }
    Ok(found)
}

/// The first private key of a file.
fn key(file: &Path, files: &Files) -> Result<PrivateKeyDer<'static>, TlsProblem> {
    let bytes = files.of(file)?;
    let has = |mark: &str| bytes.windows(mark.len()).any(|part| part == mark.as_bytes());
    if has("-----BEGIN ENCRYPTED PRIVATE KEY-----") || has("Proc-Type: 4,ENCRYPTED") {
        return Err(TlsProblem::of(file, Trouble::Encrypted));
    }
    let sections = sections(file, bytes)?;
    let found = sections.iter().find_map(|(kind, der)| {
        let der = der.to_vec();
        Some(match kind {
            SectionKind::PrivateKey => PrivatePkcs8KeyDer::from(der).into(),
            SectionKind::RsaPrivateKey => PrivatePkcs1KeyDer::from(der).into(),
            SectionKind::EcPrivateKey => PrivateSec1KeyDer::from(der).into(),
            _ => return None,
        })
    });
    found.ok_or_else(|| TlsProblem::of(file, Trouble::NoKey(only(&sections))))
}

/// A certificate with its key, which fits.
pub(super) fn identity(of: &Identity, files: &Files) -> Result<CertifiedKey, TlsProblem> {
    let chain = certificates(&of.certificate, files)?;
    let key = key(&of.key, files)?;
    let signs = provider()
        .key_provider
        .load_private_key(key)
        .map_err(|error| TlsProblem::of(&of.key, Trouble::BadKey(general(&error))))?;
    let fits = |chain: Vec<CertificateDer<'static>>| CertifiedKey::new(chain, signs.clone()).keys_match();
    let misfit = match fits(chain.clone()) {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => None,
        Err(Error::InconsistentKeys(_)) => {
            let place = chain.iter().position(|one| fits(vec![one.clone()]).is_ok());
            Some(match place {
                Some(place) => TlsProblem::of(&of.certificate, Trouble::Order(place + 1)),
                None => TlsProblem::of(&of.key, Trouble::OtherKey { certificate: of.certificate.clone() }),
            })
        }
        Err(error) => {
            Some(TlsProblem::of(&of.certificate, Trouble::BadCertificate { number: 1, why: general(&error) }))
        }
    };
    misfit.map_or_else(|| Ok(CertifiedKey::new(chain, signs.clone())), Err)
}

/// What rustls says, without what it was about.
pub(super) fn general(error: &Error) -> String {
    match error {
        Error::General(words) => words.clone(),
        Error::InvalidCertificate(why) => format!("{why:?}"),
        other => other.to_string(),
    }
}

/// Everybody who is trusted by a file.
pub(super) fn authorities(
    file: &Path,
    files: &Files,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsProblem> {
    let all = certificates(file, files)?;
    let mut roots = RootCertStore::empty();
    for (place, one) in all.iter().enumerate() {
        roots.add(one.clone()).map_err(|error| {
            TlsProblem::of(file, Trouble::BadCertificate { number: place + 1, why: general(&error) })
        })?;
    }
    Ok((roots, all))
}

/// Everybody whom the system trusts.
pub(super) fn system() -> Result<RootCertStore, TlsProblem> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _bad) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(TlsProblem::general(Trouble::NoRoots(why)));
    }
    Ok(roots)
}
