//! What an answer to Fetch tells of a partition, where it is plain: read in place, for who keeps count of what was handed out.

use super::super::batch::stretch::{Aborted, stretch};
use super::super::glance::{FLEXIBLE_FETCH, Fields};
use super::super::head::Cursor;
use super::super::malformed::Malformed;
use super::{LOG_START, READ_REPLICA};
use crate::types::log::{Ends, Stretch};
use bytes::Bytes;

/// A partition of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// Its number.
    pub index: i32,
    /// Where its log ends and starts.
    pub ends: Ends,
    /// Those that an answer to who reads only what is committed lists.
    aborted: &'a [u8],
    /// The size of one in that list.
    each: usize,
    /// Batches.
    pub records: &'a [u8],
}

impl<'a> Heard<'a> {
    /// The partition that stands next; `None` where it is not plain: it bears an error, names a broker, or has a field that
    /// we do not know.
    pub(in crate::wire) fn read(fields: &mut Fields<'a>, version: i16) -> Result<Option<Self>, Malformed> {
        let index = fields.cursor.i32()?;
        if fields.cursor.i16()? != 0 {
            return Ok(None);
        }
        let mut end = || fields.cursor.take().map(i64::from_be_bytes);
        let ends = Ends { high: end()?, stable: end()?, start: if version >= LOG_START { end()? } else { -1 } };
        let (count, from) = (fields.count()?, fields.cursor.at);
        for _ in 0..count {
            fields.cursor.skip(16)?;
            if fields.has_tags()? {
                return Ok(None);
            }
        }
        let aborted = fields.since(from);
        if version >= READ_REPLICA && fields.cursor.i32()? >= 0 {
            return Ok(None); // a replica to read from
        }
        let length = fields.length(true)?.unwrap_or(0);
        let from = fields.cursor.at;
        fields.cursor.skip(length)?;
        let records = fields.since(from);
        if fields.has_tags()? {
            return Ok(None);
        }
        Ok(Some(Self { index, ends, aborted, each: 16 + usize::from(fields.flexible), records }))
    }

    /// The partition that stands in a frame from `at` on.
    #[must_use]
    pub fn at(frame: &'a Bytes, at: usize, version: i16) -> Option<Self> {
        let mut fields = Fields { cursor: Cursor { frame, at }, flexible: version >= FLEXIBLE_FETCH };
        Self::read(&mut fields, version).ok().flatten()
    }

    /// What was handed out of it; `None` where no record was.
    #[must_use]
    pub fn stretch(&self, committed_only: bool) -> Option<Stretch> {
        stretch(self.records, committed_only.then(|| self.aborted()))
    }

    fn aborted(&self) -> impl Iterator<Item = Aborted> + 'a {
        self.aborted.chunks_exact(self.each).filter_map(|one| {
            let field = |at: usize| one.get(at..)?.first_chunk().copied().map(i64::from_be_bytes);
            Some((field(0)?, field(8)?))
        })
    }
}
