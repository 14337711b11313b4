//! A buffer that is used again and again, and never grows beyond a bound: first touching memory costs more than most
//! codecs do.

use parking_lot::{ReentrantMutex, ReentrantMutexGuard};

/// As much as a batch's records may take. A thousand times as much as it takes compressed is a bomb.
pub const LARGEST: usize = 64 << 20;

/// So much every worker may keep. Whoever needs more takes turns.
pub const OWN: usize = 4 << 20;

/// The least that is asked of the system.
const LEAST: usize = 64 << 10;

/// Held by the one worker that uses more than [`OWN`]; a worker has two buffers, and one turn for both.
static TURN: ReentrantMutex<()> = ReentrantMutex::new(());

/// Something does not fit, into [`LARGEST`] or what a [`Scratch`] is told instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the records of one batch would take more than {} MiB", LARGEST >> 20)]
pub struct TooLarge;

/// See the module's text. It stays on its thread.
#[derive(Debug)]
pub struct Scratch {
    /// All that it has, always initialised.
    room: Vec<u8>,
    filled: usize,
    /// How large it may become.
    most: usize,
    turn: Option<ReentrantMutexGuard<'static, ()>>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self::of_at_most(LARGEST)
    }
}

impl Scratch {
    /// One that never takes more than so many bytes.
    #[must_use]
    pub fn of_at_most(most: usize) -> Self {
        Self { room: Vec::new(), filled: 0, most, turn: None }
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// What was put into it.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        self.room.get(..self.filled).unwrap_or_default()
    }

    /// Forgets what is in it, and gives back what is more than a worker may keep.
    pub fn clear(&mut self) {
        self.filled = 0;
        if self.turn.is_some() {
            self.room = Vec::new();
            self.turn = None;
        }
    }

    /// Appends bytes.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        let spare = self.spare(bytes.len())?.get_mut(..bytes.len()).ok_or(TooLarge)?;
        spare.copy_from_slice(bytes);
        self.advance(bytes.len());
        Ok(())
    }

    /// Room behind what is filled: `wanted` bytes or more, or what is left up to its bound, if any.
    pub(super) fn spare(&mut self, wanted: usize) -> Result<&mut [u8], TooLarge> {
        let needed = self.filled.saturating_add(wanted).min(self.most);
        if needed > self.room.len() {
            self.grow(needed);
        }
        match self.room.get_mut(self.filled..) {
            Some(spare) if !spare.is_empty() || wanted == 0 => Ok(spare),
            _ => Err(TooLarge),
        }
    }

    /// So much of the room behind was filled.
    pub(super) fn advance(&mut self, count: usize) {
        self.filled = (self.filled + count).min(self.room.len());
    }

    fn grow(&mut self, needed: usize) {
        let size = needed.max(self.room.len() * 2).max(LEAST).min(self.most);
        // Not twice as much where that alone would cost a turn.
        let size = if needed <= OWN { size.min(OWN) } else { size };
        if size > OWN && self.turn.is_none() {
            self.turn = Some(TURN.lock());
        }
        self.room.resize(size, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_there_until_it_is_cleared() {
        let mut scratch = Scratch::default();
        scratch.put(b"one").unwrap();
        scratch.put(b"two").unwrap();
        assert_eq!(scratch.filled(), b"onetwo");
        scratch.clear();
        assert_eq!(scratch.filled(), b"");
    }

    #[test]
    fn it_keeps_what_a_worker_may_keep_and_no_more() {
        let mut scratch = Scratch::default();
        scratch.put(&vec![1; OWN]).unwrap();
        assert!(scratch.turn.is_none() && scratch.room.len() == OWN);
        scratch.clear();
        assert_eq!(scratch.room.len(), OWN);
        scratch.put(&vec![1; OWN + 1]).unwrap();
        assert!(scratch.turn.is_some());
        scratch.clear();
        assert!(scratch.turn.is_none() && scratch.room.is_empty());
    }

    #[test]
    fn it_ends_at_its_bound() {
        assert_eq!(Scratch::default().most(), LARGEST);
        for most in [1000, LEAST * 3, OWN + 7] {
            let mut scratch = Scratch::of_at_most(most);
            scratch.put(&vec![1; most - 1]).unwrap();
            scratch.put(b"1").unwrap();
            assert_eq!(scratch.put(b"1"), Err(TooLarge));
            assert_eq!((scratch.room.len(), scratch.filled().len()), (most, most));
        }
    }

    #[test]
    fn only_one_thread_has_more_than_its_own() {
        let mut scratch = Scratch::default();
        scratch.put(&vec![1; OWN + 1]).unwrap();
        let (tell, hear) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            let mut other = Scratch::default();
            other.put(&vec![1; OWN + 1]).unwrap();
            tell.send(()).unwrap();
        });
        assert!(hear.recv_timeout(std::time::Duration::from_millis(50)).is_err(), "both have");
        scratch.clear();
        hear.recv().unwrap();
        other.join().unwrap();
    }
}
