//! Where tokens come from: a file, a token endpoint (RFC 6749, 4.4), AWS's credentials. Reads files and asks over the network.

use super::https::Https;
#[cfg(feature = "msk-iam")]
use super::msk_iam::MskSigner;
use super::refused::Shown;
use super::token::{NoToken, Token};
use crate::config::Secret;
use crate::config::oauth::{Endpoint, TokensFrom};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response};
use serde::Deserialize;
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// No answer of a token endpoint and no file with a token is longer.
const LARGEST: usize = 128 << 10;
/// A file is read again so often: whoever keeps it fresh may put a new token there long before the old one ends.
const FILE_AGE: Duration = Duration::from_secs(10);
/// Longer lives are not believed; also keeps sums of times within what a time can be.
const LONGEST_LIFE: u64 = 365 * 24 * 3_600;

/// A source that is ready to be asked.
#[derive(Debug)]
pub enum Source {
    /// See [`TokensFrom::File`].
    File(PathBuf),
    /// See [`TokensFrom::Endpoint`].
    Endpoint(Box<Endpoint>, Https),
    /// See [`TokensFrom::MskIam`].
    #[cfg(feature = "msk-iam")]
    MskIam(Box<MskSigner>),
}

impl Source {
    /// Gets ready: reads what certificates are trusted.
    ///
    /// # Errors
    ///
    /// That cannot be read, or this Fishplate was built without what it takes.
    pub fn new(from: &TokensFrom) -> Result<Self, NoToken> {
        let trusting = |ca: Option<&Path>| Https::trusting(ca).map_err(|error| NoToken::new(error.to_string()));
        match from {
            TokensFrom::File(file) => Ok(Self::File(file.clone())),
            TokensFrom::Endpoint(endpoint) => {
                Ok(Self::Endpoint(Box::new(endpoint.clone()), trusting(endpoint.ca.as_deref())?))
            }
            #[cfg(feature = "msk-iam")]
            TokensFrom::MskIam(whom) => Ok(Self::MskIam(Box::new(MskSigner::new(whom, trusting(None)?)))),
            #[cfg(not(feature = "msk-iam"))]
            TokensFrom::MskIam(_) => Err(NoToken::new(
                "this Fishplate was built without AWS_MSK_IAM; take a released one, or build with `--features msk-iam`",
            )),
        }
    }

    /// Asks once.
    ///
    /// # Errors
    ///
    /// What happened, to what.
    pub async fn fetch(&self, now: SystemTime) -> Result<Token, NoToken> {
        match self {
            Self::File(path) => {
                let file = path.clone();
                let read = tokio::task::spawn_blocking(move || of_file(&file, now)).await;
                read.unwrap_or_else(|_| Err(NoToken::new(format!("{} could not be read", path.display()))))
            }
            Self::Endpoint(endpoint, https) => {
                let failed = |why: &dyn std::fmt::Display| NoToken::new(format!("token_url {}: {why}", endpoint.url));
                let request = request(endpoint).map_err(|error| failed(&error))?;
                let answer = https.ask(&endpoint.url, request, LARGEST).await.map_err(|error| failed(&error))?;
                of_answer(&answer, now).map_err(|error| failed(&error))
            }
            #[cfg(feature = "msk-iam")]
            Self::MskIam(signer) => signer.fetch(now).await,
        }
    }

    /// When the next token is to be got, of one that came at `now`.
    #[must_use]
    pub fn renewal(&self, token: &Token, now: SystemTime, dice: f64) -> SystemTime {
        let renewal = token.renewal(now, dice);
        if matches!(self, Self::File(_)) { renewal.min(now + FILE_AGE) } else { renewal }
    }
}

fn of_file(path: &Path, now: SystemTime) -> Result<Token, NoToken> {
    let failed = |why: &dyn std::fmt::Display| NoToken::new(format!("token_file {}: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let mut text = Zeroizing::new(String::new());
    file.take(LARGEST as u64).read_to_string(&mut text).map_err(|error| failed(&error))?;
    let token = Token::new(text.trim(), None).map_err(|error| failed(&error))?;
    if token.is_good(now) {
        Ok(token)
    } else {
        Err(failed(&"the token in it has expired: is what should renew it still running?"))
    }
}

/// What the endpoint is asked, with the client's name and secret as RFC 6749, 2.3.1 has every endpoint take them.
fn request(endpoint: &Endpoint) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut form = "grant_type=client_credentials".to_owned();
    for (key, value) in [("scope", &endpoint.scope), ("audience", &endpoint.audience)] {
        if let Some(value) = value {
            let _ = write!(form, "&{key}={}", form_encoded(value));
        }
    }
    let (id, secret) =
        (form_encoded(&endpoint.client_id), Zeroizing::new(form_encoded(endpoint.client_secret.reveal())));
    let credentials = Zeroizing::new(STANDARD.encode(Zeroizing::new(format!("{id}:{}", *secret)).as_bytes()));
    let mut authorization = HeaderValue::try_from(Zeroizing::new(format!("Basic {}", *credentials)).as_str())?;
    authorization.set_sensitive(true);
    Request::builder()
        .method(Method::POST)
        .header(AUTHORIZATION, authorization)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .body(Full::new(form.into()))
}

/// As RFC 6749, appendix B: what is not plain is written `%XX`, and a space `+`.
fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => encoded.push(byte.into()),
            b' ' => encoded.push('+'),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[derive(Deserialize)]
struct Granted {
    #[serde(deserialize_with = "secret")]
    access_token: Secret,
    token_type: Option<String>,
    expires_in: Option<Seconds>,
}

fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    String::deserialize(from).map(Secret::new)
}

/// Some issuers write the number as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

#[derive(Deserialize)]
struct Denied {
    error: String,
    error_description: Option<String>,
}

fn of_answer(answer: &Response<Bytes>, now: SystemTime) -> Result<Token, NoToken> {
    if !answer.status().is_success() {
        let status = answer.status();
        let Ok(Denied { error, error_description }) = serde_json::from_slice(answer.body()) else {
            return Err(NoToken::new(format!("it answered {status}")));
        };
        let described = error_description.map(|text| format!(" ({})", Shown::of(&text))).unwrap_or_default();
        return Err(NoToken::new(format!("it answered {status}: {}{described}", Shown::of(&error))));
    }
    let granted: Granted = serde_json::from_slice(answer.body())
        .map_err(|_| NoToken::new("its answer is no JSON object with an `access_token`"))?;
    if granted.token_type.is_some_and(|of| !of.eq_ignore_ascii_case("bearer")) {
        return Err(NoToken::new("it gave a token of another type than Bearer"));
    }
    let life = granted.expires_in.and_then(Seconds::read).map(|seconds| now + Duration::from_secs(seconds));
    Token::new(granted.access_token.reveal(), life)
}

impl Seconds {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "within what it is held to"
    )]
    fn read(self) -> Option<u64> {
        let seconds = match self {
            Self::Number(seconds) => seconds,
            Self::Text(text) => text.trim().parse().ok()?,
        };
        (seconds > 0.0).then(|| seconds.min(LONGEST_LIFE as f64) as u64)
    }
}

#[cfg(test)]
#[path = "token_source_tests.rs"]
mod tests;
