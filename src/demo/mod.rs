//! `fishplate demo`: two mock clusters, Fishplate before them and an ordinary Kafka client, all in this process, so
//! that one command shows what Fishplate does. The client knows one address; that it works is counted, not claimed.
//! Uses Fishplate as its users do (config, Kafka protocol, admin address); nothing else may use this room.

mod client;
mod clusters;
mod events;
mod flood;
mod sample;
mod scrape;
mod screen;
mod spread;
mod tally;
mod verdict;
mod watch;
mod words;

pub use tally::Counts;
pub use verdict::{FloodVerdict, FlowVerdict, Verdict};

use crate::app::{Addresses, Running};
use crate::config::Config;
use crate::telemetry::log;
use client::{Reader, Shared, Source};
use clusters::Clusters;
use flood::{Flood, Flooded};
use rdkafka::error::KafkaError;
use sample::{Flow, LANE, LANE_HOME};
use screen::Screen;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use watch::Watch;
use words::LastLines;

/// What a user may choose.
#[derive(Clone, Copy, Debug)]
pub struct DemoOptions {
    /// How long records are sent; `None`: until Ctrl-C.
    pub duration: Option<Duration>,
    /// Records a second, of both pipelines together.
    pub rate: u32,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self { duration: None, rate: 1500 }
    }
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The mock clusters cannot be started or asked.
    #[error("the demo's mock clusters: {0}")]
    Clusters(KafkaError),
    /// The mock clusters' thread ended by itself.
    #[error("the demo's mock clusters ended by themselves")]
    ClustersGone,
    /// Fishplate did not start.
    #[error("Fishplate before the demo's clusters: {0}")]
    Fishplate(BoxedError),
    /// The client library refused something.
    #[error("the demo's Kafka client: {0}")]
    Client(KafkaError),
    /// The group was not given its partitions in time.
    #[error("the demo's consumer group got {got} of {wanted} partitions in {} s", GROUP_WAIT.as_secs())]
    NoGroup {
        /// What it got.
        got: usize,
        /// All partitions of both topics.
        wanted: usize,
    },
    /// Ctrl-C came before there was anything to count.
    #[error("ended before the first record was sent")]
    Interrupted,
    /// The operating system gave no thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// A thread of the demo panicked, or its result was lost.
    #[error("the demo's {0} panicked")]
    Panicked(&'static str),
    /// Nothing can be written to the terminal.
    #[error("cannot write to the standard output, or no port is free")]
    Output(#[from] io::Error),
}

/// The second half begins then where nobody said how long it takes.
const FLOOD_AFTER: Duration = Duration::from_secs(15);
/// For the group's first assignment.
const GROUP_WAIT: Duration = Duration::from_secs(30);
/// For what is under way at the end, counted anew whenever something arrives.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// What the client's threads are told and tell.
#[derive(Default)]
struct Progress {
    stop_sending: AtomicBool,
    stop_reading: AtomicBool,
    /// Partitions that the group's one member has.
    assigned: AtomicUsize,
    commits: AtomicU64,
    failed_commits: AtomicU64,
}

/// Ends the client's threads when what uses them ends, with an error too.
struct StopsWithIt<'a>(&'a Progress);

impl Drop for StopsWithIt<'_> {
    fn drop(&mut self) {
        self.0.stop_sending.store(true, Ordering::Relaxed);
        self.0.stop_reading.store(true, Ordering::Relaxed);
    }
}

/// Any error of starting.
type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// A running Fishplate.
struct Front {
    /// What its clients are given: `host:port`.
    bootstrap: String,
    /// Where its metrics are.
    admin: SocketAddr,
    /// Ends it when awaited.
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Ctrl-C, or whatever else is to end the demo.
type Interrupt<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send)>;

/// The whole demo, on the standard output. Sets the log up unless somebody has: warnings go to stderr, or to the
/// screen's last lines where one is drawn. Needs a tokio runtime with two threads or more.
///
/// # Errors
/// When there is no verdict. A bad verdict is none.
pub async fn run(options: DemoOptions) -> Result<Verdict, DemoError> {
    run_with(options, fishplate).await
}

