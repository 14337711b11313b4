//! What a scrape is written into: tens of MiB where there are many groups, so that the text of the last one is used again once it was
//! sent. A fresh one would cost as much as a third of the writing, for the kernel clears its memory.

use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;

/// Larger texts are not kept.
const KEPT: usize = 64 << 20;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheet(Arc<Mutex<String>>);

/// A text that is being sent.
struct Lent {
    text: String,
    to: Sheet,
}

impl Sheet {
    /// The last text with nothing in it, or a new one while that is being sent.
    pub(super) fn blank(&self) -> String {
        let mut text = std::mem::take(&mut *self.0.lock());
        text.clear();
        text
    }

    /// What was written, to be sent.
    pub(super) fn lend(&self, text: String) -> Bytes {
        Bytes::from_owner(Lent { text, to: self.clone() })
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.to.0.lock();
        // Of two the larger.
        if (kept.capacity()..=KEPT).contains(&self.text.capacity()) {
            *kept = std::mem::take(&mut self.text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(sheet: &Sheet, write: impl FnOnce(&mut String)) -> Bytes {
        let mut text = sheet.blank();
        write(&mut text);
        sheet.lend(text)
    }

    #[test]
    fn a_text_is_used_again_when_it_was_sent() {
        let sheet = Sheet::default();
        let first = write(&sheet, |text| text.push_str(&"a".repeat(10_000)));
        let at = first.as_ptr();
        // While it is being sent another is written elsewhere
        let second = write(&sheet, |text| text.push('b'));
        assert_eq!((first.len(), &second[..]), (10_000, &b"b"[..]));
        drop(first);
        drop(second);
        let third = write(&sheet, |text| text.push('c'));
        assert_eq!((third.as_ptr(), &third[..]), (at, &b"c"[..]), "in the larger of both, and nothing of it is left");
    }

    #[test]
    fn a_very_large_text_is_not_kept() {
        let sheet = Sheet::default();
        drop(write(&sheet, |text| text.reserve_exact(KEPT + 1)));
        assert_eq!(sheet.0.lock().capacity(), 0);
    }
}
