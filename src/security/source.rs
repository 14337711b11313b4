//! Texts with secrets, out of a file or the config: who may come, by which tokens. Read within a bound, and what is wrong with one is told in
//! words. Waits for the disk.

use crate::config::TextFrom;
use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zeroize::Zeroizing;

/// Of what is wrong with one, so much is told.
pub const MOST_WRONG: usize = 20;

/// Why a text cannot be used. Repeats nothing of it.
#[derive(Debug)]
pub struct Unusable {
    /// What is in it, of several.
    what: &'static str,
    place: String,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Unread(io::Error),
    Wrong(Vec<String>),
}

impl Unusable {
    /// Its file is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(&self.why, Why::Unread(error) if error.kind() == ErrorKind::NotFound)
    }
}

impl Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, place, why } = self;
        match why {
            Why::Unread(error) => write!(f, "the {what} in {place} cannot be read: {error}"),
            Why::Wrong(wrong) => {
                write!(f, "the {what} in {place} have mistakes")?;
                wrong.iter().try_for_each(|wrong| write!(f, "; {wrong}"))
            }
        }
    }
}

impl std::error::Error for Unusable {}

/// What a text says, which is no longer than `most` bytes.
///
/// # Errors
/// Where it cannot be read, or has mistakes.
pub fn load<T, W: Display>(
    what: &'static str,
    from: &TextFrom,
    most: usize,
    understand: impl FnOnce(&str) -> Result<T, Vec<W>>,
) -> Result<T, Unusable> {
    let unusable = |why| Unusable { what, place: from.words(), why };
    let understood = match from {
        TextFrom::File(file) => understand(&read(file, most).map_err(|error| unusable(Why::Unread(error)))?),
        TextFrom::Text(text) => understand(text.reveal()),
    };
    understood.map_err(|wrong| unusable(Why::Wrong(wrong.iter().take(MOST_WRONG).map(W::to_string).collect())))
}

/// The text of a file, which is wiped when it is done with.
///
/// # Errors
/// Where it cannot be read, or is longer than `most` bytes.
pub fn read(file: &Path, most: usize) -> io::Result<Zeroizing<String>> {
    let opened = File::open(file)?;
    // At once as large as it gets: a text that grows leaves copies behind.
    let room = usize::try_from(opened.metadata()?.len()).unwrap_or(most).min(most) + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    opened.take(most as u64 + 1).read_to_string(&mut text)?;
    if text.len() > most {
        return Err(io::Error::other(format!("it is larger than {} KiB", most >> 10)));
    }
    Ok(text)
}

/// Where everybody on this machine can read a text, that in words.
#[must_use]
pub fn open_to_all(from: &TextFrom) -> Option<String> {
    let file = from.file()?;
    let open = fs::metadata(file).is_ok_and(|there| there.mode() & 0o004 != 0);
    open.then(|| format!("everybody on this machine can read {}", file.display()))
}
