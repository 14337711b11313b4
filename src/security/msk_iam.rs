//! Tokens for Amazon MSK's IAM: the address of an action on a cluster, signed with AWS's credentials (Signature Version 4), as
//! AWS's own aws-msk-iam-sasl-signer makes them. Signing is pure; credentials are looked for as every AWS program looks for them.

use super::aws;
use super::https::Https;
use super::token::{NoToken, Token};
use crate::config::oauth::MskIam;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_types::error::display::DisplayErrorContext;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Request;
use std::time::{Duration, SystemTime};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

/// The longest that MSK takes, and what AWS's signers say.
const LIFE: Duration = Duration::from_secs(900);
const SERVICE: &str = "kafka-cluster";
/// Stands in CloudTrail for each connection.
const USER_AGENT: &str = concat!("&User-Agent=fishplate%2F", env!("CARGO_PKG_VERSION"));
/// What a role is taken on as, for CloudTrail too.
const SESSION: &str = "fishplate";
/// Of what AWS's crates say of a failure, so much is told.
const LONGEST_REASON: usize = 400;

/// Signs for one cluster.
pub struct MskSigner {
    whom: MskIam,
    https: Https,
    /// Where the credentials are; found out when they are first asked for.
    provider: OnceCell<SharedCredentialsProvider>,
}

impl MskSigner {
    /// As the config says.
    #[must_use]
    pub fn new(whom: &MskIam, https: Https) -> Self {
        Self { whom: whom.clone(), https, provider: OnceCell::new() }
    }

    /// Looks for credentials, and signs.
    ///
    /// # Errors
    ///
    /// There are no credentials.
    pub async fn fetch(&self, now: SystemTime) -> Result<Token, NoToken> {
        let provider = self.provider.get_or_init(|| provider(&self.whom, &self.https)).await;
        let credentials = provider.provide_credentials().await.map_err(|error| {
            let why: String = DisplayErrorContext(&error).to_string().chars().take(LONGEST_REASON).collect();
            NoToken::new(format!(
                "AWS_MSK_IAM: no credentials of AWS in the environment, profile, web identity, container or instance: {why}"
            ))
        })?;
        signed(credentials, &self.whom.region, now)
    }
}

impl std::fmt::Debug for MskSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MskSigner").field("whom", &self.whom).finish_non_exhaustive()
    }
}

/// Environment, profile, web identity, container, instance: whichever is there first; and the role, if one is to be taken on.
async fn provider(whom: &MskIam, https: &Https) -> SharedCredentialsProvider {
    let (region, http) = (Region::new(whom.region.to_string()), aws::http_client(https.clone()));
    let config = ProviderConfig::without_region().with_region(Some(region.clone())).with_http_client(http.clone());
    let mut chain = DefaultCredentialsChain::builder().configure(config).region(region.clone());
    if let Some(profile) = &whom.profile {
        chain = chain.profile_name(profile);
    }
    let chain = chain.build().await;
    let Some(role) = &whom.role else { return SharedCredentialsProvider::new(chain) };
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).region(region).no_credentials();
    let config = config.load().await;
    let role = AssumeRoleProvider::builder(&**role).session_name(SESSION).configure(&config);
    SharedCredentialsProvider::new(role.build_from_provider(chain).await)
}

/// The token: good for a quarter of an hour, or as long as the credentials.
///
/// # Errors
///
/// AWS's crate will not sign.
pub fn signed(credentials: Credentials, region: &str, now: SystemTime) -> Result<Token, NoToken> {
    let failed = |why: &dyn std::fmt::Display| NoToken::new(format!("AWS_MSK_IAM: cannot sign: {why}"));
    let ends = credentials.expiry();
    let host = format!("kafka.{region}.amazonaws.com");
    let url = format!("https://{host}/?Action=kafka-cluster%3AConnect");
    let url =
        presigned(credentials, Scope { service: SERVICE, region }, &url, LIFE, now).map_err(|error| failed(&error))?;
    let url = Zeroizing::new(format!("{}{USER_AGENT}", *url));
    let expires = now + LIFE;
    Token::new(
        &Zeroizing::new(URL_SAFE_NO_PAD.encode(url.as_bytes())),
        Some(ends.map_or(expires, |ends| ends.min(expires))),
    )
}

/// What a signature is good for.
#[derive(Clone, Copy)]
struct Scope<'a> {
    service: &'a str,
    region: &'a str,
}

/// An address with its signature in the query.
fn presigned(
    credentials: Credentials,
    Scope { service, region }: Scope<'_>,
    url: &str,
    life: Duration,
    now: SystemTime,
) -> Result<Zeroizing<String>, BoxError> {
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(life);
    let identity = credentials.into();
    let params = SigningParams::builder().identity(&identity).region(region).name(service).time(now).settings(settings);
    let mut request = Request::get(url).body(())?;
    let host = request.uri().host().unwrap_or_default().to_owned();
    let signable = SignableRequest::new("GET", url, [("host", host.as_str())].into_iter(), SignableBody::Bytes(&[]))?;
    sign(signable, &params.build()?.into())?.into_parts().0.apply_to_request_http1x(&mut request);
    Ok(Zeroizing::new(request.uri().to_string()))
}

#[cfg(test)]
#[path = "msk_iam_tests.rs"]
mod tests;
