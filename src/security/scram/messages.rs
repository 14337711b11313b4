//! The four messages of an exchange, read and written. What Kafka refuses is refused: channel binding, characters beyond ASCII,
//! an extension that must be understood (`m=`). Other extensions are let pass unread.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Longer messages are not read: a name, two nonces and a proof take a few hundred bytes.
pub const LONGEST: usize = 4096;

/// What an extension is called that says: the name is a delegation token's.
const TOKEN_AUTH: &str = "tokenauth";

/// What is wrong with a message; no part of it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

type Result<T> = std::result::Result<T, Malformed>;

/// The first message of a client: who it wants to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFirst<'m> {
    /// What channel bindings are checked against.
    pub gs2_header: &'m str,
    /// All behind that: signed by both sides.
    pub bare: &'m str,
    /// Whom it wants to pass for, where it says so.
    pub authorization_id: Option<String>,
    /// Who it is.
    pub username: String,
    /// Its nonce.
    pub nonce: &'m str,
    /// The name is a delegation token's.
    pub token_auth: bool,
}

/// The answer to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFirst<'m> {
    /// The client's nonce with the server's behind it.
    pub nonce: &'m str,
    /// What the password is salted with.
    pub salt: Vec<u8>,
    /// How often.
    pub iterations: u32,
}

/// The proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFinal<'m> {
    /// All before the proof: signed by both sides.
    pub without_proof: &'m str,
    /// The GS2 header again.
    pub channel_binding: Vec<u8>,
    /// Both nonces.
    pub nonce: &'m str,
    /// Its key under its signature.
    pub proof: Vec<u8>,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFinal<'m> {
    /// The server knows the password, too.
    Signature(Vec<u8>),
    /// It does not let the client in.
    Error(&'m str),
}

impl<'m> ClientFirst<'m> {
    /// Reads one.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(message: &'m [u8]) -> Result<Self> {
        let text = text(message)?;
        let mut parts = text.splitn(3, ',');
        if parts.next() != Some("n") {
            return Err(Malformed("the client wants channel binding, or this is no SCRAM"));
        }
        let (Some(authorization_id), Some(bare)) = (parts.next(), parts.next()) else {
            return Err(Malformed("the first message ends before a name"));
        };
        let authorization_id = match authorization_id {
            "" => None,
            given => Some(name(field(Some(given), "a=", "whom to pass for is not said by a=")?)?),
        };
        let gs2_header = text.strip_suffix(bare).unwrap_or_default();
        let mut fields = bare.split(',');
        let username = name(field(fields.next(), "n=", "the first message has no name, or an extension before it")?)?;
        let nonce = nonce(fields.next())?;
        let mut token_auth = false;
        for extension in fields {
            let (key, value) = extension_of(extension)?;
            token_auth |= key == TOKEN_AUTH && value.eq_ignore_ascii_case("true");
        }
        Ok(Self { gs2_header, bare, authorization_id, username, nonce, token_auth })
    }
}

/// What a client says first, and the bare part of it.
#[must_use]
pub fn client_first(username: &str, nonce: &str) -> (String, String) {
    let bare = format!("n={},r={nonce}", username.replace('=', "=3D").replace(',', "=2C"));
    (format!("{GS2_HEADER}{bare}"), bare)
}

/// No channel binding, and nobody else's name.
pub const GS2_HEADER: &str = "n,,";

impl<'m> ServerFirst<'m> {
    /// Reads one.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(message: &'m [u8]) -> Result<Self> {
        let mut fields = text(message)?.split(',');
        let nonce = nonce(fields.next())?;
        let salt = field(fields.next(), "s=", "the server tells no salt")?;
        let salt = bytes(salt, "the salt is not base64")?;
        let iterations = field(fields.next(), "i=", "the server tells no number of iterations")?;
        let is_number = !iterations.is_empty() && iterations.bytes().all(|digit| digit.is_ascii_digit());
        let iterations = iterations.parse().ok().filter(|_| is_number);
        let iterations = iterations.ok_or(Malformed("the number of iterations is none"))?;
        fields.try_for_each(|extension| extension_of(extension).map(drop))?;
        Ok(Self { nonce, salt, iterations })
    }
}

