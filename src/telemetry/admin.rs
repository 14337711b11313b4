//! Who was turned away at the admin address, and how many tokens it takes.

use super::register;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

/// See the module's text.
pub struct AdminMeter {
    tokens: IntGauge,
    refused: IntCounterVec,
    reloads: IntCounterVec,
}

/// Why requests are refused.
const REASONS: [&str; 5] = ["elsewhere", "name", "no_token", "wrong_token", "crowded"];

impl AdminMeter {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters =
            |name, help, labels: &[&str]| register(registry, IntCounterVec::new(Opts::new(name, help), labels));
        Ok(Self {
            tokens: register(
                registry,
                IntGauge::new(
                    "fishplate_admin_tokens",
                    "Tokens that the admin address takes; 0 where it asks for none.",
                ),
            )?,
            refused: counters(
                "fishplate_admin_refused_total",
                "Requests to the admin address for secrets or changes that were refused, and why.",
                &["reason"],
            )?,
            reloads: counters(
                "fishplate_admin_token_reloads_total",
                "Files of admin tokens that had changed: applied, or invalid (the tokens before stay).",
                &["result"],
            )?,
        })
    }

    /// It listens, and takes so many tokens; `None`: it asks for none. An alert on a rate needs its series to be there before.
    pub fn began(&self, tokens: Option<usize>) {
        REASONS.iter().for_each(|reason| drop(self.refused.with_label_values(&[reason])));
        if let Some(tokens) = tokens {
            self.stand(tokens);
            ["applied", "invalid"].iter().for_each(|result| drop(self.reloads.with_label_values(&[result])));
        }
    }

    /// Somebody was turned away, for this reason.
    pub fn refused(&self, reason: &str) {
        self.refused.with_label_values(&[reason]).inc();
    }

    /// Another file of tokens was taken; `None`: it was not.
    pub fn reloaded(&self, tokens: Option<usize>) {
        self.reloads.with_label_values(&[if tokens.is_some() { "applied" } else { "invalid" }]).inc();
        tokens.into_iter().for_each(|tokens| self.stand(tokens));
    }

    fn stand(&self, tokens: usize) {
        self.tokens.set(i64::try_from(tokens).unwrap_or(i64::MAX));
    }
}
