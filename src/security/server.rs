//! Letting somebody in: one exchange of SASL, as what to answer to what was said. Pure; who reads, sends and counts is `session`.

use super::jwks_task::Verifier;
use super::oauthbearer::{self, Heard};
use super::plain;
use super::scram::{self, NoRandomness};
use super::users::Users;
use crate::types::Mechanism;
use bytes::Bytes;
use std::time::{Duration, SystemTime};

/// Kafka's words, which clients show.
pub const OTHERS_NAME: &str =
    "Authentication failed: Client requested an authorization id that is different from username";
/// The same.
pub const WRONG_PASSWORD: &str = "Authentication failed: Invalid username or password";

/// Of a name that somebody claims, so many characters are kept for the log.
const LONGEST_CLAIM: usize = 100;

/// What to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This, and go on.
    Challenge(Bytes),
    /// This, which tells the client in the mechanism's own words that it is not let in. It says that it has read it, and is told
    /// once more.
    Refused {
        /// What to answer.
        answer: Bytes,
        /// Why.
        why: Refusal,
    },
    /// This, and it is over: the client is who it says.
    Done {
        /// The name.
        user: String,
        /// What to answer.
        answer: Bytes,
        /// How long what it has shown is good for, where that has an end.
        lifetime: Option<Duration>,
    },
}

impl Step {
    /// Over, for as long as the listener likes.
    #[must_use]
    pub fn done(user: &str, answer: Bytes) -> Self {
        Self::Done { user: user.to_owned(), answer, lifetime: None }
    }
}

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For the operator. Says no secret.
    pub why: &'static str,
    /// Who it claims to be; cut, and fit for a line of the log.
    pub claims: Option<String>,
    /// What the client is told, where that is not the common sentence that tells nothing.
    pub told: Option<&'static str>,
}

impl Refusal {
    /// For this reason.
    #[must_use]
    pub fn of(why: &'static str) -> Self {
        Self { why, claims: None, told: None }
    }

    /// Of who claims to be this.
    #[must_use]
    pub fn claiming(self, name: &str) -> Self {
        let plain = |c: char| if c.is_control() { '_' } else { c };
        Self { claims: Some(name.chars().take(LONGEST_CLAIM).map(plain).collect()), ..self }
    }

    /// In these words to the client.
    #[must_use]
    pub fn telling(self, told: &'static str) -> Self {
        Self { told: Some(told), ..self }
    }
}

/// One exchange.
pub enum ServerExchange {
    /// One message.
    Plain,
    /// Two messages.
    Scram(scram::server::Exchange),
    /// One message, or two where the token is not taken. Its step is [`ServerExchange::judge`].
    OauthBearer(oauthbearer::ServerExchange),
}

impl ServerExchange {
    /// A new one, for one connection, once.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn new(mechanism: Mechanism) -> Result<Self, NoRandomness> {
        Ok(match (mechanism, scram::Hash::of(mechanism)) {
            (_, Some(hash)) => Self::Scram(scram::server::Exchange::new(hash)?),
            (Mechanism::OauthBearer, None) => Self::OauthBearer(oauthbearer::ServerExchange::default()),
            (_, None) => Self::Plain,
        })
    }

    /// What SaslHandshake said.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Self::Plain => Mechanism::Plain,
            Self::Scram(exchange) => exchange.hash().mechanism(),
            Self::OauthBearer(_) => Mechanism::OauthBearer,
        }
    }

    /// Whether a step takes a processor for milliseconds, so that it must not be done where clients are served.
    #[must_use]
    pub fn is_costly(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// Whether the next message may be a guess. Nobody guesses what an issuer signs.
    #[must_use]
    pub fn may_be_guessed(&self) -> bool {
        match self {
            Self::Plain => true,
            Self::Scram(exchange) => exchange.is_challenged(),
            Self::OauthBearer(_) => false,
        }
    }

    /// Whether the client was told already that it is not let in.
    #[must_use]
    pub fn has_refused(&self) -> bool {
        matches!(self, Self::OauthBearer(exchange) if exchange.has_refused())
    }

    /// The name that the next message is to prove, where that is said by now.
    #[must_use]
    pub fn claims<'m>(&'m self, message: &'m [u8]) -> Option<&'m str> {
        match self {
            Self::Plain => plain::Message::read(message).ok().map(|said| said.username),
            Self::Scram(exchange) => exchange.user(),
            Self::OauthBearer(_) => None,
        }
    }

    /// What to answer to this message. After anything but a challenge the exchange is over.
    ///
    /// # Errors
    /// Where the client is not let in.
    pub fn step(&mut self, message: &[u8], users: &Users) -> Result<Step, Refusal> {
        match self {
            Self::Plain => check_password(message, users),
            Self::Scram(exchange) => exchange.step(message, users),
            Self::OauthBearer(_) => Err(Refusal::of("no token is taken here")),
        }
    }

    /// What to answer to this message of an exchange with a token; may wait for an issuer's newest keys, some seconds at most.
    ///
    /// # Errors
    /// Where the client is not let in.
    pub async fn judge(&mut self, message: &[u8], verifier: &Verifier, now: SystemTime) -> Result<Step, Refusal> {
        let Self::OauthBearer(exchange) = self else { return Err(Refusal::of("no token was to be judged")) };
        let first = match exchange.read(message) {
            Heard::Judge(first) => first,
            Heard::Refuse(refusal) => return Err(refused(&refusal)),
        };
        let judged = verifier.judge(first.token, now).await.ok();
        let principal = judged.as_ref().map(|verified| &*verified.principal);
        match (exchange.answer(&first, principal), &judged) {
            (oauthbearer::Answer::Challenge(bytes), _) => {
                Ok(Step::Refused { answer: Bytes::from_static(bytes), why: Refusal::of("the token is not taken") })
            }
            (oauthbearer::Answer::Done, Some(verified)) => Ok(Step::Done {
                user: verified.principal.to_string(),
                answer: Bytes::new(),
                lifetime: Some(verified.expires.duration_since(now).unwrap_or_default()),
            }),
            (oauthbearer::Answer::Refuse(refusal), _) => Err(refused(&refusal).claiming(principal.unwrap_or_default())),
            (oauthbearer::Answer::Done, None) => Err(Refusal::of("the token is not taken")),
        }
    }
}

fn refused(refusal: &oauthbearer::Refusal) -> Refusal {
    match refusal {
        oauthbearer::Refusal::Said(told) => Refusal::of("the token is not taken").telling(told),
        oauthbearer::Refusal::Malformed(malformed) => Refusal::of(malformed.what()),
    }
}

/// Takes as long for a name that nobody has.
fn check_password(message: &[u8], users: &Users) -> Result<Step, Refusal> {
    let said = plain::Message::read(message).map_err(|wrong| Refusal::of(wrong.why()).telling(wrong.told()))?;
    let refused = |why| Refusal::of(why).claiming(said.username);
    let (hash, found) = users.any(said.username);
    let is_right = found.credential.is_of(hash, said.password);
    if !(is_right & found.is_real) {
        let why = if found.is_real { "the password is wrong" } else { "there is no such user" };
        return Err(refused(why).telling(WRONG_PASSWORD));
    }
    if !said.authorization_id.is_empty() && said.authorization_id != said.username {
        return Err(refused("it wants to pass for somebody else").telling(OTHERS_NAME));
    }
    Ok(Step::done(said.username, Bytes::new()))
}
