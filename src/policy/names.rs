//! The headers that a pipeline's policy asks for, found in one pass over a record's headers. Of several with one name the
//! last counts, and null is absent: so PostHog's consumers read them.

use crate::wire::batch::{Malformed, Record, RecordHeader};

pub use crate::config::policy::MOST_HEADERS as MOST;

/// Names of one length are told apart by comparing; longer ones than this share the last place.
const LENGTHS: usize = 64;

/// A policy asks for more names than [`MOST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a policy may ask for {MOST} different headers, and no more")]
pub struct TooMany;

/// One of the names: its place among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name(u8);

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Names {
    names: Vec<Box<[u8]>>,
    /// For each length, a bit for each name that has it.
    by_length: [u32; LENGTHS],
}

impl Default for Names {
    fn default() -> Self {
        Self { names: Vec::new(), by_length: [0; LENGTHS] }
    }
}

/// What a record has of them.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    values: [Option<&'a [u8]>; MOST],
    /// The first of its headers that nobody asked for.
    pub unknown: Option<&'a [u8]>,
}

impl Default for Found<'_> {
    fn default() -> Self {
        Self { values: [None; MOST], unknown: None }
    }
}

impl<'a> Found<'a> {
    /// The header's value; `None` where it is absent or null.
    #[inline]
    #[must_use]
    pub fn value(&self, name: Name) -> Option<&'a [u8]> {
        self.values.get(usize::from(name.0)).copied().flatten()
    }
}

impl Names {
    /// The place of a name, which is added where it is new.
    pub fn ask(&mut self, name: &[u8]) -> Result<Name, TooMany> {
        let place = self.names.iter().position(|known| **known == *name).unwrap_or(self.names.len());
        if place >= MOST {
            return Err(TooMany);
        }
        if place == self.names.len() {
            self.names.push(name.into());
            if let Some(mask) = self.by_length.get_mut(length(name)) {
                *mask |= 1 << place;
            }
        }
        u8::try_from(place).map(Name).map_err(|_| TooMany)
    }

    /// How a header is called.
    #[must_use]
    pub fn text(&self, name: Name) -> &[u8] {
        self.names.get(usize::from(name.0)).map(|name| &**name).unwrap_or_default()
    }

    /// Whether nobody asks for anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Reads all headers of a record, and notes those that are asked for.
    #[inline]
    pub fn find<'a>(&self, record: &Record<'a>, found: &mut Found<'a>) -> Result<(), Malformed> {
        found.unknown = None;
        found.values.iter_mut().take(self.names.len()).for_each(|value| *value = None);
        for header in record.headers.clone() {
            let RecordHeader { key, value } = header?;
            match self.place(key) {
                Some(place) => {
                    if let Some(slot) = found.values.get_mut(place) {
                        *slot = value;
                    }
                }
                None => found.unknown = found.unknown.or(Some(key)),
            }
        }
        Ok(())
    }

    #[inline]
    fn place(&self, key: &[u8]) -> Option<usize> {
        let mut mask = self.by_length.get(length(key)).copied().unwrap_or(0);
        while mask != 0 {
            let place = usize::try_from(mask.trailing_zeros()).unwrap_or(MOST);
            if self.names.get(place).is_some_and(|name| are_same(name, key)) {
                return Some(place);
            }
            mask &= mask - 1;
        }
        None
    }
}

/// Names are mostly short, and are compared here without a call.
#[inline]
fn are_same(name: &[u8], key: &[u8]) -> bool {
    match key.len() {
        length if length != name.len() => false,
        4..8 => key.first_chunk::<4>() == name.first_chunk() && key.last_chunk::<4>() == name.last_chunk(),
        8..=16 => key.first_chunk::<8>() == name.first_chunk() && key.last_chunk::<8>() == name.last_chunk(),
        _ => key == name,
    }
}

fn length(name: &[u8]) -> usize {
    name.len().min(LENGTHS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{Made, walk};

    fn names(asked: &[&str]) -> Names {
        let mut names = Names::default();
        for name in asked {
            names.ask(name.as_bytes()).unwrap();
        }
        names
    }

    fn found(names: &Names, headers: &[(&str, Option<&str>)]) -> (Vec<Option<String>>, Option<String>) {
        let section = Made { headers, ..Made::default() }.section();
        let mut found = Found::default();
        names.find(&walk(&section, 1)[0], &mut found).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let values = found.values.iter().take(names.names.len()).map(|value| value.map(text)).collect();
        (values, found.unknown.map(text))
    }

    #[test]
    fn the_last_of_several_counts_and_null_is_absent() {
        let names = names(&["token", "event", "other"]);
        let headers = [("token", Some("first")), ("event", Some("x")), ("token", Some("last")), ("event", None)];
        assert_eq!(found(&names, &headers), (vec![Some("last".into()), None, None], None));
    }

    #[test]
    fn what_nobody_asked_for_is_told_once() {
        let names = names(&["token", "event"]);
        let headers = [("tokem", Some("1")), ("toke", Some("2")), ("event", Some(""))];
        assert_eq!(found(&names, &headers), (vec![None, Some(String::new())], Some("tokem".into())));
    }

    #[test]
    fn long_and_empty_names_are_names() {
        let (long, longer) = ("x".repeat(63), "x".repeat(200));
        let names = names(&["", &long, &longer]);
        let headers = [(&*longer, Some("3")), ("", Some("1")), (&*long, Some("2"))];
        assert_eq!(found(&names, &headers).0, [Some("1".into()), Some("2".into()), Some("3".into())]);
    }

    #[test]
    fn a_name_has_one_place_and_there_are_not_too_many() {
        let mut names = Names::default();
        let first = names.ask(b"0").unwrap();
        for number in 1..MOST {
            names.ask(number.to_string().as_bytes()).unwrap();
        }
        assert_eq!(names.ask(b"0"), Ok(first));
        assert_eq!(names.text(first), b"0");
        assert_eq!(names.ask(b"one more"), Err(TooMany));
    }
}
