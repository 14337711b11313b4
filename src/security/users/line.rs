//! One line of a file of users.

use super::super::scram::{Credential, FEWEST_ITERATIONS, Hash, MOST_ITERATIONS, messages};
use crate::types::Mechanism;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::num::NonZeroU32;

/// Bytes of a name at most.
pub const LONGEST_NAME: usize = 255;
/// Bytes of a salt, at least and at most.
const SALT: std::ops::RangeInclusive<usize> = 8..=255;

/// What is kept of one user for one mechanism.
#[derive(Debug)]
pub struct Line<'t> {
    /// The user.
    pub name: &'t str,
    /// Of the mechanism.
    pub hash: Hash,
    /// What is kept.
    pub credential: Credential,
}

/// Whether a user may be called so: what SCRAM can say, and fits into a line.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_visible = name.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    is_visible && (1..=LONGEST_NAME).contains(&name.len()) && !name.starts_with('#')
}

impl<'t> Line<'t> {
    /// Reads one; nothing of an empty one, and of one that begins with `#`.
    ///
    /// # Errors
    /// What is wrong, without a word of the line that may be secret.
    pub fn read(line: &'t str) -> Result<Option<Self>, String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(mechanism), Some(kept), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("a line is a name, a mechanism and a credential; `fishplate users add` writes it".to_owned());
        };
        if !is_name(name) {
            return Err(format!("a name is at most {LONGEST_NAME} visible ASCII characters"));
        }
        let hash = Mechanism::named(mechanism).and_then(Hash::of).ok_or_else(|| {
            format!("`{name}` has a mechanism that keeps no credentials; write SCRAM-SHA-256 or SCRAM-SHA-512")
        })?;
        let credential = credential(kept, hash).map_err(|what| format!("the credential of `{name}` {what}"))?;
        Ok(Some(Self { name, hash, credential }))
    }
}

fn credential(kept: &str, hash: Hash) -> Result<Credential, String> {
    let [mut salt, mut stored_key, mut server_key, mut iterations] = [None; 4];
    for field in kept.split(',') {
        let (key, value) = field.split_once('=').ok_or("has a part that is no `key=value`")?;
        let place = match key {
            "salt" => &mut salt,
            "stored_key" => &mut stored_key,
            "server_key" => &mut server_key,
            "iterations" => &mut iterations,
            _ => return Err("has a part that is none of salt, stored_key, server_key, iterations".to_owned()),
        };
        if place.replace(value).is_some() {
            return Err(format!("has two of {key}"));
        }
    }
    let bytes = |value: Option<&str>, key: &str| {
        let value = value.ok_or_else(|| format!("has no {key}"))?;
        STANDARD.decode(value).map_err(|_| format!("has a {key} that is not base64"))
    };
    let key = |value, key| {
        let bytes = bytes(value, key)?;
        let right = bytes.len() == hash.digest_len();
        right.then_some(bytes).ok_or_else(|| format!("has a {key} that is not of {} bytes", hash.digest_len()))
    };
    let salt = bytes(salt, "salt")?;
    if !SALT.contains(&salt.len()) {
        return Err(format!("has a salt that is not of {} to {} bytes", SALT.start(), SALT.end()));
    }
    let iterations = iterations.and_then(|text| text.parse().ok()).and_then(NonZeroU32::new);
    let iterations = iterations.filter(|number| (FEWEST_ITERATIONS..=MOST_ITERATIONS).contains(&number.get()));
    let iterations =
        iterations.ok_or_else(|| format!("needs iterations of {FEWEST_ITERATIONS} to {MOST_ITERATIONS}"))?;
    Ok(Credential::kept(&salt, iterations, key(stored_key, "stored_key")?, key(server_key, "server_key")?))
}

impl fmt::Display for Line<'_> {
    /// As it stands in a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, hash, credential } = self;
        let ((stored_key, server_key), salt) = (credential.keys(), messages::base64(&credential.salt));
        let [stored_key, server_key] = [stored_key, server_key].map(messages::base64);
        let iterations = credential.iterations;
        let mechanism = hash.mechanism();
        write!(
            f,
            "{name} {mechanism} salt={salt},stored_key={stored_key},server_key={server_key},iterations={iterations}"
        )
    }
}
