//! `fishplate-bench`: measures Fishplate beside a plain byte copier and beside no proxy at all, with the same load in
//! the same run. Knows Fishplate only as a program with a config file.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program that prints its results")]
#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap,
        reason = "small numbers of our own"
    )
)]

mod batch;
mod certificates;
mod codec;
mod copy;
mod driver;
mod events;
mod frames;
mod laced;
mod load;
mod procfs;
mod sink;
mod topics;

use clap::Parser;

#[derive(Parser)]
#[command(version, about)]
enum Command {
    /// Measure everything and print the table.
    Run(driver::Args),
    /// Serve a synthetic Kafka cluster.
    Sink(sink::Args),
    /// Copy bytes between ports, looking at none.
    Copy(copy::Args),
    /// Produce, Fetch or ask for Metadata, and say how it went.
    Load(load::Args),
    /// Create topics on a real cluster.
    Create(load::CreateArgs),
    /// Have groups commit offsets.
    Commit(load::CommitArgs),
    /// Hold connections open that do nothing.
    Idle(load::IdleArgs),
    /// Open connections with TLS and close them.
    Handshakes(load::HandshakesArgs),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Run(args) => driver::run(&args),
        Command::Sink(args) => sink::run(args),
        Command::Copy(args) => copy::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Create(args) => load::create(&args),
        Command::Commit(args) => load::commit(&args),
        Command::Idle(args) => load::idle(&args),
        Command::Handshakes(args) => load::handshakes(&args),
    }
}
