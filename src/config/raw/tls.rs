//! TLS, as it is written.

use super::super::read::{Fields, Reader, Text, path, some, text, texts};
use super::super::yaml::{Node, What};
use schemars::JsonSchema;

/// TLS of a listener. Without it, what clients send can be read on the way.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Tls {
    /// A file in PEM: the certificate, and behind it those that lead to its authority. It is read again when it changes.
    #[schemars(required, example = "/tls/tls.crt")]
    pub(in super::super) certificate: Option<Text>,
    /// A file in PEM with the certificate's private key, without a password.
    #[schemars(required, example = "/tls/tls.key")]
    pub(in super::super) key: Option<Text>,
    /// A file in PEM with the authorities of clients' certificates. Without it clients are asked for none.
    pub(in super::super) client_ca: Option<Text>,
    /// Whether a client without a certificate is let in. Needs `client_ca`. Default: required.
    #[schemars(with = "Option<ClientAuth>")]
    pub(in super::super) client_auth: Option<Text>,
    /// Who a client is by the name in its certificate: Kafka's `ssl.principal.mapping.rules`. The first that matches counts, and
    /// whom none matches is turned away. Default: DEFAULT, the name as it is.
    #[schemars(with = "Option<super::OneOrMany>", example = "RULE:^CN=(.*?),.*$/$1/L")]
    pub(in super::super) principal_mapping: Option<Vec<Text>>,
    /// The oldest version of TLS that is spoken. Default: 1.2.
    #[schemars(with = "Option<TlsVersion>")]
    pub(in super::super) min_version: Option<Text>,
}

/// Whether a client without a certificate is let in.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "stands in the schema only")]
pub(super) enum ClientAuth {
    /// It is not.
    Required,
    /// It is; one that it shows must be right all the same.
    Optional,
}

/// A version of TLS.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "stands in the schema only")]
pub(super) enum TlsVersion {
    /// 1.2 and later.
    #[schemars(rename = "1.2")]
    Tls12,
    /// 1.3 only.
    #[schemars(rename = "1.3")]
    Tls13,
}

/// TLS towards a cluster; `{}` is all that a cluster needs whose certificates the system trusts. There is no key that switches
/// verification off.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct ClientTls {
    /// A file in PEM with the authorities of the brokers' certificates. Default: those that the system trusts.
    pub(in super::super) ca: Option<Text>,
    /// A file in PEM: the certificate that brokers are shown which ask for one, and behind it those that lead to its authority.
    pub(in super::super) certificate: Option<Text>,
    /// A file in PEM with that certificate's private key, without a password.
    pub(in super::super) key: Option<Text>,
    /// The name that all brokers' certificates bear. Default: the one that each broker is connected to by.
    pub(in super::super) server_name: Option<Text>,
    /// The oldest version of TLS that is spoken. Default: 1.2.
    #[schemars(with = "Option<TlsVersion>")]
    pub(in super::super) min_version: Option<Text>,
}

impl Tls {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a listener's `tls`", reader)?;
        let tls = Self {
            certificate: fields.required("certificate", "/tls/tls.crt", path),
            key: fields.required("key", "/tls/tls.key", path),
            client_ca: fields.optional("client_ca", path),
            client_auth: fields.optional("client_auth", text),
            principal_mapping: fields.optional("principal_mapping", rules),
            min_version: fields.optional("min_version", text),
        };
        fields.finish(&[]);
        Some(tls)
    }
}

impl ClientTls {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a cluster's `tls`", reader)?;
        let tls = Self {
            ca: fields.optional("ca", path),
            certificate: fields.optional("certificate", path),
            key: fields.optional("key", path),
            server_name: fields.optional("server_name", text),
            min_version: fields.optional("min_version", text),
        };
        fields.finish(&[]);
        Some(tls)
    }
}

/// In `$1` nothing is filled in, and `${` would be: a rule with a name of a group has `$${`.
fn rules(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Text>> {
    match &node.what {
        What::List(_) => some(texts(node, reader), node, reader),
        _ => text(node, reader).map(|one| vec![one]),
    }
}
