//! `sink`: a synthetic Kafka cluster that takes and gives as fast as the sockets carry. It keeps no record: Produce is
//! read and forgotten, Fetch is answered from one warm batch. It does refuse what a broker would refuse (unknown topics,
//! partitions that another node leads), so that a proxy which misroutes is found out.
//!
//! One thread per connection with blocking reads: no readiness calls, the cheapest there is for tens of busy sockets.

mod cluster;
mod fetch;
mod groups;
mod other;
mod produce;

use std::io::{IoSlice, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::frames::{Cursor, Frames, write_pieces};
use crate::topics::Topics;
use cluster::{Address, Cluster, Side};

/// A synthetic cluster on free ports of 127.0.0.1.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The cluster's id.
    #[arg(long, default_value = "synthetic")]
    id: String,
    /// Brokers, with ids from 1.
    #[arg(long, default_value_t = 2)]
    nodes: usize,
    /// PREFIX:COUNT:PARTITIONS, may be repeated.
    #[arg(long, default_value = "one-:1:8")]
    topics: Vec<Topics>,
    /// Addresses of a copier, one per node: who comes in on the second set of ports is told these.
    #[arg(long, value_delimiter = ',')]
    copied: Vec<Address>,
    /// Other addresses that who comes in on the first set of ports is told, one per node.
    #[arg(long, value_delimiter = ',')]
    told: Vec<Address>,
}

/// A request as all APIs see it.
struct Request<'a> {
    key: i16,
    version: i16,
    correlation: i32,
    /// Behind the correlation id: client id and the rest.
    rest: &'a [u8],
}

impl<'a> Request<'a> {
    fn read(frame: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor(frame);
        Some(Self { key: cursor.int16()?, version: cursor.int16()?, correlation: cursor.int32()?, rest: cursor.0 })
    }

    /// The body behind a header of version 2.
    fn flexible_body(&self) -> Option<Cursor<'a>> {
        let mut cursor = Cursor(self.rest);
        cursor.nullable()?;
        cursor.skip_tags()?;
        Some(cursor)
    }
}

/// Serves until standard input ends, which it does when whoever started us is gone.
pub(crate) fn run(args: Args) -> Result<()> {
    if !args.copied.is_empty() && args.copied.len() != args.nodes {
        bail!("{} addresses of a copier were given for {} nodes", args.copied.len(), args.nodes);
    }
    if !args.told.is_empty() && args.told.len() != args.nodes {
        bail!("{} addresses to tell were given for {} nodes", args.told.len(), args.nodes);
    }
    let own = bind(args.nodes)?;
    let copied = bind(args.copied.len())?;
    let ports = |listeners: &[TcpListener]| -> Result<Vec<Address>> {
        listeners.iter().map(|listener| Ok(Address(listener.local_addr()?.to_string()))).collect()
    };
    let (own_addresses, behind) = (ports(&own)?, ports(&copied)?);
    let told = if args.told.is_empty() { own_addresses.clone() } else { args.told };
    let cluster = Arc::new(Cluster::new(args.id, told, args.copied, &args.topics));
    for (side, listeners) in [(Side::Own, own), (Side::Copied, copied)] {
        for (node, listener) in listeners.into_iter().enumerate() {
            let cluster = Arc::clone(&cluster);
            std::thread::spawn(move || accept(&listener, &cluster, node, side));
        }
    }
    println!("listening on {}", join(&own_addresses));
    println!("behind the copier {}", join(&behind));
    std::io::stdout().flush()?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).context("standard input")?;
    Ok(())
}

fn bind(count: usize) -> Result<Vec<TcpListener>> {
    (0..count).map(|_| TcpListener::bind("127.0.0.1:0").context("no free port")).collect()
}

fn join(addresses: &[Address]) -> String {
    addresses.iter().map(|address| address.0.as_str()).collect::<Vec<_>>().join(",")
}

fn accept(listener: &TcpListener, cluster: &Arc<Cluster>, node: usize, side: Side) {
    for stream in listener.incoming().flatten() {
        let cluster = Arc::clone(cluster);
        let serving = std::thread::Builder::new().stack_size(128 * 1024).spawn(move || {
            if let Err(error) = serve(stream, &cluster, node, side) {
                eprintln!("sink {}, node {node}: {error:#}", cluster.id);
            }
        });
        if let Err(error) = serving {
            eprintln!("sink: no thread for a connection: {error}");
        }
    }
}

fn serve(stream: TcpStream, cluster: &Cluster, node: usize, side: Side) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = Arc::new(stream);
    let mut frames = Frames::new(Arc::clone(&stream));
    let mut fetches = fetch::Answers::default();
    let mut out = Vec::new();
    while let Some(frame) = frames.next().or_else(ended)? {
        let request = Request::read(frame).context("a frame without a head")?;
        match request.key {
            0 => {
                let answered = produce::answer(cluster, node, &request, &mut out)
                    .with_context(|| format!("a Produce of version {} that cannot be read", request.version))?;
                if answered {
                    write_pieces(&stream, &mut [IoSlice::new(&out)])?;
                }
            }
            1 => fetches.answer(cluster, node, &request, &stream)?,
            _ => {
                let body = other::answer(cluster, node, side, &request)?;
                other::head(&request, body.len(), &mut out);
                write_pieces(&stream, &mut [IoSlice::new(&out), IoSlice::new(&body)])?;
            }
        }
    }
    Ok(())
}

/// A connection that was reset has ended too.
fn ended<T>(error: std::io::Error) -> std::io::Result<Option<T>> {
    if error.kind() == std::io::ErrorKind::ConnectionReset { Ok(None) } else { Err(error) }
}
