//! What must be true of a message's bytes.

use super::damage::damage;
use super::dice::roll;
use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use fishplate::wire::codec::decode;
use fishplate::wire::shape::{Shaped, allowance, check};
use kafka_protocol::protocol::Encodable;
use std::any::type_name;
use std::env;
use std::fmt::Debug;

/// What decoding takes besides the message: the count of who shares the frame.
const BESIDES: usize = 64;
/// And an error with its text.
const ERROR: usize = 1_024;
/// And with the stack it came from, where the environment asks for that.
const BACKTRACE: usize = 1 << 20;

/// What kafka-protocol encodes passes the check, which ends where it ends, and is decoded to the same. Cut anywhere,
/// it does not pass. False where the dice gave no message.
pub fn sound<M: Shaped + Encodable + Clone + PartialEq + Debug>(rng: &mut Rng, version: i16) -> bool {
    let Some((message, body)) = roll::<M>(rng, version) else { return false };
    let walked = check::<M>(&body, version).unwrap_or_else(|e| panic!("{version}: {e}: {message:?}"));
    assert_eq!(walked.end, body.len(), "version {version}: {message:?}");
    assert_eq!(decode::<M>(body.clone(), version).as_ref(), Ok(&message));
    let longer = Bytes::from([&body, &[0xff; 9][..]].concat());
    assert_eq!(check::<M>(&longer, version).map(|walked| walked.end), Ok(body.len()), "with bytes after it");
    let cut = body.slice(..rng.usize(..body.len().max(1)).min(body.len()));
    assert!(body.is_empty() || check::<M>(&cut, version).is_err(), "cut at {}: {message:?}", cut.len());
    any::<M>(&damage(rng, &body), version);
    true
}

fn an_error() -> usize {
    let asked = |name| env::var_os(name).is_some_and(|value| value != "0");
    let own = env::var_os("RUST_LIB_BACKTRACE").is_some();
    let traced = if own { asked("RUST_LIB_BACKTRACE") } else { asked("RUST_BACKTRACE") };
    ERROR + if traced { BACKTRACE } else { 0 }
}

/// Any bytes are refused, or decoded (to a message or an error) with no more memory than the check said, and the
/// message can be written anew (or is refused). Whether they passed.
pub fn any<M: Shaped + Encodable>(body: &Bytes, version: i16) -> bool {
    let mut walked = None;
    let info = allocation_counter::measure(|| walked = Some(check::<M>(body, version)));
    assert!(info.bytes_max <= 256, "the check takes {} bytes itself", info.bytes_max);
    let Some(Ok(walked)) = walked else {
        assert!(decode::<M>(body.clone(), version).is_err());
        return false;
    };
    assert!(walked.memory <= allowance(body.len()) && walked.end <= body.len());
    let mut decoded = None;
    let info = allocation_counter::measure(|| decoded = Some(decode::<M>(body.clone(), version)));
    let taken = usize::try_from(info.bytes_max).unwrap_or(usize::MAX);
    let besides = if matches!(decoded, Some(Ok(_))) { BESIDES } else { BESIDES + an_error() };
    assert!(
        taken <= walked.memory + besides,
        "{}: {taken} bytes were taken, {} foreseen",
        type_name::<M>(),
        walked.memory
    );
    if let Some(Ok(message)) = decoded {
        let _written_or_refused = message.encode(&mut BytesMut::new(), version);
    }
    true
}
