//! What trials share: cluster `a` (Kafka 4.3, three brokers), cluster `b` (Kafka 3.9, one broker) and one Fishplate
//! before both. There are two such worlds: one for trials that leave it as it is, and run beside each other; and one for
//! those that break something, and run one after the other (`lane.rs`). Each is started when the first trial asks for it,
//! so that listing or filtering starts nothing.

use crate::harness::cluster::{Cluster, Plan};
use crate::harness::config::{Config, View};
use crate::harness::metrics::Metrics;
use crate::harness::ports::Ports;
use crate::harness::proxy::Proxy;
use crate::lane;
use libtest_mimic::{Failed, Trial};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const A: Plan = Plan { name: "a", kafka: "4.3", brokers: 3 };
const B: Plan = Plan { name: "b", kafka: "3.9", brokers: 1 };

/// Ports for the view `hosts`.
const HOSTS: u16 = 16;

static SHARED: OnceLock<Result<World, String>> = OnceLock::new();
static FRAGILE: OnceLock<Result<World, String>> = OnceLock::new();
static TIMES: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());
/// Milliseconds of those that run one after the other: they are to take no longer than all others beside them.
static LANE: AtomicU64 = AtomicU64::new(0);
static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Both clusters run as long as this does.
pub struct World {
    /// Kafka 4.3, three brokers; broker 1 is the controller.
    pub a: Cluster,
    /// Kafka 3.9, one broker.
    pub b: Cluster,
    /// For trials that need ports which stay theirs.
    pub ports: Ports,
    /// For trials' files; removed when all went well.
    pub directory: PathBuf,
    proxy: OnceLock<Result<Proxy, String>>,
}

/// A trial that leaves what all share as it is; runs beside others.
pub fn shared(name: impl Into<String>, run: impl FnOnce(&World) + Send + 'static) -> Trial {
    let name = name.into();
    Trial::test(name.clone(), move || {
        let world = world()?;
        timed(name, || run(world));
        world.judge_shared_proxy()
    })
}

