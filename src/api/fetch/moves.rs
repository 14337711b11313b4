//! What a session is to do for its split Fetches.

use crate::api::Codes;
use crate::error::Fault;
use crate::telemetry::observed::Fact;
use crate::types::Target;
use crate::wire::codec::Unwritable;
use crate::wire::fetch::Flat;
use bytes::Bytes;
use std::sync::Arc;

/// What is to be done.
#[derive(Debug)]
pub enum Move<T> {
    /// Send this to a broker, and give its answer, or the reason why there is none, back with the number.
    Ask(Box<Ask>),
    /// Answer a client's Fetch.
    Answer(Box<Leaving<T>>),
}

/// A poll to be sent.
#[derive(Debug)]
pub struct Ask {
    /// Where to.
    pub to: Target,
    /// Which poll it is.
    pub number: u64,
    /// The version of the Fetch that it is for: the one that the client's next answer is written in.
    pub version: i16,
    /// What is asked.
    pub question: Arc<Flat>,
}

/// An answer to a client.
#[derive(Debug)]
pub struct Leaving<T> {
    /// Who is answered.
    pub whose: T,
    /// The answer's body, in the version of the request.
    pub body: Result<Vec<Bytes>, Unwritable>,
    /// The errors in it.
    pub codes: Codes,
    /// Why some of it is missing.
    pub faults: Vec<Fault>,
    /// What it hands out, for who keeps count.
    pub handed: Vec<Fact>,
}

/// What to do, in order.
pub type Moves<T> = Vec<Move<T>>;
