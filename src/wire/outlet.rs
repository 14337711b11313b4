//! The sending half of one socket, shared by whoever has frames for it. A frame is written at once, on the task that
//! has it, while the socket takes it; only what it does not take waits in a queue that a task of its own empties.
//! So the usual frame costs one system call and wakes nobody, and an idle connection holds no writing task. Small frames
//! that one task makes without waiting in between leave together: see [`Together`].

use super::codec::Frame;
use super::transport::Transport;
use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// At most this many pieces go into one system call.
const PIECES_A_WRITE: usize = 64;

/// A peer that has gone without a word is noticed after this long, and a few more probes.
const SILENT_FOR: Duration = Duration::from_secs(120);

/// As much as this is written at once, whoever else gathers more.
const AT_ONCE: usize = 64 << 10;

/// Small frames leave at once, and a peer that vanished does not stay for ever (Kafka sets both on its sockets).
pub fn tune(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    SockRef::from(socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENT_FOR))
}

/// See the module's text.
#[derive(Debug)]
pub struct Outlet {
    socket: Arc<Transport>,
    queue: Mutex<Queue>,
    /// Rings when the queue has become shorter, and when the outlet closes.
    drained: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// What the socket has taken so far.
    taken: u64,
    end: End,
    /// A task is emptying the queue.
    emptying: bool,
    /// A task that gathers frames will see to the queue before it waits for anything.
    put_off: bool,
}

/// What becomes of the socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    /// Sends what is queued, then says so to the peer (FIN); reading goes on.
    Finishing,
    Closed,
}

impl Outlet {
    /// The sending half of `socket`.
    #[must_use]
    pub fn new(socket: Arc<Transport>) -> Arc<Self> {
        Arc::new(Self { socket, queue: Mutex::default(), drained: Notify::new() })
    }

    /// Writes a frame now, or queues what the socket does not take. `false` where the outlet has ended: nothing of
    /// this frame was or will be sent.
    pub fn send(self: &Arc<Self>, frame: Frame) -> bool {
        let mut queue = self.queue.lock();
        if queue.end != End::Open {
            return false;
        }
        queue.bytes += frame.iter().map(Bytes::len).sum::<usize>();
        queue.pieces.extend(frame);
        if !queue.emptying && !self.put_off(&mut queue) {
            self.empty(&mut queue);
        }
        true
    }

    /// Leaves the queue to the task that runs now, where it gathers frames.
    fn put_off(self: &Arc<Self>, queue: &mut Queue) -> bool {
        if queue.bytes >= AT_ONCE {
            return false;
        }
        GATHERED.with_borrow_mut(|gathered| {
            let Some(gathered) = gathered else { return false };
            queue.put_off = true;
            // Another task that gathers may be slower.
            if !gathered.iter().any(|known| Arc::ptr_eq(known, self)) {
                gathered.push(Arc::clone(self));
            }
            true
        })
    }

    /// Writes what was put off.
    fn write_put_off(self: &Arc<Self>) {
        let mut queue = self.queue.lock();
        queue.put_off = false;
        if !queue.emptying && queue.end != End::Closed {
            self.empty(&mut queue);
        }
        self.drained.notify_waiters();
    }

    /// Bytes that wait for the socket.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.queue.lock().bytes
    }

    /// Bytes that the socket has taken so far.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.queue.lock().taken
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.lock().end == End::Closed
    }

    /// Waits until no more than `limit` bytes are queued, or the outlet has ended.
    pub async fn room(&self, limit: usize) {
        loop {
            let drained = self.drained.notified();
            {
                let queue = self.queue.lock();
                if queue.bytes <= limit || queue.end == End::Closed {
                    return;
                }
            }
            drained.await;
        }
    }

    /// Takes no more frames; once the queued ones are out, tells the peer that nothing more comes.
    pub fn finish(&self) {
        let mut queue = self.queue.lock();
        if queue.end == End::Open {
            queue.end = End::Finishing;
            // Else by who empties the queue.
            if queue.pieces.is_empty() && !queue.emptying {
                self.socket.shut(Shutdown::Write);
            }
        }
    }

    /// Ends both directions at once; what the socket has not taken is dropped. The reading side sees the end of the stream.
    pub fn close(&self) {
        let mut queue = self.queue.lock();
        if queue.put_off && !queue.emptying {
            // It would have gone at once, had nobody gathered. Where it cannot go any more it is dropped.
            let _ = self.write_some(&mut queue);
        }
        self.close_locked(&mut queue);
    }

    fn close_locked(&self, queue: &mut Queue) {
        if queue.end != End::Closed {
            *queue = Queue { end: End::Closed, ..Queue::default() };
            self.socket.shut(Shutdown::Both);
            self.drained.notify_waiters();
        }
    }

    /// Writes what the socket takes; the rest is left to a task.
    fn empty(self: &Arc<Self>, queue: &mut Queue) {
        match self.write_some(queue) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                queue.emptying = true;
                tokio::spawn(Arc::clone(self).empty_later());
            }
            Err(_) => self.close_locked(queue),
        }
    }

    async fn empty_later(self: Arc<Self>) {
        loop {
            let writable = self.socket.writable().await;
            let mut queue = self.queue.lock();
            let written = writable.and_then(|()| self.write_some(&mut queue));
            self.drained.notify_waiters();
            match written {
                Ok(()) => {
                    queue.emptying = false;
                    return;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return self.close_locked(&mut queue),
            }
        }
    }

    /// Ok when the queue is empty.
    fn write_some(&self, queue: &mut Queue) -> io::Result<()> {
        while !queue.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES_A_WRITE];
            let count = slices.iter_mut().zip(&queue.pieces).map(|(slice, piece)| *slice = IoSlice::new(piece)).count();
            match self.socket.write(slices.get(..count).unwrap_or_default()) {
                Ok(written) => queue.consume(written),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.socket.flush()?;
        if queue.end == End::Finishing {
            self.socket.shut(Shutdown::Write);
        }
        Ok(())
    }
}

