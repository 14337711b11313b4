//! The editor: of a batch's records those that have one destination become a batch of their own. Records are copied as they
//! stand, header bytes are never encoded anew; what changes are the numbers that count from the batch. Pure.
//! Source: Kafka's `MemoryRecordsBuilder`, and what `LogValidator` asks of a producer's batch: offsets without a gap.

use super::header::{APPEND_TIME, CRC_COVERS_FROM, DELETE_HORIZON, write_header};
use super::{Batch, HEADER, Header, Malformed, Record, Records};
use crate::wire::compression::{Codec, Packed, Press, Scratch, TooLarge, pack};
use bytes::Bytes;

/// Where a record may go: the topic itself, or one of the lanes that the caller numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lane(pub u8);

impl Lane {
    /// The topic that the client named.
    pub const MAIN: Self = Self(0);
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Where it goes; `None`: nowhere.
    pub to: Option<Lane>,
    /// Which of the changes that come with the fates is made to it on the way.
    pub change: Option<u16>,
}

impl Fate {
    /// It goes where the client sent it, untouched.
    pub const KEPT: Self = Self { to: Some(Lane::MAIN), change: None };
}

/// What is changed in a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Put behind its headers: of several with one key, readers take the last.
    pub headers: Vec<(Bytes, Bytes)>,
    /// It loses its key, which goes into a header of this name, if it had one.
    pub key_into: Option<Bytes>,
}

/// Who a batch is from: the producer's id, its epoch, the sequence of the first record; -1 each where it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The producer's id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The first record's place in what it sends to the partition.
    pub sequence: i32,
}

impl Sender {
    /// Who the client says it is.
    #[must_use]
    pub fn of(header: &Header) -> Self {
        Self { id: header.producer_id, epoch: header.producer_epoch, sequence: header.base_sequence }
    }
}

/// A batch that was made of some records of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The whole batch.
    pub bytes: Bytes,
    /// Its records, at least one.
    pub count: i32,
}

/// Why a batch cannot be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uneditable {
    /// Its records cannot be read.
    #[error("record {record} of a batch: {malformed}")]
    Malformed {
        /// Which, counted from 0.
        record: usize,
        /// What is wrong with it.
        malformed: Malformed,
    },
    /// It grew beyond what a batch may take, or its codec failed.
    #[error(transparent)]
    Packed(#[from] Packed),
    /// Nobody knows what compressed it.
    #[error("a batch compressed by a codec that is not known")]
    Codec,
    /// There are more records or fewer than fates: a mistake of ours.
    #[error("{records} records and {fates} fates")]
    Fates {
        /// What the batch's header says.
        records: i32,
        /// What the caller says.
        fates: usize,
    },
}

impl From<TooLarge> for Uneditable {
    fn from(too_large: TooLarge) -> Self {
        Self::Packed(too_large.into())
    }
}

/// The fate of all of them, where they have one and nothing is changed: then the batch goes there as it is.
#[must_use]
pub fn shared(fates: &[Fate]) -> Option<Fate> {
    let (first, rest) = fates.split_first()?;
    (first.change.is_none() && rest.iter().all(|fate| fate == first)).then_some(*first)
}

/// What is edited, and how.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    /// The batch as it came.
    pub batch: &'a Batch<'a>,
    /// Its records, decompressed.
    pub plain: &'a [u8],
    /// One for each of them.
    pub fates: &'a [Fate],
    /// What fates refer to.
    pub changes: &'a [Change],
}

impl Edit<'_> {
    /// The batch of those records that go to `lane`, in their order, from `sender`; `None` where none does. It has the
    /// codec, the flags and the framing of the batch as it came; `edited` and `press` are the worker's.
    pub fn to(
        &self,
        lane: Lane,
        sender: Sender,
        edited: &mut Scratch,
        press: &mut Press,
    ) -> Result<Option<Edited>, Uneditable> {
        let header = &self.batch.header;
        let codec = header.codec().ok_or(Uneditable::Codec)?;
        if usize::try_from(header.count) != Ok(self.fates.len()) {
            return Err(Uneditable::Fates { records: header.count, fates: self.fates.len() });
        }
        edited.clear();
        let Some(span) = self.gather(lane, edited)? else { return Ok(None) };
        let mut bytes = Vec::with_capacity(HEADER + if codec == Codec::None { edited.filled().len() } else { 0 });
        bytes.resize(HEADER, 0);
        pack(codec, edited.filled(), self.batch.section(), &mut bytes, press)?;
        let header = span.header(header, sender, bytes.len());
        finish(&mut bytes, header);
        bytes.shrink_to_fit();
        Ok(Some(Edited { bytes: bytes.into(), count: span.count }))
    }

    /// Writes the lane's records one behind another.
    fn gather(&self, lane: Lane, edited: &mut Scratch) -> Result<Option<Span>, Uneditable> {
        let mut span: Option<Span> = None;
        let records = Records::of(self.plain, self.batch.header.count).enumerate();
        for ((index, record), fate) in records.zip(self.fates) {
            let malformed = |malformed| Uneditable::Malformed { record: index, malformed };
            let record = record.map_err(malformed)?;
            if fate.to != Some(lane) {
                continue;
            }
            let span = span.get_or_insert_with(|| Span::beginning(&self.batch.header, &record));
            let place = span.take(&self.batch.header, &record);
            match fate.change.and_then(|change| self.changes.get(usize::from(change))) {
                None => copy(&record, place, edited)?,
                Some(change) => rewrite(&record, place, change, edited)?,
            }
        }
        Ok(span)
    }
}

