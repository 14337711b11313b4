//! Accepts client connections.

use super::context::Context;
use super::reader;
use crate::wire::outlet::tune;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// After a failed accept (no descriptors left, say): others get a chance to close something.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Serves every connection that comes, for as long as it is polled.
pub async fn accept_all(listener: TcpListener, context: Arc<Context>) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                if let Err(error) = tune(&socket) {
                    tracing::debug!(%peer, %error, "a client went before it was served");
                    continue;
                }
                tokio::spawn(reader::serve(Arc::clone(&context), socket, peer));
            }
            Err(error) => {
                if let Some(held_back) = context.seldom.pass("accept".to_owned()) {
                    tracing::warn!(%error, held_back, "cannot accept client connections; is the limit of open files reached?");
                }
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}
