//! Walks a message by its table. Takes no memory itself; a walk costs less than the decoding that it guards.

use super::Shaped;
use super::field::{Element, Field, Kind};
use crate::wire::head::Cursor;
use crate::wire::malformed::Malformed;
use bytes::Bytes;

/// Every message may take this much once it is decoded: a request of a few kilobytes with the shortest of names.
const FREE: usize = 1 << 20;
/// And so much for each of its bytes. Real messages take 2 to 18; a list of empty texts takes 32; what takes more is
/// made to hurt (a tagged field of two bytes takes 430).
const PER_BYTE: usize = 32;
/// And never more than this, which is what Metadata of two million partitions takes.
const MOST: usize = 512 << 20;

/// The allocator's own part of each piece of memory.
const ALLOCATION: usize = 16;
/// The first tagged field that nobody knows: a leaf of a B-tree with room for eleven.
const FIRST_UNKNOWN: usize = 416 + ALLOCATION;
/// Each further one: half-full leaves, and what holds them together.
const FURTHER_UNKNOWN: usize = 128;

/// The memory that a message of so many bytes may take once it is decoded, besides the frame that it came in.
#[must_use]
pub fn allowance(size: usize) -> usize {
    size.saturating_mul(PER_BYTE).saturating_add(FREE).min(MOST)
}

/// A message that may be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// Where it ends in the bytes. What may come after is left alone, as Kafka leaves it.
    pub end: usize,
    /// No less than what the decoder will take for it, in bytes.
    pub memory: usize,
}

/// Holds what a message's body claims against the bytes that are there.
pub fn check<M: Shaped>(body: &Bytes, version: i16) -> Result<Walked, Malformed> {
    if !(M::VERSIONS.min..=M::VERSIONS.max).contains(&version) {
        return Err(Malformed::Field(format!("version {version} is not read")));
    }
    let cursor = Cursor { frame: body, at: 0 };
    let flexible = version >= M::SHAPE.flexible;
    let mut walk = Walk { cursor, version, flexible, memory: 0, allowed: allowance(body.len()) };
    walk.row(M::SHAPE.fields)?;
    Ok(Walked { end: walk.cursor.at, memory: walk.memory })
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    version: i16,
    flexible: bool,
    /// What the decoder will have taken for what has been walked.
    memory: usize,
    allowed: usize,
}

impl Walk<'_> {
    fn row(&mut self, fields: &'static [Field]) -> Result<(), Malformed> {
        // Fields of a fixed size are passed together: most are.
        let (version, mut fixed) = (self.version, 0);
        for field in fields.iter().filter(|field| field.tag.is_none() && field.is_in(version)) {
            if let Kind::Fixed(size) = field.kind {
                fixed += size;
            } else {
                self.cursor.skip(std::mem::take(&mut fixed))?;
                self.value(field)?;
            }
        }
        self.cursor.skip(fixed)?;
        if self.flexible { self.tagged(fields) } else { Ok(()) }
    }

    fn value(&mut self, field: &'static Field) -> Result<(), Malformed> {
        match field.kind {
            Kind::Fixed(size) => self.cursor.skip(size),
            Kind::Text => self.slice(field.name, false),
            Kind::Bytes => self.slice(field.name, true),
            Kind::Row(fields) => self.row(fields),
            Kind::RowOrNull(fields) => match self.cursor.take()? {
                [1] => self.row(fields),
                _ => Ok(()),
            },
            Kind::List(element) => self.list(field.name, element),
        }
    }

    fn slice(&mut self, name: &'static str, wide: bool) -> Result<(), Malformed> {
        let length = self.claim(name, wide)?;
        self.cursor.skip(length)
    }

    fn list(&mut self, name: &'static str, element: Element) -> Result<(), Malformed> {
        // No element takes less than a byte; a test holds the tables to that.
        let count = self.claim(name, true)?;
        if count == 0 {
            return Ok(());
        }
        self.charge(name, count.saturating_mul(element.memory()).saturating_add(ALLOCATION))?;
        match element {
            Element::Int8 | Element::Int32 | Element::Int64 => self.cursor.skip(count.saturating_mul(element.memory())),
            Element::Text => (0..count).try_for_each(|_| self.slice(name, false)),
            Element::Row { fields, .. } => (0..count).try_for_each(|_| self.row(fields)),
        }
    }

    fn tagged(&mut self, fields: &'static [Field]) -> Result<(), Malformed> {
        let mut price = FIRST_UNKNOWN;
        for _ in 0..self.cursor.unsigned_varint()? {
            let (tag, size) = self.cursor.tag()?;
            let known = |field: &&Field| field.tag == Some(tag) && field.is_in(self.version);
            if let Some(field) = fields.iter().find(known) {
                // The decoder takes the value's own word for its size: both must say the same.
                let end = self.cursor.at.saturating_add(size);
                self.value(field)?;
                if self.cursor.at != end {
                    return Err(Malformed::Tagged { field: field.name, size });
                }
            } else {
                self.charge("of tags", price)?;
                price = FURTHER_UNKNOWN;
                self.cursor.skip(size)?;
            }
        }
        Ok(())
    }

    /// The bytes, or elements, that a field says it has. None where it is null.
    fn claim(&mut self, field: &'static str, wide: bool) -> Result<usize, Malformed> {
        let claimed = self.cursor.length(self.flexible, wide)?;
        let left = self.cursor.left();
        match usize::try_from(claimed) {
            Ok(count) if count <= left => Ok(count),
            Err(_) if claimed == -1 => Ok(0),
            _ => Err(Malformed::Claim { field, claimed, left }),
        }
    }

    fn charge(&mut self, field: &'static str, memory: usize) -> Result<(), Malformed> {
        self.memory = self.memory.saturating_add(memory);
        let (memory, allowed) = (self.memory, self.allowed);
        if memory > allowed { Err(Malformed::Swollen { field, memory, allowed }) } else { Ok(()) }
    }
}
