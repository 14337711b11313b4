//! A batch's records summed by key while they are walked. They mostly share a few keys, so that limits are asked once for each
//! key, and not for each record: what its sum may take, each of them may, and pays the same.

use super::keys::{Hashed, Key, Part, Secret, Who};
use super::limit::{Limit, Unit};
use super::names::{Found, Name};
use super::talkers::{Counts, LONGEST, Talkers};
use crate::wire::batch::Record;
use foldhash::fast::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroU32;
use std::ops::Range;

/// Batches of more records, counted once for each column, are not summed: what is noted of each would take too much (L4).
const MOST: usize = 1 << 15;
/// The sums of so many keys are kept for the next batch.
const KEPT: usize = 1 << 10;
/// Where a key may be found again, by a hash of it. Two that fall together may each be summed more
/// than once: as many records of a key pass, if not always the same ones.
const PLACES: usize = 2048;
/// Of a record that is in no sum.
const NOWHERE: u16 = u16::MAX;

/// By what a policy's records are summed.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    columns: Vec<Column>,
    /// Each limit's.
    of_limits: Vec<usize>,
    /// And that of each key that is listened to.
    of_talkers: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    key: Key,
    weight: Option<Name>,
    /// Its keys are written down.
    is_heard: bool,
}

impl Columns {
    /// Those that limits and talkers need: one for all that count by one key.
    #[must_use]
    pub fn of(limits: &[Limit], talkers: &[Talkers]) -> Self {
        let mut all = Self::default();
        for limit in limits {
            let weight = if let Unit::Weight(name) = limit.unit { Some(name) } else { None };
            let place = all.place(&limit.key, |column| column.weight == weight, weight);
            all.of_limits.push(place);
        }
        for talkers in talkers {
            let place = all.place(&talkers.key, |_| true, None);
            all.columns.get_mut(place).into_iter().for_each(|column| column.is_heard = true);
            all.of_talkers.push(place);
        }
        all
    }

    /// Whether a batch of so many records may be summed.
    #[must_use]
    pub fn are_for(&self, records: i32) -> bool {
        let noted = usize::try_from(records).ok().and_then(|records| records.checked_mul(self.columns.len().max(1)));
        noted.is_some_and(|noted| noted <= MOST)
    }

    fn place(&mut self, key: &Key, fits: impl Fn(&Column) -> bool, weight: Option<Name>) -> usize {
        let known = self.columns.iter().position(|column| column.key == *key && fits(column));
        known.unwrap_or_else(|| {
            self.columns.push(Column { key: key.clone(), weight, is_heard: false });
            self.columns.len() - 1
        })
    }
}

/// A batch's sums. Used again and again.
#[derive(Debug, Default)]
pub struct Sums {
    columns: Vec<Summed>,
}

/// Those of one column.
#[derive(Debug, Default)]
struct Summed {
    /// Where in `sums` a key was put last. What it says of batches before is no harm either: the key is compared.
    places: Vec<u16>,
    sums: Vec<Sum>,
    /// Each record's, in their order.
    of: Vec<u16>,
    texts: Vec<u8>,
    state: RandomState,
}

/// What the records of one key come to.
#[derive(Debug)]
pub struct Sum {
    /// The key.
    pub key: Hashed,
    /// Where it stands in the batch, if it does in one piece.
    stands: Option<Range<usize>>,
    /// Its text in `texts`.
    text: Option<Range<usize>>,
    records: u64,
    bytes: u64,
    weight: u64,
    /// The last limit that was asked did not let all of them pass.
    pub is_short: bool,
}

impl Sum {
    /// So much of what a limit counts; `None` where it is more than a limit can be asked for.
    pub fn count(&self, unit: Unit) -> Option<NonZeroU32> {
        let count = match unit {
            Unit::Records => self.records,
            Unit::Bytes => self.bytes,
            Unit::Weight(_) => self.weight,
        };
        NonZeroU32::new(u32::try_from(count).ok()?)
    }
}

impl Sums {
    /// There are such columns.
    pub fn begin(&mut self, columns: &Columns) {
        self.clear();
        // A worker sees policies with more of them and with fewer, in turn.
        if self.columns.len() < columns.columns.len() {
            self.columns.resize_with(columns.columns.len(), Summed::default);
        }
    }

