//! Connections with TLS, opened and closed as fast as goes: what a proxy is asked when all clients come again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use kafka_protocol::messages::ApiVersionsRequest;
use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::certificates;

use super::HandshakesArgs;
use super::client::encode;
use super::run::{Report, Tally, Window};

const WARM: Duration = Duration::from_millis(200);
/// Of ApiVersions: every proxy and broker has it.
const VERSION: i16 = 2;

pub(super) fn run(args: &HandshakesArgs) -> Result<Report> {
    let stop = Arc::new(AtomicBool::new(false));
    let (mut tallies, mut threads) = (Vec::new(), Vec::new());
    for _ in 0..args.threads {
        // Each thread has sessions of its own to resume.
        let mut config = ClientConfig::clone(&*certificates::client(&args.ca)?);
        if !args.resume {
            config.resumption = Resumption::disabled();
        }
        let (address, config) = (args.address.clone(), Arc::new(config));
        let (stop, tally) = (Arc::clone(&stop), Arc::new(Tally::default()));
        tallies.push(Arc::clone(&tally));
        threads.push(std::thread::spawn(move || -> Result<()> {
            while !stop.load(Ordering::Relaxed) {
                tally.add(once(&address, &config)?, 0);
            }
            Ok(())
        }));
    }
    std::thread::sleep(WARM);
    let window = Window::begin(&args.watch, &tallies)?;
    std::thread::sleep(Duration::from_secs_f64(args.seconds));
    let report = window.end(&tallies, VERSION)?;
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().map_err(|_| anyhow!("a thread of the load panicked"))??;
    }
    ensure!(report.requests > 0, "nobody answered");
    Ok(report)
}

/// Opens one connection; it is open when its first request is answered. How many bytes that were.
fn once(address: &str, config: &Arc<ClientConfig>) -> Result<u64> {
    let socket = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    socket.set_nodelay(true)?;
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(config), certificates::name())?, socket);
    stream.write_all(&encode(VERSION, 1, &ApiVersionsRequest::default())?)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length))?];
    stream.read_exact(&mut answer)?;
    stream.conn.send_close_notify();
    let _ = stream.conn.complete_io(&mut stream.sock);
    Ok(answer.len() as u64)
}
