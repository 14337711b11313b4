//! What is counted per client connection: how many there are, why they ended, who they say they are.

use super::register;
use crate::types::View;
use parking_lot::Mutex;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

/// Names and versions come from outside, so at most this many kinds become labels; the rest are `other`.
const SOFTWARE_KINDS: usize = 200;
/// Longer names and versions are cut.
const SOFTWARE_LENGTH: usize = 64;
const OTHER: &str = "other";
/// Of a client that does not say what it is: Kafka's own word.
const UNKNOWN: &str = "unknown";

/// One client connection, counted until it is [`gone`](Self::gone) or this is dropped. Whoever works for it shares this.
pub struct SessionGauge {
    families: Arc<SessionFamilies>,
    gone: AtomicBool,
    software: OnceLock<IntGauge>,
    in_flight: AtomicI64,
    reason: OnceLock<&'static str>,
}

impl SessionGauge {
    /// The client said who it is (ApiVersions 3+, KIP-511), or asked for something without, and is shown this view. The
    /// first word stands. True for one that was not seen before.
    pub fn client(&self, software: &str, version: &str, view: View) -> bool {
        let mut new = false;
        self.software.get_or_init(|| self.families.sighted(software, version, view, &mut new));
        new
    }

    /// A request that will be answered was read.
    pub fn began(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.families.in_flight.inc();
    }

    /// It was answered, or never will be.
    pub fn ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.families.in_flight.dec();
    }

    /// Why it is about to end, in one of a few words. The client did: `client` (it hung up), `io`, `protocol` (it sent
    /// what cannot be read), `handshake`, `stalled`, `slow`, `idle` (it did not do its part in time). We did: `refused` (we would harm it), `login` (it was not let in), `expired` (its session is over, and it has not logged in anew), `memory` (there is none for what it names), `upstream`, `held`, `overtaking`, `unwritable`,
    /// `unanswered` (only so does it send its requests again), `shutdown`. The first word stands; without one it is `dropped`.
    pub fn closing(&self, reason: &'static str) {
        let _first_stands = self.reason.set(reason);
    }

    /// Why it ended.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason.get().copied().unwrap_or("dropped")
    }

    /// It has ended. What it asked may still be under way, and is counted until it is answered.
    pub fn gone(&self) {
        if self.gone.swap(true, Ordering::Relaxed) {
            return;
        }
        self.families.open.dec();
        if let Some(software) = self.software.get() {
            software.dec();
        }
        self.families.closed.with_label_values(&[self.reason()]).inc();
    }
}

impl Drop for SessionGauge {
    fn drop(&mut self) {
        self.gone();
        self.families.in_flight.sub(*self.in_flight.get_mut());
    }
}

/// The families that [`SessionGauge`]s count in.
pub(super) struct SessionFamilies {
    open: IntGauge,
    opened: IntCounter,
    closed: IntCounterVec,
    pub(super) refused: IntCounterVec,
    pub(super) handshakes_failed: IntCounterVec,
    in_flight: IntGauge,
    by_software: IntGaugeVec,
    sightings: IntCounterVec,
    kinds: Mutex<HashSet<(String, String, View)>>,
}

impl SessionFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters =
            |name, help, labels: &[&str]| register(registry, IntCounterVec::new(Opts::new(name, help), labels));
        let software = ["software", "version", "view"];
        let by_software = Opts::new("fishplate_client_sessions", "Open client connections by what they say they are.");
        Ok(Self {
            open: register(registry, IntGauge::new("fishplate_sessions", "Open client connections."))?,
            opened: register(
                registry,
                IntCounter::new("fishplate_sessions_opened_total", "Client connections accepted."),
            )?,
            closed: counters("fishplate_sessions_closed_total", "Client connections ended, and why.", &["reason"])?,
            refused: counters(
                "fishplate_sessions_refused_total",
                "Client connections closed at once since a limit was reached, and which.",
                &["limit"],
            )?,
            handshakes_failed: counters(
                "fishplate_handshakes_failed_total",
                "TLS handshakes of clients that came to nothing, and why.",
                &["reason"],
            )?,
            in_flight: register(
                registry,
                IntGauge::new("fishplate_requests_in_flight", "Requests read from clients and not yet answered."),
            )?,
            by_software: register(registry, IntGaugeVec::new(by_software, &software))?,
            sightings: counters(
                "fishplate_client_sightings_total",
                "Client connections by what they said they are (ApiVersions 3+) and are shown.",
                &software,
            )?,
            kinds: Mutex::default(),
        })
    }

    pub(super) fn opened(families: &Arc<Self>) -> SessionGauge {
        families.opened.inc();
        families.open.inc();
        SessionGauge {
            families: Arc::clone(families),
            gone: AtomicBool::new(false),
            software: OnceLock::new(),
            in_flight: AtomicI64::new(0),
            reason: OnceLock::new(),
        }
    }

    fn sighted(&self, software: &str, version: &str, view: View, new: &mut bool) -> IntGauge {
        let mut kind = (plain(software), plain(version), view);
        let mut kinds = self.kinds.lock();
        if !kinds.contains(&kind) {
            if kinds.len() < SOFTWARE_KINDS {
                *new = true;
                kinds.insert(kind.clone());
            } else {
                (kind.0, kind.1) = (OTHER.to_owned(), OTHER.to_owned());
            }
        }
        let labels = [kind.0.as_str(), kind.1.as_str(), view.as_str()];
        self.sightings.with_label_values(&labels).inc();
        let open = self.by_software.with_label_values(&labels);
        open.inc();
        open
    }
}

/// KIP-511 allows letters, digits, dots and hyphens; anything else a client sends becomes an underscore.
fn plain(text: &str) -> String {
    if text.is_empty() {
        return UNKNOWN.to_owned();
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    text.chars().take(SOFTWARE_LENGTH).map(|c| if allowed(c) { c } else { '_' }).collect()
}
