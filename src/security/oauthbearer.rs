//! What client and server say to each other in SASL OAUTHBEARER (RFC 7628, KIP-255, KIP-342), read and written as Kafka
//! does. Whether a token is good is judged elsewhere.

use crate::config::Secret;
use bytes::Bytes;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// Its name among SASL mechanisms.
pub const MECHANISM: &str = "OAUTHBEARER";

/// Ends each key with its value, and all of them once more.
const SEPARATOR: u8 = 1;
const AUTH: &str = "auth";
/// A client says so when it has read our error.
const UNDERSTOOD: &[u8] = &[SEPARATOR];
/// Longer first messages are refused unread: a token, and what comes with it.
pub const LONGEST: usize = 64 << 10;
/// More extensions than this are nonsense.
const MOST_EXTENSIONS: usize = 64;
/// Of what a server tells of its refusal, so much is kept.
const LONGEST_REASON: usize = 300;

/// The first message of a client. Shows no token in Debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientFirst<'a> {
    /// The token, of the characters of RFC 6750's b64token.
    pub token: &'a str,
    /// Whom the client wants to be, if it says so; must be whom the token names.
    pub authorization_id: Option<Cow<'a, str>>,
    /// What else it says, in order.
    pub extensions: Vec<(&'a str, &'a str)>,
}

impl std::fmt::Debug for ClientFirst<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let extensions: Vec<_> = self.extensions.iter().map(|(key, _)| key).collect();
        f.debug_struct("ClientFirst").field("extensions", &extensions).finish_non_exhaustive()
    }
}

/// A first message that is none: Kafka tells the client no more than that authentication failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client's first message of OAUTHBEARER {0}")]
pub struct Malformed(&'static str);

impl Malformed {
    /// What is not as it must be: the rest of a sentence about the message.
    #[must_use]
    pub fn what(self) -> &'static str {
        self.0
    }
}

impl<'a> ClientFirst<'a> {
    /// Reads `n,[a=ID],^A(KEY=VALUE^A)*^A` with the token at the key `auth`.
    ///
    /// # Errors
    ///
    /// What is not as it must be.
    pub fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        if message.len() > LONGEST {
            return Err(Malformed("is too long"));
        }
        let text = std::str::from_utf8(message).map_err(|_| Malformed("is no text"))?;
        let rest =
            text.strip_prefix("n,").ok_or(Malformed("does not begin with `n,`: channel binding is not served"))?;
        let (authorization_id, pairs) = rest.split_once(",\u{1}").ok_or(Malformed("lacks its separator"))?;
        let authorization_id = match authorization_id {
            "" => None,
            id => Some(sasl_name(id.strip_prefix("a=").ok_or(Malformed("has something in place of `a=`"))?)?),
        };
        let pairs = pairs.strip_suffix('\u{1}').ok_or(Malformed("does not end as it must"))?;
        let (mut auth, mut extensions) = (None, Vec::new());
        for pair in pairs.split_terminator('\u{1}') {
            match key_and_value(pair)? {
                (AUTH, value) => auth = Some(value),
                _ if extensions.len() == MOST_EXTENSIONS => return Err(Malformed("has too many extensions")),
                other => extensions.push(other),
            }
        }
        if !pairs.is_empty() && !pairs.ends_with('\u{1}') {
            return Err(Malformed("lacks a separator behind its last value"));
        }
        let token = bearer(auth.ok_or(Malformed("has no `auth`"))?)?;
        Ok(Self { token, authorization_id, extensions })
    }
}

/// RFC 5801's saslname: `,` and `=` are written `=2C` and `=3D`.
fn sasl_name(written: &str) -> Result<Cow<'_, str>, Malformed> {
    const WRONG: Malformed = Malformed("has an authorization id that is none");
    if written.is_empty() || written.bytes().any(|byte| byte == b',' || byte.is_ascii_control()) {
        return Err(WRONG);
    }
    if !written.contains('=') {
        return Ok(Cow::Borrowed(written));
    }
    let read = written.replace("=2C", ",").replace("=3D", "=");
    // Written again it must be the same: any other `=` was none of the two.
    if read.replace('=', "=3D").replace(',', "=2C") == written { Ok(Cow::Owned(read)) } else { Err(WRONG) }
}

