//! The fields of requests of configs, disks, rights, quotas and users.

use crate::wire::shape::Shape;
use crate::wire::shape::field::{boolean, bytes, int8, int8s, int32, int32s, int64, rows, text, texts};

// Versions 1 to 4.
pub(in crate::wire::shape) const DESCRIBE_CONFIGS: Shape = Shape::flexible(4, &[
    rows("resources", &[
        int8("resource_type"),
        text("resource_name"),
        texts("configuration_keys"),
    ]),
    boolean("include_synonyms"),
    boolean("include_documentation").since(3),
]);

// Versions 1 to 3.
pub(in crate::wire::shape) const DESCRIBE_ACLS: Shape = Shape::flexible(2, &[
    int8("resource_type_filter"),
    text("resource_name_filter"),
    int8("pattern_type_filter"),
    text("principal_filter"),
    text("host_filter"),
    int8("operation"),
    int8("permission_type"),
]);

// Versions 1 to 3.
pub(in crate::wire::shape) const CREATE_ACLS: Shape = Shape::flexible(2, &[
    rows("creations", &[
        int8("resource_type"),
        text("resource_name"),
        int8("resource_pattern_type"),
        text("principal"),
        text("host"),
        int8("operation"),
        int8("permission_type"),
    ]),
]);

// Versions 1 to 3.
pub(in crate::wire::shape) const DELETE_ACLS: Shape = Shape::flexible(2, &[
    rows("filters", &[
        int8("resource_type_filter"),
        text("resource_name_filter"),
        int8("pattern_type_filter"),
        text("principal_filter"),
        text("host_filter"),
        int8("operation"),
        int8("permission_type"),
    ]),
]);

// Versions 0 to 2.
pub(in crate::wire::shape) const ALTER_CONFIGS: Shape = Shape::flexible(2, &[
    rows("resources", &[
        int8("resource_type"),
        text("resource_name"),
        rows("configs", &[
            text("name"),
            text("value"),
        ]),
    ]),
    boolean("validate_only"),
]);

// Versions 1 to 4.
pub(in crate::wire::shape) const DESCRIBE_LOG_DIRS: Shape = Shape::flexible(2, &[
    rows("topics", &[
        text("topic"),
        int32s("partitions"),
    ]),
]);

// Versions 0 to 1.
pub(in crate::wire::shape) const INCREMENTAL_ALTER_CONFIGS: Shape = Shape::flexible(1, &[
    rows("resources", &[
        int8("resource_type"),
        text("resource_name"),
        rows("configs", &[
            text("name"),
            int8("config_operation"),
            text("value"),
        ]),
    ]),
    boolean("validate_only"),
]);

// Versions 0 to 1.
pub(in crate::wire::shape) const DESCRIBE_CLIENT_QUOTAS: Shape = Shape::flexible(1, &[
    rows("components", &[
        text("entity_type"),
        int8("match_type"),
        text("match"),
    ]),
    boolean("strict"),
]);

// Versions 0 to 1.
pub(in crate::wire::shape) const ALTER_CLIENT_QUOTAS: Shape = Shape::flexible(1, &[
    rows("entries", &[
        rows("entity", &[
            text("entity_type"),
            text("entity_name"),
        ]),
        rows("ops", &[
            text("key"),
            int64("value"),
            boolean("remove"),
        ]),
    ]),
    boolean("validate_only"),
]);

// Version 0.
pub(in crate::wire::shape) const DESCRIBE_USER_SCRAM_CREDENTIALS: Shape = Shape::flexible(0, &[
    rows("users", &[
        text("name"),
    ]),
]);

// Version 0.
pub(in crate::wire::shape) const ALTER_USER_SCRAM_CREDENTIALS: Shape = Shape::flexible(0, &[
    rows("deletions", &[
        text("name"),
        int8("mechanism"),
    ]),
    rows("upsertions", &[
        text("name"),
        int8("mechanism"),
        int32("iterations"),
        bytes("salt"),
        bytes("salted_password"),
    ]),
]);

// Versions 0 to 1.
pub(in crate::wire::shape) const LIST_CONFIG_RESOURCES: Shape = Shape::flexible(0, &[
    int8s("resource_types").since(1),
]);
