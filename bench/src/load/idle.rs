//! Connections that only stay open, so that whoever asked can look at what they cost.

use std::io::{BufRead, Write};

use anyhow::{Context, Result};

use crate::batch;

use super::Target;
use super::client::{Connection, discover, share};
use super::work::{Kind, Work};

/// Opens `connections` with one ApiVersions each and prints `open`; after a line on standard input sends one Metadata and
/// one Fetch on each, which makes a proxy open its own, and prints `linked`; after another line, or at the end of
/// standard input, closes them.
pub(super) fn run(target: &Target, connections: usize) -> Result<()> {
    let (names, software) = (target.names(), target.software());
    let nodes = share(&discover(&target.bootstrap, &names, &software)?, connections);
    let open = |node: &super::client::Node| Connection::open(&node.address, &software);
    let mut open = nodes.iter().map(open).collect::<Result<Vec<_>>>()?;
    let mut lines = std::io::stdin().lock().lines();
    report("open")?;
    if lines.next().transpose()?.is_none() {
        return Ok(());
    }
    for (connection, node) in open.iter_mut().zip(&nodes) {
        connection.metadata(Some(&names))?;
        let mut work = Work::new(Kind::Fetch, connection, &node.partitions, batch::SMALL)?;
        work.send(0, &connection.stream)?;
        work.check(0, connection.frames.next()?.context("the connection was closed")?)?;
    }
    report("linked")?;
    lines.next().transpose()?;
    Ok(())
}

fn report(state: &str) -> Result<()> {
    println!("{state}");
    std::io::stdout().flush()?;
    Ok(())
}
