//! From tree to typed values: wrong types, missing, unknown and empty keys are found here, `${...}` is filled in.
//! Knows what a text, a number and a list are; knows no key of the config.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::findings::{At, Findings};
use super::suggest::nearest;
use super::surroundings::Surroundings;
use super::yaml::{Entry, Node, What};

/// What reading needs beside the tree.
pub(super) struct Reader<'a> {
    pub(super) findings: &'a mut Findings,
    pub(super) surroundings: &'a Surroundings<'a>,
}

/// A text of the config. Shown as it was written: what `${...}` brought in may be a secret.
#[derive(Clone)]
pub(super) struct Text {
    /// With `${...}` filled in: for the config, never for a message.
    pub(super) value: String,
    shown: String,
    pub(super) at: At,
}

impl Text {
    /// Nothing came in from outside, so that the value may stand in a message.
    pub(super) fn is_literal(&self) -> bool {
        self.value == self.shown
    }

    /// Another value in the place of one, shown as that is.
    pub(super) fn of(value: String, like: &Self) -> Self {
        Self { value, shown: like.shown.clone(), at: like.at }
    }

    /// A key that is a name: `${...}` means nothing in it.
    pub(super) fn from_key(entry: &Entry) -> Self {
        Self { value: entry.key.clone(), shown: entry.key.clone(), at: entry.at }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown.fmt(f)
    }
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// A number of the config and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    pub(super) value: u64,
    pub(super) at: At,
}

/// What plain YAML text is when it is not text.
pub(super) fn other_type(text: &str) -> Option<&'static str> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some("nothing"),
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Some("a boolean"),
        _ if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
            && text.parse::<f64>().is_ok() =>
        {
            Some("a number")
        }
        _ => None,
    }
}

/// What a value is, in a sentence: "must be a text, not a list".
fn kind(node: &Node) -> &'static str {
    match &node.what {
        What::Scalar(scalar) if scalar.plain => other_type(&scalar.text).unwrap_or("a text"),
        What::Scalar(_) => "a text",
        What::List(_) => "a list",
        What::Map(_) => "a map",
        What::Reported => "nothing",
    }
}

impl Reader<'_> {
    pub(super) fn wrong_type(&mut self, node: &Node, wanted: &str, instead: impl Into<String>) {
        if !matches!(node.what, What::Reported) {
            self.findings.mistake(node.at, format!("this must be {wanted}, not {}", kind(node)), instead);
        }
    }

    fn empty(&mut self, entry: &Entry) {
        if !matches!(entry.value.what, What::Reported) {
            let what = format!("`{}` has no value", entry.key);
            self.findings.mistake(entry.at, what, "write a value, or leave the key out");
        }
    }

    pub(super) fn fill(&mut self, text: &str, at: At) -> Option<String> {
        match self.surroundings.fill(text) {
            Ok(value) => Some(value),
            Err(gaps) => {
                for gap in gaps {
                    self.findings.mistake(at, gap.what, gap.instead);
                }
                None
            }
        }
    }
}

/// Reads a text that is not empty.
pub(super) fn text(node: &Node, reader: &mut Reader<'_>) -> Option<Text> {
    let scalar = match &node.what {
        What::Scalar(scalar) if !scalar.plain || other_type(&scalar.text).is_none() => scalar,
        What::Scalar(scalar) if other_type(&scalar.text) != Some("nothing") => {
            reader.wrong_type(node, "a text", format!("put it in quotes: \"{}\"", scalar.text));
            return None;
        }
        _ => {
            reader.wrong_type(node, "a text", "write one value here");
            return None;
        }
    };
    let value = reader.fill(&scalar.text, node.at)?;
    if value.trim().is_empty() {
        let what = if scalar.text.trim().is_empty() {
            "this text is empty".to_owned()
        } else {
            format!("`{}` is empty", scalar.text)
        };
        reader.findings.mistake(node.at, what, "write a value, or leave the key out");
        return None;
    }
    Some(Text { value, shown: scalar.text.clone(), at: node.at })
}

/// Reads the path of a file. A relative one starts from the config file's directory; what is kept starts from the root.
pub(super) fn path(node: &Node, reader: &mut Reader<'_>) -> Option<Text> {
    let text = text(node, reader)?;
    let joined = reader.surroundings.directory.join(&text.value);
    // Fails where there is no current directory: then the path stays as it is.
    let absolute = std::path::absolute(&joined).unwrap_or(joined);
    match absolute.into_os_string().into_string() {
        Ok(value) => Some(Text::of(value, &text)),
        Err(_) => {
            reader.findings.mistake(text.at, "the directory of this file is not UTF-8", "move it to one that is");
            None
        }
    }
}

/// Reads a whole number that is not negative.
pub(super) fn number(node: &Node, reader: &mut Reader<'_>) -> Option<Number> {
    let What::Scalar(scalar) = &node.what else {
        reader.wrong_type(node, "a number", "write for example 0");
        return None;
    };
    let filled = scalar.text.contains("${");
    let value = reader.fill(&scalar.text, node.at)?;
    match value.parse() {
        Ok(value) if filled || scalar.plain => Some(Number { value, at: node.at }),
        Ok(value) => {
            let value: u64 = value;
            reader.wrong_type(node, "a number", format!("leave the quotes out: {value}"));
            None
        }
        Err(_) => {
            let what = format!("`{}` is not a whole number from 0 up", scalar.text);
            reader.findings.mistake(node.at, what, "write for example 0");
            None
        }
    }
}

