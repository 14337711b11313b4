//! How Fishplate logs in to a cluster, as it is written.

use super::super::findings::At;
use super::super::read::{Fields, Reader, Text, path, text};
use super::super::yaml::Node;
use schemars::JsonSchema;

/// How Fishplate logs in to a cluster. Which keys it takes depends on the mechanism.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Login {
    /// PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM.
    #[schemars(required, example = "SCRAM-SHA-512")]
    pub(in super::super) mechanism: Option<Text>,
    /// Who Fishplate is there: with PLAIN and SCRAM.
    pub(in super::super) username: Option<Text>,
    /// Its password. Better from outside: `${NAME}` or `${file:/path}`.
    #[schemars(example = "${KAFKA_PASSWORD}")]
    pub(in super::super) password: Option<Text>,
    /// With OAUTHBEARER: a file with a token, which something else keeps fresh. It is read again and again.
    #[schemars(example = "/var/run/secrets/kafka/token")]
    pub(in super::super) token_file: Option<Text>,
    /// With OAUTHBEARER: where a token is got, with `client_id` and `client_secret` (OAuth's client credentials).
    #[schemars(example = "https://idp.example.com/oauth2/token")]
    pub(in super::super) token_url: Option<Text>,
    /// Who asks there.
    pub(in super::super) client_id: Option<Text>,
    /// And proves it. Better from outside: `${NAME}` or `${file:/path}`.
    #[schemars(example = "${KAFKA_CLIENT_SECRET}")]
    pub(in super::super) client_secret: Option<Text>,
    /// What for, in the issuer's words. Default: nothing is said.
    pub(in super::super) scope: Option<Text>,
    /// For whom: some issuers ask for it. Default: nothing is said.
    pub(in super::super) audience: Option<Text>,
    /// The certificates to trust at `token_url`, a file of PEM. Default: the system's.
    pub(in super::super) ca: Option<Text>,
    /// With AWS_MSK_IAM: the cluster's region.
    #[schemars(example = "eu-central-1")]
    pub(in super::super) region: Option<Text>,
    /// With AWS_MSK_IAM: a role to take on, by its ARN. Default: whoever AWS's credentials are.
    pub(in super::super) role: Option<Text>,
    /// With AWS_MSK_IAM: the profile of AWS's config files. Default: AWS_PROFILE, or `default`.
    pub(in super::super) profile: Option<Text>,
    #[schemars(skip)]
    pub(in super::super) at: At,
}

impl Login {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "sasl", reader)?;
        let sasl = Self {
            mechanism: fields.required("mechanism", "SCRAM-SHA-512", text),
            username: fields.optional("username", text),
            password: fields.optional("password", text),
            token_file: fields.optional("token_file", path),
            token_url: fields.optional("token_url", text),
            client_id: fields.optional("client_id", text),
            client_secret: fields.optional("client_secret", text),
            scope: fields.optional("scope", text),
            audience: fields.optional("audience", text),
            ca: fields.optional("ca", path),
            region: fields.optional("region", text),
            role: fields.optional("role", text),
            profile: fields.optional("profile", text),
            at: node.at,
        };
        fields.finish(&[]);
        Some(sasl)
    }

    /// Each key but `mechanism` that is written, with its name.
    pub(in super::super) fn written(&self) -> impl Iterator<Item = (&'static str, &Text)> {
        let keys = [
            ("username", &self.username),
            ("password", &self.password),
            ("token_file", &self.token_file),
            ("token_url", &self.token_url),
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
            ("scope", &self.scope),
            ("audience", &self.audience),
            ("ca", &self.ca),
            ("region", &self.region),
            ("role", &self.role),
            ("profile", &self.profile),
        ];
        keys.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?)))
    }
}
