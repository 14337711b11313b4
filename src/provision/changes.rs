//! What must be done to a folder so that it has these files and no others of ours.

use super::{File, is_ours};
use std::collections::BTreeMap;

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is not there.
    Added,
    /// It says something else.
    Changed,
    /// Nothing in the config asks for it any more.
    Gone,
    /// Somebody else wrote it, so that it is not touched.
    Foreign,
}

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What becomes of it.
    pub what: What,
    /// From the output folder.
    pub path: String,
}

/// Between what is `there` (by path) and what is `wanted`, by path.
#[must_use]
pub fn changes(wanted: &[File], there: &BTreeMap<String, String>) -> Vec<Change> {
    let differs = |file: &File| match there.get(&file.path) {
        None => Some(What::Added),
        Some(text) if *text == file.text => None,
        Some(text) if is_ours(text) => Some(What::Changed),
        Some(_) => Some(What::Foreign),
    };
    let of_wanted = wanted.iter().filter_map(|file| Some(Change { what: differs(file)?, path: file.path.clone() }));
    let is_gone = |path: &String, text: &str| is_ours(text) && wanted.iter().all(|file| file.path != *path);
    let gone = there.iter().filter(|(path, text)| is_gone(path, text));
    let gone = gone.map(|(path, _)| Change { what: What::Gone, path: path.clone() });
    let mut all: Vec<_> = of_wanted.chain(gone).collect();
    all.sort_by(|one, other| one.path.cmp(&other.path));
    all
}

#[cfg(test)]
mod tests {
    use super::super::MARK;
    use super::*;

    #[test]
    fn only_our_own_files_are_changed_and_removed() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: format!("# {MARK}\n{text}") };
        let wanted = [file("a", "1"), file("b", "2"), file("c", "3"), file("d", "4")];
        let there = [
            ("a", wanted[0].text.clone()),
            ("b", file("b", "old").text),
            ("c", "by hand".to_owned()),
            ("gone", file("gone", "").text),
            ("notes", "by hand".to_owned()),
        ];
        let there = there.map(|(path, text)| (path.to_owned(), text)).into();
        let found: Vec<_> = changes(&wanted, &there).into_iter().map(|one| (one.path, one.what)).collect();
        let expected = [("b", What::Changed), ("c", What::Foreign), ("d", What::Added), ("gone", What::Gone)];
        assert_eq!(found, expected.map(|(path, what)| (path.to_owned(), what)));
    }
}
