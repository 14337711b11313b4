//! Gzip streams, one behind another, as Java's `GZIPInputStream` reads them.

use super::{Codec, Packed, Scratch, append};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

/// Of 32 KiB, the largest and the default.
pub(super) const WINDOW: u8 = 15;
/// How a stream begins. What follows one and does not begin so is nobody's, as in Java.
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Room that is asked for at once where nothing tells how much there is.
const STEP: usize = 64 << 10;
/// A deflated stream never takes so much more than what it was made of: a few bytes for every 16 KiB, and both ends.
const BESIDE: usize = 64;

fn damaged(what: &'static str) -> Packed {
    Packed::Damaged(Codec::Gzip, what)
}

pub(super) fn read(packed: &[u8], plain: &mut Scratch) -> Result<(), Packed> {
    let mut rest = one(packed, plain)?;
    while rest.starts_with(&MAGIC) {
        rest = one(rest, plain)?;
    }
    Ok(())
}

/// Reads one stream; gives back what stands behind it.
fn one<'a>(packed: &'a [u8], plain: &mut Scratch) -> Result<&'a [u8], Packed> {
    let mut stream = Decompress::new_gzip(WINDOW);
    let mut rest = packed;
    loop {
        let (taken, given) = (stream.total_in(), stream.total_out());
        let spare = plain.spare(STEP)?;
        let status = stream.decompress(rest, spare, FlushDecompress::None);
        let status = status.map_err(|_| damaged("the stream"))?;
        let moved = |before: u64, after: u64| usize::try_from(after - before).unwrap_or(usize::MAX);
        let (taken, given) = (moved(taken, stream.total_in()), moved(given, stream.total_out()));
        rest = rest.get(taken..).unwrap_or_default();
        plain.advance(given);
        match status {
            Status::StreamEnd => return Ok(rest),
            _ if taken == 0 && given == 0 => return Err(damaged("it ends too early")),
            _ => {}
        }
    }
}

pub(super) fn write(plain: &[u8], out: &mut Vec<u8>, stream: &mut Compress) -> Result<(), Packed> {
    stream.reset();
    let most = plain.len() + plain.len() / 1000 + BESIDE;
    append(out, most, |room| {
        let status = stream.compress(plain, room, FlushCompress::Finish);
        match status {
            Ok(Status::StreamEnd) => Ok(usize::try_from(stream.total_out()).unwrap_or(usize::MAX)),
            _ => Err(damaged("it does not fit")),
        }
    })
}