/// What a server says first.
#[must_use]
pub fn server_first(nonce: &str, salt: &[u8], iterations: u32) -> String {
    format!("r={nonce},s={},i={iterations}", base64(salt))
}

impl<'m> ClientFinal<'m> {
    /// Reads one.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(message: &'m [u8]) -> Result<Self> {
        let text = text(message)?;
        let (without_proof, proof) = text.rsplit_once(',').ok_or(Malformed("the final message has no proof"))?;
        let proof =
            bytes(field(Some(proof), "p=", "the final message does not end with a proof")?, "the proof is not base64")?;
        let mut fields = without_proof.split(',');
        let binding = field(fields.next(), "c=", "the final message has no channel binding")?;
        let channel_binding = bytes(binding, "the channel binding is not base64")?;
        let nonce = nonce(fields.next())?;
        fields.try_for_each(|extension| extension_of(extension).map(drop))?;
        Ok(Self { without_proof, channel_binding, nonce, proof })
    }
}

/// A final message but for its proof.
#[must_use]
pub fn client_final_without_proof(nonce: &str) -> String {
    format!("c={},r={nonce}", base64(GS2_HEADER.as_bytes()))
}

impl<'m> ServerFinal<'m> {
    /// Reads one.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(message: &'m [u8]) -> Result<Self> {
        let text = text(message)?;
        if let Some(error) = text.strip_prefix("e=") {
            return Ok(Self::Error(error));
        }
        let mut fields = text.split(',');
        let signature = field(fields.next(), "v=", "the server's last message has no signature")?;
        fields.try_for_each(|extension| extension_of(extension).map(drop))?;
        bytes(signature, "the server's signature is not base64").map(Self::Signature)
    }
}

/// As all bytes stand in these messages.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Base64 as it must be, with its padding.
fn bytes(text: &str, wrong: &'static str) -> Result<Vec<u8>> {
    STANDARD.decode(text).map_err(|_| Malformed(wrong))
}

/// ASCII without zeros, of bounded length.
fn text(message: &[u8]) -> Result<&str> {
    if message.len() > LONGEST {
        return Err(Malformed("the message is too long"));
    }
    let text = std::str::from_utf8(message).ok().filter(|text| text.bytes().all(|byte| (0x01..0x80).contains(&byte)));
    text.ok_or(Malformed("the message is not ASCII text"))
}

fn field<'m>(field: Option<&'m str>, prefix: &str, wrong: &'static str) -> Result<&'m str> {
    field.and_then(|field| field.strip_prefix(prefix)).ok_or(Malformed(wrong))
}

fn nonce(given: Option<&str>) -> Result<&str> {
    let nonce = field(given, "r=", "a message has no nonce where one must be")?;
    let is_printable = !nonce.is_empty() && nonce.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if is_printable { Ok(nonce) } else { Err(Malformed("the nonce is none")) }
}

/// Letters, `=`, and anything.
fn extension_of(extension: &str) -> Result<(&str, &str)> {
    let (key, value) = extension.split_once('=').unwrap_or_default();
    let is_one = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic()) && !value.is_empty();
    if is_one { Ok((key, value)) } else { Err(Malformed("what stands behind is no extension")) }
}

/// A name with `=2C` and `=3D` in it. Any other `=` is wrong.
fn name(escaped: &str) -> Result<String> {
    let mut parts = escaped.split('=');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (plain, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(Malformed("a name has `=` in it that is neither =2C nor =3D")),
        };
        name.push(plain);
        name.push_str(rest);
    }
    if name.is_empty() { Err(Malformed("the name is empty")) } else { Ok(name) }
}
