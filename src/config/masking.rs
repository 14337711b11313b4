//! The text of a config without its secrets, character for character: for lines that are shown beside a mistake. Works on the text
//! alone, since what is shown may be no YAML, or not what its writer meant.

use super::suggest::nearest;
use regex::{Captures, Regex};
use std::borrow::Cow;
use std::sync::LazyLock;

/// A key of a map; one in quotes needs no blank behind its colon.
static KEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const KEY: &str = r#"(?-u)(?:^|[\s,{\["'-])(?:([A-Za-z_][\w-]*)\s*:(?:\s+|$)|([A-Za-z_][\w-]*)["']\s*:\s*)"#;
    Regex::new(KEY).ok()
});

/// Parts of a config, which stand in any column where it is written as JSON.
const PARTS: [&str; 4] = ["admin", "clusters", "listeners", "pipelines"];

/// What a key's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// A secret, whatever it is made of.
    Secret,
    /// A secret where it is a text; else the key is some header's or limit's name.
    MaybeSecret,
    Nothing,
}

impl Holds {
    /// Of a key in this part of the config.
    fn of(key: &str, part: &str) -> Self {
        const SECRETS: [&str; 4] = ["password", "passphrase", "secret", "client_secret"];
        let key = key.to_lowercase();
        let has = |word: &&str| key.contains(*word);
        // Who mistypes a secret's key has written the secret all the same.
        // A path or an address.
        if key.ends_with("_file") || key.ends_with("_url") {
            return Self::Nothing;
        }
        let is_token = ["token", "credential"].iter().any(has);
        // No header is named there.
        let of_operators = part == "admin" && (is_token || nearest(&key, ["token"]).is_some());
        if of_operators || SECRETS.iter().any(has) || key == "users" || nearest(&key, SECRETS).is_some() {
            Self::Secret
        } else if is_token {
            Self::MaybeSecret
        } else {
            Self::Nothing
        }
    }
}

/// What goes on in the next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Nothing,
    /// The value of a key in this column, which has no brackets and no quotes.
    Block(usize),
    /// Brackets of which so many are open.
    Brackets(usize),
    /// A text that ends with this.
    Quotes(char),
}

/// The lines of a text with a star for each character of a secret.
pub(super) fn masked(text: &str) -> Vec<String> {
    let (mut within, mut part) = (Within::Nothing, String::new());
    text.lines().map(|line| masked_line(line, &mut within, &mut part)).collect()
}

fn masked_line(line: &str, within: &mut Within, part: &mut String) -> String {
    let mut masked = String::with_capacity(line.len());
    let mut rest = line;
    match *within {
        Within::Block(column) if goes_on(line, column) => {
            hide(line, &mut masked);
            return masked;
        }
        Within::Block(_) | Within::Nothing => *within = Within::Nothing,
        Within::Brackets(_) | Within::Quotes(_) => {
            let end = end_of(line, within);
            let (hidden, after) = line.split_at(end);
            hide(hidden, &mut masked);
            rest = after;
        }
    }
    while *within == Within::Nothing
        && let Some(found) = KEY.as_ref().and_then(|key| key.captures(rest))
        && let Some(all) = found.get(0)
    {
        let (before, value) = rest.split_at(all.end());
        masked.push_str(&without_user(before));
        let key = found.get(1).or_else(|| found.get(2)).map_or("", |key| key.as_str());
        if line.trim_start_matches(['"', '\'']).starts_with(key) || PARTS.contains(&key) {
            key.clone_into(part);
        }
        let holds = Holds::of(key, part);
        if holds == Holds::Nothing {
            rest = value;
            continue;
        }
        let is_in_flow = line.strip_suffix(value).is_some_and(|before| before.contains(['{', '[']));
        let column = line.len() - line.trim_start_matches([' ', '-']).len();
        let end = begin(value, holds == Holds::Secret, is_in_flow, column, within);
        let (hidden, after) = value.split_at(end);
        hide(hidden, &mut masked);
        rest = after;
    }
    masked + &without_user(rest)
}

/// Whether a line belongs to the value of a key in this column of a line above.
fn goes_on(line: &str, column: usize) -> bool {
    let text = line.trim_start();
    let indent = line.len() - text.len();
    text.is_empty() || indent > column || indent == column && text.starts_with("- ")
}

/// Addresses may have a name and a password before their host.
fn without_user(line: &str) -> Cow<'_, str> {
    static USER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"://[^/@\s]+@").ok());
    let hidden = |found: &Captures<'_>| format!("://{}@", "*".repeat(found[0].chars().count() - 4));
    USER.as_ref().map_or(Cow::Borrowed(line), |user| user.replace_all(line, hidden))
}

/// Where a value ends that begins here, and what of it goes on in the next line.
fn begin(value: &str, is_all_secret: bool, is_in_flow: bool, column: usize, within: &mut Within) -> usize {
    match value.chars().next() {
        Some('[' | '{') if !is_all_secret => 0,
        Some('[' | '{') => {
            *within = Within::Brackets(0);
            end_of(value, within)
        }
        Some(quote @ ('"' | '\'')) => {
            *within = Within::Quotes(quote);
            1 + end_of(&value[1..], within)
        }
        _ if is_in_flow => value.find([',', '}', ']']).unwrap_or(value.len()),
        None if !is_all_secret => 0,
        _ => {
            *within = Within::Block(column);
            value.len()
        }
    }
}

