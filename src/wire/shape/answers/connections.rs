//! The fields of answers of what clients ask before all else, and of who is where.

use crate::wire::shape::Shape;
use crate::wire::shape::field::{boolean, bytes, int8, int16, int32, int64, rows, text, texts};

// Versions 0 to 6.
pub(in crate::wire::shape) const FIND_COORDINATOR: Shape = Shape::flexible(3, &[
    int32("throttle_time_ms").since(1),
    int16("error_code").until(3),
    text("error_message").since(1).until(3),
    int32("node_id").until(3),
    text("host").until(3),
    int32("port").until(3),
    rows("coordinators", &[
        text("key"),
        int32("node_id"),
        text("host"),
        int32("port"),
        int16("error_code"),
        text("error_message"),
    ]).since(4),
]);

// Versions 0 to 4.
pub(in crate::wire::shape) const API_VERSIONS: Shape = Shape::flexible(3, &[
    int16("error_code"),
    rows("api_keys", &[
        int16("api_key"),
        int16("min_version"),
        int16("max_version"),
    ]),
    int32("throttle_time_ms").since(1),
    rows("supported_features", &[
        text("name"),
        int16("min_version"),
        int16("max_version"),
    ]).tag(0),
    int64("finalized_features_epoch").tag(1),
    rows("finalized_features", &[
        text("name"),
        int16("max_version_level"),
        int16("min_version_level"),
    ]).tag(2),
    boolean("zk_migration_ready").tag(3),
]);

// Versions 0 to 1.
pub(in crate::wire::shape) const SASL_HANDSHAKE: Shape = Shape::plain(&[
    int16("error_code"),
    texts("mechanisms"),
]);

// Versions 0 to 2.
pub(in crate::wire::shape) const SASL_AUTHENTICATE: Shape = Shape::flexible(2, &[
    int16("error_code"),
    text("error_message"),
    bytes("auth_bytes"),
    int64("session_lifetime_ms").since(1),
]);

// Versions 0 to 2.
pub(in crate::wire::shape) const DESCRIBE_CLUSTER: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    int8("endpoint_type").since(1),
    text("cluster_id"),
    int32("controller_id"),
    rows("brokers", &[
        int32("broker_id"),
        text("host"),
        int32("port"),
        text("rack"),
        boolean("is_fenced").since(2),
    ]),
    int32("cluster_authorized_operations"),
]);
