//! What a config may take from outside of its own text: environment variables and files. Values that come in this way
//! may be secrets: messages here name the variable or the file, never what was in it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Larger than any config that a person writes.
pub(super) const MAX_CONFIG: u64 = 1 << 20;
/// Larger than any secret.
const MAX_SECRET: u64 = 64 << 10;

/// Where `${NAME}` and relative paths lead.
pub(super) struct Surroundings<'a> {
    /// The value of an environment variable.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// The directory of the config file.
    pub(super) directory: PathBuf,
}

/// Something that could not be taken: what is wrong and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) what: String,
    pub(super) instead: String,
}

impl Gap {
    fn new(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { what: what.into(), instead: instead.into() }
    }
}

impl Surroundings<'_> {
    /// `text` with every `${NAME}` and `${file:/path}` replaced, and `$${` standing for `${`; or all that stood against it.
    pub(super) fn fill(&self, text: &str) -> Result<String, Vec<Gap>> {
        let (mut out, mut gaps, mut rest) = (String::new(), Vec::new(), text);
        while let Some(at) = rest.find("${") {
            let (before, reference) = (&rest[..at], &rest[at + 2..]);
            if let Some(escaped) = before.strip_suffix('$') {
                out.push_str(escaped);
                out.push_str("${");
                rest = reference;
                continue;
            }
            out.push_str(before);
            let Some(end) = reference.find('}') else {
                gaps.push(Gap::new(
                    "`${` is never closed",
                    "write `${NAME}`, or `$${` for the two characters themselves",
                ));
                return Err(gaps);
            };
            match self.value(&reference[..end]) {
                Ok(value) => out.push_str(&value),
                Err(gap) => gaps.push(gap),
            }
            rest = &reference[end + 1..];
        }
        out.push_str(rest);
        if gaps.is_empty() { Ok(out) } else { Err(gaps) }
    }

    fn value(&self, reference: &str) -> Result<String, Gap> {
        if let Some(path) = reference.strip_prefix("file:") {
            return self.file(path);
        }
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if reference.is_empty() || !reference.chars().all(letter) || reference.starts_with(|c: char| c.is_ascii_digit())
        {
            return Err(Gap::new(
                format!("`${{{reference}}}` names no environment variable"),
                "write `${NAME}` with letters, digits and `_`, or `${file:/path}`",
            ));
        }
        (self.variable)(reference).ok_or_else(|| {
            Gap::new(
                format!("the environment variable `{reference}` is not set"),
                format!("set {reference}, or write the value here"),
            )
        })
    }

    /// The content of a file without its last line break.
    fn file(&self, path: &str) -> Result<String, Gap> {
        let text = read(&self.directory.join(path), MAX_SECRET)
            .map_err(|why| Gap::new(format!("`{path}` cannot be read: {why}"), "name a small text file that exists"))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }
}

/// The text of a file of at most `most` bytes; why not, in words, otherwise. Never takes more memory than that,
/// whatever the path leads to.
pub(super) fn read(path: &Path, most: u64) -> Result<String, String> {
    let words = |error| words(&error);
    let file = File::open(path).map_err(words)?;
    if file.metadata().map_err(words)?.is_dir() {
        return Err("it is a directory".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() as u64 > most {
        return Err(format!("it is larger than {} KiB", most >> 10));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("it is not UTF-8 text (byte {good}, line {line})")
    })
}

/// Why something could not be read, in a sentence.
pub(super) fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String, Vec<String>> {
        let variable = |name: &str| (name == "A").then(|| "one".to_owned());
        let surroundings = Surroundings { variable: &variable, directory: PathBuf::from("/nowhere") };
        surroundings.fill(text).map_err(|gaps| gaps.into_iter().map(|gap| gap.what).collect())
    }

    #[test]
    fn references_are_replaced_and_escapes_are_not() {
        assert_eq!(fill("x${A}y${A}"), Ok("xoneyone".to_owned()));
        assert_eq!(fill("$${A}"), Ok("${A}".to_owned()));
        assert_eq!(fill("/a$/ $A }"), Ok("/a$/ $A }".to_owned()));
    }

    #[test]
    fn every_gap_of_a_text_is_named() {
        let gaps = fill("${NO} ${A} ${ALSO_NO} ${not-a-name} ${file:gone} ${").expect_err("gaps");
        assert_eq!(
            gaps,
            [
                "the environment variable `NO` is not set",
                "the environment variable `ALSO_NO` is not set",
                "`${not-a-name}` names no environment variable",
                "`gone` cannot be read: it does not exist",
                "`${` is never closed",
            ]
        );
    }
}
