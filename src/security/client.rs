//! Logging in at somebody else's: one exchange of SASL, as what to say next to what was heard. Who sends and reads is `upstream`.

use super::foreign::cleaned;
use super::oauthbearer::{self, NotTaken};
use super::plain;
use super::scram::messages::Malformed;
use super::scram::{self, NoRandomness};
use super::token::{NoToken, Token};
use super::tokens_task::{Tokens, Told};
use crate::config::{Login, Secret};
use crate::types::{Mechanism, Name};
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
    /// A token, which is got before an exchange begins.
    Tokens(Arc<Tokens>),
}

/// No exchange can begin. Says no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// See there.
    #[error("{0}")]
    Randomness(#[from] NoRandomness),
    /// See there.
    #[error("{0}")]
    Token(#[from] NoToken),
}

impl Credentials {
    /// As the config says; `whose` is who logs in where, for the log, and `told` is told of each token that is asked for.
    #[must_use]
    pub fn of(login: &Login, whose: &Name, told: Told) -> Self {
        match login {
            Login::Password { mechanism, username, password } => Self::password(*mechanism, username, password.clone()),
            Login::Tokens(from) => Self::Tokens(Tokens::new(whose.clone(), from.clone(), told)),
        }
    }

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
            Self::Tokens(_) => Mechanism::OauthBearer,
        }
    }

    /// A new exchange, for one connection, once. Waits for nothing but a token, where there is none that is good.
    ///
    /// # Errors
    /// Where the system gives no random bytes, or nobody a token.
    pub async fn exchange(&self) -> Result<ClientExchange, NotReady> {
        Ok(match self {
            Self::Plain(login) => ClientExchange::Plain { login: Arc::clone(login), is_over: false },
            Self::Scram(login) => ClientExchange::Scram(scram::client::Exchange::new(login)?),
            Self::Tokens(tokens) => {
                let token = tokens.token().await?;
                ClientExchange::OauthBearer(oauthbearer::ClientExchange::new(token.secret.clone()), token)
            }
        })
    }

    /// An exchange has failed: where it was with a token, the next one is begun with another, if there is one.
    pub fn failed(&self, exchange: &ClientExchange) {
        if let (Self::Tokens(tokens), ClientExchange::OauthBearer(_, token)) = (self, exchange) {
            tokens.refused(token);
        }
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
    /// One message, or two where the token is not taken.
    OauthBearer(oauthbearer::ClientExchange, Token),
}

impl ClientExchange {
    /// What the other side says, fit for a log: what it has heard from us is struck out.
    #[must_use]
    pub fn foreign(&self, said: &str) -> String {
        match self {
            Self::Plain { login, .. } => cleaned(said, Some(login.password.reveal())),
            Self::Scram(_) => cleaned(said, None),
            Self::OauthBearer(_, token) => cleaned(said, Some(token.secret.reveal())),
        }
    }

    /// What SaslHandshake says.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Self::Plain { .. } => Mechanism::Plain,
            Self::Scram(exchange) => exchange.hash().mechanism(),
            Self::OauthBearer(..) => Mechanism::OauthBearer,
        }
    }

    /// What the other side has said of its refusal, which stands in no error message.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::OauthBearer(exchange, _) => exchange.reason(),
            Self::Plain { .. } | Self::Scram(_) => None,
        }
    }

    /// What to say first. May hold the password: it goes into a request and nowhere else.
    #[must_use]
    pub fn first(&self) -> Bytes {
        match self {
            Self::Plain { login, .. } => login.message(),
            Self::Scram(exchange) => exchange.first().into(),
            Self::OauthBearer(exchange, _) => exchange.first(),
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
            Self::OauthBearer(exchange, _) => {
                exchange.step(auth_bytes).map_err(|NotTaken(why)| Refused::Told(why.into()))
            }
        }
    }
}
