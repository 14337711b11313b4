//! A full Fetch without a session: read from a client, written for a broker.

use super::super::codec::Frame;
use super::super::frame::LENGTH;
use super::super::glance::{FLEXIBLE_FETCH, Fields, TOPIC_IDS};
use super::super::head::Cursor;
use super::super::malformed::Malformed;
use super::super::shape::allowance;
use super::{LEADER_EPOCHS, LOG_START, READ_REPLICA, SESSIONS, WITHOUT_REPLICA};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{ApiKey, FetchRequest, RequestHeader};
use kafka_protocol::protocol::{Encodable, StrBytes};
use uuid::Uuid;

/// What one topic and one partition may take in memory, here and in what remembers them until the next Fetch.
const MEMORY_OF_ONE: usize = 256;
/// The bytes of a partition in a flexible version, its empty list of tagged fields included.
const SIZE: usize = 33;
/// What a request names that has no session.
const NO_SESSION: i32 = 0;

/// A Fetch: what it wants, and of which partitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flat {
    /// What it wants.
    pub terms: Terms,
    /// The topics, in order.
    pub topics: Vec<FlatTopic>,
    /// The partitions of all of them, in order.
    pub parts: Vec<Part>,
    /// Where the client is, or nothing (KIP-392).
    pub rack: StrBytes,
}

/// What a Fetch wants of all its partitions together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// How long it may wait.
    pub max_wait_ms: i32,
    /// For so little.
    pub min_bytes: i32,
    /// How much it takes.
    pub max_bytes: i32,
    /// Whether records of open transactions count.
    pub isolation: i8,
    /// [`Self::FULL`], or 0 where the client would have a session. It names none.
    pub epoch: i32,
}

impl Terms {
    /// A full Fetch, of a client that wants no session.
    pub const FULL: i32 = -1;
}

/// A topic of a Fetch.
#[derive(Clone, Debug, PartialEq)]
pub struct FlatTopic {
    /// Its name, where the version has names.
    pub name: StrBytes,
    /// Its id, where the version has ids.
    pub id: Uuid,
    /// Where its partitions end in [`Flat::parts`]; they begin where those of the topic before it end.
    pub end: usize,
}

/// A partition of a Fetch, with the fields of every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number in the topic.
    pub index: i32,
    /// What the client holds for the leader's epoch.
    pub leader_epoch: i32,
    /// The first offset that is wanted.
    pub offset: i64,
    /// The epoch of the last record that the client has.
    pub fetched_epoch: i32,
    /// Where a follower's log starts.
    pub log_start: i64,
    /// How much is wanted of this partition.
    pub max_bytes: i32,
}

/// What a Fetch names next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Named<'a> {
    /// A topic, by name or by id: the other one is empty.
    Topic(&'a [u8], Uuid),
    /// A partition of that topic.
    Part(Part),
}

/// A request that is read while it is worked off.
pub struct Reading<'a> {
    fields: Fields<'a>,
    version: i16,
    /// What it wants.
    pub terms: Terms,
    /// Where the client is; known when all was read.
    rack: &'a [u8],
    topics: usize,
    parts: usize,
    /// A topic was begun, and ends with its partitions.
    begun: bool,
    /// What it may still take in memory.
    memory: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Underway,
    /// All of it was read, and was plain.
    Plain,
    /// It is to be left to the codec.
    Odd,
}

impl<'a> Reading<'a> {
    /// Begins to read a request's body, which stands in `frame` from `at` on. `None` where it is to be left to the codec: it
    /// has a session, or what consumers have not, or cannot be read. So it is too where that shows only on the way
    /// ([`Self::is_plain`]).
    #[must_use]
    pub fn begin(frame: &'a Bytes, at: usize, version: i16) -> Option<Self> {
        let fields = Fields { cursor: Cursor { frame, at }, flexible: version >= FLEXIBLE_FETCH };
        Self::read_head(fields, version).ok().flatten()
    }

