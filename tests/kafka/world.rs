//! What all trials share: cluster `a` (Kafka 4.3, three brokers), cluster `b` (Kafka 3.9, one broker) and one Fishplate
//! before both. Each is started when the first trial asks for it, so that listing or filtering starts nothing.

use crate::harness::cluster::{Cluster, Plan};
use crate::harness::config::{Config, View};
use crate::harness::metrics::Metrics;
use crate::harness::ports::Ports;
use crate::harness::proxy::Proxy;
use libtest_mimic::{Failed, Trial};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

const A: Plan = Plan { name: "a", kafka: "4.3", brokers: 3 };
const B: Plan = Plan { name: "b", kafka: "3.9", brokers: 1 };

/// Ports for the view `hosts`.
const HOSTS: u16 = 16;

static WORLD: OnceLock<Result<World, String>> = OnceLock::new();
/// Who breaks what all share holds this alone.
static TURN: RwLock<()> = RwLock::new(());

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
    times: Mutex<Vec<(Duration, String)>>,
    notes: Mutex<Vec<String>>,
}

/// A trial that leaves what all share as it is; runs beside others of its kind.
pub fn shared(name: impl Into<String>, run: impl FnOnce(&World) + Send + 'static) -> Trial {
    trial(name.into(), move |name| {
        let _turn = TURN.read().unwrap_or_else(PoisonError::into_inner);
        timed(name, run)?;
        world()?.judge_shared_proxy()
    })
}

/// A trial that breaks something; runs while no other does. What it leaves broken is mended.
pub fn alone(name: impl Into<String>, run: impl FnOnce(&World) + Send + 'static) -> Trial {
    trial(name.into(), move |name| {
        let _turn = TURN.write().unwrap_or_else(PoisonError::into_inner);
        let world = world()?;
        let _mended = Mended(world);
        timed(name, run)
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

fn trial(name: String, run: impl FnOnce(String) -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::test(name.clone(), move || run(name))
}

fn timed(name: String, run: impl FnOnce(&World)) -> Result<(), Failed> {
    let world = world()?;
    let start = Instant::now();
    run(world);
    world.times.lock().unwrap_or_else(PoisonError::into_inner).push((start.elapsed(), name));
    Ok(())
}

/// Whether this is `scripts/test full`.
pub fn full() -> bool {
    std::env::var("FISHPLATE_TEST_LEVEL").is_ok_and(|level| level == "full")
}

/// Starts both clusters, once.
pub fn world() -> Result<&'static World, Failed> {
    WORLD.get_or_init(|| World::start().map_err(|error| format!("{error:#}"))).as_ref().map_err(Failed::from)
}

/// Ends everything that was started; keeps the files for people where a trial failed.
pub fn end(all_well: bool) {
    let Some(Ok(world)) = WORLD.get() else { return };
    if let Some(Ok(proxy)) = world.proxy.get() {
        proxy.end();
    }
    world.a.end();
    world.b.end();
    world.tell_notes();
    world.name_the_slow();
    if all_well {
        // What stays is removed by the next run.
        let _ = fs::remove_dir_all(&world.directory);
    } else {
        eprintln!("logs and data are in {}", world.directory.display());
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
    fn start() -> anyhow::Result<Self> {
        let directory = own_directory()?;
        let ports = Ports::reserve()?;
        let (a, b) = thread::scope(|scope| {
            let b = scope.spawn(|| Cluster::start(B, &ports, &directory));
            (Cluster::start(A, &ports, &directory), b.join())
        });
        let b = b.map_err(|_| anyhow::anyhow!("starting cluster b panicked"))?;
        Ok(Self {
            a: a?,
            b: b?,
            ports,
            directory,
            proxy: OnceLock::new(),
            times: Mutex::default(),
            notes: Mutex::default(),
        })
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
        let start = || Proxy::start(&config(), &self.directory).map_err(|error| format!("{error:#}"));
        self.proxy.get_or_init(start).as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// A Fishplate of a trial's own.
    #[track_caller]
    pub fn start_proxy(&self, config: &Config) -> Proxy {
        Proxy::start(config, &self.directory).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Something to be told at the end of the run.
    pub fn note(&self, note: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    fn tell_notes(&self) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|note| eprintln!("{note}"));
    }

    /// Where the time goes that everybody waits for.
    fn name_the_slow(&self) {
        const SHOWN: usize = 8;
        let mut times = std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner));
        times.sort_unstable_by(|one, other| other.cmp(one));
        for (time, name) in times.iter().take(SHOWN).filter(|(time, _)| time.as_secs() > 1) {
            eprintln!("{:5.1} s  {name}", time.as_secs_f64());
        }
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

/// A fresh folder; those of runs that are gone are removed.
fn own_directory() -> anyhow::Result<PathBuf> {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for old in fs::read_dir(parent)?.flatten() {
        let name = old.file_name().to_string_lossy().into_owned();
        let gone = |id: &str| !Path::new("/proc").join(id).exists();
        if name.strip_prefix("kafka-").is_some_and(gone) {
            fs::remove_dir_all(old.path())?;
        }
    }
    let own = parent.join(format!("kafka-{}", std::process::id()));
    fs::create_dir_all(&own)?;
    Ok(own)
}
