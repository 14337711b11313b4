//! As whom clients' principals come to a cluster, as it is written.

use super::super::findings::At;
use super::super::read::{Fields, Reader, Text, path};
use super::super::yaml::{Entry, Node};
use super::{Login, some_texts};
use schemars::JsonSchema;

/// As whom some principals come to a cluster: its own ACLs and quotas bind them by that.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Identity {
    #[schemars(skip)]
    pub(in super::super) name: Text,
    /// Principals such as `User:alice`, names of `authorization.groups`, or `User:*` for all that no other identity names.
    #[schemars(required, length(min = 1), example = ["User:alice"])]
    pub(in super::super) principals: Option<Vec<Text>>,
    /// How it logs in, where Fishplate itself does: with the same keys as the cluster's `sasl`.
    pub(in super::super) sasl: Option<Login>,
    /// Its certificate, in the place of the cluster's. All else of the cluster's `tls` holds for it too.
    pub(in super::super) tls: Option<IdentityTls>,
    #[schemars(skip)]
    pub(in super::super) at: At,
}

/// What brokers are shown of an identity.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct IdentityTls {
    /// A file in PEM: its certificate, and behind it those that lead to its authority. It is read again when it changes.
    #[schemars(required, example = "/tls/alice.crt")]
    pub(in super::super) certificate: Option<Text>,
    /// A file in PEM with the certificate's private key, without a password.
    #[schemars(required, example = "/tls/alice.key")]
    pub(in super::super) key: Option<Text>,
}

/// What a principal without an identity gets.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "stands in the schema only")]
pub(super) enum Unmapped {
    /// It comes as Fishplate itself, and may what that may.
    Own,
    /// It may do nothing on this cluster.
    Refuse,
}

impl Identity {
    /// `None` where it is nothing: said already.
    pub(super) fn read(entry: &Entry, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of_named(entry, "an identity", reader)?;
        let identity = Self {
            name: Text::from_key(entry),
            principals: fields.required("principals", "[\"User:alice\"]", some_texts),
            sasl: fields.optional("sasl", Login::read),
            tls: fields.optional("tls", IdentityTls::read),
            at: entry.at,
        };
        fields.finish(&[]);
        Some(identity)
    }
}

impl IdentityTls {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "an identity's `tls`", reader)?;
        let tls = Self {
            certificate: fields.required("certificate", "/tls/alice.crt", path),
            key: fields.required("key", "/tls/alice.key", path),
        };
        fields.finish(&[]);
        Some(tls)
    }
}
