//! The fields of answers of topics and their partitions.

use crate::wire::shape::Shape;
use crate::wire::shape::field::{boolean, int8, int16, int32, int32s, row_or_null, rows, text, uuid};

// Versions 0 to 13.
pub(in crate::wire::shape) const METADATA: Shape = Shape::flexible(9, &[
    int32("throttle_time_ms").since(3),
    rows("brokers", &[
        int32("node_id"),
        text("host"),
        int32("port"),
        text("rack").since(1),
    ]),
    text("cluster_id").since(2),
    int32("controller_id").since(1),
    rows("topics", &[
        int16("error_code"),
        text("name"),
        uuid("topic_id").since(10),
        boolean("is_internal").since(1),
        rows("partitions", &[
            int16("error_code"),
            int32("partition_index"),
            int32("leader_id"),
            int32("leader_epoch").since(7),
            int32s("replica_nodes"),
            int32s("isr_nodes"),
            int32s("offline_replicas").since(5),
        ]),
        int32("topic_authorized_operations").since(8),
    ]),
    int32("cluster_authorized_operations").since(8).until(10),
    int16("error_code").since(13),
]);

// Versions 2 to 7.
pub(in crate::wire::shape) const CREATE_TOPICS: Shape = Shape::flexible(5, &[
    int32("throttle_time_ms"),
    rows("topics", &[
        text("name"),
        uuid("topic_id").since(7),
        int16("error_code"),
        text("error_message"),
        int32("num_partitions").since(5),
        int16("replication_factor").since(5),
        rows("configs", &[
            text("name"),
            text("value"),
            boolean("read_only"),
            int8("config_source"),
            boolean("is_sensitive"),
        ]).since(5),
        int16("topic_config_error_code").tag(0),
    ]),
]);

// Versions 1 to 6.
pub(in crate::wire::shape) const DELETE_TOPICS: Shape = Shape::flexible(4, &[
    int32("throttle_time_ms"),
    rows("responses", &[
        text("name"),
        uuid("topic_id").since(6),
        int16("error_code"),
        text("error_message").since(5),
    ]),
]);

// Versions 0 to 3.
pub(in crate::wire::shape) const CREATE_PARTITIONS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    rows("results", &[
        text("name"),
        int16("error_code"),
        text("error_message"),
    ]),
]);

// Version 0.
pub(in crate::wire::shape) const DESCRIBE_TOPIC_PARTITIONS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    rows("topics", &[
        int16("error_code"),
        text("name"),
        uuid("topic_id"),
        boolean("is_internal"),
        rows("partitions", &[
            int16("error_code"),
            int32("partition_index"),
            int32("leader_id"),
            int32("leader_epoch"),
            int32s("replica_nodes"),
            int32s("isr_nodes"),
            int32s("eligible_leader_replicas"),
            int32s("last_known_elr"),
            int32s("offline_replicas"),
        ]),
        int32("topic_authorized_operations"),
    ]),
    row_or_null("next_cursor", &[
        text("topic_name"),
        int32("partition_index"),
    ]),
]);

// Versions 0 to 2.
pub(in crate::wire::shape) const ELECT_LEADERS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    int16("error_code").since(1),
    rows("replica_election_results", &[
        text("topic"),
        rows("partition_result", &[
            int32("partition_id"),
            int16("error_code"),
            text("error_message"),
        ]),
    ]),
]);

// Versions 0 to 1.
pub(in crate::wire::shape) const ALTER_PARTITION_REASSIGNMENTS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    boolean("allow_replication_factor_change").since(1),
    int16("error_code"),
    text("error_message"),
    rows("responses", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
            text("error_message"),
        ]),
    ]),
]);

// Version 0.
pub(in crate::wire::shape) const LIST_PARTITION_REASSIGNMENTS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int32s("replicas"),
            int32s("adding_replicas"),
            int32s("removing_replicas"),
        ]),
    ]),
]);
