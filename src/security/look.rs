//! Whether a file was written since it was looked at.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// How a file looks from outside: equal means that nobody has written it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    written: SystemTime,
    /// Also by another owner, mode or name.
    changed: (i64, i64),
    size: u64,
    inode: u64,
}

impl Look {
    /// At the file, or at what a link leads to; `None` where nothing is there.
    #[must_use]
    pub fn at(file: &Path) -> Option<Self> {
        let there = fs::metadata(file).ok()?;
        Some(Self {
            written: there.modified().ok()?,
            changed: (there.ctime(), there.ctime_nsec()),
            size: there.len(),
            inode: there.ino(),
        })
    }
}
