//! What a split share session has its driver do.

use super::ShareAnswer;
use crate::error::Fault;
use crate::types::Target;
use bytes::Bytes;
use kafka_protocol::messages::{
    ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest, ShareFetchResponse,
};
use kafka_protocol::protocol::StrBytes;

/// What is to be done, in this order: a broker counts the requests of a session.
pub type Moves<W> = Vec<Move<W>>;

/// One of them.
#[derive(Debug)]
pub enum Move<W> {
    /// To be sent.
    Send(Sent, Ask),
    /// The member is answered.
    Answer(Leaving<W>),
}

/// A request to a broker, when its answer comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The broker.
    pub to: Target,
    /// Which session of the member's it is of.
    pub series: u64,
    pub(super) incarnation: u32,
    pub(super) number: u64,
}

/// What a broker is asked.
#[derive(Debug)]
pub enum Ask {
    /// For records, for which it may wait.
    Poll(ShareFetchRequest),
    /// To take what became of records.
    Acknowledge(ShareAcknowledgeRequest),
}

/// An answer that leaves.
#[derive(Debug)]
pub struct Leaving<W> {
    /// Who is answered.
    pub whose: W,
    /// With what.
    pub answer: Answer,
    /// Who failed.
    pub faults: Vec<Fault>,
}

/// An answer of either kind.
#[derive(Debug)]
pub enum Answer {
    /// With the frames that its records are slices of.
    Fetch(Box<ShareFetchResponse>, Vec<Bytes>),
    /// To who only acknowledges.
    Acknowledge(ShareAcknowledgeResponse),
}

impl Answer {
    /// An error of the whole, to a member that reads or only acknowledges.
    #[must_use]
    pub fn refusal(reads: bool, code: i16, message: Option<StrBytes>) -> Self {
        if reads {
            Self::Fetch(Box::new(ShareFetchResponse::failed(code, message)), Vec::new())
        } else {
            Self::Acknowledge(ShareAcknowledgeResponse::failed(code, message))
        }
    }
}

impl<W> Leaving<W> {
    pub(super) fn refusing(whose: W, reads: bool, code: i16, message: Option<StrBytes>) -> Self {
        Self { whose, answer: Answer::refusal(reads, code, message), faults: Vec::new() }
    }
}
