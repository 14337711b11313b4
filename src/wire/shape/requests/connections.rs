//! The fields of requests of what clients ask before all else, and of who is where.

use crate::wire::shape::Shape;
use crate::wire::shape::field::{boolean, bytes, int8, text, texts};

// Versions 0 to 6.
pub(in crate::wire::shape) const FIND_COORDINATOR: Shape = Shape::flexible(3, &[
    text("key").until(3),
    int8("key_type").since(1),
    texts("coordinator_keys").since(4),
]);

// Versions 0 to 4.
pub(in crate::wire::shape) const API_VERSIONS: Shape = Shape::flexible(3, &[
    text("client_software_name").since(3),
    text("client_software_version").since(3),
]);

// Versions 0 to 1.
pub(in crate::wire::shape) const SASL_HANDSHAKE: Shape = Shape::plain(&[
    text("mechanism"),
]);

// Versions 0 to 2.
pub(in crate::wire::shape) const SASL_AUTHENTICATE: Shape = Shape::flexible(2, &[
    bytes("auth_bytes"),
]);

// Versions 0 to 2.
pub(in crate::wire::shape) const DESCRIBE_CLUSTER: Shape = Shape::flexible(0, &[
    boolean("include_cluster_authorized_operations"),
    int8("endpoint_type").since(1),
    boolean("include_fenced_brokers").since(2),
]);
