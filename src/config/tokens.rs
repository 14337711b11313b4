//! Tokens out of the config: what identifies a tenant is nobody else's business, so that they are shown masked.

use std::fmt;
use std::sync::Arc;

/// Stands for what is not shown.
const GAP: char = '…';
/// So many of the first characters are shown, and never more than a quarter.
const SHOWN: usize = 4;

/// A value that is shown masked. Equal when the masks are, so that configs compare also where one was written down by a
/// running proxy.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// The value; where it was read out of what a proxy wrote down, its mask.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Token {
    fn from(value: &str) -> Self {
        Self(value.into())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(self.0.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Token {}

/// The first characters and a sum of all: enough to tell two apart and to find one again, not enough to use it.
#[must_use]
pub fn mask(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    if is_mask(&text) {
        return text.into_owned();
    }
    let shown = SHOWN.min(text.chars().count() / 4);
    let start: String = text.chars().take(shown).map(|c| if c.is_control() { '.' } else { c }).collect();
    format!("{start}{GAP}{:08x}", crc32c::crc32c(value))
}

fn is_mask(text: &str) -> bool {
    text.split_once(GAP).is_some_and(|(start, sum)| {
        start.chars().count() <= SHOWN && sum.len() == 8 && sum.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown_and_compares_by_its_mask() {
        let token = Token::from("phc_0123456789abcdef");
        let shown = token.to_string();
        assert!(shown.starts_with("phc_…") && !shown.contains("0123") && shown == format!("{token:?}"), "{shown}");
        assert_eq!(Token::from(shown.as_str()), token, "a mask stands for what it masks");
        assert_ne!(Token::from("phc_0123456789abcdeg"), token);
        assert!(!mask(b"abc").contains('a'), "a short one shows nothing of itself");
        assert!(mask(b"\x1b[31mred and more").starts_with('.'), "nor does one move a terminal's cursor");
    }
}