fn key_and_value(pair: &str) -> Result<(&str, &str), Malformed> {
    let (key, value) = pair.split_once('=').ok_or(Malformed("has a key without a value"))?;
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(Malformed("has a key that is no word"));
    }
    let of_value = |byte: u8| matches!(byte, 0x20..=0x7e | b'\t' | b'\r' | b'\n');
    if value.is_empty() || !value.bytes().all(of_value) {
        return Err(Malformed("has a value with characters that are not allowed"));
    }
    Ok((key, value))
}

/// `Bearer TOKEN`, the first word in any case.
fn bearer(auth: &str) -> Result<&str, Malformed> {
    let (scheme, token) = auth.split_once(' ').ok_or(Malformed("has no token"))?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Malformed("has another scheme than Bearer"));
    }
    let token = token.trim_start_matches(' ');
    if is_token(token) { Ok(token) } else { Err(Malformed("has a token with characters that are not allowed")) }
}

/// Whether a text can be sent as a token (RFC 6750, 2.1).
#[must_use]
pub fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    !body.is_empty() && body.bytes().all(of_token)
}

/// The server's side of one exchange.
#[derive(Debug, Default)]
pub struct ServerExchange {
    refused: bool,
}

/// What a server does with a client's message.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// The token is to be judged; then [`ServerExchange::answer`] says what to send.
    Judge(ClientFirst<'a>),
    /// The exchange is over.
    Refuse(Refusal),
}

/// How a server refuses for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// With this text for the client, in Kafka's error 58.
    Said(&'static str),
    /// With Kafka's usual words about invalid credentials; the reason is ours to know.
    Malformed(Malformed),
}

/// What a server sends when the token has been judged.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: the client is who the token says.
    Done,
    /// This error, without an error code: the client has to say that it has read it, and is refused then (RFC 7628, 3.2.3).
    Challenge(&'static [u8]),
    /// The exchange is over.
    Refuse(Refusal),
}

/// What Kafka says of any token that it does not take, word by word.
const INVALID: &str = "{\"status\":\"invalid_token\"}";

/// As Kafka says it, but for the two names.
const OTHERS_NAME: &str =
    "Authentication failed: Client requested an authorization id that is different from the token's principal name";

impl ServerExchange {
    /// Whether the client was told that its token is not taken.
    #[must_use]
    pub fn has_refused(&self) -> bool {
        self.refused
    }

    /// A message has come. Who was refused has nothing more to say, whatever it is: it would be another guess.
    pub fn read<'a>(&mut self, message: &'a [u8]) -> Heard<'a> {
        if self.refused {
            return Heard::Refuse(Refusal::Said(INVALID));
        }
        match ClientFirst::read(message) {
            Ok(first) => Heard::Judge(first),
            Err(malformed) => Heard::Refuse(Refusal::Malformed(malformed)),
        }
    }

    /// The token was judged: `principal` is whom it names, or nobody where it is not taken.
    pub fn answer(&mut self, first: &ClientFirst<'_>, principal: Option<&str>) -> Answer {
        let Some(principal) = principal else {
            self.refused = true;
            return Answer::Challenge(INVALID.as_bytes());
        };
        match &first.authorization_id {
            Some(asked) if asked != principal => Answer::Refuse(Refusal::Said(OTHERS_NAME)),
            _ => Answer::Done,
        }
    }
}

/// The client's side of one exchange.
#[derive(Debug)]
pub struct ClientExchange {
    token: Secret,
    refused: Option<Box<str>>,
}

/// The server does not take the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token is not taken: {0}")]
pub struct NotTaken(pub Box<str>);

