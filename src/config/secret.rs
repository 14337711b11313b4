//! A text that nobody may see: it is in no Debug output, and its memory is zeroed when it goes.

use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A password, a token, a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Of this text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Stands for a secret where a config is printed: which one it is nobody knows.
    pub const HIDDEN: &str = "(hidden)";

    /// Whether they are different, as far as one can know.
    #[must_use]
    pub fn is_other(&self, than: &Self) -> bool {
        self != than && ![self, than].iter().any(|one| one.reveal() == Self::HIDDEN)
    }

    /// The text: for the one place that sends it, or compares with it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

/// Where a text with secrets is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextFrom {
    /// In a file, which is read again when it changes.
    File(PathBuf),
    /// In the config, mostly by way of an environment variable; for as long as the process runs.
    Text(Secret),
}

impl TextFrom {
    /// The file that it is in.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(file) => Some(file),
            Self::Text(_) => None,
        }
    }

    /// Where it is, without what is secret.
    #[must_use]
    pub fn words(&self) -> String {
        self.file().map_or_else(|| "the config".to_owned(), |file| file.display().to_string())
    }

    /// Whether two that stand in the config are different, as far as one can know.
    #[must_use]
    pub fn is_other_text(&self, than: &Self) -> bool {
        matches!((self, than), (Self::Text(now), Self::Text(then)) if now.is_other(then))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let shown = format!("{:?}", Some(Secret::new("hunter2".to_owned())));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
