//! The header of the PROXY protocol, version 2: who the client is, told by a load balancer before the client's first byte.
//! <https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>. Version 1, a line of text, is refused: what one port takes is
//! one thing. Pure; nothing that does not fit is believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What every header begins with. It is no Kafka request: a length of 218,762,506 bytes is more than any may have.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version with command, family, and how much follows.
pub const HEAD: usize = 16;
/// The addresses of AF_UNIX take 216 bytes; the rest is room for a few hundred extensions. AWS sends a few dozen bytes.
pub const LONGEST: usize = 4096;

/// The extension that is a sum over the header.
const CRC32C: u8 = 0x03;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The balancer speaks for itself, as when it looks whether we live: the peer is the peer.
    Itself,
    /// It speaks for this client.
    Client(SocketAddr),
    /// It speaks for a client without such an address.
    Unnamed,
}

/// Why bytes are no such header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHeader {
    /// It begins otherwise: somebody who is no balancer.
    #[error("no PROXY protocol header: whoever connected is no load balancer, or one that does not send it")]
    Other,
    /// The text of version 1.
    #[error("a PROXY protocol header of version 1: let the load balancer send version 2")]
    First,
    /// A version, command or family that there is not.
    #[error("a PROXY protocol header of an unknown version, command or family")]
    Unknown,
    /// It ends before its addresses or extensions do.
    #[error("a PROXY protocol header that is cut short in itself")]
    Short,
    /// It is longer than any that means well.
    #[error("a PROXY protocol header of more than {LONGEST} bytes")]
    Long,
    /// Its sum is of another header.
    #[error("a damaged PROXY protocol header: its CRC32C does not fit")]
    Damaged,
}

/// How many bytes follow these first ones; an error as soon as they cannot be a header's. `None`: too few to say.
///
/// # Errors
/// Where no header begins so.
pub fn rest(first: &[u8]) -> Result<Option<usize>, NoHeader> {
    let same = first.iter().zip(&SIGNATURE).take_while(|(one, other)| one == other).count();
    if same < first.len().min(SIGNATURE.len()) {
        let text = b"PROXY ";
        let is_first = first.iter().zip(text).all(|(one, other)| one == other);
        return Err(if is_first { NoHeader::First } else { NoHeader::Other });
    }
    let Some(&[high, low]) = first.get(14..HEAD) else { return Ok(None) };
    let rest = usize::from(u16::from_be_bytes([high, low]));
    if HEAD + rest > LONGEST { Err(NoHeader::Long) } else { Ok(Some(rest)) }
}

/// What a whole header says.
///
/// # Errors
/// Where it is none.
pub fn read(header: &[u8]) -> Result<Told, NoHeader> {
    let rest = rest(header)?.ok_or(NoHeader::Short)?;
    let body = header.get(HEAD..HEAD + rest).ok_or(NoHeader::Short)?;
    let (&[command, family], Some(header)) = (header.get(12..14).ok_or(NoHeader::Short)?, header.get(..HEAD + rest))
    else {
        return Err(NoHeader::Short);
    };
    if command >> 4 != 2 {
        return Err(NoHeader::Unknown);
    }
    match command & 0x0f {
        // Whatever else it has is not to be looked at.
        LOCAL => return Ok(Told::Itself),
        PROXY => {}
        _ => return Err(NoHeader::Unknown),
    }
    let (told, extensions) = client(family, body)?;
    sum_fits(header, extensions)?;
    Ok(told)
}

/// Whose address it has, and what is behind the addresses.
fn client(family: u8, body: &[u8]) -> Result<(Told, &[u8]), NoHeader> {
    let behind = |length: usize| body.get(length..).ok_or(NoHeader::Short);
    let told = match family {
        // TCP over IPv4: two addresses and two ports, the client's first of each.
        0x11 => {
            let extensions = behind(12)?;
            let &[a, b, c, d, _, _, _, _, high, low, ..] = body else { return Err(NoHeader::Short) };
            return Ok((named(Ipv4Addr::new(a, b, c, d).into(), [high, low]), extensions));
        }
        0x21 => {
            let extensions = behind(36)?;
            let address: [u8; 16] = body.get(..16).and_then(|bytes| bytes.try_into().ok()).ok_or(NoHeader::Short)?;
            let &[high, low] = body.get(32..34).ok_or(NoHeader::Short)? else { return Err(NoHeader::Short) };
            return Ok((named(Ipv6Addr::from(address).to_canonical(), [high, low]), extensions));
        }
        // Unspecified: nothing is said of what follows.
        0x00 => return Ok((Told::Unnamed, &[])),
        // A socket in the file system.
        0x31 => behind(216)?,
        _ => return Err(NoHeader::Unknown),
    };
    Ok((Told::Unnamed, told))
}

fn named(address: IpAddr, port: [u8; 2]) -> Told {
    Told::Client(SocketAddr::new(address, u16::from_be_bytes(port)))
}

