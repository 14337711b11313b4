//! Patterns of topic and group names: what they match, and what one is known to cover of another. Pure; knows no config.
//!
//! A pattern is a glob (`*`: any run of characters, `?`: any one), or a regular expression of the **whole** name between
//! slashes; `!` before either excludes. The order within a list means nothing: a name belongs to it if some pattern
//! matches and no exclusion does.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// A list of patterns, compiled. Equal when written the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

impl Patterns {
    /// Adds one, to what is matched or, with `excludes`, to what is not.
    pub(super) fn add(&mut self, pattern: Pattern, excludes: bool) {
        if excludes { self.exclude.push(pattern) } else { self.include.push(pattern) }
    }

    /// The pattern of everything.
    pub(super) fn everything() -> Self {
        let star = Pattern { text: "*".to_owned(), kind: Kind::Glob(vec![Symbol::Run]) };
        Self { include: vec![star], exclude: Vec::new() }
    }

    /// Whether `name` belongs to the list.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.which(name).is_some()
    }

    /// The first pattern that `name` belongs to the list by, as it was written.
    #[must_use]
    pub fn which(&self, name: &str) -> Option<&str> {
        let found = self.include.iter().find(|pattern| pattern.matches(name))?;
        (!self.exclude.iter().any(|pattern| pattern.matches(name))).then_some(found.text.as_str())
    }

    /// The patterns as they were written, exclusions last.
    pub fn written(&self) -> impl Iterator<Item = String> {
        let excluded = self.exclude.iter().map(|pattern| format!("!{}", pattern.text));
        self.include.iter().map(|pattern| pattern.text.clone()).chain(excluded)
    }

    /// Nothing can belong to it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.include.is_empty()
    }

    /// Every name that `pattern` matches is known to belong to the list. `false` may also mean that it is not known:
    /// for a union of several patterns, for regular expressions against anything but themselves and `*`, and for all but
    /// literal names where the list has exclusions.
    pub(super) fn cover(&self, pattern: &Pattern) -> bool {
        match pattern.literal() {
            Some(name) => self.matches(&name),
            None => self.exclude.is_empty() && self.include.iter().any(|wide| wide.covers(pattern)),
        }
    }

    /// The list's own exclusions are known to leave nothing of `pattern`.
    pub(super) fn exclude_all_of(&self, pattern: &Pattern) -> bool {
        self.exclude.iter().any(|wide| wide.covers(pattern))
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let include = self.include.iter().map(|pattern| pattern.text.clone());
        let exclude = self.exclude.iter().map(|pattern| format!("!{}", pattern.text));
        f.write_str(&include.chain(exclude).collect::<Vec<_>>().join(", "))
    }
}

/// One pattern, compiled, without the `!`.
#[derive(Clone)]
pub(super) struct Pattern {
    text: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Glob(Vec<Symbol>),
    Regex(Regex),
}

/// A piece of a glob. As [`normal`] leaves them, a run of wildcards has its `One`s first and at most one `Run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbol {
    /// This character.
    Char(char),
    /// `?`
    One,
    /// `*`
    Run,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

/// What is wrong with a pattern, and what to write instead. Repeats nothing of the pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadPattern {
    pub(super) what: String,
    pub(super) instead: &'static str,
}

impl Pattern {
    /// The pattern of `text`, which has no `!` before it any more.
    pub(super) fn new(text: &str) -> Result<Self, BadPattern> {
        let kind = match text.strip_prefix('/') {
            Some(rest) => Kind::Regex(regex(rest)?),
            None => Kind::Glob(glob(text)?),
        };
        Ok(Self { text: text.to_owned(), kind })
    }

    fn matches(&self, name: &str) -> bool {
        match &self.kind {
            Kind::Glob(glob) => covers(glob, name.chars().map(Symbol::Char)),
            Kind::Regex(regex) => regex.is_match(name),
        }
    }

    /// The one name it matches, if it is a name.
    pub(super) fn literal(&self) -> Option<String> {
        let Kind::Glob(glob) = &self.kind else { return None };
        glob.iter().map(|symbol| if let Symbol::Char(c) = symbol { Some(*c) } else { None }).collect()
    }

