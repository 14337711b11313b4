//! The fields of requests of groups whose coordinator assigns partitions.

use crate::wire::shape::Shape;
use crate::wire::shape::field::{Field, boolean, int32, int32s, int64, int8s, rows, text, texts, uuid};

// Versions 0 to 1.
pub(in crate::wire::shape) const CONSUMER_GROUP_HEARTBEAT: Shape = Shape::flexible(0, &[
    text("group_id"),
    text("member_id"),
    int32("member_epoch"),
    text("instance_id"),
    text("rack_id"),
    int32("rebalance_timeout_ms"),
    texts("subscribed_topic_names"),
    text("subscribed_topic_regex").since(1),
    text("server_assignor"),
    rows("topic_partitions", &[
        uuid("topic_id"),
        int32s("partitions"),
    ]),
]);

// Versions 0 to 1.
pub(in crate::wire::shape) const CONSUMER_GROUP_DESCRIBE: Shape = Shape::flexible(0, DESCRIBE);

// Version 1.
pub(in crate::wire::shape) const SHARE_GROUP_DESCRIBE: Shape = Shape::flexible(0, DESCRIBE);

const DESCRIBE: &[Field] = &[
    texts("group_ids"),
    boolean("include_authorized_operations"),
];

// Version 1.
pub(in crate::wire::shape) const SHARE_GROUP_HEARTBEAT: Shape = Shape::flexible(0, &[
    text("group_id"),
    text("member_id"),
    int32("member_epoch"),
    text("rack_id"),
    texts("subscribed_topic_names"),
]);

const BATCHES: &[Field] = &[
    int64("first_offset"),
    int64("last_offset"),
    int8s("acknowledge_types"),
];

// Version 1.
pub(in crate::wire::shape) const SHARE_FETCH: Shape = Shape::flexible(0, &[
    text("group_id"),
    text("member_id"),
    int32("share_session_epoch"),
    int32("max_wait_ms"),
    int32("min_bytes"),
    int32("max_bytes"),
    int32("max_records").since(1),
    int32("batch_size").since(1),
    rows("topics", &[
        uuid("topic_id"),
        rows("partitions", &[
            int32("partition_index"),
            int32("partition_max_bytes").until(0),
            rows("acknowledgement_batches", BATCHES),
        ]),
    ]),
    rows("forgotten_topics_data", &[
        uuid("topic_id"),
        int32s("partitions"),
    ]),
]);

// Version 1.
pub(in crate::wire::shape) const SHARE_ACKNOWLEDGE: Shape = Shape::flexible(0, &[
    text("group_id"),
    text("member_id"),
    int32("share_session_epoch"),
    rows("topics", &[
        uuid("topic_id"),
        rows("partitions", &[
            int32("partition_index"),
            rows("acknowledgement_batches", BATCHES),
        ]),
    ]),
]);

// Version 0.
pub(in crate::wire::shape) const DESCRIBE_SHARE_GROUP_OFFSETS: Shape = Shape::flexible(0, &[
    rows("groups", &[
        text("group_id"),
        rows("topics", &[
            text("topic_name"),
            int32s("partitions"),
        ]),
    ]),
]);

// Version 0.
pub(in crate::wire::shape) const ALTER_SHARE_GROUP_OFFSETS: Shape = Shape::flexible(0, &[
    text("group_id"),
    rows("topics", &[
        text("topic_name"),
        rows("partitions", &[
            int32("partition_index"),
            int64("start_offset"),
        ]),
    ]),
]);

// Version 0.
pub(in crate::wire::shape) const DELETE_SHARE_GROUP_OFFSETS: Shape = Shape::flexible(0, &[
    text("group_id"),
    rows("topics", &[
        text("topic_name"),
    ]),
]);
