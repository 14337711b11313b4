//! The fields of requests of records and where they stand.

use crate::wire::shape::Shape;
use crate::wire::shape::field::{bytes, int8, int16, int32, int32s, int64, row, rows, text, uuid};

// Versions 3 to 13.
pub(in crate::wire::shape) const PRODUCE: Shape = Shape::flexible(9, &[
    text("transactional_id"),
    int16("acks"),
    int32("timeout_ms"),
    rows("topic_data", &[
        text("name").until(12),
        uuid("topic_id").since(13),
        rows("partition_data", &[
            int32("index"),
            bytes("records"),
        ]),
    ]),
]);

// Versions 4 to 18.
pub(in crate::wire::shape) const FETCH: Shape = Shape::flexible(12, &[
    int32("replica_id").until(14),
    int32("max_wait_ms"),
    int32("min_bytes"),
    int32("max_bytes"),
    int8("isolation_level"),
    int32("session_id").since(7),
    int32("session_epoch").since(7),
    rows("topics", &[
        text("topic").until(12),
        uuid("topic_id").since(13),
        rows("partitions", &[
            int32("partition"),
            int32("current_leader_epoch").since(9),
            int64("fetch_offset"),
            int32("last_fetched_epoch").since(12),
            int64("log_start_offset").since(5),
            int32("partition_max_bytes"),
            uuid("replica_directory_id").tag(0).since(17),
            int64("high_watermark").tag(1).since(18),
        ]),
    ]),
    rows("forgotten_topics_data", &[
        text("topic").until(12),
        uuid("topic_id").since(13),
        int32s("partitions"),
    ]).since(7),
    text("rack_id").since(11),
    text("cluster_id").tag(0),
    row("replica_state", &[
        int32("replica_id"),
        int64("replica_epoch"),
    ]).tag(1).since(15),
]);

// Versions 1 to 10.
pub(in crate::wire::shape) const LIST_OFFSETS: Shape = Shape::flexible(6, &[
    int32("replica_id"),
    int8("isolation_level").since(2),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int32("current_leader_epoch").since(4),
            int64("timestamp"),
        ]),
    ]),
    int32("timeout_ms").since(10),
]);

// Versions 2 to 4.
pub(in crate::wire::shape) const OFFSET_FOR_LEADER_EPOCH: Shape = Shape::flexible(4, &[
    int32("replica_id").since(3),
    rows("topics", &[
        text("topic"),
        rows("partitions", &[
            int32("partition"),
            int32("current_leader_epoch"),
            int32("leader_epoch"),
        ]),
    ]),
]);

// Versions 0 to 2.
pub(in crate::wire::shape) const DELETE_RECORDS: Shape = Shape::flexible(2, &[
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int64("offset"),
        ]),
    ]),
    int32("timeout_ms"),
]);

// Version 0.
pub(in crate::wire::shape) const DESCRIBE_PRODUCERS: Shape = Shape::flexible(0, &[
    rows("topics", &[
        text("name"),
        int32s("partition_indexes"),
    ]),
]);
