//! Who speaks something else than Kafka's protocol: told by the first four bytes, where a frame's length should stand.

/// What such bytes look like, as a clause for the log. All of them are lengths that no limit allows.
pub(super) fn guess(first: u32) -> &'static str {
    match &first.to_be_bytes() {
        // A record of a TLS handshake, or an alert, in any version: 3.1 to 3.4.
        [0x15 | 0x16, 3, 0..=4, _] => "it looks like TLS, and this connection is plain text",
        b"GET " | b"POST" | b"PUT " | b"HEAD" | b"DELE" | b"OPTI" | b"PATC" | b"CONN" | b"TRAC" | b"PRI " | b"HTTP" => {
            "it looks like HTTP, which is not spoken here"
        }
        b"SSH-" => "it looks like SSH, which is not spoken here",
        b"PROX" | b"\r\n\r\n" => {
            "it looks like a load balancer's PROXY header, which this listener does not take: turn it off there, or write `proxy_protocol: required` here"
        }
        _ => "is this really Kafka's protocol?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_told_by_their_first_bytes() {
        let said = |first: &[u8; 4]| guess(u32::from_be_bytes(*first));
        for hello in [[0x16, 3, 1, 2], [0x16, 3, 3, 0], [0x15, 3, 3, 0]] {
            assert!(said(&hello).contains("TLS"), "{hello:?}");
        }
        assert!(said(b"GET ").contains("HTTP") && said(b"PRI ").contains("HTTP"));
        assert!(said(b"PROX").contains("PROXY") && said(&[0xd, 0xa, 0xd, 0xa]).contains("PROXY"));
        assert!(said(b"SSH-").contains("SSH"));
        for none in [[0xff; 4], [0x7f, 0xff, 0xff, 0xff], [0x16, 4, 0, 0]] {
            assert!(said(&none).contains("really"), "{none:?}");
        }
    }
}
