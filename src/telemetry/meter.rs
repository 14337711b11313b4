//! Counting requests: one [`Meter`] per API, pipeline and cluster, looked up once and kept by whoever counts.

use super::{SECONDS, forget, register};
use crate::error::Blame;
use crate::types::Name;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use std::time::Duration;

const LABELS: [&str; 3] = ["api", "pipeline", "cluster"];

/// What a [`Meter`] counts. Every part comes from the config or from a table of constants, so their number is bounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MeterKey {
    /// Kafka's name of the API, as in its documentation: `Produce`, `FindCoordinator`.
    pub api: &'static str,
    /// The pipeline; [`Name::NONE`] where the request concerns no topic or group.
    pub pipeline: Name,
    /// The cluster; [`Name::NONE`] where Fishplate answered without asking one.
    pub cluster: Name,
}

impl MeterKey {
    /// For a request that Fishplate answers itself and that concerns no pipeline (ApiVersions).
    #[must_use]
    pub fn ours(api: &'static str) -> Self {
        Self { api, pipeline: Name::none(), cluster: Name::none() }
    }

    /// Whether the two are one key in memory, and so equal: sure where it is true, and quicker than to compare.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.api, other.api)
            && self.pipeline.is_same(&other.pipeline)
            && self.cluster.is_same(&other.cluster)
    }

    fn values(&self) -> [&str; 3] {
        [self.api, self.pipeline.as_str(), self.cluster.as_str()]
    }
}

/// Counts requests of one API, pipeline and cluster. Every method is a few atomic adds but [`Meter::error_code`].
pub struct Meter {
    key: MeterKey,
    requests: IntCounter,
    seconds: Histogram,
    bytes_in: IntCounter,
    bytes_out: IntCounter,
    by_client: IntCounter,
    by_cluster: IntCounter,
    by_proxy: IntCounter,
    codes: IntCounterVec,
}

impl Meter {
    /// What it counts.
    #[must_use]
    pub fn key(&self) -> &MeterKey {
        &self.key
    }

    /// A request got its answer, good or bad, `took` after its last byte was read. Bytes are whole frames.
    pub fn answered(&self, took: Duration, bytes_in: usize, bytes_out: usize) {
        self.requests.inc();
        self.seconds.observe(took.as_secs_f64());
        self.bytes_in.inc_by(bytes_in as u64);
        self.bytes_out.inc_by(bytes_out as u64);
    }

    /// A request, or a part of one, got no answer from where it belonged. To be said once for a request and whom it is
    /// blamed on. One that is answered all the same (with an error code) is counted by [`Meter::answered`] as well.
    pub fn failed(&self, blame: Blame) {
        match blame {
            Blame::Client => self.by_client.inc(),
            Blame::Cluster(_) => self.by_cluster.inc(),
            Blame::Proxy => self.by_proxy.inc(),
            Blame::Nobody => {}
        }
    }

    /// An answer with a Kafka error code went to the client; `code` is Kafka's name for it, out of a table. To be said
    /// once for an answer and a code, however often it is in there. Costs a look-up.
    pub fn error_code(&self, code: &'static str) {
        let [api, pipeline, cluster] = self.key.values();
        self.codes.with_label_values(&[api, pipeline, cluster, code]).inc();
    }
}

/// The families that meters are cut from.
pub(super) struct MeterFamilies {
    requests: IntCounterVec,
    seconds: HistogramVec,
    bytes_in: IntCounterVec,
    bytes_out: IntCounterVec,
    failures: IntCounterVec,
    codes: IntCounterVec,
}

impl MeterFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters =
            |name, help, labels: &[&str]| register(registry, IntCounterVec::new(Opts::new(name, help), labels));
        let [api, pipeline, cluster] = LABELS;
        let seconds = HistogramOpts::new(
            "fishplate_request_duration_seconds",
            "From a request's last byte read from the client to its answer being ready to write.",
        )
        .buckets(SECONDS.to_vec());
        Ok(Self {
            requests: counters("fishplate_requests_total", "Requests that were answered.", &LABELS)?,
            seconds: register(registry, HistogramVec::new(seconds, &LABELS))?,
            bytes_in: counters("fishplate_request_bytes_total", "Bytes of requests read from clients.", &LABELS)?,
            bytes_out: counters("fishplate_response_bytes_total", "Bytes of responses written to clients.", &LABELS)?,
            failures: counters(
                "fishplate_errors_total",
                "Requests that got no answer from where they belong, or not to all of it; by says whose fault it was.",
                &[api, pipeline, cluster, "by"],
            )?,
            codes: counters(
                "fishplate_error_codes_total",
                "Answers to clients that bear this Kafka error code, the clusters' own and ours.",
                &[api, pipeline, cluster, "code"],
            )?,
        })
    }

    pub(super) fn forget(&self, label: &str, name: &Name) {
        for counters in [&self.requests, &self.bytes_in, &self.bytes_out, &self.failures, &self.codes] {
            forget(counters, label, name.as_str());
        }
        forget(&self.seconds, label, name.as_str());
    }

    pub(super) fn meter(&self, key: &MeterKey) -> Meter {
        let values = key.values();
        let [api, pipeline, cluster] = values;
        let failures = |by| self.failures.with_label_values(&[api, pipeline, cluster, by]);
        Meter {
            key: key.clone(),
            requests: self.requests.with_label_values(&values),
            seconds: self.seconds.with_label_values(&values),
            bytes_in: self.bytes_in.with_label_values(&values),
            bytes_out: self.bytes_out.with_label_values(&values),
            by_client: failures("client"),
            by_cluster: failures("cluster"),
            by_proxy: failures("proxy"),
            codes: self.codes.clone(),
        }
    }
}