    /// Forgets the last batch.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Summed::clear);
    }

    /// Adds a record of the batch `plain`.
    #[inline]
    pub fn add<'a>(
        &mut self,
        columns: &Columns,
        secret: Secret,
        plain: &'a [u8],
        record: &Record<'a>,
        found: &Found<'a>,
        who: Who<'a>,
    ) {
        for (column, summed) in columns.columns.iter().zip(&mut self.columns) {
            let seen = Seen { secret, plain, record, found, who };
            let place = match column.key.only() {
                Some(Part::Header(name)) => summed.by_bytes(column, found.value(name), &seen),
                Some(Part::RecordKey) => summed.by_bytes(column, record.key, &seen),
                Some(Part::Principal | Part::ClientId) => summed.by_client(column, &seen),
                None => summed.by_parts(column, &seen),
            };
            summed.note(column, place, record, found);
        }
    }

    /// A record is in none of them.
    pub fn pass_over(&mut self) {
        self.columns.iter_mut().for_each(|summed| summed.of.push(NOWHERE));
    }

    /// The sum that a limit counts a record in, if it is in one.
    #[inline]
    pub fn at_limit(&self, columns: &Columns, limit: usize, record: usize) -> Option<&Sum> {
        self.columns.get(*columns.of_limits.get(limit)?)?.of(record)
    }

    /// And that of those who listen.
    #[inline]
    pub fn at_talkers(&self, columns: &Columns, talkers: usize, record: usize) -> Option<&Sum> {
        self.columns.get(*columns.of_talkers.get(talkers)?)?.of(record)
    }

    /// All that a limit counts in.
    pub fn of_limit(&mut self, columns: &Columns, limit: usize) -> impl Iterator<Item = &mut Sum> {
        let summed = columns.of_limits.get(limit).and_then(|place| self.columns.get_mut(*place));
        summed.into_iter().flat_map(|summed| &mut summed.sums)
    }

    /// What each key of those who listen comes to, and the key's text.
    pub fn of_talkers(
        &self,
        columns: &Columns,
        talkers: usize,
    ) -> impl Iterator<Item = (Hashed, Counts, Option<&[u8]>)> {
        let summed = columns.of_talkers.get(talkers).and_then(|place| self.columns.get(*place));
        summed.into_iter().flat_map(|summed| {
            summed.sums.iter().map(|sum| {
                let counts = Counts { records: sum.records, bytes: sum.bytes, ..Counts::default() };
                (sum.key, counts, sum.text.clone().and_then(|text| summed.texts.get(text)))
            })
        })
    }
}

/// A record, and all that its keys are made of.
struct Seen<'a, 's> {
    secret: Secret,
    plain: &'a [u8],
    record: &'s Record<'a>,
    found: &'s Found<'a>,
    who: Who<'a>,
}

impl Summed {
    fn clear(&mut self) {
        self.sums.clear();
        self.sums.shrink_to(KEPT);
        self.of.clear();
        self.texts.clear();
        self.texts.shrink_to(KEPT * LONGEST);
    }

    fn of(&self, record: usize) -> Option<&Sum> {
        self.sums.get(usize::from(*self.of.get(record)?))
    }

    #[inline]
    fn note(&mut self, column: &Column, place: usize, record: &Record<'_>, found: &Found<'_>) {
        self.of.push(u16::try_from(place).unwrap_or(NOWHERE));
        let Some(sum) = self.sums.get_mut(place) else { return };
        sum.records += 1;
        sum.bytes += u64::try_from(record.size()).unwrap_or(u64::MAX);
        if let Some(name) = column.weight {
            sum.weight += u64::from(Unit::Weight(name).count(record, found).get());
        }
    }

    /// By what stands in the batch in one piece: as long as it comes again, it need not be hashed with the secret.
    #[inline]
    fn by_bytes(&mut self, column: &Column, bytes: Option<&[u8]>, seen: &Seen<'_, '_>) -> usize {
        let hash = bytes.map_or(0, |bytes| {
            let mut hasher = self.state.build_hasher();
            hasher.write(bytes);
            hasher.finish()
        });
        let is_it = |sum: &Sum| match (&sum.stands, bytes) {
            (Some(stands), Some(bytes)) => seen.plain.get(stands.clone()) == Some(bytes),
            (None, None) => true,
            _ => false,
        };
        self.known(hash, is_it).unwrap_or_else(|| {
            let begins = |bytes: &[u8]| bytes.as_ptr().addr().wrapping_sub(seen.plain.as_ptr().addr());
            let stands = bytes.map(|bytes| begins(bytes)..begins(bytes) + bytes.len());
            self.push(hash, column, column.key.of(seen.secret, seen.record, seen.found, seen.who), stands, seen)
        })
    }

    /// By several parts, which stand in no piece.
    fn by_parts(&mut self, column: &Column, seen: &Seen<'_, '_>) -> usize {
        let key = column.key.of(seen.secret, seen.record, seen.found, seen.who);
        self.known(key.0, |sum| sum.key == key).unwrap_or_else(|| self.push(key.0, column, key, None, seen))
    }

    /// By what all records of a client have.
    fn by_client(&mut self, column: &Column, seen: &Seen<'_, '_>) -> usize {
        if self.sums.is_empty() {
            self.push(0, column, column.key.of_client(seen.secret, seen.who), None, seen);
        }
        0
    }

    #[inline]
    fn known(&self, hash: u64, is_it: impl FnOnce(&Sum) -> bool) -> Option<usize> {
        let place = usize::from(*self.places.get(place_of(hash))?);
        self.sums.get(place).filter(|sum| is_it(sum)).map(|_| place)
    }

    fn push(
        &mut self,
        hash: u64,
        column: &Column,
        key: Hashed,
        stands: Option<Range<usize>>,
        seen: &Seen<'_, '_>,
    ) -> usize {
        if self.places.is_empty() {
            self.places = vec![0; PLACES];
        }
        let (at, begins) = (self.sums.len(), self.texts.len());
        if let (Some(place), Ok(at)) = (self.places.get_mut(place_of(hash)), u16::try_from(at)) {
            *place = at;
        }
        let is_text = column.is_heard && column.key.write(seen.record, seen.found, seen.who, LONGEST, &mut self.texts);
        let text = is_text.then_some(begins..self.texts.len());
        self.sums.push(Sum { key, stands, text, records: 0, bytes: 0, weight: 0, is_short: false });
        at
    }
}

#[inline]
fn place_of(hash: u64) -> usize {
    usize::try_from(hash % PLACES as u64).unwrap_or_default()
}
