//! What one batch's records say, summed by key while it is judged: records of a batch mostly share a few keys, and the sketch
//! is asked for each of them once.

use super::sketch::Counts;
use crate::policy::keys::Hashed;
use std::ops::Range;

/// Where a key may be found again, by its hash. Two that fall together are each noted more than once, which is no harm.
const PLACES: usize = 256;
/// So many are kept before they must be taken.
const MOST: usize = 1024;

/// See the module's text. Used again and again.
#[derive(Debug, Default)]
pub struct Heard {
    /// Where in `keys` a key was put last. What it says of batches before is no harm either: the key is compared.
    places: Vec<u16>,
    keys: Vec<One>,
    texts: Vec<u8>,
    /// Of all of them.
    pub(super) all: Counts,
}

#[derive(Debug)]
struct One {
    key: Hashed,
    counts: Counts,
    /// Its text in `texts`, where it has one.
    text: Option<Range<usize>>,
}

impl Heard {
    /// Notes what records of a key come to. `write` writes down what the key is, if it is anything; asked where it is new.
    #[inline]
    pub fn add(&mut self, key: Hashed, counts: Counts, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        self.all += counts;
        let place = usize::try_from(key.0 % PLACES as u64).unwrap_or_default();
        let known = self.places.get(place).and_then(|at| self.keys.get_mut(usize::from(*at)));
        match known.filter(|one| one.key == key) {
            Some(one) => one.counts += counts,
            None => self.add_new(place, key, counts, write),
        }
    }

    fn add_new(&mut self, place: usize, key: Hashed, counts: Counts, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        if self.places.is_empty() {
            self.places = vec![0; PLACES];
        }
        let begins = self.texts.len();
        let text = write(&mut self.texts).then_some(begins..self.texts.len());
        if let (Some(place), Ok(at)) = (self.places.get_mut(place), u16::try_from(self.keys.len())) {
            *place = at;
        }
        self.keys.push(One { key, counts, text });
    }

    /// Whether it must be taken before more is added.
    #[inline]
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.keys.len() >= MOST
    }

    /// Whether there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.texts.clear();
        self.all = Counts::default();
    }

    /// Each key, some of them perhaps more than once.
    pub(super) fn each(&self) -> impl Iterator<Item = (Hashed, Counts, Option<&[u8]>)> {
        self.keys.iter().map(|one| {
            let text = one.text.clone().map(|text| self.texts.get(text).unwrap_or_default());
            (one.key, one.counts, text)
        })
    }
}
