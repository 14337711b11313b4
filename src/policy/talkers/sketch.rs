//! The keys that say the most, in bounded memory (Space-Saving: Metwally, Agrawal and El Abbadi, 2005). A key that is new takes
//! the place of the one that has said least, and inherits its weight: so whoever says much gets a place and keeps it, and a
//! stream of keys that come once drives out only each other. Places are divided by the key's hash, a few to a part, so that
//! nothing must be kept in order. What is told of a key was counted while it had a place: it is never too much.

use crate::policy::keys::Hashed;
use serde::Serialize;
use std::ops::AddAssign;

/// Parts, and places in each.
const SETS: usize = 32;
const WAYS: usize = 8;
/// So many keys have a place.
pub const COUNTERS: usize = SETS * WAYS;
/// No more of a key's text is kept.
pub const LONGEST: usize = 80;

/// What records come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// How many.
    pub records: u64,
    /// Their keys, values and headers, not compressed.
    pub bytes: u64,
    /// How many went to a lane, were dropped or refused.
    pub diverted: u64,
    /// How many had their client wait.
    pub held: u64,
}

impl AddAssign for Counts {
    #[inline]
    fn add_assign(&mut self, more: Self) {
        self.records += more.records;
        self.bytes += more.bytes;
        self.diverted += more.diverted;
        self.held += more.held;
    }
}

/// A key's text, cut, in place: keys that come and go allocate nothing.
#[derive(Clone, Debug)]
pub(super) struct Text {
    bytes: [u8; LONGEST],
    long: u8,
}

impl Text {
    fn of(text: &[u8]) -> Self {
        let mut bytes = [0; LONGEST];
        let text = text.get(..LONGEST).unwrap_or(text);
        if let Some(place) = bytes.get_mut(..text.len()) {
            place.copy_from_slice(text);
        }
        Self { bytes, long: u8::try_from(text.len()).unwrap_or_default() }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.long)).unwrap_or_default()
    }
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Sketch {
    sets: Vec<Set>,
    /// What all keys said, those without a place too.
    all: Counts,
}

/// A few places, by columns: looking for a key reads no more than the keys. A place that has no weight is free.
#[derive(Clone, Debug, Default)]
struct Set {
    keys: [u64; WAYS],
    weights: [u64; WAYS],
    counts: [Counts; WAYS],
    texts: [Option<Box<Text>>; WAYS],
}

impl Default for Sketch {
    fn default() -> Self {
        Self { sets: vec![Set::default(); SETS], all: Counts::default() }
    }
}

impl Sketch {
    /// What all keys said together.
    pub(super) fn all(&self) -> Counts {
        self.all
    }

    /// Adds to what all said. What each said is [noted](Sketch::note) beside.
    pub(super) fn add(&mut self, all: Counts) {
        self.all += all;
    }

    /// Notes what a key said.
    pub(super) fn note(&mut self, key: Hashed, counts: Counts, text: Option<&[u8]>) {
        let weight = self.weight(counts);
        // The upper bits: what falls together in one batch falls apart here.
        let place = usize::try_from(key.0 >> 32).unwrap_or_default() % SETS;
        if let Some(set) = self.sets.get_mut(place) {
            set.note(key.0, weight, counts, text);
        }
    }

    /// Takes in all that another one has.
    pub(super) fn absorb(&mut self, other: &Self) {
        other.each(|key, text, counts| self.note(key, counts, text.map(Text::as_slice)));
        self.add(other.all);
    }

    /// Many records weigh as much as many bytes, of one key as of all. What was moved aside or held weighs once more.
    fn weight(&self, Counts { records, bytes, diverted, held }: Counts) -> u64 {
        let usual = self.all.bytes / self.all.records.max(1);
        bytes.saturating_add((records + diverted + held).saturating_mul(usual)).max(1)
    }

    /// Each key that has a place.
    pub(super) fn each<'a>(&'a self, mut see: impl FnMut(Hashed, Option<&'a Text>, Counts)) {
        for set in &self.sets {
            for (((key, weight), counts), text) in set.keys.iter().zip(&set.weights).zip(&set.counts).zip(&set.texts) {
                if *weight > 0 {
                    see(Hashed(*key), text.as_deref(), *counts);
                }
            }
        }
    }

    /// Forgets all of it.
    pub(super) fn clear(&mut self) {
        self.sets.iter_mut().for_each(|set| set.weights = [0; WAYS]);
        self.all = Counts::default();
    }
}

impl Set {
    #[inline]
    fn note(&mut self, key: u64, weight: u64, counts: Counts, text: Option<&[u8]>) {
        let mut places = self.keys.iter().zip(&mut self.weights).zip(&mut self.counts);
        if let Some(((_, known), sum)) = places.find(|((known, weight), _)| **known == key && **weight > 0) {
            *known = known.saturating_add(weight);
            *sum += counts;
            return;
        }
        let least = self.weights.iter().enumerate().min_by_key(|(_, weight)| **weight).map_or(0, |(at, _)| at);
        if let (Some(at), Some(known), Some(sum), Some(was)) = (
            self.keys.get_mut(least),
            self.weights.get_mut(least),
            self.counts.get_mut(least),
            self.texts.get_mut(least),
        ) {
            (*at, *sum) = (key, counts);
            *known = known.saturating_add(weight);
            match (text, was) {
                (None, was) => *was = None,
                (Some(text), Some(was)) => **was = Text::of(text),
                (Some(text), was) => *was = Some(Box::new(Text::of(text))),
            }
        }
    }
}
