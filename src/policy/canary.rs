//! A canary: which records go to the same topic on another cluster. It says so of a key each time, on every Fishplate and after a
//! restart, so that what belongs together stays together.

use super::keys::{Hashed, Key, Secret, Share, Who};
use super::names::Found;
use crate::wire::batch::Record;
use crate::wire::batch::edit::Lane;
use std::collections::HashSet;

/// See the module's text.
#[derive(Debug)]
pub struct Canary {
    /// What tells which.
    pub key: Key,
    /// Those that are listed, hashed with the secret of shares: one hash tells both.
    pub listed: HashSet<Hashed>,
    /// And this share of all.
    pub share: Share,
    /// Where they go.
    pub lane: Lane,
}

impl Canary {
    /// Whether there is any record that goes there.
    #[must_use]
    pub fn may_have(&self) -> bool {
        self.share != Share::NONE || !self.listed.is_empty()
    }

    /// Whether a record goes there. One that lacks a part of the key does so only where all do: as a key like others it would be most of the traffic
    /// at once, or none of it.
    #[inline]
    #[must_use]
    pub fn has(&self, shares: Secret, record: &Record<'_>, found: &Found<'_>, who: Who<'_>) -> bool {
        if self.share == Share::ALL {
            return true;
        }
        if !self.key.is_whole(record, found) {
            return false;
        }
        let key = self.key.of(shares, record, found, who);
        self.listed.contains(&key) || self.share.has(key)
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::Part;
    use super::super::names::Names;
    use super::super::testing::{Made, walk};
    use super::*;

    /// Which of these tokens go over.
    fn over(listed: &[&str], share: Share, tokens: &[Option<&str>]) -> Vec<bool> {
        let (shares, mut names) = (Secret::of("test"), Names::default());
        let key = Key::new(vec![Part::Header(names.ask(b"token").unwrap())]);
        let listed = listed.iter().map(|token| Key::of_text(shares, [*token])).collect();
        let canary = Canary { key, listed, share, lane: Lane(3) };
        let has = |token: &Option<&str>| {
            let headers = [("token", *token)];
            let section = Made { headers: &headers, ..Made::default() }.section();
            let record = &walk(&section, 1)[0];
            let mut found = Found::default();
            names.find(record, &mut found).unwrap();
            canary.has(shares, record, &found, Who::default())
        };
        tokens.iter().map(has).collect()
    }

    #[test]
    fn listed_keys_go_over_and_those_of_the_share() {
        assert_eq!(over(&["a"], Share::NONE, &[Some("a"), Some("b"), None, Some("")]), [true, false, false, false]);
        let tokens: Vec<_> = (0..1_000).map(|number| number.to_string()).collect();
        let tokens: Vec<_> = tokens.iter().map(|token| Some(&**token)).collect();
        let (small, large) = (over(&["7"], Share(100_000), &tokens), over(&["7"], Share(500_000), &tokens));
        let count = |over: &[bool]| over.iter().filter(|over| **over).count();
        assert!(
            (50..150).contains(&count(&small)) && (400..600).contains(&count(&large)),
            "{} {}",
            count(&small),
            count(&large)
        );
        assert!(
            small[7] && small.iter().zip(&large).all(|(small, large)| !small || *large),
            "who is in a share is in a larger one"
        );
    }

    #[test]
    fn who_has_no_key_goes_over_with_all_others_only() {
        let almost = Share(999_999);
        assert_eq!(over(&[], almost, &[None]), [false]);
        assert_eq!(over(&[], Share::ALL, &[None, Some("a")]), [true, true]);
    }
}
