//! The metrics registry and the log set-up. Everything is counted here under names that dashboards know
//! (`fishplate_*`, base units); labels are bounded by the config and by tables of constants.
//! Knows nothing of requests, and holds no globals: who counts was handed a [`Telemetry`].

mod admin;
pub mod catalogue;
mod certificates;
mod clusters;
mod config;
pub mod log;
mod logins;
mod memory;
mod meter;
mod notebook;
pub mod observed;
mod policy;
mod recent;
mod seldom;
mod sessions;

pub use admin::AdminMeter;
pub use certificates::CertificateMeter;
pub use clusters::{ClusterMeter, LinkGauge, Use};
pub use config::ConfigMeter;
pub use log::AUDIT;
pub use logins::{LoginMeter, LoginResult};
pub use memory::PoolFacts;
pub use meter::{Meter, MeterKey};
pub use notebook::{Notebook, Notes};
pub use policy::{LaneClock, LimitMeter, PolicyMeter};
pub use recent::Recent;
pub use seldom::Seldom;
pub use sessions::SessionGauge;

use crate::types::{FastMap, Name};
use clusters::ClusterFamilies;
use memory::MemoryFamilies;
use meter::MeterFamilies;

use parking_lot::{Mutex, RwLock};
use policy::PolicyFamilies;
use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
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
    known_meters: RwLock<FastMap<MeterKey, Arc<Meter>>>,
    clusters: ClusterFamilies,
    known_clusters: RwLock<HashMap<Name, Arc<ClusterMeter>>>,
    sessions: Arc<SessionFamilies>,
    config: ConfigMeter,
    logins: LoginMeter,
    certificates: CertificateMeter,
    admin: AdminMeter,
    misplaced: IntGaugeVec,
    restarts: IntCounterVec,
    denied: IntCounterVec,
    memory: MemoryFamilies,
    policies: Arc<PolicyFamilies>,
    copied: IntCounter,
    copied_so_far: Mutex<u64>,
    notes: Notes,
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
            config: ConfigMeter::new(&registry)?,
            logins: LoginMeter::new(&registry)?,
            certificates: CertificateMeter::new(&registry)?,
            admin: AdminMeter::new(&registry)?,
            misplaced: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new(
                        "fishplate_misplaced_topics",
                        "Topics with records on a cluster that is not their home: away (none at home) or both.",
                    ),
                    &["records"],
                ),
            )?,
            restarts: register(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "fishplate_task_restarts_total",
                        "Tasks of our own that panicked and were begun anew: each is a mistake in Fishplate.",
                    ),
                    &["task"],
                ),
            )?,
            denied: register(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "fishplate_denied_total",
                        "What clients asked for and may not do, by operation and kind of resource.",
                    ),
                    &["operation", "resource"],
                ),
            )?,
            memory: MemoryFamilies::new(&registry)?,
            policies: Arc::new(PolicyFamilies::new(&registry)?),
            copied: register(
                &registry,
                IntCounter::new(
                    "fishplate_record_bytes_copied_total",
                    "Bytes of record batches copied in user space between two sockets. Stays 0 where nothing edits records.",
                ),
            )?,
            copied_so_far: Mutex::default(),
            notes: Arc::new(Notebook::new(&registry)?),
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

    /// What became of configs.
    #[must_use]
    pub fn config(&self) -> &ConfigMeter {
        &self.config
    }

    /// Who logged in at listeners.
    #[must_use]
    pub fn logins(&self) -> &LoginMeter {
        &self.logins
    }

    /// Until when certificates hold, and what became of changed ones.
    #[must_use]
    pub fn certificates(&self) -> &CertificateMeter {
        &self.certificates
    }

    /// Who was turned away at the admin address.
    #[must_use]
    pub fn admin(&self) -> &AdminMeter {
        &self.admin
    }

    /// So many topics have records elsewhere: with none at home, and with some.
    pub fn misplaced(&self, away: usize, both: usize) {
        for (records, count) in [("away", away), ("both", both)] {
            self.misplaced.with_label_values(&[records]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// A task of our own panicked and was begun anew.
    pub fn task_restarted(&self, task: &'static str) {
        self.restarts.with_label_values(&[task]).inc();
    }

    /// A client asked for what it may not do: Kafka's words for the operation and the kind of resource.
    pub fn denied(&self, operation: &str, resource: &str) {
        self.denied.with_label_values(&[operation, resource]).inc();
    }

    /// What was counted of a cluster or pipeline that is not in the config any more. `label` is `cluster` or `pipeline`.
    pub fn forget(&self, label: &'static str, name: &Name) {
        if label == "cluster" {
            self.known_clusters.write().remove(name);
            self.clusters.forget(name);
            self.certificates.forget(name.as_str());
        }
        let of = |key: &MeterKey| if label == "cluster" { key.cluster == *name } else { key.pipeline == *name };
        self.known_meters.write().retain(|key, _| !of(key));
        self.meters.forget(label, name);
        if label == "pipeline" {
            self.policies.forget(name);
        }
    }

    /// Counts what a pipeline's policy does.
    #[must_use]
    pub fn policy(&self, pipeline: &Name) -> PolicyMeter {
        PolicyFamilies::of(&self.policies, pipeline)
    }

    /// So many idempotent producers at partitions are written for under ids of our own.
    pub fn deputies(&self, count: usize) {
        self.policies.deputies(count);
    }

    /// Where facts about what passes by are taken down.
    #[must_use]
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// A client connected; it is gone when the guard is dropped.
    #[must_use]
    pub fn session_opened(&self) -> SessionGauge {
        SessionFamilies::opened(&self.sessions)
    }

    /// A client was closed at once, for this limit.
    pub fn session_refused(&self, limit: &str) {
        self.sessions.refused.with_label_values(&[limit]).inc();
    }

    /// A client's TLS handshake came to nothing, for this reason.
    pub fn handshake_failed(&self, reason: &str) {
        self.sessions.handshakes_failed.with_label_values(&[reason]).inc();
    }

    /// How a pool of memory stands.
    pub fn memory(&self, pool: &str, facts: PoolFacts) {
        self.memory.stand(pool, facts);
    }

    /// The one copy function has copied `total` bytes of records since the process began. Said before a scrape.
    pub fn record_bytes_copied(&self, total: u64) {
        let mut known = self.copied_so_far.lock();
        self.copied.inc_by(total.saturating_sub(*known));
        *known = total.max(*known);
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

#[cfg(test)]
impl Telemetry {
    /// The sum of a family's samples that have these labels; `None` where there is no such sample.
    pub(crate) fn shown(&self, family: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let text = self.render().unwrap();
        let of_family = |line: &&str| line.strip_prefix(family).is_some_and(|rest| rest.starts_with([' ', '{']));
        let has_all = |line: &&str| labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")));
        let samples = text.lines().filter(of_family).filter(has_all);
        let values = samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
        values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
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

/// Takes every series of a family out that has this label with this value.
fn forget<B: MetricVecBuilder>(family: &MetricVec<B>, label: &str, value: &str) {
    forget_where(family, &[(label, value)]);
}

/// The same with all of these.
fn forget_where<B: MetricVecBuilder>(family: &MetricVec<B>, wanted: &[(&str, &str)]) {
    for metric in family.collect().iter().flat_map(|family| family.get_metric()) {
        let labels: HashMap<_, _> = metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
        if wanted.iter().all(|(label, value)| labels.get(label) == Some(value)) {
            let _ = family.remove(&labels);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Blame;
    use crate::types::{Guise, Slot, View};
    use std::time::Duration;

    /// The value of the one sample whose line starts with `sample`.
    fn value(text: &str, sample: &str) -> Option<f64> {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        let found = lines.next()?.parse().ok();
        assert_eq!(lines.next(), None, "two samples of {sample}");
        found
    }

    fn produce() -> MeterKey {
        MeterKey { api: "Produce", pipeline: "events".into(), cluster: "a".into() }
    }

    #[test]
    fn a_meter_counts_under_its_own_labels() {
        let telemetry = Telemetry::new().unwrap();
        let meter = telemetry.meter(&produce());
        meter.answered(Duration::from_micros(70), 1000, 50);
        telemetry.meter(&produce()).answered(Duration::from_secs(60), 1, 2);
        meter.failed(Blame::Cluster(Slot::new(0).unwrap()));
        meter.error_code("NOT_LEADER_OR_FOLLOWER");
        telemetry.meter(&MeterKey::ours("ApiVersions")).answered(Duration::ZERO, 1, 1);
        let text = telemetry.render().unwrap();
        let labels = r#"api="Produce",cluster="a",pipeline="events""#;
        let counted = |sample: &str| value(&text, &format!("fishplate_{sample}")).unwrap();
        assert_eq!(counted(&format!("requests_total{{{labels}}}")), 2.0);
        assert_eq!(counted(&format!("request_bytes_total{{{labels}}}")), 1001.0);
        assert_eq!(counted(&format!("response_bytes_total{{{labels}}}")), 52.0);
        let seconds = |le| counted(&format!("request_duration_seconds_bucket{{{labels},le=\"{le}\"}}"));
        assert_eq!((seconds("0.00005"), seconds("0.0001"), seconds("30"), seconds("+Inf")), (0.0, 1.0, 1.0, 2.0));
        let errors = |by| counted(&format!(r#"errors_total{{api="Produce",by="{by}",cluster="a",pipeline="events"}}"#));
        assert_eq!((errors("client"), errors("cluster"), errors("proxy")), (0.0, 1.0, 0.0));
        let code = r#"api="Produce",cluster="a",code="NOT_LEADER_OR_FOLLOWER",pipeline="events""#;
        assert_eq!(counted(&format!("error_codes_total{{{code}}}")), 1.0);
        let ours = r#"api="ApiVersions",cluster="none",pipeline="none""#;
        assert_eq!(counted(&format!("requests_total{{{ours}}}")), 1.0);
    }

    #[test]
    fn gauges_fall_however_a_session_or_link_ends() {
        let telemetry = Telemetry::new().unwrap();
        let sample = |name: &str| value(&telemetry.render().unwrap(), name).unwrap();
        let session = telemetry.session_opened();
        let link = telemetry.cluster(&"a".into()).link_opened(Use::Session, Guise::OWN);
        session.client("kgo", "v1.22.2", View::Brokers);
        session.client("kgo", "v1.22.2", View::Brokers);
        session.began();
        session.began();
        session.ended();
        link.sent();
        link.sent();
        link.answered(Duration::from_millis(1));
        assert_eq!((sample("fishplate_sessions"), sample("fishplate_requests_in_flight")), (1.0, 1.0));
        let of_a = |name: &str| sample(&format!("{name}{{cluster=\"a\"}}"));
        let links = |whose| sample(&format!("fishplate_links{{cluster=\"a\",use=\"{whose}\"}}"));
        assert_eq!((links("session"), links("own")), (1.0, 0.0));
        assert_eq!(of_a("fishplate_link_requests_in_flight"), 1.0);
        let kgo = r#"{software="kgo",version="v1.22.2",view="brokers"}"#;
        assert_eq!(sample(&format!("fishplate_client_sessions{kgo}")), 1.0);
        session.closing("client");
        session.closing("io");
        session.gone();
        assert_eq!((sample("fishplate_sessions"), sample("fishplate_requests_in_flight")), (0.0, 1.0));
        drop((session, link));
        assert_eq!((sample("fishplate_sessions"), sample("fishplate_requests_in_flight")), (0.0, 0.0));
        assert_eq!((links("session"), of_a("fishplate_link_requests_in_flight")), (0.0, 0.0));
        assert_eq!(sample(&format!("fishplate_client_sessions{kgo}")), 0.0);
        assert_eq!(sample(&format!("fishplate_client_sightings_total{kgo}")), 1.0);
        assert_eq!(sample(r#"fishplate_sessions_closed_total{reason="client"}"#), 1.0);
        assert_eq!(sample(r#"fishplate_links_closed_total{cluster="a",reason="dropped"}"#), 1.0);
    }

    #[test]
    fn what_is_not_known_of_a_cluster_is_absent_and_never_nan() {
        let telemetry = Telemetry::new().unwrap();
        let cluster = telemetry.cluster(&"a".into());
        cluster.metadata_failed();
        let before = telemetry.render().unwrap();
        assert!(!before.contains("fishplate_metadata_age_seconds{"), "{before}");
        assert!(!before.contains("fishplate_cluster_up{"), "{before}");
        cluster.metadata_refreshed(false);
        assert!(!telemetry.render().unwrap().contains("fishplate_metadata_age_seconds{"), "most of it was never read");
        cluster.metadata_refreshed(true);
        cluster.set_up(true);
        let after = telemetry.render().unwrap();
        assert!(value(&after, r#"fishplate_metadata_age_seconds{cluster="a"}"#).unwrap() < 60.0);
        assert_eq!(value(&after, r#"fishplate_cluster_up{cluster="a"}"#), Some(1.0));
        assert_eq!(value(&after, r#"fishplate_metadata_refreshes_total{cluster="a",result="failed"}"#), Some(1.0));
        assert!(!after.contains("NaN"), "{after}");
    }

    #[test]
    fn what_is_said_of_copies_is_a_total() {
        let telemetry = Telemetry::new().unwrap();
        let shown = || value(&telemetry.render().unwrap(), "fishplate_record_bytes_copied_total").unwrap();
        assert_eq!(shown(), 0.0);
        for (total, wanted) in [(5, 5.0), (5, 5.0), (3, 5.0), (9, 9.0)] {
            telemetry.record_bytes_copied(total);
            assert_eq!(shown(), wanted);
        }
    }

    #[test]
    fn what_clients_call_themselves_makes_a_bounded_number_of_labels() {
        let telemetry = Telemetry::new().unwrap();
        for number in 0..1000 {
            telemetry.session_opened().client(&format!("evil\n{number}"), &"9".repeat(10_000), View::Single);
        }
        let text = telemetry.render().unwrap();
        let sightings = text.lines().filter(|line| line.starts_with("fishplate_client_sightings_total{"));
        assert_eq!(sightings.count(), 201);
        assert!(text.contains(r#"software="evil_7""#) && text.len() < 100_000, "{}", text.len());
        assert_eq!(
            value(&text, r#"fishplate_client_sightings_total{software="other",version="other",view="single"}"#),
            Some(800.0)
        );
    }

    #[test]
    fn what_is_gone_from_the_config_is_shown_no_more() {
        let telemetry = Telemetry::new().unwrap();
        telemetry.meter(&produce()).error_code("X");
        let _other = telemetry.meter(&MeterKey { pipeline: "other".into(), ..produce() });
        telemetry.cluster(&"a".into()).set_up(true);
        telemetry.forget("pipeline", &"events".into());
        let text = telemetry.render().unwrap();
        assert!(!text.contains("pipeline=\"events\"") && text.contains("pipeline=\"other\""), "{text}");
        telemetry.forget("cluster", &"a".into());
        let text = telemetry.render().unwrap();
        assert!(!text.contains("cluster=\"a\""), "{text}");
    }

    #[test]
    fn an_identity_is_counted_until_it_is_gone() {
        let telemetry = Telemetry::new().unwrap();
        let alice = Guise::Identity { name: "alice".into(), who: "PLAIN as alice".into() };
        let cluster = telemetry.cluster(&"a".into());
        let open = || telemetry.shown("fishplate_identity_links", &[("cluster", "a"), ("identity", "alice")]);
        let link = cluster.link_opened(Use::Session, &alice);
        let (_own, _failed) = (cluster.link_opened(Use::Own, Guise::OWN), cluster.link_failed(&alice, "login"));
        let failed = [("cluster", "a"), ("identity", "alice"), ("reason", "login")];
        assert_eq!((open(), telemetry.shown("fishplate_identity_links_failed_total", &failed)), (Some(1.0), Some(1.0)));
        assert_eq!(telemetry.shown("fishplate_links", &[("cluster", "a"), ("use", "session")]), Some(1.0));
        drop(link);
        assert_eq!(open(), Some(0.0));
        cluster.forget_identity("alice");
        assert!(!telemetry.render().unwrap().contains("alice"));
    }

    #[test]
    fn every_name_has_the_prefix_a_help_text_and_base_units() {
        let telemetry = Telemetry::new().unwrap();
        telemetry.meter(&produce()).error_code("X");
        let cluster = telemetry.cluster(&"a".into());
        cluster.metadata_refreshed(true);
        cluster.link_failed(Guise::OWN, "connect");
        cluster.set_up(false);
        telemetry.session_opened().client("x", "1", View::Single);
        drop(cluster.link_opened(Use::Own, Guise::OWN));
        telemetry.config().reloaded("applied", 1);
        telemetry.certificates().holds_until("listener", "a:1", "ca", 1);
        telemetry.misplaced(1, 0);
        telemetry.task_restarted("metadata");
        let text = telemetry.render().unwrap();
        let types: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
        assert_eq!(types.len(), 34, "{types:#?}");
        for (name, kind) in types {
            assert!(name.starts_with("fishplate_"), "{name}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            assert!(kind != "histogram" || name.ends_with("_duration_seconds"), "{name}");
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
    }
}
