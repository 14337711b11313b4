//! `load`: a raw-protocol client that costs little: requests are built once, answers are checked but not kept, and each
//! connection has threads of its own with blocking calls. Prints one line of JSON.

mod client;
mod commit;
mod create;
mod handshakes;
mod idle;
mod pool;
mod run;
mod work;

pub(crate) use run::{Latency, Report};
pub(crate) use work::Kind;

use std::path::PathBuf;

use anyhow::Result;

use crate::codec::Codec;
use crate::topics::Topics;
use client::Software;

/// Where the load goes and how it presents itself.
#[derive(clap::Args)]
pub(crate) struct Target {
    /// A bootstrap address; several stand for several clusters, each of which has some of the topics.
    #[arg(long, required = true)]
    bootstrap: Vec<String>,
    /// PREFIX:COUNT, may be repeated.
    #[arg(long, required = true)]
    topics: Vec<Topics>,
    /// Name in ApiVersions.
    #[arg(long, default_value = "apache-kafka-java")]
    software_name: String,
    /// Version in ApiVersions.
    #[arg(long, default_value = "4.3.1")]
    software_version: String,
}

impl Target {
    fn names(&self) -> Vec<String> {
        self.topics.iter().flat_map(Topics::each).map(|(name, _)| name).collect()
    }

    fn software(&self) -> Software {
        Software { name: self.software_name.clone(), version: self.software_version.clone() }
    }
}

/// A load with figures at its end.
#[derive(clap::Args)]
pub(crate) struct Args {
    kind: Kind,
    #[command(flatten)]
    target: Target,
    /// Records of 1 KiB in a request (Produce) or in an answer (Fetch).
    #[arg(long, default_value_t = 256)]
    records: usize,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Partitions of a request, each with a batch; by default as many as make batches of 16 KiB, where there are 16.
    #[arg(long)]
    batches: Option<usize>,
    /// Fetches name all their partitions each time, as librdkafka and kafkajs do, which know no fetch sessions.
    #[arg(long)]
    no_session: bool,
    /// Produce events instead of one batch over and over: this many different batches, of `--records` over `--batches` each.
    #[arg(long, requires = "batches")]
    events: Option<usize>,
    /// How events are compressed.
    #[arg(long, default_value = "none")]
    codec: Codec,
    /// Different tokens that events bear, in turn.
    #[arg(long, default_value_t = 50)]
    tokens: usize,
    /// Closed loop: requests that each connection keeps unanswered.
    #[arg(long, default_value_t = 5)]
    in_flight: usize,
    /// Open loop: requests a second over all connections, sent at their time whether answers come or not.
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// Seconds before them.
    #[arg(long, default_value_t = 0.3)]
    warm: f64,
    /// NAME=PID of a process whose processor time over the measured seconds is wanted, may be repeated.
    #[arg(long)]
    watch: Vec<run::Watch>,
}

/// Connections that do nothing until they are told to.
#[derive(clap::Args)]
pub(crate) struct IdleArgs {
    #[command(flatten)]
    target: Target,
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    /// Records of 1 KiB in a request or an answer, when they are busy.
    #[arg(long, default_value_t = 16)]
    records: usize,
    /// Seconds for which they are busy.
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// NAME=PID of a process whose processor time is wanted, may be repeated.
    #[arg(long)]
    watch: Vec<run::Watch>,
}

/// Connections that are opened with TLS, ask for ApiVersions, and are closed.
#[derive(clap::Args)]
pub(crate) struct HandshakesArgs {
    /// Where to.
    #[arg(long)]
    address: String,
    /// Whom to trust: a file in PEM.
    #[arg(long)]
    ca: PathBuf,
    /// Sessions are resumed; else each is a whole handshake.
    #[arg(long)]
    resume: bool,
    /// Threads, of which each has one connection at a time.
    #[arg(long, default_value_t = 4)]
    threads: usize,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// NAME=PID of a process whose processor time is wanted, may be repeated.
    #[arg(long)]
    watch: Vec<run::Watch>,
}

/// Groups that commit the same offset in every partition.
#[derive(clap::Args)]
pub(crate) struct CommitArgs {
    #[command(flatten)]
    target: Target,
    /// Batches of one record of 1 KiB that each partition is sent before.
    #[arg(long, default_value_t = 0)]
    batches: u32,
    /// Batches a second that each partition is sent at most.
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// NAME=OFFSET of a group, may be repeated.
    #[arg(long, value_parser = group)]
    group: Vec<(String, i64)>,
}

/// Topics to be made.
#[derive(clap::Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    target: Target,
    /// NAME=VALUE of a topic setting, may be repeated.
    #[arg(long, value_parser = setting)]
    setting: Vec<(String, String)>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn group(text: &str) -> Result<(String, i64), String> {
    let (name, offset) = setting(text)?;
    let offset = offset.parse().map_err(|_| format!("`{offset}` is not an offset"))?;
    Ok((name, offset))
}

/// Has groups commit, and prints how many offsets they did.
pub(crate) fn commit(args: &CommitArgs) -> Result<()> {
    println!("{}", commit::run(args)?);
    Ok(())
}

/// Creates topics on a real cluster.
pub(crate) fn create(args: &CreateArgs) -> Result<()> {
    create::run(&args.target, &args.setting)
}

/// Runs a load and prints its report.
pub(crate) fn run(args: &Args) -> Result<()> {
    println!("{}", serde_json::to_string(&run::run(args)?)?);
    Ok(())
}

/// Opens idle connections, step by step as standard input asks.
pub(crate) fn idle(args: &IdleArgs) -> Result<()> {
    idle::run(args)
}

/// Opens connections with TLS one after the other and prints a report, whose requests are connections.
pub(crate) fn handshakes(args: &HandshakesArgs) -> Result<()> {
    println!("{}", serde_json::to_string(&handshakes::run(args)?)?);
    Ok(())
}
