//! Who may log in with a password: what is kept of each, read from text. One line for each user and mechanism, in the form that
//! Kafka itself keeps such credentials in:
//!
//! ```text
//! alice SCRAM-SHA-256 salt=...,stored_key=...,server_key=...,iterations=4096
//! ```

pub mod file;
mod line;
mod text;

pub use line::{LONGEST_NAME, Line, is_name};
pub use text::{keyed, with, without};

use super::scram::{Credential, FEWEST_ITERATIONS, Hash};
use super::source::MOST_WRONG;
use ring::hmac;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

/// More than this is no file of users.
pub const MOST_BYTES: usize = 64 << 20;
/// What is wrong with a line. Repeats nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// From 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// All users of a listener.
pub struct Users {
    by_name: HashMap<String, OfUser>,
    /// What credentials of each hash look like.
    models: [Vec<Model>; 2],
    /// Makes what is told of names that nobody has.
    key: hmac::Key,
}

/// What is kept of a user.
#[derive(Clone, Debug, Default)]
struct OfUser {
    sha256: Option<Arc<Credential>>,
    sha512: Option<Arc<Credential>>,
}

/// A credential that an exchange can go on with.
pub struct Found {
    /// The user's, or one that is made up: the same each time for a name.
    pub credential: Arc<Credential>,
    /// It is the user's.
    pub is_real: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Model {
    /// How many are so.
    count: usize,
    iterations: u32,
    salt: usize,
}

impl Default for Users {
    /// Nobody.
    fn default() -> Self {
        Self::new(HashMap::new(), None)
    }
}

impl Users {
    /// Reads them.
    ///
    /// # Errors
    /// What is wrong, by lines. One line that is wrong leaves nobody: half a file lets half the users in.
    pub fn read(text: &str) -> Result<Self, Vec<Wrong>> {
        if text.len() > MOST_BYTES {
            return Err(vec![Wrong {
                line: 1,
                what: format!("this is too long for a file of users ({} bytes)", text.len()),
            }]);
        }
        let (mut by_name, mut wrong) = (HashMap::<String, OfUser>::new(), Vec::new());
        let secret = text.lines().find_map(text::secret_of);
        for (number, line) in (1..).zip(text.lines()) {
            match Line::read(line) {
                Ok(None) => {}
                Ok(Some(line)) => {
                    let place = by_name.entry(line.name.to_owned()).or_default().of_mut(line.hash);
                    if place.replace(Arc::new(line.credential)).is_some() {
                        let what =
                            format!("`{}` has another {} above; leave one out", line.name, line.hash.mechanism());
                        wrong.push(Wrong { line: number, what });
                    }
                }
                Err(what) => wrong.push(Wrong { line: number, what }),
            }
            if wrong.len() == MOST_WRONG {
                break;
            }
        }
        if wrong.is_empty() { Ok(Self::new(by_name, secret)) } else { Err(wrong) }
    }

    fn new(by_name: HashMap<String, OfUser>, secret: Option<Vec<u8>>) -> Self {
        let models = Hash::ALL.map(|hash| Model::all(hash, &by_name));
        let key = secret.map_or_else(|| key(&by_name), |secret| hmac::Key::new(hmac::HMAC_SHA512, &secret));
        Self { key, by_name, models }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether nobody may log in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Their names, each with what there is of it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Vec<(Hash, u32)>)> {
        let kept = |user: &OfUser| {
            let of = |hash| user.of(hash).map(|credential| (hash, credential.iterations.get()));
            Hash::ALL.into_iter().filter_map(of).collect()
        };
        self.by_name.iter().map(move |(name, user)| (name.as_str(), kept(user)))
    }

    /// How many have no credential of this hash, and cannot log in with its mechanism.
    #[must_use]
    pub fn lacking(&self, hash: Hash) -> usize {
        self.by_name.values().filter(|user| user.of(hash).is_none()).count()
    }

    /// For SCRAM.
    #[must_use]
    pub fn scram(&self, name: &str, hash: Hash) -> Found {
        let kept = self.by_name.get(name).and_then(|user| user.of(hash));
        kept.map_or_else(|| self.made_up(name, hash), |kept| Found { credential: Arc::clone(kept), is_real: true })
    }

