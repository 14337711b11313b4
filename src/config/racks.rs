//! Racks (availability zones) as clients say them and as a cluster says them. Every cluster may have names of its own;
//! clients are shown one set of them, so that their `client.rack` means the same everywhere.

use std::sync::Arc;

/// The names that differ, each ours with the cluster's; all others are the same. No two of one side are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Racks(Vec<(Arc<str>, Arc<str>)>);

impl Racks {
    /// The cluster's name of a rack that a client names.
    #[must_use]
    pub fn theirs<'a>(&'a self, ours: &'a str) -> &'a str {
        self.0.iter().find(|(our, _)| **our == *ours).map_or(ours, |(_, their)| their)
    }

    /// What clients are told of a rack that the cluster names.
    #[must_use]
    pub fn ours<'a>(&'a self, theirs: &'a str) -> &'a str {
        self.0.iter().find(|(_, their)| **their == *theirs).map_or(theirs, |(our, _)| our)
    }

    /// The names that differ: ours, the cluster's.
    pub fn written(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(ours, theirs)| (&**ours, &**theirs))
    }
}

impl FromIterator<(Arc<str>, Arc<str>)> for Racks {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Arc<str>)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_are_turned_both_ways_and_others_stay() {
        let racks: Racks = [("eu-1a".into(), "euw1-az2".into())].into_iter().collect();
        assert_eq!((racks.theirs("eu-1a"), racks.ours("euw1-az2")), ("euw1-az2", "eu-1a"));
        assert_eq!((racks.theirs("eu-1b"), racks.ours("eu-1b"), racks.theirs("")), ("eu-1b", "eu-1b", ""));
    }
}
