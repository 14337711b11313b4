//! What a worker needs to look into a batch and to write it anew, made once.

use super::scratch::Scratch;
use std::cell::RefCell;

/// A worker's buffers and codecs.
#[derive(Default)]
pub struct Desk {
    /// A batch's records, decompressed.
    pub plain: Scratch,
    /// Those of them that go into another batch.
    pub edited: Scratch,
    /// What compresses.
    pub press: Press,
}

/// What codecs keep between two batches. Most workers never need most of them.
#[derive(Default)]
pub struct Press {
    snappy: Option<snap::raw::Encoder>,
    unsnappy: Option<snap::raw::Decoder>,
    gzip: Option<flate2::Compress>,
    lz4: Option<lz4_flex::block::CompressTable>,
    zstd: Option<zstd_safe::CCtx<'static>>,
    unzstd: Option<zstd_safe::DCtx<'static>>,
}

impl Press {
    pub(super) fn snappy(&mut self) -> &mut snap::raw::Encoder {
        self.snappy.get_or_insert_with(snap::raw::Encoder::new)
    }

    pub(super) fn unsnappy(&mut self) -> &mut snap::raw::Decoder {
        self.unsnappy.get_or_insert_with(snap::raw::Decoder::new)
    }

    /// As zlib's default, and so Kafka's.
    pub(super) fn gzip(&mut self) -> &mut flate2::Compress {
        self.gzip.get_or_insert_with(|| flate2::Compress::new_gzip(flate2::Compression::default(), super::gzip::WINDOW))
    }

    pub(super) fn lz4(&mut self) -> &mut lz4_flex::block::CompressTable {
        self.lz4.get_or_insert_with(lz4_flex::block::CompressTable::large)
    }

    pub(super) fn zstd(&mut self) -> &mut zstd_safe::CCtx<'static> {
        self.zstd.get_or_insert_with(zstd_safe::CCtx::create)
    }

    pub(super) fn unzstd(&mut self) -> &mut zstd_safe::DCtx<'static> {
        self.unzstd.get_or_insert_with(zstd_safe::DCtx::create)
    }
}

thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
}

/// Does some work at this thread's desk, and clears it. Work within work has a desk of its own, which is not kept.
pub fn at_desk<T>(work: impl FnOnce(&mut Desk) -> T) -> T {
    DESK.with(|desk| match desk.try_borrow_mut() {
        Ok(mut desk) => {
            let done = work(&mut desk);
            desk.plain.clear();
            desk.edited.clear();
            done
        }
        Err(_) => work(&mut Desk::default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desk_is_cleared_and_kept() {
        at_desk(|desk| desk.plain.put(&[1; 100_000]).unwrap());
        at_desk(|desk| {
            assert!(desk.plain.filled().is_empty());
            assert!(at_desk(|other| other.plain.filled().is_empty()));
        });
    }
}
