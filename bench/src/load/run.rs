//! Closed loop (as much as goes) and open loop (at a fixed rate, whether answers come or not), and what they report.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::procfs::{self, Used};

use super::Args;
use super::client::{Connection, Node, discover, gather, share};
use super::pool::Pool;
use super::work::Work;

/// What a load did in its measured seconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    /// Bytes of frames on the side that carries records: requests of Produce, answers otherwise.
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    /// Version of the API that carried the load.
    pub(crate) version: i16,
    /// Seconds of processor time by watched process, our own as `load`, and what other processes used as `others`.
    pub(crate) cpu: BTreeMap<String, f64>,
    /// Open loop only.
    pub(crate) latency: Option<Latency>,
}

/// Microseconds from when a request should have been sent to its answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    /// How late requests were sent, of 100 the latest but one; large where the load itself cannot keep up.
    pub(crate) late_p99: f64,
    /// Requests that had no answer when the run was broken off; they count with the time they had waited.
    pub(crate) unanswered: u64,
}

/// A process to watch.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    name: String,
    pid: u32,
}

impl FromStr for Watch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, pid) = text.split_once('=').ok_or_else(|| format!("`{text}` is not NAME=PID"))?;
        let pid = pid.parse().map_err(|_| format!("`{pid}` is not a process id"))?;
        Ok(Self { name: name.to_owned(), pid })
    }
}

/// Runs the load to its end.
pub(super) fn run(args: &Args) -> Result<Report> {
    let (names, software) = (args.target.names(), args.target.software());
    let nodes = discover(&args.target.bootstrap, &names, &software)?;
    let nodes = if args.kind.names_partitions() { nodes } else { gather(nodes) };
    let nodes = share(&nodes, args.connections);
    ensure!(!nodes.is_empty(), "no node leads any of the topics");
    let each = args.records / args.batches.unwrap_or(1).max(1);
    let pool = args.events.map(|batches| Pool::of_events(batches, each, args.tokens, args.codec)).transpose()?;
    let worker = |(at, node): (usize, &Node)| {
        let mut connection = Connection::open(&node.address, &software)?;
        let own = pool.as_ref().map(|pool| pool.share(at, nodes.len()));
        let (partitions, sessions) = (&node.partitions, !args.no_session);
        let work = Work::new(args.kind, &mut connection, partitions, args.records, args.batches, sessions, own)?;
        Ok(Worker { connection, work, carries: args.kind })
    };
    let workers = nodes.iter().enumerate().map(worker).collect::<Result<Vec<_>>>()?;
    match args.rate {
        None => closed(args, workers),
        Some(rate) => open(args, workers, rate),
    }
}

struct Worker {
    connection: Connection,
    work: Work,
    carries: super::Kind,
}

impl Worker {
    fn take(&mut self, turn: u64, sent: usize, tally: &Tally) -> Result<()> {
        let answer = self.connection.frames.next()?.context("the connection was closed")?;
        let records = self.work.check(turn, answer)?;
        let bytes = if self.carries == super::Kind::Produce { sent } else { answer.len() + 4 };
        tally.add(bytes as u64, records);
        Ok(())
    }
}

/// Counted by one thread, read by another.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Tally {
    requests: AtomicU64,
    bytes: AtomicU64,
    records: AtomicU64,
}

impl Tally {
    pub(super) fn add(&self, bytes: u64, records: u64) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
    }
}

/// The beginning of the measured seconds.
pub(super) struct Window<'a> {
    watched: &'a [Watch],
    began: Instant,
    used: Vec<Used>,
    own: Used,
    machine: (f64, f64),
    tallied: [u64; 3],
}

impl<'a> Window<'a> {
    pub(super) fn begin(watched: &'a [Watch], tallies: &[Arc<Tally>]) -> Result<Self> {
        Ok(Self {
            watched,
            used: watched.iter().map(|watch| Used::now(watch.pid)).collect::<Result<_>>()?,
            own: Used::now(std::process::id())?,
            machine: procfs::machine()?,
            tallied: sum(tallies),
            began: Instant::now(),
        })
    }

    pub(super) fn end(self, tallies: &[Arc<Tally>], version: i16) -> Result<Report> {
        let seconds = self.began.elapsed().as_secs_f64();
        let [requests, bytes, records] = sum(tallies);
        let mut cpu = BTreeMap::new();
        for (watch, before) in self.watched.iter().zip(&self.used) {
            cpu.insert(watch.name.clone(), Used::now(watch.pid)?.since(before));
        }
        cpu.insert("load".to_owned(), Used::now(std::process::id())?.since(&self.own));
        let (busy, stolen) = procfs::machine()?;
        let ours: f64 = cpu.values().sum();
        cpu.insert("others".to_owned(), (busy - self.machine.0 - ours).max(0.0));
        cpu.insert("stolen".to_owned(), stolen - self.machine.1);
        Ok(Report {
            seconds,
            requests: requests - self.tallied[0],
            bytes: bytes - self.tallied[1],
            records: records - self.tallied[2],
            version,
            cpu,
            latency: None,
        })
    }
}

