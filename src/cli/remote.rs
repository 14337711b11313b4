//! Asks a running proxy at its admin address, over TLS where that is called by `https://`.

use anyhow::{Context, anyhow};
use clap::Args;
use fishplate::config::url::Url;
use fishplate::config::{ClientTls, Identity};
use fishplate::security::oauthbearer::is_token;
use fishplate::security::operators::{file, first};
use fishplate::security::tls::{Client, TlsProblem};
use rustls::{AlertDescription, CertificateError, ClientConnection, StreamOwned};
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long each step may take: a table of groups is asked of the clusters.
const WITHIN: Duration = Duration::from_secs(30);
/// Larger than any answer.
const MOST: u64 = 256 << 20;
/// Where a token is looked for, too: not on the command line, which everybody on the machine can read.
const VARIABLE: &str = "FISHPLATE_ADMIN_TOKEN";

/// Who we are at the admin address, and whom we take for it.
#[derive(Debug, Args)]
pub(crate) struct ReachArgs {
    /// A file whose first token says who you are, where secrets are shown and where something is changed; FISHPLATE_ADMIN_TOKEN may
    /// have the token itself
    #[arg(long, value_name = "FILE", env = "FISHPLATE_ADMIN_TOKEN_FILE")]
    admin_token_file: Option<PathBuf>,
    /// With https://: a file in PEM with the authorities of its certificate. Default: those that the system trusts
    #[arg(long, value_name = "FILE", env = "FISHPLATE_ADMIN_CA")]
    admin_ca: Option<PathBuf>,
    /// With https://: a file in PEM with your own certificate, where it asks for one
    #[arg(long, value_name = "FILE", env = "FISHPLATE_ADMIN_CERTIFICATE", requires = "admin_key")]
    admin_certificate: Option<PathBuf>,
    /// With https://: a file in PEM with that certificate's private key
    #[arg(long, value_name = "FILE", env = "FISHPLATE_ADMIN_KEY", requires = "admin_certificate")]
    admin_key: Option<PathBuf>,
}

/// A running proxy's admin address.
pub(super) struct Remote<'a> {
    admin: &'a str,
    reach: &'a ReachArgs,
    /// We show who we are.
    for_operator: bool,
}

/// What a running proxy refused, in its words: it was reached.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(String);

/// What is wrong on our own side: nobody was asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Mistake(String);

impl<'a> Remote<'a> {
    pub(super) fn at(admin: &'a str, reach: &'a ReachArgs) -> Self {
        Self { admin, reach, for_operator: false }
    }

    /// The same; with what it is asked goes our token, if there is one. It goes nowhere else.
    pub(super) fn for_operator(self, is_one: bool) -> Self {
        Self { for_operator: is_one, ..self }
    }

    /// The answer to `GET path`.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.answer("GET", path, "")
    }

    /// The answer to `POST path`.
    pub(super) fn post(&self, path: &str, body: &impl Serialize) -> anyhow::Result<Value> {
        self.answer("POST", path, &serde_json::to_string(body)?)
    }

    fn answer(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        let admin = self.admin;
        let unreached = || {
            format!("cannot reach a running proxy at {admin}; is its `admin.bind` there? (--admin, FISHPLATE_ADMIN)")
        };
        // What is wrong here is told before anybody is asked.
        let address = Address::of(admin)?;
        let token = if self.for_operator { self.token()? } else { None };
        let tls = address.secure.then(|| self.tls(&address)).transpose()?;
        let stream = address.connect().with_context(unreached)?;
        // Who listens on the way would have it.
        let sent = token.as_ref().filter(|_| address.secure || is_here(&stream));
        let withheld = token.is_some() && sent.is_none();
        let request = request(method, &address, path, sent, body);
        let answer = match tls {
            None => ask(stream, &request).map_err(Into::into),
            Some(tls) => ask(StreamOwned::new(tls, stream), &request).map_err(|error| self.told(&address, error)),
        };
        let answer = answer.with_context(unreached)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| anyhow!("no HTTP")).with_context(unreached)?;
        let why = || body.lines().next().unwrap_or_default();
        match head.split(' ').nth(1).unwrap_or_default() {
            "200" => serde_json::from_str(body).with_context(|| format!("{admin} did not answer as Fishplate does")),
            "401" if withheld => Err(Refused(format!(
                "{}; yours was not sent, since everybody on the way to {admin} could read it: call it by https://",
                why()
            ))
            .into()),
            "400" | "401" | "403" | "429" => Err(Refused(why().to_owned()).into()),
            status => Err(anyhow!("it answers {status}: {}", why())).with_context(unreached),
        }
    }

    /// Ours, if there is one.
    fn token(&self) -> anyhow::Result<Option<Zeroizing<String>>> {
        let (place, text) = match (&self.reach.admin_token_file, std::env::var(VARIABLE)) {
            (Some(path), _) => {
                let place = path.display().to_string();
                let unread = |error| Mistake(format!("the token in {place} cannot be read: {error}"));
                let text = file::read(path).map_err(unread)?;
                (place, text)
            }
            (None, Ok(text)) => (VARIABLE.to_owned(), Zeroizing::new(text)),
            (None, Err(_)) => return Ok(None),
        };
        match first(&text).filter(|token| is_token(token)) {
            Some(token) => Ok(Some(Zeroizing::new(token.to_owned()))),
            None => {
                let what = format!("there is no token in {place}: write one, or a name and one, in its first line");
                Err(Mistake(what).into())
            }
        }
    }

    /// As it is spoken to there.
    fn tls(&self, address: &Address) -> anyhow::Result<ClientConnection> {
        let ReachArgs { admin_ca, admin_certificate, admin_key, .. } = self.reach;
        let identity = admin_certificate.clone().zip(admin_key.clone());
        let identity = identity.map(|(certificate, key)| Identity { certificate, key });
        let tls = ClientTls { ca: admin_ca.clone(), identity, ..ClientTls::default() };
        let advised = |problem: TlsProblem| Mistake(format!("{problem}; {}", problem.instead()));
        let client = Client::load(&tls).map_err(advised)?;
        let name = client.server_name(&address.host).map_err(advised)?;
        Ok(ClientConnection::new(client.current(), name)?)
    }

    /// Why TLS does not come about, for people.
    fn told(&self, address: &Address, error: io::Error) -> anyhow::Error {
        use rustls::Error;
        let Some(why) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else { return error.into() };
        match why {
            Error::InvalidMessage(_) => anyhow!("it does not speak TLS: call it by http://"),
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => match &self.reach.admin_ca {
                Some(file) => anyhow!("its certificate is signed by nobody that is in {}", file.display()),
                None => anyhow!(
                    "its certificate is signed by nobody whom the system trusts; name its authority with --admin-ca"
                ),
            },
            Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => {
                anyhow!("its certificate does not bear the name {}; call it by one that it bears ({why})", address.host)
            }
            Error::AlertReceived(AlertDescription::CertificateRequired) => {
                anyhow!("it asks for a certificate: name yours with --admin-certificate and --admin-key")
            }
            Error::AlertReceived(alert) => anyhow!("it does not take this connection ({alert:?}); its log may say why"),
            other => anyhow!("{other}"),
        }
    }
}

