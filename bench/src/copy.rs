//! `copy`: the plain byte-copying proxy that is the reference: tokio, one task and one reused buffer of 256 KiB per
//! direction, nothing looked at. One listening port per target.

use std::io::{BufRead, Write};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// A copier. Prints the ports it has, then reads where they lead from standard input: `HOST:PORT,HOST:PORT,...`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many ports.
    #[arg(long, default_value_t = 1)]
    ports: usize,
    /// Bytes of each buffer.
    #[arg(long, default_value_t = 256 * 1024)]
    buffer: usize,
    /// Whole frames at a time (a length, then so many bytes), as a proxy must that looks at what they hold.
    #[arg(long)]
    frames: bool,
}

/// Copies until standard input ends.
pub(crate) fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut listeners = Vec::new();
    for _ in 0..args.ports {
        listeners.push(runtime.block_on(TcpListener::bind("127.0.0.1:0"))?);
    }
    let addresses: Result<Vec<_>, _> = listeners.iter().map(TcpListener::local_addr).collect();
    let addresses: Vec<_> = addresses?.iter().map(ToString::to_string).collect();
    println!("listening on {}", addresses.join(","));
    std::io::stdout().flush()?;
    let mut targets = String::new();
    std::io::stdin().lock().read_line(&mut targets).context("where the ports lead")?;
    for (listener, target) in listeners.into_iter().zip(targets.trim().split(',')) {
        runtime.spawn(accept(listener, target.to_owned(), args.buffer, args.frames));
    }
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    runtime.shutdown_background();
    Ok(())
}

async fn accept(listener: TcpListener, target: String, buffer: usize, frames: bool) {
    while let Ok((client, _)) = listener.accept().await {
        match TcpStream::connect(&target).await {
            Ok(server) => join(client, server, buffer, frames),
            Err(error) => eprintln!("copy: {target}: {error}"),
        }
    }
}

fn join(client: TcpStream, server: TcpStream, buffer: usize, frames: bool) {
    for stream in [&client, &server] {
        if let Err(error) = stream.set_nodelay(true) {
            eprintln!("copy: TCP_NODELAY: {error}");
        }
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    if frames {
        tokio::spawn(pump_frames(from_client, to_server, buffer));
        tokio::spawn(pump_frames(from_server, to_client, buffer));
    } else {
        tokio::spawn(pump(from_client, to_server, buffer));
        tokio::spawn(pump(from_server, to_client, buffer));
    }
}

/// Either end may go without a word; the other is then closed by dropping it.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, buffer: usize) {
    let mut buffer = vec![0; buffer];
    while let Ok(read) = from.read(&mut buffer).await {
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

async fn pump_frames(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, buffer: usize) {
    let mut buffer = vec![0; buffer];
    while let Ok(length) = from.read_u32().await {
        let whole = 4 + usize::try_from(length).unwrap_or(usize::MAX);
        buffer.resize(buffer.len().max(whole), 0);
        let Some((head, body)) = buffer.get_mut(..whole).and_then(|frame| frame.split_at_mut_checked(4)) else { break };
        head.copy_from_slice(&length.to_be_bytes());
        if from.read_exact(body).await.is_err() || to.write_all(buffer.get(..whole).unwrap_or_default()).await.is_err()
        {
            break;
        }
    }
    let _ = to.shutdown().await;
}
