//! A broker's answer to Fetch, read as long as it is plain: no error, no broker, no field that we do not know.

use super::super::glance::{FLEXIBLE_FETCH, Fields};
use super::super::head::Cursor;
use super::super::malformed::Malformed;
use super::SESSIONS;
use super::heard::Heard;
use bytes::Bytes;
use std::ops::Range;
use uuid::Uuid;

/// An answer that is read step by step.
pub struct PlainAnswer<'a> {
    fields: Fields<'a>,
    version: i16,
    /// How long the broker wants to be left alone.
    pub throttle_ms: i32,
    topics: usize,
    parts: usize,
    begun: bool,
}

/// What comes next in an answer.
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// A topic, by name or by id: the other one is empty.
    Topic(&'a [u8], Uuid),
    /// A partition of that topic.
    Part(ToldPart),
    /// Nothing.
    End,
}

/// What a broker says of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldPart {
    /// Its number.
    pub index: i32,
    /// High watermark, last stable offset, and where the log starts.
    pub ends: [i64; 3],
    /// Bytes of records.
    pub records: usize,
    /// All of it, in the frame.
    pub place: Range<usize>,
}

/// An answer that is to be left to the codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotPlain;

impl From<Malformed> for NotPlain {
    fn from(_: Malformed) -> Self {
        Self
    }
}

/// A partition without anything new, in a flexible version: where its fields are, and its size.
const AT_ABORTED: usize = 30;
const AT_REPLICA: usize = 31;
const AT_RECORDS: usize = 35;
const AT_TAGS: usize = 36;
const NOTHING_NEW: usize = 37;

impl<'a> PlainAnswer<'a> {
    /// The answer whose body stands in `frame` from `at` on.
    ///
    /// # Errors
    /// Where that is to be left to the codec, as later steps may find too.
    pub fn begin(frame: &'a Bytes, at: usize, version: i16) -> Result<Self, NotPlain> {
        let mut fields = Fields { cursor: Cursor { frame, at }, flexible: version >= FLEXIBLE_FETCH };
        let throttle_ms = fields.cursor.i32()?;
        if version >= SESSIONS {
            if fields.cursor.i16()? != 0 {
                return Err(NotPlain);
            }
            fields.cursor.i32()?; // the session
        }
        let topics = fields.count()?;
        Ok(Self { fields, version, throttle_ms, topics, parts: 0, begun: false })
    }

    /// What comes next.
    ///
    /// # Errors
    /// Where the answer is to be left to the codec.
    #[inline]
    pub fn step(&mut self) -> Result<Step<'a>, NotPlain> {
        if self.parts > 0 {
            self.parts -= 1;
            return self.part();
        }
        if std::mem::take(&mut self.begun) {
            self.no_tags()?;
        }
        if self.topics == 0 {
            self.no_tags()?;
            return Ok(Step::End);
        }
        self.topics -= 1;
        self.begun = true;
        let (name, id) = self.fields.topic(self.version)?;
        self.parts = self.fields.count()?;
        Ok(Step::Topic(name, id))
    }

    #[inline]
    fn part(&mut self) -> Result<Step<'a>, NotPlain> {
        if self.version >= FLEXIBLE_FETCH
            && let Some(told) = self.nothing_new()
        {
            return Ok(Step::Part(told));
        }
        self.any_part()
    }

    /// As most partitions are told of.
    #[inline]
    fn nothing_new(&mut self) -> Option<ToldPart> {
        let cursor = &mut self.fields.cursor;
        let all: &[u8; NOTHING_NEW] = cursor.frame.get(cursor.at..cursor.at + NOTHING_NEW)?.try_into().ok()?;
        let nothing = all[4..6] == [0; 2]
            && all[AT_ABORTED] <= 1
            && all[AT_REPLICA..AT_RECORDS] == [0xff; 4]
            && all[AT_RECORDS] <= 1
            && all[AT_TAGS] == 0;
        if !nothing {
            return None;
        }
        let number = |at: usize| all.get(at..at + 8).and_then(|field| field.try_into().ok()).map(i64::from_be_bytes);
        let index = i32::from_be_bytes(all.get(..4)?.try_into().ok()?);
        let place = cursor.at..cursor.at + NOTHING_NEW;
        cursor.at = place.end;
        Some(ToldPart { index, ends: [number(6)?, number(14)?, number(22)?], records: 0, place })
    }

    fn any_part(&mut self) -> Result<Step<'a>, NotPlain> {
        let from = self.fields.cursor.at;
        let Heard { index, ends, records, .. } = Heard::read(&mut self.fields, self.version)?.ok_or(NotPlain)?;
        let ends = [ends.high, ends.stable, ends.start];
        Ok(Step::Part(ToldPart { index, ends, records: records.len(), place: from..self.fields.cursor.at }))
    }

    #[inline]
    fn no_tags(&mut self) -> Result<(), NotPlain> {
        if self.fields.has_tags()? { Err(NotPlain) } else { Ok(()) }
    }
}
