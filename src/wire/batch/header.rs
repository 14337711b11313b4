//! The 61 bytes before a batch's records.

use super::Flaw;
use crate::wire::compression::Codec;

/// Bytes before the records: from base offset to record count.
pub const HEADER: usize = 61;
/// Where the bytes begin that the CRC is made of.
pub(super) const CRC_COVERS_FROM: usize = 21;
/// Base offset and length: what the length field does not count.
const BEFORE_LENGTH_COUNTS: usize = 12;
/// The only format that has a producer id, and the only one that Kafka 4 takes.
const MAGIC: i8 = 2;

/// A batch's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The offset of its first record (in a Produce: 0).
    pub base_offset: i64,
    /// Its size in bytes, this header included.
    pub size: usize,
    /// The leader's epoch when it was appended. Not covered by the CRC.
    pub leader_epoch: i32,
    /// CRC32C from the attributes to the end.
    pub crc: u32,
    /// Codec (low 3 bits), timestamp type, transactional, control, delete horizon.
    pub attributes: i16,
    /// Last offset minus base offset.
    pub last_offset_delta: i32,
    /// What records' timestamps count from, ms: the first one's, or a delete horizon.
    pub base_timestamp: i64,
    /// The highest timestamp, ms.
    pub max_timestamp: i64,
    /// The idempotent producer's id, negative where there is none.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The sequence of its first record.
    pub base_sequence: i32,
    /// The number of records; 0 only after compaction.
    pub count: i32,
}

/// Timestamps are the broker's, and all are the header's highest.
pub(super) const APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
/// The base timestamp is when tombstones may go (KIP-534). No producer sets it.
pub(super) const DELETE_HORIZON: i16 = 1 << 6;

impl Header {
    /// The header of the batch that `bytes` begin with; `None` where it is cut short. What is there of it is looked at.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, Flaw> {
        let fields = Fields(bytes);
        if let Some(format) = fields.i8(16).filter(|format| *format != MAGIC) {
            return Err(Flaw::Format(format));
        }
        let Some(length) = fields.i32(8) else { return Ok(None) };
        let size = usize::try_from(length).ok().and_then(|length| length.checked_add(BEFORE_LENGTH_COUNTS));
        let size = size.filter(|size| *size >= HEADER).ok_or(Flaw::Length(length))?;
        let header = fields.header(size);
        match header {
            Some(header) if header.count < 0 => Err(Flaw::Count(header.count)),
            whole_or_cut => Ok(whole_or_cut),
        }
    }

    /// Whether its records are of a transaction, which are written together or not at all.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether its records are the log's own, such as the end of a transaction: no consumer is given them.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// When its first record was written, ms; where the header does not tell, when its youngest was.
    #[must_use]
    pub fn written_ms(&self) -> i64 {
        let is_first = self.attributes & (APPEND_TIME | DELETE_HORIZON) == 0;
        if is_first { self.base_timestamp } else { self.max_timestamp }
    }

    /// The offset behind its last record, whatever compaction left of them.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta)).saturating_add(1)
    }

    /// What its records are compressed with; `None` where that is nothing we know.
    #[must_use]
    pub fn codec(&self) -> Option<Codec> {
        match self.attributes & 0b111 {
            0 => Some(Codec::None),
            1 => Some(Codec::Gzip),
            2 => Some(Codec::Snappy),
            3 => Some(Codec::Lz4),
            4 => Some(Codec::Zstd),
            _ => None,
        }
    }
}

/// Bytes that may end before a field does.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn header(&self, size: usize) -> Option<Header> {
        Some(Header {
            base_offset: self.i64(0)?,
            size,
            leader_epoch: self.i32(12)?,
            crc: u32::from_be_bytes(self.take(17)?),
            attributes: i16::from_be_bytes(self.take(21)?),
            last_offset_delta: self.i32(23)?,
            base_timestamp: self.i64(27)?,
            max_timestamp: self.i64(35)?,
            producer_id: self.i64(43)?,
            producer_epoch: i16::from_be_bytes(self.take(51)?),
            base_sequence: self.i32(53)?,
            count: self.i32(57)?,
        })
    }

    fn take<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk::<N>().copied()
    }

    fn i8(&self, at: usize) -> Option<i8> {
        self.take(at).map(i8::from_be_bytes)
    }

    fn i32(&self, at: usize) -> Option<i32> {
        self.take(at).map(i32::from_be_bytes)
    }

    fn i64(&self, at: usize) -> Option<i64> {
        self.take(at).map(i64::from_be_bytes)
    }
}

/// Writes a header over the first bytes of a batch.
pub(super) fn write_header(batch: &mut [u8], header: &Header) {
    let length = i32::try_from(header.size.saturating_sub(BEFORE_LENGTH_COUNTS)).unwrap_or(i32::MAX);
    let fields: [&[u8]; 13] = [
        &header.base_offset.to_be_bytes(),
        &length.to_be_bytes(),
        &header.leader_epoch.to_be_bytes(),
        &MAGIC.to_be_bytes(),
        &header.crc.to_be_bytes(),
        &header.attributes.to_be_bytes(),
        &header.last_offset_delta.to_be_bytes(),
        &header.base_timestamp.to_be_bytes(),
        &header.max_timestamp.to_be_bytes(),
        &header.producer_id.to_be_bytes(),
        &header.producer_epoch.to_be_bytes(),
        &header.base_sequence.to_be_bytes(),
        &header.count.to_be_bytes(),
    ];
    for (place, byte) in batch.iter_mut().zip(fields.into_iter().flatten()) {
        *place = *byte;
    }
}
