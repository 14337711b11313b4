//! What became of acknowledgements, as a member is told.

use crate::api::codes;
use crate::error::Fault;
use kafka_protocol::protocol::StrBytes;

/// What became of a partition's acknowledgements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api::groups::shares) struct Outcome {
    pub(in crate::api::groups::shares) code: i16,
    pub(in crate::api::groups::shares) message: Option<StrBytes>,
}

/// The broker knows no such session, or another.
pub(super) fn is_lost(code: i16) -> bool {
    matches!(code, codes::SHARE_SESSION_NOT_FOUND | codes::INVALID_SHARE_SESSION_EPOCH)
}

/// The locks of its records are gone, or will be: others get them.
pub(super) fn lost() -> Outcome {
    Outcome { code: codes::INVALID_RECORD_STATE, message: None }
}

/// The broker does not say.
pub(super) fn unknown() -> Outcome {
    Outcome { code: codes::UNKNOWN_SERVER_ERROR, message: None }
}

pub(super) fn timed_out() -> Outcome {
    let message = StrBytes::from_static_str("the partition's broker does not answer: nobody knows what became of it");
    Outcome { code: codes::REQUEST_TIMED_OUT, message: Some(message) }
}

/// What a fault means to the whole session, where it will not pass.
pub(super) fn outcome_of(fault: &Fault) -> Option<Outcome> {
    let message = StrBytes::from_static_str("the group's cluster does not serve share groups");
    fault.lacking.then(|| Outcome { code: codes::UNSUPPORTED_VERSION, message: Some(message) })
}
