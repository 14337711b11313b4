//! The header contract, compiled, and what breaks it. A violation names the record, the header and the rule; the value is
//! told nowhere.

use super::kinds::HeaderType;
use super::names::{Found, Name, Names};
use std::fmt;

/// What a pipeline's records must have.
#[derive(Clone, Debug, Default)]
pub struct Contract {
    /// In the config's order: the first that a record breaks is told.
    pub rules: Vec<Rule>,
    /// Whether a header that no rule names breaks it.
    pub unknown_breaks: bool,
}

/// What one header must be.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Which.
    pub header: Name,
    /// Whether it must be there, and not null.
    pub required: bool,
    /// What its value must be, where it is there.
    pub kind: Option<HeaderType>,
    /// How long its value may be.
    pub max_bytes: Option<usize>,
}

/// A rule that a record broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    /// A required header is absent or null.
    Missing,
    /// A value is longer than so many bytes.
    TooLong(usize),
    /// A value is not of the rule's type; which, is the rule's to tell.
    Kind,
    /// A header that no rule names.
    Unknown,
}

/// What a record breaks: the first rule, by its place in the contract; none for an unknown header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Breach {
    /// Which of [`Contract::rules`].
    pub rule: Option<usize>,
    /// How.
    pub broken: Broken,
}

/// A breach with all that may be told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The record's place in its batch, from 0.
    pub record: usize,
    /// The header's name, cut and made printable: of an unknown header it is the client's.
    pub header: String,
    /// What it had to be.
    pub rule: String,
}

/// More of an unknown header's name than this is nobody's to read.
const NAME_SHOWN: usize = 64;

impl Contract {
    /// The first rule that a record breaks.
    #[inline]
    #[must_use]
    pub fn breach(&self, found: &Found<'_>) -> Option<Breach> {
        let broken = self.rules.iter().enumerate().find_map(|(rule, asked)| Some((rule, asked.broken(found)?)));
        match broken {
            Some((rule, broken)) => Some(Breach { rule: Some(rule), broken }),
            None if self.unknown_breaks && found.unknown.is_some() => {
                Some(Breach { rule: None, broken: Broken::Unknown })
            }
            None => None,
        }
    }

    /// A breach, in words. `unknown` is the header that no rule names.
    #[must_use]
    pub fn violation(&self, record: usize, breach: Breach, unknown: Option<&[u8]>, names: &Names) -> Violation {
        let rule = breach.rule.and_then(|rule| self.rules.get(rule));
        let header = rule.map_or(unknown.unwrap_or_default(), |rule| names.text(rule.header));
        let rule = match (breach.broken, rule.and_then(|rule| rule.kind.as_ref())) {
            (Broken::Missing, _) => "it is required".to_owned(),
            (Broken::TooLong(most), _) => format!("at most {most} bytes"),
            (Broken::Kind, Some(kind)) => format!("type {kind}"),
            (Broken::Kind, None) => "its type".to_owned(),
            (Broken::Unknown, _) => "no header but those of the contract".to_owned(),
        };
        Violation { record, header: shown(header), rule }
    }
}

fn shown(name: &[u8]) -> String {
    let text = name.get(..NAME_SHOWN).unwrap_or(name).escape_ascii().to_string();
    if name.len() > NAME_SHOWN { text + "..." } else { text }
}

impl Rule {
    fn broken(&self, found: &Found<'_>) -> Option<Broken> {
        let Some(value) = found.value(self.header) else { return self.required.then_some(Broken::Missing) };
        if let Some(most) = self.max_bytes.filter(|most| value.len() > *most) {
            return Some(Broken::TooLong(most));
        }
        self.kind.as_ref().is_some_and(|kind| !kind.is(value)).then_some(Broken::Kind)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "header \"{}\" breaks the contract: {}", self.header, self.rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{Made, walk};

    /// PostHog's, in short.
    fn contract() -> (Contract, Names) {
        let mut names = Names::default();
        let mut rule = |name: &str, required, kind, max_bytes| Rule {
            header: names.ask(name.as_bytes()).unwrap(),
            required,
            kind,
            max_bytes,
        };
        let rules = vec![
            rule("token", true, Some(HeaderType::Utf8), Some(8)),
            rule("timestamp", false, Some(HeaderType::EpochMs), None),
            rule("any", false, None, None),
        ];
        (Contract { rules, unknown_breaks: true }, names)
    }

    fn told(headers: &[(&str, Option<&str>)]) -> Option<String> {
        let (contract, names) = contract();
        let section = Made { headers, ..Made::default() }.section();
        let mut found = Found::default();
        names.find(&walk(&section, 1)[0], &mut found).unwrap();
        let breach = contract.breach(&found)?;
        Some(contract.violation(3, breach, found.unknown, &names).to_string())
    }

    #[test]
    fn a_record_that_keeps_to_it_passes() {
        assert_eq!(told(&[("token", Some("phc_a"))]), None);
        assert_eq!(told(&[("timestamp", None), ("token", Some("12345678")), ("any", Some("1"))]), None);
        assert_eq!(told(&[("token", None), ("token", Some("x"))]), None, "the last counts");
    }

    #[test]
    fn the_first_rule_that_is_broken_is_told_without_the_value() {
        let missing = Some("header \"token\" breaks the contract: it is required".to_owned());
        assert_eq!(told(&[]), missing);
        assert_eq!(told(&[("token", None), ("timestamp", Some("bad"))]), missing);
        assert_eq!(told(&[("token", Some("x")), ("token", None)]), missing);
        let long = Some("header \"token\" breaks the contract: at most 8 bytes".to_owned());
        assert_eq!(told(&[("token", Some("123456789"))]), long);
        let kind = Some("header \"timestamp\" breaks the contract: type epoch_ms".to_owned());
        assert_eq!(told(&[("token", Some("x")), ("timestamp", Some("secret"))]), kind);
    }

    #[test]
    fn an_unknown_header_is_told_by_a_name_that_can_be_printed() {
        let name = "x\n\"".repeat(40);
        let told = told(&[("token", Some("x")), (&name, Some("1"))]).unwrap();
        assert!(told.starts_with("header \"x\\n"), "{told}");
        assert!(told.ends_with("...\" breaks the contract: no header but those of the contract"), "{told}");
        assert!(!told.contains('\n') && told.len() < 400);
    }
}
