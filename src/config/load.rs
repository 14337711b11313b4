//! From a file, with all that it includes, to a [`Reading`]. Reads files and finds included ones; decides nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::findings::Findings;
use super::patterns::{Pattern, Patterns};
use super::raw::{File, Included, Pipeline};
use super::read::{Reader, Text};
use super::surroundings::{MAX_CONFIG, Surroundings, read, words};
use super::{Reading, check, yaml};

/// Looks an environment variable up.
pub(super) type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The config in the file at `path`.
pub(super) fn file(path: &Path, variable: Variable<'_>) -> Reading {
    let name = path.display().to_string();
    match read(path, MAX_CONFIG) {
        Ok(content) => text(&name, &content, variable),
        Err(why) => {
            let mut findings = Findings::default();
            findings.file_mistake(
                &name,
                format!("cannot be read: {why}"),
                "name a YAML file, such as config/minimal.yaml",
            );
            let directories = BTreeSet::from([directory_of(path)]);
            Reading { config: None, found: findings.finish(), hash: 0, directories }
        }
    }
}

/// The config in `text`, called `name`.
pub(super) fn text(name: &str, text: &str, variable: Variable<'_>) -> Reading {
    let mut findings = Findings::default();
    let surroundings =
        Surroundings { variable, directory: Path::new(name).parent().map_or_else(PathBuf::new, Path::to_owned) };
    let mut reader = Reader { findings: &mut findings, surroundings: &surroundings };
    let raw = raw(name, text, &mut reader);
    let wild = raw.iter().flat_map(|(_, wild)| wild.clone()).collect::<Vec<_>>();
    let config = raw.and_then(|(raw, _)| check::config(&raw, &mut findings));
    let (hash, mut directories) = (findings.hash(), findings.directories());
    directories.extend(wild);
    let found = findings.finish();
    Reading { config: config.filter(|_| found.count().0 == 0), found, hash, directories }
}

/// The file as it is written, the pipelines of included files behind its own; and where such files may be.
fn raw(name: &str, text: &str, reader: &mut Reader<'_>) -> Option<(File, Vec<PathBuf>)> {
    let number = reader.findings.source(name, text.to_owned());
    let before = reader.findings.len();
    let Some(node) = yaml::parse(number, text, reader.findings) else {
        if reader.findings.len() == before {
            reader.findings.file_mistake(name, "is empty", "start from config/minimal.yaml");
        }
        return None;
    };
    let mut file = File::read(&node, reader)?;
    let include = file.include.take().unwrap_or_default();
    let directory = |pattern: &Text| directory_of(&reader.surroundings.directory.join(&pattern.value));
    let directories = include.iter().map(directory).collect();
    let more: Vec<Pipeline> = include.iter().flat_map(|pattern| included(pattern, reader)).collect();
    if !more.is_empty() {
        file.pipelines.get_or_insert_default().extend(more);
    }
    Some((file, directories))
}

/// Where a file is.
pub(super) fn directory_of(path: &Path) -> PathBuf {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// The pipelines of all files that one `include` names, in the order of their names.
fn included(pattern: &Text, reader: &mut Reader<'_>) -> Vec<Pipeline> {
    let paths = match find(&reader.surroundings.directory, pattern) {
        Ok(paths) => paths,
        Err(why) => {
            reader.findings.mistake(pattern.at, why, "name files, with * and ? in the last part only: conf.d/*.yaml");
            return Vec::new();
        }
    };
    if paths.is_empty() {
        reader.findings.warning(pattern.at, format!("no file matches `{pattern}`"), "nothing is included");
    }
    paths.iter().filter_map(|path| one(path, reader)).flatten().collect()
}

fn one(path: &Path, reader: &mut Reader<'_>) -> Option<Vec<Pipeline>> {
    let name = path.display().to_string();
    let text = match read(path, MAX_CONFIG) {
        Ok(text) => text,
        Err(why) => {
            reader.findings.file_mistake(
                &name,
                format!("cannot be read: {why}"),
                "mend it, or take it out of `include`",
            );
            return None;
        }
    };
    let number = reader.findings.source(&name, text.clone());
    // An included file may be empty: a team has no pipeline yet.
    let node = yaml::parse(number, &text, reader.findings)?;
    Included::read(&node, reader)?.pipelines
}

/// The files that an `include` names; a name without wildcards is a file whether it is there or not.
fn find(directory: &Path, pattern: &Text) -> Result<Vec<PathBuf>, String> {
    let path = directory.join(&pattern.value);
    let (Some(parent), Some(last)) = (path.parent(), path.file_name().and_then(|last| last.to_str())) else {
        return Err(format!("`{pattern}` names no file"));
    };
    let wild = |text: &str| text.contains(['*', '?']);
    if Path::new(&pattern.value).parent().and_then(Path::to_str).is_none_or(wild) {
        return Err(format!("`{pattern}` has a wildcard in a directory's name"));
    }
    if !wild(last) {
        return Ok(vec![path]);
    }
    let mut names = Patterns::default();
    names.add(Pattern::new(last).map_err(|bad| bad.what)?, false);
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let entries = fs::read_dir(parent)
        .map_err(|error| format!("the directory of `{pattern}` cannot be read: {}", words(&error)))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| !name.starts_with('.') && names.matches(name)))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    Ok(paths)
}