/// A trial that breaks something, or must be alone with its clusters; runs while no other of its kind does. What it leaves
/// broken is mended.
pub fn alone(name: impl Into<String>, run: impl FnOnce(&World) + Send + 'static) -> Trial {
    let name = name.into();
    lane::trial(name.clone(), move || {
        let world = of(&FRAGILE, "fragile")?;
        let _mended = Mended(world);
        let start = Instant::now();
        timed(name, || run(world));
        LANE.fetch_add(u64::try_from(start.elapsed().as_millis()).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    })
}

/// Heals both clusters when it goes, also where a trial panicked.
struct Mended(&'static World);

impl Drop for Mended {
    fn drop(&mut self) {
        self.0.a.heal();
        self.0.b.heal();
    }
}

fn timed(name: String, run: impl FnOnce()) {
    let start = Instant::now();
    run();
    TIMES.lock().unwrap_or_else(PoisonError::into_inner).push((start.elapsed(), name));
}

/// Whether this is `scripts/test full`.
pub fn full() -> bool {
    std::env::var("FISHPLATE_TEST_LEVEL").is_ok_and(|level| level == "full")
}

/// The world that is left as it is.
pub fn world() -> Result<&'static World, Failed> {
    of(&SHARED, "shared")
}

/// Starts both clusters, once.
fn of(world: &'static OnceLock<Result<World, String>>, name: &str) -> Result<&'static World, Failed> {
    world.get_or_init(|| World::start(name).map_err(|error| format!("{error:#}"))).as_ref().map_err(Failed::from)
}

/// Ends everything that was started; keeps the files for people where a trial failed.
pub fn end(all_well: bool) {
    let worlds: Vec<_> = [&SHARED, &FRAGILE].into_iter().filter_map(|world| world.get()?.as_ref().ok()).collect();
    for world in &worlds {
        if let Some(Ok(proxy)) = world.proxy.get() {
            proxy.end();
        }
        world.a.end();
        world.b.end();
    }
    NOTES.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|note| eprintln!("{note}"));
    name_the_slow();
    for world in worlds {
        if all_well {
            // What stays is removed by the next run.
            let _ = fs::remove_dir_all(&world.directory);
        } else {
            eprintln!("logs and data are in {}", world.directory.display());
        }
    }
}

/// Where the time goes that everybody waits for.
fn name_the_slow() {
    const SHOWN: usize = 25;
    let mut times = std::mem::take(&mut *TIMES.lock().unwrap_or_else(PoisonError::into_inner));
    times.sort_unstable_by(|one, other| other.cmp(one));
    let lane = LANE.load(Ordering::Relaxed) as f64 / 1e3;
    let all: Duration = times.iter().map(|(time, _)| *time).sum();
    eprintln!("{lane:5.1} s  of trials one after the other on their lane");
    eprintln!("{:5.1} s  of those beside each other, together", all.as_secs_f64() - lane);
    for (time, name) in times.iter().take(SHOWN).filter(|(time, _)| time.as_secs() > 1) {
        eprintln!("{:5.1} s  {name}", time.as_secs_f64());
    }
}

/// Starts everything and stays until it is killed.
pub fn hold() -> ! {
    let world = world().unwrap_or_else(|failed| panic!("{}", failed.message().unwrap_or_default()));
    for bootstrap in [world.a.bootstrap(), world.a.over_links(), world.b.bootstrap(), world.b.over_links()] {
        eprintln!("{bootstrap}");
    }
    eprintln!("files in {}", world.directory.display());
    let proxy = world.proxy();
    eprintln!("{}, admin on {}", proxy.bootstrap(), proxy.admin());
    loop {
        thread::park();
    }
}

impl World {
    fn start(name: &str) -> anyhow::Result<Self> {
        let directory = own_directory()?.join(name);
        fs::create_dir_all(&directory)?;
        let ports = Ports::reserve()?;
        let (a, b) = thread::scope(|scope| {
            let b = scope.spawn(|| Cluster::start(B, &ports, &directory));
            (Cluster::start(A, &ports, &directory), b.join())
        });
        let b = b.map_err(|_| anyhow::anyhow!("starting cluster b panicked"))?;
        Ok(Self { a: a?, b: b?, ports, directory, proxy: OnceLock::new() })
    }

    /// The config that most trials want: `a-*` and `ga-*` on `a`, `b-*` and `gb-*` on `b`.
    pub fn config(&self) -> Config {
        Config::two_clusters(&self.a.bootstrap(), &self.b.bootstrap())
    }

    /// The same, with links that can be cut before every broker.
    pub fn config_over_links(&self) -> Config {
        Config::two_clusters(&self.a.over_links(), &self.b.over_links())
    }

    /// The Fishplate that all trials share. It has a listener for each view (`Proxy::bootstrap_in`).
    #[track_caller]
    pub fn proxy(&self) -> &Proxy {
        let config = || {
            let config = self.config().listener(View::Brokers, None).listener(View::Single, None);
            config.listener(View::Hosts, Some(self.ports.range(HOSTS)))
        };
        let start = || {
            let proxy = Proxy::start(&config(), &self.directory).map_err(|error| format!("{error:#}"))?;
            proxy.wait_ready();
            // Where brokers are too busy to hear of a new topic within seconds.
            proxy.log().allow("have not heard of a new shadow topic yet");
            Ok(proxy)
        };
        self.proxy.get_or_init(start).as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// A Fishplate of a trial's own, which knows its clusters.
    #[track_caller]
    pub fn start_proxy(&self, config: &Config) -> Proxy {
        let proxy = Proxy::start(config, &self.directory).unwrap_or_else(|error| panic!("{error:#}"));
        proxy.wait_ready();
        proxy
    }

    /// Something to be told at the end of the run.
    pub fn note(&self, note: String) {
        NOTES.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    fn judge_shared_proxy(&self) -> Result<(), Failed> {
        if let Some(Ok(proxy)) = self.proxy.get() {
            proxy.log().unexpected().must_be_none();
            let copied = Metrics::of(&proxy.admin()).sum("fishplate_record_bytes_copied_total", &[]);
            assert_eq!(copied, Some(0.0), "record bytes were copied in user space");
        }
        Ok(())
    }
}

/// This run's folder; those of runs that are gone are removed.
fn own_directory() -> anyhow::Result<PathBuf> {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for old in fs::read_dir(parent)?.flatten() {
        let name = old.file_name().to_string_lossy().into_owned();
        let gone = |id: &str| !Path::new("/proc").join(id).exists();
        if name.strip_prefix("kafka-").is_some_and(gone) {
            // Both worlds come here at once.
            let _ = fs::remove_dir_all(old.path());
        }
    }
    let own = parent.join(format!("kafka-{}", std::process::id()));
    fs::create_dir_all(&own)?;
    Ok(own)
}
