//! Against other makers' codecs, and on bytes that no codec made.

use super::*;
use proptest::prelude::*;
use std::io::Write;

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

/// A section as records make it: some of it repeats, some does not.
fn section(words: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut state = 7_u64;
    for number in 0..words {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        write!(out, "{{\"event\":\"$pageview\",\"number\":{number},\"id\":\"{state:x}\"}}").unwrap();
    }
    out
}

fn packed(codec: Codec, plain: &[u8], like: &[u8]) -> Vec<u8> {
    let mut out = b"before".to_vec();
    at_desk(|desk| pack(codec, plain, like, &mut out, &mut desk.press)).unwrap();
    assert!(out.starts_with(b"before"));
    out.split_off(6)
}

fn unpacked(codec: Codec, packed: &[u8]) -> Result<Vec<u8>, Packed> {
    at_desk(|desk| {
        let Desk { plain, press, .. } = desk;
        unpack(codec, packed, plain, press).map(|()| plain.filled().to_vec())
    })
}

const XERIAL: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

#[test]
fn what_is_packed_is_unpacked() {
    for size in [0, 1, 500, 3000] {
        let plain = section(size);
        for codec in CODECS {
            assert_eq!(unpacked(codec, &packed(codec, &plain, b"")), Ok(plain.clone()), "{codec:?}");
        }
        let framed = packed(Codec::Snappy, &plain, XERIAL);
        assert!(framed.starts_with(XERIAL));
        assert_eq!(unpacked(Codec::Snappy, &framed), Ok(plain));
    }
}

#[test]
fn others_read_what_we_write() {
    use std::io::Read;
    let plain = section(3000);
    let read = |mut from: Box<dyn Read>| {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    };
    let cursor = |codec| std::io::Cursor::new(packed(codec, &plain, b""));
    assert_eq!(read(Box::new(flate2::read::GzDecoder::new(cursor(Codec::Gzip)))), plain);
    assert_eq!(read(Box::new(lz4_flex::frame::FrameDecoder::new(cursor(Codec::Lz4)))), plain);
    assert_eq!(read(Box::new(ruzstd::decoding::StreamingDecoder::new(cursor(Codec::Zstd)).unwrap())), plain);
    assert_eq!(snap::raw::Decoder::new().decompress_vec(&packed(Codec::Snappy, &plain, b"")).unwrap(), plain);
}

#[test]
fn what_others_write_is_read() {
    use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
    let plain = section(5000);
    for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
        for checks in [false, true] {
            let info = FrameInfo::new().block_size(size).block_checksums(checks).content_checksum(checks);
            let info = info.content_size(checks.then_some(plain.len() as u64));
            let mut frame = FrameEncoder::with_frame_info(info, Vec::new());
            frame.write_all(&plain).unwrap();
            assert_eq!(unpacked(Codec::Lz4, &frame.finish().unwrap()), Ok(plain.clone()));
        }
    }
    let zstd = ruzstd::encoding::compress_to_vec(&plain[..], ruzstd::encoding::CompressionLevel::Fastest);
    assert_eq!(unpacked(Codec::Zstd, &zstd), Ok(plain.clone()));
    // One behind another
    let half = plain.len() / 2;
    for codec in [Codec::Gzip, Codec::Zstd] {
        let both = [packed(codec, &plain[..half], b""), packed(codec, &plain[half..], b"")].concat();
        assert_eq!(unpacked(codec, &both), Ok(plain.clone()), "{codec:?}");
    }
    let both = [packed(Codec::Snappy, &plain[..half], XERIAL), packed(Codec::Snappy, &plain[half..], XERIAL)].concat();
    assert_eq!(unpacked(Codec::Snappy, &both), Ok(plain));
}

#[test]
fn blocks_that_lean_on_earlier_ones_are_refused_as_kafka_does() {
    use lz4_flex::frame::{BlockMode, FrameEncoder, FrameInfo};
    let mut frame = FrameEncoder::with_frame_info(FrameInfo::new().block_mode(BlockMode::Linked), Vec::new());
    frame.write_all(&section(3000)).unwrap();
    assert!(matches!(unpacked(Codec::Lz4, &frame.finish().unwrap()), Err(Packed::Damaged(Codec::Lz4, _))));
}

#[test]
fn a_bomb_is_refused_with_no_more_memory_than_the_bound() {
    const MOST: usize = 300_000;
    // Given zeros in each codec, some more than the bound and just as many
    let zeros = vec![0; MOST + 70_000];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        for like in [&b""[..], XERIAL] {
            let unpacked = |zeros: &[u8]| {
                let mut plain = Scratch::of_at_most(MOST);
                let packed = packed(codec, zeros, like);
                assert!(packed.len() < zeros.len() / 15, "{codec:?}: {}", packed.len());
                at_desk(|desk| unpack(codec, &packed, &mut plain, &mut desk.press)).map(|()| plain.filled().len())
            };
            // When they are unpacked, then what is more is refused
            assert_eq!(unpacked(&zeros), Err(Packed::TooLarge(TooLarge)), "{codec:?}");
            assert_eq!(unpacked(&zeros[..=MOST]), Err(Packed::TooLarge(TooLarge)), "{codec:?}");
            assert_eq!(unpacked(&zeros[..MOST]), Ok(MOST), "{codec:?}");
        }
    }
}

#[test]
fn a_length_alone_takes_no_memory() {
    // A raw snappy block and a zstd frame that announce 4 GiB
    assert_eq!(unpacked(Codec::Snappy, b"\xff\xff\xff\xff\x0f"), Err(Packed::TooLarge(TooLarge)));
    let zstd = [&0xFD2F_B528_u32.to_le_bytes()[..], &[0b1110_0000], &(4_u64 << 30).to_le_bytes()].concat();
    assert_eq!(unpacked(Codec::Zstd, &zstd), Err(Packed::TooLarge(TooLarge)));
}

#[test]
fn what_ends_too_early_is_damaged() {
    let plain = section(2000);
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let whole = packed(codec, &plain, b"");
        for cut in (0..whole.len()).step_by(97) {
            assert!(matches!(unpacked(codec, &whole[..cut]), Err(Packed::Damaged(..))), "{codec:?} cut at {cut}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_something_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), codec in 1..5_usize) {
        let _ = unpacked(CODECS[codec], &bytes);
    }

    #[test]
    fn damage_is_something_else_or_refused(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        codec in 1..5_usize,
        framed: bool,
    ) {
        let mut bytes = packed(CODECS[codec], &section(100), if framed { XERIAL } else { b"" });
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = unpacked(CODECS[codec], &bytes);
    }
}
