//! A broker's answer to Fetch that is plain (`glance::plain_fetch`): no error, no broker, no field that we do not know.

use super::super::glance::{FLEXIBLE_FETCH, Fields, TOPIC_IDS, plain_fetch};
use super::super::head::Cursor;
use super::super::malformed::Malformed;
use super::{LOG_START, READ_REPLICA, SESSIONS};
use bytes::Bytes;
use std::ops::Range;
use uuid::Uuid;

/// An answer that was found plain, read step by step.
pub struct PlainAnswer<'a> {
    fields: Fields<'a>,
    frame: &'a Bytes,
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

impl<'a> PlainAnswer<'a> {
    /// The answer whose body stands in `frame` from `at` on, where it is plain.
    #[must_use]
    pub fn of(frame: &'a Bytes, at: usize, version: i16) -> Option<Self> {
        plain_fetch(frame, at, version)?;
        let mut fields = Fields { cursor: Cursor { frame, at }, flexible: version >= FLEXIBLE_FETCH };
        let throttle_ms = fields.cursor.i32().ok()?;
        if version >= SESSIONS {
            fields.cursor.skip(6).ok()?; // no error, and the session
        }
        let topics = fields.count().ok()?;
        Some(Self { fields, frame, version, throttle_ms, topics, parts: 0, begun: false })
    }

    fn step(&mut self) -> Result<Option<Step<'a>>, Malformed> {
        if self.parts > 0 {
            self.parts -= 1;
            return self.part().map(Some);
        }
        if self.begun {
            self.fields.has_tags()?; // it has none
        }
        if self.topics == 0 {
            return Ok(None);
        }
        (self.topics, self.begun) = (self.topics - 1, true);
        let (name, id) = match self.version {
            ..TOPIC_IDS => {
                let length = self.fields.length(false)?.unwrap_or(0);
                let from = self.fields.cursor.at;
                self.fields.cursor.skip(length)?;
                (self.frame.get(from..from + length).unwrap_or_default(), Uuid::nil())
            }
            _ => (Default::default(), Uuid::from_bytes(self.fields.cursor.take()?)),
        };
        self.parts = self.fields.count()?;
        Ok(Some(Step::Topic(name, id)))
    }

    #[inline]
    fn part(&mut self) -> Result<Step<'a>, Malformed> {
        let fields = &mut self.fields;
        let from = fields.cursor.at;
        let index = fields.cursor.i32()?;
        fields.cursor.skip(2)?; // no error
        let mut ends = [i64::from_be_bytes(fields.cursor.take()?), i64::from_be_bytes(fields.cursor.take()?), -1];
        if self.version >= LOG_START {
            ends[2] = i64::from_be_bytes(fields.cursor.take()?);
        }
        for _ in 0..fields.count()? {
            fields.cursor.skip(16)?; // an aborted transaction
            fields.has_tags()?;
        }
        if self.version >= READ_REPLICA {
            fields.cursor.skip(4)?; // none
        }
        let records = fields.length(true)?.unwrap_or(0);
        fields.cursor.skip(records)?;
        fields.has_tags()?;
        Ok(Step::Part(ToldPart { index, ends, records, place: from..fields.cursor.at }))
    }
}

impl<'a> Iterator for PlainAnswer<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        // It was read to its end before.
        self.step().ok().flatten()
    }
}