/// Reads `true` or `false`.
pub(super) fn boolean(node: &Node, reader: &mut Reader<'_>) -> Option<bool> {
    match &node.what {
        What::Scalar(scalar) if scalar.plain && scalar.text == "true" => Some(true),
        What::Scalar(scalar) if scalar.plain && scalar.text == "false" => Some(false),
        _ => {
            reader.wrong_type(node, "true or false", "write `true` or `false`, without quotes");
            None
        }
    }
}

/// Reads a list, each item by `item`; items that are wrong are left out.
pub(super) fn list<T>(
    node: &Node,
    reader: &mut Reader<'_>,
    item: impl Fn(&Node, &mut Reader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let What::List(items) = &node.what else {
        let instead = match &node.what {
            What::Scalar(scalar) if kind(node) != "nothing" => format!("write a list of one: [\"{}\"]", scalar.text),
            _ => "write a list: lines that start with `- `".to_owned(),
        };
        reader.wrong_type(node, "a list", instead);
        return None;
    };
    Some(items.iter().filter_map(|node| item(node, reader)).collect())
}

/// Reads a list of texts.
pub(super) fn texts(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Text>> {
    list(node, reader, text)
}

/// `None`, and a mistake, if what was written has nothing in it.
pub(super) fn some<T>(read: Option<Vec<T>>, node: &Node, reader: &mut Reader<'_>) -> Option<Vec<T>> {
    let empty = match &node.what {
        What::List(items) => items.is_empty(),
        What::Map(entries) => entries.is_empty(),
        What::Scalar(_) | What::Reported => false,
    };
    if empty {
        reader.findings.mistake(node.at, "there must be at least one", "add one");
        return None;
    }
    read
}

/// Reads a map from names that the user chooses.
pub(super) fn named<T>(
    node: &Node,
    reader: &mut Reader<'_>,
    item: impl Fn(&Entry, &mut Reader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let What::Map(entries) = &node.what else {
        reader.wrong_type(node, "a map", "write lines of `name: { ... }`");
        return None;
    };
    Some(entries.iter().filter_map(|entry| item(entry, reader)).collect())
}

/// The keys of one map while it is read. A key is known because it was asked for; what was never asked for is a mistake.
pub(super) struct Fields<'a, 'r, 's> {
    entries: &'a [Entry],
    asked: Vec<&'static str>,
    /// Required keys that are not there, each with an example of its value.
    missing: Vec<(&'static str, &'static str)>,
    /// What the map is, in a sentence: "a pipeline".
    what: &'static str,
    /// Where to say that a key is missing.
    at: At,
    reader: &'r mut Reader<'s>,
}

impl<'a, 'r, 's> Fields<'a, 'r, 's> {
    /// `None` if `node` is no map: said already.
    pub(super) fn of(node: &'a Node, what: &'static str, reader: &'r mut Reader<'s>) -> Option<Self> {
        let What::Map(entries) = &node.what else {
            let instead = format!("write {what} as lines of `key: value`");
            reader.wrong_type(node, "a map", instead);
            return None;
        };
        let at = entries.first().map_or(node.at, |entry| entry.at);
        Some(Self { entries, asked: Vec::new(), missing: Vec::new(), what, at, reader })
    }

    /// As [`Fields::of`] for a map with a name, where a missing key is said to be missing.
    pub(super) fn of_named(entry: &'a Entry, what: &'static str, reader: &'r mut Reader<'s>) -> Option<Self> {
        if kind(&entry.value) == "nothing" {
            reader.empty(entry);
            return None;
        }
        Some(Self { at: entry.at, ..Self::of(&entry.value, what, reader)? })
    }

    /// What `read` makes of the key's value; `None` without the key, and where it is wrong.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Node, &mut Reader<'_>) -> Option<T>,
    ) -> Option<T> {
        self.asked.push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        if kind(&entry.value) == "nothing" {
            self.reader.empty(entry);
            return None;
        }
        read(&entry.value, self.reader)
    }

    /// As [`Fields::optional`]; that the key is not there is a mistake, and `example` says what to write.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        example: &'static str,
        read: impl Fn(&Node, &mut Reader<'_>) -> Option<T>,
    ) -> Option<T> {
        if !self.entries.iter().any(|entry| entry.key == key) {
            self.missing.push((key, example));
        }
        self.optional(key, read)
    }

    /// Reports what nobody asked for and what is missing. `later` are keys that a later version reads.
    pub(super) fn finish(mut self, later: &[&str]) {
        let unknown = self.entries.iter().filter(|entry| !self.asked.contains(&entry.key.as_str()));
        for Entry { key, at, .. } in unknown {
            if later.contains(&key.as_str()) {
                self.reader.findings.mistake(*at, format!("`{key}` is not in this version"), "leave it out");
                continue;
            }
            let near = if self.reader.findings.is_full() { None } else { nearest(key, self.asked.iter().copied()) };
            let instead = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys of {} are {}", self.what, self.asked.join(", ")),
            };
            self.reader.findings.mistake(*at, format!("{} has no key `{key}`", self.what), instead);
            // A key that was mistyped is not missing as well.
            self.missing.retain(|(missing, _)| Some(*missing) != near);
        }
        for (key, example) in self.missing {
            let what = format!("{} needs `{key}`", self.what);
            self.reader.findings.mistake(self.at, what, format!("add for example `{key}: {example}`"));
        }
    }
}
