//! What a hostile or broken peer makes of a message.

use bytes::Bytes;
use fastrand::Rng;

/// Numbers that are lengths nobody means.
const LIES: [i64; 12] =
    [-1, -2, 0, 1, 0x7f, 0x80, 0x7fff, 0xffff, i32::MAX as i64, i32::MIN as i64, u32::MAX as i64, 0x7_ffff_ffff];
/// What is repeated takes at most this.
const REPEATED: usize = 1 << 16;

/// Damages it in one to four places; sometimes in none.
pub fn damage(rng: &mut Rng, body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    for _ in 0..rng.usize(..5) {
        once(rng, &mut bytes);
    }
    Bytes::from(bytes)
}

fn once(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let at = rng.usize(..=bytes.len());
    let end = (at + rng.usize(..8)).min(bytes.len());
    match rng.u8(..10) {
        0 => bytes.truncate(at),
        1 => bytes[at..end].iter_mut().for_each(|byte| *byte = rng.u8(..)),
        2 => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 1 << rng.u8(..8)),
        3 => drop(bytes.drain(at..end)),
        4 => drop(bytes.splice(at..at, std::iter::repeat_with(|| rng.u8(..)).take(end - at).collect::<Vec<_>>())),
        5 => overwrite(bytes, at, &lie(rng)),
        6 => drop(bytes.splice(at..end, lie(rng))),
        7 => repeat(rng, bytes, at),
        8 => many_tags(rng, bytes, at),
        _ => claim_the_rest(rng, bytes, at),
    }
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    bytes[at..].iter_mut().zip(with).for_each(|(byte, new)| *byte = *new);
}

/// Cut somewhere, and from there on one thing that claims all of a body of about this size.
pub fn blow_up(rng: &mut Rng, body: &Bytes, size: usize) -> Bytes {
    let mut bytes = body[..rng.usize(..=body.len())].to_vec();
    let count = i64::try_from(size / rng.usize(1..9)).unwrap_or(0);
    bytes.extend(written(rng, count));
    let piece: Vec<u8> = (0..rng.usize(1..9)).map(|_| rng.u8(..3).wrapping_sub(1)).collect();
    bytes.extend(piece.repeat(size / piece.len()));
    Bytes::from(bytes)
}

/// A number in one of the ways of writing it.
fn lie(rng: &mut Rng) -> Vec<u8> {
    let number = LIES[rng.usize(..LIES.len())];
    written(rng, number)
}

fn written(rng: &mut Rng, number: i64) -> Vec<u8> {
    match rng.u8(..3) {
        0 => number.to_be_bytes()[4..].to_vec(),
        1 => number.to_be_bytes()[6..].to_vec(),
        _ => varint(number.cast_unsigned()),
    }
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 && bytes.len() < 6 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0] & 0x7f);
    bytes
}

/// The same few bytes over and over: elements of a list, or tagged fields.
fn repeat(rng: &mut Rng, bytes: &mut Vec<u8>, at: usize) {
    let piece = bytes[at..(at + rng.usize(1..24)).min(bytes.len())].to_vec();
    if !piece.is_empty() {
        let times = rng.usize(..REPEATED / piece.len());
        bytes.splice(at..at, piece.repeat(times));
    }
}

/// Tagged fields that nobody knows, each another; often at the end, where a message's own are.
fn many_tags(rng: &mut Rng, bytes: &mut Vec<u8>, at: usize) {
    let at = if rng.bool() { bytes.len().saturating_sub(1) } else { at };
    bytes.truncate(at);
    let mut tags: Vec<u64> = (9..9 + rng.u64(..2_000)).collect();
    match rng.u8(..3) {
        0 => rng.shuffle(&mut tags),
        1 => tags.reverse(),
        _ => {}
    }
    bytes.extend(varint(u64::try_from(tags.len()).unwrap_or(0)));
    tags.into_iter().for_each(|tag| bytes.extend([varint(tag), vec![0]].concat()));
}

/// A list of as many elements as there are bytes left, or some fewer, and as many bytes as that takes.
fn claim_the_rest(rng: &mut Rng, bytes: &mut Vec<u8>, at: usize) {
    let filler = rng.u8(..3).wrapping_sub(1);
    let size = rng.usize(..REPEATED);
    let count = i64::try_from(size / rng.usize(1..9)).unwrap_or(0);
    let length = written(rng, count);
    bytes.truncate(at);
    bytes.extend(length);
    bytes.resize(bytes.len() + size, filler);
}
