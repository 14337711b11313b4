//! One request over HTTP/1.1 and TLS, for what an issuer of tokens is asked seldom: its keys, and tokens. A connection each,
//! everything bounded, no redirects. Asks over the network.

use super::tls::Client;
use crate::config::ClientTls;
use crate::config::url::Url;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// An issuer answers by then, from the first packet to the last.
const DEADLINE: Duration = Duration::from_secs(10);
/// Heads of answers may be so long.
const LARGEST_HEAD: usize = 64 << 10;

/// Asks.
#[derive(Clone, Debug)]
pub struct Https {
    tls: Arc<Client>,
}

/// Nothing came of it: what happened, to what. Never has anything of the request or the answer in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(Arc<str>);

impl NoAnswer {
    pub(super) fn new(what: impl Into<Arc<str>>) -> Self {
        Self(what.into())
    }
}

impl Https {
    /// Trusts whom this file of PEM names, or else whom the system trusts.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or there is nobody to trust.
    pub fn trusting(ca: Option<&Path>) -> Result<Self, NoAnswer> {
        let tls = ClientTls { ca: ca.map(Path::to_owned), ..ClientTls::default() };
        let tls = Client::load(&tls).map_err(|problem| NoAnswer::new(problem.to_string()))?;
        Ok(Self { tls: Arc::new(tls) })
    }

    /// Asks once, and takes an answer of at most so many bytes.
    ///
    /// # Errors
    ///
    /// No answer came in time, or one that is too long.
    pub async fn ask(&self, at: &Url, request: Request<Full<Bytes>>, most: usize) -> Result<Response<Bytes>, NoAnswer> {
        let asked = tokio::time::timeout(DEADLINE, self.connect_and_ask(at, request, most)).await;
        asked.unwrap_or_else(|_| Err(NoAnswer::new(format!("{} did not answer within {DEADLINE:?}", at.authority()))))
    }

    async fn connect_and_ask(
        &self,
        at: &Url,
        request: Request<Full<Bytes>>,
        most: usize,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let place = at.authority();
        let failed = |doing: &str, why: &dyn std::fmt::Display| NoAnswer::new(format!("{doing} {place}: {why}"));
        let socket =
            TcpStream::connect((&*at.host, at.port)).await.map_err(|error| failed("cannot connect to", &error))?;
        if !at.secure {
            return exchange(socket, at, request, most).await;
        }
        // The file may have changed since; what is wrong with it leaves what was in force.
        let _ = self.tls.reload();
        let name = self.tls.server_name(&at.host).map_err(|problem| failed("no TLS with", &problem))?;
        let connecting = TlsConnector::from(self.tls.current()).connect(name, socket);
        let socket = connecting.await.map_err(|error| failed("no TLS with", &error))?;
        exchange(socket, at, request, most).await
    }
}

async fn exchange<S>(
    socket: S,
    at: &Url,
    mut request: Request<Full<Bytes>>,
    most: usize,
) -> Result<Response<Bytes>, NoAnswer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let place = at.authority();
    let failed = |error: &dyn std::fmt::Display| NoAnswer::new(format!("no answer from {place}: {error}"));
    *request.uri_mut() = Uri::try_from(&*at.path).map_err(|error| failed(&error))?;
    request.headers_mut().insert(HOST, HeaderValue::try_from(&place).map_err(|error| failed(&error))?);
    request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static("fishplate"));
    let shaking = http1::Builder::new().max_buf_size(LARGEST_HEAD).handshake(TokioIo::new(socket));
    let (mut sender, connection) = shaking.await.map_err(|error| failed(&error))?;
    let answer = async {
        let (head, body) = sender.send_request(request).await.map_err(|error| failed(&error))?.into_parts();
        let body = Limited::new(body, most).collect().await.map_err(|error| failed(&error))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    tokio::pin!(answer, connection);
    let mut ended = false;
    loop {
        tokio::select! {
            answered = &mut answer => return answered,
            // What it had read is still there to be taken.
            _ = &mut connection, if !ended => ended = true,
        }
    }
}
