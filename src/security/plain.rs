//! PLAIN (RFC 4616): one message with a name and a password. Servers check it against what SCRAM keeps: no password is stored.

use crate::config::Secret;
use bytes::Bytes;
use zeroize::Zeroizing;

/// Longer messages are not read.
pub const LONGEST: usize = 4096;

/// Who logs in.
#[derive(Debug)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

impl Login {
    /// What is said: nobody to pass for, the name, the password. Zeroed when the last of it goes.
    #[must_use]
    pub fn message(&self) -> Bytes {
        let mut message = Zeroizing::new(Vec::with_capacity(2 + self.username.len() + self.password.reveal().len()));
        message.push(0);
        message.extend_from_slice(self.username.as_bytes());
        message.push(0);
        message.extend_from_slice(self.password.reveal().as_bytes());
        Bytes::from_owner(message)
    }
}

/// What a client said. Debug shows no password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message<'m> {
    /// Whom it wants to pass for; empty where it says nobody.
    pub authorization_id: &'m str,
    /// Who it is.
    pub username: &'m str,
    /// The password.
    pub password: &'m str,
}

impl<'m> Message<'m> {
    /// Reads one: three texts with zeros between them, of which only the first may be empty.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(message: &'m [u8]) -> Result<Self, Malformed> {
        if message.len() > LONGEST {
            return Err(Malformed::TooLong);
        }
        let text = std::str::from_utf8(message).map_err(|_| Malformed::NoText)?;
        let mut parts = text.split('\0');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(""), Some(_), None) => Err(Malformed::NoName),
            (Some(_), Some(_), Some(""), None) => Err(Malformed::NoPassword),
            (Some(authorization_id), Some(username), Some(password), None) => {
                Ok(Self { authorization_id, username, password })
            }
            (.., Some(_)) => Err(Malformed::Texts(4)),
            (_, Some(_), ..) => Err(Malformed::Texts(2)),
            _ => Err(Malformed::Texts(1)),
        }
    }
}

/// Why a message is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Nothing is read of it.
    TooLong,
    /// Its bytes are no text.
    NoText,
    /// It has so many, and not three; further than four are not counted.
    Texts(u8),
    /// The second is empty.
    NoName,
    /// The third is empty.
    NoPassword,
}

impl Malformed {
    /// For the operator.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::TooLong => "the message is too long",
            Self::NoText => "the message is no text",
            Self::Texts(_) => "the message is not three texts with zeros between them",
            Self::NoName => "the message has no name",
            Self::NoPassword => "the message has no password",
        }
    }

    /// Kafka's words to the client.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            // Kafka reads what is no text as one, which nobody's password is.
            Self::TooLong | Self::NoText => "Authentication failed: Invalid username or password",
            Self::Texts(2) => "Invalid SASL/PLAIN response: expected 3 tokens, got 2",
            Self::Texts(4) => "Invalid SASL/PLAIN response: expected 3 tokens, got 4",
            Self::Texts(_) => "Invalid SASL/PLAIN response: expected 3 tokens, got 1",
            Self::NoName => "Authentication failed: username not specified",
            Self::NoPassword => "Authentication failed: password not specified",
        }
    }
}

impl std::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("username", &self.username).finish_non_exhaustive()
    }
}
