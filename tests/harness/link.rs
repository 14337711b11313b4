//! A forwarder on loopback that tests put before a broker or before Fishplate: it can cut, stall and slow what runs
//! over it. Threads and blocking sockets: it has to be plain to be trusted, not fast.

use anyhow::Context;
use socket2::SockRef;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

const CHUNK: usize = 64 * 1024;
/// A writer that is blocked looks this often whether its connection was cut.
const WRITER_LOOKS: Duration = Duration::from_millis(100);

/// A port on loopback and the port it forwards to.
pub struct Link {
    port: u16,
    inner: Arc<Inner>,
}

struct Inner {
    host: Ipv4Addr,
    to: AtomicU16,
    state: Mutex<State>,
    changed: Condvar,
    closed: AtomicBool,
}

/// Whose bytes.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    /// Of who connected.
    Client,
    /// Of who listens.
    Server,
}

#[derive(Default)]
struct State {
    /// For connections to come: the end whose bytes are counted, and how many of them pass before it breaks.
    breaks: VecDeque<(usize, usize)>,
    down: bool,
    stalled: bool,
    delay: Duration,
    connections: Vec<Weak<Connection>>,
}

/// The two ends of what one accepted connection became.
struct Connection {
    ends: [TcpStream; 2],
    cut: AtomicBool,
    breaks: Option<(usize, usize)>,
}

impl Link {
    /// Listens on `port` of loopback (0: any) and forwards to port `to`, which need not listen yet.
    pub fn new(port: u16, to: u16) -> anyhow::Result<Self> {
        Self::to_host(port, Ipv4Addr::LOCALHOST, to)
    }

