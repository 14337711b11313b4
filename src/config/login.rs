//! How Fishplate logs in to a cluster, as the config says it.

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
}

impl Login {
    /// How.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Self::Password { mechanism, .. } => *mechanism,
        }
    }
}
