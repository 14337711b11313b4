//! The bytes of one socket, as they are or under TLS. Nothing here waits but who asks to: what the socket does not give or take now is
//! `WouldBlock`, with and without TLS, so that readers and outlets need not know which it is.
//!
//! Under TLS both directions share one state, and its lock is held while bytes are encrypted or decrypted. What the socket has not taken
//! of what is encrypted stays there, 32 KiB at most: whoever writes must ask whether all is out ([`Transport::flush`]).

use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use socket2::SockRef;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// A record of TLS with all that surrounds it: as much is read from the socket at once.
const RECORD: usize = (16 << 10) + 512;

/// So much may be encrypted that the socket has not taken.
const ENCRYPTED: usize = 32 << 10;

/// A socket, and perhaps TLS. See the module's text.
#[derive(Debug)]
pub struct Transport {
    socket: TcpStream,
    tls: Option<Box<Mutex<Tls>>>,
}

#[derive(Debug)]
struct Tls {
    connection: Connection,
    /// What the socket gave and the connection has not taken yet; holds no memory mostly.
    ahead: Vec<u8>,
    /// Nothing more comes.
    ended: bool,
}

impl Transport {
    /// Bytes as they are.
    #[must_use]
    pub fn plain(socket: TcpStream) -> Self {
        Self { socket, tls: None }
    }

    /// TLS, as who was connected to. Waits for the peer, for as long as it is polled.
    pub async fn accept(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
        connection.set_buffer_limit(Some(ENCRYPTED));
        Self::shake_hands(socket, connection.into()).await
    }

    /// TLS, as who connects to somebody of this name.
    pub async fn connect(socket: TcpStream, config: Arc<ClientConfig>, to: ServerName<'static>) -> io::Result<Self> {
        let mut connection = ClientConnection::new(config, to).map_err(io::Error::other)?;
        connection.set_buffer_limit(Some(ENCRYPTED));
        Self::shake_hands(socket, connection.into()).await
    }

    async fn shake_hands(socket: TcpStream, connection: Connection) -> io::Result<Self> {
        let tls = Tls { connection, ahead: Vec::new(), ended: false };
        let transport = Self { socket, tls: Some(Box::new(Mutex::new(tls))) };
        while let Some(interest) = transport.handshake_step()? {
            transport.socket.ready(interest).await?;
        }
        Ok(transport)
    }

    /// What the handshake waits for; `None` once it is done and told.
    fn handshake_step(&self) -> io::Result<Option<Interest>> {
        let Some(tls) = &self.tls else { return Ok(None) };
        let mut tls = tls.lock();
        loop {
            if let Err(error) = tls.write_out(&self.socket) {
                return would_block(error, Interest::WRITABLE);
            }
            if !tls.connection.is_handshaking() {
                return Ok(None);
            }
            match tls.take_in(&self.socket) {
                Ok(()) if tls.ended => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(()) => {}
                Err(error) => return would_block(error, Interest::READABLE),
            }
        }
    }

    /// The certificates that the peer has shown, its own first. None without TLS, and where it was not asked.
    #[must_use]
    pub fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        let Some(tls) = &self.tls else { return Vec::new() };
        let tls = tls.lock();
        tls.connection.peer_certificates().unwrap_or_default().iter().map(|one| one.clone().into_owned()).collect()
    }

    /// Whether bytes are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Waits until there may be more to read than the last [`Transport::read`] gave.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Waits until the socket may take more.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    /// One read of what there is; 0 at the end. A socket that gave less than there was room for was empty: where so asked, the next
    /// read waits until more comes, instead of a system call to be told so (as tokio's own reads do it).
    pub fn read(&self, into: &mut [IoSliceMut<'_>], then_waits: bool) -> io::Result<usize> {
        match &self.tls {
            Some(tls) => tls.lock().read(&self.socket, into),
            None => read_now(&self.socket, into, then_waits),
        }
    }

    /// Writes what is taken now of these pieces.
    pub fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return self.socket.try_write_vectored(pieces) };
        let mut tls = tls.lock();
        tls.write_out(&self.socket)?;
        let taken = tls.connection.writer().write_vectored(pieces)?;
        match tls.write_out(&self.socket) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    /// Whether all that was written is with the socket; else what is left is tried again.
    pub fn flush(&self) -> io::Result<()> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.lock().write_out(&self.socket))
    }

    /// Ends one direction or both. What is encrypted and not out is lost, and so is the farewell where the socket does not take it.
    /// That an end fails means that the peer was faster.
    pub fn shut(&self, how: Shutdown) {
        if let Some(tls) = &self.tls {
            let mut tls = tls.lock();
            tls.connection.send_close_notify();
            let _ = tls.write_out(&self.socket);
        }
        let _ = SockRef::from(&self.socket).shutdown(how);
    }

    /// Whether the peer has said that it sends no more, or is gone. Does not wait.
    pub async fn has_hung_up(&self) -> bool {
        let mut ready = pin!(self.socket.ready(Interest::READABLE));
        let ready = poll_fn(|cx| Poll::Ready(ready.as_mut().poll(cx))).await;
        matches!(ready, Poll::Ready(Ok(ready)) if ready.is_read_closed()) || matches!(ready, Poll::Ready(Err(_)))
    }

    /// Writes all of it, however long that takes.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let tried = match bytes {
                [] => self.flush(),
                _ => self.write(&[IoSlice::new(bytes)]).map(|taken| bytes = bytes.get(taken..).unwrap_or_default()),
            };
            match tried {
                Ok(()) if bytes.is_empty() && self.flush().is_ok() => return Ok(()),
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
    }
}

