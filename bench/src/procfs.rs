//! What the kernel says of a process and of the machine: processor time, resident memory. Linux only.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

/// Ticks of `/proc/PID/stat` and `/proc/stat` a second: 100 on every Linux that programs see (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Processor time of one process at one moment, by thread, in nanoseconds, and what all its threads ever used, in
/// ticks: the first is precise, the second also knows threads that are gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Used {
    threads: BTreeMap<u32, u64>,
    ticks: u64,
}

impl Used {
    /// Reads a process's time now.
    pub(crate) fn now(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
        let ticks = ticks(&stat).with_context(|| format!("/proc/{pid}/stat has another form"))?;
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let ran = fs::read_to_string(entry.path().join("schedstat")).ok().and_then(|text| nanoseconds(&text));
            if let (Some(id), Some(ran)) = (id, ran) {
                threads.insert(id, ran);
            }
        }
        Ok(Self { threads, ticks })
    }

    /// Seconds of processor time between an earlier reading and this one.
    pub(crate) fn since(&self, earlier: &Self) -> f64 {
        let of_thread = |(id, ran): (&u32, &u64)| ran.saturating_sub(*earlier.threads.get(id).unwrap_or(&0));
        let precise: u64 = self.threads.iter().map(of_thread).sum();
        let seconds = precise as f64 / 1e9;
        // Threads that ended between the readings are in the ticks alone; below two ticks that is rounding.
        let coarse = self.ticks.saturating_sub(earlier.ticks) as f64 / TICKS;
        if coarse > seconds + 2.0 / TICKS { coarse } else { seconds }
    }
}

/// Seconds that all processors together were busy since the start, and that the hypervisor kept from us.
pub(crate) fn machine() -> Result<(f64, f64)> {
    busy(&fs::read_to_string("/proc/stat")?).context("/proc/stat has another form")
}

/// Resident memory in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    memory(pid, "VmRSS:")
}

/// The most that it ever was.
pub(crate) fn most_resident(pid: u32) -> Result<u64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid}"))?;
    field(&status, name).with_context(|| format!("/proc/{pid}/status has no {name}"))
}

fn ticks(stat: &str) -> Option<u64> {
    // The name of the program may hold blanks and brackets; what follows its last bracket is fields 3 and up.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn nanoseconds(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

fn busy(stat: &str) -> Option<(f64, f64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
    let &[user, nice, system, _idle, _wait, irq, softirq, steal, ..] = fields.as_slice() else { return None };
    Some(((user + nice + system + irq + softirq) as f64 / TICKS, steal as f64 / TICKS))
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_an_awkward_name() {
        let stat = "42 (a) b) c) S 1 42 42 0 -1 4194304 100 0 0 0 250 75 0 0 20 0 3 0 99 1 2";
        assert_eq!(ticks(stat), Some(325));
        assert_eq!(nanoseconds("118819 14198 2\n"), Some(118_819));
        assert_eq!(field("Name:\tx\nVmRSS:\t    1234 kB\n", "VmRSS:"), Some(1234 * 1024));
        assert_eq!(busy("cpu  100 0 50 900 5 1 2 7 0 0\ncpu0 1"), Some((1.53, 0.07)));
        assert_eq!(busy("cpu  100"), None);
    }

    #[test]
    fn a_new_thread_counts_whole_and_a_gone_one_by_ticks() {
        let used = |threads: &[(u32, u64)], ticks| Used { threads: threads.iter().copied().collect(), ticks };
        let earlier = used(&[(1, 1_000_000_000), (2, 500_000_000)], 150);
        assert_eq!(used(&[(1, 1_500_000_000), (2, 500_000_000), (3, 250_000_000)], 225).since(&earlier), 0.75);
        assert_eq!(used(&[(1, 1_500_000_000)], 300).since(&earlier), 1.5);
    }

    #[test]
    fn our_own_time_is_read() {
        let before = Used::now(std::process::id()).unwrap();
        let mut sum = 0u64;
        while Used::now(std::process::id()).unwrap().since(&before) < 0.02 {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(resident(std::process::id()).unwrap() > 100_000);
        assert!(most_resident(std::process::id()).unwrap() > 100_000);
        assert!(machine().unwrap().0 > 0.0);
    }
}