fn sum(tallies: &[Arc<Tally>]) -> [u64; 3] {
    let total =
        |field: fn(&Tally) -> &AtomicU64| tallies.iter().map(|tally| field(tally).load(Ordering::Relaxed)).sum();
    [total(|tally| &tally.requests), total(|tally| &tally.bytes), total(|tally| &tally.records)]
}

fn closed(args: &Args, workers: Vec<Worker>) -> Result<Report> {
    let stop = Arc::new(AtomicBool::new(false));
    let version = workers.first().map_or(0, |worker| worker.work.version());
    let in_flight = args.in_flight.max(1) as u64;
    let mut tallies = Vec::new();
    let mut threads = Vec::new();
    for worker in workers {
        let (stop, tally) = (Arc::clone(&stop), Arc::new(Tally::default()));
        tallies.push(Arc::clone(&tally));
        threads.push(std::thread::spawn(move || keep_full(worker, in_flight, &stop, &tally)));
    }
    std::thread::sleep(Duration::from_secs_f64(args.warm));
    let window = Window::begin(&args.watch, &tallies)?;
    std::thread::sleep(Duration::from_secs_f64(args.seconds));
    let report = window.end(&tallies, version)?;
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().try_for_each(finish)?;
    Ok(report)
}

fn finish<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread of the load panicked"))?
}

/// Keeps `in_flight` requests unanswered until told to stop, then takes what is still to come.
fn keep_full(mut worker: Worker, in_flight: u64, stop: &AtomicBool, tally: &Tally) -> Result<()> {
    let mut size = 0;
    for turn in 0..in_flight {
        size = worker.work.send(turn, &worker.connection.stream)?;
    }
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        worker.take(turn, size, tally)?;
        size = worker.work.send(turn + in_flight, &worker.connection.stream)?;
        turn += 1;
    }
    (turn..turn + in_flight).try_for_each(|turn| worker.take(turn, size, tally))
}

/// When each request of one connection is due: evenly spaced, whatever happens to those before it.
#[derive(Clone, Copy)]
struct Pace {
    start: Instant,
    every: Duration,
}

impl Pace {
    fn due(&self, turn: u64) -> Instant {
        self.start + Duration::from_secs_f64(self.every.as_secs_f64() * turn as f64)
    }

    /// Nanoseconds that an answer to turn `turn` took if it came at `at`: from when it was due and not from when it was
    /// sent, else a stall would hide the requests that it kept from being sent (coordinated omission).
    fn latency(&self, turn: u64, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.due(turn)).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// One connection's part of an open loop.
struct Lane {
    pace: Pace,
    /// Turns before this one are warm-up.
    first: u64,
    turns: u64,
    /// When the run is broken off.
    until: Instant,
}

fn open(args: &Args, workers: Vec<Worker>, rate: f64) -> Result<Report> {
    ensure!(rate > 0.0, "a rate of {rate} requests a second");
    // Sleeps end when asked to and not up to 50 us later; threads inherit this.
    std::fs::write("/proc/self/timerslack_ns", "1").context("/proc/self/timerslack_ns")?;
    let version = workers.first().map_or(0, |worker| worker.work.version());
    let every = Duration::from_secs_f64(workers.len() as f64 / rate);
    let turns = |seconds: f64| u64::try_from(Duration::from_secs_f64(seconds).as_nanos().div_ceil(every.as_nanos()));
    let start = Instant::now() + Duration::from_millis(20);
    let whole = Duration::from_secs_f64(args.warm + args.seconds);
    let (mut tallies, mut threads) = (Vec::new(), Vec::new());
    for (at, worker) in (0u32..).zip(workers) {
        let tally = Arc::new(Tally::default());
        tallies.push(Arc::clone(&tally));
        let lane = Lane {
            pace: Pace { start: start + Duration::from_secs_f64(f64::from(at) / rate), every },
            first: turns(args.warm)?,
            turns: turns(args.warm + args.seconds)?,
            until: start + 2 * whole,
        };
        threads.push(std::thread::spawn(move || drive(worker, lane, &tally)));
    }
    std::thread::sleep(start.saturating_duration_since(Instant::now()) + Duration::from_secs_f64(args.warm));
    let window = Window::begin(&args.watch, &tallies)?;
    std::thread::sleep(Duration::from_secs_f64(args.seconds));
    let mut report = window.end(&tallies, version)?;
    let mut all = Measured::new()?;
    for thread in threads {
        all.merge(&finish(thread)?)?;
    }
    report.latency = Some(all.summary());
    Ok(report)
}

struct Measured {
    answered: Histogram<u64>,
    late: Histogram<u64>,
    unanswered: u64,
}

impl Measured {
    fn new() -> Result<Self> {
        let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 3);
        Ok(Self { answered: histogram()?, late: histogram()?, unanswered: 0 })
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        self.answered.add(&other.answered)?;
        self.late.add(&other.late)?;
        self.unanswered += other.unanswered;
        Ok(())
    }

