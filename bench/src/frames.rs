//! Kafka frames over a blocking socket: whole frames in through one reused buffer, vectored pieces out, and a cursor
//! over a frame's fields. Knows no API.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// Large enough that a read returns all that a socket holds, small enough to stay in a core's cache.
const BUFFER: usize = 256 * 1024;
/// From here on a read stops at the frame's end, so that no part of the next frame has to be moved.
const EXACT: usize = 64 * 1024;
/// No frame of ours is larger; a length beyond it means that the two ends lost each other.
const LIMIT: usize = 64 * 1024 * 1024;

/// Frames as they come in on a connection.
pub(crate) struct Frames {
    stream: Arc<TcpStream>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Frames {
    /// Reads from `stream`; its writer may be another thread.
    pub(crate) fn new(stream: Arc<TcpStream>) -> Self {
        Self { stream, buffer: vec![0; BUFFER], start: 0, end: 0 }
    }

    /// The next frame without its length, `None` at the end of the stream between two frames.
    pub(crate) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if !self.fill(4)? {
            return Ok(None);
        }
        let length = self.length()?;
        if !self.fill(4 + length)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let from = self.start + 4;
        self.start = from + length;
        Ok(self.buffer.get(from..from + length))
    }

    fn length(&self) -> io::Result<usize> {
        let head = self.buffer.get(self.start..self.start + 4).and_then(|bytes| bytes.try_into().ok());
        head.map(i32::from_be_bytes)
            .and_then(|length| usize::try_from(length).ok())
            .filter(|length| *length <= LIMIT)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a frame's length is out of bounds"))
    }

    /// Has at least `wanted` bytes in the buffer; false when the stream ended before the first of them.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        while self.end - self.start < wanted {
            self.make_room(wanted);
            let missing = wanted - (self.end - self.start);
            let until = if missing >= EXACT { self.end + missing } else { self.buffer.len() };
            let space = self.buffer.get_mut(self.end..until).unwrap_or_default();
            match (&*self.stream).read(space) {
                Ok(0) if self.end == self.start => return Ok(false),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn make_room(&mut self, wanted: usize) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.start + wanted > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if wanted > self.buffer.len() {
            self.buffer.resize(wanted.next_power_of_two(), 0);
        }
    }
}

/// Writes all pieces with as few system calls as the socket allows.
pub(crate) fn write_pieces(stream: &TcpStream, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
    let mut stream = stream;
    while !pieces.is_empty() {
        match stream.write_vectored(pieces) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut pieces, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Puts the length before a frame that was built behind four spare bytes.
pub(crate) fn seal(frame: &mut [u8], length: usize) {
    let length = i32::try_from(length).unwrap_or(i32::MAX);
    if let Some(head) = frame.get_mut(..4) {
        head.copy_from_slice(&length.to_be_bytes());
    }
}

/// Reads a frame's fields one after another; `None` where the frame is shorter than its fields say.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn int16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn int32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn uvarint(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = usize::from(self.array::<1>()?[0]);
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A compact string, compact bytes or the length of a compact array, null read as empty.
    pub(crate) fn compact(&mut self) -> Option<&'a [u8]> {
        let length = self.uvarint()?;
        self.take(length.saturating_sub(1))
    }

    /// The client id of a request header: a plain nullable string, also where the rest is compact.
    pub(crate) fn nullable(&mut self) -> Option<&'a [u8]> {
        let length = self.int16()?;
        self.take(usize::try_from(length).unwrap_or(0))
    }

    pub(crate) fn skip_tags(&mut self) -> Option<()> {
        for _ in 0..self.uvarint()? {
            self.uvarint()?;
            let length = self.uvarint()?;
            self.take(length)?;
        }
        Some(())
    }
}

/// Appends an unsigned varint.
pub(crate) fn put_uvarint(out: &mut Vec<u8>, value: usize) {
    let mut rest = value;
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn frames_survive_any_chunking() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let sizes = [0usize, 1, 70_000, 3, 300_000, 5, 1_000_000];
        let writer = std::thread::spawn(move || {
            let mut all = Vec::new();
            for size in sizes {
                all.extend_from_slice(&(size as i32).to_be_bytes());
                all.extend(std::iter::repeat_n(size as u8, size));
            }
            for chunk in all.chunks(7_777) {
                client.write_all(chunk).unwrap();
            }
        });
        let mut frames = Frames::new(Arc::new(server));
        for size in sizes {
            let frame = frames.next().unwrap().unwrap();
            assert_eq!(frame.len(), size);
            assert!(frame.iter().all(|byte| *byte == size as u8));
        }
        writer.join().unwrap();
        assert!(frames.next().unwrap().is_none());
    }

    #[test]
    fn a_varint_comes_back() {
        for value in [0, 127, 128, 300, 1 << 28] {
            let mut out = Vec::new();
            put_uvarint(&mut out, value);
            assert_eq!(Cursor(&out).uvarint(), Some(value));
        }
    }
}
