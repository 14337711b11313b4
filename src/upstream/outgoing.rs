//! What goes to a broker over a link, and what comes back: the request and how it is written, who waits, how long, and the
//! broker's answer. Knows no link.

use super::versions::Versions;
use crate::error::Fault;
use crate::wire::codec::{Frame, decode};
use crate::wire::malformed::Malformed;
use crate::wire::shape::Shaped;
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The correlation id and an empty list of tagged fields.
const PLAIN_HEAD: usize = 5;

/// A broker's answer to one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The whole frame, without its length field.
    pub frame: Bytes,
    /// Where the body begins.
    pub body_at: usize,
    /// The API that was asked.
    pub api: ApiKey,
    /// The version that was spoken on the link.
    pub version: i16,
    pub(super) doubt: Doubt,
}

/// The first answer of a link that could not be read.
pub(super) type Doubt = Arc<OnceLock<Malformed>>;

impl Answer {
    /// The body, decoded. A broker whose answer cannot be read is not to be trusted: its link ends when the callback
    /// that found this out has returned. Not at once, for the callback may hold a lock that others who wait need.
    pub fn decode<M: Shaped>(&self) -> Result<M, Malformed> {
        decode(self.frame.slice(self.body_at.min(self.frame.len())..), self.version).inspect_err(|malformed| {
            let _the_first_stands = self.doubt.set(malformed.clone());
        })
    }

    /// Whether the head holds nothing but the correlation id: a tagged field there must not reach a client either.
    #[must_use]
    pub fn has_plain_head(&self) -> bool {
        self.body_at <= PLAIN_HEAD
    }
}

/// What is called with the answer or the reason why there is none: exactly once, on the link's own task or, where the
/// link is dead already, at once. It must not block.
pub type OnAnswer = Box<dyn FnOnce(Result<Answer, Fault>) + Send>;

/// Writes a request for a broker's versions: gets the version table and a correlation id, gives the version used.
pub type Write = Box<dyn FnOnce(&Versions, i32) -> Result<(i16, Frame), Fault> + Send>;

/// A request on its way to a broker.
pub struct Outgoing {
    /// The API.
    pub api: ApiKey,
    /// Makes the frame, once the link knows what the broker speaks.
    pub write: Write,
    /// Who waits for what comes back.
    pub expect: Expect,
    /// How long the answer may take.
    pub patience: Patience,
}

/// How long an answer may take, from when the broker owes it: it answers a connection's requests one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Beyond this it is late: perhaps somebody else can answer by now.
    pub late: Duration,
    /// Beyond this the link is given up.
    pub over: Duration,
}

/// What a request expects of the broker.
pub enum Expect {
    /// An answer.
    Answer(OnAnswer),
    /// None (Produce with acks=0). Called if the link dies before or after the request was sent.
    Nothing {
        /// The request's size: nobody's answer bounds how many of these there are, so what waits is counted.
        bytes: usize,
        /// Who is told.
        on_fault: Box<dyn FnOnce(Fault) + Send>,
    },
}

/// A request that was not sent.
#[must_use = "somebody waits for an answer"]
pub struct Refused(Expect, Fault);

impl Refused {
    /// A request that never reached a link.
    pub fn new(expect: Expect, fault: Fault) -> Self {
        Self(expect, fault)
    }

    /// Why; who waits is told by the caller.
    pub fn into_fault(self) -> Fault {
        self.1
    }

    /// Tells who waits.
    pub fn tell(self) {
        self.0.fail(self.1);
    }
}

impl Expect {
    pub(super) fn unanswered_bytes(&self) -> usize {
        match self {
            Self::Answer(_) => 0,
            Self::Nothing { bytes, .. } => *bytes,
        }
    }

    pub(super) fn fail(self, fault: Fault) {
        match self {
            Self::Answer(on_answer) => on_answer(Err(fault)),
            Self::Nothing { on_fault, .. } => on_fault(fault),
        }
    }
}