/// Walks the extensions: each must end where it says, and a sum be the header's.
fn sum_fits(header: &[u8], extensions: &[u8]) -> Result<(), NoHeader> {
    let mut rest = extensions;
    while let Some((&kind, behind)) = rest.split_first() {
        let (length, behind) = behind.split_at_checked(2).ok_or(NoHeader::Short)?;
        let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let (value, behind) = behind.split_at_checked(length).ok_or(NoHeader::Short)?;
        if kind == CRC32C {
            let told: [u8; 4] = value.try_into().map_err(|_| NoHeader::Damaged)?;
            // As if its own four bytes were zero.
            let at = header.len() - behind.len() - value.len();
            let before = crc32c::crc32c(header.get(..at).unwrap_or_default());
            let with = crc32c::crc32c_append(before, &[0; 4]);
            if crc32c::crc32c_append(with, behind) != u32::from_be_bytes(told) {
                return Err(NoHeader::Damaged);
            }
        }
        rest = behind;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).expect("short").to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, body].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0xc0, 0x00, 0x23, 0x84];

    fn address(text: &str) -> Told {
        Told::Client(text.parse().expect(text))
    }

    #[test]
    fn the_client_is_who_the_header_says() {
        assert_eq!(read(&header(PROXY, 0x11, &V4)), Ok(address("192.0.2.7:49152")));
        let v6 =
            |address: &str| [&address.parse::<Ipv6Addr>().expect("v6").octets()[..], &[0; 16], &[0, 1, 0, 2]].concat();
        assert_eq!(read(&header(PROXY, 0x21, &v6("2001:db8::7"))), Ok(address("[2001:db8::7]:1")));
        assert_eq!(
            read(&header(PROXY, 0x21, &v6("::ffff:192.0.2.7"))),
            Ok(address("192.0.2.7:1")),
            "as limits count it"
        );
        assert_eq!(read(&header(PROXY, 0x31, &[b'x'; 216])), Ok(Told::Unnamed));
        assert_eq!(read(&header(PROXY, 0x00, &[1, 2, 3])), Ok(Told::Unnamed));
        for family in [0x00, 0x11, 0xff] {
            assert_eq!(read(&header(LOCAL, family, &[9])), Ok(Told::Itself));
        }
    }

    #[test]
    fn extensions_are_passed_over_and_a_sum_must_fit() {
        let with = |extensions: &[u8]| header(PROXY, 0x11, &[&V4[..], extensions].concat());
        // As AWS sends it: which endpoint it came by.
        assert_eq!(read(&with(&[0xea, 0, 3, 1, b'v', b'p', 4, 0, 0])), Ok(address("192.0.2.7:49152")));
        for short in [&[0xea][..], &[0xea, 0], &[0xea, 0, 2, 1], &[4, 0xff, 0xff]] {
            assert_eq!(read(&with(short)), Err(NoHeader::Short), "{short:?}");
        }
        let mut summed = with(&[4, 0, 1, 0, CRC32C, 0, 4, 0, 0, 0, 0, 0xea, 0, 1, 7]);
        let sum = crc32c::crc32c(&summed).to_be_bytes();
        let at = summed.len() - 8;
        summed[at..at + 4].copy_from_slice(&sum);
        assert_eq!(read(&summed), Ok(address("192.0.2.7:49152")));
        for place in 0..8 {
            let mut damaged = summed.clone();
            damaged[HEAD + place] ^= 1;
            assert_eq!(read(&damaged), Err(NoHeader::Damaged), "{place}");
        }
        assert_eq!(read(&with(&[CRC32C, 0, 1, 0])), Err(NoHeader::Damaged));
    }

    #[test]
    fn what_is_no_header_is_refused_at_its_first_wrong_byte() {
        assert_eq!(rest(b""), Ok(None));
        assert_eq!(rest(b"\r\n\r\n"), Ok(None));
        assert_eq!(rest(b"\r\nX"), Err(NoHeader::Other));
        assert_eq!(rest(b"PROXY TCP4 1.2.3.4"), Err(NoHeader::First));
        assert_eq!(rest(b"P"), Err(NoHeader::First));
        assert_eq!(rest(b"\x16\x03\x01"), Err(NoHeader::Other), "TLS");
        assert_eq!(rest(&[0, 0, 0, 30]), Err(NoHeader::Other), "Kafka");
        let mut long = header(PROXY, 0x11, &V4);
        long[14] = 0xff;
        assert_eq!(rest(&long), Err(NoHeader::Long));
        for (header, why) in [
            (header(2, 0x11, &V4), NoHeader::Unknown),
            (header(PROXY, 0x12, &V4), NoHeader::Unknown),
            (header(PROXY, 0x11, &V4[..11]), NoHeader::Short),
            (header(PROXY, 0x21, &V4), NoHeader::Short),
            (header(PROXY, 0x31, &V4), NoHeader::Short),
            (header(PROXY, 0x11, &V4)[..20].to_vec(), NoHeader::Short),
            (SIGNATURE.to_vec(), NoHeader::Short),
        ] {
            assert_eq!(read(&header), Err(why), "{header:?}");
        }
        let mut third = header(PROXY, 0x11, &V4);
        third[12] = 0x31;
        assert_eq!(read(&third), Err(NoHeader::Unknown));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), command in any::<u8>(), family in any::<u8>()) {
            let _ = (rest(&bytes), read(&bytes));
            let mut whole = header(0, family, &bytes);
            whole[12] = command;
            let _ = read(&whole);
        }

        #[test]
        fn however_it_is_cut_it_is_not_taken_for_whole(cut in 0_usize..28) {
            let whole = header(PROXY, 0x11, &V4);
            prop_assert!(read(&whole[..cut]).is_err());
            prop_assert!(rest(&whole[..cut]).is_ok());
        }
    }
}
