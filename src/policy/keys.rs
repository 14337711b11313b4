//! Whom a limit counts a record under: a header, several, the record's key, or who sends it. Keys come from outside, so
//! they are hashed with a secret: nobody can make one that falls together with another's. The key itself is kept nowhere.

pub use crate::config::policy::Share;

use super::names::{Found, Name};
use crate::wire::batch::Record;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// A part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A header's value.
    Header(Name),
    /// The record's own key.
    RecordKey,
    /// The name that the client proved to have.
    Principal,
    /// What the client calls itself.
    ClientId,
}

/// Who sends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Who<'a> {
    /// The name that it proved to have.
    pub principal: &'a str,
    /// What it calls itself.
    pub client_id: &'a str,
}

/// A key, hashed. What has no key has the hash of nothing, and shares it: leaving the header out is no way around a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hashed(pub u64);

/// What a hash is keyed with.
#[derive(Clone, Copy)]
pub struct Secret([u64; 2]);

impl Secret {
    /// One that is made for this run.
    #[must_use]
    pub fn random() -> Self {
        Self([random(), random()])
    }

    /// One that everybody makes of a name: for shares of keys, which must be the same everywhere and after a restart.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let half = |salt| {
            let mut hasher = SipHasher13::new_with_keys(salt, 0);
            hasher.write(name.as_bytes());
            hasher.finish()
        };
        Self([half(1), half(2)])
    }

    fn hasher(self) -> SipHasher13 {
        let [one, other] = self.0;
        SipHasher13::new_with_keys(one, other)
    }
}

/// From the system, by the standard library's own way to it.
fn random() -> u64 {
    use std::hash::BuildHasher;
    std::hash::RandomState::new().build_hasher().finish()
}

/// What a limit's key is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    parts: Vec<Part>,
}

impl Key {
    /// Of these parts, in this order.
    #[must_use]
    pub fn new(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    /// Its only part, where it has no more.
    #[inline]
    #[must_use]
    pub fn only(&self) -> Option<Part> {
        match self.parts[..] {
            [part] => Some(part),
            _ => None,
        }
    }

    /// Whether a record has all parts of one that a record bears.
    #[inline]
    #[must_use]
    pub fn is_whole(&self, record: &Record<'_>, found: &Found<'_>) -> bool {
        self.parts.iter().all(|part| match part {
            Part::Header(name) => found.value(*name).is_some(),
            Part::RecordKey => record.key.is_some(),
            Part::Principal | Part::ClientId => true,
        })
    }

    /// That of a record.
    #[inline]
    #[must_use]
    pub fn of(&self, secret: Secret, record: &Record<'_>, found: &Found<'_>, who: Who<'_>) -> Hashed {
        let part = |part: &Part| match part {
            Part::Header(name) => found.value(*name),
            Part::RecordKey => record.key,
            Part::Principal => Some(who.principal.as_bytes()),
            Part::ClientId => Some(who.client_id.as_bytes()),
        };
        Self::hash(secret, self.parts.iter().map(part))
    }

    /// Writes the key down as overrides have it, its parts joined by `+`, and no more than `most` bytes of it; says whether
    /// there is anything.
    pub fn write(&self, record: &Record<'_>, found: &Found<'_>, who: Who<'_>, most: usize, out: &mut Vec<u8>) -> bool {
        let end = out.len() + most;
        let mut is_there = false;
        for (place, part) in self.parts.iter().enumerate() {
            let part = match part {
                Part::Header(name) => found.value(*name),
                Part::RecordKey => record.key,
                Part::Principal => Some(who.principal.as_bytes()),
                Part::ClientId => Some(who.client_id.as_bytes()),
            };
            is_there |= part.is_some();
            let join: &[u8] = if place > 0 { b"+" } else { b"" };
            for bytes in [join, part.unwrap_or_default()] {
                let room = end.saturating_sub(out.len());
                out.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            }
        }
        is_there
    }

    /// That of all records of a client, where it is made of nothing else.
    #[must_use]
    pub fn of_client(&self, secret: Secret, who: Who<'_>) -> Hashed {
        let part = |part: &Part| match part {
            Part::Principal => Some(who.principal.as_bytes()),
            Part::ClientId => Some(who.client_id.as_bytes()),
            Part::Header(_) | Part::RecordKey => None,
        };
        Self::hash(secret, self.parts.iter().map(part))
    }

    /// That of a key which is written out, one text a part, as in a config's overrides.
    #[must_use]
    pub fn of_text<'a>(secret: Secret, parts: impl IntoIterator<Item = &'a str>) -> Hashed {
        Self::hash(secret, parts.into_iter().collect::<Vec<_>>().into_iter().map(|text| Some(text.as_bytes())))
    }

