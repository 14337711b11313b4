//! What became of configs: the one that is in force, and those that were tried.

use super::register;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use std::time::{SystemTime, UNIX_EPOCH};

/// See the module's text.
pub struct ConfigMeter {
    reloads: IntCounterVec,
    info: IntGaugeVec,
    since: IntGauge,
}

impl ConfigMeter {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let reloads = Opts::new(
            "fishplate_config_reloads_total",
            "Configs that were tried while running, and what became of them: applied, unchanged, refused, invalid.",
        );
        let info = Opts::new(
            "fishplate_config_info",
            "Always 1; hash is a sum over the files of the config in force, equal where replicas run the same.",
        );
        let since = IntGauge::new(
            "fishplate_config_applied_time_seconds",
            "When the config in force was taken, in seconds since 1970.",
        );
        let reloads = register(registry, IntCounterVec::new(reloads, &["result"]))?;
        // An alert on the rate of refused ones needs them to be there before.
        for result in ["applied", "unchanged", "refused", "invalid"] {
            reloads.with_label_values(&[result]);
        }
        Ok(Self {
            reloads,
            info: register(registry, IntGaugeVec::new(info, &["hash"]))?,
            since: register(registry, since)?,
        })
    }

    /// The config of these files is in force: from the start.
    pub fn began(&self, hash: u32) {
        self.info.reset();
        self.info.with_label_values(&[&format!("{hash:08x}")]).set(1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.since.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    }

    /// Another is. `result` is `applied`, or `unchanged` where it says the same in other words.
    pub fn reloaded(&self, result: &'static str, hash: u32) {
        self.reloads.with_label_values(&[result]).inc();
        self.began(hash);
    }

    /// One was not taken: `refused`, or `invalid` where it has mistakes.
    pub fn refused(&self, result: &'static str) {
        self.reloads.with_label_values(&[result]).inc();
    }
}
