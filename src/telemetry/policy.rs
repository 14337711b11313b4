//! What policy decided about records. Labels are names of the config and tables of constants: a token is never one.

use super::{SECONDS, forget, register};
use crate::types::Name;
use prometheus::{
    Counter, CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The families that meters of policies are cut from.
pub(super) struct PolicyFamilies {
    records: IntCounterVec,
    breaches: IntCounterVec,
    lanes: IntCounterVec,
    edited: IntCounterVec,
    refused: IntCounterVec,
    held: CounterVec,
    keys: IntGaugeVec,
    beyond: IntGaugeVec,
    deputies: IntGauge,
    seconds: HistogramVec,
}

/// Times how long a lane takes for a batch.
#[derive(Clone, Debug)]
pub struct LaneClock {
    since: Instant,
    seconds: Histogram,
}

impl LaneClock {
    /// The lane's cluster has answered, or never will.
    pub fn stop(&self) {
        self.seconds.observe(self.since.elapsed().as_secs_f64());
    }
}

impl PartialEq for LaneClock {
    fn eq(&self, other: &Self) -> bool {
        self.since == other.since
    }
}

/// Counts what one limit says to records: there from the start, so that an alert on a rate finds it.
pub struct LimitMeter {
    passed: IntCounter,
    observed: IntCounter,
    enforced: IntCounter,
    keys: IntGauge,
    beyond: IntGauge,
}

impl LimitMeter {
    /// So many passed; were above it, and only counted; were above it, and its action was done.
    pub fn said(&self, passed: u64, observed: u64, enforced: u64) {
        self.passed.inc_by(passed);
        self.observed.inc_by(observed);
        self.enforced.inc_by(enforced);
    }

    /// How many keys it tells apart, and how often it was asked about others.
    pub fn keys(&self, live: usize, beyond: u64) {
        self.keys.set(i64::try_from(live).unwrap_or(i64::MAX));
        self.beyond.set(i64::try_from(beyond).unwrap_or(i64::MAX));
    }
}

/// Counts what one pipeline's policy does.
pub struct PolicyMeter {
    pipeline: Name,
    families: Arc<PolicyFamilies>,
    edited: IntCounter,
    held: Counter,
}

impl PolicyFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters =
            |name, help, labels: &[&str]| register(registry, IntCounterVec::new(Opts::new(name, help), labels));
        let gauges = |name, help, labels: &[&str]| register(registry, IntGaugeVec::new(Opts::new(name, help), labels));
        let held =
            Opts::new("fishplate_policy_held_seconds_total", "How long answers were held by limits that throttle.");
        let seconds = HistogramOpts::new(
            "fishplate_lane_duration_seconds",
            "From a batch's arrival until the cluster of a lane has answered what goes there.",
        )
        .buckets(SECONDS.to_vec());
        Ok(Self {
            records: counters(
                "fishplate_limit_records_total",
                "Records that a limit counted: passed, observed (above it, and only counted) or enforced (its action was done).",
                &["pipeline", "limit", "action", "verdict"],
            )?,
            breaches: counters(
                "fishplate_contract_violations_total",
                "Records that broke the header contract, by what it does about it.",
                &["pipeline", "on_violation"],
            )?,
            lanes: counters(
                "fishplate_lane_records_total",
                "Records that were moved to a lane (overflow, dlq) or acknowledged and thrown away (drop).",
                &["pipeline", "lane"],
            )?,
            edited: counters(
                "fishplate_policy_edited_batches_total",
                "Batches that were written anew since their records differ in what becomes of them, or since one was stamped.",
                &["pipeline"],
            )?,
            refused: counters(
                "fishplate_policy_refused_batches_total",
                "Batches that were refused: contract, limit, or unfit (what Kafka would not take either).",
                &["pipeline", "why"],
            )?,
            held: register(registry, CounterVec::new(held, &["pipeline"]))?,
            keys: gauges("fishplate_limit_keys", "Keys that a limit tells apart now.", &["pipeline", "limit"])?,
            beyond: gauges(
                "fishplate_limit_keys_beyond",
                "How often a limit was asked about keys beyond those it tells apart, which share one bucket.",
                &["pipeline", "limit"],
            )?,
            seconds: register(registry, HistogramVec::new(seconds, &["pipeline", "lane"]))?,
            deputies: register(
                registry,
                IntGauge::new(
                    "fishplate_policy_deputies",
                    "Idempotent producers at partitions that are written for under ids of our own.",
                ),
            )?,
        })
    }

    /// So many producers at partitions are written for.
    pub(super) fn deputies(&self, count: usize) {
        self.deputies.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(super) fn of(families: &Arc<Self>, pipeline: &Name) -> PolicyMeter {
        let label = [pipeline.as_str()];
        PolicyMeter {
            pipeline: pipeline.clone(),
            edited: families.edited.with_label_values(&label),
            held: families.held.with_label_values(&label),
            families: Arc::clone(families),
        }
    }

    pub(super) fn forget(&self, pipeline: &Name) {
        let Self { records, breaches, lanes, edited, refused, held, keys, beyond, deputies: _, seconds } = self;
        [records, breaches, lanes, edited, refused].iter().for_each(|of| forget(of, "pipeline", pipeline.as_str()));
        [keys, beyond].iter().for_each(|of| forget(of, "pipeline", pipeline.as_str()));
        forget(held, "pipeline", pipeline.as_str());
        forget(seconds, "pipeline", pipeline.as_str());
    }
}

impl PolicyMeter {
    /// Counts what one of its limits says.
    #[must_use]
    pub fn limit(&self, limit: &str, action: &str) -> LimitMeter {
        let pipeline = self.pipeline.as_str();
        let said = |verdict| self.families.records.with_label_values(&[pipeline, limit, action, verdict]);
        let of = |family: &IntGaugeVec| family.with_label_values(&[pipeline, limit]);
        LimitMeter {
            passed: said("passed"),
            observed: said("observed"),
            enforced: said("enforced"),
            keys: of(&self.families.keys),
            beyond: of(&self.families.beyond),
        }
    }

    /// So many records broke the contract.
    pub fn broken(&self, on_violation: &str, count: u64) {
        self.families.breaches.with_label_values(&[self.pipeline.as_str(), on_violation]).inc_by(count);
    }

    /// So many records went to a lane.
    pub fn moved(&self, lane: &str, count: u64) {
        self.families.lanes.with_label_values(&[self.pipeline.as_str(), lane]).inc_by(count);
    }

    /// Something goes to a lane now.
    #[must_use]
    pub fn lane_clock(&self, lane: &str) -> LaneClock {
        let seconds = self.families.seconds.with_label_values(&[self.pipeline.as_str(), lane]);
        LaneClock { since: Instant::now(), seconds }
    }

    /// A batch was written anew.
    pub fn edited(&self) {
        self.edited.inc();
    }

    /// A batch was refused.
    pub fn refused(&self, why: &str) {
        self.families.refused.with_label_values(&[self.pipeline.as_str(), why]).inc();
    }

    /// An answer is held.
    pub fn held(&self, long: Duration) {
        self.held.inc_by(long.as_secs_f64());
    }
}