async fn fishplate(config: Config) -> Result<Front, BoxedError> {
    let running = Running::start(config).await?;
    let Addresses { listeners, admin } = running.addresses().clone();
    let (Some(bootstrap), Some(admin)) = (listeners.first(), admin) else {
        return Err("its config names no listener or no admin address".into());
    };
    Ok(Front { bootstrap: bootstrap.to_string(), admin, stop: Box::pin(running.stop()) })
}

/// The demo before whatever `start` makes of the sample config.
async fn run_with<F>(options: DemoOptions, start: F) -> Result<Verdict, DemoError>
where
    F: AsyncFn(Config) -> Result<Front, BoxedError>,
{
    let log = LastLines::default();
    let mut screen = Screen::new();
    start_log(&screen, &log);
    let mut interrupted = pin!(async { drop(tokio::signal::ctrl_c().await) });
    let clusters = Arc::new(Clusters::start()?);
    let (text, front) = match start_on(&clusters, [KAFKA_PORT, ADMIN_PORT], &start).await {
        // Somebody took a port between our look and its use.
        Err(DemoError::Fishplate(_)) => start_on(&clusters, [0, 0], &start).await?,
        started => started?,
    };
    screen.say(&words::introduction(&text, &front.bootstrap, front.admin))?;
    let verdict = drive(&clusters, &front, options, &mut screen, &log, interrupted.as_mut()).await;
    front.stop.await;
    if let Ok(verdict) = &verdict {
        screen.say(&format!("\n{verdict}"))?;
    }
    verdict
}

/// Starts Fishplate on these ports, or on free ones where they are taken. Gives its config, too.
async fn start_on<F>(clusters: &Clusters, ports: [u16; 2], start: &F) -> Result<(String, Front), DemoError>
where
    F: AsyncFn(Config) -> Result<Front, BoxedError>,
{
    let [kafka, admin] = ports.map(local_address);
    let text = sample::config(Flow::ALL.map(|flow| clusters.bootstrap(flow)), kafka?, admin?);
    let config = Config::from_text("the demo's config", &text).map_err(|wrong| DemoError::Fishplate(wrong.into()))?;
    let front = start(config).await.map_err(DemoError::Fishplate)?;
    Ok((text, front))
}

/// The ports that everybody tries first, if nobody has them.
const KAFKA_PORT: u16 = 9092;
const ADMIN_PORT: u16 = 9644;

/// A loopback address with the preferred port, or with another one if that is taken.
fn local_address(preferred: u16) -> Result<SocketAddr, DemoError> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    Ok(bind(preferred).or_else(|_| bind(0))?.local_addr()?)
}

fn start_log(screen: &Screen, log: &LastLines) {
    let started = if screen.redraws() {
        log::init_to(log.clone(), log::Format::Plain, false, "warn")
    } else {
        log::init(log::Format::Plain, "warn")
    };
    if let Err(error) = started {
        tracing::debug!(%error, "the log stays as it is");
    }
}

/// Sends and reads through `front` until the time is over or `interrupt` resolves, then counts.
async fn drive(
    clusters: &Arc<Clusters>,
    front: &Front,
    options: DemoOptions,
    screen: &mut Screen,
    log: &LastLines,
    mut interrupt: Interrupt<'_>,
) -> Result<Verdict, DemoError> {
    let tally = tally::Tally::default();
    let shared =
        Arc::new(Shared { run: fastrand::u64(..), tally, progress: Progress::default(), flooded: Flooded::default() });
    let _stops = StopsWithIt(&shared.progress);
    let reader = Reader::start(&front.bootstrap, &shared)?;
    tokio::select! {
        assigned = wait_for_group(&shared.progress) => assigned?,
        () = interrupt.as_mut() => return Err(DemoError::Interrupted),
    }
    let source = Source::start(&front.bootstrap, options.rate, &shared)?;
    let after = options.duration.map_or(FLOOD_AFTER, |duration| duration / 2);
    let flood = Flood::start(&front.bootstrap, after, &shared)?;
    let mut watch = Watch::new(&shared, front, log);
    watch.until_over(options.duration, &source, screen, interrupt).await?;
    let stopping = Arc::clone(&shared);
    blocking(move || source.finish(&stopping)).await?;
    flood.finish().await?;
    wait_for_last_records(&shared).await;
    let (there, counted) = (Arc::clone(clusters), Arc::clone(&shared));
    let moved = blocking(move || wait_for_the_noisy_ones(&there, &counted)).await?;
    screen.show(&watch.view().await)?;
    let stopping = Arc::clone(&shared);
    let committed = blocking(move || reader.finish(&stopping)).await?;
    let (clusters, counted) = (Arc::clone(clusters), Arc::clone(&shared));
    blocking(move || count(&clusters, &counted, committed, moved)).await
}

