//! The side of who logs in. What a password becomes under a salt is kept, since it takes milliseconds and a cluster gives one user
//! the same salt on every connection (RFC 5802, 5.1).

use super::messages::{self, ServerFinal, ServerFirst};
use super::{FEWEST_ITERATIONS, Hash, Keys, NoRandomness, is_same, nonce, xor};
use crate::config::Secret;
use crate::security::client::Refused;
use parking_lot::Mutex;
use std::num::NonZeroU32;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A server that asks for more rounds would cost us a processor: no Kafka does (its own bound is 16,384).
const MOST_ITERATIONS: u32 = super::MOST_ITERATIONS;

/// Who logs in, for many exchanges.
pub struct Login {
    hash: Hash,
    username: String,
    password: Secret,
    known: Mutex<Option<Arc<Known>>>,
}

/// What the password became.
struct Known {
    salt: Vec<u8>,
    iterations: u32,
    keys: Keys,
}

impl Login {
    /// As this user.
    #[must_use]
    pub fn new(hash: Hash, username: &str, password: Secret) -> Arc<Self> {
        Arc::new(Self { hash, username: username.to_owned(), password, known: Mutex::default() })
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    #[cfg(test)]
    pub(super) fn known_keys(&self, salt: &[u8]) -> usize {
        let known = self.keys(salt, NonZeroU32::new(FEWEST_ITERATIONS).unwrap());
        Arc::as_ptr(&known) as usize
    }

    fn keys(&self, salt: &[u8], iterations: NonZeroU32) -> Arc<Known> {
        let is_it = |known: &&Arc<Known>| known.salt == salt && known.iterations == iterations.get();
        if let Some(known) = self.known.lock().as_ref().filter(is_it) {
            return Arc::clone(known);
        }
        let keys = Keys::derive(self.hash, self.password.reveal(), salt, iterations);
        let known = Arc::new(Known { salt: salt.to_vec(), iterations: iterations.get(), keys });
        *self.known.lock() = Some(Arc::clone(&known));
        known
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("hash", &self.hash).field("username", &self.username).finish_non_exhaustive()
    }
}

/// One exchange.
#[derive(Debug)]
pub struct Exchange {
    login: Arc<Login>,
    nonce: String,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its first message is still to be answered.
    Asked,
    /// The proof was sent; the server must show that it knows the password, too.
    Proved { signature: Zeroizing<Vec<u8>> },
    /// It has ended, well or not.
    Over,
}

impl Exchange {
    /// One with a nonce of its own.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn new(login: &Arc<Login>) -> Result<Self, NoRandomness> {
        Ok(Self::with_nonce(login, nonce()?))
    }

    pub(super) fn with_nonce(login: &Arc<Login>, nonce: String) -> Self {
        Self { login: Arc::clone(login), nonce, state: State::Asked }
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.login.hash
    }

    /// The first message.
    #[must_use]
    pub fn first(&self) -> String {
        messages::client_first(&self.login.username, &self.nonce).0
    }

    /// What to say to a server's message; nothing where all is well and over.
    ///
    /// # Errors
    /// Where the server does not let us in, or is not who it must be.
    pub fn step(&mut self, message: &[u8]) -> Result<Option<String>, Refused> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asked => self.prove(message).map(Some),
            State::Proved { signature } => check(message, &signature).map(|()| None),
            State::Over => Err(Refused::Unexpected("it goes on after the exchange has ended")),
        }
    }

    fn prove(&mut self, message: &[u8]) -> Result<String, Refused> {
        let server = ServerFirst::read(message)?;
        if server.nonce.strip_prefix(&*self.nonce).is_none_or(str::is_empty) {
            return Err(Refused::Unexpected("its nonce does not continue ours: this is an answer to somebody else"));
        }
        if !(FEWEST_ITERATIONS..=MOST_ITERATIONS).contains(&server.iterations) {
            return Err(Refused::Iterations(server.iterations, FEWEST_ITERATIONS, MOST_ITERATIONS));
        }
        let iterations = NonZeroU32::new(server.iterations).unwrap_or(NonZeroU32::MIN);
        let (hash, known) = (self.login.hash, self.login.keys(&server.salt, iterations));
        let bare = messages::client_first(&self.login.username, &self.nonce).1;
        let server_first = std::str::from_utf8(message).unwrap_or_default();
        let without_proof = messages::client_final_without_proof(server.nonce);
        let signed = format!("{bare},{server_first},{without_proof}");
        let stored_key = hash.digest(&known.keys.client);
        let proof = xor(&known.keys.client, &hash.hmac(&stored_key, signed.as_bytes()));
        self.state = State::Proved { signature: hash.hmac(&known.keys.server, signed.as_bytes()) };
        Ok(format!("{without_proof},p={}", messages::base64(&proof)))
    }

    /// Whether the server has shown that it knows the password.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

fn check(message: &[u8], expected: &[u8]) -> Result<(), Refused> {
    match ServerFinal::read(message)? {
        ServerFinal::Error(error) => Err(Refused::Told(error.chars().take(200).collect())),
        ServerFinal::Signature(signature) if is_same(&signature, expected) => Ok(()),
        ServerFinal::Signature(_) => {
            Err(Refused::Unexpected("its signature is wrong: it does not know the password, and may be somebody else"))
        }
    }
}
