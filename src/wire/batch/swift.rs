//! Records as almost all of them are, read without a word on what is wrong: numbers of at most four bytes, nothing cut
//! short. What cannot be read so is read again by `cursor`, which takes all that Kafka takes and says where it fails. It is
//! a fifth of the work, and what policy costs a record is mostly this.

use super::cursor::{Cursor, Row};
use super::records::{Record, RecordHeader, RecordHeaders};

/// A zigzag varint of at most four bytes, and what is behind it.
#[inline]
fn number(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let low = |byte: u8| u32::from(byte & 0x7f);
    let (raw, rest) = match bytes {
        [a, rest @ ..] if *a < 0x80 => (low(*a), rest),
        [a, b, rest @ ..] if *b < 0x80 => (low(*a) | low(*b) << 7, rest),
        [a, b, c, rest @ ..] if *c < 0x80 => (low(*a) | low(*b) << 7 | low(*c) << 14, rest),
        [a, b, c, d, rest @ ..] if *d < 0x80 => (low(*a) | low(*b) << 7 | low(*c) << 14 | low(*d) << 21, rest),
        _ => return None,
    };
    Some(((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed(), rest))
}

/// A size and so many bytes; null where the size is negative.
#[inline]
fn nullable(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (size, rest) = number(bytes)?;
    match usize::try_from(size) {
        Ok(size) => rest.split_at_checked(size).map(|(bytes, rest)| (Some(bytes), rest)),
        Err(_) => Some((None, rest)),
    }
}

/// A size that is not negative and so many bytes.
#[inline]
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = number(bytes)?;
    rest.split_at_checked(usize::try_from(size).ok()?)
}

/// A record, and what is behind it; `end` is where `bytes` end in their section.
#[inline]
pub(super) fn record(bytes: &[u8], end: usize) -> Option<(Record<'_>, &[u8])> {
    let (body, behind) = sized(bytes)?;
    let (attributes, rest) = body.split_first()?;
    let (timestamp_delta, rest) = number(rest)?;
    let (offset_delta, content) = number(rest)?;
    let (key, rest) = nullable(content)?;
    let (value, all) = nullable(rest)?;
    let (count, headers) = number(all)?;
    let count = usize::try_from(count).ok().filter(|count| *count <= headers.len())?;
    let row = Row::new(Cursor::within(headers, end - behind.len()), count);
    let record = Record {
        attributes: *attributes,
        timestamp_delta: timestamp_delta.into(),
        offset_delta,
        key,
        value,
        headers: RecordHeaders::of(row, all),
        content: content.get(..content.len() - all.len())?,
    };
    Some((record, behind))
}

/// A header, and what is behind it.
#[inline]
pub(super) fn header(bytes: &[u8], _end: usize) -> Option<(RecordHeader<'_>, &[u8])> {
    let (key, rest) = sized(bytes)?;
    let (value, rest) = nullable(rest)?;
    Some((RecordHeader { key, value }, rest))
}
