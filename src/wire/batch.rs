//! Record batches in format v2, read in place: nothing is copied or allocated, nothing is decompressed here.
//! Source: Kafka's `DefaultRecordBatch`.

use bytes::Bytes;

/// Bytes before the records: from base offset to record count.
pub const HEADER: usize = 61;
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
    /// Codec (low 3 bits), timestamp type, transactional, control.
    pub attributes: i16,
    /// Last offset minus base offset.
    pub last_offset_delta: i32,
    /// The first record's timestamp, ms.
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

impl Header {
    /// The header of the first batch in `records`. `None` where it is cut short or of an older format.
    #[must_use]
    pub fn read(records: &Bytes) -> Option<Self> {
        let header = records.first_chunk::<HEADER>()?;
        let field = Field(header);
        let length = usize::try_from(field.i32(8)?).ok()?;
        (field.i8(16)? == MAGIC).then_some(())?;
        Some(Self {
            base_offset: field.i64(0)?,
            size: length.checked_add(BEFORE_LENGTH_COUNTS).filter(|size| *size >= HEADER)?,
            leader_epoch: field.i32(12)?,
            crc: u32::from_be_bytes(field.take(17)?),
            attributes: i16::from_be_bytes(field.take(21)?),
            last_offset_delta: field.i32(23)?,
            base_timestamp: field.i64(27)?,
            max_timestamp: field.i64(35)?,
            producer_id: field.i64(43)?,
            producer_epoch: i16::from_be_bytes(field.take(51)?),
            base_sequence: field.i32(53)?,
            count: field.i32(57)?,
        })
    }

    /// Whether its records are compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.attributes & 0b111 != 0
    }
}

struct Field<'a>(&'a [u8; HEADER]);

impl Field<'_> {
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
