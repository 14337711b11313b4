//! How clients log in at a listener, as the config says it.

use super::oauth::Oauthbearer;
use super::secret::TextFrom;
use crate::types::Mechanism;
use std::time::Duration;

/// SASL of a listener: who has not logged in is served nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// By which of these; at least one, each once.
    pub mechanisms: Vec<Mechanism>,
    /// Who may log in with a password; there is something where a mechanism takes passwords.
    pub users: Option<TextFrom>,
    /// Who has not logged in anew by then (KIP-368) is closed; `None`: a session lasts.
    pub session_lifetime: Option<Duration>,
    /// Which tokens are taken; there where OAUTHBEARER is one of the mechanisms.
    pub oauthbearer: Option<Oauthbearer>,
}
