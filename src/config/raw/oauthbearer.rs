//! Which tokens a listener takes, as it is written.

use super::super::amounts::{Amount, time};
use super::super::read::{Fields, Reader, Text, path, text, texts};
use super::super::yaml::{Node, What};
use schemars::JsonSchema;

/// Which tokens (JWTs) a listener takes: those that this issuer signed.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Oauthbearer {
    /// The issuer's public keys: an address (https), which is asked every hour and for keys that are new, or a file.
    #[schemars(required, example = "https://idp.example.com/.well-known/jwks.json")]
    pub(in super::super) jwks: Option<Text>,
    /// The certificates to trust at that address, a file of PEM. Default: the system's.
    pub(in super::super) ca: Option<Text>,
    /// What a token's `iss` must be, letter by letter.
    #[schemars(required, example = "https://idp.example.com")]
    pub(in super::super) issuer: Option<Text>,
    /// One of these must be in a token's `aud`. Default: a token must not have an `aud`.
    #[schemars(with = "Option<super::OneOrMany>", example = &"kafka")]
    pub(in super::super) audience: Option<Vec<Text>>,
    /// How far the issuer's clock may be from ours, at most 10m. Default: 30s.
    pub(in super::super) clock_skew: Option<Amount>,
    /// The claim whose text is the principal's name. Default: sub.
    #[schemars(example = &"sub")]
    pub(in super::super) principal_claim: Option<Text>,
}

impl Oauthbearer {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "oauthbearer", reader)?;
        let oauthbearer = Self {
            jwks: fields.required("jwks", "https://idp.example.com/.well-known/jwks.json", address_or_path),
            ca: fields.optional("ca", path),
            issuer: fields.required("issuer", "https://idp.example.com", text),
            audience: fields.optional("audience", one_or_many),
            clock_skew: fields.optional("clock_skew", time),
            principal_claim: fields.optional("principal_claim", text),
        };
        fields.finish(&[]);
        Some(oauthbearer)
    }
}

/// What has `://` in it is an address; anything else is the path of a file.
fn address_or_path(node: &Node, reader: &mut Reader<'_>) -> Option<Text> {
    match &node.what {
        What::Scalar(scalar) if scalar.text.contains("://") => text(node, reader),
        _ => path(node, reader),
    }
}

fn one_or_many(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Text>> {
    if matches!(node.what, What::List(_)) { texts(node, reader) } else { text(node, reader).map(|one| vec![one]) }
}
