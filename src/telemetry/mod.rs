//! The metrics registry and the log set-up. Everything is counted here under names that dashboards know
//! (`fishplate_*`, base units); labels are bounded by the config and by tables of constants.
//! Knows nothing of requests, and holds no globals: who counts was handed a [`Telemetry`].

mod clusters;
pub mod log;
mod meter;
mod seldom;
mod sessions;

pub use clusters::{ClusterMeter, LinkGauge};
pub use meter::{Meter, MeterKey, NO_CLUSTER, NO_PIPELINE, SEVERAL};
pub use seldom::Seldom;
pub use sessions::SessionGauge;

use crate::types::Name;
use clusters::ClusterFamilies;
use meter::MeterFamilies;
use parking_lot::RwLock;
use prometheus::core::Collector;
use prometheus::{IntCounter, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use sessions::SessionFamilies;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Upper bounds of every latency histogram, in seconds: 50 us to 30 s.
const SECONDS: [f64; 18] =
    [50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// All that one Fishplate process counts. Shared as an `Arc`; several may live in one process (tests, the demo).
pub struct Telemetry {
    registry: Registry,
    meters: MeterFamilies,
    known_meters: RwLock<HashMap<MeterKey, Arc<Meter>>>,
    clusters: ClusterFamilies,
    known_clusters: RwLock<HashMap<Name, Arc<ClusterMeter>>>,
    sessions: Arc<SessionFamilies>,
    copied: IntCounter,
}

impl Telemetry {
    /// An empty registry with all families in it.
    ///
    /// # Errors
    /// When a name or label in this room is malformed or stands twice: a mistake in the source, which a test shows.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        process_facts(&registry)?;
        Ok(Self {
            meters: MeterFamilies::new(&registry)?,
            known_meters: RwLock::default(),
            clusters: ClusterFamilies::new(&registry)?,
            known_clusters: RwLock::default(),
            sessions: Arc::new(SessionFamilies::new(&registry)?),
            copied: register(
                &registry,
                IntCounter::new(
                    "fishplate_record_bytes_copied_total",
                    "Bytes of record batches copied in user space between two sockets. Stays 0 where nothing edits records.",
                ),
            )?,
            registry,
        })
    }

    /// The handle to count requests of one kind with. Look it up once and keep it: counting is then a few atomic adds.
    #[must_use]
    pub fn meter(&self, key: &MeterKey) -> Arc<Meter> {
        if let Some(known) = self.known_meters.read().get(key) {
            return Arc::clone(known);
        }
        let mut all = self.known_meters.write();
        Arc::clone(all.entry(key.clone()).or_insert_with(|| Arc::new(self.meters.meter(key))))
    }

    /// The handle for what concerns one cluster: links, metadata, whether it is up. Keep it.
    #[must_use]
    pub fn cluster(&self, name: &Name) -> Arc<ClusterMeter> {
        if let Some(known) = self.known_clusters.read().get(name) {
            return Arc::clone(known);
        }
        let mut all = self.known_clusters.write();
        Arc::clone(all.entry(name.clone()).or_insert_with(|| Arc::new(self.clusters.cluster(name))))
    }

    /// A client connected; it is gone when the guard is dropped.
    #[must_use]
    pub fn session_opened(&self) -> SessionGauge {
        SessionFamilies::opened(&self.sessions)
    }

    /// The counter of record bytes copied in user space. The one copy function adds to it; tests assert 0.
    #[must_use]
    pub fn record_bytes_copied(&self) -> &IntCounter {
        &self.copied
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// When the encoder refuses a family: a mistake in the source.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        for cluster in self.known_clusters.read().values() {
            cluster.update_age();
        }
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// What is true of the process as a whole, and does not change.
fn process_facts(registry: &Registry) -> Result<(), prometheus::Error> {
    let build = Opts::new("fishplate_build_info", "Always 1; the labels say which build runs.");
    let build = register(registry, IntGaugeVec::new(build, &["version"]))?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    let started = register(
        registry,
        IntGauge::new("fishplate_start_time_seconds", "When this process began to count, in seconds since 1970."),
    )?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    started.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    Ok(())
}

/// Puts a family into the registry and gives it back.
fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    family: Result<C, prometheus::Error>,
) -> Result<C, prometheus::Error> {
    let family = family?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}
