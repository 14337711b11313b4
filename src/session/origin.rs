//! Who a client is by its address: the peer of its connection, or whom a load balancer names in a header before the first byte
//! (PROXY protocol, version 2). The header is taken where the listener asks for it and nowhere else, and is required there: who
//! could leave it out or send one of its own would be whom it likes.

use crate::wire::proxy_protocol::{HEAD, NoHeader, Told, read, rest};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// Where the address of a listener's clients comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// It is the peer's.
    #[default]
    Peer,
    /// A header says it.
    Header,
}

/// Why it is not known who a client is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unknown {
    /// What came is no header.
    #[error("{0}")]
    NoHeader(#[from] NoHeader),
    /// Nothing that is whole came in time.
    #[error("no whole PROXY protocol header within {0:?}")]
    Late(Duration),
    /// It went.
    #[error("the connection ended within the PROXY protocol header: {0}")]
    Gone(io::Error),
    /// It went without a word, as one does who looks whether the port is open.
    #[error("the connection ended before its first byte")]
    Silent,
}

/// Whom the header names that a socket must begin with. Reads not one byte beyond it. The peer itself, where the header says so or names
/// nobody who has an address.
pub(super) async fn named(
    socket: &mut (impl AsyncRead + Unpin),
    peer: SocketAddr,
    within: Duration,
) -> Result<SocketAddr, Unknown> {
    let told = timeout(within, header(socket)).await.unwrap_or(Err(Unknown::Late(within)))?;
    Ok(match told {
        Told::Client(address) => address,
        Told::Itself | Told::Unnamed => peer,
    })
}

async fn header(socket: &mut (impl AsyncRead + Unpin)) -> Result<Told, Unknown> {
    let mut header = vec![0; HEAD];
    let mut filled = 0;
    // Looked at as it comes: who waits for our first byte, and sends a few, is told at once.
    while let Some(room) = header.get_mut(filled..).filter(|room| !room.is_empty()) {
        match socket.read(room).await.map_err(Unknown::Gone)? {
            0 if filled == 0 => return Err(Unknown::Silent),
            0 => return Err(Unknown::Gone(io::ErrorKind::UnexpectedEof.into())),
            more => filled += more,
        }
        let more = rest(header.get(..filled).unwrap_or_default())?.unwrap_or(0);
        if filled == HEAD {
            header.resize(HEAD + more, 0);
        }
    }
    Ok(read(&header)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::proxy_protocol::SIGNATURE;
    use tokio::io::AsyncWriteExt;

    const LONG: Duration = Duration::from_secs(20);

    fn header(command: u8, extensions: &[u8]) -> Vec<u8> {
        let length = u8::try_from(12 + extensions.len()).unwrap();
        let addresses = [192, 0, 2, 7, 10, 0, 0, 1, 0, 80, 0, 90];
        [&SIGNATURE[..], &[0x20 | command, 0x11, 0, length], &addresses, extensions].concat()
    }

    fn peer() -> SocketAddr {
        "10.0.0.9:1".parse().unwrap()
    }

    /// What comes of these bytes, each piece sent by itself, and what is left to be read behind it.
    async fn come(pieces: &[&[u8]]) -> (Result<SocketAddr, String>, Vec<u8>) {
        let (mut here, mut there) = tokio::io::duplex(1 << 16);
        let pieces: Vec<_> = pieces.iter().map(|piece| piece.to_vec()).collect();
        let sending = tokio::spawn(async move {
            for piece in pieces {
                there.write_all(&piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let named = named(&mut here, peer(), LONG).await.map_err(|unknown| unknown.to_string());
        sending.await.unwrap();
        let mut left = Vec::new();
        here.read_to_end(&mut left).await.unwrap();
        (named, left)
    }

    #[tokio::test]
    async fn a_header_is_read_and_not_a_byte_beyond_it_however_it_is_cut() {
        for extensions in [&[][..], &[0xea, 0, 2, 1, 7]] {
            let whole = [&header(1, extensions)[..], b"hello"].concat();
            for cut in 0..whole.len() {
                let (named, left) = come(&[&whole[..cut], &whole[cut..]]).await;
                assert_eq!((named, &left[..]), (Ok("192.0.2.7:80".parse().unwrap()), &b"hello"[..]), "{cut}");
            }
        }
        let bytes: Vec<_> = header(1, &[]).into_iter().map(|byte| [byte]).collect();
        let pieces: Vec<&[u8]> = bytes.iter().map(|byte| &byte[..]).collect();
        assert!(come(&pieces).await.0.is_ok());
    }

    #[tokio::test]
    async fn a_balancer_that_speaks_for_itself_is_the_peer() {
        assert_eq!(come(&[&header(0, &[])]).await.0, Ok(peer()));
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused_before_more_of_it_is_read() {
        let (named, left) = come(&[&[0, 0, 0, 30], &[0; 30]]).await;
        assert!(named.is_err_and(|why| why.contains("no PROXY protocol header")));
        assert_eq!(left.len(), 30);
        assert!(
            come(&[b"PROXY TCP4 192.0.2.7 10.0.0.1 80 90\r\n"]).await.0.is_err_and(|why| why.contains("version 1"))
        );
        assert!(come(&[&header(1, &[])[..20]]).await.0.is_err_and(|why| why.contains("ended within")));
        assert!(come(&[]).await.0.is_err_and(|why| why.contains("before its first byte")));
    }

    #[tokio::test]
    async fn who_does_not_say_in_time_is_not_waited_for() {
        let soon = Duration::from_millis(10);
        let (mut here, mut there) = tokio::io::duplex(64);
        there.write_all(&header(1, &[])[..20]).await.unwrap();
        assert!(matches!(named(&mut here, peer(), soon).await, Err(Unknown::Late(_))));
    }
}
