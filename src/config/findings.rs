//! What is wrong with a config and where: collected over all files, so that one run shows everything.
//! Knows places in texts and how to print them; knows no key of the config.

use super::load::directory_of;
use super::masking;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// A place: bytes `start..end` of file number `file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) file: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Whether a config with it may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The config is refused.
    Mistake,
    /// The config runs, and probably not as meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// Whether the config is refused for it.
    pub severity: Severity,
    /// The file as it was named on the command line or found by `include`.
    pub file: String,
    /// Where in the file; `None` when the file itself is the matter.
    pub place: Option<Place>,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

/// A place in a file as a reader counts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    #[serde(skip)]
    shown: Shown,
}

/// The part of the source line that is printed, and the part of it that is marked (in characters).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    line: String,
    skip: usize,
    mark: usize,
}

/// Everything found in a config, in the order of the files and their lines. As an error: at least one mistake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Mistakes {
    list: Vec<Mistake>,
}

impl Mistakes {
    /// All of them, warnings too.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.list.iter()
    }

    /// How many refuse the config, and how many only warn.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let mistakes = self.list.iter().filter(|one| one.severity == Severity::Mistake).count();
        (mistakes, self.list.len() - mistakes)
    }

    /// Adds what was found outside of the files' text.
    pub fn extend(&mut self, more: impl IntoIterator<Item = Mistake>) {
        self.list.extend(more);
    }

    /// Nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Printed as [`fmt::Display`] does, with colours for a terminal if `colours`.
    #[must_use]
    pub fn render(&self, colours: bool) -> String {
        let paint = Paint(colours);
        self.list.iter().map(|one| one.render(paint)).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Mistakes {}

#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Mistake {
    fn render(&self, paint: Paint) -> String {
        let (word, colour) = match self.severity {
            Severity::Mistake => ("mistake", "1;31"),
            Severity::Warning => ("warning", "1;33"),
        };
        let word = paint.with(colour, word);
        let Some(Place { line, column, shown }) = &self.place else {
            return format!("{}: {word}: {}\n  = {}\n", self.file, self.what, self.instead);
        };
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        let carets = paint.with(colour, &"^".repeat(shown.mark));
        let space: String = shown.line.chars().take(shown.skip).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        format!(
            "{}:{line}:{column}: {word}: {}\n{gutter} |\n{number} | {}\n{gutter} | {space}{carets}\n{gutter} = {}\n",
            self.file, self.what, shown.line, self.instead
        )
    }
}

/// A file's name and text, kept while mistakes may point into it.
#[derive(Debug)]
struct Source {
    name: String,
    text: String,
    /// Where each line starts.
    lines: Vec<usize>,
    /// The lines as they may be shown; made when the first is.
    masked: OnceCell<Vec<String>>,
}

/// Collects. Mistakes past [`Findings::MOST`] are counted only.
#[derive(Debug, Default)]
pub(super) struct Findings {
    sources: Vec<Source>,
    list: Vec<(Option<At>, Mistake)>,
    beyond: usize,
}

impl Findings {
    /// A bound on memory for a file that is nothing but mistakes.
    const MOST: usize = 1_000;

    /// A file that places may point into; its number.
    pub(super) fn source(&mut self, name: &str, text: String) -> usize {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.sources.push(Source { name: name.to_owned(), text, lines, masked: OnceCell::new() });
        self.sources.len() - 1
    }

    /// A sum over the texts of all files, in the order in which they were read.
    pub(super) fn hash(&self) -> u32 {
        self.sources.iter().fold(0, |sum, source| crc32c::crc32c_append(sum, source.text.as_bytes()))
    }

    /// Where the files are.
    pub(super) fn directories(&self) -> BTreeSet<PathBuf> {
        self.sources.iter().map(|source| directory_of(Path::new(&source.name))).collect()
    }

    /// How much was found so far.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// How many of it refuse the config.
    pub(super) fn mistakes(&self) -> usize {
        self.list.iter().filter(|(_, one)| one.severity == Severity::Mistake).count()
    }

