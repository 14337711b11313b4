//! The records of a section that is not, or no longer, compressed.

use super::cursor::{Cursor, Row};
use super::{Flaw, Malformed, swift};

/// The records of a section, as many as its batch's header announces. After an error there is no next one.
#[derive(Clone, Debug)]
pub struct Records<'a>(Row<'a>);

impl<'a> Records<'a> {
    /// The `count` records that `section` must hold and nothing else.
    #[must_use]
    pub fn of(section: &'a [u8], count: i32) -> Self {
        Self(Row::new(Cursor::new(section), usize::try_from(count).unwrap_or(0)))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.0.swift(swift::record) {
            Some(record) => Some(Ok(record)),
            None => self.0.next(Record::read),
        }
    }
}

/// A record. What its batch says comes on top: deltas count from the header's base offset and base timestamp.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// None is in use yet.
    pub attributes: u8,
    /// Milliseconds after the header's base timestamp; may be negative.
    pub timestamp_delta: i64,
    /// Its offset minus the header's base offset.
    pub offset_delta: i32,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers, not yet looked at.
    pub headers: RecordHeaders<'a>,
    /// Key and value as they stand, with their sizes.
    pub(super) content: &'a [u8],
}

impl<'a> Record<'a> {
    /// Bytes of its key, value and headers, as they stand. What is before them depends on its place in the batch.
    #[must_use]
    pub fn size(&self) -> usize {
        self.content.len() + self.headers.all.len()
    }

    fn read(section: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let size = section.size()?;
        let mut body = section.part(size)?;
        let attributes = body.byte()?;
        let timestamp_delta = body.varlong()?;
        let offset_delta = body.varint()?;
        let rest = body.rest();
        let key = body.nullable()?;
        let value = body.nullable()?;
        let content = rest.get(..rest.len() - body.left()).unwrap_or_default();
        Ok(Self { attributes, timestamp_delta, offset_delta, key, value, headers: RecordHeaders::read(body)?, content })
    }
}

/// A record's headers in their order; keys may come twice and need not be UTF-8. After an error there is no next one.
#[derive(Clone, Debug)]
pub struct RecordHeaders<'a> {
    row: Row<'a>,
    /// As they stand, with their number before them.
    pub(super) all: &'a [u8],
}

impl<'a> RecordHeaders<'a> {
    #[inline]
    pub(super) fn of(row: Row<'a>, all: &'a [u8]) -> Self {
        Self { row, all }
    }

    fn read(mut cursor: Cursor<'a>) -> Result<Self, Malformed> {
        let (at, all) = (cursor.at(), cursor.rest());
        let count = cursor.varint()?;
        let possible = usize::try_from(count).ok().filter(|count| *count <= cursor.left());
        let count = possible.ok_or(Malformed { at, flaw: Flaw::Headers(count) })?;
        Ok(Self { row: Row::new(cursor, count), all })
    }

    /// How many there are that were not looked at yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.row.count()
    }

    /// Those that were not looked at yet, as they stand.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.row.rest()
    }
}

impl<'a> Iterator for RecordHeaders<'a> {
    type Item = Result<RecordHeader<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.row.swift(swift::header) {
            Some(header) => Some(Ok(header)),
            None => self.row.next(RecordHeader::read),
        }
    }
}

/// A header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    /// Never null, perhaps empty.
    pub key: &'a [u8],
    /// Its value.
    pub value: Option<&'a [u8]>,
}

impl<'a> RecordHeader<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let size = cursor.size()?;
        Ok(Self { key: cursor.take(size)?, value: cursor.nullable()? })
    }
}
