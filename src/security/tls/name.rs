//! A name out of a certificate as Kafka's brokers see it: what Java's `X500Principal.getName()` prints, which is RFC 2253 with
//! choices of its own. `tests/vectors/names` holds pairs that Java made, and the tests hold this against them.

use super::der::{self, Elements, OID, SEQUENCE, SET};
use std::fmt;

/// A distinguished name, in the form of RFC 2253.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// Attributes that have a word in RFC 2253.
const WORDS: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// Kinds of text: UTF8, Printable, T61, IA5, General and BMP.
const TEXTS: [u8; 6] = [0x0c, 0x13, 0x14, 0x16, 0x1b, 0x1e];

impl Name {
    /// What is in a name's sequence; `None` where that is no name.
    pub(super) fn read(content: &[u8]) -> Option<Self> {
        let mut parts = Elements(content);
        let mut written = Vec::new();
        while !parts.is_empty() {
            written.push(relative(parts.expect(SET)?)?);
        }
        written.reverse();
        Some(Self(written.join(",")))
    }

    /// In the form of RFC 2253.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A part of a name: one attribute, rarely several.
fn relative(content: &[u8]) -> Option<String> {
    let mut attributes = Elements(content);
    let mut written = Vec::new();
    while !attributes.is_empty() {
        written.push(attribute(attributes.expect(SEQUENCE)?)?);
    }
    (!written.is_empty()).then(|| written.join("+"))
}

fn attribute(content: &[u8]) -> Option<String> {
    let mut both = Elements(content);
    let oid = der::oid(both.expect(OID)?)?;
    let value = both.next().filter(|_| both.is_empty())?;
    let word = WORDS.iter().find(|(known, _)| *known == oid).map(|(_, word)| *word);
    match word {
        Some(word) if TEXTS.contains(&value.tag) => {
            Some(format!("{word}={}", escaped(&text(value.tag, value.content))))
        }
        _ => Some(format!("{}=#{}", word.unwrap_or(&oid), hex(value.whole))),
    }
}

/// The text of a value. Java took all of them for UTF-8 once, whatever they said.
fn text(tag: u8, content: &[u8]) -> String {
    let _ = tag;
    String::from_utf8_lossy(content).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::new();
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A backslash before what means something in a name, and before spaces at either end.
fn escaped(text: &str) -> String {
    let is_space = |c: char| matches!(c, ' ' | '\r');
    let lead = text.len() - text.trim_start_matches(is_space).len();
    let trail = text.trim_end_matches(is_space).len();
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            '\0' => out.push_str("\\00"),
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => out.extend(['\\', c]),
            _ if at < lead || at >= trail => out.extend(['\\', c]),
            plain => out.push(plain),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_is_escaped() {
        for (text, is) in [
            ("plain", "plain"),
            (" two  ends ", "\\ two  ends\\ "),
            ("   ", "\\ \\ \\ "),
            ("", ""),
            ("a,b=c+d<e>f#g;h\"i\\j", "a\\,b\\=c\\+d\\<e\\>f\\#g\\;h\\\"i\\\\j"),
            ("a\0b", "a\\00b"),
            ("Zoë/\n", "Zoë/\n"),
        ] {
            assert_eq!(escaped(text), is, "{text:?}");
        }
    }
}
