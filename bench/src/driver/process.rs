//! Programs that the driver starts: they say a line when they are ready, and end with the driver.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

/// How long a program may take to say that it is ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program; dropping it ends it.
pub(super) struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    /// Starts `program`; what it complains of goes to `log`, or where our own complaints go.
    pub(super) fn start(name: &str, program: &Path, arguments: &[String], log: Option<File>) -> Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.map_or_else(Stdio::inherit, Stdio::from))
            .spawn()
            .with_context(|| format!("starting {name}: {}", program.display()))?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // Goes on reading when nobody wants the lines any more, or the program would stop at a full pipe.
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Ok(Self { name: name.to_owned(), input: child.stdin.take(), child, lines })
    }

    /// Starts a command of this very program.
    pub(super) fn own(arguments: &[String]) -> Result<Self> {
        let name = arguments.first().map_or("bench", String::as_str);
        Self::start(name, &std::env::current_exe()?, arguments, None)
    }

    /// Waits for a line that begins with `start` and returns what follows.
    pub(super) fn line(&mut self, start: &str) -> Result<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => match line.strip_prefix(start) {
                    Some(rest) => return Ok(rest.trim().to_owned()),
                    None => continue,
                },
                Err(_) => match self.child.try_wait()? {
                    Some(status) => bail!("{} ended before it said `{start}`: {status}", self.name),
                    None if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
                    None => bail!("{} did not say `{start}` within {} s", self.name, PATIENCE.as_secs()),
                },
            }
        }
    }

    /// Writes a line to its standard input.
    pub(super) fn say(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().with_context(|| format!("{} takes no input", self.name))?;
        writeln!(input, "{line}").with_context(|| format!("telling {}", self.name))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end and returns its last line.
    pub(super) fn result(mut self) -> Result<String> {
        let last = self.lines.iter().last();
        let status = self.child.wait()?;
        if !status.success() {
            bail!("{}: {status}", self.name);
        }
        last.ok_or_else(|| anyhow!("{} said nothing", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
