//! Judges tokens for a listener with keys that are kept fresh: a file is looked at again and again, an address asked every
//! hour, and where a token names a key that is not there. What cannot be read leaves the keys that are. Reads files, asks over the network.

use super::https::Https;
use super::jwks::{Jwks, LARGEST};
use super::jwt::{self, Verified};
use super::refused::Refused;
use super::token::back_off;
use crate::config::oauth::{JwksAt, Oauthbearer};
use crate::telemetry::Seldom;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{ACCEPT, HeaderValue};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{info, warn};

/// Told of every reading, with whether there were keys in it: a metric.
pub type Told = Box<dyn Fn(bool) + Send + Sync>;

/// How often keys are read.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A file.
    pub file: Duration,
    /// An address, as Kafka's `sasl.oauthbearer.jwks.endpoint.refresh.ms`.
    pub url: Duration,
    /// Whatever tokens name, no sooner than this after the last time: strangers can name what they like.
    pub apart: Duration,
    /// Who brings a token with a new key's name waits so long for it.
    pub patience: Duration,
}

/// How often one and the same failure is logged.
const WARNED: Duration = Duration::from_secs(60);

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { file: seconds(5), url: seconds(3_600), apart: seconds(10), patience: seconds(3) }
    }
}

/// See the module's text. Reading ends when this is dropped.
#[derive(Debug)]
pub struct Verifier {
    rules: Oauthbearer,
    keys: watch::Receiver<Picture>,
    ring: Arc<Notify>,
    pace: Pace,
    refused: Seldom<&'static str>,
    task: AbortHandle,
}

/// What was read last.
#[derive(Clone, Debug, Default)]
struct Picture {
    keys: Arc<Jwks>,
    /// How often it was tried.
    tries: u64,
    /// No sooner than this will it be tried again.
    rests_until: Option<Instant>,
}

impl Verifier {
    /// Begins to read keys; nobody waits for them. Must be called within a runtime.
    #[must_use]
    pub fn start(rules: Oauthbearer, told: Told) -> Self {
        Self::at_pace(rules, told, Pace::default())
    }

    /// As [`Verifier::start`], at another pace.
    #[must_use]
    pub fn at_pace(rules: Oauthbearer, told: Told, pace: Pace) -> Self {
        let (publish, keys) = watch::channel(Picture::default());
        let ring = Arc::new(Notify::new());
        let reader = Reader { at: rules.jwks.clone(), pace, publish, told, warned: Seldom::new(WARNED), failures: 0 };
        let task = tokio::spawn(reader.run(Arc::clone(&ring))).abort_handle();
        Self { rules, keys, ring, pace, refused: Seldom::new(WARNED), task }
    }

    /// Judges a token by the keys that are there. One that names another key has the keys read again, at their pace.
    ///
    /// # Errors
    ///
    /// Why it is not taken.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Verified, Refused> {
        let keys = Arc::clone(&self.keys.borrow().keys);
        let judged = jwt::verify(token, &keys, &self.rules, now);
        if judged.as_ref().is_err_and(could_be_newer) {
            self.ring.notify_one();
        }
        judged
    }

    /// As [`Verifier::verify`]; where newer keys could change it and are about to be read, it waits for them, three seconds at
    /// most. Why a token is not taken is logged, each kind once a minute.
    ///
    /// # Errors
    ///
    /// Why it is not taken.
    pub async fn judge(&self, token: &str, now: SystemTime) -> Result<Verified, Refused> {
        let judged = self.judge_by_newest(token, now).await;
        if let Err(why) = &judged
            && let Some(held_back) = self.refused.pass(why.kind())
        {
            warn!(jwks = %self.rules.jwks, why = %why, held_back, "a client's token is not taken");
        }
        judged
    }

    async fn judge_by_newest(&self, token: &str, now: SystemTime) -> Result<Verified, Refused> {
        let Picture { tries, rests_until, .. } = self.keys.borrow().clone();
        let judged = self.verify(token, now);
        let rests = rests_until.is_some_and(|until| Instant::now() < until);
        if rests || !judged.as_ref().is_err_and(could_be_newer) {
            return judged;
        }
        let mut keys = self.keys.clone();
        let read = tokio::time::timeout(self.pace.patience, keys.wait_for(|picture| picture.tries > tries)).await;
        if matches!(read, Ok(Ok(_))) { self.verify(token, now) } else { judged }
    }

    /// Waits until keys are there, for a while: so that a listener that has just opened does not turn its first clients away.
    pub async fn ready(&self) {
        let mut keys = self.keys.clone();
        let _ = tokio::time::timeout(self.pace.patience, keys.wait_for(|picture| !picture.keys.is_empty())).await;
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether keys that are newer than ours could change the judgement.
fn could_be_newer(refused: &Refused) -> bool {
    matches!(refused, Refused::NoKeys | Refused::UnknownKey(_))
}

/// Reads keys.
struct Reader {
    at: JwksAt,
    pace: Pace,
    publish: watch::Sender<Picture>,
    told: Told,
    warned: Seldom<()>,
    failures: u32,
}

impl Reader {
    async fn run(mut self, ring: Arc<Notify>) {
        loop {
            let began = Instant::now();
            let read = read(&self.at).await;
            (self.told)(read.is_ok());
            let next = began + self.take(read);
            let soonest = (began + self.pace.apart).min(next);
            self.publish.send_modify(|picture| {
                picture.tries += 1;
                picture.rests_until = Some(soonest);
            });
            tokio::time::sleep_until(soonest).await;
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = ring.notified() => {}
            }
        }
    }

    /// Puts what was read in place, and says when to read again.
    fn take(&mut self, read: Result<Jwks, String>) -> Duration {
        let usual = if matches!(self.at, JwksAt::File(_)) { self.pace.file } else { self.pace.url };
        match read {
            Ok(jwks) => {
                self.failures = 0;
                let differs = *self.publish.borrow().keys != jwks;
                if differs {
                    let skipped = jwks.skipped.first().map(ToString::to_string).unwrap_or_default();
                    info!(jwks = %self.at, keys = jwks.len(), skipped, "keys to check tokens with were read");
                    self.publish.send_modify(|picture| picture.keys = Arc::new(jwks));
                }
                usual
            }
            Err(why) => {
                self.failures = self.failures.saturating_add(1);
                let keys = self.publish.borrow().keys.len();
                if let Some(held_back) = self.warned.pass(()) {
                    warn!(jwks = %self.at, why, kept_keys = keys, held_back, "keys to check tokens with cannot be read");
                }
                usual.min(back_off(self.failures, fastrand::f64()))
            }
        }
    }
}

async fn read(at: &JwksAt) -> Result<Jwks, String> {
    let text = match at {
        JwksAt::File(path) => {
            let path = path.clone();
            let read = tokio::task::spawn_blocking(move || of_file(&path)).await.map_err(|error| error.to_string())?;
            read.map_err(|error| error.to_string())?
        }
        JwksAt::Url { url, ca } => {
            // The file of trusted certificates may have changed as well.
            let https = Https::trusting(ca.as_deref()).map_err(|error| error.to_string())?;
            let mut request = Request::new(Full::<Bytes>::default());
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
            let answer = https.ask(url, request, LARGEST).await.map_err(|error| error.to_string())?;
            if !answer.status().is_success() {
                return Err(format!("it answered {}", answer.status()));
            }
            answer.into_body().to_vec()
        }
    };
    Jwks::read(&text).map_err(|error| error.to_string())
}

fn of_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::fs::File::open(path)?.take(LARGEST as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
#[path = "jwks_task_tests.rs"]
mod tests;
