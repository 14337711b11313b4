//! Certificates of one run: an authority, and a server that it vouches for, in a folder. All ends are on 127.0.0.1.

use std::fs;
use std::io::Result as IoResult;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, IpAddr, Ipv4Addr, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::copy::Duplex;

const HERE: &str = "127.0.0.1";

/// Where they are.
pub(crate) struct Folder {
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Folder {
    pub(crate) fn at(folder: &Path) -> Self {
        let file = |name| folder.join(name);
        Self { ca: file("ca.pem"), certificate: file("server.pem"), key: file("server.key") }
    }

    /// Makes them.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let files = Self::at(folder);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = KeyPair::generate()?;
        fs::write(&files.ca, params.self_signed(&authority)?.pem())?;
        let key = KeyPair::generate()?;
        let server = CertificateParams::new([HERE.to_owned()])?.signed_by(&key, &Issuer::new(params, authority))?;
        fs::write(&files.certificate, server.pem())?;
        fs::write(&files.key, key.serialize_pem())?;
        Ok(files)
    }
}

/// Which sides of a copier are encrypted.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: Option<TlsAcceptor>,
    connector: Option<TlsConnector>,
}

impl Tls {
    pub(crate) fn read(folder: &Path, accepts: bool, connects: bool) -> Result<Self> {
        let files = Folder::at(folder);
        let acceptor = accepts.then(|| server(&files)).transpose()?.map(TlsAcceptor::from);
        let connector = connects.then(|| client(&files.ca)).transpose()?.map(TlsConnector::from);
        Ok(Self { acceptor, connector })
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> IoResult<Box<dyn Duplex>> {
        match &self.acceptor {
            Some(acceptor) => Ok(Box::new(acceptor.accept(stream).await?)),
            None => Ok(Box::new(stream)),
        }
    }

    pub(crate) async fn connect(&self, stream: TcpStream) -> IoResult<Box<dyn Duplex>> {
        match &self.connector {
            Some(connector) => Ok(Box::new(connector.connect(name(), stream).await?)),
            None => Ok(Box::new(stream)),
        }
    }
}

/// The name that the server is to bear.
pub(crate) fn name() -> ServerName<'static> {
    ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([127, 0, 0, 1])))
}

fn server(files: &Folder) -> Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)?.collect::<Result<Vec<_>, _>>()?;
    let config = ServerConfig::builder().with_no_client_auth();
    Ok(Arc::new(config.with_single_cert(chain, PrivateKeyDer::from_pem_file(&files.key)?)?))
}

/// Whom a client trusts; its sessions are resumed.
pub(crate) fn client(ca: &Path) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}