    /// Several parts each with its length before it, so that no two keys run together.
    #[inline]
    fn hash<'a>(secret: Secret, mut parts: impl ExactSizeIterator<Item = Option<&'a [u8]>>) -> Hashed {
        if parts.len() == 1 {
            return Self::hash_one(secret, parts.next().flatten());
        }
        let mut hasher = secret.hasher();
        for part in parts {
            hasher.write_u64(part.map_or(u64::MAX, |bytes| bytes.len().try_into().unwrap_or(u64::MAX)));
            hasher.write(part.unwrap_or_default());
        }
        Hashed(hasher.finish())
    }

    /// Nothing is something else than an empty key: all bits of its hash are others.
    #[inline]
    fn hash_one(secret: Secret, part: Option<&[u8]>) -> Hashed {
        match part {
            Some(bytes) => Hashed(secret.hasher().hash(bytes)),
            None => Hashed(!secret.hasher().hash(&[])),
        }
    }
}

impl Share {
    /// Whether a key is in it. Who is in a share is in every larger one.
    #[must_use]
    pub fn has(self, key: Hashed) -> bool {
        let place = (u128::from(key.0) * u128::from(Self::ALL.0)) >> 64;
        place < u128::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::names::Names;
    use crate::policy::testing::{Made, walk};

    const WHO: Who<'_> = Who { principal: "capture", client_id: "one" };

    fn hashed(parts: &[Part], names: &Names, made: &Made) -> Hashed {
        let section = made.section();
        let record = &walk(&section, 1)[0];
        let mut found = Found::default();
        names.find(record, &mut found).unwrap();
        Key::new(parts.to_vec()).of(Secret::of("test"), record, &found, WHO)
    }

    #[test]
    fn keys_are_what_they_are_made_of() {
        let mut names = Names::default();
        let (token, id) = (Part::Header(names.ask(b"token").unwrap()), Part::Header(names.ask(b"id").unwrap()));
        let of = |parts: &[Part], headers: &[(&str, Option<&str>)]| {
            hashed(parts, &names, &Made { key: Some("k"), headers, ..Made::default() })
        };
        let both = [("token", Some("ab")), ("id", Some("c"))];
        assert_eq!(of(&[token], &both), of(&[token], &both[..1]), "other headers do not matter");
        assert_ne!(of(&[token, id], &both), of(&[token], &both));
        let shifted = [("token", Some("a")), ("id", Some("bc"))];
        assert_ne!(of(&[token, id], &both), of(&[token, id], &shifted), "parts do not run together");
        assert_ne!(of(&[token], &[("token", Some(""))]), of(&[token], &[]), "empty is not absent");
        assert_eq!(of(&[token], &[("token", None)]), of(&[token], &[]), "null is");
        assert_eq!(of(&[Part::RecordKey], &[]), Key::of_text(Secret::of("test"), ["k"]));
        assert_eq!(of(&[Part::Principal, Part::ClientId], &[]), Key::of_text(Secret::of("test"), ["capture", "one"]));
    }

    #[test]
    fn a_clients_key_needs_no_record() {
        let key = Key::new(vec![Part::Principal, Part::ClientId]);
        let secret = Secret::random();
        assert_eq!(key.of_client(secret, WHO), Key::of_text(secret, ["capture", "one"]));
    }

    #[test]
    fn secrets_differ_and_names_make_the_same_ones() {
        let of = |secret| Key::of_text(secret, ["phc_a"]);
        assert_ne!(of(Secret::random()), of(Secret::random()));
        assert_eq!(of(Secret::of("events-prod")), of(Secret::of("events-prod")));
        assert_ne!(of(Secret::of("events-prod")), of(Secret::of("events-dev")));
    }

    #[test]
    fn a_share_has_as_many_keys_as_it_says_and_grows() {
        let keys: Vec<_> = (0..20_000).map(|number| Key::of_text(Secret::of("x"), [&*number.to_string()])).collect();
        let shares = [0, 1_000, 50_000, 500_000, 1_000_000].map(Share);
        for (share, millionths) in shares.iter().zip([0.0, 1_000.0, 50_000.0, 500_000.0, 1_000_000.0_f64]) {
            let count = f64::from(u32::try_from(keys.iter().filter(|key| share.has(**key)).count()).unwrap());
            assert!((count - millionths / 50.0).abs() <= 5.0 * (millionths / 50.0).sqrt(), "{share:?}: {count}");
        }
        for pair in shares.windows(2) {
            assert!(keys.iter().all(|key| !pair[0].has(*key) || pair[1].has(*key)));
        }
        assert!(Share::ALL.has(Hashed(u64::MAX)) && !Share::NONE.has(Hashed(0)));
    }
}