    /// What is found from here on is counted and not shown: nobody needs advice on it.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= Self::MOST
    }

    /// The line of a place, from 1.
    pub(super) fn line_of(&self, at: At) -> usize {
        self.sources.get(at.file).map_or(0, |source| source.line(at.start))
    }

    /// `file:line` of a place, for a sentence about a second place.
    pub(super) fn spot(&self, at: At) -> String {
        let name = self.sources.get(at.file).map_or("", |source| source.name.as_str());
        format!("{name}:{}", self.line_of(at))
    }

    pub(super) fn mistake(&mut self, at: At, what: impl Into<String>, instead: impl Into<String>) {
        self.add(Severity::Mistake, at, what.into(), instead.into());
    }

    pub(super) fn warning(&mut self, at: At, what: impl Into<String>, instead: impl Into<String>) {
        self.add(Severity::Warning, at, what.into(), instead.into());
    }

    /// A mistake of a file as a whole.
    pub(super) fn file_mistake(&mut self, file: &str, what: impl Into<String>, instead: impl Into<String>) {
        let (what, instead) = (what.into(), instead.into());
        self.list
            .push((None, Mistake { severity: Severity::Mistake, file: file.to_owned(), place: None, what, instead }));
    }

    fn add(&mut self, severity: Severity, at: At, what: String, instead: String) {
        if self.is_full() {
            self.beyond += 1;
            return;
        }
        let Some(source) = self.sources.get(at.file) else { return };
        let [what, instead] = [what, instead].map(|text| source.without_secret(at, text));
        let mistake = Mistake { severity, file: source.name.clone(), place: Some(source.place(at)), what, instead };
        self.list.push((Some(at), mistake));
    }

    /// In the order of the files and of their lines.
    pub(super) fn finish(mut self) -> Mistakes {
        self.list.sort_by_key(|(at, _)| at.map(|at| (at.file, at.start)));
        let mut list: Vec<Mistake> = self.list.into_iter().map(|(_, mistake)| mistake).collect();
        if let (Some(last), true) = (list.last(), self.beyond > 0) {
            let file = last.file.clone();
            let what = format!("{} more are not shown", self.beyond);
            let instead = "mend these first".to_owned();
            list.push(Mistake { severity: Severity::Mistake, file, place: None, what, instead });
        }
        Mistakes { list }
    }
}

impl Source {
    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    fn place(&self, at: At) -> Place {
        let (line, before) = self.before(at);
        Place { line, column: before + 1, shown: Shown::new(self.masked(line), before, self.marked(at)) }
    }

    /// The number of a place's line, and how many characters are before it there.
    fn before(&self, at: At) -> (usize, usize) {
        let line = self.line(at.start);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line, self.text.get(start..at.start).unwrap_or_default().chars().count())
    }

    /// What stands at a place, to the end of its line.
    fn marked(&self, at: At) -> &str {
        self.text.get(at.start..at.end).and_then(|text| text.lines().next()).unwrap_or_default()
    }

    /// A line as it may be shown.
    fn masked(&self, line: usize) -> &str {
        let all = self.masked.get_or_init(|| masking::masked(&self.text));
        all.get(line.saturating_sub(1)).map_or("", String::as_str)
    }

    /// A sentence about a place; where that is in a secret, without what stands there.
    fn without_secret(&self, at: At, sentence: String) -> String {
        let (marked, (line, before)) = (self.marked(at), self.before(at));
        let shown: String = self.masked(line).chars().skip(before).take(marked.chars().count()).collect();
        if shown == marked {
            return sentence;
        }
        let bare = marked.trim_matches(['*', '!', '&', '"', '\'']);
        let quoted = [marked, bare].map(|text| ['`', '"'].map(|quote| format!("{quote}{text}{quote}")));
        quoted.iter().flatten().fold(sentence, |sentence, quoted| sentence.replace(quoted.as_str(), "`...`"))
    }
}

impl Shown {
    /// Characters of a line that are shown on each side of the mark's start.
    const AROUND: usize = 100;
    /// Bytes of a line that nobody wrote by hand: only what is marked of it is shown.
    const ENDLESS: usize = 10_000;

    fn new(whole: &str, column: usize, marked: &str) -> Self {
        let mark = marked.trim_end().chars().count().clamp(1, Self::AROUND);
        let is_endless = whole.len() > Self::ENDLESS;
        let skip = if is_endless { 0 } else { column.min(Self::AROUND) };
        let line = whole.chars().skip(column - skip).take(skip + if is_endless { mark } else { Self::AROUND });
        // A control character could drive the terminal that the mistake is printed on.
        let line = line.map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
        Self { line, skip, mark }
    }
}
