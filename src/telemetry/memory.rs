//! How the pools of memory stand.

use super::register;
use parking_lot::Mutex;
use prometheus::{CounterVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// The families of the pools.
pub(super) struct MemoryFamilies {
    size: IntGaugeVec,
    drawn: IntGaugeVec,
    waiters: IntGaugeVec,
    waits: IntCounterVec,
    waited: CounterVec,
    /// Two who scrape at once do not both add what is new.
    adding: Mutex<()>,
}

/// How one pool stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolFacts {
    /// Bytes that there are.
    pub size: usize,
    /// Bytes that are drawn.
    pub drawn: usize,
    /// Who waits now.
    pub waiting: usize,
    /// How often somebody had to wait.
    pub waits: u64,
    /// How long they waited in all, seconds.
    pub waited: f64,
}

impl MemoryFamilies {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauges = |name, help| register(registry, IntGaugeVec::new(Opts::new(name, help), &["pool"]));
        let waits =
            Opts::new("fishplate_memory_waits_total", "How often a connection had to wait for a pool's memory.");
        let waited =
            Opts::new("fishplate_memory_waited_seconds_total", "How long connections waited for memory in all.");
        Ok(Self {
            size: gauges("fishplate_memory_bytes", "Size of a pool of memory.")?,
            drawn: gauges("fishplate_memory_drawn_bytes", "Bytes of a pool that are in use.")?,
            waiters: gauges("fishplate_memory_waiters", "Connections that wait for a pool's memory.")?,
            waits: register(registry, IntCounterVec::new(waits, &["pool"]))?,
            waited: register(registry, CounterVec::new(waited, &["pool"]))?,
            adding: Mutex::default(),
        })
    }

    pub(super) fn stand(&self, pool: &str, facts: PoolFacts) {
        let set = |family: &IntGaugeVec, value| {
            family.with_label_values(&[pool]).set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&self.size, facts.size);
        set(&self.drawn, facts.drawn);
        set(&self.waiters, facts.waiting);
        let _adding = self.adding.lock();
        let (waits, waited) = (self.waits.with_label_values(&[pool]), self.waited.with_label_values(&[pool]));
        waits.inc_by(facts.waits.saturating_sub(waits.get()));
        waited.inc_by((facts.waited - waited.get()).max(0.0));
    }
}
