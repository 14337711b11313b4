//! Accepts client connections.

use super::context::Context;
use super::crowd::{Admitted, Full};
use super::reader;
use crate::types::Principal;
use crate::wire::outlet::tune;
use crate::wire::transport::Transport;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// After a failed accept (no descriptors left, say): others get a chance to close something.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

async fn serve(context: Arc<Context>, socket: TcpStream, peer: SocketAddr, _admitted: Admitted) {
    let Some(tls) = context.tls() else { return reader::serve(context, Transport::plain(socket), peer, None).await };
    let within = context.limits().handshake;
    let shaken = timeout(within, Transport::accept(socket, tls.current())).await;
    match shaken.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, format!("not done within {within:?}"))))
    {
        Ok(socket) => match tls.principal(&socket.peer_certificates()) {
            // Where clients log in, that says who they are: as with Kafka's SASL_SSL.
            Ok(name) => {
                let principal = name.filter(|_| context.gate().is_none()).map(|name| Principal::user(&name));
                reader::serve(context, socket, peer, principal).await;
            }
            Err(nobody) => no_handshake(&context, peer, &io::Error::new(io::ErrorKind::InvalidData, nobody)),
        },
        Err(error) => no_handshake(&context, peer, &error),
    }
}

/// Who looks whether a port is open hangs up at once, and that is no news.
fn no_handshake(context: &Context, peer: SocketAddr, error: &io::Error) {
    let reason = match error.kind() {
        io::ErrorKind::InvalidData => "protocol",
        io::ErrorKind::TimedOut => "timeout",
        _ => "io",
    };
    context.telemetry.handshake_failed(reason);
    if reason == "io" {
        return tracing::debug!(%peer, %error, "a client went before its TLS handshake was done");
    }
    if let Some(held_back) = context.seldom.pass(format!("handshake {} {error}", peer.ip())) {
        tracing::warn!(
            %peer, reason = %error, held_back,
            "closing a client connection: its TLS handshake failed. Does the client speak TLS (security.protocol), trust the \
             listener's certificate, and show one of its own where `client_ca` asks for it?"
        );
    }
}

/// Its socket is closed when it is dropped.
fn refuse(context: &Context, peer: SocketAddr, full: Full) {
    context.telemetry.session_refused(full);
    if let Some(held_back) = context.seldom.pass(format!("full {full}")) {
        tracing::warn!(
            %peer, limit = full, held_back,
            "closing a client connection at once: as many are open as `limits` allows; it tries again. Raise the limit, \
             or find out who opens so many"
        );
    }
}

/// Serves every connection that comes, for as long as it is polled.
pub async fn accept_all(listener: TcpListener, context: Arc<Context>) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                if let Err(error) = tune(&socket) {
                    tracing::debug!(%peer, %error, "a client went before it was served");
                    continue;
                }
                match context.crowd.admit(peer.ip(), &context.limits()) {
                    Ok(admitted) => drop(tokio::spawn(serve(Arc::clone(&context), socket, peer, admitted))),
                    Err(full) => refuse(&context, peer, full),
                }
            }
            Err(error) => {
                if let Some(held_back) = context.seldom.pass("accept".to_owned()) {
                    tracing::warn!(
                        %error, held_back,
                        "cannot accept client connections, trying again; is the limit of open files reached?"
                    );
                }
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}