    fn read_head(mut fields: Fields<'a>, version: i16) -> Result<Option<Self>, Malformed> {
        let memory = allowance(fields.cursor.left());
        if version < WITHOUT_REPLICA && fields.cursor.i32()? != -1 {
            return Ok(None); // a follower
        }
        let (max_wait_ms, min_bytes) = (fields.cursor.i32()?, fields.cursor.i32()?);
        let (max_bytes, [isolation]) = (fields.cursor.i32()?, fields.cursor.take::<1>()?);
        let mut terms =
            Terms { max_wait_ms, min_bytes, max_bytes, isolation: isolation.cast_signed(), epoch: Terms::FULL };
        if version >= SESSIONS {
            if fields.cursor.i32()? != NO_SESSION {
                return Ok(None);
            }
            terms.epoch = fields.cursor.i32()?;
        }
        let topics = fields.count()?;
        let state = State::Underway;
        Ok(Some(Self { fields, version, terms, rack: &[], topics, parts: 0, begun: false, memory, state }))
    }

    /// Whether all was read, and it holds nothing beside.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.state == State::Plain
    }

    /// Where the client is, or nothing; known when all was read. What is no text is no rack's name.
    #[must_use]
    pub fn rack(&self) -> StrBytes {
        // A copy: a slice of the frame would keep it.
        std::str::from_utf8(self.rack).map_or_else(|_| StrBytes::new(), |rack| StrBytes::from_string(rack.to_owned()))
    }

    fn step(&mut self) -> Result<Option<Named<'a>>, Malformed> {
        if self.parts > 0 {
            self.parts -= 1;
            return Part::read(&mut self.fields.cursor, self.version).map(Named::Part).map(Some);
        }
        if std::mem::take(&mut self.begun) {
            self.no_tags()?;
        }
        if self.topics == 0 {
            self.end()?;
            self.state = State::Plain;
            return Ok(None);
        }
        self.topics -= 1;
        self.begun = true;
        let (name, id) = match self.version {
            ..TOPIC_IDS => (self.fields.text()?, Uuid::nil()),
            _ => (Default::default(), Uuid::from_bytes(self.fields.cursor.take()?)),
        };
        self.parts = self.fields.count()?;
        let memory = MEMORY_OF_ONE.saturating_mul(self.parts.saturating_add(1));
        self.memory = self.memory.checked_sub(memory).ok_or(ODD)?;
        Ok(Some(Named::Topic(name, id)))
    }

    fn end(&mut self) -> Result<(), Malformed> {
        if self.version >= SESSIONS && self.fields.count()? > 0 {
            return Err(ODD); // topics that a session forgets
        }
        if self.version >= READ_REPLICA {
            self.rack = self.fields.text()?;
        }
        self.no_tags()
    }

    #[inline]
    fn no_tags(&mut self) -> Result<(), Malformed> {
        if self.fields.has_tags()? { Err(ODD) } else { Ok(()) }
    }
}

/// Why the codec reads it, and judges it.
const ODD: Malformed = Malformed::Number("what is not read at a glance");

impl<'a> Iterator for Reading<'a> {
    type Item = Named<'a>;

    #[inline]
    fn next(&mut self) -> Option<Named<'a>> {
        if self.state != State::Underway {
            return None;
        }
        self.step().unwrap_or_else(|_| {
            self.state = State::Odd;
            None
        })
    }
}

