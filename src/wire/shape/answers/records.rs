//! The fields of answers of records and where they stand.

use crate::wire::shape::Shape;
use crate::wire::shape::field::{bytes, int16, int32, int64, row, rows, text, uuid};

// Versions 3 to 13.
pub(in crate::wire::shape) const PRODUCE: Shape = Shape::flexible(9, &[
    rows("responses", &[
        text("name").until(12),
        uuid("topic_id").since(13),
        rows("partition_responses", &[
            int32("index"),
            int16("error_code"),
            int64("base_offset"),
            int64("log_append_time_ms"),
            int64("log_start_offset").since(5),
            rows("record_errors", &[
                int32("batch_index"),
                text("batch_index_error_message"),
            ]).since(8),
            text("error_message").since(8),
            row("current_leader", &[
                int32("leader_id"),
                int32("leader_epoch"),
            ]).tag(0).since(10),
        ]),
    ]),
    int32("throttle_time_ms"),
    rows("node_endpoints", &[
        int32("node_id"),
        text("host"),
        int32("port"),
        text("rack"),
    ]).tag(0).since(10),
]);

// Versions 4 to 18.
pub(in crate::wire::shape) const FETCH: Shape = Shape::flexible(12, &[
    int32("throttle_time_ms"),
    int16("error_code").since(7),
    int32("session_id").since(7),
    rows("responses", &[
        text("topic").until(12),
        uuid("topic_id").since(13),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
            int64("high_watermark"),
            int64("last_stable_offset"),
            int64("log_start_offset").since(5),
            rows("aborted_transactions", &[
                int64("producer_id"),
                int64("first_offset"),
            ]),
            int32("preferred_read_replica").since(11),
            bytes("records"),
            row("diverging_epoch", &[
                int32("epoch"),
                int64("end_offset"),
            ]).tag(0),
            row("current_leader", &[
                int32("leader_id"),
                int32("leader_epoch"),
            ]).tag(1),
            row("snapshot_id", &[
                int64("end_offset"),
                int32("epoch"),
            ]).tag(2),
        ]),
    ]),
    rows("node_endpoints", &[
        int32("node_id"),
        text("host"),
        int32("port"),
        text("rack"),
    ]).tag(0).since(16),
]);

// Versions 1 to 10.
pub(in crate::wire::shape) const LIST_OFFSETS: Shape = Shape::flexible(6, &[
    int32("throttle_time_ms").since(2),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
            int64("timestamp"),
            int64("offset"),
            int32("leader_epoch").since(4),
        ]),
    ]),
]);

// Versions 2 to 4.
pub(in crate::wire::shape) const OFFSET_FOR_LEADER_EPOCH: Shape = Shape::flexible(4, &[
    int32("throttle_time_ms"),
    rows("topics", &[
        text("topic"),
        rows("partitions", &[
            int16("error_code"),
            int32("partition"),
            int32("leader_epoch"),
            int64("end_offset"),
        ]),
    ]),
]);

// Versions 0 to 2.
pub(in crate::wire::shape) const DELETE_RECORDS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int64("low_watermark"),
            int16("error_code"),
        ]),
    ]),
]);

// Version 0.
pub(in crate::wire::shape) const DESCRIBE_PRODUCERS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
            text("error_message"),
            rows("active_producers", &[
                int64("producer_id"),
                int32("producer_epoch"),
                int32("last_sequence"),
                int64("last_timestamp"),
                int32("coordinator_epoch"),
                int64("current_txn_start_offset"),
            ]),
        ]),
    ]),
]);
