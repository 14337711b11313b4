//! OAUTHBEARER as the config says it, checked: which tokens a listener takes, and where those for a cluster come from.

use super::Secret;
use super::url::Url;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Which tokens a listener takes: JWTs that this issuer signed for this audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oauthbearer {
    /// Where the issuer's public keys are.
    pub jwks: JwksAt,
    /// What a token's `iss` must be.
    pub issuer: Arc<str>,
    /// One of these must be in a token's `aud`. With none, a token that has an `aud` is for somebody else (RFC 7519, 4.1.3).
    pub audience: Vec<Arc<str>>,
    /// How far the issuer's clock may be from ours.
    pub clock_skew: Duration,
    /// The claim whose text is the principal's name.
    pub principal_claim: Arc<str>,
}

impl Oauthbearer {
    /// As Kafka's `sasl.oauthbearer.clock.skew.seconds`.
    pub const CLOCK_SKEW: Duration = Duration::from_secs(30);
    /// More would make expiry meaningless.
    pub const MOST_CLOCK_SKEW: Duration = Duration::from_secs(600);
    /// As Kafka's `sasl.oauthbearer.sub.claim.name`.
    pub const PRINCIPAL_CLAIM: &str = "sub";
}

/// Where a set of keys (RFC 7517) is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksAt {
    /// In a file, which may change.
    File(PathBuf),
    /// At an address.
    Url {
        /// The address.
        url: Url,
        /// The certificates to trust there, instead of the system's.
        ca: Option<PathBuf>,
    },
}

impl std::fmt::Display for JwksAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url { url, .. } => url.fmt(f),
        }
    }
}

/// Where a cluster's tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokensFrom {
    /// A file that somebody else keeps fresh, as Kubernetes does with projected ones.
    File(PathBuf),
    /// A token endpoint that is asked with a secret (RFC 6749, 4.4).
    Endpoint(Endpoint),
    /// Signed here with AWS's credentials.
    MskIam(MskIam),
}

impl TokensFrom {
    /// What it is, without its secrets.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::File(file) => format!("OAUTHBEARER from {}", file.display()),
            Self::Endpoint(Endpoint { url, client_id, scope, audience, ca, .. }) => {
                let named =
                    |name: &str, value: Option<&str>| value.map(|value| format!(" {name} {value}")).unwrap_or_default();
                let ca = ca.as_ref().map(|ca| ca.display().to_string());
                let more = [
                    named("scope", scope.as_deref()),
                    named("audience", audience.as_deref()),
                    named("ca", ca.as_deref()),
                ];
                format!("OAUTHBEARER from {url} as {client_id}{}", more.concat())
            }
            Self::MskIam(MskIam { region, role, profile }) => {
                let role = role.as_ref().map(|role| format!(" as {role}")).unwrap_or_default();
                let profile = profile.as_ref().map(|profile| format!(" with profile {profile}")).unwrap_or_default();
                format!("{} in {region}{role}{profile}", MskIam::NAME)
            }
        }
    }

    /// What is secret in it.
    #[must_use]
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Endpoint(endpoint) => Some(&endpoint.client_secret),
            Self::File(_) | Self::MskIam(_) => None,
        }
    }
}

/// A token endpoint and who we are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub url: Url,
    /// Who asks.
    pub client_id: Arc<str>,
    /// And proves it.
    pub client_secret: Secret,
    /// What for, in the issuer's words.
    pub scope: Option<Arc<str>>,
    /// For whom: some issuers ask for it.
    pub audience: Option<Arc<str>>,
    /// The certificates to trust there, instead of the system's.
    pub ca: Option<PathBuf>,
}

/// Who we are at Amazon MSK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MskIam {
    /// The cluster's region.
    pub region: Arc<str>,
    /// A role to take on first, by its ARN.
    pub role: Option<Arc<str>>,
    /// The profile of AWS's config files; else AWS_PROFILE or `default`.
    pub profile: Option<Arc<str>>,
}

impl MskIam {
    /// As mechanism in the config. On the wire it is OAUTHBEARER.
    pub const NAME: &str = "AWS_MSK_IAM";
}
