//! Snappy in both its kinds: one raw block, as most clients write it, or blocks in the frames of xerial's library, as Java
//! does.

use super::{Codec, Packed, Scratch, TooLarge, append};
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

const FRAMED: &[u8] = b"\x82SNAPPY\0";
/// The version of the frames, and the oldest that can be read with it.
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// As snappy-java cuts them when it is not told otherwise.
const BLOCK: usize = 32 << 10;

fn damaged(what: &'static str) -> Packed {
    Packed::Damaged(Codec::Snappy, what)
}

/// Whether it is in xerial's frames.
pub(super) fn is_framed(packed: &[u8]) -> bool {
    packed.len() >= FRAMED.len() + VERSIONS.len() && packed.starts_with(FRAMED)
}

pub(super) fn read(packed: &[u8], plain: &mut Scratch, decoder: &mut Decoder) -> Result<(), Packed> {
    if !is_framed(packed) {
        return block(packed, plain, decoder);
    }
    let mut rest = packed.get(FRAMED.len() + VERSIONS.len()..).unwrap_or_default();
    while let Some((size, behind)) = rest.split_first_chunk() {
        if is_framed(rest) {
            // One stream behind another.
            rest = rest.get(FRAMED.len() + VERSIONS.len()..).unwrap_or_default();
            continue;
        }
        let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
        let (bytes, behind) = behind.split_at_checked(size).ok_or(damaged("it ends too early"))?;
        block(bytes, plain, decoder)?;
        rest = behind;
    }
    // A length that is cut short is the end for snappy-java, too.
    Ok(())
}

fn block(bytes: &[u8], plain: &mut Scratch, decoder: &mut Decoder) -> Result<(), Packed> {
    let size = decompress_len(bytes).map_err(|_| damaged("the length of a block"))?;
    let spare = plain.spare(size)?.get_mut(..size).ok_or(TooLarge)?;
    let count = decoder.decompress(bytes, spare).map_err(|_| damaged("a block"))?;
    plain.advance(count);
    Ok(())
}

pub(super) fn write(plain: &[u8], framed: bool, out: &mut Vec<u8>, encoder: &mut Encoder) -> Result<(), Packed> {
    if !framed {
        return put(plain, out, encoder);
    }
    out.extend(FRAMED);
    out.extend(VERSIONS);
    for block in plain.chunks(BLOCK) {
        let length = out.len();
        out.extend([0; 4]);
        put(block, out, encoder)?;
        let size = u32::try_from(out.len() - length - 4).unwrap_or(u32::MAX);
        if let Some(place) = out.get_mut(length..length + 4) {
            place.copy_from_slice(&size.to_be_bytes());
        }
    }
    Ok(())
}

fn put(block: &[u8], out: &mut Vec<u8>, encoder: &mut Encoder) -> Result<(), Packed> {
    append(out, max_compress_len(block.len()), |room| {
        encoder.compress(block, room).map_err(|_| damaged("a block does not fit"))
    })
}
