//! What connections cost: a proxy started anew for each count, looked at while they idle and while all are busy at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::load::Report;
use crate::procfs::{Used, resident};

use super::Bench;
use super::measure::Course;
use super::process::Process;
use super::scaling::WAYS;
use super::stage::{Clusters, NODES, Way};

/// Time after which memory has settled, and for which an idle proxy is watched.
const SETTLED: Duration = Duration::from_millis(700);
/// Between two looks at a busy proxy's memory.
const LOOK: Duration = Duration::from_millis(10);
const TOPIC: &str = "solo-:8";

/// So many connections.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Crowd {
    pub(super) connections: usize,
    pub(super) ways: BTreeMap<Way, Cost>,
    pub(super) failures: Vec<String>,
}

/// What they cost one proxy.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Cost {
    /// MiB resident before any came.
    pub(super) start: f64,
    /// MiB with all of them open, ApiVersions answered and nothing else asked.
    pub(super) open: f64,
    /// MiB when each had its records once: its links are open.
    pub(super) linked: f64,
    /// Processor time in idleness, seconds a second.
    pub(super) idle_cpu: f64,
    /// MiB at most, while all are busy.
    pub(super) busy: f64,
    /// Bytes while busy, and the processor time for them.
    pub(super) report: Report,
}

/// 1 to 10,000 connections over every way.
pub(super) fn all(bench: &Bench<'_>) -> Result<Vec<Crowd>> {
    let counts: &[usize] = if bench.about.quick { &[100, 10_000] } else { &[1, 10, 100, 1000, 10_000] };
    let mut crowds = Vec::new();
    let descriptors = descriptors()?;
    for wanted in counts {
        // A way that has no descriptors for so many is in a crowd of its own.
        let mut of_size = BTreeMap::<_, Crowd>::new();
        for way in WAYS {
            let fitting = descriptors.saturating_sub(BESIDE) / each(way);
            let connections = (*wanted).min(fitting).min(bench.args.most_connections);
            if connections < *wanted {
                eprintln!("{connections} CONNECTIONS INSTEAD OF {wanted}: a process may have no more descriptors");
            }
            eprintln!("{connections} connections, {}", way.name());
            let crowd = of_size.entry(connections).or_insert_with(|| Crowd { connections, ..Crowd::default() });
            match one(bench, way, connections) {
                Ok(Some(cost)) => drop(crowd.ways.insert(way, cost)),
                Ok(None) => {}
                Err(error) => {
                    eprintln!("{connections} connections, {}: {error:#}", way.name());
                    crowd.failures.push(format!("{connections} connections, {}: {error:#}", way.name()));
                }
            }
        }
        crowds.extend(of_size.into_values());
    }
    Ok(crowds)
}

/// Those that a process needs for itself.
const BESIDE: usize = 200;

/// Descriptors that a process may have: proxies and clusters inherit our limit.
fn descriptors() -> Result<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<usize>().ok());
    Ok(soft.unwrap_or(usize::MAX))
}

/// What a connection takes of them at most: its own, and one to a broker. Where one node leads everything, there is one to
/// each of the cluster's brokers, since each has some of the partitions that every connection names.
fn each(way: Way) -> usize {
    match way {
        Way::Single => 1 + NODES,
        _ => 2,
    }
}

/// None where there is no such proxy.
fn one(bench: &Bench<'_>, way: Way, connections: usize) -> Result<Option<Cost>> {
    let clusters = Clusters::start([&["solo-:8:2"], &["other-:1:1"]])?;
    let proxies = bench.programs.start(&[way], clusters.direct(), "other-*")?;
    let pid = match way {
        Way::Copy => clusters.copy(),
        _ => match proxies.running.get(&way) {
            Some(proxy) => proxy.pid(),
            None => return Ok(None),
        },
    };
    let course = bench.course(&clusters, &proxies);
    std::thread::sleep(SETTLED);
    let start = mebibytes(pid)?;
    let mut load = start_load(&course, way, pid, connections)?;
    load.line("open")?;
    std::thread::sleep(SETTLED);
    let open = mebibytes(pid)?;
    load.say("on")?;
    load.line("linked")?;
    let before = Used::now(pid)?;
    std::thread::sleep(SETTLED);
    let idle_cpu = Used::now(pid)?.since(&before) / SETTLED.as_secs_f64();
    let linked = mebibytes(pid)?;
    load.say("on")?;
    let (report, busy) = while_looking(pid, || load.line("{"))?;
    let report = serde_json::from_str(&format!("{{{report}")).context("a report of another form")?;
    Ok(Some(Cost { start, open, linked, idle_cpu, busy, report }))
}

fn start_load(course: &Course<'_>, way: Way, pid: u32, connections: usize) -> Result<Process> {
    let mut arguments: Vec<String> = ["idle", "--connections"].map(str::to_owned).into();
    arguments.extend([connections.to_string(), "--seconds".to_owned(), course.seconds.to_string()]);
    arguments.extend(["--watch".to_owned(), format!("{}={pid}", way.name())]);
    arguments.extend(course.target(way, &[TOPIC.to_owned()]));
    Process::own(&arguments)
}

/// Runs `work`, and says how many MiB the process had at most meanwhile.
fn while_looking<T>(pid: u32, work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let (most, done) = (AtomicU64::new(resident(pid)?), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // A process that is gone has no more memory.
                most.fetch_max(resident(pid).unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(LOOK);
            }
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        Ok((worked?, most.load(Ordering::Relaxed) as f64 / 1_048_576.0))
    })
}

fn mebibytes(pid: u32) -> Result<f64> {
    Ok(resident(pid)? as f64 / 1_048_576.0)
}
