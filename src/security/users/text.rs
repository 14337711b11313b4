//! A file of users with one more, or one less: other lines stay as they are, with their comments.

use super::line::Line;
use base64::prelude::{BASE64_STANDARD, Engine};

/// What a new file begins with.
const HEAD: &str = "\
# Users of Fishplate, written by `fishplate users`. No passwords: what is here checks one, and can be guessed at by who reads it.
";

/// A line that begins so has, in base64, the secret that salts of unknown names are made of. To other readers it is a comment.
const SECRET: &str = "# unknown-names: ";

/// The secret that a line has.
pub(super) fn secret_of(line: &str) -> Option<Vec<u8>> {
    let secret = BASE64_STANDARD.decode(line.strip_prefix(SECRET)?.trim()).ok()?;
    (secret.len() >= 16).then_some(secret)
}

/// The text with this secret, where it has none: what it tells of names that nobody has then stays the same when users change.
#[must_use]
pub fn keyed(text: &str, secret: &[u8; 32]) -> String {
    if text.lines().any(|line| secret_of(line).is_some()) {
        return text.to_owned();
    }
    format!("{}{SECRET}{}\n{text}", if text.is_empty() { HEAD } else { "" }, BASE64_STANDARD.encode(secret))
}

/// The text with these lines in place of those of the same name and mechanism, and behind the others where there are none.
#[must_use]
pub fn with(text: &str, lines: &[Line<'_>]) -> String {
    let mut left: Vec<_> = lines.iter().collect();
    let mut out = String::with_capacity(text.len() + 512);
    if text.is_empty() {
        out.push_str(HEAD);
    }
    for old in text.lines() {
        let is_new = |line: &&&Line<'_>| is_of(old, line.name, Some(line.hash.mechanism().as_str()));
        match lines.iter().find(|line| is_new(&line)) {
            Some(new) => {
                // Of two old ones, the second goes.
                if let Some(at) = left.iter().position(|line| std::ptr::eq(*line, new)) {
                    push(&mut out, &left.remove(at).to_string());
                }
            }
            None => push(&mut out, old),
        }
    }
    left.iter().for_each(|line| push(&mut out, &line.to_string()));
    out
}

/// The text without a user; nothing where there is no such user.
#[must_use]
pub fn without(text: &str, name: &str) -> Option<String> {
    let (gone, left): (Vec<_>, Vec<_>) = text.lines().partition(|line| is_of(line, name, None));
    if gone.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    left.into_iter().for_each(|line| push(&mut out, line));
    Some(out)
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// Whether a line is of this user, and of this mechanism.
fn is_of(line: &str, name: &str, mechanism: Option<&str>) -> bool {
    let mut words = line.split_ascii_whitespace();
    words.next() == Some(name) && mechanism.is_none_or(|mechanism| words.next() == Some(mechanism))
}
