//! What deputies remember of batches that are not written, counted for all of them together: a small frame may hold millions of
//! tiny records, and its client may leave and never come back (L4).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So much may be remembered; one more batch fits where anything is left.
const MOST: usize = 64 << 20;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<AtomicUsize>);

/// A part of it, until it is dropped.
#[derive(Debug)]
pub(super) struct Weight {
    of: Memory,
    bytes: usize,
}

impl Memory {
    /// Whether nothing more is to be remembered.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= MOST
    }

    /// How much is.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn hold(&self, bytes: usize) -> Weight {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Weight { of: self.clone(), bytes }
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l4_what_is_remembered_is_full_until_it_is_let_go() {
        let memory = Memory::default();
        let (most, more) = (memory.hold(MOST - 1), memory.hold(0));
        assert!(!memory.is_full());
        let last = memory.hold(1000);
        assert!(memory.is_full());
        drop(most);
        assert!(!memory.is_full() && memory.bytes() == 1000);
        drop((last, more));
        assert_eq!(memory.bytes(), 0);
    }
}
