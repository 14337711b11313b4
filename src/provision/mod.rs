//! What a config's pipelines bring along for Prometheus and Grafana: rules with tests of them, dashboards, and a runbook page
//! for each alert. A config in, files out, the same every time; who writes them is elsewhere.

mod alerts;
mod burn;
mod cases;
mod changes;
mod dashboards;
mod levels;
mod panels;
mod process;
mod rules;
mod runbooks;
mod standing;
mod trials;
mod words;

#[cfg(test)]
mod tests;

pub use changes::{Change, What, changes};

use crate::config::Config;

/// Stands at the beginning of every file, so that what we made can be told from what people wrote.
pub const MARK: &str = "Made by `fishplate provision`: changes are lost. Change the config instead.";

/// The folders that files are in.
pub const FOLDERS: [&str; 4] = ["rules", "tests", "dashboards", "runbooks"];

/// A file to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// From the output folder, with slashes.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl File {
    fn new(folder: &str, name: &str, text: String) -> Self {
        Self { path: format!("{folder}/{name}"), text }
    }
}

/// Whether a file's text says that we made it.
#[must_use]
pub fn is_ours(text: &str) -> bool {
    const WITHIN: usize = 4;
    text.lines().take(WITHIN).any(|line| line.contains(MARK))
}

/// All files of a config. `runbooks` is where the pages will be found: what stands before `/NAME.md`.
#[must_use]
pub fn files(config: &Config, runbooks: &str) -> Vec<File> {
    let books: Vec<_> =
        std::iter::once(process::book(config)).chain(config.pipelines.iter().map(standing::book)).collect();
    let mut files = Vec::new();
    for book in &books {
        files.push(File::new("rules", &format!("{}.yml", book.name), rules::text(book, runbooks)));
        files.push(File::new("tests", &format!("{}.yml", book.name), trials::text(book)));
    }
    files.push(File::new("dashboards", "fishplate.json", dashboards::overview(config)));
    files.extend(config.pipelines.iter().map(|pipeline| {
        File::new("dashboards", &format!("pipeline-{}.json", pipeline.name), dashboards::of(pipeline, config))
    }));
    let alerts: Vec<_> = books.iter().flat_map(|book| &book.alerts).collect();
    files.extend(
        runbooks::pages(&alerts).into_iter().map(|(name, text)| File::new("runbooks", &format!("{name}.md"), text)),
    );
    files
}