impl ClientExchange {
    /// With this token.
    #[must_use]
    pub fn new(token: Secret) -> Self {
        Self { token, refused: None }
    }

    /// The first message, as Kafka's own client writes it. Zeroed when the last of it goes.
    #[must_use]
    pub fn first(&self) -> Bytes {
        Bytes::from_owner(written(self.token.reveal(), &[]))
    }

    /// What to say to the server's message, which came without an error code; nothing, where the token is taken.
    ///
    /// # Errors
    ///
    /// The server has refused, and goes on all the same.
    pub fn step(&mut self, message: &[u8]) -> Result<Option<Bytes>, NotTaken> {
        if let Some(reason) = self.refused.take() {
            return Err(NotTaken(reason));
        }
        if message.is_empty() {
            return Ok(None);
        }
        self.refused = Some(reason(message));
        Ok(Some(Bytes::from_static(UNDERSTOOD)))
    }

    /// Why the server refuses, if it has said so: what stands beside its error code is the same, or less.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.refused.as_deref()
    }
}

/// Extensions are words with printable values.
fn written(token: &str, extensions: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    let length = token.len() + extensions.iter().map(|(key, value)| key.len() + value.len() + 2).sum::<usize>() + 32;
    // All at once: what grows leaves copies behind.
    let mut message = Zeroizing::new(Vec::with_capacity(length));
    message.extend_from_slice(b"n,,\x01auth=Bearer ");
    message.extend_from_slice(token.as_bytes());
    message.push(SEPARATOR);
    for (key, value) in extensions {
        message.extend_from_slice(key.as_bytes());
        message.push(b'=');
        message.extend_from_slice(value.as_bytes());
        message.push(SEPARATOR);
    }
    message.push(SEPARATOR);
    message
}

