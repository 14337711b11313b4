//! What is counted per cluster: links, how long its brokers take, metadata, whether it answers.

use super::{SECONDS, forget, forget_where, register};
use crate::types::{Guise, Name};
use parking_lot::Mutex;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Whom a link serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A client's session.
    Session,
    /// Ourselves: metadata, coordinators, topics that we make.
    Own,
}

impl Use {
    fn label(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Own => "own",
        }
    }
}

/// Counts what concerns one cluster.
pub struct ClusterMeter {
    name: Name,
    links: IntGaugeVec,
    opened: IntCounter,
    closed: IntCounterVec,
    failed: IntCounterVec,
    in_flight: IntGauge,
    seconds: Histogram,
    refreshed: IntCounter,
    not_refreshed: IntCounter,
    tokens: IntCounterVec,
    identity_links: IntGaugeVec,
    identity_failed: IntCounterVec,
    age: GaugeVec,
    fresh_at: Mutex<Option<Instant>>,
    up: IntGaugeVec,
}

impl ClusterMeter {
    /// A link to one of its brokers is usable (TLS and SASL done), as this one; it is gone when the guard is dropped.
    #[must_use]
    pub fn link_opened(&self, whose: Use, guise: &Guise) -> LinkGauge {
        let links = self.links.with_label_values(&[self.name.as_str(), whose.label()]);
        let of_identity =
            (!guise.is_own()).then(|| self.identity_links.with_label_values(&[self.name.as_str(), guise.name()]));
        self.opened.inc();
        links.inc();
        of_identity.iter().for_each(IntGauge::inc);
        LinkGauge {
            cluster: self.name.clone(),
            links,
            of_identity,
            closed: self.closed.clone(),
            in_flight: self.in_flight.clone(),
            seconds: self.seconds.clone(),
            pending: AtomicI64::new(0),
            reason: OnceLock::new(),
        }
    }

    /// A link could not be opened as this one. `reason` is one of a few words: `connect`, `timeout`, `io`, `eof`, `protocol`,
    /// `versions`.
    pub fn link_failed(&self, guise: &Guise, reason: &'static str) {
        self.failed.with_label_values(&[self.name.as_str(), reason]).inc();
        if !guise.is_own() {
            self.identity_failed.with_label_values(&[self.name.as_str(), guise.name(), reason]).inc();
        }
    }

    /// Nobody comes to it any more as an identity of this name.
    pub fn forget_identity(&self, name: &str) {
        let labels = [("cluster", self.name.as_str()), ("identity", name)];
        forget_where(&self.identity_links, &labels);
        forget_where(&self.identity_failed, &labels);
    }

    /// Its metadata was read: all of it (`whole`), or that of some topics, which makes the rest no younger.
    pub fn metadata_refreshed(&self, whole: bool) {
        self.refreshed.inc();
        if whole {
            *self.fresh_at.lock() = Some(Instant::now());
        }
    }

    /// Its metadata could not be read; what is known stays, and its age goes on growing.
    pub fn metadata_failed(&self) {
        self.not_refreshed.inc();
    }

    /// A token to log in with was asked for, and came or did not. The series begins with the first.
    pub fn token_fetched(&self, came: bool) {
        let result = if came { "ok" } else { "failed" };
        self.tokens.with_label_values(&[self.name.as_str(), result]).inc();
    }

    /// Whether any of its brokers answers. The series begins with the first word about it.
    pub fn set_up(&self, up: bool) {
        self.up.with_label_values(&[self.name.as_str()]).set(i64::from(up));
    }

    /// Before a scrape: no series at all until metadata was read once.
    pub(super) fn update_age(&self) {
        if let Some(at) = *self.fresh_at.lock() {
            let age: Gauge = self.age.with_label_values(&[self.name.as_str()]);
            age.set(at.elapsed().as_secs_f64());
        }
    }
}

impl fmt::Debug for ClusterMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClusterMeter").field(&self.name).finish()
    }
}

/// One upstream connection, counted as long as this lives.
pub struct LinkGauge {
    cluster: Name,
    links: IntGauge,
    /// Where it is not Fishplate's own.
    of_identity: Option<IntGauge>,
    closed: IntCounterVec,
    in_flight: IntGauge,
    seconds: Histogram,
    pending: AtomicI64,
    reason: OnceLock<&'static str>,
}

impl LinkGauge {
    /// A request that will be answered was put on the link.
    pub fn sent(&self) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        self.in_flight.inc();
    }

    /// One of them was answered, `took` after it was sent.
    pub fn answered(&self, took: Duration) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
        self.in_flight.dec();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Why it is about to end, in one of a few words: `session` (the client is gone), `idle`, `eof`, `io`, `timeout`,
    /// `stuck`, `protocol`, `ended` (a mistake of ours). The first word stands; without one it is `dropped`.
    pub fn closing(&self, reason: &'static str) {
        let _first_stands = self.reason.set(reason);
    }
}