thread_local! {
    /// The outlets that the task running now has put off, if it gathers.
    static GATHERED: RefCell<Option<Vec<Arc<Outlet>>>> = const { RefCell::new(None) };
}

/// The outlets whose small frames one task has put off, so that frames made one after the other leave in one system
/// call. Nothing is ever put off while the task waits.
#[derive(Debug, Default)]
pub struct Together(Vec<Arc<Outlet>>);

impl Together {
    /// Does work that sends frames. Small ones stay until the task waits or this is dropped.
    pub fn gather<R>(&mut self, work: impl FnOnce() -> R) -> R {
        GATHERED.set(Some(std::mem::take(&mut self.0)));
        let gathering = Gathering(self);
        let result = work();
        drop(gathering);
        result
    }

    /// Waits for `until`; before it really does, everything put off is written.
    pub async fn wait<F: Future>(&mut self, until: F) -> F::Output {
        let mut until = pin!(until);
        poll_fn(|cx| {
            let polled = until.as_mut().poll(cx);
            if polled.is_pending() {
                self.write();
            }
            polled
        })
        .await
    }

    fn write(&mut self) {
        self.0.drain(..).for_each(|outlet| outlet.write_put_off());
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        self.write();
    }
}

/// Takes what was gathered back, however the work ended.
struct Gathering<'t>(&'t mut Together);

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        self.0.0 = GATHERED.take().unwrap_or_default();
    }
}

impl Queue {
    fn consume(&mut self, mut written: usize) {
        self.bytes = self.bytes.saturating_sub(written);
        self.taken += written as u64;
        while let Some(piece) = self.pieces.front_mut() {
            if piece.len() > written {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    async fn pair() -> (Arc<Outlet>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(there, listener.accept());
        (Outlet::new(Arc::new(Transport::plain(near.unwrap()))), far.unwrap().0)
    }

    #[tokio::test]
    async fn what_the_socket_does_not_take_at_once_still_arrives_in_order() {
        let (outlet, mut far) = pair().await;
        let pieces: Vec<Bytes> = (0..200_u8).map(|n| Bytes::from(vec![n; 100_000])).collect();
        for pair in pieces.chunks(2) {
            assert!(outlet.send(pair.to_vec()));
        }
        assert!(outlet.backlog() > 0, "20 MB do not fit into socket buffers");
        outlet.finish();
        assert!(!outlet.send(vec![Bytes::from_static(b"late")]));
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        assert!(all == pieces.concat());
        outlet.room(0).await;
    }

    /// What the peer has got by now.
    fn got(far: &TcpStream) -> usize {
        let mut bytes = [0; 100];
        far.try_read(&mut bytes).unwrap_or(0)
    }

    #[tokio::test]
    async fn small_frames_leave_together_before_their_task_waits() {
        let ((one, far_one), (two, far_two)) = (pair().await, pair().await);
        let (mut together, frame) = (Together::default(), || vec![Bytes::from_static(b"frame")]);
        together.gather(|| [&one, &two, &one].iter().all(|outlet| outlet.send(frame())));
        assert_eq!((one.backlog(), two.backlog()), (10, 5), "both are put off");
        tokio::task::yield_now().await;
        assert_eq!(got(&far_one), 0);
        together.wait(tokio::task::yield_now()).await;
        for (far, length) in [(&far_one, 10), (&far_two, 5)] {
            far.readable().await.unwrap();
            assert_eq!(got(far), length);
        }
        // Another task's frame takes along what was put off, and what is large is not put off.
        together.gather(|| one.send(frame()));
        one.send(frame());
        assert_eq!(one.backlog(), 0);
        together.gather(|| two.send(vec![Bytes::from(vec![0; AT_ONCE])]));
        assert!(two.backlog() < AT_ONCE);
        far_two.readable().await.unwrap();
    }

    #[tokio::test]
    async fn what_was_put_off_leaves_before_its_connection_is_closed() {
        let (outlet, far) = pair().await;
        let mut together = Together::default();
        together.gather(|| {
            outlet.send(vec![Bytes::from_static(b"frame")]);
            outlet.close();
        });
        far.readable().await.unwrap();
        assert_eq!(got(&far), 5);
    }

    #[tokio::test]
    async fn what_was_put_off_leaves_when_its_task_ends() {
        let (outlet, far) = pair().await;
        let mut together = Together::default();
        let mistake = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            together.gather(|| {
                outlet.send(vec![Bytes::from_static(b"frame")]);
                panic!("a mistake of ours")
            })
        }));
        assert!(mistake.is_err() && outlet.backlog() == 5);
        outlet.finish();
        drop(together);
        far.readable().await.unwrap();
        assert_eq!((got(&far), outlet.backlog()), (5, 0));
        assert!(!outlet.send(Vec::new()), "it has finished");
    }

    #[tokio::test]
    async fn closing_wakes_who_waits_for_room() {
        let (outlet, _far) = pair().await;
        while outlet.backlog() == 0 {
            outlet.send(vec![Bytes::from(vec![0; 1 << 20])]);
        }
        let waiting = tokio::spawn({
            let outlet = Arc::clone(&outlet);
            async move { outlet.room(0).await }
        });
        tokio::task::yield_now().await;
        outlet.close();
        waiting.await.unwrap();
    }
}
