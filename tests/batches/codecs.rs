//! The codecs of record batches, for tests.

use fishplate::wire::batch::Codec;
use std::io::{Read, Write};

/// As Java writes snappy: this, then blocks, each behind its size. Others write one raw block.
const XERIAL: &[u8] = b"\x82SNAPPY\0";
const XERIAL_HEAD: usize = 16;

/// What a client did to its records.
pub fn compress(codec: Codec, plain: &[u8]) -> Vec<u8> {
    match codec {
        Codec::None => plain.to_vec(),
        Codec::Gzip => {
            let mut stream = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            stream.write_all(plain).unwrap();
            stream.finish().unwrap()
        }
        Codec::Snappy => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
        Codec::Lz4 => {
            let mut stream = lz4_flex::frame::FrameEncoder::new(Vec::new());
            stream.write_all(plain).unwrap();
            stream.finish().unwrap()
        }
        Codec::Zstd => ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest),
    }
}

/// Undoes it.
pub fn decompress(codec: Codec, packed: &[u8]) -> Vec<u8> {
    match codec {
        Codec::None => packed.to_vec(),
        Codec::Gzip => read_all(flate2::read::MultiGzDecoder::new(packed)),
        Codec::Snappy if packed.starts_with(XERIAL) => blocks(&packed[XERIAL_HEAD..]).flat_map(snappy).collect(),
        Codec::Snappy => snappy(packed),
        Codec::Lz4 => read_all(lz4_flex::frame::FrameDecoder::new(packed)),
        Codec::Zstd => read_all(ruzstd::decoding::StreamingDecoder::new(packed).unwrap()),
    }
}

fn read_all(mut from: impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    from.read_to_end(&mut all).unwrap();
    all
}

fn snappy(block: &[u8]) -> Vec<u8> {
    snap::raw::Decoder::new().decompress_vec(block).unwrap()
}

fn blocks(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (size, behind) = rest.split_first_chunk()?;
        let (block, behind) = behind.split_at(u32::from_be_bytes(*size).try_into().unwrap());
        rest = behind;
        Some(block)
    })
}
