//! The records of a section that is not, or no longer, compressed.

use super::cursor::{Cursor, Row};
use super::{Flaw, Malformed};

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

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(Record::read)
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
}

impl<'a> Record<'a> {
    fn read(section: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let size = section.size()?;
        let mut body = section.part(size)?;
        Ok(Self {
            attributes: body.byte()?,
            timestamp_delta: body.varlong()?,
            offset_delta: body.varint()?,
            key: body.nullable()?,
            value: body.nullable()?,
            headers: RecordHeaders::read(body)?,
        })
    }
}

/// A record's headers in their order; keys may come twice and need not be UTF-8. After an error there is no next one.
#[derive(Clone, Debug)]
pub struct RecordHeaders<'a>(Row<'a>);

impl<'a> RecordHeaders<'a> {
    fn read(mut cursor: Cursor<'a>) -> Result<Self, Malformed> {
        let at = cursor.at();
        let count = cursor.varint()?;
        let possible = usize::try_from(count).ok().filter(|count| *count <= cursor.left());
        let count = possible.ok_or(Malformed { at, flaw: Flaw::Headers(count) })?;
        Ok(Self(Row::new(cursor, count)))
    }
}

impl<'a> Iterator for RecordHeaders<'a> {
    type Item = Result<RecordHeader<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(RecordHeader::read)
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
