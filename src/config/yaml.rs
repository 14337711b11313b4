//! Text to a tree in which every node knows its place in the file, and nothing is lost (a serde target would stop at
//! the first mistake and hide a repeated key). The one file that knows the YAML library; it knows no key of the config.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::findings::{At, Findings};

/// Deeper than any config that a person writes; keeps recursion over the tree bounded.
const MAX_DEPTH: usize = 32;
/// More than any config needs; keeps what aliases can blow a small file up to bounded.
const MAX_NODES: usize = 200_000;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) what: What,
    pub(super) at: At,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum What {
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the order of the file, each key once.
    Map(Vec<Entry>),
    /// Its mistake is reported already; whoever meets it keeps silent.
    Reported,
}

/// A single value before anybody decided its type.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Written without quotes, so that `5`, `true` and `null` are a number, a boolean and nothing.
    pub(super) plain: bool,
}

/// A key of a map with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: At,
    pub(super) value: Node,
}

/// The one document of file number `file`. `None` when nothing can be read from it: the mistake says why.
pub(super) fn parse(file: usize, text: &str, findings: &mut Findings) -> Option<Node> {
    let options = granit_parser::options! { emit_unresolved_aliases: true };
    let events = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { file, text, events, findings, anchors: HashMap::new(), nodes: 0 };
    match builder.document() {
        Ok(node) => node,
        Err(stop) => {
            builder.report(stop);
            None
        }
    }
}

/// Why reading ends before the end of the file.
enum Stop {
    Syntax(ScanError),
    TooDeep(At),
    TooLarge(At),
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self::Syntax(error)
    }
}

