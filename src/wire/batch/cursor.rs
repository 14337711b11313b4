//! Reading forward through the bytes of records, with the place at hand for errors. Numbers as Kafka's `ByteUtils`
//! reads them: zigzag varints, in which bits beyond the number's width are dropped.

use super::{Flaw, Malformed};

type Read<T> = Result<T, Malformed>;

/// What is left of a section, or of a part of it.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    /// Where `rest` ends, counted from the section's beginning.
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(section: &'a [u8]) -> Self {
        Self { rest: section, end: section.len() }
    }

    /// Bytes that end there, counted from the section's beginning.
    #[inline]
    pub(super) fn within(rest: &'a [u8], end: usize) -> Self {
        Self { rest, end }
    }

    /// Where it is, counted from the section's beginning.
    pub(super) fn at(&self) -> usize {
        self.end.saturating_sub(self.rest.len())
    }

    /// Bytes up to its end.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// What is left, as it stands.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Read<u8> {
        let (byte, rest) = self.rest.split_first().ok_or_else(|| self.cut(1))?;
        self.rest = rest;
        Ok(*byte)
    }

    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.cut(count))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The next `count` bytes as a cursor of their own.
    pub(super) fn part(&mut self, count: usize) -> Read<Self> {
        let rest = self.take(count)?;
        Ok(Self { rest, end: self.at() })
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Read<i32> {
        const MASK: u64 = u32::MAX as u64;
        let raw = (self.unsigned::<5>()? & MASK) as u32;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    #[inline]
    pub(super) fn varlong(&mut self) -> Read<i64> {
        let raw = self.unsigned::<10>()?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// A size that must not be negative.
    #[inline]
    pub(super) fn size(&mut self) -> Read<usize> {
        let at = self.at();
        let size = self.varint()?;
        usize::try_from(size).map_err(|_| Malformed { at, flaw: Flaw::Size(size) })
    }

    /// A size and so many bytes; null where the size is negative, whichever negative number it is.
    #[inline]
    pub(super) fn nullable(&mut self) -> Read<Option<&'a [u8]>> {
        let size = self.varint()?;
        usize::try_from(size).ok().map(|size| self.take(size)).transpose()
    }

    /// Most are one byte long.
    #[inline]
    fn unsigned<const MOST: u32>(&mut self) -> Read<u64> {
        match self.rest {
            [byte, rest @ ..] if byte & 0x80 == 0 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long::<MOST>(),
        }
    }

    fn long<const MOST: u32>(&mut self) -> Read<u64> {
        let at = self.at();
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

    #[cold]
    fn cut(&self, needed: usize) -> Malformed {
        Malformed { at: self.at(), flaw: Flaw::Cut { missing: needed.saturating_sub(self.left()) } }
    }
}

/// So many things of one kind one behind another up to the end. After an error there is no next one.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    cursor: Cursor<'a>,
    count: usize,
}

impl<'a> Row<'a> {
    #[inline]
    pub(super) fn new(cursor: Cursor<'a>, count: usize) -> Self {
        Self { cursor, count }
    }

    /// How many are to come.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// What they stand in.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.cursor.rest
    }

    /// The next one, where it is as most are; else nothing has happened, and [`Row::next`] is to be asked.
    #[inline]
    pub(super) fn swift<T>(&mut self, read: impl FnOnce(&'a [u8], usize) -> Option<(T, &'a [u8])>) -> Option<T> {
        let count = self.count.checked_sub(1)?;
        let (one, rest) = read(self.cursor.rest, self.cursor.end)?;
        self.count = count;
        self.cursor.rest = rest;
        Some(one)
    }

    /// The next one, or what is wrong with it.
    pub(super) fn next<T>(&mut self, read: impl FnOnce(&mut Cursor<'a>) -> Read<T>) -> Option<Read<T>> {
        let one = match self.count.checked_sub(1) {
            Some(count) => {
                self.count = count;
                read(&mut self.cursor)
            }
            None => match self.cursor.left() {
                0 => return None,
                left => Err(Malformed { at: self.cursor.at(), flaw: Flaw::Left(left) }),
            },
        };
        if one.is_err() {
            self.count = 0;
            self.cursor.rest = &[];
        }
        Some(one)
    }
}