impl Drop for LinkGauge {
    fn drop(&mut self) {
        self.links.dec();
        self.of_identity.iter().for_each(IntGauge::dec);
        self.in_flight.sub(*self.pending.get_mut());
        let reason = self.reason.get().copied().unwrap_or("dropped");
        self.closed.with_label_values(&[self.cluster.as_str(), reason]).inc();
    }
}

/// The families that [`ClusterMeter`]s are cut from.
pub(super) struct ClusterFamilies {
    links: IntGaugeVec,
    opened: IntCounterVec,
    closed: IntCounterVec,
    failed: IntCounterVec,
    in_flight: IntGaugeVec,
    seconds: HistogramVec,
    refreshes: IntCounterVec,
    tokens: IntCounterVec,
    identity_links: IntGaugeVec,
    identity_failed: IntCounterVec,
    age: GaugeVec,
    up: IntGaugeVec,
}

impl ClusterFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters =
            |name, help, labels: &[&str]| register(registry, IntCounterVec::new(Opts::new(name, help), labels));
        let gauges = |name, help, labels: &[&str]| register(registry, IntGaugeVec::new(Opts::new(name, help), labels));
        let seconds = HistogramOpts::new(
            "fishplate_upstream_duration_seconds",
            "From a request's sending on a link to its answer, of all APIs (a Fetch may wait for data).",
        )
        .buckets(SECONDS.to_vec());
        let age =
            Opts::new("fishplate_metadata_age_seconds", "Time since all of the cluster's metadata was last read.");
        Ok(Self {
            links: gauges(
                "fishplate_links",
                "Open connections to brokers of the cluster, by use: a client's session, or our own.",
                &["cluster", "use"],
            )?,
            opened: counters("fishplate_links_opened_total", "Connections that became usable.", &["cluster"])?,
            closed: counters(
                "fishplate_links_closed_total",
                "Connections that ended, and why.",
                &["cluster", "reason"],
            )?,
            failed: counters(
                "fishplate_links_failed_total",
                "Connections that never became usable, and why.",
                &["cluster", "reason"],
            )?,
            in_flight: gauges(
                "fishplate_link_requests_in_flight",
                "Requests sent to the cluster and not answered.",
                &["cluster"],
            )?,
            seconds: register(registry, HistogramVec::new(seconds, &["cluster"]))?,
            refreshes: counters(
                "fishplate_metadata_refreshes_total",
                "Attempts to read the cluster's metadata; result is ok or failed.",
                &["cluster", "result"],
            )?,
            tokens: counters(
                "fishplate_cluster_tokens_total",
                "Tokens that were asked for to log in with; result is ok or failed.",
                &["cluster", "result"],
            )?,
            identity_links: gauges(
                "fishplate_identity_links",
                "Open connections to brokers of the cluster as an identity of its clients' (docs/identities.md).",
                &["cluster", "identity"],
            )?,
            identity_failed: counters(
                "fishplate_identity_links_failed_total",
                "Connections as such an identity that never became usable, and why.",
                &["cluster", "identity", "reason"],
            )?,
            age: register(registry, GaugeVec::new(age, &["cluster"]))?,
            up: gauges("fishplate_cluster_up", "1 while a broker of the cluster answers, else 0.", &["cluster"])?,
        })
    }

    pub(super) fn forget(&self, name: &Name) {
        let name = name.as_str();
        let counters = [&self.opened, &self.closed, &self.failed, &self.refreshes, &self.tokens, &self.identity_failed];
        for counters in counters {
            forget(counters, "cluster", name);
        }
        for gauges in [&self.links, &self.in_flight, &self.up, &self.identity_links] {
            forget(gauges, "cluster", name);
        }
        forget(&self.seconds, "cluster", name);
        forget(&self.age, "cluster", name);
    }

    pub(super) fn cluster(&self, name: &Name) -> ClusterMeter {
        let cluster = [name.as_str()];
        for whose in [Use::Session, Use::Own] {
            self.links.with_label_values(&[name.as_str(), whose.label()]);
        }
        let refreshes = |result| self.refreshes.with_label_values(&[name.as_str(), result]);
        ClusterMeter {
            name: name.clone(),
            links: self.links.clone(),
            opened: self.opened.with_label_values(&cluster),
            closed: self.closed.clone(),
            failed: self.failed.clone(),
            in_flight: self.in_flight.with_label_values(&cluster),
            seconds: self.seconds.with_label_values(&cluster),
            refreshed: refreshes("ok"),
            not_refreshed: refreshes("failed"),
            tokens: self.tokens.clone(),
            identity_links: self.identity_links.clone(),
            identity_failed: self.identity_failed.clone(),
            age: self.age.clone(),
            fresh_at: Mutex::default(),
            up: self.up.clone(),
        }
    }
}
