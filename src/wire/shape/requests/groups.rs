//! The fields of requests of groups and their offsets.

use crate::wire::shape::Shape;
use crate::wire::shape::field::{boolean, bytes, int32, int32s, int64, rows, text, texts, uuid};

// Versions 2 to 9.
pub(in crate::wire::shape) const OFFSET_COMMIT: Shape = Shape::flexible(8, &[
    text("group_id"),
    int32("generation_id_or_member_epoch"),
    text("member_id"),
    text("group_instance_id").since(7),
    int64("retention_time_ms").until(4),
    rows("topics", &[
        text("name"),
        uuid("topic_id").since(10),
        rows("partitions", &[
            int32("partition_index"),
            int64("committed_offset"),
            int32("committed_leader_epoch").since(6),
            text("committed_metadata"),
        ]),
    ]),
]);

// Versions 1 to 9.
pub(in crate::wire::shape) const OFFSET_FETCH: Shape = Shape::flexible(6, &[
    text("group_id").until(7),
    rows("topics", &[
        text("name"),
        int32s("partition_indexes"),
    ]).until(7),
    rows("groups", &[
        text("group_id"),
        text("member_id").since(9),
        int32("member_epoch").since(9),
        rows("topics", &[
            text("name"),
            uuid("topic_id").since(10),
            int32s("partition_indexes"),
        ]),
    ]).since(8),
    boolean("require_stable").since(7),
]);

// Versions 0 to 9.
pub(in crate::wire::shape) const JOIN_GROUP: Shape = Shape::flexible(6, &[
    text("group_id"),
    int32("session_timeout_ms"),
    int32("rebalance_timeout_ms").since(1),
    text("member_id"),
    text("group_instance_id").since(5),
    text("protocol_type"),
    rows("protocols", &[
        text("name"),
        bytes("metadata"),
    ]),
    text("reason").since(8),
]);

// Versions 0 to 4.
pub(in crate::wire::shape) const HEARTBEAT: Shape = Shape::flexible(4, &[
    text("group_id"),
    int32("generation_id"),
    text("member_id"),
    text("group_instance_id").since(3),
]);

// Versions 0 to 5.
pub(in crate::wire::shape) const LEAVE_GROUP: Shape = Shape::flexible(4, &[
    text("group_id"),
    text("member_id").until(2),
    rows("members", &[
        text("member_id"),
        text("group_instance_id"),
        text("reason").since(5),
    ]).since(3),
]);

// Versions 0 to 5.
pub(in crate::wire::shape) const SYNC_GROUP: Shape = Shape::flexible(4, &[
    text("group_id"),
    int32("generation_id"),
    text("member_id"),
    text("group_instance_id").since(3),
    text("protocol_type").since(5),
    text("protocol_name").since(5),
    rows("assignments", &[
        text("member_id"),
        bytes("assignment"),
    ]),
]);

// Versions 0 to 6.
pub(in crate::wire::shape) const DESCRIBE_GROUPS: Shape = Shape::flexible(5, &[
    texts("groups"),
    boolean("include_authorized_operations").since(3),
]);

// Versions 0 to 5.
pub(in crate::wire::shape) const LIST_GROUPS: Shape = Shape::flexible(3, &[
    texts("states_filter").since(4),
    texts("types_filter").since(5),
]);

// Versions 0 to 2.
pub(in crate::wire::shape) const DELETE_GROUPS: Shape = Shape::flexible(2, &[
    texts("groups_names"),
]);

// Version 0.
pub(in crate::wire::shape) const OFFSET_DELETE: Shape = Shape::plain(&[
    text("group_id"),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
        ]),
    ]),
]);
