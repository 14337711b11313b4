//! `copy`: the plain byte-copying proxy that is the reference: tokio, one task and one reused buffer of 256 KiB per
//! direction, nothing looked at. One listening port per target. With TLS on one side or both it is the reference for that,
//! by the same crates as Fishplate, and one task has both directions, as tokio-rustls is commonly used.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::certificates::Tls;

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
    #[arg(long, conflicts_with_all = ["accept_tls", "connect_tls"])]
    frames: bool,
    /// Clients come with TLS; the certificate is in the folder of `--certificates`.
    #[arg(long, requires = "certificates")]
    accept_tls: bool,
    /// The targets are reached with TLS; whom to trust is in the folder of `--certificates`.
    #[arg(long, requires = "certificates")]
    connect_tls: bool,
    /// A folder of certificates, as `run` makes it.
    #[arg(long)]
    certificates: Option<PathBuf>,
}

/// How a connection is copied.
#[derive(Clone)]
enum How {
    Bytes(usize),
    Frames(usize),
    /// With TLS where there is some.
    Encrypted {
        buffer: usize,
        tls: Tls,
    },
}

impl How {
    fn of(args: &Args) -> Result<Self> {
        let buffer = args.buffer;
        Ok(match &args.certificates {
            Some(folder) => Self::Encrypted { buffer, tls: Tls::read(folder, args.accept_tls, args.connect_tls)? },
            None if args.frames => Self::Frames(buffer),
            None => Self::Bytes(buffer),
        })
    }
}

/// Copies until standard input ends.
pub(crate) fn run(args: &Args) -> Result<()> {
    let how = How::of(args)?;
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
        runtime.spawn(accept(listener, target.to_owned(), how.clone()));
    }
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    runtime.shutdown_background();
    Ok(())
}

async fn accept(listener: TcpListener, target: String, how: How) {
    while let Ok((client, _)) = listener.accept().await {
        match TcpStream::connect(&target).await {
            Ok(server) => join(client, server, &how),
            Err(error) => eprintln!("copy: {target}: {error}"),
        }
    }
}

fn join(client: TcpStream, server: TcpStream, how: &How) {
    for stream in [&client, &server] {
        if let Err(error) = stream.set_nodelay(true) {
            eprintln!("copy: TCP_NODELAY: {error}");
        }
    }
    match how {
        How::Encrypted { buffer, tls } => drop(tokio::spawn(join_encrypted(client, server, *buffer, tls.clone()))),
        How::Frames(buffer) => {
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::spawn(pump_frames(from_client, to_server, *buffer));
            tokio::spawn(pump_frames(from_server, to_client, *buffer));
        }
        How::Bytes(buffer) => {
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::spawn(pump(from_client, to_server, *buffer));
            tokio::spawn(pump(from_server, to_client, *buffer));
        }
    }
}

async fn join_encrypted(client: TcpStream, server: TcpStream, buffer: usize, tls: Tls) {
    let shaken = tokio::try_join!(tls.accept(client), tls.connect(server));
    // Either end may go without a word, also before it has said anything.
    if let Ok((mut client, mut server)) = shaken {
        let _ = copy_bidirectional_with_sizes(&mut client, &mut server, buffer, buffer).await;
    }
}

/// A connection, encrypted or not.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

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
