//! Connections to the admin address, over TLS where the config says so. Everything about them is bounded, so that nobody who reaches
//! it can take the proxy's memory or file handles, nor, alone, keep probes and scrapes out.

use super::operator::Peer;
use crate::security::brake::network;
use crate::security::tls::Server;
use crate::session;
use crate::session::crowd::Crowd;
use crate::telemetry::Seldom;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// What a client of the admin address may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Connections at a time; more wait in the kernel's queue.
    pub(super) connections: usize,
    /// Of them from one address; more are closed at once.
    pub(super) of_address: usize,
    /// For a TLS handshake.
    pub(super) handshake: Duration,
    /// A request's line and headers together.
    pub(super) head_bytes: usize,
    /// For a request's head to come in whole, and so also for the next request of a kept connection.
    pub(super) head_wait: Duration,
    /// After this a connection ends with its current answer: one that is never read, or never idle, does not stay.
    pub(super) connection_life: Duration,
    /// For a current answer to be written once its connection is to end.
    pub(super) last_answer: Duration,
}

pub(super) const LIMITS: Limits = Limits {
    connections: 64,
    of_address: 32,
    handshake: Duration::from_secs(10),
    head_bytes: 16 * 1024,
    head_wait: Duration::from_secs(30),
    connection_life: Duration::from_secs(120),
    last_answer: Duration::from_secs(2),
};

/// Serves until `shutdown` resolves, then closes what is open and returns.
pub(super) async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    tls: Option<Arc<Server>>,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let (crowd, seldom) = (Arc::new(Crowd::default()), Seldom::new(Duration::from_secs(60)));
    let bounds = session::Limits {
        sessions: limits.connections,
        sessions_per_address: limits.of_address,
        ..session::Limits::default()
    };
    let (ending, end) = watch::channel(false);
    let accepting = async {
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, address)) => {
                    let Ok(admitted) = crowd.admit(network(address.ip()), &bounds) else { continue };
                    let served = connection(stream, address, tls.clone(), router.clone(), limits, end.clone());
                    tokio::spawn(async move {
                        served.await;
                        drop((place, admitted));
                    });
                }
                Err(error) => {
                    // Most often no file handle is left. It may pass, and must not become a busy loop.
                    if let Some(held_back) = seldom.pass(()) {
                        tracing::warn!(
                            %error, held_back,
                            "cannot accept admin connections, trying again; is the limit of open files reached?"
                        );
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    ending.send_replace(true);
    drop(listener);
    drop(end);
    if timeout(limits.last_answer, ending.closed()).await.is_err() {
        tracing::debug!("admin connections were cut at shutdown");
    }
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Arc<Server>>,
    router: Router,
    limits: Limits,
    mut end: watch::Receiver<bool>,
) {
    let Some(tls) = tls else {
        return requests(stream, Peer { address, certificate: None }, router, limits, end).await;
    };
    let shaken = tokio::select! {
        shaken = timeout(limits.handshake, shake(stream, &tls)) => shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        _ = end.wait_for(|ending| *ending) => return,
    };
    match shaken {
        Ok((stream, certificate)) => requests(stream, Peer { address, certificate }, router, limits, end).await,
        Err(error) => tracing::debug!(peer = %address, %error, "a TLS handshake at the admin address failed"),
    }
}

type Shaken = (tokio_rustls::server::TlsStream<TcpStream>, Option<Arc<str>>);

/// The name in its certificate is that of who comes, if it has shown one.
async fn shake(mut stream: TcpStream, tls: &Server) -> io::Result<Shaken> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first != [HANDSHAKE] {
        tell_of_tls(&mut stream).await?;
        return Err(io::Error::other("it does not speak TLS, and was told so"));
    }
    let stream = TlsAcceptor::from(tls.current()).accept(stream).await?;
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificate = tls.principal(shown).map_err(io::Error::other)?.map(Arc::from);
    Ok((stream, certificate))
}

/// A record of TLS that begins a handshake begins so, and no request of HTTP does.
const HANDSHAKE: u8 = 22;

/// Who calls by `http://` would take a broken connection for a Fishplate that is down.
async fn tell_of_tls(stream: &mut TcpStream) -> io::Result<()> {
    const TOLD: &str = "this admin address speaks TLS: call it by https://\n";
    let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close";
    stream.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{TOLD}", TOLD.len()).as_bytes()).await?;
    stream.shutdown().await?;
    // What is left unread would take the answer back.
    let rest = stream.take(LIMITS.head_bytes as u64);
    let _or_not = timeout(LIMITS.last_answer, copy(&mut { rest }, &mut sink())).await;
    Ok(())
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: Peer,
    router: Router,
    limits: Limits,
    mut end: watch::Receiver<bool>,
) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_wait)
        .max_header_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.layer(Extension(peer))));
    let mut served = pin!(served);
    let over = async {
        tokio::select! {
            () = sleep(limits.connection_life) => {}
            _ = end.wait_for(|ending| *ending) => {}
        }
    };
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = over => {
            served.as_mut().graceful_shutdown();
            timeout(limits.last_answer, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "an admin connection failed");
    }
}