fn would_block(error: io::Error, waits_for: Interest) -> io::Result<Option<Interest>> {
    if error.kind() == io::ErrorKind::WouldBlock { Ok(Some(waits_for)) } else { Err(error) }
}

fn read_now(socket: &TcpStream, into: &mut [IoSliceMut<'_>], then_waits: bool) -> io::Result<usize> {
    let room: usize = into.iter().map(|part| part.len()).sum();
    let mut read = 0;
    let emptied = socket.try_io(Interest::READABLE, || {
        read = (&*SockRef::from(socket)).read_vectored(into)?;
        if then_waits && 0 < read && read < room { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match emptied {
        Err(error) if read == 0 => Err(error),
        _ => Ok(read),
    }
}

impl Tls {
    fn read(&mut self, socket: &TcpStream, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if into.iter().all(|part| part.is_empty()) {
            return Ok(0);
        }
        loop {
            let read = self.plain(into)?;
            if read > 0 || self.ended {
                return Ok(read);
            }
            self.take_in(socket)?;
        }
    }

    /// What is decrypted already.
    fn plain(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut read = 0;
        for part in into.iter_mut() {
            let mut rest = &mut **part;
            while !rest.is_empty() {
                match self.connection.reader().read(rest) {
                    Ok(0) => {
                        self.ended = true;
                        return Ok(read);
                    }
                    Ok(some) => {
                        read += some;
                        rest = rest.get_mut(some..).unwrap_or_default();
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(read),
                    // Some clients hang up without a farewell. What a frame lacks then is found out by who reads frames.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        self.ended = true;
                        return Ok(read);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(read)
    }

    /// One read from the socket, decrypted; of what came before first.
    fn take_in(&mut self, socket: &TcpStream) -> io::Result<()> {
        if !self.ahead.is_empty() {
            let ahead = std::mem::take(&mut self.ahead);
            return self.decrypt(socket, &ahead);
        }
        let mut bytes = [0; RECORD];
        let read = read_now(socket, &mut [IoSliceMut::new(&mut bytes)], true)?;
        self.decrypt(socket, bytes.get(..read).unwrap_or_default())
    }

    /// Nothing is the end of the stream.
    fn decrypt(&mut self, socket: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let taken = self.connection.read_tls(&mut bytes)?;
            let state = match self.connection.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    // The peer is told why.
                    let _ = self.write_out(socket);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            };
            self.ended |= taken == 0 && state.plaintext_bytes_to_read() == 0;
            if bytes.is_empty() || taken == 0 || state.plaintext_bytes_to_read() > 0 {
                self.ahead = bytes.to_vec();
                break;
            }
        }
        match self.write_out(socket) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes what is encrypted; `WouldBlock` where the socket does not take all of it.
    fn write_out(&mut self, socket: &TcpStream) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut Out(socket))?;
        }
        Ok(())
    }
}

/// The socket, for who writes without waiting.
struct Out<'s>(&'s TcpStream);

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::wire::frame::{FrameError, Reader};
    use crate::wire::outlet::Outlet;
    use crate::wire::pool::Pool;
    use bytes::Bytes;
    use proptest::prelude::*;
    use rustls::RootCertStore;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use std::time::Duration;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    /// A server's side and a client's side that trusts it.
    fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
        let own = rcgen::generate_simple_self_signed(["here".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let certificate = own.cert.der().clone();
        let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.clone()], key);
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        (Arc::new(server.unwrap()), Arc::new(client))
    }

    async fn sockets() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap());
        let (client, server) = tokio::join!(there, listener.accept());
        (client.unwrap(), server.unwrap().0)
    }

    async fn pair() -> (Transport, Transport) {
        let ((near, far), (server, client)) = (sockets().await, configs());
        let name = ServerName::try_from("here").unwrap();
        let (near, far) = tokio::join!(Transport::connect(near, client, name), Transport::accept(far, server));
        (near.unwrap(), far.unwrap())
    }

    async fn read_all(socket: Transport) -> (Vec<Bytes>, Result<(), FrameError>) {
        let mut reader = Reader::new(Pool::new(1 << 20), 64 << 20);
        let mut frames = Vec::new();
        loop {
            match reader.next(&socket).await {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, Ok(())),
                Err(error) => return (frames, Err(error)),
            }
        }
    }

    fn framed(body: &[u8]) -> Vec<Bytes> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        vec![Bytes::copy_from_slice(&length), Bytes::copy_from_slice(body)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn frames_survive_tls(
            sizes in prop::collection::vec(prop_oneof![0_usize..2000, 10_000_usize..80_000], 0..12),
        ) {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let bodies: Vec<Vec<u8>> = sizes.iter().map(|size| (0..*size).map(|place| u8::try_from(place * 31 % 251).unwrap()).collect()).collect();
            let frames = runtime.block_on(async {
                let (near, far) = pair().await;
                let reading = tokio::spawn(read_all(far));
                let outlet = Outlet::new(Arc::new(near));
                bodies.iter().for_each(|body| assert!(outlet.send(framed(body))));
                outlet.finish();
                let (frames, end) = reading.await.unwrap();
                end.unwrap();
                frames
            });
            prop_assert!(frames.iter().map(|frame| frame.to_vec()).eq(bodies));
        }
    }

    #[tokio::test]
    async fn what_the_socket_does_not_take_at_once_still_arrives() {
        let (near, far) = pair().await;
        let outlet = Outlet::new(Arc::new(near));
        let body = vec![7; 8 << 20];
        (0..3).for_each(|_| assert!(outlet.send(framed(&body))));
        assert!(outlet.backlog() > 0, "24 MB do not fit into socket buffers");
        outlet.finish();
        let (frames, end) = read_all(far).await;
        end.unwrap();
        assert!(frames.len() == 3 && frames.iter().all(|frame| *frame == body));
        outlet.room(0).await;
    }

    /// [L4]
    #[tokio::test]
    async fn l4_little_is_encrypted_that_the_socket_does_not_take() {
        let (near, _far) = pair().await;
        let piece = vec![1; 1 << 20];
        while near.write(&[IoSlice::new(&piece)]).is_ok() {}
        let mut tls = near.tls.as_ref().unwrap().lock();
        let mut left = Vec::new();
        while tls.connection.wants_write() {
            tls.connection.write_tls(&mut left).unwrap();
        }
        assert!(!left.is_empty() && left.len() <= ENCRYPTED + RECORD, "{}", left.len());
    }

    #[tokio::test]
    async fn both_directions_flow_at_once() {
        let (near, far) = pair().await;
        let (near, far) = (Arc::new(near), Arc::new(far));
        let body = vec![9; 4 << 20];
        let ways = [(Arc::clone(&near), Arc::clone(&far)), (far, near)].map(|(from, to)| {
            let outlet = Outlet::new(from);
            assert!(outlet.send(framed(&body)));
            let mut reader = Reader::new(Pool::new(0), 8 << 20);
            tokio::spawn(async move { (reader.next(&to).await, outlet) })
        });
        for way in ways {
            let (frame, _outlet) = timeout(Duration::from_secs(30), way).await.unwrap().unwrap();
            assert!(frame.unwrap().unwrap() == body);
        }
    }

    #[tokio::test]
    async fn who_says_farewell_has_ended_and_so_has_who_does_not() {
        for farewell in [true, false] {
            let (near, far) = pair().await;
            near.write_all(&framed(b"hello").concat()).await.unwrap();
            if farewell {
                near.shut(Shutdown::Write);
            } else {
                let _ = SockRef::from(&near.socket).shutdown(Shutdown::Both);
            }
            let (frames, end) = timeout(Duration::from_secs(10), read_all(far)).await.unwrap();
            end.unwrap();
            assert_eq!(frames, [Bytes::from_static(b"hello")]);
        }
    }

    #[tokio::test]
    async fn a_handshake_with_somebody_else_fails_on_both_sides() {
        let ((near, far), (server, client)) = (sockets().await, configs());
        let name = ServerName::try_from("elsewhere").unwrap();
        let (near, far) = tokio::join!(Transport::connect(near, client, name), Transport::accept(far, server));
        assert_eq!(near.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(far.unwrap_err().to_string().contains("alert"), "it is told why");
    }

    #[tokio::test]
    async fn who_does_not_speak_tls_is_refused() {
        let ((near, far), (server, _)) = (sockets().await, configs());
        near.try_write(&[0, 0, 0, 10, 0, 18, 0, 3, 0, 0, 0, 1, 255, 255]).unwrap();
        let accepted = timeout(Duration::from_secs(10), Transport::accept(far, server)).await.unwrap();
        assert_eq!(accepted.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_certificate_that_was_not_asked_for_is_not_there() {
        let (near, far) = pair().await;
        assert_eq!((near.peer_certificates().len(), far.peer_certificates().len()), (1, 0));
        assert!(near.is_encrypted());
    }
}