/// Where it is, and how it is spoken to.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    secure: bool,
    host: String,
    port: u16,
    /// What stands before every path, behind somebody who passes it on.
    prefix: String,
}

impl Address {
    /// `HOST:PORT`, or a URL.
    fn of(text: &str) -> anyhow::Result<Self> {
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let wrong =
            |(what, _): (&str, &str)| Mistake(format!("`{text}` {what}: write HOST:PORT, or https://HOST:PORT"));
        let Url { secure, host, port, path } = Url::of_any(&url).map_err(wrong)?;
        Ok(Self { secure, host: host.to_string(), port, prefix: path.trim_end_matches('/').to_owned() })
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::other("no such address");
        // A name may have several, of which one answers.
        for address in (&*self.host, self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, WITHIN) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(WITHIN))?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn is_here(stream: &TcpStream) -> bool {
    stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback())
}

fn request(
    method: &str,
    address: &Address,
    path: &str,
    token: Option<&Zeroizing<String>>,
    body: &str,
) -> Zeroizing<String> {
    let Address { host, port, prefix, .. } = address;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    // 1.0: the body is what comes until the end, in one piece.
    let mut request = Zeroizing::new(format!("{method} {prefix}{path} HTTP/1.0\r\nhost: {host}:{port}\r\n"));
    if let Some(token) = token {
        request.reserve(token.len() + body.len() + 128);
        for part in ["authorization: Bearer ", token, "\r\n"] {
            request.push_str(part);
        }
    }
    if !body.is_empty() {
        request.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body);
    request
}

fn ask(mut stream: impl Read + Write, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_it_was_and_perhaps_over_tls() {
        let of = |text: &str| Address::of(text).map(|one| (one.secure, one.host, one.port, one.prefix)).ok();
        let address = |secure, host: &str, port, prefix: &str| Some((secure, host.to_owned(), port, prefix.to_owned()));
        assert_eq!(of("127.0.0.1:9644"), address(false, "127.0.0.1", 9644, ""));
        assert_eq!(of("[::1]:9644"), address(false, "::1", 9644, ""));
        assert_eq!(of("http://localhost:9644/"), address(false, "localhost", 9644, ""));
        assert_eq!(of("https://fishplate.example:9644"), address(true, "fishplate.example", 9644, ""));
        assert_eq!(of("https://ops.example/fishplate/"), address(true, "ops.example", 443, "/fishplate"));
        for wrong in ["", "ftp://a:1", "a b:1", "https://", "127.0.0.1:x"] {
            assert!(of(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_request_has_the_token_where_there_is_one() {
        let address = Address::of("https://[::1]:9644").expect("an address");
        let token = Zeroizing::new("planted".to_owned());
        assert_eq!(*request("GET", &address, "/x", None, ""), "GET /x HTTP/1.0\r\nhost: [::1]:9644\r\n\r\n");
        assert_eq!(
            *request("POST", &address, "/x", Some(&token), "{}"),
            "POST /x HTTP/1.0\r\nhost: [::1]:9644\r\nauthorization: Bearer planted\r\ncontent-type: application/json\r\n\
             content-length: 2\r\n\r\n{}"
        );
    }
}
