//! Reused read buffers. Reading into memory that is already mapped is an order of magnitude cheaper than into fresh
//! pages, so a frame's buffer goes back here when its last `Bytes` is dropped.

use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;

/// Buffers come in powers of two from this size on; smaller frames are allocated as they come.
const SMALLEST: usize = 8 << 10;
/// The largest size that is kept. Larger frames are rare and their buffers are given back at once.
const LARGEST: usize = 4 << 20;
const CLASSES: usize = (LARGEST / SMALLEST).ilog2() as usize + 1;

/// A bounded store of free buffers, shared by all sessions and links.
#[derive(Debug)]
pub struct Pool {
    free: Mutex<Free>,
    keep: usize,
}

#[derive(Debug, Default)]
struct Free {
    classes: [Vec<Vec<u8>>; CLASSES],
    bytes: usize,
}

/// A buffer on loan; every byte of it is initialized. It returns to its pool when dropped.
#[derive(Debug)]
pub struct Buffer {
    memory: Vec<u8>,
    pool: Arc<Pool>,
}

impl Pool {
    /// A pool that keeps at most `keep` bytes of unused buffers.
    #[must_use]
    pub fn new(keep: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), keep })
    }

    /// A buffer of at least `size` bytes.
    #[must_use]
    pub fn take(self: &Arc<Self>, size: usize) -> Buffer {
        let memory = match class_of(size) {
            Some((class, rounded)) => self.reuse(class).unwrap_or_else(|| vec![0; rounded]),
            None => vec![0; size],
        };
        Buffer { memory, pool: Arc::clone(self) }
    }

    fn reuse(&self, class: usize) -> Option<Vec<u8>> {
        let mut free = self.free.lock();
        let memory = free.classes.get_mut(class)?.pop()?;
        free.bytes = free.bytes.saturating_sub(memory.len());
        Some(memory)
    }

    fn give_back(&self, memory: Vec<u8>) {
        let Some((class, rounded)) = class_of(memory.len()) else { return };
        let mut free = self.free.lock();
        if rounded != memory.len() || free.bytes + rounded > self.keep {
            return;
        }
        if let Some(list) = free.classes.get_mut(class) {
            list.push(memory);
            free.bytes += rounded;
        }
    }

    /// Gives the memory of every unused buffer back to the system: for when traffic has gone quiet.
    pub fn trim(&self) {
        *self.free.lock() = Free::default();
    }
}

/// The class that serves `size`, with its buffers' length. `None` for sizes that are not kept.
fn class_of(size: usize) -> Option<(usize, usize)> {
    if !(SMALLEST / 2..=LARGEST).contains(&size) {
        return None;
    }
    let rounded = size.next_power_of_two().max(SMALLEST);
    Some(((rounded / SMALLEST).ilog2() as usize, rounded))
}

impl Buffer {
    /// The first `len` bytes as a shared slice; the buffer goes back to the pool with the last reference to them.
    #[must_use]
    pub fn freeze(self, len: usize) -> Bytes {
        let len = len.min(self.memory.len());
        Bytes::from_owner(self).slice(..len)
    }

    /// All of it, to be read into.
    pub fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_used_again() {
        let pool = Pool::new(1 << 20);
        let first = pool.take(100_000).freeze(100_000);
        let at = first.as_ptr();
        drop(first.slice(5..));
        drop(first);
        assert_eq!(pool.take(70_000).as_ref().as_ptr(), at, "the same class, so the same memory");
    }

    #[test]
    fn no_more_than_the_bound_is_kept() {
        let pool = Pool::new(64 << 10);
        let many: Vec<_> = (0..10).map(|_| pool.take(32 << 10)).collect();
        drop(many);
        assert_eq!(pool.free.lock().bytes, 64 << 10);
        pool.trim();
        assert_eq!(pool.free.lock().bytes, 0);
    }

    #[test]
    fn every_size_gets_what_it_asked_for() {
        let pool = Pool::new(1 << 20);
        for size in [0, 1, 4095, 4096, 8192, 8193, LARGEST, LARGEST + 1] {
            assert!(pool.take(size).as_ref().len() >= size, "{size}");
        }
    }
}
