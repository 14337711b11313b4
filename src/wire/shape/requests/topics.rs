//! The fields of requests of topics and their partitions.

use crate::wire::shape::Shape;
use crate::wire::shape::field::{boolean, int8, int16, int32, int32s, row_or_null, rows, text, texts, uuid};

// Versions 0 to 13.
pub(in crate::wire::shape) const METADATA: Shape = Shape::flexible(9, &[
    rows("topics", &[
        uuid("topic_id").since(10),
        text("name"),
    ]),
    boolean("allow_auto_topic_creation").since(4),
    boolean("include_cluster_authorized_operations").since(8).until(10),
    boolean("include_topic_authorized_operations").since(8),
]);

// Versions 2 to 7.
pub(in crate::wire::shape) const CREATE_TOPICS: Shape = Shape::flexible(5, &[
    rows("topics", &[
        text("name"),
        int32("num_partitions"),
        int16("replication_factor"),
        rows("assignments", &[
            int32("partition_index"),
            int32s("broker_ids"),
        ]),
        rows("configs", &[
            text("name"),
            text("value"),
        ]),
    ]),
    int32("timeout_ms"),
    boolean("validate_only"),
]);

// Versions 1 to 6.
pub(in crate::wire::shape) const DELETE_TOPICS: Shape = Shape::flexible(4, &[
    rows("topics", &[
        text("name"),
        uuid("topic_id"),
    ]).since(6),
    texts("topic_names").until(5),
    int32("timeout_ms"),
]);

// Versions 0 to 3.
pub(in crate::wire::shape) const CREATE_PARTITIONS: Shape = Shape::flexible(2, &[
    rows("topics", &[
        text("name"),
        int32("count"),
        rows("assignments", &[
            int32s("broker_ids"),
        ]),
    ]),
    int32("timeout_ms"),
    boolean("validate_only"),
]);

// Version 0.
pub(in crate::wire::shape) const DESCRIBE_TOPIC_PARTITIONS: Shape = Shape::flexible(0, &[
    rows("topics", &[
        text("name"),
    ]),
    int32("response_partition_limit"),
    row_or_null("cursor", &[
        text("topic_name"),
        int32("partition_index"),
    ]),
]);

// Versions 0 to 2.
pub(in crate::wire::shape) const ELECT_LEADERS: Shape = Shape::flexible(2, &[
    int8("election_type").since(1),
    rows("topic_partitions", &[
        text("topic"),
        int32s("partitions"),
    ]),
    int32("timeout_ms"),
]);

// Versions 0 to 1.
pub(in crate::wire::shape) const ALTER_PARTITION_REASSIGNMENTS: Shape = Shape::flexible(0, &[
    int32("timeout_ms"),
    boolean("allow_replication_factor_change").since(1),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int32s("replicas"),
        ]),
    ]),
]);

// Version 0.
pub(in crate::wire::shape) const LIST_PARTITION_REASSIGNMENTS: Shape = Shape::flexible(0, &[
    int32("timeout_ms"),
    rows("topics", &[
        text("name"),
        int32s("partition_indexes"),
    ]),
]);
