//! Record batches in format v2, read in place: nothing is copied or allocated, nothing is decompressed.
//! What Kafka refuses to read is refused here, with the place; what it reads is read alike.
//! Sources: Kafka's `DefaultRecordBatch`, `DefaultRecord`, `ByteBufferLogInputStream`.

mod cursor;
pub mod edit;
mod header;
pub mod produced;
mod records;
pub mod sequence;
pub mod stretch;
mod swift;

pub use crate::wire::compression::Codec;
pub use header::{HEADER, Header};
pub use records::{Record, RecordHeader, RecordHeaders, Records};

use header::CRC_COVERS_FROM;

/// Why bytes are no batches or no records, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flaw}, at byte {at}")]
pub struct Malformed {
    /// Counted from the beginning of what is walked: a record set for batches, a records section for records.
    pub at: usize,
    /// What is wrong there.
    pub flaw: Flaw,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The length field of a batch.
    #[error("a batch of length {0}, which is less than a header")]
    Length(i32),
    /// The format of a batch, where it is another one than v2.
    #[error("a batch of format v{0} where v2 is needed")]
    Format(i8),
    /// The record count of a batch.
    #[error("a batch of {0} records")]
    Count(i32),
    /// Something goes on behind the end of what it is in.
    #[error("{missing} more bytes are needed than there are")]
    Cut {
        /// So many.
        missing: usize,
    },
    /// A varint without an end.
    #[error("a varint of too many bytes")]
    Varint,
    /// The size of a record or of a header's key.
    #[error("a size of {0}")]
    Size(i32),
    /// The number of a record's headers.
    #[error("{0} headers in a record that has no room for them")]
    Headers(i32),
    /// Bytes behind the last header of a record or the last record of a section.
    #[error("{0} bytes are left over")]
    Left(usize),
}

/// The batches of a record set, one after another. A batch that is cut short ends it, as Fetch answers normally end;
/// [`Batches::rest`] tells. After an error there is no next batch.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    set: &'a [u8],
    at: usize,
    broken: bool,
}

impl<'a> Batches<'a> {
    /// Those of a Produce's or a Fetch answer's partition.
    #[must_use]
    pub fn of(set: &'a [u8]) -> Self {
        Self { set, at: 0, broken: false }
    }

    /// What no batch was made of yet: at the end, the one that is cut short.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.set.get(self.at..).unwrap_or_default()
    }

    fn read(&mut self) -> Result<Option<Batch<'a>>, Flaw> {
        let Some(header) = Header::read(self.rest())? else { return Ok(None) };
        let Some(bytes) = self.rest().get(..header.size) else { return Ok(None) };
        self.at += header.size;
        Ok(Some(Batch { header, bytes }))
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let read = self.read().map_err(|flaw| Malformed { at: self.at, flaw });
        self.broken = read.is_err();
        read.transpose()
    }
}

/// A whole batch.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// What its first bytes say.
    pub header: Header,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Whether its bytes are those that its CRC was made of. Base offset and leader epoch are not covered.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        crc32c::crc32c(self.bytes.get(CRC_COVERS_FROM..).unwrap_or_default()) == self.header.crc
    }

    /// The records as they are, or what the codec made of them.
    #[must_use]
    pub fn section(&self) -> &'a [u8] {
        self.bytes.get(HEADER..).unwrap_or_default()
    }

    /// Its records; `None` where they are compressed: then walk what [`Batch::section`] decompresses to.
    #[must_use]
    pub fn records(&self) -> Option<Records<'a>> {
        (self.header.codec() == Some(Codec::None)).then(|| Records::of(self.section(), self.header.count))
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
