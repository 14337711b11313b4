//! Who a client is by the name in its certificate: Kafka's `ssl.principal.mapping.rules`, with what its brokers make of them.
//! The first rule that matches the whole name makes the principal of it. Knows names as text only (RFC 2253). Pure.

use std::fmt;
use std::sync::Arc;

use regex::Regex;

use super::patterns_of_java as java;

/// Rules, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalMapping(Arc<[Rule]>);

/// Kafka's own default: the name as it is.
impl Default for PrincipalMapping {
    fn default() -> Self {
        Self(Arc::new([Rule::Default]))
    }
}

/// One rule.
#[derive(Clone)]
enum Rule {
    /// The name as it is.
    Default,
    /// What a pattern makes of it.
    Rewrite { written: Arc<str>, whole: Regex, part: Regex, with: Vec<Piece>, case: Case },
}

/// A piece of what a match is replaced with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
}

/// What becomes of the letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Kept,
    Lower,
    Upper,
}

impl PrincipalMapping {
    /// The rules of texts, each of one rule or of several with commas between, as Kafka's property has them.
    ///
    /// # Errors
    /// What is wrong with the text of that number, and what to write.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, (usize, BadRule)> {
        let mut rules = Vec::new();
        for (number, text) in texts.into_iter().enumerate() {
            let mut rest = text.trim();
            while !rest.is_empty() {
                let (rule, behind) = Rule::read(rest).map_err(|bad| (number, bad))?;
                rules.extend(rule);
                rest = behind;
            }
        }
        Ok(Self(rules.into()))
    }

    /// Who has the certificate of this name; `None` where no rule matches it: such a client is turned away.
    #[must_use]
    pub fn principal(&self, name: &str) -> Option<String> {
        self.0.iter().find_map(|rule| rule.apply(name))
    }

    /// The rules as they are written.
    pub fn written(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Rule::written)
    }

    /// There is none: nobody would be let in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRule {
    /// What is wrong.
    pub what: String,
    /// What to write.
    pub instead: String,
}

impl BadRule {
    fn new(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { what: what.into(), instead: instead.into() }
    }

    fn no_rule(text: &str) -> Self {
        Self::new(format!("`{text}` is no rule"), "write DEFAULT, or for example \"RULE:^CN=(.*?),.*$/$1/L\"")
    }
}

impl Rule {
    const DEFAULT: &'static str = "DEFAULT";

    /// The rule that a text begins with, if it is not empty, and what is behind its comma.
    fn read(text: &str) -> Result<(Option<Self>, &str), BadRule> {
        if let Some(rest) = text.strip_prefix("RULE:") {
            let slash = || {
                BadRule::new(
                    format!("`{text}` lacks a slash"),
                    "write RULE:pattern/replacement/, and `\\/` for a slash inside",
                )
            };
            let (pattern, rest) = until_slash(rest).ok_or_else(slash)?;
            let (replacement, rest) = until_slash(rest).ok_or_else(slash)?;
            let (case, rest) = match rest.chars().next() {
                Some('L') => (Case::Lower, rest.get(1..).unwrap_or_default()),
                Some('U') => (Case::Upper, rest.get(1..).unwrap_or_default()),
                _ => (Case::Kept, rest),
            };
            let written = text.get(..text.len() - rest.len()).unwrap_or(text);
            return Ok((Some(Self::rewrite(written, pattern, replacement, case)?), behind(rest)?));
        }
        match text.strip_prefix(Self::DEFAULT) {
            Some(rest) => Ok((Some(Self::Default), behind(rest)?)),
            None => Ok((None, behind(text)?)),
        }
    }

    fn rewrite(written: &str, pattern: &str, replacement: &str, case: Case) -> Result<Self, BadRule> {
        let (whole, part) = java::compile(pattern).map_err(|why| {
            let what = format!("`{pattern}` is no pattern: {why}");
            BadRule::new(what, "write a regular expression without look-around and back references")
        })?;
        let with = pieces(replacement, &part).map_err(|why| {
            BadRule::new(
                format!("`{replacement}` cannot replace anything: {why}"),
                "write $1 for the first group of the pattern",
            )
        })?;
        Ok(Self::Rewrite { written: written.into(), whole, part, with, case })
    }