/// The batch as it came, from somebody else: nothing changes but the header and the CRC.
#[must_use]
pub fn from_sender(batch: &Batch<'_>, sender: Sender) -> Bytes {
    let mut bytes = batch.bytes.to_vec();
    let Sender { id, epoch, sequence } = sender;
    let header = Header { producer_id: id, producer_epoch: epoch, base_sequence: sequence, ..batch.header };
    finish(&mut bytes, header);
    bytes.into()
}

/// Writes the header, and the CRC over what stands there then.
fn finish(bytes: &mut [u8], header: Header) {
    write_header(bytes, &header);
    let crc = crc32c::crc32c(bytes.get(CRC_COVERS_FROM..).unwrap_or_default());
    write_header(bytes, &Header { crc, ..header });
}

/// What a new batch's header says of its records.
#[derive(Clone, Copy, Debug)]
struct Span {
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

/// A record's numbers in its new batch.
#[derive(Clone, Copy, Debug)]
struct Place {
    timestamp_delta: i64,
    offset_delta: i32,
}

impl Span {
    fn beginning(header: &Header, first: &Record<'_>) -> Self {
        let first = header.base_timestamp.wrapping_add(first.timestamp_delta);
        let base = if header.attributes & DELETE_HORIZON == 0 { first } else { header.base_timestamp };
        Self { count: 0, base_timestamp: base, max_timestamp: first }
    }

    /// Takes one more record in; says where. Times go round at 64 bits, as Kafka's do.
    fn take(&mut self, header: &Header, record: &Record<'_>) -> Place {
        let timestamp = header.base_timestamp.wrapping_add(record.timestamp_delta);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let offset_delta = self.count;
        self.count += 1;
        Place { timestamp_delta: timestamp.wrapping_sub(self.base_timestamp), offset_delta }
    }

    fn header(&self, original: &Header, sender: Sender, size: usize) -> Header {
        let is_stamped = original.attributes & APPEND_TIME != 0;
        Header {
            size,
            last_offset_delta: self.count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: if is_stamped { original.max_timestamp } else { self.max_timestamp },
            producer_id: sender.id,
            producer_epoch: sender.epoch,
            base_sequence: sender.sequence,
            count: self.count,
            ..*original
        }
    }
}

/// A record that keeps all it has.
fn copy(record: &Record<'_>, place: Place, out: &mut Scratch) -> Result<(), TooLarge> {
    let mut front = Short::default();
    front.record(record, place);
    let kept = [record.content, record.headers.all];
    begin(&front, kept.iter().map(|bytes| bytes.len()).sum(), out)?;
    kept.into_iter().try_for_each(|bytes| out.put(bytes))
}

/// A record that gets headers, or loses its key to one.
fn rewrite(record: &Record<'_>, place: Place, change: &Change, out: &mut Scratch) -> Result<(), TooLarge> {
    let old_key = change.key_into.as_ref().map(|name| (&name[..], record.key));
    let moved = old_key.and_then(|(name, key)| Some((name, key?)));
    let added = moved.into_iter().chain(change.headers.iter().map(|(key, value)| (&key[..], &value[..])));
    let (mut front, mut value, mut count) = (Short::default(), Short::default(), Short::default());
    front.record(record, place);
    let content: [&[u8]; 2] = match old_key {
        None => [record.content, &[]],
        Some(_) => {
            front.varint(-1);
            value.size(record.value);
            [value.as_slice(), record.value.unwrap_or_default()]
        }
    };
    let headers = record.headers.left() + added.clone().count();
    count.varint(i64::try_from(headers).unwrap_or(i64::MAX));
    let kept = [content[0], content[1], count.as_slice(), record.headers.rest()];
    let more: usize = added.clone().map(|(key, value)| sized(key) + sized(value)).sum();
    begin(&front, kept.iter().map(|bytes| bytes.len()).sum::<usize>() + more, out)?;
    kept.into_iter().try_for_each(|bytes| out.put(bytes))?;
    for bytes in added.flat_map(|(key, value)| [key, value]) {
        let mut size = Short::default();
        size.size(Some(bytes));
        out.put(size.as_slice())?;
        out.put(bytes)?;
    }
    Ok(())
}

/// A record's size, and what stands before its key; `behind` so many bytes are to follow.
fn begin(front: &Short, behind: usize, out: &mut Scratch) -> Result<(), TooLarge> {
    let mut size = Short::default();
    let length = i32::try_from(front.as_slice().len() + behind).map_err(|_| TooLarge)?;
    size.varint(length.into());
    out.put(size.as_slice())?;
    out.put(front.as_slice())
}

/// What bytes take with their size before them.
fn sized(bytes: &[u8]) -> usize {
    let mut size = Short::default();
    size.size(Some(bytes));
    size.as_slice().len() + bytes.len()
}

/// A few numbers, on the stack: the most are attributes, a varlong, a varint, and a null key's size.
#[derive(Default)]
struct Short {
    bytes: [u8; 24],
    filled: usize,
}

impl Short {
    fn record(&mut self, record: &Record<'_>, place: Place) {
        self.byte(record.attributes);
        self.varint(place.timestamp_delta);
        self.varint(place.offset_delta.into());
    }

    fn size(&mut self, bytes: Option<&[u8]>) {
        self.varint(bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX)));
    }

    fn varint(&mut self, value: i64) {
        let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
        while rest >= 0x80 {
            self.byte(u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80);
            rest >>= 7;
        }
        self.byte(u8::try_from(rest).unwrap_or_default());
    }

    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.filled) {
            *place = byte;
            self.filled += 1;
        }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
