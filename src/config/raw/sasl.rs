//! How clients log in at a listener, as it is written.

use super::super::amounts::{Amount, time};
use super::super::read::{Fields, Reader, Text, path, some, text, texts};
use super::super::yaml::Node;
use super::oauthbearer::Oauthbearer;
use schemars::JsonSchema;

/// SASL of a listener: who has not logged in is served nothing.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Sasl {
    /// How clients may log in: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER.
    #[schemars(required, length(min = 1), example = ["SCRAM-SHA-512"])]
    pub(in super::super) mechanisms: Option<Vec<Text>>,
    /// The file of users, as `fishplate users add` writes it. It is read again when it changes.
    #[schemars(example = "/etc/fishplate/users")]
    pub(in super::super) users_file: Option<Text>,
    /// The lines of such a file, from an environment variable: `${FISHPLATE_USERS}`. Either this or `users_file`.
    #[schemars(example = "${FISHPLATE_USERS}")]
    pub(in super::super) users: Option<Text>,
    /// Clients must log in anew within this time (KIP-368), or are closed. Default: they need not.
    #[schemars(example = "1h")]
    pub(in super::super) session_lifetime: Option<Amount>,
    /// Which tokens are taken with OAUTHBEARER.
    pub(in super::super) oauthbearer: Option<Oauthbearer>,
    #[schemars(skip)]
    pub(in super::super) at: super::super::findings::At,
}

impl Sasl {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a listener's `sasl`", reader)?;
        let sasl = Self {
            mechanisms: fields
                .required("mechanisms", "[SCRAM-SHA-512]", |node, reader| some(texts(node, reader), node, reader)),
            users_file: fields.optional("users_file", path),
            users: fields.optional("users", text),
            session_lifetime: fields.optional("session_lifetime", time),
            oauthbearer: fields.optional("oauthbearer", Oauthbearer::read),
            at: node.at,
        };
        fields.finish(&[]);
        Some(sasl)
    }
}