    /// The characters of a glob that are not wildcards; none for a regular expression.
    pub(super) fn characters(&self) -> impl Iterator<Item = char> {
        let glob = if let Kind::Glob(glob) = &self.kind { glob.as_slice() } else { &[] };
        glob.iter().filter_map(|symbol| if let Symbol::Char(c) = symbol { Some(*c) } else { None })
    }

    /// Every name that `other` matches is known to match this one.
    fn covers(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        match (&self.kind, &other.kind) {
            (Kind::Glob(wide), Kind::Glob(narrow)) => covers(wide, narrow.iter().copied()),
            (Kind::Glob(wide), Kind::Regex(_)) => *wide == [Symbol::Run],
            (Kind::Regex(wide), Kind::Glob(_)) => other.literal().is_some_and(|name| wide.is_match(&name)),
            (Kind::Regex(_), Kind::Regex(_)) => false,
        }
    }
}

fn regex(rest: &str) -> Result<Regex, BadPattern> {
    let wrong = |what: &str, instead| BadPattern { what: what.to_owned(), instead };
    let Some(body) = rest.strip_suffix('/') else {
        return Err(wrong("a regular expression must end with `/`", "write /regex/, or a glob without slashes"));
    };
    if body.is_empty() {
        return Err(wrong(
            "this regular expression is empty",
            "write for example /events_[0-9]+/, or * for everything",
        ));
    }
    let whole = format!("^(?:{body})$");
    let built = RegexBuilder::new(&whole).size_limit(1 << 20).nest_limit(50).build();
    let parsed = Regex::new(body).map(|_| ());
    match (built, parsed) {
        (Ok(regex), Ok(())) => Ok(regex),
        (Err(error), _) | (_, Err(error)) => Err(bad_regex(&error)),
    }
}

/// The library's message without its picture of the pattern, which may hold a secret.
fn bad_regex(error: &regex::Error) -> BadPattern {
    let what = match error {
        regex::Error::CompiledTooBig(_) => "this regular expression is too large".to_owned(),
        other => {
            let text = other.to_string();
            let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("this regular expression is wrong: {why}")
        }
    };
    let instead = "see the syntax of Rust's regex crate: no look-around, no back-references";
    BadPattern { what, instead }
}

fn glob(text: &str) -> Result<Vec<Symbol>, BadPattern> {
    if let Some(odd) = text.chars().find(|c| matches!(c, '[' | ']' | '{' | '}' | '\\')) {
        let what = format!("`{odd}` means nothing in a glob, which has only * and ?");
        let instead = "write several patterns, or a regular expression between slashes: /events_(eu|us)/";
        return Err(BadPattern { what, instead });
    }
    if text.is_empty() {
        return Err(BadPattern {
            what: "this pattern is empty".to_owned(),
            instead: "write a name, or * for everything",
        });
    }
    Ok(normal(text.chars().map(|c| match c {
        '*' => Symbol::Run,
        '?' => Symbol::One,
        other => Symbol::Char(other),
    })))
}

/// `*?*` and `?*` are one pattern: they must be one list of symbols to be compared.
fn normal(symbols: impl Iterator<Item = Symbol>) -> Vec<Symbol> {
    let mut out = Vec::new();
    let mut run = false;
    for symbol in symbols {
        if symbol == Symbol::Run {
            run = true;
            continue;
        }
        if run && matches!(symbol, Symbol::Char(_)) {
            out.push(Symbol::Run);
            run = false;
        }
        out.push(symbol);
    }
    if run {
        out.push(Symbol::Run);
    }
    out
}

