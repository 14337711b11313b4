//! A batch as a producer may send it, and why Kafka would refuse another one: who looks into batches must refuse what the
//! broker would, for what it edits comes to the broker in order. Decompressing is part of it.
//! Sources: Kafka's `ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords`, `LogValidator.validateBatch`.

use super::edit::Uneditable;
use super::{Batch, Batches, Flaw, Malformed};
use crate::wire::compression::{Codec, Desk, Packed, Scratch, unpack};
use kafka_protocol::ResponseError;

/// Why a producer's batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is no batch, or it is cut short.
    #[error("no whole record batch")]
    None,
    /// There is more than one.
    #[error("more than one record batch for a partition")]
    Several,
    /// It is no batch at all.
    #[error("a record batch that is none: {0}")]
    Malformed(Malformed),
    /// It is not what its sender made.
    #[error("the CRC of a record batch is another")]
    Crc,
    /// Its offsets are not 0, 1, 2 ...: its count and its last offset disagree, or there is none.
    #[error("a record batch of {count} records with offsets from {base_offset}, the last one {last_delta} further")]
    Offsets {
        /// What it says they begin with.
        base_offset: i64,
        /// How much further the last one is.
        last_delta: i32,
        /// How many it says there are.
        count: i32,
    },
    /// Only brokers write these.
    #[error("a record batch of control records")]
    Control,
    /// An idempotent producer's without a place in its sequence.
    #[error("a record batch of an idempotent producer without a sequence: {0}")]
    Sequence(i32),
    /// Nobody knows what compressed it.
    #[error("a record batch compressed by a codec that nobody knows: {0}")]
    Codec(i16),
    /// It cannot be decompressed, or not into what a batch may take.
    #[error(transparent)]
    Packed(#[from] Packed),
    /// A record in it cannot be read.
    #[error("record {record} of a batch: {malformed}")]
    Record {
        /// Which, counted from 0.
        record: usize,
        /// What is wrong with it.
        malformed: Malformed,
    },
}

impl From<Uneditable> for Unfit {
    fn from(uneditable: Uneditable) -> Self {
        match uneditable {
            Uneditable::Malformed { record, malformed } => Self::Record { record, malformed },
            Uneditable::Packed(packed) => Self::Packed(packed),
            Uneditable::Codec => Self::Codec(-1),
            Uneditable::Fates { .. } => Self::None,
        }
    }
}

impl Unfit {
    /// What the client hears. What is too large for us is split by Java's producer, and then fits; the rest is Kafka's, its
    /// stumbling over codecs and endless numbers too (`tests/kafka/edited.rs`).
    #[must_use]
    pub fn error(&self) -> ResponseError {
        match self {
            Self::Malformed(_) | Self::Crc => ResponseError::CorruptMessage,
            Self::Packed(Packed::TooLarge(_)) => ResponseError::MessageTooLarge,
            Self::Packed(Packed::Damaged(..))
            | Self::Codec(_)
            | Self::Record { malformed: Malformed { flaw: Flaw::Varint, .. }, .. } => ResponseError::UnknownServerError,
            Self::None
            | Self::Several
            | Self::Offsets { .. }
            | Self::Control
            | Self::Sequence(_)
            | Self::Record { .. } => ResponseError::InvalidRecord,
        }
    }
}

/// The one batch that a producer's records for a partition are. What is cut short behind it, Kafka leaves out, too. Its CRC
/// is not looked at: what goes on as it is, the broker looks at; who edits or drops it must ask [`intact`] first.
pub fn open(records: &[u8]) -> Result<Batch<'_>, Unfit> {
    let mut batches = Batches::of(records);
    let batch = batches.next().ok_or(Unfit::None)?.map_err(Unfit::Malformed)?;
    match batches.next() {
        None => {}
        Some(Ok(_)) => return Err(Unfit::Several),
        Some(Err(malformed)) => return Err(Unfit::Malformed(malformed)),
    }
    judge(&batch).map_err(|unfit| rather_crc(&batch, unfit))?;
    Ok(batch)
}

/// Whether a batch is what its sender made, before anything is made of it.
pub fn intact(batch: &Batch<'_>) -> Result<(), Unfit> {
    if batch.is_intact() { Ok(()) } else { Err(Unfit::Crc) }
}

/// Kafka looks at the CRC first: a batch that was damaged is told so, whatever else is wrong with it.
#[must_use]
pub fn rather_crc(batch: &Batch<'_>, unfit: Unfit) -> Unfit {
    intact(batch).err().unwrap_or(unfit)
}

