//! The fields of answers of configs, disks, rights, quotas and users.

use crate::wire::shape::Shape;
use crate::wire::shape::field::{Field, boolean, int8, int16, int32, int64, rows, text};

// Versions 1 to 4.
pub(in crate::wire::shape) const DESCRIBE_CONFIGS: Shape = Shape::flexible(4, &[
    int32("throttle_time_ms"),
    rows("results", &[
        int16("error_code"),
        text("error_message"),
        int8("resource_type"),
        text("resource_name"),
        rows("configs", &[
            text("name"),
            text("value"),
            boolean("read_only"),
            int8("config_source"),
            boolean("is_sensitive"),
            rows("synonyms", &[
                text("name"),
                text("value"),
                int8("source"),
            ]),
            int8("config_type").since(3),
            text("documentation").since(3),
        ]),
    ]),
]);

// Versions 1 to 3.
pub(in crate::wire::shape) const DESCRIBE_ACLS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    rows("resources", &[
        int8("resource_type"),
        text("resource_name"),
        int8("pattern_type"),
        rows("acls", &[
            text("principal"),
            text("host"),
            int8("operation"),
            int8("permission_type"),
        ]),
    ]),
]);

// Versions 1 to 3.
pub(in crate::wire::shape) const CREATE_ACLS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    rows("results", &[
        int16("error_code"),
        text("error_message"),
    ]),
]);

// Versions 1 to 3.
pub(in crate::wire::shape) const DELETE_ACLS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    rows("filter_results", &[
        int16("error_code"),
        text("error_message"),
        rows("matching_acls", &[
            int16("error_code"),
            text("error_message"),
            int8("resource_type"),
            text("resource_name"),
            int8("pattern_type"),
            text("principal"),
            text("host"),
            int8("operation"),
            int8("permission_type"),
        ]),
    ]),
]);

// Versions 0 to 2.
pub(in crate::wire::shape) const ALTER_CONFIGS: Shape = Shape::flexible(2, ALTERED_CONFIGS);

// Versions 0 to 1.
pub(in crate::wire::shape) const INCREMENTAL_ALTER_CONFIGS: Shape = Shape::flexible(1, ALTERED_CONFIGS);

const ALTERED_CONFIGS: &[Field] = &[
    int32("throttle_time_ms"),
    rows("responses", &[
        int16("error_code"),
        text("error_message"),
        int8("resource_type"),
        text("resource_name"),
    ]),
];

// Versions 1 to 4.
pub(in crate::wire::shape) const DESCRIBE_LOG_DIRS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    int16("error_code").since(3),
    rows("results", &[
        int16("error_code"),
        text("log_dir"),
        rows("topics", &[
            text("name"),
            rows("partitions", &[
                int32("partition_index"),
                int64("partition_size"),
                int64("offset_lag"),
                boolean("is_future_key"),
            ]),
        ]),
        int64("total_bytes").since(4),
        int64("usable_bytes").since(4),
    ]),
]);

// Versions 0 to 1.
pub(in crate::wire::shape) const DESCRIBE_CLIENT_QUOTAS: Shape = Shape::flexible(1, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    rows("entries", &[
        rows("entity", &[
            text("entity_type"),
            text("entity_name"),
        ]),
        rows("values", &[
            text("key"),
            int64("value"),
        ]),
    ]),
]);

// Versions 0 to 1.
pub(in crate::wire::shape) const ALTER_CLIENT_QUOTAS: Shape = Shape::flexible(1, &[
    int32("throttle_time_ms"),
    rows("entries", &[
        int16("error_code"),
        text("error_message"),
        rows("entity", &[
            text("entity_type"),
            text("entity_name"),
        ]),
    ]),
]);

// Version 0.
pub(in crate::wire::shape) const DESCRIBE_USER_SCRAM_CREDENTIALS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    rows("results", &[
        text("user"),
        int16("error_code"),
        text("error_message"),
        rows("credential_infos", &[
            int8("mechanism"),
            int32("iterations"),
        ]),
    ]),
]);

// Version 0.
pub(in crate::wire::shape) const ALTER_USER_SCRAM_CREDENTIALS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    rows("results", &[
        text("user"),
        int16("error_code"),
        text("error_message"),
    ]),
]);

// Versions 0 to 1.
pub(in crate::wire::shape) const LIST_CONFIG_RESOURCES: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    rows("config_resources", &[
        text("resource_name"),
        int8("resource_type").since(1),
    ]),
]);
