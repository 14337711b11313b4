//! What record batches are compressed with, undone and done again: into buffers that a worker keeps, bounded, and reading
//! what Kafka's readers read. Knows nothing of batches.
//! Sources: Kafka's `Lz4BlockInputStream` (`KafkaLZ4BlockInputStream` before 3.8), snappy-java's `SnappyInputStream`.

mod desk;
mod gzip;
mod lz4;
mod scratch;
mod snappy;
mod zstd;

pub use desk::{Desk, Press, at_desk};
pub use scratch::{LARGEST, OWN, Scratch, TooLarge};

/// What compressed a batch's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Nothing.
    None,
    /// A gzip stream.
    Gzip,
    /// Raw snappy, or snappy in the frames of xerial's library, as Java writes it.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard frames.
    Zstd,
}

/// Why something could not be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Packed {
    /// It would take more than a batch may.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// It is not what its codec makes.
    #[error("what should be {0:?} is not: {1}")]
    Damaged(Codec, &'static str),
}

/// Decompresses into `plain`, whose content is replaced.
pub fn unpack(codec: Codec, packed: &[u8], plain: &mut Scratch, press: &mut Press) -> Result<(), Packed> {
    plain.clear();
    match codec {
        Codec::None => Ok(plain.put(packed)?),
        Codec::Gzip => gzip::read(packed, plain),
        Codec::Snappy => snappy::read(packed, plain, press.unsnappy()),
        Codec::Lz4 => lz4::read(packed, plain),
        Codec::Zstd => zstd::read(packed, plain, press.unzstd()),
    }
}

/// Compresses `plain` and appends it to `out`, in the frames that `like` has: snappy has two kinds.
pub fn pack(codec: Codec, plain: &[u8], like: &[u8], out: &mut Vec<u8>, press: &mut Press) -> Result<(), Packed> {
    match codec {
        Codec::None => out.extend_from_slice(plain),
        Codec::Gzip => gzip::write(plain, out, press.gzip())?,
        Codec::Snappy => snappy::write(plain, snappy::is_framed(like), out, press.snappy())?,
        Codec::Lz4 => lz4::write(plain, out, press.lz4())?,
        Codec::Zstd => zstd::write(plain, out, press.zstd())?,
    }
    Ok(())
}

/// Makes room for `most` more bytes, lets them be filled, and keeps as many as were.
fn append(out: &mut Vec<u8>, most: usize, fill: impl FnOnce(&mut [u8]) -> Result<usize, Packed>) -> Result<(), Packed> {
    let at = out.len();
    out.resize(at + most, 0);
    let filled = fill(out.get_mut(at..).unwrap_or_default());
    out.truncate(at + filled.as_ref().copied().unwrap_or(0).min(most));
    filled.map(|_| ())
}

#[cfg(test)]
mod tests;