/// What a server says, fit for a log.
fn reason(message: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(message.get(..LONGEST_REASON).unwrap_or(message));
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client() -> ClientExchange {
        ClientExchange::new(Secret::new("abc".to_owned()))
    }

    const FIRST: &[u8] = b"n,,\x01auth=Bearer abc.def-_~+/==\x01\x01";

    #[test]
    fn kafkas_first_message_is_read() {
        let first = ClientFirst::read(FIRST).unwrap();
        assert_eq!((first.token, &first.authorization_id), ("abc.def-_~+/==", &None));
        let message = b"n,a=ann=2C=3D=3D2C,\x01traceId=1 2\x01auth=bEARER   t\x01logicalCluster=lkc-1=2\x01\x01";
        let first = ClientFirst::read(message).unwrap();
        assert_eq!((first.token, first.authorization_id.as_deref()), ("t", Some("ann,==2C")));
        assert_eq!(first.extensions, [("traceId", "1 2"), ("logicalCluster", "lkc-1=2")]);
    }

    #[test]
    fn what_kafka_does_not_read_is_refused() {
        for wrong in [
            "",
            "n",
            "n,,",
            "n,,\x01",
            "n,,\x01\x01",
            "y,,\x01auth=Bearer t\x01\x01",
            "p=tls,,\x01auth=Bearer t\x01\x01",
            "n,,\x01auth=Bearer t\x01",
            "n,,\x01auth=Bearer t",
            "n,,auth=Bearer t\x01\x01",
            "n,,\x01auth=Basic t\x01\x01",
            "n,,\x01auth=Bearer \x01\x01",
            "n,,\x01auth=Bearert\x01\x01",
            "n,,\x01auth=Bearer t t\x01\x01",
            "n,,\x01auth=Bearer t\x01x=\x01\x01",
            "n,,\x01auth=Bearer t\x01x\x01\x01",
            "n,,\x01auth=Bearer t\x01x1=a\x01\x01",
            "n,,\x01auth=Bearer t\x01x=\u{e4}\x01\x01",
            "n,a=,\x01auth=Bearer t\x01\x01",
            "n,b=c,\x01auth=Bearer t\x01\x01",
            "n,a=x=,\x01auth=Bearer t\x01\x01",
            "n,a=x,y,\x01auth=Bearer t\x01\x01",
            "n,,\x01x=y\x01\x01",
            "\x01",
            "n,,\x01auth=Bearer ===\x01\x01",
            "n,,\x01auth=Bearer t\x01\x01\x01",
        ] {
            assert!(ClientFirst::read(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
        let mut long = FIRST.to_vec();
        long.splice(16..16, std::iter::repeat_n(b'a', LONGEST));
        assert_eq!(ClientFirst::read(&long), Err(Malformed("is too long")));
    }

    #[test]
    fn a_refused_client_says_that_it_has_read_why_and_is_then_told_again() {
        let (mut server, mut client) = (ServerExchange::default(), client());
        let message = client.first();
        assert_eq!(&*message, b"n,,\x01auth=Bearer abc\x01\x01");
        let Heard::Judge(first) = server.read(&message) else { panic!("not read") };
        let Answer::Challenge(error) = server.answer(&first, None) else { panic!("not refused") };
        assert_eq!(error, b"{\"status\":\"invalid_token\"}");
        let Ok(Some(understood)) = client.step(error) else { panic!("not understood") };
        assert_eq!(client.reason(), Some("{\"status\":\"invalid_token\"}"));
        assert_eq!(server.read(&understood), Heard::Refuse(Refusal::Said(INVALID)));
        assert!(client.step(b"").is_err(), "a server that goes on as if nothing had been");
    }

    #[test]
    fn a_client_that_has_not_been_refused_cannot_say_that_it_was() {
        assert!(matches!(ServerExchange::default().read(b"\x01"), Heard::Refuse(Refusal::Malformed(_))));
    }

    #[test]
    fn a_client_is_who_its_token_says_and_nobody_else() {
        let mut server = ServerExchange::default();
        let message = b"n,a=ann,\x01auth=Bearer t\x01\x01";
        let Heard::Judge(first) = server.read(message) else { panic!("not read") };
        assert_eq!(server.answer(&first, Some("ann")), Answer::Done);
        assert!(matches!(server.answer(&first, Some("bob")), Answer::Refuse(Refusal::Said(_))));
        assert_eq!(client().step(b""), Ok(None));
    }

    #[test]
    fn no_token_is_printed() {
        let shown = format!("{:?}", ClientFirst::read(b"n,,\x01auth=Bearer hunter2\x01\x01").unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(!format!("{:?}", client()).contains("abc"));
    }

    #[test]
    fn what_a_server_says_cannot_break_a_log_line() {
        let mut client = client();
        let mut said = b"a\nb\x1b[31m\xff".to_vec();
        said.resize(10_000, b'x');
        client.step(&said).unwrap();
        let reason = client.reason().unwrap();
        assert!(reason.starts_with("a?b?[31m\u{fffd}xx") && reason.len() < 1_000, "{reason}");
    }

    proptest! {
        #[test]
        fn what_a_client_writes_is_what_the_server_reads(
            token in "[a-zA-Z0-9._~+/-]{1,200}={0,2}",
            extensions in proptest::collection::vec(("[A-Za-z]{1,9}", "[ -~]{1,20}"), 0..5),
        ) {
            prop_assume!(extensions.iter().all(|(key, _)| key != AUTH));
            let extensions: Vec<_> = extensions.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let message = written(&token, &extensions);
            let first = ClientFirst::read(&message).unwrap();
            prop_assert_eq!(first.token, token.as_str());
            prop_assert_eq!(first.extensions, extensions);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ClientFirst::read(&bytes);
            let _ = ServerExchange { refused: true }.read(&bytes);
            let _ = client().step(&bytes);
        }

        #[test]
        fn a_damaged_message_gives_no_other_token(at in 0..FIRST.len(), bit in 0..8_u8) {
            let mut message = FIRST.to_vec();
            message[at] ^= 1 << bit;
            if let Ok(first) = ClientFirst::read(&message) {
                prop_assert!(is_token(first.token));
            }
        }
    }
}
