//! Reused read buffers. Reading into memory that is already mapped is an order of magnitude cheaper than into fresh
//! pages, so a frame's buffer goes back here when its last `Bytes` is dropped.

use super::budget::{Budget, Charge};
use super::frame::LENGTH;
use bytes::Bytes;
use memmap2::MmapMut;
use parking_lot::Mutex;
use std::ops::{Deref, DerefMut};
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
    /// Unused buffers are kept out of what nobody has drawn of these.
    budgets: Vec<Arc<Budget>>,
}

#[derive(Debug, Default)]
struct Free {
    classes: [Vec<Memory>; CLASSES],
    bytes: usize,
}

/// A buffer on loan; every byte of it is initialized. It returns to its pool when dropped.
#[derive(Debug)]
pub struct Buffer {
    memory: Memory,
    pool: Arc<Pool>,
    /// Shared with who may move it to another pool.
    _charge: Tab,
}

/// What a buffer has drawn, while it lives.
pub type Tab = Arc<Mutex<Charge>>;

impl Pool {
    /// A pool that keeps at most `keep` bytes of unused buffers.
    #[must_use]
    pub fn new(keep: usize) -> Arc<Self> {
        Self::within(keep, Vec::new())
    }

    /// The same, and together with what is drawn of these budgets no more than they have.
    #[must_use]
    pub fn within(keep: usize, budgets: Vec<Arc<Budget>>) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), keep, budgets })
    }

    /// What may be kept now.
    fn keeps(&self) -> usize {
        match self.budgets.as_slice() {
            [] => self.keep,
            budgets => self.keep.min(budgets.iter().map(|budget| budget.free()).sum()),
        }
    }

    /// A buffer of at least `size` bytes.
    #[must_use]
    pub fn take(self: &Arc<Self>, size: usize) -> Buffer {
        self.take_charged(size, Arc::default())
    }

    /// The same, for what was drawn for it.
    #[must_use]
    pub fn take_charged(self: &Arc<Self>, size: usize, charge: Tab) -> Buffer {
        let drawn = charge.lock().bytes();
        let memory = match class_of(size) {
            Some((class, rounded)) if drawn == 0 || drawn >= rounded => {
                self.reuse(class).unwrap_or_else(|| self.fresh(rounded))
            }
            _ if size > SMALLEST => self.fresh(size),
            _ => Memory::new(size),
        };
        Buffer { memory, pool: Arc::clone(self), _charge: charge }
    }

    /// What a buffer for `size` bytes takes: of one that is used again, a power of two; where that is more than `share`,
    /// what it needs.
    #[must_use]
    pub fn takes(size: usize, share: usize) -> usize {
        class_of(size).map(|(_, rounded)| rounded).filter(|rounded| *rounded <= share).unwrap_or(size)
    }

    /// The largest frame whose buffer takes no more than so many bytes.
    #[must_use]
    pub fn fits(bytes: usize) -> usize {
        match class_of(bytes) {
            Some((_, rounded)) if rounded > bytes => rounded / 2,
            _ => bytes,
        }
    }

    /// New memory, in the place of what is kept unused beyond what may be.
    fn fresh(&self, size: usize) -> Memory {
        let evicted = {
            let (mut free, keeps) = (self.free.lock(), self.keeps());
            let mut evicted = Vec::new();
            while free.bytes > keeps {
                let Some(memory) = free.classes.iter_mut().rev().find_map(Vec::pop) else { break };
                free.bytes = free.bytes.saturating_sub(memory.len());
                evicted.push(memory);
            }
            evicted
        };
        drop(evicted);
        Memory::new(size)
    }

    fn reuse(&self, class: usize) -> Option<Memory> {
        let mut free = self.free.lock();
        let memory = free.classes.get_mut(class)?.pop()?;
        free.bytes = free.bytes.saturating_sub(memory.len());
        Some(memory)
    }

    fn give_back(&self, memory: Memory) {
        let Some((class, rounded)) = class_of(memory.len()) else { return };
        let mut free = self.free.lock();
        if rounded != memory.len() || free.bytes + rounded > self.keeps() {
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

/// From this size on it matters where in a page a buffer begins.
const PLACED_FROM: usize = 32 << 10;
/// A page.
const PAGE: usize = 4 << 10;

/// A buffer's bytes. In large ones a frame's body begins as far into a page as it does into its frame, and so mostly into the
/// kernel's pages, on its way in and on its way out. The kernel copies with `rep movsb`, which some processors (an AMD EPYC was
/// measured) do 15 times slower where the target stands up to 31 bytes behind the source within their pages: as it
/// does where malloc maps a large buffer, 16 bytes into a page.
#[derive(Debug, Default)]
struct Memory {
    whole: Whole,
    from: usize,
}

/// What is not kept is mapped and unmapped: malloc would keep up to 64 MiB of it for later, and the system would not get
/// it back (L4).
#[derive(Debug)]
enum Whole {
    Heap(Vec<u8>),
    Mapped(MmapMut),
}

impl Default for Whole {
    fn default() -> Self {
        Self::Heap(Vec::new())
    }
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }
}

impl DerefMut for Whole {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }
}