fn judge(batch: &Batch<'_>) -> Result<(), Unfit> {
    let header = &batch.header;
    let (base_offset, last_delta, count) = (header.base_offset, header.last_offset_delta, header.count);
    if base_offset != 0 || count <= 0 || last_delta.checked_add(1) != Some(count) {
        return Err(Unfit::Offsets { base_offset, last_delta, count });
    }
    if header.is_control() {
        return Err(Unfit::Control);
    }
    if header.producer_id >= 0 && header.base_sequence < 0 {
        return Err(Unfit::Sequence(header.base_sequence));
    }
    Ok(())
}

/// Decompresses a batch's records onto the desk, where they are not plain as they are. [`plain`] then has them.
pub fn lay_out(batch: &Batch<'_>, desk: &mut Desk) -> Result<(), Unfit> {
    match batch.header.codec().ok_or(Unfit::Codec(batch.header.attributes & 0b111))? {
        Codec::None => Ok(()),
        codec => unpack(codec, batch.section(), &mut desk.plain, &mut desk.press)
            .map_err(|packed| rather_crc(batch, packed.into())),
    }
}

/// The records of a batch that was [laid out](lay_out): in [`Desk::plain`], where they were compressed.
#[must_use]
pub fn plain<'a>(batch: &Batch<'a>, unpacked: &'a Scratch) -> &'a [u8] {
    if batch.header.codec() == Some(Codec::None) { batch.section() } else { unpacked.filled() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{around, batch, plain_header, plain_record};
    use super::*;
    use crate::wire::batch::Header;
    use crate::wire::compression::at_desk;

    fn header() -> Header {
        Header { base_offset: 0, last_offset_delta: 0, ..plain_header() }
    }

    fn refusal(bytes: &[u8]) -> (Unfit, ResponseError) {
        let unfit = open(bytes).unwrap_err();
        (unfit, unfit.error())
    }

    #[test]
    fn a_producers_batch_is_opened() {
        let mut bytes = batch(header(), &[plain_record()]);
        assert_eq!(open(&bytes).unwrap().header.count, 1);
        bytes.extend([0; 11]);
        assert!(open(&bytes).is_ok(), "what is cut short behind it is left out");
    }

    #[test]
    fn what_kafka_refuses_is_refused_with_its_codes() {
        let good = batch(header(), &[plain_record()]);
        assert_eq!(refusal(&[]), (Unfit::None, ResponseError::InvalidRecord));
        assert_eq!(refusal(&good[..good.len() - 1]), (Unfit::None, ResponseError::InvalidRecord));
        assert_eq!(refusal(&[&good[..], &good].concat()), (Unfit::Several, ResponseError::InvalidRecord));
        let mut damaged = good.clone();
        damaged[70] ^= 1;
        assert_eq!(intact(&open(&damaged).unwrap()), Err(Unfit::Crc));
        damaged[60] ^= 1; // the count
        assert_eq!(refusal(&damaged), (Unfit::Crc, ResponseError::CorruptMessage));
        let mut short = good;
        short[8..12].copy_from_slice(&10_i32.to_be_bytes());
        let flaw = Malformed { at: 0, flaw: Flaw::Length(10) };
        assert_eq!(refusal(&short), (Unfit::Malformed(flaw), ResponseError::CorruptMessage));
        let other = |header: Header| refusal(&batch(header, &[plain_record()]));
        for (base_offset, last_delta) in [(7, 0), (0, 1), (0, -1), (0, i32::MAX)] {
            let told = other(Header { base_offset, last_offset_delta: last_delta, ..header() });
            assert_eq!(told, (Unfit::Offsets { base_offset, last_delta, count: 1 }, ResponseError::InvalidRecord));
        }
        let none = refusal(&batch(Header { last_offset_delta: -1, ..header() }, &[]));
        assert_eq!(none.1, ResponseError::InvalidRecord);
        assert_eq!(other(Header { attributes: 1 << 5, ..header() }).0, Unfit::Control);
        assert_eq!(other(Header { producer_id: 5, ..header() }).0, Unfit::Sequence(-1));
    }

    #[test]
    fn what_cannot_be_decompressed_says_so() {
        let laid_out = |attributes| {
            let bytes = around(Header { attributes, ..header() }, 1, b"nonsense");
            at_desk(|desk| lay_out(&open(&bytes).unwrap(), desk)).unwrap_err()
        };
        assert!(matches!(laid_out(3), Unfit::Packed(Packed::Damaged(Codec::Lz4, _))));
        assert_eq!(laid_out(6), Unfit::Codec(6));
    }

    #[test]
    fn plain_records_are_not_copied() {
        let bytes = batch(header(), &[plain_record()]);
        let batch = open(&bytes).unwrap();
        at_desk(|desk| {
            lay_out(&batch, desk).unwrap();
            assert_eq!(plain(&batch, &desk.plain).as_ptr(), batch.section().as_ptr());
        });
    }
}
