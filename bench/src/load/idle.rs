//! Connections that stay open and, when they are told to, are all busy at once, so that whoever asked can look at what
//! they cost.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::IdleArgs;
use super::client::{Connection, Node, discover, share};
use super::run::{Tally, Window};
use super::work::{Kind, Work};

/// Threads that share the connections: each sends on all of its own, then takes all their answers.
const THREADS: usize = 4;

/// Opens the connections with one ApiVersions each and prints `open`; after a line on standard input sends one Metadata and
/// one request for records on each, which makes a proxy open its own, and prints `linked`; after another line has all of
/// them busy, every second one producing and the others fetching, and prints a report; after one more, or at the end
/// of standard input, closes them.
pub(super) fn run(args: &IdleArgs) -> Result<()> {
    let (names, software) = (args.target.names(), args.target.software());
    let nodes = share(&discover(&args.target.bootstrap, &names, &software)?, args.connections);
    let open = |node: &Node| Connection::open(&node.address, &software);
    let open = nodes.iter().map(open).collect::<Result<Vec<_>>>()?;
    let mut lines = std::io::stdin().lock().lines();
    report("open")?;
    if lines.next().transpose()?.is_none() {
        return Ok(());
    }
    let all = link(args, open, &nodes)?;
    report("linked")?;
    if lines.next().transpose()?.is_none() {
        return Ok(());
    }
    let (all, done) = keep_busy(args, all)?;
    report(&serde_json::to_string(&done)?)?;
    lines.next().transpose()?;
    drop(all);
    Ok(())
}

/// Has each asked once, every second one for records and the others with some, over as many threads as when busy.
fn link(args: &IdleArgs, open: Vec<Connection>, nodes: &[Node]) -> Result<Vec<Busy>> {
    let names = args.target.names();
    let mut open: Vec<_> = open.into_iter().zip(nodes).enumerate().collect();
    let each = open.len().div_ceil(THREADS).max(1);
    let ask = |share: Vec<(usize, (Connection, &Node))>| {
        share
            .into_iter()
            .map(|(at, (mut connection, node))| {
                connection.metadata(Some(&names))?;
                let kind = if at.is_multiple_of(2) { Kind::Fetch } else { Kind::Produce };
                let work = Work::new(kind, &mut connection, &node.partitions, args.records, Some(1), true, None)?;
                let mut busy = Busy { connection, work, kind, turn: 0, sent: 0 };
                busy.send()?;
                busy.take()?;
                Ok(busy)
            })
            .collect::<Result<Vec<_>>>()
    };
    let mut all = Vec::new();
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        while !open.is_empty() {
            let share = open.split_off(open.len().saturating_sub(each));
            threads.push(scope.spawn(|| ask(share)));
        }
        for thread in threads {
            all.extend(thread.join().map_err(|_| anyhow!("a thread of the load panicked"))??);
        }
        Ok(all)
    })
}

/// One connection with one request at a time.
struct Busy {
    connection: Connection,
    work: Work,
    kind: Kind,
    turn: u64,
    sent: usize,
}

impl Busy {
    fn send(&mut self) -> Result<()> {
        self.sent = self.work.send(self.turn, &self.connection.stream)?;
        Ok(())
    }

    /// Bytes on the side that carries records, and the records.
    fn take(&mut self) -> Result<(usize, u64)> {
        let answer = self.connection.frames.next()?.context("the connection was closed")?;
        let records = self.work.check(self.turn, answer)?;
        self.turn += 1;
        Ok((if self.kind == Kind::Produce { self.sent } else { answer.len() + 4 }, records))
    }
}

fn keep_busy(args: &IdleArgs, mut all: Vec<Busy>) -> Result<(Vec<Busy>, super::Report)> {
    let (mut shares, mut tallies) = (Vec::new(), Vec::new());
    let each = all.len().div_ceil(THREADS).max(1);
    while !all.is_empty() {
        shares.push(all.split_off(all.len().saturating_sub(each)));
        tallies.push(Arc::new(Tally::default()));
    }
    let window = Window::begin(&args.watch, &tallies)?;
    let until = Instant::now() + Duration::from_secs_f64(args.seconds);
    let threads: Vec<_> = shares
        .into_iter()
        .zip(&tallies)
        .map(|(share, tally)| {
            let tally = Arc::clone(tally);
            std::thread::spawn(move || rounds(share, until, &tally))
        })
        .collect();
    let mut all = Vec::new();
    for thread in threads {
        all.extend(thread.join().map_err(|_| anyhow!("a thread of the load panicked"))??);
    }
    Ok((all, window.end(&tallies, 0)?))
}

/// At least one whole round.
fn rounds(mut share: Vec<Busy>, until: Instant, tally: &Tally) -> Result<Vec<Busy>> {
    loop {
        share.iter_mut().try_for_each(Busy::send)?;
        for busy in &mut share {
            let (bytes, records) = busy.take()?;
            tally.add(bytes as u64, records);
        }
        if Instant::now() >= until {
            return Ok(share);
        }
    }
}

fn report(state: &str) -> Result<()> {
    println!("{state}");
    std::io::stdout().flush()?;
    Ok(())
}
