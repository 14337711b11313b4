//! The fields of answers of groups and their offsets.

use crate::wire::shape::Shape;
use crate::wire::shape::field::{boolean, bytes, int16, int32, int64, rows, text, uuid};

// Versions 2 to 10.
pub(in crate::wire::shape) const OFFSET_COMMIT: Shape = Shape::flexible(8, &[
    int32("throttle_time_ms").since(3),
    rows("topics", &[
        text("name").until(9),
        uuid("topic_id").since(10),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
        ]),
    ]),
]);

// Versions 1 to 10.
pub(in crate::wire::shape) const OFFSET_FETCH: Shape = Shape::flexible(6, &[
    int32("throttle_time_ms").since(3),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int64("committed_offset"),
            int32("committed_leader_epoch").since(5),
            text("metadata"),
            int16("error_code"),
        ]),
    ]).until(7),
    int16("error_code").since(2).until(7),
    rows("groups", &[
        text("group_id"),
        rows("topics", &[
            text("name").until(9),
            uuid("topic_id").since(10),
            rows("partitions", &[
                int32("partition_index"),
                int64("committed_offset"),
                int32("committed_leader_epoch"),
                text("metadata"),
                int16("error_code"),
            ]),
        ]),
        int16("error_code"),
    ]).since(8),
]);

// Versions 0 to 9.
pub(in crate::wire::shape) const JOIN_GROUP: Shape = Shape::flexible(6, &[
    int32("throttle_time_ms").since(2),
    int16("error_code"),
    int32("generation_id"),
    text("protocol_type").since(7),
    text("protocol_name"),
    text("leader"),
    boolean("skip_assignment").since(9),
    text("member_id"),
    rows("members", &[
        text("member_id"),
        text("group_instance_id").since(5),
        bytes("metadata"),
    ]),
]);

// Versions 0 to 4.
pub(in crate::wire::shape) const HEARTBEAT: Shape = Shape::flexible(4, &[
    int32("throttle_time_ms").since(1),
    int16("error_code"),
]);

// Versions 0 to 5.
pub(in crate::wire::shape) const LEAVE_GROUP: Shape = Shape::flexible(4, &[
    int32("throttle_time_ms").since(1),
    int16("error_code"),
    rows("members", &[
        text("member_id"),
        text("group_instance_id"),
        int16("error_code"),
    ]).since(3),
]);

// Versions 0 to 5.
pub(in crate::wire::shape) const SYNC_GROUP: Shape = Shape::flexible(4, &[
    int32("throttle_time_ms").since(1),
    int16("error_code"),
    text("protocol_type").since(5),
    text("protocol_name").since(5),
    bytes("assignment"),
]);

// Versions 0 to 6.
pub(in crate::wire::shape) const DESCRIBE_GROUPS: Shape = Shape::flexible(5, &[
    int32("throttle_time_ms").since(1),
    rows("groups", &[
        int16("error_code"),
        text("error_message").since(6),
        text("group_id"),
        text("group_state"),
        text("protocol_type"),
        text("protocol_data"),
        rows("members", &[
            text("member_id"),
            text("group_instance_id").since(4),
            text("client_id"),
            text("client_host"),
            bytes("member_metadata"),
            bytes("member_assignment"),
        ]),
        int32("authorized_operations").since(3),
    ]),
]);

// Versions 0 to 5.
pub(in crate::wire::shape) const LIST_GROUPS: Shape = Shape::flexible(3, &[
    int32("throttle_time_ms").since(1),
    int16("error_code"),
    rows("groups", &[
        text("group_id"),
        text("protocol_type"),
        text("group_state").since(4),
        text("group_type").since(5),
    ]),
]);

// Versions 0 to 2.
pub(in crate::wire::shape) const DELETE_GROUPS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    rows("results", &[
        text("group_id"),
        int16("error_code"),
    ]),
]);

// Version 0.
pub(in crate::wire::shape) const OFFSET_DELETE: Shape = Shape::plain(&[
    int16("error_code"),
    int32("throttle_time_ms"),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
        ]),
    ]),
]);