/// Every string that `narrow` stands for matches `wide`. Exact for names; for globs `true` is certain and `false` is
/// not (`?*` covers `*a`, which is not seen). The usual search: on a mismatch the last `*` swallows one symbol more.
fn covers(wide: &[Symbol], narrow: impl Iterator<Item = Symbol> + Clone) -> bool {
    let (mut at, mut rest) = (0, narrow);
    let mut back: Option<(usize, _)> = None;
    loop {
        let mut ahead = rest.clone();
        let step = match (wide.get(at), ahead.next()) {
            (None, None) => return true,
            (Some(Symbol::Run), _) => {
                at += 1;
                back = Some((at, rest.clone()));
                continue;
            }
            (Some(Symbol::One), Some(Symbol::Char(_) | Symbol::One)) => true,
            (Some(Symbol::Char(a)), Some(Symbol::Char(b))) => *a == b,
            _ => false,
        };
        if step {
            at += 1;
            rest = ahead;
            continue;
        }
        let Some((after, swallowed)) = &mut back else { return false };
        if swallowed.next().is_none() {
            return false;
        }
        at = *after;
        rest = swallowed.clone();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(list: &[&str]) -> Patterns {
        let mut patterns = Patterns::default();
        for text in list {
            let (bare, excludes) = text.strip_prefix('!').map_or((*text, false), |bare| (bare, true));
            patterns.add(Pattern::new(bare).expect("a pattern"), excludes);
        }
        patterns
    }

    #[test]
    fn what_matches() {
        for (list, name, belongs) in [
            (&["events"][..], "events", true),
            (&["events"], "events2", false),
            (&["events*"], "events", true),
            (&["*events"], "my.events", true),
            (&["a*b*c"], "a1b2b3c", true),
            (&["a*b*c"], "a1b2b3", false),
            (&["a?c"], "abc", true),
            (&["a?c"], "ac", false),
            (&["*?"], "", false),
            (&["/e[0-9]+/"], "e12", true),
            (&["/e[0-9]+/"], "xe12", false),
            (&["/a|bc/"], "bc", true),
            (&["/a|bc/"], "ab", false),
            (&["e*", "!e_dlq"], "e_dlq", false),
            (&["!e_dlq", "e*"], "e_dlq", false),
            (&["e*", "!/.*_dlq/"], "e_x", true),
            (&["!e*"], "x", false),
        ] {
            assert_eq!(patterns(list).matches(name), belongs, "{list:?} {name}");
        }
    }

    #[test]
    fn what_covers() {
        for (list, narrow, covered) in [
            (&["a*"][..], "ab*", true),
            (&["a*"], "a*", true),
            (&["ab*"], "a*", false),
            (&["*"], "/x+/", true),
            (&["a*"], "/a+/", false),
            (&["/a+/"], "/a+/", true),
            (&["/a+/"], "aaa", true),
            (&["/a+/"], "aa*", false),
            (&["*?*"], "?*", true),
            (&["a*", "!ab"], "ac", true),
            (&["a*", "!ab"], "ab", false),
            (&["a*", "!ab"], "ac*", false),
            (&["a*", "b*"], "b?", true),
            (&["*a*"], "*b*a*", true),
            (&["a?"], "a*", false),
        ] {
            assert_eq!(patterns(list).cover(&Pattern::new(narrow).expect("a pattern")), covered, "{list:?} {narrow}");
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        let why = |text: &str| Pattern::new(text).expect_err(text).what;
        assert_eq!(why("/a"), "a regular expression must end with `/`");
        assert_eq!(why("//"), "this regular expression is empty");
        assert_eq!(why("/a(b/"), "this regular expression is wrong: unclosed group");
        assert_eq!(why("/a)(b/"), "this regular expression is wrong: unopened group");
        assert_eq!(why("/(a{1000}){1000}/"), "this regular expression is too large");
        assert_eq!(why("e{a,b}"), "`{` means nothing in a glob, which has only * and ?");
    }

    proptest! {
        /// Soundness: a wrong "covered" would refuse a config that is right.
        #[test]
        fn what_is_covered_matches(wide in "[ab*?]{1,6}", narrow in "[ab*?]{1,6}", name in "[ab]{0,8}") {
            let (wide, narrow) = (Pattern::new(&wide).expect("wide"), Pattern::new(&narrow).expect("narrow"));
            if wide.covers(&narrow) && narrow.matches(&name) {
                prop_assert!(wide.matches(&name));
            }
        }
    }

    proptest! {
        // Each compiles a regular expression.
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]

        #[test]
        fn a_glob_matches_as_its_regex_does(glob in "[ab*?]{1,8}", name in "[ab]{0,10}") {
            let regex = format!("/{}/", glob.replace('*', ".*").replace('?', "."));
            prop_assert_eq!(patterns(&[&glob]).matches(&name), patterns(&[&regex]).matches(&name));
        }
    }
}
