//! What batches of events are compressed with, as clients do it by default.

use std::io::Write;

use anyhow::{Context, Result, anyhow};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

/// How a batch's records are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Codec {
    None,
    Lz4,
    Zstd,
}

impl Codec {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// A batch's attributes that say so.
    pub(crate) fn attributes(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    pub(crate) fn pack(self, section: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::None => Ok(section.to_vec()),
            Self::Lz4 => {
                // Blocks of 64 KiB that stand for themselves: so Java and librdkafka write them.
                let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(section.len() / 2));
                encoder.write_all(section)?;
                encoder.finish().context("an lz4 frame")
            }
            Self::Zstd => {
                let mut packed = Vec::with_capacity(zstd_safe::compress_bound(section.len()));
                zstd_safe::compress(&mut packed, section, zstd_safe::CLEVEL_DEFAULT)
                    .map_err(|code| anyhow!("zstd: {}", zstd_safe::get_error_name(code)))?;
                Ok(packed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::section;
    use std::io::Read;

    #[test]
    fn what_is_packed_comes_back_and_is_a_third_at_most() {
        let plain = section(0, 200, 200);
        let mut lz4 = Vec::new();
        let packed = Codec::Lz4.pack(&plain).unwrap();
        lz4_flex::frame::FrameDecoder::new(&packed[..]).read_to_end(&mut lz4).unwrap();
        let mut zstd = Vec::with_capacity(plain.len());
        let smaller = Codec::Zstd.pack(&plain).unwrap();
        zstd_safe::decompress(&mut zstd, &smaller).unwrap();
        assert!(lz4 == plain && zstd == plain);
        assert!(packed.len() * 3 < plain.len() && smaller.len() < packed.len(), "{} {}", packed.len(), smaller.len());
    }
}