    /// The same to another address of loopback, so that both ports may be one number.
    pub fn to_host(port: u16, host: Ipv4Addr, to: u16) -> anyhow::Result<Self> {
        let listener = listen(port).with_context(|| format!("link port {port}"))?;
        let port = listener.local_addr()?.port();
        let inner = Arc::new(Inner {
            host,
            to: to.into(),
            state: Mutex::default(),
            changed: Condvar::new(),
            closed: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&inner);
        thread::spawn(move || accepting.accept(&listener));
        Ok(Self { port, inner })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it forwards new connections to.
    pub fn leads_to(&self) -> u16 {
        self.inner.to.load(Ordering::Relaxed)
    }

    /// Forwards new connections to this port from now on.
    pub fn lead_to(&self, port: u16) {
        self.inner.to.store(port, Ordering::Relaxed);
    }

    /// Breaks all connections with RST; what is under way is lost. New ones are taken.
    pub fn cut(&self) {
        self.inner.connections().iter().for_each(|connection| connection.cut());
        self.inner.changed.notify_all();
    }

    /// Ends all connections with FIN, to both sides. New ones are taken.
    pub fn close(&self) {
        for connection in self.inner.connections() {
            connection.end();
        }
    }

    /// Breaks all connections and every new one at once, until `up`.
    pub fn down(&self) {
        self.inner.state().down = true;
        self.cut();
    }

    /// Takes connections again.
    pub fn up(&self) {
        self.inner.state().down = false;
    }

    /// Each of the next connections breaks when it has carried so many bytes of this side: with RST after an even number,
    /// else with FIN. `flow` forgets those that are left.
    pub fn break_after(&self, side: Side, bytes: impl IntoIterator<Item = usize>) {
        let end = match side {
            Side::Client => 0,
            Side::Server => 1,
        };
        self.inner.state().breaks.extend(bytes.into_iter().map(|bytes| (end, bytes)));
    }

    /// Whether no more connections are to break by themselves.
    pub fn has_broken_all(&self) -> bool {
        self.inner.state().breaks.is_empty()
    }

    /// Connections stay open and carry nothing, until `flow`.
    pub fn stall(&self) {
        self.inner.state().stalled = true;
    }

    /// Carries again, with no delay.
    pub fn flow(&self) {
        let mut state = self.inner.state();
        state.stalled = false;
        state.delay = Duration::ZERO;
        state.breaks.clear();
        self.inner.changed.notify_all();
    }

    /// Every piece of at most 64 KiB waits so long before it goes on, until `flow`.
    pub fn slow(&self, delay: Duration) {
        self.inner.state().delay = delay;
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.inner.connections().len()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.inner.closed.store(true, Ordering::Relaxed);
        self.flow();
        self.cut();
        // Wakes the accepting thread, which then ends; if this fails, it has ended.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self) -> Vec<Arc<Connection>> {
        let mut state = self.state();
        state.connections.retain(|connection| connection.strong_count() > 0);
        state.connections.iter().filter_map(Weak::upgrade).collect()
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().flatten() {
            if self.closed.load(Ordering::Relaxed) {
                return;
            }
            let to = self.to.load(Ordering::Relaxed);
            // Held over the connect, so that `down` breaks either this connection or the next.
            let mut state = self.state();
            let server = if state.down { None } else { TcpStream::connect((self.host, to)).ok() };
            let Some(server) = server else {
                // As a port where nobody listens: RST. Fails only where the client is gone.
                let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
                continue;
            };
            let connection = Arc::new(Connection {
                ends: [client, server],
                cut: AtomicBool::new(false),
                breaks: state.breaks.pop_front(),
            });
            connection.prepare();
            state.connections.push(Arc::downgrade(&connection));
            drop(state);
            for from in [0, 1] {
                let (link, connection) = (Arc::clone(self), Arc::clone(&connection));
                thread::spawn(move || link.pump(&connection, from));
            }
        }
    }

    /// Carries one direction until it ends.
    fn pump(&self, connection: &Connection, from: usize) {
        let (mut source, sink) = (&connection.ends[from], &connection.ends[1 - from]);
        let mut buffer = vec![0; CHUNK];
        let mut left = connection.breaks.filter(|(end, _)| *end == from).map(|(_, bytes)| bytes);
        while let Ok(read @ 1..) = source.read(&mut buffer) {
            self.wait_for_flow(connection);
            let carried = left.map_or(read, |left| left.min(read));
            if !connection.write(sink, &buffer[..carried]) {
                break;
            }
            left = left.map(|left| left - carried);
            if left == Some(0) {
                return connection.break_off();
            }
        }
        if !connection.cut.load(Ordering::Relaxed) {
            // The other direction may go on: a half-closed connection is one. Fails only where the end is gone.
            let _ = sink.shutdown(Shutdown::Write);
        }
    }

    fn wait_for_flow(&self, connection: &Connection) {
        let stopped = |state: &mut State| state.stalled && !connection.cut.load(Ordering::Relaxed);
        let state = self.changed.wait_while(self.state(), stopped).unwrap_or_else(PoisonError::into_inner);
        let delay = state.delay;
        drop(state);
        thread::sleep(delay);
    }
}

impl Connection {
    /// None of these fails on a live socket, and a dead one is noticed by reading.
    fn prepare(&self) {
        for end in &self.ends {
            let _ = end.set_nodelay(true);
            let _ = end.set_write_timeout(Some(WRITER_LOOKS));
        }
    }

    /// Writes all, or says false where the connection was cut or is gone.
    fn write(&self, mut sink: &TcpStream, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() && !self.cut.load(Ordering::Relaxed) {
            match sink.write(bytes) {
                Ok(0) => return false,
                Ok(written) => bytes = &bytes[written..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => return false,
            }
        }
        bytes.is_empty()
    }

    fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
        for end in &self.ends {
            // Closing with a linger of zero is what sends RST; both fail only on an end that is gone already.
            let _ = SockRef::from(end).set_linger(Some(Duration::ZERO));
            let _ = end.shutdown(Shutdown::Read);
        }
    }

    fn break_off(&self) {
        if self.breaks.is_some_and(|(_, bytes)| bytes % 2 == 1) { self.end() } else { self.cut() }
    }

    fn end(&self) {
        for end in &self.ends {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

/// A port that was found free a moment ago may still be held by the fork of another thread's child, until that is executed.
fn listen(port: u16) -> io::Result<TcpListener> {
    let free_by = Instant::now() + Duration::from_secs(2);
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < free_by => {
                thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}