/// Where what is open ends in this text, behind its last character; the end of the text where it goes on.
fn end_of(text: &str, within: &mut Within) -> usize {
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match (*within, quote) {
            (Within::Quotes('"'), _) | (_, Some('"')) if c == '\\' => drop(characters.next()),
            (Within::Quotes('\''), _) if text[at..].starts_with("''") => drop(characters.next()),
            (Within::Quotes(end), _) if c == end => {
                *within = Within::Nothing;
                return at + 1;
            }
            (Within::Brackets(_), Some(end)) if c == end => quote = None,
            (Within::Brackets(_), None) if matches!(c, '"' | '\'') => quote = Some(c),
            (Within::Brackets(depth), None) if matches!(c, '[' | '{') => *within = Within::Brackets(depth + 1),
            (Within::Brackets(depth), None) if matches!(c, ']' | '}') => {
                *within = Within::Brackets(depth.saturating_sub(1));
                if depth <= 1 {
                    *within = Within::Nothing;
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// A star for each character but blanks, and but `${...}`: that is the name of a secret, and not one.
fn hide(value: &str, masked: &mut String) {
    let mut rest = value;
    while let Some((before, reference)) = rest.split_once("${") {
        let Some((name, after)) = reference.split_once('}') else { break };
        stars(before, masked);
        masked.extend(["${", name, "}"]);
        rest = after;
    }
    stars(rest, masked);
}

fn stars(text: &str, masked: &mut String) {
    masked.extend(text.chars().map(|c| if c.is_whitespace() { c } else { '*' }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        masked(text).join("\n")
    }

    #[test]
    fn a_secret_is_hidden_however_it_is_written() {
        for text in [
            "password: hunter2",
            "  - password: hunter2, hunter2}\n    other: y",
            "  - password: hunter2\n  - other: y",
            "a: { user: x, password: hunter2, other: y }",
            "a: { password: \"hunter2, hunter2\", other: y }",
            "a: { password: \"hun\\\"hunter2\", other: y }",
            "a: { \"password\" : 'hunter2', other: y }",
            "client_secret: [hunter2, \"}hunter2\"]",
            "client_secret: { a: { b: hunter2 }, c: \"}hunter2\" }",
            "password:\n  hunter2\nother: y",
            "password: |\n  hunter2\n\n  hunter2\nother: y",
            "password: >-\n  hunter2\nother: y",
            "password: a\n  hunter2\nother: y",
            "password:\n- hunter2\nother: y",
            "password:\n  - hunter2\nother: y",
            "password: \"a\n  hunter2\nhunter2\" # y",
            "a: { password: [a,\n  hunter2,\n  hunter2], other: y }",
            "users: \"alice SCRAM-SHA-512 salt=a,stored_key=hunter2\"",
            "users: |\n  alice SCRAM-SHA-512 salt=a,stored_key=hunter2\n",
            "KEY_PASSPHRASE: hunter2",
            "a: { passwrod: hunter2, pasword : hunter2, other: y }",
            "clientsecret: hunter2",
            "password: hunter2 ${X} hunter2",
            "token: hunter2",
            "password: 'it''s hunter2', other: y",
            "jwks: https://u:hunter2@idp.example.com/other: y",
            "{ password: hunter2",
            "password: \"hunter2",
            "password: ${hunter2",
            "{\"a\":{\"password\":\"hunter2\"},\"other: y\":1}",
            "admin:\n  token:\n    - alice hunter2\n    - hunter2\nother: y",
            "admin:\n  token:\n    hunter2\nother: y",
            "admin: { token: [hunter2, 'a hunter2'] }\nother: y",
            "admin:\n  token: { alice: hunter2 }\nother: y",
            "admin:\n  tokens: [hunter2]\nother: y",
            "admin: { bind: 'a:1', tokne: hunter2 }\nother: y",
            "{\"admin\":{\"token\":[\"hunter2\"]},\"other: y\":1}",
            "{\n  \"admin\": {\n    \"token\": [\n      \"hunter2\"\n    ]\n  },\n  \"other: y\": 1}",
        ] {
            let shown = shown(text);
            assert!(!shown.contains("hunter2"), "{text}\n{shown}");
            assert_eq!(text.contains("other: y"), shown.contains("other: y"), "{text}\n{shown}");
        }
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for text in [
            "bootstrap: [\"a:1\"]",
            "password: ${PASSWORD}",
            "users_file: /etc/users",
            "a: { token_url: https://a/, token_file: /a }",
            "headers: { token: { required: yes }, a: b }",
            "{\"admin\":{\"bind\":\"a:1\"},\"pipelines\":[{\"headers\":{\"token\":{\"required\":true}}}]}",
            "token:\n  required: yes",
            "key: token",
            "key: secret",
            "topics: [\"pass*\"]",
            "username: x",
        ] {
            assert_eq!(shown(text), text);
        }
        assert_eq!(shown("password: \"${PASSWORD}\""), "password: *${PASSWORD}*");
    }

    proptest! {
        #[test]
        fn each_line_keeps_its_length(text in "([a-z ]{0,4}\"?(password|users|token|x)\"?: ?[\\[{\"'a-zß,}\\]\\n \\\\$#|-]{0,12}\\n?){0,6}") {
            let hidden = masked(&text);
            let of_lines: Vec<_> = text.lines().map(|line| line.chars().count()).collect();
            prop_assert_eq!(hidden.iter().map(|line| line.chars().count()).collect::<Vec<_>>(), of_lines);
        }
    }
}
