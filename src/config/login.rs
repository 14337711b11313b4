//! How Fishplate logs in to a cluster, as the config says it.

use super::oauth::TokensFrom;
use super::secret::Secret;
use crate::types::Mechanism;
use std::sync::Arc;

/// Who we say we are, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// A name and a password.
    Password {
        /// How it is shown that we know the password.
        mechanism: Mechanism,
        /// The name.
        username: Arc<str>,
        /// What only we and the cluster know.
        password: Secret,
    },
    /// Tokens, which somebody gives us.
    Tokens(TokensFrom),
}

impl Login {
    /// How.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Self::Password { mechanism, .. } => *mechanism,
            Self::Tokens(_) => Mechanism::OauthBearer,
        }
    }

    /// How and as whom, without what is secret.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Password { mechanism, username, .. } => format!("{mechanism} as {username}"),
            Self::Tokens(from) => from.words(),
        }
    }

    /// Puts what stands for a secret in its place.
    #[cfg(test)]
    pub(super) fn hide(&mut self) {
        let hidden = Secret::new(Secret::HIDDEN.to_owned());
        match self {
            Self::Password { password, .. } => *password = hidden,
            Self::Tokens(TokensFrom::Endpoint(endpoint)) => endpoint.client_secret = hidden,
            Self::Tokens(TokensFrom::File(_) | TokensFrom::MskIam(_)) => {}
        }
    }

    /// What is secret in it.
    #[must_use]
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Password { password, .. } => Some(password),
            Self::Tokens(from) => from.secret(),
        }
    }
}
