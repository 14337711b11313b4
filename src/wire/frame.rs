//! Frames: a 4-byte length, then that many bytes. The limit is checked before memory is taken, and a frame is read
//! straight into one reused buffer of its size, so that record bytes are written once and never moved. Small frames follow
//! small ones: several are read at once and moved to memory of their own.

use super::pool::{Buffer, Pool, Tab};
use super::strangers::guess;
use super::transport::Transport;
use bytes::{Buf, Bytes};
use std::io::{self, IoSliceMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::coop::consume_budget;

/// What a frame's length field takes.
pub const LENGTH: usize = 4;

/// Behind a frame that takes no more than this, so much is read at once: requests without records and acknowledgements come
/// in one system call, several together. Of a large frame that follows a small one, this much is moved at most.
const SMALL: usize = 1 << 10;

/// Who waits for more than this is asked again at once after a read that gave less: its peer is writing just now.
const MUCH: usize = 64 << 10;

/// Why no further frame can be read from a connection.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer wants to send more than we take.
    #[error("a frame of {size} bytes was announced and the limit is {limit}; {}", guess(*size))]
    TooLarge {
        /// What the length field says, read as unsigned.
        size: u32,
        /// The limit in force.
        limit: usize,
    },
    /// The connection ended inside a frame.
    #[error("the connection ended inside a frame")]
    Cut,
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Reads frames off one socket. Cancelling [`Reader::next`] loses nothing: what was read stays here.
#[derive(Debug)]
pub struct Reader {
    pool: Arc<Pool>,
    limit: usize,
    length: Length,
    body: Option<Body>,
    /// What came behind a small frame and is not wanted yet.
    ahead: Bytes,
    /// The latest frame was a small one.
    small: bool,
    amid: Arc<AtomicBool>,
}

/// The length field of the next frame, of which perhaps a part has come (with the frame before it).
#[derive(Debug, Default)]
struct Length {
    bytes: [u8; LENGTH],
    have: usize,
}

#[derive(Debug)]
struct Body {
    buffer: Buffer,
    size: usize,
    have: usize,
}

impl Reader {
    /// Frames of at most `limit` bytes, read into buffers of `pool`.
    #[must_use]
    pub fn new(pool: Arc<Pool>, limit: usize) -> Self {
        let (length, body, ahead) = (Length::default(), None, Bytes::new());
        Self { pool, limit, length, body, ahead, small: true, amid: Arc::default() }
    }

    /// From now on frames of at most this are read.
    pub fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Says to `amid` whether it has waited for the peer inside the frame that it reads: whoever sends that in drops is
    /// inside it all the time.
    #[must_use]
    pub fn telling(self, amid: Arc<AtomicBool>) -> Self {
        Self { amid, ..self }
    }

    /// The next frame without its length field; `None` at a clean end. An idle reader holds no buffer.
    pub async fn next(&mut self, socket: &Transport) -> Result<Option<Bytes>, FrameError> {
        match self.length(socket).await? {
            Some(_) => self.body(socket, Tab::default()).await.map(Some),
            None => Ok(None),
        }
    }

    /// The length of the next frame, once that has come; `None` at a clean end. No memory is taken for it yet.
    pub async fn length(&mut self, socket: &Transport) -> Result<Option<usize>, FrameError> {
        while self.body.is_none() && self.length.have < LENGTH {
            if self.read_some(socket).await? == 0 {
                return if self.length.have == 0 { Ok(None) } else { Err(FrameError::Cut) };
            }
        }
        if let Some(body) = &self.body {
            return Ok(Some(body.size));
        }
        // It may have to wait for memory first, which is not the peer's fault.
        self.amid.store(false, Ordering::Relaxed);
        let announced = u32::from_be_bytes(self.length.bytes);
        let size = usize::try_from(announced).unwrap_or(usize::MAX);
        if size > self.limit {
            return Err(FrameError::TooLarge { size: announced, limit: self.limit });
        }
        Ok(Some(size))
    }

    /// The frame whose length has come, read into memory that was drawn for it.
    pub async fn body(&mut self, socket: &Transport, charge: Tab) -> Result<Bytes, FrameError> {
        if self.body.is_none() {
            let announced = u32::from_be_bytes(std::mem::take(&mut self.length).bytes);
            let size = usize::try_from(announced).unwrap_or(usize::MAX).min(self.limit);
            self.body = Some(Body { buffer: self.pool.take_charged(size, charge), size, have: 0 });
        }
        loop {
            if let Some(body) = self.body.take_if(|body| body.have == body.size) {
                self.small = LENGTH + body.size <= SMALL;
                self.amid.store(false, Ordering::Relaxed);
                return Ok(body.buffer.freeze(body.size));
            }
            if self.read_some(socket).await? == 0 {
                return Err(FrameError::Cut);
            }
        }
    }

    /// Whether a frame has begun and is not complete.
    #[must_use]
    pub fn is_amid(&self) -> bool {
        self.body.is_some() || self.length.have > 0
    }

    /// Reads what there is, and waits for it; 0 at the end.
    async fn read_some(&mut self, socket: &Transport) -> Result<usize, FrameError> {
        // A peer that always has more to read must not keep this thread from everybody else.
        consume_budget().await;
        loop {
            match self.fill(socket) {
                Ok(read) => return Ok(read),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.amid.store(self.is_amid(), Ordering::Relaxed);
                    socket.readable().await?;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// One read at most. The body's rest and the next frame's length field come in one system call.
    fn fill(&mut self, socket: &Transport) -> io::Result<usize> {
        let Length { bytes, have } = &mut self.length;
        let length_rest = bytes.get_mut(*have..).unwrap_or_default();
        let Some(body) = &mut self.body else {
            let mut read = take(&mut self.ahead, length_rest);
            if read == 0 && self.small {
                read = read_ahead(socket, length_rest, &mut self.ahead)?;
            } else if read == 0 {
                read = socket.read(&mut [IoSliceMut::new(length_rest)], true)?;
            }
            *have += read;
            return Ok(read);
        };
        let missing = body.size - body.have;
        let room = body.buffer.memory_mut().get_mut(body.have..body.size).unwrap_or_default();
        let mut read = take(&mut self.ahead, room);
        if read == 0 {
            read = socket.read(&mut [IoSliceMut::new(room), IoSliceMut::new(length_rest)], missing <= MUCH)?;
        }
        body.have += read.min(missing);
        *have += read.saturating_sub(missing);
        Ok(read)
    }
}

/// Moves as much as there is, and as there is room for. What is empty holds no memory.
fn take(ahead: &mut Bytes, into: &mut [u8]) -> usize {
    let taken = ahead.len().min(into.len());
    if let Some(into) = into.get_mut(..taken) {
        ahead.copy_to_slice(into);
    }
    if ahead.is_empty() {
        *ahead = Bytes::new();
    }
    taken
}

/// Reads a length field's rest and what comes behind it. Gives how much of the field came.
fn read_ahead(socket: &Transport, length: &mut [u8], ahead: &mut Bytes) -> io::Result<usize> {
    let mut behind = [0; SMALL];
    let read = socket.read(&mut [IoSliceMut::new(length), IoSliceMut::new(&mut behind)], true)?;
    let more = read.saturating_sub(length.len());
    if more > 0 {
        *ahead = Bytes::copy_from_slice(behind.get(..more).unwrap_or_default());
    }
    Ok(read - more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    async fn pair() -> (TcpStream, Transport) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap());
        let (client, server) = tokio::join!(there, listener.accept());
        (client.unwrap(), Transport::plain(server.unwrap().0))
    }

    fn now(socket: &Transport, into: &mut [u8]) -> io::Result<usize> {
        socket.read(&mut [IoSliceMut::new(into)], false)
    }

    async fn read_all(socket: Transport, limit: usize) -> (Vec<Bytes>, Result<(), FrameError>) {
        let mut reader = Reader::new(Pool::new(1 << 20), limit);
        let mut frames = Vec::new();
        loop {
            match reader.next(&socket).await {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, Ok(())),
                Err(e) => return (frames, Err(e)),
            }
        }
    }

    fn framed(bodies: &[Vec<u8>]) -> Vec<u8> {
        bodies.iter().flat_map(|b| u32::try_from(b.len()).unwrap().to_be_bytes().into_iter().chain(b.clone())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn frames_survive_any_chunking(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..8),
            cuts in prop::collection::vec(1_usize..700, 1..20),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let frames = runtime.block_on(async {
                let (mut from, to) = pair().await;
                from.set_nodelay(true).unwrap();
                let reading = tokio::spawn(read_all(to, 1 << 20));
                let bytes = framed(&bodies);
                let (mut rest, mut sizes) = (bytes.as_slice(), cuts.iter().cycle());
                while !rest.is_empty() {
                    let (now, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                    from.write_all(now).await.unwrap();
                    tokio::task::yield_now().await;
                    rest = later;
                }
                drop(from);
                let (frames, end) = reading.await.unwrap();
                end.unwrap();
                frames
            });
            prop_assert_eq!(frames.iter().map(|f| f.to_vec()).collect::<Vec<_>>(), bodies);
        }
    }

    #[tokio::test]
    async fn small_frames_that_came_together_need_the_socket_once() {
        let (mut from, to) = pair().await;
        from.write_all(&framed(&[vec![1; 30], vec![], vec![2; 300]])).await.unwrap();
        let mut reader = Reader::new(Pool::new(0), 1 << 10);
        assert_eq!(reader.next(&to).await.unwrap().unwrap(), vec![1; 30]);
        // Nothing is left in the socket, and what was read is all there.
        assert_eq!(now(&to, &mut [0; 9]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(reader.next(&to).await.unwrap().unwrap(), vec![]);
        assert_eq!(reader.next(&to).await.unwrap().unwrap(), vec![2; 300]);
        drop(from);
        assert!(reader.next(&to).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn behind_a_large_frame_nothing_is_read_ahead_but_a_length() {
        let (mut from, to) = pair().await;
        let bytes = framed(&[vec![1; 3 * SMALL], vec![2; 30]]);
        from.write_all(&bytes).await.unwrap();
        let mut reader = Reader::new(Pool::new(0), 1 << 20);
        assert_eq!(reader.next(&to).await.unwrap().unwrap(), vec![1; 3 * SMALL]);
        assert_eq!(now(&to, &mut [0; 99]).unwrap(), 30, "records behind it stay for a buffer of their own");
    }

    #[tokio::test]
    async fn too_large_is_refused_before_memory_is_taken() {
        let (mut from, to) = pair().await;
        from.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let (_, end) = read_all(to, 1 << 20).await;
        assert!(matches!(end, Err(FrameError::TooLarge { size: 0x4745_5420, .. })), "{end:?}");
    }

    #[tokio::test]
    async fn an_end_inside_a_frame_is_told_from_a_clean_one() {
        let (mut from, to) = pair().await;
        from.write_all(&[0, 0, 0, 9, 1, 2]).await.unwrap();
        drop(from);
        assert!(matches!(read_all(to, 100).await.1, Err(FrameError::Cut)));
    }

    #[tokio::test]
    async fn a_peer_that_always_has_more_leaves_time_for_others() {
        let (mut from, to) = pair().await;
        let frames = 1_000;
        from.write_all(&[0, 0, 0, 1, 7].repeat(frames)).await.unwrap();
        to.readable().await.unwrap();
        let reading = tokio::spawn(async move {
            let mut reader = Reader::new(Pool::new(0), 10);
            for _ in 0..frames {
                reader.next(&to).await.unwrap().unwrap();
            }
        });
        let mut turns = 0;
        while !reading.is_finished() {
            tokio::task::yield_now().await;
            turns += 1;
        }
        assert!(turns > 3, "{turns}");
    }
}
