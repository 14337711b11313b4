//! How AWS's crates ask over the network: with our own TLS and bounds, so that there is one of each.

use super::https::Https;
use crate::config::url::Url;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::Full;

/// Longer answers are none of a credential.
const LARGEST: usize = 256 << 10;

/// What AWS's crates are given.
#[must_use]
pub fn http_client(https: Https) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector(https));
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Clone, Debug)]
struct Connector(Https);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let https = self.0.clone();
        HttpConnectorFuture::new(async move { ask(&https, request).await })
    }
}

async fn ask(https: &Https, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    // The addresses of containers' and instances' metadata are in the clear, and never leave the machine or its host.
    let url = Url::of_any(request.uri()).map_err(|(what, _)| ConnectorError::user(what.into()))?;
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let body = request.body().bytes().map(Bytes::copy_from_slice);
    let body = body.ok_or_else(|| ConnectorError::user("a body that is not in memory".into()))?;
    let answer = https.ask(&url, request.map(|_| Full::new(body)), LARGEST).await;
    let answer = answer.map_err(|error| ConnectorError::io(error.into()))?;
    HttpResponse::try_from(answer.map(SdkBody::from)).map_err(|error| ConnectorError::other(error.into(), None))
}
