//! Random messages without a table of their fields: kafka-protocol's own decoder reads from dice, and asks them for
//! whatever its message has. So they are independent of the tables that they are to prove.

use bytes::{Buf, Bytes, BytesMut, TryGetError};
use fastrand::Rng;
use kafka_protocol::protocol::buf::ByteBuf;
use kafka_protocol::protocol::{Decodable, Encodable};
use std::ops::Range;

/// As many draws make a message that is large enough.
const DRAWS: u32 = 2_000;
/// So many messages are tried: where a field must not be null, some fail.
const TRIES: u32 = 300;

/// A message and its bytes.
pub fn roll<M: Decodable + Encodable>(rng: &mut Rng, version: i16) -> Option<(M, Bytes)> {
    for _ in 0..TRIES {
        let mut dice = Dice { nulls: [0.0, 0.02, 0.2, 0.6][rng.usize(..4)], rng: rng.fork(), draws: 0 };
        let Ok(message) = M::decode(&mut dice, version) else { continue };
        let mut body = BytesMut::new();
        if message.encode(&mut body, version).is_ok() {
            return Some((message, body.freeze()));
        }
    }
    None
}

/// A buffer that is made up as it is read. Small numbers come most, for any may be a length.
struct Dice {
    rng: Rng,
    /// How often a length is that of null.
    nulls: f64,
    draws: u32,
}

impl Dice {
    fn draw(&mut self) -> Result<(), TryGetError> {
        self.draws += 1;
        if self.draws > DRAWS { Err(TryGetError { requested: 1, available: 0 }) } else { Ok(()) }
    }

    /// A length, from 0 on, or `None` for null.
    fn length(&mut self) -> Option<u8> {
        if self.rng.f64() < self.nulls { None } else { Some([0, 1, 1, 1, 2, 2, 3, 5][self.rng.usize(..8)]) }
    }
}

impl Buf for Dice {
    fn remaining(&self) -> usize {
        usize::MAX / 2
    }

    fn chunk(&self) -> &[u8] {
        &[]
    }

    fn advance(&mut self, _: usize) {}

    /// A compact length, with null at 0; a count of tagged fields, a tag, a size; now and then of two bytes.
    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        self.draw()?;
        if self.rng.u16(..) < 100 {
            return Ok(0x80 | self.rng.u8(..4));
        }
        Ok(self.length().map_or(0, |length| length + 1))
    }

    fn try_get_i8(&mut self) -> Result<i8, TryGetError> {
        self.draw()?;
        Ok([-1, 0, 1, 1, 2][self.rng.usize(..5)])
    }

    fn try_get_i16(&mut self) -> Result<i16, TryGetError> {
        self.draw()?;
        Ok(self.length().map_or(-1, i16::from))
    }

    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        self.draw()?;
        Ok(self.length().map_or(-1, i32::from))
    }

    fn try_get_i64(&mut self) -> Result<i64, TryGetError> {
        self.draw()?;
        Ok(self.rng.i64(..))
    }

    // Those that are left to `bytes` panic where the draws are used up.
    fn try_get_u16(&mut self) -> Result<u16, TryGetError> {
        self.draw()?;
        Ok(self.rng.u16(..))
    }

    fn try_get_u32(&mut self) -> Result<u32, TryGetError> {
        self.draw()?;
        Ok(self.rng.u32(..))
    }

    fn try_get_f64(&mut self) -> Result<f64, TryGetError> {
        self.draw()?;
        Ok(self.rng.f64())
    }

    fn try_copy_to_slice(&mut self, to: &mut [u8]) -> Result<(), TryGetError> {
        self.draw()?;
        // Now and then one of a few, so that an id here may be an id there.
        if self.rng.bool() {
            to.fill(self.rng.u8(..6))
        } else {
            self.rng.fill(to)
        }
        Ok(())
    }
}

impl ByteBuf for Dice {
    fn peek_bytes(&mut self, range: Range<usize>) -> Bytes {
        self.get_bytes(range.len())
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        // Of few letters, so that a name here may be a name there.
        let last = if self.rng.bool() { b'd' } else { b'z' };
        (0..size).map(|_| self.rng.u8(b'a'..=last)).collect()
    }
}
