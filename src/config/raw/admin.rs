//! The admin address, as it is written.

use super::super::read::{Fields, Reader, Text, path, text};
use super::super::yaml::Node;
use super::tls::{ClientAuth, Tls, TlsVersion};
use schemars::JsonSchema;

/// The address for metrics, health and what operators ask.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Admin {
    /// The IP address and port to listen on.
    #[schemars(required, example = "127.0.0.1:9644")]
    pub(in super::super) bind: Option<Text>,
    /// Encryption. Default: none; with `token_file` or `token` it is needed where `bind` is not loopback.
    pub(in super::super) tls: Option<AdminTls>,
    /// A file of tokens, one a line, perhaps with a name before it. Who sends one (`Authorization: Bearer`) may see secrets and
    /// change what runs, and nobody else. It is read again when it changes. Default: who is on Fishplate's own machine may.
    #[schemars(example = "/etc/fishplate/admin-tokens")]
    pub(in super::super) token_file: Option<Text>,
    /// The lines of such a file, from an environment variable: `${FISHPLATE_ADMIN_TOKEN}`. Either this or `token_file`.
    #[schemars(example = "${FISHPLATE_ADMIN_TOKEN}")]
    pub(in super::super) token: Option<Text>,
}

/// TLS of the admin address.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct AdminTls {
    /// A file in PEM: the certificate, and behind it those that lead to its authority. It is read again when it changes.
    #[schemars(required, example = "/tls/tls.crt")]
    certificate: Option<Text>,
    /// A file in PEM with the certificate's private key, without a password.
    #[schemars(required, example = "/tls/tls.key")]
    key: Option<Text>,
    /// A file in PEM with the authorities of callers' certificates. Without it callers are asked for none.
    client_ca: Option<Text>,
    /// Whether a caller without a certificate is let in: probes seldom have one. Needs `client_ca`. Default: required.
    #[schemars(with = "Option<ClientAuth>")]
    client_auth: Option<Text>,
    /// The oldest version of TLS that is spoken. Default: 1.2.
    #[schemars(with = "Option<TlsVersion>")]
    min_version: Option<Text>,
}

impl Admin {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "admin", reader)?;
        let admin = Self {
            bind: fields.required("bind", "127.0.0.1:9644", text),
            tls: fields.optional("tls", AdminTls::read),
            token_file: fields.optional("token_file", path),
            token: fields.optional("token", text),
        };
        fields.finish(&[]);
        Some(admin)
    }
}

impl AdminTls {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "admin's `tls`", reader)?;
        let tls = Self {
            certificate: fields.required("certificate", "/tls/tls.crt", path),
            key: fields.required("key", "/tls/tls.key", path),
            client_ca: fields.optional("client_ca", path),
            client_auth: fields.optional("client_auth", text),
            min_version: fields.optional("min_version", text),
        };
        fields.finish(&[]);
        Some(tls)
    }

    /// As a listener has it: nobody is a principal here.
    pub(in super::super) fn as_of_listener(&self) -> Tls {
        let Self { certificate, key, client_ca, client_auth, min_version } = self;
        Tls {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: client_ca.clone(),
            client_auth: client_auth.clone(),
            principal_mapping: None,
            min_version: min_version.clone(),
        }
    }
}
