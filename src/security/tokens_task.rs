//! The tokens of one cluster: one is kept, the next is got before it ends, by one fetch for all who wait. Asks its source.

use super::token::{NoToken, Token, back_off};
use super::token_source::Source;
use crate::config::oauth::TokensFrom;
use crate::telemetry::Seldom;
use crate::types::Name;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::time::timeout;
use tracing::{info, warn};

/// Told of every fetch, with whether a token came: a metric.
pub type Told = Box<dyn Fn(bool) + Send + Sync>;

/// So long is waited for a next token, or for a quarter of what the last one has left, where that is less.
const MOMENT: Duration = Duration::from_secs(1);
/// How often one and the same failure is logged.
const WARNED: Duration = Duration::from_secs(60);

/// See the module's text.
pub struct Tokens {
    cluster: Name,
    from: TokensFrom,
    kept: Mutex<Option<Kept>>,
    /// Whoever has it fetches. The one lock that is held while something is waited for.
    turn: Arc<tokio::sync::Mutex<Turn>>,
    told: Told,
    warned: Seldom<()>,
}

#[derive(Clone)]
struct Kept {
    token: Token,
    renewal: SystemTime,
}

/// How the last fetch went.
#[derive(Default)]
struct Turn {
    /// Made ready when it is first asked.
    source: Option<Source>,
    failures: u32,
    /// The source is left alone until then, and this is why.
    rest: Option<(Instant, NoToken)>,
}

impl Tokens {
    /// Of the cluster of this name.
    #[must_use]
    pub fn new(cluster: Name, from: TokensFrom, told: Told) -> Arc<Self> {
        Arc::new(Self {
            cluster,
            from,
            kept: Mutex::default(),
            turn: Arc::default(),
            told,
            warned: Seldom::new(WARNED),
        })
    }

    /// A token that is good now. Where there is one that is to be replaced, the next one is waited for only a moment: who
    /// shows one that is nearly over must soon log in again.
    ///
    /// # Errors
    ///
    /// There is none, and the source gave none, or is left alone since it did not a moment ago.
    pub async fn token(self: &Arc<Self>) -> Result<Token, NoToken> {
        let now = SystemTime::now();
        match self.kept(|kept| kept.token.is_good(now)) {
            Some(kept) if now < kept.renewal => Ok(kept.token),
            Some(kept) => {
                let left = kept.token.expires.and_then(|expires| expires.duration_since(now).ok());
                let next = timeout(left.map_or(MOMENT, |left| MOMENT.min(left / 4)), self.next()).await;
                Ok(next.ok().and_then(Result::ok).unwrap_or(kept.token))
            }
            None => self.next().await,
        }
    }

    /// The cluster has refused this token: the next one who asks gets another, if the source has one.
    pub fn refused(&self, token: &Token) {
        let mut kept = self.kept.lock();
        if kept.as_ref().is_some_and(|kept| kept.token == *token) {
            *kept = None;
        }
    }

    fn kept(&self, so: impl FnOnce(&Kept) -> bool) -> Option<Kept> {
        self.kept.lock().clone().filter(so)
    }

    /// One that is not yet to be replaced. One fetches, the others find what it brought.
    async fn next(self: &Arc<Self>) -> Result<Token, NoToken> {
        let mut turn = Arc::clone(&self.turn).lock_owned().await;
        if let Some(kept) = self.kept(|kept| SystemTime::now() < kept.renewal) {
            return Ok(kept.token);
        }
        // In a task of its own: whoever asked may leave, and others wait for the same.
        let this = Arc::clone(self);
        let fetching = tokio::spawn(async move { this.fetch(&mut turn).await });
        fetching.await.unwrap_or_else(|_| Err(NoToken::new("getting a token was broken off")))
    }

    async fn fetch(&self, turn: &mut Turn) -> Result<Token, NoToken> {
        if let Some((until, why)) = &turn.rest
            && Instant::now() < *until
        {
            return Err(why.clone());
        }
        let now = SystemTime::now();
        let fetched = self.ask(turn, now).await;
        (self.told)(fetched.is_ok());
        match &fetched {
            Ok(_) if turn.failures > 0 => {
                info!(cluster = %self.cluster, "tokens come again");
                turn.failures = 0;
                turn.rest = None;
            }
            Ok(_) => {}
            Err(why) => {
                turn.failures = turn.failures.saturating_add(1);
                turn.rest = Some((Instant::now() + back_off(turn.failures, fastrand::f64()), why.clone()));
                let now = SystemTime::now();
                let still_good = self.kept(|kept| kept.token.is_good(now)).is_some();
                if let Some(held_back) = self.warned.pass(()) {
                    warn!(cluster = %self.cluster, why = %why, still_good, held_back, "no token for a cluster");
                }
            }
        }
        fetched
    }

    async fn ask(&self, turn: &mut Turn, now: SystemTime) -> Result<Token, NoToken> {
        let source = match &mut turn.source {
            Some(source) => source,
            none => none.insert(Source::new(&self.from)?),
        };
        let token = source.fetch(now).await?;
        let renewal = source.renewal(&token, now, fastrand::f64());
        *self.kept.lock() = Some(Kept { token: token.clone(), renewal });
        Ok(token)
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
