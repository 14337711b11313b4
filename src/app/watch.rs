//! Notices that the config file, or one that it includes, has changed: as the system tells it, every few seconds whatever it
//! tells, and when the process is told to look (SIGHUP). A mounted ConfigMap changes by a link in the file's directory.

use super::steward::{Asked, Outcome, report};
use crate::config::{Config, Reading};
use crate::telemetry::Telemetry;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Editors and mounts change several files one after the other.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// A file that is written all the time is taken as it is after so many looks.
const SETTLES: usize = 25;
/// Where the system tells nothing, as over NFS.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Reads the file again whenever it may have changed, and asks for what it says. `running` is what was read of it at the
/// start, which takes its time: the file may say something else by now. Runs until nobody takes it.
pub(super) async fn run(file: PathBuf, running: (u32, Config), telemetry: Arc<Telemetry>, ask: mpsc::Sender<Asked>) {
    let changed = Arc::new(Notify::new());
    let mut directories = Directories::new(&changed);
    directories.watch(&read(&file).await.directories);
    let (hash, config) = running;
    telemetry.config().began(hash);
    let mut tried = (hash, Some(config));
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut hang_up = signal(SignalKind::hangup()).ok();
    loop {
        let told = tokio::select! {
            () = told_to(&mut hang_up) => true,
            () = changed.notified() => { sleep(DEBOUNCE).await; false }
            _ = look.tick() => false,
            () = ask.closed() => return,
        };
        let mut reading = read(&file).await;
        directories.watch(&reading.directories);
        if !told {
            if says(&reading) == (tried.0, &tried.1) {
                continue;
            }
            reading = settled(reading, || read(&file)).await;
            directories.watch(&reading.directories);
            if says(&reading) == (tried.0, &tried.1) {
                continue;
            }
        }
        tried = (reading.hash, reading.config.clone());
        if !attempt(&file, reading, &telemetry, &ask).await {
            return;
        }
    }
}

fn says(reading: &Reading) -> (u32, &Option<Config>) {
    (reading.hash, &reading.config)
}

/// What the file says once it says the same twice: whoever writes it may be in the middle of that, and a part of a config may be
/// one by itself, which has topics live elsewhere. Who sends a signal has written it.
async fn settled<F: Future<Output = Reading>>(mut reading: Reading, read: impl Fn() -> F) -> Reading {
    for _ in 0..SETTLES {
        sleep(DEBOUNCE).await;
        let next = read().await;
        let same = says(&next) == says(&reading);
        reading = next;
        if same {
            break;
        }
    }
    reading
}

async fn told_to(hang_up: &mut Option<tokio::signal::unix::Signal>) {
    let told = match hang_up {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if told.is_none() {
        std::future::pending::<()>().await;
    }
}

/// False where nobody takes configs any more.
async fn attempt(file: &Path, reading: Reading, telemetry: &Telemetry, ask: &mpsc::Sender<Asked>) -> bool {
    let file = file.display().to_string();
    let Some(config) = reading.config else {
        for mistake in reading.found.iter() {
            tracing::error!(
                file = mistake.file,
                line = mistake.place.as_ref().map(|place| place.line),
                reason = mistake.what,
                instead = mistake.instead,
                "config refused"
            );
        }
        tracing::error!(file, mistakes = reading.found.count().0, "the config has mistakes; what ran before goes on");
        telemetry.config().refused("invalid");
        return true;
    };
    let Some(outcome) = ask_for(config, reading.hash, ask).await else { return false };
    report(&outcome, &file);
    true
}

/// `None` where nobody takes configs any more.
pub(super) async fn ask_for(config: Config, hash: u32, ask: &mpsc::Sender<Asked>) -> Option<Outcome> {
    let (done, told) = oneshot::channel();
    ask.send(Asked { config, hash, done }).await.ok()?;
    told.await.ok()
}

async fn read(file: &Path) -> Reading {
    let at = file.to_owned();
    match tokio::task::spawn_blocking(move || Reading::of_file(&at)).await {
        Ok(reading) => reading,
        // The process is ending.
        Err(_) => std::future::pending().await,
    }
}

/// The directories that the system tells of.
pub(super) struct Directories {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Directories {
    pub(super) fn new(changed: &Arc<Notify>) -> Self {
        let changed = Arc::clone(changed);
        let tell = move |event: notify::Result<notify::Event>| {
            // That we read them is told too.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                changed.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(tell);
        if let Err(error) = &watcher {
            tracing::info!(%error, "the system does not tell of changed files; they are looked at every {LOOK_EVERY:?}");
        }
        Self { watcher: watcher.ok(), watched: BTreeSet::new() }
    }

    pub(super) fn watch(&mut self, directories: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.watched.difference(directories) {
            let _ = watcher.unwatch(gone);
        }
        let is_watched = |directory: &&PathBuf| {
            let watched = self.watched.contains(*directory);
            watched || watcher.watch(directory, RecursiveMode::NonRecursive).is_ok()
        };
        self.watched = directories.iter().filter(is_watched).cloned().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tokio::time::timeout;

    const FILE: &str = "
virtual_cluster: v
default_cluster: a
listeners: [{ bind: '127.0.0.1:0' }]
clusters: { a: { slot: 0, bootstrap: ['127.0.0.1:1'] } }
";

    #[tokio::test]
    async fn what_was_changed_while_the_proxy_started_is_taken_then() {
        let file = std::env::temp_dir().join(format!("fishplate-watch-{}.yaml", std::process::id()));
        fs::write(&file, FILE).unwrap();
        let Reading { config, hash, .. } = Reading::of_file(&file);
        // Given a file that was changed after it was read for the start
        fs::write(&file, format!("{FILE}log: debug\n")).unwrap();
        let (ask, mut asked) = mpsc::channel(1);
        let telemetry = Arc::new(Telemetry::new().unwrap());
        let watching = tokio::spawn(run(file.clone(), (hash, config.unwrap()), Arc::clone(&telemetry), ask));
        // Then it is what runs that is told of, and the change is asked for
        let asked = timeout(LOOK_EVERY / 2, asked.recv()).await.unwrap().unwrap();
        assert_eq!(asked.config.log.as_deref(), Some("debug"));
        assert_eq!(telemetry.shown("fishplate_config_info", &[("hash", &format!("{hash:08x}"))]), Some(1.0));
        watching.abort();
        fs::remove_file(file).unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_being_written_is_taken_when_it_is_whole() {
        let file = std::env::temp_dir().join(format!("fishplate-watch-half-{}.yaml", std::process::id()));
        // Given looks at a file of which a part is there, which is a config itself; then nothing; then all
        let looks = ["log: warn\n", "", "log: debug\n", "log: debug\n", "log: trace\n"].map(|more| {
            fs::write(&file, if more.is_empty() { String::new() } else { format!("{FILE}{more}") }).unwrap();
            Reading::of_file(&file)
        });
        let looks = std::sync::Mutex::new(looks.into_iter());
        let next = || looks.lock().unwrap().next().unwrap();
        let taken = settled(next(), async || next()).await;
        assert_eq!(taken.config.unwrap().log.as_deref(), Some("debug"));
        fs::remove_file(file).unwrap();
    }
}
