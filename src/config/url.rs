//! An address of HTTP as the config says it, taken apart: as much of RFC 3986 as it takes to ask a token endpoint or for a
//! set of keys.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// `https://HOST[:PORT][/PATH][?QUERY]`; `http` only to this very machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Over TLS.
    pub secure: bool,
    /// A name or an address, without brackets.
    pub host: Arc<str>,
    /// The port, given or usual.
    pub port: u16,
    /// Begins with `/`; with the query, if there is one.
    pub path: Arc<str>,
}

const SECURE: (&str, u16) = ("https://", 443);
const PLAIN: (&str, u16) = ("http://", 80);
/// Longer ones are refused.
const LONGEST: usize = 2_048;

impl Url {
    /// Takes a text apart.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and what to write: two clauses.
    pub fn parse(text: &str) -> Result<Self, (&'static str, &'static str)> {
        let url = Self::of_any(text)?;
        if !url.secure && !url.is_here() {
            return Err(("is not encrypted on its way", "write https://; http is for addresses of this machine only"));
        }
        Ok(url)
    }

    /// As [`Url::parse`], and `http` to anywhere: what AWS's own addresses for credentials are.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn of_any(text: &str) -> Result<Self, (&'static str, &'static str)> {
        let wanted = "write for example https://idp.example.com/oauth2/token";
        if text.len() > LONGEST {
            return Err(("is too long", wanted));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(("has characters that no URL has", "write them as %XX"));
        }
        let (secure, usual, rest) = match (text.strip_prefix(SECURE.0), text.strip_prefix(PLAIN.0)) {
            (Some(rest), _) => (true, SECURE.1, rest),
            (_, Some(rest)) => (false, PLAIN.1, rest),
            _ => return Err(("is no URL of http", wanted)),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(("is no URL", wanted))?;
        if authority.contains('@') {
            return Err(("has a user in it", "leave out what stands before the @"));
        }
        if path.contains('#') {
            return Err(("has a fragment", "leave out what begins with #"));
        }
        let (host, port) = authority_of(authority, usual).ok_or(("has no valid host and port", wanted))?;
        let path = if path.starts_with('/') { path.into() } else { format!("/{path}").into() };
        Ok(Self { secure, host: host.into(), port, path })
    }

    /// What the `Host` header says: the port only where it is not the usual one.
    #[must_use]
    pub fn authority(&self) -> String {
        let usual = if self.secure { SECURE.1 } else { PLAIN.1 };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    fn is_here(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        &*self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

fn authority_of(authority: &str, usual: u16) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, port)
        }
        None => authority.split_at_checked(authority.find(':').unwrap_or(authority.len()))?,
    };
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(of_name) {
        return None;
    }
    match port.strip_prefix(':') {
        None if port.is_empty() => Some((host, usual)),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some((host, port.parse().ok().filter(|port| *port > 0)?))
        }
        _ => None,
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { SECURE.0 } else { PLAIN.0 };
        write!(f, "{scheme}{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_url_is_taken_apart_and_printed_as_it_was() {
        let url = Url::parse("https://idp.example.com/realms/a/certs?x=1").unwrap();
        assert_eq!((url.secure, &*url.host, url.port), (true, "idp.example.com", 443));
        assert_eq!(&*url.path, "/realms/a/certs?x=1");
        for same in ["https://a.example:8443/x", "https://[fd00::7]:8443/", "http://127.0.0.1:81/", "http://localhost/"]
        {
            assert_eq!(Url::parse(same).unwrap().to_string(), same);
        }
        assert_eq!(Url::parse("https://a.example?q").unwrap().to_string(), "https://a.example/?q");
    }

    #[test]
    fn what_is_no_safe_url_is_refused() {
        for wrong in [
            "",
            "https://",
            "ftp://a/",
            "a.example",
            "https://user:pw@a.example/",
            "https://a.example/#b",
            "https://a:0/",
            "https://a:b/",
            "https://a:70000/",
            "https://[::1/",
            "https://a b/",
            "https://a:1:2/",
            "http://10.0.0.1/",
            "http://idp.example.com/",
            "http://localhost.example.com/",
            "https://a:+1/",
        ] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_was_read_is_read_again_as_the_same(text in "https?://[a-z0-9.:\\[\\]@?/#%-]{0,40}") {
            if let Ok(url) = Url::of_any(&text) {
                prop_assert_eq!(Url::of_any(&url.to_string()).unwrap(), url);
            }
        }
    }
}