    fn summary(&self) -> Latency {
        let micros = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Latency {
            p50: micros(&self.answered, 0.5),
            p99: micros(&self.answered, 0.99),
            p999: micros(&self.answered, 0.999),
            max: self.answered.max() as f64 / 1e3,
            late_p99: micros(&self.late, 0.99),
            unanswered: self.unanswered,
        }
    }
}

/// Sends from a thread of its own and takes the answers in this one.
fn drive(worker: Worker, lane: Lane, tally: &Tally) -> Result<Measured> {
    let Worker { connection, work, carries } = worker;
    let mut frames = connection.frames;
    let stream = connection.stream;
    let mut checking = work.clone();
    let size = AtomicU64::new(0);
    let mut measured = Measured::new()?;
    stream.set_read_timeout(Some(lane.until.saturating_duration_since(Instant::now())))?;
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| send_on_time(work, &stream, &lane, &size));
        for turn in 0..lane.turns {
            let Ok(answer) = frames.next() else { break };
            let now = Instant::now();
            let answer = answer.context("the connection was closed")?;
            let records = checking.check(turn, answer)?;
            let carried =
                if carries == super::Kind::Produce { size.load(Ordering::Relaxed) } else { answer.len() as u64 };
            tally.add(carried, records);
            if turn >= lane.first {
                measured.answered.saturating_record(lane.pace.latency(turn, now));
            }
        }
        measured.give_up(&lane, tally.requests.load(Ordering::Relaxed));
        stream.shutdown(std::net::Shutdown::Both).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotConnected => Ok(()),
            _ => Err(error),
        })?;
        measured.late = sender.join().map_err(|_| anyhow!("the sender panicked"))??;
        Ok(measured)
    })
}

impl Measured {
    /// Counts what has no answer yet with the time it has waited.
    fn give_up(&mut self, lane: &Lane, answered: u64) {
        let now = Instant::now();
        for turn in answered.max(lane.first)..lane.turns {
            self.answered.saturating_record(lane.pace.latency(turn, now));
            self.unanswered += 1;
        }
    }
}

fn send_on_time(mut work: Work, stream: &std::net::TcpStream, lane: &Lane, size: &AtomicU64) -> Result<Histogram<u64>> {
    let mut late = Histogram::new_with_bounds(1, 60_000_000_000, 3)?;
    for turn in 0..lane.turns {
        let wait = lane.pace.due(turn).saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        late.saturating_record(lane.pace.latency(turn, Instant::now()));
        match work.send(turn, stream) {
            Ok(sent) => size.store(sent as u64, Ordering::Relaxed),
            Err(_) if Instant::now() >= lane.until => break, // the reader gave up and closed
            Err(error) => return Err(error),
        }
    }
    Ok(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(turns: u64) -> Lane {
        let start = Instant::now() - Duration::from_secs(10);
        Lane { pace: Pace { start, every: Duration::from_millis(1) }, first: 0, turns, until: start }
    }

    #[test]
    fn a_stall_counts_for_every_request_that_was_due_in_it() {
        // Given a request each millisecond, and a server that answers in 10 us but for one second not at all
        let lane = lane(2_000);
        let mut measured = Measured::new().unwrap();
        let thaw = lane.pace.due(1_000);
        // When answers held by the stall all come at its end
        for turn in 0..2_000 {
            let answered = (lane.pace.due(turn) + Duration::from_micros(10)).max(thaw);
            measured.answered.saturating_record(lane.pace.latency(turn, answered));
        }
        // Then half of all were slow, and not one
        let summary = measured.summary();
        assert!((summary.p99 / 980_000.0 - 1.0).abs() < 0.01, "{summary:?}");
        assert!(measured.answered.value_at_quantile(0.25) < 11_000);
        assert!(measured.answered.value_at_quantile(0.75) > 490_000_000);
    }

    #[test]
    fn what_has_no_answer_counts_with_its_wait() {
        let lane = lane(100);
        let mut measured = Measured::new().unwrap();
        measured.give_up(&lane, 90);
        assert_eq!((measured.unanswered, measured.answered.len()), (10, 10));
        assert!(measured.answered.min() > 9_000_000_000);
    }

    #[test]
    fn a_watched_process_has_a_name_and_an_id() {
        let watch: Watch = "proxy=42".parse().unwrap();
        assert_eq!((watch.name.as_str(), watch.pid), ("proxy", 42));
        assert!("proxy".parse::<Watch>().is_err());
    }
}
