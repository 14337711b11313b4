//! The side that lets in. Who is unknown is led through the same exchange as who does not know the password, with the same
//! answers, so that nobody learns here which names there are (Kafka refuses an unknown name at once).

use super::messages::{self, ClientFinal, ClientFirst};
use super::{Credential, Hash, NoRandomness, is_same, nonce, xor};
use crate::security::server::{OTHERS_NAME, Refusal, Step};
use crate::security::users::Users;
use std::sync::Arc;

/// One exchange.
pub struct Exchange {
    hash: Hash,
    /// Our part of the nonce.
    nonce: String,
    state: State,
}

enum State {
    /// Nothing was said yet.
    Fresh,
    /// We have told a salt; the proof is to come.
    Challenged(Box<Challenged>),
    /// It has ended, well or not.
    Over,
}

struct Challenged {
    user: String,
    credential: Arc<Credential>,
    /// There is such a user. Else the credential is made up, and no password is right.
    is_real: bool,
    gs2_header: String,
    /// Both parts of the nonce.
    nonce: String,
    /// With the client's part once more before it, as librdkafka before 2.6.1 says it, and Kafka before 4 takes it. Ours is in it
    /// and all of it is signed, so that nothing old passes for new.
    doubled: String,
    /// The two first messages, as both sides sign them.
    signed: String,
}

impl Exchange {
    /// One with a nonce of its own: what was said in another does not fit.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn new(hash: Hash) -> Result<Self, NoRandomness> {
        Ok(Self::with_nonce(hash, nonce()?))
    }

    pub(super) fn with_nonce(hash: Hash, nonce: String) -> Self {
        Self { hash, nonce, state: State::Fresh }
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Whether the proof comes next.
    #[must_use]
    pub fn is_challenged(&self) -> bool {
        matches!(self.state, State::Challenged(_))
    }

    /// Who is to prove that it is who it says.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match &self.state {
            State::Challenged(challenged) => Some(&challenged.user),
            _ => None,
        }
    }

    /// What to answer.
    ///
    /// # Errors
    /// Where the client is not let in.
    pub fn step(&mut self, message: &[u8], users: &Users) -> Result<Step, Refusal> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Fresh => self.challenge(message, users),
            State::Challenged(challenged) => challenged.judge(self.hash, message),
            State::Over => Err(Refusal::of("it goes on after the exchange has ended")),
        }
    }

    fn challenge(&mut self, message: &[u8], users: &Users) -> Result<Step, Refusal> {
        let first = ClientFirst::read(message).map_err(|malformed| Refusal::of(malformed.0))?;
        let refused = |why| Refusal::of(why).claiming(&first.username);
        if first.token_auth {
            return Err(refused("it comes with a delegation token, which is one cluster's"));
        }
        if first.authorization_id.as_ref().is_some_and(|id| *id != first.username) {
            return Err(refused("it wants to pass for somebody else").telling(OTHERS_NAME));
        }
        let found = users.scram(&first.username, self.hash);
        let nonce = format!("{}{}", first.nonce, self.nonce);
        let answer = messages::server_first(&nonce, &found.credential.salt, found.credential.iterations.get());
        self.state = State::Challenged(Box::new(Challenged {
            gs2_header: first.gs2_header.to_owned(),
            signed: format!("{},{answer}", first.bare),
            user: first.username,
            credential: found.credential,
            is_real: found.is_real,
            doubled: format!("{}{nonce}", first.nonce),
            nonce,
        }));
        Ok(Step::Challenge(answer.into()))
    }
}

impl Challenged {
    fn judge(self, hash: Hash, message: &[u8]) -> Result<Step, Refusal> {
        let refused = |why| Refusal::of(why).claiming(&self.user);
        let last = ClientFinal::read(message).map_err(|malformed| refused(malformed.0))?;
        if last.nonce != self.nonce && last.nonce != self.doubled {
            return Err(refused("the nonce is not of this exchange: was it replayed?"));
        }
        if last.channel_binding != self.gs2_header.as_bytes() {
            return Err(refused("what it binds to is not what it said at first: did somebody change that on the way?"));
        }
        let signed = format!("{},{}", self.signed, last.without_proof);
        let signature = hash.hmac(&self.credential.stored_key, signed.as_bytes());
        let knows = last.proof.len() == signature.len()
            && is_same(&hash.digest(&xor(&last.proof, &signature)), &self.credential.stored_key);
        if !(knows & self.is_real) {
            return Err(refused(if self.is_real { "the password is wrong" } else { "there is no such user" }));
        }
        let ours = hash.hmac(&self.credential.server_key, signed.as_bytes());
        Ok(Step::done(&self.user, format!("v={}", messages::base64(&ours)).into()))
    }
}
