//! How Fishplate logs in to a cluster, as it is written.

use super::super::read::{Fields, Reader, Text, text};
use super::super::yaml::Node;
use schemars::JsonSchema;

/// How Fishplate logs in to a cluster.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Login {
    /// PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
    #[schemars(required, example = "SCRAM-SHA-512")]
    pub(in super::super) mechanism: Option<Text>,
    /// Who Fishplate is there.
    #[schemars(required)]
    pub(in super::super) username: Option<Text>,
    /// Better from outside: `${NAME}` or `${file:/path}`.
    #[schemars(required, example = "${KAFKA_PASSWORD}")]
    pub(in super::super) password: Option<Text>,
}

impl Login {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "sasl", reader)?;
        let sasl = Self {
            mechanism: fields.required("mechanism", "SCRAM-SHA-512", text),
            username: fields.required("username", "fishplate", text),
            password: fields.required("password", "\"${KAFKA_PASSWORD}\"", text),
        };
        fields.finish(&[]);
        Some(sasl)
    }
}
