//! Kafka's error codes that we answer ourselves or look for. What may stand where: protocol-rules 6.
#![allow(missing_docs)] // The names are Kafka's own.

pub const UNKNOWN_SERVER_ERROR: i16 = -1;
pub const NONE: i16 = 0;
pub const OFFSET_OUT_OF_RANGE: i16 = 1;
pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
pub const LEADER_NOT_AVAILABLE: i16 = 5;
pub const NOT_LEADER_OR_FOLLOWER: i16 = 6;
pub const REQUEST_TIMED_OUT: i16 = 7;
pub const MESSAGE_TOO_LARGE: i16 = 10;
pub const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
pub const COORDINATOR_NOT_AVAILABLE: i16 = 15;
pub const NOT_COORDINATOR: i16 = 16;
pub const INVALID_TOPIC_EXCEPTION: i16 = 17;
pub const RECORD_LIST_TOO_LARGE: i16 = 18;
pub const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
pub const GROUP_AUTHORIZATION_FAILED: i16 = 30;
pub const CLUSTER_AUTHORIZATION_FAILED: i16 = 31;
pub const INVALID_TIMESTAMP: i16 = 32;
pub const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
pub const ILLEGAL_SASL_STATE: i16 = 34;
pub const UNSUPPORTED_VERSION: i16 = 35;
pub const TOPIC_ALREADY_EXISTS: i16 = 36;
pub const INVALID_REPLICA_ASSIGNMENT: i16 = 39;
pub const NOT_CONTROLLER: i16 = 41;
pub const INVALID_REQUEST: i16 = 42;
pub const UNSUPPORTED_FOR_MESSAGE_FORMAT: i16 = 43;
pub const POLICY_VIOLATION: i16 = 44;
pub const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
pub const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
pub const INVALID_PRODUCER_EPOCH: i16 = 47;
pub const INVALID_TXN_STATE: i16 = 48;
pub const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
pub const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = 53;
pub const SECURITY_DISABLED: i16 = 54;
pub const OPERATION_NOT_ATTEMPTED: i16 = 55;
pub const KAFKA_STORAGE_ERROR: i16 = 56;
pub const SASL_AUTHENTICATION_FAILED: i16 = 58;
pub const GROUP_ID_NOT_FOUND: i16 = 69;
pub const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
pub const FENCED_LEADER_EPOCH: i16 = 74;
pub const UNKNOWN_LEADER_EPOCH: i16 = 75;
pub const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
pub const INVALID_RECORD: i16 = 87;
pub const PRODUCER_FENCED: i16 = 90;
pub const RESOURCE_NOT_FOUND: i16 = 91;
pub const UNKNOWN_TOPIC_ID: i16 = 100;
pub const INCONSISTENT_TOPIC_ID: i16 = 103;
pub const MISMATCHED_ENDPOINT_TYPE: i16 = 114;
pub const UNSUPPORTED_ENDPOINT_TYPE: i16 = 115;
pub const TRANSACTION_ABORTABLE: i16 = 120;
pub const FENCED_MEMBER_EPOCH: i16 = 110;
pub const INVALID_RECORD_STATE: i16 = 121;
pub const SHARE_SESSION_NOT_FOUND: i16 = 122;
pub const INVALID_SHARE_SESSION_EPOCH: i16 = 123;
pub const INVALID_REGULAR_EXPRESSION: i16 = 128;
pub const SHARE_SESSION_LIMIT_REACHED: i16 = 133;

/// The batch is in the log, now or before.
#[must_use]
pub fn is_written(code: i16) -> bool {
    matches!(code, NONE | DUPLICATE_SEQUENCE_NUMBER)
}

/// A batch is refused for what it is, or for its transaction, which must be aborted: clients give it up, and do not send it
/// again.
#[must_use]
pub fn is_for_good(code: i16) -> bool {
    matches!(
        code,
        MESSAGE_TOO_LARGE
            | INVALID_TOPIC_EXCEPTION
            | RECORD_LIST_TOO_LARGE
            | TOPIC_AUTHORIZATION_FAILED
            | CLUSTER_AUTHORIZATION_FAILED
            | INVALID_TIMESTAMP
            | INVALID_REQUEST
            | UNSUPPORTED_FOR_MESSAGE_FORMAT
            | POLICY_VIOLATION
            | INVALID_TXN_STATE
            | INVALID_PRODUCER_ID_MAPPING
            | TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | UNSUPPORTED_COMPRESSION_TYPE
            | INVALID_RECORD
            | PRODUCER_FENCED
            | TRANSACTION_ABORTABLE
    )
}

/// A batch is refused for its place in its producer's sequence: only a broker that knows the producer can tell.
#[must_use]
pub fn is_of_sequence(code: i16) -> bool {
    matches!(code, OUT_OF_ORDER_SEQUENCE_NUMBER | INVALID_PRODUCER_EPOCH)
}

/// There is no such topic: one of the same name that is made later knows no producer.
#[must_use]
pub fn is_topic_gone(code: i16) -> bool {
    matches!(code, UNKNOWN_TOPIC_OR_PARTITION | UNKNOWN_TOPIC_ID | INCONSISTENT_TOPIC_ID)
}

/// The topic is led elsewhere, or not there: its metadata must be read again.
#[must_use]
pub fn asks_for_refresh(code: i16) -> bool {
    matches!(
        code,
        UNKNOWN_TOPIC_OR_PARTITION
            | LEADER_NOT_AVAILABLE
            | NOT_LEADER_OR_FOLLOWER
            | KAFKA_STORAGE_ERROR
            | FENCED_LEADER_EPOCH
            | UNKNOWN_LEADER_EPOCH
            | UNKNOWN_TOPIC_ID
            | INCONSISTENT_TOPIC_ID
    )
}

/// Of two answers' codes the one that a client must hear: an error that it retries must not hide one that it does not.
#[must_use]
pub fn worse(one: i16, other: i16) -> i16 {
    let retried = |code| matches!(code, COORDINATOR_NOT_AVAILABLE | COORDINATOR_LOAD_IN_PROGRESS);
    if one == NONE || (retried(one) && other != NONE) { other } else { one }
}

/// The group, or transactional id, is coordinated elsewhere.
#[must_use]
pub fn asks_for_coordinator(code: i16) -> bool {
    matches!(code, COORDINATOR_NOT_AVAILABLE | NOT_COORDINATOR)
}
