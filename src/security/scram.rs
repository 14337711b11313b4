//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677) as Kafka speaks them: names and passwords are taken as they are (no
//! SASLprep), there is no channel binding, and delegation tokens (`tokenauth`) are refused. Here is what both sides reckon with.

pub mod client;
pub mod messages;
pub mod server;

use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};
use std::fmt;
use std::num::NonZeroU32;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::types::Mechanism;

/// Fewer rounds than this are refused on both sides, as by Kafka.
pub const FEWEST_ITERATIONS: u32 = 4096;
/// More than this no credential of ours has: Kafka's own bound.
pub const MOST_ITERATIONS: u32 = 16_384;
/// Bytes of a salt that we make.
pub(super) const SALT: usize = 32;
/// Bytes of what is random in a nonce: text of a third more.
const NONCE: usize = 24;

/// The hash of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hash {
    /// Of SCRAM-SHA-256.
    Sha256,
    /// Of SCRAM-SHA-512.
    Sha512,
}

/// Zeroed when it goes.
pub(super) type Bytes = Zeroizing<Vec<u8>>;

/// The system gives no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

impl Hash {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// That of a mechanism, where it is one of SCRAM.
    #[must_use]
    pub const fn of(mechanism: Mechanism) -> Option<Self> {
        match mechanism {
            Mechanism::ScramSha256 => Some(Self::Sha256),
            Mechanism::ScramSha512 => Some(Self::Sha512),
            Mechanism::Plain | Mechanism::OauthBearer => None,
        }
    }

    /// The mechanism with it.
    #[must_use]
    pub const fn mechanism(self) -> Mechanism {
        match self {
            Self::Sha256 => Mechanism::ScramSha256,
            Self::Sha512 => Mechanism::ScramSha512,
        }
    }

    /// Bytes of its digests.
    #[must_use]
    pub fn digest_len(self) -> usize {
        self.digests().output_len()
    }

    fn digests(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }

    pub(super) fn digest(self, of: &[u8]) -> Bytes {
        Zeroizing::new(digest::digest(self.digests(), of).as_ref().to_vec())
    }

    pub(super) fn hmac(self, key: &[u8], message: &[u8]) -> Bytes {
        let algorithm = match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        };
        Zeroizing::new(hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec())
    }

    /// RFC 5802's Hi. Takes a processor for milliseconds.
    fn salted_password(self, password: &str, salt: &[u8], iterations: NonZeroU32) -> Bytes {
        let algorithm = match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut salted = Zeroizing::new(vec![0; self.digest_len()]);
        pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut salted);
        salted
    }
}

/// Whether two are the same, in a time that does not tell where they differ.
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// One where the other is not; as long as the shorter one.
pub(super) fn xor(one: &[u8], other: &[u8]) -> Bytes {
    Zeroizing::new(one.iter().zip(other).map(|(one, other)| one ^ other).collect())
}

/// Random bytes.
fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// Text that nobody can guess, without a comma.
pub(super) fn nonce() -> Result<String, NoRandomness> {
    Ok(messages::base64(&random::<NONCE>()?))
}

/// What follows from a password, a salt and a number of rounds.
pub(super) struct Keys {
    pub(super) client: Bytes,
    pub(super) server: Bytes,
}

impl Keys {
    pub(super) fn derive(hash: Hash, password: &str, salt: &[u8], iterations: NonZeroU32) -> Self {
        let salted = hash.salted_password(password, salt, iterations);
        Self { client: hash.hmac(&salted, b"Client Key"), server: hash.hmac(&salted, b"Server Key") }
    }
}

/// What a server keeps of a user's password: enough to check who knows it, not enough to pass for them elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Not secret: whoever begins to log in is told.
    pub salt: Box<[u8]>,
    /// The same.
    pub iterations: NonZeroU32,
    pub(super) stored_key: Bytes,
    pub(super) server_key: Bytes,
}

impl Credential {
    /// Of a password, with a salt of its own.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn new(hash: Hash, password: &str, iterations: NonZeroU32) -> Result<Self, NoRandomness> {
        Ok(Self::derive(hash, password, &random::<SALT>()?, iterations))
    }

    /// Of a password, with this salt.
    #[must_use]
    pub fn derive(hash: Hash, password: &str, salt: &[u8], iterations: NonZeroU32) -> Self {
        let keys = Keys::derive(hash, password, salt, iterations);
        Self { salt: salt.into(), iterations, stored_key: hash.digest(&keys.client), server_key: keys.server }
    }

    /// One that was written down.
    #[must_use]
    pub fn kept(salt: &[u8], iterations: NonZeroU32, stored_key: Vec<u8>, server_key: Vec<u8>) -> Self {
        let (stored_key, server_key) = (Zeroizing::new(stored_key), Zeroizing::new(server_key));
        Self { salt: salt.into(), iterations, stored_key, server_key }
    }

    /// Whether it is of this password. Takes as long as a password takes to be salted.
    #[must_use]
    pub fn is_of(&self, hash: Hash, password: &str) -> bool {
        let keys = Keys::derive(hash, password, &self.salt, self.iterations);
        is_same(&hash.digest(&keys.client), &self.stored_key)
    }

    /// The two keys, for who writes them down: those who can read them can check guesses at the password.
    #[must_use]
    pub fn keys(&self) -> (&[u8], &[u8]) {
        (&self.stored_key, &self.server_key)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