impl Flat {
    /// Everything that it names, in order.
    pub fn named(&self) -> impl Iterator<Item = Named<'_>> {
        self.each().flat_map(|(topic, parts)| {
            let named = std::iter::once(Named::Topic(topic.name.as_bytes(), topic.id));
            named.chain(parts.iter().map(|part| Named::Part(*part)))
        })
    }

    /// Each topic with its partitions.
    pub fn each(&self) -> impl Iterator<Item = (&FlatTopic, &[Part])> {
        let mut from = 0;
        self.topics.iter().map(move |topic| {
            let parts = self.parts.get(from..topic.end).unwrap_or_default();
            from = topic.end;
            (topic, parts)
        })
    }

    /// The request in a broker's version.
    ///
    /// # Errors
    /// Where the head cannot be written.
    pub fn frame(&self, version: i16, correlation: i32, client_id: Option<&Bytes>) -> Result<Frame, Malformed> {
        let mut to = BytesMut::with_capacity(128 + self.room());
        to.put_bytes(0, LENGTH);
        let client_id = client_id.and_then(|id| StrBytes::from_utf8(id.clone()).ok());
        let head = RequestHeader::default()
            .with_request_api_key(ApiKey::Fetch as i16)
            .with_request_api_version(version)
            .with_correlation_id(correlation)
            .with_client_id(client_id);
        let head = head.encode(&mut to, ApiKey::Fetch.request_header_version(version));
        head.map_err(|e| Malformed::Field(e.to_string()))?;
        self.put(&mut to, version);
        let length = u32::try_from(to.len() - LENGTH).unwrap_or(u32::MAX);
        if let Some(field) = to.first_chunk_mut::<LENGTH>() {
            *field = length.to_be_bytes();
        }
        Ok(vec![to.freeze()])
    }

    /// Its body alone.
    #[must_use]
    pub fn body(&self, version: i16) -> Bytes {
        let mut to = BytesMut::with_capacity(self.room());
        self.put(&mut to, version);
        to.freeze()
    }

    fn room(&self) -> usize {
        let topics: usize = self.topics.iter().map(|topic| 24 + topic.name.len()).sum();
        64 + topics + SIZE * self.parts.len() + self.rack.len()
    }

    fn put(&self, to: &mut BytesMut, version: i16) {
        let flexible = version >= FLEXIBLE_FETCH;
        if version < WITHOUT_REPLICA {
            to.put_i32(-1);
        }
        let Terms { max_wait_ms, min_bytes, max_bytes, isolation, epoch } = self.terms;
        to.put_i32(max_wait_ms);
        to.put_i32(min_bytes);
        to.put_i32(max_bytes);
        to.put_i8(isolation);
        if version >= SESSIONS {
            to.put_i32(NO_SESSION);
            to.put_i32(epoch);
        }
        put_count(to, flexible, self.topics.len());
        for (topic, parts) in self.each() {
            put_topic(to, version, &topic.name, topic.id);
            put_count(to, flexible, parts.len());
            for part in parts {
                part.put(to, version);
            }
            if flexible {
                to.put_u8(0);
            }
        }
        if version >= SESSIONS {
            put_count(to, flexible, 0); // topics that a session forgets
        }
        if version >= READ_REPLICA {
            put_text(to, flexible, &self.rack);
        }
        if flexible {
            to.put_u8(0);
        }
    }
}

impl From<&Flat> for FetchRequest {
    fn from(flat: &Flat) -> Self {
        let part = |part: &Part| {
            FetchPartition::default()
                .with_partition(part.index)
                .with_current_leader_epoch(part.leader_epoch)
                .with_fetch_offset(part.offset)
                .with_last_fetched_epoch(part.fetched_epoch)
                .with_log_start_offset(part.log_start)
                .with_partition_max_bytes(part.max_bytes)
        };
        let topic = |(topic, parts): (&FlatTopic, &[Part])| {
            let named = FetchTopic::default().with_topic(topic.name.clone().into()).with_topic_id(topic.id);
            named.with_partitions(parts.iter().map(part).collect())
        };
        let Terms { max_wait_ms, min_bytes, max_bytes, isolation, epoch } = flat.terms;
        Self::default()
            .with_max_wait_ms(max_wait_ms)
            .with_min_bytes(min_bytes)
            .with_max_bytes(max_bytes)
            .with_isolation_level(isolation)
            .with_session_epoch(epoch)
            .with_topics(flat.each().map(topic).collect())
            .with_rack_id(flat.rack.clone())
    }
}

impl From<FetchRequest> for Flat {
    /// What a request has beside these fields is not for brokers: a session.
    fn from(request: FetchRequest) -> Self {
        let terms = Terms {
            max_wait_ms: request.max_wait_ms,
            min_bytes: request.min_bytes,
            max_bytes: request.max_bytes,
            isolation: request.isolation_level,
            epoch: Terms::FULL,
        };
        let rack = StrBytes::from_string(request.rack_id.to_string());
        let mut flat = Self { terms, rack, ..Self::default() };
        for topic in request.topics {
            flat.parts.extend(topic.partitions.iter().map(Part::of));
            flat.topics.push(FlatTopic { name: topic.topic.0, id: topic.topic_id, end: flat.parts.len() });
        }
        flat
    }
}