    /// For PLAIN, which is content with either.
    #[must_use]
    pub fn any(&self, name: &str) -> (Hash, Found) {
        let user = self.by_name.get(name);
        let kept = |hash| Some((hash, user?.of(hash)?));
        match kept(Hash::Sha512).or_else(|| kept(Hash::Sha256)) {
            Some((hash, kept)) => (hash, Found { credential: Arc::clone(kept), is_real: true }),
            None => {
                let [sha256, sha512] = &self.models;
                let count = |models: &[Model]| models.iter().map(|model| model.count).sum::<usize>();
                let hash = if count(sha512) >= count(sha256) { Hash::Sha512 } else { Hash::Sha256 };
                (hash, self.made_up(name, hash))
            }
        }
    }

    /// As one of the others looks, as often as they look so. Nobody can tell it from one that is kept without knowing the key.
    fn made_up(&self, name: &str, hash: Hash) -> Found {
        let tag = |what: &str| {
            let mut context = hmac::Context::with_key(&self.key);
            [what, hash.mechanism().as_str(), name].iter().for_each(|part| {
                context.update(part.as_bytes());
                context.update(&[0]);
            });
            context.sign()
        };
        let drawn = tag("model").as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let Model { iterations, salt, .. } = Model::drawn(self.models.get(hash as usize), drawn);
        let salt = tag("salt").as_ref().iter().copied().cycle().take(salt).collect::<Vec<_>>();
        let key = |what| tag(what).as_ref().iter().copied().take(hash.digest_len()).collect::<Vec<_>>();
        let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        let credential = Credential::kept(&salt, iterations, key("stored"), key("server"));
        Found { credential: Arc::new(credential), is_real: false }
    }
}

impl OfUser {
    fn of(&self, hash: Hash) -> Option<&Arc<Credential>> {
        match hash {
            Hash::Sha256 => self.sha256.as_ref(),
            Hash::Sha512 => self.sha512.as_ref(),
        }
    }

    fn of_mut(&mut self, hash: Hash) -> &mut Option<Arc<Credential>> {
        match hash {
            Hash::Sha256 => &mut self.sha256,
            Hash::Sha512 => &mut self.sha512,
        }
    }
}

impl Model {
    /// All that there are.
    fn all(hash: Hash, users: &HashMap<String, OfUser>) -> Vec<Self> {
        let mut counts = BTreeMap::<(u32, usize), usize>::new();
        for kept in users.values().filter_map(|user| user.of(hash)) {
            *counts.entry((kept.iterations.get(), kept.salt.len())).or_default() += 1;
        }
        counts.into_iter().map(|((iterations, salt), count)| Self { count, iterations, salt }).collect()
    }

    /// One of them, by a number that is drawn; as ours are, where there is none.
    fn drawn(models: Option<&Vec<Self>>, number: u64) -> Self {
        let (mut models, all) = (models.into_iter().flatten(), models.into_iter().flatten());
        let total: usize = all.map(|model| model.count).sum();
        let mut left = usize::try_from(number % u64::try_from(total.max(1)).unwrap_or(1)).unwrap_or(0);
        let drawn = models.find(|model| {
            let is_it = left < model.count;
            left = left.saturating_sub(model.count);
            is_it
        });
        let ours = Self { count: 0, iterations: FEWEST_ITERATIONS, salt: super::scram::SALT };
        drawn.copied().unwrap_or(ours)
    }
}

/// Where the file has no secret for it: made of all stored keys, so that every replica with the same file tells the same of a name that
/// nobody has, before and after a restart. Another file tells something else, by which who asked before learns who is nobody.
fn key(users: &HashMap<String, OfUser>) -> hmac::Key {
    let sorted: BTreeMap<_, _> = users.iter().collect();
    let mut context = ring::digest::Context::new(&ring::digest::SHA512);
    for kept in sorted.values().flat_map(|user| Hash::ALL.into_iter().filter_map(|hash| user.of(hash))) {
        context.update(kept.keys().0);
    }
    hmac::Key::new(hmac::HMAC_SHA512, context.finish().as_ref())
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").field("len", &self.by_name.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
