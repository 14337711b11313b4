//! The rooms of `src/` stand in an order, and each imports only from those to its left (ARCHITECTURE.md, "Rooms").
//! Rooms that only decide spawn nothing and touch no socket outside their `task.rs` and `task/`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Left to right; rooms of one step do not know each other.
const STEPS: &[&[&str]] = &[
    &["types"],
    &["error"],
    &["rights"],
    &["telemetry", "wire", "config"],
    &["security"],
    &["upstream"],
    &["control"],
    &["placement", "policy", "provision"],
    &["api", "mirror"],
    &["session", "lag", "migration"],
    &["admin"],
    &["app"],
    &["demo"],
    &["main", "cli", "lib"],
];

/// Rooms whose files, `task.rs` and `task/` apart, decide and do nothing.
const PURE: &[&str] = &["api", "placement", "control", "policy", "mirror", "lag", "migration", "provision", "rights"];

/// Words of doing.
const DOING: &[&str] = &["tokio::spawn", "tokio::net", "std::net::Tcp", "std::fs", ".await"];

fn step_of(room: &str) -> Option<usize> {
    STEPS.iter().position(|step| step.contains(&room))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
    files
}

fn room_of(file: &Path, src: &Path) -> String {
    let first = file.strip_prefix(src).unwrap().components().next().unwrap();
    Path::new(first.as_os_str()).file_stem().unwrap().to_string_lossy().into_owned()
}

/// Every `crate::room` (and, in the program, `fishplate::room`) that a text names, but in comments.
fn named_rooms(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut rooms = BTreeSet::new();
    for line in code {
        for mark in ["crate::", "fishplate::"] {
            for (at, _) in line.match_indices(mark) {
                let rest = &line[at + mark.len()..];
                rooms.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            }
        }
    }
    rooms
}

#[test]
fn every_room_imports_only_from_its_left() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in sources(&src) {
        let room = room_of(&file, &src);
        let here = step_of(&room).unwrap_or_else(|| panic!("{} is in no room of ARCHITECTURE.md", file.display()));
        for named in named_rooms(&fs::read_to_string(&file).unwrap()) {
            let Some(there) = step_of(&named) else { continue };
            if named != room && there >= here {
                wrong.push(format!("{} ({room}) imports {named}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports to the right:\n{}", wrong.join("\n"));
}

#[test]
fn rooms_that_decide_do_nothing() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let is_task = |file: &PathBuf| file.iter().any(|part| part == "task.rs" || part == "task");
    for file in sources(&src).into_iter().filter(|file| !is_task(file)) {
        if !PURE.contains(&room_of(&file, &src).as_str()) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let doing = DOING.iter().filter(|word| text.contains(**word));
        wrong.extend(doing.map(|word| format!("{} has {word}", file.display())));
    }
    assert!(wrong.is_empty(), "pure rooms that do something:\n{}", wrong.join("\n"));
}

/// kafka-protocol's decoders believe what they read: `wire/codec.rs` calls them when the shape check has passed.
#[test]
fn nobody_decodes_past_the_shape_check() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let may = [src.join("wire/codec.rs"), src.join("wire/shape/mod.rs")];
    let mut wrong = Vec::new();
    for file in sources(&src).into_iter().filter(|file| !may.contains(file) && !file.to_string_lossy().contains("test"))
    {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        if code.contains("Decodable") || code.contains("_header_from_buffer") || code.contains("RecordBatchDecoder") {
            wrong.push(file.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "these decode by themselves: {wrong:?}");
}
