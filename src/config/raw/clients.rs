//! What kinds of clients are shown.

use super::super::findings::At;
use super::super::read::{Fields, Reader, Text, text};
use super::super::yaml::Node;
use schemars::JsonSchema;

/// A kind of client and what it is shown.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Client {
    /// What it calls itself (KIP-511): the log says it when it is first seen.
    #[schemars(required)]
    pub(in super::super) name: Option<Text>,
    /// The first version that this is for. Default: all.
    #[schemars(example = "1.2")]
    pub(in super::super) from: Option<Text>,
    /// What it is shown where its listener says `nodes: auto`.
    #[schemars(required, with = "View")]
    pub(in super::super) view: Option<Text>,
    #[schemars(skip)]
    pub(in super::super) at: At,
}

/// How brokers are shown.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "stands in the schema only")]
enum View {
    /// A node for each broker, all at one address.
    Brokers,
    /// A node for each broker, each at an address of its own; `single` where the listener has no `hosts`.
    Hosts,
    /// One node.
    Single,
}

impl Client {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a client", reader)?;
        let client = Self {
            name: fields.required("name", "my-client", text),
            from: fields.optional("from", text),
            view: fields.required("view", "brokers", text),
            at: node.at,
        };
        fields.finish(&[]);
        Some(client)
    }
}
