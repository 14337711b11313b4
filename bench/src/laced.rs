//! A frame that holds the same batch at many places: our own bytes stand in one buffer and the batch, which all frames
//! of all connections share and which so stays in the processor's cache, is laced in when the frame is written.

use std::io::{self, IoSlice};
use std::net::TcpStream;

use crate::frames::{seal, write_pieces};

/// A frame ready to be sent any number of times.
#[derive(Clone)]
pub(crate) struct Laced {
    /// Length, head and everything else that is not the batch.
    pub(crate) own: Vec<u8>,
    holes: Vec<usize>,
}

impl Laced {
    /// A frame that begins with these bytes, the first four of which are kept for its length.
    pub(crate) fn of(own: Vec<u8>) -> Self {
        Self { own, holes: Vec::new() }
    }

    /// The batch's bytes belong here, behind what `own` holds now.
    pub(crate) fn lace(&mut self) {
        self.holes.push(self.own.len());
    }

    /// How often the batch is in it.
    pub(crate) fn batches(&self) -> usize {
        self.holes.len()
    }

    /// Where in `own` the batch belongs.
    #[cfg(test)]
    pub(crate) fn places(&self) -> &[usize] {
        &self.holes
    }

    /// Bytes of the whole frame, its length included.
    pub(crate) fn size(&self, batch: &[u8]) -> usize {
        self.own.len() + self.holes.len() * batch.len()
    }

    /// Writes the length, once all is in place.
    pub(crate) fn seal(&mut self, batch: &[u8]) {
        let length = self.size(batch) - 4;
        seal(&mut self.own, length);
    }

    /// Sends it under a correlation id, which stands at `at` in requests and in answers elsewhere.
    pub(crate) fn send(&mut self, at: usize, correlation: i32, batch: &[u8], to: &TcpStream) -> io::Result<()> {
        if let Some(place) = self.own.get_mut(at..at + 4) {
            place.copy_from_slice(&correlation.to_be_bytes());
        }
        let mut pieces = Vec::with_capacity(2 * self.holes.len() + 1);
        let mut from = 0;
        for hole in &self.holes {
            pieces.push(IoSlice::new(self.own.get(from..*hole).unwrap_or_default()));
            pieces.push(IoSlice::new(batch));
            from = *hole;
        }
        pieces.push(IoSlice::new(self.own.get(from..).unwrap_or_default()));
        write_pieces(to, &mut pieces)
    }
}