/// Until the group has read what stayed of the noisy token; says how much its lane has.
fn wait_for_the_noisy_ones(clusters: &Clusters, shared: &Shared) -> Result<u64, DemoError> {
    let moved = clusters.records(LANE_HOME, LANE)?;
    let deadline = Instant::now() + LAST_RECORDS;
    let under_way = || {
        let stayed = shared.tally.close(Flow::Events).0.noisy;
        stayed + moved < shared.flooded.acknowledged.load(Ordering::Relaxed)
    };
    while under_way() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(moved)
}

async fn wait_for_group(progress: &Progress) -> Result<(), DemoError> {
    let wanted = Flow::ALL.map(Flow::partitions).iter().sum::<i32>().unsigned_abs() as usize;
    let deadline = Instant::now() + GROUP_WAIT;
    loop {
        let got = progress.assigned.load(Ordering::Relaxed);
        if got == wanted {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(DemoError::NoGroup { got, wanted });
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn wait_for_last_records(shared: &Shared) {
    let mut left = shared.tally.under_way();
    let mut deadline = Instant::now() + LAST_RECORDS;
    while left > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(20)).await;
        let now_left = shared.tally.under_way();
        if now_left < left {
            deadline = Instant::now() + LAST_RECORDS;
            left = now_left;
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DemoError> + Send + 'static,
) -> Result<T, DemoError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(DemoError::Panicked("counting")))
}

/// Asks the clusters themselves, past Fishplate, what they were given.
fn count(clusters: &Clusters, shared: &Shared, committed: [u64; 2], moved: u64) -> Result<Verdict, DemoError> {
    let [events, logs] = Flow::ALL;
    let mut flows = Vec::new();
    for ((flow, other), committed) in [(events, logs), (logs, events)].into_iter().zip(committed) {
        let (counts, lost, took) = shared.tally.close(flow);
        let in_its_cluster = clusters.records(flow, flow.topic())?;
        let in_the_other = clusters.records(other, flow.topic())?;
        flows.push(FlowVerdict { flow, counts, lost, in_its_cluster, in_the_other, committed, took });
    }
    let told = &shared.flooded;
    let [sent, acknowledged, refused] =
        [&told.sent, &told.acknowledged, &told.refused].map(|counter| counter.load(Ordering::Relaxed));
    let stayed = shared.tally.close(Flow::Events).0.noisy;
    let around = shared.tally.around_the_flood(Flow::Events);
    let flood = (sent > 0).then_some(FloodVerdict { sent, acknowledged, refused, stayed, moved, around });
    Ok(Verdict { flows, flood })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without Fishplate: the client speaks to one cluster, which takes both topics.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn records_on_the_wrong_cluster_are_found_and_all_else_is_well() {
        let options = DemoOptions { duration: Some(Duration::from_secs(2)), ..DemoOptions::default() };
        let no_fishplate = async |config: Config| {
            let events = config.cluster(config.pipeline_of_topic(Flow::Events.topic()).cluster).unwrap();
            let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            let stop = Box::pin(std::future::ready(()));
            Ok(Front { bootstrap: events.bootstrap[0].to_string(), admin: nobody, stop })
        };
        let verdict = run_with(options, no_fishplate).await.unwrap();
        let [events, logs] = &verdict.flows[..] else { panic!("{verdict}") };
        assert!(events.passed(), "{verdict}");
        assert!(events.counts.sent > 1000, "{verdict}");
        let sent = logs.counts.sent;
        assert_eq!(logs.counts, Counts { sent, acknowledged: sent, read: sent, ..Counts::default() }, "{verdict}");
        assert_eq!((logs.lost, logs.in_its_cluster, logs.in_the_other, logs.committed), (0, 0, sent, sent));
        let flood = verdict.flood.as_ref().expect("it came");
        assert_eq!((flood.moved, flood.stayed, flood.sent), (0, flood.sent, flood.acknowledged), "there is no limit");
        assert!(!flood.passed() && !verdict.passed());
    }
}
