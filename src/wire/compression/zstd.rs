//! Zstandard frames, in one go: so the decoder needs no window of its own, whatever a frame asks for, and memory is our
//! buffer and nothing else.

use super::{Codec, Packed, Scratch, TooLarge, append};
use zstd_safe::{CCtx, DCtx};

/// Zstandard's default, and Kafka's.
const LEVEL: i32 = 3;
/// Text shrinks to a quarter, mostly.
const USUAL: usize = 8;
/// Zstandard's number for "the output does not fit", which it gives as a negative size.
const DOES_NOT_FIT: usize = 0_usize.wrapping_sub(70);

fn damaged(what: &'static str) -> Packed {
    Packed::Damaged(Codec::Zstd, what)
}

pub(super) fn read(packed: &[u8], plain: &mut Scratch, decoder: &mut DCtx<'static>) -> Result<(), Packed> {
    if packed.is_empty() {
        return Err(damaged("there is nothing"));
    }
    let told = zstd_safe::get_frame_content_size(packed).map_err(|_| damaged("it does not begin like a frame"))?;
    let told = told.map(|told| usize::try_from(told).unwrap_or(usize::MAX));
    let most = plain.most();
    if told.is_some_and(|told| told > most) {
        return Err(TooLarge.into());
    }
    let mut wanted = told.unwrap_or(packed.len().saturating_mul(USUAL)).min(most);
    loop {
        let spare = plain.spare(wanted)?;
        match decoder.decompress(spare, packed) {
            Ok(count) => {
                plain.advance(count);
                return Ok(());
            }
            Err(DOES_NOT_FIT) if spare.len() >= most => return Err(TooLarge.into()),
            Err(DOES_NOT_FIT) => wanted = spare.len().saturating_mul(2).min(most),
            Err(_) => return Err(damaged("a frame")),
        }
    }
}

pub(super) fn write(plain: &[u8], out: &mut Vec<u8>, encoder: &mut CCtx<'static>) -> Result<(), Packed> {
    append(out, zstd_safe::compress_bound(plain.len()), |room| {
        encoder.compress(room, plain, LEVEL).map_err(|_| damaged("it does not fit"))
    })
}
