//! `fishplate provision`: puts what a config's pipelines bring along into a folder, or says what there is old.

use super::{FileArgs, Verdict, complain, load, say};
use anyhow::Context;
use clap::Args;
use fishplate::provision::{Change, FOLDERS, File, What, changes, files};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct ProvisionArgs {
    #[command(flatten)]
    file: FileArgs,
    /// The folder: rules, tests, dashboards and runbooks go into folders of it
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write nothing; say which files differ
    #[arg(long)]
    check: bool,
    /// Where the runbooks will be found: alerts' `runbook_url` is this, a slash and a page's name
    #[arg(long, value_name = "URL", default_value = "runbooks")]
    runbooks: String,
}

pub(super) fn provision(args: &ProvisionArgs) -> anyhow::Result<Verdict> {
    let Some(config) = load(&args.file) else { return Ok(Verdict::Found) };
    let wanted = files(&config, &args.runbooks);
    let changes = changes(&wanted, &there(&args.out)?);
    let foreign: Vec<_> = changes.iter().filter(|change| change.what == What::Foreign).collect();
    for change in &foreign {
        let path = args.out.join(&change.path);
        complain(&format!("{} is not ours, and in the way: move it elsewhere\n", path.display()));
    }
    if args.check {
        for change in changes.iter().filter(|change| change.what != What::Foreign) {
            say(&format!("{} {}\n", word(change.what), args.out.join(&change.path).display()))?;
        }
        return Ok(if changes.is_empty() { Verdict::Fine } else { Verdict::Found });
    }
    if !foreign.is_empty() {
        return Ok(Verdict::Found);
    }
    for change in &changes {
        apply(change, &wanted, &args.out)?;
    }
    say(&format!("{} files, {} written, {} removed\n", wanted.len(), count(&changes, false), count(&changes, true)))
}

fn word(what: What) -> &'static str {
    match what {
        What::Added => "missing",
        What::Changed => "differs",
        What::Gone => "not asked for",
        What::Foreign => "not ours",
    }
}

fn count(changes: &[Change], gone: bool) -> usize {
    changes.iter().filter(|change| (change.what == What::Gone) == gone).count()
}

/// What is in the folders, by path; what is no text cannot be ours, and is empty here.
fn there(out: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut there = BTreeMap::new();
    for folder in FOLDERS {
        let path = out.join(folder);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            other => other.with_context(|| format!("cannot read the folder {}", path.display()))?,
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read the folder {}", path.display()))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if entry.path().is_file() {
                let content =
                    fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
                there.insert(format!("{folder}/{name}"), String::from_utf8(content).unwrap_or_default());
            }
        }
    }
    Ok(there)
}

fn apply(change: &Change, wanted: &[File], out: &Path) -> anyhow::Result<()> {
    let path = out.join(&change.path);
    let Some(file) = wanted.iter().find(|file| file.path == change.path) else {
        return fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()));
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    fs::write(&path, &file.text).with_context(|| format!("cannot write {}", path.display()))
}
