//! LZ4 frames as Kafka reads and writes them: version 1, independent blocks, one frame. Our own walk over the blocks lets
//! each be decompressed where it belongs; lz4_flex's reader takes buffers of its own for every frame.

use super::{Codec, Packed, Scratch, TooLarge, append};
use lz4_flex::block::{
    CompressTable, DecompressError, compress_into_with_table, decompress_into, get_maximum_output_size,
};
use twox_hash::XxHash32;

const MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();
/// Version 1, blocks that stand for themselves, nothing else.
const FLAGS: u8 = 0b0110_0000;
/// Blocks of at most 64 KiB.
const SIZES: u8 = 0b0100_0000;
const BLOCK: usize = 64 << 10;
/// Of a block's length: it did not shrink, and is stored as it was.
const STORED: u32 = 1 << 31;
const END: u32 = 0;

fn damaged(what: &'static str) -> Packed {
    Packed::Damaged(Codec::Lz4, what)
}

/// Decompresses the frame that `packed` begins with. What stands behind it is nobody's, as in Kafka.
pub(super) fn read(packed: &[u8], plain: &mut Scratch) -> Result<(), Packed> {
    let mut rest = Rest(packed);
    let Frame { block, checked } = Frame::read(&mut rest)?;
    loop {
        let length = rest.u32()?;
        if length == END {
            return Ok(());
        }
        let size = usize::try_from(length & !STORED).unwrap_or(usize::MAX);
        if size > block {
            return Err(damaged("a block is larger than the frame's blocks may be"));
        }
        let bytes = rest.take(size)?;
        if checked && XxHash32::oneshot(0, bytes) != rest.u32()? {
            return Err(damaged("the checksum of a block is another"));
        }
        if length & STORED == 0 { inflate(bytes, block, plain)? } else { plain.put(bytes)? }
    }
}

fn inflate(bytes: &[u8], block: usize, plain: &mut Scratch) -> Result<(), Packed> {
    let spare = plain.spare(block)?;
    let is_short = spare.len() < block;
    let room = block.min(spare.len());
    match decompress_into(bytes, spare.get_mut(..room).unwrap_or_default()) {
        Ok(count) => {
            plain.advance(count);
            Ok(())
        }
        Err(DecompressError::OutputTooSmall { .. }) if is_short => Err(TooLarge.into()),
        Err(_) => Err(damaged("a block")),
    }
}

/// What a frame's beginning says.
struct Frame {
    /// The most that a block decompresses to.
    block: usize,
    /// Whether each has a checksum.
    checked: bool,
}

impl Frame {
    fn read(rest: &mut Rest<'_>) -> Result<Self, Packed> {
        if rest.take(MAGIC.len())? != MAGIC {
            return Err(damaged("it does not begin like a frame"));
        }
        let descriptor = rest.0;
        let (flags, sizes) = (rest.byte()?, rest.byte()?);
        if flags & 0b1110_0011 != FLAGS {
            return Err(damaged("a version, linked blocks, or a dictionary that Kafka does not read"));
        }
        if sizes & 0b1000_1111 != 0 || sizes < SIZES {
            return Err(damaged("a block size that is none"));
        }
        let has_size = flags & 0b1000 != 0;
        rest.take(if has_size { 8 } else { 0 })?;
        let descriptor = descriptor.get(..if has_size { 10 } else { 2 }).unwrap_or_default();
        if rest.byte()? != check(descriptor) {
            return Err(damaged("the checksum of the frame's beginning is another"));
        }
        Ok(Self { block: BLOCK << (2 * ((sizes >> 4) - 4)), checked: flags & 0b1_0000 != 0 })
    }
}

fn check(descriptor: &[u8]) -> u8 {
    let [_, byte, _, _] = XxHash32::oneshot(0, descriptor).to_le_bytes();
    byte
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Packed> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(damaged("it ends too early"))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, Packed> {
        let (byte, rest) = self.0.split_first().ok_or(damaged("it ends too early"))?;
        self.0 = rest;
        Ok(*byte)
    }

    fn u32(&mut self) -> Result<u32, Packed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(damaged("it ends too early"))?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*bytes))
    }
}

/// One frame, as Java's producer writes it.
pub(super) fn write(plain: &[u8], out: &mut Vec<u8>, table: &mut CompressTable) -> Result<(), Packed> {
    out.extend(MAGIC);
    out.extend([FLAGS, SIZES, check(&[FLAGS, SIZES])]);
    for block in plain.chunks(BLOCK) {
        let length = out.len();
        out.extend([0; 4]);
        append(out, get_maximum_output_size(block.len()), |room| {
            compress_into_with_table(block, room, table).map_err(|_| damaged("a block does not fit"))
        })?;
        let start = length + 4;
        let mut size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
        if out.len() - start >= block.len() {
            out.truncate(start);
            out.extend_from_slice(block);
            size = u32::try_from(block.len()).unwrap_or(u32::MAX) | STORED;
        }
        if let Some(place) = out.get_mut(length..start) {
            place.copy_from_slice(&size.to_le_bytes());
        }
    }
    out.extend(END.to_le_bytes());
    Ok(())
}
