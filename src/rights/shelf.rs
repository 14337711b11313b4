//! Where rules stand by the pattern that they name resources by, so that a question looks at few of them.

use super::words::Pattern;
use std::collections::{BTreeMap, HashMap};

/// The number of a rule.
pub(super) type Number = u32;

/// The rules of one subject about one kind of resource.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    any: Vec<Number>,
    literal: HashMap<Box<str>, Vec<Number>>,
    /// In the order of their texts.
    prefixes: Vec<Prefixed>,
}

/// Rules of one prefix.
#[derive(Debug)]
struct Prefixed {
    prefix: Box<str>,
    rules: Vec<Number>,
    /// The longest of the others that this one begins with.
    within: Option<usize>,
}

impl Shelf {
    /// Of these, in the order of their numbers.
    pub(super) fn new<'p>(patterns: impl Iterator<Item = (&'p Pattern, Number)>) -> Self {
        let mut shelf = Self::default();
        let mut prefixes: BTreeMap<Box<str>, Vec<Number>> = BTreeMap::new();
        for (pattern, number) in patterns {
            match pattern {
                Pattern::Any => shelf.any.push(number),
                Pattern::Literal(name) => shelf.literal.entry(name.clone()).or_default().push(number),
                Pattern::Prefix(prefix) => prefixes.entry(prefix.clone()).or_default().push(number),
            }
        }
        let mut open: Vec<(usize, Box<str>)> = Vec::new();
        for (prefix, rules) in prefixes {
            while open.last().is_some_and(|(_, outer)| !prefix.starts_with(&**outer)) {
                open.pop();
            }
            let within = open.last().map(|(place, _)| *place);
            open.push((shelf.prefixes.len(), prefix.clone()));
            shelf.prefixes.push(Prefixed { prefix, rules, within });
        }
        shelf
    }

    /// The rules that name this resource.
    pub(super) fn of(&self, name: &str) -> impl Iterator<Item = Number> {
        let literal = self.literal.get(name).map_or(&[][..], Vec::as_slice);
        // What the name begins with stands before it, and between the longest such prefix and the name stand only prefixes that
        // begin with that one.
        let last = self.prefixes.partition_point(|one| &*one.prefix <= name).checked_sub(1);
        let chain = std::iter::successors(last.and_then(|at| self.prefixes.get(at)), |one| {
            one.within.and_then(|at| self.prefixes.get(at))
        });
        let begun = chain.filter(move |one| name.starts_with(&*one.prefix)).flat_map(|one| &one.rules);
        self.any.iter().chain(literal).chain(begun).copied()
    }

    /// All rules here, each with its pattern.
    pub(super) fn all(&self) -> impl Iterator<Item = (Found<'_>, Number)> {
        let any = self.any.iter().map(|number| (Found::Any, *number));
        let literal =
            self.literal.iter().flat_map(|(name, rules)| rules.iter().map(|one| (Found::Literal(name), *one)));
        let prefixes =
            self.prefixes.iter().flat_map(|one| one.rules.iter().map(|rule| (Found::Prefix(&one.prefix), *rule)));
        any.chain(literal).chain(prefixes)
    }
}

/// The pattern that a rule stands by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'s> {
    /// Every resource.
    Any,
    /// One.
    Literal(&'s str),
    /// Those that begin so.
    Prefix(&'s str),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn pattern() -> impl Strategy<Value = Pattern> {
        prop_oneof![
            1 => Just(Pattern::Any),
            4 => "[ab]{1,4}".prop_map(|name| Pattern::Literal(name.into())),
            8 => "[abß]{1,4}".prop_map(|prefix| Pattern::Prefix(prefix.into())),
        ]
    }

    proptest! {
        #[test]
        fn the_rules_that_are_found_are_those_whose_pattern_names_it(
            patterns in proptest::collection::vec(pattern(), 0..40),
            name in "[abß]{0,6}",
        ) {
            let shelf = Shelf::new(patterns.iter().zip(0..));
            let found: Vec<_> = shelf.of(&name).collect();
            let unique: BTreeSet<_> = found.iter().copied().collect();
            prop_assert_eq!(unique.len(), found.len());
            let meant = patterns.iter().zip(0..).filter(|(pattern, _)| pattern.names(&name)).map(|(_, number)| number);
            prop_assert_eq!(unique, meant.collect::<BTreeSet<Number>>());
        }
    }
}
