//! What Fishplate logged, and which of it nobody expected.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Everything that a process wrote on stderr, in a file and here; grows while the process lives, over restarts.
#[derive(Clone)]
pub struct Log {
    file: PathBuf,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    lines: Vec<String>,
    allowed: Vec<String>,
    judged: usize,
}

/// Lines that a test should have no reason to see.
pub struct Unexpected(Vec<String>);

impl Log {
    /// Writes to `file` what `follow` reads.
    pub fn new(file: PathBuf) -> Self {
        let log = Self { file, inner: Arc::default() };
        // Who plays on bare Kafka may leave topics on cluster a that are named as if they lived on b.
        log.allow("topics are kept from clients: their records are on another cluster and none at home");
        log.allow("topics have records on two clusters; clients see those at home only");
        // It waits a second for those that are not the first to answer, and cores may be busier than that. Who needs them waits
        // (`Proxy::wait_ready`), and fails where they never come.
        log.allow("starting without this cluster, which has not answered yet");
        log
    }

    /// Where it is on disk.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Reads a process's stderr to its end, on a thread.
    pub fn follow(&self, stderr: impl Read + Send + 'static) -> anyhow::Result<()> {
        let mut file = File::options().create(true).append(true).open(&self.file)?;
        let log = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                // The copy on disk is for people; without it the test still judges right.
                let _ = writeln!(file, "{line}");
                log.inner().lines.push(line);
            }
        });
        Ok(())
    }

    /// Warnings and errors that hold this text are expected from now on.
    pub fn allow(&self, text: &str) {
        self.inner().allowed.push(text.to_owned());
    }

    /// Warnings, errors and panics that were not judged before and that nobody allowed.
    pub fn unexpected(&self) -> Unexpected {
        let mut inner = self.inner();
        let new = inner.lines.get(inner.judged..).unwrap_or_default();
        let allowed = |line: &String| inner.allowed.iter().any(|text| line.contains(text));
        let found = new.iter().filter(|line| is_panic(line) || is_bad(line) && !allowed(line)).cloned().collect();
        inner.judged = inner.lines.len();
        Unexpected(found)
    }

    /// The lines that hold this text.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        self.inner().lines.iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// The last lines, for a message.
    pub fn tail(&self, count: usize) -> String {
        let inner = self.inner();
        inner.lines[inner.lines.len().saturating_sub(count)..].join("\n")
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_panic(line: &str) -> bool {
    line.contains("panicked at")
}

/// A line of ours has a level; one that has none is somebody's cry (an abort, a sanitizer).
fn is_bad(line: &str) -> bool {
    match serde_json::from_str::<serde_json::Value>(line) {
        Ok(line) => matches!(line["level"].as_str(), Some("WARN" | "ERROR") | None),
        Err(_) => !line.trim().is_empty(),
    }
}

impl Unexpected {
    /// Panics with the lines if there are any.
    #[track_caller]
    pub fn must_be_none(&self) {
        assert!(self.0.is_empty(), "Fishplate logged what this test does not expect:\n{self}");
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        self.0.iter().take(SHOWN).try_for_each(|line| writeln!(f, "  {line}"))?;
        if self.0.len() > SHOWN { writeln!(f, "  and {} more", self.0.len() - SHOWN) } else { Ok(()) }
    }
}