impl Part {
    fn of(asked: &FetchPartition) -> Self {
        Self {
            index: asked.partition,
            leader_epoch: asked.current_leader_epoch,
            offset: asked.fetch_offset,
            fetched_epoch: asked.last_fetched_epoch,
            log_start: asked.log_start_offset,
            max_bytes: asked.partition_max_bytes,
        }
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, version: i16) -> Result<Self, Malformed> {
        let mut part = Self { index: 0, leader_epoch: -1, offset: 0, fetched_epoch: -1, log_start: -1, max_bytes: 0 };
        if version >= FLEXIBLE_FETCH {
            // As most clients write it: in one piece, without tagged fields.
            let all = cursor.take::<SIZE>()?;
            if all[SIZE - 1] > 0 {
                return Err(ODD);
            }
            part.index = i32::from_be_bytes(piece(&all, 0));
            part.leader_epoch = i32::from_be_bytes(piece(&all, 4));
            part.offset = i64::from_be_bytes(piece(&all, 8));
            part.fetched_epoch = i32::from_be_bytes(piece(&all, 16));
            part.log_start = i64::from_be_bytes(piece(&all, 20));
            part.max_bytes = i32::from_be_bytes(piece(&all, 28));
            return Ok(part);
        }
        part.index = cursor.i32()?;
        if version >= LEADER_EPOCHS {
            part.leader_epoch = cursor.i32()?;
        }
        part.offset = i64::from_be_bytes(cursor.take()?);
        if version >= LOG_START {
            part.log_start = i64::from_be_bytes(cursor.take()?);
        }
        part.max_bytes = cursor.i32()?;
        Ok(part)
    }

    #[inline]
    fn put(&self, to: &mut BytesMut, version: i16) {
        if version >= FLEXIBLE_FETCH {
            let mut all = [0_u8; SIZE];
            all[..4].copy_from_slice(&self.index.to_be_bytes());
            all[4..8].copy_from_slice(&self.leader_epoch.to_be_bytes());
            all[8..16].copy_from_slice(&self.offset.to_be_bytes());
            all[16..20].copy_from_slice(&self.fetched_epoch.to_be_bytes());
            all[20..28].copy_from_slice(&self.log_start.to_be_bytes());
            all[28..32].copy_from_slice(&self.max_bytes.to_be_bytes());
            return to.put_slice(&all);
        }
        to.put_i32(self.index);
        if version >= LEADER_EPOCHS {
            to.put_i32(self.leader_epoch);
        }
        to.put_i64(self.offset);
        if version >= LOG_START {
            to.put_i64(self.log_start);
        }
        to.put_i32(self.max_bytes);
    }
}

/// So many bytes of `all`, from `at` on; zeros beyond its end.
#[inline]
fn piece<const N: usize>(all: &[u8; SIZE], at: usize) -> [u8; N] {
    all.get(at..at + N).and_then(|piece| piece.try_into().ok()).unwrap_or([0; N])
}

pub(super) fn put_count(to: &mut impl BufMut, flexible: bool, count: usize) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    if flexible { put_varint(to, count.saturating_add(1)) } else { to.put_u32(count) }
}

pub(super) fn put_topic(to: &mut impl BufMut, version: i16, name: &str, id: Uuid) {
    match version {
        ..TOPIC_IDS => put_text(to, version >= FLEXIBLE_FETCH, name),
        _ => to.put_slice(id.as_bytes()),
    }
}

fn put_text(to: &mut impl BufMut, flexible: bool, text: &str) {
    match flexible {
        true => put_count(to, true, text.len()),
        false => to.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX)),
    }
    to.put_slice(text.as_bytes());
}

fn put_varint(to: &mut impl BufMut, mut value: u32) {
    while value >= 0x80 {
        to.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.put_u8((value & 0x7f) as u8);
}
