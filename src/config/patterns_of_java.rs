//! Regular expressions as Java means them, where it and the crate `regex` differ in what matters for names. Pure.

use regex::{Regex, RegexBuilder};

/// A pattern that is larger than this once compiled is refused.
const LARGEST: usize = 1 << 20;

/// The pattern of a whole text, and of parts of one.
pub(super) fn compile(pattern: &str) -> Result<(Regex, Regex), String> {
    let pattern = translated(pattern);
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(LARGEST).crlf(true).build();
    // By itself first: brackets that do not match could match with ours.
    let words = |error: regex::Error| match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    };
    let part = build(&pattern).map_err(words)?;
    let whole = build(&format!(r"\A(?:{pattern})\z")).map_err(words)?;
    Ok((whole, part))
}

/// `\d`, `\w` and `\s` mean ASCII in Java.
fn translated(pattern: &str) -> String {
    let mut out = String::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        let Some(escaped) = (c == '\\').then(|| rest.next()).flatten() else {
            out.push(c);
            continue;
        };
        match escaped {
            'd' => out.push_str("[0-9]"),
            'D' => out.push_str("[^0-9]"),
            'w' => out.push_str("[A-Za-z0-9_]"),
            'W' => out.push_str("[^A-Za-z0-9_]"),
            's' => out.push_str(r"[ \t\n\x0B\x0C\r]"),
            'S' => out.push_str(r"[^ \t\n\x0B\x0C\r]"),
            other => out.extend(['\\', other]),
        }
    }
    out
}