struct Builder<'a> {
    file: usize,
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    findings: &'a mut Findings,
    /// What an alias repeats, by the parser's number for the anchor.
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    /// The next event that means something to us; `None` after the last.
    fn next(&mut self) -> Result<Option<(Event<'a>, At)>, Stop> {
        loop {
            match self.events.next_event() {
                None => return Ok(None),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok((Event::StreamStart | Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => {
                    let tagged = matches!(&event, Event::Scalar(_, _, _, Some(_)));
                    let span = span.tag_span().filter(|_| tagged).unwrap_or(span);
                    return Ok(Some((event, self.place(span))));
                }
            }
        }
    }

    fn place(&self, span: Span) -> At {
        let range = span.byte_range().unwrap_or(0..0);
        At { file: self.file, start: range.start, end: range.end }
    }

    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut root = None;
        while let Some((event, at)) = self.next()? {
            match event {
                Event::DocumentStart(..) if root.is_some() => {
                    self.findings.mistake(
                        at,
                        "a second YAML document starts here",
                        "keep one document in the file; to split a config over files use `include`",
                    );
                    return Ok(root);
                }
                Event::DocumentStart(..) => {}
                Event::DocumentEnd | Event::StreamEnd => {}
                other => root = Some(self.node(other, at, 0)?),
            }
        }
        Ok(root)
    }

    /// The node that `event` starts.
    fn node(&mut self, event: Event<'a>, at: At, depth: usize) -> Result<Node, Stop> {
        self.count(1, at)?;
        if depth > MAX_DEPTH {
            return Err(Stop::TooDeep(at));
        }
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let what = match tag {
                    Some(tag) if !tag.is_yaml_core_schema() => self.refuse_tag(at, &tag.original()),
                    _ => What::Scalar(Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }),
                };
                (Node { what, at }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(at, depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(at, depth)?, anchor),
            Event::Alias(anchor) => return self.repeat(anchor, at),
            Event::UnresolvedAlias(name) => (self.refuse_alias(at, &name), 0),
            _ => (Node { what: What::Reported, at }, 0),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, at: At, depth: usize) -> Result<Node, Stop> {
        let mut items = Vec::new();
        while let Some((event, place)) = self.next()? {
            match event {
                Event::SequenceEnd => break,
                other => items.push(self.node(other, place, depth + 1)?),
            }
        }
        Ok(Node { what: What::List(items), at })
    }

    fn map(&mut self, at: At, depth: usize) -> Result<Node, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, At> = HashMap::new();
        while let Some((event, place)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, place, depth + 1)?;
            let Some((event, place)) = self.next()? else { break };
            let value = self.node(event, place, depth + 1)?;
            let Some(name) = self.key(&key) else { continue };
            if let Some(first) = seen.get(&name) {
                let line = self.findings.line_of(*first);
                self.findings.mistake(
                    key.at,
                    format!("`{name}` is given a second time; the first is on line {line}"),
                    "keep one of the two",
                );
                continue;
            }
            seen.insert(name.clone(), key.at);
            entries.push(Entry { key: name, at: key.at, value });
        }
        Ok(Node { what: What::Map(entries), at })
    }

    /// The text of a key; what else may be a key in YAML is a mistake here.
    fn key(&mut self, node: &Node) -> Option<String> {
        match &node.what {
            What::Scalar(scalar) if scalar.plain && scalar.text == "<<" => {
                self.findings.mistake(node.at, "`<<` (a YAML merge) is not read", "write the keys out");
                None
            }
            What::Scalar(scalar) => Some(scalar.text.clone()),
            What::Reported => None,
            What::List(_) | What::Map(_) => {
                self.findings.mistake(node.at, "a key must be a name", "write `name: value`");
                None
            }
        }
    }

    /// A copy of what the anchor holds, at the place of the alias: mistakes in it are where it was written first.
    fn repeat(&mut self, anchor: usize, at: At) -> Result<Node, Stop> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            self.findings.mistake(at, "an alias inside of what it repeats", "write the value out");
            return Ok(Node { what: What::Reported, at });
        };
        self.count(size(&node), at)?;
        Ok(node)
    }

    fn count(&mut self, more: usize, at: At) -> Result<(), Stop> {
        self.nodes += more;
        if self.nodes > MAX_NODES { Err(Stop::TooLarge(at)) } else { Ok(()) }
    }

    /// `*name` without an anchor is nearly always a pattern that lacks its quotes.
    fn refuse_alias(&mut self, at: At, name: &str) -> Node {
        self.findings.mistake(
            at,
            format!("without quotes, `*{name}` is a YAML alias, and nothing is anchored as `{name}`"),
            format!("write it in quotes: \"*{name}\""),
        );
        Node { what: What::Reported, at }
    }

    /// `!name` is nearly always an exclusion that lacks its quotes.
    fn refuse_tag(&mut self, at: At, tag: &str) -> What {
        let instead = if tag.starts_with("!!") {
            "leave the tag out".to_owned()
        } else {
            format!("write it in quotes: \"{tag}\"")
        };
        self.findings.mistake(at, format!("without quotes, `{tag}` is a YAML tag"), instead);
        What::Reported
    }

    fn report(&mut self, stop: Stop) {
        match stop {
            Stop::TooDeep(at) => {
                self.findings.mistake(
                    at,
                    format!("nested deeper than {MAX_DEPTH} levels"),
                    "no key of the config is that deep",
                );
            }
            Stop::TooLarge(at) => {
                self.findings.mistake(
                    at,
                    format!("more than {MAX_NODES} values, repeated ones included"),
                    "use fewer aliases",
                );
            }
            Stop::Syntax(error) if *error.kind() == ErrorKind::RecursionLimitExceeded => {
                let start = error.marker().byte_offset().unwrap_or(0);
                self.report(Stop::TooDeep(At { file: self.file, start, end: start }));
            }
            Stop::Syntax(error) => {
                let start = error.marker().byte_offset().unwrap_or(0).min(self.text.len());
                let at = At { file: self.file, start, end: start };
                let why = error.info();
                let instead = self.hint(start, &why);
                self.findings.mistake(at, format!("this is not YAML: {why}"), instead);
            }
        }
    }

    /// The usual reason for a syntax mistake here, where one can be named.
    fn hint(&self, offset: usize, why: &str) -> &'static str {
        let start = self.text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        let line = self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        if why.contains("tab") {
            "indent with spaces"
        } else if line.contains("${") {
            "between braces or brackets `${NAME}` needs quotes: \"${NAME}\""
        } else {
            "look here and at the line before for a missing quote, colon, bracket or wrong indentation"
        }
    }
}

/// How many nodes there are in `node`, itself included.
fn size(node: &Node) -> usize {
    match &node.what {
        What::Scalar(_) | What::Reported => 1,
        What::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        What::Map(entries) => 1 + entries.iter().map(|entry| 1 + size(&entry.value)).sum::<usize>(),
    }
}