    fn apply(&self, name: &str) -> Option<String> {
        let Self::Rewrite { whole, part, with, case, .. } = self else { return Some(name.to_owned()) };
        whole.is_match(name).then(|| {
            let made = replace_all(part, name, with);
            match case {
                Case::Kept => made,
                Case::Lower => made.to_lowercase(),
                Case::Upper => made.to_uppercase(),
            }
        })
    }

    fn written(&self) -> &str {
        match self {
            Self::Default => Self::DEFAULT,
            Self::Rewrite { written, .. } => written,
        }
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.written() == other.written()
    }
}

impl Eq for Rule {}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.written())
    }
}

/// What stands before the first slash that no backslash is before, and what behind.
fn until_slash(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let end = text.find(|c| match c {
        _ if escaped => {
            escaped = false;
            false
        }
        '\\' => {
            escaped = true;
            false
        }
        other => other == '/',
    })?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

/// What is behind the comma that ends a rule.
fn behind(rest: &str) -> Result<&str, BadRule> {
    let rest = rest.trim_start();
    match rest.strip_prefix(',') {
        Some(more) => Ok(more.trim_start()),
        None if rest.is_empty() => Ok(rest),
        None => Err(BadRule::no_rule(rest)),
    }
}

/// A replacement as Java reads it: `$1`, `${name}`, and a backslash before what means itself. A number greater than there are
/// groups is cut until it names one, and is plain text if none is left (Kafka).
fn pieces(replacement: &str, pattern: &Regex) -> Result<Vec<Piece>, String> {
    let groups = pattern.captures_len() - 1;
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = replacement.chars().peekable();
    while let Some(c) = rest.next() {
        let group = match c {
            '\\' => {
                text.extend(rest.next());
                continue;
            }
            '$' => match rest.peek().copied() {
                Some('0'..='9') => match number(&mut rest, groups)? {
                    Some(group) => group,
                    None => {
                        text.push('$');
                        continue;
                    }
                },
                Some('{') => named(&mut rest, pattern)?,
                _ => return Err("`$` needs the number of a group, or a backslash before it".to_owned()),
            },
            plain => {
                text.push(plain);
                continue;
            }
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(Piece::Group(group));
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// As many digits as name a group; `None` where not even the first does, so that all are text.
fn number(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, groups: usize) -> Result<Option<usize>, String> {
    let digit = |c: &char| c.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
    let Some(mut group) = rest.peek().and_then(digit) else { return Ok(None) };
    if group > groups {
        let none = format!("the pattern has no group {group}");
        return if groups == 0 { Err(none) } else { Ok(None) };
    }
    let _first = rest.next();
    while let Some(more) = rest.peek().and_then(digit).map(|digit| group * 10 + digit).filter(|more| *more <= groups) {
        group = more;
        let _digit = rest.next();
    }
    Ok(Some(group))
}

fn named(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, pattern: &Regex) -> Result<usize, String> {
    let name: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
    let group = pattern.capture_names().position(|one| one == Some(name.as_str()));
    group.ok_or_else(|| format!("the pattern has no group `{name}`"))
}

/// As Java's `replaceAll`, which also replaces what is empty behind a match: `.*` makes two of everything.
fn replace_all(pattern: &Regex, name: &str, with: &[Piece]) -> String {
    let (mut made, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(found) = (at <= name.len()).then(|| pattern.captures_at(name, at)).flatten() {
        let Some(whole) = found.get(0) else { break };
        made.push_str(name.get(copied..whole.start()).unwrap_or_default());
        for piece in with {
            match piece {
                Piece::Text(text) => made.push_str(text),
                Piece::Group(group) => made.push_str(found.get(*group).map_or("", |group| group.as_str())),
            }
        }
        copied = whole.end();
        let next = name.get(copied..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
        at = if whole.is_empty() { copied + next } else { copied };
    }
    made.push_str(name.get(copied..).unwrap_or_default());
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(rules: &str, name: &str) -> Option<String> {
        PrincipalMapping::parse([rules]).expect(rules).principal(name)
    }

    /// Kafka's own cases (SslPrincipalMapperTest).
    #[test]
    fn names_are_mapped_as_kafka_maps_them() {
        let rules = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L, RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L, \
                     RULE:^cn=(.*?),ou=(.*?),dc=(.*?),dc=(.*?)$/$1@$2/U, RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/U, DEFAULT";
        for (name, is) in [
            ("CN=Duke,OU=ServiceUsers,O=Org,C=US", "duke"),
            ("CN=Duke,OU=SME,O=mycp,L=Fulton,ST=MD,C=US", "duke@sme"),
            ("cn=duke,ou=sme,dc=mycp,dc=com", "DUKE@SME"),
            ("cN=duke,OU=JavaSoft,O=Sun Microsystems", "DUKE"),
            ("OU=JavaSoft,O=Sun Microsystems,C=US", "OU=JavaSoft,O=Sun Microsystems,C=US"),
        ] {
            assert_eq!(principal(rules, name).as_deref(), Some(is), "{name}");
        }
        assert_eq!(principal("RULE:^CN=(.*?),.*$/$1/", "OU=x"), None, "and no rule, no principal");
    }

    #[test]
    fn replacements_are_javas() {
        for (rules, name, is) in [
            ("RULE:^CN=([^,ABC]+)(,.*|$)/$1/", "CN=test,OU=x", "test"),
            // A number that is none is cut, or text.
            ("RULE:(.)(.)/$12/", "ab", "a2"),
            ("RULE:(.)(.)/$3-$1/", "ab", "$3-a"),
            ("RULE:(.)(.)/$34/", "ab", "$34"),
            ("RULE:(.)(.)/$0/", "ab", "ab"),
            ("RULE:(?<first>.)./${first}/", "ab", "a"),
            (r"RULE:(.)./\$1\/\\/", "ab", r"$1/\"),
            // A group that took no part is nothing.
            ("RULE:(a)|(b)/x$2/", "a", "x"),
            // Java finds the empty end once more.
            ("RULE:.*/x/", "ab", "xx"),
            ("RULE:^.*$/x/", "ab", "x"),
            (r"RULE:CN=a\/b/x/", "CN=a/b", "x"),
            // It matches the whole name, and yet replaces what it finds.
            ("RULE:a|ab/x/", "ab", "xb"),
            (r"RULE:\w+/x/", "ab", "x"),
            ("RULE:É*/e/L", "ÉÉ", "ee"),
        ] {
            assert_eq!(principal(rules, name).as_deref(), Some(is), "{rules}");
        }
        assert_eq!(principal(r"RULE:^\d+$/x/", "٣"), None, "a digit is one of ASCII in Java");
        assert_eq!(principal(r"RULE:^\w+$/x/", "é"), None);
        assert_eq!(principal(r"RULE:^[\w ]+$/x/", "a b").as_deref(), Some("x"));
        assert_eq!(principal(r"RULE:^[^\d]+$/x/", "ab").as_deref(), Some("x"));
    }

    #[test]
    fn what_is_no_rule_says_why() {
        for (rule, why) in [
            ("RULE:^CN=(.*?),.*$/$1", "lacks a slash"),
            ("RULE:^CN=(.*?),.*$", "lacks a slash"),
            ("DEFAULT/L", "`/L` is no rule"),
            ("DEFAULTS", "`S` is no rule"),
            ("default", "`default` is no rule"),
            ("RULE:a/b/LU", "`U` is no rule"),
            ("RULE:a/b/X", "`X` is no rule"),
            ("RULE:a(/b/", "is no pattern"),
            ("RULE:(?=a)/b/", "is no pattern"),
            ("RULE:a/$1/", "no group 1"),
            ("RULE:(a)/$/", "needs the number"),
            ("RULE:(a)/${b}/", "no group `b`"),
        ] {
            let (number, bad) = PrincipalMapping::parse(["DEFAULT", rule]).expect_err(rule);
            assert!(number == 1 && bad.what.contains(why), "{rule}: {}", bad.what);
        }
    }

    #[test]
    fn several_rules_may_stand_in_one_text_and_none_in_another() {
        let rules = PrincipalMapping::parse([" RULE:a/b/L ,, DEFAULT ", "RULE:c,d/e/,DEFAULT"]).expect("rules");
        assert_eq!(rules.written().collect::<Vec<_>>(), ["RULE:a/b/L", "DEFAULT", "RULE:c,d/e/", "DEFAULT"]);
        assert!(PrincipalMapping::parse([", "]).expect("none").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn no_rule_and_no_name_panics(rule in r"RULE:[a.*()$?\\|\[\]^]{0,8}/[$0-9{}a\\]{0,6}/[LU]?", name in "[aé,=]{0,6}") {
            if let Ok(rules) = PrincipalMapping::parse([rule.as_str()]) {
                let _ = rules.principal(&name);
            }
        }
    }
}
