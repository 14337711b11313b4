//! Who reads `/metrics` as Prometheus does, but throws the page away: whole, over a connection of its own, and timed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

/// Large enough that reading costs little beside writing.
const BUFFER: usize = 256 * 1024;
/// A page that does not come on within this time never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A page that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scrape {
    /// From the wish to connect to the last byte.
    pub(super) took: Duration,
    /// Of the page alone.
    pub(super) bytes: u64,
}

/// Reads the page once.
pub(super) fn scrape(admin: &str) -> Result<Scrape> {
    let began = Instant::now();
    let mut socket = TcpStream::connect(admin).with_context(|| format!("connecting to {admin}"))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    // In one piece: a second one would wait until the first is acknowledged.
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let (length, mut bytes) = head(&mut socket)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        match socket.read(&mut buffer)? {
            0 => break,
            read => bytes += read as u64,
        }
    }
    ensure!(bytes == length, "the page has {length} bytes, of which {bytes} came");
    Ok(Scrape { took: began.elapsed(), bytes })
}

/// Reads up to where the page begins; its length, and how much of it has come already.
fn head(socket: &mut TcpStream) -> Result<(u64, u64)> {
    const END: &[u8] = b"\r\n\r\n";
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(at) = read.windows(END.len()).position(|bytes| bytes == END) {
            let head = String::from_utf8_lossy(read.get(..at).unwrap_or_default());
            ensure!(head.starts_with("HTTP/1.1 200 "), "{}", head.lines().next().unwrap_or_default());
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.context("an answer that does not say its length")?.parse()?;
            return Ok((length, (read.len() - at - END.len()) as u64));
        }
        match socket.read(&mut buffer)? {
            0 => bail!("the connection was closed before the page began"),
            more => read.extend_from_slice(buffer.get(..more).unwrap_or_default()),
        }
    }
}

/// Does some work, and reads the page so often meanwhile, for the first time after half of that.
pub(super) fn meanwhile<T>(admin: &str, every: Duration, work: impl FnOnce() -> T) -> (T, Result<Vec<Scrape>>) {
    let (done, told) = channel::<()>();
    std::thread::scope(|scope| {
        let scraping = scope.spawn(move || {
            let (mut all, mut due) = (Vec::new(), Instant::now() + every / 2);
            while told.recv_timeout(due.saturating_duration_since(Instant::now())) == Err(RecvTimeoutError::Timeout) {
                all.push(scrape(admin)?);
                due += every;
            }
            Ok(all)
        });
        let worked = work();
        drop(done);
        (worked, scraping.join().unwrap_or_else(|_| Err(anyhow!("who scrapes panicked"))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Answers whoever comes with this.
    fn serve(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                let _ = socket.read(&mut [0; 1024]);
                let _ = socket.write_all(answer);
            }
        });
        address
    }

    #[test]
    fn a_page_counts_when_it_came_whole() {
        let whole = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
        assert_eq!(scrape(&whole).unwrap().bytes, 5);
        let short = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello");
        assert_eq!(scrape(&short).unwrap_err().to_string(), "the page has 6 bytes, of which 5 came");
        let refused = serve(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(scrape(&refused).unwrap_err().to_string(), "HTTP/1.1 503 Busy");
    }

    #[test]
    fn so_often_as_it_is_due_while_work_lasts() {
        let address = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        let every = Duration::from_millis(400);
        let (worked, scrapes) = meanwhile(&address, every, || std::thread::sleep(2 * every));
        assert_eq!((worked, scrapes.unwrap().len()), ((), 2));
    }
}
