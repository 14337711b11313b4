//! How much memory there is for clients, and what one of them may take.

use super::super::amounts::{Amount, size, time};
use super::super::read::{Fields, Number, Reader, number};
use super::super::yaml::Node;
use schemars::JsonSchema;

/// Pools of memory.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Memory {
    /// For requests that are read and not yet passed on. Default: 64MiB.
    pub(in super::super) requests: Option<Amount>,
    /// For answers that are read and that clients have not taken. Default: 64MiB.
    pub(in super::super) responses: Option<Amount>,
    /// For requests that wait for a leader, or for their order to be sure. Default: 32MiB.
    pub(in super::super) parked: Option<Amount>,
}

/// What one client, and all together, may take.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Limits {
    /// The largest request, at most 200MiB. Default: 100MiB. Only Produce may be larger than an eighth of `memory.requests`.
    pub(in super::super) request: Option<Amount>,
    /// A connection that has not sent its first request by then, or not logged in where it must, is closed. Default: 10s.
    pub(in super::super) handshake: Option<Amount>,
    /// A connection whose request has begun and is not complete by then is closed. Default: 30s.
    pub(in super::super) stalled: Option<Amount>,
    /// A connection that asks nothing for so long is closed. Default: 10m.
    pub(in super::super) idle: Option<Amount>,
    /// Client connections in all; more are closed at once. Default: 20000.
    #[schemars(with = "Option<u64>")]
    pub(in super::super) sessions: Option<Number>,
    /// Client connections from one address. Default: 20000.
    #[schemars(with = "Option<u64>")]
    pub(in super::super) sessions_per_address: Option<Number>,
}

impl Memory {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "memory", reader)?;
        let memory = Self {
            requests: fields.optional("requests", size),
            responses: fields.optional("responses", size),
            parked: fields.optional("parked", size),
        };
        fields.finish(&[]);
        Some(memory)
    }
}

impl Limits {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "limits", reader)?;
        let limits = Self {
            request: fields.optional("request", size),
            handshake: fields.optional("handshake", time),
            stalled: fields.optional("stalled", time),
            idle: fields.optional("idle", time),
            sessions: fields.optional("sessions", number),
            sessions_per_address: fields.optional("sessions_per_address", number),
        };
        fields.finish(&[]);
        Some(limits)
    }
}
