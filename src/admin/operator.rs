//! Who may see secrets and change what runs: who is on this machine, as over `kubectl exec`, `kubectl port-forward` or ssh.
//! Probes and scrapes come from everywhere, and nobody logs in here. A browser on this machine is turned away: it may speak
//! for anybody's page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use std::net::{IpAddr, SocketAddr};

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Somebody who may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operator(pub(super) SocketAddr);

const ELSEWHERE: &str = "secrets are shown, and changes taken, on Fishplate's own machine only: call it there, for example with kubectl exec or over ssh\n";
const BY_NAME: &str = "secrets are shown, and changes taken, where Fishplate is called by localhost or by an address and not from a web page\n";

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let peer =
            parts.extensions.get::<Peer>().map(|peer| peer.0).filter(|peer| peer.ip().to_canonical().is_loopback());
        let Some(peer) = peer else { return Err((StatusCode::FORBIDDEN, ELSEWHERE)) };
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        if parts.headers.contains_key(header::ORIGIN) || !host.is_some_and(is_an_address) {
            return Err((StatusCode::FORBIDDEN, BY_NAME));
        }
        Ok(Self(peer))
    }
}

/// A name could be anybody's that was made to lead here.
fn is_an_address(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_nobodys_word() {
        for host in ["localhost", "localhost:9644", "127.0.0.1:9644", "[::1]:9644", "10.0.0.1"] {
            assert!(is_an_address(host), "{host}");
        }
        for host in ["", "example.com", "127.0.0.1.example.com:9644", "localhost.example:1", "a b"] {
            assert!(!is_an_address(host), "{host}");
        }
    }
}
