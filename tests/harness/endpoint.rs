//! What an issuer has on the network: an address with its keys, and one that gives tokens. Over loopback, with TLS or
//! without; says what a test wants, or nothing, and remembers what it was asked.

#![allow(unreachable_pub, reason = "also a module of the crate's own tests")]

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// What it says to whatever it is asked.
#[derive(Clone, Debug)]
pub enum Says {
    /// This status and body.
    This(u16, String),
    /// The same, after a while.
    Slowly(Duration, String),
    /// Nothing: the connection is closed.
    Nothing,
}

/// What it was asked: `METHOD PATH`, the header `Authorization`, the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub what: String,
    pub authorization: String,
    pub body: String,
}

/// See the module's text. Gone when it is dropped.
pub struct Endpoint {
    pub port: u16,
    told: Arc<Told>,
    task: AbortHandle,
}

struct Told {
    says: Mutex<Says>,
    asked: Mutex<Vec<Asked>>,
}

impl Endpoint {
    /// In the open.
    pub async fn start(says: Says) -> Self {
        Self::begin(says, None).await
    }

    /// Over TLS.
    pub async fn over_tls(says: Says, tls: rustls::ServerConfig) -> Self {
        Self::begin(says, Some(TlsAcceptor::from(Arc::new(tls)))).await
    }

    async fn begin(says: Says, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = Arc::new(Told { says: Mutex::new(says), asked: Mutex::default() });
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&told))).abort_handle();
        Self { port, told, task }
    }

    /// From now on.
    pub fn says(&self, says: Says) {
        *self.told.says.lock() = says;
    }

    /// All that it was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.told.asked.lock().clone()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, told: Arc<Told>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (tls, told) = (tls.clone(), Arc::clone(&told));
        tokio::spawn(async move {
            match tls {
                None => serve(socket, told).await,
                Some(tls) => {
                    if let Ok(socket) = tls.accept(socket).await {
                        serve(socket, told).await;
                    }
                }
            }
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(socket: S, told: Arc<Told>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&told)));
    // A client that hangs up is no error here.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn answer(request: Request<Incoming>, told: Arc<Told>) -> Result<Response<Full<Bytes>>, String> {
    let what = format!("{} {}", request.method(), request.uri());
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let authorization = header.unwrap_or_default().to_owned();
    let body = request.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    let asked = Asked { what, authorization, body: String::from_utf8_lossy(&body).into_owned() };
    told.asked.lock().push(asked);
    let says = told.says.lock().clone();
    let (status, body) = match says {
        Says::This(status, body) => (status, body),
        Says::Slowly(time, body) => {
            tokio::time::sleep(time).await;
            (200, body)
        }
        Says::Nothing => return Err("closed".to_owned()),
    };
    Ok(Response::builder().status(status).body(Full::new(body.into())).unwrap())
}
