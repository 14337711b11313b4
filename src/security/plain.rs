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
    /// Reads one: three texts with zeros between them, of which only the first may be empty. As Kafka, what stands behind a
    /// third zero is left alone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(message: &'m [u8]) -> Result<Self, &'static str> {
        if message.len() > LONGEST {
            return Err("the message is too long");
        }
        let text = std::str::from_utf8(message).map_err(|_| "the message is no text")?;
        let mut parts = text.split('\0');
        let (Some(authorization_id), Some(username), Some(password)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err("the message is not three texts with zeros between them");
        };
        match (username, password) {
            ("", _) => Err("the message has no name"),
            (_, "") => Err("the message has no password"),
            _ => Ok(Self { authorization_id, username, password }),
        }
    }
}

impl std::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("username", &self.username).finish_non_exhaustive()
    }
}
