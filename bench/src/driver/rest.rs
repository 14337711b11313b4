//! What a proxy costs when nothing flows: the time to be ready, memory at start and with idle connections.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::procfs::resident;

use super::contestants::Setup;
use super::measure::Course;
use super::process::Process;
use super::stage::{Way, start_copy};
use super::stats::Rounds;

/// Time after which memory has settled.
const SETTLED: Duration = Duration::from_millis(700);
/// A proxy at rest.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Rest {
    /// Milliseconds from its start to the line that says it listens.
    pub(super) ready: Rounds,
    /// MiB resident a moment later.
    pub(super) start: Rounds,
    /// KiB for each connection that asked for ApiVersions and then did nothing.
    pub(super) open: Option<f64>,
    /// KiB for each connection that also had one Metadata and one Fetch answered.
    pub(super) linked: Option<f64>,
    pub(super) failures: Vec<String>,
}

/// Starts the copier and each proxy anew `times` times.
pub(super) fn starts(setups: &BTreeMap<Way, Setup>, times: usize) -> Result<BTreeMap<Way, Rest>> {
    let mut all: BTreeMap<Way, Rest> = BTreeMap::new();
    for _ in 0..times {
        let began = Instant::now();
        let mut copy = start_copy(4)?;
        copy.line("listening on ")?;
        note(all.entry(Way::Copy).or_default(), began.elapsed(), copy.pid())?;
        for (way, setup) in setups {
            let rest = all.entry(*way).or_default();
            match setup.start() {
                Ok((proxy, ready)) => note(rest, ready, proxy.pid())?,
                Err(error) => rest.failures.push(format!("{}: {error:#}", way.name())),
            }
        }
    }
    Ok(all)
}

fn note(rest: &mut Rest, ready: Duration, pid: u32) -> Result<()> {
    std::thread::sleep(SETTLED);
    rest.ready.0.push(ready.as_secs_f64() * 1e3);
    rest.start.0.push(resident(pid)? as f64 / 1_048_576.0);
    Ok(())
}

/// Opens `connections` idle connections to a proxy that had none so far, and looks at its memory.
/// These topics they name.
pub(super) fn idle(
    course: &Course<'_>,
    way: Way,
    pid: u32,
    connections: usize,
    topics: &str,
    rest: &mut Rest,
) -> Result<()> {
    let before = resident(pid)?;
    let mut arguments = vec!["idle".to_owned(), "--connections".to_owned(), connections.to_string()];
    arguments.extend(course.target(way, &[topics.to_owned()]));
    let mut idle = Process::own(&arguments)?;
    let each = || -> Result<f64> {
        std::thread::sleep(SETTLED);
        Ok((resident(pid)? as f64 - before as f64) / 1024.0 / connections as f64)
    };
    idle.line("open")?;
    rest.open = Some(each()?);
    idle.say("on")?;
    idle.line("linked")?;
    rest.linked = Some(each()?);
    Ok(())
}
