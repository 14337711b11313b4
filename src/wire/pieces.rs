//! An encoder's buffer that keeps large slices of the frames it came from as shared pieces instead of copying them:
//! re-encoding a Produce or a Fetch moves no record byte. The pieces leave in one vectored write.

#![allow(unsafe_code)] // `BufMut` is an unsafe trait; the only unsafe code here hands `BytesMut`'s own guarantees on.

use bytes::buf::UninitSlice;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::buf::ByteBufMut;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Slices below this are copied: a piece of its own costs more.
const SHARE_FROM: usize = 512;

/// Bytes of shareable size in messages that bear records, copied all the same because they belong to no known frame.
/// Stays 0: every record byte is forwarded in the buffer it was read into. Other messages may hold long texts of our own.
static COPIED: AtomicU64 = AtomicU64::new(0);

/// What `COPIED` counts: record bytes moved in user space since the start.
#[must_use]
pub fn record_bytes_copied() -> u64 {
    COPIED.load(Ordering::Relaxed)
}

/// A frame's length field.
const LENGTH: usize = 4;

/// The buffer of one frame. `sources` are the frames whose slices may come by.
pub(super) struct Pieces<'a> {
    /// The first piece, kept writable: the length field stands in it.
    first: BytesMut,
    /// What follows it; nothing until the first shared piece.
    rest: Vec<Bytes>,
    tail: BytesMut,
    sources: &'a [Bytes],
    bears_records: bool,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(api: ApiKey, sources: &'a [Bytes]) -> Self {
        let mut tail = BytesMut::with_capacity(256);
        tail.put_bytes(0, LENGTH);
        Self {
            first: BytesMut::new(),
            rest: Vec::new(),
            tail,
            sources,
            bears_records: matches!(api, ApiKey::Produce | ApiKey::Fetch | ApiKey::ShareFetch),
        }
    }

    /// The same for a body, which somebody frames later. `room` is what will be copied into it.
    pub(super) fn of_body(api: ApiKey, sources: &'a [Bytes], room: usize) -> Self {
        let bears_records = matches!(api, ApiKey::Produce | ApiKey::Fetch | ApiKey::ShareFetch);
        Self { first: BytesMut::new(), rest: Vec::new(), tail: BytesMut::with_capacity(room), sources, bears_records }
    }

    /// Writes a head, in which no record is: a client id may be long, and another than the client's frame has.
    pub(super) fn head<R>(&mut self, write: impl FnOnce(&mut Self) -> R) -> R {
        let bears_records = std::mem::take(&mut self.bears_records);
        let written = write(self);
        self.bears_records = bears_records;
        written
    }

    /// Puts bytes of our own, which are few.
    #[inline]
    pub(super) fn put_small(&mut self, own: &[u8]) {
        self.tail.extend_from_slice(own);
    }

    /// The whole body.
    pub(super) fn finish_body(mut self) -> Vec<Bytes> {
        self.close_tail();
        std::iter::once(self.first.freeze()).chain(self.rest).collect()
    }

    /// The whole frame, its length field filled in.
    pub(super) fn finish(mut self) -> Vec<Bytes> {
        self.close_tail();
        let len = self.first.len() + self.rest.iter().map(Bytes::len).sum::<usize>() - LENGTH;
        if let Some(field) = self.first.first_chunk_mut::<LENGTH>() {
            *field = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
        }
        let mut pieces = Vec::with_capacity(1 + self.rest.len());
        pieces.push(self.first.freeze());
        pieces.append(&mut self.rest);
        pieces
    }

    fn close_tail(&mut self) {
        if self.first.is_empty() {
            self.first = self.tail.split();
        } else if !self.tail.is_empty() {
            self.rest.push(self.tail.split().freeze());
        }
    }

    fn shared(&self, slice: &[u8]) -> Option<Bytes> {
        let inside = |frame: &&Bytes| {
            let (start, at) = (frame.as_ptr() as usize, slice.as_ptr() as usize);
            at >= start && at + slice.len() <= start + frame.len()
        };
        self.sources.iter().find(inside).map(|frame| frame.slice_ref(slice))
    }
}

// SAFETY: all three required methods are `BytesMut`'s own, on the same buffer.
unsafe impl BufMut for Pieces<'_> {
    fn remaining_mut(&self) -> usize {
        self.tail.remaining_mut()
    }

    unsafe fn advance_mut(&mut self, cnt: usize) {
        // SAFETY: the caller's promise (`cnt` bytes of the chunk are initialized) is the one that is asked for here.
        unsafe { self.tail.advance_mut(cnt) }
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        self.tail.chunk_mut()
    }

    fn put_slice(&mut self, slice: &[u8]) {
        if slice.len() < SHARE_FROM {
            return self.tail.put_slice(slice);
        }
        if let Some(piece) = self.shared(slice) {
            self.close_tail();
            self.rest.push(piece);
        } else {
            if self.bears_records {
                COPIED.fetch_add(slice.len() as u64, Ordering::Relaxed);
            }
            self.tail.put_slice(slice);
        }
    }
}

/// kafka-protocol asks for gaps only where it builds record batches, which we never let it do; messages are written
/// straight through. A gap would be answered with bytes of the tail.
impl ByteBufMut for Pieces<'_> {
    fn offset(&self) -> usize {
        self.tail.len()
    }

    fn seek(&mut self, offset: usize) {
        self.tail.resize(offset, 0);
    }

    fn range(&mut self, range: Range<usize>) -> &mut [u8] {
        self.tail.get_mut(range).unwrap_or_default()
    }
}
