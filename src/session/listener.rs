//! Accepts client connections.

use super::context::Context;
use super::crowd::{Admitted, Full};
use super::origin::{self, Origin, Unknown};
use super::reader;
use crate::security::tls::{Nobody, Server};
use crate::telemetry::AUDIT;
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
        Ok(socket) => match shown(&context, tls, &socket) {
            Ok(principal) => reader::serve(context, socket, peer, principal).await,
            Err(nobody) => turn_away(&context, peer, &nobody),
        },
        Err(error) => no_handshake(&context, peer, &error),
    }
}

/// Who a client is by its certificate. Where clients log in, that alone counts, as with Kafka.
fn shown(context: &Context, tls: &Server, socket: &Transport) -> Result<Option<Principal>, Nobody> {
    if context.gate().is_some() {
        return Ok(None);
    }
    Ok(tls.principal(&socket.peer_certificates())?.map(|name| Principal::user(&name)))
}

/// Its socket is closed when it is dropped.
fn turn_away(context: &Context, peer: SocketAddr, nobody: &Nobody) {
    context.telemetry.handshake_failed("principal");
    if let Some(held_back) = context.seldom.pass(format!("nobody {}", peer.ip())) {
        tracing::warn!(
            target: AUDIT, %peer, reason = %nobody, held_back,
            "closing a client connection: its certificate is good and makes nobody of it. Add a rule, or DEFAULT as the last one"
        );
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

/// Serves a client that a load balancer speaks for, once it has said for whom.
async fn introduce(context: Arc<Context>, mut socket: TcpStream, balancer: SocketAddr, admitted: Admitted) {
    let limits = context.limits();
    let peer = match origin::named(&mut socket, balancer, limits.handshake).await {
        Ok(peer) => peer,
        Err(unknown) => return stay_unknown(&context, balancer, &unknown),
    };
    tracing::debug!(%peer, %balancer, "a load balancer speaks for a client");
    match admitted.of(peer.ip(), &limits) {
        Ok(admitted) => serve(context, socket, peer, admitted).await,
        Err(full) => refuse(&context, peer, full),
    }
}

/// Its socket is closed when it is dropped.
fn stay_unknown(context: &Context, peer: SocketAddr, why: &Unknown) {
    if let Unknown::Silent | Unknown::Gone(_) = why {
        return tracing::debug!(%peer, reason = %why, "nobody was named");
    }
    context.telemetry.session_refused("proxy_protocol");
    if let Some(held_back) = context.seldom.pass(format!("proxy {} {why}", peer.ip())) {
        tracing::warn!(
            %peer, reason = %why, held_back,
            "closing a client connection: this listener asks for the PROXY protocol (`proxy_protocol: required`). Connect through \
             the load balancer and let it send version 2, or leave the key out"
        );
    }
}

/// Admits who is known, and who will be; serves both, elsewhere.
fn welcome(context: &Arc<Context>, socket: TcpStream, peer: SocketAddr) {
    let (of, limits) = (Arc::clone(context), context.limits());
    let admitted = match context.origin() {
        Origin::Peer => context.crowd.admit(peer.ip(), &limits),
        Origin::Header => context.crowd.admit_somebody(&limits),
    };
    match (admitted, context.origin()) {
        (Ok(admitted), Origin::Peer) => drop(tokio::spawn(serve(of, socket, peer, admitted))),
        (Ok(admitted), Origin::Header) => drop(tokio::spawn(introduce(of, socket, peer, admitted))),
        (Err(full), _) => refuse(context, peer, full),
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
                welcome(&context, socket, peer);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        ClientAuth, ClientCertificates, ClientTls, Config, Identity, Nodes, PrincipalMapping, Tls, TlsVersion,
    };
    use crate::placement::Front;
    use crate::placement::build::tests::TWO;
    use crate::placement::task;
    use crate::policy::rulings::Rulings;
    use crate::security::tls::Client;
    use crate::security::tls::testing::{Authority, Signed, Validity};
    use crate::session::{Limits, Session};
    use crate::telemetry::Telemetry;
    use crate::types::{HostPort, View};
    use crate::upstream::connect::Shared;
    use crate::wire::codec::encode_request;
    use crate::wire::proxy_protocol::SIGNATURE;
    use kafka_protocol::messages::{ApiKey, ApiVersionsRequest};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{sleep, timeout};

    /// A listener with this origin, on clusters of which nothing was heard.
    struct Stage {
        context: Arc<Context>,
        address: SocketAddr,
    }

    impl Stage {
        async fn new(origin: Origin, limits: Limits) -> Self {
            let config = Arc::new(Config::from_text("two.yaml", TWO).unwrap());
            let (current, telemetry) = (task::start(config, &[]), Arc::new(Telemetry::new().unwrap()));
            let front = Front { nodes: Nodes::All(View::Brokers), ..Front::plain(HostPort::new("h", 1)) };
            let rulings = Rulings::new(&telemetry);
            let shared = Shared::new(0, 1 << 20);
            let context = Context::new(current, Vec::new(), telemetry, rulings, front, shared, limits);
            context.told_by(origin);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            drop(tokio::spawn(accept_all(listener, Arc::clone(&context))));
            Self { context, address }
        }

        async fn send(&self, bytes: &[u8]) -> TcpStream {
            let mut socket = TcpStream::connect(self.address).await.unwrap();
            socket.write_all(bytes).await.unwrap();
            socket
        }

        fn refused(&self, limit: &str) -> Option<f64> {
            self.context.telemetry.shown("fishplate_sessions_refused_total", &[("limit", limit)])
        }

        fn sessions(&self) -> Vec<Arc<Session>> {
            self.context.sessions.iter().map(|entry| Arc::clone(entry.value())).collect()
        }
    }

    /// For a client of this address, port 80.
    fn header(client: [u8; 4]) -> Vec<u8> {
        [&SIGNATURE[..], &[0x21, 0x11, 0, 12], &client, &[10, 0, 0, 1, 0, 80, 0, 90]].concat()
    }

    fn hello() -> Vec<u8> {
        encode_request(ApiKey::ApiVersions, 3, 1, None, &ApiVersionsRequest::default(), &[]).unwrap().concat()
    }

    async fn is_answered(socket: &mut TcpStream) -> bool {
        let mut length = [0; 4];
        timeout(Duration::from_secs(20), socket.read_exact(&mut length)).await.unwrap().is_ok()
    }

    #[tokio::test]
    async fn a_client_behind_a_balancer_is_who_its_header_says() {
        let stage = Stage::new(Origin::Header, Limits { sessions_per_address: 1, ..Limits::default() }).await;
        let mut first = stage.send(&[header([192, 0, 2, 7]), hello()].concat()).await;
        assert!(is_answered(&mut first).await);
        assert_eq!(stage.sessions()[0].peer, "192.0.2.7:80".parse().unwrap());
        // It is the client that is counted, and not the balancer
        let mut again = stage.send(&[header([192, 0, 2, 7]), hello()].concat()).await;
        assert!(!is_answered(&mut again).await);
        assert_eq!(stage.refused("sessions_per_address"), Some(1.0));
        let mut other = stage.send(&[header([192, 0, 2, 8]), hello()].concat()).await;
        assert!(is_answered(&mut other).await);
    }

    #[tokio::test]
    async fn who_comes_past_the_balancer_is_turned_away() {
        let stage = Stage::new(Origin::Header, Limits::default()).await;
        for bytes in
            [hello(), b"PROXY TCP4 192.0.2.7 10.0.0.1 80 90\r\n".to_vec(), b"\x16\x03\x01\x02\x00\x01".to_vec()]
        {
            let mut socket = stage.send(&bytes).await;
            assert!(!is_answered(&mut socket).await);
        }
        assert_eq!(stage.refused("proxy_protocol"), Some(3.0));
        // Who only looks whether the port is open is no news
        drop(stage.send(b"").await);
        assert!(stage.sessions().is_empty());
    }

    #[tokio::test]
    async fn who_does_not_say_whom_it_speaks_for_is_not_waited_for() {
        let limits = Limits { handshake: Duration::from_millis(20), sessions: 1, ..Limits::default() };
        let stage = Stage::new(Origin::Header, limits).await;
        let mut slow = stage.send(&header([192, 0, 2, 7])[..20]).await;
        assert!(!is_answered(&mut slow).await);
        assert_eq!(stage.refused("proxy_protocol"), Some(1.0));
        // And its place is free again
        while !is_answered(&mut stage.send(&[header([192, 0, 2, 7]), hello()].concat()).await).await {
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn tls_begins_behind_the_header() {
        let directory = std::env::temp_dir().join(format!("fishplate-listener-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let authority = Authority::new("Test CA");
        let (certificate, key) = authority.server(&["kafka.example"], Validity::Good).write(&directory, "server");
        std::fs::write(directory.join("ca.crt"), authority.certificate()).unwrap();
        let identity = Identity { certificate, key };
        let tls = Tls { identity, clients: None, min_version: TlsVersion::Tls13 };
        let client = Client::load(&ClientTls { ca: Some(directory.join("ca.crt")), ..ClientTls::default() }).unwrap();
        let stage = Stage::new(Origin::Header, Limits::default()).await;
        stage.context.over_tls(Arc::new(Server::load(&tls).unwrap()));
        let socket = stage.send(&header([192, 0, 2, 7])).await;
        let socket =
            Transport::connect(socket, client.current(), client.server_name("kafka.example").unwrap()).await.unwrap();
        socket.write_all(&hello()).await.unwrap();
        while stage.context.telemetry.shown("fishplate_requests_total", &[("api", "ApiVersions")]) != Some(1.0) {
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(stage.sessions()[0].peer, "192.0.2.7:80".parse().unwrap());
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[tokio::test]
    async fn a_client_is_who_its_certificate_says_or_is_turned_away() {
        let directory = std::env::temp_dir().join(format!("fishplate-listener-mtls-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let authority = Authority::new("Test CA");
        let ca = directory.join("ca.crt");
        std::fs::write(&ca, authority.certificate()).unwrap();
        let identity = |signed: Signed, name: &str| {
            let (certificate, key) = signed.write(&directory, name);
            Identity { certificate, key }
        };
        let principals = PrincipalMapping::parse(["RULE:^CN=(d.*)$/$1/U"]).unwrap();
        let tls = Tls {
            identity: identity(authority.server(&["kafka.example"], Validity::Good), "server"),
            clients: Some(ClientCertificates { ca: ca.clone(), auth: ClientAuth::Required, principals }),
            min_version: TlsVersion::Tls12,
        };
        let stage = Stage::new(Origin::Peer, Limits::default()).await;
        stage.context.over_tls(Arc::new(Server::load(&tls).unwrap()));
        let connect = async |name: &str| {
            let shown = identity(authority.client(name, Validity::Good), name);
            let tls = ClientTls { ca: Some(ca.clone()), identity: Some(shown), ..ClientTls::default() };
            let client = Client::load(&tls).unwrap();
            let to = client.server_name("kafka.example").unwrap();
            Transport::connect(stage.send(b"").await, client.current(), to).await.unwrap()
        };
        let _duke = connect("duke").await;
        while stage.sessions().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(stage.sessions()[0].principal(), Principal::user("DUKE"));
        let _mary = connect("mary").await;
        let failed = || stage.context.telemetry.shown("fishplate_handshakes_failed_total", &[("reason", "principal")]);
        while failed() != Some(1.0) {
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(stage.sessions().len(), 1);
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[tokio::test]
    async fn where_nobody_asks_for_a_header_it_is_garbage() {
        let stage = Stage::new(Origin::Peer, Limits::default()).await;
        let mut socket = stage.send(&[header([192, 0, 2, 7]), hello()].concat()).await;
        assert!(!is_answered(&mut socket).await);
        let closed = stage.context.telemetry.shown("fishplate_sessions_closed_total", &[("reason", "protocol")]);
        assert_eq!(closed, Some(1.0));
    }
}
