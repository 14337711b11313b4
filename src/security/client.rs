//! Logging in at somebody else's: one exchange of SASL, as what to say next to what was heard. Who sends and reads is `upstream`.

use super::plain;
use super::scram::messages::Malformed;
use super::scram::{self, NoRandomness};
use crate::config::Secret;
use crate::types::Mechanism;
use bytes::Bytes;
use std::sync::Arc;

/// Why an exchange came to nothing. Says no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The server says why; cut and not cleaned.
    #[error("it says: {0}")]
    Told(String),
    /// A message is none of this mechanism.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// It has the right form and the wrong content.
    #[error("{0}")]
    Unexpected(&'static str),
    /// Fewer rounds would make the password easy to guess for who listens; more would keep us busy.
    #[error("it asks for {0} iterations; {1} to {2} are taken")]
    Iterations(u32, u32, u32),
}

/// Who logs in, for many connections. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A name and a password, which is sent as it is: over TLS only, if possible.
    Plain(Arc<plain::Login>),
    /// A name and a password, of which only a proof is sent.
    Scram(Arc<scram::client::Login>),
}

impl Credentials {
    /// A name and a password, for one of the mechanisms that take them.
    #[must_use]
    pub fn password(mechanism: Mechanism, username: &str, password: Secret) -> Self {
        match scram::Hash::of(mechanism) {
            Some(hash) => Self::Scram(scram::client::Login::new(hash, username, password)),
            None => Self::Plain(Arc::new(plain::Login { username: username.to_owned(), password })),
        }
    }

    /// What SaslHandshake says.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Self::Plain(_) => Mechanism::Plain,
            Self::Scram(login) => login.hash().mechanism(),
        }
    }

    /// A new exchange, for one connection, once.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn exchange(&self) -> Result<ClientExchange, NoRandomness> {
        Ok(match self {
            Self::Plain(login) => ClientExchange::Plain { login: Arc::clone(login), is_over: false },
            Self::Scram(login) => ClientExchange::Scram(scram::client::Exchange::new(login)?),
        })
    }
}

/// One exchange: [`ClientExchange::first`] goes into the first SaslAuthenticate, then what each answer brings into the next,
/// until there is nothing to say. Only then is the other side known to be who it must be.
#[derive(Debug)]
pub enum ClientExchange {
    /// One message.
    Plain {
        /// Who.
        login: Arc<plain::Login>,
        /// The answer came.
        is_over: bool,
    },
    /// Two messages.
    Scram(scram::client::Exchange),
}

impl ClientExchange {
    /// What SaslHandshake says.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Self::Plain { .. } => Mechanism::Plain,
            Self::Scram(exchange) => exchange.hash().mechanism(),
        }
    }

    /// What to say first. May hold the password: it goes into a request and nowhere else.
    #[must_use]
    pub fn first(&self) -> Bytes {
        match self {
            Self::Plain { login, .. } => login.message(),
            Self::Scram(exchange) => exchange.first().into(),
        }
    }

    /// What to say to `auth_bytes` of an answer without an error; nothing where all is well and over. The first step of SCRAM
    /// may take a processor for some milliseconds, where the salt was not seen before.
    ///
    /// # Errors
    /// Where the connection must be given up.
    pub fn step(&mut self, auth_bytes: &[u8]) -> Result<Option<Bytes>, Refused> {
        match self {
            // It has nothing to say, and whatever it says is left alone, as by Kafka's clients.
            Self::Plain { is_over: over @ false, .. } => {
                *over = true;
                Ok(None)
            }
            Self::Plain { .. } => Err(Refused::Unexpected("it goes on after the exchange has ended")),
            Self::Scram(exchange) => Ok(exchange.step(auth_bytes)?.map(Bytes::from)),
        }
    }
}