impl Whole {
    fn new(size: usize) -> Self {
        let mapped = if size > LARGEST + PAGE { MmapMut::map_anon(size).ok() } else { None };
        mapped.map_or_else(|| Self::Heap(vec![0; size]), Self::Mapped)
    }
}

impl Memory {
    fn new(size: usize) -> Self {
        if size < PLACED_FROM {
            return Self { whole: Whole::Heap(vec![0; size]), from: 0 };
        }
        let whole = Whole::new(size + PAGE);
        let from = whole.as_ptr().align_offset(PAGE).wrapping_add(LENGTH) % PAGE;
        Self { whole, from }
    }

    fn len(&self) -> usize {
        let whole = self.whole.len();
        if whole < PLACED_FROM { whole } else { whole - PAGE }
    }

    fn bytes(&self) -> &[u8] {
        self.whole.get(self.from..self.from + self.len()).unwrap_or_default()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        let until = self.from + self.len();
        self.whole.get_mut(self.from..until).unwrap_or_default()
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
        self.memory.bytes_mut()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.memory.bytes()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // Drawn no more when the memory has gone, or it could be drawn twice.
        self.pool.give_back(std::mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Share;
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
    fn a_large_body_stands_in_its_page_as_in_its_frame() {
        let pool = Pool::new(0);
        for size in [PLACED_FROM, 100_000, LARGEST, LARGEST + 1] {
            let buffer = pool.take(size);
            assert_eq!(buffer.as_ref().as_ptr().align_offset(PAGE), PAGE - LENGTH, "{size}");
        }
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

    #[test]
    fn what_fits_takes_no_more() {
        for bytes in [5_000, 8_192, 65_536, 100_000, 2_796_202, LARGEST - 1, LARGEST, LARGEST + 1, 2 * LARGEST] {
            let fits = Pool::fits(bytes);
            assert!(fits > bytes / 2 - 1 && Pool::takes(fits, usize::MAX) <= bytes.max(SMALLEST), "{bytes}: {fits}");
        }
    }

    /// [L4]
    #[test]
    fn l4_unused_buffers_are_kept_out_of_what_nobody_has_drawn() {
        let budget = Budget::new(1 << 20);
        let (share, pool) = (Share::of(&budget, 0), Pool::within(1 << 30, vec![Arc::clone(&budget)]));
        let charged =
            |size: usize| pool.take_charged(size, Arc::new(Mutex::new(share.force(Pool::takes(size, 1 << 20)))));
        let many: Vec<_> = (0..8).map(|_| charged(100_000)).collect();
        drop(many);
        assert_eq!(budget.free(), 1 << 20);
        let kept = pool.free.lock().bytes;
        assert!(kept > 512 << 10 && kept <= 1 << 20, "{kept}");
        let large = charged(800 << 10);
        assert!(pool.free.lock().bytes + (1 << 20) <= 1 << 20, "they make room");
        drop(large);
    }
}
