//! The fields of answers of groups whose coordinator assigns partitions.

use crate::wire::shape::Shape;
use crate::wire::shape::field::{Field, bytes, int8, int16, int32, int32s, int64, row, row_or_null, rows, text, texts, uuid};

const ASSIGNMENT: &[Field] = &[
    rows("topic_partitions", &[
        uuid("topic_id"),
        int32s("partitions"),
    ]),
];

const HEARTBEAT: &[Field] = &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    text("member_id"),
    int32("member_epoch"),
    int32("heartbeat_interval_ms"),
    row_or_null("assignment", ASSIGNMENT),
];

// Versions 0 to 1.
pub(in crate::wire::shape) const CONSUMER_GROUP_HEARTBEAT: Shape = Shape::flexible(0, HEARTBEAT);

// Version 1.
pub(in crate::wire::shape) const SHARE_GROUP_HEARTBEAT: Shape = Shape::flexible(0, HEARTBEAT);

const DESCRIBED_ASSIGNMENT: &[Field] = &[
    rows("topic_partitions", &[
        uuid("topic_id"),
        text("topic_name"),
        int32s("partitions"),
    ]),
];

// Versions 0 to 1.
pub(in crate::wire::shape) const CONSUMER_GROUP_DESCRIBE: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    rows("groups", &[
        int16("error_code"),
        text("error_message"),
        text("group_id"),
        text("group_state"),
        int32("group_epoch"),
        int32("assignment_epoch"),
        text("assignor_name"),
        rows("members", &[
            text("member_id"),
            text("instance_id"),
            text("rack_id"),
            int32("member_epoch"),
            text("client_id"),
            text("client_host"),
            texts("subscribed_topic_names"),
            text("subscribed_topic_regex"),
            row("assignment", DESCRIBED_ASSIGNMENT),
            row("target_assignment", DESCRIBED_ASSIGNMENT),
            int8("member_type").since(1),
        ]),
        int32("authorized_operations"),
    ]),
]);

// Version 1.
pub(in crate::wire::shape) const SHARE_GROUP_DESCRIBE: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    rows("groups", &[
        int16("error_code"),
        text("error_message"),
        text("group_id"),
        text("group_state"),
        int32("group_epoch"),
        int32("assignment_epoch"),
        text("assignor_name"),
        rows("members", &[
            text("member_id"),
            text("rack_id"),
            int32("member_epoch"),
            text("client_id"),
            text("client_host"),
            texts("subscribed_topic_names"),
            row("assignment", DESCRIBED_ASSIGNMENT),
        ]),
        int32("authorized_operations"),
    ]),
]);

const LEADER: &[Field] = &[
    int32("leader_id"),
    int32("leader_epoch"),
];

const NODES: &[Field] = &[
    int32("node_id"),
    text("host"),
    int32("port"),
    text("rack"),
];

// Version 1.
pub(in crate::wire::shape) const SHARE_FETCH: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    int32("acquisition_lock_timeout_ms").since(1),
    rows("responses", &[
        uuid("topic_id"),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
            text("error_message"),
            int16("acknowledge_error_code"),
            text("acknowledge_error_message"),
            row("current_leader", LEADER),
            bytes("records"),
            rows("acquired_records", &[
                int64("first_offset"),
                int64("last_offset"),
                int16("delivery_count"),
            ]),
        ]),
    ]),
    rows("node_endpoints", NODES),
]);

// Version 1.
pub(in crate::wire::shape) const SHARE_ACKNOWLEDGE: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    rows("responses", &[
        uuid("topic_id"),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
            text("error_message"),
            row("current_leader", LEADER),
        ]),
    ]),
    rows("node_endpoints", NODES),
]);

// Version 0.
pub(in crate::wire::shape) const DESCRIBE_SHARE_GROUP_OFFSETS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    rows("groups", &[
        text("group_id"),
        rows("topics", &[
            text("topic_name"),
            uuid("topic_id"),
            rows("partitions", &[
                int32("partition_index"),
                int64("start_offset"),
                int32("leader_epoch"),
                int16("error_code"),
                text("error_message"),
            ]),
        ]),
        int16("error_code"),
        text("error_message"),
    ]),
]);

// Version 0.
pub(in crate::wire::shape) const ALTER_SHARE_GROUP_OFFSETS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    rows("responses", &[
        text("topic_name"),
        uuid("topic_id"),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
            text("error_message"),
        ]),
    ]),
]);

// Version 0.
pub(in crate::wire::shape) const DELETE_SHARE_GROUP_OFFSETS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    rows("responses", &[
        text("topic_name"),
        uuid("topic_id"),
        int16("error_code"),
        text("error_message"),
    ]),
]);
