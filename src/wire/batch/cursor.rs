//! Reading forward through the bytes of records, with the place at hand for errors. Numbers as Kafka's `ByteUtils`
//! reads them: zigzag varints, in which bits beyond the number's width are dropped.

use super::{Flaw, Malformed};

type Read<T> = Result<T, Malformed>;

/// A place in a section. It may end before the section does.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes up to its end.
    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.cut(1))?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let bytes = self.bytes.get(self.at..).and_then(|rest| rest.get(..count)).ok_or_else(|| self.cut(count))?;
        self.at += count;
        Ok(bytes)
    }

    /// The next `count` bytes as a cursor of their own, whose places are still those of the section.
    pub(super) fn part(&mut self, count: usize) -> Read<Self> {
        let at = self.at;
        self.take(count)?;
        Ok(Self { bytes: self.bytes.get(..self.at).unwrap_or_default(), at })
    }

    pub(super) fn varint(&mut self) -> Read<i32> {
        const MASK: u64 = u32::MAX as u64;
        let raw = (self.unsigned::<5>()? & MASK) as u32;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    pub(super) fn varlong(&mut self) -> Read<i64> {
        let raw = self.unsigned::<10>()?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// A size that must not be negative.
    pub(super) fn size(&mut self) -> Read<usize> {
        let at = self.at;
        let size = self.varint()?;
        usize::try_from(size).map_err(|_| Malformed { at, flaw: Flaw::Size(size) })
    }

    /// A size and so many bytes; null where the size is negative, whichever negative number it is.
    pub(super) fn nullable(&mut self) -> Read<Option<&'a [u8]>> {
        let size = self.varint()?;
        usize::try_from(size).ok().map(|size| self.take(size)).transpose()
    }

    fn unsigned<const MOST: u32>(&mut self) -> Read<u64> {
        let at = self.at;
        let mut value = 0;
        for number in 0..MOST {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (number * 7);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed { at, flaw: Flaw::Varint })
    }

    fn cut(&self, needed: usize) -> Malformed {
        Malformed { at: self.at, flaw: Flaw::Cut { missing: needed.saturating_sub(self.left()) } }
    }
}

/// So many things of one kind one behind another up to the end. After an error there is no next one.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    cursor: Cursor<'a>,
    count: usize,
}

impl<'a> Row<'a> {
    pub(super) fn new(cursor: Cursor<'a>, count: usize) -> Self {
        Self { cursor, count }
    }

    pub(super) fn next<T>(&mut self, read: impl FnOnce(&mut Cursor<'a>) -> Read<T>) -> Option<Read<T>> {
        let one = match self.count.checked_sub(1) {
            Some(count) => {
                self.count = count;
                read(&mut self.cursor)
            }
            None => match self.cursor.left() {
                0 => return None,
                left => Err(Malformed { at: self.cursor.at, flaw: Flaw::Left(left) }),
            },
        };
        if one.is_err() {
            self.count = 0;
            self.cursor.at = self.cursor.bytes.len();
        }
        Some(one)
    }
}
