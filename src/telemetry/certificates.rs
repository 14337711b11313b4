//! Until when certificates hold, and what became of looking at their files again.

use super::{forget, register};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

/// See the module's text.
pub struct CertificateMeter {
    expiry: IntGaugeVec,
    reloads: IntCounterVec,
}

impl CertificateMeter {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let expiry = Opts::new(
            "fishplate_certificate_expiry_time_seconds",
            "When a certificate ends, in seconds since 1970, by whose it is: side (listener, admin, cluster) and name.",
        );
        let reloads = Opts::new(
            "fishplate_certificate_reloads_total",
            "Files of TLS that changed while running, and what became of it: applied, refused (what was there stays).",
        );
        Ok(Self {
            expiry: register(registry, IntGaugeVec::new(expiry, &["side", "name", "part"]))?,
            reloads: register(registry, IntCounterVec::new(reloads, &["side", "name", "result"]))?,
        })
    }

    /// A part of somebody's material holds until then, in seconds since 1970. `side` is `listener`, `admin` or `cluster`,
    /// `part` `certificate` or `ca`.
    pub fn holds_until(&self, side: &str, name: &str, part: &str, until: i64) {
        self.expiry.with_label_values(&[side, name, part]).set(until);
        // An alert on the rate of refused ones needs them to be there before.
        for result in ["applied", "refused"] {
            self.reloads.with_label_values(&[side, name, result]);
        }
    }

    /// Somebody has no such part any more.
    pub fn has_none(&self, side: &str, name: &str, part: &str) {
        let _ = self.expiry.remove_label_values(&[side, name, part]);
    }

    /// Files were read again: `applied` or `refused`.
    pub fn reloaded(&self, side: &str, name: &str, result: &'static str) {
        self.reloads.with_label_values(&[side, name, result]).inc();
    }

    /// The cluster is not in the config any more. A listener of the same name there cannot be: names have no colon.
    pub(super) fn forget(&self, cluster: &str) {
        forget(&self.expiry, "name", cluster);
        forget(&self.reloads, "name", cluster);
    }
}
