//! The built binary, run as a user runs it.

use super::config::{Config, View};
use super::log::Log;
use super::metrics::page;
use super::process::{Process, command};
use super::{Bootstrap, wait};
use anyhow::Context;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const TO_LISTEN: Duration = wait::seconds(30);

/// A running Fishplate; killed when dropped.
pub struct Proxy {
    config_file: PathBuf,
    views: Vec<View>,
    log: Log,
    variables: Vec<(String, String)>,
    running: Mutex<Option<Running>>,
}

struct Running {
    process: Process,
    listeners: Vec<String>,
    admin: String,
}

/// No two of a run share their files.
fn next_number() -> u32 {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

impl Proxy {
    /// Writes the config and its log into `directory` and returns when it listens.
    pub fn start(config: &Config, directory: &Path) -> anyhow::Result<Self> {
        let number = next_number();
        let config_file = directory.join(format!("fishplate-{number}.yaml"));
        fs::write(&config_file, config.yaml())?;
        Self::numbered(number, &config_file, config.views(), directory, &[])
    }

    /// The same with a config file that is there already, under any name, whose listeners show these views.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn of_file(config_file: &Path, views: Vec<View>, directory: &Path) -> anyhow::Result<Self> {
        Self::numbered(next_number(), config_file, views, directory, &[])
    }

    /// The same with these variables of the environment.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn with_variables(
        config_file: &Path,
        views: Vec<View>,
        directory: &Path,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        Self::numbered(next_number(), config_file, views, directory, variables)
    }

    fn numbered(
        number: u32,
        config_file: &Path,
        views: Vec<View>,
        directory: &Path,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let log = Log::new(directory.join(format!("fishplate-{number}.log")));
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let proxy = Self { config_file: config_file.to_owned(), views, log, variables, running: Mutex::new(None) };
        proxy.run()?;
        Ok(proxy)
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        self.with(|running| running.process.signal("HUP"));
    }

    /// Its first listener.
    pub fn bootstrap(&self) -> Bootstrap {
        Bootstrap { name: "fishplate".into(), servers: self.with(|running| running.listeners[0].clone()) }
    }

    /// Its first listener that shows this.
    #[track_caller]
    pub fn bootstrap_in(&self, view: View) -> Bootstrap {
        let at = self.views.iter().position(|shown| *shown == view);
        let at = at.unwrap_or_else(|| panic!("no listener of this Fishplate shows {}", view.word()));
        let name = if at == 0 { "fishplate".into() } else { format!("fishplate {}", view.word()) };
        Bootstrap { name, servers: self.with(|running| running.listeners[at].clone()) }
    }

    /// Its listener of this number, from 0.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn bootstrap_of(&self, listener: usize) -> Bootstrap {
        let servers = self.with(|running| running.listeners[listener].clone());
        Bootstrap { name: format!("fishplate, listener {listener}"), servers }
    }

    /// Its admin address, `127.0.0.1:PORT`.
    pub fn admin(&self) -> String {
        self.with(|running| running.admin.clone())
    }

    /// Its process id.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn pid(&self) -> u32 {
        self.with(|running| running.process.id())
    }

    /// Waits until it has heard of each of its clusters, or no longer waits for one: it listens a second after the first has
    /// answered, and the others' topics are unknown until they do.
    #[allow(dead_code, reason = "not in every test program")]
    #[track_caller]
    pub fn wait_ready(&self) {
        let admin = self.admin();
        wait::until(&format!("{admin} is ready"), TO_LISTEN, || {
            page(&admin, "/readyz").is_ok_and(|page| page.starts_with("HTTP/1.1 200 "))
        });
    }

    /// What it logged.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.take().process.kill();
    }

    /// SIGTERM; waits until it has ended.
    pub fn stop(&self) -> ExitStatus {
        self.take().process.stop()
    }

    /// Starts it again after `kill` or `stop`, with the same config.
    #[track_caller]
    pub fn restart(&self) {
        assert!(self.running().is_none(), "Fishplate is running");
        self.run().unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// The end of a test of its own: it stops when asked, with success, and logged nothing unexpected.
    #[track_caller]
    pub fn finish(&self) {
        let status = self.stop();
        assert!(status.success(), "Fishplate ended with {status} after SIGTERM; its log ends\n{}", self.log.tail(20));
        self.log.unexpected().must_be_none();
    }

    /// Kills it if it runs: the end of a test run.
    pub fn end(&self) {
        drop(self.running().take());
    }

    fn run(&self) -> anyhow::Result<()> {
        // Benchmarks are to measure one that was built for release.
        let program = std::env::var_os("FISHPLATE_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_fishplate").into());
        let mut fishplate = command(program);
        fishplate.args(["run", "--log-format", "json", "-c"]).arg(&self.config_file);
        fishplate.envs(self.variables.iter().map(|(name, value)| (name, value)));
        fishplate.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::start("Fishplate", fishplate)?;
        let child = process.child();
        let (stdout, stderr) = (child.stdout.take().context("stdout")?, child.stderr.take().context("stderr")?);
        self.log.follow(stderr)?;
        let said = lines(stdout);
        let addresses = self.wait_for_addresses(&said);
        let (listeners, admin) = addresses.with_context(|| {
            let ended = process.ended().map_or_else(|| "still runs".into(), |status| format!("ended with {status}"));
            format!("Fishplate {ended}; its log ends\n{}", self.log.tail(20))
        })?;
        *self.running() = Some(Running { process, listeners, admin });
        Ok(())
    }

    /// It is ready when it has said both: `listening on ADDRESS` and `admin on ADDRESS`.
    fn wait_for_addresses(&self, said: &mpsc::Receiver<String>) -> anyhow::Result<(Vec<String>, String)> {
        let deadline = Instant::now() + TO_LISTEN;
        let (mut listeners, mut admin) = (Vec::new(), None);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = said.recv_timeout(left).context("it never said where it listens")?;
            match line.split_once(" on ") {
                Some(("listening", address)) => listeners.push(address.to_owned()),
                Some(("admin", address)) => admin = Some(address.to_owned()),
                _ => anyhow::bail!("it said `{line}` on stdout"),
            }
            if let Some(admin) = admin.take_if(|_| listeners.len() == self.views.len()) {
                return Ok((listeners, admin));
            }
        }
    }

    fn with<T>(&self, look: impl FnOnce(&Running) -> T) -> T {
        look(self.running().as_ref().expect("Fishplate is not running"))
    }

    fn take(&self) -> Running {
        self.running().take().expect("Fishplate is not running")
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("Fishplate's log is {} and ends\n{}", self.log.file().display(), self.log.tail(20));
        }
    }
}

/// The lines of a pipe, read on a thread to its end so that the writer never blocks.
fn lines(pipe: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody listens any more once it is ready.
            let _ = sender.send(line);
        }
    });
    receiver
}
